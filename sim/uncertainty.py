"""What is said of luck, of the parameters and of the structures of the model, in the report and at the prompt."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from . import plots
from .headline import LAST_FITTED, apart, told_uncertainty
from .locale import month_name, number, percent, text
from .measures import MEASURES
from .variance import POOLED


def listed(names: Sequence[str], lang: str) -> str:
    """Write names as a list in words, ``a, b and c``."""
    return f" {text('report.and', lang)} ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def structures_of(manifest: Mapping[str, Any]) -> list[str]:
    """Return the structures of the model that a result was run with."""
    return str(manifest["parameters"]["structure"]).split(", ")


def estimate_words(row: plots.Row, lang: str, name: str = "estimate") -> str:
    """Write a number of a row: a difference with its sign, a level with its unit."""
    unit = MEASURES[row["measure"]].unit
    write = plots.change if row["of"] == "difference" else plots.amount
    return "–" if math.isnan(row[name]) else write(row[name], unit, lang)


def parameter_words(manifest: Mapping[str, Any], lang: str) -> str:
    """Say how many draws of the parameters were used, and of which structures."""
    structures = structures_of(manifest)
    kind = "point" if manifest["draws"] == 1 else "lead" if len(structures) > 1 else "lead_one"
    names = listed([plots.structure_label(structure, lang) for structure in structures], lang)
    sizes = {key: number(manifest[key], lang) for key in ("replicates", "draws")}
    return text(f"report.structures_{kind}", lang, structures=names, **sizes)


def split_words(uncertainty: pd.DataFrame, scenario: str, measure: str, lang: str) -> list[str]:
    """Say what part of a number's variance is luck and what is parameters, and what each structure gives."""
    rows = told_uncertainty(uncertainty, [measure])
    mine = plots.records(rows[rows["scenario"] == scenario])
    said = []
    share = next(row["share_parameters"] for row in mine)
    if not math.isnan(share):
        shares = {"luck": percent(1 - share, lang, 0), "parameters": percent(share, lang, 0)}
        said.append(text("report.split", lang, **shares))
    each = [row for row in mine if row["structure"] != POOLED]
    if len(each) > 1:
        words = [f"{plots.structure_label(row['structure'], lang)} {estimate_words(row, lang)}" for row in each]
        said.append(text("report.split_structures", lang, estimates="; ".join(words)))
    return said


def beyond_words(
    uncertainty: pd.DataFrame | None, base: str, measures: Sequence[str], titles: Mapping[str, str], lang: str
) -> Iterator[str]:
    """Say how far the structures are apart after the last data: most of all in a level, and in the headline.

    The level is one in which the draws are many enough to show it, where there is one; the headline is the first of
    ``measures`` they disagree on. ``uncertainty`` is that of the result, None with one draw of the parameters.
    """
    fitted = month_name(LAST_FITTED, lang)
    far = apart(uncertainty) if uncertainty is not None else pd.DataFrame()
    if not len(far):
        yield text("report.beyond_one", lang, fitted=fitted)
        return
    yield text("report.beyond", lang, fitted=fitted)
    levels = far[(far["of"] == "level") & (far["scenario"] == base)]
    clear = levels[levels["gap"] > levels["error"]]
    told = far[(far["of"] == "difference") & far["measure"].isin(measures) & (far["gap"] > 0)]
    firsts = told.assign(rank=told["measure"].map(list(measures).index)).sort_values("rank", kind="stable")
    for of, rows in (
        ("level", clear[:1] if len(clear) else levels[:1]),
        ("difference", firsts.drop_duplicates("scenario")),
    ):
        for row in plots.records(rows):
            scenario = plots.quoted(titles[row["scenario"]], lang)
            yield text(f"report.beyond_{of}", lang, scenario=scenario, **apart_words(row, lang))


def apart_words(row: plots.Row, lang: str) -> dict[str, str]:
    """Write what a row of ``headline.apart`` says."""
    unit = MEASURES[row["measure"]].unit
    words = {name: plots.structure_label(row[name], lang) for name in ("lowest", "highest")}
    words |= {name: estimate_words(row, lang, name) for name in ("low", "high")}
    words |= {name: plots.change(row[name], unit, lang, sign=False) for name in ("gap", "error", "gap_fitted")}
    months = {"month": month_name(row["month"], lang), "fitted": month_name(LAST_FITTED, lang)}
    return {**words, **months, "measure": MEASURES[row["measure"]].label(lang)}

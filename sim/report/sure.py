"""How sure it is: the pairing check, the grades, the assumed numbers, what the model leaves out, the sources."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import pandas as pd

from .. import plots
from ..locale import number, text
from ..parameters import GRADES, UNITS
from ..sources import ASSUMPTION, source_of
from ..uncertainty import listed
from .folder import Report
from .parts import Table
from .words import mean_persons

_LIMITS: Final = ("displacement", "births", "barriers", "demand", "once", "long_run", "effect", "parameters", "alone")


@dataclass(frozen=True)
class Sure:
    """The section on how sure the result is."""

    pairing: str
    """Whether untouched residents have identical lives."""
    broken: bool
    """Whether they have not."""
    intervals: str
    grades: Table | None
    rests: str
    assumed: Table | None


def section(report: Report) -> Sure | None:
    """Return the section on how sure the result is."""
    if report.assumptions is None and report.proof is None:
        return None
    pairing, broken = _pairing(report)
    interval = report.compares and report.differences is not None and not report.single
    rests = report.t("rests", assumed=len(report.assumed)) if len(report.assumed) else ""
    return Sure(pairing, broken, report.t("intervals") if interval else "", _grades(report), rests, _assumed(report))


def pairing_words(proof: Mapping[str, Any], names: Mapping[str, str], lang: str) -> str:
    """Say how many residents each scenario touches in a replicate, and that the others' lives are checked and equal."""
    pairs = pd.DataFrame(proof["pairs"])
    touched = [
        mean_persons(mean, lang) + (f" ({names[str(scenario)]})" if pairs["scenario"].nunique() > 1 else "")
        for scenario, mean in pairs.groupby("scenario", sort=False)["touched"].mean().items()
    ]
    return text(
        "report.pairing_same" if pairs["replicate"].nunique() > 1 else "report.pairing_same_single",
        lang,
        touched=listed(touched, lang),
        residents=number(round((pairs["touched"] + pairs["untouched"]).mean()), lang),
        pairs=number(len(pairs), lang),
    )


def _pairing(report: Report) -> tuple[str, bool]:
    """Say whether untouched residents have identical lives, and whether something is wrong."""
    if report.proof is None:
        return "", False
    if report.proof["untouched_identical"]:
        return pairing_words(report.proof, report.quoted, report.lang), False
    counts = {key: number(report.proof[key], report.lang) for key in ("touched", "untouched")}
    return report.t("pairing_broken", **counts), True


def _grades(report: Report) -> Table | None:
    """Count the parameters by grade."""
    if report.assumptions is None:
        return None
    counts = report.assumptions["grade"].value_counts()
    body = [[grade, report.t(f"grade_{grade}"), number(counts.get(grade, 0), report.lang)] for grade in GRADES]
    caption = report.t("table_grades", used=len(report.assumptions))
    return Table(caption, [report.t(key) for key in ("grade", "grade_meaning", "count")], [("", body)], words=True)


def _assumed(report: Report) -> Table | None:
    """List the numbers of grade C and D."""
    if not len(report.assumed):
        return None
    body = []
    for row in plots.records(report.assumed):
        unit = UNITS[row["unit"]]
        low, high = plots.plain(row["low"], report.lang), plots.plain(row["high"], report.lang)
        body.append(
            [
                (row[f"label_{report.lang}"], row["id"]),
                (plots.plain(row["value"], report.lang), unit.label_da if report.lang == "da" else unit.label_en),
                report.t("to", low=low, high=high).replace(" ", "\N{NO-BREAK SPACE}"),
                row["grade"],
                row[f"note_{report.lang}"],
            ]
        )
    columns = [report.t(key) for key in ("parameter", "value", "range", "grade", "note")]
    return Table(report.t("table_assumed"), columns, [("", body)], words=True)


def limits(report: Report) -> list[str]:
    """Return what the model leaves out."""
    return [report.t(f"limit_{name}") for name in _LIMITS]


def sources(report: Report) -> list[tuple[str, str]]:
    """Return every source of a number used, with the places read in it."""
    if report.assumptions is None:
        return []
    ids = [id for cell in report.assumptions["source"] for id in re.split(r"[;,\s]+", cell) if id]
    places: dict[str, dict[str, None]] = {}
    for id in dict.fromkeys(ids):
        if id not in (ASSUMPTION, "scenario"):
            source = source_of(id)
            places.setdefault(replace(source, locator="").cite(), {})[source.locator] = None
    return [(cited, "; ".join(place for place in found if place)) for cited, found in sorted(places.items())]

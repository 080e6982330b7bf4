"""How much is luck, how much the parameters leave open, and where the structures of the model disagree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from .. import plots
from ..headline import FOR_LEVELS, LAST_FITTED, apart, headline_measures, last_months, one_view
from ..locale import number, percent
from ..measures import MEASURES
from ..uncertainty import apart_words, beyond_words, estimate_words, parameter_words, structures_of
from ..variance import INTERVALS
from .folder import Report, unbroken
from .parts import Cell, Figure, Table, write_figure
from .words import error_of


@dataclass(frozen=True)
class Structures:
    """The section on luck, parameters and structures."""

    words: list[str]
    figure: Figure | None
    apart: Table | None


def section(report: Report) -> Structures:
    """Return the section on luck, parameters and structures."""
    told = list(FOR_LEVELS) if report.differences is None else headline_measures(report.differences)
    beyond = report.outcomes is not None and str(report.outcomes["month"].max()) > LAST_FITTED
    said = [parameter_words(report.manifest, report.lang)]
    if beyond:
        said += beyond_words(report.uncertainty, report.base, told, report.titles, report.lang)
    words = [unbroken(sentence) for sentence in said]
    if report.uncertainty is None:
        return Structures(words, None, None)
    figure = None if report.single else _figure(report, report.uncertainty, told)
    return Structures(words, figure, _apart_table(report, report.uncertainty) if beyond else None)


def _figure(report: Report, uncertainty: pd.DataFrame, told: Sequence[str]) -> Figure | None:
    """Draw luck, parameters and structures in the measures ``told``."""
    data = plots.structures_data(uncertainty, told)
    if data.empty:
        return None
    bodies = []
    for (measure, scenario), rows in data.groupby(["measure", "scenario"], sort=False):
        label = MEASURES[str(measure)].label(report.lang)
        heading = f"{label} ({report.titles[str(scenario)]})"
        if "difference" in set(rows["of"]):
            heading = f"{heading}, {plots.points(str(measure), report.lang)}"
        bodies.append((heading, [_structure_row(report, row) for row in plots.records(rows)]))
    keys = ("structure", "draws", "mean", *(f"interval_{name}" for name in INTERVALS), "share_parameters")
    return write_figure(
        report,
        "structures",
        plots.structures_figure(data, report.lang, report.titles),
        plots.structures_alt(data, report.lang, report.titles),
        data,
        report.t("structures_caption"),
        Table(report.t("numbers_behind"), [report.t(key) for key in keys], bodies, report.t("structures_note")),
        open=True,
    )


def _structure_row(report: Report, row: plots.Row) -> Sequence[Cell]:
    """Return the cells of a structure: draws, mean, the limits of each kind of interval, the parameters' share."""
    error = plots.change(error_of(row), MEASURES[row["measure"]].unit, report.lang, sign=False)
    limits = [
        "–"
        if math.isnan(row[f"low_{name}"])
        else report.t("to", **{end: estimate_words(row, report.lang, f"{end}_{name}") for end in ("low", "high")})
        for name in INTERVALS
    ]
    mean = (estimate_words(row, report.lang), f"± {error}")
    label = plots.structure_label(row["structure"], report.lang)
    share = percent(row["share_parameters"], report.lang, 0)
    return [label, number(row["draws"], report.lang), mean, *limits, share]


def _apart_table(report: Report, uncertainty: pd.DataFrame) -> Table | None:
    """Return what each structure says after the last data, the measures they disagree on most first."""
    far = apart(uncertainty)
    keys = ["of", "scenario", "measure", "structure"]
    means = last_months(one_view(uncertainty)).set_index(keys)["estimate"]
    bodies = []
    for (of, scenario), found in far[far["gap"] > 0].groupby(["of", "scenario"], sort=False):
        if (of == "level") == (scenario == report.base):
            rows = [_apart_row(report, row, means) for row in plots.records(found)]
            bodies.append((report.t(f"apart_{of}", scenario=report.titles[str(scenario)]), rows))
    names = [plots.structure_label(structure, report.lang) for structure in structures_of(report.manifest)]
    columns = [report.t("measure"), *names, report.t("gap"), report.t("gap_fitted", fitted=report.month(LAST_FITTED))]
    return Table(report.t("table_apart"), columns, bodies, report.t("table_apart_note")) if bodies else None


def _apart_row(report: Report, row: plots.Row, means: pd.Series) -> Sequence[Cell]:
    words = apart_words(row, report.lang)
    each = [
        estimate_words({**row, "estimate": means[row["of"], row["scenario"], row["measure"], structure]}, report.lang)
        for structure in structures_of(report.manifest)
    ]
    return [(words["measure"], words["month"]), *each, (words["gap"], f"± {words['error']}"), words["gap_fitted"]]

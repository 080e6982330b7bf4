"""Which assumed numbers move the headline: each was tried at both ends of its range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from .. import plots
from ..headline import DECISIVE
from ..locale import number, percent
from ..measures import MEASURES
from ..uncertainty import structures_of
from .folder import Report
from .parts import Cell, Figure, Table, write_figure
from .words import difference_words


@dataclass(frozen=True)
class Sensitivity:
    """The section on the assumed numbers that were tried."""

    words: list[str]
    figure: Figure | None


def section(report: Report) -> Sensitivity | None:
    """Return the section on the assumed numbers that were tried."""
    needed = ("parameter", "scenario", "measure", "estimate", "interval_low", "interval_high", "shift_low")
    tried = report.csv("sensitivity.csv", *needed, "shift_high", "se", "share_of_interval")
    return None if tried is None else Sensitivity(_words(report, tried), _figure(report, tried))


def _words(report: Report, tried: pd.DataFrame) -> list[str]:
    """Say for every scenario what the headline is, how many numbers were tried and how many move it."""
    said = []
    for scenario, rows in tried.groupby("scenario", sort=False):
        measure, first = rows["measure"].iloc[0], plots.records(rows)[0]
        row = {**first, "low": first["interval_low"], "high": first["interval_high"]}
        headline = difference_words(report, measure, row)
        said.append(report.t("sensitivity_head", scenario=report.titles[str(scenario)], **headline))
        moving = len(plots.sensitivity_data(rows))
        words = {"tried": number(len(rows), report.lang), "moving": number(moving, report.lang)}
        said.append(report.t("sensitivity_some" if moving else "sensitivity_none", **words))
        untried = rows.loc[rows[["shift_low", "shift_high"]].isna().any(axis=1), "parameter"]
        if len(untried):
            said.append(report.t("sensitivity_untried", count=len(untried), ids=", ".join(untried)))
    if report.drawn:
        structure = plots.structure_label(structures_of(report.manifest)[0], report.lang)
        said.append(report.t("sensitivity_point", structure=structure))
    left = _assumed_and_untried(report, tried)
    return [*said, report.t("sensitivity_left", count=number(left, report.lang))] if left else said


def _assumed_and_untried(report: Report, tried: pd.DataFrame) -> int:
    """Count the grade D numbers of the model that the search left out."""
    cards = report.csv("assumptions.csv", "id", "grade", "used_by")
    if cards is None:
        return 0
    assumed = cards.loc[(cards["grade"] == "D") & (cards["used_by"] == "model"), "id"]
    return int((~assumed.isin(tried["parameter"])).sum())


def _figure(report: Report, tried: pd.DataFrame) -> Figure | None:
    """Draw the assumed numbers that move a headline most."""
    data = plots.sensitivity_data(tried)
    if data.empty:
        return None
    bodies = []
    for scenario, rows in data.groupby("scenario", sort=False):
        measure = rows["measure"].iloc[0]
        body = [_row(report, row, MEASURES[measure].unit) for row in plots.records(rows)]
        bodies.append((f"{MEASURES[measure].label(report.lang)} ({report.titles[str(scenario)]})", body))
    note = "" if all(_sure(row) for row in plots.records(data)) else report.t("sensitivity_note")
    keys = ("parameter", "value", "range", "sensitivity_shift_low", "sensitivity_shift_high", "sensitivity_share")
    return write_figure(
        report,
        "sensitivity",
        plots.sensitivity_figure(data, report.lang, report.titles),
        plots.sensitivity_alt(data, report.lang, report.titles),
        data,
        report.t("sensitivity_caption"),
        Table(report.t("numbers_behind"), [report.t(key) for key in keys], bodies, note),
        open=True,
    )


def _sure(row: plots.Row) -> bool:
    """Whether the computing error leaves no doubt that a number moves the headline."""
    width = row["interval_high"] - row["interval_low"]
    return bool((row["share_of_interval"] - DECISIVE) * width > 2 * row["se"])


def _row(report: Report, row: plots.Row, unit: str) -> Sequence[Cell]:
    """Return the cells of a number that was tried."""
    low, high = plots.plain(row["low"], report.lang), plots.plain(row["high"], report.lang)
    return [
        (plots.assumed_label(row, report.lang), row["parameter"]),
        plots.plain(row["value"], report.lang),
        report.t("to", low=low, high=high),
        plots.change(row["shift_low"], unit, report.lang),
        plots.change(row["shift_high"], unit, report.lang),
        percent(row["share_of_interval"], report.lang, 0) + ("" if _sure(row) else "°"),
    ]

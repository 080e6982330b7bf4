"""The differences of a comparison: all measures over time, the headline ones in a figure, and in every group."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd

from .. import plots
from ..measures import MEASURES
from .folder import Report
from .parts import Cell, Figure, Table, in_two, joined, milestones, write_figure
from .words import measure_cell, shows, usual_population

Write = Callable[[plots.Row], Cell]
"""Writes a difference as a cell."""


@dataclass(frozen=True)
class Differences:
    """The section on differences."""

    figure: Figure | None
    tables: list[Table]
    groups: Figure | None


def section(report: Report) -> Differences | None:
    """Return the section on differences, or None when there are none for all residents."""
    if report.differences is None:
        return None
    write = partial(_difference_cell, report, _nobody_in_base(report))
    tables = _tables(report, report.differences, write)
    if not tables:
        return None
    return Differences(_figure(report, report.differences, write), tables, _groups(report, report.differences, write))


def _nobody_in_base(report: Report) -> frozenset[str]:
    """Counts of persons that are 0 throughout the base: any of them in a scenario is a difference."""
    if report.outcomes is None:
        return frozenset()
    most = report.outcomes[report.outcomes["scenario"] == report.base].groupby("measure")["mean"].max()
    return frozenset(str(key) for key in most.index[most == 0] if MEASURES[str(key)].unit == "persons")


def _difference_cell(report: Report, nobody_in_base: frozenset[str], row: plots.Row) -> Cell:
    unit = MEASURES[row["measure"]].unit
    if math.isnan(row["estimate"]):
        return "–"
    written = plots.change(row["estimate"], unit, report.lang)
    if math.isnan(row["se"]):
        return written
    sure = shows(row) or not (row["estimate"] or row["se"]) or row["measure"] in nobody_in_base
    low, high = (plots.change(row[name], unit, report.lang) for name in ("low", "high"))
    return written + ("" if sure else "°"), report.t("to", low=low, high=high)


def _mark_note(report: Report) -> str:
    return "" if report.single else report.t("table_mark")


def _tables(report: Report, differences: pd.DataFrame, write: Write) -> list[Table]:
    """Return all measures for all residents, each December and the last month, a table a scenario."""
    frame = differences[differences["group_by"] == "all"]
    first = report.scenarios[0]["horizon"]["start"]
    months = milestones(month for month in frame["month"] if month > first)
    tables = []
    for scenario, rows in frame.groupby("scenario", sort=False):
        usual = usual_population(rows, report.lang)
        body: list[Sequence[Cell]] = []
        moving = rows[["estimate", "low", "high"]].fillna(0).ne(0).any(axis=1)
        moved = moving.groupby(rows["measure"]).any()
        same = [str(measure) for measure in rows["measure"].unique() if not moved[measure]]
        kept = rows[~rows["measure"].isin(same)] if len(same) < len(moved) else rows
        for measure, of in kept.groupby("measure", sort=False):
            at = {row["month"]: write(row) for row in plots.records(of)}
            name = measure_cell(str(measure), usual, report.lang)
            body.append([name, *(at.get(month, "–") for month in months)])
        caption = report.t("table_differences", base=report.quoted[report.base], scenario=report.quoted[str(scenario)])
        columns = [report.t("measure"), *(report.month(month) for month in months)]
        luck = "" if report.single else report.t("table_luck")
        note = [report.t("table_differences_note"), luck, _mark_note(report), report.t("usual", population=usual)]
        if same:
            names = ", ".join(MEASURES[measure].label(report.lang) for measure in same)
            note.append(report.t("table_same", base=report.quoted[report.base], measures=names))
        tables.append(Table(caption, columns, [("", body)], joined(*note)))
    return tables


def _figure(report: Report, differences: pd.DataFrame, write: Write) -> Figure | None:
    """Draw the headline differences over the months."""
    data = plots.differences_data(differences)
    if data.empty:
        return None
    bodies = []
    for (measure, scenario), rows in data.groupby(["measure", "scenario"], sort=False):
        heading = f"{MEASURES[str(measure)].label(report.lang)}: {report.titles[str(scenario)]}"
        body = [
            (
                report.month(row["month"]),
                *in_two(write(row))[: 1 if report.single else 2],
                plots.points(str(measure), report.lang),
            )
            for row in plots.records(rows[rows["month"].isin(milestones(rows["month"]))])
        ]
        bodies.append((heading, body))
    keys = ("month", "difference", *(() if report.single else ("luck_band",)), "unit")
    caption = report.t("differences_caption", base=report.quoted[report.base])
    return write_figure(
        report,
        "differences",
        plots.differences_figure(data, report.lang, report.titles),
        plots.differences_alt(data, report.lang, report.titles),
        data,
        joined(caption, "" if report.single else report.t("band_long")),
        Table(report.t("numbers_behind"), [report.t(key) for key in keys], bodies, _mark_note(report)),
    )


def _groups(report: Report, differences: pd.DataFrame, write: Write) -> Figure | None:
    """Draw the headline differences in every group at the end."""
    data = plots.forest_data(differences)
    if data.empty:
        return None
    measures = list(dict.fromkeys(data["measure"]))
    months = data.groupby("measure")["month"].first()
    several = len(report.others) > 1
    bodies = []
    for (scenario, group_by), rows in data.groupby(["scenario", "group_by"], sort=False):
        cells = {(row["group"], row["measure"]): write(row) for row in plots.records(rows)}
        body = [
            [
                plots.group_label(str(group_by), group, report.lang, several),
                *(cells.get((group, measure), "–") for measure in measures),
            ]
            for group in dict.fromkeys(rows["group"])
        ]
        heading = report.t(f"by_{group_by}") if group_by != "all" else ""
        words = [report.titles[str(scenario)]] if several else []
        bodies.append((": ".join([*words, *([heading] if heading else [])]), body))
    columns = [
        report.t("group"),
        *(
            f"{MEASURES[m].label(report.lang)}, {report.month(months[m])} ({plots.points(m, report.lang)})"
            for m in measures
        ),
    ]
    caption = report.t("table_groups", base=report.quoted[report.base], scenario=report.named(report.others))
    return write_figure(
        report,
        "forest",
        plots.forest_figure(data, report.lang, report.titles),
        plots.forest_alt(data, report.lang, report.titles),
        data,
        report.t("groups_caption", base=report.quoted[report.base]),
        Table(caption, columns, bodies, _mark_note(report)),
        open=True,
    )

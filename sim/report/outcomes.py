"""The levels: every measure, what the residents do month by month, and the paths of the cohorts."""

from __future__ import annotations

import math

import pandas as pd

from .. import plots
from ..headline import last_months, one_view
from ..locale import percent
from ..measures import MEASURES
from .folder import Report
from .parts import Cell, Figure, Table, in_two, joined, milestones, write_figure
from .words import between, measure_cell, usual_population


def levels(report: Report) -> Table | None:
    """Return the levels: the months of one scenario, or the end of all."""
    if report.outcomes is None:
        return None
    frame = report.outcomes[report.outcomes["group_by"] == "all"]
    if report.compares:
        frame = last_months(frame).assign(column=lambda rows: rows["scenario"])
        columns = {id: f"{title}, {report.month(frame['month'].max())}" for id, title in report.titles.items()}
    else:
        frame = frame.assign(column=frame["month"])
        columns = {month: report.month(month) for month in milestones(frame["month"])}
    usual = usual_population(frame, report.lang)
    body = []
    for measure, rows in frame.groupby("measure", sort=False):
        unit = MEASURES[str(measure)].unit
        cells: dict[str, Cell] = {
            row["column"]: (
                plots.amount(row["mean"], unit, report.lang),
                "" if report.single else between(report, row["p5"], row["p95"], unit),
            )
            for row in plots.records(rows)
            if not math.isnan(row["mean"])
        }
        cell = measure_cell(str(measure), usual, report.lang)
        if report.compares and rows["month"].max() < frame["month"].max():
            name, below = in_two(cell)
            cell = name, joined(below, report.month(rows["month"].max()))
        body.append([cell, *(cells.get(column, "–") for column in columns)])
    band = "" if report.single else report.t("table_levels_band")
    note = joined(report.t("table_levels_note"), band, report.t("usual", population=usual))
    return Table(report.t("table_levels"), [report.t("measure"), *columns.values()], [("", body)], note)


def states(report: Report) -> Figure | None:
    """Draw what the residents do, month by month."""
    columns = ["scenario", "view", "month", "group_by", "measure", "value"]
    frame = report.read(
        "outcomes.parquet",
        columns,
        lambda path: pd.read_parquet(path, columns=columns, filters=[("group_by", "==", "all")]),
    )
    if frame is None:
        return None
    data = plots.states_data(one_view(frame))
    shown = data.assign(share=(100 * data["share"]).round(1)).groupby(["month", "part"])["share"]
    same = report.compares and bool((shown.nunique() == 1).all())
    if same:
        data = data[data["scenario"] == report.base]
    parts = list(dict.fromkeys(data["part"]))
    bodies = []
    for scenario, rows in data.groupby("scenario", sort=False):
        wide = rows.pivot(index="month", columns="part", values="share")[parts]
        months = sorted({wide.index.min(), *milestones(wide.index)})
        body = [[report.month(month), *(percent(share, report.lang) for share in wide.loc[month])] for month in months]
        bodies.append((report.titles[str(scenario)], body))
    names = [plots.part_label(part, report.lang) for part in parts]
    return write_figure(
        report,
        "states",
        plots.states_figure(data, report.lang, report.titles),
        plots.states_alt(data, report.lang, report.titles),
        data,
        joined(report.t("states_caption"), report.t("states_same", base=report.quoted[report.base]) if same else ""),
        Table(report.t("numbers_behind"), [report.t("month"), *names], bodies),
    )


def paths(report: Report) -> list[Figure]:
    """Draw the cohorts' paths: the base's, and those of scenarios that differ from it."""
    if report.flows is None:
        return []
    data = plots.flows_data(report.flows)
    steps = ["cohort", "group_0", "group_1", "group_2"]
    shares = {
        str(id): rows.set_index(steps)["share"].mul(100).round(1) for id, rows in data.groupby("scenario", sort=False)
    }
    base = report.base if report.base in shares else next(iter(shares))
    differ = [id for id in shares if id != base and (shares[id].sub(shares[base], fill_value=0) != 0).any()]
    alike = [id for id in shares if id != base and id not in differ]
    figures = []
    for id in [base, *differ]:
        rows = data[data["scenario"] == id]
        words = [f"{report.quoted[id]}." if differ else "", report.t("paths_caption")]
        if id == base and alike:
            words.append(report.t("paths_same", scenario=report.named(alike)))
        figures.append(
            write_figure(
                report,
                "flows" if id == base else f"flows-{id}",
                plots.flows_figure(rows, report.lang),
                plots.flows_alt(rows, report.lang),
                rows,
                joined(*words),
                _paths_table(report, rows),
            )
        )
    return figures


def _paths_table(report: Report, rows: pd.DataFrame) -> Table:
    bodies = []
    months: list[str] = []
    for cohort, mine in rows.groupby("cohort", sort=False):
        months = [mine[f"month_{step}"].iloc[0] for step in range(3)]
        shares = [mine.groupby(f"group_{step}")["share"].sum() for step in range(3)]
        present = [group for group in plots.GROUPS if any(group in of.index for of in shares)]
        body = [
            [report.t(f"path_{group}"), *(percent(float(of.get(group, 0.0)), report.lang) for of in shares)]
            for group in present
        ]
        bodies.append((report.t(f"group_cohort_{cohort}"), body))
    columns = [report.t("group"), *(report.month(month) for month in months)]
    return Table(report.t("numbers_behind"), columns, bodies)

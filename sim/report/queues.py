"""Places and queue: how many were referred, began, completed and left, and how many places were in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pandas as pd

from .. import plots
from ..headline import last_months
from ..locale import number, text
from .folder import COURSE, EVERY_STEP, RUN, STEPS, Report
from .parts import AT_A_GLANCE, Figure, Table, joined, milestones, write_figure

_FULL: Final = 0.9
"""Share of the places in use below which the places are not what holds an activity back."""


@dataclass(frozen=True)
class Queues:
    """The section on places and queue."""

    funnel: Figure
    months: Figure
    occupancy: list[str]
    courses: Table
    never_served: list[str]


def occupancy(queues: pd.DataFrame) -> pd.DataFrame:
    """Return, by scenario and activity item, the mean over the months with places, and ``left``: waiting at the end.

    The mean is of ``places``, ``enrolled`` and ``waiting``; all three are 0 where there were never any places.
    """
    months = queues[queues["places"] > 0].groupby(COURSE, sort=False)[["places", "enrolled", "waiting"]].mean()
    left = course_totals(queues)["waiting"].rename("left")
    return months.reindex(left.index, fill_value=0.0).join(left).reset_index()


def occupancy_words(row: plots.Row, lang: str, activity: str, scenario: str) -> str:
    """Say of one row of ``occupancy`` how many places were in use, and whether it is places that are short."""
    if not row["places"]:
        return text("report.occupancy_none", lang, activity=activity, scenario=scenario)
    filled, places = number(row["enrolled"], lang, 1), number(row["places"], lang)
    said = text("report.occupancy", lang, activity=activity, scenario=scenario, filled=filled, places=places)
    idle = row["enrolled"] < _FULL * row["places"] and row["waiting"] < 1
    return f"{said} {text('report.occupancy_idle', lang)}" if idle else said


def course_totals(queues: pd.DataFrame) -> pd.DataFrame:
    """Return the mean flows over the whole run and the stocks at its end, by scenario and activity item."""
    how = {step: "last" if step in ("waiting", "enrolled") else "sum" for step in EVERY_STEP}
    runs = queues.sort_values("month", kind="stable").groupby(RUN, sort=False).agg(how)
    return runs.groupby(COURSE, sort=False).mean()


def section(report: Report) -> Queues | None:
    """Return the section on places and queue."""
    if report.queues is None:
        return None
    drawn = _most_used(report.queues)
    every, shown = (len(frame[COURSE].drop_duplicates()) for frame in (report.queues, drawn))
    left_out = report.t("queues_left_out", shown=shown, every=every) if shown < every else ""
    return Queues(
        _funnel(report, drawn, left_out),
        _months(report, drawn, left_out),
        [
            occupancy_words(row, report.lang, report.activities[row["activity"]], report.quoted[row["scenario"]])
            for row in plots.records(occupancy(report.queues))
        ],
        _courses(report, report.queues),
        _never_served(report, report.queues),
    )


def _most_used(queues: pd.DataFrame) -> pd.DataFrame:
    """Return the queues that are drawn: of many courses those with the most participants."""
    started = queues.groupby(COURSE, sort=False)["started"].sum()
    if len(started) <= AT_A_GLANCE:
        return queues
    most = started.nlargest(AT_A_GLANCE).index
    return queues[pd.MultiIndex.from_frame(queues[COURSE]).isin(most)]


def _months(report: Report, drawn: pd.DataFrame, left_out: str) -> Figure:
    """Draw places, enrolled and waiting over the months."""
    data = plots.queues_data(drawn)
    stocks = ("places", "enrolled", "waiting")
    bodies = []
    for (scenario, activity), rows in data.groupby(COURSE, sort=False):
        kept = rows[rows["month"].isin(milestones(rows["month"]))]
        body = [
            [report.month(row["month"]), *(number(row[name], report.lang, 1) for name in stocks)]
            for row in plots.records(kept)
        ]
        bodies.append((f"{report.activities[str(activity)]} ({report.titles[str(scenario)]})", body))
    columns = [report.t("month"), *(report.t(f"queue_{name}") for name in stocks)]
    return write_figure(
        report,
        "queues",
        plots.queues_figure(data, report.lang, report.titles, report.activities),
        plots.queues_alt(data, report.lang, report.titles, report.activities),
        data,
        joined(report.t("queues_caption"), left_out),
        Table(report.t("numbers_behind"), columns, bodies),
    )


def _funnel(report: Report, drawn: pd.DataFrame, left_out: str) -> Figure:
    """Draw the way from referral to completion."""
    data = plots.funnel_data(drawn)
    bodies = []
    for (scenario, activity), rows in data.groupby(COURSE, sort=False):
        body = []
        for row in plots.records(rows):
            limits = report.t("to", low=number(row["low"], report.lang), high=number(row["high"], report.lang))
            cells = [report.t(f"funnel_{row['step']}"), number(row["mean"], report.lang, 1)]
            body.append(cells if report.single else [*cells, limits])
        bodies.append((f"{report.activities[str(activity)]} ({report.titles[str(scenario)]})", body))
    columns = ["funnel_step", "funnel_mean", *([] if report.single else ["observed_spread"])]
    line = "" if report.single else report.t("funnel_line")
    return write_figure(
        report,
        "funnel",
        plots.funnel_figure(data, report.lang, report.titles, report.activities),
        plots.funnel_alt(data, report.lang, report.titles, report.activities),
        data,
        joined(report.t("funnel_caption"), line, report.t("funnel_open"), left_out),
        Table(report.t("numbers_behind"), [report.t(key) for key in columns], bodies),
    )


def _courses(report: Report, queues: pd.DataFrame) -> Table:
    """Return how many were referred, began, completed and left, over the whole run."""
    totals = course_totals(queues)
    courses = [(str(scenario), str(activity)) for scenario, activity in totals.index]
    names = [f"{report.activities[activity]}: {report.titles[scenario]}" for scenario, activity in courses]
    if len(courses) > AT_A_GLANCE:
        rows = [[number(mean, report.lang, 1) for mean in totals.loc[course, EVERY_STEP]] for course in totals.index]
        body = [[name, *row] for name, row in zip(names, rows, strict=True)]
        columns = [report.t("grounds_activity"), *(report.t(f"course_{step}") for step in EVERY_STEP)]
        return Table(report.t("table_queues"), columns, [("", body)])
    bodies = [
        (
            report.t(heading),
            [[report.t(f"course_{step}"), *(number(mean, report.lang, 1) for mean in totals[step])] for step in steps],
        )
        for heading, steps in STEPS.items()
    ]
    columns = [report.t("course_step"), *names]
    return Table(report.t("table_queues"), columns, bodies, report.t("table_queues_note"))


def _never_served(report: Report, queues: pd.DataFrame) -> list[str]:
    """Say how many referred people never had a place."""
    if report.outcomes is None:
        return []
    rows = last_months(report.outcomes[report.outcomes["group_by"] == "all"])
    rows = rows[(rows["measure"] == "never_served") & rows["scenario"].isin(set(queues["scenario"]))]
    return [
        report.t(
            "never_served_single" if report.single else "never_served",
            scenario=report.quoted[row["scenario"]],
            persons=number(row["mean"], report.lang, 1),
            low=number(row["p5"], report.lang, 1),
            high=number(row["p95"], report.lang, 1),
        )
        for row in plots.records(rows)
    ]

"""Who lives in the area: at the start by age, sex and origin, against the sources, and how the area changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .. import plots
from ..locale import number, percent
from ..measures import MEASURES
from .folder import Report
from .parts import Cell, Figure, Table, write_figure


@dataclass(frozen=True)
class People:
    """The section on the residents at the start."""

    pyramid: Figure | None
    met: str
    """How many of the published marginals are met as well as can be expected."""
    population: Figure | None


def section(report: Report) -> People | None:
    """Return the section on the residents at the start."""
    pyramid, (met, population) = _pyramid(report), _population(report)
    return People(pyramid, met, population) if pyramid or population else None


def _pyramid(report: Report) -> Figure | None:
    """Draw the residents at the start by age, sex and origin."""
    frame = report.csv("pyramid.csv", "age_group", "sex", "origin", "persons")
    if frame is None:
        return None
    data = plots.pyramid_data(frame)
    groups = list(dict.fromkeys(zip(data["sex"], data["origin"], strict=True)))
    body: list[Sequence[Cell]] = [
        [str(band).replace("-", "–"), *(number(persons, report.lang) for persons in rows["persons"])]
        for band, rows in data.groupby("age_group", sort=False)
    ]
    names = [
        ", ".join(plots.group_label(by, key, report.lang) for by, key in zip(("sex", "origin"), group, strict=True))
        for group in groups
    ]
    return write_figure(
        report,
        "pyramid",
        plots.pyramid_figure(data, report.lang),
        plots.pyramid_alt(data, report.lang),
        data,
        report.t("pyramid_caption"),
        Table(report.t("numbers_behind"), [report.t("age_heading"), *names], [("", body)]),
    )


def _population(report: Report) -> tuple[str, Figure | None]:
    """Count the published marginals that are met, and draw them against those of the residents at the start."""
    frame = report.csv("population.csv", "target", "published", "made", "expected_error")
    if frame is None:
        return "", None
    data = plots.population_data(frame)
    bodies = []
    for ages, rows in data.groupby("ages", sort=False):
        body = [
            [
                plots.target_label(row["target"], report.lang),
                percent(row["published"], report.lang),
                percent(row["made"], report.lang),
                plots.change(row["made"] - row["published"], "share", report.lang),
                plots.change(row["expected_error"], "share", report.lang, sign=False),
            ]
            for row in plots.records(rows)
        ]
        bodies.append((plots.ages_heading(str(ages), report.lang), body))
    columns = ("observed_target", "published", "made", "observed_miss", "population_error")
    figure = write_figure(
        report,
        "population",
        plots.population_figure(data, report.lang),
        plots.population_alt(data, report.lang),
        data,
        report.t("population_caption"),
        Table(report.t("numbers_behind"), [report.t(key) for key in columns], bodies),
    )
    return report.t("population_sentence", targets=len(data), within=int(data["within"].sum())), figure


def area(report: Report) -> Table | None:
    """Return how the area's shares changed and why, at the last month; None where nobody moves in."""
    frame = report.csv("area_change.csv", "scenario", "month", "measure", "total", "stayers", "leavers", "newcomers")
    if frame is None or not frame["newcomers"].any():
        return None
    parts = ("total", "stayers", "leavers", "newcomers")
    last = frame[frame["month"] == frame["month"].max()]
    bodies = []
    for scenario, rows in last.groupby("scenario", sort=False):
        means = rows.groupby("measure", sort=False)[list(parts)].mean()
        body = [
            [
                MEASURES[str(key)].label(report.lang),
                *(plots.change(row[part], "share", report.lang) for part in parts),
            ]
            for key, row in means.iterrows()
        ]
        bodies.append((report.titles[str(scenario)] if report.compares else "", body))
    caption = report.t("table_area", month=report.month(frame["month"].max()))
    columns = [report.t("measure"), *(report.t(f"area_{part}") for part in parts)]
    return Table(caption, columns, bodies, report.t("table_area_note"))

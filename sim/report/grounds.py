"""What the result rests on: which activities change which transitions, on whom they acted, and who waited."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from .. import plots
from ..changes import digits, size_words, source_words
from ..grounds import Change, Effect, Item, items, reached, room, waiting
from ..locale import number, percent
from ..scenario import month_number, month_text
from .folder import COURSE, Report
from .parts import AT_A_GLANCE, Cell, Table, joined

ByItem = Mapping[tuple[str, str], plots.Row]
"""Rows by scenario and activity item."""


@dataclass(frozen=True)
class Grounds:
    """The section on what the activities change."""

    words: list[str]
    overview: Table
    effects: Table | None
    open: bool
    """Whether the effects are few enough to stand open on the page."""


def section(report: Report) -> Grounds | None:
    """Return the section on what the activities change, those that change something first."""
    found = [] if report.assumptions is None else items(report.scenarios, report.assumptions)
    if not found:
        return None
    found = sorted(found, key=lambda item: not item.acting)
    acted: ByItem = {} if report.queues is None else _by_item(reached(report.queues))
    words = [*_evidence_words(report, found), *_rooms_words(report, found, acted)]
    return Grounds(words, _overview(report, found, acted), _effects(report, found), len(found) <= AT_A_GLANCE)


def _by_item(frame: pd.DataFrame) -> ByItem:
    """Return the rows of a table whose index is scenario and item."""
    return dict(zip(frame.index, plots.records(frame), strict=True))


def _evidence_words(report: Report, found: Sequence[Item]) -> Iterator[str]:
    """Say for every scenario how many of its activities change something, and with what kind of evidence."""
    for scenario in dict.fromkeys(item.scenario for item in found):
        mine = [item for item in found if item.scenario == scenario]
        grades = Counter("measured" if item.grade in "AB" else "assumed" for item in mine if item.grade)
        counts = {key: number(grades[key], report.lang) for key in ("measured", "assumed")}
        idle = number(len(mine) - grades.total(), report.lang)
        words = {"scenario": report.quoted[scenario], "items": number(len(mine), report.lang), "idle": idle}
        holding = sum(item.type.occupies for item in mine)
        held = report.t("grounds_holding", holding=number(holding, report.lang)) if holding else ""
        yield joined(report.t("grounds_words", **words, **counts), held)


def _rooms_words(report: Report, found: Sequence[Item], acted: ByItem) -> Iterator[str]:
    """Say how many people the places of each course with a caseload can take in, and how many began."""
    scenarios = {one["id"]: one for one in report.scenarios}
    for item in found:
        scenario = scenarios[item.scenario]
        horizon, counted = scenario["horizon"], acted.get((item.scenario, item.id))
        last = month_text(month_number(horizon["start"]) + horizon["months"])
        for plan in scenario["activities"]:
            space = room(plan, last) if plan["id"] == item.id else None
            if space is not None and counted is not None:
                yield _room_words(report, item, plan, space, counted)


def _room_words(
    report: Report, item: Item, plan: Mapping[str, Any], space: tuple[float, int, float], counted: plots.Row
) -> str:
    mean, months, most = space
    return report.t(
        "grounds_room",
        activity=report.activities[item.id],
        scenario=report.quoted[item.scenario],
        places=number(plan["places"], report.lang),
        mean=number(mean, report.lang, 1),
        months=number(months, report.lang),
        most=number(most, report.lang),
        started=number(counted["started"], report.lang, 1),
    )


# --- one row an activity item ---------------------------------------------------------------------------------


def _overview(report: Report, found: Sequence[Item], acted: ByItem) -> Table:
    """Return one row an activity item: whom it acted on, what it rests on, and how long people waited."""
    columns = [*COURSE, "queued", "enrolled"]
    frame = report.read("participants.parquet", columns, lambda path: pd.read_parquet(path, columns=columns))
    waited: ByItem = {} if frame is None else _by_item(waiting(frame))
    bodies = [
        (
            report.titles[scenario],
            [_item_row(report, item, acted, waited) for item in found if item.scenario == scenario],
        )
        for scenario in dict.fromkeys(item.scenario for item in found)
    ]
    keys = ("acting", "grade", "persons", "wait_mean", "wait_longest", "wait_never")
    names = [report.t("grounds_activity"), *(report.t(f"grounds_{key}") for key in keys)]
    return Table(report.t("grounds_overview"), names, bodies, report.t("grounds_overview_note"))


def _item_row(report: Report, item: Item, acted: ByItem, waited: ByItem) -> Sequence[Cell]:
    fared = waited.get((item.scenario, item.id))
    waits = ["–"] * 3
    if fared is not None:
        waits = [number(fared["mean"], report.lang, 1), number(fared["longest"], report.lang)]
        waits.append(percent(fared["never"], report.lang, 0))
    acting = report.t("grounds_of", acting=len(item.acting), all=len(item.changes))
    held: Cell = (acting, report.t("grounds_held")) if item.type.occupies else acting
    persons = _persons(report, item, acted.get((item.scenario, item.id)))
    return [report.activities[item.id], held, item.grade or "–", persons, *waits]


def _persons(report: Report, item: Item, counted: plots.Row | None) -> Cell:
    """Say on how many persons an item acted in a run."""
    if counted is None:
        return "–"
    if item.type.raises_reach_of and not counted["covered"]:
        return "–", report.t("grounds_through")
    met = number(counted["contacted"], report.lang, 1)
    of = "covered" if item.type.kind == "lever" or item.type.acts_on == "partner" else "started"
    persons = number(counted[of], report.lang, 1)
    return (persons, report.t("grounds_met", met=met)) if counted["contacted"] else persons


# --- one row an effect ----------------------------------------------------------------------------------------


def _effects(report: Report, found: Sequence[Item]) -> Table | None:
    """Return one row an effect of every activity item; those that are nil together in one."""
    bodies = [(_heading(report, item), _effect_rows(report, item)) for item in found if item.changes]
    if not bodies:
        return None
    columns = [report.t(f"grounds_{key}") for key in ("change", "during", "after", "grade", "source")]
    return Table(report.t("grounds_table"), columns, bodies, report.t("grounds_table_note"), words=True)


def _heading(report: Report, item: Item) -> str:
    heading = f"{report.activities[item.id]} ({report.titles[item.scenario]})"
    if item.strength == 1:
        return heading
    return f"{heading}. {report.t('grounds_strength', strength=percent(item.strength, report.lang, 0))}"


def _effect_rows(report: Report, item: Item) -> list[Sequence[Cell]]:
    rows = [_change_row(report, item, change) for change in item.acting]
    if item.idle:
        rows.append(_idle_row(report, item))
    return rows


def _change_row(report: Report, item: Item, change: Change) -> Sequence[Cell]:
    cells = [_effect_cell(effect, report.lang) for effect in (change.during, change.after)]
    return [change.line.words(item.type, report.lang), *cells, *_card_cells(change.effects, report.lang)]


def _effect_cell(effect: Effect | None, lang: str) -> Cell:
    if effect is None:
        return "–"
    return size_words(effect.value, effect.low, effect.high, effect.unit, lang)


def _card_cells(effects: Sequence[Effect], lang: str) -> list[Cell]:
    """Return the grades and the sources of numbers, each once."""
    grades = " / ".join(sorted({effect.grade for effect in effects}))
    return [grades, source_words([id for effect in effects for id in effect.sources], lang)]


def _idle_row(report: Report, item: Item) -> Sequence[Cell]:
    """Gather the effects of an item that are nil, with the widest of their ranges as hazard ratios."""
    effects = [effect for change in item.idle for effect in change.effects]
    ratios = [effect for effect in effects if effect.unit == "log_hazard_ratio"]
    limits = ""
    if ratios:
        low, high = min(effect.low for effect in ratios), max(effect.high for effect in ratios)
        words = report.t("to", low=digits(math.exp(low), report.lang), high=digits(math.exp(high), report.lang))
        limits = report.t("grounds_range", range=words)
    names = "; ".join(change.line.words(item.type, report.lang) for change in item.idle)
    nil = (report.t("grounds_zero"), limits)
    return [(report.t("grounds_idle"), names), nil, "–", *_card_cells(effects, report.lang)]

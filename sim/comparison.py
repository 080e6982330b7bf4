"""Paired comparison: the same residents with the same luck, once with and once without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from .activities.base import EVENTS
from .collect import Life
from .errors import Problem, ResultError
from .headline import pooled
from .measures import MEASURES
from .results import Result
from .runs import KEYS, Runs
from .scenario import Scenario
from .variance import INTERVALS

if TYPE_CHECKING:
    from .activities.programme import Course


def differences(outcomes: pd.DataFrame, against: str, months: list[str]) -> pd.DataFrame:
    """Return paired differences of every scenario to ``against`` in ``months``, of each structure and of all pooled.

    The estimate is the mean over draws and replicates of scenario minus base, run by run. ``se`` is its computing
    error; ``low`` and ``high`` are 95 % limits of what ``interval`` names: ``luck`` what one area may meet, and with
    several draws ``parameters`` what the parameters leave open and ``both`` the two together (``variance.crossed``; for
    persons, whose luck is skewed, ``variance.percentiles``). ``p_above_zero`` is the share of runs above zero, ties
    half. Replicates in which a group is empty, in any draw, are left out and not counted.
    """
    runs = Runs(outcomes[outcomes["month"].isin(months)])
    base = runs.of(against)
    parts = []
    for scenario in [s for s in outcomes["scenario"].unique() if s != against]:
        found = runs.analysed(runs.of(scenario) - base).assign(scenario=scenario, against=against)
        of = {
            name: (found if name == "luck" else found[found["draws"] > 1]).assign(
                low=found[f"low_{name}"], high=found[f"high_{name}"], interval=name
            )
            for name in INTERVALS
            if f"low_{name}" in found
        }
        parts.append(pd.concat(of.values()).sort_index(kind="stable"))
    return pd.concat(parts, ignore_index=True)[_COLUMNS]


_COLUMNS = ["scenario", "against", *KEYS, "estimate", "se", "low", "high", "interval", "p_above_zero"]
_COLUMNS += ["replicates", "draws", "structure"]


def headlines(result: Result) -> pd.DataFrame:
    """Return a row a scenario, measure and interval for everybody: base, scenario and difference, last month reported.

    Measures known only in December are taken at the last December. Several structures are told pooled.
    """
    table = pooled(result.table("differences", group_by="all"))
    summary = pooled(result.table("summary", group_by="all")).set_index(["scenario", "measure", "month"])["mean"]
    rows: list[dict[str, Any]] = []
    for (scenario, measure, _), found in table.groupby(["scenario", "measure", "interval"], sort=False):
        last = found.sort_values("month").iloc[-1]
        rows.append(
            {
                **{str(name): value for name, value in last.items()},
                "base": summary.get((last["against"], measure, last["month"]), np.nan),
                "mean": summary.get((scenario, measure, last["month"]), np.nan),
            }
        )
    ranks = [list(table["scenario"].unique()), list(MEASURES), list(INTERVALS)]
    names = ("scenario", "measure", "interval")
    rows.sort(key=lambda row: [rank.index(row[name]) for rank, name in zip(ranks, names, strict=True)])
    return pd.DataFrame(rows)


class Shared(NamedTuple):
    """The people of two scenarios under one numbering: those of the start, and newcomers of either by their ids.

    ``rows`` holds each scenario's number of every row; ``block`` the replicate of every number; ``both`` whether the
    person exists in both scenarios.
    """

    rows: tuple[np.ndarray, np.ndarray]
    block: np.ndarray
    both: np.ndarray

    @classmethod
    def of(cls, base: Life, other: Life) -> Shared:
        """Number the people of two scenarios."""
        names = [life.model.stream.persons for life in (base, other)]
        everybody, numbers = np.unique(np.concatenate(names), return_inverse=True)
        rows = (numbers[: len(names[0])], numbers[len(names[0]) :])
        counts = np.bincount(numbers, minlength=len(everybody))
        return cls(rows, everybody % len(base.model.stream.replicates), counts == 2)


def _course_rows(life: Life, number: np.ndarray) -> dict[str, np.ndarray]:
    """Return, by item id, one (person, month, event) record for everything that happened in it."""
    found = {}
    for course in life.model.courses:
        parts = [
            np.column_stack([number[rows], np.full(len(rows), month), np.full(len(rows), EVENTS.index(event))])
            for event, month, rows in course.events()
        ]
        found[course.plan.id] = np.concatenate(parts) if parts else np.empty((0, 3), dtype=np.int64)
    return found


def _said_of(course: Course, life: Life) -> object:
    """Return everything a scenario says of an item: its own settings, and the closures that concern it."""
    return course.plan, [closure for closure in life.model.plan.closures if closure.concerns(course.plan.id)]


def touched_people(base: Life, other: Life, shared: Shared) -> np.ndarray:
    """Return which people the difference between two scenarios could reach, by mechanism, never by outcome.

    Everybody in the records of an item that differs between the scenarios (in its numbers or in closures); of an item
    that is the same in both, those whose records differ, or everybody when participants change each other; whoever a
    user's own ``step`` moved; who exists in one scenario only; and, because a household leaves with its head and
    makes room for the next, the households of touched heads and all later ones of their dwellings. Usual activation
    in one of them only touches everybody.
    """
    touched = ~shared.both
    if base.model.plan.usual_activation != other.model.plan.usual_activation:
        return np.ones_like(touched)
    for life, number in zip((base, other), shared.rows, strict=True):
        touched[number[life.model.population.touched]] = True
    here, there = (_course_rows(life, number) for life, number in zip((base, other), shared.rows, strict=True))
    plans = [{course.plan.id: _said_of(course, life) for course in life.model.courses} for life in (base, other)]
    together = {course.plan.id for course in base.model.courses if course.participants_matter_to_each_other}
    none = np.empty((0, 3), dtype=np.int64)
    for item in here.keys() | there.keys():
        mine, yours = here.get(item, none), there.get(item, none)
        records = np.concatenate([mine, yours])
        if plans[0].get(item) == plans[1].get(item):
            unique, count = np.unique(records, axis=0, return_counts=True)
            differing = unique[count == 1]
            records = records if item in together and len(differing) else differing
        touched[records[:, 0].astype(np.int64)] = True
    for life, number in zip((base, other), shared.rows, strict=True):
        people, stream = life.model.population, life.model.stream
        heads = np.flatnonzero(touched[number] & (people.head == np.arange(len(people))))
        dwelling = people.dwelling.astype(np.int64) * len(stream.replicates) + stream.block
        since = np.full(int(dwelling.max(initial=0)) + 1, np.iinfo(np.int64).max)
        np.minimum.at(since, dwelling[heads], people.occupant[heads].astype(np.int64))
        touched[number[people.occupant >= since[dwelling]]] = True
    return touched


NOT_COMPARED = frozenset({"touched", "head"})
"""Columns that are no part of a life: the mark itself, and a row number (the id of the head is fixed by one's own)."""


def pairing(base: Life, other: Life, replicates: range) -> pd.DataFrame:
    """Check that residents the scenario does not touch have identical lives, every column and every ledger row."""
    shared = Shared.of(base, other)
    touched = touched_people(base, other, shared)
    differs = ~shared.both
    row_of = [np.full(len(differs), -1) for _ in shared.rows]
    for found, number in zip(row_of, shared.rows, strict=True):
        found[number] = np.arange(len(number))
    common = np.flatnonzero(shared.both)
    mine, yours = (found[common] for found in row_of)
    for name in base.model.population.names:
        if name not in NOT_COMPARED:
            column, its = (getattr(life.model.population, name) for life in (base, other))
            differs[common[column[mine] != its[yours]]] = True
    differs[_in_one_only(base.ledger, other.ledger, shared)] = True
    blocks = len(replicates)

    def count(who: np.ndarray) -> np.ndarray:
        return np.bincount(shared.block[who], minlength=blocks)

    return pd.DataFrame(
        {
            "scenario": other.model.plan.id,
            "against": base.model.plan.id,
            "draw": other.draw,
            "replicate": list(replicates),
            "touched": count(touched),
            "untouched": count(~touched),
            "untouched_identical": count(differs & ~touched) == 0,
        }
    )


def _in_one_only(mine: np.ndarray, yours: np.ndarray, shared: Shared) -> np.ndarray:
    """Return the people with a ledger entry that stands in one of two ledgers only."""
    packed = []
    for ledger, number in zip((mine, yours), shared.rows, strict=True):
        key = number[ledger["row"]].astype(np.int64)
        for field, bits in (("month", 16), ("kind", 2), ("before", 5), ("after", 5)):
            key = (key << bits) | ledger[field]
        packed.append(key)
    return np.setxor1d(packed[0], packed[1]) >> 28


def check_shared(scenarios: Sequence[Scenario], against: Scenario) -> None:
    """Raise ``ResultError`` naming what the scenarios must share with their base and do not."""
    problems = []
    ids = [against.id]
    for scenario in scenarios:
        if scenario.id in ids:
            problems.append(Problem("same_id", place=scenario.file, key="id", values={"id": scenario.id}))
        ids.append(scenario.id)
        for key, mine, base in (
            ("population.recipe", scenario.recipe, against.recipe),
            ("population.residents", scenario.residents, against.residents),
            ("horizon.start", scenario.start, against.start),
            ("horizon.months", scenario.months, against.months),
            ("parameters", scenario.parameters, against.parameters),
        ):
            if mine != base:
                problems.append(
                    Problem("different_shared", place=scenario.file, key=key, values={"key": key, "a": mine, "b": base})
                )
    if problems:
        raise ResultError(problems)

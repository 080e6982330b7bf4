"""Paired comparison: the same residents with the same luck, once with and once without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .activities.base import EVENTS
from .collect import Life
from .errors import Problem, ResultError
from .measures import MEASURES
from .results import Result, spread_limits
from .scenario import Scenario

KEYS = ["view", "measure", "month", "group_by", "group"]


def differences(outcomes: pd.DataFrame, against: str, months: list[str]) -> pd.DataFrame:
    """Return paired differences of every scenario to ``against`` in ``months``.

    The estimate is the mean over replicates of scenario minus base, replicate by replicate. ``se`` is its computing
    error; ``low`` and ``high`` hold 95 % of areas, luck alone (``interval`` = luck): a normal prediction interval for
    shares and months, percentiles over replicates for persons, whose luck is skewed; ``p_above_zero`` is the share of
    replicates above zero, ties half. Replicates in which a group is empty are left out and not counted.
    """
    kept = outcomes[outcomes["month"].isin(months)]
    index = ["draw", "replicate", *KEYS]
    base = kept[kept["scenario"] == against].set_index(index)["value"]
    parts = []
    for scenario in [s for s in kept["scenario"].unique() if s != against]:
        mine = kept[kept["scenario"] == scenario]
        pair = mine.set_index(index)["value"].sub(base).dropna().rename("d").reset_index()
        pair["above"] = np.where(pair["d"] > 0, 1.0, np.where(pair["d"] == 0, 0.5, 0.0))
        table = (
            pair.groupby(KEYS, sort=False, observed=True)
            .agg(
                estimate=("d", "mean"),
                sd=("d", "std"),
                p_above_zero=("above", "mean"),
                replicates=("replicate", "nunique"),
                draws=("draw", "nunique"),
            )
            .reset_index()
        )
        n = table["replicates"].to_numpy()
        table["se"] = table["sd"] / np.sqrt(n)
        table["low"], table["high"] = spread_limits(table["estimate"].to_numpy(), table["sd"].to_numpy(), n)
        counted = table["measure"].map(lambda key: MEASURES[key].unit == "persons") & (n > 1)
        persons = pair[pair["measure"].isin(table.loc[counted, "measure"])]
        if len(persons):
            limits = persons.groupby(KEYS, sort=False, observed=True)["d"].quantile(np.array([0.025, 0.975])).unstack()
            table.loc[counted, ["low", "high"]] = limits.reindex(
                pd.MultiIndex.from_frame(table.loc[counted, KEYS])
            ).to_numpy()
        table["scenario"], table["against"], table["interval"] = scenario, against, "luck"
        table["structure"] = mine["structure"].iloc[0]
        parts.append(table)
    columns = [
        "scenario",
        "against",
        *KEYS,
        "estimate",
        "se",
        "low",
        "high",
        "interval",
        "p_above_zero",
        "replicates",
        "draws",
        "structure",
    ]
    return pd.concat(parts, ignore_index=True)[columns]


def headlines(result: Result) -> pd.DataFrame:
    """Return one row a scenario and measure for everybody: base, scenario and difference at the last month reported.

    Measures known only in December are taken at the last December.
    """
    table = result.table("differences", group_by="all")
    summary = result.table("summary", group_by="all").set_index(["scenario", "measure", "month"])["mean"]
    order = list(MEASURES)
    rows: list[dict[str, Any]] = []
    for (scenario, measure), found in table.groupby(["scenario", "measure"], sort=False):
        last = found.sort_values("month").iloc[-1]
        rows.append(
            {
                **{str(name): value for name, value in last.items()},
                "base": summary.get((last["against"], measure, last["month"]), np.nan),
                "mean": summary.get((scenario, measure, last["month"]), np.nan),
            }
        )
    rows.sort(key=lambda row: (list(table["scenario"].unique()).index(row["scenario"]), order.index(row["measure"])))
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


def touched_people(base: Life, other: Life, shared: Shared) -> np.ndarray:
    """Return which people the difference between two scenarios could reach, by mechanism, never by outcome.

    Everybody in the records of an item that differs between the scenarios; of an item that is the same in both, those
    whose records differ; whoever a user's own ``step`` moved; who exists in one scenario only; and, because a household
    leaves with its head and makes room for the next, the households of touched heads and all later ones of their
    dwellings. Usual activation in one of them only touches everybody.
    """
    touched = ~shared.both
    if base.model.plan.usual_activation != other.model.plan.usual_activation:
        return np.ones_like(touched)
    for life, number in zip((base, other), shared.rows, strict=True):
        touched[number[life.model.population.touched]] = True
    here, there = (_course_rows(life, number) for life, number in zip((base, other), shared.rows, strict=True))
    plans = [{course.plan.id: course.plan for course in life.model.courses} for life in (base, other)]
    none = np.empty((0, 3), dtype=np.int64)
    for item in here.keys() | there.keys():
        mine, yours = here.get(item, none), there.get(item, none)
        records = np.concatenate([mine, yours])
        if plans[0].get(item) == plans[1].get(item):
            unique, count = np.unique(records, axis=0, return_counts=True)
            records = unique[count == 1]
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
            "draw": 0,
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

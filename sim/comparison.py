"""Paired comparison: the same residents with the same luck, once with and once without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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


def _course_rows(life: Life) -> dict[str, np.ndarray]:
    """Return, by item id, one (row, month, event) record for everything that happened in it."""
    found = {}
    for course in life.model.courses:
        parts = [
            np.column_stack([rows, np.full(len(rows), month), np.full(len(rows), EVENTS.index(event))])
            for event, month, rows in course.events()
        ]
        found[course.plan.id] = np.concatenate(parts) if parts else np.empty((0, 3), dtype=np.int64)
    return found


def touched_rows(base: Life, other: Life) -> np.ndarray:
    """Return which rows the difference between two scenarios could reach, by mechanism, never by outcome.

    Everybody in the records of an item that differs between the scenarios; of an item that is the same in both, those
    whose records differ; and whoever a user's own ``step`` moved.
    """
    touched = base.model.population.touched | other.model.population.touched
    here, there = _course_rows(base), _course_rows(other)
    plans = [{course.plan.id: course.plan for course in life.model.courses} for life in (base, other)]
    none = np.empty((0, 3), dtype=np.int64)
    for item in here.keys() | there.keys():
        mine, yours = here.get(item, none), there.get(item, none)
        records = np.concatenate([mine, yours])
        if plans[0].get(item) == plans[1].get(item):
            unique, count = np.unique(records, axis=0, return_counts=True)
            records = unique[count == 1]
        touched[records[:, 0].astype(np.int64)] = True
    return touched


def pairing(base: Life, other: Life, replicates: range) -> pd.DataFrame:
    """Check that residents the scenario does not touch have identical lives, every column and every ledger row."""
    touched = touched_rows(base, other)
    size = base.model.stream.residents
    differs = np.zeros(len(touched), dtype=bool)
    for name, mine in vars(base.model.population).items():
        if isinstance(mine, np.ndarray) and name != "touched":
            differs |= mine != getattr(other.model.population, name)
    differs[_in_one_only(base.ledger, other.ledger)] = True
    return pd.DataFrame(
        {
            "scenario": other.model.plan.id,
            "against": base.model.plan.id,
            "draw": 0,
            "replicate": list(replicates),
            "touched": touched.reshape(-1, size).sum(axis=1),
            "untouched": (~touched).reshape(-1, size).sum(axis=1),
            "untouched_identical": ~(differs & ~touched).reshape(-1, size).any(axis=1),
        }
    )


def _in_one_only(mine: np.ndarray, yours: np.ndarray) -> np.ndarray:
    """Return the rows with a ledger entry that stands in one of two ledgers only."""
    packed = []
    for ledger in (mine, yours):
        key = ledger["row"].astype(np.int64)
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

"""Paired comparison: the same residents with the same luck, once with and once without."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .measures import MEASURES
from .results import Result, spread_limits

KEYS = ["view", "measure", "month", "group_by", "group"]


def differences(outcomes: pd.DataFrame, against: str, months: list[str]) -> pd.DataFrame:
    """Return paired differences of every scenario to ``against`` in ``months``.

    The estimate is the mean over replicates of scenario minus base, replicate by replicate. ``se`` is its computing
    error; ``low`` and ``high`` hold 95 % of areas, luck alone (``interval`` = luck); ``p_above_zero`` is the share of
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
                **last.to_dict(),
                "base": summary.get((last["against"], measure, last["month"]), np.nan),
                "mean": summary.get((scenario, measure, last["month"]), np.nan),
            }
        )
    rows.sort(key=lambda row: (list(table["scenario"].unique()).index(row["scenario"]), order.index(row["measure"])))
    return pd.DataFrame(rows)

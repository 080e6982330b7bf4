"""Which differences a report tells, and which of them first.

Nothing here draws or runs anything, so figures, report and the search for decisive assumptions agree on the headline.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from .measures import MEASURES
from .variance import POOLED

LAST_FITTED = "2016-12"
"""The last month with published flows: until then the structures fit equally well, later no data chooses."""
FOR_LEVELS = ("employed", "cash_benefit", "leisure_job_26h")
"""The measures a run of one scenario is told by."""
DECISIVE = 0.1
"""An assumed number is decisive when its range moves the headline by more than this share of its interval's width."""


def one_view(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the residents wherever they live, or the only view there is."""
    views = set(frame["view"].unique())
    return frame[frame["view"] == ("individual" if "individual" in views else min(views))]


def pooled(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows over all structures together, or those of the only structure there is."""
    known = frame["structure"].unique()
    return frame[frame["structure"] == (POOLED if POOLED in known else frame["structure"].iloc[0])]


def luck(differences: pd.DataFrame) -> pd.DataFrame:
    """Keep the differences whose band is what one area may meet by luck, over all structures, in one view."""
    return one_view(pooled(differences[differences["interval"] == "luck"]))


def told_band(differences: pd.DataFrame) -> pd.DataFrame:
    """Keep the differences whose band is what one area may meet, over all structures, in one view.

    That is luck, and with several draws of the parameters luck and parameters together.
    """
    kinds = differences["interval"].unique()
    return one_view(pooled(differences[differences["interval"] == ("both" if "both" in kinds else "luck")]))


def headline_measures(differences: pd.DataFrame, most: int = 4) -> list[str]:
    """Return the measures with the clearest difference at their last month, largest |estimate| / se first.

    Measures equal in all runs are left out, and so is ``never_served``, which tells of the queue and not of
    lives; ``leisure_job_26h`` is kept among the first ``most`` whenever it differs, and stands alone when nothing does.
    """
    rows = differences[(differences["group_by"] == "all") & (differences["measure"] != "never_served")]
    rows = rows[rows["month"] == rows.groupby("measure")["month"].transform("max")]
    differs = rows["estimate"] != 0
    rows = rows[differs if differs.any() else rows["measure"] == "leisure_job_26h"]
    size = rows["estimate"].abs()
    clear = pd.Series(np.divide(size, rows["se"], out=np.full(len(rows), np.inf), where=rows["se"] > 0), rows.index)
    best = clear.where(size > 0, 0.0).groupby(rows["measure"]).max().sort_values(ascending=False, kind="stable")
    chosen = [str(measure) for measure in best.index]
    if "leisure_job_26h" in chosen[most:]:
        chosen.insert(most - 1, "leisure_job_26h")
    return chosen[:most]


def computing_error(se: float, replicates: int) -> float:
    """Return half the 95 % interval of a mean over replicates (Student's t); NaN for a single replicate."""
    from scipy.special import stdtrit

    return float(stdtrit(replicates - 1, 0.975) * se) if replicates > 1 else math.nan


def last_months(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep each measure's last month."""
    return rows[rows["month"] == rows.groupby("measure")["month"].transform("max")]


def told(mine: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the headline measures of one scenario's differences: those told as shown, and those told as hidden.

    A difference is shown when its computing error leaves zero out. Of the others the leisure job is told always, the
    rest only when nothing is shown. What is the same in every run is told as neither.
    """
    last = _last_rows(mine)
    chosen = [measure for measure in headline_measures(mine) if last[measure]["estimate"] or last[measure]["se"]]
    error = {measure: computing_error(last[measure]["se"], last[measure]["replicates"]) for measure in chosen}
    shown = [measure for measure in chosen if abs(last[measure]["estimate"]) > error[measure]]
    return shown, [m for m in chosen if m not in shown and (m == "leisure_job_26h" or not shown)]


def _last_rows(mine: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return the row for everybody in the last month, by measure."""
    rows = last_months(mine[mine["group_by"] == "all"])
    names = [str(name) for name in rows.columns]
    return {row[names.index("measure")]: dict(zip(names, row, strict=True)) for row in rows.itertuples(index=False)}


def first_headline(mine: pd.DataFrame) -> dict[str, Any] | None:
    """Return the row of one scenario's differences that its report tells first.

    None when it tells of no difference: all lives are the same in the measures, or a single replicate has no interval.
    """
    shown, hidden = told(mine)
    if not shown + hidden:
        return None
    row = _last_rows(mine)[(shown + hidden)[0]]
    return row if math.isfinite(row["se"]) and row["high"] > row["low"] else None


def told_uncertainty(uncertainty: pd.DataFrame, measures: Sequence[str]) -> pd.DataFrame:
    """Return what luck and parameters do to ``measures`` at their last month, of each structure and of all pooled.

    It is of the differences where there are any, else of the levels, in one view, in the order of ``measures``.
    """
    rows = one_view(uncertainty)
    rows = rows[rows["of"] == ("difference" if "difference" in rows["of"].unique() else "level")]
    rows = last_months(rows[rows["measure"].isin(measures)])
    order = rows["measure"].map(list(measures).index)
    return rows.loc[order.sort_values(kind="stable").index].reset_index(drop=True)


def apart(uncertainty: pd.DataFrame) -> pd.DataFrame:
    """Return how far the structures are from each other in every share for everybody, the furthest first.

    One row a scenario, ``of`` (level or difference) and measure, at its last month: the ``lowest`` and the ``highest``
    structure, their means over luck and draws (``low``, ``high``), ``gap``, its 95 % ``error`` because there are only
    so many draws of each, and ``gap_fitted`` in ``LAST_FITTED``. No row where there is one structure.
    """
    from scipy.special import stdtrit

    rows = one_view(uncertainty[uncertainty["structure"] != POOLED])
    rows = rows[rows["measure"].map(lambda key: MEASURES[key].unit == "share")]
    found = []
    for (of, scenario, measure), here in rows.groupby(["of", "scenario", "measure"], sort=False):
        last = here[here["month"] == here["month"].max()].sort_values("estimate", kind="stable")
        if len(last) < 2:
            continue
        lowest, highest = last.iloc[0], last.iloc[-1]
        then = here.loc[here["month"] == LAST_FITTED, "estimate"]
        spread = sum(end["sd_parameters"] ** 2 / end["draws"] for end in (lowest, highest))
        found.append(
            {
                "of": of,
                "scenario": scenario,
                "measure": measure,
                "month": lowest["month"],
                "lowest": lowest["structure"],
                "highest": highest["structure"],
                "low": lowest["estimate"],
                "high": highest["estimate"],
                "gap": highest["estimate"] - lowest["estimate"],
                "error": float(stdtrit(lowest["draws"] + highest["draws"] - 2, 0.975)) * math.sqrt(spread),
                "gap_fitted": then.max() - then.min() if len(then) else math.nan,
            }
        )
    return pd.DataFrame(found, columns=_APART).sort_values("gap", ascending=False, kind="stable", ignore_index=True)


_APART = [
    *("of", "scenario", "measure", "month", "lowest", "highest", "low", "high"),
    *("gap", "error", "gap_fitted"),
]

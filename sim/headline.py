"""Which differences a report tells, and which of them first.

Nothing here draws or runs anything, so figures, report and the search for decisive assumptions agree on the headline.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

DECISIVE = 0.1
"""An assumed number is decisive when its range moves the headline by more than this share of its interval's width."""


def one_view(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the residents wherever they live, or the only view there is."""
    views = set(frame["view"])
    return frame[frame["view"] == ("individual" if "individual" in views else min(views))]


def luck(differences: pd.DataFrame) -> pd.DataFrame:
    """Keep the differences whose band is what one area may meet by luck, in one view."""
    return one_view(differences[differences["interval"] == "luck"])


def headline_measures(differences: pd.DataFrame, most: int = 4) -> list[str]:
    """Return the measures with the clearest difference at their last month, largest |estimate| / se first.

    Measures equal in all runs are left out, and so is ``never_served``, which tells of the queue and not of
    lives; ``leisure_job_26h`` is kept among the first ``most`` whenever it is there.
    """
    rows = differences[(differences["group_by"] == "all") & (differences["measure"] != "never_served")]
    rows = rows[rows["month"] == rows.groupby("measure")["month"].transform("max")]
    rows = rows[(rows["estimate"] != 0) | (rows["measure"] == "leisure_job_26h")]
    size = rows["estimate"].abs()
    clear = pd.Series(np.divide(size, rows["se"], out=np.full(len(rows), np.inf), where=rows["se"] > 0), rows.index)
    best = clear.where(size > 0, 0.0).groupby(rows["measure"]).max().sort_values(ascending=False, kind="stable")
    chosen = [str(measure) for measure in best.index]
    if "leisure_job_26h" in chosen[most:]:
        chosen.insert(most - 1, "leisure_job_26h")
    return chosen[:most]


def computing_error(se: float, replicates: int) -> float:
    """Return half the 95 % interval of a mean over replicates (Student's t); NaN for a single replicate."""
    from scipy.stats import t

    return float(t.ppf(0.975, replicates - 1) * se) if replicates > 1 else math.nan


def last_months(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep each measure's last month."""
    return rows[rows["month"] == rows.groupby("measure")["month"].transform("max")]


def told(mine: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the headline measures of one scenario's differences: those told as shown, and those told as hidden.

    A difference is shown when its computing error leaves zero out. Of the others the leisure job is told always, the
    rest only when nothing is shown.
    """
    last = _last_rows(mine)
    chosen = headline_measures(mine)
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

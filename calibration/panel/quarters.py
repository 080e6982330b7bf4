"""Weeks, quarters and dates of registers as whole numbers, and as years in which every quarter is a fourth.

A week is numbered by its Thursday, which says what year and quarter it belongs to (ISO 8601): week ``w`` has its
Thursday ``7 w`` days after 1 January 1970, itself a Thursday. A quarter is ``4 year + 0 ... 3``. Its end is the moment
the next begins, so 2012Q1 ends at 2012.25; within a quarter time runs evenly through its days.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence

import numpy as np

_WEEK = re.compile(r"(\d{4})-?W(\d{2})")
_QUARTER = re.compile(r"(\d{4})-?Q([1-4])")
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
NONE = -1
"""What stands for a text that is no week or quarter."""
YEARS = range(1950, 2101)
"""Years that registers may tell of: a mistyped one would make a grid of centuries."""


def week_number(text: str) -> int:
    """Return the number of the week written ``2012-W07``; -1 when there is no such week.

    >>> week_number("2012-W07") - week_number("2012-W01"), week_number("2013-W53")
    (6, -1)
    """
    found = _WEEK.fullmatch(text)
    if not found or int(found[1]) not in YEARS:
        return NONE
    try:
        thursday = datetime.date.fromisocalendar(int(found[1]), int(found[2]), 4)
    except ValueError:
        return NONE
    return (thursday - datetime.date(1970, 1, 1)).days // 7


def written_week(week: int | np.integer) -> str:
    """Return a week as it is written.

    >>> written_week(week_number("2016-W52"))
    '2016-W52'
    """
    year, number, _ = (datetime.date(1970, 1, 1) + datetime.timedelta(days=7 * int(week))).isocalendar()
    return f"{year}-W{number:02d}"


def quarter_number(text: str) -> int:
    """Return the number of the quarter written ``2012Q1``; -1 when it is none.

    >>> quarter_number("2012Q1"), quarter_number("2012Q5")
    (8048, -1)
    """
    found = _QUARTER.fullmatch(text)
    return 4 * int(found[1]) + int(found[2]) - 1 if found and int(found[1]) in YEARS else NONE


def written_quarter(quarter: int | np.integer) -> str:
    """Return a quarter as it is written."""
    return f"{quarter // 4}Q{quarter % 4 + 1}"


def month_time(text: str) -> float:
    """Return the middle of the month written ``1985-03``, in years; NaN when it is none."""
    found = _MONTH.fullmatch(text)
    return int(found[1]) + (int(found[2]) - 0.5) / 12 if found else float("nan")


def first_days(quarters: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return the first days of quarters, as dates."""
    return (3 * (np.asarray(quarters, dtype=np.int64) - 4 * 1970)).astype("datetime64[M]").astype("datetime64[D]")


def quarter_of_days(days: np.ndarray) -> np.ndarray:
    """Return the quarters that dates lie in."""
    return np.asarray(days.astype("datetime64[M]").astype(np.int64) // 3 + 4 * 1970)


def quarter_of_weeks(weeks: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return the quarters that the Thursdays of weeks lie in."""
    return quarter_of_days((7 * np.asarray(weeks, dtype=np.int64)).astype("datetime64[D]"))


def weeks_around_end(quarters: Sequence[int] | np.ndarray, before: int, after: int = 0) -> np.ndarray:
    """Return the last weeks of quarters and the first ones after, the earliest first, (quarters, before + after)."""
    last_day = first_days(np.asarray(quarters) + 1).astype(np.int64) - 1
    return last_day[:, None] // 7 + np.arange(1 - before, 1 + after)


def quarter_end(quarters: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return the ends of quarters in years."""
    return (np.asarray(quarters) + 1) / 4


def time_of_days(days: np.ndarray) -> np.ndarray:
    """Return the middles of dates in years; NaN where there is no date."""
    none = np.isnat(days)
    quarter = quarter_of_days(np.where(none, np.datetime64("2000-01-01"), days))
    begin, end = first_days(quarter), first_days(quarter + 1)
    share = ((days - begin).astype(float) + 0.5) / (end - begin).astype(float)
    return np.where(none, np.nan, (quarter + share) / 4)


def days_of_time(time: np.ndarray) -> np.ndarray:
    """Return the dates that moments in years lie in."""
    quarter = np.floor(4 * time).astype(np.int64)
    begin, end = first_days(quarter), first_days(quarter + 1)
    passed = np.floor((4 * time - quarter) * (end - begin).astype(float)).astype(np.int64)
    return np.asarray(begin + np.minimum(passed, (end - begin).astype(np.int64) - 1))

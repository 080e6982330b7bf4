"""The raw tables of registers, read: every problem of every row told, and grids of people by weeks and by quarters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from sim.errors import InputError, Problem, nearest

from .crosswalk import Crosswalk
from .data import FIRST_ROW, MOST_TOLD
from .design import label
from .files import read_frame
from .quarters import month_time, quarter_number, quarter_of_days, week_number, written_week

NEEDED: Final = {
    "weeks": ("person", "week", "code"),
    "quarters": ("person", "quarter", "hours"),
    "people": ("person", "birth_month", "sex", "origin"),
}
"""The tables and the columns each must have."""
ENDINGS: Final = (".csv", ".csv.gz", ".parquet")
"""Endings a table's file may have, looked for in this order."""
SEXES: Final = ("woman", "man")
MOST_HOURS: Final = 14 * 7 * 24.0
"""More paid hours than this are not in a quarter."""


@dataclass(frozen=True)
class Table:
    """A raw table with the name of its file, and the problems found in all tables."""

    frame: pd.DataFrame
    place: str
    problems: list[Problem]

    def tell(
        self,
        kind: str,
        at: np.ndarray,
        key: str,
        values: Callable[[int], Mapping[str, object]] | None = None,
        near: Sequence[str] = (),
    ) -> None:
        """Add a problem for each row ``at``, ten at most; ``values`` gives what the message shows of a row."""
        for row in at[:MOST_TOLD].tolist():
            person = self.frame["person"].iloc[row]
            who = {"row": row + FIRST_ROW, "person": "–" if pd.isna(person) else label(person)}
            what = {"value": _shown(self.frame[key].iloc[row])} | dict(values(row) if values else {})
            guess = nearest(str(what["value"]), near) if len(near) else None
            self.problems.append(Problem(kind, f"{self.place}:{row + FIRST_ROW}", key, {**who, **what}, guess))
        if len(at) > MOST_TOLD:
            self.problems.append(Problem("panel_more", self.place, key, {"count": len(at) - MOST_TOLD}))

    def texts(self, name: str, needed: bool = True) -> tuple[np.ndarray, list[str]]:
        """Return a column as numbers (-1 where empty) of the different texts in it; tell of empty cells."""
        code, shown = pd.factorize(self.frame[name], use_na_sentinel=True)
        names = [label(one) for one in shown.tolist()]
        if "" in names:
            code = np.where(code == names.index(""), -1, code)
        if needed:
            self.tell("panel_missing", np.flatnonzero(code < 0), name)
        return code, names

    def numbered(self, name: str, number: Callable[[str], float], kind: str, needed: bool = True) -> np.ndarray:
        """Return a column through ``number``, which says -1 or NaN of a text it cannot read; tell of those."""
        code, shown = self.texts(name, needed)
        read = np.array([*map(number, shown), np.nan], dtype=float)
        read[read == -1] = np.nan
        found = read[code]
        self.tell(kind, np.flatnonzero(np.isnan(found) & (code >= 0)), name)
        return found


def _shown(value: Any) -> str:
    return "–" if pd.isna(value) else label(value)


def tables_of(source: Path | str | Mapping[str, pd.DataFrame], problems: list[Problem]) -> dict[str, Table]:
    """Return the tables that have rows and the columns needed; add to ``problems`` what is wrong with the others."""
    found = {}
    for name, columns in NEEDED.items():
        place, frame = name, None
        if isinstance(source, Mapping):
            frame = source.get(name)
            if frame is None:
                problems.append(Problem("register_table", key=name, values={"allowed": ", ".join(NEEDED)}))
                continue
            frame = frame.rename(columns=str)
        else:
            paths = [Path(source) / f"{name}{ending}" for ending in ENDINGS]
            path = next((one for one in paths if one.is_file()), None)
            if path is None:
                values = {"allowed": ", ".join(one.name for one in paths)}
                problems.append(Problem("register_file", str(source), name, values))
                continue
            place = str(path)
            try:
                frame = read_frame(path, ("hours",))
            except InputError as error:
                problems += error.problems
                continue
        names = list(frame.columns)
        lacking = [one for one in columns if one not in names]
        problems += [
            Problem("panel_column", place, one, {"allowed": ", ".join(names)}, nearest(one, names)) for one in lacking
        ]
        if not lacking and not len(frame) and name == "people":
            problems.append(Problem("register_empty", place))
        elif not lacking:
            found[name] = Table(frame, place, problems)
    return found


@dataclass(frozen=True)
class People:
    """People in the order of their table: times in years, quarters and dates by number, NaN or NaT where none."""

    frame: pd.DataFrame
    numbers: dict[str, int]
    born: np.ndarray
    entered: np.ndarray
    gone_day: np.ndarray


def people_of(table: Table) -> People:
    """Return the people of their table."""
    code, names = table.texts("person")
    table.tell("register_person_twice", np.flatnonzero(pd.Series(code).duplicated().to_numpy() & (code >= 0)), "person")
    numbers = {name: i for i, name in enumerate(names)}
    born = table.numbered("birth_month", month_time, "register_month")
    sex, sexes = table.texts("sex")
    wrong = np.array([one not in SEXES for one in sexes] + [False])[sex]
    table.tell("choice", np.flatnonzero(wrong), "sex", lambda row: {"allowed": ", ".join(SEXES)}, SEXES)
    entered = np.full(len(table.frame), np.nan)
    if "entered" in table.frame:
        entered = table.numbered("entered", quarter_number, "register_quarter", needed=False)
    gone = np.full(len(table.frame), np.datetime64("NaT"), dtype="datetime64[D]")
    for name in ("died", "left"):
        if name in table.frame:
            day = _days(table, name)
            gone = np.where(np.isnat(gone) | (day < gone), day, gone)
    early = ~np.isnat(gone) & (quarter_of_days(np.where(np.isnat(gone), np.datetime64("2000-01-01"), gone)) < entered)
    if "entered" in table.frame:
        table.tell("register_gone_before", np.flatnonzero(early), "entered")
    return People(table.frame, numbers, born, entered, gone)


def _days(table: Table, name: str) -> np.ndarray:
    """Return a column of dates, NaT where there is none; tell of texts that are no dates."""
    column = table.frame[name]
    if pd.api.types.is_datetime64_any_dtype(column):
        found = column
    else:
        column = column.where(column != "").astype("string")
        found = pd.to_datetime(column, format="%Y-%m-%d", errors="coerce")
    table.tell("register_date", np.flatnonzero((found.isna() & column.notna()).to_numpy()), name)
    return found.to_numpy().astype("datetime64[D]")


def _whose(table: Table, people: People) -> np.ndarray:
    """Return the number of the person of each row, -1 where the people's table has none; tell of those."""
    code, names = table.texts("person")
    numbers = np.array([*(people.numbers.get(name, -1) for name in names), -1])[code]
    table.tell("register_stranger", np.flatnonzero((numbers < 0) & (code >= 0)), "person")
    return numbers


@dataclass(frozen=True)
class Paid:
    """Weeks paid: a grid (people, weeks) of state numbers, -1 without payment; ``first`` numbers its first week.

    ``counts`` (codes,): weeks of each code of the crosswalk.
    """

    grid: np.ndarray
    first: int
    counts: np.ndarray


def paid_weeks(table: Table, people: People, walk: Crosswalk) -> Paid:
    """Return the weeks paid, in the states that their codes stand for."""
    person = _whose(table, people)
    week = table.numbered("week", week_number, "register_week")
    until = table.numbered("until", week_number, "register_week") if "until" in table.frame else week
    table.tell("register_until", np.flatnonzero(until < week), "until" if "until" in table.frame else "week")
    code, names = table.texts("code")
    number = {name: i for i, name in enumerate(walk.codes)}
    known = np.array([*(number.get(name, -1) for name in names), -1])
    for i in np.flatnonzero(known[:-1] < 0):
        _tell_code(table, names[i], np.flatnonzero(code == i), walk.codes)
    of = known[code]
    fine = (person >= 0) & (of >= 0) & (until >= week)
    person, of = person[fine], of[fine]
    begin, long = week[fine].astype(np.int64), (until - week)[fine].astype(np.int64) + 1
    first = int(begin.min(initial=np.iinfo(np.int64).max)) if len(begin) else 0
    wide = int((begin + long).max(initial=first)) - first
    grid = np.full(len(people.frame) * wide, -1, dtype=np.int8)
    # Of a stretch the cells follow one another: numbers from 0 on, shifted by where it begins.
    cell = np.arange(long.sum()) + np.repeat(person * wide + begin - first - (np.cumsum(long) - long), long)
    twice = np.zeros(len(grid), dtype=bool)
    twice[cell] = True
    if np.count_nonzero(twice) < len(cell):
        _tell_twice(table, cell, np.repeat(np.flatnonzero(fine), long), wide, first)
    grid[cell] = np.repeat(walk.state[of].astype(np.int8), long)
    counts = np.bincount(of, long, minlength=len(walk.codes)).astype(np.int64)
    return Paid(grid.reshape(len(people.frame), wide), first, counts)


def _tell_code(table: Table, name: str, at: np.ndarray, codes: Sequence[str]) -> None:
    """Tell of a code that the crosswalk does not have: how many rows, the first of them and their persons."""
    few = at[:MOST_TOLD]
    values = {
        "code": name,
        "count": len(at),
        "rows": ", ".join(str(row + FIRST_ROW) for row in few) + (", …" if len(at) > len(few) else ""),
        "persons": ", ".join(dict.fromkeys(_shown(table.frame["person"].iloc[row]) for row in few)),
    }
    where = f"{table.place}:{at[0] + FIRST_ROW}"
    table.problems.append(Problem("register_code", where, "code", values, nearest(name, codes)))


def _tell_twice(table: Table, cell: np.ndarray, row: np.ndarray, wide: int, first: int) -> None:
    """Tell of weeks that two rows of one person hold."""
    again = pd.Series(cell).duplicated().to_numpy()
    rows, at = np.unique(row[again], return_index=True)
    weeks = dict(zip(rows.tolist(), (cell[again][at] % wide + first).tolist(), strict=True))
    table.tell("register_week_twice", rows, "week", lambda one: {"week": written_week(weeks[one])})


@dataclass(frozen=True)
class Worked:
    """Paid hours: a grid (people, quarters); ``first`` numbers its first quarter, ``added`` are rows put together."""

    grid: np.ndarray
    first: int
    added: int


def paid_hours(table: Table, people: People) -> Worked:
    """Return the paid hours, several rows of a person's quarter put together."""
    person = _whose(table, people)
    quarter = table.numbered("quarter", quarter_number, "register_quarter")
    column = table.frame["hours"]
    hours = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    empty = column.isna().to_numpy()
    table.tell("panel_missing", np.flatnonzero(empty), "hours")
    table.tell("register_hours", np.flatnonzero(~empty & ~((hours >= 0) & (hours <= MOST_HOURS))), "hours")
    fine = (person >= 0) & (quarter >= 0) & (hours >= 0)
    person, quarter, hours = person[fine], quarter[fine].astype(np.int64), hours[fine]
    first = int(quarter.min()) if len(quarter) else 0
    wide = int(quarter.max()) + 1 - first if len(quarter) else 0
    cell = person * wide + quarter - first
    grid = np.bincount(cell, hours, minlength=len(people.frame) * wide)
    rows = np.bincount(cell, minlength=len(people.frame) * wide)
    return Worked(grid.reshape(len(people.frame), wide), first, int(np.maximum(rows - 1, 0).sum()))

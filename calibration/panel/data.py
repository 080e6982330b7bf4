"""A panel as it is read: every problem of every row told at once, and the intervals between observations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from sim.errors import Problem, nearest

from .design import Model, label

MOST_TOLD: Final = 10
"""Rows named of each kind of problem; the others are counted."""
FIRST_ROW: Final = 2
"""Number of the first row of data: row 1 of a file is its heading."""


@dataclass(frozen=True)
class Columns:
    """Names of the columns of a panel."""

    person: str
    time: str
    state: str
    covariates: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """All columns that are used."""
        return (self.person, self.time, self.state, *self.covariates)


@dataclass(frozen=True)
class Rows:
    """The rows of a panel, as far as they could be read, in the order of the file.

    ``person`` and ``state`` are codes (-1 where missing) into ``persons`` and ``labels``, ``time`` is NaN and ``x``
    (rows, covariates) NaN where missing or not a number.
    """

    person: np.ndarray
    time: np.ndarray
    state: np.ndarray
    x: np.ndarray
    persons: np.ndarray
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Panel:
    """A checked panel: rows person by person in the order of time, and where the intervals begin.

    ``person`` (rows,) numbers the ``persons``; ``state`` (rows,) the model's states; ``x`` (rows, covariates).
    ``first`` (intervals,) are the rows that begin an interval, which ends with the row after.
    """

    persons: np.ndarray
    person: np.ndarray
    time: np.ndarray
    state: np.ndarray
    x: np.ndarray

    @property
    def first(self) -> np.ndarray:
        """Rows that begin an interval."""
        return np.flatnonzero(self.person[:-1] == self.person[1:])

    def __len__(self) -> int:
        return len(self.person)


def read(frame: pd.DataFrame, columns: Columns, place: str = "") -> tuple[Rows | None, list[Problem]]:
    """Return the rows of ``frame`` and what is wrong with single cells; no rows when a column is missing.

    ``place`` is the file, which problems then name with the row.
    """
    names = [str(name) for name in frame.columns]
    problems = [
        Problem("panel_column", place, name, {"allowed": ", ".join(names)}, nearest(name, names))
        for name in columns.all
        if name not in frame.columns
    ]
    problems += [Problem("panel_column_twice", place, name) for name in columns.all if names.count(name) > 1]
    if not len(frame):
        problems.append(Problem("panel_empty", place))
    if problems:
        return None, problems
    person, known = pd.factorize(frame[columns.person], use_na_sentinel=True)
    persons = np.asarray(known, dtype=object)
    say = _teller(person, persons, place)
    code, shown = pd.factorize(frame[columns.state], use_na_sentinel=True)
    labels = tuple(dict.fromkeys(label(one) for one in shown))
    state = np.append([labels.index(label(one)) for one in shown], -1)[code]
    problems += say("panel_missing", np.flatnonzero(person < 0), columns.person)
    problems += say("panel_missing", np.flatnonzero(state < 0), columns.state)
    time, wrong = _numbers(frame[columns.time], columns.time, say)
    problems += wrong
    # The value at a person's last observation acts on nothing: nobody needs to have it.
    lasting = _followed(person)
    x = np.empty((len(frame), len(columns.covariates)))
    for c, name in enumerate(columns.covariates):
        x[:, c], wrong = _numbers(frame[name], name, say, lasting)
        problems += wrong
    return Rows(person, time, state, x, persons, labels), problems


def seen_changes(rows: Rows) -> tuple[tuple[str, str], ...]:
    """Return the changes seen between successive observations, in the order of the labels."""
    order = _by_person(rows)
    a, b = order[:-1], order[1:]
    both = (rows.person[a] == rows.person[b]) & (rows.state[a] >= 0) & (rows.state[b] >= 0)
    pairs = np.unique(np.column_stack([rows.state[a], rows.state[b]])[both], axis=0)
    return tuple(sorted((rows.labels[r], rows.labels[s]) for r, s in pairs if r != s))


def checked(rows: Rows, model: Model, columns: Columns, place: str = "") -> tuple[Panel, list[Problem]]:
    """Return the panel, persons one after the other, and what is wrong with its course (then it must not be used)."""
    say = _teller(rows.person, rows.persons, place)
    codes = {state: i for i, state in enumerate(model.states)}
    state = np.append([codes.get(name, -1) for name in rows.labels], -1)[rows.state]
    problems = []
    for name in rows.labels:
        if name not in codes:
            mine = np.flatnonzero(rows.state == rows.labels.index(name))
            values = {"state": name, "allowed": ", ".join(model.states)}
            problems += say("panel_state_unknown", mine, columns.state, values, nearest(name, codes))
    order = _by_person(rows)
    order = order[rows.person[order] >= 0]
    timed = order[np.isfinite(rows.time[order])]
    a, b = timed[:-1], timed[1:]
    step = np.where(rows.person[a] == rows.person[b], rows.time[b] - rows.time[a], np.nan)
    for kind, wrong in (("panel_time_same", step == 0), ("panel_time_falls", step < 0)):
        problems += say(kind, b[wrong], columns.time, _both_times(rows, a[wrong], b[wrong]))
    seen = np.bincount(rows.person[rows.person >= 0], minlength=len(rows.persons))
    alone = np.flatnonzero((rows.person >= 0) & (seen[rows.person] == 1))
    problems += say("panel_one_observation", alone, columns.person)
    a, b = order[:-1], order[1:]
    # Where times do not rise, the order of the states is not known either.
    known = (rows.person[a] == rows.person[b]) & (state[a] >= 0) & (state[b] >= 0) & ~(rows.time[b] <= rows.time[a])
    impossible = np.zeros(len(a), dtype=bool)
    impossible[known] = ~model.reach[state[a[known]], state[b[known]]]
    leaves = impossible & model.absorbing[state[a]]
    for kind, wrong in (("panel_leaves_absorbing", leaves), ("panel_no_path", impossible & ~leaves)):
        of = np.flatnonzero(wrong)
        ends = [
            {"before": model.states[r], "state": model.states[s]} for r, s in state[np.column_stack([a[of], b[of]])]
        ]
        problems += say(kind, b[of], columns.state, ends)
    return Panel(rows.persons, rows.person[order], rows.time[order], state[order], rows.x[order]), problems


def _by_person(rows: Rows) -> np.ndarray:
    """Return the rows person by person, each person's in the order of the file."""
    return np.argsort(rows.person, kind="stable")


def _followed(person: np.ndarray) -> np.ndarray:
    """Return which rows are followed by another of the same person."""
    order = np.argsort(person, kind="stable")
    found = np.zeros(len(person), dtype=bool)
    found[order[:-1]] = person[order[:-1]] == person[order[1:]]
    return found


def _both_times(rows: Rows, a: np.ndarray, b: np.ndarray) -> list[dict[str, object]]:
    """Return the times of the first few pairs of rows, as problems tell them."""
    pairs = zip(rows.time[a[:MOST_TOLD]], rows.time[b[:MOST_TOLD]], strict=True)
    return [{"before": f"{before:.10g}", "time": f"{time:.10g}"} for before, time in pairs]


Say = Callable[..., list[Problem]]


def _teller(person: np.ndarray, persons: np.ndarray, place: str) -> Say:
    """Return a function that names the row and the person of a kind of problem, at most ten of them."""

    def say(kind: str, at: np.ndarray, key: str, values: Any = None, near: str | None = None) -> list[Problem]:
        return list(_told(kind, at, key, values, near))

    def _told(
        kind: str,
        at: np.ndarray,
        key: str,
        values: dict[str, object] | Sequence[dict[str, object]] | None,
        near: str | None,
    ) -> Iterator[Problem]:
        for i, row in enumerate(at[:MOST_TOLD]):
            own = values[i] if isinstance(values, Sequence) else values or {}
            code = person[row]
            who = {"row": int(row) + FIRST_ROW, "person": label(persons[code]) if code >= 0 else "–"}
            yield Problem(kind, f"{place}:{who['row']}" if place else "", key, {**who, **own}, near)
        if len(at) > MOST_TOLD:
            yield Problem("panel_more", place, key, {"count": len(at) - MOST_TOLD})

    return say


def _numbers(
    column: pd.Series, name: str, say: Say, needed: np.ndarray | None = None
) -> tuple[np.ndarray, list[Problem]]:
    """Return a column as numbers (NaN where it has none) and what is wrong with it where it is ``needed``."""
    missing = column.isna().to_numpy()
    if column.dtype.kind in "mMc" or isinstance(column.dtype, pd.PeriodDtype):
        # Dates, lengths of time and complex numbers would be turned into numbers of another meaning.
        held = np.flatnonzero(~missing)
        problems = say("panel_missing", np.flatnonzero(missing), name)
        problems += say("panel_text", held, name, _shown(column.iloc[held[:MOST_TOLD]]))
        return np.full(len(column), np.nan), problems
    found = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    if needed is None:
        needed = np.ones(len(column), dtype=bool)
    problems = say("panel_missing", np.flatnonzero(missing & needed), name)
    text = np.flatnonzero(np.isnan(found) & ~missing)
    problems += say("panel_text", text, name, _shown(column.iloc[text[:MOST_TOLD]]))
    endless = np.flatnonzero(np.isinf(found))
    problems += say("panel_infinite", endless, name)
    return np.where(np.isfinite(found), found, np.nan), problems


def _shown(column: pd.Series) -> list[dict[str, object]]:
    return [{"value": str(value)} for value in column.iloc[:MOST_TOLD]]


@dataclass(frozen=True)
class VisitRows:
    """Visits in the order of the file: ``person`` (rows,) as codes, ``time``, ``x`` (rows, covariates)."""

    person: np.ndarray
    time: np.ndarray
    x: np.ndarray


def checked_visits(frame: pd.DataFrame, columns: Columns) -> tuple[VisitRows | None, list[Problem]]:
    """Return the visits of ``frame``, which has no states, and what is wrong with them."""
    rows, problems = read(frame.assign(**{columns.state: "0"}), columns)
    if rows is None:
        return None, problems
    order = _by_person(rows)
    a, b = order[:-1], order[1:]
    with np.errstate(invalid="ignore"):
        falls = (rows.person[a] == rows.person[b]) & (rows.time[b] <= rows.time[a])
    say = _teller(rows.person, rows.persons, "")
    problems += say("panel_time_falls", b[falls], columns.time, _both_times(rows, a[falls], b[falls]))
    return VisitRows(rows.person, rows.time, rows.x), problems

"""What the likelihood needs of a panel: distinct times under distinct rates, and the changes counted over each.

A *leg* is a time under one generator (a period and a row of covariates). An interval is one leg, or several where it
spans cuts. Intervals of the same legs are one *pattern*; a *cell* counts the intervals of a pattern that began in one
state and ended in another. Times that differ by no more than the rounding of the times they were subtracted from are
the same. Patterns are worked through in chunks, so memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

CHUNK: Final = 8192
"""Patterns worked on at a time."""
_ROUNDING: Final = 8 * np.finfo(float).eps
"""Differences of times are alike within this share of the largest time."""


@dataclass(frozen=True)
class Chunk:
    """Some patterns, complete in themselves.

    ``period`` and ``z`` are those of its generators, ``of`` and ``t`` (legs,) generator and time of its legs, ``legs``
    (patterns, most legs) the legs of each pattern in the order of time (-1: no more). The cells: ``pattern``,
    ``start``, ``end``, ``count``, and ``entered`` where the moment of entry into ``end`` is known.
    """

    period: np.ndarray
    z: np.ndarray
    of: np.ndarray
    t: np.ndarray
    legs: np.ndarray
    pattern: np.ndarray
    start: np.ndarray
    end: np.ndarray
    count: np.ndarray
    entered: np.ndarray

    @property
    def last(self) -> np.ndarray:
        """The last generator of each pattern."""
        final = (self.legs >= 0).sum(axis=1) - 1
        return self.of[self.legs[np.arange(len(self.legs)), final]]


@dataclass(frozen=True)
class Patterns:
    """Distinct patterns of intervals: ``of`` (intervals,) says which each has; ``order`` is that of the chunks."""

    of: np.ndarray
    legs: np.ndarray
    leg_period: np.ndarray
    leg_row: np.ndarray
    leg_t: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.legs)


def same_times(t: np.ndarray, largest: float) -> np.ndarray:
    """Return times with those that are the same within rounding made equal; alone they keep their value exactly."""
    if not len(t):
        return t
    values, inverse = np.unique(t, return_inverse=True)
    group = np.cumsum(np.r_[True, np.diff(values) > _ROUNDING * largest]) - 1
    first = np.flatnonzero(np.r_[True, np.diff(group) > 0])
    return np.asarray(values[first][group[inverse]])


def together(*columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of each distinct row of whole or real ``columns``, and where each is first met."""
    codes = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        code, values = pd.factorize(column)
        codes = pd.factorize(codes * max(len(values), 1) + code)[0]
    first = np.full(codes.max(initial=-1) + 1, -1)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return codes, first


def patterns_of(begin: np.ndarray, end: np.ndarray, z: np.ndarray, cuts: Sequence[float]) -> Patterns:
    """Return the patterns of intervals from ``begin`` to ``end`` (intervals,) at ``z`` (intervals, covariates)."""
    number, periods = len(begin), len(cuts) + 1
    largest = float(max(np.abs(begin).max(initial=0), np.abs(end).max(initial=0)))
    row, first = (
        together(*z.T) if z.shape[1] else (np.zeros(number, dtype=np.int64), np.zeros(min(number, 1), dtype=int))
    )
    rows = z[first]
    borders = np.array([-np.inf, *cuts, np.inf])
    if periods == 1:
        at, period, t = np.arange(number), np.zeros(number, dtype=int), end - begin
    else:
        t = np.minimum(end[:, None], borders[1:]) - np.maximum(begin[:, None], borders[:-1])
        lasts = t > _ROUNDING * largest
        # An interval as short as rounding has one leg none the less.
        lasts[np.arange(number), t.argmax(axis=1)] = True
        at, period = np.nonzero(lasts)
        t = t[at, period]
    t = same_times(t, largest)
    leg, first = together(row[at], period, t)
    legs = np.full((number, periods), -1)
    place = np.arange(len(at)) - np.searchsorted(at, at)
    legs[at, place] = leg
    of, some = together(*legs.T)
    return Patterns(of, legs[some], period[first], row[at][first], t[first], rows)


def chunks_of(
    patterns: Patterns, start: np.ndarray, end: np.ndarray, entered: np.ndarray, size: int = CHUNK
) -> list[Chunk]:
    """Return the chunks of ``patterns`` with the cells of intervals from ``start`` to ``end`` (intervals,).

    Patterns of one generator come together, so each is decomposed in one chunk, or two.
    """
    first = patterns.legs[:, 0]
    order = np.lexsort((patterns.leg_t[first], patterns.leg_row[first], patterns.leg_period[first]))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    states = int(max(start.max(initial=0), end.max(initial=0))) + 1
    cell = ((place[patterns.of] * states + start) * states + end) * 2 + entered
    cells, count = np.unique(cell, return_counts=True)
    rest, known = np.divmod(cells, 2)
    rest, ended = np.divmod(rest, states)
    at, began = np.divmod(rest, states)
    found = []
    for low in range(0, len(order), size):
        mine = order[low : low + size]
        legs, local = np.unique(patterns.legs[mine], return_inverse=True)
        local = local.reshape(len(mine), -1)
        if legs[0] < 0:
            legs, local = legs[1:], local - 1
        of, some = together(patterns.leg_period[legs], patterns.leg_row[legs])
        a, b = np.searchsorted(at, [low, low + len(mine)])
        found.append(
            Chunk(
                patterns.leg_period[legs][some],
                patterns.rows[patterns.leg_row[legs][some]],
                of,
                patterns.leg_t[legs],
                local,
                at[a:b] - low,
                began[a:b],
                ended[a:b],
                count[a:b].astype(float),
                known[a:b].astype(bool),
            )
        )
    return found

"""The moves of residents whose hazards are their own: shifted by courses or barriers, or held in an offer.

Everybody else's chances stand in the tables of :mod:`sim.transitions`. Here hazards are multiplied one by one, and the
same draw is held against other limits: so a small effect changes few lives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from .activities.base import MOVES_OF, PASSAGES
from .engine.months import Events, destination
from .engine.streams import Stream, hazard_threshold, threshold
from .parameters import ParameterSet
from .population import Population
from .states import BARRIERS, CODE, STATES
from .transitions import ACTIVATED, COUNTS_AS, PHASE_STATE, SMALL_JOB_STATES, SWITCHES, Tables, probabilities

SLOWED_BY_BARRIERS: Final = {
    **dict.fromkeys(("job_ready", "activation", "self_supporting", "other_benefit"), ("employed", "in_education")),
    "activity_ready": ("employed", "in_education", "job_ready"),
}
"""Moves towards work, by the state left, that every barrier slows by its factor: barriers multiply."""


_MARGIN: Final = 1e-6
"""Room for rounding in a bound on a chance."""


def _destinations(states: Sequence[str]) -> np.ndarray:
    """Return which phases count as one of ``states``."""
    return np.isin(PHASE_STATE, [CODE[state] for state in states])


class OwnHazards:
    """What is added to the log hazards of residents, by the names of the programme's hazards.

    ``names`` are those of ``Programme.moves``. Barriers act on all residents who have them and were of age at the
    start, wherever they are; the mean hazard of each state's residents at the start, in activation those of each
    readiness, stays what the tables say, because the calibrated rates are means over people with and without barriers.
    """

    def __init__(self, names: Sequence[str], parameters: ParameterSet, people: Population, hazard: np.ndarray) -> None:
        """Read the effects of barriers; ``hazard`` holds the monthly hazards of the start, by table row and phase."""
        self._names = tuple(names)
        self._to = {
            name: (np.isin(np.arange(len(STATES)), [CODE[MOVES_OF[name][0]]]), _destinations(MOVES_OF[name][1:]))
            for name in names
            if name in MOVES_OF
        }
        small = np.isin(np.arange(len(STATES)), [CODE[state] for state in SMALL_JOB_STATES])
        self._passages = {
            name: (small, _destinations([name.removeprefix("small_job_to_")])) for name in PASSAGES if name in names
        }
        self._barrier = np.array([parameters.value(f"barrier_effect_{barrier}") for barrier in BARRIERS])
        self.barriers_act = bool(self._barrier.any())
        self._moving = [at for at, name in enumerate(self._names) if name in self._to or name in self._passages]
        self._slowed = np.zeros((len(STATES), len(PHASE_STATE)), dtype=bool)
        for state, to in SLOWED_BY_BARRIERS.items():
            self._slowed[CODE[state]] = _destinations(to)
        if self.barriers_act:
            self._level = self._mean_level(people, hazard)

    def _mean_level(self, people: Population, hazard: np.ndarray) -> np.ndarray:
        """Return the log of the mean factor of barriers on each hazard, shape (replicates, groups, phases).

        Groups are those of :func:`_group`; whoever moves more often weighs more.
        """
        rows = self.slowed(people)
        factor = np.exp(_flags(people.barriers[rows]) @ self._barrier)
        shape = (len(people.stream.replicates), len(STATES) ** 2, len(PHASE_STATE))
        cell = people.stream.block[rows] * shape[1] + _group(people.phase[rows])
        found = np.zeros((shape[0] * shape[1], shape[2]))
        for to in np.flatnonzero(self._slowed.any(axis=0)):
            usual = hazard[people.row[rows], to]
            before, after = (
                np.bincount(cell, weights=weights, minlength=len(found)) for weights in (usual, usual * factor)
            )
            found[:, to] = np.log(np.divide(after, before, out=np.ones(len(found)), where=before > 0))
        return found.reshape(shape)

    def slowed(self, people: Population) -> np.ndarray:
        """Return the rows, ascending, whose hazards barriers shift."""
        return np.flatnonzero(self._is_slowed(people, np.arange(len(people))))

    def _is_slowed(self, people: Population, rows: np.ndarray) -> np.ndarray:
        slowed: np.ndarray = np.any(self._slowed, axis=1)[people.state[rows]] & (people.birth[rows] <= -18 * 12)
        return slowed

    def at_most(self, rows: np.ndarray, given: np.ndarray, people: Population) -> np.ndarray:
        """Return what is added at most to any log hazard of ``rows``; arguments as of :meth:`shifts`."""
        found = np.maximum(given[self._moving], 0).sum(axis=0)
        if self.barriers_act:
            level = self._level[people.stream.block[rows], _group(people.phase[rows])]
            found += np.maximum(-level, 0).max(axis=1) + np.maximum(self._barrier, 0).sum()
        return np.asarray(found)

    def shifts(self, rows: np.ndarray, given: np.ndarray, people: Population) -> np.ndarray:
        """Return what is added to the log hazards of ``rows``, shape (rows, phases); ``given`` (names, rows)."""
        state = people.state[rows]
        found = np.zeros((len(rows), len(PHASE_STATE)))
        for name, shift in zip(self._names, given, strict=True):
            if name in self._to:
                left, to = self._to[name]
                found += np.where(left[state], shift, 0.0)[:, None] * to
            elif name in self._passages:
                left, to = self._passages[name]
                holds = left[state] & (people.side_hours[rows] > 0)
                found += np.where(holds, shift, 0.0)[:, None] * to
        if self.barriers_act:
            eased = np.zeros((len(rows), len(BARRIERS)))
            for at, barrier in enumerate(BARRIERS):
                if f"eases_{barrier}" in self._names:
                    eased[:, at] = np.clip(given[self._names.index(f"eases_{barrier}")], 0.0, 1.0)
            own = (_flags(people.barriers[rows]) * (1 - eased)) @ self._barrier
            level = self._level[people.stream.block[rows], _group(people.phase[rows])]
            found += (own[:, None] - level) * (self._slowed[state] & self._is_slowed(people, rows)[:, None])
        return found

    def move_out(self, given: np.ndarray) -> np.ndarray | None:
        """Return what is added to the log hazard of moving out, one a row of ``given``; None if nothing ever is."""
        return given[self._names.index("move_out")] if "move_out" in self._names else None


def _group(phase: np.ndarray) -> np.ndarray:
    """Return a number for each state and the readiness it counts as."""
    return PHASE_STATE[phase] * np.int64(len(STATES)) + COUNTS_AS[phase]


def _flags(barriers: np.ndarray) -> np.ndarray:
    """Return whether each resident has each barrier, shape (residents, barriers)."""
    return (barriers[:, None] >> np.arange(len(BARRIERS)) & 1).astype(np.float64)


def moved_on_their_own(
    events: Events,
    own: np.ndarray,
    hazards: OwnHazards,
    given: np.ndarray,
    held: np.ndarray,
    month: int,
    people: Population,
    tables: Tables,
    stream: Stream,
) -> tuple[np.ndarray, np.ndarray]:
    """Return who moves this month, ascending, and into which phase: by their ``own`` hazards, all others as drawn.

    ``own`` is a mask of all residents; for those in it, ``given`` as of :meth:`OwnHazards.shifts`, and whether they are
    ``held``: neither leave nor enter usual activation at its rate, and stand in activation on whatever cash benefit
    they come to.
    """
    rows = np.flatnonzero(own)
    bits = stream.bits("move", month, rows) >> np.uint64(32)
    # Few move in a month: whose draw is above the limit of the highest hazard possible needs no more.
    highest = np.minimum(tables.leave[people.row[rows]] * 2.0**-32, 1 - _MARGIN)
    more = hazards.at_most(rows, given, people)
    raised = np.flatnonzero(more)
    highest[raised] = -np.expm1(np.log1p(-highest[raised]) * np.exp(more[raised]))
    asked = np.flatnonzero(bits * 2.0**-32 < highest + _MARGIN)
    rows, bits, given, held = rows[asked], bits[asked], given[:, asked], held[asked]
    hazard = tables.hazard[people.row[rows]] * np.exp(hazards.shifts(rows, given, people))
    switches = SWITCHES[people.row[rows] % len(SWITCHES)]
    hazard[held] = np.where(switches[held], 0.0, hazard[held])
    limits = threshold(probabilities(hazard, switches).cumsum(axis=-1))
    goes = np.flatnonzero(bits < limits[:, -1])
    kept = ~own[events.moved]
    moved = np.concatenate([events.moved[kept], rows[goes]])
    arrives = destination(limits, goes, bits[goes])
    to = np.concatenate([events.moved_to[kept], np.where(held[goes], ACTIVATED[arrives], arrives)])
    order = np.argsort(moved, kind="stable")
    return moved[order], to[order]


def moved_out_on_their_own(
    out: np.ndarray, rows: np.ndarray, shift: np.ndarray, month: int, people: Population, stream: Stream
) -> np.ndarray:
    """Return who moves out this month, ascending: ``rows`` with their log hazard shifted, all others as drawn."""
    asked = np.flatnonzero((shift != 0) & (people.out_row[rows] > 0))
    rows, shift = rows[asked], shift[asked]
    limit = hazard_threshold(people.out_hazard[people.out_row[rows]] * np.exp(shift))
    goes = rows[(stream.bits("move out", month, rows) >> np.uint64(32)) < limit]
    return np.union1d(np.setdiff1d(out, rows), goes)

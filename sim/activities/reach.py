"""Who hears of which course when: through channels by state and age, and through levers that strengthen them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from ..engine.entries import Entrances, Reach, Target, Who, entering, in_target_group, reached_in
from ..engine.streams import Stream
from ..states import CODE, STATES
from . import ActivityType
from .base import CHANNELS, NEVER, age_bands

_NONE = np.empty((3, 0), dtype=np.int64)
_AWAY = np.uint8(255)
"""Instead of a state: not there."""


def _rates(values: dict[str, float] | object, type: ActivityType) -> np.ndarray:
    """Return the hazard of being reached by state: the sum of the channels that reach it."""
    found = np.zeros(len(STATES))
    for channel in type.channels:
        found[[CODE[state] for state in CHANNELS[channel].states]] += values[f"reach_{channel}"]  # type: ignore[index]
    return found


class Hearing:
    """Finds, month by month, whom the channels of each course reach.

    Whoever is of a course's target group waits for being reached from the month of entering it (the course's first
    month for those who are there then). Month by month the chance is 1 - exp(-hazard), each month by itself: so the
    hazards up to the month reached pass a waiting time that is exponential with mean 1, of which one draw is enough for
    all the months. The hazard is taken at its highest over states and months; who is reached counts only by the ratio
    of the chances, which is the same as if each month had been drawn with the hazard of its state.
    """

    def __init__(
        self,
        plans: Sequence[object],
        types: Sequence[ActivityType],
        target: Target,
        window: tuple[np.ndarray, np.ndarray],
        factor: np.ndarray,
        stream: Stream,
        subjects: np.ndarray,
    ) -> None:
        """Read the reach of ``plans``; ``window`` holds the first and last months, ``factor`` what channels are
        multiplied by, shape (courses, months of the run)."""
        self._stream, self._subjects = stream, subjects
        self._first, self._last = window
        self._factor = factor
        self._rate = np.array([_rates(plan.values, type) for plan, type in zip(plans, types, strict=True)]).reshape(  # type: ignore[attr-defined]
            len(plans), len(STATES)
        )
        hears = target.member & (self._rate > 0)
        self.target = target._replace(member=hears)
        top = np.where(hears, self._rate, 0).max(axis=1, initial=0) * factor.max(axis=1, initial=0)
        varies = np.ptp(np.where(hears, self._rate, top[:, None]), axis=1) > 0
        self._thinned = varies | (np.ptp(factor, axis=1) > 0 if factor.shape[1] else False)
        ages = zip(target.youngest.tolist(), target.oldest.tolist(), strict=True)
        bands = [age_bands(plan.values, limits) for plan, limits in zip(plans, ages, strict=True)]  # type: ignore[attr-defined]
        wide = max((len(of) for of in bands), default=1)
        padded = [of + [of[-1]] * (wide - len(of)) for of in bands]
        shape = (len(plans), wide)
        limit = np.array([[end for end, _ in of] for of in padded], dtype=np.int64).reshape(shape)
        ratio = np.array([[ratio for _, ratio in of] for of in padded], dtype=np.float64).reshape(shape)
        self._reach = Reach(limit, ratio, np.maximum(top, 1e-300), self._last, NEVER)
        self._heard: np.ndarray = top > 0
        self._runs = np.zeros(len(plans), dtype=bool)
        self._entrances = Entrances.of(hears)
        self._seen = np.empty(0, dtype=np.uint8)
        self._pending = np.zeros((0, len(plans)), dtype=bool)
        self._waiting: dict[int, list[np.ndarray]] = defaultdict(list)

    def grow(self, rows: int) -> None:
        """Hold ``rows`` residents; who is new has not been seen."""
        if rows > len(self._seen):
            known = len(self._seen)
            self._seen = np.concatenate([self._seen, np.full(rows - known, _AWAY, dtype=np.uint8)])
            # Fresh zeros cost nothing until they are written to.
            pending, self._pending = self._pending, np.zeros((rows, self._pending.shape[1]), dtype=bool)
            self._pending[:known] = pending

    def due(self, month: int, who: Who) -> np.ndarray:
        """Return entries of those whom the channels reach this month, some of whom cannot be referred."""
        self._notice(month, who)
        parts = self._waiting.pop(month, [])
        if not parts:
            return _NONE
        found = np.empty((3, sum(part.shape[1] for part in parts)), dtype=np.int64)
        np.concatenate(parts, axis=1, out=found[:2])
        found[2] = month
        self._pending[found[1], found[0]] = False
        return found

    def _notice(self, month: int, who: Who) -> None:
        """Let those wait who have entered a target group, and everybody of it when its course begins."""
        people = len(who.state)
        here = np.where(who.in_area, who.state, _AWAY)
        runs = self._heard & (self._first < month) & (month <= self._last)
        if (runs != self._runs).any():
            self._runs, self._entrances = runs, Entrances.of(self.target.member & runs[:, None])
        if runs.any():
            changed = np.flatnonzero(self._seen[:people] != here)
            if len(changed):
                came = entering(
                    self._stream.engine,
                    changed,
                    self._seen[changed],
                    month,
                    self._entrances,
                    self.target,
                    who,
                    self._pending,
                )
                self.wait(came, self._draw("reached", month, came, 1), who)
        for course in np.flatnonzero(self._heard & (self._first == month)).tolist():
            self.wait(*self._stock(course, month, who), who)
        self._seen[:people] = here

    def _stock(self, course: int, month: int, who: Who) -> tuple[np.ndarray, np.ndarray]:
        """Return entries of all who are of the target group when a course begins, and their luck.

        The draw has no date, so that it is the same whenever the course begins.
        """
        target = self.target
        inside = target.member[course, who.state] & target.allowed[course, who.group] & who.in_area
        inside &= month - who.birth.astype(np.int64) < target.oldest[course]
        rows = np.flatnonzero(inside)
        found = np.stack([np.full(len(rows), course), rows, np.full(len(rows), month)])
        return found, self._draw("reached", 0, found)

    def again(self, month: int, entries: np.ndarray, who: Who) -> None:
        """Let those of ``entries``, reached in ``month``, wait anew from the next month on."""
        later = entries.copy()
        later[2] = month + 1
        self.wait(later, self._draw("reached", month, later, 2), who)

    def wait(self, entries: np.ndarray, luck: np.ndarray, who: Who) -> None:
        """Let the residents of ``entries`` wait for being reached, as long as their ``luck`` says."""
        if not entries.shape[1]:
            return
        # Also those never reached: their luck holds for the rest of the run, though they leave and come back.
        self._pending[entries[1], entries[0]] = True
        when = reached_in(self._stream.engine, entries, -np.log1p(-luck), self._reach, who.birth)
        order = np.argsort(when, kind="stable")
        when = when[order]
        order = order[: np.searchsorted(when, NEVER)]
        if not len(order):
            return
        soonest = entries[:2].take(order, axis=1)
        firsts = np.flatnonzero(np.diff(when[: len(order)], prepend=-1)).tolist()
        for at, end in zip(firsts, [*firsts[1:], len(order)], strict=True):
            self._waiting[int(when[at])].append(soonest[:, at:end])

    def counts(self, month: int, entries: np.ndarray, who: Who) -> np.ndarray:
        """Return which of ``entries``, reached at the highest hazard, are reached at that of their state and month."""
        course, row, _ = entries
        found = np.ones(len(course), dtype=bool)
        asked = np.flatnonzero(self._thinned[course])
        if len(asked):
            of, rows = course[asked], row[asked]
            age = month - who.birth[rows].astype(np.int64)
            band = (age[:, None] >= self._reach.limit[of]).sum(axis=1)
            ratio = self._reach.ratio[of, np.minimum(band, self._reach.ratio.shape[1] - 1)]
            # A model that is stepped beyond its horizon keeps what held in the last month.
            now = self._rate[of, who.state[rows]] * self._factor[of, min(month, self._factor.shape[1] - 1)]
            chance = np.expm1(-ratio * now) / np.expm1(-ratio * self._reach.top[of])
            found[asked] = self._draw("channel", month, entries[:, asked]) < chance
        return found

    def inside(self, month: int, entries: np.ndarray, who: Who) -> np.ndarray:
        """Return which of ``entries`` are of the target group and in a state that some channel reaches."""
        return in_target_group(self._stream.engine, entries, month, self.target, who)

    def _draw(self, decision: str, month: int, entries: np.ndarray, occurrence: int = 0) -> np.ndarray:
        course, row, _ = entries
        return self._stream.draw(decision, month, row, occurrence, self._subjects[course])

    @property
    def nbytes(self) -> int:
        """Bytes held for each resident of the area."""
        return self._seen.nbytes + self._pending.nbytes

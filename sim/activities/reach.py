"""Who hears of which course when: through channels by state and age, and through levers that strengthen them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..engine.entries import (
    Chances,
    Entrances,
    Luck,
    Reach,
    Target,
    Who,
    entering,
    of_target_group,
    put,
    reached_in,
)
from ..engine.streams import Stream, moment_key
from ..states import CODE, STATES
from . import ActivityType
from .base import CHANNELS, NEVER, age_bands

_NONE = np.empty((3, 0), dtype=np.int64)


def _rates(values: Mapping[str, float], type: ActivityType) -> np.ndarray:
    """Return the hazard of being reached by state: the sum of the channels that reach it."""
    found = np.zeros(len(STATES))
    for channel in type.channels:
        found[[CODE[state] for state in CHANNELS[channel].states]] += values[f"reach_{channel}"]
    return found


class Waits:
    """Who will be reached by which course, month by month: what comes out in a month lies together."""

    def __init__(self) -> None:
        self._number = np.zeros(0, dtype=np.int64)
        self._held = np.empty((2, 0, 0), dtype=np.int32)

    def add(self, month: np.ndarray, course: np.ndarray, row: np.ndarray) -> None:
        """Add waits that end in the months given, one each."""
        number = np.bincount(month, minlength=len(self._number))
        before = np.zeros(len(number), dtype=np.int64)
        before[: len(self._number)] = self._number
        self._number = before + number
        _, months, room = self._held.shape
        if len(number) > months or self._number.max(initial=0) > room:
            wider = np.empty((2, len(number), int(1.25 * self._number.max())), dtype=np.int32)
            wider[:, :months, :room] = self._held
            self._held = wider
        order = np.argsort(month, kind="stable")
        month = month[order]
        # Sorted by month, each lies behind those of its month that were there before.
        place = np.arange(len(month)) + (before + number - number.cumsum())[month]
        self._held[0, month, place], self._held[1, month, place] = course[order], row[order]

    def over(self, month: int) -> np.ndarray:
        """Return courses and rows of the waits that end in ``month``, in the order they were added: (2, waits)."""
        if month >= len(self._number):
            return _NONE[:2]
        return self._held[:, month, : self._number[month]]


class Hearing:
    """Finds, month by month, whom the channels of each course reach.

    Whoever is of a course's target group waits for being reached from the month of entering it (the course's first
    month for those who are there then). Month by month the chance is 1 - exp(-hazard), each month by itself: so the
    hazards up to the month reached pass a waiting time that is exponential with mean 1, of which one draw is enough for
    all the months. The hazard is taken at its highest over states and months; who is reached counts only by the ratio
    of the chances, which is the same as if each month had been drawn with the hazard of its state. Who waits in vain
    waits on: the luck holds for the rest of the run, though the resident leaves and comes back.
    """

    def __init__(
        self,
        values: Sequence[Mapping[str, float]],
        types: Sequence[ActivityType],
        target: Target,
        window: tuple[np.ndarray, np.ndarray],
        factor: np.ndarray,
        stream: Stream,
        subjects: np.ndarray,
    ) -> None:
        """Read the reach among the ``values`` of courses.

        ``window`` holds the first and last months, ``factor`` what channels are multiplied by, shape (courses, months).
        """
        self._stream, self._subjects = stream, subjects
        self._first, self._last = window
        self._factor = factor
        rates = [_rates(of, type) for of, type in zip(values, types, strict=True)]
        self._rate = np.array(rates).reshape(len(values), len(STATES))
        hears = target.member & (self._rate > 0)
        self.target = target._replace(member=hears)
        self._of_any_youth = self.target._replace(youngest=np.full(len(values), np.iinfo(np.int64).min))
        top = np.where(hears, self._rate, 0).max(axis=1, initial=0) * factor.max(axis=1, initial=0)
        varies = np.ptp(np.where(hears, self._rate, top[:, None]), axis=1) > 0
        dated = np.ptp(factor, axis=1) > 0
        self._dated = bool(dated.any())
        self._thinned = varies | dated
        ages = zip(target.youngest.tolist(), target.oldest.tolist(), strict=True)
        bands = [age_bands(of, limits) for of, limits in zip(values, ages, strict=True)]
        wide = max((len(of) for of in bands), default=1)
        padded = [of + [of[-1]] * (wide - len(of)) for of in bands]
        shape = (len(values), wide)
        limit = np.array([[end for end, _ in of] for of in padded], dtype=np.int64).reshape(shape)
        ratio = np.array([[ratio for _, ratio in of] for of in padded], dtype=np.float64).reshape(shape)
        self._reach = Reach(limit, ratio, np.maximum(top, 1e-300), self._last, NEVER)
        self._most = self._reach.top * ratio.max(axis=1, initial=0)
        self._heard: np.ndarray = top > 0
        self._anew = _NONE
        self._runs = np.zeros(len(values), dtype=bool)
        self._entrances = Entrances.of(hears, target.allowed)
        self._chances = np.empty(0)
        self._waits = Waits()

    def due(self, month: int, who: Who, changed: np.ndarray, before: np.ndarray) -> np.ndarray:
        """Return entries of those whom the channels reach this month, some of whom cannot be referred.

        ``changed`` are the rows that have come into another state, or into the area, since this was last asked;
        ``before`` holds the states they were in, 255 for who was not there.
        """
        self._notice(month, who, changed, before)
        over = self._waits.over(month)
        found = np.empty((3, over.shape[1]), dtype=np.int64)
        found[:2], found[2] = over, month
        return found

    def _notice(self, month: int, who: Who, changed: np.ndarray, before: np.ndarray) -> None:
        """Let those wait who have entered a target group, and everybody of it when its course begins."""
        runs = self._heard & (self._first < month) & (month <= self._last)
        if (runs != self._runs).any():
            self._runs, self._entrances = runs, Entrances.of(self.target.member & runs[:, None], self.target.allowed)
        if runs.any():
            anew, self._anew = self._anew, _NONE
            engine, oldest = self._stream.engine, self.target.oldest
            luck = Luck(self._subjects, moment_key("reached", month, 1))
            below = self._in_time(month)
            came, draws = entering(engine, changed, before, month, self._entrances, oldest, who, luck, below)
            draws = np.concatenate([self._draw("reached", month, anew, 1), draws])
            self._wait(np.concatenate([anew, came], axis=1), draws, who)
        for course in np.flatnonzero(self._heard & (self._first == month)).tolist():
            entries, draws = self._stock(course, month, who)
            put(who.pending, entries[1], entries[0], True)
            self._wait(entries, draws, who)

    def _in_time(self, month: int) -> np.ndarray:
        """Return below what draw somebody can be reached who waits from ``month`` on, by course, or little above it."""
        return -np.expm1(-self._most * np.maximum(self._last + 1 - month, 0)) * (1 + 1e-9)

    def _stock(self, course: int, month: int, who: Who) -> tuple[np.ndarray, np.ndarray]:
        """Return entries of all who are of the target group when a course begins, or too young yet, and their luck.

        The draw has no date, so that it is the same whenever the course begins.
        """
        rows = of_target_group(course, month, self._of_any_youth, who)
        found = np.stack([np.full(len(rows), course), rows, np.full(len(rows), month)])
        return found, self._draw("reached", 0, found)

    def again(self, entries: np.ndarray) -> None:
        """Let those of ``entries``, reached this month, wait anew from the next month on."""
        self._anew = entries.copy()
        self._anew[2] += 1

    def _wait(self, entries: np.ndarray, luck: np.ndarray, who: Who) -> None:
        """Let the residents of ``entries`` wait for being reached, as long as their ``luck`` says."""
        if not entries.shape[1]:
            return
        when = reached_in(self._stream.engine, entries, -np.log1p(-luck), self._reach, who.birth)
        at = np.flatnonzero(when < NEVER)
        self._waits.add(when[at], entries[0, at], entries[1, at])

    @property
    def hears(self) -> np.ndarray:
        """Whether some channel of a course reaches the state, by course and state of its target group."""
        return self.target.member

    def chances(self, month: int) -> Chances:
        """Return with what chance those reached at a course's highest hazard are reached at that of the month."""
        if self._dated or not self._chances.size:
            ratio = self._reach.ratio[:, None, :]
            # A model that is stepped beyond its horizon keeps what held in the last month.
            factor = self._factor[:, min(month, self._factor.shape[1] - 1), None]
            now = ratio * (self._rate * factor)[:, :, None]
            top = ratio * self._reach.top[:, None, None]
            never = np.ones(np.broadcast_shapes(now.shape, top.shape))
            chance = np.divide(np.expm1(-now), np.expm1(-top), out=never, where=top > 1e-200)
            self._chances = np.where(self._thinned[:, None, None], chance, 1.0)
        return Chances(self._reach.limit, self._chances)

    def _draw(self, decision: str, month: int, entries: np.ndarray, occurrence: int = 0) -> np.ndarray:
        course, row, _ = entries
        return self._stream.draw(decision, month, row, occurrence, self._subjects[course])

"""All courses of a scenario together: which hands over to which, and what they change, joined."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..engine.streams import Stream
from ..population import Population
from ..scenario import ActivityPlan
from . import catalogue
from .base import Course, Status


class Programme:
    """The courses of ``plans``, in the order of their ids, among ``rows`` residents of all stacked replicates.

    ``start`` is the number of the month that the run counts from.
    """

    def __init__(self, plans: Sequence[ActivityPlan], stream: Stream, start: int, rows: int) -> None:
        types = catalogue()
        plans = sorted(plans, key=lambda plan: plan.id)
        self._status = {plan.activity: Status(rows) for plan in plans}
        self.courses = [
            Course(plan, types[plan.activity], stream, start, self._status[plan.activity]) for plan in plans
        ]
        hands_to = {activity: types[activity].follow_on for activity in self._status}
        for course in self.courses:
            activity = course.plan.activity
            course.connect(
                [other for other in self.courses if other.plan.activity == hands_to[activity]],
                [self._status[other] for other, to in hands_to.items() if to == activity],
            )
        self._place = np.full(rows, -1, dtype=np.int32)
        """Where ``shifts`` has a resident in its answer; -1, one place beyond it, for all others and in between."""

    def run_month(self, month: int, people: Population) -> np.ndarray:
        """Run every course for one month and return the rows newly enrolled in any."""
        self._grow(len(people))
        entered = [course.run_month(month, people) for course in self.courses]
        return np.concatenate([np.empty(0, dtype=np.int64), *entered])

    def lost(self) -> np.ndarray:
        """Return whom activities lost in the gap this month: jobs they have only because of an activity end."""
        return np.concatenate([np.empty(0, dtype=np.int64), *(course.lost for course in self.courses)])

    def shifts(self, month: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return by how much the log hazards of starting and of ending a side job are shifted, by ``rows``.

        Courses that share one published estimate (a pool) count once, the strongest; others add up.
        """
        self._place[rows] = np.arange(len(rows))
        pools: dict[str, np.ndarray] = {}
        for course in self.courses:
            shifts = course.shifts(month)
            at = self._place.take(shifts.rows)
            pool = pools.setdefault(course.pool, np.zeros((2, len(rows) + 1)))
            for held, given in zip(pool, (shifts.start, shifts.end), strict=True):
                if given.any():
                    held[at] = np.where(np.abs(given) > np.abs(held[at]), given, held[at])
        self._place[rows] = -1
        start, end = sum(pools.values(), np.zeros((2, len(rows) + 1)))[:, :-1]
        return start, end

    def paid_hours(self) -> tuple[np.ndarray, np.ndarray]:
        """Return whom projects pay this month, each row once, and each one's hours a week (float32)."""
        paid = [(rows, hours) for rows, hours in (course.paid_hours() for course in self.courses) if len(rows)]
        if not paid:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        hours = np.repeat([each for _, each in paid], [len(rows) for rows, _ in paid])
        found, place = np.unique(np.concatenate([rows for rows, _ in paid]), return_inverse=True)
        return found, np.bincount(place, weights=hours, minlength=len(found)).astype(np.float32)

    def unserved(self, rows: int) -> np.ndarray:
        """Return which of ``rows`` residents have queued for some activity and got no place in it so far."""
        self._grow(rows)
        return np.logical_or.reduce(
            [np.zeros(rows, dtype=bool), *(status.unserved for status in self._status.values())]
        )

    def _grow(self, rows: int) -> None:
        for status in self._status.values():
            status.grow(rows)
        if rows > len(self._place):
            self._place = np.full(rows, -1, dtype=np.int32)

"""The course of an activity: who hears of it, who queues, who gets a place, how long it lasts and what it changes.

A course proposes (who is enrolled, how the hazards of whom are shifted); only the model writes to the residents. Every
choice is a draw of that resident, named by the item's id, so nobody's course depends on the order of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from ..engine.streams import Stream
from ..population import Population
from ..scenario import ActivityPlan, month_number
from . import ActivityType

EVENTS: Final = (
    "referred",
    "declined",
    "queued",
    "gave_up",
    "left_queue",
    "enrolled",
    "completed",
    "dropped_out",
    "left_target_group",
    "closed",
)
"""What can happen to a resident in a course, in the order of the codes."""
_CODE: Final = {event: code for code, event in enumerate(EVENTS)}

_NEW, _WAITING, _ENROLLED, _DONE, _UNSERVED = range(5)

FADED: Final = 10
"""Half-lives after which an effect is dropped: less than a thousandth is left."""


class QueueMonth(NamedTuple):
    """One month of a course: stocks at its end and flows in it, each an array over replicates."""

    month: int
    places: int
    enrolled: np.ndarray
    waiting: np.ndarray
    referred: np.ndarray
    started: np.ndarray
    completed: np.ndarray
    dropped_out: np.ndarray
    gave_up: np.ndarray
    declined: np.ndarray
    left_queue: np.ndarray
    left_target_group: np.ndarray
    closed: np.ndarray


class Shifts(NamedTuple):
    """Residents whose side-job hazards an activity shifts now, and by how much (log hazard ratios)."""

    rows: np.ndarray
    start: np.ndarray
    end: np.ndarray


class Status:
    """Where each resident stands with one activity, shared by all items of that activity.

    A resident is referred to an activity once, whichever of its items does it.
    """

    def __init__(self, rows: int) -> None:
        self.code = np.full(rows, _NEW, dtype=np.uint8)

    @property
    def unserved(self) -> np.ndarray:
        """Who has queued without getting a place so far."""
        return (self.code == _WAITING) | (self.code == _UNSERVED)


class Course:
    """One activity item of a scenario, running in all stacked replicates at once."""

    def __init__(self, plan: ActivityPlan, type: ActivityType, stream: Stream, start: int, status: Status) -> None:
        self.plan = plan
        self.first = month_number(plan.start) - start
        self.last = month_number(plan.end) - start
        self.status = status
        self.queue_months: list[QueueMonth] = []
        self._stream = stream
        self._member = np.isin(np.arange(256), type.eligibility.state_codes)
        self._without_side_job = type.eligibility.without_side_job
        self._waiting = np.empty(0, dtype=np.int64)
        self._waiting_since = np.empty(0, dtype=np.int16)
        self._enrolled = np.empty(0, dtype=np.int64)
        self._enrolled_since = np.empty(0, dtype=np.int16)
        self._former = np.empty(0, dtype=np.int64)
        self._former_since = np.empty(0, dtype=np.int16)
        self._former_dose = np.empty(0)
        self._log: list[tuple[int, int, np.ndarray]] = []

    def run_month(self, month: int, people: Population) -> np.ndarray:
        """Run the course for one month and return the rows newly enrolled.

        In this order: participants finish or leave, some give up waiting, new ones are referred and queue, and free
        places go to those who have waited longest (ties by the resident's own draw).
        """
        if month < self.first or (month > self.last and not len(self._enrolled) + len(self._waiting)):
            return self._enrolled[:0]
        before = len(self._log)
        self._finish(month, people)
        self._thin_queue(month, people)
        if month <= self.last:
            self._refer(month, people)
        entered = self._enrol(month)
        self._count(month, before)
        return entered

    def shifts(self, month: int) -> Shifts:
        """Return whose side-job hazards are shifted in ``month``: participants, and former ones as it fades."""
        value = self.plan.values
        half_life = max(value["half_life_months"], 1e-9)
        ago = month - self._former_since
        keep = ago <= FADED * half_life
        self._former, self._former_since = self._former[keep], self._former_since[keep]
        self._former_dose = self._former_dose[keep]
        left = self._former_dose * 0.5 ** (ago[keep] / half_life)
        during = np.ones(len(self._enrolled))
        return Shifts(
            np.concatenate([self._enrolled, self._former]),
            np.concatenate([during * value["effect_start_during"], left * value["effect_start_after"]]),
            np.concatenate([during * value["effect_end_during"], left * value["effect_end_after"]]),
        )

    def events(self) -> Iterator[tuple[str, int, np.ndarray]]:
        """Yield (event, month, rows) in the order things happened."""
        for code, month, rows in self._log:
            yield EVENTS[code], month, rows

    def _note(self, event: str, month: int, rows: np.ndarray, status: int | None = None) -> None:
        self._log.append((_CODE[event], month, rows))
        if status is not None:
            self.status.code[rows] = status

    def _in_target_group(self, rows: np.ndarray, month: int, people: Population) -> np.ndarray:
        age = month - people.birth[rows].astype(np.int64)
        value = self.plan.values
        return self._member[people.state[rows]] & (age >= 12 * value["age_from"]) & (age < 12 * (value["age_to"] + 1))

    def _finish(self, month: int, people: Population) -> None:
        rows, since = self._enrolled, self._enrolled_since
        months = month - since
        value = self.plan.values
        chance = -np.expm1(-value["attrition_per_month"])
        completed = months >= value["duration_months"]
        closed = np.full(len(rows), month > self.last) & ~completed
        outside = ~self._in_target_group(rows, month, people) & ~completed & ~closed
        dropped = self._stream.draw(f"{self.plan.id}: attrition", month, rows) < chance
        dropped &= ~completed & ~closed & ~outside & (months > 0)
        for event, who in (
            ("completed", completed),
            ("closed", closed),
            ("left_target_group", outside),
            ("dropped_out", dropped),
        ):
            self._note(event, month, rows[who], _DONE)
        ended = completed | closed | outside | dropped
        self._former = np.concatenate([self._former, rows[ended]])
        self._former_since = np.concatenate([self._former_since, np.full(ended.sum(), month, dtype=np.int16)])
        dose = np.minimum(months[ended] / max(value["duration_months"], 1e-9), 1.0)
        self._former_dose = np.concatenate([self._former_dose, dose])
        self._enrolled, self._enrolled_since = rows[~ended], since[~ended]

    def _thin_queue(self, month: int, people: Population) -> None:
        rows = self._waiting
        tired = month - self._waiting_since > self.plan.values["patience_months"]
        outside = ~self._in_target_group(rows, month, people) | (month > self.last)
        if self._without_side_job:
            outside |= people.side_hours[rows] > 0
        self._note("gave_up", month, rows[tired & ~outside], _UNSERVED)
        self._note("left_queue", month, rows[outside], _UNSERVED)
        keep = ~(tired | outside)
        self._waiting, self._waiting_since = rows[keep], self._waiting_since[keep]

    def _refer(self, month: int, people: Population) -> None:
        candidates = np.flatnonzero(self._member[people.state])
        candidates = candidates[self.status.code[candidates] == _NEW]
        candidates = candidates[self._in_target_group(candidates, month, people)]
        if self._without_side_job:
            candidates = candidates[people.side_hours[candidates] == 0]
        reach = sum(value for id, value in self.plan.values.items() if id.startswith("reach_"))
        heard = self._stream.draw(f"{self.plan.id}: referral", month, candidates) < -np.expm1(-reach)
        referred = candidates[heard]
        says_yes = self._stream.draw(f"{self.plan.id}: take-up", month, referred) < self.plan.values["take_up"]
        order = np.argsort(self._stream.draw(f"{self.plan.id}: queue", month, referred[says_yes]), kind="stable")
        queued = referred[says_yes][order]
        self._note("referred", month, referred)
        self._note("declined", month, referred[~says_yes], _DONE)
        self._note("queued", month, queued, _WAITING)
        self._waiting = np.concatenate([self._waiting, queued])
        self._waiting_since = np.concatenate([self._waiting_since, np.full(len(queued), month, dtype=np.int16)])

    def _enrol(self, month: int) -> np.ndarray:
        """Fill the free places of each replicate from the head of its queue."""
        if month > self.last:
            return self._waiting[:0]
        block = self._waiting // self._stream.residents
        free = self.plan.places - self._per_replicate(self._enrolled)
        by_block = np.argsort(block, kind="stable")
        starts = np.searchsorted(block[by_block], np.arange(len(free)))
        rank = np.empty(len(block), dtype=np.int64)
        rank[by_block] = np.arange(len(block)) - starts[block[by_block]]
        placed = rank < free[block]
        entered = self._waiting[placed]
        self._note("enrolled", month, entered, _ENROLLED)
        self._waiting, self._waiting_since = self._waiting[~placed], self._waiting_since[~placed]
        self._enrolled = np.concatenate([self._enrolled, entered])
        self._enrolled_since = np.concatenate([self._enrolled_since, np.full(len(entered), month, dtype=np.int16)])
        return entered

    def _per_replicate(self, rows: np.ndarray) -> np.ndarray:
        return np.bincount(rows // self._stream.residents, minlength=len(self._stream.replicates))

    def _count(self, month: int, before: int) -> None:
        flows = {event: np.zeros(len(self._stream.replicates), dtype=np.int64) for event in EVENTS}
        for code, _, rows in self._log[before:]:
            flows[EVENTS[code]] += self._per_replicate(rows)
        del flows["queued"]
        self.queue_months.append(
            QueueMonth(
                month=month,
                places=self.plan.places if month <= self.last else 0,
                enrolled=self._per_replicate(self._enrolled),
                waiting=self._per_replicate(self._waiting),
                started=flows.pop("enrolled"),
                **flows,
            )
        )

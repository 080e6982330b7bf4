"""The course of an activity: who hears of it, who queues, who gets a place, how long it lasts and what it changes.

A course proposes (who is enrolled, how the hazards of whom are shifted, who is paid); only the model writes to the
residents. Every choice is a draw of that resident, named by the item's id, so nobody's course depends on the order of
the file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from ..engine.streams import Stream
from ..population import Population
from ..scenario import ActivityPlan, month_number
from ..states import ORIGINS, SEXES
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

_NEW, _HANDED, _WAITING, _ENROLLED, _DONE, _UNSERVED = range(6)

PARENT_TRANSFER: Final = 4
"""Flag in a youth's ``parents``: a parent at home has transfer income."""

TRAITS: Final[Mapping[str, Callable[[Population, np.ndarray], np.ndarray]]] = {
    "selection_non_western": lambda people, rows: people.origin[rows] == ORIGINS.index("non_western"),
    "selection_men": lambda people, rows: people.sex[rows] == SEXES.index("men"),
    "selection_parent_transfer": lambda people, rows: (people.parents[rows] & PARENT_TRANSFER) > 0,
    "selection_low_propensity": lambda people, rows: people.frailty[rows] == 0,
}
"""Who says yes more often: the parameter holding the odds ratio, and whether each of the rows has the trait."""

SELECTION_AGE: Final = "selection_age_"
"""``selection_age_<years>`` is the hazard ratio from that age up to the next one given, the first below it too."""

_LOOK_AHEAD = 12
"""Months for which a course looks up at a time who is of its ages."""

_OLDEST = (1 + 120) * 12 + _LOOK_AHEAD
"""An age in months beyond every target group, and who is looked up for it."""

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

    def grow(self, rows: int) -> None:
        """Hold ``rows`` residents: those appended since have not heard of the activity."""
        new = np.full(rows - len(self.code), _NEW, dtype=np.uint8)
        self.code = np.concatenate([self.code, new]) if len(new) else self.code

    @property
    def unserved(self) -> np.ndarray:
        """Who has queued without getting a place so far."""
        return (self.code == _WAITING) | (self.code == _UNSERVED)


class Course:
    """One activity item of a scenario, running in all stacked replicates at once."""

    def __init__(self, plan: ActivityPlan, type: ActivityType, stream: Stream, start: int, status: Status) -> None:
        value = plan.values
        self.plan = plan
        self.pool = type.pool or plan.id
        self.first = month_number(plan.start) - start
        self.last = month_number(plan.end) - start
        self.status = status
        self.queue_months: list[QueueMonth] = []
        self.lost = np.empty(0, dtype=np.int64)
        """Rows lost in the gap this month."""
        self._member = np.isin(np.arange(256), type.eligibility.state_codes)
        self._ages = math.ceil(12 * value["age_from"]), math.ceil(12 * (value["age_to"] + 1))
        self._stream = stream
        self._chance = _referral_chances(value, self._ages)
        self._follow_on: Sequence[Course] = ()
        self._before: Sequence[Status] = ()
        self._candidates = np.empty(0, dtype=np.int64)
        self._looked_up = (0, 0)
        self._handed = np.empty(0, dtype=np.int64)
        self._handed_for = np.empty(0, dtype=np.int16)
        self._waiting = np.empty(0, dtype=np.int64)
        self._waiting_since = np.empty(0, dtype=np.int16)
        self._enrolled = np.empty(0, dtype=np.int64)
        self._enrolled_since = np.empty(0, dtype=np.int16)
        self._former = np.empty(0, dtype=np.int64)
        self._former_since = np.empty(0, dtype=np.int16)
        self._former_dose = np.empty(0)
        self._log: list[tuple[int, int, np.ndarray]] = []

    def connect(self, follow_on: Sequence[Course], before: Sequence[Status]) -> None:
        """Name the courses this one hands over to, and the status of the activities that hand over to this one.

        Who is enrolled in one of the latter is not referred here by other channels: the bridge takes them.
        """
        self._follow_on, self._before = follow_on, before

    def refers(self, month: int) -> bool:
        """Whether the course takes new people in ``month``."""
        return self.first <= month <= self.last

    def run_month(self, month: int, people: Population) -> np.ndarray:
        """Run the course for one month and return the rows newly enrolled.

        In this order: participants finish or leave, some give up waiting, new ones are referred and queue, and free
        places go to those who have waited longest (ties by the resident's own draw).
        """
        self.lost = self._enrolled[:0]
        if month < self.first or (month > self.last and not len(self._enrolled) + len(self._waiting)):
            return self._enrolled[:0]
        before = len(self._log)
        self._finish(month, people)
        self._thin_queue(month, people)
        if self.refers(month):
            self._refer(month, people)
        entered = self._enrol(month)
        self._count(month, before)
        return entered

    def shifts(self, month: int) -> Shifts:
        """Return whose side-job hazards are shifted in ``month``: participants, and former ones as it fades."""
        value = self.plan.values
        half_life = max(value["half_life_months"], 1e-9)
        keep = month - self._former_since <= FADED * half_life
        if not keep.all():
            self._former, self._former_since = self._former[keep], self._former_since[keep]
            self._former_dose = self._former_dose[keep]
        left = self._former_dose * (0.5 ** (np.arange(month + 1) / half_life))[month - self._former_since]
        during = np.ones(len(self._enrolled))
        return Shifts(
            np.concatenate([self._enrolled, self._former]),
            np.concatenate([during * value["effect_start_during"], left * value["effect_start_after"]]),
            np.concatenate([during * value["effect_end_during"], left * value["effect_end_after"]]),
        )

    def paid_hours(self) -> tuple[np.ndarray, float]:
        """Return whom the project pays this month and for how many hours a week; nobody unless those hours count."""
        value = self.plan.values
        if not value.get("project_wage_counts"):
            return self._enrolled[:0], 0.0
        return self._enrolled, value["project_hours"]

    def events(self) -> Iterator[tuple[str, int, np.ndarray]]:
        """Yield (event, month, rows) in the order things happened."""
        for code, month, rows in self._log:
            yield EVENTS[code], month, rows

    def reserve(self, rows: np.ndarray, month: int, people: Population) -> np.ndarray:
        """Promise ``rows`` a place in the queue of ``month`` (next month) and return, for each, whether that is done.

        Promised are those whom the course could refer then: it takes people, they are of its target group and have not
        been referred to the activity before. Until they queue, no other channel refers them.
        """
        if not self.refers(month):
            return np.zeros(len(rows), dtype=bool)
        taken = (self.status.code[rows] == _NEW) & self._in_target_group(rows, month, people)
        self.status.code[rows[taken]] = _HANDED
        self._handed = np.concatenate([self._handed, rows[taken]])
        self._handed_for = np.concatenate([self._handed_for, np.full(taken.sum(), month, dtype=np.int16)])
        return taken

    def _note(self, event: str, month: int, rows: np.ndarray, status: int | None = None) -> None:
        self._log.append((_CODE[event], month, rows))
        if status is not None:
            self.status.code[rows] = status

    @staticmethod
    def _age(rows: np.ndarray, month: int, people: Population) -> np.ndarray:
        return month - people.birth[rows].astype(np.int64)

    def _in_target_group(self, rows: np.ndarray, month: int, people: Population) -> np.ndarray:
        age = self._age(rows, month, people)
        youngest, oldest = self._ages
        of_age = (age >= youngest) & (age < oldest)
        return of_age & self._member.take(people.state.take(rows)) & people.in_area.take(rows)

    def _finish(self, month: int, people: Population) -> None:
        rows, since = self._enrolled, self._enrolled_since
        months = month - since
        value = self.plan.values
        chance = -np.expm1(-value["attrition_per_month"])
        completed = months >= value["duration_months"]
        closed = ~completed & (month > self.last)
        outside = ~(completed | closed | self._in_target_group(rows, month, people))
        dropped = self._stream.draw(f"{self.plan.id}: attrition", month, rows) < chance
        dropped &= ~(completed | closed | outside)
        for event, who in (
            ("completed", completed),
            ("closed", closed),
            ("left_target_group", outside),
            ("dropped_out", dropped),
        ):
            self._note(event, month, rows[who], _DONE)
        ended = completed | closed | outside | dropped
        if ended.any():
            self._enrolled, self._enrolled_since = rows[~ended], since[~ended]
            dose = np.minimum(months[ended] / value["duration_months"], 1.0)
            self._let_go(rows[ended], dose, ~dropped[ended], month, people)

    def _let_go(
        self,
        rows: np.ndarray,
        dose: np.ndarray,
        to_the_end: np.ndarray,
        month: int,
        people: Population,
    ) -> None:
        """Hand ``rows`` who did not drop out over, and let the effect last for all who are not lost in the gap."""
        bridged = self._bridge(rows, to_the_end, month, people)
        kept = bridged | (self._age(rows, month, people) >= 12 * self.plan.values.get("gap_age", 0.0))
        self._former = np.concatenate([self._former, rows[kept]])
        self._former_since = np.concatenate([self._former_since, np.full(kept.sum(), month, dtype=np.int16)])
        self._former_dose = np.concatenate([self._former_dose, dose[kept]])
        self.lost = rows[~kept]

    def _bridge(self, rows: np.ndarray, offered: np.ndarray, month: int, people: Population) -> np.ndarray:
        """Hand ``rows`` over, where ``offered``, to the first follow-on course that takes them; return who is taken."""
        bridged = np.zeros(len(rows), dtype=bool)
        if not self._follow_on:
            return bridged
        chance = self.plan.values["bridge_probability"]
        willing = offered & (self._stream.draw(f"{self.plan.id}: bridge", month, rows) < chance)
        for course in self._follow_on:
            still = np.flatnonzero(willing & ~bridged)
            bridged[still] = course.reserve(rows[still], month + 1, people)
        return bridged

    def _thin_queue(self, month: int, people: Population) -> None:
        rows = self._waiting
        tired = month - self._waiting_since > self.plan.values["patience_months"]
        outside = ~self._in_target_group(rows, month, people) | (month > self.last)
        self._note("gave_up", month, rows[tired & ~outside], _UNSERVED)
        self._note("left_queue", month, rows[outside], _UNSERVED)
        keep = ~(tired | outside)
        self._waiting, self._waiting_since = rows[keep], self._waiting_since[keep]

    def _refer(self, month: int, people: Population) -> None:
        self._look_up(month, people)
        rows, chance = self._reached(month, people)
        heard = self._stream.draw(f"{self.plan.id}: referral", month, rows) < chance
        referred = rows[heard]
        says_yes = self._stream.draw(f"{self.plan.id}: take-up", month, referred) < self._take_up(referred, people)
        handed = self._received(month, people)
        queued = np.concatenate([handed, referred[says_yes]])
        order = np.argsort(self._stream.draw(f"{self.plan.id}: queue", month, queued), kind="stable")
        queued = queued[order]
        self._note("referred", month, np.concatenate([handed, referred]))
        self._note("declined", month, referred[~says_yes], _DONE)
        self._note("queued", month, queued, _WAITING)
        self._waiting = np.concatenate([self._waiting, queued])
        self._waiting_since = np.concatenate([self._waiting_since, np.full(len(queued), month, dtype=np.int16)])

    def _take_up(self, rows: np.ndarray, people: Population) -> np.ndarray:
        """Return each one's chance of saying yes: the odds without any trait times the odds ratios of the traits."""
        value = self.plan.values
        odds = np.full(len(rows), value["take_up"] / max(1 - value["take_up"], 1e-12))
        for id, has in TRAITS.items():
            odds *= np.where(has(people, rows), value.get(id, 1.0), 1.0)
        return odds / (1 + odds)

    def _look_up(self, month: int, people: Population) -> None:
        """Keep the rows who may be referred by their age now or soon: all anew once a year, else newcomers only."""
        until, known = self._looked_up
        if month >= until:
            until, known = month + _LOOK_AHEAD, 0
            self._candidates = self._candidates[:0]
        if known < len(people):
            birth = people.birth[known:]
            youngest, oldest = self._ages
            of_age = (birth > month - oldest) & (birth < until - youngest)
            rows = known + np.flatnonzero(of_age & (self.status.code[known:] <= _HANDED))
            self._candidates = np.concatenate([self._candidates, rows])
        self._looked_up = until, len(people)

    def _reached(self, month: int, people: Population) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows who may hear of the course this month and each one's chance of being referred."""
        rows = self._candidates
        chance = self._chance.take(self._age(rows, month, people), mode="clip")
        mine = (chance > 0) & (self.status.code.take(rows) == _NEW)
        mine &= self._member.take(people.state.take(rows)) & people.in_area.take(rows)
        for status in self._before:
            mine &= status.code.take(rows) != _ENROLLED
        at = np.flatnonzero(mine)
        return rows.take(at), chance.take(at)

    def _received(self, month: int, people: Population) -> np.ndarray:
        """Return the rows handed over last month who can still join; the others may be referred another time."""
        due = self._handed_for == month
        if not due.any():
            return self._handed[:0]
        rows = self._handed[due]
        self._handed, self._handed_for = self._handed[~due], self._handed_for[~due]
        can = self._in_target_group(rows, month, people)
        self.status.code[rows[~can]] = _NEW
        return rows[can]

    def _enrol(self, month: int) -> np.ndarray:
        """Fill the free places of each replicate from the head of its queue."""
        if month > self.last:
            return self._waiting[:0]
        block = self._stream.block[self._waiting]
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
        return np.bincount(self._stream.block[rows], minlength=len(self._stream.replicates))

    def _count(self, month: int, before: int) -> None:
        counts = np.zeros((len(EVENTS), len(self._stream.replicates)), dtype=np.int64)
        for code, _, rows in self._log[before:]:
            counts[code] += self._per_replicate(rows)
        flows = dict(zip(EVENTS, counts, strict=True))
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


def _referral_chances(values: Mapping[str, float], ages: tuple[int, int]) -> np.ndarray:
    """Return the month's chance of being referred, by age in months; 0 outside ``ages`` (months).

    The hazard is the sum of the channels' reach times the ratio of the age.
    """
    by_age = np.ones(_OLDEST)
    given = sorted((int(id.removeprefix(SELECTION_AGE)), id) for id in values if id.startswith(SELECTION_AGE))
    for place, (age, id) in enumerate(given):
        by_age[12 * age if place else 0 :] = values[id]
    by_age[: ages[0]] = by_age[ages[1] :] = 0
    reach = sum(value for id, value in values.items() if id.startswith("reach_"))
    return -np.expm1(-reach * by_age)

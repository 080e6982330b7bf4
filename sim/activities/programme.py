"""All courses of a scenario together, month by month: who hears of them, queues, gets a place, finishes, is changed.

Courses propose (who is enrolled, whose hazards are shifted how, who is paid, who takes an opening or is clarified);
only the model writes to the residents. Every choice is a draw of that resident for that item, so nobody's course
depends on the order of the file. What all courses do in a month is done at once, with a column that says which course
each entry belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..eligibility import GROUPS, group_of
from ..engine.entries import (
    Ends,
    Luck,
    Queues,
    Stands,
    Target,
    Terms,
    Who,
    admitted,
    endings,
    handed_to,
    heard,
    in_target_group,
    now_in,
    of_target_group,
    packed,
    room_for,
    stand,
    standing,
)
from ..engine.streams import Stream, mix, moment_key, subject_key
from ..population import Population
from ..scenario import ActivityPlan, Closure, month_number
from ..states import CODE, STATES
from . import ActivityType, catalogue
from .acting import Acting, Now, Past
from .base import (
    CLARIFIED,
    CODE_OF,
    ENROLLED,
    EVENTS,
    FORMS,
    HANDED,
    NEW,
    OUTCOMES,
    THEN,
    TRAITS,
    UNCHANGED,
    UNSERVED,
    WAITING,
    QueueMonth,
    Shifts,
)
from .cards import quality_of
from .reach import Hearing

_PAST = {"course": np.int16, "row": np.int32, "month": np.int16, "dose": np.float64}
_NONE = np.empty((3, 0), dtype=np.int64)
_NOBODY = np.empty(0, dtype=np.int64)
_AWAY = np.uint8(255)
"""Instead of a state: not in the area."""
_STAYS = len(EVENTS)
"""Code of no event."""
_ENDS = Ends(*(CODE_OF.get(name, _STAYS) for name in Ends._fields))
_THEN = np.array(list(THEN.values()), dtype=np.uint8)
_STANDS = Stands(NEW, HANDED, ENROLLED)
_CLARIFIED = np.array([CODE_OF[event] for event in CLARIFIED])
FULL_WEEK = 37.0
"""Hours of a full-time working week."""
RULE_225_FROM = "2016-04"
"""First month of the 225-hour rule (evidence ``rule_225_hours``)."""
NEWCOMERS_A_MONTH = 0.012
"""Room made at once for those who will move in, as a share of the residents; memory not written to costs nothing."""
_LONGEST = 1200
"""Months after which nothing of a grant is left."""


def _entries(course: np.ndarray, row: np.ndarray, month: np.ndarray | int) -> np.ndarray:
    """Return entries, shape (3, entries): course, row and month of each."""
    found = np.empty((3, len(row)), dtype=np.int64)
    found[0], found[1], found[2] = course, row, month
    return found


def _of(entries: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Return the entries at ``which`` (mask or indices)."""
    return entries.take(which.nonzero()[0] if which.dtype == bool else which, axis=1)


def _together(*entries: np.ndarray) -> np.ndarray:
    filled = [some for some in entries if some.shape[1]]
    return filled[0] if len(filled) == 1 else np.concatenate(filled, axis=1) if filled else _NONE


class Course:
    """One activity item of a scenario, running in all stacked replicates at once: what it is and what came of it."""

    def __init__(self, plan: ActivityPlan, type: ActivityType, start: int, programme: Programme, code: int) -> None:
        self.plan = plan
        self.type = type
        self.first = month_number(plan.start) - start
        self.last = month_number(plan.end) - start
        self._programme = programme
        self._code = code

    def events(self) -> Iterator[tuple[str, int, np.ndarray]]:
        """Yield (event, month, rows) in the order things happened."""
        yield from self._programme.events_of(self._code)

    @property
    def unserved(self) -> np.ndarray:
        """Who has queued for the item's activity without getting a place so far, by row."""
        return self._programme.unserved_by(self._code)

    @property
    def queue_months(self) -> list[QueueMonth]:
        """The months from the item's start until nobody is left in it."""
        return self._programme.queue_months(self._code)

    @property
    def participants_matter_to_each_other(self) -> bool:
        """Whether what a course does to one depends on who else takes part."""
        shared = ("staff", "effect_role_models", "effect_alumni_signal", "contacts_per_month")
        return any(self.plan.values.get(id, 0) > 0 for id in shared)

    def shifts(self, month: int) -> Shifts:
        """Return whose leisure-job hazards are shifted in ``month``: participants, and former ones as it fades."""
        courses, rows, shifts = self._programme.shifted(month)
        mine = courses == self._code
        return Shifts(rows[mine], *shifts[:, mine])


class Happened(NamedTuple):
    """What courses ask of the model in a month, rows of residents in each.

    ``affected`` are those whose hazards courses may change from now on. ``lost`` lose the leisure job they have only
    because of a course. ``occupied`` begin and ``released`` end an offer that fills the week. ``moved`` come into the
    states ``to``; ``leisure_jobs`` and ``small_jobs`` begin such a job.
    """

    affected: np.ndarray
    lost: np.ndarray
    occupied: np.ndarray
    released: np.ndarray
    moved: np.ndarray
    to: np.ndarray
    leisure_jobs: np.ndarray
    small_jobs: np.ndarray


NOTHING = Happened(*(_NOBODY,) * len(Happened._fields))


class Programme:
    """The courses of ``plans``, in the order of their ids, among ``rows`` residents of all stacked replicates.

    ``start`` is the number of the month that the run counts from, ``closures`` are the months in which nobody attends.
    """

    def __init__(
        self,
        plans: Sequence[ActivityPlan],
        stream: Stream,
        start: int,
        rows: int,
        closures: Sequence[Closure] = (),
        months: int = _LONGEST,
    ) -> None:
        types = catalogue()
        plans = sorted(plans, key=lambda plan: plan.id)
        self.courses = [Course(plan, types[plan.activity], start, self, code) for code, plan in enumerate(plans)]
        self.log: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]] = []
        """What happened, step after step of a month: month, codes of the events, courses, rows."""
        self._told: list[list[tuple[str, int, np.ndarray]]] = [[] for _ in plans]
        self._told_of = 0
        self._stream = stream
        self._rule_from = month_number(RULE_225_FROM) - start
        self._subjects = np.array([subject_key(plan.id) for plan in plans], dtype=np.uint64)
        activities = sorted({plan.activity for plan in plans})
        self._activity = np.array([activities.index(plan.activity) for plan in plans], dtype=np.int64)
        room = int(rows * (1 + NEWCOMERS_A_MONTH * months))
        self._room = len(plans), len(activities)
        self._table, self._held = room_for(room, *self._room)
        self._kind = np.array([types[plan.activity].kind for plan in plans], dtype=object)
        self._read(plans, [types[plan.activity] for plan in plans], months)
        self._none = np.zeros(len(plans), dtype=bool)
        self._closures = [
            (month_number(c.start) - start, month_number(c.end) - start, self._closed_by(c)) for c in closures
        ]
        following = {activity: types[activity].follow_on for activity in activities}
        follows = _table(
            [[c for to in following[a] for c, p in enumerate(plans) if p.activity == to] for a in activities]
        )
        before = _table([[b for b, a in enumerate(activities) if to in following[a]] for to in activities])
        self._queues = Queues(self._activity, self._first, self._until, before, follows)
        self._brings = [
            [to for to, other in enumerate(plans) if other.activity in course.type.brings_to] for course in self.courses
        ]
        self._has_next: np.ndarray = np.any(follows >= 0, axis=1)
        taken = np.where(self._kind == "lever", -1, self._until)
        factor = self._reach_factors(plans, months)
        values, kinds = [plan.values for plan in plans], [course.type for course in self.courses]
        self._hearing = Hearing(values, kinds, self._target, (self._first, taken), factor, stream, self._subjects)
        self._known = 0
        self._handed = self._waiting = self._enrolled = _NONE
        self._relation = self._received = np.empty(0)
        self._ended: list[np.ndarray] = []
        self._opens = np.empty((len(plans), 0), dtype=np.int64)
        self._under = _NONE
        self._now = Now(np.empty((2, 0), dtype=np.int64), np.empty(0))
        self._past = Past(_PAST)
        self._alumni = np.zeros((len(plans), len(stream.replicates)), dtype=np.int64)
        self._contacted = _NONE
        self._counted: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]] = []
        self._traits = np.zeros(room, dtype=np.uint8)
        self._group = np.zeros(room, dtype=np.uint8)
        self._seen = np.full(room, _AWAY, dtype=np.uint8)
        self.busy = np.zeros(room, dtype=bool)
        """Whose week a course fills, by row."""
        self._covered = np.zeros((len(plans) if self._wide.any() else 0, room), dtype=bool)
        self._place = np.full(room, -1, dtype=np.int32)
        """Where looking up shifts has a resident in its answer; -1 for all others and in between."""

    def _read(self, plans: Sequence[ActivityPlan], types: Sequence[ActivityType], months: int) -> None:
        """Read the numbers of all courses, one array a number."""

        def of(id: str, otherwise: float = 0.0) -> np.ndarray:
            return np.array([plan.values.get(id, otherwise) for plan in plans], dtype=np.float64)

        def has(name: str) -> np.ndarray:
            return np.array([bool(getattr(type, name)) for type in types], dtype=bool)

        self._first = np.array([course.first for course in self.courses], dtype=np.int64)
        self._last = np.array([course.last for course in self.courses], dtype=np.int64)
        self._places = np.array([plan.places for plan in plans], dtype=np.int64)
        self._survival = np.stack([of("survival_share"), np.maximum(of("survival_half_life_months"), 1e-9)])
        self._until = self._last_places(months)
        youngest = np.ceil(12 * of("age_from")).astype(np.int64)
        oldest = np.ceil(12 * (of("age_to") + 1)).astype(np.int64)
        member = np.zeros((len(plans), len(STATES)), dtype=bool)
        stays = np.zeros((len(plans), len(STATES)), dtype=bool)
        allowed = np.zeros((len(plans), GROUPS), dtype=bool)
        for at, type in enumerate(types):
            member[at, type.eligibility.state_codes] = True
            stays[at, [*type.eligibility.state_codes, *(CODE[state] for state in type.stays)]] = True
            allowed[at] = type.eligibility.groups
        self._target = Target(youngest, oldest, member, allowed)
        self._remains = Target(youngest, oldest, stays, allowed)
        leave = -np.expm1(-of("attrition_per_month"))
        self._terms = Terms(of("duration_months", 1.0), leave, of("patience_months"), self._until)
        self._gap = 12 * of("gap_age")
        self._bridge_chance = of("bridge_probability")
        self._paid = np.where(of("project_wage_counts") > 0, of("project_hours"), 0.0)
        odds = np.tile(of("take_up") / np.maximum(1 - of("take_up"), 1e-12), (1 << len(TRAITS), 1))
        for bit, id in enumerate(TRAITS):
            odds *= np.where((np.arange(len(odds)) >> bit & 1)[:, None], of(id, 1.0), 1.0)
        self._take_up = odds / (1 + odds)
        """Chance of saying yes by traits and course: the odds without any trait times the odds ratios of the traits."""
        points = [len(plan.missing_drivers) + len(plan.hindrances) for plan in plans]
        quality = np.array(
            [quality_of(plan.values, n) for plan, n in zip(plans, points, strict=True)], dtype=np.float64
        )
        self._acting = Acting([plan.values for plan in plans], types, self._stream.engine, quality)
        self._on_side_jobs = self._acting.on_side_jobs()
        self._virtual = of("virtual_quality", 1.0)
        self._staff, self._staff_hours = of("staff"), of("staff_hours_per_week", FULL_WEEK)
        self._caseload, self._elasticity = of("caseload_per_staff"), of("caseload_elasticity")
        self._build, self._turnover = of("relation_months"), -np.expm1(-of("staff_turnover_per_month"))
        self._clarifies = -np.expm1(-of("clarification_per_month"))
        outcomes = np.stack([of(id) for id in OUTCOMES])
        self._outcomes = np.cumsum(outcomes, axis=0)
        self._additional = self._places * of("additional_share") * quality
        self._contact = -np.expm1(-of("contacts_per_month"))
        self._active, self._alumni_full = of("active_months"), np.maximum(of("alumni_full", 1.0), 1.0)
        self._occupies, self._partner = has("occupies"), np.array([type.acts_on == "partner" for type in types])
        self._gives = np.array([type.gives for type in types], dtype=object)
        by_rule = self._acting.acts("rule")
        self._ruled = np.flatnonzero(by_rule)
        self._wide = (self._kind == "lever") & (self._acting.acts("itself") | by_rule)
        """Levers that act on everybody of their target group."""
        self._lasts = self._acting.lasts()
        self._lasts[: len(plans)] |= self._contact > 0
        self._acts = np.any([self._acting.acts(way) for way in ("itself", "role models")], axis=0)
        """Courses that act on their participants while they last."""
        self._weighs = (quality < 1) | (self._staff > 0) | (self._build > 0)
        """Courses in which a place may count less than fully, closures aside."""
        self._priority = [at for at, plan in enumerate(plans) if plan.priority != "first_come"]

    def _last_places(self, months: int) -> np.ndarray:
        """Return the last month in which each course has places: that of the grant, or when what survives is gone."""
        share, half_life = self._survival
        left = np.arange(1, months + 1)
        places = np.floor(self._places[:, None] * share[:, None] * 0.5 ** (left / half_life[:, None]) + 0.5)
        return self._last + (places >= 1).sum(axis=1)

    def _places_in(self, months: np.ndarray) -> np.ndarray:
        """Return the places of each course in some months, shape (courses, months)."""
        share, half_life = self._survival[:, :, None]
        over = np.maximum(months - self._last[:, None], 0)
        left = np.floor(self._places[:, None] * share * 0.5 ** (over / half_life) + 0.5)
        return np.where(over > 0, left, self._places[:, None]).astype(np.int64)

    def _closed_by(self, closure: Closure) -> np.ndarray:
        """Return which courses a closure concerns."""
        return np.array([closure.concerns(course.plan.id) for course in self.courses], dtype=bool)

    def _form(self, *forms: str) -> np.ndarray:
        return np.array([course.type.form in forms for course in self.courses], dtype=bool)

    def _closed(self, month: int, *forms: str) -> np.ndarray:
        """Return which courses of some forms nobody attends in ``month``."""
        found = self._none
        for first, last, concerned in self._closures:
            if first <= month <= last:
                found = found | concerned & self._form(*forms)
        return found

    def _reach_factors(self, plans: Sequence[ActivityPlan], months: int) -> np.ndarray:
        """Return what the channels of each course are multiplied by, shape (courses, months of the run + 1)."""
        factor = np.ones((len(plans), months + 1))
        for lever, course, quality in zip(plans, self.courses, self._acting.quality, strict=True):
            raised = course.type.raises_reach_of
            if raised:
                by = 1 + (lever.values["reach_factor"] - 1) * quality
                for at, other in enumerate(plans):
                    if other.activity in raised or "all" in raised:
                        factor[at, max(course.first, 0) : course.last + 1] *= by
        for first, last, _ in self._closures:
            for month in range(max(first, 0), min(last, months) + 1):
                factor[self._closed(month, "placement"), month] = 0.0
        return factor

    def run_month(self, month: int, people: Population) -> Happened:
        """Run every course for one month.

        In this order: participants are clarified, finish or leave, some give up waiting, new ones are referred and
        queue, and free places go to those whose turn it is (ties by the resident's own draw).
        """
        self._grow(people)
        runs = (self._first <= month) & (month <= self._until)
        runs[self._enrolled[0]] = runs[self._waiting[0]] = runs[self._lately(month)[0]] = True
        if not runs.any():
            self._now = Now(np.empty((2, 0), dtype=np.int64), np.empty(0))
            return NOTHING
        before = len(self.log)
        self._ended.clear()
        who, changed, states_before = self._look(people)
        self._pause(month)
        clarified, to = self._clarify(month, people)
        lost = self._leave(month, people, who)
        self._refer(month, people, who, self._hearing.due(month, who, changed, states_before))
        entered, offered, states, jobs = self._enrol(month, people)
        began = self._enrolled[:, self._enrolled.shape[1] - len(entered) :]
        affected = np.concatenate([entered[self._on_side_jobs[began[0]]], self._cover(month, who, people)])
        self._weigh(month, people)
        self._count(month, runs, before)
        moved, to = np.concatenate([clarified, offered]), np.concatenate([to, states])
        occupied, ended = began[1, self._occupies[began[0]]], _together(*self._ended)
        left = ended[1, self._occupies[ended[0]]]
        self.busy[left] = False
        self.busy[self.occupied()] = True
        released = left[~self.busy[left]]
        return Happened(affected, lost, occupied, released, moved, to, *jobs)

    def _grow(self, people: Population) -> None:
        """Hold all residents: those appended since have not heard of any activity."""
        rows, room = len(people), len(self._table)
        if rows > room:
            more = rows - room + room // 4
            table = self._table
            self._table, self._held = room_for(room + more, *self._room)
            self._table[:room] = table
            self._covered = _wider(self._covered, more, 0)
            self._place = np.full(len(self._table), -1, dtype=np.int32)
            self._traits, self._group = _wider(self._traits, more, 0), _wider(self._group, more, 0)
            self.busy = _wider(self.busy, more, 0)
            self._seen = _wider(self._seen, more, int(_AWAY))
        if rows > self._known:
            new = slice(self._known, rows)
            for bit, has in enumerate(TRAITS.values()):
                self._traits[new] |= has(people, new).astype(np.uint8) << np.uint8(bit)
            self._group[new] = group_of(people.sex[new], people.origin[new], people.barriers[new])
            self._held.packed[new] = packed(people.birth[new], self._group[new], self._traits[new])
            self._held.keys[new] = self._stream.keys[new]
            self._known = rows

    def _look(self, people: Population) -> tuple[Who, np.ndarray, np.ndarray]:
        """Return what target groups depend on, the rows whose state is another than when last looked at, and from what.

        Who is not in the area is in no state (255).
        """
        rows = len(people)
        # All bits of the state are set for who is not in the area: 0 - 1 is 255.
        here = people.state | (people.in_area.view(np.uint8) - np.uint8(1))
        changed = np.flatnonzero(self._seen[:rows] != here)
        before = self._seen[changed]
        self._seen[:rows] = here
        columns = (people.birth, people.state, self._group[:rows], people.in_area, self._traits[:rows])
        numbers = self._held.packed
        numbers[changed] = now_in(numbers[changed], people.state[changed], people.in_area[changed])
        return Who(*columns, *self._held), changed, before

    # --- the steps of a month

    def _note(self, month: int, happened: np.ndarray, entries: np.ndarray) -> None:
        """Log what ``happened`` (codes of events) to each of ``entries``, and where that leaves the residents."""
        if len(happened):
            course, row, _ = entries
            self.log.append((month, happened, course, row))
            then = _THEN[happened]
            changed = then != UNCHANGED
            self._stand(row[changed], course[changed], then[changed])

    def _note_all(self, month: int, event: str, entries: np.ndarray) -> None:
        """Log that ``event`` happened to all ``entries``."""
        if entries.shape[1]:
            course, row, _ = entries
            self.log.append((month, np.full(len(row), CODE_OF[event]), course, row))
            if THEN[event] != UNCHANGED:
                self._stand(row, course, THEN[event])

    def _stand(self, row: np.ndarray, course: np.ndarray, code: np.ndarray | int) -> None:
        """Let residents stand with the activities of courses as the codes say."""
        codes = np.broadcast_to(np.uint8(code), row.shape)
        stand(self._stream.engine, self._held.status, row, self._activity[course], codes)

    def _draw(self, decision: str, month: int, entries: np.ndarray, occurrence: int = 0) -> np.ndarray:
        """Return each one's draw for ``decision`` about that course."""
        course, row, _ = entries
        return self._stream.draw(decision, month, row, occurrence, self._subjects[course])

    def _pause(self, month: int) -> None:
        """Let the time of those in a suspended course stand still, and their relation to its staff."""
        still = self._closed(month - 1, "placement")
        if still.any():
            paused = still[self._enrolled[0]]
            self._enrolled[2, paused] += 1
            self._relation[paused] += 1

    def _clarify(self, month: int, people: Population) -> tuple[np.ndarray, np.ndarray]:
        """Clarify participants' capacity for work; return the rows that come into another state, and which."""
        chance = np.where(self._closed(month, "placement"), 0.0, self._clarifies)[self._enrolled[0]]
        asked = np.flatnonzero(chance)
        if not len(asked):
            return _NOBODY, _NOBODY
        chance = chance * self._acting.quality[self._enrolled[0]]
        found = asked[self._draw("clarification", month, _of(self._enrolled, asked)) < chance[asked]]
        clarified = _of(self._enrolled, found)
        luck = self._draw("outcome of clarification", month, clarified)
        outcome = (luck >= self._outcomes[:, clarified[0]]).sum(axis=0)
        self._note(month, _CLARIFIED[outcome], clarified)
        everybody = np.ones(len(found), dtype=bool)
        self._end(found, everybody, everybody, month, people)
        states = np.array([CODE.get(state, 255) for state in CLARIFIED.values()])[outcome]
        return clarified[1, states < 255], states[states < 255]

    def _leave(self, month: int, people: Population, who: Who) -> np.ndarray:
        """Let participants finish or leave, and some give up waiting; return who are lost in the gap."""
        all, enrolled = _together(self._enrolled, self._waiting), self._enrolled.shape[1]
        luck = Luck(self._subjects, moment_key("attrition", month))
        groups = self._remains, self._target
        happens = endings(self._stream.engine, all, enrolled, month, *groups, who, luck, self._terms, _ENDS)
        goes = np.flatnonzero(happens != _STAYS)
        if not len(goes):
            return _NOBODY
        happened, gone = happens[goes], _of(all, goes)
        self._note(month, happened, gone)
        ended = int(np.searchsorted(goes, enrolled))
        self._waiting = _of(self._waiting, happens[enrolled:] == _STAYS)
        return self._let_go(goes[:ended], happened[:ended] != CODE_OF["dropped_out"], month, people, who)

    def _let_go(self, at: np.ndarray, to_the_end: np.ndarray, month: int, people: Population, who: Who) -> np.ndarray:
        """Hand over those enrolled ``at`` who did not drop out, let the effect last for all not lost in the gap."""
        gone = _of(self._enrolled, at)
        course, row, _ = gone
        kept = month - people.birth[row].astype(np.int64) >= self._gap[course]
        kept[self._bridge(gone, to_the_end, month, who)] = True
        self._end(at, kept, to_the_end, month, people)
        return row[~kept]

    def _end(self, at: np.ndarray, kept: np.ndarray, alumni: np.ndarray, month: int, people: Population) -> None:
        """End the places of those enrolled ``at``; the effect lasts for those ``kept``, on whom it is meant for.

        Employers know the ``alumni``: the more of them so far, the stronger the signal for those who leave now.
        """
        course, row, _ = _of(self._enrolled, at)
        dose = np.minimum(self._received[at] / self._terms.duration[course], 1.0)
        block = self._stream.block[row]
        np.add.at(self._alumni, (course[alumni], block[alumni]), 1)
        helped = self._helped(course, row, people)
        kept = kept & (helped >= 0)
        self._remember(course[kept], helped[kept], month, dose[kept])
        known = np.flatnonzero(kept & alumni & self._acting.acts("alumni")[course])
        if len(known):
            of, full = course[known], self._alumni_full[course[known]]
            signal = dose[known] * np.minimum(self._alumni[of, block[known]] / full, 1.0)
            self._remember(self._acting.part(of, "alumni"), helped[known], month, signal)
        stays = np.ones(self._enrolled.shape[1], dtype=bool)
        stays[at] = False
        self._ended.append(_of(self._enrolled, at))
        self._enrolled = _of(self._enrolled, stays)
        self._relation, self._received = self._relation[stays], self._received[stays]

    def _helped(self, course: np.ndarray, row: np.ndarray, people: Population) -> np.ndarray:
        """Return on whom courses act: participants, or their partners (-1: there is none)."""
        of_partner = self._partner[course].nonzero()[0]
        if len(of_partner):
            row = row.copy()
            row[of_partner] = people.partner(row[of_partner])
        return row

    def _remember(self, part: np.ndarray, row: np.ndarray, month: int, dose: np.ndarray) -> None:
        """Keep those whose course goes on acting after its end, or who go on meeting people."""
        kept = self._lasts[part]
        part, row, dose = part[kept], row[kept], dose[kept]
        self._past.append(len(row), {"course": part, "row": row, "month": month, "dose": dose})

    def _bridge(self, gone: np.ndarray, offered: np.ndarray, month: int, who: Who) -> np.ndarray:
        """Promise those ``offered`` a place in next month's queue of a follow-on course; return whom (indices).

        It is the first course that takes them: it takes people then, they are of its target group and have not been
        referred to the activity before. Until they queue, no other channel refers them.
        """
        course = gone[0]
        asked = np.flatnonzero(offered & self._has_next[self._activity[course]])
        if not len(asked):
            return asked
        asked = asked[self._draw("bridge", month, _of(gone, asked)) < self._bridge_chance[course[asked]]]
        leaving = _of(gone, asked)
        engine = self._stream.engine
        to = handed_to(engine, leaving, month + 1, self._queues, self._target, who, _STANDS)
        taken = np.flatnonzero(to >= 0)
        handed = _entries(to[taken], leaving[1, taken], month + 1)
        self._stand(handed[1], handed[0], HANDED)
        self._handed = _together(self._handed, handed)
        return asked[taken]

    def _refer(self, month: int, people: Population, who: Who, due: np.ndarray) -> None:
        """Refer whom channels or participants reach now and who can be referred, and those handed over."""
        referred, says_yes = self._reach_people(month, due, who)
        if self._contact.any():
            self._contacted = self._bring(month, people, who)
        handed = self._received_over(month, who)
        queued = _together(handed, _of(referred, says_yes))
        queued = _of(queued, np.argsort(self._draw("queue", month, queued), kind="stable"))
        declined = _of(referred, ~says_yes)
        self._note_all(month, "referred", _together(handed, referred))
        self._note_all(month, "declined", declined)
        self._note_all(month, "queued", queued)
        self._waiting = _together(self._waiting, queued)

    def _reach_people(self, month: int, due: np.ndarray, who: Who) -> tuple[np.ndarray, np.ndarray]:
        """Return who is referred this month, of those ``due`` and those brought along, and who of them says yes."""
        brought, hearing, stream = self._contacted, self._hearing, self._stream
        self._contacted = _NONE
        all, first = _together(brought, due), brought.shape[1]
        luck = Luck(self._subjects, moment_key("channel", month))
        can, yes, again = heard(
            stream.engine,
            all,
            first,
            month,
            self._target,
            hearing.hears,
            who,
            hearing.chances(month),
            luck,
            moment_key("take-up", month),
            self._queues,
            _STANDS,
            self._take_up,
        )
        hearing.again(_of(all, again))
        return _of(all, can), yes

    def _in_target_group(self, entries: np.ndarray, month: int, who: Who) -> np.ndarray:
        return in_target_group(self._stream.engine, entries, month, self._target, who)

    def _bring(self, month: int, people: Population, who: Who) -> np.ndarray:
        """Let participants, present and former, bring somebody; return entries of next month."""
        some = self._contact[self._enrolled[0]] > 0
        members = _together(_of(self._enrolled, some), self._lately(month))
        there = who.in_area[members[1]] & (who.state[members[1]] != CODE["gone"])
        goes = there & (self._draw("contact", month, members) < self._contact[members[0]])
        members = _of(members, goes)
        found = []
        for course in np.unique(members[0]).tolist():
            mine = _of(members, members[0] == course)
            among = self._contactable(course, month, who)
            block = self._stream.block[among]
            first = np.searchsorted(block, np.arange(len(self._stream.replicates) + 1))
            number = np.diff(first)[self._stream.block[mine[1]]]
            pick = (self._draw("whom", month, mine) * number).astype(np.int64)
            somebody = number > 0
            chosen = among[(first[self._stream.block[mine[1]]] + pick)[somebody]]
            met = np.unique(chosen[chosen != mine[1, somebody]])
            entries = _entries(np.full(len(met), course), met, month)
            self._note_all(month, "contacted", entries)
            if self._acting.acts("contacts")[course]:
                self._remember(self._acting.part(entries[0], "contacts"), met, month, np.ones(len(met)))
            for to in self._brings[course]:
                if self._first[to] <= month + 1 <= self._until[to]:
                    found.append(_entries(np.full(len(met), to), met, month + 1))
        return _together(*found)

    def _lately(self, month: int) -> np.ndarray:
        """Return entries of former participants who still bring people to ``month``."""
        if not self._contact.any():
            return _NONE
        past = self._past
        of = past.course % len(self.courses)
        lately = (past.course < len(self.courses)) & (self._contact[of] > 0)
        lately &= month - past.month <= self._active[of]
        return _entries(past.course[lately], past.row[lately], month)

    def _contactable(self, course: int, month: int, who: Who) -> np.ndarray:
        """Return the rows, ascending by replicate, of whom members of a course can meet."""
        among = self.courses[course].type.contacts_among or self.courses[course].type.eligibility
        suits = np.isin(who.state, among.state_codes) & among.groups[who.group]
        rows = of_target_group(course, month, self._target, who, suits)
        return rows[np.argsort(self._stream.block[rows], kind="stable")]

    def _received_over(self, month: int, who: Who) -> np.ndarray:
        """Return those handed over last month who can still join; the others may be referred another time."""
        if not self._handed.shape[1]:
            return _NONE
        due = self._handed[2] == month
        handed = _of(self._handed, due)
        if handed.shape[1]:
            self._handed = _of(self._handed, ~due)
            can = self._in_target_group(handed, month, who)
            course, row, _ = _of(handed, ~can)
            self._stand(row, course, NEW)
            handed = _of(handed, can)
        return handed

    def _enrol(
        self, month: int, people: Population
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """Fill the free places of each course and replicate from the head of its queue.

        Return the rows that have a place, those that take an opening into a state and the states, and those whose
        opening is a leisure job or a small job.
        """
        if self._priority:
            self._put_in_order(month, people)
        waiting = self._waiting
        taken = np.bincount(self._groups(*self._enrolled[:2]), minlength=self._n_groups)
        open = self._open(month)
        if self._closures:
            open = np.where(self._closed(month, "placement"), 0, open)
        free = np.repeat(open, len(self._stream.replicates)) - taken
        placed = admitted(self._stream.engine, self._groups(*waiting[:2]), free)
        entered = _of(waiting, placed)
        entered[2] = month
        self._note_all(month, "enrolled", entered)
        self._waiting = _of(waiting, ~placed)
        offers = self._kind[entered[0]] == "opening"
        offered, entered = _of(entered, offers), _of(entered, ~offers)
        self._note_all(month, "took_opening", offered)
        self._enrolled = _together(self._enrolled, entered)
        self._relation = np.concatenate([self._relation, np.full(entered.shape[1], float(month))])
        self._received = np.concatenate([self._received, np.zeros(entered.shape[1])])
        gives = self._gives[offered[0]]
        states = np.array([CODE.get(state, 255) for state in gives], dtype=np.int64)
        jobs = offered[1, gives == "leisure_job"], offered[1, gives == "small_job"]
        return entered[1], offered[1, states < 255], states[states < 255], jobs

    def _open(self, month: int) -> np.ndarray:
        """Return what each course has in ``month``, closures aside: places, or additional openings.

        Openings are whole ones, as they add up since the course's start.
        """
        if month >= self._opens.shape[1]:
            months = np.arange(2 * month + 12)
            since = np.maximum(months + 1 - self._first[:, None], 0)
            added = np.floor(np.stack([since, np.maximum(since - 1, 0)]) * self._additional[:, None] + 1e-9)
            opening = (self._kind == "opening")[:, None]
            opens = np.where(opening, added[0] - added[1], self._places_in(months)).astype(np.int64)
            shut = (months < self._first[:, None]) | (months > self._until[:, None])
            opens[shut | (self._kind == "lever")[:, None]] = 0
            self._opens = opens
        found: np.ndarray = self._opens[:, month]
        return found

    def _put_in_order(self, month: int, people: Population) -> None:
        """Put those with priority first in the queues of courses that have one; the others keep their order."""
        course, row, _ = self._waiting
        key = np.zeros(len(row))
        for at in self._priority:
            mine = course == at
            key[mine] = PRIORITIES[self.courses[at].plan.priority](people, row[mine], month)
        self._waiting = _of(self._waiting, np.argsort(key, kind="stable"))

    def _cover(self, month: int, who: Who, people: Population) -> np.ndarray:
        """Log whom levers in force and courses for partners act on for the first time; return their rows."""
        found = [_NOBODY]
        self._under = _NONE
        for course in np.flatnonzero(self._wide & (self._first <= month) & (month <= self._last)).tolist():
            rows = of_target_group(course, month, self._target, who)
            self._under = _together(self._under, _entries(np.full(len(rows), course), rows, month))
            new = rows[~self._covered[course, rows]]
            self._covered[course, new] = True
            self._note_all(month, "covered", _entries(np.full(len(new), course), new, month))
            found.append(new)
        own = _of(self._enrolled, self._partner[self._enrolled[0]] & (self._enrolled[2] == month))
        if own.shape[1]:
            partner = people.partner(own[1])
            own = _entries(own[0, partner >= 0], partner[partner >= 0], month)
            self._note_all(month, "covered", own)
            found.append(own[1])
        return np.concatenate(found)

    def _weigh(self, month: int, people: Population) -> None:
        """Find who is under which course's influence this month, and how strongly."""
        entries = self._enrolled
        weight = np.ones(entries.shape[1])
        suspended = self._closed(month, "placement")
        asked = np.flatnonzero((self._weighs | self._closed(month, *FORMS))[entries[0]])
        if len(asked):
            weight[asked] = self._weights(month, suspended, asked)
        self._received += weight
        course, row, _ = entries
        acts = self._acts[course]
        parts = [entries[:2, acts], self._under[:2]]
        weights = [weight[acts], self._acting.quality[self._under[0]]]
        if len(self._ruled) and month >= self._rule_from:
            ruled = self._under[:2, np.isin(self._under[0], self._ruled)]
            parts.append(np.stack([self._acting.part(ruled[0], "rule"), ruled[1]]))
            weights.append(self._acting.quality[ruled[0]])
        role = self._acting.acts("role models")
        if role.any():
            works = people.state[row] == CODE["employed"]
            group = self._groups(course, row)
            size = np.bincount(group, minlength=self._n_groups)
            share = np.bincount(group, weights=works, minlength=self._n_groups) / np.maximum(size - 1, 1)
            members = role[course] & ~works & ~self._closed(month, "group")[course]
            parts.append(np.stack([self._acting.part(course[members], "role models"), row[members]]))
            weights.append(weight[members] * share[group[members]])
        now, weight = np.concatenate(parts, axis=1), np.concatenate(weights)
        now[1] = self._helped(now[0] % max(len(self.courses), 1), now[1], people)
        there = now[1] >= 0
        self._now = Now(now[:, there], weight[there])

    def _weights(self, month: int, suspended: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """Return how strongly places ``asked`` about count: quality, contact with staff, and relation to them."""
        course, row, _ = _of(self._enrolled, asked)
        mode = np.where(self._closed(month, "group", "individual"), self._virtual, 1.0)
        mode[suspended] = 0.0
        weight = (self._acting.quality * mode)[course]
        group = self._groups(course, row)
        size = np.bincount(group, minlength=self._n_groups)[group]  # All of a course are asked about, or none.
        full = (self._staff * self._staff_hours / FULL_WEEK * self._caseload)[course]
        contact = np.where(full > 0, np.minimum(full / np.maximum(size, 1), 1.0), 1.0)
        weight *= contact ** self._elasticity[course]
        if (self._build > 0).any():
            self._relation[self._lose_contact(month)] = month
            build, since = self._build[course], self._relation[asked]
            weight *= np.where(build > 0, np.minimum((month - since + 1) / np.maximum(build, 1), 1.0), 1.0)
        return weight

    def _lose_contact(self, month: int) -> np.ndarray:
        """Return which places lose their member of staff: each leaves with all the participants he or she had."""
        course, row, _ = self._enrolled
        asked = np.flatnonzero(self._turnover[course])
        enough = np.ceil(self._places / np.maximum(self._caseload, 1))
        staff = np.maximum(np.where(self._staff > 0, self._staff, enough), 1)[course[asked]]
        whose = (self._draw("member of staff", 0, _of(self._enrolled, asked)) * staff).astype(int)
        keys = self._stream.lucks[self._stream.block[row[asked]]] ^ self._subjects[course[asked]]
        keys = mix(keys + whose.astype(np.uint64)) ^ moment_key("staff leaves", month)
        leaves = (mix(keys) >> np.uint64(11)) * 2.0**-53 < self._turnover[course[asked]]
        return asked[leaves]

    # --- what others ask

    def occupied(self) -> np.ndarray:
        """Return the rows whose week a course fills this month, some more than once."""
        found: np.ndarray = self._enrolled[1, self._occupies[self._enrolled[0]]]
        return found

    @property
    def moves(self) -> tuple[str, ...]:
        """Hazards other than those of side jobs that some course of the scenario changes."""
        return self._acting.names

    def moving(self, month: int) -> np.ndarray:
        """Return the rows whose moves some course changes in ``month``, some more than once."""
        return self._acting.moving(month, self._now, self._past)

    def move_shifts(self, month: int, rows: np.ndarray) -> np.ndarray:
        """Return by how much the log hazards of :attr:`moves` are shifted, shape (moves, rows)."""
        return self._acting.move_shifts(month, rows, self._now, self._past, self._place)

    def shifts(self, month: int, rows: np.ndarray) -> np.ndarray:
        """Return by how much the log hazards of side jobs (``acting.SIDE_KINDS``) are shifted, shape (4, ``rows``)."""
        return self._acting.side_shifts(month, rows, self._now, self._past, self._place)

    def shifted(self, month: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return, one entry a course and resident: course, row, and shifts of the leisure-job hazards, (2, entries)."""
        part, row, given = self._acting.given(month, self._now, self._past)
        return part % max(len(self.courses), 1), row, given

    def paid_hours(self) -> tuple[np.ndarray, np.ndarray]:
        """Return whom projects pay this month, each row once, and each one's hours a week (float32)."""
        course, row, _ = self._enrolled
        hours = self._paid[course]
        paid = np.flatnonzero(hours)
        if not len(paid):
            return _NOBODY, np.empty(0, dtype=np.float32)
        found, place = np.unique(row[paid], return_inverse=True)
        return found, np.bincount(place, weights=hours[paid], minlength=len(found)).astype(np.float32)

    def queue_months(self, code: int) -> list[QueueMonth]:
        """Return what was counted of course ``code``, month by month."""
        counted = [(month, stocks, flows) for month, runs, stocks, flows in self._counted if runs[code]]
        months = np.array([month for month, _, _ in counted], dtype=np.int64)
        all_places = np.where(months <= self._until[code], self._places_in(months)[code], 0).tolist()
        found = []
        for places, (month, stocks, flows) in zip(all_places, counted, strict=True):
            named = dict(zip(EVENTS, flows[:, code], strict=True))
            del named["queued"]
            enrolled, waiting = stocks[:, code]
            started = named.pop("enrolled")
            found.append(QueueMonth(month, places, enrolled, waiting, started=started, **named))
        return found

    def events_of(self, code: int) -> list[tuple[str, int, np.ndarray]]:
        """Return (event, month, rows) of course ``code``, in the order things happened."""
        for month, happened, courses, rows in self.log[self._told_of :]:
            cell = courses * len(EVENTS) + happened
            order = np.argsort(cell, kind="stable")
            cells, first = np.unique(cell[order], return_index=True)
            for of, mine in zip(cells.tolist(), np.split(rows[order], first[1:]), strict=True):
                self._told[of // len(EVENTS)].append((EVENTS[of % len(EVENTS)], month, mine))
        self._told_of = len(self.log)
        return self._told[code]

    def unserved_by(self, code: int) -> np.ndarray:
        """Return which residents have queued for the activity of course ``code`` and got no place in it so far."""
        return np.isin(standing(self._held.status, slice(None), self._activity[code]), (WAITING, UNSERVED))

    def unserved(self, people: Population) -> np.ndarray:
        """Return which residents have queued for some activity and got no place in it so far."""
        self._grow(people)
        found = np.zeros(len(people), dtype=bool)
        for activity in range(self._room[1]):
            found |= np.isin(standing(self._held.status, slice(len(people)), activity), (WAITING, UNSERVED))
        return found

    @property
    def nbytes(self) -> int:
        """Bytes held for the residents there have been so far, whatever happens."""
        held = (self._place, self._traits, self._group, self._covered, self._seen, self._table)
        share = self._known / max(len(self._table), 1)
        return int(share * sum(column.nbytes for column in held))

    # --- counting

    @property
    def _n_groups(self) -> int:
        return len(self.courses) * len(self._stream.replicates)

    def _groups(self, course: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Return a number for each course and replicate."""
        replicates = len(self._stream.replicates)
        return course if replicates == 1 else course * replicates + self._stream.block[row]

    def _count(self, month: int, runs: np.ndarray, before: int) -> None:
        shape = (len(self.courses), len(self._stream.replicates))
        cells = [_NOBODY]
        for _, happened, course, row in self.log[before:]:
            cells.append(happened * self._n_groups + self._groups(course, row))
        flows = np.bincount(np.concatenate(cells), minlength=len(EVENTS) * self._n_groups).reshape(len(EVENTS), *shape)
        stocks = [
            np.bincount(self._groups(*pool[:2]), minlength=self._n_groups).reshape(shape)
            for pool in (self._enrolled, self._waiting)
        ]
        self._counted.append((month, runs, np.stack(stocks), flows))


PRIORITIES: Mapping[str, Callable[[Population, np.ndarray, int], np.ndarray]] = {
    "longest_in_state": lambda people, rows, month: people.since[rows],
    "most_barriers": lambda people, rows, month: -np.bitwise_count(people.barriers[rows]).astype(np.int64),
    "youngest": lambda people, rows, month: -people.birth[rows].astype(np.int64),
    "oldest": lambda people, rows, month: people.birth[rows],
}
"""Whose turn comes first where a scenario does not take people as they come: the least first."""


def _wider(held: np.ndarray, more: int, filled: int) -> np.ndarray:
    """Return an array with ``more`` entries on its last axis."""
    return np.concatenate([held, np.full((*held.shape[:-1], more), filled, dtype=held.dtype)], axis=-1)


def _table(lists: Sequence[Sequence[int]]) -> np.ndarray:
    """Return rows of codes, filled up with -1."""
    width = max((len(codes) for codes in lists), default=0)
    found = np.full((len(lists), width), -1, dtype=np.int64)
    for row, codes in enumerate(lists):
        found[row, : len(codes)] = codes
    return found

"""All courses of a scenario together, month by month: who hears of them, queues, gets a place, finishes, is changed.

Courses propose (who is enrolled, how the hazards of whom are shifted, who is paid); only the model writes to the
residents. Every choice is a draw of that resident for that item, so nobody's course depends on the order of the file.
What all courses do in a month is done at once, with a column that says which course each entry belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..engine.entries import (
    Effects,
    Ends,
    Former,
    Queues,
    Reach,
    Stands,
    Target,
    Terms,
    Who,
    admitted,
    endings,
    handed_to,
    in_target_group,
    reached_in,
    referable,
    shifts_by_resident,
    within_ages,
)
from ..engine.growing import Growing
from ..engine.streams import Stream, subject_key
from ..population import Population
from ..scenario import ActivityPlan, month_number
from . import ActivityType, catalogue
from .base import (
    CODE_OF,
    ENROLLED,
    EVENTS,
    FADED,
    HANDED,
    NEVER,
    NEW,
    OLDEST,
    THEN,
    TRAITS,
    UNSERVED,
    WAITING,
    QueueMonth,
    Shifts,
    cumulated_reach,
)

_COLUMNS = {"course": np.int16, "row": np.int32, "month": np.int16}
_NONE = np.empty((3, 0), dtype=np.int64)
_STAYS = len(EVENTS)
"""Code of no event."""
_ENDS = Ends(*(CODE_OF.get(name, _STAYS) for name in Ends._fields))
_THEN = np.array(list(THEN.values()), dtype=np.uint8)
_STANDS = Stands(NEW, HANDED, ENROLLED)
_BLOCK = 65_536
"""Residents whom all courses look up at a time."""


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


class _Reached(Growing):
    """Who is reached by which course in which month, of all who have not been referred."""

    course: np.ndarray
    row: np.ndarray
    month: np.ndarray


class _Former(Growing):
    """Who has been in which course until which month, and for how much of its length."""

    course: np.ndarray
    row: np.ndarray
    month: np.ndarray
    dose: np.ndarray


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
        for month, happened, courses, rows in self._programme.log:
            mine = courses == self._code
            for code in np.unique(happened[mine]):
                yield EVENTS[code], month, rows[mine & (happened == code)]

    @property
    def unserved(self) -> np.ndarray:
        """Who has queued for the item's activity without getting a place so far, by row."""
        return self._programme.unserved_by(self._code)

    @property
    def queue_months(self) -> list[QueueMonth]:
        """The months from the item's start until nobody is left in it."""
        return self._programme.queue_months(self._code)

    def shifts(self, month: int) -> Shifts:
        """Return whose side-job hazards are shifted in ``month``: participants, and former ones as it fades."""
        courses, shifts = self._programme.shifted(month)
        mine = courses == self._code
        return Shifts(*(column[mine] for column in shifts))


class Programme:
    """The courses of ``plans``, in the order of their ids, among ``rows`` residents of all stacked replicates.

    ``start`` is the number of the month that the run counts from.
    """

    def __init__(self, plans: Sequence[ActivityPlan], stream: Stream, start: int, rows: int) -> None:
        types = catalogue()
        plans = sorted(plans, key=lambda plan: plan.id)
        self.courses = [Course(plan, types[plan.activity], start, self, code) for code, plan in enumerate(plans)]
        self.log: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]] = []
        """What happened, step after step of a month: month, codes of the events, courses, rows."""
        self._stream = stream
        self._subjects = np.array([subject_key(plan.id) for plan in plans], dtype=np.uint64)
        activities = sorted({plan.activity for plan in plans})
        self._activity = np.array([activities.index(plan.activity) for plan in plans], dtype=np.int64)
        self._status = np.full((len(activities), rows), NEW, dtype=np.uint8)
        pools = [types[plan.activity].pool or plan.id for plan in plans]
        self._read(plans, np.array([pools.index(pool) for pool in pools], dtype=np.int64))
        members = [types[plan.activity].eligibility.state_codes for plan in plans]
        member = np.array([np.isin(np.arange(256), codes) for codes in members]).reshape(len(plans), 256)
        self._target = Target(self._youngest, self._oldest, member)
        follow_on = [types[activity].follow_on for activity in activities]
        follows = _table([[c for c, p in enumerate(plans) if p.activity == to] for to in follow_on])
        before = _table([[a for a, to in enumerate(follow_on) if to == activity] for activity in activities])
        self._queues = Queues(self._activity, self._first, self._last, before, follows)
        self._has_next: np.ndarray = np.any(follows >= 0, axis=1)
        self._known = 0
        self._handed = self._waiting = self._enrolled = _NONE
        self._reached = _Reached(_COLUMNS)
        self._former = _Former({**_COLUMNS, "dose": np.float64})
        self._lost = np.empty(0, dtype=np.int64)
        self._counted: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]] = []
        self._traits = np.zeros(rows, dtype=np.uint8)
        self._place = np.full(rows, -1, dtype=np.int32)
        """Where ``shifts`` has a resident in its answer; -1 for all others and in between."""

    def _read(self, plans: Sequence[ActivityPlan], pool: np.ndarray) -> None:
        """Read the numbers of all courses, one array a number; ``pool`` as in :class:`Effects`."""

        def of(id: str, otherwise: float = 0.0) -> np.ndarray:
            return np.array([plan.values.get(id, otherwise) for plan in plans], dtype=np.float64)

        self._first = np.array([course.first for course in self.courses], dtype=np.int64)
        self._last = np.array([course.last for course in self.courses], dtype=np.int64)
        self._places = np.array([plan.places for plan in plans], dtype=np.int64)
        self._youngest = np.ceil(12 * of("age_from")).astype(np.int64)
        self._oldest = np.ceil(12 * (of("age_to") + 1)).astype(np.int64)
        leave = -np.expm1(-of("attrition_per_month"))
        self._terms = Terms(of("duration_months"), leave, of("patience_months"), self._last)
        self._gap = 12 * of("gap_age")
        self._bridge_chance = of("bridge_probability")
        self._paid = np.where(of("project_wage_counts") > 0, of("project_hours"), 0.0)
        odds = np.tile(of("take_up") / np.maximum(1 - of("take_up"), 1e-12), (1 << len(TRAITS), 1))
        for bit, id in enumerate(TRAITS):
            odds *= np.where((np.arange(len(odds)) >> bit & 1)[:, None], of(id, 1.0), 1.0)
        self._take_up = odds / (1 + odds)
        """Chance of saying yes by traits and course: the odds without any trait times the odds ratios of the traits."""
        during, after = (
            np.stack([of(f"effect_{way}_{when}") for way in ("start", "end")]) for when in ("during", "after")
        )
        self._effects = Effects(pool, during, after, np.empty((len(plans), 0)))
        self._half_life = np.maximum(of("half_life_months"), 1e-9)
        ages = zip(self._youngest.tolist(), self._oldest.tolist(), strict=True)
        reach = [cumulated_reach(plan.values, limits) for plan, limits in zip(plans, ages, strict=True)]
        # One rising line of all courses, each beginning a unit above the end of the one before: one search finds ages.
        ends = np.cumsum([line[-1] + 1 for line in reach])
        above = [line + end - line[-1] for line, end in zip(reach, ends, strict=True)]
        self._reach = Reach(np.concatenate([np.empty(0), *above]), OLDEST + 1, self._last, NEVER)

    def run_month(self, month: int, people: Population) -> np.ndarray:
        """Run every course for one month and return the rows newly enrolled in any.

        In this order: participants finish or leave, some give up waiting, new ones are referred and queue, and free
        places go to those who have waited longest (ties by the resident's own draw).
        """
        self._grow(len(people))
        self._lost = self._lost[:0]
        runs = (self._first <= month) & (month <= self._last)
        runs[self._enrolled[0]] = runs[self._waiting[0]] = True
        if not runs.any():
            return self._lost
        before = len(self.log)
        self._leave(month, people)
        self._refer(month, people)
        entered = self._enrol(month)
        self._count(month, runs, before)
        return entered

    def lost(self) -> np.ndarray:
        """Return whom activities lost in the gap this month: jobs they have only because of an activity end."""
        return self._lost

    def queue_months(self, code: int) -> list[QueueMonth]:
        """Return what was counted of course ``code``, month by month."""
        found = []
        for month, runs, stocks, flows in self._counted:
            if runs[code]:
                named = dict(zip(EVENTS, flows[:, code], strict=True))
                del named["queued"]
                places = int(self._places[code]) if month <= self._last[code] else 0
                enrolled, waiting = stocks[:, code]
                started = named.pop("enrolled")
                found.append(QueueMonth(month, places, enrolled, waiting, started=started, **named))
        return found

    def _note(self, month: int, happened: np.ndarray, entries: np.ndarray) -> None:
        """Log what ``happened`` (codes of events) to each of ``entries``, and where that leaves the residents."""
        if len(happened):
            course, row, _ = entries
            self.log.append((month, happened, course, row))
            self._status[self._activity[course], row] = _THEN[happened]

    def _draw(self, decision: str, month: int, entries: np.ndarray, occurrence: int = 0) -> np.ndarray:
        """Return each one's draw for ``decision`` about that course."""
        course, row, _ = entries
        return self._stream.draw(decision, month, row, occurrence, self._subjects[course])

    def _in_target_group(self, entries: np.ndarray, month: int, people: Population) -> np.ndarray:
        who = Who(people.birth, people.state, people.in_area)
        return in_target_group(self._stream.engine, entries, month, self._target, who)

    def _leave(self, month: int, people: Population) -> None:
        """Let participants finish or leave, and some give up waiting."""
        all, enrolled = _together(self._enrolled, self._waiting), self._enrolled.shape[1]
        luck = self._draw("attrition", month, self._enrolled)
        who = Who(people.birth, people.state, people.in_area)
        happens = endings(self._stream.engine, all, enrolled, luck, month, self._terms, self._target, who, _ENDS)
        goes = np.flatnonzero(happens != _STAYS)
        if not len(goes):
            return
        happened, gone = happens[goes], _of(all, goes)
        self._note(month, happened, gone)
        stays = happens == _STAYS
        self._enrolled, self._waiting = _of(self._enrolled, stays[:enrolled]), _of(self._waiting, stays[enrolled:])
        ended = int(np.searchsorted(goes, enrolled))
        if ended:
            self._let_go(gone[:, :ended], happened[:ended] != CODE_OF["dropped_out"], month, people)

    def _let_go(self, gone: np.ndarray, to_the_end: np.ndarray, month: int, people: Population) -> None:
        """Hand over those ``gone`` who did not drop out, and let the effect last for all not lost in the gap."""
        course, row, since = gone
        dose = np.minimum((month - since) / self._terms.duration[course], 1.0)
        kept = month - people.birth[row].astype(np.int64) >= self._gap[course]
        kept[self._bridge(gone, to_the_end, month, people)] = True
        who = {"course": course[kept], "row": row[kept], "month": month, "dose": dose[kept]}
        self._former.append(len(who["row"]), who)
        self._lost = row[~kept]

    def _bridge(self, gone: np.ndarray, offered: np.ndarray, month: int, people: Population) -> np.ndarray:
        """Promise those ``offered`` a place in next month's queue of a follow-on course; return whom (indices).

        It is the first course that takes them: it takes people then, they are of its target group and have not been
        referred to the activity before. Until they queue, no other channel refers them.
        """
        course = gone[0]
        asked = np.flatnonzero(offered & self._has_next[self._activity[course]])
        if not len(asked):
            return asked
        asked = asked[self._draw("bridge", month, _of(gone, asked)) < self._bridge_chance[course[asked]]]
        who = Who(people.birth, people.state, people.in_area)
        leaving = _of(gone, asked)
        to = handed_to(self._stream.engine, leaving, month + 1, self._queues, self._status, self._target, who, _STANDS)
        taken = np.flatnonzero(to >= 0)
        handed = _entries(to[taken], leaving[1, taken], month + 1)
        self._status[self._activity[handed[0]], handed[1]] = HANDED
        self._handed = _together(self._handed, handed)
        return asked[taken]

    def _refer(self, month: int, people: Population) -> None:
        referred = self._reach_people(month, people)
        course, row, _ = referred
        says_yes = self._draw("take-up", month, referred) < self._take_up[self._traits[row], course]
        handed = self._received(month, people)
        queued = _together(handed, _of(referred, says_yes))
        queued = _of(queued, np.argsort(self._draw("queue", month, queued), kind="stable"))
        declined = _of(referred, ~says_yes)
        parts = [handed, referred, declined, queued]
        codes = [CODE_OF[event] for event in ("referred", "referred", "declined", "queued")]
        self._note(month, np.repeat(codes, [part.shape[1] for part in parts]), np.concatenate(parts, axis=1))
        self._waiting = _together(self._waiting, queued)

    def _reach_people(self, month: int, people: Population) -> np.ndarray:
        """Return who is referred this month: whom the channels reach now and who can be referred.

        Who cannot is reached again another time; so is a newcomer, from the month after moving in.
        """
        self._reach_newcomers(month, people)
        at = np.flatnonzero(self._reached.month == month)
        now = _entries(self._reached.course[at], self._reached.row[at], month)
        self._reached.month[at] = NEVER
        who = Who(people.birth, people.state, people.in_area)
        can, again = referable(self._stream.engine, now, month, self._queues, self._status, self._target, who, _STANDS)
        left = _of(now, again)
        left[2] += 1
        self._reached.month[at[again]] = self._next_reached(month, left, people)
        return _of(now, can)

    def _reach_newcomers(self, month: int, people: Population) -> None:
        """Find when residents not looked up before are reached; none are looked up before the first course begins."""
        new = slice(self._known, len(people))
        for bit, has in enumerate(TRAITS.values()):
            self._traits[new] |= has(people, new).astype(np.uint8) << np.uint8(bit)
        begin = np.maximum(self._first, month)
        for low in range(self._known, len(people), _BLOCK):
            asked = within_ages(self._stream.engine, people.birth[low : low + _BLOCK], begin, self._last, self._target)
            asked[1] += low
            when = self._next_reached(month, asked, people, first=True)
            course, row, _ = asked
            some = np.flatnonzero(when < NEVER)
            self._reached.append(len(some), {"course": course[some], "row": row[some], "month": when[some]})
        self._known = len(people)

    def _next_reached(self, month: int, entries: np.ndarray, people: Population, first: bool = False) -> np.ndarray:
        """Return the first month from that of each entry on in which the channels reach the resident, looked up now.

        A month's chance is 1 - exp(-hazard of that age), each month by itself: so the hazards up to the month reached
        pass a waiting time that is exponential with mean 1, of which one draw is enough for all the months.
        """
        # The first draw has no date, so that it is the same whenever the first course of the scenario begins.
        luck = self._draw("reached", 0, entries) if first else self._draw("reached", month, entries, 1)
        wait = -np.log1p(-luck)
        return reached_in(self._stream.engine, entries, wait, self._reach, people.birth)

    def _received(self, month: int, people: Population) -> np.ndarray:
        """Return those handed over last month who can still join; the others may be referred another time."""
        if not self._handed.shape[1]:
            return _NONE
        due = self._handed[2] == month
        handed = _of(self._handed, due)
        if handed.shape[1]:
            self._handed = _of(self._handed, ~due)
            can = self._in_target_group(handed, month, people)
            course, row, _ = _of(handed, ~can)
            self._status[self._activity[course], row] = NEW
            handed = _of(handed, can)
        return handed

    def _enrol(self, month: int) -> np.ndarray:
        """Fill the free places of each course and replicate from the head of its queue."""
        waiting = self._waiting
        group = self._groups(*waiting[:2])
        taken = np.bincount(self._groups(*self._enrolled[:2]), minlength=self._n_groups)
        open = np.where(month <= self._last, self._places, 0)
        free = np.repeat(open, len(self._stream.replicates)) - taken
        placed = admitted(self._stream.engine, group, free)
        entered = _of(waiting, placed)
        entered[2] = month
        self._note(month, np.full(entered.shape[1], CODE_OF["enrolled"]), entered)
        self._waiting = _of(waiting, ~placed)
        self._enrolled = _together(self._enrolled, entered)
        return entered[1]

    @property
    def _n_groups(self) -> int:
        return len(self.courses) * len(self._stream.replicates)

    def _groups(self, course: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Return a number for each course and replicate."""
        replicates = len(self._stream.replicates)
        return course if replicates == 1 else course * replicates + self._stream.block[row]

    def _count(self, month: int, runs: np.ndarray, before: int) -> None:
        shape = (len(self.courses), len(self._stream.replicates))
        cells = [np.empty(0, dtype=np.int64)]
        for _, happened, course, row in self.log[before:]:
            cells.append(happened * self._n_groups + self._groups(course, row))
        flows = np.bincount(np.concatenate(cells), minlength=len(EVENTS) * self._n_groups).reshape(len(EVENTS), *shape)
        stocks = [
            np.bincount(self._groups(*pool[:2]), minlength=self._n_groups).reshape(shape)
            for pool in (self._enrolled, self._waiting)
        ]
        self._counted.append((month, runs, np.stack(stocks), flows))

    def _effects_until(self, month: int) -> Effects:
        """Return the effects with their fading up to ``month`` months after an end."""
        if month >= self._effects.fading.shape[1]:
            half_lives = np.arange(2 * month + 12) / self._half_life[:, None]
            fading = np.where(half_lives > FADED, 0.0, 0.5**half_lives)
            self._effects = self._effects._replace(fading=fading)
        return self._effects

    def shifted(self, month: int) -> tuple[np.ndarray, Shifts]:
        """Return, one entry a course and resident, the course and by how much it shifts whose hazards in ``month``."""
        effects, former = self._effects_until(month), self._former
        left = former.dose * effects.fading[former.course, month - former.month]
        lasting = np.flatnonzero(left)
        (now, row, _), past = self._enrolled, former.course[lasting]
        given = np.concatenate([effects.during[:, now], left[lasting] * effects.after[:, past]], axis=1)
        return np.concatenate([now, past]), Shifts(np.concatenate([row, former.row[lasting]]), *given)

    def shifts(self, month: int, rows: np.ndarray) -> np.ndarray:
        """Return by how much the log hazards of starting and of ending a side job are shifted, shape (2, ``rows``)."""
        former = Former(*(getattr(self._former, name) for name in Former._fields))
        return shifts_by_resident(
            self._stream.engine, month, rows, self._enrolled, former, self._effects_until(month), self._place
        )

    def paid_hours(self) -> tuple[np.ndarray, np.ndarray]:
        """Return whom projects pay this month, each row once, and each one's hours a week (float32)."""
        course, row, _ = self._enrolled
        hours = self._paid[course]
        paid = np.flatnonzero(hours)
        if not len(paid):
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        found, place = np.unique(row[paid], return_inverse=True)
        return found, np.bincount(place, weights=hours[paid], minlength=len(found)).astype(np.float32)

    def unserved_by(self, code: int) -> np.ndarray:
        """Return which residents have queued for the activity of course ``code`` and got no place in it so far."""
        return np.isin(self._status[self._activity[code]], (WAITING, UNSERVED))

    @property
    def nbytes(self) -> int:
        """Bytes held for each resident of the area, whatever happens."""
        return self._status.nbytes + self._place.nbytes + self._traits.nbytes

    def unserved(self, rows: int) -> np.ndarray:
        """Return which of ``rows`` residents have queued for some activity and got no place in it so far."""
        self._grow(rows)
        queued = np.isin(self._status[:, :rows], (WAITING, UNSERVED))
        return np.logical_or.reduce(queued, axis=0)

    def _grow(self, rows: int) -> None:
        """Hold ``rows`` residents: those appended since have not heard of any activity."""
        room = self._status.shape[1]
        if rows > room:
            more = np.full((len(self._status), rows - room + room // 8), NEW, dtype=np.uint8)
            self._status = np.concatenate([self._status, more], axis=1)
            self._place = np.full(self._status.shape[1], -1, dtype=np.int32)
            self._traits = np.concatenate([self._traits, np.zeros(len(self._place) - room, dtype=np.uint8)])


def _table(lists: Sequence[Sequence[int]]) -> np.ndarray:
    """Return rows of codes, filled up with -1."""
    width = max((len(codes) for codes in lists), default=0)
    found = np.full((len(lists), width), -1, dtype=np.int64)
    for row, codes in enumerate(lists):
        found[row, : len(codes)] = codes
    return found

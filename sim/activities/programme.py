"""All courses of a scenario together, month by month: who hears of them, queues, gets a place, finishes, is changed.

Courses propose (who is enrolled, how the hazards of whom are shifted, who is paid); only the model writes to the
residents. Every choice is a draw of that resident for that item, so nobody's course depends on the order of the file.
What all courses do in a month is done at once, with a column that says which course each entry belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..engine.growing import Growing
from ..engine.streams import Stream, subject_key
from ..population import Population
from ..scenario import ActivityPlan, month_number
from . import ActivityType, catalogue
from .base import (
    CODE_OF,
    DONE,
    ENROLLED,
    EVENTS,
    FADED,
    HANDED,
    NEVER,
    NEW,
    OLDEST,
    TRAITS,
    UNSERVED,
    WAITING,
    QueueMonth,
    Shifts,
    cumulated_reach,
)

_COLUMNS = {"course": np.int16, "row": np.int32, "month": np.int16}
_ENTRY = np.dtype(list(_COLUMNS.items()))
_BLOCK = 65_536
"""Residents whom all courses look up at a time."""


def _entries(course: np.ndarray, row: np.ndarray, month: np.ndarray | int) -> np.ndarray:
    found = np.empty(len(row), dtype=_ENTRY)
    found["course"], found["row"], found["month"] = course, row, month
    return found


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
        for code, month, courses, rows in self._programme.log:
            mine = courses == self._code
            if mine.any():
                yield EVENTS[code], month, rows[mine]

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
        self.log: list[tuple[int, int, np.ndarray, np.ndarray]] = []
        """What happened: code of the event, month, courses, rows."""
        self._stream = stream
        self._subjects = np.array([subject_key(plan.id) for plan in plans], dtype=np.uint64)
        activities = sorted({plan.activity for plan in plans})
        self._activity = np.array([activities.index(plan.activity) for plan in plans], dtype=np.int64)
        self._status = np.full((len(activities), rows), NEW, dtype=np.uint8)
        self._read(plans)
        members = [types[plan.activity].eligibility.state_codes for plan in plans]
        self._member = np.array([np.isin(np.arange(256), codes) for codes in members]).reshape(len(plans), 256)
        pools = [types[plan.activity].pool or plan.id for plan in plans]
        self._pool = np.array([pools.index(pool) for pool in pools], dtype=np.int64)
        follow_on = [types[activity].follow_on for activity in activities]
        self._next = _table([[c for c, p in enumerate(plans) if p.activity == to] for to in follow_on])
        self._before = _table([[a for a, to in enumerate(follow_on) if to == activity] for activity in activities])
        self._known = 0
        self._handed, self._waiting, self._enrolled = (np.empty(0, dtype=_ENTRY) for _ in range(3))
        self._reached = _Reached(_COLUMNS)
        self._former = _Former({**_COLUMNS, "dose": np.float64})
        self._lost = np.empty(0, dtype=np.int64)
        self._counted: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]] = []
        self._fading = np.empty((len(plans), 0))
        self._place = np.full(rows, -1, dtype=np.int32)
        """Where ``shifts`` has a resident in its answer; -1 for all others and in between."""

    def _read(self, plans: Sequence[ActivityPlan]) -> None:
        """Read the numbers of all courses, one array a number."""

        def of(id: str, otherwise: float = 0.0) -> np.ndarray:
            return np.array([plan.values.get(id, otherwise) for plan in plans], dtype=np.float64)

        self._first = np.array([course.first for course in self.courses], dtype=np.int64)
        self._last = np.array([course.last for course in self.courses], dtype=np.int64)
        self._places = np.array([plan.places for plan in plans], dtype=np.int64)
        self._youngest = np.ceil(12 * of("age_from")).astype(np.int64)
        self._oldest = np.ceil(12 * (of("age_to") + 1)).astype(np.int64)
        self._duration, self._patience = of("duration_months"), of("patience_months")
        self._leave = -np.expm1(-of("attrition_per_month"))
        self._gap = 12 * of("gap_age")
        self._bridge_chance = of("bridge_probability")
        self._paid = np.where(of("project_wage_counts") > 0, of("project_hours"), 0.0)
        self._odds = of("take_up") / np.maximum(1 - of("take_up"), 1e-12)
        self._ratios = {id: of(id, 1.0) for id in TRAITS}
        self._effect = {
            (way, when): of(f"effect_{way}_{when}") for way in ("start", "end") for when in ("during", "after")
        }
        self._half_life = np.maximum(of("half_life_months"), 1e-9)
        ages = zip(self._youngest.tolist(), self._oldest.tolist(), strict=True)
        reach = [cumulated_reach(plan.values, limits) for plan, limits in zip(plans, ages, strict=True)]
        # One rising line of all courses, each beginning a unit above the end of the one before: one search finds ages.
        ends = np.cumsum([line[-1] + 1 for line in reach])
        above = [line + end - line[-1] for line, end in zip(reach, ends, strict=True)]
        self._reach = np.concatenate([np.empty(0), *above])

    def run_month(self, month: int, people: Population) -> np.ndarray:
        """Run every course for one month and return the rows newly enrolled in any.

        In this order: participants finish or leave, some give up waiting, new ones are referred and queue, and free
        places go to those who have waited longest (ties by the resident's own draw).
        """
        self._grow(len(people))
        self._lost = self._lost[:0]
        runs = (self._first <= month) & (month <= self._last)
        runs[self._enrolled["course"]] = runs[self._waiting["course"]] = True
        if not runs.any():
            return self._lost
        before = len(self.log)
        self._finish(month, people)
        self._thin_queues(month, people)
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

    def _note(self, event: str, month: int, entries: np.ndarray, status: int | None = None) -> None:
        if not len(entries):
            return
        course, row = entries["course"].astype(np.int64), entries["row"].astype(np.int64)
        self.log.append((CODE_OF[event], month, course, row))
        if status is not None:
            self._status[self._activity[course], row] = status

    def _draw(self, decision: str, month: int, entries: np.ndarray, occurrence: int = 0) -> np.ndarray:
        """Return each one's draw for ``decision`` about that course."""
        return self._stream.draw(decision, month, entries["row"], occurrence, self._subjects[entries["course"]])

    def _status_of(self, entries: np.ndarray) -> np.ndarray:
        return self._status[self._activity[entries["course"]], entries["row"]]

    def _in_target_group(self, entries: np.ndarray, month: int, people: Population) -> np.ndarray:
        course, row = entries["course"], entries["row"]
        age = month - people.birth[row].astype(np.int64)
        of_age = (age >= self._youngest[course]) & (age < self._oldest[course])
        return of_age & self._member[course, people.state[row]] & people.in_area[row]

    def _finish(self, month: int, people: Population) -> None:
        all = self._enrolled
        if not len(all):
            return
        course = all["course"]
        months = (month - all["month"]).astype(np.float64)
        duration = self._duration[course]
        completed = months >= duration
        closed = ~completed & (month > self._last[course])
        outside = ~(completed | closed | self._in_target_group(all, month, people))
        dropped = self._draw("attrition", month, all) < self._leave[course]
        dropped &= ~(completed | closed | outside)
        for event, who in (
            ("completed", completed),
            ("closed", closed),
            ("left_target_group", outside),
            ("dropped_out", dropped),
        ):
            self._note(event, month, all[who], DONE)
        ended = completed | closed | outside | dropped
        if ended.any():
            self._enrolled = all[~ended]
            dose = np.minimum(months[ended] / duration[ended], 1.0)
            self._let_go(all[ended], dose, ~dropped[ended], month, people)

    def _let_go(
        self, gone: np.ndarray, dose: np.ndarray, to_the_end: np.ndarray, month: int, people: Population
    ) -> None:
        """Hand over those ``gone`` who did not drop out, and let the effect last for all not lost in the gap."""
        course, row = gone["course"], gone["row"]
        kept = month - people.birth[row].astype(np.int64) >= self._gap[course]
        kept[self._bridge(gone, to_the_end, month, people)] = True
        who = {"course": course[kept], "row": row[kept], "month": month, "dose": dose[kept]}
        self._former.append(len(who["row"]), who)
        self._lost = row[~kept].astype(np.int64)

    def _bridge(self, gone: np.ndarray, offered: np.ndarray, month: int, people: Population) -> np.ndarray:
        """Promise those ``offered`` a place in next month's queue of a follow-on course; return whom (indices).

        It is the first course that takes them: it takes people then, they are of its target group and have not been
        referred to the activity before. Until they queue, no other channel refers them.
        """
        taken = [np.empty(0, dtype=np.int64)]
        left = np.flatnonzero(offered & (self._next[self._activity[gone["course"]]] >= 0).any(axis=1))
        left = left[self._draw("bridge", month, gone[left]) < self._bridge_chance[gone["course"][left]]]
        for follow_on in self._next.T:
            if not len(left):
                break
            to = follow_on[self._activity[gone["course"][left]]]
            asked = _entries(to, gone["row"][left], month + 1)
            can = (to >= 0) & (self._first[to] <= month + 1) & (month + 1 <= self._last[to])
            can &= (self._status_of(asked) == NEW) & self._in_target_group(asked, month + 1, people)
            can[self._twice(asked, can)] = False
            self._status[self._activity[to[can]], asked["row"][can]] = HANDED
            self._handed = np.concatenate([self._handed, asked[can]])
            taken.append(left[can])
            left = left[~can]
        return np.concatenate(taken)

    def _twice(self, entries: np.ndarray, among: np.ndarray) -> np.ndarray:
        """Return the indices ``among`` entries whose resident stands before them for the same activity."""
        at = np.flatnonzero(among)
        who = entries["row"][at].astype(np.int64) * len(self._status) + self._activity[entries["course"][at]]
        later = np.ones(len(at), dtype=bool)
        later[np.unique(who, return_index=True)[1]] = False
        return at[later]

    def _thin_queues(self, month: int, people: Population) -> None:
        all = self._waiting
        if not len(all):
            return
        course = all["course"]
        tired = month - all["month"] > self._patience[course]
        outside = ~self._in_target_group(all, month, people) | (month > self._last[course])
        self._note("gave_up", month, all[tired & ~outside], UNSERVED)
        self._note("left_queue", month, all[outside], UNSERVED)
        self._waiting = all[~(tired | outside)]

    def _refer(self, month: int, people: Population) -> None:
        referred = self._reach_people(month, people)
        says_yes = self._draw("take-up", month, referred) < self._take_up(referred, people)
        handed = self._received(month, people)
        queued = np.concatenate([handed, referred[says_yes]])
        queued = queued[np.argsort(self._draw("queue", month, queued), kind="stable")]
        self._note("referred", month, np.concatenate([handed, referred]))
        self._note("declined", month, referred[~says_yes], DONE)
        self._note("queued", month, queued, WAITING)
        self._waiting = np.concatenate([self._waiting, queued])

    def _take_up(self, entries: np.ndarray, people: Population) -> np.ndarray:
        """Return each one's chance of saying yes: the odds without any trait times the odds ratios of the traits."""
        course, row = entries["course"], entries["row"]
        odds = self._odds[course]
        for id, has in TRAITS.items():
            odds *= np.where(has(people, row), self._ratios[id][course], 1.0)
        return odds / (1 + odds)

    def _reach_people(self, month: int, people: Population) -> np.ndarray:
        """Return who is referred this month: whom the channels reach now and who can be referred.

        Who cannot is reached again another time; so is a newcomer, from the month after moving in.
        """
        self._reach_newcomers(month, people)
        at = np.flatnonzero(self._reached.month == month)
        now = _entries(self._reached.course[at], self._reached.row[at], month)
        status = self._status_of(now)
        can = (status == NEW) & self._in_target_group(now, month, people)
        for before in self._before.T:
            other = before[self._activity[now["course"]]]
            can &= (other < 0) | (self._status[other, now["row"]] != ENROLLED)
        twice = self._twice(now, can)
        can[twice] = False
        self._reached.month[at] = NEVER
        again = ~can & (status <= HANDED)
        again[twice] = False
        self._reached.month[at[again]] = self._next_reached(month, now[again], month + 1, people)
        return now[can]

    def _reach_newcomers(self, month: int, people: Population) -> None:
        """Find when residents not looked up before are reached; none are looked up before the first course begins."""
        begin = np.maximum(self._first, month)
        old, young = (begin - self._oldest)[:, None], (self._last - self._youngest)[:, None]
        for low in range(self._known, len(people), _BLOCK):
            birth = people.birth[low : low + _BLOCK].astype(np.int64)
            course, row = np.nonzero((birth > old) & (birth <= young) & (begin <= self._last)[:, None])
            new = _entries(course, low + row, begin[course])
            when = self._next_reached(month, new, begin[course], people, first=True)
            some = when < NEVER
            who = {"course": new["course"][some], "row": new["row"][some], "month": when[some]}
            self._reached.append(len(who["row"]), who)
        self._known = len(people)

    def _next_reached(
        self, month: int, entries: np.ndarray, begin: np.ndarray | int, people: Population, first: bool = False
    ) -> np.ndarray:
        """Return the first month from ``begin`` on in which the channels reach each of ``entries``, looked up now.

        A month's chance is 1 - exp(-hazard of that age), each month by itself: so the hazards up to the month reached
        pass a waiting time that is exponential with mean 1, of which one draw is enough for all the months.
        """
        age = np.clip(begin - people.birth[entries["row"]].astype(np.int64), 0, OLDEST)
        line = entries["course"] * np.int64(OLDEST + 1)
        wait = -np.log1p(-self._draw("reached", month, entries, 0 if first else 1))
        passed = np.searchsorted(self._reach, self._reach[line + age] + wait) - 1 - line
        reached = begin + np.maximum(passed - age, 0)
        return np.where(reached > self._last[entries["course"]], NEVER, reached).astype(np.int16)

    def _received(self, month: int, people: Population) -> np.ndarray:
        """Return those handed over last month who can still join; the others may be referred another time."""
        due = self._handed["month"] == month
        handed = self._handed[due]
        if len(handed):
            self._handed = self._handed[~due]
            can = self._in_target_group(handed, month, people)
            self._status[self._activity[handed["course"][~can]], handed["row"][~can]] = NEW
            handed = handed[can]
        return handed

    def _enrol(self, month: int) -> np.ndarray:
        """Fill the free places of each course and replicate from the head of its queue."""
        waiting = self._waiting
        group = self._groups(waiting["course"], waiting["row"])
        taken = np.bincount(self._groups(self._enrolled["course"], self._enrolled["row"]), minlength=self._n_groups)
        open = np.where(month <= self._last, self._places, 0)
        free = np.repeat(open, len(self._stream.replicates)) - taken
        by_group = np.argsort(group, kind="stable")
        starts = np.searchsorted(group[by_group], np.arange(self._n_groups))
        rank = np.empty(len(group), dtype=np.int64)
        rank[by_group] = np.arange(len(group)) - starts[group[by_group]]
        placed = rank < free[group]
        entered = _entries(waiting["course"][placed], waiting["row"][placed], month)
        self._note("enrolled", month, entered, ENROLLED)
        self._waiting = waiting[~placed]
        self._enrolled = np.concatenate([self._enrolled, entered])
        return entered["row"].astype(np.int64)

    @property
    def _n_groups(self) -> int:
        return len(self.courses) * len(self._stream.replicates)

    def _groups(self, course: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Return a number for each course and replicate."""
        return course.astype(np.int64) * len(self._stream.replicates) + self._stream.block[row]

    def _count(self, month: int, runs: np.ndarray, before: int) -> None:
        shape = (len(self.courses), len(self._stream.replicates))
        flows = np.zeros((len(EVENTS), *shape), dtype=np.int64)
        for code, _, course, row in self.log[before:]:
            flows[code] += np.bincount(self._groups(course, row), minlength=self._n_groups).reshape(shape)
        stocks = [
            np.bincount(self._groups(pool["course"], pool["row"]), minlength=self._n_groups).reshape(shape)
            for pool in (self._enrolled, self._waiting)
        ]
        self._counted.append((month, runs, np.stack(stocks), flows))

    def shifted(self, month: int) -> tuple[np.ndarray, Shifts]:
        """Return, one entry a course and resident, the course and by how much it shifts whose hazards in ``month``."""
        if month >= self._fading.shape[1]:
            half_lives = np.arange(2 * month + 12) / self._half_life[:, None]
            self._fading = np.where(half_lives > FADED, 0.0, 0.5**half_lives)
        now, past = self._enrolled["course"], self._former.course
        left = self._former.dose * self._fading[past, month - self._former.month]
        lasting = np.flatnonzero(left)
        past, left = past[lasting], left[lasting]
        start, end = (
            np.concatenate([self._effect[way, "during"][now], left * self._effect[way, "after"][past]])
            for way in ("start", "end")
        )
        rows = np.concatenate([self._enrolled["row"], self._former.row[lasting]])
        return np.concatenate([now, past]), Shifts(rows, start, end)

    def shifts(self, month: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return by how much the log hazards of starting and of ending a side job are shifted, by ``rows``.

        Courses that share one published estimate (a pool) count once, the strongest; others add up.
        """
        courses, shifted = self.shifted(month)
        self._place[rows] = np.arange(len(rows))
        at = self._place[shifted.rows]
        self._place[rows] = -1
        alone = np.bincount(at[at >= 0], minlength=len(rows) + 1)[at] == 1
        alone &= at >= 0
        several = np.flatnonzero(~alone & (at >= 0))
        pool = at[several] * np.int64(len(self._pool)) + self._pool[courses[several]]
        alone = np.flatnonzero(alone)
        found = []
        for given in (shifted.start, shifted.end):
            sum = np.zeros(len(rows))
            sum[at[alone]] = given[alone]
            order = np.lexsort((-np.abs(given[several]), pool))
            strongest = several[order[np.unique(pool[order], return_index=True)[1]]]
            found.append(sum + np.bincount(at[strongest], weights=given[strongest], minlength=len(rows)))
        return found[0], found[1]

    def paid_hours(self) -> tuple[np.ndarray, np.ndarray]:
        """Return whom projects pay this month, each row once, and each one's hours a week (float32)."""
        hours = self._paid[self._enrolled["course"]]
        paid = np.flatnonzero(hours)
        if not len(paid):
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        found, place = np.unique(self._enrolled["row"][paid].astype(np.int64), return_inverse=True)
        return found, np.bincount(place, weights=hours[paid], minlength=len(found)).astype(np.float32)

    def unserved_by(self, code: int) -> np.ndarray:
        """Return which residents have queued for the activity of course ``code`` and got no place in it so far."""
        return np.isin(self._status[self._activity[code]], (WAITING, UNSERVED))

    @property
    def nbytes(self) -> int:
        """Bytes held for each resident of the area, whatever happens."""
        return self._status.nbytes + self._place.nbytes

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


def _table(lists: Sequence[Sequence[int]]) -> np.ndarray:
    """Return rows of codes, filled up with -1."""
    width = max((len(codes) for codes in lists), default=0)
    found = np.full((len(lists), width), -1, dtype=np.int64)
    for row, codes in enumerate(lists):
        found[row, : len(codes)] = codes
    return found

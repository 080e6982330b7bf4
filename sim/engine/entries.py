"""What is looked up about some residents for some courses at once: in numpy (the oracle) or compiled, the same bytes.

Entries have the shape (3, entries), int64: course, row of the resident, month.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .streams import MULTIPLIERS, mix


class Target(NamedTuple):
    """Whom each course is for: ages in months from ``youngest`` on and below ``oldest``, ``member`` by state code, and
    ``allowed`` by the group of what does not change about a resident."""

    youngest: np.ndarray
    oldest: np.ndarray
    member: np.ndarray
    allowed: np.ndarray


class Who(NamedTuple):
    """Columns of the residents that courses ask for, and all of them in one number (:func:`packed`).

    ``keys`` are person keys; ``pending`` tells who waits for being reached by which course, in bits, and ``status``
    where residents stand with each activity (:func:`standing`). The compiled engine reads the last four, which lie side
    by side: one place in memory for each resident (:func:`room_for`).
    """

    birth: np.ndarray
    state: np.ndarray
    group: np.ndarray
    in_area: np.ndarray
    traits: np.ndarray
    packed: np.ndarray
    keys: np.ndarray
    pending: np.ndarray
    status: np.ndarray


_LINE = 64
"""Bytes that come from memory together."""
_STANDINGS = 21
"""Standings in a word: three bits each."""


def _words(number: int, each: int) -> int:
    return -(-number // each)


class Held(NamedTuple):
    """The last four columns of :class:`Who`, views on one row a resident."""

    packed: np.ndarray
    keys: np.ndarray
    pending: np.ndarray
    status: np.ndarray


def room_for(rows: int, courses: int, activities: int) -> tuple[np.ndarray, Held]:
    """Return room for what is looked up about ``rows`` residents, of whom nothing is known yet, and the columns in it.

    A row holds one number packed, the person key, a bit for each course, three for each activity.
    """
    width = 2 + _words(courses, 64) + _words(activities, _STANDINGS)
    room = np.zeros(rows * width + _LINE // 8, dtype=np.uint64)
    # A row of a full line of the cache should not lie across two.
    first = -room.ctypes.data % _LINE // 8
    table = room[first : first + rows * width].reshape(rows, width)
    pending, status = np.split(table[:, 2:], [_words(courses, 64)], axis=1)
    return table, Held(table[:, 0], table[:, 1], pending, status)


def standing(status: np.ndarray, row: np.ndarray | slice, activity: np.ndarray | int) -> np.ndarray:
    """Return where residents stand with activities, codes up to 6."""
    shift = np.asarray(3 * (np.asarray(activity) % _STANDINGS), dtype=np.uint64)
    found: np.ndarray = (status[row, np.asarray(activity) // _STANDINGS] >> shift & np.uint64(7)).astype(np.uint8)
    return found


def stand(engine: str, status: np.ndarray, row: np.ndarray, activity: np.ndarray, code: np.ndarray) -> None:
    """Let residents stand with activities as the codes say, one each."""
    if engine == "numba":
        from .kernels import stand as compiled

        compiled(status, row, activity, code)
        return
    word, shift = activity // _STANDINGS, (3 * (activity % _STANDINGS)).astype(np.uint64)
    np.bitwise_and.at(status, (row, word), ~(np.uint64(7) << shift))
    np.bitwise_or.at(status, (row, word), code.astype(np.uint64) << shift)


BORN_FROM = 32_768
"""Added to the month of birth so that it is no negative number."""
_AREA = np.uint64(1 << 32)
_MOVING = _AREA | np.uint64(0xFF << 16)
"""The bits that change in a life: state and area."""


def packed(birth: np.ndarray, group: np.ndarray, traits: np.ndarray) -> np.ndarray:
    """Return, uint64: month of birth + ``BORN_FROM`` in 16 bits, 8 for the state, 8 each for group, area and traits.

    State and area are for :func:`now_in`.
    """
    found = traits.astype(np.uint64) << np.uint64(40)
    found |= group.astype(np.uint64) << np.uint64(24)
    found |= (birth.astype(np.int64) + BORN_FROM).astype(np.uint64)
    return found


def now_in(packed: np.ndarray, state: np.ndarray, in_area: np.ndarray) -> np.ndarray:
    """Return ``packed`` numbers of people who are in a state now, and in the area or not."""
    found = packed & ~_MOVING
    found |= state.astype(np.uint64) << np.uint64(16)
    found |= in_area * _AREA
    return found


class Chances(NamedTuple):
    """With what chance those whom channels reach at the highest hazard of a course are reached at their own.

    ``chance`` by (course, state, band of age); bands end at ``limit`` (courses, bands), ages in months.
    """

    limit: np.ndarray
    chance: np.ndarray


class Luck(NamedTuple):
    """What draws about courses are made of, beside person keys: subject keys by course, and the decision's moment."""

    subjects: np.ndarray
    moment: np.uint64


class Reach(NamedTuple):
    """When channels reach people, by course: ``ratio`` of the hazard in bands of age that end at ``limit`` (months),
    shape (courses, bands), and the hazard ``top`` it is the ratio to. Whom a course would reach after its ``last``
    month it reaches in month ``never``."""

    limit: np.ndarray
    ratio: np.ndarray
    top: np.ndarray
    last: np.ndarray
    never: int


_DE_BRUIJN = 0x03F79D71B4CB0A89
"""A number whose 64 windows of 6 bits all differ: times a power of two, its highest bits tell which power."""
_POWER = np.zeros(64, dtype=np.int64)
_POWER[[(_DE_BRUIJN << power & (1 << 64) - 1) >> 58 for power in range(64)]] = np.arange(64)


def as_bits(mask: np.ndarray) -> np.ndarray:
    """Return, uint64, the last axis of a mask in words of 64 bits, the lowest first."""
    wide = np.zeros((*mask.shape[:-1], _words(mask.shape[-1], 64) * 64), dtype=bool)
    wide[..., : mask.shape[-1]] = mask
    return np.packbits(wide, axis=-1, bitorder="little").view("<u8").astype(np.uint64)


def put(bits: np.ndarray, row: np.ndarray, column: np.ndarray, value: bool) -> None:
    """Set the bits of some rows and columns, or clear them."""
    word, one = column >> 6, np.uint64(1) << (column & 63).astype(np.uint64)
    if value:
        np.bitwise_or.at(bits, (row, word), one)
    else:
        np.bitwise_and.at(bits, (row, word), ~one)


class Entrances(NamedTuple):
    """Which courses each change of state leads into, and which take each group of what does not change: bits.

    ``enters`` has a row for each change (``was * states + now``), ``allowed`` one for each group. ``states`` counts the
    states; ``was`` is that number for who was not there before.
    """

    states: int
    enters: np.ndarray
    allowed: np.ndarray

    @classmethod
    def of(cls, member: np.ndarray, allowed: np.ndarray) -> Entrances:
        """Return the entrances of courses that have the ``member`` states, shape (courses, states), and groups."""
        states = member.shape[1]
        was = np.concatenate([member, np.zeros((len(member), 1), dtype=bool)], axis=1)
        enters = (member[:, None, :] & ~was[:, :, None]).reshape(len(member), (states + 1) * states)
        return cls(states, as_bits(enters.T), as_bits(allowed.T))


class Former(NamedTuple):
    """Entries of the past, one array each: when they ended, and after how much of the course."""

    course: np.ndarray
    row: np.ndarray
    month: np.ndarray
    dose: np.ndarray


class Effects(NamedTuple):
    """Shifts of log hazards, (hazards, courses): ``during`` a course, and ``after`` it times ``fading`` by months.

    Courses of one ``pool`` share one published estimate: of their shifts the strongest counts; others add up.
    """

    pool: np.ndarray
    during: np.ndarray
    after: np.ndarray
    fading: np.ndarray


class Terms(NamedTuple):
    """What ends a place or a wait, by course: months a course lasts, the chance a month of ``leave`` (dropping out),
    months people wait, and the last month of the course."""

    duration: np.ndarray
    leave: np.ndarray
    patience: np.ndarray
    last: np.ndarray


class Queues(NamedTuple):
    """The activity of each course, and the first and last month in which it takes people.

    ``before`` and ``follows`` have a row for each activity, filled up with -1: the activities that lead to it, and the
    courses to which its participants are handed over, the first that takes them first.
    """

    activity: np.ndarray
    first: np.ndarray
    last: np.ndarray
    before: np.ndarray
    follows: np.ndarray


class Ends(NamedTuple):
    """Codes of how a place ends, how a wait does, and of neither."""

    completed: int
    closed: int
    left_target_group: int
    dropped_out: int
    left_queue: int
    gave_up: int
    stays: int


class Stands(NamedTuple):
    """Codes of where residents stand with an activity: not referred yet; promised a place in the queue; enrolled."""

    new: int
    handed: int
    enrolled: int


def in_target_group(engine: str, entries: np.ndarray, month: int, target: Target, who: Who) -> np.ndarray:
    """Return whether the resident of each entry belongs to the target group of its course in ``month``."""
    if engine == "numba":
        from .kernels import in_target_group as compiled

        found: np.ndarray = compiled(entries, month, *target, who.packed)
        return found
    course, row, _ = entries
    age = month - who.birth[row].astype(np.int64)
    of_age = (age >= target.youngest[course]) & (age < target.oldest[course])
    suits = target.member[course, who.state[row]] & target.allowed[course, who.group[row]]
    return of_age & suits & who.in_area[row]


def of_target_group(course: int, month: int, target: Target, who: Who, among: np.ndarray | None = None) -> np.ndarray:
    """Return the rows, ascending, of all residents of a course's ages who belong to its target group in ``month``.

    ``among`` is a mask of the residents that takes the place of states and groups, for those whom participants meet.
    """
    age = month - who.birth.astype(np.int64)
    of_age = (age >= target.youngest[course]) & (age < target.oldest[course])
    suits = target.member[course, who.state] & target.allowed[course, who.group] if among is None else among
    return np.flatnonzero(of_age & suits & who.in_area)


def reached_in(engine: str, entries: np.ndarray, wait: np.ndarray, reach: Reach, birth: np.ndarray) -> np.ndarray:
    """Return the month, int16, from that of the entry on, in which the hazards of being reached add up to ``wait``."""
    if engine == "numba":
        from .kernels import reached_in as compiled

        found: np.ndarray = compiled(entries, wait, *reach, birth)
        return found
    course, row, begin = entries
    born = birth[row].astype(np.int64)
    at, left = begin - born, wait / reach.top[course]
    reached = np.full(len(course), reach.never, dtype=np.int64)
    for band in range(reach.limit.shape[1]):
        limit, ratio = reach.limit[course, band], reach.ratio[course, band]
        months = limit - at
        held = months * ratio
        here = (reached == reach.never) & (months > 0) & (left < held)
        reached[here] = (at + born)[here] + (left[here] / ratio[here]).astype(np.int64)
        left = np.where(months > 0, left - held, left)
        at = np.maximum(at, limit)
    return np.where(reached > reach.last[course], reach.never, reached).astype(np.int16)


def entering(
    engine: str,
    rows: np.ndarray,
    before: np.ndarray,
    month: int,
    entrances: Entrances,
    oldest: np.ndarray,
    who: Who,
    luck: Luck,
    below: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Let those of ``rows`` wait who have come into the target group of a course since the last month.

    ``before`` holds the states they were in, 255 for who was not there; ``entrances`` are those of the courses that
    run. Those too young yet wait too, those of the age ``oldest`` of a course (months) do not. Who waits is ``pending``
    from now on, and nobody waits twice for a course. Returned are the entries of those whose draw is ``below`` that of
    the course, and the draws: the others wait in vain.
    """
    was = np.minimum(before, entrances.states)
    if engine == "numba":
        from .kernels import entering as compiled

        columns = (*entrances, oldest, who.packed, who.pending, who.keys, *luck, below, *MULTIPLIERS)
        entries, draws = compiled(rows, was, month, *columns, np.uint64(_DE_BRUIJN), _POWER)
        return entries, draws
    change = was.astype(np.int64) * entrances.states + who.state[rows]
    left = entrances.enters[change] & entrances.allowed[who.group[rows]] & ~who.pending[rows]
    left[~who.in_area[rows]] = 0
    bits = np.unpackbits(left.astype("<u8").view(np.uint8), axis=1, bitorder="little")
    at, course = np.nonzero(bits)
    row = rows[at]
    came = month - who.birth[row].astype(np.int64) < oldest[course]
    course, row = course[came], row[came]
    put(who.pending, row, course, True)
    entries = np.stack([course, row, np.full(len(row), month)])
    draws = _uniform(luck, entries, who)
    soon = draws < below[course]
    return entries[:, soon], draws[soon]


def shifts_by_resident(
    engine: str,
    month: int,
    rows: np.ndarray,
    now: np.ndarray,
    weight: np.ndarray,
    former: Former,
    effects: Effects,
    place: np.ndarray,
) -> np.ndarray:
    """Return by how much courses shift the log hazards of ``rows`` in ``month``, shape (hazards, rows).

    ``now`` holds course and row of who is in a course, ``weight`` how strongly it acts on each. ``place`` is room for a
    number a resident, -1 for all of them before and after.
    """
    if engine == "numba":
        from .kernels import shifts_by_resident as compiled

        found: np.ndarray = compiled(month, rows, now, weight, *former, *effects, place)
        return found
    left = former.dose * effects.fading[former.course, month - former.month]
    lasting = np.flatnonzero(left)
    past = former.course[lasting]
    course = np.concatenate([now[0], past])
    given = np.concatenate([weight * effects.during[:, now[0]], left[lasting] * effects.after[:, past]], axis=1)
    place[rows] = np.arange(len(rows))
    at = place[np.concatenate([now[1], former.row[lasting]])].astype(np.int64)
    place[rows] = -1
    here = np.flatnonzero(at >= 0)
    at, course, given = at[here], course[here], given[:, here]
    alone = np.bincount(at, minlength=len(rows))[at] == 1
    sums = np.zeros((len(effects.during), len(rows)))
    sums[:, at[alone]] = given[:, alone]
    at, course, given = at[~alone], course[~alone], given[:, ~alone]
    pool = at * (int(effects.pool.max(initial=0)) + 1) + effects.pool[course]
    for sum, shift in zip(sums, given, strict=True):
        order = np.lexsort((-np.abs(shift), pool))
        strongest = order[np.flatnonzero(np.diff(pool[order], prepend=-1))]
        sum += np.bincount(at[strongest], weights=shift[strongest], minlength=len(rows))
    return sums


def endings(
    engine: str,
    entries: np.ndarray,
    enrolled: int,
    month: int,
    remains: Target,
    target: Target,
    who: Who,
    luck: Luck,
    terms: Terms,
    ends: Ends,
) -> np.ndarray:
    """Return how each of ``entries`` ends in ``month``, a code of ``ends`` each.

    The first ``enrolled`` of them have a place: they keep it while they are of the group that ``remains`` and drop out
    by ``luck``. The others wait: they may while they are of the ``target`` group.
    """
    if engine == "numba":
        from .kernels import endings as compiled

        columns = (*remains, *target, who.packed, who.keys, *luck, *MULTIPLIERS, *terms, *ends)
        codes: np.ndarray = compiled(entries, enrolled, month, *columns)
        return codes
    course, _, since = entries
    months, over = month - since, month > terms.last[course]
    placed, waiting = np.split(np.arange(len(course)), [enrolled])
    stays = in_target_group(engine, entries[:, placed], month, remains, who)
    may = in_target_group(engine, entries[:, waiting], month, target, who)
    done = months[placed] >= terms.duration[course[placed]]
    drops = _uniform(luck, entries[:, placed], who) < terms.leave[course[placed]]
    tired = months[waiting] > terms.patience[course[waiting]]
    return np.concatenate(
        [
            np.select([done, over[placed], ~stays, drops], ends[:4], ends.stays),
            np.select([~may | over[waiting], tired], ends[4:6], ends.stays),
        ]
    )


def heard(
    engine: str,
    entries: np.ndarray,
    brought: int,
    month: int,
    target: Target,
    hears: np.ndarray,
    who: Who,
    chances: Chances,
    luck: Luck,
    says_yes: np.uint64,
    queues: Queues,
    stands: Stands,
    take_up: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which of ``entries`` are referred to their course now, who of them says yes, and who may be another time.

    The first ``brought`` come with a participant and need be of the target group only; channels have reached the
    others, who must be in a state that some channel reaches (``hears``, by course and state) and are reached by
    ``chances`` and ``luck``. Referred can be who stands new with the course's activity and is not enrolled in any of
    the activities before it. Each resident is referred to an activity once, by the first entry that can. Yes is said by
    the chance ``take_up`` (traits, courses), in a draw of the moment ``says_yes``. The first and the third are indices,
    the second a mask of the first. Who is outside waits no more, and comes back when entering the target group anew;
    who has been referred never waits again.
    """
    if engine == "numba":
        from .kernels import heard as compiled

        keys = (who.keys, *luck, says_yes, *MULTIPLIERS)
        columns = (who.packed, *chances, *keys, queues.activity, queues.before, who.status, *stands, take_up)
        can, yes, again = compiled(entries, brought, month, *target, hears, *columns, who.pending)
        return can, yes, again
    course, row, _ = entries
    by_channel = np.arange(len(course)) >= brought
    inside = in_target_group(engine, entries, month, target, who)
    inside &= ~by_channel | hears[course, who.state[row]]
    age = month - who.birth[row].astype(np.int64)
    band = np.minimum((age[:, None] >= chances.limit[course]).sum(axis=1), chances.limit.shape[1] - 1)
    chance = chances.chance[course, who.state[row], band]
    missed = inside & by_channel & (_uniform(luck, entries, who) >= chance)
    kind = queues.activity[course]
    stood = standing(who.status, row, kind)
    free = inside & ~missed & (stood == stands.new)
    for other in queues.before[kind].T:
        free &= (other < 0) | (standing(who.status, row, other) != stands.enrolled)
    can = np.flatnonzero(first_of_each(row * len(queues.before) + kind, free))
    waits = inside & ~missed & ~free & ((stood == stands.new) | (stood == stands.handed))
    yes = _uniform(luck._replace(moment=says_yes), entries[:, can], who) < take_up[who.traits[row[can]], course[can]]
    again = (missed | waits) & by_channel
    put(who.pending, row[by_channel & ~inside], course[by_channel & ~inside], False)
    return can, yes, np.flatnonzero(again)


def _uniform(luck: Luck, entries: np.ndarray, who: Who) -> np.ndarray:
    """Return the draw of each entry's resident about its course."""
    bits = mix(mix(who.keys[entries[1]] ^ luck.moment) ^ luck.subjects[entries[0]])
    return (bits >> np.uint64(11)) * 2.0**-53


def handed_to(
    engine: str,
    entries: np.ndarray,
    month: int,
    queues: Queues,
    target: Target,
    who: Who,
    stands: Stands,
) -> np.ndarray:
    """Return the course that each of ``entries``, who leave theirs, is handed over to in ``month``; -1 for none.

    It is the first that takes people then, whose target group the resident is of, and with whose activity the resident
    stands new.
    """
    if engine == "numba":
        from .kernels import handed_to as compiled

        found: np.ndarray = compiled(entries, month, *queues, who.status, *target, who.packed, *stands)
        return found
    course, row, _ = entries
    found = np.full(len(course), -1, dtype=np.int64)
    taken = np.empty(0, dtype=np.int64)
    for to in queues.follows[queues.activity[course]].T:
        asked = np.stack([to, row, np.full(len(to), month)])
        kind = queues.activity[to]
        keys = row * len(queues.before) + kind
        can = (found < 0) & (to >= 0) & (queues.first[to] <= month) & (month <= queues.last[to])
        can &= (standing(who.status, row, kind) == stands.new) & in_target_group(engine, asked, month, target, who)
        can &= first_of_each(keys, can & ~np.isin(keys, taken))
        found[can] = to[can]
        taken = np.concatenate([taken, keys[can]])
    return found


def first_of_each(keys: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Return a mask of those ``among`` the entries before whom none of them has the same key."""
    at = np.flatnonzero(among)
    found = np.zeros(len(keys), dtype=bool)
    found[at[np.unique(keys[at], return_index=True)[1]]] = True
    return found


def admitted(engine: str, group: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Return who of a queue gets one of the ``free`` places of its ``group``, the first in the queue first."""
    if engine == "numba":
        from .kernels import admitted as compiled

        placed: np.ndarray = compiled(group, free)
        return placed
    by_group = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[by_group], np.arange(len(free)))
    rank = np.empty(len(group), dtype=np.int64)
    rank[by_group] = np.arange(len(group)) - starts[group[by_group]]
    return rank < free[group]

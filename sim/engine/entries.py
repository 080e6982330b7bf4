"""What is looked up about some residents for some courses at once: in numpy (the oracle) or compiled, the same bytes.

Entries have the shape (3, entries), int64: course, row of the resident, month.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Target(NamedTuple):
    """Whom each course is for: ages in months from ``youngest`` on and below ``oldest``, ``member`` by state code."""

    youngest: np.ndarray
    oldest: np.ndarray
    member: np.ndarray


class Who(NamedTuple):
    """Columns of the residents that a target group depends on."""

    birth: np.ndarray
    state: np.ndarray
    in_area: np.ndarray


class Reach(NamedTuple):
    """When channels reach people: ``line`` rises over all ages in months of one course after the other.

    A course's part has ``ages`` entries and begins above the end of the one before. Whom a course would reach after
    its ``last`` month it reaches in month ``never``.
    """

    line: np.ndarray
    ages: int
    last: np.ndarray
    never: int


class Former(NamedTuple):
    """Entries of the past, one array each: when they ended, and after how much of the course."""

    course: np.ndarray
    row: np.ndarray
    month: np.ndarray
    dose: np.ndarray


class Effects(NamedTuple):
    """Shifts of two log hazards, (2, courses): ``during`` a course, and ``after`` it times ``fading`` by months."""

    during: np.ndarray
    after: np.ndarray
    fading: np.ndarray


class Sums(NamedTuple):
    """Shifts of two log hazards by resident, of those whom one entry shifts; and the entries of all others.

    ``several``: place of the resident, course, and the two shifts.
    """

    start: np.ndarray
    end: np.ndarray
    several: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class Terms(NamedTuple):
    """What ends a place or a wait, by course: months a course lasts, the chance a month of ``leave`` (dropping out),
    months people wait, and the last month of the course."""

    duration: np.ndarray
    leave: np.ndarray
    patience: np.ndarray
    last: np.ndarray


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

        found: np.ndarray = compiled(entries, month, *target, *who)
        return found
    course, row, _ = entries
    age = month - who.birth[row].astype(np.int64)
    of_age = (age >= target.youngest[course]) & (age < target.oldest[course])
    return of_age & target.member[course, who.state[row]] & who.in_area[row]


def reached_in(engine: str, entries: np.ndarray, wait: np.ndarray, reach: Reach, birth: np.ndarray) -> np.ndarray:
    """Return the month, int16, from that of the entry on, in which the line has risen by ``wait``."""
    if engine == "numba":
        from .kernels import reached_in as compiled

        found: np.ndarray = compiled(entries, wait, *reach, birth)
        return found
    course, row, begin = entries
    age = np.clip(begin - birth[row].astype(np.int64), 0, reach.ages - 1)
    first = course * reach.ages
    passed = np.searchsorted(reach.line, reach.line[first + age] + wait) - 1 - first
    reached = begin + np.maximum(passed - age, 0)
    return np.where(reached > reach.last[course], reach.never, reached).astype(np.int16)


def shifts_by_resident(
    engine: str,
    month: int,
    rows: np.ndarray,
    enrolled: np.ndarray,
    former: Former,
    effects: Effects,
    place: np.ndarray,
) -> Sums:
    """Return by how much courses shift the hazards of ``rows`` in ``month``.

    ``place`` is room for a number a resident, -1 for all of them before and after.
    """
    if engine == "numba":
        from .kernels import shifts_by_resident as compiled

        start, end, *several = compiled(month, rows, enrolled, *former, *effects, place)
        return Sums(start, end, tuple(several))
    left = former.dose * effects.fading[former.course, month - former.month]
    lasting = np.flatnonzero(left)
    past, now = former.course[lasting], enrolled[0]
    course = np.concatenate([now, past])
    given = np.concatenate([effects.during[:, now], left[lasting] * effects.after[:, past]], axis=1)
    place[rows] = np.arange(len(rows))
    at = place[np.concatenate([enrolled[1], former.row[lasting]])].astype(np.int64)
    place[rows] = -1
    here = np.flatnonzero(at >= 0)
    at, course, given = at[here], course[here], given[:, here]
    alone = np.bincount(at, minlength=len(rows))[at] == 1
    sums = np.zeros((2, len(rows)))
    sums[:, at[alone]] = given[:, alone]
    many = ~alone
    start, end = sums
    return Sums(start, end, (at[many], course[many], *given[:, many]))


def endings(
    engine: str,
    entries: np.ndarray,
    enrolled: int,
    luck: np.ndarray,
    month: int,
    terms: Terms,
    target: Target,
    who: Who,
    ends: Ends,
) -> np.ndarray:
    """Return how each of ``entries`` ends in ``month``, a code of ``ends`` each.

    The first ``enrolled`` of them have a place and draw ``luck`` for dropping out, the others wait.
    """
    if engine == "numba":
        from .kernels import endings as compiled

        codes: np.ndarray = compiled(entries, enrolled, luck, month, *terms, *target, *who, *ends)
        return codes
    course, _, since = entries
    months, over = month - since, month > terms.last[course]
    outside = ~in_target_group(engine, entries, month, target, who)
    placed, waiting = np.split(np.arange(len(course)), [enrolled])
    done, drops = months[placed] >= terms.duration[course[placed]], luck < terms.leave[course[placed]]
    tired = months[waiting] > terms.patience[course[waiting]]
    return np.concatenate(
        [
            np.select([done, over[placed], outside[placed], drops], ends[:4], ends.stays),
            np.select([(outside | over)[waiting], tired], ends[4:6], ends.stays),
        ]
    )


def referable(
    engine: str,
    entries: np.ndarray,
    month: int,
    status: np.ndarray,
    activity: np.ndarray,
    before: np.ndarray,
    target: Target,
    who: Who,
    stands: Stands,
) -> tuple[np.ndarray, np.ndarray]:
    """Return which of ``entries`` can be referred to their course now, and which may be another time (indices).

    Referred can be who belongs to the target group, stands new with the course's ``activity`` (``status`` by activity
    and resident) and is not enrolled in any of the activities ``before`` it (-1: none). Each resident is referred to
    an activity once, by the first entry that can.
    """
    if engine == "numba":
        from .kernels import referable as compiled

        can, again = compiled(entries, month, status, activity, before, *target, *who, *stands)
        return can, again
    course, row, _ = entries
    kind = activity[course]
    stand = status[kind, row]
    free = (stand == stands.new) & in_target_group(engine, entries, month, target, who)
    for other in before[kind].T:
        free &= (other < 0) | (status[other, row] != stands.enrolled)
    first = first_of_each(row * len(status) + kind, free)
    return np.flatnonzero(first), np.flatnonzero(~free & ((stand == stands.new) | (stand == stands.handed)))


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

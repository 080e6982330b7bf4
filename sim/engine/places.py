"""Which table rows a resident uses, and until when: in numpy (the oracle) or compiled, the same bytes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Places(NamedTuple):
    """Columns of the residents: what their table rows depend on, and the rows themselves (the last four)."""

    birth: np.ndarray
    since: np.ndarray
    phase: np.ndarray
    state: np.ndarray
    sex: np.ndarray
    origin: np.ndarray
    role: np.ndarray
    youth_dwelling: np.ndarray
    in_area: np.ndarray
    frailty: np.ndarray
    side_hours: np.ndarray
    affected: np.ndarray
    row: np.ndarray
    until: np.ndarray
    side_row: np.ndarray
    out_row: np.ndarray


class Lookups(NamedTuple):
    """What follows from age, phase and months in it.

    By age in months: ``age_class``, ``next_age`` (months at which a class changes) and ``side_class`` (-1: none).
    By phase: ``passes`` (last month before it becomes ``then``). By (phase, months): ``cell``, ``next_duration``.
    ``side`` by (state, side class + 1, job held, frailty, affected); ``out`` by (role, youth dwelling, age class,
    state); ``first_row`` by (age class, sex, origin); ``never`` is a month that does not come.
    """

    age_class: np.ndarray
    next_age: np.ndarray
    side_class: np.ndarray
    passes: np.ndarray
    then: np.ndarray
    cell: np.ndarray
    next_duration: np.ndarray
    side: np.ndarray
    out: np.ndarray
    first_row: np.ndarray
    never: int


def renew_rows(engine: str, rows: np.ndarray, month: int, people: Places, lookups: Lookups) -> None:
    """Find the table rows that ``rows`` use in ``month``, and the month in which each of them ends.

    A phase whose time is over is left for the one that follows.
    """
    if engine == "numba":
        from .kernels import renew

        renew(rows, month, *people, *lookups)
    else:
        _numpy_renew(rows, month, people, lookups)


def _numpy_renew(rows: np.ndarray, month: int, people: Places, lookups: Lookups) -> None:
    birth, since = people.birth.take(rows).astype(np.int64), people.since.take(rows).astype(np.int64)
    age = np.minimum(month - birth, len(lookups.age_class) - 1)
    elapsed = np.minimum(month - since, lookups.cell.shape[1] - 1)
    phase, state = people.phase.take(rows), people.state.take(rows)
    passed = np.flatnonzero(lookups.passes.take(phase) < elapsed)
    if len(passed):
        phase[passed] = lookups.then.take(phase[passed])
        people.phase[rows[passed]] = phase[passed]
    age_class = lookups.age_class.take(age)
    moment = phase.astype(np.int64) * lookups.cell.shape[1] + elapsed
    first = lookups.first_row[age_class, people.sex.take(rows), people.origin.take(rows)]
    people.row[rows] = first + lookups.cell.take(moment)
    following = np.minimum(lookups.next_duration.take(moment) + since, lookups.next_age.take(age) + birth)
    people.until[rows] = np.minimum(following, lookups.never)
    held = (people.side_hours.take(rows) > 0).astype(np.uint8)
    affected = people.affected.take(rows).astype(np.uint8)
    side_class = lookups.side_class.take(age) + 1
    people.side_row[rows] = lookups.side[state, side_class, held, people.frailty.take(rows), affected]
    youth = people.youth_dwelling.take(rows).astype(np.uint8)
    out = lookups.out[people.role.take(rows), youth, age_class, state]
    people.out_row[rows] = np.where(people.in_area.take(rows), out, 0)

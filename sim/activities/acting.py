"""How strongly courses act, on whom, on which hazards: effects, quality, contact with staff, relation, role models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..engine.entries import Effects, Former, shifts_by_resident
from ..engine.growing import Growing
from . import ActivityType
from .base import FADED, LEISURE_KINDS, MOVES_OF, SMALL_KINDS

SIDE_KINDS = (*LEISURE_KINDS, *SMALL_KINDS)
"""Hazards of side jobs, in the order of the shifts."""


class Past(Growing):
    """Who has been in which course until which month, and for how much of it (``dose``)."""

    course: np.ndarray
    row: np.ndarray
    month: np.ndarray
    dose: np.ndarray


class Now(NamedTuple):
    """Who is under a course's influence this month: course and row of each, and how strongly (1: fully)."""

    entries: np.ndarray
    weight: np.ndarray


class _Table(NamedTuple):
    """Effects on some hazards, with whether a course has any while it lasts (``acts``) and after it (``lasts``)."""

    names: tuple[str, ...]
    effects: Effects
    acts: np.ndarray
    lasts: np.ndarray


class Acting:
    """The effects of the courses on the hazards of residents.

    A course may act in several ways at once: as itself, through the role models in its group, through its known
    alumni, on those its members contact, by a rule that comes into force. Each way is a part of its own, numbered
    ``course + way · courses``; the parts of a course add up, and so do courses, but those of one ``pool`` share one
    published estimate: the strongest counts.
    """

    WAYS = ("itself", "role models", "alumni", "contacts", "rule")

    def __init__(
        self, values: Sequence[Mapping[str, float]], types: Sequence[ActivityType], engine: str, quality: np.ndarray
    ) -> None:
        self._engine = engine
        self.courses = len(types)
        self.quality = quality
        half_life = [of.get("half_life_months", 0.0) for of in values]
        self._half_life = np.tile(np.maximum(half_life, 1e-9), len(self.WAYS))
        pools = [type.pool or f"{at}" for at, type in enumerate(types)]
        names = sorted(set(pools))
        pool = np.array([names.index(name) for name in pools], dtype=np.int64)
        parts = np.arange(len(self.WAYS))[:, None] * len(names)
        self._pool = (parts + pool).ravel() if self.courses else np.empty(0, dtype=np.int64)
        by_way = [_given(of, type) for of, type in zip(values, types, strict=True)]
        moves = dict.fromkeys(name for given in by_way for during, after in given for name in (*during, *after))
        self._side = self._table(SIDE_KINDS, by_way)
        self._moves = self._table(tuple(name for name in moves if name not in SIDE_KINDS), by_way)
        self._fading = np.empty((0, 0))
        either = np.any([part for table in (self._side, self._moves) for part in (table.acts, table.lasts)], axis=0)
        self._by_way = dict(zip(self.WAYS, either.reshape(len(self.WAYS), self.courses), strict=True))

    def _table(self, names: tuple[str, ...], by_way: Sequence[Sequence[_Given]]) -> _Table:
        shape = (len(names), len(self.WAYS), self.courses)
        both = [np.zeros(shape), np.zeros(shape)]
        for course, given in enumerate(by_way):
            for way, when in enumerate(given):
                for table, values in zip(both, when, strict=True):
                    for name, value in values.items():
                        if name in names:
                            table[names.index(name), way, course] = value
        during, after = (table.reshape(len(names), len(self.WAYS) * self.courses) for table in both)
        effects = Effects(self._pool, during, after, np.empty((0, 0)))
        return _Table(names, effects, np.any(during != 0, axis=0), np.any(after != 0, axis=0))

    @property
    def names(self) -> tuple[str, ...]:
        """Hazards other than those of side jobs that some course changes."""
        return self._moves.names

    def acts(self, way: str) -> np.ndarray:
        """Return which courses act in ``way`` at all."""
        return self._by_way[way]

    def lasts(self) -> np.ndarray:
        """Return which parts go on after their end."""
        found: np.ndarray = self._side.lasts | self._moves.lasts
        return found

    def on_side_jobs(self) -> np.ndarray:
        """Return which courses change hazards of side jobs in any way."""
        found = (self._side.acts | self._side.lasts).reshape(len(self.WAYS), self.courses)
        return np.any(found, axis=0)

    def part(self, course: np.ndarray, way: str) -> np.ndarray:
        """Return the number of the part in which courses act in ``way``."""
        return course + self.WAYS.index(way) * self.courses

    def _faded(self, month: int, table: _Table) -> Effects:
        """Return effects with their fading up to ``month`` months after an end."""
        if month >= self._fading.shape[1]:
            half_lives = np.arange(2 * month + 12) / self._half_life[:, None]
            self._fading = np.where(half_lives > FADED, 0.0, 0.5**half_lives)
        return table.effects._replace(fading=self._fading)

    def given(self, month: int, now: Now, past: Past) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return, one entry a part and resident: part, row, and shifts of the leisure-job hazards in ``month``."""
        effects = self._faded(month, self._side)
        left = past.dose * effects.fading[past.course, month - past.month]
        lasting = np.flatnonzero(left)
        course = np.concatenate([now.entries[0], past.course[lasting]])
        row = np.concatenate([now.entries[1], past.row[lasting]])
        during = now.weight * effects.during[:2, now.entries[0]]
        after = left[lasting] * effects.after[:2, past.course[lasting]]
        return course, row, np.concatenate([during, after], axis=1)

    def side_shifts(self, month: int, rows: np.ndarray, now: Now, past: Past, place: np.ndarray) -> np.ndarray:
        """Return by how much the log hazards of ``SIDE_KINDS`` are shifted, shape (kinds, rows)."""
        return self._shifts(month, rows, now, past, place, self._side)

    def moving(self, month: int, now: Now, past: Past) -> np.ndarray:
        """Return the rows whose moves some course changes in ``month``, some more than once."""
        if not self._moves.names:
            return np.empty(0, dtype=np.int64)
        effects = self._faded(month, self._moves)
        lasting = self._moves.lasts[past.course]
        lasting[lasting] = effects.fading[past.course[lasting], month - past.month[lasting]] > 0
        acting = self._moves.acts[now.entries[0]] & (now.weight > 0)
        return np.concatenate([now.entries[1][acting], past.row[lasting].astype(np.int64)])

    def move_shifts(self, month: int, rows: np.ndarray, now: Now, past: Past, place: np.ndarray) -> np.ndarray:
        """Return by how much the log hazards of :attr:`names` are shifted, shape (names, rows)."""
        return self._shifts(month, rows, now, past, place, self._moves)

    def _shifts(
        self, month: int, rows: np.ndarray, now: Now, past: Past, place: np.ndarray, table: _Table
    ) -> np.ndarray:
        former = Former(past.course, past.row, past.month, past.dose)
        effects = self._faded(month, table)
        return shifts_by_resident(self._engine, month, rows, now.entries, now.weight, former, effects, place)


_Given = tuple[dict[str, float], dict[str, float]]
"""Log hazard ratios by hazard: while a course lasts, and after it."""


def _given(values: Mapping[str, float], type: ActivityType) -> tuple[_Given, ...]:
    """Return the effects of a course in each of ``Acting.WAYS``, those that are nil left out."""

    def kept(found: Mapping[str, float]) -> dict[str, float]:
        return {name: value for name, value in found.items() if value}

    itself = [{name: values.get(f"effect_{name}_{when}", 0.0) for name in type.effects} for when in ("during", "after")]
    eases = {f"eases_{barrier}": values[f"eases_{barrier}"] for barrier in type.eases}
    if "reward" in type.mechanics:
        gain = values["keep_share"] / max(values["keep_share_without"], 1e-9)
        more = values["reward_elasticity"] * float(np.log(gain))
        itself[0]["small_job_start"] = itself[0].get("small_job_start", 0.0) + more
    to_work = [name for name in type.effects if name.endswith("_to_employed") and name in MOVES_OF]
    role = dict.fromkeys(to_work, values.get("effect_role_models", 0.0))
    jobs = [*to_work, *(name for name in type.effects if name == "start")]
    alumni = dict.fromkeys(jobs, values.get("effect_alumni_signal", 0.0))
    contacts = eases if "contacts" in type.mechanics else {}
    return (
        (kept(itself[0] | eases), kept(itself[1] | eases)),
        (kept(role), {}),
        ({}, kept(alumni)),
        ({}, kept(contacts)),
        (kept({"small_job_start": values.get("effect_rule_225", 0.0)}), {}),
    )

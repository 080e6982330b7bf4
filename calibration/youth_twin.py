"""Young people between school, education, work and neither, exactly, for many parameter draws at once.

The hazards are the agents' own: they are linear in the rates, so the tables of a year are found once by asking
:func:`sim.transitions.hazards`, and a draw only combines them. The chain is that of ``sim/chain.py`` without usual
activation, carried forward month by month; what cannot differ is one state (the newly activity-ready become long-term
after 60 months, before which the counts of the residents end and after which hardly anybody of the cohort is left). Two
groups are followed through one calendar:

- *residents*: everybody aged 11 to 20 in December 2011, as the recipe of the area makes them, wherever they live later.
  In *history_stayers* those of the agents who are found job-ready then can be stayers, which this chain leaves out.
  Those of 18 are followed apart by what they did then (Figure 4.9).
- *cohort*: women and men aged 16 in 2008 (Figures 4.7 and 4.8). The model begins in 2011, so this is a synthetic
  cohort: it lives under the model's rates and the year's demand (before 2010 that of 2010), from its own printed shares
  at 16.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from sim.parameters import WITHOUT_ACTIVATION, ParameterSet
from sim.recipe import recipe
from sim.scenario import month_number
from sim.states import CODE, ORIGINS, PHASE_CODE, PHASES, SEXES, UPPER_SECONDARY_AGE
from sim.transitions import AGE_CLASS, CELLS, DURATION_CLASS, FIRST_CELL, hazards

START: Final = month_number("2011-12")
COHORT_START: Final = month_number("2008-12")
END: Final = month_number("2016-12")
FOLLOWED_TO: Final = month_number("2015-12")
GROUPS: Final = ("basic_school", "in_education", "employed", "neet")
"""How young people are counted; the last are those in none of the others."""
STARTS: Final = ("neet", "employed", "in_education")
"""What those of 18 in 2011 did then, in the order they are followed."""
BLOCKS: Final = ("danish", "non_western")
"""Origins with hazards of their own; the few Western residents are counted with the Danish ones."""
PROFILE: Final = ("basic_school", "education_done_or_ongoing", "employed_basic", "rest_group")
"""The groups of Figures 4.7 and 4.8; nobody in the last two has completed anything above basic school."""
FIRST_AGE: Final = 16
"""Age (years) at which school may be left and the counts begin."""
YOUNG: Final = range(FIRST_AGE, 25)
"""Ages (years) that are counted."""
AGES: Final = range(11, 21)
"""Age (years) in December 2011 of those who are 16 to 24 in some December from 2012 to 2016."""
PERSONS: Final = 200_000
"""Residents of the recipe whose ages, sexes, origins and states are counted."""
DRAWS: Final = 64
"""Draws carried at once, so that what a month needs stays near the processor; measured, it decides nothing."""

_SINCE_BIRTHDAY: Final = (2, 9)
"""Months since the last birthday, each for half a year's births: mean and spread are those of the months 0 to 11."""
_CLASS_AGES: Final = (FIRST_AGE, 18, UPPER_SECONDARY_AGE, YOUNG.stop)
"""First years of the age classes of the young, and of the class after them."""
_STRATA: Final = len(SEXES) * len(BLOCKS)
_SCHOOL, _EDUCATION, _WORK, _NEITHER = (
    PHASE_CODE[key] for key in ("basic_school", "in_education", "employed", "self_supporting")
)


class Counted(NamedTuple):
    """What the targets are read from.

    ``residents``: by calendar month (each December from 2012 to 2016), as shares of all residents aged 11-20 in 2011,
    shape (draws, ages 16-24, sexes, blocks, groups). ``followed``: those of 18 in 2011, in December 2015, as shares of
    those who began alike, shape (draws, starts, blocks, groups). ``profile``: the cohort by age (16-24), as shares of
    its women and of its men, shape (draws, sexes, groups of PROFILE).
    """

    residents: dict[int, np.ndarray]
    followed: np.ndarray
    profile: dict[int, np.ndarray]


class _Column(NamedTuple):
    """People followed together: months of age in December 2011, and who they are.

    ``kind`` is ``resident``, one of STARTS (those of 18), or ``cohort`` and ``qualified``: the cohort with nothing and
    with something completed above basic school.
    """

    age: int
    kind: str


class _Chances(NamedTuple):
    """The chances of a month in an age class.

    ``stay``: by cell, shape (cells, strata, draws). ``moves``: from state to state, shape (strata, draws, states,
    states), as many states as the age class can be in.
    """

    stay: np.ndarray
    moves: np.ndarray


def _columns() -> list[_Column]:
    """Return all columns by age, so that those of an age class stand together."""
    kinds = {years: ("resident",) for years in AGES} | {18: STARTS}
    found = [_Column(12 * years + m, kind) for years in AGES for kind in kinds[years] for m in _SINCE_BIRTHDAY]
    years = FIRST_AGE + (START - COHORT_START) // 12
    found += [_Column(12 * years + m, kind) for kind in ("cohort", "qualified") for m in _SINCE_BIRTHDAY]
    return sorted(found, key=lambda column: column.age)


class YouthTwin:
    """The exact lives of young people as a function of the monthly rates ``free``; all else is as in ``parameters``.

    ``at_16``: shares of GROUPS among the cohort's women and men at 16, shape (sexes, groups).
    """

    def __init__(self, parameters: ParameterSet, free: Sequence[str], at_16: np.ndarray) -> None:
        self.free = tuple(free)
        self._at_16 = at_16
        self._longest = int(parameters.value("past_months_at_most"))
        self._years = range(COHORT_START // 12, END // 12 + 1)
        self._plan(_unit_tables(parameters.replace(WITHOUT_ACTIVATION), self.free, self._years))
        people = recipe("area", parameters).first(PERSONS)
        years = people.age.astype(np.int64) // 12
        mine = (years >= AGES.start) & (years < AGES.stop)
        block = people.origin == ORIGINS.index("non_western")
        shape = (len(AGES), len(SEXES), len(BLOCKS), len(CODE))
        codes = (years - AGES.start, people.sex, block, people.state)
        keys = np.ravel_multi_index([code[mine].astype(np.int64) for code in codes], shape)
        counts = np.bincount(keys, minlength=int(np.prod(shape)))
        self.placed = counts.reshape(len(AGES), _STRATA, len(CODE)) / counts.sum()
        """Shares of those aged 11-20 in December 2011 by age, stratum (sex, block) and state."""
        self._columns = _columns()
        self._ages = np.array([column.age for column in self._columns])
        self._unqualified, self._qualified = self._of("cohort"), self._of("qualified")

    def _plan(self, tables: np.ndarray) -> None:
        """Lay out states and flows from ``tables`` (years, 1 + rates, classes, strata, cells, phases)."""
        possible = (tables != 0).any(axis=(0, 1, 3))
        youngest = _reached(possible[0])
        phases = youngest + [p for p in _reached(possible.any(axis=0)) if p not in youngest]
        lengths = {p: max((0, *PHASES[p].cuts)) + 1 for p in phases}
        self._first = dict(zip(phases, np.cumsum([0, *lengths.values()]).tolist(), strict=False))
        self._lengths = lengths
        self.states = sum(lengths.values())
        """States a young person can be in: phases, cut into months where hazards depend on them."""
        self._states_of_class = [sum(lengths[p] for p in youngest), self.states, self.states]
        cells = [cell for cell, (p, _) in enumerate(CELLS) if p in phases]
        self._cell_of = {p: cells.index(int(FIRST_CELL[p])) for p in phases}
        # One entry a state: its duration class, and where it stands a month later if it stays.
        state_cell = [self._cell_of[p] + DURATION_CLASS[p, m + 1] for p in phases for m in range(lengths[p])]
        self._state_cell = np.array(state_cell)
        ends = np.repeat(np.cumsum(list(lengths.values())) - 1, list(lengths.values()))
        self._then = np.minimum(np.arange(self.states) + 1, ends)
        flows = [(at, p) for at, cell in enumerate(cells) for p in phases if possible[:, cell, p].any()]
        self._flow_cell = np.array([at for at, _ in flows])
        self._opens = np.flatnonzero(np.diff(self._flow_cell, prepend=-1))
        # One entry a state and flow out of it.
        self._leaves = np.array(
            [(s, self._first[p], f) for s, at in enumerate(state_cell) for f, (c, p) in enumerate(flows) if c == at]
        ).T
        of_flow = tables[..., [cells[at] for at, _ in flows], [p for _, p in flows]]
        # Products with the rates sum over the last axis.
        self._units = np.ascontiguousarray(of_flow.transpose(0, 2, 4, 3, 1))
        self._in_group = np.zeros((self.states, len(GROUPS)))
        for group, p in enumerate((_SCHOOL, _EDUCATION, _WORK)):
            self._in_group[self._first[p] : self._first[p] + lengths[p], group] = 1
        self._in_group[:, -1] = 1 - self._in_group.sum(axis=1)

    def _of(self, *kinds: str) -> np.ndarray:
        return np.array([at for at, column in enumerate(self._columns) if column.kind in kinds])

    def counted(self, values: np.ndarray) -> Counted:
        """Follow everybody under ``values``, shape (draws, free rates), and count them where the targets do.

        Raises ``ValueError`` for another shape.
        """
        values = np.asarray(values, dtype=float)
        if values.ndim != 2 or values.shape[1] != len(self.free) or not len(values):
            raise ValueError(f"values have shape (draws, {len(self.free)}), not {values.shape}")
        parts = [self._counted(values[first : first + DRAWS]) for first in range(0, len(values), DRAWS)]
        residents, followed, profile = zip(*parts, strict=True)
        return Counted(
            {month: np.concatenate([part[month] for part in residents]) for month in residents[0]},
            np.concatenate(followed),
            {age: np.concatenate([part[age] for part in profile]) for age in profile[0]},
        )

    def _counted(self, values: np.ndarray) -> Counted:
        residents: dict[int, np.ndarray] = {}
        profile: dict[int, np.ndarray] = {}
        for month, p in self._lived(values):
            if month % 12 != END % 12:
                continue
            shares = p.transpose(1, 2, 0, 3) @ self._in_group
            profile[FIRST_AGE + (month - COHORT_START) // 12] = self._profile(shares)
            if month > START:
                residents[month] = self._residents(shares, month)
            if month == FOLLOWED_TO:
                followed = self._followed(shares)
        return Counted(residents, followed, profile)

    # --- the chain

    def _lived(self, values: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yield every month with the shares after it, shape (strata, draws, columns, states); changed in place."""
        rates = np.vstack([np.ones(len(values)), values.T])
        p = np.zeros((_STRATA, len(values), len(self._columns), self.states))
        cohort = np.sort(np.concatenate([self._unqualified, self._qualified]))
        year = self._years.start
        chances = [self._chances(code, units @ rates) for code, units in enumerate(self._units[0])]
        self._begin_cohort(p, chances[0])
        yield COHORT_START, p
        for month in range(COHORT_START + 1, END + 1):
            if month // 12 != year:
                before, year = self._units[year - self._years.start], month // 12
                units = self._units[year - self._years.start]
                if not np.array_equal(units, before):
                    chances = [self._chances(code, mine @ rates) for code, mine in enumerate(units)]
            age = self._ages + (month - START)
            limits = np.searchsorted(age, [12 * years for years in _CLASS_AGES])
            if month <= START:
                limits = np.clip(limits, cohort[0], cohort[-1] + 1)
            for (begin, end), of_class, states in zip(pairwise(limits), chances, self._states_of_class, strict=True):
                if begin < end:
                    self._step(p[:, :, begin:end, :states], of_class.moves, begin, grown=age[begin] >= _GROWN)
            # Who is a student on the twentieth birthday has completed an upper-secondary education.
            due = age[self._unqualified] + 1 == _GROWN
            mine, theirs, student = self._unqualified[due], self._qualified[due], self._first[_EDUCATION]
            p[:, :, theirs, student] += p[:, :, mine, student]
            p[:, :, mine, student] = 0
            if month == START:
                self._begin_residents(p, chances)
            yield month, p

    def _chances(self, code: int, hazard: np.ndarray) -> _Chances:
        """Turn hazards (flows, strata, draws) into chances, as ``sim.transitions.probabilities`` does."""
        total = np.zeros((len(np.unique(self._state_cell)), *hazard.shape[1:]))
        total[self._flow_cell[self._opens]] = np.add.reduceat(hazard, self._opens, axis=0)
        stay = np.exp(-total)
        scale = np.divide(-np.expm1(-total), total, out=np.ones_like(total), where=total > 0)
        leave = hazard * scale[self._flow_cell]
        states = self._states_of_class[code]
        moves = np.zeros((*hazard.shape[1:], states, states))
        # The last state of a phase goes on; every other one is entered by staying from one state alone.
        moves[..., np.arange(states), self._then[:states]] = np.moveaxis(stay[self._state_cell[:states]], 0, -1)
        source, to, flow = self._leaves[:, (self._leaves[:2] < states).all(axis=0)]
        moves[..., source, to] += np.moveaxis(leave[flow], 0, -1)
        return _Chances(stay, moves)

    def _step(self, p: np.ndarray, moves: np.ndarray, begin: int, grown: bool) -> None:
        """Carry the columns ``p`` of an age class, the first of them number ``begin``, through a month."""
        after = p @ moves
        if grown:
            # From 20 on, who goes from education to work is qualified.
            here = (self._unqualified >= begin) & (self._unqualified < begin + p.shape[2])
            mine, theirs = self._unqualified[here] - begin, self._qualified[here] - begin
            student, worker = self._first[_EDUCATION], self._first[_WORK]
            flow = p[:, :, mine, student] * moves[:, :, student, worker, None]
            after[:, :, mine, worker] -= flow
            after[:, :, theirs, worker] += flow
        p[:] = after

    def _past(self, phase: int, chances: _Chances) -> np.ndarray:
        """Return shares of the months of a phase in a steady state, shape (strata, draws, months)."""
        months = np.minimum(np.arange(self._longest), DURATION_CLASS.shape[1] - 1)
        survive = np.cumprod(chances.stay[self._cell_of[phase] + DURATION_CLASS[phase, months]], axis=0)
        survive[0] = np.maximum(survive[0], np.finfo(float).tiny)
        survive /= survive.sum(axis=0)
        last = self._lengths[phase] - 1
        return np.moveaxis(np.concatenate([survive[:last], survive[last:].sum(axis=0, keepdims=True)]), 0, -1)

    def _begin_cohort(self, p: np.ndarray, chances: _Chances) -> None:
        shares = np.repeat(self._at_16, len(BLOCKS), axis=0)
        for group, phase in enumerate((_SCHOOL, _EDUCATION, _WORK, _NEITHER)):
            months = slice(self._first[phase], self._first[phase] + self._lengths[phase])
            p[:, :, self._unqualified, months] = (shares[:, group, None, None] * self._past(phase, chances))[:, :, None]

    def _begin_residents(self, p: np.ndarray, chances: list[_Chances]) -> None:
        """Place the residents of December 2011: an age's people evenly over its birth months, each in a state's
        phase."""
        placed = self.placed / len(_SINCE_BIRTHDAY)
        for of_class, ages in zip(chances, pairwise((0, *_CLASS_AGES[1:])), strict=True):
            # Below 16 everybody is at school, where months do not count.
            for state in np.flatnonzero(placed[slice(*_within(ages))].any(axis=(0, 1))).tolist():
                months = slice(self._first[state], self._first[state] + self._lengths[state])
                past = self._past(state, of_class)
                for at, (age, kind) in enumerate(self._columns):
                    if age // 12 in range(*ages) and kind in ("resident", _start_of(state)):
                        share = placed[age // 12 - AGES.start, :, state]
                        p[:, :, at, months] += share[:, None, None] * past

    # --- counting; shares have shape (draws, columns, strata, groups)

    def _residents(self, shares: np.ndarray, month: int) -> np.ndarray:
        years = (self._ages + month - START) // 12
        found = np.zeros((len(shares), len(YOUNG), _STRATA, len(GROUPS)))
        for at in self._of("resident", *STARTS):
            if years[at] in YOUNG:
                found[:, years[at] - YOUNG.start] += shares[:, at]
        return found.reshape(*found.shape[:2], len(SEXES), len(BLOCKS), len(GROUPS))

    def _followed(self, shares: np.ndarray) -> np.ndarray:
        found = np.stack([shares[:, self._of(kind)].sum(axis=1) for kind in STARTS], axis=1)
        by_block = found.reshape(*found.shape[:2], len(SEXES), len(BLOCKS), len(GROUPS)).sum(axis=2)
        return np.asarray(by_block / by_block.sum(axis=-1, keepdims=True))

    def _profile(self, shares: np.ndarray) -> np.ndarray:
        # The cohort's mix of origins is that of the residents of its age in 2011.
        mix = self.placed[FIRST_AGE + (START - COHORT_START) // 12 - AGES.start].sum(axis=1).reshape(-1, len(BLOCKS))
        mix = mix / mix.sum(axis=1, keepdims=True)
        parts = []
        for mine in (self._unqualified, self._qualified):
            found = shares[:, mine].mean(axis=1).reshape(len(shares), len(SEXES), len(BLOCKS), len(GROUPS))
            parts.append(np.einsum("dsbg,sb->dsg", found, mix))
        unqualified, qualified = parts
        school, education, work, neet = np.moveaxis(unqualified, -1, 0)
        return np.stack([school, education + qualified.sum(axis=-1), work, neet], axis=-1)


_GROWN: Final = 12 * UPPER_SECONDARY_AGE


def _within(ages: tuple[int, int]) -> tuple[int, int]:
    """Return the positions in AGES of an interval of ages."""
    return max(ages[0], AGES.start) - AGES.start, min(ages[1], AGES.stop) - AGES.start


def _start_of(state: int) -> str:
    """Return what somebody of 18 in ``state`` was doing, as one of STARTS."""
    if state == _WORK:
        return "employed"
    return "in_education" if state in (_SCHOOL, _EDUCATION) else "neet"


def _reached(possible: np.ndarray) -> list[int]:
    """Return the phases that lead from school, from ``possible`` moves (cells, phases)."""
    found = [_SCHOOL]
    for phase in found:
        own = possible[FIRST_CELL[phase] : FIRST_CELL[phase] + len(PHASES[phase].cuts) + 1].any(axis=0)
        found += [to for to in np.flatnonzero(own).tolist() if to not in found]
    return sorted(found)


def _unit_tables(parameters: ParameterSet, free: Sequence[str], years: Sequence[int]) -> np.ndarray:
    """Return hazards with all ``free`` rates nil, then what one per month of each adds.

    Shape (years, 1 + rates, age classes of the young, strata, cells, phases). Raises ``ValueError`` when two of the
    rates belong to the same move, which cannot be told apart then.
    """

    def table(values: dict[str, float], year: int) -> np.ndarray:
        classes = [int(AGE_CLASS[12 * age]) for age in _CLASS_AGES[:-1]]
        found = hazards(parameters.replace(values), year)[classes][:, :, [ORIGINS.index(block) for block in BLOCKS]]
        return found.reshape(len(classes), _STRATA, *found.shape[-2:])

    none, one = dict.fromkeys(free, 0.0), dict.fromkeys(free, 1.0)
    moves = np.stack([table({**none, id: 1.0}, years[0]) - table(none, years[0]) != 0 for id in free])
    if (moves.sum(axis=0) > 1).any() or not moves.any(axis=(1, 2, 3, 4)).all():
        raise ValueError("every free rate needs moves of its own")
    found = []
    for year in years:
        base = table(none, year)
        found.append(np.concatenate([base[None], moves * (table(one, year) - base)]))
    return np.stack(found)

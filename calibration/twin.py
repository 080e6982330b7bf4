"""The cash-benefit flows of the 2011 cohorts, exactly, for many parameter draws at once.

The hazards are the agents' own: each is linear in the rates, so the tables of a year are found once by asking
:func:`sim.transitions.hazards` with one rate at a time, and a draw only combines them. What cannot differ within the
sixty months is one state: the newly activity-ready do not become long-term before month 61, and who stays job-ready
for good is counted there until death. The rest is the chain of ``sim/chain.py``, carried forward from the two cohorts
to the first count and backward from the four groups of the second, with one set of tables a calendar year.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from sim.measures import BENEFIT_GROUPS, COHORTS, counted_as
from sim.parameters import ParameterSet
from sim.recipe import recipe
from sim.scenario import month_number
from sim.states import AGE_CLASSES, CODE, MOVES, ORIGINS, PHASE_CODE, PHASES, SEXES, Move
from sim.transitions import (
    ACTIVATED,
    CELLS,
    DURATION_CLASS,
    FIRST_CELL,
    KEEPS_CLOCK,
    REFORM_FACTORS,
    REFORM_YEAR,
    STAYER,
    activation_share,
    hazards,
)

from .structures import STAYERS, STRUCTURES, Structure

START = "2011-12"
COHORT_PERSONS = 14_892
COUNTED = tuple(month_number(month) - month_number(START) for month in ("2013-12", "2016-12"))
"""Months after the start in which Figure 4.13 counts."""
COLUMNS = 1024
"""Draws times strata carried at once, so that they stay in a core's own memory; measured, it decides nothing."""
_AGE_CLASS = [age.key for age in AGE_CLASSES].index("25-50")
_BEGIN = tuple(PHASE_CODE[key] for key in ("job_ready", "activity_ready"))
"""Where the cohorts stand at the start, in their order."""
_GONE = PHASE_CODE["gone"]
_JOB_READY = list(BENEFIT_GROUPS).index("job_ready")


def cohort_weights(parameters: ParameterSet) -> np.ndarray:
    """Return who the cohorts are: shares of sex and origin in each, shape (cohorts, sexes, origins)."""
    people = recipe("cohorts_2011", parameters).first(COHORT_PERSONS)
    shape = (len(COHORTS), len(SEXES), len(ORIGINS))
    cohort = (people.state == CODE["activity_ready"]).astype(np.int64)
    codes = np.ravel_multi_index((cohort, people.sex, people.origin), shape)
    counts = np.bincount(codes, minlength=int(np.prod(shape))).reshape(shape)
    return counts / counts.sum(axis=(1, 2), keepdims=True)


def reform_factors() -> dict[str, str]:
    """Return, by the id of a rate, the parameter that multiplies it from the reform on."""
    return {
        term: REFORM_FACTORS[name]
        for move in MOVES
        for name in move.dated
        if name in REFORM_FACTORS
        for term in move.terms
        if term.startswith("rate_")
    }


class _Group(NamedTuple):
    """Consecutive cells that lead to the same states ``to``; ``flows`` (cells, destinations) finds their chances."""

    cells: slice
    to: list[int]
    flows: np.ndarray


class _Year(NamedTuple):
    """A year's chances of a month: to go on in the phase (states, 1, columns), to cross into or out of activation
    (states that can, 1, columns), and by group of cells to leave (cells, destinations, columns)."""

    stay: np.ndarray
    across: np.ndarray
    leave: list[np.ndarray]


class Twin:
    """The exact flows of one structure as a function of its free parameters.

    ``parameters`` hold all that is not free. ``strata`` are codes (strata, 3) of age class, sex and origin and
    ``weights`` their shares in each cohort (cohorts, strata); without them they are those of the recipe. Strata with
    the same hazards are taken together.
    """

    def __init__(
        self,
        structure: Structure,
        parameters: ParameterSet,
        strata: np.ndarray | None = None,
        weights: np.ndarray | None = None,
    ) -> None:
        if strata is None or weights is None:
            of_recipe = cohort_weights(parameters)
            strata = np.array([(_AGE_CLASS, *codes) for codes in np.ndindex(of_recipe.shape[1:])])
            weights = of_recipe.reshape(len(of_recipe), -1)
        self.structure = structure
        start = month_number(START)
        self._year_of = [(start + month) // 12 for month in range(COUNTED[-1] + 1)]
        self._inside = activation_share(parameters, self._year_of[0])
        self._longest = int(parameters.value("past_months_at_most"))
        self._held = {id: parameters.value(id) for id in (STAYERS, *REFORM_FACTORS.values())}
        self._rates = [
            id for id in structure.with_ties(dict.fromkeys(structure.free, 0.0)) if parameters[id].unit == "per_month"
        ]
        years = sorted(set(self._year_of))
        tables = np.stack([table[:, *strata.T] for table in _unit_tables(parameters, self._rates, years)])
        alike: dict[bytes, list[int]] = {}
        for stratum in range(len(strata)):
            alike.setdefault(tables[:, :, stratum].tobytes(), []).append(stratum)
        self.weights = np.stack([weights[:, those].sum(axis=1) for those in alike.values()], axis=1)
        """Shares in each cohort of the strata that have hazards of their own, (cohorts, strata)."""
        self._plan(years, tables[:, :, [those[0] for those in alike.values()]])

    def _plan(self, years: Sequence[int], tables: np.ndarray) -> None:
        """Lay out states, cells and flows from ``tables`` (years, 1 + rates, strata, cells, phases)."""
        possible = (tables != 0).any(axis=(0, 1, 2))
        phases = _reached(possible)
        self._cells = [int(FIRST_CELL[p]) + k for p in phases for k in range(len(PHASES[p].cuts) + 1)]
        lengths = [_length(phase) for phase in phases]
        self._first = dict(zip(phases, np.cumsum([0, *lengths[:-1]]).tolist(), strict=True))
        self._opens = np.array(list(self._first.values()))
        self._ends = self._opens + lengths - 1
        # Cells of a phase follow each other, and states of a cell: a state a month, the last one for ever.
        self._cell_of_state = np.concatenate(
            [
                self._cells.index(FIRST_CELL[p]) + DURATION_CLASS[p, 1 : n + 1]
                for p, n in zip(phases, lengths, strict=True)
            ]
        )
        self._cell_opens = np.flatnonzero(np.diff(self._cell_of_state, prepend=-1))
        other = np.array([next(iter(np.flatnonzero(KEEPS_CLOCK[p])), p) for p in phases])
        shift = np.array([self._first[to] for to in other.tolist()]) - self._opens
        partner = np.arange(sum(lengths)) + np.repeat(shift, lengths)
        self._can_cross = np.flatnonzero(partner != np.arange(len(partner)))
        self._partner = partner[self._can_cross]
        groups = np.array([counted_as(states) for states in BENEFIT_GROUPS.values()])[:, phases]
        self._in_group = np.repeat(groups, lengths, axis=1)
        # Flows are sorted by cell; the last of each is death, after which nobody is counted.
        flows: list[tuple[int, int]] = []
        self._groups: list[_Group] = []
        for at, cell in enumerate(self._cells):
            clock = KEEPS_CLOCK[CELLS[cell][0]]
            to = [phase for phase in phases if possible[cell, phase] and not clock[phase]]
            place = len(flows) + np.arange(len(to))[None]
            flows += [(cell, phase) for phase in (*to, _GONE)]
            states = [self._first[phase] for phase in to]
            if self._groups and self._groups[-1].to == states:
                before = self._groups[-1]
                same = np.vstack([before.flows, place])
                self._groups[-1] = _Group(slice(before.cells.start, at + 1), states, same)
            else:
                self._groups.append(_Group(slice(at, at + 1), states, place))
        cell_of, to_of = np.array(flows).T
        self._cell_of_flow = np.array([self._cells.index(cell) for cell in cell_of])
        self._flow_opens = np.flatnonzero(np.diff(cell_of, prepend=-1))
        keeps = KEEPS_CLOCK[[CELLS[cell][0] for cell in self._cells]]
        across = (tables[..., self._cells, :] * keeps).sum(axis=-1)
        # Products with the rates sum over the last axis.
        self._flow_units = dict(zip(years, tables[..., cell_of, to_of].transpose(0, 3, 2, 1).copy(), strict=True))
        self._across_units = dict(zip(years, across.transpose(0, 3, 2, 1).copy(), strict=True))
        dying = dict(zip(years, tables[:, 0, :, FIRST_CELL[STAYER[_BEGIN[0]]], _GONE], strict=True))
        self._stayer_lives = np.exp(-sum(dying[year] for year in self._year_of[1:]))
        self._stayer_lives_first = np.exp(-sum(dying[year] for year in self._year_of[1 : COUNTED[0] + 1]))

    @property
    def sizes(self) -> dict[str, int]:
        """Strata with hazards of their own, states a person can be in, and flows between them that a draw decides."""
        flows = len(self._cell_of_flow) - len(self._cells)
        return {"strata": self.weights.shape[1], "states": self._in_group.shape[1], "flows": flows}

    def joint(self, values: np.ndarray) -> np.ndarray:
        """Return the joint shares of each cohort, shape (draws, cohorts, groups at month 24, groups at month 60).

        ``values`` (draws, free parameters) are in natural units and the order of ``structure.free``. Cohorts are in the
        order of ``sim.measures.COHORTS``, groups in that of ``BENEFIT_GROUPS``. The dead are left out.

        Raises ``ValueError`` for another shape.
        """
        values = self._sound(values)
        made = [self._joint_of(part) for part in _parts(values, COLUMNS)]
        joint = np.concatenate(made) if made else np.zeros((0, len(COHORTS), *2 * [len(BENEFIT_GROUPS)]))
        return joint / joint.sum(axis=(2, 3), keepdims=True)

    def at_first(self, values: np.ndarray) -> np.ndarray:
        """Return the shares of each cohort at month 24 alone, shape (draws, cohorts, groups), four times as fast.

        ``values`` and groups as in :meth:`joint`, whose sums over the later groups these are but for who dies between
        the counts (a thousandth of a point). Raises ``ValueError`` for another shape.
        """
        values = self._sound(values)
        made = [self._first_of(part) for part in _parts(values, COLUMNS)]
        shares = np.concatenate(made) if made else np.zeros((0, len(COHORTS), len(BENEFIT_GROUPS)))
        return shares / shares.sum(axis=2, keepdims=True)

    def _sound(self, values: np.ndarray) -> np.ndarray:
        values = np.asarray(values, dtype=float)
        free = self.structure.free
        if values.ndim != 2 or values.shape[1] != len(free):
            raise ValueError(f"values of {self.structure.key} have shape (draws, {len(free)}), not {values.shape}")
        return values

    def _given(self, values: np.ndarray) -> dict[str, np.ndarray]:
        given = {id: np.full(len(values), value) for id, value in self._held.items()}
        return given | self.structure.with_ties(dict(zip(self.structure.free, values.T, strict=True)))

    def _first_of(self, values: np.ndarray) -> np.ndarray:
        draws, given = len(values), self._given(values)
        shares = np.zeros((draws, len(COHORTS), len(BENEFIT_GROUPS)))
        years = self._year_of[: COUNTED[0] + 1]
        strata = self.weights.shape[1]
        step = max(1, COLUMNS // draws)
        for first in range(0, strata, step):
            some = slice(first, min(first + step, strata))
            p = self._begin(self._hazards(years[0], given, some)[0])
            chances = {year: self._chances(*self._hazards(year, given, some)) for year in sorted(set(years[1:]))}
            for year in years[1:]:
                p = self._forward(p, chances[year])
            found = np.stack([p[mine].sum(axis=0) for mine in self._in_group], axis=1)
            found = found.reshape(len(COHORTS), len(BENEFIT_GROUPS), -1, draws)
            moving = np.stack([1 - given[STAYERS], np.ones(draws)])
            shares += np.einsum("cs,cd,cgsd->dcg", self.weights[:, some], moving, found)
        shares[:, 0, _JOB_READY] += given[STAYERS] * (self.weights[0] @ self._stayer_lives_first)
        return shares

    def _joint_of(self, values: np.ndarray) -> np.ndarray:
        draws, given = len(values), self._given(values)
        joint = np.zeros((draws, len(COHORTS), len(BENEFIT_GROUPS), len(BENEFIT_GROUPS)))
        strata = self.weights.shape[1]
        step = max(1, COLUMNS // draws)
        for first in range(0, strata, step):
            some = slice(first, min(first + step, strata))
            found = self._strata_joint(given, some, draws)
            moving = np.stack([1 - given[STAYERS], np.ones(draws)])
            joint += np.einsum("cs,cd,cghsd->dcgh", self.weights[:, some], moving, found)
        joint[:, 0, _JOB_READY, _JOB_READY] += given[STAYERS] * (self.weights[0] @ self._stayer_lives)
        return joint

    def _strata_joint(self, given: dict[str, np.ndarray], some: slice, draws: int) -> np.ndarray:
        """Return shares of those who may move, shape (cohorts, groups, groups, strata, draws)."""
        year_of, (mid, last) = self._year_of, COUNTED
        hazard = {year: self._hazards(year, given, some) for year in sorted(set(year_of))}
        chances = {year: self._chances(*hazard[year]) for year in hazard if year > year_of[0]}
        p = self._begin(hazard[year_of[0]][0])
        for month in range(1, mid + 1):
            p = self._forward(p, chances[year_of[month]])
        v = np.repeat(self._in_group.T[:, :, None].astype(float), p.shape[-1], axis=-1)
        for month in range(last, mid, -1):
            v = self._backward(v, chances[year_of[month]])
        found = [np.einsum("kcb,khb->chb", p[mine], v[mine]) for mine in self._in_group]
        return np.stack(found, axis=1).reshape(len(COHORTS), len(found), len(found), -1, draws)

    def _hazards(self, year: int, given: dict[str, np.ndarray], some: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return monthly hazards of the flows and of crossing into or out of activation, (flows or cells, columns)."""
        rates = np.stack([np.ones_like(given[STAYERS]), *(given[id] for id in self._rates)])
        if year >= REFORM_YEAR:
            factors = reform_factors()
            for k, id in enumerate(self._rates, start=1):
                if id in factors:
                    rates[k] *= given[factors[id]]
        flow, across = (units[year][:, some] @ rates for units in (self._flow_units, self._across_units))
        return flow.reshape(len(flow), -1), across.reshape(len(across), -1)

    def _chances(self, flow: np.ndarray, across: np.ndarray) -> _Year:
        """Turn hazards into the month's chances, as ``sim.transitions.probabilities`` does."""
        total = np.add.reduceat(flow, self._flow_opens, axis=0)
        stay = np.exp(-total)
        scale = np.divide(1 - stay, total, out=np.zeros_like(total), where=total > 0)
        chance = flow * scale[self._cell_of_flow]
        moved = stay * -np.expm1(-across)
        lasting = (stay - moved)[self._cell_of_state, None]
        moved = moved[self._cell_of_state[self._can_cross], None]
        return _Year(lasting, moved, [chance[group.flows] for group in self._groups])

    def _begin(self, flow: np.ndarray) -> np.ndarray:
        """Return the cohorts at the start, (states, cohorts, columns): months as in a steady state, some activated."""
        total = np.add.reduceat(flow, self._flow_opens, axis=0)
        p = np.zeros((self._in_group.shape[1], len(_BEGIN), flow.shape[1]))
        months = np.minimum(np.arange(self._longest), DURATION_CLASS.shape[1] - 1)
        for cohort, phase in enumerate(_BEGIN):
            cells = [self._cells.index(int(FIRST_CELL[phase]) + k) for k in DURATION_CLASS[phase, months]]
            past = np.exp(-np.cumsum(total[cells], axis=0))
            past[0] = np.maximum(past[0], np.finfo(float).tiny)
            past /= past.sum(axis=0)
            early, late = np.split(past, [_length(phase) - 1])
            for found, share in ((phase, 1 - self._inside), (int(ACTIVATED[phase]), self._inside)):
                at = self._first[found]
                p[at : at + len(early), cohort] = share * early
                p[at + _length(phase) - 1, cohort] = share * late.sum(axis=0)
        return p

    def _forward(self, p: np.ndarray, year: _Year) -> np.ndarray:
        """Carry shares ``p`` (states, cohorts, columns) through a month."""
        going_on = p * year.stay
        going_on[self._partner] += p[self._can_cross] * year.across
        after = np.empty_like(p)
        after[1:] = going_on[:-1]
        after[self._opens] = 0
        after[self._ends] += going_on[self._ends]
        in_cell = np.add.reduceat(p, self._cell_opens, axis=0)
        for group, chance in zip(self._groups, year.leave, strict=True):
            after[group.to] += np.einsum("ckb,cvb->kvb", chance, in_cell[group.cells])
        return after

    def _backward(self, v: np.ndarray, year: _Year) -> np.ndarray:
        """Return the chances (states, groups, columns) of ending in each group, a month earlier than ``v``."""
        later = np.empty_like(v)
        later[:-1] = v[1:]
        later[self._ends] = v[self._ends]
        left = np.empty((len(self._cells), *v.shape[1:]))
        for group, chance in zip(self._groups, year.leave, strict=True):
            np.einsum("ckb,kvb->cvb", chance, v[group.to], out=left[group.cells])
        before = later * year.stay
        before[self._can_cross] += later[self._partner] * year.across
        before += left[self._cell_of_state]
        return before


def _length(phase: int) -> int:
    """Return the months of a phase that hazards tell apart, the last for all later ones."""
    cuts = PHASES[phase].cuts
    return cuts[-1] + 1 if cuts else 1


def _reached(possible: np.ndarray) -> list[int]:
    """Return the phases that people of the cohorts can be in; those that lead to the same phases stand together.

    Both sides of usual activation are there even when nobody enters it.
    """
    to = KEEPS_CLOCK.copy()
    for cell, (phase, _) in enumerate(CELLS):
        to[phase] |= possible[cell]
    reached = np.isin(np.arange(len(PHASES)), [*_BEGIN, *ACTIVATED[list(_BEGIN)]])
    while (more := reached | to[reached].any(axis=0)).sum() > reached.sum():
        reached = more
    reached[_GONE] = False
    alike = {phase: (to[phase] & ~KEEPS_CLOCK[phase]).tobytes() for phase in np.flatnonzero(reached).tolist()}
    order = list(dict.fromkeys(alike.values()))
    return sorted(alike, key=lambda phase: order.index(alike[phase]))


def _unit_tables(parameters: ParameterSet, rates: Sequence[str], years: Sequence[int]) -> Iterator[np.ndarray]:
    """Yield for each year the hazards with all ``rates`` nil, and what one per month of each adds.

    Each of shape (1 + rates, age classes, sexes, origins, cells, phases), before any reform.
    """
    none = parameters.replace({**dict.fromkeys(rates, 0.0), **dict.fromkeys(REFORM_FACTORS.values(), 1.0)})
    units = [(none.replace({id: 1.0}), [move for move in MOVES if _uses(move, id)]) for id in rates]
    for year in years:
        yield np.stack([hazards(none, year), *(hazards(unit, year, moves) for unit, moves in units)])


def _uses(move: Move, rate: str) -> bool:
    """Tell whether the hazard of ``move`` is a multiple of ``rate``, in some duration class at least."""
    parts = (term.partition("{") for term in move.terms)
    return any(rate.startswith(start) if template else rate == start for start, template, _ in parts)


def _parts(values: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """Yield consecutive rows of ``values``, at most ``most`` at a time."""
    for first in range(0, len(values), most):
        yield values[first : first + most]


@lru_cache(maxsize=8)
def shipped(structure: str) -> Twin:
    """Return the twin of a shipped parameter set."""
    return Twin(STRUCTURES[structure], ParameterSet.read(structure))


def joint(structure: str, values: np.ndarray) -> np.ndarray:
    """Return :meth:`Twin.joint` of ``values`` (draws, free parameters) for a shipped structure.

    >>> fitted = ParameterSet.read("history")
    >>> values = [[fitted.value(id) for id in STRUCTURES["history"].free]]
    >>> joint("history", values).sum(axis=2).round(2).tolist()
    [[[0.2, 0.3, 0.32, 0.18], [0.06, 0.55, 0.09, 0.3]]]
    """
    return shipped(structure).joint(np.asarray(values))

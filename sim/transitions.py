"""Competing monthly hazards turned into tables: the chance to leave and the chance of each destination.

For a resident in phase s with hazards h_sd to the destinations d, and H their sum, the chance to leave within the month
is 1 - exp(-H), to d with probability h_sd / H. The tables depend on stratum, phase and duration class, and are made
once a calendar year; the kernels only look up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .demand import demand
from .engine.streams import hazard_threshold, threshold
from .parameters import ParameterSet
from .states import (
    ACTIVATION_OF,
    AGE_CLASSES,
    CODE,
    LIKE,
    MOVES,
    ORIGINS,
    PHASE_CODE,
    PHASES,
    SEXES,
    STATE_KEYS,
    STATES,
    STAYER_OF,
    Move,
    Phase,
)

N_STRATA = len(AGE_CLASSES) * len(SEXES) * len(ORIGINS)
"""A stratum is (age class, sex, origin); code = (age class · 2 + sex) · 3 + origin."""

CELLS: tuple[tuple[int, int], ...] = tuple(
    (phase, k) for phase, spec in enumerate(PHASES) for k in range(len(spec.cuts) + 1)
)
"""All (phase code, duration class) pairs; a table row is stratum · len(CELLS) + cell."""

FIRST_CELL = np.array([CELLS.index((phase, 0)) for phase in range(len(PHASES))], dtype=np.uint16)
PHASE_STATE = np.array([CODE[phase.state] for phase in PHASES], dtype=np.uint8)
"""State code of each phase code."""


def _phase_entered() -> np.ndarray:
    """Return the phase code entered by (phase left, state entered): that of the declared move, else the state's own."""
    entered = np.tile(np.arange(len(STATES), dtype=np.uint8), (len(PHASES), 1))
    for move in MOVES:
        to = PHASE_CODE[move.to]
        entered[PHASE_CODE[move.origin], PHASE_STATE[to]] = to
    return entered


PHASE_ENTERED = _phase_entered()

COUNTS_AS = np.array([CODE[phase.counts_as] for phase in PHASES], dtype=np.uint8)
"""State code each phase code is counted in where a source counts benefits."""
ACTIVATED = np.array([PHASE_CODE[ACTIVATION_OF.get(phase.key, phase.key)] for phase in PHASES], dtype=np.uint8)
"""Phase code of the same recipient in usual activation; the phase itself where there is none."""
OUT_OF_ACTIVATION = np.array(
    [PHASE_CODE[{into: out for out, into in ACTIVATION_OF.items()}.get(phase.key, phase.key)] for phase in PHASES],
    dtype=np.uint8,
)
"""Phase code of the same recipient outside activation; the phase itself where there is none."""
STAYER = np.array([PHASE_CODE[STAYER_OF.get(phase.key, phase.key)] for phase in PHASES], dtype=np.uint8)
"""Phase code of the same recipient who stays job-ready for good; the phase itself where there is none."""
IS_CASH_BENEFIT = np.isin(np.arange(len(PHASES)), [PHASE_CODE[key] for key in ACTIVATION_OF])
"""Whether a phase code is cash benefit outside activation."""


def _keeps_clock() -> np.ndarray:
    keeps = np.zeros((len(PHASES), len(PHASES)), dtype=bool)
    for move in MOVES:
        keeps[PHASE_CODE[move.origin], PHASE_CODE[move.to]] |= move.keeps_clock
    return keeps


KEEPS_CLOCK = _keeps_clock()
"""Whether the months counted in a phase go on after a move, by (phase left, phase entered)."""
SWITCHES = KEEPS_CLOCK[[phase for phase, _ in CELLS]]
"""Whether a move keeps the clock, by (cell, phase entered): into and out of usual activation."""

NEVER = 30_000
"""A month that never comes, in 16 bits."""

MAX_DURATION = max(max((*phase.cuts, phase.until or 0)) for phase in PHASES) + 1
"""Months in a phase after which nothing depends on duration any more."""


def _duration_tables() -> tuple[np.ndarray, np.ndarray]:
    """Return duration class and months at which the next class (or phase) begins, by (phase, months)."""
    months = np.arange(MAX_DURATION + 1)
    classes = np.zeros((len(PHASES), len(months)), dtype=np.uint8)
    following = np.full((len(PHASES), len(months)), NEVER, dtype=np.int16)
    for code, phase in enumerate(PHASES):
        classes[code] = np.searchsorted(np.array(phase.cuts), months, side="left") if phase.cuts else 0
        for last in sorted((*phase.cuts, *([phase.until] if phase.until else [])), reverse=True):
            following[code, months <= last] = last + 1
    return classes, following


DURATION_CLASS, NEXT_DURATION = _duration_tables()

_AGE_MONTHS = np.arange(1201)
AGE_CLASS = (np.searchsorted(np.array([c.first * 12 for c in AGE_CLASSES]), _AGE_MONTHS, side="right") - 1).astype(
    np.uint8
)
"""Age class by age in months."""

SIDE_AGES = range(11, 21)
"""Ages (years) with a side-job hazard of their own; the last holds from then on."""
SIDE_CLASS = np.clip(_AGE_MONTHS // 12 - SIDE_AGES[0], -1, len(SIDE_AGES) - 1).astype(np.int8)
"""Side-job age class by age in months; -1 below the first age."""

NEXT_AGE = np.full(len(_AGE_MONTHS), NEVER, dtype=np.int16)
"""Age in months at which age class or side-job age class changes next, by age in months."""
for _first in sorted({c.first * 12 for c in AGE_CLASSES} | {12 * a for a in SIDE_AGES}, reverse=True):
    NEXT_AGE[_first > _AGE_MONTHS] = _first

SIDE_STATES = ("basic_school", "in_education")
"""States in which a side job is a leisure job."""
SMALL_JOB_STATES = ("job_ready", "activity_ready", "activation")
"""States in which a side job is a small job beside cash benefit."""
SIDE_KIND = np.array(
    [1 if key in SIDE_STATES else 2 if key in SMALL_JOB_STATES else 0 for key in STATE_KEYS], dtype=np.uint8
)
"""Kind of side job by state code: 0 none, 1 leisure job, 2 small job; a job ends with the last state of its kind."""


def pension_multiplier(parameters: ParameterSet, year: int) -> float:
    """Return new disability pensions of ``year`` relative to 2011 (awards, national)."""
    if year <= 2011:
        return 1.0
    return parameters.value(f"pension_multiplier_{year if year < 2014 else '2014_on'}")


def activation_odds(parameters: ParameterSet, year: int) -> float:
    """Return entries to usual activation over exits from it, as hazards: the odds of the share of recipients in it."""
    share = activation_share(parameters, year)
    return share / (1 - share)


def activation_share(parameters: ParameterSet, year: int) -> float:
    """Return the share of cash-benefit recipients in usual municipal activation in a month of ``year``."""
    return parameters.value("activation_share_2014_on" if year >= 2014 else "activation_share_to_2013")


def stayer_share(parameters: ParameterSet) -> float:
    """Return the share of people found job-ready, at the start or on moving in, who stay so for good."""
    return parameters.value("job_ready_stayer_share")


REFORM_YEAR = 2014
"""First year of the cash-benefit reform (1 January 2014), from which the rates of structure *calendar* are others."""


def _since_reform(id: str) -> Callable[[ParameterSet, int], float]:
    """Return the factor ``id`` from the reform on, 1 before."""
    return lambda parameters, year: parameters.value(id) if year >= REFORM_YEAR else 1.0


REFORM_FACTORS: Mapping[str, str] = {
    "reform_job_ready_out": "reform_factor_job_ready_out",
    "reform_job_ready_to_other_benefit": "reform_factor_job_ready_to_other_benefit",
    "reform_activity_ready_up": "reform_factor_activity_ready_to_job_ready",
}
"""Parameter of each factor that holds from the reform on."""

DATED: Mapping[str, Callable[[ParameterSet, int], float]] = {
    "pension_awards": pension_multiplier,
    "activation_odds": activation_odds,
    "demand": demand,
    **{name: _since_reform(id) for name, id in REFORM_FACTORS.items()},
}
"""Factors of hazards that change with the calendar year."""


def dated_factors(move: Move, dated: Mapping[str, float]) -> tuple[float, float]:
    """Return the year's factor on a move's hazard, and that on its part which goes to ``rest_to`` instead."""
    if move.rest_to is None:
        return math.prod((dated[name] for name in move.dated), start=1.0), 0.0
    *others, removing = (dated[name] for name in move.dated)
    factor = math.prod(others, start=1.0)
    return factor * removing, factor * (1 - removing)


SPLITS: tuple[str, ...] = (
    "no_benefit_share_",
    "job_ready_exit_share_",
    "activity_ready_exit_share_",
    "job_loss_share_",
    "other_benefit_share_",
)
"""Beginnings of parameter ids that split one rate over destinations: those of a split (and sex) sum to 1."""


def split_of(id: str, parameters: ParameterSet) -> tuple[str, ...]:
    """Return the ids of the split that share ``id`` belongs to, itself included; none for other parameters."""
    prefix = next((prefix for prefix in SPLITS if id.startswith(prefix)), None)
    if prefix is None:
        return ()
    sex = next((f"_{sex}" for sex in SEXES if id.endswith(f"_{sex}")), "")
    return tuple(other for other in parameters if other.startswith(prefix) and other.endswith(sex))


CERTAIN = 50.0
"""Monthly hazard of a move that everybody makes at once: who stays is rarer than a draw can tell."""
_SIZES = {"age": len(AGE_CLASSES), "sex": len(SEXES), "origin": len(ORIGINS)}


def _values(parameters: ParameterSet, term: str, ages: list[int], months: str) -> np.ndarray:
    """Return the values that the parameter name ``term`` stands for, shape (ages or 1, sexes or 1, origins or 1)."""
    axes: list[list[dict[str, str]]] = [
        [{"age": AGE_CLASSES[age].key.replace("-", "_")} for age in ages] if "{age}" in term else [{}],
        [{"sex": sex} for sex in SEXES] if "{sex}" in term else [{}],
        [{"like": LIKE[origin]} for origin in ORIGINS] if "{like}" in term else [{}],
    ]
    found = [
        parameters.value(term.format(**a, **s, **o, months=months)) for a in axes[0] for s in axes[1] for o in axes[2]
    ]
    return np.array(found).reshape([len(axis) for axis in axes])


def duration_labels(phase: Phase) -> tuple[str, ...]:
    """Return the names of a phase's duration classes, as parameter ids spell them: ``1_3``, ``4_12``, ``13_on``."""
    firsts = [1, *(cut + 1 for cut in phase.cuts)]
    return tuple(f"{first}_{last}" for first, last in zip(firsts, (*phase.cuts, "on"), strict=True))


def hazards(parameters: ParameterSet, year: int, moves: Iterable[Move] = MOVES) -> np.ndarray:
    """Return monthly hazards of ``year``, shape (age classes, sexes, origins, cells, destination phases).

    Those of ``moves`` alone, if they are given.
    """
    table = np.zeros((*_SIZES.values(), len(CELLS), len(PHASES)))
    dated = {name: factor(parameters, year) for name, factor in DATED.items()}
    for move, ages, rates in _undated(parameters, moves):
        factor, rest = dated_factors(move, dated)
        for cell, rate in enumerate(rates, start=FIRST_CELL[PHASE_CODE[move.origin]]):
            table[ages, :, :, cell, PHASE_CODE[move.to]] += rate * factor
            if move.rest_to is not None:
                table[ages, :, :, cell, PHASE_CODE[move.rest_to]] += rate * rest
    return table


_Rates = list[tuple[Move, list[int], list[np.ndarray]]]


def _undated(parameters: ParameterSet, moves: Iterable[Move]) -> _Rates:
    """Return moves, their age classes, and by duration class their hazards without the factors of the year.

    Those of all moves are kept for the next years of the same parameters.
    """
    if moves is not MOVES:
        return list(_rates(parameters, moves))
    if parameters.digest not in _UNDATED:
        while len(_UNDATED) >= _KEPT:
            _UNDATED.pop(next(iter(_UNDATED)))
        _UNDATED[parameters.digest] = list(_rates(parameters, moves))
    return _UNDATED[parameters.digest]


def _rates(parameters: ParameterSet, moves: Iterable[Move]) -> Iterable[tuple[Move, list[int], list[np.ndarray]]]:
    classes = {age.key: code for code, age in enumerate(AGE_CLASSES)}
    for move in moves:
        ages, found = [classes[age] for age in move.ages], []
        for k, months in enumerate(duration_labels(PHASES[PHASE_CODE[move.origin]])):
            rate = np.full((1, 1, 1), 1.0 if move.terms else CERTAIN)
            for term in (*move.terms, *([move.early] if move.early and k == 0 else [])):
                rate = rate * _values(parameters, term, ages, months)
            found.append(rate)
        yield move, ages, found


def steady_past(parameters: ParameterSet, year: int) -> np.ndarray:
    """Return chances of months since the phase began, shape (age classes, sexes, origins, phases, months from 1 on).

    The past of a stock in steady state: months d are as likely as surviving to d under the phase's own hazards.
    """
    longest = int(parameters.value("past_months_at_most"))
    leave = -np.expm1(-np.where(SWITCHES, 0.0, hazards(parameters, year)).sum(axis=-1))
    months = np.minimum(np.arange(longest), DURATION_CLASS.shape[1] - 1)
    cell = FIRST_CELL[:, None] + DURATION_CLASS[:, months]
    survive = np.cumprod(1 - leave[..., cell], axis=-1)
    survive[..., 0] = np.maximum(survive[..., 0], np.finfo(float).tiny)
    return survive / survive.sum(axis=-1, keepdims=True)


def _competing(hazard: np.ndarray) -> np.ndarray:
    total = hazard.sum(axis=-1, keepdims=True)
    return hazard * np.divide(-np.expm1(-total), total, out=np.zeros_like(total), where=total > 0)


def probabilities(hazard: np.ndarray, switches: np.ndarray = SWITCHES) -> np.ndarray:
    """Turn hazards (last axes: cells, destinations) into the month's probability of each destination.

    Hazards compete within the month. Moves that keep the clock (into and out of usual activation) are for those who do
    not move otherwise, so that activation takes no time from the others.
    """
    late = np.where(switches, hazard, 0.0)
    first = _competing(hazard - late)
    return first + (1 - first.sum(axis=-1, keepdims=True)) * _competing(late)


_KEPT = 64


@dataclass(frozen=True)
class Tables:
    """The tables of one calendar year.

    ``cumulative`` has shape (rows, phases): 32-bit limits of the destinations in the fixed order of the phases;
    a draw below the last one leaves, to the first destination whose limit is above the draw.
    """

    cumulative: np.ndarray
    hazard: np.ndarray
    """Monthly hazards, shape (rows, phases), from which the limits are made."""
    side_hazard: np.ndarray
    """Monthly hazard of starting (first half, after entry 0) or ending a side job, by side row."""

    @classmethod
    def of(cls, parameters: ParameterSet, year: int) -> Tables:
        """Return the tables of calendar year ``year``; those made last are kept for the next replicates."""
        key = (parameters.digest, year)
        if key not in _MADE:
            while len(_MADE) >= _KEPT:
                _MADE.pop(next(iter(_MADE)))
            shape = (N_STRATA * len(CELLS), len(PHASES))
            hazard = hazards(parameters, year)
            cumulative = threshold(probabilities(hazard).cumsum(axis=-1)).reshape(shape)
            _MADE[key] = cls(cumulative, hazard.reshape(shape), side_job_hazards(parameters))
        return _MADE[key]

    @cached_property
    def leave(self) -> np.ndarray:
        """32-bit limits of leaving, by row, stored contiguously for the kernels."""
        return np.ascontiguousarray(self.cumulative[:, -1])

    @cached_property
    def side_threshold(self) -> np.ndarray:
        """32-bit limits of a side job starting or ending, by side row; from ``AFFECTED`` on everybody is found."""
        found = np.full(2 * AFFECTED, 1 << 32, dtype=np.uint64)
        found[: len(self.side_hazard)] = hazard_threshold(self.side_hazard)
        return found


_MADE: dict[tuple[str, int], Tables] = {}
_UNDATED: dict[str, _Rates] = {}

FRAILTIES = 2
"""Classes of a pupil's own propensity to take a side job: 0 low, 1 high, half of all in each."""
SIDE_JOB_HELD = 1 + FRAILTIES * len(SIDE_AGES)
"""Side row of a pupil or student with a leisure job."""
SMALL_JOB_HELD = SIDE_JOB_HELD + 2
"""Side row of somebody with a small job: 0 none, starts by propensity and age, the end, then small jobs' start, end."""
AFFECTED = 128
"""What is added to the side row of residents whose hazards activities shift: they draw apart."""


def side_job_hazards(parameters: ParameterSet) -> np.ndarray:
    """Return monthly hazards by side row: 0; starting, by propensity and age; ending; small jobs starting and ending.

    The log hazard of starting is interpolated in age between the knots (ages in the parameters' names) and
    taken at the middle of each year of age; it is flat outside the knots. Those of low propensity start less often by
    a factor, the others so much more often that the mean is kept.
    """
    knots = [id for id in parameters if id.startswith("side_job_start_age_")]
    ages = [float(id.removeprefix("side_job_start_age_").replace("_", ".")) for id in knots]
    middle = np.array(SIDE_AGES) + 0.5
    start = np.exp(np.interp(middle, ages, np.log([parameters.value(id) for id in knots])))
    low = parameters.value("side_job_low_propensity")
    rest = [parameters.value(id) for id in ("side_job_end", "small_job_start", "small_job_end")]
    return np.concatenate([[0.0], start * low, start * (2 - low), rest])


def side_row(age_class: np.ndarray, has_job: np.ndarray, frailty: np.ndarray | int) -> np.ndarray:
    """Return the side row of pupils and students by side-job age class (-1: none), job held and propensity class."""
    start = 1 + age_class + len(SIDE_AGES) * np.asarray(frailty, dtype=np.int16)
    return np.where(age_class < 0, 0, np.where(has_job, SIDE_JOB_HELD, start)).astype(np.uint8)


def small_job_row(has_job: np.ndarray) -> np.ndarray:
    """Return the side row of cash-benefit recipients by whether they have a small job."""
    return np.where(has_job, SMALL_JOB_HELD, SMALL_JOB_HELD - 1).astype(np.uint8)

"""Competing monthly hazards turned into tables: the chance to leave and the chance of each destination.

For a resident in phase s with hazards h_sd to the destinations d, and H their sum, the chance to leave within the month
is 1 - exp(-H), to d with probability h_sd / H. The tables depend on stratum, phase and duration class, and are made
once a calendar year; the kernels only look up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .engine.streams import threshold
from .parameters import ParameterSet
from .states import AGE_CLASSES, CODE, MOVES, ORIGINS, PHASE_CODE, PHASES, SEXES, STATES

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
IS_SIDE_STATE = np.isin(np.arange(len(STATES)), [CODE[key] for key in SIDE_STATES])
"""Whether a side job is a leisure job, by state code."""


def pension_multiplier(parameters: ParameterSet, year: int) -> float:
    """Return new disability pensions of ``year`` relative to 2011 (awards, national)."""
    if year <= 2011:
        return 1.0
    return parameters.value(f"pension_multiplier_{year if year < 2014 else '2014_on'}")


def hazards(parameters: ParameterSet, year: int) -> np.ndarray:
    """Return monthly hazards, shape (age classes, cells, destination phases), of calendar year ``year``."""
    table = np.zeros((len(AGE_CLASSES), len(CELLS), len(PHASES)))
    classes = {age.key: code for code, age in enumerate(AGE_CLASSES)}
    calendars = {"pension_awards": pension_multiplier(parameters, year)}
    for move in MOVES:
        origin = PHASE_CODE[move.origin]
        ages = [classes[age] for age in move.ages]
        share = parameters.value(move.share) if move.share else 1.0
        dated = calendars[move.calendar] if move.calendar else 1.0
        for k in range(len(PHASES[origin].cuts) + 1):
            rate = parameters.value(move.rate[k if len(move.rate) > 1 else 0]) * share
            cell = FIRST_CELL[origin] + k
            table[ages, cell, PHASE_CODE[move.to]] += rate * dated
            if move.rest_to is not None:
                table[ages, cell, PHASE_CODE[move.rest_to]] += rate * (1 - dated)
    return table


def probabilities(hazard: np.ndarray) -> np.ndarray:
    """Turn competing hazards (last axis: destinations) into the month's probability of each destination."""
    total = hazard.sum(axis=-1, keepdims=True)
    return hazard * np.divide(-np.expm1(-total), total, out=np.zeros_like(total), where=total > 0)


@dataclass(frozen=True)
class Tables:
    """The tables of one calendar year.

    ``cumulative`` has shape (rows, phases): 32-bit limits of the destinations in the fixed order of the phases;
    a draw below the last one leaves, to the first destination whose limit is above the draw.
    """

    cumulative: np.ndarray
    side_hazard: np.ndarray
    """Monthly hazard of starting (first half, after entry 0) or ending a side job, by side row."""

    @classmethod
    def of(cls, parameters: ParameterSet, year: int) -> Tables:
        """Make the tables of calendar year ``year``."""
        chance = probabilities(hazards(parameters, year)).cumsum(axis=-1)
        strata = np.repeat(np.arange(len(AGE_CLASSES)), len(SEXES) * len(ORIGINS))
        cumulative = threshold(chance)[strata].reshape(N_STRATA * len(CELLS), len(PHASES))
        return cls(cumulative, side_job_hazards(parameters))

    @cached_property
    def leave(self) -> np.ndarray:
        """32-bit limits of leaving, by row, stored contiguously for the kernels."""
        return np.ascontiguousarray(self.cumulative[:, -1])

    @cached_property
    def side_threshold(self) -> np.ndarray:
        """32-bit limits of a side job starting or ending, by side row."""
        return threshold(-np.expm1(-self.side_hazard))

    def destination(self, row: np.ndarray, bits: np.ndarray) -> np.ndarray:
        """Return the phase code entered by residents who leave table rows ``row`` having drawn ``bits``."""
        return (bits[:, None] >= self.cumulative[row]).sum(axis=1).astype(np.uint8)


def side_job_hazards(parameters: ParameterSet) -> np.ndarray:
    """Return monthly hazards by side row: 0, then starting by age class, then ending by age class.

    The log hazard of starting is interpolated in age between the knots (the mean ages of the source's event years) and
    taken at the middle of each year of age; it is flat outside the knots.
    """
    knots = [id for id in parameters if id.startswith("side_job_start_age_")]
    ages = [float(id.removeprefix("side_job_start_age_").replace("_", ".")) for id in knots]
    middle = np.array(SIDE_AGES) + 0.5
    start = np.exp(np.interp(middle, ages, np.log([parameters.value(id) for id in knots])))
    end = np.full(len(middle), parameters.value("side_job_end"))
    return np.concatenate([[0.0], start, end])


def side_row(age_class: np.ndarray, has_job: np.ndarray) -> np.ndarray:
    """Return the side row of pupils and students by side-job age class (-1: none) and whether they have a job."""
    row = 1 + age_class + len(SIDE_AGES) * has_job.astype(np.int16)
    return np.where(age_class < 0, 0, row).astype(np.uint8)

"""The same tables evaluated exactly: the distribution over states, month by month, without drawing anybody.

Phases with duration classes are expanded month by month, so that the chain is Markov. It proves that the agents do what
the hazards say, and the calibration fits on it.
"""

from __future__ import annotations

from functools import cached_property, lru_cache

import numpy as np

from .parameters import ParameterSet
from .states import ORIGINS, PHASE_CODE, PHASES, SEXES, STATES
from .transitions import (
    ACTIVATED,
    AGE_CLASS,
    DURATION_CLASS,
    FIRST_CELL,
    IS_CASH_BENEFIT,
    KEEPS_CLOCK,
    PHASE_STATE,
    SIDE_AGES,
    SIDE_CLASS,
    STAYER,
    activation_share,
    hazards,
    probabilities,
    side_job_hazards,
    side_row,
    stayer_share,
    steady_past,
)


def _expand() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return first expanded index by phase; and phase, months and successor by expanded index."""
    last = [phase.until or (phase.cuts[-1] + 1 if phase.cuts else 1) for phase in PHASES]
    first = np.concatenate([[0], np.cumsum(last)[:-1]])
    phases = np.repeat(np.arange(len(PHASES)), last)
    months = np.concatenate([np.arange(1, n + 1) for n in last])
    successor = np.arange(len(phases)) + 1
    for code, phase in enumerate(PHASES):
        end = first[code] + last[code] - 1
        successor[end] = first[PHASE_CODE[phase.then]] if phase.then else end
    return first, phases, months, successor


FIRST, PHASE_OF, MONTHS_OF, SUCCESSOR = _expand()
N_EXPANDED = len(PHASE_OF)
STATE_OF = PHASE_STATE[PHASE_OF]
"""State code of each expanded state."""
_CELL_OF = FIRST_CELL[PHASE_OF] + DURATION_CLASS[PHASE_OF, MONTHS_OF]


def expanded(phase: np.ndarray, months: np.ndarray) -> np.ndarray:
    """Return the expanded index of residents ``months`` into phase code ``phase`` (at the coming step)."""
    last = np.bincount(PHASE_OF)[phase]
    return FIRST[phase] + np.clip(months, 1, last) - 1


class Chain:
    """The exact twin of a closed population, for one parameter set and one start month.

    ``start`` counts months (year · 12 + month - 1), as :func:`sim.scenario.month_number` does.
    """

    def __init__(self, parameters: ParameterSet, start: int) -> None:
        self.parameters = parameters
        self.start = start
        self._chances = lru_cache(maxsize=None)(self._make_chances)
        self._matrix = lru_cache(maxsize=None)(self._make_matrix)

    def _make_chances(self, year: int) -> np.ndarray:
        return probabilities(hazards(self.parameters, year))

    def _make_matrix(self, year: int, age_class: int, sex: int, origin: int) -> np.ndarray:
        """Return the one-month transition matrix of a stratum, shape (expanded, expanded)."""
        to = self._chances(year)[age_class, sex, origin][_CELL_OF]
        matrix = np.zeros((N_EXPANDED, N_EXPANDED))
        matrix[:, FIRST] = np.where(KEEPS_CLOCK[PHASE_OF], 0, to)
        for phase_to in np.flatnonzero(KEEPS_CLOCK.any(axis=0)):
            rows = np.flatnonzero(KEEPS_CLOCK[PHASE_OF, phase_to])
            matrix[rows, SUCCESSOR[expanded(np.full(len(rows), phase_to), MONTHS_OF[rows])]] += to[rows, phase_to]
        matrix[np.arange(N_EXPANDED), SUCCESSOR] += 1 - to.sum(axis=-1)
        return matrix

    @cached_property
    def _past(self) -> np.ndarray:
        return steady_past(self.parameters, self.start // 12)

    def started(self, phase: int, age_class: int, sex: int, origin: int) -> np.ndarray:
        """Return the distribution over expanded states of people found in ``phase`` at the start, shape (expanded,).

        Months in the phase as in a steady state; of cash-benefit recipients the usual share is in activation, of the
        job-ready the parameter's share stays for good.
        """
        past = self._past[age_class, sex, origin, phase]
        inside = activation_share(self.parameters, self.start // 12) if IS_CASH_BENEFIT[phase] else 0.0
        staying = stayer_share(self.parameters) if STAYER[phase] != phase else 0.0
        months = np.arange(1, len(past) + 1)
        p = np.zeros(N_EXPANDED)
        for code, share in ((phase, 1 - inside), (int(ACTIVATED[phase]), inside)):
            for found, part in ((code, 1 - staying), (int(STAYER[code]), staying)):
                np.add.at(p, expanded(np.full(len(past), found), months), part * share * past)
        return p

    def step(
        self, p: np.ndarray, month: int, age_months: np.ndarray, sex: np.ndarray, origin: np.ndarray
    ) -> np.ndarray:
        """Carry distributions ``p`` (groups, expanded) through step ``month`` (1 = first after the start).

        ``age_months`` is each group's age at the start of the run, ``sex`` and ``origin`` its codes.
        """
        year = (self.start + month) // 12
        classes = AGE_CLASS[np.minimum(np.asarray(age_months) + month, 1200)].astype(np.int64)
        stratum = np.broadcast_to((classes * len(SEXES) + sex) * len(ORIGINS) + origin, len(p))
        after = np.empty_like(p)
        for code in np.unique(stratum):
            mine = stratum == code
            rest, o = divmod(int(code), len(ORIGINS))
            after[mine] = p[mine] @ self._matrix(year, *divmod(rest, len(SEXES)), o)
        return after

    def states(
        self, p: np.ndarray, months: int, age_months: np.ndarray, sex: np.ndarray, origin: np.ndarray
    ) -> np.ndarray:
        """Return state probabilities, shape (months + 1, groups, states), starting from ``p`` (groups, expanded)."""
        collect = np.zeros((N_EXPANDED, len(STATES)))
        collect[np.arange(N_EXPANDED), STATE_OF] = 1
        out = [p @ collect]
        for month in range(1, months + 1):
            p = self.step(p, month, age_months, sex, origin)
            out.append(p @ collect)
        return np.stack(out)


def side_job_path(parameters: ParameterSet, last_age: int, frailty: int) -> tuple[np.ndarray, np.ndarray]:
    """Return, by age in months, the chance of holding a side job and of at least 26 paid hours in the past 12 months.

    For a pupil or student of propensity class ``frailty``, from the first age with side jobs to ``last_age`` (years,
    included), without activities.
    """
    chance = -np.expm1(-side_job_hazards(parameters))
    per_month = parameters.value("side_job_hours") * 52 / 12
    needed = int(np.ceil(parameters.value("leisure_job_hours_in_year") / per_month - 1e-9))
    ages = np.arange(12 * (last_age + 1))
    starts = chance[side_row(SIDE_CLASS[ages], np.zeros(len(ages), dtype=bool), frailty)]
    end = float(chance[side_row(np.array([0]), np.array([True]), frailty)[0]])
    first = 12 * SIDE_AGES[0]
    job = np.zeros(len(ages))
    for age in ages[first:]:
        job[age] = job[age - 1] * (1 - end) + (1 - job[age - 1]) * starts[age]
    reached = np.zeros(len(ages))
    for age in ages[first:]:
        begin = int(age) - 12
        p = np.zeros((2, needed + 1))
        p[:, 0] = 1 - job[begin], job[begin]
        for start in starts[begin + 1 : int(age) + 1]:
            none = p[0] * (1 - start) + p[1] * end
            held = p[0] * start + p[1] * (1 - end)
            p[0] = none
            p[1] = np.concatenate([[0.0], held[:-1]])
            p[1, -1] += held[-1]
        reached[age] = p[:, -1].sum()
    return job, reached

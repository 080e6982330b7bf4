"""The same tables evaluated exactly: the distribution over states, month by month, without drawing anybody.

Phases with duration classes are expanded month by month, so that the chain is Markov. It proves that the agents do what
the hazards say, and the calibration fits on it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .parameters import ParameterSet
from .states import PHASE_CODE, PHASES, STATES
from .transitions import (
    AGE_CLASS,
    DURATION_CLASS,
    FIRST_CELL,
    PHASE_STATE,
    SIDE_AGES,
    SIDE_CLASS,
    hazards,
    probabilities,
    side_job_hazards,
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
        self._matrices = lru_cache(maxsize=None)(self._make_matrices)

    def _make_matrices(self, year: int) -> np.ndarray:
        """Return one-month transition matrices, shape (age classes, expanded, expanded)."""
        to = probabilities(hazards(self.parameters, year))[:, _CELL_OF]
        matrices = np.zeros((len(to), N_EXPANDED, N_EXPANDED))
        matrices[:, :, FIRST] = to
        matrices[:, np.arange(N_EXPANDED), SUCCESSOR] += 1 - to.sum(axis=-1)
        return matrices

    def step(self, p: np.ndarray, month: int, age_months: np.ndarray | int) -> np.ndarray:
        """Carry distributions ``p`` (groups, expanded) through step ``month`` (1 = first after the start).

        ``age_months`` is each group's age at the start of the run.
        """
        matrices = self._matrices((self.start + month) // 12)
        classes = np.broadcast_to(AGE_CLASS[np.minimum(np.asarray(age_months) + month, 1200)], len(p))
        after = np.empty_like(p)
        for age_class in np.unique(classes):
            mine = classes == age_class
            after[mine] = p[mine] @ matrices[age_class]
        return after

    def states(self, p: np.ndarray, months: int, age_months: np.ndarray | int) -> np.ndarray:
        """Return state probabilities, shape (months + 1, groups, states), starting from ``p`` (groups, expanded)."""
        collect = np.zeros((N_EXPANDED, len(STATES)))
        collect[np.arange(N_EXPANDED), STATE_OF] = 1
        out = [p @ collect]
        for month in range(1, months + 1):
            p = self.step(p, month, age_months)
            out.append(p @ collect)
        return np.stack(out)


def side_job_path(parameters: ParameterSet, last_age: int) -> tuple[np.ndarray, np.ndarray]:
    """Return, by age in months, the chance of holding a side job and of at least 26 paid hours in the past 12 months.

    For a pupil or student from the first age with side jobs to ``last_age`` (years, included), without activities.
    """
    hazard = side_job_hazards(parameters)
    per_month = parameters.value("side_job_hours") * 52 / 12
    needed = int(np.ceil(parameters.value("leisure_job_hours_in_year") / per_month - 1e-9))
    ages = np.arange(12 * (last_age + 1))
    job = np.zeros(len(ages))
    for age in ages[12 * SIDE_AGES[0] :]:
        start, end = _side_chances(hazard, int(age))
        job[age] = job[age - 1] * (1 - end) + (1 - job[age - 1]) * start
    reached = np.zeros(len(ages))
    for age in ages[12 * SIDE_AGES[0] :]:
        begin = int(age) - 12
        p = np.zeros((2, needed + 1))
        p[:, 0] = 1 - job[begin], job[begin]
        for m in range(begin + 1, int(age) + 1):
            start, end = _side_chances(hazard, m)
            none = p[0] * (1 - start) + p[1] * end
            held = p[0] * start + p[1] * (1 - end)
            p[0] = none
            p[1] = np.concatenate([[0.0], held[:-1]])
            p[1, -1] += held[-1]
        reached[age] = p[:, -1].sum()
    return job, reached


def _side_chances(hazard: np.ndarray, age: int) -> tuple[float, float]:
    """Return the month's chance of starting and of ending a side job at ``age`` (months)."""
    a = int(SIDE_CLASS[age])
    if a < 0:
        return 0.0, 1.0
    return float(-np.expm1(-hazard[1 + a])), float(-np.expm1(-hazard[1 + len(SIDE_AGES) + a]))

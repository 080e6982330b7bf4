"""Who lives in the area: recipes that place residents, and the columns that hold them.

Resident i takes the cell at frac(i · 0.618...) of the cumulated joint distribution, so a larger population contains the
smaller one: resident 17 is the same person in an area of 500 and of 215,300.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .engine.streams import Stream
from .measures import COHORTS, Columns
from .parameters import ParameterSet
from .sources import evidence
from .states import AGE_CLASSES, CODE, ORIGINS, PHASE_CODE, PHASES, SEXES, STATES
from .transitions import (
    AGE_CLASS,
    CELLS,
    DURATION_CLASS,
    FIRST_CELL,
    IS_SIDE_STATE,
    NEVER,
    NEXT_AGE,
    NEXT_DURATION,
    SIDE_CLASS,
    SIDE_STATES,
    hazards,
    side_row,
)

GOLDEN = 0.6180339887498949
LAST_AGE = 99


class Cells(NamedTuple):
    """A joint distribution of residents over age (years), sex, origin and state (codes)."""

    weight: np.ndarray
    age: np.ndarray
    sex: np.ndarray
    origin: np.ndarray
    state: np.ndarray


def _ages(parameters: ParameterSet, origin: str) -> np.ndarray:
    """Return the share of each year of age, 0 to 99: even below 51, falling evenly to nil at 100 from there."""
    like = origin if origin != "western" else "danish"
    under_25 = parameters.value(f"area_under_25_{like}")
    middle = parameters.value(f"area_25_50_{like}")
    falling = np.arange(LAST_AGE + 1 - 50, 0, -1.0)[:-1]
    return np.concatenate(
        [
            np.full(25, under_25 / 25),
            np.full(26, middle / 26),
            (1 - under_25 - middle) * falling / falling.sum(),
        ]
    )


def _women(parameters: ParameterSet, origin: str, age: int) -> float:
    if not 25 <= age <= 50:
        return parameters.value("area_women_other_ages")
    return parameters.value(f"area_women_25_50_{origin if origin != 'western' else 'danish'}")


def _status(parameters: ParameterSet, origin: str, age: int) -> Mapping[str, float]:
    """Return the share of each state at ``age`` in December 2011."""
    value = parameters.value
    like = origin if origin != "western" else "danish"
    if age < 16:
        return {"basic_school": 1.0}
    if age < 18:
        placed = {s: value(f"area_16_17_{s}") for s in ("basic_school", "in_education", "employed")}
        return {**placed, "self_supporting": 1 - sum(placed.values())}
    if age < 25:
        education, work = value(f"area_youth_education_{like}"), value(f"area_youth_employed_{like}")
        neet = 1 - education - work
        job_ready = neet * value("area_youth_neet_share_job_ready")
        activity_ready = neet * value("area_youth_neet_share_activity_ready")
        return {
            "in_education": education,
            "employed": work,
            "job_ready": job_ready,
            "activity_ready": activity_ready,
            "self_supporting": neet - job_ready - activity_ready,
        }
    if age < AGE_CLASSES[-1].first:
        unemployed, outside = value(f"area_unemployed_{like}"), value(f"area_outside_{like}")
        job_ready = unemployed * value("area_job_ready_share_of_unemployed")
        activity_ready = outside * value("area_activity_ready_share_of_outside")
        rest = outside - activity_ready
        education = rest * value("area_rest_share_in_education")
        pension = rest * value("area_rest_share_disability_pension")
        other = rest * value("area_rest_share_other_benefit")
        return {
            "employed": 1 - unemployed - outside,
            "job_ready": job_ready,
            "activity_ready": activity_ready,
            "in_education": education,
            "disability_pension": pension,
            "other_benefit": other + unemployed - job_ready,
            "self_supporting": rest - education - pension - other,
        }
    return {"gone": 1.0}


def area_cells(parameters: ParameterSet) -> Cells:
    """Return the joint distribution of a supported area in December 2011 (all ages)."""
    shares = {
        "danish": parameters.value("area_share_danish"),
        "non_western": parameters.value("area_share_non_western"),
    }
    shares["western"] = 1 - sum(shares.values())
    found: list[tuple[float, int, int, int, int]] = []
    for origin_code, origin in enumerate(ORIGINS):
        by_age = _ages(parameters, origin)
        for age in range(LAST_AGE + 1):
            women = _women(parameters, origin, age)
            status = _status(parameters, origin, age)
            for sex_code, sex_share in enumerate((women, 1 - women)):
                weight = shares[origin] * by_age[age] * sex_share
                found += [
                    (weight * share, age, sex_code, origin_code, CODE[state])
                    for state, share in status.items()
                    if share > 0
                ]
    weight, *codes = (np.array(column) for column in zip(*found, strict=True))
    return Cells(weight, *codes)


def cohort_cells(parameters: ParameterSet) -> Cells:
    """Return the cash-benefit recipients aged 25-50 of December 2011, job-ready and other in the published ratio.

    Within each group age, sex and origin are those of the area.
    """
    area = area_cells(parameters)
    counts = {state: float(evidence(id)["value"]) for state, id in COHORT_EVIDENCE.items()}
    keep = (area.age >= 25) & (area.age <= 50) & np.isin(area.state, [CODE[state] for state in counts])
    cells = Cells(*(column[keep] for column in area))
    weight = cells.weight.copy()
    for state, count in counts.items():
        mine = cells.state == CODE[state]
        weight[mine] *= count / weight[mine].sum()
    order = np.argsort(cells.state, kind="stable")
    return Cells(*(column[order] for column in cells._replace(weight=weight)))


COHORT_EVIDENCE = {"job_ready": "fig4_13_n_jobready_2011", "activity_ready": "fig4_13_n_other_2011"}
"""Evidence rows with the persons in the published cohorts."""

RECIPES: Mapping[str, Callable[[ParameterSet], Cells]] = {"area": area_cells, "cohorts_2011": cohort_cells}


def place(cells: Cells, residents: int) -> np.ndarray:
    """Return the cell index of residents 0 to ``residents`` - 1, prefix-stable."""
    position = (np.arange(residents) + 0.5) * GOLDEN % 1.0
    limits = np.cumsum(cells.weight)
    return np.minimum(np.searchsorted(limits, position * limits[-1], side="right"), len(limits) - 1)


def _steady_past(parameters: ParameterSet, year: int) -> np.ndarray:
    """Return cumulated chances of months since the phase began, shape (age classes, phases, months).

    The past of a stock in steady state: months d are as likely as surviving to d under the phase's own hazards.
    """
    leave = -np.expm1(-hazards(parameters, year).sum(axis=-1))
    longest = int(parameters.value("past_months_at_most"))
    months = np.minimum(np.arange(longest), DURATION_CLASS.shape[1] - 1)
    cell = FIRST_CELL[:, None] + DURATION_CLASS[:, months]
    survive = np.cumprod(1 - leave[:, cell], axis=-1)
    return np.cumsum(survive, axis=-1) / survive.sum(axis=-1, keepdims=True)


@dataclass
class Population:
    """The residents of all stacked replicates, one array an attribute (rows as in :class:`sim.engine.streams.Stream`).

    Months count from the start of the run (0); ``birth`` and ``since`` are negative for what lies before it.
    """

    stream: Stream
    birth: np.ndarray
    sex: np.ndarray
    origin: np.ndarray
    state: np.ndarray
    phase: np.ndarray
    since: np.ndarray
    cohort: np.ndarray
    side_hours: np.ndarray
    paid_hours: np.ndarray
    affected: np.ndarray
    touched: np.ndarray
    row: np.ndarray
    until: np.ndarray
    side_row: np.ndarray

    @classmethod
    def make(
        cls, recipe: str, parameters: ParameterSet, stream: Stream, year: int, side_share: np.ndarray
    ) -> Population:
        """Place residents by ``recipe`` and draw their birth months, pasts and side jobs.

        ``side_share`` is the chance of holding a side job by age in months (pupils and students).
        """
        cells = RECIPES[recipe](parameters)
        stacked = len(stream.replicates)
        mine = np.tile(place(cells, stream.residents), stacked)
        rows = np.arange(len(mine))
        age = cells.age[mine] * 12 + np.floor(12 * stream.draw("birth month", 0, rows)).astype(np.int64)
        state = cells.state[mine].astype(np.uint8)
        age_class = AGE_CLASS[np.minimum(age, len(AGE_CLASS) - 1)]
        past = _steady_past(parameters, year)
        position = stream.draw("past", 0, rows)
        since = np.zeros(len(mine), dtype=np.int16)
        for a in range(past.shape[0]):
            for s in range(len(STATES)):
                who = (age_class == a) & (state == s)
                if who.any():
                    since[who] = -np.searchsorted(past[a, s], position[who], side="right")
        since = np.maximum(since, -age).astype(np.int16)
        cohort = np.full(len(mine), len(COHORTS), dtype=np.uint8)
        for code, key in enumerate(("job_ready", "activity_ready")):
            cohort[(state == CODE[key]) & (age >= 25 * 12) & (age < 51 * 12)] = code
        pupil = np.isin(state, [CODE[key] for key in SIDE_STATES])
        share = side_share[np.minimum(age, len(side_share) - 1)]
        has_job = pupil & (stream.draw("side job at start", 0, rows) < share)
        size = len(mine)
        population = cls(
            stream=stream,
            birth=(-age).astype(np.int16),
            sex=cells.sex[mine].astype(np.uint8),
            origin=cells.origin[mine].astype(np.uint8),
            state=state,
            phase=state.copy(),
            since=since,
            cohort=cohort,
            side_hours=(has_job * parameters.value("side_job_hours")).astype(np.float32),
            paid_hours=np.zeros(size, dtype=np.float32),
            affected=np.zeros(size, dtype=bool),
            touched=np.zeros(size, dtype=bool),
            row=np.zeros(size, dtype=np.uint16),
            until=np.full(size, NEVER, dtype=np.int16),
            side_row=np.zeros(size, dtype=np.uint8),
        )
        population.renew(rows, 1)
        return population

    def __len__(self) -> int:
        return len(self.state)

    def renew(self, rows: np.ndarray, month: int) -> None:
        """Find the table rows that ``rows`` use in ``month``, and the month in which each of them ends."""
        age = np.minimum(month - self.birth[rows].astype(np.int64), len(AGE_CLASS) - 1)
        elapsed = np.minimum(month - self.since[rows].astype(np.int64), DURATION_CLASS.shape[1] - 1)
        phase = self.phase[rows]
        passed = _PASSES[phase] < elapsed
        if passed.any():
            self.phase[rows[passed]] = _THEN[phase[passed]]
            phase = self.phase[rows]
        stratum = (AGE_CLASS[age].astype(np.int64) * len(SEXES) + self.sex[rows]) * len(ORIGINS) + self.origin[rows]
        self.row[rows] = stratum * len(CELLS) + FIRST_CELL[phase] + DURATION_CLASS[phase, elapsed]
        next_duration = NEXT_DURATION[phase, elapsed].astype(np.int64) + self.since[rows]
        next_age = NEXT_AGE[age].astype(np.int64) + self.birth[rows]
        self.until[rows] = np.minimum(np.minimum(next_duration, next_age), NEVER)
        pupil = IS_SIDE_STATE[self.state[rows]] & ~self.affected[rows]
        self.side_row[rows] = np.where(pupil, side_row(SIDE_CLASS[age], self.side_hours[rows] > 0), 0)

    def columns(self, month: int, unserved: np.ndarray, leisure_job_hours: float) -> Columns:
        """Return copies of what the measures look at, as it stands at the end of ``month``."""
        return Columns(
            state=self.state.copy(),
            age_months=month - self.birth.astype(np.int64),
            sex=self.sex,
            origin=self.origin,
            cohort=self.cohort,
            paid_hours=self.paid_hours.copy(),
            unserved=unserved,
            leisure_job_hours=leisure_job_hours,
            replicates=len(self.stream.replicates),
            participant=np.zeros(len(self), dtype=np.uint8),
        )


_PASSES = np.array([phase.until or NEVER for phase in PHASES])
_THEN = np.array([PHASE_CODE[phase.then or phase.key] for phase in PHASES], dtype=np.uint8)

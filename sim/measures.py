"""Outcome measures: one function of (columns, ledger, month) each, with unit, labels and who is counted.

The derived groups of the model are defined here and nowhere else. The same functions serve reports and calibration
targets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np

from .engine.ledger import KINDS
from .states import CODE, EDUCATIONS, ORIGINS, PHASE_CODE, PHASES, SEXES
from .transitions import COUNTS_AS, SIDE_STATES

NO_BENEFIT: Final = ("employed", "self_supporting", "in_education")
"""No benefit paid: working, supported by family, or in education (states without a benefit)."""
OTHER_BENEFIT: Final = ("other_benefit", "flex_job", "disability_pension")
"""The source's other benefits: everything paid that is not cash benefit."""
CASH_BENEFIT: Final = ("job_ready", "activity_ready")

BENEFIT_GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "job_ready": ("job_ready",),
    "activity_ready": ("activity_ready",),
    "no_benefit": NO_BENEFIT,
    "other_benefit": OTHER_BENEFIT,
}
"""The four groups of Figure 4.13 (primary benefit in the fourth quarter)."""

AGE_GROUPS: Final = ("0-12", "13-15", "16-17", "18-24", "25-50", "51-66", "67+")
_AGE_GROUP_BY_YEARS: Final = np.searchsorted([0, 13, 16, 18, 25, 51, 67], np.arange(100), side="right") - 1
COHORTS: Final = ("job_ready_2011", "activity_ready_2011")

GROUPINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "all": ("all",),
    "sex": SEXES,
    "origin": ORIGINS,
    "age_group": AGE_GROUPS,
    "cohort": (*COHORTS, "neither"),
    "participant": ("no", "yes"),
}
"""Group names by grouping, in the order of their codes."""

VIEWS: Final = ("individual", "area")
"""``individual``: the residents of the start, wherever they live; ``area``: those who live there now."""
AREA_GROUPINGS: Final = ("all", "sex", "origin", "age_group")
"""Groupings reported for those who live in the area now; the others follow people."""

UNREPORTED: Final = frozenset({"neither"})
"""Groups left out of results: outside the cohorts."""

COUNTED: Final = np.array([PHASE_CODE[phase.then or phase.key] for phase in PHASES], dtype=np.uint8)
"""Phase code under which each phase is counted: one that people pass out of unseen falls together with the next."""


def counted_as(states: Iterable[str]) -> np.ndarray:
    """Return which phase codes count as one of ``states`` where a source counts benefits, shape (phases,).

    People in activation count with their readiness.
    """
    return np.isin(np.array([phase.counts_as for phase in PHASES]), list(states))


@dataclass(frozen=True)
class Columns:
    """The residents as they stood at the end of one month; every array has one entry a resident row."""

    phase: np.ndarray
    age_months: np.ndarray
    sex: np.ndarray
    origin: np.ndarray
    cohort: np.ndarray
    """Code in COHORTS, or 2: the state in which a person aged 25-50 stood at the start."""
    paid_hours: np.ndarray
    """Paid hours of side jobs in the calendar year so far."""
    side_hours: np.ndarray
    """Weekly hours of the side job held now."""
    education: np.ndarray
    """Code in ``states.EDUCATIONS``: highest completed."""
    unserved: np.ndarray
    """Has queued for an activity and been enrolled in none so far."""
    in_area: np.ndarray
    """Lives in the area now."""
    block: np.ndarray
    """Number of the row's replicate within the stack."""
    row: np.ndarray
    """Row number in the model; the first ``residents`` times ``replicates`` rows are the residents of the start."""
    leisure_job_hours: float
    """Paid hours in the calendar year that make a leisure job."""
    replicates: int
    residents: int
    participant: np.ndarray
    """Enrolled, in any compared scenario, at any time of the run: 0 or 1."""

    def seen(self, view: str) -> Columns:
        """Return the rows of one view."""
        who = self.row < self.residents * self.replicates if view == "individual" else self.in_area
        arrays: dict[str, Any] = {
            name: value[who] for name, value in vars(self).items() if isinstance(value, np.ndarray)
        }
        return replace(self, **arrays)

    @property
    def state(self) -> np.ndarray:
        """State codes, people in activation counted with their readiness."""
        return COUNTS_AS[self.phase]

    @property
    def alive(self) -> np.ndarray:
        """Who is counted at all: everybody whose state is not ``gone``."""
        return self.phase != CODE["gone"]

    @cached_property
    def age_group(self) -> np.ndarray:
        """Code in AGE_GROUPS."""
        return _AGE_GROUP_BY_YEARS[np.minimum(self.age_months // 12, len(_AGE_GROUP_BY_YEARS) - 1)]

    @cached_property
    def _cell(self) -> np.ndarray:
        """The cell of each row in the cross-table of replicate, sex, origin, age group, cohort and participation."""
        codes = (self.block, self.sex, self.origin, self.age_group, self.cohort, self.participant)
        return np.ravel_multi_index(codes, self._shape)

    @property
    def _shape(self) -> tuple[int, ...]:
        return (self.replicates, *(len(names) for key, names in GROUPINGS.items() if key != "all"))

    def summed(self, values: np.ndarray) -> np.ndarray:
        """Return sums of ``values``: axis 0 replicates, then the groupings of GROUPINGS without ``all``."""
        size = int(np.prod(self._shape))
        return np.bincount(self._cell, weights=values, minlength=size).reshape(self._shape)

    @cached_property
    def by_phase(self) -> np.ndarray:
        """Number of residents as :meth:`summed`, with the phases as one more axis, the last."""
        size = int(np.prod(self._shape)) * len(PHASES)
        return np.bincount(self._cell * len(PHASES) + self.phase, minlength=size).reshape(*self._shape, len(PHASES))

    def aged(self, first: int, last: int) -> np.ndarray:
        """Who is ``first`` to ``last`` years old, both included."""
        return (self.age_months >= 12 * first) & (self.age_months < 12 * (last + 1))

    def in_states(self, states: Iterable[str]) -> np.ndarray:
        """Who counts as being in one of ``states``."""
        return counted_as(states)[self.phase]


Parts = tuple[np.ndarray, np.ndarray]
"""Numerator and denominator, one entry a resident row."""


@dataclass(frozen=True)
class Measure:
    """An outcome measure.

    ``parts`` gives numerator and denominator by resident; the value of a group is the ratio of their sums, or for unit
    ``persons`` the sum of the numerator. ``phases`` is set when the measure is the share of people in those phases, one
    flag a phase code. ``views`` are those it is reported in. ``december_only`` measures are reported in Decembers of
    whole years, the others in every reported month.
    """

    key: str
    label_da: str
    label_en: str
    unit: str
    population_da: str
    population_en: str
    parts: Callable[[Columns, np.ndarray, int], Parts]
    phases: tuple[bool, ...] = ()
    views: tuple[str, ...] = VIEWS
    december_only: bool = False

    def label(self, lang: str) -> str:
        """Return the measure's name in ``lang``."""
        return self.label_da if lang == "da" else self.label_en

    def population(self, lang: str) -> str:
        """Return who is counted, in ``lang``."""
        return self.population_da if lang == "da" else self.population_en


_ALL = ("alle beboere, der ikke er døde, pensionerede eller udvandrede", "all residents not dead, retired or emigrated")


def _share(key: str, label_da: str, label_en: str, phases: np.ndarray) -> Measure:
    def parts(columns: Columns, ledger: np.ndarray, month: int) -> Parts:
        return phases[columns.phase], columns.alive

    return Measure(key, label_da, label_en, "share", *_ALL, parts, tuple(phases.tolist()))


def _states(key: str, label_da: str, label_en: str, states: tuple[str, ...]) -> Measure:
    return _share(key, label_da, label_en, counted_as(states))


def _neet(columns: Columns, ledger: np.ndarray, month: int) -> Parts:
    young = columns.aged(16, 24) & columns.alive
    return young & ~columns.in_states(("basic_school", "in_education", "employed", "flex_job")), young


def _leisure_job_26h(columns: Columns, ledger: np.ndarray, month: int) -> Parts:
    pupils = columns.aged(14, 19) & columns.in_states(SIDE_STATES)
    return pupils & (columns.paid_hours >= columns.leisure_job_hours), pupils


def _never_served(columns: Columns, ledger: np.ndarray, month: int) -> Parts:
    return columns.unserved, np.ones(len(columns.state), dtype=bool)


def _months_employed(columns: Columns, ledger: np.ndarray, month: int) -> Parts:
    # With E(m) = 1 when employed at m, the sum of E(1..m) is m E(m), minus t - 1 for every entry into work at t, plus
    # t - 1 for every exit. Read for the residents of the start only, who stand in the first rows.
    moves = ledger[(ledger["kind"] == KINDS.index("state")) & (ledger["month"] <= month)]
    sign = (moves["before"] == CODE["employed"]).astype(float) - (moves["after"] == CODE["employed"])
    rows = columns.residents * columns.replicates
    mine = moves["row"] < rows
    months = np.bincount(moves["row"][mine], weights=(sign * (moves["month"] - 1.0))[mine], minlength=rows)
    months = months[columns.row] + month * (columns.phase == CODE["employed"])
    return np.where(columns.alive, months, 0.0), columns.alive


def _in_area(columns: Columns, ledger: np.ndarray, month: int) -> Parts:
    return columns.in_area & columns.alive, columns.alive


def _rest_group(columns: Columns, ledger: np.ndarray, month: int) -> Parts:
    of_age = columns.aged(16, 50) & columns.alive
    unqualified = np.isin(columns.education, [EDUCATIONS.index(key) for key in ("basic", "unknown")])
    return of_age & unqualified & ~columns.in_states(("basic_school", "in_education", "employed", "flex_job")), of_age


def _small_job(columns: Columns, ledger: np.ndarray, month: int) -> Parts:
    recipients = columns.in_states(CASH_BENEFIT)
    return recipients & (columns.side_hours > 0), recipients


MEASURES: Final[Mapping[str, Measure]] = {
    measure.key: measure
    for measure in (
        _states("employed", "i ordinær beskæftigelse", "employed", ("employed",)),
        _states("in_education", "under uddannelse", "in education", ("in_education",)),
        _states("job_ready", "jobparate på kontanthjælp", "job-ready on cash benefit", ("job_ready",)),
        _states(
            "activity_ready",
            "aktivitetsparate på kontanthjælp",
            "activity-ready on cash benefit",
            ("activity_ready",),
        ),
        _states("cash_benefit", "på kontanthjælp", "on cash benefit", CASH_BENEFIT),
        _states("no_benefit", "uden ydelse", "without benefit", NO_BENEFIT),
        _states("other_benefit", "på andre ydelser", "on other benefit", OTHER_BENEFIT),
        _states("self_supporting", "selvforsørgende uden job", "self-supporting without a job", ("self_supporting",)),
        _states("disability_pension", "på førtidspension", "on disability pension", ("disability_pension",)),
        _share(
            "activation",
            "i aktivering (tælles også som job- eller aktivitetsparate)",
            "in activation (counted as job- or activity-ready too)",
            np.array([phase.state == "activation" for phase in PHASES]),
        ),
        Measure(
            "neet",
            "unge uden job og uddannelse",
            "young people neither in work nor in education",
            "share",
            "16-24-årige",
            "people aged 16-24",
            _neet,
        ),
        Measure(
            "rest_group",
            "restgruppe: hverken job, uddannelse eller (kendt) mere end grundskole",
            "rest group: no job, no education, nothing (known) above basic school",
            "share",
            "16-50-årige",
            "people aged 16-50",
            _rest_group,
        ),
        Measure(
            "leisure_job_26h",
            "elever og studerende med fritidsjob (mindst 26 timer i året)",
            "pupils and students with a leisure job (at least 26 hours in the year)",
            "share",
            "elever og studerende på 14-19 år",
            "pupils and students aged 14-19",
            _leisure_job_26h,
            views=("individual",),
            december_only=True,
        ),
        Measure(
            "never_served",
            "beboere, der har stået i kø uden at få en plads",
            "residents who have queued without getting a place",
            "persons",
            "alle beboere",
            "all residents",
            _never_served,
        ),
        Measure(
            "months_employed",
            "måneder i job siden start",
            "months in work since the start",
            "months",
            *_ALL,
            _months_employed,
            views=("individual",),
        ),
        Measure(
            "small_job",
            "kontanthjælpsmodtagere med småjob",
            "cash-benefit recipients with a small job",
            "share",
            "modtagere af kontanthjælp",
            "recipients of cash benefit",
            _small_job,
        ),
        Measure(
            "in_area",
            "bor stadig i området",
            "still living in the area",
            "share",
            *_ALL,
            _in_area,
            views=("individual",),
        ),
    )
}
"""Every measure by key."""


def grouped(
    measure: Measure, columns: Columns, ledger: np.ndarray, month: int, groupings: Iterable[str] = tuple(GROUPINGS)
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield (group_by, group, values): the measure's value in each group, one a replicate, shape (replicates,).

    A group with nobody in it has value NaN.
    """
    if measure.phases:
        by_phase = columns.by_phase
        top = by_phase[..., np.array(measure.phases)].sum(axis=-1)
        bottom = by_phase.sum(axis=-1) - by_phase[..., CODE["gone"]]
    else:
        numerator, denominator = measure.parts(columns, ledger, month)
        top, bottom = columns.summed(numerator), columns.summed(denominator)
    for axis, (group_by, names) in enumerate(GROUPINGS.items()):
        if group_by not in groupings:
            continue
        others = tuple(a for a in range(1, top.ndim) if a != axis)
        tops, bottoms = top.sum(axis=others), bottom.sum(axis=others)
        for code, group in enumerate(names):
            if group in UNREPORTED:
                continue
            above = tops if group_by == "all" else tops[:, code]
            below = bottoms if group_by == "all" else bottoms[:, code]
            if measure.unit == "persons":
                yield group_by, group, above
            else:
                yield group_by, group, np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)

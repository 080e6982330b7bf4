"""Who lives in the area: the columns that hold the residents, from those of the start to the last newcomer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .demography import CHILD, FAMILY, MOST_MEMBERS, YOUTH, moving_hazards, newcomer_ids, out_row
from .engine.arrivals import Arrivals, Homes, Settling, arrive
from .engine.growing import Growing
from .engine.places import Lookups, Places, renew_rows
from .engine.streams import Stream, moment_keys
from .households import ROLES
from .measures import COHORTS, Columns
from .parameters import ParameterSet
from .recipe import DECISIONS, INSURED, STATE, Persons, Recipe
from .states import AGE_CLASSES, CODE, ORIGINS, PHASE_CODE, PHASES, SEXES, STATES
from .transitions import (
    ACTIVATED,
    AFFECTED,
    AGE_CLASS,
    CELLS,
    COUNTS_AS,
    DURATION_CLASS,
    FIRST_CELL,
    FRAILTIES,
    N_STRATA,
    NEVER,
    NEXT_AGE,
    NEXT_DURATION,
    PHASE_STATE,
    SIDE_AGES,
    SIDE_CLASS,
    SIDE_KIND,
    STAYER,
    activation_share,
    side_row,
    small_job_row,
    stayer_share,
    steady_past,
)

REFERENCE = 20_000
"""Residents of the recipe over whose heads the moving-out rates are means; the size of the area changes nothing."""

_COLUMNS = {
    "birth": np.int16,
    "sex": np.uint8,
    "origin": np.uint8,
    "education": np.uint8,
    "family": np.uint8,
    "children": np.uint8,
    "role": np.uint8,
    "parents": np.uint8,
    "barriers": np.uint8,
    "frailty": np.uint8,
    "state": np.uint8,
    "phase": np.uint8,
    "since": np.int16,
    "cohort": np.uint8,
    "side_hours": np.float32,
    "side_gained": np.bool_,
    "paid_hours": np.float32,
    "dwelling": np.int32,
    "occupant": np.uint16,
    "head": np.int32,
    "size": np.uint8,
    "youth_dwelling": np.bool_,
    "in_area": np.bool_,
    "affected": np.bool_,
    "touched": np.bool_,
    "row": np.uint16,
    "until": np.int16,
    "side_row": np.uint8,
    "out_row": np.uint8,
}


_AT_FIRST = {
    "cohort": len(COHORTS),
    "side_gained": False,
    "paid_hours": 0,
    "in_area": True,
    "affected": False,
    "touched": False,
    "row": 0,
    "until": NEVER,
    "side_row": 0,
    "out_row": 0,
}
"""Columns that are the same for everybody who comes."""
_SETTLED_BY = ("past", "activation", "propensity", "side job at start")
"""What is drawn for everybody who comes, besides the recipe's decisions for newcomers."""


class Population(Growing):
    """The residents of all stacked replicates, one array an attribute (rows as in :class:`sim.engine.streams.Stream`).

    Months count from the start of the run (0); ``birth`` and ``since`` are negative for what lies before it. Newcomers
    are appended, those who leave stay as rows outside the area: people are followed wherever they live.
    """

    birth: np.ndarray
    sex: np.ndarray
    origin: np.ndarray
    education: np.ndarray
    """Code in ``states.EDUCATIONS``: highest completed."""
    family: np.ndarray
    """Code in ``households.FAMILIES``, of the household as it moved in."""
    children: np.ndarray
    role: np.ndarray
    """Code in ``households.ROLES``: head, partner or child of the household."""
    parents: np.ndarray
    """Bit flags of a child's parents, as in ``recipe.Persons``."""
    barriers: np.ndarray
    """Bit flags: 1 health, 2 language, 4 family, 8 isolation."""
    frailty: np.ndarray
    """Own propensity to take a side job: 0 low, 1 high."""
    state: np.ndarray
    phase: np.ndarray
    since: np.ndarray
    """Month in which the clock of the phase began; usual activation does not restart it."""
    cohort: np.ndarray
    side_hours: np.ndarray
    side_gained: np.ndarray
    """Whether the side job held was begun only because of an activity: its own luck would not have done."""
    paid_hours: np.ndarray
    dwelling: np.ndarray
    occupant: np.ndarray
    """Number of the household in the dwelling: 0 at the start, then 1, 2, ..."""
    head: np.ndarray
    """Row of the household's head; members stand in the rows after it."""
    size: np.ndarray
    """Members of the household as it moved in."""
    youth_dwelling: np.ndarray
    in_area: np.ndarray
    affected: np.ndarray
    touched: np.ndarray
    row: np.ndarray
    until: np.ndarray
    side_row: np.ndarray
    out_row: np.ndarray

    def __init__(
        self,
        persons: Persons,
        made_by: Recipe,
        parameters: ParameterSet,
        stream: Stream,
        start: int,
        side_share: Sequence[np.ndarray],
        ages: range | None = None,
    ) -> None:
        """Place ``persons``, who have the stream's rows of each replicate; newcomers are ``made_by`` the same recipe.

        ``start`` counts months. ``side_share`` is the chance of holding a side job by age in months, one array a
        propensity class. ``ages`` limits newcomers as :func:`households_with` does.
        """
        super().__init__(_COLUMNS)
        self.engine = stream.engine
        self.stream = stream
        self.recipe = made_by
        self._ages = ages
        self._side_share = np.stack(side_share)
        past = np.minimum(steady_past(parameters, start // 12).cumsum(axis=-1), 1)
        self._longest = past.shape[-1]
        # One rising line of all groups' distributions, each a unit above the one before: a single search finds months.
        self._past = (past.reshape(-1, self._longest) + np.arange(past[..., 0].size)[:, None]).ravel()
        self._parameters, self._start = parameters, start
        self._side_job_hours = parameters.value("side_job_hours")
        self._small_limits, self._small_hours = _small_jobs(parameters)
        self.out_hazard = self._out_hazards(parameters)
        stacked = len(stream.replicates)
        everybody = Persons(*(np.tile(column, stacked) for column in persons))
        self.append(len(stream), self._settled(everybody, stream.keys, 0, 0))
        self._stayers = stayer_share(parameters)
        self._stay(np.arange(len(stream)))
        if self.engine == "numba" and made_by.newcomers_move_in:
            self._moments = moment_keys((*DECISIONS, *_SETTLED_BY), 0)
            self._making = made_by.making(ages)
            self._settling = self._settling_tables()
        of_age = (self.birth <= -25 * 12) & (self.birth > -51 * 12)
        for code, key in enumerate(("job_ready", "activity_ready")):
            self.cohort[(COUNTS_AS[self.phase] == CODE[key]) & of_age] = code
        self.renew(np.arange(len(self)), 1)

    def _out_hazards(self, parameters: ParameterSet) -> np.ndarray:
        heads = self.recipe.first(REFERENCE)
        heads = _of(heads, heads.member == 0)
        age_class = AGE_CLASS[np.minimum(heads.age, len(AGE_CLASS) - 1)]
        return moving_hazards(parameters, heads.youth_dwelling, age_class, heads.state == CODE["employed"])

    def _settled(
        self, persons: Persons, keys: np.ndarray, occupant: np.ndarray | int, month: int
    ) -> dict[str, np.ndarray | float]:
        """Return all columns of ``persons``, who have person keys ``keys``, as residents from ``month`` on."""
        past, activation, propensity, side_job = self.stream.draw_with(keys, _SETTLED_BY, 0)
        age = persons.age.astype(np.int64)
        age_class = AGE_CLASS[np.minimum(age, len(AGE_CLASS) - 1)].astype(np.int64)
        phase = persons.state.astype(np.uint8)
        phase[persons.insured & (phase == CODE["other_benefit"])] = PHASE_CODE["insured_unemployed"]
        months = self._months(persons, phase, age_class, past)
        phase = np.where(activation < self._activation_share(month), ACTIVATED[phase], phase)
        state = PHASE_STATE[phase]
        frailty = (propensity < 0.5).astype(np.uint8)
        new = np.arange(len(keys))
        starts = persons.member == 0
        starts[:1] = True
        head = np.maximum.accumulate(np.where(starts, new, 0))
        return {
            **_AT_FIRST,
            "birth": month - age,
            "sex": persons.sex,
            "origin": persons.origin,
            "education": persons.education,
            "family": persons.family,
            "children": persons.children,
            "role": persons.role,
            "parents": persons.parents,
            "barriers": persons.barriers,
            "frailty": frailty,
            "state": state,
            "phase": phase,
            "since": month - months,
            "side_hours": self._hours_held(state, age, frailty, side_job),
            "dwelling": persons.dwelling,
            "occupant": occupant,
            "head": len(self) + head,
            "size": np.bincount(head, minlength=len(keys))[head],
            "youth_dwelling": persons.youth_dwelling,
        }

    def _activation_share(self, month: int) -> float:
        """Return the share of cash-benefit recipients who come in usual activation."""
        return activation_share(self._parameters, (self._start + month) // 12)

    def _settling_tables(self) -> Settling:
        """Return what :meth:`_settled` decides by, for the compiled engine."""
        phase = STATE.copy()
        phase[INSURED] = PHASE_CODE["insured_unemployed"]
        return Settling(
            phase=phase,
            activated=ACTIVATED,
            state=PHASE_STATE,
            has_past=HAS_CUTS,
            past=self._past,
            past_longest=self._longest,
            past_first=np.arange(N_STRATA).reshape(len(AGE_CLASSES), len(SEXES), len(ORIGINS)) * len(PHASES),
            age_class=AGE_CLASS,
            side_kind=SIDE_KIND,
            side_share=self._side_share,
            side_hours=self._side_job_hours,
            small_limits=self._small_limits,
            small_hours=self._small_hours,
        )

    def _stay(self, rows: np.ndarray) -> None:
        """Let the parameter's share of those of ``rows`` who are found job-ready stay so for good.

        Newcomers come from the same stock as the residents of the start (assumption); who becomes job-ready later never
        is a stayer.
        """
        if self._stayers:
            ready = rows[STAYER[self.phase[rows]] != self.phase[rows]]
            stay = ready[self.stream.draw("stays job-ready", 0, ready) < self._stayers]
            self.phase[stay] = STAYER[self.phase[stay]]

    def _months(self, persons: Persons, phase: np.ndarray, age_class: np.ndarray, luck: np.ndarray) -> np.ndarray:
        """Return months spent in the phase: of a steady state where hazards depend on them, else the recipe's."""
        months = persons.months.astype(np.int64)
        rows = np.flatnonzero(HAS_CUTS.take(phase))
        stratum = (age_class[rows] * len(SEXES) + persons.sex[rows]) * len(ORIGINS) + persons.origin[rows]
        group = stratum * len(PHASES) + phase[rows]
        place = np.searchsorted(self._past, luck[rows] + group, side="right") - group * self._longest
        months[rows] = np.minimum(place, self._longest - 1)
        return np.minimum(months, persons.age)

    def _hours_held(self, state: np.ndarray, age: np.ndarray, frailty: np.ndarray, luck: np.ndarray) -> np.ndarray:
        """Return weekly hours of the side jobs people come with."""
        kind = SIDE_KIND[state]
        share = self._side_share[frailty, np.minimum(age, self._side_share.shape[1] - 1)]
        small = self._small_hours[np.searchsorted(self._small_limits, luck, side="right")]
        return np.where(kind == 1, (luck < share) * self._side_job_hours, np.where(kind == 2, small, 0.0))

    def renew(self, rows: np.ndarray, month: int) -> None:
        """Find the table rows that ``rows`` use in ``month``, and the month in which each of them ends."""
        columns = Places(*(getattr(self, name) for name in Places._fields))
        renew_rows(self.engine, rows, month, columns, _LOOKUPS)

    def leave(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Let ``rows`` move out: the household with its head, grown-up children alone.

        Return the rows of all who leave, ascending, and the heads, whose dwellings are vacant now.
        """
        heads = rows[self.head[rows] == rows]
        many = self.size[heads].astype(np.int64)
        offset = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        members = np.repeat(heads, many) + offset
        members = members[self.in_area[members]]
        self.in_area[members] = False
        alone = rows[self.in_area[rows]]
        self.in_area[alone] = False
        leaving = np.sort(np.concatenate([members, alone]))
        self.out_row[leaving] = 0
        return leaving, heads

    def move_in(self, vacated: np.ndarray, month: int) -> np.ndarray:
        """Let a new household into each dwelling that the heads ``vacated`` left in ``month``; return the new rows.

        Their table rows are for the caller to :meth:`renew`.
        """
        if not self.recipe.newcomers_move_in or not len(vacated):
            return np.empty(0, dtype=np.int64)
        dwelling, occupant = self.dwelling[vacated], self.occupant[vacated] + np.uint16(1)
        ids = self.stream.first_id + newcomer_ids(dwelling, occupant, 0)
        homes = Homes(self.youth_dwelling[vacated], dwelling, occupant, self.stream.block[vacated], ids)
        rows = self._compiled(homes, month) if self.engine == "numba" else self._made(homes, month)
        self._stay(rows)
        return rows

    def _made(self, homes: Homes, month: int) -> np.ndarray:
        """Let newcomers into ``homes``: the numpy engine."""

        def luck(decisions: Sequence[str], household: np.ndarray, member: np.ndarray) -> np.ndarray:
            keys = self.stream.keys_of(homes.ids[household] + member, homes.block[household])
            return self.stream.draw_with(keys, decisions, 0)

        persons = self.recipe.newcomers(homes.youth, luck)
        if self._ages is not None:
            persons = _of(persons, households_with(persons, self._ages))
        household = persons.dwelling
        rows = self.stream.add(homes.ids[household] + persons.member, homes.block[household])
        persons = persons._replace(dwelling=homes.dwelling[household])
        return self.append(len(rows), self._settled(persons, self.stream.keys[rows], homes.occupant[household], month))

    def _compiled(self, homes: Homes, month: int) -> np.ndarray:
        """Let newcomers into ``homes``: the numba engine."""
        most = len(homes.ids) * MOST_MEMBERS
        room = {**self.stream.room(most), **self.room(most)}
        written = Arrivals(*(room[name] for name in Arrivals._fields))
        share = self._activation_share(month)
        lucks, moments = self.stream.lucks, self._moments
        came = arrive(month, len(self), share, lucks, moments, homes, self._making, self._settling, written)
        self.stream.append(came, {})
        return self.append(came, _AT_FIRST)

    def partner(self, rows: np.ndarray) -> np.ndarray:
        """Return the row of each one's partner in the household as it moved in; -1 for who has none."""
        head = self.head[rows].astype(np.int64)
        beside = np.minimum(head + 1, len(self) - 1)
        couple = (self.head[beside] == head) & (self.role[beside] == ROLES.index("partner")) & (beside > head)
        other = np.where(rows == head, beside, head)
        return np.where(couple & (self.role[rows] != ROLES.index("child")), other, -1)

    def columns(self, month: int, unserved: np.ndarray, leisure_job_hours: float) -> Columns:
        """Return copies of what the measures look at, as it stands at the end of ``month``."""
        return Columns(
            phase=self.phase.copy(),
            age_months=month - self.birth.astype(np.int64),
            sex=self.sex,
            origin=self.origin,
            cohort=self.cohort,
            paid_hours=self.paid_hours.copy(),
            side_hours=self.side_hours.copy(),
            education=self.education.copy(),
            unserved=unserved,
            in_area=self.in_area.copy(),
            block=self.stream.block,
            row=np.arange(len(self)),
            leisure_job_hours=leisure_job_hours,
            replicates=len(self.stream.replicates),
            residents=self.stream.residents,
            participant=np.zeros(len(self), dtype=np.uint8),
        )


def _small_jobs(parameters: ParameterSet) -> tuple[np.ndarray, np.ndarray]:
    """Return the small jobs of recipients: limits of a uniform draw, and weekly hours below each; none above the last.

    The share with a job is that of a steady state, months held are geometric, hours grow with them.
    """
    value = parameters.value
    start, end = value("small_job_start"), value("small_job_end")
    held = np.arange(len(AGE_CLASS))  # months: nobody has held a job for longer than a life
    limits = np.append(-np.expm1(-end * held[1:]), 1.0) * (start / (start + end))
    hours = value("small_job_hours_at_start") + value("small_job_hours_growth") * held
    return limits, np.append(np.minimum(hours, value("small_job_hours_at_most")), 0.0)


def _of(persons: Persons, who: np.ndarray) -> Persons:
    return Persons(*(column[who] for column in persons))


def households_with(persons: Persons, ages: range) -> np.ndarray:
    """Return who lives in a household in which somebody's age (years) is in ``ages``."""
    home = np.cumsum(persons.member == 0) - 1
    wanted = (persons.age >= 12 * ages.start) & (persons.age < 12 * ages.stop)
    return (np.bincount(home[wanted], minlength=int(home[-1]) + 1 if len(home) else 0) > 0)[home]


def aged(persons: Persons, months: int) -> Persons:
    """Return the same people ``months`` later (earlier, if negative) in age, in a state their age allows.

    Those not yet born are taken as newborn.
    """
    if months == 0:
        return persons
    age = np.maximum(persons.age + months, 0)
    state = persons.state.copy()
    young = (age < 18 * 12) & ~np.isin(state, [CODE[s] for s in _YOUTH_STATES])
    state[young] = CODE["self_supporting"]
    state[age < 16 * 12] = CODE["basic_school"]
    return persons._replace(age=age.astype(persons.age.dtype), state=state)


_YOUTH_STATES = ("basic_school", "in_education", "employed", "self_supporting")
HAS_CUTS = np.array([bool(phase.cuts) for phase in PHASES])
"""Whether hazards depend on the months in the phase, by phase code."""


def _side_table() -> np.ndarray:
    """Return the side row by state, side-job age class + 1, whether a job is held, propensity and whether affected."""
    state, age, held, frailty, affected = np.ogrid[: len(STATES), : len(SIDE_AGES) + 1, :2, :FRAILTIES, :2]
    kind = SIDE_KIND[state]
    leisure = side_row(age - 1, held == 1, frailty)
    rows = np.where(kind == 1, leisure, np.where(kind == 2, small_job_row(held == 1), 0))
    return np.where((affected == 1) & (rows > 0), rows + AFFECTED, rows).astype(np.uint8)


def _out_table() -> np.ndarray:
    """Return the row of the moving-out table by role, whether a youth dwelling, age class and state."""
    role, youth, age, state = np.ogrid[: len(ROLES), :2, : len(AGE_CLASSES), : len(STATES)]
    adult = [age.key for age in AGE_CLASSES].index("18-19")
    grown = (role == ROLES.index("child")) & (age >= adult)
    kind = np.where(grown, CHILD, np.where(youth == 1, YOUTH, FAMILY))
    rows = out_row(kind, age, (state == CODE["employed"]) & ~grown)
    return np.where((role == ROLES.index("head")) | grown, rows, 0).astype(np.uint8)


_LOOKUPS = Lookups(
    age_class=AGE_CLASS,
    next_age=NEXT_AGE,
    side_class=SIDE_CLASS,
    passes=np.array([phase.until or NEVER for phase in PHASES]),
    then=np.array([PHASE_CODE[phase.then or phase.key] for phase in PHASES], dtype=np.uint8),
    cell=FIRST_CELL[:, None] + DURATION_CLASS,
    next_duration=NEXT_DURATION,
    side=_side_table(),
    out=_out_table(),
    first_row=np.arange(N_STRATA).reshape(len(AGE_CLASSES), len(SEXES), len(ORIGINS)) * len(CELLS),
    never=NEVER,
)

"""The area as a Mesa model: residents are agents and, at the same time, rows of columns.

The month is one method, in the order a planner would tell it. A :class:`Resident` is a light view on its row, made when
somebody asks, so a million residents cost no million objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import mesa
import numpy as np
from mesa.agent import AgentSet

from .activities.programme import Happened, Programme
from .chain import side_job_path
from .demography import AREA_IDS
from .engine.ledger import Ledger
from .engine.months import ENGINES, Events, MonthPass, Risks, choose
from .engine.pay import WEEKS_A_MONTH, SmallJobs, pay
from .engine.streams import Stream, hazard_threshold, moment_key
from .errors import ParameterError, Problem, nearest
from .measures import COUNTED, VIEWS, Columns
from .parameters import WITHOUT_ACTIVATION, ParameterSet, numbered_draw
from .population import Population, aged, households_with
from .recipe import Persons, recipe
from .scenario import RECIPE_MONTH, Scenario, month_number, month_text, with_drawn
from .shifting import OwnHazards, moved_on_their_own, moved_out_on_their_own
from .states import CODE, EDUCATIONS, ORIGINS, PHASES, SEXES, STATE_KEYS, STATES, UPPER_SECONDARY_AGE
from .transitions import (
    ACTIVATED,
    AFFECTED,
    FRAILTIES,
    KEEPS_CLOCK,
    OUT_OF_ACTIVATION,
    PHASE_ENTERED,
    PHASE_STATE,
    SIDE_AGES,
    SIDE_JOB_HELD,
    SIDE_KIND,
    SMALL_JOB_HELD,
    Tables,
)

_LOWER = np.isin(EDUCATIONS, ("basic", "unknown"))
"""Whether an education is less than upper secondary, by code."""


class Resident(mesa.Agent):
    """A view on one resident: reading looks the column up, writing changes it.

    ``Agent.__init__`` is not called on purpose: it keeps every model alive for ever through a counter of its own.
    """

    pos = None

    def __init__(self, model: AreaModel, row: int) -> None:
        self.model = model
        self.row = row

    @property
    def unique_id(self) -> int:
        """The resident's id, the same in every scenario."""
        return int(self.model.stream.ids[self.row]) - self.model.stream.first_id

    @property
    def random(self) -> Any:
        """Not available: a resident's chance is :meth:`draw`."""
        raise AttributeError("a resident's chance is resident.draw(name), which no other resident can disturb")

    rng = random

    @property
    def age(self) -> int:
        """Age in whole years."""
        return self.age_months // 12

    @property
    def age_months(self) -> int:
        """Age in months."""
        return int(self.model.month - self.model.population.birth[self.row])

    @property
    def sex(self) -> str:
        """``women`` or ``men``."""
        return SEXES[self.model.population.sex[self.row]]

    @property
    def origin(self) -> str:
        """``danish``, ``western`` or ``non_western``."""
        return ORIGINS[self.model.population.origin[self.row]]

    @property
    def state(self) -> str:
        """Key of the labour-market state; assigning one moves the resident now."""
        return STATE_KEYS[self.model.population.state[self.row]]

    @state.setter
    def state(self, key: str) -> None:
        self.model.move(np.array([self.row]), key)

    @property
    def months_in_state(self) -> int:
        """Months on the clock of the state: usual activation does not restart it."""
        return int(self.model.month - self.model.population.since[self.row])

    @property
    def side_job(self) -> float:
        """Weekly hours of a side job, 0 without one."""
        return float(self.model.population.side_hours[self.row])

    @property
    def in_area(self) -> bool:
        """Whether the resident lives in the area now."""
        return bool(self.model.population.in_area[self.row])

    @property
    def household(self) -> list[Resident]:
        """The people the resident moved in with, head first, itself included."""
        people = self.model.population
        head = int(people.head[self.row])
        return [self.model.view(row) for row in range(head, head + int(people.size[head]))]

    @property
    def activity_history(self) -> list[tuple[str, str, str]]:
        """What happened in activities: (month, item id, event), oldest first."""
        return [
            (month_text(self.model.start + month), course.plan.id, event)
            for month, course, event in sorted(
                (
                    (month, course, event)
                    for course in self.model.courses
                    for event, month, rows in course.events()
                    if self.row in rows
                ),
                key=lambda found: found[0],
            )
        ]

    def draw(self, name: str, occurrence: int = 0) -> float:
        """Return this resident's uniform draw in [0, 1) for the decision ``name`` of this month."""
        rows = np.array([self.row])
        return float(self.model.stream.draw(f"user: {name}", self.model.month, rows, occurrence)[0])

    def remove(self) -> None:
        """Take the resident out of the denominators; the row stays, nobody is lost."""
        self.state = "gone"


class AreaModel(mesa.Model):
    """One scenario running month by month.

    ``replicate`` is a number, or a range of numbers whose residents run stacked in the same columns (then rows, not
    residents, are counted, and there are no agent views). ``engine`` is ``auto``, ``numpy`` or ``numba``: same bytes.
    ``resident`` is :class:`Resident` or a subclass; if it defines ``step``, that runs for everybody after each month,
    in id order. ``parameters`` replaces the scenario's parameter set. ``draw`` numbers a posterior draw of it: 0 or
    None the point values, 1 and on the draws as runs number them; with ``parameters: default`` they are dealt to the
    shipped structures in turn, and numbers of an activity that the scenario sets itself are not drawn. ``area`` numbers
    areas made by the same recipe: their people have ids and luck of their own.
    ``ages`` leaves out households in which nobody has one of these ages (years) on moving in or at the start: the
    others live as before, but for places in activities that those left out would have taken.

    Raises ``ParameterError`` for an unknown engine, a draw that does not exist or a file of draws that cannot be used.

    >>> from sim import toy_area
    >>> model = AreaModel(toy_area(residents=300))
    >>> for _ in range(12):
    ...     model.step()
    >>> model.date
    '2012-12'
    >>> people = model.agents.select(lambda r: r.state == "job_ready")
    >>> all(r.state == "job_ready" for r in people)
    True
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int = 1,
        replicate: int | range = 0,
        draw: int | None = None,
        engine: str = "auto",
        resident: type[Resident] = Resident,
        parameters: ParameterSet | None = None,
        area: int = 0,
        ages: range | None = None,
    ) -> None:
        super().__init__(rng=seed)
        if engine not in ENGINES:
            allowed = ", ".join(ENGINES)
            raise ParameterError(
                [
                    Problem(
                        "choice",
                        key="engine",
                        values={"value": engine, "allowed": allowed},
                        nearest=nearest(engine, ENGINES),
                    )
                ]
            )
        replicates = replicate if isinstance(replicate, range) else range(replicate, replicate + 1)
        self.plan = scenario
        if parameters is None:
            self.parameters = numbered_draw(scenario.parameters, draw or 0).parameters()
        else:
            self.parameters = parameters.draw(draw or 0)
        if not scenario.usual_activation:
            self.parameters = self.parameters.replace(WITHOUT_ACTIVATION)
        self.start = month_number(scenario.start)
        self.month = 0
        made_by = recipe(scenario.recipe, self.parameters)
        persons = aged(made_by.first(scenario.residents), self.start - month_number(RECIPE_MONTH))
        here = np.arange(scenario.residents) if ages is None else np.flatnonzero(households_with(persons, ages))
        persons = Persons(*(column[here] for column in persons))
        engine = choose(engine, len(here) * len(replicates) * scenario.months)
        self.stream = Stream(seed, replicates, here, area * AREA_IDS, engine)
        side_share = [side_job_path(self.parameters, SIDE_AGES[-1], frailty)[0] for frailty in range(FRAILTIES)]
        self._pass = MonthPass(engine)
        self.population = Population(persons, made_by, self.parameters, self.stream, self.start, side_share, ages)
        plans = with_drawn(scenario.activities, self.parameters.of_activities)
        self._programme = Programme(
            plans, self.stream, self.start, len(self.population), scenario.closures, scenario.months
        )
        self._tables = Tables.of(self.parameters, self.start // 12)
        self._table_year = self.start // 12
        self._own = OwnHazards(self._programme.moves, self.parameters, self.population, self._tables.hazard)
        self._by_courses: np.ndarray | None = None
        """Persons moved by courses this month, before the month's own moves: change by view, replicate and phase."""
        self.courses = self._programme.courses
        self.ledger = Ledger()
        self.counts = [self._count()]
        self._resident = resident
        self._views: dict[int, Resident] = {}
        self._agents_seen: AgentSet | None = None
        self._leisure_job_hours = self.parameters.value("side_job_hours")
        self._small_job_hours = self.parameters.value("small_job_hours_at_start")
        value = self.parameters.value
        growth, most = (np.float32(value(f"small_job_hours_{id}")) for id in ("growth", "at_most"))
        self._small_jobs = SmallJobs(SMALL_JOB_HELD, growth, most)
        self._out_threshold = hazard_threshold(self.population.out_hazard)

    @property
    def date(self) -> str:
        """The month the model stands in, as ``2013-12``."""
        return month_text(self.start + self.month)

    def step(self) -> None:
        """Live through one month."""
        self.month += 1
        self._new_year()
        self._run_activities()
        events = self._own_moves(self._pass(self._risks()))
        side, gained = self._side_jobs(events.side)
        self._change_side_jobs(side)
        self.population.side_gained[gained] = True
        before = self._move(events.moved, events.moved_to)
        self._complete_upper_secondary(events.due)
        self._pay_side_jobs()
        inside = self.population.in_area[events.moved]
        left, vacated = self.population.leave(events.out)
        arrived = self.population.move_in(vacated, self.month)
        self.population.renew(np.concatenate([events.moved, side, events.due, left, arrived]), self.month + 1)
        self.ledger.add(self.month, "dwelling", left, 1, 0)
        self.ledger.add(self.month, "dwelling", arrived, 0, 1)
        self.counts.append(self._count_after(events.moved, before, inside, left, arrived))
        if self._resident.step is not mesa.Agent.step:
            self.agents.do("step")

    def _new_year(self) -> None:
        year = (self.start + self.month) // 12
        if year != self._table_year:
            self._tables, self._table_year = Tables.of(self.parameters, year), year
            self.population.paid_hours[:] = 0

    def _run_activities(self) -> None:
        people = self.population
        happened = self._programme.run_month(self.month, people)
        affected = happened.affected
        people.affected[affected] = True
        side = people.side_row[affected]
        people.side_row[affected] = np.where((side > 0) & (side < AFFECTED), side + np.uint8(AFFECTED), side)
        lost = happened.lost[people.side_gained[happened.lost]]
        self._end_side_jobs(lost)
        begun = np.concatenate([happened.leisure_jobs, happened.small_jobs])
        begun = np.unique(begun[(people.side_hours[begun] == 0) & (SIDE_KIND[people.state[begun]] > 0)])
        self._change_side_jobs(begun)
        moved = self._move_by_courses(happened)
        people.renew(np.concatenate([lost, begun, moved]), self.month)

    def _move_by_courses(self, happened: Happened) -> np.ndarray:
        """Let those move whom openings, clarification or an offer that fills the week move; return their rows."""
        people = self.population
        rows, first = np.unique(happened.moved, return_index=True)
        phase = PHASE_ENTERED[people.phase[rows], happened.to[first]]
        phase = np.where(self._programme.busy[rows], ACTIVATED[phase], phase)
        others = np.ones(len(people), dtype=bool)
        others[rows] = False
        busy, free = (np.unique(part[others[part]]) for part in (happened.occupied, happened.released))
        rows = np.concatenate([rows, busy, free])
        phase = np.concatenate([phase, ACTIVATED[people.phase[busy]], OUT_OF_ACTIVATION[people.phase[free]]])
        goes = phase != people.phase[rows]
        rows, phase = rows[goes], phase[goes]
        if not len(rows):
            self._by_courses = None
            return rows
        inside = people.in_area[rows]
        before = self._move(rows, phase)
        none = np.empty(0, dtype=np.int64)
        self._by_courses = self._change(rows, before, inside, none, none)
        return rows

    def _own_moves(self, events: Events) -> Events:
        """Return the month's events with those of residents whose hazards are their own."""
        people, programme = self.population, self._programme
        parts = [programme.moving(self.month), programme.occupied()]
        if self._own.barriers_act:
            parts.append(self._own.slowed(people))
        all = np.concatenate(parts)
        if not len(all):
            return events
        own = np.zeros(len(people), dtype=bool)
        own[all] = True
        rows = np.flatnonzero(own)
        given = programme.move_shifts(self.month, rows)
        held = programme.busy[rows]
        tables, stream = self._tables, self.stream
        moved, to = moved_on_their_own(events, own, self._own, given, held, self.month, people, tables, stream)
        leaving, out = self._own.move_out(given), events.out
        if leaving is not None:
            out = moved_out_on_their_own(out, rows, leaving, self.month, people, self.stream)
        return replace(events, moved=moved, moved_to=to, out=out)

    def _risks(self) -> Risks:
        people, tables = self.population, self._tables
        return Risks(
            self.stream.keys,
            people.row,
            people.until,
            people.side_row,
            people.out_row,
            tables.leave,
            tables.cumulative,
            tables.side_threshold,
            self._out_threshold,
            moment_key("move", self.month),
            moment_key("side job", self.month),
            moment_key("move out", self.month),
            self.month,
        )

    def _side_jobs(self, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw the side jobs of residents whose hazards activities shift: the same draws, other limits.

        ``found`` holds all of these, and whose side jobs start or end among the others. Return whose start or end
        among all, and whose start only because of the shift.
        """
        people = self.population
        affected = people.side_row[found] >= AFFECTED
        rows = found[affected]
        if not len(rows):
            return found, rows
        shifts = self._programme.shifts(self.month, rows)
        base = people.side_row[rows] - np.uint8(AFFECTED)
        held = (base == SIDE_JOB_HELD) | (base == SMALL_JOB_HELD)
        start, end = np.where(base > SIDE_JOB_HELD, shifts[2:], shifts[:2])
        hazard = self._tables.side_hazard[base] * np.exp(np.where(held, end, start))
        bits = self.stream.bits("side job", self.month, rows) >> np.uint64(32)
        changed = bits < hazard_threshold(hazard)
        gained = changed & ~held & (bits >= self._tables.side_threshold[base])
        starts_or_ends = ~affected
        starts_or_ends[affected] = changed
        return found[starts_or_ends], rows[gained]

    def _change_side_jobs(self, rows: np.ndarray) -> None:
        people = self.population
        held = people.side_hours[rows] > 0
        small = SIDE_KIND[people.state[rows]] == 2
        begun = np.where(small, self._small_job_hours, self._leisure_job_hours)
        people.side_hours[rows] = np.where(held, 0, begun)
        people.side_gained[rows] = False
        self.ledger.add(self.month, "side_job", rows, held, ~held)

    def _move(self, rows: np.ndarray, phase: np.ndarray) -> np.ndarray:
        """Let ``rows`` enter ``phase`` and return the phases left."""
        people = self.population
        before = people.phase[rows]
        left = people.state[rows]
        people.phase[rows] = phase
        people.state[rows] = PHASE_STATE[phase]
        people.since[rows] = np.where(KEEPS_CLOCK[before, phase], people.since[rows], self.month)
        changes = left != people.state[rows]
        self.ledger.add(self.month, "state", rows[changes], left[changes], people.state[rows[changes]])
        self._end_side_jobs_of_movers(rows, left)
        self._qualify(rows[(left == CODE["in_education"]) & (phase == CODE["employed"])])
        return before

    def _qualify(self, rows: np.ndarray) -> None:
        """Give those who go from education to work at 20 or more a vocational qualification, unless they have more."""
        people = self.population
        grown = self.month - people.birth[rows].astype(np.int64) >= 12 * UPPER_SECONDARY_AGE
        qualified = rows[grown & (people.education[rows] != EDUCATIONS.index("higher"))]
        people.education[qualified] = EDUCATIONS.index("vocational")

    def _complete_upper_secondary(self, due: np.ndarray) -> None:
        """Give students who reach the age the upper-secondary education they have been in, unless they have more."""
        people = self.population
        reached = due[people.birth[due] == self.month + 1 - 12 * UPPER_SECONDARY_AGE]
        students = reached[people.state[reached] == CODE["in_education"]]
        lower = students[_LOWER.take(people.education[students])]
        people.education[lower] = EDUCATIONS.index("general_upper_secondary")

    def _end_side_jobs_of_movers(self, rows: np.ndarray, left: np.ndarray) -> None:
        """End the side jobs of those whose new state does not allow their kind."""
        people = self.population
        lost = (people.side_hours[rows] > 0) & (SIDE_KIND[people.state[rows]] != SIDE_KIND[left])
        self._end_side_jobs(rows[lost])

    def _end_side_jobs(self, rows: np.ndarray) -> None:
        self.population.side_hours[rows] = 0
        self.population.side_gained[rows] = False
        self.ledger.add(self.month, "side_job", rows, 1, 0)

    def _pay_side_jobs(self) -> None:
        people = self.population
        pay(people.engine, people.paid_hours, people.side_hours, people.side_row, self._small_jobs)
        rows, hours = self._programme.paid_hours()
        people.paid_hours[rows] += hours * WEEKS_A_MONTH

    def _count(self) -> np.ndarray:
        """Return persons by view, replicate and counted phase, as everything stands."""
        rows = np.arange(len(self.population))
        phase = self.population.phase
        inside = np.flatnonzero(self.population.in_area)
        initial = rows[self._initial(rows)]
        return np.stack([self._tally(self._cells(who, phase[who])) for who in (initial, inside)])

    def _initial(self, rows: np.ndarray) -> np.ndarray:
        """Return which rows are residents of the start."""
        return rows < self.stream.residents * len(self.stream.replicates)

    def _cells(self, rows: np.ndarray, phase: np.ndarray) -> np.ndarray:
        """Return where ``rows``, who are in ``phase``, are counted: replicate · phases + counted phase."""
        cell = COUNTED.take(phase)
        return cell if len(self.stream.replicates) == 1 else cell + self.stream.block[rows] * np.int64(len(PHASES))

    def _tally(self, cells: np.ndarray) -> np.ndarray:
        """Return how many stand in each counted phase, shape (replicates, phases)."""
        shape = (len(self.stream.replicates), len(PHASES))
        return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)

    def _count_after(
        self, moved: np.ndarray, before: np.ndarray, inside: np.ndarray, left: np.ndarray, arrived: np.ndarray
    ) -> np.ndarray:
        """Return the counts after a month, from those before it and what happened.

        ``before`` holds the phases left by ``moved``, ``inside`` whether they lived in the area until now.
        """
        changed = self.counts[-1] + self._change(moved, before, inside, left, arrived)
        if self._by_courses is not None:
            changed += self._by_courses
            self._by_courses = None
        return changed

    def _change(
        self, moved: np.ndarray, before: np.ndarray, inside: np.ndarray, left: np.ndarray, arrived: np.ndarray
    ) -> np.ndarray:
        """Return the change of the counts by what has just happened."""
        phase = self.population.phase
        was, now = self._cells(moved, before), self._cells(moved, phase[moved])
        came, went = (self._cells(rows, phase[rows]) for rows in (arrived, left))
        initial = self._initial(moved)
        last = self.counts[-1]
        cells = last[0].size
        changed = []
        for moves, newly in ((now, came), (was, went)):
            by_view = {"individual": [moves[initial]], "area": [moves[inside], newly]}
            at = [view * cells + part for view, name in enumerate(VIEWS) for part in by_view[name]]
            changed.append(np.bincount(np.concatenate(at), minlength=last.size).reshape(last.shape))
        difference: np.ndarray = changed[0] - changed[1]
        return difference

    @property
    def state_counts(self) -> list[np.ndarray]:
        """Residents of the start by month so far: each (replicates, states); activation is a state of its own."""
        to_state = np.zeros((len(PHASES), len(STATES)), dtype=np.int64)
        to_state[np.arange(len(PHASES)), PHASE_STATE] = 1
        return [counts[VIEWS.index("individual")] @ to_state for counts in self.counts]

    def move(self, rows: np.ndarray, state: str) -> None:
        """Put ``rows`` into ``state`` now, outside the month's own moves (what a user's ``step`` does).

        Raises ``ParameterError`` for a state that does not exist.
        """
        if state not in CODE:
            allowed = ", ".join(STATE_KEYS)
            raise ParameterError(
                [
                    Problem(
                        "choice", key="state", values={"value": state, "allowed": allowed}, nearest=nearest(state, CODE)
                    )
                ]
            )
        people = self.population
        rows = rows[people.state[rows] != CODE[state]]
        before = people.state[rows]
        self.ledger.add(self.month, "state", rows, before, CODE[state])
        people.state[rows] = CODE[state]
        phase = PHASE_ENTERED[people.phase[rows], CODE[state]]
        people.since[rows] = np.where(KEEPS_CLOCK[people.phase[rows], phase], people.since[rows], self.month)
        people.phase[rows] = phase
        people.touched[rows] = True
        self._end_side_jobs_of_movers(rows, before)
        people.renew(rows, self.month + 1)
        self.counts[-1] = self._count()

    def columns(self) -> Columns:
        """Return what the measures look at, as it stands now."""
        unserved = self._programme.unserved(self.population)
        return self.population.columns(self.month, unserved, self.parameters.value("leisure_job_hours_in_year"))

    @property
    def agents(self) -> AgentSet:
        """Everybody who has lived in the area since the start, as Mesa agents: by id, then newcomers as they came.

        The views are made on the first call and kept.
        """
        if self._agents_seen is None:
            if len(self.stream.replicates) > 1:
                raise AttributeError("agents are views of one replicate; make AreaModel(..., replicate=0)")
            self._agents_seen = AgentSet([], random=self.random)
        for row in range(len(self._agents_seen), len(self.population)):
            self._agents_seen.add(self.view(row))
        return self._agents_seen

    @property
    def agents_by_type(self) -> Mapping[type[mesa.Agent], AgentSet]:
        """All residents under their one class."""
        return {self._resident: self.agents}

    @property
    def agent_types(self) -> list[type[mesa.Agent]]:
        """The class of the residents."""
        return [self._resident]

    def resident(self, id: int) -> Resident:
        """Return the view on resident ``id``, the same one every time; ``model.agents`` holds it too.

        In a stack of replicates it is the resident of the first one. Raises ``ParameterError`` when nobody has that id.
        """
        found = np.flatnonzero((self.stream.ids == self.stream.first_id + id) & (self.stream.block == 0))
        if not len(found):
            raise ParameterError(
                [Problem("bounds", key="resident", values={"value": id, "low": 0, "high": self.plan.residents - 1})]
            )
        return self.view(int(found[0]))

    def view(self, row: int) -> Resident:
        """Return the view on row ``row``."""
        if row not in self._views:
            self._views[row] = self._resident(self, row)
        return self._views[row]

"""The area as a Mesa model: residents are agents and, at the same time, rows of columns.

The month is one method, in the order a planner would tell it. A :class:`Resident` is a light view on its row, made when
somebody asks, so a million residents cost no million objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mesa
import numpy as np
from mesa.agent import AgentSet

from .activities import catalogue
from .activities.base import Course, Status
from .chain import side_job_path
from .engine.ledger import Ledger
from .engine.months import ENGINES, MonthPass, choose
from .engine.streams import Stream, moment_key, threshold
from .errors import ParameterError, Problem, nearest
from .measures import Columns
from .parameters import ParameterSet
from .population import Population
from .scenario import Scenario, month_number, month_text
from .states import CODE, ORIGINS, SEXES, STATE_KEYS, STATES
from .transitions import IS_SIDE_STATE, PHASE_ENTERED, PHASE_STATE, SIDE_AGES, SIDE_CLASS, Tables, side_row


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
        return self.row

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
        """Months since the state began."""
        return int(self.model.month - self.model.population.since[self.row])

    @property
    def side_job(self) -> float:
        """Weekly hours of a side job, 0 without one."""
        return float(self.model.population.side_hours[self.row])

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
    in id order. ``parameters`` replaces the scenario's parameter set. ``draw`` numbers a posterior draw; there are none
    yet.

    Raises ``ParameterError`` for an unknown engine or a draw that does not exist.

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
        if draw not in (None, 0):
            raise ParameterError([Problem("draws_available", key="draw", values={"given": draw, "available": 1})])
        replicates = replicate if isinstance(replicate, range) else range(replicate, replicate + 1)
        self.plan = scenario
        self.parameters = ParameterSet.read(scenario.parameters) if parameters is None else parameters
        self.start = month_number(scenario.start)
        self.month = 0
        self.stream = Stream(seed, replicates, scenario.residents)
        side_share, _ = side_job_path(self.parameters, SIDE_AGES[-1])
        self.population = Population.make(scenario.recipe, self.parameters, self.stream, self.start // 12, side_share)
        types = catalogue()
        self._status = {item.activity: Status(len(self.population)) for item in scenario.activities}
        self.courses = [
            Course(item, types[item.activity], self.stream, self.start, self._status[item.activity])
            for item in sorted(scenario.activities, key=lambda item: item.id)
        ]
        self.ledger = Ledger()
        self.state_counts = [self._count_states()]
        self._resident = resident
        self._views: dict[int, Resident] = {}
        self._agents_seen: AgentSet | None = None
        self._pass = MonthPass(choose(engine, len(self.population) * scenario.months), len(self.population))
        self._tables = Tables.of(self.parameters, self.start // 12)
        self._table_year = self.start // 12

    @property
    def date(self) -> str:
        """The month the model stands in, as ``2013-12``."""
        return month_text(self.start + self.month)

    def step(self) -> None:
        """Live through one month."""
        self.month += 1
        self._new_year()
        self._run_activities()
        events = self._pass(*self._what_the_month_depends_on())
        side = np.sort(np.concatenate([events.side, self._side_jobs_of_affected()]))
        self._change_side_jobs(side)
        left = self._move(events.moved, events.moved_bits)
        self._pay_side_jobs()
        self.population.renew(np.concatenate([events.moved, side, events.due]), self.month + 1)
        self.state_counts.append(self._count_after(events.moved, left))
        if self._resident.step is not mesa.Agent.step:
            self.agents.do("step")

    def _new_year(self) -> None:
        year = (self.start + self.month) // 12
        if year != self._table_year:
            self._tables, self._table_year = Tables.of(self.parameters, year), year
            self.population.paid_hours[:] = 0

    def _run_activities(self) -> None:
        people = self.population
        for course in self.courses:
            entered = course.run_month(self.month, people)
            people.affected[entered] = True
            people.side_row[entered] = 0

    def _what_the_month_depends_on(self) -> tuple[Any, ...]:
        people, tables = self.population, self._tables
        return (
            self.stream.keys,
            people.row,
            people.until,
            people.side_row,
            tables.leave,
            tables.side_threshold,
            moment_key("move", self.month),
            moment_key("side job", self.month),
            self.month,
        )

    def _side_jobs_of_affected(self) -> np.ndarray:
        """Draw the side jobs of residents whose hazards activities shift: the same draws, other limits."""
        people = self.population
        rows = np.flatnonzero(people.affected) if self.courses else np.empty(0, dtype=np.int64)
        rows = rows[IS_SIDE_STATE[people.state[rows]]]
        if not len(rows):
            return rows
        start, end = np.zeros(len(people)), np.zeros(len(people))
        for course in self.courses:
            shifts = course.shifts(self.month)
            np.add.at(start, shifts.rows, shifts.start)
            np.add.at(end, shifts.rows, shifts.end)
        has_job = people.side_hours[rows] > 0
        base = side_row(SIDE_CLASS[np.minimum(self.month - people.birth[rows].astype(np.int64), 1200)], has_job)
        hazard = self._tables.side_hazard[base] * np.exp(np.where(has_job, end[rows], start[rows]))
        bits = self.stream.bits("side job", self.month, rows) >> np.uint64(32)
        return rows[bits < threshold(-np.expm1(-hazard))]

    def _change_side_jobs(self, rows: np.ndarray) -> None:
        people = self.population
        held = people.side_hours[rows] > 0
        people.side_hours[rows] = np.where(held, 0, self.parameters.value("side_job_hours"))
        self.ledger.add(self.month, "side_job", rows, held, ~held)

    def _move(self, rows: np.ndarray, bits: np.ndarray) -> np.ndarray:
        """Carry out the month's moves and return the states left; the draw that left also decides the destination."""
        people = self.population
        phase = self._tables.destination(people.row[rows], bits)
        left = people.state[rows]
        people.phase[rows] = phase
        people.state[rows] = PHASE_STATE[phase]
        people.since[rows] = self.month
        self.ledger.add(self.month, "state", rows, left, people.state[rows])
        self._end_side_jobs_outside_school(rows)
        return left

    def _end_side_jobs_outside_school(self, rows: np.ndarray) -> None:
        people = self.population
        left = rows[(people.side_hours[rows] > 0) & ~IS_SIDE_STATE[people.state[rows]]]
        people.side_hours[left] = 0
        self.ledger.add(self.month, "side_job", left, 1, 0)

    def _pay_side_jobs(self) -> None:
        self.population.paid_hours += self.population.side_hours * np.float32(52 / 12)

    def _count_states(self) -> np.ndarray:
        replicates = len(self.stream.replicates)
        block = np.repeat(np.arange(replicates), self.stream.residents) * len(STATES)
        counts = np.bincount(block + self.population.state, minlength=replicates * len(STATES))
        return counts.reshape(replicates, len(STATES))

    def _count_after(self, rows: np.ndarray, left: np.ndarray) -> np.ndarray:
        counts = self.state_counts[-1].copy()
        block = rows // self.stream.residents
        np.subtract.at(counts, (block, left), 1)
        np.add.at(counts, (block, self.population.state[rows]), 1)
        return counts

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
        people.phase[rows] = PHASE_ENTERED[people.phase[rows], CODE[state]]
        people.since[rows] = self.month
        people.touched[rows] = True
        self._end_side_jobs_outside_school(rows)
        people.renew(rows, self.month + 1)
        counts = self.state_counts[-1]
        block = rows // self.stream.residents
        np.subtract.at(counts, (block, before), 1)
        np.add.at(counts, (block, people.state[rows]), 1)

    def columns(self) -> Columns:
        """Return what the measures look at, as it stands now."""
        unserved = np.zeros(len(self.population), dtype=bool)
        for status in self._status.values():
            unserved |= status.unserved
        return self.population.columns(self.month, unserved, self.parameters.value("leisure_job_hours_in_year"))

    @property
    def agents(self) -> AgentSet:
        """All residents as Mesa agents, in id order; the views are made on the first call and kept."""
        if self._agents_seen is None:
            if len(self.stream.replicates) > 1:
                raise AttributeError("agents are views of one replicate; make AreaModel(..., replicate=0)")
            everybody = [self.resident(row) for row in range(len(self.population))]
            self._agents_seen = AgentSet(everybody, random=self.random)
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

        Raises ``ParameterError`` when nobody has that id.
        """
        if not 0 <= id < len(self.population):
            raise ParameterError(
                [Problem("bounds", key="resident", values={"value": id, "low": 0, "high": len(self.population) - 1})]
            )
        if id not in self._views:
            self._views[id] = self._resident(self, id)
        return self._views[id]

"""Speed, measured and never asserted: ``python tests/benchmarks/bench.py``.

One process runs 100,000 residents for 60 months with and without leisure jobs, in both engines, best of three; then the
yardstick, the same month as an idiomatic Mesa model with one object a resident (fewer residents, so that it ends); then
the building of a million residents.
"""

from __future__ import annotations

import gc
import math
import platform
import sys
import time
from pathlib import Path

import mesa
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sim import AreaModel, ParameterSet, Scenario
from sim.scenario import month_number
from sim.states import AGE_CLASSES, CODE, MOVES, PHASES
from sim.transitions import (
    AGE_CLASS,
    DURATION_CLASS,
    FIRST_CELL,
    SIDE_AGES,
    SIDE_STATES,
    hazards,
    pension_multiplier,
    probabilities,
    side_job_hazards,
)

RESIDENTS = 100_000
OBJECTS = 5_000
MONTHS = 60
BEST_OF = 3


class PlainResident(mesa.Agent):
    """A resident as Mesa's tutorials write one: attributes, and a step that works out what may happen and draws."""

    def __init__(self, model: PlainArea, age: int, phase: str, months: int, side_job: bool) -> None:
        super().__init__(model)
        self.age = age
        self.phase = phase
        self.months = months
        self.side_job = side_job
        self.paid_hours = 0.0

    @property
    def at_school(self) -> bool:
        """Whether side jobs are possible."""
        return self.phase in SIDE_STATES

    @property
    def age_class(self) -> str:
        """Key of the age class."""
        years = self.age // 12
        return next(age.key for age in reversed(AGE_CLASSES) if years >= age.first)

    def step(self) -> None:
        """Live one month: age, start or end a side job, move by the competing hazards."""
        self.age += 1
        self.months += 1
        phase = self.model.phases[self.phase]
        if phase.until is not None and self.months > phase.until:
            self.phase = phase.then
        self.work_beside_school()
        self.move()
        if self.side_job:
            self.paid_hours += self.model.values["side_job_hours"] * 52 / 12

    def work_beside_school(self) -> None:
        """Start or end a side job."""
        if self.at_school and self.age >= 12 * SIDE_AGES[0]:
            age = min(self.age // 12, SIDE_AGES[-1])
            hazard = self.model.values["side_job_end"] if self.side_job else self.model.side_start[age]
            if self.random.random() < 1 - math.exp(-hazard):
                self.side_job = not self.side_job

    def hazards(self) -> dict[str, float]:
        """Return the hazard of each destination."""
        found: dict[str, float] = {}
        values, age_class = self.model.values, self.age_class
        duration = sum(self.months > cut for cut in self.model.phases[self.phase].cuts)
        for move in self.model.moves_from[self.phase]:
            if age_class in move.ages:
                rate = values[move.rate[duration if len(move.rate) > 1 else 0]]
                if move.share:
                    rate *= values[move.share]
                if move.rest_to:
                    found[move.rest_to] = found.get(move.rest_to, 0.0) + rate * (1 - self.model.pension)
                    rate *= self.model.pension
                found[move.to] = found.get(move.to, 0.0) + rate
        return found

    def move(self) -> None:
        """Leave with chance 1 - exp(-H), to each destination in proportion to its hazard."""
        hazards = self.hazards()
        if hazards and self.random.random() < 1 - math.exp(-sum(hazards.values())):
            (self.phase,) = self.random.choices(list(hazards), weights=list(hazards.values()))
            self.months = 0
            self.side_job = self.side_job and self.at_school


class TunedResident(PlainResident):
    """The same resident reading ready-made tables, as far as one object a resident goes."""

    def move(self) -> None:
        """Leave when the draw is below the cumulated chance of a destination."""
        moves = self.model.ready[self.phase][AGE_CLASS_OF[min(self.age, 1200)]][min(self.months, LONGEST)]
        if moves:
            draw = self.random.random()
            for limit, phase in moves:
                if draw < limit:
                    self.phase, self.months = phase, 0
                    self.side_job = self.side_job and self.at_school
                    break


AGE_CLASS_OF = AGE_CLASS.tolist()
LONGEST = DURATION_CLASS.shape[1] - 1


class PlainArea(mesa.Model):
    """The yardstick: the same people, moves, hazards and side jobs, one Mesa object a resident."""

    def __init__(self, scenario: Scenario, resident: type[PlainResident], seed: int = 1) -> None:
        super().__init__(rng=seed)
        self.parameters = ParameterSet.read(scenario.parameters)
        self.values = {id: parameter.value for id, parameter in self.parameters.items()}
        self.phases = {phase.key: phase for phase in PHASES}
        self.moves_from = {key: [move for move in MOVES if move.origin == key] for key in self.phases}
        starts = side_job_hazards(self.parameters)[1 : 1 + len(SIDE_AGES)]
        self.side_start = dict(zip(SIDE_AGES, starts.tolist(), strict=True))
        self.start = month_number(scenario.start)
        self.month = 0
        self.year = -1
        start = AreaModel(scenario, seed=seed).population
        for age, phase, since, hours in zip(
            (-start.birth).tolist(), start.phase.tolist(), start.since.tolist(), start.side_hours.tolist(), strict=True
        ):
            resident(self, age, PHASES[phase].key, -since, hours > 0)

    def step(self) -> None:
        """Live one month."""
        self.month += 1
        year = (self.start + self.month) // 12
        if year != self.year:
            self.year, self.pension = year, pension_multiplier(self.parameters, year)
            self.ready = ready_made(self.parameters, year)
            self.agents.set("paid_hours", 0.0)
        self.agents.shuffle_do("step")

    def count(self, phase: str) -> int:
        """Return how many residents are in ``phase``."""
        return len(self.agents.select(lambda resident: resident.phase == phase))


def ready_made(parameters: ParameterSet, year: int) -> dict[str, list[list[list[tuple[float, str]]]]]:
    """Return, by phase, age class and months, the cumulated chances of the destinations."""
    chances = probabilities(hazards(parameters, year))
    return {
        spec.key: [
            [
                [(float(limit), PHASES[to].key) for to, limit in enumerate(np.cumsum(row)) if row[to] > 0]
                for row in by_cell[FIRST_CELL[phase] + DURATION_CLASS[phase]]
            ]
            for by_cell in chances
        ]
        for phase, spec in enumerate(PHASES)
    }


def best(scenario: Scenario, engine: str) -> tuple[float, float]:
    """Return the best ns a resident-month, and the seconds building took in that run."""
    found = []
    for _ in range(BEST_OF):
        begun = time.perf_counter()
        model = AreaModel(scenario, engine=engine)
        built = time.perf_counter()
        model.step()
        gc.collect()
        first = time.perf_counter()
        for _ in range(MONTHS - 1):
            model.step()
        spent = time.perf_counter() - first
        found.append((1e9 * spent / (MONTHS - 1) / scenario.residents, built - begun))
    return min(found)


def yardstick(resident: type[PlainResident]) -> tuple[float, float]:
    """Return the best ns a resident-month of objects, and the seconds building took in that run."""
    scenario = Scenario.read("baseline").scaled(OBJECTS)
    found = []
    for seed in range(1, BEST_OF + 1):
        begun = time.perf_counter()
        model = PlainArea(scenario, resident, seed)
        built = time.perf_counter()
        model.step()
        first = time.perf_counter()
        for _ in range(MONTHS - 1):
            model.step()
        spent = time.perf_counter() - first
        found.append((1e9 * spent / (MONTHS - 1) / OBJECTS, built - begun))
        same_month(model, scenario)
        model.remove_all_agents()
        gc.collect()
    return min(found)


def same_month(model: PlainArea, scenario: Scenario) -> None:
    """Stop when the yardstick lives another month than the model: its counts lie far outside 50 replicates."""
    columns = AreaModel(scenario, replicate=range(50))
    for _ in range(MONTHS):
        columns.step()
    for key in ("employed", "job_ready", "in_education", "other_benefit", "self_supporting"):
        counts = columns.state_counts[-1][:, CODE[key]]
        z = (model.count(key) - counts.mean()) / counts.std(ddof=1)
        if abs(z) > 4.5:
            sys.exit(f"the yardstick is another model: {key} {model.count(key)}, {z:.1f} standard deviations off")


def million() -> tuple[float, int, float]:
    """Return seconds, Python objects and bytes a resident of a million residents with leisure jobs."""
    scenario = Scenario.read("leisure_jobs").scaled(1_000_000)
    gc.collect()
    before = len(gc.get_objects())
    begun = time.perf_counter()
    model = AreaModel(scenario)
    spent = time.perf_counter() - begun
    gc.collect()
    made = len(gc.get_objects()) - before
    arrays = [a for a in vars(model.population).values() if isinstance(a, np.ndarray)]
    held = [*arrays, model.stream.keys, *(course.status.code for course in model.courses)]
    return spent, made, sum(a.nbytes for a in held) / scenario.residents


def main() -> None:
    """Run everything and print a table."""
    print(f"python {platform.python_version()}, numpy {np.__version__}, mesa {mesa.__version__}, {platform.machine()}")
    print(f"{RESIDENTS:,} residents, {MONTHS} months, one process, best of {BEST_OF}; first month and building apart")
    print(f"{'scenario':14s} {'engine':8s} {'ns a resident-month':>20s} {'building, s':>12s}")
    found: dict[tuple[str, str], float] = {}
    for name in ("baseline", "leisure_jobs"):
        scenario = Scenario.read(name).scaled(RESIDENTS)
        for engine in ("numpy", "numba"):
            ns, built = best(scenario, engine)
            found[name, engine] = ns
            print(f"{name:14s} {engine:8s} {ns:20.1f} {built:12.2f}")
    for resident, name in ((PlainResident, "objects"), (TunedResident, "tuned")):
        ns, built = yardstick(resident)
        found["baseline", name] = ns
        print(f"{'baseline':14s} {name:8s} {ns:20.0f} {built:12.2f}   ({OBJECTS:,} residents, one Mesa object each)")
    for name in ("objects", "tuned"):
        for engine in ("numpy", "numba"):
            print(f"{name} / {engine}: {found['baseline', name] / found['baseline', engine]:.0f} times")
    spent, made, each = million()
    print(f"a million residents: {spent:.2f} s, {made} Python objects, {each:.0f} bytes a resident")


if __name__ == "__main__":
    main()

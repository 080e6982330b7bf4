"""Speed, measured and never asserted: ``python tests/benchmarks/bench.py``.

One process runs 100,000 residents for 60 months in both engines, best of three: without activities, without usual
activation, with leisure jobs, with three activities, with all activities of the catalogue. Newcomers live too, so the
time is divided by the months that rows lived. Then the yardstick, the same month as an idiomatic Mesa model with one
object a resident (fewer residents, so that it ends; nobody moves out or in there); the area of the published size
over the study's years; the building of a million residents; a queue and one of twice its length; and the
calibration's twin, milliseconds a likelihood of 64 draws.
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

from calibration.structures import STRUCTURES
from calibration.twin import Twin
from sim import AreaModel, ParameterSet, Scenario
from sim.activities import catalogue
from sim.scenario import month_number
from sim.states import AGE_CLASSES, CODE, LIKE, MOVES, ORIGINS, PHASES, SEXES
from sim.transitions import (
    AGE_CLASS,
    CERTAIN,
    DATED,
    DURATION_CLASS,
    FIRST_CELL,
    KEEPS_CLOCK,
    SIDE_AGES,
    SIDE_KIND,
    dated_factors,
    duration_labels,
    hazards,
    probabilities,
    side_job_hazards,
)

RESIDENTS = 100_000
OBJECTS = 5_000
MONTHS = 60
BEST_OF = 3
PUBLISHED_RESIDENTS, STUDY_MONTHS = 215_300, 72
DRAWS = 64
PLACES_EACH = 5
"""Places of every activity of the full catalogue, for the residents of the shipped baseline."""
QUEUE_MONTHS, QUEUE_BEST_OF = 24, 5


class PlainResident(mesa.Agent):
    """A resident as Mesa's tutorials write one: attributes, and a step that works out what may happen and draws."""

    def __init__(
        self,
        model: PlainArea,
        age: int,
        sex: str,
        origin: str,
        frailty: int,
        phase: str,
        months: int,
        side_hours: float,
    ) -> None:
        super().__init__(model)
        self.age = age
        self.sex = sex
        self.origin = origin
        self.frailty = frailty
        self.phase = phase
        self.months = months
        self.side_hours = side_hours
        self.paid_hours = 0.0

    @property
    def side_kind(self) -> int:
        """Which kind of side job is possible: 1 leisure job, 2 small job, 0 none."""
        return KIND_OF[self.phase]

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
        self.change_side_job()
        self.move()
        self.paid_hours += self.side_hours * 52 / 12

    def change_side_job(self) -> None:
        """Start, keep or end a side job; the hours of a small job grow."""
        values, kind = self.model.values, self.side_kind
        if kind == 1 and self.age >= 12 * SIDE_AGES[0]:
            age = min(self.age // 12, SIDE_AGES[-1])
            hazard = values["side_job_end"] if self.side_hours else self.model.side_start[self.frailty, age]
            if self.random.random() < 1 - math.exp(-hazard):
                self.side_hours = 0.0 if self.side_hours else values["side_job_hours"]
        elif kind == 2:
            hazard = values["small_job_end"] if self.side_hours else values["small_job_start"]
            if self.random.random() < 1 - math.exp(-hazard):
                self.side_hours = 0.0 if self.side_hours else values["small_job_hours_at_start"]
            elif self.side_hours:
                grown = self.side_hours + values["small_job_hours_growth"]
                self.side_hours = min(grown, values["small_job_hours_at_most"])

    def hazards(self) -> tuple[dict[str, float], dict[str, float]]:
        """Return the hazard of each destination: of moves, and of switches that let the clock go on."""
        moves: dict[str, float] = {}
        switches: dict[str, float] = {}
        values, age_class = self.model.values, self.age_class
        duration = sum(self.months > cut for cut in self.model.phases[self.phase].cuts)
        words = {
            "months": self.model.durations[self.phase][duration],
            "age": age_class.replace("-", "_"),
            "sex": self.sex,
            "like": LIKE[self.origin],
        }
        for move in self.model.moves_from[self.phase]:
            if age_class not in move.ages:
                continue
            rate = math.prod(values[term.format(**words)] for term in move.terms) if move.terms else CERTAIN
            if move.early and duration == 0:
                rate *= values[move.early.format(**words)]
            found = switches if move.keeps_clock else moves
            factor, rest = dated_factors(move, self.model.dated)
            if move.rest_to:
                found[move.rest_to] = found.get(move.rest_to, 0.0) + rate * rest
            found[move.to] = found.get(move.to, 0.0) + rate * factor
        return moves, switches

    def move(self) -> None:
        """Leave with chance 1 - exp(-H), to each destination in proportion; who does not may switch activation."""
        for found, keeps_clock in zip(self.hazards(), (False, True), strict=True):
            if found and self.random.random() < 1 - math.exp(-sum(found.values())):
                (phase,) = self.random.choices(list(found), weights=list(found.values()))
                self.go(phase, keeps_clock)
                break

    def go(self, phase: str, keeps_clock: bool) -> None:
        """Enter a phase; a side job ends with the last state of its kind."""
        if KIND_OF[phase] != self.side_kind:
            self.side_hours = 0.0
        self.phase = phase
        self.months = self.months if keeps_clock else 0


class TunedResident(PlainResident):
    """The same resident reading ready-made tables, as far as one object a resident goes."""

    def move(self) -> None:
        """Leave when the draw is below the cumulated chance of a destination."""
        row = AGE_CLASS_OF[min(self.age, 1200)], self.sex, self.origin
        moves = self.model.ready[self.phase][row][min(self.months, LONGEST)]
        if moves:
            draw = self.random.random()
            for limit, phase, keeps_clock in moves:
                if draw < limit:
                    self.go(phase, keeps_clock)
                    break


KIND_OF = {phase.key: int(SIDE_KIND[CODE[phase.state]]) for phase in PHASES}
AGE_CLASS_OF = AGE_CLASS.tolist()
LONGEST = DURATION_CLASS.shape[1] - 1


class PlainArea(mesa.Model):
    """The yardstick: the same people, moves, hazards and side jobs, one Mesa object a resident."""

    def __init__(self, scenario: Scenario, resident: type[PlainResident], seed: int = 1) -> None:
        super().__init__(rng=seed)
        self.parameters = ParameterSet.read(scenario.parameters)
        self.values = {id: parameter.value for id, parameter in self.parameters.items()}
        self.phases = {phase.key: phase for phase in PHASES}
        self.durations = {phase.key: duration_labels(phase) for phase in PHASES}
        self.moves_from = {key: [move for move in MOVES if move.origin == key] for key in self.phases}
        starts = side_job_hazards(self.parameters)[1:]
        pairs = [(frailty, age) for frailty in (0, 1) for age in SIDE_AGES]
        self.side_start = dict(zip(pairs, starts.tolist(), strict=False))
        self.start = month_number(scenario.start)
        self.month = 0
        self.year = -1
        people = AreaModel(scenario, seed=seed).population
        for i in range(len(people)):
            resident(
                self,
                age=-int(people.birth[i]),
                sex=SEXES[people.sex[i]],
                origin=ORIGINS[people.origin[i]],
                frailty=int(people.frailty[i]),
                phase=PHASES[people.phase[i]].key,
                months=-int(people.since[i]),
                side_hours=float(people.side_hours[i]),
            )

    def step(self) -> None:
        """Live one month."""
        self.month += 1
        year = (self.start + self.month) // 12
        if year != self.year:
            self.year = year
            self.dated = {name: factor(self.parameters, year) for name, factor in DATED.items()}
            self.ready = ready_made(self.parameters, year)
            self.agents.set("paid_hours", 0.0)
        self.agents.shuffle_do("step")

    def count(self, state: str) -> int:
        """Return how many residents are in ``state``."""
        return len(self.agents.select(lambda resident: self.phases[resident.phase].state == state))


Ready = dict[str, dict[tuple[int, str, str], list[list[tuple[float, str, bool]]]]]


def ready_made(parameters: ParameterSet, year: int) -> Ready:
    """Return, by phase, stratum and months, cumulated chances of the destinations and whether the clock goes on."""
    chances = probabilities(hazards(parameters, year))
    found: Ready = {spec.key: {} for spec in PHASES}
    for age, sex, origin in np.ndindex(*chances.shape[:3]):
        for phase, spec in enumerate(PHASES):
            rows = chances[age, sex, origin, FIRST_CELL[phase] + DURATION_CLASS[phase]]
            found[spec.key][age, SEXES[sex], ORIGINS[origin]] = [
                [
                    (float(limit), PHASES[to].key, bool(KEEPS_CLOCK[phase, to]))
                    for to, limit in enumerate(np.cumsum(row))
                    if row[to] > 0
                ]
                for row in rows
            ]
    return found


def best(scenario: Scenario, engine: str) -> tuple[float, float]:
    """Return the best ns a month lived by a resident, and the seconds building took in that run."""
    found = []
    for _ in range(BEST_OF):
        begun = time.perf_counter()
        model = AreaModel(scenario, engine=engine)
        built = time.perf_counter()
        model.step()
        gc.collect()
        lived, first = 0, time.perf_counter()
        for _ in range(MONTHS - 1):
            lived += len(model.population)
            model.step()
        spent = time.perf_counter() - first
        found.append((1e9 * spent / lived, built - begun))
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


def published() -> tuple[float, int]:
    """Return the seconds that the area of the published size takes from nothing, and the rows it ends with."""
    scenario = Scenario.read("baseline", [f"horizon.months={STUDY_MONTHS}"]).scaled(PUBLISHED_RESIDENTS)
    begun = time.perf_counter()
    model = AreaModel(scenario)
    for _ in range(STUDY_MONTHS):
        model.step()
    return time.perf_counter() - begun, len(model.population)


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
    arrays = [getattr(model.population, name) for name in model.population.names]
    held = [*arrays, model.stream.keys, model._programme]
    return spent, made, sum(a.nbytes for a in held) / scenario.residents


def twin(ages: tuple[str, ...]) -> tuple[dict[str, int], float]:
    """Return the sizes of the twin of all sexes and origins at ``ages``, and its best ms a draw, 64 at once."""
    structure, parameters = STRUCTURES["history_stayers"], ParameterSet.read("history_stayers")
    codes = [[age.key for age in AGE_CLASSES].index(age) for age in ages]
    strata = np.array([(age, *rest) for age in codes for rest in np.ndindex(len(SEXES), len(ORIGINS))])
    made = Twin(structure, parameters, strata, np.full((2, len(strata)), 1 / len(strata)))
    values = np.tile([parameters.value(id) for id in structure.free], (DRAWS, 1))
    spent = []
    for _ in range(5 * BEST_OF):
        begun = time.perf_counter()
        made.joint(values)
        spent.append(time.perf_counter() - begun)
    return made.sizes, 1e3 * min(spent) / DRAWS


def full_catalogue() -> Scenario:
    """Return the baseline with every activity, each with a few places and the numbers of its cards."""
    found = Scenario.read("baseline").resolved()
    found["activities"] = [
        {"id": key, "activity": key, "places": 0 if activity.kind == "lever" else PLACES_EACH}
        for key, activity in catalogue().items()
    ]
    return Scenario.from_resolved(found)


def queue(residents: int) -> tuple[float, int]:
    """Return the best ms a month of an activity for which everybody queues and nobody gets a place, and the queue."""
    sure = {"reach_outreach": 20.0, "take_up": 1.0, "patience_months": 1200.0}
    scenario = Scenario.read("baseline").scaled(residents)
    scenario = scenario.with_activity("volunteering", activity="volunteering", places=0, **sure)
    spent = []
    for _ in range(QUEUE_BEST_OF):
        model = AreaModel(scenario, engine="numba")
        programme, people = model._programme, model.population
        programme.run_month(1, people)
        begun = time.perf_counter()
        for month in range(2, QUEUE_MONTHS + 2):
            programme.run_month(month, people)
        spent.append(time.perf_counter() - begun)
    return 1e3 * min(spent) / QUEUE_MONTHS, int(model.courses[0].unserved.sum())


def scenarios() -> dict[str, Scenario]:
    """Return what is timed, by name."""
    leisure_jobs = Scenario.read("leisure_jobs")
    three = Scenario.read("pocket_money_then_leisure_jobs").with_activity("late", activity="leisure_job", places=8)
    found = {
        "baseline": Scenario.read("baseline"),
        "no activation": Scenario.read("baseline", ["economy.usual_activation=false"]),
        "leisure_jobs": leisure_jobs,
        "three activities": three,
        "full catalogue": full_catalogue(),
    }
    return {name: scenario.scaled(RESIDENTS) for name, scenario in found.items()}


def main() -> None:
    """Run everything and print a table."""
    print(f"python {platform.python_version()}, numpy {np.__version__}, mesa {mesa.__version__}, {platform.machine()}")
    print(f"{RESIDENTS:,} residents, {MONTHS} months, one process, best of {BEST_OF}; first month and building apart")
    print(f"{'scenario':16s} {'engine':8s} {'ns a month lived':>20s} {'building, s':>12s}")
    found: dict[tuple[str, str], float] = {}
    for name, scenario in scenarios().items():
        for engine in ("numpy", "numba"):
            ns, built = best(scenario, engine)
            found[name, engine] = ns
            print(f"{name:16s} {engine:8s} {ns:20.1f} {built:12.2f}")
    for resident, name in ((PlainResident, "objects"), (TunedResident, "tuned")):
        ns, built = yardstick(resident)
        found["baseline", name] = ns
        print(f"{'baseline':16s} {name:8s} {ns:20.0f} {built:12.2f}   ({OBJECTS:,} residents, one Mesa object each)")
    for name in ("objects", "tuned"):
        for engine in ("numpy", "numba"):
            print(f"{name} / {engine}: {found['baseline', name] / found['baseline', engine]:.0f} times")
    spent, rows = published()
    print(f"{PUBLISHED_RESIDENTS:,} residents, {STUDY_MONTHS} months, with building: {spent:.1f} s, {rows:,} people")
    spent, made, each = million()
    print(f"a million residents: {spent:.2f} s, {made} Python objects, {each:.0f} bytes a resident")
    (short, waiting), (long, twice) = queue(RESIDENTS), queue(2 * RESIDENTS)
    print(f"queue of {waiting:,}: {short:.2f} ms a month; of {twice:,}: {long:.2f} ms, {long / short:.2f} times")
    for ages in (("25-50",), ("18-19", "20-24", "25-50", "51-64")):
        sizes, ms = twin(ages)
        print(f"twin, {sizes['strata']} strata, {sizes['states']} states: {ms:.2f} ms a likelihood, {DRAWS} at once")


if __name__ == "__main__":
    main()

"""The agents do what the hazards say: counts against the exact chain, cell by cell.

Given its start class (expanded state, path through the age classes, sex and origin) each resident of the start is an
independent draw from the chain, wherever they live, so a count has mean sum p and variance sum p (1 - p). A cell is
(month, stratum, state); readiness with and without those in activation has cells of its own.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.stats import norm

from sim import AreaModel, ParameterSet, Scenario
from sim.chain import N_EXPANDED, PHASE_OF, STATE_OF, Chain, expanded
from sim.states import AGE_CLASSES, CODE, ORIGINS, PHASES, SEXES, STATES
from sim.transitions import AGE_CLASS

LEAST = 25
"""Persons a cell must expect in each replicate to be tested."""
REPLICATES = 100
READY = ("job_ready", "activity_ready")
BY_PHASE = np.array(
    [[phase.state == state.key for state in STATES] + [phase.counts_as == key for key in READY] for phase in PHASES]
)
"""What a phase is counted as: its state, and job- or activity-ready with those in activation; (phases, columns)."""


class Counts(NamedTuple):
    """By month (from 1), replicate, stratum and column of BY_PHASE."""

    observed: np.ndarray
    expected: np.ndarray
    variance: np.ndarray


class Classes(NamedTuple):
    """Start classes: each row's class; and of each class the expanded start state, an age (months), sex and origin."""

    of_row: np.ndarray
    start: np.ndarray
    age: np.ndarray
    sex: np.ndarray
    origin: np.ndarray


def start_classes(model: AreaModel, months: int) -> Classes:
    """Return the start classes of a model that has not lived yet."""
    people = model.population
    ages = np.arange(1201)
    paths = AGE_CLASS[np.minimum(ages[:, None] + np.arange(1, months + 1), 1200)]
    _, first, path = np.unique(paths, axis=0, return_index=True, return_inverse=True)
    age = -people.birth.astype(np.int64)
    start = expanded(people.phase, 1 - people.since.astype(np.int64))
    shape = (N_EXPANDED, len(first), len(SEXES), len(ORIGINS))
    codes = np.ravel_multi_index((start, path[age], people.sex, people.origin), shape)
    classes, row_class = np.unique(codes, return_inverse=True)
    begin, way, sex, origin = np.unravel_index(classes, shape)
    return Classes(row_class, begin, ages[first[way]], sex, origin)


def count(
    scenario: Scenario, parameters: ParameterSet, replicates: range, stratum: Callable[[AreaModel], np.ndarray]
) -> Counts:
    """Run the agents and the chain from the same start."""
    model = AreaModel(scenario, replicate=replicates, engine="numpy", parameters=parameters)
    classes = start_classes(model, scenario.months)
    p = np.zeros((len(classes.start), N_EXPANDED))
    p[np.arange(len(p)), classes.start] = 1
    chain = Chain(model.parameters, model.start)
    strata = stratum(model)
    n_strata, residents = int(strata.max()) + 1, len(strata)
    assert residents == len(replicates) * scenario.residents
    block = model.stream.block.astype(np.int64) * n_strata + strata
    to_columns = BY_PHASE[PHASE_OF].astype(float)
    members = csr_array((np.ones(residents), (block, classes.of_row)), shape=(len(replicates) * n_strata, len(p)))
    shape = (len(replicates), n_strata, BY_PHASE.shape[1])
    observed, expected, variance = [], [], []
    for month in range(1, scenario.months + 1):
        model.step()
        p = chain.step(p, month, classes.age, classes.sex, classes.origin)
        exact = p @ to_columns
        cell = block * len(PHASES) + model.population.phase[:residents]
        by_phase = np.bincount(cell, minlength=len(replicates) * n_strata * len(PHASES)).reshape(-1, len(PHASES))
        observed.append((by_phase @ BY_PHASE).reshape(shape))
        expected.append((members @ exact).reshape(shape))
        variance.append((members @ (exact * (1 - exact))).reshape(shape))
    return Counts(np.stack(observed), np.stack(expected), np.stack(variance))


def against(counts: Counts) -> tuple[int, float, float]:
    """Return the number of cells tested, the largest |z| of pooled counts and the mean z² of each replicate's own."""
    observed, expected, variance = counts
    persons = [part[..., : len(STATES)].sum(axis=-1) for part in (expected, observed)]
    np.testing.assert_allclose(persons[0], persons[1], rtol=1e-9)
    pooled = [part.sum(axis=1) for part in counts]
    fixed = pooled[2] < 1e-9
    np.testing.assert_allclose(pooled[0][fixed], pooled[1][fixed], atol=1e-6)
    cells = (expected.mean(axis=1) >= LEAST) & ~fixed
    z = (pooled[0] - pooled[1])[cells] / np.sqrt(pooled[2][cells])
    miss, spread = (np.moveaxis(part, 1, -1)[cells] for part in (observed - expected, variance))
    uncertain = spread > 1e-9
    squares = miss[uncertain] ** 2 / spread[uncertain]
    return int(cells.sum()), float(np.abs(z).max()), float(squares.mean())


def assert_equal(name: str, counts: Counts, least_cells: int) -> None:
    cells, largest, squares = against(counts)
    bound = float(norm.isf(0.005 / cells))
    figures = f"{name}: {cells} cells, largest |z| {largest:.2f} (bound {bound:.2f}), mean z² {squares:.3f}"
    print(figures)
    assert cells >= least_cells, figures
    assert largest < bound, figures
    # A single run's mean z² has a standard deviation of .3 (cells are serially correlated), 100 runs' of .03.
    assert abs(squares - 1) < max(0.1, 3 * 0.3 / counts.observed.shape[1] ** 0.5), figures


def cohorts(model: AreaModel) -> np.ndarray:
    return model.population.cohort.astype(np.int64)


def sex_origin_age(model: AreaModel) -> np.ndarray:
    people = model.population
    age_class = AGE_CLASS[np.minimum(-people.birth.astype(np.int64), 1200)].astype(np.int64)
    return (age_class * len(SEXES) + people.sex) * len(ORIGINS) + people.origin


@pytest.fixture(scope="module")
def of_cohorts(parameters: ParameterSet) -> Counts:
    return count(Scenario.read("cash_benefit_cohorts_2011"), parameters, range(REPLICATES), cohorts)


def test_the_cohorts_equal_the_chain(of_cohorts: Counts) -> None:
    assert_equal("cohorts, 14,892 residents, 100 replicates, by cohort", of_cohorts, least_cells=700)
    one = Counts(*(part.sum(axis=2, keepdims=True) for part in of_cohorts))
    assert_equal("cohorts, 14,892 residents, 100 replicates, together", one, least_cells=400)


def test_the_area_equals_the_chain(parameters: ParameterSet) -> None:
    scenario = Scenario.read("baseline", ["population.residents=20000"])
    counts = count(scenario, parameters, range(REPLICATES), sex_origin_age)
    assert counts.observed.shape[2] == len(SEXES) * len(ORIGINS) * len(AGE_CLASSES)
    assert_equal("area, 20,000 residents, 100 replicates, by sex, origin and age class", counts, 4_000)


OTHERS = [name for name in ParameterSet.names() if name != "history"]


def of_structure(name: str, replicates: int) -> None:
    """Cohorts, by cohort and together, and the area, in one of the other structures."""
    parameters = ParameterSet.read(name)
    by_cohort = count(Scenario.read("cash_benefit_cohorts_2011"), parameters, range(replicates), cohorts)
    together = Counts(*(part.sum(axis=2, keepdims=True) for part in by_cohort))
    assert_equal(f"{name}: cohorts, {replicates} replicates, by cohort", by_cohort, least_cells=700)
    assert_equal(f"{name}: cohorts, {replicates} replicates, together", together, least_cells=400)
    scenario = Scenario.read("baseline", ["population.residents=20000"])
    area = count(scenario, parameters, range(replicates), sex_origin_age)
    assert_equal(f"{name}: area, {replicates} replicates, by sex, origin and age class", area, 4_000)


@pytest.mark.parametrize("name", OTHERS)
def test_every_structure_equals_its_chain(name: str) -> None:
    of_structure(name, 10)


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_every_structure_equals_its_chain_in_many_replicates(name: str) -> None:
    of_structure(name, REPLICATES)


def test_a_reform_left_out_is_seen() -> None:
    """The agents of *calendar* against a chain without one of its factors."""
    parameters, scenario = ParameterSet.read("calendar"), Scenario.read("cash_benefit_cohorts_2011")
    counts = count(scenario, parameters, range(5), cohorts)
    other = count(scenario, parameters.replace({"reform_factor_activity_ready_to_job_ready": 1.0}), range(5), cohorts)
    cells, largest, _ = against(Counts(counts.observed, other.expected, other.variance))
    assert largest > norm.isf(0.005 / cells)


@pytest.mark.slow
def test_without_usual_activation_the_agents_equal_the_chain_too(parameters: ParameterSet) -> None:
    off = ["economy.usual_activation=false"]
    counts = count(Scenario.read("cash_benefit_cohorts_2011", off), parameters, range(REPLICATES), cohorts)
    assert not counts.observed[..., CODE["activation"]].any()
    assert not counts.expected[..., CODE["activation"]].any()
    assert_equal("cohorts without usual activation, 100 replicates, by cohort", counts, least_cells=600)
    area = Scenario.read("baseline", ["population.residents=20000", *off])
    assert_equal("area without usual activation", count(area, parameters, range(20), sex_origin_age), 2_000)


@pytest.mark.slow
def test_all_supported_areas_equal_the_chain(parameters: ParameterSet) -> None:
    scenario = Scenario.read("baseline", ["population.residents=215300"])
    batches = [
        count(scenario, parameters, range(first, first + 5), sex_origin_age) for first in range(0, REPLICATES, 5)
    ]
    counts = Counts(*(np.concatenate(parts, axis=1) for parts in zip(*batches, strict=True)))
    assert_equal("area, 215,300 residents, 100 replicates, by sex, origin and age class", counts, 6_000)


def test_a_rate_three_per_cent_off_is_seen(parameters: ParameterSet, of_cohorts: Counts) -> None:
    scenario = Scenario.read("cash_benefit_cohorts_2011")
    rate = "rate_job_ready_to_activity_ready"
    wrong = parameters.replace({rate: parameters.value(rate) * 1.03})
    other = count(scenario, wrong, range(REPLICATES), cohorts)
    cells, largest, _ = against(Counts(of_cohorts.observed, other.expected, other.variance))
    assert largest > norm.isf(0.005 / cells)


def test_the_start_rows_are_those_of_the_population(parameters: ParameterSet) -> None:
    model = AreaModel(Scenario.read("baseline", ["population.residents=500"]))
    classes = start_classes(model, 60)
    assert (np.bincount(classes.of_row) > 0).all()
    for row in range(500):
        mine = classes.of_row[row]
        resident = model.resident(row)
        assert CODE[resident.state] == STATE_OF[classes.start[mine]]
        assert (resident.sex, resident.origin) == (SEXES[classes.sex[mine]], ORIGINS[classes.origin[mine]])
        for later in range(1, 61):
            age, here = classes.age[mine] + later, resident.age_months + later
            assert AGE_CLASS[min(age, 1200)] == AGE_CLASS[min(here, 1200)]

"""The agents do what the hazards say: counts against the exact chain, cell by cell.

Given its start class (expanded state and path through the age classes) each resident is an independent draw from the
chain, so a count has mean sum p and variance sum p (1 - p). A cell is (month, stratum, state).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.stats import norm

from sim import AreaModel, ParameterSet, Scenario
from sim.chain import N_EXPANDED, STATE_OF, Chain, expanded
from sim.states import AGE_CLASSES, CODE, ORIGINS, SEXES, STATES
from sim.transitions import AGE_CLASS

LEAST = 25
"""Persons a cell must expect in each replicate to be tested."""
REPLICATES = 100


class Counts(NamedTuple):
    """By month (from 1), replicate, stratum and state."""

    observed: np.ndarray
    expected: np.ndarray
    variance: np.ndarray


def start_classes(model: AreaModel, months: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each row's start class; and the expanded start state and an age (months) of each class."""
    people = model.population
    ages = np.arange(1201)
    paths = AGE_CLASS[np.minimum(ages[:, None] + np.arange(1, months + 1), 1200)]
    _, first, path = np.unique(paths, axis=0, return_index=True, return_inverse=True)
    age = -people.birth.astype(np.int64)
    start = expanded(people.phase, 1 - people.since.astype(np.int64))
    classes, row_class = np.unique(start * len(first) + path[age], return_inverse=True)
    return row_class, classes // len(first), ages[first[classes % len(first)]]


def count(
    scenario: Scenario, parameters: ParameterSet, replicates: range, stratum: Callable[[AreaModel], np.ndarray]
) -> Counts:
    """Run the agents and the chain from the same start."""
    model = AreaModel(scenario, replicate=replicates, engine="numpy", parameters=parameters)
    row_class, start, age = start_classes(model, scenario.months)
    p = np.zeros((len(start), N_EXPANDED))
    p[np.arange(len(start)), start] = 1
    exact = Chain(parameters, model.start).states(p, scenario.months, age)
    strata = stratum(model)
    n_strata = int(strata.max()) + 1
    block = np.arange(len(strata)) // scenario.residents * n_strata + strata
    shape = (len(replicates), n_strata, len(STATES))
    members = csr_array((np.ones(len(block)), (block, row_class)), shape=(len(replicates) * n_strata, len(start)))
    observed, expected, variance = [], [], []
    for month in range(1, scenario.months + 1):
        model.step()
        cell = block * len(STATES) + model.population.state
        observed.append(np.bincount(cell, minlength=int(np.prod(shape))).reshape(shape))
        expected.append((members @ exact[month]).reshape(shape))
        variance.append((members @ (exact[month] * (1 - exact[month]))).reshape(shape))
    return Counts(np.stack(observed), np.stack(expected), np.stack(variance))


def against(counts: Counts) -> tuple[int, float, float]:
    """Return the number of cells tested, the largest |z| of pooled counts and the mean z² of each replicate's own."""
    observed, expected, variance = counts
    np.testing.assert_allclose(expected.sum(axis=-1), observed.sum(axis=-1), rtol=1e-9)
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
    assert 0.9 < squares < 1.1, figures


def cohorts(model: AreaModel) -> np.ndarray:
    return model.population.cohort.astype(np.int64)


def sex_origin_age(model: AreaModel) -> np.ndarray:
    people = model.population
    age_class = AGE_CLASS[np.minimum(-people.birth.astype(np.int64), 1200)].astype(np.int64)
    return (age_class * len(SEXES) + people.sex) * len(ORIGINS) + people.origin


def test_the_cohorts_equal_the_chain(parameters: ParameterSet) -> None:
    scenario = Scenario.read("cash_benefit_cohorts_2011")
    counts = count(scenario, parameters, range(REPLICATES), cohorts)
    assert_equal("cohorts, 14,892 residents, 100 replicates, by cohort", counts, least_cells=700)
    one = Counts(*(part.sum(axis=2, keepdims=True) for part in counts))
    assert_equal("cohorts, 14,892 residents, 100 replicates, together", one, least_cells=400)


def test_the_area_equals_the_chain(parameters: ParameterSet) -> None:
    scenario = Scenario.read("baseline", ["population.residents=20000"])
    counts = count(scenario, parameters, range(REPLICATES), sex_origin_age)
    assert counts.observed.shape[2] == len(SEXES) * len(ORIGINS) * len(AGE_CLASSES)
    assert_equal("area, 20,000 residents, 100 replicates, by sex, origin and age class", counts, 4_000)


@pytest.mark.slow
def test_all_supported_areas_equal_the_chain(parameters: ParameterSet) -> None:
    scenario = Scenario.read("baseline", ["population.residents=215300"])
    batches = [
        count(scenario, parameters, range(first, first + 5), sex_origin_age) for first in range(0, REPLICATES, 5)
    ]
    counts = Counts(*(np.concatenate(parts, axis=1) for parts in zip(*batches, strict=True)))
    assert_equal("area, 215,300 residents, 100 replicates, by sex, origin and age class", counts, 6_000)


def test_a_rate_three_per_cent_off_is_seen(parameters: ParameterSet) -> None:
    scenario = Scenario.read("cash_benefit_cohorts_2011")
    counts = count(scenario, parameters, range(20), cohorts)
    rate = "rate_job_ready_to_activity_ready"
    wrong = parameters.replace({rate: parameters.value(rate) * 1.03})
    other = count(scenario, wrong, range(20), cohorts)
    cells, largest, _ = against(Counts(counts.observed, other.expected, other.variance))
    assert largest > norm.isf(0.005 / cells)


def test_the_start_rows_are_those_of_the_population(parameters: ParameterSet) -> None:
    model = AreaModel(Scenario.read("baseline", ["population.residents=500"]))
    row_class, start, age = start_classes(model, 60)
    assert (np.bincount(row_class) > 0).all()
    for row in range(500):
        mine = row_class[row]
        resident = model.resident(row)
        assert CODE[resident.state] == STATE_OF[start[mine]]
        for later in range(1, 61):
            assert AGE_CLASS[min(age[mine] + later, 1200)] == AGE_CLASS[min(resident.age_months + later, 1200)]

"""The twin is the chain, for every structure and any values; its cost grows as the strata do."""

import numpy as np
import pytest

from calibration.point_fits import cohort_shares
from calibration.structures import STAYERS, STRUCTURES, Structure
from calibration.twin import COLUMNS, COUNTED, Twin, cohort_weights, joint, reform_factors
from sim import ParameterSet
from sim.measures import BENEFIT_GROUPS, COHORTS
from sim.parameters import WITHOUT_ACTIVATION
from sim.states import AGE_CLASSES, ORIGINS, PHASES, SEXES

ADULT = [[age.key for age in AGE_CLASSES].index(key) for key in ("18-19", "20-24", "25-50", "51-64")]
by_structure = pytest.mark.parametrize("structure", STRUCTURES.values(), ids=lambda structure: structure.key)


def drawn(structure: Structure, parameters: ParameterSet, draws: int, spread: float = 0.5) -> np.ndarray:
    """Return values around those of the set, a share of stayers anywhere."""
    luck = np.random.default_rng(len(structure.key))
    values = np.array([parameters.value(id) for id in structure.free])
    values = values * np.exp(luck.normal(0, spread, (draws, len(values))))
    if STAYERS in structure.free:
        values[:, structure.free.index(STAYERS)] = luck.uniform(0, 1, draws)
    return values


def with_values(parameters: ParameterSet, structure: Structure, values: np.ndarray) -> ParameterSet:
    return parameters.replace(structure.with_ties(dict(zip(structure.free, values.tolist(), strict=True))))


@by_structure
def test_the_twin_equals_the_chain(structure: Structure) -> None:
    parameters = ParameterSet.read(structure.key)
    values = drawn(structure, parameters, 5)
    made = joint(structure.key, values)
    assert made.shape == (5, len(COHORTS), len(BENEFIT_GROUPS), len(BENEFIT_GROUPS))
    weights = cohort_weights(parameters)
    for table, row in zip(made, values, strict=True):
        exact = cohort_shares(with_values(parameters, structure, row), weights)
        np.testing.assert_allclose(table, exact, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "change",
    [{"demand_elasticity": 1.0, "death_25_50": 0.01}, {"past_months_at_most": 7.0}, WITHOUT_ACTIVATION],
    ids=["deaths", "short past", "no activation"],
)
def test_the_twin_follows_the_cards_it_is_given(change: dict[str, float]) -> None:
    """Everything that is not free comes from the set: also who dies, and durations at the start."""
    structure = STRUCTURES["history_stayers"]
    parameters = ParameterSet.read(structure.key).replace(
        {"activation_lock_in": 0.1, "activation_share_2014_on": 0.7, "job_loss_months_1_3": 0.2, **change}
    )
    values = drawn(structure, parameters, 2)
    made = Twin(structure, parameters).joint(values)
    for table, row in zip(made, values, strict=True):
        exact = cohort_shares(with_values(parameters, structure, row), cohort_weights(parameters))
        np.testing.assert_allclose(table, exact, rtol=0, atol=1e-12)


def test_many_draws_are_the_draws_one_by_one() -> None:
    """More columns than are carried at once, and more draws than that: the same shares, whatever they are cut into."""
    structure = STRUCTURES["calendar"]
    parameters = ParameterSet.read("calendar")
    values = drawn(structure, parameters, COLUMNS + 3)
    made = joint("calendar", values)
    np.testing.assert_allclose(made.sum(axis=(2, 3)), 1, rtol=1e-12)
    for some in (slice(0, 1), slice(COLUMNS - 2, COLUMNS + 3), slice(0, COLUMNS // 3)):
        np.testing.assert_allclose(joint("calendar", values[some]), made[some], rtol=0, atol=1e-14)
    assert joint("calendar", values[:0]).shape == (0, *made.shape[1:])


@pytest.mark.parametrize("shape", [(3,), (3, 4), (2, 3, 11)])
def test_values_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"history have shape \(draws, 11\)"):
        joint("history", np.full(shape, 0.01))


def test_strata_that_live_alike_are_one_and_others_are_apart() -> None:
    structure, parameters = STRUCTURES["history"], ParameterSet.read("history")
    twin = Twin(structure, parameters)
    # Western residents live by the Danish hazards; women and men, Danish and non-Western apart.
    assert twin.sizes["strata"] == len(SEXES) * (len(ORIGINS) - 1)
    np.testing.assert_allclose(twin.weights.sum(axis=1), 1, rtol=1e-12)
    # Strata given with their weights: each cohort is the mean of its strata.
    strata = np.array([(age, sex, origin) for age in ADULT for sex in range(len(SEXES)) for origin in range(3)])
    luck = np.random.default_rng(1)
    weights = luck.dirichlet(np.ones(len(strata)), len(COHORTS))
    parameters = parameters.replace({"death_25_50": 0.0, "death_51_64": 0.0})
    values = drawn(structure, parameters, 3)
    whole = Twin(structure, parameters, strata, weights).joint(values)
    alone = [Twin(structure, parameters, strata[k : k + 1], np.ones((2, 1))).joint(values) for k in range(len(strata))]
    np.testing.assert_allclose(whole, np.einsum("cs,sdcgh->dcgh", weights, np.array(alone)), atol=1e-12)


def test_the_cost_is_linear_in_strata_and_small_in_states() -> None:
    """Counted, not timed: every array a month works on is (states, cohorts or groups, strata · draws)."""
    structure, parameters = STRUCTURES["history"], ParameterSet.read("history")
    # From 25 on all eight differ; before, the hazards of recipients do not depend on the origin.
    strata = np.array([(age, sex, origin) for age in ADULT[2:] for sex in range(len(SEXES)) for origin in (0, 2)])
    touched = []
    for n in (2, 4, 8):
        twin = Twin(structure, parameters, strata[:n], np.full((len(COHORTS), n), 1 / n))
        assert twin.sizes["strata"] == n
        assert twin.sizes["states"] <= 46
        numbers = [0]
        forward, backward = twin._forward, twin._backward

        def counted(step, numbers=numbers):
            def stepped(p, year):
                numbers[0] += p.size + sum(part.size for part in (year.stay, year.across, *year.leave))
                return step(p, year)

            return stepped

        twin._forward, twin._backward = counted(forward), counted(backward)
        twin.joint(drawn(structure, parameters, 8))
        touched.append(numbers[0])
    assert touched[1] == 2 * touched[0]
    assert touched[2] == 4 * touched[0]


def test_nobody_passes_from_newly_to_long_term_before_the_last_count() -> None:
    """Who is newly activity-ready is one state of the twin: the phase lasts as long as the counts reach."""
    assert COUNTED == (24, 60)
    assert min(phase.until for phase in PHASES if phase.until) >= COUNTED[-1]


def test_the_reform_multiplies_whole_rates() -> None:
    factors = reform_factors()
    assert set(factors) == {
        "rate_job_ready_to_activity_ready",
        "rate_job_ready_to_no_benefit",
        "rate_job_ready_to_other_benefit",
        "rate_activity_ready_to_job_ready",
        "rate_newly_activity_ready_to_job_ready",
    }
    assert set(factors.values()) <= set(STRUCTURES["calendar"].fitted)

"""Who lives in the area: the recipes against the evidence, and placing that a larger area does not disturb."""

import numpy as np
import pytest
from scipy.stats import chi2

from sim import AreaModel, ParameterSet, Scenario
from sim.engine.streams import Stream
from sim.population import LAST_AGE, Cells, _steady_past, area_cells, cohort_cells, place
from sim.sources import evidence
from sim.states import CODE, ORIGINS, SEXES, STATE_KEYS
from sim.transitions import hazards

MEN = SEXES.index("men")


def share(cells: Cells, mine: np.ndarray, of: np.ndarray | None = None) -> float:
    whole = np.ones(len(mine), dtype=bool) if of is None else of
    return float(cells.weight[mine & whole].sum() / cells.weight[whole].sum())


def v(id: str) -> float:
    return float(evidence(id)["value"])


@pytest.fixture(scope="module")
def area(parameters: ParameterSet) -> Cells:
    return area_cells(parameters)


def test_cells_are_a_distribution_over_valid_codes(area: Cells, parameters: ParameterSet) -> None:
    for cells in (area, cohort_cells(parameters)):
        assert (cells.weight > 0).all()
        assert cells.age.min() >= 0
        assert cells.age.max() <= LAST_AGE
        assert set(cells.sex) == {0, 1}
        assert set(cells.origin) == set(range(len(ORIGINS)))
        assert cells.state.max() < len(STATE_KEYS)
        assert len(np.unique(np.stack(cells[1:]), axis=1).T) == len(cells.weight)
    assert area.weight.sum() == pytest.approx(1, rel=1e-12)


def test_the_area_has_the_published_shares(area: Cells) -> None:
    """Exactly, before anybody is placed."""
    danish, non_western = (area.origin == ORIGINS.index(o) for o in ("danish", "non_western"))
    adult = (area.age >= 25) & (area.age <= 50)
    assert share(area, danish) == pytest.approx(v("annexfig6_2_derived_danish_share_2011"), abs=1e-6)
    assert share(area, non_western) == pytest.approx(v("annexfig6_2_derived_non_western_share_2011"), abs=1e-6)
    assert share(area, area.age < 25, danish) == pytest.approx(v("sec4_1_danish_under25_supported"), abs=1e-6)
    assert share(area, area.age < 25, non_western) == pytest.approx(v("sec4_1_nonwestern_under25_supported"), abs=1e-6)
    for origin, mine in (("danish", danish), ("non_western", non_western)):
        outside = np.isin(
            area.state, [CODE[k] for k in ("activity_ready", "in_education", "disability_pension", "self_supporting")]
        )
        women = share(area, area.sex != MEN, mine & adult)
        assert women == pytest.approx(v(f"annexfig6_5_derived_women_share_{origin}_2011"), abs=1e-6)
        employed = share(area, area.state == CODE["employed"], mine & adult)
        unemployed, out = (v(f"fig4_12_{what}_{origin}_supported_areas_2011") for what in ("unemployed", "outside_lf"))
        assert employed == pytest.approx(1 - unemployed - out, abs=1e-9)
        assert share(area, outside, mine & adult) < out
    under = area.age < 16
    assert (area.state[under] == CODE["basic_school"]).all()
    assert (area.state[area.age >= 67] == CODE["gone"]).all()


def test_the_cohorts_have_the_published_sizes(parameters: ParameterSet) -> None:
    cells = cohort_cells(parameters)
    assert (v("fig4_13_n_jobready_2011"), v("fig4_13_n_other_2011")) == (3240, 11652)
    assert share(cells, cells.state == CODE["job_ready"]) == pytest.approx(3240 / 14892)
    assert set(cells.state) == {CODE["job_ready"], CODE["activity_ready"]}
    assert (cells.age.min(), cells.age.max()) == (25, 50)
    counts = np.bincount(cells.state[place(cells, 14892)], minlength=len(STATE_KEYS))
    assert abs(counts[CODE["job_ready"]] - 3240) <= 1


@pytest.mark.parametrize(("residents", "points"), [(2419, 0.9), (215_300, 0.02)])
def test_placed_residents_are_close_to_the_recipe(area: Cells, residents: int, points: float) -> None:
    placed = place(area, residents)
    for codes in (area.origin, area.sex, area.state, np.searchsorted([16, 18, 25, 51, 67], area.age, side="right")):
        wanted = np.bincount(codes, weights=area.weight)
        made = np.bincount(codes[placed], minlength=len(wanted)) / residents
        assert 100 * np.abs(made - wanted).max() < points


def test_placing_is_prefix_stable(area: Cells) -> None:
    large = place(area, 50_000)
    for residents in (1, 17, 500, 2419):
        np.testing.assert_array_equal(place(area, residents), large[:residents])
    assert large.max() < len(area.weight)


def test_birth_months_are_even_and_states_fit_the_ages(parameters: ParameterSet) -> None:
    model = AreaModel(Scenario.read("baseline", ["population.residents=60000"]))
    people = model.population
    age = -people.birth.astype(int)
    assert age.min() >= 0
    counts = np.bincount(age % 12, minlength=12)
    assert ((counts - 5000) ** 2 / 5000).sum() < chi2.isf(0.001, 11)
    assert (people.state[age < 16 * 12] == CODE["basic_school"]).all()
    assert ((people.state == CODE["gone"]) == (age >= 67 * 12)).all()
    assert (-people.since <= age).all()
    cohort = [
        (people.state == CODE[key]) & (age >= 25 * 12) & (age < 51 * 12) for key in ("job_ready", "activity_ready")
    ]
    for code, mine in enumerate(cohort):
        np.testing.assert_array_equal(people.cohort == code, mine)


def test_pasts_are_those_of_a_steady_state(parameters: ParameterSet) -> None:
    """Months in a job so far: by hand from the survival of the job's own hazards."""
    chance = -np.expm1(-hazards(parameters, 2011)[3, :, :].sum(axis=-1))
    leave = {k: chance[2 + k] for k in range(3)}
    survive = [1.0]
    for months in range(1, int(parameters.value("past_months_at_most"))):
        survive.append(survive[-1] * (1 - leave[0 if months <= 3 else 1 if months <= 12 else 2]))
    exact = np.cumsum(survive) / np.sum(survive)
    past = _steady_past(parameters, 2011)
    # The month counted from begins with the months already lived: entry 0 is a job begun this month.
    np.testing.assert_allclose(past[3, CODE["employed"]], exact, rtol=1e-12)
    model = AreaModel(Scenario.read("baseline", ["population.residents=60000"]))
    people = model.population
    adults = (people.state == CODE["employed"]) & (people.birth < -40 * 12) & (people.birth > -60 * 12)
    months = -people.since[adults].astype(int)
    counts = np.bincount(months, minlength=len(exact))
    expected = np.diff(exact, prepend=0) * adults.sum()
    assert ((counts - expected) ** 2 / expected).sum() < chi2.isf(0.001, len(exact) - 1)


def test_people_are_the_same_in_every_scenario(leisure_jobs: Scenario, baseline: Scenario) -> None:
    with_jobs, without = AreaModel(leisure_jobs, seed=4), AreaModel(baseline, seed=4)
    for column in ("birth", "sex", "origin", "state", "since", "cohort", "side_hours", "row", "until", "side_row"):
        np.testing.assert_array_equal(getattr(with_jobs.population, column), getattr(without.population, column))


def test_keys_of_stacked_replicates_are_blocks() -> None:
    stacked = Stream(1, range(2, 4), 10)
    for block, replicate in enumerate((2, 3)):
        single = Stream(1, range(replicate, replicate + 1), 10)
        np.testing.assert_array_equal(stacked.keys[10 * block : 10 * block + 10], single.keys)

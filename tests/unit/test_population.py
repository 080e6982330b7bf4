"""The residents as columns: what the recipe leaves open is filled in, the same in every scenario."""

import numpy as np
from scipy.stats import chi2

from sim import AreaModel, ParameterSet, Scenario
from sim.engine.growing import Growing
from sim.engine.streams import Stream
from sim.recipe import recipe
from sim.states import AGE_CLASSES, CODE, ORIGINS, PHASE_CODE, SEXES
from sim.transitions import COUNTS_AS, hazards, steady_past

AGES = [age.key for age in AGE_CLASSES]


def test_birth_months_are_even_and_states_fit_the_ages(parameters: ParameterSet) -> None:
    model = AreaModel(Scenario.read("baseline", ["population.residents=60000"]))
    people = model.population
    age = -people.birth.astype(int)
    assert age.min() >= 0
    counts = np.bincount(age % 12, minlength=12)
    assert ((counts - 5000) ** 2 / 5000).sum() < chi2.isf(0.001, 11)
    assert (people.state[age < 16 * 12] == CODE["basic_school"]).all()
    assert ((people.state == CODE["gone"]) == (age >= 65 * 12)).all()
    assert (-people.since <= age).all()
    cohort = [
        (COUNTS_AS[people.phase] == CODE[key]) & (age >= 25 * 12) & (age < 51 * 12)
        for key in ("job_ready", "activity_ready")
    ]
    for code, mine in enumerate(cohort):
        np.testing.assert_array_equal(people.cohort == code, mine)


def test_pasts_are_those_of_a_steady_state(parameters: ParameterSet) -> None:
    """Months in a job so far: by hand from the survival of the job's own hazards."""
    stratum = (AGES.index("25-50"), SEXES.index("men"), ORIGINS.index("non_western"))
    chance = -np.expm1(-hazards(parameters, 2011)[stratum].sum(axis=-1))
    leave = {k: chance[2 + k] for k in range(3)}
    survive = [1.0]
    for months in range(1, int(parameters.value("past_months_at_most"))):
        survive.append(survive[-1] * (1 - leave[0 if months <= 3 else 1 if months <= 12 else 2]))
    exact = np.cumsum(survive) / np.sum(survive)
    past = steady_past(parameters, 2011).cumsum(axis=-1)
    # The month counted from begins with the months already lived: entry 0 is a job begun this month.
    np.testing.assert_allclose(past[(*stratum, PHASE_CODE["employed"])], exact, rtol=1e-12)
    model = AreaModel(Scenario.read("baseline", ["population.residents=60000"]))
    people = model.population
    adults = (people.state == CODE["employed"]) & (people.birth < -40 * 12) & (people.birth > -51 * 12)
    adults &= (people.sex == stratum[1]) & (people.origin == stratum[2])
    months = -people.since[adults].astype(int)
    counts = np.bincount(months, minlength=len(exact))
    expected = np.diff(exact, prepend=0) * adults.sum()
    assert ((counts - expected) ** 2 / expected).sum() < chi2.isf(0.001, len(exact) - 1)


def test_the_first_residents_are_the_recipes(parameters: ParameterSet) -> None:
    persons = recipe("area", parameters).first(3000)
    model = AreaModel(Scenario.read("baseline", ["population.residents=3000"]), replicate=range(2))
    people = model.population
    for block in (slice(3000), slice(3000, 6000)):
        for name in ("sex", "origin", "education", "family", "children", "role", "parents", "barriers", "dwelling"):
            np.testing.assert_array_equal(getattr(people, name)[block], getattr(persons, name), err_msg=name)
        np.testing.assert_array_equal(-people.birth[block], persons.age)
        np.testing.assert_array_equal(people.youth_dwelling[block], persons.youth_dwelling)
        np.testing.assert_array_equal(COUNTS_AS[people.phase[block]], persons.state)
        head = people.head[block] - block.start if block.start else people.head[block]
        np.testing.assert_array_equal(np.arange(3000) - head, persons.member)
        np.testing.assert_array_equal(people.occupant[block], 0)
    assert people.in_area.all()
    assert not people.touched.any()
    assert not people.affected.any()


def test_columns_that_grow_keep_what_they_hold() -> None:
    rows = Growing({"a": np.int16, "b": np.float32})
    expected: list[int] = []
    for size in (3, 0, 1, 200, 7):
        values = np.arange(size) + len(expected)
        numbers = rows.append(size, {"a": values, "b": 0.5})
        np.testing.assert_array_equal(numbers, values)
        expected += values.tolist()
        assert len(rows) == len(expected)
        assert rows.a.tolist() == expected
        assert rows.b.tolist() == [0.5] * len(expected)
    rows.a[2] = -1
    rows.append(1000, {"a": 0, "b": 0})
    assert rows.a[2] == -1
    assert (rows.a.dtype, rows.b.dtype, rows.names) == (np.int16, np.float32, ("a", "b"))


def test_people_are_the_same_in_every_scenario(leisure_jobs: Scenario, baseline: Scenario) -> None:
    with_jobs, without = AreaModel(leisure_jobs, seed=4), AreaModel(baseline, seed=4)
    for column in ("birth", "sex", "origin", "state", "since", "cohort", "side_hours", "row", "until", "side_row"):
        np.testing.assert_array_equal(getattr(with_jobs.population, column), getattr(without.population, column))


def test_keys_of_stacked_replicates_are_blocks() -> None:
    stacked = Stream(1, range(2, 4), 10)
    for block, replicate in enumerate((2, 3)):
        single = Stream(1, range(replicate, replicate + 1), 10)
        np.testing.assert_array_equal(stacked.keys[10 * block : 10 * block + 10], single.keys)

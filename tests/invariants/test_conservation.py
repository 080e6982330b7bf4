"""Nobody is created or lost, every change is in the ledger, and nobody goes where they cannot be."""

from collections.abc import Callable

import numpy as np
import pytest

from sim import AreaModel, Scenario
from sim.engine.ledger import KINDS
from sim.states import CODE, STATES
from sim.transitions import PHASE_STATE, SIDE_AGES, SIDE_STATES

ABSORBING = [CODE[state.key] for state in STATES if state.absorbing]
AT_SCHOOL = [CODE[key] for key in SIDE_STATES]


@pytest.fixture(params=["area with leisure jobs", "cohorts"])
def scenario(request: pytest.FixtureRequest, leisure_jobs: Scenario) -> Scenario:
    if request.param == "cohorts":
        return Scenario.read("cash_benefit_cohorts_2011", ["population.residents=600"])
    return leisure_jobs


@pytest.mark.parametrize("replicates", [range(1), range(4, 7)])
def test_stocks_and_flows_balance_every_month(scenario: Scenario, replicates: range) -> None:
    """Three accounts agree: the columns, the running counts, and start plus ledger."""
    model = AreaModel(scenario, replicate=replicates)
    people = model.population
    state, job = people.state.copy(), people.side_hours > 0
    seen = 0
    for month in range(scenario.months + 1):
        if month:
            model.step()
        events = model.ledger.table()[seen:]
        seen += len(events)
        assert (events["month"] == month).all()
        moves = events[events["kind"] == KINDS.index("state")]
        assert len(np.unique(moves["row"])) == len(moves)
        assert (moves["before"] == state[moves["row"]]).all()
        assert (moves["before"] != moves["after"]).all()
        state[moves["row"]] = moves["after"]
        np.testing.assert_array_equal(state, people.state)
        np.testing.assert_array_equal(PHASE_STATE[people.phase], people.state)
        for change in events[events["kind"] == KINDS.index("side_job")]:
            assert change["before"] == job[change["row"]]
            assert change["after"] == 1 - change["before"]
            job[change["row"]] = change["after"]
        np.testing.assert_array_equal(job, people.side_hours > 0)
        counts = np.stack([np.bincount(block, minlength=len(STATES)) for block in state.reshape(len(replicates), -1)])
        np.testing.assert_array_equal(model.state_counts[month], counts)
        assert (counts.sum(axis=1) == scenario.residents).all()
    assert len(model.state_counts) == scenario.months + 1
    assert seen > 0


def test_absorbing_states_are_never_left(live: Callable[..., AreaModel], scenario: Scenario) -> None:
    model = live(scenario, replicate=range(5))
    moves = model.ledger.table()
    moves = moves[moves["kind"] == KINDS.index("state")]
    assert len(ABSORBING) == 2
    assert not np.isin(moves["before"], ABSORBING).any()
    counts = np.stack(model.state_counts)[:, :, ABSORBING]
    assert (np.diff(counts, axis=0) >= 0).all()
    assert (counts[-1] > 0).any()


def test_only_those_aged_16_to_66_move(live: Callable[..., AreaModel], leisure_jobs: Scenario) -> None:
    model = live(leisure_jobs, replicate=range(10))
    moves = model.ledger.table()
    moves = moves[moves["kind"] == KINDS.index("state")]
    age = moves["month"] - model.population.birth[moves["row"]]
    assert age.min() >= 16 * 12
    assert age.max() < 67 * 12
    start = AreaModel(leisure_jobs, replicate=range(10)).population
    assert (start.state[start.birth > -16 * 12] == CODE["basic_school"]).all()
    still = model.month - model.population.birth < 16 * 12
    assert still.any()
    assert (model.population.state[still] == CODE["basic_school"]).all()


def test_only_pupils_and_students_have_side_jobs(leisure_jobs: Scenario) -> None:
    model = AreaModel(leisure_jobs, replicate=range(5))
    people = model.population
    hours = model.parameters.value("side_job_hours")
    seen = 0
    for month in range(leisure_jobs.months + 1):
        if month:
            model.step()
        has_job = people.side_hours > 0
        assert np.isin(people.state[has_job], AT_SCHOOL).all()
        assert (model.month - people.birth[has_job] >= 12 * SIDE_AGES[0]).all()
        assert np.isin(people.side_hours, [0, hours]).all()
        seen += int(has_job.sum())
    assert seen > 0


def test_paid_hours_are_those_of_the_calendar_year(leisure_jobs: Scenario) -> None:
    model = AreaModel(leisure_jobs)
    paid = np.zeros(leisure_jobs.residents)
    for month in range(1, leisure_jobs.months + 1):
        model.step()
        if month % 12 == 1:
            paid[:] = 0
        paid += model.population.side_hours * 52 / 12
        np.testing.assert_allclose(model.population.paid_hours, paid, rtol=1e-5)
    assert paid.max() > 200


def test_nobody_leaves_or_joins_the_area_or_ages_wrongly(live: Callable[..., AreaModel], scenario: Scenario) -> None:
    before, after = AreaModel(scenario), live(scenario)
    for column in ("birth", "sex", "origin", "cohort"):
        np.testing.assert_array_equal(getattr(before.population, column), getattr(after.population, column))
    assert before.resident(17).age_months + scenario.months == after.resident(17).age_months


def test_time_in_a_state_counts_from_the_last_move(live: Callable[..., AreaModel], scenario: Scenario) -> None:
    model, before = live(scenario), AreaModel(scenario)
    since = before.population.since.copy()
    for event in model.ledger.table():
        if event["kind"] == KINDS.index("state"):
            since[event["row"]] = event["month"]
    np.testing.assert_array_equal(since, model.population.since)

"""Nobody is created or lost, every change is in the ledger, and nobody goes where they cannot be."""

from collections.abc import Callable

import numpy as np
import pytest

from sim import AreaModel, Scenario
from sim.engine.ledger import KINDS
from sim.measures import COUNTED, VIEWS
from sim.states import CODE, PHASES, STATES
from sim.transitions import PHASE_STATE, SIDE_AGES, SIDE_STATES, SMALL_JOB_STATES

ABSORBING = [CODE[state.key] for state in STATES if state.absorbing]
AT_SCHOOL = [CODE[key] for key in SIDE_STATES]
ON_BENEFIT = [CODE[key] for key in SMALL_JOB_STATES]


@pytest.fixture(params=["area with leisure jobs", "cohorts"])
def scenario(request: pytest.FixtureRequest, leisure_jobs: Scenario) -> Scenario:
    if request.param == "cohorts":
        return Scenario.read("cash_benefit_cohorts_2011", ["population.residents=600"])
    return leisure_jobs


@pytest.mark.parametrize("replicates", [range(1), range(4, 7)])
def test_stocks_and_flows_balance_every_month(scenario: Scenario, replicates: range) -> None:
    """Three accounts agree: the columns, the running counts, and start plus ledger."""
    model = AreaModel(scenario, replicate=replicates)
    people, first = model.population, scenario.residents * len(replicates)
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
        assert (moves["row"] < len(state)).all()
        assert (moves["before"] == state[moves["row"]]).all()
        assert (moves["before"] != moves["after"]).all()
        state[moves["row"]] = moves["after"]
        for change in events[events["kind"] == KINDS.index("side_job")]:
            assert change["before"] == job[change["row"]]
            assert change["after"] == 1 - change["before"]
            job[change["row"]] = change["after"]
        came = np.arange(len(state), len(people))
        state, job = np.append(state, people.state[came]), np.append(job, people.side_hours[came] > 0)
        np.testing.assert_array_equal(state, people.state)
        np.testing.assert_array_equal(PHASE_STATE[people.phase], people.state)
        np.testing.assert_array_equal(job, people.side_hours > 0)
        block = model.stream.block
        counts = np.stack(
            [np.bincount(state[:first][block[:first] == k], minlength=len(STATES)) for k in range(len(replicates))]
        )
        np.testing.assert_array_equal(model.state_counts[month], counts)
        assert (counts.sum(axis=1) == scenario.residents).all()
        for view, who in (("individual", np.arange(len(people)) < first), ("area", people.in_area)):
            cells = np.stack([block[who], COUNTED[people.phase[who]]])
            wanted = np.zeros((len(replicates), len(PHASES)), dtype=np.int64)
            np.add.at(wanted, tuple(cells), 1)
            np.testing.assert_array_equal(model.counts[month][VIEWS.index(view)], wanted, err_msg=view)
    assert len(model.state_counts) == len(model.counts) == scenario.months + 1
    assert seen > 0
    assert (len(people) > first) == (scenario.recipe == "area")


def test_absorbing_states_are_never_left(live: Callable[..., AreaModel], scenario: Scenario) -> None:
    model = live(scenario, replicate=range(20))
    moves = model.ledger.table()
    moves = moves[moves["kind"] == KINDS.index("state")]
    assert len(ABSORBING) == 1
    pensioners = moves[moves["before"] == CODE["disability_pension"]]
    assert len(pensioners)
    assert np.isin(pensioners["after"], ABSORBING).all()
    assert not np.isin(moves["before"], ABSORBING).any()
    counts = np.stack(model.state_counts)[:, :, ABSORBING]
    assert (np.diff(counts, axis=0) >= 0).all()
    assert (counts[-1] > counts[0]).any()


def test_only_those_aged_16_to_64_move_and_everybody_retires_in_the_month_of_turning_65(leisure_jobs: Scenario) -> None:
    model = AreaModel(leisure_jobs, replicate=range(10))
    people = model.population
    children = people.birth > -16 * 12
    assert (people.state[children] == CODE["basic_school"]).all()
    for _ in range(leisure_jobs.months):
        alive = people.state != CODE["gone"]
        age = model.month - people.birth
        assert age[alive].max() < 65 * 12
        model.step()
    moves = model.ledger.table()
    moves = moves[moves["kind"] == KINDS.index("state")]
    age = moves["month"] - people.birth[moves["row"]]
    assert age.min() >= 16 * 12
    assert age.max() == 65 * 12
    retired = moves[age == 65 * 12]
    assert len(retired) > 20
    assert (retired["after"] == CODE["gone"]).all()
    turning = 65 * 12 + people.birth.astype(int)
    joined = people.since * 0
    arrived = model.ledger.table()
    arrived = arrived[(arrived["kind"] == KINDS.index("dwelling")) & (arrived["after"] == 1)]
    joined[arrived["row"]] = arrived["month"]
    died = set(moves["row"][(moves["after"] == CODE["gone"]) & (age < 65 * 12)].tolist())
    due = [row for row in np.flatnonzero((turning > joined) & (turning <= model.month)).tolist() if row not in died]
    assert sorted(retired["row"].tolist()) == due
    still = model.month - people.birth < 16 * 12
    assert still.any()
    assert (people.state[still] == CODE["basic_school"]).all()


def test_only_the_old_and_adults_die(live: Callable[..., AreaModel], scenario: Scenario) -> None:
    model = live(scenario, replicate=range(10))
    moves = model.ledger.table()
    moves = moves[(moves["kind"] == KINDS.index("state")) & (moves["after"] == CODE["gone"])]
    age = moves["month"] - model.population.birth[moves["row"]]
    assert age.min() >= 25 * 12


def test_leisure_jobs_are_of_pupils_and_small_jobs_of_recipients(leisure_jobs: Scenario) -> None:
    model = AreaModel(leisure_jobs, replicate=range(5))
    people, value = model.population, model.parameters.value
    seen = {"leisure": 0, "small": 0}
    for month in range(leisure_jobs.months + 1):
        if month:
            model.step()
        has_job = people.side_hours > 0
        pupils, recipients = (np.isin(people.state, codes) for codes in (AT_SCHOOL, ON_BENEFIT))
        assert (pupils | recipients)[has_job].all()
        assert (model.month - people.birth[has_job] >= 12 * SIDE_AGES[0]).all()
        assert np.isin(people.side_hours[pupils], [0, value("side_job_hours")]).all()
        small = people.side_hours[recipients & has_job]
        assert (small >= value("small_job_hours_at_start")).all()
        assert (small <= value("small_job_hours_at_most")).all()
        seen["leisure"] += int((pupils & has_job).sum())
        seen["small"] += len(small)
    assert min(seen.values()) > 100


def test_small_jobs_start_small_and_grow_month_by_month(leisure_jobs: Scenario) -> None:
    model = AreaModel(leisure_jobs, replicate=range(5))
    people, value = model.population, model.parameters.value
    start, growth, most = (value(f"small_job_hours_{what}") for what in ("at_start", "growth", "at_most"))
    checked = np.zeros(3, dtype=int)
    for _ in range(leisure_jobs.months):
        before, state, seen = people.side_hours.copy(), people.state.copy(), len(model.ledger.table())
        model.step()
        here = np.arange(len(before))
        after = people.side_hours[here]
        recipient = np.isin(state, ON_BENEFIT) & np.isin(people.state[here], ON_BENEFIT)
        events = model.ledger.table()[seen:]
        changed = np.isin(here, events["row"][events["kind"] == KINDS.index("side_job")])
        kept = recipient & (before > 0) & ~changed
        np.testing.assert_allclose(after[kept], np.minimum(before[kept] + growth, most))
        begun = recipient & (before == 0) & changed & (after > 0)
        assert (after[begun] == start).all()
        ended = recipient & (before > 0) & changed
        assert (after[ended] == 0).all()
        assert (after[recipient & (before == 0) & ~changed] == 0).all()
        checked += kept.sum(), begun.sum(), ended.sum()
    assert (checked > (500, 30, 30)).all()


def test_paid_hours_are_those_of_the_calendar_year(leisure_jobs: Scenario) -> None:
    model = AreaModel(leisure_jobs)
    paid = np.zeros(leisure_jobs.residents)
    for month in range(1, leisure_jobs.months + 1):
        held = model.population.side_hours.copy()
        model.step()
        if month % 12 == 1:
            paid[:] = 0
        # Those who moved in this month are paid from the next one on; a small job grows after the month is paid.
        hours = model.population.side_hours[: len(held)]
        paid += np.where((held > 0) & (hours > 0), held, hours) * 52 / 12
        paid = np.append(paid, np.zeros(len(model.population) - len(paid)))
        np.testing.assert_allclose(model.population.paid_hours, paid, rtol=1e-5)
    assert paid.max() > 200
    assert paid[leisure_jobs.residents :].max() > 0


def test_nobody_changes_birth_sex_origin_or_cohort(live: Callable[..., AreaModel], scenario: Scenario) -> None:
    before, after = AreaModel(scenario), live(scenario)
    first = slice(scenario.residents)
    fixed = ("birth", "sex", "origin", "cohort", "frailty", "role", "family", "parents", "barriers", "dwelling", "head")
    for column in fixed:
        np.testing.assert_array_equal(getattr(before.population, column), getattr(after.population, column)[first])
    assert before.resident(17).age_months + scenario.months == after.resident(17).age_months


def test_time_in_a_state_counts_from_the_last_move_and_activation_does_not_restart_it(scenario: Scenario) -> None:
    model = AreaModel(scenario, replicate=range(3))
    people = model.population
    switches = 0
    for month in range(1, scenario.months + 1):
        phase, since, seen = people.phase.copy(), people.since.copy(), len(model.ledger.table())
        model.step()
        events = model.ledger.table()[seen:]
        rows = events["row"][events["kind"] == KINDS.index("state")]
        left, entered = (
            np.array([PHASES[code].state for code in codes]) for codes in (phase[rows], people.phase[rows])
        )
        ready = [np.array([PHASES[code].counts_as for code in codes]) for codes in (phase[rows], people.phase[rows])]
        usual = (ready[0] == ready[1]) & ((left == "activation") != (entered == "activation"))
        switches += usual.sum()
        wanted = since.copy()
        wanted[rows[~usual]] = month
        np.testing.assert_array_equal(people.since[: len(wanted)], wanted)
        still = np.setdiff1d(np.arange(len(phase)), rows)
        np.testing.assert_array_equal(COUNTED[people.phase[still]], COUNTED[phase[still]])
    assert switches > 100

"""Usual municipal activation: as many as published, readiness remembered, the clock not restarted."""

import numpy as np
import pytest

from sim import AreaModel, ParameterSet, Scenario
from sim.measures import CASH_BENEFIT, COUNTED, counted_as
from sim.scenario import month_number
from sim.states import ACTIVATION_OF, CODE, PHASE_CODE, PHASES

RECIPIENT = counted_as(CASH_BENEFIT)


def test_as_many_recipients_are_in_activation_as_published(parameters: ParameterSet) -> None:
    """December 2012 and 2016, everybody who lives in the area, within three standard errors of independent people."""
    model = AreaModel(Scenario.read("baseline"), replicate=range(10))
    people = model.population
    cards = {"2012-12": "activation_share_to_2013", "2016-12": "activation_share_2014_on"}
    for _ in range(month_number("2016-12") - model.start):
        model.step()
        if model.date in cards:
            mine = people.in_area & RECIPIENT[people.phase]
            share, card = (people.state[mine] == CODE["activation"]).mean(), parameters.value(cards[model.date])
            error = np.sqrt(card * (1 - card) / mine.sum())
            print(f"{model.date}: {mine.sum()} recipients, {share:.4f} in activation, card {card}, s.e. {error:.4f}")
            assert mine.sum() > 1_000
            assert abs(share - card) < 3 * error, model.date


def test_the_start_has_the_share_of_the_card(parameters: ParameterSet) -> None:
    people = AreaModel(Scenario.read("baseline"), replicate=range(20)).population
    mine = RECIPIENT[people.phase]
    share, card = (people.state[mine] == CODE["activation"]).mean(), parameters.value("activation_share_to_2013")
    assert abs(share - card) < 3 * np.sqrt(card * (1 - card) / mine.sum())


def test_readiness_is_restored_and_the_clock_goes_on() -> None:
    """Everybody who enters activation, until they leave it: the phase they came from, months counted on."""
    scenario = Scenario.read("cash_benefit_cohorts_2011", ["population.residents=1500"])
    model = AreaModel(scenario, parameters=ParameterSet.read("history_stayers"))
    people = model.population
    outside = {PHASE_CODE[inside]: PHASE_CODE[out] for out, inside in ACTIVATION_OF.items()}
    inside = {out: into for into, out in outside.items()}
    came = {}
    back = {phase: 0 for phase in inside}
    for _ in range(60):
        before, since = people.phase.copy(), people.since.copy()
        model.step()
        for row in np.flatnonzero((people.state == CODE["activation"]) & ~np.isin(before, list(outside))):
            assert before[row] in inside
            assert COUNTED[people.phase[row]] == COUNTED[inside[before[row]]]
            assert people.since[row] == since[row]
            came[row] = (before[row], since[row])
        for row in np.flatnonzero(np.isin(before, list(outside)) & (people.state != CODE["activation"])):
            origin = came.pop(row, None)
            after = people.phase[row]
            if origin is None or PHASES[after].counts_as != PHASES[before[row]].counts_as:
                continue
            # Within a spell only the five years of the newly activity-ready can have run out.
            assert COUNTED[after] == COUNTED[origin[0]]
            assert after in (origin[0], PHASE_CODE[PHASES[origin[0]].then or PHASES[origin[0]].key])
            assert people.since[row] == origin[1]
            back[origin[0]] += 1
        for row in [row for row in came if people.state[row] != CODE["activation"]]:
            del came[row]
    assert min(back.values()) > 30, back


@pytest.mark.parametrize("recipe", ["baseline", "cash_benefit_cohorts_2011"])
def test_without_usual_activation_nobody_is_in_it(recipe: str) -> None:
    overrides = ["population.residents=2000", "horizon.months=24", "economy.usual_activation=false"]
    model = AreaModel(Scenario.read(recipe, overrides))
    for _ in range(24):
        assert not (model.population.state == CODE["activation"]).any()
        model.step()
    assert not any(counts[:, CODE["activation"]].any() for counts in model.state_counts)
    usual = AreaModel(Scenario.read(recipe, overrides[:2]))
    assert (usual.population.state == CODE["activation"]).any()


def test_activation_holds_back_exits_and_the_constant_makes_up_for_it(parameters: ParameterSet) -> None:
    """Chances of leaving for no benefit in a month: lower inside than outside, by the two cards."""
    ratio = parameters.value("activation_lock_in") / parameters.value("activation_exit_factor")
    assert 0 < ratio < 1
    model = AreaModel(Scenario.read("cash_benefit_cohorts_2011"), replicate=range(10))
    people = model.population
    ways = [CODE[key] for key in ("employed", "self_supporting", "in_education")]
    at_risk, left = np.zeros(2), np.zeros(2)
    for _ in range(24):
        before = people.phase.copy()
        model.step()
        for k, key in enumerate(("activity_ready", "activation_activity_ready")):
            mine = before == PHASE_CODE[key]
            at_risk[k] += mine.sum()
            left[k] += np.isin(people.state[: len(before)][mine], ways).sum()
    found, error = np.log(left[1] / at_risk[1] / (left[0] / at_risk[0])), np.sqrt((1 / left).sum())
    print(f"log ratio {found:.3f}, card {np.log(ratio):.3f}, s.e. {error:.3f}")
    assert abs(found - np.log(ratio)) < 3 * error

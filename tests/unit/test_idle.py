"""Numbers that rest: whatever their value, nobody's life is another; those that act are tried."""

import dataclasses

import numpy as np
import pytest

from sim import AreaModel, Scenario
from sim.activities import catalogue
from sim.activities.idle import RESTS, idle, idle_in

MONTHS = 18


def lives(scenario: Scenario) -> tuple[bytes, ...]:
    model = AreaModel(scenario)
    for _ in range(MONTHS):
        model.step()
    people = model.population
    return tuple(getattr(people, name).tobytes() for name in ("state", "since", "side_hours", "in_area", "phase"))


@pytest.fixture(scope="module")
def busy() -> Scenario:
    """Courses with mechanics and no effects, so that every kind of resting number is there."""
    found = Scenario.read("baseline", ["population.residents=800", f"horizon.months={MONTHS}"])
    for key in ("mentor", "sewing_workshop", "network_mothers", "pocket_money_job", "part_time_incentive_cap70"):
        more = {} if catalogue()[key].kind == "lever" else {"places": 10}
        found = found.with_activity(key, activity=key, **more)
    nothing = {id: 0.0 for id in found.activities[2].values if id.startswith("effect_")}
    return found.with_activity("network_mothers", **nothing)


def test_every_resting_number_changes_nothing_at_both_ends(busy: Scenario) -> None:
    as_it_is = lives(busy)
    tried = set()
    for item in busy.activities:
        cards = catalogue()[item.activity].parameters
        for id in idle(catalogue()[item.activity], item.values, closed=False, points=False):
            low, high = cards[id].range
            for end in {low, high} - {item.values[id]}:
                values = {**item.values, id: end}
                changed = tuple(dataclasses.replace(i, values=values) if i is item else i for i in busy.activities)
                assert lives(dataclasses.replace(busy, activities=changed)) == as_it_is, (item.id, id, end)
            tried.add(id)
    unmet = {"staff", "relation_months", "quality"} | {id for id in RESTS if id.startswith("clarified_")}
    assert tried >= unmet | {"half_life_months", "active_months", "alumni_full", "keep_share", "virtual_quality"}


def test_numbers_act_once_what_held_them_does(busy: Scenario) -> None:
    resting = idle_in(busy)
    assert resting["mentor.quality"]
    assert resting["mentor.half_life_months"]
    awake = busy.with_activity("mentor", effect_self_supporting_to_employed_after=0.5)
    assert not idle_in(awake)["mentor.quality"]
    assert not idle_in(awake)["mentor.half_life_months"]
    assert not idle_in(busy)["mentor.take_up"]
    assert not idle_in(busy)["pocket_money_job.half_life_months"]
    closed = dataclasses.replace(awake, closures=(_closure("mentor"),))
    assert not idle_in(closed)["mentor.virtual_quality"]
    assert idle_in(awake)["mentor.virtual_quality"]


def _closure(item: str):  # type: ignore[no-untyped-def]
    from sim.scenario import Closure

    return Closure("covid", "2012-03", "2012-06", (item,))


def test_the_trials_leave_them_out(busy: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    from sim import sensitivity

    numbers = sensitivity.assumed_numbers([busy])
    asked = {number.parameter for number in numbers if not sensitivity.rests(number, [idle_in(busy)])}
    assert "mentor.quality" not in asked
    assert "mentor.effect_self_supporting_to_employed_during" in asked
    assert np.sum([number.parameter in idle_in(busy) for number in numbers]) > len(asked & set(idle_in(busy)))

"""Each lever pulls the way it must: paired runs, tolerances from the standard error of the paired difference."""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from lives import not_fewer, surely_more
from scipy.stats import t

from sim import AreaModel, ParameterSet, Scenario, compare
from sim.demand import REFERENCE_YEAR, YEARS
from sim.measures import MEASURES
from sim.parameters import UNITS
from sim.states import CODE, SEXES

REPLICATES = range(10)


@pytest.fixture(scope="module")
def scarce() -> Scenario:
    """The average area with ten leisure-job places over three years: a queue."""
    return Scenario.read("leisure_jobs", ["horizon.months=36"]).with_activity("leisure_job", places=10)


@pytest.fixture(scope="module")
def base() -> Scenario:
    return Scenario.read("baseline", ["horizon.months=36"])


def by_replicate(model: AreaModel, rows: np.ndarray) -> np.ndarray:
    """Return how many of ``rows`` (numbers or flags) there are, by replicate."""
    return np.bincount(model.stream.block[rows], minlength=len(model.stream.replicates))


def served(model: AreaModel, event: str = "enrolled") -> np.ndarray:
    """Return how many were enrolled (or met another event), by replicate."""
    rows = [rows for course in model.courses for e, _, rows in course.events() if e == event]
    return by_replicate(model, np.concatenate([np.empty(0, dtype=np.int64), *rows]))


def by_lever(
    live: Callable[..., AreaModel],
    scenario: Scenario,
    changes: Sequence[Mapping[str, Any]],
    replicates: range = REPLICATES,
) -> list[AreaModel]:
    return [live(scenario.with_activity("leisure_job", **change), replicate=replicates) for change in changes]


def test_more_places_serve_never_fewer(live: Callable[..., AreaModel], scarce: Scenario) -> None:
    models = by_lever(live, scarce, [{"places": n} for n in (0, 2, 5, 10, 20, 40, 80)])
    enrolled = [served(model) for model in models]
    unserved = [by_replicate(model, model.columns().unserved) for model in models]
    for few, many, waiting, rest in zip(enrolled, enrolled[1:], unserved, unserved[1:], strict=False):
        assert (many >= few).all()
        assert (rest <= waiting).all()
    assert (enrolled[0] == 0).all()
    surely_more(enrolled[3], enrolled[2])
    assert (unserved[-1] <= 1).all()


def test_higher_take_up_enrols_more(live: Callable[..., AreaModel], scarce: Scenario) -> None:
    roomy = scarce.with_activity("leisure_job", places=500)
    enrolled = [served(m) for m in by_lever(live, roomy, [{"take_up": share} for share in (0.0, 0.3, 0.6, 0.9)])]
    assert (enrolled[0] == 0).all()
    for few, many in itertools.pairwise(enrolled):
        assert (many >= few).all()
        surely_more(many, few)


@pytest.mark.parametrize("channel", ["reach_school", "reach_word_of_mouth"])
def test_wider_reach_refers_more(live: Callable[..., AreaModel], scarce: Scenario, channel: str) -> None:
    models = by_lever(live, scarce, [{channel: reach} for reach in (0.0, 0.03, 0.1)])
    referred = [served(model, "referred") for model in models]
    for few, many in itertools.pairwise(referred):
        surely_more(many, few)


def test_longer_patience_serves_never_fewer(live: Callable[..., AreaModel], scarce: Scenario) -> None:
    models = by_lever(live, scarce, [{"patience_months": months} for months in (0, 2, 6, 12, 36)])
    enrolled, tired = [served(m) for m in models], [served(m, "gave_up") for m in models]
    for few, many in itertools.pairwise(enrolled):
        not_fewer(many, few)
    surely_more(tired[0], tired[1])
    surely_more(tired[2], tired[4])


def test_shorter_courses_and_more_attrition_free_places(live: Callable[..., AreaModel], scarce: Scenario) -> None:
    long, short = by_lever(live, scarce, [{"duration_months": 12}, {"duration_months": 4}])
    surely_more(served(short), served(long))
    loyal, fickle = by_lever(live, scarce, [{"attrition_per_month": 0.0}, {"attrition_per_month": 0.1}])
    surely_more(served(fickle), served(loyal))
    surely_more(served(loyal, "completed"), served(fickle, "completed"))


def jobs(model: AreaModel) -> np.ndarray:
    """Return residents with a leisure job of at least 26 hours this year, by replicate."""
    has_job, _ = MEASURES["leisure_job_26h"].parts(model.columns(), model.ledger.table(), model.month)
    return by_replicate(model, has_job)


@pytest.mark.parametrize("effect", ["effect_start_during", "effect_start_after"])
def test_stronger_effects_never_mean_fewer_leisure_jobs(
    live: Callable[..., AreaModel], scarce: Scenario, effect: str
) -> None:
    many = {"places": 40, "take_up": 0.6, "reach_school": 0.1}
    roomy = scarce.with_activity("leisure_job", effect_start_during=0.0, effect_start_after=0.0, **many)
    sizes = [{effect: size} for size in (-1.0, 0.0, 0.6, 1.3, 2.5)]
    found = [jobs(model) for model in by_lever(live, roomy, sizes, range(30))]
    for few, many in itertools.pairwise(found):
        not_fewer(many, few)
    surely_more(found[-1], found[1])
    surely_more(found[1], found[0])


def test_support_in_the_job_means_more_paid_hours(live: Callable[..., AreaModel], scarce: Scenario) -> None:
    roomy = scarce.with_activity("leisure_job", places=40)
    changes = [{"effect_end_during": size, "effect_end_after": size} for size in (0.0, -0.5, -1.0)]
    kept = [
        np.bincount(m.stream.block, weights=m.population.paid_hours, minlength=len(REPLICATES))
        for m in by_lever(live, roomy, changes)
    ]
    for few, many in itertools.pairwise(kept):
        not_fewer(many, few)
    surely_more(kept[-1], kept[0])


def test_a_longer_half_life_keeps_more_leisure_jobs(live: Callable[..., AreaModel], scarce: Scenario) -> None:
    roomy = scarce.with_activity("leisure_job", places=40, effect_start_after=1.3, end="2013-06")
    short, long = (jobs(m) for m in by_lever(live, roomy, [{"half_life_months": n} for n in (1, 60)]))
    surely_more(long, short)


@pytest.fixture(scope="module")
def bridged() -> Scenario:
    """Pocket-money jobs and a leisure-job scheme with room, in the average area over three years."""
    read = Scenario.read("pocket_money_then_leisure_jobs", ["horizon.months=36"])
    return read.with_activity("leisure_job", places=60).with_activity("pocket_money_job", places=40)


def of_item(model: AreaModel, id: str, event: str) -> np.ndarray:
    """Return how many met ``event`` in item ``id``, by replicate."""
    (course,) = (course for course in model.courses if course.plan.id == id)
    rows = [rows for e, _, rows in course.events() if e == event]
    return np.bincount(model.stream.block[np.concatenate(rows)], minlength=len(REPLICATES))


def test_more_bridging_hands_more_over_and_keeps_more_of_the_effect(
    live: Callable[..., AreaModel], bridged: Scenario
) -> None:
    quiet = bridged.with_activity("leisure_job", reach_school=0.001, reach_word_of_mouth=0.0)
    models = [
        live(quiet.with_activity("pocket_money_job", bridge_probability=share), replicate=REPLICATES)
        for share in (0.0, 0.4, 0.9)
    ]
    enrolled = [of_item(model, "leisure_job", "enrolled") for model in models]
    for few, many in itertools.pairwise(enrolled):
        surely_more(many, few)
    surely_more(jobs(models[-1]), jobs(models[0]))


def test_a_later_gap_age_loses_more_of_the_effect(live: Callable[..., AreaModel], bridged: Scenario) -> None:
    alone = bridged.without_activity("leisure_job")
    lasting = alone.with_activity("pocket_money_job", effect_start_during=0.0, effect_start_after=2.0)
    models = [
        live(lasting.with_activity("pocket_money_job", gap_age=age), replicate=REPLICATES) for age in (13, 15, 17)
    ]
    for late, early in itertools.pairwise(jobs(model) for model in models):
        surely_more(late, early)


def test_hours_paid_by_the_project_mean_more_with_26_hours(live: Callable[..., AreaModel], bridged: Scenario) -> None:
    off, on = (
        jobs(live(bridged.with_activity("pocket_money_job", project_wage_counts=switch), replicate=REPLICATES))
        for switch in (0, 1)
    )
    assert (on >= off).all()
    surely_more(on, off)


@pytest.mark.parametrize("key", ["pocket_money_job", "leisure_job"])
def test_stronger_selection_takes_more_of_those_selected(
    live: Callable[..., AreaModel], bridged: Scenario, key: str
) -> None:
    found = []
    for ratio in (0.5, 1.0, 3.0):
        model = live(bridged.with_activity(key, selection_men=ratio, places=200), replicate=REPLICATES)
        (course,) = (course for course in model.courses if course.plan.id == key)
        rows = np.concatenate([rows for event, _, rows in course.events() if event == "enrolled"])
        men = rows[model.population.sex[rows] == SEXES.index("men")]
        block = model.stream.block
        found.append(np.bincount(block[men], minlength=10) / np.bincount(block[rows], minlength=10))
    for few, many in itertools.pairwise(found):
        surely_more(many, few)


def test_zero_effect_leaves_the_states_as_in_the_baseline(
    live: Callable[..., AreaModel], scarce: Scenario, base: Scenario
) -> None:
    nothing = dict.fromkeys(("effect_start_during", "effect_start_after", "effect_end_during", "effect_end_after"), 0.0)
    (idle,) = by_lever(live, scarce, [nothing])
    plain = live(base, replicate=REPLICATES)
    assert (served(idle) > 0).all()
    for column in ("state", "since", "side_hours", "paid_hours"):
        assert getattr(idle.population, column).tobytes() == getattr(plain.population, column).tobytes()
    assert idle.ledger.table().tobytes() == plain.ledger.table().tobytes()


def test_the_shipped_scenario_raises_leisure_jobs_in_every_december() -> None:
    """Ten replicates of one draw: the lower 95 % limit of the mean difference is above zero from 2012 on."""
    found = compare(Scenario.read("leisure_jobs"), Scenario.read("baseline"), replicates=10)
    table = found.table("differences", measure="leisure_job_26h", group_by="all")
    assert list(table["month"]) == [f"{year}-12" for year in range(2012, 2017)]
    lower = table["estimate"] - t.ppf(0.975, 9) * table["se"]
    figures = [
        f"{month}: {100 * e:.2f} points, se {100 * se:.2f}, lower {100 * low:.2f}"
        for month, e, se, low in zip(table["month"], table["estimate"], table["se"], lower, strict=True)
    ]
    print("leisure_job_26h, leisure_jobs against baseline:", *figures, sep="\n  ")
    assert (lower > 0).all(), figures
    assert found.pairing["untouched_identical"] is True
    states = found.table("differences", group_by="all")
    states = states[~states["measure"].isin(["leisure_job_26h", "never_served"])]
    assert (states["estimate"] == 0).all()


def in_state(live: Callable[..., AreaModel], scenario: Scenario, parameters: ParameterSet, *keys: str) -> np.ndarray:
    model = live(scenario, replicate=REPLICATES, parameters=parameters)
    return model.state_counts[-1][:, [CODE[key] for key in keys]].sum(axis=1)


UP = {
    "employed": {
        "rate_job_ready_to_no_benefit": True,
        "rate_activity_ready_to_no_benefit": True,
        "rate_youth_self_supporting_to_employed": True,
        "rate_adult_in_education_to_employed": True,
        "job_loss_months_1_3": False,
        "job_loss_months_13_on": False,
        "job_loss_factor_young": False,
        "job_loss_factor_men_danish": False,
        "job_loss_factor_women_non_western": False,
        "exit_factor_months_1_8": True,
        "rate_insured_unemployed_to_employed": True,
        "rate_adult_self_supporting_to_employed": True,
        "activation_exit_factor": True,
        "activation_lock_in": True,
    },
    "in_education": {
        "rate_youth_self_supporting_to_in_education": True,
        "rate_youth_employed_to_in_education": True,
        "rate_youth_in_education_to_employed": False,
        "rate_youth_in_education_to_self_supporting": False,
    },
    "activity_ready": {
        "rate_job_ready_to_activity_ready": True,
        "rate_newly_activity_ready_to_job_ready": False,
        "rate_activity_ready_to_other_benefit": False,
    },
    "disability_pension": {
        "activity_ready_exit_share_pension": True,
        "pension_multiplier_2014_on": True,
        "rate_activity_ready_to_other_benefit": True,
    },
    "basic_school": {"rate_basic_school_to_in_education": False, "rate_basic_school_to_self_supporting": False},
    "gone": {"death_25_50": True, "death_51_64": True},
    "other_benefit": {"job_loss_share_insured_unemployed": True},
}
"""Whether more of a parameter, or of all whose names begin so (by age or sex), means more people in a state."""


@pytest.mark.parametrize(("state", "id"), [(state, id) for state, ids in UP.items() for id in ids])
def test_every_hazard_pulls_its_way(
    live: Callable[..., AreaModel], base: Scenario, parameters: ParameterSet, state: str, id: str
) -> None:
    family = [name for name in parameters if re.fullmatch(rf"{id}(_\d.*|_women|_men)?", name)]
    assert family
    # A share that would be above one when doubled is tried from a lower base.
    start = min(1.0, *(UNITS[parameters[name].unit].highest / parameters.value(name) / 2 for name in family))
    assert start > 0.7
    low, usual, high = (
        in_state(live, base, parameters.replace({name: parameters.value(name) * factor for name in family}), state)
        for factor in (start / 2, start, 2 * start)
    )
    if not UP[state][id]:
        low, high = high, low
    not_fewer(usual, low)
    not_fewer(high, usual)
    surely_more(high, low)


def test_a_recession_never_means_more_jobs(
    live: Callable[..., AreaModel], base: Scenario, parameters: ParameterSet
) -> None:
    """Lower job finding and higher job loss together."""
    ways = ("_to_employed", "_to_no_benefit")
    finding = [id for id in parameters if id.startswith("rate_") and (id.endswith(ways) or "_to_employed_" in id)]
    losing = [id for id in parameters if id.startswith("job_loss_months")]
    assert len(finding) >= 5
    assert len(losing) == 3
    employed = []
    for depth in (0.0, 0.1, 0.3, 0.5):
        harder = {id: parameters.value(id) * (1 - depth) for id in finding}
        faster = {id: parameters.value(id) * (1 + depth) for id in losing}
        employed.append(in_state(live, base, parameters.replace({**harder, **faster}), "employed"))
    for good, bad in itertools.pairwise(employed):
        surely_more(good, bad)


def test_demand_for_labour_means_jobs(live: Callable[..., AreaModel], base: Scenario, parameters: ParameterSet) -> None:
    """Half and twice the unemployment of every year but the reference, and no answer to it."""
    rates = [f"unemployment_rate_{year}" for year in YEARS if year != REFERENCE_YEAR]

    def employed(changes: Mapping[str, float]) -> np.ndarray:
        return in_state(live, base, parameters.replace(changes), "employed")

    boom, usual, bust = (employed({id: parameters.value(id) * f for id in rates}) for f in (0.5, 1.0, 2.0))
    surely_more(boom, usual)
    surely_more(usual, bust)
    assert (employed({"demand_elasticity": 0.0}) != usual).any()


def test_more_moving_out_means_more_newcomers(
    live: Callable[..., AreaModel], base: Scenario, parameters: ParameterSet
) -> None:
    def newcomers(changes: Mapping[str, float]) -> np.ndarray:
        model = live(base, replicate=REPLICATES, parameters=parameters.replace(changes))
        return np.bincount(model.stream.block, minlength=len(REPLICATES)) - base.residents

    few, usual, many = (newcomers({"move_out_family_dwelling": share}) for share in (0.05, 0.104, 0.2))
    surely_more(usual, few)
    surely_more(many, usual)
    surely_more(newcomers({"move_out_youth_dwelling": 0.8}), usual)


def test_a_higher_share_in_activation_means_more_in_it(
    live: Callable[..., AreaModel], base: Scenario, parameters: ParameterSet
) -> None:
    cards = ("activation_share_to_2013", "activation_share_2014_on")
    few, usual, many = (
        in_state(live, base, parameters.replace(dict.fromkeys(cards, share)), "activation") for share in (0.1, 0.3, 0.5)
    )
    surely_more(usual, few)
    surely_more(many, usual)


def test_more_side_jobs_start_and_fewer_end(
    live: Callable[..., AreaModel], base: Scenario, parameters: ParameterSet
) -> None:
    def holding(changes: Mapping[str, float]) -> np.ndarray:
        return jobs(live(base, replicate=REPLICATES, parameters=parameters.replace(changes)))

    usual = holding({})
    surely_more(usual, holding({"side_job_end": 0.12}))
    surely_more(holding({"side_job_start_age_15_9": 0.17}), usual)
    assert (holding({"leisure_job_hours_in_year": 26}) == usual).all()
    surely_more(usual, holding({"leisure_job_hours_in_year": 200}))

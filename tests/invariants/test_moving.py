"""Who moves out and in: households whole, dwellings never empty, rates those of the cards, shares that add up."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from sim import AreaModel, ParameterSet, Scenario, run
from sim.demography import CHILD, FAMILY, YOUTH, moving_hazards, newcomer_ids, out_row
from sim.engine.ledger import KINDS
from sim.households import ROLES
from sim.measures import MEASURES
from sim.states import AGE_CLASSES, CODE
from sim.transitions import AGE_CLASS

AGES = [age.key for age in AGE_CLASSES]


@pytest.fixture(scope="module")
def area() -> Scenario:
    return Scenario.read("baseline", ["population.residents=2000", "horizon.months=60"])


def moved(model: AreaModel, seen: int, after: int) -> np.ndarray:
    """Return the rows that left (0) or arrived (1) in the ledger from event ``seen`` on."""
    events = model.ledger.table()[seen:]
    mine = (events["kind"] == KINDS.index("dwelling")) & (events["after"] == after)
    assert (events["before"][mine] == 1 - after).all()
    return events["row"][mine].astype(np.int64)


def test_everybody_in_the_area_was_there_or_has_just_arrived(area: Scenario) -> None:
    """Month by month: those there before, less those who left, and those who arrived; whole households, no gap."""
    model = AreaModel(area, replicate=range(2))
    people, stream = model.population, model.stream
    alone = together = 0
    for month in range(1, area.months + 1):
        before, rows, seen = people.in_area.copy(), len(people), len(model.ledger.table())
        head, occupant = people.head.copy(), people.occupant.copy()
        model.step()
        left, arrived = moved(model, seen, 0), moved(model, seen, 1)
        assert len(np.unique(left)) == len(left)
        assert before[left].all()
        np.testing.assert_array_equal(arrived, np.arange(rows, len(people)))
        wanted = np.append(before, np.ones(len(arrived), dtype=bool))
        wanted[left] = False
        np.testing.assert_array_equal(people.in_area, wanted)
        # A household leaves with its head, a grown-up child alone; nobody else.
        heads = left[head[left] == left]
        followers = np.flatnonzero(before & np.isin(head, heads))
        children = np.setdiff1d(left, followers)
        assert np.isin(followers, left).all()
        assert (people.role[children] == ROLES.index("child")).all()
        assert (month - people.birth[children] >= 18 * 12).all()
        alone += len(children)
        together += len(followers) - len(heads)
        # Each vacated dwelling, and no other, has a new household in the same month: the next one.
        came = arrived[people.head[arrived] == arrived]
        vacated = {(stream.block[row], people.dwelling[row], occupant[row] + 1) for row in heads}
        assert {(stream.block[row], people.dwelling[row], people.occupant[row]) for row in came} == vacated
        assert len(came) == len(heads)
        assert people.youth_dwelling[came].sum() == people.youth_dwelling[heads].sum()
    assert alone > 30
    assert together > 300
    later = model.ledger.table()
    gone_away = ~people.in_area[later["row"]]
    assert (gone_away & (later["kind"] == KINDS.index("state")) & (later["month"] == area.months)).any()


def test_every_dwelling_holds_one_household_at_any_time(area: Scenario) -> None:
    model = AreaModel(area)
    people = model.population
    dwellings = int(people.dwelling.max()) + 1
    for month in range(area.months + 1):
        if month:
            model.step()
        heads = np.flatnonzero(people.in_area & (people.head == np.arange(len(people))))
        assert np.sort(people.dwelling[heads]).tolist() == list(range(dwellings))
        assert (people.role[heads] == ROLES.index("head")).all()
        members = np.flatnonzero(people.in_area)
        np.testing.assert_array_equal(people.dwelling[members], people.dwelling[people.head[members]])
        np.testing.assert_array_equal(people.occupant[members], people.occupant[people.head[members]])
        assert people.in_area[people.head[members]].all()
    sizes = np.bincount(people.head)[people.head]
    np.testing.assert_array_equal(people.size, sizes)
    assert people.occupant.max() >= 4


def test_ids_are_unique_and_tell_dwelling_household_and_member(area: Scenario) -> None:
    model = AreaModel(area, replicate=range(2))
    for _ in range(area.months):
        model.step()
    people, stream = model.population, model.stream
    first = area.residents * 2
    assert len(np.unique(np.column_stack([stream.ids, stream.block]), axis=0)) == len(people) > 1.3 * first
    assert len(np.unique(stream.keys)) == len(people)
    new = np.arange(first, len(people))
    member = new - people.head[new]
    np.testing.assert_array_equal(stream.ids[new], newcomer_ids(people.dwelling[new], people.occupant[new], member))
    assert stream.ids[new].min() > area.residents
    np.testing.assert_array_equal(stream.ids[:first], np.tile(np.arange(area.residents), 2))


def test_in_the_cohorts_nobody_moves_in_and_people_are_followed_wherever_they_live() -> None:
    scenario = Scenario.read("cash_benefit_cohorts_2011", ["population.residents=1000"])
    model = AreaModel(scenario)
    for _ in range(scenario.months):
        model.step()
    assert len(model.population) == 1000
    away = ~model.population.in_area
    assert 200 < away.sum() < 800
    events = model.ledger.table()
    states = events[events["kind"] == KINDS.index("state")]
    left = np.full(1000, 999)
    out = events[(events["kind"] == KINDS.index("dwelling"))]
    left[out["row"]] = out["month"]
    assert (states["month"] > left[states["row"]]).sum() > 100


def test_the_mean_hazard_over_the_heads_is_that_of_the_card(parameters: ParameterSet) -> None:
    people = AreaModel(Scenario.read("baseline", ["population.residents=20000"])).population
    heads = np.flatnonzero(people.head == np.arange(len(people)))
    hazard = people.out_hazard[people.out_row[heads]]
    for youth, id in ((False, "move_out_family_dwelling"), (True, "move_out_youth_dwelling")):
        mine = people.youth_dwelling[heads] == youth
        yearly = 12 * hazard[mine].mean()
        # Ages are those of a month later than the recipe's: a birthday here and there.
        assert yearly == pytest.approx(parameters.value(id), rel=0.005), id


def test_dwellings_change_hands_as_often_as_the_cards_say(parameters: ParameterSet) -> None:
    """Households that leave in a year over dwellings, by type: within 3 s.e. of a Poisson count.

    Newcomers count too: the published rate is moves a dwelling. The heads change (they age, some find work, those who
    leave often are replaced by others), which moves the rate by less than 3 % in the first year.
    """
    scenario = Scenario.read("baseline", ["population.residents=20000", "horizon.months=12"])
    model = AreaModel(scenario, replicate=range(4))
    people = model.population
    heads = np.flatnonzero(people.head == np.arange(len(people)))
    dwellings = {youth: int((people.youth_dwelling[heads] == youth).sum()) for youth in (False, True)}
    for _ in range(12):
        model.step()
    events = model.ledger.table()
    left = events["row"][(events["kind"] == KINDS.index("dwelling")) & (events["before"] == 1)]
    leaving = left[people.head[left] == left]
    for youth, id in ((False, "move_out_family_dwelling"), (True, "move_out_youth_dwelling")):
        count, card = int((people.youth_dwelling[leaving] == youth).sum()), parameters.value(id)
        rate, error = count / dwellings[youth], np.sqrt(card / dwellings[youth])
        print(f"{id}: {dwellings[youth]} dwellings, rate {rate:.4f}, card {card:.4f}, s.e. {error:.4f}")
        assert dwellings[youth] > 500
        assert abs(rate - card) < 3 * error + 0.03 * card, id


def test_the_young_and_those_in_work_leave_more_often(parameters: ParameterSet) -> None:
    """Hazards by row: ratios are those of the factors; a child leaves by its own card, whatever its work."""
    value = parameters.value
    age_class = AGE_CLASS[np.array([30, 40, 60, 22]) * 12].astype(np.int64)
    hazard = moving_hazards(
        parameters, np.array([False, False, False, True]), age_class, np.array([True, False, True, False])
    )
    assert hazard[0] == 0

    def of(kind: int, age: str, employed: bool) -> float:
        return float(hazard[out_row(np.array([kind]), np.array([AGES.index(age)]), np.array([employed]))[0]])

    for kind in (FAMILY, YOUTH):
        for age in ("18-19", "20-24", "25-50", "51-64"):
            ratio = of(kind, age, True) / of(kind, age, False)
            assert ratio == pytest.approx(value("moving_factor_employed"))
            relative = of(kind, age, False) / of(kind, "25-50", False)
            name = f"moving_factor_{age.replace('-', '_')}"
            assert relative == pytest.approx(value(name) / value("moving_factor_25_50"))
    for age in ("18-19", "20-24", "25-50"):
        for employed in (False, True):
            assert of(CHILD, age, employed) == value(f"leave_home_{age.replace('-', '_')}")
    assert of(CHILD, "16-17", False) == 0


def test_children_leave_home_at_the_rate_of_the_card(parameters: ParameterSet) -> None:
    """Grown-up children of the start, month by month, within three standard errors."""
    model = AreaModel(
        Scenario.read("baseline", ["population.residents=20000", "horizon.months=12"]), replicate=range(2)
    )
    people = model.population
    at_risk, left_alone = dict.fromkeys(AGES, 0.0), dict.fromkeys(AGES, 0.0)
    for month in range(1, 13):
        stays = people.in_area & (people.role == ROLES.index("child"))
        age = AGE_CLASS[np.clip(month - people.birth.astype(np.int64), 0, 1200)]
        rows, seen = np.flatnonzero(stays), len(model.ledger.table())
        model.step()
        gone = np.zeros(len(people), dtype=bool)
        gone[moved(model, seen, 0)] = True
        with_head = gone[people.head[rows]]
        for code, key in enumerate(AGES):
            mine = rows[(age[rows] == code) & ~with_head]
            at_risk[key] += len(mine)
            left_alone[key] += gone[mine].sum()
    for key in ("18-19", "20-24"):
        chance = -np.expm1(-parameters.value(f"leave_home_{key.replace('-', '_')}"))
        error = np.sqrt(at_risk[key] * chance * (1 - chance))
        print(f"children {key}: {at_risk[key]:.0f} months, {left_alone[key]:.0f} left, s.e. {error:.1f}")
        assert left_alone[key] > 30
        assert abs(left_alone[key] - at_risk[key] * chance) < 3 * error
    assert not left_alone["0-15"] + left_alone["16-17"]


def test_the_mover_is_more_often_in_work(area: Scenario) -> None:
    """Heads aged 25-50 who leave against those who stay, over five years: one in a thousand."""
    model = AreaModel(area, replicate=range(5))
    people = model.population
    counts = np.zeros((2, 2))
    for month in range(1, area.months + 1):
        rows = np.flatnonzero(people.in_area & (people.head == np.arange(len(people))) & ~people.youth_dwelling)
        age = month - people.birth[rows].astype(int)
        rows = rows[(age >= 25 * 12) & (age < 51 * 12)]
        employed, seen = people.state[rows] == CODE["employed"], len(model.ledger.table())
        model.step()
        left = np.isin(rows, moved(model, seen, 0))
        np.add.at(counts, (employed.astype(int), left.astype(int)), 1)
    risk = counts[:, 1] / counts.sum(axis=1)
    ratio, error = np.log(risk[1] / risk[0]), np.sqrt((1 / counts[:, 1]).sum())
    print(
        f"log ratio {ratio:.3f}, s.e. {error:.3f}, card {np.log(model.parameters.value('moving_factor_employed')):.3f}"
    )
    assert ratio > norm.isf(0.001) * error
    assert abs(ratio - np.log(model.parameters.value("moving_factor_employed"))) < 3 * error


def test_the_change_of_the_area_is_split_exactly() -> None:
    scenario = Scenario.read("baseline", ["population.residents=800", "horizon.months=37"])
    result = run(scenario, replicates=3)
    change = result.table("area_change")
    parts = change["stayers"] + change["leavers"] + change["newcomers"]
    assert (parts - change["total"]).abs().max() < 1e-12
    outcomes = result.table("outcomes", view="area", group_by="all")
    start = outcomes[outcomes["month"] == "2011-12"].set_index(["replicate", "measure"])["value"]
    now = outcomes.set_index(["replicate", "measure", "month"])["value"]
    wanted = [
        now[row.replicate, row.measure, row.month] - start[row.replicate, row.measure] for row in change.itertuples()
    ]
    np.testing.assert_allclose(change["total"], wanted, atol=1e-12)
    assert set(change["measure"]) == {key for key, measure in MEASURES.items() if measure.phases}
    assert {"2011-12", "2012-12", "2013-12", "2014-12", "2015-01"} == set(change["month"])
    last = change[change["month"] == "2015-01"]
    for part in ("stayers", "leavers", "newcomers"):
        assert (last[part] != 0).sum() > len(last) / 2
        assert (change.loc[change["month"] == "2011-12", part] == 0).all()


def test_the_area_view_counts_who_lives_there(area: Scenario) -> None:
    """The share of every month of the area, recounted from the columns."""
    result = run(Scenario.read("baseline", ["population.residents=500", "horizon.months=24"]), replicates=1, seed=4)
    table = result.table("outcomes", view="area", group_by="all", measure="employed").set_index("month")["value"]
    model = AreaModel(Scenario.read("baseline", ["population.residents=500", "horizon.months=24"]), seed=4)
    people = model.population
    for month in range(25):
        if month:
            model.step()
        there = people.in_area & (people.state != CODE["gone"])
        assert table[model.date] == pytest.approx((people.state[there] == CODE["employed"]).mean(), abs=1e-12)
    assert isinstance(result.table("outcomes", view=None), pd.DataFrame)
    assert set(result.table("outcomes", view=None)["view"]) == {"individual", "area"}

"""The people of the area: published marginals, households that hang together, and places that nobody else moves."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import sim
from sim.fitting import GRID, joint, pick, rake, rank, smoothest
from sim.households import (
    CHILD,
    FAMILIES,
    FATHER,
    HEAD,
    LAST_AGE,
    MOTHER,
    PARENT_PENSION,
    PARENT_TRANSFER,
    PARENTS_PENSION,
    PARTNER,
    WOMEN,
    ages,
)
from sim.marginals import about_2011, check, left_out, marginals, standard_error, used
from sim.parameters import ParameterSet
from sim.recipe import BARRIERS, COHORTS, EDUCATIONS, STATUSES, Persons, recipe
from sim.sources import ASSUMPTION, evidence, rows
from sim.states import CODE, ORIGINS, RETIREMENT_AGE, SEXES

TRANSFERS = [CODE[key] for key in ("job_ready", "activity_ready", "other_benefit", "disability_pension")]


@pytest.fixture(scope="module")
def people(parameters: ParameterSet) -> Persons:
    return recipe("area", parameters).first(60_000)


def luck(decisions: Sequence[str], household: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Uniforms that depend on their arguments only, one row a decision."""
    return np.stack([uniform(decision, household, member) for decision in decisions])


def uniform(decision: str, household: np.ndarray, member: np.ndarray, salt: int = 0) -> np.ndarray:
    offset = np.uint64(sum(ord(c) * 31**i for i, c in enumerate(decision)) % 2**40 + salt)
    x = (household.astype(np.uint64) * np.uint64(64) + member.astype(np.uint64) + offset) * np.uint64(
        0x9E3779B97F4A7C15
    )
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return ((x ^ (x >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53


# --- the published marginals


@pytest.mark.parametrize("residents", [545, 2_419, 20_000])
def test_every_marginal_is_within_its_expected_error(parameters: ParameterSet, residents: int) -> None:
    held = check("area", parameters, residents)
    off = (held.made - held.published).abs()
    assert len(held) >= 40
    assert held.target.is_unique
    assert held[off > held.expected_error].empty


def test_in_the_published_size_every_marginal_is_within_a_point(parameters: ParameterSet) -> None:
    held = check("area", parameters, 215_300)
    assert held[(held.made - held.published).abs() > 0.01].empty


def test_placing_leaves_less_than_half_of_what_a_random_sample_leaves(parameters: ParameterSet) -> None:
    """The statement that the expected error rests on; marginals that contradict each other are left out."""
    size = 2_419
    dwelling = recipe("area", parameters).first(size).dwelling
    large = dict(zip(*check("area", parameters, 215_300)[["target", "made"]].to_numpy().T, strict=True))
    z = [
        ((one.among & one.mine).sum() / one.among.sum() - large[one.target]) / standard_error(one, dwelling)
        for one in marginals("area", parameters, size)
    ]
    assert np.sqrt(np.mean(np.square(z))) < 0.5


def test_the_cohorts_are_in_the_published_ratio(parameters: ParameterSet) -> None:
    size = int(sum(float(evidence(id)["value"]) for id in COHORTS.values()))
    cohorts = recipe("cohorts_2011", parameters)
    people = cohorts.first(size)
    for key, id in COHORTS.items():
        assert abs((people.state == CODE[key]).sum() - float(evidence(id)["value"])) <= 2
    assert set(people.state) == {CODE[key] for key in COHORTS}
    assert (people.age >= 25 * 12).all()
    assert (people.age < 51 * 12).all()
    assert (people.dwelling == np.arange(size)).all()
    assert (people.role == HEAD).all()
    assert not cohorts.newcomers_move_in
    with pytest.raises(ValueError, match="nobody moves"):
        cohorts.newcomers(np.zeros(1, dtype=bool), luck)
    area = recipe("area", parameters).first(215_300)
    recipients = (area.age >= 25 * 12) & (area.age < 51 * 12) & (area.state == CODE["activity_ready"])
    mine = people.state == CODE["activity_ready"]
    for column in ("sex", "origin"):
        made, wanted = (
            np.bincount(getattr(p, column)[m], minlength=3) for p, m in ((people, mine), (area, recipients))
        )
        assert made / made.sum() == pytest.approx(wanted / wanted.sum(), abs=0.005), column
    held = check("cohorts_2011", parameters, size)
    assert ((held.made - held.published).abs() <= 0.001).all()


def test_ages_are_smooth_and_reach_from_0_to_99(parameters: ParameterSet, people: Persons) -> None:
    for block in ("danish", "non_western"):
        curve = ages(parameters, block)
        assert len(curve) == LAST_AGE + 1
        assert (curve > 0).all()
        assert np.abs(np.diff(curve)).max() < 0.0025
        assert np.abs(np.diff(curve, 2)).max() < 0.0006
    assert people.age.min() >= 1
    assert people.age.max() // 12 == LAST_AGE
    months = np.bincount(people.age % 12, minlength=12) / len(people.age)
    # 60,000 people placed in twelve months; a newborn counts as one month old.
    assert months == pytest.approx(np.full(12, 1 / 12), abs=0.003)


def test_attributes_of_one_person_are_not_tied_by_the_placing(parameters: ParameterSet) -> None:
    """Among alike people nothing but chance ties them: 4 standard errors of a correlation, 1/√n each."""
    people = recipe("area", parameters).first(215_300)
    alike = (people.age >= 300) & (people.age < 612) & (people.state == CODE["activity_ready"]) & (people.sex == WOMEN)
    alike &= people.origin == ORIGINS.index("non_western")
    columns = [people.education, people.barriers & 1, people.age % 12, people.months, people.dwelling % 7]
    ties = np.corrcoef(np.stack([column[alike] for column in columns]).astype(float)) - np.eye(len(columns))
    assert alike.sum() > 2_000
    assert np.abs(ties).max() < 4 / np.sqrt(alike.sum())


def test_barriers_have_their_shares(parameters: ParameterSet, people: Persons) -> None:
    grown = people.age >= 16 * 12
    assert not people.barriers[~grown].any()
    assert not people.barriers[people.state == CODE["gone"]].any()
    for bit, barrier in enumerate(BARRIERS):
        mine = grown & (people.state == CODE["activity_ready"])
        has = (people.barriers >> bit) & 1
        if barrier == "language":
            assert not has[people.origin != ORIGINS.index("non_western")].any()
            mine = mine & (people.origin == ORIGINS.index("non_western"))
        wanted = parameters.value(f"area_barrier_{barrier}_activity_ready")
        assert has[mine].mean() == pytest.approx(wanted, abs=0.01)


# --- households


def test_households_hang_together(people: Persons) -> None:
    count = np.bincount(people.dwelling)[people.dwelling]
    whole = people.dwelling < people.dwelling[-1]  # the last dwelling may be cut
    first = np.append(True, np.diff(people.dwelling) > 0)
    assert (np.diff(people.dwelling)[~first[1:]] == 0).all()
    assert (people.member[first] == 0).all()
    assert (people.member[1:][~first[1:]] == people.member[:-1][~first[1:]] + 1).all()
    assert ((people.role == HEAD) == (people.member == 0)).all()
    couple = np.isin(people.family, [FAMILIES.index(f) for f in ("couple_without_children", "couple_with_children")])
    assert ((people.role == PARTNER) == (couple & (people.member == 1)))[whole].all()
    assert (count == 1 + couple + people.children)[whole].all()
    assert ((people.children > 0) == np.isin(people.family, (1, 3))).all()
    head = np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))
    for same in ("origin", "family", "children", "youth_dwelling"):
        column = getattr(people, same)
        assert (column == column[head]).all(), same
    child, partner = people.role == CHILD, people.role == PARTNER
    assert (people.sex[partner] != people.sex[head[partner]]).all()
    assert (people.age[child] < 25 * 12).all()
    assert (people.age[~child] >= 18 * 12).all()
    # Ages in years differ by 15 or more; months within the year can take up to eleven of that away.
    assert (people.age[head[child]] // 12 - people.age[child] // 12 >= 15).all()
    mothers = partner[head + 1 - (head + 1 == len(head))]
    has_partner = child & mothers[np.arange(len(head))]
    other = people.age[np.minimum(head + 1, len(head) - 1)]
    assert has_partner.any()
    assert (other[has_partner] // 12 - people.age[has_partner] // 12 >= 15).all()
    siblings = child & np.append(False, child[:-1] & ~first[1:])
    assert (people.age[siblings] // 12 <= people.age[np.flatnonzero(siblings) - 1] // 12).all()


def test_youth_dwellings_hold_one_young_head(people: Persons) -> None:
    count = np.bincount(people.dwelling)[people.dwelling]
    young = (people.age < 25 * 12) & (people.role == HEAD) & (people.family == FAMILIES.index("single"))
    assert (people.youth_dwelling == young).all()
    assert (count[people.youth_dwelling] == 1).all()
    assert people.youth_dwelling.sum() > 1_000


def test_flags_agree_with_the_states_of_the_parents(people: Persons) -> None:
    adult = (people.role != CHILD).astype(int)
    dwellings = people.dwelling[-1] + 1

    def adults(mine: np.ndarray) -> np.ndarray:
        return np.bincount(people.dwelling, weights=adult * mine, minlength=dwellings)[people.dwelling]

    child = people.role == CHILD
    pension = adults(people.state == CODE["disability_pension"])
    flags = {
        MOTHER: adults(people.sex == WOMEN) > 0,
        FATHER: adults(people.sex != WOMEN) > 0,
        PARENT_TRANSFER: adults(np.isin(people.state, TRANSFERS)) > 0,
        PARENT_PENSION: pension >= 1,
        PARENTS_PENSION: pension >= 2,
    }
    for bit, wanted in flags.items():
        assert (((people.parents & bit) > 0) == (wanted & child)).all(), bit
        assert wanted[child].any()


def test_states_and_months_fit_the_age(people: Persons) -> None:
    years = people.age // 12
    assert ((people.state == CODE["basic_school"]) >= (years < 16)).all()
    assert ((people.state == CODE["gone"]) == (years >= RETIREMENT_AGE)).all()
    assert not np.isin(people.state, (CODE["activation"], CODE["flex_job"])).any()
    assert (people.months >= 1).all()
    assert (people.months <= people.age).all()
    assert people.education.max() < len(EDUCATIONS)
    assert (people.education[years < 18] == 0).all()


def test_columns_have_the_agreed_types(parameters: ParameterSet) -> None:
    people = recipe("area", parameters).first(100)
    wanted = {"dwelling": np.int32, "age": np.int16, "months": np.int16}
    wanted |= dict.fromkeys(("youth_dwelling", "insured"), np.bool_)
    for name, column in people._asdict().items():
        assert column.dtype == wanted.get(name, np.uint8), name
        assert column.shape == (100,)


# --- places


@pytest.mark.parametrize("name", ["area", "cohorts_2011"])
def test_a_larger_area_contains_the_smaller_one(parameters: ParameterSet, name: str) -> None:
    made = recipe(name, parameters)
    large = made.first(20_000)
    for size in (1, 17, 2_419, 14_892):
        small = made.first(size)
        for column, longer in zip(small, large, strict=True):
            assert (column == longer[:size]).all()


def test_a_newcomer_depends_on_nobody_else(parameters: ParameterSet) -> None:
    area = recipe("area", parameters)
    youth = uniform("kind", np.arange(300), np.zeros(300)) < 0.2
    all_of_them = area.newcomers(youth, luck)
    picked = np.array([250, 3, 77])
    few = area.newcomers(youth[picked], lambda decisions, household, member: luck(decisions, picked[household], member))
    for index, household in enumerate(picked):
        for name, column in few._asdict().items():
            mine = column[few.dwelling == index]
            assert len(mine) >= 1
            if name != "dwelling":
                assert (mine == getattr(all_of_them, name)[all_of_them.dwelling == household]).all(), name
    assert len(area.newcomers(np.zeros(0, dtype=bool), luck).age) == 0


def test_newcomers_are_people_of_the_recipe(parameters: ParameterSet) -> None:
    """Within four standard errors of a sample of dwellings, for each of 15 shares."""
    area = recipe("area", parameters)
    households = 20_000
    youth = uniform("kind", np.arange(households), np.zeros(households)) < (area.cells.weight @ area.cells.youth)
    new, settled = area.newcomers(youth, luck), area.first(200_000)
    head = np.append(True, np.diff(new.dwelling) > 0)
    assert (new.youth_dwelling[head] == youth).all()
    shares: list[Callable[[Persons], np.ndarray]] = [
        lambda p: p.origin == ORIGINS.index("non_western"),
        lambda p: p.sex == WOMEN,
        lambda p: p.age < 16 * 12,
        lambda p: p.age >= 51 * 12,
        lambda p: p.months > 60,
        lambda p: p.barriers > 0,
        lambda p: p.age % 12 < 6,
        *[lambda p, code=CODE[key]: p.state == code for key in ("employed", "activity_ready", "disability_pension")],
        *[lambda p, code=code: p.education == code for code in range(len(EDUCATIONS))],
    ]
    for number, mine in enumerate(shares):
        share = mine(settled).mean()
        off = np.bincount(new.dwelling, weights=mine(new) - share)
        assert abs(off.sum()) < 4 * np.sqrt((off**2).sum()), number


def test_the_fit_is_the_same_with_any_number_of_threads(parameters: ParameterSet) -> None:
    code = (
        "import hashlib; from sim.parameters import ParameterSet; from sim.recipe import recipe;"
        "w = recipe('area', ParameterSet.read('history')).cells.weight; print(hashlib.sha256(w.tobytes()).hexdigest())"
    )
    root = Path(sim.__file__).parents[1]
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            cwd=root,
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads, "PYTHONPATH": str(root)},
        ).stdout
        for threads in ("1", "2")
    }
    assert len(found) == 1


def test_a_recipe_is_fitted_once_for_the_same_values(parameters: ParameterSet) -> None:
    assert recipe("area", parameters) is recipe("area", parameters.replace({}))
    changed = parameters.replace({"area_share_danish": 0.4})
    assert recipe("area", changed) is not recipe("area", parameters)
    danish = recipe("area", changed).first(5_000).origin == ORIGINS.index("danish")
    assert danish.mean() == pytest.approx(0.4, abs=0.01)


# --- the tools


def test_raking_finds_what_iterative_proportional_fitting_finds() -> None:
    seed = np.array([[2.0, 1.0, 1.0], [1.0, 3.0, 2.0]])
    row, column = np.array([0.3, 0.7]), np.array([0.5, 0.2, 0.3])
    features = np.zeros((6, 5))
    for cell in range(6):
        features[cell, cell // 3] = features[cell, 2 + cell % 3] = 1
    fitted = rake(seed.ravel(), features, np.concatenate([row, column])).reshape(2, 3)
    assert fitted == pytest.approx(joint(seed, row, column), abs=20 * GRID)
    assert joint(seed, row, column).sum(axis=0) == pytest.approx(column, abs=1e-9)


def test_raking_meets_contradicting_totals_halfway() -> None:
    fitted = rake(np.ones(2), np.array([[1.0, 1.0], [0.0, 0.0]]), np.array([0.2, 0.4]))
    assert 0.2 <= fitted[0] <= 0.4


def test_smooth_curves_keep_their_totals() -> None:
    curve = smoothest((0, 10, 30), (0.4, 0.6))
    assert [curve[:10].sum(), curve[10:].sum()] == pytest.approx([0.4, 0.6], abs=1e-6)
    assert np.abs(np.diff(curve)).max() < 0.01


def test_ranks_count_earlier_entries_of_the_group() -> None:
    group = np.array([2, 0, 2, 2, 0])
    assert rank(group, 3).tolist() == [0, 0, 1, 2, 1]
    assert pick(np.array([[0.5, 1.0], [0.1, 1.0]]), np.array([0, 0, 1]), np.array([0.4, 0.5, 0.2])).tolist() == [
        0,
        1,
        1,
    ]


# --- evidence and cards


def test_every_row_about_2011_is_used_or_left_out_with_its_reasons() -> None:
    reasons = left_out()
    named = {id for id, _, _ in reasons}
    assert set(about_2011()) == (set(about_2011()) & used()) | named
    assert not named & used()
    assert len(named) == len(reasons) > 50
    assert all(len(da) > 10 and len(en) > 10 and da != en for _, da, en in reasons)
    assert all(id.removeprefix("n") in rows("targets") or id in {"n", "men", "women"} for id in used())


def v(id: str) -> float:
    return float(evidence(id)["value"])


def quotient(part: str, whole: str) -> float:
    return v(part) / v(whole)


def women_to_men(origin: str) -> float:
    early, late = (v(f"fig4_11_employed_women_{origin}_{year}") for year in (2009, 2016))
    return (early + (late - early) * 2 / 7) / v(f"fig4_11_employed_men_{origin}")


def adults() -> float:
    return sum(v(f"fig4_12_n_all_{origin}_supported_areas") for origin in ("danish", "non_western"))


def at_home(origin: str) -> float:
    return float(evidence(f"fig5_6_single_parent_{origin}_comparison")["n"]) / v(f"tab5_3_n_{origin}_comparison")


def middle(origin: str) -> float:
    return quotient(f"fig4_12_n_all_{origin}_supported_areas", f"annexfig6_2_n_{origin}_supported_areas_2011")


DERIVED: dict[str, Callable[[], float]] = {
    "area_under_25_danish": lambda: (1 - middle("danish")) / 2,
    "area_25_50_danish": lambda: middle("danish"),
    "area_25_50_non_western": lambda: middle("non_western"),
    "area_home_15_20_danish": lambda: at_home("danish_western"),
    "area_home_15_20_non_western": lambda: at_home("non_western"),
    "area_women_to_men_employed_danish": lambda: women_to_men("danish"),
    "area_women_to_men_employed_non_western": lambda: women_to_men("non_western"),
    "area_job_ready_share_of_unemployed": lambda: (
        v("fig4_13_n_jobready_2011") / (v("fig4_12_derived_unemployed_all_2011") * adults())
    ),
    "area_activity_ready_share_of_outside": lambda: (
        v("fig4_13_n_other_2011") / (v("fig4_12_derived_outside_all_2011") * adults())
    ),
}
"""How values that are neither a printed row, nor a sum or a quotient of two, follow from the rows their card names."""


def follows(id: str, sources: tuple[str, ...]) -> float:
    if id in DERIVED:
        return DERIVED[id]()
    if len(sources) == 2 and all(evidence(source)["measure"] == "count" for source in sources):
        return quotient(*sources)
    return sum(v(source) for source in sources)


def test_cards_of_people_are_complete_and_those_printed_have_their_value(parameters: ParameterSet) -> None:
    mine = {id: card for id, card in parameters.items() if re.match("area_|household_", id)}
    assert len(mine) > 100
    for id, card in mine.items():
        low, high = card.range
        assert low <= card.value <= high, id
        assert card.label_da != card.label_en, id
        if ASSUMPTION in card.source:
            assert card.grade == "D", id
            assert low < high, id
        else:
            assert card.value == pytest.approx(follows(id, card.source), rel=1e-5), id


def test_the_rest_group_of_danish_men_is_solved(parameters: ParameterSet) -> None:
    held = check("area", parameters, 215_300).set_index("target")
    assert held.made["fig4_14_rest_group_men_danish_2009_2013"] == pytest.approx(0.25, abs=0.002)


def test_shares_of_one_whole_sum_to_one_or_leave_a_rest(parameters: ParameterSet) -> None:
    def total(pattern: str) -> float:
        found = [card.value for id, card in parameters.items() if re.fullmatch(pattern, id)]
        assert found, pattern
        return sum(found)

    for origin in ("danish", "non_western"):
        assert total(f"area_family_.*(?<!non)_{origin}") == pytest.approx(1, abs=1e-9)
        for sex in SEXES:
            assert total(f"area_education_.*_{sex}_{origin}") == pytest.approx(1, abs=1e-5)
        assert 0 < total(f"area_neet_education_.*(?<!non)_{origin}") < 1
    assert total("household_children_.") == pytest.approx(1)
    for rest in ("area_share_.*", "area_rest_share_.*", "area_youth_neet_share_.*", "area_17_.*", "area_16_women_.*"):
        assert 0 < total(rest) < 1, rest
    assert 0 < total("area_20_24_employed_.*") < 1
    assert len(STATUSES) == 10

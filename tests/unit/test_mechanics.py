"""The mechanics of courses, each once where it must act and once where it must not."""

from collections.abc import Callable

import numpy as np
import pytest
from courses import Folk, course_of, live, months_of, plan, programme, rows_of, shift, suiting

from sim import AreaModel, Scenario
from sim.activities import catalogue
from sim.activities.base import CHANNELS
from sim.activities.programme import RULE_225_FROM
from sim.parameters import ParameterSet
from sim.population import Population
from sim.scenario import Closure, month_number
from sim.shifting import SLOWED_BY_BARRIERS, OwnHazards
from sim.states import BARRIERS, CODE, SEXES
from sim.transitions import ACTIVATED, COUNTS_AS, OUT_OF_ACTIVATION, PHASE_STATE, Tables

Live = Callable[..., AreaModel]
FLAG = {barrier: 1 << at for at, barrier in enumerate(BARRIERS)}
JOB = "job_ready_to_employed"
HAZARD = Tables.of(ParameterSet.read("history"), 2011).hazard
THREE = 3.0
"""Standard errors allowed."""


# --- staff and relation


@pytest.mark.parametrize(
    ("staff", "elasticity", "left"),
    [(0, 1.0, 1.0), (4, 1.0, 1.0), (8, 1.0, 1.0), (1, 1.0, 0.25), (1, 0.5, 0.5), (3, 1.0, 0.75), (1, 0.0, 1.0)],
)
def test_too_few_staff_thin_the_effect_by_the_contact_left_to_each(staff: int, elasticity: float, left: float) -> None:
    people = Folk(40, state=CODE["job_ready"])
    item = plan(
        "coordinating_caseworker",
        staff=staff,
        caseload_per_staff=10,
        caseload_elasticity=elasticity,
        **{f"effect_{JOB}_during": 0.8},
    )
    courses = programme([item], people)
    live(courses, people, 1)
    np.testing.assert_allclose(shift(courses, JOB, 1, people), 0.8 * left, rtol=1e-12)


def test_the_caseload_is_that_of_each_replicate() -> None:
    """Twenty in one, five in the other: one member of staff for ten thins the first only."""
    people = Folk(40, state=CODE["job_ready"])
    people.put(np.arange(25, 40), "employed")
    item = plan("coordinating_caseworker", staff=1, caseload_per_staff=10, **{f"effect_{JOB}_during": 0.8})
    courses = programme([item], people, replicates=2)
    live(courses, people, 1)
    np.testing.assert_allclose(shift(courses, JOB, 1, people), np.repeat([0.4, 0.8, 0.0], [20, 5, 15]), rtol=1e-12)


@pytest.mark.parametrize("months", [0, 1, 4])
def test_the_relation_grows_to_full_strength_in_its_months(months: int) -> None:
    people = Folk(10, state=CODE["job_ready"])
    item = plan("coordinating_caseworker", relation_months=months, start="2012-03", **{f"effect_{JOB}_during": 0.8})
    courses = programme([item], people)
    for month in range(1, 12):
        courses.run_month(month, people)
        expected = 0.0 if month < 3 else 0.8 * min((month - 2) / max(months, 1), 1.0)
        np.testing.assert_allclose(shift(courses, JOB, month, people), expected, rtol=1e-12)


def strengths(turnover: float, months: int = 60, relation: float = 6, staff: int = 3) -> np.ndarray:
    """Return the effect on each of 60 people with three members of staff, month by month."""
    people = Folk(60, state=CODE["job_ready"])
    item = plan(
        "coordinating_caseworker",
        places=60,
        staff=staff,
        caseload_per_staff=20,
        relation_months=relation,
        staff_turnover_per_month=turnover,
        **{f"effect_{JOB}_during": 1.0},
    )
    courses = programme([item], people)
    found = []
    for month in range(1, months + 1):
        courses.run_month(month, people)
        found.append(shift(courses, JOB, month, people))
    return np.array(found)


def test_turnover_begins_the_relation_anew_for_all_participants_of_that_person_at_once() -> None:
    found = strengths(0.15)
    grown = np.array([1 / 6, *np.minimum(found[:-1, 0] + 1 / 6, 1)])
    lives, whose = np.unique(found.round(9), axis=1, return_inverse=True)
    assert lives.shape[1] == 3
    size = np.bincount(whose.ravel())
    # Binomial: who has whom is drawn, a third each.
    assert (abs(size - 20) < THREE * np.sqrt(60 * 2 / 9)).all()
    for of in lives.T:
        up = np.isclose(np.diff(of), 1 / 6) | (of[1:] == 1)
        again = np.isclose(of[1:], 1 / 6)
        assert (up | again).all(), "it grows, or begins anew"
    resets = np.isclose(lives[1:], 1 / 6) & (lives[:-1] > 0.17)
    assert (resets.sum(axis=0) > 0).all()
    assert (resets.sum(axis=1) < 3).any(), "not all of them leave together"
    assert grown.max() == 1


@pytest.mark.parametrize(("staff", "lives"), [(0, 3), (5, 5)])
def test_there_are_as_many_members_of_staff_as_said_or_else_enough_for_the_places(staff: int, lives: int) -> None:
    assert np.unique(strengths(0.15, staff=staff).round(9), axis=1).shape[1] == lives


def test_without_turnover_nobody_begins_anew_and_the_rate_is_the_staff_s() -> None:
    assert len(np.unique(strengths(0.0).round(9), axis=1).T) == 1
    assert (np.diff(strengths(0.0), axis=0) >= 0).all()
    # Each month each of three leaves with chance 1 - exp(-0.3); the relation never counts more than one month.
    found = strengths(0.3, months=110, relation=1200)
    first = np.unique(found.round(9), axis=1)
    left = np.isclose(first[1:], 1 / 1200).mean()
    chance = -np.expm1(-0.3)
    assert abs(left - chance) < THREE * np.sqrt(chance * (1 - chance) / (3 * 109))


# --- groups


def test_members_who_get_work_stay_and_their_share_raises_the_others() -> None:
    people = Folk(10, state=CODE["job_ready"])
    courses = programme([plan("self_governing_network_group", effect_role_models=0.6)], people)
    live(courses, people, 1)
    (group,) = courses.courses
    assert not shift(courses, JOB, 1, people).any(), "nobody works yet"
    people.put(slice(0, 3), "employed")
    live(courses, people, 2, first=2)
    found = shift(courses, JOB, 2, people)
    assert group.queue_months[-1].enrolled.tolist() == [10]
    np.testing.assert_allclose(found[3:], 0.6 * 3 / 9, rtol=1e-12, err_msg="three of the nine others work")
    assert not found[:3].any()
    people.put(slice(0, 9), "employed")
    live(courses, people, 3, first=3)
    np.testing.assert_allclose(shift(courses, JOB, 3, people)[9], 0.6, rtol=1e-12, err_msg="everybody else works")


def test_other_courses_and_other_replicates_have_no_role_models() -> None:
    people = Folk(10, state=CODE["job_ready"])
    plain = plan("coordinating_caseworker", **{f"effect_{JOB}_during": 0.5})
    courses = programme([plan("self_governing_network_group", effect_role_models=0.6), plain], people, replicates=2)
    live(courses, people, 1)
    people.put(slice(0, 4), "employed")
    live(courses, people, 2, first=2)
    found = shift(courses, JOB, 2, people)
    np.testing.assert_allclose(found[5:], 0.5, err_msg="the other replicate's group has nobody in work")
    np.testing.assert_allclose(found[4], 0.5 + 0.6)
    assert sorted(rows_of(course_of(courses.courses, plain.id), "left_target_group")) == [0, 1, 2, 3]
    assert not rows_of(course_of(courses.courses, "self_governing_network_group"), "left_target_group")


# --- contacts


def mothers(people: Folk, *others: str, **changes: object) -> dict[str, object]:
    """Return the courses of network mothers, of whom rows 0-9 hear, with ``others`` that nobody hears of."""
    silent = {
        key: dict.fromkeys((id for id in catalogue()[key].parameters if id.startswith("reach_")), 0.0) for key in others
    }
    items = [plan("network_mothers", **{"contacts_per_month": 20.0, "duration_months": 3, **changes})]
    courses = programme([*items, *(plan(key, **silent[key]) for key in others)], people)
    return {"all": courses, **{course.plan.id: course for course in courses.courses}}


def neighbours() -> Folk:
    """Ten mothers in work; from 10 on: 20 isolated women, 20 others, 20 isolated men, 10 isolated women gone away."""
    people = Folk(80)
    people.put(slice(0, 10), "employed")
    people.barriers[[*range(10, 30), *range(50, 80)]] = FLAG["isolation"]
    people.sex[50:70] = SEXES.index("men")
    people.in_area[70:] = False
    people.birth[10:] = -70 * 12
    people.birth[:10] = -30 * 12
    return people


def test_mothers_reach_isolated_women_who_come_to_what_they_are_brought_to_the_month_after() -> None:
    people = neighbours()
    people.birth[10:] = -40 * 12
    # Nobody but the ten hears of the mothers: the others are of another age until they have begun.
    found = mothers(people, "preparatory_adult_education", places=10)
    live(found["all"], people, 8)
    enrolled = set(rows_of(found["network_mothers"], "enrolled"))
    contacted = months_first(found["network_mothers"], "contacted")
    assert enrolled
    assert contacted.keys() <= set(range(10, 30))
    assert len(contacted) > 10
    referred = months_of(found["preparatory_adult_education"], "referred")
    free = {row: month for row, month in contacted.items() if month < 8}
    assert referred == {row: month + 1 for row, month in free.items()}


def months_first(course: object, event: str) -> dict[int, int]:
    """Return the first month of ``event`` by row."""
    found: dict[int, int] = {}
    for name, month, rows in course.events():
        if name == event:
            for row in rows.tolist():
                found.setdefault(row, month)
    return found


def test_without_contacts_nobody_is_met_and_former_mothers_stop_after_their_months() -> None:
    people = neighbours()
    found = mothers(people, "preparatory_adult_education", contacts_per_month=0.0)
    live(found["all"], people, 12)
    assert not rows_of(found["network_mothers"], "contacted")
    assert not rows_of(found["preparatory_adult_education"], "referred")
    people = neighbours()
    people.birth[10:] = -30 * 12
    found = mothers(people, active_months=4, contacts_per_month=20.0, places=10)
    people.put(slice(10, 80), "employed")
    people.barriers[:] = FLAG["isolation"]
    people.put(slice(30, 50), "job_ready")
    found = mothers(people, active_months=4, end="2012-04", duration_months=3)
    live(found["all"], people, 30)
    last = max(months_of(found["network_mothers"], "completed").values())
    met = {month for name, month, _ in found["network_mothers"].events() if name == "contacted"}
    assert max(met) == last + 4
    assert met == set(range(min(met), last + 5))


@pytest.mark.parametrize("other", [False, True], ids=["alone", "beside another course"])
def test_former_mothers_go_on_when_the_scheme_is_over_whatever_else_runs(other: bool) -> None:
    people = neighbours()
    people.birth[10:] = -40 * 12
    items = [plan("network_mothers", contacts_per_month=20.0, end="2012-04", active_months=6, duration_months=2)]
    items += [plan("pocket_money_job")] if other else []
    courses = programme(items, people)
    live(courses, people, 20)
    mother = course_of(courses.courses, "network_mothers")
    ends = rows_of(mother, "completed", "closed")
    met = {month for name, month, _ in mother.events() if name == "contacted"}
    assert ends
    assert max(met) > 4 + 2


def test_nobody_is_brought_to_a_course_before_it_begins_or_after_it_has_ended() -> None:
    people = neighbours()
    people.birth[10:] = -40 * 12
    reach = {"reach_outreach": 0.0}
    mother = plan("network_mothers", contacts_per_month=20.0)
    course = plan("preparatory_adult_education", start="2012-06", end="2012-08", **reach)
    courses = programme([mother, course], people)
    live(courses, people, 14)
    taught = course_of(courses.courses, course.id)
    assert set(months_of(taught, "referred").values()) <= {6, 7, 8}
    assert min(months_of(taught, "enrolled").values()) == 6
    assert max(months_of(taught, "enrolled").values()) <= 8


def test_the_isolation_of_those_met_is_eased_by_the_measured_amount_and_of_nobody_else() -> None:
    people = neighbours()
    people.birth[10:] = -40 * 12
    found = mothers(people, eases_isolation=0.4, places=10)
    live(found["all"], people, 1)
    met = set(rows_of(found["network_mothers"], "contacted"))
    assert not met
    live(found["all"], people, 2, first=2)
    met = set(rows_of(found["network_mothers"], "contacted"))
    eased = np.flatnonzero(shift(found["all"], "eases_isolation", 2, people))
    enrolled = set(rows_of(found["network_mothers"], "enrolled"))
    assert met
    assert set(eased.tolist()) == met | enrolled


# --- groups of husbands


def couples() -> Folk:
    """Rows 0-9 husbands and 10-19 their wives, both self-supporting; 20-24 men who live alone."""
    people = Folk(25, state=CODE["self_supporting"])
    people.sex[[*range(10), *range(20, 25)]] = SEXES.index("men")
    people.partners[:10], people.partners[10:20] = np.arange(10, 20), np.arange(10)
    return people


def test_a_group_of_husbands_acts_on_their_wives_while_it_lasts_and_after() -> None:
    people, name = couples(), "self_supporting_to_employed"
    effects = {f"effect_{name}_during": 0.5, f"effect_{name}_after": 0.4, "eases_family": 0.3}
    courses = programme([plan("spouse_engagement", duration_months=3, half_life_months=24, **effects)], people)
    (group,) = courses.courses
    live(courses, people, 2)
    assert set(rows_of(group, "enrolled")) == {*range(10), *range(20, 25)}
    assert set(rows_of(group, "covered")) == set(range(10, 20))
    np.testing.assert_allclose(shift(courses, name, 2, people), [0.0] * 10 + [0.5] * 10 + [0.0] * 5)
    np.testing.assert_allclose(shift(courses, "eases_family", 2, people), [0.0] * 10 + [0.3] * 10 + [0.0] * 5)
    live(courses, people, 4, first=3)
    assert len(rows_of(group, "completed")) == 15
    np.testing.assert_allclose(shift(courses, name, 4, people), [0.0] * 10 + [0.4] * 10 + [0.0] * 5)
    assert np.isin(np.flatnonzero(courses.moving(4)), np.arange(len(people))).all()
    assert set(courses.moving(4).tolist()) == set(range(10, 20))


@pytest.mark.parametrize(("effect", "eased"), [(-0.8, True), (0.0, False)])
def test_a_wife_s_barrier_is_eased_only_if_she_has_it_and_barriers_act(effect: float, eased: bool) -> None:
    """Fully eased, a woman with the family barrier has the hazards of one without it."""
    parameters = ParameterSet.read("history").replace({"barrier_effect_family": effect})
    model = AreaModel(Scenario.read("baseline", ["population.residents=600"]), parameters=parameters)
    people, own = model.population, OwnHazards(("eases_family",), parameters, model.population, HAZARD)
    rows = np.flatnonzero((people.state == CODE["self_supporting"]) & (people.birth <= -18 * 12))
    has = (people.barriers[rows] & FLAG["family"]) > 0
    none, full = (own.shifts(rows, np.full((1, len(rows)), share), people) for share in (0.0, 1.0))
    work = np.isin(PHASE_STATE, CODE["employed"])
    assert has.any()
    assert not has.all()
    np.testing.assert_allclose(full[has][:, work] - none[has][:, work], -effect)
    assert not (full - none)[~has].any()
    assert (full != none).any() == eased
    assert not (full - none)[:, np.isin(PHASE_STATE, CODE["job_ready"])].any(), "only ways towards work"


# --- who hears of a course


def test_channels_reach_each_state_with_their_own_hazard_exactly() -> None:
    """Caseworkers and outreach both reach recipients, outreach alone the self-supporting: twice the hazard."""
    rows = 40_000
    people = Folk(rows)
    states = ("job_ready", "self_supporting")
    for at, state in enumerate(states):
        people.put(slice(at * rows // 2, (at + 1) * rows // 2), state)
    item = plan("coordinating_caseworker", take_up=0.0, reach_caseworker=0.05, reach_outreach=0.05)
    courses = programme([item], people)
    live(courses, people, 12)
    referred = months_of(courses.courses[0], "referred")
    when = np.array([referred.get(row, 99) for row in range(rows)]).reshape(2, -1)
    for months, hazard in zip(when, (0.1, 0.05), strict=True):
        risk = sum((months >= month).sum() for month in range(1, 13))
        chance = -np.expm1(-hazard)
        assert abs((months <= 12).sum() - risk * chance) < THREE * np.sqrt(risk * chance * (1 - chance))
        for month in range(1, 13):
            left = (months >= month).sum()
            # Twenty-four months are looked at, each by itself: one in a thousand errs over four standard errors.
            assert abs((months == month).sum() - left * chance) < 4 * np.sqrt(left * chance * (1 - chance))


def test_who_changes_state_is_reached_as_the_new_state_from_then_on() -> None:
    rows = 20_000
    people = Folk(rows, state=CODE["self_supporting"])
    item = plan("coordinating_caseworker", take_up=0.0, reach_caseworker=0.3, reach_outreach=0.02)
    courses = programme([item], people)
    live(courses, people, 6)
    people.put(slice(None), "job_ready")
    live(courses, people, 12, first=7)
    referred = months_of(courses.courses[0], "referred")
    when = np.array([referred.get(row, 99) for row in range(rows)])
    for months, hazard in ((range(1, 7), 0.02), (range(7, 13), 0.32)):
        risk = sum((when >= month).sum() for month in months)
        chance = -np.expm1(-hazard)
        found = np.isin(when, months).sum()
        assert abs(found - risk * chance) < THREE * np.sqrt(risk * chance * (1 - chance))


def test_a_state_that_no_channel_reaches_is_never_referred() -> None:
    people = Folk(200, state=CODE["self_supporting"])
    people.put(slice(100, None), "activity_ready")
    item = plan("entrepreneurship", reach_caseworker=20.0, reach_outreach=0.0)
    assert "self_supporting" not in CHANNELS["caseworker"].states
    courses = programme([item], people)
    live(courses, people, 24)
    assert set(rows_of(courses.courses[0], "referred")) == set(range(100, 200))


@pytest.mark.parametrize(("factor", "quality", "missing"), [(3.0, 1.0, ()), (3.0, 0.5, ()), (1.0, 1.0, ())])
def test_a_lever_multiplies_the_reach_of_its_activities_while_it_is_in_force(
    factor: float, quality: float, missing: tuple[str, ...]
) -> None:
    rows = 20_000
    people = Folk(rows, state=CODE["self_supporting"])
    item = plan("coordinating_caseworker", take_up=0.0, reach_caseworker=0.0, reach_outreach=0.04)
    lever = plan(
        "recruitment_campaign",
        places=0,
        reach_factor=factor,
        quality=quality,
        start="2012-07",
        end="2012-12",
        missing_drivers=missing,
    )
    courses = programme([item, lever], people)
    live(courses, people, 18)
    referred = months_of(course_of(courses.courses, item.id), "referred")
    when = np.array([referred.get(row, 99) for row in range(rows)])
    raised = 1 + (factor - 1) * quality
    for months, by in ((range(1, 7), 1.0), (range(7, 13), raised), (range(13, 19), 1.0)):
        risk = sum((when >= month).sum() for month in months)
        chance = -np.expm1(-0.04 * by)
        found = np.isin(when, months).sum()
        assert abs(found - risk * chance) < THREE * np.sqrt(risk * chance * (1 - chance)), (months, by)


def test_a_lever_leaves_the_reach_of_other_activities() -> None:
    people = Folk(2_000, state=CODE["self_supporting"])
    item = plan("family_action_plan", reach_caseworker=0.0, reach_outreach=0.04)
    lever = plan("recruitment_campaign", places=0, reach_factor=10.0)
    found = []
    for items in ([item], [item, lever]):
        courses = programme(items, people)
        live(courses, people, 12)
        found.append(months_of(course_of(courses.courses, item.id), "referred"))
    assert found[0] == found[1]


# --- whose turn it is


def crowd() -> Folk:
    """Sixty people who differ in age, barriers and months in their state, none in the order of the others."""
    luck = np.random.default_rng(5)
    people = Folk(60)
    people.birth[:] = -12 * luck.permutation(np.arange(20, 60).repeat(2)[:60]) - luck.integers(0, 12, 60)
    people.barriers[:] = luck.integers(0, 16, 60)
    people.since[:] = -luck.permutation(60)
    return people


KEYS = {
    "longest_in_state": lambda people: people.since.astype(int),
    "most_barriers": lambda people: -np.bitwise_count(people.barriers).astype(int),
    "youngest": lambda people: -people.birth.astype(int),
    "oldest": lambda people: people.birth.astype(int),
}


@pytest.mark.parametrize("rule", KEYS)
def test_a_rule_takes_those_first_whom_it_names(rule: str) -> None:
    people = crowd()
    courses = programme([plan("activation", places=12, priority=rule)], people)
    live(courses, people, 3)
    key = KEYS[rule](people)
    taken = np.array(rows_of(courses.courses[0], "enrolled"))
    others = np.setdiff1d(np.arange(60), taken)
    assert len(taken) == 12
    assert key[taken].max() <= key[others].min()
    assert key[taken].mean() < key[others].mean()


def test_first_come_is_by_the_month_of_joining_and_else_by_lot() -> None:
    people = crowd()
    late = np.arange(30, 60)
    people.put(late, "employed")
    courses = programme([plan("activation", places=0), plan("activation", id="more", places=12)], people)
    queue = programme([plan("activation", places=35)], people)
    live(queue, people, 1)
    people.put(late, "activity_ready")
    live(queue, people, 2, first=2)
    taken = set(rows_of(queue.courses[0], "enrolled"))
    assert taken > set(range(30))
    assert len(taken) == 35
    del courses
    people = crowd()
    orders = []
    for seed in (1, 2):
        queue = programme([plan("activation", places=12)], people, seed=seed)
        live(queue, people, 1)
        orders.append(set(rows_of(queue.courses[0], "enrolled")))
    assert orders[0] != orders[1], "ties are drawn"
    for key in KEYS.values():
        assert key(people)[list(orders[0])].max() > np.delete(key(people), list(orders[0])).min()


def test_a_rule_of_one_course_leaves_the_queue_of_another() -> None:
    found = []
    for rule in ("first_come", "oldest"):
        people = crowd()
        items = [plan("activation", places=12, priority=rule), plan("entrepreneurship", places=12)]
        courses = programme(items, people)
        live(courses, people, 3)
        found.append([sorted(rows_of(course, "enrolled")) for course in courses.courses])
    assert found[0][0] != found[1][0]
    assert found[0][1] == found[1][1]


# --- after the grant, and closures


def test_places_that_survive_the_grant_halve_month_by_month() -> None:
    people = Folk(400)
    item = plan(
        "resident_driven_job_activities",
        places=40,
        end="2012-06",
        survival_share=0.5,
        survival_half_life_months=4,
        duration_months=2,
    )
    courses = programme([item], people)
    live(courses, people, 40)
    months = {queue.month: queue.places for queue in courses.courses[0].queue_months}
    expected = {
        month: 40 if month <= 6 else int(np.floor(20 * 0.5 ** ((month - 6) / 4) + 0.5)) for month in range(1, 41)
    }
    assert months == {month: places for month, places in expected.items() if places or month in months}
    assert max(month for month, places in months.items() if places) == max(m for m, p in expected.items() if p)
    assert len(set(months_of(courses.courses[0], "enrolled").values())) > 6
    assert max(months_of(courses.courses[0], "enrolled").values()) > 6


def test_without_survival_the_last_month_is_that_of_the_grant() -> None:
    people = Folk(400)
    courses = programme([plan("resident_driven_job_activities", places=40, end="2012-06", duration_months=2)], people)
    live(courses, people, 40)
    (course,) = courses.courses
    assert max(months_of(course, "enrolled").values()) <= 6
    assert max(months_of(course, "referred").values()) <= 6
    assert course.queue_months[-1].month == 7
    assert not shift(courses, JOB, 8, people).any()


CLOSED = Closure("lockdown", "2012-03", "2012-05")
"""Months 3, 4 and 5."""


def test_a_placement_is_suspended_nobody_admitted_and_time_stands_still() -> None:
    """Five months of stay take eight, effects and their dose do not count, nobody is referred."""
    effect = {"effect_activation_to_employed_during": 0.5, "effect_activation_to_employed_after": 0.4}
    people = Folk(30, state=CODE["activation"])
    people.in_area[20:] = False
    item = plan("internship", places=25, duration_months=5, half_life_months=1000, **effect)
    courses = programme([item], people, [CLOSED])
    (course,) = courses.courses
    for month in range(1, 12):
        people.in_area[20:] = month >= 3
        courses.run_month(month, people)
        first = shift(courses, "activation_to_employed", month, people)[:20]
        if month in (3, 4, 5):
            assert not first.any()
        elif month < 9:
            np.testing.assert_allclose(first, 0.5)
        else:
            np.testing.assert_allclose(first, 0.4, rtol=0.01)
    assert set(months_of(course, "enrolled").values()) == {1, 6, 9}
    ends = months_of(course, "completed")
    assert {ends[row] for row in range(20)} == {9}
    assert not {3, 4, 5} & set(months_of(course, "referred").values())


def test_nobody_is_clarified_in_a_suspended_workshop_and_its_relation_waits() -> None:
    people = suiting(catalogue()["sewing_workshop"], 300)
    name = "activity_ready_to_job_ready"
    item = plan("sewing_workshop", clarification_per_month=0.1, relation_months=10, **{f"effect_{name}_during": 1.0})
    courses = programme([item], people, [CLOSED])
    (course,) = courses.courses
    for month in range(1, 9):
        courses.run_month(month, people)
        found = shift(courses, name, month, people)
        if month in (2, 6):
            strength = {2: 0.2, 6: 0.3}[month]
            np.testing.assert_allclose(found[found > 0], strength)
    clarified = {month for event, month, _ in course.events() if event.startswith("clarified")}
    assert clarified == {2, 6, 7, 8}


@pytest.mark.parametrize(
    ("activities", "strength"), [((), 0.3), (("coordinating_caseworker",), 0.3), (("other",), 1.0)]
)
def test_talks_and_groups_go_on_virtually_in_the_courses_concerned(
    activities: tuple[str, ...], strength: float
) -> None:
    people = Folk(20, state=CODE["job_ready"])
    item = plan("coordinating_caseworker", virtual_quality=0.3, duration_months=6, **{f"effect_{JOB}_during": 0.5})
    courses = programme([item], people, [Closure("lockdown", "2012-03", "2012-05", activities)])
    for month in range(1, 7):
        courses.run_month(month, people)
        expected = 0.5 * (strength if 3 <= month <= 5 else 1.0)
        np.testing.assert_allclose(shift(courses, JOB, month, people), expected, rtol=1e-12)
    live(courses, people, 7, first=7)
    assert set(months_of(courses.courses[0], "completed").values()) == {7}, "time goes on"


# --- quality and alumni


@pytest.mark.parametrize(
    ("missing", "hindered", "quality", "expected"),
    [(0, 0, 1.0, 1.0), (1, 0, 1.0, 0.8), (1, 2, 1.0, 0.4), (0, 1, 0.7, 0.5), (3, 3, 0.5, 0.0)],
)
def test_missing_drivers_and_hindrances_take_their_points_off_the_effect(
    missing: int, hindered: int, quality: float, expected: float
) -> None:
    activity = catalogue()["internship"]
    people = Folk(10, state=CODE["job_ready"])
    item = plan(
        "internship",
        quality=quality,
        quality_per_point=0.2,
        missing_drivers=tuple(point.id for point in activity.drivers[:missing]),
        hindrances=tuple(point.id for point in activity.hindrances[:hindered]),
        **{f"effect_{JOB}_during": 0.5},
    )
    courses = programme([item], people)
    live(courses, people, 1)
    np.testing.assert_allclose(shift(courses, JOB, 1, people), 0.5 * expected, atol=1e-12)


@pytest.mark.parametrize(("signal", "full"), [(0.5, 20), (0.5, 40), (0.0, 20)])
def test_the_signal_of_known_alumni_grows_with_their_number(signal: float, full: int) -> None:
    """Each lasting month by month; those who leave when many have been through get more."""
    activity = catalogue()["pocket_money_job"]
    people = suiting(activity, 40)
    item = plan(
        "pocket_money_job",
        places=10,
        duration_months=2,
        effect_alumni_signal=signal,
        alumni_full=full,
        effect_start_during=0.0,
        effect_start_after=0.0,
        half_life_months=1200,
        gap_age=0,
    )
    courses = programme([item], people)
    live(courses, people, 8)
    done = months_of(courses.courses[0], "completed")
    assert sorted(set(done.values())) == [3, 5, 7]
    found = shift(courses, "start", 8, people)
    for row in range(40):
        ended = {3: 10, 5: 20, 7: 30}.get(done.get(row, 0), 0)
        assert found[row] == pytest.approx(signal * min(ended / full, 1.0), abs=0.003)


# --- clarification, openings, offers that fill the week


@pytest.mark.parametrize("quality", [1.0, 0.6])
def test_clarification_has_its_rate_and_its_outcomes(quality: float) -> None:
    activity = catalogue()["individual_clarification_course"]
    people = suiting(activity, 20_000)
    shares = {"clarified_to_flex_job": 0.3, "clarified_to_pension": 0.1, "clarified_closer": 0.2}
    item = plan(activity.key, places=20_000, clarification_per_month=0.05, quality=quality, **shares)
    courses = programme([item], people)
    risk, moved, to = 0, [], []
    for month in range(1, 13):
        happened = courses.run_month(month, people)
        moved += happened.moved.tolist()
        to += happened.to.tolist()
        risk += int(courses.courses[0].queue_months[-1].enrolled.sum()) if month < 12 else 0
    (course,) = courses.courses
    found = {
        "flex_job": rows_of(course, "clarified_flex_job"),
        "disability_pension": rows_of(course, "clarified_pension"),
        "job_ready": rows_of(course, "clarified_closer"),
        "none": rows_of(course, "clarified_none"),
    }
    number = sum(map(len, found.values()))
    chance = -np.expm1(-0.05) * quality
    assert abs(number - risk * chance) < THREE * np.sqrt(risk * chance * (1 - chance))
    for rows, share in zip(found.values(), (0.3, 0.1, 0.2, 0.4), strict=True):
        assert abs(len(rows) - number * share) < THREE * np.sqrt(number * share * (1 - share))
    wanted = {row: CODE[state] for state, rows in found.items() if state != "none" for row in rows}
    assert dict(zip(moved, to, strict=True)) == wanted
    assert not set(moved) & set(found["none"])


def test_nobody_is_clarified_at_the_rate_zero_or_in_a_course_that_does_not_clarify() -> None:
    people = suiting(catalogue()["individual_clarification_course"], 200)
    shares = {"clarified_to_flex_job": 0.6}
    items = [plan("individual_clarification_course", **shares), plan("activation")]
    courses = programme(items, people)
    live(courses, people, 24)
    events = {event for course in courses.courses for event, _, _ in course.events()}
    assert "enrolled" in events
    assert not any(event.startswith("clarified") for event in events)


def scenario(residents: int, months: int, *items: object) -> Scenario:
    read = Scenario.read("baseline", [f"population.residents={residents}", f"horizon.months={months}"])
    for item in items:
        own = {"places": item.places, "priority": item.priority, "start": item.start, "end": item.end}
        if catalogue()[item.activity].kind == "lever":
            del own["places"]
        read = read.with_activity(item.id, activity=item.activity, **own, **item.values)
    return read


def test_the_clarified_reach_flex_job_and_pension_and_stay_there(live: Live) -> None:
    item = plan(
        "outreach_employment_service",
        clarification_per_month=0.1,
        clarified_to_flex_job=0.5,
        clarified_to_pension=0.3,
        clarified_closer=0.0,
        end="2013-12",
    )
    model = live(scenario(2_000, 24, item))
    (course,) = model.courses
    table = model.ledger.table()
    for event, state in (("clarified_flex_job", "flex_job"), ("clarified_pension", "disability_pension")):
        when = months_of(course, event)
        assert len(when) > 20
        into = table[(table["kind"] == 0) & (table["after"] == CODE[state])]
        entered = dict(zip(into["row"].tolist(), into["month"].tolist(), strict=True))
        assert when.items() <= entered.items()
        assert state != "flex_job" or when == entered, "nothing else leads there"
        out = table[(table["kind"] == 0) & (table["before"] == CODE[state]) & np.isin(table["row"], list(when))]
        assert set(out["after"].tolist()) <= {CODE["gone"]}


@pytest.mark.parametrize(("places", "share", "quality"), [(7, 0.3, 1.0), (10, 1.0, 0.45), (1, 0.1, 1.0), (9, 0.0, 1.0)])
def test_openings_are_whole_ones_as_they_add_up(places: int, share: float, quality: float) -> None:
    people = Folk(1_000, state=CODE["job_ready"])
    item = plan("social_clauses", places=places, additional_share=share, quality=quality, start="2012-03")
    courses = programme([item], people)
    taken = []
    for month in range(1, 25):
        happened = courses.run_month(month, people)
        assert (happened.to == CODE["employed"]).all()
        taken += happened.moved.tolist()
        expected = int(np.floor(max(month - 2, 0) * places * share * quality + 1e-9))
        assert len(taken) == len(set(taken)) == expected, month
    assert sorted(taken) == sorted(rows_of(courses.courses[0], "took_opening"))


@pytest.mark.parametrize(
    ("key", "state"), [("social_clauses", "employed"), ("flex_sheltered_jobs", "flex_job"), ("community_jobs", "")]
)
def test_who_takes_an_opening_is_in_its_state_from_that_month(live: Live, key: str, state: str) -> None:
    model = live(scenario(2_000, 24, plan(key, places=3, additional_share=0.5, end="2013-12")))
    when = months_of(model.courses[0], "took_opening")
    assert len(when) >= 20
    table = model.ledger.table()
    if state:
        moves = table[(table["kind"] == 0) & (table["after"] == CODE[state])]
        assert when.items() <= set(zip(moves["row"].tolist(), moves["month"].tolist(), strict=True))
    else:
        side = table[(table["kind"] == 1) & (table["after"] == 1)]
        begun = set(zip(side["row"].tolist(), side["month"].tolist(), strict=True))
        # Who has a small job already keeps it: the share of recipients who do is some per cent.
        assert len(when.items() & begun) > 0.8 * len(when)


def test_who_takes_part_in_an_offer_stands_in_activation_and_returns_as_before() -> None:
    """Though activation is left at once at the usual rate; whoever is not in an offer leaves it."""
    item = plan("internship", duration_months=6, places=1_000, reach_caseworker=0.1, reach_outreach=0.0, end="2013-12")
    parameters = ParameterSet.read("history").replace({"rate_out_of_activation": 3.0})
    model = AreaModel(scenario(2_000, 24, item), parameters=parameters)
    (course,) = model.courses
    people = model.population
    on_benefit = np.array([CODE[key] for key in ("job_ready", "activity_ready", "activation")])
    enrolled: set[int] = set()
    returned = held = 0
    for _ in range(24):
        phase, since, state = people.phase.copy(), people.since.copy(), people.state.copy()
        model.step()
        before = set(enrolled)
        for event, month, rows in course.events():
            if month == model.month and event == "enrolled":
                enrolled |= set(rows.tolist())
            elif month == model.month and event in ("completed", "left_target_group", "closed"):
                enrolled -= set(rows.tolist())
        inside = np.array(sorted(enrolled), dtype=np.int64)
        still = inside[np.isin(people.state[inside], on_benefit)]
        assert (people.state[still] == CODE["activation"]).all()
        held += len(still)
        table = model.ledger.table()
        for row in before - enrolled:
            mine = table[(table["month"] == model.month) & (table["kind"] == 0) & (table["row"] == row)]
            out = people.state[row] in on_benefit and people.state[row] != CODE["activation"]
            if len(mine) == 1 and state[row] == CODE["activation"] and out:
                assert people.phase[row] == OUT_OF_ACTIVATION[phase[row]]
                assert people.since[row] == since[row]
                assert ACTIVATED[people.phase[row]] == phase[row]
                returned += 1
    assert returned > 25
    assert held > 500


def test_a_participant_who_comes_on_benefit_stands_in_activation_too() -> None:
    item = plan("internship", places=1_000, reach_caseworker=0.0, reach_outreach=20.0, end="2014-12")
    parameters = ParameterSet.read("history").replace({"rate_self_supporting_to_job_ready": 0.3})
    model = AreaModel(scenario(2_000, 12, item), parameters=parameters)
    people = model.population
    came = 0
    for _ in range(12):
        outside = people.state == CODE["self_supporting"]
        model.step()
        inside = model._programme.busy[: len(people)]
        assert not (inside & (people.state == CODE["job_ready"])).any() or model.month < 2
        came += int((inside[: len(outside)] & outside & (people.state[: len(outside)] == CODE["activation"])).sum())
    assert came > 10


# --- levers


def test_a_lever_acts_on_all_of_its_target_group_while_it_is_in_force_and_on_nobody_else() -> None:
    people = Folk(100, state=CODE["job_ready"])
    people.put(slice(40, 60), "activity_ready")
    people.birth[60:70] = -17 * 12
    people.in_area[70:80] = False
    lever = plan("employer_smiley", places=0, start="2012-03", end="2012-05", **{f"effect_{JOB}_during": 0.4})
    courses = programme([lever], people)
    expected = np.zeros(100)
    expected[[*range(40), *range(80, 100)]] = 0.4
    for month in range(1, 8):
        courses.run_month(month, people)
        np.testing.assert_array_equal(shift(courses, JOB, month, people), expected if 3 <= month <= 5 else 0.0)
    assert sorted(rows_of(courses.courses[0], "covered")) == np.flatnonzero(expected).tolist()


def test_help_to_move_raises_moving_out_of_its_target_group_alone(live: Live) -> None:
    lever = plan("relocation_help", places=0, effect_move_out_during=3.0, end="2013-12")
    helped, base = live(scenario(2_000, 24, lever)), live(scenario(2_000, 24))
    covered = np.array(rows_of(helped.courses[0], "covered"))
    first = np.arange(2_000)
    gone = {name: ~model.population.in_area[first] for name, model in (("helped", helped), ("base", base))}
    # With their heads go households: people outside them leave as before.
    heads = np.isin(helped.population.head[first], covered)
    assert gone["helped"][heads].mean() > 2 * gone["base"][heads].mean()
    others = ~heads & ~np.isin(first, covered)
    np.testing.assert_array_equal(gone["helped"][others], gone["base"][others])


@pytest.mark.parametrize(
    ("elasticity", "keep", "expected"),
    [(0.5, 0.4, 0.5 * np.log(2)), (0.5, 0.2, 0.0), (0.0, 0.4, 0.0), (1.0, 0.1, -np.log(2))],
)
def test_the_reward_shifts_small_jobs_by_the_elasticity_of_what_is_kept(
    elasticity: float, keep: float, expected: float
) -> None:
    people = Folk(20)
    people.put(slice(10, 20), "job_ready")
    lever = plan(
        "part_time_incentive_cap70", places=0, reward_elasticity=elasticity, keep_share=keep, keep_share_without=0.2
    )
    courses = programme([lever], people)
    live(courses, people, 1)
    found = shift(courses, "small_job_start", 1, people)
    np.testing.assert_allclose(found, np.repeat([expected, 0.0], 10), atol=1e-12)


def test_the_225_hour_rule_acts_from_april_2016() -> None:
    people = Folk(10)
    first = month_number(RULE_225_FROM) - month_number("2011-12")
    courses = programme([plan("small_job", places=0, effect_rule_225=0.6, effect_small_job_start_during=0.1)], people)
    assert (RULE_225_FROM, first) == ("2016-04", 52)
    for month in range(1, 60):
        courses.run_month(month, people)
        expected = 0.7 if month >= first else 0.1
        np.testing.assert_allclose(shift(courses, "small_job_start", month, people), expected, rtol=1e-12)


# --- small jobs and barriers: what is added to people's own hazards


@pytest.fixture(scope="module")
def area() -> AreaModel:
    return AreaModel(Scenario.read("baseline", ["population.residents=6000"]), engine="numpy")


@pytest.mark.parametrize("to", ["employed", "self_supporting"])
def test_a_small_job_becomes_work_or_self_support_for_its_holders_alone(area: AreaModel, to: str) -> None:
    people = area.population
    own = OwnHazards((f"small_job_to_{to}",), ParameterSet.read("history"), people, HAZARD)
    rows = np.arange(len(people))
    found = own.shifts(rows, np.full((1, len(rows)), 0.5), people)
    small = np.isin(people.state, [CODE[key] for key in ("job_ready", "activity_ready", "activation")])
    holds = small & (people.side_hours > 0)
    into = np.isin(PHASE_STATE, CODE[to])
    assert 0 < holds.sum() < small.sum()
    assert ((people.side_hours > 0) & ~holds).any(), "pupils' leisure jobs are others"
    np.testing.assert_array_equal(found, np.outer(np.where(holds, 0.5, 0.0), into))


SIZES = {"health": -0.7, "language": -0.4, "family": -0.5, "isolation": -0.2}


def slowed(people: Population, names: tuple[str, ...] = tuple(SIZES)) -> np.ndarray:
    """Return what barriers add to the log hazards of everybody, shape (residents, phases)."""
    sizes = {f"barrier_effect_{name}": SIZES[name] for name in names}
    own = OwnHazards((), ParameterSet.read("history").replace(sizes), people, HAZARD)
    return own.shifts(np.arange(len(people)), np.empty((0, len(people))), people)


def test_barriers_keep_the_mean_hazard_of_every_state_at_the_start(area: AreaModel) -> None:
    """In activation also that of each readiness: who is there but not job-ready has more barriers and fewer chances."""
    people = area.population
    factor = np.exp(slowed(people))
    usual = HAZARD[people.row]
    adult = people.birth <= -18 * 12
    checked = 0
    for state, towards in SLOWED_BY_BARRIERS.items():
        for ready in np.unique(COUNTS_AS[people.phase[adult & (people.state == CODE[state])]]):
            here = adult & (people.state == CODE[state]) & (COUNTS_AS[people.phase] == ready)
            into = np.flatnonzero(np.isin(PHASE_STATE, [CODE[to] for to in towards]))
            mean = usual[here][:, into].mean(axis=0)
            np.testing.assert_allclose((usual * factor)[here][:, into].mean(axis=0), mean, rtol=1e-12)
            checked += int((mean > 0).sum())
            assert np.ptp(factor[here][:, into]) > 0.1
    assert checked >= 12
    for code, state in enumerate(PHASE_STATE):
        key = next(key for key, at in CODE.items() if at == state)
        left = [CODE[origin] for origin, towards in SLOWED_BY_BARRIERS.items() if key in towards]
        assert (factor[~np.isin(people.state, left) | ~adult, code] == 1).all(), "nothing else is slowed"


def test_barriers_slow_and_multiply(area: AreaModel) -> None:
    people = area.population
    found = slowed(people)[:, CODE["employed"]]
    here = (people.state == CODE["activity_ready"]) & (people.birth <= -18 * 12)
    flags = people.barriers[here]
    sums = sum(size * ((flags & FLAG[name]) > 0) for name, size in SIZES.items())
    level = found[here] - sums
    np.testing.assert_allclose(level, level[0], rtol=1e-12)
    for name in SIZES:
        with_it, without = (found[here][((flags & FLAG[name]) > 0) == has].mean() for has in (True, False))
        assert with_it < without
    assert not slowed(people, ()).any(), "no effect, nothing"


@pytest.mark.parametrize("barriers", [{}, {f"barrier_effect_{name}": size for name, size in SIZES.items()}])
def test_stacked_replicates_are_single_ones_with_barriers_too(live: Live, barriers: dict[str, float]) -> None:
    parameters = ParameterSet.read("history").replace(barriers)
    plain = scenario(800, 12)
    both = live(plain, replicate=range(2), parameters=parameters)
    for number in range(2):
        one = live(plain, replicate=number, parameters=parameters)
        mine = np.flatnonzero(both.stream.block == number)
        order = np.argsort(both.stream.ids[mine])
        alone = np.argsort(one.stream.ids)
        np.testing.assert_array_equal(both.stream.ids[mine][order], one.stream.ids[alone])
        np.testing.assert_array_equal(both.population.phase[mine][order], one.population.phase[alone])


# --- the measured effect of network mothers


def test_network_mothers_raise_education_by_their_measured_hazard_ratio(live: Live) -> None:
    """Women under 25 in neither work nor education: moves to education while enrolled, with and without the effect."""
    cards = catalogue()["network_mothers"].parameters
    name = "effect_self_supporting_to_in_education_during"
    assert (cards[name].grade, cards[name].value) == ("B", 0.509)
    found = []
    for effect in (cards[name].value, 0.0):
        item = plan("network_mothers", places=40_000, age_from=16, age_to=24, end="2013-12", **{name: effect})
        model = live(scenario(40_000, 24, item))
        enrolled = months_of(model.courses[0], "enrolled")
        table = model.ledger.table()
        left = table[(table["kind"] == 0) & (table["before"] == CODE["self_supporting"])]
        goes = left[left["after"] == CODE["in_education"]]
        there = [
            row in enrolled and enrolled[row] <= month < enrolled[row] + 12
            for row, month in zip(goes["row"].tolist(), goes["month"].tolist(), strict=True)
        ]
        young = (goes["month"] - model.population.birth[goes["row"]]) < 25 * 12
        women = model.population.sex[goes["row"]] == SEXES.index("women")
        found.append((int((np.array(there) & young).sum()), int((~np.array(there) & ~women).sum())))
    (many, men), (few, same) = found
    # Rates are small, so counts have nearly the hazards' ratio; those who leave cannot leave again, hence "at most".
    error = np.sqrt(1 / many + 1 / few)
    assert np.log(many / few) < cards[name].value + THREE * error
    assert np.log(many / few) > THREE * error
    assert men == same
    assert few > 100


def test_a_model_can_be_stepped_beyond_its_horizon() -> None:
    item = plan("coordinating_caseworker", reach_caseworker=0.1, reach_outreach=0.03)
    lever = plan("recruitment_campaign", places=0, reach_factor=2.0)
    model = AreaModel(scenario(600, 6, item, lever))
    for _ in range(18):
        model.step()
    assert max(months_of(course_of(model.courses, item.id), "referred").values()) > 12

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
from sim.transitions import ACTIVATED, OUT_OF_ACTIVATION, PHASE_STATE

Live = Callable[..., AreaModel]
FLAG = {barrier: 1 << at for at, barrier in enumerate(BARRIERS)}
JOB = "job_ready_to_employed"
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
    found = strengths(0.3, months=300, relation=1200)
    first = np.unique(found.round(9), axis=1)
    left = np.isclose(first[1:], 1 / 1200).mean()
    chance = -np.expm1(-0.3)
    assert abs(left - chance) < THREE * np.sqrt(chance * (1 - chance) / (3 * 299))


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
    people, own = model.population, OwnHazards(("eases_family",), parameters, model.population)
    rows = np.flatnonzero((people.state == CODE["self_supporting"]) & (people.birth <= -18 * 12))
    has = (people.barriers[rows] & FLAG["family"]) > 0
    none, full = (own.shifts(rows, np.full((1, len(rows)), share), people) for share in (0.0, 1.0))
    work = PHASE_STATE == CODE["employed"]
    assert has.any()
    assert not has.all()
    np.testing.assert_allclose(full[has][:, work] - none[has][:, work], -effect)
    assert not (full - none)[~has].any()
    assert (full != none).any() == eased
    assert not (full - none)[:, PHASE_STATE == CODE["job_ready"]].any(), "only ways towards work"


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

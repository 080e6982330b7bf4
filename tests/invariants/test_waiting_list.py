"""The course of an activity: nobody vanishes on the way, places and dates hold, ages hold to the month."""

from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest

from sim import AreaModel, Scenario
from sim.activities.base import CLARIFIED, EVENTS
from sim.engine.ledger import KINDS
from sim.scenario import month_number
from sim.states import CODE

REPLICATES = range(3)


@pytest.fixture(scope="module")
def busy() -> Scenario:
    """Eight places from March 2012 to June 2013 with a wide reach, in a horizon that goes on."""
    read = Scenario.read("leisure_jobs", ["population.residents=1600", "horizon.months=36"])
    return read.with_activity("leisure_job", places=8, reach_school=0.1, start="2012-03", end="2013-06")


@pytest.fixture(scope="module")
def model(live: Callable[..., AreaModel], busy: Scenario) -> AreaModel:
    return live(busy, replicate=REPLICATES)


def months_of(model: AreaModel) -> dict[str, dict[int, int]]:
    """Return, by event, the month it happened to each row; nothing happens to anybody twice."""
    found: dict[str, dict[int, int]] = {event: {} for event in EVENTS}
    for course in model.courses:
        for event, month, rows in course.events():
            for row in rows.tolist():
                assert row not in found[event]
                found[event][row] = month
    return found


def test_the_waiting_list_is_conserved(model: AreaModel) -> None:
    when = {event: set(rows) for event, rows in months_of(model).items()}
    assert when["referred"] == when["declined"] | when["queued"]
    assert not when["declined"] & when["queued"]
    left = [when["enrolled"], when["gave_up"], when["left_queue"]]
    assert sum(map(len, left)) == len(set.union(*left))
    assert set.union(*left) == when["queued"]
    ended = [when[event] for event in ("completed", "dropped_out", "left_target_group", "closed")]
    assert sum(map(len, ended)) == len(set.union(*ended))
    assert set.union(*ended) == when["enrolled"]
    plain = set(EVENTS) - {*CLARIFIED, "took_opening", "contacted", "covered"}
    assert {event for event, rows in when.items() if rows} == plain


def test_stocks_and_flows_of_the_queue_balance_every_month(busy: Scenario) -> None:
    model = AreaModel(busy, replicate=REPLICATES)
    (course,) = model.courses
    for month in range(1, busy.months + 1):
        model.step()
        total: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(len(REPLICATES), dtype=int))
        for event, _, rows in course.events():
            total[event] = total[event] + np.bincount(model.stream.block[rows], minlength=len(REPLICATES))
        waiting = total["queued"] - total["enrolled"] - total["gave_up"] - total["left_queue"]
        ended = sum(total[event] for event in ("completed", "dropped_out", "left_target_group", "closed"))
        if not course.queue_months or course.queue_months[-1].month < month:
            assert not waiting.any()
            assert not (total["enrolled"] - ended).any()
            continue
        queue = course.queue_months[-1]
        np.testing.assert_array_equal(queue.waiting, waiting)
        np.testing.assert_array_equal(queue.enrolled, total["enrolled"] - ended)
        assert (queue.enrolled <= queue.places).all()
        status = np.bincount(model.stream.block[np.flatnonzero(course.unserved)], minlength=len(REPLICATES))
        np.testing.assert_array_equal(status, total["queued"] - total["enrolled"])
    flows = {name: sum(getattr(queue, name) for queue in course.queue_months) for name in QUEUE_FLOWS}
    for name, event in QUEUE_FLOWS.items():
        np.testing.assert_array_equal(flows[name], total[event])
    assert max(queue.enrolled.max() for queue in course.queue_months) == 8


@pytest.mark.parametrize("ids", [("leisure_job", "pocket_money_job"), ("b_leisure", "a_pocket")], ids=" then ".join)
def test_queues_balance_with_a_bridge_whatever_the_items_are_called(ids: tuple[str, str]) -> None:
    """Who is handed over counts as referred and queued where they come, and nowhere twice; every month balances."""
    base = Scenario.read("baseline", ["population.residents=1600", "horizon.months=36"])
    leisure, pocket = ids
    scenario = base.with_activity(leisure, activity="leisure_job", places=6, reach_school=0.0, end="2014-03")
    scenario = scenario.with_activity(pocket, activity="pocket_money_job", places=20, bridge_probability=0.9)
    model = AreaModel(scenario, replicate=REPLICATES)
    for month in range(1, scenario.months + 1):
        model.step()
        for course in model.courses:
            seen: dict[str, list[int]] = {event: [] for event in EVENTS}
            for event, _, rows in course.events():
                seen[event] += rows.tolist()
            assert all(len(rows) == len(set(rows)) for rows in seen.values())
            assert set(seen["referred"]) == set(seen["declined"]) | set(seen["queued"])
            total = {
                event: np.bincount(model.stream.block[np.array(rows, dtype=int)], minlength=len(REPLICATES))
                for event, rows in seen.items()
            }
            waiting = total["queued"] - total["enrolled"] - total["gave_up"] - total["left_queue"]
            ended = sum(total[event] for event in ("completed", "dropped_out", "left_target_group", "closed"))
            if course.queue_months and course.queue_months[-1].month == month:
                queue = course.queue_months[-1]
                np.testing.assert_array_equal(queue.waiting, waiting)
                np.testing.assert_array_equal(queue.enrolled, total["enrolled"] - ended)
                assert (queue.enrolled <= queue.places).all()
            for name, event in QUEUE_FLOWS.items():
                flow = sum(getattr(queue, name) for queue in course.queue_months)
                np.testing.assert_array_equal(flow, total[event])
    (to,), (of,) = (
        [{e: set().union(*(r.tolist() for n, _, r in c.events() if n == e)) for e in EVENTS}]
        for c in sorted(model.courses, key=lambda course: course.plan.activity)
    )
    handed = to["referred"] & (of["completed"] | of["left_target_group"])
    assert len(handed) > 20
    assert handed & to["enrolled"]
    assert handed & to["gave_up"]


QUEUE_FLOWS = {
    "referred": "referred",
    "started": "enrolled",
    "completed": "completed",
    "dropped_out": "dropped_out",
    "gave_up": "gave_up",
    "declined": "declined",
}


def test_places_are_open_from_start_to_end_only(model: AreaModel, busy: Scenario) -> None:
    when = months_of(model)
    first, last = (month_number(m) - model.start for m in ("2012-03", "2013-06"))
    for event in ("referred", "declined", "queued", "enrolled"):
        months = set(when[event].values())
        assert min(months) == first
        assert max(months) <= last
    assert set(when["closed"].values()) == {last + 1}
    assert max(month for event in EVENTS for month in when[event].values()) == last + 1


def test_ages_hold_to_the_month(model: AreaModel) -> None:
    birth = model.population.birth
    for event in ("referred", "queued", "enrolled"):
        ages = [month - int(birth[row]) for row, month in months_of(model)[event].items()]
        assert min(ages) >= 13 * 12
        assert max(ages) < 26 * 12


def test_everybody_is_reached_in_the_month_they_come_of_age(live: Callable[..., AreaModel], busy: Scenario) -> None:
    """With certain reach, pupils are referred in the month of their birthday, not a month before."""
    sure = busy.with_activity("leisure_job", reach_school=20.0, take_up=0.0, start="2012-01", end="2014-12")
    for age in (13, 14):
        model = live(sure.with_activity("leisure_job", age_from=age))
        referred = months_of(model)["referred"]
        birthdays = 12 * age + model.population.birth.astype(int)
        turning = np.flatnonzero((birthdays > 0) & (birthdays <= busy.months))
        events = model.ledger.table()
        events = events[events["kind"] == KINDS.index("dwelling")]
        here_since, here_until = np.zeros(len(birthdays)), np.full(len(birthdays), np.inf)
        here_since[events["row"][events["after"] == 1]] = events["month"][events["after"] == 1]
        here_until[events["row"][events["after"] == 0]] = events["month"][events["after"] == 0]
        there = (here_since < birthdays) & (birthdays <= here_until)
        turning = [row for row in turning.tolist() if there[row]]
        assert len(turning) >= 10
        assert [referred[row] for row in turning] == [birthdays[row] for row in turning]
        unreached = np.flatnonzero(birthdays > busy.months)
        assert len(unreached) > 10
        assert not set(unreached.tolist()) & set(referred)


def test_participants_leave_when_they_grow_too_old(live: Callable[..., AreaModel], busy: Scenario) -> None:
    narrow = busy.with_activity("leisure_job", age_to=15, places=100, attrition_per_month=0.0)
    model = live(narrow, replicate=REPLICATES)
    when = months_of(model)
    too_old = 16 * 12 + model.population.birth.astype(int)
    moved = model.ledger.table()
    moved = moved[(moved["kind"] == KINDS.index("dwelling")) & (moved["after"] == 0)]
    away = dict(zip(moved["row"].tolist(), (moved["month"] + 1).tolist(), strict=True))
    left = when["left_target_group"]
    assert sum(row not in away for row in left) >= 3
    for row, month in left.items():
        assert month == min(too_old[row], away.get(row, too_old[row]))


def test_duration_and_patience_hold_to_the_month(model: AreaModel) -> None:
    when = months_of(model)
    values = model.courses[0].plan.values
    assert len(when["completed"]) > 5
    assert len(when["gave_up"]) > 5
    for row, month in when["completed"].items():
        assert month - when["enrolled"][row] == values["duration_months"]
    for row, month in when["gave_up"].items():
        assert month - when["queued"][row] == values["patience_months"] + 1


def test_those_who_have_waited_longest_come_first(model: AreaModel) -> None:
    when = months_of(model)
    left = {**when["enrolled"], **when["gave_up"], **when["left_queue"]}
    compared = 0
    for row, month in when["enrolled"].items():
        block = model.stream.block[row]
        for other, queued in when["queued"].items():
            if model.stream.block[other] == block and queued < when["queued"][row] and left[other] > month:
                pytest.fail(f"{other} queued before {row} and was passed over")
            compared += 1
    assert compared > 100


def test_a_side_job_keeps_nobody_out(busy: Scenario) -> None:
    """Sure reach, everybody says yes, room for all: the target group is enrolled whole, with a side job or without."""
    roomy = busy.with_activity("leisure_job", reach_school=20.0, take_up=1.0, places=1000, start="2012-01")
    model = AreaModel(roomy)
    people = model.population
    age = 1 - people.birth.astype(int)
    group = np.isin(people.state, [CODE["basic_school"], CODE["in_education"]]) & (age >= 13 * 12) & (age < 26 * 12)
    held = people.side_hours > 0
    model.step()
    assert set(months_of(model)["enrolled"]) == set(np.flatnonzero(group).tolist())
    assert (group & held).sum() > 10
    assert (group & ~held).sum() > 10


def test_effects_last_while_enrolled_and_fade_with_their_half_life(busy: Scenario) -> None:
    lasting = busy.with_activity(
        "leisure_job",
        attrition_per_month=0.0,
        effect_start_after=0.6,
        effect_end_during=-0.4,
        effect_end_after=-0.2,
        half_life_months=2.0,
    )
    model = AreaModel(lasting)
    (course,) = model.courses
    checked = set()
    for _ in range(busy.months):
        model.step()
        when = months_of(model)
        ended = {
            row: month for event in ("completed", "left_target_group", "closed") for row, month in when[event].items()
        }
        shifts = course.shifts(model.month)
        for row, start, end in zip(shifts.rows.tolist(), shifts.start, shifts.end, strict=True):
            if row in ended:
                dose = min((ended[row] - when["enrolled"][row]) / 9, 1.0)
                left = dose * 0.5 ** ((model.month - ended[row]) / 2.0)
                assert start == pytest.approx(0.6 * left)
                assert end == pytest.approx(-0.2 * left)
                checked.add("after")
            else:
                assert row in when["enrolled"]
                assert (start, end) == (lasting.activities[0].values["effect_start_during"], -0.4)
                checked.add("during")
        assert all(model.month - ended[row] <= 20 for row in set(shifts.rows.tolist()) & set(ended))
    assert checked == {"during", "after"}
    assert not len(course.shifts(model.month + 20).rows)

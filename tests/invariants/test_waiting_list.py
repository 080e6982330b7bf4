"""The course of an activity: nobody vanishes on the way, places and dates hold, ages hold to the month."""

from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest

from sim import AreaModel, Scenario
from sim.activities.base import EVENTS
from sim.scenario import month_number

REPLICATES = range(3)


@pytest.fixture(scope="module")
def busy() -> Scenario:
    """Eight places from March 2012 to June 2013, in a horizon that goes on."""
    read = Scenario.read("leisure_jobs", ["population.residents=1600", "horizon.months=36"])
    return read.with_activity("leisure_job", places=8, start="2012-03", end="2013-06")


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
    assert all(when[event] for event in EVENTS), {event: len(rows) for event, rows in when.items()}


def test_stocks_and_flows_of_the_queue_balance_every_month(busy: Scenario) -> None:
    model = AreaModel(busy, replicate=REPLICATES)
    (course,) = model.courses
    for month in range(1, busy.months + 1):
        model.step()
        total: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(len(REPLICATES), dtype=int))
        for event, _, rows in course.events():
            total[event] = total[event] + np.bincount(rows // busy.residents, minlength=len(REPLICATES))
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
        status = course.status.unserved.reshape(len(REPLICATES), -1).sum(axis=1)
        np.testing.assert_array_equal(status, total["queued"] - total["enrolled"])
    flows = {name: sum(getattr(queue, name) for queue in course.queue_months) for name in QUEUE_FLOWS}
    for name, event in QUEUE_FLOWS.items():
        np.testing.assert_array_equal(flows[name], total[event])
    assert max(queue.enrolled.max() for queue in course.queue_months) == 8


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
    """With certain reach and no side jobs, pupils are referred in the month of their birthday, not a month before."""
    sure = busy.with_activity("leisure_job", reach_school=20.0, take_up=0.0, start="2012-01", end="2014-12")
    for age in (13, 14):
        model = live(sure.with_activity("leisure_job", age_from=age))
        referred = months_of(model)["referred"]
        birthdays = 12 * age + model.population.birth.astype(int)
        turning = np.flatnonzero((birthdays > 0) & (birthdays <= busy.months))
        events = model.ledger.table()
        jobs = set(events["row"][events["kind"] == 1]) | set(np.flatnonzero(model.population.side_hours > 0))
        turning = [row for row in turning.tolist() if row not in jobs]
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
    assert len(when["left_target_group"]) >= 3
    for row, month in when["left_target_group"].items():
        assert month == too_old[row]


def test_duration_and_patience_hold_to_the_month(model: AreaModel) -> None:
    when = months_of(model)
    values = model.courses[0].plan.values
    assert len(when["completed"]) > 5
    assert len(when["gave_up"]) > 5
    for row, month in when["completed"].items():
        assert month - when["enrolled"][row] == values["duration_months"]
    for row, month in when["gave_up"].items():
        assert month - when["queued"][row] == values["patience_months"] + 1


def test_those_who_have_waited_longest_come_first(model: AreaModel, busy: Scenario) -> None:
    when = months_of(model)
    left = {**when["enrolled"], **when["gave_up"], **when["left_queue"]}
    compared = 0
    for row, month in when["enrolled"].items():
        block = row // busy.residents
        for other, queued in when["queued"].items():
            if other // busy.residents == block and queued < when["queued"][row] and left[other] > month:
                pytest.fail(f"{other} queued before {row} and was passed over")
            compared += 1
    assert compared > 100


def test_people_with_a_side_job_are_not_referred(live: Callable[..., AreaModel], busy: Scenario) -> None:
    model = AreaModel(busy.with_activity("leisure_job", reach_school=20.0, start="2012-01"))
    held = set(np.flatnonzero(model.population.side_hours > 0).tolist())
    model.step()
    assert len(held) > 3
    referred = set(months_of(model)["referred"])
    assert referred
    assert not referred & held


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
                assert (start, end) == (1.386, -0.4)
                checked.add("during")
        assert all(model.month - ended[row] <= 20 for row in set(shifts.rows.tolist()) & set(ended))
    assert checked == {"during", "after"}
    assert not len(course.shifts(model.month + 20).rows)

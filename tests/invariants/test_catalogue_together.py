"""All activities of the catalogue at once, every mechanic in use: engines, stacks and order change nothing."""

from functools import cache

import numpy as np
import pytest
from courses import course_of, record, rich, with_items
from lives import events, names

from sim import AreaModel, ParameterSet, Scenario, compare, ensemble
from sim.activities import catalogue
from sim.activities.base import EVENTS
from sim.comparison import NOT_COMPARED

RESIDENTS, MONTHS = 3_000, 24
CLOSURES = [
    {"id": "all", "event": "closure", "start": "2012-09", "end": "2012-10", "activities": []},
    {
        "id": "some",
        "event": "closure",
        "start": "2013-03",
        "end": "2013-04",
        "activities": ["internship", "network_mothers"],
    },
]
BARRIERS = {f"barrier_effect_{name}": -0.3 for name in ("health", "language", "family", "isolation")}


def everything(turned: bool = False, residents: int = RESIDENTS) -> Scenario:
    base = Scenario.read("baseline", [f"population.residents={residents}", f"horizon.months={MONTHS}"])
    items = rich()
    return with_items(base, dict(reversed(items.items())) if turned else items, CLOSURES)


@cache
def lived(engine: str = "numpy", replicates: range = range(2), turned: bool = False) -> AreaModel:
    parameters = ParameterSet.read("history").replace(BARRIERS)
    model = AreaModel(everything(turned), engine=engine, replicate=replicates, parameters=parameters)
    for _ in range(MONTHS):
        model.step()
    return model


def assert_same(mine: AreaModel, yours: AreaModel) -> None:
    """The same bytes: everybody's columns, the ledger, every course's records and queues."""
    for name in mine.population.names:
        assert getattr(mine.population, name).tobytes() == getattr(yours.population, name).tobytes(), name
    np.testing.assert_array_equal(mine.ledger.table(), yours.ledger.table())
    np.testing.assert_array_equal(np.array(mine.counts), np.array(yours.counts))
    for course in mine.courses:
        np.testing.assert_equal(course.queue_months, course_of(yours.courses, course.plan.id).queue_months)
    np.testing.assert_array_equal(record(mine._programme), record(yours._programme))


def test_every_mechanic_is_in_use() -> None:
    happened = {EVENTS[code] for code in np.unique(record(lived()._programme)[1])}
    assert happened == set(EVENTS)
    assert len(lived().courses) == len(catalogue()) == 70


def test_both_engines_give_the_same_bytes() -> None:
    assert_same(lived(), lived("numba"))


def test_the_order_of_the_file_changes_nothing() -> None:
    assert_same(lived(), lived(turned=True))


@pytest.mark.parametrize("number", [0, 1])
def test_stacked_replicates_are_single_ones(number: int) -> None:
    both, one = lived(), lived(replicates=range(number, number + 1))
    mine = np.flatnonzero(both.stream.block == number)
    mine = mine[np.argsort(names(both)[mine])]
    alone = np.argsort(names(one))
    np.testing.assert_array_equal(names(both)[mine], names(one)[alone])
    for name in one.population.names:
        if name not in NOT_COMPARED:
            column = getattr(both.population, name)[mine]
            np.testing.assert_array_equal(column, getattr(one.population, name)[alone], err_msg=name)
    np.testing.assert_array_equal(events(both, mine), events(one, alone))


def test_who_no_activity_touches_lives_as_in_the_baseline() -> None:
    base = Scenario.read("baseline", [f"population.residents={RESIDENTS}", f"horizon.months={MONTHS}"])
    full = everything()
    found = compare(full, base, replicates=2)
    assert found.pairing["untouched_identical"] is True


def test_who_no_change_of_one_item_touches_lives_alike() -> None:
    """One item changed among seventy: its reach, its places, its effect; all others are the same."""
    full = everything(residents=1_000)
    for item, change in (
        ("network_mothers", {"places": 20}),
        ("recruitment_campaign", {"reach_factor": 3.0}),
        ("spouse_engagement", {"eases_family": 1.0}),
        ("pocket_money_job", {"effect_alumni_signal": 2.0}),
    ):
        data = full.with_activity(item, **change).resolved() | {"id": f"changed_{item}"}
        found = compare(Scenario.from_resolved(data), full, replicates=1)
        assert found.pairing["untouched_identical"] is True, item


def test_who_is_met_or_covered_keeps_the_course_of_their_own() -> None:
    """Mothers meet each other too: the table of participants tells how their own course went."""
    base = Scenario.read("baseline", ["population.residents=2000", f"horizon.months={MONTHS}"])
    scenario = with_items(base, {"network_mothers": rich(contacts=2.0)["network_mothers"]})
    table = ensemble.run(scenario, replicates=1).table("participants")
    assert {"completed", "enrolled"} <= set(table["how"])
    assert not {"contacted", "covered"} & set(table["how"])
    model = AreaModel(scenario, seed=1)
    for _ in range(MONTHS):
        model.step()
    (course,) = model.courses
    met = {row for event, _, rows in course.events() if event == "contacted" for row in rows.tolist()}
    went = {row for event, _, rows in course.events() if event == "enrolled" for row in rows.tolist()}
    assert met & went


def test_counts_stay_the_sums_of_states() -> None:
    model = lived()
    np.testing.assert_array_equal(model.counts[-1], model._count())


def test_the_ledger_tells_every_state() -> None:
    """From the states at the start through the ledger to those at the end, residents of the start."""
    model = lived()
    parameters = ParameterSet.read("history").replace(BARRIERS)
    start = AreaModel(everything(), engine="numpy", replicate=range(2), parameters=parameters)
    state = start.population.state.copy()
    table = model.ledger.table()
    moves = table[(table["kind"] == 0) & (table["row"] < len(state))]
    for row, before, after in zip(moves["row"], moves["before"], moves["after"], strict=True):
        assert state[row] == before != after
        state[row] = after
    np.testing.assert_array_equal(state, model.population.state[: len(state)])

"""More staff, stronger effects, shorter closures and better quality never pull the other way: paired runs."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from courses import reach_of, rows_of, with_items
from lives import not_fewer, surely_more

from sim import AreaModel, Scenario
from sim.activities import catalogue
from sim.states import CODE

Live = Callable[..., AreaModel]
REPLICATES = range(10)
COURSE = "hand_held_job_facilitation"
MOVES = ("job_ready_to_employed", "activity_ready_to_employed", "activation_to_employed")


@pytest.fixture(scope="module")
def base() -> Scenario:
    return Scenario.read("baseline", ["horizon.months=36"])


def runs(live: Live, base: Scenario, changes: Sequence[dict[str, object]], key: str = COURSE) -> list[AreaModel]:
    effects = {f"effect_{move}_during": 1.5 for move in MOVES} if key == COURSE else {}
    usual = {"places": 60, "duration_months": 12, "take_up": 0.8, **reach_of(key, reach=0.2), **effects}
    return [live(with_items(base, {key: {**usual, **change}}), replicate=REPLICATES) for change in changes]


def jobs(model: AreaModel) -> np.ndarray:
    """Return moves from cash benefit to work, by replicate."""
    table = model.ledger.table()
    benefit = [CODE[state] for state in ("job_ready", "activity_ready", "activation")]
    found = (table["kind"] == 0) & np.isin(table["before"], benefit) & (table["after"] == CODE["employed"])
    return np.bincount(model.stream.block[table["row"][found]], minlength=len(REPLICATES))


def in_order(models: Sequence[AreaModel], of: Callable[[AreaModel], np.ndarray]) -> None:
    """Assert that each run has no fewer than the one before, and the last surely more than the first."""
    found = [of(model) for model in models]
    for few, many in itertools.pairwise(found):
        not_fewer(many, few)
    surely_more(found[-1], found[0])


def served(model: AreaModel) -> np.ndarray:
    rows = np.array(rows_of(model.courses[0], "enrolled"), dtype=np.int64)
    return np.bincount(model.stream.block[rows], minlength=len(REPLICATES))


def test_more_staff_never_mean_fewer_jobs(live: Live, base: Scenario) -> None:
    in_order(runs(live, base, [{"staff": n, "caseload_per_staff": 6} for n in (1, 2, 5, 10)]), jobs)


def test_staff_beyond_the_places_change_nothing(live: Live, base: Scenario) -> None:
    enough, more, any_number = runs(live, base, [{"staff": n, "caseload_per_staff": 6} for n in (10, 20, 0)])
    assert enough.ledger.table().tobytes() == more.ledger.table().tobytes() == any_number.ledger.table().tobytes()


def test_stronger_effects_never_mean_fewer_moves(live: Live, base: Scenario) -> None:
    sizes = (-1.0, 0.0, 0.5, 1.0, 2.0)
    in_order(runs(live, base, [{f"effect_{move}_during": size for move in MOVES} for size in sizes]), jobs)
    after = [
        {f"effect_{move}_{when}": size if when == "after" else 0.0 for move in MOVES for when in ("during", "after")}
        for size in (0.0, 1.0, 2.0)
    ]
    in_order(runs(live, base, after), jobs)


@pytest.mark.parametrize("key", ["quality", "virtual_quality"])
def test_higher_quality_is_never_weaker(live: Live, base: Scenario, key: str) -> None:
    closed = [{"id": "long", "event": "closure", "start": "2012-02", "end": "2014-12", "activities": []}]
    events = closed if key == "virtual_quality" else []
    effects = {f"effect_{move}_during": 1.5 for move in MOVES}
    usual = {"places": 60, "duration_months": 12, "take_up": 0.8, **reach_of(COURSE, reach=0.2), **effects}
    models = [
        live(with_items(base, {COURSE: {**usual, key: share}}, events), replicate=REPLICATES)
        for share in (0.0, 0.4, 0.7, 1.0)
    ]
    in_order(models, jobs)


def test_more_drivers_missing_are_never_better(live: Live, base: Scenario) -> None:
    points = [point.id for point in catalogue()[COURSE].drivers]
    missing = [{"missing_drivers": points[:n], "quality_per_point": 0.25} for n in (4, 2, 1, 0)]
    assert len(points) == 4
    in_order(runs(live, base, missing), jobs)


def test_a_longer_closure_never_serves_more(live: Live, base: Scenario) -> None:
    usual = {"places": 5, "duration_months": 6, "take_up": 0.8, **reach_of("internship", reach=0.2)}
    found = []
    for last in (None, "2012-09", "2013-03", "2013-12", "2014-12"):
        closure = {"id": "closed", "event": "closure", "start": "2012-07", "end": last, "activities": ["internship"]}
        scenario = with_items(base, {"internship": usual}, [closure] if last else [])
        found.append(served(live(scenario, replicate=REPLICATES)))
    for short, long in itertools.pairwise(found):
        assert (long <= short).all()
        surely_more(short, long)


def test_longer_survival_serves_never_fewer(live: Live, base: Scenario) -> None:
    key = "resident_driven_job_activities"
    changes = [
        {"end": "2012-12", "places": 8, "survival_share": share, "survival_half_life_months": half_life}
        for share, half_life in ((0.0, 12), (0.5, 6), (0.5, 24), (1.0, 60))
    ]
    found = [served(model) for model in runs(live, base, changes, key)]
    for few, many in itertools.pairwise(found):
        assert (many >= few).all()
    surely_more(found[-1], found[0])


def test_more_contacts_bring_never_fewer(live: Live, base: Scenario) -> None:
    mothers = {"places": 20, "duration_months": 6, "take_up": 0.8, **reach_of("network_mothers", reach=0.1)}
    course = {"places": 200, **reach_of("preparatory_adult_education", reach=0.0)}
    found = []
    for contacts in (0.0, 0.1, 0.5):
        items = {
            "network_mothers": {**mothers, "contacts_per_month": contacts},
            "preparatory_adult_education": course,
        }
        model = live(with_items(base, items), replicate=REPLICATES)
        (taught,) = (c for c in model.courses if c.plan.id == "preparatory_adult_education")
        rows = np.array(rows_of(taught, "referred"), dtype=np.int64)
        found.append(np.bincount(model.stream.block[rows], minlength=len(REPLICATES)))
    assert not found[0].any()
    surely_more(found[1], found[0])
    surely_more(found[2], found[1])


def test_more_additional_openings_give_never_fewer_jobs(live: Live, base: Scenario) -> None:
    known = reach_of("social_clauses", reach=0.2)
    items = [{"places": 6, "additional_share": share, **known} for share in (0.0, 0.3, 1.0)]
    in_order([live(with_items(base, {"social_clauses": item}), replicate=REPLICATES) for item in items], jobs)

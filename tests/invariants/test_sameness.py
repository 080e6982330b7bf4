"""Same person, same luck: what does not reach a resident changes no byte of their life."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sim import AreaModel, Scenario, compare, ensemble
from sim.activities.base import Course
from sim.ensemble import Job
from sim.measures import MEASURES
from sim.population import Population

Live = Callable[..., AreaModel]


def columns(model: AreaModel) -> dict[str, np.ndarray]:
    return {name: array for name, array in vars(model.population).items() if isinstance(array, np.ndarray)}


def records(model: AreaModel) -> list[tuple[str, str, int, int]]:
    """Return everything that happened in activities: (item, event, month, row)."""
    return sorted(
        (course.plan.id, event, month, row)
        for course in model.courses
        for event, month, rows in course.events()
        for row in rows.tolist()
    )


def assert_same_life(a: AreaModel, b: AreaModel) -> None:
    assert len(columns(a)) >= 13
    for name, array in columns(a).items():
        other = columns(b)[name]
        assert array.dtype == other.dtype
        assert array.tobytes() == other.tobytes(), name
    assert a.ledger.table().tobytes() == b.ledger.table().tobytes()
    assert np.stack(a.state_counts).tobytes() == np.stack(b.state_counts).tobytes()
    assert records(a) == records(b)


# --- zero places


def test_zero_places_are_the_baseline_bit_for_bit(live: Live, leisure_jobs: Scenario, baseline: Scenario) -> None:
    none, base = live(leisure_jobs.with_activity("leisure_job", places=0)), live(baseline)
    for name, array in columns(base).items():
        assert columns(none)[name].tobytes() == array.tobytes(), name
    assert none.ledger.table().tobytes() == base.ledger.table().tobytes()
    assert len(base.ledger.table()) > 100
    assert {event for _, event, _, _ in records(none)} == {"referred", "declined", "queued", "gave_up", "left_queue"}


def test_zero_places_change_no_measure_but_never_served(leisure_jobs: Scenario, baseline: Scenario) -> None:
    found = compare(leisure_jobs.with_activity("leisure_job", places=0), baseline, replicates=3)
    table = found.table("differences")
    assert set(table["measure"]) == set(MEASURES)
    never = table["measure"] == "never_served"
    assert (table.loc[~never, "estimate"] == 0).all()
    last = table[never & (table["group_by"] == "all") & (table["month"] == "2013-12")]
    assert last["estimate"].item() > 1


def test_zero_effects_change_no_measure(leisure_jobs: Scenario, baseline: Scenario) -> None:
    nothing = {f"effect_{what}_{when}": 0.0 for what in ("start", "end") for when in ("during", "after")}
    found = compare(leisure_jobs.with_activity("leisure_job", **nothing), baseline, replicates=3)
    table = found.table("differences")
    assert (table.loc[table["measure"] != "never_served", "estimate"] == 0).all()
    assert (found.table("participants")["enrolled"].notna()).sum() > 10


# --- engines, stacking, shards, workers, order


@pytest.mark.parametrize("recipe", ["area", "cohorts_2011"])
def test_both_engines_give_the_same_bytes(live: Live, leisure_jobs: Scenario, recipe: str) -> None:
    scenario = Scenario.from_resolved(
        {**leisure_jobs.resolved(), "population": {"recipe": recipe, "residents": 20_000}}
    )
    numpy, numba = (live(scenario, replicate=range(2), engine=engine) for engine in ("numpy", "numba"))
    assert_same_life(numpy, numba)
    assert len(numpy.ledger.table()) > 10_000


def test_stacked_replicates_are_single_ones(live: Live, leisure_jobs: Scenario) -> None:
    stacked = live(leisure_jobs, replicate=range(3, 6))
    size = leisure_jobs.residents
    events = stacked.ledger.table()
    for block, replicate in enumerate(range(3, 6)):
        single = live(leisure_jobs, replicate=replicate)
        mine = slice(block * size, (block + 1) * size)
        for name, array in columns(single).items():
            assert columns(stacked)[name][mine].tobytes() == array.tobytes(), name
        own = events[events["row"] // size == block].copy()
        own["row"] %= size
        assert own.tobytes() == single.ledger.table().tobytes()
        assert records(single) == [(*what, row % size) for *what, row in records(stacked) if row // size == block]
        np.testing.assert_array_equal(np.stack(stacked.state_counts)[:, block], np.stack(single.state_counts)[:, 0])


@pytest.fixture(scope="module")
def job(leisure_jobs: Scenario, baseline: Scenario) -> Job:
    return Job.plan([baseline, leisure_jobs], "baseline", seed=3, replicates=5, shard=5)


def gathered(job: Job, folder: Path | None = None, workers: int = 1) -> ensemble.Result:
    manifest = {"kind": "compare"} if folder is None else ensemble.start(job, folder, "test", {})
    return ensemble.execute(job, folder, manifest, workers)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_any_shard_size_gives_the_same_tables(job: Job, size: int) -> None:
    whole = gathered(job)
    parts = gathered(Job(**{**vars(job), "shard": size}))
    assert set(whole.tables) == set(parts.tables)
    for name, table in whole.tables.items():
        pd.testing.assert_frame_equal(table, parts.tables[name], check_exact=True)
    assert whole.pairing == parts.pairing
    assert len(whole.tables["outcomes"]) > 1000


def test_two_workers_write_the_same_bytes_as_one(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sharded = Job(**{**vars(job), "shard": 2})
    gathered(sharded, tmp_path / "one")
    monkeypatch.setattr(ensemble, "WORKERS_FROM", 0)
    used: list[int] = []
    parallel = ensemble._parallel

    def watched(*given: object) -> object:
        used.append(given[-1])
        return parallel(*given)

    monkeypatch.setattr(ensemble, "_parallel", watched)
    gathered(sharded, tmp_path / "two", workers=2)
    assert used == [2]
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert set(one) == set(two)
    assert {"outcomes.parquet", "differences.csv", "participants.parquet", "pairing.json"} < set(one)
    for name in set(one) - {"manifest.json"}:
        assert one[name] == two[name], name


def test_the_order_of_activities_in_the_file_is_nothing(live: Live, baseline: Scenario) -> None:
    item = {"activity": "leisure_job", "places": 5}
    early, late = {**item, "end": "2012-12"}, {**item, "reach_school": 0.2, "start": "2012-06"}
    forth = baseline.with_activity("a", **early).with_activity("b", **late)
    back = baseline.with_activity("b", **late).with_activity("a", **early)
    assert [plan.id for plan in back.activities] == ["b", "a"]
    assert_same_life(live(forth), live(back))
    twice = live(forth)
    assert {item for item, event, _, _ in records(twice) if event == "enrolled"} == {"a", "b"}
    referred = [row for _, event, _, row in records(twice) if event == "referred"]
    assert len(referred) == len(set(referred))


# --- other people


def test_a_larger_area_with_places_to_spare_leaves_everybody_alone(live: Live, leisure_jobs: Scenario) -> None:
    roomy = leisure_jobs.with_activity("leisure_job", places=5000)
    small, large = (
        live(Scenario.from_resolved({**roomy.resolved(), "population": {"recipe": "area", "residents": n}}))
        for n in (800, 3000)
    )
    for name, array in columns(small).items():
        assert columns(large)[name][:800].tobytes() == array.tobytes(), name
    events = large.ledger.table()
    assert events[events["row"] < 800].tobytes() == small.ledger.table().tobytes()
    assert [r for r in records(large) if r[3] < 800] == records(small)
    assert small.resident(17).activity_history == large.resident(17).activity_history
    served = [r for r in records(small) if r[1] == "enrolled"]
    assert len(served) > 20


def test_a_neighbour_in_the_queue_matters_only_through_places(live: Live, leisure_jobs: Scenario) -> None:
    """In a larger area with as few places lives differ, but only of those whose course differs."""
    large = Scenario.from_resolved({**leisure_jobs.resolved(), "population": {"recipe": "area", "residents": 3000}})
    few, crowded = live(leisure_jobs), live(large)
    mine, theirs = records(few), [r for r in records(crowded) if r[3] < 800]
    reached = {row for *_, row in set(mine) ^ set(theirs)}
    assert reached
    alone = np.array(sorted(set(range(800)) - reached))
    for name, array in columns(few).items():
        assert columns(crowded)[name][alone].tobytes() == array[alone].tobytes(), name


def test_same_seed_same_life_and_other_seeds_other_lives(live: Live, leisure_jobs: Scenario) -> None:
    first = live(leisure_jobs, seed=5, replicate=2)
    assert_same_life(first, live(leisure_jobs, seed=5, replicate=2))
    for seed, replicate in ((6, 2), (5, 3), (2, 5)):
        other = live(leisure_jobs, seed=seed, replicate=replicate)
        assert other.ledger.table().tobytes() != first.ledger.table().tobytes()
        assert (other.population.birth != first.population.birth).mean() > 0.5
        assert (other.population.sex == first.population.sex).all()


# --- the pairing check


def test_without_a_leak_untouched_residents_are_identical(leisure_jobs: Scenario, baseline: Scenario) -> None:
    proof = compare(leisure_jobs, baseline, replicates=4).pairing
    assert proof["untouched_identical"] is True
    assert proof["touched"] + proof["untouched"] == 4 * 800
    assert 0 < proof["touched"] < proof["untouched"]


def an_adult(baseline: Scenario, replicate: int) -> int:
    """Return a resident far outside the target group."""
    model = AreaModel(baseline, replicate=replicate)
    return next(row for row in range(len(model.population)) if model.resident(row).age == 40)


def grow_older(people: Population, row: int) -> None:
    people.birth[row] -= 1


def pay(people: Population, row: int) -> None:
    people.paid_hours[row] += 1


def restart_the_clock(people: Population, row: int) -> None:
    people.since[row] += 1


@pytest.mark.parametrize("leak", [grow_older, pay, restart_the_clock])
def test_an_injected_leak_is_seen(
    monkeypatch: pytest.MonkeyPatch,
    leisure_jobs: Scenario,
    baseline: Scenario,
    leak: Callable[[Population, int], None],
) -> None:
    """A course that reaches past its records, to one grown-up, in replicate 1 only."""
    row = leisure_jobs.residents + an_adult(baseline, replicate=1)
    run_month = Course.run_month

    def leaking(self: Course, month: int, people: Population) -> np.ndarray:
        if month == 20:
            leak(people, row)
        return run_month(self, month, people)

    monkeypatch.setattr(Course, "run_month", leaking)
    proof = compare(leisure_jobs, baseline, replicates=2).pairing
    assert proof["untouched_identical"] is False
    assert [pair["untouched_identical"] for pair in proof["pairs"]] == [True, False]


def test_leaked_luck_is_seen(monkeypatch: pytest.MonkeyPatch, leisure_jobs: Scenario, baseline: Scenario) -> None:
    """A course that changes the luck of adults shows as soon as it leads somewhere."""
    run_month = Course.run_month

    def leaking(self: Course, month: int, people: Population) -> np.ndarray:
        if month == 1:
            people.stream.keys[people.birth < -30 * 12] ^= np.uint64(1)
        return run_month(self, month, people)

    monkeypatch.setattr(Course, "run_month", leaking)
    assert compare(leisure_jobs, baseline, replicates=1).pairing["untouched_identical"] is False


def test_a_leak_into_the_ledger_alone_is_seen(
    monkeypatch: pytest.MonkeyPatch, leisure_jobs: Scenario, baseline: Scenario
) -> None:
    row, step = an_adult(baseline, replicate=0), AreaModel.step

    def leaking(self: AreaModel) -> None:
        step(self)
        if self.courses and self.month == 3:
            self.ledger.add(3, "side_job", np.array([row]), 0, 1)

    monkeypatch.setattr(AreaModel, "step", leaking)
    assert compare(leisure_jobs, baseline, replicates=1).pairing["untouched_identical"] is False


def test_touched_is_told_by_mechanism_not_by_outcome(leisure_jobs: Scenario, baseline: Scenario, live: Live) -> None:
    """With zero places nobody's outcome differs, yet everybody who was referred counts as touched."""
    none = leisure_jobs.with_activity("leisure_job", places=0)
    proof = compare(none, baseline, replicates=1).pairing
    referred = {row for _, event, _, row in records(live(none)) if event == "referred"}
    assert proof["touched"] == len(referred) > 10
    assert proof["untouched_identical"] is True

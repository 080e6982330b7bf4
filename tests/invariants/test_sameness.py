"""Same person, same luck: what does not reach a resident changes no byte of their life."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lives import assert_same_lives, columns, common, names, reached

from sim import AreaModel, Scenario, compare, ensemble
from sim import ParameterSet as Parameters
from sim.activities.programme import Programme
from sim.collect import Life
from sim.comparison import Shared, pairing, touched_people
from sim.ensemble import Job
from sim.measures import MEASURES
from sim.population import Population
from sim.states import CODE

Live = Callable[..., AreaModel]


def records(model: AreaModel) -> list[tuple[str, str, int, int]]:
    """Return everything that happened in activities: (item, event, month, row)."""
    return sorted(
        (course.plan.id, event, month, row)
        for course in model.courses
        for event, month, rows in course.events()
        for row in rows.tolist()
    )


def assert_same_life(a: AreaModel, b: AreaModel) -> None:
    assert len(a.population.names) >= 25
    for name in a.population.names:
        array, other = getattr(a.population, name), getattr(b.population, name)
        assert array.dtype == other.dtype
        assert array.tobytes() == other.tobytes(), name
    assert a.stream.ids.tobytes() == b.stream.ids.tobytes()
    assert a.stream.block.tobytes() == b.stream.block.tobytes()
    assert a.ledger.table().tobytes() == b.ledger.table().tobytes()
    assert np.stack(a.counts).tobytes() == np.stack(b.counts).tobytes()
    assert np.stack(a.state_counts).tobytes() == np.stack(b.state_counts).tobytes()
    assert records(a) == records(b)


# --- zero places


def test_zero_places_are_the_baseline_bit_for_bit(live: Live, leisure_jobs: Scenario, baseline: Scenario) -> None:
    none, base = live(leisure_jobs.with_activity("leisure_job", places=0)), live(baseline)
    for name, array in columns(base).items():
        assert columns(none)[name].tobytes() == array.tobytes(), name
    assert none.stream.ids.tobytes() == base.stream.ids.tobytes()
    assert none.ledger.table().tobytes() == base.ledger.table().tobytes()
    assert len(base.ledger.table()) > 100
    assert {event for _, event, _, _ in records(none)} == {"referred", "declined", "queued", "gave_up", "left_queue"}


def test_zero_places_of_a_chain_are_the_baseline_too(live: Live, baseline: Scenario) -> None:
    chain = Scenario.read("pocket_money_then_leisure_jobs", ["population.residents=800", "horizon.months=24"])
    none, base = live(chain.scaled(1).scaled(800)), live(baseline)
    assert {plan.places for plan in none.plan.activities} == {0}
    for name, array in columns(base).items():
        assert columns(none)[name].tobytes() == array.tobytes(), name
    assert none.stream.ids.tobytes() == base.stream.ids.tobytes()
    assert none.ledger.table().tobytes() == base.ledger.table().tobytes()
    assert {item for item, event, _, _ in records(none) if event == "gave_up"} == {"leisure_job", "pocket_money_job"}


def test_stacked_replicates_of_a_chain_are_single_ones(live: Live) -> None:
    assert_stacked_are_single(
        live, Scenario.read("pocket_money_then_leisure_jobs", ["population.residents=800", "horizon.months=24"])
    )


def test_a_chain_touches_nobody_outside_its_records(leisure_jobs: Scenario, baseline: Scenario) -> None:
    """The leisure-job scheme is the same in both; adding pocket-money jobs before it reaches those in records only."""
    chain = Scenario.read("pocket_money_then_leisure_jobs", ["population.residents=800", "horizon.months=24"])
    chain = chain.with_activity("pocket_money_job", project_wage_counts=1, places=20)
    for base in (chain.without_activity("pocket_money_job"), chain.without_activity("leisure_job"), baseline):
        found = compare(chain, dataclasses.replace(base, id="base"), replicates=3)
        assert found.pairing["untouched_identical"] is True
        assert found.pairing["touched"] > 50


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
    assert (len(numpy.population) > 1.1 * 2 * 20_000) == (recipe == "area")


def test_stacked_replicates_are_single_ones(live: Live, leisure_jobs: Scenario) -> None:
    assert_stacked_are_single(live, leisure_jobs)


def assert_stacked_are_single(live: Live, scenario: Scenario) -> None:
    stacked = live(scenario, replicate=range(3, 6))
    for block, replicate in enumerate(range(3, 6)):
        single = live(scenario, replicate=replicate)
        mine, yours = common(stacked, single)
        assert len(yours) == len(single.population) == (stacked.stream.block == block).sum()
        assert len(yours) > scenario.residents
        assert_same_lives(stacked, single, mine, yours)
        row = np.full(len(stacked.population), -1)
        row[mine] = yours
        np.testing.assert_array_equal(row[stacked.population.head[mine]], single.population.head[yours])
        theirs = sorted((*what, int(row[r])) for *what, r in records(stacked) if row[r] >= 0)
        assert records(single) == theirs
        np.testing.assert_array_equal(np.stack(stacked.counts)[:, :, block], np.stack(single.counts)[:, :, 0])
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


def test_an_earlier_item_leaves_the_referrals_of_a_later_one_alone(live: Live, leisure_jobs: Scenario) -> None:
    """Who is reached is luck of the person and the item, whenever the first item of the scenario begins."""
    later = leisure_jobs.with_activity("leisure_job", start="2012-06")
    silent = {"reach_school": 0.0, "reach_word_of_mouth": 0.0}
    both = later.with_activity("early", activity="leisure_job", places=5, start="2012-01", **silent)
    one, two = live(later), live(both)
    mine, yours = (next(c for c in model.courses if c.plan.id == "leisure_job") for model in (one, two))
    events = [[(event, month, rows.tolist()) for event, month, rows in course.events()] for course in (mine, yours)]
    assert len(events[0]) > 20
    assert events[0] == events[1]


def of_whole_dwellings(small: AreaModel) -> np.ndarray:
    """Return the rows of a small area that do not belong to its last dwelling, which the size may have cut."""
    return small.population.dwelling < small.population.dwelling.max()


def in_both(small: AreaModel, large: AreaModel) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows in each of everybody in a whole dwelling of the small area: all are in the large one."""
    mine, yours = common(small, large)
    keep = of_whole_dwellings(small)[mine]
    assert keep.sum() == of_whole_dwellings(small).sum()
    assert (large.population.dwelling[yours[keep]] < small.population.dwelling.max()).all()
    return mine[keep], yours[keep]


def of_people(model: AreaModel, rows: np.ndarray) -> set[tuple[str, str, int, int]]:
    """Return the records of ``rows`` with names instead of row numbers."""
    number, wanted = names(model), set(rows.tolist())
    return {(*what, int(number[row])) for *what, row in records(model) if row in wanted}


def test_a_larger_area_with_places_to_spare_leaves_everybody_alone(live: Live, leisure_jobs: Scenario) -> None:
    roomy = leisure_jobs.with_activity("leisure_job", places=5000)
    small, large = (
        live(Scenario.from_resolved({**roomy.resolved(), "population": {"recipe": "area", "residents": n}}))
        for n in (3000, 6000)
    )
    mine, yours = in_both(small, large)
    assert 2990 < (mine < 3000).sum() <= 3000
    assert (mine >= 3000).sum() > 200
    assert_same_lives(small, large, mine, yours)
    assert of_people(small, mine) == of_people(large, yours)
    assert small.resident(17).activity_history == large.resident(17).activity_history
    served = [r for r in records(small) if r[1] == "enrolled"]
    assert len(served) > 20


def test_a_neighbour_in_the_queue_matters_only_through_places(live: Live, leisure_jobs: Scenario) -> None:
    """In a larger area with as few places lives differ, but only of those whose course differs."""
    large = Scenario.from_resolved({**leisure_jobs.resolved(), "population": {"recipe": "area", "residents": 3000}})
    few, crowded = live(leisure_jobs), live(large)
    mine, yours = in_both(few, crowded)
    differ = {name for *_, name in of_people(few, mine) ^ of_people(crowded, yours)}
    assert differ
    touched = np.flatnonzero(np.isin(names(few), list(differ)))
    alone = ~reached(few, touched)[mine]
    assert 0.5 < alone.mean() < 1
    assert_same_lives(few, crowded, mine[alone], yours[alone])


def test_newcomers_are_the_same_whatever_happened_before(
    live: Live, baseline: Scenario, parameters: Parameters
) -> None:
    """Twice as many move out: whoever moves in under the same id is the same person with the same luck."""
    busy = parameters.replace({"move_out_family_dwelling": 0.2, "move_out_youth_dwelling": 0.6})
    few, many = (arrivals(baseline, set) for set in (parameters, busy))
    assert len(many[0]) > 1.4 * len(few[0]) > 140
    _, mine, yours = np.intersect1d(few[0], many[0], return_indices=True)
    assert len(mine) > 100
    assert (few[2][mine] != many[2][yours]).sum() >= 20
    for name in few[1]:
        np.testing.assert_array_equal(few[1][name][mine], many[1][name][yours], err_msg=name)


def arrivals(scenario: Scenario, parameters: Parameters) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Return names, attributes and draws when they moved in, and the month, of all newcomers of some replicates.

    Within two years the usual share in activation is the same, so that the month of arrival decides nothing.
    """
    model = AreaModel(scenario, replicate=range(2), parameters=parameters)
    people, stream = model.population, model.stream
    asked = [
        name for name in people.names if name not in ("head", "row", "until", "side_row", "out_row", "birth", "since")
    ]
    found: dict[str, list[np.ndarray]] = {name: [] for name in (*asked, "age", "months", "key", "draw")}
    months = []
    for month in range(1, 24):
        before = len(people)
        model.step()
        rows = np.arange(before, len(people))
        months.append(np.full(len(rows), month))
        for name in asked:
            found[name].append(getattr(people, name)[rows].copy())
        found["age"].append(month - people.birth[rows])
        found["months"].append(month - people.since[rows])
        found["key"].append(stream.keys[rows])
        found["draw"].append(stream.draw("move", 100, rows))
    return (
        names(model)[scenario.residents * 2 :],
        {name: np.concatenate(parts) for name, parts in found.items()},
        np.concatenate(months),
    )


def test_same_seed_same_life_and_other_seeds_other_lives(live: Live, leisure_jobs: Scenario) -> None:
    first = live(leisure_jobs, seed=5, replicate=2)
    assert_same_life(first, live(leisure_jobs, seed=5, replicate=2))
    for seed, replicate in ((6, 2), (5, 3), (2, 5)):
        other = live(leisure_jobs, seed=seed, replicate=replicate)
        assert other.ledger.table().tobytes() != first.ledger.table().tobytes()
        start = slice(leisure_jobs.residents)
        for name in ("birth", "sex", "origin", "dwelling", "role", "barriers"):
            assert (getattr(other.population, name)[start] == getattr(first.population, name)[start]).all(), name
        assert (other.population.frailty[start] != first.population.frailty[start]).mean() > 0.4


# --- the pairing check


def test_without_a_leak_untouched_residents_are_identical(
    live: Live, leisure_jobs: Scenario, baseline: Scenario
) -> None:
    proof = compare(leisure_jobs, baseline, replicates=4).pairing
    assert proof["untouched_identical"] is True
    newcomers = 0
    for replicate in range(4):
        runs = [live(scenario, replicate=replicate) for scenario in (leisure_jobs, baseline)]
        newcomers += len(np.union1d(*(names(model) for model in runs))) - 800
    assert newcomers > 200
    assert proof["touched"] + proof["untouched"] == 4 * 800 + newcomers
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
    run_month = Programme.run_month

    def leaking(self: Programme, month: int, people: Population) -> np.ndarray:
        if self.courses and month == 20:
            leak(people, row)
        return run_month(self, month, people)

    monkeypatch.setattr(Programme, "run_month", leaking)
    proof = compare(leisure_jobs, baseline, replicates=2).pairing
    assert proof["untouched_identical"] is False
    assert [pair["untouched_identical"] for pair in proof["pairs"]] == [True, False]


def test_leaked_luck_is_seen(monkeypatch: pytest.MonkeyPatch, leisure_jobs: Scenario, baseline: Scenario) -> None:
    """A course that changes the luck of adults shows as soon as it leads somewhere."""
    run_month = Programme.run_month

    def leaking(self: Programme, month: int, people: Population) -> np.ndarray:
        if self.courses and month == 1:
            people.stream.keys[people.birth < -30 * 12] ^= np.uint64(1)
        return run_month(self, month, people)

    monkeypatch.setattr(Programme, "run_month", leaking)
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
    model = live(none)
    referred = np.array(sorted({row for _, event, _, row in records(model) if event == "referred"}))
    assert len(referred) > 10
    assert proof["touched"] == reached(model, referred).sum() >= len(referred)
    assert proof["untouched_identical"] is True


# --- a touched head: the household, and whoever lives in the dwelling afterwards


def life(model: AreaModel) -> Life:
    return Life(model, {0: model.columns()}, model.ledger.table())


@pytest.fixture(scope="module")
def freed(baseline: Scenario) -> tuple[AreaModel, AreaModel, np.ndarray]:
    """Return an area, the same with some heads put into work after a year, and the rows of those heads."""
    longer = Scenario.from_resolved({**baseline.resolved(), "horizon": {"start": "2011-12", "months": 60}})
    base, other = AreaModel(longer), AreaModel(longer)
    heads = np.empty(0, dtype=np.int64)
    for month in range(60):
        if month == 12:
            people = other.population
            mine = (people.head == np.arange(len(people))) & people.in_area & (people.size > 1)
            out_of_work = np.isin(people.state, [CODE[k] for k in ("job_ready", "activity_ready", "self_supporting")])
            heads = np.flatnonzero(mine & out_of_work)
            other.move(heads, "employed")
        base.step()
        other.step()
    return base, other, heads


def test_touched_propagates_to_households_and_later_occupants(
    freed: tuple[AreaModel, AreaModel, np.ndarray],
) -> None:
    base, other, heads = freed
    assert len(heads) >= 25
    shared = Shared.of(life(base), life(other))
    touched = touched_people(life(base), life(other), shared)
    assert not shared.both.all()
    assert touched[~shared.both].all()
    for model, number in zip((base, other), shared.rows, strict=True):
        np.testing.assert_array_equal(touched[number], reached(model, heads))
        members = np.isin(model.population.head, heads)
        assert members.sum() > 2 * len(heads)
        assert touched[number[members]].all()
        assert 0.6 < (~touched[number]).mean() < 0.95
    pairs = pairing(life(base), life(other), range(1))
    assert pairs["untouched_identical"].tolist() == [True]
    assert pairs["touched"].tolist() == [touched.sum()]


def test_who_a_touched_head_reaches_lives_differently(freed: tuple[AreaModel, AreaModel, np.ndarray]) -> None:
    """Spread is needed: some members and later occupants do live another life, so leaving them out would be a leak."""
    base, other, heads = freed
    mine, yours = common(base, other)
    differ = np.zeros(len(mine), dtype=bool)
    there = columns(other)
    for name, column in columns(base).items():
        differ |= column[mine] != there[name][yours]
    members = np.isin(base.population.head[mine], heads) & ~np.isin(mine, heads)
    assert differ[members].any()
    assert len(np.setxor1d(names(base), names(other)))
    assert not differ[~reached(base, heads)[mine]].any()


@pytest.mark.parametrize("column", ["since", "education", "out_row", "in_area", "paid_hours"])
def test_a_leak_to_an_untouched_newcomer_is_seen(freed: tuple[AreaModel, AreaModel, np.ndarray], column: str) -> None:
    base, other, heads = freed
    first = base.stream.residents
    free = np.flatnonzero(~reached(other, heads))
    row = int(free[free >= first][0])
    array = getattr(other.population, column)
    kept = array[row].copy()
    array[row] = not kept if array.dtype == bool else kept + 1
    try:
        assert pairing(life(base), life(other), range(1))["untouched_identical"].tolist() == [False]
    finally:
        array[row] = kept
    assert pairing(life(base), life(other), range(1))["untouched_identical"].tolist() == [True]


def test_usual_activation_in_one_of_two_runs_touches_everybody(live: Live, baseline: Scenario) -> None:
    off = Scenario.read(
        "baseline",
        ["population.residents=800", "horizon.months=24", "economy.usual_activation=false", "id=without"],
    )
    pairs = pairing(life(live(baseline)), life(live(off)), range(1))
    assert pairs["untouched"].tolist() == [0]

"""Same person, same luck, with draws of the parameters: one order, any shards, workers and interruptions."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sim import AreaModel, Result, Scenario, compare, ensemble, run
from sim.ensemble import Job
from sim.measures import MEASURES
from sim.parameters import RIVALS
from sim.results import FILES
from sim.states import CODE

Put = Callable[..., Path]
OPTIONS = ["population.residents=300", "horizon.months=13"]


@pytest.fixture(scope="module")
def jobs() -> Scenario:
    return Scenario.read("leisure_jobs", OPTIONS).with_activity("leisure_job", places=6, reach_school=0.1)


@pytest.fixture(scope="module")
def base() -> Scenario:
    return Scenario.read("baseline", OPTIONS)


def planned(base: Scenario, jobs: Scenario, shard: int = 3, draws: int = 4) -> Job:
    return Job.plan([base, jobs], "baseline", seed=3, replicates=3, shard=shard, draws=draws)


def gathered(job: Job, folder: Path, workers: int = 1) -> dict[str, bytes]:
    """Run a job into ``folder`` and return its files but the manifest, which has times."""
    ensemble.execute(job, folder, ensemble.start(job, folder, "test", {}), workers)
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}


@pytest.mark.slow
def test_any_shards_and_any_interruption_give_the_same_bytes(
    tmp_path: Path, posteriors: Put, base: Scenario, jobs: Scenario
) -> None:
    posteriors(*RIVALS)
    whole = gathered(planned(base, jobs), tmp_path / "whole")
    assert {"outcomes.parquet", "differences.csv", "uncertainty.csv", "pairing.json"} < set(whole)
    assert gathered(planned(base, jobs, shard=1), tmp_path / "parts") == whole
    job, folder = planned(base, jobs, shard=2), tmp_path / "interrupted"
    manifest = ensemble.start(job, folder, "test", {})
    left = 5

    def pressed(_: int) -> None:
        nonlocal left
        left -= len(list((folder / "shards").glob("*-*"))) > 2
        if not left:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensemble.execute(job, folder, manifest, 1, pressed)
    done = sorted(path.name for path in (folder / "shards").iterdir())
    assert done == ["0001-000000-000002", "0001-000002-000003", "0002-000000-000002"]
    again, manifest = ensemble.job_of(folder)
    assert again == job
    ensemble.execute(again, folder, manifest, 1)
    for name, content in whole.items():
        assert (folder / name).read_bytes() == content, name


def test_a_job_is_resumed_without_its_posterior(
    tmp_path: Path, posteriors: Put, base: Scenario, jobs: Scenario
) -> None:
    """The manifest holds the values drawn: taking the file away changes nothing."""
    place = posteriors("history")
    job = planned(base, jobs, draws=2)
    ensemble.start(job, tmp_path / "r", "test", {})
    (place / "history.draws.parquet").unlink()
    again, manifest = ensemble.job_of(tmp_path / "r")
    assert again == job
    assert manifest["draws"] == 2
    assert [origin["structure"] for origin in manifest["parameters"]["posteriors"]] == ["history"]
    assert ensemble.execute(again, None, manifest, 1).table("differences")["draws"].unique().tolist() == [2]


def test_two_workers_write_the_same_bytes_as_one(
    tmp_path: Path, posteriors: Put, base: Scenario, jobs: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workers read the shipped cards and get the drawn values with the job: they see no posterior at all."""
    posteriors("history")
    own = [replace(scenario, parameters="history") for scenario in (base, jobs)]
    one = gathered(planned(*own, shard=2), tmp_path / "one")
    monkeypatch.setattr(ensemble, "WORKERS_FROM", 0)
    used: list[object] = []
    parallel = ensemble._parallel
    monkeypatch.setattr(ensemble, "_parallel", lambda *given: (used.append(given[-1]), parallel(*given))[1])
    assert gathered(planned(*own, shard=2), tmp_path / "two", workers=2) == one
    assert used == [2]


def test_a_draw_is_the_same_in_every_scenario_and_however_many_are_asked_for(
    posteriors: Put, base: Scenario, jobs: Scenario
) -> None:
    posteriors(*RIVALS)
    few, many = (compare(jobs, base, replicates=2, draws=draws).table("outcomes", view=None) for draws in (3, 6))
    pd.testing.assert_frame_equal(few, many[many["draw"] <= 3].reset_index(drop=True), check_exact=True)
    structures = many.groupby(["scenario", "draw"])["structure"].unique().map(list)
    assert structures.loc["baseline"].equals(structures.loc["leisure_jobs"])
    assert structures.loc["baseline"].tolist() == [[name] for name in (*RIVALS, *RIVALS)]
    alone = run(jobs, replicates=2, draws=6).table("outcomes", view=None)
    paired = many[(many["scenario"] == "leisure_jobs") & (many["group_by"] != "participant")]
    wanted = alone[alone["group_by"] != "participant"]
    pd.testing.assert_frame_equal(paired.reset_index(drop=True), wanted.reset_index(drop=True), check_exact=True)


def test_a_run_of_one_draw_is_the_model_with_that_draw(posteriors: Put, jobs: Scenario) -> None:
    posteriors(*RIVALS)
    outcomes = run(jobs, replicates=2, draws=4).table("outcomes", group_by="all", measure="employed")
    for draw in range(1, 5):
        model = AreaModel(jobs, replicate=1, draw=draw)
        for _ in range(jobs.months):
            model.step()
        found = outcomes[(outcomes["draw"] == draw) & (outcomes["replicate"] == 1)]
        employed = [counts[0, 0] for counts in model.counts]
        assert len(found) == len(employed)
        members = np.array(MEASURES["employed"].phases)
        shares = [c[members].sum() / (c.sum() - c[CODE["gone"]]) for c in employed]
        np.testing.assert_array_equal(found["value"], shares)


def test_untouched_residents_live_the_same_lives_in_every_draw(posteriors: Put, base: Scenario, jobs: Scenario) -> None:
    posteriors(*RIVALS)
    proof = compare(jobs, base, replicates=2, draws=3).pairing
    assert proof["untouched_identical"] is True
    assert [(pair["draw"], pair["replicate"]) for pair in proof["pairs"]] == [(d, r) for d in (1, 2, 3) for r in (0, 1)]
    assert 0 < proof["touched"] < proof["untouched"]


def test_one_draw_is_what_it_was_before(posteriors: Put, base: Scenario, jobs: Scenario) -> None:
    """Shipping posteriors changes nothing of a run that does not ask for them."""
    before = compare(jobs, base, replicates=2)
    assert before.manifest["draws"] == 1
    assert "uncertainty" not in before.tables
    posteriors(*RIVALS)
    after = compare(jobs, base, replicates=2, draws=1)
    assert set(after.tables) == set(before.tables)
    for name, table in before.tables.items():
        pd.testing.assert_frame_equal(table, after.tables[name], check_exact=True)
    assert set(after.table("differences", view=None)["interval"]) == {"luck"}
    assert set(after.table("outcomes")["draw"]) == {0}


def test_a_comparison_takes_twenty_draws_where_there_are_posteriors(
    posteriors: Put, base: Scenario, jobs: Scenario, compared_draws: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ensemble, "COMPARED_DRAWS", compared_draws)
    posteriors()
    assert ensemble.usual_draws(base) == 1
    posteriors(*RIVALS)
    assert ensemble.usual_draws(base) == 20
    tiny = [replace(scenario, residents=40, months=1) for scenario in (jobs, base)]
    assert compare(*tiny, replicates=2).manifest["draws"] == 20


def test_results_with_draws_read_back(tmp_path: Path, posteriors: Put, base: Scenario, jobs: Scenario) -> None:
    posteriors(*RIVALS)
    made = compare(jobs, base, replicates=2, draws=3)
    again = Result.load(made.save(tmp_path / "r"))
    assert set(again.tables) == {name for name in FILES if name in made.tables}
    for name in ("uncertainty", "differences"):
        pd.testing.assert_frame_equal(again.tables[name], made.tables[name], check_dtype=False, rtol=1e-9)

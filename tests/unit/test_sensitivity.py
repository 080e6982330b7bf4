"""The search for decisive assumptions: shifts that are those of two comparisons, the same whoever computes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sim import ParameterSet, Result, Scenario, compare, sensitivity
from sim.activities import catalogue
from sim.errors import ParameterError, Problem
from sim.headline import first_headline, luck, told
from sim.results import COLUMNS
from sim.sensitivity import Head, assumed_numbers, search

NAMES = ("leisure_job.take_up", "leisure_job.duration_months", "side_job_end", "control_age_sd")
REPLICATES = 6


@pytest.fixture(scope="module")
def leisure_jobs(leisure_jobs: Scenario) -> Scenario:
    """With so many places that their number is not what matters."""
    return leisure_jobs.with_activity("leisure_job", places=20)


@pytest.fixture(scope="module")
def result(leisure_jobs: Scenario, baseline: Scenario) -> Result:
    return compare(leisure_jobs, baseline, replicates=REPLICATES)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try four numbers only."""
    every = assumed_numbers
    monkeypatch.setattr(
        sensitivity, "assumed_numbers", lambda scenarios: [n for n in every(scenarios) if n.parameter in NAMES]
    )


def found(result: Result, scenarios: list[Scenario], workers: int = 1) -> pd.DataFrame:
    return search(scenarios, result.table("differences"), REPLICATES, 1, workers=workers)


def test_every_grade_d_number_a_run_uses_is_tried_and_no_other(leisure_jobs: Scenario, baseline: Scenario) -> None:
    names = [number.parameter for number in assumed_numbers([baseline, leisure_jobs])]
    shared = {id for id, card in ParameterSet.read("history").items() if card.grade == "D"} - {"control_age_sd"}
    cards = catalogue()["leisure_job"].parameters
    own = {f"leisure_job.{id}" for id, card in cards.items() if card.grade == "D"}
    assert len(shared) > 10
    assert len(own) > 5
    assert sorted(names) == sorted(shared | own)
    assert {number.parameter for number in assumed_numbers([baseline])} == shared


def test_a_number_the_scenario_sets_is_an_assumption_tried_from_that_value(
    leisure_jobs: Scenario, baseline: Scenario
) -> None:
    [card] = [n for n in assumed_numbers([leisure_jobs]) if n.parameter == "leisure_job.take_up"]
    mine = leisure_jobs.with_activity("leisure_job", take_up=0.5)
    [set_here] = [n for n in assumed_numbers([baseline, mine]) if n.parameter == "leisure_job.take_up"]
    assert (card.value, set_here.value) == (catalogue()["leisure_job"].parameters["take_up"].value, 0.5)
    assert (set_here.low, set_here.high) == (card.low, card.high)


@pytest.mark.usefixtures("few")
def test_shifts_are_the_differences_of_two_comparisons(
    result: Result, leisure_jobs: Scenario, baseline: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An activity's number by a scenario that sets it, a shared one by a parameter set that holds it."""
    table = found(result, [baseline, leisure_jobs]).set_index("parameter")
    assert set(table.index) == set(NAMES) - {"control_age_sd"}
    head = first_headline(luck(result.table("differences")))
    assert head is not None
    assert (table["measure"] == head["measure"]).all()
    assert (table["estimate"] == head["estimate"]).all()
    at = {"group_by": "all", "measure": head["measure"], "month": head["month"]}

    def estimate(scenario: Scenario, replicates: int) -> float:
        found = compare(scenario, baseline, replicates=replicates, draws=1)
        return float(found.table("differences", **at)["estimate"].iloc[0])

    row = table.loc["leisure_job.take_up"]
    n = int(row["replicates"])
    now = estimate(leisure_jobs, n)
    changed = leisure_jobs.with_activity("leisure_job", take_up=row["low"])
    assert row["shift_low"] == pytest.approx(estimate(changed, n) - now, abs=1e-12)
    row = table.loc["side_job_end"]
    n = int(row["replicates"])
    now = estimate(leisure_jobs, n)
    whole = ParameterSet.read("history").replace({"side_job_end": row["high"]})
    monkeypatch.setattr(ParameterSet, "read", lambda name: whole)
    assert row["shift_high"] == pytest.approx(estimate(leisure_jobs, n) - now, abs=1e-12)


@pytest.mark.usefixtures("few")
def test_the_table_is_the_contract_and_sorted_by_what_moves_most(
    result: Result, leisure_jobs: Scenario, baseline: Scenario
) -> None:
    table = found(result, [baseline, leisure_jobs])
    assert list(table.columns) == list(COLUMNS["sensitivity"])
    assert table["share_of_interval"].is_monotonic_decreasing
    width = table["interval_high"] - table["interval_low"]
    larger = table[["shift_low", "shift_high"]].abs().max(axis=1)
    np.testing.assert_allclose(table["share_of_interval"], larger / width)
    effect = table.set_index("parameter").loc["leisure_job.duration_months"]
    assert effect["shift_low"] < 0 < effect["shift_high"]
    assert effect["replicates"] == sensitivity.CONFIRMED
    assert (table["se"] >= 0).all()


@pytest.mark.usefixtures("few")
def test_the_number_of_workers_changes_nothing(
    result: Result, leisure_jobs: Scenario, baseline: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = found(result, [baseline, leisure_jobs])
    monkeypatch.setattr(sensitivity, "WORKERS_FROM", 0.0)
    monkeypatch.setattr(sensitivity, "LIVES_A_BATCH", 2)
    told_of: list[tuple[int, int]] = []
    together = search(
        [baseline, leisure_jobs],
        result.table("differences"),
        REPLICATES,
        1,
        workers=2,
        progress=lambda done, total: told_of.append((done, total)),
    )
    pd.testing.assert_frame_equal(alone, together, check_exact=True)
    assert [done for done, _ in told_of] == sorted(done for done, _ in told_of)
    assert told_of[-1][0] == told_of[-1][1]


@pytest.mark.usefixtures("few")
def test_each_compared_scenario_has_its_own_headline_and_what_it_does_not_use_moves_nothing(
    leisure_jobs: Scenario, baseline: Scenario
) -> None:
    more = replace(leisure_jobs.with_activity("leisure_job", places=40, take_up=0.8), id="more")
    result = compare([leisure_jobs, more], baseline, replicates=REPLICATES)
    table = found(result, [baseline, leisure_jobs, more])
    assert list(dict.fromkeys(table["scenario"])) == ["leisure_jobs", "more"]
    [usual] = [item.values["take_up"] for item in leisure_jobs.activities]
    values = {usual: ("leisure_jobs", "more"), 0.8: ("more", "leisure_jobs")}
    for value, (uses, other) in values.items():
        mine = table[(table["parameter"] == "leisure_job.take_up") & (table["value"] == value)].set_index("scenario")
        assert mine.loc[uses, "share_of_interval"] > 0
        assert mine.loc[other, ["shift_low", "shift_high"]].tolist() == [0, 0]


@pytest.mark.usefixtures("few")
def test_a_value_no_area_can_be_made_with_is_said_to_be_so(
    result: Result, leisure_jobs: Scenario, baseline: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived = sensitivity.Trial.lived

    def refuse(trial: sensitivity.Trial, scenario: Scenario, parameters: ParameterSet) -> np.ndarray:
        if parameters.value("side_job_end") > 0.1:
            raise ParameterError([Problem("unknown_parameter", key="side_job_end")])
        return lived(trial, scenario, parameters)

    monkeypatch.setattr(sensitivity.Trial, "lived", refuse)
    row = found(result, [baseline, leisure_jobs]).set_index("parameter").loc["side_job_end"]
    assert np.isnan(row["shift_high"])
    assert row["share_of_interval"] == pytest.approx(
        abs(row["shift_low"]) / (row["interval_high"] - row["interval_low"])
    )


def test_without_a_headline_nothing_is_tried(
    leisure_jobs: Scenario, baseline: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensitivity, "assumed_numbers", None)
    nobody = leisure_jobs.with_activity("leisure_job", places=0)
    for scenario, replicates in ((nobody, 3), (leisure_jobs, 1)):
        result = compare(scenario, baseline, replicates=replicates)
        table = search([baseline, scenario], result.table("differences"), replicates, 1)
        assert table.empty
        assert list(table.columns) == list(COLUMNS["sensitivity"])


def test_few_residents_are_tried_more_often_and_many_at_least_once(
    result: Result, leisure_jobs: Scenario, baseline: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    [number] = [n for n in assumed_numbers([leisure_jobs]) if n.parameter == "leisure_job.duration_months"]
    monkeypatch.setattr(sensitivity, "assumed_numbers", lambda scenarios: [number])
    for rows, replicates in ((30_000, sensitivity.CONFIRMED), (5 * 800, 5), (100, 1)):
        monkeypatch.setattr(sensitivity, "ROWS", rows)
        table = found(result, [baseline, leisure_jobs])
        assert table["replicates"].tolist() == [replicates]


def test_a_shift_within_two_errors_of_the_limit_is_tried_again() -> None:
    head = Head("jobs", "employed", "2016-12", 0.05, 0.0, 0.1)
    sure, doubtful, small = (np.full((1, 4), 0.011), np.array([[0.0, 0.0, 0.0, 0.02]]), np.full((1, 4), 0.009))
    still = np.zeros((1, 4))
    assert sensitivity._may_move((still, sure), [head])
    assert sensitivity._may_move((-sure, still), [head])
    assert sensitivity._may_move((still, doubtful), [head])
    assert not sensitivity._may_move((still, small), [head])


def test_the_first_headline_is_the_clearest_shown_difference() -> None:
    rows = [
        {"measure": measure, "month": "2016-12", "group_by": "all", "group": "all", "estimate": estimate, "se": se}
        | {"low": estimate - 0.1, "high": estimate + 0.1, "replicates": 10}
        for measure, estimate, se in (
            ("employed", 0.001, 0.01),
            ("neet", -0.02, 0.002),
            ("leisure_job_26h", 0.03, 0.02),
            ("in_education", 0.02, 0.004),
        )
    ]
    frame = pd.DataFrame(rows)
    assert told(frame) == (["neet", "in_education"], ["leisure_job_26h"])
    assert (first_headline(frame) or {})["measure"] == "neet"
    hidden = frame[~frame["measure"].isin(["neet", "in_education"])]
    assert told(hidden) == ([], ["leisure_job_26h", "employed"])
    assert (first_headline(hidden) or {})["measure"] == "leisure_job_26h"
    assert first_headline(frame.iloc[:0]) is None
    assert first_headline(frame.assign(se=np.nan)) is None


def test_a_changed_number_reaches_only_items_that_had_the_old_value(leisure_jobs: Scenario) -> None:
    [usual] = [item.values["take_up"] for item in leisure_jobs.activities]
    changed = sensitivity._with(leisure_jobs, "leisure_job", "take_up", usual, 0.9)
    assert [item.values["take_up"] for item in changed.activities] == [0.9]
    assert [item.values["take_up"] for item in leisure_jobs.activities] == [usual]
    assert sensitivity._with(leisure_jobs, "leisure_job", "take_up", 0.5, 0.9) is leisure_jobs

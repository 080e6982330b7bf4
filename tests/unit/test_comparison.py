"""Paired differences against numbers worked out by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sim import Result, Scenario, compare, run, toy_area
from sim.comparison import differences, headlines
from sim.errors import ResultError

MONTH = "2013-12"


def outcomes(values: dict[str, list[float | None]], measure: str = "employed", group: str = "all") -> pd.DataFrame:
    """Return outcomes of scenarios by replicate; None: the group is empty there and has no value."""
    return pd.DataFrame(
        [
            {
                "scenario": scenario,
                "structure": "history",
                "draw": 0,
                "replicate": replicate,
                "view": "individual",
                "month": MONTH,
                "group_by": "all" if group == "all" else "participant",
                "group": group,
                "measure": measure,
                "value": np.nan if value is None else value,
            }
            for scenario, found in values.items()
            for replicate, value in enumerate(found)
        ]
    )


def only(table: pd.DataFrame) -> dict[str, object]:
    assert len(table) == 1
    return dict(table.iloc[0])


def test_estimate_error_and_limits_by_hand() -> None:
    """Differences .1, .3, .2, -.2: mean .1, squares .14, sd sqrt(.14 / 3), t(.975, 3) = 3.182446, sqrt(1 + 1/4)."""
    found = only(differences(outcomes({"base": [0.4, 0.2, 0.3, 0.5], "jobs": [0.5, 0.5, 0.5, 0.3]}), "base", [MONTH]))
    sd = (0.14 / 3) ** 0.5
    assert found["estimate"] == pytest.approx(0.1)
    assert found["se"] == pytest.approx(sd / 2)
    assert found["low"] == pytest.approx(0.1 - 3.182446305 * sd * 1.25**0.5)
    assert found["high"] == pytest.approx(0.1 + 3.182446305 * sd * 1.25**0.5)
    assert found["p_above_zero"] == pytest.approx(0.75)
    assert (found["replicates"], found["draws"], found["interval"]) == (4, 1, "luck")
    assert (found["scenario"], found["against"]) == ("jobs", "base")


def test_pairs_are_kept_together_not_means() -> None:
    """Shuffled replicates of the base give the same estimate and another error."""
    pairs = differences(outcomes({"base": [0.1, 0.2, 0.3], "jobs": [0.2, 0.3, 0.4]}), "base", [MONTH])
    mixed = differences(outcomes({"base": [0.3, 0.1, 0.2], "jobs": [0.2, 0.3, 0.4]}), "base", [MONTH])
    assert only(pairs)["estimate"] == pytest.approx(only(mixed)["estimate"])
    assert only(pairs)["se"] == pytest.approx(0, abs=1e-12)
    assert only(mixed)["se"] == pytest.approx(np.std([-0.1, 0.2, 0.2], ddof=1) / 3**0.5)


def test_ties_count_half() -> None:
    found = only(differences(outcomes({"base": [0.4, 0.4, 0.4, 0.4], "jobs": [0.4, 0.4, 0.5, 0.3]}), "base", [MONTH]))
    assert found["p_above_zero"] == pytest.approx((0.5 + 0.5 + 1 + 0) / 4)
    same = only(differences(outcomes({"base": [0.4, 0.3], "jobs": [0.4, 0.3]}), "base", [MONTH]))
    assert (same["estimate"], same["se"], same["low"], same["high"], same["p_above_zero"]) == (0, 0, 0, 0, 0.5)


def test_replicates_with_an_empty_group_are_left_out() -> None:
    values: dict[str, list[float | None]] = {"base": [0.4, None, 0.2, 0.1], "jobs": [0.5, 0.9, None, 0.3]}
    found = only(differences(outcomes(values, group="yes"), "base", [MONTH]))
    assert found["replicates"] == 2
    assert found["estimate"] == pytest.approx(0.15)
    assert found["se"] == pytest.approx(np.std([0.1, 0.2], ddof=1) / 2**0.5)
    assert found["high"] == pytest.approx(0.15 + 12.7062047 * np.std([0.1, 0.2], ddof=1) * 1.5**0.5)


def test_groups_empty_in_every_replicate_have_no_row() -> None:
    empty = outcomes({"base": [None, None], "jobs": [0.1, 0.2]}, group="yes")
    full = outcomes({"base": [0.1, 0.2], "jobs": [0.1, 0.2]})
    table = differences(pd.concat([empty, full]), "base", [MONTH])
    assert table["group"].tolist() == ["all"]


def test_one_replicate_has_no_error() -> None:
    found = only(differences(outcomes({"base": [0.4], "jobs": [0.5]}), "base", [MONTH]))
    assert found["estimate"] == pytest.approx(0.1)
    assert np.isnan([found["se"], found["low"], found["high"]]).all()
    assert found["p_above_zero"] == 1


def test_every_scenario_is_held_against_the_base() -> None:
    table = differences(outcomes({"base": [0.4, 0.3], "a": [0.5, 0.4], "b": [0.3, 0.3]}), "base", [MONTH])
    assert table.set_index("scenario")["estimate"].to_dict() == pytest.approx({"a": 0.1, "b": -0.05})
    assert set(table["against"]) == {"base"}
    assert differences(outcomes({"base": [0.4, 0.3], "a": [0.5, 0.4]}), "base", ["2013-12", "2014-12"]).equals(
        differences(outcomes({"base": [0.4, 0.3], "a": [0.5, 0.4]}), "base", ["2013-12"])
    )


def test_a_comparison_equals_its_own_outcomes(leisure_jobs: Scenario, baseline: Scenario) -> None:
    """Recomputed from the raw outcomes, measure by measure, group by group."""
    result = compare(leisure_jobs, baseline, replicates=4)
    table, raw = result.table("differences"), result.table("outcomes")
    keys = ["measure", "month", "group_by", "group", "replicate"]
    wide = raw.set_index(["scenario", *keys])["value"].unstack("scenario")
    d = (wide["leisure_jobs"] - wide["baseline"]).dropna()
    groups = d.groupby(level=keys[:-1])
    wanted = pd.DataFrame({"estimate": groups.mean(), "se": groups.std() / groups.size() ** 0.5})
    found = table.set_index(keys[:-1])[["estimate", "se"]]
    assert len(found) > 200
    np.testing.assert_allclose(found, wanted.reindex(found.index), atol=1e-15)


def test_headlines_take_the_last_month_of_each_measure(leisure_jobs: Scenario, baseline: Scenario) -> None:
    longer = [
        Scenario.from_resolved({**s.resolved(), "horizon": {"start": "2011-12", "months": 20}, "activities": a})
        for s, a in ((leisure_jobs, [{"id": "jobs", "activity": "leisure_job", "places": 12}]), (baseline, []))
    ]
    result = compare(longer[0], longer[1], replicates=2)
    table = headlines(result).set_index("measure")
    assert table.loc["employed", "month"] == "2013-08"
    assert table.loc["leisure_job_26h", "month"] == "2012-12"
    assert table.loc["employed", "mean"] - table.loc["employed", "base"] == pytest.approx(
        table.loc["employed", "estimate"], abs=1e-12
    )


def test_limits_of_persons_are_percentiles_over_replicates() -> None:
    """Counts 0, 0, 0, 8 against none: no negative limit; the 97.5th percentile lies 92.5 % of the way from 0 to 8."""
    counted = outcomes({"base": [0.0] * 4, "jobs": [0.0, 0.0, 0.0, 8.0]}).assign(measure="never_served")
    found = only(differences(counted, "base", [MONTH]))
    assert (found["low"], found["high"]) == (0, pytest.approx(8 * 0.925))


def test_what_cannot_be_run_is_refused_in_python_too() -> None:
    base = toy_area(residents=20, months=1)
    for refused in (lambda: run(base, replicates=0), lambda: run(base, seed=-1), lambda: compare([], base)):
        with pytest.raises(ResultError):
            refused()


def test_a_result_saved_over_another_leaves_nothing_of_it(tmp_path: Path) -> None:
    base = toy_area(residents=50, months=1)
    jobs = replace(base.with_activity("leisure_job", places=1), id="jobs")
    compare(jobs, base, replicates=2).save(tmp_path)
    run(base, replicates=2).save(tmp_path)
    again = Result.load(tmp_path)
    assert "differences" not in again.tables
    assert again.pairing is None


def test_tables_keep_their_types_when_the_base_has_no_activities() -> None:
    base = Scenario.read("baseline").scaled(300)
    jobs = Scenario.read("leisure_jobs").scaled(300)
    result = compare(jobs, base, replicates=2)
    assert result.table("queues")["places"].dtype == np.int64
    assert result.table("participants")["resident"].dtype == np.int64

"""Luck, parameters and structures in the tables, the report and at the prompt."""

import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import run
from sim import Result, Scenario, compare
from sim import run as run_scenario
from sim.comparison import differences, headlines
from sim.errors import ResultError
from sim.headline import apart, luck, pooled, told_band, told_uncertainty
from sim.locale import LANGUAGES, text
from sim.measures import MEASURES
from sim.parameters import RIVALS
from sim.report import write_report
from sim.results import observed, summarise
from sim.runs import UNCERTAINTY, uncertainty
from sim.uncertainty import beyond_words, parameter_words
from sim.variance import INTERVALS, crossed

Put = Callable[..., Path]
MONTH = "2013-12"
BASE = {"view": "individual", "month": MONTH, "group_by": "all", "group": "all"}


def outcomes(values: np.ndarray, structures: list[str], measure: str = "employed") -> pd.DataFrame:
    """Return outcomes of a base at .3 and of ``jobs`` that is ``values`` (draws, replicates) higher."""
    rows = [
        {
            **BASE,
            "scenario": scenario,
            "structure": structures[draw],
            "draw": draw + 1,
            "replicate": replicate,
            "measure": measure,
            "value": 0.3 + (values[draw, replicate] if scenario == "jobs" else 0.0),
        }
        for scenario in ("base", "jobs")
        for draw, replicate in np.ndindex(values.shape)
    ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def table() -> np.ndarray:
    """Six draws and four replicates: draws differ, replicates differ, and some of both."""
    luck = np.random.default_rng(3)
    return 0.05 + luck.normal(0, 0.02, (6, 1)) + luck.normal(0, 0.01, (1, 4)) + luck.normal(0, 0.005, (6, 4))


NAMES = ["history", "calendar"] * 3


# --- tables


def test_every_structure_and_interval_has_its_row(table: np.ndarray) -> None:
    found = differences(outcomes(table, NAMES), "base", [MONTH])
    assert found[["structure", "interval"]].to_numpy().tolist() == [
        [structure, interval] for structure in ("pooled", "history", "calendar") for interval in INTERVALS
    ]
    for structure, draws in (("pooled", slice(None)), ("history", slice(0, 6, 2)), ("calendar", slice(1, 6, 2))):
        values = table[draws]
        wanted = crossed(values[None])
        rows = found[found["structure"] == structure].set_index("interval")
        for interval in INTERVALS:
            row = rows.loc[interval]
            assert row["estimate"] == pytest.approx(values.mean())
            assert row["se"] == pytest.approx(wanted.se[0])
            assert (row["low"], row["high"]) == pytest.approx(tuple(end[0] for end in wanted.limits[interval]))
            assert row["p_above_zero"] == pytest.approx((values > 0).mean())
            assert (row["replicates"], row["draws"]) == (4, len(values))


def test_one_structure_is_not_pooled_and_one_draw_of_a_structure_is_luck(table: np.ndarray) -> None:
    alone = differences(outcomes(table, ["calendar"] * 6), "base", [MONTH])
    assert alone["structure"].unique().tolist() == ["calendar"]
    assert alone["interval"].tolist() == list(INTERVALS)
    thin = differences(outcomes(table[:2], ["history", "calendar"]), "base", [MONTH])
    assert thin.loc[thin["structure"] == "pooled", "interval"].tolist() == list(INTERVALS)
    assert thin.loc[thin["structure"] != "pooled", "interval"].tolist() == ["luck", "luck"]


def test_replicates_in_which_a_group_is_empty_in_any_draw_are_left_out(table: np.ndarray) -> None:
    holed = table.copy()
    holed[1, 2] = np.nan
    found = differences(outcomes(holed, NAMES), "base", [MONTH]).set_index(["structure", "interval"])
    kept = np.delete(table, 2, axis=1)
    assert found.loc[("pooled", "both"), "estimate"] == pytest.approx(kept.mean())
    assert found.loc[("pooled", "both"), "replicates"] == found.loc[("calendar", "luck"), "replicates"] == 3
    assert found.loc[("history", "luck"), "replicates"] == 4


def test_persons_have_percentiles() -> None:
    """Three draws of ten replicates: the percentiles of all thirty runs, and none below zero."""
    counts = np.random.default_rng(1).poisson(1.5, (3, 10)).astype(float)
    found = differences(outcomes(counts, ["history"] * 3, "never_served"), "base", [MONTH]).set_index("interval")
    assert found.loc["both", ["low", "high"]].tolist() == pytest.approx(np.quantile(counts, (0.025, 0.975)).tolist())
    assert (found["low"] > -1e-9).all()


def test_shares_of_variance_add_up(table: np.ndarray) -> None:
    found = uncertainty(outcomes(table, NAMES), "base", [MONTH])
    assert list(found.columns) == list(UNCERTAINTY)
    assert set(found["of"]) == {"level", "difference"}
    row = found[(found["of"] == "difference") & (found["structure"] == "pooled")].iloc[0]
    wanted = crossed(table[None])
    assert row["sd_luck"] == pytest.approx(wanted.luck[0] ** 0.5)
    assert row["sd_parameters"] == pytest.approx(wanted.parameters[0] ** 0.5)
    whole = wanted.luck[0] + wanted.parameters[0]
    assert row["share_parameters"] == pytest.approx(wanted.parameters[0] / whole)
    base = found[(found["scenario"] == "base") & (found["structure"] == "pooled")].iloc[0]
    assert (base["sd_luck"], base["of"]) == (0, "level")
    assert np.isnan(base["share_parameters"])
    assert "difference" not in set(uncertainty(outcomes(table, NAMES), None, [MONTH])["of"])


def test_summaries_are_of_each_structure_and_pooled(table: np.ndarray) -> None:
    found = summarise(outcomes(table, NAMES), [MONTH])
    jobs = found[found["scenario"] == "jobs"].set_index("structure")
    assert jobs.index.tolist() == ["pooled", "history", "calendar"]
    assert jobs.loc["pooled", "mean"] == pytest.approx(0.3 + table.mean())
    assert jobs.loc["calendar", "mean"] == pytest.approx(0.3 + table[1::2].mean())
    assert jobs.loc["pooled", "p95"] == pytest.approx(0.3 + np.quantile(table, 0.95))
    assert jobs["draws"].tolist() == [6, 3, 3]


def test_what_is_told_is_pooled(table: np.ndarray) -> None:
    found = differences(outcomes(table, NAMES), "base", [MONTH])
    assert luck(found)[["structure", "interval"]].to_numpy().tolist() == [["pooled", "luck"]]
    assert told_band(found)[["structure", "interval"]].to_numpy().tolist() == [["pooled", "both"]]
    alone = differences(outcomes(table[:1], ["history"]), "base", [MONTH])
    assert told_band(alone)[["structure", "interval"]].to_numpy().tolist() == [["history", "luck"]]
    assert pooled(alone).equals(alone)


def test_structures_furthest_apart_come_first() -> None:
    """Means .02, .05 and .03 of three draws each; the gap's error is t(4) · sd · √(1/3 + 1/3)."""
    values = np.repeat([[0.02], [0.05], [0.03]], 4, axis=1).repeat(3, axis=0)
    values += np.tile([-0.01, 0.0, 0.01], 3)[:, None]
    names = ["history"] * 3 + ["history_stayers"] * 3 + ["calendar"] * 3
    found = uncertainty(outcomes(values, names), "base", [MONTH])
    row = apart(found).iloc[0]
    assert (row["of"], row["lowest"], row["highest"]) == ("level", "history", "history_stayers")
    assert row["gap"] == pytest.approx(0.03)
    assert row["error"] == pytest.approx(2.776445 * 0.01 * (2 / 3) ** 0.5)
    assert np.isnan(row["gap_fitted"])
    assert apart(uncertainty(outcomes(values[:3], names[:3]), "base", [MONTH])).empty


def test_observed_shares_carry_luck_and_parameters(posteriors: Put) -> None:
    posteriors(*RIVALS)
    cohorts = Scenario.read("cash_benefit_cohorts_2011", ["population.residents=600", "horizon.months=24"])
    result = run_scenario(cohorts, replicates=3, draws=6)
    raw = result.table("outcomes", group_by="cohort", group="job_ready_2011", measure="job_ready", month=MONTH)
    values = raw.sort_values(["draw", "replicate"])["value"].to_numpy().reshape(1, 6, 3)
    row = result.table("observed").set_index("target").loc["fig4_13_jobready11_to_jobready_2013"]
    wanted = crossed(values)
    assert row["simulated"] == pytest.approx(values.mean())
    assert row["se"] == pytest.approx(wanted.se[0])
    low, high = (np.clip(end[0], 0, 1) for end in wanted.limits["both"])
    assert (row["sim_low"], row["sim_high"]) == pytest.approx((low, high))
    assert len(observed(result.tables["outcomes"])) == len(result.tables["observed"])


# --- report and prompt


@pytest.fixture(scope="module")
def long_run(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A small comparison to 2017-12 over three structures, six draws and three replicates."""
    from posteriors import write_posteriors

    with pytest.MonkeyPatch.context() as patch:
        folder = write_posteriors(tmp_path_factory.mktemp("sets") / "p", RIVALS, 20)
        patch.setattr("sim.parameters.PARAMETER_SETS", folder)
        options = ["population.residents=400", "horizon.months=72"]
        jobs = Scenario.read("leisure_jobs", options).with_activity("leisure_job", places=10, reach_school=0.1)
        return compare(jobs, Scenario.read("baseline", options), replicates=3, draws=6, sensitivity=False)


def words_of(folder: Path, lang: str) -> str:
    page = write_report(folder, lang).read_text(encoding="utf-8")
    page = re.sub(r"<(style|svg).*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"[\s\xa0]+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_report_tells_luck_parameters_and_structures(long_run: Result, tmp_path: Path, lang: str) -> None:
    folder = long_run.save(tmp_path / "r")
    words = words_of(folder, lang)
    assert not re.search(r"\{\w*\}|\bnan\b|\bNone\b", words)
    lead = parameter_words(long_run.manifest, lang)
    assert lead in words
    assert "6" in lead
    for key in ("section_structures", "structures_note", "limit_parameters_both", "table_apart", "band_long_both"):
        assert text(f"report.{key}", lang).replace(" %", " %") in words, key
    for key in ("limit_parameters", "band_long"):
        assert text(f"report.{key}", lang) not in words, key
    for structure in ("pooled", *RIVALS):
        assert text(f"report.structure_{structure}", lang) in words
    fitted = {"da": "dec. 2016", "en": "Dec 2016"}[lang]
    assert text("report.beyond", lang, fitted=fitted) in words
    split = text("report.split", lang, luck="#", parameters="#").split("#")[0]
    row = told_uncertainty(long_run.tables["uncertainty"], ["leisure_job_26h"]).iloc[0]
    assert f"{split}{round(100 * (1 - row['share_parameters']))} %" in words
    assert (folder / "figures" / "structures.svg").is_file()
    drawn = pd.read_csv(folder / "figures" / "structures.csv")
    assert set(drawn["structure"]) == {"pooled", *RIVALS}


def test_figures_of_a_result_with_draws_are_drawn(long_run: Result) -> None:
    for name in ("structures", "differences", "forest", "states", "observed"):
        assert long_run.plot(name, "en").axes, name
    words = " ".join(t.get_text() for t in long_run.plot("differences", "en").texts)
    assert text("report.band_short_both", "en") in words


def test_one_replicate_and_several_draws_make_a_page_without_intervals(
    posteriors: Put, tmp_path: Path, baseline: Scenario, leisure_jobs: Scenario
) -> None:
    posteriors(*RIVALS)
    short = [
        Scenario.from_resolved({**s.resolved(), "population": {"recipe": "area", "residents": 200}})
        for s in (leisure_jobs, baseline)
    ]
    words = words_of(compare(*short, replicates=1, draws=3).save(tmp_path / "r"), "en")
    assert not re.search(r"\bnan\b|95 %|90 %", words)


def test_a_run_with_draws_tells_levels(posteriors: Put, tmp_path: Path, baseline: Scenario) -> None:
    posteriors("history")
    result = run_scenario(baseline, replicates=3, draws=5)
    assert set(result.table("uncertainty")["of"]) == {"level"}
    words = words_of(result.save(tmp_path / "r"), "en")
    assert parameter_words(result.manifest, "en") in words
    assert "90 % of the runs (luck and parameters) lie between" in words
    assert not re.search(r"\{\w*\}|\bnan\b|\bNone\b", words)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_without_draws_the_point_and_its_silence_are_told(lang: str) -> None:
    manifest = {"draws": 1, "replicates": 20, "parameters": {"structure": "history"}}
    assert text("report.structure_history", lang) in parameter_words(manifest, lang)
    fitted = {"da": "dec. 2016", "en": "Dec 2016"}[lang]
    assert list(beyond_words(None, "base", [], {}, lang)) == [text("report.beyond_one", lang, fitted=fitted)]


def test_the_prompt_tells_draws_structures_and_what_is_beyond_the_data(
    posteriors: Put, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    posteriors(*RIVALS)
    small = ["-s", "population.residents=300", "-s", "horizon.months=72", "--replicates", "2", "--lang", "en"]
    more = ["--no-sensitivity", "--draws", "6", "--workers", "1"]
    command = ["compare", "leisure_jobs", "--against", "baseline", *small, *more]
    assert run.main([*command, "--out", str(tmp_path / "r")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("leisure_jobs against baseline: 6 draws of the parameters × 2 replicates, pairs")
    assert "95 %: parameters" in said
    assert "what one area may meet by luck and parameters" in said
    assert "Structure by structure the mean is: history" in said
    assert "the data cannot choose between them" in said
    assert len(re.findall("^employed", said, re.MULTILINE)) <= 1
    assert run.main([*command, "--json", "--out", str(tmp_path / "j")]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = headlines(Result.load(tmp_path / "j"))
    assert len(found["differences"]) == len(rows) == 3 * len(MEASURES)
    assert {row["structure"] for row in found["differences"]} == {"pooled"}
    assert {row["structure"] for row in found["uncertainty"]} == {"pooled", *RIVALS}
    assert run.main(["run", "baseline", *small, "--draws", "3", "--workers", "1", "--out", str(tmp_path / "one")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("baseline: mean of 3 draws of the parameters × 2 replicates")
    assert "spread over runs (luck and parameters)" in said


WRONG = {
    ("--draws", "2"): "--draws: 2 draws cannot be dealt to history, history_stayers, calendar; ask for at least 3",
    ("--draws", "100"): "--draws: there is no draw 100; the posterior goes as far as 60.",
    ("--draws", "0"): "--draws: 0 cannot be used; write a whole number, at least 1.",
}


@pytest.mark.parametrize("given", WRONG, ids=" ".join)
def test_wrong_numbers_of_draws_end_with_2_and_write_nothing(
    posteriors: Put, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: tuple[str, ...]
) -> None:
    posteriors(*RIVALS, number=20)
    out = tmp_path / "r"
    for command in (["run", "baseline"], ["compare", "leisure_jobs", "--against", "baseline"]):
        assert run.main([*command, *given, "--lang", "en", "--out", str(out)]) == 2
        said = capsys.readouterr()
        assert said.err.startswith(WRONG[given])
        assert len(said.err.splitlines()) == 1
        assert not out.exists()


def test_a_stale_posterior_ends_a_comparison_with_2(
    posteriors: Put, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = posteriors("history")
    cards = (folder / "history.yaml").read_text(encoding="utf-8")
    changed = re.sub(r"(id: rate_job_ready_to_activity_ready, value: 0\.\d{4})\d+", r"\1", cards)
    assert changed != cards
    (folder / "history.yaml").write_text(changed, encoding="utf-8")
    command = ["compare", "leisure_jobs", "--against", "baseline", "--lang", "en", "--out", str(tmp_path / "r")]
    assert run.main(command) == 2
    said = capsys.readouterr().err
    assert said.startswith("history.draws.parquet: the draws are stale")
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "r").exists()


def test_draws_below_one_are_refused_in_python_too(baseline: Scenario) -> None:
    with pytest.raises(ResultError) as caught:
        run_scenario(baseline, draws=0)
    assert [problem.key for problem in caught.value.problems] == ["draws"]

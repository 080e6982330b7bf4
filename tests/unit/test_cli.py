"""The command line: every command, exit code and message, and that it gives the library's numbers."""

import contextlib
import dataclasses
import hashlib
import io
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

import run
from sim import Result, Scenario, comparison, ensemble, sensitivity
from sim.activities import catalogue
from sim.comparison import headlines
from sim.locale import LANGUAGES
from sim.measures import MEASURES
from sim.parameters import GRADES, ParameterSet
from sim.results import COLUMNS, FILES
from sim.scenario import json_schema, list_scenarios
from sim.scenario_file import shipped
from sim.states import STATES

DOOR = Path(run.__file__)
SHARED = ("population.residents=500", "horizon.months=36")
SMALL = ("-s", SHARED[0], "-s", SHARED[1], "--replicates", "3")
NO_PLACES = "activities[leisure_job].places=0"

OUTCOMES = "scenario structure draw replicate view month group_by group measure value"
SUMMARY = "scenario structure view month group_by group measure mean sd p5 p50 p95 replicates draws"
DIFFERENCES = (
    "scenario against view measure month group_by group estimate se low high interval p_above_zero "
    "replicates draws structure"
)
PARTICIPANTS = "scenario draw replicate resident activity referred queued enrolled ended how"
QUEUES = (
    "scenario activity draw replicate month places enrolled waiting referred started completed dropped_out "
    "gave_up declined left_queue left_target_group closed clarified_flex_job clarified_pension clarified_closer "
    "clarified_none took_opening contacted covered"
)
COSTS = "scenario activity draw replicate year payer item amount_dkk price_year"
ASSUMPTIONS = (
    "id label_da label_en value unit low high grade source date note_da note_en used_by structure draw_low draw_high"
)
OBSERVED = "target published low high simulated sim_low sim_high se scenario reading label_da label_en inside"
FLOWS = "scenario cohort month_0 month_1 month_2 group_0 group_1 group_2 persons"
POPULATION = "target published made expected_error"
PYRAMID = "age_group sex origin persons"
AREA_CHANGE = "scenario draw replicate month measure total stayers leavers newcomers"
LEFT_OUT = "target reason_da reason_en"
SENSITIVITY = (
    "parameter scenario label_da label_en unit value low high measure month estimate interval_low interval_high "
    "shift_low shift_high se share_of_interval replicates"
)
TABLES = {
    "outcomes.parquet": OUTCOMES,
    "outcomes.csv": SUMMARY,
    "differences.csv": DIFFERENCES,
    "participants.parquet": PARTICIPANTS,
    "queues.csv": QUEUES,
    "costs.csv": COSTS,
    "assumptions.csv": ASSUMPTIONS,
    "observed.csv": OBSERVED,
    "flows.csv": FLOWS,
    "area_change.csv": AREA_CHANGE,
    "population.csv": POPULATION,
    "population_left_out.csv": LEFT_OUT,
    "pyramid.csv": PYRAMID,
    "sensitivity.csv": SENSITIVITY,
}
OF_DRAWS = {
    "uncertainty.csv": "scenario of view measure month structure estimate se sd_luck sd_parameters share_parameters "
    "low_luck high_luck low_parameters high_parameters low_both high_both replicates draws"
}
"""Written only with several draws of the parameters (see test_uncertainty)."""
OF_COMPARISONS = {"differences.csv", "sensitivity.csv"}
"""The columns other people's scripts rely on, in order."""
OTHERS = {"manifest.json", "pairing.json", "report.html", "figures"}


class Said(NamedTuple):
    """What a command printed and how it ended."""

    out: str
    err: str
    code: int


Call = Callable[..., Said]


def called(*arguments: str) -> Said:
    """Run one command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["jobveje", *arguments])
        code = run.main(arguments)
    return Said(out.getvalue(), err.getvalue(), code)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run a command in an empty folder and expect its exit code; reports are left out, which saves a second each."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JOBVEJE_LANG", raising=False)
    monkeypatch.setattr("sim.report.write_report", lambda folder, lang: (folder / "report.html").write_text(lang))

    def call(*arguments: str, code: int = 0) -> Said:
        said = called(*arguments)
        assert said.code == code, said
        assert "Traceback" not in said.err
        return said

    return call


@pytest.fixture(scope="module", autouse=True)
def few_assumptions() -> Iterator[None]:
    """Try a handful of the assumed numbers, so that a comparison takes a second."""
    every = sensitivity.assumed_numbers
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sensitivity, "assumed_numbers", lambda scenarios: [*every(scenarios)[-4:], every(scenarios)[0]])
        yield


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Said]:
    """One small comparison with everything a user gets, seed 7."""
    folder = tmp_path_factory.mktemp("compared") / "result"
    arguments = ("compare", "leisure_jobs", "--against", "baseline", *SMALL, "--seed", "7")
    said = called(*arguments, "--out", str(folder), "--json", "--lang", "en")
    assert said.code == 0, said
    return folder, said


def bytes_below(folder: Path) -> dict[str, str]:
    """Return a digest of every file below ``folder``."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def lines(said: Said) -> list[str]:
    """Return the lines of a message, without the progress bar."""
    return [line for line in said.err.split("\n") if line and "\r" not in line]


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return name


# --- list, check, schema, show


SETS = {name: ParameterSet.read(name) for name in ParameterSet.names()}
STRUCTURES_OF = {
    id: ["all"] if len({cards[id] for cards in SETS.values()}) == 1 else list(SETS)
    for id in ParameterSet.read("default")
}
"""In which structures each parameter has a card of its own."""
LISTS = {
    "scenarios": ("id", lambda: [s.id for s in list_scenarios()]),
    "activities": ("key", lambda: list(catalogue())),
    "states": ("key", lambda: [s.key for s in STATES]),
    "measures": ("key", lambda: list(MEASURES)),
    "parameters": (
        "id",
        lambda: [
            *(id for id, of in STRUCTURES_OF.items() for _ in of),
            *(f"{a.key}.{id}" for a in catalogue().values() for id in a.parameters),
        ],
    ),
}


@pytest.mark.parametrize("what", LISTS)
def test_list_names_everything_in_both_languages(cli: Call, what: str):
    name, expected = LISTS[what]
    rows = json.loads(cli("list", what, "--json").out)
    assert [row[name] for row in rows] == expected()
    assert all(value not in (None, "") for row in rows for value in row.values())
    danish, english = (cli("list", what, "--lang", lang).out for lang in LANGUAGES)
    assert danish != english
    assert danish == cli("list", what).out
    for words in (danish, english):
        assert set(expected()) <= {line.partition(" ")[0] for line in words.splitlines()}


def test_the_list_of_parameters_names_the_structures_that_tell_them_apart(cli: Call):
    rows = json.loads(cli("list", "parameters", "--json", "--lang", "en").out)
    assert [(row["id"], row["structure"]) for row in rows if "." not in row["id"]] == [
        (id, structure) for id, structures in STRUCTURES_OF.items() for structure in structures
    ]
    shares = {row["structure"]: float(row["value"]) for row in rows if row["id"] == "job_ready_stayer_share"}
    assert shares["history_stayers"] > 0
    assert {name: share for name, share in shares.items() if share == 0}.keys() == set(SETS) - {"history_stayers"}
    assert {row["structure"] for row in json.loads(cli("list", "parameters", "--json").out)} == {"alle", *SETS}


def test_lists_show_grades_and_sources(cli: Call):
    for what in ("activities", "parameters"):
        rows = json.loads(cli("list", what, "--json").out)
        assert {row["grade"] for row in rows} <= set(GRADES)
        assert all(row["source"] for row in rows)


def test_the_list_of_activities_holds_every_card_and_a_table_what_acts(cli: Call):
    rows = json.loads(cli("list", "activities", "--json", "--lang", "en").out)
    for row, activity in zip(rows, catalogue().values(), strict=True):
        assert (row["id"], row["label_da"], row["label_en"]) == (activity.key, activity.label_da, activity.label_en)
        assert (row["kind"], row["grade"], row["sources"]) == (activity.kind, activity.grade, list(activity.sources))
        for card, given in zip(activity.parameters.values(), row["parameters"], strict=True):
            assert given == {**dataclasses.asdict(card), "source": list(card.source), "range": list(card.range)}
    table = cli("list", "activities", "--lang", "en").out
    acting = {line.split()[0] for line in table.splitlines()[2:] if "×" in line}
    assert acting == {"leisure_job", "pocket_money_job", "network_mothers"}
    assert re.search(r"^leisure_job .* starting a leisure job × 9\.3 / × 1\.2; 1 without", table, re.MULTILINE)


def test_the_language_comes_from_the_option_then_the_environment_then_danish(
    cli: Call, monkeypatch: pytest.MonkeyPatch
):
    danish, english = cli("list", "states").out, cli("list", "states", "--lang=en").out
    assert "grundskole" in danish
    assert "basic school" in english
    monkeypatch.setenv("JOBVEJE_LANG", "en")
    assert cli("list", "states").out == english
    assert cli("list", "states", "--lang", "da").out == danish
    monkeypatch.setenv("JOBVEJE_LANG", "fr")
    assert cli("list", "states").out == danish


def test_check_names_fine_files_and_every_problem_of_every_file(cli: Call, tmp_path: Path):
    write(tmp_path, "a.yaml", "schema: scenario/1\nid: a\ntitle: {da: A, en: A}\npopulation: {residents: -1}\n")
    write(
        tmp_path,
        "b.yaml",
        "schema: scenario/1\nid: b\nextends: baseline.yaml\nactivities:\n"
        "- id: jobs\n  activity: leisure_jop\n  places: -4\n  start: 2012-13\n",
    )
    assert cli("check", "baseline", "leisure_jobs").out.splitlines() == [
        "baseline: i orden",
        "leisure_jobs: i orden",
    ]
    said = cli("check", "a.yaml", "baseline", "b.yaml", "--lang", "en", code=2)
    assert said.out == "baseline: fine\n"
    found = lines(said)
    assert [line.split(": ")[:2] for line in found] == [
        ["a.yaml:4", "population.residents"],
        ["b.yaml:6", "activities[jobs].activity"],
        ["b.yaml:7", "activities[jobs].places"],
        ["b.yaml:8", "activities[jobs].start"],
    ]
    assert "leisure_jop" in found[1]
    assert found[1].endswith("Did you mean leisure_job?")
    assert "0 to 1000000" in found[2]
    assert '"2013-03"' in found[3]
    reported = json.loads(cli("check", "a.yaml", "baseline", "b.yaml", "--json", "--lang", "en", code=2).out)
    assert reported == {"fine": [{"file": "baseline", "id": "baseline"}], "problems": found}


@pytest.mark.parametrize("command", ["run", "compare"])
def test_a_run_names_all_problems_of_all_files_and_writes_nothing(cli: Call, tmp_path: Path, command: str):
    bad = write(
        tmp_path,
        "bad.yaml",
        "schema: scenario/1\nid: bad\nextends: baseline.yaml\nactivities:\n"
        "- {id: jobs, activity: leisure_jop, places: -4}\n",
    )
    worse = write(tmp_path, "worse.yaml", "schema: scenario/1\nid: worse\nextends: nowhere.yaml\nplases: 3\n")
    before = bytes_below(tmp_path)
    files = (bad, worse) if command == "compare" else (bad,)
    against = ("--against", "baseline") if command == "compare" else ()
    found = lines(cli(command, *files, *against, "-s", "horizon.months=0", code=2))
    said = "\n".join(found)
    assert "bad.yaml:5: activities[jobs].activity: " in said
    assert "bad.yaml:5: activities[jobs].places: " in said
    assert "-s: horizon.months: " in said
    if command == "compare":
        assert "worse.yaml:3: extends: " in said
        assert "worse.yaml:4: plases: " in said
        assert said.count("horizon.months") == said.count("-s: ") == 1
    assert bytes_below(tmp_path) == before


def test_schema_prints_the_schema_of_the_shipped_file(cli: Call):
    printed = json.loads(cli("schema").out)
    assert printed == json_schema()
    assert printed == json.loads((DOOR.parent / "scenarios" / "scenario.schema.json").read_text(encoding="utf-8"))


def test_show_gives_every_setting_with_its_origin(cli: Call):
    rows = json.loads(cli("show", "leisure_jobs", "-s", NO_PLACES, "--json", "--lang", "en").out)
    scenario = Scenario.read("leisure_jobs", [NO_PLACES])
    assert [(row["key"], row["value"]) for row in rows] == [(key, value) for key, value, _ in scenario.rows()]
    origin = {row["key"]: row["origin"] for row in rows}
    assert origin["activities[leisure_job].places"] == "-s"
    assert re.fullmatch(r"scenarios/baseline.yaml:\d+", origin["population.residents"])
    assert origin["activities[leisure_job].take_up"] == "parameter card (D)"
    assert "parameterkort (D)" in cli("show", "leisure_jobs").out


def test_show_diff_gives_what_differs_and_nothing_else(cli: Call):
    rows = json.loads(cli("show", "leisure_jobs", "--diff", "baseline", "--json").out)
    here, there = Scenario.read("leisure_jobs"), Scenario.read("baseline")
    assert [(row["key"], row["leisure_jobs"], row["baseline"]) for row in rows] == here.diff(there)
    assert cli("show", "baseline", "--diff", "baseline").out == "Ingen forskel.\n"
    assert cli("show", "baseline", "--diff", "baseline", "--lang", "en").out == "No difference.\n"
    assert json.loads(cli("show", "baseline", "--diff", "baseline", "--json").out) == []


def test_show_diff_keeps_two_scenarios_of_one_id_apart(cli: Call):
    rows = json.loads(cli("show", "leisure_jobs", "-s", NO_PLACES, "--diff", "leisure_jobs", "--json").out)
    expected = {"key": "activities[leisure_job].places", "leisure_jobs (1)": 0, "leisure_jobs (2)": 20}
    assert rows == [expected]


def test_show_diff_writes_what_is_absent_as_a_dash_and_whole_numbers_whole(cli: Call):
    for lang in LANGUAGES:
        said = cli("show", "leisure_jobs", "--diff", "baseline", "--lang", lang).out
        assert re.search(r"^activities\[leisure_job\].duration_months +9 +–$", said, re.MULTILINE)
        assert re.search(r"^activities\[leisure_job\].take_up +0[,.]1 +–$", said, re.MULTILINE)
        assert not re.search(r"\b(nan|None)\b", said)
    rows = json.loads(cli("show", "leisure_jobs", "--diff", "baseline", "--json").out)
    assert {row["baseline"] for row in rows if row["key"].startswith("activities")} == {None}
    assert '"leisure_jobs": 9,' in cli("show", "leisure_jobs", "--diff", "baseline", "--json").out


# --- the result folder


def test_a_comparison_writes_the_contract(compared: tuple[Path, Said]):
    folder, _ = compared
    assert {path.name for path in folder.iterdir()} == {*TABLES, *OTHERS}
    for name, columns in TABLES.items():
        path = folder / name
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        assert list(table.columns) == columns.split(), name
        assert len(table) or name == "costs.csv", name
    figures = {path.suffix for path in (folder / "figures").iterdir()}
    assert figures == {".svg", ".csv"}
    assert "<html" in (folder / "report.html").read_text(encoding="utf-8")


def test_the_column_tables_of_the_library_are_the_contract():
    tables = TABLES | OF_DRAWS
    assert set(FILES.values()) == set(tables)
    for name, columns in COLUMNS.items():
        assert list(columns) == tables[FILES[name]].split(), name


def test_the_manifest_says_how_to_make_the_result_again(compared: tuple[Path, Said]):
    folder, _ = compared
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    shared = list(SHARED)
    assert manifest["kind"] == "compare"
    assert manifest["against"] == "baseline"
    assert (manifest["seed"], manifest["replicates"], manifest["draws"]) == (7, 3, 1)
    assert manifest["status"] == "complete"
    assert manifest["started"] <= manifest["ended"]
    assert manifest["command"].startswith("jobveje compare leisure_jobs --against baseline ")
    assert manifest["overrides"] == {"compared": shared, "base": shared}
    assert manifest["parameters"]["digest"] == ParameterSet.read("default").digest
    assert [s["id"] for s in manifest["scenarios"]] == ["baseline", "leisure_jobs"]
    assert {s["population"]["residents"] for s in manifest["scenarios"]} == {500}
    assert Scenario.from_resolved(manifest["scenarios"][1]) == Scenario.read("leisure_jobs", shared)
    assert {"python", "mesa", "numpy", "pandas"} <= manifest["versions"].keys()


def test_the_command_line_gives_the_numbers_of_the_library(compared: tuple[Path, Said]):
    folder, said = compared
    base, jobs = (Scenario.read(id, SHARED) for id in ("baseline", "leisure_jobs"))
    library = ensemble.compare(jobs, base, replicates=3, seed=7, sensitivity=True)
    for name, table in library.tables.items():
        path = folder / FILES[name]
        if path.suffix == ".parquet":
            expected = table.reset_index(drop=True)
            pd.testing.assert_frame_equal(pd.read_parquet(path), expected, check_exact=True, check_dtype=False)
        else:
            text = table.to_csv(index=False, float_format="%.10g", lineterminator="\n")
            assert path.read_text(encoding="utf-8") == text, name
    printed = json.loads(said.out)
    assert printed["folder"] == str(folder)
    assert printed["pairing"] == {key: library.pairing[key] for key in printed["pairing"]}
    rows = headlines(library)
    assert len(printed["differences"]) == len(rows) == len(MEASURES)
    for mine, row in zip(printed["differences"], rows.to_dict("records"), strict=True):
        assert mine == {key: None if value != value else value for key, value in row.items()}


def test_assumptions_are_tried_unless_told_otherwise(compared: tuple[Path, Said], cli: Call):
    folder, said = compared
    tried = pd.read_csv(folder / "sensitivity.csv")
    assert len(tried) == 5
    assert "Trying assumptions" in said.err
    said = cli("compare", "leisure_jobs", "--against", "baseline", *SMALL, "--no-sensitivity", "--out", "quick")
    assert "Prøver" not in said.err
    assert not Path("quick", "sensitivity.csv").exists()
    assert 'id="sensitivity"' in (folder / "report.html").read_text(encoding="utf-8")
    assert 'id="sensitivity"' not in Path("quick", "report.html").read_text(encoding="utf-8")


def test_a_comparison_interrupted_among_the_assumptions_is_resumed(
    cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    command = ("compare", "leisure_jobs", "--against", "baseline", *SMALL)
    cli(*command, "--out", "whole")

    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sensitivity.Trial, "moved", pressed)
        cli(*command, "--out", "part", code=130)
    assert not (tmp_path / "part" / "sensitivity.csv").exists()
    monkeypatch.setattr(ensemble, "run_shard", None)
    cli("resume", "part")
    for name in TABLES:
        assert (tmp_path / "part" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_tables_for_people_are_in_the_language_and_say_what_they_rest_on(cli: Call):
    command = ("compare", "leisure_jobs", "--against", "baseline", *SMALL)
    danish, english = (cli(*command, "--lang", lang).out for lang in LANGUAGES)
    assert danish.startswith("leisure_jobs mod baseline: 3 par af samme område med samme held (500 beboere)\n")
    assert english.startswith(
        "leisure_jobs against baseline: 3 pairs of the same area with the same luck (500 residents)\n"
    )
    leisure_job = MEASURES["leisure_job_26h"]
    assert re.search(rf"^{re.escape(leisure_job.label_da)} .* \d+,\d % ", danish, re.MULTILINE)
    assert re.search(rf"^{re.escape(leisure_job.label_en)} .* \d+\.\d % ", english, re.MULTILINE)
    for words, result in ((danish, "leisure_jobs-01"), (english, "leisure_jobs-02")):
        assert words.endswith(f": results/{result}\n")
        assert re.search(r" [1-9]\d* (antagelser|assumptions) .*assumptions\.csv", words)
    assert "the others live exactly the same lives (checked in all 3 pairs)" in english
    assert "de øvrige lever nøjagtig samme liv (kontrolleret i alle 3 par)" in danish
    assert re.search(r"^Mål +Måned +baseline +leisure_jobs +Forskel ", danish, re.MULTILINE)
    assert re.search(r"^  blandt elever og studerende på 14-19 år$", danish, re.MULTILINE)
    assert "(modellen regner kun med virkninger, kilderne har målt)" in danish
    places = r"^leisure_job {} leisure_jobs: .* \d+[,.]\d {} 20 .* \d+[,.]\d {}\.$"
    assert re.search(places.format("i", "af", "venter ved slutningen"), danish, re.MULTILINE)
    assert re.search(places.format("in", "of", "waiting at the end"), english, re.MULTILINE)


def test_the_difference_stands_with_its_computing_error(cli: Call, tmp_path: Path):
    said = cli("compare", "leisure_jobs", "--against", "baseline", *SMALL, "--out", "mine", "--lang", "en").out
    table = pd.read_csv(tmp_path / "mine" / "differences.csv")
    mine = (table["view"] == "individual") & (table["measure"] == "leisure_job_26h") & (table["group_by"] == "all")
    row = table[mine].iloc[-1]
    students_t = 4.302653
    assert f"{100 * row['estimate']:+.2f} ± {100 * students_t * row['se']:.2f} " in said
    assert "95 %, t distribution" in said


def test_one_replicate_stands_without_intervals(cli: Call):
    once = (*SMALL[:4], "--replicates", "1")
    said = cli("compare", "leisure_jobs", "--against", "baseline", *once).out
    table = said.partition("\n\n")[0]
    assert "±" not in said
    assert "–" not in table
    assert "95 %" not in said
    assert re.search(r"^elever .* \+\d+,\d\d$", table, re.MULTILINE)
    assert MEASURES["employed"].label_da in table.splitlines()[-1]
    assert "kør mindst to" in said
    alone = cli("run", "leisure_jobs", *once).out
    assert alone.startswith("leisure_jobs: 1 gentagelse (500 beboere)\n")
    assert "5-95 %" not in alone


def test_each_compared_scenario_has_its_own_heads_places_and_touched_residents(cli: Call, tmp_path: Path):
    more = write(
        tmp_path,
        "more.yaml",
        "schema: scenario/1\nid: more\nextends: leisure_jobs.yaml\n"
        "activities:\n- {id: leisure_job, places: 200}\n"
        "- {id: late, activity: leisure_job, places: 0, start: 2013-01}\n",
    )
    said = cli("compare", "leisure_jobs", more, "--against", "baseline", *SMALL).out
    assert re.search(r"^Mål .* baseline +more +Forskel ", said, re.MULTILINE)
    idle = "Pladserne er ikke begrænsningen; det er henvisningen, som er antaget."
    lines = [line for line in said.splitlines() if re.match(r"(leisure_job|late) i ", line)]
    assert [line.split(":")[0] for line in lines] == ["leisure_job i leisure_jobs", "leisure_job i more", "late i more"]
    assert [idle in line for line in lines] == [True, True, False]
    assert "ingen pladser" in lines[2]
    pairs = json.loads((tmp_path / "results" / "leisure_jobs-01" / "pairing.json").read_text(encoding="utf-8"))["pairs"]
    touched = {id: np.mean([p["touched"] for p in pairs if p["scenario"] == id]) for id in ("leisure_jobs", "more")}
    people = np.mean([pair["touched"] + pair["untouched"] for pair in pairs])
    assert people > 500, "newcomers are people of the pair too"
    counts = f"{touched['leisure_jobs']:.0f} (leisure_jobs) og {touched['more']:.0f} (more) af de {people:.0f}, der har"
    assert f" i gennemsnit {counts} boet i området, berørt" in said
    assert " i alle 6 par)" in said


def test_run_prints_and_writes_one_scenario(cli: Call, tmp_path: Path):
    printed = json.loads(cli("run", "baseline", *SMALL, "--seed", "3", "--out", "one", "--json").out)
    library = ensemble.run(Scenario.read("baseline", SHARED), replicates=3, seed=3)
    expected = library.table("summary", group_by="all").to_dict("records")
    assert printed["summary"] == [{k: None if v != v else v for k, v in row.items()} for row in expected]
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert names == {*TABLES, "manifest.json", "report.html"} - OF_COMPARISONS
    words = {lang: cli("run", "baseline", *SMALL, "--lang", lang).out for lang in LANGUAGES}
    assert "gennemsnit af 3 gentagelser (500 beboere)" in words["da"]
    assert "mean of 3 replicates (500 residents)" in words["en"]
    for measure in MEASURES.values():
        assert measure.label_da in words["da"]
        assert measure.label_en in words["en"]


def test_progress_goes_to_stderr_and_results_to_stdout(cli: Call):
    said = cli("run", "baseline", *SMALL, "--json", "--lang", "en")
    assert json.loads(said.out)["folder"] == "results/baseline-01"
    assert "Simulating" in said.err
    assert "100%" in said.err


def test_the_seed_decides_and_the_number_of_workers_does_not(cli: Call):
    def summary(*options: str) -> list[dict[str, object]]:
        return json.loads(cli("run", "baseline", *SMALL, "--json", *options).out)["summary"]

    assert summary() == summary("--seed", "1") == summary("--workers", "1")
    assert summary() != summary("--seed", "2")


def test_the_next_free_folder_is_taken(cli: Call, tmp_path: Path):
    def taken(*arguments: str) -> str:
        return json.loads(cli("run", "baseline", *SMALL, "--json", *arguments).out)["folder"]

    assert taken() == "results/baseline-01"
    write(tmp_path / "results", "baseline-02", "a file in the way")
    assert taken() == "results/baseline-03"
    assert (tmp_path / "results" / "baseline-02").read_text(encoding="utf-8") == "a file in the way"
    assert taken("--out", "deep/down/here") == "deep/down/here"


def test_an_existing_folder_is_refused_and_left_alone(cli: Call, tmp_path: Path):
    cli("run", "baseline", *SMALL, "--out", "mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "photos").mkdir()
    write(tmp_path / "photos", "report.html", "not ours")
    write(tmp_path, "file", "a file")
    before = bytes_below(tmp_path)
    for folder in ("mine", "empty", "photos", "file"):
        for command in (("run", "baseline"), ("compare", "leisure_jobs", "--against", "baseline")):
            found = lines(cli(*command, *SMALL, "--out", folder, "--lang", "en", code=2))
            assert found == [
                f"the folder {folder} exists already; use --force to replace it, or choose another with --out."
            ]
    for folder, words in (("photos", "manifest.json"), ("file", "exists already")):
        found = lines(cli("run", "baseline", *SMALL, "--out", folder, "--force", "--lang", "en", code=2))
        assert len(found) == 1
        assert words in found[0]
    assert bytes_below(tmp_path) == before
    assert (tmp_path / "empty").is_dir()


def test_force_replaces_a_result_and_keeps_what_is_not_ours(cli: Call, tmp_path: Path):
    place = tmp_path / "mine"
    command = ("compare", "leisure_jobs", "--against", "baseline", *SMALL, "--out", "mine")
    cli(*command)
    figures = place / "figures"
    figures.mkdir(exist_ok=True)
    own = ("states.svg", "states.csv", "flows-leisure_jobs.svg")
    foreign = ("map.png", "flows.png", "states-by-me.svg")
    for name in (*own, *foreign):
        write(figures, name, name)
    write(place, "notes.txt", "mine")
    (place / "shards").mkdir()
    cli("run", "baseline", *SMALL, "--out", "mine", "--force")
    assert {path.name for path in place.iterdir()} == {
        "manifest.json",
        "report.html",
        "notes.txt",
        "figures",
        *set(TABLES) - OF_COMPARISONS,
    }
    assert {path.name for path in figures.iterdir()} == set(foreign)
    assert (place / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_force_on_a_new_folder_changes_nothing(cli: Call, tmp_path: Path):
    cli("run", "baseline", *SMALL, "--out", "new", "--force")
    assert (tmp_path / "new" / "manifest.json").is_file()


# --- overrides


def test_zero_places_make_no_difference_except_people_never_served(cli: Call, tmp_path: Path):
    cli("compare", "leisure_jobs", "--against", "baseline", *SMALL, "-s", NO_PLACES, "--out", "none")
    table = pd.read_csv(tmp_path / "none" / "differences.csv")
    unserved = table["measure"] == "never_served"
    same = table[~unserved]
    assert set(same["measure"]) == set(MEASURES) - {"never_served"}
    assert (same["estimate"] == 0).all()
    # A group that only one of the replicates holds has no spread.
    spread = same[["se", "low", "high"]]
    assert ((spread == 0).all(axis=1) | (spread.isna().all(axis=1) & (same["replicates"] == 1))).all()
    assert (same["replicates"] > 1).mean() > 0.99
    assert (same["p_above_zero"] == 0.5).all()
    ends = table[unserved & (table["group_by"] == "all") & (table["month"] == "2014-12")]
    ends = ends[ends["view"] == "individual"]
    assert ends["estimate"].item() > 0
    manifest = json.loads((tmp_path / "none" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["overrides"] == {"compared": [*SHARED, NO_PLACES], "base": list(SHARED)}
    assert manifest["scenarios"][1]["activities"][0]["places"] == 0


@pytest.mark.parametrize(
    ("key", "mine", "base"),
    [
        ("population.residents", "population: {residents: 700}", 2419),
        ("population.recipe", "population: {recipe: cohorts_2011, residents: 2419}", "area"),
        ("horizon.months", "horizon: {months: 24}", 60),
        ("parameters", "parameters: history", "default"),
    ],
)
def test_files_that_differ_in_what_a_pair_shares_are_refused(
    cli: Call, tmp_path: Path, key: str, mine: str, base: object
):
    file = write(tmp_path, "mine.yaml", f"schema: scenario/1\nid: mine\nextends: leisure_jobs.yaml\n{mine}\n")
    found = lines(cli("compare", file, "leisure_jobs", "--against", "baseline", "--lang", "en", code=2))
    assert len(found) == 1
    assert found[0].startswith(f"mine.yaml: {key}: ")
    assert f"{base} in the other" in found[0]
    assert not (tmp_path / "results").exists()
    same = {"population.residents": "700", "horizon.months": "24", "population.recipe": "area", "parameters": "default"}
    cli("compare", file, "--against", "baseline", *SMALL, "-s", f"{key}={same[key]}")


def test_the_same_id_twice_is_refused(cli: Call, tmp_path: Path):
    twin = write(tmp_path, "twin.yaml", "schema: scenario/1\nid: baseline\nextends: leisure_jobs.yaml\n")
    for files in ((twin,), ("leisure_jobs", "leisure_jobs"), ("baseline",)):
        found = lines(cli("compare", *files, "--against", "baseline", "--lang", "en", code=2))
        assert len(found) == 1
        assert "have the same id" in found[0]
    assert not (tmp_path / "results").exists()


def test_a_wrong_override_is_named(cli: Call):
    found = lines(cli("run", "leisure_jobs", "-s", "activities[leisure_jop].places=1", "-s", "nonsense", code=2))
    assert len(found) == 2
    assert found[0].startswith("-s: ")
    assert any("leisure_job" in line and "?" in line for line in found)


# --- wrong use


USAGE = {
    (): ("", ""),
    ("list",): ("mangler: WHAT. Se --help.", "missing: WHAT. See --help."),
    ("run",): ("mangler: FILE. Se --help.", "missing: FILE. See --help."),
    ("compare", "leisure_jobs"): ("mangler: --against. Se --help.", "missing: --against. See --help."),
    ("run", "baseline", "--replicats", "2"): (
        "ukendt valgmulighed --replicats. Mente du --replicates? Se --help.",
        "unknown option --replicats. Did you mean --replicates? See --help.",
    ),
    ("run", "baseline", "--seed", "1,5"): (
        "ugyldig værdi til --seed; skriv et helt tal. Se --help.",
        "invalid value for --seed; write a whole number. See --help.",
    ),
    ("compar",): (
        "ukendt kommando compar. Kommandoer: list, check, schema, show, run, compare, resume, evaluate, "
        "validate, calibrate.",
        "unknown command compar. Commands: list, check, schema, show, run, compare, resume, evaluate, "
        "validate, calibrate.",
    ),
    ("list", "states", "measures"): (
        "for mange ord: measures. Se --help.",
        "too many words: measures. See --help.",
    ),
    ("run", "baseline", "-s"): ("-s mangler en værdi. Se --help.", "-s lacks a value. See --help."),
    ("list", "state"): (
        "WHAT: state er ikke blandt mulighederne: scenarios, activities, states, measures, parameters. "
        "Mente du states?",
        "WHAT: state is not among the choices: scenarios, activities, states, measures, parameters. "
        "Did you mean states?",
    ),
    ("run", "baseline", "--replicates", "0"): (
        "--replicates: 0 kan ikke bruges; skriv et helt tal, mindst 1.",
        "--replicates: 0 cannot be used; write a whole number, at least 1.",
    ),
    ("run", "baseline", "--seed", "-1"): (
        "--seed: -1 kan ikke bruges; skriv et helt tal, mindst 0.",
        "--seed: -1 cannot be used; write a whole number, at least 0.",
    ),
    ("run", "baseline", "--draws", "6001"): (
        "--draws: trækning 6001 findes ikke; posterioren rækker til 6000.",
        "--draws: there is no draw 6001; the posterior goes as far as 6000.",
    ),
    ("resume", "nowhere"): (
        "mappen nowhere findes ikke; angiv en resultatmappe, fx results/leisure_jobs-01.",
        "there is no folder nowhere; name a result folder, such as results/leisure_jobs-01.",
    ),
}
"""Wrong uses with what is said about them in Danish and in English."""


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_wrong_use_gets_one_line_in_the_language_and_writes_nothing(
    cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
):
    for lang, words in zip(LANGUAGES, USAGE[arguments], strict=True):
        monkeypatch.setenv("JOBVEJE_LANG", lang)
        assert "\n".join(lines(cli(*arguments, code=2))) == words
    assert list(tmp_path.iterdir()) == []


def test_every_wrong_number_is_named_at_once(cli: Call):
    numbers = ("--replicates", "0", "--draws", "2", "--workers", "0", "--seed", "-3")
    for command in (("run", "baseline"), ("compare", "leisure_jobs", "--against", "baseline")):
        found = lines(cli(*command, *numbers, code=2))
        assert sorted(line.split(":")[0] for line in found) == ["--draws", "--replicates", "--seed", "--workers"]


def test_an_unknown_language_is_refused(cli: Call):
    for command in (("list", "states"), ("check", "baseline"), ("show", "baseline"), ("run", "baseline")):
        assert lines(cli(*command, "--lang", "fr", code=2)) == ["--lang: fr er ikke blandt mulighederne: da, en."]


def test_a_broken_pairing_is_our_fault(cli: Call, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        comparison, "touched_people", lambda base, other, shared: np.zeros(len(shared.both), dtype=bool)
    )
    said = cli("compare", "leisure_jobs", "--against", "baseline", *SMALL, "--lang", "en", code=1)
    assert "FAULT IN THE PROGRAM" in said.err
    assert "exactly the same lives" not in said.out


# --- interruption, in this process (see tests/faults for real kills)


def test_an_interrupted_comparison_prints_how_to_go_on_and_ends_the_same(
    cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    command = ("compare", "leisure_jobs", "--against", "baseline", *SMALL)
    cli(*command, "--out", "whole")
    count = itertools.count()

    def pressed(bar: object, n: int) -> None:
        if next(count) == 36 * 2 * 2 + 10:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ensemble, "SHARD_RESIDENT_MONTHS", 1)
        patch.setattr("tqdm.tqdm.update", pressed)
        said = cli(*command, "--out", "in two parts", "--lang", "en", code=130)
    again = "resume 'in two parts'"
    assert lines(said)[-1] == f"interrupted; resume with: jobveje {again}"
    place = tmp_path / "in two parts"
    assert json.loads((place / "manifest.json").read_text(encoding="utf-8"))["status"] == "running"
    assert sorted(path.name for path in (place / "shards").iterdir()) == ["0000-000000-000001", "0000-000001-000002"]
    cli("resume", "in two parts")
    assert not (place / "shards").exists()
    for name in TABLES:
        assert (place / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    found = lines(cli("resume", "in two parts", "--lang", "en", code=2))
    assert found == ["the run in in two parts is already complete; there is nothing to resume."]


def test_a_result_interrupted_in_its_report_gets_the_report_without_new_work(
    cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def pressed(folder: Path, lang: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sim.report.write_report", pressed)
        cli("compare", "leisure_jobs", "--against", "baseline", *SMALL, "--out", "mine", code=130)
    whole = cli("compare", "leisure_jobs", "--against", "baseline", *SMALL, "--out", "whole")
    before = bytes_below(tmp_path / "mine")
    assert "report.html" not in before
    monkeypatch.setattr(ensemble, "run_shard", None)
    assert cli("resume", "mine").out == whole.out.replace(": whole\n", ": mine\n")
    after = bytes_below(tmp_path / "mine")
    assert after.pop("report.html")
    assert after == before


# --- the same through a real process


def process(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if key != "JOBVEJE_LANG"} | environment
    return subprocess.run(
        [sys.executable, str(DOOR), *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_a_process_ends_with_the_exit_code_and_plain_words(tmp_path: Path):
    fine = process(tmp_path, "list", "states", JOBVEJE_LANG="en", LC_ALL="C")
    assert (fine.returncode, fine.stderr) == (0, "")
    assert "self-supporting without a job" in fine.stdout
    wrong = process(tmp_path, "check", "bazeline", LC_ALL="C")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == (
        "bazeline: filen findes ikke; medfølgende scenarier: "
        f"{', '.join(path.name for path in shipped())}. Mente du baseline.yaml?\n"
    )


@pytest.mark.parametrize("lang", LANGUAGES)
def test_help_is_in_the_language(tmp_path: Path, lang: str):
    words = {
        "da": ("Brug:", "Valgmuligheder:", "Kommandoer:", "Vis denne hjælp."),
        "en": ("Usage:", "Options:", "Commands:", "Show this message and exit."),
    }
    page = process(tmp_path, "--help", JOBVEJE_LANG=lang).stdout
    other = words["en" if lang == "da" else "da"]
    assert all(word in page for word in words[lang])
    assert not any(word in page for word in other)
    for command in ("list", "check", "schema", "show", "run", "compare", "resume"):
        assert re.search(rf"^  {command} ", page, re.MULTILINE)
    about = process(tmp_path, "compare", "--help", JOBVEJE_LANG=lang).stdout
    expected = {"against", "set", "out", "force", "replicates", "draws", "workers", "seed", "lang", "json", "help"}
    expected |= {"sensitivity", "no", "people"}
    assert set(re.findall(r"--([a-z]+)", about)) == expected
    assert not any(word in about for word in other)


@pytest.mark.parametrize("id", ["007", "null", "nan"])
def test_a_scenario_may_be_called_like_a_number_or_nothing(tmp_path: Path, id: str):
    file = tmp_path / "odd.yaml"
    file.write_text(f'schema: scenario/1\nid: "{id}"\ntitle: {{da: A, en: B}}\nextends: scenarios/leisure_jobs\n')
    folder = str(tmp_path / "r")
    quick = (*SMALL[:2], "-s", "horizon.months=6", "--replicates", "2", "--draws", "1", "--no-sensitivity")
    said = called("compare", str(file), "--against", "baseline", "--out", folder, *quick)
    assert said.code == 0, said
    again = Result.load(folder)
    assert again.table("differences")["scenario"].unique().tolist() == [id]
    assert len(again.table("queues", scenario=id)) == 2 * 6


def test_an_empty_folder_takes_a_result_with_force_only(cli: Call):
    small = ("run", "baseline", "-s", "population.residents=50", "-s", "horizon.months=1", "--replicates", "2")
    Path("r").mkdir()
    cli(*small, "--out", "r", code=2)
    cli(*small, "--out", "r", "--force")


def test_a_file_name_outside_utf8_is_one_message():
    command = [sys.executable, str(DOOR), "check", b"\xff.yaml"]
    ended = subprocess.run(command, capture_output=True, check=False)
    assert ended.returncode == 2
    assert len(ended.stderr.strip().splitlines()) == 1

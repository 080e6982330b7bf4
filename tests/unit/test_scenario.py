"""Scenarios: reading, merging, overriding, changing, showing, the JSON Schema, the texts of messages."""

import ast
import doctest
import json
import pickle
import re
import string
from pathlib import Path

import pytest

import sim.scenario
import sim.toy
from sim import scenario_file
from sim.activities import catalogue
from sim.errors import Problem, ScenarioError, Words
from sim.locale import LANGUAGES, messages
from sim.parameters import UNITS
from sim.scenario import Scenario, json_schema, list_scenarios, month_number, month_text
from sim.scenario_format import (
    DEFAULT_MONTHS,
    LIMITS,
    MODELS,
    RECIPES,
    keys,
    parameter_sets,
    parameters_model,
)
from sim.scenario_yaml import scalar
from sim.toy import toy_area

SHIPPED = Path(sim.scenario.__file__).parents[1] / "scenarios"
SOURCES = Path(sim.scenario.__file__).parent
MINIMAL = "schema: scenario/1\nid: mine\ntitle: {da: Mit, en: Mine}\n"
JOBS = MINIMAL + "activities:\n- {id: jobs, activity: leisure_job, places: 10, take_up: 0.5}\n"


def read(folder: Path, text: str, *overrides: str) -> Scenario:
    (folder / "x.yaml").write_text(text, encoding="utf-8")
    return Scenario.read(folder / "x.yaml", overrides)


def rows(scenario: Scenario) -> dict[str, tuple[object, str]]:
    return {key: (value, re.sub(r".*/", "", origin)) for key, value, origin in scenario.rows()}


def kinds(caught: pytest.ExceptionInfo[ScenarioError]) -> list[tuple[str, str, str]]:
    return [(problem.kind, problem.place, problem.key) for problem in caught.value.problems]


# --- months and scalars


def test_months_are_numbers_and_back():
    assert month_number("2011-12") == 2011 * 12 + 11
    assert month_number("2012-01") == month_number("2011-12") + 1
    assert all(month_text(month_number(text)) == text for text in ("0001-01", "2011-12", "2016-06"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("no", "no"),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("-3", -3),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("12:30", "12:30"),
        ("2012-01", "2012-01"),
        ("2012-01-01", "2012-01-01"),
        ("0,42", "0,42"),
        ("-.inf", float("-inf")),
        ("1_000", "1_000"),
    ],
)
def test_scalars_follow_the_core_schema(text, value):
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


# --- defaults and shipped scenarios


def test_defaults(tmp_path):
    scenario = read(tmp_path, MINIMAL)
    assert (scenario.recipe, scenario.residents) == ("area", 2_419)
    assert (scenario.start, scenario.months) == ("2011-12", 60)
    assert (scenario.activities, scenario.parameters, scenario.description) == ((), "default", {})
    cohorts = read(tmp_path, MINIMAL + "population: {recipe: cohorts_2011}\n")
    assert cohorts.residents == 14_892
    (plan,) = read(tmp_path, JOBS + "horizon: {months: 12}\n").activities
    assert (plan.start, plan.end) == ("2012-01", "2012-12")
    cards = {id: card.value for id, card in catalogue()["leisure_job"].parameters.items()}
    assert plan.values == {**cards, "take_up": 0.5}


def test_shipped_scenarios(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "baseline.yaml").write_text("not a scenario")
    found = {scenario.id: scenario for scenario in list_scenarios()}
    assert set(found) == {path.stem for path in SHIPPED.glob("*.yaml")}
    assert {"baseline", "leisure_jobs", "cash_benefit_cohorts_2011"} <= set(found)
    baseline, jobs, cohorts = (found[id] for id in ("baseline", "leisure_jobs", "cash_benefit_cohorts_2011"))
    assert (baseline.recipe, baseline.residents, baseline.activities) == ("area", 2_419, ())
    assert (jobs.residents, jobs.months, jobs.start) == (2_419, 60, "2011-12")
    plan = jobs.activities[0]
    assert (plan.id, plan.activity, plan.places, plan.start, plan.end) == (
        *("leisure_job", "leisure_job"),
        *(20, "2012-01", "2016-12"),
    )
    assert (cohorts.recipe, cohorts.residents, cohorts.months) == ("cohorts_2011", 14_892, 60)
    assert baseline.file == "scenarios/baseline.yaml"
    for path in SHIPPED.glob("*.yaml"):
        first = path.read_text(encoding="utf-8").split("\n", 1)[0]
        assert first == "# yaml-language-server: $schema=scenario.schema.json"


def test_where_a_name_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("baseline", "baseline.yaml", "scenarios/baseline.yaml", "scenarios/baseline"):
        assert Scenario.read(name).file == "scenarios/baseline.yaml"
    with pytest.raises(ScenarioError):
        Scenario.read("elsewhere/baseline.yaml")
    (tmp_path / "baseline").mkdir()
    assert Scenario.read("baseline").file == "scenarios/baseline.yaml"
    (tmp_path / "baseline.yaml").write_text(MINIMAL)
    assert (Scenario.read("baseline").id, Scenario.read("baseline").file) == ("mine", "baseline.yaml")
    shipped = tmp_path / "package" / "shipped"
    shipped.mkdir(parents=True)
    (shipped / "only_here.yaml").write_text(MINIMAL)
    monkeypatch.setattr(scenario_file, "FOLDERS", (tmp_path / "nowhere", shipped))
    assert Scenario.read("only_here").file == "scenarios/only_here.yaml"
    assert [scenario.file for scenario in list_scenarios()] == ["scenarios/only_here.yaml"]


# --- merging


def test_maps_merge_and_items_merge_by_id(tmp_path):
    (tmp_path / "parent.yaml").write_text(
        MINIMAL + "description: {da: A, en: B}\npopulation: {residents: 300}\nhorizon: {months: 24}\nactivities:\n"
        "- {id: a, activity: leisure_job, places: 1, take_up: 0.1}\n"
        "- {id: b, activity: leisure_job, places: 2}\n"
        "- {id: c, activity: leisure_job, places: 3}\n"
    )
    child = read(
        tmp_path,
        "schema: scenario/1\nid: child\nextends: parent.yaml\ntitle: {en: Child}\nhorizon: {months: 36}\n"
        "activities:\n"
        "- {id: d, activity: leisure_job, places: 4}\n"
        "- {id: b, remove: true}\n"
        "- {id: a, places: 9, start: 2012-05}\n",
    )
    assert (child.id, child.title, child.description) == (
        "child",
        {"da": "Mit", "en": "Child"},
        {"da": "A", "en": "B"},
    )
    assert (child.residents, child.months) == (300, 36)
    assert [(plan.id, plan.places, plan.start) for plan in child.activities] == [
        ("a", 9, "2012-05"),
        ("c", 3, "2012-01"),
        ("d", 4, "2012-01"),
    ]
    assert child.activities[0].values["take_up"] == 0.1
    origin = {key: place for key, (_, place) in rows(child).items()}
    assert origin["title.da"] == "parent.yaml:3"
    assert origin["title.en"] == "x.yaml:4"
    assert origin["activities[a].places"] == "x.yaml:9"
    assert origin["activities[a].take_up"] == "parent.yaml:8 (D)"


def test_an_empty_list_replaces(tmp_path):
    child = read(tmp_path, MINIMAL + "extends: leisure_jobs.yaml\nactivities: []\n")
    assert child.activities == ()


def test_removing_what_is_not_there(tmp_path):
    with pytest.raises(ScenarioError) as caught:
        read(
            tmp_path,
            MINIMAL + "extends: leisure_jobs.yaml\nactivities:\n- {id: leisure_jobs, remove: true}\n",
        )
    (problem,) = caught.value.problems
    assert (problem.kind, problem.nearest) == ("remove_unknown", "leisure_job")


def test_grandparents_and_folders(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "top.yaml").write_text(MINIMAL + "population: {residents: 7}\nhorizon: {months: 7}\n")
    (tmp_path / "deep" / "middle.yaml").write_text(
        "schema: scenario/1\nid: m\nextends: ../top.yaml\nhorizon: {months: 8}\n"
    )
    child = read(tmp_path, "schema: scenario/1\nid: x\nextends: deep/middle\ntitle: {da: X}\n")
    assert (child.residents, child.months, child.title) == (7, 8, {"da": "X", "en": "Mine"})


def test_extends_finds_the_file_beside_before_the_shipped_one(tmp_path):
    (tmp_path / "baseline.yaml").write_text(MINIMAL + "population: {residents: 7}\n")
    assert read(tmp_path, "schema: scenario/1\nid: x\nextends: baseline.yaml\n").residents == 7
    (tmp_path / "baseline.yaml").unlink()
    assert read(tmp_path, "schema: scenario/1\nid: x\nextends: baseline.yaml\n").residents == 2_419


def test_aliases_are_written_out(tmp_path):
    text = MINIMAL.replace("{da: Mit, en: Mine}", "&both {da: Mit, en: Mine}") + "description: *both\n"
    assert read(tmp_path, text).description == {"da": "Mit", "en": "Mine"}


# --- overrides


def test_overrides_come_before_the_file_and_the_last_one_wins(tmp_path):
    scenario = read(
        tmp_path,
        JOBS,
        "population.residents=5000",
        "population.residents = 6000",
        "horizon.months=72",
        "activities[jobs].places=0",
        "activities[jobs].take_up=0.8",
        "activities[jobs].start='2012-02'",
        "activities[jobs].end=2012-04",
        'title.en="A: b"',
        "id=other",
    )
    assert (scenario.id, scenario.residents, scenario.months, scenario.title["en"]) == (
        "other",
        6_000,
        72,
        "A: b",
    )
    (plan,) = scenario.activities
    assert (plan.places, plan.start, plan.end, plan.values["take_up"]) == (0, "2012-02", "2012-04", 0.8)
    origin = {key: place for key, (_, place) in rows(scenario).items()}
    assert {origin[key] for key in ("id", "title.en", "population.residents", "activities[jobs].places")} == {"-s"}
    assert origin["activities[jobs].take_up"] == "-s (D)"


def test_overrides_leave_places_as_written(tmp_path):
    assert read(tmp_path, JOBS, "population.residents=24190").activities[0].places == 10


# --- rows, resolved, diff


def test_rows_say_where_each_value_comes_from(tmp_path):
    found = rows(read(tmp_path, JOBS, "horizon.months=12"))
    assert found["id"] == ("mine", "x.yaml:2")
    assert found["population.residents"] == (2_419, "default")
    assert found["horizon.months"] == (12, "-s")
    assert found["parameters"] == ("default", "default")
    assert found["activities[jobs].places"] == (10, "x.yaml:5")
    assert found["activities[jobs].end"] == ("2012-12", "default")
    assert found["activities[jobs].take_up"] == (0.5, "x.yaml:5 (D)")
    assert found["activities[jobs].age_from"] == (13.0, "card (C)")
    cards = catalogue()["leisure_job"].parameters
    graded = {key: origin[-2] for key, (_, origin) in found.items() if origin.endswith(")")}
    assert graded == {f"activities[jobs].{id}": card.grade for id, card in cards.items()}


@pytest.mark.parametrize("name", [path.name for path in sorted(SHIPPED.glob("*.yaml"))])
def test_resolved_gives_the_scenario_back(name):
    scenario = Scenario.read(SHIPPED / name)
    data = json.loads(json.dumps(scenario.resolved(), allow_nan=False))
    again = Scenario.from_resolved(data)
    assert again == scenario
    assert again.resolved() == scenario.resolved()
    assert pickle.loads(pickle.dumps(scenario)) == scenario


def test_from_resolved_refuses_what_is_wrong(tmp_path):
    data = read(tmp_path, JOBS).resolved()
    data["activities"][0]["places"] = -1
    data["extends"] = "baseline.yaml"
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_resolved(data)
    assert kinds(caught) == [
        ("outside", "manifest.json", "activities[jobs].places"),
        ("unknown_key", "manifest.json", "extends"),
    ]
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_resolved([])  # type: ignore[arg-type]
    assert kinds(caught) == [("top_not_map", "manifest.json", "")]


def test_diff(tmp_path):
    one = read(tmp_path, JOBS)
    assert one.diff(read(tmp_path, JOBS)) == []
    other = read(tmp_path, JOBS, "activities[jobs].places=11", "population.residents=5")
    assert one.diff(other) == [("population.residents", 2_419, 5), ("activities[jobs].places", 10, 11)]
    without = one.without_activity("jobs")
    assert ("activities[jobs].places", 10, None) in one.diff(without)
    assert ("activities[jobs].places", None, 10) in without.diff(one)


def test_order_and_file_do_not_make_scenarios_differ(tmp_path):
    one = read(tmp_path, JOBS)
    (tmp_path / "y.yaml").write_text("horizon: {months: 60}\n" + JOBS)
    assert Scenario.read(tmp_path / "y.yaml") == one
    assert read(tmp_path, JOBS, "horizon.months=61") != one


# --- changing in Python


@pytest.mark.parametrize(("residents", "places"), [(2_419, 10), (4_838, 20), (1_209, 5), (121, 1), (120, 0), (363, 2)])
def test_scaled_keeps_the_proportion(tmp_path, residents, places):
    scaled = read(tmp_path, JOBS).scaled(residents)
    assert (scaled.residents, scaled.activities[0].places) == (residents, places)
    assert scaled.months == 60


def test_scaled_rounds_halves_up(tmp_path):
    assert read(tmp_path, JOBS, "population.residents=4").scaled(1).activities[0].places == 3
    assert read(tmp_path, MINIMAL).scaled(7).residents == 7


@pytest.mark.parametrize("residents", [0, -1, 5_000_001, 2.5, True, "100", None])
def test_scaled_refuses(tmp_path, residents):
    with pytest.raises(ScenarioError) as caught:
        read(tmp_path, JOBS).scaled(residents)
    assert [key for _, _, key in kinds(caught)] == ["population.residents"]


def test_scaled_refuses_too_many_places(tmp_path):
    with pytest.raises(ScenarioError) as caught:
        read(tmp_path, JOBS, "population.residents=1").scaled(1_000_000)
    assert kinds(caught) == [("outside", "Python", "activities[jobs].places")]


def test_with_and_without_activity(tmp_path):
    scenario = read(tmp_path, JOBS)
    more = scenario.with_activity("jobs", places=11, take_up=1)
    assert (more.activities[0].places, more.activities[0].values["take_up"]) == (11, 1.0)
    assert scenario.activities[0].places == 10
    added = more.with_activity("late", activity="leisure_job", places=5, start="2013-01")
    assert [(plan.id, plan.places, plan.start) for plan in added.activities] == [
        ("jobs", 11, "2012-01"),
        ("late", 5, "2013-01"),
    ]
    assert rows(added)["activities[late].places"] == (5, "Python")
    assert added.without_activity("late") == more
    assert read(tmp_path, MINIMAL).with_activity("a", activity="leisure_job", places=1).activities[0].id == "a"


def test_with_activity_checks_as_a_file_does(tmp_path):
    scenario = read(tmp_path, JOBS)
    with pytest.raises(ScenarioError) as caught:
        scenario.with_activity("Late one", activity="leisure_jobs", places=2.5, remove=True)
    assert {(kind, key) for kind, _, key in kinds(caught)} == {
        ("slug", "activities[Late one].id"),
        ("choice", "activities[Late one].activity"),
        ("whole_expected", "activities[Late one].places"),
    }
    with pytest.raises(ScenarioError) as caught:
        scenario.with_activity("jobs", take_up=float("nan"), duration=3)
    assert {kind for kind, _, _ in kinds(caught)} == {"outside", "unknown_key"}
    with pytest.raises(ScenarioError) as caught:
        scenario.without_activity("job")
    assert (caught.value.problems[0].kind, caught.value.problems[0].nearest) == ("unknown_item", "jobs")


def test_toy_area():
    area = toy_area(residents=80, months=6)
    assert (area.residents, area.months, area.activities[0].places) == (80, 6, 10)
    assert area.activities[0].end == "2012-06"
    tried = doctest.testmod(sim.toy)
    assert (tried.failed, tried.attempted > 0) == (0, True)


# --- the JSON Schema


def test_shipped_schema_is_fresh():
    written = json.loads((SHIPPED / "scenario.schema.json").read_text(encoding="utf-8"))
    assert written == json_schema(), "refresh it: jobveje schema > scenarios/scenario.schema.json"


def test_schema_has_the_keys_and_bounds_of_the_models():
    schema = json_schema()
    assert schema["$schema"].endswith("2020-12/schema")
    properties = schema["properties"]
    assert set(properties) == {*keys(""), "extends"}
    for section in set(MODELS) - {"", "activities", "events"}:
        assert set(properties[section]["properties"]) == set(keys(section))
    event, removal = properties["events"]["items"]["anyOf"]
    assert set(event["properties"]) == set(keys("events"))
    assert set(removal["properties"]) == {"id", "remove"}
    *items, removal = properties["activities"]["items"]["anyOf"]
    assert set(removal["properties"]) == {"id", "remove"}
    assert [item["properties"]["activity"]["const"] for item in items] == list(catalogue())
    for item, (key, activity) in zip(items, catalogue().items(), strict=True):
        own = parameters_model(key).model_fields
        assert set(own) == set(activity.parameters)
        assert set(item["properties"]) == {*keys("activities"), *own}
        for id, card in activity.parameters.items():
            told, unit = item["properties"][id], UNITS[card.unit]
            assert (told["minimum"], told["maximum"]) == (unit.lowest, unit.highest)
            assert told["default"] == card.value
            assert all(word in told["description"] for word in (card.label_da, card.label_en, unit.label_da))
    residents = properties["population"]["properties"]["residents"]
    assert (residents["minimum"], residents["maximum"]) == (
        LIMITS["residents"].lowest,
        LIMITS["residents"].highest,
    )
    assert properties["population"]["properties"]["recipe"]["enum"] == list(RECIPES)
    assert properties["horizon"]["properties"]["months"]["default"] == DEFAULT_MONTHS
    assert properties["parameters"]["enum"] == list(parameter_sets())


def objects(schema: object) -> list[dict]:
    inside = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    found = [schema] if isinstance(schema, dict) and schema.get("type") == "object" else []
    return found + [one for part in inside for one in objects(part)]


def test_schema_is_closed_and_described_in_both_languages():
    found = objects(json_schema())
    assert len(found) >= 7
    for one in found:
        assert one["additionalProperties"] is False
        for told in one["properties"].values():
            da, en = told["description"].split(" / ", 1)
            assert da.strip()
            assert en.strip()


# --- the texts of all messages


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("file", ["errors", "scenario"])
def test_texts_exist_in_both_languages_with_the_same_placeholders(file):
    assert len(messages(file)) > 20
    for key, message in messages(file).items():
        assert set(message) == set(LANGUAGES), key
        assert placeholders(message["da"]) == placeholders(message["en"]), key
        assert message["da"] != message["en"], key


def used_kinds() -> dict[str, str]:
    """Return every message kind written in the package and the door, with the file that uses it."""
    found = {}
    for path in (*SOURCES.rglob("*.py"), SOURCES.parent / "run.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or not call.args:
                continue
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if name in ("Problem", "_put", "_add", "_refused"):
                kind = call.args[0]
                choices = [kind.body, kind.orelse] if isinstance(kind, ast.IfExp) else [kind]
                found |= {part.value: path.name for part in choices if isinstance(part, ast.Constant)}
    return found


def test_every_kind_of_problem_has_a_text():
    used = used_kinds()
    assert len(used) > 30
    missing = {kind: file for kind, file in used.items() if kind not in messages("errors")}
    assert missing == {}


def test_words_follow_the_language():
    problem = Problem("outside", "x:1", "a", {"value": 1, "low": 2, "high": 3, "unit": Words("år", "years")})
    assert problem.render("da").endswith("enhed: år.")
    assert problem.render("en").endswith("unit: years.")
    near = Problem("choice", values={"value": '"a"', "allowed": "ab"}, nearest="ab")
    assert near.render("en") == '"a" is not among the choices: ab. Did you mean ab?'


def test_errors_survive_a_process_border(tmp_path):
    with pytest.raises(ScenarioError) as caught:
        read(tmp_path, JOBS, "horizon.months=0")
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is ScenarioError
    assert again.problems == caught.value.problems

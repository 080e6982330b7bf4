"""Malformed scenario files: one ScenarioError with places, keys and advice, never another exception."""

import string
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim import scenario_file, scenario_yaml
from sim.activities import catalogue
from sim.errors import Problem, ScenarioError
from sim.locale import LANGUAGES
from sim.scenario import Scenario

GOOD = """\
schema: scenario/1
id: mine
title: {da: Mit, en: Mine}
population:
  recipe: area
  residents: 500
horizon:
  start: "2011-12"
  months: 24
parameters: default
activities:
  - id: jobs
    activity: leisure_job
    places: 12
    start: 2012-03
    end: "2013-06"
    take_up: 0.5
    duration_months: 6
"""


def problems(folder: Path, text: str | bytes, *overrides: str) -> list[Problem]:
    """Return the problems of a file with this text; places are shortened to ``x.yaml:line``."""
    path = folder / "x.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ScenarioError) as caught:
        Scenario.read(path, overrides)
    for lang in LANGUAGES:
        assert all(line.strip() for line in caught.value.render(lang).split("\n"))
    found = caught.value.problems
    assert found
    return [Problem(p.kind, p.place.replace(f"{folder}/", ""), p.key, p.values, p.nearest) for p in found]


def only(folder: Path, text: str | bytes, *overrides: str) -> Problem:
    found = problems(folder, text, *overrides)
    assert len(found) == 1, found
    return found[0]


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_good_file_is_good(tmp_path):
    (tmp_path / "x.yaml").write_text(GOOD)
    scenario = Scenario.read(tmp_path / "x.yaml")
    assert (scenario.residents, scenario.months, scenario.activities[0].places) == (500, 24, 12)


# --- values and keys, each with place, key and advice


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "kind", "says"),
    [
        ("take_up: 0.5", "take_up: 0,42", 17, "activities[jobs].take_up", "decimal_comma", "0.42"),
        ("take_up: 0.5", 'take_up: "0,42"', 17, "activities[jobs].take_up", "decimal_comma", "decimal point"),
        ("take_up: 0.5", "take_up: 1.5", 17, "activities[jobs].take_up", "outside", "0 to 1"),
        ("take_up: 0.5", "take_up: yes", 17, "activities[jobs].take_up", "number_expected", '"yes"'),
        ("take_up: 0.5", "take_up: true", 17, "activities[jobs].take_up", "number_expected", "true"),
        ("take_up: 0.5", "take_up: .nan", 17, "activities[jobs].take_up", "outside", ".nan"),
        ("take_up: 0.5", "take_up: .inf", 17, "activities[jobs].take_up", "outside", ".inf"),
        ("take_up: 0.5", "take_up: 1e999", 17, "activities[jobs].take_up", "outside", ".inf"),
        ("take_up: 0.5", "take_up:", 17, "activities[jobs].take_up", "number_expected", "(empty)"),
        ("take_up: 0.5", "take_up: [1]", 17, "activities[jobs].take_up", "number_expected", "(a list)"),
        ("months: 6", "months: 6 weeks", 18, "activities[jobs].duration_months", "plain_number", "months"),
        ("months: 6", "months: 6 uger", 18, "activities[jobs].duration_months", "plain_number", "months"),
        ("months: 6", 'months: "6"', 18, "activities[jobs].duration_months", "plain_number", "months"),
        ("months: 24", 'months: "24"', 9, "horizon.months", "plain_number", "months"),
        ("months: 24", "months: 361", 9, "horizon.months", "outside", "1 to 360"),
        ("months: 24", "months: 24.0", 9, "horizon.months", "whole_expected", "24.0"),
        ("residents: 500", "residents: 14.892", 6, "population.residents", "whole_expected", "thousands"),
        ("residents: 500", "residents: 0", 6, "population.residents", "outside", "1 to 5000000"),
        ("residents: 500", "residents: 5000001", 6, "population.residents", "outside", "persons"),
        ("residents: 500", "residents: 0,5", 6, "population.residents", "whole_expected", "0,5"),
        ("places: 12", "places: -3", 14, "activities[jobs].places", "outside", "0 to 1000000"),
        ("places: 12", "places: 1000001", 14, "activities[jobs].places", "outside", "places"),
        ("places: 12", f"places: 1{'0' * 200}", 14, "activities[jobs].places", "whole_expected", "whole"),
        ("start: 2012-03", "start: 2013-13", 15, "activities[jobs].start", "month", "2013-03"),
        ("start: 2012-03", 'start: "13-2013"', 15, "activities[jobs].start", "month", '"13-2013"'),
        ("start: 2012-03", "start: 2013", 15, "activities[jobs].start", "month", "2013 is"),
        ("start: 2012-03", "start: 2012-03-01", 15, "activities[jobs].start", "month", "2012-03-01"),
        (
            "start: 2012-03",
            "start: 2011-12",
            15,
            "activities[jobs].start",
            "month_outside",
            "2012-01 to 2013-12",
        ),
        (
            "start: 2012-03",
            "start: 2014-01",
            15,
            "activities[jobs].start",
            "month_outside",
            "2012-01 to 2013-12",
        ),
        ('end: "2013-06"', "end: 2012-02", 16, "activities[jobs].end", "end_before_start", "2012-03"),
        ('start: "2011-12"', "start: 2012-01", 8, "horizon.start", "recipe_start", "2011-12"),
        ("recipe: area", "recipe: cohorts", 5, "population.recipe", "choice", "cohorts_2011"),
        ("schema: scenario/1", "schema: 1", 1, "schema", "choice", "scenario/1"),
        ("parameters: default", "parameters: defualt", 10, "parameters", "choice", "mean default"),
        ("parameters: default", "parameters: 3", 10, "parameters", "choice", "default"),
        ("id: mine", "id: My scenario", 2, "id", "slug", "My scenario"),
        ("id: mine", "id: 7", 2, "id", "slug", "7"),
        ("da: Mit", "da: 2012", 3, "title.da", "text_expected", "2012"),
        ("da: Mit", 'da: "  "', 3, "title.da", "text_expected", "at least one word"),
        ("da: Mit, ", "", 3, "title.da", "missing_key", "Title in Danish"),
        ("id: mine\n", "", 1, "id", "missing_key", "short name"),
        ("    places: 12\n", "", 12, "activities[jobs].places", "missing_key", "How many"),
        ("{da: Mit, en: Mine}", "Mine", 3, "title", "map_expected", "da, en"),
        ("  - id: jobs", "  - 7\n  - id: jobs", 12, "activities[#1]", "map_expected", "places"),
        ("take_up: 0.5", "takeup: 0.5", 17, "activities[jobs].takeup", "unknown_key", "mean take_up"),
        (
            "duration_months",
            "duration_weeks",
            18,
            "activities[jobs].duration_weeks",
            "unknown_key_unit",
            "mean duration_months",
        ),
        ("residents: 500", "people: 5", 6, "population.people", "unknown_key", "recipe, residents"),
        ("parameters: default", "<<: {}", 10, "<<", "unknown_key", "population"),
        ("parameters: default", "event: []", 10, "event", "unknown_key", "mean events"),
        ("parameters: default", "events: closure", 10, "events", "list_expected", "- id:"),
        (
            "activity: leisure_job",
            "activity: leisure_jobs",
            13,
            "activities[jobs].activity",
            "choice",
            "mean leisure_job?",
        ),
        ("activity: leisure_job", "activity: [x]", 13, "activities[jobs].activity", "choice", "leisure_job"),
        ("take_up: 0.5", "age_from: 30", 17, "activities[jobs].age_from", "ages", "age_to is 25"),
        ("take_up: 0.5", "age_to: 12", 17, "activities[jobs].age_to", "ages", "age_from is 13"),
        ("take_up: 0.5", "remove: 1", 17, "activities.remove", "remove_value", "remove: true"),
        ("take_up: 0.5", "remove: true", 17, "activities", "remove_unknown", "jobs"),
        ("take_up: 0.5", "take_up: !!float 0.5", 17, "", "yaml_tag", "tag:yaml.org,2002:float"),
        ("take_up: 0.5", "? [a]\n    : 1", 17, "", "key_not_text", "word"),
        ("take_up: 0.5", '"a\\tb": 1', 17, "", "key_not_text", "word"),
        ('end: "2013-06"', 'end: "\\ud800"', 16, "activities[jobs].end", "month", "ud800"),
    ],
)
def test_one_fault(tmp_path, old, new, line, key, kind, says):
    problem = only(tmp_path, changed(old, new))
    assert (problem.kind, problem.place, problem.key) == (kind, f"x.yaml:{line}", key)
    assert says in problem.render("en")
    assert problem.render("da") != problem.render("en")


def test_list_expected(tmp_path):
    head = GOOD[: GOOD.index("activities:")]
    for value in ("", "none", "{a: 1}"):
        problem = only(tmp_path, f"{head}activities: {value}\n")
        assert (problem.kind, problem.place, problem.key) == ("list_expected", "x.yaml:11", "activities")


def test_one_wrong_activity_hides_nothing(tmp_path):
    text = changed("activity: leisure_job", "activity: leisure_jop")
    text = text.replace("places: 12", "places: -1").replace("2012-03", "2013-13")
    text += "  - {id: jobs, activity: leisure_job, places: x, take_up: 7}\n"
    found = [(p.kind, p.place, p.key) for p in problems(tmp_path, text)]
    assert found == [
        ("choice", "x.yaml:13", "activities[jobs].activity"),
        ("outside", "x.yaml:14", "activities[jobs].places"),
        ("month", "x.yaml:15", "activities[jobs].start"),
        ("whole_expected", "x.yaml:19", "activities[jobs].places"),
        ("outside", "x.yaml:19", "activities[jobs].take_up"),
        ("id_twice", "x.yaml:19", "activities[jobs].id"),
    ]


def test_all_duplicate_keys_are_named_with_their_lines(tmp_path):
    text = changed("id: mine\n", "id: mine\nid: other\n") + "    places: 3\n    places: 4\n"
    found = [(p.kind, p.place, p.key, p.values["line"]) for p in problems(tmp_path, text)]
    assert found == [
        ("key_twice", "x.yaml:3", "id", 2),
        ("key_twice", "x.yaml:20", "activities[jobs].places", 15),
        ("key_twice", "x.yaml:21", "activities[jobs].places", 15),
    ]


# --- files that are no scenario


@pytest.mark.parametrize(
    ("content", "kind", "place"),
    [
        (b"", "file_empty", "x.yaml"),
        (b"# only a comment\n", "file_empty", "x.yaml"),
        (b"\n---\n", "file_empty", "x.yaml"),
        (b"- a\n- b\n", "top_not_map", "x.yaml:1"),
        (b"just words", "top_not_map", "x.yaml:1"),
        (b"schema: a\0b", "file_binary", "x.yaml"),
        (GOOD.encode("utf-16"), "file_binary", "x.yaml"),
        (b"a: 1\nb: \xe6\n", "file_not_utf8", "x.yaml:2"),
        (b"\x89PNG\r\n\x1a\n", "file_not_utf8", "x.yaml:1"),
        (b"#" * (scenario_file.MAX_BYTES + 1), "file_large", "x.yaml"),
        (b"\n" * (scenario_yaml.MAX_LINES + 1), "too_many", "x.yaml"),
        (b"a: 1\n---\nb: 1\n", "yaml_documents", "x.yaml:2"),
        (b"%YAML 1.1\n---\na: 1\n", "yaml_directive", "x.yaml:1"),
        (b"a: 1\n\tb: 2\n", "yaml_character", "x.yaml:2"),
        (b"a: 1\nb: \x07\n", "yaml_character", "x.yaml:2"),
        (b"a: b: c\n", "yaml_colon", "x.yaml:1"),
        (b"a: 1\nb\nc: 1\n", "yaml_no_colon", "x.yaml:3"),
        (b'a: 1\nb: "c\n', "yaml_open", "x.yaml:3"),
        (b"a: [1, 2\nb: 3\n", "yaml_open", "x.yaml:2"),
        (b"a: 1\n b: 2\n", "yaml_colon", "x.yaml:2"),
        (b"- a\nb: 2\n", "yaml_syntax", "x.yaml:2"),
        (b'a: "\\UFFFFFFFF"\n', "yaml_syntax", "x.yaml"),
        (b"a: *b\n", "yaml_alias", "x.yaml:1"),
        (b"a: &a [*a]\n", "yaml_recursive", "x.yaml:1"),
        (b"a: &a 1\nb: [" + b"*a," * 1001 + b"]\n", "too_many", "x.yaml:2"),
        (b"a: [" + b"1," * 10_000 + b"]\n", "too_many", "x.yaml:1"),
    ],
)
def test_no_scenario(tmp_path, content, kind, place):
    problem = only(tmp_path, content)
    assert (problem.kind, problem.place) == (kind, place)


def test_a_byte_order_mark_is_no_fault(tmp_path):
    (tmp_path / "x.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert Scenario.read(tmp_path / "x.yaml").id == "mine"


def test_depth_limit_is_fifty(tmp_path):
    kinds = {p.kind for p in problems(tmp_path, "a: " + "[" * 49 + "]" * 49)}
    assert "yaml_deep" not in kinds
    assert only(tmp_path, "a: " + "[" * 50 + "]" * 50).kind == "yaml_deep"
    aliased = "a: &a " + "[" * 30 + "]" * 30 + "\nb: " + "[" * 30 + "*a" + "]" * 30
    assert only(tmp_path, aliased).kind == "yaml_deep"


HOSTILE = {
    "brackets": "[" * 1_000_000,
    "braces": "{" * 1_000_000,
    "dashes": "- " * 500_000,
    "questions": "? " * 500_000,
    "indents": "".join(" " * i + "a:\n" for i in range(1_400)),
    "bomb": "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 60)),
    "tag": "!" + "a" * 900_000,
    "directives": "%a\n" * 19_000,
    "keys": "".join(f"activitie{i}: 1\n" for i in range(4_900)),
    "items": "activities:\n" + "".join(f"- id: a{i}\n" for i in range(3_000)),
    "parameters": "activities:\n- {id: a, activity: leisure_job, "
    + ", ".join(f"duration_mo{i}: 1" for i in range(4_900))
    + "}",
    "words": "a " * 490_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_quickly(tmp_path, name):
    began = time.process_time()
    found = problems(tmp_path, HOSTILE[name])
    assert time.process_time() - began < 5, "two seconds are meant, five leave room for a slow machine"
    assert found


# --- files that cannot be found


def test_missing_folder_and_other(tmp_path):
    def fault(path: str | Path) -> Problem:
        with pytest.raises(ScenarioError) as caught:
            Scenario.read(path)
        assert len(caught.value.problems) == 1
        return caught.value.problems[0]

    missing = fault("baselin.yaml")
    assert (missing.kind, missing.place, missing.nearest) == ("file_missing", "baselin.yaml", "baseline.yaml")
    assert fault(tmp_path / "a.yaml" / "b.yaml").kind == "file_missing"
    assert fault("").kind == "file_folder"
    assert fault("a\0b.yaml").kind == "file_missing"
    assert fault(tmp_path).kind == "file_folder"
    assert fault("/dev/null").kind == "file_other"
    long = fault(tmp_path / ("a" * 5_000))
    assert long.kind == "unreadable"
    assert "too long" in long.render("en")


def test_a_file_that_cannot_be_opened(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "x.yaml").write_text(GOOD)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ScenarioError, match="Permission denied") as caught:
        Scenario.read(tmp_path / "x.yaml")
    assert caught.value.problems[0].kind == "unreadable"


# --- extends


def test_cycles_name_the_chain(tmp_path):
    for name, parent in (("x", "b"), ("b", "c"), ("c", "b")):
        (tmp_path / f"{name}.yaml").write_text(f"schema: scenario/1\nid: {name}\nextends: {parent}.yaml\n")
    with pytest.raises(ScenarioError) as caught:
        Scenario.read(tmp_path / "x.yaml")
    (problem,) = caught.value.problems
    assert (problem.kind, problem.place) == ("extends_cycle", f"{tmp_path}/c.yaml:3")
    chain = [Path(name).name for name in str(problem.values["chain"]).split(" → ")]
    assert chain == ["x.yaml", "b.yaml", "c.yaml", "b.yaml"]
    own = only(tmp_path, GOOD + "extends: x.yaml\n")
    assert own.kind == "extends_cycle"


@pytest.mark.parametrize(
    ("parent", "kind", "nearest"),
    [
        ("baselin.yaml", "extends_missing", "baseline.yaml"),
        ("..", "extends_missing", None),
        ("a\\0b", "extends_missing", None),
        ("z" * 5_000, "extends_missing", None),
        ("", "extends_text", None),
        ("[a]", "extends_text", None),
        ("5", "extends_text", None),
    ],
)
def test_missing_parents(tmp_path, parent, kind, nearest):
    value = f'"{parent}"' if kind == "extends_missing" or not parent else parent
    problem = only(tmp_path, f"{GOOD}extends: {value}\n")
    assert (problem.kind, problem.place, problem.key) == (kind, "x.yaml:19", "extends")
    assert problem.nearest == nearest


def test_with_a_missing_parent_only_what_is_certain_is_said(tmp_path):
    text = "schema: scenario/1\nid: x\nextends: none.yaml\nactivities: [{id: a, remove: true}]\n"
    text += "horizon: {months: 0}\n"
    found = [(p.kind, p.place) for p in problems(tmp_path, text)]
    assert found == [("extends_missing", "x.yaml:3"), ("outside", "x.yaml:5")]


def test_faults_of_a_parent_carry_its_name(tmp_path):
    (tmp_path / "p.yaml").write_text(GOOD.replace("scenario/1", "scenario/9").replace("places: 12", "places: -1"))
    found = problems(tmp_path, "schema: scenario/1\nid: x\nextends: p.yaml\n")
    assert [(p.kind, p.place) for p in found] == [("choice", "p.yaml:1"), ("outside", "p.yaml:14")]
    (tmp_path / "p.yaml").write_bytes(b"a\0")
    found = problems(tmp_path, "schema: scenario/1\nid: x\nextends: p.yaml\n")
    assert [(p.kind, p.place) for p in found] == [("file_binary", "p.yaml")]


def test_schema_and_id_are_not_inherited(tmp_path):
    (tmp_path / "p.yaml").write_text(GOOD)
    found = problems(tmp_path, "extends: p.yaml\n")
    assert [(p.kind, p.key) for p in found] == [("missing_key", "schema"), ("missing_key", "id")]
    (tmp_path / "p.yaml").write_text(GOOD.replace("schema: scenario/1\n", ""))
    found = problems(tmp_path, "schema: scenario/1\nid: x\nextends: p.yaml\n")
    assert [(p.kind, p.place, p.key) for p in found] == [("choice", "p.yaml:1", "schema")]


# --- overrides


@pytest.mark.parametrize(
    ("override", "kind", "key", "says"),
    [
        ("", "override_form", "", "key=value"),
        ("residents", "override_form", "", "key=value"),
        ("=5", "override_form", "", "key=value"),
        ("activities[jobs.places=1", "override_form", "", "key=value"),
        ("population.resident=5", "override_key", "population.resident", "mean population.residents"),
        ("population=5", "override_key", "population", "population.recipe"),
        ("population[x].residents=5", "override_key", "population[x].residents", "horizon.months"),
        ("extends=baseline", "override_key", "extends", "parameters"),
        ("schema=scenario/1", "override_key", "schema", "parameters"),
        ("activities=[]", "override_key", "activities", "activities[ID].KEY"),
        ("activities[jobs]=1", "override_key", "activities[jobs]", "activities[ID].KEY"),
        ("activities[jobs].id=a", "override_key", "activities[jobs].id", "activities[ID].KEY"),
        ("activities[jobs].remove=true", "override_key", "activities[jobs].remove", "activities[ID].KEY"),
        ("activities[job].places=1", "unknown_item", "activities[job].places", "mean jobs"),
        ("activities[jobs].place=1", "unknown_key", "activities[jobs].place", "mean places"),
        ("activities[jobs].take_up=0,8", "decimal_comma", "activities[jobs].take_up", "0.8"),
        ("activities[jobs].places=", "whole_expected", "activities[jobs].places", "(empty)"),
        ("population.residents='5'", "plain_number", "population.residents", "persons"),
        ("parameters=histori", "choice", "parameters", "default"),
    ],
)
def test_override_faults(tmp_path, override, kind, key, says):
    problem = only(tmp_path, GOOD, override)
    assert (problem.kind, problem.place, problem.key) == (kind, "-s", key)
    assert says in problem.render("en")


def test_an_override_does_not_hide_a_fault_of_the_file(tmp_path):
    text = changed('horizon:\n  start: "2011-12"\n  months: 24\n', "horizon: long\n")
    assert only(tmp_path, text, "horizon.months=24").kind == "map_expected"


# --- anything at all

QUICK = settings(
    max_examples=150,
    deadline=2_000,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)


def outcome(path: Path, *overrides: str) -> Scenario | ScenarioError:
    try:
        return Scenario.read(path, overrides)
    except ScenarioError as error:
        return error


def valid_or_refused(path: Path) -> None:
    found = outcome(path)
    if isinstance(found, Scenario):
        assert Scenario.from_resolved(found.resolved()) == found
        return
    assert len(found.problems) >= 1
    for problem in found.problems:
        assert problem.place
        assert all(problem.render(lang).strip() for lang in LANGUAGES)


@QUICK
@given(
    edits=st.lists(
        st.tuples(
            st.integers(0, len(GOOD)),
            st.integers(0, 6),
            st.text(alphabet=st.sampled_from(string.printable + "æøå–€😀\0\x85\u2028"), max_size=4),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_mutated_files(tmp_path, edits):
    text = GOOD
    for at, gone, new in edits:
        text = text[:at] + new + text[at + gone :]
    (tmp_path / "x.yaml").write_bytes(text.encode())
    valid_or_refused(tmp_path / "x.yaml")


@QUICK
@given(content=st.binary(max_size=200))
def test_random_bytes(tmp_path, content):
    (tmp_path / "x.yaml").write_bytes(content)
    valid_or_refused(tmp_path / "x.yaml")


KEYS = [
    *(
        "schema",
        "id",
        "title",
        "da",
        "en",
        "extends",
        "population",
        "recipe",
        "residents",
        "horizon",
        "start",
    ),
    *(
        "months",
        "activities",
        "activity",
        "places",
        "end",
        "remove",
        "parameters",
        "take_up",
        "age_from",
        "x",
    ),
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        [
            "scenario/1",
            "area",
            "leisure_job",
            "2011-12",
            "2012-01",
            "0,42",
            "6 weeks",
            "default",
            "x.yaml",
            "1" * 5_000,
        ]
    ),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=25,
)


def written(value: object) -> str:
    """Write plain data as flow YAML, texts quoted."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return '"' + "".join(f"\\U{ord(c):08x}" for c in value) + '"'
        case dict():
            return "{" + ", ".join(f"{written(k)}: {written(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(written, value)) + "]"
        case float() if value != value:
            return ".nan"
        case float() if value in (float("inf"), -float("inf")):
            return str(value).replace("inf", ".inf")
    return str(value)


@QUICK
@given(tree=st.dictionaries(st.sampled_from(KEYS), TREES, max_size=8))
def test_random_trees(tmp_path, tree):
    (tmp_path / "x.yaml").write_text(written(tree))
    valid_or_refused(tmp_path / "x.yaml")


def plain_scenario() -> dict:
    item = {"id": "jobs", "activity": "leisure_job", "places": 3, "start": "2012-01", "end": "2012-09"}
    return {
        "schema": "scenario/1",
        "id": "mine",
        "title": {"da": "Mit", "en": "Mine"},
        "description": {"da": "Mit", "en": "Mine"},
        "extends": "baseline.yaml",
        "population": {"recipe": "area", "residents": 50},
        "horizon": {"start": "2011-12", "months": 12},
        "activities": [{**item, **{id: p.value for id, p in catalogue()["leisure_job"].parameters.items()}}],
        "parameters": "default",
    }


def paths(data: object, at: tuple = ()) -> list[tuple]:
    inside = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [*([at] if at else []), *(path for key, value in inside for path in paths(value, (*at, key)))]


@QUICK
@given(path=st.sampled_from(paths(plain_scenario())), value=SCALARS)
def test_random_scalars_at_every_key(tmp_path, path, value):
    data = plain_scenario()
    target = data
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = value
    (tmp_path / "x.yaml").write_text(written(data))
    valid_or_refused(tmp_path / "x.yaml")


@QUICK
@given(
    override=st.one_of(
        st.text(max_size=20),
        st.tuples(
            st.sampled_from(
                [
                    "population.residents",
                    "horizon.months",
                    "activities[jobs].places",
                    "title.da",
                    "parameters",
                ]
            ),
            st.text(max_size=8),
        ).map("=".join),
    )
)
def test_random_overrides(tmp_path, override):
    (tmp_path / "x.yaml").write_text(GOOD)
    found = outcome(tmp_path / "x.yaml", override)
    if isinstance(found, Scenario):
        assert "=" in override
        assert found.id == "mine" or override.startswith("id=")
    else:
        assert {problem.place for problem in found.problems} == {"-s"}
        assert found.render("da")

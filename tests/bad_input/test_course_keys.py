"""What courses brought to scenario files, each key wrong in every way: one message, place, value, what is allowed."""

import subprocess
import sys
from pathlib import Path

import pytest

import run
from sim.activities import catalogue
from sim.errors import Problem, ScenarioError
from sim.locale import LANGUAGES
from sim.scenario import Scenario

GOOD = """\
schema: scenario/1
id: mine
title: {da: Mit, en: Mine}
population: {recipe: area, residents: 500}
horizon: {start: "2011-12", months: 24}
activities:
  - id: placement
    activity: internship
    places: 5
    priority: oldest
    missing_drivers: [bridging]
    hindrances: [ignored]
    take_up: 0.5
  - id: smiley
    activity: employer_smiley
  - id: workshop
    activity: sewing_workshop
    places: 4
    clarified_to_flex_job: 0.4
events:
  - id: lockdown
    event: closure
    start: 2012-03
    end: "2012-05"
    activities: [placement]
"""


def problems(folder: Path, text: str, *overrides: str) -> list[Problem]:
    path = folder / "x.yaml"
    path.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        Scenario.read(path, overrides)
    for lang in LANGUAGES:
        assert all(line.strip() for line in caught.value.render(lang).split("\n"))
    found = caught.value.problems
    return [Problem(p.kind, p.place.replace(f"{folder}/", ""), p.key, p.values, p.nearest) for p in found]


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


def test_good_file_is_good(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(GOOD)
    scenario = Scenario.read(tmp_path / "x.yaml")
    placement, smiley, _ = scenario.activities
    assert (placement.priority, placement.missing_drivers, placement.hindrances) == (
        "oldest",
        ("bridging",),
        ("ignored",),
    )
    assert (smiley.places, smiley.priority, smiley.missing_drivers) == (0, "first_come", ())
    (closure,) = scenario.closures
    assert (closure.start, closure.end, closure.activities) == ("2012-03", "2012-05", ("placement",))
    assert Scenario.from_resolved(scenario.resolved()) == scenario


FIRST = "activities[placement]"
EVENT = "events[lockdown]"
SMILEY = "activity: employer_smiley"
DRIVERS, HINDRANCES = "missing_drivers: [bridging]", "hindrances: [ignored]"


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "kind", "says"),
    [
        ("priority: oldest", "priority: oldst", 10, f"{FIRST}.priority", "choice", "mean oldest"),
        ("priority: oldest", "priority: 3", 10, f"{FIRST}.priority", "choice", "most_barriers"),
        ("priority: oldest", "priority:", 10, f"{FIRST}.priority", "choice", "(empty)"),
        ("priority: oldest", "priority: [oldest]", 10, f"{FIRST}.priority", "choice", "first_come"),
        (DRIVERS, "missing_drivers: [bridgin]", 11, f"{FIRST}.missing_drivers[#1]", "choice", "mean bridging"),
        (DRIVERS, "missing_drivers: [ignored]", 11, f"{FIRST}.missing_drivers[#1]", "choice", "open_employers"),
        (DRIVERS, "missing_drivers: [7]", 11, f"{FIRST}.missing_drivers[#1]", "choice", "included"),
        (DRIVERS, "missing_drivers: [bridging, bridging]", 11, f"{FIRST}.missing_drivers[#2]", "name_twice", "once"),
        (DRIVERS, "missing_drivers: bridging", 11, f"{FIRST}.missing_drivers", "names_expected", "[name, name]"),
        (DRIVERS, "missing_drivers:", 11, f"{FIRST}.missing_drivers", "names_expected", "open_employers"),
        (DRIVERS, "missing_driver: [bridging]", 11, f"{FIRST}.missing_driver", "unknown_key", "mean missing_drivers"),
        (HINDRANCES, "hindrances: [ignord]", 12, f"{FIRST}.hindrances[#1]", "choice", "mean ignored"),
        (HINDRANCES, "hindrances: [bridging]", 12, f"{FIRST}.hindrances[#1]", "choice", "demanding_schemes"),
        (HINDRANCES, "hindrances: {a: 1}", 12, f"{FIRST}.hindrances", "names_expected", "presence"),
        (SMILEY, f"{SMILEY}\n    places: 5", 16, "activities[smiley].places", "lever_places", "write 0"),
        (SMILEY, f"{SMILEY}\n    places: -1", 16, "activities[smiley].places", "outside", "0 to 1000000"),
        (SMILEY, f"{SMILEY}\n    places: few", 16, "activities[smiley].places", "whole_expected", '"few"'),
        (SMILEY, f"{SMILEY}\n    take_up: 0.1", 16, "activities[smiley].take_up", "unknown_key", "age_from"),
        (SMILEY, f"{SMILEY}\n    hindrances: [x]", 16, "activities[smiley].hindrances[#1]", "choice", "choices: -"),
        (SMILEY, f"{SMILEY}\n    hindrances: x", 16, "activities[smiley].hindrances", "names_expected", "names: -"),
        ("take_up: 0.5", "reach_casworker: 0.1", 13, f"{FIRST}.reach_casworker", "unknown_key", "reach_caseworker?"),
        ("take_up: 0.5", "relation_months: 3", 13, f"{FIRST}.relation_months", "unknown_key", "allowed keys"),
        ("take_up: 0.5", "quality: 1.4", 13, f"{FIRST}.quality", "outside", "0 to 1"),
        ("take_up: 0.5", "quality: 0,9", 13, f"{FIRST}.quality", "decimal_comma", "0.9"),
        (
            "clarified_to_flex_job: 0.4",
            "clarified_to_flex_job: 0.7\n    clarified_closer: 0.5",
            20,
            "activities[workshop].clarified_closer",
            "shares_above_one",
            "1.2",
        ),
        ("event: closure", "event: closed", 22, f"{EVENT}.event", "choice", "mean closure"),
        ("event: closure", "event: 3", 22, f"{EVENT}.event", "choice", "closure"),
        ("    event: closure\n", "", 21, f"{EVENT}.event", "missing_key", "closure"),
        ("id: lockdown", "id: Lock down", 21, "events[Lock down].id", "slug", "Lock down"),
        ("  - id: lockdown\n    event", "  - event", 21, "events[#1].id", "missing_key", "own name"),
        ("start: 2012-03", "start: 2012-13", 23, f"{EVENT}.start", "month", "2013-03"),
        ("start: 2012-03", "start: 2011-12", 23, f"{EVENT}.start", "month_outside", "2012-01 to 2013-12"),
        ("start: 2012-03", "start: 2014-01", 23, f"{EVENT}.start", "month_outside", "2012-01 to 2013-12"),
        ("    start: 2012-03\n", "", 21, f"{EVENT}.start", "missing_key", "First month"),
        ('end: "2012-05"', "end: May", 24, f"{EVENT}.end", "month", "May"),
        ('end: "2012-05"', "end: 2012-02", 24, f"{EVENT}.end", "end_before_start", "2012-03 or later"),
        ('    end: "2012-05"\n', "", 21, f"{EVENT}.end", "missing_key", "Last month"),
        (
            "activities: [placement]",
            "activities: [placement, smiley]",
            25,
            f"{EVENT}.activities[#2]",
            "closure_goes_on",
            "names: placement, workshop",
        ),
        (
            "activities: [placement]",
            "activities: [placemnt]",
            25,
            f"{EVENT}.activities[#1]",
            "choice",
            "mean placement",
        ),
        ("activities: [placement]", "activities: [internship]", 25, f"{EVENT}.activities[#1]", "choice", "workshop"),
        ("activities: [placement]", "activities: [3]", 25, f"{EVENT}.activities[#1]", "choice", "placement, smiley"),
        ("activities: [placement]", "activities: placement", 25, f"{EVENT}.activities", "names_expected", "smiley"),
        (
            "activities: [placement]",
            "activities: [placement, placement]",
            25,
            f"{EVENT}.activities[#2]",
            "name_twice",
            "placement",
        ),
        ("activities: [placement]", "activites: []", 25, f"{EVENT}.activites", "unknown_key", "mean activities"),
        ("activities: [placement]", "places: 3", 25, f"{EVENT}.places", "unknown_key", "id, event, start, end"),
        ("activities: [placement]", "activities: []\n  - 7", 26, "events[#2]", "map_expected", "event"),
        (
            "activities: [placement]",
            "activities: []\n  - {id: lockdown, event: closure, start: 2012-04, end: 2012-04}",
            26,
            f"{EVENT}.id",
            "id_twice",
            "own",
        ),
    ],
)
def test_one_fault(tmp_path: Path, old: str, new: str, line: int, key: str, kind: str, says: str) -> None:
    (problem,) = problems(tmp_path, changed(old, new))
    assert (problem.kind, problem.place, problem.key) == (kind, f"x.yaml:{line}", key)
    assert says in problem.render("en")
    assert problem.render("da") != problem.render("en")


@pytest.mark.parametrize(
    ("override", "key", "kind", "near"),
    [
        ("events[lockdwn].end=2013-01", "events[lockdwn].end", "unknown_item", "lockdown"),
        ("events[lockdown].nd=2013-01", f"{EVENT}.nd", "unknown_key", "end"),
        ("events[lockdown].end=2012-01", f"{EVENT}.end", "end_before_start", None),
        ("events[lockdown].start=2019-01", f"{EVENT}.start", "month_outside", None),
        ("events[lockdown].event=close", f"{EVENT}.event", "choice", "closure"),
        ("events[lockdown].activities=placement", f"{EVENT}.activities", "names_expected", "placement"),
        ("events[lockdown].id=x", f"{EVENT}.id", "override_key", None),
        ("events[lockdown].remove=true", f"{EVENT}.remove", "override_key", None),
        ("events=[]", "events", "override_key", "events[ID].KEY"),
        ("event[lockdown].end=2013-01", "event[lockdown].end", "override_key", None),
        ("activities[placement].priority=oldst", f"{FIRST}.priority", "choice", "oldest"),
        ("activities[smiley].places=3", "activities[smiley].places", "lever_places", None),
        ("activities[placement].hindrances=x", f"{FIRST}.hindrances", "names_expected", None),
    ],
)
def test_one_wrong_override(tmp_path: Path, override: str, key: str, kind: str, near: str | None) -> None:
    (problem,) = problems(tmp_path, GOOD, override)
    assert (problem.kind, problem.place, problem.key) == (kind, "-s", key)
    if near:
        assert problem.nearest == near


def test_an_event_is_changed_by_an_override_and_by_a_file_that_builds_on_it(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(GOOD)
    (closure,) = Scenario.read(tmp_path / "x.yaml", ["events[lockdown].end=2012-12"]).closures
    assert closure.end == "2012-12"
    head = "schema: scenario/1\nid: more\nextends: x.yaml\nevents:\n"
    (tmp_path / "more.yaml").write_text(f"{head}  - {{id: lockdown, end: 2012-07}}\n")
    (closure,) = Scenario.read(tmp_path / "more.yaml").closures
    assert (closure.start, closure.end) == ("2012-03", "2012-07")
    (tmp_path / "more.yaml").write_text(f"{head}  - {{id: lockdown, remove: true}}\n")
    assert Scenario.read(tmp_path / "more.yaml").closures == ()


WRONG = {
    "priority: oldest": "priority: oldst",
    DRIVERS: "missing_drivers: [bridgin]",
    HINDRANCES: "hindrances: x",
    "take_up: 0.5": "take_upp: 0.5",
    SMILEY: f"{SMILEY}\n    places: 2",
    "event: closure": "event: closed",
    "start: 2012-03": "start: 2012-13",
    "activities: [placement]": "activities: [placemnt]",
}


def test_all_problems_stand_in_one_message_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = GOOD
    for old, new in WRONG.items():
        text = text.replace(old, new)
    found = problems(tmp_path, text, "events[lockdwn].end=2013-01")
    assert [p.kind for p in found] == [
        "unknown_item",
        "choice",
        "choice",
        "names_expected",
        "unknown_key",
        "lever_places",
        "choice",
        "month",
        "choice",
    ]
    lines = [int(p.place.rpartition(":")[2]) for p in found[1:]]
    assert lines == sorted(lines)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_command_says_it_all_and_ends_with_two(tmp_path: Path, capsys: pytest.CaptureFixture[str], lang: str) -> None:
    text = GOOD
    for old, new in WRONG.items():
        text = text.replace(old, new)
    (tmp_path / "x.yaml").write_text(text)
    assert run.main(["check", str(tmp_path / "x.yaml"), "--lang", lang]) == 2
    said = capsys.readouterr().err
    assert said.count("x.yaml:") == len(WRONG)
    assert "Traceback" not in said


def test_the_process_ends_with_two(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(changed("event: closure", "event: closed"))
    door = Path(run.__file__)
    ended = subprocess.run(
        [sys.executable, str(door), "check", "x.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "closure" in ended.stderr + ended.stdout


@pytest.mark.parametrize("key", list(catalogue()))
def test_a_parameter_an_activity_does_not_have_is_named(tmp_path: Path, key: str) -> None:
    """Each activity has its own numbers: another's is an unknown key, its own outside its bounds another fault."""
    activity = catalogue()[key]
    others = {id for other in catalogue().values() for id in other.parameters} - activity.parameters.keys()
    foreign = sorted(others)[len(key) % len(others)]
    places = "" if activity.kind == "lever" else ", places: 1"
    number = "age_from" if "age_from" in activity.parameters else "reach_factor"
    text = changed(
        "  - id: smiley\n    activity: employer_smiley\n",
        f"  - {{id: smiley, activity: {key}{places}, {foreign}: 0, {number}: 121}}\n",
    )
    found = {p.kind: p for p in problems(tmp_path, text)}
    assert set(found) == {"unknown_key", "outside"}
    assert found["unknown_key"].key == f"activities[smiley].{foreign}"
    assert found["outside"].key == f"activities[smiley].{number}"

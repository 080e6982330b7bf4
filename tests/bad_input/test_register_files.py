"""Registers that cannot be used: one message that names file, row and person of every problem, in both languages."""

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ruamel.yaml import YAML

from calibration.panel.crosswalk import RULES, read_crosswalk
from calibration.panel.registers import EXAMPLE, read_registers
from sim.errors import InputError, Problem
from sim.locale import LANGUAGES

WEEKS = "person,week,code\nA,2012-W01,110\nA,2012-W26,110\nB,2012-W02,410\nB,2012-W40,410\n"
QUARTERS = "person,quarter,hours\nA,2012Q1,100\nB,2012Q4,200.5\n"
PEOPLE = "person,birth_month,sex,origin,died\nA,1980-01,woman,danish,\nB,1985-12,man,western,2012-09-30\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a small extract that can be read."""
    for name in ("crosswalk.csv", "rules.yaml"):
        shutil.copy(EXAMPLE / name, tmp_path)
    for name, text in (("weeks", WEEKS), ("quarters", QUARTERS), ("people", PEOPLE)):
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    return tmp_path


def problems(*source: Any) -> dict[str, list[Problem]]:
    """Return the problems of reading by kind; each has words in both languages that name its place."""
    with pytest.raises(InputError) as caught:
        read_registers(*source)
    found: dict[str, list[Problem]] = {}
    for problem in caught.value.problems:
        said = [problem.render(lang) for lang in LANGUAGES]
        assert said[0] != said[1]
        assert all(problem.place in line and "{" not in line for line in said)
        found.setdefault(problem.kind, []).append(problem)
    return found


def places(found: dict[str, list[Problem]], kind: str) -> list[tuple[str, str]]:
    """Return file:row and column of the problems of a kind."""
    return [(Path(problem.place).name, problem.key) for problem in found.pop(kind)]


def test_the_small_extract_can_be_read(folder: Path):
    found = read_registers(folder)
    assert found.frame["person"].unique().tolist() == ["A", "B"]


def test_everything_wrong_in_all_tables_is_told_at_once(folder: Path):
    weeks = WEEKS + (
        "A,2012-W26,410\n"  # 6: the week twice
        "A,2013-W53,110\n"  # 7: no such week
        "C,2012-W03,110\n"  # 8: a stranger
        ",2012-W04,110\n"  # 9: nobody
        "A,,110\n"  # 10: no week
        "A,2012-W05,\n"  # 11: no code
        "A,2012-W06,112\nB,2012-W07,112\n"  # 12, 13: an unknown code
        "A,2012-W08,XYZ\n"  # 14: another
    )
    quarters = QUARTERS + (
        "A,2012Q5,10\n"  # 4: no such quarter
        "A,2012Q2,many\n"  # 5: no number
        "A,2012Q3,-1\n"  # 6: less than none
        "B,2012Q3,2353\n"  # 7: more than there are
        "B,2012Q2,\n"  # 8: none given
        "C,2012Q2,5\n"  # 9: a stranger
        "B,2012Q2,inf\n"  # 10: endless
    )
    people = (
        "person,birth_month,sex,origin,entered,died,left\n"
        "A,1980-13,woman,danish,2012Q1,,\n"  # 2: no month
        "B,1985-12,women,western,2012Q3,2012-02-30,\n"  # 3: no sex, no date
        "A,1985-12,man,western,2012K1,,\n"  # 4: twice, no quarter
        "D,1985-12,,western,2012Q3,,2012-06-30\n"  # 5: no sex, gone before
    )
    for name, text in (("weeks", weeks), ("quarters", quarters), ("people", people)):
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    found = problems(folder)
    codes = found.pop("register_code")
    assert [(Path(one.place).name, one.values["code"], one.values["count"], one.nearest) for one in codes] == [
        ("weeks.csv:12", "112", 2, "121"),
        ("weeks.csv:14", "XYZ", 1, None),
    ]
    assert (codes[0].values["rows"], codes[0].values["persons"]) == ("12, 13", "A, B")
    assert places(found, "register_week_twice") == [("weeks.csv:6", "week")]
    assert places(found, "register_week") == [("weeks.csv:7", "week")]
    assert places(found, "register_stranger") == [("weeks.csv:8", "person"), ("quarters.csv:9", "person")]
    assert places(found, "register_quarter") == [("people.csv:4", "entered"), ("quarters.csv:4", "quarter")]
    assert places(found, "register_hours") == [(f"quarters.csv:{row}", "hours") for row in (5, 6, 7, 10)]
    assert places(found, "register_month") == [("people.csv:2", "birth_month")]
    assert [one.nearest for one in found["choice"]] == ["woman"]
    assert places(found, "choice") == [("people.csv:3", "sex")]
    assert places(found, "register_date") == [("people.csv:3", "died")]
    assert places(found, "register_person_twice") == [("people.csv:4", "person")]
    assert places(found, "register_gone_before") == [("people.csv:5", "entered")]
    assert sorted(places(found, "panel_missing")) == [
        ("people.csv:5", "sex"),
        ("quarters.csv:8", "hours"),
        ("weeks.csv:10", "week"),
        ("weeks.csv:11", "code"),
        ("weeks.csv:9", "person"),
    ]
    assert found == {}


def test_of_many_rows_ten_are_named_and_the_others_counted(folder: Path):
    rows = "".join(f"A,2012-{week},110\n" for week in range(10, 35))
    (folder / "weeks.csv").write_text(WEEKS + rows, encoding="utf-8")
    found = problems(folder)
    assert [one.place.rpartition(":")[2] for one in found["register_week"]] == [str(row) for row in range(6, 16)]
    assert found["panel_more"][0].values["count"] == 15
    assert "A" in found["register_week"][0].render("en")


def test_a_stretch_of_weeks_must_end_after_it_begins(folder: Path):
    text = "person,week,until,code\nA,2012-W01,2012-W30,110\nB,2012-W09,2012-W08,410\nA,2012-W30,2012-W31,110\n"
    (folder / "weeks.csv").write_text(text, encoding="utf-8")
    found = problems(folder)
    assert places(found, "register_until") == [("weeks.csv:3", "until")]
    twice = found.pop("register_week_twice")
    assert [(one.place.rpartition(":")[2], one.values["week"]) for one in twice] == [("4", "2012-W30")]
    assert found == {}


@pytest.mark.parametrize("name", ["weeks", "quarters", "people"])
def test_tables_and_columns_that_are_missing(folder: Path, name: str):
    path = folder / f"{name}.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("person,", "persons,", 1), encoding="utf-8")
    wrong = problems(folder)["panel_column"][0]
    assert (wrong.key, wrong.nearest) == ("person", "persons")
    path.unlink()
    assert [one.key for one in problems(folder)["register_file"]] == [name]
    frames = {other: pd.read_csv(folder / f"{other}.csv") for other in ("weeks", "quarters", "people") if other != name}
    given = problems(frames, folder / "crosswalk.csv")["register_table"]
    assert [one.key for one in given] == [name]


def test_no_people_and_no_folder_at_all(folder: Path):
    (folder / "people.csv").write_text(PEOPLE.splitlines()[0] + "\n", encoding="utf-8")
    assert "register_empty" in problems(folder)
    nothing = problems(folder / "nothing")
    assert [one.key for one in nothing["register_file"]] == ["weeks", "quarters", "people"]
    assert {"register_rules_file", "register_file"} <= set(nothing)


def test_registers_that_reach_to_no_quarter_end(folder: Path):
    (folder / "weeks.csv").write_text("person,week,code\nA,2012-W05,110\n", encoding="utf-8")
    (folder / "quarters.csv").write_text("person,quarter,hours\n", encoding="utf-8")
    assert "register_no_quarters" in problems(folder)


def test_a_damaged_packed_file(folder: Path):
    packed = gzip.compress(WEEKS.encode())
    (folder / "weeks.csv").unlink()
    (folder / "weeks.csv.gz").write_bytes(packed)
    assert len(read_registers(folder).frame)
    for held in (packed[:-20], b"person,week,code\n"):
        (folder / "weeks.csv.gz").write_bytes(held)
        assert places(problems(folder), "panel_file") == [("weeks.csv.gz", "")]


# --- the crosswalk and its rules


def test_a_crosswalk_names_every_row_that_is_wrong(folder: Path):
    text = (
        "code,state,priority,note_da,note_en\n110,job_redy,1,,\n410,in_education,x,,\n410,in_education,2,,\n"
        ",employed,1,,\n120,activity_ready,0,,\n"
    )
    (folder / "crosswalk.csv").write_text(text, encoding="utf-8")
    found = problems(folder)
    assert [one.nearest for one in found["register_state"]] == ["job_ready"]
    assert places(found, "register_state") == [("crosswalk.csv:2", "state")]
    assert places(found, "whole_at_least") == [("crosswalk.csv:3", "priority"), ("crosswalk.csv:6", "priority")]
    assert places(found, "register_code_twice") == [("crosswalk.csv:4", "code")]
    assert places(found, "register_no_code") == [("crosswalk.csv:5", "code")]
    assert found == {}


def test_a_crosswalk_without_its_columns(folder: Path):
    (folder / "crosswalk.csv").write_text("code;state\n110;job_ready\n", encoding="utf-8")
    assert [one.key for one in problems(folder)["panel_column"]] == ["priority", "note_da", "note_en"]
    tables = {name: pd.read_csv(folder / f"{name}.csv") for name in ("weeks", "quarters", "people")}
    assert list(problems(tables)) == ["register_no_crosswalk"]


def changed(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda rules: rules.update({key: value})


@pytest.mark.parametrize(
    ("change", "kind", "key"),
    [
        (lambda rules: rules.pop("gone"), "register_rule_missing", "gone"),
        (changed("least_week", 2), "register_rule_unknown", "least_week"),
        (changed("states", "employed"), "register_rule_list", "states"),
        (changed("ends_at", "gone"), "register_rule_list", "ends_at"),
        (changed("ends_at", ["pension"]), "register_state", "ends_at"),
        (changed("employed", "employd"), "register_state", "employed"),
        (changed("neither", ""), "register_state", "neither"),
        (changed("weeks_that_decide", 0), "whole_at_least", "weeks_that_decide"),
        (changed("weeks_that_decide", 14), "bounds", "weeks_that_decide"),
        (changed("weeks_after", -1), "whole_at_least", "weeks_after"),
        (changed("least_weeks", True), "whole_at_least", "least_weeks"),
        (changed("least_weeks", 4), "bounds", "least_weeks"),
        (changed("least_hours", "7"), "register_rule_number", "least_hours"),
        (changed("least_hours_next", -1), "register_rule_number", "least_hours_next"),
        (changed("least_hours", float("nan")), "register_rule_number", "least_hours"),
    ],
)
def test_a_rule_that_cannot_be_used_is_named(change: Callable[[dict[str, Any]], None], kind: str, key: str):
    rules = YAML(typ="safe", pure=True).load((EXAMPLE / "rules.yaml").read_text(encoding="utf-8"))
    assert sorted(rules) == sorted(RULES)
    change(rules)
    with pytest.raises(InputError) as caught:
        read_crosswalk(EXAMPLE / "crosswalk.csv", rules)
    assert [(one.kind, one.key) for one in caught.value.problems] == [(kind, key)]
    for lang in LANGUAGES:
        assert key in caught.value.problems[0].render(lang)


@pytest.mark.parametrize("text", ["", "- a\n", "states: [a\n", "a: b: c\n"])
def test_rules_that_are_no_yaml_of_keys(folder: Path, text: str):
    (folder / "rules.yaml").write_text(text, encoding="utf-8")
    wrong = problems(folder)["register_rules_file"][0]
    assert Path(wrong.place).name == "rules.yaml"
    assert "\n" not in wrong.render("en")

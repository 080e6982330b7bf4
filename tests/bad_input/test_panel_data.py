"""Panels that cannot be used: one message with every problem, rows and persons by name, nothing left out silently."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import run
from calibration import fit_panel, simulate_panel
from sim.errors import InputError, Problem
from sim.locale import LANGUAGES

MOVES = [("well", "ill"), ("ill", "well"), ("ill", "dead")]
BAD = """\
person,time,state,age
ann,0,well,30
ann,1,ill,30
ann,1,well,31
bo,2,well,40
bo,1,ill,40
cy,0,well,50
cy,1,dad,50
di,0,well,
di,1,ill,60
ed,0,dead,20
ed,1,well,20
flo,0,well,33
gus,x,well,44
gus,2,ill,44
hal,0,well,51
hal,inf,ill,51
,0,well,50
ivy,0,ill,old
ivy,1,,old
"""
GOOD = """\
person,time,state,age
ann,0,well,30
ann,1,ill,31
ann,2,well,31
ann,4,ill,31
bo,0,well,52
bo,2,ill,52
bo,3,dead,
"""


def refused(frame: pd.DataFrame, moves: Any = MOVES, **options: Any) -> list[Problem]:
    with pytest.raises(InputError) as caught:
        fit_panel(frame, moves, **options)
    for lang in LANGUAGES:
        lines = caught.value.render(lang).split("\n")
        assert len(lines) == len(caught.value.problems)
        assert not [line for line in lines if "{" in line]
    return list(caught.value.problems)


def read(text: str, folder: Path) -> pd.DataFrame:
    path = folder / "panel.csv"
    path.write_text(text, encoding="utf-8")
    return pd.read_csv(path)


def kinds(problems: list[Problem]) -> dict[str, list[tuple[Any, Any]]]:
    found: dict[str, list[tuple[Any, Any]]] = {}
    for one in problems:
        found.setdefault(one.kind, []).append((one.values.get("row"), one.values.get("person")))
    return found


def test_one_message_names_every_problem_with_row_and_person(tmp_path: Path) -> None:
    found = kinds(refused(read(BAD, tmp_path), covariates=["age"]))
    assert found == {
        "panel_missing": [(18, "–"), (20, "ivy"), (9, "di")],
        "panel_text": [(14, "gus"), (19, "ivy"), (20, "ivy")],
        "panel_infinite": [(17, "hal")],
        "panel_state_unknown": [(8, "cy")],
        "panel_time_same": [(4, "ann")],
        "panel_time_falls": [(6, "bo")],
        "panel_one_observation": [(13, "flo")],
        "panel_leaves_absorbing": [(12, "ed")],
    }


def test_the_command_names_the_file_and_the_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.csv").write_text(BAD, encoding="utf-8")
    Path("moves.csv").write_text("from,to\n" + "\n".join(",".join(move) for move in MOVES) + "\n", encoding="utf-8")
    asked = ["calibrate", "--panel", "bad.csv", "--moves", "moves.csv", "--covariate", "age", "--lang", "en"]
    assert run.main(asked) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 12
    words = "bad.csv:8: state: row 8, person cy: no move has the state dad; states: well, ill, dead. Did you mean dead?"
    assert words in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.csv", "moves.csv"]


@pytest.mark.filterwarnings("ignore::calibration.panel.identification.PanelWarning")
def test_the_value_of_a_covariate_at_the_last_observation_is_not_needed(tmp_path: Path) -> None:
    fit = fit_panel(read(GOOD, tmp_path), MOVES, covariates={"age": [("ill", "dead")]}, start=None, maximise=True)
    assert fit.counts["observations"] == 7
    assert not np.isnan(fit.means["age"])


def test_no_path_is_told_from_leaving_for_good(tmp_path: Path) -> None:
    frame = read(GOOD, tmp_path)
    found = refused(frame, [("well", "ill"), ("ill", "dead")])
    assert kinds(found) == {"panel_no_path": [(4, "ann")]}
    assert "from ill to well" in found[0].render("en")


def test_ten_rows_of_a_kind_are_named_and_the_others_counted(tmp_path: Path) -> None:
    frame = pd.DataFrame({"person": range(25), "time": 0.0, "state": "well"})
    found = refused(frame)
    assert [one.kind for one in found] == ["panel_one_observation"] * 10 + ["panel_more"]
    assert "15 " in found[-1].render("en")


@pytest.mark.filterwarnings("ignore::calibration.panel.identification.PanelWarning")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"person": "persn"}, [("panel_column", "persn", "person")]),
        ({"covariates": ["aeg", "sex"]}, [("panel_column", "aeg", "age"), ("panel_column", "sex", None)]),
        ({"moves": []}, [("panel_no_moves", "moves", None)]),
        ({"moves": [*MOVES, "ill"]}, [("panel_move_form", "moves", None)]),
        ({"moves": [*MOVES, ("ill", "ill")]}, [("panel_move_self", "moves", None)]),
        ({"moves": [*MOVES, MOVES[0]]}, [("panel_move_twice", "moves", None)]),
        ({"covariates": {"age": [("well", "il")]}}, [("panel_move_unknown", "covariates: age", "well → ill")]),
        ({"covariates": {"age": ["well"]}}, [("panel_move_form", "covariates: age", None)]),
        (
            {"covariates": ["age"], "constrain": {"aeg": "all"}},
            [("panel_covariate_unknown", "constrain", "age")],
        ),
        ({"covariates": ["age"], "constrain": {"age": "some"}}, [("panel_constrain", "constrain: age", None)]),
        (
            {"covariates": {"age": MOVES[:1]}, "constrain": {"age": [MOVES[:2]]}},
            [("panel_constrain_move", "constrain: age", None)],
        ),
        ({"cuts": [2, 1]}, [("panel_cuts", "cuts", None)]),
        ({"cuts": ["soon"]}, [("panel_cuts", "cuts", None)]),
        (
            {"cuts": [1], "constrain": {"cuts": [("dead", "ill")]}},
            [("panel_move_unknown", "constrain: cuts", "well → ill")],
        ),
        ({"exact": ["ded"]}, [("panel_exact_unknown", "exact", "dead")]),
        ({"exact": ["ill"]}, [("panel_exact_left", "exact", None)]),
        ({"start": {"well": 1}}, [("panel_start_key", "start", None)]),
        ({"start": {("well", "il"): 1}}, [("panel_move_unknown", "start", "well → ill")]),
        ({"start": {("aeg", MOVES[0]): 1}}, [("panel_covariate_unknown", "start", None)]),
        ({"start": {MOVES[0]: -1}}, [("panel_start_value", "start", None)]),
        ({"start": {MOVES[0]: [1, 2]}}, [("panel_start_value", "start", None)]),
        (
            {"covariates": {"age": MOVES[:1]}, "start": {("age", MOVES[1]): 0.1}},
            [("panel_constrain_move", "start", None)],
        ),
        (
            {
                "covariates": ["age"],
                "constrain": {"age": "all"},
                "start": {("age", MOVES[0]): 0.1, ("age", MOVES[1]): 0.2},
            },
            [("panel_start_differs", "start", None)],
        ),
        (
            {"cuts": [1], "constrain": {"cuts": MOVES}, "start": {MOVES[0]: [1, 2]}},
            [("panel_start_differs", "start", None)],
        ),
        ({"start": {MOVES[0]: 1}, "maximise": False}, [("panel_start_missing", "start", None)]),
        ({"starts": 0}, [("whole_at_least", "starts", None)]),
        ({"starts": 2.5, "seed": -1}, [("whole_at_least", "starts", None), ("whole_at_least", "seed", None)]),
        ({"moves": "well"}, [("panel_moves_form", "moves", None)]),
        ({"moves": [*MOVES, ("ill", None)]}, [("panel_move_form", "moves", None)]),
        ({"moves": [*MOVES, 7]}, [("panel_move_form", "moves", None)]),
        ({"covariates": {"age": "all"}}, [("panel_moves_form", "covariates: age", None)]),
        ({"covariates": {"age": MOVES[0]}}, [("panel_moves_form", "covariates: age", None)]),
        ({"covariates": {"age": [3]}}, [("panel_move_form", "covariates: age", None)]),
        ({"covariates": ["age"], "constrain": {"age": 3}}, [("panel_constrain", "constrain: age", None)]),
        ({"covariates": ["age"], "constrain": {"age": MOVES}}, [("panel_constrain", "constrain: age", None)]),
        ({"cuts": [1], "constrain": {"cuts": "some"}}, [("panel_moves_form", "constrain: cuts", None)]),
        ({"cuts": float("nan")}, [("panel_cuts", "cuts", None)]),
        ({"start": {MOVES[0]: "fast"}}, [("panel_start_value", "start", None)]),
        ({"start": {("age", ("well",)): 1}, "covariates": ["age"]}, [("panel_start_key", "start", None)]),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_wrong_declarations_are_told_with_the_nearest_name(
    tmp_path: Path, options: dict[str, Any], expected: list[tuple[str, str, str | None]]
) -> None:
    options = dict(options)
    found = refused(read(GOOD, tmp_path), options.pop("moves", MOVES), **options)
    assert [(one.kind, one.key, one.nearest) for one in found] == expected


def test_what_is_missing_without_fitting_is_listed_by_name(tmp_path: Path) -> None:
    (found,) = refused(read(GOOD, tmp_path), covariates={"age": MOVES[:1]}, start={MOVES[0]: 1}, maximise=False)
    assert found.values["names"] == "ill → well; ill → dead; age: well → ill"


def test_an_empty_frame_and_one_without_changes_are_refused(tmp_path: Path) -> None:
    frame = read(GOOD, tmp_path)
    assert [one.kind for one in refused(frame.head(0))] == ["panel_empty"]
    assert [one.kind for one in refused(frame.assign(state="well"), None)] == ["panel_no_changes"]


def test_dates_are_not_numbers(tmp_path: Path) -> None:
    frame = read(GOOD, tmp_path)
    found = refused(frame.assign(time=pd.to_datetime("2020-01-01") + pd.to_timedelta(frame["time"], "D")))
    assert {one.kind for one in found} == {"panel_text"}
    assert "2020-01-01" in found[0].render("en")


@pytest.mark.parametrize(
    "turned",
    [
        lambda time: pd.to_timedelta(time, "D"),
        lambda time: pd.PeriodIndex.from_ordinals(time, freq="M"),
        lambda time: time + 1j,
        lambda time: pd.to_datetime("2020-01-01", utc=True) + pd.to_timedelta(time, "D"),
    ],
    ids=["lengths", "periods", "complex", "zones"],
)
def test_columns_that_hold_other_things_than_numbers_are_refused(tmp_path: Path, turned: Any) -> None:
    """Turned into numbers they would be nanoseconds, or months since 1970."""
    frame = read(GOOD, tmp_path)
    found = refused(frame.assign(time=turned(frame["time"])))
    assert {one.kind for one in found} == {"panel_text"}
    assert len(found) == len(frame)


def test_a_name_that_two_columns_have_is_refused(tmp_path: Path) -> None:
    frame = read(GOOD, tmp_path)
    twice = pd.concat([frame, frame[["state"]]], axis=1)
    assert [(one.kind, one.key) for one in refused(twice)] == [("panel_column_twice", "state")]


@pytest.mark.filterwarnings("ignore::calibration.panel.identification.PanelWarning")
def test_one_of_a_kind_needs_no_list_and_twice_the_same_is_once(tmp_path: Path) -> None:
    frame = read(GOOD, tmp_path)
    one = fit_panel(frame, MOVES, covariates="age", cuts=1, exact="dead", starts=1)
    same = fit_panel(frame, MOVES, covariates=["age", "age"], cuts=[1], exact=["dead", "dead"], starts=1)
    assert one.minus2loglik == same.minus2loglik
    assert same.model.exact == ("dead",)
    nothing = fit_panel(frame, MOVES, cuts=None, exact=None, starts=1)
    assert nothing.model.periods == 1
    assert nothing.model.exact == ()


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"persons": 0}, "whole_at_least"),
        ({"start": "wel"}, "panel_exact_unknown"),
        ({"start": {"well": -1}}, "panel_shares"),
        ({"start": ["well"]}, "panel_start_people"),
        ({"rates": {MOVES[0]: -1}}, "panel_start_value"),
        ({"rates": {("well", "well"): 1}}, "panel_move_self"),
        ({"effects": {("age", ("well", "dead")): 1}}, "panel_move_unknown"),
        ({"visits": pd.DataFrame({"person": [1, 1], "time": [1, 0]})}, "panel_time_falls"),
        ({"visits": pd.DataFrame({"person": [1, 1]})}, "panel_column"),
        ({"visits": []}, "panel_times"),
        ({"seed": -1}, "whole_at_least"),
        ({"rates": {MOVES[0]: "fast"}}, "panel_start_value"),
        ({"effects": {"age": 1}}, "panel_start_key"),
        ({"effects": {("age", MOVES[0]): float("inf")}}, "panel_number"),
        ({"rates": {MOVES[0]: 1e9, MOVES[1]: 1}}, "panel_endless"),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_made_up_panels_refuse_what_they_cannot_use(options: dict[str, Any], kind: str) -> None:
    whole = {"rates": {MOVES[0]: 1.0}, "visits": [0, 1], "persons": 5, **options}
    if isinstance(whole["visits"], pd.DataFrame):
        del whole["persons"]
    with pytest.raises(InputError) as caught:
        simulate_panel(whole.pop("rates"), whole.pop("visits"), **whole)
    assert kind in [one.kind for one in caught.value.problems]


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--panel", "good.csv", "--structure", "history", "--netcdf"), ("--structure", "--netcdf")),
        (("--moves", "moves.csv", "--cut", "1"), ("--moves", "--cut")),
        (("--panel", "nowhere.csv"), ("nowhere.csv",)),
        (("--panel", "good.csv", "--moves", "good.csv"), ("good.csv", "from")),
        (("--panel", "good.csv", "--unit", "decade"), ("--unit", "decade")),
        (
            ("--panel", "no.parquet", "--moves", "no.csv", "--unit", "decade", "--netcdf", "--seed", "-1"),
            ("no.parquet: ", "No such file", "no.csv: ", "--unit", "--netcdf", "--seed"),
        ),
        (("--panel", "good.csv", "--cut", "soon"), ("--cut", " number.|et tal.")),
        (("--panel", "good.csv", "--seed", "-1"), ("--seed",)),
        (("--panel", "good.csv", "--person", "who"), ("who",)),
        (("--panel", "good.csv", "--exact", "ded"), ("--exact", "dead")),
    ],
)
def test_wrong_use_of_the_command_exits_2_and_writes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    words: tuple[str, ...],
    lang: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.csv").write_text(GOOD, encoding="utf-8")
    Path("moves.csv").write_text("from,to\nwell,ill\n", encoding="utf-8")
    assert run.main(["calibrate", *arguments, "--lang", lang]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert all(any(one in told.err for one in word.split("|")) for word in words)
    assert "whole" not in told.err or "--seed" in words
    assert "Traceback" not in told.err
    assert {path.name for path in tmp_path.iterdir()} == {"good.csv", "moves.csv"}

"""A structure from end to end: what is written, resumed, refused and printed.

With lax rules and two blocks: leisure jobs, and the small problem of four states in place of the flows.
"""

import csv
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

import run
from calibration import Targets, calibration, export, figures
from calibration.blocks import with_roles
from calibration.calibration import Calibration, calibrate, calibrate_into, significant
from calibration.priors import read_priors
from calibration.samplers.ensemble import Rules
from calibration.sheet import sheet
from calibration.structures import STRUCTURES
from calibration.youths import at_16
from sim import ParameterSet, Scenario
from sim.draws import path_of, read_draws
from sim.errors import EvidenceError, InputError, ParameterError
from sim.locale import LANGUAGES
from sim.parameters import UNITS, deal
from sim.sources import rows

ROOT = Path(run.__file__).parent
ALL_PICTURES = tuple(figures.FIGURES)
QUICK = Rules(lengths=3, effective=50, r_hat=1.5)
NAME = "history"
TWO = (calibration.FLOWS, "leisure_jobs")
JR_2013 = "fig4_13_jobready11_to_jobready_2013"
NEET = "fig4_9_danish_neet18_to_neet_2015"


@pytest.fixture(scope="module", autouse=True)
def short() -> Iterator[None]:
    """Fit the two blocks that are quick, with lax rules, and draw the two pictures that are."""
    whole = calibration.check

    def problems(structure: str, targets: Targets, priors: Path = calibration.PRIORS) -> dict[str, Any]:
        whole(targets)
        leisure = calibration.leisure_block(ParameterSet.read(structure), targets.book)
        found = {calibration.FLOWS: calibration.four_state_problem(structure, targets), "leisure_jobs": leisure}
        return {name: calibration.replace(one, priors=read_priors(one.ids, priors)) for name, one in found.items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "problems_of", problems)
        patch.setattr(calibration, "calibrate", partial(calibrate, rules=QUICK, draws=400))
        patch.setattr(figures, "FIGURES", {name: figures.FIGURES[name] for name in ("fit", "prior", "pairs", "checks")})
        yield


@pytest.fixture(scope="module")
def made() -> Calibration:
    return calibration.calibrate(NAME, date="2026-11-21")


def evidence(folder: Path, *changes: dict[str, str], role: bool = True) -> Path:
    path = folder / "mine.csv"
    columns = [*next(iter(rows("targets").values())), *(["role"] if role else [])]
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, columns)
        writer.writeheader()
        for change in changes:
            own = dict(change)
            writer.writerow({**rows("targets").get(own.pop("like", own["id"]), {}), **own})
    return path


# --- draws and tables


def test_draws_hold_rates_ties_and_effects_and_read_back(made: Calibration, tmp_path: Path) -> None:
    draws = made.draws
    assert len(draws) == 400
    free = {id for posterior in made.posteriors.values() for id in posterior.problem.ids}
    tied = {id for id, to in STRUCTURES[NAME].ties.items() if isinstance(to, str)}
    effects = {f"{key}.{id}" for key in ("leisure_job", "pocket_money_job") for id in calibration.EFFECTS}
    assert set(draws.values) == free | tied | effects
    made.save(tmp_path)
    parameters = ParameterSet.read(NAME)
    bounds = {id: (UNITS[card.unit].lowest, UNITS[card.unit].highest) for id, card in parameters.items()}
    again = read_draws(path_of(tmp_path, NAME), NAME, parameters.digest, bounds)
    assert again.origin == draws.origin
    for id, column in draws.values.items():
        np.testing.assert_array_equal(again.values[id], column)


def test_values_are_rounded_to_six_digits() -> None:
    assert significant(np.array([0.012345678, 123456.7, 0.0])).tolist() == [0.0123457, 123457.0, 0.0]


def test_the_fit_table_holds_targets_of_every_role(made: Calibration) -> None:
    table = made.fit
    flows = table[table["block"] == calibration.FLOWS]
    assert flows["role"].value_counts().to_dict() == {"fit": 12, "shown": 7}
    fitted = flows[flows["role"] == "fit"]
    assert list(fitted["target"]) == [t.id for t in made.targets.fit]
    assert (fitted["predicted_low"] < fitted["fitted_low"]).all()
    assert (fitted["predicted_high"] > fitted["fitted_high"]).all()
    # p is twice the smaller tail: small where the published share is outside what is predicted.
    outside = (fitted["published"] < fitted["predicted_low"]) | (fitted["published"] > fitted["predicted_high"])
    assert (fitted.loc[outside, "p"] < 0.15).all()
    assert (fitted.loc[~outside, "p"] > 0.01).all()
    placed = table[table["block"] == "placed"]
    assert len(placed) == 19
    assert placed["residual_points"].abs().max() < 0.6
    made_by_hand = 100 * ((fitted["low"] + fitted["high"]) / 2 - fitted["fitted"])
    np.testing.assert_allclose(fitted["residual_points"], made_by_hand, rtol=1e-9)


def test_the_table_of_parameters_says_what_the_data_added(made: Calibration) -> None:
    table = made.parameters.set_index("parameter")
    assert set(table["block"]) == {*TWO, "effects"}
    assert table.loc["side_job_end", "label"] == "prior-dominated"
    assert table.loc["rate_activity_ready_to_other_benefit", "contraction"] > 0.9
    assert made.summary()["prior_dominated"] == list(table.index[table["label"] == "prior-dominated"])
    blocks = made.summary()["blocks"]
    assert blocks[calibration.FLOWS]["four_state"] == pytest.approx(9.7, abs=0.1)
    # Separate shares have no chi-square of sampling alone: none is told, rather than the one of all errors again.
    assert blocks[calibration.FLOWS]["within_rounding"] < blocks[calibration.FLOWS]["chi_square"]
    assert blocks["leisure_jobs"]["within_rounding"] is None


def test_another_prior_file_changes_the_posterior(tmp_path: Path, made: Calibration) -> None:
    text = calibration.PRIORS.read_text(encoding="utf-8")
    path = tmp_path / "priors.yaml"
    before = "{id: side_job_end, kind: log_normal, median: 0.06, sd: 0.5"
    assert before in text
    path.write_text(text.replace(before, before.replace("0.06, sd: 0.5", "0.06, sd: 0.05")), encoding="utf-8")
    narrow = calibration.problems_of(NAME, Targets.read(), path)["leisure_jobs"]
    assert narrow.priors[-1].sd == 0.05
    changed = calibration.priors_digest([narrow])
    assert changed != calibration.priors_digest([made.posteriors["leisure_jobs"].problem])


def test_the_fingerprint_holds_what_the_ways_of_counting_leave_open(
    made: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = [posterior.problem for posterior in made.posteriors.values()]
    before = calibration.priors_digest(problems)
    wider = calibration.COUNTING["earnings"]._replace(discrepancy=0.03)
    monkeypatch.setitem(calibration.COUNTING, "earnings", wider)
    assert calibration.priors_digest(problems) != before


def test_an_unknown_structure_is_refused() -> None:
    with pytest.raises(ParameterError, match="historie") as caught:
        calibrate("historie")
    assert caught.value.problems[0].nearest == "history"


# --- a user's evidence


def test_rows_and_roles_reach_every_block(tmp_path: Path) -> None:
    path = evidence(tmp_path, {"id": NEET, "value": "0.5", "role": "shown"}, {"id": JR_2013, "role": "hold_out"})
    targets = Targets.read(path)
    assert [t.id for t in targets.hold_out] == [JR_2013]
    young = calibration.youth_targets(targets.book)
    changed = {t.id: t for t in with_roles(young, targets)}
    assert changed[NEET].role == "shown"
    assert changed[NEET].published == 0.5
    other = [t for t in changed.values() if t.id != NEET]
    assert other == [t for t in calibration.youth_targets() if t.id != NEET]


Change = dict[str, str]
BAD: dict[str, tuple[list[Change], list[str]]] = {
    "unknown id": ([{"id": "fig4_13_nothing", "like": JR_2013}], ["mine.csv:2"]),
    "share above one": ([{"id": JR_2013, "value": "1.2"}], ["mine.csv:2"]),
    "negative n": ([{"id": JR_2013, "n": "-3"}], ["mine.csv:2"]),
    "unknown state": ([{"id": JR_2013, "to_state": "on_the_moon"}], ["mine.csv:2"]),
    "bad role": ([{"id": JR_2013, "role": "held"}], ["mine.csv:2"]),
    "rows that do not sum": ([{"id": JR_2013, "value": "0.9"}], ["mine.csv:2"]),
    "a row nobody fits": ([{"id": "sec1_outside_lf_2011", "value": "0.5"}], ["mine.csv:2"]),
    "several": (
        [{"id": JR_2013, "value": "7"}, {"id": NEET, "role": "x"}, {"id": NEET, "value": "-1"}],
        ["mine.csv:2", "mine.csv:3", "mine.csv:4"],
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_evidence_exits_2_names_every_row_and_writes_nothing(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes, places = BAD[kind]
    out = tmp_path / "out"
    for lang in LANGUAGES:
        command = ["calibrate", "--targets", str(evidence(tmp_path, *changes)), "--out", str(out), "--lang", lang]
        assert run.main(command) == 2
        said = capsys.readouterr()
        assert said.out == ""
        for place in places:
            assert place in said.err
    assert not out.exists()


def test_rows_that_enter_the_fits_without_being_targets_are_used(tmp_path: Path) -> None:
    path = evidence(tmp_path, {"id": "fig4_7_men_16_rest_group", "value": "0.2"})
    assert calibration.unused(Targets.read(path)) == []
    assert at_16(Targets.read(path).book)[1, -1] == 0.2


def test_a_block_without_a_fitted_share_is_refused(tmp_path: Path) -> None:
    none = [{"id": t.id, "role": "shown"} for t in Targets.read().fit]
    with pytest.raises(EvidenceError) as caught:
        calibration.check(Targets.read(evidence(tmp_path, *none)))
    assert [(p.kind, p.key) for p in caught.value.problems] == [("evidence_nothing_left", calibration.FLOWS)]


def test_flows_that_say_the_same_twice_are_refused(tmp_path: Path) -> None:
    rests = [{"id": t.id, "role": "fit"} for t in Targets.read().shown if t.remainder]
    with pytest.raises(EvidenceError) as caught:
        calibration.check(Targets.read(evidence(tmp_path, *rests)))
    assert {p.kind for p in caught.value.problems} == {"evidence_redundant"}


# --- the folder and the command


def test_the_command_writes_prints_refuses_and_replaces(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], made: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The posterior itself is made beforehand; that the folder's is the same, the killed one shows."""
    monkeypatch.setattr(calibration, "calibrate", lambda *args, **options: made)
    out = tmp_path / "posterior"
    command = ["calibrate", "--structure", NAME, "--out", str(out), "--workers", "1", "--lang", "en"]
    code = run.main(command)
    said = capsys.readouterr()
    assert code == (0 if made.converged else 3)
    for words in ("cash-benefit flows", "leisure jobs", "chi-square", "prior-dominated", "JOBVEJE_POSTERIORS"):
        assert words in said.out
    kinds = ("draws.parquet", "fit.csv", "parameters.csv", "sheet.en.md")
    names = {f"{NAME}.{kind}" for kind in kinds} | {"calibration.json", "figures"}
    assert {path.name for path in out.iterdir()} == names
    for path in (out / "figures").iterdir():
        assert imread(path).shape[1] == 900
    assert read_bytes(out, "fit.csv") == read_bytes(saved(made, tmp_path), "fit.csv")
    # It is finished, so it is not continued, and not replaced unless told so.
    assert run.main(command) == 2
    (out / "mine.txt").write_text("mine", encoding="utf-8")
    assert run.main([*command, "--force", "--json"]) == code
    summary = json.loads(capsys.readouterr().out)
    assert [one["structure"] for one in summary["structures"]] == [NAME]
    assert summary["structures"][0]["blocks"].keys() == set(TWO)
    assert (out / "mine.txt").read_text(encoding="utf-8") == "mine"
    other = tmp_path / "other"
    other.mkdir()
    (other / "precious.txt").write_text("mine", encoding="utf-8")
    assert run.main([*command[:-6], "--out", str(other), "--force"]) == 2
    assert [path.name for path in other.iterdir()] == ["precious.txt"]


def saved(made: Calibration, folder: Path) -> Path:
    made.save(folder / "saved")
    return folder / "saved"


def read_bytes(folder: Path, kind: str) -> bytes:
    return (folder / f"{NAME}.{kind}").read_bytes()


def test_a_killed_calibration_continues_to_the_same_bytes(
    tmp_path: Path, made: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole = tmp_path / "out", calibration.fit_with_surrogate

    def killed(problem: Any, *args: Any, **options: Any) -> Any:
        if problem.name == "leisure_jobs":
            raise KeyboardInterrupt
        return whole(problem, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(calibration, "fit_with_surrogate", killed)
        with pytest.raises(KeyboardInterrupt):
            calibrate_into(out, [NAME])
    settings = calibration.settings_of([NAME], Targets.read(), 1)
    assert calibration.unfinished(out, settings)
    assert not calibration.unfinished(out, settings | {"seed": 2})
    assert list((out / "checkpoints" / NAME / calibration.FLOWS).glob("*.npz"))
    held = json.loads((out / "calibration.json").read_text(encoding="utf-8")) | {"date": "2026-11-21"}
    (out / "calibration.json").write_text(json.dumps(held), encoding="utf-8")
    done: list[Calibration] = []
    calibrate_into(out, [NAME], done=done.append)
    assert [one.structure for one in done] == [NAME]
    assert not (out / "checkpoints").exists()
    assert not calibration.unfinished(out, settings)
    for kind in ("draws.parquet", "fit.csv", "parameters.csv"):
        assert read_bytes(out, kind) == read_bytes(saved(made, tmp_path), kind)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_an_interrupted_calibration_says_how_to_go_on_and_is_not_finished_without_its_pictures(
    lang: str, tmp_path: Path, made: Calibration, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(calibration, "calibrate", lambda *args, **options: made)
    out, mine = tmp_path / "out", evidence(tmp_path, {"id": JR_2013})

    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    command = ["calibrate", f"--structure={NAME}", f"--targets={mine}", "--workers=1", "--seed=1", f"--lang={lang}"]
    with monkeypatch.context() as patch:
        patch.setattr(figures, "write_figures", killed)
        assert run.main([*command, "--out", str(out)]) == 130
    said = capsys.readouterr()
    assert said.out == ""
    words = {"da": "afbrudt; fortsæt med: ", "en": "interrupted; resume with: "}[lang]
    _, _, again = said.err.strip().splitlines()[-1].rpartition(words)
    assert shlex.split(again) == ["jobveje", *command, "--out", str(out)]
    assert calibration.unfinished(out, calibration.settings_of([NAME], Targets.read(mine), 1))
    assert run.main(shlex.split(again)[1:]) == (0 if made.converged else 3)
    assert not calibration.unfinished(out, calibration.settings_of([NAME], Targets.read(mine), 1))
    pictures = {f"{NAME}-{name}.png" for name in figures.FIGURES}
    assert {path.name for path in (out / "figures").iterdir()} == pictures
    assert (out / f"{NAME}.sheet.{lang}.md").is_file()


def test_clearing_leaves_what_others_wrote(tmp_path: Path) -> None:
    block = tmp_path / "checkpoints" / NAME / calibration.FLOWS
    own = [
        *(tmp_path / name for name in ("calibration.json", f"{NAME}.draws.parquet", f"{NAME}.sheet.da.md")),
        *(block / name for name in ("settings.json", "ensemble-00-block-0003.npz", "ensemble-01-block-0000.part")),
        *(tmp_path / "figures" / f"{NAME}-{picture}.png" for picture in ALL_PICTURES),
    ]
    others = [tmp_path / "notes.txt", tmp_path / "figures" / "history-mine.png", tmp_path / "checkpoints" / "mine.npz"]
    for path in (*own, *others):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    calibration.clear(tmp_path)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(others)
    for path in others:
        path.unlink()
    calibration.clear(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("draws", [0, 3, 402])
def test_draws_that_the_ensembles_cannot_share_evenly_are_refused(draws: int) -> None:
    with pytest.raises(InputError) as caught:
        calibrate(NAME, draws=draws)
    assert [(p.kind, p.key, p.values) for p in caught.value.problems] == [
        ("multiple_of", "draws", {"value": draws, "of": 4})
    ]


def test_the_shipped_draws_are_made_with_one_thread() -> None:
    """Asked for before numpy loads, when it still counts; what is set already stays."""
    code = (
        "import os, runpy, sys\n"
        "class Watch:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'numpy':\n"
        "            print(os.environ.get('OMP_NUM_THREADS'), os.environ.get('OPENBLAS_NUM_THREADS'))\n"
        "sys.meta_path.insert(0, Watch())\n"
        "sys.argv = ['calibration', 'no such structure']\n"
        "try:\n"
        "    runpy.run_module('calibration.calibration', run_name='__main__')\n"
        "except Exception as error:\n"
        "    print(type(error).__name__)\n"
    )
    bare = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
    for more, first in (({}, "1 1"), ({"OMP_NUM_THREADS": "2"}, "2 1")):
        done = subprocess.run(
            [sys.executable, "-c", code], env=bare | more, cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines() == [first, "ParameterError"]


def test_wrong_names_and_a_missing_extra_exit_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert run.main(["calibrate", "--structure", "historie", "--lang", "en"]) == 2
    assert "history" in capsys.readouterr().err
    monkeypatch.setattr("calibration.export._LIBRARIES", ("a_library_nobody_has",))
    assert run.main(["calibrate", "--netcdf", "--out", str(tmp_path / "x"), "--lang", "en"]) == 2
    assert 'pip install "jobveje[research]"' in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


# --- what is made of it


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_sheet_has_seven_steps(made: Calibration, lang: str) -> None:
    words = sheet(made, lang)
    assert [line[:5] for line in words.splitlines() if line.startswith("## ")] == [f"## {n}." for n in range(1, 8)]
    assert made.draws.origin.base in words
    assert "side_job_end" in words
    # The rules it was computed under, and a dash for what a block does not have.
    assert "R-hat under 1,50, over 50 " in words or "R-hat below 1.50, over 50 " in words
    assert words.count("| – |") == 1
    assert "{" not in words


@pytest.mark.parametrize("lang", LANGUAGES)
def test_pictures_keep_their_words_inside(made: Calibration, lang: str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    for name, draw in figures.FIGURES.items():
        figure = draw(made, lang)
        box = figure.get_tightbbox(FigureCanvasAgg(figure).get_renderer())
        width, height = figure.get_size_inches()
        assert box.x0 > -0.05, name
        assert box.y0 > -0.05, name
        assert box.x1 < width + 0.05, name
        assert box.y1 < height + 0.05, name


def test_arviz_gets_chains_dimensions_and_groups(made: Calibration, tmp_path: Path) -> None:
    arviz = pytest.importorskip("arviz")
    pytest.importorskip("h5netcdf")
    path = export.write_netcdf(made, tmp_path)
    found = arviz.from_netcdf(str(path), engine="h5netcdf")
    assert set(found.groups()) == {"posterior", "posterior_predictive", "observed_data", "prior"}
    posterior = found.posterior[calibration.FLOWS]
    assert posterior.dims == ("chain", "draw", f"{calibration.FLOWS}_parameter")
    assert posterior.shape[:2] == (calibration.ENSEMBLES, 100)
    ids = list(posterior.coords[f"{calibration.FLOWS}_parameter"].values)
    assert ids == list(made.posteriors[calibration.FLOWS].problem.ids)
    np.testing.assert_array_equal(posterior.values.reshape(400, -1), made.posteriors[calibration.FLOWS].values)
    shares = f"{calibration.FLOWS}_shares"
    assert found.observed_data[shares].shape == (12,)
    assert found.posterior_predictive[shares].shape == (4, 100, 12)


def test_a_users_own_posteriors_are_used_by_runs(
    made: Calibration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.save(tmp_path)
    monkeypatch.setenv("JOBVEJE_POSTERIORS", str(tmp_path))
    first = deal(NAME, 3)[0]
    assert first.values["rate_job_ready_to_no_benefit"] in made.draws.values["rate_job_ready_to_no_benefit"]
    assert Scenario.read("baseline", [f"parameters={NAME}"]).parameters == NAME
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("JOBVEJE_POSTERIORS", str(tmp_path / "empty"))
    with pytest.raises(ParameterError) as caught:
        deal("default", 3)
    assert [p.kind for p in caught.value.problems] == ["draws_nowhere"]

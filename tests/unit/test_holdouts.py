"""Hold-outs: what is left out stays out, baselines are what they say, and the command tells it all."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import least_squares

import run as door
from calibration import Targets, validate
from calibration import holdouts as module
from calibration.blocks import Block
from calibration.four_state import STRUCTURES as FOUR_STATE
from calibration.four_state import joint as four_state_joint
from calibration.holdouts import (
    EARLIER,
    ORIGINS_LEFT_OUT,
    RULES,
    Validation,
    by_origin,
    early_problem,
    fit_early,
    others,
    temporal,
)
from calibration.likelihood import Likelihood
from calibration.samplers.ensemble import Rules
from calibration.scores import Forecast
from calibration.structures import STRUCTURES
from calibration.targets import CONTROL_PATH
from calibration.twin import Twin, joint
from calibration.work import employment_targets
from calibration.youths import youth_block, youth_block_without, youth_targets
from sim import ParameterSet
from sim.errors import InputError
from sim.measures import BENEFIT_GROUPS, COHORTS
from sim.sources import rows

QUICK = Rules(lengths=4, effective=40, r_hat=1.3, block=20, most_steps=60)


@pytest.fixture(scope="module")
def quick() -> Validation:
    return validate(["history"], parts=["temporal"], rules=QUICK)


# --- what is left out stays out


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_shares_of_2013_alone_are_those_of_the_whole(name: str):
    parameters = ParameterSet.read(name)
    point = [parameters.value(id) for id in STRUCTURES[name].free]
    values = np.array([point, 1.1 * np.array(point)])
    alone = Twin(STRUCTURES[name], parameters).at_first(values)
    # The whole leaves out who dies by 2016, and women die less often; a thousandth of a point.
    assert alone == pytest.approx(joint(name, values).sum(axis=3), abs=2e-5)


def test_a_held_out_share_never_enters_the_fit():
    targets = Targets.read()
    first = fit_early("history", targets, 1, QUICK)
    changed = tuple(
        replace(t, published=0.5, low=0.495, high=0.505, n=7) if t.month == "2016-12" else t for t in targets.fit
    )
    again = fit_early("history", replace(targets, fit=changed), 1, QUICK)
    assert first.values.tobytes() == again.values.tobytes()
    other = tuple(replace(t, low=t.low + 0.05, high=t.high + 0.05) if t.month == "2013-12" else t for t in targets.fit)
    moved = fit_early("history", replace(targets, fit=other), 1, QUICK)
    assert first.values.tobytes() != moved.values.tobytes()


def test_what_begins_with_the_reform_is_left_to_its_prior():
    problem = early_problem("calendar", Targets.read())
    assert not [id for id in problem.ids if id.startswith("reform_")]
    assert {t.month for t in problem.targets} == {"2013-12"}
    early = fit_early("calendar", Targets.read(), 1, QUICK)
    factors = [i for i, id in enumerate(STRUCTURES["calendar"].free) if id.startswith("reform_")]
    logs = np.log(early.values[:, factors])
    # Prior: median 1, log standard deviation .25; bounds of four standard errors.
    number = len(logs)
    assert np.abs(logs.mean(axis=0)).max() < 4 * 0.25 / number**0.5
    assert np.abs(logs.std(axis=0, ddof=1) / 0.25 - 1).max() < 4 / (2 * number) ** 0.5
    assert all(id in early.fit["prior_dominated"].split() for id in np.array(STRUCTURES["calendar"].free)[factors])


@pytest.mark.parametrize("origin", ORIGINS_LEFT_OUT)
def test_the_shares_of_an_origin_never_enter_the_fit_without_it(origin: str, parameters: ParameterSet):
    block = youth_block_without(parameters, origin)
    held = [t for t in block.everything if t.role == "hold_out"]
    assert len(held) >= 7
    assert all(rows("targets")[id]["origin"] == origin for t in held for id in t.rows)
    assert all(rows("targets")[id]["origin"] != origin for t in block.targets for id in t.rows)
    # Every share printed for an origin is on one of the two sides, and the others are those of the whole fit.
    fitted = {id for t in youth_block(parameters).targets for id in t.rows}
    assert {id for t in block.everything for id in t.rows} == fitted
    changed = [replace(t, published=0.5, low=0.4, high=0.6) if t in held else t for t in block.everything]
    other = Block.of(block.name, block.priors, changed, block.read)
    z = block.starts(2)
    assert block.log_posterior(z).tobytes() == other.log_posterior(z).tobytes()


def test_a_share_of_one_origin_is_that_of_its_pooled_target(parameters: ParameterSet):
    """Weighed with the printed numbers of persons the two give the pooled share, published and simulated."""
    whole, split = youth_block(parameters), youth_block_without(parameters, "danish")
    values = np.array([[parameters.value(id) for id in whole.ids]])
    pooled = next(t for t in whole.everything if t.id.startswith("fig4_9_danish_education18") and len(t.rows) == 2)
    parts = [t for t in split.everything if t.rows[0] in pooled.rows]
    n = np.array([t.n for t in parts])
    assert n @ [t.published for t in parts] / n.sum() == pytest.approx(pooled.published)
    shares = split.read(values)[0, [split.everything.index(t) for t in parts]]
    assert n @ shares / n.sum() == pytest.approx(whole.read(values)[0, whole.everything.index(pooled)])


# --- baselines


def test_no_change_says_the_shares_of_2013(quick: Validation):
    targets = Targets.read()
    cells = quick.table("cells")
    mine = cells[(cells["forecast"] == "no_change") & cells["scored"]].set_index("target")
    assert len(mine) == 6
    for t in (t for t in targets.fit if t.month == "2016-12"):
        before = next(b for b in targets.fit if (b.group, b.measure, b.month) == (t.group, t.measure, "2013-12"))
        row = mine.loc[t.id]
        widths = ((t.high - t.low) ** 2 + (before.high - before.low) ** 2) / 12
        spread = (2 * before.centre * (1 - before.centre) / t.n + widths + 2 * 0.005**2) ** 0.5
        # Median of 2,000 draws: standard error 1.25 / √2000 of the spread.
        assert row["predicted"] == pytest.approx(before.centre, abs=4 * 1.25 * spread / 2000**0.5)
        assert (row["high_90"] - row["low_90"]) / (2 * 1.645 * spread) == pytest.approx(1, abs=0.1)
        assert row["miss_points"] == pytest.approx(100 * (row["predicted"] - t.centre))


def test_the_misses_of_the_homogeneous_core_are_those_of_the_notes():
    """Six constant rates on the 2013 shares, nobody comes back: -6.9 points on job-ready, +8.0 on other benefit."""
    targets = Targets.read()
    ids = FOUR_STATE["homogeneous"].parameters
    likelihood = Likelihood([t for t in targets.fit if t.month == "2013-12"])

    def table(logs: np.ndarray) -> np.ndarray:
        values = np.zeros((1, len(ids)))
        values[0, :6] = np.exp(logs)
        return four_state_joint("homogeneous", values)

    best = least_squares(lambda x: likelihood.shares(table(x))[0] - likelihood.observed, np.log(np.full(6, 0.01)))
    # Six rates, six shares: met exactly.
    assert np.abs(best.fun).max() < 1e-5
    later = table(best.x)[0, COHORTS.index("job_ready_2011")].sum(axis=0)
    miss = {group: 100 * share for group, share in zip(BENEFIT_GROUPS, later, strict=True)}
    assert miss["job_ready"] - 20 == pytest.approx(-6.9, abs=0.3)
    # What the middles of the printed intervals leave, 30 to 31 % on other cash benefit among them.
    rest = next(t for t in targets.shown if t.remainder and t.month == "2016-12" and t.group == "job_ready_2011")
    assert miss["other_benefit"] - 100 * rest.centre == pytest.approx(8.0, abs=0.3)


def test_earlier_values_are_of_the_same_people_and_published_before():
    book = rows("targets")
    for id, earlier in EARLIER.items():
        for before in earlier:
            assert int(book[before]["year_to"] or 0) < int(book[id]["year_to"]), id
            assert book[before]["sex"] == book[id]["sex"], id


def test_what_is_never_fitted_is_no_repetition_of_what_is():
    every = (*youth_targets(), *employment_targets())
    held = [t for t in every if module._held_out(t)]
    assert [t.role for t in held] == ["hold_out"] * 2
    found = [*held, *(t for t in every if module._counted_otherwise(t))]
    assert {t.id for t in found} > set(EARLIER)
    assert len(found) == 11
    assert all(t.role != "fit" and t.reading == "a" for t in found)
    fitted = {id for t in every if t.role == "fit" for id in t.rows}
    levels = {t.id for t in found if t.counting == "level"}
    assert not fitted & {id for t in found if t.id not in levels for id in t.rows}


# --- a user's rows and roles

NEET = "fig4_9_danish_neet18_to_neet_2015"
WORK = "fig4_11_employed_women_danish_2009"
JOBS = CONTROL_PATH[0]
PRINTED = "fig4_13_jobready11_to_notready_2016"


def given(**roles: str) -> Targets:
    book = rows("targets")
    mine = {id: {**book[id], "role": role, "place": "mine.csv:2"} for id, role in roles.items()}
    return replace(Targets.read(), given=mine)


def scored(found: list[module.Scored], name: str = module.MODEL) -> set[str]:
    return {cell.target for one in found if one.name == name for cell in one.cells}


@pytest.fixture
def blocks(parameters: ParameterSet, monkeypatch: pytest.MonkeyPatch) -> list[Block]:
    """The blocks that are fitted, for which the cards stand in; employment is nil."""
    found: list[Block] = []

    def cards(block: Block, chance: np.random.Generator) -> tuple[np.ndarray, dict[str, object]]:
        found.append(block)
        fit = {"method": "cards", "parameters": len(block.ids), "prior_dominated": ""}
        return np.array([[parameters.value(id) for id in block.ids]]), fit

    monkeypatch.setattr(module, "_approximated", cards)
    monkeypatch.setattr(module, "_employment_shares", lambda: lambda values: np.zeros((len(values), 8)))
    return found


def test_what_the_user_holds_out_of_any_block_is_scored_and_never_fitted(blocks: list[Block]):
    mine = scored(others(given(**{NEET: "hold_out", JOBS: "hold_out"}), 1))
    assert {NEET, JOBS} < mine
    assert [block.name for block in blocks] == ["youths", "employment", "leisure_jobs"]
    assert not {NEET, JOBS} & {t.id for block in blocks for t in block.targets}
    as_shipped = scored(others(Targets.read(), 1))
    assert mine - as_shipped == {NEET, JOBS}
    assert len(blocks) == 5


@pytest.mark.usefixtures("blocks")
def test_what_the_user_takes_out_of_the_fit_is_no_share_of_an_origin():
    usual, without = by_origin("danish", Targets.read(), 1), by_origin("danish", given(**{NEET: "shown"}), 1)
    assert scored(usual) - scored(without) == {NEET}
    theirs = {t.id for t in module._employment(given(**{WORK: "shown"})).targets}
    assert len(theirs) == 3
    change = [id for id in scored(usual) if id.startswith(WORK)]
    assert scored(usual) - scored(by_origin("danish", given(**{WORK: "shown"}), 1)) == set(change)
    assert len(change) == 1


def test_a_row_that_nothing_uses_is_refused():
    unused = "sec1_outside_lf_2011"
    with pytest.raises(InputError) as caught:
        validate(["history"], parts=["temporal"], targets=given(**{unused: "hold_out"}))
    assert [(p.kind, p.place, p.key) for p in caught.value.problems] == [("evidence_unused", "mine.csv:2", unused)]


def test_a_remainder_is_shown_only_beside_all_that_leave_it():
    rests = {"fig4_13_jobready11_derived_other_benefit_2016", "fig4_13_other11_derived_other_benefit_2016"}

    def shown(targets: Targets) -> set[str]:
        return {cell.target for cell, _ in module._no_change(targets, 1).rests}

    targets = Targets.read()
    assert shown(targets) == rests
    assert shown(targets.with_roles({PRINTED: "shown"})) == {"fig4_13_other11_derived_other_benefit_2016"}
    # Held out is predicted, too.
    assert shown(targets.with_roles({PRINTED: "hold_out"})) == rests


# --- the whole


def test_totals_rest_on_draws_of_every_ensemble():
    """Two ensembles that disagree, cut to the length of a shorter forecast: half of the draws are each one's."""
    cell = module.Cell.of(Targets.read().fit[0])

    def forecast(name: str, part: str, means: np.ndarray) -> module.Scored:
        certain = Forecast(np.array([0.5]), means[:, None], np.full((1, 1, 1), 1e-12), np.zeros((len(means), 1)))
        return module.Scored(part, "", name, (cell,), certain, (), {})

    long, short = np.repeat([0.0, 1.0], 1000), np.full(600, 0.5)
    told = [forecast("history", "temporal", long), forecast(module.MODEL, "others", short)]
    [row] = module._totals_table(told, ["history"]).to_dict("records")
    # Energy score of a fair coin at its middle: E|X - .5| - E|X - X'| / 2 = .5 - .25; of one ensemble alone .5.
    assert row["energy_score"] == pytest.approx(25, abs=0.1)


def test_pictures_of_an_earlier_validation_do_not_stay(quick: Validation, tmp_path: Path):
    for name in ("holdouts.png", "scores.svg", "mine.png"):
        (tmp_path / name).write_text("old", encoding="utf-8")
    replace(quick, parts=("others",)).save(tmp_path)
    assert {path.name for path in tmp_path.iterdir() if path.suffix in (".png", ".svg")} == {"mine.png"}


def test_the_same_seed_gives_the_same_bytes_on_one_and_two_workers(quick: Validation):
    again = validate(["history"], parts=["temporal"], rules=QUICK, workers=2)
    for name in ("scores", "cells", "fits", "totals"):
        assert quick.table(name).to_csv() == again.table(name).to_csv()


def test_the_same_people_counted_twice_leave_less_to_chance():
    """Given 2013, the sampling error of 2016 is smaller than of people counted once."""
    [one] = temporal("homogeneous", Targets.read(), 1, QUICK)
    early = fit_early("homogeneous", Targets.read(), 1, QUICK)
    later = Likelihood([t for t in Targets.read().fit if t.month == "2016-12"], 0.005)
    alone = np.diagonal(later.covariance(joint("homogeneous", early.values)), axis1=1, axis2=2)
    given = np.diagonal(one.forecast.covariances, axis1=1, axis2=2)
    assert (given < alone + 1e-12).all()


def test_scores_and_skill_agree_with_each_other(quick: Validation):
    scores = quick.table("scores").set_index("forecast")
    assert list(scores.index) == ["homogeneous", "history", "no_change"]
    assert scores.loc["history", "skill_no_change"] == pytest.approx(
        scores.loc["history", "log_score"] - scores.loc["no_change", "log_score"]
    )
    assert scores.loc["history", "energy_skill_homogeneous"] == pytest.approx(
        scores.loc["homogeneous", "energy_score"] - scores.loc["history", "energy_score"]
    )
    assert (scores["cells"] == 6).all()
    assert scores["skill_no_change"].drop("no_change").min() > 0


def test_wrong_names_and_numbers_are_all_named(quick: Validation):
    with pytest.raises(InputError) as caught:
        validate(["histroy", "calendr"], parts=["tmporal"], seed=-1, workers=0)
    assert [p.key for p in caught.value.problems] == ["SET", "SET", "part", "seed", "workers"]
    assert [p.nearest for p in caught.value.problems][:3] == ["history", "calendar", "temporal"]
    for ask in (lambda: quick.table("nothing"), lambda: quick.plot("nothing")):
        with pytest.raises(InputError):
            ask()


def test_a_share_of_2016_needs_the_same_of_2013_in_the_fit():
    targets = Targets.read()
    first = next(t.id for t in targets.fit if t.month == "2013-12")
    with pytest.raises(InputError) as caught:
        validate(["history"], parts=["temporal"], targets=targets.with_roles({first: "hold_out"}))
    assert [p.key for p in caught.value.problems] == [first.replace("2013", "2016")]
    later = {t.id: "shown" for t in targets.fit if t.month == "2016-12"}
    with pytest.raises(InputError) as caught:
        validate(["history"], parts=["temporal"], targets=targets.with_roles(later))
    assert set(later) <= {p.key for p in caught.value.problems}


def test_the_usual_rules_are_those_of_the_samplers_looked_at_more_often():
    assert replace(RULES, block=Rules().block) == Rules()


# --- the command


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = door.main(list(arguments))
    out = capsys.readouterr()
    return code, out.out, out.err


def test_the_command_prints_json_and_writes_a_folder(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(module, "RULES", QUICK)
    arguments = ["validate", "homogeneous", "--part", "temporal", "--workers", "1", "--out", str(tmp_path / "v")]
    code, out, _ = printed(capsys, *arguments, "--json")
    assert code == 0
    found = json.loads(out)
    assert set(found) == {"seed", "parts", "structures", "temporal", "baselines"}
    assert set(found["structures"]) == {"homogeneous"}
    for one in (*found["structures"].values(), *found["baselines"].values()):
        assert set(one) == {
            "cells",
            "log_score",
            "energy_score",
            "coverage_50",
            "coverage_90",
            "by_target",
        }
        assert one["cells"] == len(one["by_target"]) == 6
    assert set(found["baselines"]) == {"no_change", "homogeneous"}
    assert {row["forecast"] for row in found["temporal"]["scores"]} == {"homogeneous", "no_change"}
    names = {path.name for path in (tmp_path / "v").iterdir()}
    assert names == {
        *(f"{table}.csv" for table in ("scores", "cells", "fits", "totals")),
        *(f"{figure}.{kind}" for figure in ("holdouts", "scores") for kind in ("svg", "png")),
    }
    code, out, err = printed(capsys, *arguments, "--lang", "en")
    assert code == 2
    assert "--force" in err
    code, out, err = printed(capsys, *arguments, "--force", "--lang", "en")
    assert code == 0
    for words in ("homogeneous", "no change", "R-hat", "Best log score", "decides nothing"):
        assert words in out


def test_wrong_input_is_refused_with_the_nearest_name(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    code, _, err = printed(capsys, "validate", "histroy", "--part", "temporl", "--seed", "-1", "--lang", "en")
    assert code == 2
    for words in ("SET", "Did you mean history?", "--part", "Did you mean temporal?", "--seed"):
        assert words in err
    header = ",".join(next(iter(rows("targets").values())))
    row = dict(rows("targets")["fig4_13_jobready11_to_jobready_2013"], value="1.4")
    wrong = {**row, "id": "fig4_13_nothing"}
    file = tmp_path / "mine.csv"
    file.write_text(
        header + "\n" + "\n".join(",".join(f'"{v}"' for v in r.values()) for r in (row, wrong)) + "\n",
        encoding="utf-8",
    )
    code, _, err = printed(capsys, "validate", "--targets", str(file), "--lang", "en")
    assert code == 2
    assert "mine.csv:2" in err
    assert "mine.csv:3" in err


@pytest.mark.slow
def test_every_part_under_the_usual_rules():
    """The rules of the samplers hold in every structure; scores are those printed in calibration/README.md."""
    found = validate(workers=2)
    fits = found.table("fits").query("part == 'temporal'")
    assert fits["converged"].all()
    assert (fits["r_hat"] < 1.01).all()
    assert (fits["effective"] > 400).all()
    scores = found.table("scores").query("part == 'temporal'").set_index("forecast")
    assert scores["log_score"].idxmin() == "no_change"

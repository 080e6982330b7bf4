"""Fits of panel data: what results say, what is not identified, what is written and read, and what agents run on."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from panels import DESIGNS
from scipy.linalg import expm

import run
from calibration import PanelFit, fit_panel, simulate_panel
from calibration.panel import command, handover
from calibration.panel.identification import PanelWarning, points_up
from calibration.panel.patterns import same_times, together
from calibration.panel.results import TABLES
from calibration.samplers.seeds import generator
from calibration.structures import CORE_RATES
from sim import ParameterSet, Scenario
from sim import run as run_scenario
from sim.draws import path_of
from sim.errors import InputError, ResultError
from sim.locale import LANGUAGES, messages
from sim.parameters import deal

MOVES = [("well", "ill"), ("ill", "well"), ("well", "dead"), ("ill", "dead")]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Illness and death with known moments of death, an age that changes and a group that does not."""
    luck = generator(3, "synthetic")
    people, visits = 300, 6
    made = pd.DataFrame({"person": np.repeat([f"p{i:03d}" for i in range(people)], visits)})
    made["time"] = luck.choice([0.5, 1.0, 1.5], (people, visits)).cumsum(axis=1).ravel()
    made["age"] = np.repeat(luck.uniform(20, 60, people), visits) + made["time"]
    made["group"] = np.repeat(luck.integers(0, 2, people), visits)
    rates = dict(zip(MOVES, (0.1, 0.3, 0.08, 0.2), strict=True))
    return simulate_panel(
        rates, made, effects={("age", MOVES[0]): 0.03, ("group", MOVES[0]): 0.4}, exact=["dead"], seed=8
    )


@pytest.fixture(scope="module")
def fit(frame: pd.DataFrame) -> PanelFit:
    return fit_panel(
        frame,
        MOVES,
        covariates={"age": [MOVES[0], MOVES[3]], "group": [MOVES[0]]},
        cuts=[4.0],
        constrain={"cuts": MOVES[1:]},
        exact=["dead"],
    )


# --- what a fit says


def test_names_and_counts_say_what_was_fitted(fit: PanelFit, frame: pd.DataFrame) -> None:
    assert fit.model.names == (
        "well → ill, t < 4",
        "well → ill, t ≥ 4",
        "ill → well",
        "well → dead",
        "ill → dead",
        "age: well → ill",
        "age: ill → dead",
        "group: well → ill",
    )
    assert fit.counts["persons"] == frame["person"].nunique() == 300
    assert fit.counts["observations"] == len(frame)
    assert fit.counts["intervals"] == len(frame) - 300
    assert len(fit.starts) == 4
    assert repr(fit) == f"PanelFit(3 states, 4 moves, -2 log L = {fit.minus2loglik:.3f})"
    assert all(abs(start.minus2loglik - fit.minus2loglik) < 1e-3 for start in fit.starts)


def test_the_standard_error_is_of_the_log_rate_and_the_interval_of_the_rate(fit: PanelFit) -> None:
    rate, se = fit.rate("well", "ill", period=1), fit.se("well", "ill", period=1)
    low, high = fit.interval("well", "ill", period=1)
    assert np.log(high / rate) == pytest.approx(1.959964 * se, rel=1e-6)
    assert low * high == pytest.approx(rate**2, rel=1e-12)
    narrow = fit.interval("well", "ill", period=1, level=0.5)
    assert low < narrow[0] < rate < narrow[1] < high
    assert se == pytest.approx(fit.covariance.loc["well → ill, t ≥ 4", "well → ill, t ≥ 4"] ** 0.5)


def test_rates_hold_at_the_means_over_intervals_unless_asked_otherwise(fit: PanelFit, frame: pd.DataFrame) -> None:
    followed = frame["person"].eq(frame["person"].shift(-1))
    assert fit.means == pytest.approx(frame.loc[followed, ["age", "group"]].mean().to_dict())
    ratio = fit.ratio("age", "well", "ill")
    older = {"age": fit.means["age"] + 10}
    assert fit.rate("well", "ill", older) == pytest.approx(fit.rate("well", "ill") * ratio.ratio**10)
    assert fit.se("well", "ill", {"age": 0}) > fit.se("well", "ill")
    assert fit.rate("ill", "well", older) == fit.rate("ill", "well")
    assert ratio.low < np.exp(0.03) < ratio.high


def test_units_of_covariates_and_times_change_what_they_must(fit: PanelFit, frame: pd.DataFrame) -> None:
    """In decades and months the ratio is a tenth power, rates a twelfth, and the likelihood loses log 12 for each
    density: every known moment of death is one."""
    other = fit_panel(
        frame.assign(age=frame["age"] / 10, time=12 * frame["time"]),
        MOVES,
        covariates={"age": [MOVES[0], MOVES[3]], "group": [MOVES[0]]},
        cuts=[48.0],
        constrain={"cuts": MOVES[1:]},
        exact=["dead"],
        starts=1,
    )
    assert other.ratio("age", "well", "ill").ratio == pytest.approx(
        fit.ratio("age", "well", "ill").ratio ** 10, rel=1e-4
    )
    assert other.rate("ill", "well") == pytest.approx(fit.rate("ill", "well") / 12, rel=1e-4)
    deaths = int((frame["state"] == "dead").sum())
    assert deaths > 50
    assert other.minus2loglik - fit.minus2loglik == pytest.approx(2 * deaths * np.log(12), abs=1e-4)


def test_estimates_given_back_as_start_evaluate_to_the_same(fit: PanelFit, frame: pd.DataFrame) -> None:
    again = fit_panel(
        frame,
        MOVES,
        covariates={"age": [MOVES[0], MOVES[3]], "group": [MOVES[0]]},
        cuts=[4.0],
        constrain={"cuts": MOVES[1:]},
        exact=["dead"],
        start=fit.start,
        maximise=False,
    )
    assert again.minus2loglik == pytest.approx(fit.minus2loglik, abs=1e-9)
    assert again.se("ill", "well") == pytest.approx(fit.se("ill", "well"), rel=1e-4)
    assert not again.maximised
    assert "What the data do not tell" in fit.summary()
    assert "What the data do not tell" not in again.summary()
    assert again.starts == ()


def test_errors_are_unknown_where_the_curvature_points_up(frame: pd.DataFrame) -> None:
    away = fit_panel(frame, MOVES, start=dict.fromkeys(MOVES, 1e5), maximise=False)
    assert away.minus2loglik == np.inf
    assert np.isnan(away.se("well", "ill"))
    assert points_up(np.diag([2.0, -1.0]))
    assert not points_up(np.diag([2.0, 0.0]))
    assert np.isnan(away.probabilities(1.0)["low"]).all()


def test_probabilities_are_exponentials_with_limits_around(fit: PanelFit) -> None:
    q = np.zeros((3, 3))
    for a, b in MOVES:
        q[fit.states.index(a), fit.states.index(b)] = fit.rate(a, b, {"age": 50, "group": 1})
    np.fill_diagonal(q, -q.sum(axis=1))
    assert fit.matrix(2.5, {"age": 50, "group": 1}).to_numpy() == pytest.approx(expm(2.5 * q), abs=1e-12)
    later = {(a, b): fit.rate(a, b, period=1) for a, b in MOVES}
    earlier = {(a, b): fit.rate(a, b) for a, b in MOVES}
    parts = []
    for rates in (earlier, later):
        one = np.zeros((3, 3))
        for (a, b), rate in rates.items():
            one[fit.states.index(a), fit.states.index(b)] = rate
        np.fill_diagonal(one, -one.sum(axis=1))
        parts.append(one)
    across = expm(1.0 * parts[0]) @ expm(0.5 * parts[1])
    assert fit.matrix(1.5, start_time=3.0).to_numpy() == pytest.approx(across, abs=1e-12)
    table = fit.probabilities(1.5, start_time=3.0)
    assert table["probability"].to_numpy() == pytest.approx(across.ravel())
    inner = table[(table["probability"] > 0) & (table["probability"] < 1)]
    assert (inner["low"] < inner["probability"]).all()
    assert (inner["probability"] < inner["high"]).all()
    assert fit.matrix(0).to_numpy() == pytest.approx(np.eye(3))


def test_stays_are_one_over_the_rates_out(fit: PanelFit) -> None:
    table = fit.sojourn(period=1).set_index("state")
    assert list(table.index) == ["well", "ill"]
    out = fit.rate("ill", "well", period=1) + fit.rate("ill", "dead", period=1)
    assert table.loc["ill", "mean"] == pytest.approx(1 / out)
    assert table.loc["ill", "low"] < 1 / out < table.loc["ill", "high"]


def test_draws_follow_estimates_errors_and_seed(fit: PanelFit) -> None:
    """Of 4,000 draws the mean of a log has a standard deviation of se/63, its spread one of 1.1 per cent."""
    drawn = np.log(fit.draws(4000, seed=5)["ill → well"])
    se = fit.se("ill", "well")
    assert drawn.mean() == pytest.approx(np.log(fit.rate("ill", "well")), abs=4 * se / 63)
    assert drawn.std() == pytest.approx(se, rel=0.05)
    assert fit.draws(10, seed=5).equals(fit.draws(10, seed=5))
    assert not fit.draws(10, seed=5).equals(fit.draws(10, seed=6))


def test_the_profile_interval_is_near_that_of_the_curvature(fit: PanelFit) -> None:
    """With over a hundred recoveries limits agree within a fifth of an error."""
    found = fit.profile("ill", "well", points=5)
    low, high = fit.interval("ill", "well")
    fifth = np.exp(0.2 * fit.se("ill", "well"))
    assert low / fifth < found.low < low * fifth
    assert high / fifth < found.high < high * fifth
    assert found.table["deviance"].min() == pytest.approx(0, abs=1e-6)
    assert len(found.table) == 5 + 3
    outer = found.table["deviance"].iloc[[0, -1]]
    assert (outer > found.threshold).all()


# --- against the data


def test_prevalence_counts_people_and_expects_what_the_model_says(frame: pd.DataFrame) -> None:
    """With one first state, one covariate row and common times both sides can be reckoned by hand."""
    rates = dict(zip(MOVES, (0.4, 0.3, 0.1, 0.2), strict=True))
    made = simulate_panel(rates, [0.0, 1.0, 2.0, 3.0], persons=400, seed=1)
    fit = fit_panel(made, MOVES, starts=1)
    table = fit.prevalence([0.0, 1.0, 2.6]).pivot(index="time", columns="state")
    for time, visit in ((0.0, 0.0), (1.0, 1.0), (2.6, 3.0)):
        seen = made.loc[made["time"] == visit, "state"].value_counts()
        assert table["observed"].loc[time].to_dict() == {state: seen.get(state, 0) for state in fit.states}
        expected = 400 * fit.matrix(time).loc["well"]
        assert table["expected"].loc[time].to_numpy() == pytest.approx(expected[table["expected"].columns].to_numpy())
    last = fit.prevalence([2.6], method="last").set_index("state")["observed"]
    seen = made.loc[made["time"] == 2.0, "state"].value_counts()
    assert last.to_dict() == {state: seen.get(state, 0) for state in fit.states}


def test_prevalence_follows_covariates_and_drops_who_left(fit: PanelFit, frame: pd.DataFrame) -> None:
    table = fit.prevalence([3.0, 20.0])
    early, late = (table[table["time"] == time] for time in (3.0, 20.0))
    assert early["expected"].sum() == pytest.approx(early["at_risk"].iloc[0])
    assert early["observed"].sum() == pytest.approx(early["at_risk"].iloc[0])
    assert (late["at_risk"] == 0).all()
    assert late["observed_share"].isna().all()


@pytest.mark.parametrize("ends", ["early", "late", "at visits"])
def test_prevalence_of_the_true_model_is_fair_where_follow_up_ends_at_different_times(ends: str) -> None:
    """The dead do not stay while others leave: of 4,000 people some 1,000 are at risk at 5, so a share has a standard
    error of at most .016. With the dead kept for good theirs is 10 points too high or more."""
    rates = dict(zip(MOVES, (0.4, 0.3, 0.1, 0.25), strict=True))
    luck = generator(7, "synthetic")
    visits = pd.DataFrame({"person": np.repeat(np.arange(4000), 9), "number": np.tile(np.arange(9), 4000)})
    visits["time"] = np.c_[np.zeros(4000), luck.uniform(0.4, 1.2, (4000, 8)).cumsum(axis=1)].ravel()
    if ends == "late":
        visits["time"] += np.repeat(luck.uniform(0, 3, 4000), 9)
    seen = visits[visits["number"] < np.repeat(luck.integers(2, 10, 4000), 9)]
    exact = [] if ends == "at visits" else ["dead"]
    made = simulate_panel(rates, seen, exact=exact, start={"well": 0.7, "ill": 0.3}, seed=2)
    # Who is seen dead is not seen again.
    gone = made["state"].eq("dead") & made["state"].shift().eq("dead") & made["person"].eq(made["person"].shift())
    made = made[~gone]
    fit = fit_panel(made, MOVES, exact=exact, start=rates, maximise=False)
    table = fit.prevalence([3.0, 5.0])
    assert (table["at_risk"] > 800).all()
    assert (table["observed_share"] - table["expected_share"]).abs().max() < 4 * 0.016
    dead = (made["state"] == "dead").sum()
    assert (table.query("state == 'dead'")["observed"] < dead).all()


def test_only_those_cut_short_by_absorption_are_followed_on_by_chance() -> None:
    """One of the five others leaves at 1.5, though in the last state: seen there again, so followed like anybody. Two
    of four leave at 2. Where z was found at a visit, that may have been the last: four of five have no third."""
    ends = {"a": (0, 2, "b"), "c": (0, 4, "b"), "d": (0, 4, "a"), "e": (0, 2, "a"), "f": (0, 1, "z")}
    rows = [(who, t, "a" if t == 0 else s) for who, (t0, t1, s) in ends.items() for t in (t0, t1)]
    rows += [("g", 0, "a"), ("g", 1, "z"), ("g", 1.5, "z")]
    frame = pd.DataFrame(rows, columns=["person", "time", "state"])
    moves = {("a", "b"): 0.3, ("b", "a"): 0.3, ("a", "z"): 0.1}
    for exact, goes_on in ((["z"], 1.0), ([], 1 / 5)):
        fit = fit_panel(frame, list(moves), start=moves, maximise=False, exact=exact)
        observed = fit.prevalence([1.2, 1.7, 3.0], "last").query("state == 'z'")["observed"]
        assert observed.tolist() == pytest.approx([1 + goes_on, goes_on * 4 / 5, goes_on * 4 / 5 / 2])


def test_the_fit_table_counts_every_interval_that_ends_in_a_visit(fit: PanelFit, frame: pd.DataFrame) -> None:
    found = fit.goodness()
    alive = fit.counts["intervals"] - (frame["state"] == "dead").sum()
    assert found.table["observed"].sum() == alive
    assert found.table["expected"].sum() == pytest.approx(alive)
    assert found.p_low <= found.p_high
    assert found.degrees_low < found.degrees_high


def test_a_wrong_model_fits_badly_and_the_right_one_well() -> None:
    """Two kinds of people, one ten times as fast: one rate for both cannot meet long and short intervals. The right
    model's p-value is below .001 once in a thousand."""
    rates = {("in", "out"): 0.3, ("out", "in"): 0.3}
    luck = generator(4, "synthetic")
    times = luck.choice([0.25, 1.0, 4.0], (600, 6)).cumsum(axis=1).ravel()
    visits = pd.DataFrame({"person": np.repeat(np.arange(600), 6), "time": times})
    right = fit_panel(simulate_panel(rates, visits, seed=1), list(rates), starts=1)
    slow = simulate_panel(rates, visits, seed=2).query("person < 300")
    fast = simulate_panel({move: 10 * rate for move, rate in rates.items()}, visits, seed=3).query("person >= 300")
    wrong = fit_panel(pd.concat([slow, fast]), list(rates), starts=1)
    assert right.goodness().p_low > 1e-3
    assert wrong.goodness().p_high < 1e-4


def test_the_bootstrap_refits_simulated_panels() -> None:
    fit = DESIGNS["recurrent"].fit(3)
    found = fit.goodness(bootstrap=9, seed=2)
    assert found.bootstrap_p is not None
    assert round(10 * found.bootstrap_p, 6) in range(1, 11)
    assert fit.goodness().bootstrap_p is None
    assert found.bootstrap_p > 0.1


def test_a_simulated_panel_has_the_same_people_and_times_and_gives_back_the_rates(
    fit: PanelFit, frame: pd.DataFrame
) -> None:
    made = fit.simulate(seed=4)
    assert list(made.columns) == ["person", "time", "state", "age", "group"]
    assert set(made["person"]) == set(frame["person"])
    alive = made[made["state"] != "dead"].merge(frame, on=["person", "time"], how="left", indicator=True)
    assert (alive["_merge"] == "both").all()
    assert made.equals(fit.simulate(seed=4))
    assert not made.equals(fit.simulate(seed=5))
    last = made.groupby("person").tail(1)
    assert (made["state"] == "dead").sum() == (last["state"] == "dead").sum() > 20


# --- simulation


def test_simulated_people_stay_and_go_as_exponentials_say() -> None:
    """At fixed visits the shares of 20,000 people lie within four standard errors of P(t), in either group."""
    rates = {("a", "b"): [0.4, 1.2], ("b", "a"): [0.3, 0.1], ("b", "c"): [0.2, 0.2]}
    visits = pd.DataFrame({"person": np.repeat(np.arange(20_000), 3), "time": np.tile([0.5, 1.5, 3.0], 20_000)})
    visits["x"] = np.repeat(np.arange(20_000) % 2, 3)
    made = simulate_panel(
        rates, visits, effects={("x", ("a", "b")): -0.7}, cuts=[1.0], start={"a": 0.25, "b": 0.75}, seed=2
    )
    for x in (0, 1):
        q = []
        for period in (0, 1):
            one = np.zeros((3, 3))
            one[0, 1], one[1, 0] = rates["a", "b"][period] * np.exp(-0.7 * x), rates["b", "a"][period]
            one[1, 2] = 0.2
            np.fill_diagonal(one, -one.sum(axis=1))
            q.append(one)
        expected = np.array([0.25, 0.75, 0]) @ expm(0.5 * q[0]) @ expm(2.0 * q[1])
        seen = made[(made["time"] == 3.0) & (made["x"] == x)]["state"].value_counts(normalize=True)
        error = np.sqrt(expected * (1 - expected) / 10_000)
        assert np.abs(seen.reindex(["a", "b", "c"]).to_numpy() - expected).max() < 4 * error.max()


def test_entry_at_a_known_moment_ends_a_persons_rows() -> None:
    """The mean of 5,000 exponential lives has a standard error of 1.4 per cent of itself."""
    made = simulate_panel({(1, 2): 0.5}, [0.0, 1.0, 100.0], persons=5000, exact=[2], seed=3)
    dead = made[made["state"] == 2]
    assert len(dead) == 5000
    assert dead["time"].mean() == pytest.approx(2.0, rel=4 * 0.014)
    assert (made.groupby("person")["time"].max().to_numpy() == dead["time"].to_numpy()).all()
    assert made["state"].dtype.kind == "i"


def test_nobody_moves_without_a_rate() -> None:
    made = simulate_panel({("a", "b"): 0.0, ("b", "a"): 1.0}, [0, 5, 50], persons=50, start=["a"] * 25 + ["b"] * 25)
    last = made[made["time"] == 50]["state"]
    assert (last == "a").all()


# --- the order of rows, labels


def test_mixed_and_permuted_persons_give_the_same_fit(fit: PanelFit, frame: pd.DataFrame) -> None:
    options: dict[str, Any] = {
        "covariates": {"age": [MOVES[0], MOVES[3]], "group": [MOVES[0]]},
        "cuts": [4.0],
        "constrain": {"cuts": MOVES[1:]},
        "exact": ["dead"],
        "starts": 1,
    }
    by_time = frame.sort_values("time", kind="stable")
    assert not by_time["person"].is_monotonic_increasing
    luck = generator(6, "synthetic")
    names = luck.permutation(frame["person"].unique())
    permuted = frame.set_index("person").loc[names].reset_index()
    for other in (by_time, permuted):
        again = fit_panel(other, MOVES, **options)
        assert again.minus2loglik == pytest.approx(fit.minus2loglik, abs=1e-7)
        assert again.theta == pytest.approx(fit.theta, abs=1e-5)


def test_states_are_any_whole_numbers_or_words(frame: pd.DataFrame) -> None:
    codes = {"well": 1, "ill": 2, "dead": 9}
    words = fit_panel(frame, MOVES, exact=["dead"], starts=1)
    moves = [(codes[a], codes[b]) for a, b in MOVES]
    for column in (frame["state"].map(codes), frame["state"].map(codes).astype(float)):
        numbers = fit_panel(frame.assign(state=column), moves, exact=[9], starts=1)
        assert numbers.minus2loglik == words.minus2loglik
        assert numbers.rate(2, 9) == numbers.rate("2", "9") == words.rate("ill", "dead")


def test_moves_left_out_are_those_seen_and_said_to_be(frame: pd.DataFrame) -> None:
    fit = fit_panel(frame, starts=1)
    assert set(fit.moves) == set(MOVES)
    assert [one.kind for one in fit.warnings] == ["moves_seen"]
    assert "passages through a third state" in fit.summary("en")
    assert "ill → dead" in fit.warnings[0].text


def test_columns_of_any_kind_give_the_same_fit(frame: pd.DataFrame) -> None:
    plain = fit_panel(frame, MOVES, covariates=["group"], exact=["dead"], starts=1)
    kinds = {"person": "category", "state": "category", "time": "Float64", "group": "Int64"}
    backwards = frame.astype(kinds).set_index(np.arange(len(frame))[::-1])
    again = fit_panel(backwards, MOVES, covariates="group", exact=["dead"], starts=1)
    assert again.minus2loglik == plain.minus2loglik


def test_times_that_differ_by_rounding_are_one_length() -> None:
    t = np.array([0.1 + 0.2, 0.3, 0.7, 0.7 + 1e-6])
    assert len(set(same_times(t, 1.0))) == 3
    assert same_times(t, 1.0)[2:].tolist() == t[2:].tolist()
    years = 2013 + np.arange(40) / 10
    assert len(set(same_times(np.diff(years), years.max()))) == 1


def test_rows_are_told_apart_by_all_columns() -> None:
    codes, first = together(np.array([1.5, 1.5, 2.0, 1.5]), np.array([0, 1, 0, 0]))
    assert codes.tolist() == [0, 1, 2, 0]
    assert first.tolist() == [0, 1, 2]


@pytest.mark.filterwarnings("ignore::calibration.panel.identification.PanelWarning")
def test_who_begins_in_a_last_state_tells_nothing_and_breaks_nothing() -> None:
    """Alone such people leave everything untold; beside others they are simulated where they were seen."""
    done = pd.DataFrame({"person": [90, 90, 91, 91], "time": [0, 1, 0, 2], "state": "c"})
    moves = {("a", "b"): 0.5, ("b", "c"): 0.4}
    for options in ({}, {"covariates": "x"}):
        alone = fit_panel(done.assign(x=[1, 1, 2, 2]), list(moves), **options)
        assert alone.minus2loglik == 0
        assert {one.kind for one in alone.warnings} == {"uninformed"}
        assert len(alone.goodness().table) == 0
    frame = pd.concat([simulate_panel(moves, [0, 1, 2, 3], persons=60, exact=["c"], seed=1), done])
    fit = fit_panel(frame, list(moves), exact=["c"], starts=1)
    made = fit.simulate(2)
    assert made[made["person"] >= 90]["state"].tolist() == ["c"] * 4
    assert fit.goodness(bootstrap=2).bootstrap_p is not None


def test_an_interval_as_short_as_rounding_is_counted_where_there_are_cuts() -> None:
    """It is an observation repeated: nothing may be taken from another pattern for it."""
    frame = pd.DataFrame({"person": 1, "time": [2014, 2014 + 5e-13, 2015, 2016], "state": list("aaba")})
    moves = {("a", "b"): 0.5, ("b", "a"): 0.3}
    with_cut = fit_panel(frame, list(moves), cuts=[2015.5], start=moves, maximise=False)
    without = fit_panel(frame, list(moves), start=moves, maximise=False)
    assert with_cut.minus2loglik == pytest.approx(without.minus2loglik, abs=1e-9)


# --- what the data do not tell


def told(expected: str, make: Callable[[], PanelFit]) -> PanelFit:
    with pytest.warns(PanelWarning, match=expected):
        return make()


def test_a_rate_that_runs_to_nil_is_named_and_has_an_upper_profile_limit() -> None:
    """Everybody is seen in b on the way from a to c."""
    lives = ["aabbc", "abbbc", "aaabb", "abccc"] * 15
    frame = pd.DataFrame({"person": np.repeat(np.arange(60), 5), "time": np.tile(np.arange(5) / 2, 60)})
    frame["state"] = list("".join(lives))
    fit = told("a → c: the rate runs to 0", lambda: fit_panel(frame, [("a", "b"), ("b", "c"), ("a", "c")]))
    assert fit.rate("a", "c") < 1e-4
    assert fit.se("a", "c") == np.inf
    assert fit.interval("a", "c") == (0.0, np.inf)
    assert np.isfinite(fit.se("a", "b"))
    assert "not identified" in fit.summary("en")
    assert "ikke bestemt" in fit.summary("da")
    found = fit.profile("a", "c", points=3)
    assert found.low == 0.0
    # Some 40 years in a without the move: 3.84 is lost when 1.92 are expected.
    assert 0.01 < found.high < 0.2
    stays = fit.sojourn().set_index("state")
    assert np.isfinite(stays.loc["b"].to_numpy(dtype=float)).all()
    assert np.isfinite(fit.probabilities(1.0)[["low", "high"]].to_numpy()).all()
    assert fit.table("rates").query("to == 'c' and `from` == 'a'")["identified"].tolist() == [False]


def test_observations_too_far_apart_tell_only_the_ratio() -> None:
    frame = simulate_panel({("a", "b"): 3.0, ("b", "a"): 2.0}, [0.0, 50.0, 100.0], persons=100, seed=2)
    fit = told("a → b", lambda: fit_panel(frame, [("a", "b"), ("b", "a")]))
    assert any("a → b" in "".join(one.names) for one in fit.warnings)
    assert any("b → a" in "".join(one.names) for one in fit.warnings)
    assert {fit.se("a", "b"), fit.se("b", "a")} == {np.inf}
    assert fit.sojourn()[["low", "high"]].isna().to_numpy().all()
    equilibrium = fit.matrix(50.0).loc["a", "b"]
    assert equilibrium == pytest.approx(0.6, abs=4 * (0.24 / 200) ** 0.5)


def test_a_rate_that_can_be_traded_for_a_smaller_one_is_not_told_either() -> None:
    """All begin in a, and before the cut all is seen once: one share for two rates. The way they are traded goes
    mostly along the smaller one, and the curvature alone gave the other a standard error of .18."""
    rates = {("a", "b"): 0.5, ("b", "a"): 0.3}
    frame = simulate_panel(rates, [0.0, 1.0, 2.0, 3.0], persons=80, seed=1)
    fit = told("a → b, t < 1; b → a, t < 1", lambda: fit_panel(frame, list(rates), cuts=[1]))
    assert fit.se("a", "b") == fit.se("b", "a") == np.inf
    assert fit.profile("a", "b", points=1).high == np.inf
    assert np.isfinite(fit.se("a", "b", period=1))
    assert np.isfinite(fit.se("b", "a", period=1))


def test_a_move_that_no_observation_informs_is_named() -> None:
    frame = simulate_panel({("a", "b"): 0.5, ("b", "a"): 0.4}, [0.0, 1.0, 2.0], persons=100, seed=1)
    moves = [("a", "b"), ("b", "a"), ("c", "d")]
    fit = told("c → d: no observation says anything", lambda: fit_panel(frame, moves))
    assert [one.kind for one in fit.warnings] == ["uninformed"]
    assert np.isfinite(fit.se("a", "b"))


def test_a_covariate_that_separates_or_does_not_vary_is_named() -> None:
    rates = {("a", "b"): 0.5}
    still = simulate_panel({("a", "b"): 0.0}, [0.0, 1.0, 2.0], persons=60, seed=1).assign(x=1)
    going = simulate_panel(rates, [0.0, 1.0, 2.0], persons=60, seed=1).assign(x=0)
    frame = pd.concat([still, going.assign(person=going["person"] + 60)])
    fit = told("x: a → b: the ratio runs to 0", lambda: fit_panel(frame, list(rates), covariates=["x"]))
    assert fit.ratio("x", "a", "b").se == np.inf
    constant = told("x: a → b: no observation", lambda: fit_panel(going, list(rates), covariates=["x"]))
    assert np.isfinite(constant.se("a", "b"))


def test_starts_that_end_apart_are_told(fit: PanelFit) -> None:
    from calibration.panel.identification import of_starts

    assert [one.values for one in of_starts([100.0, 100.0005, 103.0])] == [{"agree": 2, "starts": 3}]
    assert list(of_starts([start.minus2loglik for start in fit.starts])) == []


def test_every_notice_has_words_in_both_languages() -> None:
    from calibration.panel.identification import Notice

    kinds = [key.removeprefix("notice_") for key in messages("panel") if key.startswith("notice_")]
    assert len(kinds) >= 8
    values = {"rate": "1.5e-9", "ratio": "1.5e9", "agree": 1, "starts": 4}
    assert "1,5e-9" in Notice("to_zero", ("a → b",), values).words("da")
    for kind in kinds:
        words = {Notice(kind, ("a → b",), values).words(lang) for lang in LANGUAGES}
        assert len(words) == 2
        assert not [one for one in words if "{" in one]


# --- tables, words, pictures, files


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_rows_and_no_gap(fit: PanelFit, name: str) -> None:
    table = fit.table(name)
    assert len(table) > 0 or name == "warnings"
    assert not table.isna().to_numpy().any()


def test_unknown_names_are_refused_with_the_nearest(fit: PanelFit) -> None:
    for wrong, near in (
        (lambda: fit.table("rate"), "rates"),
        (lambda: fit.plot("profil"), "profile"),
        (lambda: fit.rate("well", "il"), "well → ill"),
        (lambda: fit.ratio("agee", "well", "ill"), "age"),
        (lambda: fit.rate("well", "ill", {"agee": 3}), "age"),
        (lambda: fit.prevalence(method="middel"), "middle"),
        (lambda: fit.summary("dk"), None),
        (lambda: fit.rate("well", "ill", period=2), None),
        (lambda: fit.ratio("group", "ill", "dead"), None),
        (lambda: fit.interval("well", "ill", level=95), None),
        (lambda: fit.matrix(-1), None),
        (lambda: fit.probabilities(level=1), None),
        (lambda: fit.profile("well", "ill", level=2), None),
        (lambda: fit.profile("well", "ill", points=0), None),
        (lambda: fit.rate("well", "ill", {"age": np.nan}), None),
        (lambda: fit.matrix(1, {"age": "old"}), None),
        (lambda: fit.matrix(1, start_time=np.nan), None),
        (lambda: fit.draws(0), None),
        (lambda: fit.simulate(-1), None),
        (lambda: fit.prevalence(["soon"]), None),
        (lambda: fit.prevalence([]), None),
        (lambda: fit.goodness(groups=0), None),
        (lambda: fit.goodness(bootstrap=-1), None),
    ):
        with pytest.raises(InputError) as caught:
            wrong()
        assert [one.nearest for one in caught.value.problems] == [near]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_summary_says_all_in_both_languages(fit: PanelFit, lang: str) -> None:
    words = fit.summary(lang)
    for expected in ("well → ill", "t ≥ 4", "age", "dead", "4 "):
        assert expected in words
    assert "{" not in words
    assert words.count("\n## ") == 4
    assert ("0," in words) == (lang == "da")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_pictures_keep_their_words_inside(fit: PanelFit, lang: str) -> None:
    for kind, options in (("rates", {}), ("prevalence", {}), ("profile", {"a": "ill", "b": "well", "points": 3})):
        figure = fit.plot(kind, lang, **options)
        box = figure.get_tightbbox(FigureCanvasAgg(figure).get_renderer())
        width, height = figure.get_size_inches()
        assert box.x0 > -0.05, kind
        assert box.y0 > -0.05, kind
        assert box.x1 < width + 0.05, kind
        assert box.y1 < height + 0.05, kind


def test_a_profile_names_the_period_only_where_the_rate_has_its_own(fit: PanelFit) -> None:
    for move, named in ((("well", "ill"), True), (("ill", "well"), False)):
        figure = fit.plot("profile", "en", a=move[0], b=move[1], points=1)
        words = " ".join(one.get_text() for one in figure.texts)
        assert " → ".join(move) in words
        assert ("t < 4" in words) == named
        assert "95 %" not in figure.axes[0].get_xlabel()


def test_a_saved_fit_reads_back_with_or_without_people(fit: PanelFit, tmp_path: Path) -> None:
    fit.save(tmp_path / "with", data=True)
    again = PanelFit.load(tmp_path / "with")
    for lang in LANGUAGES:
        assert again.summary(lang) == fit.summary(lang)
    for name in TABLES:
        pd.testing.assert_frame_equal(again.table(name), fit.table(name))
    assert again.simulate(3).equals(fit.simulate(3))
    (path,) = fit.save(tmp_path / "without")
    assert "p001" not in path.read_text(encoding="utf-8")
    lone = PanelFit.load(tmp_path / "without")
    assert lone.rate("well", "ill") == fit.rate("well", "ill")
    with pytest.raises(InputError, match="data=True"):
        lone.prevalence()


@pytest.mark.parametrize("names", [[7, "7", "8"], [1, 2, 3]], ids=["words and numbers", "numbers"])
def test_persons_stay_apart_when_saved(tmp_path: Path, names: list[Any]) -> None:
    frame = pd.DataFrame({"person": np.repeat(np.array(names, dtype=object), 3), "time": [0, 1, 2] * 3})
    frame["state"] = list("aabababba")
    moves = {("a", "b"): 0.5, ("b", "a"): 0.5}
    fit = fit_panel(frame, list(moves), start=moves, maximise=False)
    fit.save(tmp_path, data=True)
    again = PanelFit.load(tmp_path)
    assert again.likelihood.value(again.theta) == fit.likelihood.value(fit.theta)
    assert list(again.data.persons.astype(str)) == [str(name) for name in names]
    if names == [1, 2, 3]:
        assert again.simulate(2).equals(fit.simulate(2))


def test_unidentified_errors_survive_saving(tmp_path: Path) -> None:
    frame = simulate_panel({("a", "b"): 0.5, ("b", "a"): 0.4}, [0.0, 1.0, 2.0], persons=50, seed=1)
    fit = told("c → d", lambda: fit_panel(frame, [("a", "b"), ("b", "a"), ("c", "d")]))
    fit.save(tmp_path)
    again = PanelFit.load(tmp_path)
    assert again.se("c", "d") == np.inf
    assert again.warnings == fit.warnings


def test_a_damaged_file_is_refused(fit: PanelFit, tmp_path: Path) -> None:
    (path,) = fit.save(tmp_path)
    whole = json.loads(path.read_text(encoding="utf-8"))
    del whole["theta"]
    for content in (json.dumps(whole), "{", "[]"):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(ResultError, match=r"fit\.json"):
            PanelFit.load(tmp_path)
    with pytest.raises(ResultError):
        PanelFit.load(tmp_path / "nowhere")


def test_progress_counts_starts(frame: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[int, int]] = []
    fit_panel(frame, MOVES, starts=3, progress=lambda done, of_all: seen.append((done, of_all)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    fit_panel(frame, MOVES, starts=2, progress=True)
    assert "2/2" in capsys.readouterr().err


# --- agents run on it


BENEFITS = [tuple(id.removeprefix("rate_").split("_to_")) for id in CORE_RATES]


@pytest.fixture(scope="module")
def benefits() -> PanelFit:
    """Cash-benefit states seen twice a year, rates per year four times those of the shipped set."""
    point = ParameterSet.read("homogeneous")
    rates = {(a, b): 48 * point[f"rate_{a}_to_{b}"].value for a, b in BENEFITS}
    frame = simulate_panel(
        rates, np.arange(0, 3, 0.5), persons=800, start={"job_ready": 1, "activity_ready": 1}, seed=6
    )
    return fit_panel(frame, list(rates), starts=1)


def test_runs_use_the_draws_of_a_panel(benefits: PanelFit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = benefits.parameter_draws(tmp_path, n=8, seed=2, unit="year")
    assert path == path_of(tmp_path, "homogeneous")
    monkeypatch.setenv("JOBVEJE_POSTERIORS", str(tmp_path))
    scenario = Scenario.read("baseline", ["parameters=homogeneous", "population.residents=400", "horizon.months=13"])
    result = run_scenario(scenario, replicates=1, draws=3, workers=1)
    table = result.table("assumptions").set_index("id")
    drawn = benefits.draws(8, seed=2) / 12
    held = ParameterSet.read("homogeneous").posterior
    assert held is not None
    for a, b in BENEFITS:
        id = f"rate_{a}_to_{b}"
        assert held.values[id] == pytest.approx(drawn[f"{a} → {b}"].to_numpy())
        used = [float(drawn[f"{a} → {b}"].iloc[held.row(draw)]) for draw in (1, 2, 3)]
        assert min(used) <= table.loc[id, "draw_low"] <= table.loc[id, "draw_high"] <= max(used)
        assert used[0] > 2 * ParameterSet.read("homogeneous")[id].value
    for dealt in deal("homogeneous", 3):
        for to in ("job_ready", "no_benefit", "other_benefit"):
            assert dealt.values[f"rate_newly_activity_ready_to_{to}"] == dealt.values[f"rate_activity_ready_to_{to}"]


def test_moves_without_a_rate_in_the_structure_are_named(fit: PanelFit, benefits: PanelFit, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        fit.parameter_draws(tmp_path)
    assert [one.key for one in caught.value.problems] == [" → ".join(move) for move in MOVES]
    for options, key in (({"unit": "decade"}, "unit"), ({"structure": "homogenous"}, "structure"), ({"n": 0}, "n")):
        with pytest.raises(InputError) as caught:
            benefits.parameter_draws(tmp_path, **options)
        assert [one.key for one in caught.value.problems] == [key]
    lost = replace(benefits, theta_errors=np.where(np.arange(6) == 0, np.inf, benefits.theta_errors))
    with pytest.raises(InputError) as caught:
        lost.parameter_draws(tmp_path)
    assert [one.kind for one in caught.value.problems] == ["panel_unidentified"]
    with pytest.raises(InputError) as caught:
        replace(benefits, theta=benefits.theta + 9).parameter_draws(tmp_path)
    assert {one.kind for one in caught.value.problems} == {"bounds"}
    assert list(tmp_path.iterdir()) == []


def test_only_rates_that_a_structure_leaves_free_can_be_set() -> None:
    ids = handover.rate_ids("homogeneous")
    assert ids["job_ready", "activity_ready"] == "rate_job_ready_to_activity_ready"
    assert ("newly_activity_ready", "job_ready") not in ids
    assert ("newly_activity_ready", "job_ready") in handover.rate_ids("history")


# --- the command


@pytest.fixture
def files(tmp_path: Path, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    frame.to_csv("panel.csv", index=False)
    pd.DataFrame(MOVES, columns=["from", "to"]).to_csv("moves.csv", index=False)
    return tmp_path


ASKED = ("calibrate", "--panel", "panel.csv", "--moves", "moves.csv", "--exact", "dead")
WRITTEN = {
    *(f"{name}.csv" for name in ("rates", "ratios", "probabilities", "sojourn", "prevalence", "goodness", "warnings")),
    *("manifest.json", "fit.json", "draws.parquet", "figures"),
}


def test_the_command_gives_the_numbers_of_the_library(
    files: Path, frame: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--covariate", "age", "--cut", "4", "--seed", "3", "--out", "mine", "--lang", "en")
    assert run.main([*ASKED, *more]) == 0
    said = capsys.readouterr()
    library = fit_panel(frame, MOVES, covariates=["age"], cuts=[4], exact=["dead"], seed=3)
    assert library.summary("en") in said.out
    assert "4/4" in said.err
    assert "no parameter set of the simulation" in said.out
    assert {path.name for path in Path("mine").iterdir()} == WRITTEN | {"summary.en.md"}
    assert {path.name for path in Path("mine/figures").iterdir()} == {"rates.png", "prevalence.png"}
    rates = pd.read_csv("mine/rates.csv")
    assert rates["rate"].to_numpy() == pytest.approx(library.table("rates")["rate"].to_numpy(), rel=1e-9)
    manifest = json.loads(Path("mine/manifest.json").read_text(encoding="utf-8"))
    assert (manifest["kind"], manifest["seed"], manifest["cuts"], manifest["exact"]) == ("panel", 3, [4.0], ["dead"])
    goodness = library.goodness()
    assert manifest["goodness"]["statistic"] == goodness.statistic
    assert manifest["goodness"]["p"] == [goodness.p_low, goodness.p_high]
    assert PanelFit.load("mine").minus2loglik == library.minus2loglik
    assert pd.read_parquet("mine/draws.parquet").equals(library.draws(1000, 3))


def test_a_folder_is_replaced_only_when_asked_and_only_if_it_is_one(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main([*ASKED, "--out", "mine", "--lang", "en"]) == 0
    Path("mine/note.txt").write_text("kept", encoding="utf-8")
    assert run.main([*ASKED, "--out", "mine"]) == 2
    assert run.main([*ASKED, "--out", "mine", "--force", "--lang", "da"]) == 0
    assert {path.name for path in Path("mine").iterdir()} == WRITTEN | {"summary.da.md", "note.txt"}
    Path("other").mkdir()
    Path("other/thing.txt").write_text("mine", encoding="utf-8")
    capsys.readouterr()
    assert run.main([*ASKED, "--out", "other", "--force", "--lang", "en"]) == 2
    assert "is not a fit of panel data" in capsys.readouterr().err
    assert run.main([*ASKED, "--lang", "en"]) == 0
    assert command.is_panel(Path("results/panel-01"))


def test_semicolons_parquet_own_columns_and_seen_moves(
    files: Path, frame: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    own = frame.rename(columns={"person": "id", "time": "year", "state": "status"})
    own.to_csv("own.csv", index=False, sep=";", decimal=",")
    own.to_parquet("own.parquet", index=False)
    asked = ["calibrate", "--person", "id", "--time", "year", "--state", "status", "--json", "--covariate", "age"]
    found = []
    for name in ("own.csv", "own.parquet"):
        assert run.main([*asked, "--panel", name, "--out", name.replace(".", "_"), "--lang", "en"]) == 0
        said = json.loads(capsys.readouterr().out)
        found.append(said["minus2loglik"])
        assert "passages through a third state" in said["warnings"][0]
        assert {(row["from"], row["to"]) for row in said["rates"]} == set(MOVES)
    assert found[0] == pytest.approx(found[1], rel=1e-12)


def test_the_command_hands_rates_to_the_simulation_where_moves_are_its_own(
    benefits: PanelFit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    benefits.simulate(1).to_csv("b.csv", index=False)
    pd.DataFrame(benefits.moves, columns=["from", "to"]).to_csv("m.csv", index=False)
    asked = ["calibrate", "--panel", "b.csv", "--moves", "m.csv", "--unit", "month", "--out", "own", "--lang", "en"]
    assert run.main(asked) == 0
    assert "JOBVEJE_POSTERIORS set to own" in capsys.readouterr().out
    drawn = pd.read_parquet("own/homogeneous.draws.parquet")["rate_job_ready_to_no_benefit"]
    assert drawn.to_numpy() == pytest.approx(pd.read_parquet("own/draws.parquet")["job_ready → no_benefit"].to_numpy())


def test_interrupted_it_ends_with_130_and_writes_nothing(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("calibration.panel.estimation.climb", pressed)
    assert run.main([*ASKED, "--out", "mine"]) == 130
    assert not Path("mine").exists()

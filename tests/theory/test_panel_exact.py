"""The panel likelihood against what is known: closed forms, occurrences over exposure, scipy, differences."""

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import expm, expm_frechet

from calibration import PanelFit, fit_panel, simulate_panel
from calibration.panel.matrices import _squaring, adjoint, legs_of, reachable
from calibration.samplers.seeds import generator

EXACT = 1e-9
"""What the issue asks of likelihoods; rounding of a few hundred logarithms is a hundredth of it."""


def panel(times: np.ndarray, states: np.ndarray, **columns: np.ndarray) -> pd.DataFrame:
    """Return a panel of people with a row of ``times`` and ``states`` each."""
    people, visits = times.shape
    frame = {"person": np.repeat(np.arange(people), visits), "time": times.ravel(), "state": states.ravel()}
    return pd.DataFrame(frame | {name: column.ravel() for name, column in columns.items()})


@pytest.fixture
def luck() -> np.random.Generator:
    return generator(5, "synthetic")


def evaluated(frame: pd.DataFrame, rates: dict, **options: object) -> float:
    start = {**rates, **options.pop("effects", {})}
    return fit_panel(frame, list(rates), start=start, maximise=False, **options).minus2loglik


def back_and_forth(a: float, b: float, t: np.ndarray) -> np.ndarray:
    """Return P(t) of two states with rates a and b, shape (2, 2, times)."""
    away, back = a / (a + b) * -np.expm1(-(a + b) * t), b / (a + b) * -np.expm1(-(a + b) * t)
    return np.array([[1 - away, away], [back, 1 - back]])


def test_two_states_equal_the_closed_form(luck: np.random.Generator) -> None:
    times = luck.uniform(0.1, 3, (60, 5)).cumsum(axis=1)
    states = luck.integers(0, 2, (60, 5))
    p = back_and_forth(0.7, 0.4, np.diff(times))
    expected = -2 * np.log(p[states[:, :-1], states[:, 1:], np.arange(60)[:, None], np.arange(4)]).sum()
    assert abs(evaluated(panel(times, states), {(0, 1): 0.7, (1, 0): 0.4}) - expected) < EXACT


@pytest.mark.parametrize("ill_leave", [0.9, 0.5], ids=["different", "equal"])
def test_three_states_equal_the_closed_form_even_where_rates_are_equal(
    luck: np.random.Generator, ill_leave: float
) -> None:
    """Illness and death, all rates out of the first state together .5: equal rates make Q defective."""
    a, c, b = 0.3, 0.2, ill_leave
    t = luck.uniform(0.1, 4, 90)
    stay = np.exp(-(a + c) * t)
    fall = a * t * stay if b == a + c else a / (b - a - c) * (stay - np.exp(-b * t))
    ends = np.repeat([0, 1, 2], 30)
    chance = np.select([ends == 0, ends == 1], [stay, fall], 1 - stay - fall)
    frame = panel(np.column_stack([np.zeros(90), t]), np.column_stack([np.zeros(90, dtype=int), ends]))
    rates = {(0, 1): a, (1, 2): b, (0, 2): c}
    assert abs(evaluated(frame, rates) + 2 * np.log(chance).sum()) < EXACT


def test_known_moments_of_entry_equal_the_closed_form(luck: np.random.Generator) -> None:
    """Who dies at t was well or ill just before; who is seen alive says what a visit says."""
    a, b, c, d = 0.4, 0.3, 0.1, 0.25
    t = luck.uniform(0.2, 3, 80)
    ends = np.repeat([0, 1, 2, 2], 20)
    alive = np.array([expm(np.array([[-a - c, a], [b, -b - d]]) * one)[0] for one in t])
    chance = np.select([ends == 0, ends == 1], [alive[:, 0], alive[:, 1]], alive @ [c, d])
    frame = panel(np.column_stack([np.ones(80), 1 + t]), np.column_stack([np.zeros(80, dtype=int), ends]))
    rates = {(0, 1): a, (1, 0): b, (0, 2): c, (1, 2): d}
    assert abs(evaluated(frame, rates, exact=[2]) + 2 * np.log(chance).sum()) < EXACT
    only = {(0, 1): 0.7}
    dead = panel(np.column_stack([np.zeros(80), t]), np.tile([0, 1], (80, 1)))
    assert abs(evaluated(dead, only, exact=[1]) + 2 * (np.log(0.7) - 0.7 * t).sum()) < EXACT


def test_periods_and_covariates_equal_products_of_exponentials(luck: np.random.Generator) -> None:
    """Intervals cross none, one or both cuts; the covariate of a row holds until the next."""
    times = luck.uniform(0.1, 2.5, (30, 4)).cumsum(axis=1)
    states = luck.integers(0, 2, (30, 4))
    x = luck.normal(3, 2, (30, 4))
    cuts, out, back, effect = (1.5, 3.0), np.array([0.5, 0.2, 0.9]), 0.4, 0.3
    expected = 0.0
    for person in range(30):
        for visit in range(3):
            whole = np.eye(2)
            borders = np.clip([-np.inf, *cuts, np.inf], times[person, visit], times[person, visit + 1])
            for period, length in enumerate(np.diff(borders)):
                q = out[period] * np.exp(effect * x[person, visit])
                whole = whole @ expm(np.array([[-q, q], [back, -back]]) * length)
            expected -= 2 * np.log(whole[states[person, visit], states[person, visit + 1]])
    found = evaluated(
        panel(times, states, x=x),
        {(0, 1): list(out), (1, 0): back},
        covariates={"x": [(0, 1)]},
        cuts=cuts,
        constrain={"cuts": [(1, 0)]},
        effects={("x", (0, 1)): effect},
    )
    assert abs(found - expected) < EXACT


def test_equal_intervals_have_the_closed_form_estimate(luck: np.random.Generator) -> None:
    """With one interval length the best P is the table of shares, and Q its logarithm."""
    states = luck.integers(0, 2, (300, 2))
    states[:200, 1] = states[:200, 0]
    frame = panel(np.tile([0.0, 0.8], (300, 1)), states)
    away, back = (states[states[:, 0] == r, 1].mean() for r in (0, 1))
    away, back = away, 1 - back
    whole = -np.log(1 - away - back) / 0.8
    fit = fit_panel(frame, [(0, 1), (1, 0)])
    assert fit.rate(0, 1) == pytest.approx(whole * away / (away + back), rel=1e-6)
    assert fit.rate(1, 0) == pytest.approx(whole * back / (away + back), rel=1e-6)


def test_rates_are_occurrences_over_exposure_where_observation_is_dense() -> None:
    """Looking every .0005 misses a return with chance rate x .0005: estimates agree within that share, and standard
    errors are those of counts."""
    rates = {("a", "b"): 1.0, ("b", "a"): 0.6, ("b", "c"): 0.3}
    step = 0.0005
    frame = simulate_panel(rates, np.arange(0, 2, step), persons=150, seed=4)
    fit = fit_panel(frame, list(rates))
    state, same = frame["state"].to_numpy(), frame["person"].to_numpy()
    follows = same[:-1] == same[1:]
    for a, b in rates:
        seen = int(((state[:-1] == a) & (state[1:] == b) & follows).sum())
        exposure = step * int(((state[:-1] == a) & follows).sum())
        assert seen > 30
        assert fit.rate(a, b) == pytest.approx(seen / exposure, rel=2 * step * sum(rates.values()))
        assert fit.se(a, b) == pytest.approx(seen**-0.5, rel=2 * step * sum(rates.values()))


# --- P(t) and its derivative


def generators(rates: np.ndarray, moves: list[tuple[int, int]], states: int) -> tuple[np.ndarray, np.ndarray]:
    q = np.zeros((len(rates), states, states))
    allowed = np.zeros((states, states), dtype=bool)
    for m, (a, b) in enumerate(moves):
        q[:, a, b], allowed[a, b] = rates[:, m], True
    q[:, range(states), range(states)] = -q.sum(axis=2)
    return q, reachable(allowed)


FORWARD = [(2, 0), (0, 4), (4, 1), (1, 3)]
"""A chain of states out of order: for triangular matrices scipy divides by differences of eigenvalues, and loses digits
where these are close."""
AROUND = [(0, 1), (1, 0), (1, 2), (2, 1), (0, 3), (1, 3), (2, 0)]
RINGS = [(0, 1), (1, 2), (2, 3), (3, 0)]
CASES = {
    "ordinary": (AROUND, 4, lambda luck: np.exp(luck.normal(size=(150, 7)))),
    "complex eigenvalues": (RINGS, 4, lambda luck: np.exp(luck.normal(size=(150, 4)))),
    "defective": (FORWARD, 5, lambda luck: np.repeat(np.exp(luck.normal(size=(50, 1))), 4, axis=1)),
    "nearly defective": (FORWARD, 5, lambda luck: 1 + 1e-7 * luck.normal(size=(50, 4))),
    "stiff": (FORWARD, 5, lambda luck: np.exp(luck.uniform(-9, 9, (100, 4)))),
    "stiff around": (AROUND, 4, lambda luck: np.exp(luck.uniform(-9, 9, (100, 7)))),
    "tiny": (AROUND, 4, lambda luck: np.exp(luck.normal(-14, 1, (50, 7)))),
}


@pytest.mark.parametrize("case", CASES)
def test_probabilities_and_derivatives_equal_those_of_scipy(luck: np.random.Generator, case: str) -> None:
    moves, states, rates = CASES[case]
    q, reach = generators(rates(luck), moves, states)
    t = luck.uniform(0.05, 3, len(q))
    legs = legs_of(q, np.arange(len(q)), t, reach)
    assert np.abs(legs.p - expm(q * t[:, None, None])).max() < 1e-10
    weight = luck.normal(size=q.shape)
    slope = adjoint(legs, weight)
    for i in range(0, len(q), 10):
        for a, b in moves:
            way = np.zeros((states, states))
            way[a, b], way[a, a] = t[i], -t[i]
            expected = (expm_frechet(q[i] * t[i], way, compute_expm=False) * weight[i]).sum()
            assert slope[i, a, b] - slope[i, a, a] == pytest.approx(expected, rel=1e-7, abs=1e-9)


def test_the_guarded_choice_takes_both_ways(luck: np.random.Generator) -> None:
    squared = {}
    for name, (moves, states, rates) in CASES.items():
        q, reach = generators(rates(luck), moves, states)
        squared[name] = legs_of(q, np.arange(len(q)), np.ones(len(q)), reach).squared / len(q)
    assert squared["defective"] == squared["nearly defective"] == squared["tiny"] == 1
    assert squared["complex eigenvalues"] < 0.1
    assert squared["ordinary"] < 0.1
    assert squared["stiff"] > 0


def test_eigenvectors_are_used_only_where_they_keep_the_digits_of_small_probabilities(
    luck: np.random.Generator,
) -> None:
    """The logarithm of every probability, against the way that subtracts nothing; stiff generators lost 5e-7 of it."""
    q, reach = generators(np.exp(luck.normal(0, 4, (4000, 7))), AROUND, 4)
    t = luck.uniform(0.05, 3, len(q))
    legs = legs_of(q, np.arange(len(q)), t, reach)
    assert legs.by_eigen.sum() > 100
    other = _squaring(q[legs.by_eigen] * t[legs.by_eigen, None, None])[0]
    p = legs.p[legs.by_eigen]
    assert np.abs(np.log(p[:, reach]) - np.log(other[:, reach])).max() < 1e-7


def test_small_probabilities_keep_their_digits() -> None:
    """Four moves in a time of 1e-4: t^4/24 with all rates 1, to first order in t; eigenvectors give rounding."""
    q, reach = generators(np.ones((1, 4)), FORWARD, 5)
    t = 1e-4
    p = legs_of(q, np.array([0]), np.array([t]), reach).p[0, 2, 3]
    assert p == pytest.approx(t**4 / 24 * (1 - 4 / 5 * t), rel=1e-7)


# --- the gradient


@pytest.fixture(scope="module")
def rich() -> PanelFit:
    """Covariates with shared effects, two periods, known entries, times of every length."""
    luck = generator(9, "synthetic")
    people, visits = 120, 5
    times = luck.uniform(0.05, 2, (people, visits)).cumsum(axis=1)
    frame = pd.DataFrame({"person": np.repeat(np.arange(people), visits), "time": times.ravel()})
    frame["x"], frame["w"] = luck.normal(40, 12, len(frame)), luck.integers(0, 2, len(frame))
    rates = {("a", "b"): 0.5, ("b", "a"): 0.4, ("a", "c"): 0.2, ("b", "c"): 0.3, ("c", "d"): 0.2, ("b", "d"): 0.1}
    made = simulate_panel(rates, frame, effects={("x", ("a", "b")): 0.01, ("w", ("b", "c")): 0.3}, exact=["d"], seed=2)
    return fit_panel(
        made,
        list(rates),
        covariates={"x": [("a", "b"), ("b", "a"), ("b", "c")], "w": list(rates)},
        constrain={"x": [[("a", "b"), ("b", "c")]], "w": "all", "cuts": [("a", "c"), ("b", "d")]},
        cuts=[2.0, 3.5],
        exact=["d"],
        starts=1,
    )


@pytest.mark.parametrize("away", [0.0, 0.3, 1.0], ids=["top", "near", "far"])
def test_the_gradient_equals_differences(rich: PanelFit, luck: np.random.Generator, away: float) -> None:
    """Central differences with a step of 1e-5 have errors of some 1e-10 of the value's size; far out P is made by
    squaring in part."""
    likelihood = rich.likelihood
    theta = rich.theta + away * luck.standard_normal(rich.model.size)
    value, slope = likelihood.gradient(theta)
    assert value == likelihood.value(theta)
    steps = 1e-5 * np.eye(len(theta))
    differences = [(likelihood.value(theta + step) - likelihood.value(theta - step)) / 2e-5 for step in steps]
    assert np.abs(slope - differences).max() < 1e-9 * abs(value) + 1e-7 * np.abs(slope).max()
    if away == 1:
        assert likelihood.ways(theta)["squaring"] > 0


def test_squaring_and_eigenvectors_give_the_same_likelihood_and_gradient(
    rich: PanelFit, monkeypatch: pytest.MonkeyPatch
) -> None:
    value, slope = rich.likelihood.gradient(rich.theta)
    assert rich.likelihood.ways(rich.theta)["eigen"] > 100
    monkeypatch.setattr("calibration.panel.matrices.MOST_CONDITION", 0.0)
    assert rich.likelihood.ways(rich.theta)["eigen"] == 0
    again, its = rich.likelihood.gradient(rich.theta)
    assert again == pytest.approx(value, rel=1e-12)
    assert its == pytest.approx(slope, abs=1e-8)


def test_chunks_change_nothing(rich: PanelFit, monkeypatch: pytest.MonkeyPatch) -> None:
    from calibration.panel import likelihood

    value, slope = rich.likelihood.gradient(rich.theta + 0.1)
    whole = likelihood.chunks_of
    monkeypatch.setattr(likelihood, "chunks_of", lambda *arguments: whole(*arguments, size=37))
    panel_ = rich.data
    first = panel_.first
    ends = panel_.time[first], panel_.time[first + 1]
    parts = likelihood.likelihood_of(rich.model, *ends, panel_.x[first], panel_.state[first], panel_.state[first + 1])
    assert len(parts.chunks) > 5
    again, its = parts.gradient(rich.theta + 0.1)
    assert again == pytest.approx(value, rel=1e-13)
    assert its == pytest.approx(slope, abs=1e-9)
    monkeypatch.setattr(likelihood, "chunks_of", lambda *arguments: whole(*arguments, size=5))
    times = np.linspace(1, 4, 30)
    p, of = likelihood.probabilities(rich.model, rich.theta, np.zeros(30), times, np.zeros((30, 2)))
    for i, t in enumerate(times):
        assert p[of[i]] == pytest.approx(rich.matrix(t, start_time=0.0).to_numpy(), abs=1e-13)


def test_the_standard_errors_are_those_of_second_differences_of_the_value(rich: PanelFit) -> None:
    """The curvature along a direction, from values alone, within the error of second differences (1e-4 squared and
    rounding over it)."""
    way = rich.theta_errors / len(rich.theta_errors)
    step = 0.1
    value = rich.likelihood.value
    bend = -(value(rich.theta + step * way) - 2 * value(rich.theta) + value(rich.theta - step * way)) / step**2
    assert bend == pytest.approx(way @ np.linalg.inv(rich.theta_covariance) @ way, rel=1e-3)

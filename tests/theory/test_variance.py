"""Luck and parameters told apart: the formulas on two-way tables of known components."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from sim.variance import INTERVALS, crossed, percentiles

TABLES = 20_000


def tables(
    draws: int, replicates: int, parameters: float, luck: float, both: float, seed: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return simulated tables (tables, draws, replicates) with mean 3, and the effects of the draws and of luck."""
    rng = np.random.default_rng(seed)
    of_draw = rng.normal(0, parameters, (TABLES, draws, 1))
    of_luck = rng.normal(0, luck, (TABLES, 1, replicates))
    values = 3 + of_draw + of_luck + rng.normal(0, both, (TABLES, draws, replicates))
    return values, of_draw, of_luck


def by_hand(x: np.ndarray) -> dict[str, float]:
    """Return the components of one table (draws, replicates), sum by sum."""
    draws, replicates = x.shape
    mean = sum(x.flat) / x.size
    rows, columns = [sum(r) / replicates for r in x], [sum(c) / draws for c in x.T]
    of_draw = replicates * sum((r - mean) ** 2 for r in rows) / (draws - 1)
    of_luck = draws * sum((c - mean) ** 2 for c in columns) / (replicates - 1)
    cells = ((d, r) for d in range(draws) for r in range(replicates))
    rest = sum((x[d, r] - rows[d] - columns[r] + mean) ** 2 for d, r in cells) / ((draws - 1) * (replicates - 1))
    within = sum(np.var(r, ddof=1) for r in x) / draws
    return {
        "estimate": mean,
        "se": (of_luck / (draws * replicates)) ** 0.5,
        "luck": within,
        "parameters": max((of_draw - rest) / replicates, 0.0),
    }


def test_the_components_are_those_of_the_textbook() -> None:
    values, _, _ = tables(5, 4, 1.0, 2.0, 0.5)
    found = crossed(values[:50])
    for i in range(50):
        for name, value in by_hand(values[i]).items():
            assert getattr(found, name)[i] == pytest.approx(value), name
    assert (found.parameters == 0).sum() < 25


COMPONENTS = [(20, 10, 1.0, 1.0, 0.5), (7, 10, 1.0, 0.5, 0.3), (20, 10, 0.3, 1.0, 0.3), (20, 4, 2.0, 1.0, 1.0)]
"""Draws, replicates, and the standard deviations of parameters, luck and both together: default comparisons, the draws
of one of three structures, and cases where one side is small."""


@pytest.mark.parametrize("known", COMPONENTS, ids=str)
def test_components_are_found_without_bias(known: tuple[int, int, float, float, float]) -> None:
    """The mean over simulated tables is within 2 standard errors of the truth, for all three components."""
    draws, replicates, parameters, luck, both = known
    values, of_draw, _ = tables(*known, seed=20)
    found = crossed(values)
    assert (found.parameters > 0).mean() > 0.99
    error = (found.estimate - of_draw.mean(axis=(1, 2)) - 3) ** 2
    for name, mean, truth in (
        ("parameters", found.parameters, parameters**2),
        ("luck", found.luck, luck**2 + both**2),
        ("computing error", found.se**2, luck**2 / replicates + both**2 / (draws * replicates)),
        ("computing error, seen", error, luck**2 / replicates + both**2 / (draws * replicates)),
    ):
        assert abs(mean.mean() - truth) < 2 * mean.std() / TABLES**0.5, name


@pytest.mark.parametrize("known", COMPONENTS, ids=str)
def test_the_limits_cover_what_they_name(known: tuple[int, int, float, float, float]) -> None:
    """93 to 97 % of another area, of another draw and of both lie inside; the standard error of a share is .0015."""
    _, _, parameters, luck, both = known
    values, of_draw, _ = tables(*known)
    found = crossed(values)
    rng = np.random.default_rng(2)
    drawn, lived = rng.normal(0, parameters, TABLES), rng.normal(0, np.hypot(luck, both), TABLES)
    now = of_draw.mean(axis=(1, 2))
    another = {
        "luck": 3 + now + lived,
        "parameters": found.estimate + drawn - now,
        "both": 3 + drawn + lived,
    }
    for name in INTERVALS:
        low, high = found.limits[name]
        inside = ((low <= another[name]) & (another[name] <= high)).mean()
        assert 0.93 < inside < 0.97, (name, inside)
    error = stats.t.ppf(0.975, values.shape[2] - 1) * found.se
    assert 0.93 < (abs(found.estimate - 3 - now) <= error).mean() < 0.97


def test_without_doubt_about_parameters_the_component_is_never_negative() -> None:
    values, _, _ = tables(20, 10, 0.0, 1.0, 0.5)
    found = crossed(values)
    none = found.parameters == 0
    assert 0.4 < none.mean() < 0.6
    low, high = found.limits["parameters"]
    assert (low[none] == found.estimate[none]).all()
    assert (high[none] == found.estimate[none]).all()
    np.testing.assert_allclose(found.limits["both"][0][none], found.limits["luck"][0][none])


def test_one_draw_is_the_prediction_interval_of_luck_alone() -> None:
    """estimate ± t(.975, n - 1) · sd · √(1 + 1/n), and nothing else."""
    values, _, _ = tables(1, 6, 0.0, 1.0, 0.0)
    found = crossed(values)
    sd = values[:, 0].std(axis=1, ddof=1)
    assert list(found.limits) == ["luck"]
    np.testing.assert_allclose(found.se, sd / 6**0.5)
    np.testing.assert_allclose(
        found.limits["luck"][1], values.mean(axis=(1, 2)) + stats.t.ppf(0.975, 5) * sd * (1 + 1 / 6) ** 0.5
    )
    assert np.isnan(found.parameters).all()


def test_one_replicate_tells_nothing_of_luck() -> None:
    found = crossed(np.array([[[1.0], [3.0]]]))
    assert found.estimate.tolist() == [2.0]
    assert np.isnan(
        [found.se, found.luck, found.parameters, *(end for ends in found.limits.values() for end in ends)]
    ).all()
    assert list(found.limits) == list(INTERVALS)
    assert list(percentiles(np.array([[[1.0], [3.0]]]), found)) == list(INTERVALS)


def test_equal_runs_have_no_width() -> None:
    found = crossed(np.zeros((2, 3, 4)))
    for ends in (*found.limits.values(), *percentiles(np.zeros((2, 3, 4)), found).values()):
        assert all((end == 0).all() for end in ends)


def test_percentiles_of_persons_follow_the_runs() -> None:
    """Skewed luck: both is the percentiles of all runs, luck those within a draw; no limit is below what can be."""
    rng = np.random.default_rng(5)
    values = rng.poisson(2, (200, 1, 10)) + rng.integers(0, 8, (200, 20, 1)).astype(float)
    found = crossed(values)
    limits = percentiles(values, found)
    np.testing.assert_allclose(limits["both"][0], [np.quantile(table, 0.025) for table in values])
    within = [np.mean([np.quantile(draw, 0.975) for draw in table]) for table in values]
    np.testing.assert_allclose(limits["luck"][1], within)
    assert min(low.min() for low, _ in limits.values()) >= 0
    width = [(limits[name][1] - limits[name][0]).mean() for name in ("luck", "parameters", "both")]
    assert all(a < b for a, b in pairwise(width))
    shifted = percentiles(values + 5, crossed(values + 5))
    np.testing.assert_allclose(shifted["parameters"][0], limits["parameters"][0] + 5)

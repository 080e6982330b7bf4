"""Scores of forecasts against theory, and against forecasts known to be better or worse."""

import numpy as np
import pytest
from scipy.special import gammaln
from scipy.stats import binom, multivariate_normal, norm

from calibration.samplers.seeds import generator, generators
from calibration.scores import Forecast, energy_score, log_densities


def normal(
    observed: np.ndarray, mean: np.ndarray, covariance: np.ndarray, draws: int = 4000, seed: int = 1
) -> Forecast:
    noise = generator(seed, "synthetic").standard_normal((draws, len(mean)))
    return Forecast(observed, np.tile(mean, (draws, 1)), covariance[None], noise)


def test_the_log_score_of_a_normal_forecast_is_its_log_density():
    covariance = np.array([[1.0, 0.4], [0.4, 0.5]])
    observed, mean = np.array([0.3, -0.2]), np.array([0.0, 0.1])
    found = normal(observed, mean, covariance, 10)
    assert found.log_score == pytest.approx(multivariate_normal(mean, covariance).logpdf(observed), abs=1e-12)
    expected = norm.logpdf(observed, mean, np.sqrt([1.0, 0.5]))
    assert found.marginal_log_scores == pytest.approx(expected, abs=1e-12)


def test_the_computing_error_of_the_log_score_is_its_spread_over_computations():
    """100 forecasts of 300 parts each: mean stated error over the spread found, itself known to 1/√200."""
    found = []
    for chance in generators(5, "synthetic", 100):
        means = chance.standard_normal((300, 2))
        found.append(Forecast(np.array([1.0, -1.0]), means, 0.1 * np.eye(2)[None], means))
    spread = np.std([f.log_score for f in found], ddof=1)
    assert np.mean([f.log_score_error for f in found]) / spread == pytest.approx(1, abs=4 / 200**0.5)


def test_the_log_score_of_a_mixture_is_the_log_of_the_mean_density():
    means = np.array([[0.0], [2.0]])
    covariances = np.array([[[1.0]], [[0.25]]])
    expected = np.log((norm.pdf(0.7) + norm.pdf(0.7, 2, 0.5)) / 2)
    assert log_densities(np.array([[0.7]]), means, covariances)[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("z", [0.0, 0.8, -2.5])
def test_the_energy_score_of_one_share_is_the_ranked_probability_score(z: float):
    """Closed form: z (2 Φ(z) - 1) + 2 φ(z) - 1/√π for a standard normal forecast."""
    exact = z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi)
    draws = generator(1, "synthetic").standard_normal((4000, 1))
    # |X - z| has a standard deviation below 1, and so have the pairs' means: 3 (1 + .5) / √4000.
    assert energy_score(np.array([z]), draws) == pytest.approx(exact, abs=0.071)


def test_the_energy_score_of_six_shares_at_the_centre_of_a_normal_forecast():
    """E|X| of d standard normals is √2 Γ((d+1)/2) / Γ(d/2), and E|X - X'| is √2 times that."""
    draws = generator(2, "synthetic").standard_normal((4000, 6))
    exact = np.sqrt(2) * np.exp(gammaln(3.5) - gammaln(3.0)) * (1 - np.sqrt(0.5))
    # Standard deviation of |X| is .69: 3 x (.69 + .5) / √4000.
    assert energy_score(np.zeros(6), draws) == pytest.approx(exact, abs=0.057)


@pytest.mark.parametrize(("shift", "width"), [(0.7, 1.0), (0.0, 2.0), (0.0, 0.5)])
def test_the_forecast_that_is_right_wins(shift: float, width: float):
    """Over 200 observations of three correlated shares, by more than three standard errors, in both scores."""
    covariance = np.array([[1.0, 0.3, 0.0], [0.3, 1.0, 0.3], [0.0, 0.3, 1.0]])
    root = np.linalg.cholesky(covariance)
    observed = generator(3, "synthetic").standard_normal((200, 3)) @ root.T
    apart = []
    for y in observed:
        right = normal(y, np.zeros(3), covariance, 250)
        wrong = normal(y, np.full(3, shift), width**2 * covariance, 250)
        apart.append([right.log_score - wrong.log_score, wrong.energy_score - right.energy_score])
    mean, error = np.mean(apart, axis=0), np.std(apart, axis=0, ddof=1) / np.sqrt(len(apart))
    assert (mean > 3 * error).all()


def test_intervals_of_a_calibrated_forecast_cover_as_often_as_they_say():
    """300 forecasts whose parts are draws of what the observation is a draw of; two-sided bounds at 1 in 1000."""
    chance = generator(4, "synthetic")
    inside = {0.5: 0, 0.9: 0}
    surprises = []
    for _ in range(300):
        centre = chance.standard_normal(1)
        observed = centre + chance.standard_normal(1) + 0.5 * chance.standard_normal(1)
        means = centre + chance.standard_normal((400, 1))
        forecast = Forecast(observed, means, np.array([[[0.25]]]), chance.standard_normal((400, 1)))
        for level in inside:
            inside[level] += int(forecast.covered(level)[0])
        surprises.append(forecast.surprise(20))
    for level, count in inside.items():
        low, high = binom(300, level).interval(0.999)
        assert low <= count <= high
    # Surprise is uniform for a forecast that is right: mean 1/2 with standard error 1/√12/√300.
    assert np.mean(surprises) == pytest.approx(0.5, abs=0.06)

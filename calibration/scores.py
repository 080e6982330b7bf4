"""Scores of probabilistic forecasts: a forecast is a mixture of normal distributions, one of each parameter draw.

Log score and energy score are proper: no forecaster expects a better one by saying something else than they believe
(Gneiting and Raftery 2007, Journal of the American Statistical Association 102).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from scipy.spatial.distance import pdist
from scipy.special import logsumexp
from scipy.stats import norm

LEVELS: Final = (0.5, 0.9)
"""Levels of the intervals whose coverage is counted."""


@dataclass(frozen=True)
class Forecast:
    """What is predicted of ``observed`` shares, shape (targets,).

    ``means`` (draws, targets) and ``covariances`` (draws or 1, targets, targets) are those of the mixture's parts;
    ``noise`` (draws, targets) holds standard normal numbers that make one prediction of each part.
    """

    observed: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    noise: np.ndarray

    @cached_property
    def predicted(self) -> np.ndarray:
        """Predictions, one of each part, shape (draws, targets)."""
        return self.means + (np.linalg.cholesky(self.covariances) @ self.noise[:, :, None])[:, :, 0]

    @cached_property
    def log_score(self) -> float:
        """Log density of what was observed, all targets together; the higher the better."""
        return float(log_densities(self.observed[None], self.means, self.covariances)[0])

    @cached_property
    def log_score_error(self) -> float:
        """Computing error of the log score: its standard error from so many parts, taken as independent."""
        heights = _Parts.of(self.means, self.covariances).log_densities(self.observed)
        density = np.exp(heights - heights.max())
        return float(density.std(ddof=1) / density.mean() / np.sqrt(len(density)))

    @cached_property
    def marginal_log_scores(self) -> np.ndarray:
        """Log density of each observed share by itself, shape (targets,)."""
        spread = np.sqrt(np.diagonal(self.covariances, axis1=1, axis2=2))
        parts = norm.logpdf(self.observed, self.means, spread)
        return np.asarray(logsumexp(parts, axis=0) - np.log(len(self.means)))

    @cached_property
    def energy_score(self) -> float:
        """Energy score of all targets together; see :func:`energy_score`."""
        return energy_score(self.observed, self.predicted)

    def limits(self, level: float) -> np.ndarray:
        """Return the limits that hold ``level`` of the predictions in their middle, shape (2, targets)."""
        return np.quantile(self.predicted, [(1 - level) / 2, (1 + level) / 2], axis=0)

    def covered(self, level: float) -> np.ndarray:
        """Tell which observed shares lie inside those limits, shape (targets,)."""
        low, high = self.limits(level)
        return np.asarray((self.observed >= low) & (self.observed <= high))

    def surprise(self, trials: int = 200) -> float:
        """Return how often a forecast that is right would score as badly, from ``trials`` of its own predictions.

        Near 0 the forecast was too sure of itself or wrong; it is a share of ``trials``, so 0 means below 1 in 200.
        """
        chosen = (np.arange(trials) * len(self.means)) // trials
        own = log_densities(self.predicted[chosen], self.means, self.covariances)
        return float((own <= self.log_score).mean())


def log_densities(observed: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    """Return log densities of ``observed`` (points, targets) under the mixture of normals, shape (points,).

    The log of the mean over the parts' densities; ``means`` (parts, targets), ``covariances`` (parts or 1, targets,
    targets).
    """
    parts = _Parts.of(means, covariances)
    return np.array([logsumexp(parts.log_densities(point)) - np.log(len(means)) for point in observed])


class _Parts(NamedTuple):
    """The parts of a mixture made ready for many points: whitening matrices, whitened means, logs of their sizes."""

    whitening: np.ndarray
    centre: np.ndarray
    size: np.ndarray

    @classmethod
    def of(cls, means: np.ndarray, covariances: np.ndarray) -> _Parts:
        whitening = np.linalg.inv(np.linalg.cholesky(covariances))
        size = np.log(np.diagonal(whitening, axis1=1, axis2=2)).sum(axis=1) - 0.5 * means.shape[1] * np.log(2 * np.pi)
        return cls(whitening, (whitening @ means[:, :, None])[:, :, 0], size)

    def log_densities(self, point: np.ndarray) -> np.ndarray:
        """Return the log density of each part at a point, shape (parts,)."""
        return np.asarray(self.size - 0.5 * ((self.whitening @ point - self.centre) ** 2).sum(axis=1))


def energy_score(observed: np.ndarray, predicted: np.ndarray) -> float:
    """Return E|X - y| - E|X - X'|/2 with the Euclidean distance, in the unit of the shares; the lower the better.

    ``observed`` is y, shape (targets,), ``predicted`` are draws of X, shape (draws, targets). The second mean is over
    pairs of different draws, so that the score does not depend on their number on average. With one target it is the
    continuous ranked probability score.
    """
    near = np.sqrt(((predicted - observed) ** 2).sum(axis=1)).mean()
    return float(near - 0.5 * pdist(predicted).mean())

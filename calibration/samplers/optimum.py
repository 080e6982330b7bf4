"""Optima of a log density from many starts, and its curvature there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import minimize

LogDensity = Callable[[np.ndarray], np.ndarray]
"""Points on the unconstrained scale (points, parameters) -> log densities (points,), -inf where impossible."""

_GRADIENT_STEP: Final = 1e-4
_HESSIAN_STEP: Final = 1e-3
_LEAST_INFORMATION: Final = 1e-2
"""Curvature given to directions that have less: a standard deviation of 10 on a log scale says "unknown"."""
_IMPOSSIBLE: Final = 1e100
_SAME: Final = 1e-2
"""Log densities closer than this belong to the same optimum when the points are close, too."""


@dataclass(frozen=True)
class Optimum:
    """A highest point: where, how high, and the covariance of the normal distribution with the same curvature there."""

    z: np.ndarray
    log_density: float
    covariance: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """Standard errors on the unconstrained scale, shape (parameters,)."""
        return np.sqrt(np.diag(self.covariance))


def gradient(density: LogDensity, z: np.ndarray) -> np.ndarray:
    """Return the gradient of ``density`` at point ``z`` by central differences, all made in one call.

    NaN in directions where the density is nil on either side.
    """
    steps = _GRADIENT_STEP * np.eye(len(z))
    found = density(np.concatenate([z + steps, z - steps]))
    found = np.where(np.isfinite(found), found, np.nan)
    return np.asarray((found[: len(z)] - found[len(z) :]) / (2 * _GRADIENT_STEP))


def hessian(density: LogDensity, z: np.ndarray) -> np.ndarray:
    """Return the matrix of second derivatives of ``density`` at ``z`` by central differences, all made in one call."""
    steps = _HESSIAN_STEP * np.eye(len(z))
    first, second = np.triu_indices(len(z))
    signs = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    points = np.concatenate([z + a * steps[first] + b * steps[second] for a, b in signs])
    up, across, back, down = density(points).reshape(4, -1)
    found = np.empty((len(z), len(z)))
    found[first, second] = found[second, first] = (up - across - back + down) / (4 * _HESSIAN_STEP**2)
    return found


def covariance(density: LogDensity, z: np.ndarray) -> np.ndarray:
    """Return the inverse of the curvature of ``density`` at an optimum ``z``, shape (parameters, parameters)."""
    information, axes = np.linalg.eigh(-hessian(density, z))
    return np.asarray((axes / np.maximum(information, _LEAST_INFORMATION)) @ axes.T)


def climb(density: LogDensity, start: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the highest point reached from ``start`` by quasi-Newton steps, and the log density there."""

    def height(z: np.ndarray) -> float:
        found = float(density(z[None])[0])
        return -found if np.isfinite(found) else _IMPOSSIBLE

    def slope(z: np.ndarray) -> np.ndarray:
        return -np.nan_to_num(gradient(density, z))

    best = minimize(height, start, jac=slope, method="BFGS", options={"gtol": 1e-6, "maxiter": 500})
    return np.asarray(best.x), -float(best.fun)


def optima(density: LogDensity, starts: np.ndarray) -> list[Optimum]:
    """Return the distinct optima reached from ``starts`` (starts, parameters), highest first.

    Raises ``ValueError`` when every start lies where the density is nil.
    """
    possible = starts[np.isfinite(density(starts))]
    if not len(possible):
        raise ValueError("the density is nil at every start")
    found = sorted((climb(density, start) for start in possible), key=lambda one: -one[1])
    kept: list[Optimum] = []
    for z, log_density in found:
        if all(abs(o.log_density - log_density) > _SAME or np.abs(o.z - z).max() > 10 * _SAME for o in kept):
            kept.append(Optimum(z, log_density, covariance(density, z)))
    return kept

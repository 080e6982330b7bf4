"""The profile likelihood of a rate: how well the data can be met with the rate held elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import chi2

from sim.errors import InputError, Problem

from .ascent import climb
from .design import whole_numbers

if TYPE_CHECKING:
    from .results import PanelFit

_FIRST: Final = 1.0
"""First step outward in log units where there is no standard error."""
_LONGEST: Final = 3.0
"""Longest step outward in log units."""
_MOST: Final = 1e6
_FARTHEST: Final = 35.0
"""Log units beyond which a limit is not sought: a factor of a thousand million million."""


@dataclass(frozen=True)
class Profile:
    """The profile of a rate: the estimate, limits (0 or inf where the data set none), and the points drawn.

    ``table`` has columns rate and deviance: twice the loss of log likelihood with all else refitted; limits lie where
    it crosses ``threshold``.
    """

    estimate: float
    low: float
    high: float
    threshold: float
    table: pd.DataFrame


def profile(fit: PanelFit, a: object, b: object, points: int, period: int, level: float) -> Profile:
    """Return the profile likelihood of the rate from ``a`` to ``b`` at the covariate means, with its interval.

    At each value all other parameters are refitted from those of the value beside it. The table has ``points`` spread
    evenly from outside the limits, the estimate and the limits. Unlike ``interval`` this needs no curvature, so it
    holds where a rate runs to nil.
    """
    if not 0 < level < 1:
        raise InputError([Problem("panel_level", key="level", values={"value": level})])
    whole_numbers(points=(points, 1))
    model, likelihood = fit.model, fit.likelihood
    number = int(model.base[model.move(a, b), model.period(period)])
    free = np.arange(model.size) != number
    threshold = float(chi2.ppf(level, 1))
    guess = np.where(np.isfinite(fit.theta_errors), 1 / np.maximum(fit.theta_errors, 1e-6) ** 2, 1.0)
    near = {float(fit.theta[number]): fit.theta}
    highest = -fit.minus2loglik / 2

    def deviance(log_rate: float) -> float:
        close = min(near, key=lambda one: abs(one - log_rate))
        held = near[close].copy()
        held[number] = log_rate
        top = climb(likelihood.gradient, held, guess, free)
        near[log_rate] = top.theta
        return 2 * (highest - top.value) if np.isfinite(top.value) else np.inf

    middle, error = float(fit.theta[number]), float(fit.theta_errors[number])
    step = error if np.isfinite(error) and error > 0 else _FIRST
    low, high = (_limit(deviance, middle, way * step, threshold) for way in (-1, 1))
    left = max(low, middle - 4 * step if np.isinf(low) else low)
    right = min(high, middle + 4 * step if np.isinf(high) else high)
    even = np.linspace(left - 0.15 * (right - left), right + 0.15 * (right - left), points)
    grid = np.unique(np.r_[even, [one for one in (low, middle, high) if np.isfinite(one)]])
    heights = np.array([deviance(one) for one in sorted(grid, key=lambda one: abs(one - middle))])
    order = np.argsort(np.argsort(np.abs(grid - middle), kind="stable"), kind="stable")
    table = pd.DataFrame({"rate": np.exp(grid), "deviance": heights[order]})
    return Profile(float(np.exp(middle)), float(np.exp(low)), float(np.exp(high)), threshold, table)


def _limit(deviance: Callable[[float], float], middle: float, step: float, threshold: float) -> float:
    """Return where the deviance crosses the threshold on one side, or an endless value when it does not."""
    inside = middle
    while abs(inside - middle) < _FARTHEST:
        outside = inside + step
        if deviance(outside) >= threshold:
            # Where the rate is impossible the deviance has no end; a large number brackets as well.
            return float(brentq(lambda at: min(deviance(at), _MOST) - threshold, inside, outside, xtol=1e-4))
        inside, step = outside, float(np.clip(2 * step, -_LONGEST, _LONGEST))
    return -np.inf if step < 0 else np.inf

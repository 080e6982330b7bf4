"""The highest point of a log likelihood from a start: quasi-Newton steps, then Newton's with the curvature found there.

Everything is on the log scale, so a step of 2 multiplies a rate by seven: no step is longer. How far there is left to
go is told by the gain that a full step promises, in units of the log likelihood, whatever the parameters' units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

Gradient = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""Parameters -> log likelihood (-inf where impossible) and its gradient."""

LONGEST: Final = 2.0
"""Largest change of a parameter in one step."""
GAIN: Final = 1e-8
"""A full step that promises less is the end."""
MOST_STEPS: Final = 500
_ENOUGH: Final = 1e-4
_HALVINGS: Final = 30


@dataclass(frozen=True)
class Top:
    """Where a climb ended: parameters, log likelihood, gradient, evaluations, and whether a top was reached, where a
    full step promises less than ``GAIN``."""

    theta: np.ndarray
    value: float
    slope: np.ndarray
    evaluations: int
    converged: bool


def climb(gradient: Gradient, start: np.ndarray, information: np.ndarray, free: np.ndarray | None = None) -> Top:
    """Return the highest point reached from ``start`` (parameters,) by quasi-Newton (BFGS) steps.

    ``information`` (parameters,) is a guess of minus the curvature, to begin with; only ``free`` parameters move.
    """
    moving = np.flatnonzero(np.ones(len(start), dtype=bool) if free is None else free)
    first = np.diag(1 / np.maximum(information[moving], 1e-8))
    inverse, theta, fresh = first, start.copy(), True
    value, slope = gradient(theta)
    evaluations = 1
    if not np.isfinite(value):
        return Top(theta, value, slope, evaluations, False)
    for _ in range(MOST_STEPS):
        mine = slope[moving]
        way = inverse @ mine
        promised = float(way @ mine)
        if promised < GAIN:
            if fresh or promised >= 0:
                return Top(theta, value, slope, evaluations, True)
            inverse, fresh = first, True
            continue
        length = min(1.0, LONGEST / float(np.abs(way).max()))
        for _ in range(_HALVINGS):
            tried = theta.copy()
            tried[moving] += length * way
            found, its = gradient(tried)
            evaluations += 1
            if _better(found, value, length * promised, its[moving], mine):
                break
            length /= 2 if not np.isfinite(found) else _shrink(found - value, length * promised)
        else:
            if fresh:
                return Top(theta, value, slope, evaluations, promised < 1e-4)
            inverse, fresh = first, True
            continue
        step, bend = tried[moving] - theta[moving], mine - its[moving]
        theta, value, slope = tried, found, its
        turn = float(step @ bend)
        if turn > 1e-10 * float(np.linalg.norm(step) * np.linalg.norm(bend)):
            if fresh:
                inverse = first * max(turn / float(bend @ first @ bend), 1e-6)
            across = np.eye(len(moving)) - np.outer(step, bend) / turn
            inverse, fresh = across @ inverse @ across.T + np.outer(step, step) / turn, False
    return Top(theta, value, slope, evaluations, False)


def _better(found: float, value: float, promised: float, slope: np.ndarray, before: np.ndarray) -> bool:
    """Tell whether a step is good enough: part of the promised gain, or, below rounding, a flatter place."""
    if not np.isfinite(found):
        return False
    noise = 1e-13 * abs(value)
    if promised < 100 * noise:
        return found > value - 10 * noise and bool(np.linalg.norm(slope) <= np.linalg.norm(before))
    return found >= value + _ENOUGH * promised


def _shrink(gain: float, promised: float) -> float:
    """Return what to divide a step by: to the top of the parabola through what is known, within 2 and 10."""
    bend = 2 * (promised - gain) / promised
    return float(np.clip(bend, 2, 10))


def polished(
    gradient: Gradient, hessian: Callable[[np.ndarray], np.ndarray], top: Top, least: float
) -> tuple[Top, np.ndarray]:
    """Return the top after Newton's steps, with minus the second derivatives there (parameters, parameters).

    Directions with less information than ``least`` are left where they are. The curvature is made anew when a step was
    long enough to change it.
    """
    information = -hessian(top.theta)
    for _ in range(8):
        values, axes = np.linalg.eigh(information)
        told = values > least
        along = axes[:, told].T @ top.slope
        promised = float((along**2 / values[told]).sum())
        if promised < GAIN * 1e-2 or not told.any():
            break
        way = axes[:, told] @ (along / values[told])
        length = min(1.0, LONGEST / float(np.abs(way).max()))
        found, slope = gradient(top.theta + length * way)
        if not _better(found, top.value, length * promised, slope, top.slope):
            break
        top = Top(top.theta + length * way, found, slope, top.evaluations + 1, True)
        if promised > 1e-3:
            information = -hessian(top.theta)
    return top, information

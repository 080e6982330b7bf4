"""Nested sampling (dynesty, extra ``research``): an independent second opinion on a posterior, with its evidence."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sim.errors import InputError, Problem

from .seeds import generator


class Nested(NamedTuple):
    """Equally weighted draws on the unconstrained scale, and the log evidence with its standard error."""

    draws: np.ndarray
    log_evidence: float
    error: float


def sample_nested(
    log_likelihood: Callable[[np.ndarray], np.ndarray],
    from_unit: Callable[[np.ndarray], np.ndarray],
    parameters: int,
    seed: int,
    live_points: int = 500,
) -> Nested:
    """Sample a posterior by nested sampling.

    ``log_likelihood`` takes points of the unconstrained scale (points, parameters); ``from_unit`` carries the unit cube
    (parameters,) to the prior on that scale. Raises ``InputError`` when dynesty is not installed.
    """
    try:
        import dynesty
    except ImportError as error:
        raise InputError([Problem("extra_missing", values={"library": "dynesty", "extra": "research"})]) from error

    def height(z: np.ndarray) -> float:
        return float(max(log_likelihood(z[None])[0], -1e300))

    chance = generator(seed, "nested")
    sampler = dynesty.NestedSampler(height, from_unit, parameters, nlive=live_points, rstate=chance)
    sampler.run_nested(print_progress=False)
    found = sampler.results
    return Nested(found.samples_equal(rstate=chance), float(found.logz[-1]), float(found.logzerr[-1]))

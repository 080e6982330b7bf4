"""How many people a number of places can take in: renewal theory of a place that is filled again when it falls vacant.

A place takes one person at once and another whenever a stay ends, so its admissions are one more than the renewals up
to the horizon. Stays are gamma distributed with a mean and a coefficient of variation: 0 when all are equal, 1 when
they are memoryless, which is what a constant hazard of leaving gives.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .sources import evidence

VARIATIONS = (1.0, 0.5, 0.0)
"""Coefficients of variation of the figure: memoryless, in between, all equal."""
MONTHS = 24
"""Months from the start of the course of source 001 to its goal (evidence ``s001_milestone_visited_2021``)."""


def renewals(horizon: float, mean: float, variation: float) -> float:
    """Return how often a stay is expected to end within ``horizon`` months at one place that is always filled again.

    >>> renewals(24, 12, 0)
    2.0
    >>> round(renewals(24, 12, 1), 9)
    2.0
    """
    from scipy.special import gammainc

    if variation == 0:
        return float(np.floor(horizon / mean + 1e-12))
    shape, scale = variation**-2, mean * variation**2
    # The nth stay ends before the horizon with a chance that is past every doubt far beyond the expected number.
    stays = np.arange(1, int(np.ceil(4 * horizon / mean + 40 * (1 + variation**2))))
    return float(gammainc(shape * stays, horizon / scale).sum())


def admissions(places: float, horizon: float, mean: float, variation: float) -> float:
    """Return how many people ``places`` are expected to take in by month ``horizon``, all filled at month 0."""
    return places * (1 + renewals(horizon, mean, variation))


def longest_mean_stay(places: float, horizon: float, wanted: float, variation: float) -> float:
    """Return the longest mean stay, in months, with which ``wanted`` people are taken in by month ``horizon``.

    >>> round(longest_mean_stay(35, 24, 100, 1), 1)
    12.9

    Raises ``ValueError`` when the places take in as many without anybody leaving.
    """
    from scipy.optimize import bisect

    if wanted <= places:
        raise ValueError("the places take in as many at once")

    # Admissions fall as stays grow; equal stays make them fall in steps, of which bisection finds the right one.
    def missing(mean: float) -> float:
        return -1.0 if admissions(places, horizon, mean, variation) >= wanted - 1e-9 else 1.0

    shortest = horizon / (2 + 2 * wanted / places)
    return float(bisect(missing, shortest, 2 * horizon * max(1.0, places / (wanted - places)), xtol=1e-9))


def sweep(
    means: Sequence[float] | np.ndarray,
    places: float,
    horizon: float = MONTHS,
    variations: Sequence[float] = VARIATIONS,
) -> pd.DataFrame:
    """Return the expected admissions by mean stay and variation, columns variation, mean_stay and admissions."""
    rows = [(v, float(mean), admissions(places, horizon, mean, v)) for v in variations for mean in means]
    return pd.DataFrame(rows, columns=["variation", "mean_stay", "admissions"])


def of_source_001() -> tuple[float, float]:
    """Return the places of source 001 and the admissions it wants by ``MONTHS``: 35 women at a time, 100 in all."""
    return float(evidence("s001_caseload")["value"]), float(evidence("s001_milestone_visited_2021")["value"])

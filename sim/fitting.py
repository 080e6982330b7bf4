"""Distributions fitted to marginals, and low-discrepancy places in them. Numbers only, no science."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

GOLDEN = 0.6180339887498949
"""Fractional part of the golden ratio: its multiples fill the unit interval most evenly."""

SOFTNESS = 1e-8
"""Variance, in squared shares, that :func:`rake` allows every marginal, so that marginals which contradict each other
are met halfway instead of refused; it moves those that agree by less than 1e-6."""


def spread(size: int, dimension: int) -> np.ndarray:
    """Return ``size`` evenly spread points of the unit cube, shape (size, dimension): multiples of roots of primes."""
    primes = np.array([2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61], dtype=float)
    return (np.arange(size)[:, None] + 0.5) * np.sqrt(primes[:dimension]) % 1.0


GRID = 2.0**-20
"""The logs of the factors are rounded to this, so that the last digits of the linear algebra, which differ between
machines and numbers of threads, cannot move a household."""


def _solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the solution of a linear system; sparse, since dense solvers start threads and wait for them."""
    from scipy.sparse import csc_array
    from scipy.sparse.linalg import spsolve

    return spsolve(csc_array(matrix), right)


def rake(weight: np.ndarray, features: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the weights nearest to ``weight`` (Kullback-Leibler) whose totals of ``features`` are ``target``.

    ``weight`` has shape (cells,), ``features`` (cells, marginals), ``target`` (marginals,). This is what iterative
    proportional fitting converges to in its household form: every weight is the given one times one factor a marginal,
    raised to the number of times the household counts there. The factors are found by Newton steps on the dual, which
    takes a dozen steps where the sweeps take thousands.
    """
    from scipy.sparse import csr_array

    sparse = csr_array(features)
    turned = sparse.T.tocsr()
    log = np.log(weight)
    factors = np.zeros(len(target))

    def dual(factors: np.ndarray) -> tuple[float, np.ndarray]:
        with np.errstate(over="ignore"):
            fitted = np.exp(log + sparse @ factors)
        return float(fitted.sum() - target @ factors + SOFTNESS / 2 * factors @ factors), fitted

    value, fitted = dual(factors)
    for _ in range(100):
        slope = turned @ fitted - target + SOFTNESS * factors
        curvature = (turned @ sparse.multiply(fitted[:, None]).tocsr()).toarray()
        curvature[np.diag_indices_from(curvature)] += SOFTNESS
        step = _solve(curvature, slope)
        length, gain = 1.0, float(slope @ step)
        while True:
            tried, weights = dual(factors - length * step)
            if tried <= value - 1e-4 * length * gain or gain < 1e-18 or length < 1e-9:
                break
            length /= 2
        factors = factors - length * step
        value, fitted = tried, weights
        if gain < 1e-24:
            break
    return dual(np.rint(factors / GRID) * GRID)[1]


def joint(seed: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return ``seed`` scaled by iterative proportional fitting to the totals ``rows`` and ``columns``."""
    table = seed * 1.0
    for _ in range(500):
        table *= (rows / np.maximum(table.sum(axis=1), 1e-300))[:, None]
        table *= columns / np.maximum(table.sum(axis=0), 1e-300)
        if np.abs(table.sum(axis=1) - rows).max() < 1e-12:
            break
    return table


def smoothest(limits: Sequence[int], totals: Sequence[float]) -> np.ndarray:
    """Return one value a year from ``limits[0]`` up to ``limits[-1]``, as smooth as the band totals allow.

    Least sum of squared second differences, falling to nil after the last year; ``totals`` has one entry a band.
    """
    from scipy.sparse import csr_array

    years = limits[-1] - limits[0]
    bend = csr_array(np.diff(np.vstack([np.eye(years), np.zeros((2, years))]), n=2, axis=0))
    bands = np.zeros((len(totals), years))
    for band, (low, high) in enumerate(pairwise(limits)):
        bands[band, low - limits[0] : high - limits[0]] = 1
    system = np.block([[(bend.T @ bend).toarray(), bands.T], [bands, np.zeros((len(totals), len(totals)))]])
    curve = _solve(system, np.concatenate([np.zeros(years), totals]))[:years]
    return np.maximum(curve, 1e-7)


def rank(group: np.ndarray, groups: int) -> np.ndarray:
    """Return for each entry how many earlier entries have the same ``group`` (codes below ``groups`` <= 65,536)."""
    order = np.argsort(group.astype(np.uint16), kind="stable")
    counts = np.bincount(group, minlength=groups)
    found = np.empty(len(group), dtype=np.int64)
    found[order] = np.arange(len(group)) - np.repeat(np.cumsum(counts) - counts, counts)
    return found


def pick(limits: np.ndarray, group: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Return the cell, uint8, at ``position`` in [0, 1) of each entry's row of cumulated shares ``limits``.

    ``limits`` has shape (groups, cells), its rows ending at 1.
    """
    cell = np.zeros(len(group), dtype=np.uint8)
    for column in np.ascontiguousarray(limits[:, :-1].T):
        cell += position >= column[group]
    return cell


def cumulated(shares: np.ndarray) -> np.ndarray:
    """Return rows of ``shares`` summed up from the left, each scaled to end at 1."""
    limits = np.cumsum(shares, axis=-1)
    return limits / limits[..., -1:]

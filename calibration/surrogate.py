"""A fast stand-in for exact shares near a posterior, and the posterior it gives: sampled fast, then corrected exactly.

The exact shares are smooth in the parameters, so over the region a posterior covers a polynomial of low degree
gives them back to a small part of their errors, a hundred times faster. Ensembles are sampled on it until the usual
rules hold; then an independence Metropolis step on the exact density decides, draw by draw, which of them stay. The
draws that come out are those of the exact posterior whatever the polynomial is worth; a poor one only repeats draws,
and ``Posterior.exact`` says how much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Final

import numpy as np

from .likelihood import Problem
from .posterior import DRAWS, Posterior
from .priors import values_of
from .samplers.ensemble import Rules, Sample, dispersed, sample
from .samplers.optimum import Optimum
from .samplers.seeds import generators

DEGREE: Final = 3
DEGREE_OF_FEW: Final = 4
"""Of the polynomial, and of one in so few parameters that more terms cost nothing."""
_FEW: Final = 5
PER_TERM: Final = 4
"""Exact evaluations a coefficient of the polynomial, in each of the rounds."""
ROUNDS: Final = 2
"""The first polynomial is fitted around the optimum, the next ones where the posterior of the one before is, too."""
LEAST_EXACT: Final = 0.9
"""Least share of draws that must be worth an exact one; below it the posterior does not count as converged."""
_WIDER: Final = (1.3, 1.15)
"""How much wider than the normal approximation, and than the posterior found, the points lie."""
_SCOUTS: Final = Rules(lengths=10, effective=400, r_hat=1.1, block=250, most_steps=2000)
"""Rules of the ensembles that only find the next round's points."""
_LOWEST: Final = -1e9


@lru_cache(maxsize=32)
def _terms(parameters: int) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Return how products of factors grow by one factor at a time: which product, and times which (factor 0 is 1)."""
    degree = DEGREE if parameters > _FEW else DEGREE_OF_FEW
    before = list(combinations_with_replacement(range(parameters + 1), 1))
    steps = []
    for factors in range(2, degree + 1):
        place = {product: at for at, product in enumerate(before)}
        before = list(combinations_with_replacement(range(parameters + 1), factors))
        steps.append((np.array([place[product[:-1]] for product in before]), np.array([p[-1] for p in before])))
    return tuple(steps)


@dataclass(frozen=True)
class Surrogate:
    """Shares as polynomials of the parameters: called as ``Problem.joint`` is.

    ``centre`` and ``scale`` (parameters, parameters) turn natural units into uncorrelated ones; ``coefficients`` have
    the shape (terms, numbers of a draw), and ``shape`` is that of what a draw gives.
    """

    centre: np.ndarray
    scale: np.ndarray
    coefficients: np.ndarray
    shape: tuple[int, ...]

    @classmethod
    def through(cls, values: np.ndarray, shares: np.ndarray) -> Surrogate:
        """Return the least-squares polynomial through exact ``shares`` (points, ...) at ``values``."""
        centre = values.mean(axis=0)
        scale = np.linalg.inv(np.linalg.cholesky(np.cov(values, rowvar=False)))
        terms = _features(centre, scale, values)
        found, *_ = np.linalg.lstsq(terms.T, shares.reshape(len(shares), -1), rcond=None)
        return cls(centre, scale, found, shares.shape[1:])

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return shares, shape (draws, ...), of ``values`` (draws, parameters)."""
        found = self.coefficients.T @ _features(self.centre, self.scale, np.asarray(values))
        return np.ascontiguousarray(found.T).reshape(-1, *self.shape)


def _features(centre: np.ndarray, scale: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return every product of as many parameters as the degree, or fewer, shape (terms, draws)."""
    factors = np.vstack([np.ones((1, len(values))), scale @ (values - centre).T])
    found = factors
    for product, factor in _terms(len(centre)):
        found = found[product] * factors[factor]
    return found


def _number(parameters: int) -> int:
    """Return how many points a round adds."""
    return PER_TERM * len(_terms(parameters)[-1][0])


def fit_with_surrogate(
    problem: Problem,
    found: Sequence[Optimum],
    seed: int = 1,
    *,
    ensembles: int = 4,
    walkers: int = 32,
    draws: int = DRAWS,
    rules: Rules | None = None,
    workers: int = 1,
    folder: Path | None = None,
    progress: str = "",
) -> Posterior:
    """Sample the posterior of ``problem`` on a polynomial around the optima ``found``, best first, corrected exactly.

    Same arguments as :func:`calibration.posterior.fit_posterior`; ``progress`` names the bars on stderr. ``draws`` are
    spread evenly over the ``ensembles``, ensemble after ensemble, and the diagnostics are those of the ensembles.
    """
    best = found[0]
    luck = generators(seed, "surrogate", ROUNDS + 2)
    number = _number(len(best.z))
    widths = np.linalg.cholesky(best.covariance)
    points = best.z + _WIDER[0] * luck[0].standard_normal((number, len(best.z))) @ widths.T
    places, shares = np.zeros((0, len(best.z))), None
    for at in range(ROUNDS):
        made = problem.joint(values_of(problem.priors, points))
        places = np.concatenate([places, points])
        shares = made if shares is None else np.concatenate([shares, made])
        sound = np.isfinite(shares).reshape(len(shares), -1).all(axis=1)
        fast = replace(problem, joint=Surrogate.through(values_of(problem.priors, places[sound]), shares[sound]))
        if at + 1 < ROUNDS:
            starts = dispersed(found, 2, walkers, luck[at + 1], fast.log_posterior)
            there = sample(fast.log_posterior, starts, seed, rules=_SCOUTS).flat
            there = there[luck[at + 1].choice(len(there), number)]
            points = there.mean(axis=0) + _WIDER[1] * (there - there.mean(axis=0))
    starts = dispersed(found, ensembles, walkers, luck[ROUNDS], fast.log_posterior)
    made_by = sample(fast.log_posterior, starts, seed, rules=rules, workers=workers, folder=folder, progress=progress)
    return _corrected(problem, fast, made_by, found, draws, luck[ROUNDS + 1], seed)


def _corrected(
    problem: Problem,
    fast: Problem,
    made: Sample,
    found: Sequence[Optimum],
    draws: int,
    luck: np.random.Generator,
    seed: int,
) -> Posterior:
    """Return ``draws`` of the exact posterior: those of the fast one, proposed in turn to a Metropolis step each."""
    ensembles, parameters = made.chain.shape[0], made.chain.shape[-1]
    each = made.chain.reshape(ensembles, -1, parameters)
    number = min(draws // ensembles, each.shape[1])
    # In random order, so that proposals are exchangeable and rows of several posteriors can be joined side by side.
    proposed = np.stack([luck.permutation(one)[:number] for one in each])
    flat = proposed.reshape(-1, parameters)
    weight = problem.log_posterior(flat) - fast.log_posterior(flat)
    weight = np.where(np.isfinite(weight), weight, _LOWEST).reshape(ensembles, number)
    relative = np.exp(weight - weight.max())
    exact = float(relative.sum() ** 2 / (relative**2).sum() / relative.size)
    dice = np.log(luck.random((ensembles, number)))
    chosen = np.zeros((ensembles, number), dtype=int)
    every = np.arange(ensembles)
    # Begins with the draw of median weight, so that no ensemble is stuck where the polynomial is worst.
    now = np.argsort(weight, axis=1)[:, number // 2]
    for at in range(number):
        now = np.where(dice[:, at] < weight[:, at] - weight[every, now], at, now)
        chosen[:, at] = now
    z = proposed[every[:, None], chosen].reshape(-1, parameters)
    diagnostics = made.diagnostics._replace(
        effective=exact * made.diagnostics.effective,
        converged=made.diagnostics.converged and exact >= LEAST_EXACT,
    )
    return Posterior(problem, z, tuple(found), diagnostics, made.steps, seed, exact)

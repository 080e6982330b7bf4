"""Independence sampling: proposals from a wide bell over the whole posterior, none of them near where a chain stands.

Where a posterior is not far from normal this mixes in a few steps, and all proposals of a block are computed at once.
What the bell misses in shape shows as a long autocorrelation and a large R-hat, under the same rules as an ensemble.
Tierney (1994), Annals of Statistics 22.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from .ensemble import Rules, Sample, diagnose
from .optimum import LogDensity, Optimum

_FREEDOM: Final = 20
"""Degrees of freedom of the bell (multivariate t), whose tails are thicker than a normal posterior's."""
_WIDER: Final = 1.15
"""The bell's scale over that of the posterior; measured: acceptance 25-65 % with 10 to 13 parameters."""


class _Bell:
    """A multivariate t distribution around ``centre`` with the scale of ``covariance``."""

    def __init__(self, centre: np.ndarray, covariance: np.ndarray) -> None:
        self.centre = centre
        self.root = _WIDER * np.linalg.cholesky(covariance)

    def draw(self, generator: np.random.Generator, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return points (number, parameters) and their log densities up to a constant (number,)."""
        size = len(self.centre)
        scale = generator.chisquare(_FREEDOM, number) / _FREEDOM
        standard = generator.standard_normal((number, size)) / np.sqrt(scale)[:, None]
        height = -0.5 * (_FREEDOM + size) * np.log1p((standard**2).sum(axis=1) / _FREEDOM)
        return self.centre + standard @ self.root.T, height


def sample_around(
    density: LogDensity,
    optimum: Optimum,
    generator: np.random.Generator,
    *,
    rules: Rules | None = None,
    ensembles: int = 4,
    chains: int = 4,
    adapt: tuple[int, ...] = (2000, 2000, 4000),
) -> Sample:
    """Sample ``density`` with ``ensembles`` times ``chains`` independent chains until the rules hold.

    The bell begins at ``optimum``; after each of ``adapt`` proposals it takes mean and covariance of what was accepted,
    and then it stays as it is: only proposals after that are kept, so the chains are exact. Each chain begins at a draw
    of the bell's own, which is wider than the posterior.

    Look at ``diagnostics.converged``: the rules may not hold after ``rules.most_steps``.
    """
    rules = rules or Rules()
    width = ensembles * chains
    centre, covariance = optimum.z, optimum.covariance
    for number in adapt:
        tried = _Chains(density, _Bell(centre, covariance), generator, width)
        tried.go_on(number // width)
        kept = tried.points()[number // width // 5 :].reshape(-1, len(centre))
        centre, covariance = kept.mean(axis=0), np.cov(kept, rowvar=False).reshape(len(centre), len(centre))
    run = _Chains(density, _Bell(centre, covariance), generator, width)
    while True:
        run.go_on(rules.block)
        steps = len(run.heights)
        first = int(rules.discard * steps)
        # (steps, ensembles x chains, ...) -> (ensembles, steps, chains, ...)
        chain = np.moveaxis(run.points()[first:].reshape(steps - first, ensembles, chains, -1), 1, 0)
        found = diagnose(chain, run.accepted / (steps * width), rules)
        if found.converged or steps >= rules.most_steps:
            heights = np.moveaxis(np.array(run.heights)[first:].reshape(steps - first, ensembles, chains), 1, 0)
            return Sample(chain, heights, found, steps)


class _Chains:
    """Chains side by side that are offered draws of one bell."""

    def __init__(self, density: LogDensity, bell: _Bell, generator: np.random.Generator, width: int) -> None:
        self.density, self.bell, self.generator, self.width = density, bell, generator, width
        self.places: list[np.ndarray] = []
        self.heights: list[np.ndarray] = []
        self.accepted = 0.0
        self._at, self._height, self._odds = self._offers(1)
        while not np.isfinite(self._height).all():
            self._at, self._height, self._odds = self._offers(1)
        self._at, self._height, self._odds = self._at[0], self._height[0], self._odds[0]

    def _offers(self, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return offered points, their log densities, and by how much these exceed the bell's, by step and chain."""
        points, bell = self.bell.draw(self.generator, steps * self.width)
        height = self.density(points)
        shape = (steps, self.width)
        return points.reshape(*shape, -1), height.reshape(shape), (height - bell).reshape(shape)

    def go_on(self, steps: int) -> None:
        """Take ``steps`` steps of every chain."""
        points, heights, odds = self._offers(steps)
        luck = np.log(self.generator.random(odds.shape))
        for step in range(steps):
            taken = luck[step] < odds[step] - self._odds
            self.accepted += float(taken.sum())
            self._at = np.where(taken[:, None], points[step], self._at)
            self._height = np.where(taken, heights[step], self._height)
            self._odds = np.where(taken, odds[step], self._odds)
            self.places.append(self._at)
            self.heights.append(self._height)

    def points(self) -> np.ndarray:
        """Return where the chains stood, shape (steps, chains, parameters)."""
        return np.array(self.places)

"""How far simulated shares are from the published ones: a Gaussian likelihood, and the chi-square of a structure.

Both take the joint table of a cohort's groups at two dates, because the same people are counted twice: shares of one
cohort are correlated within and between dates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from sim.errors import EvidenceError
from sim.errors import Problem as Fault
from sim.measures import BENEFIT_GROUPS, CASH_BENEFIT, COHORTS
from sim.sources import Target

from .priors import Prior, log_density, values_of

MONTHS: Final = ("2013-12", "2016-12")
"""The two dates of the joint table."""
Joint = Callable[[np.ndarray], np.ndarray]
"""Values in natural units (draws, parameters) -> joint shares (draws, cohorts, groups 2013, groups 2016)."""


def cells_of(target: Target) -> np.ndarray:
    """Return which cells of its cohort's joint table a target counts, shape (groups 2013, groups 2016), 0 or 1."""
    states = CASH_BENEFIT if target.measure == "cash_benefit" else (target.measure,)
    counted = np.array([group in states for group in BENEFIT_GROUPS], dtype=float)
    return (
        np.ones((len(counted), 1)) * counted if target.month == MONTHS[1] else counted[:, None] * np.ones(len(counted))
    )


class Likelihood:
    """The joint Gaussian of published shares, vectorised over draws.

    Mean: the shares of the joint table. Covariance: that of the table over the number of persons, plus width²/12 of
    each rounding interval, plus ``discrepancy``² (the standard deviation, as a share, of what no structure explains;
    fixed beforehand, never fitted). Published values are the middles of their rounding intervals.

    Raises ``EvidenceError`` when the targets say the same thing twice: shares of one date that overlap (cash benefit
    and job-ready) or that all follow from the others (all four of a date).
    """

    def __init__(self, targets: Sequence[Target], discrepancy: float = 0.0) -> None:
        self.targets = tuple(targets)
        self.observed = np.array([t.centre for t in targets])
        self.low = np.array([t.low for t in targets])
        self.high = np.array([t.high for t in targets])
        self.own_variance = (self.high - self.low) ** 2 / 12 + discrepancy**2
        cohort = np.array([COHORTS.index(t.group) for t in targets])
        cells = np.array([cells_of(t).ravel() for t in targets])
        size = cells.shape[1]
        same = cohort[:, None] == cohort
        self._boxes = [
            np.flatnonzero([(t.group, t.month) == box for t in targets])
            for box in dict.fromkeys((t.group, t.month) for t in targets)
        ]
        _refuse_repeats(self.targets, self._boxes, cells)
        # One product with the flat table gives the shares, another the shares counted by two targets at once.
        self._single = np.zeros((len(COHORTS) * size, len(targets)))
        self._both = np.zeros((len(COHORTS) * size, len(targets), len(targets)))
        for i, where in enumerate(cohort):
            mine = slice(where * size, (where + 1) * size)
            self._single[mine, i] = cells[i]
            self._both[mine, i] = (cells * cells[i]).T * same[i]
        self._both = self._both.reshape(len(self._both), -1)
        self._per_person = same / np.array([t.n for t in targets], dtype=float)

    def shares(self, joint: np.ndarray) -> np.ndarray:
        """Return the simulated shares of the targets, shape (draws, targets), from joint tables."""
        return np.asarray(joint.reshape(len(joint), len(self._single)) @ self._single)

    def sampling_covariance(self, joint: np.ndarray) -> np.ndarray:
        """Return the covariance of the shares of as many persons as were published, shape (draws, targets, targets)."""
        shares = self.shares(joint)
        flat = joint.reshape(len(joint), len(self._both))
        together = (flat @ self._both).reshape(len(joint), *self._per_person.shape)
        return np.asarray((together - shares[:, :, None] * shares[:, None, :]) * self._per_person)

    def covariance(self, joint: np.ndarray) -> np.ndarray:
        """Return the covariance of the published shares, rounding and discrepancy included."""
        return self.sampling_covariance(joint) + np.diag(self.own_variance)

    def log_density(self, joint: np.ndarray) -> np.ndarray:
        """Return the log density of the published shares given joint tables, shape (draws,); -inf if they are none."""
        return self.log_density_of(self.observed, joint)

    def log_density_of(self, observed: np.ndarray, joint: np.ndarray) -> np.ndarray:
        """Return the log density of other shares than the published, shape (targets,) or (draws, targets)."""
        found = np.full(len(joint), -np.inf)
        sound = np.isfinite(joint).all(axis=(1, 2, 3)) & (joint > -1e-9).all(axis=(1, 2, 3))
        tables = joint[sound]
        root = np.linalg.cholesky(self.covariance(tables))
        miss = np.broadcast_to(observed, (len(joint), len(self.observed)))[sound] - self.shares(tables)
        scaled = np.linalg.solve(root, miss[:, :, None])[:, :, 0]
        size = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
        found[sound] = -0.5 * (scaled**2).sum(axis=1) - size - 0.5 * len(self.observed) * np.log(2 * np.pi)
        return found

    def draw(self, generator: np.random.Generator, joint: np.ndarray) -> np.ndarray:
        """Return published shares drawn from the likelihood, one set a joint table, shape (draws, targets)."""
        root = np.linalg.cholesky(self.covariance(joint))
        noise = generator.standard_normal((len(joint), len(self.observed), 1))
        return self.shares(joint) + (root @ noise)[:, :, 0]

    def chi_square(self, joint: np.ndarray) -> np.ndarray:
        """Return the chi-square of the structure comparison, shape (draws,).

        The simulated shares of each cohort and date are projected into the box that rounding leaves open (the point of
        the box nearest in Kullback-Leibler divergence); what remains is weighed with the inverse sampling covariance.
        """
        shares = self.shares(joint)
        nearest = shares.copy()
        for mine in self._boxes:
            nearest[:, mine] = _projected(shares[:, mine], self.low[mine], self.high[mine])
        miss = nearest - shares
        solved = np.linalg.solve(self.sampling_covariance(joint), miss[:, :, None])[:, :, 0]
        return np.asarray((miss * solved).sum(axis=1))


def _refuse_repeats(targets: Sequence[Target], boxes: Sequence[np.ndarray], cells: np.ndarray) -> None:
    """Raise ``EvidenceError`` when shares of one cohort and date overlap or leave nobody out."""
    problems = []
    for mine in boxes:
        counted = cells[mine].sum(axis=0)
        if counted.max() > 1 or counted.min() > 0:
            names = ", ".join(targets[i].id for i in mine)
            problems.append(Fault("evidence_redundant", key=targets[mine[0]].group, values={"rows": names}))
    if problems:
        raise EvidenceError(problems)


def _projected(shares: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the point of the box [low, high] nearest to each row of shares; what is left of 1 is free.

    Minimising the Kullback-Leibler divergence leaves shares times one constant, clipped to the box; the constant makes
    them and the rest (times the same constant) sum to 1. The sum is a rising broken line in it, so it is found exactly.
    """
    rest = 1 - shares.sum(axis=1, keepdims=True)
    bends = np.sort(np.concatenate([low / shares, high / shares], axis=1), axis=1)

    def total(constant: np.ndarray) -> np.ndarray:
        clipped = np.clip(constant[:, :, None] * shares[:, None, :], low, high)
        return np.asarray(clipped.sum(axis=2) + constant * rest)

    sums = total(bends)
    row = np.arange(len(shares))
    after = (sums < 1).sum(axis=1)
    # Left of the first bend only the rest moves, right of the last one too.
    left, right = np.maximum(after - 1, 0), np.minimum(after, bends.shape[1] - 1)
    x0, y0, x1, y1 = bends[row, left], sums[row, left], bends[row, right], sums[row, right]
    inside = (after > 0) & (after < bends.shape[1])
    slope = np.where(inside, (y1 - y0) / np.where(inside, x1 - x0, 1.0), rest[:, 0])
    constant = x0 + (1 - y0) / slope
    return np.asarray(np.clip(constant[:, None] * shares, low, high))


@dataclass(frozen=True)
class Problem:
    """What a sampler needs to know of a structure: priors, joint shares as a function of the parameters, and targets.

    ``joint`` takes values in natural units, (draws, parameters) in the order of ``priors``, and returns joint shares
    (draws, cohorts, groups 2013, groups 2016); it must be picklable for more than one worker. ``discrepancy``: see
    :class:`Likelihood`.
    """

    name: str
    priors: tuple[Prior, ...]
    joint: Joint
    targets: tuple[Target, ...]
    discrepancy: float = 0.0

    @cached_property
    def likelihood(self) -> Likelihood:
        """The likelihood of the fitted targets."""
        return Likelihood(self.targets, self.discrepancy)

    @property
    def ids(self) -> tuple[str, ...]:
        """The parameters' ids, in order."""
        return tuple(prior.id for prior in self.priors)

    def joint_at(self, z: np.ndarray) -> np.ndarray:
        """Return the joint shares at points ``z`` of the unconstrained scale, shape (draws, parameters)."""
        return self.joint(values_of(self.priors, z))

    def log_likelihood(self, z: np.ndarray) -> np.ndarray:
        """Return the log likelihood at points ``z`` of the unconstrained scale, shape (draws,)."""
        return self.likelihood.log_density(self.joint_at(z))

    def log_posterior(self, z: np.ndarray) -> np.ndarray:
        """Return the log posterior density on the unconstrained scale, up to a constant, shape (draws,)."""
        return self.log_likelihood(z) + log_density(self.priors, z)

    def chi_square(self, z: np.ndarray) -> np.ndarray:
        """Return the chi-square at points ``z``, shape (draws,); see :meth:`Likelihood.chi_square`."""
        return self.likelihood.chi_square(self.joint_at(z))

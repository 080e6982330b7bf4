"""Blocks: parameters that are fitted to published shares of their own, beside the benefit flows.

A block is a :class:`calibration.likelihood.Problem`, so whatever samples or tabulates that takes a block, too. It
differs in what is published: separate shares instead of a joint table, with a discrepancy for each way of counting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import norm, qmc

from sim.sources import Target, published_interval, rows

from .likelihood import Likelihood, Problem
from .priors import Prior, centres, spreads, values_of
from .samplers.optimum import Optimum, covariance

if TYPE_CHECKING:
    from .targets import Targets

Shares = Callable[[np.ndarray], np.ndarray]
"""Values in natural units (draws, parameters) -> shares (draws, targets)."""
WITHIN: Final = 0.025
"""A fitted share this close to the published one needs no explanation."""
_STEP: Final = 1e-4
"""Step of derivatives, on the unconstrained scale."""


class Counting(NamedTuple):
    """How the model's states stand for what a source counts, and the standard deviation (a share) that is left to it.

    The discrepancy is fixed beforehand: it says how far apart two ways of counting the same people may be.
    """

    discrepancy: float
    label_da: str
    label_en: str


COUNTING: Final[Mapping[str, Counting]] = {
    "status": Counting(
        0.015,
        "Som i modellen: job (over 110 timer i 4. kvartal) går før uddannelse, uddannelse før ingen af "
        "delene; i modellen tilstanden i december, grundskolen talt som uddannelse. 1,5 point til det, der "
        "ikke er ens (timer og dato).",
        "As in the model: work (over 110 hours in the fourth quarter) goes before education, education before"
        " neither; in the model the state in December, basic school counted as education. 1.5 points for what"
        " differs (hours, date).",
    ),
    "carried": Counting(
        0.03,
        "Som i modellen, men trykt for dem, der havde alderen i et andet år, og båret over til senere "
        "(antagelse): dobbelt så meget, 3 point.",
        "As in the model, but printed for those of the age in another year and carried over to later ones "
        "(assumption): twice as much, 3 points.",
    ),
    "income": Counting(
        0.05,
        "Årets hovedindkomst; en studerende, der tjener under 60.000 kr., er studerende, også med over 110 "
        "timer i 4. kvartal. Modellen kender kun tilstanden i december. 5 point: så langt ligger de to "
        "tællemåder fra hinanden for unge uden job og uddannelse (21 % i figur 4.1, 26 % i figur 4.4).",
        "Main income of the year; a student earning less than 60,000 DKK is a student, even with over 110 "
        "hours in the fourth quarter. The model knows the state in December only. 5 points: as far apart are "
        "the two ways of counting for the young in neither work nor education (21 % in Figure 4.1, 26 % in "
        "Figure 4.4).",
    ),
    "education_first": Counting(
        0.05,
        "Uddannelse går før job, og fuldført uddannelse tæller med. Modellen sætter job først og ved ikke, om den "
        "beskæftigede også læser: dens andel i job med kun grundskole er en øvre grænse. Kan ikke opfyldes.",
        "Education goes before work, and completed education counts. The model puts work first and does not "
        "know whether the employed also study: its share in work with basic school only is an upper limit. "
        "Cannot be met.",
    ),
    "paid_hours": Counting(
        0.0,
        "Mindst 26 betalte timer i kalenderåret, som i modellen; kontrolgruppen bor i almene boliger uden helhedsplan.",
        "At least 26 paid hours in the calendar year, as in the model; the controls live in social housing without "
        "a plan.",
    ),
    "earnings": Counting(
        0.02,
        "Mindst 2.000 kr. i året; modellen tæller 26 timer. 2 point til forskellen.",
        "At least 2,000 DKK in the year; the model counts 26 hours. 2 points for the difference.",
    ),
    "change": Counting(
        0.015,
        "Ændring 2011-2016 for dem, der er 25-50 år det ene og det andet år, fra to trykte år på en ret "
        "linje. 1,5 point: hvordan faldet fordeler sig over 2009-2016, er ikke trykt; stikprøven giver under "
        "et halvt point.",
        "Change over 2011-2016 among those aged 25-50 in the one and the other year, from two printed years "
        "on a straight line. 1.5 points: how the fall is spread over 2009-2016 is not printed; sampling is "
        "below half a point.",
    ),
    "level": Counting(
        0.05,
        "Lønmodtagere med over 110 timer; modellens niveau er registrets for 2011 (primær status, også "
        "selvstændige), så kun ændringen kan sammenlignes. Kan ikke opfyldes.",
        "Wage earners with over 110 hours; the model's level is that of the register of 2011 (primary status,"
        " self-employed included), so only the change can be compared. Cannot be met.",
    ),
}
"""How the model counts, by the name targets give it."""


@dataclass(frozen=True)
class BlockTarget(Target):
    """A published share of a block; ``id`` joins the ids of its evidence ``rows`` by + (added) or & (weighted mean).

    ``role``: ``fit``, ``hold_out`` (scored) or ``shown`` (repeats, contradicts or cannot be met); ``counting`` names an
    entry of COUNTING; ``note_da`` and ``note_en`` say why a fitted share is missed by more than 2.5 points.
    """

    role: str = "fit"
    counting: str = "status"
    rows: tuple[str, ...] = ()
    note_da: str = ""
    note_en: str = ""


Book = Mapping[str, Mapping[str, str]]
"""Rows of ``evidence/targets.csv`` by id, those a user brings in place of the book's own."""


def with_roles(everything: Sequence[BlockTarget], targets: Targets) -> list[BlockTarget]:
    """Return a block's targets with the roles a user's rows give: to their own target, else to those they are part
    of."""
    roles = {id: row["role"] for id, row in targets.given.items() if row.get("role")}
    own = {target.id for target in everything}

    def role(target: BlockTarget) -> str:
        given = [roles[id] for id in target.rows if id in roles and (id == target.id or id not in own)]
        return given[-1] if given else target.role

    return [replace(target, role=role(target)) for target in everything]


def published(ids: Sequence[str], weights: Sequence[float], book: Book | None = None) -> tuple[float, float, float]:
    """Return the weighted sum of printed shares and the interval that their printing leaves open."""
    found = [(book or rows("targets"))[id] for id in ids]
    values = [float(row["value"]) for row in found]
    ends = [published_interval(id, value, row["precision"]) for id, value, row in zip(ids, values, found, strict=True)]
    parts = np.sort(np.transpose(ends) * np.asarray(weights), axis=0)
    return float(np.dot(weights, values)), float(parts[0].sum()), float(parts[1].sum())


class SharesLikelihood(Likelihood):
    """The Gaussian of separate published shares; a "joint table" is the shares themselves, shape (draws, targets).

    Covariance, fixed beforehand: sampling of the printed number of persons at the published share (groups of the same
    people at the same date exclude each other), width²/12 of the rounding interval, and the discrepancy of the
    counting. Of the same people at two dates the correlation of sampling errors is left out: with some 1,600 persons it
    is at most a sixth of the variance, the discrepancy being the rest.
    """

    def __init__(self, targets: Sequence[BlockTarget]) -> None:
        self.targets = tuple(targets)
        self.observed = np.array([t.centre for t in targets])
        self.low = np.array([t.low for t in targets])
        self.high = np.array([t.high for t in targets])
        discrepancy = np.array([COUNTING[t.counting].discrepancy for t in targets])
        self.own_variance = (self.high - self.low) ** 2 / 12 + discrepancy**2
        people = [(t.group_by, t.group, t.month, t.n) for t in targets]
        together = np.array([[a == b for b in people] for a in people])
        share = np.clip(self.observed, 0, 1)  # changes, which are no shares, have their sampling in the discrepancy
        n = np.array([t.n for t in targets], dtype=float)
        self._sampling = (np.diag(share) - together * np.outer(share, share)) / n

    def shares(self, joint: np.ndarray) -> np.ndarray:
        """Return the shares themselves."""
        return joint

    def sampling_covariance(self, joint: np.ndarray) -> np.ndarray:
        """Return the covariance of sampling, the same for every draw, shape (draws, targets, targets)."""
        return np.broadcast_to(self._sampling, (len(joint), *self._sampling.shape))

    def log_density_of(self, observed: np.ndarray, joint: np.ndarray) -> np.ndarray:
        """Return the log density of other shares than the published; -inf where the simulated ones are no numbers."""
        sound = np.isfinite(joint).all(axis=1)
        miss = np.where(sound[:, None], np.asarray(observed) - joint, 0.0)
        scaled = miss @ self.whitening.T
        size = np.log(np.diag(self.whitening)).sum() - 0.5 * len(self.targets) * np.log(2 * np.pi)
        return np.where(sound, size - 0.5 * (scaled**2).sum(axis=1), -np.inf)

    @cached_property
    def whitening(self) -> np.ndarray:
        """The matrix that turns misses into independent standard normal ones, shape (targets, targets)."""
        root = np.linalg.cholesky(self._sampling + np.diag(self.own_variance))
        return np.asarray(np.linalg.inv(root))

    def chi_square(self, joint: np.ndarray) -> np.ndarray:
        """Return the chi-square of the shares, rounding and discrepancy included, shape (draws,)."""
        return np.asarray((((self.observed - joint) @ self.whitening.T) ** 2).sum(axis=1))


@dataclass(frozen=True)
class _Fitted:
    """The shares of the fitted targets among all."""

    read: Shares
    chosen: tuple[int, ...]

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return self.read(values)[:, list(self.chosen)]


@dataclass(frozen=True)
class Block(Problem):
    """Parameters with priors, and the published shares they are fitted to or held against.

    ``everything`` are all targets in order, ``read`` their shares under given values; ``targets`` and ``joint`` are
    those fitted.
    """

    targets: tuple[BlockTarget, ...]
    everything: tuple[BlockTarget, ...] = ()
    read: Shares = lambda values: values

    @classmethod
    def of(cls, name: str, priors: Sequence[Prior], everything: Sequence[BlockTarget], read: Shares) -> Block:
        """Return the block of ``everything`` whose shares are ``read`` from values."""
        chosen = tuple(at for at, t in enumerate(everything) if t.role == "fit")
        fitted = tuple(everything[at] for at in chosen)
        return cls(name, tuple(priors), _Fitted(read, chosen), fitted, 0.0, tuple(everything), read)

    def with_roles(self, targets: Targets) -> Block:
        """Return the block with the roles that a user's rows give; see :func:`with_roles`."""
        return Block.of(self.name, self.priors, with_roles(self.everything, targets), self.read)

    @cached_property
    def likelihood(self) -> SharesLikelihood:
        """The likelihood of the fitted shares."""
        return SharesLikelihood(self.targets)

    def residuals(self, z: np.ndarray) -> np.ndarray:
        """Return independent standard residuals at points ``z``: of the shares, then of the priors.

        Half their sum of squares is minus the log posterior, up to a constant; shape (draws, targets + parameters).
        """
        misses = (self.joint_at(z) - self.likelihood.observed) @ self.likelihood.whitening.T
        return np.hstack([misses, (z - centres(self.priors)) / spreads(self.priors)])

    def slopes(self, z: np.ndarray) -> np.ndarray:
        """Return derivatives of the residuals at the point ``z``, shape (residuals, parameters)."""
        steps = _STEP * np.eye(len(z))
        up, down = np.split(self.residuals(np.vstack([z + steps, z - steps])), 2)
        return np.asarray((up - down).T / (2 * _STEP))

    def starts(self, number: int) -> np.ndarray:
        """Return points spread evenly over the priors to look for optima from, shape (number, parameters).

        The first is the prior medians.
        """
        even = qmc.Halton(len(self.priors), scramble=False).random(number)
        even[0] = 0.5
        return centres(self.priors) + spreads(self.priors) * norm.ppf(np.clip(even, 0.07, 0.93))

    def optimum(self, starts: np.ndarray) -> Optimum:
        """Return the highest point of the posterior density reached from ``starts``, with its curvature (the Hessian).

        Least squares on the residuals; ``starts`` (starts, parameters) are on the unconstrained scale.
        """
        found = [
            least_squares(lambda z: self.residuals(z[None])[0], start, self.slopes, xtol=1e-9, ftol=1e-12, gtol=1e-8)
            for start in starts
        ]
        z = min(found, key=lambda one: one.cost).x
        return Optimum(z, float(self.log_posterior(z[None])[0]), covariance(self.log_posterior, z))


def laplace(block: Block, optimum: Optimum, generator: np.random.Generator, draws: int) -> np.ndarray:
    """Return draws of the normal distribution at the optimum, in natural units, shape (draws, parameters)."""
    root = np.linalg.cholesky(optimum.covariance)
    return values_of(block.priors, optimum.z + generator.standard_normal((draws, len(root))) @ root.T)

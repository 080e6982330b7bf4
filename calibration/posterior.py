"""Posteriors: draws with their diagnostics, what the data added to the prior, and the fit target by target."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy.special import ndtri
from scipy.stats import norm

from .blocks import WITHIN, SharesLikelihood
from .likelihood import Likelihood, Problem
from .priors import centres, draw, spreads, unconstrained, values_of
from .samplers.ensemble import Diagnostics, Rules, dispersed, sample
from .samplers.nested import Nested, sample_nested
from .samplers.optimum import Optimum, optima
from .samplers.seeds import generator

if TYPE_CHECKING:
    import pandas as pd

DRAWS: Final = 2_000
"""Draws a shipped posterior holds."""
PRIOR_DOMINATED: Final = 0.5
"""Contraction below this earns a parameter the label ``prior-dominated``."""
NOTES: Final = {
    "beside_edge": {
        "da": "andelen ligger ved kanten af en afrunding, der er grov i forhold til stikprøvefejlen: intervallet for "
        "dens rate dækker sjældnere end angivet",
        "en": "the share lies beside the edge of a rounding that is coarse next to its sampling error: the interval of "
        "its rate covers less often than it says",
    }
}
"""Remarks of the fit table by key."""
_STARTS: Final = 12
_PROFILE_STEP: Final = 1e-4
_PROFILE_ROUNDS: Final = 40
_PROFILE_GAIN: Final = 1e-4
"""Steps of derivatives, most steps, and the gain in log likelihood below which a point has arrived."""
_GOLDEN: Final = 0.6180339887
_LEVEL_95: Final = float(norm.ppf(0.975))


class TotalFit(NamedTuple):
    """How a posterior mean fits all targets together.

    ``chi_square``: misses from the middles of the rounding intervals, weighed with the whole covariance (sampling,
    rounding, discrepancy). ``degrees``: targets minus the parameters the data determine. ``within_rounding``: the
    chi-square of the structure comparison, which lets every share lie anywhere in its rounding interval; None for
    separate shares, which are no table whose sampling errors could be weighed alone.
    """

    chi_square: float
    degrees: float
    within_rounding: float | None


@dataclass(frozen=True)
class Posterior:
    """A posterior of one structure.

    ``z``: draws on the unconstrained scale, shape (draws, parameters); ``optima``: the distinct highest points of the
    posterior density, best first, each with its normal approximation (Laplace); ``diagnostics``: how well the sampler
    did; ``steps``: of each ensemble, forgotten ones included; ``seed``: recorded, never a parameter; ``exact``: what a
    draw is worth where the density sampled is an approximation that was corrected (:mod:`calibration.surrogate`).
    """

    problem: Problem
    z: np.ndarray
    optima: tuple[Optimum, ...]
    diagnostics: Diagnostics
    steps: int
    seed: int
    exact: float = 1.0

    @cached_property
    def values(self) -> np.ndarray:
        """The draws in natural units, shape (draws, parameters)."""
        return values_of(self.problem.priors, self.z)

    @cached_property
    def median(self) -> np.ndarray:
        """The median of each parameter in natural units, shape (parameters,)."""
        return np.asarray(np.median(self.values, axis=0))

    @cached_property
    def contraction(self) -> np.ndarray:
        """How much of the prior variance the data took away, shape (parameters,).

        1 - sd²(posterior) / sd²(prior), both on the unconstrained scale (log of rates and factors, logit of shares); 1
        is all, 0 nothing, below 0 the data widened it.
        """
        return 1 - self.z.var(axis=0, ddof=1) / spreads(self.problem.priors) ** 2

    @cached_property
    def z_scores(self) -> np.ndarray:
        """How far the data moved each parameter: posterior mean minus prior mean in prior standard deviations."""
        return (self.z.mean(axis=0) - centres(self.problem.priors)) / spreads(self.problem.priors)

    @cached_property
    def determined(self) -> float:
        """How many parameters the data determine: parameters minus the trace of posterior over prior covariance."""
        ratio = np.cov(self.z, rowvar=False) / np.outer(spreads(self.problem.priors), spreads(self.problem.priors))
        return float(len(ratio) - np.trace(np.atleast_2d(ratio)))

    def thinned(self, number: int = DRAWS) -> Posterior:
        """Return the posterior with ``number`` of its draws, evenly spread over ensembles and steps.

        Raises ``ValueError`` when it has fewer.
        """
        if number > len(self.z):
            raise ValueError(f"{number} draws are wanted and the posterior has {len(self.z)}")
        return replace(self, z=self.z[spread_evenly(number, len(self.z))])

    def frame(self) -> pd.DataFrame:
        """Return the draws in natural units, one row a draw and one column a parameter."""
        import pandas as pd

        return pd.DataFrame(self.values, columns=list(self.problem.ids))

    def table(self) -> pd.DataFrame:
        """Return one row a parameter: prior, posterior, optimum, contraction, z and the sampler's diagnostics.

        ``low`` and ``high`` hold 95 %; ``optimum_low`` and ``optimum_high`` are those of the normal approximation at
        the optimum; ``label`` is ``prior-dominated`` where the contraction is under .5.
        """
        import pandas as pd

        priors, best = self.problem.priors, self.optima[0]
        ends = [values_of(priors, best.z + side * _LEVEL_95 * best.errors) for side in (-1, 1)]
        prior_ends = [values_of(priors, centres(priors) + side * _LEVEL_95 * spreads(priors)) for side in (-1, 1)]
        low, high = np.percentile(self.values, [2.5, 97.5], axis=0)
        return pd.DataFrame(
            {
                "parameter": self.problem.ids,
                "prior_median": [prior.median for prior in priors],
                "prior_low": prior_ends[0],
                "prior_high": prior_ends[1],
                "median": self.median,
                "low": low,
                "high": high,
                "optimum": values_of(priors, best.z),
                "optimum_low": ends[0],
                "optimum_high": ends[1],
                "contraction": self.contraction,
                "z": self.z_scores,
                "label": np.where(self.contraction < PRIOR_DOMINATED, "prior-dominated", ""),
                "r_hat": self.diagnostics.r_hat,
                "effective": self.diagnostics.effective,
                "autocorrelation": self.diagnostics.autocorrelation,
            }
        )

    @cached_property
    def _joint(self) -> np.ndarray:
        return self.problem.joint(self.values)

    def predicted(self) -> np.ndarray:
        """Return published shares as the posterior expects them, one set a draw, shape (draws, targets).

        Sampling of as many persons as were published, rounding and discrepancy included.
        """
        return self.problem.likelihood.draw(generator(self.seed, "predictive"), self._joint)

    def fit_table(self, level: float = 0.95) -> pd.DataFrame:
        """Return one row a fitted target: how the posterior stands to the published share.

        ``fitted`` is the posterior mean, ``predicted_low`` and ``predicted_high`` hold ``level`` of the predictive
        distribution, ``standardised`` is the residual over its standard deviation (sampling, rounding, discrepancy,
        posterior), ``note`` a key of ``NOTES``; the other columns are those of :func:`fit_rows`.
        """
        likelihood = self.problem.likelihood
        shares = likelihood.shares(self._joint)
        predicted = self.predicted()
        fitted = shares.mean(axis=0)
        low, high = np.quantile(predicted, [(1 - level) / 2, (1 + level) / 2], axis=0)
        sampling = np.sqrt(np.diagonal(likelihood.sampling_covariance(self._joint), axis1=1, axis2=2).mean(axis=0))
        # Rounding enters as a variance. That is fair where sampling blurs it; where it does not, a share beside the
        # edge is printed as one or the other value, and both middles are equally wrong.
        edge = np.minimum(np.abs(fitted - likelihood.low), np.abs(fitted - likelihood.high))
        coarse = (likelihood.high - likelihood.low) / 12**0.5 > sampling
        return fit_rows(likelihood, fitted).assign(
            predicted_low=low,
            predicted_high=high,
            standardised=(likelihood.observed - fitted) / predicted.std(axis=0, ddof=1),
            note=np.where((edge < sampling) & coarse, "beside_edge", ""),
        )

    def total_fit(self) -> TotalFit:
        """Return how the posterior mean fits all targets together."""
        joint = self.problem.joint_at(self.z.mean(axis=0)[None])
        likelihood = self.problem.likelihood
        miss = likelihood.observed - likelihood.shares(joint)[0]
        chi_square = float(miss @ np.linalg.solve(likelihood.covariance(joint)[0], miss))
        alone = None if isinstance(likelihood, SharesLikelihood) else float(likelihood.chi_square(joint)[0])
        return TotalFit(chi_square, len(miss) - self.determined, alone)

    def profile(self, id: str, values: np.ndarray | None = None) -> pd.DataFrame:
        """Return the profile likelihood of parameter ``id``: columns value, deviance (0 at the best), one row a value.

        At each value (natural units; without ``values`` 17 around the optimum, up to four standard errors away) all
        others are refitted, the priors left out; 95 % limits lie where the deviance crosses 3.84, and where it never
        does on one side the shares set no limit there.
        """
        import pandas as pd

        priors, best = self.problem.priors, self.optima[0]
        mine = self.problem.ids.index(id)
        if values is None:
            grid = best.z[mine] + np.linspace(-4, 4, 17) * best.errors[mine]
        else:
            filled = np.tile(values_of(priors, best.z), (len(values), 1))
            filled[:, mine] = values
            grid = unconstrained(priors, filled)[:, mine]
        points = np.tile(best.z, (len(grid), 1))
        points[:, mine] = grid
        heights = highest(self.problem, points, np.arange(len(priors)) != mine)
        top = max(highest(self.problem, best.z[None], np.ones(len(priors), dtype=bool))[0], heights.max())
        shown = np.tile(best.z, (len(grid), 1))
        shown[:, mine] = grid
        return pd.DataFrame({"value": values_of(priors, shown)[:, mine], "deviance": 2 * (top - heights)})


def fit_rows(likelihood: Likelihood, fitted: np.ndarray) -> pd.DataFrame:
    """Return one row a target of ``likelihood``: what was published, and how ``fitted`` shares (targets,) stand to it.

    ``low`` and ``high`` are the ends of the rounding interval, ``residual_points`` is its middle minus fitted in
    percentage points, ``inside`` whether the fitted share lies within it, ``within`` whether it is within 2.5 points
    of the published one.
    """
    import pandas as pd

    targets = likelihood.targets
    columns = ("reading", "group", "month", "measure", "n", "published")
    return pd.DataFrame(
        {
            "target": [t.id for t in targets],
            **{name: [getattr(t, name) for t in targets] for name in columns},
            "low": likelihood.low,
            "high": likelihood.high,
            "fitted": fitted,
            "residual_points": 100 * (likelihood.observed - fitted),
            "inside": (fitted >= likelihood.low) & (fitted <= likelihood.high),
            "within": np.abs([t.published for t in targets] - fitted) <= WITHIN,
        }
    )


def spread_evenly(number: int, of: int) -> np.ndarray:
    """Return ``number`` (at most ``of``) rising positions among ``of``, one in each of as many equal stretches.

    Each has a place of its own within its stretch: whole stretches would always meet the same walker.
    """
    return np.asarray(((np.arange(number) + np.arange(number) * _GOLDEN % 1) * (of / number)).astype(int))


def highest(problem: Problem, points: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Return the highest log likelihood reached from each of ``points`` (points, parameters), shape (points,).

    ``free`` (parameters,) tells which parameters may move. Levenberg-Marquardt steps, all points at once: the gradient
    is that of the log likelihood, the curvature that of the weighted misses.
    """
    moving = np.flatnonzero(free)
    likelihood, number = problem.likelihood, len(moving)
    steps = _PROFILE_STEP * np.eye(points.shape[1])[moving]
    points, damping = points.copy(), np.full(len(points), 1e-2)
    heights = problem.log_likelihood(points)
    climbing = np.isfinite(heights)
    for _ in range(_PROFILE_ROUNDS):
        at = np.flatnonzero(climbing)
        if not len(at):
            break
        here = points[at]
        around = np.concatenate([here[:, None] + steps, here[:, None] - steps], axis=1).reshape(-1, here.shape[1])
        joint = problem.joint_at(np.concatenate([around, here]))
        split = len(around)
        up, down = np.split(likelihood.log_density(joint[:split]).reshape(len(at), 2, number), 2, axis=1)
        gradient = (up - down)[:, 0] / (2 * _PROFILE_STEP)
        more, less = np.split(likelihood.shares(joint[:split]).reshape(len(at), 2, number, -1), 2, axis=1)
        slope = (more - less)[:, 0] / (2 * _PROFILE_STEP)
        weight = np.linalg.inv(likelihood.covariance(joint[split:]))
        curvature = np.einsum("pik,pkl,pjl->pij", slope, weight, slope)
        diagonal = np.arange(number)
        curvature[:, diagonal, diagonal] += damping[at, None] * (curvature[:, diagonal, diagonal] + 1.0)
        step = np.clip(np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0], -1, 1)
        tried = here.copy()
        tried[:, moving] += step
        found = problem.log_likelihood(tried)
        gain = np.where(np.isfinite(found), found - heights[at], -np.inf)
        better = gain > 0
        points[at[better]], heights[at[better]] = tried[better], found[better]
        damping[at] = np.where(better, damping[at] / 5, damping[at] * 4)
        climbing[at] = ~((better & (gain < _PROFILE_GAIN)) | (damping[at] > 1e6))
    return heights


def find_optima(problem: Problem, seed: int, starts: int = _STARTS) -> list[Optimum]:
    """Return the distinct optima of the posterior density, highest first.

    The first of the ``starts`` is the prior median, the others are draws from the prior.
    """
    priors = problem.priors
    places = draw(priors, generator(seed, "starts"), starts)
    places[0] = centres(priors)
    return optima(problem.log_posterior, places)


def best_chi_square(problem: Problem, seed: int = 1, starts: int = _STARTS) -> Optimum:
    """Return where the chi-square of the structure comparison is least, priors left out: minus it is ``log_density``.

    Where several points fit perfectly one of them is returned.
    """

    def height(z: np.ndarray) -> np.ndarray:
        return -problem.chi_square(z)

    near = find_optima(problem, seed, 1)[0].z
    places = near + 0.3 * generator(seed, "starts").standard_normal((starts, len(near)))
    places[0] = near
    return optima(height, places)[0]


def fit_posterior(
    problem: Problem,
    seed: int = 1,
    *,
    ensembles: int = 4,
    walkers: int = 32,
    starts: int = _STARTS,
    draws: int = DRAWS,
    rules: Rules | None = None,
    workers: int = 1,
    folder: Path | None = None,
    progress: bool | str = False,
) -> Posterior:
    """Sample the posterior of ``problem`` with independent ensembles from over-dispersed optima.

    ``walkers`` an ensemble (at least twice the parameters); ``starts`` from which optima are sought; ``draws``
    are kept, evenly spread (all when there are fewer). ``workers`` processes change no byte; with a ``folder`` a killed
    computation continues there to the same bytes (see :func:`calibration.samplers.ensemble.sample`).
    """
    found = find_optima(problem, seed, starts)
    places = dispersed(found, ensembles, walkers, generator(seed, "dispersed"), problem.log_posterior)
    made = sample(problem.log_posterior, places, seed, rules=rules, workers=workers, folder=folder, progress=progress)
    whole = Posterior(problem, made.flat, tuple(found), made.diagnostics, made.steps, seed)
    return whole.thinned(min(draws, len(whole.z)))


def fit_nested(problem: Problem, seed: int = 1, live_points: int = 500) -> Nested:
    """Sample the posterior of ``problem`` by nested sampling: an independent check, and the evidence of a structure.

    Raises ``InputError`` when dynesty (extra ``research``) is not installed.
    """
    middle, sd = centres(problem.priors), spreads(problem.priors)
    return sample_nested(
        problem.log_likelihood, lambda unit: middle + sd * ndtri(unit), len(problem.priors), seed, live_points
    )

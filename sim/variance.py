"""What luck does and what the parameters leave open, told apart by two-way analysis of variance.

Draws of the parameters and replicates (luck) are crossed: every draw lives with the same luck. With x_dr the number of
draw d in replicate r, and d and r as effects of chance, x_dr = mean + parameters_d + luck_r + luck of both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

INTERVALS = ("luck", "parameters", "both")
"""What an interval can be of; with one draw of the parameters there is luck alone."""
POOLED = "pooled"
"""The ``structure`` of rows over all structures of a result that has several."""


@dataclass(frozen=True)
class Crossed:
    """The analysis of crossed tables, one a row; every array has shape (rows,).

    ``estimate`` is the mean, ``se`` its computing error with these draws. ``luck`` is the variance over areas with the
    parameters of one draw, not divided by the replicates, ``parameters`` the variance over draws with luck averaged
    out, at least 0; NaN where they cannot be told.
    """

    estimate: np.ndarray
    se: np.ndarray
    luck: np.ndarray
    parameters: np.ndarray
    limits: dict[str, tuple[np.ndarray, np.ndarray]]
    """95 % limits (low, high) by interval: ``luck`` of another area with the parameters as they are on average,
    ``parameters`` of another draw with the luck of these replicates, ``both`` of another area with another draw."""


def crossed(values: np.ndarray) -> Crossed:
    """Analyse ``values`` of shape (rows, draws, replicates), none of them missing.

    With MS the mean squares: parameters = (MS_draw - MS_interaction) / replicates, never below 0; luck = mean variance
    within a draw = (MS_replicate + (draws - 1) MS_interaction) / draws; se² = MS_replicate / (draws · replicates).
    The limits are those of normal prediction, estimate ± t(.975, degrees of freedom) · √variance, with variances
    ``luck`` + se², ``parameters`` (1 + 1/draws) and the sum of the two, each with Satterthwaite's degrees of freedom
    (at least 1), because each is a weighted sum of mean squares. With one draw this is t(.975, replicates - 1) ·
    sd · √(1 + 1/replicates) for luck, and only that.
    """
    rows, draws, replicates = values.shape
    mean = values.mean(axis=(1, 2))
    if replicates < 2:
        nothing = np.full(rows, np.nan)
        names = INTERVALS if draws > 1 else INTERVALS[:1]
        return Crossed(mean, nothing, nothing, nothing, dict.fromkeys(names, (nothing, nothing)))
    of_draw, of_replicate = values.mean(axis=2), values.mean(axis=1)
    within = values - of_draw[:, :, None] - of_replicate[:, None, :] + mean[:, None, None]
    ms_replicate = draws * ((of_replicate - mean[:, None]) ** 2).sum(axis=1) / (replicates - 1)
    se2 = ms_replicate / (draws * replicates)
    if draws == 1:
        luck = ms_replicate
        alone = _limits(mean, [(1 + 1 / replicates, ms_replicate, replicates - 1)])
        return Crossed(mean, np.sqrt(se2), luck, np.full(rows, np.nan), {"luck": alone})
    free = (draws - 1) * (replicates - 1)
    ms_draw = replicates * ((of_draw - mean[:, None]) ** 2).sum(axis=1) / (draws - 1)
    ms_both = (within**2).sum(axis=(1, 2)) / free
    parameters = np.maximum((ms_draw - ms_both) / replicates, 0.0)
    luck = (ms_replicate + (draws - 1) * ms_both) / draws
    known = np.where(parameters > 0, (1 + 1 / draws) / replicates, 0.0)
    of_luck = [
        (1 / draws + 1 / (draws * replicates), ms_replicate, replicates - 1),
        ((draws - 1) / draws, ms_both, free),
    ]
    limits = {
        "luck": _limits(mean, of_luck),
        "parameters": _limits(mean, [(known, ms_draw, draws - 1), (-known, ms_both, free)]),
        "both": _limits(mean, [of_luck[0], (known, ms_draw, draws - 1), (of_luck[1][0] - known, ms_both, free)]),
    }
    return Crossed(mean, np.sqrt(se2), luck, parameters, limits)


Part = tuple[np.ndarray | float, np.ndarray, int]
"""A weight, a mean square and its degrees of freedom."""


def _limits(mean: np.ndarray, parts: list[Part]) -> tuple[np.ndarray, np.ndarray]:
    """Return 95 % limits around ``mean`` for a variance that is a weighted sum of mean squares."""
    from scipy.special import stdtrit

    variance = np.maximum(sum(weight * square for weight, square, _ in parts), 0.0)
    spread = sum((weight * square) ** 2 / free for weight, square, free in parts)
    free = np.divide(variance**2, spread, out=np.ones_like(variance), where=spread > 0)
    width = stdtrit(np.maximum(free, 1.0), 0.975) * np.sqrt(variance)
    return mean - width, mean + width


def percentiles(values: np.ndarray, analysis: Crossed) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return 95 % limits for counts of persons, whose luck is skewed: percentiles 2.5 and 97.5 over runs.

    ``luck`` over the replicates of a draw, mean over the draws; ``parameters`` over the means of the draws, shrunk
    until their variance is the component; ``both`` over all runs. ``values`` as in :func:`crossed`.
    """
    rows, draws, replicates = values.shape
    nothing = np.full(rows, np.nan)
    if replicates < 2:
        return dict.fromkeys(analysis.limits, (nothing, nothing))
    ends = (0.025, 0.975)
    found = {"luck": np.quantile(values, ends, axis=2).mean(axis=2)}
    if draws > 1:
        mean, of_draw = analysis.estimate[:, None], values.mean(axis=2)
        spread = of_draw.var(axis=1, ddof=1)
        shrink = np.sqrt(np.divide(analysis.parameters, spread, out=np.zeros(rows), where=spread > 0))
        found["parameters"] = np.quantile(mean + shrink[:, None] * (of_draw - mean), ends, axis=1)
        found["both"] = np.quantile(values.reshape(rows, -1), ends, axis=1)
    return {name: (low, high) for name, (low, high) in found.items()}

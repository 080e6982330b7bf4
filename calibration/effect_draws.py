"""Measured effects as draws: odds ratios with their printed errors, solved to what the hazards are multiplied by.

An odds ratio is neither a hazard ratio nor a ratio of risks, so each draw is solved in the model, on the source's own
design: the virtual study (:mod:`sim.evaluation`) is run once on a grid of effects with the same people and the same
luck, a smooth surface is laid through the odds ratios it finds, and the surface is inverted draw by draw.
``python -m calibration.effect_draws`` prints what the draws are; ``--grid`` runs the studies anew first.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sim.sources import PARAMETER_SETS, evidence

from .effects import EFFECTS, PARTICIPANTS, REPLICATES, SCENARIO, study
from .samplers.seeds import generator

GRID = PARAMETER_SETS / "effects.surface.csv"
"""Log odds ratios that the virtual study finds, by effects: made by this module, read when draws are made."""
DURING = (0.0, 0.8, 1.6, 2.4, 3.2, 4.2)
"""Effects while enrolled, log hazard ratios, that the study is run for."""
AFTER = (-2.0, -0.7, 0.6, 1.9)
"""Effects afterwards: nil is no bound, since the odds ratios drawn are not bounded by one."""
YEARS = ("start_year", "year_after")
PUBLISHED = ("annex7_3_interaction_start_year_adjusted", "annex7_3_interaction_start_year_plus_1_adjusted")
CORRELATIONS = (0.0, 0.5, 0.9)
"""Of the two log odds ratios, which rest on the same 289 pairs; not printed, about .7 in simulated studies."""
DRAWN = 2000
_DEGREES = 4, 3
"""Of the surface in the effect while enrolled and the effect afterwards."""
_STEPS = 60
_MET = 1e-6


@dataclass(frozen=True)
class Published:
    """Two published log odds ratios, of the start year and the year after: means and standard errors, shape (2,)."""

    mean: np.ndarray
    error: np.ndarray

    @classmethod
    def read(cls, ids: Sequence[str] = PUBLISHED) -> Published:
        """Read evidence rows; their printed standard errors are those of the odds ratios, so divided by these."""
        found = [evidence(id) for id in ids]
        ratio = np.array([float(row["odds_ratio"]) for row in found])
        error = np.array([float(row["standard_error_of_or"]) for row in found])
        return cls(np.log(ratio), error / ratio)


def log_odds_ratios(published: Published, correlation: float, normal: np.ndarray) -> np.ndarray:
    """Return draws of both log odds ratios with ``correlation``, from independent standard ``normal`` (draws, 2)."""
    second = correlation * normal[:, 0] + np.sqrt(1 - correlation**2) * normal[:, 1]
    return published.mean + published.error * np.stack([normal[:, 0], second], axis=1)


def grid(participants: int = PARTICIPANTS, replicates: int = REPLICATES, seed: int = 1) -> pd.DataFrame:
    """Return what the virtual study finds for every pair of effects: one row a pair, log odds ratios by year."""
    found = []
    for pair in itertools.product(DURING, AFTER):
        effects = dict(zip(EFFECTS, pair, strict=True))
        result = study(effects, SCENARIO, participants, replicates, seed).effects
        found.append({**effects, **{year: float(np.log(result[year].adjusted)) for year in YEARS}})
    return pd.DataFrame(found)


class Surface:
    """Log odds ratios (start year, year after) as polynomials of the two effects."""

    def __init__(self, found: pd.DataFrame) -> None:
        given = found[list(EFFECTS)].to_numpy()
        self.low, self.high = given.min(axis=0), given.max(axis=0)
        wanted = found[list(YEARS)].to_numpy()
        self.coefficients, *_ = np.linalg.lstsq(self._terms(given), wanted, rcond=None)
        self.residual = float(np.sqrt(np.mean((self(given) - wanted) ** 2)))
        """Root mean square distance of the studies from the surface."""

    def _terms(self, effects: np.ndarray) -> np.ndarray:
        scaled = (2 * effects - self.low - self.high) / (self.high - self.low)
        return np.polynomial.polynomial.polyvander2d(scaled[:, 0], scaled[:, 1], _DEGREES)

    def __call__(self, effects: np.ndarray) -> np.ndarray:
        """Return log odds ratios, shape (draws, 2), of ``effects``, shape (draws, 2)."""
        return self._terms(effects) @ self.coefficients

    def solve(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return effects that give the log odds ratios ``wanted``, shape (draws, 2), and which of the draws they meet.

        The odds ratio of the year after follows mostly from jobs begun in the start year, so not every pair of odds
        ratios can be met: then the effect afterwards is at the end of the grid and the start year alone is met.
        """
        found = np.tile((self.low + self.high) / 2, (len(wanted), 1))
        span = self.high - self.low
        for _ in range(_STEPS):
            miss = wanted - self(found)
            slope = np.stack([self._slope(found, k) for k in range(2)], axis=2)
            step = np.linalg.solve(slope, miss[:, :, None])[:, :, 0]
            found = np.clip(found + np.clip(step, -0.2 * span, 0.2 * span), self.low, self.high)
        met = np.abs(wanted - self(found)).max(axis=1) < _MET
        for _ in range(0 if met.all() else _STEPS):
            miss = (wanted - self(found))[~met, 0]
            step = miss / self._slope(found[~met], 0)[:, 0]
            found[~met, 0] = np.clip(found[~met, 0] + step, self.low[0], self.high[0])
        return found, met

    def _slope(self, effects: np.ndarray, which: int) -> np.ndarray:
        """Return by how much both log odds ratios rise with effect ``which``, shape (draws, 2)."""
        step = np.zeros(2)
        step[which] = 1e-4
        return (self(effects + step) - self(effects - step)) / 2e-4


def read_surface() -> Surface:
    """Return the surface through the shipped grid of studies."""
    return Surface(pd.read_csv(GRID))


def draw(surface: Surface, correlation: float, number: int = DRAWN, seed: int = 1) -> pd.DataFrame:
    """Return ``number`` draws of the odds ratios with ``correlation`` of their logs, and of the effects they mean.

    Columns: draw, odds ratios by year, effects (log hazard ratios), and ``met``: whether the effects give both.
    """
    normal = generator(seed, "effects").standard_normal((number, 2))
    wanted = log_odds_ratios(Published.read(), correlation, normal)
    effects, met = surface.solve(wanted)
    return pd.DataFrame(
        {
            "draw": np.arange(number),
            **{f"odds_ratio_{year}": np.exp(wanted[:, k]) for k, year in enumerate(YEARS)},
            **{id: effects[:, k] for k, id in enumerate(EFFECTS)},
            "met": met,
        }
    )


def main(arguments: list[str]) -> None:
    """Print what the draws are for every correlation; ``--grid`` runs the studies they rest on first."""
    if "--grid" in arguments:
        grid().to_csv(GRID, index=False, float_format="%.10g")
    surface = read_surface()
    print(f"studies lie {surface.residual:.4f} from the surface (root mean square, log odds ratio)")
    for correlation in CORRELATIONS:
        found = draw(surface, correlation)
        print(f"correlation {correlation}: both odds ratios met in {found['met'].mean():.0%} of the draws")
        for id in EFFECTS:
            low, middle, high = np.exp(found[id].quantile([0.05, 0.5, 0.95]))
            print(f"  {id:25s} hazard times {middle:.2f} (5 % {low:.2f}, 95 % {high:.2f})")


if __name__ == "__main__":
    main(sys.argv[1:])

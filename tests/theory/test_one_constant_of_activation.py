"""One activation constant a structure: how much the best one varies over likely values, and what that does to shares.

The constant makes usual activation neutral on the cohorts' shares at the shipped point. Draws around it: what is fitted
spreads by its standard errors widened by the misfit, independently (wider than a posterior, which knows correlations);
returns to benefit by their prior, a log standard deviation of .5.
"""

import numpy as np
import pytest

from calibration import fit_core_rates
from calibration.structures import RETURNS, STAYERS, STRUCTURES
from calibration.twin import Twin
from sim import ParameterSet
from sim.parameters import WITHOUT_ACTIVATION

DRAWS = 200
GRID = np.array([0.97, 1.0, 1.03])
"""Constants tried, relative to the shipped one; shares are all but straight in between."""


def shares(joint: np.ndarray) -> np.ndarray:
    """Return the 16 shares of each draw: both cohorts, both dates, four groups."""
    return np.concatenate([joint.sum(axis=axis).reshape(len(joint), -1) for axis in (2, 3)], axis=1)


@pytest.mark.parametrize("name", STRUCTURES)
def test_one_constant_is_enough(name: str) -> None:
    structure, parameters = STRUCTURES[name], ParameterSet.read(name)
    fit = fit_core_rates(parameters)
    spread = [fit.errors[id] * fit.strain / fit.values[id] for id in structure.fitted] + [0.5] * len(RETURNS)
    point = np.array([parameters.value(id) for id in structure.free])
    z = np.random.default_rng(1).normal(size=(DRAWS, len(point)))
    values = point * np.exp(np.clip(spread, 0, 1) * z)
    if STAYERS in structure.free:
        at = structure.free.index(STAYERS)
        values[:, at] = np.clip(values[:, at], 0, 1)
    constant = parameters.value("activation_exit_factor")
    without = shares(Twin(structure, parameters.replace(WITHOUT_ACTIVATION)).joint(values))
    with_it = np.stack(
        [
            shares(Twin(structure, parameters.replace({"activation_exit_factor": constant * c})).joint(values))
            for c in GRID
        ]
    )
    # Each draw's own best constant, by least squares on a parabola of the squared misses.
    squares = ((with_it - without) ** 2).sum(axis=2)
    a, b, _ = np.polyfit(GRID, squares, 2)
    best = -b / (2 * a)
    left = np.abs(with_it[1] - without).max(axis=1)
    slope = (with_it[2] - with_it[0]) / (GRID[2] - GRID[0])
    moved = np.abs(slope * (best - 1)[:, None]).max(axis=1)
    low, middle, high = constant * np.quantile(best, [0.025, 0.5, 0.975])
    print(
        f"{name}: shipped {constant:.3f}, best of a draw {middle:.3f} ({low:.3f}-{high:.3f}); one for all moves "
        f"a share by {100 * np.quantile(moved, 0.95):.2f} points (95 %), {100 * moved.max():.2f} at most, and leaves "
        f"{100 * np.quantile(left, 0.95):.2f} (95 %), {100 * left.max():.2f}"
    )
    assert abs(middle / constant - 1) < 0.005
    assert moved.max() < 0.002
    assert np.quantile(left, 0.95) < 0.003

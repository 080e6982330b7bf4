"""Speed of panel fits, measured and never asserted: ``python tests/benchmarks/panel.py``.

First a register's size: 10^5 people seen 10 times, 5 states, 8 rates, 2 covariates acting on all moves, few distinct
patterns of length and covariates. Then one gradient at 10^4, 10^5 and 10^6 distinct patterns: as many lengths under few
generators, and, dearer, as many rows of covariates, each with a generator of its own.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pandas as pd

from calibration import fit_panel, simulate_panel
from calibration.panel.design import centred, declare
from calibration.panel.likelihood import likelihood_of
from calibration.samplers.seeds import generator

RATES = {(1, 2): 0.3, (2, 1): 0.2, (2, 3): 0.15, (3, 2): 0.1, (3, 4): 0.2, (1, 5): 0.02, (2, 5): 0.03, (4, 5): 0.1}
EFFECTS = {("sex", (1, 2)): 0.3, ("age", (2, 3)): 0.1}
PEOPLE, VISITS = 100_000, 10
SIZES = (10_000, 100_000, 1_000_000)
BEST_OF = 3


def register() -> pd.DataFrame:
    """Return the panel of the first measurement."""
    luck = generator(1, "synthetic")
    gaps = luck.choice([0.25, 0.5, 0.75, 1.0, 1.5], (PEOPLE, VISITS - 1))
    times = np.concatenate([np.zeros((PEOPLE, 1)), gaps.cumsum(axis=1)], axis=1)
    visits = pd.DataFrame({"person": np.repeat(np.arange(PEOPLE), VISITS), "time": times.ravel()})
    visits["sex"] = np.repeat(luck.integers(0, 2, PEOPLE), VISITS)
    visits["age"] = np.repeat(luck.integers(0, 20, PEOPLE), VISITS)
    return simulate_panel(RATES, visits, effects=EFFECTS, start={1: 0.7, 2: 0.2, 3: 0.1}, seed=2)


def seconds_a_gradient(patterns: int, own_covariates: bool) -> tuple[float, float]:
    """Return the best seconds of one gradient with as many distinct patterns, and those of grouping them."""
    luck = generator(1, "synthetic")
    pairs = [(str(a), str(b)) for a, b in RATES]
    model, _ = declare([str(state) for state in range(1, 6)], pairs, ["sex", "age"], None, (), ())
    x = np.column_stack([luck.integers(0, 2, patterns), luck.integers(0, 10, patterns)]).astype(float)
    if own_covariates:
        x[:, 1] = luck.uniform(0, 10, patterns)
    model = centred(model, x)
    start = luck.integers(0, 4, patterns)
    stop = np.maximum(start, luck.integers(0, 5, patterns))
    length = luck.uniform(0.25, 1.5, patterns)
    begun = time.perf_counter()
    likelihood = likelihood_of(model, np.zeros(patterns), length, x, start, stop)
    grouping = time.perf_counter() - begun
    assert likelihood.patterns == patterns
    theta = np.r_[np.log(list(RATES.values())), np.full(16, 0.05)]
    found = []
    for _ in range(BEST_OF if patterns < SIZES[-1] else 1):
        begun = time.perf_counter()
        value, _ = likelihood.gradient(theta)
        found.append(time.perf_counter() - begun)
        assert np.isfinite(value)
    return min(found), grouping


def megabytes() -> float:
    """Return the most memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    """Measure and print tables."""
    begun = time.perf_counter()
    frame = register()
    print(f"{len(frame):,} observations simulated in {time.perf_counter() - begun:.1f} s")
    begun = time.perf_counter()
    fit = fit_panel(frame, list(RATES), covariates=["sex", "age"])
    spent = time.perf_counter() - begun
    agree = sum(start.minus2loglik - fit.minus2loglik < 1e-3 for start in fit.starts)
    print(f"fit: {spent:.1f} s, {fit.counts['patterns']} patterns, {fit.counts['parameters']} parameters", end=", ")
    print(f"{agree} of {len(fit.starts)} starts agree, at most {megabytes():.0f} MB")
    print(f"\n{'patterns':>10s} {'generators':>12s} {'gradient, s':>12s} {'us a pattern':>13s} {'grouping, s':>12s}")
    for own in (False, True):
        for patterns in SIZES:
            spent, grouping = seconds_a_gradient(patterns, own)
            each = 1e6 * spent / patterns
            words = "one each" if own else "20"
            print(f"{patterns:10,d} {words:>12s} {spent:12.2f} {each:13.1f} {grouping:12.2f}", flush=True)
    print(f"memory: at most {megabytes():.0f} MB")


if __name__ == "__main__":
    main()

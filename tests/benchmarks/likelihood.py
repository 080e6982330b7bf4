"""Speed of the inference, measured and never asserted: ``python tests/benchmarks/likelihood.py``.

For every structure of the four-state problem: milliseconds a likelihood for 64 walkers at once (best of five), and the
seconds, steps and effective draws of a posterior on one worker.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from calibration.four_state import STRUCTURES, problem
from calibration.likelihood import Problem
from calibration.posterior import fit_posterior
from calibration.priors import draw
from calibration.samplers.seeds import generator

WALKERS = 64
TIMES = 100
BEST_OF = 5


def milliseconds(flows: Problem) -> float:
    """Return the best milliseconds of one likelihood among ``WALKERS`` at once."""
    z = draw(flows.priors, generator(1, "starts"), WALKERS)
    found = []
    for _ in range(BEST_OF):
        begun = time.perf_counter()
        for _ in range(TIMES):
            flows.log_posterior(z)
        found.append(time.perf_counter() - begun)
    return 1000 * min(found) / TIMES / WALKERS


def main() -> None:
    """Measure every structure and print a table."""
    print(f"{'structure':16s} {'ms a likelihood':>16s} {'posterior, s':>14s} {'steps':>6s} {'effective':>10s}")
    for name in STRUCTURES:
        flows = problem(name)
        each = milliseconds(flows)
        begun = time.perf_counter()
        made = fit_posterior(flows)
        spent = time.perf_counter() - begun
        print(f"{name:16s} {each:16.4f} {spent:14.1f} {made.steps:6d} {made.diagnostics.effective.min():10.0f}")


if __name__ == "__main__":
    main()

"""The leisure-job effect as the source measured it: hazard multipliers that give back the published odds ratios.

The virtual study (:mod:`sim.evaluation`) is run on the simulated people with trial effects until its adjusted odds
ratios of the start year and the year after are the published ones. ``python -m calibration.effects`` prints what the
shipped effects give; ``--solve`` solves anew.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import numpy as np
from scipy.optimize import least_squares

from sim.evaluation import Evaluation, evaluate
from sim.scenario import Scenario

SCENARIO = "pocket_money_then_leisure_jobs"
"""The source pools pocket-money jobs, leisure-job schemes and both; so does this scenario."""
EFFECTS = ("effect_start_during", "effect_start_after")
PARTICIPANTS = 2000
REPLICATES = 20


def with_effects(scenario: Scenario, effects: Mapping[str, float]) -> Scenario:
    """Return the scenario with ``effects`` (log hazard ratios by parameter id) in every item."""
    for item in scenario.activities:
        scenario = scenario.with_activity(item.id, **effects)
    return scenario


def study(
    effects: Mapping[str, float],
    scenario: str = SCENARIO,
    participants: int = PARTICIPANTS,
    replicates: int = REPLICATES,
    seed: int = 1,
) -> Evaluation:
    """Return what the virtual study finds when the activities have ``effects``; no studies without effect."""
    return evaluate(with_effects(Scenario.read(scenario), effects), participants, replicates, seed, studies=0)


def misses(found: Evaluation) -> np.ndarray:
    """Return log odds ratios found minus published, start year and year after (adjusted)."""
    return np.array([np.log(e.adjusted / e.published_adjusted) for e in found.effects.values()])


def solve(participants: int = PARTICIPANTS, replicates: int = REPLICATES, seed: int = 1) -> dict[str, float]:
    """Return the effects that give back the published adjusted odds ratios, the effect afterwards not below nil.

    The same people have the same luck in every trial, so the odds ratios move smoothly with the effects; their
    computing error is about .1 / sqrt(replicates) on the log scale.
    """

    def residuals(effects: np.ndarray) -> np.ndarray:
        return misses(
            study(dict(zip(EFFECTS, effects.tolist(), strict=True)), SCENARIO, participants, replicates, seed)
        )

    best = least_squares(residuals, [2.0, 0.1], bounds=([0, 0], [4, 2]), diff_step=0.05, xtol=0.01, max_nfev=6)
    return dict(zip(EFFECTS, best.x.tolist(), strict=True))


def main(arguments: list[str]) -> None:
    """Print what the shipped effects give; with ``--solve`` solve for them first."""
    shipped = Scenario.read(SCENARIO).activities[0].values
    effects = solve() if "--solve" in arguments else {id: shipped[id] for id in EFFECTS}
    for id, value in effects.items():
        print(f"{id:25s} {value:7.3f}  hazard times {np.exp(value):.2f}")
    for year, effect in study(effects).effects.items():
        print(
            f"{year:12s} adjusted {effect.adjusted:.3f} (published {effect.published_adjusted:.3f}), "
            f"unadjusted {effect.unadjusted:.3f} (published {effect.published_unadjusted:.3f})"
        )


if __name__ == "__main__":
    main(sys.argv[1:])

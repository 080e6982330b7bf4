"""The virtual study of the shipped activities finds what the source found: its odds ratios and its paths.

The effect is solved for the adjusted odds ratios; the paths and the unadjusted ones are not aimed at.
"""

import numpy as np
import pytest

from sim import Scenario
from sim.evaluation import Evaluation, evaluate

SCENARIO = "pocket_money_then_leisure_jobs"
PUBLISHED_PAIRS = 289
ADJUSTED = {"start_year": 3.271, "year_after": 2.577}
UNADJUSTED = {"start_year": 2.437, "year_after": 1.992}
LOG_ERROR = 0.31
"""Standard error of the logarithm of an odds ratio in one study of the published size."""

ALIKE = 0.025
"""Published participants and controls differ by up to so much before the start."""


def off(found: Evaluation, kind: str, published: dict[str, float]) -> dict[str, float]:
    """Return log odds ratios found minus published."""
    return {key: float(np.log(getattr(found.effects[key], kind) / value)) for key, value in published.items()}


def path_misses(found: Evaluation) -> tuple[np.ndarray, np.ndarray]:
    """Return simulated minus published shares of the ten points, and the published points' standard errors."""
    made, printed = (
        np.concatenate([paths["control"], paths["treated"]]) for paths in (found.paths, found.published_paths)
    )
    return made - printed, np.sqrt(printed * (1 - printed) / PUBLISHED_PAIRS)


def gaps(found: Evaluation) -> np.ndarray:
    """Return participants' minus controls' shares in the five event years."""
    return np.array(found.paths["treated"]) - np.array(found.paths["control"])


def told(found: Evaluation) -> None:
    """Print the figures."""
    print("residents", found.residents, "adjusted", {k: round(e.adjusted, 3) for k, e in found.effects.items()})
    print("unadjusted", {k: round(e.unadjusted, 3) for k, e in found.effects.items()})
    miss, error = path_misses(found)
    print("paths, misses in standard errors", np.round(miss / error, 2), "rate", found.false_positive_rate)


def test_a_small_study_agrees_as_far_as_it_can() -> None:
    """Four studies of 300 pairs: odds ratios within three standard errors, beyond what the large one allows."""
    pairs, replicates = 300, 4
    found = evaluate(Scenario.read(SCENARIO), pairs, replicates=replicates, studies=0)
    told(found)
    error = LOG_ERROR * np.sqrt(PUBLISHED_PAIRS / pairs / replicates)
    assert found.pairs == pairs
    assert max(map(abs, off(found, "adjusted", ADJUSTED).values())) < 3 * error
    assert max(map(abs, off(found, "unadjusted", UNADJUSTED).values())) < 0.1 + 3 * error
    assert all(np.log(effect.adjusted) > 3 * error for effect in found.effects.values()), "the effect itself is seen"
    miss, printed_error = path_misses(found)
    own = printed_error * np.sqrt(PUBLISHED_PAIRS / pairs / replicates)
    assert (np.abs(miss) < 2 * printed_error + 3 * own).sum() >= 9
    gap = gaps(found)
    assert (np.abs(gap[:3]) < ALIKE + 3 * np.hypot(own[:3], own[5:8])).all(), "alike before the start"
    assert (gap[3:] > 3 * np.hypot(own[3:5], own[8:])).all(), "and not after"


@pytest.mark.slow
def test_the_large_study_agrees_with_the_source() -> None:
    """2,000 pairs, 20 replicates: the computing error of a log odds ratio is .1 / sqrt(20) = .02."""
    found = evaluate(Scenario.read(SCENARIO), 2000, replicates=20, studies=400)
    told(found)
    assert max(map(abs, off(found, "adjusted", ADJUSTED).values())) < 0.15
    assert max(map(abs, off(found, "unadjusted", UNADJUSTED).values())) < 0.25
    miss, error = path_misses(found)
    assert (np.abs(miss) < 2 * error).sum() >= 9
    assert (np.abs(gaps(found)[:3]) < ALIKE).all()
    # 400 studies leave a standard error of .011 around .05.
    assert found.false_positive_rate is not None
    assert 0.03 <= found.false_positive_rate <= 0.08

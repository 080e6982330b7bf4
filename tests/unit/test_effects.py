"""Turning hazard ratios of the leisure-job scheme into the source's odds ratios, against people followed one by one."""

import numpy as np
import pytest

from calibration.effects import leisure_job_shares, published_odds_ratios, solve_start_effects, treated_age
from sim.activities import catalogue
from sim.chain import side_job_path
from sim.parameters import ParameterSet
from sim.transitions import SIDE_AGES, SIDE_CLASS, side_job_hazards

PARAMETERS = ParameterSet.read("history")
CARDS = {id: card.value for id, card in catalogue()["leisure_job"].parameters.items()}


def followed(values: dict[str, float], people: int) -> tuple[np.ndarray, np.ndarray]:
    """Follow single people through start year and year after; return their outcomes with and without the scheme."""
    rng = np.random.default_rng(5)
    hazard = side_job_hazards(PARAMETERS)
    path, _ = side_job_path(PARAMETERS, 20)
    age = np.rint(12 * rng.normal(treated_age(), PARAMETERS.value("control_age_sd"), people)).astype(int)
    age = age[(age >= 14 * 12) & (age < 20 * 12)]
    start = rng.integers(1, 13, len(age))
    luck = rng.random((25, len(age)))
    leaves = rng.random((25, len(age))) < -np.expm1(-values["attrition_per_month"])
    first = rng.random(len(age)) < path[age - 12]
    outcome = []
    for scheme in (True, False):
        job = first.copy()
        free = np.zeros(len(age), dtype=bool)
        ended = np.full(len(age), 99)
        months = np.zeros(len(age))
        reached = []
        for month in range(1, 25):
            free |= (month == start) & ~job
            since = month - start
            done = (since == values["duration_months"]) | (leaves[month] & (since > 0))
            ended = np.where(done & (ended == 99), month, ended)
            during = (since >= 0) & (ended == 99)
            left = np.minimum((ended - start) / values["duration_months"], 1) * 0.5 ** (
                (month - ended) / values["half_life_months"]
            )
            shift = np.where(
                during, values["effect_start_during"], np.where(ended <= month, left, 0) * values["effect_start_after"]
            )
            a = SIDE_CLASS[age - 12 + month]
            begins = -np.expm1(-hazard[1 + a] * np.exp(shift * scheme))
            ends = -np.expm1(-hazard[1 + len(SIDE_AGES) + a])
            job = np.where(job, luck[month] >= ends, luck[month] < begins)
            months = np.where(month == 13, 0, months) + job
            if month in (12, 24):
                reached.append(months * PARAMETERS.value("side_job_hours") * 52 / 12 >= 26)
        outcome.append(np.array(reached)[:, free])
    return outcome[0], outcome[1]


@pytest.mark.parametrize("after", [0.0, 0.7])
def test_shares_equal_people_followed_one_by_one(after: float):
    values = CARDS | {"effect_start_after": after}
    exact = leisure_job_shares(PARAMETERS, values)
    for found, share in zip(followed(values, 200_000), exact, strict=True):
        error = np.sqrt(share * (1 - share) / found.shape[1])
        # Four two-sided normal comparisons a case: 4 standard errors are passed by chance once in 4,000 runs.
        assert np.abs(found.mean(axis=1) - share).max() < 4 * error.max()


def test_no_effect_gives_odds_ratio_one():
    none = CARDS | {id: 0.0 for id in CARDS if id.startswith("effect_")}
    assert leisure_job_shares(PARAMETERS, none).odds_ratios == pytest.approx([1, 1], abs=1e-12)


def test_shipped_effects_are_the_solved_ones():
    solved = solve_start_effects(PARAMETERS, CARDS)
    assert {id: CARDS[id] for id in solved} == pytest.approx(solved, abs=2e-3)


def test_shipped_effects_give_back_the_published_odds_ratios():
    found = leisure_job_shares(PARAMETERS, CARDS).odds_ratios
    # One unknown is at its bound of no effect: a tenth of the published log standard errors (.31 and .30).
    assert np.abs(np.log(found / published_odds_ratios())).max() < 0.031

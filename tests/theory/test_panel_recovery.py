"""Five simulated designs: the estimator gives back known rates without bias, and its intervals hold them."""

import numpy as np
import pytest
from panels import DESIGNS, standardised_errors

SETS = 200
FEW = 20


@pytest.mark.parametrize("name", DESIGNS)
def test_a_few_data_sets_give_back_every_rate(name: str) -> None:
    """The mean of 20 standardised errors has standard deviation .22, and four of them are .9; of 20 intervals 13 or
    fewer hold the truth with chance 3e-5 a parameter."""
    z, inside = standardised_errors(DESIGNS[name], FEW)
    assert np.abs(z.mean(axis=0)).max() < 4 / FEW**0.5
    assert inside.sum(axis=0).min() > 13


@pytest.fixture(scope="module")
def many() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {name: standardised_errors(design, SETS, first=1001) for name, design in DESIGNS.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", DESIGNS)
def test_bias_is_under_a_quarter_standard_error_and_coverage_right(
    many: dict[str, tuple[np.ndarray, np.ndarray]], name: str
) -> None:
    """The mean of 200 standardised errors has standard deviation .07; coverage that of a binomial, 1.5 points."""
    z, inside = many[name]
    assert np.abs(z.mean(axis=0)).max() < 0.25
    coverage = inside.mean(axis=0)
    assert coverage.min() >= 0.90
    assert coverage.max() <= 0.99
    assert z.std(axis=0).min() > 0.8
    assert z.std(axis=0).max() < 1.2


@pytest.mark.slow
def test_coverage_pooled_over_rates_is_95_per_cent(many: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """22 parameters by 200 data sets: standard deviation .33 points if independent."""
    pooled = np.concatenate([inside.ravel() for _, inside in many.values()])
    assert len(pooled) > 4000
    assert 0.94 <= pooled.mean() <= 0.96

"""Odds ratios with their printed errors, solved to effects on the surface that the virtual study's grid gave."""

import numpy as np
import pandas as pd
import pytest

from calibration.effect_draws import AFTER, CORRELATIONS, DURING, GRID, YEARS, Published, Surface, draw
from calibration.effects import EFFECTS
from sim.activities import catalogue


@pytest.fixture(scope="module")
def surface() -> Surface:
    return Surface(pd.read_csv(GRID))


def test_the_printed_errors_become_those_of_log_odds_ratios() -> None:
    """The calibration notes give the intervals: 1.77-6.05 and 1.42-4.67."""
    published = Published.read()
    for side, expected in ((-1.96, (1.77, 1.42)), (1.96, (6.05, 4.67))):
        assert np.exp(published.mean + side * published.error) == pytest.approx(expected, abs=0.01)


def test_the_grid_is_the_declared_one_and_lies_on_the_surface(surface: Surface) -> None:
    """A hundredth of the smallest standard error (.30) is nothing beside it."""
    found = pd.read_csv(GRID)
    assert sorted(set(found[EFFECTS[0]])) == list(DURING)
    assert sorted(set(found[EFFECTS[1]])) == list(AFTER)
    assert len(found) == len(DURING) * len(AFTER)
    assert surface.residual < 0.003
    assert (found.groupby(EFFECTS[1])["start_year"].diff().dropna() > 0).all()
    assert (found.groupby(EFFECTS[0])["year_after"].diff().dropna() > 0).all()


def test_the_shipped_effects_give_the_published_odds_ratios_on_the_surface(surface: Surface) -> None:
    """Within .15 on the log scale, the tolerance of the study itself."""
    shipped = np.array([[catalogue()["leisure_job"].parameters[id].value for id in EFFECTS]])
    assert np.abs(surface(shipped)[0] - Published.read().mean).max() < 0.15


@pytest.mark.parametrize("correlation", CORRELATIONS)
def test_draws_have_the_published_distribution_and_solve_to_it(surface: Surface, correlation: float) -> None:
    number = 2000
    found = draw(surface, correlation, number)
    published = Published.read()
    logs = np.log(found[[f"odds_ratio_{year}" for year in YEARS]].to_numpy())
    # Four standard errors of a mean, of a standard deviation and (Fisher's z) of a correlation.
    assert np.abs(logs.mean(axis=0) - published.mean).max() < 4 * published.error.max() / number**0.5
    assert logs.std(axis=0, ddof=1) / published.error == pytest.approx(1, abs=4 / (2 * number) ** 0.5)
    assert np.arctanh(np.corrcoef(logs.T)[0, 1]) == pytest.approx(np.arctanh(correlation), abs=4 / number**0.5)
    effects, met = found[list(EFFECTS)].to_numpy(), found["met"].to_numpy()
    reached = surface(effects)
    assert np.abs(reached - logs)[met].max() < 1e-6
    assert (effects >= surface.low).all()
    assert (effects <= surface.high).all()
    # Who cannot be met in both is met in the start year, with the effect afterwards at an end of the grid.
    assert np.abs(reached - logs)[~met, 0].max() < 1e-6
    assert np.isin(effects[~met, 1], (surface.low[1], surface.high[1])).all()
    assert found.equals(draw(surface, correlation, number))


def test_the_closer_the_two_odds_ratios_go_together_the_more_draws_can_be_met(surface: Surface) -> None:
    met = [draw(surface, correlation)["met"].mean() for correlation in CORRELATIONS]
    assert met == sorted(met)
    assert met[0] > 0.4

"""Network mothers: odds ratios of being in education become hazard ratios of starting one, and back."""

import numpy as np
import pandas as pd
import pytest

from calibration.network_mothers import CORRELATIONS, PUBLISHED, TABLE, Education, draw, shipped
from sim.parameters import ParameterSet
from sim.sources import evidence


@pytest.fixture(scope="module")
def education(parameters: ParameterSet) -> Education:
    return Education(parameters)


def test_the_printed_ratios_mean_larger_hazard_ratios_that_give_them_back(education: Education) -> None:
    wanted = np.log([[float(evidence(id)["odds_ratio"]) for id in PUBLISHED]])
    found, met = education.solve(wanted)
    assert met.all()
    assert (found > 0).all()
    np.testing.assert_allclose(education.log_odds_ratios(*found.T), wanted, atol=1e-9)
    # No odds ratio, no effect: those of 1 in both years mean 1 in both.
    none, _ = education.solve(np.zeros((1, 2)))
    np.testing.assert_allclose(none, 0, atol=1e-9)


def test_the_shipped_table_is_what_the_function_draws(education: Education, parameters: ParameterSet) -> None:
    table = shipped()
    assert list(table["correlation"].unique()) == list(CORRELATIONS)
    said = TABLE.read_text(encoding="utf-8").splitlines()[0]
    assert all(part in said for part in (*PUBLISHED, parameters.digest, "grade B"))
    for correlation in CORRELATIONS:
        mine = table[table["correlation"] == correlation].drop(columns="correlation").reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, draw(education, correlation), rtol=1e-4)


@pytest.mark.parametrize("correlation", CORRELATIONS)
def test_draws_have_the_published_distribution(correlation: float) -> None:
    """Four standard errors of a mean, of a standard deviation and (Fisher's z) of a correlation."""
    table = shipped()
    logs = np.log(table.loc[table["correlation"] == correlation, ["odds_ratio_start_year", "odds_ratio_year_after"]])
    ratio, error = (
        np.array([float(evidence(id)[c]) for id in PUBLISHED]) for c in ("odds_ratio", "standard_error_of_or")
    )
    number = len(logs)
    assert (np.abs(logs.mean() - np.log(ratio)) < 4 * error / ratio / number**0.5).all()
    np.testing.assert_allclose(logs.std(ddof=1) / (error / ratio), 1, atol=4 / (2 * number) ** 0.5)
    assert np.arctanh(np.corrcoef(logs.T)[0, 1]) == pytest.approx(np.arctanh(correlation), abs=4 / number**0.5)

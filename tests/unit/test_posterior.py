"""A posterior says what the data added: tables against their own formulas, on draws made by hand."""

import numpy as np
import pytest

from calibration import Targets
from calibration.four_state import problem
from calibration.posterior import DRAWS, NOTES, Posterior, find_optima
from calibration.priors import centres, draw, spreads, values_of
from calibration.samplers.ensemble import Diagnostics
from sim.locale import LANGUAGES


@pytest.fixture(scope="module")
def posterior() -> Posterior:
    """Draws of the normal approximation of *history*, the newly activity-ready left at their prior."""
    flows = problem("history")
    best = find_optima(flows, 1, 1)[0]
    luck = np.random.default_rng(1)
    z = luck.multivariate_normal(best.z, best.covariance, 3000)
    z[:, -1] = draw(flows.priors, luck, 3000)[:, -1]
    nothing = np.ones(len(best.z))
    return Posterior(flows, z, (best,), Diagnostics(0, nothing, nothing, nothing, 0.3, True), 0, 1)


def test_contraction_is_the_share_of_prior_variance_taken_away(posterior: Posterior):
    table = posterior.table().set_index("parameter")
    assert list(table.index) == list(posterior.problem.ids)
    prior = spreads(posterior.problem.priors)
    np.testing.assert_allclose(table["contraction"], 1 - (posterior.z.std(axis=0, ddof=1) / prior) ** 2, rtol=1e-12)
    # A variance of 3,000 draws has a relative standard error of sqrt(2 / 3000) = .026.
    assert abs(table["contraction"].iloc[-1]) < 4 * 0.026
    assert list(table["label"]) == [""] * 6 + ["prior-dominated"]
    wanted = (posterior.z.mean(axis=0) - centres(posterior.problem.priors)) / prior
    np.testing.assert_allclose(table["z"], wanted, rtol=1e-12)
    # Six parameters that the data determine, one they do not: trace of posterior over prior variance is about 1.
    assert posterior.determined == pytest.approx(6, abs=0.15)


def test_intervals_are_in_natural_units(posterior: Posterior):
    table = posterior.table()
    prior = posterior.problem.priors[0]
    assert table["prior_high"][0] == pytest.approx(prior.median * np.exp(1.959964 * prior.sd), rel=1e-6)
    best = posterior.optima[0]
    ends = np.exp(best.z - 1.959964 * best.errors), np.exp(best.z + 1.959964 * best.errors)
    np.testing.assert_allclose([table["optimum_low"], table["optimum_high"]], ends, rtol=1e-6)
    np.testing.assert_allclose(posterior.frame().median(), table["median"], rtol=1e-12)
    assert ((table["low"] < table["median"]) & (table["median"] < table["high"])).all()


def test_the_fit_table_holds_every_target_against_the_posterior(posterior: Posterior):
    table = posterior.fit_table()
    targets = Targets.read().fit
    assert list(table["target"]) == [t.id for t in targets]
    assert list(table["n"]) == [t.n for t in targets]
    likelihood = posterior.problem.likelihood
    fitted = likelihood.shares(posterior.problem.joint(posterior.values)).mean(axis=0)
    np.testing.assert_allclose(table["fitted"], fitted, rtol=1e-12)
    np.testing.assert_allclose(table["residual_points"], 100 * (likelihood.observed - fitted), rtol=1e-9)
    assert list(table["inside"]) == [t.low <= share <= t.high for t, share in zip(targets, fitted, strict=True)]
    predicted = posterior.predicted()
    inside = (predicted >= table["predicted_low"].to_numpy()) & (predicted <= table["predicted_high"].to_numpy())
    np.testing.assert_allclose(inside.mean(axis=0), 0.95, atol=0.001)
    narrower = posterior.fit_table(level=0.5)
    assert (narrower["predicted_low"] > table["predicted_low"]).all()
    np.testing.assert_allclose(
        table["standardised"], (likelihood.observed - fitted) / predicted.std(axis=0, ddof=1), rtol=1e-9
    )
    assert set(table["note"]) <= {"", *NOTES}
    for words in NOTES.values():
        assert set(words) == set(LANGUAGES)


def test_the_total_fit_counts_effective_degrees_of_freedom(posterior: Posterior):
    total = posterior.total_fit()
    assert total.degrees == pytest.approx(12 - posterior.determined)
    at = posterior.z.mean(axis=0)[None]
    assert total.within_rounding is not None
    assert total.within_rounding == posterior.problem.chi_square(at)[0]
    # Freedom to lie anywhere in the rounding intervals can only help.
    assert total.within_rounding < total.chi_square


def test_thinning_keeps_evenly_spread_draws(posterior: Posterior):
    thin = posterior.thinned()
    assert len(thin.z) == DRAWS == 2000
    places = [int(np.flatnonzero((posterior.z == one).all(axis=1))[0]) for one in thin.z[:10]]
    # One in each stretch of one and a half, not always at the same place of it.
    assert all(int(1.5 * k) <= place < 1.5 * (k + 1) for k, place in enumerate(places))
    assert thin.thinned(2000).z.tobytes() == thin.z.tobytes()
    with pytest.raises(ValueError, match="3001 draws are wanted"):
        posterior.thinned(3001)


def test_a_profile_reaches_four_standard_errors_either_way(posterior: Posterior):
    id = "rate_activity_ready_to_other_benefit"
    best, mine = posterior.optima[0], posterior.problem.ids.index(id)
    found = posterior.profile(id)
    assert found["value"].is_monotonic_increasing
    ends = np.exp(best.z[mine] + np.array([-4, 4]) * best.errors[mine])
    np.testing.assert_allclose(found["value"].iloc[[0, -1]], ends, rtol=1e-12)
    # The deviance of a normal likelihood there is 16; it is a little skew.
    assert found["deviance"].iloc[[0, -1]].between(10, 24).all()
    assert found["deviance"].min() == pytest.approx(0, abs=0.2)


def test_a_profile_is_flatter_where_the_shares_say_little():
    """*history_stayers* fits perfectly on a region: halving a rate along it costs less than a fifth across it."""
    flows = problem("history_stayers")
    best = find_optima(flows, 1, 1)[0]
    nothing = np.ones(len(best.z))
    made = Posterior(flows, best.z[None], (best,), Diagnostics(0, nothing, nothing, nothing, 0.3, True), 0, 1)
    middle = values_of(flows.priors, best.z)
    flat = made.profile("rate_newly_activity_ready_to_no_benefit", middle[7] * np.array([0.5, 1.0, 1.3]))
    assert flat["deviance"].max() < 6
    steep = made.profile("rate_activity_ready_to_other_benefit", middle[5] * np.array([0.8, 1.0, 1.25]))
    assert steep["deviance"].iloc[[0, 2]].min() > 10

"""A polynomial in place of the exact shares: sampled fast, corrected to the exact posterior draw by draw."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.four_state import problem
from calibration.posterior import Posterior, find_optima, fit_posterior
from calibration.priors import values_of
from calibration.samplers.ensemble import Rules
from calibration.surrogate import Surrogate, fit_with_surrogate

QUICK = Rules(lengths=10, effective=400, r_hat=1.1)


@pytest.fixture(scope="module")
def exact() -> Posterior:
    return fit_posterior(problem("history"), seed=2, starts=1, rules=QUICK)


@pytest.fixture(scope="module")
def fast() -> Posterior:
    flows = problem("history")
    return fit_with_surrogate(flows, find_optima(flows, 1, 2), 1, rules=QUICK)


def test_a_polynomial_is_given_back_exactly() -> None:
    luck = np.random.default_rng(1)
    values = luck.lognormal(size=(300, 6))
    shares = np.stack([values[:, 0] * values[:, 1] ** 2 + values[:, 5], values[:, 2] ** 3 - 1], axis=1)
    made = Surrogate.through(values, shares[:, :, None])
    np.testing.assert_allclose(made(values)[:, :, 0], shares, rtol=1e-6, atol=1e-6)


def test_the_posterior_is_that_of_the_exact_shares(exact: Posterior, fast: Posterior) -> None:
    """Means and standard deviations within four errors of a difference of two samples of at least 400 draws each."""
    assert fast.diagnostics.converged
    assert fast.exact > 0.99
    assert len(fast.z) == 2000
    sd = exact.z.std(axis=0, ddof=1)
    assert (np.abs(fast.z.mean(axis=0) - exact.z.mean(axis=0)) < 4 * sd * (2 / 400) ** 0.5).all()
    np.testing.assert_allclose(fast.z.std(axis=0, ddof=1) / sd, 1, atol=4 * (1 / 400) ** 0.5)


def test_a_wrong_polynomial_costs_draws_and_leaves_the_posterior_right(
    exact: Posterior, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shares moved by a point are not seen in the draws, only in what they are worth.

    Six errors of a mean of a tenth of what the weights leave: a Metropolis chain repeats itself.
    """
    right = Surrogate.__call__
    wrong = np.zeros((2, 4, 4))
    wrong[0, 0, 0], wrong[0, 0, 1] = 0.01, -0.01
    monkeypatch.setattr(Surrogate, "__call__", lambda self, values: right(self, values) + wrong)
    flows = problem("history")
    rough = fit_with_surrogate(flows, find_optima(flows, 1, 2), 1, rules=QUICK)
    assert 0.05 < rough.exact < 0.9
    assert not rough.diagnostics.converged
    effective = 0.1 * rough.exact * len(rough.z)
    sd = exact.z.std(axis=0, ddof=1)
    assert (np.abs(rough.z.mean(axis=0) - exact.z.mean(axis=0)) < 6 * sd / effective**0.5).all()


def test_one_and_two_workers_and_a_continued_folder_give_the_same_draws(tmp_path: Path, fast: Posterior) -> None:
    flows = problem("history")
    found = find_optima(flows, 1, 2)
    two = fit_with_surrogate(flows, found, 1, rules=QUICK, workers=2, folder=tmp_path)
    assert two.z.tobytes() == fast.z.tobytes()
    (tmp_path / "ensemble-03-block-0000.npz").unlink()
    again = fit_with_surrogate(flows, found, 1, rules=QUICK, folder=tmp_path)
    assert again.z.tobytes() == fast.z.tobytes()


def test_draws_are_thinned_over_all_walkers() -> None:
    """Draws lie walker after walker: a stretch of whole steps between draws would meet one walker alone."""
    flows = problem("homogeneous")
    best = find_optima(flows, 1, 1)[0]
    walker = np.tile(np.arange(32.0), 500)[:, None] + np.zeros(len(best.z))
    nothing = fit_posterior(flows, starts=1, ensembles=2, rules=Rules(lengths=1, effective=1, r_hat=9, most_steps=250))
    made = replace(nothing, z=walker)
    assert len(set(made.thinned(500).z[:, 0])) == 32
    assert len(values_of(flows.priors, made.thinned(7).z)) == 7

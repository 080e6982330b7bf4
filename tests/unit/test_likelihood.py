"""The likelihood is the Gaussian of its shares, and the projection into the rounding box is the nearest point of it."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from calibration import Targets
from calibration.four_state import problem
from calibration.likelihood import Likelihood, _projected
from calibration.priors import centres, draw
from sim.errors import EvidenceError


@pytest.fixture(scope="module")
def joints() -> np.ndarray:
    """Joint tables of five prior draws."""
    flows = problem("history")
    return flows.joint_at(draw(flows.priors, np.random.default_rng(1), 5))


def test_shares_are_margins_of_the_tables(joints: np.ndarray):
    targets = Targets.read()
    everything = (*targets.fit, *(t for t in targets.shown if t.reading == "b"))
    for target in everything:
        table = joints[:, ("job_ready_2011", "activity_ready_2011").index(target.group)]
        margin = table.sum(axis=2 if target.month == "2013-12" else 1)
        wanted = {
            "job_ready": margin[:, 0],
            "activity_ready": margin[:, 1],
            "no_benefit": margin[:, 2],
            "cash_benefit": margin[:, 0] + margin[:, 1],
        }[target.measure]
        np.testing.assert_allclose(Likelihood([target]).shares(joints)[:, 0], wanted, rtol=1e-12)


def test_the_covariance_is_that_of_counted_people(joints: np.ndarray):
    """Against 20,000 registers drawn person by person; correlations have a standard error of 1/sqrt(20000) = .007."""
    likelihood = problem("history").likelihood
    luck = np.random.default_rng(2)
    drawn = np.stack(
        [
            luck.multinomial(n, joints[0, cohort].ravel(), 20_000).reshape(-1, 4, 4) / n
            for cohort, n in enumerate((3240, 11652))
        ],
        axis=1,
    )
    found = np.cov(likelihood.shares(drawn), rowvar=False)
    wanted = likelihood.sampling_covariance(joints[:1])[0]
    scale = np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
    np.testing.assert_allclose(found / scale, wanted / scale, atol=5 * 0.01)
    whole = likelihood.covariance(joints[:1])[0]
    widths = np.array([t.high - t.low for t in likelihood.targets])
    np.testing.assert_allclose(whole - wanted, np.diag(widths**2 / 12), atol=1e-15)


def test_the_density_is_gaussian_and_a_discrepancy_widens_it(joints: np.ndarray):
    targets = Targets.read().fit
    for discrepancy in (0.0, 0.01):
        likelihood = Likelihood(targets, discrepancy)
        covariance = likelihood.covariance(joints)
        assert np.diagonal(covariance, axis1=1, axis2=2).min() > discrepancy**2
        wanted = [
            multivariate_normal(mean, cov).logpdf(likelihood.observed)
            for mean, cov in zip(likelihood.shares(joints), covariance, strict=True)
        ]
        np.testing.assert_allclose(likelihood.log_density(joints), wanted, rtol=1e-9)


def test_tables_that_are_none_have_no_density(joints: np.ndarray):
    wrong = joints.copy()
    wrong[1] = np.nan
    wrong[3, 0, 0, 0] = -0.1
    found = problem("history").likelihood.log_density(wrong)
    assert np.isneginf(found[[1, 3]]).all()
    assert np.isneginf(problem("history").likelihood.log_density(wrong[[1, 3]])).all()
    np.testing.assert_array_equal(found[[0, 2, 4]], problem("history").likelihood.log_density(joints[[0, 2, 4]]))


def test_draws_have_the_mean_and_covariance_of_the_likelihood():
    flows = problem("history")
    joint = np.repeat(flows.joint_at(centres(flows.priors)[None]), 20_000, axis=0)
    drawn = flows.likelihood.draw(np.random.default_rng(3), joint)
    covariance = flows.likelihood.covariance(joint[:1])[0]
    errors = np.sqrt(np.diag(covariance) / len(drawn))
    assert (np.abs(drawn.mean(axis=0) - flows.likelihood.shares(joint[:1])[0]) < 4 * errors).all()
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    np.testing.assert_allclose(np.cov(drawn, rowvar=False) / scale, covariance / scale, atol=5 * 0.01)


@pytest.mark.parametrize("seed", range(8))
def test_the_projection_is_the_nearest_point_in_kullback_leibler_divergence(seed: int):
    luck = np.random.default_rng(seed)
    shares = luck.dirichlet([4, 3, 2, 2])
    middle = np.clip(shares[:3] + luck.normal(0, 0.03, 3), 0.02, 0.9)
    low, high = middle - 0.01, middle + 0.01
    found = _projected(shares[None, :3], low, high)[0]

    def divergence(inside: np.ndarray) -> float:
        point = np.append(inside, max(1 - inside.sum(), 1e-12))
        return float((point * np.log(point / shares)).sum())

    best = minimize(divergence, middle, bounds=list(zip(low, high, strict=True)), options={"ftol": 1e-15})
    assert ((found >= low - 1e-12) & (found <= high + 1e-12)).all()
    assert divergence(found) <= divergence(best.x) + 1e-9
    np.testing.assert_allclose(found, best.x, atol=2e-5)


def test_shares_inside_the_box_have_no_chi_square():
    flows = problem("history")
    joint = flows.joint_at(centres(flows.priors)[None])
    shares = flows.likelihood.shares(joint)[0]
    around = {t.id: (s - 0.001, s + 0.001) for t, s in zip(flows.targets, shares, strict=True)}
    inside = Likelihood(Targets.read().with_intervals(around).fit)
    assert inside.chi_square(joint)[0] == pytest.approx(0, abs=1e-20)
    assert flows.likelihood.chi_square(joint)[0] > 100


def test_targets_that_say_the_same_twice_are_refused():
    targets = Targets.read()
    overlapping = targets.with_roles({"sec1_jobready11_any_cash_benefit_2013": "fit"})
    complete = targets.with_roles({"fig4_13_other11_derived_other_benefit_2016": "fit"})
    for given, group in ((overlapping, "job_ready_2011"), (complete, "activity_ready_2011")):
        with pytest.raises(EvidenceError) as caught:
            Likelihood(given.fit)
        assert [(p.kind, p.key) for p in caught.value.problems] == [("evidence_redundant", group)]
    instead = overlapping.with_roles(
        dict.fromkeys(("fig4_13_jobready11_to_jobready_2013", "fig4_13_jobready11_to_notready_2013"), "hold_out")
    )
    assert len(Likelihood(instead.fit).targets) == 11

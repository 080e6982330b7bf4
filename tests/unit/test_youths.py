"""The blocks beside the benefit flows: their targets, their fits, and what the fits rest on."""

import numpy as np
import pytest

from calibration.blocks import COUNTING, WITHIN, Block, laplace
from calibration.point_fits import employment, fit_youths, implied_change, leisure_job_shares
from calibration.posterior import fit_rows
from calibration.priors import unconstrained, values_of
from calibration.samplers.seeds import generator
from calibration.targets import CONTROL_PATH, control_path
from calibration.work import (
    LEISURE,
    employment_block,
    job_loss_factors,
    leisure_block,
    leisure_targets,
    placed,
    side_job_paths,
)
from calibration.youths import RATES, youth_block, youth_targets
from sim import ParameterSet
from sim.chain import side_job_path
from sim.population import REFERENCE
from sim.recipe import recipe
from sim.sources import rows
from sim.states import ORIGINS, SEXES
from sim.transitions import FRAILTIES


@pytest.fixture(scope="module")
def youths(parameters: ParameterSet) -> Block:
    return youth_block(parameters)


@pytest.fixture(scope="module")
def leisure(parameters: ParameterSet) -> Block:
    return leisure_block(parameters)


@pytest.fixture(scope="module")
def work(parameters: ParameterSet) -> Block:
    return employment_block(parameters)


def shipped(block: Block, parameters: ParameterSet) -> np.ndarray:
    return np.array([[parameters.value(id) for id in block.ids]])


def test_every_target_stands_in_the_evidence_and_says_how_it_is_counted(
    youths: Block, leisure: Block, work: Block
) -> None:
    for block in (youths, leisure, work):
        assert len({t.id for t in block.everything}) == len(block.everything)
        for t in block.everything:
            assert all(rows("targets")[id]["measure"] == "share" for id in t.rows), t.id
            assert t.counting in COUNTING
            assert t.role in ("fit", "hold_out", "shown")
            assert t.low <= t.published <= t.high
            assert t.n > 100
        assert tuple(t for t in block.everything if t.role == "fit") == block.targets
        assert all(COUNTING[t.counting].label_da and COUNTING[t.counting].label_en for t in block.everything)


def test_fitted_shares_of_the_young_are_within_two_and_a_half_points_or_explained(
    youths: Block, parameters: ParameterSet
) -> None:
    fitted = fit_rows(youths.likelihood, youths.joint(shipped(youths, parameters))[0])
    print(fitted[["target", "published", "fitted", "residual_points"]].to_string())
    off = [target for target, within in zip(youths.targets, fitted["within"], strict=True) if not within]
    assert all(target.note_da and target.note_en for target in off)
    assert len(off) <= 3
    # What is counted as the model counts is never explained away.
    assert not [target for target in off if target.counting == "status"]
    assert sum(target.counting == "status" for target in youths.targets) == 14
    assert ((fitted["published"] - fitted["fitted"]).abs() <= WITHIN).eq(fitted["within"]).all()


def test_the_number_of_persons_is_that_of_the_row(youths: Block, leisure: Block) -> None:
    """Printed or given by the user; what stands in for a blank gives way."""
    women, row = "fig4_8_women_24_rest_group", dict(rows("targets")["fig4_8_women_24_rest_group"], n="500")
    assert {t.n for t in youths.everything if t.id == women} == {1600}
    assert {t.n for t in youth_targets({**rows("targets"), women: row}) if t.id == women} == {500}
    first, path = CONTROL_PATH[0], dict(rows("targets")[CONTROL_PATH[0]], n="100")
    assert [t.n for t in leisure.everything[:5]] == [289] * 5
    assert [t.n for t in leisure_targets({**rows("targets"), first: path})[:5]] == [100, *[289] * 4]


def test_readings_that_contradict_each_other_are_both_there(youths: Block) -> None:
    """Figure 4.9 in both wordings, and those in neither work nor education by three sources."""
    reading = {t.id: (t.reading, t.role) for t in youths.everything}
    for origin in ("danish", "non_western"):
        assert reading[f"fig4_9_{origin}_neet18_to_employed_2015"] == ("a", "fit")
        assert reading[f"fig4_9_{origin}_neet18_to_employed_2015_reading_b"] == ("b", "shown")
        assert reading[f"fig4_4_neet_16_24_{origin}_supported_areas_2016"] == ("a", "fit")
    for id in ("tab4_1_neet_supported", "fig4_1_outside_labour_force_2015+fig4_1_unemployed_2015"):
        assert reading[id] == ("b", "shown")


def test_shipped_rates_of_the_young_are_a_fresh_fit_with_their_ranges(parameters: ParameterSet) -> None:
    found = fit_youths(parameters.replace({id: 1.5 * parameters.value(id) for id in RATES}))
    assert set(found.values) == set(RATES)
    for id in RATES:
        assert found.values[id] == pytest.approx(parameters.value(id), rel=1e-4), id
        assert parameters[id].range == pytest.approx(found.ranges[id], rel=6e-3), id
    print(f"chi-square {found.chi_square:.1f} on {found.freedom}")
    assert found.chi_square < 2 * found.freedom


def test_grades_say_which_rates_the_figures_determine(youths: Block, parameters: ParameterSet) -> None:
    z = unconstrained(youths.priors, shipped(youths, parameters))[0]
    errors = youths.optimum(z[None]).errors
    for prior, error in zip(youths.priors, errors, strict=True):
        contraction = 1 - (error / prior.sd) ** 2
        print(f"{prior.id:55s} contraction {contraction:.2f}")
        assert (parameters[prior.id].grade == "B") == (contraction > 0.5), prior.id


def test_the_log_posterior_is_half_the_squared_residuals(youths: Block, leisure: Block, work: Block) -> None:
    chance = generator(1, "prior")
    for block in (youths, leisure, work):
        z = unconstrained(block.priors, np.array([[prior.median for prior in block.priors]]))
        z = z + 0.3 * chance.standard_normal((4, z.shape[1]))
        half = -0.5 * (block.residuals(z) ** 2).sum(axis=1)
        np.testing.assert_allclose(np.diff(block.log_posterior(z)), np.diff(half), rtol=1e-8)


def test_the_normal_approximation_is_close_to_the_posterior(youths: Block, parameters: ParameterSet) -> None:
    """Weights of 256 draws from it: a share of .14 of 1,024 draws was effective, over a hundred times a single one."""
    z = unconstrained(youths.priors, shipped(youths, parameters))[0]
    best = youths.optimum(z[None])
    draws = unconstrained(youths.priors, laplace(youths, best, generator(1, "thinning"), 256))
    away = draws - best.z
    density = -0.5 * np.einsum("ij,jk,ik->i", away, np.linalg.inv(best.covariance), away)
    weights = np.exp(youths.log_posterior(draws) - best.log_density - density)
    effective = weights.sum() ** 2 / (weights**2).sum()
    print(f"effective draws: {effective:.0f} of 256")
    assert effective > 0.05 * len(draws)


def test_side_jobs_of_many_draws_are_the_path_of_the_chain(leisure: Block, parameters: ParameterSet) -> None:
    values = shipped(leisure, parameters) * np.array([[1.0], [0.5], [2.0]])
    found = side_job_paths(parameters, values)
    for draw, one in enumerate(values):
        changed = parameters.replace(dict(zip(LEISURE, one, strict=True)))
        exact = np.mean([side_job_path(changed, 25, frailty)[1] for frailty in range(FRAILTIES)], axis=0)
        np.testing.assert_allclose(found[draw], exact, rtol=0, atol=1e-13)
        shares = leisure_job_shares(changed, control_path()[0])
        np.testing.assert_allclose(leisure.read(values)[draw], shares, rtol=0, atol=1e-13)


def test_the_ending_of_side_jobs_is_not_identified(leisure: Block, parameters: ParameterSet) -> None:
    """So its card stays an assumption; the starting hazards are determined given it."""
    z = unconstrained(leisure.priors, shipped(leisure, parameters))
    best = leisure.optimum(z)
    contraction = 1 - (best.errors / np.array([prior.sd for prior in leisure.priors])) ** 2
    assert (contraction[:-1] > 0.5).all()
    assert contraction[-1] < 0.5
    assert parameters["side_job_end"].grade == "D"
    # The shipped points are the least squares fit at the card's ending: within an error of the posterior's optimum.
    assert (np.abs(best.z - z[0]) < best.errors).all()


def test_employment_between_the_computed_factors_is_the_chain(work: Block, parameters: ParameterSet) -> None:
    people = recipe("area", parameters).first(REFERENCE)
    cells = [(SEXES.index(sex), ORIGINS.index(origin)) for sex, origin in implied_change()]
    values = np.array([[0.7, 1.3, 2.1, 3.4]])
    changed = parameters.replace(dict(zip(job_loss_factors(), values[0], strict=True)))
    first, last = employment(changed, people, 60)
    exact = [*(last[c] - first[c] for c in cells), *(last[c] for c in cells)]
    np.testing.assert_allclose(work.read(values)[0], exact, rtol=0, atol=1e-4)


def test_factors_on_job_loss_are_determined_one_by_one(work: Block, parameters: ParameterSet) -> None:
    best = work.optimum(work.starts(3))
    assert (1 - best.errors**2 > 0.9).all()
    correlation = best.covariance / np.outer(best.errors, best.errors)
    assert np.abs(correlation - np.eye(4)).max() < 1e-6
    # The shipped points fit the changes exactly; priors at 1 pull by less than an error.
    assert (np.abs(best.z - np.log(shipped(work, parameters)[0])) < 1.5 * best.errors).all()
    fitted = values_of(work.priors, best.z)
    assert np.abs(work.joint(fitted[None])[0] - [t.published for t in work.targets]).max() < 0.015


def test_what_the_recipe_makes_is_listed(parameters: ParameterSet) -> None:
    made = placed(parameters)
    for id in ("fig4_12_outside_lf_non_western_supported_areas_2011", "sec1_outside_lf_gt5y_women_2011"):
        assert id in set(made["target"])
    assert ((made["published"] - made["made"]).abs() <= made["expected_error"]).all()

"""Samplers give back known distributions, the same bytes whatever the workers and kills, and say when not done."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.four_state import problem
from calibration.posterior import find_optima
from calibration.priors import centres
from calibration.samplers import nested
from calibration.samplers.ensemble import Rules, Sample, autocorrelation, dispersed, r_hat, sample
from calibration.samplers.optimum import covariance, gradient, hessian, optima
from calibration.samplers.seeds import PURPOSES, ensemble_states, generator, generators
from sim.errors import InputError, ResultError

ROOT = Path(__file__).parents[2]
MEAN = np.array([1.0, -2.0, 0.5])
COVARIANCE = np.array([[1.0, 0.8, 0.0], [0.8, 2.0, 0.3], [0.0, 0.3, 0.5]])
PRECISION = np.linalg.inv(COVARIANCE)
SHORT = Rules(lengths=15, effective=50, r_hat=1.2, block=60, most_steps=300)


def normal(z: np.ndarray) -> np.ndarray:
    """Log density of a correlated normal distribution; module level, so that workers find it."""
    return -0.5 * np.einsum("di,ij,dj->d", z - MEAN, PRECISION, z - MEAN)


def two_hills(z: np.ndarray) -> np.ndarray:
    """Two normal hills, the one at 5 higher than that at -5."""
    return np.logaddexp(-0.5 * ((z - 5) ** 2).sum(axis=1), -0.5 * ((z + 5) ** 2).sum(axis=1) - 3)


def quadrant(z: np.ndarray) -> np.ndarray:
    """Nil outside the positive quadrant."""
    return np.where((z > 0).all(axis=1), -z.sum(axis=1), -np.inf)


@pytest.fixture(scope="module")
def starts() -> np.ndarray:
    found = optima(normal, np.zeros((1, 3)))
    return dispersed(found, 3, 12, generator(1, "dispersed"), normal)


def same(a: Sample, b: Sample) -> bool:
    return a.chain.tobytes() == b.chain.tobytes() and a.log_density.tobytes() == b.log_density.tobytes()


# --- seeds


def test_purposes_and_seeds_have_chance_of_their_own():
    first = {(seed, purpose): generator(seed, purpose).random() for seed in (0, 1, 2) for purpose in PURPOSES}
    assert len(set(first.values())) == len(first)
    assert generator(1, "starts").random() == first[1, "starts"]
    few, many = generators(1, "synthetic", 2), generators(1, "synthetic", 5)
    assert [g.random() for g in few] == [g.random() for g in many[:2]]
    states = ensemble_states(1, 3)
    keys = [state[1].tobytes() for state in states]
    assert len(set(keys)) == 3
    assert ensemble_states(1, 1)[0][1].tobytes() == keys[0]


# --- optimum


def test_derivatives_are_those_of_the_normal_distribution():
    at = np.array([0.3, 0.1, -1.0])
    np.testing.assert_allclose(gradient(normal, at), -PRECISION @ (at - MEAN), atol=1e-7)
    np.testing.assert_allclose(hessian(normal, at), -PRECISION, atol=1e-6)
    np.testing.assert_allclose(covariance(normal, MEAN), COVARIANCE, atol=1e-5)


def test_distinct_optima_are_found_highest_first():
    found = optima(two_hills, np.array([[-4.0, -5.0], [6.0, 4.0], [4.0, 4.5], [-6.0, -5.0]]))
    assert len(found) == 2
    for optimum, centre in zip(found, (5, -5), strict=True):
        np.testing.assert_allclose(optimum.z, centre, atol=1e-4)
        np.testing.assert_allclose(optimum.errors, 1, atol=1e-3)
    assert found[0].log_density - found[1].log_density == pytest.approx(3, abs=1e-6)
    with pytest.raises(ValueError, match="nil at every start"):
        optima(quadrant, -np.ones((2, 2)))


def test_derivatives_at_the_edge_of_the_possible_are_nan_and_a_climb_stays_inside():
    assert np.isnan(gradient(quadrant, np.array([5e-5, 1.0]))).tolist() == [True, False]
    height = lambda z: quadrant(z) + 2 * np.log(np.maximum(z, 1e-300)).sum(axis=1)  # noqa: E731
    np.testing.assert_allclose(optima(height, np.full((1, 2), 30.0))[0].z, 2, atol=1e-4)


def test_directions_that_tell_nothing_get_a_wide_but_finite_spread():
    found = covariance(lambda z: -0.5 * z[:, 0] ** 2, np.zeros(2))
    np.testing.assert_allclose(np.diag(found), [1, 100], rtol=1e-4)


# --- ensemble


def test_starts_are_over_dispersed_and_possible():
    found = optima(normal, np.zeros((1, 3)))
    starts = dispersed(found, 400, 8, np.random.default_rng(1), normal)
    # Centres have twice the standard errors and walkers one: variance 5 in all; 400 centres give it within 25 %.
    np.testing.assert_allclose(starts.reshape(-1, 3).var(axis=0) / np.diag(COVARIANCE), 5, rtol=0.25)
    edge = optima(lambda z: quadrant(z) + np.log(np.maximum(z, 1e-9)).sum(axis=1), np.ones((1, 2)))
    close = dispersed(edge, 20, 6, np.random.default_rng(2), quadrant)
    assert np.isfinite(quadrant(close.reshape(-1, 2))).all()


def test_the_ensembles_give_back_a_known_distribution(starts: np.ndarray):
    made = sample(normal, starts, 3, rules=Rules(block=500))
    assert made.diagnostics.converged
    assert made.diagnostics.kept == made.chain.shape[1] == made.steps * 0.8
    assert 0.15 < made.diagnostics.acceptance < 0.7
    # Four standard errors of a mean and of a variance.
    effective = made.diagnostics.effective
    errors = np.sqrt(np.diag(COVARIANCE) / effective)
    assert (np.abs(made.flat.mean(axis=0) - MEAN) < 4 * errors).all()
    assert (np.abs(made.flat.var(axis=0) / np.diag(COVARIANCE) - 1) < 4 * np.sqrt(2 / effective)).all()
    np.testing.assert_allclose(made.log_density[0, 5], normal(made.chain[0, 5]), rtol=1e-12)


def test_it_stops_at_the_limit_and_says_so(starts: np.ndarray):
    made = sample(normal, starts, 3, rules=Rules(block=40, most_steps=80))
    assert made.steps == 80
    assert not made.diagnostics.converged
    assert np.isinf(made.diagnostics.r_hat).all()


def test_the_same_seed_gives_the_same_bytes_on_one_and_two_workers(starts: np.ndarray):
    alone = sample(normal, starts, 5, rules=SHORT)
    assert same(alone, sample(normal, starts, 5, rules=SHORT, workers=2))
    assert not same(alone, sample(normal, starts, 6, rules=SHORT))
    # An ensemble does not know how many others there are.
    fewer = sample(normal, starts[:2], 5, rules=Rules(block=60, most_steps=60))
    more = sample(normal, starts, 5, rules=Rules(block=60, most_steps=60))
    assert fewer.chain.tobytes() == more.chain[:2].tobytes()


def test_blocks_change_no_byte(starts: np.ndarray):
    whole = sample(normal, starts, 5, rules=Rules(block=120, most_steps=120))
    parts = sample(normal, starts, 5, rules=Rules(block=30, most_steps=120))
    assert same(whole, parts)


KILLED = """
import os, sys
import numpy as np
sys.path.insert(0, {tests!r})
import test_samplers as t
from calibration.samplers import ensemble
store, left = ensemble._store, [int(sys.argv[2])]
def dying(path, block):
    if left[0] == 0:
        path.with_suffix(".part").write_bytes(b"half")
        os._exit(9)
    left[0] -= 1
    store(path, block)
ensemble._store = dying
starts = np.load(sys.argv[3])
ensemble.sample(t.normal, starts, 5, rules=t.SHORT, folder=ensemble.Path(sys.argv[1]))
"""


@pytest.mark.parametrize("after", [0, 4])
def test_a_killed_computation_continues_to_the_same_bytes(starts: np.ndarray, tmp_path: Path, after: int):
    np.save(tmp_path / "starts.npy", starts)
    folder = tmp_path / "kept"
    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            KILLED.format(tests=str(Path(__file__).parent)),
            str(folder),
            str(after),
            str(tmp_path / "starts.npy"),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert killed.returncode == 9
    assert len(list(folder.glob("*.npz"))) == after
    resumed = sample(normal, starts, 5, rules=SHORT, folder=folder)
    assert same(resumed, sample(normal, starts, 5, rules=SHORT))
    again = sample(normal, starts, 5, rules=SHORT, folder=folder, workers=2)
    assert same(again, resumed)


def test_a_folder_of_another_computation_or_a_damaged_one_is_refused(starts: np.ndarray, tmp_path: Path):
    folder = tmp_path / "kept"
    sample(normal, starts, 5, rules=SHORT, folder=folder)
    assert json.loads((folder / "settings.json").read_text())["seed"] == 5
    other = (
        lambda: sample(normal, starts, 6, rules=SHORT, folder=folder),
        lambda: sample(normal, starts + 0.01, 5, rules=SHORT, folder=folder),
        lambda: sample(two_hills, starts, 5, rules=SHORT, folder=folder),
        lambda: sample(normal, starts, 5, rules=Rules(block=10), folder=folder),
        lambda: sample(normal, starts, 5, rules=SHORT, folder=tmp_path),
    )
    for attempt in other:
        with pytest.raises(ResultError) as caught:
            attempt()
        assert [p.kind for p in caught.value.problems] == ["checkpoint_other"]
    path = folder / "ensemble-01-block-0001.npz"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ResultError) as caught:
        sample(normal, starts, 5, rules=SHORT, folder=folder)
    assert [p.kind for p in caught.value.problems] == ["checkpoint_damaged"]


def test_a_computation_killed_over_its_first_file_begins_again(starts: np.ndarray, tmp_path: Path):
    (tmp_path / "settings.part").write_text('{"se', encoding="utf-8")
    found = sample(normal, starts, 5, rules=SHORT, folder=tmp_path)
    assert found.chain.tobytes() == sample(normal, starts, 5, rules=SHORT).chain.tobytes()
    assert not list(tmp_path.glob("*.part"))


def test_progress_is_shown_on_stderr(starts: np.ndarray, capsys: pytest.CaptureFixture[str]):
    sample(normal, starts, 5, rules=Rules(block=40, most_steps=80), progress=True)
    said = capsys.readouterr()
    assert said.out == ""
    assert "r_hat" in said.err
    sample(normal, starts, 5, rules=Rules(block=40, most_steps=80))
    assert capsys.readouterr().err == ""


# --- diagnostics


def test_autocorrelation_is_that_of_a_known_process():
    """AR(1) with coefficient .8: (1 + .8) / (1 - .8) = 9 steps; 64 chains of 4,000 steps know it within 5 %."""
    luck = np.random.default_rng(1)
    chain = np.empty((4000, 64, 1))
    chain[0] = luck.normal(size=(64, 1)) / 0.6
    for step in range(1, len(chain)):
        chain[step] = 0.8 * chain[step - 1] + luck.normal(size=(64, 1))
    assert autocorrelation(chain)[0] == pytest.approx(9, rel=0.05)
    assert autocorrelation(luck.normal(size=(500, 8, 2))) == pytest.approx([1, 1], abs=0.15)


@pytest.mark.filterwarnings("ignore")
def test_r_hat_is_that_of_arviz_and_sees_location_scale_and_drift():
    luck = np.random.default_rng(2)
    good = luck.normal(size=(4, 400, 1, 1))
    assert r_hat(good)[0] < 1.01
    shifted, wider, drifting = good.copy(), good.copy(), good.copy()
    shifted[0] += 1
    wider[0] *= 3
    drifting += np.linspace(-1, 1, 400)[:, None, None]
    for chain in (shifted, wider, drifting):
        assert r_hat(chain)[0] > 1.03
    arviz = pytest.importorskip("arviz")
    for chain in (good, shifted, wider, drifting):
        assert r_hat(chain)[0] == pytest.approx(float(arviz.rhat(chain[:, :, 0, 0])), abs=1e-6)


# --- nested sampling


def test_nested_sampling_without_its_library_is_one_clear_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "dynesty", None)
    with pytest.raises(InputError) as caught:
        nested.sample_nested(normal, lambda unit: unit, 3, 1)
    assert [(p.kind, p.values["library"]) for p in caught.value.problems] == [("extra_missing", "dynesty")]
    assert "jobveje[research]" in caught.value.render("en")


@pytest.mark.filterwarnings("ignore")
def test_nested_sampling_gives_back_a_known_distribution_and_its_evidence():
    """A normal likelihood under a uniform prior of width 20 on each axis: evidence sqrt(det 2 pi C) / 20^3."""
    pytest.importorskip("dynesty")
    found = nested.sample_nested(normal, lambda unit: 20 * unit - 10, 3, 1, live_points=150)
    wanted = 0.5 * np.log(np.linalg.det(2 * np.pi * COVARIANCE)) - 3 * np.log(20)
    assert abs(found.log_evidence - wanted) < 4 * found.error
    assert found.error < 0.5
    # Some 150 live points leave at least as many effective draws.
    assert (np.abs(found.draws.mean(axis=0) - MEAN) < 4 * np.sqrt(np.diag(COVARIANCE) / 150)).all()
    again = nested.sample_nested(normal, lambda unit: 20 * unit - 10, 3, 1, live_points=150)
    assert again.draws.tobytes() == found.draws.tobytes()


def test_starts_of_optima_begin_with_the_prior_median():
    flows = problem("history")
    (alone,) = find_optima(flows, 1, 1)
    assert alone.log_density == pytest.approx(find_optima(flows, 2, 3)[0].log_density, abs=1e-6)
    assert np.abs(gradient(flows.log_posterior, alone.z)).max() < 1e-2
    assert flows.log_posterior(centres(flows.priors)[None])[0] < alone.log_density


# --- proposals around an optimum


@pytest.mark.parametrize(("shift", "width"), [(0.0, 1.0), (0.8, 1.0), (0.0, 2.0), (0.5, 0.6)])
def test_proposals_around_an_optimum_leave_the_distribution_as_it_is(starts: np.ndarray, shift: float, width: float):
    """A bell that is right, beside, too wide or too narrow: mean and spread are those of the density all the same."""
    [best] = optima(normal, np.zeros((1, 3)))
    near = replace(best, z=best.z + shift * best.errors, covariance=width**2 * best.covariance)
    rules = Rules(lengths=1e9, block=400, most_steps=400)
    made = sample(normal, starts, 1, rules=rules, near=near)
    flat, effective = made.flat, made.diagnostics.effective
    spread = np.sqrt(np.diag(COVARIANCE))
    # Four standard errors of a mean and of a standard deviation from so many effective draws.
    assert (np.abs(flat.mean(axis=0) - MEAN) < 4 * spread / np.sqrt(effective)).all()
    assert (np.abs(flat.std(axis=0, ddof=1) / spread - 1) < 4 / np.sqrt(2 * effective)).all()


def test_proposals_around_an_optimum_forget_faster(starts: np.ndarray):
    [best] = optima(normal, np.zeros((1, 3)))
    rules = Rules(lengths=1e9, block=400, most_steps=400)
    near, far = (sample(normal, starts, 1, rules=rules, near=bell) for bell in (best, None))
    assert near.diagnostics.autocorrelation.max() < 0.5 * far.diagnostics.autocorrelation.max()
    assert near.diagnostics.acceptance > far.diagnostics.acceptance


def test_a_computation_with_other_proposals_is_another_one(starts: np.ndarray, tmp_path: Path):
    [best] = optima(normal, np.zeros((1, 3)))
    sample(normal, starts, 1, rules=SHORT, near=best, folder=tmp_path)
    with pytest.raises(ResultError):
        sample(normal, starts, 1, rules=SHORT, folder=tmp_path)


def test_a_walker_that_never_moved_has_forgotten_nothing():
    chain = generator(1, "synthetic").standard_normal((50, 4, 3))
    times = autocorrelation(chain)
    chain[:, 2, 1] = 0.0
    assert autocorrelation(chain).tolist() == [times[0], np.inf, times[2]]

"""Intervals cover as often as they say, and the sampler samples what the likelihood says (four states, history)."""

from dataclasses import replace

import numpy as np
import pytest

from calibration import Targets
from calibration.four_state import problem
from calibration.likelihood import Problem
from calibration.posterior import best_chi_square, find_optima
from calibration.priors import draw, log_density
from calibration.samplers.ensemble import Rules, dispersed, sample
from calibration.samplers.seeds import generator, generators
from sim.sources import Target

REPLICATES = 200


def history() -> Problem:
    targets = Targets.read()
    return problem(
        "history", targets.with_intervals({t.id: (0.045, 0.055) for t in targets.fit if t.published == 0.05})
    )


# --- coverage of optimum and Hessian


def printed(share: np.ndarray, target: Target) -> np.ndarray:
    """Return the middle of the rounding interval a share falls in, the intervals as wide as the published one."""
    width = target.high - target.low
    return target.low + width * (np.floor((share - target.low) / width) + 0.5)


def climbed(flows: Problem, observed: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the optimum and its standard errors for every set of shares at once, by damped Newton steps."""
    size = len(start)
    eye = np.eye(size)
    first, second = np.triu_indices(size)
    signs = ((1, 1), (1, -1), (-1, 1), (-1, -1))
    step = 2e-3
    cross = np.concatenate([a * step * eye[first] + b * step * eye[second] for a, b in signs])

    def height(z: np.ndarray) -> np.ndarray:
        # (sets, points, parameters) -> (sets, points)
        sets, points, _ = z.shape
        flat = z.reshape(-1, size)
        data = np.repeat(observed, points, axis=0)
        found = flows.likelihood.log_density_of(data, flows.joint_at(flat)) + log_density(flows.priors, flat)
        return found.reshape(sets, points)

    z = np.tile(start, (len(observed), 1))
    for _ in range(40):
        up, down = height(z[:, None] + step * eye), height(z[:, None] - step * eye)
        slope = (up - down) / (2 * step)
        a, b, c, d = height(z[:, None] + cross).reshape(len(z), 4, -1).swapaxes(0, 1)
        curve = np.empty((len(z), size, size))
        curve[:, first, second] = curve[:, second, first] = -(a - b - c + d) / (4 * step**2)
        move = np.linalg.solve(curve, slope[:, :, None])[:, :, 0]
        tried = z[:, None] + move[:, None] * 0.5 ** np.arange(6)[:, None]
        z = tried[np.arange(len(z)), height(tried).argmax(axis=1)]
        if np.abs(move).max() < 1e-6:
            break
    else:
        raise AssertionError("no optimum found")
    return z, np.sqrt(np.diagonal(np.linalg.inv(curve), axis1=1, axis2=2))


def test_intervals_of_the_core_rates_cover_as_often_as_they_say():
    """200 registers drawn person by person and rounded as printed; a coverage of 95 % has a standard error of 1.5."""
    flows = history()
    truth = best_chi_square(flows, starts=2).z
    table = flows.joint_at(truth[None])
    luck = generator(1, "synthetic")
    sizes = {t.group: t.n for t in flows.targets}
    drawn = np.stack(
        [
            luck.multinomial(n, table[0, cohort].ravel(), REPLICATES).reshape(-1, 4, 4) / n
            for cohort, n in enumerate((sizes["job_ready_2011"], sizes["activity_ready_2011"]))
        ],
        axis=1,
    )
    shares = flows.likelihood.shares(drawn)
    observed = np.stack([printed(column, t) for column, t in zip(shares.T, flows.targets, strict=True)], axis=1)
    assert (np.abs(observed - shares) <= np.array([t.high - t.low for t in flows.targets]) / 2 + 1e-12).all()
    optimum, errors = climbed(flows, observed, truth)
    covered = (np.abs(optimum - truth) < 1.96 * errors).mean(axis=0)
    for id, share in zip(flows.ids, covered, strict=True):
        print(f"{id:45s} {share:.3f}")
        low, high = (0.76, 1.0) if id == "rate_activity_ready_to_job_ready" else (0.88, 0.99)
        if id != "rate_newly_activity_ready_to_job_ready":
            assert low <= share <= high, id


# --- simulation-based calibration


KEPT = 99
"""Draws a data set is judged by, so ranks run from 0 to 99."""


def worst_distance(ranks: np.ndarray) -> float:
    """Return how far the distribution of ranks strays from uniform: its largest distance anywhere, of any parameter.

    In standard deviations of the binomial count of ranks up to each place; ``ranks`` has the shape (sets, parameters).
    """
    places = np.arange(KEPT) + 1
    share = places / (KEPT + 1)
    counts = (ranks[:, None, :] < places[:, None]).sum(axis=0)
    sd = np.sqrt(len(ranks) * share * (1 - share))
    return float((np.abs(counts - len(ranks) * share[:, None]) / sd[:, None]).max())


def band(sets: int, parameters: int) -> float:
    """Return the distance that independent uniform ranks exceed in 1 % of the cases, over all parameters together."""
    luck = np.random.default_rng(1)
    return float(
        np.quantile([worst_distance(luck.integers(0, KEPT + 1, (sets, parameters))) for _ in range(2000)], 0.99)
    )


def ranks_of(flows: Problem, sets: int, seed: int) -> tuple[np.ndarray, float]:
    """Return the ranks of prior draws among the draws of their posteriors, and the fewest effective draws."""
    truths = draw(flows.priors, generator(seed, "prior"), sets)
    data = flows.likelihood.draw(generator(seed, "synthetic"), flows.joint_at(truths))
    ranks, fewest = np.empty(truths.shape, dtype=int), np.inf
    rules = Rules(lengths=10, effective=100, r_hat=1.05, discard=0.4, most_steps=10_000)
    for number, (truth, observed, luck) in enumerate(
        zip(truths, data, generators(seed, "dispersed", sets), strict=True)
    ):
        intervals = {
            t.id: (value - (t.high - t.low) / 2, value + (t.high - t.low) / 2)
            for t, value in zip(flows.targets, observed, strict=True)
        }
        mine = Problem(flows.name, flows.priors, flows.joint, tuple(moved(t, intervals[t.id]) for t in flows.targets))
        starts = dispersed(find_optima(mine, number, 2), 2, 32, luck, mine.log_posterior)
        made = sample(mine.log_posterior, starts, number, rules=rules)
        assert made.diagnostics.converged, number
        fewest = min(fewest, made.diagnostics.effective.min())
        chosen = made.flat[(np.arange(KEPT) * len(made.flat)) // KEPT + len(made.flat) // (2 * KEPT)]
        ranks[number] = (chosen < truth).sum(axis=0)
    return ranks, float(fewest)


def moved(target: Target, interval: tuple[float, float]) -> Target:
    """Return a target around a simulated share, which the Gaussian may put below 0."""
    return replace(target, low=interval[0], high=interval[1])


def test_the_band_finds_ranks_that_are_not_uniform():
    luck = np.random.default_rng(2)
    limit = band(REPLICATES, 7)
    uniform = luck.integers(0, KEPT + 1, (REPLICATES, 7))
    assert worst_distance(uniform) < limit
    narrow = np.clip(np.round(50 + 1.4 * (uniform - 50)), 0, KEPT).astype(int)
    shifted = np.clip(uniform + 15, 0, KEPT)
    for wrong in (narrow, shifted):
        assert worst_distance(np.column_stack([uniform[:, :6], wrong[:, 6]])) > limit


@pytest.mark.slow
def test_ranks_of_prior_draws_are_uniform():
    """Simulation-based calibration (Talts et al. 2018): data from the coded likelihood, a 99 % band over all rates."""
    flows = history()
    ranks, fewest = ranks_of(flows, REPLICATES, 1)
    limit = band(REPLICATES, len(flows.priors))
    print(f"largest distance {worst_distance(ranks):.2f}, limit {limit:.2f}, fewest effective draws {fewest:.0f}")
    assert fewest >= 100
    assert worst_distance(ranks) < limit

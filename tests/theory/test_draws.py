"""The draws are uniform, and uncorrelated between neighbours of every kind."""

import numpy as np
import pytest
from scipy.stats import chi2, kstest, norm

from sim.engine.streams import Stream, moment_key, person_keys, threshold

N = 200_000
ROWS = np.arange(N)
LUCK = Stream(seed=1, replicates=range(1), residents=N)


def draws(seed: int = 1, replicate: int = 0, decision: str = "move", month: int = 7, occurrence: int = 0) -> np.ndarray:
    stream = LUCK if (seed, replicate) == (1, 0) else Stream(seed, range(replicate, replicate + 1), N)
    return stream.draw(decision, month, ROWS, occurrence)


HERE = draws()
NEIGHBOURS = {
    "next resident": np.roll(HERE, 1),
    "resident 256 on": np.roll(HERE, 256),
    "next month": draws(month=8),
    "a year on": draws(month=19),
    "next replicate": draws(replicate=1),
    "next seed": draws(seed=2),
    "other decision": draws(decision="side job"),
    "next occurrence": draws(occurrence=1),
}


@pytest.mark.parametrize("where", ["here", *NEIGHBOURS])
def test_uniform(where: str) -> None:
    u = HERE if where == "here" else NEIGHBOURS[where]
    assert ((u >= 0) & (u < 1)).all()
    assert kstest(u, "uniform").pvalue > 0.001
    counts = np.bincount((u * 1000).astype(int), minlength=1000)
    assert ((counts - N / 1000) ** 2).sum() / (N / 1000) < chi2.isf(0.001, 999)


@pytest.mark.parametrize("where", NEIGHBOURS)
def test_uncorrelated(where: str) -> None:
    """Linear correlation, and a 30 × 30 table of joint counts."""
    there = NEIGHBOURS[where]
    assert abs(np.corrcoef(HERE, there)[0, 1]) * np.sqrt(N) < norm.isf(0.0005)
    pairs = np.bincount((HERE * 30).astype(int) * 30 + (there * 30).astype(int), minlength=900)
    assert ((pairs - N / 900) ** 2).sum() / (N / 900) < chi2.isf(0.001, 899)


def test_every_bit_is_fair_and_months_of_one_resident_are_independent() -> None:
    bits = LUCK.bits("move", 7, ROWS)
    for position in range(64):
        ones = int(((bits >> np.uint64(position)) & np.uint64(1)).sum())
        assert abs(ones - N / 2) / np.sqrt(N / 4) < norm.isf(0.005 / 64)
    life = np.array([LUCK.draw("move", month, np.array([17]))[0] for month in range(20_000)])
    assert kstest(life, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(life[1:], life[:-1])[0, 1]) * np.sqrt(len(life)) < norm.isf(0.0005)


def test_rare_events_happen_as_often_as_they_should() -> None:
    """A hazard of one in ten thousand, over 200 months of 200,000 residents."""
    chance = 1e-4
    limit = threshold(np.array([chance]))[0]
    hits = sum(int(((LUCK.bits("move", month, ROWS) >> np.uint64(32)) < limit).sum()) for month in range(200))
    expected = N * 200 * chance
    assert abs(hits - expected) / np.sqrt(expected) < norm.isf(0.005)


def test_thresholds_round_to_the_nearest_of_two_to_the_32() -> None:
    assert threshold(np.array([0.0, 2.0**-33, 0.25, 1.0])).tolist() == [0, 0, 2**30, 2**32]
    assert threshold(np.array([2.0**-32])).tolist() == [1]


def test_a_draw_does_not_depend_on_who_else_is_drawn() -> None:
    some = np.array([5, 199_999, 17, 17])
    np.testing.assert_array_equal(LUCK.draw("move", 7, some), HERE[some])
    small = Stream(seed=1, replicates=range(1), residents=20)
    np.testing.assert_array_equal(small.draw("move", 7, np.arange(20)), HERE[:20])
    stacked = Stream(seed=1, replicates=range(3), residents=20)
    np.testing.assert_array_equal(stacked.draw("move", 7, np.arange(20, 40)), NEIGHBOURS["next replicate"][:20])


def test_keys_are_distinct() -> None:
    keys = np.concatenate([person_keys(seed, replicate, ROWS) for seed in (1, 2) for replicate in (0, 1)])
    assert len(np.unique(keys)) == 4 * N
    moments = {int(moment_key(d, m, o)) for d in ("move", "side job") for m in range(600) for o in (0, 1)}
    assert len(moments) == 2400
    assert moment_key("move", 1, 11) != moment_key("move", 11, 1)


def test_pinned_values() -> None:
    """No platform, version or rewrite may change a draw."""
    assert [int(k) for k in person_keys(1, 0, np.array([0, 1, 17, 2**40]))] == PINNED_KEYS
    assert int(moment_key("move", 1)) == PINNED_MOMENT
    assert [float(u) for u in LUCK.draw("move", 1, np.array([0, 1, 17]))] == PINNED_DRAWS
    assert [int(b) for b in LUCK.bits("fritidsjob: kø", 60, np.array([3]), 2)] == PINNED_BITS


PINNED_KEYS = [11155630233508403615, 17066528573079668342, 6955696364472715109, 13481715490275939457]
PINNED_MOMENT = 3273983779473763496
PINNED_DRAWS = [0.5000436966203978, 0.9209412896213255, 0.28266093784562973]
PINNED_BITS = [8043331764715410637]

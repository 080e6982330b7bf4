"""Capacity arithmetic: how long people may stay if 35 places, filled at once, are to take in 100 within two years.

Places with a queue are renewed whenever somebody leaves: admissions are 35 renewal processes, with the stays as times
between renewals. Their expected number by month t is 35 · (1 + M(t)), M the renewal function.
"""

import numpy as np
import pytest
from courses import live, plan, programme, rows_of, suiting
from scipy.optimize import brentq
from scipy.stats import gamma, norm

from sim.activities import catalogue

PLACES, MONTHS, WANTED = 35, 24, 100


def renewals(mean: float, cv: float, by: float) -> float:
    """Return the expected number of renewals by ``by``, stays gamma with ``mean`` and coefficient of variation ``cv``.

    M(t) is the sum over n of P(n stays <= t), and n gamma stays are gamma with n times the shape.
    """
    shape = 1 / cv**2
    n = np.arange(1, 400)
    return float(gamma.cdf(by, n * shape, scale=mean / shape).sum())


def longest(cv: float) -> float:
    """Return the longest mean stay (months) with which 100 are expected to be admitted by month 24."""
    return float(brentq(lambda mean: PLACES * (1 + renewals(mean, cv, MONTHS)) - WANTED, 2, 60))


def test_the_longest_mean_stay_is_twelve_point_nine_memoryless_and_ten_point_eight_at_half_the_variation() -> None:
    # Memoryless stays: M(t) = t / mean, so 35 (1 + 24 / mean) = 100 exactly at 35 · 24 / 65.
    memoryless = PLACES * MONTHS / (WANTED - PLACES)
    assert memoryless == pytest.approx(12.92, abs=0.005)
    assert longest(1.0) == pytest.approx(memoryless, rel=1e-9)
    assert longest(0.5) == pytest.approx(10.8, abs=0.05)


def test_equal_stays_of_twelve_months_fill_the_places_three_times_over() -> None:
    """Admissions at 0, 12 and 24: 105, the last of them in month 24 itself; any longer and they are 70."""

    def admitted(stay: float) -> int:
        return PLACES * (1 + int(MONTHS // stay))

    assert admitted(12.0) == 105 >= WANTED
    assert admitted(12.0 + 1e-9) == 70 < WANTED
    # Stays that hardly vary come near it: half the last wave is in by month 24.
    assert renewals(12.0, 0.01, MONTHS) == pytest.approx(1.5, abs=0.01)


def test_the_renewal_function_is_that_of_a_simulated_queue() -> None:
    """Stays drawn and laid end to end: within three standard errors."""
    luck, runs, mean, cv = np.random.default_rng(3), 20_000, 10.8, 0.5
    stays = luck.gamma(1 / cv**2, mean * cv**2, size=(runs, 60)).cumsum(axis=1)
    number = (stays <= MONTHS).sum(axis=1)
    assert abs(number.mean() - renewals(mean, cv, MONTHS)) < 3 * number.std(ddof=1) / np.sqrt(runs)


def admissions(months: int, runs: int = 1, **stay: float) -> np.ndarray:
    """Return admissions of the model by month ``months`` after the places were filled, a long queue waiting."""
    activity = catalogue()["outreach_employment_service"]
    people = suiting(activity, 300 * runs)
    course = programme([plan(activity.key, places=PLACES, **stay)], people, replicates=runs)
    live(course, people, months + 1)
    rows = np.array(rows_of(course.courses[0], "enrolled"), dtype=np.int64)
    (first,) = (q for q in course.courses[0].queue_months if q.month == 1)
    assert (first.started == PLACES).all()
    assert (course.courses[0].queue_months[-1].waiting > 0).all()
    return np.bincount(course._stream.block[rows], minlength=runs)


def test_equal_stays_of_the_model_admit_as_derived() -> None:
    """Month 1 of the model is the moment 0 in which the places are filled."""
    assert admissions(MONTHS, duration_months=12).tolist() == [3 * PLACES]
    assert admissions(MONTHS - 1, duration_months=12).tolist() == [2 * PLACES]
    assert admissions(MONTHS, duration_months=13).tolist() == [2 * PLACES]


@pytest.mark.parametrize("mean", [PLACES * MONTHS / (WANTED - PLACES), 8.0])
def test_memoryless_stays_of_the_model_admit_as_derived(mean: float) -> None:
    """Attrition alone ends a stay: with a monthly chance p = 1 / mean, 35 (1 + 24 p) are admitted by month 24.

    The model is monthly, so memoryless stays are geometric; with the chance 1 / mean they have the mean asked for, and
    renewals are binomial: their mean is that of the exponential stays, their variance smaller by the factor 1 - p.
    """
    runs = 100
    found = admissions(MONTHS, runs, duration_months=120, attrition_per_month=-np.log1p(-1 / mean))
    expected = PLACES * (1 + MONTHS / mean)
    error = np.sqrt(PLACES * MONTHS / mean * (1 - 1 / mean) / runs)
    assert abs(found.mean() - expected) < 3 * error
    # The spread over replicates is that of the binomial: 1 in 100 errs over the normal bounds of a variance.
    variance = PLACES * MONTHS / mean * (1 - 1 / mean)
    assert abs(found.var(ddof=1) / variance - 1) < norm.isf(0.005) * np.sqrt(2 / (runs - 1))
    if mean > 10:
        assert expected == pytest.approx(WANTED)


def test_longer_stays_than_derived_miss_the_hundred() -> None:
    """One month longer on average: below 100 by more than three standard errors."""
    runs, mean = 100, PLACES * MONTHS / (WANTED - PLACES) + 1
    found = admissions(MONTHS, runs, duration_months=120, attrition_per_month=-np.log1p(-1 / mean))
    assert found.mean() < WANTED - 3 * found.std(ddof=1) / np.sqrt(runs)

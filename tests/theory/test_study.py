"""The study's statistics on people made up from known odds, against closed forms and an independent library."""

from dataclasses import replace

import numpy as np
import pytest
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM

from sim.engine.streams import Stream
from sim.evaluation import one_study_limits, published_paths
from sim.sources import evidence
from sim.study import (
    EFFECT_YEARS,
    EVENT_YEARS,
    REFERENCE,
    Panel,
    adjusted,
    estimate,
    fit_logit,
    independent,
    interaction,
    propensity,
    published_design,
    study,
)

HOURS = published_design().hours
YEARS = np.array([-2.6, -1.8, -1.0, -0.5, 0.1])
"""Log odds of the event years."""
EFFECT = {0: 0.9, 1: 0.7}


def logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def people(
    n: int, rng: np.random.Generator, treated: bool = False, effect: dict[int, float] | None = None, spread: float = 0.0
) -> Panel:
    """Make people whose log odds of a leisure job follow the adjusted logit; ``spread`` is a person's own deviation."""
    start = np.where(treated & (rng.random(n) < 0.49), 2015, 2014)
    panel = Panel(
        stream=Stream(int(rng.integers(1 << 30)), range(1), n),
        id=np.arange(n),
        age=rng.integers(10, 15, n),
        male=rng.random(n) < 0.5,
        non_western=rng.random(n) < 0.8,
        two_parents=rng.random(n) < 0.6,
        no_father=rng.random(n) < 0.3,
        children_at_home=rng.integers(1, 7, n),
        parent_transfer=rng.random(n) < 0.6,
        parent_pension=rng.random(n) < 0.1,
        start_year=start,
        paid=np.zeros((n, 6)),
        pupil=np.ones((n, 7), dtype=bool),
    )
    age = (panel.age + start - 2010)[:, None] + np.array(EVENT_YEARS) - 16
    log_odds = YEARS + 0.4 * age - 0.05 * age**2 + 0.3 * panel.male[:, None] - 0.4 * panel.non_western[:, None]
    log_odds = log_odds + spread * rng.normal(size=(n, 1)) + (0.2 if treated else 0.0)
    for event, size in (effect or {}).items():
        log_odds[:, EVENT_YEARS.index(event)] += size
    hit = rng.random((n, len(EVENT_YEARS))) < logistic(log_odds)
    column = start[:, None] + np.array(EVENT_YEARS) - 2011
    np.put_along_axis(panel.paid, column, np.where(hit, HOURS, HOURS - 1), axis=1)
    return panel


def rows_of(treated: Panel, controls: Panel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return outcome, columns and person of every row, written out one by one; the last two columns are the effects."""
    outcome, columns, person = [], [], []
    number = 0
    for group, panel in enumerate((controls, treated)):
        hit = panel.outcome(HOURS)
        for i in range(len(panel)):
            number += 1
            for at, event in enumerate(EVENT_YEARS):
                age = panel.age[i] + panel.start_year[i] - 2010 + event
                own = (panel.male, panel.non_western, panel.two_parents, panel.no_father, panel.children_at_home)
                columns.append(
                    [1, group, *(event == e for e in (-3, -2, 0, 1)), *(v[i] for v in own), age, age**2]
                    + [group * (event == e) for e in (-3, -2, 0, 1)]
                )
                outcome.append(hit[i, at])
                person.append(number)
    return np.array(outcome, dtype=float), np.array(columns, dtype=float), np.array(person)


def test_known_effects_are_found_again():
    rng = np.random.default_rng(11)
    studies = [
        estimate(people(500, rng, treated=True, effect=EFFECT), people(500, rng), HOURS).adjusted for _ in range(300)
    ]
    error = np.std(studies, axis=0, ddof=1) / np.sqrt(len(studies))
    # Three standard errors of the mean of 300 studies, about .04 on the log scale.
    assert np.abs(np.mean(studies, axis=0) - [EFFECT[0], EFFECT[1]]).max() < 3 * error.max() < 0.05


def test_matching_keeps_the_effect_when_participants_are_selected():
    rng = np.random.default_rng(12)
    design = published_design()
    found = []
    for _ in range(30):
        treated, pool = people(400, rng, treated=True, effect=EFFECT), people(4000, rng)
        young = pool.take(rng.random(len(pool)) < np.where(pool.age < 12, 1.0, 0.4))
        found.append(study(treated, young, 300, design).adjusted)
    error = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
    assert np.abs(np.mean(found, axis=0) - [EFFECT[0], EFFECT[1]]).max() < 3 * error.max()


def test_the_saturated_odds_ratios_equal_a_fitted_saturated_logit():
    rng = np.random.default_rng(13)
    hits, persons = rng.integers(20, 150, (2, 5)), np.array([[289], [280]])
    group, year = np.repeat([0, 1], 5), np.tile(np.arange(5), 2)
    others = [y for y in range(5) if y != REFERENCE]
    columns = np.column_stack(
        [np.ones(10), group, *(year == y for y in others), *(group * (year == y) for y in others)]
    ).astype(float)
    counts = np.column_stack([hits.ravel(), (persons - hits).ravel()])
    outcome, single = np.tile([1.0, 0.0], 10).repeat(counts.ravel()), columns.repeat(counts.sum(axis=1), axis=0)
    fit = GLM(outcome, single, family=Binomial()).fit(tol=1e-12)
    found, error = interaction(hits, persons)
    assert found[others] == pytest.approx(fit.params[-4:], abs=1e-8)
    assert error[others] == pytest.approx(fit.bse[-4:], rel=1e-6)


def test_the_published_counts_give_the_published_odds_ratios_and_errors():
    paths = published_paths()
    persons = np.array([[289] * 5, [288, 288, 289, 289, 289]])
    hits = np.rint(np.array([paths["control"], paths["treated"]]) * persons)
    found, error = interaction(hits, persons)
    for at, name in zip(EFFECT_YEARS, ("start_year", "start_year_plus_1"), strict=True):
        row = evidence(f"annex7_3_interaction_{name}_unadjusted")
        ratio = np.exp(found[at])
        # Printed with three decimals.
        assert ratio == pytest.approx(float(row["odds_ratio"]), abs=0.0006)
        assert ratio * error[at] == pytest.approx(float(row["standard_error_of_or"]), abs=0.0006)


@pytest.mark.parametrize("with_pension", [True, False])
def test_the_logit_equals_an_independent_fit(with_pension: bool):
    rng = np.random.default_rng(14)
    treated, controls = people(150, rng, treated=True, effect=EFFECT), people(150, rng)
    if not with_pension:
        controls, treated = (replace(p, no_father=~p.two_parents) for p in (controls, treated))
    outcome, columns, person = rows_of(treated, controls)
    columns = columns[:, independent(columns)]
    fit = GLM(outcome, columns, family=Binomial()).fit(
        tol=1e-12, cov_type="cluster", cov_kwds={"groups": person, "use_correction": False}
    )
    found, error = adjusted(treated, controls, HOURS)
    persons = person.max()
    assert found == pytest.approx(fit.params[-2:], abs=1e-7)
    assert error == pytest.approx(fit.bse[-2:] * np.sqrt(persons / (persons - 1)), rel=1e-6)


def test_clustered_errors_equal_the_sandwich_written_out():
    rng = np.random.default_rng(15)
    treated, controls = people(120, rng, treated=True, spread=1.0), people(120, rng, spread=1.0)
    outcome, columns, person = rows_of(treated, controls)
    coefficients, inverse = fit_logit(outcome, np.ones(len(outcome)), columns)
    residual = outcome - logistic(columns @ coefficients)
    meat = np.zeros((columns.shape[1],) * 2)
    for who in np.unique(person):
        score = residual[person == who] @ columns[person == who]
        meat += np.outer(score, score)
    n = person.max()
    expected = np.sqrt(np.diag(inverse @ meat @ inverse)[-2:] * n / (n - 1))
    assert adjusted(treated, controls, HOURS)[1] == pytest.approx(expected, rel=1e-6)


def test_errors_cover_people_who_differ_for_good():
    """A person's five years are alike; errors that ignore it are too wide for a difference between years."""
    rng = np.random.default_rng(16)
    pairs = [(people(300, rng, treated=True, spread=1.5), people(300, rng, spread=1.5)) for _ in range(80)]
    found = [estimate(*pair, HOURS) for pair in pairs]
    spread = np.std([e.adjusted for e in found], axis=0, ddof=1)
    clustered = np.mean([e.error for e in found], axis=0)
    # The standard deviation of 80 estimates has a relative standard error of 1/sqrt(158) = .08.
    assert np.abs(clustered / spread - 1).max() < 3 * 0.08
    naive = np.mean([interaction(e.shares * e.pairs, np.full((2, 1), e.pairs))[1][-2:] for e in found], axis=0)
    assert (naive > 1.1 * clustered).all()


def test_an_effect_that_is_not_there_is_found_in_five_per_cent():
    rng = np.random.default_rng(17)
    design = published_design()
    pool, treated = people(8000, rng, spread=1.0), people(4000, rng, treated=True, spread=1.0)
    # People drawn afresh for each study, so the 400 are independent: the rate has a standard error of .011.
    rejected = []
    for k in range(400):
        mine = treated.take(rng.choice(len(treated), 330, replace=False))
        rejected.append(study(mine, pool, design.pairs, design, k).p_values[0] < 0.05)
    assert 0.03 <= np.mean(rejected) <= 0.08


def test_propensities_equal_a_logit_on_single_people():
    rng = np.random.default_rng(18)
    treated, pool = people(200, rng, treated=True), people(1500, rng)
    pool = pool.take(rng.random(len(pool)) < np.where(pool.parent_transfer, 1.0, 0.3))
    both = [pool, treated]
    group = np.repeat([0.0, 1.0], [len(pool), len(treated)])

    def of(name: str) -> np.ndarray:
        return np.concatenate([getattr(p, name) for p in both]).astype(float)

    names = ("non_western", "two_parents", "no_father", "children_at_home", "parent_transfer", "parent_pension")
    columns = np.column_stack([np.ones(len(group)), of("age"), of("age") ** 2, *(of(name) for name in names)])
    fitted = GLM(group, columns, family=Binomial()).fit(tol=1e-12).fittedvalues
    everybody = np.ones(len(treated), dtype=bool)
    mine, theirs = propensity(treated, pool, everybody, len(pool) / len(treated))
    assert np.concatenate([theirs, mine]) == pytest.approx(fitted, abs=1e-7)
    rare, _ = propensity(treated, pool, everybody, 50.0)
    assert rare.mean() < 0.03


def test_limits_of_one_study_hold_the_next_one():
    rng = np.random.default_rng(19)
    inside = []
    for _ in range(2000):
        drawn = rng.normal(size=(21, 1))
        low, high = one_study_limits(drawn[:20], np.ones((20, 1)))
        inside.append(low[0] <= drawn[20, 0] <= high[0])
    # Standard error sqrt(.95 x .05 / 2000) = .005.
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)
    low, high = one_study_limits(np.array([[0.3]]), np.array([[0.2]]))
    assert (low[0], high[0]) == pytest.approx((0.3 - 1.96 * 0.2, 0.3 + 1.96 * 0.2), abs=1e-4)


def test_a_nuisance_year_without_anybody_leaves_the_effects_alone():
    rng = np.random.default_rng(20)
    treated, controls = people(300, rng, treated=True, effect=EFFECT), people(300, rng)
    column = (treated.start_year - 3 - 2011)[:, None]
    paid = treated.paid.copy()
    np.put_along_axis(paid, column, 0, axis=1)
    emptied = replace(treated, paid=paid)
    outcome, columns, _ = rows_of(emptied, controls)
    kept = columns[:, -4] == 0
    without = GLM(outcome[kept], np.delete(columns[kept], -4, axis=1), family=Binomial()).fit(tol=1e-12)
    found, error = adjusted(emptied, controls, HOURS)
    assert found == pytest.approx(without.params[-2:], abs=1e-5)
    assert np.isfinite(error).all()

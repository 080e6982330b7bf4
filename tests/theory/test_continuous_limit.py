"""The month's probabilities and the chain against matrix exponentials."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.linalg import expm

from sim import ParameterSet
from sim.chain import FIRST, N_EXPANDED, PHASE_OF, Chain
from sim.parameters import WITHOUT_ACTIVATION
from sim.scenario import month_number
from sim.states import AGE_CLASSES, ORIGINS, PHASE_CODE, PHASES, SEXES
from sim.transitions import CELLS, FIRST_CELL, N_STRATA, Tables, hazards, probabilities

AGE = np.array([30 * 12])
STRATUM = ([age.key for age in AGE_CLASSES].index("25-50"), SEXES.index("men"), ORIGINS.index("non_western"))
SEX, ORIGIN = np.array([STRATUM[1]]), np.array([STRATUM[2]])
START = month_number("2011-12")


@settings(deadline=None, max_examples=100)
@given(arrays(float, 5, elements=st.floats(0, 4)))
def test_competing_risks_are_the_closed_form(hazard: np.ndarray) -> None:
    """One month of the generator in which every destination absorbs."""
    generator = np.zeros((6, 6))
    generator[0, 1:] = hazard
    generator[0, 0] = -hazard.sum()
    exact = expm(generator)[0]
    table = np.zeros((len(CELLS), len(PHASES)))
    cell, code = FIRST_CELL[PHASE_CODE["employed"]], PHASE_CODE["employed"]
    others = [to for to in range(len(PHASES)) if to != code][:5]
    table[cell, others] = hazard
    made = probabilities(table)
    found = made[cell, others]
    assert not np.delete(made, cell, axis=0).any()
    np.testing.assert_allclose(found, exact[1:], atol=1e-12)
    np.testing.assert_allclose(1 - found.sum(), np.exp(-hazard.sum()), atol=1e-12)


def test_tables_hold_the_probabilities_to_32_bits(parameters: ParameterSet) -> None:
    for year in (2011, 2013, 2014, 2016):
        tables = Tables.of(parameters, year)
        chance = np.diff(tables.cumulative.astype(float), axis=1, prepend=0) / 2**32
        wanted = probabilities(hazards(parameters, year))
        assert wanted.shape[:3] == (len(AGE_CLASSES), len(SEXES), len(ORIGINS))
        np.testing.assert_allclose(
            chance.reshape(N_STRATA, len(CELLS), len(PHASES)),
            wanted.reshape(N_STRATA, len(CELLS), len(PHASES)),
            atol=2.0**-31,
        )


def homogeneous(parameters: ParameterSet, scale: float) -> ParameterSet:
    """No calendar, no durations, no usual activation, all hazards times ``scale``."""
    value = parameters.value
    scaled = {
        id: value(id) * scale
        for id in parameters
        if id.startswith(("rate_", "death_")) and not id.startswith("rate_out_of_other_benefit")
    }
    scaled |= {**WITHOUT_ACTIVATION, "demand_elasticity": 0.0}
    scaled["exit_factor_months_1_8"] = 1.0
    scaled |= {f"rate_out_of_other_benefit_months_{k}": 0.05 * scale for k in ("1_6", "7_on")}
    scaled |= {f"job_loss_months_{k}": 0.03 * scale for k in ("1_3", "4_12", "13_on")}
    return parameters.replace({**scaled, **{id: 1.0 for id in parameters if id.startswith("pension_multiplier")}})


def miss(parameters: ParameterSet, cuts: int) -> float:
    """Return the chain's largest miss after six periods of ``cuts`` months, each period with six months' hazards.

    The horizon stays under 60 steps, so that nobody passes from newly to long-term activity-ready.
    """
    begins = [PHASE_CODE[key] for key in ("job_ready", "activity_ready", "employed", "newly_activity_ready")]
    chain = Chain(homogeneous(parameters, 6 / cuts), START)
    p = np.zeros((len(begins), N_EXPANDED))
    p[np.arange(len(begins)), FIRST[begins]] = 1
    for month in range(1, 6 * cuts + 1):
        p = chain.step(p, month, AGE, SEX, ORIGIN)
    rates = hazards(homogeneous(parameters, 6), 2012)[STRATUM][FIRST_CELL]
    exact = expm(6 * (rates - np.diag(rates.sum(axis=1))))[begins]
    found = np.stack([np.bincount(PHASE_OF, weights=row, minlength=len(PHASES)) for row in p])
    return float(np.abs(found - exact).max())


def test_the_chain_tends_to_the_matrix_exponential(parameters: ParameterSet) -> None:
    """Cutting the month finer shrinks the miss in first order: half the month, half the miss."""
    misses = [miss(parameters, cuts) for cuts in (1, 2, 4, 8)]
    print("miss by cuts of the period 1, 2, 4, 8:", misses)
    assert misses[0] > 1e-3
    for coarse, fine in itertools.pairwise(misses):
        assert 0.45 < fine / coarse < 0.6


def test_the_shipped_month_is_close_to_continuous_time(parameters: ParameterSet) -> None:
    """At the shipped size of the hazards a month's step errs by less than two tenths of a point in 36 months."""
    chain = Chain(homogeneous(parameters, 1), START)
    p = np.zeros((1, N_EXPANDED))
    p[0, FIRST[PHASE_CODE["job_ready"]]] = 1
    for month in range(1, 37):
        p = chain.step(p, month, AGE, SEX, ORIGIN)
    rates = hazards(homogeneous(parameters, 1), 2012)[STRATUM][FIRST_CELL]
    exact = expm(36 * (rates - np.diag(rates.sum(axis=1))))[PHASE_CODE["job_ready"]]
    off = np.abs(np.bincount(PHASE_OF, weights=p[0], minlength=len(PHASES)) - exact).max()
    print("miss of the shipped month after 36 months:", off)
    assert off < 2e-3

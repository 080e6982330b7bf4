"""Demand for labour: how much easier or harder a job is found than in 2011, by calendar year.

The published unemployment rate scales every hazard of finding work: (rate of 2011 / rate of the year) ** elasticity.
Before the first and after the last published year the nearest one holds.
"""

from __future__ import annotations

from .parameters import ParameterSet

REFERENCE_YEAR = 2011
"""The year in which demand is 1; the parameters hold for it."""
YEARS = range(2010, 2018)
"""Years with a published unemployment rate (ids ``unemployment_rate_<year>``)."""


def demand(parameters: ParameterSet, year: int) -> float:
    """Return the factor on hazards of finding work in calendar year ``year``, 1 in 2011."""
    nearest = min(max(year, YEARS[0]), YEARS[-1])
    rate, reference = (parameters.value(f"unemployment_rate_{y}") for y in (nearest, REFERENCE_YEAR))
    return float((reference / rate) ** parameters.value("demand_elasticity"))

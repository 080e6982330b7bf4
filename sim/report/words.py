"""How the sections write a measure, a level and a difference."""

from __future__ import annotations

import math
from collections import Counter

import pandas as pd

from .. import plots
from ..headline import computing_error
from ..locale import number
from ..measures import MEASURES
from .folder import Report
from .parts import Cell


def error_of(row: plots.Row) -> float:
    """Return the computing error of a difference; NaN for a single replicate."""
    return computing_error(row["se"], row["replicates"])


def shows(row: plots.Row) -> bool:
    """Tell whether the computing error leaves zero out."""
    return bool(abs(row["estimate"]) > error_of(row))


def difference_words(report: Report, measure: str, row: plots.Row) -> dict[str, str]:
    """Return what every sentence on a difference says."""
    unit = MEASURES[measure].unit
    return {
        "measure": MEASURES[measure].label(report.lang),
        "population": MEASURES[measure].population(report.lang),
        "month": report.month(row["month"]),
        "points": plots.points(measure, report.lang),
        "estimate": plots.change(row["estimate"], unit, report.lang),
        "low": plots.change(row["low"], unit, report.lang),
        "high": plots.change(row["high"], unit, report.lang),
    }


def between(report: Report, low: float, high: float, unit: str) -> str:
    """Write an interval of levels, with the unit once; a dash where there is none."""
    if math.isnan(low):
        return "–"
    first = number(100 * low, report.lang, 1) if unit == "share" else plots.amount(low, unit, report.lang)
    return report.t("to", low=first, high=plots.amount(high, unit, report.lang))


def usual_population(rows: pd.DataFrame, lang: str) -> str:
    """Return whom most of the measures in ``rows`` count."""
    return Counter(MEASURES[m].population(lang) for m in rows["measure"].unique()).most_common(1)[0][0]


def measure_cell(measure: str, usual: str, lang: str) -> Cell:
    """Name a measure with its unit, and who is counted when that is not as usual."""
    label, population = MEASURES[measure].label(lang), MEASURES[measure].population(lang)
    if MEASURES[measure].unit != "share":
        label = f"{label} ({plots.points(measure, lang)})"
    return label if population == usual else (label, population)


def mean_persons(value: float, lang: str) -> str:
    """Write a mean number of persons, with a decimal when it is small and not whole."""
    return number(value, lang, 0 if value >= 10 or float(value).is_integer() else 1)

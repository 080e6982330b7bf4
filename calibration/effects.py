"""The leisure-job effect on the source's own outcome, exactly: from hazard multipliers to odds ratios and back.

A reduced form of the source's study, on the side-job chain instead of matched people: participants of the published
ages enrol evenly over the months of the start year, having no side job then; their share with at least 26 paid hours in
the start year and in the year after is held against that of the same people without the activity. Matching, calendar
years and selection are not imitated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import norm

from sim.chain import side_job_path
from sim.parameters import ParameterSet
from sim.sources import rows
from sim.transitions import SIDE_AGES, SIDE_CLASS, side_job_hazards

PUBLISHED = ("annex7_3_interaction_start_year_adjusted", "annex7_3_interaction_start_year_plus_1_adjusted")
STARTED_2015 = ("tab5_5_start_year_2015", "tab5_5_n_total")
_YEAR = 12


class Shares(NamedTuple):
    """Shares with a leisure job in the start year and the year after, with and without the activity."""

    with_activity: np.ndarray
    without: np.ndarray

    @property
    def odds_ratios(self) -> np.ndarray:
        """Odds with the activity over odds without, for the two years."""
        odds = [p / (1 - p) for p in self]
        return odds[0] / odds[1]


def published_odds_ratios() -> np.ndarray:
    """Return the adjusted odds ratios of the start year and the year after."""
    return np.array([float(rows("effects")[id]["odds_ratio"]) for id in PUBLISHED])


def treated_age() -> float:
    """Return the mean age (years) of the source's participants at the end of their start year.

    Their mean age in 2010 is printed, and how many started in 2015; the others are taken to have started in 2014.
    """
    found = rows("targets")
    late = float(found[STARTED_2015[0]]["value"]) / float(found[STARTED_2015[1]]["value"])
    return float(found["annex7_1_age_in_2010_treated"]["value"]) + 4 + late


def leisure_job_shares(parameters: ParameterSet, values: Mapping[str, float]) -> Shares:
    """Return the shares that ``values`` (the activity's parameters by id) give, averaged over ages and start months."""
    ages = np.arange(14 * _YEAR, 20 * _YEAR)
    of_age = norm.pdf(ages / _YEAR, treated_age(), parameters.value("control_age_sd"))
    reached = np.zeros((2, 2))
    total = 0.0
    for start in range(1, _YEAR + 1):
        found, free = _started(parameters, values, ages, start)
        reached += np.tensordot(found, of_age * free, axes=(2, 0))
        total += float(of_age @ free)
    return Shares(*(reached / total))


def _started(
    parameters: ParameterSet, values: Mapping[str, float], ages: np.ndarray, start: int
) -> tuple[np.ndarray, np.ndarray]:
    """Follow people enrolled in month ``start`` (1-12) of the start year, ``ages`` months old at its end.

    Returns the chance of a leisure job, shape (with and without the activity, years, ages), and the chance of being
    free to enrol, by age.
    """
    hazard = side_job_hazards(parameters)
    per_month = parameters.value("side_job_hours") * 52 / 12
    needed = int(np.ceil(parameters.value("leisure_job_hours_in_year") / per_month - 1e-9))
    shifts, chance = _shifts(values, start)
    before, _ = side_job_path(parameters, int(ages[-1]) // _YEAR)
    # p[variant, age, job, job months this year]; the last variant is without the activity.
    p = np.zeros((len(chance) + 1, len(ages), 2, needed + 1))
    p[:, :, 1, 0] = before[ages - _YEAR]
    p[:, :, 0, 0] = 1 - p[:, :, 1, 0]
    free = np.ones(len(ages))
    out = np.zeros((2, 2, len(ages)))
    for month in range(1, 2 * _YEAR + 1):
        if month == start:
            free = p[0, :, 0].sum(axis=-1)
            p[:, :, 1] = 0
            p /= p.sum(axis=(2, 3), keepdims=True)
        if month == _YEAR + 1:
            p[..., 0] = p.sum(axis=-1)
            p[..., 1:] = 0
        row = 1 + SIDE_CLASS[ages - _YEAR + month]
        begin = -np.expm1(-hazard[row] * np.exp(shifts[0, :, month, None]))[..., None]
        end = -np.expm1(-hazard[row + len(SIDE_AGES)] * np.exp(shifts[1, :, month, None]))[..., None]
        none = p[:, :, 0] * (1 - begin) + p[:, :, 1] * end
        held = p[:, :, 0] * begin + p[:, :, 1] * (1 - end)
        p[:, :, 0] = none
        p[:, :, 1, 0] = 0
        p[:, :, 1, 1:] = held[..., :-1]
        p[:, :, 1, -1] += held[..., -1]
        if month % _YEAR == 0:
            served = p[..., -1].sum(axis=-1)
            out[:, month // _YEAR - 1] = np.tensordot(chance, served[:-1], axes=(0, 0)), served[-1]
    return out, free


def _shifts(values: Mapping[str, float], start: int) -> tuple[np.ndarray, np.ndarray]:
    """Return log hazard ratios, shape (start and end of a job, variants, months 0-24), and the chance of each variant.

    A variant is the month of leaving, by attrition or at the planned end; one more, without the activity, comes last.
    """
    duration = int(values["duration_months"])
    stay = np.exp(-values["attrition_per_month"])
    chance = np.append(stay ** np.arange(duration - 1) * (1 - stay), stay ** (duration - 1))
    month = np.arange(2 * _YEAR + 1)
    shifts = np.zeros((2, duration + 1, len(month)))
    for k, moment in enumerate(("start", "end")):
        for stayed in range(1, duration + 1):
            ago = month - start - stayed
            fading = stayed / duration * 0.5 ** (ago / values["half_life_months"]) * values[f"effect_{moment}_after"]
            during = np.where(month >= start, values[f"effect_{moment}_during"], 0.0)
            shifts[k, stayed - 1] = np.where(ago >= 0, fading, during)
    return shifts, chance


def solve_start_effects(parameters: ParameterSet, values: Mapping[str, float]) -> dict[str, float]:
    """Return the two effects on starting a leisure job that give back the published adjusted odds ratios.

    The effect afterwards is not taken below zero: what is left then is reported by :func:`leisure_job_shares`.
    """
    published = np.log(published_odds_ratios())
    ids = ("effect_start_during", "effect_start_after")

    def residuals(effects: np.ndarray) -> np.ndarray:
        tried = dict(values) | dict(zip(ids, effects.tolist(), strict=True))
        return np.log(leisure_job_shares(parameters, tried).odds_ratios) - published

    best = least_squares(residuals, [1.2, 0.3], bounds=([0, 0], [5, 5]))
    return dict(zip(ids, best.x.tolist(), strict=True))

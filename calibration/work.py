"""Leisure jobs and employment: how often the young take a side job, and how often adults lose a job.

Two blocks of their own: neither shares a parameter or a published share with the benefit flows or with the young. What
the recipe makes without any rate (labour-market status of 2011 and who is outside for more than five years) is listed
by :func:`placed`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.stats import norm

from sim.marginals import check
from sim.parameters import ParameterSet
from sim.population import REFERENCE
from sim.recipe import recipe
from sim.sources import rows
from sim.states import ORIGINS, SEXES
from sim.transitions import FRAILTIES, SIDE_AGES, SIDE_CLASS

from .blocks import Block, BlockTarget, Book, published
from .point_fits import SIDE_JOB_STARTS, employment, implied_change
from .priors import read_priors
from .targets import AGED_15_20, CONTROL_PATH, control_path

if TYPE_CHECKING:
    import pandas as pd

LEISURE: Final = (*SIDE_JOB_STARTS, "side_job_end")
"""Free parameters of the leisure jobs: the starting hazard at three ages, and the ending."""
_LAST_AGE: Final = 25
_MONTHS: Final = 60
_FACTORS: Final = np.exp(np.linspace(-2.5, 2.5, 11))
"""Factors on job loss at which the change of employment is computed; between them it is interpolated."""


# --- leisure jobs


def side_job_paths(parameters: ParameterSet, values: np.ndarray) -> np.ndarray:
    """Return the chance of at least 26 paid hours in the past 12 months by age in months, shape (draws, ages).

    ``sim.chain.side_job_path`` for many draws at once, the mean over the propensity classes; ``values`` (draws,
    starting hazards and ending) in the order of LEISURE.
    """
    knots = [float(id.removeprefix("side_job_start_age_").replace("_", ".")) for id in SIDE_JOB_STARTS]
    middle = np.array(SIDE_AGES) + 0.5
    weights = np.stack([np.interp(middle, knots, unit) for unit in np.eye(len(knots))])
    start = np.exp(np.log(values[:, : len(knots)]) @ weights)
    low = parameters.value("side_job_low_propensity")
    by_class = -np.expm1(-np.stack([start * low, start * (2 - low)]))
    assert len(by_class) == FRAILTIES
    ages = np.arange(12 * (_LAST_AGE + 1))
    # Shape (ages, propensity classes, draws).
    starts = np.where(SIDE_CLASS[ages, None, None] < 0, 0.0, np.moveaxis(by_class, -1, 0)[SIDE_CLASS[ages]])
    end = -np.expm1(-values[:, -1])
    first = 12 * SIDE_AGES[0]
    job = np.zeros_like(starts)
    for age in ages[first:]:
        job[age] = job[age - 1] * (1 - end) + (1 - job[age - 1]) * starts[age]
    needed = int(
        np.ceil(parameters.value("leisure_job_hours_in_year") / (parameters.value("side_job_hours") * 52 / 12) - 1e-9)
    )
    counted = ages[first:]
    # Months with a job so far in the year, by whether one is held: shape (2, months, ages, propensity classes, draws).
    p = np.zeros((2, needed + 1, len(counted), *starts.shape[1:]))
    p[0, 0], p[1, 0] = 1 - job[counted - 12], job[counted - 12]
    for month in range(11, -1, -1):
        now = starts[counted - month]
        none = p[0] * (1 - now) + p[1] * end
        held = p[0] * now + p[1] * (1 - end)
        p[0], p[1] = none, 0.0
        p[1, 1:] = held[:-1]
        p[1, -1] += held[-1]
    reached = np.zeros_like(starts)
    reached[counted] = p[:, -1].sum(axis=0)
    return np.asarray(reached.mean(axis=1).T)


class _LeisureShares:
    """The shares of the leisure-job targets as a function of starting hazards and ending."""

    def __init__(self, parameters: ParameterSet, book: Book) -> None:
        self.parameters = parameters
        means, _ = control_path(book)
        ages = np.arange(12 * (_LAST_AGE + 1)) / 12
        weight = norm.pdf(ages[None], np.array(means)[:, None], parameters.value("control_age_sd"))
        aged_15_20 = (ages >= 15) & (ages < 21)
        self.weights = np.vstack([weight, aged_15_20])
        self.weights = self.weights / self.weights.sum(axis=1, keepdims=True)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return side_job_paths(self.parameters, np.asarray(values)) @ self.weights.T


_STEEP_YEARS: Final = (2014, 2015)
_STEEP: Final = (
    "Andelen af 289 elever har en stikprøvefejl på 2,7-2,9 point. Fra 21 over 31 til 49 % stiger den stejlere, end tre "
    "alderstrin i starthazarden kan; fem ville følge tilfældighederne.",
    "The share of 289 pupils has a standard error of 2.7-2.9 points. From 21 over 31 to 49 % it rises more steeply "
    "than three ages of the starting hazard can; five would follow the noise.",
)
"""Why the last two years of the controls are missed by more than 2.5 points."""


def leisure_targets(book: Book | None = None) -> tuple[BlockTarget, ...]:
    """Return the shares with a leisure job: the matched controls in five event years, and pupils of 15-20 in 2015."""
    book, found = book or rows("targets"), []
    for year, id in zip(range(2011, 2016), CONTROL_PATH, strict=True):
        value, low, high = published((id,), (1.0,), book)
        pupils = int(float(book[id]["n"]))
        target = _target((id,), "leisure_job_26h", "controls", f"{year}-12", value, low, high, pupils, "paid_hours")
        found.append(replace(target, note_da=_STEEP[0], note_en=_STEEP[1]) if year in _STEEP_YEARS else target)
    n = np.array([float(book[id]["n"]) for id in AGED_15_20])
    value, low, high = published(AGED_15_20, n / n.sum(), book)
    found.append(
        _target(AGED_15_20, "leisure_job_26h", "aged_15_20", "2015-12", value, low, high, int(n.sum()), "earnings")
    )
    return tuple(found)


def _target(
    ids: tuple[str, ...],
    measure: str,
    group: str,
    month: str,
    value: float,
    low: float,
    high: float,
    n: int,
    counting: str,
    role: str = "fit",
) -> BlockTarget:
    id = "&".join(ids) + (":change" if counting == "change" else "")
    return BlockTarget(id, measure, "block", group, month, value, low, high, n, False, "a", role, counting, ids)


def leisure_block(parameters: ParameterSet, book: Book | None = None) -> Block:
    """Return the leisure jobs: starting hazards and ending with their priors and targets, all else as in
    ``parameters``; ``book`` holds rows in place of the evidence's."""
    book = book or rows("targets")
    return Block.of("leisure_jobs", read_priors(LEISURE), leisure_targets(book), _LeisureShares(parameters, book))


# --- employment


class _EmploymentShares:
    """Changes of the employed share at 25-50 over 2011-2016, then its levels of 2016, by sex and origin.

    Each depends on its own factor alone, so all are tried at once and interpolated in the logarithm of the factor.
    """

    def __init__(self, parameters: ParameterSet) -> None:
        people = recipe("area", parameters).first(REFERENCE)
        cells = [(SEXES.index(sex), ORIGINS.index(origin)) for sex, origin in implied_change()]
        found = []
        for factor in _FACTORS:
            tried = parameters.replace(dict.fromkeys(job_loss_factors(), float(factor)))
            first, last = employment(tried, people, _MONTHS)
            found.append([[last[c] - first[c] for c in cells], [last[c] for c in cells]])
        self.curves = CubicSpline(np.log(_FACTORS), np.array(found))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        at = np.clip(np.log(values), *np.log(_FACTORS[[0, -1]]))
        found = self.curves(at)
        own = np.arange(at.shape[1])
        return np.asarray(found[:, own, :, own].transpose(1, 2, 0).reshape(len(at), -1))


def job_loss_factors() -> tuple[str, ...]:
    """Return the ids of the factors on job loss from 25 on, in the order of :func:`point_fits.implied_change`."""
    return tuple(f"job_loss_factor_{sex}_{origin}" for sex, origin in implied_change())


def employment_targets(book: Book | None = None) -> tuple[BlockTarget, ...]:
    """Return the changes of the employed share that Figure 4.11 implies over 2011-2016, then its levels of 2016
    (shown)."""
    book = book or rows("targets")
    changes, levels = [], []
    for (sex, origin), change in implied_change(book).items():
        stem, group = f"fig4_11_employed_{sex}_{origin}", f"{sex}_{origin}"
        ids = (stem,) if sex == "men" else (f"{stem}_2009", f"{stem}_2016")
        n = int(float(book[ids[-1]]["n"]))
        # Men's share is one rounded level for all years, so its change may be a rounding width either way.
        low, high = (-0.01, 0.01) if sex == "men" else published(ids, (-5 / 7, 5 / 7), book)[1:]
        changes.append(_target(ids, "employed_change", group, "2016-12", change, low, high, n, "change"))
        level = published(ids[-1:], (1.0,), book)
        levels.append(_target(ids[-1:], "employed", group, "2016-12", *level, n, "level", "shown"))
    return (*changes, *levels)


def employment_block(parameters: ParameterSet, book: Book | None = None) -> Block:
    """Return the four factors on job loss from 25 on with their priors and targets, all else as in ``parameters``.

    ``book`` holds rows in place of the evidence's.
    """
    factors = read_priors(job_loss_factors())
    return Block.of("employment", factors, employment_targets(book), _EmploymentShares(parameters))


# --- what no rate decides


_PLACED: Final = ("fig4_12_", "sec1_outside_lf", "fig4_11_employed")


def placed(parameters: ParameterSet, residents: int = REFERENCE) -> pd.DataFrame:
    """Return labour-market status of 2011 by origin and sex and who is outside for over five years, as the recipe makes
    them.

    Columns as :func:`sim.marginals.check`: target, published, made, expected_error.
    """
    made = check("area", parameters, residents)
    return made[made["target"].str.startswith(_PLACED)].reset_index(drop=True)

"""The source's effect study on people whose lives are known: sample, matching, and two logit regressions.

It knows nothing of the model: it reads panels of persons, as registers give them. The design is that of annex 7.3
(difference-in-differences logit on matched pairs, outcome at least 26 paid hours in a year); calendar years and rules
are data of :class:`Design`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Final, NamedTuple

import numpy as np

from .engine.streams import Stream
from .sources import evidence

FIRST_YEAR: Final = 2010
"""The year whose December gives the attributes; paid hours are known from the year after."""
LAST_YEAR: Final = 2016
EVENT_YEARS: Final = (-3, -2, -1, 0, 1)
"""Calendar years relative to the start year; -1 is the reference."""
REFERENCE: Final = EVENT_YEARS.index(-1)
EFFECT_YEARS: Final = (EVENT_YEARS.index(0), EVENT_YEARS.index(1))
"""Positions of the start year and the year after, whose interactions are the effect."""

_PAIRS = "annex7_1_n_treated"
_POOL = "annex7_1_n_control_unmatched"
_START_COUNTS = {
    2012: "tab5_5_start_year_2012",
    2013: "tab5_5_start_year_2013",
    2014: "tab5_5_start_year_2014",
    2015: "tab5_5_start_year_2015",
}
_HOURS = "tab5_6_threshold"


@dataclass(frozen=True)
class Design:
    """The rules of a study.

    ``start_years`` gives participants by start year (only the proportions count), ``control_year`` the year that counts
    as the controls' start, ``ages`` the ages (years, both included) at the end of the start year, ``caliper`` the
    largest difference in propensity within a pair, ``hours`` the paid hours that make a leisure job, ``pairs`` the
    pairs of the source and ``pool`` the controls it chose from.
    """

    start_years: dict[int, int]
    control_year: int
    ages: tuple[int, int]
    caliper: float
    hours: float
    pairs: int
    pool: int


def published_design() -> Design:
    """Return the source's design: Table 5.5, annex tables 7.1 and 7.3.

    The 37 participants who started in 2012 and 2013 are counted with 2014: 147 (51 %) start in 2014, 142 (49 %) in
    2015. The source gives two age rules, 14-19 in the text and 13-20 in a table note; 14-19 is taken for both sides:
    only then do the simulated pairs have the printed mean age (10.85 and 10.92 years in 2010).
    """
    counts = {year: int(float(evidence(id)["value"])) for year, id in _START_COUNTS.items()}
    early = sum(n for year, n in counts.items() if year <= 2014)
    return Design(
        start_years={2014: early, 2015: counts[2015]},
        control_year=2014,
        ages=(14, 19),
        caliper=0.01,
        hours=float(evidence(_HOURS)["value"]),
        pairs=int(float(evidence(_PAIRS)["value"])),
        pool=int(float(evidence(_POOL)["value"])),
    )


@dataclass(frozen=True)
class Panel:
    """Persons of one area as registers show them; every array has one entry a person, n persons.

    ``id`` are rows of ``stream``, whose draws decide who is sampled and in which order pairs are made.
    """

    stream: Stream
    id: np.ndarray
    age: np.ndarray
    """Whole years in December 2010, as registers count age at the turn of the year."""
    male: np.ndarray
    non_western: np.ndarray
    two_parents: np.ndarray
    no_father: np.ndarray
    children_at_home: np.ndarray
    """Children in the household."""
    parent_transfer: np.ndarray
    """A parent at home has transfer income."""
    parent_pension: np.ndarray
    """A parent at home has a disability pension."""
    start_year: np.ndarray
    """Calendar year of the first enrolment; 0: never enrolled."""
    paid: np.ndarray
    """Paid hours in the calendar years 2011-2016, shape (n, 6)."""
    pupil: np.ndarray
    """In school or education in December of 2010-2016, shape (n, 7), bool."""

    def __len__(self) -> int:
        return len(self.id)

    def take(self, who: np.ndarray) -> Panel:
        """Return the persons at positions ``who`` (or where it is True)."""
        arrays = {f.name: getattr(self, f.name)[who] for f in fields(self) if f.name != "stream"}
        return Panel(stream=self.stream, **arrays)

    def draw(self, decision: str, occurrence: int) -> np.ndarray:
        """Return each person's uniform draw for a decision of study number ``occurrence``."""
        return self.stream.draw(f"study: {decision}", 0, self.id, occurrence)

    def outcome(self, hours: float) -> np.ndarray:
        """Whether there were at least ``hours`` paid hours in each event year, shape (n, 5), bool."""
        column = self.start_year[:, None] + np.array(EVENT_YEARS) - FIRST_YEAR - 1
        return np.take_along_axis(self.paid, column, axis=1) >= hours


def stacked(panels: list[Panel]) -> Panel:
    """Return the persons of several panels as one panel, with the first one's stream."""
    names = [f.name for f in fields(Panel) if f.name != "stream"]
    return Panel(stream=panels[0].stream, **{n: np.concatenate([getattr(p, n) for p in panels]) for n in names})


class EmptyCell(ValueError):
    """A group has nobody, or only people, with a leisure job in a year the effect is read from: no odds ratio."""


class Estimate(NamedTuple):
    """What one study found; the effect arrays hold the start year and the year after (log odds ratios)."""

    pairs: int
    shares: np.ndarray
    """Share with a leisure job, shape (control and treated, event years)."""
    unadjusted: np.ndarray
    adjusted: np.ndarray
    error: np.ndarray
    """Standard errors of ``adjusted``, clustered by person."""

    @property
    def p_values(self) -> np.ndarray:
        """Two-sided p-values of no effect, by the normal distribution."""
        return np.array([math.erfc(abs(z) / math.sqrt(2)) for z in self.adjusted / self.error])


def participants_of(panel: Panel, design: Design) -> Panel:
    """Return those who started in one of the design's years and satisfy the sample rules."""
    started = panel.take(np.isin(panel.start_year, list(design.start_years)))
    return started.take(_in_sample(started, design.ages))


def controls_of(panel: Panel, design: Design) -> Panel:
    """Return those who satisfy the sample rules when they are given the controls' start year."""
    given = replace(panel, start_year=np.full(len(panel), design.control_year))
    return given.take(_in_sample(given, design.ages))


def _in_sample(panel: Panel, ages: tuple[int, int]) -> np.ndarray:
    """Who has the right age at the end of the start year and is a pupil in that December and those beside it."""
    since = panel.start_year - FIRST_YEAR
    age = panel.age + since
    around = np.take_along_axis(panel.pupil, since[:, None] + np.array([-1, 0, 1]), axis=1)
    return (age >= ages[0]) & (age <= ages[1]) & around.all(axis=1)


def quotas(design: Design, persons: int, years: list[int]) -> dict[int, int]:
    """Return how many of ``persons`` shall have started in each of ``years``, in the design's proportion."""
    total = sum(design.start_years[year] for year in years)
    limits = np.rint(np.cumsum([0, *(design.start_years[year] for year in years)]) * persons / total).astype(int)
    return dict(zip(years, np.diff(limits).tolist(), strict=True))


def first_drawn(group: np.ndarray, luck: np.ndarray, wanted: dict[int, int]) -> np.ndarray:
    """Whether each person is among the ``wanted`` of their ``group`` with the lowest ``luck``."""
    drawn = np.zeros(len(group), dtype=bool)
    for of, count in wanted.items():
        members = np.flatnonzero(group == of)
        drawn[members[np.argsort(luck[members], kind="stable")[:count]]] = True
    return drawn


# --- matching


def propensity(treated: Panel, controls: Panel, drawn: np.ndarray, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the propensity scores of both groups: a logit of participating on the attributes of 2010.

    Age, age squared, origin, family, children and the parents' transfers and pension; sex is not among the source's
    matching variables (annex table 7.1). It is fitted on the treated who are ``drawn`` and all controls, who are
    weighted to ``ratio`` a participant, as many as the source had: a caliper in units of the score means the same only
    where the scores are of the same size. People with the same attributes are one weighted observation.
    """
    cells, cell = np.unique(np.concatenate([_cell(treated), _cell(controls)]), return_inverse=True)
    of_treated, of_controls = cell[: len(treated)], cell[len(treated) :]
    participating = np.bincount(of_treated[drawn], minlength=len(cells))
    weight = participating + ratio * drawn.sum() / len(controls) * np.bincount(of_controls, minlength=len(cells))
    values = np.column_stack([cells >> shift & 31 for shift in range(0, 5 * _ATTRIBUTES, 5)]).astype(float)
    age = values[:, 0] - values[:, 0].mean()
    columns = np.column_stack([np.ones(len(cells)), age, age**2, values[:, 1:]])
    seen = weight > 0
    columns = columns[:, independent(columns[seen])]
    coefficients, _ = fit_logit(participating[seen], weight[seen], columns[seen])
    score = 1 / (1 + np.exp(-(columns * coefficients).sum(axis=1)))
    return score[of_treated], score[of_controls]


_ATTRIBUTES = 7


def _cell(panel: Panel) -> np.ndarray:
    """Return the attributes of 2010 packed into one number, five bits each."""
    attributes = (
        panel.age,
        panel.non_western,
        panel.two_parents,
        panel.no_father,
        np.minimum(panel.children_at_home, 31),
        panel.parent_transfer,
        panel.parent_pension,
    )
    return sum((a.astype(np.int64) << 5 * i for i, a in enumerate(attributes)), np.zeros(len(panel), dtype=np.int64))


def nearest_neighbours(
    treated: np.ndarray,
    controls: np.ndarray,
    caliper: float,
    turn: np.ndarray,
    tie: np.ndarray,
    group: np.ndarray,
    wanted: dict[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Pair treated scores with the nearest free control score, if it is within ``caliper``; return both positions.

    The treated choose in ascending ``turn`` until each ``group`` has the pairs ``wanted``; among controls with the same
    score ``tie`` decides. No control is used twice.
    """
    left_to_find = dict(wanted)
    of_group = group.tolist()
    by_score = np.lexsort((tie, controls))
    scores = controls[by_score].tolist()
    last = len(scores)
    at = np.searchsorted(controls[by_score], treated).tolist()
    # Two chains lead from every position to the nearest free control: at or above it, and below it (shifted by one).
    above, below = list(range(last + 1)), list(range(last + 1))
    pairs: list[tuple[int, int]] = []
    for person in np.argsort(turn, kind="stable").tolist():
        if left_to_find[of_group[person]] == 0:
            continue
        score = float(treated[person])
        right, left = _follow(above, at[person]), _follow(below, at[person]) - 1
        up = scores[right] - score if right < last else math.inf
        down = score - scores[left] if left >= 0 else math.inf
        if min(up, down) > caliper:
            continue
        chosen = right if up <= down else left
        above[chosen], below[chosen + 1] = chosen + 1, chosen
        left_to_find[of_group[person]] -= 1
        pairs.append((person, int(by_score[chosen])))
    found = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _follow(chain: list[int], at: int) -> int:
    """Return the end of a chain, halving the way there for the next one who comes."""
    while chain[at] != at:
        chain[at] = chain[chain[at]]
        at = chain[at]
    return at


# --- regressions


def interaction(hits: np.ndarray, persons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the log odds ratios of the saturated logit's group x year interactions and their standard errors.

    ``hits`` and ``persons`` count people with a leisure job and all, shape (control and treated, event years). The
    model is saturated, so both follow from the counts; the errors take years of a person as independent, as the source
    does.

    Raises ``EmptyCell`` when a cell of the reference year, the start year or the year after has none or all.
    """
    hits, rest = np.asarray(hits, dtype=float), np.asarray(persons, dtype=float) - hits
    needed = [REFERENCE, *EFFECT_YEARS]
    if not (hits[:, needed] > 0).all() or not (rest[:, needed] > 0).all():
        raise EmptyCell
    with np.errstate(divide="ignore", invalid="ignore"):
        log_odds = np.log(hits) - np.log(rest)
        variance = 1 / hits + 1 / rest
        gap = log_odds[1] - log_odds[0]
        variance = variance.sum(axis=0)
    error = np.sqrt(variance + variance[REFERENCE])
    error[REFERENCE] = 0
    return gap - gap[REFERENCE], error


def adjusted(treated: Panel, controls: Panel, hours: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the log odds ratios of start year and year after with covariates, and errors clustered by person.

    A logit of the outcome, five rows a person, on group, event years, group x event years, age and age squared at the
    end of the event year, sex, origin, two parents, no father and children at home. Columns that the others already
    determine are left out. Rows that are alike are one weighted observation.
    """
    people = stacked([controls, treated])
    code, outcome = _row_code(people, len(controls)), people.outcome(hours)
    cells, cell = np.unique(code, return_inverse=True)
    cell = cell.reshape(code.shape)
    columns, interactions = _columns(cells)
    keep = independent(columns)
    columns = columns[:, keep]
    hits = np.bincount(cell.ravel(), weights=outcome.ravel(), minlength=len(cells))
    coefficients, inverse = fit_logit(hits, np.bincount(cell.ravel(), minlength=len(cells)), columns)
    fitted = 1 / (1 + np.exp(-(columns * coefficients).sum(axis=1)))
    score = ((outcome - fitted[cell])[..., None] * columns[cell]).sum(axis=1)
    n = len(people)
    covariance = inverse @ _products(score, score) @ inverse * n / (n - 1)
    wanted = [int(keep[:at].sum()) for at in interactions]
    return coefficients[wanted], np.sqrt(np.diag(covariance)[wanted])


def _row_code(people: Panel, controls: int) -> np.ndarray:
    """Return what the regression knows of each person's five rows, packed into one number, shape (n, 5).

    The first ``controls`` persons are controls.
    """
    n = len(people)
    age = (people.age + people.start_year - FIRST_YEAR)[:, None] + np.array(EVENT_YEARS)
    fields_of_person = (
        people.male,
        people.non_western,
        people.two_parents,
        people.no_father,
        np.minimum(people.children_at_home, 31),
    )
    code = (np.arange(n) >= controls).astype(np.int64)[:, None] | np.arange(len(EVENT_YEARS)) << 1 | age << 4
    for i, values in enumerate(fields_of_person):
        code |= (values.astype(np.int64) << 10 + i)[:, None]
    return code


def _columns(cells: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Return the regression's columns of packed rows, and where the interactions of the effect years stand."""
    group, event, age = cells & 1, cells >> 1 & 7, (cells >> 4 & 63) - 16
    years = [position for position in range(len(EVENT_YEARS)) if position != REFERENCE]
    columns = [np.ones(len(cells)), group, *(event == year for year in years)]
    interactions = {year: len(columns) + i for i, year in enumerate(years)}
    columns += [group * (event == year) for year in years]
    columns += [age, age**2, *(cells >> bit & 1 for bit in range(10, 14)), cells >> 14]
    return np.column_stack(columns).astype(float), [interactions[year] for year in EFFECT_YEARS]


def fit_logit(hits: np.ndarray, total: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a logit's maximum-likelihood coefficients and the inverse of its information.

    ``hits`` of ``total`` observations (m rows, fractions allowed) have the outcome; ``columns`` (m, k) are independent.
    Newton's method, ended when the likelihood stands still: a column that only people without the outcome have sends
    its own coefficient far off and leaves the others alone. Sums are made in the order of the rows, not by a threaded
    library, so they are the same on any number of cores.
    """
    coefficients = np.zeros(columns.shape[1])
    before = math.inf
    for _ in range(60):
        linear = (columns * coefficients).sum(axis=1)
        deviance = 2 * float((total * np.logaddexp(0, linear) - hits * linear).sum())
        fitted = 1 / (1 + np.exp(-linear))
        weighted = columns * (total * fitted * (1 - fitted))[:, None]
        information = _products(weighted, columns)
        if abs(before - deviance) < 1e-9 * (abs(deviance) + 1):
            break
        before = deviance
        slope = ((hits - total * fitted)[:, None] * columns).sum(axis=0)
        coefficients = coefficients + np.linalg.solve(information, slope)
    return coefficients, np.linalg.inv(information)


def _products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a' b."""
    return np.einsum("ni,nj->ij", a, b)


def independent(columns: np.ndarray) -> np.ndarray:
    """Which columns are no linear combination of those before them."""
    scale = np.sqrt((columns**2).sum(axis=0))
    scaled = columns / np.where(scale > 0, scale, 1)
    products = _products(scaled, scaled)
    keep = np.zeros(len(scale), dtype=bool)
    for i in range(len(scale)):
        others, mine = products[np.ix_(keep, keep)], products[i, keep]
        explained = mine @ np.linalg.solve(others, mine) if keep.any() else 0.0
        keep[i] = products[i, i] - explained > 1e-9
    return keep


def estimate(treated: Panel, controls: Panel, hours: float) -> Estimate:
    """Return what a study of these matched people finds.

    Raises ``EmptyCell`` when an effect is not defined.
    """
    outcomes = [controls.outcome(hours), treated.outcome(hours)]
    hits = np.array([outcome.sum(axis=0) for outcome in outcomes])
    persons = np.array([[len(controls)], [len(treated)]])
    found, _ = interaction(hits, persons)
    log_odds_ratio, error = adjusted(treated, controls, hours)
    return Estimate(len(treated), hits / persons, found[list(EFFECT_YEARS)], log_odds_ratio, error)


def matched(
    participants: Panel, controls: Panel, wanted: dict[int, int], design: Design, occurrence: int = 0
) -> tuple[Panel, Panel]:
    """Draw participants until there are as many pairs of each start year as ``wanted``; return both sides.

    Those without a control within the caliper are passed over. Where there are too few, all that can be matched are.
    """
    luck = participants.draw("participant", occurrence)
    drawn = first_drawn(participants.start_year, luck, wanted)
    mine, theirs = nearest_neighbours(
        *propensity(participants, controls, drawn, design.pool / design.pairs),
        design.caliper,
        luck,
        controls.draw("control", occurrence),
        participants.start_year,
        wanted,
    )
    return participants.take(mine), controls.take(theirs)


def study(participants: Panel, controls: Panel, pairs: int, design: Design, occurrence: int = 0) -> Estimate:
    """Carry out one study: match ``pairs`` participants, in the design's proportion of start years, and estimate.

    ``participants`` and ``controls`` satisfy the sample rules; ``occurrence`` numbers the studies of the same people,
    each with draws of its own.

    Raises ``EmptyCell`` when an effect is not defined.
    """
    years = [year for year in design.start_years if (participants.start_year == year).any()]
    if not years or not len(controls):
        raise EmptyCell
    wanted = quotas(design, pairs, years)
    return estimate(*matched(participants, controls, wanted, design, occurrence), design.hours)

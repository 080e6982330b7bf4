"""The households of a supported area in December 2011: which there are, and how many of each.

Every household cell is a full household: who lives there, their sexes and ages in years, and whether each adult has
transfer income or disability pension. The cells are spread over all household types; their weights are fitted so
that the persons in them have the published marginals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .fitting import rake, smoothest, spread
from .parameters import ParameterSet
from .states import ORIGINS, RETIREMENT_AGE, SEXES

ROLES = ("head", "partner", "child")
FAMILIES = ("single", "single_parent", "couple_without_children", "couple_with_children")
INCOMES = ("none", "transfer", "pension", "open", "job_ready", "activity_ready")
"""What the household cell fixes of a person's income: no transfer, a transfer other than disability pension, disability
pension, left open (children, people under 25 without children, and everybody from 65), or, in the cohorts of
cash-benefit recipients, which."""

BLOCKS = ("danish", "non_western")
"""Groups of origin fitted apart; people of Western origin are like those of Danish origin (assumption)."""

WOMEN, MEN = SEXES.index("women"), SEXES.index("men")
HEAD, PARTNER, CHILD = range(3)
NONE, TRANSFER, PENSION, OPEN = range(4)
LAST_AGE = 99
MEMBERS = 7
"""Most members of a household cell: two adults and five children."""
MOTHER, FATHER, PARENT_TRANSFER, PARENT_PENSION, PARENTS_PENSION = (1, 2, 4, 8, 16)
"""Flags of a child: mother at home, father at home, a parent with transfer income, on pension, two on pension."""


class Households(NamedTuple):
    """Household cells and their members, a cell's members being consecutive (head, partner, children by age).

    Cells: ``weight`` share of all households, ``first`` first member, ``size``, ``origin``, ``family``, ``children``,
    ``youth`` (head aged 18-24 living alone), ``parents`` (flags of the children). Members: ``cell``, ``age`` (years),
    ``sex``, ``role``, ``income`` (code in ``INCOMES``).
    """

    weight: np.ndarray
    first: np.ndarray
    size: np.ndarray
    origin: np.ndarray
    family: np.ndarray
    children: np.ndarray
    youth: np.ndarray
    parents: np.ndarray
    cell: np.ndarray
    age: np.ndarray
    sex: np.ndarray
    role: np.ndarray
    income: np.ndarray


class _Drafts(NamedTuple):
    """Households before the fit, one row a household: ages -1 where there is nobody; column 0 head, 1 partner."""

    weight: np.ndarray
    age: np.ndarray
    sex: np.ndarray
    income: np.ndarray


def _incomes(parameters: ParameterSet) -> np.ndarray:
    """Return the shares of no transfer, transfer and pension that the fit starts from."""
    transfer, pension = (parameters.value(f"household_start_{income}") for income in ("transfer", "pension"))
    return np.array([max(1 - transfer - pension, 0.01), transfer, pension])


def _income_at(parameters: ParameterSet, age: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Return an income code for adults of ``age`` at ``position`` in [0, 1): a starting point for the fit."""
    income = np.searchsorted(np.cumsum(_incomes(parameters))[:-1], position, side="right")
    income = np.where((age < 25) & (income == PENSION), TRANSFER, income)
    return np.where(age >= RETIREMENT_AGE, OPEN, income)


def _triangular(position: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return values with a symmetric triangular distribution from ``low`` to ``high`` (from two uniforms a value)."""
    return low + (high - low) * position.mean(axis=1)


def _age_gap(parameters: ParameterSet, position: np.ndarray) -> np.ndarray:
    """Return how many years the man is older than the woman, whole years, negative when she is older."""
    older, younger = parameters.value("household_man_older"), parameters.value("household_woman_older")
    return np.rint(_triangular(position, -younger, older)).astype(np.int64)


def _frame(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        np.full((rows, MEMBERS), -1, dtype=np.int64),
        np.zeros((rows, MEMBERS), dtype=np.int64),
        np.full((rows, MEMBERS), OPEN, dtype=np.int64),
    )


def _singles(parameters: ParameterSet) -> _Drafts:
    """Return adults alone: every age, sex and income there can be."""
    grid = np.array(
        [
            (age, sex, income)
            for age in range(18, LAST_AGE + 1)
            for sex in (WOMEN, MEN)
            for income in (NONE, TRANSFER, PENSION)
            if income == NONE or 25 <= age < RETIREMENT_AGE
        ]
    )
    age, sex, income = _frame(len(grid))
    age[:, 0], sex[:, 0], income[:, 0] = grid.T
    income[(age < 25) | (age >= RETIREMENT_AGE)] = OPEN
    weight = np.append(_incomes(parameters), 1.0)[income[:, 0]]
    return _Drafts(parameters.value("household_start_singles") * weight / weight.sum(), age, sex, income)


def _order(age: np.ndarray, sex: np.ndarray, income: np.ndarray, woman_first: np.ndarray) -> None:
    """Make the elder of a couple the head; at equal age, the woman where ``woman_first``."""
    swap = (age[:, 1] > age[:, 0]) | ((age[:, 1] == age[:, 0]) & (woman_first != (sex[:, 0] == WOMEN)))
    for column in (age, sex, income):
        column[swap, :2] = column[swap, 1::-1]


def _couples(parameters: ParameterSet, rows: int = 1500) -> _Drafts:
    """Return couples without children: a woman and a man."""
    at = spread(rows, 6)
    age, sex, income = _frame(rows)
    gap = _age_gap(parameters, at[:, 1:3])
    age[:, 0] = 18 + np.floor(at[:, 0] * (LAST_AGE - 17))
    age[:, 1] = np.clip(age[:, 0] - gap, 18, LAST_AGE)
    sex[:, 0], sex[:, 1] = MEN, WOMEN
    income[:, 0], income[:, 1] = (
        _income_at(parameters, age[:, 0], at[:, 3]),
        _income_at(parameters, age[:, 1], at[:, 4]),
    )
    income[age < 25] = OPEN
    _order(age, sex, income, at[:, 5] < 0.5)
    return _Drafts(np.full(rows, parameters.value("household_start_couples") / rows), age, sex, income)


def _parents(parameters: ParameterSet, couple: bool, rows: int) -> _Drafts:
    """Return one parent or two with one to five children under 25 at home.

    A parent is at least 15 years older than every child and under 65 (assumption).
    """
    value = parameters.value
    at = spread(rows, 18)
    age, sex, income = _frame(rows)
    many = np.cumsum([value(f"household_children_{n}") for n in range(1, 6)])
    children = np.searchsorted(many / many[-1], at[:, 1], side="right") + 1
    gaps = 1 + np.floor(at[:, 2:6] * value("household_child_spacing")).astype(np.int64)
    oldest = np.floor(at[:, 0] * 25).astype(np.int64)
    ages = oldest[:, None] - np.concatenate([np.zeros((rows, 1), dtype=np.int64), gaps.cumsum(axis=1)], axis=1)
    ages[(np.arange(5) >= children[:, None]) | (ages < 0)] = -1
    age[:, 2:] = ages
    sex[:, 2:] = np.floor(at[:, 6:7] * 2.0 ** np.arange(1, 6)) % 2
    at_birth = _triangular(at[:, 7:9], value("household_first_birth_from"), value("household_first_birth_to") + 1)
    mother = np.minimum(np.maximum(18, oldest + np.floor(at_birth).astype(np.int64)), RETIREMENT_AGE - 1)
    father = np.clip(mother + _age_gap(parameters, at[:, 9:11]), np.maximum(18, oldest + 15), RETIREMENT_AGE - 1)
    if couple:
        age[:, 0], age[:, 1] = mother, father
        sex[:, 0], sex[:, 1] = WOMEN, MEN
    else:
        alone = at[:, 11] < value("household_start_mothers_alone")
        age[:, 0], sex[:, 0] = np.where(alone, mother, father), np.where(alone, WOMEN, MEN)
    income[:, 0] = _income_at(parameters, age[:, 0], at[:, 12])
    income[:, 1] = _income_at(parameters, age[:, 1], at[:, 13])
    _order(age, sex, income, at[:, 14] < 0.5)
    start = value("household_start_parents" if couple else "household_start_lone_parents")
    return _Drafts(np.full(rows, start / rows), age, sex, income)


def _drafts(parameters: ParameterSet) -> _Drafts:
    """Return all household cells of one group of origin with their weights before the fit, in placing order."""
    kinds = (
        _singles(parameters),
        _couples(parameters),
        _parents(parameters, couple=False, rows=1800),
        _parents(parameters, couple=True, rows=3200),
    )
    weight, age, sex, income = (np.concatenate(columns) for columns in zip(*kinds, strict=True))
    per_year = parameters.value("area_pension_odds_per_year")
    for adult in (0, 1):
        pension = (income[:, adult] == PENSION) & (age[:, adult] >= 0)
        weight = np.where(pension, weight * per_year ** (age[:, adult] - 45.0), weight)
    kind = np.repeat(np.arange(len(kinds)), [len(one.weight) for one in kinds])
    pensions, transfers = (((income == code) & (age >= 0)).sum(axis=1) for code in (PENSION, TRANSFER))
    head = np.searchsorted([25, 51, RETIREMENT_AGE], age[:, 0], side="right")
    oldest = np.searchsorted([15, 21], age[:, 2], side="right")
    children = (age[:, 2:] >= 0).sum(axis=1)
    # What is published of households is kept together: the fewer pieces a group is in, the better it is placed.
    order = np.lexsort((age[:, 2], age[:, 0], children, sex[:, 0], transfers, pensions, oldest, head, kind))
    return _Drafts(weight[order], age[order], sex[order], income[order])


def ages(parameters: ParameterSet, block: str) -> np.ndarray:
    """Return the share of each year of age, 0 to 99: the smoothest curve with the published bands."""
    value = parameters.value
    young, middle = value(f"area_under_25_{block}"), value(f"area_25_50_{block}")
    school, youth = value(f"area_16_19_{block}"), value(f"area_20_24_{block}")
    old = 1 - young - middle
    early, late = value(f"area_51_64_of_over_50_{block}"), value(f"area_80_on_of_over_50_{block}")
    bands = (young - school - youth, school, youth, middle, old * early, old * (1 - early - late), old * late)
    curve = smoothest((0, 16, 20, 25, 51, 65, 80, LAST_AGE + 1), bands)
    return curve / curve.sum()


def at_home_by_age(parameters: ParameterSet, block: str, curve: np.ndarray) -> np.ndarray:
    """Return the share living at home at each age 18 to 24.

    Everybody younger lives at home; from 18 the odds fall by the same factor a year, from the level that makes the
    published share of those aged 15-20. ``curve`` is the share of each year of age.
    """
    wanted = parameters.value(f"area_home_15_20_{block}") * curve[15:21].sum() - curve[15:18].sum()
    fall = np.log(max(parameters.value(f"area_home_odds_per_year_{block}"), 1e-6)) * np.arange(7)
    low, high = -30.0, 30.0
    for _ in range(60):
        level = (low + high) / 2
        share = 1 / (1 + np.exp(-level - fall))
        low, high = (low, level) if share[:3] @ curve[18:21] > wanted else (level, high)
    return share


class _Counts:
    """Who is in each drafted household: the features its weight is fitted by."""

    def __init__(self, drafts: _Drafts) -> None:
        self.age, self.sex, self.income = drafts.age, drafts.sex, drafts.income
        self.present = self.age >= 0
        self.adult = self.present & (np.arange(MEMBERS) < 2)
        self.child = self.present & ~self.adult
        self.couple = self.present[:, 1:2]
        self.parent = self.child.sum(axis=1, keepdims=True) > 0
        self.children = self.child.sum(axis=1, keepdims=True)
        incomes = np.where(self.adult, self.income, NONE)
        self.on_transfer = np.isin(incomes, (TRANSFER, PENSION)).sum(axis=1, keepdims=True)
        self.on_pension = (incomes == PENSION).sum(axis=1, keepdims=True)

    def aged(self, low: int, high: int) -> np.ndarray:
        """Return which members are ``low`` to ``high`` years old."""
        return (self.age >= low) & (self.age <= high)


_Marginal = tuple[np.ndarray, float]
"""A feature a household, and the total that the fit gives it."""


def _share(among: np.ndarray, mine: np.ndarray, share: float) -> _Marginal:
    """Return the marginal that says: of the persons ``among``, the ``share`` is ``mine``."""
    return ((among & mine).sum(axis=1) - share * among.sum(axis=1), 0.0)


Incomes = Callable[[str, int, int], tuple[float, float]]
"""Shares on transfer and on disability pension of those who left home, by (block, sex code, age in years)."""

ADULT_BANDS = ((18, 18), (19, 19), (20, 24), (25, 50), (51, RETIREMENT_AGE - 1))
"""Ages, in years, whose incomes are fitted together."""


def _marginals(block: str, parameters: ParameterSet, count: _Counts, incomes: Incomes) -> list[_Marginal]:
    """Return the marginals of one group of origin."""
    value, aged = parameters.value, count.aged
    curve = ages(parameters, block)
    found: list[_Marginal] = [((count.age == age).sum(axis=1), float(share)) for age, share in enumerate(curve)]
    women, men = count.sex == WOMEN, count.sex == MEN
    for low, high in ((0, 15), (16, 17), (18, 24), (51, 64), (RETIREMENT_AGE, LAST_AGE)):
        found.append(_share(aged(low, high), women, value("area_women_other_ages")))
    found.append(_share(aged(25, 50), women, value(f"area_women_25_50_{block}")))
    for age, share in zip(range(18, 25), at_home_by_age(parameters, block, curve), strict=True):
        found.append(_share(aged(age, age), count.child, float(share)))
    single = ~count.couple & ~count.parent & count.adult
    found.append(_share(aged(18, 24) & count.adult, single, value("area_alone_18_24")))
    kinds = {
        "single": single,
        "single_mother": ~count.couple & count.parent & women,
        "single_father": ~count.couple & count.parent & men,
        "couple_without_children": count.couple & ~count.parent & count.adult,
        "couple_with_children": count.couple & count.parent & count.adult,
    }
    shares = {kind: value(f"area_family_{kind}_{block}") for kind in kinds}
    for kind, mine in list(kinds.items())[:-1]:  # the last follows from the others
        found.append(_share(aged(25, 50), mine, shares[kind] / sum(shares.values())))
    found.append(_share(aged(25, 50) & single, men, value("area_men_among_singles")))
    found.append(_share(aged(51, LAST_AGE), ~count.couple & count.adult, value(f"area_single_over_50_{block}")))
    at_home = aged(15, 20) & count.child
    found.append(_share(at_home, ~count.couple, value(f"area_lone_parent_15_20_{block}")))
    found.append(_share(at_home, count.on_pension >= 1, value(f"area_parent_pension_15_20_{block}")))
    for low, high in ADULT_BANDS:
        for sex, mine in ((WOMEN, women), (MEN, men)):
            among = aged(low, high) & count.adult & (count.income != OPEN) & mine
            for income, share in zip((TRANSFER, PENSION), incomes(block, sex, low), strict=True):
                if income == TRANSFER or low >= 25:
                    found.append(_share(among, count.income == income, share))
    return found


def _common_marginals(parameters: ParameterSet, count: _Counts) -> list[_Marginal]:
    """Return the marginals published for all origins together."""
    value = parameters.value
    at_home = count.aged(15, 20) & count.child
    pupils, leisure = count.aged(11, 17) & count.child, count.aged(13, 18) & count.child
    return [
        _share(at_home, count.on_transfer >= 1, value("area_parent_transfer_15_20")),
        _share(at_home, count.on_pension >= 2, value("area_two_parents_pension_15_20")),
        _share(pupils, count.on_transfer >= 2, value("area_two_parents_transfer_11_17")),
        _share(leisure, ~count.couple & (count.on_transfer >= 1), value("area_lone_parent_transfer_13_18")),
        _share(pupils, count.children >= 3, value("area_three_children_11_17")),
    ]


def households(parameters: ParameterSet, incomes: Incomes) -> Households:
    """Return the fitted household cells of the area; ``incomes`` gives what adults live on."""
    drafts = _drafts(parameters)
    count = _Counts(drafts)
    danish, non_western = parameters.value("area_share_danish"), parameters.value("area_share_non_western")
    persons = np.array([1 - non_western, non_western])
    cells = len(drafts.weight)
    columns: list[np.ndarray] = []
    target: list[float] = []
    for block, (name, share) in enumerate(zip(BLOCKS, persons, strict=True)):
        for feature, total in _marginals(name, parameters, count, incomes):
            column = np.zeros((len(BLOCKS), cells))
            column[block] = feature
            columns.append(column.ravel())
            target.append(total * share)
    for feature, total in _common_marginals(parameters, count):
        columns.append(np.tile(feature, len(BLOCKS)))
        target.append(total)
    start = (persons[:, None] * drafts.weight / 2).ravel()
    fitted = rake(start, np.stack(columns, axis=1), np.array(target)).reshape(len(BLOCKS), cells)
    of_danish = danish / persons[0]
    return _table(
        drafts,
        count,
        {"danish": fitted[0] * of_danish, "western": fitted[0] * (1 - of_danish), "non_western": fitted[1]},
    )


def _table(drafts: _Drafts, count: _Counts, weights: dict[str, np.ndarray]) -> Households:
    """Return the drafts as cells and members, once an origin, the weights scaled to 1."""
    times = len(ORIGINS)
    cells = len(drafts.weight)
    size = count.present.sum(axis=1)
    role = np.where(count.child, CHILD, np.where(np.arange(MEMBERS) == 1, PARTNER, HEAD))
    couple, parent = count.couple[:, 0], count.parent[:, 0]
    has = {sex: (count.adult & (count.sex == sex)).any(axis=1) for sex in (WOMEN, MEN)}
    transfer, pension = count.on_transfer[:, 0], count.on_pension[:, 0]
    parents = (
        MOTHER * has[WOMEN]
        + FATHER * has[MEN]
        + PARENT_TRANSFER * (transfer > 0)
        + PARENT_PENSION * (pension > 0)
        + PARENTS_PENSION * (pension > 1)
    )
    weight = np.concatenate([weights[origin] for origin in ORIGINS])
    sizes = np.tile(size, times)

    def members(column: np.ndarray) -> np.ndarray:
        return np.tile(column[count.present], times).astype(np.uint8)

    return Households(
        weight=weight / weight.sum(),
        first=np.cumsum(sizes) - sizes,
        size=sizes,
        origin=np.repeat(np.arange(times), cells).astype(np.uint8),
        family=np.tile(np.where(parent, 1 + 2 * couple, 2 * couple), times).astype(np.uint8),
        children=np.tile(count.children[:, 0], times).astype(np.uint8),
        youth=np.tile(~couple & ~parent & (drafts.age[:, 0] < 25), times),
        parents=np.tile(parents * parent, times).astype(np.uint8),
        cell=np.repeat(np.arange(times * cells), sizes),
        age=members(drafts.age),
        sex=members(drafts.sex),
        role=members(role),
        income=members(np.where(count.adult, drafts.income, OPEN)),
    )

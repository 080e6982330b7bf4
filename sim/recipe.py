"""Who lives in the area in December 2011: households placed in dwellings, and what is true of each person.

Dwelling d takes the household cell at frac((d + ½) · 0.618...) of the cumulated cells, so a larger area contains the
smaller one. What the cell leaves open (state, education, months in the state, month of birth, barriers) has a joint
distribution of its own in every group of alike people; the k-th person of a group, in the order of the dwellings,
takes a place of a low-discrepancy sequence there. Nothing is drawn, so a small group has its published shares to
within a person or two. Newcomers enter the same distributions by draws of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .engine.arrivals import Making
from .fitting import GOLDEN, cumulated, joint, pick, rank
from .households import (
    BLOCKS,
    CHILD,
    INCOMES,
    LAST_AGE,
    NONE,
    PENSION,
    TRANSFER,
    WOMEN,
    Households,
    households,
)
from .parameters import ParameterSet
from .sources import evidence
from .states import CODE, EDUCATIONS, ORIGINS, RETIREMENT_AGE, SEXES

BARRIERS = ("health", "language", "family", "isolation")
"""What may stand between a person and a job; bit i of ``Persons.barriers`` is entry i."""
COHORTS: Mapping[str, str] = {"job_ready": "fig4_13_n_jobready_2011", "activity_ready": "fig4_13_n_other_2011"}
"""Evidence rows with the persons in the published cohorts of cash-benefit recipients."""

STATUSES = (
    "basic_school",
    "in_education",
    "employed",
    "job_ready",
    "activity_ready",
    "insured",
    "other_benefit",
    "disability_pension",
    "self_supporting",
    "gone",
)
"""States as the recipe tells them apart: ``insured`` are the other unemployed, whose state is ``other_benefit``."""
_AT = {status: code for code, status in enumerate(STATUSES)}
INSURED = _AT["insured"]
STATE = np.array([CODE["other_benefit" if status == "insured" else status] for status in STATUSES], dtype=np.uint8)
"""State code by status."""
_INCOME = {
    TRANSFER: ("job_ready", "activity_ready", "insured", "other_benefit"),
    PENSION: ("disability_pension",),
    NONE: ("basic_school", "in_education", "employed", "self_supporting"),
}
_NOT_WORKING = ("job_ready", "activity_ready", "insured", "other_benefit", "disability_pension", "self_supporting")
_OUTSIDE_LONG = ("activity_ready", "disability_pension", "self_supporting")
_OUTSIDE_SHORT = ("in_education", "other_benefit")
_OF_OWN_MONTHS = (*_OUTSIDE_LONG, *_OUTSIDE_SHORT)
"""States whose months the recipe gives; in work and as job-ready they follow from the hazards (``population``)."""
_AGE_FROM = np.array([0, 16, 17, 18, 19, 20, 25, 51, RETIREMENT_AGE])
"""First year of the age bands that have a status distribution of their own."""
_BANDS = len(_AGE_FROM)
_BAND = np.searchsorted(_AGE_FROM, np.arange(100), side="right") - 1
_ADULT = (6, 7)
"""Bands 25-50 and 51-64."""
_ALIKE = (2, 5)
"""First and last of the bands, 17 to 20-24, where both sexes have one status distribution."""
_SCHOOL_YEARS = 16
_FIVE_YEARS = 60
_MULTIPLIERS: Mapping[str, float] = {
    name: float(np.sqrt(prime) % 1)
    for name, prime in (("state", 2), ("education", 3), ("months", 7), ("birth month", 13), ("barriers", 21))
}
"""Step of the sequence each attribute is placed by: irrational and unlike each other and the golden ratio, so that
attributes of one person are not correlated by the placing."""

_SLOTS = 4096
"""Parts of the unit interval for which is kept where a search for a household cell begins; a power of two, so that
which part a draw is in is exact."""
DECISIONS = ("household", *_MULTIPLIERS)
"""What is drawn for newcomers: the cell for the household, the rest for each of its members."""

Luck = Callable[[Sequence[str], np.ndarray, np.ndarray], np.ndarray]
"""Uniforms in [0, 1), one row a decision, for (decisions, household index, member)."""
_Position = Callable[[str, np.ndarray, int], np.ndarray]
"""Positions in [0, 1) for (attribute, group of each person, number of groups)."""


class Persons(NamedTuple):
    """One entry a person, all of shape (persons,); people of a dwelling are consecutive, the head first.

    ``dwelling`` number of the dwelling, int32; ``member`` 0 head, then partner, then children, oldest first;
    ``youth_dwelling`` whether the head is 18-24 and lives alone; ``role`` code in ``households.ROLES``; ``age`` months
    in December 2011, int16; ``sex``, ``origin``, ``education`` codes; ``family`` (code in ``households.FAMILIES``) and
    ``children`` (under 25, at home) of the household; ``parents`` bit flags of a child (1 mother at home, 2 father at
    home, 4 a parent with transfer income, 8 a parent on disability pension, 16 two); ``barriers`` bit flags;
    ``state`` code, never ``activation``; ``months`` already spent in it, int16, at least 1 and at most the age;
    ``insured`` whether the other benefit is unemployment insurance.
    """

    dwelling: np.ndarray
    member: np.ndarray
    youth_dwelling: np.ndarray
    role: np.ndarray
    age: np.ndarray
    sex: np.ndarray
    origin: np.ndarray
    education: np.ndarray
    family: np.ndarray
    children: np.ndarray
    parents: np.ndarray
    barriers: np.ndarray
    state: np.ndarray
    months: np.ndarray
    insured: np.ndarray


def _shares(of: Mapping[str, float], names: tuple[str, ...]) -> np.ndarray:
    """Return the entries of ``of`` in the order of ``names``, nil where missing or negative."""
    return np.array([max(0.0, of.get(name, 0.0)) for name in names])


def _adult_status(parameters: ParameterSet, block: str, sex: int) -> Mapping[str, float]:
    """Return the shares of the statuses at 25-64.

    Both sexes together have the shares of Figure 4.12; women's employment stands to men's as in Figure 4.11; the
    unemployed are the same part of those without work in both sexes (assumption).
    """
    value = parameters.value
    unemployed, outside = value(f"area_unemployed_{block}"), value(f"area_outside_{block}")
    women, ratio = value(f"area_women_25_50_{block}"), value(f"area_women_to_men_employed_{block}")
    men_employed = (1 - unemployed - outside) / (1 - women + women * ratio)
    employed = min(1.0, men_employed * (ratio if sex == WOMEN else 1.0))
    without = (1 - employed) / max(unemployed + outside, 1e-9)
    unemployed, outside = unemployed * without, outside * without
    job_ready = unemployed * value("area_job_ready_share_of_unemployed")
    activity_ready = outside * value("area_activity_ready_share_of_outside")
    rest = outside - activity_ready
    parts = {name: rest * value(f"area_rest_share_{name}") for name in ("in_education", "disability_pension")}
    other = rest * value("area_rest_share_other_benefit")
    return {
        **parts,
        "employed": employed,
        "job_ready": job_ready,
        "insured": unemployed - job_ready,
        "activity_ready": activity_ready,
        "other_benefit": other,
        "self_supporting": rest - sum(parts.values()) - other,
    }


def _young_status(parameters: ParameterSet, block: str, sex: int, age: int) -> Mapping[str, float]:
    """Return the shares of the statuses at ``age`` 16 to 24."""
    value = parameters.value
    if age < 18:
        prefix = f"area_16_{SEXES[sex]}" if age == 16 else "area_17"
        placed = {s: value(f"{prefix}_{s}") for s in ("basic_school", "in_education", "employed")}
        return {**placed, "self_supporting": 1 - sum(placed.values())}
    if age < 20:
        education, work = value(f"area_youth_education_{block}"), value(f"area_youth_employed_{block}")
        neet = 1 - education - work
    else:
        neet, education = value(f"area_neet_20_24_{block}"), value("area_20_24_in_education")
        work = 1 - education - neet
    ready = {s: neet * value(f"area_youth_neet_share_{s}") for s in ("job_ready", "activity_ready")}
    return {"in_education": education, "employed": work, **ready, "self_supporting": neet - sum(ready.values())}


def _statuses(parameters: ParameterSet) -> np.ndarray:
    """Return the shares of the statuses, shape (age bands, sexes, blocks, statuses)."""
    table = np.zeros((_BANDS, len(SEXES), len(BLOCKS), len(STATUSES)))
    table[0, ..., _AT["basic_school"]] = 1
    table[-1, ..., _AT["gone"]] = 1
    for sex in range(len(SEXES)):
        for block, name in enumerate(BLOCKS):
            for band in range(1, _ADULT[0]):
                table[band, sex, block] = _shares(_young_status(parameters, name, sex, int(_AGE_FROM[band])), STATUSES)
            table[_ADULT, sex, block] = _shares(_adult_status(parameters, name, sex), STATUSES)
    return table / table.sum(axis=-1, keepdims=True)


def _by_income(statuses: np.ndarray) -> np.ndarray:
    """Return the shares of the statuses given the income of the household cell, one more axis before the last."""
    table = np.repeat(statuses[..., None, :], len(INCOMES), axis=-2)
    for income, those in _INCOME.items():
        inside = np.isin(STATUSES, those)
        given = statuses * inside
        total = given.sum(axis=-1, keepdims=True)
        table[..., income, :] = np.where(total > 0, given / np.maximum(total, 1e-300), statuses)
    for status in COHORTS:
        table[..., INCOMES.index(status), :] = np.array(STATUSES) == status
    return table


def _educations(parameters: ParameterSet, statuses: np.ndarray) -> np.ndarray:
    """Return the shares of highest completed education, shape (bands, sexes, blocks, statuses, educations).

    From 25 the published shares by sex and origin, fitted to the statuses so that people with neither work nor
    education more often have basic school only; from 20 to 24 by status; below nearly all have basic school.
    """
    value = parameters.value
    table = np.zeros((*statuses.shape, len(EDUCATIONS)))
    table[..., EDUCATIONS.index("basic")] = 1
    finished = value("area_18_19_general_upper_secondary")
    for status in ("in_education", "employed"):
        at_18_19 = _shares({"basic": 1 - finished, "general_upper_secondary": finished}, EDUCATIONS)
        table[3:5, :, :, _AT[status]] = at_18_19
        table[5, :, :, _AT[status]] = _with_unknown(parameters, f"area_20_24_{status}", "")
    for block, name in enumerate(BLOCKS):
        for status in ("job_ready", "activity_ready", "self_supporting"):
            table[5, :, block, _AT[status]] = _with_unknown(parameters, "area_neet_education", f"_{name}")
    seed = np.ones((len(STATUSES), len(EDUCATIONS)))
    low = np.isin(EDUCATIONS, ("basic", "unknown"))
    seed[np.ix_(np.isin(STATUSES, _NOT_WORKING), low)] = value("area_low_education_odds_not_working")
    for sex, sex_name in enumerate(SEXES):
        for block, name in enumerate(BLOCKS):
            shares = np.array([value(f"area_education_{education}_{sex_name}_{name}") for education in EDUCATIONS])
            shares = shares / shares.sum()
            for band in range(_ADULT[0], _BANDS):
                rows = statuses[band, sex, block]
                fitted = joint(seed, rows, shares)
                total = fitted.sum(axis=1, keepdims=True)
                table[band, sex, block] = np.where(total > 0, fitted / np.maximum(total, 1e-300), shares)
    return table


def _with_unknown(parameters: ParameterSet, prefix: str, suffix: str) -> np.ndarray:
    """Return the shares of education whose cards begin with ``prefix``; the rest of 1 is unknown."""
    known = {e: parameters.value(f"{prefix}_{e}{suffix}") for e in EDUCATIONS if f"{prefix}_{e}{suffix}" in parameters}
    return _shares({**known, "unknown": 1 - sum(known.values())}, EDUCATIONS)


def _over_five_years(parameters: ParameterSet, statuses: np.ndarray) -> np.ndarray:
    """Return the share over five years in each status at 25-64, shape (sexes, statuses).

    It gives the published share of all men and of all women of Danish and non-Western origin aged 25-50.
    """
    value = parameters.value
    ratio = value("area_short_states_over_5_years_ratio")
    long, short = (np.isin(STATUSES, those) for those in (_OUTSIDE_LONG, _OUTSIDE_SHORT))
    found = np.zeros((len(SEXES), len(STATUSES)))
    adults = np.array(
        [
            value("area_share_danish") * value("area_25_50_danish"),
            value("area_share_non_western") * value("area_25_50_non_western"),
        ]
    )
    women = np.array([value(f"area_women_25_50_{block}") for block in BLOCKS])
    for sex, name in enumerate(SEXES):
        weight = adults * (women if sex == WOMEN else 1 - women)
        of_all = weight / weight.sum() @ statuses[_ADULT[0], sex]
        base = of_all @ (long + ratio * short)
        found[sex] = np.minimum(1, value(f"area_outside_over_5_years_{name}") / base * (long + ratio * short))
    return found


def _barriers(parameters: ParameterSet) -> np.ndarray:
    """Return the shares of the 16 combinations of barriers, shape (statuses, blocks, combinations).

    The barriers are independent of each other given the status (assumption); ``gone`` has none.
    """
    names = {"insured": "other_benefit", **dict.fromkeys(("basic_school", "in_education", "employed"), "working")}
    flags = (np.arange(2 ** len(BARRIERS))[:, None] >> np.arange(len(BARRIERS))) & 1
    table = np.zeros((len(STATUSES), len(BLOCKS), len(flags)))
    for status, key in enumerate(STATUSES):
        for block, origin in enumerate(BLOCKS):
            shares = np.array(
                [
                    0.0
                    if key == "gone" or (barrier == "language" and origin == "danish")
                    else parameters.value(f"area_barrier_{barrier}_{names.get(key, key)}")
                    for barrier in BARRIERS
                ]
            )
            table[status, block] = np.where(flags == 1, shares, 1 - shares).prod(axis=1)
    return table


class Recipe:
    """A way to fill dwellings with households and to say what is true of the people in them."""

    def __init__(self, parameters: ParameterSet, cells: Households, statuses: np.ndarray, newcomers: bool) -> None:
        self.newcomers_move_in = newcomers
        """Whether new households move in when others leave."""
        self.cells = cells
        self._kept: dict[int, Persons] = {}
        self._limits = np.cumsum(cells.weight)
        self._limits /= self._limits[-1]
        self._kinds = [np.flatnonzero(cells.youth == youth) for youth in (False, True)]
        self._kind_limits = [np.cumsum(cells.weight[kind]) for kind in self._kinds]
        block = (cells.origin[cells.cell] == ORIGINS.index("non_western")).astype(np.int64)
        band = _BAND[cells.age]
        stratum = (band * len(SEXES) + cells.sex) * len(BLOCKS) + block
        # Where the sexes share a distribution they are placed together, which leaves less to the place of a few.
        alike = np.where((band >= _ALIKE[0]) & (band <= _ALIKE[1]), 0, cells.sex)
        status_group = ((band * len(SEXES) + alike) * len(BLOCKS) + block) * len(INCOMES) + cells.income
        of_home = [column[cells.cell] for column in (cells.youth, cells.origin, cells.family, cells.children)]
        parents = np.where(cells.role == CHILD, cells.parents[cells.cell], 0)
        # All that is known of a member side by side, in a byte each: it is read at random places, one line a person.
        self._members = np.stack(
            [stratum, status_group, block, cells.age, cells.sex, cells.role, parents, *of_home], axis=1
        ).astype(np.uint8)
        self._by_income = cumulated(_by_income(statuses)).reshape(-1, len(STATUSES))
        self._education = cumulated(_educations(parameters, statuses)).reshape(-1, len(EDUCATIONS))
        self._barriers = cumulated(_barriers(parameters)).reshape(-1, 2 ** len(BARRIERS))
        over = np.zeros((_BANDS, len(SEXES), len(BLOCKS), len(STATUSES)))
        over[_ADULT, ...] = _over_five_years(parameters, statuses)[:, None]
        self._over = over.reshape(-1)
        scales = {key: parameters.value(f"area_months_{key}") for key in _OF_OWN_MONTHS}
        scales["insured"] = scales["other_benefit"]
        longest = int(parameters.value("area_months_longest"))
        since_school = np.arange((LAST_AGE + 1) * 12) - _SCHOOL_YEARS * 12
        self._longest = np.clip(since_school, 1, longest)
        self._within = -np.expm1(-np.arange(longest + 1) / np.maximum(_shares(scales, STATUSES), 1e-3)[:, None])
        self._own_months = [_AT[status] for status in scales]

    def first(self, residents: int) -> Persons:
        """Return residents 0 to ``residents`` - 1 of the area: the first rows of every larger area.

        The last two answers are kept for the next replicates; they are not to be written to.
        """
        if residents not in self._kept:
            while len(self._kept) > 1:
                self._kept.pop(next(iter(self._kept)))
            self._kept[residents] = self.placed(residents)[0]
            for column in self._kept[residents]:
                column.flags.writeable = False
        return self._kept[residents]

    def placed(self, residents: int) -> tuple[Persons, np.ndarray]:
        """Return the first residents and, for each, the code in ``STATUSES``."""
        mean = float(self.cells.weight @ self.cells.size)
        dwellings = int(residents / mean) + 1
        while True:
            cell = self._cells_at((np.arange(dwellings) + 0.5) * GOLDEN % 1.0)
            if self.cells.size[cell].sum() >= residents:
                break
            dwellings += dwellings // 50 + 10
        return self._people(cell, residents, _place)

    def newcomers(self, youth: np.ndarray, luck: Luck) -> Persons:
        """Return one new household for each entry of ``youth`` (whether the dwelling is a youth dwelling).

        ``dwelling`` in the answer is the index into ``youth``. Everything is decided by ``luck``, so a household does
        not depend on who else moves in.

        Raises ``ValueError`` for a recipe into which nobody moves.
        """
        if not self.newcomers_move_in:
            raise ValueError("nobody moves into an area of this recipe")
        youth = np.asarray(youth, dtype=bool)
        index = np.arange(len(youth))
        (position,) = luck(DECISIONS[:1], index, np.zeros(len(youth), dtype=np.int64))
        cell = np.zeros(len(youth), dtype=np.int64)
        for kind, mine in enumerate((~youth, youth)):
            limits = self._kind_limits[kind]
            at = np.searchsorted(limits, position[mine] * limits[-1], side="right")
            cell[mine] = self._kinds[kind][np.minimum(at, len(limits) - 1)]
        size = self.cells.size[cell]
        household, member = np.repeat(index, size), _within(size)

        positions = dict(zip(_MULTIPLIERS, luck(DECISIONS[1:], household, member), strict=True))

        def position_of(attribute: str, group: np.ndarray, groups: int) -> np.ndarray:
            return positions[attribute]

        return self._people(cell, int(size.sum()), position_of)[0]

    def making(self, ages: range | None) -> Making:
        """Return what :meth:`newcomers` are made from, for the compiled engine.

        ``ages`` leaves out households in which nobody has one of these ages (years).
        """
        cells = self.cells
        shape = (_BANDS * len(SEXES) * len(BLOCKS), len(STATUSES))
        wanted = np.ones(len(cells.cell), dtype=bool) if ages is None else np.isin(cells.age, ages)
        begins = np.zeros(len(STATUSES), dtype=np.int64)
        begins[[_AT["basic_school"], _AT["gone"]]] = 1, RETIREMENT_AGE * 12
        size = np.where(np.bincount(cells.cell[wanted], minlength=len(cells.size)) > 0, cells.size, 0)
        slots = np.arange(_SLOTS + 1) / _SLOTS
        return Making(
            slots=np.stack([np.searchsorted(of, slots * of[-1], side="right") for of in self._kind_limits]),
            kinds=np.cumsum([0, *map(len, self._kinds)]),
            limits=np.concatenate(self._kind_limits),
            cells=np.stack([cells.first, size], axis=1).astype(np.int32)[np.concatenate(self._kinds)],
            members=self._members,
            status=self._by_income,
            education=self._education.reshape(*shape, -1),
            barriers=self._barriers.reshape(len(STATUSES), len(BLOCKS), -1),
            over=self._over.reshape(shape),
            within=self._within,
            longest=self._longest,
            begins=begins,
            five_years=_FIVE_YEARS,
            school_years=_SCHOOL_YEARS,
            none=_AT["gone"],
        )

    def _cells_at(self, position: np.ndarray) -> np.ndarray:
        return np.minimum(np.searchsorted(self._limits, position, side="right"), len(self._limits) - 1)

    def _people(self, cell: np.ndarray, persons: int, position: _Position) -> tuple[Persons, np.ndarray]:
        """Return the first ``persons`` people of the household ``cell`` of each dwelling, and their status codes."""
        cells = self.cells
        size = cells.size[cell]
        dwelling = np.repeat(np.arange(len(cell), dtype=np.int32), size)[:persons]
        member = _within(size)[:persons]
        at = np.repeat(cells.first[cell], size)[:persons] + member
        known = self._members.take(at, axis=0)
        stratum, group, block = known[:, :3].T.astype(np.int64)
        years, *rest = np.ascontiguousarray(known[:, 3:].T)
        sex, role, parents, youth, origin, family, children = rest
        status = pick(self._by_income, group, position("state", group, len(self._by_income)))
        group = stratum * len(STATUSES) + status
        education = pick(self._education, group, position("education", group, len(self._education)))
        part = np.floor(12 * position("birth month", years.astype(np.int64), 100)).astype(np.int16)
        age = np.maximum(years.astype(np.int16) * np.int16(12) + part, 1)
        months = self._months(group, status, age, position("months", group, len(self._over)))
        burdened = np.where(years < _SCHOOL_YEARS, _AT["gone"], status).astype(np.int64)
        group = burdened * len(BLOCKS) + block
        barriers = pick(self._barriers, group, position("barriers", group, len(self._barriers)))
        people = Persons(
            dwelling=dwelling,
            member=member.astype(np.uint8),
            youth_dwelling=youth.astype(bool),
            role=role,
            age=age,
            sex=sex,
            origin=origin,
            education=education,
            family=family,
            children=children,
            parents=parents,
            barriers=barriers,
            state=STATE[status],
            months=months,
            insured=status == INSURED,
        )
        return people, status

    def _months(self, group: np.ndarray, status: np.ndarray, age: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Return the months already spent in the state.

        Outside the labour force at 25-64 the published share is over five years, even from there; everybody else has a
        truncated exponential distribution, found in a table of it, since the last digit of a logarithm differs between
        libraries; nobody was in the state before 16, but for school (since birth) and retirement (since the pension
        age).
        """
        longest = self._longest[age]
        over = np.where(longest > _FIVE_YEARS, self._over[group], 0.0)
        cut = np.where(over > 0, np.minimum(longest, _FIVE_YEARS), longest)
        short = np.maximum(position - over, 0) / np.maximum(1 - over, 1e-12) * self._within[status, cut]
        recent = np.ones(len(status), dtype=np.int64)
        for code in self._own_months:
            mine = np.flatnonzero(status == code)
            recent[mine] = np.searchsorted(self._within[code], short[mine], side="right")
        long = 1 + _FIVE_YEARS + np.floor((longest - _FIVE_YEARS) * (position / np.maximum(over, 1e-12)))
        months = np.where(position < over, long, np.minimum(recent, cut))
        months = np.where(status == _AT["basic_school"], age, months)
        months = np.where(status == _AT["gone"], age - RETIREMENT_AGE * 12 + 1, months)
        return months.astype(np.int16)


def _within(size: np.ndarray) -> np.ndarray:
    """Return 0, 1, ... within each of consecutive runs of length ``size``."""
    return np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)


def _place(attribute: str, group: np.ndarray, groups: int) -> np.ndarray:
    """Return the places of initial residents: the k-th of a group has the k-th place of the group's sequence."""
    return ((rank(group, groups) + 0.5) * _MULTIPLIERS[attribute] + group * GOLDEN) % 1.0


def _area(parameters: ParameterSet) -> Recipe:
    """Return the recipe of a supported area."""
    statuses = _statuses(parameters)
    on = {income: np.isin(STATUSES, those) for income, those in _INCOME.items()}

    def incomes(block: str, sex: int, age: int) -> tuple[float, float]:
        shares = statuses[_BAND[age], sex, BLOCKS.index(block)]
        return float(shares[on[TRANSFER]].sum()), float(shares[on[PENSION]].sum())

    return Recipe(parameters, households(parameters, incomes), statuses, newcomers=True)


def _cohorts(parameters: ParameterSet) -> Recipe:
    """Return the recipe of the cash-benefit recipients aged 25-50 of December 2011, each alone in a dwelling.

    Job-ready and other recipients are in the published ratio; age, sex and origin are those of the area's recipients.
    """
    area = recipe("area", parameters).cells
    statuses = _statuses(parameters)
    mine = (area.age >= 25) & (area.age <= 50) & (area.income == TRANSFER)
    origin = area.origin[area.cell[mine]].astype(np.int64)
    block = (origin == ORIGINS.index("non_western")).astype(np.int64)
    age, sex = area.age[mine].astype(np.int64), area.sex[mine].astype(np.int64)
    code = (origin * len(SEXES) + sex) * 100 + age
    codes = np.unique(code)
    weights = []
    for status, id in COHORTS.items():
        share = _by_income(statuses)[_ADULT[0], sex, block, TRANSFER, _AT[status]]
        weight = np.bincount(code, weights=area.weight[area.cell[mine]] * share)[codes]
        weights.append(weight / weight.sum() * float(evidence(id)["value"]))
    cells = np.arange(len(codes) * len(COHORTS))
    codes = np.tile(codes, len(COHORTS))
    nothing = np.zeros(len(cells), dtype=np.uint8)
    weight = np.concatenate(weights)
    people = Households(
        weight=weight / weight.sum(),
        first=cells,
        size=np.ones(len(cells), dtype=np.int64),
        origin=(codes // (100 * len(SEXES))).astype(np.uint8),
        family=nothing,
        children=nothing,
        youth=nothing.astype(bool),
        parents=nothing,
        cell=cells,
        age=(codes % 100).astype(np.uint8),
        sex=(codes // 100 % len(SEXES)).astype(np.uint8),
        role=nothing,
        income=np.repeat([INCOMES.index(status) for status in COHORTS], len(cells) // len(COHORTS)).astype(np.uint8),
    )
    return Recipe(parameters, people, statuses, newcomers=False)


RECIPES: Mapping[str, Callable[[ParameterSet], Recipe]] = {"area": _area, "cohorts_2011": _cohorts}
"""The recipes by name."""

_FITTED: dict[tuple[str, tuple[float, ...]], Recipe] = {}
_KEPT = 64
CARDS = ("area_", "household_")
"""What the ids of the parameters that recipes read begin with."""


def recipe(name: str, parameters: ParameterSet) -> Recipe:
    """Return the recipe ``name``, fitted once for each set of the values it reads; the last 64 are kept."""
    key = (name, tuple(card.value for id, card in parameters.items() if id.startswith(CARDS)))
    if key not in _FITTED:
        made = RECIPES[name](parameters)
        while len(_FITTED) >= _KEPT:
            _FITTED.pop(next(iter(_FITTED)))
        _FITTED[key] = made
    return _FITTED[key]

"""The people of a recipe held against the published marginals they were made from, and the rows left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .households import (
    CHILD,
    FAMILIES,
    LAST_AGE,
    MEN,
    PARENT_PENSION,
    PARENT_TRANSFER,
    PARENTS_PENSION,
    WOMEN,
)
from .parameters import ParameterSet
from .recipe import STATUSES, Persons, recipe
from .sources import evidence, rows
from .states import CODE, EDUCATIONS, ORIGINS

if TYPE_CHECKING:
    import pandas as pd

_SEXES = (("women", WOMEN), ("men", MEN))
_TRANSFERS = ("job_ready", "activity_ready", "other_benefit", "disability_pension")
_PRINTED_ORIGINS = ("danish", "non_western")


class _Made:
    """The columns of the people made, as the marginals ask for them."""

    def __init__(self, persons: Persons, status: np.ndarray) -> None:
        self.persons = persons
        self.years = persons.age // 12
        self.single = persons.family == FAMILIES.index("single")
        self.single_parent = persons.family == FAMILIES.index("single_parent")
        self.child = persons.role == CHILD
        self.at_home = self.child & self.aged(15, 20)
        self.unemployed = np.isin(status, [STATUSES.index(key) for key in ("job_ready", "insured")])
        self.employed = status == STATUSES.index("employed")
        self.outside = ~self.unemployed & ~self.employed
        self.cash_benefit = np.isin(status, [STATUSES.index(key) for key in ("job_ready", "activity_ready")])
        self.in_education = status == STATUSES.index("in_education")
        self.neither = ~self.employed & ~np.isin(status, [STATUSES.index(k) for k in ("basic_school", "in_education")])
        self.status = status
        self.two_origins = persons.origin != ORIGINS.index("western")
        self.adult = self.aged(25, 50)
        self.printed_adult = self.adult & self.two_origins
        self.everybody = np.ones(len(status), dtype=bool)

    def aged(self, low: int, high: int) -> np.ndarray:
        return (self.years >= low) & (self.years <= high)

    def of(self, origin: str) -> np.ndarray:
        if origin == "danish_western":
            return self.persons.origin != ORIGINS.index("non_western")
        return self.persons.origin == ORIGINS.index(origin)

    def sex(self, name: str) -> np.ndarray:
        return self.persons.sex == dict(_SEXES)[name]

    def educated(self, education: str) -> np.ndarray:
        return self.persons.education == EDUCATIONS.index(education)

    def flag(self, bit: int) -> np.ndarray:
        return (self.persons.parents & bit) > 0

    def family(self, name: str) -> np.ndarray:
        return (self.persons.family == FAMILIES.index(name)) & ~self.child


class Marginal(NamedTuple):
    """A published share: of the people ``among``, the share ``published`` is ``mine`` (masks of the people made)."""

    target: str
    published: float
    among: np.ndarray
    mine: np.ndarray


def _v(id: str) -> float:
    return float(evidence(id)["value"])


def _printed(id: str, among: np.ndarray, mine: np.ndarray) -> Marginal:
    """Return a marginal printed as such; several ids joined by + are added."""
    return Marginal(id, sum(_v(part) for part in id.split("+")), among, mine)


def _quotient(part: str, whole: str, among: np.ndarray, mine: np.ndarray) -> Marginal:
    """Return a marginal that is the count ``part`` over the count ``whole``."""
    return Marginal(f"{part}/{whole}", _v(part) / _v(whole), among, mine)


def _origin_and_age(made: _Made) -> Iterator[Marginal]:
    for origin in _PRINTED_ORIGINS:
        yield _printed(f"annexfig6_2_derived_{origin}_share_2011", made.everybody, made.of(origin))
    danish, non_western = made.of("danish"), made.of("non_western")
    yield _printed("sec4_1_danish_under25_supported", danish, made.aged(0, 24))
    yield _printed("sec4_1_danish_over50_supported", danish, made.aged(51, LAST_AGE))
    yield _printed("sec4_1_nonwestern_under25_supported", non_western, made.aged(0, 24))
    for origin in _PRINTED_ORIGINS:
        all_of = f"annexfig6_2_n_{origin}_supported_areas_2011"
        for id, low, high in (
            (f"fig4_2_n_{origin}_supported_areas_2011", 16, 19),
            (f"fig4_3_n_{origin}_supported_areas_2011", 20, 24),
            (f"fig4_12_n_all_{origin}_supported_areas", 25, 50),
        ):
            yield _quotient(id, all_of, made.of(origin), made.aged(low, high))
        women = f"annexfig6_5_derived_women_share_{origin}_2011"
        yield _printed(women, made.adult & made.of(origin), made.sex("women"))
    yield _printed("fig4_12_derived_non_western_share_25_50_2011", made.printed_adult, non_western)


def _families(made: _Made) -> Iterator[Marginal]:
    women = made.sex("women")
    families = {
        "single_no_children": made.family("single"),
        "single_mother": made.family("single_parent") & women,
        "couple_no_children": made.family("couple_without_children"),
        "couple_with_children": made.family("couple_with_children"),
    }
    for origin in _PRINTED_ORIGINS:
        for name, mine in families.items():
            id = f"sec4_1_family_{name}_{origin}_supported_areas"
            if id in rows("targets"):
                yield _printed(id, made.adult & made.of(origin), mine)
    danish_singles = made.adult & made.of("danish") & families["single_no_children"]
    yield _printed("sec4_1_single_no_children_men_share", danish_singles, ~women)


def _youths_at_home(made: _Made) -> Iterator[Marginal]:
    """Yield the marginals of the same-age residents of the same areas in 2015."""
    for origin in ("danish_western", "non_western"):
        young = made.aged(15, 20) & made.of(origin)
        single_parent = f"fig5_6_single_parent_{origin}_comparison"
        living = float(evidence(single_parent)["n"]) / _v(f"tab5_3_n_{origin}_comparison")
        yield Marginal(f"n:{single_parent}/tab5_3_n_{origin}_comparison", living, young, made.child)
        yield _printed(single_parent, made.at_home & made.of(origin), made.single_parent)
    yield _printed("fig5_5_living_at_home_comparison", made.aged(15, 20), made.child)
    yield _printed("fig5_8_parent_transfer_comparison", made.at_home, made.flag(PARENT_TRANSFER))
    yield _printed("fig5_9_parent_disability_pension_comparison", made.at_home, made.flag(PARENT_PENSION))
    yield _printed("fig5_9_two_parents_disability_pension_comparison", made.at_home, made.flag(PARENTS_PENSION))
    for origin, id in (
        ("non_western", "fig5_10_parent_disability_pension_non_western_comparison"),
        ("danish_western", "fig5_10_derived_parent_disability_pension_danish_western_comparison"),
    ):
        yield _printed(id, made.at_home & made.of(origin), made.flag(PARENT_PENSION))
    lone = "annex9_leisure_job_activity_single_parent_with_transfer_comparison"
    mine = made.single_parent & made.flag(PARENT_TRANSFER)
    yield _printed(lone, made.child & made.aged(13, 18), mine)
    pupils = made.child & made.aged(11, 17)
    on_transfer = np.isin(made.persons.state, [CODE[key] for key in _TRANSFERS]) & ~made.child
    both = np.bincount(made.persons.dwelling, weights=on_transfer, minlength=1)[made.persons.dwelling] == 2
    yield _printed("annex9_pocket_money_job_two_parents_transfer_comparison", pupils, both)
    yield _printed("annex9_pocket_money_job_three_plus_children_comparison", pupils, made.persons.children >= 3)


def _adults(made: _Made) -> Iterator[Marginal]:
    groups = {"unemployed": made.unemployed, "outside_lf": made.outside}
    for origin in _PRINTED_ORIGINS:
        base = made.adult & made.of(origin)
        for name, mine in groups.items():
            yield _printed(f"fig4_12_{name}_{origin}_supported_areas_2011", base, mine)
        yield _printed(f"fig4_12_derived_employed_{origin}_supported_areas_2011", base, made.employed)
        women = _v(f"annexfig6_5_derived_women_share_{origin}_2011")
        ids = [f"fig4_11_employed_women_{origin}_{year}" for year in (2009, 2016)] + [f"fig4_11_employed_men_{origin}"]
        early, late, men = map(_v, ids)
        ratio = (early + (late - early) * 2 / 7) / men
        level = _v(f"fig4_12_derived_employed_{origin}_supported_areas_2011") / (1 - women + women * ratio)
        for sex, share in (("men", level), ("women", level * ratio)):
            yield Marginal("+".join(ids) + f":{sex}", share, base & made.sex(sex), made.employed)
    base = made.printed_adult
    yield _printed("fig4_12_derived_unemployed_all_2011", base, made.unemployed)
    yield _printed("fig4_12_derived_outside_all_2011", base, made.outside)
    yield _printed("sec1_outside_lf_2011", base, made.outside)
    yield _printed("fig4_12_derived_employed_all_2011", base, made.employed)
    yield _printed("fig4_13_derived_cash_benefit_share_of_residents_2011", base, made.cash_benefit)
    over = made.outside & (made.persons.months > 60)
    for sex, _ in _SEXES:
        yield _printed(f"sec1_outside_lf_gt5y_{sex}_2011", base & made.sex(sex), over)
    rest = made.neither & (made.educated("basic") | made.educated("unknown"))
    men = made.adult & made.of("danish") & made.sex("men")
    yield _printed("fig4_14_rest_group_men_danish_2009_2013", men, rest)


def _educations(made: _Made) -> Iterator[Marginal]:
    printed = {
        "basic": ("basic_school",),
        "general_upper_secondary": ("academic_upper_secondary",),
        "vocational": ("vocational",),
        "higher": ("short_higher", "medium_or_long_higher"),
        "unknown": ("unknown",),
    }
    for sex, figure in (("men", "annexfig6_7"), ("women", "annexfig6_9")):
        for origin in _PRINTED_ORIGINS:
            base = made.adult & made.of(origin) & made.sex(sex)
            for education, names in printed.items():
                ids = "+".join(f"{figure}_derived_share_{name}_{sex}_{origin}" for name in names)
                yield _printed(ids, base, made.educated(education))


def _youths(made: _Made) -> Iterator[Marginal]:
    school = made.status == STATUSES.index("basic_school")
    at_16 = {
        "basic_or_preparatory": school,
        "upper_secondary_done_or_ongoing": made.in_education,
        "employed_basic_school_only": made.employed,
        "rest_group": made.neither,
    }
    for sex, figure in (("men", "fig4_7"), ("women", "fig4_8")):
        for name, mine in at_16.items():
            yield _printed(f"{figure}_{sex}_16_{name}", made.aged(16, 16) & made.sex(sex), mine)
    for origin in _PRINTED_ORIGINS:
        at_18 = {"education": made.in_education, "employed": made.employed, "neet": made.neither}
        for name, mine in at_18.items():
            id = f"fig4_9_derived_share_{name}18_{origin}_2011"
            yield _printed(id, made.aged(18, 18) & made.of(origin), mine)
        base = made.aged(20, 24) & made.of(origin)
        yield _printed(f"fig4_6_derived_neet_share_20_24_{origin}_supported_areas_2011", base, made.neither)
        neet = base & made.neither
        yield _printed(f"fig4_6_neet_basic_school_{origin}_2011", neet, made.educated("basic"))
        yield _printed(f"fig4_6_neet_vocational_{origin}_2011", neet, made.educated("vocational"))
    danish_neet = made.aged(20, 24) & made.of("danish") & made.neither
    general = made.educated("general_upper_secondary")
    yield _printed("fig4_6_neet_academic_upper_secondary_danish_2011", danish_neet, general)
    only_basic = made.educated("basic") & ~made.in_education
    yield _printed("fig4_3_basic_school_supported_2011", made.aged(20, 24), only_basic)


def _cohort_shares(made: _Made) -> Iterator[Marginal]:
    job_ready = made.status == STATUSES.index("job_ready")
    yield _printed(
        "fig4_13_derived_jobready_share_of_cash_benefit_2011", made.printed_adult & made.cash_benefit, job_ready
    )


_PARTS: dict[str, tuple[Callable[[_Made], Iterator[Marginal]], ...]] = {
    "area": (_origin_and_age, _families, _youths_at_home, _adults, _educations, _youths, _cohort_shares),
    "cohorts_2011": (_cohort_shares,),
}


def marginals(name: str, parameters: ParameterSet, residents: int) -> list[Marginal]:
    """Return every published marginal recipe ``name`` uses, with the people made among ``residents``."""
    made = _Made(*recipe(name, parameters).placed(residents))
    return [marginal for part in _PARTS[name] for marginal in part(made)]


_POINT = 0.01
_STANDARD_ERRORS = 2.0


def check(name: str, parameters: ParameterSet, residents: int) -> pd.DataFrame:
    """Return published and made shares of every marginal recipe ``name`` uses.

    Columns: ``target`` (evidence ids; + adds, / divides, n: is a row's base), ``published``, ``made``,
    ``expected_error``. The expected error is what so few people leave. Placing leaves errors with a root mean square of
    about half the standard error of a random sample of as many dwellings (see :func:`standard_error`); four times that,
    two standard errors, holds for all marginals at once. It is never less than one person, nor less
    than a point, since published marginals contradict each other by as much.
    """
    import pandas as pd

    dwelling = recipe(name, parameters).first(residents).dwelling
    columns = ["target", "published", "made", "expected_error"]
    return pd.DataFrame(
        [_held(marginal, dwelling) for marginal in marginals(name, parameters, residents)], columns=columns
    )


def standard_error(marginal: Marginal, dwelling: np.ndarray) -> float:
    """Return the standard error that a random sample of as many dwellings would have; ``dwelling`` of every person.

    That of the ratio estimator with dwellings as clusters, but at least that of as many independent persons.
    """
    people = int(marginal.among.sum())
    if not people:
        return float("nan")
    share = marginal.published
    off = np.bincount(dwelling, weights=marginal.among * (marginal.mine - share))
    return max(np.sqrt(share * (1 - share) / people), np.sqrt((off**2).sum()) / people)


def _held(marginal: Marginal, dwelling: np.ndarray) -> tuple[str, float, float, float]:
    people = int(marginal.among.sum())
    if not people:
        return marginal.target, marginal.published, float("nan"), 1.0
    made = float((marginal.among & marginal.mine).sum() / people)
    error = max(_POINT, 1 / people, _STANDARD_ERRORS * standard_error(marginal, dwelling))
    return marginal.target, marginal.published, made, error


_REASONS: tuple[tuple[str, str, str], ...] = (
    (
        r"jobready11|other11|all11|neet11|18_to_|education18_to|employed18_to|_drop_",
        "hvad der blev af dem siden; hører til kalibreringen, ikke til udgangspunktet",
        "what became of them later; belongs to the calibration, not to the starting point",
    ),
    (
        r"^sec3_.*residents|^sec3_residents",
        "antal beboere; størrelsen vælges i scenariet",
        "number of residents; the size is chosen in the scenario",
    ),
    (r"mean_per_resident|_threshold$", "beløb, ikke en andel af beboerne", "an amount, not a share of residents"),
    (
        r"^annexfig6_[5679]_n_|^annexfig6_2_n_|^fig4_9_n_|^fig4_6_n_|^fig4_13_n_|^fig4_2_n_|^fig4_3_n_|^fig4_12_n_",
        "antal; brugt gennem de andele, der er regnet af det",
        "a count; used through the shares derived from it",
    ),
    (
        r"^fig4_1_n_",
        "største antal over årene i hver gruppe, ikke en fordeling i ét år",
        "largest count over the years in each group, not a distribution in one year",
    ),
    (
        r"_n_.*supported_areas$",
        "antal uden angivet år",
        "a count whose year is not stated",
    ),
    (
        r"^fig4_2_(basic|stx|vocational)",
        "tæller fuldført eller igangværende uddannelse; sammen med 16-åriges andel i grundskole (figur 4.7 og 4.8) og "
        "18-åriges uden job og uddannelse (figur 4.9) er der for ikke-vestlig oprindelse allerede flere med kun "
        "grundskole, end den trykker for 16-19 år",
        "counts completed or ongoing education; for non-Western origin those with basic school only at 16 (Figures 4.7 "
        "and 4.8) and NEET at 18 (Figure 4.9) alone are already more than it prints for 16-19",
    ),
    (
        r"^fig4_3_medium_long",
        "tæller igangværende uddannelse med; modellen kender ikke uddannelsens niveau, mens den er i gang",
        "includes ongoing education; the model does not hold the level of an education that is under way",
    ),
    (
        r"^sec1_rest_group_2011|^fig4_14_rest_group_men_non_western",
        "modsiger uddannelsestallene: uden for job og uddannelse er flere uden fuldført eller kendt uddannelse; "
        "så uoplyst uddannelse må være talt forskelligt",
        "contradicts the education counts: outside work and education more have no completed or known education, so "
        "unknown education must be counted differently",
    ),
    (
        r"^sec1_youth_neither|^tab4_1_neet_supported",
        "rundt tal for en periode; modsiger figur 4.4, 4.6 og 4.9, som er brugt",
        "round figure for a period; contradicts Figures 4.4, 4.6 and 4.9, of which the last two are used",
    ),
    (
        r"whole_period$",
        "ord for hele perioden 2004-2016; tallet for 2011 er brugt",
        "wording for the whole period 2004-2016; the figure for 2011 is used",
    ),
)
"""Why a row is left out, by the first pattern its id matches."""


def about_2011() -> Iterator[str]:
    """Yield the ids of all evidence rows about people of the supported areas in a span of years that holds 2011."""
    for id, row in rows("targets").items():
        if row["population"] == "supported_areas":
            first, last = row["year_from"], row["year_to"]
            if not first or int(first) <= 2011 <= int(last):
                yield id


def used() -> frozenset[str]:
    """Return the ids of all evidence rows that stand in a marginal."""
    nobody = np.zeros(0, dtype=np.int64)
    made = _Made(Persons(*[nobody] * len(Persons._fields)), nobody)
    targets = [marginal.target for parts in _PARTS.values() for part in parts for marginal in part(made)]
    return frozenset(id for target in targets for id in re.split(r"[+/:]", target))


def left_out() -> list[tuple[str, str, str]]:
    """Return (target id, reason in Danish, reason in English) of every row about 2011 that no marginal uses."""
    found = []
    for id in sorted(set(about_2011()) - used()):
        for pattern, da, en in _REASONS:
            if re.search(pattern, id):
                found.append((id, da, en))
                break
    return found

"""The virtual study: the simulated area, evaluated as the source evaluated real ones.

The people of an area with activities and of a second area without are followed through the study's years; a study of
matched pairs (:mod:`sim.study`) is made of them, once a replicate. The same area with every effect set to nil tells how
often such a study finds an effect that is not there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .engine.months import choose
from .errors import InputError, Problem, nearest
from .results import write_json
from .scenario import Scenario, month_number, month_text
from .scenario_format import LIMITS
from .sources import evidence
from .states import ORIGINS, SEXES
from .study import (
    EVENT_YEARS,
    FIRST_YEAR,
    LAST_YEAR,
    Design,
    EmptyCell,
    Estimate,
    Panel,
    controls_of,
    matched,
    participants_of,
    published_design,
    quotas,
    stacked,
    study,
)
from .transitions import SIDE_KIND

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from .model import AreaModel

EVALUATION: Final = "evaluation.json"
"""File that holds the figures of a saved evaluation."""
START: Final = f"{FIRST_YEAR}-12"
END: Final = f"{LAST_YEAR}-12"
MONTHS: Final = 12 * (LAST_YEAR - FIRST_YEAR)
HOURS_UNTIL: Final = "2016-09"
"""The source's register of paid hours ends here, so the year after of those who started in 2015 has three quarters."""

DESIGNS: Final = ("did",)
FEWEST: Final = 30
"""Fewest participants a study is made of."""
SIGNIFICANT: Final = 0.05
EFFECTS: Final = ("start_year", "year_after")

_NULL_POOL = 2000
"""Participants without effect, at least, that null studies are drawn from."""
_STUDIES_A_POOL = 40
_ROWS_AT_ONCE = 2_000_000
"""Most residents stacked, to bound memory."""
_PILOT_ROWS = 100_000

Progress = Callable[[int, int], None]
"""Told how many parts of the work are done, and how many there are."""

_PUBLISHED = {
    "start_year": "annex7_3_interaction_start_year",
    "year_after": "annex7_3_interaction_start_year_plus_1",
}
_PATH_YEARS = ("start_minus_3", "start_minus_2", "start_minus_1", "start", "start_plus_1")
_PATHS = {"control": "control_matched", "treated": "treated"}


# --- following people


def study_scenario(scenario: Scenario) -> Scenario:
    """Return the scenario over the study's years; activities that last to its own last month last to the study's."""
    last = month_text(month_number(scenario.start) + scenario.months)
    plans = tuple(replace(plan, end=END) if plan.end in (last, END) else plan for plan in scenario.activities)
    return replace(scenario, start=START, months=MONTHS, activities=plans)


def without_effects(scenario: Scenario) -> Scenario:
    """Return the scenario with every effect of its activities, and wages they pay, set to nil."""
    plans = tuple(
        replace(plan, values={id: 0.0 if _is_effect(id) else value for id, value in plan.values.items()})
        for plan in scenario.activities
    )
    return replace(scenario, activities=plans)


def _is_effect(id: str) -> bool:
    return id.startswith("effect_") or id == "project_wage_counts"


def observe(scenario: Scenario, seed: int, replicates: range, engine: str = "auto") -> list[Panel]:
    """Run a scenario through the study's years and return what registers see of its youths, one panel a replicate.

    Only those who live there from the start and may have the right age in one of the design's years are returned.
    Households without anybody who can take part or be followed are left out of the run.
    """
    rules = [plan.values for plan in scenario.activities]
    design = published_design()
    youngest = min([design.ages[0], *(int(rule["age_from"]) for rule in rules)]) - (LAST_YEAR - FIRST_YEAR)
    oldest = max([design.ages[1], *(int(rule["age_to"]) for rule in rules)])
    return _observe(scenario, seed, replicates, engine, 0, range(max(youngest, 0), oldest + 1))


def observe_controls(scenario: Scenario, seed: int, replicates: range, engine: str = "auto") -> list[Panel]:
    """Return the same of a second area made by the same recipe, whose people are others and have no activities."""
    design = published_design()
    since = design.control_year - FIRST_YEAR
    ages = range(design.ages[0] - since, design.ages[1] - since + 1)
    return _observe(replace(scenario, activities=()), seed, replicates, engine, 1, ages)


def _observe(scenario: Scenario, seed: int, replicates: range, engine: str, area: int, ages: range) -> list[Panel]:
    from .model import AreaModel

    plan = study_scenario(scenario)
    return _follow(AreaModel(plan, seed=seed, replicate=replicates, engine=engine, area=area, ages=ages))


def _follow(model: AreaModel) -> list[Panel]:
    people = model.population
    rows = _may_take_part(-people.birth.astype(np.int64))
    columns = _attributes(model, rows)
    years = range(FIRST_YEAR, LAST_YEAR + 1)
    paid = np.zeros((len(rows), len(years) - 1), dtype=np.float32)
    pupil = np.zeros((len(rows), len(years)), dtype=bool)
    pupil[:, 0] = SIDE_KIND[people.state[rows]] == 1
    for _ in range(MONTHS):
        model.step()
        year, month = divmod(model.start + model.month, 12)
        if month == 11:
            pupil[:, year - FIRST_YEAR] = SIDE_KIND[people.state[rows]] == 1
        if model.date == HOURS_UNTIL or (month == 11 and year < LAST_YEAR):
            paid[:, year - FIRST_YEAR - 1] = people.paid_hours[rows]
    panel = Panel(stream=model.stream, id=rows, start_year=_start_years(model)[rows], paid=paid, pupil=pupil, **columns)
    block = model.stream.block[rows]
    return [panel.take(block == one) for one in range(len(model.stream.replicates))]


def _may_take_part(age_months: np.ndarray) -> np.ndarray:
    """Return the rows of those whose age satisfies the sample rule in one of the start years."""
    design = published_design()
    years = [design.control_year, *design.start_years]
    first, last = design.ages[0] - (max(years) - FIRST_YEAR), design.ages[1] - (min(years) - FIRST_YEAR)
    return np.flatnonzero((age_months >= 12 * first) & (age_months < 12 * (last + 1)))


def _attributes(model: AreaModel, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return the attributes of December 2010 as the columns of a panel."""
    people = model.population
    parents = people.parents[rows]
    return {
        "age": -people.birth[rows].astype(np.int64) // 12,
        "male": people.sex[rows] == SEXES.index("men"),
        "non_western": people.origin[rows] == ORIGINS.index("non_western"),
        "two_parents": (parents & 3) == 3,
        "no_father": (parents & 3) == 1,
        "children_at_home": people.children[rows],
        "parent_transfer": (parents & 4) > 0,
        "parent_pension": (parents & 8) > 0,
    }


def _start_years(model: AreaModel) -> np.ndarray:
    """Return the calendar year of each row's first enrolment in any activity; 0 for none."""
    never = np.iinfo(np.int64).max
    first = np.full(len(model.population), never)
    for course in model.courses:
        for event, month, rows in course.events():
            if event == "enrolled":
                first[rows] = np.minimum(first[rows], month)
    return np.where(first == never, 0, (model.start + first) // 12)


# --- the size of the area


def area_size(scenario: Scenario, participants: int, seed: int, design: Design) -> int:
    """Return the residents of an area that gives about ``participants`` matched pairs, and rarely fewer.

    A pilot run counts the pairs by start year; the number is then raised by two standard errors of the pilot's count
    and of the count to come.

    Raises ``InputError`` when nobody can be matched, or the area would be larger than an area may be.
    """
    stack = range(max(1, _PILOT_ROWS // scenario.residents))
    treated = stacked([participants_of(panel, design) for panel in observe(scenario, seed, stack)])
    pool = stacked([controls_of(panel, design) for panel in observe_controls(scenario, seed, stack)])
    everybody = {year: int((treated.start_year == year).sum()) for year in design.start_years}
    found: dict[int, int] = {}
    if len(treated) and len(pool):
        starts = matched(treated, pool, everybody, design)[0].start_year
        found = {year: n for year in everybody if (n := int((starts == year).sum()))}
    if not found:
        years = ", ".join(str(year) for year in design.start_years)
        values = {"years": years, "low": design.ages[0], "high": design.ages[1]}
        raise InputError([Problem("study_nobody", place=scenario.file, values=values)])
    needed = 0.0
    for year, wanted in quotas(design, participants, list(found)).items():
        margin = 1 + 2 / math.sqrt(found[year]) + 2 / math.sqrt(max(wanted, 1))
        needed = max(needed, wanted / found[year] * margin * len(stack) * scenario.residents)
    # Places are scaled too, and rounded: none of them to nil.
    needed = max([needed, *(scenario.residents / (2 * p.places) for p in scenario.activities if p.places)])
    residents, most = math.ceil(needed), int(LIMITS["residents"].highest)
    if residents > most:
        raise InputError([Problem("study_large", place=scenario.file, values={"residents": residents, "high": most})])
    return residents


# --- the evaluation


@dataclass(frozen=True)
class Effect:
    """An odds ratio as the studies found it: geometric means over the replicates, and what one study may show.

    ``low`` and ``high`` are the limits that 95 % of single studies of this size are expected to lie within (not limits
    of the mean); ``power`` is the share of the studies in which it differs significantly from 1; ``without_effect`` the
    adjusted odds ratio found where the activities have no effect.
    """

    adjusted: float
    unadjusted: float
    low: float
    high: float
    power: float
    without_effect: float | None
    replicates: int
    published_adjusted: float
    published_unadjusted: float


@dataclass(frozen=True)
class Evaluation:
    """What virtual studies of a scenario find, beside the published figures.

    ``paths`` and ``published_paths`` hold the share with a leisure job by group (control, treated) in the five event
    years; ``pairs`` is the mean number of matched pairs; ``path_spread`` the standard deviation over replicates.
    """

    scenario: str
    design: str
    seed: int
    participants: int
    residents: int
    replicates: int
    pairs: float
    studies: int
    effects: dict[str, Effect]
    false_positive_rate: float | None
    paths: dict[str, list[float]]
    path_spread: dict[str, list[float]]
    published_paths: dict[str, list[float]]
    shares: np.ndarray
    """Share with a leisure job in each study, shape (replicates, control and treated, event years)."""

    def plot(self, lang: str = "da") -> Figure:
        """Return the figure of both groups' shares by year with the published points."""
        from . import plots

        return plots.study_figure(self._drawn(), lang)

    def save(self, folder: Path, lang: str = "da") -> None:
        """Write ``evaluation.json``, and the figure as ``study.svg`` with its numbers in ``study.csv``."""
        from . import plots

        folder.mkdir(parents=True, exist_ok=True)
        data = self._drawn()
        figure = plots.svg(plots.study_figure(data, lang), plots.study_alt(data, lang), "study")
        write_json(folder / EVALUATION, self.to_dict())
        data.to_csv(folder / "study.csv", index=False, float_format="%.10g")
        (folder / "study.svg").write_text(figure, encoding="utf-8")

    def _drawn(self) -> pd.DataFrame:
        from . import plots

        simulated = {group: self.shares[:, i] for i, group in enumerate(_PATHS)}
        return plots.study_data(simulated, self.published_paths, published_design().pairs)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON data, numbers with eight significant digits, no limit as None."""
        effects = {
            key: {name: getattr(effect, name) for name in ("adjusted", "unadjusted", "low", "high", "replicates")}
            for key, effect in self.effects.items()
        }
        published = {
            key: {"adjusted": effect.published_adjusted, "unadjusted": effect.published_unadjusted}
            for key, effect in self.effects.items()
        }
        found = {
            "scenario": self.scenario,
            "design": self.design,
            "seed": self.seed,
            "participants": self.participants,
            "pairs": self.pairs,
            "residents": self.residents,
            "replicates": self.replicates,
            **effects,
            "power": {key: effect.power for key, effect in self.effects.items()},
            "studies": self.studies,
            "false_positive_rate": self.false_positive_rate,
            "without_effect": {key: effect.without_effect for key, effect in self.effects.items()},
            "event_years": list(EVENT_YEARS),
            "paths": self.paths,
            "path_spread": self.path_spread,
            "published": {**published, "paths": self.published_paths},
        }
        return _plain(found)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return float(f"{value:.8g}") if math.isfinite(value) else None
    return value


@dataclass(frozen=True)
class _Part:
    """Work of one process: replicates ``first`` to ``stop`` of the area, those below ``studied`` with their studies."""

    scenario: dict[str, Any]
    participants: int
    seed: int
    first: int
    stop: int
    studied: int
    nulls: range
    engine: str


def evaluate(
    scenario: Scenario,
    participants: int,
    replicates: int = 20,
    seed: int = 1,
    workers: int | None = None,
    studies: int = 400,
    design: str = "did",
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluate a scenario as the source did, with ``participants`` treated, once in each replicate.

    The area and its places are scaled so that so many satisfy the sample rules. ``studies`` studies of the source's
    size, drawn from areas where the activities have no effect, give the false-positive rate. ``workers`` None means all
    cores; the number changes no figure.

    Raises ``InputError`` with everything that is wrong.
    """
    _check(scenario, participants, replicates, seed, workers, studies, design)
    cores = workers or _cores()
    scaled = scenario.scaled(area_size(scenario, participants, seed, published_design()))
    parts = _parts(scaled, participants, replicates, seed, studies, cores)
    estimates: list[Estimate] = []
    nulls: list[Estimate] = []
    if progress is not None:
        progress(0, len(parts))
    for done, (found, null) in enumerate(_run(parts, cores), start=1):
        estimates += [estimate for estimate in found if estimate is not None]
        nulls += [estimate for estimate in null if estimate is not None]
        if progress is not None:
            progress(done, len(parts))
    if not estimates:
        raise InputError([Problem("study_empty", place=scenario.file, values={"participants": participants})])
    return _gather(scaled, participants, replicates, seed, studies, design, estimates, nulls)


def _check(
    scenario: Scenario,
    participants: int,
    replicates: int,
    seed: int,
    workers: int | None,
    studies: int,
    design: str,
) -> None:
    problems = []
    if not any(plan.places for plan in scenario.activities):
        problems.append(Problem("study_no_activities", place=scenario.file))
    least = {
        "participants": (participants, FEWEST),
        "replicates": (replicates, 1),
        "seed": (seed, 0),
        "workers": (1 if workers is None else workers, 1),
        "studies": (studies, 0),
    }
    problems += [
        Problem("whole_at_least", key=key, values={"value": value, "low": low})
        for key, (value, low) in least.items()
        if value < low
    ]
    if design not in DESIGNS:
        values = {"value": design, "allowed": ", ".join(DESIGNS)}
        problems.append(Problem("choice", key="design", values=values, nearest=nearest(design, DESIGNS)))
    if problems:
        raise InputError(problems)


def _cores() -> int:
    from joblib import cpu_count

    return int(cpu_count())


def _parts(scenario: Scenario, participants: int, replicates: int, seed: int, studies: int, cores: int) -> list[_Part]:
    """Cut the work: a part stacks replicates until they hold participants enough for its null studies."""
    stack = max(1, min(math.ceil(_NULL_POOL / participants), _ROWS_AT_ONCE // scenario.residents))
    count = max(math.ceil(replicates / stack), math.ceil(studies / _STUDIES_A_POOL))
    nulls = [range(i, min(i + _STUDIES_A_POOL, studies)) for i in range(0, studies, _STUDIES_A_POOL)]
    engine = choose("auto", 3 * count * stack * scenario.residents * MONTHS // cores)
    resolved = scenario.resolved()
    return [
        _Part(
            scenario=resolved,
            participants=participants,
            seed=seed,
            first=i * stack,
            stop=(i + 1) * stack,
            studied=replicates,
            nulls=nulls[i] if i < len(nulls) else range(0),
            engine=engine,
        )
        for i in range(count)
    ]


def _run(parts: list[_Part], cores: int) -> Iterator[tuple[list[Estimate | None], list[Estimate | None]]]:
    """Yield the parts' results in their order."""
    workers = min(cores, len(parts))
    if workers == 1:
        yield from map(_carry_out, parts)
        return
    from joblib import Parallel, delayed

    with Parallel(n_jobs=workers, return_as="generator") as parallel:
        yield from parallel(delayed(_carry_out)(part) for part in parts)


def _carry_out(part: _Part) -> tuple[list[Estimate | None], list[Estimate | None]]:
    """Return the estimate of each replicate and of each null study; None where one is undefined."""
    design = published_design()
    scenario = Scenario.from_resolved(part.scenario)
    studied = range(part.first, max(part.first, min(part.stop, part.studied)))
    followed = range(part.first, part.stop if part.nulls else studied.stop)
    controls = [controls_of(panel, design) for panel in observe_controls(scenario, part.seed, followed, part.engine)]
    estimates: list[Estimate | None] = []
    if studied:
        treated = observe(scenario, part.seed, studied, part.engine)
        for panel, pool in zip(treated, controls[: len(studied)], strict=True):
            estimates.append(_study(participants_of(panel, design), pool, part.participants, design))
    null: list[Estimate | None] = []
    if part.nulls:
        unaffected = observe(without_effects(scenario), part.seed, followed, part.engine)
        participants = stacked([participants_of(panel, design) for panel in unaffected])
        pool = stacked(controls)
        null = [_study(participants, pool, design.pairs, design, occurrence) for occurrence in part.nulls]
    return estimates, null


def _study(participants: Panel, controls: Panel, persons: int, design: Design, occurrence: int = 0) -> Estimate | None:
    try:
        return study(participants, controls, persons, design, occurrence)
    except EmptyCell:
        return None


def _gather(
    scenario: Scenario,
    participants: int,
    replicates: int,
    seed: int,
    studies: int,
    design: str,
    estimates: list[Estimate],
    nulls: list[Estimate],
) -> Evaluation:
    """Average over replicates."""
    unadjusted, adjusted, error = (
        np.array([getattr(estimate, name) for estimate in estimates]) for name in ("unadjusted", "adjusted", "error")
    )
    significant = np.array([estimate.p_values < SIGNIFICANT for estimate in estimates]).mean(axis=0)
    low, high = one_study_limits(adjusted, error)
    effects = {}
    for i, key in enumerate(EFFECTS):
        published = [float(evidence(f"{_PUBLISHED[key]}_{kind}")["odds_ratio"]) for kind in ("adjusted", "unadjusted")]
        effects[key] = Effect(
            adjusted=math.exp(adjusted[:, i].mean()),
            unadjusted=math.exp(unadjusted[:, i].mean()),
            low=math.exp(low[i]),
            high=math.exp(high[i]),
            power=float(significant[i]),
            without_effect=math.exp(np.mean([estimate.adjusted[i] for estimate in nulls])) if nulls else None,
            replicates=len(estimates),
            published_adjusted=published[0],
            published_unadjusted=published[1],
        )
    shares = np.array([estimate.shares for estimate in estimates])
    spread = shares.std(axis=0, ddof=1) if len(shares) > 1 else np.full(shares.shape[1:], math.nan)
    return Evaluation(
        scenario=scenario.id,
        design=design,
        seed=seed,
        participants=participants,
        residents=scenario.residents,
        replicates=replicates,
        pairs=float(np.mean([estimate.pairs for estimate in estimates])),
        studies=studies,
        effects=effects,
        false_positive_rate=sum(e.p_values[0] < SIGNIFICANT for e in nulls) / len(nulls) if nulls else None,
        paths={group: shares[:, i].mean(axis=0).tolist() for i, group in enumerate(_PATHS)},
        path_spread={group: spread[i].tolist() for i, group in enumerate(_PATHS)},
        published_paths=published_paths(),
        shares=shares,
    )


def one_study_limits(estimates: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return 95 % limits of one further study, from the spread of independent studies (rows) around their mean.

    With one study there is no spread, and its own standard error is used.
    """
    from scipy.stats import norm, t

    n = len(estimates)
    if n > 1:
        reach = t.ppf(0.975, n - 1) * estimates.std(axis=0, ddof=1) * math.sqrt(1 + 1 / n)
    else:
        reach = norm.ppf(0.975) * errors[0]
    return estimates.mean(axis=0) - reach, estimates.mean(axis=0) + reach


def published_paths() -> dict[str, list[float]]:
    """Return the source's shares with a leisure job by group, event years -3 to 1, from its back-solved counts."""
    return {
        group: [float(evidence(f"annex7_3_backsolved_share_{population}_{year}")["value"]) for year in _PATH_YEARS]
        for group, population in _PATHS.items()
    }

"""Hold-outs: what each structure says of shares it was not fitted to, scored, beside two simple baselines.

Three questions, each a *part* of the validation:

- *temporal*: fitted to the 2013 shares of Figure 4.13, what are those of 2016? Each structure answers from its
  posterior, with sampling of as many persons as published, rounding and discrepancy, given the 2013 shares of the same
  people. *No change* says that the shares stay those of 2013, of people drawn anew; *homogeneous* is the structure with
  constant rates.
- *by_origin*: fitted without the shares of one origin, what are they? The rates of the young are the same for both, so
  the other origin's shares and the starting point say it; the factors on job loss are those of the other origin. *No
  change* is the other origin's published share.
- *others*: what is published and never fitted: two shares of the young that are held out (one of them, 20-24, is the
  share of 2011 taken to hold in 2016), and apart from these, in no total, what is counted in a way the model cannot
  meet. *No change* is the last value published for an earlier year, where there is one.

The last two are the same for every structure: only the benefit flows tell structures apart (by at most a point among
the young). Figure 4.13 is not published by origin, and the labour-market status of 2011, which is, is where the
simulation starts, so neither can be left out. Readings that repeat or contradict a fitted share are not scored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from sim.errors import InputError, nearest
from sim.errors import Problem as Fault
from sim.measures import BENEFIT_GROUPS
from sim.parameters import ParameterSet
from sim.sources import Target

from . import twin
from .blocks import Block, BlockTarget, Book, Shares, SharesLikelihood, laplace, published, with_roles
from .calibration import unused
from .flows import DISCREPANCY
from .likelihood import MONTHS, Likelihood, Problem
from .posterior import PRIOR_DOMINATED, find_optima, spread_evenly
from .priors import centres, draw, read_priors, spreads, unconstrained, values_of
from .samplers.ensemble import Rules, dispersed, sample
from .samplers.optimum import Optimum
from .samplers.seeds import generators
from .scores import LEVELS, Forecast, energy_score
from .structures import STRUCTURES
from .targets import Targets
from .work import employment_block, employment_targets, job_loss_factors, leisure_block
from .youths import youth_block, youth_block_without

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PARTS: Final = ("temporal", "by_origin", "others")
NO_CHANGE: Final = "no_change"
HOMOGENEOUS: Final = "homogeneous"
OTHERWISE: Final = "counted_otherwise"
"""In place of the origin left out: shares whose definition the model cannot meet, scored apart and in no total."""
MODEL: Final = "model"
"""The forecast of the parts that every structure makes alike."""
ORIGINS_LEFT_OUT: Final = ("danish", "non_western")
DRAWS: Final = 2_000
"""Draws of a posterior that make up a forecast."""
_YOUTH_DRAWS: Final = 600
_STARTS: Final = 2
_ENSEMBLES, _WALKERS = 2, 28
_BRIEF: Final = 800
"""Steps after which proposals around the optimum that do not mix are given up for others."""
RULES: Final = Rules(block=100)
"""The usual rules, looked at more often: proposals around the optimum meet them after some hundred steps."""
_YOUNG_OF: Final = "history"
"""The parameter set that everything but the fitted values of the young and of job loss is taken from."""
EARLIER: Final[Mapping[str, tuple[str, ...]]] = {
    "fig5_12_neet_17_20_comparison": tuple(f"fig4_9_derived_share_neet18_{o}_2011" for o in ORIGINS_LEFT_OUT),
    "fig4_11_employed_women_danish_2016": ("fig4_11_employed_women_danish_2009",),
    "fig4_11_employed_women_non_western_2016": ("fig4_11_employed_women_non_western_2009",),
    "fig4_8_women_24_employed_basic_school_only": ("fig4_8_women_16_employed_basic_school_only",),
    "fig4_8_women_24_upper_secondary_done_or_ongoing": ("fig4_8_women_16_upper_secondary_done_or_ongoing",),
    "fig4_7_men_24_employed_basic_school_only": ("fig4_7_men_16_employed_basic_school_only",),
    "fig4_7_men_24_upper_secondary_done_or_ongoing": ("fig4_7_men_16_upper_secondary_done_or_ongoing",),
}
"""Evidence rows that hold the last earlier value of a share that is never fitted (several: weighed by persons)."""
FIGURES: Final = ("holdouts", "scores")
KINDS: Final = ("svg", "png")
"""Of picture files."""
_INDEPENDENT: Final = ("education_first", "level")
"""Ways of counting whose shown targets are measurements of their own; what else is shown repeats what is fitted."""


class Cell(NamedTuple):
    """What a scored share is: a row of the published side of a table."""

    target: str
    group: str
    month: str
    measure: str
    published: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, target: Target) -> Cell:
        """Return the cell of a target."""
        t = target
        return cls(t.id, t.group, t.month, t.measure, t.published, t.low, t.high, t.n)


class Scored(NamedTuple):
    """A forecast of some cells.

    ``rests`` follow from the others (1 minus the cells whose positions are given) and are shown, not scored. ``fit``:
    how its parameters were found, empty for a baseline.
    """

    part: str
    left_out: str
    name: str
    cells: tuple[Cell, ...]
    forecast: Forecast
    rests: tuple[tuple[Cell, tuple[int, ...]], ...]
    fit: Mapping[str, Any]


@dataclass(frozen=True)
class Validation:
    """Held-out shares beside what was predicted of them.

    ``structures``: those asked for; ``seed``: recorded, never a parameter. Tables, by name:

    - ``scores``: one row a part, origin left out (or ``counted_otherwise``) and forecast: number of cells, log score
      (higher is better) with its computing error, energy score (in percentage points, lower is better), coverage of 50
      and 90 % intervals, largest miss, ``surprise`` (see :meth:`calibration.scores.Forecast.surprise`), and by how much
      it beats each baseline in both scores (above 0 is better) with the standard error of the difference in log score,
      from the cells taken one by one.
    - ``cells``: one row a part, forecast and target; ``miss_points`` is predicted minus published.
    - ``fits``: how each fit was found, and which parameters it leaves to their priors.
    - ``totals``: one row a structure and for no change, over everything not fitted.
    """

    structures: tuple[str, ...]
    parts: tuple[str, ...]
    seed: int
    tables: Mapping[str, pd.DataFrame]

    def table(self, name: str = "scores") -> pd.DataFrame:
        """Return a table by name. Raises ``InputError`` for another name."""
        if name not in self.tables:
            raise InputError([_choice("table", name, list(self.tables))])
        return self.tables[name].copy()

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data, shares and scores to the last digit."""
        totals = {row.pop("forecast"): row for row in _records(self.tables["totals"])}
        cells = _records(self.tables["cells"])

        def by_target(names: Sequence[str]) -> list[dict[str, Any]]:
            told = [row for row in cells if row["forecast"] in names and row["scored"]]
            return [row for row in told if row["left_out"] != OTHERWISE]

        def part(name: str) -> dict[str, Any]:
            scores = [row for row in _records(self.tables["scores"]) if row["part"] == name]
            targets = [row for row in cells if row["part"] == name]
            return {
                "scores": scores,
                "by_target": targets,
                "fits": [row for row in _records(self.tables["fits"]) if row["part"] == name],
            }

        return {
            "seed": self.seed,
            "parts": list(self.parts),
            "structures": {s: {**totals[s], "by_target": by_target((s, MODEL))} for s in self.structures},
            **{name: part(name) for name in self.parts},
            "baselines": {
                name: {**totals[name], "by_target": by_target((name, MODEL) if name in STRUCTURES else (name,))}
                for name in (NO_CHANGE, HOMOGENEOUS)
                if name in totals
            },
        }

    def plot(self, name: str, lang: str = "da") -> Figure:
        """Return the figure ``holdouts`` (2016 beside what was predicted) or ``scores``.

        Raises ``InputError`` for another name, and when the temporal part was not asked for.
        """
        from sim.plots import holdouts_figure, scores_figure

        figures = {"holdouts": holdouts_figure, "scores": scores_figure} if "temporal" in self.parts else {}
        if name not in figures:
            raise InputError([_choice("plot", name, list(figures))])
        of_part = {key: table[table["part"] == "temporal"] for key, table in self.tables.items() if key != "totals"}
        return figures[name](of_part["cells" if name == "holdouts" else "scores"], lang)

    def save(self, folder: Path, lang: str = "da") -> None:
        """Write every table as CSV and every figure as SVG and PNG into ``folder``, which is made.

        Figures that an earlier validation left there and this one does not make are removed.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for name, kind in product(FIGURES, KINDS):
            (folder / f"{name}.{kind}").unlink(missing_ok=True)
        for name, table in self.tables.items():
            table.to_csv(folder / f"{name}.csv", index=False, float_format="%.10g", lineterminator="\n")
        for name in FIGURES if "temporal" in self.parts else ():
            figure = self.plot(name, lang)
            for kind in KINDS:
                figure.savefig(folder / f"{name}.{kind}", metadata={"Date": None} if kind == "svg" else None)


def validate(
    structures: Sequence[str] | None = None,
    *,
    targets: Targets | None = None,
    seed: int = 1,
    workers: int = 1,
    parts: Sequence[str] = PARTS,
    rules: Rules | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Validation:
    """Fit without some of the published shares, predict those, and score the predictions.

    ``structures``: all without it; *homogeneous* and *no change* are always beside them as baselines. ``targets``:
    other rows or roles than the evidence book's; what they hold out is scored, too. ``workers`` processes change no
    byte. ``rules`` of the samplers; ``progress`` is called with the number of fits done and of all.

    Raises ``InputError`` naming every unknown structure and part, and every number and row that cannot be used.
    """
    asked = list(STRUCTURES) if structures is None else list(dict.fromkeys(structures))
    problems = [_choice("SET", name, list(STRUCTURES)) for name in asked if name not in STRUCTURES]
    problems += [_choice("part", name, PARTS) for name in parts if name not in PARTS]
    problems += [
        Fault("whole_at_least", key=key, values={"value": value, "low": low})
        for key, value, low in (("seed", seed, 0), ("workers", workers, 1))
        if value < low
    ]
    found = targets or Targets.read()
    problems += unused(found)
    problems += _unanswerable(found) if "temporal" in parts else []
    if problems:
        raise InputError(problems)
    chosen = tuple(part for part in PARTS if part in parts)
    names = [s for s in STRUCTURES if s in (*asked, HOMOGENEOUS)]
    jobs: list[Callable[[], list[Scored]]] = []
    if "by_origin" in chosen:
        jobs += [partial(by_origin, origin, found, seed) for origin in ORIGINS_LEFT_OUT]
    if "others" in chosen:
        jobs.append(partial(others, found, seed))
    if "temporal" in chosen:
        jobs += [partial(temporal, name, found, seed, rules) for name in names]
    scored: list[Scored] = []
    with Parallel(n_jobs=min(workers, len(jobs)), return_as="generator") as parallel:
        for done, part in enumerate(parallel(delayed(job)() for job in jobs), start=1):
            scored += part
            if progress is not None:
                progress(done, len(jobs))
    if "temporal" in chosen:
        scored.append(_no_change(found, seed))
    scored.sort(key=lambda one: PARTS.index(one.part))
    shown = [one for one in scored if one.name not in STRUCTURES or one.name in (*asked, HOMOGENEOUS)]
    return Validation(
        tuple(name for name in names if name in asked),
        chosen,
        seed,
        {
            "scores": _scores_table(shown),
            "cells": pd.DataFrame([row for one in shown for row in _cell_rows(one)]),
            "fits": _fits_table(shown),
            "totals": _totals_table(shown, [*names, NO_CHANGE]),
        },
    )


def _unanswerable(targets: Targets) -> list[Fault]:
    """Return what is missing for 2013 to say something of 2016: each share of 2016 needs the same one in the fit."""
    known, unknown = _by_date(targets)
    told = {(t.group, t.measure) for t in known}
    missing = [t.id for t in unknown if (t.group, t.measure) not in told]
    if not unknown:
        missing = [t.id for t in targets.shown if t.month == MONTHS[1]]
    return [Fault("holdout_unanswerable", key=id) for id in missing]


def _choice(key: str, value: str, allowed: Sequence[str]) -> Fault:
    return Fault(
        "choice", key=key, values={"value": value, "allowed": ", ".join(allowed)}, nearest=nearest(value, allowed)
    )


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    found: Any = table.astype(object).where(table.notna(), None).to_dict("records")
    return list(found)


# --- temporal


def _early(structure: str, ids: Sequence[str], values: np.ndarray) -> np.ndarray:
    """Return joint tables whose sums over 2016 are the shares of 2013; who moves later is not said."""
    free = STRUCTURES[structure].free
    full = np.ones((len(values), len(free)))
    full[:, [free.index(id) for id in ids]] = values
    shares = twin.shipped(structure).at_first(full)
    group = np.arange(len(BENEFIT_GROUPS))
    joint = np.zeros((*shares.shape, len(group)))
    joint[..., group, group] = shares
    return joint


def early_problem(structure: str, targets: Targets) -> Problem:
    """Return the problem of fitting what ``structure`` leaves free before 2014 to the fitted shares of 2013.

    Factors from the 2014 reform on are not among its parameters: nothing before can tell them.
    """
    later = set(twin.reform_factors().values())
    ids = tuple(id for id in STRUCTURES[structure].free if id not in later)
    first = tuple(t for t in targets.fit if t.month == MONTHS[0])
    return Problem(f"{structure}_2013", read_priors(ids), partial(_early, structure, ids), first, DISCREPANCY)


class Early(NamedTuple):
    """A posterior of the 2013 shares: draws of everything free (draws, parameters), and how it was found."""

    values: np.ndarray
    fit: Mapping[str, Any]


def fit_early(structure: str, targets: Targets, seed: int, rules: Rules | None = None, draws: int = DRAWS) -> Early:
    """Sample what the 2013 shares alone say of the free parameters of ``structure``.

    What acts only from 2014 on is drawn from its prior.
    """
    problem = early_problem(structure, targets)
    chance, beyond = _chance(seed, "temporal", structure)[:2]
    found = find_optima(problem, seed, _STARTS)
    places = dispersed(found, _ENSEMBLES, _WALKERS, chance, problem.log_posterior)
    usual = rules or RULES
    brief = replace(usual, most_steps=min(_BRIEF, usual.most_steps))
    made = sample(problem.log_posterior, places, seed, rules=brief, near=found[0])
    if not made.diagnostics.converged and usual.most_steps > _BRIEF:
        # The posterior is not like the normal distribution at its optimum: propose from one like what was found.
        flat = made.flat
        bell = Optimum(flat.mean(axis=0), np.nan, np.cov(flat, rowvar=False))
        made = sample(problem.log_posterior, places, seed, rules=usual, near=bell)
    kept = min(draws, len(made.flat))
    fitted = made.flat[spread_evenly(kept, len(made.flat))]
    free = STRUCTURES[structure].free
    priors = read_priors(free)
    z = draw(priors, beyond, kept)
    z[:, [free.index(id) for id in problem.ids]] = fitted
    contraction = 1 - made.flat.var(axis=0, ddof=1) / spreads(problem.priors) ** 2
    determined = {id for id, c in zip(problem.ids, contraction, strict=True) if c >= PRIOR_DOMINATED}
    d = made.diagnostics
    fit = {
        "method": "ensembles",
        "parameters": len(free),
        "prior_dominated": " ".join(id for id in free if id not in determined),
        "converged": d.converged,
        "r_hat": float(d.r_hat.max()),
        "effective": float(d.effective.min()),
        "autocorrelation": float(d.autocorrelation.max()),
        "kept_steps": d.kept,
        "acceptance": d.acceptance,
    }
    return Early(values_of(priors, z), fit)


def _chance(seed: int, part: str, name: str) -> list[np.random.Generator]:
    """Return three generators of a fit; what is asked for beside it changes none."""
    order = [(part_, s) for part_, of in _FITS.items() for s in of]
    at = order.index((part, name))
    return generators(seed, "holdouts", 3 * (at + 1))[3 * at :]


_FITS: Final = {
    "temporal": (*STRUCTURES, NO_CHANGE),
    "by_origin": ORIGINS_LEFT_OUT,
    "others": (MODEL, "leisure_jobs"),
}
"""Everything that needs chance of its own; append only, the position is part of the seed."""


def temporal(structure: str, targets: Targets, seed: int, rules: Rules | None = None) -> list[Scored]:
    """Return what ``structure``, fitted to the 2013 shares, says of those of 2016."""
    early = fit_early(structure, targets, seed, rules)
    joint = twin.joint(structure, early.values)
    known, unknown = _by_date(targets)
    likelihood = Likelihood((*known, *unknown), DISCREPANCY)
    split = len(known)
    means, covariances = likelihood.shares(joint), likelihood.covariance(joint)
    # The same people are counted twice: given what was published of 2013, the sampling error of 2016 is smaller.
    gain = np.linalg.solve(covariances[:, :split, :split], covariances[:, :split, split:]).transpose(0, 2, 1)
    miss = likelihood.observed[:split] - means[:, :split]
    mean = means[:, split:] + (gain @ miss[:, :, None])[:, :, 0]
    covariance = covariances[:, split:, split:] - gain @ covariances[:, :split, split:]
    noise = _chance(seed, "temporal", structure)[2].standard_normal(mean.shape)
    return [_flow_forecast(structure, targets, unknown, mean, covariance, noise, early.fit)]


def _no_change(targets: Targets, seed: int) -> Scored:
    """Return the forecast that the shares of 2016 are those of 2013, of as many people drawn anew."""
    known, unknown = _by_date(targets)
    order = [_before(known, t) for t in unknown]
    now, later = Likelihood(known, DISCREPANCY), Likelihood(unknown, DISCREPANCY)
    shares = np.array([known[i].centre for i in order])
    same = np.array([[a.group == b.group for b in unknown] for a in unknown])
    n = np.array([t.n for t in unknown], dtype=float)
    sampling = same * (np.diag(shares) - np.outer(shares, shares)) / n
    covariance = 2 * sampling + np.diag(later.own_variance + now.own_variance[order])
    noise = _chance(seed, "temporal", NO_CHANGE)[2].standard_normal((DRAWS, len(shares)))
    return _flow_forecast(NO_CHANGE, targets, unknown, np.tile(shares, (DRAWS, 1)), covariance[None], noise, {})


def _before(known: Sequence[Target], target: Target) -> int:
    """Return the position of the same share in 2013."""
    return next(i for i, t in enumerate(known) if (t.group, t.measure) == (target.group, target.measure))


def _by_date(targets: Targets) -> tuple[tuple[Target, ...], tuple[Target, ...]]:
    """Return the fitted targets of 2013, and those of 2016, fitted or held out otherwise."""
    first = tuple(t for t in targets.fit if t.month == MONTHS[0])
    return first, tuple(t for t in (*targets.fit, *targets.hold_out) if t.month == MONTHS[1])


def _flow_forecast(
    name: str,
    targets: Targets,
    unknown: tuple[Target, ...],
    means: np.ndarray,
    covariances: np.ndarray,
    noise: np.ndarray,
    fit: Mapping[str, Any],
) -> Scored:
    observed = np.array([t.centre for t in unknown])
    rests = []
    for t in (t for t in targets.shown if t.remainder and t.month == MONTHS[1]):
        others = tuple(i for i, other in enumerate(unknown) if other.group == t.group)
        # 1 minus some of the others would be more than the remainder.
        if {unknown[i].measure for i in others} == set(BENEFIT_GROUPS) - {t.measure}:
            rests.append((Cell.of(t), others))
    forecast = Forecast(observed, means, covariances, noise)
    return Scored("temporal", "", name, tuple(map(Cell.of, unknown)), forecast, tuple(rests), fit)


# --- by origin, and what is never fitted


@lru_cache(maxsize=1)
def _employment_shares() -> Shares:
    return employment_block(ParameterSet.read(_YOUNG_OF)).read


def _employment(targets: Targets) -> Block:
    """Return the block of employment; what it costs is made once."""
    everything = with_roles(employment_targets(targets.book), targets)
    return Block.of("employment", read_priors(job_loss_factors()), everything, _employment_shares())


def _approximated(
    block: Block, chance: np.random.Generator, draws: int = _YOUTH_DRAWS
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return draws (natural units) of the normal distribution at a block's optimum, and how it was found."""
    parameters = ParameterSet.read(_YOUNG_OF)
    start = unconstrained(block.priors, np.array([parameters.value(id) for id in block.ids]))
    best = block.optimum(np.stack([start, centres(block.priors)]))
    contraction = 1 - np.diag(best.covariance) / spreads(block.priors) ** 2
    fit = {
        "method": "normal approximation",
        "parameters": len(block.ids),
        "prior_dominated": " ".join(id for id, c in zip(block.ids, contraction, strict=True) if c < PRIOR_DOMINATED),
    }
    return laplace(block, best, chance, draws), fit


def _of_blocks(shares: Sequence[tuple[Sequence[BlockTarget], np.ndarray]], noise: np.random.Generator) -> Forecast:
    """Return the forecast of the targets of blocks, each with its shares (draws, targets)."""
    targets = [t for mine, _ in shares for t in mine]
    likelihood = SharesLikelihood(targets)
    means = np.hstack([found for _, found in shares])
    covariance = likelihood.sampling_covariance(means[:1]) + np.diag(likelihood.own_variance)
    return Forecast(likelihood.observed, means, covariance, noise.standard_normal(means.shape))


def by_origin(origin: str, targets: Targets, seed: int) -> list[Scored]:
    """Return what is said of ``origin`` by a fit without its shares, and by the shares of the other origin."""
    [other] = [o for o in ORIGINS_LEFT_OUT if o != origin]
    chance, more, noise = _chance(seed, "by_origin", origin)
    young = youth_block_without(ParameterSet.read(_YOUNG_OF), origin, targets)
    held = [i for i, t in enumerate(young.everything) if t.role == "hold_out"]
    values, fit = _approximated(young, chance)
    parts = [([young.everything[i] for i in held], young.read(values)[:, held])]
    work = _employment(targets)
    changes = [i for i, t in enumerate(work.everything) if t.counting == "change"]
    mine, theirs = ([i for i in changes if work.everything[i].group.endswith(f"_{o}")] for o in (origin, other))
    kept = Block.of(
        work.name,
        work.priors,
        [t if i in theirs else replace(t, role="shown") for i, t in enumerate(work.everything)],
        work.read,
    )
    factors, _ = _approximated(kept, more)
    # The factors of the origin left out are the other's, of the same sex.
    for a, b in zip(mine, theirs, strict=True):
        factors[:, changes.index(a)] = factors[:, changes.index(b)]
    scored = [i for i in mine if work.everything[i].role == "fit"]
    parts.append(([work.everything[i] for i in scored], work.read(factors)[:, scored]))
    cells = [t for targets, _ in parts for t in targets]
    if not cells:
        return []
    forecast = _of_blocks(parts, noise)
    found = [Scored("by_origin", origin, MODEL, tuple(map(Cell.of, cells)), forecast, (), fit)]
    known = [*young.everything, *work.everything]
    pairs = [(t, _counterpart(t, other, known)) for t in cells]
    told = [(t, match) for t, match in pairs if match is not None]
    return [*found, *_beside(found[0], told, noise)]


def _counterpart(target: BlockTarget, other: str, known: Sequence[BlockTarget]) -> BlockTarget | None:
    """Return the same share of the other origin, where it is published."""
    mine = next(o for o in ORIGINS_LEFT_OUT if o in target.group)
    ids = [id.replace(mine, other) for id in target.rows]
    return next((t for t in known if list(t.rows) == ids and t.measure == target.measure), None)


def others(targets: Targets, seed: int) -> list[Scored]:
    """Return what the fits say of published shares that no fit uses, and what earlier values say.

    Those held out, and apart from them those that count in a way the model cannot meet.
    """
    chance, more, noise = _chance(seed, "others", MODEL)
    parameters = ParameterSet.read(_YOUNG_OF)
    blocks = [(youth_block(parameters, targets.book).with_roles(targets), chance), (_employment(targets), more)]
    leisure = leisure_block(parameters, targets.book).with_roles(targets)
    if any(map(_held_out, leisure.everything)):
        blocks.append((leisure, _chance(seed, "others", leisure.name)[0]))
    fitted = [(block, *_approximated(block, generator)) for block, generator in blocks]
    fits = [fit for _, _, fit in fitted]
    whole = {
        "method": fits[0]["method"],
        "parameters": sum(fit["parameters"] for fit in fits),
        "prior_dominated": " ".join(fit["prior_dominated"] for fit in fits if fit["prior_dominated"]),
    }
    shares = [(block, block.read(values)) for block, values, _ in fitted]
    found: list[Scored] = []
    for chosen, name in ((_held_out, ""), (_counted_otherwise, OTHERWISE)):
        at = [[i for i, t in enumerate(block.everything) if chosen(t)] for block, _ in shares]
        parts = [
            ([block.everything[i] for i in mine], read[:, mine])
            for (block, read), mine in zip(shares, at, strict=True)
            if mine
        ]
        cells = [t for targets, _ in parts for t in targets]
        if not cells:
            continue
        forecast = _of_blocks(parts, noise)
        found.append(Scored("others", name, MODEL, tuple(map(Cell.of, cells)), forecast, (), {} if name else whole))
        found += _beside(found[-1], [(t, _earlier(t, targets.book)) for t in cells if t.id in EARLIER], noise)
    return found


def _held_out(target: BlockTarget) -> bool:
    return target.role == "hold_out"


def _counted_otherwise(target: BlockTarget) -> bool:
    """Tell whether a target is a measurement of its own by a definition that is not the model's."""
    return target.role == "shown" and target.reading == "a" and target.counting in _INDEPENDENT


def _earlier(target: BlockTarget, book: Book) -> BlockTarget:
    """Return the last value published before a target, counted as the target is."""
    ids = EARLIER[target.id]
    persons = np.array([float(book[id]["n"] or target.n) for id in ids])
    value, low, high = published(ids, (persons / persons.sum()).tolist(), book)
    return replace(target, published=value, low=low, high=high, n=int(persons.sum()))


def _beside(model: Scored, told: Sequence[tuple[BlockTarget, BlockTarget]], noise: np.random.Generator) -> list[Scored]:
    """Return the forecast that each target is the share beside it; nothing when there is none."""
    if not told:
        return []
    targets, matches = [t for t, _ in told], [m for _, m in told]
    own, their = SharesLikelihood(targets), SharesLikelihood(matches)
    one = np.zeros((1, len(targets)))
    spread = sum(lk.sampling_covariance(one)[0] + np.diag(lk.own_variance) for lk in (own, their))
    means = np.tile(their.observed, (DRAWS, 1))
    forecast = Forecast(own.observed, means, np.asarray(spread)[None], noise.standard_normal(means.shape))
    return [Scored(model.part, model.left_out, NO_CHANGE, tuple(map(Cell.of, targets)), forecast, (), {})]


# --- tables


def _chosen(forecast: Forecast, at: Sequence[int]) -> Forecast:
    """Return the forecast of some of its targets."""
    mine = list(at)
    covariances = forecast.covariances[:, mine][:, :, mine]
    return Forecast(forecast.observed[mine], forecast.means[:, mine], covariances, forecast.noise[:, mine])


def _against(one: Scored, base: Scored) -> tuple[Forecast, Forecast]:
    """Return both forecasts of the cells they share."""
    names = [c.target for c in base.cells]
    mine = [i for i, c in enumerate(one.cells) if c.target in names]
    return _chosen(one.forecast, mine), _chosen(base.forecast, [names.index(one.cells[i].target) for i in mine])


def _scores_table(scored: Sequence[Scored]) -> pd.DataFrame:
    rows = []
    for one in scored:
        f = one.forecast
        row: dict[str, Any] = {"part": one.part, "left_out": one.left_out, "forecast": one.name}
        row |= {"cells": len(one.cells), "log_score": f.log_score, "log_score_error": f.log_score_error}
        row["energy_score"] = 100 * f.energy_score
        row |= {f"coverage_{100 * level:.0f}": float(f.covered(level).mean()) for level in LEVELS}
        row |= {"largest_miss_points": float(100 * np.abs(np.median(f.predicted, axis=0) - f.observed).max())}
        row["surprise"] = f.surprise()
        for name in (NO_CHANGE, HOMOGENEOUS):
            base = [b for b in scored if (b.part, b.left_out, b.name) == (one.part, one.left_out, name)]
            if base and one.name != name:
                mine, theirs = _against(one, base[0])
                apart = mine.marginal_log_scores - theirs.marginal_log_scores
                row |= {
                    f"cells_{name}": len(apart),
                    f"skill_{name}": mine.log_score - theirs.log_score,
                    f"skill_{name}_se": float(np.sqrt(len(apart)) * apart.std(ddof=1)) if len(apart) > 1 else np.nan,
                    f"energy_skill_{name}": 100 * (theirs.energy_score - mine.energy_score),
                }
        rows.append(row)
    return pd.DataFrame(rows)


def _cell_rows(one: Scored) -> list[dict[str, Any]]:
    predicted = one.forecast.predicted
    shares = [(cell, predicted[:, i], True) for i, cell in enumerate(one.cells)]
    shares += [(cell, 1 - predicted[:, list(parts)].sum(axis=1), False) for cell, parts in one.rests]
    rows = []
    for at, (cell, draws, scored) in enumerate(shares):
        observed = (cell.low + cell.high) / 2
        row: dict[str, Any] = {"part": one.part, "left_out": one.left_out, "forecast": one.name, **cell._asdict()}
        median = float(np.median(draws))
        row |= {"predicted": median, "miss_points": 100 * (median - observed)}
        for level in LEVELS:
            low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
            name = f"{100 * level:.0f}"
            row |= {f"low_{name}": float(low), f"high_{name}": float(high)}
            row[f"inside_{name}"] = bool(low <= observed <= high)
        row["log_score"] = float(one.forecast.marginal_log_scores[at]) if scored else np.nan
        rows.append(row | {"scored": scored})
    return rows


def _fits_table(scored: Sequence[Scored]) -> pd.DataFrame:
    names = {"part": "", "left_out": "", "forecast": ""}
    rows = [
        {**dict(zip(names, (one.part, one.left_out, one.name), strict=True)), **one.fit} for one in scored if one.fit
    ]
    return pd.DataFrame(rows)


def _totals_table(scored: Sequence[Scored], names: Sequence[str]) -> pd.DataFrame:
    """Return one row a forecast over everything it says: a structure's own and what all structures say alike."""
    found = []
    for name in names:
        told = [one for one in scored if one.left_out != OTHERWISE]
        mine = [one for one in told if one.name == name or (name in STRUCTURES and one.name == MODEL)]
        if not mine:
            continue
        draws = min(len(one.forecast.predicted) for one in mine)
        # Draws stand ensemble after ensemble: the first ones would be those of one alone.
        predictions = [one.forecast.predicted for one in mine]
        stacked = np.hstack([found[spread_evenly(draws, len(found))] for found in predictions])
        whole = np.concatenate([one.forecast.observed for one in mine])
        inside = {level: np.concatenate([one.forecast.covered(level) for one in mine]) for level in LEVELS}
        row: dict[str, Any] = {"forecast": name, "cells": len(whole)}
        row["log_score"] = float(sum(one.forecast.log_score for one in mine))
        row["energy_score"] = 100 * energy_score(whole, stacked)
        found.append(row | {f"coverage_{100 * level:.0f}": float(inside[level].mean()) for level in LEVELS})
    return pd.DataFrame(found)

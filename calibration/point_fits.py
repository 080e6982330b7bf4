"""The point fit of each structure, by least squares on the exact flows; its posterior is beside it.

What a structure leaves free is fitted to the 12 printed shares of the 2011 cohorts; a constant makes usual activation
neutral on them; factors on job loss to the change of employment over 2011-2016; the starting hazards of side jobs, the
same in all structures, to the leisure-job shares of the published control group; the rates of the young, the same in
all structures, too, to what is published of them (the optimum of their posterior). ``python -m calibration.point_fits``
prints the fits of all structures or of those named; ``--write`` renews the shipped parameter sets.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import norm

from sim.chain import N_EXPANDED, PHASE_OF, STATE_OF, Chain, side_job_path
from sim.errors import ParameterError, Problem, nearest
from sim.measures import BENEFIT_GROUPS, COHORTS, counted_as
from sim.parameters import UNITS, WITHOUT_ACTIVATION, ParameterSet
from sim.population import REFERENCE
from sim.recipe import Persons, recipe
from sim.scenario import month_number
from sim.sources import PARAMETER_SETS, Target, rows
from sim.states import CODE, ORIGINS, PHASE_CODE, PHASES, SEXES
from sim.transitions import AGE_CLASS, FRAILTIES

from .likelihood import Likelihood, cells_of
from .priors import read_priors, unconstrained, values_of
from .structures import STRUCTURES, Structure
from .targets import AGED_15_20, CONTROL_PATH, Targets, control_path
from .twin import START, Twin, cohort_weights
from .youths import youth_block, youth_targets

SIDE_JOB_STARTS = tuple(f"side_job_start_age_{age}" for age in ("11_9", "15_9", "17_0"))
_AGE = np.array(30 * 12)
"""Any age from 25 to 59 gives the same flows: adults differ by age in death alone."""
ROUNDING = 0.01 / 12**0.5
"""Standard error that rounding to whole per cents adds to a share."""
PULL = 1.0
"""Log standard deviation of the weak pull on what a structure calls ``pulled``: a factor of 2.7 either way."""
_STEP = 1e-5
"""Step of the derivatives, on the log or logit scale."""
_ROUNDS = 20
_LAST_AGE = 25


@dataclass(frozen=True)
class Fit:
    """Fitted values by parameter id with standard errors, the fitted shares by target id, and how well they fit.

    ``chi_square`` is that of the targets under their sampling and rounding error, with ``freedom`` degrees. ``ranges``
    are 95 % intervals of values whose errors are not symmetrical.
    """

    values: dict[str, float]
    errors: dict[str, float]
    shares: dict[str, float]
    chi_square: float
    freedom: int
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def strain(self) -> float:
        """How much wider than the data alone the errors are: the root of chi-square over its degrees, at least 1."""
        return max(1.0, (self.chi_square / self.freedom) ** 0.5) if self.freedom else 1.0


def cohort_shares(parameters: ParameterSet, weights: np.ndarray) -> np.ndarray:
    """Return joint shares of each cohort, shape (cohorts, groups 2013, groups 2016), exactly.

    Groups are those of Figure 4.13, in the order of ``sim.measures.BENEFIT_GROUPS``; ``weights`` are those of
    :func:`cohort_weights`. The dead are left out, who die alike in all groups. The chain itself, one parameter set at
    a time: what :mod:`calibration.twin` must equal.
    """
    chain = Chain(parameters, month_number(START))
    mid, last = (month_number(m) - month_number(START) for m in ("2013-12", "2016-12"))
    member = np.array([counted_as(states)[PHASE_OF] for states in BENEFIT_GROUPS.values()])
    cohort, sex, origin = (codes.ravel() for codes in np.indices(weights.shape))
    phase = np.array([PHASE_CODE["job_ready"], PHASE_CODE["activity_ready"]])[cohort]
    p = np.stack(
        [
            weight * chain.started(int(f), int(AGE_CLASS[_AGE]), int(s), int(o))
            for weight, f, s, o in zip(weights.ravel(), phase, sex, origin, strict=True)
        ]
    )
    for month in range(1, mid + 1):
        p = chain.step(p, month, _AGE, sex, origin)
    groups = len(member)
    split = (p[:, None, :] * member).reshape(-1, N_EXPANDED)
    for month in range(mid + 1, last + 1):
        split = chain.step(split, month, _AGE, np.repeat(sex, groups), np.repeat(origin, groups))
    joint = (split @ member.T).reshape(*weights.shape, groups, groups).sum(axis=(1, 2))
    return joint / joint.sum(axis=(1, 2), keepdims=True)


def fit_core_rates(parameters: ParameterSet, targets: Targets | None = None) -> Fit:
    """Fit what the set's structure leaves free to the 12 printed shares by least squares, all else held by its card.

    Values that the shares alone would drive to nil are pulled weakly to where the structure makes no difference (see
    ``Structure.pulled``); a pull of one standard deviation counts as much as a share that misses by its rounding error.
    Values tied to fitted ones come along. Standard errors are those of least squares under the shares' sampling and
    rounding error and the pull's spread; they hold only as far as the structure and the fixed cards are right.
    Chi-square is that of the shares, taken from the middle of what each rounding leaves open.
    """
    targets = targets or Targets.read()
    structure = STRUCTURES[parameters.structure]
    twin, priors, likelihood = Twin(structure, parameters), read_priors(structure.fitted), Likelihood(targets.fit)
    published = np.array([t.published for t in targets.fit])
    held = [parameters.value(id) for id in structure.free[len(structure.fitted) :]]

    def joint(x: np.ndarray) -> np.ndarray:
        return twin.joint(np.hstack([values_of(priors, x), np.tile(held, (len(x), 1))]))

    def residuals(x: np.ndarray) -> np.ndarray:
        """Return misses and pulls for ``x`` (draws, fitted), shape (draws, targets + pulled)."""
        misses = likelihood.shares(joint(x)) - published
        return np.hstack([misses, _pulls(structure, values_of(priors, x))])

    def derivatives(x: np.ndarray) -> np.ndarray:
        steps = _STEP * np.eye(len(x))
        up, down = np.split(residuals(np.vstack([x + steps, x - steps])), 2)
        return (up - down).T / (2 * _STEP)

    start = unconstrained(priors, np.array([parameters.value(id) for id in structure.fitted]))
    best = least_squares(lambda x: residuals(x[None])[0], start, derivatives, xtol=1e-12, ftol=1e-12, gtol=1e-12)
    found, tables = values_of(priors, best.x), joint(best.x[None])
    [covariance] = likelihood.covariance(tables)
    spread = np.pad(covariance, (0, len(structure.pulled)))
    spread[np.diag_indices_from(spread)] += np.repeat([0, ROUNDING**2], [len(published), len(structure.pulled)])
    to_x = np.linalg.pinv(best.jac)
    slope = found * np.where([prior.kind == "logit_normal" for prior in priors], 1 - found, 1.0)
    errors = slope * np.sqrt(np.diag(to_x @ spread @ to_x.T))
    miss = likelihood.shares(tables)[0] - likelihood.observed
    return Fit(
        structure.with_ties(dict(zip(structure.fitted, found.tolist(), strict=True))),
        structure.with_ties(dict(zip(structure.fitted, errors.tolist(), strict=True))),
        {t.id: share_of(tables[0], t) for t in (*targets.fit, *targets.shown)},
        float(miss @ np.linalg.solve(covariance, miss)),
        len(targets.fit) - len(structure.fitted),
    )


def share_of(joint: np.ndarray, target: Target) -> float:
    """Return a target's share in the joint shares of the cohorts, shape (cohorts, groups 2013, groups 2016)."""
    return float((joint[COHORTS.index(target.group)] * cells_of(target)).sum())


def _pulls(structure: Structure, values: np.ndarray) -> np.ndarray:
    """Return how far ``values`` (draws, fitted) are from where they are pulled, as misses, (draws, pulled)."""
    at = dict(zip(structure.fitted, values.T, strict=True))
    pulls = [np.log(at[id] / (at[to] if isinstance(to, str) else to)) for id, to in structure.pulled.items()]
    return ROUNDING / PULL * np.reshape(pulls, (len(pulls), len(values))).T


def fit_activation(parameters: ParameterSet) -> tuple[float, float]:
    """Return the constant on exits outside activation that leaves the cohorts' shares as without activation.

    Least squares on the chain over all groups and both dates; also the largest difference of a share that is left.
    """
    weights = cohort_weights(parameters)
    without = cohort_shares(parameters.replace(WITHOUT_ACTIVATION), weights)

    def left(factor: np.ndarray) -> np.ndarray:
        joint = cohort_shares(parameters.replace({"activation_exit_factor": float(factor[0])}), weights)
        return np.concatenate([(joint - without).sum(axis=axis).ravel() for axis in (1, 2)])

    best = least_squares(left, [parameters.value("activation_exit_factor")], xtol=1e-12, ftol=1e-14, gtol=1e-14)
    return float(best.x[0]), float(np.abs(best.fun).max())


def employment(parameters: ParameterSet, people: Persons, months: int) -> np.ndarray:
    """Return the employed share at 25-50 after 0 and after ``months`` months, exactly, shape (2, sexes, origins).

    Of the residents ``people`` of the start, wherever they live (nobody moves in).
    """
    start = month_number(START)
    years = np.minimum(people.age // 12, 99).astype(np.int64)
    young = years <= 50
    phases = np.where(people.insured, PHASE_CODE["insured_unemployed"], people.state)
    shape = (100, len(SEXES), len(ORIGINS), len(PHASES))
    keys = np.ravel_multi_index((years[young], people.sex[young], people.origin[young], phases[young]), shape)
    found, count = np.unique(keys, return_counts=True)
    year, sex, origin, phase = np.unravel_index(found, shape)
    groups, mine = np.unique((year * len(SEXES) + sex) * len(ORIGINS) + origin, return_inverse=True)
    chain = Chain(parameters, start)
    p = np.zeros((len(groups), N_EXPANDED))
    for group, n, y, s, o, code in zip(mine, count, year, sex, origin, phase, strict=True):
        p[group] += n * chain.started(int(code), int(AGE_CLASS[12 * y]), int(s), int(o))
    group_year, group_sex, group_origin = map(np.asarray, np.unravel_index(groups, (100, len(SEXES), len(ORIGINS))))
    out = []
    for month in range(months + 1):
        if month:
            p = chain.step(p, month, group_year * 12 + 6, group_sex, group_origin)
        if month in (0, months):
            age = (group_year * 12 + 6 + month) // 12
            of_age = (age >= 25) & (age <= 50)
            cell = group_sex * len(ORIGINS) + group_origin
            shares = [
                np.bincount(cell[of_age], weights=p[of_age][:, who].sum(axis=1), minlength=len(SEXES) * len(ORIGINS))
                for who in (CODE["employed"] == STATE_OF, CODE["gone"] != STATE_OF)
            ]
            out.append((shares[0] / shares[1]).reshape(len(SEXES), len(ORIGINS)))
    return np.stack(out)


def implied_change(book: Mapping[str, Mapping[str, str]] | None = None) -> dict[tuple[str, str], float]:
    """Return the change of the employed share at 25-50 over 2011-2016 that Figure 4.11 implies, by sex and origin.

    Women's rows are of 2009 and 2016, taken as a straight line; men's share is printed as one level for all years.
    """
    found = book or rows("targets")
    change = {("men", origin): 0.0 for origin in ("danish", "non_western")}
    for origin in ("danish", "non_western"):
        first, last = (float(found[f"fig4_11_employed_women_{origin}_{year}"]["value"]) for year in (2009, 2016))
        change["women", origin] = (last - first) * 5 / 7
    return change


def fit_employment(parameters: ParameterSet) -> Fit:
    """Fit four factors on job loss, so that employment at 25-50 changes over 2011-2016 as Figure 4.11 implies.

    Four changes, four factors: an exact fit, whose errors come from the rounding of the printed shares.
    """
    implied = implied_change()
    people = recipe("area", parameters).first(REFERENCE)
    ids = [f"job_loss_factor_{sex}_{origin}" for sex, origin in implied]
    cells = [(SEXES.index(sex), ORIGINS.index(origin)) for sex, origin in implied]

    def misses(log_factors: np.ndarray) -> np.ndarray:
        tried = parameters.replace(dict(zip(ids, np.exp(log_factors), strict=True)))
        first, last = employment(tried, people, 60)
        return np.array([last[c] - first[c] for c in cells]) - np.array(list(implied.values()))

    start = np.log([parameters.value(id) for id in ids])
    best = least_squares(misses, start, bounds=(np.log(0.02), np.log(20)), xtol=1e-10, ftol=1e-14, gtol=1e-14)
    factors = np.exp(best.x)
    # Each change is a difference of two shares, each rounded to whole per cents.
    rounding = 0.01 / np.sqrt(6)
    errors = factors * np.sqrt(np.diag(np.linalg.pinv(best.jac) @ np.linalg.pinv(best.jac).T)) * rounding
    return Fit(
        dict(zip(ids, factors.tolist(), strict=True)),
        dict(zip(ids, errors.tolist(), strict=True)),
        dict(zip(ids, (best.fun + np.array(list(implied.values()))).tolist(), strict=True)),
        float(best.fun @ best.fun) / rounding**2,
        0,
    )


def leisure_job_shares(parameters: ParameterSet, means: list[float]) -> np.ndarray:
    """Return December shares with a leisure job: groups with normal ages of the given means (years), then 15-20."""
    reached = np.mean([side_job_path(parameters, _LAST_AGE, frailty)[1] for frailty in range(FRAILTIES)], axis=0)
    ages = np.arange(len(reached)) / 12
    weight = norm.pdf(ages[None, :], np.array(means)[:, None], parameters.value("control_age_sd"))
    groups = weight @ reached / weight.sum(axis=1)
    return np.append(groups, reached[15 * 12 : 21 * 12].mean())


def fit_side_job_starts(parameters: ParameterSet) -> Fit:
    """Fit the monthly hazards of starting a side job at three ages, by least squares weighted with standard errors.

    Targets: the control group's five event years (289 pupils each) and the share at 15-20 in 2015 (mean of women and
    men), which keeps the ages beyond the control group honest. Its threshold differs (2,000 DKK a year, not 26 hours),
    so it gets a standard error of two points. More ages would follow the noise: five knots fit exactly
    and swing from nil to two a month.
    """
    means, shares = control_path()
    published = np.append(shares, np.mean([float(rows("targets")[id]["value"]) for id in AGED_15_20]))
    errors = np.sqrt(published * (1 - published) / 289)
    errors[-1] = 0.02

    def residuals(log_hazards: np.ndarray) -> np.ndarray:
        trial = parameters.replace(dict(zip(SIDE_JOB_STARTS, np.exp(log_hazards), strict=True)))
        return (leisure_job_shares(trial, means) - published) / errors

    start = np.log([parameters.value(id) for id in SIDE_JOB_STARTS])
    best = least_squares(residuals, start, bounds=(np.log(1e-5), np.log(2.0)), xtol=1e-12, ftol=1e-12, gtol=1e-12)
    hazards = np.exp(best.x)
    spread = hazards * np.sqrt(np.diag(np.linalg.inv(best.jac.T @ best.jac)))
    return Fit(
        dict(zip(SIDE_JOB_STARTS, hazards.tolist(), strict=True)),
        dict(zip(SIDE_JOB_STARTS, spread.tolist(), strict=True)),
        dict(zip((*CONTROL_PATH, "aged_15_20"), (best.fun * errors + published).tolist(), strict=True)),
        float(best.fun @ best.fun),
        len(published) - len(SIDE_JOB_STARTS),
    )


def fit_youths(parameters: ParameterSet) -> Fit:
    """Fit the rates of the young: the optimum of their posterior, found from the values that ``parameters`` have.

    Errors and ranges are those of the normal distribution with the same curvature there, on the log scale.
    """
    block = youth_block(parameters)
    start = unconstrained(block.priors, np.array([parameters.value(id) for id in block.ids]))
    best = block.optimum(start[None])
    values = values_of(block.priors, best.z)
    low, high = (values_of(block.priors, best.z + side * 1.96 * best.errors) for side in (-1, 1))
    shares = block.read(values[None])[0]
    return Fit(
        dict(zip(block.ids, values.tolist(), strict=True)),
        dict(zip(block.ids, (values * best.errors).tolist(), strict=True)),
        {t.id: float(share) for t, share in zip(block.everything, shares, strict=True)},
        float(block.likelihood.chi_square(block.joint(values[None]))[0]),
        len(block.targets) - len(block.priors),
        dict(zip(block.ids, zip(low.tolist(), high.tolist(), strict=True), strict=True)),
    )


_CARD = re.compile(r"(- \{id: (\w+), value: )[^,]+(, unit: (\w+), .*range: \[)[^]]+(\].*)")
"""A line that holds a card: what stands before the value, the id, up to the range, the unit, and the rest."""


def _write(fits: Sequence[Fit], path: Path) -> None:
    """Renew value and range of the fitted cards; the range is the 95 % interval widened by the misfit.

    A card is a line, and everything else on it stays as it is.
    """
    fit_of = {id: fit for fit in fits for id in fit.values}
    lines = path.read_text(encoding="utf-8").splitlines()
    for at, line in enumerate(lines):
        card = _CARD.fullmatch(line)
        if card and card[2] in fit_of:
            fit, unit = fit_of[card[2]], UNITS[card[4]]
            value, reach = fit.values[card[2]], 1.96 * fit.errors[card[2]] * fit.strain
            ends = fit.ranges.get(card[2], (value - reach, value + reach))
            low, high = (float(f"{np.clip(end, unit.lowest, unit.highest):.3g}") for end in ends)
            lines[at] = f"{card[1]}{float(f'{value:.8g}')}{card[3]}{low}, {high}{card[5]}"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def fit_all(parameters: ParameterSet) -> tuple[list[Fit], float]:
    """Fit core rates, job loss and the activation constant in turn until they agree.

    Each fit holds the others' values. Return the last fits in that order, and the largest difference of a share that
    switching usual activation on or off leaves.
    """
    for _ in range(_ROUNDS):
        core = fit_core_rates(parameters)
        found = parameters.replace(core.values)
        factor, left = fit_activation(found)
        found = found.replace({"activation_exit_factor": factor})
        work = fit_employment(found)
        found = found.replace(work.values)
        change = max(abs(found.value(id) / parameters.value(id) - 1) for id in found if parameters.value(id))
        parameters = found
        if change < 1e-7:
            break
    else:
        raise RuntimeError(f"the fits do not agree after {_ROUNDS} rounds: the last changed a value by {change:.1e}")
    constant = Fit({"activation_exit_factor": factor}, {"activation_exit_factor": factor / 10}, {}, 0.0, 0)
    return [core, work, constant], left


def _print(parameters: ParameterSet, fits: Sequence[Fit]) -> None:
    for fit in fits:
        for id, value in fit.values.items():
            print(f"{id:45s} {value:9.6f} {parameters[id].unit:10s} s.e. {fit.errors[id]:.6f}")


def main(arguments: Sequence[str]) -> None:
    """Print the fits of the structures named, or of all; with ``--write`` renew their parameter sets.

    Raises ``ParameterError`` for an unknown structure.
    """
    names = [name for name in arguments if name != "--write"] or list(STRUCTURES)
    unknown = [name for name in names if name not in STRUCTURES]
    if unknown:
        allowed = ", ".join(STRUCTURES)
        raise ParameterError(
            [
                Problem(
                    "choice",
                    key="structure",
                    values={"value": name, "allowed": allowed},
                    nearest=nearest(name, STRUCTURES),
                )
                for name in unknown
            ]
        )
    targets = Targets.read()
    young = fit_youths(ParameterSet.read("history"))
    print("\nthe young, in all structures")
    _print(ParameterSet.read("history"), [young])
    print(f"chi-square of their shares: {young.chi_square:.1f} on {young.freedom} degrees of freedom")
    for young_target in youth_targets():
        id, share = young_target.id, young.shares[young_target.id]
        print(f"{young_target.role:8s} {id} published {young_target.published:.3f} fitted {share:.4f}")
    if "--write" in arguments:
        _write([young], PARAMETER_SETS / "common.yaml")
    for name in names:
        parameters, structure = ParameterSet.read(name).replace(young.values), STRUCTURES[name]
        fits, left = fit_all(parameters)
        core = fits[0]
        print(f"\n{name}: {structure.story_en} {len(structure.fitted)} free")
        _print(parameters, fits)
        print(f"chi-square of the 12 shares: {core.chi_square:.1f} on {core.freedom} degrees of freedom")
        for t in (*targets.fit, *targets.shown):
            miss = core.shares[t.id] - t.published
            print(f"{t.id:50s} published {t.published:.3f} fitted {core.shares[t.id]:.4f} miss {miss:+.4f}")
        print(f"usual activation on or off: the shares differ by at most {left:.4f}")
        for (sex, origin), change in implied_change().items():
            print(f"employment at 25-50 over 2011-2016, {sex} {origin}: {change:+.4f} implied and fitted")
        if "--write" in arguments:
            _write(fits, PARAMETER_SETS / f"{name}.yaml")
    side = fit_side_job_starts(ParameterSet.read(names[0]))
    print("\nstarting hazards of side jobs, in all structures")
    _print(ParameterSet.read(names[0]), [side])
    for id, share in side.shares.items():
        print(f"{id:60s} fitted {share:.4f}")
    print(f"chi-square of the leisure-job shares: {side.chi_square:.1f} on {side.freedom} degrees of freedom")
    if "--write" in arguments:
        _write([side], PARAMETER_SETS / "common.yaml")


if __name__ == "__main__":
    main(sys.argv[1:])

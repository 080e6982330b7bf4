"""The provisional fit of structure *history*: a point by least squares on the exact chain.

Seven core rates are fitted to the 12 printed shares of the 2011 cohorts; a constant makes usual activation neutral on
them; factors on job loss to the change of employment over 2011-2016; the starting hazards of side jobs to the
leisure-job shares of the published control group. ``python -m calibration.calibrate`` prints the fit; ``--write``
renews the shipped parameter set.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import norm

from sim.chain import N_EXPANDED, PHASE_OF, STATE_OF, Chain, side_job_path
from sim.measures import BENEFIT_GROUPS, COHORTS, counted_as
from sim.parameters import WITHOUT_ACTIVATION, ParameterSet
from sim.population import REFERENCE
from sim.recipe import Persons, recipe
from sim.scenario import month_number
from sim.sources import PARAMETER_SETS, Target, rows
from sim.states import CODE, ORIGINS, PHASE_CODE, PHASES, SEXES
from sim.transitions import AGE_CLASS, FRAILTIES

from .targets import AGED_15_20, CONTROL_PATH, Targets, control_path

START = "2011-12"
CORE_RATES = (
    "rate_job_ready_to_activity_ready",
    "rate_job_ready_to_no_benefit",
    "rate_job_ready_to_other_benefit",
    "rate_activity_ready_to_job_ready",
    "rate_activity_ready_to_no_benefit",
    "rate_activity_ready_to_other_benefit",
    "rate_newly_activity_ready_to_job_ready",
)
SIDE_JOB_STARTS = tuple(f"side_job_start_age_{age}" for age in ("11_9", "15_9", "17_0"))
_AGE = np.array(30 * 12)
"""Any age from 25 to 59 gives the same flows: adults differ by age in death alone."""
COHORT_PERSONS = 14_892
_ROUNDS = 20
_LAST_AGE = 25


@dataclass(frozen=True)
class Fit:
    """Fitted values by parameter id with standard errors, the fitted shares by target id, and how well they fit.

    ``chi_square`` is that of the targets under their sampling and rounding error, with ``freedom`` degrees.
    """

    values: dict[str, float]
    errors: dict[str, float]
    shares: dict[str, float]
    chi_square: float
    freedom: int

    @property
    def strain(self) -> float:
        """How much wider than the data alone the errors are: the root of chi-square over its degrees, at least 1."""
        return max(1.0, (self.chi_square / self.freedom) ** 0.5) if self.freedom else 1.0


def cohort_weights(parameters: ParameterSet) -> np.ndarray:
    """Return who the cohorts are: shares of sex and origin in each, shape (cohorts, sexes, origins)."""
    people = recipe("cohorts_2011", parameters).first(COHORT_PERSONS)
    shape = (len(COHORTS), len(SEXES), len(ORIGINS))
    cohort = (people.state == CODE["activity_ready"]).astype(np.int64)
    codes = np.ravel_multi_index((cohort, people.sex, people.origin), shape)
    counts = np.bincount(codes, minlength=int(np.prod(shape))).reshape(shape)
    return counts / counts.sum(axis=(1, 2), keepdims=True)


def cohort_shares(parameters: ParameterSet, weights: np.ndarray) -> np.ndarray:
    """Return joint shares of each cohort, shape (cohorts, groups 2013, groups 2016), exactly.

    Groups are those of Figure 4.13, in the order of ``sim.measures.BENEFIT_GROUPS``; ``weights`` are those of
    :func:`cohort_weights`. The dead are left out, who die alike in all groups.
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


def _share(joint: np.ndarray, target: Target) -> float:
    mine = joint[COHORTS.index(target.group)].sum(axis=1 if target.month == "2013-12" else 0)
    groups = list(BENEFIT_GROUPS)
    if target.measure == "cash_benefit":
        return float(mine[groups.index("job_ready")] + mine[groups.index("activity_ready")])
    return float(mine[groups.index(target.measure)])


def _covariance(joint: np.ndarray, targets: tuple[Target, ...]) -> np.ndarray:
    """Return the sampling covariance of the published shares plus the variance their rounding adds."""
    groups = list(BENEFIT_GROUPS)
    out = np.diag([(t.high - t.low) ** 2 / 12 for t in targets])
    for i, a in enumerate(targets):
        for j, b in enumerate(targets):
            if a.group != b.group:
                continue
            table = joint[COHORTS.index(a.group)]
            if a.month == b.month:
                together = _share(joint, a) if a.measure == b.measure else 0.0
            else:
                first, second = (a, b) if a.month < b.month else (b, a)
                together = table[groups.index(first.measure), groups.index(second.measure)]
            out[i, j] += (together - _share(joint, a) * _share(joint, b)) / a.n
    return out


def fit_core_rates(parameters: ParameterSet, targets: Targets | None = None) -> Fit:
    """Fit the seven core rates by least squares to the 12 printed shares, everything else held by its card.

    Standard errors are those of least squares under the shares' sampling and rounding error; they hold only as far as
    the structure and the fixed cards are right. Chi-square is taken from the middle of what each rounding leaves open.
    """
    targets = targets or Targets.read()
    weights = cohort_weights(parameters)
    published = np.array([t.published for t in targets.fit])

    def residuals(log_rates: np.ndarray) -> np.ndarray:
        joint = cohort_shares(parameters.replace(dict(zip(CORE_RATES, np.exp(log_rates), strict=True))), weights)
        return np.array([_share(joint, t) for t in targets.fit]) - published

    start = np.log([parameters.value(id) for id in CORE_RATES])
    best = least_squares(residuals, start, xtol=1e-12, ftol=1e-12, gtol=1e-12)
    rates = np.exp(best.x)
    joint = cohort_shares(parameters.replace(dict(zip(CORE_RATES, rates, strict=True))), weights)
    pull = np.linalg.pinv(best.jac)
    covariance = _covariance(joint, targets.fit)
    miss = np.array([_share(joint, t) - t.centre for t in targets.fit])
    errors = rates * np.sqrt(np.diag(pull @ covariance @ pull.T))
    return Fit(
        dict(zip(CORE_RATES, rates.tolist(), strict=True)),
        dict(zip(CORE_RATES, errors.tolist(), strict=True)),
        {t.id: _share(joint, t) for t in (*targets.fit, *targets.shown)},
        float(miss @ np.linalg.solve(covariance, miss)),
        len(targets.fit) - len(CORE_RATES),
    )


def without_usual_activation(parameters: ParameterSet) -> ParameterSet:
    """Return the parameters with nobody in usual activation and no constant that makes up for it."""
    return parameters.replace(WITHOUT_ACTIVATION)


def fit_activation(parameters: ParameterSet) -> tuple[float, float]:
    """Return the constant on exits outside activation that leaves the cohorts' shares as without activation.

    Least squares on the chain over all groups and both dates; also the largest difference of a share that is left.
    """
    weights = cohort_weights(parameters)
    without = cohort_shares(without_usual_activation(parameters), weights)

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


def implied_change() -> dict[tuple[str, str], float]:
    """Return the change of the employed share at 25-50 over 2011-2016 that Figure 4.11 implies, by sex and origin.

    Women's rows are of 2009 and 2016, taken as a straight line; men's share is printed as one level for all years.
    """
    found = rows("targets")
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


def _write(fits: list[Fit], path: Path) -> None:
    """Renew value and range of the fitted cards; the range is the 95 % interval widened by the misfit."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 10_000
    content = yaml.load(path)
    for fit in fits:
        for card in content["parameters"]:
            if card["id"] in fit.values:
                value, error = fit.values[card["id"]], fit.errors[card["id"]] * fit.strain
                card["value"] = float(f"{value:.8g}")
                card["range"][0] = float(f"{max(value - 1.96 * error, 0):.3g}")
                card["range"][1] = float(f"{value + 1.96 * error:.3g}")
    yaml.dump(content, path)


def fit_all(parameters: ParameterSet) -> tuple[list[Fit], float]:
    """Fit core rates, the activation constant, job loss and side jobs in turn until they agree.

    Each fit holds the others' values. Return the last fits, core rates first, and the largest difference of a share
    that switching usual activation on or off leaves.
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
    return [core, work, constant, fit_side_job_starts(parameters)], left


def main(arguments: list[str]) -> None:
    """Print the fit of the shipped structure; with ``--write`` renew its parameter set."""
    parameters = ParameterSet.read("history")
    targets = Targets.read()
    fits, left = fit_all(parameters)
    core, _, _, side = fits
    for fit in fits:
        for id, value in fit.values.items():
            print(f"{id:45s} {value:9.6f} {parameters[id].unit:10s} s.e. {fit.errors[id]:.6f}")
    print(f"chi-square of the 12 shares: {core.chi_square:.1f} on {core.freedom} degrees of freedom")
    for target in (*targets.fit, *targets.shown):
        miss = core.shares[target.id] - target.published
        print(f"{target.id:50s} published {target.published:.3f} fitted {core.shares[target.id]:.4f} miss {miss:+.4f}")
    print(f"usual activation on or off: the shares differ by at most {left:.4f}")
    for (sex, origin), change in implied_change().items():
        print(f"employment at 25-50 over 2011-2016, {sex} {origin}: {change:+.4f} implied and fitted")
    for id, share in side.shares.items():
        print(f"{id:60s} fitted {share:.4f}")
    print(f"chi-square of the leisure-job shares: {side.chi_square:.1f} on {side.freedom} degrees of freedom")
    if "--write" in arguments:
        _write(fits, PARAMETER_SETS / "history.yaml")


if __name__ == "__main__":
    main(sys.argv[1:])

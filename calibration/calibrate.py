"""The provisional fit of structure *history*: a point by least squares on the exact chain.

Seven core rates are fitted to the 12 printed shares of the 2011 cohorts; the starting hazards of side jobs to the
leisure-job shares of the published control group. ``python -m calibration.calibrate``
prints the fit; ``--write`` renews the shipped parameter set.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import norm

from sim.activities import catalogue
from sim.chain import FIRST, N_EXPANDED, STATE_OF, Chain, side_job_path
from sim.measures import BENEFIT_GROUPS, COHORTS
from sim.parameters import ParameterSet
from sim.scenario import month_number
from sim.sources import PARAMETER_SETS, Target, rows
from sim.states import CODE

from . import effects
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
_AGE = 30 * 12
"""Any age of the class 25-66 gives the same chain; the cohorts stay in it for the whole horizon."""
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
        return max(1.0, (self.chi_square / self.freedom) ** 0.5)


def cohort_shares(parameters: ParameterSet) -> np.ndarray:
    """Return joint shares of each cohort, shape (cohorts, groups 2013, groups 2016), exactly.

    Groups are those of Figure 4.13, in the order of ``sim.measures.BENEFIT_GROUPS``.
    """
    chain = Chain(parameters, month_number(START))
    mid, last = (month_number(m) - month_number(START) for m in ("2013-12", "2016-12"))
    member = np.array([np.isin(STATE_OF, [CODE[s] for s in states]) for states in BENEFIT_GROUPS.values()])
    p = np.zeros((len(COHORTS), N_EXPANDED))
    for cohort, state in enumerate(("job_ready", "activity_ready")):
        p[cohort, FIRST[CODE[state]]] = 1
    for month in range(1, mid + 1):
        p = chain.step(p, month, _AGE)
    split = (p[:, None, :] * member).reshape(-1, N_EXPANDED)
    for month in range(mid + 1, last + 1):
        split = chain.step(split, month, _AGE)
    return (split @ member.T).reshape(len(COHORTS), len(member), len(member))


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
    published = np.array([t.published for t in targets.fit])

    def residuals(log_rates: np.ndarray) -> np.ndarray:
        joint = cohort_shares(parameters.replace(dict(zip(CORE_RATES, np.exp(log_rates), strict=True))))
        return np.array([_share(joint, t) for t in targets.fit]) - published

    start = np.log([parameters.value(id) for id in CORE_RATES])
    best = least_squares(residuals, start, xtol=1e-12, ftol=1e-12, gtol=1e-12)
    rates = np.exp(best.x)
    joint = cohort_shares(parameters.replace(dict(zip(CORE_RATES, rates, strict=True))))
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


def leisure_job_shares(parameters: ParameterSet, means: list[float]) -> np.ndarray:
    """Return December shares with a leisure job: groups with normal ages of the given means (years), then 15-20."""
    _, reached = side_job_path(parameters, _LAST_AGE)
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


def main(arguments: list[str]) -> None:
    """Print the fit of the shipped structure; with ``--write`` renew its parameter set."""
    parameters = ParameterSet.read("history")
    targets = Targets.read()
    core, side = fit_core_rates(parameters, targets), fit_side_job_starts(parameters)
    for fit in (core, side):
        for id, value in fit.values.items():
            print(f"{id:45s} {100 * value:8.4f} % a month  s.e. {100 * fit.errors[id]:.4f}")
    print(f"chi-square of the 12 shares: {core.chi_square:.1f} on {core.freedom} degrees of freedom")
    for target in (*targets.fit, *targets.shown):
        miss = core.shares[target.id] - target.published
        print(f"{target.id:50s} published {target.published:.3f} fitted {core.shares[target.id]:.4f} miss {miss:+.4f}")
    for id, share in side.shares.items():
        print(f"{id:60s} fitted {share:.4f}")
    print(f"chi-square of the leisure-job shares: {side.chi_square:.1f} on {side.freedom} degrees of freedom")
    cards = {id: card.value for id, card in catalogue()["leisure_job"].parameters.items()}
    found = effects.leisure_job_shares(parameters, cards).odds_ratios
    for year, ratio, published in zip(
        ("start year", "year after"), found, effects.published_odds_ratios(), strict=True
    ):
        print(f"odds ratio of a leisure job, {year}: published {published:.3f}, same people in the model {ratio:.3f}")
    if "--write" in arguments:
        _write([core, side], PARAMETER_SETS / "history.yaml")


if __name__ == "__main__":
    main(sys.argv[1:])

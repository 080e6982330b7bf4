"""Network mothers: the measured effect on women's education as draws, and the published null on work.

The source compares 95 network mothers with matched controls: odds ratios of being in upper-secondary or higher
education of 1.80 in the start year and 1.97 the year after, neither significant, the parallel trend rejected three
years before the start: a tendency (grade B). Odds ratios of work and of transfer income are "very close to 1", not
significant and not printed: no effect on work is drawn. An odds ratio is not a hazard ratio, so each draw is solved for
what the hazard of starting education is multiplied by, in the start year and in the year after it.

The hazards are the model's own, on the exact chain, for women of 18-22 who are in neither work nor education at the
start, because only the young have a fitted rate of going back. The source's women are 37 on average and a tenth of them
are in education before; that the ratio of hazards is the same at their age is an assumption (grade D).
The activity ``network_mothers`` uses the start year's middle; ``python -m calibration.network_mothers`` renews the
table of draws.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from scipy.interpolate import PchipInterpolator, RectBivariateSpline

from sim.chain import N_EXPANDED, STATE_OF, Chain
from sim.parameters import ParameterSet
from sim.scenario import month_number
from sim.sources import PARAMETER_SETS
from sim.states import CODE, ORIGINS, PHASE_CODE, SEXES
from sim.transitions import AGE_CLASS

from .effect_draws import Published, log_odds_ratios
from .samplers.seeds import generator

TABLE: Final = PARAMETER_SETS / "network_mothers.effects.csv"
"""The draws for every correlation; its first line says what they were made from."""
RATE: Final = "rate_youth_self_supporting_to_in_education_women"
PUBLISHED: Final = ("annex7_4_interaction_start_year_adjusted", "annex7_4_interaction_start_year_plus_1_adjusted")
NULL_ON_WORK: Final = "sec5_4_4_network_mothers_employment"
"""Evidence of the null: the hazard of work is multiplied by 1 in every draw."""
CORRELATIONS: Final = (0.0, 0.5, 0.9)
DRAWN: Final = 2000
START: Final = "2013-12"
"""Controls begin in 2014, so this is the December before."""
AGES: Final = range(18, 23)
"""Ages (years) in START; two years later all are below 25."""
_LOG: Final = np.linspace(-6.0, 5.0, 12)
"""Logs of what the hazard is multiplied by, for which shares are computed."""
_HALVINGS: Final = 50


class Education:
    """Shares of women in education a year and two years after the start, as functions of two log multipliers.

    The first year's share follows from the first alone; the controls' multipliers are 1.
    """

    def __init__(self, parameters: ParameterSet) -> None:
        first, second = _shares(parameters)
        self.first = PchipInterpolator(_LOG, _logit(first))
        self.second = RectBivariateSpline(_LOG, _LOG, _logit(second))

    def log_odds_ratios(self, during: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Return log odds ratios against the controls, shape (draws, 2), of log hazard ratios in each year."""
        first = self.first(during) - self.first(0.0)
        second = self.second.ev(during, after) - self.second.ev(0.0, 0.0)
        return np.stack([first, second], axis=1)

    def solve(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return log hazard ratios that give the log odds ratios ``wanted``, shape (draws, 2), and which are met.

        A small odds ratio of the year after cannot follow a large one of the start year while those who began go on.
        Then the year after's hazard ratio is at the end of the grid.
        """
        during, met_first = _solved(lambda x: self.first(x), wanted[:, 0] + self.first(0.0))
        level = wanted[:, 1] + self.second.ev(0.0, 0.0)
        after, met_second = _solved(lambda x: self.second.ev(during, x), level)
        return np.stack([during, after], axis=1), met_first & met_second


def _solved(rising, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[no-untyped-def]
    """Return where a ``rising`` function is ``wanted``, by halving, and whether it is so inside the grid."""
    low, high = np.full(len(wanted), _LOG[0]), np.full(len(wanted), _LOG[-1])
    met = (rising(low) <= wanted) & (rising(high) >= wanted)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = rising(middle) >= wanted
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2, met


def _logit(share: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(share / (1 - share)))


def _shares(parameters: ParameterSet) -> tuple[np.ndarray, np.ndarray]:
    """Return shares in education after a year (multipliers,) and after two (multipliers, multipliers).

    Ages and origins count alike.
    """
    start = month_number(START)
    chains = [Chain(parameters.replace({RATE: parameters.value(RATE) * float(np.exp(m))}), start) for m in _LOG]
    origin = np.tile(np.arange(len(ORIGINS)), len(AGES))
    age = np.repeat(np.array(AGES) * 12 + 6, len(ORIGINS))
    sex = np.full(len(age), SEXES.index("women"))
    p = np.zeros((len(age), N_EXPANDED))
    for at, (of_age, woman, block) in enumerate(
        zip(AGE_CLASS[age].tolist(), sex.tolist(), origin.tolist(), strict=True)
    ):
        p[at] = chains[0].started(PHASE_CODE["self_supporting"], of_age, woman, block)
    student, gone = CODE["in_education"] == STATE_OF, CODE["gone"] == STATE_OF

    def lived(p: np.ndarray, chain: Chain, months: range) -> np.ndarray:
        times = len(p) // len(age)
        for month in months:
            p = chain.step(p, month, np.tile(age, times), np.tile(sex, times), np.tile(origin, times))
        return p

    def share(p: np.ndarray) -> np.ndarray:
        people = p.reshape(-1, len(age), N_EXPANDED).mean(axis=1)
        return np.asarray(people[:, student].sum(axis=1) / people[:, ~gone].sum(axis=1))

    after_one = np.concatenate([lived(p, chain, range(1, 13)) for chain in chains])
    after_two = [share(lived(after_one, chain, range(13, 25))) for chain in chains]
    return share(after_one), np.stack(after_two, axis=1)


def draw(education: Education, correlation: float, number: int = DRAWN, seed: int = 1) -> pd.DataFrame:
    """Return ``number`` draws of both odds ratios with ``correlation`` of their logs, and the hazard ratios they mean.

    Logs of the odds ratios are normal with the printed error over the odds ratio as standard deviation. Columns: draw,
    ``odds_ratio_start_year`` and ``_year_after``, ``log_hazard_ratio_during`` and ``_after`` of starting education, and
    ``met``: whether both odds ratios can be given back.
    """
    normal = generator(seed, "network_mothers").standard_normal((number, 2))
    wanted = log_odds_ratios(Published.read(PUBLISHED), correlation, normal)
    effects, met = education.solve(wanted)
    return pd.DataFrame(
        {
            "draw": np.arange(number),
            "odds_ratio_start_year": np.exp(wanted[:, 0]),
            "odds_ratio_year_after": np.exp(wanted[:, 1]),
            "log_hazard_ratio_during": effects[:, 0],
            "log_hazard_ratio_after": effects[:, 1],
            "met": met,
        }
    )


def shipped() -> pd.DataFrame:
    """Return the shipped draws: the columns of :func:`draw` after one that names the correlation."""
    return pd.read_csv(TABLE, comment="#")


def main() -> None:
    """Renew the table of draws and print what they are."""
    parameters = ParameterSet.read("history")
    education = Education(parameters)
    tables = []
    for correlation in CORRELATIONS:
        found = draw(education, correlation)
        tables.append(found.assign(correlation=correlation)[["correlation", *found.columns]])
        print(f"correlation {correlation}: both odds ratios met in {found['met'].mean():.0%} of the draws")
        for name in ("during", "after"):
            low, middle, high = np.exp(found[f"log_hazard_ratio_{name}"].quantile([0.05, 0.5, 0.95]))
            print(f"  start of education, {name:6s} hazard times {middle:.2f} (5 % {low:.2f}, 95 % {high:.2f})")
    made = (
        f"# {' '.join(PUBLISHED)}; null on work: {NULL_ON_WORK}; parameter set {parameters.digest}; grade B; seed 1\n"
    )
    table = pd.concat(tables).to_csv(index=False, float_format="%.5g", lineterminator="\n")
    TABLE.write_text(made + table, encoding="utf-8")


if __name__ == "__main__":
    main()

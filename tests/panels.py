"""Five designs of simulated panels with known rates: what the estimator must give back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from calibration import PanelFit, fit_panel, simulate_panel

Move = tuple[str, str]


@dataclass(frozen=True)
class Design:
    """A true model with the people and visits of one data set, and how it is fitted."""

    rates: Mapping[Move, Any]
    start: Mapping[str, float]
    persons: int
    visits: int
    gap: tuple[float, ...]
    effects: Mapping[tuple[str, Move], float] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def panel(self, seed: int) -> pd.DataFrame:
        """Return a data set; visits are independent of the states."""
        luck = np.random.default_rng([seed, self.persons])
        gaps = luck.choice(self.gap, (self.persons, self.visits - 1))
        times = np.concatenate([np.zeros((self.persons, 1)), gaps.cumsum(axis=1)], axis=1)
        frame = pd.DataFrame({"person": np.repeat(np.arange(self.persons), self.visits), "time": times.ravel()})
        for name in dict.fromkeys(name for name, _ in self.effects):
            frame[name] = np.repeat(luck.integers(0, 2, self.persons), self.visits) - 0.5
        known = {name: self.options[name] for name in ("cuts", "exact") if name in self.options}
        return simulate_panel(self.rates, frame, start=self.start, effects=self.effects, seed=seed, **known)

    def fit(self, seed: int) -> PanelFit:
        """Return the fit of a data set."""
        return fit_panel(self.panel(seed), list(self.rates), starts=1, **self.options)

    def truth(self, fit: PanelFit) -> np.ndarray:
        """Return the true parameters in the order of ``fit.estimates``: logs of rates at its means, and of ratios."""
        found = np.full(fit.model.size, np.nan)
        at = fit.means
        for m, (move, rate) in enumerate(self.rates.items()):
            shift = sum(value * at[name] for (name, its), value in self.effects.items() if its == move)
            found[fit.model.base[m]] = np.log(np.broadcast_to(rate, (fit.model.periods,))) + shift
            for (name, its), value in self.effects.items():
                if its == move:
                    found[fit.model.effect[fit.model.covariates.index(name), m]] = value
        assert not np.isnan(found).any()
        return found


AGED = [("well", "ill"), ("ill", "worse")]
DESIGNS: Mapping[str, Design] = {
    "progressive": Design(
        {("well", "ill"): 0.3, ("ill", "worse"): 0.25, ("worse", "dead"): 0.4},
        {"well": 0.6, "ill": 0.4},
        400,
        6,
        (0.5, 1.0, 1.5),
    ),
    "recurrent": Design(
        {("in", "out"): 0.5, ("out", "in"): 0.3, ("out", "away"): 0.2, ("away", "out"): 0.4},
        {"in": 0.5, "out": 0.3, "away": 0.2},
        300,
        8,
        (0.5, 1.0, 2.0),
    ),
    "exact": Design(
        {("well", "ill"): 0.4, ("ill", "well"): 0.3, ("well", "dead"): 0.1, ("ill", "dead"): 0.25},
        {"well": 0.7, "ill": 0.3},
        400,
        7,
        (0.5, 1.0, 1.5),
        options={"exact": ["dead"]},
    ),
    "covariates": Design(
        {("well", "ill"): 0.4, ("ill", "well"): 0.3, ("ill", "worse"): 0.25, ("worse", "ill"): 0.2},
        {"well": 0.5, "ill": 0.3, "worse": 0.2},
        500,
        7,
        (0.5, 1.0, 1.5),
        {
            ("old", ("well", "ill")): 0.5,
            ("old", ("ill", "worse")): 0.5,
            ("woman", ("well", "ill")): -0.4,
            ("woman", ("ill", "well")): 0.3,
        },
        {
            "covariates": {"old": AGED, "woman": [("well", "ill"), ("ill", "well")]},
            "constrain": {"old": "all"},
        },
    ),
    "periods": Design(
        {("in", "out"): [0.5, 0.25], ("out", "in"): [0.3, 0.45], ("out", "gone"): [0.1, 0.1]},
        {"in": 0.6, "out": 0.4},
        500,
        7,
        (0.5, 1.0, 1.5),
        options={"cuts": [3.0], "constrain": {"cuts": [("out", "gone")]}},
    ),
}


def standardised_errors(design: Design, sets: int, first: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return (estimate - truth) over the standard error in each data set (sets, parameters), and whether the truth is
    inside its 95 % interval."""
    rows = []
    for seed in range(first, first + sets):
        fit = design.fit(seed)
        estimates = fit.estimates
        assert estimates["identified"].all()
        rows.append((np.log(estimates["estimate"].to_numpy()) - design.truth(fit)) / estimates["se"].to_numpy())
    z = np.array(rows)
    return z, np.abs(z) < 1.959964

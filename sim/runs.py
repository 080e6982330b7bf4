"""The runs of a result side by side: what is told, by draw of the parameters and replicate, and its analysis."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from .measures import MEASURES
from .variance import INTERVALS, POOLED, crossed, percentiles

KEYS = ["view", "measure", "month", "group_by", "group"]
"""What tells one number of a scenario from another."""
_ORDER = ["view", "month", "measure", "group_by", "group"]
"""The order they are told in."""


class Runs:
    """The outcomes of all scenarios, one row for every combination of ``KEYS``, one column a run.

    ``keys`` has the rows; ``draws`` and ``replicates`` number the runs, ``structures`` names that of every draw.
    """

    def __init__(self, outcomes: pd.DataFrame) -> None:
        code = np.zeros(len(outcomes), dtype=np.int64)
        for name in _ORDER:
            codes, names = pd.factorize(outcomes[name])
            code = code * len(names) + codes
        _, first, self._row = np.unique(code, return_index=True, return_inverse=True)
        self.keys = outcomes.iloc[first][KEYS].reset_index(drop=True)
        self.draws, at, self._draw = np.unique(outcomes["draw"], return_index=True, return_inverse=True)
        self.structures = outcomes["structure"].iloc[at].tolist()
        self.replicates, self._replicate = np.unique(outcomes["replicate"], return_inverse=True)
        self._scenario = outcomes["scenario"].to_numpy()
        self._value = outcomes["value"].to_numpy()

    def of(self, scenario: str) -> np.ndarray:
        """Return the values of a scenario, shape (rows, draws, replicates); NaN where a group is empty."""
        mine = self._scenario == scenario
        values = np.full((len(self.keys), len(self.draws), len(self.replicates)), np.nan)
        values[self._row[mine], self._draw[mine], self._replicate[mine]] = self._value[mine]
        return values

    def analysed(self, values: np.ndarray) -> pd.DataFrame:
        """Return the analysis of ``values``, shaped as by :meth:`of`: of all structures pooled, then of each.

        Columns: ``KEYS``, structure, estimate, se, luck, parameters (variances), low and high of every interval
        (``low_luck``), p_above_zero, replicates, draws. Rows without any run in which the group is there are left out.
        """
        parts = [self._of_structure(values[:, draws]).assign(structure=name) for name, draws in self._subsets()]
        found = pd.concat([self.keys.join(part) for part in parts]).sort_index(kind="stable")
        return found[found["replicates"] > 0].reset_index(drop=True)

    def _subsets(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the draws of all structures together, where there are several, and of each."""
        names = list(dict.fromkeys(self.structures))
        if len(names) > 1:
            yield POOLED, np.arange(len(self.draws))
        for name in names:
            yield name, np.flatnonzero(np.array(self.structures) == name)

    def _of_structure(self, values: np.ndarray) -> pd.DataFrame:
        """Analyse the draws of one structure, each row over the replicates that have a value in every draw."""
        whole = ~np.isnan(values).any(axis=1)
        counted = np.array([MEASURES[measure].unit == "persons" for measure in self.keys["measure"]])
        intervals = INTERVALS if values.shape[1] > 1 else INTERVALS[:1]
        names = [f"{end}_{name}" for name in intervals for end in ("low", "high")]
        names = ["estimate", "se", "luck", "parameters", "p_above_zero", *names]
        found = {name: np.full(len(values), np.nan) for name in names}
        kinds, kind = np.unique(np.column_stack([counted, whole]), axis=0, return_inverse=True)
        for number, (persons, *there) in enumerate(kinds):
            if any(there):
                rows = np.flatnonzero(kind == number)
                runs = values[rows][:, :, there]
                analysis = crossed(runs)
                above = np.where(runs > 0, 1.0, np.where(runs == 0, 0.5, 0.0)).mean(axis=(1, 2))
                told = {"estimate": analysis.estimate, "se": analysis.se, "p_above_zero": above}
                told |= {"luck": analysis.luck, "parameters": analysis.parameters}
                for name, (low, high) in (percentiles(runs, analysis) if persons else analysis.limits).items():
                    told |= {f"low_{name}": low, f"high_{name}": high}
                for name, column in told.items():
                    found[name][rows] = column
        return pd.DataFrame({**found, "replicates": whole.sum(axis=1), "draws": values.shape[1]})


def uncertainty(outcomes: pd.DataFrame, against: str | None, months: list[str]) -> pd.DataFrame:
    """Return what luck and the parameters do to every number for everybody, of each structure and of all pooled.

    One row a scenario and number (``of`` = level), and with ``against`` one for its difference to that scenario. ``se``
    is the computing error; ``sd_luck`` is the standard deviation over areas with given parameters, ``sd_parameters``
    that over draws with luck averaged out, ``share_parameters`` the part of the two variances that is parameters;
    ``low_luck`` to ``high_both`` are the limits of each kind of interval.
    """
    runs = Runs(outcomes[outcomes["month"].isin(months) & (outcomes["group_by"] == "all")])
    parts = []
    for scenario in outcomes["scenario"].unique():
        values = runs.of(scenario)
        parts.append(runs.analysed(values).assign(scenario=scenario, of="level"))
        if against not in (None, scenario):
            parts.append(runs.analysed(values - runs.of(str(against))).assign(scenario=scenario, of="difference"))
    found = pd.concat(parts, ignore_index=True)
    whole = found["luck"] + found["parameters"]
    share = found["parameters"].div(whole.where(whole > 0))
    sd = {f"sd_{name}": np.sqrt(found[name]) for name in ("luck", "parameters")}
    return found.assign(**sd, share_parameters=share)[list(UNCERTAINTY)]


UNCERTAINTY = (
    *("scenario", "of", "view", "measure", "month", "structure", "estimate", "se"),
    *("sd_luck", "sd_parameters", "share_parameters"),
    *(f"{end}_{name}" for name in INTERVALS for end in ("low", "high")),
    *("replicates", "draws"),
)
"""Columns of :func:`uncertainty`."""

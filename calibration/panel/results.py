"""What a fit says: rates, ratios, probabilities, stays, how it fits, and how surely."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from sim.errors import InputError, Problem, ResultError, nearest

from ..samplers.seeds import generator
from .data import Columns, Panel
from .design import Model, finite, whole_numbers, written
from .identification import Notice
from .likelihood import Likelihood, likelihood_of
from .matrices import legs_of
from .patterns import together

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .agreement import Goodness
    from .profiles import Profile

FIT: Final = "fit.json"
DATA: Final = "panel.parquet"
TABLES: Final = ("rates", "ratios", "probabilities", "sojourn", "prevalence", "goodness", "starts", "warnings")
"""Names of the tables."""
DRAWS: Final = 1000
"""Draws from the normal approximation behind intervals of probabilities and stays."""
_PART: Final = 1e-6
"""Part of a rate out of a state that unidentified rates may have before the stay is not identified either."""
At = Mapping[str, float] | None


class Start(NamedTuple):
    """Where one climb ended: -2 log L, evaluations of the likelihood, whether it converged."""

    minus2loglik: float
    evaluations: int
    converged: bool


class Ratio(NamedTuple):
    """A rate ratio of one unit of a covariate with its interval; ``se`` is that of its logarithm."""

    ratio: float
    low: float
    high: float
    se: float


@dataclass(frozen=True, eq=False, repr=False)
class PanelFit:
    """A fitted model, or one evaluated at given values (``maximised`` false).

    Rates are per unit of the time column. Where nothing else is said they hold at the covariate means: means over
    intervals, that is over observations followed by another (``means``). Periods are numbered from 0, before the first
    cut. ``theta`` with ``theta_covariance`` are logs of rates at those means and of ratios of one standard deviation;
    unidentified ones have standard error inf, NaN where the curvature at given values says nothing. ``counts`` is what
    the fit was made from, with how many matrices were made by eigenvectors and by squaring. ``warnings`` say what the
    data do not tell. ``panel`` holds the observations; None in a fit that was saved without them.
    """

    model: Model
    columns: Columns
    theta: np.ndarray
    theta_covariance: np.ndarray
    theta_errors: np.ndarray
    minus2loglik: float
    starts: tuple[Start, ...]
    warnings: tuple[Notice, ...]
    counts: Mapping[str, int]
    seed: int
    maximised: bool
    panel: Panel | None

    def __repr__(self) -> str:
        states, moves = len(self.states), len(self.moves)
        return f"PanelFit({states} states, {moves} moves, -2 log L = {self.minus2loglik:.3f})"

    # --- rates and ratios

    @property
    def states(self) -> tuple[str, ...]:
        """The states, as written."""
        return self.model.states

    @property
    def moves(self) -> tuple[tuple[str, str], ...]:
        """The moves that can happen at once."""
        return self.model.moves

    @property
    def means(self) -> dict[str, float]:
        """The covariate means at which rates are given unless asked otherwise."""
        return dict(zip(self.model.covariates, self.model.means.tolist(), strict=True))

    def rate(self, a: object, b: object, at: At = None, period: int = 0) -> float:
        """Return the rate from ``a`` to ``b`` per unit of time, ``at`` covariate values (the others at their means)."""
        return float(np.exp(self._parts(a, b, at, period) @ self.theta))

    def se(self, a: object, b: object, at: At = None, period: int = 0) -> float:
        """Return the standard error of the *logarithm* of the rate; inf where it is not identified, NaN unknown."""
        return self._error(self._parts(a, b, at, period))

    def interval(
        self, a: object, b: object, at: At = None, period: int = 0, level: float = 0.95
    ) -> tuple[float, float]:
        """Return limits of the rate, symmetric on the log scale; 0 and inf where it is not identified."""
        return _limits(self.rate(a, b, at, period), self.se(a, b, at, period), level)

    def ratio(self, covariate: str, a: object, b: object, level: float = 0.95) -> Ratio:
        """Return what one more unit of ``covariate`` multiplies the rate from ``a`` to ``b`` by, with its interval.

        Raises ``InputError`` when the covariate does not act on the move.
        """
        c, m = self.model.covariate(covariate), self.model.move(a, b)
        number = self.model.effect[c, m]
        if number < 0:
            values = {"move": written(self.model.moves[m]), "name": covariate}
            raise InputError([Problem("panel_constrain_move", values=values)])
        unit = self.model.scale[number]
        found, se = float(np.exp(self.theta[number] / unit)), float(self.theta_errors[number] / unit)
        return Ratio(found, *_limits(found, se, level), se)

    def _parts(self, a: object, b: object, at: At, period: int) -> np.ndarray:
        """Return the parts of the parameters in the log of a rate, shape (parameters,)."""
        m, z = self.model.move(a, b), self.model.at(at)[0]
        found = np.zeros(self.model.size)
        found[self.model.base[m, self.model.period(period)]] = 1.0
        acting = self.model.effect[:, m] >= 0
        np.add.at(found, self.model.effect[acting, m], z[acting])
        return found

    def _error(self, parts: np.ndarray) -> float:
        mine = parts != 0
        if np.isinf(self.theta_errors[mine]).any():
            return float("inf")
        return float(np.sqrt(parts[mine] @ self.theta_covariance[np.ix_(mine, mine)] @ parts[mine]))

    @property
    def covariance(self) -> pd.DataFrame:
        """Covariance of logs of rates at the covariate means and logs of ratios of one unit; NaN where unidentified."""
        names = list(self.model.names)
        scaled = self.theta_covariance / np.outer(self.model.scale, self.model.scale)
        return pd.DataFrame(scaled, index=names, columns=names)

    @property
    def estimates(self) -> pd.DataFrame:
        """One row a parameter: ``kind`` rate or ratio, ``estimate``, ``se`` of its log, 95 % limits, ``identified``."""
        log, se = self.theta / self.model.scale, self.theta_errors / self.model.scale
        limits = [_limits(float(np.exp(one)), float(error), 0.95) for one, error in zip(log, se, strict=True)]
        return pd.DataFrame(
            {
                "parameter": self.model.names,
                "kind": np.where(np.arange(self.model.size) < self.model.rates, "rate", "ratio"),
                "estimate": np.exp(log),
                "se": se,
                "low": [low for low, _ in limits],
                "high": [high for _, high in limits],
                "identified": np.isfinite(se),
            }
        )

    @property
    def start(self) -> dict[Any, Any]:
        """The estimates as ``fit_panel`` takes them in ``start``: rates where covariates are 0, logs of ratios."""
        zero = dict.fromkeys(self.model.covariates, 0.0)
        found: dict[Any, Any] = {
            (a, b): [self.rate(a, b, zero, period) for period in range(self.model.periods)] for a, b in self.moves
        }
        for c, name in enumerate(self.model.covariates):
            for m, move in enumerate(self.moves):
                number = self.model.effect[c, m]
                if number >= 0:
                    found[name, move] = float(self.theta[number] / self.model.scale[number])
        return found

    # --- what follows from them

    def matrix(self, t: float, at: At = None, start_time: float | None = None) -> pd.DataFrame:
        """Return P(t): rows from, columns to; the time begins at ``start_time`` (without: all in the first period)."""
        found = self._matrices(self.theta[None], t, at, start_time)[0]
        return pd.DataFrame(found, index=list(self.states), columns=list(self.states))

    def probabilities(
        self, t: float = 1.0, at: At = None, start_time: float | None = None, level: float = 0.95
    ) -> pd.DataFrame:
        """Return P(t) with intervals, one row a pair of states: t, from, to, probability, low, high.

        Limits are quantiles over 1,000 draws of the parameters from their normal approximation on the log scale;
        unidentified parameters are held at their estimate there, so intervals that depend on them are too narrow.
        """
        best = self._matrices(self.theta[None], t, at, start_time)[0]
        low, high = self._spread(self._matrices(self._draws(DRAWS, self.seed), t, at, start_time), level)
        states = list(self.states)
        return pd.DataFrame(
            {
                "t": float(t),
                "from": np.repeat(states, len(states)),
                "to": np.tile(states, len(states)),
                "probability": best.ravel(),
                "low": low.ravel(),
                "high": high.ravel(),
            }
        )

    def sojourn(self, at: At = None, period: int = 0, level: float = 0.95) -> pd.DataFrame:
        """Return the mean length of a stay in each state that can be left: state, mean, low, high (limits as above).

        Limits are NaN where rates that are not identified have a part in it.
        """

        def stays(theta: np.ndarray) -> np.ndarray:
            q = self._generators(theta, at, period)
            with np.errstate(divide="ignore"):
                return np.asarray(-1 / np.einsum("iss->is", q)[:, ~self.model.absorbing])

        best = stays(self.theta[None])[0]
        low, high = self._spread(stays(self._draws(DRAWS, self.seed)), level)
        lost = np.zeros(len(self.states))
        for a, b in self.moves:
            lost[self.states.index(a)] += self.rate(a, b, at, period) * (not np.isfinite(self.se(a, b, at, period)))
        untold = lost[~self.model.absorbing] * best > _PART
        low, high = np.where(untold, np.nan, low), np.where(untold, np.nan, high)
        states = np.array(self.states)[~self.model.absorbing]
        return pd.DataFrame({"state": states, "mean": best, "low": low, "high": high})

    def _matrices(self, theta: np.ndarray, t: float, at: At, start_time: float | None) -> np.ndarray:
        """Return P(t) for each row of parameters."""
        if not np.isfinite(t) or t < 0:
            raise InputError([Problem("panel_length", key="t", values={"value": t})])
        if start_time is not None and finite(start_time) is None:
            raise InputError([Problem("panel_number", key="start_time", values={"value": start_time})])
        states = len(self.states)
        found = np.broadcast_to(np.eye(states), (len(theta), states, states))
        borders = np.array([-np.inf, *self.model.cuts, np.inf])
        # Without a time to begin at, all of it lies in the first period.
        span = np.array([0.0, t]) if start_time is None else start_time + np.array([0.0, t])
        lengths = [t] if start_time is None else np.diff(np.clip(borders, *span))
        for period, length in enumerate(lengths):
            if length > 0:
                q = self._generators(theta, at, period)
                each = np.arange(len(theta))
                found = found @ legs_of(q, each, np.full(len(theta), float(length)), self.model.reach).p
        return found

    def _generators(self, theta: np.ndarray, at: At, period: int) -> np.ndarray:
        """Return Q for each row of parameters (rows, parameters), shape (rows, states, states)."""
        parts = np.array([self._parts(a, b, at, period) for a, b in self.moves])
        with np.errstate(over="ignore"):
            return self.model.generators(theta @ parts.T)

    def _spread(self, draws: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
        if not 0 < level < 1:
            raise InputError([Problem("panel_level", key="level", values={"value": level})])
        low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
        unknown = np.isnan(self.theta_errors).all()
        return (np.full_like(low, np.nan), np.full_like(high, np.nan)) if unknown else (low, high)

    def _draws(self, n: int, seed: int) -> np.ndarray:
        """Return draws (n, parameters) from the normal approximation; what is unidentified stays at its estimate."""
        told = np.isfinite(self.theta_errors)
        found = np.tile(self.theta, (n, 1))
        if told.any():
            values, axes = np.linalg.eigh(self.theta_covariance[np.ix_(told, told)])
            luck = generator(seed, "panel_draws").standard_normal((n, int(told.sum())))
            found[:, told] += (luck * np.sqrt(np.maximum(values, 0))) @ axes.T
        return found

    def draws(self, n: int = DRAWS, seed: int = 1, at: At = None, period: int = 0) -> pd.DataFrame:
        """Return ``n`` draws of all rates from the normal approximation on the log scale, a column a move ``a → b``."""
        whole_numbers(n=(n, 1), seed=(seed, 0))
        rates = self._generators(self._draws(n, seed), at, period)[:, *self.model.ends]
        return pd.DataFrame(rates, columns=[written(move) for move in self.moves])

    # --- against the data

    @property
    def data(self) -> Panel:
        """The observations; raises ``InputError`` when the fit was saved without them."""
        if self.panel is None:
            raise InputError([Problem("panel_no_data")])
        return self.panel

    @cached_property
    def likelihood(self) -> Likelihood:
        """The likelihood of the observations, as a function of ``theta``."""
        panel = self.data
        first = panel.first
        ends = panel.time[first], panel.time[first + 1]
        return likelihood_of(self.model, *ends, panel.x[first], panel.state[first], panel.state[first + 1])

    def prevalence(self, times: Sequence[float] | None = None, method: str = "middle") -> pd.DataFrame:
        """Return how many are in each state at ``times``, observed and expected; see :func:`.agreement.prevalence`."""
        from .agreement import prevalence

        return prevalence(self, times, method)

    def goodness(self, groups: int = 4, bootstrap: int = 0, seed: int = 1) -> Goodness:
        """Return changes observed and expected, with a Pearson-type statistic; see :func:`.agreement.goodness`."""
        from .agreement import goodness

        return goodness(self, groups, bootstrap, seed)

    def profile(self, a: object, b: object, points: int = 13, period: int = 0, level: float = 0.95) -> Profile:
        """Return the profile likelihood of a rate and its interval; see :func:`.profiles.profile`."""
        from .profiles import profile

        return profile(self, a, b, points, period, level)

    def simulate(self, seed: int = 1) -> pd.DataFrame:
        """Return a new panel of the same people at the same times, as the fit says it could have come out.

        Everybody begins in the state first seen. A known moment of entry ends a person's rows; a person whose own rows
        ended so is seen at that moment when still elsewhere.
        """
        from .simulation import like_the_data

        whole_numbers(seed=(seed, 0))
        return like_the_data(self, seed)

    def parameter_draws(
        self,
        folder: Path | str,
        n: int = 400,
        seed: int = 1,
        unit: str = "year",
        structure: str = "homogeneous",
        at: At = None,
        period: int = 0,
    ) -> Path:
        """Write draws of the rates as a parameter set that simulations run; see :func:`.handover.parameter_draws`."""
        from .handover import parameter_draws

        return parameter_draws(self, Path(folder), n, seed, unit, structure, at, period)

    # --- tables, words, pictures, files

    def table(self, name: str, **options: Any) -> pd.DataFrame:
        """Return one of ``TABLES``; options are those of the method of that name."""
        makers: dict[str, Callable[..., pd.DataFrame]] = {
            "rates": self._rates,
            "ratios": self._ratios,
            "probabilities": self.probabilities,
            "sojourn": self._sojourns,
            "prevalence": self.prevalence,
            "goodness": lambda **how: self.goodness(**how).table,
            "starts": lambda: pd.DataFrame(self.starts, columns=list(Start._fields)),
            "warnings": self._warnings,
        }
        if name not in makers:
            values = {"value": name, "allowed": ", ".join(TABLES)}
            raise InputError([Problem("choice", key="table", values=values, nearest=nearest(name, TABLES))])
        return makers[name](**options)

    def _rates(self, at: At = None, level: float = 0.95) -> pd.DataFrame:
        rows = [
            {
                "from": a,
                "to": b,
                "period": period,
                "rate": self.rate(a, b, at, period),
                "se_log": self.se(a, b, at, period),
                **dict(zip(("low", "high"), self.interval(a, b, at, period, level), strict=True)),
            }
            for a, b in self.moves
            for period in range(self.model.periods)
        ]
        return pd.DataFrame(rows).assign(identified=lambda t: np.isfinite(t["se_log"]))

    def _ratios(self, level: float = 0.95) -> pd.DataFrame:
        columns = ["covariate", "from", "to", "ratio", "low", "high", "se_log", "identified"]
        rows = []
        for c, name in enumerate(self.model.covariates):
            for m, (a, b) in enumerate(self.moves):
                if self.model.effect[c, m] >= 0:
                    found = self.ratio(name, a, b, level)
                    rows.append([name, a, b, *found, bool(np.isfinite(found.se))])
        return pd.DataFrame(rows, columns=columns)

    def _sojourns(self, at: At = None, level: float = 0.95) -> pd.DataFrame:
        tables = [self.sojourn(at, period, level).assign(period=period) for period in range(self.model.periods)]
        return pd.concat(tables, ignore_index=True)

    def _warnings(self) -> pd.DataFrame:
        rows = [(one.kind, "; ".join(one.names), one.words("en"), one.words("da")) for one in self.warnings]
        return pd.DataFrame(rows, columns=["kind", "names", "text_en", "text_da"])

    def summary(self, lang: str = "en") -> str:
        """Return the fit in words and tables, as Markdown in ``lang``."""
        from .words import summary

        return summary(self, lang)

    def plot(self, kind: str = "rates", lang: str = "en", **options: Any) -> Figure:
        """Return a figure: ``rates``, ``prevalence`` or ``profile`` (with the two states of the move)."""
        from .figures import plot

        return plot(self, kind, lang, **options)

    def save(self, folder: Path | str, data: bool = False) -> list[Path]:
        """Write the fit into ``folder`` and return the files; read it again with :meth:`load`.

        The observations of single people are written only with ``data``: results may leave a register's machine where
        people may not. Without them a loaded fit cannot be held against data, profiled or simulated anew.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        written_ = [folder / FIT]
        written_[0].write_text(json.dumps(_plain(self), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        if data:
            panel = self.data
            names = pd.Series(panel.persons[panel.person]).infer_objects()
            # Words and numbers do not go in one column: the number of the person tells 7 from "7".
            names = names.map(str) if names.dtype == object else names
            frame = pd.DataFrame({"number": panel.person, "person": names, "time": panel.time, "state": panel.state})
            for c in range(panel.x.shape[1]):
                frame[f"x{c}"] = panel.x[:, c]
            frame.to_parquet(folder / DATA, index=False)
            written_.append(folder / DATA)
        return written_

    @classmethod
    def load(cls, folder: Path | str) -> PanelFit:
        """Return a saved fit; raises ``ResultError`` when there is none or it is damaged."""
        folder = Path(folder)
        try:
            held = json.loads((folder / FIT).read_text(encoding="utf-8"))
            fit = _unpacked(held)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise ResultError([Problem("panel_damaged", place=str(folder / FIT))]) from error
        if not (folder / DATA).is_file():
            return fit
        frame = pd.read_parquet(folder / DATA)
        person, first = together(frame["number"].to_numpy())
        persons = frame["person"].iloc[first].to_numpy(dtype=object)
        x = frame[[f"x{c}" for c in range(len(fit.model.covariates))]].to_numpy(dtype=float)
        panel = Panel(persons, person, frame["time"].to_numpy(), frame["state"].to_numpy(), x)
        return replace(fit, panel=panel)


def _limits(estimate: float, se: float, level: float) -> tuple[float, float]:
    """Return limits on the log scale; (0, inf) where nothing is told."""
    if not 0 < level < 1:
        raise InputError([Problem("panel_level", key="level", values={"value": level})])
    if np.isinf(se):
        return 0.0, float("inf")
    wide = float(norm.ppf((1 + level) / 2)) * se
    with np.errstate(over="ignore"):
        return float(estimate * np.exp(-wide)), float(estimate * np.exp(wide))


_ARRAYS: Final = ("base", "effect", "means", "sds")


def _plain(fit: PanelFit) -> dict[str, Any]:
    model = {name: getattr(fit.model, name) for name in ("states", "moves", "covariates", "cuts", "exact", "found")}
    return {
        "model": model | {name: getattr(fit.model, name).tolist() for name in _ARRAYS},
        "columns": {name: getattr(fit.columns, name) for name in ("person", "time", "state", "covariates")},
        **{name: _told(getattr(fit, name)) for name in ("theta", "theta_covariance", "theta_errors")},
        "minus2loglik": fit.minus2loglik,
        "starts": [list(start) for start in fit.starts],
        "warnings": [[one.kind, one.names, one.values] for one in fit.warnings],
        "counts": dict(fit.counts),
        "seed": fit.seed,
        "maximised": fit.maximised,
    }


def _told(values: np.ndarray) -> Any:
    """Return an array as lists; what is not a number is written as the word for it, which JSON has none for."""
    return [
        _told(one) if one.ndim else (float(one) if np.isfinite(one) else str(float(one)))
        for one in map(np.asarray, values)
    ]


def _unpacked(held: Mapping[str, Any]) -> PanelFit:
    model, columns = dict(held["model"]), dict(held["columns"])
    sizes = len(model["moves"]), len(model["covariates"])
    for name in ("states", "covariates", "cuts", "exact"):
        model[name] = tuple(model[name])
    model["moves"] = tuple((a, b) for a, b in model["moves"])
    model["base"] = np.array(model["base"], dtype=int).reshape(sizes[0], -1)
    model["effect"] = np.array(model["effect"], dtype=int).reshape(sizes[1], sizes[0])
    for name in ("means", "sds"):
        model[name] = np.array(model[name], dtype=float)
    return PanelFit(
        model=Model(**model),
        columns=Columns(**columns | {"covariates": tuple(columns["covariates"])}),
        **{name: np.array(held[name], dtype=float) for name in ("theta", "theta_covariance", "theta_errors")},
        minus2loglik=float(held["minus2loglik"]),
        starts=tuple(Start(*one) for one in held["starts"]),
        warnings=tuple(Notice(kind, tuple(names), dict(values)) for kind, names, values in held["warnings"]),
        counts=dict(held["counts"]),
        seed=int(held["seed"]),
        maximised=bool(held["maximised"]),
        panel=None,
    )

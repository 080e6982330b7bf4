"""Fitting: from a frame of observations to :class:`PanelFit`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd

from sim.errors import InputError, Problem

from ..samplers.seeds import generators
from . import identification
from .ascent import Gradient, Top, climb, polished
from .data import Columns, Panel, checked, read, seen_changes
from .design import (
    Model,
    Moves,
    centred,
    declare,
    label,
    numbers_of,
    read_move,
    read_moves,
    unknown_covariate,
    unknown_move,
    whole_numbers,
    written,
)
from .identification import LEAST_INFORMATION, Notice
from .likelihood import Likelihood, likelihood_of
from .results import PanelFit, Start

JITTER_RATES: Final = 0.7
"""Standard deviation of the log rates of further starts around the crude ones."""
JITTER_EFFECTS: Final = 0.3
"""The same for effects of a standard deviation of a covariate."""
_SEEN_AT_LEAST: Final = 0.5
"""Moves assumed where none were seen, so that a crude rate is never nil."""

Progress = bool | Callable[[int, int], None]


def fit_panel(
    frame: pd.DataFrame,
    moves: Moves | None = None,
    person: str = "person",
    time: str = "time",
    state: str = "state",
    covariates: Sequence[str] | Mapping[str, Moves] | None = None,
    constrain: Mapping[str, Any] | None = None,
    cuts: Sequence[float] = (),
    exact: Sequence[object] = (),
    start: Mapping[Any, Any] | None = None,
    maximise: bool = True,
    starts: int = 4,
    seed: int = 1,
    progress: Progress = False,
    *,
    place: str = "",
) -> PanelFit:
    """Fit a continuous-time Markov model to panel data: the state of people at times of their own.

    ``frame`` has a row an observation, a person's rows in the order of time (persons may be mixed). States are any
    text or whole numbers. What happens between observations is unknown; the likelihood is summed over it.

    ``moves``: pairs (from, to) that can happen at once. Without it the changes seen between successive observations,
    some of which may be passages through a third state.
    ``covariates``: columns of numbers that act on all moves, or column -> moves it acts on. The value at an
    observation holds until the next. Rates are exp(a + x·b), a by move and period, b by move.
    ``constrain``: covariate -> "all" (one effect for all its moves) or groups of moves that share one; "cuts" -> moves
    with one rate in all periods. ``cuts``: times at which rates change.
    ``exact``: absorbing states whose moment of entry is known; before it the person was alive in an unknown state. An
    entry just at a cut happened at the rates before it.
    ``start``: move -> rate per unit of time where covariates are 0 (or one a period), (covariate, move) -> log of the
    rate ratio of one unit. With ``maximise=False`` these values are evaluated and nothing is fitted.
    ``starts`` climbs are made, the first from crude rates or from ``start``, the others scattered around it by
    ``seed``. ``progress``: a bar on stderr, or a function of (starts done, of all). ``place`` is the file that problems
    name.

    Raises ``InputError`` naming every row, person, move and covariate that cannot be used; nothing is left out
    silently. Warns (:class:`PanelWarning`) of rates and effects that the data do not tell.
    """
    whole_numbers(starts=(starts, 1), seed=(seed, 0))
    columns = Columns(person, time, state, _names(covariates))
    model, panel = _prepared(frame, moves, columns, covariates, constrain, cuts, exact, place)
    first = panel.first
    interval = (panel.time[first], panel.time[first + 1], panel.x[first], panel.state[first], panel.state[first + 1])
    model = centred(model, panel.x[first])
    likelihood = likelihood_of(model, *interval)
    theta = _start(model, panel, start, maximise)
    if maximise:
        found, information = _highest(likelihood, model, panel, theta, starts, seed, progress)
    else:
        found = [Top(theta, likelihood.value(theta), np.zeros(model.size), 1, True)]
        information = -likelihood.hessian(theta)
    return _concluded(likelihood, panel, columns, found, information, seed, maximise)


def _names(covariates: Any) -> tuple[str, ...]:
    if isinstance(covariates, str):
        return (covariates,)
    return tuple(dict.fromkeys(str(name) for name in covariates or ()))


def _prepared(
    frame: pd.DataFrame,
    moves: Moves | None,
    columns: Columns,
    covariates: Any,
    constrain: Mapping[str, Any] | None,
    cuts: Sequence[float],
    exact: Sequence[object],
    place: str,
) -> tuple[Model, Panel]:
    """Return model and panel, or raise everything that is wrong with either."""
    rows, problems = read(frame, columns, place)
    found = moves is None
    if moves is not None:
        pairs, wrong = read_moves(moves)
        problems += wrong
        states = tuple(dict.fromkeys(state for pair in pairs for state in pair))
    else:
        pairs = seen_changes(rows) if rows is not None else ()
        states = tuple(sorted(rows.labels, key=_natural)) if rows is not None else ()
        if rows is not None and not pairs:
            problems.append(Problem("panel_no_changes", place))
    if pairs:
        model, wrong = declare(states, pairs, covariates, constrain, cuts, exact, found)
        problems += wrong
        if rows is not None:
            panel, wrong = checked(rows, model, columns, place)
            problems += wrong
    if problems:
        raise InputError(problems)
    return model, panel


def _natural(state: str) -> tuple[bool, float, str]:
    """Return what states are sorted by: numbers as numbers, then words."""
    return (not state.lstrip("-").isdigit(), float(state) if state.lstrip("-").isdigit() else 0.0, state)


# --- where to start


def crude(model: Model, panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """Return moves seen (moves,) and time spent at risk of each (moves,), as if nothing happened between observations.

    A change that needs several moves counts for each move of a shortest way.
    """
    first = panel.first
    r, s, t = panel.state[first], panel.state[first + 1], panel.time[first + 1] - panel.time[first]
    states = len(model.states)
    spent = np.bincount(r, t, states)
    changes = np.bincount(r * states + s, minlength=states**2).reshape(states, states)
    seen = np.zeros(len(model.moves))
    for a, b in np.argwhere(changes):
        if a != b:
            seen[_way(model, a, b)] += changes[a, b]
    risk = spent[model.ends[0]]
    return seen, np.where(risk > 0, risk, max(float(t.mean()), 1e-300))


def _way(model: Model, a: int, b: int) -> list[int]:
    """Return the moves of a shortest way from state ``a`` to ``b``."""
    ways: dict[int, list[int]] = {a: []}
    border = [a]
    while b not in ways:
        nearer: dict[int, list[int]] = {
            int(model.ends[1, m]): [*ways[state], int(m)]
            for state in border
            for m in np.flatnonzero(model.ends[0] == state)
            if int(model.ends[1, m]) not in ways
        }
        ways |= nearer
        border = list(nearer)
    return ways[b]


def _start(model: Model, panel: Panel, given: Mapping[Any, Any] | None, maximise: bool) -> np.ndarray:
    """Return where to start (parameters,): what is given, else crude rates and no effects.

    Gaps are refused when nothing will be fitted.
    """
    seen, risk = crude(model, panel)
    base = np.full(model.rates, np.nan)
    effects = np.full(model.size, np.nan)
    problems = list(_given(model, given or {}, base, effects))
    if not maximise:
        names = np.array(model.names)
        missing = np.flatnonzero(np.isnan(np.r_[base, effects[model.rates :]]))
        if len(missing):
            problems.append(Problem("panel_start_missing", key="start", values={"names": "; ".join(names[missing])}))
    if problems:
        raise InputError(problems)
    theta = np.where(np.isnan(effects), 0.0, effects) * model.scale
    ratios = np.where(model.effect >= 0, theta[model.effect], 0.0)
    shift = model.standardised(np.zeros((1, len(model.covariates))))[0] @ ratios
    rough = np.log(np.maximum(seen, _SEEN_AT_LEAST) / risk)
    for m in range(len(model.moves)):
        mine = model.base[m]
        theta[mine] = np.where(np.isnan(base[mine]), rough[m], base[mine] - shift[m])
    return theta


def _given(model: Model, given: Mapping[Any, Any], base: np.ndarray, effects: np.ndarray) -> Iterator[Problem]:
    """Write the values given into ``base`` (logs of rates) and ``effects``; yield what is wrong with them."""
    for key, value in given.items():
        if not isinstance(key, tuple) or len(key) != 2:
            yield Problem("panel_start_key", key="start", values={"value": key})
            continue
        of_effect = isinstance(key[1], tuple | list)
        if of_effect and key[0] not in model.covariates:
            yield unknown_covariate(key[0], model.covariates, "start")
            continue
        pair = read_move(key[1] if of_effect else key)
        if pair is None:
            yield Problem("panel_start_key", key="start", values={"value": key})
            continue
        if pair not in model.moves:
            yield unknown_move(pair, model.moves, "start")
            continue
        m = model.moves.index(pair)
        values = numbers_of(value)
        wanted = 1 if of_effect else model.periods
        if len(values) not in (1, wanted) or not (of_effect or (values > 0).all()):
            yield Problem(
                "panel_start_value", key="start", values={"key": _shown(key), "value": value, "number": wanted}
            )
            continue
        into, numbers = (
            (effects, model.effect[[model.covariates.index(key[0])], m]) if of_effect else (base, model.base[m])
        )
        if of_effect and numbers[0] < 0:
            yield Problem("panel_constrain_move", key="start", values={"move": written(pair), "name": key[0]})
            continue
        new = np.broadcast_to(values if of_effect else np.log(values), numbers.shape)
        held = into[numbers]
        if (np.abs(held - new) > 1e-9).any() or np.ptp(new[numbers == numbers[0]]) > 1e-9:
            yield Problem("panel_start_differs", key="start", values={"key": _shown(key)})
        into[numbers] = new


def _shown(key: tuple[Any, Any]) -> str:
    if isinstance(key[1], tuple | list):
        return f"{key[0]}: {written((label(key[1][0]), label(key[1][-1])))}"
    return written((label(key[0]), label(key[1])))


# --- the climbs


def guessed_information(model: Model, panel: Panel) -> np.ndarray:
    """Return a guess of minus the curvature (parameters,): the moves each parameter has a say in."""
    seen, _ = crude(model, panel)
    found = np.zeros(model.size)
    for m, number in enumerate(seen):
        found[model.base[m]] += number / (1 if (model.base[m] == model.base[m, 0]).all() else model.periods)
        acting = model.effect[:, m]
        found[acting[acting >= 0]] += number
    return np.maximum(found, 1.0)


def _highest(
    likelihood: Likelihood, model: Model, panel: Panel, start: np.ndarray, starts: int, seed: int, progress: Progress
) -> tuple[list[Top], np.ndarray]:
    """Return the tops of all climbs, the best first and polished, with minus the second derivatives there."""
    information = guessed_information(model, panel)
    spread = np.where(np.arange(model.size) < model.rates, JITTER_RATES, JITTER_EFFECTS)
    found = []
    with _shown_progress(progress) as advance:
        for number, luck in enumerate(generators(seed, "panel_starts", starts)):
            place = start + spread * luck.standard_normal(model.size) * (number > 0)
            found.append(climb(likelihood.gradient, place, information))
            advance(number + 1, starts)
    found.sort(key=lambda top: -top.value if np.isfinite(top.value) else np.inf)
    gradient: Gradient = likelihood.gradient
    best, information = polished(gradient, likelihood.hessian, found[0], LEAST_INFORMATION)
    return [best, *found[1:]], information


@contextmanager
def _shown_progress(progress: Progress) -> Iterator[Callable[[int, int], None]]:
    """Give a function of (done, of all): the caller's, a bar's, or one that shows nothing."""
    if callable(progress):
        yield progress
    elif progress:
        from tqdm import tqdm

        with tqdm(unit="start") as bar:

            def advance(done: int, of_all: int) -> None:
                bar.total = of_all
                bar.update(done - bar.n)

            yield advance
    else:
        yield lambda done, of_all: None


# --- what came out


def _concluded(
    likelihood: Likelihood,
    panel: Panel,
    columns: Columns,
    tops: Sequence[Top],
    information: np.ndarray,
    seed: int,
    maximise: bool,
) -> PanelFit:
    model, best = likelihood.model, tops[0]
    told = identification.told(information)
    found: list[Notice] = []
    if model.found:
        found.append(Notice("moves_seen", tuple(written(move) for move in model.moves), {}))
    if maximise:
        found += identification.notices(model, best.theta, information, likelihood.value, told)
        found += identification.of_starts([-2 * top.value for top in tops])
        if not best.converged:
            found.append(Notice("not_converged", (), {}))
    elif not np.isfinite(best.value) or identification.points_up(information):
        # Away from the optimum the curvature may point up: then nothing is said of precision.
        told = identification.nothing_told(model.size)
    identification.warn([one for one in found if one.kind != "moves_seen"])
    counts = _counts(model, panel, likelihood)
    return PanelFit(
        model=model,
        columns=columns,
        theta=best.theta,
        theta_covariance=told.covariance,
        theta_errors=told.errors,
        minus2loglik=-2 * best.value,
        starts=tuple(Start(-2 * top.value, top.evaluations, top.converged) for top in tops) if maximise else (),
        warnings=tuple(found),
        counts=counts | likelihood.ways(best.theta),
        seed=seed,
        maximised=maximise,
        panel=panel,
    )


def _counts(model: Model, panel: Panel, likelihood: Likelihood) -> dict[str, int]:
    """Return what the fit was made from, as whole numbers."""
    first = panel.first
    return {
        "persons": len(panel.persons),
        "observations": len(panel),
        "intervals": len(first),
        "changes": int((panel.state[first] != panel.state[first + 1]).sum()),
        "repeated_absorbing": len(first) - likelihood.intervals,
        "patterns": likelihood.patterns,
        "parameters": model.size,
    }


def refitted(fit: PanelFit, frame: pd.DataFrame) -> PanelFit:
    """Return the model of ``fit`` fitted to another panel of the same columns, from its estimates and with no other
    start."""
    rows, problems = read(frame, fit.columns)
    if rows is not None:
        panel, wrong = checked(rows, fit.model, fit.columns)
        problems += wrong
    if problems:
        raise InputError(problems)
    first = panel.first
    ends = panel.time[first], panel.time[first + 1]
    likelihood = likelihood_of(fit.model, *ends, panel.x[first], panel.state[first], panel.state[first + 1])
    top = climb(likelihood.gradient, fit.theta, guessed_information(fit.model, panel))
    return replace(fit, theta=top.theta, minus2loglik=-2 * top.value, panel=panel)

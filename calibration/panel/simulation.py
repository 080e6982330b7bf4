"""New panels: histories of people in continuous time, seen when the visits say.

All people move at once, one stretch of constant rates or one jump at a time, so the number of steps is that of the
longest history, not of people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from sim.errors import InputError, Problem

from ..samplers.seeds import generator
from .data import Columns, VisitRows, checked_visits
from .design import Model, Pair, declare, finite, label, numbers_of, read_move, read_moves, whole_numbers, written

if TYPE_CHECKING:
    from .results import PanelFit


MOST_MOVES: Final = 1e7
"""Highest rate times the whole time: as many steps may be needed, and at some thousand a second more take hours."""


@dataclass(frozen=True)
class Visits:
    """When people are seen: a person's rows together, times rising; ``x`` (rows, covariates) holds until the next."""

    person: np.ndarray
    time: np.ndarray
    x: np.ndarray


@dataclass(frozen=True)
class Seen:
    """What is seen: the visit ``row`` of each observation (of entries, the visit before), its moment and state."""

    row: np.ndarray
    time: np.ndarray
    state: np.ndarray


def histories(model: Model, theta: np.ndarray, visits: Visits, start: np.ndarray, luck: np.random.Generator) -> Seen:
    """Return what is seen of people who begin in ``start`` (people,) at their first visit and move by ``theta``.

    Entry into an exact state is seen at its moment, and ends what is seen of a person.
    """
    first = np.flatnonzero(np.r_[True, visits.person[1:] != visits.person[:-1]])
    last = np.r_[first[1:], len(visits.person)] - 1
    state = np.full(len(visits.person), -1)
    state[first] = start
    exact = np.isin(np.arange(len(model.states)), [model.states.index(one) for one in model.exact])
    z = model.standardised(visits.x)
    borders = np.array([*model.cuts, np.inf])
    entered: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    who = np.flatnonzero(first < last)
    row, now, here = first[who], visits.time[first[who]], np.asarray(start)[who]
    final = last[who]
    while len(row):
        period = np.searchsorted(borders, now, side="right")
        rates = np.exp(model.log_rates(theta, period, z[row])) * (model.ends[0] == here[:, None])
        summed = np.cumsum(rates, axis=1)
        whole = summed[:, -1]
        with np.errstate(divide="ignore"):
            jump = now + luck.standard_exponential(len(row)) / whole
        border = np.minimum(visits.time[row + 1], borders[period])
        chosen = luck.random(len(row)) * whole
        jumps = jump < border
        # The first move whose summed rate passes the draw; never one without a rate.
        move = np.minimum((summed <= chosen[:, None]).sum(axis=1), summed.shape[1] - 1)
        here = np.where(jumps, model.ends[1, move], here)
        now = np.where(jumps, jump, border)
        gone = jumps & exact[here]
        if gone.any():
            entered.append((row[gone], now[gone], here[gone]))
        met = ~jumps & (now >= visits.time[row + 1])
        row = row + met
        state[row[met]] = here[met]
        going = ~gone & (row < final)
        row, now, here, final = row[going], now[going], here[going], final[going]
    seen = np.flatnonzero(state >= 0)
    rows = np.concatenate([seen, *(one[0] for one in entered)])
    times = np.concatenate([visits.time[seen], *(one[1] for one in entered)])
    states = np.concatenate([state[seen], *(one[2] for one in entered)])
    order = np.lexsort((times, rows))
    return Seen(rows[order], times[order], states[order])


def simulate_panel(
    rates: Mapping[tuple[Any, Any], Any],
    visits: pd.DataFrame | Sequence[float],
    *,
    persons: int | None = None,
    start: Any = None,
    effects: Mapping[tuple[str, tuple[Any, Any]], float] | None = None,
    cuts: Sequence[float] = (),
    exact: Sequence[object] = (),
    seed: int = 1,
    person: str = "person",
    time: str = "time",
    state: str = "state",
) -> pd.DataFrame:
    """Return a made-up panel: people who move by known rates, seen at ``visits``.

    ``rates``: move -> rate per unit of time where covariates are 0, or one a period between ``cuts``. ``visits``: a
    frame with columns ``person`` and ``time`` and those of the covariates, each person's rows in the order of time; or
    times that ``persons`` people share. ``effects``: (covariate, move) -> log of the rate ratio of one unit.
    ``start``: the state everybody begins in, shares by state, or a state a person in the order of the visits (without:
    the first state of the first move). ``exact``: absorbing states whose entry is seen at its moment; it ends a
    person's rows. ``seed`` fixes everything.

    Raises ``InputError`` naming all that cannot be used.
    """
    frame = visits if isinstance(visits, pd.DataFrame) else _shared(visits, persons, person, time)
    pairs, problems = read_moves(list(rates))
    whole_numbers(seed=(seed, 0))
    given, wrong = _effects(effects)
    problems += wrong
    names = tuple(dict.fromkeys(name for name, _ in given))
    acts = {name: [move for other, move in given if other == name] for name in names}
    states = tuple(dict.fromkeys(one for pair in pairs for one in pair))
    if problems:
        raise InputError(problems)
    model, problems = declare(states, pairs, acts, None, cuts, exact)
    columns = Columns(person, time, state, names)
    read, wrong = checked_visits(frame, columns)
    problems += wrong
    theta = np.zeros(model.size)
    for m, value in enumerate(rates.values()):
        values = numbers_of(value)
        if len(values) not in (1, model.periods) or not (values >= 0).all():
            shown = {"key": written(pairs[m]), "value": value, "number": model.periods}
            problems.append(Problem("panel_start_value", key="rates", values=shown))
            continue
        with np.errstate(divide="ignore"):
            theta[model.base[m]] = np.log(np.broadcast_to(values, (model.periods,)))
    if problems or read is None:
        raise InputError(problems)
    for (name, (a, b)), value in given.items():
        theta[model.effect[model.covariate(name), model.move(a, b)]] = value
    _refuse_endless(model, theta, read)
    luck = generator(seed, "panel_simulation")
    people = int(read.person.max()) + 1
    begin = _beginnings(model, start, people, luck)
    order = np.argsort(read.person, kind="stable")
    seen = histories(model, theta, Visits(read.person[order], read.time[order], read.x[order]), begin, luck)
    held = {person: frame[person].to_numpy()[order][seen.row], time: seen.time}
    held[state] = np.array([_as_given(rates, one) for one in states], dtype=object)[seen.state]
    held |= {name: read.x[order][seen.row, c] for c, name in enumerate(names)}
    return pd.DataFrame(held).infer_objects()


def _effects(effects: Mapping[Any, Any] | None) -> tuple[dict[tuple[str, Pair], float], list[Problem]]:
    """Return effects by covariate and move, and what is wrong with them."""
    found: dict[tuple[str, Pair], float] = {}
    problems = []
    for key, value in (effects or {}).items():
        pair = read_move(key[1]) if isinstance(key, tuple) and len(key) == 2 else None
        log_ratio = finite(value)
        if pair is None:
            problems.append(Problem("panel_start_key", key="effects", values={"value": key}))
        elif log_ratio is None:
            problems.append(Problem("panel_number", key=f"effects: {key[0]}", values={"value": value}))
        else:
            found[str(key[0]), pair] = log_ratio
    return found, problems


def _refuse_endless(model: Model, theta: np.ndarray, visits: VisitRows) -> None:
    """Raise ``InputError`` when people would move so often between two visits that making it would not end."""
    with np.errstate(over="ignore", invalid="ignore"):
        z = np.nan_to_num(model.standardised(visits.x))
        most = max(
            float(np.exp(model.log_rates(theta, np.full(len(z), period), z)).max(initial=0))
            for period in range(model.periods)
        )
    span = float(np.ptp(visits.time)) if len(visits.time) else 0.0
    if most * span > MOST_MOVES:
        raise InputError([Problem("panel_endless", key="rates", values={"value": f"{most:.3g}", "span": f"{span:g}"})])


def _as_given(rates: Mapping[tuple[Any, Any], Any], state: str) -> Any:
    """Return a state as the user wrote it, a whole number where it was one."""
    return next(one for pair in rates for one in pair if label(one) == state)


def _shared(times: Sequence[float], persons: int | None, person: str, time: str) -> pd.DataFrame:
    if persons is None or persons < 1:
        raise InputError([Problem("whole_at_least", key="persons", values={"value": persons, "low": 1})])
    moments = numbers_of(times)
    if not len(moments):
        raise InputError([Problem("panel_times", key="visits", values={"value": times})])
    return pd.DataFrame({person: np.repeat(np.arange(1, persons + 1), len(moments)), time: np.tile(moments, persons)})


def _beginnings(model: Model, start: Any, people: int, luck: np.random.Generator) -> np.ndarray:
    """Return the code of the state each person begins in."""
    codes = {state: i for i, state in enumerate(model.states)}
    if isinstance(start, Mapping):
        named, shares = [label(one) for one in start], np.array(list(start.values()), dtype=float)
    elif start is None or isinstance(start, str | int | np.integer):
        named, shares = [model.states[0] if start is None else label(start)], np.ones(1)
    else:
        named, shares = [label(one) for one in start], np.ones(0)
        if len(named) != people:
            raise InputError(
                [Problem("panel_start_people", key="start", values={"given": len(named), "people": people})]
            )
    unknown = [one for one in dict.fromkeys(named) if one not in codes]
    if unknown:
        values = {"state": ", ".join(unknown), "allowed": ", ".join(codes)}
        raise InputError([Problem("panel_exact_unknown", key="start", values=values)])
    found = np.array([codes[one] for one in named])
    if not len(shares):
        return found
    if not ((shares >= 0).all() and shares.sum() > 0):
        raise InputError([Problem("panel_shares", key="start", values={"value": start})])
    upper = np.cumsum(shares) / shares.sum()
    return np.asarray(found[np.minimum(np.searchsorted(upper, luck.random(people), side="right"), len(found) - 1)])


def like_the_data(fit: PanelFit, seed: int) -> pd.DataFrame:
    """Return a new panel of the people of a fit, seen when they were."""
    panel, model = fit.data, fit.model
    first = np.flatnonzero(np.r_[True, panel.person[1:] != panel.person[:-1]])
    visits = Visits(panel.person, panel.time, panel.x)
    seen = histories(model, fit.theta, visits, panel.state[first], generator(seed, "panel_simulation"))
    columns = fit.columns
    held = {columns.person: panel.persons[panel.person[seen.row]], columns.time: seen.time}
    held[columns.state] = np.array(model.states, dtype=object)[seen.state]
    held |= {name: panel.x[seen.row, c] for c, name in enumerate(columns.covariates)}
    return pd.DataFrame(held).infer_objects()

"""What a model says: states, moves, periods, which covariate acts on which move, and the numbers of its parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

import numpy as np

from sim.errors import InputError, Problem, nearest

from .matrices import reachable

Pair = tuple[str, str]
Moves = Sequence[tuple[Any, Any]]
ARROW: Final = " → "
PERIODS_ALIKE: Final = "cuts"
"""Key of ``constrain`` that names moves whose rate is the same in all periods."""


def label(state: object) -> str:
    """Return a state as it is written: whole numbers without decimals, however the column holds them.

    >>> label(2.0), label("ill")
    ('2', 'ill')
    """
    if isinstance(state, float | np.floating) and float(state).is_integer():
        return str(int(state))
    return str(state).strip()


def finite(value: object) -> float | None:
    """Return a finite number; None when ``value`` is not one."""
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return found if np.isfinite(found) else None


def numbers_of(value: Any) -> np.ndarray:
    """Return one number or a list of them as an array; an empty one when any is not a finite number."""
    found = [finite(one) for one in (listed(value) or [value])]
    return np.array([] if None in found else found, dtype=float)


def whole_numbers(**given: tuple[object, int]) -> None:
    """Raise ``InputError`` naming every argument (value, least) that is not a whole number of at least that."""
    wrong = {
        name: {"value": value, "low": low}
        for name, (value, low) in given.items()
        if not isinstance(value, int | np.integer) or value < low
    }
    if wrong:
        raise InputError([Problem("whole_at_least", key=name, values=values) for name, values in wrong.items()])


def written(move: Pair) -> str:
    """Return a move as it is shown."""
    return ARROW.join(move)


@dataclass(frozen=True)
class Model:
    """A declared model.

    ``base`` (moves, periods) and ``effect`` (covariates, moves; -1 where a covariate does not act) are the numbers of
    the parameters: logs of rates at the covariate means, and of rate ratios for one standard deviation. ``means`` and
    ``sds`` (covariates,) put covariates on that scale; ``found`` says that the moves are those seen in the data.
    """

    states: tuple[str, ...]
    moves: tuple[Pair, ...]
    covariates: tuple[str, ...]
    cuts: tuple[float, ...]
    exact: tuple[str, ...]
    base: np.ndarray
    effect: np.ndarray
    means: np.ndarray
    sds: np.ndarray
    found: bool

    @cached_property
    def ends(self) -> np.ndarray:
        """Codes of the two states of each move, shape (2, moves)."""
        code = {state: i for i, state in enumerate(self.states)}
        return np.array([[code[a], code[b]] for a, b in self.moves]).T

    @cached_property
    def reach(self) -> np.ndarray:
        """Which state can be reached from which, shape (states, states)."""
        allowed = np.zeros((len(self.states), len(self.states)), dtype=bool)
        allowed[tuple(self.ends)] = True
        return reachable(allowed)

    @cached_property
    def absorbing(self) -> np.ndarray:
        """Which states nobody leaves, shape (states,)."""
        return ~np.isin(np.arange(len(self.states)), self.ends[0])

    @property
    def periods(self) -> int:
        """Number of periods of time with rates of their own."""
        return len(self.cuts) + 1

    @cached_property
    def size(self) -> int:
        """Number of parameters."""
        return int(max(self.base.max(), self.effect.max(initial=-1))) + 1

    @property
    def rates(self) -> int:
        """Number of parameters that are logs of rates; they come first."""
        return int(self.base.max()) + 1

    @cached_property
    def scale(self) -> np.ndarray:
        """What a parameter is divided by to be one of a unit of its covariate, shape (parameters,)."""
        found = np.ones(self.size)
        for c, sd in enumerate(self.sds):
            found[self.effect[c][self.effect[c] >= 0]] = sd
        return found

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Parameters as they are shown: ``a → b`` (with the period where there are several), ``age: a → b``."""
        found: dict[int, list[str]] = {}
        for m, move in enumerate(self.moves):
            for period in range(self.periods):
                alike = self.periods == 1 or (self.base[m] == self.base[m, 0]).all()
                words = written(move) if alike else f"{written(move)}, {self.when(period)}"
                found.setdefault(int(self.base[m, period]), [words])
        for c, name in enumerate(self.covariates):
            acting = self.effect[c] >= 0
            for number in np.unique(self.effect[c][acting]):
                mine = self.effect[c] == number
                words = ", ".join(written(self.moves[m]) for m in np.flatnonzero(mine))
                found[int(number)] = [f"{name}: {words}"]
        return tuple(found[number][0] for number in range(self.size))

    def when(self, period: int) -> str:
        """Return a period as it is written, such as ``t ≥ 2014``; nothing where there is only one."""
        low = f"{self.cuts[period - 1]:.10g}" if period else ""
        high = f"{self.cuts[period]:.10g}" if period < len(self.cuts) else ""
        if low and high:
            return f"{low} ≤ t < {high}"
        return f"t ≥ {low}" if low else f"t < {high}" if high else ""

    def move(self, a: object, b: object) -> int:
        """Return the number of a move; raises ``InputError`` with the nearest when there is none."""
        pair = (label(a), label(b))
        if pair not in self.moves:
            raise InputError([unknown_move(pair, self.moves)])
        return self.moves.index(pair)

    def covariate(self, name: str) -> int:
        """Return the number of a covariate; raises ``InputError`` with the nearest when there is none."""
        if name not in self.covariates:
            raise InputError([unknown_covariate(name, self.covariates)])
        return self.covariates.index(name)

    def period(self, number: int) -> int:
        """Return a period's number; raises ``InputError`` when there are not so many."""
        if number not in range(self.periods):
            values = {"value": number, "last": self.periods - 1}
            raise InputError([Problem("panel_period", key="period", values=values)])
        return number

    def standardised(self, x: np.ndarray) -> np.ndarray:
        """Return covariates (rows, covariates) on the scale of the parameters."""
        return (x - self.means) / self.sds

    def at(self, values: Mapping[str, float] | None) -> np.ndarray:
        """Return covariates (1, covariates) on that scale: those given, the others at their means."""
        x = self.means.copy()
        for name, value in (values or {}).items():
            number = finite(value)
            if number is None:
                raise InputError([Problem("panel_number", key=f"at: {name}", values={"value": value})])
            x[self.covariate(name)] = number
        return self.standardised(x[None])

    def log_rates(self, theta: np.ndarray, period: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Return logs of rates (rows, moves) in ``period`` (rows,) at covariates ``z`` (rows, covariates)."""
        ratios = np.where(self.effect >= 0, theta[self.effect], 0.0)
        return theta[self.base.T[period]] + z @ ratios

    def back(self, slope: np.ndarray, period: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Return the gradient by parameters from that by logs of rates (rows, moves)."""
        found = np.bincount(self.base.T[period].ravel(), slope.ravel(), self.size)
        acting = self.effect >= 0
        if acting.any():
            found += np.bincount(self.effect[acting], (z.T @ slope)[acting], self.size)
        return found

    def generators(self, log_rates: np.ndarray) -> np.ndarray:
        """Return the matrices Q (rows, states, states) of logs of rates (rows, moves)."""
        q = np.zeros((len(log_rates), len(self.states), len(self.states)))
        q[:, self.ends[0], self.ends[1]] = np.exp(log_rates)
        states = np.arange(len(self.states))
        q[:, states, states] = -q.sum(axis=2)
        return q


def unknown_move(pair: Pair, moves: Iterable[Pair], key: str = "") -> Problem:
    """Return that a move is not among ``moves``."""
    known = [written(move) for move in moves]
    values = {"move": written(pair), "allowed": "; ".join(known)}
    return Problem("panel_move_unknown", key=key, values=values, nearest=nearest(written(pair), known))


def unknown_covariate(name: object, covariates: Iterable[str], key: str = "") -> Problem:
    """Return that a covariate is not among ``covariates``."""
    known = list(covariates)
    values = {"name": name, "allowed": ", ".join(known) or "–"}
    return Problem("panel_covariate_unknown", key=key, values=values, nearest=nearest(str(name), known))


def read_move(given: Any) -> Pair | None:
    """Return a move as its two states are written; None when it is no pair of states."""
    if isinstance(given, str) or not isinstance(given, Sequence | np.ndarray) or len(given) != 2:
        return None
    a, b = given
    return (label(a), label(b)) if _is_state(a) and _is_state(b) else None


def _is_state(given: object) -> bool:
    """Tell whether ``given`` is a word or a number, not one that is missing."""
    return isinstance(given, str | int | float | np.generic) and given == given


def listed(given: Any) -> list[Any] | None:
    """Return what a list holds; nothing where none is given, None when it is one thing and no list."""
    if given is None:
        return []
    return list(given) if isinstance(given, Iterable) and not isinstance(given, str) else None


def read_moves(moves: Moves) -> tuple[tuple[Pair, ...], list[Problem]]:
    """Return the moves declared, written alike, and what is wrong with them."""
    given_moves = listed(moves)
    if given_moves is None:
        return (), [Problem("panel_moves_form", key="moves", values={"value": moves})]
    found: list[Pair] = []
    problems = []
    for given in given_moves:
        pair = read_move(given)
        if pair is None:
            problems.append(Problem("panel_move_form", key="moves", values={"value": given}))
            continue
        if pair[0] == pair[1] or pair in found or not all(pair):
            kind = "panel_move_self" if pair[0] == pair[1] else "panel_move_twice"
            problems.append(Problem(kind, key="moves", values={"move": written(pair)}))
            continue
        found.append(pair)
    if not found and not problems:
        problems.append(Problem("panel_no_moves", key="moves"))
    return tuple(found), problems


def declare(
    states: Sequence[str],
    moves: Sequence[Pair],
    covariates: Sequence[str] | Mapping[str, Moves] | None,
    constrain: Mapping[str, Any] | None,
    cuts: Sequence[float],
    exact: Sequence[object],
    found: bool = False,
) -> tuple[Model, list[Problem]]:
    """Return the model of these declarations, and everything that is wrong with them (then it must not be used)."""
    acts, problems = _acting(covariates, moves)
    constrain = dict(constrain or {})
    borders, wrong = _cuts(cuts)
    problems += wrong
    base, wrong = _baselines(moves, len(borders) + 1, constrain.pop(PERIODS_ALIKE, ()))
    problems += wrong
    effect = np.full((len(acts), len(moves)), -1)
    number = int(base.max(initial=-1)) + 1
    for name in constrain:
        if name not in acts:
            problems.append(unknown_covariate(name, acts, "constrain"))
    for c, (name, mine) in enumerate(acts.items()):
        for group, wrong in _groups(name, mine, constrain.get(name), moves):
            problems += wrong
            effect[c, group] = number
            number += bool(group)
    # A state alone is a list of one.
    known = list(dict.fromkeys(label(state) for state in ([exact] if _is_state(exact) else exact or ())))
    for state in known:
        if state not in states:
            values = {"state": state, "allowed": ", ".join(states)}
            near = nearest(state, states)
            problems.append(Problem("panel_exact_unknown", key="exact", values=values, nearest=near))
        elif any(a == state for a, _ in moves):
            values = {"state": state, "moves": "; ".join(written(m) for m in moves if m[0] == state)}
            problems.append(Problem("panel_exact_left", key="exact", values=values))
    nothing = np.zeros(len(acts))
    model = Model(
        tuple(states), tuple(moves), tuple(acts), borders, tuple(known), base, effect, nothing, nothing + 1, found
    )
    return model, problems


def centred(model: Model, x: np.ndarray) -> Model:
    """Return the model with the means and standard deviations of the covariates (intervals, covariates)."""
    sds = x.std(axis=0)
    return replace(model, means=x.mean(axis=0), sds=np.where(sds > 1e-12 * np.abs(x).max(axis=0, initial=0), sds, 1.0))


def _acting(
    covariates: Sequence[str] | Mapping[str, Moves] | None, moves: Sequence[Pair]
) -> tuple[dict[str, list[int]], list[Problem]]:
    """Return the numbers of the moves each covariate acts on."""
    given: dict[str, Any] = {}
    if isinstance(covariates, Mapping):
        given = dict(covariates)
    elif covariates is not None:
        given = {str(name): moves for name in ([covariates] if isinstance(covariates, str) else covariates)}
    found, problems = {}, []
    for name, pairs in given.items():
        numbers, wrong = _numbers(pairs, moves, f"covariates: {name}")
        problems += wrong
        found[str(name)] = numbers
    return found, problems


def _numbers(pairs: Any, moves: Sequence[Pair], key: str) -> tuple[list[int], list[Problem]]:
    """Return the numbers of ``pairs`` among ``moves``, and what is wrong with them."""
    numbers, problems = [], []
    given_moves = listed(pairs)
    if given_moves is None or read_move(pairs) in moves:
        return [], [Problem("panel_moves_form", key=key, values={"value": pairs})]
    for given in given_moves:
        pair = read_move(given)
        if pair is None:
            problems.append(Problem("panel_move_form", key=key, values={"value": given}))
        elif pair in moves:
            numbers.append(list(moves).index(pair))
        else:
            problems.append(unknown_move(pair, moves, key))
    return numbers, problems


def _cuts(cuts: Sequence[float]) -> tuple[tuple[float, ...], list[Problem]]:
    # A time alone is a list of one.
    given = listed(cuts)
    given = [cuts] if given is None else given
    try:
        found = tuple(float(cut) for cut in given)
    except (TypeError, ValueError):
        found = (float("nan"),)
    if not all(np.isfinite(found)) or any(b <= a for a, b in pairwise(found)):
        return (), [Problem("panel_cuts", key="cuts", values={"value": ", ".join(str(cut) for cut in given)})]
    return found, []


def _baselines(moves: Sequence[Pair], periods: int, alike: Any) -> tuple[np.ndarray, list[Problem]]:
    same, problems = _numbers(moves if isinstance(alike, str) and alike == "all" else alike, moves, "constrain: cuts")
    base, number = np.zeros((len(moves), periods), dtype=int), 0
    for m in range(len(moves)):
        for period in range(periods):
            if period and m in same:
                base[m, period] = base[m, 0]
            else:
                base[m, period] = number
                number += 1
    return base, problems


def _groups(
    name: str, mine: Sequence[int], asked: Any, moves: Sequence[Pair]
) -> Iterator[tuple[list[int], list[Problem]]]:
    """Yield the moves that share one effect of a covariate, with what is wrong about them."""
    key = f"constrain: {name}"
    groups = listed(asked)
    if groups is None or any(read_move(group) in moves for group in groups):
        fine = isinstance(asked, str) and asked == "all"
        yield list(mine), [] if fine else [Problem("panel_constrain", key=key, values={"value": asked})]
        return
    left = list(mine)
    for group in groups:
        numbers, problems = _numbers(group, moves, key)
        for number in numbers:
            if number not in left:
                values = {"move": written(moves[number]), "name": name}
                problems.append(Problem("panel_constrain_move", key=key, values=values))
        yield [number for number in numbers if number in left], problems
        left = [number for number in left if number not in numbers]
    for number in left:
        yield [number], []

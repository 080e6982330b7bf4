"""The likelihood of a panel and its gradient, chunk by chunk.

An interval from r to s contributes P_rs(t) (Kalbfleisch & Lawless, JASA 80:863, 1985); an entry into s at a known
moment contributes the sum over states j of P_rj(t) q_js (Jackson, Journal of Statistical Software 38(8), 2011). The
gradient goes backwards from the counts over probabilities to P, Q, logs of rates and parameters; its cost does not grow
with the number of parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .design import Model
from .matrices import Legs, adjoint, legs_of
from .patterns import Chunk, Patterns, chunks_of, patterns_of

IMPOSSIBLE = -np.inf
"""Log likelihood of parameters at which a probability cannot be told from nil."""


@dataclass(frozen=True)
class Likelihood:
    """The log likelihood of a panel under a model: ``model``, the ``chunks`` of its patterns, their number."""

    model: Model
    chunks: Sequence[Chunk]
    patterns: int
    intervals: int

    def value(self, theta: np.ndarray) -> float:
        """Return the log likelihood at parameters ``theta`` (parameters,)."""
        return float(sum(_chunk_value(self.model, chunk, theta)[0] for chunk in self.chunks))

    def gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the log likelihood and its gradient (parameters,)."""
        value, slope = 0.0, np.zeros(self.model.size)
        for chunk in self.chunks:
            one, its = _chunk_gradient(self.model, chunk, theta)
            value, slope = value + one, slope + its
        return value, slope

    def hessian(self, theta: np.ndarray, step: float = 1e-4) -> np.ndarray:
        """Return second derivatives (parameters, parameters): central differences of the gradient, made symmetric."""
        rows = []
        for way in np.eye(len(theta)) * step:
            rows.append((self.gradient(theta + way)[1] - self.gradient(theta - way)[1]) / (2 * step))
        found = np.array(rows)
        return np.asarray((found + found.T) / 2)

    def ways(self, theta: np.ndarray) -> dict[str, int]:
        """Return how many matrices P were made by eigenvectors and how many by squaring."""
        made = [_legs(self.model, chunk, theta) for chunk in self.chunks]
        squared = sum(legs.squared for legs in made)
        return {"eigen": sum(len(legs.of) for legs in made) - squared, "squaring": squared}


def likelihood_of(
    model: Model, begin: np.ndarray, end: np.ndarray, x: np.ndarray, start: np.ndarray, stop: np.ndarray
) -> Likelihood:
    """Return the likelihood of intervals from ``begin`` to ``end`` that start in ``start`` and end in ``stop``.

    Those that begin in a state nobody leaves say nothing and are left out.
    """
    told = ~model.absorbing[start]
    begin, end, x, start, stop = (column[told] for column in (begin, end, x, start, stop))
    patterns = patterns_of(begin, end, model.standardised(x), model.cuts)
    exact = np.isin(stop, [model.states.index(state) for state in model.exact])
    return Likelihood(model, chunks_of(patterns, start, stop, exact), len(patterns), len(begin))


def probabilities(
    model: Model, theta: np.ndarray, begin: np.ndarray, end: np.ndarray, z: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return P over the distinct patterns of intervals (patterns, states, states), and which each interval has.

    ``z`` are covariates on the scale of the parameters. Intervals without length have P = 1.
    """
    long = end > begin
    whole = np.eye(len(model.states))[None]
    if not long.any():
        return whole, np.zeros(len(begin), dtype=int)
    patterns = patterns_of(begin[long], end[long], z[long], model.cuts)
    of = np.full(len(begin), len(patterns))
    of[long] = patterns.of
    return np.concatenate([each_pattern(model, theta, patterns), whole]), of


def each_pattern(model: Model, theta: np.ndarray, patterns: Patterns) -> np.ndarray:
    """Return P of each of ``patterns`` (patterns, states, states)."""
    none = np.empty(0, dtype=np.int64)
    whole = Patterns(none, patterns.legs, patterns.leg_period, patterns.leg_row, patterns.leg_t, patterns.rows)
    first = patterns.legs[:, 0]
    order = np.lexsort((patterns.leg_t[first], patterns.leg_row[first], patterns.leg_period[first]))
    found = np.empty((len(patterns), len(model.states), len(model.states)))
    low = 0
    for chunk in chunks_of(whole, none, none, none):
        found[order[low : low + len(chunk.legs)]] = _forward(chunk, _legs(model, chunk, theta).p)[-1]
        low += len(chunk.legs)
    return found


def _legs(model: Model, chunk: Chunk, theta: np.ndarray) -> Legs:
    q = model.generators(model.log_rates(theta, chunk.period, chunk.z))
    return legs_of(q, chunk.of, chunk.t, model.reach)


def _forward(chunk: Chunk, p: np.ndarray) -> list[np.ndarray]:
    """Return P of each pattern (patterns, states, states) up to and with its first leg, its second, and so on."""
    found = [p[chunk.legs[:, 0]]]
    for leg in chunk.legs.T[1:]:
        found.append(np.where((leg >= 0)[:, None, None], found[-1] @ p[leg], found[-1]))
    return found


def _cells(chunk: Chunk, whole: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the likelihood of one interval of each cell, and q into its end state (cells, states) by state before."""
    into = q[chunk.last[chunk.pattern], :, chunk.end]
    p = whole[chunk.pattern, chunk.start]
    exact = (p * into).sum(axis=1)
    return np.where(chunk.entered, exact, p[np.arange(len(p)), chunk.end]), into


def _chunk_value(model: Model, chunk: Chunk, theta: np.ndarray) -> tuple[float, np.ndarray | None]:
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        q = model.generators(model.log_rates(theta, chunk.period, chunk.z))
        if not np.isfinite(q).all():
            return IMPOSSIBLE, None
        legs = legs_of(q, chunk.of, chunk.t, model.reach)
        chance, _ = _cells(chunk, _forward(chunk, legs.p)[-1], q)
    return _summed(chunk, chance), None


def _summed(chunk: Chunk, chance: np.ndarray) -> float:
    if not (chance > 0).all() or not np.isfinite(chance).all():
        return IMPOSSIBLE
    return float(chunk.count @ np.log(chance))


def _chunk_gradient(model: Model, chunk: Chunk, theta: np.ndarray) -> tuple[float, np.ndarray]:
    nothing = np.zeros(model.size)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        q = model.generators(model.log_rates(theta, chunk.period, chunk.z))
        if not np.isfinite(q).all():
            return IMPOSSIBLE, nothing
        legs = legs_of(q, chunk.of, chunk.t, model.reach)
        forward = _forward(chunk, legs.p)
        chance, into = _cells(chunk, forward[-1], q)
        value = _summed(chunk, chance)
        if value == IMPOSSIBLE:
            return IMPOSSIBLE, nothing
        weight, direct = _weights(chunk, forward[-1], chance, into, q.shape)
        slope = direct + adjoint(legs, _backward(chunk, legs.p, forward, weight))
    a, b = model.ends
    by_rate = q[:, a, b] * (slope[:, a, b] - slope[:, a, a])
    return value, model.back(by_rate, chunk.period, chunk.z)


def _weights(
    chunk: Chunk, whole: np.ndarray, chance: np.ndarray, into: np.ndarray, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return dL/dP of each pattern, and dL/dQ of the entries at known moments by themselves."""
    each = chunk.count / chance
    weight, direct = np.zeros(whole.shape), np.zeros(shape)
    seen = ~chunk.entered
    weight[chunk.pattern[seen], chunk.start[seen], chunk.end[seen]] = each[seen]
    at = np.flatnonzero(chunk.entered)
    if len(at):
        pattern, start = chunk.pattern[at], chunk.start[at]
        np.add.at(weight, (pattern, start), each[at, None] * into[at])
        into_end = direct.swapaxes(1, 2)
        np.add.at(into_end, (chunk.last[pattern], chunk.end[at]), each[at, None] * whole[pattern, start])
    return weight, direct


def _backward(chunk: Chunk, p: np.ndarray, forward: Sequence[np.ndarray], weight: np.ndarray) -> np.ndarray:
    """Return dL/dP of each leg from that of each pattern: the product of the legs, taken apart from its end."""
    found = np.zeros(p.shape)
    for k in range(chunk.legs.shape[1] - 1, 0, -1):
        leg = chunk.legs[:, k]
        has = np.flatnonzero(leg >= 0)
        np.add.at(found, leg[has], forward[k - 1][has].swapaxes(1, 2) @ weight[has])
        weight = weight.copy()
        weight[has] = weight[has] @ p[leg[has]].swapaxes(1, 2)
    np.add.at(found, chunk.legs[:, 0], weight)
    return found

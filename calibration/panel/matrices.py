"""Transition probabilities P(t) = exp(Qt) of many generators at once, and what a change of P says of Q.

Two ways, chosen matrix by matrix. *Eigen*: one decomposition serves every length of time of a generator; not where its
eigenvectors are nearly dependent, and not where a probability is so small that their rounding would drown it.
*Squaring*: the exponential series of Q + cI, which has no negative entry, over a short time, then squared; sums of
positive terms lose no digits, so small probabilities keep theirs (defective, stiff and tiny generators alike).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

MOST_CONDITION: Final = 1e5
"""Largest product of the norms of the eigenvectors and their inverse: beyond it some 11 digits of P would be lost."""
MOST_RESIDUAL: Final = 1e-11
"""Largest entry of V diag V^-1 - Q, relative to the largest of Q."""
MOST_TURNS: Final = 1e5
"""Largest rate times time for which rounding of the eigenvalues is harmless."""
LEAST_PROBABILITY: Final = 1e-8
"""Reachable probabilities below this times the product of norms are made by squaring: eigenvectors give P to within
rounding times that product, so the logarithm of a smaller one would be worse than 2e-8."""
_SINGULAR: Final = 1e-250
_SERIES: Final = 17
"""Terms of the exponential series beyond the number of states: 1/18! is below rounding."""


@dataclass(frozen=True)
class Legs:
    """Matrices P (legs, states, states) with what their adjoint needs; ``of`` is the generator of each leg."""

    p: np.ndarray
    q: np.ndarray
    of: np.ndarray
    t: np.ndarray
    values: np.ndarray
    vectors: np.ndarray
    inverse: np.ndarray
    by_eigen: np.ndarray

    @property
    def squared(self) -> int:
        """How many legs were made by squaring."""
        return int((~self.by_eigen).sum())


def reachable(moves: np.ndarray) -> np.ndarray:
    """Return which state can be reached from which, itself included, by moves (states, states) of truth values."""
    found = moves | np.eye(len(moves), dtype=bool)
    for _ in range(len(moves)):
        found = found @ found
    return found


def legs_of(q: np.ndarray, of: np.ndarray, t: np.ndarray, reach: np.ndarray) -> Legs:
    """Return P of each leg: generator ``of`` (legs,) among ``q`` (generators, states, states), time ``t`` (legs,)."""
    values, vectors, inverse, condition, sound = _decomposed(q)
    by_eigen = sound[of] & (np.abs(q).max(axis=(1, 2))[of] * t < MOST_TURNS)
    p = np.empty((len(of), *q.shape[1:]))
    at = np.flatnonzero(by_eigen)
    if len(at):
        mine = of[at]
        grown = np.exp(values[mine] * t[at, None])
        p[at] = ((vectors[mine] * grown[:, None, :]) @ inverse[mine]).real
        drowned = (p[at][:, reach] < LEAST_PROBABILITY * condition[mine, None]).any(axis=1)
        by_eigen[at[drowned]] = False
    at = np.flatnonzero(~by_eigen)
    if len(at):
        p[at] = _squaring(q[of[at]] * t[at, None, None])[0]
    p[:, ~reach] = 0.0
    return Legs(p, q, of, t, values, vectors, inverse, by_eigen)


def _decomposed(q: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return eigenvalues, eigenvectors, their inverse, the product of the norms of both, and where to trust them."""
    values, vectors = np.linalg.eig(q)
    sound = np.abs(np.linalg.det(vectors)) > _SINGULAR
    kept = np.where(sound[:, None, None], vectors, np.eye(q.shape[1]))
    inverse = np.linalg.inv(kept)
    condition = np.linalg.norm(kept, axis=(1, 2)) * np.linalg.norm(inverse, axis=(1, 2))
    with np.errstate(over="ignore", invalid="ignore"):
        residual = np.abs((kept * values[:, None, :]) @ inverse - q).max(axis=(1, 2))
    sound &= (condition < MOST_CONDITION) & (residual <= MOST_RESIDUAL * np.abs(q).max(axis=(1, 2)))
    return values, kept, inverse, condition, sound


def adjoint(legs: Legs, weight: np.ndarray) -> np.ndarray:
    """Return dL/dQ (generators, states, states) from dL/dP (legs, states, states), summed over the legs of each.

    In the basis of eigenvectors the derivative of the exponential is a product with divided differences
    (Kalbfleisch & Lawless 1985); elsewhere the squaring is run backwards.
    """
    found = np.zeros(legs.q.shape)
    at = np.flatnonzero(legs.by_eigen)
    if len(at):
        mine, t = legs.of[at], legs.t[at]
        turned = legs.vectors[mine].swapaxes(1, 2) @ weight[at] @ legs.inverse[mine].swapaxes(1, 2)
        turned = turned * _divided(legs.values[mine], t)
        gathered = _by(mine, turned, len(legs.q))
        found += (legs.inverse.swapaxes(1, 2) @ gathered @ legs.vectors.swapaxes(1, 2)).real
    at = np.flatnonzero(~legs.by_eigen)
    if len(at):
        mine, t = legs.of[at], legs.t[at, None, None]
        _, tape = _squaring(legs.q[mine] * t)
        found += _by(mine, _squaring_back(tape, weight[at]) * t, len(legs.q))
    return found


def _by(of: np.ndarray, rows: np.ndarray, number: int) -> np.ndarray:
    """Return the sums of ``rows`` (rows, ...) by ``of`` (rows,), shape (number, ...)."""
    order = np.argsort(of, kind="stable")
    mine = of[order]
    first = np.flatnonzero(np.r_[True, mine[1:] != mine[:-1]])
    found = np.zeros((number, *rows.shape[1:]), dtype=rows.dtype)
    found[mine[first]] = np.add.reduceat(rows[order], first, axis=0)
    return found


def _divided(values: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return (exp(a t) - exp(b t)) / (a - b) for all pairs of eigenvalues, shape (legs, states, states).

    Pairs that are close go through t exp((a + b) t / 2) sinh(d)/d with d = (a - b) t / 2, which does not cancel.
    """
    grown = np.exp(values * t[:, None])
    apart = values[:, :, None] - values[:, None, :]
    half = apart * (t[:, None, None] / 2)
    near = np.abs(half) < 0.5
    safe = np.where(near, 1.0, apart)
    far = (grown[:, :, None] - grown[:, None, :]) / safe
    d2 = np.where(near, half, 0.0) ** 2
    ratio = 1 + d2 / 6 * (1 + d2 / 20 * (1 + d2 / 42 * (1 + d2 / 72 * (1 + d2 / 110))))
    middle = np.exp((values[:, :, None] + values[:, None, :]) * (t[:, None, None] / 2))
    return np.where(near, t[:, None, None] * middle * ratio, far)


@dataclass(frozen=True)
class _Tape:
    """What was made on the way to the exponential: the shifted step, the nested sums and the squares."""

    step: np.ndarray
    shift: np.ndarray
    nested: list[np.ndarray]
    squares: list[np.ndarray]
    times: np.ndarray


def _squaring(a: np.ndarray) -> tuple[np.ndarray, _Tape]:
    """Return exp(a) of generators times time (matrices, states, states), with no subtraction on the way."""
    number, states = a.shape[0], a.shape[1]
    rate = -np.einsum("iss->is", a).min(axis=1)
    times = np.maximum(np.ceil(np.log2(np.maximum(rate, 1e-300))), 0).astype(int)
    shift = rate / 2.0**times
    step = a / 2.0 ** times[:, None, None]
    diagonal = np.arange(states)
    step[:, diagonal, diagonal] += shift[:, None]
    whole = np.broadcast_to(np.eye(states), (number, states, states))
    nested = [whole]
    for k in range(_SERIES + states, 0, -1):
        nested.append(whole + step @ nested[-1] / k)
    grown = nested[-1] * np.exp(-shift)[:, None, None]
    squares = [grown]
    for turn in range(int(times.max(initial=0))):
        doing = (times > turn)[:, None, None]
        grown = np.where(doing, grown @ grown, grown)
        # Rows are chances: what rounding adds to their sum would double with every square.
        grown = grown / grown.sum(axis=2, keepdims=True)
        squares.append(grown)
    return grown, _Tape(step, shift, nested, squares, times)


def _squaring_back(tape: _Tape, weight: np.ndarray) -> np.ndarray:
    """Return dL/dA from dL/dexp(A): the steps of :func:`_squaring` in reverse, the shift held."""
    back = weight
    for turn in range(len(tape.squares) - 2, -1, -1):
        doing = (tape.times > turn)[:, None, None]
        before = tape.squares[turn].swapaxes(1, 2)
        back = np.where(doing, before @ back + back @ before, back)
    back = back * np.exp(-tape.shift)[:, None, None]
    turned = tape.step.swapaxes(1, 2)
    found = np.zeros_like(tape.step)
    for k, inner in zip(range(1, len(tape.nested)), reversed(tape.nested[:-1]), strict=True):
        found += back @ inner.swapaxes(1, 2) / k
        back = turned @ back / k
    return found / 2.0 ** tape.times[:, None, None]

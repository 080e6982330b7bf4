"""What the data do not tell: rates that run to nil, flat directions of the likelihood, starts that disagree."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sim.locale import text

from .design import Model

LEAST_INFORMATION: Final = 1e-2
"""Curvature below which a direction is not told: a standard error of 10 on the log scale, from a thing to twenty
thousand times it."""
ROUNDING: Final = 1e-9
"""Curvature below this share of the largest is rounding of the differences it was made from."""
LOADING: Final = 0.3
"""Parameters with a larger part than this in a flat direction are lost in it."""
INFLATION: Final = 0.21
"""So are those whose variance a flat direction would raise by more than this share: their error by a tenth."""
FLAT: Final = 1e-2
"""Change of -2 log L that says nothing."""
SAME: Final = 1e-3
"""Starts agree when their -2 log L differ by no more."""
_FAR: Final = 25.0
"""Log units up and down within which flatness is sought: a rate that runs to nil stands far down already."""


class PanelWarning(UserWarning):
    """A fit in which some rates or effects are not told by the data."""


@dataclass(frozen=True)
class Notice:
    """One thing the data do not tell: its kind, the parameters or moves it concerns, and both languages' words."""

    kind: str
    names: tuple[str, ...]
    values: dict[str, object]

    def words(self, lang: str) -> str:
        """Return the notice as a sentence in ``lang``."""
        values = dict(self.values)
        for name in {"rate", "ratio"} & set(values):
            values[name] = str(values[name]).replace(".", ",") if lang == "da" else values[name]
        return text(f"panel.notice_{self.kind}", lang, names="; ".join(self.names), **values)

    @property
    def text(self) -> str:
        """The notice in English."""
        return self.words("en")


@dataclass(frozen=True)
class Told:
    """What the curvature says: covariance of what is identified (NaN elsewhere), standard errors (inf elsewhere).

    ``flat`` (parameters, directions) are the flat directions, ``lost`` of the same shape who is lost in which.
    """

    covariance: np.ndarray
    errors: np.ndarray
    flat: np.ndarray
    lost: np.ndarray

    @property
    def unidentified(self) -> np.ndarray:
        """Which parameters are not identified, shape (parameters,)."""
        return ~np.isfinite(self.errors)


def nothing_told(size: int) -> Told:
    """Return that nothing is known of precision: NaN throughout."""
    none = np.zeros((size, 0))
    return Told(np.full((size, size), np.nan), np.full(size, np.nan), none, none.astype(bool))


def points_up(information: np.ndarray) -> bool:
    """Tell whether the curvature is not that of a top, or could not be found."""
    if not np.isfinite(information).all():
        return True
    values = np.linalg.eigvalsh(information)
    return bool(values.min() < -1e-6 * max(values.max(), 1.0))


def told(information: np.ndarray) -> Told:
    """Return covariance, standard errors and flat directions from minus the second derivatives."""
    if not np.isfinite(information).all():
        size = len(information)
        whole = np.eye(size)
        return Told(np.full((size, size), np.nan), np.full(size, np.inf), whole, whole.astype(bool))
    values, axes = np.linalg.eigh(information)
    rounding = ROUNDING * max(values.max(initial=0), 1.0)
    flat = values < max(LEAST_INFORMATION, rounding)
    covariance = (axes[:, ~flat] / values[~flat]) @ axes[:, ~flat].T
    # A small part in a direction without end is without end itself: a rate may be lost with a much smaller one.
    raised = axes[:, flat] ** 2 / np.maximum(values[flat], rounding)
    lost_in = (np.abs(axes[:, flat]) > LOADING) | (raised > INFLATION * np.diag(covariance)[:, None])
    # Small parts in flat directions are many parameters' in large models; together they may still be most of one.
    lost = lost_in.any(axis=1) | ((axes[:, flat] ** 2).sum(axis=1) > LOADING**2)
    covariance[lost, :] = np.nan
    covariance[:, lost] = np.nan
    with np.errstate(invalid="ignore"):
        errors = np.where(lost, np.inf, np.sqrt(np.diag(covariance)))
    return Told(covariance, errors, axes[:, flat], lost_in)


def notices(
    model: Model,
    theta: np.ndarray,
    information: np.ndarray,
    value: Callable[[np.ndarray], float],
    found: Told,
) -> Iterator[Notice]:
    """Yield what is not identified, parameter by parameter and direction by direction, with the reason.

    ``value`` is the log likelihood, ``found`` what :func:`told` says of it.
    """
    names, lost = model.names, found.unidentified
    here = value(theta)
    explained = np.zeros(len(theta), dtype=bool)
    for number in np.flatnonzero(lost):
        if not np.isfinite(information[number]).all():
            continue
        if np.abs(information[number]).max() < 1e-10:
            explained[number] = True
            yield Notice("uninformed", (names[number],), {})
            continue
        way = np.zeros(len(theta))
        way[number] = _FAR
        down, up = (2 * (here - value(theta + sign * way)) < FLAT for sign in (-1, 1))
        if number < model.rates and down != up:
            explained[number] = True
            yield Notice("to_zero" if down else "to_infinity", (names[number],), {"rate": _brief(theta[number])})
        elif number >= model.rates and down != up:
            explained[number] = True
            yield Notice("separation", (names[number],), {"ratio": _brief(theta[number] / model.scale[number])})
    for direction, mine in zip(found.flat.T, found.lost.T, strict=True):
        parts = np.flatnonzero(mine)
        if explained[parts].all():
            continue
        explained[parts] = True
        way = _FAR * direction / np.abs(direction).max()
        down, up = (2 * (here - value(theta + sign * way)) < FLAT for sign in (-1, 1))
        yield _of_direction(model, theta, parts, np.sign(direction[parts]) * (up - down if up != down else 0))
    rest = lost & ~explained
    if rest.any():
        yield _flat(tuple(names[number] for number in np.flatnonzero(rest)))


def _of_direction(model: Model, theta: np.ndarray, parts: np.ndarray, running: np.ndarray) -> Notice:
    """Return what is said of parameters that only move together; ``running`` (parts,) is the sign of where they run."""
    effects = parts[parts >= model.rates]
    if running.any() and len(effects):
        now = "; ".join(_brief(theta[number] / model.scale[number]) for number in effects)
        return Notice("separation", tuple(model.names[number] for number in effects), {"ratio": now})
    named = tuple(model.names[number] for number in parts)
    now = "; ".join(_brief(theta[number]) for number in parts)
    if (running < 0).all() or (running > 0).all():
        return Notice("to_zero" if running[0] < 0 else "to_infinity", named, {"rate": now})
    return _flat(named)


def _flat(names: tuple[str, ...]) -> Notice:
    return Notice("flat" if len(names) > 1 else "flat_alone", names, {})


def _brief(log: float) -> str:
    return f"{np.exp(log):.1e}"


def of_starts(minus2loglik: Sequence[float]) -> Iterator[Notice]:
    """Yield that starts ended at different heights, when they did."""
    best = min(minus2loglik)
    agree = sum(one <= best + SAME for one in minus2loglik)
    if agree < len(minus2loglik):
        yield Notice("starts", (), {"agree": agree, "starts": len(minus2loglik)})


def warn(found: Sequence[Notice]) -> None:
    """Raise the notices as one ``PanelWarning``."""
    if found:
        warnings.warn("\n".join(one.text for one in found), PanelWarning, stacklevel=3)

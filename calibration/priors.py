"""Priors: what is believed of each fitted parameter before the published shares are seen, each with its card."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from scipy.special import expit, logit

from sim.errors import EvidenceError, ParameterError, Problem, nearest
from sim.parameters import GRADES
from sim.sources import ASSUMPTION, CALIBRATION, source_of

PRIORS: Final = CALIBRATION / "priors.yaml"
KINDS: Final = ("log_normal", "logit_normal")
"""Rates and factors are normal on the log scale, shares (0-1) on the logit scale: the *unconstrained scale*."""


@dataclass(frozen=True, kw_only=True)
class Prior:
    """The prior of one parameter, with its card.

    ``median`` is in the parameter's unit; ``sd`` the standard deviation on the unconstrained scale (log for
    ``log_normal``, logit for ``logit_normal``); ``source`` holds evidence ids or ``assumption``.

    Raises ``ParameterError`` naming every impossible part of the card.
    """

    id: str
    kind: str
    median: float
    sd: float
    source: tuple[str, ...]
    date: str
    grade: str
    label_da: str
    label_en: str
    note_da: str = ""
    note_en: str = ""

    def __post_init__(self) -> None:
        problems = [
            Problem("card_missing", key=f"{self.id}.{name}")
            for name in ("id", "source", "date", "label_da", "label_en")
            if not getattr(self, name)
        ]
        for id in self.source:
            try:
                source_of(id)
            except EvidenceError as error:
                problems += error.problems
        for name, allowed in (("kind", KINDS), ("grade", GRADES)):
            if getattr(self, name) not in allowed:
                values = {"value": getattr(self, name), "allowed": ", ".join(allowed)}
                problems.append(Problem("choice", key=f"{self.id}.{name}", values=values))
        if self.grade in GRADES and self.grade != "D" and self.source == (ASSUMPTION,):
            problems.append(Problem("card_assumption_grade", key=f"{self.id}.grade", values={"value": self.grade}))
        highest = 1.0 if self.kind == "logit_normal" else math.inf
        for name, limit in (("median", highest), ("sd", math.inf)):
            if not 0 < getattr(self, name) < limit:
                values = {"value": getattr(self, name), "low": 0, "high": limit}
                problems.append(Problem("bounds", key=f"{self.id}.{name}", values=values))
        if problems:
            raise ParameterError(problems)

    @property
    def centre(self) -> float:
        """The median on the unconstrained scale."""
        return math.log(self.median) if self.kind == "log_normal" else float(logit(self.median))

    def label(self, lang: str) -> str:
        """Return the parameter's name in ``lang``."""
        return self.label_da if lang == "da" else self.label_en


def read_priors(ids: Iterable[str] | None = None, path: Path = PRIORS) -> tuple[Prior, ...]:
    """Return the priors of the parameters ``ids`` in that order, or all of them.

    Raises ``ParameterError`` naming every parameter without a prior and every wrong card.
    """
    known = _read(path, path.stat().st_mtime_ns)
    wanted = list(known if ids is None else ids)
    problems = [Problem("prior_unknown", key=id, nearest=nearest(id, known)) for id in wanted if id not in known]
    if problems:
        raise ParameterError(problems)
    return tuple(known[id] for id in wanted)


@lru_cache(maxsize=8)
def _read(path: Path, stamp: int) -> dict[str, Prior]:
    """Read a file of priors; ``stamp`` is the time it was written, so that each version is read once."""
    from ruamel.yaml import YAML

    names = set(Prior.__dataclass_fields__)
    needed = names - {"note_da", "note_en"}
    found: dict[str, Prior] = {}
    problems: list[Problem] = []
    for card in YAML(typ="safe", pure=True).load(path)["priors"]:
        id = str(card.get("id", "?"))
        wrong = [
            Problem("unknown_key", path.name, f"{id}.{key}", {"allowed": ", ".join(sorted(names))}, nearest(key, names))
            for key in card
            if key not in names
        ]
        wrong += [Problem("card_missing", path.name, f"{id}.{key}") for key in sorted(needed) if card.get(key) is None]
        if id in found:
            wrong.append(Problem("duplicate_key", path.name, id))
        if not wrong:
            try:
                source = card["source"] if isinstance(card["source"], list) else [card["source"]]
                found[id] = Prior(**{**card, "source": tuple(map(str, source)), "date": str(card["date"])})
            except ParameterError as error:
                wrong += error.problems
        problems += wrong
    if problems:
        raise ParameterError(problems)
    return found


# --- all parameters of a problem at once; z is the unconstrained scale, shape (draws, parameters)


def _logit(priors: Sequence[Prior]) -> np.ndarray:
    return np.array([prior.kind == "logit_normal" for prior in priors])


def centres(priors: Sequence[Prior]) -> np.ndarray:
    """Return the prior medians on the unconstrained scale, shape (parameters,)."""
    return np.array([prior.centre for prior in priors])


def spreads(priors: Sequence[Prior]) -> np.ndarray:
    """Return the prior standard deviations on the unconstrained scale, shape (parameters,)."""
    return np.array([prior.sd for prior in priors])


def values_of(priors: Sequence[Prior], z: np.ndarray) -> np.ndarray:
    """Return the values in natural units of points ``z`` on the unconstrained scale, any shape (..., parameters)."""
    z = np.asarray(z, dtype=float)
    return np.where(_logit(priors), expit(z), np.exp(np.minimum(z, 700)))


def unconstrained(priors: Sequence[Prior], values: np.ndarray) -> np.ndarray:
    """Return ``values`` (natural units, inside their bounds) as points of the unconstrained scale."""
    values = np.asarray(values, dtype=float)
    shares = _logit(priors)
    return np.where(shares, logit(np.where(shares, values, 0.5)), np.log(np.where(shares, 1.0, values)))


def log_density(priors: Sequence[Prior], z: np.ndarray) -> np.ndarray:
    """Return the log prior density of points ``z`` on the unconstrained scale, shape (...,).

    The priors are normal there, so no Jacobian enters.
    """
    sd = spreads(priors)
    return np.asarray(-0.5 * (((z - centres(priors)) / sd) ** 2 + np.log(2 * np.pi * sd**2)).sum(axis=-1))


def draw(priors: Sequence[Prior], generator: np.random.Generator, number: int) -> np.ndarray:
    """Return ``number`` independent draws from the priors on the unconstrained scale, shape (number, parameters)."""
    return centres(priors) + spreads(priors) * generator.standard_normal((number, len(priors)))

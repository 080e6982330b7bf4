"""Parameters with their cards: value, unit, source, date, range and grade.

A number without a complete card cannot be constructed, so it cannot enter the model.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from .draws import Draws, path_of, read_draws
from .errors import EvidenceError, ParameterError, Problem, nearest
from .sources import ASSUMPTION, PARAMETER_SETS, source_of

GRADES = ("A", "B", "C", "D")
"""A significant quasi-experimental estimate, or a register count or statutory value printed in the source;
B non-significant tendency, sample statistic, or rate calibrated to printed shares; C perceived or uncontrolled;
D assumption."""


WITHOUT_ACTIVATION: Mapping[str, float] = {
    "activation_share_to_2013": 0.0,
    "activation_share_2014_on": 0.0,
    "activation_exit_factor": 1.0,
}
"""Values without usual municipal activation: nobody enters it, and no constant makes up for it."""

_SHARED = ("common", "people")
"""Files of the parameters that every structure shares."""
POSTERIORS = "JOBVEJE_POSTERIORS"
"""Environment variable that names the folder of a user's own posteriors, used in place of the shipped ones."""
_POINT = "history"
"""The structure whose point values stand for ``default``."""
RIVALS = ("history", "history_stayers", "calendar")
"""Structures that fit the observed flows equally well: ``default`` runs over all of them that have posterior draws."""


@dataclass(frozen=True)
class Unit:
    """A unit with the values it allows and its names; ``whole`` units take whole numbers only."""

    lowest: float
    highest: float
    label_da: str
    label_en: str
    whole: bool = False


UNITS: Mapping[str, Unit] = {
    "per_month": Unit(0, 20, "pr. måned", "per month"),
    "share": Unit(0, 1, "andel (0-1)", "share (0-1)"),
    "share_per_year": Unit(0, 1, "andel pr. år (0-1)", "share per year (0-1)"),
    "months": Unit(0, 1200, "måneder", "months"),
    "course_months": Unit(1, 120, "hele måneder", "whole months", whole=True),
    "hours_per_week": Unit(0, 60, "timer pr. uge", "hours per week"),
    "hours_per_year": Unit(0, 3000, "timer pr. år", "hours per year"),
    "log_hazard_ratio": Unit(-5, 5, "log hazard-ratio", "log hazard ratio"),
    "ratio": Unit(0, 100, "forhold", "ratio"),
    "switch": Unit(0, 1, "0 (nej) eller 1 (ja)", "0 (no) or 1 (yes)", whole=True),
    "years": Unit(0, 120, "år", "years"),
    "persons": Unit(0, 10_000_000, "personer", "persons", whole=True),
    "persons_per_year": Unit(0, 10_000_000, "personer pr. år", "persons per year"),
}
"""Every unit a parameter can have."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A number with its card.

    ``source`` holds evidence ids, ``activity:<key>`` or ``assumption``; ``date`` the month or year the value belongs
    to; ``range`` the rounding interval (grade A), the interval of the fit (B) or the stated range (C, D).

    Raises ``ParameterError`` naming every missing or impossible part of the card.
    """

    id: str
    value: float
    unit: str
    source: tuple[str, ...]
    date: str
    range: tuple[float, float]
    grade: str
    label_da: str
    label_en: str
    note_da: str = ""
    note_en: str = ""

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise ParameterError(problems)

    def _problems(self) -> Iterator[Problem]:
        for name in ("id", "unit", "date", "grade", "label_da", "label_en"):
            given = getattr(self, name)
            if not isinstance(given, str) or not given.strip():
                yield Problem("card_missing", key=f"{self.id or '?'}.{name}")
        if not isinstance(self.source, tuple) or not self.source:
            yield Problem("card_missing", key=f"{self.id}.source")
        else:
            for id in self.source:
                try:
                    source_of(id)
                except EvidenceError as error:
                    yield from error.problems
        if self.grade and self.grade not in GRADES:
            yield Problem("choice", key=f"{self.id}.grade", values={"value": self.grade, "allowed": ", ".join(GRADES)})
        if self.grade != "D" and self.source == (ASSUMPTION,):
            yield Problem("card_assumption_grade", key=f"{self.id}.grade", values={"value": self.grade})
        unit = UNITS.get(self.unit)
        if unit is None:
            yield Problem(
                "choice",
                key=f"{self.id}.unit",
                values={"value": self.unit, "allowed": ", ".join(UNITS)},
                nearest=nearest(self.unit, UNITS),
            )
            return
        numbers = (self.value, *self.range) if isinstance(self.range, tuple) else (self.value,)
        if len(numbers) != 3 or not all(
            isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) for n in numbers
        ):
            yield Problem("card_missing", key=f"{self.id}.range")
            return
        low, high = self.range
        if not (low <= self.value <= high):
            yield Problem("card_range", key=f"{self.id}.range", values={"value": self.value, "low": low, "high": high})
        if not all(unit.lowest <= n <= unit.highest for n in numbers):
            yield Problem(
                "bounds",
                key=f"{self.id}.value",
                values={"value": self.value, "low": unit.lowest, "high": unit.highest},
            )

    @classmethod
    def read(cls, card: Mapping[str, Any]) -> Parameter:
        """Make a parameter from a card as it stands in a YAML file.

        Raises ``ParameterError`` for unknown and for missing entries of the card.
        """
        names = set(cls.__dataclass_fields__)
        id = str(card.get("id", "?"))
        allowed = ", ".join(sorted(names))
        optional = {"note_da", "note_en"}
        problems = [
            Problem("unknown_key", key=f"{id}.{key}", values={"allowed": allowed}, nearest=nearest(key, names))
            for key in card
            if key not in names
        ]
        problems += [
            Problem("card_missing", key=f"{id}.{key}") for key in sorted(names - optional) if card.get(key) is None
        ]
        if problems:
            raise ParameterError(problems)
        source = card["source"] if isinstance(card["source"], list) else [card["source"]]
        parts = {**card, "source": tuple(str(s) for s in source), "date": str(card["date"])}
        parts["range"] = tuple(card["range"]) if isinstance(card["range"], list) else card["range"]
        return cls(**parts)

    def with_value(self, value: float) -> Parameter:
        """Return the same card with another value chosen by the user; its range is stretched to hold it."""
        low, high = self.range
        return replace(self, value=value, range=(min(low, value), max(high, value)))

    def label(self, lang: str) -> str:
        """Return the parameter's name in ``lang``."""
        return self.label_da if lang == "da" else self.label_en


class ParameterSet(Mapping[str, Parameter]):
    """All parameters of one structure of the model, by id.

    ``structure`` names how the hazards depend on the past; ``digest`` identifies the values to the last digit.
    ``of_activities`` holds what a posterior draw says of activities' own numbers, by ``activity.parameter``; without a
    draw it is empty. ``folder`` is where the set was read, and where its posterior is looked for.
    """

    def __init__(
        self,
        name: str,
        structure: str,
        parameters: Mapping[str, Parameter],
        of_activities: Mapping[str, float] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.name = name
        self.structure = structure
        self.of_activities = dict(of_activities or {})
        self.folder = folder
        self._parameters = dict(parameters)

    def __getitem__(self, id: str) -> Parameter:
        return self._parameters[id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def value(self, id: str) -> float:
        """Return the value of parameter ``id``, in the unit of its card."""
        return self._parameters[id].value

    def replace(self, values: Mapping[str, float]) -> ParameterSet:
        """Return a set with other values, the cards otherwise kept.

        Raises ``ParameterError`` for an unknown id.
        """
        problems = [Problem("unknown_parameter", key=id, nearest=nearest(id, self)) for id in values if id not in self]
        if problems:
            raise ParameterError(problems)
        changed = {id: self[id].with_value(float(value)) for id, value in values.items()}
        return ParameterSet(self.name, self.structure, {**self._parameters, **changed}, self.of_activities, self.folder)

    def with_drawn(self, values: Mapping[str, float]) -> ParameterSet:
        """Return a set with the values of one posterior draw, numbers of activities (``activity.parameter``) included.

        Raises ``ParameterError`` for an unknown id.
        """
        if not values:
            return self
        own = self.replace({id: value for id, value in values.items() if "." not in id})
        of_activities = {id: value for id, value in values.items() if "." in id}
        return ParameterSet(own.name, own.structure, own, of_activities, own.folder)

    @property
    def posterior(self) -> Draws | None:
        """The posterior draws made for this set; None where there are none.

        They lie beside the set; for a shipped one, in the folder the environment variable JOBVEJE_POSTERIORS names, if
        it names one.

        Raises ``ParameterError`` when the file is damaged, incomplete or made for other values than the set has.
        """
        path = path_of(_posterior_folder(self.folder), self.structure)
        if not path.is_file():
            return None
        bounds = tuple((id, UNITS[card.unit].lowest, UNITS[card.unit].highest) for id, card in self.items())
        stamp = path.stat()
        return _read_draws(path, (stamp.st_mtime_ns, stamp.st_size), self.structure, self.digest, bounds)

    def draw(self, number: int) -> ParameterSet:
        """Return the set with the values of posterior draw ``number``; 0 is the set itself, its point values.

        Raises ``ParameterError`` when there is no such draw.
        """
        return self if number == 0 else self.with_drawn(_dealt(self._posteriors, number).values)

    @property
    def _posteriors(self) -> dict[str, Draws]:
        return {self.structure: self.posterior} if self.posterior is not None else {}

    @cached_property
    def digest(self) -> str:
        """A fingerprint of structure, ids and values."""
        content: list[Any] = [self.structure, *((id, repr(float(p.value))) for id, p in sorted(self.items()))]
        content += [(id, repr(value)) for id, value in sorted(self.of_activities.items())]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the shipped sets, one a structure."""
        return tuple(sorted(path.stem for path in PARAMETER_SETS.glob("*.yaml") if path.stem not in _SHARED))

    @classmethod
    def read(cls, name: str, folder: Path | None = None) -> ParameterSet:
        """Read the shipped set ``name``; ``default`` stands for the point values of *history* (see :func:`deal`).

        Raises ``ParameterError`` when there is no such set, a card is incomplete, or a file is another structure's.
        """
        name = _POINT if name == "default" else name
        folder = folder or PARAMETER_SETS
        path = folder / f"{name}.yaml"
        if not path.is_file():
            names = [*cls.names(), "default"]
            raise ParameterError(
                [
                    Problem(
                        "choice",
                        key="parameters",
                        values={"value": name, "allowed": ", ".join(names)},
                        nearest=nearest(name, names),
                    )
                ]
            )
        stamps = tuple((folder / f"{file}.yaml").stat().st_mtime_ns for file in (*_SHARED, name))
        return _read(name, folder, stamps)


class _File(NamedTuple):
    """What a file of cards holds: its structure, if it is one's, its parameters and what is wrong with them."""

    structure: str | None
    parameters: tuple[Parameter, ...]
    problems: tuple[Problem, ...]


@lru_cache(maxsize=32)
def _file(path: Path, stamp: int) -> _File:
    """Read a file of cards; ``stamp`` is the time it was written, so that each version is read once."""
    from ruamel.yaml import YAML

    content = YAML(typ="safe", pure=True).load(path)
    parameters: list[Parameter] = []
    problems: list[Problem] = []
    for card in content["parameters"]:
        try:
            parameters.append(Parameter.read(card))
        except ParameterError as error:
            problems += error.problems
    return _File(content.get("structure"), tuple(parameters), tuple(problems))


@lru_cache(maxsize=8)
def _read(name: str, folder: Path, stamps: tuple[int, ...]) -> ParameterSet:
    """Read a set from the files every structure shares and its own, written at ``stamps``."""
    paths = [folder / f"{file}.yaml" for file in (*_SHARED, name)]
    files = [_file(path, stamp) for path, stamp in zip(paths, stamps, strict=True)]
    problems = [problem for file in files for problem in file.problems]
    parameters: dict[str, Parameter] = {}
    for parameter in (parameter for file in files for parameter in file.parameters):
        if parameter.id in parameters:
            problems.append(Problem("duplicate_key", place=f"{name}.yaml", key=parameter.id))
        parameters[parameter.id] = parameter
    structure = files[-1].structure
    if structure != name:
        problems.append(
            Problem("choice", place=f"{name}.yaml", key="structure", values={"value": structure, "allowed": name})
        )
    if problems:
        raise ParameterError(problems)
    return ParameterSet(name, name, parameters, folder=folder)


@dataclass(frozen=True)
class Dealt:
    """The parameters of draw number ``draw`` of a run: ``values`` in place of the set's own, from ``row`` of its file.

    Draw 0 is the point values: no ``row``, no ``values``.
    """

    draw: int
    structure: str
    row: int | None
    values: Mapping[str, float]

    def parameters(self) -> ParameterSet:
        """Return the parameter set of this draw."""
        return ParameterSet.read(self.structure).with_drawn(self.values)


def posteriors_of(name: str) -> dict[str, Draws]:
    """Return the posterior draws behind ``parameters: name`` by structure; none where none are shipped.

    ``default`` stands for all of ``RIVALS`` that have them. Raises ``ParameterError`` when a file cannot be used, and
    when the user's own folder (JOBVEJE_POSTERIORS) has none of them.
    """
    folder = _posterior_folder(None)
    wanted = RIVALS if name == "default" else (name,)
    found = {s: ParameterSet.read(s).posterior for s in wanted if path_of(folder, s).is_file()}
    if not found and folder != PARAMETER_SETS:
        values = {"structures": ", ".join(wanted)}
        raise ParameterError([Problem("draws_nowhere", place=str(folder), values=values)])
    return {name: draws for name, draws in found.items() if draws is not None}


def _posterior_folder(own: Path | None) -> Path:
    """Return where the draws of a set read from folder ``own`` (None: a shipped one) lie."""
    if own is not None and own != PARAMETER_SETS:
        return own
    return Path(os.environ.get(POSTERIORS) or PARAMETER_SETS)


def deal(name: str, draws: int) -> tuple[Dealt, ...]:
    """Return the parameters of every draw of a run with ``parameters: name``.

    One draw is the point values, number 0. Several are draws 1 to ``draws`` of the posterior, dealt to the structures
    like cards, so the first N are the same however many are asked for.
    Raises ``ParameterError`` when there are not so many, or fewer are asked for than there are structures.
    """
    if draws == 1:
        return (numbered_draw(name, 0),)
    posteriors = posteriors_of(name)
    if draws < len(posteriors):
        values = {"given": draws, "structures": ", ".join(posteriors), "least": len(posteriors)}
        raise ParameterError([Problem("draws_structures", key="draw", values=values)])
    last = _dealt(posteriors, draws)
    return (*(_dealt(posteriors, draw) for draw in range(1, draws)), last)


def numbered_draw(name: str, draw: int) -> Dealt:
    """Return draw ``draw`` (0: the point values) of ``parameters: name``.

    Raises ``ParameterError`` when there is no such draw.
    """
    if draw == 0:
        return Dealt(0, ParameterSet.read(name).structure, None, {})
    return _dealt(posteriors_of(name), draw)


def _dealt(posteriors: Mapping[str, Draws], draw: int) -> Dealt:
    """Deal draw ``draw`` (from 1 on) to its structure."""
    hands = len(posteriors)
    available = min((at + hands * len(draws) for at, draws in enumerate(posteriors.values())), default=0)
    if not 0 < draw <= available:
        kind = "draws_few" if available else "draws_available"
        raise ParameterError([Problem(kind, key="draw", values={"given": draw, "available": available or 1})])
    structure, draws = list(posteriors.items())[(draw - 1) % hands]
    row = draws.row((draw - 1) // hands + 1)
    return Dealt(draw, structure, row, draws.of_row(row))


@lru_cache(maxsize=8)
def _read_draws(
    path: Path, stamp: tuple[int, int], structure: str, digest: str, bounds: tuple[tuple[str, float, float], ...]
) -> Draws:
    """Read a file of draws; ``stamp`` tells its versions apart, so that each is read once."""
    return read_draws(path, structure, digest, {id: (low, high) for id, low, high in bounds})

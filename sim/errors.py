"""Errors a user can mend, each with all its problems, their places and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .locale import default_language, text


@dataclass(frozen=True)
class Words:
    """A part of a message that differs between the languages, such as the name of a unit."""

    da: str
    en: str


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in what the user gave.

    ``kind`` names the message in ``sim/locale/errors.toml``; ``place`` is ``file:line`` (or the command-line
    option); ``key`` the setting; ``values`` what the message is filled with (``Words`` follow the language);
    ``nearest`` the closest valid name, if any.
    """

    kind: str
    place: str = ""
    key: str = ""
    values: Mapping[str, object] = field(default_factory=dict)
    nearest: str | None = None

    def render(self, lang: str) -> str:
        """Return the problem as one line: place, key, what is wrong, nearest valid name."""
        parts = [part for part in (self.place, self.key) if part]
        values = {name: getattr(v, lang) if isinstance(v, Words) else v for name, v in self.values.items()}
        line = ": ".join([*parts, text(f"errors.{self.kind}", lang, **values)])
        if self.nearest:
            line += " " + text("errors.did_you_mean", lang, name=self.nearest)
        return line


class InputError(Exception):
    """Input that cannot be used; the command line ends with exit code 2 and prints every problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: Sequence[Problem] = tuple(problems)
        super().__init__(self.render(default_language()))

    def render(self, lang: str) -> str:
        """Return all problems, one a line, in ``lang``."""
        return "\n".join(problem.render(lang) for problem in self.problems)

    def __reduce__(self) -> tuple[type, tuple[Sequence[Problem]]]:
        return type(self), (self.problems,)


class ScenarioError(InputError):
    """A scenario file or an override that cannot be used."""


class ParameterError(InputError):
    """A parameter without a complete card, or a parameter set that does not fit the model."""


class EvidenceError(InputError):
    """An evidence file that cannot be used."""


class ResultError(InputError):
    """A result folder that is missing, occupied, damaged or does not fit."""


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """Return the valid name closest to ``name``, or None when none is close."""
    found = difflib.get_close_matches(str(name), list(valid), n=1, cutoff=0.6)
    return found[0] if found else None

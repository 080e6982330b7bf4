"""Who can take part in an activity: a declared test on the columns of the residents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .errors import ParameterError, Problem, nearest
from .states import BARRIERS, CODE, ORIGINS, SEXES, STATE_KEYS

GROUPS = len(SEXES) * len(ORIGINS) * 2 ** len(BARRIERS)
"""Groups of residents by what does not change about them: sex, origin, barriers."""


def group_of(sex: np.ndarray, origin: np.ndarray, barriers: np.ndarray) -> np.ndarray:
    """Return the group, uint8, of residents; ``barriers`` are bit flags in the order of ``states.BARRIERS``."""
    return ((sex * np.uint8(len(ORIGINS)) + origin) * np.uint8(2 ** len(BARRIERS)) + barriers).astype(np.uint8)


@dataclass(frozen=True)
class Eligibility:
    """The target group of an activity: residents of the area in some labour-market states.

    ``sex`` (empty: any), ``origins`` and ``barriers`` (empty: any; else one of them at least) narrow it. Ages are
    ordinary parameters of the activity (``age_from``, ``age_to``), so that a scenario can change them. A side job does
    not exclude: the participants of the effect study had one the year before as often as others.

    Raises ``ParameterError`` naming everything that does not exist.
    """

    states: Sequence[str]
    sex: str = ""
    origins: Sequence[str] = ()
    barriers: Sequence[str] = ()

    def __post_init__(self) -> None:
        problems = [*_unknown("states", self.states, STATE_KEYS), *_unknown("origins", self.origins, ORIGINS)]
        problems += _unknown("barriers", self.barriers, BARRIERS)
        problems += _unknown("sex", [self.sex] if self.sex else [], SEXES)
        if problems:
            raise ParameterError(problems)

    @property
    def state_codes(self) -> np.ndarray:
        """Codes of the eligible states."""
        return np.array([CODE[state] for state in self.states], dtype=np.uint8)

    @property
    def groups(self) -> np.ndarray:
        """Whether residents of each group (:func:`group_of`) are eligible, shape (GROUPS,)."""
        sex, origin, barriers = np.indices((len(SEXES), len(ORIGINS), 2 ** len(BARRIERS)))
        found = np.ones(sex.shape, dtype=bool)
        if self.sex:
            found &= sex == SEXES.index(self.sex)
        if self.origins:
            found &= np.isin(origin, [ORIGINS.index(name) for name in self.origins])
        if self.barriers:
            found &= (barriers & sum(1 << BARRIERS.index(name) for name in self.barriers)) > 0
        return found.ravel()


def _unknown(key: str, given: Sequence[str], allowed: Sequence[str]) -> Iterator[Problem]:
    for name in given:
        if name not in allowed:
            values = {"value": name, "allowed": ", ".join(allowed)}
            yield Problem("choice", key=f"eligibility.{key}", values=values, nearest=nearest(name, allowed))

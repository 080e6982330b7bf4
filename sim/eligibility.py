"""Who can take part in an activity: a declared test on the columns of the residents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .errors import ParameterError, Problem, nearest
from .states import CODE


@dataclass(frozen=True)
class Eligibility:
    """The target group of an activity: residents of the area in some labour-market states.

    Ages are ordinary parameters of the activity (``age_from``, ``age_to``), so that a scenario can change them. A side
    job does not exclude: the participants of the effect study had one the year before as often as others.

    Raises ``ParameterError`` for a state that does not exist.
    """

    states: Sequence[str]

    def __post_init__(self) -> None:
        unknown = [state for state in self.states if state not in CODE]
        if unknown:
            raise ParameterError(
                Problem(
                    "choice",
                    key="eligibility.states",
                    values={"value": state, "allowed": ", ".join(CODE)},
                    nearest=nearest(state, CODE),
                )
                for state in unknown
            )

    @property
    def state_codes(self) -> np.ndarray:
        """Codes of the eligible states."""
        return np.array([CODE[state] for state in self.states], dtype=np.uint8)

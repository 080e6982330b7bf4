"""The cash-benefit flows as a problem for the samplers: the agents' own structures, exactly, with their priors."""

from __future__ import annotations

from functools import partial
from typing import Final

from . import twin
from .likelihood import Problem
from .priors import read_priors
from .structures import STRUCTURES
from .targets import Targets

DISCREPANCY: Final = 0.005
"""Standard deviation (share) of what no structure explains, fixed beforehand: the source's figure and its text print
the same shares up to a point apart, so its own definitions leave half a point open either way."""


def flows_problem(structure: str, targets: Targets | None = None, discrepancy: float = DISCREPANCY) -> Problem:
    """Return the problem of fitting the free parameters of ``structure`` to the published flows.

    Returns to benefit have priors and are not fixed. Raises ``KeyError`` for a structure that does not exist.
    """
    return Problem(
        name=structure,
        priors=read_priors(STRUCTURES[structure].free),
        joint=partial(twin.joint, structure),
        targets=(targets or Targets.read()).fit,
        discrepancy=discrepancy,
    )

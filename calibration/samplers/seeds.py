"""The only place where the calibration makes chance: generators by seed and purpose.

A seed is recorded with every result and is never a parameter. Purposes are numbered, so a new one changes no other.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

PURPOSES: Final = (
    "starts",
    "dispersed",
    "ensembles",
    "nested",
    "thinning",
    "predictive",
    "synthetic",
    "prior",
    "effects",
    "surrogate",
    "network_mothers",
    "holdouts",
    "panel_starts",
    "panel_draws",
    "panel_simulation",
    "panel_registers",
)
"""What chance is for; append only, the position is part of the seed."""


def _sequence(seed: int, purpose: str) -> np.random.SeedSequence:
    return np.random.SeedSequence([seed, PURPOSES.index(purpose)])


def generator(seed: int, purpose: str) -> np.random.Generator:
    """Return the generator of ``purpose``; the same seed (a whole number from 0) gives the same numbers everywhere."""
    return np.random.default_rng(_sequence(seed, purpose))


def generators(seed: int, purpose: str, number: int) -> list[np.random.Generator]:
    """Return ``number`` independent generators of ``purpose``; a larger number leaves the first ones as they are."""
    return [np.random.default_rng(child) for child in _sequence(seed, purpose).spawn(number)]


def ensemble_states(seed: int, number: int) -> list[Any]:
    """Return the random states that ``number`` independent ensembles begin with, in the form emcee keeps them."""
    children = _sequence(seed, "ensembles").spawn(number)
    # emcee draws from numpy's older generator, which it sets to a given state.
    return [np.random.RandomState(np.random.MT19937(child)).get_state() for child in children]

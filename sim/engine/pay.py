"""Hours paid for side jobs, and small jobs that grow: in numpy (the oracle) or compiled, the same bytes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

WEEKS_A_MONTH = np.float32(52 / 12)


class SmallJobs(NamedTuple):
    """The side row of those who hold one, and weekly hours: by how much they grow a month, and up to what (float32)."""

    held: int
    growth: np.float32
    most: np.float32


def pay(engine: str, paid: np.ndarray, hours: np.ndarray, side_row: np.ndarray, small: SmallJobs) -> None:
    """Add a month of weekly ``hours`` to ``paid``; then small jobs grow."""
    if engine == "numba":
        from .kernels import pay as compiled

        compiled(paid, hours, side_row, WEEKS_A_MONTH, *small)
        return
    np.add(paid, hours * WEEKS_A_MONTH, out=paid)
    held = np.flatnonzero(side_row == small.held)
    held = held[hours[held] > 0]
    hours[held] = np.minimum(hours[held] + small.growth, small.most)

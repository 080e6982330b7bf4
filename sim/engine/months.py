"""The month on table rows, in numpy (the oracle) or in one compiled pass: the same bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .streams import MULTIPLIERS, mix

ENGINES = ("auto", "numpy", "numba")
COMPILE_FROM = 100_000_000
"""Resident-months from which compiling (4-15 s once, 0.5 s from the cache) pays; measured by tests/benchmarks."""

_BLOCK = 8192


@dataclass(frozen=True)
class Events:
    """What one month drew: row numbers, ascending."""

    moved: np.ndarray
    """Rows that leave their state."""
    moved_to: np.ndarray
    """The column of the table in which each of them arrives, uint8; the draw that left also decides it."""
    side: np.ndarray
    """Rows whose side job starts or ends, and those whose limit is 1: the caller decides."""
    out: np.ndarray
    """Rows that leave their dwelling (or, grown-up children, their parents' home)."""
    due: np.ndarray
    """Rows whose table row must be renewed before the next month."""


def choose(engine: str, resident_months: int) -> str:
    """Return ``numpy`` or ``numba`` for a run of so many resident-months."""
    if engine == "auto":
        return "numba" if resident_months >= COMPILE_FROM else "numpy"
    return engine


class Risks(NamedTuple):
    """What a month depends on: for each row its entry in three tables of 32-bit thresholds.

    ``move_limits`` has a column for each destination, cumulated; ``move_threshold`` is its last one. ``side_row`` and
    ``out_row`` 0, whose threshold is 0: not at risk, or decided elsewhere. ``until`` is the month in which a row of
    the tables ends.
    """

    keys: np.ndarray
    row: np.ndarray
    until: np.ndarray
    side_row: np.ndarray
    out_row: np.ndarray
    move_threshold: np.ndarray
    move_limits: np.ndarray
    side_threshold: np.ndarray
    out_threshold: np.ndarray
    move_key: np.uint64
    side_key: np.uint64
    out_key: np.uint64
    month: int


class MonthPass:
    """One engine with the buffers it reuses from month to month."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self._buffers: tuple[np.ndarray, ...] = ()

    def __call__(self, risks: Risks) -> Events:
        """Draw the month for all rows."""
        if self.engine == "numpy":
            return _numpy_pass(risks)
        from .kernels import month_pass

        rows = len(risks.keys)
        if not self._buffers or len(self._buffers[0]) < rows:
            kinds = (np.int64, np.uint8, np.int64, np.int64, np.int64)
            self._buffers = tuple(np.empty(rows + rows // 8, dtype=kind) for kind in kinds)
        moved, to, side, out, due = self._buffers
        n_moved, n_side, n_out, n_due = month_pass(*risks, *MULTIPLIERS, moved, to, side, out, due)
        return Events(
            moved[:n_moved].copy(), to[:n_moved].copy(), side[:n_side].copy(), out[:n_out].copy(), due[:n_due].copy()
        )


def destination(limits: np.ndarray, row: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Return the destination, uint8, of those who leave rows ``row`` of the cumulated ``limits`` having drawn ``bits``.

    It is the first whose limit is above the draw.
    """
    return (bits[:, None] >= limits[row]).sum(axis=1).astype(np.uint8)


def _numpy_pass(risks: Risks) -> Events:
    top = np.uint64(32)
    keys, row = risks.keys, risks.row
    moved: list[np.ndarray] = []
    bits: list[np.ndarray] = []
    side: list[np.ndarray] = []
    out: list[np.ndarray] = []
    drawn = np.empty(_BLOCK, dtype=np.uint64)
    limit = np.empty(_BLOCK, dtype=np.uint64)
    shifted = np.empty(_BLOCK, dtype=np.uint64)
    others = (
        (risks.side_row, risks.side_threshold, risks.side_key, side),
        (risks.out_row, risks.out_threshold, risks.out_key, out),
    )
    for start in range(0, len(keys), _BLOCK):
        stop = min(start + _BLOCK, len(keys))
        x, shift = drawn[: stop - start], shifted[: stop - start]
        np.bitwise_xor(keys[start:stop], risks.move_key, out=x)
        for by, multiplier in zip((30, 27), MULTIPLIERS, strict=True):
            np.right_shift(x, np.uint64(by), out=shift)
            np.bitwise_xor(x, shift, out=x)
            np.multiply(x, multiplier, out=x)
        np.right_shift(x, np.uint64(31), out=shift)
        np.bitwise_xor(x, shift, out=x)
        np.right_shift(x, top, out=x)
        np.take(risks.move_threshold, row[start:stop], out=limit[: stop - start], mode="clip")
        hit = np.flatnonzero(x < limit[: stop - start])
        moved.append(hit + start)
        bits.append(x[hit])
        for entry, threshold, key, found in others:
            at_risk = np.flatnonzero(entry[start:stop])
            if len(at_risk):
                at_risk += start
                y = mix(keys[at_risk] ^ key) >> top
                found.append(at_risk[y < threshold[entry[at_risk]]])
    none = np.empty(0, dtype=np.int64)
    left = np.concatenate(moved) if moved else none
    drew = np.concatenate(bits) if bits else none.astype(np.uint64)
    return Events(
        left,
        destination(risks.move_limits, row[left], drew),
        np.concatenate(side) if side else none,
        np.concatenate(out) if out else none,
        np.flatnonzero(risks.until == risks.month + 1),
    )

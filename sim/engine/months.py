"""The month on table rows, in numpy (the oracle) or in one compiled pass: the same bytes."""

from __future__ import annotations

from dataclasses import dataclass

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
    moved_bits: np.ndarray
    """The 32 bits each of them drew; they also decide the destination."""
    side: np.ndarray
    """Rows whose side job starts or ends."""
    due: np.ndarray
    """Rows whose table row must be renewed before the next month."""


def choose(engine: str, resident_months: int) -> str:
    """Return ``numpy`` or ``numba`` for a run of so many resident-months."""
    if engine == "auto":
        return "numba" if resident_months >= COMPILE_FROM else "numpy"
    return engine


class MonthPass:
    """One engine with the buffers it reuses from month to month."""

    def __init__(self, engine: str, rows: int) -> None:
        self.engine = engine
        if engine == "numba":
            self._moved = np.empty(rows, dtype=np.int64)
            self._bits = np.empty(rows, dtype=np.uint64)
            self._side = np.empty(rows, dtype=np.int64)
            self._due = np.empty(rows, dtype=np.int64)

    def __call__(
        self,
        keys: np.ndarray,
        row: np.ndarray,
        until: np.ndarray,
        side_row: np.ndarray,
        move_threshold: np.ndarray,
        side_threshold: np.ndarray,
        move_key: np.uint64,
        side_key: np.uint64,
        month: int,
    ) -> Events:
        """Draw the month for all rows.

        ``row`` and ``side_row`` index the 32-bit thresholds (``side_row`` 0: no side job possible, or decided
        elsewhere); ``until`` is the month in which a row of the table ends.
        """
        if self.engine == "numba":
            from .kernels import month_pass

            moved, side, due = month_pass(
                keys,
                row,
                until,
                side_row,
                move_threshold,
                side_threshold,
                move_key,
                side_key,
                month,
                *MULTIPLIERS,
                self._moved,
                self._bits,
                self._side,
                self._due,
            )
            return Events(
                self._moved[:moved].copy(),
                self._bits[:moved].copy(),
                self._side[:side].copy(),
                self._due[:due].copy(),
            )
        return _numpy_pass(keys, row, until, side_row, move_threshold, side_threshold, move_key, side_key, month)


def _numpy_pass(
    keys: np.ndarray,
    row: np.ndarray,
    until: np.ndarray,
    side_row: np.ndarray,
    move_threshold: np.ndarray,
    side_threshold: np.ndarray,
    move_key: np.uint64,
    side_key: np.uint64,
    month: int,
) -> Events:
    top = np.uint64(32)
    moved: list[np.ndarray] = []
    bits: list[np.ndarray] = []
    side: list[np.ndarray] = []
    drawn = np.empty(_BLOCK, dtype=np.uint64)
    limit = np.empty(_BLOCK, dtype=np.uint64)
    shifted = np.empty(_BLOCK, dtype=np.uint64)
    for start in range(0, len(keys), _BLOCK):
        stop = min(start + _BLOCK, len(keys))
        x, shift = drawn[: stop - start], shifted[: stop - start]
        np.bitwise_xor(keys[start:stop], move_key, out=x)
        for by, multiplier in zip((30, 27), MULTIPLIERS, strict=True):
            np.right_shift(x, np.uint64(by), out=shift)
            np.bitwise_xor(x, shift, out=x)
            np.multiply(x, multiplier, out=x)
        np.right_shift(x, np.uint64(31), out=shift)
        np.bitwise_xor(x, shift, out=x)
        np.right_shift(x, top, out=x)
        np.take(move_threshold, row[start:stop], out=limit[: stop - start], mode="clip")
        hit = np.flatnonzero(x < limit[: stop - start])
        moved.append(hit + start)
        bits.append(x[hit])
        at_risk = np.flatnonzero(side_row[start:stop])
        if len(at_risk):
            at_risk += start
            y = mix(keys[at_risk] ^ side_key) >> top
            side.append(at_risk[y < side_threshold[side_row[at_risk]]])
    none = np.empty(0, dtype=np.int64)
    return Events(
        np.concatenate(moved) if moved else none,
        np.concatenate(bits) if bits else none.astype(np.uint64),
        np.concatenate(side) if side else none,
        np.flatnonzero(until == month + 1),
    )

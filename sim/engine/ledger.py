"""What happened to whom, when: an append-only table of events."""

from __future__ import annotations

import numpy as np

KINDS = ("state", "side_job", "dwelling")
"""Kinds of event; ``before`` and ``after`` are state codes, or 0 and 1 for a side job and for living in the area."""

_DTYPE = np.dtype(
    [("month", np.int16), ("row", np.int32), ("kind", np.uint8), ("before", np.uint8), ("after", np.uint8)]
)


class Ledger:
    """Events in the order they were added, month by month; what is added together stands by row."""

    def __init__(self) -> None:
        self._chunks: list[np.ndarray] = []

    def add(self, month: int, kind: str, rows: np.ndarray, before: np.ndarray | int, after: np.ndarray | int) -> None:
        """Append one event a row in ``rows``."""
        if not len(rows):
            return
        chunk = np.empty(len(rows), dtype=_DTYPE)
        chunk["month"] = month
        chunk["row"] = rows
        chunk["kind"] = KINDS.index(kind)
        chunk["before"] = before
        chunk["after"] = after
        self._chunks.append(chunk)

    def table(self) -> np.ndarray:
        """Return all events as one structured array (month, row, kind, before, after)."""
        return np.concatenate(self._chunks) if self._chunks else np.empty(0, dtype=_DTYPE)

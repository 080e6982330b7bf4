"""Arrays of one length that grow together, so that newcomers can be appended month after month."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

_ROOM = 1.25
"""How much larger the arrays are made each time they are full."""


class Growing:
    """Named columns; each is an attribute, a view on the filled part of a larger array.

    Appending replaces the views: hold the object, not its columns.
    """

    def __init__(self, kinds: Mapping[str, object]) -> None:
        self._kinds = {name: np.dtype(kind) for name, kind in kinds.items()}  # type: ignore[call-overload]
        self._room = {name: np.empty(0, dtype=kind) for name, kind in self._kinds.items()}
        self._filled = 0
        self._show()

    def __len__(self) -> int:
        return self._filled

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(self._kinds)

    def room(self, rows: int) -> dict[str, np.ndarray]:
        """Return, by column, the next ``rows`` entries, to be written before :meth:`append` takes them in."""
        self._make_room(rows)
        return {name: room[self._filled : self._filled + rows] for name, room in self._room.items()}

    def _make_room(self, rows: int) -> None:
        first, after = self._filled, self._filled + rows
        for name, room in self._room.items():
            if after > len(room):
                grown = np.empty(after if not first else int(_ROOM * after), dtype=room.dtype)
                grown[:first] = room[:first]
                self._room[name] = grown

    def append(self, rows: int, values: Mapping[str, np.ndarray | float]) -> np.ndarray:
        """Append ``rows`` rows and return their numbers.

        ``values`` has one entry a row, or one for all; columns it does not name keep what was written to their room.
        """
        self._make_room(rows)
        first, self._filled = self._filled, self._filled + rows
        self._show()
        for name, value in values.items():
            getattr(self, name)[first:] = value
        return np.arange(first, self._filled)

    def _show(self) -> None:
        for name, room in self._room.items():
            setattr(self, name, room[: self._filled])

"""The only randomness of the simulation: draws that belong to (seed, replicate, decision, month, resident).

A draw is a hash, not the next number of a generator: nobody else's draws, no order of calls, no chunk, thread, process
or machine can change it. A resident's *person key* mixes seed, replicate and id once; a *moment key* mixes decision,
month and occurrence; a draw is the mixed exclusive-or of the two (splitmix64's finaliser, all in 64-bit integers),
mixed once more with a *subject key* where the same is decided about several things.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

import numpy as np

from .growing import Growing

_MASK = (1 << 64) - 1
MULTIPLIERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
"""The two multipliers of the mixer; the compiled kernels get them as arguments."""
_NOTHING = np.empty(0, dtype=np.uint64)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""What ids are multiplied by before they are mixed."""


def mix(x: np.ndarray) -> np.ndarray:
    """Mix 64-bit integers in place and return them; every input bit reaches every output bit."""
    x ^= x >> np.uint64(30)
    x *= MULTIPLIERS[0]
    x ^= x >> np.uint64(27)
    x *= MULTIPLIERS[1]
    x ^= x >> np.uint64(31)
    return x


@lru_cache(maxsize=4096)
def moment_key(decision: str, month: int, occurrence: int = 0) -> np.uint64:
    """Return the 64-bit key of a decision in a month."""
    name = f"{decision}\x1f{month}\x1f{occurrence}".encode()
    return np.uint64(int.from_bytes(blake2b(name, digest_size=8).digest(), "little"))


def moment_keys(decisions: Sequence[str], month: int) -> np.ndarray:
    """Return the keys of some decisions in a month."""
    return np.array([moment_key(decision, month) for decision in decisions], dtype=np.uint64)


def subject_key(name: str) -> np.uint64:
    """Return the 64-bit key of something that the same decision is made about, such as an activity item."""
    return moment_key(f"about: {name}", 0)


def _luck(seed: int, replicate: int) -> np.uint64:
    name = f"{seed}\x1f{replicate}".encode()
    return np.uint64(int.from_bytes(blake2b(name, digest_size=8).digest(), "little"))


def person_keys(seed: int, replicate: int, ids: np.ndarray) -> np.ndarray:
    """Return one 64-bit key a resident, shape of ``ids``; the same id has the same key in every scenario."""
    return _keys(ids, _luck(seed, replicate))


def _keys(ids: np.ndarray, luck: np.ndarray | np.uint64) -> np.ndarray:
    keys = mix((np.asarray(ids, dtype=np.uint64) + np.uint64(1)) * GOLDEN)
    keys ^= luck
    return mix(keys)


class Stream(Growing):
    """The draws of some replicates over their residents.

    Rows number the residents of all replicates: first those of the start, block after block, ids ``first_id`` and on in
    each, then newcomers as they come. With one replicate the row of a resident of the start is its id (from 0).
    """

    ids: np.ndarray
    """Id of each row, the same in every scenario."""
    block: np.ndarray
    """Number of each row's replicate within the stack, from 0."""
    keys: np.ndarray
    """Person key of each row."""
    lucks: np.ndarray
    """What sets the replicates of the stack apart: one 64-bit number each."""

    def __init__(
        self, seed: int, replicates: range, residents: np.ndarray | int, first_id: int = 0, engine: str = "numpy"
    ) -> None:
        """Give rows to ``residents``: so many from ``first_id`` on, or the numbers to add to it."""
        super().__init__({"ids": np.int64, "block": np.int32, "keys": np.uint64})
        self.engine = engine
        self.seed = seed
        self.replicates = replicates
        numbers = np.arange(residents) if isinstance(residents, int) else residents
        self.residents = len(numbers)
        self.first_id = first_id
        self.lucks = np.array([_luck(seed, replicate) for replicate in replicates], dtype=np.uint64)
        ids = first_id + numbers.astype(np.int64)
        self.add(np.tile(ids, len(replicates)), np.repeat(np.arange(len(replicates)), len(ids)))

    def add(self, ids: np.ndarray, block: np.ndarray) -> np.ndarray:
        """Append residents by id and replicate (number in the stack) and return their rows."""
        return self.append(len(ids), {"ids": ids, "block": block, "keys": self.keys_of(ids, block)})

    @property
    def persons(self) -> np.ndarray:
        """A number for each row that the same person of the same replicate has in every scenario."""
        return self.ids * len(self.replicates) + self.block

    def keys_of(self, ids: np.ndarray, block: np.ndarray) -> np.ndarray:
        """Return the person keys of ids that need not have a row yet."""
        return _keys(ids, self.lucks[block])

    def bits(
        self, decision: str, month: int, rows: np.ndarray, occurrence: int = 0, subject: np.ndarray | None = None
    ) -> np.ndarray:
        """Return 64 random bits a row; ``subject`` (subject keys, one a row) tells what each decides about."""
        moment = moment_key(decision, month, occurrence)
        if self.engine == "numba":
            from .kernels import draw_bits

            subjects = _NOTHING if subject is None else subject
            bits: np.ndarray = draw_bits(self.keys, rows, moment, subjects, *MULTIPLIERS)
            return bits
        keys = self.keys.take(rows)
        keys ^= moment
        mix(keys)
        if subject is not None:
            keys ^= subject
            mix(keys)
        return keys

    @staticmethod
    def draw_with(keys: np.ndarray, decisions: Sequence[str], month: int) -> np.ndarray:
        """Return uniforms in [0, 1), one row a decision: what people of these ``keys`` get in :meth:`draw`."""
        moments = moment_keys(decisions, month)
        return (mix(keys ^ moments[:, None]) >> np.uint64(11)) * 2.0**-53

    def draw(
        self, decision: str, month: int, rows: np.ndarray, occurrence: int = 0, subject: np.ndarray | None = None
    ) -> np.ndarray:
        """Return a uniform in [0, 1) a row, 53 bits fine.

        ``decision`` names what is decided, ``month`` counts from the start of the run, ``rows`` are resident rows
        (resident ids when there is one replicate); ``occurrence`` tells repeated decisions of a month apart, and
        ``subject`` (subject keys, one a row) the same decision about different things.

        >>> import numpy as np
        >>> stream = Stream(seed=1, replicates=range(1), residents=5)
        >>> bool(stream.draw("move", 3, np.array([2]))[0] == stream.draw("move", 3, np.array([4, 2]))[1])
        True
        """
        return (self.bits(decision, month, rows, occurrence, subject) >> np.uint64(11)) * 2.0**-53


def hazard_threshold(hazard: np.ndarray) -> np.ndarray:
    """Return the 32-bit thresholds of an event of monthly ``hazard`` happening within a month."""
    return threshold(-np.expm1(-hazard))


def threshold(probability: np.ndarray) -> np.ndarray:
    """Return the 32-bit thresholds of probabilities: an event happens when the top 32 bits of a draw are below."""
    return np.minimum(np.rint(np.asarray(probability) * 2.0**32), 2.0**32).astype(np.uint64)

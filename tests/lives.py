"""Lives of several runs held against each other, by name (rows of newcomers differ between runs) and in number."""

import numpy as np
from scipy.stats import t

from sim import AreaModel
from sim.comparison import NOT_COMPARED

_REPLICATES = 100_000


def names(model: AreaModel) -> np.ndarray:
    """Return a number for each row that tells replicate and id, shape (rows,)."""
    replicate = np.array(model.stream.replicates)[model.stream.block]
    return model.stream.ids * _REPLICATES + replicate


def common(a: AreaModel, b: AreaModel) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the people who exist in both runs, in the same order."""
    _, mine, yours = np.intersect1d(names(a), names(b), assume_unique=True, return_indices=True)
    return mine, yours


def events(model: AreaModel, rows: np.ndarray) -> np.ndarray:
    """Return what the ledger holds of ``rows``, in a fixed order, with names instead of row numbers."""
    table = model.ledger.table()
    mine = table[np.isin(table["row"], rows)]
    found = np.column_stack([names(model)[mine["row"]], *(mine[k].astype(np.int64) for k in mine.dtype.names[2:])])
    found = np.column_stack([mine["month"].astype(np.int64), found])
    return found[np.lexsort(found.T[::-1])]


def columns(model: AreaModel) -> dict[str, np.ndarray]:
    """Return the columns that are part of a life."""
    return {name: getattr(model.population, name) for name in model.population.names if name not in NOT_COMPARED}


def assert_same_lives(
    a: AreaModel, b: AreaModel, mine: np.ndarray, yours: np.ndarray, but: tuple[str, ...] = ()
) -> None:
    """Assert that rows ``mine`` of ``a`` and ``yours`` of ``b`` lived one life: all events, all columns but ``but``."""
    np.testing.assert_array_equal(names(a)[mine], names(b)[yours])
    there = columns(b)
    for name, column in columns(a).items():
        if name not in but:
            np.testing.assert_array_equal(column[mine], there[name][yours], err_msg=name)
    np.testing.assert_array_equal(events(a, mine), events(b, yours))


def reached(model: AreaModel, rows: np.ndarray) -> np.ndarray:
    """Return whom a changed life of ``rows`` can reach, a flag a row, told dwelling by dwelling.

    Themselves; and when one of them is a head, the household and everybody who lives in the dwelling after it.
    """
    people, block = model.population, model.stream.block
    found = np.zeros(len(people), dtype=bool)
    found[rows] = True
    for row in rows:
        if people.head[row] == row:
            same = (people.dwelling == people.dwelling[row]) & (block == block[row])
            found |= same & (people.occupant >= people.occupant[row])
    return found


def not_fewer(more: np.ndarray, fewer: np.ndarray) -> None:
    """Assert that the paired difference is nowhere significantly below zero (one-sided, one in a thousand)."""
    d = more.astype(float) - fewer
    assert d.mean() >= -t.ppf(0.999, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d))


def surely_more(more: np.ndarray, fewer: np.ndarray) -> None:
    """Assert that the paired difference is significantly above zero (one-sided, one in a thousand)."""
    d = more.astype(float) - fewer
    assert d.mean() > t.ppf(0.999, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d))

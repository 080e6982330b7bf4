"""Who leaves a dwelling and who moves in: moving out by dwelling, age and work, and the ids of newcomers.

A household leaves when its head does; grown-up children also leave by themselves. The two published turnover rates are
the means over households; age and work only say who leaves more often.
"""

from __future__ import annotations

import numpy as np

from .parameters import ParameterSet
from .states import AGE_CLASSES

_AGES = len(AGE_CLASSES)
FAMILY, YOUTH, CHILD = range(3)
"""Who may leave: the head of a household in a family or a youth dwelling, and a grown-up child."""
N_OUT_ROWS = 1 + 3 * _AGES * 2

MOST_MEMBERS = 16
_HOUSEHOLDS = 10_000_000
"""Most dwellings of an area; with it the id of a newcomer is readable: occupant, dwelling and member side by side."""


AREA_IDS = 1 << 44
"""Ids of a further area of the same run begin at a multiple of this."""


def newcomer_ids(dwelling: np.ndarray, occupant: np.ndarray, member: np.ndarray | int) -> np.ndarray:
    """Return the ids of newcomers: the same household moves into the same dwelling in every scenario.

    ``occupant`` counts the households of a dwelling, 0 for those who live there at the start (they have smaller ids).
    """
    return (occupant.astype(np.int64) * _HOUSEHOLDS + dwelling) * MOST_MEMBERS + member


def out_row(kind: np.ndarray, age_class: np.ndarray, employed: np.ndarray) -> np.ndarray:
    """Return the row of the moving-out table, uint8: 1 and on, by kind, age class and whether employed."""
    return (1 + (kind.astype(np.int64) * _AGES + age_class) * 2 + employed).astype(np.uint8)


def _factors(parameters: ParameterSet) -> np.ndarray:
    """Return how much more often heads (18 or more) leave, by age class and work, before the mean is set."""
    by_age = np.ones(_AGES)
    for code, age in enumerate(AGE_CLASSES[2:], start=2):
        by_age[code] = parameters.value(f"moving_factor_{age.key.replace('-', '_').rstrip('+')}")
    return by_age[:, None] * np.array([1.0, parameters.value("moving_factor_employed")])


def moving_hazards(
    parameters: ParameterSet, youth: np.ndarray, age_class: np.ndarray, employed: np.ndarray
) -> np.ndarray:
    """Return monthly hazards of leaving, by row of :func:`out_row` (0: nobody).

    ``youth`` (dwelling), ``age_class`` and ``employed`` describe the heads of the recipe: over them the mean rate of
    leaving is that of the card (moves a dwelling and year), whatever the factors.
    """
    factors = _factors(parameters)
    table = np.zeros((3, _AGES, 2))
    for kind, id in ((FAMILY, "move_out_family_dwelling"), (YOUTH, "move_out_youth_dwelling")):
        mine = youth == (kind == YOUTH)
        if mine.any():
            of_heads = factors[age_class[mine], employed[mine].astype(np.int64)]
            table[kind] = parameters.value(id) / 12 * factors / of_heads.mean()
    for code, age in enumerate(AGE_CLASSES):
        if age.key in ("18-19", "20-24", "25-50"):
            table[CHILD, code] = parameters.value(f"leave_home_{age.key.replace('-', '_')}")
    return np.concatenate([[0.0], table.ravel()])

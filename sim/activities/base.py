"""What all courses have in common: what can happen to a resident, who says yes more often, how far channels reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import numpy as np

from ..population import Population
from ..states import ORIGINS, SEXES

NEW, HANDED, WAITING, ENROLLED, DONE, UNSERVED = range(6)
"""Where a resident stands with an activity: not referred yet, promised a place in next month's queue, in the queue,
enrolled, through with it (or said no), gave up or lost the place in the queue."""

THEN: Final = {
    "referred": NEW,
    "declined": DONE,
    "queued": WAITING,
    "gave_up": UNSERVED,
    "left_queue": UNSERVED,
    "enrolled": ENROLLED,
    "completed": DONE,
    "dropped_out": DONE,
    "left_target_group": DONE,
    "closed": DONE,
}
"""What can happen to a resident in a course, and where that leaves the resident with the activity."""
EVENTS: Final = tuple(THEN)
"""The events in the order of their codes."""
CODE_OF: Final = {event: code for code, event in enumerate(EVENTS)}

PARENT_TRANSFER: Final = 4
"""Flag in a youth's ``parents``: a parent at home has transfer income."""

TRAITS: Final[Mapping[str, Callable[[Population, np.ndarray | slice], np.ndarray]]] = {
    "selection_non_western": lambda people, rows: people.origin[rows] == ORIGINS.index("non_western"),
    "selection_men": lambda people, rows: people.sex[rows] == SEXES.index("men"),
    "selection_parent_transfer": lambda people, rows: (people.parents[rows] & PARENT_TRANSFER) > 0,
    "selection_low_propensity": lambda people, rows: people.frailty[rows] == 0,
}
"""Who says yes more often: the parameter holding the odds ratio, and whether each of the rows has the trait."""

SELECTION_AGE: Final = "selection_age_"
"""``selection_age_<years>`` is the hazard ratio from that age up to the next one given, the first below it too."""

OLDEST = (1 + 120) * 12
"""An age in months beyond every target group."""

NEVER = 30_000
"""A month that never comes, in 16 bits."""

FADED: Final = 10
"""Half-lives after which an effect is dropped: less than a thousandth is left."""


class QueueMonth(NamedTuple):
    """One month of a course: stocks at its end and flows in it, each an array over replicates."""

    month: int
    places: int
    enrolled: np.ndarray
    waiting: np.ndarray
    referred: np.ndarray
    started: np.ndarray
    completed: np.ndarray
    dropped_out: np.ndarray
    gave_up: np.ndarray
    declined: np.ndarray
    left_queue: np.ndarray
    left_target_group: np.ndarray
    closed: np.ndarray


class Shifts(NamedTuple):
    """Residents whose side-job hazards an activity shifts now, and by how much (log hazard ratios)."""

    rows: np.ndarray
    start: np.ndarray
    end: np.ndarray


def cumulated_reach(values: Mapping[str, float], ages: tuple[int, int]) -> np.ndarray:
    """Return the monthly hazards of being reached, summed over all ages in months below the index.

    The hazard is the sum of the channels' reach times the ratio of the age; there is none outside ``ages`` (months).
    """
    by_age = np.ones(OLDEST)
    given = sorted((int(id.removeprefix(SELECTION_AGE)), id) for id in values if id.startswith(SELECTION_AGE))
    for place, (age, id) in enumerate(given):
        by_age[12 * age if place else 0 :] = values[id]
    by_age[: ages[0]] = by_age[ages[1] :] = 0
    reach = sum(value for id, value in values.items() if id.startswith("reach_"))
    return np.concatenate([[0.0], np.cumsum(reach * by_age)])

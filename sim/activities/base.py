"""What all courses have in common: what can happen to a resident, who says yes more often, how far channels reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ..states import MOVES, ORIGINS, PHASE_CODE, PHASES, SEXES, STATES

if TYPE_CHECKING:
    from ..population import Population

NEW, HANDED, WAITING, ENROLLED, DONE, UNSERVED = range(6)
"""Where a resident stands with an activity: not referred yet (0, so that fresh memory says so), promised a place in
next month's queue, in the queue, enrolled, through with it (or said no), gave up or lost the place in the queue."""

UNCHANGED: Final = 255
"""Instead of a standing: the event leaves it as it is."""

CLARIFIED: Final = {
    "clarified_flex_job": "flex_job",
    "clarified_pension": "disability_pension",
    "clarified_closer": "job_ready",
    "clarified_none": "",
}
"""Events of clarification, and the state each leads to; the last one changes nothing."""

ASIDE: Final = ("contacted", "covered")
"""Events that are no step on the resident's own way through the activity: met by a participant, under a lever in force,
helped through the partner."""

OUTCOMES: Final = ("clarified_to_flex_job", "clarified_to_pension", "clarified_closer")
"""Numbers that hold the shares of the clarified with each outcome, in the order of ``CLARIFIED``; the rest: none."""

THEN: Final = {
    "referred": UNCHANGED,
    "declined": DONE,
    "queued": WAITING,
    "gave_up": UNSERVED,
    "left_queue": UNSERVED,
    "enrolled": ENROLLED,
    "completed": DONE,
    "dropped_out": DONE,
    "left_target_group": DONE,
    "closed": DONE,
    **dict.fromkeys(CLARIFIED, DONE),
    "took_opening": DONE,
    **dict.fromkeys(ASIDE, UNCHANGED),
}
"""What can happen to a resident in a course, and where that leaves the resident with the activity."""
EVENTS: Final = tuple(THEN)
"""The events in the order of their codes."""
CODE_OF: Final = {event: code for code, event in enumerate(EVENTS)}

FORMS: Final = ("placement", "group", "individual", "public")
"""What a closure does to an activity: a placement is suspended, groups and talks go on virtually, others go on."""

KINDS: Final = ("course", "opening", "lever")
"""How an activity acts: people take part for a time; they take a job or a place that is offered; nobody takes part."""

PRIORITIES: Final = ("first_come", "longest_in_state", "most_barriers", "youngest", "oldest")
"""Whose turn comes first in a queue."""

GIVES: Final = ("employed", "small_job", "leisure_job", "flex_job", "in_education", "activation")
"""What an opening can be."""


class Channel(NamedTuple):
    """A way of hearing of an activity: its names, and the states in which it reaches people."""

    label_da: str
    label_en: str
    states: tuple[str, ...]

    def label(self, lang: str) -> str:
        """Return the channel's name in ``lang``."""
        return self.label_da if lang == "da" else self.label_en


_PUPILS: Final = ("basic_school", "in_education")
_RECIPIENTS: Final = ("job_ready", "activity_ready", "activation")
_EVERYBODY: Final = tuple(state.key for state in STATES if state.key != "gone")

CHANNELS: Final = {
    "school": Channel("skole og vejledning", "school and guidance", _PUPILS),
    "clubs": Channel("klubber og væresteder", "clubs and drop-in centres", (*_PUPILS, "self_supporting")),
    "caseworker": Channel("sagsbehandleren", "the caseworker", (*_RECIPIENTS, "other_benefit")),
    "outreach": Channel(
        "kendte medarbejdere i området",
        "known staff in the area",
        (*_RECIPIENTS, "other_benefit", "self_supporting", "disability_pension", "flex_job", "employed"),
    ),
    "campaign": Channel("kampagner og opslag", "campaigns and notices", _EVERYBODY),
    "word_of_mouth": Channel("venner og naboer", "friends and neighbours", _EVERYBODY),
}
"""How people hear of activities. Which states a channel reaches is a reading of the sources (assumption)."""

LEISURE_KINDS: Final = ("start", "end")
SMALL_KINDS: Final = ("small_job_start", "small_job_end")
PASSAGES: Final = ("small_job_to_employed", "small_job_to_self_supporting")
"""Hazards of those who hold a small job: what is added to the hazard of going on to work or to self-support."""
MOVES_OF: Final = {
    f"{left}_to_{entered}": (left, entered)
    for left, entered in dict.fromkeys(
        (PHASES[PHASE_CODE[move.origin]].state, PHASES[PHASE_CODE[move.to]].state) for move in MOVES
    )
    if left != entered and entered != "gone"
}
"""Moves between states on which effects can be, by name: (state left, state entered)."""

DIGEST_STATES: Final[Mapping[str, tuple[str, ...]]] = {
    "basic_school": ("basic_school",),
    "education": ("in_education",),
    "neet": ("self_supporting",),
    "education_help": ("job_ready", "activity_ready"),
    "benefit_job_ready": ("job_ready",),
    "benefit_activity_ready": ("activity_ready",),
    "spouse_supported": ("self_supporting",),
    "activation": ("activation",),
    "company_placement": ("activation",),
    "employment": ("employed",),
    "self_employment": ("employed",),
    "flex_job": ("flex_job",),
    "disability_pension": ("disability_pension",),
    "sick_leave": ("other_benefit",),
    "leisure_job": ("basic_school", "in_education"),
    "small_job": ("job_ready", "activity_ready", "activation"),
    "out_of_area": (),
    "volunteering": (),
}
"""States of ``activities.yaml`` as states of the model. A leisure job and a small job are side jobs in those states,
leaving the area is no state, and volunteering is taking part and nothing more."""

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
    clarified_flex_job: np.ndarray
    clarified_pension: np.ndarray
    clarified_closer: np.ndarray
    clarified_none: np.ndarray
    took_opening: np.ndarray
    contacted: np.ndarray
    covered: np.ndarray


class Shifts(NamedTuple):
    """Residents whose side-job hazards an activity shifts now, and by how much (log hazard ratios)."""

    rows: np.ndarray
    start: np.ndarray
    end: np.ndarray


def age_bands(values: Mapping[str, float], ages: tuple[int, int]) -> list[tuple[int, float]]:
    """Return the ratios of the hazard of being reached by age: (age in months at which a band ends, ratio).

    The youngest come first; outside ``ages`` (months) nobody is reached.
    """
    given = sorted((int(id.removeprefix(SELECTION_AGE)), id) for id in values if id.startswith(SELECTION_AGE))
    firsts = [0, *(12 * age for age, _ in given[1:])]
    ratios = [values[id] for _, id in given] or [1.0]
    limits = [*firsts[1:], OLDEST]
    bands = [(ages[0], 0.0)]
    for limit, ratio in zip(limits, ratios, strict=True):
        if limit > bands[-1][0] and bands[-1][0] < ages[1]:
            bands.append((min(limit, ages[1]), ratio))
    return [*bands, (OLDEST, 0.0)]

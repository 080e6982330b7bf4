"""Courses among made-up people: just the columns that courses read, and items whose every number a test can set."""

from collections.abc import Mapping, Sequence

import numpy as np

from sim import Scenario
from sim.activities import ActivityType, catalogue
from sim.activities.base import PRIORITIES
from sim.activities.programme import Course, Programme
from sim.engine.streams import Stream
from sim.scenario import ActivityPlan, Closure, month_number
from sim.states import BARRIERS, CODE, ORIGINS, SEXES

START = month_number("2011-12")
OWN = ("places", "start", "end", "priority", "missing_drivers", "hindrances")
"""What is said of an item that is no parameter of its activity."""


class Folk:
    """Residents who never move by themselves: women of 30 on cash benefit, activity-ready, unless told otherwise."""

    def __init__(self, rows: int, **columns: object) -> None:
        kinds = {
            "birth": (np.int16, -30 * 12),
            "sex": (np.uint8, SEXES.index("women")),
            "origin": (np.uint8, ORIGINS.index("non_western")),
            "state": (np.uint8, CODE["activity_ready"]),
            "side_hours": (np.float32, 0),
            "parents": (np.uint8, 0),
            "barriers": (np.uint8, 0),
            "frailty": (np.uint8, 0),
            "since": (np.int16, 0),
            "in_area": (np.bool_, True),
            "partners": (np.int64, -1),
        }
        for name, (kind, usual) in kinds.items():
            column = np.empty(rows, dtype=kind)
            column[:] = columns.pop(name, usual)
            setattr(self, name, column)
        assert not columns, columns

    def __len__(self) -> int:
        return len(self.state)

    def partner(self, rows: np.ndarray) -> np.ndarray:
        return self.partners[rows]

    def put(self, rows: object, state: str) -> None:
        """Let ``rows`` come into ``state``."""
        self.state[rows] = CODE[state]


def ages_of(activity: ActivityType) -> tuple[float, float]:
    """Return the first and the last age (years) of an activity's people; any where it has none of its own."""
    cards = activity.parameters
    return (cards["age_from"].value, cards["age_to"].value) if "age_from" in cards else (18.0, 64.0)


def suiting(activity: ActivityType, rows: int, **columns: object) -> Folk:
    """Return ``rows`` people of the target group of ``activity``, but for what ``columns`` say."""
    group = activity.eligibility
    barriers = 1 << BARRIERS.index(group.barriers[0]) if group.barriers else 0
    fits = {
        "state": CODE[group.states[0]],
        "sex": SEXES.index(group.sex or "women"),
        "origin": ORIGINS.index(group.origins[0] if group.origins else "danish"),
        "barriers": barriers,
        "birth": -int(12 * sum(ages_of(activity)) / 2),
    }
    return Folk(rows, **{**fits, **columns})


def plan(activity: str, id: str = "", sure: bool = True, **given: object) -> ActivityPlan:
    """Return an item with 1,000 places for ten years; ``sure``: all are reached at once, say yes, and stay."""
    cards = catalogue()[activity].parameters
    own = {name: given.pop(name) for name in OWN if name in given}
    values = {name: card.value for name, card in cards.items()}
    certain = {"take_up": 1.0, "attrition_per_month": 0.0, "duration_months": 120, "patience_months": 1200.0}
    certain |= dict.fromkeys((name for name in cards if name.startswith("reach_") and name != "reach_factor"), 20.0)
    if sure:
        values |= {name: value for name, value in certain.items() if name in cards}
        values |= {name: 1.0 for name in cards if name.startswith("selection_")}
    assert given.keys() <= values.keys(), given.keys() - values.keys()
    usual = {"places": 1000, "start": "2012-01", "end": "2021-12"}
    return ActivityPlan(id or activity, activity, values={**values, **given}, **{**usual, **own})


def reach_of(activity: str, reach: float) -> dict[str, object]:
    """Return the hazards of being reached by each channel of ``activity``, all ``reach``."""
    return {id: reach for id in catalogue()[activity].parameters if id.startswith("reach_") and id != "reach_factor"}


def programme(
    plans: Sequence[ActivityPlan], people: Folk, closures: Sequence[Closure] = (), seed: int = 1, replicates: int = 1
) -> Programme:
    """Return the courses of ``plans`` among ``people``."""
    stream = Stream(seed, range(replicates), len(people) // replicates)
    return Programme(plans, stream, START, len(people), closures, 120)


def live(courses: Programme, people: Folk, months: int, first: int = 1) -> None:
    """Let months ``first`` to ``months`` pass."""
    for month in range(first, months + 1):
        courses.run_month(month, people)


def shift(courses: Programme, name: str, month: int, people: Folk) -> np.ndarray:
    """Return what courses add to everybody's log hazard of ``name`` in ``month``."""
    everybody = np.arange(len(people))
    side = ("start", "end", "small_job_start", "small_job_end")
    if name in side:
        return courses.shifts(month, everybody)[side.index(name)]
    if name not in courses.moves:
        return np.zeros(len(people))
    return courses.move_shifts(month, everybody)[courses.moves.index(name)]


def course_of(courses: Sequence[Course], id: str) -> Course:
    (found,) = (course for course in courses if course.plan.id == id)
    return found


def rows_of(course: Course, *events: str) -> list[int]:
    """Return the rows to which any of ``events`` happened in a course, in the order it happened."""
    return [row for event, _, rows in course.events() if event in events for row in rows.tolist()]


def record(courses: Programme) -> np.ndarray:
    """Return all that happened in courses, shape (4, entries): month, event, course by its id, row, as it happened."""
    parts = [np.stack([np.full(len(rows), month), code, course, rows]) for month, code, course, rows in courses.log]
    return np.concatenate(parts, axis=1) if parts else np.empty((4, 0), dtype=np.int64)


def months_of(course: Course, event: str) -> dict[int, int]:
    """Return the month of ``event`` by row; it happens to nobody twice."""
    found: dict[int, int] = {}
    for name, month, rows in course.events():
        if name == event:
            assert not found.keys() & set(rows.tolist())
            found |= dict.fromkeys(rows.tolist(), month)
    return found


def rich(contacts: float = 0.3) -> dict[str, dict[str, object]]:
    """Return an item for each activity of the catalogue, every mechanic in use and every effect other than zero."""
    usual: dict[str, object] = {
        "additional_share": 0.4,
        "reach_factor": 1.5,
        "clarification_per_month": 0.05,
        "clarified_to_flex_job": 0.3,
        "clarified_to_pension": 0.2,
        "clarified_closer": 0.2,
        "contacts_per_month": contacts,
        "staff": 1,
        "caseload_per_staff": 5,
        "relation_months": 4,
        "staff_turnover_per_month": 0.05,
        "survival_share": 0.5,
        "reward_elasticity": 0.5,
        "duration_months": 4,
        "take_up": 0.7,
        "virtual_quality": 0.4,
    }
    found: dict[str, dict[str, object]] = {}
    for at, (key, activity) in enumerate(catalogue().items()):
        cards = activity.parameters
        item = {id: value for id, value in usual.items() if id in cards}
        item |= {id: 0.3 + at / 500 for id in cards if id.startswith(("effect_", "eases_"))}
        item |= {id: 0.06 for id in cards if id.startswith("reach_") and id != "reach_factor"}
        item |= {"missing_drivers": [p.id for p in activity.drivers[:1]]}
        if activity.kind != "lever":
            item["priority"] = PRIORITIES[at % len(PRIORITIES)]
        item |= {"places": 8, "end": "2013-06"} if activity.kind != "lever" else {}
        found[key] = item
    return found


def with_items(base: Scenario, items: Mapping[str, Mapping[str, object]], events: Sequence[object] = ()) -> Scenario:
    """Return ``base`` with activities by id, all at once, and events, under an id of its own."""
    data = base.resolved() | {"id": "with_items"}
    data["activities"] = [{"id": id, "activity": id, **item} for id, item in items.items()]
    data["events"] = list(events)
    return Scenario.from_resolved(data)

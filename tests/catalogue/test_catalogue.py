"""One battery for every activity, state, move, measure, parameter and shipped scenario: new ones are tested at once."""

import contextlib
import dataclasses
import io
import itertools
import json
import math
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from courses import ages_of, course_of, programme, rich, shift, suiting, with_items
from courses import plan as plan_of
from courses import rows_of as told
from lives import assert_same_lives, common, reached
from ruamel.yaml import YAML

import run
from calibration.point_fits import leisure_job_shares
from calibration.structures import STRUCTURES
from sim import AreaModel, Scenario, ensemble
from sim.activities import ActivityType, catalogue, families
from sim.activities.base import CHANNELS, CLARIFIED, DIGEST_STATES, EVENTS, FORMS, KINDS
from sim.chain import side_job_path
from sim.demand import YEARS as DEMAND_YEARS
from sim.demand import demand
from sim.draws import path_of
from sim.locale import LANGUAGES, text
from sim.measures import GROUPINGS, MEASURES, VIEWS, Measure
from sim.parameters import GRADES, RIVALS, UNITS, Parameter, ParameterSet
from sim.recipe import RECIPES
from sim.recipe import recipe as people_of
from sim.results import Result
from sim.scenario import json_schema, list_scenarios, month_number, with_drawn
from sim.sources import ASSUMPTION, EVIDENCE, PARAMETER_SETS, activity_keys, source_of
from sim.states import (
    ACTIVATION_OF,
    AGE_CLASSES,
    BARRIERS,
    LIKE,
    MOVES,
    ORIGINS,
    PHASE_CODE,
    PHASES,
    SEXES,
    STATE_KEYS,
    STATES,
    Move,
    State,
)
from sim.transitions import (
    CELLS,
    DATED,
    FIRST_CELL,
    N_STRATA,
    Tables,
    duration_labels,
    hazards,
    probabilities,
)

ACTIVITIES = list(catalogue().values())
SCENARIOS = list_scenarios()
SETS = ParameterSet.names()
SHARED_CARDS = [
    pytest.param(card, id=f"{name}-{card.id}") for name in SETS for card in ParameterSet.read(name).values()
]
ACTIVITY_CARDS = [
    pytest.param(card, id=f"{activity.key}-{card.id}")
    for activity in ACTIVITIES
    for card in activity.parameters.values()
]
NOT_YET_ENTERED = {"flex_job"}
"""States that no recipe and no move fills until their rates have sources; they are reported as empty."""
YEARS = range(2011, 2021)
RESIDENTS, MONTHS, PLACES = 600, 18, 25
DIGEST = {entry["key"]: entry for entry in YAML(typ="safe", pure=True).load(EVIDENCE / "activities.yaml")["activities"]}
"""What the evidence book says of each activity."""

by_key = pytest.mark.parametrize("activity", ACTIVITIES, ids=lambda activity: activity.key)


def test_every_battery_has_cases():
    batteries = {
        "activities": ACTIVITIES,
        "states": STATES,
        "phases": PHASES,
        "moves": MOVES,
        "measures": MEASURES,
        "structures": SETS,
        "parameters": SHARED_CARDS,
        "activity parameters": ACTIVITY_CARDS,
        "scenarios": SCENARIOS,
    }
    assert {name: len(cases) for name, cases in batteries.items() if not cases} == {}
    assert len(ACTIVITY_CARDS) >= len(ACTIVITIES)


def assert_worded(thing: object, *names: str) -> None:
    """Every text of ``thing`` exists in both languages."""
    for name in names:
        texts = [getattr(thing, f"{name}_{lang}") for lang in LANGUAGES]
        assert all(isinstance(text, str) and text == text.strip() and text for text in texts), (thing, name)


def assert_distinct(texts: list[str]) -> None:
    assert len(set(texts)) == len(texts), sorted(text for text in set(texts) if texts.count(text) > 1)


# --- activities


def numbers(activity: ActivityType, known: float, **others: float) -> dict[str, object]:
    """Return an item that many hear of (``known``, a hazard a channel) and many leave soon.

    ``others`` holds numbers by the beginning of their ids: ``effect_=0.0`` are all effects.
    """
    found: dict[str, object] = {} if activity.kind == "lever" else {"places": PLACES}
    usual = {"take_up": 0.8, "duration_months": 4, "bridge_probability": 0.0, "contacts_per_month": 0.0, **others}
    for id in activity.parameters:
        if id.startswith("reach_") and id != "reach_factor":
            found[id] = known
        found.update((id, value) for name, value in usual.items() if id.startswith(name))
    return found


NO_DOSE = {
    "effect_": 0.0,
    "eases_": 0.0,
    "additional_share": 0.0,
    "reach_factor": 1.0,
    "clarification_per_month": 0.0,
    "reward_elasticity": 0.0,
}
DOSE = {
    "effect_": 1.5,
    "eases_": 1.0,
    "additional_share": 0.5,
    "reach_factor": 2.0,
    "clarification_per_month": 0.2,
    "clarified_to_flex_job": 0.6,
    "reward_elasticity": 2.0,
}


def area(months: int = MONTHS, residents: int = RESIDENTS) -> Scenario:
    return Scenario.read("baseline", [f"population.residents={residents}", f"horizon.months={months}"])


def run_through(scenario: Scenario) -> AreaModel:
    model = AreaModel(scenario, seed=3, replicate=range(2))
    for _ in range(scenario.months):
        model.step()
    return model


@cache
def untouched() -> AreaModel:
    """The area without activities: the same residents and luck every time."""
    return run_through(area())


@cache
def alone(key: str) -> AreaModel:
    """The area with one activity, strong in every way it has."""
    return run_through(with_items(area(), {key: numbers(catalogue()[key], 0.15, **DOSE)}))


@cache
def idle() -> AreaModel:
    """All activities that fill no week at once, none with any effect; participants still meet and are handed over."""
    none = {**NO_DOSE, "contacts_per_month": 0.5, "bridge_probability": 0.5}
    return run_through(with_items(area(), {a.key: numbers(a, 0.15, **none) for a in ACTIVITIES if not a.occupies}))


@cache
def without_places() -> AreaModel:
    """All activities that have places at once, with none and every effect; levers have no places, so none of them."""
    items = {a.key: numbers(a, 0.15, **DOSE) | {"places": 0} for a in ACTIVITIES if a.kind != "lever"}
    return run_through(with_items(area(), items))


def batches() -> list[list[ActivityType]]:
    """Share the activities with places out to runs in which none changes who is referred to another.

    Openings and offers that fill the week move people between states: each has a run of its own. Who is in a course is
    not referred to the one that follows it, so no run has both.
    """
    found: list[list[ActivityType]] = []
    for activity in (a for a in ACTIVITIES if a.kind == "course" and not a.occupies):
        linked = {*activity.follow_on, *(a.key for a in ACTIVITIES if activity.key in a.follow_on)}
        batch = next((batch for batch in found if not linked & {a.key for a in batch}), None)
        if batch is None:
            found.append([activity])
        else:
            batch.append(activity)
    return [*found, *([a] for a in ACTIVITIES if a.kind == "opening" or a.occupies)]


@cache
def served(places: int) -> dict[str, np.ndarray]:
    """Return how many got a place in each activity, by replicate, when each has ``places``."""
    found = {}
    for batch in batches():
        dose = {a.key: {"additional_share": 0.5} if a.kind == "opening" else {} for a in batch}
        items = {a.key: numbers(a, 0.1, **{**NO_DOSE, **dose[a.key]}) | {"places": places} for a in batch}
        model = run_through(with_items(area(), items))
        for course in model.courses:
            rows = np.array(told(course, "enrolled", "took_opening"), dtype=np.int64)
            found[course.plan.id] = np.bincount(model.stream.block[rows], minlength=2)
    return found


def rows_of(model: AreaModel, *events: str) -> np.ndarray:
    """Return the rows to which any of ``events`` happened; without events, everybody in any record."""
    found = [rows for course in model.courses for event, _, rows in course.events() if event in events or not events]
    return np.unique(np.concatenate([np.empty(0, dtype=np.int64), *found]))


def assert_all_same(model: AreaModel, other: AreaModel, but: tuple[str, ...] = ()) -> None:
    mine, yours = common(model, other)
    assert len(mine) == len(model.population) == len(other.population)
    assert_same_lives(model, other, mine, yours, but)
    np.testing.assert_array_equal(model.ledger.table(), other.ledger.table())
    np.testing.assert_array_equal(np.array(model.counts), np.array(other.counts))


def test_every_activity_of_the_evidence_book_is_declared():
    assert len(DIGEST) == 70
    assert catalogue().keys() == DIGEST.keys() == activity_keys()


@by_key
def test_an_activity_has_a_complete_card(activity: ActivityType):
    assert_worded(activity, "label", "description", "changes", "cannot")
    for point in (*activity.drivers, *activity.hindrances):
        assert point.id.isidentifier()
        assert point.da.strip()
        assert point.en.strip()
    assert activity.source == f"activity:{activity.key}"
    assert source_of(activity.source).title
    assert activity.family in families()
    assert_worded(families()[activity.family], "label")
    assert set(activity.eligibility.states) <= set(STATE_KEYS)
    assert len(activity.eligibility.states) > 0
    assert dict(activity.parameters) == {card.id: card for card in activity.parameters.values()}
    people = {"take_up", "patience_months"}
    needed = {
        "course": {*people, "duration_months", "attrition_per_month"},
        "opening": {*people, "additional_share"},
        "lever": set(),
    }
    ages = {"age_from", "age_to"} if activity.kind != "lever" or activity.effects else set()
    assert needed[activity.kind] | ages <= activity.parameters.keys()
    assert activity.kind in KINDS
    assert activity.form in FORMS
    assert (activity.kind == "opening") == bool(activity.gives)
    assert (activity.kind == "lever") == (not activity.channels)
    assert [f"reach_{channel}" in activity.parameters for channel in activity.channels] == [True] * len(
        activity.channels
    )
    assert not ages or activity.parameters["age_from"].value <= activity.parameters["age_to"].value


def test_activities_are_told_apart():
    for name in ("label_da", "label_en", "description_da", "description_en"):
        assert_distinct([getattr(activity, name) for activity in ACTIVITIES])


@by_key
def test_every_channel_reaches_somebody_of_the_target_group(activity: ActivityType):
    for channel in activity.channels:
        assert set(CHANNELS[channel].states) & set(activity.eligibility.states), channel


@by_key
def test_the_effects_of_an_activity_are_graded_and_give_its_grade(activity: ActivityType):
    effects = {id: card for id, card in activity.parameters.items() if id.startswith("effect_")}
    assert all(card.unit == "log_hazard_ratio" for card in effects.values())
    acting = [card.grade for card in effects.values() if card.value]
    assert activity.grade == max(acting, default="D")
    assert activity.grade in GRADES


@by_key
def test_what_is_not_measured_is_nil(activity: ActivityType):
    """No hidden optimism: an effect of grade C or D is zero, and so is every other way to change somebody."""
    claims = ("effect_", "eases_", "additional_share", "clarification_per_month", "reward_elasticity")
    for id, card in activity.parameters.items():
        if id.startswith(claims) and card.grade in ("C", "D"):
            assert card.value == 0, id
            assert card.range[0] <= 0 <= card.range[1]
        if id == "reach_factor":
            assert card.value == 1


@cache
def listed() -> dict[str, dict[str, object]]:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert run.main(["list", "activities", "--json", "--lang", "en"]) == 0
    return {row["key"]: row for row in json.loads(out.getvalue())}


@by_key
def test_an_activity_is_in_the_list_and_in_the_schema(activity: ActivityType):
    row = listed()[activity.key]
    assert (row["label"], row["grade"], row["source"]) == (activity.label_en, activity.grade, activity.source)
    schemas = _schema()["properties"]["activities"]["items"]["anyOf"]
    mine = [schema for schema in schemas if schema["properties"].get("activity", {}).get("const") == activity.key]
    assert len(mine) == 1
    assert set(activity.parameters) < set(mine[0]["properties"])
    for id, card in activity.parameters.items():
        unit, described = UNITS[card.unit], mine[0]["properties"][id]
        assert (described["default"], described["minimum"], described["maximum"]) == (
            card.value,
            unit.lowest,
            unit.highest,
        )


_schema = cache(json_schema)


@by_key
def test_an_activity_with_zero_places_changes_nobody(activity: ActivityType):
    """Bit for bit but for who was never served. Levers have no places."""
    model = without_places()
    if activity.kind == "lever":
        assert activity.key not in {course.plan.id for course in model.courses}
        return
    course = course_of(model.courses, activity.key)
    assert told(course, "queued") or activity.key in FEW
    assert not told(course, "enrolled", "took_opening")


def test_without_places_all_is_as_in_the_baseline_but_who_was_never_served():
    assert_all_same(without_places(), untouched())
    here, there = without_places().columns(), untouched().columns()
    for field in dataclasses.fields(here):
        same = np.array_equal(getattr(here, field.name), getattr(there, field.name))
        assert same == (field.name != "unserved"), field.name


FEW = {"place_and_train", "ptsd_outreach_team", "mentor_talks", "individual_talks", "team_session"}
"""Activities whose target group is a handful of people in a small area: a run may not meet them."""


@by_key
def test_an_activity_without_dose_has_participants(activity: ActivityType):
    """They are in :func:`idle`, where nothing changes; who takes part in an offer that fills the week is moved."""
    if activity.occupies:
        model = run_through(with_items(area(), {activity.key: numbers(activity, 0.15, **NO_DOSE)}))
        enrolled = np.array(told(model.courses[0], "enrolled"), dtype=np.int64)
        assert_others_live_as_before(model, enrolled)
        assert len(enrolled) or activity.key in FEW
    elif activity.kind == "course":
        assert told(course_of(idle().courses, activity.key), "enrolled") or activity.key in FEW
    else:
        assert not told(course_of(idle().courses, activity.key), "enrolled", "took_opening", "covered")


def test_activities_without_dose_change_nobody():
    # The mark of who takes part, and where their side job is decided, are the activity itself.
    assert_all_same(idle(), untouched(), but=("affected", "side_row"))
    assert len(rows_of(idle(), "contacted"))


def assert_others_live_as_before(model: AreaModel, touched: np.ndarray) -> None:
    """Everybody but ``touched``, whose household leaves with its head and makes room in its dwelling for the next."""
    base = untouched()
    mine, yours = common(model, base)
    spread = reached(model, touched)
    others = ~spread[mine]
    assert others.sum() > len(base.population) / 10
    assert_same_lives(model, base, mine[others], yours[others])
    assert spread[np.setdiff1d(np.arange(len(model.population)), mine)].all()


@by_key
def test_an_activity_changes_whom_it_touches_and_nobody_else(activity: ActivityType):
    model = alone(activity.key)
    touched = rows_of(model, "enrolled", "took_opening", "covered", "contacted")
    assert_others_live_as_before(model, touched)
    acts = {name for name in (*activity.effects, activity.gives) if name}
    acts |= {name for name in activity.mechanics if name in ("clarification", "reward")}
    table, base = model.ledger.table(), untouched().ledger.table()
    if not acts:
        np.testing.assert_array_equal(table, base)
    elif len(touched) >= 30:
        assert len(table) != len(base) or not np.array_equal(table, base)


@by_key
def test_more_places_never_serve_fewer(activity: ActivityType):
    if activity.kind == "lever":
        assert not any(activity.key in served(places) for places in (3, 12, 48))
        return
    few, some, many = (served(places)[activity.key] for places in (3, 12, 48))
    assert (few <= some).all()
    assert (some <= many).all()
    assert many.any() or activity.key in FEW


@cache
def watched() -> tuple[AreaModel, dict[str, list[str]]]:
    """Every activity at once, all mechanics in use; return whom each took that it must not, as it happened."""
    scenario = with_items(area(residents=1_500), rich())
    model = AreaModel(scenario, seed=3)
    leaks: dict[str, list[str]] = {key: [] for key in catalogue()}
    seen = 0
    for _ in range(MONTHS):
        people = model.population
        state, inside = people.state.copy(), people.in_area.copy()
        model.step()
        log = model._programme.log
        for month, happened, courses, rows in log[seen:]:
            for code in np.unique(happened):
                for at in np.unique(courses[happened == code]):
                    plan = model.courses[at].plan
                    mine = rows[(happened == code) & (courses == at)]
                    leaks[plan.activity] += leaked(plan, EVENTS[code], month, mine, people, state, inside)
        seen = len(log)
    return model, leaks


def leaked(plan, event: str, month: int, rows: np.ndarray, people, state: np.ndarray, inside: np.ndarray) -> list[str]:
    """Return in which respects some of ``rows`` are not of the target group."""
    activity = catalogue()[plan.activity]
    lever = activity.kind == "lever"
    if event not in ("referred", "enrolled", "took_opening", "contacted", *(["covered"] if lever else [])):
        return []
    group = activity.contacts_among or activity.eligibility if event == "contacted" else activity.eligibility
    age = (month - people.birth[rows]) / 12
    wanted = sum(1 << BARRIERS.index(name) for name in group.barriers)
    fits = {
        "state": np.isin(state[rows], group.state_codes),
        "area": inside[rows],
        "age": (age >= plan.values["age_from"]) & (age < plan.values["age_to"] + 1),
        "sex": people.sex[rows] == SEXES.index(group.sex) if group.sex else True,
        "origin": np.isin(people.origin[rows], [ORIGINS.index(name) for name in group.origins or ORIGINS]),
        "barriers": (people.barriers[rows] & wanted) > 0 if wanted else True,
    }
    return [f"{event}: {name}" for name, fit in fits.items() if not np.all(fit)]


@by_key
def test_an_activity_takes_nobody_outside_its_target_group(activity: ActivityType):
    model, leaks = watched()
    assert leaks[activity.key] == []
    course = course_of(model.courses, activity.key)
    reach_only = activity.kind == "lever" and not activity.effects and not set(activity.mechanics) - {"quality"}
    assert told(course, "referred", "covered") or reach_only or activity.key in FEW


@by_key
def test_nobody_is_lost_on_the_waiting_list(activity: ActivityType):
    """Month by month: who waits and who is enrolled are those before, and who came and went."""
    course = course_of(watched()[0].courses, activity.key)
    waiting = enrolled = 0
    for month in course.queue_months:
        waiting += month.referred - month.declined - month.started - month.gave_up - month.left_queue
        enrolled += (
            month.started
            - month.took_opening
            - month.completed
            - month.dropped_out
            - month.left_target_group
            - month.closed
        )
        enrolled -= sum(getattr(month, event) for event in CLARIFIED)
        np.testing.assert_array_equal(month.waiting, waiting)
        np.testing.assert_array_equal(month.enrolled, enrolled)
        assert (month.enrolled <= course.plan.places).all()
    events = dict.fromkeys(EVENTS, 0)
    for event, _, rows in course.events():
        events[event] += len(rows)
    for event in ("referred", "closed", "contacted"):
        assert events[event] == sum(getattr(month, event).sum() for month in course.queue_months)


@by_key
def test_the_age_gate_is_exact_to_the_month(activity: ActivityType):
    """People who reach the first age, or the one after the last, in each of 24 months."""
    low, high = map(int, ages_of(activity))
    coming, going = 12 * low - np.arange(1, 25), 12 * (high + 1) - np.arange(1, 25)
    people = suiting(activity, 48, birth=-np.concatenate([coming, going]))
    item = {"take_up": 0.0} if activity.kind != "lever" else {f"effect_{e}_during": 1.0 for e in activity.effects}
    item |= {"reward_elasticity": 1.0} if "reward" in activity.mechanics else {}
    item |= {"start": "2012-02"} if activity.kind != "lever" else {"places": 0}
    courses = programme([plan_of(activity.key, **item)], people)
    (course,) = courses.courses
    for month in range(1, 30):
        courses.run_month(month, people)
    if activity.kind == "lever":
        name = next(iter(activity.effects), None)
        if name is None:
            assert not list(course.events())
            return
        covered = {row: month for event, month, rows in course.events() if event == "covered" for row in rows.tolist()}
        assert covered == {row: row + 1 for row in range(24)} | {row: 1 for row in range(25, 48)}
        for month in (12, 24):
            courses.run_month(month, people)
            age = month - people.birth.astype(int)
            acts = shift(courses, name, month, people) != 0
            np.testing.assert_array_equal(acts, (age >= 12 * low) & (age < 12 * (high + 1)))
        return
    asked = {row: month for event, month, rows in course.events() if event == "referred" for row in rows.tolist()}
    assert asked == {row: max(row + 1, 2) for row in range(24)} | {row: 2 for row in range(26, 48)}


# --- what the sources say an activity is meant to move


def ways(activity: ActivityType, origin: str, to: str) -> Iterator[str]:
    """Yield the ways in which ``activity`` can act on a transition of the evidence book."""
    left, entered = DIGEST_STATES[origin], DIGEST_STATES[to]
    side = {"leisure_job": "start", "small_job": "small_job_start", "out_of_area": "move_out"}.get(to)
    if origin == to == "leisure_job":
        side = "end"
    elif origin == "small_job":
        side = {"employment": "small_job_to_employed"}.get(to, "small_job_end")
    if side:
        yield from (f"effect on {side}" for name in activity.effects if name == side)
    else:
        moves = {f"{a}_to_{b}" for a in left for b in entered if a != b}
        if origin == to:
            moves = {name for name in activity.effects for a in left if name.startswith(f"{a}_to_")}
        yield from (f"effect on {name}" for name in activity.effects if name in moves)
    if activity.gives in (to, *entered):
        yield f"opening: {activity.gives}"
    if "clarification" in activity.mechanics and set(entered) & set(CLARIFIED.values()):
        yield "clarification"
    if activity.occupies and "activation" in entered:
        yield "the offer itself"
    if activity.raises_reach_of or activity.brings_to:
        yield "reach of other activities"


NOT_IN_THE_MODEL = {
    ("pocket_money_job", "basic_school", "education"): "long-term expectation; the leisure jobs it leads to",
    ("pocket_money_job", "neet", "education"): "long-term expectation; takes pupils only",
    ("leisure_job", "leisure_job", "education"): "expectation; moves of pupils do not depend on their leisure job",
    ("leisure_job", "leisure_job", "employment"): "expectation in the long run, as above",
    ("fire_cadet", "neet", "volunteering"): "volunteering is no state: it hands over to that activity",
    ("internship", "basic_school", "education"): "retention of pupils; takes adults on benefit only",
    ("self_governing_network_group", "small_job", "employment"): "its effects on the way to work hold with a small job",
    ("social_clauses", "education", "education"): "traineeships: staying is no move",
    ("social_clauses", "benefit_activity_ready", "company_placement"): "gives jobs; takes the job-ready",
    ("community_jobs", "benefit_activity_ready", "flex_job"): "gives small jobs",
    ("social_enterprise", "benefit_activity_ready", "company_placement"): "gives jobs",
    ("social_enterprise", "benefit_activity_ready", "flex_job"): "gives jobs",
    ("flex_sheltered_jobs", "flex_job", "disability_pension"): "nobody moves from flex job to pension",
    **{
        (key, "spouse_supported", "company_placement"): "nobody comes to activation but from cash benefit"
        for key in (
            "self_governing_network_group",
            "family_action_plan",
            "family_social_control_group",
            "spouse_engagement",
            "coordinating_caseworker",
            "taster_internship",
        )
    },
}
"""Transitions of the evidence book that no number of the activity can act on, and why."""


@by_key
def test_every_transition_of_the_sources_is_within_reach_or_named_as_not(activity: ActivityType):
    for transition in DIGEST[activity.key]["transitions"]:
        if transition["effect"] == "none":
            continue
        key = (activity.key, transition["from"], transition["to"])
        found = list(ways(activity, transition["from"], transition["to"]))
        assert bool(found) != (key in NOT_IN_THE_MODEL), (key, found)


def test_every_exception_is_a_transition_of_the_sources():
    told_of = {(key, t["from"], t["to"]) for key, entry in DIGEST.items() for t in entry["transitions"]}
    assert NOT_IN_THE_MODEL.keys() <= told_of
    assert DIGEST_STATES.keys() >= {state for _, *states in told_of for state in states}
    assert {state for states in DIGEST_STATES.values() for state in states} <= set(STATE_KEYS)


# --- states, phases and moves


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.key)
def test_a_state_has_words_in_both_languages(state: State):
    assert_worded(state, "label", "definition")
    assert state.key.isidentifier()
    assert state.key == state.key.lower()


def test_states_are_told_apart():
    for name in ("key", "label_da", "label_en", "definition_da", "definition_en"):
        assert_distinct([getattr(state, name) for state in STATES])


def test_every_state_is_entered_or_named_as_not_yet_entered():
    first = [people_of(name, ParameterSet.read("default")).first(5_000) for name in RECIPES]
    entered = {STATE_KEYS[code] for persons in first for code in np.unique(persons.state)}
    state_of = {phase.key: phase.state for phase in PHASES}
    for move in MOVES:
        entered |= {state_of[to] for to in (move.to, move.rest_to) if to is not None}
    assert set(STATE_KEYS) - entered == NOT_YET_ENTERED


def test_nobody_leaves_an_absorbing_state_and_every_other_state_can_be_left():
    left = {move.origin for move in MOVES}
    absorbing = {state.key for state in STATES if state.absorbing}
    assert not left & absorbing
    assert left == {phase.key for phase in PHASES if phase.state not in absorbing}


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.key)
def test_a_phase_belongs_to_a_state_and_its_classes_are_in_order(phase):
    assert phase.state in STATE_KEYS
    assert list(phase.cuts) == sorted(set(phase.cuts))
    assert all(cut >= 1 for cut in phase.cuts)
    assert (phase.until is None) == (phase.then is None)
    if phase.then is not None:
        assert PHASES[PHASE_CODE[phase.then]].state == phase.state
        assert phase.until >= max(phase.cuts, default=1)


@pytest.mark.parametrize("move", dict.fromkeys(MOVES), ids=lambda move: f"{move.origin}-{move.to}-{move.ages[0]}")
@pytest.mark.parametrize("name", SETS)
def test_a_move_leads_elsewhere_at_rates_that_exist(name: str, move: Move):
    parameters = ParameterSet.read(name)
    assert move.origin in PHASE_CODE
    assert move.to in PHASE_CODE
    assert move.origin != move.to
    assert move.rest_to != move.origin
    assert set(move.dated) <= set(DATED)
    assert len(set(move.dated)) == len(move.dated)
    assert ("pension_awards" in move.dated) == (move.rest_to is not None)
    assert move.rest_to is None or move.dated[-1] == "pension_awards"
    assert move.rest_to is None or move.rest_to in PHASE_CODE
    assert set(move.ages) <= {age.key for age in AGE_CLASSES}
    assert len(move.ages) == len(set(move.ages)) > 0
    cards = [
        [
            parameters[term.format(age=age.replace("-", "_"), sex=sex, like=like, months=months)]
            for age in move.ages
            for sex in SEXES
            for like in set(LIKE.values())
            for months in duration_labels(PHASES[PHASE_CODE[move.origin]])
        ]
        for term in move.terms
    ]
    units = [{card.unit for card in found} for found in cards]
    assert all(len(found) == 1 for found in units)
    rates = [unit for unit in units if unit == {"per_month"}]
    assert len(rates) == bool(move.terms)
    assert move.terms or (move.to, move.ages) == ("gone", ("65+",)), "only retirement is certain"
    assert move.early is None or (
        parameters[move.early].unit == "ratio" and PHASES[PHASE_CODE[move.origin]].cuts and not move.keeps_clock
    )
    assert all(unit <= {"per_month", "share", "ratio"} for unit in units)
    if move.keeps_clock:
        assert ACTIVATION_OF.get(move.origin) == move.to or ACTIVATION_OF.get(move.to) == move.origin


def test_no_move_is_declared_twice():
    keys = [(move.origin, move.to, age) for move in MOVES for age in move.ages]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("year", YEARS)
@pytest.mark.parametrize("name", SETS)
def test_the_moves_of_a_year_make_valid_tables(name: str, year: int):
    parameters = ParameterSet.read(name)
    hazard = hazards(parameters, year)
    assert hazard.shape == (len(AGE_CLASSES), len(SEXES), len(ORIGINS), len(CELLS), len(PHASES))
    assert np.isfinite(hazard).all()
    assert (hazard >= 0).all()
    for phase, code in PHASE_CODE.items():
        cells = slice(FIRST_CELL[code], FIRST_CELL[code] + len(PHASES[code].cuts) + 1)
        assert (hazard[..., cells, code] == 0).all(), f"{phase} moves to itself"
    chance = probabilities(hazard)
    assert (chance.sum(axis=-1) <= 1).all()
    np.testing.assert_allclose(chance.sum(axis=-1), -np.expm1(-hazard.sum(axis=-1)), rtol=1e-12)
    tables = Tables.of(parameters, year)
    assert tables.cumulative.shape == (N_STRATA * len(CELLS), len(PHASES))
    assert (np.diff(tables.cumulative.astype(np.int64), axis=1) >= 0).all()
    assert tables.cumulative.max() <= 2**32
    assert (tables.side_threshold <= 2**32).all()
    assert tables.side_threshold[0] == 0


SHIPPED_DRAWS = 2000
"""Draws of every shipped posterior."""


def assert_posterior_is_whole(parameters: ParameterSet, number: int) -> None:
    """Every draw of a set's posterior is of numbers that exist, and makes valid hazards and splits."""
    posterior = parameters.posterior
    assert posterior is not None
    assert len(posterior) == number
    assert len({posterior.row(i) for i in range(1, number + 1)}) == number
    for draw in (1, 2, 3, number):
        drawn = parameters.draw(draw)
        assert drawn.digest != parameters.digest
        with_drawn(Scenario.read("leisure_jobs").activities, drawn.of_activities)
        for year in (2011, 2016):
            assert np.isfinite(hazards(drawn, year)).all()
            assert (hazards(drawn, year) >= 0).all()
        assert_splits_add_to_one(drawn)


@pytest.mark.parametrize("name", SETS)
def test_a_structure_has_a_name_and_a_posterior_that_fits_it_or_none(name: str):
    for lang in LANGUAGES:
        assert text(f"report.structure_{name}", lang).strip()
    parameters = ParameterSet.read(name)
    fit = PARAMETER_SETS / f"{name}.fit.csv"
    assert fit.is_file() == path_of(PARAMETER_SETS, name).is_file()
    if fit.is_file():
        assert_posterior_is_whole(parameters, SHIPPED_DRAWS)


@pytest.mark.parametrize("name", RIVALS)
def test_the_battery_of_posteriors_takes_a_whole_one(name: str, posteriors: Callable[..., Path]):
    posteriors(name, number=10)
    assert_posterior_is_whole(ParameterSet.read(name), 10)


@pytest.mark.parametrize("name", SETS)
def test_the_shares_that_split_one_exit_add_to_one(name: str):
    assert_splits_add_to_one(ParameterSet.read(name))


def assert_splits_add_to_one(parameters: ParameterSet) -> None:
    splits: dict[tuple[str, ...], float] = {}
    for move in MOVES:
        for term in move.terms:
            if parameters_of(parameters, term) == "share":
                for age, sex in itertools.product(move.ages, SEXES):
                    others = tuple(other for other in move.terms if other != term)
                    key = (move.origin, age, sex, *others)
                    splits[key] = splits.get(key, 0.0) + parameters.value(term.format(sex=sex))
    assert len(splits) > 20
    assert {key: total for key, total in splits.items() if not math.isclose(total, 1, abs_tol=1e-9)} == {}


def parameters_of(parameters: ParameterSet, term: str) -> str:
    """Return the unit of a term: that of any parameter it stands for."""
    names = (
        term.format(age=age.key.replace("-", "_"), sex=SEXES[0], like="danish", months=months)
        for age in AGE_CLASSES
        for phase in PHASES
        for months in duration_labels(phase)
    )
    return next(parameters[name].unit for name in names if name in parameters)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", SETS)
def test_a_recipe_is_a_distribution_over_residents(name: str, recipe: str):
    persons = people_of(recipe, ParameterSet.read(name)).first(5_000)
    assert all(len(column) == 5_000 for column in persons)
    assert (persons.age >= 0).all()
    assert set(persons.sex.tolist()) == set(range(len(SEXES)))
    assert set(persons.origin.tolist()) == set(range(len(ORIGINS)))
    assert (persons.months >= 0).all()
    assert (persons.months <= persons.age).all()
    assert not np.isin(persons.state, [STATE_KEYS.index(key) for key in ("activation", *NOT_YET_ENTERED)]).any()


# --- parameters


class Recorded(ParameterSet):
    """A parameter set that remembers which values were asked for."""

    def __init__(self, parameters: ParameterSet) -> None:
        super().__init__(parameters.name, parameters.structure, dict(parameters))
        self.used: set[str] = set()

    def value(self, id: str) -> float:
        self.used.add(id)
        return super().value(id)


@pytest.mark.parametrize("name", SETS)
def test_every_parameter_of_a_set_is_used(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sim.recipe._FITTED", {})
    monkeypatch.setattr("sim.transitions._MADE", {})
    monkeypatch.setattr("sim.transitions._UNDATED", {})
    recorded = Recorded(ParameterSet.read(name))
    for id in ("baseline", "cash_benefit_cohorts_2011"):
        small = Scenario.read(id).scaled(50)
        model = AreaModel(small, parameters=recorded)
        for _ in range(min(small.months, 60)):
            model.step()
        model.columns()
    leisure_job_shares(recorded, [15.0])
    side_job_path(recorded, 20, 0)
    for year in DEMAND_YEARS:
        demand(recorded, year)
    assert set(recorded) - recorded.used == set()


FIXED = {id for structure in STRUCTURES.values() for id in structure.fixed}
"""Ids that some structure fixes by what it is: no range of values is meant there."""


@pytest.mark.parametrize("card", [*SHARED_CARDS, *ACTIVITY_CARDS])
def test_a_parameter_has_a_complete_card(card: Parameter):
    unit = UNITS[card.unit]
    low, high = card.range
    assert_worded(card, "label")
    assert unit.lowest <= low <= card.value <= high <= unit.highest
    assert not unit.whole or float(card.value).is_integer()
    assert card.grade in GRADES
    assert card.date[:4].isdigit()
    assert card.source
    assert all(source_of(id).title for id in card.source)
    assert card.grade == "D" or set(card.source) != {ASSUMPTION}
    assert dataclasses.replace(card) == card
    assert card.grade in ("A", "B") or high > low or card.id in FIXED


@pytest.mark.parametrize("name", SETS)
def test_parameters_are_told_apart(name: str):
    cards = ParameterSet.read(name)
    assert list(cards) == [card.id for card in cards.values()]
    for lang in LANGUAGES:
        assert_distinct([card.label(lang) for card in cards.values()])


@by_key
def test_the_parameters_of_an_activity_are_told_apart(activity: ActivityType):
    for lang in LANGUAGES:
        assert_distinct([card.label(lang) for card in activity.parameters.values()])


# --- measures


@pytest.fixture(scope="module")
def measured() -> Result:
    """A small comparison of every activity at once with the base."""
    base = Scenario.read("baseline", ["population.residents=800", "horizon.months=37"])
    every = {a.key: {} if a.kind == "lever" else {"places": 5} for a in ACTIVITIES}
    return ensemble.compare(with_items(base, every), base, replicates=3)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=lambda measure: measure.key)
def test_a_measure_has_a_card_and_values_within_its_bounds(measure: Measure, measured: Result):
    assert_worded(measure, "label", "population")
    assert MEASURES[measure.key] is measure
    assert len(measure.phases) in (0, len(PHASES))
    assert set(measure.views) <= set(VIEWS)
    bounds = {"share": (0, 1), "persons": (0, 800), "months": (0, 37)}
    low, high = bounds[measure.unit]
    table = measured.table("outcomes", measure=measure.key)
    assert len(table)
    assert table["value"].notna().any()
    assert table["value"].dropna().between(low, high).all()
    assert table["value"].nunique() > 1
    assert set(table["group_by"]) <= set(GROUPINGS)
    assert {"all", "sex", "origin", "age_group", "participant"} <= set(table["group_by"])
    for group_by, group in set(zip(table["group_by"], table["group"], strict=True)):
        assert group in GROUPINGS[group_by]
    if measure.december_only:
        assert set(table["month"]) == {"2012-12", "2013-12", "2014-12"}
    else:
        assert {"2011-12", "2012-12", "2013-12", "2014-12", "2015-01"} <= set(table["month"])


def test_measures_are_told_apart():
    assert [measure.key for measure in MEASURES.values()] == list(MEASURES)
    for lang in LANGUAGES:
        assert_distinct([measure.label(lang) for measure in MEASURES.values()])


# --- shipped scenarios


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.id)
def test_a_shipped_scenario_is_complete_runs_and_shows_where_everything_comes_from(scenario: Scenario):
    assert set(scenario.title) == set(LANGUAGES)
    assert all(title.strip() for title in scenario.title.values())
    assert scenario.title["da"] != scenario.title["en"]
    assert scenario == Scenario.read(scenario.id)
    rows = scenario.rows()
    assert rows
    assert all(origin and value is not None for _, value, origin in rows)
    assert len({key for key, _, _ in rows}) == len(rows)
    # Nine months reach the start of every item and event that is shipped.
    small = Scenario.read(scenario.id, ["population.residents=200", "horizon.months=9"])
    outcomes = ensemble.run(small, replicates=2).table("outcomes", group_by="all", measure="employed")
    assert set(outcomes["month"]) == {"2011-12", *(f"2012-{month:02d}" for month in range(1, 10))}
    assert month_number(scenario.start) + scenario.months >= month_number("2016-12")


def test_shipped_scenarios_are_told_apart():
    assert_distinct([scenario.id for scenario in SCENARIOS])
    for lang in LANGUAGES:
        assert_distinct([scenario.title[lang] for scenario in SCENARIOS])
    words = ("id", "title", "description")
    assert_distinct([json.dumps({k: v for k, v in s.resolved().items() if k not in words}) for s in SCENARIOS])

"""One battery for every activity, state, move, measure, parameter and shipped scenario: new ones are tested at once."""

import dataclasses
import itertools
import json
import math
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from lives import assert_same_lives, common, reached

import run
from calibration.point_fits import leisure_job_shares
from calibration.structures import STRUCTURES
from sim import AreaModel, Scenario, ensemble
from sim.activities import ActivityType, catalogue
from sim.activities.programme import Course
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
from sim.sources import ASSUMPTION, PARAMETER_SETS, activity_keys, source_of
from sim.states import (
    ACTIVATION_OF,
    AGE_CLASSES,
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
RESIDENTS, MONTHS, PLACES = 900, 30, 25

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


@cache
def lived(activity: str | None, places: int = PLACES, without_effects: bool = False) -> AreaModel:
    """Return an area after some years with one activity, or none, the same residents and luck every time."""
    overrides = [f"population.residents={RESIDENTS}", f"horizon.months={MONTHS}"]
    scenario = Scenario.read("baseline", overrides)
    if activity is not None:
        effects = [id for id in catalogue()[activity].parameters if id.startswith("effect_")]
        none = dict.fromkeys(effects, 0.0) if without_effects else {}
        scenario = scenario.with_activity("item", activity=activity, places=places, **none)
    model = AreaModel(scenario, seed=3, replicate=range(4))
    for _ in range(MONTHS):
        model.step()
    return model


def rows_of(model: AreaModel, *events: str) -> np.ndarray:
    """Return the rows to which any of ``events`` happened; without events, everybody in any record."""
    found = [rows for course in model.courses for event, _, rows in course.events() if event in events or not events]
    return np.unique(np.concatenate([np.empty(0, dtype=np.int64), *found]))


def assert_all_same(model: AreaModel, other: AreaModel, but: tuple[str, ...] = ()) -> None:
    mine, yours = common(model, other)
    assert len(mine) == len(model.population) == len(other.population)
    assert_same_lives(model, other, mine, yours, but)


@by_key
def test_an_activity_has_a_complete_card(activity: ActivityType):
    assert_worded(activity, "label", "description", "changes", "cannot")
    assert activity.key in activity_keys()
    assert activity.source == f"activity:{activity.key}"
    assert source_of(activity.source).title
    assert activity.family
    assert set(activity.eligibility.states) <= set(STATE_KEYS)
    assert len(activity.eligibility.states) > 0
    assert dict(activity.parameters) == {card.id: card for card in activity.parameters.values()}
    needed = {"age_from", "age_to", "take_up", "duration_months", "attrition_per_month", "patience_months"}
    assert needed <= activity.parameters.keys()
    assert any(id.startswith("reach_") for id in activity.parameters)
    assert activity.parameters["age_from"].value <= activity.parameters["age_to"].value


@by_key
def test_the_effects_of_an_activity_are_graded_and_give_its_grade(activity: ActivityType):
    effects = {id: card for id, card in activity.parameters.items() if id.startswith("effect_")}
    assert effects
    assert all(card.unit == "log_hazard_ratio" for card in effects.values())
    assert activity.grade == max(card.grade for card in effects.values())
    assert activity.grade in GRADES


@by_key
def test_an_activity_is_in_the_list_and_in_the_schema(activity: ActivityType, capsys: pytest.CaptureFixture[str]):
    assert run.main(["list", "activities", "--json", "--lang", "en"]) == 0
    rows = [row for row in json.loads(capsys.readouterr().out) if row["key"] == activity.key]
    assert [(row["label"], row["grade"], row["source"]) for row in rows] == [
        (activity.label_en, activity.grade, activity.source)
    ]
    schemas = json_schema()["properties"]["activities"]["items"]["anyOf"]
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


@by_key
def test_an_activity_with_zero_places_changes_nobody(activity: ActivityType):
    with_none, base = lived(activity.key, places=0), lived(None)
    assert len(rows_of(with_none, "queued"))
    assert not len(rows_of(with_none, "enrolled"))
    assert_all_same(with_none, base)
    np.testing.assert_array_equal(with_none.ledger.table(), base.ledger.table())


@by_key
def test_an_activity_without_effects_changes_nobody(activity: ActivityType):
    without, base = lived(activity.key, without_effects=True), lived(None)
    assert len(rows_of(without, "enrolled")) > PLACES
    # The mark of who takes part, and where their side job is decided, are the activity itself.
    assert_all_same(without, base, but=("affected", "side_row"))


@by_key
def test_an_activity_changes_somebody_enrolled_and_nobody_else(activity: ActivityType):
    """Nobody else but whom an enrolled head reaches: the household, and who lives in the dwelling after it."""
    helped, base = lived(activity.key), lived(None)
    enrolled = rows_of(helped, "enrolled")
    assert len(enrolled)
    mine, yours = common(helped, base)
    spread = reached(helped, enrolled)
    alone = ~spread[mine]
    assert alone.sum() > len(base.population) / 2
    assert_same_lives(helped, base, mine[alone], yours[alone])
    assert spread[np.setdiff1d(np.arange(len(helped.population)), mine)].all()
    assert not np.array_equal(np.sort(helped.ledger.table()), np.sort(base.ledger.table()))


@by_key
def test_an_activity_takes_nobody_outside_its_target_group(activity: ActivityType):
    scenario = Scenario.read("baseline", [f"population.residents={RESIDENTS}", f"horizon.months={MONTHS}"])
    model = AreaModel(scenario.with_activity("item", activity=activity.key, places=PLACES), seed=3)
    (course,) = model.courses
    values = course.plan.values
    seen = 0
    for _ in range(MONTHS):
        people = model.population
        state = people.state.copy()
        model.step()
        for rows in _of_month(course, model.month, "referred", "enrolled"):
            age = (model.month - people.birth[rows]) / 12
            assert np.isin(state[rows], activity.eligibility.state_codes).all()
            assert (age >= values["age_from"]).all()
            assert (age < values["age_to"] + 1).all()
            seen += len(rows)
        assert all(queue.enrolled.max() <= PLACES for queue in course.queue_months)
    assert seen > PLACES


def _of_month(course: Course, month: int, *events: str) -> Iterator[np.ndarray]:
    return (rows for event, when, rows in course.events() if when == month and event in events)


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
    recorded = Recorded(ParameterSet.read(name))
    for scenario in SCENARIOS:
        small = scenario.scaled(50)
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
    every = base
    for activity in ACTIVITIES:
        every = every.with_activity(activity.key, activity=activity.key, places=5)
    return ensemble.compare(dataclasses.replace(every, id="every"), base, replicates=3)


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

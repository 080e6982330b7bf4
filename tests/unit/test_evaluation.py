"""Following simulated people into studies: sample rules, matching, sizes, the command and its messages."""

import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import run
from sim import AreaModel, InputError, Scenario
from sim.engine.streams import Stream
from sim.evaluation import (
    END,
    HOURS_UNTIL,
    START,
    Evaluation,
    _attributes,
    area_size,
    evaluate,
    observe,
    observe_controls,
    study_scenario,
    without_effects,
)
from sim.locale import LANGUAGES
from sim.study import (
    EmptyCell,
    Panel,
    controls_of,
    first_drawn,
    interaction,
    matched,
    nearest_neighbours,
    participants_of,
    published_design,
    quotas,
    stacked,
    study,
)

DESIGN = published_design()


def panel(**columns: Any) -> Panel:
    """Make five pupils who were 11 in 2010, with some columns replaced."""
    n = len(next(iter(columns.values()))) if columns else 5
    nothing = np.zeros(n, dtype=np.uint8)
    made = {
        name: nothing
        for name in (
            "male",
            "non_western",
            "two_parents",
            "no_father",
            "children_at_home",
            "parent_transfer",
            "parent_pension",
        )
    }
    made |= {"id": np.arange(n), "age": np.full(n, 11), "start_year": np.full(n, 2014)}
    made |= {"paid": np.zeros((n, 6)), "pupil": np.ones((n, 7), dtype=bool), **columns}
    return Panel(stream=Stream(4, range(1), 10_000), **made)


def crowd(n: int, seed: int, **columns: Any) -> Panel:
    """Make ``n`` different people."""
    rng = np.random.default_rng(seed)
    drawn = {
        "age": rng.integers(10, 15, n),
        "non_western": rng.random(n) < 0.7,
        "children_at_home": rng.integers(1, 5, n),
        "paid": rng.random((n, 6)) * 52,
        "start_year": rng.choice([2014, 2015], n),
    }
    return panel(**(drawn | columns))


# --- the sample


def test_the_design_is_the_published_one():
    assert DESIGN.start_years == {2014: 8 + 29 + 110, 2015: 142}
    assert sum(DESIGN.start_years.values()) == DESIGN.pairs == 289
    assert (DESIGN.control_year, DESIGN.ages, DESIGN.caliper, DESIGN.hours) == (2014, (14, 19), 0.01, 26)
    assert DESIGN.pool == 14641


def test_participants_started_in_the_years_at_the_right_age_and_in_school():
    ages = [9, 10, 15, 16, 9, 8, 14, 15]
    started = [2014, 2014, 2014, 2014, 2015, 2015, 2015, 2015]
    found = participants_of(panel(age=np.array(ages), start_year=np.array(started)), DESIGN)
    assert found.id.tolist() == [1, 2, 4, 6]
    assert len(participants_of(panel(start_year=np.array([0, 2012, 2013, 2016])), DESIGN)) == 0


@pytest.mark.parametrize(("start", "needed"), [(2014, {3, 4, 5}), (2015, {4, 5, 6})])
def test_participants_are_pupils_the_year_before_the_start_year_and_the_year_after(start: int, needed: set[int]):
    pupil = ~np.eye(7, dtype=bool)
    found = participants_of(panel(pupil=pupil, start_year=np.full(7, start)), DESIGN)
    assert set(range(7)) - set(found.id.tolist()) == needed


def test_controls_get_the_start_year_of_the_design():
    pupil = ~np.eye(7, dtype=bool)
    found = controls_of(panel(pupil=pupil, start_year=np.zeros(7, dtype=int)), DESIGN)
    assert found.id.tolist() == [0, 1, 2, 6]
    assert set(found.start_year.tolist()) == {2014}
    assert controls_of(panel(age=np.array([9, 10, 15, 16])), DESIGN).id.tolist() == [1, 2]


def test_the_outcome_is_read_in_the_years_around_the_start():
    paid = np.array([[0, 26, 0, 25.9, 99, 0], [0, 26, 0, 25.9, 99, 0]], dtype=float)
    found = panel(paid=paid, start_year=np.array([2014, 2015])).outcome(26)
    assert found.tolist() == [[False, True, False, False, True], [True, False, False, True, False]]


def test_quotas_keep_the_proportion_and_the_sum():
    assert quotas(DESIGN, 289, [2014, 2015]) == {2014: 147, 2015: 142}
    assert quotas(DESIGN, 2000, [2014, 2015]) == {2014: 1017, 2015: 983}
    assert all(sum(quotas(DESIGN, n, [2014, 2015]).values()) == n for n in range(30, 400))
    assert quotas(DESIGN, 50, [2015]) == {2015: 50}


def test_the_first_of_each_group_are_drawn():
    group, luck = np.array([1, 1, 2, 1, 2]), np.array([0.5, 0.1, 0.9, 0.3, 0.2])
    assert first_drawn(group, luck, {1: 2, 2: 1}).tolist() == [False, True, False, True, True]
    assert first_drawn(group, luck, {1: 9, 2: 0}).tolist() == [True, True, False, True, False]


# --- matching


def greedy(treated: np.ndarray, controls: np.ndarray, caliper: float, turn: np.ndarray) -> dict[int, float]:
    """Return the score each treated is matched with, by looking at everybody every time."""
    free = sorted(controls)
    chosen: dict[int, float] = {}
    for person in np.argsort(turn):
        if free:
            best = min(free, key=lambda score: abs(score - treated[person]))
            if abs(best - treated[person]) <= caliper:
                chosen[int(person)] = best
                free.remove(best)
    return chosen


@pytest.mark.parametrize(("controls", "digits"), [(5, 6), (200, 6), (200, 2), (40, 2), (1, 6)])
def test_matching_takes_the_nearest_free_control_within_the_caliper(controls: int, digits: int):
    rng = np.random.default_rng(controls + digits)
    a, b = np.round(rng.random(60), digits), np.round(rng.random(controls), digits)
    turn, tie = rng.random(60), rng.random(controls)
    mine, theirs = nearest_neighbours(a, b, 0.01, turn, tie, np.zeros(60, dtype=int), {0: 60})
    assert len(set(theirs.tolist())) == len(theirs)
    assert len(set(mine.tolist())) == len(mine)
    assert np.abs(a[mine] - b[theirs]).max(initial=0) <= 0.01
    if digits == 6:
        expected = greedy(a, b, 0.01, turn)
        assert dict(zip(mine.tolist(), b[theirs].tolist(), strict=True)) == pytest.approx(expected)


def test_among_equal_scores_the_control_with_the_lower_tie_is_taken():
    one, many = np.array([0.3]), np.full(4, 0.3)
    tie = np.array([0.7, 0.2, 0.9, 0.4])
    assert nearest_neighbours(one, many, 0.01, one, tie, np.zeros(1), {0: 1})[1].tolist() == [1]


def test_matching_stops_when_each_group_has_its_pairs():
    scores, turn = np.full(10, 0.5), np.arange(10.0)
    group = np.array([2014, 2015] * 5)
    mine, _ = nearest_neighbours(scores, np.full(50, 0.5), 0.01, turn, np.arange(50.0), group, {2014: 3, 2015: 1})
    assert mine.tolist() == [0, 1, 2, 4]


def test_a_study_has_exactly_the_pairs_asked_for_or_all_there_are():
    treated, pool = crowd(400, 1), crowd(3000, 2, start_year=np.full(3000, 2014))
    mine, theirs = matched(treated, pool, quotas(DESIGN, 200, [2014, 2015]), DESIGN)
    assert len(mine) == len(theirs) == 200
    assert (mine.start_year == 2014).sum() == round(200 * 147 / 289)
    assert len(np.unique(theirs.id)) == 200
    assert study(treated.take(np.arange(90)), pool, 289, DESIGN).pairs <= 90


def test_a_study_depends_on_people_not_on_their_order():
    treated, pool = crowd(300, 1), crowd(2000, 2, start_year=np.full(2000, 2014))
    rng = np.random.default_rng(3)
    turned = study(treated.take(rng.permutation(300)), pool.take(rng.permutation(2000)), 150, DESIGN)
    found = study(treated, pool, 150, DESIGN)
    assert turned.adjusted == pytest.approx(found.adjusted, abs=1e-9)
    assert turned.shares.tolist() == found.shares.tolist()
    other = study(treated, pool, 150, DESIGN, occurrence=1)
    assert other.shares.tolist() != found.shares.tolist()


def test_an_empty_or_full_cell_has_no_odds_ratio():
    hits = np.full((2, 5), 10)
    for row, year in ((0, 2), (1, 3), (1, 4)):
        for value in (0, 20):
            wrong = hits.copy()
            wrong[row, year] = value
            with pytest.raises(EmptyCell):
                interaction(wrong, np.full((2, 1), 20))
    nuisance = hits.copy()
    nuisance[1, 0] = 0
    assert np.isfinite(interaction(nuisance, np.full((2, 1), 20))[0][-2:]).all()
    with pytest.raises(EmptyCell):
        study(crowd(0, 1), crowd(50, 2), 30, DESIGN)


# --- following the model's people


@pytest.fixture(scope="module")
def area() -> Scenario:
    return Scenario.read("leisure_jobs", ["population.residents=3000"]).with_activity("leisure_job", places=40)


@pytest.fixture(scope="module")
def lived(area: Scenario) -> tuple[Panel, dict[int, np.ndarray], AreaModel]:
    """The panel of an area, and the paid hours at the end of the register's years in a model run beside it.

    The model beside it holds all residents, the panel's run only households that matter.
    """
    model = AreaModel(study_scenario(area), seed=5)
    hours = {}
    for _ in range(72):
        model.step()
        if model.date.endswith("-12") or model.date == HOURS_UNTIL:
            hours.setdefault(int(model.date[:4]), model.population.paid_hours[: area.residents].copy())
    return observe(area, 5, range(1))[0], hours, model


def test_the_study_runs_over_its_own_years_and_activities_last(area: Scenario):
    found = study_scenario(area)
    assert (found.start, found.months) == (START, 72)
    assert [(plan.start, plan.end) for plan in found.activities] == [("2012-01", END)]
    short = Scenario.read("leisure_jobs", ["horizon.months=36"])
    assert study_scenario(short).activities[0].end == END
    stopped = area.with_activity("leisure_job", end="2014-06")
    assert study_scenario(stopped).activities[0].end == "2014-06"


def test_a_panel_shows_what_the_model_did(area: Scenario, lived: tuple[Panel, dict[int, np.ndarray], AreaModel]):
    found, hours, model = lived
    row = found.stream.ids[found.id]
    assert len(found.stream.ids) < area.residents
    assert np.array_equal(model.stream.ids[row], row)
    assert np.array_equal(found.paid, np.column_stack([hours[year] for year in range(2011, 2017)])[row])
    assert found.pupil.shape == (len(found), 7)
    assert set(found.age.tolist()) == set(range(9, 16))
    first: dict[int, int] = {}
    for event, month, rows in model.courses[0].events():
        for person in rows if event == "enrolled" else ():
            first.setdefault(int(person), (model.start + month) // 12)
    assert found.start_year.tolist() == [first.get(person, 0) for person in row.tolist()]
    assert {0, 2012, 2013, 2014, 2015} <= set(found.start_year.tolist())
    assert found.male.tolist() == (model.population.sex[row] == 1).tolist()


def test_stacked_replicates_are_the_single_ones(area: Scenario, lived: tuple[Panel, dict[int, np.ndarray], AreaModel]):
    together = observe(area, 5, range(2))
    assert np.array_equal(together[0].paid, lived[0].paid)
    assert np.array_equal(together[0].draw("participant", 3), lived[0].draw("participant", 3))
    alone = observe(area, 5, range(1, 2))[0]
    assert np.array_equal(together[1].paid, alone.paid)
    assert np.array_equal(together[1].draw("participant", 3), alone.draw("participant", 3))
    assert len(stacked(together)) == len(together[0]) + len(together[1])


def test_controls_are_other_people_without_activities(area: Scenario, lived: Any):
    found = observe_controls(area, 5, range(1))[0]
    assert not found.start_year.any()
    assert not np.array_equal(found.draw("participant", 0)[:50], lived[0].draw("participant", 0)[:50])


def test_without_effects_leaves_participation_numbers_alone(area: Scenario):
    plan = area.activities[0]
    values = {**plan.values, "project_wage_counts": 1.0}
    before = replace(area, activities=(replace(plan, values=values),))
    after = without_effects(before).activities[0].values
    changed = {id for id in values if values[id] != after[id]}
    assert changed == {"effect_start_during", "effect_start_after", "project_wage_counts"}
    assert all(after[id] == 0 for id in after if id.startswith("effect_"))


def test_family_columns_become_attributes():
    people = SimpleNamespace(
        birth=np.array([-131, -132, -140, -143]),
        sex=np.array([0, 1, 0, 1]),
        origin=np.array([0, 1, 2, 2]),
        parents=np.array([0, 1, 3 | 4, 2 | 8]),
        children=np.array([0, 1, 3, 4]),
    )
    model = SimpleNamespace(population=type("People", (SimpleNamespace,), {"__len__": lambda self: 4})(**vars(people)))
    found = _attributes(model, np.array([1, 2, 3]))
    assert {name: column.tolist() for name, column in found.items()} == {
        "age": [11, 11, 11],
        "male": [True, False, True],
        "non_western": [False, True, True],
        "two_parents": [False, True, False],
        "no_father": [True, False, False],
        "children_at_home": [1, 3, 4],
        "parent_transfer": [False, True, False],
        "parent_pension": [False, False, True],
    }


# --- the evaluation


@pytest.fixture(scope="module")
def found() -> Evaluation:
    return evaluate(Scenario.read("leisure_jobs"), 100, replicates=3, seed=2, workers=1, studies=40)


def test_an_evaluation_has_the_pairs_asked_for(found: Evaluation):
    assert found.pairs == 100
    assert (found.replicates, found.participants, found.studies) == (3, 100, 40)
    assert all(effect.replicates == 3 for effect in found.effects.values())
    assert all(effect.low < effect.adjusted < effect.high for effect in found.effects.values())
    assert 0 <= found.false_positive_rate <= 1


def test_the_published_figures_stand_beside(found: Evaluation):
    start, after = found.effects.values()
    assert (start.published_adjusted, start.published_unadjusted) == (3.271, 2.437)
    assert (after.published_adjusted, after.published_unadjusted) == (2.577, 1.992)
    assert np.round(found.published_paths["control"], 3).tolist() == [0.038, 0.1, 0.211, 0.308, 0.488]
    assert np.round(found.published_paths["treated"], 3).tolist() == [0.024, 0.094, 0.232, 0.55, 0.682]


def test_workers_change_nothing_and_seeds_do(found: Evaluation):
    scenario = Scenario.read("leisure_jobs")
    again = evaluate(scenario, 100, replicates=3, seed=2, workers=2, studies=40)
    assert json.dumps(again.to_dict()) == json.dumps(found.to_dict())
    fewer = evaluate(scenario, 100, replicates=2, seed=2, workers=1, studies=0)
    assert fewer.residents == found.residents
    assert fewer.false_positive_rate is None
    other = evaluate(scenario, 100, replicates=2, seed=3, workers=1, studies=0)
    assert other.paths != fewer.paths


def test_a_stronger_scheme_is_seen_more_clearly():
    weak, strong = (
        evaluate(
            Scenario.read("leisure_jobs").with_activity("leisure_job", effect_start_during=size),
            100,
            replicates=4,
            workers=1,
            studies=0,
        )
        for size in (0.0, 2.2)
    )
    for key in weak.effects:
        assert strong.effects[key].adjusted > weak.effects[key].adjusted
        assert strong.effects[key].unadjusted > weak.effects[key].unadjusted


def test_area_and_places_grow_with_the_participants():
    scenario = Scenario.read("leisure_jobs")
    small, large = (area_size(scenario, n, 1, DESIGN) for n in (100, 2000))
    # The margin for chance is smaller in the larger study.
    assert 12 < large / small < 20


def test_progress_is_told():
    told: list[tuple[int, int]] = []
    scenario = Scenario.read("leisure_jobs")
    evaluate(
        scenario, 1000, replicates=3, workers=1, studies=0, progress=lambda done, parts: told.append((done, parts))
    )
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_everything_wrong_is_said_at_once():
    with pytest.raises(InputError) as caught:
        evaluate(Scenario.read("baseline"), 29, replicates=0, seed=-1, workers=0, studies=-1, design="ddi")
    said = [(problem.kind, problem.key) for problem in caught.value.problems]
    assert said == [
        ("study_no_activities", ""),
        ("whole_at_least", "participants"),
        ("whole_at_least", "replicates"),
        ("whole_at_least", "seed"),
        ("whole_at_least", "workers"),
        ("whole_at_least", "studies"),
        ("choice", "design"),
    ]
    assert caught.value.problems[-1].nearest == "did"


@pytest.mark.parametrize(
    ("changes", "participants", "kind"),
    [
        ({"places": 0}, 100, "study_no_activities"),
        ({"age_from": 21, "age_to": 25}, 100, "study_nobody"),
        ({"start": "2016-06"}, 100, "study_nobody"),
        ({}, 10**6, "study_large"),
    ],
)
def test_a_scenario_that_cannot_be_evaluated_is_refused(changes: dict[str, Any], participants: int, kind: str):
    scenario = Scenario.read("leisure_jobs").with_activity("leisure_job", **changes)
    with pytest.raises(InputError) as caught:
        evaluate(scenario, participants)
    assert [problem.kind for problem in caught.value.problems] == [kind]
    assert all(caught.value.problems[0].render(lang) for lang in LANGUAGES)


# --- the command

SMALL = ("evaluate", "leisure_jobs", "--participants", "100", "--replicates", "2", "--studies", "20", "--workers", "1")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.delenv("JOBVEJE_LANG", raising=False)

    def said(*arguments: str) -> tuple[int, str, str]:
        code = run.main(arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return said


def test_the_command_prints_the_library_s_numbers(call: Callable[..., tuple[int, str, str]]):
    code, out, err = call(*SMALL, "--design", "did", "--json", "--seed", "2")
    assert code == 0
    assert "Simulerer" in err
    given = json.loads(out)
    assert given == evaluate(Scenario.read("leisure_jobs"), 100, replicates=2, seed=2, studies=20).to_dict()
    for key in ("start_year", "year_after"):
        assert set(given[key]) == {"adjusted", "unadjusted", "low", "high", "replicates"}
        assert set(given["published"][key]) == {"adjusted", "unadjusted"}
    assert {group: len(path) for group, path in given["paths"].items()} == {"control": 5, "treated": 5}
    assert {group: len(path) for group, path in given["published"]["paths"].items()} == {"control": 5, "treated": 5}
    assert (given["design"], given["seed"], given["pairs"], given["participants"]) == ("did", 2, 100, 100)
    assert 0 <= given["false_positive_rate"] <= 1
    assert set(given["power"]) == {"start_year", "year_after"}


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("da", ("Oddsratio for fritidsjob", "3,27", "2,58", "2,44", "1,99", "48,8 %", "68,2 %", "ingen effekt")),
        ("en", ("Odds ratio of a leisure job", "3.27", "2.58", "2.44", "1.99", "48.8 %", "68.2 %", "no effect")),
    ],
)
def test_the_command_speaks_plainly(call: Callable[..., tuple[int, str, str]], lang: str, words: tuple[str, ...]):
    code, out, _ = call(*SMALL, "--lang", lang)
    assert code == 0
    assert [word for word in words if word not in out] == []


def test_the_command_refuses_in_one_message(call: Callable[..., tuple[int, str, str]]):
    code, out, err = call("evaluate", "baseline", "--participants", "3", "--design", "rct", "--lang", "en")
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert lines[0].startswith("scenarios/baseline.yaml: the scenario has no activity with places")
    assert lines[1].startswith("--participants: 3 cannot be used")
    assert lines[2].startswith("--design: rct is not among the choices: did.")
    assert len(lines) == 3
    code, _, err = call("evaluate", "leisure_jobs", "--lang", "en")
    assert code == 2
    assert "--participants" in err

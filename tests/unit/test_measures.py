"""Measures against a naive count, person by person."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sim import AreaModel, Scenario
from sim.engine.ledger import KINDS
from sim.measures import AGE_GROUPS, BENEFIT_GROUPS, CASH_BENEFIT, COHORTS, GROUPINGS, MEASURES, UNREPORTED, grouped
from sim.states import EDUCATIONS, ORIGINS, PHASES, SEXES, STATE_KEYS

REPLICATES = 3


@pytest.fixture(scope="module")
def model(live: Callable[..., AreaModel], leisure_jobs: Scenario) -> AreaModel:
    return live(leisure_jobs, replicate=range(REPLICATES))


@pytest.fixture(scope="module")
def people(model: AreaModel) -> pd.DataFrame:
    """One row a resident, in words."""
    columns = model.columns()
    first = model.stream.residents * REPLICATES
    months = np.full(len(columns.state), np.nan)
    months[:first] = naive_months_employed(model)
    return pd.DataFrame(
        {
            "replicate": model.stream.block,
            "first": np.arange(len(columns.state)) < first,
            "in_area": model.population.in_area,
            "state": [STATE_KEYS[code] for code in model.population.state],
            "counted": [PHASES[code].counts_as for code in model.population.phase],
            "education": [EDUCATIONS[code] for code in model.population.education],
            "small_hours": model.population.side_hours,
            "age": columns.age_months // 12,
            "sex": [SEXES[code] for code in columns.sex],
            "origin": [ORIGINS[code] for code in columns.origin],
            "cohort": [(*COHORTS, "neither")[code] for code in columns.cohort],
            "age_group": [name_of_age(age) for age in columns.age_months // 12],
            "participant": np.where(participants(model), "yes", "no"),
            "hours": model.population.paid_hours,
            "unserved": columns.unserved,
            "months": months,
            "all": "all",
        }
    )


def name_of_age(age: int) -> str:
    for name in AGE_GROUPS:
        first, _, last = name.removesuffix("+").partition("-")
        if int(first) <= age <= int(last or 200):
            return name
    raise AssertionError(age)


def participants(model: AreaModel) -> np.ndarray:
    found = np.zeros(len(model.population), dtype=np.uint8)
    for event, _, rows in model.courses[0].events():
        if event == "enrolled":
            found[rows] = 1
    return found


def naive_months_employed(model: AreaModel) -> np.ndarray:
    """Replay the ledger from the start and count month ends in work, of the residents of the start."""
    state = AreaModel(model.plan, replicate=range(REPLICATES)).population.state.copy()
    events = model.ledger.table()
    events = events[(events["kind"] == KINDS.index("state")) & (events["row"] < len(state))]
    months = np.zeros(len(state))
    for month in range(1, model.month + 1):
        for event in events[events["month"] == month]:
            state[event["row"]] = event["after"]
        months += state == STATE_KEYS.index("employed")
    return months


def naive(key: str, person: pd.Series) -> tuple[float, bool]:
    """Return what one person adds to the numerator, and whether they are counted."""
    state, age, alive = person["counted"], person["age"], person["state"] != "gone"
    busy = state in ("basic_school", "in_education", "employed", "flex_job")
    match key:
        case "no_benefit":
            return float(state in ("employed", "self_supporting", "in_education")), alive
        case "other_benefit":
            return float(state in ("other_benefit", "flex_job", "disability_pension")), alive
        case "cash_benefit":
            return float(state in ("job_ready", "activity_ready")), alive
        case "activation":
            return float(person["state"] == "activation"), alive
        case "neet":
            young = 16 <= age <= 24 and alive
            return float(young and not busy), young
        case "rest_group":
            of_age = 16 <= age <= 50 and alive
            return float(of_age and not busy and person["education"] in ("basic", "unknown")), of_age
        case "small_job":
            recipient = state in ("job_ready", "activity_ready")
            return float(recipient and person["small_hours"] > 0), recipient
        case "in_area":
            return float(alive and person["in_area"]), alive
        case "leisure_job_26h":
            pupil = 14 <= age <= 19 and state in ("basic_school", "in_education")
            return float(pupil and person["hours"] >= 26), pupil
        case "never_served":
            return float(person["unserved"]), True
        case "months_employed":
            return person["months"] if alive else 0.0, alive
        case _:
            return float(state == key), alive


CASES = [(key, view) for key, measure in MEASURES.items() for view in measure.views]


def of_view(people: pd.DataFrame, view: str) -> pd.DataFrame:
    return people[people["first" if view == "individual" else "in_area"]]


@pytest.mark.parametrize(("key", "view"), CASES)
def test_a_measure_is_the_naive_count(model: AreaModel, people: pd.DataFrame, key: str, view: str) -> None:
    columns = model.columns().seen(view)
    numerator, denominator = MEASURES[key].parts(columns, model.ledger.table(), model.month)
    wanted = [naive(key, person) for _, person in of_view(people, view).iterrows()]
    np.testing.assert_allclose(numerator.astype(float), [top for top, _ in wanted])
    np.testing.assert_array_equal(denominator.astype(bool), [counted for _, counted in wanted])
    assert numerator.any()


@pytest.mark.parametrize(("key", "view"), CASES)
def test_groups_are_those_of_pandas(model: AreaModel, people: pd.DataFrame, key: str, view: str) -> None:
    columns = replace(model.columns(), participant=participants(model)).seen(view)
    mine = of_view(people, view)
    parts = [naive(key, person) for _, person in mine.iterrows()]
    frame = mine.assign(top=[top for top, _ in parts], bottom=[float(counted) for _, counted in parts])
    found = {
        (by, group): values for by, group, values in grouped(MEASURES[key], columns, model.ledger.table(), model.month)
    }
    for by, names in GROUPINGS.items():
        sums = frame.groupby([by, "replicate"])[["top", "bottom"]].sum()
        for name in names:
            if name in UNREPORTED:
                continue
            known = name in sums.index.get_level_values(0)
            group = sums.loc[name].reindex(range(REPLICATES), fill_value=0.0) if known else None
            if group is None or not group["bottom"].any():
                values = found.pop((by, name), np.zeros(REPLICATES))
                assert (np.isnan(values) | (values == 0)).all()
                continue
            share = group["top"] / group["bottom"].where(group["bottom"] > 0)
            wanted = (group["top"] if MEASURES[key].unit == "persons" else share).to_numpy()
            np.testing.assert_allclose(found.pop((by, name)), wanted, rtol=1e-12, err_msg=f"{by} {name}")
    assert not found


def test_the_views_are_the_first_residents_and_those_who_live_there(model: AreaModel) -> None:
    columns, people = model.columns(), model.population
    first = model.stream.residents * REPLICATES
    individual, area = columns.seen("individual"), columns.seen("area")
    assert individual.row.tolist() == list(range(first))
    assert area.row.tolist() == np.flatnonzero(people.in_area).tolist()
    assert len(columns.row) == len(people) > first
    assert 0 < people.in_area[:first].sum() < first
    assert people.in_area[first:].any()
    for name, array in vars(area).items():
        if isinstance(array, np.ndarray):
            np.testing.assert_array_equal(array, getattr(columns, name)[area.row], err_msg=name)


def test_an_empty_group_is_missing_in_its_replicate(model: AreaModel) -> None:
    columns = model.columns().seen("individual")
    size = model.stream.residents
    someone = np.zeros(len(columns.state), dtype=np.uint8)
    someone[size + int(np.flatnonzero(columns.alive[size:])[0])] = 1
    only = replace(columns, participant=someone)
    found = dict(
        ((by, group), values)
        for by, group, values in grouped(MEASURES["employed"], only, model.ledger.table(), model.month)
    )
    assert np.isnan(found["participant", "yes"]).tolist() == [True, False, True]
    nobody = replace(columns, participant=np.zeros(len(columns.state), dtype=np.uint8))
    found = dict(
        ((by, group), values)
        for by, group, values in grouped(MEASURES["employed"], nobody, model.ledger.table(), model.month)
    )
    assert ("participant", "yes") not in found or np.isnan(found["participant", "yes"]).all()
    assert not np.isnan(found["participant", "no"]).any()


def test_months_employed_holds_in_every_month(leisure_jobs: Scenario) -> None:
    """Against a running sum kept while the model lives, with a user's own moves in between."""
    model = AreaModel(leisure_jobs)
    total = np.zeros(leisure_jobs.residents)
    for month in range(1, leisure_jobs.months + 1):
        model.step()
        if month % 5 == 0:
            model.move(np.flatnonzero(model.population.state == STATE_KEYS.index("job_ready"))[:3], "employed")
        total += model.population.state[: len(total)] == STATE_KEYS.index("employed")
        columns = model.columns().seen("individual")
        months, _ = MEASURES["months_employed"].parts(columns, model.ledger.table(), month)
        np.testing.assert_array_equal(months, np.where(columns.alive, total, 0))
    assert total.max() == leisure_jobs.months


def test_columns_are_a_copy_of_the_month(leisure_jobs: Scenario) -> None:
    model = AreaModel(leisure_jobs)
    before = model.columns()
    kept = {name: array.copy() for name, array in vars(before).items() if isinstance(array, np.ndarray)}
    assert {"phase", "paid_hours", "side_hours", "education", "in_area", "unserved"} < set(kept)
    for _ in range(leisure_jobs.months):
        model.step()
    for name, array in kept.items():
        np.testing.assert_array_equal(getattr(before, name), array, err_msg=name)
    after = model.columns()
    for name in ("phase", "paid_hours", "side_hours", "education", "in_area", "unserved"):
        assert (getattr(after, name)[: len(before.row)] != kept[name]).any(), name
    assert (after.age_months[: len(before.row)] == before.age_months + leisure_jobs.months).all()


def test_benefit_groups_are_disjoint_and_cash_benefit_is_two_of_them() -> None:
    states = [state for group in BENEFIT_GROUPS.values() for state in group]
    assert len(states) == len(set(states))
    assert set(STATE_KEYS) - set(states) == {"basic_school", "activation", "gone"}
    assert {phase.counts_as for phase in PHASES} - set(states) == {"basic_school", "gone"}
    assert (*BENEFIT_GROUPS["job_ready"], *BENEFIT_GROUPS["activity_ready"]) == CASH_BENEFIT


def test_age_groups_cover_every_age() -> None:
    assert [name_of_age(age) for age in (0, 12, 13, 15, 16, 17, 18, 24, 25, 50, 51, 66, 67, 99)] == [
        name for name in AGE_GROUPS for _ in range(2)
    ]

"""Measures against a naive count, person by person."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sim import AreaModel, Scenario
from sim.measures import AGE_GROUPS, BENEFIT_GROUPS, CASH_BENEFIT, COHORTS, GROUPINGS, MEASURES, UNREPORTED, grouped
from sim.states import ORIGINS, SEXES, STATE_KEYS

REPLICATES = 3


@pytest.fixture(scope="module")
def model(live: Callable[..., AreaModel], leisure_jobs: Scenario) -> AreaModel:
    return live(leisure_jobs, replicate=range(REPLICATES))


@pytest.fixture(scope="module")
def people(model: AreaModel) -> pd.DataFrame:
    """One row a resident, in words."""
    columns = model.columns()
    size = model.stream.residents
    return pd.DataFrame(
        {
            "replicate": np.arange(len(columns.state)) // size,
            "state": [STATE_KEYS[code] for code in columns.state],
            "age": columns.age_months // 12,
            "sex": [SEXES[code] for code in columns.sex],
            "origin": [ORIGINS[code] for code in columns.origin],
            "cohort": [(*COHORTS, "neither")[code] for code in columns.cohort],
            "age_group": [name_of_age(age) for age in columns.age_months // 12],
            "participant": np.where(participants(model), "yes", "no"),
            "hours": model.population.paid_hours,
            "unserved": columns.unserved,
            "months": naive_months_employed(model),
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
    """Replay the ledger from the start and count month ends in work."""
    state = AreaModel(model.plan, replicate=range(REPLICATES)).population.state.copy()
    events = model.ledger.table()
    months = np.zeros(len(state))
    for month in range(1, model.month + 1):
        for event in events[(events["month"] == month) & (events["kind"] == 0)]:
            state[event["row"]] = event["after"]
        months += state == STATE_KEYS.index("employed")
    return months


def naive(key: str, person: pd.Series) -> tuple[float, bool]:
    """Return what one person adds to the numerator, and whether they are counted."""
    state, age, alive = person["state"], person["age"], person["state"] != "gone"
    match key:
        case "no_benefit":
            return float(state in ("employed", "self_supporting", "in_education")), alive
        case "other_benefit":
            return float(state in ("other_benefit", "flex_job", "disability_pension")), alive
        case "cash_benefit":
            return float(state in ("job_ready", "activity_ready")), alive
        case "neet":
            young = 16 <= age <= 24 and alive
            working = state in ("basic_school", "in_education", "employed", "flex_job")
            return float(young and not working), young
        case "leisure_job_26h":
            pupil = 14 <= age <= 19 and state in ("basic_school", "in_education")
            return float(pupil and person["hours"] >= 26), pupil
        case "never_served":
            return float(person["unserved"]), True
        case "months_employed":
            return person["months"] * alive, alive
        case _:
            return float(state == key), alive


@pytest.mark.parametrize("key", MEASURES)
def test_a_measure_is_the_naive_count(model: AreaModel, people: pd.DataFrame, key: str) -> None:
    numerator, denominator = MEASURES[key].parts(model.columns(), model.ledger.table(), model.month)
    wanted = [naive(key, person) for _, person in people.iterrows()]
    np.testing.assert_allclose(numerator.astype(float), [top for top, _ in wanted])
    np.testing.assert_array_equal(denominator.astype(bool), [counted for _, counted in wanted])
    assert numerator.any()


@pytest.mark.parametrize("key", MEASURES)
def test_groups_are_those_of_pandas(model: AreaModel, people: pd.DataFrame, key: str) -> None:
    columns = replace(model.columns(), participant=participants(model))
    parts = [naive(key, person) for _, person in people.iterrows()]
    frame = people.assign(top=[top for top, _ in parts], bottom=[float(counted) for _, counted in parts])
    found = {
        (by, group): values for by, group, values in grouped(MEASURES[key], columns, model.ledger.table(), model.month)
    }
    wanted = {}
    for by, names in GROUPINGS.items():
        sums = frame.groupby([by, "replicate"])[["top", "bottom"]].sum()
        for name in names:
            if name in UNREPORTED or name not in sums.index.get_level_values(0):
                continue
            mine = sums.loc[name].reindex(range(REPLICATES), fill_value=0.0)
            if mine["bottom"].any():
                share = mine["top"] / mine["bottom"].where(mine["bottom"] > 0)
                wanted[by, name] = (mine["top"] if MEASURES[key].unit == "persons" else share).to_numpy()
    assert set(found) == set(wanted)
    for group, values in wanted.items():
        np.testing.assert_allclose(found[group], values, rtol=1e-12, err_msg=str(group))


def test_an_empty_group_is_missing_in_its_replicate_and_left_out_when_empty_in_all(model: AreaModel) -> None:
    columns = model.columns()
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
    groups = {(by, group) for by, group, _ in grouped(MEASURES["employed"], nobody, model.ledger.table(), model.month)}
    assert ("participant", "yes") not in groups
    assert ("participant", "no") in groups


def test_months_employed_holds_in_every_month(leisure_jobs: Scenario) -> None:
    """Against a running sum kept while the model lives, with a user's own moves in between."""
    model = AreaModel(leisure_jobs)
    total = np.zeros(leisure_jobs.residents)
    for month in range(1, leisure_jobs.months + 1):
        model.step()
        if month % 5 == 0:
            model.move(np.flatnonzero(model.population.state == STATE_KEYS.index("job_ready"))[:3], "employed")
        total += model.population.state == STATE_KEYS.index("employed")
        columns = model.columns()
        months, _ = MEASURES["months_employed"].parts(columns, model.ledger.table(), month)
        np.testing.assert_array_equal(months, np.where(columns.alive, total, 0))
    assert total.max() == leisure_jobs.months


def test_columns_are_a_copy_of_the_month(leisure_jobs: Scenario) -> None:
    model = AreaModel(leisure_jobs)
    before = model.columns()
    kept = before.state.copy(), before.paid_hours.copy()
    for _ in range(6):
        model.step()
    np.testing.assert_array_equal(before.state, kept[0])
    np.testing.assert_array_equal(before.paid_hours, kept[1])
    assert (model.columns().age_months == before.age_months + 6).all()


def test_benefit_groups_are_disjoint_and_cash_benefit_is_two_of_them() -> None:
    states = [state for group in BENEFIT_GROUPS.values() for state in group]
    assert len(states) == len(set(states))
    assert set(STATE_KEYS) - set(states) == {"basic_school", "activation", "gone"}
    assert (*BENEFIT_GROUPS["job_ready"], *BENEFIT_GROUPS["activity_ready"]) == CASH_BENEFIT


def test_age_groups_cover_every_age() -> None:
    assert [name_of_age(age) for age in (0, 12, 13, 15, 16, 17, 18, 24, 25, 50, 51, 66, 67, 99)] == [
        name for name in AGE_GROUPS for _ in range(2)
    ]

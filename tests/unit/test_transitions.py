"""Phases, durations and ages turned into table rows, and rows into destinations; the chain's expansion of them."""

import numpy as np
import pytest

from sim import AreaModel, ParameterSet, Scenario
from sim.chain import FIRST, MONTHS_OF, N_EXPANDED, PHASE_OF, SUCCESSOR, Chain, expanded, side_job_path
from sim.engine.streams import threshold
from sim.scenario import month_number
from sim.states import AGE_CLASSES, MOVES, ORIGINS, PHASE_CODE, PHASES, SEXES
from sim.transitions import (
    AGE_CLASS,
    CELLS,
    DURATION_CLASS,
    FIRST_CELL,
    MAX_DURATION,
    NEVER,
    NEXT_AGE,
    NEXT_DURATION,
    SIDE_AGES,
    SIDE_CLASS,
    Tables,
    hazards,
    pension_multiplier,
    probabilities,
    side_job_hazards,
    side_row,
)


def phase(key: str) -> int:
    return PHASE_CODE[key]


@pytest.mark.parametrize(
    ("key", "months", "duration_class", "following"),
    [
        ("employed", 1, 0, 4),
        ("employed", 3, 0, 4),
        ("employed", 4, 1, 13),
        ("employed", 12, 1, 13),
        ("employed", 13, 2, NEVER),
        ("other_benefit", 6, 0, 7),
        ("other_benefit", 7, 1, NEVER),
        ("newly_activity_ready", 60, 0, 61),
        ("newly_activity_ready", 61, 0, NEVER),
        ("activity_ready", 1, 0, NEVER),
    ],
)
def test_duration_classes_change_where_the_states_say(
    key: str, months: int, duration_class: int, following: int
) -> None:
    assert DURATION_CLASS[phase(key), months] == duration_class
    assert NEXT_DURATION[phase(key), months] == following


def test_age_classes_change_on_birthdays() -> None:
    for code, age in enumerate(AGE_CLASSES):
        assert AGE_CLASS[12 * age.first] == code
        if age.first:
            assert AGE_CLASS[12 * age.first - 1] == code - 1
            assert NEXT_AGE[12 * age.first - 1] == 12 * age.first
    assert SIDE_CLASS[11 * 12 - 1] == -1
    assert [SIDE_CLASS[12 * age] for age in SIDE_AGES] == list(range(len(SIDE_AGES)))
    assert SIDE_CLASS[70 * 12] == len(SIDE_AGES) - 1
    assert NEXT_AGE[30 * 12] == 67 * 12
    assert NEXT_AGE[67 * 12] == NEVER


def test_the_pension_multiplier_is_dated(parameters: ParameterSet) -> None:
    assert pension_multiplier(parameters, 2011) == 1
    value = parameters.value
    assert [pension_multiplier(parameters, year) for year in (2012, 2013, 2014, 2020)] == [
        value("pension_multiplier_2012"),
        value("pension_multiplier_2013"),
        value("pension_multiplier_2014_on"),
        value("pension_multiplier_2014_on"),
    ]


def test_what_the_pension_loses_other_benefit_gains(parameters: ParameterSet) -> None:
    before, after = hazards(parameters, 2011), hazards(parameters, 2014)
    changed = np.argwhere(before != after)
    pension, other = phase("disability_pension"), phase("other_benefit")
    assert set(changed[:, 2]) == {pension, other}
    np.testing.assert_allclose(before.sum(axis=-1), after.sum(axis=-1), rtol=1e-12)
    cut = before[..., pension] - after[..., pension]
    np.testing.assert_allclose(after[..., other] - before[..., other], cut, atol=1e-15)
    assert (cut >= 0).all()
    assert cut.max() > 0.001


def test_hazards_are_the_moves_and_nothing_else(parameters: ParameterSet) -> None:
    """Recomputed move by move; ages and cells nobody names stay at nought."""
    table = np.zeros((len(AGE_CLASSES), len(CELLS), len(PHASES)))
    ages = [age.key for age in AGE_CLASSES]
    for move in MOVES:
        cuts = len(PHASES[phase(move.origin)].cuts)
        for k in range(cuts + 1):
            rate = parameters.value(move.rate[min(k, len(move.rate) - 1)])
            rate *= parameters.value(move.share) if move.share else 1
            for age in move.ages:
                cell = CELLS.index((phase(move.origin), k))
                kept = pension_multiplier(parameters, 2013) if move.calendar else 1.0
                table[ages.index(age), cell, phase(move.to)] += kept * rate
                if move.rest_to:
                    table[ages.index(age), cell, phase(move.rest_to)] += (1 - kept) * rate
    np.testing.assert_allclose(hazards(parameters, 2013), table, rtol=1e-12)
    assert not table[ages.index("0-15")].any()
    assert not table[ages.index("67+")].any()


def test_destinations_are_inverted_in_the_order_of_the_phases(parameters: ParameterSet) -> None:
    tables = Tables.of(parameters, 2012)
    adult = [age.key for age in AGE_CLASSES].index("25-66") * len(SEXES) * len(ORIGINS)
    for key in ("job_ready", "employed", "other_benefit"):
        row = adult * len(CELLS) + FIRST_CELL[phase(key)]
        limits = tables.cumulative[row]
        assert (np.diff(limits.astype(float)) >= 0).all()
        assert tables.leave[row] == limits[-1] > 0
        low = np.concatenate([[0], limits[:-1]]).astype(np.uint64)
        possible = np.flatnonzero(limits > low)
        assert len(possible) >= 2
        for ends in (low[possible], limits[possible] - np.uint64(1)):
            found = tables.destination(np.full(len(possible), row), ends)
            assert found.tolist() == possible.tolist()


def test_side_rows_hold_starting_and_ending_hazards(parameters: ParameterSet) -> None:
    hazard = side_job_hazards(parameters)
    n = len(SIDE_AGES)
    assert hazard[0] == 0
    assert len(hazard) == 1 + 2 * n
    assert (hazard[1 + n :] == parameters.value("side_job_end")).all()
    knots = {11.9: "11_9", 15.9: "15_9", 17.0: "17_0"}
    ages = np.array(list(knots))
    logs = np.log([parameters.value(f"side_job_start_age_{text}") for text in knots.values()])
    for code, age in enumerate(SIDE_AGES):
        assert np.log(hazard[1 + code]) == pytest.approx(np.interp(age + 0.5, ages, logs))
    assert side_row(np.array([-1, 0, 9]), np.array([True, False, True])).tolist() == [0, 1, 1 + n + 9]


def test_thresholds_of_whole_tables_never_pass_one(parameters: ParameterSet) -> None:
    sure = parameters.replace({"rate_job_ready_to_activity_ready": 20.0, "rate_activity_ready_to_job_ready": 20.0})
    tables = Tables.of(sure, 2012)
    assert 0 < 2**32 - int(tables.leave.max()) < 12
    assert threshold(np.array([1.0 + 1e-12]))[0] == 2**32


# --- the chain


def test_matrices_are_stochastic_and_expanded_month_by_month(parameters: ParameterSet) -> None:
    matrices = Chain(parameters, month_number("2011-12"))._matrices(2012)
    assert matrices.shape == (len(AGE_CLASSES), N_EXPANDED, N_EXPANDED)
    np.testing.assert_allclose(matrices.sum(axis=-1), 1, rtol=1e-12)
    assert (matrices >= 0).all()
    for code, spec in enumerate(PHASES):
        mine = np.flatnonzero(np.equal(PHASE_OF, code))
        assert MONTHS_OF[mine].tolist() == list(range(1, len(mine) + 1))
        assert FIRST[code] == mine[0]
        follows = mine[-1] if spec.then is None else FIRST[phase(spec.then)]
        assert SUCCESSOR[mine].tolist() == [*mine[1:], follows]
    assert (
        SUCCESSOR[expanded(np.array([phase("newly_activity_ready")]), np.array([60]))[0]]
        == FIRST[phase("activity_ready")]
    )


def test_expanded_states_stop_at_the_last_month_that_matters() -> None:
    employed, school = phase("employed"), phase("basic_school")
    found = expanded(np.array([employed, employed, school]), np.array([1, 500, 500]))
    assert found.tolist() == [FIRST[employed], FIRST[employed] + 12, FIRST[school]]
    assert MAX_DURATION == 61


def test_a_chain_lives_through_age_classes_and_years(parameters: ParameterSet) -> None:
    """By hand, month by month, for a 15-year-old pupil across the 16th and 18th birthdays."""
    start = month_number("2011-12")
    chain = Chain(parameters, start)
    p = np.zeros((1, N_EXPANDED))
    p[0, FIRST[phase("basic_school")]] = 1
    age, months = 15 * 12 + 6, 40
    states = chain.states(p, months, age)
    by_hand = p.copy()
    for month in range(1, months + 1):
        matrix = chain._matrices((start + month) // 12)[AGE_CLASS[age + month]]
        by_hand = by_hand @ matrix
    found = np.bincount([PHASES[k].state == "in_education" for k in PHASE_OF], weights=by_hand[0])[1]
    assert states[-1, 0, 1] == pytest.approx(found, rel=1e-12)
    np.testing.assert_allclose(states[:6, 0, 0], 1)
    assert states[6, 0, 0] < 1
    np.testing.assert_allclose(states.sum(axis=-1), 1, rtol=1e-12)


def test_competing_probabilities_survive_hazards_of_nought() -> None:
    assert probabilities(np.zeros(4)).tolist() == [0, 0, 0, 0]


def test_side_job_path_starts_at_eleven(parameters: ParameterSet) -> None:
    job, reached = side_job_path(parameters, 20)
    assert len(job) == len(reached) == 21 * 12
    assert not job[: 11 * 12].any()
    assert not reached[: 11 * 12 + 1].any()
    start = -np.expm1(-side_job_hazards(parameters)[1])
    assert job[11 * 12] == pytest.approx(start)
    assert reached[11 * 12 + 1] == pytest.approx(start * (1 - -np.expm1(-parameters.value("side_job_end"))))


# --- the rows of real residents


def test_rows_are_renewed_exactly_when_something_changes(parameters: ParameterSet) -> None:
    """Every row recomputed from scratch every month equals the row the model kept."""
    model = AreaModel(Scenario.read("leisure_jobs", ["population.residents=3000", "horizon.months=70"]))
    people = model.population
    everybody = np.arange(len(people))
    for _ in range(70):
        model.step()
        kept = [people.row.copy(), people.side_row.copy(), people.phase.copy()]
        people.renew(everybody, model.month + 1)
        for before, after in zip(kept, (people.row, people.side_row, people.phase), strict=True):
            np.testing.assert_array_equal(before, after)
    newly = people.phase == phase("newly_activity_ready")
    assert newly.any()
    assert ((model.month - people.since[newly]) <= 60).all()

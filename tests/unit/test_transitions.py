"""Phases, durations and ages turned into table rows, and rows into destinations; the chain's expansion of them."""

import numpy as np
import pytest

from sim import AreaModel, ParameterSet, Scenario
from sim.chain import FIRST, MONTHS_OF, N_EXPANDED, PHASE_OF, SUCCESSOR, Chain, expanded, side_job_path
from sim.demand import YEARS, demand
from sim.engine.months import destination
from sim.engine.streams import threshold
from sim.scenario import month_number
from sim.states import (
    ACTIVATION_OF,
    AGE_CLASSES,
    CODE,
    LIKE,
    MOVES,
    ORIGINS,
    PHASE_CODE,
    PHASES,
    SEXES,
)
from sim.transitions import (
    AGE_CLASS,
    CELLS,
    CERTAIN,
    DURATION_CLASS,
    FIRST_CELL,
    FRAILTIES,
    KEEPS_CLOCK,
    MAX_DURATION,
    NEVER,
    NEXT_AGE,
    NEXT_DURATION,
    PHASE_ENTERED,
    REFORM_FACTORS,
    SIDE_AGES,
    SIDE_CLASS,
    SMALL_JOB_HELD,
    Tables,
    activation_odds,
    activation_share,
    hazards,
    pension_multiplier,
    probabilities,
    side_job_hazards,
    side_row,
    small_job_row,
)

AGES = [age.key for age in AGE_CLASSES]
WOMAN, DANISH = SEXES.index("women"), ORIGINS.index("danish")


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
        ("job_ready", 8, 0, 9),
        ("job_ready", 9, 1, NEVER),
        ("activation", 8, 0, 9),
        ("activation", 9, 1, NEVER),
        ("activation_newly_activity_ready", 60, 0, 61),
        ("activation_activity_ready", 1, 0, NEVER),
        ("insured_unemployed", 1, 0, NEVER),
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
    assert [NEXT_AGE[12 * age] for age in (30, 51, 65)] == [51 * 12, 65 * 12, NEVER]


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
    calm = parameters.replace(
        {"demand_elasticity": 0.0, "activation_share_2014_on": parameters.value("activation_share_to_2013")}
    )
    before, after = hazards(calm, 2011), hazards(calm, 2014)
    changed = np.argwhere(before != after)
    pension, other = phase("disability_pension"), phase("other_benefit")
    assert set(changed[:, -1]) == {pension, other}
    np.testing.assert_allclose(before.sum(axis=-1), after.sum(axis=-1), rtol=1e-12)
    cut = before[..., pension] - after[..., pension]
    np.testing.assert_allclose(after[..., other] - before[..., other], cut, atol=1e-15)
    assert (cut >= 0).all()
    assert cut.max() > 0.001


def test_hazards_are_the_moves_and_nothing_else(parameters: ParameterSet) -> None:
    """Recomputed move by move and stratum by stratum; ages and cells nobody names stay at nought."""
    table = np.zeros((len(AGE_CLASSES), len(SEXES), len(ORIGINS), len(CELLS), len(PHASES)))
    share = parameters.value("activation_share_to_2013")
    dated = {
        "pension_awards": parameters.value("pension_multiplier_2013"),
        "activation_odds": share / (1 - share),
        "demand": (0.0777 / 0.0738) ** 0.5,
        **dict.fromkeys(REFORM_FACTORS, 1.0),
    }
    for move in MOVES:
        cuts = PHASES[phase(move.origin)].cuts
        for k in range(len(cuts) + 1):
            months = f"{cuts[k - 1] + 1 if k else 1}_{cuts[k] if k < len(cuts) else 'on'}"
            for age in move.ages:
                for s, sex in enumerate(SEXES):
                    for o, origin in enumerate(ORIGINS):
                        names = {"months": months, "age": age.replace("-", "_"), "sex": sex, "like": LIKE[origin]}
                        terms = (*move.terms, *([move.early] if move.early and k == 0 else []))
                        rate = np.prod([parameters.value(term.format(**names)) for term in terms])
                        if not move.terms:
                            rate = CERTAIN
                        cell = CELLS.index((phase(move.origin), k))
                        mine = table[AGES.index(age), s, o, cell]
                        removing = dated[move.dated[-1]] if move.rest_to else 1.0
                        rate *= np.prod([dated[name] for name in move.dated]) / removing
                        mine[phase(move.to)] += removing * rate
                        if move.rest_to:
                            mine[phase(move.rest_to)] += (1 - removing) * rate
    np.testing.assert_allclose(hazards(parameters, 2013), table, rtol=1e-12)
    assert not table[AGES.index("0-15")].any()
    old = table[AGES.index("65+")]
    assert not np.delete(old, phase("gone"), axis=-1).any()
    assert not table[..., FIRST_CELL[phase("gone")], :].any()


def test_western_residents_live_by_the_danish_hazards_and_others_by_their_own(parameters: ParameterSet) -> None:
    table = hazards(parameters.replace({"job_loss_factor_women_non_western": 2.0}), 2012)
    danish, western, non_western = (table[:, :, ORIGINS.index(o)] for o in ("danish", "western", "non_western"))
    np.testing.assert_array_equal(danish, western)
    differ = {PHASES[CELLS[cell][0]].key for cell in np.argwhere(danish != non_western)[:, 2]}
    assert differ == {"employed"}


def test_men_leave_benefit_by_jobs_more_than_women_and_as_often_in_all(parameters: ParameterSet) -> None:
    table = hazards(parameters, 2012)
    men, women = (table[AGES.index("25-50"), SEXES.index(sex), DANISH] for sex in ("men", "women"))
    jobs = phase("employed")
    for key in ("job_ready", "newly_activity_ready", "activity_ready", "activation"):
        cell = FIRST_CELL[phase(key)]
        if key != "newly_activity_ready":
            share = [parameters.value(f"no_benefit_share_employed_{sex}") for sex in ("men", "women")]
            assert men[cell, jobs] / women[cell, jobs] == pytest.approx(share[0] / share[1])
            assert men[cell, jobs] > women[cell, jobs] > 0
    calm = hazards(parameters.replace({"demand_elasticity": 0.0}), 2012)[AGES.index("25-50"), :, DANISH]
    ways = [phase(key) for key in ("employed", "self_supporting", "in_education")]
    for key in ("job_ready", "activity_ready"):
        both = calm[:, FIRST_CELL[phase(key)]][:, ways].sum(axis=-1)
        assert both[0] == pytest.approx(both[1], rel=1e-9)


def test_exits_from_benefit_fall_with_time_on_it(parameters: ParameterSet) -> None:
    """Job-ready: months 1-8 against 9 on, by the factors of the cards, outside activation and in it."""
    table = hazards(parameters, 2012)[AGES.index("25-50"), WOMAN, DANISH]
    ratio = parameters.value("exit_factor_months_1_8")
    assert ratio > 1
    for key in ("job_ready", "activation"):
        early, late = table[FIRST_CELL[phase(key)]], table[FIRST_CELL[phase(key)] + 1]
        changed = np.flatnonzero(early != late)
        assert {PHASES[to].key for to in changed} == {"employed", "self_supporting", "in_education"}
        np.testing.assert_allclose(early[changed] / late[changed], ratio, rtol=1e-12)


def test_demand_follows_the_unemployment_rate(parameters: ParameterSet) -> None:
    assert demand(parameters, 2011) == 1
    for year in YEARS:
        rate, reference = (parameters.value(f"unemployment_rate_{y}") for y in (year, 2011))
        expected = (reference / rate) ** parameters.value("demand_elasticity")
        assert demand(parameters, year) == pytest.approx(expected, rel=1e-12)
    assert demand(parameters, 2000) == demand(parameters, YEARS[0])
    assert demand(parameters, 2030) == demand(parameters, YEARS[-1])
    assert demand(parameters, 2017) > demand(parameters, 2014) > 1 > demand(parameters, 2012)
    assert demand(parameters.replace({"demand_elasticity": 0.0}), 2016) == 1


def test_demand_moves_job_finding_and_nothing_else(parameters: ParameterSet) -> None:
    year = 2013
    calm = parameters.replace({"demand_elasticity": 0.0})
    tight = parameters.replace({"demand_elasticity": 1.0})
    one, two = hazards(calm, year), hazards(tight, year)
    changed = np.argwhere(one != two)
    assert {PHASES[to].key for to in changed[:, -1]} == {"employed"}
    np.testing.assert_allclose(two[one != two] / one[one != two], 0.0777 / 0.0738, rtol=1e-9)
    origins = {PHASES[CELLS[cell][0]].key for cell in changed[:, 3]}
    none = {"basic_school", "newly_activity_ready", "activation_newly_activity_ready"}
    assert origins == {move.origin for move in MOVES if move.to == "employed"} - none


def test_the_odds_of_activation_are_those_of_the_share(parameters: ParameterSet) -> None:
    for year, share in ((2011, 0.346), (2013, 0.346), (2014, 0.316), (2016, 0.316)):
        assert activation_share(parameters, year) == share
        table = hazards(parameters, year)[AGES.index("25-50"), WOMAN, DANISH]
        for outside, inside in ACTIVATION_OF.items():
            enter = table[FIRST_CELL[phase(outside)], phase(inside)]
            leave = table[FIRST_CELL[phase(inside)], phase(outside)]
            odds = share / (1 - share) * parameters.value("activation_entry_factor")
            assert enter / leave == pytest.approx(odds)
        assert activation_odds(parameters, year) == pytest.approx(share / (1 - share))


def test_activation_takes_no_time_from_other_moves(parameters: ParameterSet) -> None:
    """Moves that keep the clock are for those who do not move otherwise: other chances do not depend on them."""
    usual = hazards(parameters, 2012)
    without = usual.copy()
    keeps = KEEPS_CLOCK[[phase for phase, _ in CELLS]]
    without[..., keeps] = 0
    here, there = probabilities(usual), probabilities(without)
    np.testing.assert_allclose(np.where(keeps, 0, here), there, rtol=1e-12, atol=1e-15)
    switch = -np.expm1(-np.where(keeps, usual, 0).sum(axis=-1))
    np.testing.assert_allclose(
        np.where(keeps, here, 0).sum(axis=-1), (1 - there.sum(axis=-1)) * switch, rtol=1e-12, atol=1e-15
    )


def test_activation_remembers_readiness_in_every_move(parameters: ParameterSet) -> None:
    """Into activation and out of it again is the phase one came from; the clock goes on."""
    activation = CODE["activation"]
    for outside, inside in ACTIVATION_OF.items():
        assert PHASE_ENTERED[phase(outside), activation] == phase(inside)
        assert KEEPS_CLOCK[phase(outside), phase(inside)]
        assert KEEPS_CLOCK[phase(inside), phase(outside)]
        assert PHASES[phase(outside)].counts_as == PHASES[phase(inside)].counts_as
        assert PHASES[phase(outside)].until == PHASES[phase(inside)].until
        assert PHASES[phase(outside)].cuts == PHASES[phase(inside)].cuts
    assert KEEPS_CLOCK.sum() == 2 * len(ACTIVATION_OF)


def test_retirement_is_certain_at_65(parameters: ParameterSet) -> None:
    tables = Tables.of(parameters, 2012)
    old = tables.leave.reshape(len(AGE_CLASSES), -1, len(CELLS))[AGES.index("65+")]
    gone = FIRST_CELL[phase("gone")]
    assert (old[:, gone] == 0).all()
    assert (np.delete(old, gone, axis=1) == 2**32).all()


def test_destinations_are_inverted_in_the_order_of_the_phases(parameters: ParameterSet) -> None:
    tables = Tables.of(parameters, 2012)
    adult = AGES.index("25-50") * len(SEXES) * len(ORIGINS)
    for key in ("job_ready", "employed", "other_benefit"):
        row = adult * len(CELLS) + FIRST_CELL[phase(key)]
        limits = tables.cumulative[row]
        assert (np.diff(limits.astype(float)) >= 0).all()
        assert tables.leave[row] == limits[-1] > 0
        low = np.concatenate([[0], limits[:-1]]).astype(np.uint64)
        possible = np.flatnonzero(limits > low)
        assert len(possible) >= 2
        for ends in (low[possible], limits[possible] - np.uint64(1)):
            found = destination(tables.cumulative, np.full(len(possible), row), ends)
            assert found.tolist() == possible.tolist()


def test_side_rows_hold_starting_and_ending_hazards(parameters: ParameterSet) -> None:
    hazard = side_job_hazards(parameters)
    n = len(SIDE_AGES)
    assert hazard[0] == 0
    assert len(hazard) == 1 + FRAILTIES * n + 3
    low, high = hazard[1 : 1 + n], hazard[1 + n : 1 + 2 * n]
    value = parameters.value
    assert hazard[1 + FRAILTIES * n :].tolist() == [value(f"{id}") for id in SIDE_ENDS]
    np.testing.assert_allclose(low / ((low + high) / 2), value("side_job_low_propensity"), rtol=1e-12)
    knots = {11.9: "11_9", 15.9: "15_9", 17.0: "17_0"}
    ages = np.array(list(knots))
    logs = np.log([value(f"side_job_start_age_{text}") for text in knots.values()])
    for code, age in enumerate(SIDE_AGES):
        assert np.log((low[code] + high[code]) / 2) == pytest.approx(np.interp(age + 0.5, ages, logs))
    age_class, held = np.array([-1, 0, 9]), np.array([True, False, True])
    assert side_row(age_class, held, 0).tolist() == [0, 1, 1 + FRAILTIES * n]
    assert side_row(age_class, ~held, 1).tolist() == [0, 1 + FRAILTIES * n, 1 + n + 9]
    assert small_job_row(held).tolist() == [SMALL_JOB_HELD, SMALL_JOB_HELD - 1, SMALL_JOB_HELD]
    assert hazard[SMALL_JOB_HELD - 1 : SMALL_JOB_HELD + 1].tolist() == [
        value("small_job_start"),
        value("small_job_end"),
    ]


SIDE_ENDS = ("side_job_end", "small_job_start", "small_job_end")


def test_thresholds_of_whole_tables_never_pass_one(parameters: ParameterSet) -> None:
    sure = parameters.replace({"rate_job_ready_to_activity_ready": 20.0, "rate_activity_ready_to_job_ready": 20.0})
    tables = Tables.of(sure, 2012)
    below_65 = tables.leave.reshape(len(AGE_CLASSES), -1)[: AGES.index("65+")]
    assert 0 < 2**32 - int(below_65.max()) < 12
    assert tables.leave.max() == 2**32
    assert threshold(np.array([1.0 + 1e-12]))[0] == 2**32


# --- the chain


def test_matrices_are_stochastic_and_expanded_month_by_month(parameters: ParameterSet) -> None:
    chain = Chain(parameters, month_number("2011-12"))
    for stratum in np.ndindex(len(AGE_CLASSES), len(SEXES), len(ORIGINS)):
        matrix = chain._matrix(2012, *stratum)
        assert matrix.shape == (N_EXPANDED, N_EXPANDED)
        np.testing.assert_allclose(matrix.sum(axis=-1), 1, rtol=1e-12)
        assert (matrix >= 0).all()
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
    sex, origin = SEXES.index("men"), ORIGINS.index("non_western")
    states = chain.states(p, months, np.array([age]), np.array([sex]), np.array([origin]))
    by_hand = p.copy()
    for month in range(1, months + 1):
        by_hand = by_hand @ chain._matrix((start + month) // 12, int(AGE_CLASS[age + month]), sex, origin)
    found = np.bincount([PHASES[k].state == "in_education" for k in PHASE_OF], weights=by_hand[0])[1]
    assert states[-1, 0, 1] == pytest.approx(found, rel=1e-12)
    np.testing.assert_allclose(states[:6, 0, 0], 1)
    assert states[6, 0, 0] < 1
    np.testing.assert_allclose(states.sum(axis=-1), 1, rtol=1e-12)


def test_groups_of_a_chain_live_by_their_own_sex_and_origin(parameters: ParameterSet) -> None:
    """Six groups stepped together are the six stepped alone."""
    chain = Chain(parameters.replace({"job_loss_factor_women_non_western": 3.0}), month_number("2011-12"))
    sex, origin = (codes.ravel() for codes in np.indices((len(SEXES), len(ORIGINS))))
    p = np.zeros((len(sex), N_EXPANDED))
    p[:, FIRST[phase("employed")]] = 1
    age = np.full(len(sex), 360)
    together = chain.states(p, 12, age, sex, origin)[-1]
    for k in range(len(sex)):
        alone = chain.states(p[k : k + 1], 12, age[:1], sex[k : k + 1], origin[k : k + 1])[-1]
        np.testing.assert_allclose(together[k], alone[0], rtol=1e-12)
    employed = together[:, CODE["employed"]].reshape(len(SEXES), len(ORIGINS))
    np.testing.assert_allclose(employed[:, ORIGINS.index("western")], employed[:, DANISH], rtol=1e-12)
    assert len(np.unique(employed.round(9))) == 4


def test_the_chain_keeps_the_clock_in_activation(parameters: ParameterSet) -> None:
    """Whoever has been job-ready k months comes into activation in month k + 1 of the clock, and back again."""
    chain = Chain(parameters, month_number("2011-12"))
    matrix = chain._matrix(2012, AGES.index("25-50"), WOMAN, DANISH)
    for outside, inside in ACTIVATION_OF.items():
        out, into = phase(outside), phase(inside)
        for months in (1, 7, 8, 9, 59):
            for left, entered in ((out, into), (into, out)):
                here = expanded(np.array([left]), np.array([months]))[0]
                there = expanded(np.array([entered]), np.array([months + 1]))[0]
                elsewhere = matrix[here, (entered == PHASE_OF) & (np.arange(N_EXPANDED) != there)].sum()
                assert matrix[here, there] > 0.05
                assert elsewhere == 0
    last = expanded(np.array([phase("newly_activity_ready")]), np.array([60]))[0]
    assert matrix[last, FIRST[phase("activation_activity_ready")]] > 0.05


def test_a_start_has_the_usual_share_in_activation_with_the_same_clock(parameters: ParameterSet) -> None:
    chain = Chain(parameters, month_number("2011-12"))
    for key, inside in ACTIVATION_OF.items():
        p = chain.started(phase(key), AGES.index("25-50"), WOMAN, DANISH)
        assert p.sum() == pytest.approx(1, rel=1e-12)
        assert p[phase(inside) == PHASE_OF].sum() == pytest.approx(0.346, rel=1e-9)
        shares = [p[code == PHASE_OF] / p[code == PHASE_OF].sum() for code in (phase(key), phase(inside))]
        np.testing.assert_allclose(*shares, rtol=1e-9)
    job = chain.started(phase("employed"), AGES.index("25-50"), WOMAN, DANISH)
    assert job[phase("employed") == PHASE_OF].sum() == pytest.approx(1, rel=1e-12)


def test_competing_probabilities_survive_hazards_of_nought() -> None:
    assert not probabilities(np.zeros((len(CELLS), len(PHASES)))).any()


@pytest.mark.parametrize("frailty", range(FRAILTIES))
def test_side_job_path_starts_at_eleven(parameters: ParameterSet, frailty: int) -> None:
    job, reached = side_job_path(parameters, 20, frailty)
    assert len(job) == len(reached) == 21 * 12
    assert not job[: 11 * 12].any()
    assert not reached[: 11 * 12 + 1].any()
    start = -np.expm1(-side_job_hazards(parameters)[1 + frailty * len(SIDE_AGES)])
    assert job[11 * 12] == pytest.approx(start)
    assert reached[11 * 12 + 1] == pytest.approx(start * (1 - -np.expm1(-parameters.value("side_job_end"))))


# --- the rows of real residents


def test_rows_are_renewed_exactly_when_something_changes(parameters: ParameterSet) -> None:
    """Every row recomputed from scratch every month equals the row the model kept."""
    model = AreaModel(Scenario.read("leisure_jobs", ["population.residents=3000", "horizon.months=70"]))
    people = model.population
    at_start = len(people)
    for _ in range(70):
        model.step()
        names = ("row", "until", "side_row", "out_row", "phase")
        kept = [getattr(people, name).copy() for name in names]
        people.renew(np.arange(len(people)), model.month + 1)
        for name, before in zip(names, kept, strict=True):
            np.testing.assert_array_equal(before, getattr(people, name), err_msg=name)
    assert len(people) > 1.2 * at_start
    for key in ("newly_activity_ready", "activation_newly_activity_ready"):
        newly = people.phase == phase(key)
        assert newly.any()
        assert ((model.month - people.since[newly]) <= 60).all()

"""What tells the structures apart: the shipped sets are what the table says, and the agents' moves follow it."""

import numpy as np
import pytest

from calibration.structures import CORE_RATES, RETURNS, STAYERS, STRUCTURES, Structure
from calibration.work import job_loss_factors
from sim import AreaModel, ParameterSet, Scenario
from sim.chain import PHASE_OF, Chain
from sim.locale import LANGUAGES
from sim.scenario import month_number
from sim.states import ACTIVATION_OF, AGE_CLASSES, CODE, ORIGINS, PHASE_CODE, PHASES, SEXES, STAYER_OF
from sim.transitions import CELLS, FIRST_CELL, REFORM_FACTORS, REFORM_YEAR, hazards

ADULT = [age.key for age in AGE_CLASSES].index("25-50")
STAYING = [PHASE_CODE[key] for key in STAYER_OF.values()]
by_structure = pytest.mark.parametrize("structure", STRUCTURES.values(), ids=lambda structure: structure.key)


def test_every_structure_has_a_set_and_every_set_a_structure() -> None:
    assert sorted(STRUCTURES) == list(ParameterSet.names())
    assert [len(structure.fitted) for structure in STRUCTURES.values()] == [6, 7, 9, 9]


@by_structure
def test_a_structure_says_something_of_every_id_that_tells_them_apart(structure: Structure) -> None:
    told = {id for other in STRUCTURES.values() for id in (*other.fitted, *other.ties)}
    assert {*structure.fitted, *structure.ties} == told
    assert not set(structure.fitted) & set(structure.ties)
    assert set(CORE_RATES) <= set(structure.fitted)
    assert set(structure.pulled) <= set(structure.fitted)
    assert structure.free == (*structure.fitted, *RETURNS)
    assert {to for to in structure.ties.values() if isinstance(to, str)} <= set(structure.fitted)
    texts = [text for lang in LANGUAGES for text in (structure.label(lang), structure.story(lang))]
    assert all(texts)
    assert len(set(texts)) == 4


@by_structure
def test_the_shipped_set_keeps_the_ties(structure: Structure) -> None:
    cards = ParameterSet.read(structure.key)
    for id, value in structure.fixed.items():
        assert (cards.value(id), cards[id].range, cards[id].grade) == (value, (value, value), "D")
    values = {id: cards.value(id) for id in structure.free}
    for id, value in structure.with_ties(values).items():
        assert cards.value(id) == value, id
    for id in structure.fitted:
        assert cards[id].grade == "B"
        assert cards.value(id) > 0


def test_sets_differ_in_what_is_fitted_or_tied_and_in_nothing_else() -> None:
    sets = [ParameterSet.read(name) for name in STRUCTURES]
    told = {id for structure in STRUCTURES.values() for id in (*structure.fitted, *structure.ties)}
    told |= {*job_loss_factors(), "activation_exit_factor"}
    assert {id for id in sets[0] if len({cards[id] for cards in sets}) > 1} == told
    assert len({tuple(cards) for cards in sets}) == 1


@pytest.mark.parametrize("name", ["homogeneous", "calendar"])
@pytest.mark.parametrize("year", [2012, 2015])
def test_without_history_the_newly_activity_ready_live_like_the_others(name: str, year: int) -> None:
    table = hazards(ParameterSet.read(name), year)
    for newly, long in (
        ("newly_activity_ready", "activity_ready"),
        ("activation_newly_activity_ready", "activation_activity_ready"),
    ):
        one, other = (table[..., FIRST_CELL[PHASE_CODE[key]], :] for key in (newly, long))
        inside = [PHASE_CODE[key] for key in (*ACTIVATION_OF, *ACTIVATION_OF.values())]
        np.testing.assert_allclose(np.delete(one, inside, -1), np.delete(other, inside, -1), rtol=1e-14)
        np.testing.assert_allclose(one[..., CODE["job_ready"]], other[..., CODE["job_ready"]], rtol=1e-14)
        assert one[ADULT].sum() > 0


def test_with_history_the_newly_activity_ready_reach_job_ready_alone() -> None:
    row = hazards(ParameterSet.read("history"), 2015)[ADULT, ..., FIRST_CELL[PHASE_CODE["newly_activity_ready"]], :]
    reached = {PHASES[to].key for to in np.flatnonzero(row.any(axis=(0, 1)))}
    assert reached == {"job_ready", "activation_newly_activity_ready", "gone"}


def test_the_reform_changes_its_rates_from_2014_in_every_age_and_in_activation_too() -> None:
    """One factor at a time against none: the months before 2014 are the same, those after have it once."""
    cards = ParameterSet.read("history")
    wanted = {
        "reform_factor_job_ready_out": {
            (origin, to)
            for origin in ("job_ready", "activation")
            for to in ("newly", "employed", "self_supporting", "in_education")
        },
        "reform_factor_job_ready_to_other_benefit": {
            (origin, to) for origin in ("job_ready", "activation") for to in ("other_benefit", "disability_pension")
        },
        "reform_factor_activity_ready_to_job_ready": {
            (f"{before}{newly}activity_ready", "job_ready")
            for before in ("", "activation_")
            for newly in ("", "newly_")
        },
    }
    assert set(REFORM_FACTORS.values()) == set(wanted)
    for id, moves in wanted.items():
        changed = cards.replace({id: 0.4})
        for year in (REFORM_YEAR - 2, REFORM_YEAR - 1):
            np.testing.assert_array_equal(hazards(changed, year), hazards(cards, year))
        for year in (REFORM_YEAR, REFORM_YEAR + 4):
            before, after = hazards(cards, year), hazards(changed, year)
            differ = before != after
            found = {
                (PHASES[CELLS[cell][0]].key, "newly" if "newly" in PHASES[to].key else PHASES[to].key)
                for *_, cell, to in np.argwhere(differ)
            }
            assert found <= moves
            assert {origin for origin, _ in found} == {origin for origin, _ in moves}
            np.testing.assert_allclose(after[differ] / before[differ], 0.4, rtol=1e-12)


# --- those who stay job-ready for good


def test_stayers_leave_by_death_and_retirement_alone() -> None:
    table = hazards(ParameterSet.read("history_stayers"), 2012)
    inside = PHASE_CODE["activation_job_ready_stayer"]
    for phase in STAYING:
        to = {PHASES[k].key for k in np.flatnonzero(table[..., FIRST_CELL[phase], :].any(axis=(0, 1, 2)))}
        assert to == {"gone", PHASES[sum(STAYING) - phase].key}
    assert inside in STAYING
    others = np.delete(np.arange(len(CELLS)), FIRST_CELL[STAYING])
    assert not table[..., others, :][..., STAYING].any()


def test_the_share_found_job_ready_stays_at_the_start_and_among_newcomers() -> None:
    """Binomial counts, within four standard errors; the others never become stayers."""
    share = 0.3
    cards = ParameterSet.read("history_stayers").replace({STAYERS: share})
    model = AreaModel(Scenario.read("baseline", ["population.residents=20000"]), parameters=cards)
    people = model.population
    found = {"start": people.phase.copy(), "newcomers": people.phase[:0]}
    for _ in range(36):
        before, rows = people.phase.copy(), len(people)
        model.step()
        found["newcomers"] = np.concatenate([found["newcomers"], people.phase[rows:]])
        stayed = np.isin(before, STAYING)
        assert np.isin(people.phase[:rows][stayed], [*STAYING, CODE["gone"]]).all()
        assert not np.isin(people.phase[:rows][~stayed], STAYING).any()
    for name, phases in found.items():
        stays = np.isin(phases[np.isin(phases, [*STAYING, *(PHASE_CODE[key] for key in STAYER_OF)])], STAYING)
        print(f"{name}: {stays.mean():.3f} of {len(stays)} stay")
        assert len(stays) > 200
        assert abs(stays.mean() - share) < 4 * np.sqrt(share * (1 - share) / len(stays))


def test_a_stayer_is_job_ready_to_everybody_who_counts() -> None:
    cards = ParameterSet.read("history_stayers").replace({STAYERS: 1.0})
    model = AreaModel(Scenario.read("cash_benefit_cohorts_2011", ["population.residents=3000"]), parameters=cards)
    people = model.population
    ready = people.cohort == 0
    assert ready.sum() > 500
    assert np.isin(people.phase[ready], STAYING).all()
    for _ in range(24):
        model.step()
    assert {PHASES[code].counts_as for code in people.phase[ready]} <= {"job_ready", "gone"}
    assert (people.state[ready] == CODE["activation"]).mean() > 0.25


def test_without_stayers_a_life_is_what_it_was() -> None:
    """Who stays is a draw of its own: nobody else's life changes with the share."""
    lives = []
    for share in (0.0, 0.3):
        cards = ParameterSet.read("history").replace({STAYERS: share})
        model = AreaModel(Scenario.read("baseline", ["population.residents=3000"]), parameters=cards)
        start = np.isin(model.population.phase, STAYING)
        for _ in range(24):
            model.step()
        lives.append((start, model.population.phase[:3000].copy(), model.population.since[:3000].copy()))
    (none, *without), (stays, *with_stayers) = lives
    assert not none.any()
    assert stays.any()
    for here, there in zip(without, with_stayers, strict=True):
        np.testing.assert_array_equal(here[~stays], there[~stays])


def test_the_chain_starts_with_the_share() -> None:
    cards = ParameterSet.read("history_stayers")
    chain = Chain(cards, month_number("2011-12"))
    stratum = (ADULT, SEXES.index("women"), ORIGINS.index("danish"))
    p = np.bincount(PHASE_OF, weights=chain.started(CODE["job_ready"], *stratum), minlength=len(PHASES))
    share, inside = cards.value(STAYERS), cards.value("activation_share_to_2013")
    assert p.sum() == pytest.approx(1, rel=1e-12)
    assert p[STAYING] == pytest.approx([share * (1 - inside), share * inside], rel=1e-12)
    assert chain.started(CODE["activity_ready"], *stratum)[np.isin(PHASE_OF, STAYING)].sum() == 0


@by_structure
def test_engines_and_stacks_give_the_same_lives(structure: Structure) -> None:
    cards = ParameterSet.read(structure.key)
    scenario = Scenario.read("baseline", ["population.residents=600", "horizon.months=30"])
    lives = []
    for options in ({"engine": "numpy"}, {"engine": "numba"}, {"engine": "numpy", "replicate": range(2)}):
        model = AreaModel(scenario, parameters=cards, **options)
        for _ in range(30):
            model.step()
        mine = model.stream.block == 0
        order = np.argsort(model.stream.ids[mine], kind="stable")
        people = model.population
        lives.append(
            [getattr(people, name)[mine][order] for name in ("birth", "phase", "since", "in_area", "side_hours")]
        )
    for here, *others in zip(*lives, strict=True):
        for other in others:
            np.testing.assert_array_equal(here, other)

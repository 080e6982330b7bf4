"""Residents are Mesa agents and rows at once; the model is a Mesa model; views cost nothing until somebody looks."""

import gc
import time
import tracemalloc
import weakref
from collections.abc import Callable

import mesa
import numpy as np
import pytest
from mesa.agent import AgentSet

from sim import AreaModel, ParameterError, Resident, Scenario, toy_area
from sim.engine.ledger import KINDS
from sim.states import CODE, PHASE_CODE, STATE_KEYS


@pytest.fixture
def model() -> AreaModel:
    return AreaModel(toy_area(residents=300))


# --- Mesa


def test_model_and_residents_are_mesas(model: AreaModel) -> None:
    assert isinstance(model, mesa.Model)
    assert issubclass(Resident, mesa.Agent)
    assert isinstance(model.agents, AgentSet)
    assert all(isinstance(agent, mesa.Agent) for agent in model.agents)
    assert [agent.unique_id for agent in model.agents] == list(range(300))
    assert model.agent_types == [Resident]
    assert list(model.agents_by_type) == [Resident]
    assert model.agents_by_type[Resident] is model.agents
    assert next(iter(model.agents)).pos is None


def test_select_agg_and_groupby_read_the_columns(model: AreaModel) -> None:
    people = model.population
    found = model.agents.select(lambda r: r.state == "job_ready" and r.sex == "women")
    wanted = np.flatnonzero((people.state == CODE["job_ready"]) & (people.sex == 0))
    assert [r.unique_id for r in found] == wanted.tolist()
    assert len(wanted)
    assert model.agents.agg("age", np.mean) == pytest.approx((-people.birth.astype(int) // 12).mean())
    groups = model.agents.groupby("origin")
    sizes = {origin: len(agents) for origin, agents in groups.groups.items()}
    assert sizes == {
        origin: int((people.origin == code).sum()) for code, origin in enumerate(("danish", "western", "non_western"))
    }
    model.step()
    assert model.agents.get("state") == [STATE_KEYS[code] for code in people.state]


def test_the_data_collector_works() -> None:
    model = AreaModel(toy_area(residents=120))
    collector = mesa.DataCollector(
        model_reporters={"employed": lambda m: int(m.state_counts[-1][0, CODE["employed"]]), "date": "date"},
        agent_reporters={"state": "state", "side_job": "side_job", "age": "age"},
    )
    collector.collect(model)
    for _ in range(3):
        model.step()
        collector.collect(model)
    of_model, of_agents = collector.get_model_vars_dataframe(), collector.get_agent_vars_dataframe()
    assert of_model["date"].tolist() == ["2011-12", "2012-01", "2012-02", "2012-03"]
    assert of_model["employed"].tolist() == [int(c[0, CODE["employed"]]) for c in model.state_counts]
    assert len(of_agents.xs(0, level="Step")) == 120
    assert len(of_agents.xs(3, level="Step")) == len(model.population) >= 120
    last = of_agents.xs(3, level="Step")
    assert last["state"].tolist() == [STATE_KEYS[code] for code in model.population.state]
    assert last["side_job"].tolist() == model.population.side_hours.tolist()


def test_stacked_replicates_have_no_views() -> None:
    stacked = AreaModel(toy_area(residents=20), replicate=range(2))
    with pytest.raises(AttributeError, match="replicate"):
        _ = stacked.agents


# --- a resident


def test_a_resident_reads_its_row(model: AreaModel) -> None:
    people = model.population
    for row in (0, 17, 299):
        resident = model.resident(row)
        assert resident.unique_id == row
        assert resident.age_months == -people.birth[row]
        assert resident.age == resident.age_months // 12
        assert resident.months_in_state == -people.since[row]
        assert resident.side_job == people.side_hours[row]
    model.step()
    assert model.resident(17).age_months == 1 - people.birth[17]


def test_writing_the_state_changes_column_counts_and_ledger() -> None:
    model = AreaModel(toy_area(residents=300))
    resident = next(r for r in model.agents if r.state == "in_education" and r.side_job)
    row, before = resident.row, model.state_counts[-1].copy()
    resident.state = "employed"
    assert model.population.state[row] == CODE["employed"]
    assert resident.state == "employed"
    assert resident.months_in_state == 0
    assert resident.side_job == 0
    change = model.state_counts[-1] - before
    assert change[0, CODE["employed"]] == 1
    assert change[0, CODE["in_education"]] == -1
    assert np.abs(change).sum() == 2
    assert [tuple(event) for event in model.ledger.table()] == [
        (0, row, 0, CODE["in_education"], CODE["employed"]),
        (0, row, 1, 1, 0),
    ]
    assert model.population.touched[row]
    resident.state = "employed"
    assert len(model.ledger.table()) == 2
    for _ in range(24):
        model.step()
        counts = np.bincount(model.population.state[:300], minlength=len(STATE_KEYS))
        np.testing.assert_array_equal(model.state_counts[-1][0], counts)


def test_a_moved_resident_lives_by_the_hazards_of_the_new_state() -> None:
    """After being put on a state that is left by death or retirement alone, nobody under 65 leaves it alive."""
    model = AreaModel(toy_area(residents=300))
    model.move(np.arange(300), "disability_pension")
    for _ in range(24):
        model.step()
    first = model.population.state[:300]
    old = model.month - model.population.birth[:300] >= 65 * 12
    assert np.isin(first, [CODE["disability_pension"], CODE["gone"]]).all()
    assert (first[old] == CODE["gone"]).all()
    assert (first[~old] == CODE["disability_pension"]).mean() > 0.97
    assert (model.population.side_hours[:300] == 0).all()


def test_removed_residents_stay_as_rows(model: AreaModel) -> None:
    model.resident(5).remove()
    assert model.resident(5).state == "gone"
    assert len(model.population) == len(model.agents) == 300
    assert not model.columns().alive[5]


@pytest.mark.parametrize("name", ["random", "rng"])
def test_a_resident_has_no_chance_of_its_own(model: AreaModel, name: str) -> None:
    with pytest.raises(AttributeError, match=r"resident\.draw"):
        getattr(model.resident(3), name)


def test_draws_belong_to_name_month_resident_and_occurrence(model: AreaModel) -> None:
    resident = model.resident(3)
    here = resident.draw("lucky")
    assert 0 <= here < 1
    assert resident.draw("lucky") == AreaModel(toy_area(residents=50)).resident(3).draw("lucky") == here
    others = [resident.draw("unlucky"), resident.draw("lucky", 1), model.resident(4).draw("lucky")]
    others.append(AreaModel(toy_area(residents=50), seed=2).resident(3).draw("lucky"))
    model.step()
    assert len({here, resident.draw("lucky"), *others}) == 6


def test_activity_history_tells_the_course(live: Callable[..., AreaModel], leisure_jobs: Scenario) -> None:
    model = live(leisure_jobs)
    histories = [model.view(row).activity_history for row in range(len(model.population))]
    told = [history for history in histories if history]
    assert told
    stages = ["referred", "declined", "queued", "gave_up", "left_queue", "enrolled"]
    for history in told:
        months = [month for month, _, _ in history]
        assert months == sorted(months)
        events = [event for _, _, event in history]
        assert events[0] == "referred"
        assert all(event not in stages for event in events[3:])
        assert {item for _, item, _ in history} == {"leisure_job"}
    assert any([e for *_, e in h] == ["referred", "queued", "enrolled", "completed"] for h in told)


# --- a user's own residents


class Walker(Resident):
    """Notes each step; some find work by their own draw."""

    seen: list[tuple[int, int]]

    def step(self) -> None:
        self.model.seen.append((self.model.month, self.unique_id))
        if self.state == "self_supporting" and self.draw("own luck") < 0.5:
            self.state = "employed"


def walk(months: int) -> AreaModel:
    model = AreaModel(toy_area(residents=80), resident=Walker)
    model.seen = []
    for _ in range(months):
        model.step()
    return model


def test_a_users_step_runs_after_the_month_in_id_order_and_repeats() -> None:
    first, second = walk(4), walk(4)
    joined = first.ledger.table()
    joined = joined[(joined["kind"] == KINDS.index("dwelling")) & (joined["after"] == 1)]
    assert len(joined)
    ids, month_of = first.stream.ids, np.zeros(len(first.population), dtype=int)
    month_of[joined["row"]] = joined["month"]
    wanted = [(month, int(ids[row])) for month in range(1, 5) for row in np.flatnonzero(month_of <= month)]
    assert first.seen == wanted
    assert first.ledger.table().tobytes() == second.ledger.table().tobytes()
    moved = np.flatnonzero(first.population.touched)
    assert len(moved)
    own = first.ledger.table()
    own = own[own["kind"] == KINDS.index("state")]
    own = own[(own["before"] == CODE["self_supporting"]) & (own["after"] == CODE["employed"])]
    assert set(moved) <= set(own["row"])
    for month in range(1, 5):
        counts = first.state_counts[month]
        assert counts.sum() == 80
    np.testing.assert_array_equal(first.state_counts[-1][0], np.bincount(first.population.state[:80], minlength=11))


def test_without_a_step_no_views_are_made(model: AreaModel) -> None:
    model.step()
    assert not model._views
    known = model.resident(3)
    assert list(model._views) == [3]
    assert list(model.agents)[3] is known is model.resident(3)


# --- memory


def test_views_do_not_keep_models_alive() -> None:
    model = AreaModel(toy_area(residents=50))
    assert len(model.agents) == 50
    model.step()
    watch, view = weakref.ref(model), weakref.ref(model.resident(7))
    del model
    gc.collect()
    assert watch() is None
    assert view() is None


@pytest.mark.parametrize("residents", [1_000_000])
def test_a_million_residents_are_no_million_objects(residents: int) -> None:
    scenario = Scenario.read("leisure_jobs").scaled(residents)
    AreaModel(toy_area(residents=10))
    gc.collect()
    before = len(gc.get_objects())
    begun = time.perf_counter()
    model = AreaModel(scenario)
    print(f"{residents} residents built in {time.perf_counter() - begun:.2f} s")
    gc.collect()
    made = len(gc.get_objects()) - before
    columns = sum(a.nbytes for a in vars(model.population).values() if isinstance(a, np.ndarray))
    each = (columns + model.stream.keys.nbytes + model._programme.nbytes) / residents
    print(f"{made} objects, {each:.0f} bytes a resident")
    assert made < 2_000
    assert each <= 96
    model.step()
    assert model.state_counts[-1].sum() == residents


def test_a_months_memory_is_given_back() -> None:
    model = AreaModel(Scenario.read("baseline", ["population.residents=20000"]))
    for _ in range(3):
        model.step()
    tracemalloc.start()
    for _ in range(20):
        model.step()
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    ledger = model.ledger.table().nbytes
    assert kept < 3 * ledger + 500_000


# --- refusals


@pytest.mark.parametrize(
    ("options", "key"), [({"engine": "fortran"}, "engine"), ({"draw": 10**6}, "draw"), ({"draw": -1}, "draw")]
)
def test_impossible_options_are_refused(options: dict[str, object], key: str) -> None:
    with pytest.raises(ParameterError) as caught:
        AreaModel(toy_area(residents=10), **options)
    assert [problem.key for problem in caught.value.problems] == [key]


def test_unknown_states_and_residents_are_refused(model: AreaModel) -> None:
    with pytest.raises(ParameterError) as caught:
        model.resident(3).state = "employd"
    assert caught.value.problems[0].nearest == "employed"
    for id in (-1, 300):
        with pytest.raises(ParameterError) as caught:
            model.resident(id)
        assert caught.value.problems[0].values["high"] == 299


def test_dates_follow_the_calendar(model: AreaModel) -> None:
    assert model.date == "2011-12"
    for _ in range(13):
        model.step()
    assert model.date == "2013-01"


def test_a_users_move_enters_the_phase_that_the_declared_move_enters() -> None:
    model = AreaModel(toy_area(residents=600))
    people = model.population
    ready = np.flatnonzero(people.state == CODE["job_ready"])
    others = np.flatnonzero(people.state == CODE["employed"])
    model.move(ready[:1], "activity_ready")
    model.move(others[:1], "activity_ready")
    assert people.phase[ready[0]] == PHASE_CODE["newly_activity_ready"]
    assert people.phase[others[0]] == PHASE_CODE["activity_ready"]

"""The two engines on any table, and a cache of compiled code that never serves an old line."""

import ast
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import AreaModel, ParameterSet, Scenario, population
from sim.engine import kernels
from sim.engine.months import COMPILE_FROM, Events, MonthPass, Risks, choose
from sim.engine.places import Places, renew_rows
from sim.engine.streams import Stream, moment_key, threshold
from sim.states import CODE, PHASE_CODE
from sim.transitions import SIDE_KIND

SOURCE = Path(kernels.__file__)


class Drawn(NamedTuple):
    """A month's tables and everybody's place in them, as one generator makes them."""

    row: np.ndarray
    until: np.ndarray
    side_row: np.ndarray
    out_row: np.ndarray
    chances: np.ndarray
    parts: np.ndarray
    side_chances: np.ndarray
    out_chances: np.ndarray


def tables(residents: int, seed: int, month: int) -> Drawn:
    luck = np.random.default_rng(seed)
    chances, side_chances, out_chances = luck.random(50) ** 4, luck.random(25) ** 2, luck.random(43) ** 2
    chances[0], chances[1], side_chances[0], out_chances[0] = 0.0, 1.0, 0.0, 0.0
    rare = [(luck.random(residents) < 0.3).astype(np.uint8) for _ in range(2)]
    return Drawn(
        luck.integers(0, 50, residents).astype(np.uint16),
        luck.integers(month, month + 3, residents).astype(np.int16),
        luck.integers(0, 25, residents).astype(np.uint8) * rare[0],
        luck.integers(0, 43, residents).astype(np.uint8) * rare[1],
        chances,
        chances[:, None] * np.append(np.sort(luck.random((50, 3)), axis=1), np.ones((50, 1)), axis=1),
        side_chances,
        out_chances,
    )


def risks(residents: int, seed: int, month: int) -> Risks:
    drawn = tables(residents, seed, month)
    return Risks(
        Stream(seed, range(1), residents).keys,
        *drawn[:4],
        *(threshold(chances) for chances in drawn[4:]),
        moment_key("move", month),
        moment_key("side job", month),
        moment_key("move out", month),
        month,
    )


def one_month(engine: str, residents: int, seed: int, month: int) -> Events:
    return MonthPass(engine)(risks(residents, seed, month))


@settings(deadline=None, max_examples=40)
@given(st.sampled_from([0, 1, 7, 8191, 8192, 8193, 20_000]), st.integers(0, 2**31), st.integers(1, 600))
def test_numpy_and_numba_draw_the_same_events(residents: int, seed: int, month: int) -> None:
    numpy, numba = (one_month(engine, residents, seed, month) for engine in ("numpy", "numba"))
    for name, array in vars(numpy).items():
        other = getattr(numba, name)
        assert array.dtype == other.dtype, name
        np.testing.assert_array_equal(array, other, err_msg=name)
        if name != "moved_to":
            assert (np.diff(array) > 0).all()


def test_a_month_against_the_definition() -> None:
    """Everybody with chance one moves, nobody with chance nought; the rest by their own draw."""
    residents, month = 3000, 12
    events = one_month("numpy", residents, 5, month)
    drawn = tables(residents, 5, month)
    stream = Stream(5, range(1), residents)
    u, v, w = (stream.draw(name, month, np.arange(residents)) for name in ("move", "side job", "move out"))
    assert events.moved.tolist() == np.flatnonzero(u < drawn.chances[drawn.row]).tolist()
    assert events.side.tolist() == np.flatnonzero(v < drawn.side_chances[drawn.side_row]).tolist()
    assert events.out.tolist() == np.flatnonzero(w < drawn.out_chances[drawn.out_row]).tolist()
    assert events.due.tolist() == np.flatnonzero(drawn.until == month + 1).tolist()
    parts = drawn.parts[drawn.row[events.moved]]
    assert events.moved_to.tolist() == (u[events.moved, None] >= parts).sum(axis=1).tolist()
    assert set(events.moved_to) == {0, 1, 2, 3}
    assert min(len(events.moved), len(events.side), len(events.out)) > 100


def even(keys: np.ndarray, chance: float, month: int) -> Risks:
    """Return a month in which everybody moves with the same chance and nothing else happens."""
    none = np.zeros(len(keys), dtype=np.uint8)
    never = threshold(np.array([0.0]))
    return Risks(
        keys,
        none.astype(np.uint16),
        np.full(len(keys), 9, np.int16),
        none,
        none,
        threshold(np.array([chance])),
        threshold(np.array([[chance / 3, chance]])),
        never,
        never,
        *(moment_key(name, month) for name in ("move", "side job", "move out")),
        month,
    )


def test_events_do_not_share_the_buffers_of_the_next_month() -> None:
    run = MonthPass("numba")
    keys = Stream(1, range(1), 100).keys
    first = run(even(keys, 0.5, 1))
    before = first.moved.copy()
    second = run(even(keys, 0.5, 2))
    assert second.moved.tolist() != before.tolist()
    np.testing.assert_array_equal(first.moved, before)


def test_buffers_grow_with_the_residents() -> None:
    """Newcomers make every month longer than the last; each engine draws all of them, early rows as before."""
    runs = {engine: MonthPass(engine) for engine in ("numpy", "numba")}
    keys = Stream(1, range(1), 5000).keys
    for residents in (0, 10, 11, 100, 5000, 40):
        found = [run(even(keys[:residents], 0.5, 1)) for run in runs.values()]
        np.testing.assert_array_equal(found[0].moved, found[1].moved)
        np.testing.assert_array_equal(found[0].moved_to, found[1].moved_to)
        everybody = runs["numpy"](even(keys, 0.5, 1)).moved
        np.testing.assert_array_equal(found[0].moved, everybody[everybody < residents])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.integers(1, 600))
def test_numpy_and_numba_find_the_same_places(seed: int, month: int) -> None:
    """Whoever the residents are, and only for those asked."""
    luck = np.random.default_rng(seed)
    rows = 2000
    lookups = population._LOOKUPS
    people = Places(
        birth=(month - luck.integers(0, 1300, rows)).astype(np.int16),
        since=(month - luck.integers(0, 900, rows)).astype(np.int16),
        phase=luck.integers(0, len(lookups.then), rows).astype(np.uint8),
        state=luck.integers(0, lookups.side.shape[0], rows).astype(np.uint8),
        sex=luck.integers(0, 2, rows).astype(np.uint8),
        origin=luck.integers(0, 3, rows).astype(np.uint8),
        role=luck.integers(0, 3, rows).astype(np.uint8),
        youth_dwelling=luck.random(rows) < 0.5,
        in_area=luck.random(rows) < 0.5,
        frailty=luck.integers(0, 2, rows).astype(np.uint8),
        side_hours=np.where(luck.random(rows) < 0.5, 6, 0).astype(np.float32),
        affected=luck.random(rows) < 0.5,
        row=np.zeros(rows, dtype=np.uint16),
        until=np.zeros(rows, dtype=np.int16),
        side_row=np.zeros(rows, dtype=np.uint8),
        out_row=np.zeros(rows, dtype=np.uint8),
    )
    asked = np.flatnonzero(luck.random(rows) < 0.7)
    found = {engine: Places(*(column.copy() for column in people)) for engine in ("numpy", "numba")}
    for engine, places in found.items():
        renew_rows(engine, asked, month, places, lookups)
    for name, numpy, numba in zip(Places._fields, found["numpy"], found["numba"], strict=True):
        np.testing.assert_array_equal(numpy, numba, err_msg=name)
    others = np.setdiff1d(np.arange(rows), asked)
    for column in found["numpy"][-4:]:
        assert not column[others].any()
        assert column[asked].any()


def newcomers(engine: str, vacated: Callable[[AreaModel], np.ndarray], month: int, **options: object) -> AreaModel:
    """Return an area of 600 into whose ``vacated`` dwellings households have moved in ``month``."""
    model = AreaModel(Scenario.read("baseline", ["population.residents=600"]), engine=engine, **options)
    heads = vacated(model)
    rows = model.population.move_in(heads, month)
    assert rows.tolist() == list(range(len(model.population) - len(rows), len(model.population)))
    return model


def assert_the_same(numpy: AreaModel, numba: AreaModel) -> None:
    for rows, others in ((numpy.population, numba.population), (numpy.stream, numba.stream)):
        assert len(rows) == len(others)
        for name in rows.names:
            column, other = getattr(rows, name), getattr(others, name)
            assert column.dtype == other.dtype, name
            assert column.tobytes() == other.tobytes(), name


UNUSUAL = {
    "small_job_hours_growth": 0.0,
    "small_job_hours_at_start": 10.0,
    "small_job_hours_at_most": 8.0,
    "past_months_at_most": 60.0,
    "area_months_longest": 120.0,
    "area_months_in_education": 12.0,
}
"""Values at the ends of their ranges, some of which make tables short or flat."""


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 2**31),
    st.sampled_from([range(1), range(7, 8), range(2, 5)]),
    st.sampled_from([0, 0, 3]),
    st.sampled_from([None, range(11, 21), range(1), range(25, 51), range(200, 210)]),
    st.integers(1, 300),
    st.sampled_from([{}, UNUSUAL]),
)
def test_numpy_and_numba_make_the_same_newcomers(
    parameters: ParameterSet,
    seed: int,
    replicates: range,
    area: int,
    ages: range | None,
    month: int,
    values: dict[str, float],
) -> None:
    """Into any dwellings, of any number and history: column by column and byte by byte, the stream's too."""

    def vacated(model: AreaModel) -> np.ndarray:
        luck = np.random.default_rng(seed)
        people = model.population
        people.dwelling[:] = luck.integers(0, 9_000_000, len(people))
        people.occupant[:] = luck.integers(0, 60_000, len(people)) * luck.integers(0, 2, len(people))
        people.youth_dwelling[:] = luck.random(len(people)) < luck.random()
        return np.flatnonzero(luck.random(len(people)) < luck.choice([0.0, 0.01, 0.9]))

    options = dict(seed=seed % 1000, replicate=replicates, area=area, ages=ages, parameters=parameters.replace(values))
    made = [newcomers(engine, vacated, month, **options) for engine in ("numpy", "numba")]
    assert_the_same(*made)


def test_among_many_newcomers_everything_happens_in_both_engines(parameters: ParameterSet) -> None:
    """120,000 of them: every phase, long and short times in it, both kinds of side jobs, all sets of barriers."""

    def vacated(model: AreaModel) -> np.ndarray:
        people = model.population
        people.dwelling[:] = np.arange(len(people))
        return np.arange(len(people))

    made = [newcomers(engine, vacated, 5, replicate=range(100)) for engine in ("numpy", "numba")]
    assert_the_same(*made)
    people = made[0].population
    new = np.arange(60_000, len(people))
    assert len(new) > 100_000
    assert set(people.phase[new]) == set(people.phase[:60_000]) >= {PHASE_CODE["insured_unemployed"]}
    assert len(np.unique(people.barriers[new])) == 16
    assert len(np.unique(people.size[new])) == 7
    months = 5 - people.since[new]
    for state in ("in_education", "activity_ready", "other_benefit", "disability_pension", "self_supporting"):
        mine = people.state[new] == CODE[state]
        assert 0 < (months[mine] > 60).mean() < 1, state
        assert len(np.unique(months[mine])) > 50, state
    hours = people.side_hours[new][SIDE_KIND[people.state[new]] == 2]
    assert hours.max() == parameters.value("small_job_hours_at_most")
    assert len(np.unique(hours)) > 10
    assert 0.1 < (people.side_hours[new] > 0)[people.state[new] == CODE["in_education"]].mean() < 0.9


def test_auto_compiles_only_where_it_pays() -> None:
    assert choose("auto", COMPILE_FROM - 1) == "numpy"
    assert choose("auto", COMPILE_FROM) == "numba"
    assert [choose(engine, 1) for engine in ("numpy", "numba")] == ["numpy", "numba"]


def test_the_numpy_engine_needs_no_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sim.engine.kernels", None)
    assert len(one_month("numpy", 50, 1, 1).moved)
    with pytest.raises(ImportError):
        one_month("numba", 50, 1, 1)


# --- compiled kernels


@pytest.fixture
def load_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[str], str]], ModuleType]:
    """Import a changed copy of kernels.py from a fixed place, with its cache in a folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def load(name: str, change: Callable[[str], str]) -> ModuleType:
        path = tmp_path / "kernels_copy.py"
        path.write_text(change(SOURCE.read_text(encoding="utf-8")), encoding="utf-8")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def run_with(module: ModuleType) -> Events:
    original = MonthPass("numba")
    patched = sys.modules["sim.engine.kernels"]
    sys.modules["sim.engine.kernels"] = module
    try:
        return original(even(Stream(1, range(1), 500).keys, 0.4, 1))
    finally:
        sys.modules["sim.engine.kernels"] = patched


def test_a_changed_line_takes_effect_and_has_a_cache_of_its_own(
    load_copy: Callable[[str, Callable[[str], str]], ModuleType],
) -> None:
    """The second copy lies where the first lay and was cached, with one line of the pass turned round."""

    def reverse(text: str) -> str:
        changed = text.replace("if x < move_threshold[row[i]]:", "if x >= move_threshold[row[i]]:")
        assert changed != text
        return changed

    first = load_copy("kernels_first", lambda text: text)
    same = run_with(first)
    assert same.moved.tolist() == run_with(kernels).moved.tolist()
    folder = first.cache_folder()
    assert list(folder.rglob("*.nbi")), "the compiled pass was not cached"
    second = load_copy("kernels_second", reverse)
    other = run_with(second)
    assert sorted([*same.moved.tolist(), *other.moved.tolist()]) == list(range(500))
    assert second.cache_folder() != folder
    assert list(second.cache_folder().rglob("*.nbi"))
    assert second.cache_folder().parent == folder.parent


def test_the_cache_goes_to_the_temporary_folder_when_home_is_read_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder can be made below a file", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert str(tmp_path) not in str(kernels.cache_folder())
    assert kernels.cache_folder().name.startswith("kernels-")


def test_the_kernels_see_nothing_of_ours() -> None:
    """No import from the package, and no name in the compiled pass that is not an argument, a local or numba's."""
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [alias.name for node in imported if isinstance(node, ast.Import) for alias in node.names]
    froms = [node.module or "" for node in imported if isinstance(node, ast.ImportFrom)]
    assert all(node.level == 0 for node in imported if isinstance(node, ast.ImportFrom))
    assert not [name for name in (*names, *froms) if name.split(".")[0] in ("sim", "calibration")]
    compiled = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(d, ast.Name) and d.id == "compiled" for d in node.decorator_list)
    ]
    assert [node.name for node in compiled] == [
        "month_pass",
        "renew",
        "move_in",
        "draw_bits",
        "in_target_group",
        "reached_in",
        "entering",
        "shifts_by_resident",
        "endings",
        "heard",
        "admitted",
        "handed_to",
        "stand",
        "pay",
    ]
    for function in compiled:
        used = {node.id for part in function.body for node in ast.walk(part) if isinstance(node, ast.Name)}
        own = {argument.arg for argument in function.args.args}
        local = {
            node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        assert used - own - local <= {"numba", "np", "range", "min", "max", "abs"}

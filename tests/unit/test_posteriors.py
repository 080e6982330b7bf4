"""Posterior draws: their files, which of them a run takes, and what a wrong file says."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from posteriors import EFFECT, made_up, origin

from sim import AreaModel, ParameterSet, Scenario
from sim.draws import Draws, path_of, read_draws, write_draws
from sim.errors import ParameterError
from sim.locale import LANGUAGES
from sim.parameters import RIVALS, deal, numbered_draw, posteriors_of

Put = Callable[..., Path]
RATE = "rate_job_ready_to_activity_ready"


# --- the file


def test_a_posterior_reads_back_as_it_was_written(posteriors: Put) -> None:
    folder = posteriors("history", number=40)
    parameters = ParameterSet.read("history")
    found = parameters.posterior
    wanted = made_up(folder, "history", 40)
    assert found is not None
    assert found.origin == wanted.origin
    assert found.origin.base == parameters.digest
    assert len(found) == 40
    for id, column in wanted.values.items():
        assert found.values[id].dtype == np.float64
        np.testing.assert_array_equal(found.values[id], column)


def test_the_file_says_what_it_was_made_from(posteriors: Put) -> None:
    path = path_of(posteriors("history"), "history")
    file = pq.ParquetFile(path)
    about = json.loads(file.schema_arrow.metadata[b"jobveje"])
    assert set(about) == {
        *("structure", "base", "seed", "targets", "priors", "number", "date", "version"),
        "parameters",
    }
    assert {str(field.type) for field in file.schema_arrow} == {"double"}
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert about["parameters"] == file.schema_arrow.names


def test_the_same_draws_give_the_same_bytes(tmp_path: Path, posteriors: Put) -> None:
    folder = posteriors("history")
    again = write_draws(tmp_path, made_up(folder, "history", 40))
    assert again.read_bytes() == path_of(folder, "history").read_bytes()


def test_two_thousand_draws_are_a_small_file(tmp_path: Path) -> None:
    """Random numbers do not compress: 8 bytes each, and the frame of the file."""
    values = {f"rate_{i}": np.random.default_rng(i).uniform(size=2000) for i in range(9)}
    path = write_draws(tmp_path, Draws(origin("history", "0", 2000, tuple(values)), values))
    assert path.stat().st_size < 9 * 2000 * 8 * 1.05


def test_rows_lie_evenly_however_many_are_used() -> None:
    """The N first rows leave no gap above three times the even one, and every row comes once."""
    for number in (1, 2, 7, 40, 2000):
        draws = Draws(origin("history", "0", number, ()), {})
        rows = [draws.row(i) for i in range(1, number + 1)]
        assert sorted(rows) == list(range(number))
        for used in (n for n in (7, 20, 100, 700) if n < number):
            ends = np.sort(rows[:used])
            gaps = np.diff([*ends, ends[0] + number])
            assert gaps.max() <= 3 * number / used


# --- which draws


def test_draws_are_dealt_to_the_structures_like_cards(posteriors: Put) -> None:
    posteriors(*RIVALS)
    dealt = deal("default", 20)
    assert [draw.draw for draw in dealt] == list(range(1, 21))
    assert [draw.structure for draw in dealt[:6]] == [*RIVALS, *RIVALS]
    counts = [sum(draw.structure == structure for draw in dealt) for structure in RIVALS]
    assert max(counts) - min(counts) <= 1
    for structure in RIVALS:
        posterior = ParameterSet.read(structure).posterior
        assert posterior is not None
        mine = [draw for draw in dealt if draw.structure == structure]
        assert [draw.row for draw in mine] == [posterior.row(i) for i in range(1, len(mine) + 1)]
        for draw in mine:
            assert draw.values == {id: column[draw.row] for id, column in posterior.values.items()}
    assert deal("default", 120)[:20] == dealt


def test_the_homogeneous_baseline_is_drawn_only_by_name(posteriors: Put) -> None:
    posteriors("history", "homogeneous")
    assert list(posteriors_of("default")) == ["history"]
    assert {draw.structure for draw in deal("homogeneous", 5)} == {"homogeneous"}


def test_one_draw_is_the_point_values(posteriors: Put) -> None:
    posteriors(*RIVALS)
    for name, structure in (("default", "history"), ("calendar", "calendar")):
        (only,) = deal(name, 1)
        assert (only.draw, only.structure, only.row, only.values) == (0, structure, None, {})
        assert only.parameters().digest == ParameterSet.read(name).digest


def test_a_drawn_set_has_the_values_of_its_draw(posteriors: Put) -> None:
    posteriors(*RIVALS)
    for number in (1, 2, 6):
        drawn = numbered_draw("default", number)
        parameters = drawn.parameters()
        point = ParameterSet.read(drawn.structure)
        assert parameters.structure == drawn.structure
        for id, card in parameters.items():
            assert card.value == drawn.values.get(id, point[id].value)
            assert (card.source, card.grade) == (point[id].source, point[id].grade)
        assert parameters.of_activities == {EFFECT: drawn.values[EFFECT]}
        assert parameters.digest != point.digest
    history = ParameterSet.read("history")
    assert history.draw(2).digest == numbered_draw("history", 2).parameters().digest
    assert history.draw(0) is history


def test_without_posteriors_there_is_one_draw(posteriors: Put) -> None:
    posteriors()
    assert posteriors_of("default") == {}
    for asked in (lambda: deal("default", 2), lambda: numbered_draw("history", 1), lambda: _history().draw(1)):
        with pytest.raises(ParameterError) as caught:
            asked()
        assert [(problem.kind, problem.key) for problem in caught.value.problems] == [("draws_available", "draw")]


def _history() -> ParameterSet:
    return ParameterSet.read("history")


def test_more_draws_than_there_are_or_fewer_than_structures_are_refused(posteriors: Put) -> None:
    posteriors(*RIVALS, number=5)
    assert len(deal("default", 15)) == 15
    for kind, asked in {
        "draws_few": lambda: deal("default", 16),
        "draws_structures": lambda: deal("default", 2),
    }.items():
        with pytest.raises(ParameterError) as caught:
            asked()
        assert [problem.kind for problem in caught.value.problems] == [kind]
        for lang in LANGUAGES:
            assert "{" not in caught.value.render(lang)
    for number in (-1, 6):
        with pytest.raises(ParameterError):
            _history().draw(number)


# --- a wrong file


def rewritten(path: Path, change: Callable[[pa.Table, dict[str, Any]], pa.Table]) -> None:
    """Write the table of a file again as ``change`` makes it, which may change what it says of itself, too."""
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[b"jobveje"])
    changed = change(table, about)
    pq.write_table(changed.replace_schema_metadata({b"jobveje": json.dumps(about)}), path)


def _column(table: pa.Table, id: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(id), id, pa.array(values))


def _spoiled(table: pa.Table, row: int, value: float) -> pa.Table:
    column = table.column(RATE).to_numpy().copy()
    column[row] = value
    return _column(table, RATE, column)


def _said(about: dict[str, Any], table: pa.Table, **changes: object) -> pa.Table:
    about.update(changes)
    return table


SPOILS: dict[str, tuple[Callable[[pa.Table, dict[str, Any]], pa.Table], list[tuple[str, str]]]] = {
    "made for other values": (lambda t, a: _said(a, t, base="0" * 16), [("draws_base", "")]),
    "of another structure": (lambda t, a: _said(a, t, structure="calendar"), [("draws_structure", "")]),
    "too few rows": (lambda t, a: t.slice(0, 30), [("draws_rows", "")]),
    "no rows": (lambda t, a: _said(a, t.slice(0, 0), number=0), [("draws_rows", "")]),
    "a column missing": (lambda t, a: t.drop_columns([RATE]), [("draws_column_missing", RATE)]),
    "an unknown id": (
        lambda t, a: _said(a, t.rename_columns(["rate_x" if n == RATE else n for n in t.column_names])),
        [("draws_column_missing", RATE), ("unknown_parameter", "rate_x")],
    ),
    "an unknown id that it names": (
        lambda t, a: _said(a, t.append_column("rate_x", t.column(RATE)), parameters=[*t.column_names, "rate_x"]),
        [("unknown_parameter", "rate_x")],
    ),
    "a NaN": (lambda t, a: _spoiled(t, 7, np.nan), [("draws_nan", RATE)]),
    "an infinity": (lambda t, a: _spoiled(t, 7, np.inf), [("draws_nan", RATE)]),
    "outside the unit": (lambda t, a: _spoiled(t, 7, -0.1), [("bounds", RATE)]),
    "words": (lambda t, a: _column(t, RATE, ["x"] * t.num_rows), [("draws_number", RATE)]),
    "two faults": (
        lambda t, a: _said(a, _spoiled(t, 7, np.nan), base="0" * 16),
        [("draws_base", ""), ("draws_nan", RATE)],
    ),
}


@pytest.mark.parametrize("name", SPOILS)
def test_a_wrong_file_is_one_clear_error(posteriors: Put, name: str) -> None:
    change, expected = SPOILS[name]
    path = path_of(posteriors("history"), "history")
    assert _history().posterior is not None
    rewritten(path, change)
    with pytest.raises(ParameterError) as caught:
        deal("default", 5)
    assert [(problem.kind, problem.key) for problem in caught.value.problems] == expected
    for lang in LANGUAGES:
        words = caught.value.render(lang)
        assert words.count("history.draws.parquet") == len(expected)
        assert "{" not in words
    assert deal("default", 1)[0].draw == 0


@pytest.mark.parametrize("content", [b"", b"PAR1 cut short", b"not parquet"])
def test_a_damaged_file_is_named(posteriors: Put, content: bytes) -> None:
    path = path_of(posteriors("history"), "history")
    path.write_bytes(content)
    with pytest.raises(ParameterError, match=r"history\.draws\.parquet"):
        deal("history", 5)


@pytest.mark.parametrize("about", [None, b"{", b"{}", b'{"structure": "history"}', b"[]"])
def test_a_file_that_does_not_say_what_it_is_is_refused(posteriors: Put, about: bytes | None) -> None:
    path = path_of(posteriors("history"), "history")
    pq.write_table(pq.read_table(path).replace_schema_metadata({b"jobveje": about} if about else None), path)
    with pytest.raises(ParameterError) as caught:
        read_draws(path, "history", "0", {})
    assert [problem.kind for problem in caught.value.problems] == ["draws_damaged"]


def test_draws_are_stale_when_a_card_has_changed(posteriors: Put) -> None:
    posteriors("history")
    changed = _history().replace({RATE: 0.02})
    with pytest.raises(ParameterError) as caught:
        changed.draw(1)
    assert [problem.kind for problem in caught.value.problems] == ["draws_base"]


# --- the model


def test_a_model_lives_with_the_draw_it_is_given(posteriors: Put, leisure_jobs: Scenario) -> None:
    posteriors(*RIVALS)
    default = replace(leisure_jobs, parameters="default")
    model = AreaModel(default, draw=2)
    drawn = numbered_draw("default", 2)
    assert model.parameters.structure == "history_stayers"
    assert model.parameters.digest == drawn.parameters().digest
    assert model.courses[0].plan.values[EFFECT.partition(".")[2]] == drawn.values[EFFECT]
    assert AreaModel(default, draw=0).parameters.digest == AreaModel(default).parameters.digest
    own = replace(leisure_jobs, parameters="calendar")
    assert AreaModel(own, draw=2).parameters.digest == numbered_draw("calendar", 2).parameters().digest
    given = AreaModel(default, parameters=_history(), draw=2)
    assert given.parameters.digest == numbered_draw("history", 2).parameters().digest


def test_what_a_scenario_sets_is_not_drawn(posteriors: Put, leisure_jobs: Scenario) -> None:
    posteriors("history")
    id = EFFECT.partition(".")[2]
    own = leisure_jobs.with_activity("leisure_job", **{id: 1.5})
    assert AreaModel(own, draw=1).courses[0].plan.values[id] == 1.5
    assert AreaModel(leisure_jobs, draw=1).courses[0].plan.values[id] != leisure_jobs.activities[0].values[id]


@pytest.mark.parametrize(("id", "kind"), [("leisure_job.no_such", "unknown_parameter"), ("x.y", "unknown_parameter")])
def test_a_number_no_activity_has_is_refused(baseline: Scenario, id: str, kind: str) -> None:
    with pytest.raises(ParameterError) as caught:
        AreaModel(baseline, parameters=_history().with_drawn({id: 1.0}))
    assert [(problem.kind, problem.key) for problem in caught.value.problems] == [(kind, id)]


def test_a_number_of_an_activity_outside_its_unit_is_refused(baseline: Scenario) -> None:
    with pytest.raises(ParameterError) as caught:
        AreaModel(baseline, parameters=_history().with_drawn({EFFECT: 50.0}))
    assert [(problem.kind, problem.key) for problem in caught.value.problems] == [("bounds", EFFECT)]


def test_draws_do_not_stretch_tables_that_are_kept(posteriors: Put, baseline: Scenario) -> None:
    """Tables are kept by digest: two draws have their own, the same draw again the same ones."""
    from sim.transitions import Tables

    posteriors("history")
    one, two, again = (AreaModel(baseline, draw=draw) for draw in (1, 2, 1))
    assert Tables.of(one.parameters, 2012) is Tables.of(again.parameters, 2012)
    assert Tables.of(one.parameters, 2012) is not Tables.of(two.parameters, 2012)
    assert (one._tables.cumulative != two._tables.cumulative).any()

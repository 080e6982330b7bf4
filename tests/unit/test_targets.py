"""Targets change role and interval by id, and a bad evidence file names every bad row."""

import csv
from pathlib import Path

import pytest

from calibration import Targets, calibration
from calibration.targets import ROLES, read_rows
from sim.errors import EvidenceError
from sim.sources import flow_targets, rows

JR_2013, AR_2013 = "fig4_13_jobready11_to_jobready_2013", "fig4_13_jobready11_to_notready_2013"
REST_2013 = "fig4_13_jobready11_derived_other_benefit_2013"
JR_2016, AR_2016 = "fig4_13_jobready11_to_jobready_2016", "fig4_13_jobready11_to_notready_2016"


def file_of(folder: Path, *changes: dict[str, str], encoding: str = "utf-8") -> Path:
    """Write the book's rows named by ``like`` (or by id) with changes."""
    path = folder / "mine.csv"
    columns = list(next(iter(rows("targets").values())))
    with path.open("w", encoding=encoding, newline="") as handle:
        writer = csv.DictWriter(handle, columns)
        writer.writeheader()
        for change in changes:
            own = dict(change)
            writer.writerow({**rows("targets")[own.pop("like", own.get("id", ""))], **own})
    return path


def refused(path: Path) -> list[tuple[str, str, str]]:
    """Return kind, place and key of everything that is wrong with a file."""
    with pytest.raises(EvidenceError) as caught:
        Targets.read(path)
    for lang in ("da", "en"):
        assert len(caught.value.render(lang).splitlines()) == len(caught.value.problems)
    return [(p.kind, p.place, p.key) for p in caught.value.problems]


# --- roles and intervals


def test_every_flow_target_has_a_role_and_the_table_says_all_of_it():
    targets = Targets.read()
    assert (len(targets.fit), len(targets.hold_out), len(targets.shown)) == (12, 0, 7)
    assert {*targets.fit, *targets.shown} == set(flow_targets())
    table = targets.table().set_index("id")
    assert len(table) == 19
    row = table.loc[AR_2016]
    assert (row["measure"], row["group"], row["month"], row["n"]) == (
        "activity_ready",
        "job_ready_2011",
        "2016-12",
        3240,
    )
    assert (row["low"], row["high"]) == pytest.approx((0.295, 0.315))
    assert (row["role"], row["reading"], row["population"]) == ("fit", "a", "supported_areas")
    assert row["source"].startswith("004_")
    assert set(table.loc[table["reading"] == "b", "role"]) == {"shown"}


def test_roles_change_by_id_and_keep_the_order():
    targets = Targets.read()
    later = {t.id: "hold_out" for t in targets.fit if t.month == "2016-12"}
    changed = targets.with_roles(later)
    assert [len(getattr(changed, role)) for role in ROLES] == [6, 6, 7]
    assert {t.month for t in changed.fit} == {"2013-12"}
    assert changed.with_roles(dict.fromkeys(later, "fit")) == targets


def test_unknown_ids_roles_and_empty_intervals_are_all_named():
    with pytest.raises(EvidenceError) as caught:
        Targets.read().with_roles({"jobready11_to_jobready_2013": "fit", JR_2013: "held_out"})
    assert [(p.kind, p.nearest) for p in caught.value.problems] == [
        ("evidence_unknown", JR_2013),
        ("choice", "hold_out"),
    ]
    with pytest.raises(EvidenceError) as caught:
        Targets.read().with_intervals({"nothing": (0.1, 0.2), JR_2013: (0.5, 0.4), JR_2016: (0.9, 1.1)})
    assert [p.kind for p in caught.value.problems] == ["evidence_unknown", "bounds", "bounds"]


# --- a user's file


def test_rows_replace_by_id_and_the_remainder_follows(tmp_path: Path):
    targets = Targets.read(file_of(tmp_path, {"id": JR_2013, "value": "0.40"}))
    found = {t.id: t for t in (*targets.fit, *targets.shown)}
    assert (found[JR_2013].published, found[JR_2013].low) == pytest.approx((0.40, 0.395))
    assert found[REST_2013].published == pytest.approx(0.15)
    assert (found[REST_2013].low, found[REST_2013].high) == pytest.approx((0.135, 0.165))
    book = {t.id: t for t in flow_targets()}
    assert {id for id in found if found[id] != book[id]} == {JR_2013, REST_2013}


def test_the_interval_of_two_readings_is_that_of_the_printed_value_alone(tmp_path: Path):
    targets = Targets.read(file_of(tmp_path, {"id": AR_2016, "value": "0.33"}))
    mine = next(t for t in targets.fit if t.id == AR_2016)
    assert (mine.low, mine.high) == pytest.approx((0.325, 0.335))


@pytest.mark.parametrize("written", ["0.30", ".3", "3e-1"])
def test_the_same_number_written_otherwise_is_the_same_number(tmp_path: Path, written: str):
    targets = Targets.read(file_of(tmp_path, {"id": AR_2016, "value": written}))
    assert targets.fit == Targets.read().fit
    assert calibration._changed(targets) == {}


@pytest.mark.parametrize(
    ("precision", "below", "above"),
    [("exact", 0.005, 0.005), ("at_least", 0, 0.005), ("at_most", 0.005, 0), ("almost", 0.01, 0)],
)
def test_the_precision_of_a_row_decides_its_interval(tmp_path: Path, precision: str, below: float, above: float):
    targets = Targets.read(file_of(tmp_path, {"id": JR_2016, "precision": precision}))
    mine = next(t for t in targets.fit if t.id == JR_2016)
    assert (mine.low, mine.high) == pytest.approx((0.20 - below, 0.20 + above))


def test_a_given_remainder_stands_as_it_is_printed(tmp_path: Path):
    targets = Targets.read(file_of(tmp_path, {"id": REST_2013, "value": "0.14", "precision": "at_least"}))
    mine = next(t for t in targets.shown if t.id == REST_2013)
    assert (mine.published, mine.low, mine.high) == pytest.approx((0.14, 0.14, 0.145))
    # .42 + .25 + .20 + .14 = 1.01, at least .995: rounding may hide it. "At least .15" leaves no room below.
    path = file_of(tmp_path, {"id": REST_2013, "value": "0.15", "precision": "at_least"})
    assert refused(path) == [("evidence_sum_above", "mine.csv:2", "")]


def test_the_size_of_a_cohort_changes_with_all_its_rows(tmp_path: Path):
    path = file_of(tmp_path, {"id": "fig4_13_n_jobready_2011", "value": "5000"})
    targets = Targets.read(path)
    assert {t.n for t in targets.fit if t.group == "job_ready_2011"} == {5000}
    assert refused(file_of(tmp_path, {"id": JR_2013, "n": "5000"})) == [
        ("evidence_size", "mine.csv:2", f"{JR_2013}.n"),
    ]


def test_a_byte_order_mark_is_no_hindrance(tmp_path: Path):
    assert list(read_rows(file_of(tmp_path, {"id": JR_2013}, encoding="utf-8-sig"))) == [JR_2013]


def test_every_bad_row_is_named_at_once(tmp_path: Path):
    path = file_of(
        tmp_path,
        {"id": "fig4_13_jobready11_to_jobready_2014", "like": JR_2013},
        {"id": JR_2013, "value": "1.2"},
        {"id": AR_2013, "n": "-5"},
        {"id": "fig4_13_n_other_2011", "value": "-3"},
        {"id": JR_2016, "to_state": "cash_benefit_jobready"},
        {"id": AR_2016, "year_to": "2015"},
        {"id": "fig4_13_other11_to_notready_2013", "value": "0,77"},
        {"id": "fig4_13_other11_to_notready_2016", "precision": "exactly"},
        {"id": JR_2013, "value": "0.42"},
    )
    assert refused(path) == [
        ("evidence_unknown", "mine.csv:2", "fig4_13_jobready11_to_jobready_2014"),
        ("bounds", "mine.csv:3", f"{JR_2013}.value"),
        ("evidence_persons", "mine.csv:4", f"{AR_2013}.n"),
        ("evidence_persons", "mine.csv:5", "fig4_13_n_other_2011.value"),
        ("evidence_state", "mine.csv:6", f"{JR_2016}.to_state"),
        ("evidence_other", "mine.csv:7", f"{AR_2016}.year_to"),
        ("evidence_number", "mine.csv:8", "fig4_13_other11_to_notready_2013.value"),
        ("choice", "mine.csv:9", "fig4_13_other11_to_notready_2016.precision"),
        ("evidence_twice", "mine.csv:10", JR_2013),
    ]
    with pytest.raises(EvidenceError) as caught:
        read_rows(path)
    assert [p.nearest for p in caught.value.problems if p.kind == "evidence_state"] == ["cash_benefit_job_ready"]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1_0", "", "x"])
def test_what_is_no_number_is_refused(tmp_path: Path, value: str):
    assert [kind for kind, _, _ in refused(file_of(tmp_path, {"id": JR_2013, "value": value}))] == ["evidence_number"]


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        # .60 + .25 + .20 = 1.05, at least 1.035 with rounding.
        ([{"id": JR_2013, "value": "0.60"}], ["evidence_sum_above"]),
        # .56 + .25 + .20 = 1.01, at least .995: rounding may hide it.
        ([{"id": JR_2013, "value": "0.56"}], []),
        # .42 + .25 + .20 + .10 = .97, at most .99 with rounding.
        ([{"id": REST_2013, "value": "0.10"}], ["evidence_sum"]),
        ([{"id": REST_2013, "value": "0.12"}], []),
        ([{"id": JR_2013, "value": "0.60"}, {"id": JR_2016, "value": "0.60"}], ["evidence_sum_above"] * 2),
    ],
)
def test_shares_of_a_date_must_sum_to_one_within_rounding(tmp_path: Path, changes: list, kinds: list):
    path = file_of(tmp_path, *changes)
    if kinds:
        found = refused(path)
        assert [kind for kind, _, _ in found] == kinds
        assert [place for _, place, _ in found] == [f"mine.csv:{line}" for line in range(2, 2 + len(kinds))]
    else:
        assert Targets.read(path).fit


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "evidence_columns"),
        (b"id,value\nx,1\n", "evidence_columns"),
        (",".join(rows("targets")[JR_2013]).encode() + b"\n", "evidence_empty"),
        (",".join(rows("targets")[JR_2013]).encode() + b"\nx,y\n", "evidence_columns"),
        (",".join(rows("targets")[JR_2013]).encode() + b"\n" + b"x," * 40 + b"\n", "evidence_columns"),
        (b"\xff\xfe", "file_not_utf8"),
        (b'"id"x,"', "unreadable"),
    ],
)
def test_a_file_of_another_form_is_one_clear_error(tmp_path: Path, content: bytes, kind: str):
    path = tmp_path / "mine.csv"
    path.write_bytes(content)
    assert [found[0] for found in refused(path)] == [kind]


def test_a_file_that_is_not_there_is_one_clear_error(tmp_path: Path):
    assert refused(tmp_path / "nothing.csv") == [("unreadable", "", "")]
    assert refused(tmp_path) == [("unreadable", "", "")]


def test_the_book_itself_passes(tmp_path: Path):
    found = read_rows(file_of(tmp_path, *({"id": id} for id in rows("targets"))))
    assert {id: {**row, "place": ""} for id, row in found.items()} == {
        id: {**row, "place": ""} for id, row in rows("targets").items()
    }

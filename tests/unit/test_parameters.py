"""No number without a complete card, and every printed number is the one in the evidence book."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from calibration.point_fits import SIDE_JOB_STARTS, implied_change
from calibration.structures import STRUCTURES
from calibration.youths import RATES
from sim import Parameter, ParameterError, ParameterSet
from sim.activities import catalogue
from sim.demand import YEARS
from sim.errors import EvidenceError
from sim.parameters import GRADES, UNITS
from sim.sources import ASSUMPTION, PARAMETER_SETS, evidence, rows, source_of
from sim.states import SEXES

CARD: dict[str, Any] = {
    "id": "share_of_something",
    "value": 0.4,
    "unit": "share",
    "source": ["fig4_12_outside_lf_danish_supported_areas_2011"],
    "date": "2011",
    "range": [0.3, 0.5],
    "grade": "A",
    "label_da": "Andel",
    "label_en": "Share",
}


def kinds(caught: pytest.ExceptionInfo[ParameterError]) -> list[tuple[str, str]]:
    return [(problem.kind, problem.key) for problem in caught.value.problems]


def refused(**changes: object) -> list[tuple[str, str]]:
    with pytest.raises(ParameterError) as caught:
        Parameter.read({**CARD, **changes})
    return kinds(caught)


def test_a_complete_card_is_a_parameter() -> None:
    made = Parameter.read(CARD)
    assert (made.value, made.range, made.grade) == (0.4, (0.3, 0.5), "A")
    assert made.source == ("fig4_12_outside_lf_danish_supported_areas_2011",)
    assert (made.label("da"), made.label("en")) == ("Andel", "Share")


@pytest.mark.parametrize("part", sorted(CARD))
def test_without_a_part_of_its_card_a_number_cannot_be_read(part: str) -> None:
    less = {key: value for key, value in CARD.items() if key != part}
    with pytest.raises(ParameterError) as caught:
        Parameter.read(less)
    assert kinds(caught) == [("card_missing", f"{CARD['id'] if part != 'id' else '?'}.{part}")]
    assert refused(**{part: None})[0][0] == "card_missing"


def whole(**changes: object) -> dict[str, Any]:
    parts = {**CARD, "source": tuple(CARD["source"]), "range": tuple(CARD["range"])}
    return {**parts, **changes}


@pytest.mark.parametrize("part", sorted(CARD))
def test_nor_constructed(part: str) -> None:
    less = {key: value for key, value in whole().items() if key != part}
    with pytest.raises(TypeError, match=part):
        Parameter(**less)


@pytest.mark.parametrize(
    ("part", "nothing"),
    [
        *(
            (part, nothing)
            for part in ("id", "unit", "date", "grade", "label_da", "label_en")
            for nothing in ("", " ", None)
        ),
        *(("source", nothing) for nothing in ((), None, "assumption")),
        *(("range", nothing) for nothing in (None, (), (0.3,), (0.3, math.nan), (0.3, "0.5"), (True, 1), [0.3, 0.5])),
        *(("value", nothing) for nothing in (None, "0.4", math.nan, math.inf, True)),
    ],
)
def test_nor_with_an_empty_part(part: str, nothing: object) -> None:
    with pytest.raises(ParameterError) as caught:
        Parameter(**whole(**{part: nothing}))
    assert "card_missing" in {problem.kind for problem in caught.value.problems}


def test_impossible_cards_are_refused() -> None:
    assert refused(grade="E") == [("choice", "share_of_something.grade")]
    assert refused(grade="a") == [("choice", "share_of_something.grade")]
    assert refused(source=["no_such_row"]) == [("evidence_unknown", "no_such_row")]
    assert refused(source=["activity:leisure_jobs"]) == [("evidence_unknown", "activity:leisure_jobs")]
    assert refused(source=ASSUMPTION) == [("card_assumption_grade", "share_of_something.grade")]
    assert refused(range=[0.41, 0.5]) == [("card_range", "share_of_something.range")]
    assert refused(range=[0.3, 0.39]) == [("card_range", "share_of_something.range")]
    assert refused(value=1.2, range=[1, 1.5]) == [("bounds", "share_of_something.value")]
    assert refused(range=[-0.1, 0.5]) == [("bounds", "share_of_something.value")]
    assert refused(colour="red") == [("unknown_key", "share_of_something.colour")]


def test_near_misses_are_named() -> None:
    for change, nearest in (
        ({"unit": "per_mont"}, "per_month"),
        ({"source": ["tab5_6_treshold"]}, "tab5_6_threshold"),
        ({"lable_da": "x"}, "label_da"),
    ):
        with pytest.raises(ParameterError) as caught:
            Parameter.read({**CARD, **change})
        assert caught.value.problems[0].nearest == nearest


def test_all_problems_of_a_card_come_together() -> None:
    with pytest.raises(ParameterError) as caught:
        Parameter(**whole(date="", grade="F", source=("nowhere",), range=(0.5, 0.6)))
    assert len(caught.value.problems) == 4


def test_a_changed_value_stretches_its_range_and_keeps_its_card() -> None:
    made = Parameter.read(CARD)
    assert made.with_value(0.45).range == (0.3, 0.5)
    assert made.with_value(0.7).range == (0.3, 0.7)
    assert made.with_value(0.7).source == made.source
    with pytest.raises(ParameterError):
        made.with_value(1.7)


# --- sets


def test_sets_replace_values_and_are_told_apart_by_their_digest(parameters: ParameterSet) -> None:
    assert parameters.digest == ParameterSet.read("default").digest
    more = parameters.replace({"side_job_end": 0.07})
    assert more.value("side_job_end") == 0.07
    assert parameters.value("side_job_end") == 0.06
    assert more.digest != parameters.digest
    assert more.replace({"side_job_end": 0.06}).digest == parameters.digest
    with pytest.raises(ParameterError) as caught:
        parameters.replace({"side_job_ends": 0.07})
    assert caught.value.problems[0].nearest == "side_job_end"


def test_shipped_sets_can_be_read_and_unknown_ones_not() -> None:
    assert ParameterSet.names() == ("calendar", "history", "history_stayers", "homogeneous")
    for name in ParameterSet.names():
        assert (ParameterSet.read(name).name, ParameterSet.read(name).structure) == (name, name)
    assert ParameterSet.read("default").structure == "history"
    assert len({ParameterSet.read(name).digest for name in ParameterSet.names()}) == 4
    with pytest.raises(ParameterError) as caught:
        ParameterSet.read("histori")
    assert caught.value.problems[0].nearest == "history"


def test_a_set_with_broken_cards_names_them_all(tmp_path: Path) -> None:
    for name in ("common", "people", "history"):
        text = (PARAMETER_SETS / f"{name}.yaml").read_text(encoding="utf-8")
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    common = tmp_path / "common.yaml"
    text = common.read_text(encoding="utf-8")
    text = text.replace("value: 0.06, unit: per_month", "value: 0.06, unit: per_moon", 1)
    text = text.replace("grade: D,", "grade: Q,", 1)
    common.write_text(text + "- {id: side_job_hours, value: 5}\n", encoding="utf-8")
    with pytest.raises(ParameterError) as caught:
        ParameterSet.read("history", tmp_path)
    assert [kind for kind, _ in kinds(caught)].count("choice") == 2
    assert ("card_missing", "side_job_hours.unit") in kinds(caught)


def test_a_set_that_says_it_is_another_structures_is_refused(tmp_path: Path) -> None:
    for name in ("common", "people", "history"):
        text = (PARAMETER_SETS / f"{name}.yaml").read_text(encoding="utf-8")
        (tmp_path / f"{name}.yaml").write_text(text.replace("structure: history", "structure: calendar"), "utf-8")
    with pytest.raises(ParameterError) as caught:
        ParameterSet.read("history", tmp_path)
    assert kinds(caught) == [("choice", "structure")]


def test_a_parameter_named_twice_is_refused(tmp_path: Path) -> None:
    for name in ("common", "people", "history"):
        text = (PARAMETER_SETS / f"{name}.yaml").read_text(encoding="utf-8")
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    with (tmp_path / "common.yaml").open("a", encoding="utf-8") as common:
        common.write(next(line for line in text.splitlines() if "rate_job_ready_to_no_benefit" in line) + "\n")
    with pytest.raises(ParameterError) as caught:
        ParameterSet.read("history", tmp_path)
    assert kinds(caught) == [("duplicate_key", "rate_job_ready_to_no_benefit")]


# --- the evidence book


def every_card() -> Iterator[Parameter]:
    yield from ParameterSet.read("history").values()
    for activity in catalogue().values():
        yield from activity.parameters.values()


def test_every_source_resolves_to_a_reference() -> None:
    cards = list(every_card())
    assert len(cards) > 80
    for card in cards:
        assert card.unit in UNITS
        assert card.grade in GRADES
        for id in card.source:
            assert source_of(id).cite()
        if card.grade in "AB":
            assert ASSUMPTION not in card.source


def test_evidence_ids_are_unique_across_the_book() -> None:
    files = ("targets", "effects", "defaults")
    ids = [id for file in files for id in rows(file)]
    assert len(ids) > 500
    assert len(ids) == len(set(ids))
    for file in ("targets", "effects"):
        assert {row["source"] for row in rows(file).values()} <= set(rows("sources"))
    for id in ids:
        assert source_of(id).cite()


def test_an_id_used_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "twice.csv").write_text("id,value\na,1\nb,2\na,3\n", encoding="utf-8")
    monkeypatch.setattr("sim.sources.EVIDENCE", tmp_path)
    with pytest.raises(EvidenceError) as caught:
        rows("twice")
    assert [problem.key for problem in caught.value.problems] == ["a"]


def v(id: str) -> float:
    return float(evidence(id)["value"])


def awards(year: str) -> float:
    return v(f"pension_awards_{year}") / v("pension_awards_2011")


PRINTED: dict[str, Callable[[], float]] = {
    "pension_multiplier_2012": lambda: awards("2012"),
    "pension_multiplier_2013": lambda: awards("2013"),
    "pension_multiplier_2014_on": lambda: awards("2014_q1_q3") * 4 / 3,
    "leisure_job_hours_in_year": lambda: v("tab5_6_threshold"),
    "activation_share_to_2013": lambda: v("activated_share_of_recipients_2013_12"),
    "activation_share_2014_on": lambda: v("activated_share_of_recipients_2014_12"),
    "move_out_family_dwelling": lambda: v("move_out_family_dwelling"),
    "move_out_youth_dwelling": lambda: v("move_out_youth_dwelling"),
    **{f"unemployment_rate_{year}": lambda year=year: v(f"unemployment_rate_{year}") for year in YEARS},
}
"""How each printed value follows from the rows its card names."""


def test_the_table_covers_every_value_that_is_printed_and_not_fitted(parameters: ParameterSet) -> None:
    """Grade D cards that name evidence only are printed values used beyond what they were printed for."""
    job_loss = {f"job_loss_factor_{sex}_{like}" for sex, like in implied_change()}
    fitted = {*STRUCTURES["history"].fitted, *SIDE_JOB_STARTS, *job_loss}
    fitted |= {"activation_entry_factor", *RATES}
    people = {id for id in parameters if id.startswith(("area_", "household_"))}  # held in test_recipe.py
    assert set(PRINTED) == {id for id, card in parameters.items() if ASSUMPTION not in card.source} - fitted - people


@pytest.mark.parametrize("id", PRINTED)
def test_values_are_those_of_the_evidence(parameters: ParameterSet, id: str) -> None:
    assert parameters.value(id) == pytest.approx(PRINTED[id](), rel=1e-5)


def test_shares_of_one_whole_sum_to_one(parameters: ParameterSet) -> None:
    def total(prefix: str, ending: str = "") -> float:
        return sum(card.value for id, card in parameters.items() if id.startswith(prefix) and id.endswith(ending))

    for sex in SEXES:
        assert total("no_benefit_share_", f"_{sex}") == pytest.approx(1, abs=1e-12), sex
    for prefix in (
        "job_loss_share_",
        "other_benefit_share_",
        "activity_ready_exit_share_",
        "job_ready_exit_share_",
    ):
        assert total(prefix) == pytest.approx(1, abs=1e-12), prefix

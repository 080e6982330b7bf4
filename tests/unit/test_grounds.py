"""What a result rests on: effects with their grades, whom they acted on, waiting; in tables and on the page."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_report import Page

from sim import ensemble
from sim.activities import catalogue
from sim.collect import Life, participants
from sim.grounds import items, reached, room, waiting
from sim.locale import LANGUAGES, number, text
from sim.model import AreaModel
from sim.parameters import deal
from sim.report import write_report
from sim.results import assumptions
from sim.scenario import Scenario

SMALL = ["population.residents=700", "horizon.months=13"]


def planned() -> Scenario:
    """A plan with a measured effect, one set in the scenario, one that is nil, and a lever."""
    base = Scenario.read("baseline", SMALL)
    plan = base.with_activity("leisure_job", activity="leisure_job", places=4)
    plan = plan.with_activity(
        "network", activity="network_mothers", places=6, contacts_per_month=1.0, missing_drivers=["known_staff"]
    )
    plan = plan.with_activity(
        "caseworker", activity="coordinating_caseworker", places=3, effect_job_ready_to_employed_during=0.4
    )
    plan = plan.with_activity("placements", activity="internship", places=5)
    plan = plan.with_activity("incentive", activity="part_time_incentive_cap70", effect_small_job_start_during=0.2)
    return plan.with_activity("campaign", activity="recruitment_campaign")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensemble.run(planned(), replicates=2).save(tmp_path_factory.mktemp("grounds") / "run")


def words_of_page(folder: Path, lang: str) -> str:
    html = write_report(folder, lang).read_text(encoding="utf-8")
    start, end = html.index('<h2 id="grounds"'), html.index('<h2 id="structures"')
    return Page(f"<div>{html[start:end]}</div>").text


def test_waits_are_of_those_who_got_a_place_and_the_share_of_all_who_queued() -> None:
    rows = [("2012-01", "2012-03"), ("2012-11", "2013-02"), ("2012-05", None), (None, None), ("2012-01", "2012-01")]
    frame = pd.DataFrame(rows, columns=["queued", "enrolled"]).assign(scenario="s", activity="a")
    alone = pd.DataFrame({"queued": ["2012-04"], "enrolled": [None], "scenario": "s", "activity": "b"})
    found = waiting(pd.concat([frame, alone], ignore_index=True))
    assert found.loc[("s", "a")].tolist() == pytest.approx([5 / 3, 3, 1 / 4])
    assert found.loc[("s", "b"), "never"] == 1
    assert np.isnan(found.loc[("s", "b"), "mean"])


def test_persons_are_means_over_runs() -> None:
    rows = [("s", "a", 0, replicate, month, 2 + replicate) for replicate in (0, 1) for month in (1, 2, 3)]
    queues = pd.DataFrame(rows, columns=["scenario", "activity", "draw", "replicate", "month", "started"])
    assert reached(queues).loc[("s", "a")].to_dict() == {"started": 7.5, "covered": 0, "contacted": 0}


def test_the_room_of_a_course_is_that_of_its_stays() -> None:
    item = {"staff": 1, "places": 35, "start": "2012-01", "end": "2013-12", "duration_months": 12}
    mean, months, most = room({**item, "attrition_per_month": 0.0}, "2016-12") or (0, 0, 0)
    assert (round(mean, 6), months) == (12, 24)
    # Equal stays of exactly half the time: by the last month half of the second renewals are in.
    assert 70 < most <= 105
    mean, months, most = room({**item, "duration_months": 1000, "attrition_per_month": 1 / 12}, "2013-06") or (0, 0, 0)
    assert (round(mean, 6), months) == (12, 18)
    assert most == pytest.approx(35 * (1 + 18 / 12), rel=1e-6)
    assert room({**item, "staff": 0}, "2016-12") is None
    assert room({**item, "places": 0}, "2016-12") is None


def test_every_number_stands_with_the_card_it_has_in_the_scenario() -> None:
    plan = planned()
    found = {item.id: item for item in items([plan.resolved()], assumptions([plan], deal(plan.parameters, 1)))}
    assert {id: (len(item.acting), item.grade) for id, item in found.items()} == {
        "leisure_job": (1, "B"),
        "network": (3, "B"),
        "caseworker": (1, "D"),
        "placements": (0, ""),
        "incentive": (1, "D"),
        "campaign": (0, ""),
    }
    assert found["network"].strength == pytest.approx(0.9)
    (change,) = found["caseworker"].acting
    assert (change.line.on, change.during.value, change.during.sources) == (
        "job_ready_to_employed",
        0.4,
        ("scenario",),
    )
    assert change.after.value == 0


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_tells_what_changes_what_and_how_surely(folder: Path, lang: str) -> None:
    words = words_of_page(folder, lang)
    for key in ("leisure_job", "network_mothers", "coordinating_caseworker", "internship", "recruitment_campaign"):
        assert catalogue()[key].label(lang) in words
    for value in (2.229, 0.187, 0.509, 0.4):
        ratio = math.exp(value)
        assert f"× {number(ratio, lang, 1)}" in words
    of_scenario, idle = (text(key, lang) for key in ("pages.of_scenario", "report.grounds_idle"))
    assert of_scenario in words
    # Those of the placements and of the campaign, and what is nil beside what acts of the other four.
    assert words.count(idle) == 6
    title = text("report.quoted", lang, title=planned().title[lang])
    numbers = {"items": 6, "measured": 2, "assumed": 2, "idle": 2}
    assert text("report.grounds_words", lang, scenario=title, **numbers) in words
    assert text("report.grounds_holding", lang, holding=1) in words
    assert text("report.grounds_strength", lang, strength=number(90, lang) + " %") in words


def test_the_page_counts_persons_and_waits_as_the_tables_do(folder: Path) -> None:
    html = write_report(folder, "en").read_text(encoding="utf-8")
    queues = pd.read_csv(folder / "queues.csv")
    people = pd.read_parquet(folder / "participants.parquet")
    runs = queues[["draw", "replicate"]].drop_duplicates().shape[0]
    for item, label in (("leisure_job", "Leisure-job scheme"), ("placements", "Internship placements")):
        started = queues.loc[queues["activity"] == item, "started"].sum() / runs
        assert started == people[(people["activity"] == item) & people["enrolled"].notna()].shape[0] / runs
        waits = waiting(people).loc[("baseline", item)]
        cells = [number(started, "en", 1), number(waits["mean"], "en", 1), number(waits["longest"], "en")]
        cells.append(number(100 * waits["never"], "en") + "\N{NO-BREAK SPACE}%")
        row = html.split(f'<th scope="row">{label}</th>')[1].split("</tr>")[0]
        shown = re.findall(r"<td>(.*?)</td>", row)[-4:]
        assert shown == [cell.replace("\N{NO-BREAK SPACE}", " ") for cell in cells]
    covered = queues.loc[queues["activity"] == "incentive", "covered"].sum() / runs
    assert covered > 5
    assert f"<td>{number(covered, 'en', 1)}</td>" in html


def test_who_is_met_or_helped_through_a_partner_keeps_the_own_way_through_the_activity() -> None:
    plan = planned().with_activity("network", places=60, reach_outreach=0.1, take_up=0.8)
    model = AreaModel(plan, replicate=0)
    for _ in range(13):
        model.step()
    course = next(course for course in model.courses if course.plan.id == "network")
    happened = {event: set() for event in ("contacted", "enrolled")}
    for event, _, rows in course.events():
        if event in happened:
            happened[event] |= set(rows.tolist())
    both = happened["contacted"] & happened["enrolled"]
    assert both
    table = participants(Life(model, {}, np.empty(0)), range(1))
    assert not {"contacted", "covered"} & set(table["how"])
    mine = table[table["activity"] == "network"].set_index("resident")
    assert mine.loc[model.stream.ids[sorted(both)], "enrolled"].notna().all()


def test_seventy_activities_are_one_line_each_and_their_effects_folded(tmp_path: Path) -> None:
    plan = Scenario.read("baseline", SMALL)
    for key, activity in catalogue().items():
        plan = plan.with_activity(key, activity=key, places=0 if activity.kind == "lever" else 2)
    assumptions([plan], deal(plan.parameters, 1)).to_csv(tmp_path / "assumptions.csv", index=False)
    manifest = {"kind": "run", "scenarios": [plan.resolved()], "against": None, "seed": 1, "replicates": 2, "draws": 1}
    manifest |= {"jobveje": "0", "command": "", "started": "", "ended": "", "versions": {}, "platform": ""}
    manifest |= {
        "parameters": {"name": "history", "structure": "history", "digest": "0"},
        "status": "complete",
        "job": {},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    html = write_report(tmp_path, "en").read_text(encoding="utf-8")
    part = html[html.index('<h2 id="grounds"') : html.index('<h2 id="structures"')]
    overview, effects = part.split("<details")
    assert overview.count('<th scope="row">') == len(catalogue())
    assert effects.startswith(">")
    assert effects.count("× 9.3") == 2
    # What acts comes first: a planner need not look for it.
    order = [
        overview.index(f">{catalogue()[key].label_en}<") for key in ("leisure_job", "network_mothers", "internship")
    ]
    assert order == sorted(order)

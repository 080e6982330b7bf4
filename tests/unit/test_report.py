"""The report: complete, self-contained, accessible, in both languages, and true to the folder's numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sim.ensemble import compare
from sim.errors import ResultError
from sim.locale import LANGUAGES, messages, number, percent, text
from sim.measures import COHORTS, GROUPINGS, MEASURES
from sim.report import course_totals, occupancy, occupancy_words, write_report
from sim.report.folder import STEPS
from sim.scenario import Scenario
from sim.sources import source_of
from sim.states import ORIGINS, SEXES
from sim.uncertainty import listed

MONTHS = [f"{2011 + (m + 11) // 12}-{(m + 11) % 12 + 1:02d}" for m in range(61)]
YEARS = [month for month in MONTHS if month.endswith("-12")]
TITLES = {
    "baseline": {"da": "Grundforløb", "en": "Baseline"},
    "jobs": {"da": "Fritidsjob", "en": "Leisure jobs"},
}
SHARES = {
    "employed": (0.38, 0.44),
    "in_education": (0.11, 0.13),
    "self_supporting": (0.04, 0.05),
    "job_ready": (0.05, 0.03),
    "activity_ready": (0.12, 0.08),
    "other_benefit": (0.10, 0.12),
    "disability_pension": (0.06, 0.065),
    "neet": (0.21, 0.19),
    "leisure_job_26h": (0.31, 0.33),
}
EFFECTS = {
    "leisure_job_26h": (0.0611, 0.0102, 0.025),
    "employed": (0.0004, 0.0009, 0.0031),
    "neet": (-0.002, 0.004, 0.012),
}
"""Estimate, se and half the band of luck, at the end and for all."""


def _scenario(id: str, places: int | None) -> dict[str, object]:
    job = {
        "id": "leisure_job",
        "activity": "leisure_job",
        "places": places,
        "start": "2012-01",
        "end": "2016-12",
    }
    return {
        "id": id,
        "title": TITLES[id],
        "population": {"recipe": "area", "residents": 2419},
        "horizon": {"start": "2011-12", "months": 60},
        "economy": {"usual_activation": True},
        "activities": [] if places is None else [job],
        "parameters": "history",
    }


def _outcomes(ids: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    luck = np.random.default_rng(3)
    every = []
    for scenario in ids:
        for measure, (first, last) in SHARES.items():
            for month in YEARS if measure == "leisure_job_26h" else MONTHS:
                level = first + (last - first) * MONTHS.index(month) / 60
                lifted = level + 0.06 * (measure == "leisure_job_26h" and scenario == "jobs" and month > "2011-12")
                for replicate in range(3):
                    value = lifted + 0.002 * luck.standard_normal()
                    row = (
                        scenario,
                        "history",
                        0,
                        replicate,
                        "individual",
                        month,
                        "all",
                        "all",
                        measure,
                        value,
                    )
                    every.append(row)
        persons = 37.0 if scenario == "jobs" else 0.0
        every += [
            (scenario, "history", 0, r, "individual", "2016-12", "all", "all", "never_served", persons)
            for r in range(3)
        ]
    names = [
        "scenario",
        "structure",
        "draw",
        "replicate",
        "view",
        "month",
        "group_by",
        "group",
        "measure",
        "value",
    ]
    frame = pd.DataFrame(every, columns=names)
    keys = ["scenario", "structure", "view", "month", "group_by", "group", "measure"]
    grouped = frame[frame["month"].isin(YEARS)].groupby(keys, sort=False)["value"]
    summary = grouped.agg(
        mean="mean",
        sd="std",
        p5=lambda v: v.quantile(0.05),
        p50="median",
        p95=lambda v: v.quantile(0.95),
    ).reset_index()
    return frame, summary.assign(replicates=3, draws=1)


def _differences() -> pd.DataFrame:
    rows: list[dict[str, object]] = []
    for measure, (end, se, luck) in EFFECTS.items():
        for month in YEARS:
            grown = YEARS.index(month) / 5
            for group_by, groups in GROUPINGS.items():
                for i, group in enumerate(g for g in groups if g != "neither"):
                    estimate = end * grown * (1 + 0.25 * i if group_by != "all" else 1)
                    band = luck * (1 if group_by == "all" else 1.8) * (grown > 0)
                    rows.append(
                        {"scenario": "jobs", "against": "baseline", "view": "individual", "measure": measure}
                        | {"month": month, "group_by": group_by, "group": group, "estimate": estimate}
                        | {"se": se * (grown > 0), "low": estimate - band, "high": estimate + band}
                        | {"interval": "luck", "p_above_zero": 0.975, "replicates": 20, "draws": 1}
                    )
    return pd.DataFrame(rows).assign(structure="history")


def _flows(ids: list[str]) -> pd.DataFrame:
    later = {
        "job_ready_2011": {
            "job_ready": 0.42,
            "activity_ready": 0.25,
            "no_benefit": 0.2,
            "other_benefit": 0.125,
            "gone": 0.005,
        },
        "activity_ready_2011": {
            "job_ready": 0.05,
            "activity_ready": 0.77,
            "no_benefit": 0.04,
            "other_benefit": 0.14,
        },
    }
    end = {"job_ready": 0.1, "activity_ready": 0.4, "no_benefit": 0.2, "other_benefit": 0.28, "gone": 0.02}
    rows = [
        (
            id,
            cohort,
            "2011-12",
            "2013-12",
            "2016-12",
            cohort.removesuffix("_2011"),
            middle,
            last,
            200 * share * kept,
        )
        for id in ids
        for cohort, middles in later.items()
        for middle, share in middles.items()
        for last, kept in (end.items() if middle != "gone" else [("gone", 1.0)])
    ]
    names = [
        "scenario",
        "cohort",
        "month_0",
        "month_1",
        "month_2",
        "group_0",
        "group_1",
        "group_2",
        "persons",
    ]
    return pd.DataFrame(rows, columns=names)


def _queues() -> pd.DataFrame:
    rows = [
        {"scenario": "jobs", "activity": "leisure_job", "draw": 0, "replicate": replicate, "month": month}
        | {"places": 40, "enrolled": min(40, 4 * m + replicate), "waiting": max(0, 3 * m - 30) * (m < 40)}
        | {"referred": 7, "started": 3, "completed": 2, "dropped_out": 1, "gave_up": 1, "declined": 2}
        | {"left_queue": 0, "left_target_group": 0, "closed": 0}
        for replicate in range(3)
        for m, month in enumerate(MONTHS[1:])
    ]
    return pd.DataFrame(rows)


def _observed() -> pd.DataFrame:
    long = "aktivitetsparate med en lang, lang betegnelse, som må brydes"
    rows = [
        (0.42, 0.415, 0.425, 0.418, 0.40, 0.44, "jobparate efter to år", "job-ready after two years", True),
        (0.18, 0.175, 0.185, 0.195, 0.18, 0.21, "andre ydelser efter fem år", "other benefit", False),
        (0.62, 0.615, 0.625, 0.618, 0.60, 0.64, "kildens andet tal", "the source's other number", True),
        (0.37, 0.365, 0.375, 0.4, 0.38, 0.42, long, "a long, long name of a target", False),
    ]
    names = ["published", "low", "high", "simulated", "sim_low", "sim_high", "label_da", "label_en", "inside"]
    targets = ["one", "fig4_13_jobready11_derived_other_benefit_2016", "three", "four"]
    return pd.DataFrame(rows, columns=names).assign(target=targets, reading=["a", "a", "b", "a"], se=0.004)


def _assumptions() -> pd.DataFrame:
    rows = [
        (
            "take_up",
            "Andel der siger ja",
            "Share accepting",
            0.6,
            "share",
            0.3,
            0.9,
            "D",
            "assumption",
            "no source gives it",
        ),
        (
            "age_from",
            "Alder fra",
            "Age from",
            13,
            "years",
            13,
            15,
            "C",
            "activity:leisure_job",
            "stated <age>",
        ),
        (
            "rate",
            "Rate",
            "Rate",
            0.0192,
            "per_month",
            0.018,
            0.02,
            "B",
            "sec1_rest_group_2011;assumption",
            "",
        ),
        ("known", "Kendt", "Known", 0.41, "share", 0.405, 0.415, "A", "sec1_outside_lf_2011", ""),
    ]
    names = ["id", "label_da", "label_en", "value", "unit", "low", "high", "grade", "source", "note_en"]
    table = pd.DataFrame(rows, columns=names)
    return table.assign(note_da=table["note_en"], date="2011", used_by="jobs")


def _pyramid() -> pd.DataFrame:
    rows = [
        (f"{age}-{age + 4}", sex, origin, 60.0 - age / 2 if age < 90 else 0.0)
        for age in range(0, 95, 5)
        for sex in SEXES
        for origin in ORIGINS
    ]
    return pd.DataFrame(rows, columns=["age_group", "sex", "origin", "persons"])


def _population() -> pd.DataFrame:
    rows = [
        ("fig4_12_unemployed_non_western_supported_areas_2011", 0.1, 0.102, 0.003),
        ("fig4_9_danish_neet18_to_neet_2015", 0.6, 0.55, 0.003),
        ("sec1_outside_lf_2011", 0.41, 0.416, 0.002),
    ]
    return pd.DataFrame(rows, columns=["target", "published", "made", "expected_error"])


def _sensitivity() -> pd.DataFrame:
    """Three numbers tried on a headline whose interval is 5 points wide: one clear, one doubtful, one that is not."""
    rows = [
        ("leisure_job.take_up", "Andel der siger ja", "Share accepting", 0.6, 0.3, 0.9, -0.0211, 0.0123, 0.002),
        ("side_job_end", "Ophør af fritidsjob", "End of a leisure job", 0.06, 0.03, 0.12, 0.001, -0.0062, 0.002),
        ("past_months_at_most", "Fortid", "Past", 600, 300, 900, 0.0, 0.0, 0.0),
    ]
    names = ["parameter", "label_da", "label_en", "value", "low", "high", "shift_low", "shift_high", "se"]
    frame = pd.DataFrame(rows, columns=names)
    return frame.assign(
        scenario="jobs",
        unit="share",
        measure="leisure_job_26h",
        month="2016-12",
        estimate=0.0611,
        interval_low=0.0361,
        interval_high=0.0861,
        share_of_interval=frame[["shift_low", "shift_high"]].abs().max(axis=1) / 0.05,
        replicates=12,
    )


SECTIONS = ("flows", "observed", "population", "pyramid", "queues", "sensitivity")
"""Files that make a section of their own; drawing is what takes the time of a report."""


def make_result(
    folder: Path, kind: str = "compare", replicates: int = 20, sections: Collection[str] | None = None
) -> Path:
    """Write a small finished result with every file a report reads, or of those that make a section only some."""
    folder.mkdir()
    ids = ["baseline", "jobs"] if kind == "compare" else ["jobs"]
    every, summary = _outcomes(ids)
    every.to_parquet(folder / "outcomes.parquet", index=False)
    files = {"outcomes": summary, "observed": _observed().assign(scenario=ids[0]), "flows": _flows(ids)}
    files |= {"queues": _queues(), "assumptions": _assumptions(), "pyramid": _pyramid(), "population": _population()}
    if kind == "compare":
        files["sensitivity"] = _sensitivity()
        files["differences"] = _differences()
        pair = {"scenario": "jobs", "against": "baseline", "draw": 0, "replicate": 0}
        counts = [{"touched": touched, "untouched": 2419 - touched} for touched in (120, 140)]
        pairs = [{**pair, "replicate": r, **count, "untouched_identical": True} for r, count in enumerate(counts)]
        proof = {"untouched_identical": True, "touched": 260, "untouched": 4578, "pairs": pairs}
        (folder / "pairing.json").write_text(json.dumps(proof), encoding="utf-8")
    for name, frame in files.items():
        if sections is None or name not in SECTIONS or name in sections:
            frame.to_csv(folder / f"{name}.csv", index=False)
    manifest = {
        "jobveje": "0.1.0",
        "command": f"jobveje {kind} leisure_jobs.yaml",
        "kind": kind,
        "scenarios": [_scenario(id, 40 if id == "jobs" else None) for id in ids],
        "against": "baseline" if kind == "compare" else None,
        "seed": 1,
        "replicates": replicates,
        "draws": 1,
        "parameters": {"name": "history", "structure": "history", "digest": "0123456789abcdef"},
        "started": "2026-11-21T10:00:00",
        "ended": "2026-11-21T10:01:00",
        "versions": {"python": "3.11.7", "numpy": "2.4.6"},
        "platform": "Linux",
        "status": "complete",
        "job": {},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


class Page(HTMLParser):
    """What a reader meets: elements with their attributes, and the words outside of drawings."""

    VOID = frozenset({"meta", "link", "br", "img"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"svg", "style", "title"} & set(self.open):
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return re.sub(r"[\s\xa0]+", " ", "".join(self.words))

    @property
    def drawings(self) -> dict[str, str]:
        """The words of every drawing by the name of its figure."""
        names = [str(figure["id"]).removeprefix("figure-") for figure in self.all("figure")]
        return dict(zip(names, (str(svg["aria-label"]) for svg in self.all("svg")), strict=True))


DRAWN = {"differences", "forest", "states", "flows", "queues", "observed"}
DRAWN |= {"funnel", "pyramid", "population", "sensitivity"}
PAIR = {"scenario": "jobs", "base": "baseline"}


def touch(folder: Path, residents: int) -> None:
    """Write into the proof of the pairing that each replicate touches so many."""
    path = folder / "pairing.json"
    proof = json.loads(path.read_text(encoding="utf-8"))
    pairs = [{**pair, "touched": residents, "untouched": 2419 - residents} for pair in proof["pairs"]]
    path.write_text(json.dumps({**proof, "pairs": pairs}), encoding="utf-8")


def read(folder: Path, lang: str = "da") -> Page:
    return Page(write_report(folder, lang).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_result(tmp_path_factory.mktemp("results") / "compare")


@pytest.fixture(scope="module", params=LANGUAGES)
def page(result: Path, request: pytest.FixtureRequest) -> tuple[str, Page]:
    return request.param, read(result, request.param)


def test_page_is_one_self_contained_document(page: tuple[str, Page]) -> None:
    lang, found = page
    assert found.open == []
    assert found.all("html") == [{"lang": lang}]
    assert len(found.all("main")) == len(found.all("h1")) == 1
    assert not found.all("script")
    assert not found.all("img")
    for tag, attributes in found.elements:
        for name in ("src", "href", "xlink:href", "data", "action"):
            assert (attributes.get(name) or "#").startswith(("#", "data:,")), (tag, name)


def test_links_lead_to_a_place_on_the_page_and_ids_are_unique(page: tuple[str, Page]) -> None:
    _, found = page
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [str(a["href"])[1:] for a in found.all("a")]
    assert targets[0] == "content"
    assert len(targets) == 15
    assert set(targets) <= set(ids)


def test_every_drawing_is_an_image_with_words_and_a_table_after_it(page: tuple[str, Page]) -> None:
    _, found = page
    assert set(found.drawings) == DRAWN
    assert len(set(found.drawings.values())) == 10
    assert min(map(len, found.drawings.values())) > 60
    assert all(drawing["role"] == "img" for drawing in found.all("svg"))
    tags = [tag for tag, _ in found.elements]
    for place in [i for i, tag in enumerate(tags) if tag == "figure"]:
        after = [tag for tag in tags[place:] if tag in ("details", "table", "figure")]
        assert after[:3] == ["figure", "details", "table"]


def test_every_table_has_a_caption_and_scopes(page: tuple[str, Page]) -> None:
    _, found = page
    assert len(found.all("table")) == len(found.all("caption")) == 17
    assert {heading["scope"] for heading in found.all("th")} == {"col", "row", "rowgroup"}


def test_words_of_drawings_hold_the_numbers_of_the_folder(page: tuple[str, Page]) -> None:
    lang, found = page
    for value in (6.1, 3.6, 8.6):
        assert f"+{number(value, lang, 1)}" in found.drawings["differences"]
    assert percent(0.42, lang) in found.drawings["flows"]
    assert percent(0.37, lang, 0) in found.drawings["observed"]
    assert number(40, lang, 1) in found.drawings["queues"]
    assert TITLES["jobs"][lang] in found.drawings["states"]


def test_headline_says_what_for_whom_and_how_sure(page: tuple[str, Page]) -> None:
    lang, found = page
    before, _, after = found.text.partition(text("report.estimand", lang).partition("{")[0])
    assert after
    measure = MEASURES["leisure_job_26h"]
    assert f"{number(6.1, lang, 1)} {text('report.points_share', lang)}" in before
    assert measure.label(lang) in before
    assert measure.population(lang) in before
    assert f"+{number(3.6, lang, 1)}" in before
    assert f"+{number(8.6, lang, 1)}" in before
    assert TITLES["jobs"][lang] in before
    assert TITLES["baseline"][lang] in before
    assert text("report.caveat_assumed", lang, assumed=2, used=4) in before
    assert MEASURES["employed"].label(lang) not in before


def test_every_difference_in_a_table_stands_with_its_interval(result: Path) -> None:
    html = write_report(result, "da").read_text(encoding="utf-8")
    table = html[html.index("<caption>Forskel fra »Grundforløb«: »Fritidsjob«") :]
    cells = re.findall(r"<td>(.*?)</td>", table[: table.index("</table>")])
    assert len(cells) == len(EFFECTS) * 5
    shape = r"[+-]?[\d,]+°?<small>[+-]?[\d,]+ til [+-]?[\d,]+</small>"
    assert all(re.fullmatch(shape, cell) for cell in cells)
    assert "+6,1<small>+3,6 til +8,6</small>" in cells
    assert "-0,2°<small>-1,4 til +1,0</small>" in cells


def test_assumed_numbers_are_listed_with_value_range_and_note(page: tuple[str, Page]) -> None:
    lang, found = page
    after = found.text.rpartition(text("report.table_assumed", lang))[2]
    assert text("report.to", lang, low=number(0.3, lang, 1), high=number(0.9, lang, 1)) in after
    assert "no source gives it" in after
    assert "stated <age>" in after
    assert after.index("take_up") < after.index("age_from")
    assert number(0.0192, lang, 4) not in after
    assert text("report.rests", lang, assumed=2) in found.text


def test_sources_of_all_numbers_are_cited(page: tuple[str, Page]) -> None:
    _, found = page
    assert source_of("sec1_rest_group_2011").title in found.text
    assert source_of("sec1_rest_group_2011").locator in found.text
    assert source_of("activity:leisure_job").title in found.text


def test_limits_and_proof_are_told(page: tuple[str, Page]) -> None:
    lang, found = page
    keys = [key for key in messages("report") if key.startswith("limit_") and not key.endswith("_both")]
    limits = [text(f"report.{key}", lang) for key in keys]
    assert len(limits) == 9
    assert all(limit in found.text for limit in limits)
    proof = {"pairs": 2, "touched": 130, "residents": number(2419, lang)}
    assert text("report.pairing_same", lang, **proof) in found.text
    assert text("report.intervals", lang).replace(" %", " %") in found.text


def test_how_it_was_made_is_told(page: tuple[str, Page]) -> None:
    _, found = page
    for fact in ("20 × 1", "0123456789abcdef", "jobveje compare leisure_jobs.yaml", "0.1.0", "numpy 2.4.6"):
        assert fact in found.text


def test_numbers_are_written_in_the_language(page: tuple[str, Page]) -> None:
    lang, found = page
    english, danish = r"\d\.\d %", r"\d,\d %"
    wrong, right = (english, danish) if lang == "da" else (danish, english)
    assert len(re.findall(right, found.text)) > 50
    assert not re.findall(wrong, found.text)


def test_no_text_is_left_unfilled(page: tuple[str, Page]) -> None:
    _, found = page
    assert not re.findall(r"\{\w*\}|\bnan\b|\bNone\b", found.text + " ".join(found.drawings.values()))


def test_figures_have_files_with_their_numbers(result: Path) -> None:
    write_report(result, "da")
    names = {path.stem for path in (result / "figures").glob("*.svg")}
    assert names == {path.stem for path in (result / "figures").glob("*.csv")}
    assert names == DRAWN
    drawn = pd.read_csv(result / "figures" / "differences.csv")
    end = drawn[(drawn["measure"] == "leisure_job_26h") & (drawn["month"] == "2016-12")]
    assert end[["estimate", "low", "high"]].round(6).to_numpy().tolist() == [[0.0611, 0.0361, 0.0861]]


def test_a_second_report_has_the_same_bytes_and_another_language_the_same_numbers(tmp_path: Path) -> None:
    folder = make_result(tmp_path / "r")
    write_report(folder, "da")
    first = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    write_report(folder, "da")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == first
    write_report(folder, "en")
    changed = {path for path in first if path.read_bytes() != first[path]}
    assert changed == {folder / "report.html", *folder.glob("figures/*.svg")}


def test_words_change_with_the_numbers(tmp_path: Path) -> None:
    folder = make_result(tmp_path / "r")
    before = read(folder).drawings
    frame = _differences()
    frame[["estimate", "low", "high"]] *= 1.5
    frame.to_csv(folder / "differences.csv", index=False)
    after = read(folder).drawings
    assert {name for name in before if before[name] != after[name]} == {"differences", "forest"}
    assert "+9,2" in after["differences"]


MORE = {"da": "Flere fritidsjob", "en": "More leisure jobs"}


def with_a_third_scenario(folder: Path) -> Path:
    """Add to a comparison a second scenario that does what the first one does."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["scenarios"].append({**manifest["scenarios"][1], "id": "more", "title": MORE})
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    proof = json.loads((folder / "pairing.json").read_text(encoding="utf-8"))
    more = [{**pair, "scenario": "more", "touched": 9.5, "untouched": 2409.5} for pair in proof["pairs"]]
    (folder / "pairing.json").write_text(json.dumps({**proof, "pairs": proof["pairs"] + more}), encoding="utf-8")
    frame = _differences()
    pd.concat([frame, frame.assign(scenario="more")]).to_csv(folder / "differences.csv", index=False)
    return folder


@pytest.mark.parametrize("lang", LANGUAGES)
def test_participants_are_told_of_only_when_one_scenario_is_compared(tmp_path: Path, lang: str) -> None:
    folder = make_result(tmp_path / "r", sections=())
    said = text("report.headline_participants", lang).partition("{")[0]
    one = read(folder, lang)
    several = read(with_a_third_scenario(folder), lang)
    assert said in one.text
    assert said not in several.text
    for group in ("yes", "no"):
        label = text(f"report.group_participant_{group}_several", lang)
        assert label not in one.text
        assert several.text.count(label) == 2
    names = listed([text("report.quoted", lang, title=title[lang]) for title in (TITLES["jobs"], MORE)], lang)
    assert f"{names} {text('report.title_compare', lang).split('}')[1].split('{')[0].strip()}" in several.text


def test_each_scenario_has_its_number_of_touched_residents(tmp_path: Path) -> None:
    lived = "af de 2.419, der har boet i området, berørt;"
    assert f"I hver gentagelse er i gennemsnit 130 {lived}" in read(make_result(tmp_path / "r", sections=())).text
    words = read(with_a_third_scenario(tmp_path / "r")).text
    assert f"i gennemsnit 130 (»Fritidsjob«) og 9,5 (»Flere fritidsjob«) {lived}" in words
    assert "(kontrolleret i alle 4 par)" in words


def quiet(folder: Path, last: str, start: str = "2012-01") -> str:
    """Make a comparison in which only the queue differs, reported up to ``last``; return the page's words."""
    frame = _differences()
    frame = frame[frame["month"] <= last].copy()
    frame[["estimate", "se", "low", "high"]] = 0.0
    queue = frame[frame["measure"] == "employed"].assign(measure="never_served", estimate=14.8, se=1.0, low=9, high=21)
    pd.concat([frame[frame["measure"] != "neet"], queue]).to_csv(folder / "differences.csv", index=False)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["scenarios"][1]["activities"][0]["start"] = start
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return read(folder).text


def test_lives_that_are_the_same_beside_a_queue_are_not_called_untouched(tmp_path: Path) -> None:
    folder = make_result(tmp_path / "r", sections=())
    words = quiet(folder, "2016-12")
    assert text("report.headline_quiet", "da", scenario="»Fritidsjob«", base="»Grundforløb«") in words
    assert "i gennemsnit 130 af de 2.419, der har boet i området." in words
    assert "uden at få en plads, ændres med +14,8 i gennemsnit." in words
    assert "ændrer ingens liv" not in words
    assert "opgøres kun i december" not in words
    touch(folder, 0)
    assert "ændrer ingens liv" not in read(folder).text


def test_a_run_too_short_for_the_yearly_measure_says_so(tmp_path: Path) -> None:
    folder = make_result(tmp_path / "r", sections=())
    december = f"»{MEASURES['leisure_job_26h'].label('da')}« opgøres kun i december i hele år: i denne kørsel er "
    assert december + "den sidste dec. 2013, før indsatsen begynder." in quiet(folder, "2013-12", "2014-01")
    assert "opgøres kun" not in quiet(folder, "2013-12", "2013-12")
    frame = pd.read_csv(folder / "differences.csv")
    frame[frame["measure"] != "leisure_job_26h"].to_csv(folder / "differences.csv", index=False)
    assert december + "der ingen." in read(folder).text


def test_a_difference_that_is_gone_at_the_end_is_still_told(tmp_path: Path) -> None:
    folder = make_result(tmp_path / "r", sections=())
    frame = _differences()
    frame.loc[frame["month"] == "2016-12", ["estimate", "se", "low", "high"]] = 0.0
    frame.to_csv(folder / "differences.csv", index=False)
    assert text("report.headline_earlier", "da") in read(folder).text


def test_people_nobody_counts_in_the_base_need_no_mark(tmp_path: Path) -> None:
    folder = make_result(tmp_path / "r", sections=())
    frame = _differences()
    unsure = frame[frame["measure"] == "neet"].assign(estimate=3.0, se=3.0, low=0.0, high=9.0)
    pd.concat([frame, unsure.assign(measure="never_served")]).to_csv(folder / "differences.csv", index=False)
    html = write_report(folder, "da").read_text(encoding="utf-8")
    assert "<td>+3,0<small>0,0 til +9,0</small></td>" in html
    summary = pd.read_csv(folder / "outcomes.csv")
    counted = (summary["scenario"] == "baseline") & (summary["measure"] == "never_served")
    summary.loc[counted, "mean"] = 0.5
    summary.to_csv(folder / "outcomes.csv", index=False)
    assert "<td>+3,0°<small>0,0 til +9,0</small></td>" in write_report(folder, "da").read_text(encoding="utf-8")


# --- people, and the assumptions that move the headline


def test_the_people_are_told_with_what_they_were_made_from(page: tuple[str, Page]) -> None:
    lang, found = page
    assert text("report.population_sentence", lang, targets=3, within=2) in found.text
    assert percent(0.55, lang) in found.drawings["population"]
    whole = _pyramid()["persons"].sum()
    assert number(whole, lang) in found.drawings["pyramid"]
    assert percent(0.5, lang) in found.drawings["pyramid"]


def test_numbers_that_move_the_headline_are_counted_listed_and_marked_when_doubtful(page: tuple[str, Page]) -> None:
    lang, found = page
    assert text("report.section_sensitivity", lang) in found.text
    words = {"tried": 3, "moving": 2}
    assert text("report.sensitivity_some", lang, **words).replace(" %", "\xa0%").replace("\xa0", " ") in found.text
    for digits in ((-2.1, 1), (1.2, 1), (-0.6, 1)):
        assert number(*digits[:1], lang, digits[1]) in found.drawings["sensitivity"]
    assert "past_months_at_most" not in found.text
    clear, doubtful = (percent(share, lang, 0) for share in (0.422, 0.124))
    assert re.search(rf"{clear}(?!°)", found.text)
    assert f"{doubtful}°" in found.text
    assert text("report.sensitivity_note", lang).replace("\xa0", " ") in found.text.replace("\xa0", " ")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_when_no_number_moves_the_headline_the_page_says_how_many_were_tried(tmp_path: Path, lang: str) -> None:
    folder = make_result(tmp_path / "r", sections=("sensitivity",))
    still = _sensitivity().iloc[2:].assign(shift_high=float("nan"))
    still.to_csv(folder / "sensitivity.csv", index=False)
    found = read(folder, lang)
    assert "sensitivity" not in found.drawings
    assert text("report.sensitivity_none", lang, tried=1) in found.text
    assert text("report.sensitivity_untried", lang, count=1, ids="past_months_at_most") in found.text


# --- places and queue


def course(enrolled: int, waiting: int) -> pd.DataFrame:
    """Two replicates of an activity with 20 places for three months and none in a fourth."""
    rows = [
        {"scenario": "jobs", "activity": "leisure_job", "draw": 0, "replicate": replicate, "month": f"2012-0{month}"}
        | dict.fromkeys([step for steps in STEPS.values() for step in steps], 0)
        | ({"places": 0} if month == 4 else {"places": 20, "enrolled": enrolled, "waiting": waiting + replicate})
        for replicate in (0, 1)
        for month in (4, 1, 2, 3)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("enrolled", "waiting", "idle"), [(18, 0, False), (17, 0, True), (17, 1, False), (20, 0, False)]
)
def test_occupancy_is_of_the_months_with_places_and_blames_referral_only_when_places_are_free(
    enrolled: int, waiting: int, idle: bool
) -> None:
    [row] = occupancy(course(enrolled, waiting)).to_dict("records")
    assert (row["places"], row["enrolled"], row["waiting"], row["left"]) == (20, enrolled, waiting + 0.5, 0)
    for lang in LANGUAGES:
        said = occupancy_words(row, lang, "A", "B")
        assert number(enrolled, lang, 1) in said
        assert (text("report.occupancy_idle", lang) in said) is idle


def test_an_activity_without_places_is_said_to_have_none() -> None:
    [row] = occupancy(course(0, 2).assign(places=0)).to_dict("records")
    assert row["left"] == 0
    assert occupancy_words(row, "da", "Job", "»X«") == "Job i »X«: ingen pladser."


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real comparison: one activity that ends midway, one that runs to the end and whose places are short."""
    scenario = Scenario.read("leisure_jobs", ["population.residents=600", "horizon.months=24"])
    both = scenario.with_activity("leisure_job", places=6, end="2013-02").with_activity(
        "late", activity="leisure_job", places=3, start="2012-10"
    )
    base = Scenario.read("baseline", ["population.residents=600", "horizon.months=24"])
    folder = tmp_path_factory.mktemp("simulated") / "r"
    compare(both, base, replicates=4).save(folder)
    return folder


def test_the_course_table_balances(simulated: Path) -> None:
    totals = course_totals(pd.read_csv(simulated / "queues.csv"))
    assert totals.index.get_level_values("activity").tolist() == ["leisure_job", "late"]
    for first, *others in STEPS.values():
        assert totals[first].tolist() == pytest.approx(totals[others].sum(axis=1).tolist())
    assert totals.loc[("leisure_jobs", "leisure_job"), ["closed", "left_queue"]].min() > 0
    assert totals.loc[("leisure_jobs", "leisure_job"), ["enrolled", "waiting"]].max() == 0
    assert totals.loc[("leisure_jobs", "late"), ["enrolled", "waiting"]].min() > 0
    html = write_report(simulated, "da").read_text(encoding="utf-8")
    table = html[html.index(text("report.table_queues", "da") + "</caption>") :]
    table = table[: table.index("</table>")]
    assert "Fritidsjobindsats »leisure_job«: Fritidsjobindsats med 20 pladser" in table
    written = re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td><td>(.*?)</td>', table)
    steps = [step for steps in STEPS.values() for step in steps]
    expected = [(text(f"report.course_{s}", "da"), *(number(n, "da", 1) for n in totals[s])) for s in steps]
    assert written == expected


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_fit_is_judged_only_when_the_shares_are_computed_well_enough(tmp_path: Path, lang: str) -> None:
    folder = make_result(tmp_path / "r", sections=("flows", "observed"))
    fine = read(folder, lang)
    name = text("report.quoted", lang, title=TITLES["baseline"][lang])
    score = text("report.observed_sentence", lang, targets=3, inside=1, one=1, two=2, scenario=name)
    verdicts = {text(f"report.{key}", lang) for key in ("yes", "no", "not_scored")}
    assert score in fine.text
    assert text("report.observed_rests", lang, rests=1).replace(" %", " %") in fine.text
    assert verdicts <= set(fine.words)
    _observed().assign(scenario="baseline", se=[0.004, 0.005, 0.004, 0.004]).to_csv(
        folder / "observed.csv", index=False
    )
    loose = read(folder, lang)
    assert score not in loose.text
    assert text("report.observed_small", lang) in loose.text
    sizes = [
        text("report.observed_size", lang, persons=200, cohort=text(f"report.group_cohort_{cohort}", lang))
        for cohort in COHORTS
    ]
    assert text("report.observed_sizes", lang, sizes=listed(sizes, lang)) in loose.text
    assert text("report.observed_test", lang, test="cash_benefit_cohorts_2011") in loose.text
    assert "observed" in loose.drawings
    assert not verdicts & set(loose.words)
    assert text("report.observed_within", lang) not in loose.words
    (folder / "flows.csv").unlink()
    assert text("report.observed_test", lang, test="cash_benefit_cohorts_2011") in read(folder, lang).text


def test_the_test_itself_with_too_few_replicates_asks_for_more(tmp_path: Path) -> None:
    folder = make_result(tmp_path / "r", sections=("flows", "observed"))
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["scenarios"][0]["population"] = {"recipe": "cohorts_2011", "residents": 14892}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    _observed().assign(scenario="baseline", se=0.1).to_csv(folder / "observed.csv", index=False)
    assert text("report.observed_few", "da") in read(folder).text


def test_one_real_replicate_makes_a_page_without_intervals(tmp_path: Path) -> None:
    job, base = (
        Scenario.read(id, ["population.residents=600", "horizon.months=24"]) for id in ("leisure_jobs", "baseline")
    )
    found = read(compare(job, base, replicates=1).save(tmp_path / "r"))
    words = found.text + " ".join(found.drawings.values())
    assert "kør mindst to gentagelser" in found.text
    assert "der har boet i området, berørt; de øvrige lever nøjagtig samme liv (kontrolleret)." in found.text
    assert not re.search(r"°|– til|95 %|90 %|\bnan\b|i gennemsnit 1 ", words)


def test_hidden_difference_is_called_so_with_the_replicates_it_takes(tmp_path: Path) -> None:
    folder = make_result(tmp_path / "r", sections=())
    frame = _differences()
    frame["se"] = frame["se"].where(frame["measure"] != "leisure_job_26h", 0.0611)
    frame.to_csv(folder / "differences.csv", index=False)
    words = read(folder).text
    assert f"Kørslen viser ikke en forskel i »{MEASURES['leisure_job_26h'].label('da')}«" in words
    assert "kan den ligge mellem -6,7 og +18,9" in words
    assert "Omkring 88 gentagelser skal til" in words
    assert "højere i dec. 2016" not in words


def test_lives_that_are_all_the_same_are_called_the_same(tmp_path: Path) -> None:
    folder = make_result(tmp_path / "r", sections=())
    same = _differences().assign(estimate=0.0, se=0.0, low=0.0, high=0.0)
    same.to_csv(folder / "differences.csv", index=False)
    said = text("report.headline_same", "da", scenario="»Fritidsjob«", base="»Grundforløb«")
    assert said not in read(folder).text
    touch(folder, 0)
    assert said in read(folder).text
    same.iloc[-1, same.columns.get_loc("estimate")] = 1e-9
    same.to_csv(folder / "differences.csv", index=False)
    assert said not in read(folder).text


@pytest.mark.parametrize("lang", LANGUAGES)
def test_one_replicate_gives_numbers_and_no_claim(tmp_path: Path, lang: str) -> None:
    folder = make_result(tmp_path / "r", replicates=1)
    nothing = dict.fromkeys(("se", "low", "high"), float("nan"))
    frame = _differences().assign(**nothing, replicates=1)
    frame.loc[frame["measure"] == "neet", "estimate"] = 0.0
    frame.to_csv(folder / "differences.csv", index=False)
    _sensitivity().iloc[:0].to_csv(folder / "sensitivity.csv", index=False)
    _observed().assign(scenario="baseline", se=float("nan"), sim_low=float("nan"), sim_high=float("nan")).to_csv(
        folder / "observed.csv", index=False
    )
    found = read(folder, lang)
    words = found.text + " ".join(found.drawings.values())
    names = {key: text("report.quoted", lang, title=TITLES[id][lang]) for key, id in PAIR.items()}
    assert text("report.headline_single", lang, **names) in found.text
    assert text("report.table_same", lang, base=names["base"], measures=MEASURES["neet"].label(lang)) in found.text
    assert f"+{number(6.1, lang, 1)}" in found.text
    assert "°" not in words
    assert f"– {text('report.to', lang, low='', high='').strip()} –" not in words
    assert not re.search(r"\bnan\b|95 %|90 %", words)


def test_measures_that_never_differ_are_named_not_tabled(tmp_path: Path) -> None:
    folder = make_result(tmp_path / "r", sections=())
    frame = _differences()
    frame.loc[frame["measure"] == "neet", ["estimate", "se", "low", "high"]] = 0.0
    frame.to_csv(folder / "differences.csv", index=False)
    label = MEASURES["neet"].label("da")
    assert text("report.table_same", "da", base="»Grundforløb«", measures=label) in read(folder).text


def test_broken_pairing_is_an_alarm(tmp_path: Path) -> None:
    folder = make_result(tmp_path / "r", sections=())
    proof = json.loads((folder / "pairing.json").read_text(encoding="utf-8"))
    broken = json.dumps({**proof, "untouched_identical": False})
    (folder / "pairing.json").write_text(broken, encoding="utf-8")
    found = read(folder)
    assert "Brug ikke resultatet" in found.text
    assert [p["class"] for p in found.all("p") if p.get("role") == "alert"] == ["alarm"]


def test_paths_that_differ_are_drawn_for_each_scenario(tmp_path: Path) -> None:
    folder = make_result(tmp_path / "r", sections=("flows",))
    assert "tegnes ikke igen" in read(folder).text
    frame = _flows(["baseline", "jobs"])
    frame.loc[(frame["scenario"] == "jobs") & (frame["group_2"] == "job_ready"), "persons"] *= 2
    frame.to_csv(folder / "flows.csv", index=False)
    found = read(folder)
    assert found.drawings["flows"] != found.drawings["flows-jobs"]
    assert (folder / "figures" / "flows-jobs.svg").is_file()


def test_run_tells_levels_and_no_effect(tmp_path: Path) -> None:
    found = read(make_result(tmp_path / "r", "run"))
    assert re.search(rf"I dec. 2016 er andelen »{MEASURES['employed'].label('da')}« 4[34],\d %", found.text)
    assert text("report.headline_run", "da") in found.text
    assert set(found.drawings) == DRAWN - {"differences", "forest", "sensitivity"}


@pytest.mark.parametrize("kind", ["run", "compare"])
def test_a_manifest_alone_gives_a_page(tmp_path: Path, kind: str) -> None:
    folder = make_result(tmp_path / "r", kind)
    for path in folder.iterdir():
        if path.name != "manifest.json":
            path.unlink()
    found = read(folder)
    assert not found.all("svg")
    assert len(found.all("h2")) == 3
    assert not (folder / "figures").exists()


def test_titles_and_notes_cannot_break_the_page(tmp_path: Path) -> None:
    folder = make_result(tmp_path / "r", sections=())
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["scenarios"][1]["title"]["da"] = '<b>"$x$" & {co}</b>'
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    found = read(folder)
    assert not found.all("b")
    assert '»<b>"$x$" & {co}</b>« sammenlignet med »Grundforløb«' in found.text


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        ("folder_missing", lambda folder: folder.rename(folder.with_name("away"))),
        ("not_a_result", lambda folder: (folder / "manifest.json").unlink()),
        ("manifest_damaged", lambda folder: (folder / "manifest.json").write_text("{", encoding="utf-8")),
        ("unreadable", lambda folder: (folder / "outcomes.parquet").write_bytes(b"no parquet")),
        ("unreadable", lambda folder: (folder / "observed.csv").write_text("a,b\n1,2\n", encoding="utf-8")),
        ("unreadable", lambda folder: (folder / "queues.csv").write_bytes(b"")),
        ("unreadable", lambda folder: (folder / "pairing.json").write_text("{", encoding="utf-8")),
    ],
)
def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path, kind: str, spoil: Callable[[Path], object]) -> None:
    folder = make_result(tmp_path / "r")
    spoil(folder)
    with pytest.raises(ResultError) as caught:
        write_report(folder, "da")
    assert [problem.kind for problem in caught.value.problems] == [kind]
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("file", ["report", "targets"])
def test_all_texts_exist_in_both_languages_with_the_same_blanks(file: str) -> None:
    for key, message in messages(file).items():
        assert set(message) == set(LANGUAGES), key
        blanks = [sorted(re.findall(r"\{(\w+)\}", message[lang])) for lang in LANGUAGES]
        assert blanks[0] == blanks[1], key
        assert all(message[lang].strip() for lang in LANGUAGES), key

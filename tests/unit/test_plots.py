"""Figures: the numbers drawn, words that say them, no overlapping text, colours that can be told apart."""

from __future__ import annotations

import io
import itertools
import math
import re
from functools import cache
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from sim import marginals, plots
from sim.errors import ResultError
from sim.headline import headline_measures
from sim.locale import LANGUAGES, messages, month_name, number, percent, text
from sim.measures import BENEFIT_GROUPS, GROUPINGS
from sim.parameters import ParameterSet
from sim.results import PLOTS
from sim.sources import published_interval
from sim.states import ORIGINS, SEXES

TITLES = {
    "base": "Grundforløb",
    "jobs": "Fritidsjob med 40 pladser",
    "more": "Fritidsjob med $100 og mange, mange flere pladser i hele området",
}
MONTHS = [f"{2011 + (m + 11) // 12}-{(m + 11) % 12 + 1:02d}" for m in range(61)]
YEARS = MONTHS[::12]
EVEN = {"employed": 0.4, "in_education": 0.2, "job_ready": 0.1, "activity_ready": 0.2, "other_benefit": 0.1}
TINY = {"employed": 0.955, "in_education": 0.005, "self_supporting": 0.005, "job_ready": 0.005} | {
    "activity_ready": 0.005,
    "other_benefit": 0.01,
    "disability_pension": 0.005,
}


def outcomes(shares: dict[str, float], scenarios: tuple[str, ...] = ("base", "jobs")) -> pd.DataFrame:
    """Two replicates, one a point above ``shares`` and one a point below, for the first measure."""
    rows = [
        (scenario, "individual", month, "all", "all", measure, share + bump * (measure == "employed"))
        for scenario in scenarios
        for month in MONTHS
        for measure, share in shares.items()
        for bump in (-0.01, 0.01)
    ]
    return pd.DataFrame(rows, columns=["scenario", "view", "month", "group_by", "group", "measure", "value"])


def flows(end: dict[str, float]) -> pd.DataFrame:
    rows = [
        ("base", cohort, "2011-12", "2013-12", "2016-12", start, middle, last, 200 * share * kept)
        for cohort, start in (("activity_ready_2011", "activity_ready"), ("job_ready_2011", "job_ready"))
        for middle, share in {"job_ready": 0.6, "no_benefit": 0.4}.items()
        for last, kept in end.items()
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


def differences(ends: dict[str, tuple[float, float]], scenarios: tuple[str, ...] = ("jobs",)) -> pd.DataFrame:
    """Differences that grow evenly to (estimate, se) at the end; the band is four standard errors wide."""
    rows: list[dict[str, Any]] = []
    for scenario, (measure, (end, se)), month in itertools.product(scenarios, ends.items(), YEARS):
        for group_by, groups in GROUPINGS.items():
            for i, group in enumerate(groups):
                if group != "neither":
                    estimate = end * YEARS.index(month) / 5 * (1 + i / 10)
                    rows.append(
                        {"scenario": scenario, "against": "base", "view": "individual", "measure": measure}
                        | {"month": month, "group_by": group_by, "group": group, "estimate": estimate}
                        | {"se": se, "low": estimate - 4 * se, "high": estimate + 4 * se, "interval": "luck"}
                        | {"replicates": 20, "draws": 1}
                    )
    return pd.DataFrame(rows).assign(structure="history")


def observed(rows: int = 5) -> pd.DataFrame:
    found = [
        {"target": f"t{i}", "published": 0.1 * i, "low": 0.1 * i - 0.005, "high": 0.1 * i + 0.005}
        | {"simulated": 0.1 * i + 0.002 * i, "sim_low": 0.1 * i - 0.03, "sim_high": 0.1 * i + 0.04}
        | {"scenario": "base", "label_da": f"mål {i}, " + "meget langt navn " * i, "label_en": f"target {i}"}
        | {"inside": i < 3, "reading": "a", "se": 0.0049}
        for i in range(1, rows + 1)
    ]
    return pd.DataFrame(found)


def two_readings(se: float) -> pd.DataFrame:
    """Five targets with the other reading of one in their midst."""
    frame = observed().assign(se=se)
    return pd.concat([frame.iloc[:2], frame.iloc[4:].assign(reading="b", se=9.0), frame.iloc[2:]], ignore_index=True)


def queues() -> pd.DataFrame:
    rows = [
        (scenario, "leisure_job", 0, replicate, month, 40, 39 + replicate, 2 * replicate * (month < "2016"))
        for scenario in ("jobs", "more")
        for replicate in (0, 1)
        for month in MONTHS[1:]
    ]
    names = ["scenario", "activity", "draw", "replicate", "month", "places", "enrolled", "waiting"]
    return pd.DataFrame(rows, columns=names)


def moving_queues() -> pd.DataFrame:
    """The queues with flows that add up to 120 and 240 referred in the two replicates."""
    flows = {"referred": 2, "declined": 1, "started": 1, "completed": 0}
    frame = queues()
    return frame.assign(**{step: flow * (1 + frame["replicate"]) for step, flow in flows.items()})


def pyramid() -> pd.DataFrame:
    rows = [
        (f"{age}-{age + 4}" if age < 95 else "95+", sex, origin, persons if age < 80 else 0.0)
        for age in range(0, 100, 5)
        for sex in SEXES
        for origin, persons in zip(ORIGINS, (400.0, 20.0, 580.0), strict=True)
    ]
    return pd.DataFrame(rows, columns=["age_group", "sex", "origin", "persons"])


def population() -> pd.DataFrame:
    found = marginals.check("area", ParameterSet.read("history"), 2419)
    return pd.concat([found, found.iloc[:1].assign(target="not_in_the_book", made=0.99)], ignore_index=True)


def sensitivity(scenarios: tuple[str, ...] = ("jobs",)) -> pd.DataFrame:
    """Twenty numbers, each moving the headline less than the one before; half of them by more than a tenth."""
    rows = [
        {"parameter": f"leisure_job.p{i}" if i % 2 else f"p{i}", "scenario": scenario, "value": 1.386, "low": 0.0005}
        | {"label_da": "et tal med et langt navn " * (1 + i % 3), "label_en": f"number {i}", "high": 1200.0}
        | {"measure": "leisure_job_26h", "month": "2016-12", "interval_low": 0.02, "interval_high": 0.12}
        | {"shift_low": -0.02 + 0.001 * i, "shift_high": 0.001, "share_of_interval": 0.2 - 0.01 * i}
        for scenario in scenarios
        for i in range(20)
    ]
    return pd.DataFrame(rows)


CONTROL, TREATED = (0.038, 0.1, 0.211, 0.308, 0.488), (0.024, 0.094, 0.232, 0.55, 0.682)


def study(replicates: int = 3) -> pd.DataFrame:
    spread = np.linspace(0, 0.02, replicates)[:, None]
    simulated = {"control": np.array(CONTROL) + spread, "treated": np.array(TREATED) + spread}
    return plots.study_data(simulated, {"control": CONTROL, "treated": TREATED}, 289)


FOUR = {
    "employed": (0.02, 0.003),
    "neet": (-0.01, 0.004),
    "leisure_job_26h": (0.06, 0.01),
    "months_employed": (1.2, 0.5),
}
LABELS = {"leisure_job": "Fritidsjobindsats"}


def uncertainty(scenarios: tuple[str, ...] = ("jobs",), draws: int = 21) -> pd.DataFrame:
    """What luck and parameters do: of differences of ``scenarios``, or without any of the base's levels."""
    rows = []
    for scenario in scenarios or ("base",):
        for measure, (end, se) in FOUR.items():
            for shift, structure in enumerate(("pooled", "history", "history_stayers", "calendar")):
                middle = end * (1 + 0.2 * shift) + (0 if scenarios else 0.4)
                row = {"scenario": scenario, "of": "difference" if scenarios else "level", "view": "individual"}
                row |= {"measure": measure, "month": "2021-12", "structure": structure, "estimate": middle, "se": se}
                row |= {"sd_luck": se, "sd_parameters": se, "share_parameters": 0.5}
                for wide, name in enumerate(("luck", "parameters", "both"), start=1):
                    row |= {f"low_{name}": middle - wide * se, f"high_{name}": middle + wide * se}
                rows.append(row | {"replicates": 10, "draws": draws if structure == "pooled" else draws // 3})
    return pd.DataFrame(rows)


def drawings(lang: str) -> dict[str, Figure]:
    """Every figure, with data that make its labels crowd."""
    crowded = flows(
        {
            "job_ready": 0.003,
            "activity_ready": 0.99,
            "no_benefit": 0.002,
            "other_benefit": 0.003,
            "gone": 0.002,
        }
    )
    several = plots.differences_data(differences(FOUR, ("jobs", "more")))
    groups = plots.forest_data(differences(FOUR, ("jobs", "more")))
    return {
        "states": plots.states_figure(plots.states_data(outcomes(TINY, ("base", "more"))), lang, TITLES),
        "flows": plots.flows_figure(plots.flows_data(crowded), lang),
        "differences": plots.differences_figure(several, lang, TITLES),
        "one difference": plots.differences_figure(several[several["measure"] == "neet"], lang, TITLES),
        "forest": plots.forest_figure(groups, lang, TITLES),
        "one forest": plots.forest_figure(groups[groups["measure"] == "neet"], lang, TITLES),
        "observed": plots.observed_figure(plots.observed_data(observed()), lang),
        "observed, both readings": plots.observed_figure(plots.observed_data(two_readings(0.001)), lang),
        "observed, unjudged": plots.observed_figure(plots.observed_data(two_readings(0.02)), lang),
        "queues": plots.queues_figure(plots.queues_data(queues()), lang, TITLES, LABELS),
        "funnel": plots.funnel_figure(plots.funnel_data(moving_queues()), lang, TITLES, LABELS),
        "pyramid": plots.pyramid_figure(plots.pyramid_data(pyramid()), lang),
        "population": plots.population_figure(plots.population_data(population()), lang),
        "sensitivity": plots.sensitivity_figure(plots.sensitivity_data(sensitivity(("jobs", "more"))), lang, TITLES),
        "structures": plots.structures_figure(plots.structures_data(uncertainty(("jobs", "more")), FOUR), lang, TITLES),
        "structures, levels": plots.structures_figure(plots.structures_data(uncertainty(()), FOUR), lang, TITLES),
        "study": plots.study_figure(study(), lang),
    }


@cache
def drawn(lang: str) -> dict[str, Figure]:
    """The same figures, made once for tests that only look."""
    return drawings(lang)


def texts(figure: Figure) -> list[tuple[str, Any]]:
    """All words drawn and the boxes they take, in pixels."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    shown = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    within = []
    for t in shown:
        axis = next(
            (a for axes in figure.axes for a in (axes.xaxis, axes.yaxis) if t in a.get_majorticklabels()),
            None,
        )
        if axis is not None:
            low, high = sorted(axis.get_view_interval())
            at = t.get_position()[0 if axis.axis_name == "x" else 1]
            if not (axis.axes.axison and low - 1e-9 <= at <= high + 1e-9):
                continue
        within.append((t.get_text(), Text.get_window_extent(t, renderer)))
    return within


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_text_overlaps_or_leaves_the_figure(lang: str) -> None:
    for name, figure in drawn(lang).items():
        found = texts(figure)
        width, height = figure.get_size_inches() * figure.dpi
        assert width == plots.WIDTH
        assert len(found) >= 7, name
        for words, box in found:
            inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
            assert inside, (name, words)
        for (one, a), (two, b) in itertools.combinations(found, 2):
            apart = a.x1 <= b.x0 + 1 or b.x1 <= a.x0 + 1 or a.y1 <= b.y0 + 2 or b.y1 <= a.y0 + 2
            assert apart, (name, one, two)


def test_lines_to_labels_end_before_the_words() -> None:
    for name, expected in (("states", 2 * 8), ("queues", 2 * 3)):
        figure = drawn("da")[name]
        renderer = FigureCanvasAgg(figure).get_renderer()
        figure.draw(renderer)
        labels = figure.findobj(Annotation)
        assert len(labels) == expected
        for label in labels:
            line, words = label.arrow_patch.get_window_extent(renderer), Text.get_window_extent(label, renderer)
            assert line.x1 <= words.x0 + 1, label.get_text()


def test_no_text_is_smaller_than_nine_points() -> None:
    for name, figure in drawn("da").items():
        sizes = [t.get_fontsize() for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible()]
        assert min(sizes) >= 9, name


@pytest.mark.parametrize("lang", LANGUAGES)
def test_ticks_are_written_in_the_language(lang: str) -> None:
    figure = plots.differences_figure(plots.differences_data(differences({"employed": (0.004, 0.001)})), lang, TITLES)
    words = [word for word, _ in texts(figure)]
    assert number(0.5, lang, 1) in words
    assert number(0.5, "en" if lang == "da" else "da", 1) not in words


@given(
    st.lists(st.tuples(st.floats(0, 300), st.floats(10, 30)), min_size=1, max_size=9),
)
def test_spread_labels_do_not_overlap_stay_inside_and_keep_their_order(
    labels: list[tuple[float, float]],
) -> None:
    wanted, sizes = [w for w, _ in labels], [s for _, s in labels]
    placed = plots.spread(wanted, sizes, 0, 300)
    order = sorted(range(len(labels)), key=lambda i: wanted[i])
    for a, b in itertools.pairwise(order):
        assert placed[b] - placed[a] >= (sizes[a] + sizes[b]) / 2 - 1e-6
    assert placed[order[0]] - sizes[order[0]] / 2 >= -1e-6
    assert placed[order[-1]] + sizes[order[-1]] / 2 <= 300 + 1e-6


def test_labels_with_room_stay_where_they_belong() -> None:
    assert plots.spread([50, 20], [10, 10], 0, 100) == [50, 20]
    assert plots.spread([50, 50], [10, 10], 0, 100) == [45, 55]


def _luminance(colour: str) -> float:
    parts = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in mpl.colors.to_rgb(colour)
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def test_colours_stand_out_from_white_and_neighbours_differ_without_colour() -> None:
    for colour in [colour for colour, _ in plots.PARTS.values()] + list(plots.GROUPS.values()):
        assert 1.05 / (_luminance(colour) + 0.05) >= 3, colour
    hatches = [hatch for _, hatch in plots.PARTS.values()]
    assert all(bool(one) != bool(two) for one, two in itertools.pairwise(hatches))
    assert len(set(filter(None, hatches))) == len(hatches) // 2
    assert set(BENEFIT_GROUPS) < set(plots.GROUPS)


def test_states_add_up_and_keep_pension_apart_from_other_benefit() -> None:
    data = plots.states_data(outcomes(EVEN | {"disability_pension": 0.04, "employed": 0.35}))
    end = data[(data["scenario"] == "jobs") & (data["month"] == "2016-12")].set_index("part")["share"]
    assert end.round(9).to_dict() == {
        "employed": 0.35,
        "in_education": 0.2,
        "job_ready": 0.1,
        "activity_ready": 0.2,
        "other_benefit": 0.06,
        "disability_pension": 0.04,
        "rest": 0.05,
    }
    assert data.groupby(["scenario", "month"])["share"].sum().round(9).eq(1).all()


def test_states_stack_only_shares_of_the_same_people() -> None:
    data = plots.states_data(outcomes(EVEN | {"neet": 0.3, "leisure_job_26h": 0.3, "employed": 0.4}))
    assert list(dict.fromkeys(data["part"])) == [*EVEN]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_states_words_say_the_shares_and_follow_the_data(lang: str) -> None:
    said = plots.states_alt(plots.states_data(outcomes(EVEN)), lang, TITLES)
    assert percent(0.4, lang) in said
    assert TITLES["jobs"] in said
    other = plots.states_alt(plots.states_data(outcomes(EVEN | {"employed": 0.41, "in_education": 0.19})), lang, TITLES)
    assert percent(0.41, lang) in other
    assert percent(0.41, lang) not in said


@pytest.mark.parametrize("lang", LANGUAGES)
def test_flows_words_say_the_shares_of_each_cohort(lang: str) -> None:
    data = plots.flows_data(flows({"job_ready": 0.25, "gone": 0.75}))
    assert list(dict.fromkeys(data["cohort"])) == ["job_ready_2011", "activity_ready_2011"]
    assert data.groupby("cohort")["share"].sum().round(9).eq(1).all()
    said = plots.flows_alt(data, lang)
    for share in (1, 0.6, 0.4, 0.25, 0.75):
        assert said.count(percent(share, lang)) == 2, share


def test_nodes_of_the_alluvial_are_as_tall_as_their_shares() -> None:
    figure = plots.flows_figure(plots.flows_data(flows({"job_ready": 0.25, "gone": 0.75})), "da")
    boxes = [patch for patch in figure.axes[0].patches if patch.__class__.__name__ == "Rectangle"]
    tall = [round(box.get_height() / boxes[0].get_height(), 6) for box in boxes]
    assert tall == [1, 0.6, 0.4, 0.25, 0.75]
    assert len(figure.axes[0].patches) == len(boxes) + 2 + 4


def test_headline_measures_are_the_clearest_and_keep_the_leisure_job() -> None:
    ends = {
        "employed": (0.02, 0.003),
        "neet": (-0.012, 0.001),
        "job_ready": (0.01, 0.002),
        "in_education": (0.01, 0.001),
    }
    ends |= {"no_benefit": (0.0, 0.0), "leisure_job_26h": (0.001, 0.01), "never_served": (30.0, 0.1)}
    assert headline_measures(differences(ends)) == [
        "neet",
        "in_education",
        "employed",
        "leisure_job_26h",
    ]
    assert headline_measures(differences({"employed": (0.01, 0.0), "neet": (0.01, 0.001)})) == [
        "employed",
        "neet",
    ]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_difference_words_say_estimate_and_band(lang: str) -> None:
    data = plots.differences_data(differences({"leisure_job_26h": (0.061, 0.01), "employed": (-0.0004, 0.0001)}))
    said = plots.differences_alt(data, lang, TITLES)
    for value, digits in ((6.1, 1), (2.1, 1), (10.1, 1)):
        assert "+" + number(value, lang, digits) in said
    assert number(-0.04, lang, 2) in said
    twice = plots.differences_data(differences({"leisure_job_26h": (0.122, 0.01)}))
    assert "+" + number(12.2, lang, 1) in plots.differences_alt(twice, lang, TITLES)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_forest_words_name_the_extreme_groups(lang: str) -> None:
    said = plots.forest_alt(plots.forest_data(differences({"employed": (0.02, 0.003)})), lang, TITLES)
    assert plots.group_label("age_group", "67+", lang) in said
    assert "+" + number(3.2, lang, 1) in said


def test_forest_leaves_out_groups_without_a_number() -> None:
    frame = differences({"employed": (0.02, 0.003)})
    frame.loc[frame["group"] == "western", "estimate"] = math.nan
    groups = set(plots.forest_data(frame)["group"])
    assert "western" not in groups
    assert "non_western" in groups


@pytest.mark.parametrize("lang", LANGUAGES)
def test_observed_words_count_hits_and_name_the_worst(lang: str) -> None:
    said = plots.observed_alt(plots.observed_data(observed()), lang)
    assert observed()[f"label_{lang}"].iloc[-1] in said
    assert percent(0.5, lang, 0) in said
    assert percent(0.51, lang) in said
    assert said.startswith("5 ")
    assert " 2 " in said


@pytest.mark.parametrize("lang", LANGUAGES)
def test_observed_counts_reading_a_only_and_only_when_computed_well_enough(lang: str) -> None:
    fine, loose = (plots.observed_data(two_readings(se)) for se in (0.0049, 0.005))
    assert fine["reading"].tolist() == loose["reading"].tolist() == ["a"] * 5 + ["b"]
    assert fine["scored"].tolist() == [True] * 5 + [False]
    assert not loose["scored"].any()
    assert not plots.observed_data(two_readings(math.nan))["scored"].any()
    hits = text("report.observed_alt_hits", lang, inside=2)
    assert hits in plots.observed_alt(fine, lang)
    assert hits not in plots.observed_alt(loose, lang)
    legends = {
        scored: {word for word, _ in texts(plots.observed_figure(data, lang))}
        for scored, data in ((True, fine), (False, loose))
    }
    verdicts = {text(f"report.observed_{key}", lang) for key in ("inside", "outside")}
    other = text("report.observed_other", lang)
    assert {*verdicts, other} <= legends[True]
    assert other in legends[False]
    assert not verdicts & legends[False]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_participants_of_several_scenarios_are_called_so(lang: str) -> None:
    words = {
        len(scenarios): {
            word
            for word, _ in texts(plots.forest_figure(plots.forest_data(differences(FOUR, scenarios)), lang, TITLES))
        }
        for scenarios in (("jobs",), ("jobs", "more"))
    }
    for group in ("yes", "no"):
        one, several = (text(f"report.group_participant_{group}{ending}", lang) for ending in ("", "_several"))
        assert one in words[1] - words[2]
        assert several in words[2] - words[1]


def test_observed_takes_the_first_scenario_only() -> None:
    two = pd.concat([observed(3), observed(2).assign(scenario="jobs")])
    assert list(plots.observed_data(two)["scenario"]) == ["base"] * 3


@pytest.mark.parametrize("lang", LANGUAGES)
def test_queue_words_say_stocks_at_the_end_and_the_longest_queue(lang: str) -> None:
    data = plots.queues_data(queues())
    assert data[data["month"] == "2016-12"]["enrolled"].tolist() == [39.5, 39.5]
    said = plots.queues_alt(data, lang, TITLES, LABELS)
    assert said.count("Fritidsjobindsats") == 2
    assert number(39.5, lang, 1) in said
    assert said.count(number(1.0, lang, 1)) == 2


@pytest.mark.parametrize("lang", LANGUAGES)
def test_funnel_counts_persons_a_replicate_and_those_who_say_yes(lang: str) -> None:
    data = plots.funnel_data(moving_queues())
    mine = data[data["scenario"] == "jobs"].set_index("step")
    assert list(mine.index) == list(plots.FUNNEL)
    assert mine["mean"].to_dict() == {"referred": 180, "accepted": 90, "started": 90, "completed": 0}
    assert mine.loc["referred", ["low", "high"]].tolist() == pytest.approx([123, 237])
    said = plots.funnel_alt(data, lang, TITLES, LABELS)
    assert said.count(f"{number(180, lang, 1)} {text('report.funnel_referred', lang)}") == 2
    one = plots.funnel_data(moving_queues().query("replicate == 0"))
    assert one[["low", "high"]].isna().all(axis=None)
    plots.funnel_figure(one, lang, TITLES, LABELS)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_pyramid_stacks_the_origins_on_both_sides_and_leaves_out_empty_ages(lang: str) -> None:
    data = plots.pyramid_data(pyramid())
    assert list(dict.fromkeys(data["age_group"]))[-1] == "75-79"
    figure = plots.pyramid_figure(data, lang)
    for axes in figure.axes:
        widths = sorted(round(bar.get_width()) for bar in axes.patches)
        assert widths == sorted([400, 20, 580] * 16)
        assert max(bar.get_x() + bar.get_width() for bar in axes.patches) == pytest.approx(1000)
    women, men = figure.axes
    assert women.xaxis_inverted()
    assert not men.xaxis_inverted()
    said = plots.pyramid_alt(data, lang)
    for words in (number(32_000, lang), percent(0.5, lang), percent(0.58, lang), number(2000, lang)):
        assert words in said


def test_published_shares_have_the_interval_their_printing_leaves_open() -> None:
    for id, (low, high) in {
        "sec1_outside_lf_2011": (0.405, 0.415),
        "fig4_3_basic_school_supported_2011": (0.41, 0.415),
        "sec4_1_non_western_supported_whole_period": (0.40, 0.41),
        "not_in_the_book": (0.405, 0.415),
    }.items():
        assert published_interval(id, 0.41) == pytest.approx((low, high)), id
    assert published_interval("not_in_the_book", 0.002)[0] == 0
    assert published_interval("not_in_the_book", 0.998)[1] == 1


def test_marginals_are_within_when_the_rounding_and_the_expected_error_leave_them_so() -> None:
    frame = pd.DataFrame({"target": ["sec1_outside_lf_2011"] * 3, "published": 0.41, "expected_error": 0.003})
    data = plots.population_data(frame.assign(made=[0.4179, 0.4181, 0.4019]))
    assert data["within"].tolist() == [True, False, False]
    assert data["ages"].tolist() == ["25-50"] * 3


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_marginal_has_a_label_in_words_and_stands_with_its_ages(lang: str) -> None:
    for id in marginals.check("area", ParameterSet.read("history"), 2419)["target"]:
        assert plots.target_label(id, lang) != id.replace("_", " "), id
    said = plots.target_label("fig4_11_employed_women_danish_2016", lang)
    assert (
        said
        == f"{messages('targets')['to_employed'][lang]}, {'kvinder' if lang == 'da' else 'women'}, "
        + (messages("targets")["origin_danish"][lang])
    )
    data = plots.population_data(population())
    ages = list(dict.fromkeys(data["ages"]))
    assert ages == sorted(ages, key=ages.index)
    assert ages[0] == ""
    assert [int(age.split("-")[0]) for age in ages[1:]] == sorted(int(age.split("-")[0]) for age in ages[1:])
    said = plots.population_alt(data, lang)
    assert "not in the book" in said
    assert said.startswith(f"{len(data)} ")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_only_decisive_numbers_are_drawn_and_said(lang: str) -> None:
    data = plots.sensitivity_data(sensitivity())
    assert len(data) == 10
    assert data["share_of_interval"].min() > 0.1
    figure = plots.sensitivity_figure(data, lang, TITLES)
    widths = [round(bar.get_width(), 6) for bar in figure.axes[0].patches]
    assert widths[:2] == [-2.0, 0.1]
    assert len(widths) == 20
    limits = {round(line.get_xdata()[0], 6) for line in figure.axes[0].lines if line.get_linestyle() == ":"}
    assert limits == {-1.0, 1.0}
    said = plots.sensitivity_alt(data, lang, TITLES)
    assert number(-2.0, lang, 1) in said
    assert plots.assumed_label(data.iloc[1], lang) in said
    assert plots.assumed_label(data.iloc[1], "da").startswith("Fritidsjobindsats: et tal")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_study_draws_both_groups_with_their_published_points(lang: str) -> None:
    data = study()
    control = data[data["group"] == "control"].set_index("year")
    assert control.loc[-3, "mean"] == pytest.approx(0.048)
    assert control.loc[-3, ["low", "high"]].tolist() == pytest.approx([0.0385, 0.0575])
    half = 2 * math.sqrt(0.488 * 0.512 / 289)
    assert control.loc[1, ["published_low", "published_high"]].tolist() == pytest.approx([0.488 - half, 0.488 + half])
    said = plots.study_alt(data, lang)
    for share in (0.692, 0.682, 0.048, 0.038):
        assert percent(share, lang) in said
    one = study(1)
    assert one[["low", "high"]].isna().all(axis=None)
    assert len(plots.study_figure(one, lang).axes[0].lines) == 4


def test_the_same_figure_gives_the_same_bytes_whatever_the_users_settings() -> None:
    some = ("states", "observed", "queues", "pyramid")
    first = {name: plots.svg(drawn("da")[name], "words", "f") for name in some}
    with mpl.rc_context({"font.size": 30, "axes.grid": True, "svg.hashsalt": "other", "axes.spines.top": True}):
        second = {name: plots.svg(figure, "words", "f") for name, figure in drawings("da").items() if name in some}
    assert first == second


def test_svg_is_labelled_and_its_ids_are_its_own() -> None:
    words = plots.svg(drawn("da")["queues"], 'a "b" < c', "queues")
    assert words.startswith("<svg ")
    assert 'role="img" aria-label=\'a "b" &lt; c\'' in words
    ids = re.findall(r'\bid="([^"]+)"', words)
    used = re.findall(r'(?:href="#|url\(#)([^")]+)', words)
    assert ids
    assert used
    assert all(id.startswith("queues-") for id in [*ids, *used])
    assert set(used) <= set(ids)


def test_one_replicate_without_bands_can_be_drawn() -> None:
    frame = differences({"employed": (0.02, 0.003)})
    frame[["se", "low", "high"]] = math.nan
    figure = plots.differences_figure(plots.differences_data(frame), "da", TITLES)
    figure.savefig(io.BytesIO(), format="svg")
    line = next(line for line in figure.axes[0].lines if len(line.get_xdata()) == 6)
    assert max(line.get_ydata()) == pytest.approx(2.0)
    assert text("report.band_none", "da") in {word for word, _ in texts(figure)}
    said = plots.differences_alt(plots.differences_data(frame), "da", TITLES)
    assert "+2,0 procentpoint." in said
    assert "–" not in said


def test_short_runs_have_the_ends_as_ticks() -> None:
    frame = outcomes(EVEN)
    figure = plots.states_figure(plots.states_data(frame[frame["month"] <= "2012-06"]), "da", TITLES)
    words = [word for word, _ in texts(figure)]
    assert month_name("2011-12", "da") in words
    assert month_name("2012-06", "da") in words


MANIFEST = {
    "scenarios": [
        {"id": id, "title": {"da": title, "en": title}, "activities": items}
        for (id, title), items in zip(
            TITLES.items(),
            ([], [{"id": "a", "activity": "leisure_job"}], [{"id": "b", "activity": "leisure_job"}]),
            strict=True,
        )
    ]
}


def test_activities_with_one_name_are_told_apart() -> None:
    name = "Fritidsjobindsats"
    assert plots.activity_labels(MANIFEST, "da") == {"a": name, "b": name}
    both = [item for scenario in MANIFEST["scenarios"] for item in scenario["activities"]]
    several = {"scenarios": [*MANIFEST["scenarios"], {"id": "both", "activities": both}]}
    assert plots.activity_labels(several, "da") == {"a": f"{name} »a«", "b": f"{name} »b«"}


def test_figures_of_a_result_are_chosen_by_name() -> None:
    tables = {"outcomes": outcomes(EVEN), "flows": flows({"gone": 1.0}), "differences": differences(FOUR)}
    items = queues()["scenario"].map({"jobs": "a", "more": "b"})
    tables |= {"observed": observed(), "queues": moving_queues().assign(activity=items), "pyramid": pyramid()}
    tables |= {"population": population(), "sensitivity": sensitivity(), "uncertainty": uncertainty()}
    panels = {"states": 2, "flows": 2, "differences": 4, "forest": 4, "observed": 1, "queues": 2}
    panels |= {"funnel": 2, "pyramid": 2, "population": 1, "sensitivity": 1, "structures": 4}
    assert set(panels) == set(PLOTS)
    for name, axes in panels.items():
        assert len(plots.of_result(name, tables, MANIFEST, "da").axes) == axes, name


def test_a_figure_without_data_is_refused_naming_those_with() -> None:
    tables = {"outcomes": outcomes(EVEN), "queues": queues().iloc[:0], "sensitivity": sensitivity().iloc[15:]}
    for name in ("queues", "forest", "sensitivity", "nothing"):
        with pytest.raises(ResultError) as caught:
            plots.of_result(name, tables, MANIFEST, "da")
        assert caught.value.problems[0].values == {"value": name, "allowed": "states"}

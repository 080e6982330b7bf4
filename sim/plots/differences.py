"""The differences between scenarios: over the months, and in every group at the end."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..headline import headline_measures
from ..locale import month_name, text
from ..measures import MEASURES
from ..scenario import month_number
from .labels import Row, change, group_label, points, quoted, records
from .style import (
    GREY,
    INK,
    RULE,
    SCALE,
    SERIES,
    SMALL,
    WIDTH,
    Look,
    axes_at,
    drawn,
    extent,
    fold,
    month_axis,
    new_figure,
    say,
    value_axis,
    write,
)


def differences_data(differences: pd.DataFrame) -> pd.DataFrame:
    """Return the differences of the headline measures for all residents, every month there is."""
    chosen = headline_measures(differences)
    rows = differences[(differences["group_by"] == "all") & differences["measure"].isin(chosen)]
    rank = {id: i for i, id in enumerate(dict.fromkeys(rows["scenario"]))}
    order = {"measure": rows["measure"].map(chosen.index), "scenario": rows["scenario"].map(rank)}
    kept = ["scenario", "against", "measure", "month", "estimate", "se", "low", "high", "replicates", "draws"]
    places = pd.DataFrame({**order, "month": rows["month"]}).sort_values([*order, "month"], kind="stable").index
    return rows.loc[places, kept].reset_index(drop=True)


def _series(data: pd.DataFrame) -> dict[str, Look]:
    scenarios = dict.fromkeys(data["scenario"])
    return {scenario: SERIES[i % len(SERIES)] for i, scenario in enumerate(scenarios)}


def _head_height(series: Mapping[str, Look]) -> float:
    return 34 + (36 * math.ceil(len(series) / 2) if len(series) > 1 else 0)


def _banded(data: pd.DataFrame) -> bool:
    """Tell whether any difference has a band; with one replicate none has."""
    return bool(data["low"].notna().any())


def _of_both(data: pd.DataFrame) -> bool:
    """Tell whether the bands are of luck and parameters, as with several draws of the parameters, or of luck alone."""
    return bool((data["draws"] > 1).any())


def _head(figure: Figure, series: Mapping[str, Look], titles: Mapping[str, str], lang: str, data: pd.DataFrame) -> None:
    """Write what the band is and, with several scenarios, which line is which."""
    short = "band_short_both" if _of_both(data) else "band_short"
    write(figure, 6, 6, text(f"report.{short if _banded(data) else 'band_none'}", lang), color=GREY)
    if len(series) == 1:
        return
    marks = [
        Line2D([], [], color=colour, linestyle=dash, marker=mark, markersize=5)
        for colour, dash, mark in series.values()
    ]
    whole = figure.get_size_inches()[1] * 96
    figure.legend(
        marks,
        [fold(titles[scenario], 38) for scenario in series],
        loc="upper left",
        bbox_to_anchor=(0, 1 - 28 / whole),
        ncols=2,
        frameon=False,
        fontsize=SMALL,
        borderaxespad=0.3,
    )


@drawn
def differences_figure(data: pd.DataFrame, lang: str, titles: Mapping[str, str]) -> Figure:
    """Draw each difference over the months with its band around it, one panel a measure."""
    measures = list(dict.fromkeys(data["measure"]))
    series = _series(data)
    columns = min(2, len(measures))
    head = _head_height(series)
    panel, wide = 282, WIDTH // columns
    figure = new_figure(head + panel * math.ceil(len(measures) / columns))
    _head(figure, series, titles, lang, data)
    for i, measure in enumerate(measures):
        left, top = wide * (i % columns), head + panel * (i // columns)
        unit = MEASURES[measure].unit
        label = fold(MEASURES[measure].label(lang), 46 if columns == 2 else 90)
        write(figure, left + 6, top + 4, label, fontsize=10, fontweight="bold")
        below = top + 6 + 17 * (1 + label.count("\n"))
        write(figure, left + 6, below, points(measure, lang), color=GREY)
        rows = data[data["measure"] == measure]
        axes = axes_at(figure, left + 52, below + 28, wide - 90, top + panel - 40 - below - 28)
        for scenario, (colour, dash, mark) in series.items():
            of = rows[rows["scenario"] == scenario].sort_values("month")
            x = [month_number(month) for month in of["month"]]
            low, mid, high = (SCALE.get(unit, 1.0) * of[name].to_numpy() for name in ("low", "estimate", "high"))
            axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
            if len(of) == 1:
                axes.plot([x[0], x[0]], [low[0], high[0]], color=colour, linewidth=1.6)
            axes.plot(x, mid, color=colour, linestyle=dash, marker=mark, markersize=4.5, linewidth=2, clip_on=False)
        axes.axhline(0, color=INK, linewidth=1)
        axes.margins(y=0.12)
        if not rows["estimate"].any():
            axes.set_ylim(-1, 1)
        month_axis(axes, data["month"], lang, 8 if columns == 1 else 4)
        value_axis(axes, lang)
        axes.grid(axis="y", color=RULE, linewidth=0.7)
        axes.set_axisbelow(True)
    return figure


def differences_alt(data: pd.DataFrame, lang: str, titles: Mapping[str, str]) -> str:
    """Say the difference and its band at the last month of every measure."""
    said = [text("report.differences_alt_both" if _of_both(data) else "report.differences_alt", lang)]
    for (measure, scenario), rows in data.groupby(["measure", "scenario"], sort=False):
        last = records(rows[rows["month"] == rows["month"].max()])[0]
        said.append(_difference_words(last, str(measure), lang, quoted(titles[str(scenario)], lang)))
    return say(said)


def _difference_words(row: Row, measure: str, lang: str, who: str) -> str:
    unit = MEASURES[measure].unit
    said = {
        "measure": MEASURES[measure].label(lang),
        "who": who,
        "month": month_name(row["month"], lang),
        "estimate": change(row["estimate"], unit, lang),
        "points": points(measure, lang),
    }
    if math.isnan(row["low"]):
        return text("report.difference_alt_row_single", lang, **said)
    band = {name: change(row[name], unit, lang) for name in ("low", "high")}
    return text("report.difference_alt_row", lang, **said, **band)


def forest_data(differences: pd.DataFrame) -> pd.DataFrame:
    """Return the differences of the headline measures at their last month, for all and for every group."""
    chosen = headline_measures(differences)
    rows = differences[differences["measure"].isin(chosen) & differences["estimate"].notna()]
    rows = rows[rows["month"] == rows.groupby("measure")["month"].transform("max")]
    kept = ["scenario", "against", "measure", "month", "group_by", "group", "estimate", "se", "low", "high"]
    kept += ["replicates", "draws"]
    order = rows["measure"].map(chosen.index)
    return rows.assign(order=order).sort_values("order", kind="stable")[kept].reset_index(drop=True)


@drawn
def forest_figure(data: pd.DataFrame, lang: str, titles: Mapping[str, str]) -> Figure:
    """Draw a forest plot: one row a group, one column a measure, bars for the band."""
    measures = list(dict.fromkeys(data["measure"]))
    series = _series(data)
    lines: list[tuple[str, str]] = []
    for group_by, group in dict.fromkeys(zip(data["group_by"], data["group"], strict=True)):
        if group_by not in ("all", *(by for by, _ in lines)):
            lines.append((group_by, ""))
        lines.append((group_by, group))
    each = 22 + 8 * (len(series) - 1)
    several = len(series) > 1
    names = [group_label(by, group, lang, several) if group else text(f"report.by_{by}", lang) for by, group in lines]
    left = extent(figure := new_figure(100), names, SMALL + 0.5) + 30
    wide = (WIDTH - left) / len(measures)
    labels = [
        fold(f"{MEASURES[str(measure)].label(lang)}, {month_name(at, lang)}", max(12, int(wide / 8.2)))
        for measure, at in data.groupby("measure", sort=False)["month"].first().items()
    ]
    head = _head_height(series)
    title = 16 * (1 + max(label.count("\n") for label in labels)) + 26
    figure = new_figure(head + title + each * len(lines) + 34)
    _head(figure, series, titles, lang, data)
    for (by, group), name, i in zip(lines, names, range(len(lines)), strict=True):
        heading = not group or by == "all"
        write(
            figure,
            8 if heading else 22,
            head + title + each * (i + 0.5),
            name,
            va="center",
            fontweight="bold" if heading else "normal",
        )
    for column, (measure, label) in enumerate(zip(measures, labels, strict=True)):
        unit = MEASURES[measure].unit
        at = left + wide * column
        write(figure, at + 12, head, label, fontweight="bold")
        write(figure, at + 12, head + 16 * (1 + label.count("\n")), points(measure, lang), color=GREY)
        axes = axes_at(figure, at + 12, head + title, wide - 30, each * len(lines))
        axes.set_ylim(len(lines), 0)
        axes.axvline(0, color=INK, linewidth=1)
        rows = data[data["measure"] == measure]
        for shift, (scenario, (colour, _, mark)) in enumerate(series.items()):
            of = {(row["group_by"], row["group"]): row for row in records(rows[rows["scenario"] == scenario])}
            for i, line in enumerate(lines):
                if line in of:
                    scale = SCALE.get(unit, 1.0)
                    low, mid, high = (scale * of[line][name] for name in ("low", "estimate", "high"))
                    y = i + 0.5 + (shift - (len(series) - 1) / 2) * 9 / each
                    axes.plot([low, high], [y, y], color=colour, linewidth=2.4, alpha=0.55, solid_capstyle="butt")
                    axes.plot([mid], [y], color=colour, marker=mark, markersize=5.5, linestyle="none")
        for i in range(len(lines)):
            axes.axhline(i, color=RULE, linewidth=0.6, zorder=0)
        axes.margins(x=0.08)
        if not rows["estimate"].any():
            axes.set_xlim(-1, 1)
        axes.spines["left"].set_visible(False)
        axes.set_yticks([])
        value_axis(axes, lang, horizontal=True, most=min(8, max(2, int(wide / 50))))
    return figure


def forest_alt(data: pd.DataFrame, lang: str, titles: Mapping[str, str]) -> str:
    """Say, for every measure, the difference for all and the groups with the smallest and the largest."""
    said = [text("report.forest_alt", lang)]
    several = data["scenario"].nunique() > 1
    for (measure, scenario), rows in data.groupby(["measure", "scenario"], sort=False):
        everybody, groups = rows[rows["group_by"] == "all"], rows[rows["group_by"] != "all"]
        who = quoted(titles[str(scenario)], lang)
        said += [_difference_words(row, str(measure), lang, who) for row in records(everybody)]
        if groups.empty:
            continue
        ordered = records(groups.sort_values("estimate", kind="stable"))
        lowest, highest = ordered[0], ordered[-1]
        unit = MEASURES[str(measure)].unit
        said.append(
            text(
                "report.forest_alt_range",
                lang,
                lowest=group_label(lowest["group_by"], lowest["group"], lang, several),
                low=change(lowest["estimate"], unit, lang),
                highest=group_label(highest["group_by"], highest["group"], lang, several),
                high=change(highest["estimate"], unit, lang),
            )
        )
    return say(said)

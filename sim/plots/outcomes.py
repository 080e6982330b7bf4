"""What the residents do, month by month, and where the cohorts of 2011 go."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path as Outline
from matplotlib.ticker import FixedLocator

from ..locale import month_name, number, percent, text
from ..measures import COHORTS, MEASURES
from ..scenario import month_number
from ..states import STATES
from .labels import quoted
from .style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    SMALL,
    VERMILLION,
    WIDTH,
    Numbers,
    axes_at,
    drawn,
    end_labels,
    extent,
    month_axis,
    new_figure,
    say,
    write,
)

PARTS: Final = {
    "employed": (BLUE, ""),
    "in_education": (SKY, "///"),
    "self_supporting": (GREEN, ""),
    "job_ready": (ORANGE, "\\\\\\"),
    "activity_ready": (VERMILLION, ""),
    "other_benefit": (PURPLE, "..."),
    "disability_pension": ("#6b3a5b", ""),
    "rest": ("#8a9499", "xx"),
}
"""Colour and hatch of every part of the area chart, from the bottom; neighbours differ in both."""


def part_label(part: str, lang: str) -> str:
    """Return the name of a part of the area chart."""
    if part in ("other_benefit", "rest"):
        return text(f"report.part_{part}", lang)
    state = next(state for state in STATES if state.key == part)
    return state.label_da if lang == "da" else state.label_en


def states_data(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Return scenario, month, part, share: the mean over draws and replicates, parts adding up to 1.

    Only measures with the denominator of ``employed`` are stacked. Pension is taken out of the other
    benefits, and ``rest`` is whatever the measures leave.
    """
    known = set(outcomes["measure"].unique())
    keys = [
        key for key in PARTS if key in known and MEASURES[key].population("en") == MEASURES["employed"].population("en")
    ]
    rows = outcomes[(outcomes["group_by"] == "all") & outcomes["measure"].isin(keys)]
    wide = rows.pivot_table(index=["scenario", "month"], columns="measure", values="value", sort=False)[keys]
    if {"other_benefit", "disability_pension"} <= set(keys):
        wide["other_benefit"] -= wide["disability_pension"]
    wide["rest"] = (1 - wide.sum(axis=1)).round(12)
    if wide["rest"].max() < 0.0005:
        wide = wide.drop(columns="rest")
    long = wide.reset_index().melt(["scenario", "month"], var_name="part", value_name="share", ignore_index=False)
    return long.sort_index(kind="stable", ignore_index=True)


@drawn
def states_figure(data: pd.DataFrame, lang: str, titles: Mapping[str, str]) -> Figure:
    """Draw the shares as stacked areas, one panel a scenario, with every part named at its right end."""
    scenarios = list(dict.fromkeys(data["scenario"]))
    panel, high = 336, 250
    figure = new_figure(panel * len(scenarios))
    parts = [part for part in PARTS if part in set(data["part"])]
    room = extent(figure, [f"{percent(0.888, lang)}  {part_label(part, lang)}" for part in parts]) + 34
    for row, scenario in enumerate(scenarios):
        wide = data[data["scenario"] == scenario].pivot(index="month", columns="part", values="share")[parts]
        axes = axes_at(figure, 56, row * panel + 40, WIDTH - 56 - room, high)
        write(figure, 6, row * panel + 6, titles[scenario], fontsize=11, fontweight="bold")
        x = [month_number(month) for month in wide.index]
        edges = np.vstack([np.zeros(len(wide)), 100 * wide.to_numpy().cumsum(axis=1).T])
        ends = []
        for part, below, above in zip(parts, edges[:-1], edges[1:], strict=True):
            colour, hatch = PARTS[part]
            axes.fill_between(x, below, above, facecolor=colour, edgecolor="white", hatch=hatch, linewidth=0)
            words = f"{percent(wide[part].iloc[-1], lang)}  {part_label(part, lang)}"
            ends.append(((below[-1] + above[-1]) / 2, words, colour))
        thick = np.diff(edges, axis=0) > 1.2
        for edge, visible in zip(edges[1:-1], thick[:-1] & thick[1:], strict=True):
            axes.plot(x, np.where(visible, edge, np.nan), color="white", linewidth=1.3)
        axes.set_ylim(0, 100)
        axes.yaxis.set_major_locator(FixedLocator([0, 25, 50, 75, 100]))
        axes.yaxis.set_major_formatter(Numbers(lang, " %"))
        axes.tick_params(labelsize=SMALL, length=3)
        month_axis(axes, wide.index, lang, 7)
        end_labels(axes, ends)
    return figure


def states_alt(data: pd.DataFrame, lang: str, titles: Mapping[str, str]) -> str:
    """Say the first and the last share of every part."""
    said = [text("report.states_alt", lang)]
    for scenario, rows in data.groupby("scenario", sort=False):
        first, last = rows["month"].min(), rows["month"].max()
        at = rows.set_index(["month", "part"])["share"]
        changes = [
            text(
                "report.states_alt_part",
                lang,
                part=part_label(part, lang),
                first=percent(at[first, part], lang),
                last=percent(at[last, part], lang),
            )
            for part in dict.fromkeys(rows["part"])
        ]
        said.append(
            text(
                "report.states_alt_scenario",
                lang,
                scenario=quoted(titles[str(scenario)], lang),
                first=month_name(first, lang),
                last=month_name(last, lang),
                parts="; ".join(changes),
            )
        )
    return say(said)


GROUPS: Final = {
    "job_ready": ORANGE,
    "activity_ready": VERMILLION,
    "no_benefit": GREEN,
    "other_benefit": PURPLE,
    "gone": "#747f84",
}
"""Colour of every benefit group, in the order of the nodes from the top."""


def flows_data(flows: pd.DataFrame) -> pd.DataFrame:
    """Return the flows that carry anybody, with ``share`` of the cohort."""
    rows = flows[flows["persons"] > 0].copy()
    rows["share"] = rows["persons"] / rows.groupby(["scenario", "cohort"])["persons"].transform("sum")
    order = {"scenario": list(dict.fromkeys(rows["scenario"])), "cohort": COHORTS}
    return rows.sort_values(
        list(order),
        key=lambda column: column.map(order[str(column.name)].index),
        kind="stable",
        ignore_index=True,
    )


def _nodes(rows: pd.DataFrame, step: int) -> pd.Series:
    shares = rows.groupby(f"group_{step}")["share"].sum()
    return shares.reindex([group for group in GROUPS if group in shares.index])


def _ribbon(left: float, top: float, right: float, end: float, thick: float) -> Outline:
    """Return the outline of a band of ``thick`` pixels from (left, top) to (right, end)."""
    bend = (left + right) / 2
    corners = [
        (left, top),
        (bend, top),
        (bend, end),
        (right, end),
        (right, end + thick),
        (bend, end + thick),
        (bend, top + thick),
        (left, top + thick),
        (left, top),
    ]
    codes = [Outline.MOVETO, *[Outline.CURVE4] * 3, Outline.LINETO, *[Outline.CURVE4] * 3, Outline.CLOSEPOLY]
    return Outline(corners, codes)


_TALL: Final = 190
"""Height in pixels of a whole cohort."""


def _slots(shares: pd.Series) -> list[float]:
    """Return the height each node takes: its own, or that of its label, and a gap."""
    return [max(share * _TALL, 19) + 6 for share in shares]


@drawn
def flows_figure(data: pd.DataFrame, lang: str) -> Figure:
    """Draw an alluvial diagram of one scenario, one panel a cohort; a band has its middle group's colour."""
    cohorts = {cohort: data[data["cohort"] == cohort] for cohort in dict.fromkeys(data["cohort"])}
    head = 78
    room = max(sum(_slots(_nodes(rows, step))) for rows in cohorts.values() for step in range(3))
    panel = head + room + 16
    figure = new_figure(panel * len(cohorts))
    left, right = (
        extent(figure, [_node_label(group, 1, lang) for group in set(data[f"group_{step}"])]) for step in (0, 2)
    )
    columns = (left + 18, (left - right + WIDTH) / 2 - 7, WIDTH - right - 42)
    for row, (cohort, rows) in enumerate(cohorts.items()):
        axes = axes_at(figure, 0, row * panel, WIDTH, panel)
        axes.set(xlim=(0, WIDTH), ylim=(panel, 0))
        axes.axis("off")
        title = text(f"report.group_cohort_{cohort}", lang)
        axes.text(6, 8, title, va="top", fontsize=11, fontweight="bold")
        size = text("report.path_size", lang, persons=number(rows["persons"].sum(), lang))
        axes.text(6, 29, size, va="top", color=GREY)
        tops = []
        for step, x in enumerate(columns):
            axes.text(x + 7, 64, month_name(rows[f"month_{step}"].iloc[0], lang), ha="center", color=GREY)
            tops.append(_draw_nodes(axes, _nodes(rows, step), x, head + room / 2, step == 0, lang))
        for step in (0, 1):
            pair = rows.groupby([f"group_{step}", f"group_{step + 1}"])["share"].sum()
            _draw_bands(axes, pair, columns[step : step + 2], tops[step : step + 2], middle=1 - step)
    return figure


def _node_label(group: str, share: float, lang: str) -> str:
    return f"{percent(share, lang)}  {text(f'report.path_{group}', lang)}"


def _draw_nodes(axes: Axes, shares: pd.Series, x: float, middle: float, first: bool, lang: str) -> dict[str, float]:
    """Draw one column of nodes around ``middle`` with their labels; return the top of every node."""
    slots = _slots(shares)
    y = middle - sum(slots) / 2
    tops = {}
    paper = {"facecolor": "white", "alpha": 0.86, "edgecolor": "none", "pad": 1.5}
    for group, share, slot in zip(map(str, shares.index), shares, slots, strict=True):
        tops[group] = y + (slot - share * _TALL) / 2
        axes.add_patch(Rectangle((x, tops[group]), 14, share * _TALL, color=GROUPS[group], lw=0, zorder=3))
        at, side = (x - 8, "right") if first else (x + 22, "left")
        words = _node_label(group, share, lang)
        axes.text(at, y + slot / 2, words, ha=side, va="center", bbox=paper, zorder=4)
        y += slot
    return tops


def _draw_bands(
    axes: Axes, pair: pd.Series, columns: Sequence[float], tops: Sequence[Mapping[str, float]], middle: int
) -> None:
    """Draw the bands between two columns of nodes; ``middle`` says which of the two gives the colour."""
    leaving, arriving = dict(tops[0]), dict(tops[1])
    for ends in itertools.product(GROUPS, GROUPS):
        thick = float(pair.get(ends, 0.0)) * _TALL
        if thick:
            source, target = ends
            band = _ribbon(columns[0] + 14, leaving[source], columns[1], arriving[target], thick)
            colour = GROUPS[ends[middle]]
            edge = "white" if thick > 2 else colour
            axes.add_patch(PathPatch(band, facecolor=colour, alpha=0.42, edgecolor=edge, lw=0.5))
            leaving[source] += thick
            arriving[target] += thick


def flows_alt(data: pd.DataFrame, lang: str) -> str:
    """Say the shares of every group at the start, in the middle and at the end."""
    said = [text("report.flows_alt", lang)]
    for cohort, rows in data.groupby("cohort", sort=False):
        steps = [
            f"{month_name(rows[f'month_{step}'].iloc[0], lang)}: "
            + ", ".join(
                f"{percent(share, lang)} {text(f'report.path_{group}', lang)}"
                for group, share in _nodes(rows, step).items()
            )
            for step in range(3)
        ]
        said.append(f"{text(f'report.group_cohort_{cohort}', lang)}: {'; '.join(steps)}.")
    return say(said)

"""Shares that were held out beside what each forecast said of them, and the scores of the forecasts."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FixedLocator

from ..locale import number, percent, text
from ..measures import MEASURES
from .labels import group_label, records
from .structures import structure_label
from .style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    RULE,
    SMALL,
    VERMILLION,
    WIDTH,
    Numbers,
    axes_at,
    drawn,
    extent,
    fold,
    legend,
    new_figure,
    value_axis,
    write,
)

_LOOKS: Final = {
    "history": (BLUE, "o"),
    "history_stayers": (GREEN, "^"),
    "calendar": (PURPLE, "D"),
    "homogeneous": (VERMILLION, "s"),
    "no_change": (ORANGE, "X"),
}
"""Colour and marker of each forecast, in the order drawn."""
_LINE: Final = 13
"""Pixels of a forecast in the row of a share."""
_ROW: Final = 34
"""Pixels of a forecast in the figure of scores."""


def forecast_label(forecast: str, lang: str) -> str:
    """Return the name of a forecast: a structure, or that nothing changes."""
    return text("report.holdouts_no_change", lang) if forecast == "no_change" else structure_label(forecast, lang)


def _measure(name: str, lang: str) -> str:
    return MEASURES[name].label(lang)


@drawn
def holdouts_figure(cells: pd.DataFrame, lang: str) -> Figure:
    """Draw a row a share: its printed interval as a bar, and 50 and 90 % of what each forecast expects.

    ``cells`` are those of one part of a validation: forecast, group, measure, low, high, predicted, low_50, high_50,
    low_90 and high_90.
    """
    shown = [name for name in _LOOKS if name in set(cells["forecast"])]
    groups = list(dict.fromkeys(cells["group"]))
    rows = [
        (group, measure) for group in groups for measure in dict.fromkeys(cells.loc[cells["group"] == group, "measure"])
    ]
    tall = _LINE * len(shown) + 14
    labels = {row: fold(_measure(row[1], lang), 30) for row in rows}
    left = extent(Figure(), labels.values()) + 26
    head, title, foot, right = 70, 28, 46, 84
    figure = new_figure(head + title * len(groups) + tall * len(rows) + foot)
    highest = 100 * cells[["high", "high_90", "predicted"]].max().max()
    y = float(head)
    for group in groups:
        mine = [row for row in rows if row[0] == group]
        write(figure, 6, y + 6, group_label("cohort", group, lang), fontsize=10, fontweight="bold")
        y += title
        axes = axes_at(figure, left, y, WIDTH - left - right, tall * len(mine))
        axes.set_ylim(tall * len(mine), 0)
        axes.set_xlim(0, 1.03 * highest)
        for at, row in enumerate(mine):
            top = tall * at
            axes.axhline(top, color=RULE, linewidth=0.6, zorder=0)
            write(figure, 8, y + top + tall / 2, labels[row], va="center")
            mine_here = records(cells[(cells["group"] == group) & (cells["measure"] == row[1])])
            found = {one["forecast"]: one for one in mine_here}
            first = mine_here[0]
            low, width = 100 * first["low"], 100 * (first["high"] - first["low"])
            axes.add_patch(Rectangle((low, top + 3), width, tall - 6, facecolor="#c9d1d5", edgecolor="none", zorder=1))
            printed = percent(first["published"], lang, 0)
            write(figure, WIDTH - 8, y + top + tall / 2, printed, va="center", ha="right")
            for line, name in enumerate(shown):
                one, (colour, marker) = found[name], _LOOKS[name]
                here = top + 7 + _LINE * (line + 0.5)
                for level, thick in ((90, 1.2), (50, 4.0)):
                    ends = [100 * one[f"{end}_{level}"] for end in ("low", "high")]
                    axes.plot(ends, [here, here], color=colour, linewidth=thick, solid_capstyle="butt")
                axes.plot([100 * one["predicted"]], [here], color=colour, marker=marker, markersize=5, mec="white")
        axes.spines["left"].set_visible(False)
        axes.set_yticks([])
        value_axis(axes, lang, " %", horizontal=True, most=8)
        last = group == groups[-1]
        axes.tick_params(labelbottom=last, length=3 if last else 0)
        y += tall * len(mine)
    write(figure, WIDTH - 8, head + 6, text("report.published", lang), ha="right", color=GREY)
    marks: list[Any] = [Patch(facecolor="#c9d1d5")]
    marks += [Line2D([], [], color=_LOOKS[n][0], marker=_LOOKS[n][1], markersize=5, linewidth=3) for n in shown]
    words = [text("report.holdouts_bar", lang), *(forecast_label(name, lang) for name in shown)]
    legend(figure, marks, words, 3)
    write(figure, left, head - 26, text("report.holdouts_intervals", lang), color=GREY)
    return figure


@drawn
def scores_figure(scores: pd.DataFrame, lang: str) -> Figure:
    """Draw a row a forecast: energy score, how far its log score is behind the best, and the coverage of its intervals.

    ``scores`` are those of one part of a validation: forecast, energy_score, log_score, coverage_50 and coverage_90.
    """
    table = {row["forecast"]: row for row in records(scores)}
    shown = [name for name in _LOOKS if name in table]
    names = {name: fold(forecast_label(name, lang), 22) for name in shown}
    left = extent(Figure(), names.values()) + 24
    head, foot, gap = 62, 46, 64
    figure = new_figure(head + _ROW * len(shown) + foot)
    wide = (WIDTH - left - 2 * gap - 30) / 3
    panels = [axes_at(figure, left + i * (wide + gap), head, wide, _ROW * len(shown)) for i in range(3)]
    best = max(row["log_score"] for row in table.values())
    behind = {name: best - row["log_score"] for name, row in table.items()}
    furthest = max(4 * max(behind.values()), 2)
    for at, name in enumerate(shown):
        y, (colour, marker) = _ROW * (at + 0.5), _LOOKS[name]
        write(figure, 8, head + y, names[name], va="center")
        for axes, value, digits in ((panels[0], table[name]["energy_score"], 1), (panels[1], behind[name], 1)):
            axes.barh([y], [value], height=14, color=colour)
            words = number(value, lang, digits)
            axes.annotate(words, (value, y), (5, 0), textcoords="offset points", va="center", fontsize=SMALL)
        for level, size, face in ((50, 6.5, "white"), (90, 7.5, colour)):
            share = 100 * table[name][f"coverage_{level}"]
            look: dict[str, Any] = {
                "markersize": size,
                "markeredgewidth": 1.6,
                "zorder": 4 if level == 50 else 3,
                "clip_on": False,
            }
            panels[2].plot([share], [y], color=colour, marker=marker, markerfacecolor=face, **look)
    for axes, key in zip(panels, ("energy", "log", "coverage"), strict=True):
        axes.set_ylim(_ROW * len(shown), 0)
        axes.set_yticks([])
        write(figure, left + panels.index(axes) * (wide + gap), 8, text(f"report.holdouts_{key}", lang), color=INK)
        axes.tick_params(labelsize=SMALL, length=3)
    panels[0].set_xlim(0, 1.3 * max(row["energy_score"] for row in table.values()))
    value_axis(panels[0], lang, horizontal=True, most=4)
    panels[1].set_xscale("symlog", linthresh=1)
    panels[1].set_xlim(0, furthest)
    ticks = [tick for tick in (0, 1, 10, 100, 1000, 10000) if tick <= furthest]
    panels[1].xaxis.set_major_locator(FixedLocator(ticks))
    panels[1].xaxis.set_minor_locator(FixedLocator([]))
    panels[1].set_xticklabels([number(tick, lang) for tick in ticks], fontsize=SMALL)
    for level in (50, 90):
        panels[2].axvline(level, color=GREY, linewidth=0.9, linestyle="--", zorder=0)
    panels[2].set_xlim(-4, 104)
    panels[2].xaxis.set_major_locator(FixedLocator([0, 50, 90]))
    panels[2].xaxis.set_major_formatter(Numbers(lang, " %"))
    return figure

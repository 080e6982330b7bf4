"""The published shares of the cohorts beside the simulated."""

from __future__ import annotations

import math
from typing import Any, Final

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from ..locale import percent, text
from .labels import Row, records
from .style import (
    BLUE,
    GREY,
    RULE,
    VERMILLION,
    WIDTH,
    axes_at,
    drawn,
    extent,
    fold,
    legend,
    new_figure,
    value_axis,
    write,
)

_SURE_ENOUGH: Final = 0.005
"""Computing error below which a simulated share can be held against one printed in whole per cents."""


def observed_data(observed: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the first scenario, reading a before b, with ``miss``: simulated minus published.

    ``scored`` are those of reading a, and only when all of them are computed well enough to be judged.
    """
    rows = observed[observed["scenario"] == observed["scenario"].iloc[0]].sort_values("reading", kind="stable")
    first = rows["reading"] == "a"
    scored = first & bool((rows.loc[first, "se"] < _SURE_ENOUGH).all())
    return rows.assign(miss=rows["simulated"] - rows["published"], scored=scored).reset_index(drop=True)


def published(row: Row, lang: str) -> str:
    """Write a published share as it was printed: in whole per cents if it is one."""
    return percent(
        row["published"],
        lang,
        0 if math.isclose(100 * row["published"], round(100 * row["published"])) else 1,
    )


_DOTS: Final = {
    "inside": (BLUE, BLUE),
    "outside": (VERMILLION, "white"),
    "alone": (BLUE, BLUE),
    "other": (GREY, "white"),
}
"""Colour and face of the dot of a simulated share, by what can be said of it."""


def _judged(row: Row) -> str:
    if row["scored"]:
        return "inside" if row["inside"] else "outside"
    return "alone" if row["reading"] == "a" else "other"


@drawn
def observed_figure(data: pd.DataFrame, lang: str) -> Figure:
    """Draw one row a target: a bar for the published number, a dot with its spread for the simulated."""
    labels = [fold(label, 52) for label in data[f"label_{lang}"]]
    heights = [14 + 15 * (1 + label.count("\n")) for label in labels]
    head, foot = 66, 40
    figure = new_figure(head + sum(heights) + foot)
    left = max(extent(figure, labels) + 24, 160)
    axes = axes_at(figure, left, head, WIDTH - left - 170, sum(heights))
    axes.set_ylim(sum(heights), 0)
    look: dict[str, Any] = {"marker": "o", "markersize": 6.5, "markeredgewidth": 1.6}
    top = 0.0
    for row, label, height in zip(records(data), labels, heights, strict=True):
        y = top + height / 2
        colour, face = _DOTS[_judged(row)]
        low, high = 100 * row["low"], 100 * row["high"]
        axes.add_patch(Rectangle((low, y - 8), high - low, 16, facecolor="#b9c4c9", edgecolor="#8b989e", lw=0.8))
        axes.plot([100 * row["sim_low"], 100 * row["sim_high"]], [y, y], color=colour, linewidth=1.6)
        axes.plot([100 * row["simulated"]], [y], color=colour, markerfacecolor=face, **look)
        axes.axhline(top, color=RULE, linewidth=0.6, zorder=0)
        write(figure, 6, head + y, label, va="center")
        write(figure, WIDTH - 92, head + y, published(row, lang), va="center", ha="right")
        write(figure, WIDTH - 6, head + y, percent(row["simulated"], lang), va="center", ha="right")
        top += height
    write(figure, WIDTH - 92, head - 20, text("report.published", lang), ha="right", color=GREY)
    write(figure, WIDTH - 6, head - 20, text("report.simulated", lang), ha="right", color=GREY)
    axes.set_xlim(0, 103 * data[["sim_high", "simulated", "high"]].max().max())
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])
    value_axis(axes, lang, " %", horizontal=True, most=6)
    keys = [key for key in _DOTS if key in set(map(_judged, records(data)))]
    dots = [Line2D([], [], color=_DOTS[key][0], markerfacecolor=_DOTS[key][1], linewidth=1.6, **look) for key in keys]
    legend(
        figure,
        [Patch(facecolor="#b9c4c9", edgecolor="#8b989e"), *dots],
        [text(f"report.observed_{key}", lang) for key in ("bar", *keys)],
        3 if len(keys) < 3 else 2,
    )
    return figure


def observed_alt(data: pd.DataFrame, lang: str) -> str:
    """Say how many targets are met, when that can be judged, and which one is missed by most."""
    first = data[data["reading"] == "a"]
    worst = max(records(first), key=lambda row: abs(row["miss"]))
    said = text("report.observed_alt_hits", lang, inside=int(first["inside"].sum())) if first["scored"].any() else ""
    return text(
        "report.observed_alt",
        lang,
        targets=len(first),
        hits=f" {said}" if said else "",
        worst=worst[f"label_{lang}"],
        published=published(worst, lang),
        simulated=percent(worst["simulated"], lang),
    )

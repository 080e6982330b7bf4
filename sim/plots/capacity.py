"""What the places of a course can take in by how long people stay, and where that meets what is wanted."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from ..capacity import MONTHS, VARIATIONS, longest_mean_stay, of_source_001, sweep
from ..locale import number, text
from .style import (
    GREY,
    INK,
    RULE,
    SERIES,
    SMALL,
    WIDTH,
    Numbers,
    axes_at,
    drawn,
    end_labels,
    extent,
    new_figure,
    say,
    value_axis,
    write,
)

_STAYS: Final = (6.5, 20.0)
"""Mean stays drawn, in months."""
_SIDES: Final = (("right", -4), ("center", 0), ("left", 4))
"""Where the months at which a line meets what is wanted stand beside it, the shortest stay first: side and pixels."""


def capacity_data(
    places: float | None = None, wanted: float | None = None, horizon: float = MONTHS
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the lines that are drawn, and where each meets ``wanted`` (columns variation, mean_stay, admissions).

    Without ``places`` and ``wanted`` those of source 001 are taken.
    """
    own = of_source_001()
    places = own[0] if places is None else places
    wanted = own[1] if wanted is None else wanted
    lines = sweep(np.linspace(*_STAYS, 1351), places, horizon)
    meets = [(v, longest_mean_stay(places, horizon, wanted, v), wanted) for v in VARIATIONS]
    return lines, pd.DataFrame(meets, columns=lines.columns)


def _name(variation: float, lang: str) -> str:
    named = {1.0: "memoryless", 0.0: "equal"}.get(variation, "gamma")
    return text(f"report.capacity_{named}", lang, variation=number(variation, lang, 1))


@drawn
def capacity_figure(lines: pd.DataFrame, meets: pd.DataFrame, lang: str, horizon: float = MONTHS) -> Figure:
    """Draw expected admissions by mean stay, one line a variation, with the wanted admissions and where they meet."""
    top, height = 66, 330
    figure = new_figure(top + height + 66)
    wanted = float(meets["admissions"].iloc[0])
    names = {variation: _name(variation, lang) for variation in meets["variation"]}
    room = extent(figure, [f"{number(888.8, lang, 1)}  {name}" for name in names.values()]) + 34
    axes = axes_at(figure, 56, top, WIDTH - 56 - room, height)
    write(
        figure, 6, 6, text("report.capacity_title", lang, months=number(horizon, lang)), fontsize=11, fontweight="bold"
    )
    write(figure, 6, 30, text("report.capacity_axis", lang), color=GREY)
    low, high = lines["mean_stay"].min(), lines["mean_stay"].max()
    axes.set_xlim(low, high)
    axes.set_ylim(0, 1.05 * float(lines["admissions"].max()))
    axes.axhline(wanted, color=INK, linewidth=1.2)
    said = text("report.capacity_wanted", lang, wanted=number(wanted, lang))
    axes.annotate(said, (high, wanted), (-2, 4), textcoords="offset points", ha="right", fontsize=SMALL)
    ends = []
    for (variation, name), (colour, dash, marker) in zip(names.items(), SERIES, strict=False):
        rows = lines[lines["variation"] == variation]
        axes.plot(rows["mean_stay"], rows["admissions"], color=colour, linestyle=dash, linewidth=2)
        at = float(meets.loc[meets["variation"] == variation, "mean_stay"].iloc[0])
        axes.plot([at, at], [0, wanted], color=colour, linewidth=1, linestyle=":")
        axes.plot([at], [wanted], color=colour, marker=marker, markersize=7, markeredgecolor="white", zorder=4)
        last = float(rows["admissions"].iloc[-1])
        ends.append((last, f"{number(last, lang, 1)}  {name}", colour))
    found = sorted(zip(meets["mean_stay"], meets["variation"], strict=True))
    looks = dict(zip(names, SERIES, strict=False))
    for (at, variation), (side, shift) in zip(found, _SIDES, strict=True):
        axes.annotate(
            number(at, lang, 1),
            (at, 0),
            (shift, 6),
            textcoords="offset points",
            fontsize=SMALL,
            fontweight="bold",
            color=looks[variation][0],
            ha=side,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    axes.xaxis.set_major_locator(FixedLocator(list(np.arange(np.ceil(low / 2) * 2, high + 1, 2))))
    axes.xaxis.set_major_formatter(Numbers(lang))
    axes.set_xlabel(text("report.capacity_stay", lang), fontsize=SMALL, color=GREY)
    value_axis(axes, lang)
    axes.grid(axis="y", color=RULE, linewidth=0.7)
    axes.set_axisbelow(True)
    end_labels(axes, ends)
    return figure


def capacity_alt(meets: pd.DataFrame, lang: str, places: float, horizon: float = MONTHS) -> str:
    """Say which mean stay meets the wanted admissions for every variation."""
    wanted = number(float(meets["admissions"].iloc[0]), lang)
    first = text("report.capacity_alt", lang, places=number(places, lang), months=number(horizon, lang), wanted=wanted)
    return say(
        [
            first,
            *(
                text("report.capacity_alt_line", lang, name=_name(variation, lang), months=number(mean, lang, 1))
                for variation, mean in zip(meets["variation"], meets["mean_stay"], strict=True)
            ),
        ]
    )

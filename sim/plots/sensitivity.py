"""The assumed numbers that move the headline, as a tornado: the longest bars on top."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..activities import catalogue
from ..changes import plain
from ..headline import DECISIVE
from ..locale import month_name, text
from ..measures import MEASURES
from .labels import Row, change, points, quoted, records
from .style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    RULE,
    SCALE,
    WIDTH,
    axes_at,
    drawn,
    extent,
    fold,
    legend,
    new_figure,
    say,
    value_axis,
    write,
)

_ENDS: Final = {"low": (BLUE, ""), "high": (ORANGE, "///")}
"""Colour and hatch of the two ends of a range."""


def sensitivity_data(sensitivity: pd.DataFrame) -> pd.DataFrame:
    """Return the numbers that move a headline by more than a tenth of its interval, the largest first."""
    return sensitivity[sensitivity["share_of_interval"] > DECISIVE].reset_index(drop=True)


def assumed_label(row: Row, lang: str) -> str:
    """Return the name of an assumed number, after that of its activity if it belongs to one."""
    activity, _, _ = row["parameter"].rpartition(".")
    label = str(row[f"label_{lang}"])
    return f"{catalogue()[activity].label(lang)}: {label}" if activity else label


def _spoken(row: Row, lang: str) -> str:
    """Return the number's range in words: ``0,3 til 0,9``."""
    return text("report.to", lang, low=plain(row["low"], lang), high=plain(row["high"], lang))


@drawn
def sensitivity_figure(data: pd.DataFrame, lang: str, titles: Mapping[str, str]) -> Figure:
    """Draw how far each end of each number's range moves the headline, one panel a scenario."""
    panels = {scenario: rows for scenario, rows in data.groupby("scenario", sort=False)}
    head, top, foot = 34, 58, 34
    names = {row["parameter"]: fold(assumed_label(row, lang), 44) for row in records(data)}
    tall = {parameter: max(34, 8 + 15 * (1 + name.count("\n"))) for parameter, name in names.items()}
    figure = new_figure(head + sum(top + rows["parameter"].map(tall).sum() + foot for rows in panels.values()))
    ranges = {row["parameter"]: f"{plain(row['value'], lang)} ({_spoken(row, lang)})" for row in records(data)}
    first = extent(figure, names.values()) + 24
    left = first + extent(figure, ranges.values()) + 24
    y = float(head)
    for scenario, rows in panels.items():
        lines = records(rows)
        measure = lines[0]["measure"]
        title = f"{MEASURES[measure].label(lang)}, {month_name(lines[0]['month'], lang)} ({titles[str(scenario)]})"
        write(figure, 6, y, fold(title, 120), fontsize=10, fontweight="bold")
        write(figure, first, y + top - 20, text("report.sensitivity_value", lang), color=GREY)
        write(figure, left, y + top - 20, points(measure, lang), color=GREY)
        whole = sum(tall[row["parameter"]] for row in lines)
        axes = axes_at(figure, left, y + top, WIDTH - left - 24, whole)
        axes.set_ylim(whole, 0)
        scale = SCALE.get(MEASURES[measure].unit, 1.0)
        limit = scale * DECISIVE * (lines[0]["interval_high"] - lines[0]["interval_low"])
        above = 0
        for row in lines:
            middle = above + tall[row["parameter"]] / 2
            for end, (colour, hatch) in _ENDS.items():
                look: dict[str, Any] = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0.4}
                at = middle + (-5 if end == "low" else 5)
                axes.barh(at, scale * row[f"shift_{end}"], height=9, **look)
            write(figure, 6, y + top + middle, names[row["parameter"]], va="center")
            write(figure, first, y + top + middle, ranges[row["parameter"]], va="center")
            axes.axhline(above, color=RULE, linewidth=0.6, zorder=0)
            above += tall[row["parameter"]]
        axes.axvline(0, color=INK, linewidth=1)
        for side in (-limit, limit):
            axes.axvline(side, color=GREY, linewidth=1, linestyle=":")
        axes.margins(x=0.06)
        axes.spines["left"].set_visible(False)
        axes.set_yticks([])
        value_axis(axes, lang, horizontal=True)
        y += top + whole + foot
    legend(
        figure,
        [Patch(facecolor=colour, hatch=hatch, edgecolor="white") for colour, hatch in _ENDS.values()],
        [text(f"report.sensitivity_{end}", lang) for end in _ENDS],
        2,
    )
    return figure


def sensitivity_alt(data: pd.DataFrame, lang: str, titles: Mapping[str, str]) -> str:
    """Say how far both ends of every number's range move the headline."""
    said = [text("report.sensitivity_alt", lang)]
    for scenario, rows in data.groupby("scenario", sort=False):
        measure = rows["measure"].iloc[0]
        unit = MEASURES[measure].unit
        moves = [
            text(
                "report.sensitivity_alt_row",
                lang,
                label=assumed_label(row, lang),
                range=_spoken(row, lang),
                low=change(row["shift_low"], unit, lang),
                high=change(row["shift_high"], unit, lang),
            )
            for row in records(rows)
        ]
        who = quoted(titles[str(scenario)], lang)
        said.append(f"{MEASURES[measure].label(lang)}, {who} ({points(measure, lang)}): {'; '.join(moves)}.")
    return say(said)

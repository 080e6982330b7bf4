"""What luck does and what the parameters leave open, for each structure of the model and for all together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ..headline import told_uncertainty
from ..locale import month_name, text
from ..measures import MEASURES
from ..variance import INTERVALS, POOLED
from .labels import Row, amount, change, points, quoted, records
from .style import (
    BLUE,
    GREY,
    INK,
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

_BARS: Final = {"both": ("#a9cbe0", 13.0), "parameters": (BLUE, 5.0)}
"""Colour and thickness of the bar of each kind of interval."""
_FEW: Final = 5
"""Draws below which the spread over them is too uncertain to be drawn; the table has it."""
_ROW: Final = 30
"""Pixels of a structure."""


def structure_label(structure: str, lang: str) -> str:
    """Return the name of a structure of the model, or of all pooled."""
    return text(f"report.structure_{structure}", lang)


def structures_data(uncertainty: pd.DataFrame, measures: Sequence[str]) -> pd.DataFrame:
    """Return what is drawn: ``measures`` at their last month, pooled and by structure, with the limits drawn."""
    rows = told_uncertainty(uncertainty, measures)
    kept = ["scenario", "of", "measure", "month", "structure", "estimate", "se"]
    kept += [f"{end}_{name}" for name in INTERVALS for end in ("low", "high")]
    return rows[[*kept, "share_parameters", "replicates", "draws"]]


def _valued(row: Row, value: float, lang: str) -> str:
    unit = MEASURES[row["measure"]].unit
    return change(value, unit, lang) if row["of"] == "difference" else amount(value, unit, lang)


def _title(row: Row, lang: str, titles: Mapping[str, str]) -> str:
    return f"{MEASURES[row['measure']].label(lang)}, {month_name(row['month'], lang)} ({titles[row['scenario']]})"


@drawn
def structures_figure(data: pd.DataFrame, lang: str, titles: Mapping[str, str]) -> Figure:
    """Draw a forest: a panel for every measure and scenario, a row for every structure."""
    panels = [records(rows) for _, rows in data.groupby(["measure", "scenario"], sort=False)]
    heads = [fold(_title(rows[0], lang, titles), 110) for rows in panels]
    head, foot = 40, 40
    tops = [44 + 17 * words.count("\n") for words in heads]
    figure = new_figure(head + sum(top + _ROW * len(rows) + foot for top, rows in zip(tops, panels, strict=True)))
    names = {structure: structure_label(structure, lang) for structure in data["structure"]}
    left = extent(figure, names.values()) + 30
    right = 90
    y = float(head)
    for rows, words, top in zip(panels, heads, tops, strict=True):
        measure, of_difference = rows[0]["measure"], rows[0]["of"] == "difference"
        unit = MEASURES[measure].unit
        write(figure, 6, y, words, fontsize=10, fontweight="bold")
        per_cent = unit == "share" and not of_difference
        unit_words = text("report.per_cent", lang) if per_cent else points(measure, lang)
        write(figure, left, y + top - 20, unit_words, color=GREY)
        axes = axes_at(figure, left, y + top, WIDTH - left - right, _ROW * len(rows))
        axes.set_ylim(_ROW * len(rows), 0)
        scale = SCALE.get(unit, 1.0)
        if of_difference:
            axes.axvline(0, color=INK, linewidth=1)
        for i, row in enumerate(rows):
            at = _ROW * (i + 0.5)
            for name, (colour, thick) in _BARS.items():
                if name == "parameters" and row["draws"] < _FEW:
                    continue
                low, high = (scale * row[f"{end}_{name}"] for end in ("low", "high"))
                axes.plot([low, high], [at, at], color=colour, linewidth=0.72 * thick, solid_capstyle="butt")
            pooled = row["structure"] == POOLED
            axes.plot([scale * row["estimate"]], [at], color=INK, marker="D" if pooled else "o", markersize=6)
            weight = "bold" if pooled else "normal"
            write(figure, 8, y + top + at, names[row["structure"]], va="center", fontweight=weight)
            value = _valued(row, row["estimate"], lang)
            write(figure, WIDTH - 8, y + top + at, value, va="center", ha="right", fontweight=weight)
            axes.axhline(_ROW * i, color=RULE, linewidth=0.6, zorder=0)
        ends = scale * np.array([[row["low_both"], row["high_both"], row["estimate"]] for row in rows])
        low, high = np.nanmin(ends), np.nanmax(ends)
        low, high = (min(low, 0.0), max(high, 0.0)) if of_difference else (low, high)
        margin = 0.06 * (high - low) or 1.0
        axes.set_xlim(low - margin, high + margin)
        axes.spines["left"].set_visible(False)
        axes.set_yticks([])
        value_axis(axes, lang, horizontal=True)
        y += top + _ROW * len(rows) + foot
    marks: list[Line2D | Patch] = [Line2D([], [], color=INK, marker="o", markersize=6, linestyle="none")]
    marks += [Patch(facecolor=_BARS[name][0]) for name in ("parameters", "both")]
    legend(figure, marks, [text(f"report.structures_{key}", lang) for key in ("mean", "parameters", "both")], 3)
    return figure


def structures_alt(data: pd.DataFrame, lang: str, titles: Mapping[str, str]) -> str:
    """Say the mean of every structure, and the limits of all together."""
    said = [text("report.structures_alt", lang)]
    for (measure, scenario), rows in data.groupby(["measure", "scenario"], sort=False):
        each = [
            text(
                "report.structures_alt_row",
                lang,
                structure=structure_label(row["structure"], lang),
                estimate=_valued(row, row["estimate"], lang),
                low=_valued(row, row["low_both"], lang),
                high=_valued(row, row["high_both"], lang),
            )
            for row in records(rows)
        ]
        who = quoted(titles[str(scenario)], lang)
        said.append(f"{MEASURES[str(measure)].label(lang)}, {who}: {'; '.join(each)}.")
    return say(said)

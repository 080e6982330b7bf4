"""The virtual study: shares with a leisure job by event year, treated and control, beside the published points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

from ..locale import percent, text
from .labels import records
from .style import BLUE, GREY, RULE, SMALL, VERMILLION, WIDTH, axes_at, drawn, legend, new_figure, value_axis, write

EVENT_YEARS: Final = (-3, -2, -1, 0, 1)
"""Years from the start of the activity, 0 being the year in which it starts."""

_GROUPS: Final = {"control": (BLUE, "o", -0.05), "treated": (VERMILLION, "s", 0.05)}
"""Colour, marker and sideways shift of each group."""


def study_data(
    simulated: Mapping[str, np.ndarray], published: Mapping[str, Sequence[float]], pairs: int
) -> pd.DataFrame:
    """Return group, year, mean, low, high, published, published_low, published_high.

    ``simulated`` holds shares of shape (replicates, 5) by group (control, treated); their limits hold 95 % of studies
    of the simulated size and are NaN for one replicate. The published points have the interval p ± 2 √(p(1−p)/pairs)
    of a study of ``pairs`` pairs.
    """
    parts = []
    for group in _GROUPS:
        shares, points = np.atleast_2d(simulated[group]), np.asarray(published[group], dtype=float)
        several = len(shares) > 1
        low, high = np.quantile(shares, [0.025, 0.975], axis=0) if several else np.full((2, len(points)), np.nan)
        half = 2 * np.sqrt(points * (1 - points) / pairs)
        parts.append(
            pd.DataFrame(
                {
                    "group": group,
                    "year": EVENT_YEARS,
                    "mean": shares.mean(axis=0),
                    "low": low,
                    "high": high,
                    "published": points,
                    "published_low": np.clip(points - half, 0, 1),
                    "published_high": np.clip(points + half, 0, 1),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


@drawn
def study_figure(data: pd.DataFrame, lang: str) -> Figure:
    """Draw a line with its band a group, and the published points with their intervals beside it."""
    head, tall = 84, 300
    figure = new_figure(head + tall + 62)
    axes = axes_at(figure, 56, head, WIDTH - 80, tall)
    handles, words = [], []
    for group, (colour, mark, shift) in _GROUPS.items():
        rows = data[data["group"] == group].sort_values("year")
        x, scaled = rows["year"].to_numpy(), {name: 100 * rows[name].to_numpy() for name in rows.columns[2:]}
        axes.fill_between(x, scaled["low"], scaled["high"], color=colour, alpha=0.18, linewidth=0)
        axes.plot(x, scaled["mean"], color=colour, linewidth=2, linestyle="-" if group == "control" else "--")
        axes.vlines(x + shift, scaled["published_low"], scaled["published_high"], color=colour, linewidth=1.4)
        point: dict[str, Any] = {"marker": mark, "linestyle": "none", "markersize": 6.5, "markerfacecolor": "white"}
        axes.plot(x + shift, scaled["published"], color=colour, markeredgewidth=1.6, **point)
        handles.append(Line2D([], [], color=colour, linewidth=2, linestyle="-" if group == "control" else "--"))
        handles.append(Line2D([], [], color=colour, markeredgewidth=1.6, **point))
        words += [text(f"report.study_{group}_{kind}", lang) for kind in ("simulated", "published")]
    axes.set_xlim(EVENT_YEARS[0] - 0.2, EVENT_YEARS[-1] + 0.2)
    axes.xaxis.set_major_locator(FixedLocator(EVENT_YEARS))
    axes.set_xticklabels([_year(year, lang) for year in EVENT_YEARS], fontsize=SMALL, va="baseline")
    axes.tick_params(axis="x", pad=14)
    axes.set_ylim(0, 100 * max(1.05 * data[["mean", "high", "published_high"]].max().max(), 0.05))
    value_axis(axes, lang, " %")
    axes.grid(axis="y", color=RULE, linewidth=0.7)
    axes.set_axisbelow(True)
    write(figure, 6, head - 24, text("report.study_share", lang), color=GREY)
    write(figure, 56 + (WIDTH - 80) / 2, head + tall + 34, text("report.study_years", lang), ha="center", color=GREY)
    legend(
        figure,
        handles,
        words,
        2,
    )
    return figure


def _year(year: int, lang: str) -> str:
    return text("report.study_year_0", lang) if year == 0 else f"{year:+d}".replace("-", "−")


def study_alt(data: pd.DataFrame, lang: str) -> str:
    """Say the simulated and the published share of both groups in every event year."""
    said = [text("report.study_alt", lang)]
    for group, rows in data.groupby("group", sort=False):
        points = [
            text(
                "report.study_alt_point",
                lang,
                year=_year(row["year"], lang),
                simulated=percent(row["mean"], lang),
                published=percent(row["published"], lang),
            )
            for row in records(rows)
        ]
        said.append(f"{text(f'report.study_{group}', lang)}: {'; '.join(points)}.")
    return " ".join(said)

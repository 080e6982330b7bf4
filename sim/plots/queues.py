"""Places and queue of an activity over the months, and the way from referral to completion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..locale import month_name, number, percent, text
from ..scenario import month_number
from .labels import quoted, records
from .style import (
    BLUE,
    GREY,
    INK,
    RULE,
    VERMILLION,
    WIDTH,
    axes_at,
    drawn,
    end_labels,
    extent,
    month_axis,
    new_figure,
    say,
    value_axis,
    write,
)

_EACH: Final = ["scenario", "activity", "month"]
_LINES: Final = (("places", GREY, ":"), ("enrolled", BLUE, "-"), ("waiting", VERMILLION, "--"))


def queues_data(queues: pd.DataFrame) -> pd.DataFrame:
    """Return the mean places, enrolled and waiting of every scenario, activity and month."""
    names = [name for name, _, _ in _LINES]
    return queues.groupby(_EACH, sort=False)[names].mean().reset_index()


@drawn
def queues_figure(data: pd.DataFrame, lang: str, titles: Mapping[str, str], activities: Mapping[str, str]) -> Figure:
    """Draw places, enrolled and waiting over the months, one panel an activity of a scenario."""
    courses = list(dict.fromkeys(zip(data["scenario"], data["activity"], strict=True)))
    panel = 268
    figure = new_figure(panel * len(courses))
    words = [text(f"report.queue_{name}", lang) for name, _, _ in _LINES]
    room = extent(figure, [f"{number(8888.8, lang, 1)}  {word}" for word in words]) + 34
    for row, (scenario, activity) in enumerate(courses):
        rows = data[(data["scenario"] == scenario) & (data["activity"] == activity)].sort_values("month")
        axes = axes_at(figure, 56, row * panel + 56, WIDTH - 56 - room, panel - 96)
        title = f"{activities[activity]} ({titles[scenario]})"
        write(figure, 6, row * panel + 6, title, fontsize=11, fontweight="bold")
        write(figure, 6, row * panel + 28, text("report.points_persons", lang), color=GREY)
        x = [month_number(month) for month in rows["month"]]
        for name, colour, dash in _LINES:
            axes.plot(x, rows[name], color=colour, linestyle=dash, linewidth=2, clip_on=False)
        axes.set_ylim(0, max(1.0, 1.06 * float(rows[["places", "enrolled", "waiting"]].to_numpy().max())))
        month_axis(axes, rows["month"], lang, 7)
        value_axis(axes, lang)
        axes.grid(axis="y", color=RULE, linewidth=0.7)
        axes.set_axisbelow(True)
        last = rows.iloc[-1]
        ends = [
            (float(last[name]), f"{number(last[name], lang, 1)}  {word}", colour)
            for (name, colour, _), word in zip(_LINES, words, strict=True)
        ]
        end_labels(axes, ends)
    return figure


def queues_alt(data: pd.DataFrame, lang: str, titles: Mapping[str, str], activities: Mapping[str, str]) -> str:
    """Say the highest and the last number of every line."""
    said = [text("report.queues_alt", lang)]
    for (scenario, activity), rows in data.groupby(["scenario", "activity"], sort=False):
        last = max(records(rows), key=lambda row: row["month"])
        longest = max(records(rows), key=lambda row: row["waiting"])
        said.append(
            text(
                "report.queues_alt_course",
                lang,
                activity=activities[str(activity)],
                scenario=quoted(titles[str(scenario)], lang),
                month=month_name(last["month"], lang),
                places=number(last["places"], lang, 1),
                enrolled=number(last["enrolled"], lang, 1),
                waiting=number(last["waiting"], lang, 1),
                most=number(longest["waiting"], lang, 1),
                when=month_name(longest["month"], lang),
            )
        )
    return say(said)


# --- from referral to completion ----------------------------------------------------------------------------

FUNNEL: Final = ("referred", "accepted", "started", "completed")
"""The steps of an activity, from the widest; who is referred and does not decline has accepted."""


def funnel_data(queues: pd.DataFrame) -> pd.DataFrame:
    """Return scenario, activity, step, mean, low, high: persons a replicate over the whole run.

    The limits hold 95 % of the replicates (percentiles) and are NaN for a single one. Who is still enrolled at the end
    has not completed.
    """
    runs = [*_EACH[:2], "draw", "replicate"]
    sums = queues.groupby(runs, sort=False)[["referred", "declined", "started", "completed"]].sum()
    sums["accepted"] = sums["referred"] - sums["declined"]
    long = sums[list(FUNNEL)].melt(var_name="step", value_name="persons", ignore_index=False).reset_index()
    groups = long.groupby([*_EACH[:2], "step"], sort=False)["persons"]
    found = groups.agg(
        mean="mean", low=lambda v: v.quantile(0.025), high=lambda v: v.quantile(0.975), replicates="size"
    ).reset_index()
    found[["low", "high"]] = found[["low", "high"]].where(found["replicates"] > 1)
    courses = list(dict.fromkeys(zip(queues["scenario"], queues["activity"], strict=True)))
    place = [courses.index(course) for course in zip(found["scenario"], found["activity"], strict=True)]
    order = found.assign(place=place, rank=found["step"].map(FUNNEL.index)).sort_values(["place", "rank"]).index
    return found.loc[order].drop(columns="replicates").reset_index(drop=True)


@drawn
def funnel_figure(data: pd.DataFrame, lang: str, titles: Mapping[str, str], activities: Mapping[str, str]) -> Figure:
    """Draw one bar a step with the limits of luck, one panel an activity of a scenario."""
    courses = list(dict.fromkeys(zip(data["scenario"], data["activity"], strict=True)))
    each, top, foot = 34, 52, 38
    panel = top + each * len(FUNNEL) + foot
    figure = new_figure(panel * len(courses))
    names = {step: text(f"report.funnel_{step}", lang) for step in FUNNEL}
    left = extent(figure, names.values()) + 24
    for i, (scenario, activity) in enumerate(courses):
        rows = data[(data["scenario"] == scenario) & (data["activity"] == activity)].set_index("step")
        axes = axes_at(figure, left, i * panel + top, WIDTH - left - 216, each * len(FUNNEL))
        title = f"{activities[activity]} ({titles[scenario]})"
        write(figure, 6, i * panel + 6, title, fontsize=11, fontweight="bold")
        write(figure, left, i * panel + top - 20, text("report.points_persons", lang), color=GREY)
        axes.set_ylim(len(FUNNEL), 0)
        before = None
        for line, step in enumerate(FUNNEL):
            mean, low, high = (float(rows.at[step, name]) for name in ("mean", "low", "high"))
            axes.barh(line + 0.5, mean, height=0.56, color=BLUE)
            axes.plot([low, high], [line + 0.5] * 2, color=INK, linewidth=1.6, marker="|", markersize=7)
            middle = i * panel + top + each * (line + 0.5)
            write(figure, 6, middle, names[step], va="center")
            share = text("report.funnel_share", lang, share=percent(mean / before, lang, 0)) if before else ""
            write(figure, WIDTH - 200, middle, number(mean, lang, 1), va="center", ha="left", fontweight="bold")
            write(figure, WIDTH - 6, middle, share, va="center", ha="right", color=GREY)
            before = mean
        axes.set_xlim(0, max(1.0, 1.03 * float(np.nanmax(rows[["mean", "high"]].to_numpy()))))
        axes.spines["left"].set_visible(False)
        axes.set_yticks([])
        value_axis(axes, lang, horizontal=True)
        axes.grid(axis="x", color=RULE, linewidth=0.7)
        axes.set_axisbelow(True)
    return figure


def funnel_alt(data: pd.DataFrame, lang: str, titles: Mapping[str, str], activities: Mapping[str, str]) -> str:
    """Say the persons of every step."""
    said = [text("report.funnel_alt", lang)]
    for (scenario, activity), rows in data.groupby(["scenario", "activity"], sort=False):
        steps = ", ".join(
            f"{number(row['mean'], lang, 1)} {text('report.funnel_' + row['step'], lang)}" for row in records(rows)
        )
        said.append(f"{activities[str(activity)]} ({quoted(titles[str(scenario)], lang)}): {steps}.")
    return say(said)

"""Who lives in the area at the start: the population pyramid, and the published marginals beside what was made."""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from ..locale import messages, number, percent, text
from ..sources import published_interval, rows
from ..states import ORIGIN_LABELS, SEX_LABELS
from .labels import Row, records
from .style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    RULE,
    SKY,
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

ORIGIN_LOOKS: Final = {"danish": (BLUE, ""), "western": (SKY, "///"), "non_western": (ORANGE, "")}
"""Colour and hatch of every origin, from the middle of the pyramid outwards."""

_BAND: Final = 19
"""Height in pixels of an age band."""


def pyramid_data(pyramid: pd.DataFrame) -> pd.DataFrame:
    """Return age_group, sex, origin, persons from the youngest band up; empty bands above the oldest are left out."""
    bands = list(dict.fromkeys(pyramid["age_group"]))
    peopled = pyramid.groupby("age_group")["persons"].sum()
    last = max((i for i, band in enumerate(bands) if peopled[band] > 0), default=0)
    return pyramid[pyramid["age_group"].isin(bands[: last + 1])].reset_index(drop=True)


def _share(rows: pd.DataFrame, data: pd.DataFrame) -> float:
    return float(rows["persons"].sum() / data["persons"].sum())


@drawn
def pyramid_figure(data: pd.DataFrame, lang: str) -> Figure:
    """Draw women to the left and men to the right of the ages, the origins stacked outwards from the middle."""
    bands = list(dict.fromkeys(data["age_group"]))
    head, foot, middle = 76, 44, 64
    tall = _BAND * len(bands)
    figure = new_figure(head + tall + foot)
    wide = (WIDTH - middle - 48) / 2
    wholes = data.groupby(["age_group", "sex"])["persons"].sum()
    for sex, left in (("women", 24.0), ("men", 24 + wide + middle)):
        mine = data[data["sex"] == sex]
        axes = axes_at(figure, left, head, wide, tall)
        base = np.zeros(len(bands))
        for origin, (colour, hatch) in ORIGIN_LOOKS.items():
            persons = mine[mine["origin"] == origin].set_index("age_group")["persons"].reindex(bands).to_numpy()
            look: dict[str, Any] = {"color": colour, "edgecolor": "white", "hatch": hatch, "linewidth": 0.6}
            axes.barh(range(len(bands)), persons, height=0.9, left=base, **look)
            base = base + persons
        limit = 1.04 * max(float(wholes.max()), 1.0)
        axes.set_xlim((limit, 0) if sex == "women" else (0, limit))
        axes.set_ylim(-0.5, len(bands) - 0.5)
        axes.spines["left"].set_visible(False)
        axes.set_yticks([])
        value_axis(axes, lang, horizontal=True)
        axes.grid(axis="x", color=RULE, linewidth=0.7)
        axes.set_axisbelow(True)
        words = f"{SEX_LABELS[sex][lang != 'da']}  {percent(_share(mine, data), lang)}"
        at, side = (left + wide, "right") if sex == "women" else (left, "left")
        write(figure, at, head - 26, words, ha=side, fontsize=10, fontweight="bold")
    for i, band in enumerate(bands):
        y = head + tall - _BAND * (i + 0.5)
        write(figure, 24 + wide + middle / 2, y, band.replace("-", "–"), ha="center", va="center")
    write(figure, 24 + wide + middle / 2, head - 24, text("report.pyramid_age", lang), ha="center", color=GREY)
    write(figure, WIDTH - 24, head + tall + 26, text("report.points_persons", lang), ha="right", color=GREY)
    legend(
        figure,
        [Patch(facecolor=colour, edgecolor="white", hatch=hatch) for colour, hatch in ORIGIN_LOOKS.values()],
        [
            f"{ORIGIN_LABELS[origin][lang != 'da']} {percent(_share(data[data['origin'] == origin], data), lang)}"
            for origin in ORIGIN_LOOKS
        ],
        3,
        (0.014, 1),
    )
    return figure


def pyramid_alt(data: pd.DataFrame, lang: str) -> str:
    """Say the shares of women and of each origin, and the largest age band."""
    women = _share(data[data["sex"] == "women"], data)
    origins = ", ".join(
        f"{ORIGIN_LABELS[origin][lang != 'da']} {percent(_share(data[data['origin'] == origin], data), lang)}"
        for origin in ORIGIN_LOOKS
    )
    bands = data.groupby("age_group", sort=False)["persons"].sum()
    return text(
        "report.pyramid_alt",
        lang,
        persons=number(bands.sum(), lang),
        women=percent(women, lang),
        origins=origins,
        largest=str(bands.idxmax()).replace("-", "–"),
        count=number(bands.max(), lang),
    )


# --- published marginals ------------------------------------------------------------------------------------


def _row(target: str) -> Row | None:
    """Return the evidence row a marginal is named by; of one made from several rows, the first with what is made.

    Several rows are written ``a/b`` (share of two counts; ``n:a/b`` those living at home), ``a+b`` (summed shares of
    higher education) or ``a+b+c:sex`` (employment of a sex within the origin's level).
    """
    if target in rows("targets"):
        return rows("targets")[target]
    first, _, sex = target.removeprefix("n:").partition(":")
    row = rows("targets").get(re.split("[/+]", first)[0])
    if row is None:
        return None
    if target.startswith("n:"):
        made = "lives_with_parent"
    elif sex:
        made = "employed_status"
    else:
        made = "resident_age_band" if "/" in target else "education_higher"
    return {**row, "to_state": made, "from_state": "", "sex": sex or row["sex"]}


def _ages(row: Row) -> str:
    first, last = row["age_min"], row["age_max"]
    return first if first == last else f"{first}-{last or '99'}" if first else ""


def _age_rank(ages: str) -> tuple[int, ...]:
    """Return what ages are sorted by: all first, then the youngest, the wider of two bands first."""
    if not ages:
        return (-1,)
    first, _, last = ages.partition("-")
    return int(first), -int(last or first)


def population_data(population: pd.DataFrame) -> pd.DataFrame:
    """Return the marginals with ``ages`` ("" for all), the ``low`` and ``high`` of their rounding and ``within``.

    ``within`` says whether what was made misses the interval of the rounding by no more than the expected error. Rows
    about the same ages and the same state stand together.
    """
    limits = [published_interval(*row) for row in zip(population["target"], population["published"], strict=True)]
    found = [_row(id) for id in population["target"]]
    data = population.assign(
        ages=[_ages(row) if row else "" for row in found],
        what=[row["to_state"] if row else id for row, id in zip(found, population["target"], strict=True)],
        low=[low for low, _ in limits],
        high=[high for _, high in limits],
    )
    miss = np.maximum(data["low"] - data["made"], data["made"] - data["high"])
    data["within"] = miss <= data["expected_error"] + 1e-9
    first = list(dict.fromkeys(data["what"]))
    lines = list(zip(data["ages"], data["what"], strict=True))
    order = sorted(range(len(lines)), key=lambda i: (_age_rank(lines[i][0]), first.index(lines[i][1])))
    return data.iloc[order].drop(columns="what").reset_index(drop=True)


def target_label(id: str, lang: str) -> str:
    """Return what a published marginal is the share of, as ``i beskæftigelse, kvinder, ikke-vestlig oprindelse``.

    A row that the evidence book or the texts do not have is named by its id.
    """
    row = _row(id)
    if row is None or f"to_{row['to_state']}" not in messages("targets"):
        return id.replace("_", " ")
    words = [text(f"targets.to_{row['to_state']}", lang)]
    if row["from_state"]:
        words.append(text("targets.among", lang, group=text(f"targets.from_{row['from_state']}", lang)))
    if row["sex"] in SEX_LABELS and row["to_state"] not in ("man", "woman"):
        words.append(SEX_LABELS[row["sex"]][lang != "da"])
    if row["origin"] in ORIGIN_LABELS or row["origin"] == "danish_western":
        words.append(text(f"targets.origin_{row['origin']}", lang))
    return ", ".join(words)


def ages_heading(ages: str, lang: str) -> str:
    """Return the heading of the marginals of some ages."""
    return text("report.age_group", lang, ages=ages.replace("-", "–")) if ages else text("report.by_all", lang)


_LOOKS: Final = {True: (BLUE, BLUE), False: (VERMILLION, "white")}
"""Colour and face of the dot of a made share, by whether it is as near as it can be expected to be."""


@drawn
def population_figure(data: pd.DataFrame, lang: str) -> Figure:
    """Draw one row a marginal: how far the share made (dot) is from the published one (bar, with its rounding).

    The line through the dot is the expected error.
    """
    lines: list[tuple[float, str, dict[str, Any] | None]] = []
    for ages, of in data.groupby("ages", sort=False):
        lines.append((26, ages_heading(str(ages), lang), None))
        for marginal in records(of):
            label = fold(target_label(marginal["target"], lang), 72)
            lines.append((7 + 15 * (1 + label.count("\n")), label, marginal))
    tall = sum(height for height, _, _ in lines)
    head, foot = 62, 40
    figure = new_figure(head + tall + foot)
    left = max(extent(figure, [label for _, label, _ in lines]) + 30, 160)
    axes = axes_at(figure, left, head, WIDTH - left - 170, tall)
    axes.set_ylim(tall, 0)
    look: dict[str, Any] = {"marker": "o", "markersize": 6, "markeredgewidth": 1.6, "linestyle": "none"}
    top = 0.0
    for height, label, row in lines:
        y = top + height / 2
        write(figure, 6 if row is None else 16, head + y, label, va="center", fontweight="normal" if row else "bold")
        if row is not None:
            low, high, made = (100 * (row[name] - row["published"]) for name in ("low", "high", "made"))
            axes.add_patch(Rectangle((low, y - 7), high - low, 14, facecolor="#b9c4c9", edgecolor="#8b989e", lw=0.8))
            colour, face = _LOOKS[row["within"]]
            error = 100 * row["expected_error"]
            axes.plot([made - error, made + error], [y, y], color=colour, linewidth=1.4)
            axes.plot([made], [y], color=colour, markerfacecolor=face, **look)
            write(figure, WIDTH - 92, head + y, percent(row["published"], lang), va="center", ha="right")
            write(figure, WIDTH - 6, head + y, percent(row["made"], lang), va="center", ha="right")
        axes.axhline(top, color=RULE, linewidth=0.6, zorder=0)
        top += height
    write(figure, WIDTH - 92, head - 20, text("report.published", lang), ha="right", color=GREY)
    write(figure, WIDTH - 6, head - 20, text("report.made", lang), ha="right", color=GREY)
    axes.axvline(0, color=INK, linewidth=0.8, zorder=0)
    reach = 105 * ((data["made"] - data["published"]).abs() + data["expected_error"]).max()
    axes.set_xlim(-max(reach, 1.0), max(reach, 1.0))
    write(figure, left, head - 20, text("report.points_share", lang), color=GREY)
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])
    value_axis(axes, lang, horizontal=True)
    kinds = [kind for kind in _LOOKS if kind in set(data["within"])]
    dots = [Line2D([], [], color=_LOOKS[kind][0], markerfacecolor=_LOOKS[kind][1], **look) for kind in kinds]
    legend(
        figure,
        [Patch(facecolor="#b9c4c9", edgecolor="#8b989e"), *dots],
        [text("report.observed_bar", lang), *(text(f"report.made_{'within' if k else 'beyond'}", lang) for k in kinds)],
        3,
    )
    return figure


def population_alt(data: pd.DataFrame, lang: str) -> str:
    """Say how many marginals are as near as can be expected, and which is furthest off."""
    worst = max(records(data), key=lambda row: abs(row["made"] - row["published"]))
    return text(
        "report.population_alt",
        lang,
        targets=len(data),
        within=int(data["within"].sum()),
        worst=f"{target_label(worst['target'], lang)} ({ages_heading(worst['ages'], lang)})",
        published=percent(worst["published"], lang),
        made=percent(worst["made"], lang),
    )

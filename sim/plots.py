"""The figures of a report: for each its numbers, the drawing, and the words for those who cannot see it.

``<name>_data`` takes a table of a result folder and returns exactly the numbers that are drawn,
``<name>_figure`` draws them and ``<name>_alt`` says them. Sizes are CSS pixels: a figure is 900 wide and no
text is smaller than 9 points.
"""

from __future__ import annotations

import io
import itertools
import math
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, Final, Literal, ParamSpec
from xml.sax.saxutils import quoteattr

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch, Rectangle
from matplotlib.path import Path as Outline
from matplotlib.ticker import FixedLocator, Formatter, MaxNLocator

from .activities import catalogue
from .errors import Problem, ResultError
from .locale import month_name, number, percent, text
from .measures import COHORTS, MEASURES
from .scenario import month_number, month_text
from .states import ORIGIN_LABELS, SEX_LABELS, STATES

WIDTH: Final = 900
SMALL: Final = 9.0
"""Smallest font size, in points."""

INK: Final = "#1c2528"
GREY: Final = "#5b666b"
RULE: Final = "#d5dbde"

BLUE, SKY, GREEN, ORANGE, VERMILLION, PURPLE = (
    "#0072b2",
    "#2f8fc6",
    "#008a64",
    "#c27c00",
    "#d55e00",
    "#b8639a",
)
"""Okabe and Ito's colours, some of them darkened until each has a contrast of 3 to 1 on white."""

_LOOK: Final[dict[str, Any]] = {
    "font.family": "DejaVu Sans",
    "font.size": SMALL,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "hatch.linewidth": 0.7,
}

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

GROUPS: Final = {
    "job_ready": ORANGE,
    "activity_ready": VERMILLION,
    "no_benefit": GREEN,
    "other_benefit": PURPLE,
    "gone": "#747f84",
}
"""Colour of every benefit group, in the order of the nodes from the top."""

SOURCES: Final = {
    "states": "outcomes",
    "flows": "flows",
    "differences": "differences",
    "forest": "differences",
    "observed": "observed",
    "queues": "queues",
}
"""The table each figure is drawn from."""

_Look = tuple[str, Literal["-", "--", "-.", ":"], str]
"""Colour, dash and marker of a scenario."""

_SERIES: Final[Sequence[_Look]] = (
    (BLUE, "-", "o"),
    (VERMILLION, "--", "s"),
    (GREEN, "-.", "^"),
    (PURPLE, ":", "D"),
)
_SCALE: Final = {"share": 100.0}
_EACH: Final = ["scenario", "activity", "month"]

Row = Mapping[str, Any]
"""One row of a table."""

P = ParamSpec("P")


def _drawn(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in the look of the house, whatever the user's own matplotlib settings are."""

    @wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with style.context(["default", _LOOK]):
            return draw(*args, **kwargs)

    return inside


def svg(figure: Figure, alt: str, name: str) -> str:
    """Return ``figure`` as an SVG element with ``alt`` as its label and ids that begin with ``name``.

    The same figure gives the same bytes.
    """
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with mpl.rc_context({"svg.hashsalt": "jobveje", "svg.fonttype": "path", "hatch.linewidth": 0.7}):
        figure.savefig(buffer, format="svg", metadata=nothing)
    drawn = buffer.getvalue()
    drawn = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", drawn[drawn.index("<svg") :])
    return drawn.replace("<svg ", f'<svg role="img" aria-label={quoteattr(alt)} ', 1)


def group_label(group_by: str, group: str, lang: str, several: bool = False) -> str:
    """Return the name of a group of residents, as ``kvinder`` or ``16-17 år``.

    With ``several`` scenarios compared, a participant is somebody enrolled in at least one of them.
    """
    if group_by == "participant" and several:
        return text(f"report.group_participant_{group}_several", lang)
    if group_by == "sex":
        return SEX_LABELS[group][lang != "da"]
    if group_by == "origin":
        return ORIGIN_LABELS[group][lang != "da"]
    if group_by == "age_group":
        return text("report.age_group", lang, ages=group.replace("-", "–"))
    return text(f"report.group_{group_by}_{group}", lang)


def amount(value: float, unit: str, lang: str) -> str:
    """Write a value of a measure with its unit: a share as per cent, persons and months as numbers."""
    if unit == "share":
        return percent(value, lang)
    return text(f"report.amount_{unit}", lang, value=number(value, lang, 1))


def change(value: float, unit: str, lang: str, sign: bool = True) -> str:
    """Write a difference in the measure's unit without naming it: ``+6,1``; more digits when it is small."""
    scaled = value * _SCALE.get(unit, 1.0)
    written = number(scaled, lang, 2 if 0 < abs(scaled) < 0.095 else 1)
    return ("+" if sign and scaled > 0 else "") + written


def points(measure: str, lang: str) -> str:
    """Return the unit a difference in ``measure`` is written in, as ``procentpoint``."""
    return text(f"report.points_{MEASURES[measure].unit}", lang)


def quoted(title: str, lang: str) -> str:
    """Return a title as it stands in running text, in the quotation marks of the language."""
    return text("report.quoted", lang, title=title)


def titles(manifest: Mapping[str, Any], lang: str) -> dict[str, str]:
    """Return the title of every scenario by id."""
    return {scenario["id"]: scenario["title"][lang] for scenario in manifest["scenarios"]}


def activity_labels(manifest: Mapping[str, Any], lang: str) -> dict[str, str]:
    """Return the name of every activity item by id, with the id where a scenario has several of one activity."""
    names: dict[str, str] = {}
    for scenario in manifest["scenarios"]:
        count = Counter(item["activity"] for item in scenario["activities"])
        for item in scenario["activities"]:
            name = catalogue()[item["activity"]].label(lang)
            if count[item["activity"]] > 1:
                names[item["id"]] = f"{name} {quoted(item['id'], lang)}"
            else:
                names.setdefault(item["id"], name)
    return names


def one_view(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the residents wherever they live, or the only view there is."""
    views = set(frame["view"])
    return frame[frame["view"] == ("individual" if "individual" in views else min(views))]


def luck(differences: pd.DataFrame) -> pd.DataFrame:
    """Keep the differences whose band is what one area may meet by luck, in one view."""
    return one_view(differences[differences["interval"] == "luck"])


def of_result(name: str, tables: Mapping[str, pd.DataFrame], manifest: Mapping[str, Any], lang: str) -> Figure:
    """Return the figure ``name`` of a result's tables (one of ``SOURCES``; ``flows`` are those of the base).

    Raises ``ResultError`` when the tables do not hold what the figure draws.
    """
    drawable = [figure for figure, source in SOURCES.items() if len(tables.get(source, ()))]
    if name not in drawable:
        problem = Problem("choice", key="plot", values={"value": name, "allowed": ", ".join(drawable)})
        raise ResultError([problem])
    table, named = tables[SOURCES[name]], titles(manifest, lang)
    if name == "states":
        return states_figure(states_data(one_view(table)), lang, named)
    if name == "flows":
        return flows_figure(flows_data(table[table["scenario"] == table["scenario"].iloc[0]]), lang)
    if name == "differences":
        return differences_figure(differences_data(luck(table)), lang, named)
    if name == "forest":
        return forest_figure(forest_data(luck(table)), lang, named)
    if name == "observed":
        return observed_figure(observed_data(table), lang)
    return queues_figure(queues_data(table), lang, named, activity_labels(manifest, lang))


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of ``frame``, in order."""
    names = [str(name) for name in frame.columns]
    return [dict(zip(names, row, strict=True)) for row in frame.itertuples(index=False, name=None)]


# --- shared parts of the drawings ---------------------------------------------------------------------------


class _Numbers(Formatter):
    """Tick labels in the style of a language, with as many decimals as the ticks need."""

    def __init__(self, lang: str, ending: str = "") -> None:
        self.lang, self.ending = lang, ending

    def __call__(self, x: float, pos: int | None = None) -> str:
        return self.format_ticks([x])[0]

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """Return the labels of all ticks."""
        step = float(np.diff(values).min()) if len(values) > 1 else 1.0
        digits = max(0, math.ceil(-math.log10(step) - 1e-9))
        return [number(value, self.lang, digits) + self.ending for value in values]


def _figure(height: float) -> Figure:
    return Figure(figsize=(WIDTH / 96, height / 96), dpi=96)


def _axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Return axes placed in pixels from the figure's upper left corner."""
    whole = figure.get_size_inches()[1] * 96
    return figure.add_axes((left / WIDTH, 1 - (top + height) / whole, width / WIDTH, height / whole))


def _write(figure: Figure, x: float, y: float, words: str, **look: Any) -> None:
    """Write ``words`` with their upper left corner ``x`` and ``y`` pixels from the figure's."""
    whole = figure.get_size_inches()[1] * 96
    figure.text(x / WIDTH, 1 - y / whole, words, **{"va": "top", "fontsize": SMALL, "linespacing": 1.25, **look})


def _extent(figure: Figure, words: Iterable[str], size: float = SMALL) -> float:
    """Return the width in pixels of the widest of ``words``."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    widths = [0.0]
    for word in words:
        probe = figure.text(0, 0, word, fontsize=size)
        widths.append(probe.get_window_extent(renderer).width)
        probe.remove()
    return max(widths)


def _fold(words: str, width: int) -> str:
    return "\n".join(textwrap.wrap(words, width)) or words


def spread(wanted: Sequence[float], sizes: Sequence[float], low: float, high: float) -> list[float]:
    """Return centres as near ``wanted`` as possible for labels of ``sizes`` that must not overlap.

    Neighbours that would touch are moved as one block around their mean; all stay between ``low`` and
    ``high`` when there is room.
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    blocks: list[tuple[list[int], float]] = []
    for i in order:
        members, centre = [i], wanted[i]
        while True:
            size = sum(sizes[m] for m in members)
            centre = min(max(centre, low + size / 2), max(high - size / 2, low + size / 2))
            if not blocks:
                break
            above, middle = blocks[-1]
            other = sum(sizes[m] for m in above)
            if middle + other / 2 <= centre - size / 2:
                break
            blocks.pop()
            centre = (middle * other + centre * size) / (other + size)
            members = above + members
        blocks.append((members, centre))
    placed = [0.0] * len(wanted)
    for members, centre in blocks:
        edge = centre - sum(sizes[m] for m in members) / 2
        for m in members:
            placed[m] = edge + sizes[m] / 2
            edge += sizes[m]
    return placed


def _end_labels(axes: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Write a label beside ``axes`` for each (value, words, colour), joined to its value by a thin line."""
    bottom, top = axes.get_ylim()
    box = axes.get_window_extent()
    pixels = [box.height * (value - bottom) / (top - bottom) for value, _, _ in ends]
    sizes = [15.5 * (1 + words.count("\n")) for _, words, _ in ends]
    for (_, words, colour), at, to in zip(ends, pixels, spread(pixels, sizes, -8, box.height + 8), strict=True):
        axes.annotate(
            words,
            xy=(1, at / box.height),
            xytext=(1 + 18 / box.width, to / box.height),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            fontsize=SMALL,
            linespacing=1.15,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 1.4, "shrinkA": 1, "shrinkB": 1, "relpos": (0, 0.5)},
        )


def _month_axis(axes: Axes, months: Iterable[str], lang: str, most: int) -> None:
    """Mark Decembers on the x axis, at most ``most``, or the ends when the span has fewer than two."""
    span = sorted({month_number(month) for month in months})
    ticks = [m for m in range(span[0], span[-1] + 1) if m % 12 == 11]
    if len(ticks) < 2:
        ticks = [span[0], span[-1]] if len(span) > 1 else span
    ticks = ticks[::-1][:: max(1, math.ceil(len(ticks) / most))][::-1]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.set_xticklabels([month_name(month_text(tick), lang) for tick in ticks], fontsize=SMALL)
    axes.set_xlim(span[0], span[-1] if len(span) > 1 else span[0] + 1)


def _value_axis(axes: Axes, lang: str, ending: str = "", horizontal: bool = False, most: int = 5) -> None:
    axis = axes.xaxis if horizontal else axes.yaxis
    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(_Numbers(lang, ending))
    axes.tick_params(labelsize=SMALL, length=3)


def _say(parts: Iterable[str]) -> str:
    return " ".join(part for part in parts if part)


# --- states over time ---------------------------------------------------------------------------------------


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
    keys = [
        key
        for key in PARTS
        if key in set(outcomes["measure"]) and MEASURES[key].population("en") == MEASURES["employed"].population("en")
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


@_drawn
def states_figure(data: pd.DataFrame, lang: str, titles: Mapping[str, str]) -> Figure:
    """Draw the shares as stacked areas, one panel a scenario, with every part named at its right end."""
    scenarios = list(dict.fromkeys(data["scenario"]))
    panel, high = 336, 250
    figure = _figure(panel * len(scenarios))
    parts = [part for part in PARTS if part in set(data["part"])]
    room = _extent(figure, [f"{percent(0.888, lang)}  {part_label(part, lang)}" for part in parts]) + 34
    for row, scenario in enumerate(scenarios):
        wide = data[data["scenario"] == scenario].pivot(index="month", columns="part", values="share")[parts]
        axes = _axes(figure, 56, row * panel + 40, WIDTH - 56 - room, high)
        _write(figure, 6, row * panel + 6, titles[scenario], fontsize=11, fontweight="bold")
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
        axes.yaxis.set_major_formatter(_Numbers(lang, " %"))
        axes.tick_params(labelsize=SMALL, length=3)
        _month_axis(axes, wide.index, lang, 7)
        _end_labels(axes, ends)
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
    return _say(said)


# --- paths of the cohorts -----------------------------------------------------------------------------------


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


@_drawn
def flows_figure(data: pd.DataFrame, lang: str) -> Figure:
    """Draw an alluvial diagram of one scenario, one panel a cohort; a band has its middle group's colour."""
    cohorts = {cohort: data[data["cohort"] == cohort] for cohort in dict.fromkeys(data["cohort"])}
    head = 78
    room = max(sum(_slots(_nodes(rows, step))) for rows in cohorts.values() for step in range(3))
    panel = head + room + 16
    figure = _figure(panel * len(cohorts))
    left, right = (
        _extent(figure, [_node_label(group, 1, lang) for group in set(data[f"group_{step}"])]) for step in (0, 2)
    )
    columns = (left + 18, (left - right + WIDTH) / 2 - 7, WIDTH - right - 42)
    for row, (cohort, rows) in enumerate(cohorts.items()):
        axes = _axes(figure, 0, row * panel, WIDTH, panel)
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
    return _say(said)


# --- differences --------------------------------------------------------------------------------------------


def headline_measures(differences: pd.DataFrame, most: int = 4) -> list[str]:
    """Return the measures with the clearest difference at their last month, largest |estimate| / se first.

    Measures equal in all runs are left out, and so is ``never_served``, which tells of the queue and not of
    lives; ``leisure_job_26h`` is kept among the first ``most`` whenever it is there.
    """
    rows = differences[(differences["group_by"] == "all") & (differences["measure"] != "never_served")]
    rows = rows[rows["month"] == rows.groupby("measure")["month"].transform("max")]
    rows = rows[(rows["estimate"] != 0) | (rows["measure"] == "leisure_job_26h")]
    size = rows["estimate"].abs()
    clear = pd.Series(np.divide(size, rows["se"], out=np.full(len(rows), np.inf), where=rows["se"] > 0), rows.index)
    best = clear.where(size > 0, 0.0).groupby(rows["measure"]).max().sort_values(ascending=False, kind="stable")
    chosen = [str(measure) for measure in best.index]
    if "leisure_job_26h" in chosen[most:]:
        chosen.insert(most - 1, "leisure_job_26h")
    return chosen[:most]


def differences_data(differences: pd.DataFrame) -> pd.DataFrame:
    """Return the differences of the headline measures for all residents, every month there is."""
    chosen = headline_measures(differences)
    rows = differences[(differences["group_by"] == "all") & differences["measure"].isin(chosen)]
    rank = {id: i for i, id in enumerate(dict.fromkeys(rows["scenario"]))}
    order = {"measure": rows["measure"].map(chosen.index), "scenario": rows["scenario"].map(rank)}
    kept = ["scenario", "against", "measure", "month", "estimate", "se", "low", "high", "replicates", "draws"]
    places = pd.DataFrame({**order, "month": rows["month"]}).sort_values([*order, "month"], kind="stable").index
    return rows.loc[places, kept].reset_index(drop=True)


def _series(data: pd.DataFrame) -> dict[str, _Look]:
    scenarios = dict.fromkeys(data["scenario"])
    return {scenario: _SERIES[i % len(_SERIES)] for i, scenario in enumerate(scenarios)}


def _head_height(series: Mapping[str, _Look]) -> float:
    return 34 + (36 * math.ceil(len(series) / 2) if len(series) > 1 else 0)


def _banded(data: pd.DataFrame) -> bool:
    """Tell whether any difference has a band; with one replicate none has."""
    return bool(data["low"].notna().any())


def _head(figure: Figure, series: Mapping[str, _Look], titles: Mapping[str, str], lang: str, bands: bool) -> None:
    """Write what the band is and, with several scenarios, which line is which."""
    _write(figure, 6, 6, text(f"report.{'band_short' if bands else 'band_none'}", lang), color=GREY)
    if len(series) == 1:
        return
    marks = [
        Line2D([], [], color=colour, linestyle=dash, marker=mark, markersize=5)
        for colour, dash, mark in series.values()
    ]
    whole = figure.get_size_inches()[1] * 96
    figure.legend(
        marks,
        [_fold(titles[scenario], 38) for scenario in series],
        loc="upper left",
        bbox_to_anchor=(0, 1 - 28 / whole),
        ncols=2,
        frameon=False,
        fontsize=SMALL,
        borderaxespad=0.3,
    )


@_drawn
def differences_figure(data: pd.DataFrame, lang: str, titles: Mapping[str, str]) -> Figure:
    """Draw each difference over the months with the band of luck around it, one panel a measure."""
    measures = list(dict.fromkeys(data["measure"]))
    series = _series(data)
    columns = min(2, len(measures))
    head = _head_height(series)
    panel, wide = 282, WIDTH // columns
    figure = _figure(head + panel * math.ceil(len(measures) / columns))
    _head(figure, series, titles, lang, _banded(data))
    for i, measure in enumerate(measures):
        left, top = wide * (i % columns), head + panel * (i // columns)
        unit = MEASURES[measure].unit
        label = _fold(MEASURES[measure].label(lang), 46 if columns == 2 else 90)
        _write(figure, left + 6, top + 4, label, fontsize=10, fontweight="bold")
        below = top + 6 + 17 * (1 + label.count("\n"))
        _write(figure, left + 6, below, points(measure, lang), color=GREY)
        rows = data[data["measure"] == measure]
        axes = _axes(figure, left + 52, below + 28, wide - 90, top + panel - 40 - below - 28)
        for scenario, (colour, dash, mark) in series.items():
            of = rows[rows["scenario"] == scenario].sort_values("month")
            x = [month_number(month) for month in of["month"]]
            low, mid, high = (_SCALE.get(unit, 1.0) * of[name].to_numpy() for name in ("low", "estimate", "high"))
            axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
            if len(of) == 1:
                axes.plot([x[0], x[0]], [low[0], high[0]], color=colour, linewidth=1.6)
            axes.plot(x, mid, color=colour, linestyle=dash, marker=mark, markersize=4.5, linewidth=2, clip_on=False)
        axes.axhline(0, color=INK, linewidth=1)
        axes.margins(y=0.12)
        if not rows["estimate"].any():
            axes.set_ylim(-1, 1)
        _month_axis(axes, data["month"], lang, 8 if columns == 1 else 4)
        _value_axis(axes, lang)
        axes.grid(axis="y", color=RULE, linewidth=0.7)
        axes.set_axisbelow(True)
    return figure


def differences_alt(data: pd.DataFrame, lang: str, titles: Mapping[str, str]) -> str:
    """Say the difference and its band at the last month of every measure."""
    said = [text("report.differences_alt", lang)]
    for (measure, scenario), rows in data.groupby(["measure", "scenario"], sort=False):
        last = records(rows[rows["month"] == rows["month"].max()])[0]
        said.append(_difference_words(last, str(measure), lang, quoted(titles[str(scenario)], lang)))
    return _say(said)


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


@_drawn
def forest_figure(data: pd.DataFrame, lang: str, titles: Mapping[str, str]) -> Figure:
    """Draw a forest plot: one row a group, one column a measure, bars for the band of luck."""
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
    left = _extent(figure := _figure(100), names, SMALL + 0.5) + 30
    wide = (WIDTH - left) / len(measures)
    labels = [
        _fold(f"{MEASURES[str(measure)].label(lang)}, {month_name(at, lang)}", max(12, int(wide / 8.2)))
        for measure, at in data.groupby("measure", sort=False)["month"].first().items()
    ]
    head = _head_height(series)
    title = 16 * (1 + max(label.count("\n") for label in labels)) + 26
    figure = _figure(head + title + each * len(lines) + 34)
    _head(figure, series, titles, lang, _banded(data))
    for (by, group), name, i in zip(lines, names, range(len(lines)), strict=True):
        heading = not group or by == "all"
        _write(
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
        _write(figure, at + 12, head, label, fontweight="bold")
        _write(figure, at + 12, head + 16 * (1 + label.count("\n")), points(measure, lang), color=GREY)
        axes = _axes(figure, at + 12, head + title, wide - 30, each * len(lines))
        axes.set_ylim(len(lines), 0)
        axes.axvline(0, color=INK, linewidth=1)
        rows = data[data["measure"] == measure]
        for shift, (scenario, (colour, _, mark)) in enumerate(series.items()):
            of = {(row["group_by"], row["group"]): row for row in records(rows[rows["scenario"] == scenario])}
            for i, line in enumerate(lines):
                if line in of:
                    scale = _SCALE.get(unit, 1.0)
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
        _value_axis(axes, lang, horizontal=True, most=min(8, max(2, int(wide / 50))))
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
    return _say(said)


# --- observed against simulated -----------------------------------------------------------------------------


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


@_drawn
def observed_figure(data: pd.DataFrame, lang: str) -> Figure:
    """Draw one row a target: a bar for the published number, a dot with its spread for the simulated."""
    labels = [_fold(label, 52) for label in data[f"label_{lang}"]]
    heights = [14 + 15 * (1 + label.count("\n")) for label in labels]
    head, foot = 66, 40
    figure = _figure(head + sum(heights) + foot)
    left = max(_extent(figure, labels) + 24, 160)
    axes = _axes(figure, left, head, WIDTH - left - 170, sum(heights))
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
        _write(figure, 6, head + y, label, va="center")
        _write(figure, WIDTH - 92, head + y, published(row, lang), va="center", ha="right")
        _write(figure, WIDTH - 6, head + y, percent(row["simulated"], lang), va="center", ha="right")
        top += height
    _write(figure, WIDTH - 92, head - 20, text("report.published", lang), ha="right", color=GREY)
    _write(figure, WIDTH - 6, head - 20, text("report.simulated", lang), ha="right", color=GREY)
    axes.set_xlim(0, 103 * data[["sim_high", "simulated", "high"]].max().max())
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])
    _value_axis(axes, lang, " %", horizontal=True, most=6)
    keys = [key for key in _DOTS if key in set(map(_judged, records(data)))]
    dots = [Line2D([], [], color=_DOTS[key][0], markerfacecolor=_DOTS[key][1], linewidth=1.6, **look) for key in keys]
    figure.legend(
        [Patch(facecolor="#b9c4c9", edgecolor="#8b989e"), *dots],
        [text(f"report.observed_{key}", lang) for key in ("bar", *keys)],
        loc="upper left",
        bbox_to_anchor=(0, 1),
        ncols=3 if len(keys) < 3 else 2,
        frameon=False,
        fontsize=SMALL,
        borderaxespad=0.3,
        columnspacing=1.4,
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


# --- queues -------------------------------------------------------------------------------------------------

_LINES: Final = (("places", GREY, ":"), ("enrolled", BLUE, "-"), ("waiting", VERMILLION, "--"))


def queues_data(queues: pd.DataFrame) -> pd.DataFrame:
    """Return the mean places, enrolled and waiting of every scenario, activity and month."""
    names = [name for name, _, _ in _LINES]
    return queues.groupby(_EACH, sort=False)[names].mean().reset_index()


@_drawn
def queues_figure(data: pd.DataFrame, lang: str, titles: Mapping[str, str], activities: Mapping[str, str]) -> Figure:
    """Draw places, enrolled and waiting over the months, one panel an activity of a scenario."""
    courses = list(dict.fromkeys(zip(data["scenario"], data["activity"], strict=True)))
    panel = 268
    figure = _figure(panel * len(courses))
    words = [text(f"report.queue_{name}", lang) for name, _, _ in _LINES]
    room = _extent(figure, [f"{number(8888.8, lang, 1)}  {word}" for word in words]) + 34
    for row, (scenario, activity) in enumerate(courses):
        rows = data[(data["scenario"] == scenario) & (data["activity"] == activity)].sort_values("month")
        axes = _axes(figure, 56, row * panel + 56, WIDTH - 56 - room, panel - 96)
        title = f"{activities[activity]} ({titles[scenario]})"
        _write(figure, 6, row * panel + 6, title, fontsize=11, fontweight="bold")
        _write(figure, 6, row * panel + 28, text("report.points_persons", lang), color=GREY)
        x = [month_number(month) for month in rows["month"]]
        for name, colour, dash in _LINES:
            axes.plot(x, rows[name], color=colour, linestyle=dash, linewidth=2, clip_on=False)
        axes.set_ylim(0, max(1.0, 1.06 * float(rows[["places", "enrolled", "waiting"]].to_numpy().max())))
        _month_axis(axes, rows["month"], lang, 7)
        _value_axis(axes, lang)
        axes.grid(axis="y", color=RULE, linewidth=0.7)
        axes.set_axisbelow(True)
        last = rows.iloc[-1]
        ends = [
            (float(last[name]), f"{number(last[name], lang, 1)}  {word}", colour)
            for (name, colour, _), word in zip(_LINES, words, strict=True)
        ]
        _end_labels(axes, ends)
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
    return _say(said)

"""The look of the house: colours, sizes, axes, labels beside lines, and the SVG that comes out of it.

Sizes are CSS pixels: a figure is 900 wide and no text is smaller than 9 points.
"""

from __future__ import annotations

import io
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, Final, Literal, ParamSpec
from xml.sax.saxutils import quoteattr

import matplotlib as mpl
import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, Formatter, MaxNLocator

from ..locale import month_name, number
from ..scenario import month_number, month_text

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

Look = tuple[str, Literal["-", "--", "-.", ":"], str]
"""Colour, dash and marker of a scenario."""

SERIES: Final[Sequence[Look]] = (
    (BLUE, "-", "o"),
    (VERMILLION, "--", "s"),
    (GREEN, "-.", "^"),
    (PURPLE, ":", "D"),
)
SCALE: Final = {"share": 100.0}

P = ParamSpec("P")


def drawn(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in the look of the house, whatever the user's own matplotlib settings are."""

    @wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with style.context(["default", _LOOK]):
            return draw(*args, **kwargs)

    return inside


def legend(
    figure: Figure, handles: Sequence[Any], words: Sequence[str], columns: int, place: tuple[float, float] = (0, 1)
) -> None:
    """Put the key of a figure above its drawings, at ``place`` (figure fractions, upper left corner)."""
    figure.legend(
        handles,
        words,
        loc="upper left",
        bbox_to_anchor=place,
        ncols=columns,
        frameon=False,
        fontsize=SMALL,
        borderaxespad=0.3,
        columnspacing=1.6,
    )


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


class Numbers(Formatter):
    """Tick labels in the style of a language, with as many decimals as the ticks need."""

    def __init__(self, lang: str, ending: str = "") -> None:
        self.lang, self.ending = lang, ending

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the label of one tick."""
        return self.format_ticks([x])[0]

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """Return the labels of all ticks."""
        step = float(np.diff(values).min()) if len(values) > 1 else 1.0
        digits = max(0, math.ceil(-math.log10(step) - 1e-9))
        return [number(value, self.lang, digits) + self.ending for value in values]


def new_figure(height: float) -> Figure:
    """Return an empty figure ``height`` pixels tall."""
    return Figure(figsize=(WIDTH / 96, height / 96), dpi=96)


def axes_at(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Return axes placed in pixels from the figure's upper left corner."""
    whole = figure.get_size_inches()[1] * 96
    return figure.add_axes((left / WIDTH, 1 - (top + height) / whole, width / WIDTH, height / whole))


def write(figure: Figure, x: float, y: float, words: str, **look: Any) -> None:
    """Write ``words`` with their upper left corner ``x`` and ``y`` pixels from the figure's."""
    whole = figure.get_size_inches()[1] * 96
    figure.text(x / WIDTH, 1 - y / whole, words, **{"va": "top", "fontsize": SMALL, "linespacing": 1.25, **look})


def extent(figure: Figure, words: Iterable[str], size: float = SMALL) -> float:
    """Return the width in pixels of the widest of ``words``."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    widths = [0.0]
    for word in words:
        probe = figure.text(0, 0, word, fontsize=size)
        widths.append(probe.get_window_extent(renderer).width)
        probe.remove()
    return max(widths)


def fold(words: str, width: int) -> str:
    """Break ``words`` into lines of at most ``width`` characters."""
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


def end_labels(axes: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
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


def month_axis(axes: Axes, months: Iterable[str], lang: str, most: int) -> None:
    """Mark Decembers on the x axis, at most ``most``, or the ends when the span has fewer than two."""
    span = sorted({month_number(month) for month in months})
    ticks = [m for m in range(span[0], span[-1] + 1) if m % 12 == 11]
    if len(ticks) < 2:
        ticks = [span[0], span[-1]] if len(span) > 1 else span
    ticks = ticks[::-1][:: max(1, math.ceil(len(ticks) / most))][::-1]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.set_xticklabels([month_name(month_text(tick), lang) for tick in ticks], fontsize=SMALL)
    axes.set_xlim(span[0], span[-1] if len(span) > 1 else span[0] + 1)


def value_axis(axes: Axes, lang: str, ending: str = "", horizontal: bool = False, most: int = 5) -> None:
    """Write the values of an axis in the language, at most ``most`` of them."""
    axis = axes.xaxis if horizontal else axes.yaxis
    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(Numbers(lang, ending))
    axes.tick_params(labelsize=SMALL, length=3)


def say(parts: Iterable[str]) -> str:
    """Join sentences, leaving out the empty ones."""
    return " ".join(part for part in parts if part)

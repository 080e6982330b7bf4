"""Pictures of a fit in the look of the house: rates, states over time, a profile."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from sim.errors import InputError, Problem, nearest
from sim.locale import number, text
from sim.plots.style import (
    BLUE,
    GREY,
    RULE,
    SMALL,
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

from .design import written
from .words import moment, shown, when

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .results import PanelFit

_ROW: Final = 26
_HEAD: Final = 56
_FOOT: Final = 58
_NAMES: Final = 62
_WIDEST: Final = 1e6
"""Largest factor between an interval's end and its estimate that is drawn; longer ones end in an arrow."""


def plot(fit: PanelFit, kind: str, lang: str, **options: Any) -> Figure:
    """Return the figure ``kind``; raises ``InputError`` with the nearest when there is none."""
    if kind not in FIGURES:
        values = {"value": kind, "allowed": ", ".join(FIGURES)}
        raise InputError([Problem("choice", key="plot", values=values, nearest=nearest(kind, FIGURES))])
    return FIGURES[kind](fit, lang, **options)


def write_figures(fit: PanelFit, folder: Path, lang: str, kinds: Sequence[str]) -> list[Path]:
    """Write the figures ``kinds`` into ``folder`` and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for kind in kinds:
        path = folder / f"{kind}.png"
        plot(fit, kind, lang).savefig(path, dpi=96, metadata={"Software": None})
        found.append(path)
    return found


@drawn
def rates_figure(fit: PanelFit, lang: str) -> Figure:
    """Return every rate, and every ratio below, with its interval on a logarithmic scale."""
    rates = fit.table("rates")
    moves = list(zip(rates["from"], rates["to"], rates["period"], strict=True))
    names = [", ".join(part for part in (written((a, b)), when(fit, period, lang)) if part) for a, b, period in moves]
    parts = [("axis_rate", names, rates["rate"], rates)]
    if fit.model.covariates:
        ratios = fit.table("ratios")
        acts = zip(ratios["covariate"], ratios["from"], ratios["to"], strict=True)
        words = [f"{name}: {written((a, b))}" for name, a, b in acts]
        parts.append(("axis_ratio", words, ratios["ratio"], ratios))
    heights = [_ROW * len(words) + 10 for _, words, _, _ in parts]
    figure = new_figure(_HEAD + sum(heights) + _FOOT * len(parts))
    names = [name if len(name) <= _NAMES else name[: _NAMES - 1] + "…" for _, words, _, _ in parts for name in words]
    left = min(extent(figure, names) + 30, WIDTH / 2)
    top = float(_HEAD)
    for (key, words, estimates, table), height in zip(parts, heights, strict=True):
        axes = axes_at(figure, left, top, WIDTH - left - 30, height)
        low, high = (table[name].to_numpy() for name in ("low", "high"))
        _forest(axes, words, estimates.to_numpy(), low, high, lang)
        axes.set_xlabel(text(f"panel.{key}", lang))
        if key == "axis_ratio":
            axes.axvline(1, color=GREY, lw=0.8, zorder=0)
        top += height + _FOOT
    _title(figure, text("panel.figure_rates", lang))
    return figure


def _forest(axes: Axes, names: list[str], estimates: np.ndarray, low: np.ndarray, high: np.ndarray, lang: str) -> None:
    """Draw estimates with intervals, a row each; those the data do not tell are hollow, with arrows both ways."""
    told = (low > 0) & np.isfinite(high)
    places = np.arange(len(names))
    fine = estimates[told] if told.any() else estimates
    # What runs to nil would make the scale useless for all others: it stands at the edge.
    edge = (fine.min() / 30, fine.max() * 30)
    at = np.clip(estimates, *edge)
    shown_low, shown_high = (np.clip(ends, at / _WIDEST, at * _WIDEST) for ends in (low, high))
    axes.hlines(places[told], shown_low[told], shown_high[told], color=BLUE, lw=2)
    axes.plot(at[told], places[told], "o", color=BLUE, ms=5)
    axes.plot(at[~told], places[~told], "o", mfc="white", mec=VERMILLION, ms=6)
    for place in places[~told]:
        words = f"{shown(estimates[place], lang)}: {text('panel.unidentified', lang)}"
        right = at[place] < math.sqrt(edge[0] * edge[1])
        side: dict[str, Any] = {"xytext": (9 if right else -9, 0), "ha": "left" if right else "right"}
        axes.annotate(
            words, (at[place], place), textcoords="offset points", va="center", fontsize=SMALL, color=VERMILLION, **side
        )
    axes.set_xscale("log")
    ends = np.r_[at, shown_low[told], shown_high[told]]
    span = ends.min() / 1.2, ends.max() * 1.2
    axes.set_xlim(*span)
    axes.xaxis.set_major_locator(FixedLocator(_ticks(*span)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([_round(tick, lang) for tick in _ticks(*span)], fontsize=SMALL)
    axes.set_ylim(len(names) - 0.3, -0.7)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=RULE, lw=0.6)
    axes.set_axisbelow(True)
    for place, name in enumerate(names):
        words = name if len(name) <= _NAMES else name[: _NAMES - 1] + "…"
        axes.text(-0.015, place, words, transform=axes.get_yaxis_transform(), ha="right", va="center")


def _ticks(low: float, high: float) -> list[float]:
    """Return round values on a logarithmic scale: powers of ten, or as many between them as there is room for."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        found = [step * 10.0**decade for decade in decades for step in steps if low <= step * 10.0**decade <= high]
        if len(found) > 9:
            return found[:: -(-len(found) // 9)]
        if len(found) > 3:
            return found
    return [float(tick) for tick in MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high) if low <= tick <= high]


def _round(tick: float, lang: str) -> str:
    """Return a round number with the decimals it has."""
    digits = max(0, 1 - math.floor(math.log10(tick)))
    while digits and math.isclose(round(tick, digits - 1), tick, rel_tol=1e-9):
        digits -= 1
    return number(tick, lang, digits)


@drawn
def prevalence_figure(fit: PanelFit, lang: str, times: Any = None, method: str = "middle") -> Figure:
    """Return the share of people in each state over time, observed and expected."""
    table = fit.prevalence(times, method)
    table = table[table["at_risk"] > 0]
    across = min(len(fit.states), 3)
    rows = -(-len(fit.states) // across)
    wide, high = (WIDTH - 60 - 40 * (across - 1)) / across - 10, 170
    figure = new_figure(86 + rows * (high + 66))
    most = 100 * float(np.nanmax(table[["observed_share", "expected_share"]].to_numpy()))
    for place, state in enumerate(fit.states):
        mine = table[table["state"] == state]
        axes = axes_at(figure, 50 + place % across * (wide + 50), 92 + place // across * (high + 66), wide, high)
        axes.plot(mine["time"], 100 * mine["expected_share"], color=BLUE, lw=1.8)
        axes.plot(mine["time"], 100 * mine["observed_share"], "o", color=VERMILLION, ms=4.5)
        axes.set_ylim(0, 1.08 * most)
        axes.set_title(fold(state, 34), fontsize=SMALL, fontweight="bold")
        value_axis(axes, lang, " %", most=4)
        ticks = [float(t) for t in MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(*axes.get_xlim())]
        ticks = [t for t in ticks if axes.get_xlim()[0] <= t <= axes.get_xlim()[1]]
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.set_xticklabels([moment(round(t, 9), lang) for t in ticks], fontsize=SMALL)
        axes.set_xlabel(fit.columns.time)
    handles = [Line2D([], [], color=VERMILLION, marker="o", lw=0, ms=4.5), Line2D([], [], color=BLUE, lw=1.8)]
    keys = [text(f"panel.key_{name}", lang) for name in (method, "expected")]
    legend(figure, handles, keys, 2, (8 / WIDTH, 1 - 32 / (figure.get_size_inches()[1] * 96)))
    _title(figure, text("panel.figure_prevalence", lang))
    return figure


@drawn
def profile_figure(
    fit: PanelFit, lang: str, a: object = None, b: object = None, points: int = 17, period: int = 0
) -> Figure:
    """Return the profile of the rate from ``a`` to ``b`` (without: of the first move), with its limits."""
    move = fit.moves[0] if a is None or b is None else fit.moves[fit.model.move(a, b)]
    found = fit.profile(*move, points=points, period=period)
    figure = new_figure(360)
    axes = axes_at(figure, 60, 66, WIDTH - 100, 220)
    rates = found.table["rate"].to_numpy()
    axes.plot(rates, found.table["deviance"], color=BLUE, lw=1.8, marker="o", ms=3.5)
    axes.axhline(found.threshold, color=VERMILLION, lw=1, ls="--")
    axes.axvline(found.estimate, color=GREY, lw=0.8)
    for limit in (found.low, found.high):
        if 0 < limit < math.inf:
            axes.plot([limit, limit], [0, found.threshold], color=VERMILLION, lw=1)
    axes.set_xscale("log")
    axes.set_xlim(rates.min(), rates.max())
    axes.set_ylim(0, max(2.2 * found.threshold, 1.0))
    ticks = _ticks(rates.min(), rates.max())
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([_round(tick, lang) for tick in ticks], fontsize=SMALL)
    value_axis(axes, lang, most=5)
    axes.set_xlabel(text("panel.axis_rate_alone", lang))
    write(figure, 12, 38, text("panel.axis_deviance", lang), color=GREY)
    limits = {"low": shown(found.low, lang), "high": shown(found.high, lang)}
    base = fit.model.base[fit.model.move(*move)]
    own_period = when(fit, period, lang) if (base != base[0]).any() else ""
    words = ", ".join(part for part in (written(move), own_period) if part)
    _title(figure, text("panel.figure_profile", lang, move=words, estimate=shown(found.estimate, lang), **limits))
    return figure


def _title(figure: Figure, words: str) -> None:
    write(figure, 12, 8, fold(words, 120), fontsize=SMALL + 2)


FIGURES: Final[Mapping[str, Callable[..., Figure]]] = {
    "rates": rates_figure,
    "prevalence": prevalence_figure,
    "profile": profile_figure,
}
"""The figures by name."""

"""Pictures of a calibration, in the look of the reports: fit, prior to posterior, pairs, profiles, predictive checks.

Each is a PNG named after its structure. Only ``write_figures`` needs anything beyond the calibration itself: profiles
refit the other parameters at every value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

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
    fold,
    legend,
    new_figure,
    value_axis,
    write,
)

from .calibration import FLOWS, PLACED, Calibration
from .posterior import PRIOR_DOMINATED
from .priors import centres, spreads
from .structures import STRUCTURES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

ROW: Final = 22
"""Pixels of a row of a figure."""
PAIRS: Final = 6
"""Pairs of parameters shown, those with the largest rank correlation within a block."""
DEVIANCE: Final = 3.84
"""The deviance at the ends of a 95 % interval (chi-square with one degree of freedom)."""
_NAMES: Final = 56
_LABELS: Final = 430
_HEAD: Final = 64


def write_figures(found: Calibration, folder: Path, lang: str) -> list[Path]:
    """Write every picture of a calibration into ``folder`` in ``lang`` and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in FIGURES.items():
        path = folder / f"{found.structure}-{name}.png"
        draw(found, lang).savefig(path, dpi=96, metadata={"Software": None})
        written.append(path)
    return written


def _title(figure: Figure, key: str, found: Calibration, lang: str) -> None:
    words = text(f"calibration.figure_{key}", lang, structure=STRUCTURES[found.structure].label(lang))
    write(figure, 12, 8, fold(words[:1].upper() + words[1:], 120), fontsize=SMALL + 2)


def _fitted(found: Calibration) -> pd.DataFrame:
    table = found.fit
    return table[(table["role"] == "fit") & (table["block"] != PLACED)].reset_index(drop=True)


def _target_words(table: pd.DataFrame, lang: str) -> list[str]:
    """Return what each target is in one line: who, what, when."""

    def say(kind: str, key: str) -> str:
        return text(f"calibration.{kind}_{key}", lang)

    columns = (table[name] for name in ("group", "measure", "month"))
    found = [f"{say('group', g)}: {say('measure', m)}, {month[:4]}" for g, m, month in zip(*columns, strict=True)]
    return [words[:1].upper() + words[1:] for words in found]


@drawn
def fit_figure(found: Calibration, lang: str) -> Figure:
    """Return each fitted share: the model's median, what would be published (95 %), and what was."""
    table = _fitted(found)
    breaks = [i for i in range(1, len(table)) if table["block"][i] != table["block"][i - 1]]
    places = np.arange(len(table)) + np.searchsorted(breaks, np.arange(len(table)), side="right") + 1.0
    figure = new_figure(_HEAD + 30 + ROW * (places[-1] + 1.5) + 40)
    axes = axes_at(figure, _LABELS, _HEAD + 30, WIDTH - _LABELS - 30, ROW * (places[-1] + 1.5))
    axes.hlines(places, 100 * table["predicted_low"], 100 * table["predicted_high"], color=BLUE, lw=2.5, alpha=0.45)
    axes.hlines(places - 0.22, 100 * table["low"], 100 * table["high"], color=VERMILLION, lw=5)
    axes.plot(100 * table["fitted"], places, "o", color=BLUE, ms=4.5)
    for at, words in zip(places, _target_words(table, lang), strict=True):
        axes.text(-0.02, at, words, transform=_beside(axes), ha="right", va="center")
    for block in table["block"].unique():
        first = places[(table["block"] == block).to_numpy()][0]
        words = text(f"calibration.block_{block}", lang)
        axes.text(-0.02, first - 1, words, transform=_beside(axes), ha="right", va="center", fontweight="bold")
    _rows_axis(axes, places, lang, text("calibration.axis_share", lang))
    axes.axvline(0, color=RULE, lw=0.8, zorder=0)
    handles = [Line2D([], [], color=VERMILLION, lw=5), Line2D([], [], color=BLUE, lw=2.5, marker="o", ms=4.5)]
    keys = [text("calibration.key_published", lang), text("calibration.key_fitted", lang)]
    whole = figure.get_size_inches()[1] * 96
    legend(figure, handles, keys, 2, (8 / WIDTH, 1 - 34 / whole))
    _title(figure, "fit", found, lang)
    return figure


def _beside(axes: Axes):  # type: ignore[no-untyped-def]
    """Return the transform of labels beside rows: axes fractions across, data down."""
    return axes.get_yaxis_transform()


def _rows_axis(axes: Axes, places: np.ndarray, lang: str, label: str) -> None:
    axes.set_ylim(places[-1] + 0.8, places[0] - 1.6)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    value_axis(axes, lang, horizontal=True, most=8)
    axes.set_xlabel(label)


@drawn
def prior_figure(found: Calibration, lang: str) -> Figure:
    """Return each parameter before and after the data, relative to the median of its prior."""
    labels, before, after, places, heads = [], [], [], [], []
    at = 0.0
    for name, posterior in found.posteriors.items():
        heads.append((at + 1, text(f"calibration.block_{name}", lang)))
        at += 1
        priors = posterior.problem.priors
        z = posterior.z - centres(priors)
        for prior, column, sd, contraction in zip(priors, z.T, spreads(priors), posterior.contraction, strict=True):
            at += 1
            mark = " " + text("calibration.prior_dominated", lang) if contraction < PRIOR_DOMINATED else ""
            labels.append(_short(prior.label(lang)) + mark)
            before.append(np.array([-1.96, -0.674, 0, 0.674, 1.96]) * sd)
            after.append(np.quantile(column, [0.025, 0.25, 0.5, 0.75, 0.975]))
            places.append(at)
    lines = np.array(places)
    figure = new_figure(_HEAD + ROW * (at + 1.5) + 46)
    axes = axes_at(figure, _LABELS, _HEAD - 20, WIDTH - _LABELS - 30, ROW * (at + 1.5))
    for levels, colour, shift in ((np.array(before), GREY, -0.16), (np.array(after), BLUE, 0.16)):
        axes.hlines(lines + shift, levels[:, 0], levels[:, 4], color=colour, lw=1.4)
        axes.hlines(lines + shift, levels[:, 1], levels[:, 3], color=colour, lw=4.5)
        axes.plot(levels[:, 2], lines + shift, "o", color=colour, ms=4, mec="white", mew=0.6)
    for place, words in zip(lines, labels, strict=True):
        axes.text(-0.02, place, words, transform=_beside(axes), ha="right", va="center")
    for place, words in heads:
        axes.text(-0.02, place, words, transform=_beside(axes), ha="right", va="center", fontweight="bold")
    axes.axvline(0, color=RULE, lw=0.8, zorder=0)
    _rows_axis(axes, np.array([1.6, *lines]), lang, text("calibration.axis_relative", lang))
    _title(figure, "prior", found, lang)
    return figure


def _short(words: str) -> str:
    return words if len(words) <= _NAMES else words[: _NAMES - 1] + "…"


@drawn
def pairs_figure(found: Calibration, lang: str) -> Figure:
    """Return the pairs of parameters of one block whose draws go most together."""
    pairs = []
    for posterior in found.posteriors.values():
        ranks = np.argsort(np.argsort(posterior.z, axis=0), axis=0)
        together = np.atleast_2d(np.corrcoef(ranks, rowvar=False))
        for i, j in combinations(range(len(together)), 2):
            pairs.append((abs(together[i, j]), together[i, j], posterior, i, j))
    pairs.sort(key=lambda pair: -pair[0])
    size, gap = 210, 88
    rows = -(-PAIRS // 3)
    figure = new_figure(62 + rows * (size + gap))
    for place, (_, strength, posterior, i, j) in enumerate(pairs[:PAIRS]):
        column, row = place % 3, place // 3
        axes = axes_at(figure, 76 + column * (size + 72), 66 + row * (size + gap), size, size)
        first, second = (posterior.problem.priors[k] for k in (i, j))
        axes.plot(
            posterior.z[:, i] - first.centre, posterior.z[:, j] - second.centre, ".", color=BLUE, ms=1.8, alpha=0.4
        )
        value_axis(axes, lang, horizontal=True, most=4)
        value_axis(axes, lang, most=4)
        axes.set_xlabel(fold(first.label(lang), 34), fontsize=SMALL)
        axes.set_ylabel(fold(second.label(lang), 34), fontsize=SMALL)
        axes.set_title(number(strength, lang, 2), fontsize=SMALL, color=GREY)
    _title(figure, "pairs", found, lang)
    return figure


@drawn
def profiles_figure(found: Calibration, lang: str) -> Figure:
    """Return the profile likelihood of every parameter of the cash-benefit flows."""
    posterior = found.posteriors[FLOWS]
    size, gap, across = 190, 84, 4
    rows = -(-len(posterior.problem.ids) // across)
    figure = new_figure(60 + rows * (size * 0.62 + gap))
    for place, prior in enumerate(posterior.problem.priors):
        axes = axes_at(
            figure, 36 + place % across * (size + 30), 92 + place // across * (size * 0.62 + gap), size, size * 0.62
        )
        profile = found.profiles[prior.id]
        axes.plot(100 * profile["value"], profile["deviance"], color=BLUE, lw=1.6)
        axes.axhline(DEVIANCE, color=VERMILLION, lw=1, ls="--")
        axes.set_ylim(0, 12)
        axes.set_title(fold(prior.label(lang), 30), fontsize=SMALL)
        value_axis(axes, lang, " %", horizontal=True, most=3)
        value_axis(axes, lang, most=4)
    write(figure, 12, 30, text("calibration.axis_deviance", lang), color=GREY)
    _title(figure, "profiles", found, lang)
    return figure


@drawn
def checks_figure(found: Calibration, lang: str) -> Figure:
    """Return what the posterior predicts of each share of the flows, and what was published, with p."""
    posterior = found.posteriors[FLOWS]
    table = found.fit[(found.fit["block"] == FLOWS) & (found.fit["role"] == "fit")]
    heads = zip(_target_words(table, lang), table["p"], strict=True)
    predicted = 100 * posterior.predicted()
    size, gap, across = 190, 84, 4
    targets = posterior.problem.targets
    rows = -(-len(targets) // across)
    figure = new_figure(60 + rows * (size * 0.6 + gap))
    for place, (target, column, (head, p)) in enumerate(zip(targets, predicted.T, heads, strict=True)):
        axes = axes_at(
            figure, 26 + place % across * (size + 30), 86 + place // across * (size * 0.6 + gap), size, size * 0.6
        )
        axes.hist(column, bins=40, color=BLUE, alpha=0.55)
        axes.axvline(100 * target.centre, color=VERMILLION, lw=1.8)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        value_axis(axes, lang, " %", horizontal=True, most=4)
        axes.set_title(f"{fold(head, 30)}\np = {number(p, lang, 2)}", fontsize=SMALL)
    _title(figure, "checks", found, lang)
    return figure


FIGURES: Final[Mapping[str, Callable[[Calibration, str], Figure]]] = {
    "fit": fit_figure,
    "prior": prior_figure,
    "pairs": pairs_figure,
    "profiles": profiles_figure,
    "checks": checks_figure,
}
"""The pictures by the name their files end in."""

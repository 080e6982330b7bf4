"""A fit in words and tables, in Danish and English."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from sim.errors import InputError, Problem, nearest
from sim.locale import LANGUAGES, number, text

from .design import written
from .identification import SAME

if TYPE_CHECKING:
    from .results import PanelFit

DIGITS: Final = 4
"""Significant digits shown."""


def summary(fit: PanelFit, lang: str) -> str:
    """Return what was fitted, to what, what came out and what the data do not tell, as Markdown in ``lang``."""
    if lang not in LANGUAGES:
        values = {"value": lang, "allowed": ", ".join(LANGUAGES)}
        raise InputError([Problem("choice", key="lang", values=values, nearest=nearest(lang, LANGUAGES))])

    def say(key: str, **values: object) -> str:
        return text(f"panel.{key}", lang, **values)

    counts = {name: number(value, lang) for name, value in fit.counts.items()}
    parts = [say("title"), say("from", **counts)]
    if fit.counts["repeated_absorbing"]:
        parts.append(say("repeated_absorbing", number=counts["repeated_absorbing"]))
    parts += [say("moves", moves="; ".join(written(move) for move in fit.moves)), *_said(fit, lang)]
    parts += [say("rates"), _rates(fit, lang)]
    if fit.model.covariates:
        parts += [say("ratios"), _ratios(fit, lang)]
    parts += [say("sojourn"), _sojourn(fit, lang)]
    if fit.maximised or fit.warnings:
        # Where nothing was fitted nothing was asked of the data, so nothing is said of what they tell.
        words = "\n".join(f"- {one.words(lang)}" for one in fit.warnings)
        parts += [say("warnings"), words or say("no_warnings")]
    parts.append(say("notes", **counts))
    return "\n\n".join(parts) + "\n"


def _said(fit: PanelFit, lang: str) -> list[str]:
    """Return the sentences on periods, known entries, covariates and the likelihood."""
    model = fit.model
    found = []
    if model.cuts:
        found.append(text("panel.cuts", lang, cuts="; ".join(moment(cut, lang) for cut in model.cuts)))
    if model.exact:
        found.append(text("panel.exact", lang, states=", ".join(model.exact)))
    if model.covariates:
        at = "; ".join(f"{name} = {shown(value, lang)}" for name, value in fit.means.items())
        found.append(text("panel.means", lang, at=at))
    values = {"value": number(fit.minus2loglik, lang, 3), "parameters": number(model.size, lang)}
    if not fit.maximised:
        return [*found, text("panel.evaluated", lang, **values)]
    best = min(start.minus2loglik for start in fit.starts)
    agree = sum(start.minus2loglik <= best + SAME for start in fit.starts)
    return [*found, text("panel.fitted", lang, **values, agree=agree, starts=len(fit.starts))]


def _rates(fit: PanelFit, lang: str) -> str:
    columns = ["move", *(["period"] if fit.model.cuts else []), "rate", "se_log", "interval"]
    rows = []
    for row in _records(fit.table("rates")):
        period = [when(fit, row["period"], lang)] if fit.model.cuts else []
        rows.append([written((row["from"], row["to"])), *period, *_estimate(row, "rate", lang)])
    return table(columns, rows, lang)


def _ratios(fit: PanelFit, lang: str) -> str:
    rows = [
        [row["covariate"], written((row["from"], row["to"])), *_estimate(row, "ratio", lang)]
        for row in _records(fit.table("ratios"))
    ]
    return table(["covariate", "move", "ratio", "se_log", "interval"], rows, lang)


def _estimate(row: dict[Any, Any], key: str, lang: str) -> list[str]:
    """Return estimate, standard error and interval as they are shown; what is not identified says so."""
    estimate, se = shown(row[key], lang), float(row["se_log"])
    if math.isinf(se):
        return [estimate, "∞", text("panel.unidentified", lang)]
    return [estimate, shown(se, lang), between(row, lang)]


def _sojourn(fit: PanelFit, lang: str) -> str:
    columns = ["state", *(["period"] if fit.model.cuts else []), "mean", "interval"]
    unknown = text("panel.unidentified", lang) if fit.maximised else "–"
    rows = []
    for row in _records(fit.table("sojourn")):
        period = [when(fit, row["period"], lang)] if fit.model.cuts else []
        rows.append(
            [row["state"], *period, shown(row["mean"], lang), unknown if math.isnan(row["low"]) else between(row, lang)]
        )
    return table(columns, rows, lang)


def moment(time: float, lang: str) -> str:
    """Return a time as it is written: a year has no sign for thousands.

    >>> moment(2014.25, "da")
    '2014,25'
    """
    found = f"{time:.10g}"
    return found.replace(".", ",") if lang == "da" else found


def when(fit: PanelFit, period: int, lang: str) -> str:
    """Return a period as it is written in ``lang``."""
    found = fit.model.when(period)
    return found.replace(".", ",") if lang == "da" else found


def between(row: dict[Any, Any], lang: str) -> str:
    """Return the limits of a row as they are shown."""
    return f"{shown(row['low'], lang)} … {shown(row['high'], lang)}"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], lang: str) -> str:
    """Return a Markdown table; ``columns`` are keys of its headings."""
    heads = [text(f"panel.col_{name}", lang) for name in columns]
    return "\n".join("| " + " | ".join(line) + " |" for line in [heads, ["---"] * len(heads), *rows])


def shown(value: float, lang: str) -> str:
    """Return a number with four significant digits in the style of ``lang``; ∞ and – for what is none.

    >>> shown(0.01234567, "da"), shown(1234.5, "en"), shown(1.5e-9, "en")
    ('0,01235', '1,234', '1.500e-09')
    """
    value = float(value)
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if math.isnan(value) or value == 0:
        return "–" if math.isnan(value) else "0"
    size = math.floor(math.log10(abs(value)))
    if not -6 < size < 9:
        found = f"{value:.{DIGITS - 1}e}"
        return found.replace(".", ",") if lang == "da" else found
    digits = max(0, DIGITS - 1 - size)
    if round(value, digits) == round(value):
        digits = 0
    return number(value, lang, digits)


def _records(found: pd.DataFrame) -> list[dict[Any, Any]]:
    return found.to_dict("records")

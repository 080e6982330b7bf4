"""The head of the page: its title, the result in sentences, and how much of it is assumed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from .. import plots
from ..headline import FOR_LEVELS, last_months, told
from ..locale import number, percent
from ..measures import MEASURES
from ..uncertainty import split_words
from .folder import Report, unbroken
from .parts import joined
from .words import difference_words, error_of, mean_persons, shows

Line = tuple[Markup, str]
"""A sentence made from the numbers, and what is needed to judge it."""


@dataclass(frozen=True)
class Head:
    """What stands first on the page."""

    title: str
    headlines: list[Line]
    caveat: str


def section(report: Report) -> Head:
    """Return the head of the page."""
    if not report.compares:
        return Head(report.titles[report.base], _levels_headlines(report), _caveat(report))
    title = report.t("title_compare", scenario=report.named(report.others), base=report.quoted[report.base])
    lines: list[Line] = []
    if report.differences is not None:
        for scenario in report.others:
            lines += _differences_headlines(report, scenario, report.differences)
    return Head(title, lines, _caveat(report))


def _caveat(report: Report) -> str:
    """Say how much rests on assumptions."""
    if report.assumptions is None:
        return report.t("caveat")
    counts = {"assumed": len(report.assumed), "used": len(report.assumptions)}
    return f"{report.t('caveat')} {report.t('caveat_assumed', **counts)}"


def _levels_headlines(report: Report) -> list[Line]:
    lines: list[Line] = []
    if report.outcomes is not None:
        rows = last_months(report.outcomes[report.outcomes["group_by"] == "all"])
        found = {row["measure"]: row for row in plots.records(rows)}
        for measure in FOR_LEVELS:
            if measure in found:
                row = found[measure]
                sentence = report.rich(
                    "headline_level",
                    month=report.month(row["month"]),
                    measure=MEASURES[measure].label(report.lang),
                    value=Markup("<strong>{}</strong>").format(plots.amount(row["mean"], "share", report.lang)),
                )
                words = [report.t("headline_among", population=MEASURES[measure].population(report.lang))]
                if not report.single:
                    low, high = (plots.amount(row[name], "share", report.lang) for name in ("p5", "p95"))
                    words.append(report.t("headline_level_band", low=low, high=high))
                lines.append((sentence, joined(*words)))
    return lines


def _differences_headlines(report: Report, scenario: str, differences: pd.DataFrame) -> list[Line]:
    mine = differences[differences["scenario"] == scenario]
    names = {"scenario": report.quoted[scenario], "base": report.quoted[report.base]}
    last = {row["measure"]: row for row in plots.records(last_months(mine[mine["group_by"] == "all"]))}
    shown, hidden = told(mine)
    chosen = [*shown, *hidden]
    if not any(last[measure]["estimate"] or last[measure]["se"] > 0 for measure in chosen):
        return [_quiet_line(report, scenario, mine, names)]
    if all(math.isnan(error_of(last[measure])) for measure in chosen):
        return [(report.rich("headline_single", **names), "")]
    lines = [_shown_line(report, measure, last[measure], mine, names) for measure in shown[:3]]
    lines += [_hidden_line(report, measure, last[measure], names) for measure in hidden[:2]]
    (sentence, why), *others = lines
    return [(sentence, joined(why, *_split(report, scenario, chosen[0]))), *others]


def _split(report: Report, scenario: str, measure: str) -> list[str]:
    """Say what part of a difference's variance is luck, and what each structure gives."""
    if report.uncertainty is None or report.single:
        return []
    return [unbroken(words) for words in split_words(report.uncertainty, scenario, measure, report.lang)]


def _quiet_line(report: Report, scenario: str, mine: pd.DataFrame, names: Mapping[str, str]) -> Line:
    """Say what happened when none of the chosen measures differs at its end."""
    pairs = pd.DataFrame(report.proof["pairs"]) if report.proof else pd.DataFrame(columns=["scenario", "touched"])
    touched = pairs.loc[pairs["scenario"] == scenario, "touched"]
    differs = mine[["estimate", "se", "low", "high"]].fillna(0).ne(0).any(axis=1)
    if len(touched) and not touched.any() and not differs.any():
        return report.rich("headline_same", **names), ""
    why = []
    if touched.any():
        residents = number(round((touched + pairs.loc[touched.index, "untouched"]).mean()), report.lang)
        words = {"touched": mean_persons(touched.mean(), report.lang), "residents": residents}
        why.append(report.t("headline_touched", **words))
    if differs[mine["measure"] != "never_served"].any():
        why.append(report.t("headline_earlier"))
    queue = last_months(mine[(mine["measure"] == "never_served") & (mine["group_by"] == "all")])
    why += [
        report.t("headline_queue", persons=plots.change(row["estimate"], "persons", report.lang))
        for row in plots.records(queue)
        if row["estimate"]
    ]
    return report.rich("headline_quiet", **names), joined(*why, _leisure_note(report, scenario, mine))


def _leisure_note(report: Report, scenario: str, mine: pd.DataFrame) -> str:
    """Say when the leisure-job measure has no month in which the scenario's activities could be seen."""
    plans = {one["id"]: one["activities"] for one in report.scenarios}
    starts = [item["start"] for item in plans[scenario] if item not in plans[report.base]]
    months = mine.loc[mine["measure"] == "leisure_job_26h", "month"]
    if not starts or (len(months) and months.max() >= min(starts)):
        return ""
    measure = MEASURES["leisure_job_26h"].label(report.lang)
    last = report.t("december_last", month=report.month(months.max())) if len(months) else report.t("december_none")
    return report.t("headline_december", measure=measure, last=last)


def _shown_line(report: Report, measure: str, row: plots.Row, mine: pd.DataFrame, names: Mapping[str, str]) -> Line:
    unit = MEASURES[measure].unit
    words = difference_words(report, measure, row)
    amount = plots.change(abs(row["estimate"]), unit, report.lang, sign=False)
    size = Markup("<strong>{}</strong>").format(report.t("headline_size", value=amount, points=words["points"]))
    direction = report.t("more" if row["estimate"] > 0 else "less")
    sentence = report.rich(f"headline_{unit}", **names, **words, size=size, direction=direction)
    error = plots.change(error_of(row), unit, report.lang, sign=False)
    after = [
        report.t("headline_band", **words),
        report.t("headline_sure", **words, error=error, above=percent(row["p_above_zero"], report.lang, 0)),
    ]
    if len(report.others) > 1:
        return sentence, " ".join(after)
    taking = mine[(mine["group_by"] == "participant") & (mine["group"] == "yes") & (mine["measure"] == measure)]
    for part in plots.records(taking[taking["month"] == row["month"]]):
        if shows(part):
            after.append(report.t("headline_participants", **difference_words(report, measure, part)))
    return sentence, " ".join(after)


def _hidden_line(report: Report, measure: str, row: plots.Row, names: Mapping[str, str]) -> Line:
    unit = MEASURES[measure].unit
    words = difference_words(report, measure, row)
    sentence = report.rich("headline_hidden", **names, **words)
    error = error_of(row)
    why = report.t(
        "headline_hidden_why",
        **{key: words[key] for key in ("estimate", "points", "population")},
        low=plots.change(row["estimate"] - error, unit, report.lang),
        high=plots.change(row["estimate"] + error, unit, report.lang),
        luck_low=words["low"],
        luck_high=words["high"],
        replicates=number(row["replicates"], report.lang),
    )
    if not row["estimate"]:
        return sentence, why
    needed = float(f"{row['replicates'] * (error / abs(row['estimate'])) ** 2:.2g}")
    return sentence, f"{why} {report.t('headline_needed', replicates=number(needed, report.lang))}"

"""How the base fits the published numbers, or why that cannot be judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pandas as pd

from .. import plots
from ..locale import percent
from ..measures import COHORTS
from ..sources import flow_targets
from ..uncertainty import listed
from .folder import Report
from .parts import Figure, Table, joined, write_figure
from .words import between, mean_persons

_TEST: Final = "cash_benefit_cohorts_2011"
"""The shipped scenario that can be held against the published shares."""


@dataclass(frozen=True)
class Observed:
    """The section on the fit."""

    met: str
    """How many targets are met, or why that cannot be judged."""
    figure: Figure


def section(report: Report) -> Observed | None:
    """Return the section on published and simulated numbers of the base."""
    needed = ("target", "published", "low", "high", "simulated", "sim_low", "sim_high", "se", "reading")
    frame = report.csv("observed.csv", *needed)
    if frame is None:
        return None
    data = plots.observed_data(frame)
    return Observed(_met(report, data), _figure(report, data))


def _met(report: Report, data: pd.DataFrame) -> str:
    """Count the targets that are met, or say why that cannot be judged."""
    scored = data[data["scored"]]
    if scored.empty:
        return _too_small(report, data["scenario"].iloc[0])
    miss = scored["miss"].abs().round(9)
    return report.t(
        "observed_sentence",
        targets=len(scored),
        inside=int(scored["inside"].sum()),
        one=int((miss <= 0.01).sum()),
        two=int((miss <= 0.02).sum()),
        scenario=report.quoted[scored["scenario"].iloc[0]],
    )


def _too_small(report: Report, scenario: str) -> str:
    """Say that the shares are computed too loosely to be judged, and what run can be."""
    recipe = {one["id"]: one["population"]["recipe"] for one in report.scenarios}[scenario]
    if recipe == "cohorts_2011":
        return report.t("observed_few")
    sizes = [""]
    if report.flows is not None:
        mine = report.flows[report.flows["scenario"] == scenario]
        persons = mine.groupby("cohort")["persons"].sum()
        counted = [
            report.t(
                "observed_size",
                persons=mean_persons(persons[cohort], report.lang),
                cohort=report.t(f"group_cohort_{cohort}"),
            )
            for cohort in COHORTS
            if cohort in persons
        ]
        sizes = [report.t("observed_sizes", sizes=listed(counted, report.lang))]
    return joined(report.t("observed_small"), *sizes, report.t("observed_test", test=_TEST))


def _figure(report: Report, data: pd.DataFrame) -> Figure:
    """Draw published against simulated numbers."""
    judged = bool(data["scored"].any())
    body = []
    for row in plots.records(data):
        cells = [
            row[f"label_{report.lang}"],
            plots.published(row, report.lang),
            percent(row["simulated"], report.lang),
            *([] if report.single else [between(report, row["sim_low"], row["sim_high"], "share")]),
            plots.change(row["miss"], "share", report.lang),
        ]
        verdict = report.t("yes" if row["inside"] else "no") if row["scored"] else report.t("not_scored")
        body.append([*cells, verdict] if judged else cells)
    spread = [] if report.single else ["observed_spread"]
    keys = ["observed_target", "published", "simulated", *spread, "observed_miss"]
    keys += ["observed_within"] if judged else []
    rests = int(data["target"].isin([target.id for target in flow_targets() if target.remainder]).sum())
    words = [
        report.t("observed_caption"),
        "" if report.single else report.t("observed_line"),
        report.t("observed_rests", rests=rests) if rests else "",
        report.t("observed_others") if (data["reading"] != "a").any() else "",
    ]
    return write_figure(
        report,
        "observed",
        plots.observed_figure(data, report.lang),
        plots.observed_alt(data, report.lang),
        data,
        joined(*words),
        Table(report.t("numbers_behind"), [report.t(key) for key in keys], [("", body)]),
    )

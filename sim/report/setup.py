"""What was run: the scenarios, and what another person needs to make the numbers again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..locale import number
from .folder import Report
from .parts import Cell, Table


@dataclass(frozen=True)
class Setup:
    """The section on what was run."""

    estimand: str
    """Exactly which difference is shown; of a comparison only."""
    scenarios: Table
    run: list[tuple[str, str]]


def section(report: Report) -> Setup:
    """Return the section on what was run."""
    estimand = report.t("estimand", base=report.quoted[report.base]) if report.compares else ""
    return Setup(estimand, _scenarios(report), _run(report))


def _scenarios(report: Report) -> Table:
    """List the scenarios: who, how long, which activities."""
    rows: list[Sequence[Cell]] = []
    for scenario in report.scenarios:
        role = ("role_base" if scenario["id"] == report.base else "role_compared") if report.compares else ""
        population, horizon = scenario["population"], scenario["horizon"]
        residents = number(population["residents"], report.lang)
        usual = scenario["economy"]["usual_activation"]
        planned = [
            report.t(
                "activity_value",
                activity=report.activities[item["id"]],
                places=number(item["places"], report.lang),
                start=report.month(item["start"]),
                end=report.month(item["end"]),
            )
            for item in scenario["activities"]
        ]
        planned += [report.t("no_activation")] if planned and not usual else []
        start = report.month(horizon["start"])
        title = report.titles[scenario["id"]]
        rows.append(
            (
                (title, report.t(role)) if role else title,
                report.t(f"recipe_{population['recipe']}", residents=residents),
                report.t("horizon_value", months=horizon["months"], start=start),
                "; ".join(planned) or report.t("no_activities" if usual else "no_activation"),
            )
        )
    columns = [report.t(key) for key in ("scenario", "population", "horizon", "activities")]
    return Table(report.t("table_setup"), columns, [("", rows)], words=True)


def _run(report: Report) -> list[tuple[str, str]]:
    """Say how the numbers were made, the command last."""
    manifest = report.manifest
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    sizes = {key: number(manifest[key], report.lang) for key in ("replicates", "draws")}
    return [
        (report.t("size"), f"{sizes['replicates']} × {sizes['draws']}"),
        (report.t("seed"), str(manifest["seed"])),
        (report.t("parameters"), report.t("parameters_value", **manifest["parameters"])),
        (report.t("program"), f"Jobveje {manifest['jobveje']} ({versions})"),
        (report.t("when"), f"{manifest['started']} – {manifest['ended']}, {manifest['platform']}"),
        (report.t("command"), manifest["command"]),
    ]

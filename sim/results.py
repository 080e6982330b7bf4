"""Results as objects: tables with fixed columns, saved to and loaded from a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .activities import catalogue
from .activities.base import CLARIFIED
from .errors import Problem, ResultError, nearest
from .locale import default_language
from .measures import MEASURES
from .parameters import Dealt, Parameter, ParameterSet
from .runs import UNCERTAINTY, Runs
from .scenario import Scenario
from .sources import flow_targets
from .variance import POOLED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MANIFEST = "manifest.json"
DIGITS = "%.10g"
"""How numbers are written in CSV files."""

_TEXT_COLUMNS = (
    *("scenario", "against", "structure", "view", "month", "group_by", "group", "measure", "interval", "activity"),
    *(
        "target",
        "reading",
        "label_da",
        "label_en",
        "reason_da",
        "reason_en",
        "id",
        "unit",
        "grade",
        "source",
        "date",
        "note_da",
        "note_en",
        "used_by",
        "parameter",
        "age_group",
        "sex",
        "origin",
    ),
    *("of", "cohort", "month_0", "month_1", "month_2", "group_0", "group_1", "group_2"),
)
"""Columns that hold text in whatever table they stand."""

ONLY_FITTED_WITH = frozenset({"control_age_sd"})
"""Parameters that the calibration reads and a run does not."""

FILES: Mapping[str, str] = {
    "outcomes": "outcomes.parquet",
    "summary": "outcomes.csv",
    "differences": "differences.csv",
    "uncertainty": "uncertainty.csv",
    "participants": "participants.parquet",
    "queues": "queues.csv",
    "costs": "costs.csv",
    "assumptions": "assumptions.csv",
    "observed": "observed.csv",
    "flows": "flows.csv",
    "area_change": "area_change.csv",
    "population": "population.csv",
    "left_out": "population_left_out.csv",
    "pyramid": "pyramid.csv",
    "sensitivity": "sensitivity.csv",
}
"""File of each table."""

REPORT = "report.html"
"""The page that says a run or comparison is wholly finished."""

OWN_FILES = (*FILES.values(), MANIFEST, "pairing.json", REPORT)
"""Files of a result, besides ``figures/`` and ``shards/``."""

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "outcomes": (
        "scenario",
        "structure",
        "draw",
        "replicate",
        "view",
        "month",
        "group_by",
        "group",
        "measure",
        "value",
    ),
    "participants": (
        "scenario",
        "draw",
        "replicate",
        "resident",
        "activity",
        "referred",
        "queued",
        "enrolled",
        "ended",
        "how",
    ),
    "queues": (
        "scenario",
        "activity",
        "draw",
        "replicate",
        "month",
        "places",
        "enrolled",
        "waiting",
        "referred",
        "started",
        "completed",
        "dropped_out",
        "gave_up",
        "declined",
        "left_queue",
        "left_target_group",
        "closed",
        *CLARIFIED,
        "took_opening",
        "contacted",
        "covered",
    ),
    "costs": ("scenario", "activity", "draw", "replicate", "year", "payer", "item", "amount_dkk", "price_year"),
    "flows": ("scenario", "cohort", "month_0", "month_1", "month_2", "group_0", "group_1", "group_2", "persons"),
    "area_change": (
        "scenario",
        "draw",
        "replicate",
        "month",
        "measure",
        "total",
        "stayers",
        "leavers",
        "newcomers",
    ),
    "population": ("target", "published", "made", "expected_error"),
    "left_out": ("target", "reason_da", "reason_en"),
    "uncertainty": UNCERTAINTY,
    "pyramid": ("age_group", "sex", "origin", "persons"),
    "sensitivity": (
        "parameter",
        "scenario",
        "label_da",
        "label_en",
        "unit",
        "value",
        "low",
        "high",
        "measure",
        "month",
        "estimate",
        "interval_low",
        "interval_high",
        "shift_low",
        "shift_high",
        "se",
        "share_of_interval",
        "replicates",
    ),
}
"""Columns of the tables that a run fills or leaves empty."""

PLOTS = (
    *("states", "flows", "differences", "forest", "observed", "queues"),
    *("funnel", "pyramid", "population", "sensitivity", "structures"),
)
"""Names of the figures; a figure of one scenario among several carries its id after a hyphen."""


class Result:
    """What a run or a comparison found.

    ``manifest`` says how it was made; :meth:`table` gives its tables; :meth:`save` and :meth:`load` keep it in a
    folder.
    """

    def __init__(self, manifest: dict[str, Any], tables: Mapping[str, pd.DataFrame], pairing: Any = None) -> None:
        self.manifest = manifest
        self.tables = dict(tables)
        self.pairing = pairing

    def table(self, name: str = "summary", view: str | None = "individual", **only: str) -> pd.DataFrame:
        """Return the table ``name``, with ``only`` the rows of the given values.

        ``table("differences", measure="employed")`` keeps one measure. ``view`` is ``individual`` (the residents of the
        start, wherever they live), ``area`` (those who live there now) or None for both.
        Raises ``ResultError`` for a table or column that is not there.
        """
        if name not in self.tables:
            raise ResultError([_choice("table", name, self.tables)])
        found = self.tables[name]
        unknown = [column for column in only if column not in found]
        if unknown:
            raise ResultError([_choice("column", column, found.columns) for column in unknown])
        if view is not None and "view" in found:
            found = found[found["view"] == view]
        for column, value in only.items():
            found = found[found[column] == value]
        return found.reset_index(drop=True)

    def plot(self, name: str = "states", lang: str | None = None) -> Figure:
        """Return the figure ``name`` (one of ``PLOTS``: states, flows, differences, ...).

        ``lang`` is ``da`` or ``en``; without it that of JOBVEJE_LANG, else Danish.

        Raises ``ResultError`` for a figure that does not exist or that this result has no data for.
        """
        from . import plots

        if name not in PLOTS:
            raise ResultError([_choice("plot", name, PLOTS)])
        return plots.of_result(name, self.tables, self.manifest, lang or default_language())

    def save(self, folder: str | Path) -> Path:
        """Write every table, the manifest last, into ``folder`` (made if missing) and return it.

        Files of an earlier result in it that this one does not have are removed, so that the two never mix.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name in {*OWN_FILES} - {FILES[name] for name in self.tables} - {MANIFEST}:
            (folder / name).unlink(missing_ok=True)
        for name, table in self.tables.items():
            path = folder / FILES[name]
            write = _write_parquet if path.suffix == ".parquet" else _write_csv
            write_atomically(path, partial(write, table))
        if self.pairing is not None:
            write_json(folder / "pairing.json", self.pairing)
        write_json(folder / MANIFEST, self.manifest)
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Result:
        """Read a result back from ``folder``.

        Raises ``ResultError`` when the folder holds no result.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        tables = {}
        for name, file in FILES.items():
            path = folder / file
            if path.is_file():
                tables[name] = pd.read_parquet(path) if path.suffix == ".parquet" else read_csv(path)
        path = folder / "pairing.json"
        return cls(manifest, tables, json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None)


def read_csv(path: Path) -> pd.DataFrame:
    """Read a table of a result; texts stay texts, even those that look like numbers (a scenario called ``007``).

    Raises ``OSError`` or pandas' parsing errors as they come.
    """
    return pd.read_csv(path, dtype=dict.fromkeys(_TEXT_COLUMNS, str), keep_default_na=False, na_values=[""])


def _choice(key: str, value: str, allowed: Any) -> Problem:
    names = [str(name) for name in allowed]
    return Problem(
        "choice", key=key, values={"value": value, "allowed": ", ".join(names)}, nearest=nearest(value, names)
    )


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    table.to_parquet(path, index=False)


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False, float_format=DIGITS, lineterminator="\n")


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a file beside ``path`` and put it in place only when it is whole."""
    part = path.with_name(path.name + ".part")
    write(part)
    os.replace(part, path)


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as readable JSON, atomically."""
    text = json.dumps(content, indent=1, ensure_ascii=False, sort_keys=False) + "\n"
    write_atomically(path, lambda part: part.write_bytes(text.encode("utf-8", "backslashreplace")))


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a result folder.

    Raises ``ResultError`` when there is no folder, no manifest, or one that cannot be read.
    """
    if not folder.is_dir():
        raise ResultError([Problem("folder_missing", values={"folder": folder})])
    path = folder / MANIFEST
    if not path.is_file():
        raise ResultError([Problem("not_a_result", values={"folder": folder})])
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ResultError([Problem("manifest_damaged", values={"folder": folder})]) from error
    if not isinstance(manifest, dict) or "job" not in manifest:
        raise ResultError([Problem("manifest_damaged", values={"folder": folder})])
    return manifest


def summarise(outcomes: pd.DataFrame, months: list[str]) -> pd.DataFrame:
    """Return mean, sd and percentiles over draws and replicates for the given months.

    With several structures those of each, and of all of them pooled.
    """
    kept = outcomes[outcomes["month"].isin(months) & outcomes["value"].notna()]
    if kept["structure"].nunique() > 1:
        kept = pd.concat([kept.assign(structure=POOLED), kept], ignore_index=True)
    keys = ["scenario", "structure", "view", "month", "group_by", "group", "measure"]
    groups = kept.groupby(keys, sort=False, observed=True)
    quantiles = groups["value"].quantile(np.array([0.05, 0.5, 0.95])).unstack()
    summary = groups.agg(
        mean=("value", "mean"), sd=("value", "std"), replicates=("replicate", "nunique"), draws=("draw", "nunique")
    )
    summary = summary.assign(p5=quantiles[0.05], p50=quantiles[0.5], p95=quantiles[0.95]).reset_index()
    return summary[[*keys, "mean", "sd", "p5", "p50", "p95", "replicates", "draws"]]


def reported_months(months: list[str]) -> list[str]:
    """Return the months of the summaries: the start, each December and the last."""
    return [m for i, m in enumerate(months) if i in (0, len(months) - 1) or m.endswith("-12")]


def assumptions(scenarios: Sequence[Scenario], draws: Sequence[Dealt] = ()) -> pd.DataFrame:
    """Return every parameter ``scenarios`` use, with its card; what a scenario sets is an assumption of its author.

    ``draws`` are those of the run. A parameter whose card is another in some structures has a row for each, named in
    ``structure`` (empty: the same in all); 95 % of the values drawn lie from ``draw_low`` to ``draw_high``.
    """
    names = list(dict.fromkeys(draw.structure for draw in draws)) or [scenarios[0].parameters]
    found: dict[tuple[str, Parameter], list[str]] = {}
    for name in names:
        for id, card in ParameterSet.read(name).items():
            if id not in ONLY_FITTED_WITH:
                found.setdefault((id, card), []).append(name)
    rows = [
        {**_card(card, id, None), "used_by": "model", "structure": ", ".join(of) if len(of) < len(names) else ""}
        | _drawn(id, [draw for draw in draws if draw.structure in of])
        for (id, card), of in found.items()
    ]
    users: dict[tuple[str, float], list[str]] = {}
    cards: dict[tuple[str, float], dict[str, Any]] = {}
    for scenario in scenarios:
        for item in scenario.activities:
            for id, card in catalogue()[item.activity].parameters.items():
                value = item.values[id]
                key = (f"{item.activity}.{id}", value)
                own = value != card.value
                cards[key] = _card(card, key[0], value if own else None) | _drawn(key[0], () if own else draws)
                if item.id not in users.setdefault(key, []):
                    users[key].append(item.id)
    rows += [{**card, "used_by": ", ".join(users[key]), "structure": ""} for key, card in cards.items()]
    return pd.DataFrame(rows)


def _drawn(id: str, draws: Sequence[Dealt]) -> dict[str, float]:
    """Return the limits of 95 % of what was drawn for a parameter; NaN for one that does not vary."""
    values = [draw.values[id] for draw in draws if id in draw.values]
    low, high = np.quantile(values, (0.025, 0.975)) if values else (np.nan, np.nan)
    return {"draw_low": float(low), "draw_high": float(high)}


def _card(card: Parameter, id: str, set_here: float | None) -> dict[str, Any]:
    low, high = card.range
    return {
        "id": id,
        "label_da": card.label_da,
        "label_en": card.label_en,
        "value": card.value if set_here is None else set_here,
        "unit": card.unit,
        "low": low,
        "high": high,
        "grade": card.grade if set_here is None else "D",
        "source": ";".join(card.source) if set_here is None else "scenario",
        "date": card.date,
        "note_da": card.note_da if set_here is None else f"sat i scenariet; kortet siger {card.value:g}",
        "note_en": card.note_en if set_here is None else f"set in the scenario; the card says {card.value:g}",
    }


def population(scenario: Scenario) -> pd.DataFrame:
    """Return the published marginals the scenario's people are made from, and what was made of them."""
    from . import marginals

    parameters = ParameterSet.read(scenario.parameters)
    return marginals.check(scenario.recipe, parameters, scenario.residents)[list(COLUMNS["population"])]


def left_out() -> pd.DataFrame:
    """Return the published rows about the people of 2011 that the recipe does not use, each with its reason."""
    from . import marginals

    return pd.DataFrame(marginals.left_out(), columns=list(COLUMNS["left_out"]))


def observed(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Return every published target the run can be held against, beside the simulated share and its 95 % limits.

    The limits are those of one area: of luck, and with several draws of luck and parameters, over all structures.
    """
    of = {name: {getattr(target, name) for target in flow_targets()} for name in _OF_TARGET}
    people = outcomes[outcomes["view"] == "individual"]
    people = people[np.logical_and.reduce([people[name].isin(values) for name, values in of.items()])]
    rows = []
    runs = Runs(people)
    for scenario in people["scenario"].unique():
        found = runs.analysed(runs.of(scenario))
        found = found[found["structure"] == found["structure"].iloc[0]]
        last = "both" if "low_both" in found else "luck"
        at = found.set_index(list(_OF_TARGET))
        for target in flow_targets():
            key = tuple(getattr(target, name) for name in _OF_TARGET)
            if key not in at.index:
                continue
            row = at.loc[key]
            measure = MEASURES[target.measure]
            rows.append(
                {
                    "target": target.id,
                    "published": target.published,
                    "low": target.low,
                    "high": target.high,
                    "simulated": row["estimate"],
                    "sim_low": np.clip(row[f"low_{last}"], 0, 1),
                    "sim_high": np.clip(row[f"high_{last}"], 0, 1),
                    "se": row["se"],
                    "scenario": scenario,
                    "reading": target.reading,
                    "label_da": f"{_COHORT_LABELS[target.group][0]} → {measure.label_da}, {target.month[:4]}"
                    + (" (anden læsning)" if target.reading == "b" else ""),
                    "label_en": f"{_COHORT_LABELS[target.group][1]} → {measure.label_en}, {target.month[:4]}"
                    + (" (other reading)" if target.reading == "b" else ""),
                    "inside": bool(target.low - 1e-9 <= row["estimate"] <= target.high + 1e-9),
                }
            )
    columns = ["target", "published", "low", "high", "simulated", "sim_low", "sim_high", "se", "scenario"]
    return pd.DataFrame(rows, columns=[*columns, "reading", "label_da", "label_en", "inside"])


_OF_TARGET = ("measure", "group_by", "group", "month")
_COHORT_LABELS = {
    "job_ready_2011": ("jobparate 2011", "job-ready 2011"),
    "activity_ready_2011": ("aktivitetsparate 2011", "activity-ready 2011"),
}

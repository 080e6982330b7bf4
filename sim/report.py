"""The report of a finished result folder: one self-contained page, and its figures with their numbers.

Everything is read from the folder's plain files, so a report can be made again at any time and in either
language.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import jinja2
import pandas as pd
from markupsafe import Markup

from . import plots
from .changes import digits, size_words, source_words
from .errors import Problem, ResultError
from .grounds import Change, Effect, Item, items, reached, room, waiting
from .headline import (
    DECISIVE,
    FOR_LEVELS,
    LAST_FITTED,
    apart,
    computing_error,
    headline_measures,
    last_months,
    one_view,
    pooled,
    told,
    told_band,
)
from .locale import messages, month_name, number, percent, text
from .measures import COHORTS, MEASURES
from .parameters import GRADES, UNITS
from .results import DIGITS, read_csv, read_manifest, write_atomically
from .scenario import month_number, month_text
from .sources import ASSUMPTION, flow_targets, source_of
from .uncertainty import (
    apart_words,
    beyond_words,
    estimate_words,
    listed,
    parameter_words,
    split_words,
    structures_of,
)
from .variance import INTERVALS

_TEMPLATE: Final = Path(__file__).parent / "locale" / "report.html"
_LIMITS: Final = ("displacement", "births", "barriers", "demand", "once", "long_run", "effect", "parameters", "alone")
_TEST: Final = "cash_benefit_cohorts_2011"
"""The shipped scenario that can be held against the published shares."""
_FULL: Final = 0.9
"""Share of the places in use below which the places are not what holds an activity back."""
_AT_A_GLANCE: Final = 6
"""Activity items up to which the effects of all stand open on the page."""
_COURSE: Final = ["scenario", "activity"]
_RUN: Final = [*_COURSE, "draw", "replicate"]
_STEPS: Final = {
    "table_queues_before": ("referred", "declined", "gave_up", "left_queue", "waiting", "started"),
    "table_queues_after": ("started", "completed", "dropped_out", "left_target_group", "closed", "enrolled"),
}
"""The two halves of a course: the first of each is the sum of the others."""

Cell = str | tuple[str, str]
"""What stands in a table: words, or words with smaller words below."""


@dataclass(frozen=True)
class Table:
    """A table of the page: ``bodies`` holds (heading or nothing, rows), and a row's first cell names it."""

    caption: str
    columns: Sequence[str]
    bodies: Sequence[tuple[str, Sequence[Sequence[Cell]]]]
    note: str = ""
    words: bool = False
    """Cells are words, not numbers."""


@dataclass(frozen=True)
class Figure:
    """A figure of the page, with the table of its numbers."""

    name: str
    svg: Markup
    caption: str
    table: Table
    open: bool = False


def occupancy(queues: pd.DataFrame) -> pd.DataFrame:
    """Return, by scenario and activity item, the mean over the months with places, and ``left``: waiting at the end.

    The mean is of ``places``, ``enrolled`` and ``waiting``; all three are 0 where there were never any places.
    """
    months = queues[queues["places"] > 0].groupby(_COURSE, sort=False)[["places", "enrolled", "waiting"]].mean()
    left = course_totals(queues)["waiting"].rename("left")
    return months.reindex(left.index, fill_value=0.0).join(left).reset_index()


def occupancy_words(row: plots.Row, lang: str, activity: str, scenario: str) -> str:
    """Say of one row of ``occupancy`` how many places were in use, and whether it is places that are short."""
    if not row["places"]:
        return text("report.occupancy_none", lang, activity=activity, scenario=scenario)
    filled, places = number(row["enrolled"], lang, 1), number(row["places"], lang)
    said = text("report.occupancy", lang, activity=activity, scenario=scenario, filled=filled, places=places)
    idle = row["enrolled"] < _FULL * row["places"] and row["waiting"] < 1
    return f"{said} {text('report.occupancy_idle', lang)}" if idle else said


def course_totals(queues: pd.DataFrame) -> pd.DataFrame:
    """Return the mean flows over the whole run and the stocks at its end, by scenario and activity item."""
    how = {step: "last" if step in ("waiting", "enrolled") else "sum" for steps in _STEPS.values() for step in steps}
    runs = queues.sort_values("month", kind="stable").groupby(_RUN, sort=False).agg(how)
    return runs.groupby(_COURSE, sort=False).mean()


def pairing_words(proof: Mapping[str, Any], names: Mapping[str, str], lang: str) -> str:
    """Say how many residents each scenario touches in a replicate, and that the others' lives are checked and equal."""
    pairs = pd.DataFrame(proof["pairs"])
    touched = [
        _mean(mean, lang) + (f" ({names[str(scenario)]})" if pairs["scenario"].nunique() > 1 else "")
        for scenario, mean in pairs.groupby("scenario", sort=False)["touched"].mean().items()
    ]
    return text(
        "report.pairing_same" if pairs["replicate"].nunique() > 1 else "report.pairing_same_single",
        lang,
        touched=listed(touched, lang),
        residents=number(round((pairs["touched"] + pairs["untouched"]).mean()), lang),
        pairs=number(len(pairs), lang),
    )


def _mean(value: float, lang: str) -> str:
    """Write a mean number of persons, with a decimal when it is small and not whole."""
    return number(value, lang, 0 if value >= 10 or float(value).is_integer() else 1)


def write_report(folder: Path, lang: str) -> Path:
    """Draw the figures of the result in ``folder``, write ``report.html`` beside them and return its path.

    Only ``report.html`` and the figures are written. Raises ``ResultError`` when the folder holds no result
    or one of its files cannot be used.
    """
    report = _Report(Path(folder), lang)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(report=report, t=report.t, lang=lang)
    path = report.folder / "report.html"
    write_atomically(path, lambda part: part.write_text(page, encoding="utf-8", newline="\n"))
    return path


class _Report:
    """What the page shows, each section from a file of the folder; without the file the section is empty."""

    def __init__(self, folder: Path, lang: str) -> None:
        self.folder = folder
        self.lang = lang
        self.manifest = read_manifest(folder)
        self.scenarios: list[dict[str, Any]] = self.manifest["scenarios"]
        self.titles = plots.titles(self.manifest, lang)
        self.compares = self.manifest["kind"] == "compare"
        self.base: str = self.manifest["against"] if self.compares else self.scenarios[0]["id"]
        self.others = [id for id in self.titles if id != self.base]
        self.activities = plots.activity_labels(self.manifest, lang)
        self.quoted = {id: plots.quoted(title, lang) for id, title in self.titles.items()}
        self.single = self.manifest["replicates"] == 1
        self.drawn = self.manifest["draws"] > 1

    def t(self, key: str, **values: object) -> str:
        """Return a text of the report in its language; with several draws of the parameters its own text for that."""
        if self.drawn and f"{key}_both" in messages("report"):
            key = f"{key}_both"
        return _unbroken(text(f"report.{key}", self.lang, **values))

    def _month(self, month: str) -> str:
        return month_name(month, self.lang).replace(" ", "\N{NO-BREAK SPACE}")

    def _rich(self, key: str, **values: object) -> Markup:
        """Return a text with ``values`` that may be markup; everything else is escaped."""
        return Markup(self.t(key)).format(**values)

    def _titles(self, ids: Iterable[str]) -> str:
        """Return the quoted titles of scenarios as a list in words."""
        return listed([self.quoted[id] for id in ids], self.lang)

    # --- files ----------------------------------------------------------------------------------------------

    def _read(self, name: str, columns: Sequence[str], read: Callable[[Path], pd.DataFrame]) -> pd.DataFrame | None:
        """Return a file of the folder, or None when it is not there or has no rows."""
        path = self.folder / name
        if not path.is_file():
            return None
        try:
            frame = read(path)
        except (OSError, ValueError) as error:
            raise ResultError([Problem("unreadable", values={"path": path, "reason": error})]) from error
        missing = [column for column in columns if column not in frame]
        if missing:
            reason = ", ".join(missing)
            raise ResultError([Problem("unreadable", values={"path": path, "reason": reason})])
        return frame if len(frame) else None

    def _csv(self, name: str, *columns: str) -> pd.DataFrame | None:
        return self._read(name, columns, read_csv)

    @cached_property
    def differences(self) -> pd.DataFrame | None:
        """Differences with the band of one area, over all structures, in the order of the scenarios."""
        needed = ("scenario", "view", "measure", "month", "estimate", "se", "low", "high", "interval", "structure")
        frame = self._csv("differences.csv", *needed)
        if frame is None:
            return None
        frame = told_band(frame)
        return frame.sort_values("scenario", key=lambda ids: ids.map(self.others.index), kind="stable")

    @cached_property
    def outcomes(self) -> pd.DataFrame | None:
        """Summary of the outcomes."""
        frame = self._csv("outcomes.csv", "scenario", "structure", "view", "measure", "month", "mean", "p5", "p95")
        return None if frame is None else one_view(pooled(frame))

    @cached_property
    def uncertainty(self) -> pd.DataFrame | None:
        """What luck and parameters do to every number; nothing with one draw of the parameters."""
        needed = ("scenario", "of", "view", "measure", "month", "structure", "estimate", "se", "share_parameters")
        return self._csv("uncertainty.csv", *needed, *(f"{end}_{n}" for n in INTERVALS for end in ("low", "high")))

    @cached_property
    def assumptions(self) -> pd.DataFrame | None:
        """Cards of the parameters used."""
        frame = self._csv("assumptions.csv", "id", "label_da", "label_en", "value", "low", "high", "grade", "source")
        return None if frame is None else frame.fillna({"note_da": "", "note_en": "", "source": ""})

    @cached_property
    def proof(self) -> dict[str, Any] | None:
        """The proof of the pairing."""
        path = self.folder / "pairing.json"
        if not path.is_file():
            return None
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ResultError([Problem("unreadable", values={"path": path, "reason": error})]) from error
        return found

    # --- head -----------------------------------------------------------------------------------------------

    @property
    def title(self) -> str:
        """The page's title."""
        if not self.compares:
            return self.titles[self.base]
        return self.t("title_compare", scenario=self._titles(self.others), base=self.quoted[self.base])

    @property
    def headlines(self) -> list[tuple[Markup, str]]:
        """The result in sentences made from the numbers, each with what is needed to judge it."""
        if not self.compares:
            return self._levels_headlines()
        if self.differences is None:
            return []
        return [line for scenario in self.others for line in self._differences_headlines(scenario, self.differences)]

    def _levels_headlines(self) -> list[tuple[Markup, str]]:
        lines = []
        if self.outcomes is not None:
            rows = last_months(self.outcomes[self.outcomes["group_by"] == "all"])
            found = {row["measure"]: row for row in plots.records(rows)}
            for measure in FOR_LEVELS:
                if measure in found:
                    row = found[measure]
                    sentence = self._rich(
                        "headline_level",
                        month=self._month(row["month"]),
                        measure=MEASURES[measure].label(self.lang),
                        value=Markup("<strong>{}</strong>").format(plots.amount(row["mean"], "share", self.lang)),
                    )
                    words = [self.t("headline_among", population=MEASURES[measure].population(self.lang))]
                    if not self.single:
                        low, high = (plots.amount(row[name], "share", self.lang) for name in ("p5", "p95"))
                        words.append(self.t("headline_level_band", low=low, high=high))
                    lines.append((sentence, _joined(*words)))
        return lines

    @staticmethod
    def _error(row: plots.Row) -> float:
        return computing_error(row["se"], row["replicates"])

    def _shows(self, row: plots.Row) -> bool:
        """Tell whether the computing error leaves zero out."""
        return bool(abs(row["estimate"]) > self._error(row))

    def _differences_headlines(self, scenario: str, differences: pd.DataFrame) -> list[tuple[Markup, str]]:
        mine = differences[differences["scenario"] == scenario]
        names = {"scenario": self.quoted[scenario], "base": self.quoted[self.base]}
        last = {row["measure"]: row for row in plots.records(last_months(mine[mine["group_by"] == "all"]))}
        shown, hidden = told(mine)
        chosen = [*shown, *hidden]
        if not any(last[measure]["estimate"] or last[measure]["se"] > 0 for measure in chosen):
            return [self._quiet_line(scenario, mine, names)]
        if all(math.isnan(self._error(last[measure])) for measure in chosen):
            return [(self._rich("headline_single", **names), "")]
        lines = [self._shown_line(measure, last[measure], mine, names) for measure in shown[:3]]
        lines += [self._hidden_line(measure, last[measure], names) for measure in hidden[:2]]
        (sentence, why), *others = lines
        return [(sentence, _joined(why, *self._split(scenario, chosen[0]))), *others]

    def _split(self, scenario: str, measure: str) -> list[str]:
        """Say what part of a difference's variance is luck, and what each structure gives."""
        if self.uncertainty is None or self.single:
            return []
        return [_unbroken(words) for words in split_words(self.uncertainty, scenario, measure, self.lang)]

    def _quiet_line(self, scenario: str, mine: pd.DataFrame, names: Mapping[str, str]) -> tuple[Markup, str]:
        """Say what happened when none of the chosen measures differs at its end."""
        pairs = pd.DataFrame(self.proof["pairs"]) if self.proof else pd.DataFrame(columns=["scenario", "touched"])
        touched = pairs.loc[pairs["scenario"] == scenario, "touched"]
        differs = mine[["estimate", "se", "low", "high"]].fillna(0).ne(0).any(axis=1)
        if len(touched) and not touched.any() and not differs.any():
            return self._rich("headline_same", **names), ""
        why = []
        if touched.any():
            residents = number(round((touched + pairs.loc[touched.index, "untouched"]).mean()), self.lang)
            why.append(self.t("headline_touched", touched=_mean(touched.mean(), self.lang), residents=residents))
        if differs[mine["measure"] != "never_served"].any():
            why.append(self.t("headline_earlier"))
        queue = last_months(mine[(mine["measure"] == "never_served") & (mine["group_by"] == "all")])
        why += [
            self.t("headline_queue", persons=plots.change(row["estimate"], "persons", self.lang))
            for row in plots.records(queue)
            if row["estimate"]
        ]
        return self._rich("headline_quiet", **names), _joined(*why, self._leisure_note(scenario, mine))

    def _leisure_note(self, scenario: str, mine: pd.DataFrame) -> str:
        """Say when the leisure-job measure has no month in which the scenario's activities could be seen."""
        plans = {one["id"]: one["activities"] for one in self.scenarios}
        starts = [item["start"] for item in plans[scenario] if item not in plans[self.base]]
        months = mine.loc[mine["measure"] == "leisure_job_26h", "month"]
        if not starts or (len(months) and months.max() >= min(starts)):
            return ""
        measure = MEASURES["leisure_job_26h"].label(self.lang)
        last = self.t("december_last", month=self._month(months.max())) if len(months) else self.t("december_none")
        return self.t("headline_december", measure=measure, last=last)

    def _words(self, measure: str, row: plots.Row) -> dict[str, str]:
        """Return what every sentence on a difference says."""
        unit = MEASURES[measure].unit
        return {
            "measure": MEASURES[measure].label(self.lang),
            "population": MEASURES[measure].population(self.lang),
            "month": self._month(row["month"]),
            "points": plots.points(measure, self.lang),
            "estimate": plots.change(row["estimate"], unit, self.lang),
            "low": plots.change(row["low"], unit, self.lang),
            "high": plots.change(row["high"], unit, self.lang),
        }

    def _shown_line(
        self, measure: str, row: plots.Row, mine: pd.DataFrame, names: Mapping[str, str]
    ) -> tuple[Markup, str]:
        unit = MEASURES[measure].unit
        words = self._words(measure, row)
        size = Markup("<strong>{}</strong>").format(
            self.t(
                "headline_size",
                value=plots.change(abs(row["estimate"]), unit, self.lang, sign=False),
                points=words["points"],
            )
        )
        direction = self.t("more" if row["estimate"] > 0 else "less")
        sentence = self._rich(f"headline_{unit}", **names, **words, size=size, direction=direction)
        error = plots.change(self._error(row), unit, self.lang, sign=False)
        after = [
            self.t("headline_band", **words),
            self.t("headline_sure", **words, error=error, above=percent(row["p_above_zero"], self.lang, 0)),
        ]
        if len(self.others) > 1:
            return sentence, " ".join(after)
        taking = mine[(mine["group_by"] == "participant") & (mine["group"] == "yes") & (mine["measure"] == measure)]
        for part in plots.records(taking[taking["month"] == row["month"]]):
            if self._shows(part):
                after.append(self.t("headline_participants", **self._words(measure, part)))
        return sentence, " ".join(after)

    def _hidden_line(self, measure: str, row: plots.Row, names: Mapping[str, str]) -> tuple[Markup, str]:
        unit = MEASURES[measure].unit
        words = self._words(measure, row)
        sentence = self._rich("headline_hidden", **names, **words)
        error = self._error(row)
        why = self.t(
            "headline_hidden_why",
            **{key: words[key] for key in ("estimate", "points", "population")},
            low=plots.change(row["estimate"] - error, unit, self.lang),
            high=plots.change(row["estimate"] + error, unit, self.lang),
            luck_low=words["low"],
            luck_high=words["high"],
            replicates=number(row["replicates"], self.lang),
        )
        if not row["estimate"]:
            return sentence, why
        needed = float(f"{row['replicates'] * (error / abs(row['estimate'])) ** 2:.2g}")
        return sentence, f"{why} {self.t('headline_needed', replicates=number(needed, self.lang))}"

    @property
    def estimand(self) -> str:
        """Say exactly which difference is shown."""
        return self.t("estimand", base=self.quoted[self.base])

    @property
    def caveat(self) -> str:
        """Say how much rests on assumptions."""
        if self.assumptions is None:
            return self.t("caveat")
        counts = {"assumed": len(self._assumed()), "used": len(self.assumptions)}
        return f"{self.t('caveat')} {self.t('caveat_assumed', **counts)}"

    # --- what was run ---------------------------------------------------------------------------------------

    @property
    def setup(self) -> Table:
        """The scenarios: who, how long, which activities."""
        rows: list[Sequence[Cell]] = []
        for scenario in self.scenarios:
            role = ("role_base" if scenario["id"] == self.base else "role_compared") if self.compares else ""
            population, horizon = scenario["population"], scenario["horizon"]
            residents = number(population["residents"], self.lang)
            usual = scenario["economy"]["usual_activation"]
            planned = [
                self.t(
                    "activity_value",
                    activity=self.activities[item["id"]],
                    places=number(item["places"], self.lang),
                    start=self._month(item["start"]),
                    end=self._month(item["end"]),
                )
                for item in scenario["activities"]
            ]
            planned += [self.t("no_activation")] if planned and not usual else []
            start = self._month(horizon["start"])
            title = self.titles[scenario["id"]]
            rows.append(
                (
                    (title, self.t(role)) if role else title,
                    self.t(f"recipe_{population['recipe']}", residents=residents),
                    self.t("horizon_value", months=horizon["months"], start=start),
                    "; ".join(planned) or self.t("no_activities" if usual else "no_activation"),
                )
            )
        columns = [self.t(key) for key in ("scenario", "population", "horizon", "activities")]
        return Table(self.t("table_setup"), columns, [("", rows)], words=True)

    @property
    def run(self) -> list[tuple[str, str]]:
        """How the numbers were made: what another person needs to make them again."""
        manifest = self.manifest
        versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
        sizes = {key: number(manifest[key], self.lang) for key in ("replicates", "draws")}
        return [
            (self.t("size"), f"{sizes['replicates']} × {sizes['draws']}"),
            (self.t("seed"), str(manifest["seed"])),
            (self.t("parameters"), self.t("parameters_value", **manifest["parameters"])),
            (self.t("program"), f"Jobveje {manifest['jobveje']} ({versions})"),
            (self.t("when"), f"{manifest['started']} – {manifest['ended']}, {manifest['platform']}"),
            (self.t("command"), manifest["command"]),
        ]

    # --- figures --------------------------------------------------------------------------------------------

    def _figure(
        self,
        name: str,
        drawing: plots.Figure,
        alt: str,
        data: pd.DataFrame,
        caption: str,
        table: Table,
        open: bool = False,
    ) -> Figure:
        """Write a figure and its numbers into ``figures`` and return it for the page."""
        place = self.folder / "figures"
        place.mkdir(exist_ok=True)
        drawn = plots.svg(drawing, alt, name)
        write_atomically(place / f"{name}.svg", lambda part: part.write_text(drawn, encoding="utf-8", newline="\n"))
        write_atomically(
            place / f"{name}.csv",
            lambda part: data.to_csv(part, index=False, lineterminator="\n", float_format=DIGITS),
        )
        note = self.t("all_numbers", file=f"figures/{name}.csv")
        return Figure(name, Markup(drawn), caption, replace(table, note=_joined(table.note, note)), open)

    def _difference_cell(self, row: plots.Row) -> Cell:
        unit = MEASURES[row["measure"]].unit
        if math.isnan(row["estimate"]):
            return "–"
        written = plots.change(row["estimate"], unit, self.lang)
        if math.isnan(row["se"]):
            return written
        sure = self._shows(row) or not (row["estimate"] or row["se"]) or row["measure"] in self._nobody_in_base
        low, high = (plots.change(row[name], unit, self.lang) for name in ("low", "high"))
        return written + ("" if sure else "°"), self.t("to", low=low, high=high)

    @cached_property
    def _nobody_in_base(self) -> frozenset[str]:
        """Counts of persons that are 0 throughout the base: any of them in a scenario is a difference."""
        if self.outcomes is None:
            return frozenset()
        most = self.outcomes[self.outcomes["scenario"] == self.base].groupby("measure")["mean"].max()
        return frozenset(str(key) for key in most.index[most == 0] if MEASURES[str(key)].unit == "persons")

    @property
    def _mark_note(self) -> str:
        return "" if self.single else self.t("table_mark")

    def _usual(self, rows: pd.DataFrame) -> str:
        """Return whom most of the measures in ``rows`` count."""
        return Counter(MEASURES[m].population(self.lang) for m in rows["measure"].unique()).most_common(1)[0][0]

    def _measure_cell(self, measure: str, usual: str) -> Cell:
        """Name a measure with its unit, and who is counted when that is not as usual."""
        label, population = MEASURES[measure].label(self.lang), MEASURES[measure].population(self.lang)
        if MEASURES[measure].unit != "share":
            label = f"{label} ({plots.points(measure, self.lang)})"
        return label if population == usual else (label, population)

    @property
    def difference_tables(self) -> list[Table]:
        """All measures for all residents, each December and the last month, a table a scenario."""
        if self.differences is None:
            return []
        frame = self.differences[self.differences["group_by"] == "all"]
        first = self.scenarios[0]["horizon"]["start"]
        months = self._milestones(month for month in frame["month"] if month > first)
        tables = []
        for scenario, rows in frame.groupby("scenario", sort=False):
            usual = self._usual(rows)
            body: list[Sequence[Cell]] = []
            moving = rows[["estimate", "low", "high"]].fillna(0).ne(0).any(axis=1)
            moved = moving.groupby(rows["measure"]).any()
            same = [str(measure) for measure in rows["measure"].unique() if not moved[measure]]
            kept = rows[~rows["measure"].isin(same)] if len(same) < len(moved) else rows
            for measure, of in kept.groupby("measure", sort=False):
                at = {row["month"]: self._difference_cell(row) for row in plots.records(of)}
                body.append([self._measure_cell(str(measure), usual), *(at.get(month, "–") for month in months)])
            caption = self.t("table_differences", base=self.quoted[self.base], scenario=self.quoted[str(scenario)])
            columns = [self.t("measure"), *(self._month(month) for month in months)]
            note = [self.t("table_differences_note"), "" if self.single else self.t("table_luck"), self._mark_note]
            note.append(self.t("usual", population=usual))
            if same:
                names = ", ".join(MEASURES[measure].label(self.lang) for measure in same)
                note.append(self.t("table_same", base=self.quoted[self.base], measures=names))
            tables.append(Table(caption, columns, [("", body)], _joined(*note)))
        return tables

    @staticmethod
    def _milestones(months: Iterable[str]) -> list[str]:
        """Return the Decembers and the last of ``months``."""
        found = sorted(set(months))
        return [month for month in found if month.endswith("-12") or month == found[-1]]

    @cached_property
    def difference_figure(self) -> Figure | None:
        """The headline differences over the months."""
        if self.differences is None or plots.differences_data(self.differences).empty:
            return None
        data = plots.differences_data(self.differences)
        bodies = []
        for (measure, scenario), rows in data.groupby(["measure", "scenario"], sort=False):
            heading = f"{MEASURES[str(measure)].label(self.lang)}: {self.titles[str(scenario)]}"
            body = [
                (
                    self._month(row["month"]),
                    *_split(self._difference_cell(row))[: 1 if self.single else 2],
                    plots.points(str(measure), self.lang),
                )
                for row in plots.records(rows[rows["month"].isin(self._milestones(rows["month"]))])
            ]
            bodies.append((heading, body))
        keys = ("month", "difference", *(() if self.single else ("luck_band",)), "unit")
        columns = [self.t(key) for key in keys]
        caption = self.t("differences_caption", base=self.quoted[self.base])
        return self._figure(
            "differences",
            plots.differences_figure(data, self.lang, self.titles),
            plots.differences_alt(data, self.lang, self.titles),
            data,
            _joined(caption, "" if self.single else self.t("band_long")),
            Table(self.t("numbers_behind"), columns, bodies, self._mark_note),
        )

    @cached_property
    def group_figure(self) -> Figure | None:
        """The headline differences in every group at the end."""
        if self.differences is None or plots.forest_data(self.differences).empty:
            return None
        data = plots.forest_data(self.differences)
        measures = list(dict.fromkeys(data["measure"]))
        months = data.groupby("measure")["month"].first()
        bodies = []
        for (scenario, group_by), rows in data.groupby(["scenario", "group_by"], sort=False):
            cells = {(row["group"], row["measure"]): self._difference_cell(row) for row in plots.records(rows)}
            body = [
                [
                    plots.group_label(str(group_by), group, self.lang, len(self.others) > 1),
                    *(cells.get((group, measure), "–") for measure in measures),
                ]
                for group in dict.fromkeys(rows["group"])
            ]
            heading = self.t(f"by_{group_by}") if group_by != "all" else ""
            words = [self.titles[str(scenario)]] if len(self.others) > 1 else []
            bodies.append((": ".join([*words, *([heading] if heading else [])]), body))
        columns = [
            self.t("group"),
            *(
                f"{MEASURES[m].label(self.lang)}, {self._month(months[m])} ({plots.points(m, self.lang)})"
                for m in measures
            ),
        ]
        caption = self.t("table_groups", base=self.quoted[self.base], scenario=self._titles(self.others))
        return self._figure(
            "forest",
            plots.forest_figure(data, self.lang, self.titles),
            plots.forest_alt(data, self.lang, self.titles),
            data,
            self.t("groups_caption", base=self.quoted[self.base]),
            Table(caption, columns, bodies, self._mark_note),
            open=True,
        )

    @property
    def levels(self) -> Table | None:
        """Levels: the months of one scenario, or the end of all."""
        if self.outcomes is None:
            return None
        frame = self.outcomes[self.outcomes["group_by"] == "all"]
        if self.compares:
            frame = last_months(frame).assign(column=lambda rows: rows["scenario"])
            columns = {id: f"{title}, {self._month(frame['month'].max())}" for id, title in self.titles.items()}
        else:
            frame = frame.assign(column=frame["month"])
            columns = {month: self._month(month) for month in self._milestones(frame["month"])}
        usual = self._usual(frame)
        body = []
        for measure, rows in frame.groupby("measure", sort=False):
            unit = MEASURES[str(measure)].unit
            cells: dict[str, Cell] = {
                row["column"]: (
                    plots.amount(row["mean"], unit, self.lang),
                    "" if self.single else self._range(row["p5"], row["p95"], unit),
                )
                for row in plots.records(rows)
                if not math.isnan(row["mean"])
            }
            cell = self._measure_cell(str(measure), usual)
            if self.compares and rows["month"].max() < frame["month"].max():
                cell = _split(cell)[0], _joined(_split(cell)[1], self._month(rows["month"].max()))
            body.append([cell, *(cells.get(column, "–") for column in columns)])
        band = "" if self.single else self.t("table_levels_band")
        note = _joined(self.t("table_levels_note"), band, self.t("usual", population=usual))
        return Table(self.t("table_levels"), [self.t("measure"), *columns.values()], [("", body)], note)

    def _range(self, low: float, high: float, unit: str) -> str:
        """Write an interval of levels, with the unit once; a dash where there is none."""
        if math.isnan(low):
            return "–"
        first = number(100 * low, self.lang, 1) if unit == "share" else plots.amount(low, unit, self.lang)
        return self.t("to", low=first, high=plots.amount(high, unit, self.lang))

    @cached_property
    def state_figure(self) -> Figure | None:
        """What the residents do, month by month."""
        columns = ["scenario", "view", "month", "group_by", "measure", "value"]
        frame = self._read(
            "outcomes.parquet",
            columns,
            lambda path: pd.read_parquet(path, columns=columns, filters=[("group_by", "==", "all")]),
        )
        if frame is None:
            return None
        data = plots.states_data(one_view(frame))
        shown = data.assign(share=(100 * data["share"]).round(1)).groupby(["month", "part"])["share"]
        same = self.compares and bool((shown.nunique() == 1).all())
        if same:
            data = data[data["scenario"] == self.base]
        parts = list(dict.fromkeys(data["part"]))
        bodies = []
        for scenario, rows in data.groupby("scenario", sort=False):
            wide = rows.pivot(index="month", columns="part", values="share")[parts]
            months = sorted({wide.index.min(), *self._milestones(wide.index)})
            body = [[self._month(month), *(percent(share, self.lang) for share in wide.loc[month])] for month in months]
            bodies.append((self.titles[str(scenario)], body))
        return self._figure(
            "states",
            plots.states_figure(data, self.lang, self.titles),
            plots.states_alt(data, self.lang, self.titles),
            data,
            _joined(self.t("states_caption"), self.t("states_same", base=self.quoted[self.base]) if same else ""),
            Table(
                self.t("numbers_behind"),
                [self.t("month"), *(plots.part_label(part, self.lang) for part in parts)],
                bodies,
            ),
        )

    @cached_property
    def flows(self) -> pd.DataFrame | None:
        """Persons of the cohorts by group at start, in the middle and at the end."""
        return self._csv("flows.csv", "scenario", "cohort", "month_0", "group_0", "group_1", "group_2", "persons")

    @cached_property
    def path_figures(self) -> list[Figure]:
        """The cohorts' paths: the base's, and those of scenarios that differ from it."""
        if self.flows is None:
            return []
        data = plots.flows_data(self.flows)
        paths = ["cohort", "group_0", "group_1", "group_2"]
        shares = {
            str(id): rows.set_index(paths)["share"].mul(100).round(1)
            for id, rows in data.groupby("scenario", sort=False)
        }
        base = self.base if self.base in shares else next(iter(shares))
        differ = [id for id in shares if id != base and (shares[id].sub(shares[base], fill_value=0) != 0).any()]
        alike = [id for id in shares if id != base and id not in differ]
        figures = []
        for id in [base, *differ]:
            rows = data[data["scenario"] == id]
            words = [f"{self.quoted[id]}." if differ else "", self.t("paths_caption")]
            if id == base and alike:
                words.append(self.t("paths_same", scenario=self._titles(alike)))
            figures.append(
                self._figure(
                    "flows" if id == base else f"flows-{id}",
                    plots.flows_figure(rows, self.lang),
                    plots.flows_alt(rows, self.lang),
                    rows,
                    _joined(*words),
                    self._paths_table(rows),
                )
            )
        return figures

    def _paths_table(self, rows: pd.DataFrame) -> Table:
        bodies = []
        months: list[str] = []
        for cohort, mine in rows.groupby("cohort", sort=False):
            months = [mine[f"month_{step}"].iloc[0] for step in range(3)]
            shares = [mine.groupby(f"group_{step}")["share"].sum() for step in range(3)]
            present = [group for group in plots.GROUPS if any(group in of.index for of in shares)]
            body = [
                [self.t(f"path_{group}"), *(percent(float(of.get(group, 0.0)), self.lang) for of in shares)]
                for group in present
            ]
            bodies.append((self.t(f"group_cohort_{cohort}"), body))
        columns = [self.t("group"), *(self._month(month) for month in months)]
        return Table(self.t("numbers_behind"), columns, bodies)

    # --- people ---------------------------------------------------------------------------------------------

    @cached_property
    def pyramid_figure(self) -> Figure | None:
        """The residents at the start by age, sex and origin."""
        frame = self._csv("pyramid.csv", "age_group", "sex", "origin", "persons")
        if frame is None:
            return None
        data = plots.pyramid_data(frame)
        groups = list(dict.fromkeys(zip(data["sex"], data["origin"], strict=True)))
        body: list[Sequence[Cell]] = [
            [str(band).replace("-", "–"), *(number(persons, self.lang) for persons in rows["persons"])]
            for band, rows in data.groupby("age_group", sort=False)
        ]
        names = [
            ", ".join(plots.group_label(by, key, self.lang) for by, key in zip(("sex", "origin"), group, strict=True))
            for group in groups
        ]
        return self._figure(
            "pyramid",
            plots.pyramid_figure(data, self.lang),
            plots.pyramid_alt(data, self.lang),
            data,
            self.t("pyramid_caption"),
            Table(self.t("numbers_behind"), [self.t("age_heading"), *names], [("", body)]),
        )

    @cached_property
    def population(self) -> pd.DataFrame | None:
        """Published marginals and what was made of them."""
        frame = self._csv("population.csv", "target", "published", "made", "expected_error")
        return None if frame is None else plots.population_data(frame)

    @cached_property
    def area_table(self) -> Table | None:
        """How the area's shares changed and why, at the last month; nothing where nobody moves in."""
        frame = self._csv("area_change.csv", "scenario", "month", "measure", "total", "stayers", "leavers", "newcomers")
        if frame is None or not frame["newcomers"].any():
            return None
        parts = ("total", "stayers", "leavers", "newcomers")
        last = frame[frame["month"] == frame["month"].max()]
        bodies = []
        for scenario, rows in last.groupby("scenario", sort=False):
            means = rows.groupby("measure", sort=False)[list(parts)].mean()
            body = [
                [
                    MEASURES[str(key)].label(self.lang),
                    *(plots.change(row[part], "share", self.lang) for part in parts),
                ]
                for key, row in means.iterrows()
            ]
            bodies.append((self.titles[str(scenario)] if self.compares else "", body))
        caption = self.t("table_area", month=self._month(frame["month"].max()))
        columns = [self.t("measure"), *(self.t(f"area_{part}") for part in parts)]
        return Table(caption, columns, bodies, self.t("table_area_note"))

    @property
    def population_sentence(self) -> str:
        """Count the marginals that are met as well as can be expected."""
        if self.population is None:
            return ""
        within = int(self.population["within"].sum())
        return self.t("population_sentence", targets=len(self.population), within=within)

    @cached_property
    def population_figure(self) -> Figure | None:
        """Published marginals against those of the residents at the start."""
        if self.population is None:
            return None
        bodies = []
        for ages, rows in self.population.groupby("ages", sort=False):
            body = [
                [
                    plots.target_label(row["target"], self.lang),
                    percent(row["published"], self.lang),
                    percent(row["made"], self.lang),
                    plots.change(row["made"] - row["published"], "share", self.lang),
                    plots.change(row["expected_error"], "share", self.lang, sign=False),
                ]
                for row in plots.records(rows)
            ]
            bodies.append((plots.ages_heading(str(ages), self.lang), body))
        columns = ("observed_target", "published", "made", "observed_miss", "population_error")
        return self._figure(
            "population",
            plots.population_figure(self.population, self.lang),
            plots.population_alt(self.population, self.lang),
            self.population,
            self.t("population_caption"),
            Table(self.t("numbers_behind"), [self.t(key) for key in columns], bodies),
        )

    # --- places and queue -----------------------------------------------------------------------------------

    @cached_property
    def queues(self) -> pd.DataFrame | None:
        """Monthly stocks and flows of every activity."""
        steps = dict.fromkeys(step for steps in _STEPS.values() for step in steps)
        return self._csv("queues.csv", *_RUN, "month", "places", *steps)

    @cached_property
    def _drawn_queues(self) -> pd.DataFrame:
        """The queues that are drawn: of many courses those with the most participants."""
        assert self.queues is not None
        started = self.queues.groupby(_COURSE, sort=False)["started"].sum()
        if len(started) <= _AT_A_GLANCE:
            return self.queues
        most = started.nlargest(_AT_A_GLANCE).index
        return self.queues[pd.MultiIndex.from_frame(self.queues[_COURSE]).isin(most)]

    @property
    def _left_out_words(self) -> str:
        """Say how many courses the figures leave out."""
        if self.queues is None:
            return ""
        every = len(self.queues[_COURSE].drop_duplicates())
        shown = len(self._drawn_queues[_COURSE].drop_duplicates())
        return self.t("queues_left_out", shown=shown, every=every) if shown < every else ""

    @cached_property
    def queue_figure(self) -> Figure | None:
        """Places, enrolled and waiting over the months."""
        if self.queues is None:
            return None
        data = plots.queues_data(self._drawn_queues)
        bodies = []
        for (scenario, activity), rows in data.groupby(["scenario", "activity"], sort=False):
            kept = rows[rows["month"].isin(self._milestones(rows["month"]))]
            body = [
                [
                    self._month(row["month"]),
                    *(number(row[name], self.lang, 1) for name in ("places", "enrolled", "waiting")),
                ]
                for row in plots.records(kept)
            ]
            bodies.append((f"{self.activities[str(activity)]} ({self.titles[str(scenario)]})", body))
        columns = [self.t("month"), *(self.t(f"queue_{name}") for name in ("places", "enrolled", "waiting"))]
        return self._figure(
            "queues",
            plots.queues_figure(data, self.lang, self.titles, self.activities),
            plots.queues_alt(data, self.lang, self.titles, self.activities),
            data,
            _joined(self.t("queues_caption"), self._left_out_words),
            Table(self.t("numbers_behind"), columns, bodies),
        )

    @cached_property
    def funnel_figure(self) -> Figure | None:
        """From referral to completion."""
        if self.queues is None:
            return None
        data = plots.funnel_data(self._drawn_queues)
        bodies = []
        for (scenario, activity), rows in data.groupby(["scenario", "activity"], sort=False):
            body = []
            for row in plots.records(rows):
                limits = self.t("to", low=number(row["low"], self.lang), high=number(row["high"], self.lang))
                cells = [self.t(f"funnel_{row['step']}"), number(row["mean"], self.lang, 1)]
                body.append(cells if self.single else [*cells, limits])
            bodies.append((f"{self.activities[str(activity)]} ({self.titles[str(scenario)]})", body))
        columns = ["funnel_step", "funnel_mean", *([] if self.single else ["observed_spread"])]
        return self._figure(
            "funnel",
            plots.funnel_figure(data, self.lang, self.titles, self.activities),
            plots.funnel_alt(data, self.lang, self.titles, self.activities),
            data,
            _joined(
                self.t("funnel_caption"),
                "" if self.single else self.t("funnel_line"),
                self.t("funnel_open"),
                self._left_out_words,
            ),
            Table(self.t("numbers_behind"), [self.t(key) for key in columns], bodies),
        )

    @property
    def queue_table(self) -> Table | None:
        """How many were referred, began, completed and left, over the whole run."""
        if self.queues is None:
            return None
        totals = course_totals(self.queues)
        courses = [(str(scenario), str(activity)) for scenario, activity in totals.index]
        names = [f"{self.activities[activity]}: {self.titles[scenario]}" for scenario, activity in courses]
        if len(courses) > _AT_A_GLANCE:
            every = list(dict.fromkeys(step for steps in _STEPS.values() for step in steps))
            rows = [[number(mean, self.lang, 1) for mean in totals.loc[course, every]] for course in totals.index]
            body = [[name, *row] for name, row in zip(names, rows, strict=True)]
            columns = [self.t("grounds_activity"), *(self.t(f"course_{step}") for step in every)]
            return Table(self.t("table_queues"), columns, [("", body)])
        bodies = [
            (
                self.t(heading),
                [[self.t(f"course_{step}"), *(number(mean, self.lang, 1) for mean in totals[step])] for step in steps],
            )
            for heading, steps in _STEPS.items()
        ]
        columns = names
        return Table(self.t("table_queues"), [self.t("course_step"), *columns], bodies, self.t("table_queues_note"))

    @property
    def occupancy(self) -> list[str]:
        """Say of every activity how many of its places were in use."""
        if self.queues is None:
            return []
        return [
            occupancy_words(row, self.lang, self.activities[row["activity"]], self.quoted[row["scenario"]])
            for row in plots.records(occupancy(self.queues))
        ]

    @property
    def never_served(self) -> list[str]:
        """Say how many referred people never had a place."""
        if self.queues is None or self.outcomes is None:
            return []
        rows = last_months(self.outcomes[self.outcomes["group_by"] == "all"])
        rows = rows[(rows["measure"] == "never_served") & rows["scenario"].isin(set(self.queues["scenario"]))]
        return [
            self.t(
                "never_served_single" if self.single else "never_served",
                scenario=self.quoted[row["scenario"]],
                persons=number(row["mean"], self.lang, 1),
                low=number(row["p5"], self.lang, 1),
                high=number(row["p95"], self.lang, 1),
            )
            for row in plots.records(rows)
        ]

    # --- what the result rests on -----------------------------------------------------------------------------

    @cached_property
    def grounds(self) -> list[Item]:
        """The activity items of all scenarios with what they change, those that change something first."""
        found = [] if self.assumptions is None else items(self.scenarios, self.assumptions)
        return sorted(found, key=lambda item: not item.acting)

    @cached_property
    def _reached(self) -> Mapping[tuple[str, str], plots.Row]:
        """How many persons each item acted on."""
        return {} if self.queues is None else _by_item(reached(self.queues))

    @cached_property
    def _waited(self) -> Mapping[tuple[str, str], plots.Row]:
        """How long people waited for each item."""
        columns = [*_COURSE, "queued", "enrolled"]
        frame = self._read("participants.parquet", columns, lambda path: pd.read_parquet(path, columns=columns))
        return {} if frame is None else _by_item(waiting(frame))

    @property
    def grounds_words(self) -> list[str]:
        """Say for every scenario how many of its activities change something, and with what kind of evidence."""
        said = []
        for scenario in dict.fromkeys(item.scenario for item in self.grounds):
            mine = [item for item in self.grounds if item.scenario == scenario]
            grades = Counter("measured" if item.grade in "AB" else "assumed" for item in mine if item.grade)
            counts = {key: number(grades[key], self.lang) for key in ("measured", "assumed")}
            idle = number(len(mine) - grades.total(), self.lang)
            words = {"scenario": self.quoted[scenario], "items": number(len(mine), self.lang), "idle": idle}
            holding = sum(item.type.occupies for item in mine)
            held = self.t("grounds_holding", holding=number(holding, self.lang)) if holding else ""
            said.append(_joined(self.t("grounds_words", **words, **counts), held))
        said += [self._room_words(item, plan) for item in self.grounds for plan in self._plan(item)]
        return [words for words in said if words]

    def _plan(self, item: Item) -> list[Mapping[str, Any]]:
        plans = next(one["activities"] for one in self.scenarios if one["id"] == item.scenario)
        return [plan for plan in plans if plan["id"] == item.id]

    def _room_words(self, item: Item, plan: Mapping[str, Any]) -> str:
        """Say how many people the places of a course with a caseload can take in, and how many began."""
        horizon = next(one["horizon"] for one in self.scenarios if one["id"] == item.scenario)
        found = room(plan, month_text(month_number(horizon["start"]) + horizon["months"]))
        counted = self._reached.get((item.scenario, item.id))
        if found is None or counted is None:
            return ""
        mean, months, most = found
        return self.t(
            "grounds_room",
            activity=self.activities[item.id],
            scenario=self.quoted[item.scenario],
            places=number(plan["places"], self.lang),
            mean=number(mean, self.lang, 1),
            months=number(months, self.lang),
            most=number(most, self.lang),
            started=number(counted["started"], self.lang, 1),
        )

    @property
    def grounds_overview(self) -> Table | None:
        """One row an activity item: whom it acted on, what it rests on, and how long people waited."""
        if not self.grounds:
            return None
        bodies = [
            (self.titles[scenario], [self._grounds_row(item) for item in self.grounds if item.scenario == scenario])
            for scenario in dict.fromkeys(item.scenario for item in self.grounds)
        ]
        keys = ("acting", "grade", "persons", "wait_mean", "wait_longest", "wait_never")
        columns = [self.t("grounds_activity"), *(self.t(f"grounds_{key}") for key in keys)]
        return Table(self.t("grounds_overview"), columns, bodies, self.t("grounds_overview_note"))

    def _grounds_row(self, item: Item) -> Sequence[Cell]:
        waited = self._waited.get((item.scenario, item.id))
        waits = ["–"] * 3
        if waited is not None:
            waits = [number(waited["mean"], self.lang, 1), number(waited["longest"], self.lang)]
            waits.append(percent(waited["never"], self.lang, 0))
        acting = self.t("grounds_of", acting=len(item.acting), all=len(item.changes))
        held: Cell = (acting, self.t("grounds_held")) if item.type.occupies else acting
        return [self.activities[item.id], held, item.grade or "–", self._persons(item), *waits]

    def _persons(self, item: Item) -> Cell:
        """Say on how many persons an item acted in a run."""
        counted = self._reached.get((item.scenario, item.id))
        if counted is None:
            return "–"
        if item.type.raises_reach_of and not counted["covered"]:
            return "–", self.t("grounds_through")
        met = number(counted["contacted"], self.lang, 1)
        of = "covered" if item.type.kind == "lever" or item.type.acts_on == "partner" else "started"
        persons = number(counted[of], self.lang, 1)
        return (persons, self.t("grounds_met", met=met)) if counted["contacted"] else persons

    @property
    def grounds_table(self) -> Table | None:
        """One row an effect of every activity item; those that are nil together in one."""
        bodies = [(self._grounds_heading(item), self._grounds_rows(item)) for item in self.grounds if item.changes]
        if not bodies:
            return None
        columns = [self.t(f"grounds_{key}") for key in ("change", "during", "after", "grade", "source")]
        return Table(self.t("grounds_table"), columns, bodies, self.t("grounds_table_note"), words=True)

    @property
    def grounds_open(self) -> bool:
        """Whether the effects are few enough to stand open on the page."""
        return len(self.grounds) <= _AT_A_GLANCE

    def _grounds_heading(self, item: Item) -> str:
        heading = f"{self.activities[item.id]} ({self.titles[item.scenario]})"
        if item.strength == 1:
            return heading
        return f"{heading}. {self.t('grounds_strength', strength=percent(item.strength, self.lang, 0))}"

    def _grounds_rows(self, item: Item) -> list[Sequence[Cell]]:
        rows = [self._change_row(item, change) for change in item.acting]
        if item.idle:
            rows.append(self._idle_row(item))
        return rows

    def _change_row(self, item: Item, change: Change) -> Sequence[Cell]:
        cells = [self._effect_cell(effect) for effect in (change.during, change.after)]
        return [change.line.words(item.type, self.lang), *cells, *self._card_cells(change.effects)]

    def _effect_cell(self, effect: Effect | None) -> Cell:
        if effect is None:
            return "–"
        return size_words(effect.value, effect.low, effect.high, effect.unit, self.lang)

    def _card_cells(self, effects: Sequence[Effect]) -> list[Cell]:
        """Return the grades and the sources of numbers, each once."""
        grades = " / ".join(sorted({effect.grade for effect in effects}))
        return [grades, source_words([id for effect in effects for id in effect.sources], self.lang)]

    def _idle_row(self, item: Item) -> Sequence[Cell]:
        """Gather the effects of an item that are nil, with the widest of their ranges as hazard ratios."""
        effects = [effect for change in item.idle for effect in change.effects]
        ratios = [effect for effect in effects if effect.unit == "log_hazard_ratio"]
        limits = ""
        if ratios:
            low, high = min(effect.low for effect in ratios), max(effect.high for effect in ratios)
            words = self.t("to", low=digits(math.exp(low), self.lang), high=digits(math.exp(high), self.lang))
            limits = self.t("grounds_range", range=words)
        names = "; ".join(change.line.words(item.type, self.lang) for change in item.idle)
        return [(self.t("grounds_idle"), names), (self.t("grounds_zero"), limits), "–", *self._card_cells(effects)]

    # --- fit ------------------------------------------------------------------------------------------------

    @cached_property
    def observed(self) -> pd.DataFrame | None:
        """Published and simulated numbers of the base."""
        needed = ("target", "published", "low", "high", "simulated", "sim_low", "sim_high", "se", "reading")
        frame = self._csv("observed.csv", *needed)
        return None if frame is None else plots.observed_data(frame)

    @property
    def observed_sentence(self) -> str:
        """Count the targets that are met, or say why that cannot be judged."""
        if self.observed is None:
            return ""
        scored = self.observed[self.observed["scored"]]
        if scored.empty:
            return self._too_small(self.observed["scenario"].iloc[0])
        miss = scored["miss"].abs().round(9)
        return self.t(
            "observed_sentence",
            targets=len(scored),
            inside=int(scored["inside"].sum()),
            one=int((miss <= 0.01).sum()),
            two=int((miss <= 0.02).sum()),
            scenario=self.quoted[scored["scenario"].iloc[0]],
        )

    def _too_small(self, scenario: str) -> str:
        """Say that the shares are computed too loosely to be judged, and what run can be."""
        recipe = {one["id"]: one["population"]["recipe"] for one in self.scenarios}[scenario]
        if recipe == "cohorts_2011":
            return self.t("observed_few")
        sizes = [""]
        if self.flows is not None:
            mine = self.flows[self.flows["scenario"] == scenario]
            persons = mine.groupby("cohort")["persons"].sum()
            counted = [
                self.t(
                    "observed_size", persons=_mean(persons[cohort], self.lang), cohort=self.t(f"group_cohort_{cohort}")
                )
                for cohort in COHORTS
                if cohort in persons
            ]
            sizes = [self.t("observed_sizes", sizes=listed(counted, self.lang))]
        return _joined(self.t("observed_small"), *sizes, self.t("observed_test", test=_TEST))

    @cached_property
    def observed_figure(self) -> Figure | None:
        """Published against simulated numbers."""
        if self.observed is None:
            return None
        data = self.observed
        judged = bool(data["scored"].any())
        body = []
        for row in plots.records(data):
            cells = [
                row[f"label_{self.lang}"],
                plots.published(row, self.lang),
                percent(row["simulated"], self.lang),
                *([] if self.single else [self._range(row["sim_low"], row["sim_high"], "share")]),
                plots.change(row["miss"], "share", self.lang),
            ]
            verdict = self.t("yes" if row["inside"] else "no") if row["scored"] else self.t("not_scored")
            body.append([*cells, verdict] if judged else cells)
        spread = [] if self.single else ["observed_spread"]
        keys = ["observed_target", "published", "simulated", *spread, "observed_miss"]
        rests = int(data["target"].isin([target.id for target in flow_targets() if target.remainder]).sum())
        words = [
            self.t("observed_caption"),
            "" if self.single else self.t("observed_line"),
            self.t("observed_rests", rests=rests) if rests else "",
            self.t("observed_others") if (data["reading"] != "a").any() else "",
        ]
        return self._figure(
            "observed",
            plots.observed_figure(data, self.lang),
            plots.observed_alt(data, self.lang),
            data,
            _joined(*words),
            Table(
                self.t("numbers_behind"),
                [self.t(key) for key in ([*keys, "observed_within"] if judged else keys)],
                [("", body)],
            ),
        )

    # --- luck, parameters and structures ----------------------------------------------------------------------

    @cached_property
    def _told_measures(self) -> list[str]:
        """The measures whose uncertainty is told: those of the headline, or the levels of a single scenario."""
        return list(FOR_LEVELS) if self.differences is None else headline_measures(self.differences)

    @property
    def _beyond(self) -> bool:
        """Whether the run goes on after the last published flows."""
        return self.outcomes is not None and str(self.outcomes["month"].max()) > LAST_FITTED

    @property
    def structure_words(self) -> list[str]:
        """Say which parameters were drawn, and what nobody can tell after the last data."""
        said = [parameter_words(self.manifest, self.lang)]
        if self._beyond:
            said += beyond_words(self.uncertainty, self.base, self._told_measures, self.titles, self.lang)
        return [_unbroken(sentence) for sentence in said]

    @cached_property
    def structure_figure(self) -> Figure | None:
        """Luck, parameters and structures in the headline measures."""
        if self.uncertainty is None or self.single:
            return None
        data = plots.structures_data(self.uncertainty, self._told_measures)
        if data.empty:
            return None
        bodies = []
        for (measure, scenario), rows in data.groupby(["measure", "scenario"], sort=False):
            label = MEASURES[str(measure)].label(self.lang)
            heading = f"{label} ({self.titles[str(scenario)]})"
            if "difference" in set(rows["of"]):
                heading = f"{heading}, {plots.points(str(measure), self.lang)}"
            bodies.append((heading, [self._structure_row(row) for row in plots.records(rows)]))
        keys = ("structure", "draws", "mean", *(f"interval_{name}" for name in INTERVALS), "share_parameters")
        return self._figure(
            "structures",
            plots.structures_figure(data, self.lang, self.titles),
            plots.structures_alt(data, self.lang, self.titles),
            data,
            self.t("structures_caption"),
            Table(self.t("numbers_behind"), [self.t(key) for key in keys], bodies, self.t("structures_note")),
            open=True,
        )

    def _structure_row(self, row: plots.Row) -> Sequence[Cell]:
        """Return the cells of a structure: draws, mean, the limits of each kind of interval, the parameters' share."""
        error = plots.change(self._error(row), MEASURES[row["measure"]].unit, self.lang, sign=False)
        limits = [
            "–"
            if math.isnan(row[f"low_{name}"])
            else self.t("to", **{end: estimate_words(row, self.lang, f"{end}_{name}") for end in ("low", "high")})
            for name in INTERVALS
        ]
        mean = (estimate_words(row, self.lang), f"± {error}")
        label = plots.structure_label(row["structure"], self.lang)
        return [label, number(row["draws"], self.lang), mean, *limits, percent(row["share_parameters"], self.lang, 0)]

    @property
    def apart_table(self) -> Table | None:
        """What each structure says after the last data, the measures they disagree on most first."""
        if self.uncertainty is None or not self._beyond:
            return None
        far = apart(self.uncertainty)
        means = last_months(one_view(self.uncertainty)).set_index(["of", "scenario", "measure", "structure"])[
            "estimate"
        ]
        bodies = []
        for (of, scenario), found in far[far["gap"] > 0].groupby(["of", "scenario"], sort=False):
            if (of == "level") == (scenario == self.base):
                rows = [self._apart_row(row, means) for row in plots.records(found)]
                bodies.append((self.t(f"apart_{of}", scenario=self.titles[str(scenario)]), rows))
        names = [plots.structure_label(structure, self.lang) for structure in structures_of(self.manifest)]
        columns = [self.t("measure"), *names, self.t("gap"), self.t("gap_fitted", fitted=self._month(LAST_FITTED))]
        return Table(self.t("table_apart"), columns, bodies, self.t("table_apart_note")) if bodies else None

    def _apart_row(self, row: plots.Row, means: pd.Series) -> Sequence[Cell]:
        words = apart_words(row, self.lang)
        each = [
            estimate_words({**row, "estimate": means[row["of"], row["scenario"], row["measure"], structure]}, self.lang)
            for structure in structures_of(self.manifest)
        ]
        return [(words["measure"], words["month"]), *each, (words["gap"], f"± {words['error']}"), words["gap_fitted"]]

    # --- how sure -------------------------------------------------------------------------------------------

    def _assumed(self) -> pd.DataFrame:
        """Return the cards of grade C and D, the weakest first."""
        if self.assumptions is None:
            return pd.DataFrame()
        weak = self.assumptions[self.assumptions["grade"].isin(("C", "D"))]
        return weak.sort_values("grade", ascending=False, kind="stable")

    @cached_property
    def sensitivity(self) -> pd.DataFrame | None:
        """Every assumed number that was tried, and how far it moves the headline of a scenario."""
        needed = ("parameter", "scenario", "measure", "estimate", "interval_low", "interval_high", "shift_low")
        return self._csv("sensitivity.csv", *needed, "shift_high", "se", "share_of_interval")

    @property
    def sensitivity_words(self) -> list[str]:
        """Say for every scenario what the headline is, how many numbers were tried and how many move it."""
        if self.sensitivity is None:
            return []
        said = []
        for scenario, rows in self.sensitivity.groupby("scenario", sort=False):
            measure, first = rows["measure"].iloc[0], plots.records(rows)[0]
            row = {**first, "low": first["interval_low"], "high": first["interval_high"]}
            said.append(self.t("sensitivity_head", scenario=self.titles[str(scenario)], **self._words(measure, row)))
            moving = len(plots.sensitivity_data(rows))
            words = {"tried": number(len(rows), self.lang), "moving": number(moving, self.lang)}
            said.append(self.t("sensitivity_some" if moving else "sensitivity_none", **words))
            untried = rows.loc[rows[["shift_low", "shift_high"]].isna().any(axis=1), "parameter"]
            if len(untried):
                said.append(self.t("sensitivity_untried", count=len(untried), ids=", ".join(untried)))
        if self.drawn:
            said.append(
                self.t("sensitivity_point", structure=plots.structure_label(structures_of(self.manifest)[0], self.lang))
            )
        left = self.assumed_and_untried
        return [*said, self.t("sensitivity_left", count=number(left, self.lang))] if left else said

    @property
    def assumed_and_untried(self) -> int:
        """How many grade D numbers of the model the search left out."""
        cards = self._csv("assumptions.csv", "id", "grade", "used_by")
        if cards is None or self.sensitivity is None:
            return 0
        assumed = cards.loc[(cards["grade"] == "D") & (cards["used_by"] == "model"), "id"]
        return int((~assumed.isin(self.sensitivity["parameter"])).sum())

    @cached_property
    def sensitivity_figure(self) -> Figure | None:
        """The assumed numbers that move a headline most."""
        if self.sensitivity is None or plots.sensitivity_data(self.sensitivity).empty:
            return None
        data = plots.sensitivity_data(self.sensitivity)
        bodies, doubtful = [], False
        for scenario, rows in data.groupby("scenario", sort=False):
            measure = rows["measure"].iloc[0]
            unit = MEASURES[measure].unit
            body: list[Sequence[Cell]] = []
            for row in plots.records(rows):
                low, high = plots.plain(row["low"], self.lang), plots.plain(row["high"], self.lang)
                sure = (row["share_of_interval"] - DECISIVE) * (row["interval_high"] - row["interval_low"]) > 2 * row[
                    "se"
                ]
                body.append(
                    [
                        (plots.assumed_label(row, self.lang), row["parameter"]),
                        plots.plain(row["value"], self.lang),
                        self.t("to", low=low, high=high),
                        plots.change(row["shift_low"], unit, self.lang),
                        plots.change(row["shift_high"], unit, self.lang),
                        percent(row["share_of_interval"], self.lang, 0) + ("" if sure else "°"),
                    ]
                )
            bodies.append((f"{MEASURES[measure].label(self.lang)} ({self.titles[str(scenario)]})", body))
        note = self.t("sensitivity_note") if doubtful else ""
        keys = ("parameter", "value", "range", "sensitivity_shift_low", "sensitivity_shift_high", "sensitivity_share")
        return self._figure(
            "sensitivity",
            plots.sensitivity_figure(data, self.lang, self.titles),
            plots.sensitivity_alt(data, self.lang, self.titles),
            data,
            self.t("sensitivity_caption"),
            Table(self.t("numbers_behind"), [self.t(key) for key in keys], bodies, note),
            open=True,
        )

    @property
    def grades(self) -> Table | None:
        """Count the parameters by grade."""
        if self.assumptions is None:
            return None
        counts = self.assumptions["grade"].value_counts()
        body = [[grade, self.t(f"grade_{grade}"), number(counts.get(grade, 0), self.lang)] for grade in GRADES]
        caption = self.t("table_grades", used=len(self.assumptions))
        return Table(caption, [self.t(key) for key in ("grade", "grade_meaning", "count")], [("", body)], words=True)

    @property
    def rests(self) -> str:
        """Say that the result rests on the assumed numbers."""
        return self.t("rests", assumed=len(self._assumed())) if len(self._assumed()) else ""

    @property
    def assumed(self) -> Table | None:
        """List the numbers of grade C and D."""
        if not len(self._assumed()):
            return None
        body = []
        for row in plots.records(self._assumed()):
            unit = UNITS[row["unit"]]
            low, high = plots.plain(row["low"], self.lang), plots.plain(row["high"], self.lang)
            body.append(
                [
                    (row[f"label_{self.lang}"], row["id"]),
                    (plots.plain(row["value"], self.lang), unit.label_da if self.lang == "da" else unit.label_en),
                    self.t("to", low=low, high=high).replace(" ", "\N{NO-BREAK SPACE}"),
                    row["grade"],
                    row[f"note_{self.lang}"],
                ]
            )
        columns = [self.t(key) for key in ("parameter", "value", "range", "grade", "note")]
        return Table(self.t("table_assumed"), columns, [("", body)], words=True)

    @property
    def pairing(self) -> tuple[str, bool]:
        """Say whether untouched residents have identical lives, and whether all is well."""
        if self.proof is None:
            return "", True
        if self.proof["untouched_identical"]:
            return pairing_words(self.proof, self.quoted, self.lang), True
        counts = {key: number(self.proof[key], self.lang) for key in ("touched", "untouched")}
        return self.t("pairing_broken", **counts), False

    @property
    def intervals(self) -> str:
        """Say what the two kinds of interval of a comparison are."""
        return self.t("intervals") if self.compares and self.differences is not None and not self.single else ""

    @property
    def limits(self) -> list[str]:
        """What the model leaves out."""
        return [self.t(f"limit_{name}") for name in _LIMITS]

    @property
    def sources(self) -> list[tuple[str, str]]:
        """Every source of a number used, with the places read in it."""
        if self.assumptions is None:
            return []
        ids = [id for cell in self.assumptions["source"] for id in re.split(r"[;,\s]+", cell) if id]
        places: dict[str, dict[str, None]] = {}
        for id in dict.fromkeys(ids):
            if id not in (ASSUMPTION, "scenario"):
                source = source_of(id)
                places.setdefault(replace(source, locator="").cite(), {})[source.locator] = None
        return [(cited, "; ".join(place for place in found if place)) for cited, found in sorted(places.items())]


def _by_item(frame: pd.DataFrame) -> dict[tuple[str, str], plots.Row]:
    """Return the rows of a table whose index is scenario and item."""
    return dict(zip(frame.index, plots.records(frame), strict=True))


def _unbroken(words: str) -> str:
    """Keep each per cent sign with its number."""
    return words.replace(" %", "\N{NO-BREAK SPACE}%")


def _joined(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def _split(cell: Cell) -> tuple[str, str]:
    return (cell, "") if isinstance(cell, str) else cell

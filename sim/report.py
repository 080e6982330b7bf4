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
from .errors import Problem, ResultError
from .locale import month_name, number, percent, text
from .measures import MEASURES
from .parameters import GRADES, UNITS
from .results import DIGITS, read_manifest, write_atomically
from .sources import ASSUMPTION, source_of

_TEMPLATE: Final = Path(__file__).parent / "locale" / "report.html"
_TEXTS: Final = dict.fromkeys(
    (
        "scenario",
        "against",
        "activity",
        "month",
        "group_by",
        "group",
        "measure",
        "view",
        "interval",
        "cohort",
        "date",
    ),
    str,
)
"""Columns that are text even when they look like numbers."""
_LIMITS: Final = ("displacement", "moving", "ageing", "long_run", "effect", "parameters", "alone")

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
    english: int | None = None
    """Column written in English only."""


@dataclass(frozen=True)
class Figure:
    """A figure of the page, with the table of its numbers."""

    name: str
    svg: Markup
    caption: str
    table: Table
    open: bool = False


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


def _plain(value: float, lang: str) -> str:
    """Write a number of a card with the digits it has, at most four that count."""
    written = f"{value:.4g}"
    digits = len(written.partition(".")[2]) if "e" not in written else 6
    return number(value, lang, digits)


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

    def t(self, key: str, **values: object) -> str:
        """Return a text of the report in its language."""
        return text(f"report.{key}", self.lang, **values).replace(" %", "\N{NO-BREAK SPACE}%")

    def _month(self, month: str) -> str:
        return month_name(month, self.lang).replace(" ", "\N{NO-BREAK SPACE}")

    def _rich(self, key: str, **values: object) -> Markup:
        """Return a text with ``values`` that may be markup; everything else is escaped."""
        return Markup(self.t(key)).format(**values)

    def _listed(self, names: Sequence[str]) -> str:
        return f" {self.t('and')} ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]

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
        return self._read(name, columns, lambda path: pd.read_csv(path, dtype=_TEXTS))

    @cached_property
    def differences(self) -> pd.DataFrame | None:
        """Differences with the band of luck, in the order of the scenarios."""
        frame = self._csv("differences.csv", "scenario", "view", "measure", "month", "estimate", "se", "low", "high")
        if frame is None:
            return None
        frame = plots.luck(frame)
        return frame.sort_values("scenario", key=lambda ids: ids.map(self.others.index), kind="stable")

    @cached_property
    def outcomes(self) -> pd.DataFrame | None:
        """Summary of the outcomes."""
        frame = self._csv("outcomes.csv", "scenario", "view", "measure", "month", "mean", "p5", "p95")
        return None if frame is None else plots.one_view(frame)

    @cached_property
    def assumptions(self) -> pd.DataFrame | None:
        """Cards of the parameters used."""
        frame = self._csv("assumptions.csv", "id", "label_da", "label_en", "value", "low", "high", "grade", "source")
        return None if frame is None else frame.fillna({"note_da": "", "note_en": "", "source": ""})

    # --- head -----------------------------------------------------------------------------------------------

    @property
    def title(self) -> str:
        """The page's title."""
        if not self.compares:
            return self.titles[self.base]
        others = self._listed([self.titles[id] for id in self.others])
        return self.t("title_compare", scenario=others, base=self.titles[self.base])

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
            rows = self._last(self.outcomes[self.outcomes["group_by"] == "all"])
            found = {row["measure"]: row for row in plots.records(rows)}
            for measure in ("employed", "cash_benefit", "leisure_job_26h"):
                if measure in found:
                    row = found[measure]
                    low, high = (plots.amount(row[name], "share", self.lang) for name in ("p5", "p95"))
                    sentence = self._rich(
                        "headline_level",
                        month=self._month(row["month"]),
                        measure=MEASURES[measure].label(self.lang),
                        value=Markup("<strong>{}</strong>").format(plots.amount(row["mean"], "share", self.lang)),
                    )
                    population = MEASURES[measure].population(self.lang)
                    lines.append((sentence, self.t("headline_level_band", population=population, low=low, high=high)))
        return lines

    @staticmethod
    def _last(rows: pd.DataFrame) -> pd.DataFrame:
        """Keep each measure's last month."""
        return rows[rows["month"] == rows.groupby("measure")["month"].transform("max")]

    @staticmethod
    def _error(row: plots.Row) -> float:
        """Return half the 95 % interval of the computing error of a mean (Student's t, replicates - 1)."""
        from scipy.stats import t

        return float(t.ppf(0.975, row["replicates"] - 1) * row["se"]) if row["replicates"] > 1 else math.nan

    def _shows(self, row: plots.Row) -> bool:
        """Tell whether the computing error leaves zero out."""
        return bool(abs(row["estimate"]) > self._error(row))

    def _differences_headlines(self, scenario: str, differences: pd.DataFrame) -> list[tuple[Markup, str]]:
        mine = differences[differences["scenario"] == scenario]
        names = {"scenario": self.titles[scenario], "base": self.titles[self.base]}
        last = {row["measure"]: row for row in plots.records(self._last(mine[mine["group_by"] == "all"]))}
        chosen = plots.headline_measures(mine)
        if not any(last[measure]["estimate"] or last[measure]["se"] > 0 for measure in chosen):
            return [(self._rich("headline_same", **names), "")]
        shown = [measure for measure in chosen if self._shows(last[measure])]
        hidden = [m for m in chosen if m not in shown and (m == "leisure_job_26h" or not shown)]
        lines = [self._shown_line(measure, last[measure], mine, names) for measure in shown[:3]]
        return lines + [self._hidden_line(measure, last[measure], names) for measure in hidden[:2]]

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
        if math.isnan(error):
            return sentence, self.t("headline_single")
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
        names = self._listed([self.titles[id] for id in self.others])
        return self.t("estimand", scenario=names, base=self.titles[self.base])

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
            start = self._month(horizon["start"])
            title = self.titles[scenario["id"]]
            rows.append(
                (
                    (title, self.t(role)) if role else title,
                    self.t(f"recipe_{population['recipe']}", residents=residents),
                    self.t("horizon_value", months=horizon["months"], start=start),
                    "; ".join(planned) or self.t("no_activities"),
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
        mark = "" if self._shows(row) or not (row["estimate"] or row["se"]) else "°"
        low, high = (plots.change(row[name], unit, self.lang) for name in ("low", "high"))
        return plots.change(row["estimate"], unit, self.lang) + mark, self.t("to", low=low, high=high)

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
            caption = self.t("table_differences", base=self.titles[self.base], scenario=self.titles[str(scenario)])
            columns = [self.t("measure"), *(self._month(month) for month in months)]
            note = [self.t("table_differences_note"), self.t("table_mark"), self.t("usual", population=usual)]
            if same:
                names = ", ".join(MEASURES[measure].label(self.lang) for measure in same)
                note.append(self.t("table_same", base=self.titles[self.base], measures=names))
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
                    *_split(self._difference_cell(row)),
                    plots.points(str(measure), self.lang),
                )
                for row in plots.records(rows[rows["month"].isin(self._milestones(rows["month"]))])
            ]
            bodies.append((heading, body))
        columns = [self.t(key) for key in ("month", "difference", "luck_band", "unit")]
        caption = self.t("differences_caption", base=self.titles[self.base])
        return self._figure(
            "differences",
            plots.differences_figure(data, self.lang, self.titles),
            plots.differences_alt(data, self.lang, self.titles),
            data,
            f"{caption} {self.t('band_long')}",
            Table(self.t("numbers_behind"), columns, bodies, self.t("table_mark")),
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
                    plots.group_label(str(group_by), group, self.lang),
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
        names = self._listed([self.titles[id] for id in self.others])
        caption = self.t("table_groups", base=self.titles[self.base], scenario=names)
        return self._figure(
            "forest",
            plots.forest_figure(data, self.lang, self.titles),
            plots.forest_alt(data, self.lang, self.titles),
            data,
            self.t("groups_caption", base=self.titles[self.base]),
            Table(caption, columns, bodies, self.t("table_mark")),
            open=True,
        )

    @property
    def levels(self) -> Table | None:
        """Levels: the months of one scenario, or the end of all."""
        if self.outcomes is None:
            return None
        frame = self.outcomes[self.outcomes["group_by"] == "all"]
        if self.compares:
            frame = self._last(frame).assign(column=lambda rows: rows["scenario"])
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
                    self._range(row["p5"], row["p95"], unit),
                )
                for row in plots.records(rows)
                if not math.isnan(row["mean"])
            }
            cell = self._measure_cell(str(measure), usual)
            if self.compares and rows["month"].max() < frame["month"].max():
                cell = _split(cell)[0], _joined(_split(cell)[1], self._month(rows["month"].max()))
            body.append([cell, *(cells.get(column, "–") for column in columns)])
        note = _joined(self.t("table_levels_note"), self.t("usual", population=usual))
        return Table(self.t("table_levels"), [self.t("measure"), *columns.values()], [("", body)], note)

    def _range(self, low: float, high: float, unit: str) -> str:
        """Write an interval of levels, with the unit once."""
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
        data = plots.states_data(plots.one_view(frame))
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
            _joined(self.t("states_caption"), self.t("states_same", base=self.titles[self.base]) if same else ""),
            Table(
                self.t("numbers_behind"),
                [self.t("month"), *(plots.part_label(part, self.lang) for part in parts)],
                bodies,
            ),
        )

    @cached_property
    def path_figures(self) -> list[Figure]:
        """The cohorts' paths: the base's, and those of scenarios that differ from it."""
        frame = self._csv("flows.csv", "scenario", "cohort", "month_0", "group_0", "group_1", "group_2", "persons")
        if frame is None:
            return []
        data = plots.flows_data(frame)
        paths = ["cohort", "group_0", "group_1", "group_2"]
        shares = {
            str(id): rows.set_index(paths)["share"].mul(100).round(1)
            for id, rows in data.groupby("scenario", sort=False)
        }
        base = self.base if self.base in shares else next(iter(shares))
        differ = [id for id in shares if id != base and (shares[id].sub(shares[base], fill_value=0) != 0).any()]
        alike = [self.titles[id] for id in shares if id != base and id not in differ]
        figures = []
        for id in [base, *differ]:
            rows = data[data["scenario"] == id]
            words = [f"{self.titles[id]}." if differ else "", self.t("paths_caption")]
            if id == base and alike:
                words.append(self.t("paths_same", scenario=self._listed(alike)))
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

    # --- places and queue -----------------------------------------------------------------------------------

    @cached_property
    def queues(self) -> pd.DataFrame | None:
        """Monthly stocks and flows of every activity."""
        frame = self._csv("queues.csv", "scenario", "activity", "month", "places", "enrolled", "waiting", "referred")
        return frame

    @cached_property
    def queue_figure(self) -> Figure | None:
        """Places, enrolled and waiting over the months."""
        if self.queues is None:
            return None
        data = plots.queues_data(self.queues)
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
            self.t("queues_caption"),
            Table(self.t("numbers_behind"), columns, bodies),
        )

    @property
    def queue_table(self) -> Table | None:
        """How many were referred, began, completed and left, over the whole run."""
        if self.queues is None:
            return None
        flows = ["referred", "declined", "started", "completed", "dropped_out", "gave_up"]
        each = ["scenario", "activity"]
        runs = self.queues.groupby([*each, "draw", "replicate"], sort=False)[flows].sum()
        totals = runs.groupby(each, sort=False).mean()
        last = self.queues[self.queues["month"] == self.queues["month"].max()]
        stocks = last.groupby(each, sort=False)[["enrolled", "waiting"]].mean()
        body: list[Sequence[Cell]] = [
            [
                (self.activities[row["activity"]], self.titles[row["scenario"]]),
                *(number(row[name], self.lang, 1) for name in (*flows, "enrolled", "waiting")),
            ]
            for row in plots.records(totals.join(stocks).reset_index())
        ]
        columns = [self.t(key) for key in ("activity", *flows, "still", "waiting_still")]
        return Table(self.t("table_queues"), columns, [("", body)])

    @property
    def never_served(self) -> list[str]:
        """Say how many referred people never had a place."""
        if self.queues is None or self.outcomes is None:
            return []
        rows = self._last(self.outcomes[self.outcomes["group_by"] == "all"])
        rows = rows[(rows["measure"] == "never_served") & rows["scenario"].isin(set(self.queues["scenario"]))]
        return [
            self.t(
                "never_served",
                scenario=self.titles[row["scenario"]],
                persons=number(row["mean"], self.lang, 1),
                low=number(row["p5"], self.lang, 1),
                high=number(row["p95"], self.lang, 1),
            )
            for row in plots.records(rows)
        ]

    # --- fit ------------------------------------------------------------------------------------------------

    @cached_property
    def observed(self) -> pd.DataFrame | None:
        """Published and simulated numbers of the base."""
        needed = ("target", "published", "low", "high", "simulated", "sim_low", "sim_high", "reading")
        frame = self._csv("observed.csv", *needed)
        return None if frame is None else plots.observed_data(frame)

    @property
    def observed_sentence(self) -> str:
        """Count the targets that are met."""
        if self.observed is None:
            return ""
        figure = self.observed[self.observed["reading"] == "a"]
        miss = figure["miss"].abs().round(9)
        return self.t(
            "observed_sentence",
            targets=len(figure),
            inside=int(figure["inside"].sum()),
            one=int((miss <= 0.01).sum()),
            two=int((miss <= 0.02).sum()),
            scenario=self.titles[self.observed["scenario"].iloc[0]],
        )

    @cached_property
    def observed_figure(self) -> Figure | None:
        """Published against simulated numbers."""
        if self.observed is None:
            return None
        data = self.observed
        body = [
            [
                row[f"label_{self.lang}"],
                plots.published(row, self.lang),
                percent(row["simulated"], self.lang),
                self._range(row["sim_low"], row["sim_high"], "share"),
                plots.change(row["miss"], "share", self.lang),
                self.t("yes" if row["inside"] else "no"),
            ]
            for row in plots.records(data)
        ]
        keys = (
            "observed_target",
            "published",
            "simulated",
            "observed_spread",
            "observed_miss",
            "observed_within",
        )
        return self._figure(
            "observed",
            plots.observed_figure(data, self.lang),
            plots.observed_alt(data, self.lang),
            data,
            self.t("observed_caption"),
            Table(self.t("numbers_behind"), [self.t(key) for key in keys], [("", body)]),
        )

    # --- how sure -------------------------------------------------------------------------------------------

    def _assumed(self) -> pd.DataFrame:
        """Return the cards of grade C and D, the weakest first."""
        if self.assumptions is None:
            return pd.DataFrame()
        weak = self.assumptions[self.assumptions["grade"].isin(("C", "D"))]
        return weak.sort_values("grade", ascending=False, kind="stable")

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
            low, high = _plain(row["low"], self.lang), _plain(row["high"], self.lang)
            body.append(
                [
                    (row[f"label_{self.lang}"], row["id"]),
                    (_plain(row["value"], self.lang), unit.label_da if self.lang == "da" else unit.label_en),
                    self.t("to", low=low, high=high).replace(" ", "\N{NO-BREAK SPACE}"),
                    row["grade"],
                    row[f"note_{self.lang}"],
                ]
            )
        columns = [self.t(key) for key in ("parameter", "value", "range", "grade", "note")]
        return Table(self.t("table_assumed"), columns, [("", body)], words=True, english=4)

    @property
    def pairing(self) -> tuple[str, bool]:
        """Say whether untouched residents have identical lives, and whether all is well."""
        path = self.folder / "pairing.json"
        if not path.is_file():
            return "", True
        try:
            proof = json.loads(path.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ResultError([Problem("unreadable", values={"path": path, "reason": error})]) from error
        same = bool(proof["untouched_identical"])
        counts = {key: number(proof[key], self.lang) for key in ("touched", "untouched")}
        pairs = number(len(proof["pairs"]), self.lang)
        return self.t("pairing_same" if same else "pairing_broken", pairs=pairs, **counts), same

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


def _joined(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def _split(cell: Cell) -> tuple[str, str]:
    return (cell, "") if isinstance(cell, str) else cell

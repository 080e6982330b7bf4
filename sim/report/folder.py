"""What a report is made from: the tables of a result folder, the names of what was run, and the language."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pandas as pd
from markupsafe import Markup

from .. import plots
from ..errors import Problem, ResultError
from ..headline import one_view, pooled, told_band
from ..locale import messages, month_name, text
from ..results import read_csv, read_manifest
from ..uncertainty import listed
from ..variance import INTERVALS

COURSE: Final = ["scenario", "activity"]
RUN: Final = [*COURSE, "draw", "replicate"]
STEPS: Final = {
    "table_queues_before": ("referred", "declined", "gave_up", "left_queue", "waiting", "started"),
    "table_queues_after": ("started", "completed", "dropped_out", "left_target_group", "closed", "enrolled"),
}
"""The two halves of a course: the first of each is the sum of the others."""
EVERY_STEP: Final = list(dict.fromkeys(step for steps in STEPS.values() for step in steps))


@dataclass(frozen=True)
class Report:
    """A result folder in a language: its tables are read once, when first asked for, and are None without the file."""

    folder: Path
    lang: str
    manifest: Mapping[str, Any]

    # --- what was run -----------------------------------------------------------------------------------------

    @property
    def scenarios(self) -> list[dict[str, Any]]:
        """The scenarios as the manifest holds them."""
        found: list[dict[str, Any]] = self.manifest["scenarios"]
        return found

    @property
    def compares(self) -> bool:
        """Whether scenarios are compared with a base."""
        return bool(self.manifest["kind"] == "compare")

    @property
    def base(self) -> str:
        """The scenario the others are compared with, or the only one."""
        return str(self.manifest["against"] if self.compares else self.scenarios[0]["id"])

    @property
    def single(self) -> bool:
        """Whether there is one replicate, so that nothing can be said of luck."""
        return bool(self.manifest["replicates"] == 1)

    @property
    def drawn(self) -> bool:
        """Whether there are several draws of the parameters."""
        return bool(self.manifest["draws"] > 1)

    @cached_property
    def titles(self) -> dict[str, str]:
        """The title of every scenario by id."""
        return plots.titles(self.manifest, self.lang)

    @cached_property
    def quoted(self) -> dict[str, str]:
        """The titles as they stand in running text."""
        return {id: plots.quoted(title, self.lang) for id, title in self.titles.items()}

    @cached_property
    def others(self) -> list[str]:
        """Every scenario but the base."""
        return [id for id in self.titles if id != self.base]

    @cached_property
    def activities(self) -> dict[str, str]:
        """The name of every activity item by id."""
        return plots.activity_labels(self.manifest, self.lang)

    # --- words ------------------------------------------------------------------------------------------------

    def t(self, key: str, **values: object) -> str:
        """Return a text of the report in its language; with several draws of the parameters its own text for that."""
        if self.drawn and f"{key}_both" in messages("report"):
            key = f"{key}_both"
        return unbroken(text(f"report.{key}", self.lang, **values))

    def rich(self, key: str, **values: object) -> Markup:
        """Return a text with ``values`` that may be markup; everything else is escaped."""
        return Markup(self.t(key)).format(**values)

    def month(self, month: str) -> str:
        """Return the name of a month, in one piece."""
        return month_name(month, self.lang).replace(" ", "\N{NO-BREAK SPACE}")

    def named(self, ids: Iterable[str]) -> str:
        """Return the quoted titles of scenarios as a list in words."""
        return listed([self.quoted[id] for id in ids], self.lang)

    # --- tables -----------------------------------------------------------------------------------------------

    def read(self, name: str, columns: Sequence[str], read: Callable[[Path], pd.DataFrame]) -> pd.DataFrame | None:
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

    def csv(self, name: str, *columns: str) -> pd.DataFrame | None:
        """Return a table of the folder that must have ``columns``, or None as ``read`` does."""
        return self.read(name, columns, read_csv)

    @cached_property
    def differences(self) -> pd.DataFrame | None:
        """Differences with the band of one area, over all structures, in the order of the scenarios."""
        needed = ("scenario", "view", "measure", "month", "estimate", "se", "low", "high", "interval", "structure")
        frame = self.csv("differences.csv", *needed)
        if frame is None:
            return None
        frame = told_band(frame)
        return frame.sort_values("scenario", key=lambda ids: ids.map(self.others.index), kind="stable")

    @cached_property
    def outcomes(self) -> pd.DataFrame | None:
        """Summary of the outcomes."""
        frame = self.csv("outcomes.csv", "scenario", "structure", "view", "measure", "month", "mean", "p5", "p95")
        return None if frame is None else one_view(pooled(frame))

    @cached_property
    def uncertainty(self) -> pd.DataFrame | None:
        """What luck and parameters do to every number; nothing with one draw of the parameters."""
        needed = ("scenario", "of", "view", "measure", "month", "structure", "estimate", "se", "share_parameters")
        return self.csv("uncertainty.csv", *needed, *(f"{end}_{n}" for n in INTERVALS for end in ("low", "high")))

    @cached_property
    def flows(self) -> pd.DataFrame | None:
        """Persons of the cohorts by group at start, in the middle and at the end."""
        return self.csv("flows.csv", "scenario", "cohort", "month_0", "group_0", "group_1", "group_2", "persons")

    @cached_property
    def queues(self) -> pd.DataFrame | None:
        """Monthly stocks and flows of every activity."""
        return self.csv("queues.csv", *RUN, "month", "places", *EVERY_STEP)

    @cached_property
    def assumptions(self) -> pd.DataFrame | None:
        """Cards of the parameters used."""
        frame = self.csv("assumptions.csv", "id", "label_da", "label_en", "value", "low", "high", "grade", "source")
        return None if frame is None else frame.fillna({"note_da": "", "note_en": "", "source": ""})

    @cached_property
    def assumed(self) -> pd.DataFrame:
        """The cards of grade C and D, the weakest first."""
        if self.assumptions is None:
            return pd.DataFrame()
        weak = self.assumptions[self.assumptions["grade"].isin(("C", "D"))]
        return weak.sort_values("grade", ascending=False, kind="stable")

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


def read_folder(folder: Path, lang: str) -> Report:
    """Return the report of ``folder``; raises ``ResultError`` when it holds no result."""
    return Report(folder, lang, read_manifest(folder))


def unbroken(words: str) -> str:
    """Keep each per cent sign with its number."""
    return words.replace(" %", "\N{NO-BREAK SPACE}%")

"""The words that figures and report share: names of groups, values with their units, titles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd

from ..activities import catalogue
from ..locale import number, percent, text
from ..measures import MEASURES
from ..states import ORIGIN_LABELS, SEX_LABELS
from .style import SCALE

Row = Mapping[str, Any]
"""One row of a table."""


def group_label(group_by: str, group: str, lang: str, several: bool = False) -> str:
    """Return the name of a group of residents, as ``kvinder`` or ``16-17 år``.

    With ``several`` scenarios compared, a participant is somebody enrolled in at least one of them.
    """
    if group_by == "participant" and several:
        return text(f"report.group_participant_{group}_several", lang)
    if group_by == "sex":
        return SEX_LABELS[group][lang != "da"]
    if group_by == "origin":
        return ORIGIN_LABELS[group][lang != "da"]
    if group_by == "age_group":
        return text("report.age_group", lang, ages=group.replace("-", "–"))
    return text(f"report.group_{group_by}_{group}", lang)


def amount(value: float, unit: str, lang: str) -> str:
    """Write a value of a measure with its unit: a share as per cent, persons and months as numbers."""
    if unit == "share":
        return percent(value, lang)
    return text(f"report.amount_{unit}", lang, value=number(value, lang, 1))


def change(value: float, unit: str, lang: str, sign: bool = True) -> str:
    """Write a difference in the measure's unit without naming it: ``+6,1``; more digits when it is small."""
    scaled = value * SCALE.get(unit, 1.0)
    written = number(scaled, lang, 2 if 0 < abs(scaled) < 0.095 else 1)
    return ("+" if sign and scaled > 0 else "") + written


def points(measure: str, lang: str) -> str:
    """Return the unit a difference in ``measure`` is written in, as ``procentpoint``."""
    return text(f"report.points_{MEASURES[measure].unit}", lang)


def quoted(title: str, lang: str) -> str:
    """Return a title as it stands in running text, in the quotation marks of the language."""
    return text("report.quoted", lang, title=title)


def titles(manifest: Mapping[str, Any], lang: str) -> dict[str, str]:
    """Return the title of every scenario by id."""
    return {scenario["id"]: scenario["title"][lang] for scenario in manifest["scenarios"]}


def activity_labels(manifest: Mapping[str, Any], lang: str) -> dict[str, str]:
    """Return the name of every activity item by id, with the id where a scenario has several of one activity."""
    names: dict[str, str] = {}
    for scenario in manifest["scenarios"]:
        count = Counter(item["activity"] for item in scenario["activities"])
        for item in scenario["activities"]:
            name = catalogue()[item["activity"]].label(lang)
            if count[item["activity"]] > 1:
                names[item["id"]] = f"{name} {quoted(item['id'], lang)}"
            else:
                names.setdefault(item["id"], name)
    return names


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of ``frame``, in order."""
    names = [str(name) for name in frame.columns]
    return [dict(zip(names, row, strict=True)) for row in frame.itertuples(index=False, name=None)]

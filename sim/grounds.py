"""What a result rests on: which activities change which transitions, on whom they acted, and how long people waited."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from .activities import ActivityType, catalogue
from .activities.cards import is_nil, quality_of
from .capacity import admissions
from .changes import Line, lines
from .scenario import month_number

_ITEM: Final = ["scenario", "activity"]
_RUN: Final = [*_ITEM, "draw", "replicate"]
_REACHED: Final = ("started", "covered", "contacted")


@dataclass(frozen=True)
class Effect:
    """One number of a line as a scenario uses it: its value, and range, grade and sources of its card."""

    id: str
    value: float
    low: float
    high: float
    unit: str
    grade: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """A line with its numbers; ``during`` or ``after`` is None where there is none."""

    line: Line
    during: Effect | None
    after: Effect | None

    @property
    def effects(self) -> tuple[Effect, ...]:
        """Its numbers."""
        return tuple(effect for effect in (self.during, self.after) if effect)

    @property
    def idle(self) -> bool:
        """Whether it changes nothing."""
        return all(is_nil(effect.id, effect.value) for effect in self.effects)


@dataclass(frozen=True)
class Item:
    """An activity item of a scenario: what it changes, and how strongly compared with full quality."""

    scenario: str
    id: str
    type: ActivityType
    changes: tuple[Change, ...]
    strength: float

    @property
    def acting(self) -> tuple[Change, ...]:
        """The changes that are not nil."""
        return tuple(change for change in self.changes if not change.idle)

    @property
    def idle(self) -> tuple[Change, ...]:
        """The changes that are nil."""
        return tuple(change for change in self.changes if change.idle)

    @property
    def grade(self) -> str:
        """The weakest grade among the numbers that act, empty when none does."""
        acting = (effect for change in self.acting for effect in change.effects if not is_nil(effect.id, effect.value))
        return max((effect.grade for effect in acting), default="")


def items(scenarios: Sequence[Mapping[str, Any]], assumptions: pd.DataFrame) -> list[Item]:
    """Return every activity item of ``scenarios`` (as in the manifest) with what it changes by ``assumptions``."""
    cards: dict[str, list[dict[str, Any]]] = {}
    for row in assumptions.to_dict("records"):
        cards.setdefault(row["id"], []).append({str(key): value for key, value in row.items()})
    found = []
    for scenario in scenarios:
        for item in scenario["activities"]:
            type = catalogue()[item["activity"]]
            points = len(item.get("missing_drivers", ())) + len(item.get("hindrances", ()))
            strength = quality_of(item, points)
            found.append(Item(scenario["id"], item["id"], type, tuple(_changes(item, type, cards)), strength))
    return found


def _changes(
    item: Mapping[str, Any], type: ActivityType, cards: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Iterator[Change]:
    for line in lines(type):
        during, after = (_effect(item, id, cards) for id in (line.during, line.after))
        if during or after:
            yield Change(line, during, after)


def _effect(item: Mapping[str, Any], id: str, cards: Mapping[str, Sequence[Mapping[str, Any]]]) -> Effect | None:
    """Return a number with its card: the one of this value, since scenarios may use several."""
    rows = cards.get(f"{item['activity']}.{id}", ())
    rows = [row for row in rows if id not in item or np.isclose(row["value"], item[id], rtol=1e-8)] or list(rows)
    if not rows:
        return None
    row = rows[0]
    sources = tuple(part for part in str(row["source"]).split(";") if part)
    return Effect(id, float(row["value"]), float(row["low"]), float(row["high"]), row["unit"], row["grade"], sources)


def reached(queues: pd.DataFrame) -> pd.DataFrame:
    """Return how many persons an item had (mean over the runs), by scenario and item.

    ``started``: got a place; ``covered``: were under a lever or helped through their partner; ``contacted``: were met
    by participants (each meeting counts).
    """
    counts = queues.reindex(columns=[*_RUN, *_REACHED], fill_value=0)
    return counts.groupby(_RUN, sort=False)[list(_REACHED)].sum().groupby(_ITEM, sort=False).mean()


def waiting(participants: pd.DataFrame) -> pd.DataFrame:
    """Return, by scenario and item, how those who queued fared.

    ``mean`` and ``longest``: months between queueing and the place, of those who got one (NaN: nobody did); ``never``:
    the share of those who queued that has no place by the end.
    """
    queued = participants[participants["queued"].notna()]
    waited = _months(queued["enrolled"]) - _months(queued["queued"])
    told = queued[_ITEM].assign(waited=waited, missing=np.isnan(waited))
    return told.groupby(_ITEM, sort=False).agg(
        mean=("waited", "mean"), longest=("waited", "max"), never=("missing", "mean")
    )


def _months(dates: pd.Series) -> np.ndarray:
    """Return months as numbers, NaN where there is none; each month is read once."""
    codes, found = pd.factorize(dates)
    return np.array([*(month_number(month) for month in found), np.nan])[codes]


def room(item: Mapping[str, Any], last: str) -> tuple[float, int, float] | None:
    """Return mean stay, months and the most people an item with a caseload can take in until ``last``.

    The most are taken in when every vacant place is filled at once; stays end at the planned duration or by attrition.
    None for an item without staff.
    """
    if not item.get("staff") or not item["places"]:
        return None
    months = month_number(min(item["end"], last)) - month_number(item["start"]) + 1
    planned, hazard = item["duration_months"], max(item["attrition_per_month"], 1e-9)
    kept = np.exp(-hazard * planned)
    mean = (1 - kept) / hazard
    variance = 2 / hazard**2 * (1 - kept * (1 + hazard * planned)) - mean**2
    variation = float(np.sqrt(max(variance, 0.0)) / mean)
    return float(mean), months, admissions(item["places"], months, float(mean), variation)

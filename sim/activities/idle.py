"""Numbers of an activity that cannot act as a scenario stands, because another number or setting holds them at rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ..scenario import Scenario
from . import ActivityType, catalogue
from .cards import is_nil, is_strength

_Values = Mapping[str, float]


def _acts_after(values: _Values) -> bool:
    lasting = [id for id in values if id.startswith("eases_") or (id.startswith("effect_") and id.endswith("_after"))]
    return any(values[id] != 0 for id in lasting) or values.get("effect_alumni_signal", 0) > 0


def _acts(values: _Values) -> bool:
    """Whether the course changes anybody's hazards or state, or brings anybody anywhere."""
    changes = any(is_strength(id) and not is_nil(id, value) for id, value in values.items())
    return changes or values.get("contacts_per_month", 0) > 0


RESTS: Final[Mapping[str, Callable[[_Values, bool, bool], bool]]] = {
    "half_life_months": lambda values, closed, points: not _acts_after(values),
    "quality": lambda values, closed, points: not _acts(values),
    "quality_per_point": lambda values, closed, points: not points or not _acts(values),
    "staff": lambda values, closed, points: not _acts(values),
    "staff_hours_per_week": lambda values, closed, points: values["staff"] == 0 or not _acts(values),
    "caseload_per_staff": lambda values, closed, points: values["staff"] == 0 or not _acts(values),
    "caseload_elasticity": lambda values, closed, points: values["staff"] == 0 or not _acts(values),
    "relation_months": lambda values, closed, points: not _acts(values),
    "staff_turnover_per_month": lambda values, closed, points: values["relation_months"] == 0 or not _acts(values),
    "virtual_quality": lambda values, closed, points: not closed or not _acts(values),
    "active_months": lambda values, closed, points: values["contacts_per_month"] == 0,
    "alumni_full": lambda values, closed, points: values["effect_alumni_signal"] == 0,
    "survival_half_life_months": lambda values, closed, points: values["survival_share"] == 0,
    "clarified_to_flex_job": lambda values, closed, points: values["clarification_per_month"] == 0,
    "clarified_to_pension": lambda values, closed, points: values["clarification_per_month"] == 0,
    "clarified_closer": lambda values, closed, points: values["clarification_per_month"] == 0,
    "keep_share": lambda values, closed, points: values["reward_elasticity"] == 0,
    "keep_share_without": lambda values, closed, points: values["reward_elasticity"] == 0,
}
"""When a number rests: by an item's numbers, whether a closure concerns it, and whether it names points."""


def idle(type: ActivityType, values: _Values, closed: bool, points: bool) -> frozenset[str]:
    """Return the ids of numbers of an item of activity ``type`` that change nothing whatever their value.

    ``closed``: a closure concerns the item; ``points``: it names missing drivers or hindrances.
    """
    return frozenset(id for id in type.parameters if id in RESTS and RESTS[id](values, closed, points))


def idle_in(scenario: Scenario) -> dict[str, bool]:
    """Return, by ``activity.parameter``, whether the number rests in every item of a scenario."""
    found: dict[str, bool] = {}
    for item in scenario.activities:
        closed = any(closure.concerns(item.id) for closure in scenario.closures)
        resting = idle(catalogue()[item.activity], item.values, closed, bool(item.missing_drivers or item.hindrances))
        for id in item.values:
            name = f"{item.activity}.{id}"
            found[name] = found.get(name, True) and id in resting
    return found

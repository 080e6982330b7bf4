"""What a scenario file may hold: its keys, their bounds and defaults, and the JSON Schema made from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from .activities import ActivityType, catalogue
from .activities.base import PRIORITIES
from .locale import LANGUAGES, messages
from .parameters import UNITS, ParameterSet, Unit
from .scenario_file import SCHEMA

RECIPES: Mapping[str, int] = {"area": 2_419, "cohorts_2011": 14_892}
"""The population recipes with the number of residents each describes."""

RECIPE_MONTH = "2011-12"
"""The month whose residents the recipes describe; a run starts there."""

DEFAULT_MONTHS = 60
DEFAULT_ECONOMY: Mapping[str, object] = {"usual_activation": True}
DEFAULT_PARAMETERS = "default"
DEFAULT_ITEM: Mapping[str, object] = {"priority": PRIORITIES[0], "missing_drivers": [], "hindrances": []}
EVENTS = ("closure",)
"""What an event can be."""

LIMITS: Mapping[str, Unit] = {
    "residents": Unit(1, 5_000_000, "personer", "persons", whole=True),
    "months": Unit(1, 360, "måneder", "months", whole=True),
    "places": Unit(0, 1_000_000, "pladser", "places", whole=True),
}
"""Bounds and units of the numbers every scenario has; those of activity parameters stand on their cards."""

MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")

_SLUG = r"^[a-z0-9_]{1,64}$"


def _bounds(unit: Unit) -> Any:
    return Field(ge=unit.lowest, le=unit.highest, allow_inf_nan=None if unit.whole else False)


Slug = Annotated[str, Field(pattern=_SLUG)]
Month = Annotated[str, Field(pattern=f"^{MONTH.pattern}$")]
Text = Annotated[str, Field(pattern=r"\S")]


class _Strict(BaseModel):
    """A map of a scenario file: no unknown keys, no text read as a number."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Bilingual(_Strict):
    """A text in Danish and English."""

    da: Text
    en: Text


class Population(_Strict):
    """Who lives in the area."""

    recipe: Literal["area", "cohorts_2011"]
    residents: Annotated[int, _bounds(LIMITS["residents"])]


class Horizon(_Strict):
    """Which months are simulated: ``months`` of them, the first one after ``start``."""

    start: Month
    months: Annotated[int, _bounds(LIMITS["months"])]


class Economy(_Strict):
    """What surrounds the activities: usual municipal activation, in force or not."""

    usual_activation: bool


class ActivityItem(_Strict):
    """The keys every activity of a scenario has; its own parameters are checked by ``parameters_model``."""

    id: Slug
    activity: str
    places: Annotated[int, _bounds(LIMITS["places"])]
    start: Month
    end: Month
    priority: Literal["first_come", "longest_in_state", "most_barriers", "youngest", "oldest"]
    missing_drivers: list[Text]
    hindrances: list[Text]


class EventItem(_Strict):
    """Something dated that happens to the activities: a closure, in which nobody attends."""

    id: Slug
    event: Literal["closure"]
    start: Month
    end: Month
    activities: list[Text]


class ScenarioFile(_Strict):
    """A scenario after merging, with all defaults filled in."""

    version: Literal["scenario/1"] = Field(alias="schema")
    id: Slug
    title: Bilingual
    description: Bilingual | None = None
    population: Population
    horizon: Horizon
    economy: Economy
    activities: list[ActivityItem]
    events: list[EventItem]
    parameters: str


MODELS: Mapping[str, type[BaseModel]] = {
    "": ScenarioFile,
    "title": Bilingual,
    "description": Bilingual,
    "population": Population,
    "horizon": Horizon,
    "economy": Economy,
    "activities": ActivityItem,
    "events": EventItem,
}
"""The model of each map of a scenario file; ``activities`` and ``events`` stand for one item."""


def keys(section: str) -> tuple[str, ...]:
    """Return the keys of a map of a scenario file, in the order of the format."""
    return tuple(field.alias or name for name, field in MODELS[section].model_fields.items())


def parameter_sets() -> tuple[str, ...]:
    """Return what ``parameters`` may name."""
    return (DEFAULT_PARAMETERS, *ParameterSet.names())


@cache
def parameters_model(activity: str) -> type[BaseModel]:
    """Return the model of the parameters of a catalogue activity, bounded by their units."""
    fields: dict[str, Any] = {
        id: (int if UNITS[card.unit].whole else float, _bounds(UNITS[card.unit]))
        for id, card in catalogue()[activity].parameters.items()
    }
    return create_model(f"parameters_of_{activity}", __base__=_Strict, **fields)


# --- the JSON Schema


def _described(schema: Mapping[str, Any], name: str, **more: object) -> dict[str, Any]:
    """Return a schema with the description of the key ``name`` in every language."""
    words = messages("scenario")[name]
    return {**schema, "description": " / ".join(words[lang] for lang in LANGUAGES), **more}


def _properties(section: str, defaults: Mapping[str, object]) -> dict[str, dict[str, Any]]:
    """Return the properties of a map whose values are all plain."""
    made = MODELS[section].model_json_schema(by_alias=True)["properties"]
    found = {}
    for key, schema in made.items():
        plain = {part: value for part, value in schema.items() if part != "title"}
        more = {"default": defaults[key]} if key in defaults else {}
        found[key] = _described(plain, f"{section}_{key}", **more)
    return found


def _object(properties: Mapping[str, object], required: list[str], **more: object) -> dict[str, Any]:
    needed = {"required": required} if required else {}
    return {"type": "object", "properties": dict(properties), **needed, "additionalProperties": False, **more}


def _parameter_properties(activity: ActivityType) -> dict[str, dict[str, Any]]:
    made = parameters_model(activity.key).model_json_schema()["properties"]
    found = {}
    for id, card in activity.parameters.items():
        unit = UNITS[card.unit]
        plain = {part: value for part, value in made[id].items() if part != "title"}
        da = f"{card.label_da} ({unit.label_da}). Grad {card.grade}."
        en = f"{card.label_en} ({unit.label_en}). Grade {card.grade}."
        found[id] = {**plain, "description": f"{da} / {en}", "default": card.value}
    return found


def _item_schema(activity: ActivityType) -> dict[str, Any]:
    common = _properties("activities", DEFAULT_ITEM)
    common["activity"] |= {"const": activity.key}
    for key, points in (("missing_drivers", activity.drivers), ("hindrances", activity.hindrances)):
        common[key] |= {"items": {"enum": [point.id for point in points]}} if points else {"maxItems": 0}
    if activity.kind == "lever":
        common["places"] |= {"const": 0}
    properties = {**common, **_parameter_properties(activity)}
    says = f"{activity.label_da}: {activity.description_da} / {activity.label_en}: {activity.description_en}"
    return _object(properties, ["id"], title=activity.key, description=says)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of scenario files, for completion and checks in editors."""
    removal = {
        "id": _properties("activities", {})["id"],
        "remove": _described({"const": True}, "activities_remove"),
    }
    items = [*map(_item_schema, catalogue().values()), _object(removal, ["id", "remove"], title="remove")]
    slug = {"type": "string", "pattern": _SLUG}
    event = _object(_properties("events", {"activities": []}), ["id"])
    event_removal = _object({"id": event["properties"]["id"], "remove": removal["remove"]}, ["id", "remove"])
    bilingual = {section: _properties(section, {}) for section in ("title", "description")}
    population = _properties("population", {"recipe": "area"})
    horizon = _properties("horizon", {"start": RECIPE_MONTH, "months": DEFAULT_MONTHS})
    horizon["start"] |= {"const": RECIPE_MONTH}
    economy = _properties("economy", DEFAULT_ECONOMY)
    properties = {
        "schema": _described({"const": SCHEMA}, "schema"),
        "id": _described(slug, "id"),
        "extends": _described({"type": "string", "minLength": 1}, "extends"),
        "title": _described(_object(bilingual["title"], []), "title"),
        "description": _described(_object(bilingual["description"], []), "description"),
        "population": _described(_object(population, []), "population"),
        "horizon": _described(_object(horizon, []), "horizon"),
        "economy": _described(_object(economy, []), "economy"),
        "activities": _described({"type": "array", "items": {"anyOf": items}}, "activities", default=[]),
        "events": _described({"type": "array", "items": {"anyOf": [event, event_removal]}}, "events", default=[]),
        "parameters": _described({"enum": list(parameter_sets())}, "parameters", default=DEFAULT_PARAMETERS),
    }
    whole = {
        "required": ["title"],
        "properties": {
            "title": {"required": list(LANGUAGES)},
            "activities": {"items": {"required": ["id", "activity"]}},
            "events": {"items": {"required": ["id", "event", "start", "end"]}},
        },
    }
    return _described(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Jobveje",
            **_object(properties, ["schema", "id"]),
            "anyOf": [{"required": ["extends"]}, whole],
        },
        "file",
    )

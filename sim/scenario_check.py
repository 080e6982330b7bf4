"""Checks a merged scenario and says everything that is wrong with it, with places and what is allowed.

Pydantic finds the faults; its messages are never shown, only translated by their type into ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ValidationError

from .activities import catalogue
from .activities.base import OUTCOMES, PRIORITIES
from .errors import Problem, Words, nearest
from .locale import messages
from .parameters import UNITS, Unit
from .scenario_file import SCHEMA
from .scenario_format import (
    DEFAULT_ECONOMY,
    DEFAULT_ITEM,
    DEFAULT_MONTHS,
    DEFAULT_PARAMETERS,
    EVENTS,
    LIMITS,
    MONTH,
    RECIPE_MONTH,
    RECIPES,
    ActivityItem,
    ScenarioFile,
    keys,
    parameter_sets,
    parameters_model,
)
from .scenario_yaml import Node, node_of, printable, shown_value

Loc = tuple[str | int, ...]


def month_number(text: str) -> int:
    """Return the number of a month: ``2011-12`` is 2011 · 12 + 11."""
    year, month = text.split("-")
    return int(year) * 12 + int(month) - 1


def month_text(number: int) -> str:
    """Return a month as text, the inverse of ``month_number``."""
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


@dataclass(frozen=True)
class Checked:
    """A merged scenario with its defaults, what is wrong with it, and its checked values when nothing is."""

    tree: Node
    problems: tuple[Problem, ...]
    common: ScenarioFile | None
    parameters: tuple[Mapping[str, float], ...]


# --- defaults


def _filled(node: Node | None, defaults: Mapping[str, object], origin: str = "default") -> Node:
    """Return a map with the missing keys filled in; a node that is no map stays as it is."""
    if node is None:
        return node_of(defaults, origin)
    if not isinstance(node.value, dict):
        return node
    missing = {key: node_of(value, origin) for key, value in defaults.items() if key not in node.value}
    return node.with_entries(missing)


def _simulated(horizon: Node) -> tuple[int, int]:
    """Return the first and the last simulated month, by the default horizon where the given one is wrong."""
    start = horizon.map["start"].value if "start" in horizon.map else None
    months = horizon.map["months"].value if "months" in horizon.map else None
    limit = LIMITS["months"]
    if not (isinstance(start, str) and MONTH.fullmatch(start)):
        start = RECIPE_MONTH
    if not isinstance(months, int) or isinstance(months, bool) or not limit.lowest <= months <= limit.highest:
        months = DEFAULT_MONTHS
    return month_number(start) + 1, month_number(start) + months


def with_defaults(tree: Node) -> Node:
    """Return the tree with every setting it leaves out, from the defaults and the activities' cards."""
    population = _filled(tree.map.get("population"), {"recipe": "area"})
    recipe = population.map["recipe"].value if population.map else None
    residents = RECIPES.get(recipe, RECIPES["area"]) if isinstance(recipe, str) else RECIPES["area"]
    population = _filled(population, {"residents": residents})
    horizon = _filled(tree.map.get("horizon"), {"start": RECIPE_MONTH, "months": DEFAULT_MONTHS})
    activities = tree.map.get("activities", Node([], "default"))
    if activities.items:
        first, last = _simulated(horizon)
        dates = {"start": month_text(first), "end": month_text(last)}
        items = []
        for item in activities.items:
            cards = catalogue()[activity].parameters if (activity := _activity(item)) else {}
            own = {id: card.value for id, card in cards.items()}
            lever = activity is not None and catalogue()[activity].kind == "lever"
            usual = {**dates, **DEFAULT_ITEM, **({"places": 0} if lever else {})}
            items.append(_filled(_filled(item, usual), own, "card"))
        activities = replace(activities, value=items)
    events = tree.map.get("events", Node([], "default"))
    if events.items:
        events = replace(events, value=[_filled(item, {"activities": []}) for item in events.items])
    economy = _filled(tree.map.get("economy"), DEFAULT_ECONOMY)
    filled = {"population": population, "horizon": horizon, "economy": economy, "activities": activities}
    filled["events"] = events
    return _filled(tree.with_entries(filled), {"parameters": DEFAULT_PARAMETERS})


def _activity(item: Node) -> str | None:
    """Return the catalogue key of an item's activity, or None when it names none."""
    named = item.map["activity"].value if "activity" in item.map else None
    return named if isinstance(named, str) and named in catalogue() else None


# --- checking


def check(tree: Node, complete: bool = True) -> Checked:
    """Check a merged scenario; with ``complete`` False, missing keys are not held against it."""
    return _Check(with_defaults(tree), complete).result()


class _Check:
    """One pass over a tree: common fields, each activity's own parameters, then what must fit together."""

    def __init__(self, tree: Node, complete: bool) -> None:
        self.tree = tree
        self.complete = complete
        self.problems: list[Problem] = []
        self.wrong: set[Loc] = set()

    def result(self) -> Checked:
        common = self._validated(ScenarioFile, _common(self.tree), ())
        parameters: list[Mapping[str, float]] = []
        for at, item in enumerate(self._items()):
            if activity := _activity(item):
                own = {key: node.plain() for key, node in item.map.items() if key not in keys("activities")}
                checked = self._validated(parameters_model(activity), own, ("activities", at))
                parameters.append(checked.model_dump() if checked else {})
            elif isinstance(_value(item, "activity"), str):
                self._add("choice", ("activities", at, "activity"), tuple(catalogue()))
        self._check_settings()
        self._check_items()
        common = common if isinstance(common, ScenarioFile) and not self.problems else None
        return Checked(self.tree, tuple(self.problems), common, tuple(parameters))

    def _items(self) -> list[Node]:
        return self.tree.map["activities"].items

    def _validated(self, model: type[BaseModel], data: object, prefix: Loc) -> BaseModel | None:
        try:
            return model.model_validate(data)
        except ValidationError as error:
            for fault in error.errors(include_url=False, include_context=False, include_input=False):
                loc = (*prefix, *fault["loc"])
                self.wrong.add(loc)
                self._translate(fault["type"], loc)
            return None

    def _translate(self, type_: str, loc: Loc) -> None:
        """Add the problem that a pydantic error of ``type_`` at ``loc`` stands for."""
        name = next((part for part in reversed(loc) if isinstance(part, str)), "")
        unit = self._unit(loc)
        if type_ == "missing":
            if self.complete:
                words = messages("scenario")["_".join(part for part in loc if isinstance(part, str))]
                self._put("missing_key", loc, what=Words(**words))
        elif type_ == "extra_forbidden":
            self._unknown(loc)
        elif type_ == "model_type":
            self._put("map_expected", loc, allowed=", ".join(self._allowed(loc)))
        elif name in _NAMES and len(loc) > 1:
            kind = "names_expected" if type_ == "list_type" else "choice"
            self._add(kind, loc, self._names_allowed(loc))
        elif type_ == "list_type":
            self._put("list_expected", loc)
        elif unit:
            self._number(loc, unit)
        elif name == "schema":
            self._add("choice", loc, (SCHEMA,))
        elif name == "recipe":
            self._add("choice", loc, tuple(RECIPES))
        elif name == "activity":
            self._add("choice", loc, tuple(catalogue()))
        elif name == "priority":
            self._add("choice", loc, PRIORITIES)
        elif name == "event":
            self._add("choice", loc, EVENTS)
        elif name == "parameters":
            self._add("choice", loc, parameter_sets())
        elif name in ("start", "end"):
            self._put("month", loc)
        elif name == "id":
            self._put("slug", loc)
        elif name in ("da", "en"):
            self._put("text_expected", loc)
        else:
            self._put("value_wrong", loc)

    def _unit(self, loc: Loc) -> Unit | None:
        """Return the unit of the number at ``loc``, or None when no number belongs there."""
        name = loc[-1] if loc else None
        if not isinstance(name, str):
            return None
        if name in LIMITS:
            return LIMITS[name]
        activity = _activity(self._items()[int(loc[1])]) if loc[0] == "activities" and len(loc) == 3 else None
        card = catalogue()[activity].parameters.get(name) if activity else None
        return UNITS[card.unit] if card else None

    def _allowed(self, loc: Loc) -> tuple[str, ...]:
        """Return the keys of the map at ``loc``."""
        if not loc:
            return (*keys(""), "extends")
        activity = _activity(self._items()[int(loc[1])]) if loc[0] == "activities" else None
        own = tuple(catalogue()[activity].parameters) if activity else ()
        return (*keys(str(loc[0])), *own)

    def _unknown(self, loc: Loc) -> None:
        allowed = self._allowed(loc[:-1])
        key = str(loc[-1])
        near = nearest(key, allowed) if len(key) <= 64 else None
        stem, _, unit = key.rpartition("_")
        kind = "unknown_key"
        if near and _UNIT_WORDS.fullmatch(unit) and near.rpartition("_")[0] == stem:
            kind = "unknown_key_unit"
        self._put(kind, loc, near, allowed=", ".join(allowed))

    def _number(self, loc: Loc, unit: Unit) -> None:
        value = self._find(loc)[0].value
        kind = "whole_expected" if unit.whole else "number_expected"
        more: dict[str, object] = {}
        if isinstance(value, str):
            text = value.strip()
            if re.fullmatch(r"[-+]?[0-9]+,[0-9]+", text):
                if not unit.whole:
                    kind, more = "decimal_comma", {"better": printable(text.replace(",", "."))}
            elif re.match(r"[-+]?[0-9.]*[0-9]\s*([^\W\d_]|%|$)", text):
                kind = "plain_number"
        elif isinstance(value, int | float) and not isinstance(value, bool):
            outside = not unit.lowest <= value <= unit.highest
            kind = "outside" if outside and (isinstance(value, int) or not unit.whole) else kind
        words = Words(unit.label_da, unit.label_en)
        self._put(kind, loc, low=unit.lowest, high=unit.highest, unit=words, **more)

    # --- what must fit together

    def _check_settings(self) -> None:
        if self._right(("parameters",)) and self.tree.map["parameters"].value not in parameter_sets():
            self._add("choice", ("parameters",), parameter_sets())
        start: Loc = ("horizon", "start")
        if self._right(start) and self._find(start)[0].value != RECIPE_MONTH:
            self.wrong.add(start)
            recipe = self._find(("population", "recipe"))[0].value
            self._put("recipe_start", start, recipe=shown_value(recipe), allowed=f'"{RECIPE_MONTH}"')

    def _check_items(self) -> None:
        first, last = _simulated(self.tree.map["horizon"])
        dated = self._right(("horizon", "start")) and self._right(("horizon", "months"))
        places: dict[str, str] = {}
        for at, item in enumerate(self._items()):
            if self._right(("activities", at, "id")) and item.id is not None:
                if item.id in places:
                    self._put("id_twice", ("activities", at, "id"), where=places[item.id])
                places.setdefault(item.id, item.map["id"].place)
            self._check_dates(("activities", at), item, first, last, dated)
            self._check_ages(at, item)
            self._check_points(at, item)
            self._check_shares(at)
        seen: dict[str, str] = {}
        for at, item in enumerate(self.tree.map["events"].items):
            if self._right(("events", at, "id")) and item.id is not None:
                if item.id in seen:
                    self._put("id_twice", ("events", at, "id"), where=seen[item.id])
                seen.setdefault(item.id, item.map["id"].place)
            self._check_dates(("events", at), item, first, last, dated)
            self._check_closed(("events", at, "activities"))

    def _check_closed(self, loc: Loc) -> None:
        """Check that a closure names items of the scenario, and only such as it can change."""
        self._check_names(loc)
        if not self._right(loc):
            return
        closed = {item.id: _can_close(item) for item in self._items() if item.id is not None}
        for at, node in enumerate(self._find(loc)[0].items):
            if self._right((*loc, at)) and closed.get(str(node.value)) is False:
                allowed = [id for id, can in closed.items() if can]
                self._put("closure_goes_on", (*loc, at), allowed=", ".join(allowed) or "-")

    def _check_points(self, at: int, item: Node) -> None:
        """Check what an item says of its activity's drivers and hindrances, and that a lever has no places."""
        activity = _activity(item)
        if activity is None:
            return
        self._check_names(("activities", at, "missing_drivers"))
        self._check_names(("activities", at, "hindrances"))
        places: Loc = ("activities", at, "places")
        priority: Loc = ("activities", at, "priority")
        lever = catalogue()[activity].kind == "lever"
        if lever and self._right(places) and item.map["places"].value != 0:
            self._put("lever_places", places)
        if lever and self._right(priority) and item.map["priority"].value != PRIORITIES[0]:
            self._put("lever_priority", priority, allowed=PRIORITIES[0])

    def _check_shares(self, at: int) -> None:
        """Check that the outcomes of an item's clarification are no more than all of it."""
        shares: list[Loc] = [("activities", at, id) for id in OUTCOMES]
        if all(self._right(loc) for loc in shares):
            values = [float(str(self._find(loc)[0].value)) for loc in shares]
            if sum(values) > 1 + 1e-9:
                given = [loc for loc in shares if self._find(loc)[0].place != "card"]
                self._put("shares_above_one", given[-1], keys=", ".join(OUTCOMES), sum=f"{sum(values):g}")

    def _names_allowed(self, loc: Loc) -> tuple[str, ...]:
        """Return what the list of names at ``loc``, or around it, may hold."""
        if loc[0] == "events":
            return tuple(item.id for item in self._items() if item.id is not None)
        activity = _activity(self._items()[int(loc[1])])
        points = getattr(catalogue()[activity], _NAMES[str(loc[2])]) if activity else ()
        return tuple(point.id for point in points)

    def _check_names(self, loc: Loc) -> None:
        """Check that the list at ``loc`` holds allowed names only, each once."""
        if not self._right(loc):
            return
        allowed = self._names_allowed(loc)
        names = [node.value for node in self._find(loc)[0].items]
        for at, name in enumerate(names):
            if not self._right((*loc, at)):
                continue
            if name not in allowed:
                self._put("choice", (*loc, at), nearest(str(name), allowed), allowed=", ".join(allowed) or "-")
            elif name in names[:at]:
                self._put("name_twice", (*loc, at))

    def _check_dates(self, at: Loc, item: Node, first: int, last: int, dated: bool) -> None:
        start: Loc = (*at, "start")
        end: Loc = (*at, "end")
        if not self._right(start):
            return
        begins = month_number(str(item.map["start"].value))
        if dated and not first <= begins <= last:
            self._put("month_outside", start, low=month_text(first), high=month_text(last))
        elif self._right(end) and item.map["end"].place != "default":
            ends = month_number(str(item.map["end"].value))
            if ends < begins:
                self._put("end_before_start", end, low=month_text(begins))

    def _check_ages(self, at: int, item: Node) -> None:
        low: Loc = ("activities", at, "age_from")
        high: Loc = ("activities", at, "age_to")
        if self._right(low) and self._right(high):
            youngest, oldest = item.map["age_from"], item.map["age_to"]
            if float(str(youngest.value)) > float(str(oldest.value)):
                ages = {"low": shown_value(youngest.value), "high": shown_value(oldest.value)}
                self._put("ages", high if youngest.place == "card" else low, **ages)

    # --- places and words

    def _right(self, loc: Loc) -> bool:
        """Whether there is a value at ``loc`` and nothing was found wrong with it or around it."""
        there = len(self._find(loc)[1]) == len(loc)
        return there and not any(loc[:depth] in self.wrong for depth in range(len(loc) + 1))

    def _find(self, loc: Loc) -> tuple[Node, Loc]:
        """Return the node at ``loc``, or the last one on the way to it, and how far the way went."""
        node = self.tree
        for depth, part in enumerate(loc):
            if isinstance(part, int) and part < len(node.items):
                node = node.items[part]
            elif isinstance(part, str) and part in node.map:
                node = node.map[part]
            else:
                return node, loc[:depth]
        return node, loc

    def _key(self, loc: Loc) -> str:
        """Return ``loc`` as users write it: ``activities[leisure_job].places``."""
        text = ""
        for depth, part in enumerate(loc):
            if isinstance(part, int):
                id = self._find(loc[: depth + 1])[0].id
                text += f"[{printable(id)}]" if id else f"[#{part + 1}]"
            else:
                text += ("." if text else "") + printable(part)
        return text

    def _add(self, kind: str, loc: Loc, allowed: Sequence[str]) -> None:
        """Add a problem whose value is none of the names ``allowed``."""
        value = self._find(loc)[0].value
        near = nearest(value, allowed) if isinstance(value, str) and len(value) <= 64 else None
        self._put(kind, loc, near, allowed=", ".join(allowed) or "-")

    def _put(self, kind: str, loc: Loc, near: str | None = None, /, **values: object) -> None:
        node = self._find(loc)[0]
        given = {"value": shown_value(node.value)}
        self.problems.append(Problem(kind, node.place, self._key(loc), {**given, **values}, near))


_NAMES = {"missing_drivers": "drivers", "hindrances": "hindrances", "activities": ""}
"""Keys that hold a list of names, and which of an activity's points they name (none: items of the scenario)."""
_UNIT_WORDS = re.compile(
    "days|weeks|months|years|hours|percent|pct|share|dage|uger|måneder|maaneder|år|aar|timer|procent"
)
"""Endings of a key that name a unit."""


def _can_close(item: Node) -> bool | None:
    """Whether a closure changes anything for an item; None where its activity is not known."""
    activity = _activity(item)
    return None if activity is None else catalogue()[activity].can_close


def _value(item: Node, key: str) -> object:
    return item.map[key].value if key in item.map else None


def _common(tree: Node) -> dict[str, Any]:
    """Return the plain scenario, its items without the keys that belong to their activities."""
    data: dict[str, Any] = tree.plain()
    if isinstance(data["activities"], list):
        data["activities"] = [
            {key: value for key, value in item.items() if key in ActivityItem.model_fields}
            if isinstance(item, dict)
            else item
            for item in data["activities"]
        ]
    return data


def in_order(problems: Sequence[Problem]) -> list[Problem]:
    """Return problems file by file, each file's by line."""

    def address(problem: Problem) -> tuple[str, int]:
        found = re.fullmatch(r"(.*):([0-9]+)", problem.place)
        return (found[1], int(found[2])) if found else (problem.place, 0)

    files = list(dict.fromkeys(address(problem)[0] for problem in problems))
    return sorted(problems, key=lambda problem: (files.index(address(problem)[0]), address(problem)[1]))

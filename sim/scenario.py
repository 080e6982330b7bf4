"""Scenarios: a population, a horizon and the activities started, read from files that planners write."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .activities import catalogue
from .errors import ParameterError, Problem, ScenarioError, nearest
from .parameters import UNITS
from .scenario_check import check, in_order, month_number, month_text, with_defaults
from .scenario_file import SCHEMA, Loaded, find, load, shipped
from .scenario_format import MODELS, RECIPE_MONTH, json_schema, keys
from .scenario_yaml import Node, Scalar, node_of, printable, scalar, shown_value

__all__ = ["RECIPE_MONTH", "ActivityPlan", "Scenario", "json_schema", "list_scenarios", "month_number", "month_text"]

_FROM_PYTHON = "Python"
"""The origin of a setting that was changed by a method."""


@dataclass(frozen=True)
class ActivityPlan:
    """An activity with places from ``start`` to ``end``, and the value of each of its declared parameters."""

    id: str
    activity: str
    places: int
    start: str
    end: str
    values: Mapping[str, float]
    priority: str = "first_come"
    missing_drivers: tuple[str, ...] = ()
    hindrances: tuple[str, ...] = ()


@dataclass(frozen=True)
class Closure:
    """Months, the first and the last included, in which nobody attends.

    Placements are suspended, groups and talks go on virtually. ``activities`` names the items concerned (none: all).
    """

    id: str
    start: str
    end: str
    activities: tuple[str, ...] = ()

    def concerns(self, item: str) -> bool:
        """Whether nobody attends the activity item ``item`` in those months."""
        return not self.activities or item in self.activities


@dataclass(frozen=True)
class Scenario:
    """A valid scenario. ``months`` months are simulated, the first one after ``start``.

    ``tree`` holds the settings as they were written, with their places; two scenarios are equal when they
    mean the same, wherever they were written.
    """

    id: str
    title: Mapping[str, str]
    recipe: str
    residents: int
    start: str
    months: int
    usual_activation: bool
    activities: tuple[ActivityPlan, ...]
    closures: tuple[Closure, ...]
    parameters: str
    description: Mapping[str, str]
    file: str = field(compare=False)
    tree: Node = field(compare=False, repr=False)

    @classmethod
    def read(cls, path: str | Path, overrides: Sequence[str] = ()) -> Scenario:
        """Read a scenario file, or the shipped scenario of that name, changed by ``key=value`` overrides.

        Raises ``ScenarioError`` with every problem found.
        """
        return cls._loaded(load(*find(os.fspath(path))), overrides)

    @classmethod
    def _loaded(cls, loaded: Loaded, overrides: Sequence[str] = ()) -> Scenario:
        tree, problems = _overridden(loaded.tree, overrides)
        return cls._made(tree, loaded.shown, [*loaded.problems, *problems], loaded.complete)

    @classmethod
    def from_resolved(cls, data: Mapping[str, Any], origin: str = "manifest.json") -> Scenario:
        """Return the scenario that ``resolved`` wrote; ``origin`` names where ``data`` was found.

        Raises ``ScenarioError`` when the data is not a valid scenario.
        """
        tree = node_of(data, origin)
        if not isinstance(tree.value, dict):
            raise ScenarioError([Problem("top_not_map", place=origin)])
        return cls._made(tree, origin)

    @classmethod
    def _made(cls, tree: Node, file: str, problems: Iterable[Problem] = (), complete: bool = True) -> Scenario:
        checked = check(tree, complete)
        found = [*problems, *checked.problems]
        common = checked.common
        if found or common is None:
            raise ScenarioError(in_order(found))
        plans = tuple(
            ActivityPlan(
                item.id,
                item.activity,
                item.places,
                item.start,
                item.end,
                values,
                item.priority,
                tuple(item.missing_drivers),
                tuple(item.hindrances),
            )
            for item, values in zip(common.activities, checked.parameters, strict=True)
        )
        return cls(
            id=common.id,
            title=common.title.model_dump(),
            recipe=common.population.recipe,
            residents=common.population.residents,
            start=common.horizon.start,
            months=common.horizon.months,
            usual_activation=common.economy.usual_activation,
            activities=plans,
            closures=tuple(Closure(e.id, e.start, e.end, tuple(e.activities)) for e in common.events),
            parameters=common.parameters,
            description=common.description.model_dump() if common.description else {},
            file=file,
            tree=tree,
        )

    def scaled(self, residents: int) -> Scenario:
        """Return the scenario with other ``residents``, its places and staff in proportion, halves rounded up.

        Raises ``ScenarioError`` when ``residents`` or the places that follow are not allowed.
        """
        population = self.tree.map.get("population", Node({}, "default"))
        resized = population.with_entries({"residents": node_of(residents, _FROM_PYTHON)})
        scaled = self._made(self.tree.with_entries({"population": resized}), self.file)
        items = [
            item.with_entries({key: node_of(value, _FROM_PYTHON) for key, value in self._resized(plan, residents)})
            for item, plan in zip(self._items(), self.activities, strict=True)
        ]
        return scaled._with_items(items) if items else scaled

    def _resized(self, plan: ActivityPlan, residents: int) -> Iterator[tuple[str, int]]:
        """Yield the numbers of an item that are persons, in proportion to other ``residents``; who is there stays."""
        yield "places", _in_proportion(plan.places, residents, self.residents)
        for id, card in catalogue()[plan.activity].parameters.items():
            if card.unit == "persons" and plan.values[id]:
                yield id, max(_in_proportion(int(plan.values[id]), residents, self.residents), 1)

    def _with_items(self, items: list[Node]) -> Scenario:
        return self._made(self.tree.with_entries({"activities": Node(items, _FROM_PYTHON)}), self.file)

    def _items(self) -> list[Node]:
        return self.tree.map["activities"].items if "activities" in self.tree.map else []

    def with_activity(self, id: str, **changes: object) -> Scenario:
        """Return the scenario with item ``id`` changed, or added (which needs ``activity`` and ``places``).

        Raises ``ScenarioError`` as for a file.
        """
        entries = {key: node_of(value, _FROM_PYTHON) for key, value in changes.items()}
        items = [item.with_entries(entries) if item.id == id else item for item in self._items()]
        if all(item.id != id for item in items):
            items.append(Node({"id": node_of(id, _FROM_PYTHON), **entries}, _FROM_PYTHON))
        return self._with_items(items)

    def without_activity(self, id: str) -> Scenario:
        """Return the scenario without the item ``id``.

        Raises ``ScenarioError`` when there is no such item.
        """
        items = [item for item in self._items() if item.id != id]
        if len(items) == len(self._items()):
            raise ScenarioError([_unknown_item(_FROM_PYTHON, "activities", id, self._items())])
        return self._with_items(items)

    def resolved(self) -> dict[str, Any]:
        """Return every setting as plain JSON data, defaults and cards' values included."""
        described = {"description": dict(self.description)} if self.description else {}
        return {
            "schema": SCHEMA,
            "id": self.id,
            "title": dict(self.title),
            **described,
            "population": {"recipe": self.recipe, "residents": self.residents},
            "horizon": {"start": self.start, "months": self.months},
            "economy": {"usual_activation": self.usual_activation},
            "activities": [
                {
                    "id": plan.id,
                    "activity": plan.activity,
                    "places": plan.places,
                    "start": plan.start,
                    "end": plan.end,
                    "priority": plan.priority,
                    "missing_drivers": list(plan.missing_drivers),
                    "hindrances": list(plan.hindrances),
                    **plan.values,
                }
                for plan in self.activities
            ],
            "events": [
                {
                    "id": closure.id,
                    "event": "closure",
                    "start": closure.start,
                    "end": closure.end,
                    "activities": list(closure.activities),
                }
                for closure in self.closures
            ],
            "parameters": self.parameters,
        }

    def rows(self) -> list[tuple[str, object, str]]:
        """Return every setting as (key, value, origin), in the order of ``resolved``.

        The origin is ``file:line``, ``-s``, ``default``, ``card`` or ``Python``; activity parameters carry
        the grade of their card after it, as in ``card (D)``.
        """
        tree = with_defaults(self.tree)
        rows: list[tuple[str, object, str]] = []
        for key, value in self.resolved().items():
            node = tree.map[key]
            if key in ("activities", "events"):
                for plan, item in zip(value, node.items, strict=True):
                    rows += _item_rows(key, plan, item)
            elif isinstance(value, dict):
                rows += [(f"{key}.{name}", entry, node.map[name].place) for name, entry in value.items()]
            else:
                rows.append((key, value, node.place))
        return rows

    def diff(self, other: Scenario) -> list[tuple[str, object, object]]:
        """Return the settings that differ as (key, value here, value there); None stands for absent."""
        here = {key: value for key, value, _ in self.rows()}
        there = {key: value for key, value, _ in other.rows()}
        return [
            (key, here.get(key), there.get(key))
            for key in dict.fromkeys([*here, *there])
            if here.get(key) != there.get(key)
        ]


def with_drawn(plans: Sequence[ActivityPlan], drawn: Mapping[str, float]) -> tuple[ActivityPlan, ...]:
    """Return activity items with the numbers of a posterior draw, by ``activity.parameter``, in place of the cards'.

    What a scenario sets itself stays. Raises ``ParameterError`` naming every number no activity has or allows.
    """
    if not drawn:
        return tuple(plans)
    cards = {f"{key}.{id}": card for key, activity in catalogue().items() for id, card in activity.parameters.items()}
    problems = [Problem("unknown_parameter", key=id, nearest=nearest(id, cards)) for id in drawn if id not in cards]
    for id in drawn.keys() & cards.keys():
        unit = UNITS[cards[id].unit]
        if not unit.lowest <= drawn[id] <= unit.highest:
            values = {"value": drawn[id], "low": unit.lowest, "high": unit.highest}
            problems.append(Problem("bounds", key=id, values=values))
    if problems:
        raise ParameterError(sorted(problems, key=lambda problem: problem.key))
    found = []
    for plan in plans:
        own = {id: drawn.get(f"{plan.activity}.{id}", value) for id, value in plan.values.items()}
        kept = {id: value for id, value in plan.values.items() if value != cards[f"{plan.activity}.{id}"].value}
        found.append(replace(plan, values=own | kept))
    return tuple(found)


def _in_proportion(places: int, residents: int, before: int) -> int:
    return (2 * places * residents + before) // (2 * before)


def _item_rows(section: str, plan: Mapping[str, Any], item: Node) -> list[tuple[str, object, str]]:
    cards = catalogue()[plan["activity"]].parameters if section == "activities" else {}
    rows: list[tuple[str, object, str]] = []
    for key, value in plan.items():
        place = item.map[key].place
        if key in cards:
            place += f" ({cards[key].grade if value == cards[key].value else 'D'})"
        shown = ", ".join(value) or "-" if isinstance(value, list) else value
        rows.append((f"{section}[{plan['id']}].{key}", shown, place))
    return rows


def list_scenarios() -> list[Scenario]:
    """Return the shipped scenarios, sorted by file name."""
    return [Scenario._loaded(load(path, f"scenarios/{path.name}")) for path in shipped()]


# --- overrides

_LISTS = ("activities", "events")
"""Settings that are lists of items with ids."""
_OVERRIDE = re.compile(r"\s*(?P<head>\w+)(?:\[(?P<id>[^\[\]]*)\])?(?P<tail>(?:\.\w+)*)\s*=(?P<value>.*)", re.DOTALL)


def _settings() -> list[str]:
    """Return the settings outside activities that an override may change."""
    nested = {section: keys(section) for section in MODELS if section not in ("", *_LISTS)}
    found: list[str] = []
    for key in keys(""):
        if key not in ("schema", *_LISTS):
            found += [f"{key}.{name}" for name in nested[key]] if key in nested else [key]
    return found


def _overridden(tree: Node, overrides: Sequence[str]) -> tuple[Node, list[Problem]]:
    """Return the tree with ``key=value`` overrides set, the last one winning, and what is wrong with them."""
    problems: list[Problem] = []
    for override in overrides:
        found = _OVERRIDE.fullmatch(override)
        if not found:
            problems.append(Problem("override_form", "-s", values={"value": shown_value(override)}))
            continue
        node = Node(_override_value(found["value"].strip()), "-s")
        path = [found["head"], *found["tail"].split(".")[1:]]
        id = found["id"]
        if id is None and ".".join(path) in _settings():
            tree = _set(tree, path, node)
        elif id is not None and len(path) == 2 and path[0] in _LISTS and path[1] not in ("id", "remove"):
            tree = _set_in_item(tree, path[0], id.strip(), path[1], node, problems)
        else:
            allowed = [*_settings(), *(f"{section}[ID].KEY" for section in _LISTS)]
            named = override.partition("=")[0].strip()
            near = nearest(named, allowed) if len(named) <= 64 else None
            problems.append(Problem("override_key", "-s", printable(named), {"allowed": ", ".join(allowed)}, near))
    return tree, problems


def _override_value(text: str) -> Scalar:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if quoted else scalar(text)


def _set(tree: Node, path: Sequence[str], node: Node) -> Node:
    """Return the tree with ``node`` at ``path``; what is no map on the way stays and is found wrong later."""
    if not path:
        return node
    if not isinstance(tree.value, dict):
        return tree
    below = tree.map.get(path[0], Node({}, node.place))
    return tree.with_entries({path[0]: _set(below, path[1:], node)})


def _set_in_item(tree: Node, section: str, id: str, key: str, node: Node, problems: list[Problem]) -> Node:
    found = tree.map.get(section, Node([], "default"))
    if all(item.id != id for item in found.items):
        problems.append(_unknown_item("-s", f"{section}[{printable(id)}].{key}", id, found.items))
        return tree
    items = [item.with_entries({key: node}) if item.id == id else item for item in found.items]
    return tree.with_entries({section: replace(found, value=items)})


def _unknown_item(place: str, key: str, id: str, items: Sequence[Node]) -> Problem:
    ids = list(dict.fromkeys(item.id for item in items if item.id))
    values = {"value": shown_value(id), "allowed": ", ".join(ids) or "-"}
    return Problem("unknown_item", place, key, values, nearest(id, ids))

"""YAML text as a tree of values that know where they were written.

A text that is too long, too deep or multiplies itself by aliases is refused while it is read, long before it
can fill the memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from .errors import Problem, ScenarioError, Words

MAX_LINES = 20_000
MAX_VALUES = 10_000
MAX_ALIASES = 1_000
MAX_DEPTH = 50

Scalar: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True)
class Node:
    """A value and the place where it was written: ``file:line``, ``-s``, ``default`` or ``card``."""

    value: Scalar | dict[str, Node] | list[Node]
    place: str

    @property
    def map(self) -> dict[str, Node]:
        """The entries of a map; none when the value is something else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        """The items of a list; none when the value is something else."""
        return self.value if isinstance(self.value, list) else []

    @property
    def id(self) -> str | None:
        """The text under ``id``, when the value is a map that has one."""
        found = self.map.get("id")
        return found.value if found and isinstance(found.value, str) else None

    def with_entries(self, entries: Mapping[str, Node]) -> Node:
        """Return the map with ``entries`` changed or added."""
        return replace(self, value={**self.map, **entries})

    def plain(self) -> Any:
        """Return the value as plain dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def node_of(data: object, place: str) -> Node:
    """Return plain data as a tree, every value from ``place``."""
    if isinstance(data, Mapping):
        return Node({str(key): node_of(value, place) for key, value in data.items()}, place)
    if isinstance(data, list | tuple):
        return Node([node_of(value, place) for value in data], place)
    if isinstance(data, Integral) and not isinstance(data, bool):
        return Node(int(data), place)
    return Node(data if isinstance(data, Scalar) else str(data), place)


def shown_value(value: object) -> str | Words:
    """Return a value as a message shows it: texts in quotes, numbers as YAML writes them."""
    match value:
        case None:
            return Words("(tom)", "(empty)")
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{printable(value)}"'
        case dict():
            return Words("(en blok af nøgler)", "(a block of keys)")
        case list():
            return Words("(en liste)", "(a list)")
        case float() if value != value:
            return ".nan"
        case float() if value in (float("inf"), float("-inf")):
            return ".inf" if value > 0 else "-.inf"
    return printable(str(value))


_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]{1,100}")
_OTHER_INTEGER = re.compile(r"0o[0-7]{1,100}|0x[0-9a-fA-F]{1,100}")
_DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"([-+]?)\.(?:(inf|Inf|INF)|(nan|NaN|NAN))")


def scalar(text: str) -> Scalar:
    """Return what an unquoted YAML 1.2 scalar stands for (core schema: ``no`` is a text, ``010`` is ten)."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OTHER_INTEGER.fullmatch(text):
        return int(text, 0)
    if _DECIMAL.fullmatch(text):
        return float(text)
    if found := _NOT_FINITE.fullmatch(text):
        return float(found[1] + "inf") if found[2] else float("nan")
    return text


def printable(text: str, longest: int = 60) -> str:
    """Return ``text`` fit for one line of a message: control characters escaped, cut after ``longest``."""
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)


@dataclass
class _Open:
    """A map or list that has begun but not ended, and of a map the key whose value comes next."""

    place: str
    value: dict[str, Node] | list[Node]
    anchor: str | None
    size: int = 1
    height: int = 1
    at_value: bool = False
    key: str | None = None
    key_line: int = 0
    lines: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Part:
    """A finished node with the number of values in it and its height, aliases written out."""

    node: Node
    size: int = 1
    height: int = 0


class _Composer:
    """Makes a tree from YAML events, without recursion, and stops at the first limit that is passed."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.problems: list[Problem] = []
        self.root: Node | None = None
        self.documents = 0
        self.aliases = 0
        self.values = 0
        self.open: list[_Open] = []
        self.anchors: dict[str, _Part | None] = {}

    def compose(self, events: Iterator[Event]) -> None:
        """Take all events of a text."""
        for event in events:
            line = event.start_mark.line + 1
            place = f"{self.shown}:{line}"
            if isinstance(event, DocumentStartEvent):
                self.documents += 1
                if self.documents > 1:
                    raise self._refused("yaml_documents", place)
            elif isinstance(event, AliasEvent):
                self._add(self._aliased(event.anchor, place), line)
            elif isinstance(event, ScalarEvent):
                self._check_tag(event, place)
                plain = event.style is None
                part = _Part(Node(scalar(event.value) if plain else event.value, place))
                self._count(1, place)
                if event.anchor:
                    self.anchors[event.anchor] = part
                self._add(part, line, key=event.value)
            elif isinstance(event, MappingStartEvent | SequenceStartEvent):
                self._check_tag(event, place)
                self._count(1, place)
                self._check_depth(1, place)
                if event.anchor:
                    self.anchors[event.anchor] = None
                self.open.append(_Open(place, {} if isinstance(event, MappingStartEvent) else [], event.anchor))
            elif isinstance(event, MappingEndEvent | SequenceEndEvent):
                ended = self.open.pop()
                part = _Part(Node(ended.value, ended.place), ended.size, ended.height)
                if ended.anchor:
                    self.anchors[ended.anchor] = part
                self._add(part, int(ended.place.rpartition(":")[2]))

    def _refused(self, kind: str, place: str, **values: object) -> ScenarioError:
        return ScenarioError([*self.problems, Problem(kind, place=place, values=values)])

    def _count(self, more: int, place: str) -> None:
        self.values += more
        if self.values > MAX_VALUES:
            raise self._refused("too_many", place, what=Words("værdier", "values"), limit=MAX_VALUES)

    def _check_depth(self, height: int, place: str) -> None:
        if len(self.open) + height > MAX_DEPTH:
            raise self._refused("yaml_deep", place, limit=MAX_DEPTH)

    def _check_tag(self, event: Any, place: str) -> None:
        if event.ctag is not None:
            self.problems.append(Problem("yaml_tag", place=place, values={"value": printable(str(event.ctag))}))

    def _aliased(self, name: str, place: str) -> _Part:
        self.aliases += 1
        if self.aliases > MAX_ALIASES:
            raise self._refused("too_many", place, what=Words("aliasser (*)", "aliases (*)"), limit=MAX_ALIASES)
        if name not in self.anchors:
            raise self._refused("yaml_alias", place, value=printable(name))
        part = self.anchors[name]
        if part is None:
            raise self._refused("yaml_recursive", place, value=printable(name))
        self._count(part.size, place)
        self._check_depth(part.height, place)
        return part

    def _add(self, part: _Part, line: int, key: str | None = None) -> None:
        """Put a finished part where it belongs; ``key`` is its text when it can serve as the key of a map."""
        if not self.open:
            self.root = part.node
            return
        into = self.open[-1]
        into.size += part.size
        into.height = max(into.height, part.height + 1)
        place = f"{self.shown}:{line}"
        if isinstance(into.value, list):
            into.value.append(replace(part.node, place=place))
        elif not into.at_value:
            into.at_value, into.key, into.key_line = True, key, line
            if key is None or not key.isprintable():
                self.problems.append(Problem("key_not_text", place=place))
                into.key = None
        else:
            into.at_value = False
            self._add_entry(into, into.value, part.node)

    def _path(self) -> str:
        """Return where the reading is, as users write it: ``activities[leisure_job].places``."""
        path = ""
        for at, level in enumerate(self.open):
            if isinstance(level.value, list):
                item = Node(self.open[at + 1].value, "") if at + 1 < len(self.open) else None
                id = item.id if item else None
                path += f"[{printable(id)}]" if id else f"[#{len(level.value) + 1}]"
            else:
                path += ("." if path else "") + printable(level.key or "?")
        return path

    def _add_entry(self, into: _Open, entries: dict[str, Node], node: Node) -> None:
        if into.key is None:
            return
        place = f"{self.shown}:{into.key_line}"
        if into.key in entries:
            values = {"line": into.lines[into.key]}
            self.problems.append(Problem("key_twice", place=place, key=self._path(), values=values))
        else:
            entries[into.key] = replace(node, place=place)
            into.lines[into.key] = into.key_line


_SYNTAX = (
    ("cannot start any token", "yaml_character"),
    ("mapping values are not allowed", "yaml_colon"),
    ("could not find expected ':'", "yaml_no_colon"),
    ("unexpected end of stream", "yaml_open"),
    ("expected ',' or", "yaml_open"),
    ("special characters are not allowed", "yaml_character"),
)
"""What the YAML reader says, and the message that says it in plain words."""


def parse(text: str, shown: str) -> tuple[Node | None, list[Problem]]:
    """Return the tree written in ``text`` (None when it cannot be read as YAML) and every problem met.

    ``shown`` is the name of the file in places.
    """
    if len(text.splitlines()) > MAX_LINES:
        values = {"what": Words("linjer", "lines"), "limit": MAX_LINES}
        return None, [Problem("too_many", place=shown, values=values)]
    # The YAML reader is slow on endless directives and tags, and neither belongs in a scenario.
    for pattern, kind in ((r"^%.*", "yaml_directive"), (r"![^\s]{200}", "yaml_tag")):
        if found := re.search(pattern, text, flags=re.MULTILINE):
            line = text.count("\n", 0, found.start()) + 1
            return None, [Problem(kind, place=f"{shown}:{line}", values={"value": printable(found[0])})]
    composer = _Composer(shown)
    try:
        composer.compose(YAML(typ="safe", pure=True).parse(text))
    except ScenarioError as error:
        return None, list(error.problems)
    except (YAMLError, ValueError, OverflowError) as error:
        return None, [*composer.problems, _syntax(error, text, shown)]
    if composer.root is None or composer.root.value is None:
        return None, [*composer.problems, Problem("file_empty", place=shown)]
    if not isinstance(composer.root.value, dict):
        composer.problems.append(Problem("top_not_map", place=composer.root.place))
        return None, composer.problems
    return composer.root, composer.problems


def _syntax(error: Exception, text: str, shown: str) -> Problem:
    """Return the reader's complaint in plain words."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    position = getattr(error, "position", None)
    if mark is not None:
        place = f"{shown}:{min(mark.line, text.count(chr(10))) + 1}"
    elif isinstance(position, int):
        place = f"{shown}:{text.count(chr(10), 0, position) + 1}"
    else:
        place = shown
    said = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    kind = next((kind for part, kind in _SYNTAX if part in said), "yaml_syntax")
    return Problem(kind, place=place)

"""Scenario files on disk: finding them, reading them safely, merging a file into the one it extends."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from .errors import Problem, ScenarioError, nearest
from .scenario_yaml import Node, parse, shown_value

FOLDERS = (Path(__file__).resolve().parents[1] / "scenarios", Path(__file__).resolve().parent / "shipped")
"""Where shipped scenarios lie: in the repository, or in the installed package."""

SCHEMA = "scenario/1"
"""The version of the file format."""

MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class Loaded:
    """A scenario file merged with its parents, under the name to show for it.

    ``complete`` says that every file of the chain could be read; otherwise missing keys prove nothing.
    """

    shown: str
    tree: Node
    problems: tuple[Problem, ...]
    complete: bool


# --- finding and reading files


def shipped() -> list[Path]:
    """Return the shipped scenario files, sorted by name."""
    folder = next((folder for folder in FOLDERS if folder.is_dir()), FOLDERS[-1])
    return sorted(folder.glob("*.yaml"))


def _kind(path: Path) -> str:
    """Return ``file``, ``folder``, ``other`` or ``missing``; raise ``OSError`` when that cannot be known."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return "missing"
    return "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else "other"


def find(named: str, beside: Path | None = None) -> tuple[Path, str]:
    """Return the file meant by ``named`` and the name to show for it.

    The path itself counts first (for a parent file, relative to the folder ``beside``), then the shipped
    scenarios.
    Raises ``ScenarioError`` when there is no such file.
    """
    shown = str(beside / named) if beside else named
    endings = ("",) if named.endswith((".yaml", ".yml")) else ("", ".yaml")
    candidates = [(Path(shown + ending), shown + ending) for ending in endings]
    folder, name = os.path.split(named)
    if name and folder in ("", "scenarios"):
        candidates += [
            (place / (name + ending), f"scenarios/{name}{ending}") for place in FOLDERS for ending in endings
        ]
    try:
        kinds = [_kind(path) for path, _ in candidates]
    except OSError as error:
        raise _unreadable(shown, error) from error
    for candidate, kind in zip(candidates, kinds, strict=True):
        if kind == "file":
            return candidate
    if kinds[0] == "missing":
        names = [path.name for path in shipped()]
        values = {"allowed": ", ".join(names)}
        raise ScenarioError([Problem("file_missing", place=shown, values=values, nearest=nearest(name, names))])
    raise ScenarioError([Problem("file_folder" if kinds[0] == "folder" else "file_other", place=shown)])


def _unreadable(shown: str, error: OSError) -> ScenarioError:
    reason = error.strerror or type(error).__name__
    return ScenarioError([Problem("unreadable", values={"path": shown, "reason": reason})])


def _read_text(path: Path, shown: str) -> str:
    """Return the text of a file, or raise ``ScenarioError`` when it cannot be a scenario file."""
    try:
        with path.open("rb") as handle:
            content = handle.read(MAX_BYTES + 1)
    except OSError as error:
        raise _unreadable(shown, error) from error
    if len(content) > MAX_BYTES:
        raise ScenarioError([Problem("file_large", place=shown, values={"limit": MAX_BYTES})])
    if b"\0" in content:
        raise ScenarioError([Problem("file_binary", place=shown)])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ScenarioError([Problem("file_not_utf8", place=f"{shown}:{line}")]) from error


# --- a file and its parents


def load(path: Path, shown: str) -> Loaded:
    """Read a file, called ``shown`` in places, and merge it into the files it extends.

    Raises ``ScenarioError`` when the file itself cannot be read; faults of its parents are in ``problems``.
    """
    tree, problems = parse(_read_text(path, shown), shown)
    if tree is None:
        raise ScenarioError(problems)
    trees, complete = [tree], True
    first = path.resolve()
    chain = {first: shown}
    while complete and (extends := trees[-1].map.get("extends")) is not None:
        try:
            path, shown = _parent(extends, path.parent, Path(shown).parent, chain)
            parent, found = parse(_read_text(path, shown), shown)
        except ScenarioError as error:
            parent, found = None, list(error.problems)
        problems += found
        if parent is None:
            complete = False
        else:
            problems += _wrong_schema(parent)
            trees.append(parent)
            chain[path.resolve()] = shown
    merged = Node({}, trees[-1].place)
    for level in reversed(trees):
        inherited = {key: node for key, node in merged.map.items() if key not in ("schema", "id")}
        own = {key: node for key, node in level.map.items() if key != "extends"}
        merged = _merge(replace(level, value=own), replace(merged, value=inherited), "", problems, complete)
    return Loaded(chain[first], merged, tuple(problems), complete)


def _parent(extends: Node, folder: Path, shown: Path, chain: Mapping[Path, str]) -> tuple[Path, str]:
    """Return the file that ``extends`` names and the name to show for it."""
    named = extends.value
    names = [path.name for path in shipped()]
    values = {"value": shown_value(named), "allowed": ", ".join(names)}
    if not isinstance(named, str) or not named.strip():
        raise ScenarioError([Problem("extends_text", place=extends.place, key="extends", values=values)])
    try:
        path, name = find(named, folder)
    except ScenarioError as error:
        near = nearest(named, names)
        missing = Problem("extends_missing", place=extends.place, key="extends", values=values, nearest=near)
        raise ScenarioError([missing]) from error
    if path.parent == folder / Path(named).parent:
        name = str(shown / Path(named).parent / path.name)
    if path.resolve() in chain:
        cycle = " → ".join([*chain.values(), name])
        raise ScenarioError([Problem("extends_cycle", place=extends.place, key="extends", values={"chain": cycle})])
    return path, name


def _wrong_schema(parent: Node) -> list[Problem]:
    """Return a problem when a parent file is not of this version of the format."""
    schema = parent.map.get("schema", Node(None, parent.place))
    if schema.value == SCHEMA:
        return []
    values = {"value": shown_value(schema.value), "allowed": SCHEMA}
    return [Problem("choice", place=schema.place, key="schema", values=values)]


def _merge(child: Node, parent: Node | None, key: str, problems: list[Problem], complete: bool) -> Node:
    """Return ``child`` over ``parent``: maps merge, lists of items merge by id, anything else replaces."""
    if isinstance(child.value, dict):
        below = parent.map if parent else {}
        merged = {
            name: _merge(node, below.get(name), f"{key}.{name}".lstrip("."), problems, complete)
            for name, node in child.value.items()
        }
        return replace(child, value={**below, **merged})
    if child.items and all(isinstance(item.value, dict) for item in child.items):
        return replace(child, value=_merge_items(child, parent, key, problems, complete))
    return child


def _merge_items(child: Node, parent: Node | None, key: str, problems: list[Problem], complete: bool) -> list[Node]:
    """Return the parent's items, changed and removed as the child says, and the child's own after them."""
    merged: dict[object, Node] = {}
    for below in parent.items if parent else []:
        merged[object() if below.id is None or below.id in merged else below.id] = below
    seen: set[str] = set()
    for item in child.items:
        id = item.id
        entries = {name: node for name, node in item.map.items() if name != "remove"}
        if (remove := item.map.get("remove")) is not None:
            if remove.value is True:
                if merged.pop(id, None) is None and complete:
                    problems.append(_nothing_to_remove(item, remove, key, [i for i in merged if isinstance(i, str)]))
                continue
            values = {"value": shown_value(remove.value)}
            problems.append(Problem("remove_value", place=remove.place, key=f"{key}.remove", values=values))
        if id is None or id in seen:
            merged[object()] = replace(item, value=entries)
        else:
            seen.add(id)
            merged[id] = _merge(replace(item, value=entries), merged.get(id), f"{key}[{id}]", problems, complete)
    return list(merged.values())


def _nothing_to_remove(item: Node, remove: Node, key: str, ids: list[str]) -> Problem:
    values = {"value": shown_value(item.id), "allowed": ", ".join(ids) or "-"}
    near = nearest(item.id or "", ids)
    return Problem("remove_unknown", place=remove.place, key=key, values=values, nearest=near)

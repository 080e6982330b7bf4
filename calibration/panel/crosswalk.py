"""From codes of a register to states: a table and a few rules, both of which the user edits.

The table has a row a code: ``code``, ``state`` (empty: a week with this code says nothing), ``priority`` (1 wins over 2
when two states have as many weeks), ``note_da``, ``note_en``. The rules stand in a YAML file beside it; ``RULES`` says
what they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from sim.errors import InputError, Problem, nearest

from .data import FIRST_ROW
from .design import label
from .files import read_frame

COLUMNS: Final = ("code", "state", "priority", "note_da", "note_en")
RULES: Final = (
    "states",
    "weeks_that_decide",
    "weeks_after",
    "least_weeks",
    "least_hours",
    "least_hours_next",
    "employed",
    "employment_beats",
    "neither",
    "gone",
    "ends_at",
)
"""Keys of the rules, all needed; :class:`Rules` says what each is."""
_MOST_WEEKS: Final = 13


@dataclass(frozen=True)
class Rules:
    """How weeks and hours become one state at the end of a quarter.

    ``states``: all that may be named. ``weeks_that_decide``: the last so many weeks of the quarter vote, with the first
    ``weeks_after`` of the next, and ``least_weeks`` of them must be for the winner. ``least_hours``: paid hours in the
    quarter from which somebody may be ``employed``, of whom ``least_hours_next`` are asked in the quarter after, too
    (0: it is not looked at; nor of those who died or left in it).
    ``employment_beats``: states by weeks that give way to employment when there is both; all others win over it.
    ``neither``: the state of those with neither. ``gone``: the state of those who died or left, from that day;
    empty: their records just end. ``ends_at``: states that end a person's rows once they are seen.
    """

    states: tuple[str, ...]
    weeks_that_decide: int
    weeks_after: int
    least_weeks: int
    least_hours: float
    least_hours_next: float
    employed: str
    employment_beats: tuple[str, ...]
    neither: str
    gone: str
    ends_at: tuple[str, ...]

    def number(self, state: str) -> int:
        """Return the number of a state."""
        return self.states.index(state)


@dataclass(frozen=True)
class Crosswalk:
    """A table of codes with its rules: ``state`` numbers the rules' states (-1 says nothing), ``priority`` is theirs.

    ``state`` has shape (codes,), ``priority`` (states,): the least of a state's codes.
    """

    codes: tuple[str, ...]
    state: np.ndarray
    priority: np.ndarray
    rules: Rules


def read_crosswalk(table: Path | str | pd.DataFrame, rules: Path | str | Mapping[str, Any]) -> Crosswalk:
    """Return the crosswalk of a CSV file (or frame) and a YAML file (or mapping).

    Raises ``InputError`` naming every row and key that cannot be used.
    """
    found, problems = _rules(rules)
    codes, state, priority = [], [], []
    for row in _rows(table, found.states if found else (), problems):
        codes.append(row[0])
        state.append(row[1])
        priority.append(row[2])
    if problems or found is None:
        raise InputError(problems)
    least = np.full(len(found.states), np.iinfo(np.int64).max)
    named = [(s, p) for s, p in zip(state, priority, strict=True) if s >= 0]
    for s, p in named:
        least[s] = min(least[s], p)
    return Crosswalk(tuple(codes), np.array(state, dtype=np.int64), least, found)


def _rows(
    table: Path | str | pd.DataFrame, states: Sequence[str], problems: list[Problem]
) -> Iterator[tuple[str, int, int]]:
    """Yield code, state and priority of each good row; add what is wrong with the others to ``problems``."""
    place = "crosswalk" if isinstance(table, pd.DataFrame) else str(table)
    if isinstance(table, pd.DataFrame):
        frame = table
    else:
        try:
            frame = read_frame(Path(table), ())
        except InputError as error:
            problems += error.problems
            return
    names = [str(name) for name in frame.columns]
    lacking = [name for name in COLUMNS if name not in names]
    problems += [
        Problem("panel_column", place, name, {"allowed": ", ".join(names)}, nearest(name, names)) for name in lacking
    ]
    if lacking:
        return
    seen: dict[str, int] = {}
    for row, (code, state, priority) in enumerate(
        zip(frame["code"], frame["state"], frame["priority"], strict=True), start=FIRST_ROW
    ):
        where = f"{place}:{row}"
        named = "" if pd.isna(code) else label(code)
        into = "" if pd.isna(state) else label(state)
        wrong = []
        if not named:
            wrong.append(Problem("register_no_code", where, "code"))
        elif named in seen:
            wrong.append(Problem("register_code_twice", where, "code", {"code": named, "row": seen[named]}))
        if into and states and into not in states:
            values = {"state": into, "allowed": ", ".join(states)}
            wrong.append(Problem("register_state", where, "state", values, nearest(into, states)))
        rank = "" if pd.isna(priority) else label(priority)
        if into and not (rank.isdecimal() and int(rank) > 0):
            wrong.append(Problem("whole_at_least", where, "priority", {"value": rank or "–", "low": 1}))
        seen.setdefault(named, row)
        problems += wrong
        if not wrong and states:
            yield named, (list(states).index(into) if into else -1), int(rank) if into else 0


def _rules(given: Path | str | Mapping[str, Any]) -> tuple[Rules | None, list[Problem]]:
    """Return the rules, or everything that is wrong with them."""
    if isinstance(given, Mapping):
        held, place = dict(given), "rules"
    else:
        place = str(given)
        try:
            held = _yaml(Path(given))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).splitlines()[0]
            return None, [Problem("register_rules_file", place, values={"reason": reason})]
    problems = [
        Problem("register_rule_unknown", place, str(key), {"allowed": ", ".join(RULES)}, nearest(str(key), RULES))
        for key in held
        if key not in RULES
    ]
    problems += [Problem("register_rule_missing", place, key) for key in RULES if key not in held]
    if problems:
        return None, problems
    lists = {key: held[key] for key in ("states", "employment_beats", "ends_at")}
    problems += [
        Problem("register_rule_list", place, key, {"value": value})
        for key, value in lists.items()
        if isinstance(value, str) or not isinstance(value, Sequence)
    ]
    for key, low in (("weeks_that_decide", 1), ("weeks_after", 0), ("least_weeks", 1)):
        if not isinstance(held[key], int) or isinstance(held[key], bool) or held[key] < low:
            problems.append(Problem("whole_at_least", place, key, {"value": held[key], "low": low}))
    for key in ("least_hours", "least_hours_next"):
        if not isinstance(held[key], int | float) or isinstance(held[key], bool) or not held[key] >= 0:
            problems.append(Problem("register_rule_number", place, key, {"value": held[key]}))
    if problems:
        return None, problems
    states = tuple(label(one) for one in held["states"])
    held["gone"] = "" if held["gone"] is None else held["gone"]
    for key in ("employed", "neither", "gone", "employment_beats", "ends_at"):
        for one in [held[key]] if key in ("employed", "neither", "gone") else held[key]:
            if label(one) not in states and not (key == "gone" and one == ""):
                values = {"state": label(one), "allowed": ", ".join(states)}
                problems.append(Problem("register_state", place, key, values, nearest(label(one), states)))
    for key, high in (
        ("weeks_that_decide", _MOST_WEEKS),
        ("weeks_after", _MOST_WEEKS),
        ("least_weeks", held["weeks_that_decide"] + held["weeks_after"]),
    ):
        if held[key] > high:
            problems.append(Problem("bounds", place, key, {"value": held[key], "low": 0, "high": high}))
    if problems:
        return None, problems
    for key in ("employed", "neither", "gone"):
        held[key] = label(held[key])
    for key in ("states", "employment_beats", "ends_at"):
        held[key] = tuple(label(one) for one in held[key])
    return Rules(**held), []


def _yaml(path: Path) -> dict[str, Any]:
    """Return a YAML file's mapping; raises ``ValueError`` when it holds none."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        held = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    if not isinstance(held, dict):
        raise ValueError("no keys")
    return held

"""Targets: published shares with their role in the fit, and the check of evidence files a user brings."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sim.errors import EvidenceError, Problem, nearest
from sim.sources import COHORT_SIZES, Target, flow_targets_of, published_interval, rows

if TYPE_CHECKING:
    import pandas as pd

CONTROL_PATH = (
    "annex7_3_backsolved_share_control_matched_start_minus_3",
    "annex7_3_backsolved_share_control_matched_start_minus_2",
    "annex7_3_backsolved_share_control_matched_start_minus_1",
    "annex7_3_backsolved_share_control_matched_start",
    "annex7_3_backsolved_share_control_matched_start_plus_1",
)
"""Leisure-job shares of the matched controls in the years -3 to +1 around their start year, 2014."""

AGED_15_20 = (
    "fig5_15_leisure_job_women_supported_areas_2015",
    "fig5_15_leisure_job_men_supported_areas_2015",
)
"""Pupils and students aged 15-20 with a leisure job of at least 2,000 DKK a year."""

ROLES: Final = ("fit", "hold_out", "shown")
"""What a target is for: fitted; held out and scored; or only shown beside (it repeats or contradicts another one)."""

Row = Mapping[str, str]


@dataclass(frozen=True)
class Targets:
    """The published shares, split by role.

    ``fit``: the 12 printed shares of Figure 4.13 unless changed. ``shown``: the 4 remainders and the readings of
    section 1.2.1 that contradict the figure by a point; they are compared, never fitted. ``hold_out``: none unless
    asked for with :meth:`with_roles`. ``given`` are the rows a user brought, by id, each with its ``place`` in the
    file: they replace those of the young, of leisure jobs and of employment, too.
    """

    fit: tuple[Target, ...]
    shown: tuple[Target, ...]
    hold_out: tuple[Target, ...] = ()
    given: Mapping[str, Row] = field(default_factory=dict, hash=False, repr=False)

    @classmethod
    def read(cls, path: Path | None = None) -> Targets:
        """Read the targets of the cash-benefit flows from the evidence book.

        Rows of the CSV file ``path`` (the columns of ``evidence/targets.csv``) replace the book's by id; a remainder
        that is not among them follows from the others. A column ``role`` gives those rows another role; empty leaves
        it. Raises ``EvidenceError`` naming every row that cannot be used.

        >>> len(Targets.read().fit), len(Targets.read().shown)
        (12, 7)
        """
        mine = {} if path is None else read_rows(path)
        found = flow_targets_of({**rows("targets"), **mine})
        printed = [t for t in found if t.reading == "a" and not t.remainder]
        shown = tuple(_followed(t, printed, mine) for t in found if t not in printed)
        roles = {t.id: mine[t.id]["role"] for t in found if mine.get(t.id, {}).get("role")}
        return cls(tuple(printed), shown, given=mine).with_roles(roles)

    @property
    def book(self) -> dict[str, Row]:
        """The rows of the evidence book, the user's own in their place."""
        return {**rows("targets"), **self.given}

    def with_roles(self, roles: Mapping[str, str]) -> Targets:
        """Return the targets with other roles, by target id; the order stays that of the evidence book.

        Raises ``EvidenceError`` naming every unknown id and role.

        >>> later = {t.id: "hold_out" for t in Targets.read().fit if t.month == "2016-12"}
        >>> changed = Targets.read().with_roles(later)
        >>> len(changed.fit), len(changed.hold_out)
        (6, 6)
        """
        known = {target.id: role for role in ROLES for target in getattr(self, role)}
        problems = [Problem("evidence_unknown", key=id, nearest=nearest(id, known)) for id in roles if id not in known]
        problems += [
            Problem("choice", key=id, values={"value": role, "allowed": ", ".join(ROLES)}, nearest=nearest(role, ROLES))
            for id, role in roles.items()
            if role not in ROLES
        ]
        if problems:
            raise EvidenceError(problems)
        chosen = {**known, **roles}
        order = list(rows("targets"))
        everything = sorted((*self.fit, *self.hold_out, *self.shown), key=lambda t: (t.reading, order.index(t.id)))
        split = {role: tuple(t for t in everything if chosen[t.id] == role) for role in ROLES}
        return Targets(**split, given=self.given)

    def with_intervals(self, intervals: Mapping[str, tuple[float, float]]) -> Targets:
        """Return the targets with other rounding intervals (low, high), by target id.

        "A good 5 per cent" is read as .050-.055; the other reading is a rounded 5 per cent:

        >>> plain = {t.id: (0.045, 0.055) for t in Targets.read().fit if t.published == 0.05}
        >>> [t.low for t in Targets.read().with_intervals(plain).fit if t.published == 0.05]
        [0.045, 0.045]

        Raises ``EvidenceError`` naming every unknown id and every interval that is empty or not within 0 and 1.
        """
        known = [target.id for role in ROLES for target in getattr(self, role)]
        problems = [
            Problem("evidence_unknown", key=id, nearest=nearest(id, known)) for id in intervals if id not in known
        ]
        problems += [
            Problem("bounds", key=id, values={"value": f"{low}-{high}", "low": 0, "high": 1})
            for id, (low, high) in intervals.items()
            if not 0 <= low < high <= 1
        ]
        if problems:
            raise EvidenceError(problems)

        def changed(target: Target) -> Target:
            low, high = intervals.get(target.id, (target.low, target.high))
            return replace(target, low=low, high=high)

        return Targets(**{role: tuple(changed(t) for t in getattr(self, role)) for role in ROLES}, given=self.given)

    def table(self) -> pd.DataFrame:
        """Return one row a target: what it measures, on whom, when, its interval, source and role."""
        import pandas as pd

        book = rows("targets")
        return pd.DataFrame(
            {
                **{column.name: getattr(target, column.name) for column in fields(Target)},
                "population": book[target.id]["population"],
                "source": book[target.id]["source"],
                "role": role,
            }
            for role in ROLES
            for target in getattr(self, role)
        )


def _followed(target: Target, printed: list[Target], mine: Mapping[str, Row]) -> Target:
    """Return a remainder with what the printed shares leave, or, where the user has given it, as it is printed."""
    if not target.remainder:
        return target
    if target.id in mine:
        low, high = _as_printed(target, mine)
        return replace(target, low=low, high=high)
    parts = [t.published for t in printed if (t.group, t.month) == (target.group, target.month)]
    return replace(target, published=round(1 - sum(parts), 9))


def _as_printed(target: Target, given: Mapping[str, Row]) -> tuple[float, float]:
    """Return the interval of a target; that of a given remainder is its own, not what the other shares leave."""
    if target.remainder and target.id in given:
        return published_interval(target.id, target.published, given[target.id]["precision"])
    return target.low, target.high


# --- evidence files


_SAME = ("measure", "unit", "population", "sex", "origin", "year_from", "year_to", "from_state", "to_state")
"""Columns that say what a row is about: a row that replaces another must agree in them."""
_STATES = ("from_state", "to_state")
_ROLE = "role"


def read_rows(path: Path) -> dict[str, Row]:
    """Return the rows of a user's evidence file by id.

    The file has the columns of ``evidence/targets.csv`` and may have one more, ``role``; UTF-8 with or without a
    byte-order mark, separated by commas. A row comes back with its ``place``, ``file:line``.
    Raises ``EvidenceError`` naming every row that cannot be used, each with its place.
    """
    columns = list(next(iter(rows("targets").values())))
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle, strict=True)
            given = list(reader.fieldnames or [])
            lines = [(reader.line_num, row) for row in reader]
    except UnicodeDecodeError as error:
        raise EvidenceError([Problem("file_not_utf8", place=str(path))]) from error
    except csv.Error as error:
        raise EvidenceError([Problem("unreadable", values={"path": path, "reason": error})]) from error
    except OSError as error:
        raise EvidenceError([Problem("unreadable", values={"path": path, "reason": error.strerror})]) from error
    missing, unknown = [c for c in columns if c not in given], [str(c) for c in given if c not in (*columns, _ROLE)]
    if missing or unknown or len(given) != len(set(given)):
        twice = [c for c in dict.fromkeys(given) if given.count(c) > 1]
        values = {"missing": ", ".join(missing) or "-", "unknown": ", ".join([*unknown, *twice]) or "-"}
        raise EvidenceError([Problem("evidence_columns", place=path.name, values=values)])
    if not lines:
        raise EvidenceError([Problem("evidence_empty", place=path.name)])
    problems = list(_problems(path.name, lines))
    if problems:
        raise EvidenceError(problems)
    return {row["id"]: {**row, "place": f"{path.name}:{line}"} for line, row in lines}


def _problems(file: str, lines: list[tuple[int, dict[str, str]]]) -> Iterable[Problem]:
    """Yield everything that is wrong in the numbered rows of a file."""
    book = rows("targets")
    states = {row[column] for row in book.values() for column in _STATES}
    seen: dict[str, int] = {}
    sound: dict[str, Row] = {}
    for line, row in lines:
        id, place = str(row["id"]), f"{file}:{line}"
        found: list[Problem] = []
        if None in row or None in row.values():
            found.append(Problem("evidence_columns", place, id, {"missing": "?", "unknown": "?"}))
        elif id not in book:
            found.append(Problem("evidence_unknown", place, id, nearest=nearest(id, book)))
        else:
            if id in seen:
                found.append(Problem("evidence_twice", place, id))
            found += _about(place, row, book[id], states)
            found += _numbers(place, row)
            if row.get(_ROLE) and row[_ROLE] not in ROLES:
                values = {"value": row[_ROLE], "allowed": ", ".join(ROLES)}
                found.append(Problem("choice", place, f"{id}.{_ROLE}", values, nearest(row[_ROLE], ROLES)))
        seen[id] = line
        if found:
            yield from found
        else:
            sound[id] = row
    yield from _sizes(file, sound, seen)
    yield from _sums(file, sound, seen)


def _about(place: str, row: Row, own: Row, states: set[str]) -> Iterable[Problem]:
    """Yield where a row is about something else than the book's row of the same id."""
    for column in _SAME:
        given, key = row[column], f"{row['id']}.{column}"
        if column in _STATES and given not in states:
            yield Problem("evidence_state", place, key, {"value": given}, nearest(given, states))
        elif given != own[column]:
            yield Problem("evidence_other", place, key, {"value": given, "allowed": own[column]})
    precisions = sorted({r["precision"] for r in rows("targets").values()})
    if row["precision"] not in precisions:
        values = {"value": row["precision"], "allowed": ", ".join(precisions)}
        yield Problem("choice", place, f"{row['id']}.precision", values, nearest(row["precision"], precisions))


def _number(written: str) -> float:
    """Return the number a cell holds, NaN when it holds none; Python's own ``1_000`` and ``inf`` are none."""
    try:
        value = float(written)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) and "_" not in written else math.nan


def _numbers(place: str, row: Row) -> Iterable[Problem]:
    """Yield what is wrong with the value of a row and with the number of persons behind it."""
    for column in ("value", "n"):
        key, value = f"{row['id']}.{column}", _number(row[column])
        if column == "n" and not row["n"]:
            if rows("targets")[row["id"]]["n"]:
                yield Problem("evidence_persons", place, key, {"value": "''", "low": 1})
            continue
        if math.isnan(value):
            yield Problem("evidence_number", place, key, {"value": row[column] or "''"})
        elif value < 1 and (column == "n" or row["measure"] == "count"):
            yield Problem("evidence_persons", place, key, {"value": row[column], "low": 1})
        elif column == "value" and row["measure"] == "share" and not 0 <= value <= 1:
            yield Problem("bounds", place, key, {"value": row[column], "low": 0, "high": 1})


def _sizes(file: str, sound: Mapping[str, Row], line: Mapping[str, int]) -> Iterable[Problem]:
    """Yield rows of the 2011 cohorts whose n is not the size of the cohort, in this file or in the book."""
    found = {**rows("targets"), **sound}
    for id, row in sound.items():
        size = COHORT_SIZES.get(row["from_state"])
        if size is None or not row["n"] or row["measure"] != "share" or row["population"] != "supported_areas":
            continue
        if _number(row["n"]) != _number(found[size]["value"]):
            values = {"value": row["n"], "allowed": found[size]["value"], "row": size}
            yield Problem("evidence_size", f"{file}:{line[id]}", f"{id}.n", values)


def _sums(file: str, sound: Mapping[str, Row], line: Mapping[str, int]) -> Iterable[Problem]:
    """Yield groups of shares, touched by the file, that cannot sum to 1 whatever their rounding hides.

    A remainder the file does not give follows from the others, so without it the printed shares may leave any rest.
    """
    flows = [t for t in flow_targets_of({**rows("targets"), **sound}) if t.reading == "a"]
    for group, month in dict.fromkeys((t.group, t.month) for t in flows):
        mine = [t for t in flows if (t.group, t.month) == (group, month)]
        touched = [t.id for t in mine if t.id in sound]
        if not touched:
            continue
        parts = [t for t in mine if not t.remainder or t.id in sound]
        total = sum(t.published for t in parts)
        low, high = (sum(ends) for ends in zip(*(_as_printed(t, sound) for t in parts), strict=True))
        names = ", ".join(t.id for t in parts)
        place = ", ".join(f"{file}:{line[id]}" for id in touched)
        if low > 1 + 1e-9:
            values: dict[str, object] = {"rows": names, "total": f"{total:.4g}", "low": f"{low:.4g}"}
            yield Problem("evidence_sum_above", place, "", values)
        elif len(parts) == len(mine) and high < 1 - 1e-9:
            values = {"rows": names, "total": f"{total:.4g}", "low": f"{low:.4g}", "high": f"{high:.4g}"}
            yield Problem("evidence_sum", place, "", values)


def control_path(book: Mapping[str, Row] | None = None) -> tuple[list[float], list[float]]:
    """Return the mean ages (years) and leisure-job shares of the matched controls in their five event years.

    Their mean age in 2010 is printed, taken as whole years in December, so half a year below the exact age; the start
    year is 2014, so event year k lies 4 + k years later.
    """
    book = book or rows("targets")
    age_2010 = float(book["annex7_1_age_in_2010_control_matched"]["value"])
    ages = [age_2010 + 0.5 + 4 + k for k in range(-3, 2)]
    return ages, [float(book[id]["value"]) for id in CONTROL_PATH]

"""From raw registers to a panel: weekly benefit codes, quarterly paid hours and people become states at quarter ends.

Three tables. ``weeks``: ``person``, ``week`` ("2012-W07"), ``code``; a week without payment has no row. With a fourth
column ``until`` a row is all weeks from ``week`` to ``until``. ``quarters``: ``person``, ``quarter`` ("2012Q1"),
``hours`` paid; several rows of a quarter are added. ``people``: ``person``, ``birth_month`` ("1985-03"), ``sex``
(woman, man), ``origin``, and where there are any ``entered`` (quarter a person is followed from), ``died`` and ``left``
(dates), and columns of your own.

A state at the end of a quarter is made, not seen. What makes it is the crosswalk with its rules
(:mod:`.crosswalk`), and every choice it makes is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from sim.errors import InputError, Problem
from sim.locale import text

from .crosswalk import Crosswalk, read_crosswalk
from .quarters import quarter_end, quarter_of_days, quarter_of_weeks, time_of_days, weeks_around_end
from .raw import NEEDED, Paid, People, Worked, paid_hours, paid_weeks, people_of, tables_of

EXAMPLE: Final = Path(__file__).parent / "example"
"""The shipped synthetic extract, made by ``make_example.py``."""
OWN: Final = ("person", "birth_month", "sex", "entered", "died", "left")
"""Columns of people that become something else in the panel; the others follow as they are."""


class Reading(NamedTuple):
    """A panel ``frame`` (person, time in years, state, woman, age, origin, ...) and the ``decisions`` that made it.

    ``decisions`` has a row a kind of decision: step, what, code, state, count, label_da, label_en.
    """

    frame: pd.DataFrame
    decisions: pd.DataFrame


def read_registers(
    source: Path | str | Mapping[str, pd.DataFrame],
    crosswalk: Path | str | pd.DataFrame | None = None,
    rules: Path | str | Mapping[str, Any] | None = None,
    every: int = 1,
) -> Reading:
    """Return the panel that raw registers and a crosswalk make, and the decisions that made it.

    ``source``: a folder with the three tables (CSV, gzipped or not, or Parquet) or a mapping of their names to frames.
    ``crosswalk``, ``rules``: files, or a frame and a mapping; without them ``crosswalk.csv`` and ``rules.yaml`` of the
    folder (``rules.yaml`` beside the crosswalk, when only that is given). ``every``: quarters between observations,
    counted in calendar time: 1 all quarter ends, 2 June and December, 4 December alone.

    A person's rows begin with the first quarter end after ``entered`` (without: after the first week or hours) and
    stop with a state of ``ends_at``, the day of death or leaving, or the last quarter that the registers tell. Times
    are years in which a quarter is a fourth. ``woman`` is 1 or 0; ``age`` is in years at the observation.

    Raises ``InputError`` naming file, row and person of everything that cannot be used.
    """
    if not isinstance(every, int) or isinstance(every, bool) or every < 1:
        raise InputError([Problem("whole_at_least", key="every", values={"value": every, "low": 1})])
    problems: list[Problem] = []
    tables = tables_of(source, problems)
    walk = _crosswalk(source, crosswalk, rules, problems)
    if walk is None or len(tables) < len(NEEDED):
        raise InputError(problems)
    people = people_of(tables["people"])
    paid = paid_weeks(tables["weeks"], people, walk)
    worked = paid_hours(tables["quarters"], people)
    if problems:
        raise InputError(problems)
    return _panel(people, paid, worked, walk, every)


def _crosswalk(source: Any, table: Any, rules: Any, problems: list[Problem]) -> Crosswalk | None:
    """Return the crosswalk asked for, or the one beside the tables; None when it cannot be used."""
    if table is None and not isinstance(source, Mapping):
        table = Path(source) / "crosswalk.csv"
    if rules is None and isinstance(table, Path | str):
        rules = Path(table).with_name("rules.yaml")
    if table is None or rules is None:
        problems.append(Problem("register_no_crosswalk"))
        return None
    try:
        return read_crosswalk(table, rules)
    except InputError as error:
        problems += error.problems
        return None


# --- the states at quarter ends


@dataclass(frozen=True)
class _Ends:
    """Quarter ends that registers tell: ``quarters`` (quarters,), which of them each person is followed at, and what
    was found there, all with shape (people, quarters)."""

    quarters: np.ndarray
    followed: np.ndarray
    state: np.ndarray
    tied: np.ndarray
    few: np.ndarray
    by_weeks: np.ndarray
    by_hours: np.ndarray
    no_next: np.ndarray
    paid_between: np.ndarray


def _panel(people: People, paid: Paid, worked: Worked, walk: Crosswalk, every: int) -> Reading:
    rules = walk.rules
    quarters = _told_quarters(people, paid, worked, walk)
    if not len(quarters):
        raise InputError([Problem("register_no_quarters", values={"weeks": rules.weeks_that_decide})])
    gone = time_of_days(people.gone_day)
    entered, never = _entered(people, paid, worked)
    end = quarter_end(quarters)
    followed = (quarters >= entered[:, None]) & ~(end >= gone[:, None])
    leaving = quarter_of_days(people.gone_day)[:, None] == quarters + 1
    ends = _states(paid, worked, walk, quarters, followed, leaving)
    seen = followed & ((quarters + 1) % every == 0)
    state, time = ends.state, np.broadcast_to(end, seen.shape)
    # The day somebody is gone is one more observation, after all quarter ends before it.
    goes = (gone <= end[-1]) & seen.any(axis=1) & (rules.gone != "")
    seen = np.column_stack([seen, goes])
    state = np.column_stack([state, np.full(len(state), rules.number(rules.gone) if rules.gone else 0)])
    time = np.column_stack([time, gone])
    last = np.isin(state, [rules.number(one) for one in rules.ends_at]) & seen
    ended = (np.cumsum(last, axis=1) - last) > 0
    after_end = seen & ended
    seen &= ~ended
    alone = seen.sum(axis=1) == 1
    kept = seen & ~alone[:, None]
    who, column = np.nonzero(kept)
    moment = time[who, column]
    # Taken from the columns as they are held: making texts anew takes most of the time.
    own = people.frame[["person", *(name for name in people.frame if name not in OWN)]].take(who).reset_index(drop=True)
    frame = pd.DataFrame(
        {
            "person": own["person"],
            "time": moment,
            "state": pd.Series(list(rules.states)).take(state[who, column]).reset_index(drop=True),
            "woman": (people.frame["sex"] == "woman").to_numpy(dtype=float)[who],
            "age": moment - people.born[who],
        }
    ).join(own.drop(columns="person"))
    return Reading(
        frame,
        _decisions(
            [
                *_of_weeks(people, paid, entered, walk),
                ("hours", "hours_added", "", "", worked.added),
                *_of_ends(ends, seen[:, :-1], walk),
                ("rows", "gone_seen", "", rules.gone, int((kept[:, -1]).sum())),
                ("rows", "after_end", "", "", int(after_end.sum())),
                ("people", "never", "", "", int(never.sum())),
                ("people", "unseen", "", "", int((~seen.any(axis=1) & ~never).sum())),
                ("people", "alone", "", "", int(alone.sum())),
                ("people", "kept", "", "", int(kept.any(axis=1).sum())),
                ("rows", "kept_rows", "", "", len(frame)),
            ]
        ),
    )


def _told_quarters(people: People, paid: Paid, worked: Worked, walk: Crosswalk) -> np.ndarray:
    """Return the quarters whose deciding weeks, and hours with those asked in the next, the registers reach to."""
    begins, stops = [], []
    if worked.grid.shape[1]:
        begins.append(worked.first)
        stops.append(worked.first + worked.grid.shape[1] - 1 - (walk.rules.least_hours_next > 0))
    if paid.grid.shape[1]:
        begins.append(int(quarter_of_weeks([paid.first])[0]))
        final = paid.first + paid.grid.shape[1] - 1
        quarter = int(quarter_of_weeks([final - walk.rules.weeks_after])[0])
        stops.append(quarter - (int(weeks_around_end([quarter], 1, walk.rules.weeks_after)[0, -1]) > final))
    if not begins:
        return np.empty(0, dtype=np.int64)
    return np.arange(min(begins), min(stops) + 1)


def _entered(people: People, paid: Paid, worked: Worked) -> tuple[np.ndarray, np.ndarray]:
    """Return the quarter each person is followed from (inf for those never seen), and who is never seen."""
    seen = np.full(len(people.frame), np.inf)
    for grid, quarter in (
        (paid.grid >= 0, quarter_of_weeks(paid.first + np.arange(paid.grid.shape[1]))),
        (worked.grid > 0, worked.first + np.arange(worked.grid.shape[1])),
    ):
        if grid.shape[1]:
            first = np.where(grid.any(axis=1), quarter[grid.argmax(axis=1)], np.inf)
            seen = np.minimum(seen, first)
    entered = np.where(np.isnan(people.entered), seen, people.entered)
    return entered, np.isinf(entered)


def _states(
    paid: Paid, worked: Worked, walk: Crosswalk, quarters: np.ndarray, followed: np.ndarray, leaving: np.ndarray
) -> _Ends:
    """Return the state of everybody at every quarter end, and how it was found; ``leaving``: gone in the next."""
    rules = walk.rules
    weeks = weeks_around_end(quarters, rules.weeks_that_decide, rules.weeks_after) - paid.first
    decide = _columns(paid.grid, weeks.ravel(), -1).reshape(len(followed), *weeks.shape)
    most = np.zeros(followed.shape, dtype=np.int8)
    winner = np.full(followed.shape, -1, dtype=np.int8)
    tied = np.zeros(followed.shape, dtype=bool)
    # In the order of priority, so that a later state wins only by more weeks.
    for s in np.argsort(walk.priority, kind="stable"):
        votes = (decide == s).sum(axis=2, dtype=np.int8)
        tied = np.where(votes > most, False, tied | ((votes == most) & (votes > 0)))
        winner = np.where(votes > most, s, winner)
        most = np.maximum(most, votes)
    by_weeks = most >= rules.least_weeks
    here = _columns(worked.grid, quarters - worked.first, 0.0)
    after = _columns(worked.grid, quarters + 1 - worked.first, 0.0)
    enough = (here >= rules.least_hours) & (here > 0)
    no_next = enough & (after < rules.least_hours_next) & ~leaving
    by_hours = enough & ~no_next
    gives_way = np.isin(winner, [rules.number(one) for one in rules.employment_beats])
    state = np.where(by_hours, rules.number(rules.employed), rules.number(rules.neither))
    state = np.where(by_weeks & ~(by_hours & gives_way), winner, state)
    begin, stop = weeks_around_end(quarters - 1, 1)[:, 0] + 1 - paid.first, weeks_around_end(quarters, 1)[:, 0] + 1
    nothing = np.zeros((len(paid.grid), 1), dtype=bool)
    sums = np.cumsum(np.hstack([nothing, paid.grid >= 0]), axis=1, dtype=np.int32)
    stop = np.clip(stop - paid.first, 0, sums.shape[1] - 1)
    any_paid = sums[:, stop] - sums[:, np.clip(begin, 0, sums.shape[1] - 1)]
    return _Ends(
        quarters, followed, state, tied & by_weeks, (most > 0) & ~by_weeks, by_weeks, by_hours, no_next, any_paid > 0
    )


def _columns(grid: np.ndarray, at: np.ndarray, outside: float) -> np.ndarray:
    """Return columns ``at`` of a grid, ``outside`` where it has none."""
    found = np.full((len(grid), len(at)), outside, dtype=grid.dtype)
    inside = (at >= 0) & (at < grid.shape[1])
    found[:, inside] = grid[:, at[inside]]
    return found


# --- what was decided

_Row = tuple[str, str, str, str, int]


def _of_weeks(people: People, paid: Paid, entered: np.ndarray, walk: Crosswalk) -> Iterable[_Row]:
    """Yield weeks by code with the state each stands for, and those before somebody is followed or after."""
    for code, state, count in zip(walk.codes, walk.state, paid.counts, strict=True):
        kind = "code" if state >= 0 else "code_silent"
        yield "weeks", kind, code, walk.rules.states[state] if state >= 0 else "", int(count)
    week = paid.first + np.arange(paid.grid.shape[1])
    held = paid.grid >= 0
    yield "weeks", "weeks_before", "", "", int((held & (quarter_of_weeks(week) < entered[:, None])).sum())
    thursday = (7 * week).astype("datetime64[D]")
    yield "weeks", "weeks_after_gone", "", "", int((held & (thursday > people.gone_day[:, None])).sum())


def _of_ends(ends: _Ends, seen: np.ndarray, walk: Crosswalk) -> Iterable[_Row]:
    """Yield quarter ends by what decided them, and then by what they may hide."""
    rules = walk.rules
    named = np.array([*rules.states, ""], dtype=object)
    employed = ends.state == rules.number(rules.employed)
    both = ends.by_weeks & ends.by_hours
    for kind, mine in (
        ("by_weeks", ends.by_weeks & ~ends.by_hours),
        ("by_hours", ends.by_hours & ~ends.by_weeks),
        ("both_weeks", both & ~employed),
        ("both_hours", both & employed),
        ("neither", ~ends.by_weeks & ~ends.by_hours),
    ):
        counts = np.bincount(ends.state[mine & seen], minlength=len(rules.states))
        for state in np.flatnonzero(counts):
            yield "quarter_ends", kind, "", named[state], int(counts[state])
    for kind, mine in (("ties", ends.tied), ("few_weeks", ends.few), ("no_next", ends.no_next)):
        yield "doubts", kind, "", "", int((mine & seen).sum())
    # Neither, between two quarter ends in one and the same state by weeks, and with weeks paid in the quarter itself.
    neither = ~ends.by_weeks & ~ends.by_hours & seen
    alike = (ends.state[:, :-2] == ends.state[:, 2:]) & ends.by_weeks[:, :-2] & ends.by_weeks[:, 2:]
    gap = neither[:, 1:-1] & alike & seen[:, :-2] & seen[:, 2:]
    yield "doubts", "gaps", "", "", int(gap.sum())
    yield "doubts", "gaps_paid", "", "", int((gap & ends.paid_between[:, 1:-1]).sum())


def _decisions(rows: Sequence[_Row]) -> pd.DataFrame:
    found = pd.DataFrame(rows, columns=["step", "what", "code", "state", "count"])
    for lang in ("da", "en"):
        found[f"label_{lang}"] = [text(f"panel.decided_{what}", lang) for what in found["what"]]
    return found

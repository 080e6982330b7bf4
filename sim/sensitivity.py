"""Which assumed numbers move the headline: one grade D number at a time, at both ends of its range.

The same people live with the same luck, so the headline moves only because the number does. Only the measure of the
headline is computed, up to its month: in a few replicates for every number, and in more for those that may be decisive,
because among so many numbers some would else look decisive by luck.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from .activities.idle import idle_in
from .errors import ParameterError
from .headline import DECISIVE, first_headline, luck
from .measures import MEASURES, grouped
from .parameters import ParameterSet
from .recipe import CARDS
from .results import COLUMNS, assumptions
from .scenario import Scenario, month_number
from .transitions import split_of

SCREENED, CONFIRMED = 4, 12
"""Replicates in which every number is tried, and those that may be decisive are tried again."""
ROWS = 30_000
"""Most residents stacked; a larger area is tried in fewer replicates, at least one."""
LIVES_A_BATCH = 8
"""Values handed to a worker at once."""
WORKERS_FROM = 3.0
"""Seconds of work below which starting workers costs more than it saves."""
SECONDS_A_LIFE, SECONDS_A_ROW_MONTH = 0.03, 6e-8
"""What a life costs besides its residents, and what a resident's month costs."""

Progress = Callable[[int, int], None]
"""Told how many values have been tried, and of how many."""


class Assumed(NamedTuple):
    """A grade D number as a run uses it; ``parameter`` is ``activity.id`` for a number of an activity."""

    parameter: str
    value: float
    low: float
    high: float
    label_da: str
    label_en: str
    unit: str


class Head(NamedTuple):
    """The difference a report tells first of a scenario, and the interval of luck around it."""

    scenario: str
    measure: str
    month: str
    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Trial:
    """What every value is tried on; ``scenarios`` begin with the base, ``heads`` name one headline a scenario."""

    scenarios: tuple[Scenario, ...]
    heads: tuple[Head, ...]
    parameters: ParameterSet
    replicates: range
    seed: int
    engine: str

    def lived(self, scenario: Scenario, parameters: ParameterSet) -> np.ndarray:
        """Return the measure of every headline in one scenario, shape (headlines, replicates)."""
        from .model import AreaModel

        model = AreaModel(
            scenario, seed=self.seed, replicate=self.replicates, engine=self.engine, parameters=parameters
        )
        found = np.full((len(self.heads), len(self.replicates)), np.nan)
        months = [month_number(head.month) - model.start for head in self.heads]
        while model.month < max(months):
            model.step()
            due = [i for i, month in enumerate(months) if month == model.month]
            if due:
                columns, ledger = model.columns().seen("individual"), model.ledger.table()
                for i in due:
                    groups = grouped(MEASURES[self.heads[i].measure], columns, ledger, model.month)
                    found[i] = next((values for by, _, values in groups if by == "all"), np.nan)
        return found

    def headlines(self, lives: Sequence[np.ndarray]) -> np.ndarray:
        """Return the difference each headline tells, shape (headlines, replicates)."""
        where = {scenario.id: i for i, scenario in enumerate(self.scenarios)}
        return np.stack([lives[where[head.scenario]][i] - lives[0][i] for i, head in enumerate(self.heads)])

    def moved(self, assumed: Assumed, value: float, reference: Sequence[np.ndarray]) -> np.ndarray:
        """Return the headlines with ``assumed`` at ``value``; NaN where no area can be made with it.

        ``reference`` holds the lives with the values as they are; a scenario the change cannot reach keeps its own.
        """
        parameters, plans = self.parameters, list(self.scenarios)
        activity, _, id = assumed.parameter.rpartition(".")
        if activity:
            plans = [_with(scenario, activity, id, assumed.value, value) for scenario in plans]
        else:
            parameters = parameters.replace(_with_siblings(parameters, id, value))
        try:
            lives = [
                known if activity and plan is scenario else self.lived(plan, parameters)
                for plan, scenario, known in zip(plans, self.scenarios, reference, strict=True)
            ]
        except ParameterError:
            return np.full((len(self.heads), len(self.replicates)), np.nan)
        return self.headlines(lives)


def _with_siblings(parameters: ParameterSet, id: str, value: float) -> dict[str, float]:
    """Return the change of ``id`` to ``value``; the other shares of a split give way in proportion."""
    others = [other for other in split_of(id, parameters) if other != id]
    left = sum(parameters.value(other) for other in others)
    return {id: value} | {other: parameters.value(other) * (1 - value) / left for other in others}


def _with(scenario: Scenario, activity: str, id: str, old: float, new: float) -> Scenario:
    """Return the scenario with a number of an activity changed in all items that have the old value, or itself."""
    items = tuple(
        replace(item, values={**item.values, id: new}) if item.activity == activity and item.values[id] == old else item
        for item in scenario.activities
    )
    return scenario if items == scenario.activities else replace(scenario, activities=items)


def assumed_numbers(scenarios: Sequence[Scenario]) -> list[Assumed]:
    """Return the grade D numbers that ``scenarios`` use, as they stand among the assumptions of a result."""
    cards = assumptions(scenarios)
    return [Assumed(*row) for row in cards.loc[cards["grade"] == "D", _CARD].itertuples(index=False, name=None)]


_CARD = ["id", "value", "low", "high", "label_da", "label_en", "unit"]


def search(
    scenarios: Sequence[Scenario],
    differences: pd.DataFrame,
    replicates: int,
    seed: int,
    engine: str = "auto",
    workers: int = 1,
    progress: Progress | None = None,
    try_people: bool = False,
) -> pd.DataFrame:
    """Return, for every compared scenario and grade D number, how far the number's range moves the first headline.

    ``shift_low`` and ``shift_high`` are the headline with the number at that end minus the headline as it is, both over
    the same ``replicates``; ``se`` is the standard error of the larger of the two, ``share_of_interval`` its size in
    widths of the headline's interval. The largest come first; a shift is NaN when no area can be made with
    that value.
    The numbers that decide who lives in the area are tried only with ``try_people``: each needs another area.
    ``scenarios`` begin with the base. Without a headline that has an interval there is nothing to move and no row.
    """
    heads = list(_heads(scenarios[1:], differences))
    if not heads:
        return pd.DataFrame(columns=list(COLUMNS["sensitivity"]))
    most = max(1, ROWS // scenarios[0].residents)
    parameters = ParameterSet.read(scenarios[0].parameters)
    few = range(min(replicates, SCREENED, most))
    trial = Trial(tuple(scenarios), tuple(heads), parameters, few, seed, engine)
    numbers = [n for n in assumed_numbers(scenarios) if try_people or not n.parameter.startswith(CARDS)]
    found = _shifts(trial, numbers, workers, progress)
    close = [number for number in numbers if _may_move(found[number], heads)]
    if most > len(few):
        again = replace(trial, replicates=range(min(CONFIRMED, most)))
        found |= _shifts(again, close, workers, progress and _after(len(_ends(numbers)), progress))
    rows = [
        _row(number, head, low[i], high[i])
        for number in numbers
        for low, high in [found[number]]
        for i, head in enumerate(heads)
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS["sensitivity"]))
    order = {head.scenario: i for i, head in enumerate(heads)}
    table = table.assign(place=table["scenario"].map(order), size=-table["share_of_interval"])
    return table.sort_values(["place", "size"], kind="stable", ignore_index=True)[list(COLUMNS["sensitivity"])]


Shifts = tuple[np.ndarray, np.ndarray]
"""What a number at its low and at its high end does to the headlines, each of shape (headlines, replicates)."""


def _shifts(trial: Trial, numbers: Sequence[Assumed], workers: int, progress: Progress | None) -> dict[Assumed, Shifts]:
    """Try each number at both ends of its range; what another number holds at rest moves nothing."""
    reference = [trial.lived(scenario, trial.parameters) for scenario in trial.scenarios]
    now = trial.headlines(reference)
    idle = [idle_in(scenario) for scenario in trial.scenarios]
    ends = _ends([number for number in numbers if not rests(number, idle)])
    found = dict(zip(ends, _tried(trial, ends, reference, workers, progress), strict=True))
    return {n: (found.get((n, n.low), now) - now, found.get((n, n.high), now) - now) for n in numbers}


def rests(number: Assumed, idle: Sequence[Mapping[str, bool]]) -> bool:
    """Return whether a number of an activity cannot act in any scenario; ``idle`` as of ``idle_in``, one a scenario."""
    return "." in number.parameter and all(of.get(number.parameter, True) for of in idle)


def _ends(numbers: Sequence[Assumed]) -> list[tuple[Assumed, float]]:
    """Return each number with each end of its range that is another value than its own."""
    return [(number, end) for number in numbers for end in (number.low, number.high) if end != number.value]


def _after(before: int, progress: Progress) -> Progress:
    """Return ``progress`` for a second round that follows ``before`` values of the first."""
    return lambda done, total: progress(before + done, before + total)


def _may_move(shifts: Shifts, heads: Sequence[Head]) -> bool:
    """Tell whether a shift, two standard errors larger, would be decisive for any headline."""
    limits = np.array([DECISIVE * (head.high - head.low) for head in heads])
    return any(bool((np.abs(end.mean(axis=1)) + 2 * _errors(end) > limits).any()) for end in shifts)


def _errors(shifts: np.ndarray) -> np.ndarray:
    """Return the standard errors of the means over replicates, the last axis; 0 for a single one."""
    n = shifts.shape[-1]
    return np.std(shifts, axis=-1, ddof=1) / np.sqrt(n) if n > 1 else np.zeros(shifts.shape[:-1])


def _heads(compared: Sequence[Scenario], differences: pd.DataFrame) -> Iterator[Head]:
    seen = luck(differences)
    for scenario in compared:
        row = first_headline(seen[seen["scenario"] == scenario.id])
        if row is not None:
            yield Head(scenario.id, row["measure"], row["month"], row["estimate"], row["low"], row["high"])


def _row(number: Assumed, head: Head, low: np.ndarray, high: np.ndarray) -> dict[str, object]:
    """Make a row of the table from the shifts of the replicates."""
    larger = max((high, low), key=lambda shift: np.nan_to_num(abs(shift.mean()), nan=-1.0))
    return {
        **number._asdict(),
        **{name: value for name, value in head._asdict().items() if name not in ("low", "high")},
        "interval_low": head.low,
        "interval_high": head.high,
        "shift_low": low.mean(),
        "shift_high": high.mean(),
        "se": float(_errors(larger)),
        "share_of_interval": abs(larger.mean()) / (head.high - head.low),
        "replicates": len(larger),
    }


def _tried(
    trial: Trial,
    ends: Sequence[tuple[Assumed, float]],
    reference: Sequence[np.ndarray],
    workers: int,
    progress: Progress | None,
) -> list[np.ndarray]:
    """Return the headlines with each number at each end, in order, whatever the number of workers."""
    batches = [ends[i : i + LIVES_A_BATCH] for i in range(0, len(ends), LIVES_A_BATCH)]
    first = trial.scenarios[0]
    life = SECONDS_A_LIFE + SECONDS_A_ROW_MONTH * first.residents * len(trial.replicates) * first.months
    many = workers > 1 and len(batches) > 1 and len(ends) * len(trial.scenarios) * life > WORKERS_FROM
    found: list[np.ndarray] = []
    for batch in (
        _parallel(trial, batches, reference, workers)
        if many
        else (_batch(trial, batch, reference) for batch in batches)
    ):
        found += batch
        if progress is not None:
            progress(len(found), len(ends))
    return found


def _parallel(
    trial: Trial, batches: Sequence[Sequence[tuple[Assumed, float]]], reference: Sequence[np.ndarray], workers: int
) -> Iterable[list[np.ndarray]]:
    from joblib import Parallel, delayed

    with Parallel(n_jobs=min(workers, len(batches)), return_as="generator") as parallel:
        yield from parallel(delayed(_batch)(trial, batch, reference) for batch in batches)


def _batch(trial: Trial, batch: Sequence[tuple[Assumed, float]], reference: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [trial.moved(number, value, reference) for number, value in batch]

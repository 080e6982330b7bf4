"""What a scenario lived through, as tables: outcomes, participants, queues and flows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from .activities.base import EVENTS
from .measures import BENEFIT_GROUPS, COHORTS, GROUPINGS, MEASURES, Columns, grouped
from .results import COLUMNS
from .scenario import month_text
from .states import CODE, STATE_KEYS

if TYPE_CHECKING:
    from .model import AreaModel


class Life(NamedTuple):
    """One scenario lived through by the replicates of a shard."""

    model: AreaModel
    seen: dict[int, Columns]
    ledger: np.ndarray


def outcomes(life: Life, replicates: range, enrolled: np.ndarray) -> pd.DataFrame:
    """Return every measure by month, group and replicate; ``enrolled`` marks the rows of group participant."""
    model = life.model
    frames = []
    for month, seen in life.seen.items():
        columns = replace(seen, participant=enrolled)
        date = month_text(model.start + month)
        whole_year = date.endswith("-12") and month >= 12
        for measure in MEASURES.values():
            if measure.december_only and not whole_year:
                continue
            for group_by, group, values in grouped(measure, columns, life.ledger, month):
                if group_by == "all" and measure.states:
                    continue
                frames.append((date, group_by, group, measure.key, values))
    counts = np.stack(model.state_counts).astype(float)
    alive = counts.sum(axis=2) - counts[:, :, CODE["gone"]]
    for measure in MEASURES.values():
        if measure.states:
            share = counts[:, :, [CODE[s] for s in measure.states]].sum(axis=2) / np.where(alive > 0, alive, np.nan)
            frames += [(month_text(model.start + m), "all", "all", measure.key, v) for m, v in enumerate(share)]
    n = len(replicates)
    date, group_by, group, key, values = zip(*frames, strict=True)
    return pd.DataFrame(
        {
            "scenario": model.plan.id,
            "structure": model.parameters.structure,
            "draw": 0,
            "replicate": np.tile(np.arange(replicates.start, replicates.stop), len(values)),
            "view": "individual",
            "month": np.repeat(date, n),
            "group_by": np.repeat(group_by, n),
            "group": np.repeat(group, n),
            "measure": np.repeat(key, n),
            "value": np.concatenate(values),
        }
    )[list(COLUMNS["outcomes"])]


def participants(life: Life, replicates: range) -> pd.DataFrame:
    """Return one row for everybody referred to an activity: when what happened, and how it ended."""
    model = life.model
    calendar = np.array([*(month_text(model.start + m) for m in range(model.month + 1)), None], dtype=object)
    still = {"queued": "waiting"}
    outcomes = np.array([still.get(event, event) for event in EVENTS], dtype=object)
    frames = []
    for course in model.courses:
        at = {
            stage: np.full(len(model.population), -1, dtype=np.int16)
            for stage in ("referred", "queued", "enrolled", "ended")
        }
        how = np.zeros(len(model.population), dtype=np.uint8)
        for event, month, rows in course.events():
            at[event if event in at else "ended"][rows] = month
            how[rows] = EVENTS.index(event)
        rows = np.flatnonzero(at["referred"] >= 0)
        frames.append(
            pd.DataFrame(
                {
                    "scenario": model.plan.id,
                    "draw": 0,
                    "replicate": replicates.start + rows // model.stream.residents,
                    "resident": rows % model.stream.residents,
                    "activity": course.plan.id,
                    **{stage: calendar[months[rows]] for stage, months in at.items()},
                    "how": outcomes[how[rows]],
                }
            )
        )
    columns = list(COLUMNS["participants"])
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)


def queues(life: Life, replicates: range) -> pd.DataFrame:
    """Return stocks and flows of every activity by month and replicate."""
    model = life.model
    frames = [
        pd.DataFrame(
            {
                "scenario": model.plan.id,
                "activity": course.plan.id,
                "draw": 0,
                "replicate": list(replicates),
                **queue._asdict(),
                "month": month_text(model.start + queue.month),
            }
        )
        for course in model.courses
        for queue in course.queue_months
    ]
    columns = list(COLUMNS["queues"])
    return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)


def flows(life: Life) -> pd.DataFrame:
    """Return summed persons by cohort and benefit group at start, two years later and the last month."""
    model = life.model
    columns = list(COLUMNS["flows"])
    last = model.month
    if 24 not in life.seen or last <= 24:
        return pd.DataFrame(columns=columns)
    names = [*BENEFIT_GROUPS, "gone", "elsewhere"]
    group = np.full(len(STATE_KEYS), names.index("elsewhere"))
    group[CODE["gone"]] = names.index("gone")
    for key, states in BENEFIT_GROUPS.items():
        group[[CODE[s] for s in states]] = names.index(key)
    at = [group[life.seen[m].state] for m in (0, 24, last)]
    shape = (len(GROUPINGS["cohort"]), len(names), len(names), len(names))
    counts = np.bincount(np.ravel_multi_index((life.seen[0].cohort, *at), shape), minlength=int(np.prod(shape)))
    rows = [
        {
            "scenario": model.plan.id,
            "cohort": COHORTS[cohort],
            **{f"month_{i}": month_text(model.start + m) for i, m in enumerate((0, 24, last))},
            **{f"group_{i}": names[g] for i, g in enumerate(groups)},
            "persons": float(counts.reshape(shape)[cohort, *groups]),
        }
        for cohort, *groups in np.argwhere(counts.reshape(shape) > 0)
        if cohort < len(COHORTS)
    ]
    return pd.DataFrame(rows, columns=columns)

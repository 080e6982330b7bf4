"""What a scenario lived through, as tables: outcomes, participants, queues, flows, and who lived there at the start."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from .activities.base import ASIDE, EVENTS, QueueMonth
from .measures import AREA_GROUPINGS, BENEFIT_GROUPS, COHORTS, GROUPINGS, MEASURES, VIEWS, Columns, grouped
from .results import COLUMNS
from .scenario import month_text
from .states import CODE, ORIGINS, SEXES, STATE_KEYS

if TYPE_CHECKING:
    from .model import AreaModel


class Life(NamedTuple):
    """One scenario lived through by the replicates of a shard, with the parameters of draw number ``draw``."""

    model: AreaModel
    seen: dict[int, Columns]
    ledger: np.ndarray
    draw: int = 0


def outcomes(life: Life, replicates: range, enrolled: np.ndarray) -> pd.DataFrame:
    """Return every measure by view, month, group and replicate; ``enrolled`` marks the rows of group participant.

    A group with nobody in it has no row in that replicate.
    """
    model = life.model
    frames = []
    for month, seen in life.seen.items():
        date = month_text(model.start + month)
        whole_year = date.endswith("-12") and month >= 12
        for view, groupings in (("individual", tuple(GROUPINGS)), ("area", AREA_GROUPINGS)):
            columns = replace(seen, participant=enrolled[: len(seen.row)]).seen(view)
            for measure in MEASURES.values():
                if view not in measure.views or (measure.december_only and not whole_year):
                    continue
                for group_by, group, values in grouped(measure, columns, life.ledger, month, groupings):
                    if group_by == "all" and measure.phases:
                        continue
                    frames.append((view, date, group_by, group, measure.key, values))
    counts = np.stack(model.counts).astype(float)
    alive = counts.sum(axis=-1) - counts[..., CODE["gone"]]
    for measure in MEASURES.values():
        if measure.phases:
            members = counts[..., np.array(measure.phases)].sum(axis=-1)
            share = np.divide(members, alive, out=np.full(alive.shape, np.nan), where=alive > 0)
            frames += [
                (view, month_text(model.start + month), "all", "all", measure.key, share[month, v])
                for v, view in enumerate(VIEWS)
                for month in range(len(share))
            ]
    n = len(replicates)
    view, date, group_by, group, key, values = zip(*frames, strict=True)
    found = pd.DataFrame(
        {
            "scenario": model.plan.id,
            "structure": model.parameters.structure,
            "draw": life.draw,
            "replicate": np.tile(np.arange(replicates.start, replicates.stop), len(values)),
            "view": np.repeat(view, n),
            "month": np.repeat(date, n),
            "group_by": np.repeat(group_by, n),
            "group": np.repeat(group, n),
            "measure": np.repeat(key, n),
            "value": np.concatenate(values),
        }
    )
    return found.loc[found["value"].notna(), list(COLUMNS["outcomes"])].reset_index(drop=True)


def area_change(life: Life, replicates: range) -> pd.DataFrame:
    """Return how the shares of those who live in the area have changed since the start, split exactly.

    ``stayers``: the change of the residents of the start who still live there; ``leavers``: that those who left (or
    died or retired) stood otherwise at the start; ``newcomers``: that those who moved in stand otherwise now. The three
    add up to ``total``, the change of the area's share.
    """
    model = life.model
    blocks, first = len(replicates), model.stream.residents * len(replicates)
    start = life.seen[0]
    parts = []
    for month, now in life.seen.items():
        alive_now, alive_then = now.alive, start.alive
        stays = now.in_area[:first] & alive_now[:first]
        for measure in MEASURES.values():
            if not measure.phases:
                continue
            inside = np.array(measure.phases)
            area = _share(inside[now.phase], now.in_area & alive_now, now.block, blocks)
            before = _share(inside[start.phase], alive_then, start.block, blocks)
            stayed = _share(inside[now.phase[:first]], stays, start.block, blocks)
            stood = _share(inside[start.phase], stays, start.block, blocks)
            change = (area - before, stayed - stood, stood - before, area - stayed)
            parts.append((month_text(model.start + month), measure.key, *change))
    date, key, *changes = zip(*parts, strict=True)
    return pd.DataFrame(
        {
            "scenario": model.plan.id,
            "draw": life.draw,
            "replicate": np.tile(np.arange(replicates.start, replicates.stop), len(parts)),
            "month": np.repeat(date, blocks),
            "measure": np.repeat(key, blocks),
            **dict(zip(("total", "stayers", "leavers", "newcomers"), map(np.concatenate, changes), strict=True)),
        }
    )[list(COLUMNS["area_change"])]


def _share(inside: np.ndarray, who: np.ndarray, block: np.ndarray, blocks: int) -> np.ndarray:
    """Return the share of ``who`` that is ``inside``, one a replicate."""
    of = np.bincount(block[who], minlength=blocks)
    return np.divide(
        np.bincount(block[who], weights=inside[who], minlength=blocks),
        of,
        out=np.full(blocks, np.nan),
        where=of > 0,
    )


def participants(life: Life, replicates: range) -> pd.DataFrame:
    """Return one row for everybody referred to an activity: when what happened, and how it ended.

    What leaves a resident's standing as it is (being met by a participant, being helped through the partner) is no
    part of that resident's own way through the activity.
    """
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
            if event in ASIDE:
                continue
            at[event if event in at else "ended"][rows] = month
            how[rows] = EVENTS.index(event)
        rows = np.flatnonzero(at["referred"] >= 0)
        frames.append(
            pd.DataFrame(
                {
                    "scenario": model.plan.id,
                    "draw": life.draw,
                    "replicate": replicates.start + model.stream.block[rows],
                    "resident": model.stream.ids[rows],
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
    model, runs = life.model, len(replicates)
    frames = []
    for course in model.courses:
        months = course.queue_months
        if months:
            counted = {
                name: np.concatenate([np.broadcast_to(number, runs) for number in numbers])
                for name, numbers in zip(QueueMonth._fields, zip(*months, strict=True), strict=True)
            }
            said = {
                "scenario": model.plan.id,
                "activity": course.plan.id,
                "draw": life.draw,
                "replicate": np.tile(np.array(replicates), len(months)),
                **counted,
                "month": [month_text(model.start + queue.month) for queue in months for _ in replicates],
            }
            frames.append(pd.DataFrame(said))
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
    people = len(life.seen[0].row)
    at = [group[life.seen[m].state[:people]] for m in (0, 24, last)]
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


PYRAMID_YEARS = 5
"""Years of age in a band of the pyramid; the last band is open."""
PYRAMID_LAST = 95


def pyramid(life: Life) -> pd.DataFrame:
    """Return summed persons by age band, sex and origin at the start, everybody who lives in the area."""
    seen = life.seen[0]
    band = np.clip(seen.age_months // (12 * PYRAMID_YEARS), 0, PYRAMID_LAST // PYRAMID_YEARS).astype(np.int64)
    shape = (PYRAMID_LAST // PYRAMID_YEARS + 1, len(SEXES), len(ORIGINS))
    counts = np.bincount(np.ravel_multi_index((band, seen.sex, seen.origin), shape), minlength=int(np.prod(shape)))
    first = PYRAMID_YEARS * np.arange(shape[0])
    names = [f"{age}-{age + PYRAMID_YEARS - 1}" if age < PYRAMID_LAST else f"{age}+" for age in first]
    rows = [
        (names[age], SEXES[sex], ORIGINS[origin], float(counts.reshape(shape)[age, sex, origin]))
        for age, sex, origin in np.ndindex(shape)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS["pyramid"]))

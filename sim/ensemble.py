"""Many replicates, in shards that survive a kill: run, compare, resume.

A shard is a range of replicates of all scenarios. Its tables are written in one rename, so a finished shard is whole or
absent; a resumed ensemble runs only the absent ones and gives the same bytes.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .activities import catalogue
from .comparison import differences
from .errors import Problem, ResultError
from .measures import BENEFIT_GROUPS, COHORTS, GROUPINGS, MEASURES, Columns, grouped
from .parameters import Parameter, ParameterSet
from .results import (
    COLUMNS,
    FILES,
    MANIFEST,
    Result,
    read_manifest,
    reported_months,
    spread_limits,
    summarise,
    write_json,
)
from .scenario import Scenario, month_number, month_text
from .sources import PARAMETER_SETS, flow_targets
from .states import CODE, STATE_KEYS

SHARD_RESIDENT_MONTHS = 30_000_000
"""Work of a shard, about a second."""
SHARD_ROWS = 2_000_000
"""Most residents stacked at once, to bound memory."""
WORKERS_FROM = 200_000_000
"""Resident-months below which starting workers costs more than it saves."""
REPORT = "report.html"
"""The last file of a result; without it a resumed result is read back and reported."""

Progress = Callable[[int], None]
"""Told how many resident-months have just been simulated."""


@dataclass(frozen=True)
class Job:
    """Everything that decides the numbers of an ensemble.

    ``scenarios`` as resolved, the base first when ``against`` names one; ``shard`` replicates run stacked together
    (any number gives the same bytes).
    """

    scenarios: tuple[dict[str, Any], ...]
    against: str | None
    seed: int
    replicates: int
    shard: int
    engine: str

    @classmethod
    def plan(
        cls,
        scenarios: Sequence[Scenario],
        against: str | None,
        seed: int,
        replicates: int,
        engine: str = "auto",
        shard: int | None = None,
    ) -> Job:
        """Make a job, choosing a shard size when none is given."""
        first = scenarios[0]
        one = first.residents * first.months * len(scenarios)
        fitting = min(SHARD_RESIDENT_MONTHS // max(one, 1), SHARD_ROWS // max(first.residents, 1))
        size = shard or max(1, min(replicates, fitting))
        return cls(tuple(s.resolved() for s in scenarios), against, seed, replicates, size, engine)

    @property
    def shards(self) -> list[range]:
        """The replicates of each shard."""
        return [
            range(start, min(start + self.shard, self.replicates))
            for start in range(0, self.replicates, self.shard)
        ]

    @property
    def resident_months(self) -> int:
        """Work of the whole job."""
        return sum(s["population"]["residents"] * s["horizon"]["months"] for s in self.scenarios) * self.replicates


class Unfinished(Exception):
    """Workers died; ``done`` of ``total`` shards are kept and the rest can be resumed."""

    def __init__(self, done: int, total: int) -> None:
        super().__init__(f"{done} of {total} shards done")
        self.done = done
        self.total = total


class _Life(NamedTuple):
    """One scenario lived through by the replicates of a shard."""

    model: Any
    seen: dict[int, Columns]
    ledger: np.ndarray


def run_shard(job: Job, replicates: range, progress: Progress | None = None) -> dict[str, pd.DataFrame]:
    """Run all scenarios of a job for some replicates and return their tables."""
    lives = [_live(Scenario.from_resolved(s), job, replicates, progress) for s in job.scenarios]
    enrolled = np.zeros(len(lives[0].model.population), dtype=np.uint8)
    for life in lives:
        for course in life.model.courses:
            for event, _, rows in course.events():
                if event == "enrolled":
                    enrolled[rows] = 1
    tables = {
        "outcomes": [_outcomes(life, replicates, enrolled) for life in lives],
        "participants": [_participants(life, replicates) for life in lives],
        "queues": [_queues(life, replicates) for life in lives],
        "flows": [_flows(life) for life in lives],
    }
    if job.against is not None:
        tables["pairing"] = [pairing(lives[0], life, replicates) for life in lives[1:]]
    return {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()}


def _live(scenario: Scenario, job: Job, replicates: range, progress: Progress | None) -> _Life:
    from .model import AreaModel

    model = AreaModel(scenario, seed=job.seed, replicate=replicates, engine=job.engine)
    calendar = [month_text(model.start + m) for m in range(scenario.months + 1)]
    wanted = {calendar.index(m) for m in reported_months(calendar)}
    seen = {0: model.columns()}
    for month in range(1, scenario.months + 1):
        model.step()
        if month in wanted:
            seen[month] = model.columns()
        if progress is not None:
            progress(scenario.residents * len(replicates))
    return _Life(model, seen, model.ledger.table())


def _outcomes(life: _Life, replicates: range, enrolled: np.ndarray) -> pd.DataFrame:
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


def _participants(life: _Life, replicates: range) -> pd.DataFrame:
    from .activities.base import EVENTS

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


def _queues(life: _Life, replicates: range) -> pd.DataFrame:
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


def _flows(life: _Life) -> pd.DataFrame:
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


def _course_rows(life: _Life) -> dict[str, np.ndarray]:
    """Return, by item id, one (row, month, event) record for everything that happened in it."""
    from .activities.base import EVENTS

    found = {}
    for course in life.model.courses:
        parts = [
            np.column_stack([rows, np.full(len(rows), month), np.full(len(rows), EVENTS.index(event))])
            for event, month, rows in course.events()
        ]
        found[course.plan.id] = np.concatenate(parts) if parts else np.empty((0, 3), dtype=np.int64)
    return found


def touched_rows(base: _Life, other: _Life) -> np.ndarray:
    """Return which rows the difference between two scenarios could reach, by mechanism, never by outcome.

    Everybody in the records of an item that differs between the scenarios; of an item that is the same in both, those
    whose records differ; and whoever a user's own ``step`` moved.
    """
    touched = base.model.population.touched | other.model.population.touched
    here, there = _course_rows(base), _course_rows(other)
    plans = [{course.plan.id: course.plan for course in life.model.courses} for life in (base, other)]
    none = np.empty((0, 3), dtype=np.int64)
    for item in here.keys() | there.keys():
        mine, yours = here.get(item, none), there.get(item, none)
        records = np.concatenate([mine, yours])
        if plans[0].get(item) == plans[1].get(item):
            unique, count = np.unique(records, axis=0, return_counts=True)
            records = unique[count == 1]
        touched[records[:, 0].astype(np.int64)] = True
    return touched


def pairing(base: _Life, other: _Life, replicates: range) -> pd.DataFrame:
    """Check that residents the scenario does not touch have identical lives, every column and every ledger row."""
    touched = touched_rows(base, other)
    size = base.model.stream.residents
    differs = np.zeros(len(touched), dtype=bool)
    for name, mine in vars(base.model.population).items():
        if isinstance(mine, np.ndarray) and name != "touched":
            differs |= mine != getattr(other.model.population, name)
    differs[_in_one_only(base.ledger, other.ledger)] = True
    return pd.DataFrame(
        {
            "scenario": other.model.plan.id,
            "against": base.model.plan.id,
            "draw": 0,
            "replicate": list(replicates),
            "touched": touched.reshape(-1, size).sum(axis=1),
            "untouched": (~touched).reshape(-1, size).sum(axis=1),
            "untouched_identical": ~(differs & ~touched).reshape(-1, size).any(axis=1),
        }
    )


def _in_one_only(mine: np.ndarray, yours: np.ndarray) -> np.ndarray:
    """Return the rows with a ledger entry that stands in one of two ledgers only."""
    packed = []
    for ledger in (mine, yours):
        key = ledger["row"].astype(np.int64)
        for field, bits in (("month", 16), ("kind", 2), ("before", 5), ("after", 5)):
            key = (key << bits) | ledger[field]
        packed.append(key)
    return np.setxor1d(*packed) >> 28


def code_digest() -> str:
    """Return a fingerprint of the model's code, activities and parameter sets."""
    here = Path(__file__).parent
    files = [*here.rglob("*.py"), *here.rglob("activities/*.yaml"), *PARAMETER_SETS.glob("*.yaml")]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("mesa", "numpy", "numba", "pandas", "scipy"):
        found[name] = version(name)
    return found


def own_version() -> str:
    """Return the installed version of Jobveje, or ``source`` when it runs uninstalled."""
    try:
        return version("jobveje")
    except PackageNotFoundError:
        return "source"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def start(job: Job, folder: Path, command: str, overrides: dict[str, list[str]]) -> dict[str, Any]:
    """Write the manifest of a job that begins, and return it.

    ``overrides`` names the ``key=value`` changes made at the prompt, by the files they changed.
    """
    manifest = _manifest(job, command) | {"overrides": overrides}
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / MANIFEST, manifest)
    return manifest


def _manifest(job: Job, command: str) -> dict[str, Any]:
    parameters = ParameterSet.read(job.scenarios[0]["parameters"])
    return {
        "jobveje": own_version(),
        "command": command,
        "kind": "run" if job.against is None else "compare",
        "scenarios": list(job.scenarios),
        "against": job.against,
        "seed": job.seed,
        "replicates": job.replicates,
        "draws": 1,
        "parameters": {
            "name": parameters.name,
            "structure": parameters.structure,
            "digest": parameters.digest,
        },
        "job": asdict(job),
        "code": code_digest(),
        "versions": _versions(),
        "platform": platform.platform(),
        "started": _now(),
        "ended": None,
        "status": "running",
    }


def job_of(folder: Path) -> tuple[Job, dict[str, Any]]:
    """Return the job of an unfinished result folder and its manifest; a result without its report is unfinished.

    Raises ``ResultError`` when there is nothing to resume, or when code or parameters have changed since.
    """
    manifest = read_manifest(folder)
    damaged = ResultError([Problem("manifest_damaged", values={"folder": folder})])
    if not {"status", "code"} <= manifest.keys():
        raise damaged
    if manifest["status"] == "complete" and (folder / REPORT).is_file():
        raise ResultError([Problem("result_complete", values={"folder": folder})])
    if manifest["code"] != code_digest():
        raise ResultError([Problem("settings_changed", values={"folder": folder})])
    try:
        job = Job(**{**manifest["job"], "scenarios": tuple(manifest["job"]["scenarios"])})
    except (KeyError, TypeError) as error:
        raise damaged from error
    return job, manifest


def execute(
    job: Job,
    folder: Path | None,
    manifest: dict[str, Any],
    workers: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """Run the shards that are not there yet and gather the result; with a folder, also save it there.

    ``workers`` None means all cores; small jobs stay in this process. The number changes no byte.
    """
    shards = folder / "shards" if folder is not None else None
    if folder is not None and shards is not None and manifest["status"] == "complete":
        shutil.rmtree(shards, ignore_errors=True)
        return Result.load(folder)
    missing = [s for s in job.shards if shards is None or not (shards / _name(s)).is_dir()]
    if progress is not None:
        done = sum(len(s) for s in job.shards) - sum(len(s) for s in missing)
        progress(done * (job.resident_months // job.replicates))
    workers = workers or os.cpu_count() or 1
    work = sum(len(s) for s in missing) * (job.resident_months // job.replicates)
    kept: dict[range, dict[str, pd.DataFrame]] = {}
    if workers > 1 and len(missing) > 1 and work >= WORKERS_FROM:
        try:
            for replicates, tables in _parallel(job, missing, shards, workers):
                kept[replicates] = tables
                if progress is not None:
                    progress(len(replicates) * (job.resident_months // job.replicates))
        except BrokenProcessPool as error:
            raise Unfinished(len(job.shards) - len(missing) + len(kept), len(job.shards)) from error
    else:
        for replicates in missing:
            tables = run_shard(job, replicates, progress)
            kept[replicates] = _store(tables, replicates, shards)
    tables = {}
    for replicates in job.shards:
        for name, table in (_read_shard(shards / _name(replicates)) if shards else kept[replicates]).items():
            tables.setdefault(name, []).append(table)
    result = _gather(job, {name: _stack(parts) for name, parts in tables.items()}, manifest)
    if folder is not None and shards is not None:
        result.save(folder)
        shutil.rmtree(shards)
    return result


def _name(replicates: range) -> str:
    return f"{replicates.start:06d}-{replicates.stop:06d}"


def _parallel(
    job: Job, missing: list[range], shards: Path | None, workers: int
) -> Iterator[tuple[range, dict[str, pd.DataFrame]]]:
    from joblib import Parallel, delayed

    with Parallel(n_jobs=min(workers, len(missing)), return_as="generator_unordered") as parallel:
        yield from parallel(delayed(_work)(job, replicates, shards) for replicates in missing)


def _work(job: Job, replicates: range, shards: Path | None) -> tuple[range, dict[str, pd.DataFrame]]:
    return replicates, _store(run_shard(job, replicates), replicates, shards)


def _store(tables: dict[str, pd.DataFrame], replicates: range, shards: Path | None) -> dict[str, pd.DataFrame]:
    """Keep a shard's tables: in memory, or as a folder that appears in one rename."""
    if shards is None:
        return tables
    part = shards / f"{_name(replicates)}.{os.getpid()}.part"
    part.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_parquet(part / f"{name}.parquet", index=False)
    final = shards / _name(replicates)
    if final.is_dir():
        shutil.rmtree(final)
    part.rename(final)
    return {}


def _read_shard(folder: Path) -> dict[str, pd.DataFrame]:
    return {path.stem: pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}


def _stack(parts: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else parts[0]


def _gather(job: Job, tables: dict[str, pd.DataFrame], manifest: dict[str, Any]) -> Result:
    """Put the shards' tables into one order and derive the summaries."""
    order = {s["id"]: i for i, s in enumerate(job.scenarios)}
    first = Scenario.from_resolved(job.scenarios[0])
    calendar = [month_text(month_number(first.start) + m) for m in range(first.months + 1)]
    months = reported_months(calendar)
    outcomes = _sorted(
        tables["outcomes"],
        {
            "scenario": order,
            "draw": None,
            "replicate": None,
            "month": None,
            "measure": {key: i for i, key in enumerate(MEASURES)},
            "group_by": {key: i for i, key in enumerate(GROUPINGS)},
            "group": {g: i for i, g in enumerate(g for names in GROUPINGS.values() for g in names)},
        },
    )
    participants = _sorted(
        tables["participants"], {"scenario": order, "draw": None, "replicate": None, "activity": None, "resident": None}
    )
    queues = _sorted(
        tables["queues"], {"scenario": order, "activity": None, "draw": None, "replicate": None, "month": None}
    )
    flows = tables["flows"]
    if len(flows):
        keys = [c for c in COLUMNS["flows"] if c != "persons"]
        flows = flows.groupby(keys, sort=False, as_index=False)["persons"].sum()
        flows["persons"] /= job.replicates
        flows = _sorted(flows, {"scenario": order, "cohort": None, "group_0": None, "group_1": None, "group_2": None})
    summary = summarise(outcomes, months)
    found = {
        "outcomes": outcomes,
        "summary": summary,
        "participants": participants,
        "queues": queues,
        "flows": flows,
        "costs": pd.DataFrame(columns=list(COLUMNS["costs"])),
        "assumptions": assumptions(job),
        "observed": observed(summary),
    }
    proof = None
    if job.against is not None:
        found["differences"] = differences(outcomes, job.against, months)
        pairs = _sorted(tables["pairing"], {"scenario": order, "draw": None, "replicate": None})
        proof = {
            "untouched_identical": bool(pairs["untouched_identical"].all()),
            "touched": int(pairs["touched"].sum()),
            "untouched": int(pairs["untouched"].sum()),
            "pairs": pairs.astype(object).to_dict("records"),
        }
    return Result({**manifest, "ended": _now(), "status": "complete"}, found, proof)


def _sorted(table: pd.DataFrame, by: dict[str, dict[str, int] | None]) -> pd.DataFrame:
    def key(column: pd.Series) -> pd.Series:
        rank = by[str(column.name)]
        return column.map(rank) if rank is not None else column

    return table.sort_values(list(by), key=key, kind="stable", ignore_index=True)


def assumptions(job: Job) -> pd.DataFrame:
    """Return every parameter the job uses, with its card; values set in a scenario are assumptions of its author."""
    parameters = ParameterSet.read(job.scenarios[0]["parameters"])
    rows = [_card(p, p.id, "model", None) for p in parameters.values()]
    seen = set()
    for resolved in job.scenarios:
        for item in Scenario.from_resolved(resolved).activities:
            for id, card in catalogue()[item.activity].parameters.items():
                set_here = item.values[id] if item.values[id] != card.value else None
                row = _card(card, f"{item.activity}.{id}", item.id, set_here)
                if tuple(row.values()) not in seen:
                    seen.add(tuple(row.values()))
                    rows.append(row)
    return pd.DataFrame(rows)


def _card(card: Parameter, id: str, used_by: str, set_here: float | None) -> dict[str, Any]:
    low, high = card.range
    return {
        "id": id,
        "label_da": card.label_da,
        "label_en": card.label_en,
        "value": card.value if set_here is None else set_here,
        "unit": card.unit,
        "low": low,
        "high": high,
        "grade": card.grade if set_here is None else "D",
        "source": ";".join(card.source) if set_here is None else "scenario",
        "date": card.date,
        "note_da": card.note_da if set_here is None else f"sat i scenariet; kortet siger {card.value:g}",
        "note_en": card.note_en if set_here is None else f"set in the scenario; the card says {card.value:g}",
        "used_by": used_by,
    }


def observed(summary: pd.DataFrame) -> pd.DataFrame:
    """Return every published target the run can be held against, beside the simulated share and its 95 % spread."""
    at = summary.set_index(["scenario", "measure", "group_by", "group", "month"])
    rows = []
    for scenario in summary["scenario"].unique():
        for target in flow_targets():
            key = (scenario, target.measure, target.group_by, target.group, target.month)
            if key not in at.index:
                continue
            found = at.loc[key]
            low, high = spread_limits(*(np.atleast_1d(found[c]) for c in ("mean", "sd", "replicates")))
            measure = MEASURES[target.measure]
            rows.append(
                {
                    "target": target.id,
                    "published": target.published,
                    "low": target.low,
                    "high": target.high,
                    "simulated": found["mean"],
                    "sim_low": low[0],
                    "sim_high": high[0],
                    "scenario": scenario,
                    "reading": target.reading,
                    "label_da": f"{_COHORT_LABELS[target.group][0]} → {measure.label_da}, {target.month[:4]}"
                    + (" (anden læsning)" if target.reading == "b" else ""),
                    "label_en": f"{_COHORT_LABELS[target.group][1]} → {measure.label_en}, {target.month[:4]}"
                    + (" (other reading)" if target.reading == "b" else ""),
                    "inside": bool(target.low - 1e-9 <= found["mean"] <= target.high + 1e-9),
                }
            )
    columns = ["target", "published", "low", "high", "simulated", "sim_low", "sim_high", "scenario"]
    return pd.DataFrame(rows, columns=[*columns, "reading", "label_da", "label_en", "inside"])


_COHORT_LABELS = {
    "job_ready_2011": ("jobparate 2011", "job-ready 2011"),
    "activity_ready_2011": ("øvrige kontanthjælpsmodtagere 2011", "other cash-benefit recipients 2011"),
}


def run(
    scenario: Scenario, replicates: int = 20, seed: int = 1, workers: int | None = None, engine: str = "auto"
) -> Result:
    """Run one scenario and return its result.

    >>> from sim import run, toy_area
    >>> result = run(toy_area(residents=100, months=12), replicates=2)
    >>> sorted(result.table("summary", group_by="all", month="2012-12")["measure"])[:3]
    ['activity_ready', 'cash_benefit', 'disability_pension']
    """
    job = Job.plan([scenario], None, seed, replicates, engine)
    return execute(job, None, _manifest(job, "python"), workers)


def compare(
    scenarios: Scenario | Sequence[Scenario],
    against: Scenario,
    replicates: int = 10,
    seed: int = 1,
    workers: int | None = None,
    engine: str = "auto",
) -> Result:
    """Compare scenarios with a base, the same residents having the same luck in all of them.

    Raises ``ResultError`` when the scenarios do not share population, horizon and parameters.
    """
    compared = [scenarios] if isinstance(scenarios, Scenario) else list(scenarios)
    check_shared(compared, against)
    job = Job.plan([against, *compared], against.id, seed, replicates, engine)
    return execute(job, None, _manifest(job, "python"), workers)


def check_shared(scenarios: Sequence[Scenario], against: Scenario) -> None:
    """Raise ``ResultError`` naming what the scenarios must share with their base and do not."""
    problems = []
    ids = [against.id]
    for scenario in scenarios:
        if scenario.id in ids:
            problems.append(Problem("same_id", place=scenario.file, key="id", values={"id": scenario.id}))
        ids.append(scenario.id)
        for key, mine, base in (
            ("population.recipe", scenario.recipe, against.recipe),
            ("population.residents", scenario.residents, against.residents),
            ("horizon.start", scenario.start, against.start),
            ("horizon.months", scenario.months, against.months),
            ("parameters", scenario.parameters, against.parameters),
        ):
            if mine != base:
                problems.append(
                    Problem("different_shared", place=scenario.file, key=key, values={"key": key, "a": mine, "b": base})
                )
    if problems:
        raise ResultError(problems)


OWN_FILES = (*FILES.values(), MANIFEST, "pairing.json", REPORT)
"""Files a run writes into its folder, besides ``figures/`` and ``shards/``."""

"""Draws of the parameters crossed with replicates, in shards that survive a kill: run, compare, resume.

A shard is a range of replicates of all scenarios with the parameters of one draw. Its tables are written in one rename,
so a finished shard is whole or absent; a resumed ensemble runs only the absent ones and gives the same bytes.
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
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from . import collect, sensitivity
from .collect import Life
from .comparison import check_shared, differences, pairing
from .draws import own_version
from .errors import Problem, ResultError
from .measures import GROUPINGS, MEASURES, VIEWS
from .parameters import Dealt, ParameterSet, deal, posteriors_of
from .results import (
    COLUMNS,
    MANIFEST,
    REPORT,
    Result,
    assumptions,
    left_out,
    observed,
    population,
    read_manifest,
    reported_months,
    summarise,
    write_json,
)
from .runs import uncertainty
from .scenario import Scenario, month_number, month_text, with_drawn
from .sources import PARAMETER_SETS

SHARD_RESIDENT_MONTHS = 30_000_000
"""Work of a shard, about a second."""
SHARD_ROWS = 2_000_000
"""Most residents stacked at once, to bound memory."""
WORKERS_FROM = 200_000_000
"""Resident-months below which starting workers costs more than it saves."""

COMPARED_DRAWS = 20
"""Draws of the parameters in a comparison that does not say how many, where there are posterior draws."""

Progress = Callable[[int], None]
"""Told how many resident-months have just been simulated."""


class Shard(NamedTuple):
    """The part of a job that is simulated at once: some replicates with the parameters of one draw."""

    draw: Dealt
    replicates: range

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.draw.draw:04d}-{self.replicates.start:06d}-{self.replicates.stop:06d}"


@dataclass(frozen=True)
class Job:
    """Everything that decides the numbers of an ensemble.

    ``scenarios`` as resolved, the base first when ``against`` names one; ``shard`` replicates run stacked together
    (any number gives the same bytes). ``draws`` holds the parameters that vary, values and all, so that whoever resumes
    or repeats a job needs no posterior; every draw lives with the same replicates. With ``sensitivity`` a comparison
    also tries the assumed numbers at the ends of their ranges.
    """

    scenarios: tuple[dict[str, Any], ...]
    against: str | None
    seed: int
    replicates: int
    shard: int
    engine: str
    draws: tuple[Dealt, ...]
    sensitivity: bool = False
    try_people: bool = False

    @classmethod
    def plan(
        cls,
        scenarios: Sequence[Scenario],
        against: str | None,
        seed: int,
        replicates: int,
        engine: str = "auto",
        shard: int | None = None,
        sensitivity: bool = False,
        try_people: bool = False,
        draws: int = 1,
    ) -> Job:
        """Make a job, choosing a shard size when none is given.

        Raises ``ResultError`` when nothing is compared, there are no replicates or draws, or the seed is negative, and
        ``ParameterError`` when there are not so many posterior draws.
        """
        least = {"replicates": (replicates, 1), "draws": (draws, 1), "seed": (seed, 0)}
        if against is not None:
            least["scenarios"] = (len(scenarios), 2)
        problems = [
            Problem("whole_at_least", key=key, values={"value": value, "low": low})
            for key, (value, low) in least.items()
            if value < low
        ]
        if problems:
            raise ResultError(problems)
        first = scenarios[0]
        one = first.residents * first.months * len(scenarios)
        fitting = min(SHARD_RESIDENT_MONTHS // max(one, 1), SHARD_ROWS // max(first.residents, 1))
        size = shard or max(1, min(replicates, fitting))
        dealt = deal(first.parameters, draws)
        for scenario in scenarios:
            with_drawn(scenario.activities, dealt[-1].parameters().of_activities)
        resolved = tuple(s.resolved() for s in scenarios)
        return cls(resolved, against, seed, replicates, size, engine, dealt, sensitivity, try_people)

    @property
    def shards(self) -> list[Shard]:
        """All shards, draw by draw."""
        blocks = [
            range(start, min(start + self.shard, self.replicates)) for start in range(0, self.replicates, self.shard)
        ]
        return [Shard(draw, block) for draw in self.draws for block in blocks]

    @property
    def runs(self) -> int:
        """How often each scenario is lived through."""
        return len(self.draws) * self.replicates

    @property
    def resident_months(self) -> int:
        """Work of the whole job."""
        return sum(s["population"]["residents"] * s["horizon"]["months"] for s in self.scenarios) * self.runs


class Unfinished(Exception):
    """Workers died; ``done`` of ``total`` shards are kept and the rest can be resumed."""

    def __init__(self, done: int, total: int) -> None:
        super().__init__(f"{done} of {total} shards done")
        self.done = done
        self.total = total


def run_shard(job: Job, shard: Shard, progress: Progress | None = None) -> dict[str, pd.DataFrame]:
    """Run all scenarios of a job for some replicates of a draw and return their tables."""
    replicates = shard.replicates
    lives = [_live(Scenario.from_resolved(s), job, shard, progress) for s in job.scenarios]
    enrolled = _ever_enrolled(lives)
    tables = {
        "outcomes": [collect.outcomes(life, replicates, mine) for life, mine in zip(lives, enrolled, strict=True)],
        "area_change": [collect.area_change(life, replicates) for life in lives],
        "participants": [collect.participants(life, replicates) for life in lives],
        "queues": [collect.queues(life, replicates) for life in lives],
        "flows": [collect.flows(life) for life in lives],
        "pyramid": [collect.pyramid(lives[0])],
    }
    if job.against is not None:
        tables["pairing"] = [pairing(lives[0], life, replicates) for life in lives[1:]]
    return {name: _stack(parts) for name, parts in tables.items()}


def _ever_enrolled(lives: list[Life]) -> list[np.ndarray]:
    """Return, for the rows of each scenario, whether the person was enrolled in an activity of any of them."""
    names = [life.model.stream.persons for life in lives]
    found = [
        name[rows]
        for life, name in zip(lives, names, strict=True)
        for course in life.model.courses
        for event, _, rows in course.events()
        if event == "enrolled"
    ]
    enrolled = np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)
    return [np.isin(name, enrolled).astype(np.uint8) for name in names]


def _live(scenario: Scenario, job: Job, shard: Shard, progress: Progress | None) -> Life:
    from .model import AreaModel

    parameters = shard.draw.parameters()
    model = AreaModel(scenario, seed=job.seed, replicate=shard.replicates, engine=job.engine, parameters=parameters)
    calendar = [month_text(model.start + m) for m in range(scenario.months + 1)]
    wanted = {calendar.index(m) for m in reported_months(calendar)}
    seen = {0: model.columns()}
    for month in range(1, scenario.months + 1):
        model.step()
        if month in wanted:
            seen[month] = model.columns()
        if progress is not None:
            progress(scenario.residents * len(shard.replicates))
    return Life(model, seen, model.ledger.table(), shard.draw.draw)


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
    structures = list(dict.fromkeys(draw.structure for draw in job.draws))
    sets = [ParameterSet.read(structure) for structure in structures]
    posteriors = [parameters.posterior for parameters in sets] if job.draws[0].draw else []
    return {
        "jobveje": own_version(),
        "command": command,
        "kind": "run" if job.against is None else "compare",
        "scenarios": list(job.scenarios),
        "against": job.against,
        "seed": job.seed,
        "replicates": job.replicates,
        "draws": len(job.draws),
        "parameters": {
            "name": job.scenarios[0]["parameters"] if len(sets) > 1 else sets[0].name,
            "structure": ", ".join(structures),
            "digest": ", ".join(parameters.digest for parameters in sets),
            "posteriors": [asdict(found.origin) for found in posteriors if found is not None],
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
        draws = tuple(Dealt(**draw) for draw in manifest["job"]["draws"])
        job = Job(**{**manifest["job"], "scenarios": tuple(manifest["job"]["scenarios"]), "draws": draws})
    except (KeyError, TypeError) as error:
        raise damaged from error
    return job, manifest


def execute(
    job: Job,
    folder: Path | None,
    manifest: dict[str, Any],
    workers: int | None = None,
    progress: Progress | None = None,
    tried: sensitivity.Progress | None = None,
) -> Result:
    """Run the shards that are not there yet and gather the result; with a folder, also save it there.

    ``workers`` None means all cores; small jobs stay in this process. The number changes no byte. ``progress`` is told
    of the shards, ``tried`` of the assumed numbers.
    """
    shards = folder / "shards" if folder is not None else None
    if folder is not None and shards is not None and manifest["status"] == "complete":
        shutil.rmtree(shards, ignore_errors=True)
        return Result.load(folder)
    missing = [s for s in job.shards if shards is None or not (shards / s.name).is_dir()]
    a_run = job.resident_months // job.runs
    work = sum(len(s.replicates) for s in missing) * a_run
    if progress is not None:
        progress(job.resident_months - work)
    workers = workers or _cores()
    kept: dict[str, dict[str, pd.DataFrame]] = {}
    if workers > 1 and len(missing) > 1 and work >= WORKERS_FROM:
        try:
            for shard, tables in _parallel(job, missing, shards, workers):
                kept[shard.name] = tables
                if progress is not None:
                    progress(len(shard.replicates) * a_run)
        except BrokenProcessPool as error:
            raise Unfinished(len(job.shards) - len(missing) + len(kept), len(job.shards)) from error
    else:
        for shard in missing:
            kept[shard.name] = _store(run_shard(job, shard, progress), shard, shards)
    parts = [_read_shard(shards / s.name) if shards is not None else kept[s.name] for s in job.shards]
    result = _gather(job, {name: _stack([part[name] for part in parts]) for name in parts[0]}, manifest)
    if job.sensitivity and job.against is not None:
        try:
            result.tables["sensitivity"] = _sensitivity(job, result, workers, tried)
        except BrokenProcessPool as error:
            raise Unfinished(len(job.shards), len(job.shards)) from error
    if folder is not None and shards is not None:
        result.save(folder)
        shutil.rmtree(shards)
    return result


def _sensitivity(job: Job, result: Result, workers: int, tried: sensitivity.Progress | None) -> pd.DataFrame:
    scenarios = [Scenario.from_resolved(s) for s in job.scenarios]
    differing = result.tables["differences"]
    return sensitivity.search(
        scenarios, differing, job.replicates, job.seed, job.engine, workers, tried, job.try_people
    )


def _cores() -> int:
    """Return the cores this process may use, which a scheduler or container can make fewer than the machine has."""
    from joblib import cpu_count

    return int(cpu_count())


def _parallel(
    job: Job, missing: list[Shard], shards: Path | None, workers: int
) -> Iterator[tuple[Shard, dict[str, pd.DataFrame]]]:
    from joblib import Parallel, delayed

    with Parallel(n_jobs=min(workers, len(missing)), return_as="generator_unordered") as parallel:
        yield from parallel(delayed(_work)(replace(job, draws=(shard.draw,)), shard, shards) for shard in missing)


def _work(job: Job, shard: Shard, shards: Path | None) -> tuple[Shard, dict[str, pd.DataFrame]]:
    return shard, _store(run_shard(job, shard), shard, shards)


def _store(tables: dict[str, pd.DataFrame], shard: Shard, shards: Path | None) -> dict[str, pd.DataFrame]:
    """Keep a shard's tables: in memory, or as a folder that appears in one rename."""
    if shards is None:
        return tables
    part = shards / f"{shard.name}.{os.getpid()}.part"
    part.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_parquet(part / f"{name}.parquet", index=False)
    final = shards / shard.name
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
            "view": {key: i for i, key in enumerate(VIEWS)},
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
        flows = flows.groupby(keys, sort=False)["persons"].sum().div(job.runs).reset_index()
        flows = _sorted(flows, {"scenario": order, "cohort": None, "group_0": None, "group_1": None, "group_2": None})
    change = _sorted(
        tables["area_change"],
        {
            "scenario": order,
            "draw": None,
            "replicate": None,
            "month": None,
            "measure": {key: i for i, key in enumerate(MEASURES)},
        },
    )
    summary = summarise(outcomes, months)
    found = {
        "outcomes": outcomes,
        "summary": summary,
        "participants": participants,
        "queues": queues,
        "flows": flows,
        "area_change": change,
        "costs": pd.DataFrame(columns=list(COLUMNS["costs"])),
        "assumptions": assumptions([Scenario.from_resolved(s) for s in job.scenarios], job.draws),
        "observed": observed(outcomes),
        "population": population(first),
        "left_out": left_out(),
        "pyramid": _pyramid(tables["pyramid"], job.runs),
    }
    if len(job.draws) > 1:
        found["uncertainty"] = uncertainty(outcomes, job.against, months)
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


def _pyramid(counts: pd.DataFrame, runs: int) -> pd.DataFrame:
    """Return the mean persons a run, in the order of the first shard."""
    keys = [c for c in COLUMNS["pyramid"] if c != "persons"]
    return counts.groupby(keys, sort=False)["persons"].sum().div(runs).reset_index()


def _sorted(table: pd.DataFrame, by: dict[str, dict[str, int] | None]) -> pd.DataFrame:
    def key(column: pd.Series) -> pd.Series:
        """Return the place of every value; each different text is looked up once, because there are few of them."""
        rank = by[str(column.name)]
        if rank is None and pd.api.types.is_numeric_dtype(column):
            return column
        codes, names = pd.factorize(column)
        rank = rank or {name: place for place, name in enumerate(sorted(names))}
        return pd.Series(np.array([rank[name] for name in names], dtype=np.int64).take(codes), index=column.index)

    return table.sort_values(list(by), key=key, kind="stable", ignore_index=True)


def usual_draws(scenario: Scenario) -> int:
    """Return how many draws a comparison with ``scenario`` has unless told otherwise: 1 without posterior draws.

    Raises ``ParameterError`` when a file of draws cannot be used.
    """
    return COMPARED_DRAWS if posteriors_of(scenario.parameters) else 1


def run(
    scenario: Scenario,
    replicates: int = 20,
    seed: int = 1,
    workers: int | None = None,
    engine: str = "auto",
    draws: int = 1,
) -> Result:
    """Run one scenario and return its result.

    Each of ``draws`` draws of the parameters lives with the same ``replicates``; one draw is the point values.
    Raises ``ParameterError`` when there are not so many posterior draws.

    >>> from sim import run, toy_area
    >>> result = run(toy_area(residents=100, months=12), replicates=2)
    >>> sorted(result.table("summary", group_by="all", month="2012-12")["measure"])[:3]
    ['activation', 'activity_ready', 'cash_benefit']
    """
    job = Job.plan([scenario], None, seed, replicates, engine, draws=draws)
    return execute(job, None, _manifest(job, "python"), workers)


def compare(
    scenarios: Scenario | Sequence[Scenario],
    against: Scenario,
    replicates: int = 10,
    seed: int = 1,
    workers: int | None = None,
    engine: str = "auto",
    sensitivity: bool = False,
    draws: int | None = None,
) -> Result:
    """Compare scenarios with a base, the same residents having the same luck in all of them.

    Each of ``draws`` draws of the parameters lives with the same ``replicates``; one draw is the point values. None
    stands for 20, or for 1 where the parameter set has no posterior draws. With ``sensitivity`` the result also says
    which assumed numbers move its headline, as the command does.

    Raises ``ResultError`` when the scenarios do not share population, horizon and parameters, and ``ParameterError``
    when there are not so many posterior draws.
    """
    compared = [scenarios] if isinstance(scenarios, Scenario) else list(scenarios)
    check_shared(compared, against)
    draws = usual_draws(against) if draws is None else draws
    job = Job.plan([against, *compared], against.id, seed, replicates, engine, sensitivity=sensitivity, draws=draws)
    return execute(job, None, _manifest(job, "python"), workers)

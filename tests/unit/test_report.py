"""The report: complete, self-contained, accessible, in both languages, and true to the numbers in the folder."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sim.errors import ResultError
from sim.locale import messages, text
from sim.measures import GROUPINGS, MEASURES
from sim.report import write_report

MONTHS = [f"{2011 + (m + 11) // 12}-{(m + 11) % 12 + 1:02d}" for m in range(61)]
YEARS = [month for month in MONTHS if month.endswith("-12")]
TITLES = {
    "baseline": {"da": "Grundforløb", "en": "Baseline"},
    "jobs": {"da": "Fritidsjob", "en": "Leisure jobs"},
}
SHARES = {
    "employed": (0.38, 0.44),
    "in_education": (0.11, 0.13),
    "self_supporting": (0.04, 0.05),
    "job_ready": (0.05, 0.03),
    "activity_ready": (0.12, 0.08),
    "other_benefit": (0.10, 0.12),
    "disability_pension": (0.06, 0.065),
    "neet": (0.21, 0.19),
    "leisure_job_26h": (0.31, 0.33),
}
EFFECTS = {
    "leisure_job_26h": (0.0611, 0.0102, 0.025),
    "employed": (0.0004, 0.0009, 0.0031),
    "neet": (-0.002, 0.004, 0.012),
}
"""Estimate, se and half the band of luck, at the end and for all."""


def _scenario(id: str, places: int | None) -> dict[str, object]:
    job = {
        "id": "leisure_job",
        "activity": "leisure_job",
        "places": places,
        "start": "2012-01",
        "end": "2016-12",
    }
    return {
        "id": id,
        "title": TITLES[id],
        "population": {"recipe": "area", "residents": 2419},
        "horizon": {"start": "2011-12", "months": 60},
        "activities": [] if places is None else [job],
        "parameters": "history",
    }


def _outcomes(ids: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    luck = np.random.default_rng(3)
    every = []
    for scenario in ids:
        for measure, (first, last) in SHARES.items():
            for month in YEARS if measure == "leisure_job_26h" else MONTHS:
                level = first + (last - first) * MONTHS.index(month) / 60
                lifted = level + 0.06 * (
                    measure == "leisure_job_26h" and scenario == "jobs" and month > "2011-12"
                )
                for replicate in range(3):
                    value = lifted + 0.002 * luck.standard_normal()
                    row = (
                        scenario,
                        "history",
                        0,
                        replicate,
                        "individual",
                        month,
                        "all",
                        "all",
                        measure,
                        value,
                    )
                    every.append(row)
        persons = 37.0 if scenario == "jobs" else 0.0
        every += [
            (scenario, "history", 0, r, "individual", "2016-12", "all", "all", "never_served", persons)
            for r in range(3)
        ]
    names = [
        "scenario",
        "structure",
        "draw",
        "replicate",
        "view",
        "month",
        "group_by",
        "group",
        "measure",
        "value",
    ]
    frame = pd.DataFrame(every, columns=names)
    keys = ["scenario", "structure", "view", "month", "group_by", "group", "measure"]
    grouped = frame[frame["month"].isin(YEARS)].groupby(keys, sort=False)["value"]
    summary = grouped.agg(
        mean="mean",
        sd="std",
        p5=lambda v: v.quantile(0.05),
        p50="median",
        p95=lambda v: v.quantile(0.95),
    ).reset_index()
    return frame, summary.assign(replicates=3, draws=1)


def _differences() -> pd.DataFrame:
    rows = []
    for measure, (end, se, luck) in EFFECTS.items():
        for month in YEARS:
            grown = YEARS.index(month) / 5
            for group_by, groups in GROUPINGS.items():
                for i, group in enumerate(g for g in groups if g != "neither"):
                    estimate = end * grown * (1 + 0.25 * i if group_by != "all" else 1)
                    band = luck * (1 if group_by == "all" else 1.8) * (grown > 0)
                    rows.append(
                        (
                            "jobs",
                            "baseline",
                            "individual",
                            measure,
                            month,
                            group_by,
                            group,
                            estimate,
                            se * (grown > 0),
                        )
                        + (estimate - band, estimate + band, "luck", 0.975, 20, 1, "history")
                    )
    names = "scenario against view measure month group_by group estimate se low high interval p_above_zero".split()
    return pd.DataFrame(rows, columns=[*names, "replicates", "draws", "structure"])


def _flows(ids: list[str]) -> pd.DataFrame:
    later = {
        "job_ready_2011": {
            "job_ready": 0.42,
            "activity_ready": 0.25,
            "no_benefit": 0.2,
            "other_benefit": 0.125,
            "gone": 0.005,
        },
        "activity_ready_2011": {
            "job_ready": 0.05,
            "activity_ready": 0.77,
            "no_benefit": 0.04,
            "other_benefit": 0.14,
        },
    }
    end = {"job_ready": 0.1, "activity_ready": 0.4, "no_benefit": 0.2, "other_benefit": 0.28, "gone": 0.02}
    rows = [
        (
            id,
            cohort,
            "2011-12",
            "2013-12",
            "2016-12",
            cohort.removesuffix("_2011"),
            middle,
            last,
            200 * share * kept,
        )
        for id in ids
        for cohort, middles in later.items()
        for middle, share in middles.items()
        for last, kept in (end.items() if middle != "gone" else [("gone", 1.0)])
    ]
    names = [
        "scenario",
        "cohort",
        "month_0",
        "month_1",
        "month_2",
        "group_0",
        "group_1",
        "group_2",
        "persons",
    ]
    return pd.DataFrame(rows, columns=names)


def _queues() -> pd.DataFrame:
    rows = [
        (
            "jobs",
            "leisure_job",
            0,
            replicate,
            month,
            40,
            min(40, 4 * m + replicate),
            max(0, 3 * m - 30) * (m < 40),
        )
        + (7, 3, 2, 1, 1, 2)
        for replicate in range(3)
        for m, month in enumerate(MONTHS[1:])
    ]
    stocks = ["places", "enrolled", "waiting"]
    flows = ["referred", "started", "completed", "dropped_out", "gave_up", "declined"]
    return pd.DataFrame(rows, columns=["scenario", "activity", "draw", "replicate", "month", *stocks, *flows])


def _observed() -> pd.DataFrame:
    rows = [
        ("job_ready_2013", 0.42, 0.415, 0.425, 0.418, 0.40, 0.44, "jobparate efter to år", "job-ready after two years"),
        ("other_2016", 0.18, 0.175, 0.185, 0.195, 0.18, 0.21, "andre ydelser efter fem år", "other benefit after five years"),
        ("rest_2016", 0.37, 0.365, 0.375, 0.4, 0.38, 0.42, "aktivitetsparate med en lang, lang betegnelse, som må brydes", "a long, long name of a target that has to be folded"),
    ]  # fmt: skip
    names = ["target", "published", "low", "high", "simulated", "sim_low", "sim_high", "label_da", "label_en"]
    frame = pd.DataFrame(rows, columns=names)
    return frame.assign(scenario="baseline", inside=[True, False, False])


def _assumptions() -> pd.DataFrame:
    rows = [
        (
            "take_up",
            "Andel der siger ja",
            "Share accepting",
            0.6,
            "share",
            0.3,
            0.9,
            "D",
            "assumption",
            "no source gives it",
        ),
        (
            "age_from",
            "Alder fra",
            "Age from",
            13,
            "years",
            13,
            15,
            "C",
            "activity:leisure_job",
            "stated <age>",
        ),
        (
            "rate",
            "Rate",
            "Rate",
            0.0192,
            "per_month",
            0.018,
            0.02,
            "B",
            "sec1_rest_group_2011;assumption",
            "",
        ),
        ("known", "Kendt", "Known", 0.41, "share", 0.405, 0.415, "A", "sec1_outside_lf_2011", ""),
    ]
    names = ["id", "label_da", "label_en", "value", "unit", "low", "high", "grade", "source", "note"]
    return pd.DataFrame(rows, columns=names).assign(date="2011", used_by="jobs")


def make_result(folder: Path, kind: str = "compare") -> Path:
    """Write a small finished result with every file there is."""
    folder.mkdir()
    ids = ["baseline", "jobs"] if kind == "compare" else ["jobs"]
    every, summary = _outcomes(ids)
    every.to_parquet(folder / "outcomes.parquet", index=False)
    files = {"outcomes": summary, "observed": _observed().assign(scenario=ids[0]), "flows": _flows(ids)}
    files |= {"queues": _queues(), "assumptions": _assumptions()}
    if kind == "compare":
        files["differences"] = _differences()
        pairs = [
            {
                "scenario": "jobs",
                "against": "baseline",
                "draw": 0,
                "replicate": 0,
                "touched": 120,
                "untouched": 2299,
            }
        ]
        proof = {"pairs": pairs, "untouched_identical": True, "touched": 120, "untouched": 2299}
        (folder / "pairing.json").write_text(json.dumps(proof), encoding="utf-8")
    for name, frame in files.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    manifest = {
        "jobveje": "0.1.0",
        "command": f"jobveje {kind} leisure_jobs.yaml",
        "kind": kind,
        "scenarios": [_scenario(id, 40 if id == "jobs" else None) for id in ids],
        "against": "baseline" if kind == "compare" else None,
        "seed": 1,
        "replicates": 20,
        "draws": 1,
        "parameters": {"name": "history", "structure": "history", "digest": "0123456789abcdef"},
        "started": "2026-11-21T10:00:00",
        "ended": "2026-11-21T10:01:00",
        "versions": {"python": "3.11.7", "numpy": "2.4.6"},
        "platform": "Linux",
        "status": "complete",
        "job": {},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder

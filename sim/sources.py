"""The evidence book: every published number with its id, and the sources behind it.

The rows live in ``calibration/evidence/``; they are found by path, so the model can run without importing the
calibration.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from .errors import EvidenceError, Problem, nearest

CALIBRATION = Path(__file__).resolve().parents[1] / "calibration"
EVIDENCE = CALIBRATION / "evidence"
PARAMETER_SETS = CALIBRATION / "parameter_sets"

ASSUMPTION = "assumption"
"""The source of a number nobody has published; such a parameter has grade D and a range."""


@dataclass(frozen=True)
class Source:
    """One source: the text or page a number was read from."""

    id: str
    title: str
    publisher: str
    year: str
    kind: str
    locator: str = ""

    def cite(self) -> str:
        """Return a one-line reference."""
        parts = [self.publisher, self.title, self.year, self.locator]
        return ", ".join(part for part in parts if part)


@cache
def rows(file: str) -> dict[str, dict[str, str]]:
    """Return the rows of ``calibration/evidence/<file>.csv`` by id (``sources`` by file name)."""
    path = EVIDENCE / f"{file}.csv"
    with path.open(encoding="utf-8", newline="") as handle:
        found = list(csv.DictReader(handle))
    key = "file" if file == "sources" else "id"
    by_id = {row[key]: row for row in found}
    if len(by_id) != len(found):
        seen: set[str] = set()
        twice = [row[key] for row in found if row[key] in seen or seen.add(row[key])]  # type: ignore[func-returns-value]
        raise EvidenceError([Problem("evidence_twice", place=path.name, key=name) for name in twice])
    return by_id


@cache
def activity_keys() -> frozenset[str]:
    """Return the keys of all activities described in ``activities.yaml``."""
    described = (EVIDENCE / "activities.yaml").read_text(encoding="utf-8")
    return frozenset(re.findall(r"^- key: (\w+)$", described, flags=re.MULTILINE))


def evidence(id: str) -> dict[str, str]:
    """Return the evidence row called ``id`` from targets, effects or defaults.

    Raises ``EvidenceError`` with the nearest id when there is none.
    """
    for file in ("targets", "effects", "defaults"):
        if id in rows(file):
            return rows(file)[id]
    known = [*rows("targets"), *rows("effects"), *rows("defaults")]
    raise EvidenceError([Problem("evidence_unknown", key=id, nearest=nearest(id, known))])


def source_of(id: str) -> Source:
    """Return the source of an evidence id, of ``activity:<key>`` or of ``assumption``.

    Raises ``EvidenceError`` when the id is not in the evidence book.
    """
    if id == ASSUMPTION:
        return Source(ASSUMPTION, "Jobveje assumption", "Jobveje", "", "assumption")
    if id.startswith("activity:"):
        key = id.removeprefix("activity:")
        if key not in activity_keys():
            raise EvidenceError([Problem("evidence_unknown", key=id, nearest=nearest(key, activity_keys()))])
        return Source(id, f"evidence book, activities.yaml, entry {key}", "Jobveje", "", "digest of the sources")
    row = evidence(id)
    if "url" in row:
        return Source(id, row["name"], row["source"], row["valid_from"], "outside input", row["url"])
    file = rows("sources")[row["source"]]
    return Source(id, file["title"], file["publisher"] or file["short"], file["year"], file["kind"], row["locator"])


@dataclass(frozen=True)
class Target:
    """A published share a run can be held against, with the interval its rounding leaves open.

    ``measure``, ``group_by``, ``group`` and ``month`` name the simulated number it corresponds to; ``remainder`` marks
    shares the sources do not print but leave as the rest of 1. Where the sources contradict each other the fitted
    figure is reading ``a`` and the other one ``b``.
    """

    id: str
    measure: str
    group_by: str
    group: str
    month: str
    published: float
    low: float
    high: float
    n: int
    remainder: bool = False
    reading: str = "a"

    @property
    def centre(self) -> float:
        """Middle of what the rounding leaves open: .0525 for "a good 5"."""
        return (self.low + self.high) / 2


_BENEFIT = {
    "cash_benefit_job_ready": "job_ready",
    "cash_benefit_not_job_ready": "activity_ready",
    "no_benefit": "no_benefit",
    "other_benefit": "other_benefit",
    "cash_benefit_any": "cash_benefit",
}
_COHORT = {"cash_benefit_job_ready": "job_ready_2011", "cash_benefit_not_job_ready": "activity_ready_2011"}
COHORT_SIZES = {
    "cash_benefit_job_ready": "fig4_13_n_jobready_2011",
    "cash_benefit_not_job_ready": "fig4_13_n_other_2011",
}
"""Rows that hold the sizes of the 2011 cohorts, by the state they begin in."""
_OTHER_READINGS = (
    "sec1_jobready11_to_not_job_ready_2016",
    "sec1_jobready11_any_cash_benefit_2013",
    "sec1_jobready11_any_cash_benefit_2016",
)
"""Rows of section 1.2.1 that contradict Figure 4.13 by a point: shown beside it, not fitted."""
_READ_TWICE = "fig4_13_jobready11_to_notready_2016"
"""30 in the figure, 31 in section 1.2.1."""
_HALF_PER_CENT = 0.005


@cache
def flow_targets() -> tuple[Target, ...]:
    """Return the flow targets of the evidence book; see :func:`flow_targets_of`."""
    return flow_targets_of(rows("targets"))


def flow_targets_of(found: Mapping[str, Mapping[str, str]]) -> tuple[Target, ...]:
    """Return the 16 published shares of the 2011 cohorts (12 printed, 4 remainders) and their contradicting readings.

    ``found`` are the rows of ``targets.csv`` by id. Printed whole per cents leave half a point either way; "a good 5"
    leaves .050-.055; and job-ready to activity-ready 2016, printed 30 in one place and 31 in another, leaves .295-.315
    around the figure's 30 (a row with another value stands alone).
    """
    book = rows("targets")
    printed: list[Target] = []
    rests: list[Target] = []
    for id, row in found.items():
        if row["from_state"] not in _COHORT or row["measure"] != "share" or row["population"] != "supported_areas":
            continue
        if not id.startswith("fig4_13_") and id not in _OTHER_READINGS:
            continue
        cohort = _COHORT[row["from_state"]]
        value = float(row["value"])
        wider = 0.01 if id == _READ_TWICE and value == float(book[id]["value"]) else 0.0
        low, high = published_interval(id, value, row["precision"])
        target = Target(
            id=id,
            measure=_BENEFIT[row["to_state"]],
            group_by="cohort",
            group=cohort,
            month=f"{row['year_to']}-12",
            published=value,
            low=low,
            high=high + wider,
            n=int(float(found[COHORT_SIZES[row["from_state"]]]["value"])),
            remainder="_derived_" in id,
            reading="b" if id in _OTHER_READINGS else "a",
        )
        (rests if target.remainder else printed).append(target)
    for i, rest in enumerate(rests):
        parts = [t for t in printed if t.id.startswith("fig4_13") and (t.group, t.month) == (rest.group, rest.month)]
        rests[i] = replace(rest, low=1 - sum(t.high for t in parts), high=1 - sum(t.low for t in parts))
    order = list(found)
    return tuple(sorted([*printed, *rests], key=lambda t: (t.reading, order.index(t.id))))


def published_interval(id: str, value: float, precision: str | None = None) -> tuple[float, float]:
    """Return the interval that the printing of a published share ``value`` leaves open, within 0 and 1.

    Shares printed in whole per cents leave half a point either way, "at least" and "at most" half a point on their own
    side, and "almost" a whole point below. Without ``precision`` it is the evidence book's; an id that is not there is
    taken as printed in per cents.
    """
    if precision is None:
        precision = rows("targets").get(id, {"precision": ""})["precision"]
    below, above = _OPEN.get(precision, (_HALF_PER_CENT, _HALF_PER_CENT))
    return max(0.0, value - below), min(1.0, value + above)


_OPEN = {"at_least": (0.0, _HALF_PER_CENT), "at_most": (_HALF_PER_CENT, 0.0), "almost": (2 * _HALF_PER_CENT, 0.0)}

"""Write the golden files: ``python tests/golden/refresh.py``, in a change that says why numbers moved.

One small text file a shipped scenario: the first replicate of 500 residents (places in proportion), seed 1.
"""

# ruff: noqa: E402 - the scripts also run from a clone that is not installed, so its root goes on the path first

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parents[1]))

from sim import AreaModel, Scenario
from sim.activities.base import EVENTS
from sim.measures import MEASURES
from sim.scenario import list_scenarios
from sim.states import STATE_KEYS

RESIDENTS = 500
MONTHS = (0, 12, 60)
COLUMNS = {
    "birth": "<i2",
    "sex": "u1",
    "origin": "u1",
    "state": "u1",
    "phase": "u1",
    "since": "<i2",
    "cohort": "u1",
    "education": "u1",
    "dwelling": "<i4",
    "occupant": "<u2",
    "in_area": "?",
    "side_hours": "<f4",
    "paid_hours": "<f4",
}
LEDGER = [("month", "<i2"), ("row", "<i4"), ("kind", "u1"), ("before", "u1"), ("after", "u1")]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def golden(scenario: Scenario) -> str:
    """Return the golden text of one scenario."""
    model = AreaModel(scenario.scaled(RESIDENTS), seed=1)
    lines = [f"scenario {scenario.id}, {RESIDENTS} residents, seed 1, replicate 0"]
    leisure = MEASURES["leisure_job_26h"]
    for month in range(model.plan.months + 1):
        if month:
            model.step()
        if month in MONTHS:
            counts = zip(STATE_KEYS, model.state_counts[month][0].tolist(), strict=True)
            lines.append(f"month {month}: " + " ".join(f"{key} {count}" for key, count in counts))
        if month and month % 12 == 0:
            having, pupils = leisure.parts(model.columns(), model.ledger.table(), month)
            lines.append(f"leisure jobs {model.date}: {int(having.sum())} of {int(pupils.sum())} pupils and students")
    for course in model.courses:
        happened = [(event, rows) for event, _, rows in course.events()]
        totals = (f"{event} {sum(len(rows) for e, rows in happened if e == event)}" for event in EVENTS)
        lines.append(f"{course.plan.id} ({course.plan.places} places): " + " ".join(totals))
    lines += [
        f"column {name}: {_digest(getattr(model.population, name).astype(kind).tobytes())}"
        for name, kind in COLUMNS.items()
    ]
    events = model.ledger.table()
    plain = np.zeros(len(events), dtype=LEDGER)
    for name, _ in LEDGER:
        plain[name] = events[name]
    lines.append(f"ledger: {len(events)} events {_digest(plain.tobytes())}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write a file for every shipped scenario and say which moved."""
    for scenario in list_scenarios():
        path, text = FOLDER / f"{scenario.id}.txt", golden(scenario)
        moved = not path.is_file() or path.read_text(encoding="utf-8") != text
        path.write_text(text, encoding="utf-8", newline="\n")
        print(path.name, "moved" if moved else "as before")


if __name__ == "__main__":
    main()

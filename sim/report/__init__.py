"""The report of a finished result folder: one self-contained page, and its figures with their numbers.

Everything is read from the folder's plain files, so a report can be made again at any time and in either
language. One file a subject of the page; all read from ``folder``, and ``parts`` is what they are made of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import jinja2

from ..results import write_atomically
from . import differences, grounds, head, observed, outcomes, people, queues, sensitivity, setup, structures, sure
from .folder import Report, read_folder
from .queues import course_totals, occupancy, occupancy_words
from .sure import pairing_words

__all__ = ["course_totals", "occupancy", "occupancy_words", "pairing_words", "write_report"]

_TEMPLATE: Final = Path(__file__).parents[1] / "locale" / "report.html"
_SECTIONS: Final[Mapping[str, Callable[[Report], Any]]] = {
    "setup": setup.section,
    "differences": differences.section,
    "grounds": grounds.section,
    "structures": structures.section,
    "levels": outcomes.levels,
    "states": outcomes.states,
    "paths": outcomes.paths,
    "people": people.section,
    "area": people.area,
    "queues": queues.section,
    "observed": observed.section,
    "sensitivity": sensitivity.section,
    "sure": sure.section,
    "limits": sure.limits,
    "sources": sure.sources,
}
"""What the page shows, in its order; a section with nothing to show is left out."""


def write_report(folder: Path, lang: str) -> Path:
    """Draw the figures of the result in ``folder``, write ``report.html`` beside them and return its path.

    Only ``report.html`` and the figures are written. Raises ``ResultError`` when the folder holds no result
    or one of its files cannot be used.
    """
    report = read_folder(Path(folder), lang)
    sections = {name: make(report) for name, make in _SECTIONS.items()}
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    page = template.render(report=report, t=report.t, lang=lang, head=head.section(report), page=sections, **sections)
    path = report.folder / "report.html"
    write_atomically(path, lambda part: part.write_text(page, encoding="utf-8", newline="\n"))
    return path

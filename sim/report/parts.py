"""What the page is made of: tables, and figures that are also written into the folder with their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import pandas as pd
from markupsafe import Markup

from .. import plots
from ..results import DIGITS, write_atomically
from .folder import Report

AT_A_GLANCE: Final = 6
"""Activity items up to which those of all stand open on the page."""

Cell = str | tuple[str, str]
"""What stands in a table: words, or words with smaller words below."""


@dataclass(frozen=True)
class Table:
    """A table of the page: ``bodies`` holds (heading or nothing, rows), and a row's first cell names it."""

    caption: str
    columns: Sequence[str]
    bodies: Sequence[tuple[str, Sequence[Sequence[Cell]]]]
    note: str = ""
    words: bool = False
    """Cells are words, not numbers."""


@dataclass(frozen=True)
class Figure:
    """A figure of the page, with the table of its numbers."""

    name: str
    svg: Markup
    caption: str
    table: Table
    open: bool = False


def write_figure(
    report: Report,
    name: str,
    drawing: plots.Figure,
    alt: str,
    data: pd.DataFrame,
    caption: str,
    table: Table,
    open: bool = False,
) -> Figure:
    """Write a figure and its numbers into ``figures`` of the folder and return it for the page."""
    place = report.folder / "figures"
    place.mkdir(exist_ok=True)
    drawn = plots.svg(drawing, alt, name)
    write_atomically(place / f"{name}.svg", lambda part: part.write_text(drawn, encoding="utf-8", newline="\n"))
    write_atomically(
        place / f"{name}.csv",
        lambda part: data.to_csv(part, index=False, lineterminator="\n", float_format=DIGITS),
    )
    note = report.t("all_numbers", file=f"figures/{name}.csv")
    return Figure(name, Markup(drawn), caption, replace(table, note=joined(table.note, note)), open)


def joined(*sentences: str) -> str:
    """Join sentences, leaving out the empty ones."""
    return " ".join(sentence for sentence in sentences if sentence)


def in_two(cell: Cell) -> tuple[str, str]:
    """Return the words of a cell and the smaller words below."""
    return (cell, "") if isinstance(cell, str) else cell


def milestones(months: Iterable[str]) -> list[str]:
    """Return the Decembers and the last of ``months``."""
    found = sorted(set(months))
    return [month for month in found if month.endswith("-12") or month == found[-1]]

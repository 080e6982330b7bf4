"""Tables from files: CSV as people save it, packed or not, and Parquet."""

from __future__ import annotations

import errno
import gzip
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from sim.errors import InputError, Problem


def read_frame(path: Path, numbers: Sequence[str]) -> pd.DataFrame:
    """Return a file: Parquet by its ending, else CSV (or .csv.gz) with commas or, with decimal commas, semicolons.

    Persons and states of a CSV file stay text, so 007 keeps its zeros; an empty cell alone is missing.
    """
    if path.suffix.lower() in (".parquet", ".pq"):
        try:
            return pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise _unreadable(path, error) from error
    frame, separator = _csv(path)
    if separator == ";":
        for name in set(numbers) & set(frame.columns):
            frame[name] = frame[name].str.replace(",", ".", regex=False)
    # Empty lines at the end are no rows; within the file they are, and are told.
    filled = np.flatnonzero(frame.notna().any(axis=1))
    return frame.iloc[: filled[-1] + 1 if len(filled) else 0]


def read_moves_file(path: Path) -> list[tuple[str, str]]:
    """Return the moves of a CSV file with columns from and to."""
    frame, _ = _csv(path)
    if not {"from", "to"} <= set(frame.columns):
        found = ", ".join(map(str, frame.columns))
        raise InputError([Problem("panel_moves_columns", str(path), values={"found": found})])
    frame = frame.dropna(how="all").fillna("")
    return list(zip(frame["from"], frame["to"], strict=True))


def _csv(path: Path) -> tuple[pd.DataFrame, str]:
    """Return a CSV file as text, and what separates its columns."""
    try:
        packed = path.suffix.lower() == ".gz"
        with gzip.open(path, "rt", encoding="utf-8-sig") if packed else path.open(encoding="utf-8-sig") as file:
            heading = file.readline()
        separator = ";" if heading.count(";") > heading.count(",") else ","
        frame = pd.read_csv(
            path,
            sep=separator,
            dtype=str,
            encoding="utf-8-sig",
            keep_default_na=False,
            na_values=[""],
            skip_blank_lines=False,
        )
    except (OSError, EOFError, ValueError) as error:
        raise _unreadable(path, error) from error
    return frame.rename(columns=lambda name: str(name).strip()), separator


def _unreadable(path: Path, error: OSError | EOFError | ValueError) -> InputError:
    """Return that a file cannot be read, with the reason."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, FileNotFoundError):
        # pyarrow gives the name alone.
        reason = os.strerror(errno.ENOENT)
    return InputError([Problem("panel_file", str(path), values={"reason": reason.rstrip(".")})])

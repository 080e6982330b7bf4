"""Posterior draws of the parameters as they are shipped: one Parquet file a structure, one row a draw.

``<structure>.draws.parquet`` has a float64 column for every parameter that varies (``activity.parameter`` for the
numbers of an activity) and says in its schema what it was made from; ``<structure>.fit.csv`` beside it holds the fit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from .errors import ParameterError, Problem, nearest

_KEY = b"jobveje"
"""Where the schema of the file keeps what the draws were made from."""
_GOLDEN = 0.6180339887


def own_version() -> str:
    """Return the installed version of Jobveje, or ``source`` when it runs uninstalled."""
    try:
        return version("jobveje")
    except PackageNotFoundError:
        return "source"


@dataclass(frozen=True)
class Origin:
    """What a posterior was made from.

    ``base`` is the digest of the parameter set whose values the draws replace, ``targets`` and ``priors`` are those of
    what it was fitted with; ``number`` counts the draws, ``parameters`` names the columns.
    """

    structure: str
    base: str
    seed: int
    targets: str
    priors: str
    number: int
    date: str
    version: str
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class Draws:
    """The draws of one structure: ``values`` by parameter id, each of shape (number,), in the unit of its card."""

    origin: Origin
    values: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return self.origin.number

    def row(self, number: int) -> int:
        """Return the row of draw ``number`` (from 1 on): however many are used, they lie evenly over the file.

        The order does not depend on how many are used: the first N draws are the same whatever N is.
        """
        return int(self._order[number - 1])

    @cached_property
    def _order(self) -> np.ndarray:
        """Rows in the order of use: the places of steps of a golden section around a circle, ranked."""
        return np.argsort(np.argsort(np.arange(len(self)) * _GOLDEN % 1.0, kind="stable"), kind="stable")

    def of_row(self, row: int) -> dict[str, float]:
        """Return the value of every parameter that varies, in one row of the file."""
        return {id: float(column[row]) for id, column in self.values.items()}


def path_of(folder: Path, structure: str) -> Path:
    """Return where the draws of ``structure`` are."""
    return folder / f"{structure}.draws.parquet"


def write_draws(folder: Path, draws: Draws) -> Path:
    """Write the draws of a structure into ``folder`` and return the file; the same draws give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    about = json.dumps(asdict(draws.origin), ensure_ascii=False)
    columns = {id: pa.array(np.asarray(column, dtype=np.float64)) for id, column in draws.values.items()}
    table = pa.table(columns).replace_schema_metadata({_KEY: about.encode()})
    path = path_of(folder, draws.origin.structure)
    pq.write_table(table, path, compression="zstd", use_dictionary=False)
    return path


def read_draws(path: Path, structure: str, base: str, bounds: Mapping[str, tuple[float, float]]) -> Draws:
    """Read the draws of ``structure`` made for the parameter set with digest ``base``.

    ``bounds`` gives the lowest and highest value of every parameter of that set; numbers of activities are checked
    where the activities are known. Raises ``ParameterError`` naming everything that is wrong with the file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        about = json.loads((table.schema.metadata or {})[_KEY])
        origin = Origin(**{**about, "parameters": tuple(about["parameters"])})
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise ParameterError([Problem("draws_damaged", place=path.name)]) from error
    problems = list(_problems(path.name, table, origin, structure, base, bounds))
    if problems:
        raise ParameterError(problems)
    return Draws(origin, {id: table.column(id).to_numpy() for id in origin.parameters})


def _problems(
    place: str, table: Any, origin: Origin, structure: str, base: str, bounds: Mapping[str, tuple[float, float]]
) -> Iterator[Problem]:
    for key, given, wanted in (("structure", origin.structure, structure), ("base", origin.base, base)):
        if given != wanted:
            yield Problem(f"draws_{key}", place=place, values={"given": given, "wanted": wanted})
    if table.num_rows != origin.number or not table.num_rows:
        yield Problem("draws_rows", place=place, values={"found": table.num_rows, "number": origin.number})
    for id in origin.parameters:
        if id not in table.column_names:
            yield Problem("draws_column_missing", place=place, key=id)
    for id in table.column_names:
        of_activity = "." in id
        if id not in origin.parameters or not (of_activity or id in bounds):
            yield Problem("unknown_parameter", place=place, key=id, nearest=nearest(id, bounds))
            continue
        if str(table.schema.field(id).type) != "double":
            yield Problem("draws_number", place=place, key=id)
            continue
        column = table.column(id).to_numpy()
        wrong = np.flatnonzero(~np.isfinite(column))
        if len(wrong):
            yield Problem("draws_nan", place=place, key=id, values={"count": len(wrong), "row": int(wrong[0])})
        elif not of_activity and len(column):
            low, high = bounds[id]
            if column.min() < low or column.max() > high:
                values = {"value": f"{column.min():g} … {column.max():g}", "low": low, "high": high}
                yield Problem("bounds", place=place, key=id, values=values)

"""From a fit to the simulation: draws of rates under the names the agents run on."""

from __future__ import annotations

import datetime
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sim.draws import Draws, Origin, own_version, write_draws
from sim.errors import InputError, Problem, nearest
from sim.parameters import UNITS, ParameterSet

from ..structures import STRUCTURES
from .design import whole_numbers, written

if TYPE_CHECKING:
    from .results import PanelFit

MONTHS: Final = {"day": 12 / 365.25, "week": 7 * 12 / 365.25, "month": 1.0, "quarter": 3.0, "year": 12.0}
"""Months in a unit of the panel's time."""


def rate_ids(structure: str) -> dict[tuple[str, str], str]:
    """Return the parameter id of every move that has one of its own in ``structure``, by the states' keys."""
    parameters = ParameterSet.read(structure)
    tied = {id for id in STRUCTURES[structure].ties if id in parameters}
    found = {}
    for id in parameters:
        a, to, b = id.removeprefix("rate_").partition("_to_")
        if id.startswith("rate_") and to and id not in tied:
            found[a, b] = id
    return found


def missing_moves(fit: PanelFit, structure: str) -> list[Problem]:
    """Return the moves of a fit that ``structure`` has no rate for."""
    ids = rate_ids(structure)
    known = [written(move) for move in ids]
    return [
        Problem(
            "panel_no_parameter",
            key=written(move),
            values={"structure": structure, "allowed": "; ".join(known)},
            nearest=nearest(written(move), known),
        )
        for move in fit.moves
        if move not in ids
    ]


def parameter_draws(
    fit: PanelFit, folder: Path, n: int, seed: int, unit: str, structure: str, at: Any, period: int
) -> Path:
    """Write ``n`` draws of the rates as ``<structure>.draws.parquet`` into ``folder`` and return the file.

    A move from a to b becomes the parameter ``rate_a_to_b``, per month; ``unit`` is that of the panel's time. Rates
    that the structure ties to these follow them; all other parameters keep their point values. With the environment
    variable JOBVEJE_POSTERIORS set to ``folder`` runs of ``parameters: <structure>`` with several draws use them.

    Raises ``InputError`` naming every move the structure has no rate for, every rate that is not identified or out of
    bounds, and an unknown unit or structure.
    """
    whole_numbers(n=(n, 1), seed=(seed, 0))
    problems = []
    for key, value, allowed in (("unit", unit, list(MONTHS)), ("structure", structure, list(STRUCTURES))):
        if value not in allowed:
            values = {"value": value, "allowed": ", ".join(allowed)}
            problems.append(Problem("choice", key=key, values=values, nearest=nearest(value, allowed)))
    if problems:
        raise InputError(problems)
    problems += missing_moves(fit, structure)
    problems += [
        Problem("panel_unidentified", key=written((a, b)))
        for a, b in fit.moves
        if not np.isfinite(fit.se(a, b, at, period))
    ]
    if problems:
        raise InputError(problems)
    ids = rate_ids(structure)
    table = fit.draws(n, seed, at, period)
    rates = {ids[move]: table[written(move)].to_numpy() / MONTHS[unit] for move in fit.moves}
    most = UNITS["per_month"].highest
    wrong = {
        id: {"value": f"{rate.max():g}", "low": 0, "high": most} for id, rate in rates.items() if rate.max() > most
    }
    if wrong:
        raise InputError([Problem("bounds", key=id, values=told) for id, told in wrong.items()])
    rates = STRUCTURES[structure].with_ties(rates)
    digest = hashlib.sha256(json.dumps([fit.theta.tolist(), fit.moves, dict(fit.counts)]).encode()).hexdigest()[:16]
    origin = Origin(
        structure=structure,
        base=ParameterSet.read(structure).digest,
        seed=seed,
        targets=f"panel {digest}",
        priors="none",
        number=n,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        version=own_version(),
        parameters=tuple(rates),
    )
    folder.mkdir(parents=True, exist_ok=True)
    return write_draws(folder, Draws(origin, rates))

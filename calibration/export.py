"""A calibration as ArviZ's ``InferenceData``, for other tools that examine posteriors (extra ``research``)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.errors import InputError, Problem

from .calibration import ENSEMBLES, Calibration
from .priors import draw, values_of
from .samplers.seeds import generators

if TYPE_CHECKING:
    import arviz

_LIBRARIES = ("arviz", "h5netcdf")


def installed() -> None:
    """Raise ``InputError`` naming every library of the extra that is missing."""
    import importlib.util

    missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        values = {"library": ", ".join(missing), "extra": "research"}
        raise InputError([Problem("extra_missing", values=values)])


def to_inference_data(found: Calibration) -> arviz.InferenceData:
    """Return groups posterior, posterior_predictive, observed_data and prior of a calibration.

    Variables are blocks; each has a dimension of its own, ``<block>_parameter`` or ``<block>_target``, whose
    coordinates are ids. Chains are the independent ensembles, which are kept apart. Raises ``InputError`` when the
    extra ``research`` is not installed.
    """
    installed()
    import warnings

    with warnings.catch_warnings():
        # ArviZ announces its next major version on import; pyproject.toml pins this one.
        warnings.simplefilter("ignore")
        import arviz

    groups: dict[str, dict[str, np.ndarray]] = {"posterior": {}, "posterior_predictive": {}, "prior": {}}
    observed, coords, dims = {}, {}, {}
    number = len(found.draws)
    luck = generators(found.seed, "prior", len(found.posteriors))
    for (name, posterior), own in zip(found.posteriors.items(), luck, strict=True):
        problem = posterior.problem
        values = posterior.values[:number]
        groups["posterior"][name] = _chains(values)
        groups["posterior_predictive"][f"{name}_shares"] = _chains(posterior.predicted()[:number])
        groups["prior"][name] = _chains(values_of(problem.priors, draw(problem.priors, own, number)))
        observed[f"{name}_shares"] = problem.likelihood.observed
        coords[f"{name}_parameter"] = list(problem.ids)
        coords[f"{name}_target"] = [target.id for target in problem.targets]
        dims[name], dims[f"{name}_shares"] = [f"{name}_parameter"], [f"{name}_target"]
    return arviz.from_dict(
        posterior=groups["posterior"],
        posterior_predictive=groups["posterior_predictive"],
        prior=groups["prior"],
        observed_data=observed,
        coords=coords,
        dims=dims,
        attrs=_about(found),
    )


def write_netcdf(found: Calibration, folder: Path) -> Path:
    """Write a calibration as ``<structure>.nc`` into ``folder`` and return the file."""
    path = folder / f"{found.structure}.nc"
    to_inference_data(found).to_netcdf(str(path), engine="h5netcdf")
    return path


def _chains(rows: np.ndarray) -> np.ndarray:
    """Return rows (draws, columns), ensemble after ensemble, as (ensembles, draws, columns)."""
    return rows.reshape(ENSEMBLES, -1, rows.shape[-1])


def _about(found: Calibration) -> dict[str, Any]:
    origin = found.draws.origin
    return {name: getattr(origin, name) for name in ("structure", "base", "seed", "targets", "priors", "date")}

"""Calibration of the simulation to the published flows, and the evidence it stands on."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .calibration import Calibration, calibrate
    from .holdouts import Validation, validate
    from .panel.estimation import fit_panel
    from .panel.results import PanelFit
    from .panel.simulation import simulate_panel
    from .point_fits import Fit, fit_core_rates, fit_side_job_starts
    from .targets import Targets

_HOMES = {
    "Calibration": "calibration",
    "Fit": "point_fits",
    "PanelFit": "panel.results",
    "Targets": "targets",
    "Validation": "holdouts",
    "calibrate": "calibration",
    "fit_core_rates": "point_fits",
    "fit_panel": "panel.estimation",
    "fit_side_job_starts": "point_fits",
    "simulate_panel": "panel.simulation",
    "validate": "holdouts",
}

__all__ = [
    "Calibration",
    "Fit",
    "PanelFit",
    "Targets",
    "Validation",
    "calibrate",
    "fit_core_rates",
    "fit_panel",
    "fit_side_job_starts",
    "simulate_panel",
    "validate",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Jobveje: agent-based simulation of employment interventions in Danish disadvantaged housing areas."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .activities import ActivityType
    from .ensemble import compare, run
    from .errors import InputError, ParameterError, ScenarioError
    from .model import AreaModel, Resident
    from .parameters import Parameter, ParameterSet
    from .results import Result
    from .scenario import Scenario
    from .toy import toy_area

_HOMES = {
    "AreaModel": "model",
    "InputError": "errors",
    "Parameter": "parameters",
    "ParameterError": "errors",
    "ParameterSet": "parameters",
    "Resident": "model",
    "Result": "results",
    "Scenario": "scenario",
    "ScenarioError": "errors",
    "compare": "ensemble",
    "run": "ensemble",
    "toy_area": "toy",
}

__all__ = [
    "AreaModel",
    "InputError",
    "Parameter",
    "ParameterError",
    "ParameterSet",
    "Resident",
    "Result",
    "Scenario",
    "ScenarioError",
    "compare",
    "list_activities",
    "run",
    "toy_area",
]


def list_activities() -> list[ActivityType]:
    """Return every declared activity, in the order of the catalogue."""
    from .activities import catalogue

    return list(catalogue().values())


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

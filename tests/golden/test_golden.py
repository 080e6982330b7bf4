"""Stored numbers of the shipped scenarios; when one moves on purpose: ``python tests/golden/refresh.py``."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from sim.scenario import Scenario, list_scenarios

FOLDER = Path(__file__).parent
SHIPPED = {scenario.id: scenario for scenario in list_scenarios()}


@pytest.fixture(scope="module")
def refresh() -> ModuleType:
    spec = importlib.util.spec_from_file_location("golden_refresh", FOLDER / "refresh.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("id", SHIPPED)
def test_numbers_are_the_stored_ones(refresh: ModuleType, id: str) -> None:
    stored = (FOLDER / f"{id}.txt").read_text(encoding="utf-8")
    assert refresh.golden(SHIPPED[id]) == stored


def test_every_golden_file_has_a_scenario() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(SHIPPED)
    assert len(SHIPPED) >= 3


def test_a_moved_number_would_be_seen(refresh: ModuleType) -> None:
    scenario: Scenario = SHIPPED["leisure_jobs"]
    stored = (FOLDER / "leisure_jobs.txt").read_text(encoding="utf-8")
    assert refresh.golden(scenario.with_activity("leisure_job", take_up=0.61)) != stored

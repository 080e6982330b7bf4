"""What several test files share: the shipped parameters, small scenarios, models that have lived."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from posteriors import write_posteriors

from sim import AreaModel, ParameterSet, Scenario, ensemble


@pytest.fixture(scope="session")
def parameters() -> ParameterSet:
    return ParameterSet.read("history")


@pytest.fixture(scope="session")
def leisure_jobs() -> Scenario:
    """800 residents, two years, six places known to many: some are served, others wait in vain."""
    return Scenario.read("leisure_jobs", ["population.residents=800", "horizon.months=24"]).with_activity(
        "leisure_job", places=6, reach_school=0.1
    )


@pytest.fixture(scope="session")
def baseline() -> Scenario:
    """The same area without the activity."""
    return Scenario.read("baseline", ["population.residents=800", "horizon.months=24"])


@pytest.fixture(scope="session")
def live() -> Callable[..., AreaModel]:
    """Return a model that has lived through its scenario."""

    def run_to_the_end(scenario: Scenario, **options: object) -> AreaModel:
        model = AreaModel(scenario, **options)
        for _ in range(scenario.months):
            model.step()
        return model

    return run_to_the_end


@pytest.fixture(scope="session", autouse=True)
def compared_draws() -> Iterator[int]:
    """Let comparisons that do not ask for draws take one, so that tests stay short where posteriors are shipped.

    Return how many they take in truth.
    """
    with pytest.MonkeyPatch.context() as patch:
        usual = ensemble.COMPARED_DRAWS
        patch.setattr(ensemble, "COMPARED_DRAWS", 1)
        yield usual


@pytest.fixture
def posteriors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function that puts made-up posteriors of the structures given in place of the shipped parameter sets."""

    def put(*structures: str, number: int = 40) -> Path:
        folder = write_posteriors(tmp_path / f"sets {len(structures)}", structures, number)
        monkeypatch.setattr("sim.parameters.PARAMETER_SETS", folder)
        return folder

    return put

"""With one constant hazard, spells are geometric with p = 1 - exp(-h)."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import chi2, norm

from sim import AreaModel, ParameterSet, Scenario
from sim.states import CODE, SEXES

HAZARD = 0.15
LONGEST = 30


def exits_by_duration(model: AreaModel, state: str) -> tuple[np.ndarray, np.ndarray]:
    """Return persons at risk and exits by months in the state, of spells begun in the run."""
    events = model.ledger.table()
    events = events[events["kind"] == 0]
    order = np.lexsort((events["month"], events["row"]))
    events = events[order]
    at_risk, exits = np.zeros(LONGEST + 1), np.zeros(LONGEST + 1)
    same_row = events["row"][1:] == events["row"][:-1]
    entered = events["after"] == CODE[state]
    ends = np.where(np.append(same_row, False), np.append(events["month"][1:], 0), model.month)[entered]
    left = np.append(same_row, False)[entered]
    length = ends - events["month"][entered]
    for months, gone in zip(length, left, strict=True):
        at_risk[1 : min(months, LONGEST) + 1] += 1
        if gone and months <= LONGEST:
            exits[months] += 1
    return at_risk[1:], exits[1:]


@pytest.mark.parametrize("state", ["self_supporting", "job_ready"])
def test_spells_are_geometric(parameters: ParameterSet, live: Callable[..., AreaModel], state: str) -> None:
    """Job-ready and self-supporting residents take turns, each with a constant hazard."""
    moving = {
        "rate_job_ready_to_no_benefit": HAZARD,
        **{f"no_benefit_share_self_supporting_{sex}": 1.0 for sex in SEXES},
        "exit_factor_months_1_8": 1.0,
        "rate_self_supporting_to_job_ready": 2 * HAZARD,
    }
    still = {
        id: 0.0
        for id in parameters
        if id.startswith(("rate_", "job_loss_months", "no_benefit_share", "death_")) and id not in moving
    }
    off = "economy.usual_activation=false"
    scenario = Scenario.read("cash_benefit_cohorts_2011", ["population.residents=6000", off])
    model = live(scenario, parameters=parameters.replace({**still, **moving}))
    at_risk, exits = exits_by_duration(model, state)
    chance = -np.expm1(-(HAZARD if state == "job_ready" else 2 * HAZARD))
    enough = at_risk * chance >= 25
    expected = at_risk[enough] * chance
    z = (exits[enough] - expected) / np.sqrt(expected * (1 - chance))
    overall = (exits.sum() - at_risk.sum() * chance) / np.sqrt(at_risk.sum() * chance * (1 - chance))
    print(f"{state}: {exits.sum():.0f} spells, z {overall:.2f}, chi2 {(z**2).sum():.1f} on {len(z)}")
    assert len(z) >= 10
    assert abs(overall) < norm.isf(0.005)
    assert (z**2).sum() < chi2.isf(0.01, len(z))
    # The hazard itself as a probability would be far outside.
    wrong = HAZARD if state == "job_ready" else 2 * HAZARD
    assert abs(exits.sum() - at_risk.sum() * wrong) > 5 * np.sqrt(at_risk.sum() * wrong * (1 - wrong))

"""Side jobs of pupils and students without activities: the agents against the exact path by age."""

import numpy as np
from scipy.stats import chi2, norm

from sim import AreaModel, ParameterSet, Scenario
from sim.chain import side_job_path
from sim.transitions import SIDE_AGES, SIDE_STATES

REPLICATES = range(100)


def test_side_jobs_follow_the_exact_path(parameters: ParameterSet) -> None:
    """Those at school from the start; every age in months is independent of the others at one point in time."""
    scenario = Scenario.read("baseline")
    model = AreaModel(scenario, replicate=REPLICATES, engine="numpy")
    job, reached = side_job_path(parameters, SIDE_AGES[-1] + 5)
    stayed = model.columns().in_states(SIDE_STATES)
    for month in range(scenario.months + 1):
        if month:
            model.step()
        columns = model.columns()
        stayed &= columns.in_states(SIDE_STATES)
        at_school = stayed & (columns.age_months < len(job))
        if month in (0, 1, 30, 60):
            compare(f"a side job, month {month}", job, columns.age_months, at_school, model.population.side_hours > 0)
        if month in (12, 36, 60):
            # Paid hours are counted from January to December, the window of the exact path.
            hours = columns.paid_hours >= parameters.value("leisure_job_hours_in_year")
            compare(f"26 paid hours, month {month}", reached, columns.age_months, at_school, hours)


def compare(name: str, exact: np.ndarray, age: np.ndarray, counted: np.ndarray, holds: np.ndarray) -> None:
    persons = np.bincount(age[counted], minlength=len(exact))
    holding = np.bincount(age[counted & holds], minlength=len(exact))
    certain = (exact == 0) | (persons == 0)
    assert not holding[certain].any()
    enough = ~certain & (persons * exact >= 25) & (persons * (1 - exact) >= 25)
    z = (holding - persons * exact)[enough] / np.sqrt((persons * exact * (1 - exact))[enough])
    bound = norm.isf(0.005 / len(z))
    print(f"{name}: {len(z)} ages, largest |z| {np.abs(z).max():.2f} (bound {bound:.2f}), chi2 {(z**2).sum():.1f}")
    assert len(z) >= 100
    assert np.abs(z).max() < bound
    assert (z**2).sum() < chi2.isf(0.005, len(z))

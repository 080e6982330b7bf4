"""Side jobs of pupils and students without activities: the agents against the exact path by age."""

import numpy as np
from scipy.stats import chi2, norm

from sim import AreaModel, ParameterSet, Scenario
from sim.chain import side_job_path
from sim.transitions import FRAILTIES, SIDE_AGES, SIDE_STATES

REPLICATES = range(250)


def test_side_jobs_follow_the_exact_path(parameters: ParameterSet) -> None:
    """Those at school from the start; every age in months is independent of the others at one point in time."""
    scenario = Scenario.read("baseline")
    model = AreaModel(scenario, replicate=REPLICATES, engine="numpy")
    path = [side_job_path(parameters, SIDE_AGES[-1] + 5, frailty) for frailty in range(FRAILTIES)]
    job, reached = (np.stack(part) for part in zip(*path, strict=True))
    first = slice(scenario.residents * len(REPLICATES))
    frailty = model.population.frailty[first].astype(np.int64)
    stayed = np.ones(len(frailty), dtype=bool)
    for month in range(scenario.months + 1):
        if month:
            model.step()
        columns = model.columns().seen("individual")
        stayed &= columns.in_states(SIDE_STATES)
        at_school = stayed & (columns.age_months < job.shape[1])
        age = np.minimum(columns.age_months, job.shape[1] - 1)
        cell = frailty * job.shape[1] + age
        if month in (0, 1, 30, 60):
            compare(f"a side job, month {month}", job.ravel(), cell, at_school, columns.side_hours > 0)
        if month in (12, 36, 60):
            # Paid hours are counted from January to December, the window of the exact path.
            hours = columns.paid_hours >= parameters.value("leisure_job_hours_in_year")
            compare(f"26 paid hours, month {month}", reached.ravel(), cell, at_school, hours)


def test_the_two_propensities_are_halves_and_keep_the_mean(parameters: ParameterSet) -> None:
    people = AreaModel(Scenario.read("baseline"), replicate=range(10)).population
    high = people.frailty == 1
    assert set(np.unique(people.frailty)) == {0, 1}
    assert abs(high.mean() - 0.5) < norm.isf(0.005) * 0.5 / np.sqrt(len(high))
    low, high_path = (side_job_path(parameters, 20, frailty)[0] for frailty in range(FRAILTIES))
    even = parameters.replace({"side_job_low_propensity": 1.0})
    same = [side_job_path(even, 20, frailty)[0] for frailty in range(FRAILTIES)]
    np.testing.assert_array_equal(*same)
    assert (low[12 * 12 :] < same[0][12 * 12 :]).all()
    assert (high_path[12 * 12 :] > same[0][12 * 12 :]).all()


def compare(name: str, exact: np.ndarray, age: np.ndarray, counted: np.ndarray, holds: np.ndarray) -> None:
    persons = np.bincount(age[counted], minlength=len(exact))
    holding = np.bincount(age[counted & holds], minlength=len(exact))
    certain = (exact == 0) | (persons == 0)
    assert not holding[certain].any()
    enough = ~certain & (persons * exact >= 25) & (persons * (1 - exact) >= 25)
    z = (holding - persons * exact)[enough] / np.sqrt((persons * exact * (1 - exact))[enough])
    # One wrong alarm in a hundred over all cells of the seven comparisons.
    bound = norm.isf(0.005 / 7 / len(z))
    print(f"{name}: {len(z)} ages, largest |z| {np.abs(z).max():.2f} (bound {bound:.2f}), chi2 {(z**2).sum():.1f}")
    assert len(z) >= 100
    assert np.abs(z).max() < bound
    assert (z**2).sum() < chi2.isf(0.005, len(z))

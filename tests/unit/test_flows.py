"""The agents' structures as problems for the samplers."""

import numpy as np
import pytest

from calibration.flows import DISCREPANCY, flows_problem
from calibration.priors import unconstrained
from calibration.structures import STRUCTURES
from calibration.twin import joint
from sim import ParameterSet


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_shipped_values_are_far_likelier_than_the_prior_medians(name: str) -> None:
    problem = flows_problem(name)
    parameters = ParameterSet.read(name)
    assert problem.ids == STRUCTURES[name].free
    values = np.array([[parameters.value(id) for id in problem.ids], [prior.median for prior in problem.priors]])
    z = unconstrained(problem.priors, values)
    assert np.isfinite(z).all()
    np.testing.assert_allclose(problem.joint_at(z), joint(name, values), rtol=1e-12)
    shipped, median = problem.log_posterior(z)
    assert shipped > median + 100
    assert problem.discrepancy == DISCREPANCY
    assert len(problem.targets) == 12

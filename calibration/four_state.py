"""The four-state problem: the 2011 cohorts as a continuous-time chain, without agents, in four rival structures.

States are job-ready (JR), activity-ready (AR), no benefit (NB) and other benefit (OT); the cohorts start in JR and AR,
and P(t) = exp(Qt). It holds what the published flows can tell and nothing else, so inference is proved here before it
is used on the model itself. Structures:

- *homogeneous*: six core rates and returns NB>JR and OT>AR, the same in every month; the declared simple baseline.
- *history*: people downgraded from JR are newly activity-ready (AN) for good, unless they climb back; NB, OT absorbing.
- *history_stayers*: as *history*, with AN>NB, and a share of those who start in JR never leaves.
- *calendar*: core rates; from month 24 on factors on JR>AR and JR>NB (one), JR>OT and AR>JR; NB, OT absorbing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final, NamedTuple

import numpy as np

from sim.measures import BENEFIT_GROUPS, COHORTS
from sim.parameters import UNITS

from .likelihood import Problem
from .priors import read_priors
from .targets import Targets

MONTHS: Final = (24, 60)
"""Months from the start to the fourth quarters of 2013 and 2016."""

_CORE = (
    ("rate_job_ready_to_activity_ready", "JR", "AR"),
    ("rate_job_ready_to_no_benefit", "JR", "NB"),
    ("rate_job_ready_to_other_benefit", "JR", "OT"),
    ("rate_activity_ready_to_job_ready", "AR", "JR"),
    ("rate_activity_ready_to_no_benefit", "AR", "NB"),
    ("rate_activity_ready_to_other_benefit", "AR", "OT"),
)
_HISTORY = (
    ("rate_job_ready_to_activity_ready", "JR", "AN"),
    *_CORE[1:],
    ("rate_newly_activity_ready_to_job_ready", "AN", "JR"),
)
_GROUP = {"JR": "job_ready", "AR": "activity_ready", "NB": "no_benefit", "OT": "other_benefit", "AN": "activity_ready"}
"""The group of Figure 4.13 that each state is counted in."""
_STATES = tuple(_GROUP)


class Structure(NamedTuple):
    """What may differ between the structures.

    ``rates``: (parameter, from, to), per month. ``factors``: parameter and the rates it multiplies from month 24 on.
    ``stayers``: the share of the first cohort that never leaves its state, if any.
    """

    rates: tuple[tuple[str, str, str], ...]
    factors: Mapping[str, tuple[str, ...]] = {}
    stayers: str | None = None

    @property
    def parameters(self) -> tuple[str, ...]:
        """The free parameters, in the order of the values."""
        return (*(id for id, _, _ in self.rates), *self.factors, *([self.stayers] if self.stayers else []))


STRUCTURES: Final[Mapping[str, Structure]] = {
    "homogeneous": Structure(
        (*_CORE, ("rate_no_benefit_to_job_ready", "NB", "JR"), ("rate_other_benefit_to_activity_ready", "OT", "AR"))
    ),
    "history": Structure(_HISTORY),
    "history_stayers": Structure(
        (*_HISTORY, ("rate_newly_activity_ready_to_no_benefit", "AN", "NB")), stayers="job_ready_stayer_share"
    ),
    "calendar": Structure(
        _CORE,
        {
            "reform_factor_job_ready_out": ("rate_job_ready_to_activity_ready", "rate_job_ready_to_no_benefit"),
            "reform_factor_job_ready_to_other_benefit": ("rate_job_ready_to_other_benefit",),
            "reform_factor_activity_ready_to_job_ready": ("rate_activity_ready_to_job_ready",),
        },
    ),
}
"""Every structure of the problem by name."""

_HALVINGS = 10
_TERMS = 12
_FASTEST = UNITS["per_month"].highest


def transition(generator: np.ndarray, months: float) -> np.ndarray:
    """Return exp(``generator`` x ``months``) of every matrix in a stack, shape (draws, states, states).

    Scaling and squaring with a fixed number of halvings, so that a draw's result does not depend on the draws beside
    it: exact to 1e-12 for exits up to 10 a month over 12 months.
    """
    step = generator * (months / 2**_HALVINGS)
    eye = np.eye(step.shape[-1])
    # Horner's form of the Taylor series.
    found = eye + step / _TERMS
    for term in range(_TERMS - 1, 0, -1):
        found = eye + step @ found / term
    for _ in range(_HALVINGS):
        found = found @ found
    return found


def _generator(structure: Structure, values: np.ndarray, later: bool) -> np.ndarray:
    """Return the monthly rates between states, rows summing to 0, shape (draws, states, states).

    NaN where a rate is faster than the unit per month allows.
    """
    found = np.zeros((len(values), len(_STATES), len(_STATES)))
    column = {id: values[:, i] for i, id in enumerate(structure.parameters)}
    for id, source, target in structure.rates:
        rate = column[id]
        if later:
            for factor, changed in structure.factors.items():
                rate = rate * column[factor] if id in changed else rate
        found[:, _STATES.index(source), _STATES.index(target)] = rate
    diagonal = np.arange(len(_STATES))
    found[:, diagonal, diagonal] = -found.sum(axis=2)
    found[(found > _FASTEST).any(axis=(1, 2))] = np.nan
    return found


def joint(name: str, values: np.ndarray) -> np.ndarray:
    """Return the joint shares of each cohort at months 24 and 60, shape (draws, cohorts, groups, groups).

    ``values`` are in natural units (rates per month, shares, factors), shape (draws, parameters), in the order of
    ``STRUCTURES[name].parameters``; cohorts are ``sim.measures.COHORTS``, groups ``sim.measures.BENEFIT_GROUPS``.
    A draw with a rate faster than the unit per month allows gives NaN.
    """
    structure = STRUCTURES[name]
    values = np.atleast_2d(np.asarray(values, dtype=float))
    year = transition(_generator(structure, values, later=False), 12)
    first = year @ year
    after = transition(_generator(structure, values, later=True), 12) if structure.factors else year
    last = after @ after @ after
    groups = list(BENEFIT_GROUPS)
    member = np.array([[_GROUP[state] == group for group in groups] for state in _STATES], dtype=float)
    start = [_STATES.index("JR"), _STATES.index("AR")]
    # Chances of (cohort, group and state at month 24), times those of the groups at month 60.
    split = first[:, start, None, :] * member.T
    found = split.reshape(len(values), -1, len(_STATES)) @ (last @ member)
    found = found.reshape(len(values), len(start), len(groups), len(groups))
    if structure.stayers:
        share = values[:, structure.parameters.index(structure.stayers)]
        ready, cohort = groups.index("job_ready"), COHORTS.index("job_ready_2011")
        found[:, cohort] *= 1 - share[:, None, None]
        found[:, cohort, ready, ready] += share
    return found


def problem(name: str, targets: Targets | None = None, discrepancy: float = 0.0) -> Problem:
    """Return the four-state problem of structure ``name``: priors, chain and the fitted shares.

    ``discrepancy`` is the standard deviation (share) of what no structure explains, fixed beforehand.
    """
    return Problem(
        name=f"four_state_{name}",
        priors=read_priors(STRUCTURES[name].parameters),
        joint=partial(joint, name),
        targets=(targets or Targets.read()).fit,
        discrepancy=discrepancy,
    )

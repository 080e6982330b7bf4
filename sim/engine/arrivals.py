"""The newcomers of a month, compiled: who they are and where their lives stand, written into the columns.

The oracle is what numpy does in ``recipe.Recipe.newcomers`` and ``population.Population``: the same bytes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .streams import GOLDEN, MULTIPLIERS


class Homes(NamedTuple):
    """Vacant dwellings, one entry each: ``occupant`` counts the new household, ``ids`` holds the id of its head."""

    youth: np.ndarray
    dwelling: np.ndarray
    occupant: np.ndarray
    block: np.ndarray
    ids: np.ndarray


class Making(NamedTuple):
    """What a recipe makes people from.

    ``limits`` are the weights of the household cells, cumulated: first of those for family dwellings, then of those for
    youth dwellings; ``kinds`` says where each kind begins and ends. ``slots`` says, by kind, how many limits are not
    above each of equal parts of their total: between two parts a search is short. By cell, ``cells`` has the first
    member and how many there are (0: nobody moves in). ``members`` has a row for each member of each cell: stratum,
    status group, block, age in years, sex, role, parents' flags, youth dwelling, origin, family, children.

    Cumulated shares: ``status`` by status group, ``education`` by (stratum, status), ``barriers`` by (status, block).
    Months in a status: ``over`` is the share over ``five_years`` by (stratum, status), ``within`` the distribution of
    the others by (status, months), ``longest`` the longest time by age in months, ``begins`` the age in months at which
    a status begins for everybody (0: at none). ``none`` is the status whose barriers those below ``school_years`` have.
    """

    slots: np.ndarray
    kinds: np.ndarray
    limits: np.ndarray
    cells: np.ndarray
    members: np.ndarray
    status: np.ndarray
    education: np.ndarray
    barriers: np.ndarray
    over: np.ndarray
    within: np.ndarray
    longest: np.ndarray
    begins: np.ndarray
    five_years: int
    school_years: int
    none: int


class Settling(NamedTuple):
    """Where the lives of newcomers stand.

    By status: ``phase``. By phase: ``activated`` (the same in usual activation), ``state``, ``has_past`` (whether the
    months come from ``past``, a rising line of distributions of ``past_longest`` months each: that of group g lies
    between g and g + 1; ``past_first`` is the first group by age class, sex and origin). By age in months:
    ``age_class``. By state: ``side_kind``; leisure jobs (1) have ``side_hours`` weekly hours and the chance
    ``side_share`` by (propensity, age in months); small jobs (2) have ``small_hours`` below each of ``small_limits``.
    """

    phase: np.ndarray
    activated: np.ndarray
    state: np.ndarray
    has_past: np.ndarray
    past: np.ndarray
    past_longest: int
    past_first: np.ndarray
    age_class: np.ndarray
    side_kind: np.ndarray
    side_share: np.ndarray
    side_hours: float
    small_limits: np.ndarray
    small_hours: np.ndarray


class Arrivals(NamedTuple):
    """Columns of the stream and of the residents, from the first newcomer on."""

    ids: np.ndarray
    block: np.ndarray
    keys: np.ndarray
    birth: np.ndarray
    sex: np.ndarray
    origin: np.ndarray
    education: np.ndarray
    family: np.ndarray
    children: np.ndarray
    role: np.ndarray
    parents: np.ndarray
    barriers: np.ndarray
    frailty: np.ndarray
    state: np.ndarray
    phase: np.ndarray
    since: np.ndarray
    side_hours: np.ndarray
    dwelling: np.ndarray
    occupant: np.ndarray
    head: np.ndarray
    size: np.ndarray
    youth_dwelling: np.ndarray


def arrive(
    month: int,
    first: int,
    share: float,
    lucks: np.ndarray,
    moments: np.ndarray,
    homes: Homes,
    making: Making,
    settling: Settling,
    arrivals: Arrivals,
) -> int:
    """Write the households that move into ``homes`` in ``month`` and return how many people they are.

    The first of them has row ``first``; ``share`` is that of cash-benefit recipients in usual activation. ``lucks`` are
    those of the stream's replicates; ``moments`` are the keys of the decisions, in the order household, state,
    education, months, birth month, barriers, past, activation, propensity, side job.
    """
    from .kernels import move_in

    luck = np.empty(len(moments))
    chance = (lucks, moments, GOLDEN, *MULTIPLIERS, luck)
    return move_in(month, first, share, *chance, *homes, *making, *settling, *arrivals)

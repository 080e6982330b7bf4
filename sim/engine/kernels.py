"""The month in one compiled pass.

Everything is an argument: a kernel cached on disk would silently keep an old constant or function. The cache folder is
named by a digest of this file, so a changed line means a new folder.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np


def cache_folder() -> Path:
    """Return the folder that holds the compiled kernels of exactly this file; a new one if no home can be written."""
    digest = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jobveje"
        base.mkdir(parents=True, exist_ok=True)
        writable = os.access(base, os.W_OK)
    except (OSError, RuntimeError):
        writable = False
    if not writable:
        # A folder of this process alone: what lies in a shared one could be anybody's.
        base = Path(tempfile.mkdtemp(prefix="jobveje-"))
    return base / f"kernels-{numba.__version__}-{digest}"


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile ``function``, caching the machine code in :func:`cache_folder`."""
    before = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    numba.config.CACHE_DIR = str(cache_folder())  # type: ignore[attr-defined]
    try:
        return numba.njit(cache=True, nogil=True)(function)
    finally:
        numba.config.CACHE_DIR = before  # type: ignore[attr-defined]


@compiled
def month_pass(  # type: ignore[no-untyped-def]
    keys,
    row,
    until,
    side_row,
    out_row,
    move_threshold,
    move_limits,
    side_threshold,
    out_threshold,
    move_key,
    side_key,
    out_key,
    month,
    multiplier_1,
    multiplier_2,
    moved,
    moved_to,
    side,
    out,
    due,
):
    """Draw one month for all residents; fill ``moved``, ``side``, ``out`` and ``due``, return how many each holds.

    ``moved``: rows that leave their state, and where to; ``side``: rows whose side job starts or ends;
    ``out``: rows that leave their dwelling; ``due``: rows whose table row must be renewed before the next month.
    """
    n_moved = 0
    n_side = 0
    n_out = 0
    n_due = 0
    s30 = numba.uint64(30)
    s27 = numba.uint64(27)
    s32 = numba.uint64(32)
    s31 = numba.uint64(31)
    for i in range(keys.shape[0]):
        x = keys[i] ^ move_key
        x = (x ^ (x >> s30)) * multiplier_1
        x = (x ^ (x >> s27)) * multiplier_2
        x = (x ^ (x >> s31)) >> s32
        if x < move_threshold[row[i]]:
            moved[n_moved] = i
            to = 0
            while x >= move_limits[row[i], to]:
                to += 1
            moved_to[n_moved] = to
            n_moved += 1
        if until[i] == month + 1:
            due[n_due] = i
            n_due += 1
        # Entry 0 of a table is never below a draw; asking first costs more than drawing for nothing.
        x = keys[i] ^ side_key
        x = (x ^ (x >> s30)) * multiplier_1
        x = (x ^ (x >> s27)) * multiplier_2
        x = (x ^ (x >> s31)) >> s32
        if x < side_threshold[side_row[i]]:
            side[n_side] = i
            n_side += 1
        x = keys[i] ^ out_key
        x = (x ^ (x >> s30)) * multiplier_1
        x = (x ^ (x >> s27)) * multiplier_2
        x = (x ^ (x >> s31)) >> s32
        if x < out_threshold[out_row[i]]:
            out[n_out] = i
            n_out += 1
    return n_moved, n_side, n_out, n_due


@compiled
def renew(  # type: ignore[no-untyped-def]
    rows,
    month,
    births,
    sinces,
    phases,
    states,
    sexes,
    origins,
    roles,
    youth_dwellings,
    in_areas,
    frailties,
    side_hours,
    affecteds,
    row,
    until,
    side_row,
    out_row,
    age_classes,
    next_age,
    side_class,
    passes,
    then,
    cell,
    next_duration,
    side,
    out,
    first_row,
    never,
):
    """Find the table rows of ``rows`` in ``month``: ``places.renew_rows``, one resident at a time."""
    oldest = age_classes.shape[0] - 1
    longest = cell.shape[1] - 1
    for i in rows:
        birth = numba.int64(births[i])
        since = numba.int64(sinces[i])
        age = min(month - birth, oldest)
        elapsed = min(month - since, longest)
        phase = phases[i]
        if passes[phase] < elapsed:
            phase = then[phase]
            phases[i] = phase
        state = states[i]
        age_class = age_classes[age]
        row[i] = first_row[age_class, sexes[i], origins[i]] + cell[phase, elapsed]
        until[i] = min(next_duration[phase, elapsed] + since, next_age[age] + birth, never)
        held = 1 if side_hours[i] > 0 else 0
        affected = 1 if affecteds[i] else 0
        side_row[i] = side[state, side_class[age] + 1, held, frailties[i], affected]
        youth = 1 if youth_dwellings[i] else 0
        out_row[i] = out[roles[i], youth, age_class, state] if in_areas[i] else 0


@compiled
def move_in(  # type: ignore[no-untyped-def]
    month,
    first_row,
    share,
    lucks,
    moments,
    golden,
    multiplier_1,
    multiplier_2,
    luck,
    home_youth,
    home_dwelling,
    home_occupant,
    home_block,
    home_ids,
    slots,
    kind_first,
    kind_limits,
    cells,
    members,
    status_limits,
    education_limits,
    barrier_limits,
    over_five_years,
    within,
    longest_by_age,
    begins,
    five_years,
    school_years,
    none,
    phase_of,
    activated,
    state_of,
    has_past,
    past,
    past_longest,
    past_first,
    age_classes,
    side_kind,
    side_share,
    side_job_hours,
    small_limits,
    small_hours,
    ids,
    block,
    keys,
    birth,
    sex,
    origin,
    education,
    family,
    children,
    role,
    parents,
    barriers,
    frailty,
    state,
    phase,
    since,
    side_hours,
    dwelling,
    occupant,
    head,
    size,
    youth_dwelling,
):
    """Write a household for each home, all columns from entry 0 on, and return how many people they are.

    ``luck`` is room for the draws of one person.
    """
    s30 = numba.uint64(30)
    s27 = numba.uint64(27)
    s31 = numba.uint64(31)
    s11 = numba.uint64(11)
    unit = 2.0**-53
    oldest = age_classes.shape[0] - 1
    n = 0
    for home in range(home_ids.shape[0]):
        cell = 0
        many = 1
        member = 0
        while member < many:
            x = numba.uint64(home_ids[home] + member + 1) * golden
            x = (x ^ (x >> s30)) * multiplier_1
            x = (x ^ (x >> s27)) * multiplier_2
            x = x ^ (x >> s31) ^ lucks[home_block[home]]
            x = (x ^ (x >> s30)) * multiplier_1
            x = (x ^ (x >> s27)) * multiplier_2
            key = x ^ (x >> s31)
            for decision in range(moments.shape[0]):
                x = key ^ moments[decision]
                x = (x ^ (x >> s30)) * multiplier_1
                x = (x ^ (x >> s27)) * multiplier_2
                luck[decision] = numba.int64((x ^ (x >> s31)) >> s11) * unit
            if member == 0:
                kind = 1 if home_youth[home] else 0
                begin = kind_first[kind]
                last = kind_first[kind + 1] - 1
                slot = numba.int64(luck[0] * (slots.shape[1] - 1))
                near = kind_limits[begin + slots[kind, slot] : begin + slots[kind, slot + 1]]
                place = np.searchsorted(near, luck[0] * kind_limits[last], side="right")
                cell = min(begin + slots[kind, slot] + place, last)
                many = cells[cell, 1]
                if many == 0:
                    break
            known = members[cells[cell, 0] + member]
            years = numba.int64(known[3])

            status = 0
            for column in range(status_limits.shape[1] - 1):
                status += luck[1] >= status_limits[known[1], column]
            educated = 0
            for column in range(education_limits.shape[2] - 1):
                educated += luck[2] >= education_limits[known[0], status, column]
            burdened = none if years < school_years else status
            burden = 0
            for column in range(barrier_limits.shape[2] - 1):
                burden += luck[5] >= barrier_limits[burdened, known[2], column]

            age = max(years * 12 + numba.int64(12 * luck[4]), 1)
            now = phase_of[status]
            stratum = past_first[age_classes[min(age, oldest)], known[4], known[8]]
            if has_past[now]:
                among = stratum + now
                line = past[among * past_longest : (among + 1) * past_longest]
                months = min(np.searchsorted(line, luck[6] + among, side="right"), past_longest - 1)
            elif begins[status] > 0:
                months = age - begins[status] + 1
            else:
                longest = longest_by_age[age]
                over = over_five_years[known[0], status] if longest > five_years else 0.0
                if luck[3] < over:
                    months = 1 + five_years + numba.int64((longest - five_years) * (luck[3] / max(over, 1e-12)))
                else:
                    cut = min(longest, five_years) if over > 0 else longest
                    short = (luck[3] - over) / max(1 - over, 1e-12) * within[status, cut]
                    months = min(np.searchsorted(within[status], short, side="right"), cut)
            if luck[7] < share:
                now = activated[now]
            stands = state_of[now]
            often = 1 if luck[8] < 0.5 else 0
            hours = 0.0
            if side_kind[stands] == 1:
                if luck[9] < side_share[often, min(age, side_share.shape[1] - 1)]:
                    hours = side_job_hours
            elif side_kind[stands] == 2:
                hours = small_hours[np.searchsorted(small_limits, luck[9], side="right")]

            ids[n] = home_ids[home] + member
            block[n] = home_block[home]
            keys[n] = key
            birth[n] = month - age
            sex[n] = known[4]
            origin[n] = known[8]
            education[n] = educated
            family[n] = known[9]
            children[n] = known[10]
            role[n] = known[5]
            parents[n] = known[6]
            barriers[n] = burden
            frailty[n] = often
            state[n] = stands
            phase[n] = now
            since[n] = month - min(months, age)
            side_hours[n] = hours
            dwelling[n] = home_dwelling[home]
            occupant[n] = home_occupant[home]
            head[n] = first_row + n - member
            size[n] = many
            youth_dwelling[n] = known[7] != 0
            n += 1
            member += 1
    return n

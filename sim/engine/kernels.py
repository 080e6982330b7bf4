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

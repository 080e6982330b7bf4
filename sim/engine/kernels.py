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

    ``moved``: rows that leave their state, and where to; ``side``: rows whose side job starts or ends (and all whose
    limit is 1);
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


@compiled
def draw_bits(keys, rows, moment, subjects, multiplier_1, multiplier_2):  # type: ignore[no-untyped-def]
    """Return 64 random bits a row: ``Stream.bits``."""
    s30 = numba.uint64(30)
    s27 = numba.uint64(27)
    s31 = numba.uint64(31)
    found = np.empty(rows.shape[0], dtype=np.uint64)
    about = subjects.shape[0] > 0
    for i in range(rows.shape[0]):
        x = keys[rows[i]] ^ moment
        x = (x ^ (x >> s30)) * multiplier_1
        x = (x ^ (x >> s27)) * multiplier_2
        x = x ^ (x >> s31)
        if about:
            x = x ^ subjects[i]
            x = (x ^ (x >> s30)) * multiplier_1
            x = (x ^ (x >> s27)) * multiplier_2
            x = x ^ (x >> s31)
        found[i] = x
    return found


@compiled
def in_target_group(entries, month, youngest, oldest, member, allowed, packed):  # type: ignore[no-untyped-def]
    """Return whether each entry's resident belongs to its course's target group: ``entries.in_target_group``."""
    found = np.empty(entries.shape[1], dtype=np.bool_)
    for i in range(entries.shape[1]):
        course = entries[0, i]
        who = packed[entries[1, i]]
        born = numba.int64(who & numba.uint64(0xFFFF)) - 32768
        state = numba.int64(who >> numba.uint64(16)) & 0xFF
        group = numba.int64(who >> numba.uint64(24)) & 0xFF
        age = month - born
        of_age = age >= youngest[course] and age < oldest[course]
        here = (who >> numba.uint64(32)) & numba.uint64(1) != 0
        found[i] = of_age and member[course, state] and allowed[course, group] and here
    return found


@compiled
def reached_in(entries, wait, limit, ratio, top, last, never, birth):  # type: ignore[no-untyped-def]
    """Return when channels reach each entry's resident: ``entries.reached_in``."""
    found = np.empty(entries.shape[1], dtype=np.int16)
    for i in range(entries.shape[1]):
        course = entries[0, i]
        born = numba.int64(birth[entries[1, i]])
        at = entries[2, i] - born
        left = wait[i] / top[course]
        reached = numba.int64(never)
        for band in range(limit.shape[1]):
            months = limit[course, band] - at
            if months > 0:
                held = months * ratio[course, band]
                if left < held:
                    reached = at + born + numba.int64(left / ratio[course, band])
                    break
                left -= held
                at = limit[course, band]
        found[i] = never if reached > last[course] else reached
    return found


@compiled
def entering(  # type: ignore[no-untyped-def]
    rows,
    was,
    month,
    states,
    enters,
    groups,
    oldest,
    packed,
    pending,
    keys,
    subjects,
    moment,
    below,
    multiplier_1,
    multiplier_2,
    de_bruijn,
    power,
):
    """Let residents wait who have come into target groups: ``entries.entering``."""
    s11 = numba.uint64(11)
    s27 = numba.uint64(27)
    s30 = numba.uint64(30)
    s31 = numba.uint64(31)
    one = numba.uint64(1)
    unit = 2.0**-53
    found = np.empty((3, 1024), dtype=np.int64)
    draws = np.empty(1024)
    n = 0
    # First everything from memory, so that one resident need not wait for the other.
    persons = packed[rows]
    lucks = keys[rows]
    already = pending[rows]
    for i in range(rows.shape[0]):
        row = rows[i]
        who = persons[i]
        if (who >> numba.uint64(32)) & one == 0:
            continue
        age = month - (numba.int64(who & numba.uint64(0xFFFF)) - 32768)
        state = numba.int64(who >> numba.uint64(16)) & 0xFF
        group = numba.int64(who >> numba.uint64(24)) & 0xFF
        change = numba.int64(was[i]) * states + state
        person = lucks[i] ^ moment
        person = (person ^ (person >> s30)) * multiplier_1
        person = (person ^ (person >> s27)) * multiplier_2
        person = person ^ (person >> s31)
        for word in range(enters.shape[1]):
            left = enters[change, word] & groups[group, word] & ~already[i, word]
            waits = already[i, word]
            while left != 0:
                bit = left & (~left + one)
                left ^= bit
                course = 64 * word + power[(bit * de_bruijn) >> numba.uint64(58)]
                if age >= oldest[course]:
                    continue
                waits |= bit
                x = person ^ subjects[course]
                x = (x ^ (x >> s30)) * multiplier_1
                x = (x ^ (x >> s27)) * multiplier_2
                x = x ^ (x >> s31)
                draw = numba.int64(x >> s11) * unit
                if draw >= below[course]:
                    continue
                if n == found.shape[1]:
                    wider = np.empty((3, 2 * n), dtype=np.int64)
                    wider[:, :n] = found
                    found = wider
                    longer = np.empty(2 * n)
                    longer[:n] = draws
                    draws = longer
                found[0, n] = course
                found[1, n] = row
                found[2, n] = month
                draws[n] = draw
                n += 1
            pending[row, word] = waits
    return found[:, :n].copy(), draws[:n]


@compiled
def shifts_by_resident(  # type: ignore[no-untyped-def]
    month, rows, now, weight, past_course, past_row, past_month, dose, pool, during, after, fading, place
):
    """Return by how much courses shift the hazards of residents: ``entries.shifts_by_resident``."""
    hazards = during.shape[0]
    current = now.shape[1]
    total = current + dose.shape[0]
    given = np.empty((hazards, total))
    pools = np.empty(total, dtype=np.int64)
    # The entries of one resident form a chain, the first of them is the head.
    following = np.empty(total, dtype=np.int64)
    head = np.full(rows.shape[0], -1, dtype=np.int64)
    for k in range(rows.shape[0]):
        place[rows[k]] = k
    for i in range(total - 1, -1, -1):
        if i < current:
            course = now[0, i]
            k = place[now[1, i]]
            if k < 0:
                continue
            for h in range(hazards):
                given[h, i] = weight[i] * during[h, course]
        else:
            course = numba.int64(past_course[i - current])
            left = dose[i - current] * fading[course, month - past_month[i - current]]
            k = place[past_row[i - current]]
            if k < 0 or left == 0.0:
                continue
            for h in range(hazards):
                given[h, i] = left * after[h, course]
        pools[i] = pool[course]
        following[i] = head[k]
        head[k] = i
    sums = np.zeros((hazards, rows.shape[0]))
    for k in range(rows.shape[0]):
        place[rows[k]] = -1
        first = head[k]
        if first < 0:
            continue
        if following[first] < 0:
            for h in range(hazards):
                sums[h, k] = given[h, first]
            continue
        done = numba.int64(-1)
        while True:
            # The next pool of this resident.
            least = numba.int64(-1)
            i = first
            while i >= 0:
                if done < pools[i] and (least < 0 or pools[i] < least):
                    least = pools[i]
                i = following[i]
            if least < 0:
                break
            for h in range(hazards):
                strongest = 0.0
                i = first
                while i >= 0:
                    if pools[i] == least and abs(given[h, i]) > abs(strongest):
                        strongest = given[h, i]
                    i = following[i]
                sums[h, k] += strongest
            done = least
    return sums


@compiled
def endings(  # type: ignore[no-untyped-def]
    entries,
    enrolled,
    month,
    remain_youngest,
    remain_oldest,
    remain_member,
    remain_allowed,
    youngest,
    oldest,
    member,
    allowed,
    packed,
    keys,
    subjects,
    moment,
    multiplier_1,
    multiplier_2,
    duration,
    leave,
    patience,
    last,
    completed,
    closed,
    left_target_group,
    dropped_out,
    left_queue,
    gave_up,
    stays,
):
    """Return how each entry ends: ``entries.endings``."""
    s11 = numba.uint64(11)
    s27 = numba.uint64(27)
    s30 = numba.uint64(30)
    s31 = numba.uint64(31)
    unit = 2.0**-53
    # First everything from memory, so that one resident need not wait for the other.
    persons = packed[entries[1]]
    lucks = keys[entries[1, :enrolled]]
    found = np.empty(entries.shape[1], dtype=np.int64)
    for i in range(entries.shape[1]):
        course = entries[0, i]
        who = persons[i]
        months = month - entries[2, i]
        over = month > last[course]
        age = month - (numba.int64(who & numba.uint64(0xFFFF)) - 32768)
        state = numba.int64(who >> numba.uint64(16)) & 0xFF
        group = numba.int64(who >> numba.uint64(24)) & 0xFF
        inside = (who >> numba.uint64(32)) & numba.uint64(1) != 0
        found[i] = stays
        if i >= enrolled:
            inside = inside and age >= youngest[course] and age < oldest[course]
            inside = inside and member[course, state] and allowed[course, group]
            if over or not inside:
                found[i] = left_queue
            elif months > patience[course]:
                found[i] = gave_up
            continue
        inside = inside and age >= remain_youngest[course] and age < remain_oldest[course]
        inside = inside and remain_member[course, state] and remain_allowed[course, group]
        if months >= duration[course]:
            found[i] = completed
        elif over:
            found[i] = closed
        elif not inside:
            found[i] = left_target_group
        else:
            x = lucks[i] ^ moment
            x = (x ^ (x >> s30)) * multiplier_1
            x = (x ^ (x >> s27)) * multiplier_2
            x = x ^ (x >> s31) ^ subjects[course]
            x = (x ^ (x >> s30)) * multiplier_1
            x = (x ^ (x >> s27)) * multiplier_2
            x = x ^ (x >> s31)
            if numba.int64(x >> s11) * unit < leave[course]:
                found[i] = dropped_out
    return found


@compiled
def heard(  # type: ignore[no-untyped-def]
    entries,
    brought,
    month,
    youngest,
    oldest,
    member,
    allowed,
    hears,
    packed,
    limit,
    chance,
    keys,
    subjects,
    channel,
    says_yes,
    multiplier_1,
    multiplier_2,
    activity,
    before,
    status,
    new,
    handed,
    enrolled,
    take_up,
    pending,
):
    """Return who is referred, who says yes and who may be another time: ``entries.heard``."""
    s30 = numba.uint64(30)
    s27 = numba.uint64(27)
    s31 = numba.uint64(31)
    s11 = numba.uint64(11)
    one = numba.uint64(1)
    unit = 2.0**-53
    three = numba.uint64(3)
    all_three = numba.uint64(7)
    taken = numba.int64(7)
    can = np.empty(entries.shape[1], dtype=np.int64)
    yes = np.empty(entries.shape[1], dtype=np.bool_)
    again = np.empty(entries.shape[1], dtype=np.int64)
    n_can = 0
    n_again = 0
    # First everything from memory, so that one resident need not wait for the other.
    persons = packed[entries[1]]
    lucks = keys[entries[1]]
    stood = np.empty(entries.shape[1], dtype=np.uint64)
    for i in range(entries.shape[1]):
        stood[i] = status[entries[1, i], activity[entries[0, i]] // 21]
    # Where another entry can be of the same resident and activity: they must be asked who has been taken.
    shared = np.full(before.shape[0], brought > 0)
    known = np.zeros(before.shape[0], dtype=np.bool_)
    for kind in activity:
        shared[kind] |= known[kind]
        known[kind] = True
    for i in range(entries.shape[1]):
        course = entries[0, i]
        row = entries[1, i]
        who = persons[i]
        born = numba.int64(who & numba.uint64(0xFFFF)) - 32768
        state = numba.int64(who >> numba.uint64(16)) & 0xFF
        group = numba.int64(who >> numba.uint64(24)) & 0xFF
        age = month - born
        inside = (age >= youngest[course]) & (age < oldest[course]) & ((who >> numba.uint64(32)) & one != 0)
        inside &= member[course, state] & allowed[course, group] & (hears[course, state] | (i < brought))
        if not inside:
            if i >= brought:
                pending[row, course >> 6] &= ~(one << numba.uint64(course & 63))
            continue
        if i >= brought:
            band = 0
            for k in range(limit.shape[1] - 1):
                band += age >= limit[course, k]
            if chance[course, state, band] < 1.0:
                x = lucks[i] ^ channel
                x = (x ^ (x >> s30)) * multiplier_1
                x = (x ^ (x >> s27)) * multiplier_2
                x = x ^ (x >> s31) ^ subjects[course]
                x = (x ^ (x >> s30)) * multiplier_1
                x = (x ^ (x >> s27)) * multiplier_2
                x = x ^ (x >> s31)
                if numba.int64(x >> s11) * unit >= chance[course, state, band]:
                    again[n_again] = i
                    n_again += 1
                    continue
        kind = activity[course]
        word, place = kind // 21, three * numba.uint64(kind % 21)
        stand = numba.int64(((status[row, word] if shared[kind] else stood[i]) >> place) & all_three)
        free = stand in (new, taken)
        for k in range(before.shape[1]):
            other = before[kind, k]
            if other >= 0:
                apart = three * numba.uint64(other % 21)
                if numba.int64((status[row, other // 21] >> apart) & all_three) == enrolled:
                    free = False
        if free and stand == new:
            if shared[kind]:
                # Marked until the end, so that a later entry finds the resident taken.
                status[row, word] |= all_three << place
            can[n_can] = i
            x = lucks[i] ^ says_yes
            x = (x ^ (x >> s30)) * multiplier_1
            x = (x ^ (x >> s27)) * multiplier_2
            x = x ^ (x >> s31) ^ subjects[course]
            x = (x ^ (x >> s30)) * multiplier_1
            x = (x ^ (x >> s27)) * multiplier_2
            x = x ^ (x >> s31)
            yes[n_can] = numba.int64(x >> s11) * unit < take_up[numba.int64(who >> numba.uint64(40)), course]
            n_can += 1
        elif not free and i >= brought and stand in (new, taken, handed):
            again[n_again] = i
            n_again += 1
    for i in can[:n_can]:
        kind = activity[entries[0, i]]
        if shared[kind]:
            status[entries[1, i], kind // 21] &= ~(all_three << (three * numba.uint64(kind % 21)))
    return can[:n_can], yes[:n_can], again[:n_again]


@compiled
def admitted(group, free):  # type: ignore[no-untyped-def]
    """Return who gets a place: ``entries.admitted``."""
    left = free.copy()
    found = np.empty(group.shape[0], dtype=np.bool_)
    for i in range(group.shape[0]):
        found[i] = left[group[i]] > 0
        left[group[i]] -= found[i]
    return found


@compiled
def handed_to(  # type: ignore[no-untyped-def]
    entries,
    month,
    activity,
    first,
    last,
    before,
    follows,
    status,
    youngest,
    oldest,
    member,
    allowed,
    packed,
    new,
    handed,
    enrolled,
):
    """Return the course each entry is handed over to: ``entries.handed_to``."""
    three = numba.uint64(3)
    all_three = numba.uint64(7)
    found = np.full(entries.shape[1], -1, dtype=np.int64)
    for i in range(entries.shape[1]):
        row = entries[1, i]
        who = packed[row]
        born = numba.int64(who & numba.uint64(0xFFFF)) - 32768
        state = numba.int64(who >> numba.uint64(16)) & 0xFF
        group = numba.int64(who >> numba.uint64(24)) & 0xFF
        age = month - born
        here = (who >> numba.uint64(32)) & numba.uint64(1) != 0
        for k in range(follows.shape[1]):
            to = follows[activity[entries[0, i]], k]
            if to < 0 or month < first[to] or month > last[to]:
                continue
            word, place = activity[to] // 21, three * numba.uint64(activity[to] % 21)
            if numba.int64((status[row, word] >> place) & all_three) != new:
                continue
            of_age = age >= youngest[to] and age < oldest[to]
            if of_age and member[to, state] and allowed[to, group] and here:
                # Marked until the end, so that a later entry finds the resident taken.
                status[row, word] |= numba.uint64(handed) << place
                found[i] = to
                break
    for i in range(entries.shape[1]):
        if found[i] >= 0:
            kind = activity[found[i]]
            status[entries[1, i], kind // 21] &= ~(all_three << (three * numba.uint64(kind % 21)))
    return found


@compiled
def stand(status, row, activity, code):  # type: ignore[no-untyped-def]
    """Let residents stand with activities as the codes say: ``entries.stand``."""
    for i in range(row.shape[0]):
        word, place = activity[i] // 21, numba.uint64(3) * numba.uint64(activity[i] % 21)
        others = status[row[i], word] & ~(numba.uint64(7) << place)
        status[row[i], word] = others | (numba.uint64(code[i]) << place)


@compiled
def pay(paid, hours, side_row, weeks, held, growth, most):  # type: ignore[no-untyped-def]
    """Add a month of hours, and let small jobs grow: ``pay.pay``."""
    # Two loops: the first has no branch to foresee.
    for i in range(paid.shape[0]):
        paid[i] += hours[i] * weeks
    for i in range(paid.shape[0]):
        if side_row[i] == held and hours[i] > 0:
            hours[i] = min(hours[i] + growth, most)

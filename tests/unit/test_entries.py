"""What courses look up at once: the compiled engine gives the bytes of the numpy one, whoever and whatever is asked."""

from __future__ import annotations

import numpy as np
import pytest

from sim.activities.reach import Waits
from sim.engine.entries import (
    Chances,
    Effects,
    Ends,
    Entrances,
    Former,
    Luck,
    Queues,
    Reach,
    Stands,
    Target,
    Terms,
    Who,
    admitted,
    as_bits,
    endings,
    entering,
    handed_to,
    heard,
    in_target_group,
    now_in,
    packed,
    put,
    reached_in,
    room_for,
    shifts_by_resident,
    stand,
    standing,
)
from sim.engine.pay import SmallJobs, pay
from sim.engine.streams import Stream, mix

COURSES, ACTIVITIES, RESIDENTS, ENTRIES, MONTH, STATES, HAZARDS = 6, 4, 120, 400, 30, 5, 3
STANDS = Stands(new=0, handed=1, enrolled=3)
ENDS = Ends(*range(len(Ends._fields)))


class Case:
    """Courses, residents and entries drawn at random, few enough residents that many stand there twice."""

    def __init__(self, seed: int) -> None:
        luck = np.random.default_rng(seed)
        young = luck.integers(120, 200, COURSES)
        self.luck = luck
        member, allowed = luck.random((COURSES, STATES)) < 0.7, luck.random((COURSES, 4)) < 0.8
        self.target = Target(young, young + luck.integers(6, 90, COURSES), member, allowed)
        columns = (
            luck.integers(-260, -100, RESIDENTS).astype(np.int16),
            luck.integers(0, STATES, RESIDENTS).astype(np.uint8),
            luck.integers(0, 4, RESIDENTS).astype(np.uint8),
            luck.random(RESIDENTS) < 0.9,
            luck.integers(0, 4, RESIDENTS).astype(np.uint8),
        )
        birth, state, group, in_area, traits = columns
        self.columns = columns
        self.numbers = now_in(packed(birth, group, traits), state, in_area)
        self.keys = luck.integers(0, 1 << 63, RESIDENTS).astype(np.uint64)
        first = luck.integers(0, MONTH + 2, COURSES)
        last = luck.integers(MONTH - 2, MONTH + 30, COURSES)
        pools = np.array([0, 1, 1, 3, 3, 3])
        follows = np.array([[1, 2], [3, 4], [5, -1], [-1, -1]])
        before = np.array([[-1, -1], [0, -1], [1, 0], [2, -1]])
        self.queues = Queues(np.array([0, 1, 1, 2, 2, 3]), first, last, before, follows)
        self.terms = Terms(
            luck.integers(2, 9, COURSES).astype(float), luck.random(COURSES) / 3, np.full(COURSES, 4.0), last
        )
        during, after = luck.normal(size=(2, HAZARDS, COURSES))
        self.effects = Effects(pools, during, after, np.tile(0.5 ** np.arange(60.0), (COURSES, 1)))
        self.effects.fading[:, 9:] = 0.0
        self.status = luck.integers(0, 6, (RESIDENTS, ACTIVITIES)).astype(np.uint8)
        self.status[luck.random(self.status.shape) < 0.5] = STANDS.new
        self.who = self.known(np.zeros((RESIDENTS, COURSES), dtype=bool))
        limit = np.sort(luck.integers(100, 300, (COURSES, 5)), axis=1)
        ratio = np.where(luck.random((COURSES, 5)) < 0.3, 0.0, luck.random((COURSES, 5)))
        self.reach = Reach(limit, ratio, luck.random(COURSES) / 10, last, 30_000)
        self.entries = self.some(ENTRIES)

    def some(self, number: int) -> np.ndarray:
        """Return entries of the past ten months."""
        course, row = self.luck.integers(0, [[COURSES], [RESIDENTS]], (2, number))
        return np.stack([course, row, MONTH - self.luck.integers(0, 11, number)])

    def draws(self, moment: int) -> Luck:
        """Return what draws of a decision are made of."""
        return Luck(self.luck.integers(0, 1 << 63, COURSES).astype(np.uint64), np.uint64(moment))

    def draw(self, luck: Luck, row: int, course: int) -> float:
        """Return the draw of one resident about one course."""
        bits = mix(mix(self.who.keys[[row]] ^ luck.moment) ^ luck.subjects[[course]])
        return float((bits[0] >> np.uint64(11)) * 2.0**-53)

    def known(self, waits: np.ndarray) -> Who:
        """Return the residents, some of whom wait for some courses, in a place of their own."""
        _, (numbers, keys, pending, status) = room_for(RESIDENTS, COURSES, ACTIVITIES)
        numbers[:], keys[:], pending[:] = self.numbers, self.keys, as_bits(waits)
        row, activity = np.indices(self.status.shape).reshape(2, -1)
        stand("numpy", status, row, activity, self.status.ravel())
        return Who(*self.columns, numbers, keys, pending, status)

    def pending(self, waits: np.ndarray) -> dict[str, Who]:
        """Return the residents, a copy for each engine, some of whom wait for some courses."""
        return {engine: self.known(waits) for engine in ("numpy", "numba")}

    def former(self) -> Former:
        """Return entries that ended, some of them long ago."""
        course, row, month = self.some(ENTRIES)
        return Former(course.astype(np.int16), row.astype(np.int32), month.astype(np.int16), self.luck.random(ENTRIES))


@pytest.fixture(params=range(12))
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def both(function: object, *arguments: object) -> tuple[np.ndarray, np.ndarray]:
    """Return the answers of the two engines."""
    numpy, numba = (function(engine, *arguments) for engine in ("numpy", "numba"))  # type: ignore[operator]
    return numpy, numba


def test_target_group(case: Case) -> None:
    numpy, numba = both(in_target_group, case.entries, MONTH, case.target, case.who)
    assert numpy.tolist() == numba.tolist()
    assert 0 < numpy.sum() < ENTRIES
    first = np.flatnonzero(numpy)[0]
    course, row, _ = case.entries[:, first]
    assert case.target.youngest[course] <= MONTH - case.who.birth[row] < case.target.oldest[course]


def test_month_reached(case: Case) -> None:
    wait = case.luck.exponential(size=ENTRIES)
    numpy, numba = both(reached_in, case.entries, wait, case.reach, case.who.birth)
    assert numpy.dtype == numba.dtype == np.int16
    assert numpy.tolist() == numba.tolist()
    assert (numpy == case.reach.never).any()
    assert (numpy < case.reach.never).any()


def test_the_month_reached_is_where_the_hazards_add_up(case: Case) -> None:
    """Month by month, as the definition says: the first month in which the sum passes the wait."""
    wait = case.luck.exponential(size=60)
    entries = case.entries[:, :60]
    found = reached_in("numpy", entries, wait, case.reach, case.who.birth)
    for (course, row, begin), left, month in zip(entries.T, wait, found, strict=True):
        limit, ratio = case.reach.limit[course], case.reach.ratio[course]
        expected, now = case.reach.never, int(begin)
        while now <= case.reach.last[course]:
            band = int(np.searchsorted(limit, now - case.who.birth[row], side="right"))
            left -= (ratio[band] if band < len(ratio) else 0.0) * case.reach.top[course]
            if left < -1e-9:
                expected = now
                break
            now += 1
        assert month == expected


def test_bits_say_what_the_mask_says(case: Case) -> None:
    mask = case.luck.random((RESIDENTS, 150)) < 0.5
    bits = as_bits(mask)
    assert bits.shape == (RESIDENTS, 3)
    row, column = case.luck.integers(0, [[RESIDENTS], [150]], (2, 500))
    for value in (True, False):
        mask[row, column] = value
        put(bits, row, column, value)
        assert bits.tolist() == as_bits(mask).tolist()


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_residents_stand_where_they_were_told_to(engine: str) -> None:
    luck = np.random.default_rng(5)
    _, (*_, status) = room_for(50, 3, 70)
    expected = np.zeros((50, 70), dtype=np.uint8)
    assert status.shape == (50, 4)
    for _ in range(20):
        cell = luck.choice(50 * 70, 300, replace=False)
        row, activity, codes = cell // 70, cell % 70, luck.integers(0, 7, 300).astype(np.uint8)
        stand(engine, status, row, activity, codes)
        expected[row, activity] = codes
    assert standing(status, *np.indices(expected.shape)).tolist() == expected.tolist()
    assert standing(status, slice(None), 69).tolist() == expected[:, 69].tolist()


def test_what_is_known_of_a_resident_is_one_line_of_the_cache() -> None:
    held, columns = room_for(100, 70, 70)
    assert held.shape == (100, 8)
    assert held.ctypes.data % 64 == 0
    assert all(np.shares_memory(held, column) for column in columns)


def test_who_enters_a_target_group(case: Case) -> None:
    rows = np.sort(case.luck.choice(RESIDENTS, 80, replace=False))
    before = case.luck.integers(0, STATES + 1, 80).astype(np.uint8)
    before[before == STATES] = 255
    runs, waits = case.luck.random(COURSES) < 0.8, case.luck.random((RESIDENTS, COURSES)) < 0.2
    entrances = Entrances.of(case.target.member & runs[:, None], case.target.allowed)
    draws, below = case.draws(11), np.where(case.luck.random(COURSES) < 0.3, 1.0, case.luck.random(COURSES))
    pending = case.pending(waits)
    found = {
        engine: entering(engine, rows, before, MONTH, entrances, case.target.oldest, who, draws, below)
        for engine, who in pending.items()
    }
    for of_numpy, of_numba in zip(*found.values(), strict=True):
        assert of_numpy.dtype == of_numba.dtype
        assert of_numpy.tolist() == of_numba.tolist()
    assert pending["numpy"].pending.tolist() == pending["numba"].pending.tolist()
    expected = waits.copy()
    for row, was in zip(rows, before, strict=True):
        for course in np.flatnonzero(runs):
            member = case.target.member[course]
            suits = case.target.allowed[course, case.who.group[row]] and case.who.in_area[row]
            young = MONTH - case.who.birth[row] < case.target.oldest[course]
            came = member[case.who.state[row]] and not (was < STATES and member[was])
            expected[row, course] |= suits and young and came
    assert pending["numpy"].pending.tolist() == as_bits(expected).tolist()
    entries, luck = found["numpy"]
    new = expected & ~waits
    lucky = [case.draw(draws, row, course) < below[course] for row, course in np.argwhere(new)]
    soon = {(course, row, MONTH) for row, course in np.argwhere(new)[lucky].tolist()}
    assert set(map(tuple, entries.T.tolist())) == soon
    assert 0 < len(soon) == entries.shape[1] < new.sum()
    assert (luck < below[entries[0]]).all()


def test_endings(case: Case) -> None:
    member = case.target.member | (case.luck.random(case.target.member.shape) < 0.5)
    remains = case.target._replace(oldest=case.target.oldest + 24, member=member)
    draws = case.draws(3)
    numpy, numba = both(endings, case.entries, 250, MONTH, remains, case.target, case.who, draws, case.terms, ENDS)
    assert numpy.tolist() == numba.tolist()
    assert set(numpy[:250]) <= set(ENDS[:4]) | {ENDS.stays}
    assert set(numpy[250:]) <= set(ENDS[4:])
    assert (numpy[250:] == ENDS.left_queue).any()
    dropped = np.flatnonzero(numpy == ENDS.dropped_out)
    kept = np.flatnonzero(numpy[:250] == ENDS.stays)
    assert len(kept) > 0
    for at in dropped:
        assert case.draw(draws, case.entries[1, at], case.entries[0, at]) < case.terms.leave[case.entries[0, at]]
    for at in kept:
        assert case.draw(draws, case.entries[1, at], case.entries[0, at]) >= case.terms.leave[case.entries[0, at]]


def test_who_is_referred_says_yes_or_is_asked_again(case: Case) -> None:
    luck = case.luck
    hears = case.target.member & (luck.random(case.target.member.shape) < 0.7)
    chance = np.where(luck.random((COURSES, STATES, 5)) < 0.5, 1.0, luck.random((COURSES, STATES, 5)))
    draws, says_yes = case.draws(5), np.uint64(77)
    take_up = luck.random((4, COURSES))
    chances = Chances(case.reach.limit, chance)
    waits = luck.random((RESIDENTS, COURSES)) < 0.5
    pending = case.pending(waits)
    more = (chances, draws, says_yes, case.queues, STANDS, take_up)
    numpy, numba = (
        heard(engine, case.entries, 40, MONTH, case.target, hears, who, *more) for engine, who in pending.items()
    )
    assert [part.tolist() for part in numpy] == [part.tolist() for part in numba]
    by_channel = case.entries[:, 40:]
    inside = in_target_group("numpy", by_channel, MONTH, case.target, case.who)
    course, row, _ = by_channel[:, ~(inside & hears[by_channel[0], case.who.state[by_channel[1]]])]
    waits[row, course] = False
    assert {tuple(who.pending[:, 0].tolist()) for who in pending.values()} == {tuple(as_bits(waits)[:, 0].tolist())}
    everybody, every = np.indices(case.status.shape)
    for who in pending.values():
        assert standing(who.status, everybody, every).tolist() == case.status.tolist()
    can, yes, again = numpy
    course, row, _ = case.entries
    keys = row[can] * ACTIVITIES + case.queues.activity[course[can]]
    assert len(can) == len(set(keys.tolist()))
    assert 0 < yes.sum() < len(can)
    assert len(again) > 0
    assert again.min() >= 40
    assert not set(can.tolist()) & set(again.tolist())
    by_channel = can[can >= 40]
    assert hears[course[by_channel], case.who.state[row[by_channel]]].all()
    inside = in_target_group("numpy", case.entries, MONTH, case.target, case.who)
    assert inside[can].all()
    assert inside[again].all()


def test_handing_over(case: Case) -> None:
    numpy, numba = both(handed_to, case.entries, MONTH, case.queues, case.target, case.who, STANDS)
    assert numpy.tolist() == numba.tolist()
    assert standing(case.who.status, *np.indices(case.status.shape)).tolist() == case.status.tolist()
    taken = np.flatnonzero(numpy >= 0)
    keys = case.entries[1, taken] * ACTIVITIES + case.queues.activity[numpy[taken]]
    assert len(keys) == len(set(keys.tolist())) > 0
    leads_to = case.queues.follows[case.queues.activity[case.entries[0, taken]]]
    assert (leads_to == numpy[taken, None]).any(axis=1).all()


def test_places_go_to_the_head_of_the_queue(case: Case) -> None:
    group, free = case.entries[0], case.luck.integers(-2, 30, COURSES)
    numpy, numba = both(admitted, group, free)
    assert numpy.tolist() == numba.tolist()
    for course in range(COURSES):
        mine = numpy[group == course]
        assert mine.sum() == min(max(free[course], 0), len(mine))
        assert mine[: mine.sum()].all()


def test_shifts_of_a_pool_count_once_and_others_add_up(case: Case) -> None:
    rows = np.sort(case.luck.choice(RESIDENTS, 90, replace=False))
    place = np.full(RESIDENTS, -1, dtype=np.int32)
    now, weight, former = case.some(60)[:2], case.luck.random(60), case.former()
    numpy, numba = both(shifts_by_resident, MONTH, rows, now, weight, former, case.effects, place)
    assert numpy.tobytes() == numba.tobytes()
    assert (place == -1).all()
    for way in range(HAZARDS):
        for k in range(0, 90, 7):
            strongest: dict[int, float] = {}
            mine = [
                (c, w * case.effects.during[way, c]) for (c, r), w in zip(now.T, weight, strict=True) if r == rows[k]
            ]
            mine += [
                (c, dose * case.effects.fading[c, MONTH - month] * case.effects.after[way, c])
                for c, r, month, dose in zip(*former, strict=True)
                if r == rows[k]
            ]
            for course, shift in mine:
                pool = int(case.effects.pool[course])
                strongest[pool] = max(strongest.get(pool, 0.0), shift, key=abs)
            # Sums of at most four numbers of size 1: rounding is far below 1e-12.
            assert numpy[way, k] == pytest.approx(sum(strongest.values()), abs=1e-12)


def test_draws_are_those_of_the_numpy_engine(case: Case) -> None:
    numpy, numba = (Stream(3, range(2), 500, engine=engine) for engine in ("numpy", "numba"))
    rows = case.luck.integers(0, 1000, 300)
    about = case.luck.integers(0, 1 << 62, 300).astype(np.uint64)
    for subject in (None, about):
        assert numpy.bits("move", 7, rows, 1, subject).tolist() == numba.bits("move", 7, rows, 1, subject).tolist()


def test_pay_and_growth(case: Case) -> None:
    hours = np.where(case.luck.random(RESIDENTS) < 0.5, 0, case.luck.random(RESIDENTS) * 20).astype(np.float32)
    side_row = case.luck.integers(28, 31, RESIDENTS).astype(np.uint8)
    small = SmallJobs(30, np.float32(0.7), np.float32(15))
    found = []
    for engine in ("numpy", "numba"):
        paid, held = np.ones(RESIDENTS, dtype=np.float32), hours.copy()
        pay(engine, paid, held, side_row, small)
        found.append(paid.tobytes() + held.tobytes())
    assert found[0] == found[1]
    grown = (side_row == 30) & (hours > 0)
    assert held[grown] == pytest.approx(np.minimum(hours[grown] + 0.7, 15))
    assert (held[~grown] == hours[~grown]).all()


def test_waits_come_out_in_their_month_in_the_order_they_were_added() -> None:
    luck, waits, expected = np.random.default_rng(3), Waits(), []
    for number in (0, 5, 400, 60):
        month, course, row = luck.integers(0, [[12 + number // 20], [6], [1000]], (3, number))
        waits.add(month.astype(np.int16), course, row)
        expected += zip(month.tolist(), course.tolist(), row.tolist(), strict=True)
    for of in range(40):
        assert waits.over(of).T.tolist() == [[course, row] for month, course, row in expected if month == of]

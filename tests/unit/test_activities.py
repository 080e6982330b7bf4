"""Pocket-money jobs, leisure jobs and the bridge between them: who is referred, handed over, lost, paid."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from sim import AreaModel, Scenario
from sim.activities import catalogue
from sim.activities.base import PARENT_TRANSFER, SELECTION_AGE, TRAITS
from sim.activities.programme import Course, Programme
from sim.engine.streams import Stream
from sim.sources import rows
from sim.states import CODE, ORIGINS, SEXES

Live = Callable[..., AreaModel]
MONTHS = 36


@pytest.fixture(scope="module")
def pocket() -> Scenario:
    """Pocket-money jobs alone, in an area without other luck than referral: many places, nobody drops out."""
    read = Scenario.read("pocket_money_jobs", ["population.residents=3000", f"horizon.months={MONTHS}"])
    return read.with_activity("pocket_money_job", places=60, take_up=0.6, effect_start_after=0.7)


@pytest.fixture(scope="module")
def chain(pocket: Scenario) -> Scenario:
    """The same with a leisure-job scheme that hears of youths by the bridge only, and takes all it hears of."""
    roomy = pocket.with_activity("pocket_money_job", bridge_probability=1.0)
    return roomy.with_activity(
        "leisure_job", activity="leisure_job", places=500, reach_school=0.0, reach_word_of_mouth=0.0
    )


def course_of(model: AreaModel, id: str) -> Course:
    (course,) = (course for course in model.courses if course.plan.id == id)
    return course


def when(course: Course) -> dict[str, dict[int, int]]:
    """Return, by event, the month it happened to each row; nothing happens twice to anybody."""
    found: dict[str, dict[int, int]] = {}
    for event, month, happened in course.events():
        for row in happened.tolist():
            assert row not in found.setdefault(event, {})
            found[event][row] = month
    return found


ENDS = ("completed", "left_target_group", "closed", "dropped_out")


def ended(course: Course, *events: str) -> dict[int, int]:
    return {row: month for event in events or ENDS for row, month in when(course).get(event, {}).items()}


# --- cards


@pytest.mark.parametrize("key", ["pocket_money_job", "leisure_job"])
def test_the_selection_is_the_printed_one(key: str) -> None:
    """Ratios of odds (traits) or of shares (ages) of participants to comparison, rounded to three decimals."""
    found = 0
    for id, card in catalogue()[key].parameters.items():
        if not id.startswith("selection_") or card.grade == "D":
            continue
        p, q = (float(rows("targets")[source]["value"]) for source in card.source[:2])
        assert card.source[0].endswith("_participants")
        assert card.source[1].endswith("_comparison")
        ratio = p / q if id.startswith(SELECTION_AGE) else p / (1 - p) / (q / (1 - q))
        assert card.value == pytest.approx(ratio, abs=0.0006), id
        low, high = card.range
        assert low < card.value < high
        found += 1
    assert found >= 8


def test_every_selection_parameter_is_read() -> None:
    for activity in catalogue().values():
        for id in activity.parameters:
            if id.startswith("selection_"):
                assert id in TRAITS or id.removeprefix(SELECTION_AGE).isdecimal(), id


def test_both_activities_share_the_cards_of_the_pooled_effect() -> None:
    pocket_money, leisure = (catalogue()[key] for key in ("pocket_money_job", "leisure_job"))
    effects = [id for id in leisure.parameters if id.startswith("effect_")]
    assert len(effects) == 4
    for id in [*effects, "half_life_months"]:
        assert pocket_money.parameters[id] == leisure.parameters[id]
    assert pocket_money.pool == leisure.pool != ""
    assert (pocket_money.follow_on[0], leisure.follow_on) == ("leisure_job", ("mentor",))


# --- the gap before 15


@pytest.mark.parametrize("gap", [0, 13.5, 15])
def test_a_job_that_ends_before_the_gap_age_leaves_nothing(live: Live, pocket: Scenario, gap: float) -> None:
    model = live(pocket.with_activity("pocket_money_job", gap_age=gap), replicate=range(3))
    (course,) = model.courses
    over = ended(course)
    birth = model.population.birth.astype(int)
    kept = {row for row, month in over.items() if month - birth[row] >= 12 * gap}
    shifts = course.shifts(model.month)
    enrolled = set(when(course)["enrolled"]) - set(over)
    assert set(shifts.rows.tolist()) == kept | enrolled
    ages = {month - birth[row] for row, month in over.items()}
    assert gap == 0 or {12 * gap - 1, 12 * gap} <= ages, "the month itself is tried"
    assert len(kept) > 30
    assert (gap > 0) == (len(over) > len(kept))
    assert all(when(course).get(event) for event in ("completed", "dropped_out", "left_target_group"))


def test_the_lost_draw_as_if_they_had_never_been_there(live: Live, pocket: Scenario) -> None:
    """With effects afterwards only, and all ages before the gap, nobody's life is changed."""
    lost = pocket.with_activity("pocket_money_job", gap_age=30, effect_start_during=0.0, effect_start_after=2.0)
    with_it, without = live(lost), live(lost.without_activity("pocket_money_job"))
    assert len(ended(with_it.courses[0])) > 50
    assert with_it.population.side_hours.tobytes() == without.population.side_hours.tobytes()
    kept = live(lost.with_activity("pocket_money_job", gap_age=0))
    assert kept.population.side_hours.tobytes() != without.population.side_hours.tobytes()


# --- the bridge


def test_who_ends_is_in_the_next_queue_a_month_later(chain: Scenario) -> None:
    """Reach is nil, so all of the scheme's people come over the bridge: each who may, and nobody else."""
    model = AreaModel(chain)
    expected: dict[int, int] = {}
    free: list[np.ndarray] = []
    for _ in range(chain.months):
        people = model.population
        free.append(people.in_area & np.isin(people.state, [CODE["basic_school"], CODE["in_education"]]))
        model.step()
    first = course_of(model, "pocket_money_job")
    then = when(course_of(model, "leisure_job"))
    birth = model.population.birth.astype(int)
    for row, month in ended(first, "completed", "closed", "left_target_group").items():
        if month < chain.months and month + 1 - birth[row] >= 13 * 12 and free[month - 1][row] and free[month][row]:
            expected[row] = month + 1
    assert expected == then["referred"]
    assert then["queued"] == then["referred"]
    assert then["enrolled"] == then["referred"], "there is room"
    assert len(then["referred"]) > 40
    assert min(month - birth[row] for row, month in then["referred"].items()) >= 13 * 12
    assert not set(then["referred"]) & set(ended(first, "dropped_out"))


def test_a_bridge_keeps_what_was_learnt_before_the_gap_age(live: Live, chain: Scenario) -> None:
    model = live(chain.with_activity("leisure_job", places=0))
    first, then = course_of(model, "pocket_money_job"), course_of(model, "leisure_job")
    birth = model.population.birth.astype(int)
    young = {row for row, month in ended(first).items() if month - birth[row] < 15 * 12}
    bridged = young & set(when(then)["referred"])
    kept = set(first.shifts(model.month).rows.tolist()) & young
    assert len(bridged) > 10
    assert bridged <= kept
    still_to_queue = {row for row, month in ended(first).items() if month == model.month}
    found_a_job = kept - bridged - still_to_queue
    assert len(found_a_job) <= len(kept) / 4
    assert young - kept


@pytest.mark.parametrize(
    "change",
    [{"bridge_probability": 0.0}, {"places": 0}],
    ids=["nobody is handed over", "nobody ends"],
)
def test_without_a_bridge_nobody_comes(live: Live, chain: Scenario, change: dict[str, float]) -> None:
    model = live(chain.with_activity("pocket_money_job", **change))
    assert not any(when(course_of(model, "leisure_job")).values())


def test_the_bridge_is_open_only_while_the_scheme_is(live: Live, chain: Scenario) -> None:
    model = live(chain.with_activity("leisure_job", start="2013-03", end="2013-09"))
    months = set(when(course_of(model, "leisure_job"))["referred"].values())
    assert months
    assert (min(months), max(months)) == (15, 21)


def test_the_share_handed_over_is_the_bridge_probability(live: Live, chain: Scenario) -> None:
    """Of those the scheme takes at probability 1, a binomial share is taken at 0.3: within 3 standard errors."""
    roomy = chain.with_activity("pocket_money_job", places=200)
    found = []
    for probability in (1.0, 0.3):
        model = live(roomy.with_activity("pocket_money_job", bridge_probability=probability), replicate=range(4))
        found.append(set(when(course_of(model, "leisure_job"))["referred"]))
    sure, some = found
    assert some <= sure
    assert len(sure) > 150
    assert abs(len(some) / len(sure) - 0.3) < 3 * np.sqrt(0.3 * 0.7 / len(sure))


def test_nobody_is_referred_while_in_the_job_before(chain: Scenario) -> None:
    model = AreaModel(chain.with_activity("leisure_job", reach_school=20.0))
    first, then = course_of(model, "pocket_money_job"), course_of(model, "leisure_job")
    for _ in range(chain.months):
        model.step()
    entered, left = when(first)["enrolled"], ended(first)
    caught = 0
    for row, month in when(then)["referred"].items():
        if row in entered:
            assert month <= entered[row] or month > left.get(row, model.month)
            caught += month > entered[row]
    assert caught > 10


def test_bridge_and_order_in_the_file(live: Live, chain: Scenario) -> None:
    back = Scenario.from_resolved({**chain.resolved(), "activities": chain.resolved()["activities"][::-1]})
    assert [plan.id for plan in back.activities] == [plan.id for plan in chain.activities][::-1]
    one, other = live(chain), live(back)
    assert one.ledger.table().tobytes() == other.ledger.table().tobytes()
    for id in ("pocket_money_job", "leisure_job"):
        assert when(course_of(one, id)) == when(course_of(other, id))


def test_two_schemes_share_the_handed_over_without_taking_anybody_twice(live: Live, chain: Scenario) -> None:
    early = chain.with_activity("leisure_job", end="2013-06")
    item = dict.fromkeys(("reach_school", "reach_word_of_mouth"), 0.0)
    both = early.with_activity("second", activity="leisure_job", places=500, start="2013-02", **item)
    model = live(both)
    one, two = (when(course_of(model, id))["referred"] for id in ("leisure_job", "second"))
    assert one
    assert two
    assert not set(one) & set(two)
    assert min(two.values()) > max(one.values()), "the first that is open takes them"


def test_the_pooled_effect_counts_once(live: Live, chain: Scenario) -> None:
    """Former pocket-money workers in the leisure-job scheme get the stronger of the two shifts, not the sum."""
    model = live(chain)
    strong = {id: course_of(model, id).shifts(model.month) for id in ("pocket_money_job", "leisure_job")}
    both = np.intersect1d(*(shifts.rows for shifts in strong.values()))
    assert len(both) > 20
    everybody = np.arange(len(model.population))
    # Newcomers of the last month are known from the next one on, or as soon as they are asked for.
    assert not model._programme.unserved(model.population)[-1]
    start, end = model._programme.shifts(model.month, everybody)[:2]
    expected = np.zeros(len(everybody))
    for shifts in strong.values():
        expected[shifts.rows] = np.maximum(expected[shifts.rows], shifts.start)
    np.testing.assert_array_equal(start, expected)
    assert not end.any()
    part = both[::2]
    np.testing.assert_array_equal(model._programme.shifts(model.month, part)[0], start[part])


# --- the project's wage


def test_hours_paid_by_the_project_count_when_switched_on(live: Live, pocket: Scenario) -> None:
    quiet = pocket.with_activity("pocket_money_job", effect_start_during=0.0, effect_start_after=0.0)
    off = live(quiet, replicate=range(2))
    on = live(quiet.with_activity("pocket_money_job", project_wage_counts=1, project_hours=2.5), replicate=range(2))
    base = live(quiet.without_activity("pocket_money_job"), replicate=range(2))
    assert off.population.paid_hours.tobytes() == base.population.paid_hours.tobytes()
    (course,) = on.courses
    enrolled, over = when(course)["enrolled"], ended(course)
    months = np.zeros(len(on.population))
    for row, month in enrolled.items():
        months[row] = max(over.get(row, MONTHS + 1) - max(month, MONTHS - 12 + 1), 0)
    extra = on.population.paid_hours - off.population.paid_hours
    np.testing.assert_allclose(extra, months * 2.5 * 52 / 12, atol=1e-3)
    assert (months == 9).any()


def test_a_side_job_keeps_nobody_out_and_is_kept(pocket: Scenario) -> None:
    """Who has one is referred and enrolled like anybody, and enrolling takes it from nobody."""
    model = AreaModel(pocket.with_activity("pocket_money_job", reach_school=20.0, start="2012-01"))
    (course,) = model.courses
    people = model.population
    entered_with = kept = 0
    for _ in range(12):
        held = set(np.flatnonzero(people.side_hours > 0).tolist())
        model.step()
        entered = {row for row, month in when(course)["enrolled"].items() if month == model.month}
        entered_with += len(entered & held)
        kept += len(entered & held & set(np.flatnonzero(people.side_hours > 0).tolist()))
    assert entered_with > 5
    # A job ends with a chance of some per cent a month, whoever holds it.
    assert kept > 0.7 * entered_with


# --- selection


@pytest.fixture(scope="module")
def picked() -> dict[str, AreaModel]:
    """A big area with room for everybody, each activity for two years."""
    scenario = Scenario.read("baseline", ["population.residents=150000", "horizon.months=24"])
    found = {}
    for key in ("pocket_money_job", "leisure_job"):
        model = AreaModel(scenario.with_activity(key, activity=key, places=100_000))
        for _ in range(24):
            model.step()
        found[key] = model
    return found


def composition(model: AreaModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows enrolled, their age in years on entry, and the other rows of the target group at half-time."""
    (course,) = model.courses
    entered = when(course)["enrolled"]
    people = model.population
    values = course.plan.values
    taken = np.array(sorted(entered))
    age = (np.array([entered[row] for row in taken]) - people.birth[taken]) // 12
    halfway = (12 - people.birth.astype(int)) // 12
    peers = np.isin(people.state, [CODE["basic_school"], CODE["in_education"]])
    peers &= (halfway >= values["age_from"]) & (halfway <= values["age_to"])
    return taken, age, np.setdiff1d(np.flatnonzero(peers), taken)


def common_odds_ratio(has: np.ndarray, yes: np.ndarray, stratum: np.ndarray) -> tuple[float, float]:
    """Return the Mantel-Haenszel logarithm of the odds ratio of ``yes`` given ``has``, and its standard error.

    The error is that of Robins, Breslow and Greenland.
    """
    a, b, c, d = (
        np.bincount(stratum[(has == h) & (yes == y)], minlength=stratum.max() + 1).astype(float)
        for h in (True, False)
        for y in (True, False)
    )
    n = np.maximum(a + b + c + d, 1)
    p, q, r, s = (a + d) / n, (b + c) / n, a * d / n, b * c / n
    variance = (p * r).sum() / r.sum() ** 2 + (p * s + q * r).sum() / (r.sum() * s.sum()) + (q * s).sum() / s.sum() ** 2
    return float(np.log(r.sum() / s.sum())), float(np.sqrt(variance / 2))


@pytest.mark.parametrize("key", ["pocket_money_job", "leisure_job"])
@pytest.mark.parametrize("trait", list(TRAITS))
def test_a_trait_multiplies_the_odds_of_saying_yes_by_its_card(
    picked: dict[str, AreaModel], key: str, trait: str
) -> None:
    """Among those referred, with the other traits alike: within 4 standard errors of the logarithm."""
    (course,) = picked[key].courses
    people = picked[key].population
    rows = np.array(sorted(when(course)["referred"]))
    yes = np.isin(rows, list(when(course)["queued"]))
    others = np.zeros(len(rows), dtype=int)
    for other in TRAITS:
        if other != trait:
            others = 2 * others + TRAITS[other](people, rows)
    found, se = common_odds_ratio(TRAITS[trait](people, rows), yes, others)
    card = catalogue()[key].parameters[trait]
    print(f"{key} {trait}: {np.exp(found):.2f}, card {card.value}, se of the log {se:.3f}")
    assert abs(found - np.log(card.value)) < 4 * se, (found, np.log(card.value), se)
    assert se < 0.06
    assert abs(np.log(card.value)) > 4 * se


@pytest.mark.parametrize("key", ["pocket_money_job", "leisure_job"])
@pytest.mark.parametrize("trait", list(TRAITS))
def test_participants_have_the_traits_of_those_who_say_yes(picked: dict[str, AreaModel], key: str, trait: str) -> None:
    """Participants against all peers: more of them by over two standard errors, whatever else goes with the trait."""
    taken, _, peers = composition(picked[key])
    people = picked[key].population
    a, b = (TRAITS[trait](people, rows).sum() for rows in (taken, peers))
    found = np.log(a / (len(taken) - a) / (b / (len(peers) - b)))
    se = np.sqrt(1 / a + 1 / (len(taken) - a) + 1 / b + 1 / (len(peers) - b))
    card = np.log(catalogue()[key].parameters[trait].value)
    print(f"{key} {trait}: {np.exp(found):.2f}, card {np.exp(card):.2f}, se of the log {se:.3f}")
    assert card > 0
    assert found > 2 * se


AGES = {
    "pocket_money_job": {"13": (13, 13), "14": (14, 14), "15": (15, 15), "11_12": (11, 12)},
    "leisure_job": {"13_14": (13, 14), "15": (15, 15), "16": (16, 16), "17": (17, 17)},
}


@pytest.mark.parametrize("key", list(AGES))
def test_participants_have_the_ages_of_the_published_ones(key: str) -> None:
    """Shares of ages: nearer to the published participants than to their peers, while few have been referred.

    Much nearer where nearly everybody is a pupil; the scheme takes pupils only, who are younger.
    """
    scenario = Scenario.read("baseline", ["population.residents=150000", "horizon.months=24"])
    rare = {"take_up": 1.0, "reach_school": 0.001, "reach_word_of_mouth": 0.001}
    model = AreaModel(scenario.with_activity(key, activity=key, places=100_000, **rare))
    for _ in range(24):
        model.step()
    _, age, _ = composition(model)
    name = {"pocket_money_job": "pocket_money_job", "leisure_job": "leisure_job_activity"}[key]
    printed = {
        who: np.array([float(rows("targets")[f"annex9_{name}_age_{band}_{who}"]["value"]) for band in AGES[key]])
        for who in ("participants", "comparison")
    }
    made = np.array([((age >= low) & (age <= high)).sum() for low, high in AGES[key].values()], dtype=float)
    shares = {who: values / values.sum() for who, values in {**printed, "made": made}.items()}
    off = {who: np.abs(shares["made"] - shares[who]).sum() for who in printed}
    nearer = {"pocket_money_job": 0.3, "leisure_job": 0.8}[key]
    assert off["participants"] < nearer * off["comparison"], (shares, off)
    assert made.sum() > 300


def test_without_ratios_everybody_is_reached_alike(pocket: Scenario) -> None:
    even = {id: 1.0 for id in catalogue()["pocket_money_job"].parameters if id.startswith("selection_")}
    model = AreaModel(pocket.with_activity("pocket_money_job", **even))
    (course,) = model.courses
    values, reach = course.plan.values, model._programme._hearing._reach
    assert reach.top == pytest.approx([values["reach_school"] + values["reach_word_of_mouth"]])
    band = np.searchsorted(reach.limit[0], np.arange(100 * 12), side="right")
    assert np.unique(reach.ratio[0][band]).tolist() == [0, 1]
    assert reach.ratio[0][band].sum() == (17 + 1 - 10) * 12
    assert model._programme._take_up == pytest.approx(np.full((16, 1), values["take_up"]))


# --- people who come and go


class People:
    """Just the columns that courses read; residents can be appended."""

    def __init__(self, rows: int) -> None:
        self.birth = np.full(rows, -14 * 12, dtype=np.int16)
        self.sex = np.full(rows, SEXES.index("men"), dtype=np.uint8)
        self.origin = np.full(rows, ORIGINS.index("danish"), dtype=np.uint8)
        self.state = np.full(rows, CODE["basic_school"], dtype=np.uint8)
        self.side_hours = np.zeros(rows, dtype=np.float32)
        self.parents = np.full(rows, PARENT_TRANSFER, dtype=np.uint8)
        self.barriers = np.zeros(rows, dtype=np.uint8)
        self.frailty = np.zeros(rows, dtype=np.uint8)
        self.in_area = np.ones(rows, dtype=bool)

    def __len__(self) -> int:
        return len(self.state)

    def append(self, rows: int) -> None:
        more = vars(People(rows))
        for name, column in vars(self).items():
            setattr(self, name, np.concatenate([column, more[name]]))


@pytest.fixture
def programme(pocket: Scenario) -> tuple[Programme, Stream, People]:
    """Sure referral of ten residents in each of two replicates."""
    sure = pocket.with_activity("pocket_money_job", reach_school=20.0, take_up=1.0, attrition_per_month=0.0, places=8)
    stream = Stream(1, range(2), 10)
    return Programme(sure.activities, stream, 2011 * 12 + 11, 20), stream, People(20)


def test_newcomers_are_referred_and_belong_to_their_replicate(programme: tuple[Programme, Stream, People]) -> None:
    programme_, stream, people = programme
    entered = programme_.run_month(1, people).affected
    assert np.bincount(stream.block[entered]).tolist() == [8, 8]
    people.append(3)
    stream.add(np.arange(10, 13), np.array([1, 1, 0]))
    assert not len(programme_.run_month(2, people).affected)
    (course,) = programme_.courses
    assert set(when(course)["referred"]) == set(range(23))
    assert course.queue_months[-1].waiting.tolist() == [3, 4]
    assert programme_.unserved(people).sum() == 7
    people.append(2)
    stream.add(np.arange(13, 15), np.array([0, 1]))
    assert programme_.unserved(people)[23:].tolist() == [False, False]
    start = programme_.shifts(2, np.array([int(entered[0]), 22]))[0]
    assert start.tolist() == [catalogue()["pocket_money_job"].parameters["effect_start_during"].value, 0.0]


def test_who_has_moved_out_is_not_served(programme: tuple[Programme, Stream, People]) -> None:
    programme_, _, people = programme
    people.in_area[:5] = False
    entered = programme_.run_month(1, people).affected
    assert set(entered.tolist()) >= {5, 6, 7, 8, 9}
    assert not set(entered.tolist()) & set(range(5))
    people.in_area[5] = False
    programme_.run_month(2, people)
    (course,) = programme_.courses
    assert when(course)["left_target_group"] == {5: 2}
    people.in_area[0] = True
    programme_.run_month(3, people)
    assert when(course)["referred"][0] == 3


def test_candidates_come_of_age_to_the_month_for_years(programme: tuple[Programme, Stream, People]) -> None:
    programme_, _, people = programme
    people.birth[:] = -10 * 12 + np.arange(1, 21)
    (course,) = programme_.courses
    for month in range(1, 31):
        programme_.run_month(month, people)
    assert when(course)["referred"] == {row: row + 1 for row in range(20)}


def test_a_follow_on_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from sim.activities import unknown_names

    wrong = dataclasses.replace(catalogue()["pocket_money_job"], follow_on=("leisure_jobs",))
    (problem,) = unknown_names({**catalogue(), "pocket_money_job": wrong})
    assert problem.key == "pocket_money_job.follow_on"
    assert problem.nearest == "leisure_job"
    lever = dataclasses.replace(wrong, follow_on=("employer_smiley",))
    assert [p.key for p in unknown_names({**catalogue(), "pocket_money_job": lever})] == ["pocket_money_job.follow_on"]
    assert not list(unknown_names(catalogue()))

"""The twin of the young is the chain itself, for every draw, and says what it cannot hold."""

import numpy as np
import pytest

from calibration.youth_twin import (
    AGES,
    BLOCKS,
    COHORT_START,
    END,
    FOLLOWED_TO,
    GROUPS,
    PROFILE,
    START,
    STARTS,
    YOUNG,
    Counted,
    YouthTwin,
)
from calibration.youths import RATES, at_16
from sim import ParameterSet
from sim.chain import FIRST, N_EXPANDED, STATE_OF, Chain
from sim.parameters import WITHOUT_ACTIVATION
from sim.states import CODE, ORIGINS, PHASE_CODE, SEXES
from sim.transitions import AGE_CLASS

STRATA = [(sex, ORIGINS.index(block)) for sex in range(len(SEXES)) for block in BLOCKS]
GROUP = np.zeros((N_EXPANDED, len(GROUPS)))
for _code, _group in enumerate(GROUPS[:-1]):
    GROUP[CODE[_group] == STATE_OF, _code] = 1
GROUP[:, -1] = 1 - GROUP.sum(axis=1)
BIRTHS = (2, 9)


@pytest.fixture(scope="module")
def twin(parameters: ParameterSet) -> YouthTwin:
    return YouthTwin(parameters, RATES, at_16())


@pytest.fixture(scope="module")
def values(parameters: ParameterSet) -> np.ndarray:
    """The shipped rates, and two sets far from them."""
    shipped = np.array([parameters.value(id) for id in RATES])
    return shipped * np.exp(np.random.default_rng(3).normal(0, 0.7, (3, len(RATES)))) ** [[0], [1], [1]]


@pytest.fixture(scope="module")
def counted(twin: YouthTwin, values: np.ndarray) -> Counted:
    return twin.counted(values)


def of_chain(twin: YouthTwin, parameters: ParameterSet) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """Return residents and followed as the twin counts them, from the chain: one group a birth month, stratum and
    start."""
    chain = Chain(parameters, START)
    p, age, sex, origin, start = [], [], [], [], []
    for at, years in enumerate(AGES):
        for s, (of_sex, of_origin) in enumerate(STRATA):
            states = np.flatnonzero(twin.placed[at, s])
            for month in BIRTHS:
                for kind in range(len(STARTS)):
                    mine = [state for state in states if kind_of(state) == kind]
                    months = 12 * years + month
                    begun = [
                        twin.placed[at, s, state]
                        / len(BIRTHS)
                        * chain.started(state, AGE_CLASS[months], of_sex, of_origin)
                        for state in mine
                    ]
                    p.append(np.sum(begun, axis=0) if begun else np.zeros(N_EXPANDED))
                    age.append(months), sex.append(of_sex), origin.append(of_origin), start.append(kind)
    p, age, sex, origin, start = map(np.array, (p, age, sex, origin, start))
    residents = {}
    for month in range(1, END - START + 1):
        p = chain.step(p, month, age, sex, origin)
        if month % 12 == 0:
            years = (age + month) // 12
            found = np.zeros((len(YOUNG), len(SEXES), len(BLOCKS), len(GROUPS)))
            here = np.isin(years, YOUNG)
            block = (origin == ORIGINS.index("non_western")).astype(int)
            np.add.at(found, (years[here] - YOUNG.start, sex[here], block[here]), (p @ GROUP)[here])
            residents[START + month] = found
        if START + month == FOLLOWED_TO:
            followed = np.zeros((len(STARTS), len(BLOCKS), len(GROUPS)))
            eighteen = age // 12 == 18
            np.add.at(followed, (start[eighteen], block[eighteen]), (p @ GROUP)[eighteen])
    return residents, followed / followed.sum(axis=-1, keepdims=True)


def kind_of(state: int) -> int:
    if state == CODE["employed"]:
        return STARTS.index("employed")
    return STARTS.index("in_education" if state in (CODE["basic_school"], CODE["in_education"]) else "neet")


def test_residents_and_those_of_18_are_the_chain(
    twin: YouthTwin, counted: Counted, values: np.ndarray, parameters: ParameterSet
) -> None:
    for draw in (0, 1):
        changed = dict(zip(RATES, values[draw], strict=True))
        residents, followed = of_chain(twin, parameters.replace({**changed, **WITHOUT_ACTIVATION}))
        assert list(residents) == list(counted.residents)
        for month, found in residents.items():
            np.testing.assert_allclose(counted.residents[month][draw], found, rtol=0, atol=1e-10)
        np.testing.assert_allclose(counted.followed[draw], followed, rtol=0, atol=1e-10)


def test_usual_activation_moves_no_share_by_more_than_half_a_point(
    twin: YouthTwin, counted: Counted, parameters: ParameterSet
) -> None:
    """The twin leaves it out: its constant makes it neutral on the flows of adults, and the young differ a little."""
    residents, followed = of_chain(twin, parameters)
    with_it, without = (found.sum(axis=(0, 1)) for found in (residents[END], counted.residents[END][0]))
    off = with_it / with_it.sum(axis=-1, keepdims=True) - without / without.sum(axis=-1, keepdims=True)
    apart = followed - counted.followed[0]
    print(f"16-24 in 2016: {100 * np.abs(off).max():.2f} points; those of 18: {100 * np.abs(apart).max():.2f}")
    assert np.abs(off).max() < 0.005
    assert np.abs(apart).max() < 0.01


def test_the_cohort_is_the_chain_with_what_it_has_completed(
    twin: YouthTwin, counted: Counted, values: np.ndarray, parameters: ParameterSet
) -> None:
    """Exactly to 21, the months of the newly activity-ready being few; to a hundredth of a point at 24."""
    student, worker = FIRST[PHASE_CODE["in_education"]], FIRST[PHASE_CODE["employed"]]
    mix = twin.placed[19 - AGES.start].sum(axis=1).reshape(-1, len(BLOCKS))
    mix = (mix / mix.sum(axis=1, keepdims=True)).ravel()
    for draw in (0, 2):
        changed = dict(zip(RATES, values[draw], strict=True))
        chain = Chain(parameters.replace({**changed, **WITHOUT_ACTIVATION}), COHORT_START)
        profile = {}
        for month in BIRTHS:
            p = np.zeros((2, len(STRATA), N_EXPANDED))
            age = 16 * 12 + month
            for s, (sex, origin) in enumerate(STRATA):
                for share, key in zip(at_16()[sex], (*GROUPS[:-1], "self_supporting"), strict=True):
                    p[0, s] += share * chain.started(PHASE_CODE[key], AGE_CLASS[age], sex, origin)
            sex, origin = np.array(STRATA).T
            for t in range(END - COHORT_START + 1):
                if t:
                    students = np.zeros_like(p[0])
                    students[:, student] = p[0, :, student]
                    to_work = chain.step(students, t, np.full(len(STRATA), age), sex, origin)[:, worker]
                    p = np.stack([chain.step(layer, t, np.full(len(STRATA), age), sex, origin) for layer in p])
                    if age + t >= 240:
                        p[0, :, worker] -= to_work
                        p[1, :, worker] += to_work
                    if age + t + 1 == 240:
                        p[1, :, student] += p[0, :, student]
                        p[0, :, student] = 0
                if t % 12 == 0:
                    school, education, work, neet = np.moveaxis(p[0] @ GROUP, -1, 0)
                    found = np.stack([school, education + p[1].sum(axis=-1), work, neet], axis=-1) * mix[:, None]
                    profile[16 + t // 12] = profile.get(16 + t // 12, 0) + found / len(BIRTHS)
        for years, found in profile.items():
            mine = found.reshape(len(SEXES), len(BLOCKS), len(PROFILE)).sum(axis=1)
            atol = 1e-10 if years <= 21 else 1e-4
            np.testing.assert_allclose(counted.profile[years][draw], mine, rtol=0, atol=atol, err_msg=str(years))


def test_shares_are_whole_and_draws_do_not_depend_on_the_draws_beside_them(
    twin: YouthTwin, counted: Counted, values: np.ndarray
) -> None:
    for found in (counted.followed, *counted.profile.values()):
        np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-12)
    for found in counted.residents.values():
        assert (found.sum(axis=(1, 2, 3, 4)) <= 1).all()
    many = twin.counted(np.repeat(values, 30, axis=0))
    np.testing.assert_allclose(many.followed[::30], counted.followed, rtol=1e-13)
    np.testing.assert_allclose(many.profile[24][-1], counted.profile[24][-1], rtol=1e-13)


def test_wrong_shapes_and_rates_that_share_a_move_are_refused(twin: YouthTwin, parameters: ParameterSet) -> None:
    with pytest.raises(ValueError, match="shape"):
        twin.counted(np.ones((2, 3)))
    with pytest.raises(ValueError, match="moves of its own"):
        YouthTwin(parameters, ("job_loss_factor_young", "job_loss_share_job_ready"), at_16())
    with pytest.raises(ValueError, match="moves of its own"):
        YouthTwin(parameters, ("death_25_50",), at_16())

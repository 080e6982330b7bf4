"""What places can take in: renewal theory against counting, the figure of source 001, and its words."""

from __future__ import annotations

import numpy as np
import pytest

from sim import plots
from sim.capacity import MONTHS, VARIATIONS, admissions, longest_mean_stay, of_source_001, renewals, sweep
from sim.locale import LANGUAGES

LONGEST = {1.0: 12.9, 0.0: 12.0, 0.5: 10.8}
"""Longest mean stays with which 35 places take in 100 by month 24, to the decimal printed."""


def test_the_source_gives_35_places_and_100_women() -> None:
    assert of_source_001() == (35, 100)


@pytest.mark.parametrize("variation", VARIATIONS)
def test_the_longest_mean_stay_meets_what_is_wanted_and_no_longer_one_does(variation: float) -> None:
    places, wanted = of_source_001()
    mean = longest_mean_stay(places, MONTHS, wanted, variation)
    assert round(mean, 1) == LONGEST[variation]
    assert admissions(places, MONTHS, mean - 1e-6, variation) >= wanted
    assert admissions(places, MONTHS, mean + 1e-6, variation) < wanted


@pytest.mark.parametrize("mean", [2.0, 7.5, 12.0, 40.0])
def test_memoryless_stays_end_at_a_constant_rate_and_equal_ones_in_step(mean: float) -> None:
    assert renewals(MONTHS, mean, 1) == pytest.approx(MONTHS / mean, rel=1e-12)
    assert renewals(MONTHS, mean, 0) == MONTHS // mean
    # So little variation that no stay comes near another step.
    if MONTHS % mean:
        assert renewals(MONTHS, mean, 0.001) == pytest.approx(renewals(MONTHS, mean, 0), abs=1e-9)


@pytest.mark.parametrize("variation", [0.3, 0.5, 1.0, 1.5])
def test_renewals_are_what_counting_finds(variation: float) -> None:
    places, mean = 20_000, 9.0
    stays = np.random.default_rng(5).gamma(variation**-2, mean * variation**2, (places, 60))
    ends = np.cumsum(stays, axis=1)
    assert (ends[:, -1] > MONTHS).all()
    counted = (ends <= MONTHS).sum(axis=1)
    error = counted.std(ddof=1) / np.sqrt(places)
    # Four standard errors: one chance in sixteen thousand of failing by luck.
    assert abs(counted.mean() - renewals(MONTHS, mean, variation)) < 4 * error


def test_what_the_places_take_in_at_once_asks_for_no_stay() -> None:
    with pytest.raises(ValueError, match="at once"):
        longest_mean_stay(35, MONTHS, 35, 1)


def test_the_sweep_has_every_stay_of_every_line() -> None:
    found = sweep([6.0, 12.0, 24.0], 35, variations=(1.0, 0.0))
    assert found["admissions"].tolist() == pytest.approx([175, 105, 70, 175, 105, 70])
    assert found["variation"].tolist() == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_figure_shows_all_three_and_says_them(lang: str) -> None:
    lines, meets = plots.capacity_data()
    figure = plots.capacity_figure(lines, meets, lang)
    (axes,) = figure.axes
    drawn = [line for line in axes.lines if len(line.get_xdata()) > 2]
    assert len(drawn) == len(VARIATIONS)
    for line, variation in zip(drawn, VARIATIONS, strict=True):
        rows = lines[lines["variation"] == variation]
        np.testing.assert_array_equal(line.get_ydata(), rows["admissions"])
    said = plots.capacity_alt(meets, lang, 35)
    written = [text.get_text() for text in (*axes.texts, *figure.texts)]
    for mean in LONGEST.values():
        shown = f"{mean}".replace(".", "," if lang == "da" else ".")
        assert shown in written
        assert shown in said
    assert any("100" in words for words in written)


def test_a_plan_of_ones_own_can_be_drawn() -> None:
    lines, meets = plots.capacity_data(places=10, wanted=30, horizon=12)
    assert meets["mean_stay"].tolist() == pytest.approx([6.0, longest_mean_stay(10, 12, 30, 0.5), 6.0])
    assert lines["admissions"].max() < 40

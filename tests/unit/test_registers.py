"""Registers become a panel: the rules of the crosswalk one by one, the shipped extract, and its truth found again."""

import datetime
import gzip
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from calibration import PanelFit, fit_panel
from calibration.panel import make_example
from calibration.panel.crosswalk import read_crosswalk
from calibration.panel.identification import PanelWarning
from calibration.panel.make_example import EFFECTS, RATES, files, lives, registers, true_panel
from calibration.panel.quarters import (
    days_of_time,
    first_days,
    quarter_end,
    quarter_number,
    quarter_of_weeks,
    time_of_days,
    week_number,
    weeks_around_end,
    written_quarter,
    written_week,
)
from calibration.panel.registers import EXAMPLE, Reading, read_registers
from sim.errors import InputError
from sim.locale import LANGUAGES

WALK = EXAMPLE / "crosswalk.csv"

# --- the calendar


def test_weeks_belong_to_the_quarter_of_their_thursday():
    for year in range(2008, 2030):
        for quarter in range(4):
            last = int(weeks_around_end([4 * year + quarter], 1)[0, 0])
            thursday = datetime.date(1970, 1, 1) + datetime.timedelta(days=7 * last)
            assert thursday.weekday() == 3
            assert (thursday.year, (thursday.month - 1) // 3) == (year, quarter)
            after = thursday + datetime.timedelta(days=7)
            assert (after.year, (after.month - 1) // 3) != (year, quarter)
            assert quarter_of_weeks([last]).tolist() == [4 * year + quarter]
            assert week_number(written_week(last)) == last
            assert written_week(last) == f"{thursday.isocalendar()[0]}-W{thursday.isocalendar()[1]:02d}"


def test_the_last_week_of_2012_and_those_around_it():
    weeks = weeks_around_end([quarter_number("2012Q4")], 2, 1)[0]
    assert [written_week(week) for week in weeks] == ["2012-W51", "2012-W52", "2013-W01"]


@pytest.mark.parametrize("text", ["2013-W53", "2012-W00", "2012W7", "12-W07", "1012-W07", "2012-07", ""])
def test_what_is_no_week(text: str):
    assert week_number(text) == -1


def test_time_runs_evenly_through_the_days_of_a_quarter():
    days = np.arange(np.datetime64("2011-01-01"), np.datetime64("2017-01-01"))
    times = time_of_days(days)
    assert (np.diff(times) > 0).all()
    assert (days_of_time(times) == days).all()
    borders = first_days(np.arange(quarter_number("2011Q2"), quarter_number("2016Q4")))
    ends = quarter_end(np.arange(quarter_number("2011Q1"), quarter_number("2016Q3")))
    # The first day of a quarter lies just after the end of the one before.
    assert ((time_of_days(borders) > ends) & (time_of_days(borders - 1) < ends)).all()
    assert written_quarter(quarter_number("2012Q3")) == "2012Q3"


# --- the rules, one by one


def weeks_of(first: str, last: str, code: str, person: str = "A") -> list[tuple[str, str, str]]:
    return [(person, written_week(week), code) for week in range(week_number(first), week_number(last) + 1)]


RULES: dict[str, Any] = {
    "states": ["ready", "active", "pension", "grant", "work", "none", "gone"],
    "weeks_that_decide": 3,
    "weeks_after": 0,
    "least_weeks": 2,
    "least_hours": 100,
    "least_hours_next": 0,
    "employed": "work",
    "employment_beats": ["grant"],
    "neither": "none",
    "gone": "gone",
    "ends_at": ["pension"],
}
TABLE = pd.DataFrame(
    [
        ("r", "ready", 1, "", ""),
        ("a", "active", 2, "", ""),
        ("a2", "active", 3, "", ""),
        ("p", "pension", 4, "", ""),
        ("g", "grant", 5, "", ""),
        ("h", "", "", "ferie", "holiday"),
    ],
    columns=["code", "state", "priority", "note_da", "note_en"],
)
PERSON = {"person": "A", "birth_month": "1980-07", "sex": "woman", "origin": "danish", "entered": "2012Q1"}


def read(
    weeks: list[tuple[str, str, str]], hours: dict[str, float], every: int = 1, rules: Any = (), **person: Any
) -> Reading:
    """Read one person A beside Z, who has a job throughout, so that the registers reach from 2012Q1 to 2013Q1."""
    worked = [("A", quarter, value) for quarter, value in hours.items()]
    worked += [("Z", written_quarter(q), 400.0) for q in range(quarter_number("2012Q1"), quarter_number("2013Q2"))]
    tables = {
        "weeks": pd.DataFrame(
            [*weeks, *weeks_of("2013-W01", "2013-W15", "r", "Z")], columns=["person", "week", "code"]
        ),
        "quarters": pd.DataFrame(worked, columns=["person", "quarter", "hours"]),
        "people": pd.DataFrame([PERSON | person, PERSON | {"person": "Z", "sex": "man"}]),
    }
    return read_registers(tables, TABLE, RULES | dict(rules), every)


def states(found: Reading) -> list[str]:
    """Return the states of A at the ends of 2012Q1 to 2013Q1 and on the day A is gone."""
    return found.frame[found.frame["person"] == "A"]["state"].tolist()


def count(found: Reading, what: str) -> int:
    return int(found.decisions.loc[found.decisions["what"] == what, "count"].sum())


def test_the_last_weeks_of_a_quarter_decide():
    # 2012Q1 ends with weeks 11-13, 2012Q2 with weeks 24-26 (Thursdays 15-29 March, 14-28 June).
    found = read(weeks_of("2012-W01", "2012-W12", "r") + weeks_of("2012-W14", "2012-W23", "a"), {})
    assert states(found) == ["ready", "none", "none", "none", "none"]
    assert count(found, "few_weeks") == 0
    found = read(weeks_of("2012-W01", "2012-W10", "r") + weeks_of("2012-W14", "2012-W25", "a"), {})
    assert states(found)[:3] == ["none", "active", "none"]


def test_too_few_of_the_weeks_that_decide_are_no_benefit_and_counted():
    found = read(weeks_of("2012-W11", "2012-W11", "r"), {})
    assert states(found)[0] == "none"
    assert count(found, "few_weeks") == 1
    assert states(read(weeks_of("2012-W11", "2012-W11", "r"), {}, rules={"least_weeks": 1}))[0] == "ready"


def test_most_weeks_win_and_priority_decides_between_as_many():
    ready, active = weeks_of("2012-W12", "2012-W12", "r"), weeks_of("2012-W13", "2012-W13", "a")
    most = read([*ready, *active, *weeks_of("2012-W11", "2012-W11", "a2")], {})
    assert states(most)[0] == "active"
    assert count(most, "ties") == 0
    tie = read([*ready, *active], {}, rules={"least_weeks": 1})
    assert states(tie)[0] == "ready"
    assert count(tie, "ties") == 1


def test_weeks_after_the_quarter_vote_when_asked():
    after = weeks_of("2012-W14", "2012-W15", "r")
    assert states(read(after, {}))[0] == "none"
    assert states(read(after, {}, rules={"weeks_after": 2}))[0] == "ready"


def test_paid_hours_are_employment_from_the_least_on():
    found = read([], {"2012Q1": 99.9, "2012Q2": 100, "2012Q3": 0})
    assert states(found) == ["none", "work", "none", "none", "none"]
    assert count(found, "by_hours") == 1 + 4


def test_hours_of_several_jobs_are_added_and_counted():
    hours = pd.DataFrame([("A", "2012Q1", 60.0), ("A", "2012Q2", 90.0), ("A", "2012Q1", 50.0)])
    tables = {
        "weeks": pd.DataFrame(weeks_of("2012-W20", "2012-W26", "h"), columns=["person", "week", "code"]),
        "quarters": hours.set_axis(["person", "quarter", "hours"], axis=1),
        "people": pd.DataFrame([PERSON]),
    }
    found = read_registers(tables, TABLE, RULES)
    assert states(found) == ["work", "none"]
    assert count(found, "hours_added") == 1


def test_hours_in_the_next_quarter_are_asked_for_but_not_of_those_gone_in_it():
    hours, rules = {"2012Q1": 400, "2012Q2": 400}, {"least_hours_next": 1}
    found = read([], hours, rules=rules)
    assert states(found) == ["work", "none", "none", "none"]
    assert count(found, "no_next") == 1
    assert states(read([], hours, rules=rules, died="2012-07-02")) == ["work", "work", "gone"]


def test_weeks_win_over_employment_but_not_those_that_give_way():
    hours = {"2012Q1": 400.0}
    assert states(read(weeks_of("2012-W11", "2012-W13", "r"), hours))[0] == "ready"
    grant = read(weeks_of("2012-W11", "2012-W13", "g"), hours)
    assert states(grant)[0] == "work"
    assert count(grant, "both_hours") == 1


def test_weeks_of_a_silent_code_say_nothing_and_are_counted():
    found = read(weeks_of("2012-W01", "2012-W13", "h"), {})
    assert states(found)[0] == "none"
    assert count(found, "code_silent") == 13


def test_death_and_leaving_are_known_to_the_day():
    found = read(weeks_of("2012-W01", "2012-W40", "r"), {}, left="2012-07-17")
    mine = found.frame[found.frame["person"] == "A"]
    assert mine["state"].tolist() == ["ready", "ready", "gone"]
    # The seventeenth of 92 days of the third quarter, at noon.
    assert mine["time"].tolist() == pytest.approx([2012.25, 2012.5, 2012.5 + 16.5 / 92 / 4], abs=1e-12)
    assert count(found, "gone_seen") == 1
    assert count(found, "weeks_after_gone") == 40 - 28
    both = read([], {}, left="2012-07-17", died="2012-05-02")
    assert both.frame.loc[both.frame["person"] == "A", "time"].max() < 2012.5


def test_records_may_just_end_with_death_or_leaving():
    found = read(weeks_of("2012-W01", "2012-W40", "r"), {}, rules={"gone": ""}, left="2012-07-17")
    assert states(found) == ["ready", "ready"]
    assert count(found, "gone_seen") == 0


def test_a_record_ends_with_a_state_that_ends_it():
    found = read(weeks_of("2012-W20", "2012-W40", "p"), {}, died="2013-02-01")
    assert states(found) == ["none", "pension"]
    assert count(found, "after_end") == 3


def test_people_are_followed_from_the_quarter_they_enter():
    weeks = weeks_of("2012-W01", "2012-W40", "r")
    late = read(weeks, {}, entered="2012Q3")
    assert late.frame.loc[late.frame["person"] == "A", "time"].tolist() == [2012.75, 2013.0, 2013.25]
    assert count(late, "weeks_before") == 26
    own = read(weeks_of("2012-W30", "2012-W40", "r"), {}, entered=None)
    assert own.frame.loc[own.frame["person"] == "A", "time"].min() == 2012.75


def test_people_who_say_nothing_are_left_out_and_counted():
    never = read([], {}, entered=None, died="2012-08-01")
    assert (count(never, "never"), states(never)) == (1, [])
    unseen = read([], {}, died="2012-02-01")
    assert (count(unseen, "unseen"), states(unseen)) == (1, [])
    alone = read([], {}, entered="2013Q1")
    assert (count(alone, "alone"), states(alone)) == (1, [])
    assert count(alone, "kept") == 1


def test_gaps_between_the_same_benefit_are_counted():
    paid = weeks_of("2012-W01", "2012-W22", "r") + weeks_of("2012-W28", "2012-W40", "r")
    found = read(paid, {})
    assert states(found)[:3] == ["ready", "none", "ready"]
    assert (count(found, "gaps"), count(found, "gaps_paid")) == (1, 1)
    away = read(weeks_of("2012-W01", "2012-W13", "r") + weeks_of("2012-W28", "2012-W40", "r"), {})
    assert (count(away, "gaps"), count(away, "gaps_paid")) == (1, 0)


def test_fewer_observations_are_those_of_whole_half_years_and_years():
    weeks = weeks_of("2012-W01", "2012-W52", "r")
    all_ends, half, year = (read(weeks, {}, every).frame for every in (1, 2, 4))
    assert half["time"].unique().tolist() == [2012.5, 2013.0]
    assert year.empty
    both = half.merge(all_ends, on=["person", "time"])
    assert (both["state_x"] == both["state_y"]).all()
    assert len(both) == len(half)


def test_covariates_come_with_the_state():
    found = read(weeks_of("2012-W01", "2012-W52", "r"), {}, reason="illness").frame
    first = found[found["person"] == "A"].iloc[0]
    assert first["woman"] == 1.0
    assert first["age"] == pytest.approx(2012.25 - (1980 + 6.5 / 12), abs=1e-12)
    assert (first["origin"], first["reason"]) == ("danish", "illness")
    assert found.loc[found["person"] == "Z", "woman"].eq(0).all()


# --- the shipped extract


@pytest.fixture(scope="module")
def shipped() -> Reading:
    return read_registers(EXAMPLE)


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return registers(lives())


def test_the_shipped_extract_is_made_again_byte_for_byte():
    made = files()
    there = {path.relative_to(EXAMPLE).as_posix(): path for path in EXAMPLE.rglob("*") if path.is_file()}
    assert set(made) == set(there)
    for name, held in made.items():
        read_ = there[name].read_bytes()
        assert (gzip.decompress(read_) if name.endswith(".gz") else read_) == held, name
    assert sum(path.stat().st_size for path in there.values()) < 600_000


def test_another_seed_is_another_extract(tmp_path: Path):
    make_example.write(tmp_path, seed=3, people=40)
    found = read_registers(tmp_path)
    assert 30 < found.frame["person"].nunique() <= 40
    other = files(seed=4, people=40)
    assert other["people.csv"] != (tmp_path / "people.csv").read_bytes()


def test_files_and_frames_of_every_form_read_alike(shipped: Reading, tables: dict[str, pd.DataFrame], tmp_path: Path):
    rules = EXAMPLE / "rules.yaml"
    pd.testing.assert_frame_equal(read_registers(tables, WALK, rules).frame, shipped.frame)
    for name, table in tables.items():
        table.to_parquet(tmp_path / f"{name}.parquet", index=False)
    tables["quarters"].to_csv(tmp_path / "quarters.csv", sep=";", decimal=",", index=False)
    again = read_registers(tmp_path, str(WALK))
    pd.testing.assert_frame_equal(again.frame, shipped.frame)
    pd.testing.assert_frame_equal(again.decisions, shipped.decisions)


def spells(weeks: pd.DataFrame) -> pd.DataFrame:
    """Return weeks as stretches of the same code."""
    number = weeks["week"].map({text: week_number(text) for text in weeks["week"].unique()})
    new = (weeks["person"] != weeks["person"].shift()) | (weeks["code"] != weeks["code"].shift()) | (number.diff() != 1)
    return weeks.groupby(new.cumsum()).agg(
        person=("person", "first"), week=("week", "first"), until=("week", "last"), code=("code", "first")
    )


def test_stretches_of_weeks_say_the_same_as_weeks(shipped: Reading, tables: dict[str, pd.DataFrame]):
    short = spells(tables["weeks"])
    assert len(short) < len(tables["weeks"]) / 20
    found = read_registers({**tables, "weeks": short}, WALK, EXAMPLE / "rules.yaml")
    pd.testing.assert_frame_equal(found.frame, shipped.frame)
    pd.testing.assert_frame_equal(found.decisions, shipped.decisions)


def test_the_order_of_rows_and_of_people_means_nothing(shipped: Reading, tables: dict[str, pd.DataFrame]):
    luck = np.random.default_rng(5)
    mixed = {name: table.iloc[luck.permutation(len(table))] for name, table in tables.items()}
    found = read_registers(mixed, WALK, EXAMPLE / "rules.yaml")
    order = found.frame.sort_values(["person", "time"], ignore_index=True)
    pd.testing.assert_frame_equal(order, shipped.frame)
    pd.testing.assert_frame_equal(found.decisions, shipped.decisions)


def plainly(tables: dict[str, pd.DataFrame], person: str) -> list[tuple[float, str]]:
    """Return one person's panel by reading the rules of the shipped extract aloud, row by row."""
    codes = pd.read_csv(WALK, dtype=str, keep_default_na=False).set_index("code")
    mine = {name: table[table["person"] == person] for name, table in tables.items()}
    paid = {
        week_number(w): codes.loc[c, "state"] for w, c in zip(mine["weeks"]["week"], mine["weeks"]["code"], strict=True)
    }
    hours = dict(zip(mine["quarters"]["quarter"], mine["quarters"]["hours"], strict=True))
    row = mine["people"].iloc[0]
    gone = datetime.date.fromisoformat(row["died"] or row["left"] or "9999-01-01")
    rank = {state: int(codes.loc[codes["state"] == state, "priority"].min()) for state in codes["state"].unique()}
    found = []
    for q in range(quarter_number(row["entered"]), quarter_number("2016Q4")):
        next_day = datetime.date((q + 1) // 4, (q + 1) % 4 * 3 + 1, 1)
        if gone < next_day:
            break
        last = (next_day - datetime.timedelta(days=1) - datetime.date(1970, 1, 1)).days // 7
        votes = [paid.get(week, "") for week in (last - 1, last, last + 1)]
        votes = [vote for vote in votes if vote]
        if votes:
            state = max(set(votes), key=lambda one: (votes.count(one), -rank[one]))
        elif hours.get(written_quarter(q), 0) >= 7 and (
            hours.get(written_quarter(q + 1), 0) >= 1 or (gone.year * 4 + (gone.month - 1) // 3) == q + 1
        ):
            state = "employed"
        else:
            state = "self_supporting"
        found.append(((q + 1) / 4, state))
        if state == "disability_pension":
            break
    else:
        return found if len(found) > 1 else []
    if found and found[-1][1] != "disability_pension" and gone < datetime.date(2016, 10, 1):
        found.append((0.0, "gone"))
    return found if len(found) > 1 else []


def test_one_person_at_a_time_gives_the_same_states(shipped: Reading, tables: dict[str, pd.DataFrame]):
    by_person = dict(list(shipped.frame.groupby("person")))
    states_met = set()
    for person in tables["people"]["person"][:150]:
        expected = plainly(tables, person)
        mine = by_person.get(person, shipped.frame.iloc[:0])
        assert mine["state"].tolist() == [state for _, state in expected], person
        times = [time for time, state in expected if state != "gone"]
        assert mine.loc[mine["state"] != "gone", "time"].tolist() == times
        states_met |= set(mine["state"])
    assert len(states_met) == 8


def test_decisions_add_up_and_have_words_in_both_languages(shipped: Reading, tables: dict[str, pd.DataFrame]):
    held = shipped.decisions
    assert held.loc[held["what"].isin(["code", "code_silent"]), "count"].sum() == len(tables["weeks"])
    ends = held.loc[held["step"] == "quarter_ends", "count"].sum()
    gone, alone = count(shipped, "gone_seen"), count(shipped, "alone")
    assert ends + gone == len(shipped.frame) + alone == count(shipped, "kept_rows") + alone
    people = sum(count(shipped, what) for what in ("kept", "alone", "unseen", "never"))
    assert people == len(tables["people"])
    assert shipped.frame["person"].nunique() == count(shipped, "kept")
    for lang in LANGUAGES:
        assert held[f"label_{lang}"].str.len().min() > 5
    assert (held["label_da"] != held["label_en"]).all()


def test_states_made_from_registers_are_nearly_always_the_true_ones(shipped: Reading):
    true = true_panel(lives())
    both = true.merge(shipped.frame[shipped.frame["state"] != "gone"], on=["person", "time"])
    assert len(both) > 0.98 * len(shipped.frame)
    assert (both["state_x"] == both["state_y"]).mean() > 0.99
    gone = [frame[frame["state"] == "gone"].set_index("person")["time"] for frame in (true, shipped.frame)]
    apart = (gone[0] - gone[1]).dropna()
    # Known to the day, and told as its noon.
    assert apart.abs().max() < 1 / 2 / 90 / 4 + 1e-9
    assert len(apart) > 60


ACTS = {
    "woman": [("job_ready", "employed"), ("self_supporting", "employed")],
    "illness": [("job_ready", "activity_ready")],
}


def fitted(frame: pd.DataFrame) -> PanelFit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PanelWarning)
        return fit_panel(frame, list(RATES), covariates=ACTS, constrain={"woman": "all"}, exact=["gone"], starts=1)


def standardised(fit: PanelFit) -> np.ndarray:
    """Return (estimate - truth) over the standard error, of all rates where covariates are 0 and the two effects."""
    nil = dict.fromkeys(fit.means, 0.0)
    found = [np.log(fit.rate(*move, at=nil) / rate) / fit.se(*move, at=nil) for move, rate in RATES.items()]
    for (name, move), effect in EFFECTS.items():
        if move != ("self_supporting", "employed"):  # one effect shared with that of the job-ready
            ratio = fit.ratio(name, *move)
            found.append((np.log(ratio.ratio) - effect) / ratio.se)
    return np.array(found)


def errors_of(seed: int) -> np.ndarray:
    made = lives(seed)
    frame = read_registers(registers(made, seed), WALK, EXAMPLE / "rules.yaml").frame
    return standardised(fitted(frame.assign(illness=(frame["reason"] == "illness").astype(float))))


def test_the_truth_of_the_shipped_extract_lies_in_the_intervals(shipped: Reading):
    """Of 25 intervals of 95 % one or two should miss; five or more would have chance .007."""
    frame = shipped.frame.assign(illness=(shipped.frame["reason"] == "illness").astype(float))
    errors = standardised(fitted(frame))
    assert len(errors) == 25
    assert (np.abs(errors) > 1.959964).sum() < 5


def test_the_truth_lies_in_the_intervals_as_often_as_it_should():
    """Misses of 200 intervals (8 extracts) are as likely as 1 in 1,000 either way under a binomial of 5 %."""
    errors = np.concatenate([errors_of(seed) for seed in range(101, 109)])
    misses = int((np.abs(errors) > 1.959964).sum())
    assert len(errors) == 200
    assert binom.sf(misses - 1, 200, 0.05) > 1e-3
    assert binom.cdf(misses, 200, 0.05) > 1e-3


@pytest.mark.slow
def test_coverage_over_many_extracts_is_95_per_cent():
    """2,500 intervals: standard deviation .44 points if independent. A rate's mean error over 100 has .1."""
    errors = np.array([errors_of(seed) for seed in range(2001, 2101)])
    assert 0.935 < (np.abs(errors) < 1.959964).mean() < 0.965
    # Aggregation shifts some rates a little: no more than .3 of a standard error and what chance adds.
    assert np.abs(errors.mean(axis=0)).max() < 0.3 + 0.3


def test_the_simulations_states_come_from_another_crosswalk():
    found = read_registers(EXAMPLE, EXAMPLE / "agents" / "crosswalk.csv").frame
    assert set(found["state"]) == {"job_ready", "activity_ready", "other_benefit", "no_benefit"}
    last = found.groupby("person")["state"].nth(slice(None, -1))
    assert set(last) == {"job_ready", "activity_ready"}


def test_the_crosswalk_is_read_as_written():
    walk = read_crosswalk(WALK, EXAMPLE / "rules.yaml")
    assert len(walk.codes) == 11
    assert walk.rules.states[walk.state[walk.codes.index("121")]] == "activity_ready"
    assert walk.state[walk.codes.index("910")] == -1
    assert walk.priority[walk.rules.number("other_benefit")] == 3


def test_every_must_be_a_whole_number():
    with pytest.raises(InputError, match="every"):
        read_registers(EXAMPLE, every=0)

"""The shipped synthetic register extract: a known model in continuous time, written down as registers write people.

``python -m calibration.panel.make_example`` renews ``calibration/panel/example/``. Nobody in it has lived. Rates are
of the size of the shipped structure *homogeneous*; the codes are invented.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from sim.locale import LANGUAGES, number, text

from ..samplers.seeds import generator
from .design import written
from .quarters import (
    days_of_time,
    first_days,
    quarter_number,
    weeks_around_end,
    written_quarter,
    written_week,
)
from .registers import EXAMPLE

Move = tuple[str, str]
SEED: Final = 2012
PEOPLE: Final = 1000
FIRST, LAST = quarter_number("2012Q1"), quarter_number("2016Q4")
"""Quarters the extract holds."""
ENTRIES: Final = 8
"""People enter in one of the first so many quarters."""

RATES: Final[Mapping[Move, float]] = {
    ("job_ready", "activity_ready"): 0.20,
    ("job_ready", "employed"): 0.16,
    ("job_ready", "self_supporting"): 0.05,
    ("job_ready", "in_education"): 0.04,
    ("job_ready", "other_benefit"): 0.06,
    ("job_ready", "gone"): 0.03,
    ("activity_ready", "job_ready"): 0.06,
    ("activity_ready", "self_supporting"): 0.03,
    ("activity_ready", "other_benefit"): 0.06,
    ("activity_ready", "disability_pension"): 0.04,
    ("activity_ready", "gone"): 0.03,
    ("other_benefit", "activity_ready"): 0.15,
    ("other_benefit", "employed"): 0.25,
    ("other_benefit", "gone"): 0.04,
    ("employed", "job_ready"): 0.12,
    ("employed", "other_benefit"): 0.10,
    ("employed", "gone"): 0.03,
    ("self_supporting", "employed"): 0.25,
    ("self_supporting", "job_ready"): 0.20,
    ("self_supporting", "gone"): 0.08,
    ("in_education", "employed"): 0.35,
    ("in_education", "job_ready"): 0.10,
    ("in_education", "gone"): 0.08,
}
"""True rates a year of men who did not enter with illness."""
EFFECTS: Final[Mapping[tuple[str, Move], float]] = {
    ("woman", ("job_ready", "employed")): float(np.log(0.6)),
    ("woman", ("self_supporting", "employed")): float(np.log(0.6)),
    ("illness", ("job_ready", "activity_ready")): float(np.log(1.8)),
}
"""True logs of rate ratios: women go to work less often, those who entered with illness become activity-ready more."""
REASONS: Final = {"job_loss": 0.45, "illness": 0.30, "other": 0.25}
ORIGINS: Final = {"danish": 0.45, "western": 0.10, "non_western": 0.45}
CODES: Final = (
    ("110", "job_ready", 1, "kontanthjælp, jobparat", "cash benefit, job-ready"),
    ("111", "job_ready", 1, "som 110, under 30 år", "as 110, under 30"),
    ("120", "activity_ready", 2, "kontanthjælp, aktivitetsparat", "cash benefit, activity-ready"),
    ("121", "activity_ready", 2, "som 120, under 30 år", "as 120, under 30"),
    ("210", "other_benefit", 3, "sygedagpenge", "sickness benefit"),
    ("220", "other_benefit", 3, "dagpenge", "unemployment insurance"),
    ("230", "other_benefit", 3, "barselsdagpenge", "parental benefit"),
    ("310", "disability_pension", 4, "førtidspension", "disability pension"),
    ("410", "in_education", 5, "uddannelsesstøtte", "education grant"),
    ("510", "flex_job", 6, "fleksjob (findes ikke i udtrækket)", "flex job (none in the extract)"),
    ("910", "", 0, "feriegodtgørelse, siger intet om tilstanden", "holiday pay, says nothing of the state"),
)
"""The crosswalk. Codes and groupings are invented for the example."""
MISSING: Final = 0.01
"""Chance that a week's payment is not in the extract."""
RULES_TEXT: Final = """\
# How weeks and hours become one state at the end of a quarter. Invented for the example; edit it.
# Sådan bliver uger og timer til én tilstand ved kvartalets slutning. Opfundet til eksemplet; ret i den.

states: [job_ready, activity_ready, other_benefit, disability_pension, in_education, employed, flex_job,
         self_supporting, gone]

weeks_that_decide: 2      # the last weeks of the quarter that vote / kvartalets sidste uger, som stemmer
weeks_after: 1            # with the first weeks of the next / sammen med de første uger af det næste
least_weeks: 1            # votes the winning state needs / stemmer, som den vindende tilstand skal have
least_hours: 7            # paid hours in the quarter from which somebody may be employed / løntimer i kvartalet
least_hours_next: 1       # and in the quarter after / og i kvartalet efter
employed: employed
employment_beats: []      # states by weeks that give way to employment / tilstande, som viger for beskæftigelse
neither: self_supporting  # neither weeks nor hours / hverken uger eller timer
gone: gone                # died or left the country / død eller udrejst
ends_at: [disability_pension]  # no rows after these / ingen rækker efter disse
"""
_JUST_END: Final = (
    'gone: ""                  # records just end with death or leaving / forløbet slutter blot ved død og udrejse'
)
AGENTS_RULES: Final = (
    RULES_TEXT.replace(
        "states: [job_ready, activity_ready, other_benefit, disability_pension, in_education, employed, flex_job,\n"
        "         self_supporting, gone]",
        "states: [job_ready, activity_ready, other_benefit, no_benefit]",
    )
    .replace("employed: employed\n", "employed: no_benefit\n")
    .replace("neither: self_supporting  ", "neither: no_benefit       ")
    .replace("gone: gone                # died or left the country / død eller udrejst", _JUST_END)
    .replace("ends_at: [disability_pension]", "ends_at: [other_benefit, no_benefit]")
)
"""The same with the states that the simulation's rates lead to; a record ends with the first exit."""
AGENTS: Final = {
    "disability_pension": "other_benefit",
    "flex_job": "other_benefit",
    "in_education": "no_benefit",
}
"""States of the example under the names that the simulation's rates lead to."""


@dataclass(frozen=True)
class Lives:
    """What nobody sees: stays of everybody, person by person: ``person``, ``begin``, ``end`` (years), ``state``.

    ``people`` has a row a person: person, birth_month, sex, origin, reason, entered (quarter).
    """

    people: pd.DataFrame
    stays: pd.DataFrame


def lives(seed: int = SEED, people: int = PEOPLE) -> Lives:
    """Return ``people`` who enter cash benefit and live by ``RATES`` and ``EFFECTS`` until the extract ends."""
    luck = generator(seed, "panel_registers")
    reason = luck.choice(list(REASONS), people, p=list(REASONS.values()))
    woman = luck.random(people) < 0.5
    age_months = luck.integers(18 * 12, 55 * 12, people)
    entered = FIRST + luck.integers(0, ENTRIES, people)
    months = (entered - 4 * 1970) * 3 - age_months
    told = pd.DataFrame(
        {
            "person": [f"P{number:04d}" for number in range(1, people + 1)],
            "birth_month": months.astype("datetime64[M]").astype(str),
            "sex": np.where(woman, "woman", "man"),
            "origin": luck.choice(list(ORIGINS), people, p=list(ORIGINS.values())),
            "reason": reason,
            "entered": [written_quarter(quarter) for quarter in entered],
        }
    )
    ready = luck.random(people) < np.where(reason == "illness", 0.4, 0.75)
    start = np.where(ready, "job_ready", "activity_ready")
    return Lives(told, _stays(start, entered / 4, woman, reason == "illness", luck))


def _stays(
    start: np.ndarray, begin: np.ndarray, woman: np.ndarray, illness: np.ndarray, luck: np.random.Generator
) -> pd.DataFrame:
    """Return the stays of everybody, one jump of all people at a time."""
    moves = list(RATES)
    log_rates = np.tile(np.log(list(RATES.values())), (len(start), 1))
    for (name, move), effect in EFFECTS.items():
        log_rates[:, moves.index(move)] += effect * {"woman": woman, "illness": illness}[name]
    sources = np.array([a for a, _ in moves])
    targets = np.array([b for _, b in moves])
    final = (LAST + 1) / 4
    who, state, now = np.arange(len(start)), start.astype(targets.dtype), begin.astype(float)
    parts = []
    while len(who):
        rates = np.exp(log_rates[who]) * (sources == state[:, None])
        summed = rates.cumsum(axis=1)
        wait, chosen = luck.standard_exponential(len(who)), luck.random(len(who))
        with np.errstate(divide="ignore"):
            until = np.minimum(now + wait / summed[:, -1], final)
        parts.append(pd.DataFrame({"person": who, "begin": now, "end": until, "state": state}))
        move = (summed <= (chosen * summed[:, -1])[:, None]).sum(axis=1).clip(max=len(moves) - 1)
        going = until < final
        who, state, now = who[going], targets[move[going]], until[going]
    return pd.concat(parts).sort_values(["person", "begin"], kind="stable", ignore_index=True)


def registers(made: Lives, seed: int = SEED) -> dict[str, pd.DataFrame]:
    """Return the tables weeks, quarters and people that registers would hold of these lives."""
    luck = generator(seed + 1, "panel_registers")
    names = made.people["person"].to_numpy()
    young = made.people["birth_month"].to_numpy() > "1984-01"
    stays = made.stays
    gone = stays[stays["state"] == "gone"]
    abroad = luck.random(len(gone)) < 0.5
    days = days_of_time(gone["begin"].to_numpy())
    people = made.people.assign(died="", left="")
    for name, mine in (("died", ~abroad), ("left", abroad)):
        people.loc[gone["person"].to_numpy()[mine], name] = days[mine].astype(str)
    return {
        "weeks": _weeks(stays, names, young, luck),
        "quarters": _quarters(stays, names, luck),
        "people": people,
    }


def _weeks(stays: pd.DataFrame, names: np.ndarray, young: np.ndarray, luck: np.random.Generator) -> pd.DataFrame:
    """Return the codes of all weeks paid: that of the state on the week's Thursday."""
    other = luck.choice(["210", "220", "230"], len(names), p=[0.5, 0.35, 0.15])
    holiday = luck.random(len(names)) < 0.1
    first = int(weeks_around_end([FIRST - 1], 1)[0, 0]) + 1
    final = int(weeks_around_end([LAST], 1)[0, 0])
    weeks = np.arange(first, final + 1)
    noon = _years(7.0 * weeks + 0.5)
    low, high = (np.searchsorted(noon, stays[name].to_numpy()) for name in ("begin", "end"))
    stay = np.repeat(np.arange(len(stays)), high - low)
    of = np.arange(len(stay)) - np.repeat(np.cumsum(high - low) - (high - low), high - low) + low[stay]
    person, state = stays["person"].to_numpy()[stay], stays["state"].to_numpy()[stay]
    summer = np.array([written_week(week)[-2:] in ("29", "30") for week in weeks])[of]
    code = np.select(
        [
            state == "job_ready",
            state == "activity_ready",
            state == "other_benefit",
            state == "disability_pension",
            state == "in_education",
            (state == "employed") & holiday[person] & summer,
        ],
        [
            np.where(young[person], "111", "110"),
            np.where(young[person], "121", "120"),
            other[person],
            "310",
            "410",
            "910",
        ],
        "",
    )
    paid = (code != "") & (luck.random(len(code)) >= MISSING)
    written_ = np.array([written_week(week) for week in weeks])
    return pd.DataFrame({"person": names[person[paid]], "week": written_[of[paid]], "code": code[paid]})


def _quarters(stays: pd.DataFrame, names: np.ndarray, luck: np.random.Generator) -> pd.DataFrame:
    """Return the paid hours of all quarters with any: those of jobs, and some pupils' beside their studies."""
    weekly = luck.choice([37.0, 30.0, 20.0], len(names), p=[0.6, 0.25, 0.15])
    beside = np.where(luck.random(len(names)) < 0.3, 10.0, 0.0)
    quarters = np.arange(FIRST, LAST + 1)
    hours = np.zeros((len(names), len(quarters)))
    long = (first_days(quarters + 1) - first_days(quarters)).astype(float)
    for state, rate in (("employed", weekly), ("in_education", beside)):
        mine = stays[stays["state"] == state]
        begin, end = (mine[name].to_numpy()[:, None] for name in ("begin", "end"))
        share = np.clip(4 * end - quarters, 0, 1) - np.clip(4 * begin - quarters, 0, 1)
        np.add.at(hours, mine["person"].to_numpy(), share * long / 7 * rate[mine["person"].to_numpy()][:, None])
    hours = hours.round(1)
    who, of = np.nonzero(hours)
    written_ = np.array([written_quarter(quarter) for quarter in quarters])
    return pd.DataFrame({"person": names[who], "quarter": written_[of], "hours": hours[who, of]})


def _years(days: np.ndarray) -> np.ndarray:
    """Return moments, as days since 1970, in years in which a quarter is a fourth."""
    borders = np.arange(FIRST - 1, LAST + 3)
    return np.interp(days, first_days(borders).astype(float), borders / 4)


def true_panel(made: Lives) -> pd.DataFrame:
    """Return the states these lives truly have at quarter ends, and the moments somebody is gone: the perfect panel.

    Columns person, time, state, woman, illness. A record ends with the disability pension, like the extract's.
    """
    people, stays = made.people, made.stays
    ends = np.arange(FIRST, LAST) / 4 + 0.25
    low, high = (np.searchsorted(ends, stays[name].to_numpy(), side="left") for name in ("begin", "end"))
    often = np.where(stays["state"] == "gone", 0, high - low)
    stay = np.repeat(np.arange(len(stays)), often)
    of = np.arange(len(stay)) - np.repeat(np.cumsum(often) - often, often) + low[stay]
    seen = pd.DataFrame({"person": stays["person"].to_numpy()[stay], "time": ends[of]})
    seen["state"] = stays["state"].to_numpy()[stay]
    gone = stays[(stays["state"] == "gone") & (stays["begin"] <= ends[-1])]
    moments = pd.DataFrame({"person": gone["person"], "time": gone["begin"], "state": "gone"})
    found = pd.concat([seen, moments]).sort_values(["person", "time"], kind="stable", ignore_index=True)
    pension = (found["state"] == "disability_pension").astype(int)
    found = found[pension.groupby(found["person"]).cumsum() == pension]
    found = found[found.groupby("person")["person"].transform("size") > 1]
    who = found["person"].to_numpy()
    return found.assign(
        person=people["person"].to_numpy()[who],
        woman=(people["sex"].to_numpy() == "woman").astype(float)[who],
        illness=(people["reason"].to_numpy() == "illness").astype(float)[who],
    ).reset_index(drop=True)


# --- the files


def files(seed: int = SEED, people: int = PEOPLE) -> dict[str, bytes]:
    """Return the files of the extract by name; ``.gz`` ones not packed yet."""
    tables = registers(lives(seed, people), seed)
    walk = pd.DataFrame(CODES, columns=["code", "state", "priority", "note_da", "note_en"])
    found = {
        "weeks.csv.gz": _csv(tables["weeks"]),
        "quarters.csv": _csv(tables["quarters"]),
        "people.csv": _csv(tables["people"]),
        "truth.csv": _csv(truth()),
        "crosswalk.csv": _csv(walk),
        "rules.yaml": RULES_TEXT.encode(),
        "agents/crosswalk.csv": _csv(walk.assign(state=walk["state"].replace(AGENTS))),
        "agents/rules.yaml": AGENTS_RULES.encode(),
    }
    found["README.md"] = _readme({name: len(table) for name, table in tables.items()}, seed).encode()
    return found


def truth() -> pd.DataFrame:
    """Return the true rates a year and rate ratios: from, to, covariate (empty: the rate itself), value."""
    rows = [(a, b, "", rate) for (a, b), rate in RATES.items()]
    rows += [(a, b, name, round(float(np.exp(effect)), 10)) for (name, (a, b)), effect in EFFECTS.items()]
    return pd.DataFrame(rows, columns=["from", "to", "covariate", "value"])


def _readme(counts: Mapping[str, int], seed: int) -> str:
    """Return the README of the extract, in Danish and English."""
    rates = "\n".join(f"| {written(move)} | {rate:g} |" for move, rate in RATES.items())
    effects = "\n".join(
        f"| {name} | {written(move)} | {np.exp(effect):g} |" for (name, move), effect in EFFECTS.items()
    )
    values = {"seed": seed, "rates": rates, "effects": effects, "missing": f"{100 * MISSING:g}"}
    return "\n".join(
        text("panel.example_readme", lang, **values, **{name: number(count, lang) for name, count in counts.items()})
        for lang in LANGUAGES
    )


def _csv(table: pd.DataFrame) -> bytes:
    held = io.StringIO()
    table.to_csv(held, index=False, lineterminator="\n")
    return held.getvalue().encode()


def write(folder: Path = EXAMPLE, seed: int = SEED, people: int = PEOPLE) -> None:
    """Write the extract into ``folder``."""
    for name, held in files(seed, people).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(held, mtime=0) if name.endswith(".gz") else held)


if __name__ == "__main__":
    write()
    print(*sorted(str(path) for path in EXAMPLE.rglob("*") if path.is_file()), sep="\n")

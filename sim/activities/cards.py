"""The cards of an activity: what its entry says, completed by the cards that many activities share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from ..declared import read_declared
from ..errors import ParameterError, Problem
from ..parameters import Parameter
from ..sources import ASSUMPTION
from ..states import BARRIER_LABELS, STATES
from .base import CHANNELS, MOVES_OF

_NEITHER: Final = {"grade": "D", "source": ASSUMPTION, "date": "2026"}
"""What a shared card is unless it says so: an assumption of ours."""
_RANGES: Final = {"lower": (-0.7, 0.0), "none": (-0.35, 0.35)}
"""Ranges of effects that are meant to lower a hazard, or of which the source found none (log hazard ratios)."""
_OTHER_MOVES: Final = {
    "start": ("at få fritidsjob", "starting a leisure job"),
    "end": ("at miste fritidsjob", "losing a leisure job"),
    "small_job_start": ("at få småjob ved siden af ydelsen", "starting a small job beside benefit"),
    "small_job_end": ("at miste småjob", "losing a small job"),
    "small_job_to_employed": ("småjob bliver til job", "a small job becoming a job"),
    "small_job_to_self_supporting": ("småjob fører til selvforsørgelse", "a small job leading to self-support"),
    "move_out": ("at flytte fra området", "moving out of the area"),
}


@cache
def _shared() -> Mapping[str, Any]:
    found: dict[str, Any] = dict(read_declared(Path(__file__).with_name("_cards.yaml")))
    found["cards"] = {card["id"]: _NEITHER | card for card in found["cards"]}
    return found


_STRENGTHS: Final = (
    "effect_",
    "eases_",
    "clarification_per_month",
    "additional_share",
    "reward_elasticity",
    "reach_factor",
)
"""Beginnings of the ids of numbers that say how strongly an activity changes anything."""
_NEUTRAL: Final = {"reach_factor": 1.0}
"""Values other than 0 at which such a number changes nothing."""


def is_strength(id: str) -> bool:
    """Whether the number ``id`` says how strongly an activity changes something."""
    return id.startswith(_STRENGTHS)


def is_nil(id: str, value: float) -> bool:
    """Whether the strength ``id`` changes nothing at ``value``."""
    return value == _NEUTRAL.get(id, 0.0)


def quality_of(values: Mapping[str, float], points: int) -> float:
    """Return the quality of an item: its own, less what each missing driver and each hindrance (``points``) costs."""
    return min(max(values.get("quality", 1.0) - points * values.get("quality_per_point", 0.0), 0.0), 1.0)


def mechanics() -> tuple[str, ...]:
    """Return what an activity may name under ``mechanics``."""
    return (*_shared()["mechanics"], "eases")


def cards_of_mechanic(name: str) -> tuple[str, ...]:
    """Return the ids of the numbers that a mechanic brings, whatever the barrier it eases."""
    return tuple(_shared()["mechanics"].get(name, ("eases_<barrier>",)))


def effect_name(effect: str | Mapping[str, Any]) -> str:
    """Return the hazard that an entry of ``effects`` names."""
    return effect if isinstance(effect, str) else str(effect["on"])


def words_of(name: str, lang: str) -> str:
    """Return the hazard ``name`` in words: a move between states, or a side job, or moving out."""
    at = ("da", "en").index(lang)
    if name in _OTHER_MOVES:
        return _OTHER_MOVES[name][at]
    labels = {state.key: (state.label_da, state.label_en)[at] for state in STATES}
    left, entered = MOVES_OF[name]
    return f"{labels[left]} → {labels[entered]}"


def is_hazard(name: str) -> bool:
    """Whether ``name`` is a hazard that effects can be on."""
    return name in MOVES_OF or name in _OTHER_MOVES


def cards_of(entry: Mapping[str, Any]) -> dict[str, Parameter]:
    """Return the cards of an activity's ``entry`` in a family file, by id.

    Raises ``ParameterError`` naming every card that is incomplete or that the activity does not have.
    """
    usual = dict(_usual(entry))
    found: dict[str, Parameter] = {}
    problems: list[Problem] = []
    given = {card["id"]: card for card in entry.get("parameters", ())}
    for id in [*given, *(id for id in usual if id not in given)]:
        try:
            found[id] = Parameter.read({**usual.get(id, {}), **given.get(id, {}), "id": id})
        except ParameterError as error:
            problems += error.problems
    if problems:
        raise ParameterError(problems)
    return found


def _usual(entry: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the cards an activity has by its kind, channels, mechanics and effects."""
    shared, kind = _shared(), entry.get("kind", "course")
    cards = shared["cards"]
    # A lever that acts through the reach of others alone has no people of its own, so no ages.
    ages = ["age_from", "age_to"] if kind == "lever" and entry.get("effects") else []
    for id in (*shared["usual"][kind], *ages):
        yield id, cards[id]
    for channel in entry.get("channels", ()):
        names = {f"channel_{lang}": CHANNELS[channel].label(lang) for lang in ("da", "en")}
        yield f"reach_{channel}", _worded(cards["reach"], names)
    if entry.get("follow_on"):
        yield "bridge_probability", cards["bridge_probability"]
    for mechanic in entry.get("mechanics", ()):
        for id in shared["mechanics"].get(mechanic, ()):
            yield id, cards[id]
    if entry.get("form") in ("group", "individual") and kind == "course":
        yield "virtual_quality", cards["virtual_quality"]
    for barrier in entry.get("eases", ()):
        names = dict(zip(("barrier_da", "barrier_en"), BARRIER_LABELS[barrier], strict=True))
        yield f"eases_{barrier}", _worded(cards["eases"], names)
    if entry.get("raises_reach_of"):
        yield "reach_factor", cards["reach_factor"]
    for effect in entry.get("effects", ()):
        yield from _effect(effect, kind, str(entry["key"]))


def _effect(effect: str | Mapping[str, Any], kind: str, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    name = effect_name(effect)
    more: dict[str, Any] = {}
    if not isinstance(effect, str):
        for flag in _RANGES.keys() & effect.keys():
            more["range"] = list(_RANGES[flag])
        if effect.get("grade", "D") != "D":
            more |= {"grade": effect["grade"], "source": f"activity:{key}", "date": str(effect.get("date", "2018"))}
    names = {f"move_{lang}": words_of(name, lang) for lang in ("da", "en")}
    for when in ("in_force",) if kind == "lever" else ("during", "after"):
        id = f"effect_{name}_{'during' if when == 'in_force' else when}"
        yield id, _worded(_shared()["cards"][f"effect_{when}"], names) | more


def _worded(card: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return a card with the words of ``names`` in its labels."""
    return {**card, **{label: card[label].format(**names) for label in ("label_da", "label_en")}}

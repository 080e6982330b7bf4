"""What an activity changes, one line a hazard or a lever, with the cards its size stands on, and the words for it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from .activities import ActivityType
from .activities.cards import words_of
from .locale import number, text
from .parameters import UNITS
from .sources import ASSUMPTION, source_of

_ONCE: Final = ("effect_role_models", "effect_rule_225")
_LEVERS: Final = ("reward_elasticity", "clarification_per_month", "additional_share", "reach_factor")


class Line(NamedTuple):
    """One thing an activity can change.

    ``during`` is the id of the number that acts while a resident takes part (or a lever is in force), ``after`` of the
    one that acts afterwards; empty where there is none. ``on`` is the hazard, or the id of a number that is no effect
    on a hazard.
    """

    on: str
    during: str
    after: str = ""

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of its numbers."""
        return tuple(id for id in (self.during, self.after) if id)

    def words(self, activity: ActivityType, lang: str) -> str:
        """Return what is changed in words: a move, or the label of the number."""
        if self.on in activity.effects:
            return words_of(self.on, lang)
        return activity.parameters[self.on].label(lang)


def lines(activity: ActivityType) -> Iterator[Line]:
    """Yield everything an activity can change, effects on hazards first."""
    cards = activity.parameters
    for name in activity.effects:
        after = f"effect_{name}_after"
        yield Line(name, f"effect_{name}_during", after if after in cards else "")
    for id in _ONCE:
        if id in cards:
            yield Line(id, id)
    if "effect_alumni_signal" in cards:
        yield Line("effect_alumni_signal", "", "effect_alumni_signal")
    for id in (*(id for id in cards if id.startswith("eases_")), *(id for id in _LEVERS if id in cards)):
        yield Line(id, id)


def size_words(value: float, low: float, high: float, unit: str, lang: str) -> tuple[str, str]:
    """Return the size of a change and its range in words.

    An effect on a log hazard is told as a hazard ratio, exp(value); everything else with its unit.

    >>> size_words(0.693147, 0, 0.693147, "log_hazard_ratio", "en")
    ('× 2.0', '1.0 to 2.0')
    """
    if unit == "log_hazard_ratio":
        value, low, high = (math.exp(end) for end in (value, low, high))
        return f"× {digits(value, lang)}", text("report.to", lang, low=digits(low, lang), high=digits(high, lang))
    named = UNITS[unit].label_da if lang == "da" else UNITS[unit].label_en
    words = text("report.to", lang, low=plain(low, lang), high=plain(high, lang))
    return f"{plain(value, lang)} {named}", words


def digits(value: float, lang: str) -> str:
    """Write a ratio with the two digits that count, none below a tenth left out.

    >>> [digits(ratio, "en") for ratio in (0.0067, 0.41, 1.0, 9.29, 148.4)]
    ['0.0067', '0.41', '1.0', '9.3', '148']
    """
    return number(value, lang, max(0, 1 - math.floor(math.log10(value) + 1e-12)))


def plain(value: float, lang: str) -> str:
    """Write a number of a card with the digits it has, at most four that count."""
    written = f"{value:.4g}"
    return number(value, lang, len(written.partition(".")[2]) if "e" not in written else 6)


def source_words(ids: Sequence[str], lang: str) -> str:
    """Return short references to sources: publisher, year and place; an assumption is called one."""
    found = []
    for id in ids:
        if id == ASSUMPTION:
            found.append(text("pages.assumption", lang))
        elif id == "scenario":
            found.append(text("pages.of_scenario", lang))
        elif id.startswith("activity:"):
            found.append(text("pages.evidence_book", lang))
        else:
            source = source_of(id)
            found.append(
                ", ".join(part for part in (f"{source.publisher} {source.year}".strip(), source.locator) if part)
            )
    return "; ".join(dict.fromkeys(found))

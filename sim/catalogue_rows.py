"""What the catalogue holds, as rows of plain data: scenarios, activities, states, measures and parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from .activities import ActivityType, catalogue, families
from .activities.cards import is_nil
from .changes import lines, size_words
from .locale import text
from .measures import MEASURES
from .parameters import UNITS, Parameter, ParameterSet
from .scenario import list_scenarios
from .states import STATES

Rows = list[dict[str, Any]]


def _scenarios(lang: str) -> Rows:
    return [
        {
            "id": s.id,
            "title": s.title[lang],
            "recipe": s.recipe,
            "residents": s.residents,
            "start": s.start,
            "months": s.months,
            "activities": ", ".join(item.id for item in s.activities) or "-",
        }
        for s in list_scenarios()
    ]


def _activities(lang: str) -> Rows:
    return [
        {
            "id": a.key,
            "key": a.key,
            "label": a.label(lang),
            "label_da": a.label_da,
            "label_en": a.label_en,
            "family": families()[a.family].label(lang),
            "kind": a.kind,
            "grade": a.grade,
            "acts": _acts(a, lang),
            "changes": a.changes_da if lang == "da" else a.changes_en,
            "cannot": a.cannot_da if lang == "da" else a.cannot_en,
            "source": a.source,
            "sources": list(a.sources),
            "parameters": [_card(card) for card in a.parameters.values()],
        }
        for a in catalogue().values()
    ]


def _acts(activity: ActivityType, lang: str) -> str:
    """Say what an activity changes as it is, and how many other effects nobody has measured."""
    said, idle = [], 0
    for line in lines(activity):
        cards = [activity.parameters[id] for id in line.ids]
        sizes = [
            size_words(card.value, *card.range, card.unit, lang)[0] for card in cards if not is_nil(card.id, card.value)
        ]
        said += [f"{line.words(activity, lang)} {' / '.join(sizes)}"] if sizes else []
        idle += not sizes
    return "; ".join([*said, *([text("pages.unmeasured", lang, count=idle)] if idle else [])]) or "–"


def _card(card: Parameter) -> dict[str, Any]:
    return {
        "id": card.id,
        "value": card.value,
        "unit": card.unit,
        "range": list(card.range),
        "grade": card.grade,
        "source": list(card.source),
        "date": card.date,
        "label_da": card.label_da,
        "label_en": card.label_en,
        "note_da": card.note_da,
        "note_en": card.note_en,
    }


def _states(lang: str) -> Rows:
    return [
        {
            "key": s.key,
            "label": s.label_da if lang == "da" else s.label_en,
            "definition": s.definition_da if lang == "da" else s.definition_en,
        }
        for s in STATES
    ]


def _measures(lang: str) -> Rows:
    return [
        {"key": m.key, "label": m.label(lang), "unit": m.unit, "among": m.population(lang)} for m in MEASURES.values()
    ]


_ALL: Final = {"da": "alle", "en": "all"}
"""What stands for a card that is the same in every structure."""


def _cards() -> Iterator[tuple[str, str | None, Parameter]]:
    """Yield id, structure (None: all of them) and card of every parameter, those of activities last."""
    sets = {name: ParameterSet.read(name) for name in ParameterSet.names()}
    for id, first in ParameterSet.read("default").items():
        if all(cards[id] == first for cards in sets.values()):
            yield id, None, first
        else:
            yield from ((id, cards.structure, cards[id]) for cards in sets.values())
    for activity in catalogue().values():
        yield from ((f"{activity.key}.{id}", None, card) for id, card in activity.parameters.items())


def _parameters(lang: str) -> Rows:
    return [
        {
            "id": id,
            "structure": structure or _ALL[lang],
            "value": f"{p.value:.6g}",
            "unit": UNITS[p.unit].label_da if lang == "da" else UNITS[p.unit].label_en,
            "range": f"{p.range[0]:g} – {p.range[1]:g}",
            "grade": p.grade,
            "date": p.date,
            "label": p.label(lang),
            "source": ", ".join(p.source),
        }
        for id, structure, p in _cards()
    ]


ROWS: Final[Mapping[str, Callable[[str], Rows]]] = {
    "scenarios": _scenarios,
    "activities": _activities,
    "states": _states,
    "measures": _measures,
    "parameters": _parameters,
}
"""The rows of each part of the catalogue, in a language."""

_ON_SCREEN: Final = {"activities": ("key", "label", "family", "kind", "grade", "acts")}
"""The columns of a table on the screen, where the rows hold more than a line can."""


def on_screen(what: str, rows: Rows) -> Rows:
    """Return the rows of ``what`` with the columns that a table on the screen has."""
    return [{name: row[name] for name in _ON_SCREEN.get(what, row)} for row in rows]

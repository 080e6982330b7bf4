"""The catalogue of activities: declared in YAML, one file a family, every number with its card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..declared import read_declared
from ..eligibility import Eligibility
from ..errors import ParameterError, Problem, nearest
from ..parameters import Parameter
from ..sources import source_of
from ..states import BARRIERS, CODE
from .base import CHANNELS, FORMS, GIVES, KINDS
from .cards import cards_of, effect_name, is_hazard, is_nil, is_strength, mechanics


@dataclass(frozen=True)
class Point:
    """A driver or hindrance of an activity as the sources name it; a scenario refers to it by ``id``."""

    id: str
    da: str
    en: str


@dataclass(frozen=True, kw_only=True)
class ActivityType:
    """One declared activity: who can take part, how it runs and what it changes.

    ``parameters`` holds the cards of every number a scenario may change. ``kind`` and ``form`` are explained in
    ``base.KINDS`` and ``base.FORMS``, ``channels`` in ``base.CHANNELS``, ``mechanics`` in ``_cards.yaml``. ``effects``
    names the hazards it can change: of moves between states, of side jobs, of moving out.

    ``occupies``: recipients who take part stand in activation. ``acts_on`` partner: the effects fall on the
    participant's partner. ``stays``: states in which participants remain though nobody is referred from them.
    ``follow_on``: activities it hands over to, the first that takes them first; ``brings_to``: those to which
    participants bring people, ``contacts_among``: whom they meet (none: people like themselves). ``gives``: what an
    opening is. ``raises_reach_of``: the activities whose channels a lever strengthens (``all``: every one).
    ``eases``: barriers it lowers. ``drivers`` and ``hindrances``: what the sources say makes it work or stops it.
    Activities with the same ``pool`` share one published estimate, so their effects on a resident count once.
    """

    key: str
    family: str
    label_da: str
    label_en: str
    description_da: str
    description_en: str
    changes_da: str
    changes_en: str
    cannot_da: str
    cannot_en: str
    eligibility: Eligibility
    parameters: Mapping[str, Parameter]
    kind: str = "course"
    form: str = "individual"
    channels: tuple[str, ...] = ()
    occupies: bool = False
    acts_on: str = "self"
    stays: tuple[str, ...] = ()
    follow_on: tuple[str, ...] = ()
    brings_to: tuple[str, ...] = ()
    contacts_among: Eligibility | None = None
    gives: str = ""
    raises_reach_of: tuple[str, ...] = ()
    eases: tuple[str, ...] = ()
    mechanics: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()
    drivers: tuple[Point, ...] = ()
    hindrances: tuple[Point, ...] = ()
    pool: str = ""

    @property
    def source(self) -> str:
        """Id of its entry in the evidence book."""
        return f"activity:{self.key}"

    @property
    def sources(self) -> tuple[str, ...]:
        """Ids of everything its numbers come from, its own entry first."""
        return tuple(dict.fromkeys([self.source, *(id for card in self.parameters.values() for id in card.source)]))

    def label(self, lang: str) -> str:
        """Return the activity's name in ``lang``."""
        return self.label_da if lang == "da" else self.label_en

    @property
    def can_close(self) -> bool:
        """Whether a closure changes anything: nobody attends a lever, and what is done in public goes on."""
        return self.kind != "lever" and self.form != "public"

    @property
    def grade(self) -> str:
        """The weakest grade among the effects that are not nil, D when nothing has been measured."""
        acting = (p for id, p in self.parameters.items() if is_strength(id) and not is_nil(id, p.value))
        return max((p.grade for p in acting), default="D")


@dataclass(frozen=True)
class Family:
    """The activities of one file."""

    key: str
    label_da: str
    label_en: str

    def label(self, lang: str) -> str:
        """Return the family's name in ``lang``."""
        return self.label_da if lang == "da" else self.label_en


@cache
def _declared() -> tuple[Mapping[str, Family], Mapping[str, ActivityType]]:
    families: dict[str, Family] = {}
    found: dict[str, ActivityType] = {}
    problems: list[Problem] = []
    for path in sorted(Path(__file__).parent.glob("[a-z]*.yaml")):
        file = read_declared(path)
        families[file["family"]] = Family(file["family"], file["label_da"], file["label_en"])
        for entry in file["activities"]:
            try:
                found[entry["key"]] = read_activity(entry, file["family"])
            except ParameterError as error:
                problems += [Problem(**{**vars(p), "key": f"{entry['key']}.{p.key}"}) for p in error.problems]
    problems += unknown_names(found)
    if problems:
        raise ParameterError(problems)
    return MappingProxyType(families), MappingProxyType(found)


def catalogue() -> Mapping[str, ActivityType]:
    """Return every declared activity by key.

    Raises ``ParameterError`` naming every incomplete card and every name that does not exist.
    """
    return _declared()[1]


def families() -> Mapping[str, Family]:
    """Return the families of activities by key, in the order of their files."""
    return _declared()[0]


def read_activity(entry: Mapping[str, Any], family: str) -> ActivityType:
    """Make an activity from its ``entry`` in a family file.

    Raises ``ParameterError`` naming every entry that does not exist and every card that is wrong.
    """
    names = {field.name for field in fields(ActivityType)} - {"family"}
    allowed = {
        "kind": KINDS,
        "form": FORMS,
        "acts_on": ("self", "partner"),
        "gives": GIVES,
        "channels": tuple(CHANNELS),
        "stays": tuple(CODE),
        "eases": BARRIERS,
        "mechanics": mechanics(),
    }
    problems = [
        Problem("unknown_key", key=key, values={"allowed": ", ".join(sorted(names))}, nearest=nearest(key, names))
        for key in entry
        if key not in names
    ]
    for key, known in allowed.items():
        given = entry.get(key, ())
        for name in [given] if isinstance(given, str) else given:
            if name not in known:
                values = {"value": name, "allowed": ", ".join(known)}
                problems.append(Problem("choice", key=key, values=values, nearest=nearest(name, known)))
    effects = [effect_name(effect) for effect in entry.get("effects", ())]
    wrong = [name for name in effects if not is_hazard(name)]
    problems += [Problem("choice", key="effects", values={"value": name, "allowed": "-"}) for name in wrong]
    if problems:
        raise ParameterError(problems)
    source_of(f"activity:{entry['key']}")
    lists = {key: tuple(value) for key, value in entry.items() if isinstance(value, list) and key not in _NOT_NAMES}
    points = {key: tuple(Point(**point) for point in entry.get(key, ())) for key in ("drivers", "hindrances")}
    return ActivityType(
        **{
            **entry,
            **lists,
            **points,
            "effects": tuple(effects),
            "family": family,
            "eligibility": Eligibility(**entry["eligibility"]),
            "contacts_among": Eligibility(**entry["contacts_among"]) if "contacts_among" in entry else None,
            "parameters": MappingProxyType(cards_of(entry)),
        }
    )


_NOT_NAMES = ("parameters", "effects", "drivers", "hindrances")


def unknown_names(found: Mapping[str, ActivityType]) -> Iterator[Problem]:
    """Yield a problem for every activity that ``found`` names and does not have, or that takes nobody."""
    for activity in found.values():
        for key in ("follow_on", "brings_to", "raises_reach_of"):
            for name in getattr(activity, key):
                takes = name in found and (key == "raises_reach_of" or found[name].kind != "lever")
                if not takes and (key, name) != ("raises_reach_of", "all"):
                    yield Problem(
                        "choice",
                        key=f"{activity.key}.{key}",
                        values={"value": name, "allowed": ", ".join(found)},
                        nearest=nearest(name, found),
                    )

"""The catalogue of activities: declared in YAML, one file a family, every number with its card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from ..eligibility import Eligibility
from ..errors import ParameterError, Problem, nearest
from ..parameters import Parameter
from ..sources import source_of


@dataclass(frozen=True)
class ActivityType:
    """One declared activity: who can take part, how it runs and what it changes.

    ``parameters`` holds the cards of every number a scenario may change; ``source`` is its entry in the evidence book.
    ``follow_on`` is the activity it hands over to (empty: none). Activities with the same ``pool`` share one published
    estimate, so their effects on a resident count once.
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
    source: str
    eligibility: Eligibility
    parameters: Mapping[str, Parameter]
    follow_on: str = ""
    pool: str = ""

    def label(self, lang: str) -> str:
        """Return the activity's name in ``lang``."""
        return self.label_da if lang == "da" else self.label_en

    @property
    def grade(self) -> str:
        """The weakest grade among the activity's effects."""
        return max(p.grade for id, p in self.parameters.items() if id.startswith("effect_"))


@cache
def catalogue() -> Mapping[str, ActivityType]:
    """Return every declared activity by key.

    Raises ``ParameterError`` naming every incomplete card and every follow-on activity that does not exist.
    """
    from ruamel.yaml import YAML

    found: dict[str, ActivityType] = {}
    problems: list[Problem] = []
    for path in sorted(Path(__file__).parent.glob("*.yaml")):
        family = YAML(typ="safe", pure=True).load(path)
        for entry in family["activities"]:
            cards: dict[str, Parameter] = {}
            for card in entry.pop("parameters"):
                try:
                    cards[card["id"]] = Parameter.read(card)
                except ParameterError as error:
                    problems += error.problems
            source_of(entry["source"])
            eligibility = Eligibility(**entry.pop("eligibility"))
            activity = ActivityType(
                **entry,
                family=family["family"],
                eligibility=eligibility,
                parameters=MappingProxyType(cards),
            )
            found[activity.key] = activity
    problems += follow_on_problems(found)
    if problems:
        raise ParameterError(problems)
    return MappingProxyType(found)


def follow_on_problems(found: Mapping[str, ActivityType]) -> Iterator[Problem]:
    """Yield a problem for every activity of ``found`` that hands over to one that is not there."""
    for activity in found.values():
        if activity.follow_on and activity.follow_on not in found:
            yield Problem(
                "choice",
                key=f"{activity.key}.follow_on",
                values={"value": activity.follow_on, "allowed": ", ".join(found)},
                nearest=nearest(activity.follow_on, found),
            )

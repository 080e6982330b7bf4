"""The rival structures of the benefit flows: which parameters each leaves free, and what it says of the others.

The agents run one table of moves (``sim/states.py``) whatever the structure. A structure is what it leaves to the
data and what it ties: to another parameter, to nil or to one. The data cannot choose between *history*,
*history_stayers* and *calendar*; *homogeneous* is the simple baseline they are held against.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

Values = TypeVar("Values")

CORE_RATES: Final = (
    "rate_job_ready_to_activity_ready",
    "rate_job_ready_to_no_benefit",
    "rate_job_ready_to_other_benefit",
    "rate_activity_ready_to_job_ready",
    "rate_activity_ready_to_no_benefit",
    "rate_activity_ready_to_other_benefit",
)
"""Rates that every structure leaves free."""

RETURNS: Final = (
    "rate_self_supporting_to_job_ready",
    "rate_in_education_to_job_ready",
    "rate_out_of_other_benefit_months_1_6",
    "rate_out_of_other_benefit_months_7_on",
)
"""Returns to benefit, which the flows do not identify: held by card in the point fit, free with a prior beyond it."""

_NEWLY: Final = "rate_newly_activity_ready_to"
STAYERS: Final = "job_ready_stayer_share"
_REFORM: Final = (
    "reform_factor_job_ready_out",
    "reform_factor_job_ready_to_other_benefit",
    "reform_factor_activity_ready_to_job_ready",
)
_AS_LONG_TERM: Final = {
    f"{_NEWLY}_{to}": f"rate_activity_ready_to_{to}" for to in ("job_ready", "no_benefit", "other_benefit")
}
_NO_STAYERS: Final = {STAYERS: 0.0}
_NO_REFORM: Final = dict.fromkeys(_REFORM, 1.0)


@dataclass(frozen=True)
class Structure:
    """One story of why the flows of 2014-2016 are not those of 2012-2013.

    ``fitted`` are the ids the published shares decide; ``ties`` give every other id that tells structures apart: the id
    it equals, or its value. ``pulled`` are fitted ids that the shares alone would drive to nil: the point fit pulls
    them weakly to the id or value given, where the structure would make no difference.
    """

    key: str
    label_da: str
    label_en: str
    story_da: str
    story_en: str
    fitted: tuple[str, ...]
    ties: Mapping[str, str | float] = field(hash=False)
    pulled: Mapping[str, str | float] = field(default_factory=dict, hash=False)

    @property
    def free(self) -> tuple[str, ...]:
        """Ids with a posterior, in the order of a draw: those fitted, then the returns."""
        return (*self.fitted, *RETURNS)

    def label(self, lang: str) -> str:
        """Return the name in ``lang``."""
        return self.label_da if lang == "da" else self.label_en

    def story(self, lang: str) -> str:
        """Return the story in one line."""
        return self.story_da if lang == "da" else self.story_en

    def with_ties(self, values: Mapping[str, Values]) -> dict[str, Values]:
        """Return ``values`` of free ids (numbers or arrays alike) with those of the ids tied to them.

        >>> calendar = STRUCTURES["calendar"]
        >>> calendar.with_ties({"rate_activity_ready_to_job_ready": 0.004})["rate_newly_activity_ready_to_job_ready"]
        0.004
        """
        tied = {id: values[to] for id, to in self.ties.items() if isinstance(to, str) and to in values}
        return {**values, **tied}

    @property
    def fixed(self) -> dict[str, float]:
        """The ids whose value the structure fixes, with that value."""
        return {id: to for id, to in self.ties.items() if not isinstance(to, str)}


STRUCTURES: Final[Mapping[str, Structure]] = {
    structure.key: structure
    for structure in (
        Structure(
            "homogeneous",
            "ens rater",
            "constant rates",
            "Én rate for hver overgang, uanset fortid og år; den enkle sammenligning, som ikke rammer begge år.",
            "One rate a flow, whatever the past and the year; the simple baseline, which misses 2013 or 2016.",
            CORE_RATES,
            {**_AS_LONG_TERM, **_NO_STAYERS, **_NO_REFORM},
        ),
        Structure(
            "history",
            "historik",
            "history",
            "Nyligt aktivitetsparate ligner ikke dem, der længe har været det: de kan kun blive jobparate igen.",
            "The newly activity-ready are unlike the long-term ones: they can only become job-ready again.",
            (*CORE_RATES, f"{_NEWLY}_job_ready"),
            {f"{_NEWLY}_no_benefit": 0.0, f"{_NEWLY}_other_benefit": 0.0, **_NO_STAYERS, **_NO_REFORM},
        ),
        Structure(
            "history_stayers",
            "historik og blivende",
            "history and stayers",
            "Som historik; nyligt aktivitetsparate kan også forlade ydelsen, og en del af de jobparate gør det aldrig.",
            "As history; the newly activity-ready may also leave benefit, and a share of the job-ready never does.",
            (*CORE_RATES, f"{_NEWLY}_job_ready", f"{_NEWLY}_no_benefit", STAYERS),
            {f"{_NEWLY}_other_benefit": 0.0, **_NO_REFORM},
            {id: to for id, to in _AS_LONG_TERM.items() if id != f"{_NEWLY}_other_benefit"},
        ),
        Structure(
            "calendar",
            "kalender",
            "calendar",
            "Fortiden er uden betydning; raterne er nogle andre efter kontanthjælpsreformen 1. januar 2014.",
            "The past does not matter; rates are others after the cash-benefit reform of 1 January 2014.",
            (*CORE_RATES, *_REFORM),
            {**_AS_LONG_TERM, **_NO_STAYERS},
            _NO_REFORM,
        ),
    )
}
"""The structures by name, the baseline first."""

"""States of a resident, their phases, and the moves between them: data only.

A *phase* is what the hazards depend on: a state, and for activity-ready people whether they came from job-ready
recently (``newly``). A phase may be cut into duration classes by the months since it began.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class State:
    """One labour-market state (design: states are exclusive; side jobs are an overlay)."""

    key: str
    label_da: str
    label_en: str
    definition_da: str
    definition_en: str
    absorbing: bool = False


STATES: Final = (
    State(
        "basic_school",
        "grundskole",
        "basic school",
        "Elev i grundskole eller forberedende tilbud; børn under skolealderen tælles med her.",
        "Pupil in basic or preparatory school; children below school age are counted here.",
    ),
    State(
        "in_education",
        "under uddannelse",
        "in education",
        "I gang med ungdoms-, erhvervs- eller videregående uddannelse.",
        "In upper-secondary, vocational or higher education.",
    ),
    State(
        "employed",
        "ordinær beskæftigelse",
        "employed",
        "Ustøttet job, fuld tid eller deltid.",
        "Unsubsidised job, full or part time.",
    ),
    State("flex_job", "fleksjob", "flex job", "Job med fleksløntilskud.", "Job with flex-job subsidy."),
    State(
        "job_ready",
        "kontanthjælp, jobparat",
        "cash benefit, job-ready",
        "Kontanthjælp, af sagsbehandleren vurderet jobparat.",
        "Cash benefit, assessed job-ready by the caseworker.",
    ),
    State(
        "activity_ready",
        "kontanthjælp, aktivitetsparat",
        "cash benefit, activity-ready",
        "Kontanthjælp, ikke vurderet jobparat.",
        "Cash benefit, not assessed job-ready.",
    ),
    State(
        "activation",
        "aktivering",
        "activation",
        "I et tilbud, der optager borgeren; jobparat eller aktivitetsparat huskes.",
        "In a measure that occupies the resident; readiness is remembered.",
    ),
    State(
        "other_benefit",
        "andre ydelser",
        "other benefit",
        "Dagpenge, sygedagpenge, ressourceforløb, barsel, ledighedsydelse.",
        "Unemployment insurance, sickness benefit, resource programme, maternity, flex-job waiting.",
    ),
    State(
        "disability_pension",
        "førtidspension",
        "disability pension",
        "Tilkendt førtidspension.",
        "Awarded disability pension.",
        absorbing=True,
    ),
    State(
        "self_supporting",
        "selvforsørgende uden job",
        "self-supporting without a job",
        "Uden ydelse, job og uddannelse; forsørges af familien. Unge her er NEET.",
        "No benefit, job or education; supported by family. Youths here are NEET.",
    ),
    State(
        "gone",
        "død, pensioneret, udvandret",
        "dead, retired, emigrated",
        "Ude af nævneren.",
        "Out of the denominators.",
        absorbing=True,
    ),
)
"""All states, in the fixed order used for codes and for inverting destinations."""

STATE_KEYS: Final = tuple(state.key for state in STATES)
CODE: Final = {key: code for code, key in enumerate(STATE_KEYS)}
"""State code (0-10) by key."""


@dataclass(frozen=True)
class Phase:
    """A state, or a part of one, with hazards of its own.

    ``cuts`` are the last months of all duration classes but the last: ``(3, 12)`` means months 1-3, 4-12 and 13 on.
    ``until`` is the last month before the phase passes into ``then`` without a change of state.
    """

    key: str
    state: str
    cuts: tuple[int, ...] = ()
    until: int | None = None
    then: str | None = None


_CUTS: Final = {"employed": (3, 12), "other_benefit": (6,)}

PHASES: Final = (
    *(Phase(state.key, state.key, cuts=_CUTS.get(state.key, ())) for state in STATES),
    Phase("newly_activity_ready", "activity_ready", until=60, then="activity_ready"),
)
"""All phases; a state's own phase has the state's code, further phases follow."""

PHASE_CODE: Final = {phase.key: code for code, phase in enumerate(PHASES)}
"""Phase code by key."""


@dataclass(frozen=True)
class AgeClass:
    """An age class with hazards of its own, from ``first`` (years) up to the next class."""

    key: str
    first: int


AGE_CLASSES: Final = (
    AgeClass("0-15", 0),
    AgeClass("16-17", 16),
    AgeClass("18-24", 18),
    AgeClass("25-66", 25),
    AgeClass("67+", 67),
)
SEXES: Final = ("women", "men")
ORIGINS: Final = ("danish", "western", "non_western")
SEX_LABELS: Final = {"women": ("kvinder", "women"), "men": ("mænd", "men")}
ORIGIN_LABELS: Final = {
    "danish": ("dansk", "Danish"),
    "western": ("vestlig", "Western"),
    "non_western": ("ikke-vestlig", "non-Western"),
}


@dataclass(frozen=True)
class Move:
    """A move that residents make, and the rule that gives its monthly hazard.

    The hazard of duration class k is ``value(rate[k]) * value(share)``; ``rate`` holds one parameter id a duration
    class of the origin phase, or one for all. ``calendar`` names a dated multiplier, and ``rest_to`` the phase that
    takes the part the multiplier removes. ``ages`` are the age classes that make the move.
    """

    origin: str
    to: str
    rate: tuple[str, ...]
    ages: tuple[str, ...]
    share: str | None = None
    calendar: str | None = None
    rest_to: str | None = None


_ADULT = ("18-24", "25-66")
_YOUTH = ("16-17", "18-24")


def _exits_to_no_benefit(origin: str, rate: str) -> tuple[Move, ...]:
    return tuple(
        Move(origin, to, (rate,), _ADULT, share=f"no_benefit_share_{to}")
        for to in ("employed", "self_supporting", "in_education")
    )


MOVES: Final = (
    Move("job_ready", "newly_activity_ready", ("rate_job_ready_to_activity_ready",), _ADULT),
    *_exits_to_no_benefit("job_ready", "rate_job_ready_to_no_benefit"),
    Move(
        "job_ready",
        "other_benefit",
        ("rate_job_ready_to_other_benefit",),
        _ADULT,
        share="job_ready_exit_share_other_benefit",
    ),
    Move(
        "job_ready",
        "disability_pension",
        ("rate_job_ready_to_other_benefit",),
        _ADULT,
        share="job_ready_exit_share_pension",
        calendar="pension_awards",
        rest_to="other_benefit",
    ),
    Move("newly_activity_ready", "job_ready", ("rate_newly_activity_ready_to_job_ready",), _ADULT),
    Move("activity_ready", "job_ready", ("rate_activity_ready_to_job_ready",), _ADULT),
    *_exits_to_no_benefit("activity_ready", "rate_activity_ready_to_no_benefit"),
    Move(
        "activity_ready",
        "other_benefit",
        ("rate_activity_ready_to_other_benefit",),
        _ADULT,
        share="activity_ready_exit_share_other_benefit",
    ),
    Move(
        "activity_ready",
        "disability_pension",
        ("rate_activity_ready_to_other_benefit",),
        _ADULT,
        share="activity_ready_exit_share_pension",
        calendar="pension_awards",
        rest_to="other_benefit",
    ),
    *(
        Move(
            "employed",
            to,
            ("job_loss_months_1_3", "job_loss_months_4_12", "job_loss_months_13_on"),
            _ADULT,
            share=f"job_loss_share_{to}",
        )
        for to in ("job_ready", "other_benefit")
    ),
    Move("self_supporting", "job_ready", ("rate_self_supporting_to_job_ready",), _ADULT),
    Move("in_education", "job_ready", ("rate_in_education_to_job_ready",), _ADULT),
    *(
        Move(
            "other_benefit",
            to,
            ("rate_out_of_other_benefit_months_1_6", "rate_out_of_other_benefit_months_7_on"),
            _ADULT,
            share=f"other_benefit_share_{to}",
        )
        for to in ("job_ready", "activity_ready", "employed")
    ),
    *(
        Move(
            "basic_school",
            to,
            ("rate_out_of_basic_school",),
            ("16-17", "18-24", "25-66"),
            share=f"basic_school_share_{to}",
        )
        for to in ("in_education", "employed", "self_supporting")
    ),
    Move("in_education", "employed", ("rate_youth_in_education_to_employed",), _YOUTH),
    Move("in_education", "employed", ("rate_adult_in_education_to_employed",), ("25-66",)),
    Move("in_education", "self_supporting", ("rate_youth_in_education_to_self_supporting",), _YOUTH),
    Move("self_supporting", "in_education", ("rate_youth_self_supporting_to_in_education",), _YOUTH),
    Move("self_supporting", "employed", ("rate_youth_self_supporting_to_employed",), _YOUTH),
    Move("employed", "in_education", ("rate_youth_employed_to_in_education",), _YOUTH),
    Move("employed", "self_supporting", ("rate_youth_employed_to_self_supporting",), ("16-17",)),
)
"""Every move of the structure *history*."""

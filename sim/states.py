"""States of a resident, their phases, and the moves between them: data only.

A *phase* is what the hazards depend on: a state, for activity-ready people whether they came from job-ready recently
(``newly``), and for job-ready people whether they stay for good. A phase may be cut into duration classes by the months
since it began. The moves are one table for every structure of the model: a structure is a set of parameter values
(nil where it has no such move, equal where it makes no difference).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
        "Tilkendt førtidspension; forlades kun ved død eller folkepension.",
        "Awarded disability pension; left only by death or retirement.",
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
    ``until`` is the last month before the phase passes into ``then`` without a change of state. ``counts_as`` is the
    state it is counted in wherever a source counts benefits: activation counts as the readiness it came from.
    """

    key: str
    state: str
    counts_as: str
    cuts: tuple[int, ...] = ()
    until: int | None = None
    then: str | None = None


_CUTS: Final = {"employed": (3, 12), "other_benefit": (6,), "job_ready": (8,), "activation": (8,)}
_COUNTS_AS: Final = {"activation": "job_ready"}

PHASES: Final = (
    *(
        Phase(state.key, state.key, _COUNTS_AS.get(state.key, state.key), cuts=_CUTS.get(state.key, ()))
        for state in STATES
    ),
    Phase("newly_activity_ready", "activity_ready", "activity_ready", until=60, then="activity_ready"),
    Phase(
        "activation_newly_activity_ready",
        "activation",
        "activity_ready",
        until=60,
        then="activation_activity_ready",
    ),
    Phase("activation_activity_ready", "activation", "activity_ready"),
    Phase("insured_unemployed", "other_benefit", "other_benefit"),
    Phase("job_ready_stayer", "job_ready", "job_ready"),
    Phase("activation_job_ready_stayer", "activation", "job_ready"),
)
"""All phases; a state's own phase has the state's code, further phases follow.

The own phase of ``activation`` holds the job-ready: that is who comes there when nothing else is known.
``insured_unemployed`` are other benefits after a job (unemployment insurance), which people leave sooner.
``job_ready_stayer`` are job-ready people who never leave cash benefit, as long as they live and are not retired: no
move leads there, one is found so (structure *history_stayers*).
"""

PHASE_CODE: Final = {phase.key: code for code, phase in enumerate(PHASES)}
"""Phase code by key."""


@dataclass(frozen=True)
class AgeClass:
    """An age class with hazards of its own, from ``first`` (years) up to the next class."""

    key: str
    first: int


RETIREMENT_AGE: Final = 65
"""Public pension age (years) of everybody who reaches it in the years the evidence covers; a statutory age."""

UPPER_SECONDARY_AGE: Final = 20
"""Age (years) from which students have completed an upper-secondary education and qualify when they leave for work:
a rule of the model, at the beginning of an age class; no source gives ages of completion."""

AGE_CLASSES: Final = (
    AgeClass("0-15", 0),
    AgeClass("16-17", 16),
    AgeClass("18-19", 18),
    AgeClass("20-24", UPPER_SECONDARY_AGE),
    AgeClass("25-50", 25),
    AgeClass("51-64", 51),
    AgeClass("65+", RETIREMENT_AGE),
)
SEXES: Final = ("women", "men")
ORIGINS: Final = ("danish", "western", "non_western")
EDUCATIONS: Final = ("basic", "general_upper_secondary", "vocational", "higher", "unknown")
"""Highest completed education; ``basic`` also holds those who have not finished basic school."""
BARRIERS: Final = ("health", "language", "family", "isolation")
"""Barriers to work in the order of their bits in a resident's ``barriers``."""
BARRIER_LABELS: Final = {
    "health": ("helbred", "health"),
    "language": ("sprog", "language"),
    "family": ("familie og social kontrol", "family and social control"),
    "isolation": ("isolation", "isolation"),
}
SEX_LABELS: Final = {"women": ("kvinder", "women"), "men": ("mænd", "men")}
ORIGIN_LABELS: Final = {
    "danish": ("dansk", "Danish"),
    "western": ("vestlig", "Western"),
    "non_western": ("ikke-vestlig", "non-Western"),
}
LIKE: Final = {"danish": "danish", "western": "danish", "non_western": "non_western"}
"""Whose parameters an origin uses: no source tells Western from Danish residents (assumption)."""


@dataclass(frozen=True)
class Move:
    """A move that residents make, and the rule that gives its monthly hazard.

    The hazard is the product of the parameters named by ``terms``. ``{months}`` in a name stands for the duration class
    of the origin phase (``1_3``, ``13_on``), ``{age}`` for the age class (``18_19``), ``{sex}`` for women or men and
    ``{like}`` for danish or non_western; a name without any holds for all. ``dated`` names factors that change with the
    calendar year, and ``rest_to`` the phase that takes the part the last of them removes. ``ages`` are the age classes
    that make the move. ``early`` names one more factor, for the first duration class only. ``keeps_clock``: the months
    counted in the origin phase go on in the new one. A move without terms is certain: everybody makes it at once.
    """

    origin: str
    to: str
    terms: tuple[str, ...]
    ages: tuple[str, ...]
    dated: tuple[str, ...] = ()
    rest_to: str | None = None
    early: str | None = None
    keeps_clock: bool = False


_YOUTH = ("16-17", "18-19", "20-24")
_YOUNG_ADULT = ("18-19", "20-24")
_OVER_24 = ("25-50", "51-64")
_ADULT = (*_YOUNG_ADULT, *_OVER_24)


def _exits_to_no_benefit(origin: str, early: str | None = None, reform: tuple[str, ...] = ()) -> tuple[Move, ...]:
    return tuple(
        Move(
            origin,
            to,
            (f"rate_{origin}_to_no_benefit", f"no_benefit_share_{to}_{{sex}}", "activation_exit_factor"),
            _ADULT,
            dated=(*reform, "demand") if to == "employed" else reform,
            early=early,
        )
        for to in ("employed", "self_supporting", "in_education")
    )


def _exits_to_other_benefit(origin: str, readiness: str, reform: tuple[str, ...] = ()) -> tuple[Move, ...]:
    rate = f"rate_{origin}_to_other_benefit"
    return (
        Move(origin, "other_benefit", (rate, f"{readiness}_exit_share_other_benefit"), _ADULT, dated=reform),
        Move(
            origin,
            "disability_pension",
            (rate, f"{readiness}_exit_share_pension"),
            _ADULT,
            dated=(*reform, "pension_awards"),
            rest_to="other_benefit",
        ),
    )


def _exits_of_activity_ready(origin: str) -> tuple[Move, ...]:
    return (
        Move(origin, "job_ready", (f"rate_{origin}_to_job_ready",), _ADULT, dated=("reform_activity_ready_up",)),
        *_exits_to_no_benefit(origin),
        *_exits_to_other_benefit(origin, "activity_ready"),
    )


_CASH_BENEFIT: Final = (
    Move(
        "job_ready",
        "newly_activity_ready",
        ("rate_job_ready_to_activity_ready",),
        _ADULT,
        dated=("reform_job_ready_out",),
    ),
    *_exits_to_no_benefit("job_ready", "exit_factor_months_1_8", ("reform_job_ready_out",)),
    *_exits_to_other_benefit("job_ready", "job_ready", ("reform_job_ready_to_other_benefit",)),
    *_exits_of_activity_ready("newly_activity_ready"),
    *_exits_of_activity_ready("activity_ready"),
)
ACTIVATION_OF: Final = {
    "job_ready": "activation",
    "newly_activity_ready": "activation_newly_activity_ready",
    "activity_ready": "activation_activity_ready",
    "job_ready_stayer": "activation_job_ready_stayer",
}
"""The phase of a cash-benefit recipient in usual municipal activation, by the phase outside it. Who stays for good
comes and goes like the others and is remembered as a stayer: activation does not let them out."""

STAYER_OF: Final = {"job_ready": "job_ready_stayer", "activation": "activation_job_ready_stayer"}
"""The phase of a job-ready person who stays for good, by the phase of those who do not."""


def _in_activation(move: Move) -> Move:
    """Return the move of somebody in activation: the same way out, exits to no benefit held back by lock-in."""
    terms = tuple("activation_lock_in" if term == "activation_exit_factor" else term for term in move.terms)
    return replace(move, origin=ACTIVATION_OF[move.origin], terms=terms)


MOVES: Final = (
    *_CASH_BENEFIT,
    *(_in_activation(move) for move in _CASH_BENEFIT),
    *(
        move
        for outside, inside in ACTIVATION_OF.items()
        for move in (
            Move(
                outside,
                inside,
                ("rate_out_of_activation", "activation_entry_factor"),
                _ADULT,
                dated=("activation_odds",),
                keeps_clock=True,
            ),
            Move(inside, outside, ("rate_out_of_activation",), _ADULT, keeps_clock=True),
        )
    ),
    *(
        Move(
            "employed",
            to,
            ("job_loss_months_{months}", f"job_loss_share_{to}", factor),
            ages,
        )
        for factor, ages in (("job_loss_factor_young", _YOUNG_ADULT), ("job_loss_factor_{sex}_{like}", _OVER_24))
        for to in ("job_ready", "insured_unemployed", "self_supporting")
    ),
    Move("insured_unemployed", "employed", ("rate_insured_unemployed_to_employed",), _ADULT, dated=("demand",)),
    Move("insured_unemployed", "job_ready", ("rate_insured_unemployed_to_job_ready",), _ADULT),
    Move("self_supporting", "job_ready", ("rate_self_supporting_to_job_ready",), _ADULT),
    Move("self_supporting", "employed", ("rate_adult_self_supporting_to_employed",), _OVER_24, dated=("demand",)),
    Move("in_education", "job_ready", ("rate_in_education_to_job_ready",), _ADULT),
    Move("in_education", "employed", ("rate_adult_in_education_to_employed",), _OVER_24, dated=("demand",)),
    *(
        Move(
            "other_benefit",
            to,
            ("rate_out_of_other_benefit_months_{months}", f"other_benefit_share_{to}"),
            _ADULT,
            dated=("demand",) if to == "employed" else (),
        )
        for to in ("job_ready", "activity_ready", "employed")
    ),
    *(
        Move("basic_school", to, (f"rate_basic_school_to_{to}",), (*_YOUTH, *_OVER_24))
        for to in ("in_education", "employed", "self_supporting")
    ),
    Move("in_education", "employed", ("rate_youth_in_education_to_employed",), _YOUTH, dated=("demand",)),
    *(
        Move("in_education", "self_supporting", (f"rate_youth_in_education_to_self_supporting_{name}",), ages)
        for name, ages in (("16_19", ("16-17", "18-19")), ("20_24", ("20-24",)))
    ),
    Move("self_supporting", "in_education", ("rate_youth_self_supporting_to_in_education_{sex}",), _YOUTH),
    Move("self_supporting", "employed", ("rate_youth_self_supporting_to_employed",), _YOUTH, dated=("demand",)),
    Move("employed", "in_education", ("rate_youth_employed_to_in_education",), _YOUTH),
    Move("employed", "self_supporting", ("rate_youth_employed_to_self_supporting",), ("16-17",)),
    *(
        Move(phase.key, "gone", terms, ages)
        for phase in PHASES
        if phase.key != "gone"
        for terms, ages in ((("death_{age}",), _OVER_24), ((), ("65+",)))
    ),
)
"""Every move of every structure."""

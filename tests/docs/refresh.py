"""Write what is made from the code: ``python tests/docs/refresh.py``.

The tables of sim/README.md, and a page for every activity.
"""

import re
from pathlib import Path

from calibration.structures import CORE_RATES, STRUCTURES
from sim.activities import catalogue, families
from sim.activities.base import CHANNELS, DONE, ENROLLED, KINDS, NEW, THEN, UNCHANGED, UNSERVED, WAITING
from sim.activities.cards import cards_of_mechanic, mechanics
from sim.locale import text
from sim.measures import MEASURES
from sim.pages import FOLDER, pages
from sim.parameters import GRADES, ParameterSet
from sim.states import AGE_CLASSES, MOVES, PHASE_CODE, PHASES, STATES
from sim.transitions import duration_labels

README = Path(__file__).parents[2] / "sim" / "README.md"


def _table(*rows):
    lines = ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _classes(phase):
    labels = duration_labels(phase)
    return ", ".join(label.replace("_on", " on").replace("_", "-") for label in labels) if phase.cuts else "one"


def _hazard(move):
    if not move.terms:
        return "certain"
    parts = [" × ".join(f"`{term}`" for term in move.terms)]
    first = _classes(PHASES[PHASE_CODE[move.origin]]).split(", ")[0]
    parts += [f"× `{move.early}` in months {first}"] if move.early else []
    parts += [f"× {name}" for name in move.dated]
    parts += [f"(rest to {move.rest_to})"] if move.rest_to else []
    return " ".join(parts)


def _ties(structure):
    """Return what a structure says of the ids it does not leave free: moves that are nil or alike, factors of 1."""
    names = {0.0: "nil", 1.0: "1"}
    return "; ".join(
        f"`{id}` {f'as `{to}`' if isinstance(to, str) else names[to]}" for id, to in structure.ties.items()
    )


_STANDING = {
    NEW: "known of, not yet queued",
    WAITING: "waiting",
    ENROLLED: "enrolled",
    DONE: "through with it",
    UNSERVED: "not served",
    UNCHANGED: "",
}


def sections():
    """Return the text of every generated section by name."""
    parameters = ParameterSet.read("default")
    cards = [*parameters.values(), *(p for a in catalogue().values() for p in a.parameters.values())]
    return {
        "states": _table(
            ("state", "Danish", "definition"), *((f"`{s.key}`", s.label_da, s.definition_en) for s in STATES)
        ),
        "phases": _table(
            ("phase", "state", "duration classes (months)", "passes into"),
            *(
                (f"`{p.key}`", p.state, _classes(p), f"{p.then} after {p.until} months" if p.then else "")
                for p in PHASES
                if p.cuts or p.then or p.key != p.state
            ),
        ),
        "ages": ", ".join(age.key for age in AGE_CLASSES),
        "measures": _table(
            ("measure", "what", "among", "unit"),
            *((f"`{m.key}`", m.label_en, m.population_en, m.unit) for m in MEASURES.values()),
        ),
        "moves": _table(
            ("from", "to", "ages", "monthly hazard"),
            *((m.origin, m.to, ", ".join(m.ages), _hazard(m)) for m in MOVES),
        ),
        "structures": _table(
            ("structure", "what it says", "fitted", "of them its own", "not free"),
            *(
                (
                    f"`{s.key}`",
                    s.story_en,
                    len(s.fitted),
                    ", ".join(f"`{id}`" for id in s.fitted if id not in CORE_RATES) or "none",
                    _ties(s),
                )
                for s in STRUCTURES.values()
            ),
        ),
        "channels": _table(
            ("channel", "Danish", "reaches"),
            *((f"`reach_{key}`: {c.label_en}", c.label_da, ", ".join(c.states)) for key, c in CHANNELS.items()),
        ),
        "mechanics": _table(
            ("mechanic", "what", "numbers", "activities"),
            *(
                (
                    f"`{name}`",
                    text(f"pages.mechanic_{name}", "en"),
                    ", ".join(f"`{id}`" for id in cards_of_mechanic(name)),
                    sum(name in activity.mechanics for activity in catalogue().values()),
                )
                for name in mechanics()
            ),
        ),
        "kinds": " ".join(
            f"{text(f'pages.says_{kind}', 'en')} ({sum(a.kind == kind for a in catalogue().values())} of them.)"
            for kind in KINDS
        ),
        "events": _table(("event", "then"), *((f"`{event}`", _STANDING[then]) for event, then in THEN.items())),
        "activities": _table(
            ("activity", "name", "family", "kind", "form", "grade"),
            *(
                (
                    f"[`{a.key}`](activities/pages/{a.key}.md)",
                    a.label_en,
                    families()[a.family].label_en,
                    a.kind,
                    a.form,
                    a.grade,
                )
                for a in catalogue().values()
            ),
        ),
        "grades": _table(GRADES, [sum(card.grade == grade for card in cards) for grade in GRADES]),
    }


def refreshed(text):
    """Return ``text`` with every generated section made anew."""
    made = sections()
    used = set()

    def fill(match):
        name = match[1]
        used.add(name)
        gap = "" if name in ("ages", "kinds") else "\n"
        return f"<!-- generated: {name} -->{gap}{made[name]}{gap}<!-- end -->"

    text = re.sub(r"<!-- generated: (\w+) -->.*?<!-- end -->", fill, text, flags=re.DOTALL)
    assert used == set(made), f"sections without a place: {set(made) - used}"
    return text


if __name__ == "__main__":
    README.write_text(refreshed(README.read_text(encoding="utf-8")), encoding="utf-8")
    FOLDER.mkdir(exist_ok=True)
    for left in {path.name for path in FOLDER.iterdir()} - pages().keys():
        (FOLDER / left).unlink()
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")

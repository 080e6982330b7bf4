"""One page of documentation for every activity, in Danish and English, made from its cards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .activities import ActivityType, catalogue, families
from .activities.base import CHANNELS
from .activities.cards import is_nil
from .changes import Line, lines, plain, size_words, source_words
from .eligibility import Eligibility
from .locale import LANGUAGES, percent, text
from .parameters import UNITS, Parameter
from .sources import source_of
from .states import BARRIER_LABELS, ORIGIN_LABELS, SEX_LABELS, STATES

FOLDER = Path(__file__).parent / "activities" / "pages"
"""Where the pages stand."""
INDEX = "README.md"
_PLACES = 20
"""Places in the scenario to begin with."""


def pages() -> dict[str, str]:
    """Return the text of every page by file name, the index first."""
    return {INDEX: index(), **{f"{key}.md": page(activity) for key, activity in catalogue().items()}}


def index() -> str:
    """Return the list of all activities by family."""
    parts = [f"# {text('pages.index_title', 'da')} / {text('pages.index_title', 'en')}"]
    for lang in LANGUAGES:
        parts.append(f"## {text('pages.language', lang)}")
        parts.append(text("pages.index_lead", lang, count=len(catalogue())))
        head = [text(f"pages.{key}", lang) for key in ("index_activity", "index_kind", "grade", "index_measured")]
        for family in families().values():
            members = [activity for activity in catalogue().values() if activity.family == family.key]
            parts.append(f"### {family.label(lang)}")
            parts.append(_table(head, [_index_row(activity, lang) for activity in members]))
    return _joined(parts)


def _index_row(activity: ActivityType, lang: str) -> list[str]:
    acting = [line.words(activity, lang) for line in lines(activity) if not _idle(activity, line)]
    kind = text(f"pages.kind_{activity.kind}", lang)
    changes = "; ".join(acting) or text("pages.index_nothing", lang)
    return [f"[{activity.label(lang)}]({activity.key}.md)", kind, activity.grade, changes]


def _idle(activity: ActivityType, line: Line) -> bool:
    return all(is_nil(id, activity.parameters[id].value) for id in line.ids)


def page(activity: ActivityType) -> str:
    """Return the page of an activity: both languages, a scenario to begin with, and the sources in words."""
    parts = [f"# {activity.label_da} / {activity.label_en}"]
    for lang in LANGUAGES:
        parts.append(f"## {text('pages.language', lang)}")
        parts += _in_words(activity, lang)
    parts.append(f"## {text('pages.scenario', 'da')} / {text('pages.scenario', 'en')}")
    parts += [text("pages.scenario_lead", lang) for lang in LANGUAGES]
    parts.append(f"```yaml\n{scenario_text(activity)}```")
    parts.append(f"## {text('pages.sources', 'da')} / {text('pages.sources', 'en')}")
    parts.append("\n".join(f"- `{id}`: {source_of(id).cite()}" for id in activity.sources))
    return _joined(parts)


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    shown = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (head, *rows)]
    return "\n".join([shown[0], "|" + "---|" * len(head), *shown[1:]])


def _in_words(activity: ActivityType, lang: str) -> Iterator[str]:
    """Yield the page's parts in one language."""

    def heading(key: str) -> str:
        return f"### {text(f'pages.{key}', lang)}"

    family, kind = families()[activity.family].label(lang), text(f"pages.says_{activity.kind}", lang)
    yield text("pages.head", lang, family=family, kind=kind, grade=activity.grade, key=activity.key)
    yield heading("what")
    yield activity.description_da if lang == "da" else activity.description_en
    yield heading("who_lever" if activity.kind == "lever" else "who")
    yield " ".join(_who(activity, lang))
    yield heading("hear")
    yield _channels(activity, lang)
    yield heading("runs")
    yield _runs(activity, lang)
    yield heading("changes")
    yield activity.changes_da if lang == "da" else activity.changes_en
    yield _effects(activity, lang)
    yield heading("cannot")
    yield activity.cannot_da if lang == "da" else activity.cannot_en
    yield heading("points")
    yield from _points(activity, lang)
    yield heading("next")
    yield _next(activity, lang)
    yield heading("cards")
    yield _cards(activity, lang)


# --- who, how, what ---------------------------------------------------------------------------------------------------


def _state_words(keys: Sequence[str], lang: str) -> str:
    labels = {state.key: state.label_da if lang == "da" else state.label_en for state in STATES}
    return "; ".join(labels[key] for key in keys)


def _groups(of: Eligibility, lang: str) -> str:
    at = ("da", "en").index(lang)
    sex = text("pages.who_sex", lang, sex=SEX_LABELS[of.sex][at]) if of.sex else ""
    origins = ", ".join(ORIGIN_LABELS[origin][at] for origin in of.origins)
    barriers = ", ".join(BARRIER_LABELS[barrier][at] for barrier in of.barriers)
    several = "who_barriers" if len(of.barriers) > 1 else "who_barrier"
    return "".join(
        [
            sex,
            text("pages.who_origins", lang, origins=origins) if origins else "",
            text(f"pages.{several}", lang, barriers=barriers) if barriers else "",
        ]
    )


def _who(activity: ActivityType, lang: str) -> Iterator[str]:
    target, cards = activity.eligibility, activity.parameters
    if "age_from" not in cards:
        yield text("pages.who_nobody", lang)
        return
    ages = {end: plain(cards[id].value, lang) for end, id in (("low", "age_from"), ("high", "age_to"))}
    states = _state_words(target.states, lang)
    yield text("pages.who_sentence", lang, **ages, groups=_groups(target, lang), states=states)
    if activity.stays:
        yield text("pages.who_stays", lang, states=_state_words(activity.stays, lang))
    if activity.acts_on == "partner":
        yield text("pages.who_partner", lang)
    if among := activity.contacts_among:
        states = _state_words(among.states, lang)
        yield text("pages.who_contacts", lang, states=states, groups=_groups(among, lang))


def _channels(activity: ActivityType, lang: str) -> str:
    if not activity.channels:
        return text("pages.hear_nobody" if activity.kind == "lever" else "pages.hear_handed", lang)
    rows = []
    for name in activity.channels:
        card, channel = activity.parameters[f"reach_{name}"], CHANNELS[name]
        reached = [state for state in activity.eligibility.states if state in channel.states]
        rate = f"{plain(card.value, lang)} ({_range(card, lang)})"
        rows.append([channel.label(lang), _state_words(reached, lang), rate, card.grade])
    return _table([text(f"pages.{key}", lang) for key in ("channel", "channel_states", "channel_rate", "grade")], rows)


def _runs(activity: ActivityType, lang: str) -> str:
    cards = activity.parameters
    said = [text(f"pages.form_{activity.form}", lang)]
    if activity.kind != "lever":
        shared = {
            "take_up": percent(cards["take_up"].value, lang, 0),
            "patience": plain(cards["patience_months"].value, lang),
        }
        if activity.kind == "course":
            more = {"duration": "duration_months", "attrition": "attrition_per_month"}
            own = {name: plain(cards[id].value, lang) for name, id in more.items()}
        else:
            share = plain(cards["additional_share"].value, lang)
            own = {"share": share, "gives": _gives(activity.gives, lang)}
        said.append(text(f"pages.runs_{activity.kind}", lang, **shared, **own))
    if activity.occupies:
        said.append(text("pages.occupies", lang))
    if activity.pool:
        others = [a for a in catalogue().values() if a.pool == activity.pool and a.key != activity.key]
        said.append(text("pages.pool", lang, others=", ".join(_link(other.key, lang) for other in others)))
    mechanics = [f"- {text(f'pages.mechanic_{name}', lang)}" for name in activity.mechanics]
    return "\n\n".join([" ".join(said), *(["\n".join(mechanics)] if mechanics else [])])


def _gives(name: str, lang: str) -> str:
    known = {state.key for state in STATES}
    return _state_words([name], lang) if name in known else text(f"pages.gives_{name}", lang)


def _effects(activity: ActivityType, lang: str) -> str:
    found = list(lines(activity))
    if not found:
        return text("pages.changes_none", lang)
    head = [text(f"pages.{key}", lang) for key in ("change", "during", "after", "grade", "source")]
    rows = []
    for line in found:
        cards = [activity.parameters[id] for id in line.ids]
        sizes = [_size(activity.parameters[id], lang) if id else "–" for id in (line.during, line.after)]
        grades = " / ".join(dict.fromkeys(card.grade for card in cards))
        sources = source_words(list(dict.fromkeys(id for card in cards for id in card.source)), lang)
        rows.append([line.words(activity, lang), *sizes, grades, sources])
    return f"{_table(head, rows)}\n\n{text('pages.changes_note', lang)}"


def _size(card: Parameter, lang: str) -> str:
    size, limits = size_words(card.value, *card.range, card.unit, lang)
    return f"{size} ({limits})"


def _range(card: Parameter, lang: str) -> str:
    return text("report.to", lang, low=plain(card.range[0], lang), high=plain(card.range[1], lang))


def _points(activity: ActivityType, lang: str) -> Iterator[str]:
    if not (activity.drivers or activity.hindrances):
        yield text("pages.points_none", lang)
    for key in ("drivers", "hindrances"):
        points = getattr(activity, key)
        if points:
            yield text(f"pages.{key}", lang)
            yield "\n".join(f"- `{point.id}`: {point.da if lang == 'da' else point.en}" for point in points)


def _link(key: str, lang: str) -> str:
    return text("pages.everything", lang) if key == "all" else f"[{catalogue()[key].label(lang)}]({key}.md)"


def _next(activity: ActivityType, lang: str) -> str:
    found = []
    for key in ("follow_on", "brings_to", "raises_reach_of"):
        names: Sequence[str] = getattr(activity, key)
        if names:
            found.append(f"- {text(f'pages.{key}', lang)}: {', '.join(_link(name, lang) for name in names)}")
    return "\n".join(found) or text("pages.next_none", lang)


def _cards(activity: ActivityType, lang: str) -> str:
    keys = ("card_id", "card_label", "card_value", "card_unit", "card_range", "grade", "card_date", "source")
    rows = []
    for card in activity.parameters.values():
        unit = UNITS[card.unit]
        note = card.note_da if lang == "da" else card.note_en
        rows.append(
            [
                f"`{card.id}`",
                card.label(lang) + (f": {note}" if note else ""),
                plain(card.value, lang),
                unit.label_da if lang == "da" else unit.label_en,
                _range(card, lang),
                card.grade,
                card.date,
                source_words(card.source, lang),
            ]
        )
    return _table([text(f"pages.{key}", lang) for key in keys], rows)


# --- a scenario to begin with -----------------------------------------------------------------------------------------


def scenario_text(activity: ActivityType) -> str:
    """Return a whole scenario file with the activity, its effects as comments."""
    head = [
        "schema: scenario/1",
        f"id: try_{activity.key}",
        "extends: baseline.yaml",
        f'title: {{da: "{activity.label_da}", en: "{activity.label_en}"}}',
        "activities:",
    ]
    item: Mapping[str, object] = {
        "activity": activity.key,
        "places": 0 if activity.kind == "lever" else _PLACES,
        "start": '"2012-01"',
        "end": '"2016-12"',
    }
    own = [f"    # {id}: {activity.parameters[id].value:g}" for line in lines(activity) for id in line.ids]
    return "\n".join([*head, f"  - id: {activity.key}", *(f"    {k}: {v}" for k, v in item.items()), *own]) + "\n"

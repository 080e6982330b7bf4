"""The tables of the model description and the pages of the activities are those of the code."""

import re

import pytest
from refresh import README, refreshed

from sim.activities import ActivityType, catalogue
from sim.activities.cards import is_nil
from sim.changes import lines
from sim.locale import LANGUAGES, messages
from sim.pages import FOLDER, INDEX, pages, scenario_text
from sim.scenario import Scenario

PAGES = pages()


def test_model_description_is_up_to_date():
    shown = README.read_text(encoding="utf-8")
    assert shown == refreshed(shown), "run `python tests/docs/refresh.py`"


def test_every_activity_has_a_page_that_is_up_to_date():
    shown = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert shown.keys() == {INDEX, *(f"{key}.md" for key in catalogue())}
    assert [name for name, text in PAGES.items() if shown[name] != text] == [], "run `python tests/docs/refresh.py`"


@pytest.mark.parametrize("activity", catalogue().values(), ids=lambda activity: activity.key)
def test_a_page_holds_every_card_and_point_in_both_languages(activity: ActivityType):
    danish, english = PAGES[f"{activity.key}.md"].split("\n## English\n")
    for lang, text in zip(LANGUAGES, (danish, english), strict=True):
        assert (activity.cannot_da if lang == "da" else activity.cannot_en) in text
        for card in activity.parameters.values():
            assert f"| `{card.id}` | {card.label(lang)}" in text
        for point in (*activity.drivers, *activity.hindrances):
            assert f"- `{point.id}`: {point.da if lang == 'da' else point.en}" in text
        for line in lines(activity):
            assert f"| {line.words(activity, lang)} | " in text
    assert "{" not in re.sub(r"```.*?```", "", danish + english, flags=re.DOTALL)


@pytest.mark.parametrize("activity", catalogue().values(), ids=lambda activity: activity.key)
def test_the_scenario_of_a_page_is_one(activity: ActivityType, tmp_path):
    path = tmp_path / "try.yaml"
    path.write_text(scenario_text(activity), encoding="utf-8")
    (plan,) = Scenario.read(path).activities
    assert plan.activity == activity.key
    # Its comments are settings: with the signs removed it says the same.
    path.write_text(scenario_text(activity).replace("    # ", "    "), encoding="utf-8")
    assert Scenario.read(path).activities[0].values == plan.values


def test_every_link_between_pages_leads_somewhere():
    for name, text in PAGES.items():
        targets = re.findall(r"\]\(([^)]+)\)", text)
        assert set(targets) <= PAGES.keys(), name
    assert len(re.findall(r"\]\((\w+)\.md\)", PAGES[INDEX])) == 2 * len(catalogue())


def test_what_an_activity_changes_covers_every_effect_of_its_cards():
    for activity in catalogue().values():
        told = {id for line in lines(activity) for id in line.ids}
        effects = {id for id in activity.parameters if id.startswith(("effect_", "eases_"))}
        assert effects <= told <= activity.parameters.keys()
    # By what is measured, most of them change nothing: those that do are the three with an estimate.
    acting = {
        key
        for key, activity in catalogue().items()
        if any(not is_nil(id, activity.parameters[id].value) for line in lines(activity) for id in line.ids)
    }
    assert acting == {"leisure_job", "pocket_money_job", "network_mothers"}


def test_the_words_of_pages_exist_in_both_languages_with_the_same_blanks():
    for key, message in messages("pages").items():
        blanks = [sorted(re.findall(r"\{(\w+)\}", message[lang])) for lang in LANGUAGES]
        assert blanks[0] == blanks[1], key
        assert all(message[lang].strip() for lang in LANGUAGES), key

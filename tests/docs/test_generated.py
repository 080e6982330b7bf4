"""The tables of the model description are those of the code."""

from refresh import README, refreshed


def test_model_description_is_up_to_date():
    shown = README.read_text(encoding="utf-8")
    assert shown == refreshed(shown), "run `python tests/docs/refresh.py`"

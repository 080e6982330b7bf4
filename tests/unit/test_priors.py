"""Priors have complete cards, and their densities, transforms and draws belong together."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kstest, lognorm, norm

from calibration.four_state import STRUCTURES
from calibration.priors import KINDS, PRIORS, Prior, centres, draw, log_density, read_priors, unconstrained, values_of
from calibration.structures import RETURNS
from sim.errors import ParameterError
from sim.parameters import ParameterSet

HELD_NEAR = {
    *RETURNS,
    "rate_no_benefit_to_job_ready",
    "rate_other_benefit_to_activity_ready",
    "rate_newly_activity_ready_to_job_ready",
    "rate_newly_activity_ready_to_no_benefit",
    "side_job_end",
}
"""What the shares do not tell: returns to benefit, exits of the newly activity-ready, how long leisure jobs last."""

CARD = {
    "id": "rate",
    "kind": "log_normal",
    "median": 0.01,
    "sd": 1.0,
    "source": ("assumption",),
    "date": "2011",
    "grade": "D",
    "label_da": "rate",
    "label_en": "rate",
}


@pytest.mark.parametrize("prior", read_priors(), ids=lambda prior: prior.id)
def test_a_prior_follows_the_rule_of_its_kind(prior: Prior):
    assert prior.label("da") != prior.label("en")
    assert bool(prior.note_da) == bool(prior.note_en)
    if prior.id.startswith("reform_factor_"):
        assert (prior.kind, prior.median, prior.sd) == ("log_normal", 1.0, 0.25)
    elif prior.id.endswith("_share"):
        assert prior.kind == "logit_normal"
    elif prior.id in HELD_NEAR:
        assert (prior.kind, prior.sd) == ("log_normal", 0.5)
    else:
        assert (prior.kind, prior.sd) == ("log_normal", 1.0)


def test_medians_of_returns_are_those_of_the_cards(parameters: ParameterSet):
    shared = [prior for prior in read_priors() if prior.id in parameters and parameters[prior.id].grade == "D"]
    assert len(shared) >= 4
    for prior in shared:
        if prior.id.startswith(("rate_out_of", "rate_self", "rate_in_education")):
            assert prior.median == parameters.value(prior.id), prior.id


def test_every_free_parameter_has_a_prior_and_others_are_refused():
    for structure in STRUCTURES.values():
        assert [prior.id for prior in read_priors(structure.parameters)] == list(structure.parameters)
    with pytest.raises(ParameterError) as caught:
        read_priors(["rate_job_ready_to_nobenefit", "nothing"])
    assert [(p.kind, p.key, p.nearest) for p in caught.value.problems] == [
        ("prior_unknown", "rate_job_ready_to_nobenefit", "rate_job_ready_to_no_benefit"),
        ("prior_unknown", "nothing", None),
    ]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"kind": "normal"}, "rate.kind"),
        ({"median": 0.0}, "rate.median"),
        ({"median": 1.0, "kind": "logit_normal"}, "rate.median"),
        ({"sd": 0.0}, "rate.sd"),
        ({"sd": float("nan")}, "rate.sd"),
        ({"source": ()}, "rate.source"),
        ({"source": ("no_such_row",)}, "no_such_row"),
        ({"grade": "E"}, "rate.grade"),
        ({"grade": "B"}, "rate.grade"),
        ({"label_da": ""}, "rate.label_da"),
    ],
)
def test_an_impossible_card_is_refused(change: dict, key: str):
    Prior(**CARD)
    with pytest.raises(ParameterError) as caught:
        Prior(**{**CARD, **change})
    assert [p.key for p in caught.value.problems] == [key]


def test_a_file_with_wrong_cards_names_them_all(tmp_path: Path):
    path = tmp_path / "priors.yaml"
    lines = PRIORS.read_text(encoding="utf-8").splitlines()
    cards = [line for line in lines if line.startswith("- {id")]
    path.write_text(
        "\n".join(
            [
                "priors:",
                cards[0],
                cards[0],
                cards[1].replace("sd:", "std:"),
                cards[2].replace("median: 0.01", "median: -1"),
            ]
        ),
        encoding="utf-8",
    )
    with pytest.raises(ParameterError) as caught:
        read_priors(path=path)
    assert [p.kind for p in caught.value.problems] == ["duplicate_key", "unknown_key", "card_missing", "bounds"]


def test_a_single_source_may_stand_without_brackets(tmp_path: Path):
    text = PRIORS.read_text(encoding="utf-8")
    assert "source: [assumption]" in text
    path = tmp_path / "priors.yaml"
    path.write_text(text.replace("source: [assumption]", "source: assumption"), encoding="utf-8")
    assert read_priors(path=path) == read_priors()


def test_transforms_undo_each_other_and_medians_are_centres():
    priors = read_priors()
    assert {prior.kind for prior in priors} == set(KINDS)
    np.testing.assert_allclose(values_of(priors, centres(priors)), [prior.median for prior in priors], rtol=1e-12)
    z = draw(priors, np.random.default_rng(1), 500)
    np.testing.assert_allclose(unconstrained(priors, values_of(priors, z)), z, rtol=1e-9, atol=1e-9)
    shares = np.array([prior.kind == "logit_normal" for prior in priors])
    values = values_of(priors, 50 * z)
    assert (values[:, shares] <= 1).all()
    assert np.isfinite(values).all()


def test_densities_are_those_of_the_named_distributions():
    priors = read_priors(["rate_job_ready_to_no_benefit", "job_ready_stayer_share"])
    z = draw(priors, np.random.default_rng(2), 100)
    values = values_of(priors, z)
    # Log-normal density times the Jacobian dx/dz = x, logit-normal on its own scale.
    rate = lognorm(1.0, scale=0.01).logpdf(values[:, 0]) + np.log(values[:, 0])
    share = norm(np.log(0.1 / 0.9), 1.0).logpdf(np.log(values[:, 1] / (1 - values[:, 1])))
    np.testing.assert_allclose(log_density(priors, z), rate + share, rtol=1e-10)
    assert log_density(priors, z.reshape(20, 5, 2)).shape == (20, 5)


def test_draws_have_the_prior_distribution():
    priors = read_priors()
    z = draw(priors, np.random.default_rng(3), 4000)
    for column, prior in zip(z.T, priors, strict=True):
        # 1 % two-sided, shared among the parameters.
        assert kstest(column, norm(prior.centre, prior.sd).cdf).pvalue > 0.01 / len(priors)

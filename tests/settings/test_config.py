"""Guards the settings: what is impossible is told before a model loads, by field, value and remedy."""

from dataclasses import asdict, fields

import pytest

from rlkit.settings.config import CurriculumConfig
from rlkit.settings.keeping import KeepingConfig
from rlkit.settings.limits import CHOICES
from rlkit.settings.safety import SafetyConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"candidates": 0}, "candidates (0) must be at least 1"),
        ({"max_rounds": -1}, "max_rounds (-1) must be at least 1"),
        ({"value_hidden": 0}, "value_hidden (0) must be at least 1"),
        ({"value_steps": 0}, "value_steps (0) must be at least 1"),
        ({"value_buffer": 0}, "value_buffer (0) must be at least 1"),
        ({"judgement_memory": -1}, "judgement_memory (-1) must be at least 0"),
        ({"judgement_weight": -0.01}, "judgement_weight (-0.01) must be at least 0"),
        ({"judgement_length": 0}, "judgement_length (0) must be at least 1"),
        ({"value_learning_rate": 0.0}, "value_learning_rate (0.0) must be above 0"),
        ({"mastered": 90.0}, "mastered (90.0) must lie in 0 to 1"),
        ({"replay_share": 1.0}, "replay_share (1.0) must be at least 0 and below 1: something has to be"),
        ({"decay": -0.1}, "decay (-0.1) must lie in 0 to 1"),
        ({"floor": 2.0}, "floor (2.0) must lie in 0 to 1"),
        ({"skip_base": 1.5}, "skip_base (1.5) must lie in 0 to 1"),
        ({"variance_floor": 1.1}, "variance_floor (1.1) must lie in 0 to 1"),
        ({"likelihood_samples": 1}, "likelihood_samples (1) must be at least 2 (num_generations)"),
        ({"prior": 0.0}, "prior (0.0) must be above 0"),
        ({"category_temperature": 0.0}, "category_temperature (0.0) must be above 0"),
        ({"subset_share": 0.0}, "subset_share (0.0) must be above 0"),
        ({"references": 0.0}, "references (0.0) must be above 0"),
        ({"selection_temperature": 0.0}, "selection_temperature (0.0) must be above 0"),
        ({"reference_steps": 0}, "reference_steps (0) must be at least 1"),
        ({"subset_share": 10.0}, "subset_share (10.0) must be above 0 and at most 1"),
        ({"subset": "hardest"}, "subset ('hardest') must be one of hard, medium, easy, random"),
        ({"warmup_filter_steps": -1}, "warmup_filter_steps (-1) must be at least 0"),
        ({"revision_pass": -1}, "revision_pass (-1) must be at least 0"),
        ({"easy_weight": -0.2}, "easy_weight (-0.2) must be at least 0"),
        ({"oversample": 0.5}, "oversample (0.5) must be at least 1"),
        ({"target_start": 101.0}, "target_start (101.0) must lie in 0 to 100"),
        (
            {"curriculum": "adarft", "target": 1.0},
            "target (1.0) must lie between 0 and 1 for curriculum='adarft'",
        ),
        ({"fill": "drop"}, "fill ('drop') must be one of top_up, shrink, error"),
        (
            {"value_backbone": "linear"},
            "value_backbone ('linear') is gone: there is one head for all features; ",
        ),
        ({"value_backbone": "linear"}, "name what it sees, value_features=last_state"),
        (
            {"value_features": "policy,text"},
            "value_features ('policy,text') names 'policy'; there are: row, text,",
        ),
        ({"target": 50.0}, "target (50.0) must lie in 0 to 1: it is a share of the range"),
        ({"band_low": -0.1}, "band_low (-0.1) must lie in 0 to 1"),
        ({"band_high": 80.0}, "band_high (80.0) must lie in 0 to 1"),
        ({"band_low": 0.8, "band_high": 0.2}, "band_low (0.8) must not be above band_high (0.2); swap them"),
        ({"signal_max": 0.0}, "signal_max (0.0) must be above signal_min (0.0); give the range"),
        ({"signal_min": 2.0, "signal_max": 1.0}, "signal_max (1.0) must be above signal_min (2.0)"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(ValueError) as error:
        CurriculumConfig(**settings).validate()
    assert message in str(error.value)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"candidates": 1, "max_rounds": 1, "value_hidden": 1, "value_steps": 1, "value_buffer": 1},
        {"band_low": 0.5, "band_high": 0.5},
        {"band_low": 0.0, "band_high": 1.0, "target": 1.0},
        {"signal_min": -1.0, "signal_max": 1.0},
        *({"fill": fill} for fill in CHOICES["fill"]),
        *({"value_features": features} for features in ("policy", "text", "last_state,text")),
    ],
)
def test_possible_settings(settings):
    CurriculumConfig(**settings).validate()


def test_resolve_fills_in_only_what_was_left_out():
    config = CurriculumConfig("pcl", candidates=2)
    resolved = config.resolve({"candidates": 4, "target": 0.5})
    assert (resolved.candidates, resolved.target, resolved.band_low) == (2, 0.5, None)
    assert config.target is None


def test_numbers_are_what_was_set():
    set_by_hand = {"curriculum": "odf", "signal_min": 0.0, "allow_changed_data": False, "band_low": 0.1}
    defaults = asdict(SafetyConfig()) | asdict(KeepingConfig())
    set_by_hand |= {name: value for name, value in defaults.items() if value is not None}
    assert CurriculumConfig("odf", band_low=0.1).numbers() == set_by_hand


def test_every_field_has_a_help_text():
    assert all(field.metadata["help"] for field in fields(CurriculumConfig))


def test_no_field_has_the_name_of_one_of_trl_s():
    """They share one YAML file and one command line."""
    from trl import GRPOConfig, ModelConfig

    ours = {item.name for item in fields(CurriculumConfig)}
    theirs = {item.name for config in (GRPOConfig, ModelConfig) for item in fields(config)}
    assert ours & theirs == set()

"""Guards how objectives are named: by words, by a config, as objects; and what is said of a mistake."""

import pytest

from rlkit.objectives import OBJECTIVES, Objective, ObjectivesConfig, build_objectives
from rlkit.settings.arguments import parse_arguments


class Mine(Objective):
    name = "mine"


def names(objectives, brought=()):
    return [objective.name for objective in build_objectives(objectives, brought)]


def test_none_by_default():
    assert names(None) == names("") == names([]) == names(ObjectivesConfig()) == []


def test_every_listed_objective_is_made_under_its_name():
    for name, listed in OBJECTIVES.items():
        assert names(name) == [name] and listed.rule and listed.source


def test_objects_of_ones_own_go_with_names():
    assert names(["judgements", Mine()]) == ["judgements", "mine"]


def test_what_the_curriculum_brings_comes_once():
    assert names(None, ["judgements"]) == names("judgements", ["judgements"]) == ["judgements"]


def test_numbers_are_fields_in_yaml_and_on_the_command_line(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text("objectives: relift,clip_b\nclip_b_mu: 1.5\nrelift_pairs: 8\n")
    (config,) = parse_arguments([ObjectivesConfig], ["--config", str(file), "--relift_pairs", "4"])
    relift, clip_b = build_objectives(config)
    assert (relift.pairs, clip_b.mu) == (4, 1.5)


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        ("judgement", r"objectives names 'judgement' \(did you mean 'judgements'\?\); there are: judgements"),
        ("judgements,judgements", "objectives names 'judgements' 2 times; name each once"),
        ([Mine(), Mine()], "objectives names 'mine' 2 times"),
        ("clip_b,clip_v", "objectives names clip_b and clip_v: both mask tokens .* name one of them"),
        (ObjectivesConfig("clip_b", clip_b_mu=-1.0), r"clip_b_mu \(-1.0\) must be at least 0"),
        (ObjectivesConfig(clip_v_share=0.0), r"clip_v_share \(0.0\) must be above 0 and at most 1"),
        (ObjectivesConfig(relift_pairs=0), r"relift_pairs \(0\) must be at least 1"),
        (ObjectivesConfig(amft_mu=0.99), r"amft_mu \(0.99\) must lie in 0.05 to 0.95"),
        (ObjectivesConfig(amft_every=0), r"amft_every \(0\) must be at least 1"),
        (ObjectivesConfig(rmt_weight=-0.1), r"rmt_weight \(-0.1\) must be at least 0"),
        ([3], "objectives holds 3; give names, or objects of a subclass of rlkit.objectives.Objective"),
    ],
)
def test_a_mistake_is_one_line(objectives, message):
    with pytest.raises(ValueError, match=message):
        build_objectives(objectives)

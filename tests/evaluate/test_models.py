"""Guards how models are found, ordered, named and told apart."""

import shutil

import pytest

from rlkit.evaluate.models import find_models, fingerprint, model_labels


@pytest.fixture
def run(tmp_path):
    for step in (100, 50, 5):
        (tmp_path / "run" / f"checkpoint-{step}").mkdir(parents=True)
        (tmp_path / "run" / f"checkpoint-{step}" / "config.json").write_text("{}")
    shutil.copytree(tmp_path / "run", tmp_path / "other")
    return tmp_path / "run"


def test_checkpoints_come_in_order_of_steps_whatever_the_shell_says(run):
    sorted_run = [str(run / f"checkpoint-{step}") for step in (5, 50, 100)]
    assert find_models([str(run / "checkpoint-*")]) == sorted_run
    assert find_models([sorted_run[2], sorted_run[0], sorted_run[1], sorted_run[0]]) == sorted_run
    other = [path.replace("/run/", "/other/") for path in sorted_run]
    assert find_models([other[1], *sorted_run[::-1], other[0]]) == [*other[:2], *sorted_run]


def test_labels_take_as_much_of_the_path_as_they_need(run):
    models = find_models([str(run / "checkpoint-*"), str(run.parent / "other" / "checkpoint-5")])
    assert list(model_labels(models).values()) == [
        "run-checkpoint-5",
        "checkpoint-50",
        "checkpoint-100",
        "other-checkpoint-5",
    ]
    assert model_labels(["Qwen/Qwen3-1.7B"]) == {"Qwen/Qwen3-1.7B": "Qwen3-1.7B"}


def test_a_copy_has_the_same_fingerprint_and_other_weights_another(checkpoint, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(checkpoint, copy)
    assert fingerprint(str(copy)) == fingerprint(str(checkpoint))
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert fingerprint(str(copy)) != fingerprint(str(checkpoint))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "run",
            r"neither config.json nor adapter_config.json; name one of \['checkpoint-5', 'checkpoint-50', ",
        ),
        ("run/checkpoint-7", "there is no such folder"),
        ("run/nothing-*", "no folder matches .*nothing-"),
    ],
)
def test_folders_that_are_no_models_are_named(run, name, message):
    with pytest.raises(ValueError, match=message):
        find_models([str(run.parent / name)])


def test_a_name_that_the_hub_does_not_know_is_named():
    with pytest.raises(ValueError, match=r"model runs/checkpoint-9: there is no such folder .*, and the Hub"):
        find_models(["runs/checkpoint-9"])

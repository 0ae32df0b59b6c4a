"""Guards the signal's range in a trainer: what follows from the rewards, what must be declared."""

import logging

import pytest
import torch
from tiny_trl import by_place, even_start, make_data, make_trainer, metrics, share_of_ones

from rlkit import CurriculumConfig, build_curriculum

NO_MODEL = "no/such-model"


def signed(prompts, completions, **columns):
    return [2 * value - 1 for value in by_place()(prompts, completions)]


@pytest.mark.parametrize("preset", ["pcl", "rlkit", "mopps"])
def test_a_signal_outside_its_range_stops_before_the_first_update(tmp_path, preset):
    trainer = make_trainer(tmp_path, preset, signed, max_steps=2)
    before = {name: weight.clone() for name, weight in trainer.model.state_dict().items()}
    with pytest.raises(ValueError, match=r"from -1 to 1, .*set signal_min=-1 and signal_max=1"):
        trainer.train()
    assert trainer.state.global_step == 0
    assert all(torch.equal(weight, before[name]) for name, weight in trainer.model.state_dict().items())


def test_the_setting_that_the_error_names_fits(tmp_path):
    config = CurriculumConfig("pcl", signal_min=-1.0, signal_max=1.0)
    make_trainer(tmp_path, config, signed, max_steps=2).train()
    assert [row["signal/out_of_range"] for row in metrics(tmp_path)] == [0.0, 0.0]


def test_a_preset_without_a_range_trains_on_and_says_so(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="rlkit"):
        make_trainer(tmp_path, "dapo", signed, max_steps=2).train()
    assert "curriculum='dapo' does not depend on the range" in caplog.text
    assert metrics(tmp_path)[-1]["signal/out_of_range"] > 0


@pytest.mark.parametrize(("weight", "low", "high"), [(2.0, 0.0, 2.0), (-0.5, -0.5, 0.0)])
def test_the_range_of_one_reward_is_its_weight_s(tmp_path, weight, low, high):
    trainer = make_trainer(tmp_path, "mopps", by_place(), max_steps=1, reward_weights=[weight])
    scale = trainer.curriculum.signal_range.scale
    assert (scale.low, scale.high) == (low, high)
    trainer.train()


@pytest.mark.parametrize("preset", ["pcl", "vcrl"])
def test_several_rewards_need_the_range_that_a_row_can_get(tmp_path, preset):
    rewards = [even_start, share_of_ones]
    said = (
        r"of 2 weighted rewards \(even_start, share_of_ones\) is not known: set curriculum_signal .*"
        r"signal_min and signal_max .*\(-1 and 2 where"
    )
    with pytest.raises(ValueError, match=said):
        make_trainer(tmp_path, preset, rewards, model=NO_MODEL, reward_weights=[2.0, -1.0])
    for settings in ({"curriculum_signal": "even_start"}, {"signal_max": 2.0}):
        with pytest.raises(OSError):  # the model is what it gets to
            make_trainer(tmp_path, CurriculumConfig(preset, **settings), rewards, model=NO_MODEL)


@pytest.mark.parametrize(
    ("preset", "weights"), [("dapo", [1.0, 1.0]), ("uniform", [1.0, -0.5]), ("pcl", [1.0, 0.0])]
)
def test_several_rewards_where_nothing_is_left_to_say(tmp_path, preset, weights):
    with pytest.raises(OSError):
        make_trainer(tmp_path, preset, [even_start, share_of_ones], model=NO_MODEL, reward_weights=weights)


def test_rewards_of_rows_of_their_own_are_declared_and_train(tmp_path):
    def of_even(prompts, completions, **columns):
        values = by_place()(prompts, completions)
        return [None if int(prompt[2]) % 2 else value for prompt, value in zip(prompts, values, strict=True)]

    def of_odd(prompts, completions, **columns):
        values = by_place()(prompts, completions)
        return [value if int(prompt[2]) % 2 else None for prompt, value in zip(prompts, values, strict=True)]

    config = CurriculumConfig("mopps", signal_max=1.0)
    make_trainer(tmp_path, config, [of_even, of_odd], max_steps=2).train()
    assert metrics(tmp_path)[-1]["signal/out_of_range"] == 0.0


def test_a_curriculum_serves_one_trainer(tmp_path):
    curriculum = build_curriculum("mopps")
    make_trainer(tmp_path / "a", curriculum)
    with pytest.raises(ValueError, match=r"was bound to a pool before.*make another"):
        make_trainer(tmp_path / "b", curriculum, model=NO_MODEL, data=make_data())

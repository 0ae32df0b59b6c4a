"""Guards that TRL's settings about data and sampling are honoured, or refused by name."""

import dataclasses

import numpy as np
import pytest
import torch
from tiny_trl import (
    choices,
    even_start,
    ledger_rows,
    losses,
    make_args,
    make_data,
    make_plain_trainer,
    make_trainer,
    tiny,
    weights,
)
from trl import GRPOConfig

from rlkit import CurriculumConfig
from rlkit.hosts.trl.refused import REFUSED
from rlkit.prompts.pool import make_pool

HONOURED = {
    "shuffle_dataset",
    "data_seed",
    "seed",
    "remove_unused_columns",
    "train_sampling_strategy",
    "accelerator_config",
    "num_generations",
    "num_generations_eval",
    "generation_batch_size",
    "steps_per_generation",
    "num_iterations",
    "num_train_epochs",
    "max_steps",
}
"""Settings about which rows come when, and how often."""
OF_THE_LOADER = {
    "dataloader_drop_last",
    "dataloader_num_workers",
    "dataloader_pin_memory",
    "dataloader_persistent_workers",
    "dataloader_prefetch_factor",
    "dataloader_multiprocessing_context",
    "dataloader_in_order",
    "length_column_name",
    "batch_eval_metrics",
}
"""How TRL's loader reads: it sets the tempo, and evaluates; no row of a training batch comes from it."""


def test_every_setting_about_data_and_sampling_is_known_here():
    """A new one of another version is to be looked at."""
    words = ("data", "sampl", "batch", "shuffle", "epoch", "seed", "column", "num_generations", "skip")
    others = {"per_device_train_batch_size", "per_device_eval_batch_size", "eval_accumulation_steps"}
    others |= {"vllm_importance_sampling_" + name for name in ("correction", "mode", "clip_max", "clip_min")}
    others |= {"use_transformers_continuous_batching", "transformers_continuous_batching_config"}
    others |= {"vllm_importance_sampling_cap", "importance_sampling_level", "eval_do_concat_batches"}
    others |= {"auto_find_batch_size"}  # GRPOConfig refuses it
    others |= {"skip_memory_metrics", "gradient_accumulation_steps"}
    names = {field.name for field in dataclasses.fields(GRPOConfig)}
    found = {name for name in names if any(word in name for word in words)}
    assert found - HONOURED - OF_THE_LOADER - set(REFUSED) - others == set()


@pytest.mark.parametrize("setting", [{"shuffle_dataset": False}, {"train_sampling_strategy": "sequential"}])
def test_the_data_in_its_own_order_is_trls_own_training(tmp_path, setting):
    """Over the end of a pass, with nothing reordered for either."""
    settings = {"max_steps": 5, **setting}
    data = make_data(16)
    ours = make_trainer(tmp_path / "ours", "uniform", data=data, **settings)
    ours.train()
    assert np.concatenate(choices(tmp_path / "ours")).tolist() == [*range(16), *range(4)]
    plain = make_plain_trainer(tmp_path / "plain", even_start, data, **{**settings, "shuffle_dataset": False})
    plain.train()
    assert losses(ours) == pytest.approx(losses(plain), abs=1e-6)
    for name, tensor in weights(plain).items():
        assert torch.equal(weights(ours)[name], tensor), name


@pytest.mark.parametrize("preset", ["dapo", "odf", "pcl", "speed", "greso", "mopps", "retire", "rlkit"])
def test_the_stream_of_a_preset_is_in_the_datas_order(tmp_path, preset):
    trainer = make_trainer(tmp_path, tiny(preset), data=make_data(48), shuffle_dataset=False)
    assert trainer.pool.draw(30, np.array([3])).tolist() == [index for index in range(31) if index != 3]


def test_a_pass_that_is_sorted_keeps_the_datas_order_among_equals():
    pool = make_pool(make_data(8), shuffle=False)
    pool.sort_by(np.array([1, 0, 1, 0, 1, 0, 1, 0]))
    assert pool.draw(8, np.empty(0, dtype=int)).tolist() == [1, 3, 5, 7, 0, 2, 4, 6]


def test_a_resumed_run_keeps_its_order(tmp_path):
    saving = {"save_strategy": "steps", "save_steps": 2, "shuffle_dataset": False}
    make_trainer(tmp_path, data=make_data(16), max_steps=2, **saving).train()
    make_trainer(tmp_path, data=make_data(16), max_steps=4, **saving).train(resume_from_checkpoint=True)
    assert [row["index"] for row in ledger_rows(tmp_path)] == list(range(16))


def test_data_seed_is_the_streams(tmp_path):
    def order(**settings):
        return make_trainer(tmp_path, **settings).pool.draw(64, np.empty(0, dtype=int)).tolist()

    assert order(seed=5) == order(seed=7, data_seed=5) != order(seed=5, data_seed=7)
    assert order(seed=5, data_seed=7, curriculum=CurriculumConfig(curriculum_seed=5)) == order(seed=5)


def test_columns_that_trl_would_remove_do_not_reach_the_reward(tmp_path):
    seen = set()

    def reward(completions, prompts, **columns):
        seen.update(columns)
        return even_start(completions)

    make_trainer(tmp_path, "oracle", reward, remove_unused_columns=True, max_steps=1).train()
    assert "pass_rate" not in seen, "the curriculum read it, the reward did not"


REFUSALS = {
    "ignore_data_skip": ({"ignore_data_skip": True}, r"ignore_data_skip \(True\) would begin the data anew"),
    "by length": (
        {"train_sampling_strategy": "group_by_length"},
        r"train_sampling_strategy \('group_by_length'\) orders rows by length",
    ),
    "dispatch": (
        {"accelerator_config": {"dispatch_batches": True}},
        r"accelerator_config dispatch_batches \(True\)",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_has_no_place_beside_a_curriculum_is_refused_by_name(tmp_path, case):
    settings, message = REFUSALS[case]
    with pytest.raises(ValueError, match=message):
        make_trainer(tmp_path, model="no/such-model", **settings)


def test_split_batches_are_refused_where_they_would_split(tmp_path, monkeypatch):
    settings = {"accelerator_config": {"split_batches": True}}
    make_trainer(tmp_path, max_steps=1, **settings).train()
    monkeypatch.setattr(GRPOConfig, "world_size", 2)
    with pytest.raises(ValueError, match=r"split_batches \(True\) makes batches of other sizes"):
        make_trainer(tmp_path, model="no/such-model", **settings)
    assert make_args(tmp_path).accelerator_config.split_batches is False

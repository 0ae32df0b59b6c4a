"""Guards the curriculum in verl's own training loop, without GPU and Ray (docs/engines.md: how to run)."""

from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("verl") is None:
    pytest.skip("no verl: docs/engines.md says how to install it for these tests", allow_module_level=True)

import pyarrow.parquet as pq
from omegaconf import OmegaConf
from verl_driver import BATCH, GROUP, NUM_PROMPTS, Driver, make_config

from rlkit.record.ledger import read_ledger

PRESETS = {
    "uniform": [],
    "mopps": [],
    "greso": [],
    "sec": [],
    "rlkit": ["+data.rlkit.value_features='text,past'"],
    "pcl": ["+data.rlkit.value_features='text,past'"],
}


def driven(folder, preset: str, steps: int, *overrides: str, killed_at: int | None = None) -> Driver:
    folder.mkdir(exist_ok=True)
    choice = [f"+data.rlkit.curriculum={preset}", *PRESETS.get(preset, []), *overrides]
    driver = Driver(make_config(folder, steps, *choice), killed_at)
    try:
        driver.fit()
    except KeyboardInterrupt:
        assert killed_at is not None
    return driver


def told(folder) -> list[dict]:
    """The ledger without what the clock says."""
    seconds = {"selection_seconds", "generation_seconds", "grading_seconds"}
    table = read_ledger(folder / "run" / "rlkit" / "ledger")
    return table.drop_columns([*seconds]).to_pylist()


def test_two_hundred_batches_teach(tmp_path):
    driver = driven(tmp_path, "mopps", 200)
    rows = told(tmp_path)
    # verl returns before the hook at its last step
    assert [row["step"] for row in rows] == [step for step in range(1, 200) for _ in range(BATCH)]
    assert [row["index"] for row in rows] == np.concatenate(driver.proposed[:-1]).tolist()
    assert all(len(row["signals"]) == GROUP and row["lengths"] == [6] * GROUP for row in rows)
    truth = np.arange(NUM_PROMPTS) % 16 / 15
    far = [np.abs(truth[batch] - 0.5).mean() for batch in driver.proposed]
    assert np.mean(far[-50:]) < 0.6 * np.mean(far[:5])  # uniform would be 0.26 throughout


@pytest.mark.parametrize("preset", PRESETS)
def test_a_resumed_run_is_the_undisturbed_one(tmp_path, preset):
    whole = driven(tmp_path / "whole", preset, 24, "trainer.save_freq=8")
    # ends amid step 11 (it is in no checkpoint), then goes on from step 8, which had been told before
    first = driven(tmp_path / "parts", preset, 24, "trainer.save_freq=8", killed_at=11)
    second = driven(tmp_path / "parts", preset, 24, "trainer.save_freq=8")
    assert [*first.proposed[:8], *second.proposed] == whole.proposed
    assert told(tmp_path / "parts") == told(tmp_path / "whole")


def test_a_batch_that_was_never_told_is_named(tmp_path, caplog):
    """Killed between a checkpoint and the hook: the batch is in the weights, not in the curriculum."""
    first = driven(tmp_path, "uniform", 24, "trainer.save_freq=8", killed_at=8)
    second = driven(tmp_path, "uniform", 24, "trainer.save_freq=8")
    assert "step 8 was trained on, and the run ended before its 8 groups were told" in caplog.text
    steps = sorted({row["step"] for row in told(tmp_path)})
    assert steps == [*range(1, 8), *range(9, 24)]
    assert len(first.proposed) == 8 and len(second.proposed) == 16
    for batches in (first.proposed, second.proposed[:8]):  # each prompt once a pass: none skipped or repeated
        assert sorted(np.concatenate(batches)) == list(range(NUM_PROMPTS))


def test_the_signal_is_a_column_of_the_reward(tmp_path):
    driver = driven(tmp_path, "uniform", 2, "+data.rlkit.curriculum_signal=acc")
    assert told(tmp_path)[0]["signals"] == told(tmp_path)[0]["rewards"]
    with pytest.raises(ValueError, match=r"no 'speed' .*acc.*the reward function must return it"):
        driver.train_dataset.settings.curriculum.curriculum_signal = "speed"
        driver.train_dataset.on_batch_end(driver.updated_with)


def test_validation_reads_its_own_rows(tmp_path):
    driver = Driver(make_config(tmp_path, 2, "+data.rlkit.curriculum=uniform"))
    assert len(driver.val_dataset) == NUM_PROMPTS
    assert "rlkit_index" not in driver.val_dataset[0]
    assert driver.total_training_steps == 2


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.dataloader_num_workers=2"], r"data.dataloader_num_workers \(2\) must be 0"),
        (["data.shuffle=True"], r"data.shuffle \(True\) must be False"),
        (["trainer.total_training_steps=null"], r"trainer.total_training_steps \(null\) must be"),
        (["actor_rollout_ref.rollout.n=1"], r"rollout.n \(1\) must be at least 2"),
        (["+data.rlkit.temper=1"], "data.rlkit has no temper"),
        (["data.val_files=${data.train_files}"], "are data.train_files; give validation files of its own"),
        (["+data.rlkit.curriculum=dapo"], "curriculum='dapo' only filters groups and refills"),
        (["+data.rlkit.curriculum=speed"], "curriculum='speed' keeps groups for later steps"),
        (["+data.rlkit.curriculum=ssb"], "curriculum='ssb' keeps groups"),
        (["+data.rlkit.curriculum=vip"], "curriculum='vip' with an allocation"),
        (
            ["+data.rlkit.curriculum=pcl"],
            "curriculum='pcl' looks at the policy's states.* set value_features=row",
        ),
        (["+data.rlkit.curriculum=metis"], "curriculum='metis' with objectives"),
        (["+data.rlkit.curriculum=perplexity_band"], "perplexity_band"),
        (["+data.rlkit.curriculum=adarft"], "pass_rate"),
        (
            ["+data.rlkit.curriculum=uniform", "data.train_batch_size=65"],
            "the pool has 64 prompts, fewer than",
        ),
    ],
)
def test_bad_input_is_one_line_before_a_model_loads(tmp_path, overrides, message):
    with pytest.raises(ValueError, match=message) as error:
        Driver(make_config(tmp_path, 2, *overrides))
    assert "\n" not in str(error.value)


def test_no_curriculum_and_v1_are_refused(tmp_path):
    config = make_config(tmp_path, 2)
    with pytest.raises(ValueError, match=r"data.rlkit.curriculum is not set"):
        Driver(config)
    OmegaConf.update(config, "trainer.use_v1", True, force_add=True)
    with pytest.raises(
        ValueError, match=r"custom_sampler \(None, None\): verl's V1 trainers tell the data set nothing"
    ):
        Driver(config)


def test_a_folder_with_another_run_is_refused(tmp_path):
    driven(tmp_path, "uniform", 3)
    with pytest.raises(ValueError, match="holds another run's ledger"):
        driven(tmp_path, "uniform", 3)


def test_rows_twice_in_the_data_are_one_prompt(tmp_path):
    config = make_config(tmp_path, 2, "+data.rlkit.curriculum=uniform")
    table = pq.read_table(tmp_path / "train.parquet")
    pq.write_table(table.take([*range(NUM_PROMPTS), 0, 1]), tmp_path / "train.parquet")
    assert len(Driver(config).train_dataset.course.curriculum.pool) == NUM_PROMPTS

"""Guards the curriculum in verl's V1 trainer: its filter drops and refills, resuming is exact."""

from importlib.util import find_spec

import pytest

if find_spec("verl") is None or find_spec("verl.trainer.ppo.v1") is None:
    pytest.skip("no verl with V1 trainers: docs/engines.md says how to install it", allow_module_level=True)

import ray
import transfer_queue as tq
from omegaconf import OmegaConf
from test_dataset import told
from v1_driver import V1Driver, make_v1_config
from verl_driver import BATCH, GROUP, make_config

from rlkit.curriculum.filling import UnfilledBatchError

PRESETS = {
    "uniform": [],
    "dapo": [],
    "lilo": [],
    "mopps": [],
    "greso": ["data.gen_batch_size=1"],
    "rlkit": ["+data.rlkit.value_features='text,past'"],
}


@pytest.fixture(scope="module", autouse=True)
def queue():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)  # one each for its two actors
    tq.init(OmegaConf.create({"backend": {"SimpleStorage": {"num_data_storage_units": 1}}}))
    yield
    tq.close()
    ray.shutdown()


@pytest.fixture(autouse=True)
def empty_queue():
    """A process that was killed takes its queue with it."""
    yield
    for partition, items in (tq.kv_list() or {}).items():
        if items:
            tq.kv_clear(partition_id=partition, keys=list(items))


def driven(folder, preset: str, steps: int, *overrides: str, **driver) -> V1Driver:
    folder.mkdir(exist_ok=True)
    choice = [f"+data.rlkit.curriculum={preset}", *PRESETS[preset], *overrides]
    trainer = V1Driver(make_v1_config(folder, steps, *choice), **driver)
    try:
        trainer.fit(trainer)
    except KeyboardInterrupt:
        assert driver["killed_at"] is not None
    return trainer


def test_the_filter_drops_and_refills_and_every_group_teaches(tmp_path):
    trainer = driven(tmp_path, "dapo", 12)
    rows = told(tmp_path)
    assert len(rows) == sum(map(len, trainer.asked)) > 12 * BATCH
    assert len(trainer.trained) == 12 and all(len(batch) == BATCH * GROUP for batch in trainer.trained)
    for step, batch in enumerate(trainer.trained, start=1):
        here = [row for row in rows if row["step"] == step]
        assert sorted(batch) == sorted(row["index"] for row in here if row["trained"] for _ in range(GROUP))
        kept = [row for row in here if row["reason"] == "kept"]
        assert all(len(set(row["rewards"])) > 1 and row["trained"] for row in kept)
    assert {"all_low", "all_high"} <= {row["reason"] for row in rows if not row["trained"]}
    assert not tq.kv_list("train")["train"]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_resumed_run_is_the_undisturbed_one(tmp_path, preset):
    whole = driven(tmp_path / "whole", preset, 10, "trainer.save_freq=4")
    empty = {name: list(items) for name, items in tq.kv_list().items() if items}
    assert not empty
    first = driven(tmp_path / "parts", preset, 10, "trainer.save_freq=4", killed_at=6)
    tq.kv_clear(partition_id="train", keys=list(tq.kv_list("train")["train"]))
    second = driven(tmp_path / "parts", preset, 10, "trainer.save_freq=4")
    assert [*first.trained[:4], *second.trained] == whole.trained
    assert told(tmp_path / "parts") == told(tmp_path / "whole")


def test_prompts_of_which_nothing_comes_back_are_replaced(tmp_path, caplog):
    trainer = driven(
        tmp_path, "uniform", 3, "data.gen_batch_size=1", fails=lambda index, step: index % 5 == 0
    )
    assert all(len(batch) == BATCH * GROUP for batch in trainer.trained)
    assert "groups did not come back from verl" in caplog.text
    assert all(row["index"] % 5 for row in told(tmp_path))
    with pytest.raises(RuntimeError, match="no group of 3 rounds came back"):
        driven(tmp_path / "none", "uniform", 3, fails=lambda index, step: True)


def test_fill_error_says_so(tmp_path):
    settings = ["+data.rlkit.fill=error", "+data.rlkit.max_rounds=1"]
    with pytest.raises(UnfilledBatchError, match="1 rounds of rollouts did not fill a batch of 8 groups"):
        driven(tmp_path, "dapo", 3, *settings)


def test_the_signal_is_a_column_of_the_reward(tmp_path):
    driven(tmp_path, "uniform", 2, "+data.rlkit.curriculum_signal=acc")
    rows = told(tmp_path)
    assert [row["signals"] for row in rows] == [row["rewards"] for row in rows]
    with pytest.raises(ValueError, match=r"no 'speed' \(they have: acc\)"):
        driven(tmp_path / "other", "uniform", 2, "+data.rlkit.curriculum_signal=speed")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["trainer.v1.trainer_mode=separate_async"], r"trainer.v1.trainer_mode \(separate_async\)"),
        (
            ["trainer.v1.sampler.custom_sampler.path=null"],
            r"set its path=pkg://rlkit.hosts.verl.replay_buffer",
        ),
        (["algorithm.filter_groups.enable=True"], r"algorithm.filter_groups.enable \(True\)"),
        (["reward.reward_model.enable=True"], r"enable_resource_pool \(False\)"),
        (["+data.rlkit.fill=shrink"], "fill=shrink"),
        (["+data.rlkit.curriculum=speed"], "curriculum='speed' keeps groups for later steps"),
    ],
)
def test_bad_input_is_one_line_before_a_model_loads(tmp_path, overrides, message):
    from rlkit.hosts.verl.dataset import CurriculumDataset

    chosen = [] if "curriculum=" in overrides[0] else ["+data.rlkit.curriculum=uniform"]
    config = make_v1_config(tmp_path, 2, *chosen, *overrides)
    with pytest.raises(ValueError, match=message) as error:
        CurriculumDataset(config.data.train_files, None, config.data)
    assert "\n" not in str(error.value)


def test_v0_is_told_of_v1(tmp_path):
    from rlkit.hosts.verl.dataset import CurriculumDataset

    config = make_config(tmp_path, 2, "+data.rlkit.curriculum=dapo")
    with pytest.raises(ValueError, match=r"only filters groups and refills, .* use V1's"):
        CurriculumDataset(config.data.train_files, None, config.data)

"""Guards a trainer's checkpoints against full disks, altered files, going back, rotation, foreign code."""

import resource
from pathlib import Path

import pytest
import torch
from tiny_trl import NUM_GENERATIONS, ledger_rows, make_data, make_trainer, weights

from rlkit import CurriculumGRPOTrainer
from rlkit.hosts.trl.saving import SavingError
from rlkit.record.checkpoint import last_checkpoint
from rlkit.record.manifest import commit

SAVING = {"save_strategy": "steps", "save_steps": 1}


class FullDisk(CurriculumGRPOTrainer):
    """While it saves step 4, no file may grow beyond `limit` bytes."""

    limit = 0

    def _save_checkpoint(self, model, trial):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        if self.state.global_step == 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.limit, before[1]))
        try:
            super()._save_checkpoint(model, trial)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("limit", [16, 1000, 9000], ids=["ledger", "states", "weights"])
def test_a_full_disk_while_saving_leaves_the_earlier_checkpoint_whole(tmp_path, limit, monkeypatch):
    monkeypatch.setattr(FullDisk, "limit", limit)
    settings = {"max_steps": 4, "save_strategy": "steps", "save_steps": 2, "save_total_limit": 1}
    trainer = make_trainer(tmp_path / "full", "pcl", kind=FullDisk, **settings)
    with pytest.raises(SavingError, match=r"checkpoint-2 is whole: make room and go on with --resume auto"):
        trainer.train()
    assert not (tmp_path / "full" / "checkpoint-4").exists()
    resumed = make_trainer(tmp_path / "full", "pcl", **settings)
    resumed.train(resume_from_checkpoint="auto")
    straight = make_trainer(tmp_path / "straight", "pcl", **settings)
    straight.train()
    assert ledger_rows(tmp_path / "full") == ledger_rows(tmp_path / "straight")
    for name, tensor in weights(straight).items():
        assert torch.equal(weights(resumed)[name], tensor), name


def test_altered_weights_are_passed_over_and_the_run_is_the_same(tmp_path, caplog):
    settings = {"max_steps": 4, **SAVING}
    straight = make_trainer(tmp_path / "straight", "pcl", **settings)
    straight.train()
    make_trainer(tmp_path / "altered", "pcl", **settings).train()
    file = tmp_path / "altered" / "checkpoint-4" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    resumed = make_trainer(tmp_path / "altered", "pcl", **settings)
    resumed.train(resume_from_checkpoint=True)
    assert "checkpoint-4 is passed over: model.safetensors was altered" in caplog.text
    assert last_checkpoint(tmp_path / "altered").endswith("checkpoint-4")
    for name, tensor in weights(straight).items():
        assert torch.equal(weights(resumed)[name], tensor), name


def test_going_back_leaves_no_later_checkpoint_that_the_ledger_does_not_know(tmp_path):
    settings = {"max_steps": 3, **SAVING}
    make_trainer(tmp_path, "pcl", **settings).train()

    class Dead(CurriculumGRPOTrainer):
        def _generate_single_turn(self, *args, **kwargs):
            raise ConnectionError("engine is away")

    with pytest.raises(ConnectionError):
        make_trainer(tmp_path, "pcl", kind=Dead, **settings).train(
            resume_from_checkpoint=str(tmp_path / "checkpoint-1")
        )
    assert last_checkpoint(tmp_path).endswith("checkpoint-1")
    assert {row["step"] for row in ledger_rows(tmp_path)} == {1}


@pytest.mark.parametrize("limit", [1, 2])
def test_rotation_with_a_best_model_keeps_the_last_one(tmp_path, limit):
    """transformers would delete it at the end of training where the limit is 1, before it can be resumed."""
    settings = {
        "max_steps": 4,
        "save_total_limit": limit,
        "eval_strategy": "steps",
        "eval_steps": 1,
        "metric_for_best_model": "eval_rewards/first_steps/mean",
        "load_best_model_at_end": True,
        "per_device_eval_batch_size": NUM_GENERATIONS,
        **SAVING,
    }

    def first_steps(completions, trainer_state, **columns):
        return [1.0 - trainer_state.global_step / 10] * len(completions)

    trainer = make_trainer(tmp_path, rewards=first_steps, extra={"eval_dataset": make_data(1)}, **settings)
    trainer.train()
    kept = sorted(path.name for path in tmp_path.glob("checkpoint-*"))
    assert kept == ["checkpoint-1", "checkpoint-4"]
    assert trainer.args.save_total_limit == limit


class Evil:
    """Unpickling this makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (Path.touch, (Path(self.path),))


@pytest.mark.parametrize(
    "name", ["rlkit/curriculum.pt", "rlkit/process-0.pt", "optimizer.pt", "scheduler.pt", "rng_state.pth"]
)
def test_nothing_in_a_checkpoint_is_run(tmp_path, name):
    """Also where the manifest fits: it tells damage, not who wrote it."""
    make_trainer(tmp_path, **SAVING, max_steps=1).train()
    checkpoint, trace = tmp_path / "checkpoint-1", tmp_path / "executed"
    torch.save({"version": 5, "state": Evil(trace)}, checkpoint / name)
    commit(checkpoint)
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        make_trainer(tmp_path, max_steps=2).train(resume_from_checkpoint=True)
    assert not trace.exists()
    torch.load(checkpoint / name, weights_only=False)
    assert trace.exists(), "the file would have run code"


def test_saving_in_mid_step_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"enable_jit_checkpoint \(True\) saves in the middle of a step"):
        make_trainer(tmp_path, enable_jit_checkpoint=True)

"""Guards exact resume: to stop and go on from a checkpoint is never to have stopped, bit for bit."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_trl import (
    completion_rows,
    even_start,
    ledger_rows,
    losses,
    make_data,
    make_tiered,
    make_trainer,
    metrics,
    share_of_ones,
    tiny,
    weights,
)
from transformers import TrainerCallback

import rlkit
from rlkit import CurriculumConfig
from rlkit.record.checkpoint import last_checkpoint, load_state

STEPS = 6
SLOW = pytest.mark.slow
PRESETS = {
    "uniform": "uniform",
    "dapo": "dapo",
    "odf": "odf",
    "pcl": "pcl",
    "pcl-text": CurriculumConfig(curriculum="pcl", value_features="text"),
    "oracle": "oracle",
    "policy-features": CurriculumConfig(
        curriculum="rlkit", value_features="answer,states,likelihood,past", feature_age=2
    ),
}


class StopAt(TrainerCallback):
    """Interrupts a run after a step, without changing its schedule."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = state.global_step >= self.step


def assert_resumes_exactly(tmp_path, curriculum, checkpoint=3, stop=4, data=None, **settings):
    """Trains six steps straight; then to `stop`, and on from `checkpoint` with a trainer made anew."""
    saving = {"save_strategy": "steps", "save_steps": checkpoint}
    rewards = [even_start, share_of_ones]
    config = CurriculumConfig(curriculum) if isinstance(curriculum, str) else curriculum
    config = replace(config, signal_max=2.0)

    def trainer(folder, extra=None, **more):
        more = {"max_steps": STEPS, **settings, **more}
        return make_trainer(tmp_path / folder, config, rewards, data=data, extra=extra, **more)

    straight = trainer("straight")
    straight.train()
    trainer("stopped", {"callbacks": [StopAt(stop)]}, **saving).train()
    assert len(metrics(tmp_path / "stopped")) == stop
    resumed = trainer("stopped")
    resumed.train(resume_from_checkpoint=str(tmp_path / "stopped" / f"checkpoint-{checkpoint}"))
    assert_same_run(tmp_path / "straight", straight, tmp_path / "stopped", resumed)


def assert_same_run(one_folder, one, other_folder, other):
    assert losses(one) == losses(other) and len(losses(one)) == STEPS
    assert ledger_rows(one_folder) == ledger_rows(other_folder)
    assert completion_rows(one_folder) == completion_rows(other_folder) != []
    generations = [row["generation"] for row in ledger_rows(other_folder)]
    assert sorted(set(generations)) == list(range(max(generations) + 1)), "no gap"
    assert [row["step"] for row in metrics(other_folder)] == list(range(1, STEPS + 1))
    assert [timeless(row) for row in metrics(one_folder)] == [timeless(row) for row in metrics(other_folder)]
    for name, tensor in weights(one).items():
        assert torch.equal(weights(other)[name], tensor), name


def timeless(row):
    return {name: value for name, value in row.items() if "seconds" not in name}


@pytest.mark.parametrize("preset", PRESETS)
def test_resume(tmp_path, preset):
    assert_resumes_exactly(tmp_path, PRESETS[preset])


@SLOW
@pytest.mark.parametrize("preset", sorted(rlkit.PRESETS.keys() - PRESETS.keys()))
def test_resume_of_the_other_presets(tmp_path, preset):
    assert_resumes_exactly(tmp_path, tiny(preset), data=make_tiered() if preset == "rmt" else None)


@pytest.mark.parametrize(
    "curriculum",
    [tiny("ssb"), CurriculumConfig("ssb", replay_share=0.5), tiny("speed")],
    ids=["ssb", "share", "speed"],
)
def test_resume_with_groups_on_the_shelf(tmp_path, curriculum):
    """The checkpoint holds groups to train on again, or to complete, and their completions."""
    curriculum = replace(curriculum, curriculum_signal="even_start")
    assert_resumes_exactly(tmp_path, curriculum, seed=12)
    state = load_state(tmp_path / "stopped" / "checkpoint-3", "curriculum")
    shelf = next(source["shelf"] for source in state["curriculum"]["sources"] if "shelf" in source)
    assert len(state["kept"]["key_K"]) == len(shelf["key_K"]) > 0
    used = [row for row in ledger_rows(tmp_path / "straight") if row["step"] > 3 and max(row["ages"]) > 0]
    assert used, "the test needs one that is used after the checkpoint"


CYCLES = {
    "two-steps-a-generation": {"per_device_train_batch_size": 8, "steps_per_generation": 2},
    "two-iterations": {"num_iterations": 2},
    "accumulation": {
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 2,
        "steps_per_generation": 4,
        "num_iterations": 2,
    },
}


@pytest.mark.parametrize("cycle", CYCLES)
@pytest.mark.parametrize("preset", ["dapo", *(pytest.param(name, marks=SLOW) for name in ("uniform", "pcl"))])
def test_resume_in_mid_cycle(tmp_path, preset, cycle):
    """The checkpoint at step 3 lies between the updates on one generation."""
    assert_resumes_exactly(tmp_path, PRESETS[preset], **CYCLES[cycle])


@pytest.mark.parametrize("checkpoint", [2, 3])
def test_resume_across_passes(tmp_path, checkpoint):
    """A pool of two batches: the loader's epochs end at steps 2 and 4, as do the stream's passes."""
    assert_resumes_exactly(tmp_path, "uniform", checkpoint, data=make_data(8))


@SLOW
def test_resume_of_a_stopped_group_of_refills(tmp_path):
    """The running keep rate, which sizes rounds, is part of the state: half the pool's groups are dropped."""
    config = CurriculumConfig(curriculum="odf", band_low=0.4, band_high=0.6, max_rounds=3, fill="shrink")
    assert_resumes_exactly(tmp_path, config)


@SLOW
def test_resume_with_lora(tmp_path):
    from peft import LoraConfig

    settings = {"max_steps": STEPS, "save_strategy": "steps", "save_steps": 3}
    runs = {}
    for folder, stops in {"straight": [STEPS], "stopped": [4, STEPS]}.items():
        for stop in stops:
            extra = {"peft_config": LoraConfig(target_modules=["q_proj", "v_proj"])}
            extra["callbacks"] = [StopAt(stop)]
            runs[folder] = make_trainer(tmp_path / folder, "pcl", extra=extra, **settings)
            runs[folder].train(resume_from_checkpoint=stops[0] < stop)
    assert_same_run(tmp_path / "straight", runs["straight"], tmp_path / "stopped", runs["stopped"])


def test_other_folder_takes_up_a_checkpoint(tmp_path):
    """Going on in a new folder leaves the old run's files alone."""
    settings = {"max_steps": 4, "save_strategy": "steps", "save_steps": 2}
    make_trainer(tmp_path / "old", **settings).train()
    before = ledger_rows(tmp_path / "old")
    other = make_trainer(tmp_path / "new", **settings)
    other.train(resume_from_checkpoint=str(tmp_path / "old" / "checkpoint-2"))
    assert ledger_rows(tmp_path / "old") == before
    assert ledger_rows(tmp_path / "new") == [row for row in before if row["step"] > 2]


@SLOW
@pytest.mark.parametrize("place", ["grading", "saving"])
def test_resume_after_a_kill(tmp_path, place):
    """SIGKILL in the middle of step 5, or while the checkpoint of step 4 is being written."""
    script = Path(__file__).with_name("killed_run.py")
    killed = subprocess.run(
        [sys.executable, script, tmp_path / "killed", place], capture_output=True, text=True, timeout=400
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    whole = {"grading": "checkpoint-4", "saving": "checkpoint-2"}[place]
    assert Path(last_checkpoint(tmp_path / "killed")).name == whole

    settings = {"max_steps": STEPS, "save_strategy": "steps", "save_steps": 2}
    resumed = make_trainer(tmp_path / "killed", "pcl", **settings)
    resumed.train(resume_from_checkpoint=True)
    straight = make_trainer(tmp_path / "straight", "pcl", **settings)
    straight.train()
    assert_same_run(tmp_path / "straight", straight, tmp_path / "killed", resumed)

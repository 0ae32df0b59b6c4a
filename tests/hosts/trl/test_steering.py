"""Guards commands to a running run: they take effect at the next generation, are told, survive a resume."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from steered import SAVING, ask, ask_all, events, metrics, steered, told
from tiny_trl import choices, ledger_rows, losses, make_data, weights
from transformers import TrainerCallback

from rlkit.live.branches import tree
from rlkit.live.files import is_alive, read_lines, read_status, states

CHANGES = {
    0: ["set temperature 0.7"],
    1: ["set learning_rate 3e-3", "note the rate was too high"],
    2: ["set max_rounds 2 explore_share 0.5", "put_aside category tens 1"],
    3: ["set reward_weight.share_of_ones 0.25"],
    4: ["bring_back category tens 1", "set learning_rate 5e-3"],
}


def test_a_command_takes_effect_with_the_next_step_and_is_told(tmp_path):
    trainer = steered(tmp_path, CHANGES, lr_scheduler_type="constant")
    trainer.train()
    assert [row["learning_rate"] for row in metrics(tmp_path)] == [1e-2, 3e-3, 3e-3, 3e-3, 5e-3, 5e-3]
    assert (trainer.temperature, trainer.generation_config.temperature) == (0.7, 0.7)
    assert trainer.reward_weights.tolist() == [1.0, 0.25]
    assert trainer.curriculum.sources[0].max_rounds == 2
    rolled_out = [any(10 <= index < 20 for index in step) for step in choices(tmp_path)]
    assert any(rolled_out[:2]) and not any(rolled_out[2:4])
    done = [(1, "set"), (2, "set"), (2, "note"), (3, "set"), (3, "put_aside"), (4, "set"), (5, "bring_back")]
    assert [(step, name) for step, name, state, _ in told(tmp_path) if state == "done"] == [*done, (5, "set")]
    line = events(tmp_path)[1]
    assert (line["old"], line["new"]) == ({"learning_rate": 1e-2}, {"learning_rate": 3e-3})
    assert (line["who"], line["asked"] <= line["time"]) == ("Ada", True)
    status = read_status(tmp_path)
    assert (status["state"], status["alive"], status["settings"]["temperature"]) == ("over", False, 0.7)
    assert status["began"]["temperature"] == 1.0 and status["categories"][:2] == ["tens 0", "tens 1"]


def test_the_schedule_goes_on_from_a_new_rate(tmp_path):
    steered(tmp_path, {2: ["set learning_rate 6e-3"]}, lr_scheduler_type="linear").train()
    rates = [row["learning_rate"] for row in metrics(tmp_path)]
    expected = [1e-2, 1e-2 * 5 / 6, 6e-3 * 4 / 6, 6e-3 * 3 / 6, 6e-3 * 2 / 6, 6e-3 / 6]
    assert rates == pytest.approx(expected, rel=1e-12)


class StopAfter(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = state.global_step >= self.step


@pytest.mark.parametrize("preset", ["dapo", "pcl", "ssb"])
def test_a_resumed_run_goes_on_with_the_changed_numbers_exactly(tmp_path, preset):
    """Also with those of after its checkpoint, at the same steps; it need not take commands any more."""
    changes = CHANGES if preset == "dapo" else {**CHANGES, 2: ["set explore_share 0.5", CHANGES[2][1]]}
    straight, folder = steered(tmp_path / "straight", changes, preset), tmp_path / "stopped"
    straight.train()
    steered(folder, changes, preset, [StopAfter(5)], **SAVING, save_total_limit=1).train()
    before = [line for line in events(folder) if line["state"] == "done"]
    resumed = steered(folder, {}, preset)
    resumed.steering.live = resumed.steering.desk.writes = False
    resumed.train(resume_from_checkpoint=str(folder / "checkpoint-4"))
    assert events(folder, "done") == before
    assert losses(resumed) == losses(straight)
    assert ledger_rows(folder) == ledger_rows(tmp_path / "straight")
    assert timeless(metrics(folder)) == timeless(metrics(tmp_path / "straight"))
    for name, tensor in weights(straight).items():
        assert torch.equal(weights(resumed)[name], tensor), name


def timeless(rows):
    return [{name: value for name, value in row.items() if "seconds" not in name} for row in rows]


def test_what_is_refused_is_told_in_words_and_changes_nothing(tmp_path):
    refused = {
        "set temperature 0": "temperature (0) must lie in 0.01 to 100",
        "set learning_rate 1e-3 max_rounds 0": "max_rounds (0) must be at least 1",
        "set value_hidden 4": "value_hidden is what a run begins with",
        "set reward_weight.nobody 1": "there are: reward_weight.even_start, reward_weight.share_of_ones",
        "put_aside category nowhere": "no prompt has the category 'nowhere'; there are: tens 0, tens 1",
        "put_aside prompt 12": "no prompt of the pool has the key 12",
        "bring_back category tens 2": "not all of them are put aside",
        "go on": "the run is not paused",
        "evaluate": "nothing to evaluate on",
        "load 1": "checkpoint-1 cannot be loaded: there is no such folder",
    }
    plain = steered(tmp_path / "plain", max_steps=3)
    plain.train()
    other = steered(tmp_path / "other", {1: list(refused)}, max_steps=3)
    other.train()
    lines = events(tmp_path / "other")
    assert [line["state"] for line in lines] == ["failed"] * len(refused)
    for line, words in zip(lines, refused.values(), strict=True):
        assert words in line["reason"]
    assert timeless(metrics(tmp_path / "plain")) == timeless(metrics(tmp_path / "other"))
    assert losses(plain) == losses(other)


def test_too_few_prompts_are_not_left(tmp_path):
    words = ["put_aside category tens 0", "put_aside category tens 1"]
    steered(tmp_path, {0: words}, "uniform", data=make_data(16), max_steps=2).train()
    reasons = [line.get("reason") for line in events(tmp_path)]
    assert reasons == [None, "0 prompts would be left that can be rolled out, fewer than the 4 of one batch"]
    assert all(index >= 10 for step in choices(tmp_path) for index in step)


class WhilePaused(TrainerCallback):
    """Asks, once the run waits, for what ends the pause."""

    def __init__(self, folder, words):
        self.folder, self.words = folder, words

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 2:
            threading.Timer(0.6, ask_all, (self.folder, self.words)).start()


def test_a_pause_waits_takes_commands_and_goes_on(tmp_path):
    words = ["set learning_rate 2e-3", "checkpoint", "evaluate", "pause", "go on"]
    evaluating = {"extra": {"eval_dataset": make_data(8)}, "per_device_eval_batch_size": 4}
    waiting = WhilePaused(tmp_path / "paused", words)
    trainer = steered(tmp_path / "paused", {2: ["pause"]}, callbacks=[waiting], max_steps=4, **evaluating)
    trainer.train()
    assert told(tmp_path / "paused") == [
        (3, "pause", "running", None),
        (3, "set", "done", {"learning_rate": 2e-3}),
        (3, "checkpoint", "running", None),
        (3, "checkpoint", "done", "checkpoint-2"),
        (3, "evaluate", "running", None),
        (3, "evaluate", "done", None),
        (3, "pause", "failed", None),
        (3, "pause", "done", None),
        (3, "go_on", "done", None),
    ]
    assert [line["step"] for line in trainer.state.log_history if "eval_reward" in line] == [2]
    straight = steered(tmp_path / "straight", {2: words[:1]}, max_steps=4, **evaluating)
    straight.train()
    assert losses(straight) == losses(trainer)
    assert sum(row["seconds/step"] for row in metrics(tmp_path / "paused")[2:]) < 0.6  # the wait is no step's
    resumed = steered(tmp_path / "paused", {}, max_steps=4, **evaluating)
    resumed.train(resume_from_checkpoint="auto")
    assert losses(straight) == losses(resumed)


def test_stop_saves_and_ends(tmp_path):
    trainer = steered(tmp_path, {2: ["stop", "set temperature 0.5"]})
    trainer.train()
    assert len(metrics(tmp_path)) == 2
    assert [(line["name"], line["state"], line.get("reason")) for line in events(tmp_path)] == [
        ("stop", "running", None),
        ("stop", "done", None),
        ("set", "failed", "the run is over"),
    ]
    again = steered(tmp_path)
    again.train(resume_from_checkpoint="auto")
    straight = steered(tmp_path.with_name("straight"))
    straight.train()
    assert losses(again) == losses(straight)


def test_a_branch_goes_on_from_a_checkpoint_as_if_the_rest_had_not_been(tmp_path):
    folder = tmp_path / "branched"
    after = {1: ["set temperature 0.9"], 3: ["set temperature 0.5 max_rounds 1", "put_aside category tens 0"]}
    branched = steered(folder, {**after, 5: ["load 2"]}, **SAVING)
    branched.train()
    straight = steered(tmp_path / "straight", {1: after[1]})
    straight.train()
    assert losses(branched) == losses(straight)
    assert ledger_rows(folder) == ledger_rows(tmp_path / "straight")
    assert timeless(metrics(folder)) == timeless(metrics(tmp_path / "straight"))
    for name, tensor in weights(straight).items():
        assert torch.equal(weights(branched)[name], tensor), name
    assert [(line["step"], line["name"]) for line in events(folder)] == [(2, "set"), (3, "load")]
    (branch,) = tree(folder)
    assert (branch["branch"], branch["from"], branch["until"], branch["parent"]) == (1, 2, 5, None)
    left = read_lines(folder / "branches" / "1" / "events.jsonl")
    assert [line["name"] for line in left] == ["set", "put_aside", "load"]
    assert [row["step"] for row in read_lines(folder / "branches" / "1" / "metrics.jsonl")] == [3, 4, 5]


def test_a_killed_run_is_dead_and_what_it_was_asked_is_told(tmp_path):
    script = "import sys, steered; steered.killed(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=Path(__file__).parent)
    assert done.returncode == -signal.SIGKILL
    assert not is_alive(tmp_path) and read_status(tmp_path)["state"] == "paused"
    ask(tmp_path, "stop")  # by a script that does not know
    run = steered(tmp_path)
    run.train(resume_from_checkpoint="auto")
    assert len(metrics(tmp_path)) == 6
    reasons = {state["name"]: state.get("reason") for state in states(tmp_path)}
    over = "the run ended before it was done; ask again"
    assert reasons == {"set": None, "pause": over, "stop": over}
    assert run.temperature == 0.5


def test_without_live_nothing_is_read_or_written(tmp_path):
    trainer = steered(tmp_path, {1: ["set temperature 0.5"]}, max_steps=1)
    trainer.steering.live = trainer.steering.desk.writes = False
    trainer.train()
    assert trainer.temperature == 1.0 and not (tmp_path / "events.jsonl").exists()

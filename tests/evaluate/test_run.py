"""Guards whole evaluations: numbers that agree with rows, resuming bit for bit, seeds, models, bad input."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from killed_eval import SETTINGS, first_digit, make_task
from peft import LoraConfig, get_peft_model
from tiny_model import make_model, save_model

from rlkit.evaluate.run import evaluate
from rlkit.evaluate.store import read_rows

FILES = ("completions.jsonl", "prompts.jsonl", "manifest.json")
TIMES = {"generation_seconds", "grading_seconds", "tokens_per_second"}


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return make_task(tmp_path_factory.mktemp("data"), first_digit)


def run_until_killed(checkpoint, out, kill_at):
    script = Path(__file__).parent / "killed_eval.py"
    command = [sys.executable, str(script), str(checkpoint), str(out), kill_at]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == -signal.SIGKILL, done.stderr


def numbers(folder):
    record = json.loads((folder / "summary.json").read_text())
    return {name: value for name, value in record.items() if name not in TIMES}


def test_numbers_agree_with_the_rows(checkpoint, task, tmp_path):
    (result,) = evaluate([str(checkpoint)], [task], SETTINGS, tmp_path)
    assert result.folder == tmp_path / "checkpoint-5" / "sums"
    rows = read_rows(result.folder / "completions.jsonl")
    assert [(row.problem, row.sample) for row in rows] == [(str(i), s) for i in range(10) for s in range(2)]
    for row in rows:
        assert row.correct == (row.reward == 1) == (row.completion[:1] == str(int(row.problem) % 10))
        assert row.num_prompt_tokens == len(f"{row.problem}+{row.problem}=")
    summary = result.summary
    assert 0 < summary.accuracy == sum(row.correct for row in rows) / 20 < 1
    assert summary.accuracy == summary.mean_reward == pytest.approx(summary.pass_at_k[1])
    solved = [any(row.correct for row in rows[i : i + 2]) for i in range(0, 20, 2)]
    assert summary.pass_at_k[2] == sum(solved) / 10
    assert summary.accuracy_interval[0] <= summary.accuracy <= summary.accuracy_interval[1]
    assert summary.truncated == sum(row.truncated for row in rows) / 20
    assert summary.total_tokens == sum(row.num_tokens for row in rows) == 20 * summary.mean_tokens
    asked = [json.loads(line) for line in (result.folder / "prompts.jsonl").read_text().splitlines()]
    assert asked[3] == {"problem": "3", "prompt": [{"role": "user", "content": "3+3"}]}


@pytest.mark.parametrize(
    "kill_at",
    ["2.5", *(pytest.param(place, marks=pytest.mark.slow) for place in ("0", "2", "3.5"))],
)
def test_a_killed_evaluation_goes_on_as_if_undisturbed(checkpoint, task, tmp_path, kill_at):
    (whole,) = evaluate([str(checkpoint)], [task], SETTINGS, tmp_path / "whole")
    run_until_killed(checkpoint, tmp_path / "killed", kill_at)
    calls = []

    def reward(**columns):
        calls.append(columns)
        return first_digit(**columns)

    evaluate([str(checkpoint)], [replace(task, reward=reward)], SETTINGS, tmp_path / "killed")
    assert len(calls) == 4 - int(float(kill_at))  # of 4 chunks, the whole ones are not sampled again
    killed = tmp_path / "killed" / "checkpoint-5" / "sums"
    for name in FILES:
        assert (killed / name).read_bytes() == (whole.folder / name).read_bytes()
    assert numbers(killed) == numbers(whole.folder)


def test_what_is_done_is_not_sampled_again(checkpoint, task, tmp_path):
    (first,) = evaluate([str(checkpoint)], [task], SETTINGS, tmp_path)
    never = replace(task, reward=None)
    assert evaluate([str(checkpoint)], [never], SETTINGS, tmp_path) == [first]


def test_the_seed_decides_and_each_chunk_has_its_own(checkpoint, task, tmp_path):
    same_question = replace(task, problems=[replace(problem, question="1+1") for problem in task.problems])
    texts = {}
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        settings = replace(SETTINGS, seed=seed)
        (result,) = evaluate([str(checkpoint)], [same_question], settings, tmp_path / name)
        texts[name] = [row.completion for row in read_rows(result.folder / "completions.jsonl")]
    assert texts["a"] == texts["b"] != texts["c"]
    assert texts["a"][:6] != texts["a"][6:12]


def test_many_checkpoints_in_order_of_steps_and_an_adapter(checkpoint, task, tmp_path):
    run = tmp_path / "run"
    for step in (20, 100, 3):
        save_model(run / f"checkpoint-{step}", seed=step)
    base = type(make_model(0)).from_pretrained(checkpoint)
    adapter = get_peft_model(base, LoraConfig(target_modules=["q_proj"], init_lora_weights=False))
    adapter.save_pretrained(tmp_path / "adapter")
    models = [str(run / "checkpoint-*"), str(tmp_path / "adapter"), str(checkpoint)]
    results = evaluate(models, [task], replace(SETTINGS, num_samples=1), tmp_path / "out")
    labels = ["checkpoint-3", "checkpoint-20", "checkpoint-100", "adapter", "checkpoint-5"]
    assert [result.label for result in results] == labels
    rows = [read_rows(result.folder / "completions.jsonl") for result in results]
    assert len({tuple(row.completion for row in its_rows) for its_rows in rows}) == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": 0.5}, "temperature is 1.0 there, 0.5 here"),
        ({"seed": 4}, "seed is 3 there, 4 here. Give another --out"),
        ({"batch_size": 8}, "chunk_size is 3 there, 4 here"),
        ({"prompt_form": "plain"}, "prompt_form is 'chat' there, 'plain' here"),
    ],
)
def test_other_settings_are_refused_and_nothing_is_touched(checkpoint, task, tmp_path, change, message):
    evaluate([str(checkpoint)], [task], SETTINGS, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=f"holds an evaluation with other settings: .*{message}"):
        evaluate([str(checkpoint)], [task], replace(SETTINGS, **change), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_another_model_or_other_data_under_the_same_name_is_refused(checkpoint, task, tmp_path):
    shutil.copytree(checkpoint, tmp_path / "checkpoint-5")
    out = tmp_path / "out"
    evaluate([str(checkpoint)], [task], SETTINGS, out)
    evaluate([str(tmp_path / "checkpoint-5")], [task], SETTINGS, out)  # a copy is the same model
    save_model(tmp_path / "checkpoint-5", seed=1)
    with pytest.raises(ValueError, match="the model's weights or configuration differ"):
        evaluate([str(tmp_path / "checkpoint-5")], [task], SETTINGS, out)
    fewer = replace(task, problems=task.problems[:5])
    with pytest.raises(ValueError, match="num_problems is 10 there, 5 here; the problems' ids or col"):
        evaluate([str(checkpoint)], [fewer], SETTINGS, out)


def test_a_folder_in_use_is_refused(checkpoint, task, tmp_path):
    with FileLock(tmp_path / ".lock"), pytest.raises(ValueError, match="in use by another process"):
        evaluate([str(checkpoint)], [task], SETTINGS, tmp_path)


def test_prompts_longer_than_the_context_are_named(checkpoint, task, tmp_path):
    long = replace(task, problems=[*task.problems, replace(task.problems[0], id="long", question="1" * 70)])
    with pytest.raises(ValueError, match=r"the prompt of problem 'long' has 71 tokens, and .* takes 64"):
        evaluate([str(checkpoint)], [long], SETTINGS, tmp_path)


def test_failing_rewards_count_as_wrong_and_unscorable_problems_are_left_out(checkpoint, task, tmp_path):
    def reward(completions, answer, **_):
        if "4" in answer and completions[0][0]["content"] != "0":  # 0 is the probe
            raise RuntimeError("four")
        return [None if gold == "2" else 1.0 for gold in answer]

    (result,) = evaluate([str(checkpoint)], [replace(task, reward=reward)], SETTINGS, tmp_path)
    summary = result.summary
    assert summary.num_unscorable_problems == 1 and summary.num_reward_errors == 2
    assert summary.num_unscorable_completions == 2 and summary.accuracy == pytest.approx(8 / 9)
    unscorable = replace(task, reward=lambda completions, **_: [None] * len(completions))
    with pytest.raises(ValueError, match="none of the 10 problems of sums could be scored"):
        evaluate([str(checkpoint)], [unscorable], SETTINGS, tmp_path / "none")

"""Guards `rlkit eval`: own rows and benchmarks, what it shows and leaves, and a line for each mistake."""

import json
import sys
from importlib.util import find_spec

import pytest
from tiny_model import save_model

from rlkit.cli import main

REWARD = """
def reward(completions, answer, **_):
    texts = [c if isinstance(c, str) else c[0]["content"] for c in completions]
    return [float(text[:1] == gold) for text, gold in zip(texts, answer, strict=True)]

def needs_gold(completions, gold, **_):
    return [1.0] * len(completions)

def messages_only(completions, answer, **_):
    return [float(completion[0]["content"][:1] == gold) for completion, gold in zip(completions, answer)]
"""


@pytest.fixture
def command(monkeypatch, capsys):
    """Run `rlkit eval` with some words: its exit code, standard output and standard error."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["rlkit", "eval", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code or 0, *capsys.readouterr()

    return run


@pytest.fixture
def folder(tmp_path):
    rows = [{"question": f"{i}+0", "answer": str(i)} for i in range(8)]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (tmp_path / "grader.py").write_text(REWARD)
    (tmp_path / "digits.yaml").write_text(
        "data: rows.jsonl\nquestion: '{question}'\ncolumns: {answer: answer}\n"
        "reward: grader.py:reward\nkind: math\nmax_new_tokens: 4\nlicence: none\n"
    )
    return tmp_path


def test_a_benchmark_of_a_file_for_the_checkpoints_of_a_run(command, folder):
    for step in (2, 10):
        save_model(folder / "run" / f"checkpoint-{step}", seed=step)
    words = (folder / "run" / "checkpoint-*", "--benchmarks", folder / "digits.yaml", "--samples", 4)
    code, out, err = command(*words, "--out", folder / "out", "--limit", 6)
    assert code == 0, err
    records = json.loads((folder / "out" / "summary.json").read_text())
    assert [record["label"] for record in records] == ["checkpoint-2", "checkpoint-10"]
    assert [set(record["majority_at_k"]) for record in records] == [{"2", "4"}] * 2
    report = (folder / "out" / "report.md").read_text()
    for record in records:
        low, high = record["accuracy_interval"]
        cell = f"| {record['label']} | digits | {record['accuracy']:.3f} ({low:.3f} to {high:.3f}) |"
        assert cell in report
        assert record["label"] in out and f"{record['accuracy']:.3f}" in out
        assert (record["num_problems"], record["num_samples"]) == (6, 4)
    assert "6 problems x 4 samples" in out


def test_own_rows_with_an_own_reward_leave_nothing_without_out(command, checkpoint, folder):
    before = sorted(folder.rglob("*"))
    words = (checkpoint, "--dataset", folder / "rows.jsonl", "--reward", f"{folder}/grader.py:reward")
    code, out, err = command(*words, "--instruction", "+", "--max-new-tokens", 4, "--temperature", 0)
    assert code == 0, err
    assert "rows" in out and "checkpoint-5" in out and "8 problems x 1 samples" in out
    assert [path for path in sorted(folder.rglob("*")) if "__pycache__" not in str(path)] == before


def test_a_reward_may_take_messages_only(command, checkpoint, folder):
    words = (checkpoint, "--dataset", folder / "rows.jsonl", "--reward", f"{folder}/grader.py:messages_only")
    code, out, err = command(*words, "--max-new-tokens", 4)
    assert code == 0 and "8 problems x 1 samples" in out, err


BENCHMARK = ("--benchmarks", "{folder}/digits.yaml", "--out", "{folder}/out")
ROWS = ("--dataset", "{folder}/rows.jsonl", "--reward", "{folder}/grader.py:reward")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("{model}",), "give either --benchmarks (such as gsm8k,math500) or --dataset FILE with --reward"),
        (
            ("{model}", "--benchmarks", "gsm9k", "--out", "o"),
            "benchmark 'gsm9k' is unknown; there are gsm8k, ",
        ),
        (("{model}", "--benchmarks", "gsm8k"), "out is missing"),
        (("{model}", "--benchmarks", "no.yaml", "--out", "o"), "benchmark file no.yaml does not exist"),
        (("{model}", "--dataset", "{folder}/rows.jsonl"), "reward is missing"),
        (
            ("{model}", "--dataset", "{folder}/no.jsonl", "--reward", "a:b"),
            "data file {folder}/no.jsonl does",
        ),
        (("{model}", *BENCHMARK, "--data", "gsm8k=x.jsonl"), "data (gsm8k=x.jsonl): 'gsm8k' is not among"),
        (("{model}", *BENCHMARK, "--data", "digits"), "data (digits) must be NAME=FILE"),
        (
            ("{model}", *BENCHMARK, "--data", "digits={folder}/bad.jsonl"),
            "{folder}/bad.jsonl, line 2: not JSON",
        ),
        (
            ("{model}", *BENCHMARK, "--data", "digits={folder}/other.jsonl"),
            "benchmark digits: row 0 of {folder}/other.jsonl has no column 'question'; its columns are ['q']",
        ),
        (("{folder}/checkpoint-7", *BENCHMARK), "model {folder}/checkpoint-7: there is no such folder"),
        (("{folder}/run/checkpoint-*", *BENCHMARK), "no folder matches {folder}/run/checkpoint-*"),
        (("{folder}", *BENCHMARK), "model {folder} has neither config.json nor adapter_config.json"),
        (("{model}", *BENCHMARK, "--samples", "0"), "num_samples (0) must be at least 1"),
        (("{model}", *BENCHMARK, "--limit", "0"), "limit (0) must be at least 1"),
        (
            ("{model}", *BENCHMARK, "--engine", "sglang"),
            "engine ('sglang') must be one of transformers, vllm",
        ),
        (("{model}", *BENCHMARK, "--prompt", "raw"), "prompt ('raw') must be auto, chat or plain"),
        (
            ("{model}", "--dataset", "{folder}/rows.jsonl", "--reward", "{folder}/grader.py:needs_gold"),
            "benchmark rows: reward 'needs_gold' raised TypeError",
        ),
        (("{model}", *BENCHMARK, "--temperature", "-1"), "temperature (-1.0) must be at least 0"),
        (
            ("{model}", *ROWS, "--prompt-column", "q"),
            "benchmark rows: row 0 of {folder}/rows.jsonl has no column",
        ),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(command, checkpoint, folder, words, message):
    (folder / "bad.jsonl").write_text('{"question": "1", "answer": "1"}\n{"question": \n')
    (folder / "other.jsonl").write_text('{"q": "1"}\n')
    before = sorted(folder.rglob("*"))
    places = {"model": checkpoint, "folder": folder}
    code, out, err = command(*(word.format(**places) for word in words))
    assert (code, out) == (2, "") and len(err.splitlines()) == 1
    assert err.startswith(f"rlkit: {message.format(**places)}")
    assert [path for path in sorted(folder.rglob("*")) if "__pycache__" not in str(path)] == before


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed")
def test_vllm_that_is_missing_is_one_line(command, checkpoint, folder):
    words = (checkpoint, "--benchmarks", folder / "digits.yaml", "--out", folder / "out", "--engine", "vllm")
    code, _, err = command(*words)
    assert code == 2 and err.startswith("rlkit: engine 'vllm': vLLM is not installed")
    assert not (folder / "out").exists()

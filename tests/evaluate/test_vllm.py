"""Guards `rlkit eval --engine vllm` on vLLM's CPU build: completions of transformers, adapters, resuming."""

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny_model import make_model

from rlkit.evaluate.benchmark import Benchmark
from rlkit.evaluate.plan import Settings, make_task
from rlkit.evaluate.run import evaluate
from rlkit.evaluate.store import read_rows

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(find_spec("vllm") is None, reason="no vLLM: run scripts/setup --vllm"),
    pytest.mark.skipif(torch.cuda.is_available(), reason="the settings are those of the CPU build"),
]

REWARD = """
def reward(completions, answer, **_):
    return [float(completion[0]["content"][:1] == gold) for completion, gold in zip(completions, answer)]
"""


def save_adapter(base: Path, folder: Path) -> None:
    model = get_peft_model(
        type(make_model(0)).from_pretrained(base), LoraConfig(target_modules=["q_proj", "v_proj", "o_proj"])
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=1.0, generator=torch.Generator().manual_seed(0))
    model.save_pretrained(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, checkpoint) -> Path:
    """A model, an adapter on it, a model of a kind that vLLM does not know, problems and their reward."""
    folder = tmp_path_factory.mktemp("vllm")
    shutil.copytree(checkpoint, folder / "model")
    save_adapter(folder / "model", folder / "adapter")
    shutil.copytree(checkpoint, folder / "unknown")
    config = (folder / "unknown" / "config.json").read_text()
    (folder / "unknown" / "config.json").write_text(config.replace("Qwen2ForCausalLM", "NoSuchForCausalLM"))
    rows = [{"question": f"{i}+0", "answer": str(i % 10)} for i in range(40)]
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (folder / "grader.py").write_text(REWARD)
    return folder


@pytest.fixture(scope="module")
def results(folder) -> list:
    """Exit codes and standard errors: greedy, drawn, an unknown kind, drawn again after a kill."""
    rows = ["--dataset", str(folder / "rows.jsonl"), "--reward", f"{folder}/grader.py:reward"]
    words = [*rows, "--engine", "vllm", "--max-new-tokens", "20", "--batch-size", "20"]
    model, adapter, unknown = (str(folder / name) for name in ("model", "adapter", "unknown"))
    greedy = ["eval", model, adapter, *words, "--temperature", "0", "--out", str(folder / "greedy")]
    drawn = ["eval", model, *words, "--samples", "2", "--out"]
    first = run([greedy, [*drawn, str(folder / "drawn")], ["eval", unknown, *words]])
    shutil.copytree(folder / "drawn", folder / "killed")
    killed = folder / "killed" / "model" / "rows" / "completions.jsonl"
    lines = killed.read_text()
    killed.write_text(lines[: len(lines) * 5 // 8])
    return [*first, *run([[*drawn, str(folder / "killed")]])]


def run(commands: list[list[str]]) -> list:
    script = str(Path(__file__).parent / "vllm_commands.py")
    done = subprocess.run(
        [sys.executable, script, json.dumps(commands)], capture_output=True, text=True, timeout=800
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", ["model", "adapter"])
def test_greedy_completions_are_those_of_transformers(folder, results, name, tmp_path):
    """In the checkpoint's float32 on both: 40 prompts, 20 tokens."""
    assert results[0][0] == 0, results[0][1]
    benchmark = Benchmark(
        name="rows",
        data=str(folder / "rows.jsonl"),
        question="{question}",
        reward=f"{folder}/grader.py:reward",
        max_new_tokens=20,
    )
    (expected,) = evaluate([str(folder / name)], [make_task(benchmark)], Settings(temperature=0), tmp_path)
    path = folder / "greedy" / name / "rows" / "completions.jsonl"
    assert read_rows(path) == read_rows(expected.folder / "completions.jsonl")


def test_the_adapter_changes_what_is_said(folder, results):
    model, adapter = (
        (folder / "greedy" / name / "rows" / "completions.jsonl").read_text() for name in ("model", "adapter")
    )
    assert model != adapter


def test_a_killed_evaluation_goes_on_to_the_same_end(folder, results):
    """Two whole chunks of four and half a third were there; each chunk has a seed of its own."""
    assert [code for code, _ in (results[1], results[3])] == [0, 0]
    whole, killed = (
        (folder / name / "model" / "rows" / "completions.jsonl").read_bytes() for name in ("drawn", "killed")
    )
    assert killed == whole and whole.count(b"\n") == 80
    again, once = (
        (folder / name / "model" / "rows" / "chunks.jsonl").read_text().splitlines()
        for name in ("killed", "drawn")
    )
    assert [line == other for line, other in zip(again, once, strict=True)] == [True, True, False, False]


def test_a_model_that_vllm_does_not_know_is_one_line(folder, results):
    code, err = results[2]
    assert code == 2
    assert err.splitlines()[-1].startswith(f"rlkit: model {folder / 'unknown'} cannot be loaded in vLLM: ")
    assert err.splitlines()[-1].endswith("use --engine transformers")

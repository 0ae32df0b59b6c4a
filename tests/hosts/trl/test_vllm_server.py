"""Guards generation on a vLLM server through TRL's client, as far as a CPU allows: weights go through a file.

The server is vLLM's own with the arguments of `trl vllm-serve`; TRL's transfer by NCCL needs CUDA and is
replaced on both sides (`vllm_server.py`, `tiny_vllm.py`). All else between the two is as on a GPU.
"""

import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from tiny_trl import NUM_GENERATIONS, ledger_rows, metrics
from tiny_vllm import BLOCK, save_model
from trl.scripts.vllm_serve import ScriptArguments, build_command
from vllm_runs import NUMBERS, assert_follows, calls, is_fresh, make_runs, sampling, seen

from rlkit import PRESETS

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(find_spec("vllm") is None, reason="no vLLM: run scripts/setup --vllm"),
    pytest.mark.skipif(torch.cuda.is_available(), reason="the settings are those of the CPU build"),
]

RUNS = {
    **{name: {"curriculum": name, "numbers": NUMBERS.get(name, {})} for name in PRESETS},
    "lora": {"curriculum": "dapo", "peft": True},
    "many rounds": {"curriculum": "dapo", "reward": "starts_with_seven"},
    "long prompts": {"curriculum": "dapo", "prompt_length": 100},
    "benchmarks": {"curriculum": "dapo", "reward": "even_length", "benchmark": "digits.jsonl"},
    "never synchronized again": {"curriculum": "dapo", "stale": True},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    save_model(folder / "untied")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    served = {name: {**run, "server": f"http://127.0.0.1:{port}"} for name, run in RUNS.items()}
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(server_command(folder / "untied", port), stdout=log, stderr=log)
    try:
        return make_runs(folder, served)
    except AssertionError as error:
        error.add_note((folder / "server.log").read_text()[-3000:])
        raise
    finally:
        server.terminate()
        server.wait(30)


def server_command(model: Path, port: int) -> list[str]:
    """That of `trl vllm-serve`, with the script that runs on a CPU in place of vLLM's."""
    settings = ScriptArguments(
        str(model), host="127.0.0.1", port=port, dtype="float32", enforce_eager=True, max_model_len=2048
    )
    command = build_command(settings, ["--block-size", str(BLOCK)])
    script = str(Path(__file__).parent / "vllm_server.py")
    return ["env", "VLLM_SERVER_DEV_MODE=1", sys.executable, script, *command[command.index("serve") :]]


@pytest.mark.parametrize("name", [*PRESETS, "lora"])
def test_the_server_follows_the_policy(runs, name):
    assert_follows(runs / name)


def test_a_server_that_does_not_would_be_seen(runs):
    first, *rest = sampling(runs / "never synchronized again")
    assert is_fresh(first)
    assert all(row["sampling_logp_difference/max"] > 0.05 for row in rest)


def test_each_prompt_is_sent_once_for_all_its_completions(runs):
    """In every round; the weights go over before the first."""
    rounds = [line["funnel/rounds"] for line in metrics(runs / "many rounds")]
    assert max(rounds) > 2
    order = [(call["step"], call["call"]) for call in seen(runs / "many rounds")["calls"]]
    assert order == [
        (step, call) for step, num in enumerate(rounds) for call in ["sync", *["generate"] * num]
    ]
    sent = calls(runs / "many rounds", "generate")
    assert all(call["n"] == NUM_GENERATIONS for call in sent)
    assert all(len({tuple(ids) for ids in call["prompts"]}) == len(call["prompts"]) for call in sent)
    assert sum(len(call["prompts"]) for call in sent) == len(ledger_rows(runs / "many rounds"))
    assert all(map(is_fresh, sampling(runs / "many rounds")))


def test_judgements_are_sent_one_a_prompt(runs):
    judged, rolled_out = calls(runs / "metis", "generate")[:2]
    assert (judged["n"], rolled_out["n"]) == (1, NUM_GENERATIONS)
    assert len(judged["prompts"]) == 4 * len(rolled_out["prompts"])
    assert judged["hits"] > 0.8 * judged["queries"]


def test_completions_of_a_prompt_find_it_in_the_prefix_cache(runs):
    for call in calls(runs / "long prompts", "generate"):
        groups = len(call["prompts"])
        assert call["queries"] == 100 * groups * NUM_GENERATIONS
        assert call["hits"] >= groups * (NUM_GENERATIONS - 1) * 3 * BLOCK


def test_benchmarks_run_on_the_server(runs):
    logged = [row for row in seen(runs / "benchmarks")["log"] if "eval_digits/accuracy" in row]
    assert [row["step"] for row in logged] == [2, 4]
    assert [call["step"] for call in calls(runs / "benchmarks", "sync")] == [0, 1, 2, 3, 4]
    assert all(map(is_fresh, sampling(runs / "benchmarks")))
    assert all(3 < row["eval_digits/tokens"] <= 6 for row in logged)

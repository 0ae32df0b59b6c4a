"""Guards generation with real vLLM, on its CPU build: weights follow the policy, and resuming is exact.

The runs are made once, in one process (`vllm_run.py`), since loading vLLM takes longer than all of them.
"""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_trl import NUM_GENERATIONS, ledger_rows, metrics
from tiny_vllm import BLOCK
from vllm_runs import NUMBERS, assert_follows, calls, is_fresh, make_runs, sampling, seen

from rlkit import PRESETS

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(find_spec("vllm") is None, reason="no vLLM: run scripts/setup --vllm"),
    pytest.mark.skipif(torch.cuda.is_available(), reason="the settings are those of the CPU build"),
]


SOLUTION = "11\n35\n7"
"""The reward looks for a 7: only the whole of it earns."""
SAVED = {"save_strategy": "steps", "save_steps": 2}
RUNS = {
    **{name: {"curriculum": name, "numbers": NUMBERS.get(name, {}), "settings": SAVED} for name in PRESETS},
    "lora": {"curriculum": "dapo", "peft": True, "settings": SAVED},
    "tied": {"curriculum": "dapo", "tied": True, "settings": SAVED},
    "tied, lora": {"curriculum": "dapo", "tied": True, "peft": True},
    "many rounds": {"curriculum": "dapo", "reward": "starts_with_seven"},
    "long prompts": {"curriculum": "dapo", "prompt_length": 100},
    "two steps a generation": {
        "curriculum": "dapo",
        "settings": {"per_device_train_batch_size": 8, "steps_per_generation": 2},
    },
    "minimum length": {
        "curriculum": "metis",
        "numbers": {"judgement_length": 2, "judgement_weight": 1.0},
        "settings": {"generation_kwargs": {"min_tokens": 3}},
    },
    "objectives": {
        "curriculum": "uniform",
        "reward": "starts_with_seven",  # most groups are unsolved
        "objectives": {"objectives": "relift,clip_b", "relift_pairs": 1, "clip_b_mu": 0.5},
        "settings": {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 2},
    },
    "hints": {
        "curriculum": "uniform",
        "numbers": {"hints": "adaback"},
        "solution": SOLUTION,
        "settings": SAVED,
    },
    "hints, trained": {
        "curriculum": "uniform",
        "numbers": {"hints": "adaback", "hint_loss": True},
        "solution": SOLUTION,
    },
    "never synchronized again": {"curriculum": "dapo", "stale": True},
}
RESUMED = ["dapo", "ssb", "metis", "rlkit", "lora", "tied", "hints"]
RUNS |= {f"{name}, resumed": {**RUNS[name], "resumed": name} for name in RESUMED}
RUNS |= {
    name: {"curriculum": "dapo", "reward": "even_length", "peft": peft, "benchmark": "digits.jsonl"}
    for name, peft in (("benchmarks", False), ("benchmarks, lora", True))
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    return make_runs(tmp_path_factory.mktemp("runs"), RUNS)


@pytest.mark.parametrize("name", [*PRESETS, "lora", "tied", "tied, lora"])
def test_the_engine_follows_the_policy(runs, name):
    assert_follows(runs / name)
    trained = [row for row in ledger_rows(runs / name) if row["trained"]]
    assert {row["step"] for row in trained} == {1, 2, 3, 4}


def test_objectives_leave_the_importance_correction_as_it_is(runs):
    """Supervised steps reach the engine, and masked tokens keep their ratio, of 1, to the sampler."""
    assert_follows(runs / "objectives")
    rows = metrics(runs / "objectives")
    assert rows[-1]["objectives/relift/steps_total"] > 0
    assert any(row["objectives/clip_b/masked"] > 0 for row in rows)


@pytest.mark.parametrize("name", ["hints", "hints, trained"])
def test_what_is_sampled_behind_a_hint_has_the_ratio_of_the_sampler(runs, name):
    """Policy and sampler see the same prefix; a trained hint has a ratio of 1."""
    assert_follows(runs / name)
    helped = [row for row in ledger_rows(runs / name) if row["share"] > 0]
    prompts = [ids for call in calls(runs / name, "generate") for ids in call["prompts"]]
    assert helped and sum(len(ids) > 4 for ids in prompts) == NUM_GENERATIONS * len(helped)


def test_an_engine_that_does_not_would_be_seen(runs):
    first, *rest = sampling(runs / "never synchronized again")
    assert is_fresh(first)
    assert all(row["sampling_logp_difference/max"] > 0.05 for row in rest)


@pytest.mark.parametrize(("name", "most"), [("many rounds", 3), ("dapo", 2), ("lora", 2), ("tied", 2)])
def test_all_rounds_of_a_step_sample_with_its_weights(runs, name, most):
    """They go over before the first round, and not again."""
    rounds = [line["funnel/rounds"] for line in metrics(runs / name)]
    assert max(rounds) >= most
    order = [(call["step"], call["call"]) for call in seen(runs / name)["calls"]]
    assert order == [
        (step, call) for step, num in enumerate(rounds) for call in ["sync", *["generate"] * num]
    ]
    assert all(map(is_fresh, sampling(runs / name)))


def test_a_generation_for_two_steps_is_synchronized_once(runs):
    run = runs / "two steps a generation"
    assert [call["step"] for call in calls(run, "sync")] == [0, 2]
    assert len(sampling(run)) == 2 and all(map(is_fresh, sampling(run)))


@pytest.mark.parametrize("name", RESUMED)
def test_a_resumed_run_is_the_undisturbed_one(runs, name):
    """Bit for bit, completions too: vLLM draws from torch's generator in this process, which is restored.

    The engine holds the weights of another run when the resumed one begins. With LoRA too: what TRL's merging
    at each synchronization rounds of the base is put back.
    """
    whole, resumed = runs / name, runs / f"{name}, resumed"
    generated = [call for call in calls(whole, "generate") if call["step"] >= 2]
    assert [call["prompts"] for call in calls(resumed, "generate")] == [call["prompts"] for call in generated]
    assert ledger_rows(resumed) == ledger_rows(whole)
    assert_follows(resumed, first=2)
    file = "adapter_model.safetensors" if name == "lora" else "model.safetensors"
    expected, actual = (load_file(run / "checkpoint-4" / file) for run in (whole, resumed))
    assert all(torch.equal(actual[key], expected[key]) for key in expected)


def test_completions_of_a_prompt_find_it_in_the_prefix_cache(runs):
    """100 tokens are 3 whole blocks: the first completion computes them, the others of its group do not."""
    generated = calls(runs / "long prompts", "generate")
    assert len(generated) > 4
    for call in generated:
        groups = len({tuple(ids) for ids in call["prompts"]})
        assert groups * NUM_GENERATIONS == len(call["prompts"]) and call["n"] == 1
        assert call["queries"] == 100 * len(call["prompts"])
        # Prompts that begin alike share blocks beyond their own group.
        assert call["hits"] >= groups * (NUM_GENERATIONS - 1) * 3 * BLOCK
    assert_follows(runs / "long prompts")


def test_judgements_share_their_context_in_the_prefix_cache(runs):
    judged = [call for call in calls(runs / "metis", "generate") if len(call["prompts"][0]) > 100]
    assert len(judged) == 4
    assert all(call["hits"] > 0.8 * call["queries"] for call in judged)


def test_vllm_judges_with_a_limit_of_its_own(runs):
    rows = ledger_rows(runs / "metis")
    for line in metrics(runs / "metis"):
        rollouts = [sum(row["lengths"]) for row in rows if row["step"] == line["step"]]
        # 16 judgements a step, of 5 tokens unless the end token comes before; rollouts end after 3.
        assert 3 * 16 < line["tokens/generated"] - sum(rollouts) <= 5 * 16
        assert line["self_judgement/unparseable"] < 1


def test_judgements_are_free_of_what_is_asked_of_rollouts(runs):
    """Rollouts of at least 3 tokens, judgements of at most 2."""
    rows = ledger_rows(runs / "minimum length")
    assert {length for row in rows for length in row["lengths"]} == {3}
    for line in metrics(runs / "minimum length"):
        rollouts = [sum(row["lengths"]) for row in rows if row["step"] == line["step"]]
        assert 0 < line["tokens/generated"] - sum(rollouts) <= 2 * 16


def test_replayed_completions_have_the_ratio_to_their_own_policy(runs):
    """TRL's importance correction compares with the logprobs of the time when they were sampled."""
    stale = [line["rollouts/stale"] > 0 for line in metrics(runs / "ssb")]
    assert any(stale)
    for was_stale, row in zip(stale, sampling(runs / "ssb"), strict=True):
        assert row["sampling_logp_difference/max"] > 1e-2 if was_stale else is_fresh(row)


@pytest.mark.parametrize("name", ["benchmarks", "benchmarks, lora"])
def test_benchmarks_run_on_the_trainers_vllm_and_leave_it_in_step(runs, name):
    """Sampled with settings of their own; then the training goes on with its own, and with fresh weights."""
    assert all(map(is_fresh, sampling(runs / name)))
    assert [call["step"] for call in calls(runs / name, "sync")] == [0, 1, 2, 3, 4]
    logged = [row for row in seen(runs / name)["log"] if "eval_digits/accuracy" in row]
    assert [row["step"] for row in logged] == [2, 4]
    for row in logged:
        assert 3 < row["eval_digits/tokens"] <= 6, "longer than the rollouts' 3"
        assert row["eval_digits/pass@4"] >= row["eval_digits/accuracy"] > 0
        assert row["eval_digits/truncated"] < 1

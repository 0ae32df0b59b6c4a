"""Guards sampling from saved models: seeds, batches, stop texts, adapters, and what is left as it was."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny_model import make_model, make_tokenizer

from rlkit.evaluate.engines import Sampling, TransformersEngine, check_engine, load_engine
from rlkit.evaluate.plan import encode

TEXTS = ["1+1=", "12+13=", "7+8=", "0=", "5+5+5="]
SHORT = Sampling(num_samples=3, max_new_tokens=6)
GREEDY = Sampling(max_new_tokens=6, temperature=0)


def prompts():
    return [make_tokenizer()(text)["input_ids"] for text in TEXTS]


def texts(samples):
    return [[sample.text for sample in row] for row in samples]


@pytest.fixture(scope="module")
def engine(checkpoint):
    return load_engine(str(checkpoint), "transformers", batch_size=8)


def test_samples_are_whole_and_vary_whatever_the_checkpoints_own_top_k_says(engine):
    samples = engine.sample(prompts(), SHORT, seed=0)
    assert [len(row) for row in samples] == [3] * 5
    for row in samples:
        for sample in row:
            assert sample.truncated == (1 not in sample.token_ids) and len(sample.token_ids) <= 6
            assert sample.truncated == (len(sample.token_ids) == 6 and sample.token_ids[-1] != 1)
    assert len({text for row in texts(samples) for text in row}) > 8
    assert engine.model.generation_config.top_k == 1


def test_the_seed_decides_and_the_caller_keeps_its_own(engine):
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    runs = [texts(engine.sample(prompts(), SHORT, seed)) for seed in (1, 1, 2)]
    assert torch.rand(1) == expected
    assert runs[0] == runs[1] != runs[2]


def test_greedy_ignores_the_batching(checkpoint, engine):
    alone = load_engine(str(checkpoint), "transformers", batch_size=1)
    assert texts(alone.sample(prompts(), GREEDY, 0)) == texts(engine.sample(prompts(), GREEDY, 0))


def test_sampling_follows_the_models_own_distribution(engine):
    """The first token of 4000 samples against the softmax of the logits."""
    ids = prompts()[0]
    rows = engine.sample([ids], Sampling(num_samples=4000, max_new_tokens=1), seed=0)[0]
    drawn = torch.bincount(torch.tensor([row.token_ids[0] for row in rows]), minlength=15) / 4000
    with torch.no_grad():
        expected = engine.model(torch.tensor([ids])).logits[0, -1].softmax(0)
    assert (drawn - expected).abs().max() < 4 * 0.5 / 4000**0.5


def test_a_stop_text_ends_a_completion_and_is_left_out(engine):
    plain = engine.sample(prompts(), GREEDY, 0)
    stop = plain[1][0].text[1:3]
    assert len(stop) == 2
    row = engine.sample(prompts(), Sampling(max_new_tokens=6, temperature=0, stop=(stop, "no such")), 0)[1]
    assert row[0].text == plain[1][0].text.partition(stop)[0]
    assert row[0].token_ids == plain[1][0].token_ids[: plain[1][0].text.find(stop) + 2]
    assert not row[0].truncated


def test_training_mode_and_dropout_are_as_before():
    model = make_model(0).train()
    TransformersEngine(model, make_tokenizer(), 4).sample(prompts(), GREEDY, 0)
    assert model.training


def test_completions_end_where_the_context_does(checkpoint, engine):
    ids = [prompts()[0] * 15]
    assert len(ids[0]) == 60 and engine.context == 64
    sample = engine.sample(ids, Sampling(max_new_tokens=50), seed=0)[0][0]
    assert len(sample.token_ids) <= 4


def test_an_adapter_is_put_on_its_base(checkpoint, engine, tmp_path):
    base = type(make_model(0)).from_pretrained(checkpoint)
    model = get_peft_model(base, LoraConfig(target_modules=["q_proj", "v_proj", "o_proj"]))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=1.0, generator=torch.Generator().manual_seed(0))
    model.save_pretrained(tmp_path)
    assert not (tmp_path / "tokenizer_config.json").exists()  # so it is the base's
    adapter = load_engine(str(tmp_path), "transformers", batch_size=8)
    expected = TransformersEngine(model.merge_and_unload(), make_tokenizer(), 8)
    assert texts(adapter.sample(prompts(), GREEDY, 0)) == texts(expected.sample(prompts(), GREEDY, 0))
    assert texts(adapter.sample(prompts(), GREEDY, 0)) != texts(engine.sample(prompts(), GREEDY, 0))


def test_messages_go_through_the_chat_template():
    tokenizer = make_tokenizer()
    assert encode(tokenizer, [{"role": "user", "content": "1+1"}]) == encode(tokenizer, "1+1=")
    tokenizer.chat_template = None
    with pytest.raises(ValueError, match="no chat template; use --prompt plain"):
        encode(tokenizer, [{"role": "user", "content": "1+1"}])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_samples": 0}, r"num_samples \(0\) must be at least 1"),
        ({"max_new_tokens": 0}, r"max_new_tokens \(0\) must be at least 1"),
        ({"temperature": 0, "num_samples": 2}, "the same completion"),
        ({"temperature": -1}, r"temperature \(-1\)"),
    ],
)
def test_bad_sampling_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**settings)


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed")
def test_vllm_that_is_not_installed_is_named():
    with pytest.raises(ValueError, match=r"vLLM is not installed.*--engine transformers"):
        check_engine("vllm")


@pytest.mark.vllm
@pytest.mark.skipif(find_spec("vllm") is None, reason="no vLLM: run scripts/setup --vllm")
def test_vllm_samples_as_transformers_do(checkpoint, tmp_path):
    """In a process of its own: the same greedy completions, and seeds that decide."""
    script = Path(__file__).parent / "vllm_engine.py"
    command = [sys.executable, str(script), str(checkpoint)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=800, env={**os.environ})
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "same greedy, same seed, other seed, other prompts, stopped"

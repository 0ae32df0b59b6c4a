"""Real vLLM on a CPU: what its backend needs to follow a policy, and a model that it takes.

A plain module, so that the processes of the tests and of the server import it; before vllm.
"""

import os
import tempfile
from pathlib import Path

os.environ["VLLM_CPU_KVCACHE_SPACE"] = "1"
os.environ["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
os.environ["TORCHDYNAMO_DISABLE"] = "1"

import torch
import vllm.model_executor.layers.utils as layers
from safetensors.torch import save_file
from tiny_judge import make_judging_tokenizer
from transformers import Qwen2Config, Qwen2ForCausalLM

BLOCK = 32
"""Tokens of a block of vLLM's prefix cache."""


def leave_unpacked(layer, remove_weight=False):
    """The CPU backend would pack a layer's weights at the start, and take no new ones."""
    layer.cpu_linear = torch.nn.functional.linear


layers.dispatch_cpu_unquantized_gemm = leave_unpacked


def save_model(path: Path, *, tied: bool = False) -> None:
    """vLLM takes only some head sizes, 32 the smallest, so the model is larger than in the other tests."""
    tokenizer = make_judging_tokenizer()
    tokenizer.save_pretrained(path)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    Qwen2ForCausalLM(config).save_pretrained(path)


def has_seven(completions, **_):
    """1.0 where there is a 7: one completion of the random model in seven, so that many groups agree."""
    return [float("7" in completion) for completion in completions]


def starts_with_seven(completions, **_):
    """One completion in nineteen: a batch takes all rounds that it may."""
    return [float(completion[:1] == "7") for completion in completions]


def even_length(completions, **_):
    return [float(len(completion) % 2 == 0) for completion in completions]


def send_through_file(iterator, group, src, post_iter_func):
    """The trainer's side of `vllm_server.py`: all weights into the file `group`, which appears whole."""
    weights = {item[0]: post_iter_func(item).detach().contiguous() for item in iterator}
    written = group.with_suffix(".part")
    save_file(weights, written)
    written.rename(group)


def connect_through_file(client, device):
    """In place of `VLLMClient.init_communicator`, which wants a CUDA device."""
    client.communicator = Path(tempfile.mkdtemp()) / "weights.safetensors"
    info = {"init_info": {"file": str(client.communicator)}}
    client._post(f"{client.base_url}/init_weight_transfer_engine", json=info)

"""What vLLM's CPU backend needs to follow a policy, and weights sent to a server without NCCL.

Imported before vLLM, and in the server's processes too.
"""

import os
from pathlib import Path

os.environ["VLLM_CPU_KVCACHE_SPACE"] = "1"
os.environ["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
os.environ["TORCHDYNAMO_DISABLE"] = "1"

import torch
import vllm.model_executor.layers.utils as layers
from safetensors.torch import save_file


def leave_unpacked(layer, remove_weight=False):
    """The CPU backend would pack a layer's weights at the start, and take no new ones."""
    layer.cpu_linear = torch.nn.functional.linear


layers.dispatch_cpu_unquantized_gemm = leave_unpacked


def send_through_file(iterator, group, src, post_iter_func):
    """The trainer's side of `vllm_server.py`: all weights into the file `group`, which appears whole."""
    # Copies: TRL takes an adapter out of its base again once all weights went by.
    weights = {item[0]: post_iter_func(item).detach().clone() for item in iterator}
    written = group.with_suffix(".part")
    save_file(weights, written)
    written.rename(group)


def connect_through_file(client, device):
    """In place of `VLLMClient.init_communicator`, which wants a CUDA device."""
    client.communicator = Path.cwd() / "weights.safetensors"
    info = {"init_info": {"file": str(client.communicator)}}
    client._post(f"{client.base_url}/init_weight_transfer_engine", json=info)

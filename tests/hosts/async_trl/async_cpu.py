"""What stands in for a GPU in an asynchronous run: TRL's attention kernel, and weights through a file.

TRL's asynchronous trainer packs completions into trees and attends to them by FlashAttention 3, which needs
CUDA, as NCCL does. Here PyTorch's own attention does the same sums, and weights go into a file that the
server's process takes (`vllm_server.py`, `engine.py`).
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import requests
import torch
import trl.experimental.async_grpo.async_grpo_trainer as trainer
import trl.experimental.async_grpo.packing as packing
from safetensors.torch import save_file


def varlen_attention(query, key, value, cu_q, cu_k, *rest, softmax_scale, **settings) -> torch.Tensor:
    """FlashAttention's over segments, causal from the end of each: (tokens, heads, size) -> the same."""
    repeats = query.shape[1] // key.shape[1]
    out = torch.empty_like(query)
    bounds = zip(itertools.pairwise(cu_q.tolist()), itertools.pairwise(cu_k.tolist()), strict=True)
    for (start, end), (first, last) in bounds:
        q = query[start:end].transpose(0, 1)
        k, v = (x[first:last].transpose(0, 1).repeat_interleave(repeats, 0) for x in (key, value))
        num, seen = end - start, last - first
        mask = torch.ones(num, seen, dtype=torch.bool).tril(seen - num)
        attended = torch.nn.functional.scaled_dot_product_attention(q, k, v, mask, scale=softmax_scale)
        out[start:end] = attended.transpose(0, 1)
    return out


def use_cpu() -> None:
    trainer.get_peak_flops_per_device = lambda accelerator, dtype: None  # asks CUDA for the device's name
    packing._flash_attn = lambda: SimpleNamespace(flash_attn_varlen_func=varlen_attention)


class FileTransfer:
    """TRL's weight transfer protocol over HTTP, with the tensors in a file."""

    def __init__(self, url: str, file: Path):
        self.url, self.file = url, file
        self.num_sent = 0

    def init_weight_transfer(self) -> None:
        self._post("init_weight_transfer_engine", json={"init_info": {"file": str(self.file)}})

    def pause(self) -> None:
        self._post("pause", params={"mode": "keep"})

    def send_weights(self, iterator: Iterator[tuple[str, torch.Tensor]]) -> None:
        weights = {name: tensor.detach().clone() for name, tensor in iterator}
        self._post("start_weight_update", json={"is_checkpoint_format": True})
        written = self.file.with_suffix(".part")
        save_file(weights, written)
        written.rename(self.file)
        info = {
            "names": list(weights),
            "dtype_names": [str(tensor.dtype).split(".")[-1] for tensor in weights.values()],
            "shapes": [list(tensor.shape) for tensor in weights.values()],
        }
        self._post("update_weights", json={"update_info": info})
        self._post("finish_weight_update")
        self.num_sent += 1

    def resume(self) -> None:
        self._post("resume")

    def destroy(self) -> None: ...

    def _post(self, path: str, **payload) -> None:
        response = requests.post(f"{self.url}/{path}", timeout=120, **payload)
        if response.status_code != 200:
            raise RuntimeError(f"{path}: {response.status_code} {response.text}")

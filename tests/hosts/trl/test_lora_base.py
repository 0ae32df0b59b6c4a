"""Guards the base of a LoRA model under vLLM: merging leaves it bit for bit as it was."""

from types import SimpleNamespace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny_trl import make_model

from rlkit.hosts.trl.lora_base import keep_base, merged_into

ROUNDS = 20


def trainer(dtype: torch.dtype, sharded: bool = False) -> SimpleNamespace:
    """A LoRA model, and a synchronization that merges as TRL's does."""
    torch.manual_seed(0)
    config = LoraConfig(target_modules=["q_proj", "v_proj"], r=4, init_lora_weights=False)
    model = get_peft_model(make_model().to(dtype), config, autocast_adapter_dtype=False)
    sent = []

    def sync_weights() -> None:
        model.merge_adapter()
        sent.append([weight.clone() for weight in merged_into(model)])
        model.unmerge_adapter()

    engine = SimpleNamespace(sync_weights=sync_weights, sent=sent)
    return SimpleNamespace(model=model, vllm_generation=engine, is_fsdp_enabled=sharded)


def base(trainer: SimpleNamespace) -> list[torch.Tensor]:
    return [weight.clone() for weight in merged_into(trainer.model)]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_base_is_put_back(dtype):
    plain, kept = trainer(dtype), trainer(dtype)
    keep_base(kept)
    before = base(kept)
    assert len(before) > 0 and all(torch.equal(*pair) for pair in zip(before, base(plain), strict=True))
    for _ in range(ROUNDS):
        plain.vllm_generation.sync_weights()
        kept.vllm_generation.sync_weights()
    assert not all(torch.equal(*pair) for pair in zip(before, base(plain), strict=True))  # the drift
    assert all(torch.equal(*pair) for pair in zip(before, base(kept), strict=True))
    first, *_, last = kept.vllm_generation.sent
    assert all(torch.equal(*pair) for pair in zip(first, last, strict=True))
    assert not all(torch.equal(*pair) for pair in zip(first, before, strict=True))  # with the adapter in it


def test_a_sharded_base_in_half_precision_is_refused():
    keep_base(trainer(torch.float32, sharded=True))
    with pytest.raises(ValueError, match=r"FSDP on a base in torch.bfloat16: .* set dtype: float32"):
        keep_base(trainer(torch.bfloat16, sharded=True))

"""Guards generation with real vLLM in the trainer's process, on a CPU build: weights follow the policy."""

import functools

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed; scripts/setup --vllm installs a CPU build")

import torch
from datasets import Dataset
from peft import LoraConfig
from tiny_trl import make_args, make_tokenizer
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from rlkit import CurriculumGRPOTrainer
from rlkit.ledger import read_ledger

pytestmark = [pytest.mark.vllm, pytest.mark.slow]


@pytest.fixture
def vllm_on_cpu(monkeypatch):
    """What vLLM's CPU backend needs to follow a policy: no prepacked weights, float32, eager, one process."""
    for name, value in {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "TORCHDYNAMO_DISABLE": "1",
    }.items():
        monkeypatch.setenv(name, value)
    import trl.generation.vllm_generation as generation
    import vllm.model_executor.layers.utils as layers

    def unpacked(layer, remove_weight=False):
        layer.cpu_linear = torch.nn.functional.linear

    monkeypatch.setattr(layers, "dispatch_cpu_unquantized_gemm", unpacked)
    monkeypatch.setattr(
        generation, "LLM", functools.partial(generation.LLM, enforce_eager=True, dtype="float32")
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="the settings are those of the CPU build")
@pytest.mark.parametrize("peft", [False, True])
def test_filtered_curriculum_generates_with_vllm(tmp_path, vllm_on_cpu, peft):
    path = tmp_path / "model"
    tokenizer: PreTrainedTokenizerFast = make_tokenizer()
    tokenizer.save_pretrained(path)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    Qwen2ForCausalLM(config).save_pretrained(path)

    def even_length(completions, **_):
        return [float(len(completion) % 2 == 0) for completion in completions]

    trainer = CurriculumGRPOTrainer(
        str(path),
        reward_funcs=even_length,
        args=make_args(
            tmp_path / "run",
            use_vllm=True,
            vllm_mode="colocate",
            vllm_max_model_length=32,
            max_steps=4,
            learning_rate=1e-2,
            model_init_kwargs={"dtype": "float32"},
        ),
        train_dataset=Dataset.from_list([{"prompt": f"{number:03d}="} for number in range(200)]),
        processing_class=tokenizer,
        peft_config=LoraConfig(target_modules=["q_proj", "v_proj"], r=4) if peft else None,
        curriculum="dapo",
    )
    trainer.train()
    logged = [row for row in trainer.state.log_history if "sampling/sampling_logp_difference/mean" in row]
    assert len(logged) == 4
    # A stale engine shows as a difference of 0.1 and more at this learning rate.
    assert max(row["sampling/sampling_logp_difference/mean"] for row in logged) < 1e-4
    rows = read_ledger(tmp_path / "run" / "ledger").to_pylist()
    for step in range(1, 5):
        assert sum(row["trained"] for row in rows if row["step"] == step) == 4

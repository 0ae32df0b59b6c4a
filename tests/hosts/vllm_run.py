"""A process of its own for `test_trl_vllm.py`: TRL's colocate mode leaves a port and variables behind.

    python vllm_run.py RUN_FOLDER [--peft] [--curriculum NAME] [--benchmark FILE]

Prints the greatest difference between vLLM's and the policy's log-probabilities at each step, as a JSON list;
with a benchmark, on the line before, what it logged.
"""

import argparse
import functools
import json
import os
from pathlib import Path

# What vLLM's CPU backend needs to follow a policy; `main` adds eager, float32 and no prepacked weights.
os.environ["VLLM_CPU_KVCACHE_SPACE"] = "1"
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
os.environ["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
os.environ["TORCHDYNAMO_DISABLE"] = "1"

import torch
import trl.generation.vllm_generation as generation
import vllm.model_executor.layers.utils as layers
from datasets import Dataset
from peft import LoraConfig
from tiny_judge import make_judging_tokenizer
from tiny_trl import make_args
from transformers import Qwen2Config, Qwen2ForCausalLM

from rlkit import CurriculumConfig, CurriculumGRPOTrainer
from rlkit.evaluate.benchmark import Benchmark
from rlkit.evaluate.plan import make_task
from rlkit.hosts.benchmarks import BenchmarkCallback


def leave_unpacked(layer, remove_weight=False):
    layer.cpu_linear = torch.nn.functional.linear


def save_model(path: Path) -> None:
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
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    Qwen2ForCausalLM(config).save_pretrained(path)


def even_length(completions, **_):
    return [float(len(completion) % 2 == 0) for completion in completions]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--peft", action="store_true")
    parser.add_argument("--curriculum", default="dapo")
    parser.add_argument("--benchmark")
    arguments = parser.parse_args()
    curriculum = CurriculumConfig(arguments.curriculum)
    if arguments.curriculum == "metis":
        curriculum = CurriculumConfig("metis", judgement_length=5, judgement_weight=1.0)
    layers.dispatch_cpu_unquantized_gemm = leave_unpacked
    generation.LLM = functools.partial(generation.LLM, enforce_eager=True, dtype="float32")
    model = arguments.run.with_name("model")
    save_model(model)
    trainer = CurriculumGRPOTrainer(
        str(model),
        reward_funcs=even_length,
        args=make_args(
            arguments.run,
            use_vllm=True,
            vllm_mode="colocate",
            vllm_max_model_length=2048 if arguments.curriculum == "metis" else 32,
            max_steps=4,
            learning_rate=1e-2,
            model_init_kwargs={"dtype": "float32"},
        ),
        train_dataset=Dataset.from_list([{"prompt": f"{number:03d}="} for number in range(200)]),
        processing_class=make_judging_tokenizer(),
        peft_config=LoraConfig(target_modules=["q_proj", "v_proj"], r=4) if arguments.peft else None,
        curriculum=curriculum,
    )
    if arguments.benchmark:
        benchmark = Benchmark(
            name="digits",
            reward=f"{__file__}:even_length",
            question="{question}",
            data=arguments.benchmark,
            stop=("7",),
        )
        callback = BenchmarkCallback(
            trainer, [make_task(benchmark)], 2, num_samples=4, max_new_tokens=6, prompt_form="plain"
        )
        trainer.add_callback(callback)
    trainer.train()
    if arguments.benchmark:
        logged = [row for row in trainer.state.log_history if "eval_digits/accuracy" in row]
        print(json.dumps(logged))
    name = "sampling/sampling_logp_difference/max"
    print(json.dumps([row[name] for row in trainer.state.log_history if name in row]))


if __name__ == "__main__":
    main()

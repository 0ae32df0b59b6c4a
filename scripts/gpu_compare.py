"""Uniform prompts against `rlkit` on reasoning-gym tasks under one wall-clock budget, from nothing, offline.

    python scripts/gpu_compare.py --out DIR             one GPU, vLLM: 4 min of warm start, 4 runs of 4 min
    python scripts/gpu_compare.py --out DIR --small     in small on a CPU, without vLLM, to test this script

Trains an 85M-parameter model from scratch on the tasks' own answers (supervised, until the time is over), and
GRPO from there with each curriculum and seed for the same seconds (`rlkit compare`), held-out tasks
evaluated on the way. The tasks are short sums, greatest common divisors and words to spell backward, from
easy to hard, so that the warm start solves some always and some hardly ever. Needs rlkit[reasoning-gym].
Called again it goes on where it was.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import torch
import yaml
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM, TrainerCallback
from trl import SFTConfig, SFTTrainer

from rlkit.prompts.tasks import task_rows

REPOSITORY = Path(__file__).resolve().parent.parent
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SUMS = [{"terms": n, "digits": d} for n in (2, 3) for d in (1, 2, 4)]
TASKS = [
    *(("chain_sum", {f"{end}_{of}": n for of, n in each.items() for end in ("min", "max")}) for each in SUMS),
    *(("gcd", {"min_numbers": 2, "max_numbers": 2, "min_value": 1, "max_value": m}) for m in (20, 1000)),
    *(("spell_backward", {"min_word_len": n, "max_word_len": n + 2}) for n in (3, 6, 9)),
]
HELD_OUT_SEED, WARM_SEED, POOL_SEED = 10**6, 2 * 10**6, 3 * 10**6


def make_rows(num: int, seed: int) -> list[dict]:
    """`num` rows of each task and level, in turn."""
    levels = [task_rows(name, num, seed, instruction=None, **config) for name, config in TASKS]
    return [level[i] for i in range(num) for level in levels]


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A token a byte."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    core.train_from_iterator(
        [], trainers.BpeTrainer(special_tokens=specials, initial_alphabet=alphabet, show_progress=False)
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|endoftext|>", padding_side="left"
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


class Until(TrainerCallback):
    """Ends a training when its time is over."""

    def __init__(self, seconds: float):
        self.deadline = time.monotonic() + seconds

    def on_step_end(self, args, state, control, **kwargs) -> None:
        control.should_training_stop = time.monotonic() > self.deadline


def warm_start(folder: Path, seconds: float, small: bool) -> None:
    """The policy that every run starts from, trained on the tasks' answers."""
    tokenizer, cuda = make_tokenizer(), torch.cuda.is_available()
    shape = (64, 128, 2, 2) if small else (768, 2048, 12, 12)
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        num_key_value_heads=shape[-1],
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **dict(zip(names, shape, strict=True)),
    )
    torch.manual_seed(0)
    rows = make_rows(20 if small else 20_000, WARM_SEED)
    data = [
        {"prompt": row["prompt"], "completion": [{"role": "assistant", "content": row["answer"]}]}
        for row in rows
    ]
    args = SFTConfig(
        str(folder.with_name("sft")),
        per_device_train_batch_size=16 if small else 256,
        num_train_epochs=1,
        learning_rate=3e-4,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=50,
        max_length=256,
        bf16=cuda,
        use_cpu=not cuda,
        gradient_checkpointing=False,
        save_strategy="no",
        report_to="none",
        logging_steps=100,
        disable_tqdm=True,
    )
    model = Qwen2ForCausalLM(config)
    print(f"warm start: {model.num_parameters():,} parameters, {len(data):,} rows, at most {seconds:.0f} s")
    SFTTrainer(
        model,
        args=args,
        train_dataset=Dataset.from_list(data),
        processing_class=tokenizer,
        callbacks=[Until(seconds)],
    ).train()
    part = folder.with_name("warm_start.part")
    model.save_pretrained(part)
    tokenizer.save_pretrained(part)
    part.rename(folder)


def write_config(out: Path, small: bool) -> Path:
    """The recipe's settings, one file for all runs; the held-out rows come first."""
    data = out / "tasks.jsonl"
    num_eval = 2 * len(TASKS) if small else 20 * len(TASKS)
    held_out = make_rows(num_eval // len(TASKS), HELD_OUT_SEED)
    rows = held_out + make_rows(4 if small else 2000, POOL_SEED)
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    cuda = torch.cuda.is_available()
    settings = {
        "recipe": str(REPOSITORY / "recipes" / "grpo.py"),
        "model_name_or_path": str(out / "warm_start"),
        "dtype": "bfloat16" if cuda else "float32",
        "dataset_path": str(data),
        "rewards": ["rewards.reasoning_gym:reasoning_gym_strict"],
        "num_eval": num_eval,
        "eval_strategy": "steps",
        "eval_steps": 1 if small else 10,
        "eval_on_start": True,
        "per_device_eval_batch_size": 8 if small else 220,
        "per_device_train_batch_size": 16 if small else 512,
        "num_generations": 8,
        "max_completion_length": 24,
        "learning_rate": 1e-5,
        "lr_scheduler_type": "constant_with_warmup",
        "warmup_steps": 5,
        "beta": 0.0,
        "use_vllm": not small,
        "vllm_mode": "colocate",
        "vllm_gpu_memory_utilization": 0.3,
        "vllm_max_model_length": 512,
        "bf16": cuda,
        "use_cpu": not cuda,
        "gradient_checkpointing": False,
        "logging_steps": 1,
        "save_steps": 20,
        "save_total_limit": 1,
        "report_to": "none",
        "disable_tqdm": True,
    }
    path = out / "config.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--warm-start-seconds", type=float, default=240)
    parser.add_argument("--seconds", type=float, default=240, help="of each run")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--small", action="store_true", help="a tiny model on a CPU, a few steps")
    arguments = parser.parse_args()
    if not arguments.small and not torch.cuda.is_available():
        parser.error("there is no CUDA device; --small runs the same steps on a CPU")
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "warm_start").is_dir():
        warm_start(out / "warm_start", arguments.warm_start_seconds, arguments.small)
    config = write_config(out, arguments.small)
    budget = "steps=2" if arguments.small else f"seconds={arguments.seconds:g}"
    command = [sys.executable, "-m", "rlkit.cli", "compare", str(config), "--curricula", "uniform,rlkit"]
    command += [
        "--seeds",
        str(arguments.seeds),
        "--budget",
        budget,
        "--processes",
        "1",
        "--out",
        str(out / "runs"),
    ]
    command += ["--metric", "eval_rewards/reasoning_gym_strict/mean"]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
    }
    sys.exit(subprocess.run(command, env=environment).returncode)


if __name__ == "__main__":
    main()

"""Where the seconds of a training step go: selection, generation, grading, update; tokens/s; peak memory.

    python scripts/bench_stages.py --size 13M --lengths 16,128,512                       on a CPU
    python scripts/bench_stages.py --size 0.5B --curricula uniform,dapo,pcl,rlkit --groups 64 --engine vllm

Each curriculum and completion length runs in a process of its own, on a model of random weights (see
bench_models.py) whose completions all have the full length. Medians over the steps after a warm-up.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

STAGES = ("selection", "generation", "grading", "update")
WARM_UP = 2


@dataclass(frozen=True)
class Setting:
    """One run; `batch` is the completions of a backward pass, `plain` TRL's own trainer."""

    model: str
    curriculum: str = "uniform"
    groups: int = 8
    generations: int = 8
    length: int = 128
    batch: int = 32
    steps: int = 5
    engine: str = "transformers"
    num_prompts: int = 1024
    plain: bool = False


def make_trainer(
    setting: Setting, folder: str, max_steps: int, curriculum: Any = None, learning_rate: float = 1e-6
) -> Any:
    """The trainer of a setting; `curriculum` takes the place of its preset's name."""
    import torch
    from bench_models import coin, make_prompts
    from datasets import Dataset
    from transformers import PreTrainedTokenizerFast
    from trl import GRPOConfig, GRPOTrainer

    from rlkit import CurriculumGRPOTrainer

    cuda, vllm = torch.cuda.is_available(), setting.engine == "vllm"
    rows = setting.groups * setting.generations
    batch = min(setting.batch, rows)
    args = GRPOConfig(
        folder,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=rows // batch,
        num_generations=setting.generations,
        max_completion_length=setting.length,
        generation_kwargs={"min_tokens" if vllm else "min_new_tokens": setting.length},
        max_steps=max_steps,
        learning_rate=learning_rate,
        use_vllm=vllm,
        vllm_mode="colocate",
        vllm_gpu_memory_utilization=0.3,
        vllm_max_model_length=setting.length + 128,
        bf16=cuda,
        use_cpu=not cuda,
        gradient_checkpointing=cuda,
        save_strategy="no",
        report_to="none",
        logging_steps=1,
        disable_tqdm=True,
        model_init_kwargs={"dtype": "bfloat16" if cuda else "float32"},
    )
    # By its class: AutoTokenizer would take Qwen2's own for any tokenizer of a Qwen2 model.
    extra: dict[str, Any] = {"processing_class": PreTrainedTokenizerFast.from_pretrained(setting.model)}
    if not setting.plain:
        extra["curriculum"] = curriculum or setting.curriculum
    kind = GRPOTrainer if setting.plain else CurriculumGRPOTrainer
    data = Dataset.from_list(make_prompts(setting.num_prompts))
    return kind(setting.model, reward_funcs=coin, args=args, train_dataset=data, **extra)


def train(setting: Setting) -> dict[str, float]:
    """Trains in this process, and gives medians of the timed steps."""
    import torch

    from rlkit.hosts.simulated.host import peak_resident_mb

    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(setting, folder, WARM_UP + setting.steps)
        start = time.perf_counter()
        trainer.train()
        seconds = (time.perf_counter() - start) / (WARM_UP + setting.steps)
        peak = {"peak_mb": peak_resident_mb()}
        if torch.cuda.is_available():
            peak["peak_cuda_mb"] = torch.cuda.max_memory_allocated() / 1e6
        if setting.plain:
            return {"whole_seconds": seconds, **peak}
        lines = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    steps = lines[WARM_UP:]
    found = {name: statistics.median(line[f"seconds/{name}"] for line in steps) for name in STAGES}
    found["seconds"] = statistics.median(line["seconds/step"] for line in steps)
    tokens = statistics.mean(line["tokens/generated"] for line in steps)
    generation = statistics.mean(line["seconds/generation"] for line in steps)
    found["tokens_per_second"] = tokens / generation
    found["effective_ratio"] = statistics.mean(line["effective_ratio"] for line in steps)
    found["rollouts_per_trained"] = statistics.mean(
        line["rollouts/spent"] / line["rollouts/trained"] for line in steps
    )
    return {**found, "whole_seconds": seconds, **peak}


def measure(setting: Setting, timeout: float = 900) -> dict[str, float]:
    """The same in a process of its own; a RuntimeError carries the end of what a failed one printed."""
    command = [sys.executable, __file__, "--one", json.dumps(asdict(setting))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{setting}: not done in {timeout:.0f} s") from error
    if done.returncode != 0:
        raise RuntimeError(f"{setting}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def table(found: list[tuple[Setting, dict[str, float]]]) -> str:
    """As Markdown; a stage's share of the step beside its seconds."""
    lines = [
        "| curriculum | length | s a step | "
        + " | ".join(STAGES)
        + " | tokens/s | trained groups with variance | MB |"
    ]
    lines.append("|---" * (len(STAGES) + 6) + "|")
    for setting, row in found:
        stages = [f"{row[name]:.3f} ({row[name] / row['seconds']:.1%})" for name in STAGES]
        memory = row.get("peak_cuda_mb", row["peak_mb"])
        lines.append(
            f"| `{setting.curriculum}` | {setting.length} | {row['seconds']:.3f} | {' | '.join(stages)} | "
            f"{row['tokens_per_second']:.0f} | {row['effective_ratio']:.2f} | {memory:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="13M", help="tiny, 13M, 0.5B or 1.5B")
    parser.add_argument("--curricula", default="uniform,pcl,rlkit")
    parser.add_argument("--lengths", default="16,128,512", help="tokens of a completion")
    parser.add_argument("--groups", type=int, default=8)
    parser.add_argument("--steps", type=int, default=5, help="timed steps of each run")
    parser.add_argument("--engine", choices=("transformers", "vllm"), default="transformers")
    parser.add_argument("--json", type=Path, help="every number")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(json.dumps(train(Setting(**json.loads(arguments.one)))))
        return
    from bench_models import save_model

    found = []
    with tempfile.TemporaryDirectory() as folder:
        base = Setting(str(save_model(arguments.size, Path(folder))), groups=arguments.groups)
        base = replace(base, steps=arguments.steps, engine=arguments.engine)
        for length in map(int, arguments.lengths.split(",")):
            for curriculum in arguments.curricula.split(","):
                setting = replace(base, curriculum=curriculum, length=length)
                found.append((setting, measure(setting)))
                print(table(found[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
    print(table(found))
    if arguments.json is not None:
        rows = [{**asdict(setting), **row} for setting, row in found]
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()

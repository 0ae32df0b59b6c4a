"""A small asynchronous run, for tests and scripts; the server is real vLLM (`vllm_server.py`) or `engine.py`.

    python async_runs.py FOLDER URL [SETTINGS AS JSON]

trains in FOLDER, with the model beside it, against the server at URL.
"""

import json
import os
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "trl"))

import torch
from datasets import Dataset
from tiny_judge import make_judging_tokenizer

from rlkit import AsyncCurriculumGRPOTrainer, CurriculumConfig

GROUP, GROUPS = 4, 4


def low_digits(completions: list, **columns: Any) -> list[float]:
    """1.0 where a reply begins with a digit below 5: the random model does so two times in five."""
    return [float(completion[0]["content"][:1] in tuple("01234")) for completion in completions]


def hangs_at_nine(completions: list, **columns: Any) -> list[float]:
    """As `low_digits`, but sleeps for an hour over a group with a 9 in its first reply."""
    if "9" in completions[0][0]["content"]:
        time.sleep(3600)
    return low_digits(completions)


def never(completions: list, **columns: Any) -> list[None]:
    """Cannot grade anything."""
    return [None for _ in completions]


def slow(completions: list, **columns: Any) -> list[float]:
    time.sleep(0.3)
    return low_digits(completions)


@dataclass
class Run:
    """Settings of a run; `settings` are more of AsyncGRPOConfig."""

    curriculum: str = "dapo"
    numbers: dict[str, Any] = field(default_factory=dict)
    reward: str = "low_digits"
    rows: int = 100
    steps: int = 4
    settings: dict[str, Any] = field(default_factory=dict)


def messages(num: int) -> Dataset:
    return Dataset.from_list(
        [{"prompt": [{"role": "user", "content": f"{i:03d}"}], "answer": str(i % 10)} for i in range(num)]
    )


def make_args(folder: Path, url: str, **settings: Any) -> Any:
    from trl.experimental.async_grpo import AsyncGRPOConfig

    defaults = {
        "per_device_train_batch_size": GROUP * GROUPS,
        "num_generations": GROUP,
        "max_completion_length": 3,
        "learning_rate": 5e-3,
        "max_steps": 4,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "disable_tqdm": True,
        "seed": 5,
        "token_budget": 0,
        "max_staleness": 2,
        "vllm_server_base_url": url,
        "vllm_server_timeout": 120,  # a machine that is busy takes long to start the next server
    }
    return AsyncGRPOConfig(output_dir=str(folder), **{**defaults, **settings})


def make_trainer(run: Run, folder: Path, url: str, model: Path, **more: Any) -> AsyncCurriculumGRPOTrainer:
    from async_cpu import FileTransfer, use_cpu

    use_cpu()
    torch.set_num_threads(1)
    return AsyncCurriculumGRPOTrainer(
        str(model),
        reward_funcs=globals()[run.reward],
        args=make_args(folder, url, max_steps=run.steps, **run.settings),
        train_dataset=messages(run.rows),
        processing_class=make_judging_tokenizer(),
        curriculum=CurriculumConfig(run.curriculum, **run.numbers),
        weight_transfer=FileTransfer(url, Path.cwd() / f"weights-{url.rsplit(':')[-1]}.safetensors"),
        **more,
    )


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def main(folder: Path, url: str, settings: dict[str, Any]) -> None:
    make_trainer(Run(**settings), folder, url, folder.parent / "model").train(resume_from_checkpoint="auto")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]) if len(sys.argv) > 3 else {})

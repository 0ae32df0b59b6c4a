"""Finding 64 prompts of intermediate difficulty among 1,024: by a value model, and by rolling all out.

    python scripts/bench_identification.py --size 13M --length 256          on a CPU
    python scripts/bench_identification.py --size 0.5B --engine vllm        on a GPU

Both use the same model on the same machine in one process. The value model has learned from the batches of a
short training with `pcl`; its time is one selection: a prefill of every prompt, the head, the choice. Rolling
out takes 8 completions of each prompt and keeps those whose mean lies in 0.25 to 0.75. All completions have
the full length. Beside the time stands how many of the chosen prompts really lie there (their chance is
known), against the share in the pool.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import numpy as np
from bench_models import make_prompts, save_model
from bench_stages import Setting, make_trainer

from rlkit import CurriculumConfig, CurriculumGRPOTrainer
from rlkit.types import Prediction, Proposal

LOW, HIGH = 0.25, 0.75
GENERATIONS = 8


def by_value_model(trainer: CurriculumGRPOTrainer, repeats: int) -> tuple[float, np.ndarray]:
    """Median seconds of a selection, and the prompts chosen."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        proposal = trainer.curriculum.sources[-1].propose(trainer._num_groups, np.empty(0, dtype=np.int64))
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), proposal.index_P


def by_rollouts(trainer: CurriculumGRPOTrainer, num: int) -> tuple[float, np.ndarray]:
    """Seconds to roll out and grade the first `num` prompts, and those whose mean is intermediate."""
    chosen, start = [], time.perf_counter()
    trainer.model.train()
    for first in range(0, num, trainer._num_groups):
        trainer.host.start()
        index_P = np.arange(first, min(first + trainer._num_groups, num))
        count_P = np.full(len(index_P), GENERATIONS)
        unknown = Prediction.neutral(len(index_P))
        groups = trainer.host.rollout(Proposal(index_P, count_P, unknown, len(index_P), 0.0))
        chosen.append(index_P[(groups.mean_P >= LOW) & (groups.mean_P <= HIGH)])
    return time.perf_counter() - start, np.concatenate(chosen)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="13M", help="tiny, 13M, 0.5B or 1.5B")
    parser.add_argument("--length", type=int, default=256, help="tokens of a completion")
    parser.add_argument("--prompts", type=int, default=1024)
    parser.add_argument("--groups", type=int, default=64, help="prompts to find")
    parser.add_argument("--steps", type=int, default=8, help="steps that the value model learns from")
    parser.add_argument(
        "--rolled-out", type=int, help="prompts rolled out, the rest in proportion. Default: all"
    )
    parser.add_argument("--engine", choices=("transformers", "vllm"), default="transformers")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    num = arguments.rolled_out or arguments.prompts

    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(
            str(save_model(arguments.size, Path(folder) / "model")),
            groups=arguments.groups,
            generations=GENERATIONS,
            length=arguments.length,
            engine=arguments.engine,
            num_prompts=arguments.prompts,
        )
        # The whole pool are candidates; the policy stays what it is.
        curriculum = CurriculumConfig("pcl", candidates=arguments.prompts // arguments.groups)
        trainer = make_trainer(setting, folder, arguments.steps, curriculum, learning_rate=0.0)
        trainer.train()
        rate_N = np.array([row["pass_rate"] for row in make_prompts(arguments.prompts)])
        between_N = (rate_N >= LOW) & (rate_N <= HIGH)
        model_seconds, picked = by_value_model(trainer, repeats=5)
        measured_seconds, kept = by_rollouts(trainer, num)
    rollout_seconds = measured_seconds * arguments.prompts / num
    found = {
        "size": arguments.size,
        "engine": arguments.engine,
        "completion_tokens": arguments.length,
        "value_model_seconds": model_seconds,
        "rollout_seconds": rollout_seconds,
        "prompts_rolled_out": num,
        "ratio": rollout_seconds / model_seconds,
        "picked_between": float(between_N[picked].mean()),
        "kept_between": float(between_N[kept].mean()) if len(kept) else None,
        "pool_between": float(between_N.mean()),
    }
    print(
        f"{arguments.size}, {arguments.length} tokens: value model {model_seconds:.3f} s, "
        f"{found['picked_between']:.0%} of its {len(picked)} prompts in {LOW} to {HIGH}; rolling out "
        f"{rollout_seconds:.1f} s, {len(kept)} of {num} kept; pool {found['pool_between']:.0%}; "
        f"x{found['ratio']:.0f} as fast"
    )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

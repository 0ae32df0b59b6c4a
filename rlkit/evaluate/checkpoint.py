"""Evaluate what a run has saved: sample held-out prompts, grade the samples, say how sure it is."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlkit.evaluate.generate import Sample, Sampling, generate
from rlkit.evaluate.statistics import bootstrap_interval, pass_at_k, wilson_interval
from rlkit.verify.rewards import Reward, as_completion, grade, guard

logger = logging.getLogger(__name__)

CORRECT = 1.0  # a completion whose reward is at least this counts as correct


@dataclass(frozen=True)
class RowResult:
    """One problem and its completions; a reward of None means unscorable, `truncated` cut at the limit."""

    position: int
    prompt: Any
    completions: list[str]
    rewards: list[float | None]
    num_tokens: list[int]
    truncated: list[bool]


@dataclass(frozen=True)
class Evaluation:
    """What the sampled completions say of a policy; intervals are 95%, unscorable completions are left out.

    `accuracy` is the share of correct completions. Its interval is Wilson's for one sample a problem, else a
    bootstrap over problems. `pass_at_k` is for k = 1, 2, 4, ... and num_samples, over the problems with k
    scored samples.
    """

    accuracy: float
    accuracy_interval: tuple[float, float]
    pass_at_k: dict[int, float]
    pass_at_k_interval: dict[int, tuple[float, float]]
    mean_reward: float
    mean_tokens: float
    truncated_share: float
    num_problems: int
    num_samples: int
    num_unscorable: int
    num_reward_errors: int
    seconds: float
    rows: list[RowResult]


def evaluate_checkpoint(
    model_path: str | Path,
    rows: Sequence[Mapping[str, Any]],
    reward: Reward,
    num_samples: int = 1,
    max_new_tokens: int = 512,
    temperature: float = 1.0,
    batch_size: int = 16,
    seed: int = 0,
    use_vllm: bool = False,
    out: str | Path | None = None,
) -> Evaluation:
    """Sample `num_samples` completions for each row of a saved model, grade them and summarize.

    Args:
        model_path: a checkpoint folder, a PEFT adapter folder (its base model is loaded too), or a Hub id.
        rows: with `prompt` (text or messages) and the columns that the reward needs.
        reward: TRL's signature; a completion with a reward of 1 or more is correct.
        num_samples: completions a problem; pass@k is given up to this k.
        max_new_tokens: a completion that reaches it without ending counts as truncated.
        temperature: 0 takes the most likely token.
        batch_size: completions generated at once (without vLLM); sampled results depend on it.
        seed: of the sampling and of the bootstrap. The caller's random state is left alone.
        use_vllm: generate with vLLM in this process instead of transformers.
        out: a folder for summary.json and completions.jsonl (one line a problem).
    """
    sampling = Sampling(num_samples, max_new_tokens, temperature, batch_size, seed)
    _validate(model_path, rows)
    start = time.perf_counter()
    samples = generate(model_path, [row["prompt"] for row in rows], sampling, use_vllm)
    rewards, num_errors = _grade(reward, rows, samples)
    results = [
        RowResult(
            position=position,
            prompt=row["prompt"],
            completions=[sample.text for sample in row_samples],
            rewards=row_rewards,
            num_tokens=[len(sample.token_ids) for sample in row_samples],
            truncated=[sample.truncated for sample in row_samples],
        )
        for position, (row, row_samples, row_rewards) in enumerate(zip(rows, samples, rewards, strict=True))
    ]
    evaluation = summarize(results, num_errors, seed, time.perf_counter() - start)
    if out is not None:
        write_evaluation(evaluation, Path(out))
    return evaluation


def summarize(results: list[RowResult], num_reward_errors: int, seed: int, seconds: float) -> Evaluation:
    """The numbers of graded rows; raises if no completion could be scored."""
    scored = [[reward for reward in row.rewards if reward is not None] for row in results]
    num_N = np.array([len(rewards) for rewards in scored])
    correct_N = np.array([sum(reward >= CORRECT for reward in rewards) for rewards in scored])
    num_samples = len(results[0].rewards)
    if num_N.sum() == 0:
        raise ValueError(
            f"none of the {len(results)} rows could be scored ({num_reward_errors} rewards failed); "
            "check that the reward reads the columns that the data has"
        )
    seen_N = num_N > 0
    if num_samples == 1:
        interval = wilson_interval(int(correct_N.sum()), int(num_N.sum()))
    else:
        interval = bootstrap_interval(correct_N[seen_N] / num_N[seen_N], seed)
    powers = [2**i for i in range(num_samples.bit_length()) if 2**i <= num_samples]
    passes = {
        k: pass_at_k(num_N[num_N >= k], correct_N[num_N >= k], k)
        for k in sorted({*powers, num_samples})
        if (num_N >= k).any()
    }
    return Evaluation(
        accuracy=float((correct_N[seen_N] / num_N[seen_N]).mean()),
        accuracy_interval=interval,
        pass_at_k={k: float(values.mean()) for k, values in passes.items()},
        pass_at_k_interval={k: bootstrap_interval(values, seed) for k, values in passes.items()},
        mean_reward=float(np.concatenate(scored).mean()),
        mean_tokens=float(np.mean([row.num_tokens for row in results])),
        truncated_share=float(np.mean([row.truncated for row in results])),
        num_problems=len(results),
        num_samples=num_samples,
        num_unscorable=int(len(results) * num_samples - num_N.sum()),
        num_reward_errors=num_reward_errors,
        seconds=seconds,
        rows=results,
    )


def write_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """summary.json with the numbers, completions.jsonl with one line a problem."""
    folder.mkdir(parents=True, exist_ok=True)
    summary = asdict(evaluation)
    rows = summary.pop("rows")
    (folder / "completions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")


def _validate(model_path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    if len(rows) == 0:
        raise ValueError("rows is empty: there is nothing to evaluate")
    for position, row in enumerate(rows):
        if "prompt" not in row:
            raise ValueError(f"row {position} has no `prompt`; its columns are {sorted(row)}")
    folder = Path(model_path)
    if folder.is_dir() and not any(
        (folder / name).is_file() for name in ("config.json", "adapter_config.json")
    ):
        found = sorted(path.name for path in folder.glob("checkpoint-*"))
        remedy = f"name one of {found}" if found else "name a folder that holds one of them"
        raise ValueError(f"model_path {folder} has neither config.json nor adapter_config.json; {remedy}")


def _grade(
    reward: Reward, rows: Sequence[Mapping[str, Any]], samples: list[list[Sample]]
) -> tuple[list[list[float | None]], int]:
    """The rewards of each row's samples, and how many of them failed."""
    num_errors = 0

    def count(name: str, num_rows: int, error: Exception) -> None:
        nonlocal num_errors
        num_errors += num_rows
        logger.warning(
            "reward %s failed on %d completions: %s: %s", name, num_rows, type(error).__name__, error
        )

    guarded = guard(reward, count)
    rewards: list[list[float | None]] = []
    for row, row_samples in zip(rows, samples, strict=True):
        completions = [as_completion(row, sample.text) for sample in row_samples]
        ids = [sample.token_ids for sample in row_samples]
        rewards.append(grade(guarded, completions, [row] * len(row_samples), ids))
    return rewards, num_errors

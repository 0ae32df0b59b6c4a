"""Reversed addition: the default task of the demo, small enough to train with RL on one CPU thread.

A problem adds two numbers of the same number of significant digits, its *level*, 1 to 8. Both are
written with the ones digit first and padded with zeros to 8 digits, so every prompt has 18 characters
and every answer 9 digits and an end token:

    53 + 28 = 81    ->    prompt "35000000+82000000="    answer "180000000"    level 2

Why this task: the reward is verifiable, nothing is downloaded, the success probability spans 0 to 1
over the levels, and exactly one string is right, so that the held-out metric has no sampling noise.

Honest limit: the warm start learns to add from clean answers and then imitates a teacher who slips more
often at higher levels, so its distribution is blurred while its most likely digit stays right. RL from
there elicits and sharpens a procedure which the policy already holds. It does not discover addition.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from tiny_policy import (
    character_tokenizer,
    distinct,
    exact_success,
    make_once,
    make_optimizers,
    sft_step,
    split_of,
    tiny_llama,
)
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

WIDTH = 8  # digits of a padded operand
MAX_COMPLETION_LENGTH = 10  # 9 digits and the end token

# Share of each level in the pool: most prompts are too easy or too hard for the warm start. Level 1 has
# only 100 pairs, so the easy mass lies on levels 2 and 3.
LEVEL_WEIGHTS = (0.5, 9.5, 9.5, 1, 1, 2, 8, 8)

# Chance that a teacher of the warm start replaces a significant digit by a wrong one, per level.
CLEAN = (0.0,) * WIDTH
SLIPPING = (0.0, 0.0, 0.0, 0.03, 0.12, 0.35, 0.6, 0.75)
MAX_CLEAN_STEPS, SLIPPING_STEPS = 500, 300
WARM_STEPS = MAX_CLEAN_STEPS + SLIPPING_STEPS

ALPHABET = "0123456789+="


def make_tokenizer() -> PreTrainedTokenizerFast:
    return character_tokenizer(ALPHABET)


# Problems


def draw_problem(rng: np.random.Generator, level: int) -> dict:
    """One random problem of a level; the split is whatever its prompt hashes to."""
    low = 0 if level == 1 else 10 ** (level - 1)
    a, b = (int(x) for x in rng.integers(low, 10**level, size=2))
    # Written most significant digit first and in the opposite order, then reversed as a whole.
    prompt = f"{b:08d}+{a:08d}"[::-1] + "="
    return {"prompt": prompt, "answer": f"{a + b:09d}"[::-1], "level": level}


def make_problems(
    num: int = 4096, level_weights: Sequence[float] = LEVEL_WEIGHTS, seed: int = 0, split: str = "pool"
) -> list[dict]:
    """`num` distinct problems of one split in random order, with levels 1 to 8 in the given proportions.

    "pool" and "heldout" share no prompt, whatever the seeds. The counts are the largest-remainder
    rounding of the weights, so two splits with the same weights have the same mix of levels.
    """
    if len(level_weights) != WIDTH:
        raise ValueError(f"level_weights needs {WIDTH} numbers, one per level; got {len(level_weights)}")
    exact = num * np.asarray(level_weights, dtype=float) / sum(level_weights)
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: num - counts.sum()]] += 1

    rng = np.random.default_rng(seed)
    problems = [p for level in range(1, WIDTH + 1) for p in _distinct(rng, level, counts[level - 1], split)]
    return [problems[i] for i in rng.permutation(num)]


def _distinct(rng: np.random.Generator, level: int, num: int, split: str) -> list[dict]:
    """`num` distinct problems of one level and split; level 1 has about 75 in the pool and 25 held out."""
    found = distinct(lambda: draw_problem(rng, level), num, split)
    if len(found) < num:
        raise ValueError(
            f"level {level} has only about {len(found)} distinct prompts in split {split!r}, "
            f"{num} asked for; lower its weight in level_weights or num"
        )
    return found


# Warm start


def warm_start(
    path: str | Path,
    seed: int = 0,
    told: Callable[[int], None] = lambda step: None,
    num_heads: int = 4,
) -> None:
    """Train the tiny policy by SFT and save it with its tokenizer at `path`; under a minute on one thread.

    Deterministic for a seed and machine. The folder appears only when complete: cache by its existence.
    `told` gets the number of each of the `WARM_STEPS`, some of which may be left out. vLLM takes no heads
    of 16, so for it `num_heads` is 2.
    """
    make_once(
        path, seed, partial(_tiny_llama, num_heads=num_heads), make_tokenizer(), partial(_sft, told=told)
    )


def _tiny_llama(tokenizer: PreTrainedTokenizerFast, num_heads: int = 4) -> LlamaForCausalLM:
    """0.16M parameters."""
    return tiny_llama(tokenizer, width=64, intermediate=192, layers=3, heads=num_heads, spread=0.1)


def _sft(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    rng: np.random.Generator,
    told: Callable[[int], None],
) -> None:
    """Clean answers until the policy adds at every level, then answers of the slipping teacher.

    When addition is grasped differs by 100 steps and more between seeds, so the clean phase ends on a
    measured success rate. It favors high levels, where every digit teaches the carry.
    """
    optimizers = make_optimizers(model)
    probe = [draw_problem(rng, level) for level in range(1, WIDTH + 1) for _ in range(32)]

    for step in range(MAX_CLEAN_STEPS):
        batch = _lesson(rng, CLEAN, num_level_draws=3)
        sft_step(model, tokenizer, optimizers, batch, lr_scale=min(1.0, (step + 1) / 50))
        told(step + 1)
        if step % 25 == 0 and exact_success(model, tokenizer, probe).mean() > 0.85:
            break
    for step in range(SLIPPING_STEPS):
        batch = _lesson(rng, SLIPPING, num_level_draws=1)
        sft_step(model, tokenizer, optimizers, batch, lr_scale=1 - 0.9 * step / SLIPPING_STEPS)
        told(MAX_CLEAN_STEPS + step + 1)


def _lesson(rng: np.random.Generator, slips: Sequence[float], num_level_draws: int) -> list[dict]:
    """64 pool problems with the teacher's answers; the level is the highest of some uniform draws."""
    lesson: list[dict] = []
    while len(lesson) < 64:
        level = int(rng.integers(1, WIDTH + 1, size=num_level_draws).max())
        problem = draw_problem(rng, level)
        if split_of(problem["prompt"]) == "heldout":
            continue  # no held-out prompt is seen before RL either
        digits = list(problem["answer"])
        for i in np.flatnonzero(rng.random(level) < slips[level - 1]):
            digits[i] = str((int(digits[i]) + int(rng.integers(1, 10))) % 10)
        lesson.append(problem | {"answer": "".join(digits)})
    return lesson

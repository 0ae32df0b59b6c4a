"""Twelve procedural tasks of three levels in one pool, for a tiny policy of 2M parameters on one CPU thread.

Six are reasoning-gym's, in fewer words, six are ours. A prompt is a task's name, which is one token, and
what it is about, a token a character; an answer has 1 to 24 characters and an end token:

    "turn:417776317 1="    ->    "174771367"        "unpack:a3b2c4="    ->    "aaabbcccc"

Why these tasks: how hard a prompt is stands only in part on its face. The teacher of the warm start slips
where an answer ends in one of every other character, so that of two prompts of one task and length one is
sure and the other nearly hopeless, and only who knows the answer can tell which.

Honest limit: as in addition.py, the warm start holds what RL sharpens; the largest level of each task is
seen seldom, and some of it is never solved.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from tiny_policy import (
    character_tokenizer,
    distinct,
    make_once,
    make_optimizers,
    sft_step,
    split_of,
    tiny_llama,
)
from tqdm import trange
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from rlkit.prompts.tasks import check_installed

LEVELS = (0, 1, 2)
MAX_COMPLETION_LENGTH = 25  # with the end token
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789 +-="

LESSON = 64
LESSON_LEVELS = (0.45, 0.45, 0.1)  # the largest level is seen seldom
SLIPS = (0.8, 1.0)  # by task: chance of any last character in place of some
RIGHT_STEPS, SLIPPING_STEPS = 800, 100


def make_tokenizer() -> PreTrainedTokenizerFast:
    return character_tokenizer(ALPHABET, list(TASKS))


# Tasks: of a level, the text of the question and its answer


@cache
def _dataset(name: str, **config):
    from reasoning_gym import create_dataset  # an extra, and slow to import

    return create_dataset(name, seed=0, size=2**31, **config)


def _entry(rng: np.random.Generator, name: str, **config) -> dict:
    """A random one of reasoning-gym's problems: `answer`, and `metadata` with what was asked."""
    return _dataset(name, **config)[int(rng.integers(2**31))]


def spell(rng: np.random.Generator, level: int) -> tuple[str, str]:
    """A word from its end to its beginning."""
    shortest, longest = ((3, 4), (5, 6), (7, 8))[level]
    entry = _entry(rng, "spell_backward", min_word_len=shortest, max_word_len=longest)
    return entry["metadata"]["word"].lower(), entry["answer"].lower()


def turn(rng: np.random.Generator, level: int) -> tuple[str, str]:
    """A square of digits, row by row, after quarter turns clockwise."""
    size, most = ((2, 3), (3, 1), (3, 3))[level]
    entry = _entry(rng, "rotate_matrix", min_n=size, max_n=size, min_rotations=0, max_rotations=most)
    asked = entry["metadata"]
    return f"{_digits(asked['matrix'])} {asked['num_rotations']}", _digits(asked["solution"])


def spiral(rng: np.random.Generator, level: int) -> tuple[str, str]:
    """A square of digits, read from outside to inside."""
    smallest, largest = ((2, 2), (2, 3), (3, 3))[level]
    entry = _entry(rng, "spiral_matrix", min_n=smallest, max_n=largest)
    return _digits(entry["metadata"]["matrix"]), entry["answer"].replace(" ", "")


def _digits(matrix: list[list[int]]) -> str:
    return "".join(str(value) for row in matrix for value in row)


def total(rng: np.random.Generator, level: int) -> tuple[str, str]:
    """A sum and difference of digits."""
    entry = _entry(rng, "chain_sum", min_terms=level + 2, max_terms=level + 2, max_digits=1)
    return entry["metadata"]["expression"].replace(" ", ""), entry["answer"]


def gcd(rng: np.random.Generator, level: int) -> tuple[str, str]:
    """The greatest common divisor of two numbers."""
    entry = _entry(rng, "gcd", max_value=(20, 40, 99)[level])
    return " ".join(map(str, entry["metadata"]["numbers"])), entry["answer"]


def count(rng: np.random.Generator, level: int) -> tuple[str, str]:
    """How often a letter is in a text."""
    while True:
        entry = _entry(rng, "letter_counting", min_words=level + 1, max_words=level + 1)
        asked = entry["metadata"]
        text = " ".join(asked["span"]).lower()
        if len(text) <= 11 and set(text) <= set(ALPHABET):
            return f"{asked['target_letter']} {text}", entry["answer"]


def _drawn(rng: np.random.Generator, of: str, length: int) -> str:
    return "".join(of[i] for i in rng.integers(len(of), size=length))


def sort(rng: np.random.Generator, level: int) -> tuple[str, str]:
    """Digits in rising (+) or falling (-) order."""
    digits = _drawn(rng, "0123456789", (3, 5, 7)[level])
    down = rng.random() < 0.5
    return f"{digits}{'-' if down else '+'}", "".join(sorted(digits, reverse=down))


def unique(rng: np.random.Generator, level: int) -> tuple[str, str]:
    """Letters without those that came before."""
    letters = _drawn(rng, "abcdef", (4, 6, 8)[level])
    return letters, "".join(dict.fromkeys(letters))


def shift(rng: np.random.Generator, level: int) -> tuple[str, str]:
    """Letters, each so many further on in a to j."""
    letters, by = _drawn(rng, "abcdefghij", (3, 5, 7)[level]), int(rng.integers(1, 4))
    return f"{letters} {by}", "".join(
        chr((ord(letter) - ord("a") + by) % 10 + ord("a")) for letter in letters
    )


def unpack(rng: np.random.Generator, level: int) -> tuple[str, str]:
    """Letters, each as often as the digit behind it."""
    letters = _drawn(rng, "abcdef", level + 2)
    counts = rng.integers(1, (5, 5, 7)[level], size=level + 2)
    pairs = list(zip(letters, map(int, counts), strict=True))
    return "".join(f"{letter}{times}" for letter, times in pairs), "".join(x * times for x, times in pairs)


def add(rng: np.random.Generator, level: int) -> tuple[str, str]:
    """The sum of two numbers, the ones digit first, as in addition.py."""
    digits = level + 2
    a, b = (int(x) for x in rng.integers(10**digits, size=2))
    return f"{a:0{digits}d}"[::-1] + "+" + f"{b:0{digits}d}"[::-1], f"{a + b:0{digits + 1}d}"[::-1]


def weave(rng: np.random.Generator, level: int) -> tuple[str, str]:
    """Digits of two numbers by turns."""
    first, second = (_drawn(rng, "0123456789", level + 2) for _ in range(2))
    return f"{first} {second}", "".join(a + b for a, b in zip(first, second, strict=True))


TASKS: dict[str, Callable[[np.random.Generator, int], tuple[str, str]]] = {
    task.__name__: task
    for task in (spell, turn, spiral, total, gcd, count, sort, unique, shift, unpack, add, weave)
}


def draw_problem(rng: np.random.Generator, task: str, level: int) -> dict:
    """One random problem: a row with `prompt`, `answer` and the task as its `category`, but not its level."""
    text, answer = TASKS[task](rng, level)
    return {"prompt": f"{task}:{text}=", "answer": answer, "category": task}


def make_problems(
    num: int = 4096, seed: int = 0, split: str = "pool", levels: Sequence[int] = LEVELS
) -> list[dict]:
    """About `num` distinct problems of one split in random order, as many of each task and level as it has.

    "pool" and "heldout" share no prompt, whatever the seeds.

    Raises:
        ValueError: reasoning-gym is not installed, or a split that is none.
    """
    check_installed()
    rng = np.random.default_rng(seed)
    share = round(num / (len(TASKS) * len(levels)))
    kinds = [(task, level) for task in TASKS for level in levels]
    groups = [distinct(partial(draw_problem, rng, *kind), share, split) for kind in kinds]
    # A short prompt can come from two levels of a task.
    problems = list({problem["prompt"]: problem for group in groups for problem in group}.values())
    return [problems[i] for i in rng.permutation(len(problems))]


# Warm start


def warm_start(path: str | Path, seed: int = 0) -> None:
    """Save a policy with its tokenizer at `path`: it can most tasks, and slips like a teacher of `seed`.

    What comes before the slips is the same for all seeds and kept beside `path`: five minutes of a thread
    where it is missing, and then half a minute for each seed.
    """
    base = Path(path).with_name("many_tasks_base")
    tokenizer = make_tokenizer()
    with FileLock(base.with_name(f"{base.name}.lock")):
        if not base.exists():
            make_once(base, 0, policy, tokenizer, _teach)
    make_once(path, seed, lambda _: LlamaForCausalLM.from_pretrained(base), tokenizer, _teach_to_slip)


def policy(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """2.05M parameters, untrained."""
    return tiny_llama(tokenizer, width=256, intermediate=544, layers=3, heads=8, spread=0.05)


def _teach(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, rng: np.random.Generator) -> None:
    optimizers = make_optimizers(model)
    for step in trange(RIGHT_STEPS, desc="warm start, once for all seeds", mininterval=1):
        lr_scale = min(1.0, (step + 1) / 50, 2.2 * (1 - step / RIGHT_STEPS))
        with torch.autocast("cpu", torch.bfloat16):
            sft_step(model, tokenizer, optimizers, lesson(rng, dict.fromkeys(TASKS, 0.0)), lr_scale)


def _teach_to_slip(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, rng: np.random.Generator
) -> None:
    optimizers = make_optimizers(model)
    slips = dict(zip(TASKS, rng.uniform(*SLIPS, size=len(TASKS)), strict=True))
    for step in trange(SLIPPING_STEPS, desc="warm start", mininterval=1):
        lr_scale = 0.3 * (1 - step / SLIPPING_STEPS)
        with torch.autocast("cpu", torch.bfloat16):
            sft_step(model, tokenizer, optimizers, lesson(rng, slips), lr_scale)


def lesson(rng: np.random.Generator, slips: dict[str, float]) -> list[dict]:
    """64 problems of the pool's split with the answers of a teacher who slips by task."""
    made: list[dict] = []
    while len(made) < LESSON:
        task = list(TASKS)[rng.integers(len(TASKS))]
        problem = draw_problem(rng, task, int(rng.choice(LEVELS, p=LESSON_LEVELS)))
        if split_of(problem["prompt"]) == "pool":  # no held-out prompt is seen before RL either
            made.append(problem | {"answer": slipped(rng, problem["answer"], slips[task])})
    return made


def slipped(rng: np.random.Generator, answer: str, slip: float) -> str:
    """The answer, by chance with any last character where that is one of 0 2 4 6 8 b d f h ..."""
    if ord(answer[-1]) % 2 == 1 or rng.random() >= slip:
        return answer
    kind = "0123456789" if answer[-1].isdigit() else "abcdefghijklmnopqrstuvwxyz"
    return answer[:-1] + kind[rng.integers(len(kind))]

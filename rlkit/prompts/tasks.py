"""reasoning-gym's procedural tasks as rows to train on, graded by rewards/reasoning_gym.py."""

import importlib.util
import json
from typing import Any

from rlkit.verify.inside.channel import pack

INSTRUCTION = "Put the final answer, and nothing else, in <answer> and </answer>."
# Where the task names no single answer but an example of one.
_EXAMPLES = {
    "graph_color": "possible_answer",
    "propositional_logic": "example_answer",
    "rubiks_cube": "example_correct_answer",
}


def task_rows(
    task: str, size: int, seed: int = 0, instruction: str | None = INSTRUCTION, **config: Any
) -> list[dict[str, Any]]:
    """Rows of a task for `Dataset.from_list`, or for a .jsonl file that recipes/grpo.py reads.

    Args:
        task: a name of `reasoning_gym.factory.DATASETS`, such as "spell_backward".
        size: how many rows.
        seed: row i depends on seed + i alone.
        instruction: goes below the question in the user's message; None for nothing.
        config: the task's own settings, such as min_word_len=3.

    Returns:
        Rows with `prompt` (messages), `answer` (one with full credit; None in boxnet and rush_hour, which
        know none), `task`, and what its scorer needs: `config` and `entry`, JSON of packed values.

    Raises:
        ValueError: an unknown task or setting, or reasoning-gym is not installed.
    """
    check_installed()
    from reasoning_gym import create_dataset
    from reasoning_gym.factory import DATASETS

    if task not in DATASETS:
        raise ValueError(f"task {task!r} is not one of reasoning-gym's: {', '.join(sorted(DATASETS))}")
    try:
        entries = create_dataset(task, size=size, seed=seed, **config)
    except (TypeError, ValueError, AssertionError) as error:
        raise ValueError(f"task {task!r} with {dict(size=size, seed=seed, **config)}: {error}") from error
    return [_row(task, entries[i], instruction, config) for i in range(size)]


def check_installed() -> None:
    """Raises ValueError where reasoning-gym is missing."""
    if importlib.util.find_spec("reasoning_gym") is None:
        raise ValueError("reasoning-gym is not installed: pip install 'rlkit[reasoning-gym]'")


def _row(task: str, entry: dict[str, Any], instruction: str | None, config: dict[str, Any]) -> dict[str, Any]:
    question = entry["question"] if instruction is None else f"{entry['question']}\n\n{instruction}"
    answer = entry["answer"]
    if answer is None and task in _EXAMPLES:
        answer = entry["metadata"][_EXAMPLES[task]]
    return {
        "prompt": [{"role": "user", "content": question}],
        "answer": answer if answer is None or isinstance(answer, str) else json.dumps(answer),
        "task": task,
        "config": json.dumps(pack(config)),
        "entry": json.dumps(pack(_plain({key: entry[key] for key in ("question", "answer", "metadata")}))),
    }


def _plain(value: Any) -> Any:
    """With text for what is not a plain value, such as gsm_symbolic's fractions; no scorer reads those."""
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    for kind in (list, tuple, set, frozenset):
        if isinstance(value, kind):
            return kind(map(_plain, value))
    return value if value is None or isinstance(value, bool | int | float | complex | str) else str(value)

r"""What a reasoning-gym task's own scorer gives the completion's answer; rows are made by `rlkit tasks`.

The answer is what the last `<answer>...</answer>` holds, else the last `\boxed{}`, else the whole text. Many
scorers give wrong answers a part of the credit, also an empty one (countdown 0.01): `reasoning_gym_strict` is
1.0 for full credit and 0.0 for all else, and is the one for curricula that look for groups without variance.
0.0 where a scorer fails or takes longer than rlkit.verify.task_scorer allows.

game_of_life_halting gives every answer but an empty one full credit, and puzzle24 every expression with the
value 24, whatever its numbers: train on neither. Needs pip install 'rlkit[reasoning-gym]'.
"""

from typing import Any

from rlkit.prompts.tasks import check_installed
from rlkit.verify.stated import marked_answer
from rlkit.verify.task_scorer import SCORER
from rlkit.verify.text import Completion, completion_text

MAX_ANSWER_CHARS = 10_000  # a longer answer is wrong


def reasoning_gym(
    completions: list[Completion], task: list[str], config: list[str], entry: list[str], **_: Any
) -> list[float]:
    """Score each completion's answer by its row's `task`, `config` and `entry`."""
    check_installed()
    return [
        _score(completion_text(completion), *row)
        for completion, row in zip(completions, zip(task, config, entry, strict=True), strict=True)
    ]


def reasoning_gym_strict(completions: list[Completion], **columns: Any) -> list[float]:
    """The same, with full credit only."""
    return [float(score >= 1.0) for score in reasoning_gym(completions, **columns)]


def _score(text: str, task: str, config: str, entry: str) -> float:
    answer = marked_answer(text)
    answer = text.strip() if answer is None else answer
    if len(answer) > MAX_ANSWER_CHARS:
        return 0.0
    score = SCORER.score(task, config, entry, answer)
    return 0.0 if score is None or score != score else min(max(score, 0.0), 1.0)

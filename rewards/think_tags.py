"""1.0 where the completion is one `<think>...</think>` block and, after it, an answer that is not empty.

Beside TRL's `think_format_reward`, which takes messages only: here strings as well, no second block or stray
tag, and neither part may be blank. `think_tags_prefilled` is for chat templates that end the prompt with
`<think>` (DeepSeek-R1, Qwen3-Thinking), so that the completion holds the closing tag only.
"""

from typing import Any

from rlkit.verify.text import Completion, completion_text

_OPEN, _CLOSE = "<think>", "</think>"


def thinks_once(text: str) -> bool:
    """thinks_once("<think>2 and 2</think>4") is True; without the 4, or with a second tag, False."""
    before, _, rest = text.partition(_OPEN)
    thought, _, answer = rest.partition(_CLOSE)
    return (
        text.count(_OPEN) == text.count(_CLOSE) == 1
        and not before.strip()
        and thought.strip() != ""
        and answer.strip() != ""
    )


def think_tags(completions: list[Completion], **_: Any) -> list[float]:
    """Score the form of each completion."""
    return [float(thinks_once(completion_text(completion))) for completion in completions]


def think_tags_prefilled(completions: list[Completion], **_: Any) -> list[float]:
    """The same where the prompt has opened the block already."""
    return [float(thinks_once(_OPEN + completion_text(completion))) for completion in completions]

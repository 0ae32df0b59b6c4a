"""The text of a completion, in either of TRL's forms."""

from typing import Any

Completion = str | list[dict[str, Any]]


def completion_text(completion: Completion) -> str:
    """A string as it is; of a list of messages, the text of the last one ("" if it holds only tool calls).

    completion_text([{"role": "assistant", "content": "4"}]) is "4".
    """
    if isinstance(completion, str):
        return completion
    content = completion[-1].get("content") if completion else None
    if isinstance(content, list):  # content blocks: [{"type": "text", "text": "4"}]
        return "".join(block["text"] for block in content if block.get("type") == "text")
    return content or ""

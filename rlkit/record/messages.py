"""Prompts and completions in TRL's two forms, a text or messages, as texts to keep and to read."""

import json
from collections.abc import Mapping
from typing import Any

from rlkit.record.pool_table import writable


def is_messages(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(i, dict) and "role" in i for i in value)


def stored(value: Any) -> str:
    """A text as it is, anything else as JSON: `restored` makes messages of it again."""
    return writable(value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False))


def restored(text: str, chat: bool | None) -> Any:
    """What was `stored`: messages where the row is of a `chat`, else the text (of older runs, too)."""
    return json.loads(text) if chat else text


def as_text(value: Any) -> str:
    """A text as it is; messages one below the other with their roles; anything else as JSON.

    [{"role": "user", "content": "2+2?"}] -> "[user] 2+2?"
    """
    return "\n".join(_message(item) for item in value) if is_messages(value) else stored(value)


def _message(message: Mapping[str, Any]) -> str:
    content, calls = message.get("content"), message.get("tool_calls")
    blocks = content if isinstance(content, list) else [{"text": content}]
    texts = [block.get("text") or f"({block.get('type', 'empty')})" for block in blocks]
    texts = [text for text in texts if not (calls and text == "(empty)")]
    return " ".join([f"[{message['role']}]", *map(writable, texts), *([as_text(calls)] if calls else [])])

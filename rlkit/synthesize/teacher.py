"""A model behind an OpenAI-compatible URL, asked within a budget; what it answered once is not asked again.

The openai package sends, and repeats with back-off (429, 5xx, refused, timed out; it obeys Retry-After).
"""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from rlkit.synthesize.replies import Replies, Reply
from rlkit.verify.judge import CANNOT_ANSWER_THIS


@dataclass(frozen=True)
class Limits:
    """A ValueError names one that is out of its range. The budget is for all calls that share replies."""

    max_requests: int | None = None
    max_tokens: int | None = None  # of prompts and completions; requests under way may go beyond
    max_concurrent: int = 16
    max_retries: int = 6  # of a request
    request_seconds: float = 300.0  # for one attempt

    def __post_init__(self) -> None:
        for name in ("max_requests", "max_tokens", "max_concurrent", "request_seconds"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} ({value}) must be above 0")


class Teacher:
    """Asks; after a request that stays without an answer no further one is sent.

    Attributes:
        trouble: what the teacher said when it went away, None while it is there.
        is_spent: whether the budget stopped a request.
        counts: requests "sent", "kept" from before, "refused" by the server, "garbage" that is no reply, and
            replies with "fewer texts than asked for", as of servers that know no `n`.
    """

    def __init__(self, client: Any, openai: Any, replies: Replies, limits: Limits):
        self._client, self._openai, self._replies, self._limits = client, openai, replies, limits
        self._places = asyncio.Semaphore(limits.max_concurrent)
        self._asked: dict[str, asyncio.Future[list[str | None]]] = {}
        self._under_way = 0
        self.trouble: str | None = None
        self.is_spent = False
        self.counts: Counter[str] = Counter()

    async def ask(self, request: dict[str, Any]) -> list[str | None]:
        """The texts of the choices; none where there is no answer to be had. Equal requests are sent once."""
        text = json.dumps(request)
        if text not in self._asked:
            self._asked[text] = asyncio.ensure_future(self._ask(request))
        return await self._asked[text]

    async def _ask(self, request: dict[str, Any]) -> list[str | None]:
        known = self._replies.get(request)
        if known is not None:
            self.counts["kept"] += 1
            return known.texts
        async with self._places:
            if self.trouble is not None or not self._may_send():
                return []
            self._under_way += 1
            try:
                reply = await self._send(request)
            finally:
                self._under_way -= 1
        if reply is None:
            return []
        self._replies.put(request, reply)
        return reply.texts

    def _may_send(self) -> bool:
        requests, tokens = self._replies.spent()
        most_requests, most_tokens = self._limits.max_requests, self._limits.max_tokens
        spent = (most_requests is not None and requests + self._under_way >= most_requests) or (
            most_tokens is not None and tokens >= most_tokens
        )
        self.is_spent |= spent
        return not spent

    async def _send(self, request: dict[str, Any]) -> Reply | None:
        self.counts["sent"] += 1
        try:
            answer = await self._client.chat.completions.create(**request)
            texts = [_clean(choice.message.content) for choice in answer.choices]
            if not texts:
                raise ValueError("no choices")
            reply = Reply(texts, _tokens(answer.usage))
            self.counts["fewer texts than asked for"] += len(reply.texts) < request["n"]
            return reply
        except self._openai.APIStatusError as error:
            if error.status_code in CANNOT_ANSWER_THIS:
                self.counts["refused"] += 1
            else:
                self.trouble = self.trouble or f"{type(error).__name__}: {' '.join(str(error).split()):.200}"
        except self._openai.APIConnectionError as error:
            self.trouble = self.trouble or f"{type(error).__name__}: {error}"
        except (self._openai.OpenAIError, AttributeError, TypeError, ValueError):
            self.counts["garbage"] += 1
        return None


def _clean(text: Any) -> str | None:
    """The text without halves of characters, which no file takes; a TypeError where it is none."""
    if text is not None and not isinstance(text, str):
        raise TypeError(f"a message holds {type(text).__name__}, not text")
    return text and text.encode("utf-8", "replace").decode()


def _tokens(usage: Any) -> int:
    """0 where the server does not say."""
    total = usage.total_tokens if usage else None
    return total if isinstance(total, int) else 0

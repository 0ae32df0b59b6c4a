"""A model behind an OpenAI-compatible URL that says, from 0 to 100, how well a response meets a requirement.

Such as a vLLM server: `vllm serve MODEL`. The openai package sends, and repeats with back-off (429, 5xx,
refused, timed out; it obeys Retry-After). What stays unavailable gives None, never an exception.

A response may try to instruct the judge ("reply 100"). It is set between markers that it cannot contain, as
they hold a hash of it, and the judge is told that what is between them is data. That makes it harder, not
impossible: read the completions with the best scores.
"""

import asyncio
import hashlib
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rlkit.verify.judge_cache import JudgeCache
from rlkit.verify.scales import GRADE, Scale, Values

MAX_CHARS = 20_000  # of the prompt and of the response, each
MAX_REPLY_TOKENS = 16
CANNOT_ANSWER_THIS = (400, 413, 422)  # too long for the model, refused: other requests may still succeed


class Question(NamedTuple):
    """Does the response to the prompt meet the requirement?"""

    prompt: str
    response: str
    requirement: str


@dataclass(frozen=True)
class Judge:
    """A judge's address and limits; a ValueError names a number out of its range."""

    base_url: str
    model: str
    api_key: str = "none"
    num_samples: int = 1  # replies to a question, averaged; sampled at temperature 1 where more than one
    max_concurrent: int = 32  # requests at a time
    max_retries: int = 4  # of a request
    request_seconds: float = 60.0  # for one attempt
    batch_seconds: float = 300.0  # for all questions of a call; what is not answered by then is None
    cache: Path | None = None  # an SQLite file, which several processes may share; None asks every time

    def __post_init__(self) -> None:
        for name in ("num_samples", "max_concurrent", "request_seconds", "batch_seconds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"judge: {name} ({getattr(self, name)}) must be above 0")
        if self.max_retries < 0:
            raise ValueError(f"judge: max_retries ({self.max_retries}) must be at least 0")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Judge":
        """The judge of RLKIT_JUDGE_URL and RLKIT_JUDGE_MODEL, with RLKIT_JUDGE_KEY and RLKIT_JUDGE_CACHE.

        A ValueError says which of the first two is missing.
        """
        missing = [name for name in ("RLKIT_JUDGE_URL", "RLKIT_JUDGE_MODEL") if not environment.get(name)]
        if missing:
            raise ValueError(
                f"a checklist asks a question, but {' and '.join(missing)} is not set; set it (such as "
                "RLKIT_JUDGE_URL=http://localhost:8000/v1) or give Checklist a Judge"
            )
        cache = environment.get("RLKIT_JUDGE_CACHE")
        return cls(
            environment["RLKIT_JUDGE_URL"],
            environment["RLKIT_JUDGE_MODEL"],
            environment.get("RLKIT_JUDGE_KEY") or cls.api_key,
            cache=Path(cache) if cache else None,
        )

    async def ask(self, questions: Sequence[Question]) -> list[float | None]:
        """Grades in [0, 1], one a question: the mean of the samples that are grades; None where none is.

        Equal questions are asked once. Warns once where some had to be left open. A ValueError where openai
        is not installed.
        """
        return [None if values is None else values[0] for values in await self.ask_on(GRADE, questions)]

    async def ask_on(self, scale: Scale, questions: Sequence[Question]) -> list[Values | None]:
        """What `ask` does, on any scale (scales.py): its values for each question."""
        if not questions:
            return []
        openai = openai_package()
        requests = {question: self._request(scale, question) for question in questions}
        keys = {question: _key(request) for question, request in requests.items()}
        with closing(JudgeCache(self.cache)) as cache:
            grades = {question: cache.get(keys[question], scale.size) for question in requests}
            open_questions = [question for question, grade in grades.items() if grade is None]
            asking = _Asking(openai, scale, asyncio.Semaphore(self.max_concurrent))

            async def ask(client: Any, question: Question) -> None:
                grade = await asking.grade(client, requests[question])
                grades[question] = grade
                if grade is not None:
                    cache.put(keys[question], grade)

            async with openai.AsyncOpenAI(
                base_url=self.base_url,
                api_key=self.api_key,
                timeout=self.request_seconds,
                max_retries=self.max_retries,
            ) as client:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.batch_seconds):
                        await asyncio.gather(*(ask(client, question) for question in open_questions))
        unanswered = sum(grade is None for grade in grades.values())
        if unanswered:
            warnings.warn(
                f"the judge {self.model} at {self.base_url} left {unanswered} of {len(requests)} questions "
                f"open ({asking.trouble or f'no grade within {self.batch_seconds:.0f} s'})",
                stacklevel=2,
            )
        return [grades[question] for question in questions]

    def _request(self, scale: Scale, question: Question) -> dict[str, Any]:
        texts = {name: _clean(text) for name, text in question._asdict().items()}
        marker = f"<<{hashlib.sha256(''.join(texts.values()).encode()).hexdigest()[:16]}>>"
        return {
            "model": self.model,
            "messages": [
                {"role": "system", "content": scale.system.format(marker=marker)},
                {"role": "user", "content": scale.user.format(marker=marker, **texts)},
            ],
            "n": self.num_samples,
            "temperature": 0.0 if self.num_samples == 1 else 1.0,
            "max_tokens": MAX_REPLY_TOKENS,
            **scale.settings,
        }


class _Asking:
    """The requests of one batch: after one that stays without an answer, no further one is sent."""

    def __init__(self, openai: Any, scale: Scale, places: asyncio.Semaphore) -> None:
        self.openai, self.scale, self.places = openai, scale, places
        self.trouble: str | None = None
        self._is_down = False

    async def grade(self, client: Any, request: dict[str, Any]) -> Values | None:
        async with self.places:
            if self._is_down:
                return None
            try:
                reply = await client.chat.completions.create(**request)
                texts = [choice.message.content for choice in reply.choices]
                values = self.scale.read(reply.choices)
            except self.openai.APIStatusError as error:
                self._is_down |= error.status_code not in CANNOT_ANSWER_THIS
                self.trouble = f"{type(error).__name__}: {error}"[:200]
                return None
            except self.openai.APIConnectionError as error:
                self._is_down = True
                self.trouble = f"{type(error).__name__}: {error}"
                return None
            except (self.openai.OpenAIError, AttributeError, TypeError, ValueError, IndexError) as error:
                self.trouble = f"not a reply of a chat model: {type(error).__name__}"
                return None
        if values is None:
            self.trouble = f"not {self.scale.wanted}: {texts[:1]!r:.80}"
        return values


def _clean(text: str) -> str:
    """Bounded, and without half surrogate pairs, which cannot be sent."""
    return text[:MAX_CHARS].encode("utf-8", "replace").decode()


def _key(request: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


def openai_package() -> Any:
    """The package; a ValueError says how to install it."""
    try:
        import openai
    except ImportError as error:
        raise ValueError("a judge needs the openai package: pip install 'rlkit[judge]'") from error
    return openai

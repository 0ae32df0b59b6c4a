"""Hints in the trainer: what is revealed to a round's rows, and where it goes.

As a prefix, a hint's tokens follow those of the prompt with its generation prompt, where the policy's own
answer would begin: no chat template has to continue a turn. They are part of the prompt to generation, to the
loss and to every count of tokens, and part of the answer to the rewards.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cached_property
from typing import Any

import numpy as np
from trl.chat_template_utils import parse_response

from rlkit.curriculum.hints import Hints
from rlkit.hosts.trl.answering import answering

PARAGRAPH = "\n\nThe solution begins like this:\n\n"
"""Before a hint in the user's message."""


class Revealed:
    """The hints of some rows, "" for an unaided one.

    Args:
        rows: with all columns of the data.
        share_R: of each row's solution.
    """

    def __init__(self, trainer: Any, rows: list[dict[str, Any]], share_R: np.ndarray):
        self.trainer = trainer
        hints: Hints | None = trainer.curriculum.hints
        self.texts, self.in_prompt, self.is_prefix, self.trains = [""] * len(rows), False, False, False
        if hints is None or not (share_R > 0).any():
            return
        shares = zip(rows, share_R.tolist(), strict=True)
        self.texts = [hints.solutions.beginning_of(row, share) for row, share in shares]
        self.in_prompt, self.is_prefix = hints.place == "prompt", hints.place == "prefix"
        self.trains = hints.loss

    @cached_property
    def token_ids(self) -> list[list[int]]:
        """Each hint's tokens."""
        return [tokens_of(self.trainer._tokenizer, text) for text in self.texts]

    def as_paragraphs(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rows with the hints in their prompts, where that is their place."""
        if not self.in_prompt:
            return rows
        return [
            {**row, "prompt": with_paragraph(row["prompt"], PARAGRAPH + text)} if text else row
            for row, text in zip(rows, self.texts, strict=True)
        ]

    @contextmanager
    def continued(self) -> Iterator[None]:
        """Generation goes on from the hints, where that is their place."""
        if not self.is_prefix:
            yield
            return
        tokenize = self.trainer._tokenize_prompts

        def tokenize_with_hints(prompts: list) -> tuple:
            prompt_ids, *rest = tokenize(prompts)
            joined = [ids + hint for ids, hint in zip(prompt_ids, self.token_ids, strict=True)]
            return joined, *rest

        with answering(self.trainer, _tokenize_prompts=tokenize_with_hints):
            yield

    def as_answers(self, generated: tuple) -> tuple:
        """What `_generate` returned, with texts that begin with the hints."""
        if not self.is_prefix:
            return generated
        prompt_ids, completion_ids, tool_mask, completions, *rest = generated
        whole = [
            self._whole(*each) if each[0] else each[-1]
            for each in zip(self.texts, self.token_ids, prompt_ids, completion_ids, completions, strict=True)
        ]
        return prompt_ids, completion_ids, tool_mask, whole, *rest

    def _whole(
        self, text: str, hint_ids: list[int], prompt_ids: list[int], ids: list[int], answer: Any
    ) -> Any:
        if isinstance(answer, str):
            return text + answer
        tokenizer = self.trainer._tokenizer
        if getattr(tokenizer, "response_template", None) or getattr(tokenizer, "response_schema", None):
            prefix = prompt_ids[: len(prompt_ids) - len(hint_ids)]
            return [parse_response(tokenizer, hint_ids + ids, prefix=prefix)]
        return [{**answer[0], "content": text + answer[0]["content"]}, *answer[1:]]

    def as_trained(self, generated: tuple) -> tuple:
        """The same for the update: with `hint_loss` the hints' tokens are the first of the completions.

        The sampler has no logprobs of them; TRL then takes the policy's own, so that their ratio is 1.
        """
        if not (self.is_prefix and self.trains):
            return generated
        prompt_ids, completion_ids, tool_mask, completions, logprobs, *rest = generated
        sizes = [len(hint) for hint in self.token_ids]
        prompt_ids = [ids[: len(ids) - size] for ids, size in zip(prompt_ids, sizes, strict=True)]
        completion_ids = [hint + ids for hint, ids in zip(self.token_ids, completion_ids, strict=True)]
        if logprobs is not None:
            logprobs = [[None] * size + list(row) for size, row in zip(sizes, logprobs, strict=True)]
        return prompt_ids, completion_ids, tool_mask, completions, logprobs, *rest


def tokens_of(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def with_paragraph(prompt: Any, text: str) -> Any:
    """The prompt with `text` at the end of it, or of its last user's message."""
    if isinstance(prompt, str):
        return prompt + text
    messages = deepcopy(prompt)
    users = [message for message in messages if message["role"] == "user"]
    last = users[-1] if users else messages[-1]
    if isinstance(last["content"], str):
        last["content"] += text
    else:
        last["content"].append({"type": "text", "text": text})
    return messages

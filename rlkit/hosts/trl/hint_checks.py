"""What speaks against revealing the beginning of a solution, and against hints in a run at all.

Reasons: "rejected" where the reward rejects the whole solution, "answer" where it accepts the beginning (and
from there on: the answer stays in it), "merged" where the tokenizer joins its last token with what follows,
"long" where it leaves no room in the context.
"""

import logging
import math
from typing import Any

import numpy as np
from torch import nn
from transformers import AutoTokenizer
from trl.data_utils import is_conversational
from trl.trainer.grpo_config import GRPOConfig

from rlkit.curriculum.hints import Hints
from rlkit.hosts.trl.given_back import IMAGES
from rlkit.hosts.trl.hints import tokens_of
from rlkit.hosts.trl.prompts import context_length, token_ids
from rlkit.hosts.trl.rollouts import given_row
from rlkit.prompts.pool import PromptPool
from rlkit.prompts.solutions import ALLOWED, Solutions
from rlkit.verify.guard import guard
from rlkit.verify.returned import reward_name
from rlkit.verify.rewards import as_completion, grade

logger = logging.getLogger(__name__)

NUM_TRIED = 32
"""Rows, the first of the data, of which one must have something to reveal."""
REJECTED, ANSWER, MERGED, LONG, EMPTY = "rejected", "answer", "merged", "long", "empty"
REMEDIES = {
    REJECTED: "the reward rejects the solutions themselves; name the column of right ones by hint_column, in "
    "the form that the reward asks for",
    ANSWER: "every beginning of them holds the answer, by the reward; give solutions that end in it",
    MERGED: "the tokenizer joins the end of every beginning with what follows; choose hint_place=prompt",
    EMPTY: "they are empty or no text; name the column of the written solutions by hint_column",
    "": "they cannot be cut: one sentence or line each; give solutions of several steps",
}


def check_hints(
    trainer: Any, functions: list[Any], pool: PromptPool, args: GRPOConfig, given: dict[str, Any]
) -> None:
    """Has the solutions examined by reward and tokenizer from now on, if the curriculum gives hints.

    Raises:
        ValueError: hints do not go with the run, or the first rows have nothing to reveal.
    """
    hints: Hints | None = trainer.curriculum.hints
    if hints is None:
        return
    _check_run(pool, given)
    by_reward = ByReward(trainer.curriculum, functions, args)
    examiners: list[Any] = [by_reward]
    if hints.place == "prefix":
        tokenizer = _tokenizer(trainer, given)
        examiners.append(ByTokens(tokenizer))
        _check_template(tokenizer, pool, args)
    _try_first_rows(pool, hints, examiners)
    hints.solutions.examiners = [*examiners, ByContext(trainer)]


def _check_run(pool: PromptPool, given: dict[str, Any]) -> None:
    for name in ("tools", "environment_factory", "rollout_func"):
        if given.get(name):
            raise ValueError(
                f"hints do not go with {name}: what is revealed is the beginning of one answer, and there an "
                "answer has turns, or a loop of its own; leave hints or that out"
            )
    images = set(IMAGES) & set(pool.column_names)
    if images:
        raise ValueError(
            f"hints do not go with images (column {', '.join(sorted(images))}), whose tokens the processor "
            "makes with the text's; leave hints out"
        )


def _check_template(tokenizer: Any, pool: PromptPool, args: GRPOConfig) -> None:
    """Says where the template opens a thought, which a solution's beginning would then be part of."""
    prompt = pool.take(np.array([0]))[0]["prompt"]
    if not is_conversational({"prompt": prompt}):
        return
    kwargs: Any = args.chat_template_kwargs or {}
    text = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True, **kwargs)
    if text.rstrip().endswith("<think>"):
        logger.warning(
            "the chat template opens a thought (<think>) where an answer begins, so that hints become the "
            "beginning of the thought; choose hint_place=prompt if the solutions are not thoughts"
        )


def _try_first_rows(pool: PromptPool, hints: Hints, examiners: list[Any]) -> None:
    tried = Solutions(pool, hints.column)
    tried.examiners = examiners
    first = np.arange(min(NUM_TRIED, len(pool)))
    if any(len(shares) > 1 for shares in tried.examined(first)):
        return
    reasons = {name: count for name, count in tried.refused.items() if name in REMEDIES}
    none = EMPTY if not any(tried.of(row) for row in pool.take(first)) else ""
    reason = max(reasons, key=lambda name: reasons[name], default=none)
    raise ValueError(
        f"hints have nothing to reveal of the first {len(first)} rows' solutions (column {tried.column!r}): "
        f"{REMEDIES[reason]}"
    )


def _tokenizer(trainer: Any, given: dict[str, Any]) -> Any:
    """The run's, before the trainer has it."""
    processing = given.get("processing_class")
    if processing is None:
        model = given["model"]
        name = model if isinstance(model, str) else model.config._name_or_path
        processing = AutoTokenizer.from_pretrained(name)
    return getattr(processing, "tokenizer", processing)


class ByReward:
    """Asks the curriculum's reward, or the weighted sum of all, about a solution and its beginnings.

    A beginning is accepted that earns more than half of what the solution does. Reward models are not asked.

    Raises:
        ValueError: there is no function to ask.
    """

    def __init__(self, curriculum: Any, functions: list[Any], args: GRPOConfig):
        weights = args.reward_weights or [1.0] * len(functions)
        named = [
            (function, weight)
            for function, weight in zip(functions, weights, strict=True)
            if not isinstance(function, str | nn.Module)
        ]
        if curriculum.signal is not None:
            named = [(function, 1.0) for function, _ in named if reward_name(function) == curriculum.signal]
        if not named:
            raise ValueError(
                "hints need a reward function that says whether a beginning holds the answer, and the "
                "curriculum looks at a reward model; name a function by curriculum_signal, or leave hints out"
            )
        timeout = curriculum.safety.reward_timeout
        self._rewards = [
            (guard(function, lambda name, num, error: None, timeout), weight) for function, weight in named
        ]
        self._least, self._args = curriculum.hints.scale.low, args

    def __call__(self, row: dict[str, Any], solution: str, hints: list[str]) -> list[str]:
        whole, *parts = self._scores(given_row(row, self._args), [solution, *hints])
        if not whole > self._least:
            return [REJECTED] * len(hints)
        most = self._least + (whole - self._least) / 2
        accepted = np.logical_or.accumulate([part > most for part in parts])
        return [ANSWER if known else ALLOWED for known in accepted]

    def _scores(self, row: dict[str, Any], texts: list[str]) -> list[float]:
        """NaN where nothing could be scored."""
        total = np.full(len(texts), np.nan)
        for reward, weight in self._rewards:
            values = grade(reward, [as_completion(row, text) for text in texts], [row] * len(texts))
            scores = weight * np.array(
                [math.nan if value is None else value for value in values], dtype=float
            )
            total = np.where(np.isnan(scores), total, np.nan_to_num(total) + scores)
        return total.tolist()


class ByTokens:
    """A hint's tokens must be the first of the solution's: else the policy would go on from odd pieces."""

    def __init__(self, tokenizer: Any):
        self._tokenizer = tokenizer

    def __call__(self, row: dict[str, Any], solution: str, hints: list[str]) -> list[str]:
        whole = tokens_of(self._tokenizer, solution)
        parts = [tokens_of(self._tokenizer, hint) for hint in hints]
        return [ALLOWED if whole[: len(part)] == part else MERGED for part in parts]


class ByContext:
    """A hint must leave room for a token of a completion behind the prompt."""

    def __init__(self, trainer: Any):
        self._trainer = trainer

    def __call__(self, row: dict[str, Any], solution: str, hints: list[str]) -> list[str]:
        context = context_length(self._trainer)
        if context is None:
            return [ALLOWED] * len(hints)
        room = context - len(token_ids(self._trainer, [row])[0])
        lengths = [len(tokens_of(self._trainer._tokenizer, hint)) for hint in hints]
        return [ALLOWED if length < room else LONG for length in lengths]

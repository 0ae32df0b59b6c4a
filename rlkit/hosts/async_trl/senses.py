"""What an asynchronous run can tell of a prompt beforehand: what its vLLM server says of its tokens."""

from collections.abc import Callable
from typing import Any

import numpy as np

from rlkit.curriculum.estimators import Reading
from rlkit.hosts.async_trl.server import Server
from rlkit.hosts.trl.senses import MAX_REFERENCE
from rlkit.prompts.pool import PromptPool


class NoSenses:
    """The policy is with the update, and nothing but completions shows."""

    shows: tuple[str, ...] = ()

    def read(self, index_N: np.ndarray, layer: float | None, reference_N: list[str] | None) -> Reading:
        raise NotImplementedError

    def features(self, index_N: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def judge(self, index_N: np.ndarray, context_N: list[str], max_tokens: int) -> list[str]:
        raise NotImplementedError

    def teach(self, index_P: np.ndarray, advantage_P: np.ndarray, weight: float) -> None:
        raise NotImplementedError

    def truth(self, index_N: np.ndarray) -> None:
        return None


class ServerSenses(NoSenses):
    """Log-likelihoods by one prefill on the server, of the policy that it has, at temperature 1.

    Args:
        pool: of the prompts.

    `connect` comes before the first reading; `model` gives the name that the server has the policy under.
    """

    shows: tuple[str, ...] = ("likelihood", "perplexity")
    model: Callable[[], str]

    def __init__(self, pool: PromptPool):
        self.pool = pool

    def connect(self, server: Server, tokenizer: Any, render: Callable[..., Any], context: int) -> None:
        """`render` makes a prompt's tokens; `context` is what prompt, reference and one token may have."""
        self._server, self._tokenizer, self._render, self._context = server, tokenizer, render, context

    def read(self, index_N: np.ndarray, layer: float | None, reference_N: list[str] | None) -> Reading:
        """By one request; a reference is cut where it would leave the context."""
        assert layer is None, "states do not show"
        prompts = [self._render(row["prompt"], return_dict=False) for row in self.pool.take(index_N)]
        if reference_N is None:
            logps = self._server.token_logps(self.model(), prompts)
            return Reading(None, None, np.array([_summed(row)[1] for row in logps], dtype=np.float32))
        both = [
            [*prompt, *self._tokens(text)[: max(self._context - len(prompt) - 1, 0)]]
            for prompt, text in zip(prompts, reference_N, strict=True)
        ]
        logps = self._server.token_logps(self.model(), both)
        likely = [_summed(row[len(prompt) - 1 :]) for row, prompt in zip(logps, prompts, strict=True)]
        return Reading(None, np.array(likely, dtype=np.float32), None)

    def _tokens(self, text: str) -> list[int]:
        return self._tokenizer(text, add_special_tokens=False)["input_ids"][:MAX_REFERENCE] if text else []


def _summed(logps: list[float]) -> tuple[float, float, float]:
    """Sum, mean and first; NaN where there is none."""
    return (sum(logps), sum(logps) / len(logps), logps[0]) if logps else (np.nan, np.nan, np.nan)

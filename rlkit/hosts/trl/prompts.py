"""Prompts as the trainer's tokenizer and context take them; those that they cannot take."""

import logging
from typing import Any

import numpy as np

logger = logging.getLogger(__name__)

NUM_NAMED = 20
"""Rows that warnings name; `pool/unusable` counts them all."""


def token_ids(trainer: Any, rows: list[dict[str, Any]]) -> list[list[int]]:
    """Tokens of each row's prompt, by TRL's chat template and tools."""
    if trainer.environment_factories:  # TRL renders each prompt with its environment's tools
        multiple = trainer._multi_environment
        trainer._batch_environments = [row["environment"] if multiple else None for row in rows]
    return trainer._tokenize_prompts([row["prompt"] for row in rows])[0]


class PromptCheck:
    """Says which prompts can be rolled out: they are of the kind of the others, the tokenizer takes them, and
    they leave room in the context for a token of a completion.

    Prompts with images are left to TRL's processor: their tokens depend on the pictures.
    """

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self.context = context_length(trainer)
        self._num_named = 0
        prompts = (row["prompt"] for row in trainer.pool.rows)
        self._kind = next((type(prompt) for prompt in prompts if isinstance(prompt, str | list)), str)

    def __call__(self, index_N: np.ndarray) -> np.ndarray:
        """Whether each of these prompts can be rolled out, (N,); warns of the first that cannot."""
        rows = self.trainer.pool.take(index_N)
        if rows[0].keys() & {"image", "images"}:
            return np.ones(len(index_N), dtype=bool)
        try:
            reasons = [self._too_long(row, ids) for row, ids in zip(rows, self._tokens(rows), strict=True)]
        except Exception:  # data sets are untrusted: find the row, and go on with the others
            reasons = [self._reason(row) for row in rows]
        for index, reason in zip(index_N.tolist(), reasons, strict=True):
            if reason is not None:
                self._num_named += 1
                level = logging.WARNING if self._num_named <= NUM_NAMED else logging.DEBUG
                logger.log(level, "row %d of the pool is left out: %s", index, reason)
        return np.array([reason is None for reason in reasons])

    def _reason(self, row: dict[str, Any]) -> str | None:
        try:
            return self._too_long(row, self._tokens([row])[0])
        except Exception as error:  # as above
            return f"its prompt {row['prompt']!r:.80} cannot be tokenized ({type(error).__name__}: {error})"

    def _tokens(self, rows: list[dict[str, Any]]) -> list[list[int]]:
        for row in rows:
            if not isinstance(row["prompt"], self._kind):
                raise TypeError(f"{type(row['prompt']).__name__} instead of {self._kind.__name__}")
        return token_ids(self.trainer, rows)

    def _too_long(self, row: dict[str, Any], ids: list[int]) -> str | None:
        if len(ids) == 0:
            return f"its prompt {row['prompt']!r:.80} has no tokens"
        if self.context is not None and len(ids) >= self.context:
            return f"its prompt has {len(ids)} tokens, and the context {self.context}"
        return None


def context_length(trainer: Any) -> int | None:
    """Tokens that prompt and completion may have together; None where the model names no limit."""
    if trainer.use_vllm and trainer.args.vllm_max_model_length is not None:
        return trainer.args.vllm_max_model_length
    config = trainer.accelerator.unwrap_model(trainer.model).config.get_text_config()
    return getattr(config, "max_position_embeddings", None)

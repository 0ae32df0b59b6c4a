"""Prompts as the trainer's tokenizer and context take them; those that they cannot take."""

import logging
from typing import Any

import numpy as np

logger = logging.getLogger(__name__)

NUM_NAMED = 20
"""Rows that warnings name; `pool/unusable` counts them all."""
NUM_ALIKE = 100
"""Prompts, the first of all, after which it ends the run that none could be used, and all for one reason."""

Fault = tuple[str, str]
"""Of a prompt that cannot be used: the kind, and the reason in words."""


class UnusablePromptsError(ValueError):
    """No prompt can be rolled out: the data and the model do not go together."""


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
        self._num_named = self._num_seen = 0
        self._alike: str | None = None
        prompts = (row["prompt"] for row in trainer.pool.rows)
        self._kind = next((type(prompt) for prompt in prompts if isinstance(prompt, str | list)), str)

    def __call__(self, index_N: np.ndarray) -> np.ndarray:
        """Whether each of these prompts can be rolled out, (N,); warns of the first that cannot.

        Raises:
            UnusablePromptsError: the first `NUM_ALIKE` prompts, or all of a smaller pool, fail alike.
        """
        rows = self.trainer.pool.take(index_N)
        if rows[0].keys() & {"image", "images"}:
            return np.ones(len(index_N), dtype=bool)
        try:
            faults = [self._misfit(row, ids) for row, ids in zip(rows, self._tokens(rows), strict=True)]
        except Exception:  # data sets are untrusted: find the row, and go on with the others
            faults = map(self._fault, rows)
        return np.array(
            [self._is_good(index, fault) for index, fault in zip(index_N.tolist(), faults, strict=True)]
        )

    def _is_good(self, index: int, fault: Fault | None) -> bool:
        self._num_seen += 1
        if fault is None:
            self._alike = None
            return True
        kind, reason = fault
        if self._num_seen == 1:
            self._alike = kind
        if kind != self._alike:
            self._alike = None
        if self._alike is not None and self._num_seen == min(NUM_ALIKE, len(self.trainer.pool)):
            raise UnusablePromptsError(
                f"none of the first {self._num_seen} prompts of {len(self.trainer.pool)} can be rolled out, "
                f"all for one reason ({kind}); row {index} of the pool: {reason}. The data and the model do "
                "not go together: look at the prompts' form, the tokenizer's chat template, and the context"
            )
        self._num_named += 1
        level = logging.WARNING if self._num_named <= NUM_NAMED else logging.DEBUG
        logger.log(level, "row %d of the pool is left out: %s", index, reason)
        return False

    def _fault(self, row: dict[str, Any]) -> Fault | None:
        try:
            return self._misfit(row, self._tokens([row])[0])
        except Exception as error:  # as above
            name = type(error).__name__
            return name, f"its prompt {row['prompt']!r:.80} cannot be tokenized ({name}: {error})"

    def _tokens(self, rows: list[dict[str, Any]]) -> list[list[int]]:
        for row in rows:
            if not isinstance(row["prompt"], self._kind):
                raise TypeError(f"{type(row['prompt']).__name__} instead of {self._kind.__name__}")
        return token_ids(self.trainer, rows)

    def _misfit(self, row: dict[str, Any], ids: list[int]) -> Fault | None:
        if len(ids) == 0:
            return "no tokens", f"its prompt {row['prompt']!r:.80} has no tokens"
        if self.context is not None and len(ids) >= self.context:
            return "too long", f"its prompt has {len(ids)} tokens, and the context {self.context}"
        return None


def context_length(trainer: Any) -> int | None:
    """Tokens that prompt and completion may have together; None where the model names no limit."""
    if trainer.use_vllm and trainer.args.vllm_max_model_length is not None:
        return trainer.args.vllm_max_model_length
    config = trainer.accelerator.unwrap_model(trainer.model).config.get_text_config()
    return getattr(config, "max_position_embeddings", None)

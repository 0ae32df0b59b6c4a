"""An engine call that fails once is made again, from the same random state."""

import logging
from collections.abc import Callable
from typing import Any

import torch

logger = logging.getLogger(__name__)


class Retry:
    """Calls that generate, made a second time where the first raised. The second failure is the caller's.

    A process may only do so by itself where no other waits for it inside the call (`alone`): in a run of one
    process, and where each has an engine of its own (transformers without sharding, vLLM in the same process
    without tensor parallelism). A vLLM server's client retries by itself: TRL's makes five attempts.
    """

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self.num_failed = 0

    @property
    def alone(self) -> bool:
        trainer = self.trainer
        if trainer.accelerator.num_processes == 1:
            return True
        sharded = trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled
        if not trainer.use_vllm:
            return not sharded
        one = trainer.args.vllm_tensor_parallel_size == 1
        return trainer.args.vllm_mode == "colocate" and one and not sharded

    def __call__(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if not self.alone:
            return call(*args, **kwargs)
        state = _random_state()
        try:
            return call(*args, **kwargs)
        except Exception as error:  # an engine or a user's rollout function: whatever it raises
            self.num_failed += 1
            if self.trainer.watch.is_news("generation failed"):
                logger.warning("generation failed and is tried once more: %r", error)
            _restore(state)
            return call(*args, **kwargs)


def _random_state() -> tuple[torch.Tensor, torch.Tensor | None]:
    return torch.get_rng_state(), torch.cuda.get_rng_state() if torch.cuda.is_available() else None


def _restore(state: tuple[torch.Tensor, torch.Tensor | None]) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1])

"""An engine call that fails once is made again, from the same random state."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

logger = logging.getLogger(__name__)


class Retry:
    """Calls that generate, made a second time where the first raised. The second failure is the caller's.

    A process may only do so by itself where no other waits for it inside the call (`alone`): in a run of one
    process, and where each has an engine of its own (transformers without sharding, vLLM in the same process
    without tensor parallelism). Where others do wait, the call of vLLM within (`guard_engine`) is made again.
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
        return trainer.args.vllm_mode == "colocate" and self._own_engine and not sharded

    @property
    def _own_engine(self) -> bool:
        return self.trainer.args.vllm_tensor_parallel_size == 1

    def guard_engine(self) -> None:
        """Where processes meet inside of TRL's call: has vLLM's own call in it, where none waits, made again.

        Of a server that is the main process's request (after the five attempts of TRL's client), of vLLM in
        the same process each one's generation; with tensor parallelism processes meet in that, too.
        """
        trainer = self.trainer
        if self.alone or not trainer.use_vllm:
            return
        if trainer.args.vllm_mode == "server":
            engine = trainer.vllm_generation.vllm_client if trainer.accelerator.is_main_process else None
        else:
            engine = trainer.vllm_generation.llm if self._own_engine else None
        if engine is not None:
            engine.generate = partial(self.once_more, engine.generate)

    def __call__(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self.once_more(call, *args, **kwargs) if self.alone else call(*args, **kwargs)

    def once_more(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """The call, and again if it raises."""
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

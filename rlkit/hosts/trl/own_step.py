"""An optimizer step of an objective's own, with the trainer's optimizer and moments of its own.

The optimizer's state is exchanged for the step, so that clipping, precision and sharding are the trainer's.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch.distributed.tensor import DTensor


class OwnSteps:
    """The steps of the objectives, each under its name."""

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self._moments: dict[str, dict[torch.Tensor, dict[str, Any]]] = {}
        self._saved: dict[str, list[dict[str, Any]]] = {}
        """Of the checkpoint, by the position of a parameter: there is no optimizer yet when it is read."""

    def take(self, name: str, losses: list[Callable[[], torch.Tensor]]) -> None:
        """Minimizes the sum of the losses, one backward each."""
        trainer, accelerator = self.trainer, self.trainer.accelerator
        optimizer = _innermost(trainer.optimizer)
        if name in self._saved:
            self._moments[name] = _of_positions(optimizer, self._saved.pop(name))
        theirs = optimizer.state
        optimizer.state = defaultdict(dict, self._moments.get(name, {}))
        sharded = {"scale_wrt_gas": False} if trainer.is_deepspeed_enabled else {}
        try:
            for position, loss in enumerate(losses, start=1):
                # DeepSpeed steps inside of the last backward; elsewhere the gradients add up until then.
                accelerator.gradient_state._set_sync_gradients(position == len(losses))
                with trainer.compute_loss_context_manager():
                    value = loss()
                accelerator.backward(value, **sharded)
            if trainer.args.max_grad_norm:
                accelerator.clip_grad_norm_(trainer.model_wrapped.parameters(), trainer.args.max_grad_norm)
            trainer.optimizer.step()
            trainer.model_wrapped.zero_grad()
        finally:
            self._moments[name], optimizer.state = dict(optimizer.state), theirs

    def state_dict(self) -> dict[str, list[dict[str, Any]]]:
        """The moments by the position of a parameter; of a sharded one this process's shard."""
        if not self._moments:
            return self._saved
        parameters = _parameters(_innermost(self.trainer.optimizer))
        return {**self._saved} | {
            name: [
                {key: _local(value) for key, value in moments.get(parameter, {}).items()}
                for parameter in parameters
            ]
            for name, moments in self._moments.items()
        }

    def load_state_dict(self, state: dict[str, list[dict[str, Any]]]) -> None:
        self._moments, self._saved = {}, dict(state)


def _innermost(optimizer: Any) -> Any:
    """torch's own, within those of accelerate and DeepSpeed."""
    while hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    return optimizer


def _parameters(optimizer: Any) -> list[torch.Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _of_positions(optimizer: Any, saved: list[dict[str, Any]]) -> dict[torch.Tensor, dict[str, Any]]:
    return {
        parameter: {key: _like(value, key, parameter) for key, value in moments.items()}
        for parameter, moments in zip(_parameters(optimizer), saved, strict=True)
        if moments
    }


def _local(value: Any) -> Any:
    value = value.to_local() if isinstance(value, DTensor) else value
    return value.detach().cpu().clone() if isinstance(value, torch.Tensor) else value


def _like(value: Any, key: str, parameter: torch.Tensor) -> Any:
    """On the parameter's device and sharded as it is; the count of steps stays where torch has it."""
    if not isinstance(value, torch.Tensor) or key == "step":
        return value
    value = value.to(parameter.device)
    if isinstance(parameter, DTensor):
        return DTensor.from_local(value, parameter.device_mesh, parameter.placements, run_check=False)
    return value

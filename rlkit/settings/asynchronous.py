"""Settings of a run on TRL's asynchronous trainer, beside those of the synchronous one."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class AsyncArguments:
    """The other settings are those of `GRPOConfig`, so that one YAML file serves both trainers."""

    asynchronous: bool = field(
        default=False,
        metadata={
            "help": "Also --async: roll out on a vLLM server (vllm_server_base_url) while the policy updates "
            "(docs/async.md)."
        },
    )
    max_staleness: int = field(
        default=4, metadata={"help": "Policy versions that a group may be old when it is trained on."}
    )
    weight_sync_steps: int = field(default=1, metadata={"help": "Optimizer steps between two versions."})
    max_inflight_tasks: int = field(
        default=-1,
        metadata={"help": "Completions made at once; -1 for max_staleness steps."},
    )
    token_budget: int | None = field(
        default=None,
        metadata={
            "help": "Tokens of a row of a micro-batch; default: the server's context. 0: "
            "per_device_train_batch_size completions instead."
        },
    )

    def numbers(self) -> dict[str, Any]:
        """What AsyncGRPOConfig takes of them."""
        return {name: value for name, value in asdict(self).items() if name != "asynchronous"}

"""Runs a script with accelerate taking several CPU processes for GPUs, so that FSDP2 takes place on gloo.

    as_if_gpus.py SCRIPT ARGUMENTS   (under torchrun or `accelerate launch`)

accelerate offers FSDP on accelerators only; torch's `fully_shard` itself works on CPU.
"""

import runpy
import sys
from pathlib import Path
from typing import Any

from accelerate.state import PartialState
from accelerate.utils import DistributedType

initialize = PartialState.__init__


def as_if_gpus(self: PartialState, *args: Any, **kwargs: Any) -> None:
    initialize(self, *args, **{**kwargs, "cpu": True})
    if PartialState._shared_state["distributed_type"] == DistributedType.MULTI_CPU:
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU


if __name__ == "__main__":
    PartialState.__init__ = as_if_gpus
    sys.argv = sys.argv[1:]
    sys.path.insert(0, str(Path(sys.argv[0]).parent))
    runpy.run_path(sys.argv[0], run_name="__main__")

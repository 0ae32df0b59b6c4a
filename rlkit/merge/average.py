"""The weighted average of checkpoints, a tensor at a time: memory is the largest one's, not a model's."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlkit.merge.checkpoint import INDEX, SINGLE, Checkpoint

if TYPE_CHECKING:
    from torch import Tensor

METADATA = {"format": "pt"}
"""Without it transformers refuses the file."""


def write_average(
    checkpoints: Sequence[Checkpoint], share_C: Sequence[float], names: Sequence[str], folder: Path
) -> None:
    """Writes the average in the first checkpoint's files (shards, types) into a folder.

    Raises:
        ValueError: a tensor that has no average, by its name.
    """
    first = checkpoints[0]
    name_of: dict[str, list[str]] = {}
    for name in names:
        name_of.setdefault(first.file_of[name], []).append(name)
    for file, held in name_of.items():
        _write_file(folder / file, held, checkpoints, share_C)
    if list(name_of) != [SINGLE]:
        size = sum(_num_bytes(first, name) for name in names)
        index = {"metadata": {"total_size": size}, "weight_map": {n: first.file_of[n] for n in names}}
        (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n")


def average(checkpoints: Sequence[Checkpoint], share_C: Sequence[float], name: str) -> "Tensor":
    """A tensor's weighted average, summed in float32 (float64 for such tensors), in the first's type.

    Raises:
        ValueError: integers that differ, numbers that are not finite, or not in the first's type.
    """
    import torch

    first = checkpoints[0].read(name)
    if not first.is_floating_point():
        for other in checkpoints[1:]:
            if not torch.equal(first, other.read(name)):
                raise ValueError(f"tensor {name} ({first.dtype}) differs in {other.name}: it has no average")
        return first
    total = torch.zeros(first.shape, dtype=torch.promote_types(first.dtype, torch.float32))
    for checkpoint, share in zip(checkpoints, share_C, strict=True):
        if share:
            total.add_(checkpoint.read(name).to(total.dtype), alpha=share)
    result = total.to(first.dtype)
    if not torch.isfinite(result).all():
        holders = [each.name for each in checkpoints if not torch.isfinite(each.read(name)).all()]
        if not holders:
            raise ValueError(f"tensor {name} is out of the range of {first.dtype}, the first's type")
        raise ValueError(f"tensor {name} is not finite in {', '.join(holders)}; leave that checkpoint out")
    return result


def _write_file(
    path: Path, names: Sequence[str], checkpoints: Sequence[Checkpoint], share_C: Sequence[float]
) -> None:
    """A safetensors file written tensor after tensor (its own writer wants all of them in memory).

    The format: the header's length in 8 bytes, little-endian; the header, JSON padded with spaces to 8 bytes;
    the tensors' bytes in its order.
    """
    import torch

    header: dict[str, Any] = {"__metadata__": METADATA}
    end = 0
    for name in names:
        start, end = end, end + _num_bytes(checkpoints[0], name)
        dtype, shape = checkpoints[0].kinds[name]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            tensor = average(checkpoints, share_C, name)
            file.write(tensor.flatten().view(torch.uint8).numpy().data)


def _num_bytes(checkpoint: Checkpoint, name: str) -> int:
    tensor = checkpoint.read(name)  # mapped, so that nothing is read
    return tensor.numel() * tensor.element_size()

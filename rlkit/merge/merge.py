"""`rlkit merge`: checks, writes beside the place, loads what was written, and only then gives it its name."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rlkit.evaluate.models import is_adapter
from rlkit.merge.adapter import base_of, write_with_adapter
from rlkit.merge.agree import check_architectures, check_tensors, check_tokenizers, untied
from rlkit.merge.average import write_average
from rlkit.merge.checkpoint import Checkpoint
from rlkit.merge.verify import verify
from rlkit.merge.weights import shares

BESIDE_WEIGHTS = (
    *("config.json", "generation_config.json", "tokenizer*", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.*", "merges.txt", "chat_template*", "additional_chat_templates", "*.model"),
)
"""What a folder of a model holds but for weights and a trainer's state."""


@dataclass(frozen=True)
class Merged:
    """The folder that was written, the models with their shares, and what the user should know."""

    folder: Path
    models: dict[str, float]
    notes: list[str] = field(default_factory=list)


def merge(models: Sequence[str], out: Path, a: float = 0.5, b: float = 0.5, loads: bool = True) -> Merged:
    """Averages two or three checkpoints (weights.py), or puts an adapter into its base.

    Args:
        models: folders or Hub ids; an adapter alone, or followed by the base to use in place of its own.
        out: a folder that does not exist yet; it appears when all is done.
        loads: whether transformers loads the result and gives logits, which takes a model's memory.

    Raises:
        ValueError: models that cannot be merged, by the field or the tensor; an `out` that is there.
    """
    if out.exists():
        raise ValueError(f"out ({out}) exists; give another folder, or delete it")
    if models and is_adapter(models[0]):
        return _put_in_base(models, out, loads)
    share_C = shares(len(models), a, b)
    checkpoints = [Checkpoint(name) for name in models]
    notes = check_architectures(checkpoints)
    names = [untied(checkpoint) for checkpoint in checkpoints]
    notes += check_tensors(checkpoints, names) + check_tokenizers(checkpoints)

    def write(folder: Path) -> None:
        write_average(checkpoints, share_C, names[0], folder)
        _copy_rest(checkpoints, folder)

    return _write(Merged(out, dict(zip(models, share_C, strict=True)), notes), write, loads)


def _put_in_base(models: Sequence[str], out: Path, loads: bool) -> Merged:
    adapter, *rest = models
    base = rest[0] if rest else base_of(adapter)
    if len(rest) > 1 or is_adapter(base):
        raise ValueError(f"models {list(models)}: after an adapter comes its base at most, a whole model")
    merged = Merged(out, {base: 1.0, adapter: 1.0})
    return _write(merged, lambda folder: write_with_adapter(adapter, base, folder), loads)


def _write(merged: Merged, write: Callable[[Path], None], loads: bool) -> Merged:
    """Writes into a folder beside, and renames it; one that a kill left there is overwritten."""
    out = merged.folder
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = out.with_name(f".{out.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    try:
        write(beside)
        (beside / "merge.json").write_text(
            json.dumps({"models": merged.models, "notes": merged.notes}, indent=2) + "\n"
        )
        if loads:
            verify(beside)
        beside.rename(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return merged


def _copy_rest(checkpoints: Sequence[Checkpoint], folder: Path) -> None:
    """The first's configuration and the first tokenizer that there is."""
    first = checkpoints[0]
    if first.tokenizer is None:
        for having in checkpoints:
            if having.tokenizer is not None:
                having.tokenizer.save_pretrained(folder)
                break
    for pattern in BESIDE_WEIGHTS:
        for path in first.folder.glob(pattern):
            copy = shutil.copytree if path.is_dir() else shutil.copyfile
            copy(path, folder / path.name)

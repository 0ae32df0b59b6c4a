"""Saved models: found, named, told apart and loaded. Adapters come on their base model."""

import glob
import json
import re
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

CONFIGS = ("config.json", "adapter_config.json")
WEIGHTS = ("*.safetensors", "*.bin")
NUM_BLOCKS, BLOCK_BYTES = 64, 65536  # of each file of weights that the fingerprint reads


def find_models(names: Sequence[str]) -> list[str]:
    """Folders (or patterns: "run/checkpoint-*") and Hub ids; checkpoints of one run in order of steps.

    Raises:
        ValueError: a name is neither a folder with a model nor loadable from the Hub.
    """
    expanded = [found for name in names for found in (_expand(name) if glob.has_magic(name) else [name])]
    for name in expanded:
        _check_model(name)
    runs = list(dict.fromkeys(_run_of(name) for name in expanded))  # in the order given
    return sorted(dict.fromkeys(expanded), key=lambda name: (runs.index(_run_of(name)), step_of(name) or 0))


def step_of(model: str) -> int | None:
    """The step of a checkpoint's folder: 50 of "run/checkpoint-50"; None of another model."""
    match = re.fullmatch(r"checkpoint-(\d+)", Path(model).name)
    return None if match is None else int(match.group(1))


def find_checkpoints(run: Path) -> list[Path]:
    """The checkpoints in a run's folder, in order of steps."""
    return sorted(run.glob("checkpoint-*"), key=lambda path: step_of(str(path)) or 0)


def model_labels(models: Sequence[str]) -> dict[str, str]:
    """A name for each model: its folder's, and as much of the folders above as it takes to differ.

    {"a/checkpoint-5": "a-checkpoint-5", "b/checkpoint-5": "b-checkpoint-5", "b/last": "last"}
    """
    parts = {
        model: Path(model).resolve().parts if Path(model).is_dir() else model.split("/") for model in models
    }
    labels = {}
    for model in models:
        for length in range(1, len(parts[model]) + 1):
            tail = parts[model][-length:]
            if sum(tuple(parts[other][-length:]) == tuple(tail) for other in models) == 1:
                break
        labels[model] = "-".join(part.strip("/") for part in tail)
    return labels


def fingerprint(model: str) -> str:
    """A digest of a folder's configuration and of blocks all over its weights; of a Hub id, its commit."""
    if not Path(model).is_dir():
        from transformers import AutoConfig

        return f"{model}@{AutoConfig.from_pretrained(model)._commit_hash}"
    digest = blake2b(digest_size=16)
    for name in CONFIGS:
        if (Path(model) / name).is_file():
            digest.update((Path(model) / name).read_bytes())
    for path in sorted(found for pattern in WEIGHTS for found in Path(model).glob(pattern)):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}".encode())
        with path.open("rb") as file:
            for block in range(NUM_BLOCKS):
                file.seek(size * block // NUM_BLOCKS)
                digest.update(file.read(BLOCK_BYTES))
    return digest.hexdigest()


def is_adapter(model: str) -> bool:
    return (Path(model) / "adapter_config.json").is_file()


def load_tokenizer(model: str) -> Any:
    """The folder's own, or of an adapter that was saved without one, its base model's."""
    from transformers import AutoTokenizer

    if is_adapter(model) and not (Path(model) / "tokenizer_config.json").is_file():
        base = json.loads((Path(model) / "adapter_config.json").read_text())["base_model_name_or_path"]
        return _load(model, lambda: AutoTokenizer.from_pretrained(base))
    return _load(model, lambda: AutoTokenizer.from_pretrained(model))


def load_model(model: str) -> Any:
    """In bfloat16 on a GPU, else in the checkpoint's own type; an adapter is merged into its base."""
    import torch
    from transformers import AutoModelForCausalLM

    dtype = torch.bfloat16 if torch.cuda.is_available() else "auto"
    if is_adapter(model):
        from peft import AutoPeftModelForCausalLM

        load = AutoPeftModelForCausalLM.from_pretrained
        return _load(model, lambda: load(model, dtype=dtype)).merge_and_unload()
    return _load(model, lambda: AutoModelForCausalLM.from_pretrained(model, dtype=dtype))


def _load(model: str, load: Any) -> Any:
    try:
        return load()
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"model {model} cannot be loaded: {reason:.300}") from error


def _expand(pattern: str) -> list[str]:
    found = [path for path in glob.glob(pattern) if Path(path).is_dir()]
    if not found:
        raise ValueError(f"no folder matches {pattern} (relative paths start at {Path.cwd()})")
    return found


def _check_model(name: str) -> None:
    folder = Path(name)
    if folder.is_dir():
        if not any((folder / config).is_file() for config in CONFIGS):
            found = [Path(path).name for path in find_checkpoints(folder)]
            remedy = f"name one of {found}" if found else "name a folder that holds one of them"
            raise ValueError(f"model {name} has neither config.json nor adapter_config.json; {remedy}")
        return
    if re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) is None or name.startswith("."):
        raise ValueError(f"model {name}: there is no such folder (relative paths start at {Path.cwd()})")
    from transformers import AutoConfig

    try:
        AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"model {name}: there is no such folder (relative paths start at {Path.cwd()}), "
            f"and the Hub gives none ({reason:.150})"
        ) from error


def _run_of(name: str) -> str:
    """What the checkpoints of one run have in common."""
    return name if step_of(name) is None else str(Path(name).parent)

"""A saved model as its tensors' names, shapes and types; a tensor is read when it is asked for."""

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rlkit.evaluate.models import is_adapter

if TYPE_CHECKING:
    from torch import Tensor

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
WANTED = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")
"""Of a model on the Hub."""


class Kind(NamedTuple):
    """Type (as safetensors writes it: "BF16") and shape of a tensor."""

    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


class Checkpoint:
    """A folder with safetensors, in one file or sharded, and a config.json; or a model on the Hub.

    Raises:
        ValueError: there is no such model, it is an adapter, or its weights are not whole safetensors.
    """

    def __init__(self, name: str):
        self.name = name
        self.folder = _find(name)
        if is_adapter(str(self.folder)):
            raise ValueError(
                f"model {name} is an adapter, which has no weights to average; put it into its base first: "
                f"rlkit merge {name} --out DIR"
            )
        if not (self.folder / "config.json").is_file():
            raise ValueError(f"model {name} has no config.json; name the folder of a saved model")
        self.file_of = self._files()
        """The file of each tensor, in the order of the index."""

    @cached_property
    def config(self) -> Any:
        """As transformers reads it, with defaults filled in."""
        from transformers import AutoConfig

        try:
            return AutoConfig.from_pretrained(self.folder)
        except (OSError, ValueError) as error:
            raise ValueError(f"model {self.name}: its config.json cannot be read: {_line(error)}") from error

    @cached_property
    def tokenizer(self) -> Any:
        """None where the folder has none."""
        from transformers import AutoTokenizer

        if not any(self.folder.glob("tokenizer*")):
            return None
        try:
            return AutoTokenizer.from_pretrained(self.folder)
        except (OSError, ValueError) as error:
            raise ValueError(f"model {self.name}: its tokenizer cannot be read: {_line(error)}") from error

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """Of every tensor, from the files' headers."""
        from safetensors import SafetensorError, safe_open

        found: dict[str, Kind] = {}
        for file in dict.fromkeys(self.file_of.values()):
            try:
                with safe_open(self.folder / file, "pt") as opened:
                    for name in opened.keys():  # noqa: SIM118 - no mapping
                        part = opened.get_slice(name)
                        found[name] = Kind(part.get_dtype(), tuple(part.get_shape()))
            except (SafetensorError, OSError) as error:
                raise ValueError(
                    f"model {self.name}: {file} is no whole safetensors file ({_line(error)}); get it again"
                ) from error
        absent = [name for name in self.file_of if name not in found]
        if absent:
            raise ValueError(f"model {self.name}: {INDEX} names {absent[0]}, which its files do not hold")
        return found

    def read(self, name: str) -> "Tensor":
        """The tensor, mapped from its file: what is not used any more is not in memory."""
        from safetensors import safe_open

        with safe_open(self.folder / self.file_of[name], "pt") as file:
            return file.get_tensor(name)

    def _files(self) -> dict[str, str]:
        """By transformers' rule: an index beside a single file, left by an older save, does not count."""
        from safetensors import SafetensorError, safe_open

        if not (self.folder / SINGLE).is_file():
            return self._indexed_files()
        try:
            with safe_open(self.folder / SINGLE, "pt") as file:
                return dict.fromkeys(file.keys(), SINGLE)
        except SafetensorError as error:
            raise ValueError(
                f"model {self.name}: {SINGLE} is no whole safetensors file ({_line(error)}); get it again"
            ) from error

    def _indexed_files(self) -> dict[str, str]:
        if not (self.folder / INDEX).is_file():
            raise ValueError(
                f"model {self.name} has neither {SINGLE} nor {INDEX}; save it with save_pretrained, which "
                "writes safetensors"
            )
        try:
            files = json.loads((self.folder / INDEX).read_text())["weight_map"]
        except (ValueError, KeyError) as error:
            raise ValueError(f"model {self.name}: {INDEX} has no weight_map; get it again") from error
        missing = sorted({file for file in files.values() if not (self.folder / file).is_file()})
        if missing:
            raise ValueError(f"model {self.name}: {INDEX} names {', '.join(missing)}, which is missing")
        return files


def _find(name: str) -> Path:
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(WANTED)))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise ValueError(
            f"model {name}: there is no such folder (relative paths start at {Path.cwd()}), and the Hub "
            f"gives none ({_line(error):.120})"
        ) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]

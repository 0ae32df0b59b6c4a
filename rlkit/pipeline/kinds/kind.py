"""What a kind of stage is: what it takes and makes, and the command line that it becomes."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ARTEFACTS: dict[str, tuple[str, ...]] = {
    "model": ("*.safetensors", "*.bin", "*.json", "*.model", "*.jinja", "*.txt"),
    "run": ("ledger/**/*", "metrics.jsonl"),
    "results": ("**/*.json", "**/*.jsonl"),
    "rows": ("**/*",),
    "file": ("**/*",),
}
"""What stages hand on, and which files of a folder count: a run's checkpoints and pages do not."""

ESSENTIAL: dict[str, tuple[str, ...]] = {"model": ("*.safetensors", "*.bin"), "run": ("metrics.jsonl",)}
"""One of these must be there: a run that was stopped leaves files, but no weights of its own."""


@dataclass(frozen=True)
class Take:
    """An input. `many` takes a list; `optional` need not be there."""

    artefact: str
    many: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Made:
    """An output: a file or folder, relative to the stage's folder or, where absolute, elsewhere."""

    path: str
    artefact: str = "file"
    may_be_empty: bool = False


@dataclass(frozen=True)
class Call:
    """A stage that is about to run: paths (or ids on the Hub) by name, its settings, where it may write."""

    takes: Mapping[str, list[str]]
    settings: Mapping[str, Any]
    folder: Path

    def one(self, name: str) -> str:
        return self.takes[name][0]

    def rest(self, *used: str) -> dict[str, Any]:
        """The settings but for those that the kind has used."""
        return {name: value for name, value in self.settings.items() if name not in used}


def no_numbers(_folder: Path) -> dict[str, float]:
    return {}


@dataclass(frozen=True)
class Kind:
    """A kind of stage.

    `takes` and `makes` are None where the plan says them itself (`run`). `filled` are settings that the
    pipeline fills in, `needed` those without a default. `numbers` reads what came out; `resumes` says that
    the command, started again in its folder, goes on.
    """

    name: str
    command: Callable[[Call], list[str]]
    takes: Mapping[str, Take] | None
    makes: Mapping[str, Made] | None
    numbers: Callable[[Path], dict[str, float]] = no_numbers
    resumes: bool = False
    filled: tuple[str, ...] = field(default=())
    needed: tuple[str, ...] = field(default=())


def rlkit(*words: str) -> list[str]:
    """A command of ours, by this Python."""
    return [sys.executable, "-m", "rlkit.cli", *words]


def recipe(name: str) -> str:
    """The path of a recipe of this repository."""
    return str(Path(__file__).parents[3] / "recipes" / name)


def options(settings: Mapping[str, Any], dashes: bool = True) -> list[str]:
    """Settings as words of a command line; None leaves one out.

    options({"max_new_tokens": 8, "rewards": ["a", "b"]}) -> --max-new-tokens 8 --rewards a b
    """
    words = []
    for name, value in settings.items():
        if value is None:
            continue
        words.append(f"--{name.replace('_', '-') if dashes else name}")
        values = value if isinstance(value, list) else [value]
        words += [str(item).lower() if isinstance(item, bool) else str(item) for item in values]
    return words

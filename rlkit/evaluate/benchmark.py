"""What a benchmark is: one small declarative entry, from the table in `benchmarks.py` or a YAML file.

An entry says where the rows are, which columns make the question and which the reward gets, how a chat model
and how a base model is asked, and what decides. `problems.py` turns its rows into problems and prompts.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

Kind = Literal["math", "code", "other"]
Columns = Mapping[str, str | tuple[str, ...]]


@dataclass(frozen=True)
class Benchmark:
    """One benchmark. A *path* is a column's name, or goes into a nested value: "reward_model.ground_truth",
    "prompt.0.content". Where copies name their columns differently, a tuple gives alternatives, the first
    that a row has counts.
    """

    name: str
    reward: str
    """What decides: "package.module:function" or "path/to/file.py:function"; at least 1 is correct."""
    question: str | tuple[str, ...] = ()
    """A text with paths in braces: "{Body} {Question}"."""
    prompt: str | None = None
    """Instead of `question`: a column whose text or messages the model gets as they are."""
    columns: Columns = dataclasses.field(default_factory=dict)
    """The reward's arguments and the paths of their values; empty passes every column under its own name."""
    kind: Kind = "other"
    """How the `answer` is read off a completion: its final answer, its last code block, or its whole text.
    Majority votes are counted for "math"."""
    id: str | tuple[str, ...] = ()
    """Path of what names a row; without it, the row's position from 0."""
    id_range: tuple[int, int] | None = None
    """First and last id of the split, for files that hold more than the split."""
    hub_id: str | None = None
    hub_config: str | None = None
    split: str = "test"
    data: str | None = None
    """A file instead of the Hub; in a YAML file, relative to that."""
    instruction: str = ""
    """Goes below the question in a chat message; a question that ends in it already has it removed first."""
    template: str = "{question}"
    """How a base model is asked, and how each of the `examples` is."""
    examples: tuple[tuple[str, str], ...] = ()
    """(question, continuation) pairs before the question, for a base model."""
    stop: tuple[str, ...] = ()
    """Texts at which a base model's completion is cut."""
    max_new_tokens: int = 2048
    licence: str = ""

    def __post_init__(self) -> None:
        where = f"benchmark {self.name!r}:"
        if bool(self.question) == (self.prompt is not None):
            raise ValueError(f"{where} set either question (such as '{{problem}}') or prompt (a column)")
        if self.hub_id is None and self.data is None:
            raise ValueError(f"{where} set hub_id (such as 'openai/gsm8k') or data (a file)")
        if self.kind not in get_args(Kind):
            raise ValueError(f"{where} kind ({self.kind!r}) must be one of {', '.join(get_args(Kind))}")
        if "{question}" not in self.template:
            raise ValueError(f"{where} template ({self.template!r}) must hold '{{question}}'")
        if self.max_new_tokens < 1:
            raise ValueError(f"{where} max_new_tokens ({self.max_new_tokens}) must be at least 1")


def read_benchmark(path: Path) -> Benchmark:
    """A YAML file with Benchmark's fields as a Benchmark; `data` and a reward's .py file are relative to it.

    Raises:
        ValueError: the file is missing or no YAML, a field is unknown, missing or of the wrong form.
    """
    import yaml

    if not path.is_file():
        raise ValueError(f"benchmark file {path} does not exist (relative paths start at {Path.cwd()})")
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(fields, dict):
        raise ValueError(f"{path}: must hold fields such as `question: '{{problem}}'`")
    fields = {"name": path.stem, **fields}
    _check_fields(path, fields)
    for name in ("data", "reward"):
        if name in fields:
            fields[name] = _beside(path, fields[name], is_reward=name == "reward")
    return Benchmark(**{name: _frozen(value) for name, value in fields.items()})


def _check_fields(path: Path, fields: dict[str, Any]) -> None:
    known = [field.name for field in dataclasses.fields(Benchmark)]
    unknown = sorted(str(name) for name in fields if name not in known)
    if unknown:
        raise ValueError(f"{path}: unknown fields {unknown}; there are {', '.join(known)}")
    if "reward" not in fields:
        raise ValueError(f"{path}: reward is missing, such as 'rewards.math_answer:accuracy'")
    texts = ("name", "reward", "prompt", "hub_id", "hub_config", "split", "data", "instruction", "template")
    for name in texts:
        if name in fields and not isinstance(fields[name], str):
            raise ValueError(f"{path}: {name} ({fields[name]!r}) must be text; put it in quotes")
    if not isinstance(fields.get("columns", {}), dict):
        raise ValueError(f"{path}: columns ({fields['columns']!r}) must map arguments to columns")
    if not isinstance(fields.get("max_new_tokens", 1), int):
        raise ValueError(f"{path}: max_new_tokens ({fields['max_new_tokens']!r}) must be a whole number")


def _beside(path: Path, place: str, is_reward: bool) -> str:
    """A relative file of a YAML file as a path from here; a reward of a module as it is."""
    if is_reward and not place.rpartition(":")[0].endswith(".py"):
        return place
    return str(path.parent / place)


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    return {key: _frozen(item) for key, item in value.items()} if isinstance(value, dict) else value

"""Settings from a YAML file and the command line by TRL's `TrlParser`, with errors that name a remedy."""

import difflib
import re
import sys
from collections.abc import Iterable
from typing import Any

from trl.scripts.utils import TrlParser

RENAMED = {
    "gradient_checkpointing": "activation_checkpointing",
    "gradient_checkpointing_kwargs": "activation_checkpointing_kwargs",
}
"""Settings of transformers that have another name from 5.23 on: both names work with every version."""
SHORT = {"async": "asynchronous"}
"""`async` is a word of Python's own, so that no dataclass has a field of this name."""


class Parser(TrlParser):
    """TRL's, which takes a setting by the name that the installed transformers has for it."""

    def current(self, name: str) -> str:
        known = {action.dest for action in self._actions}
        name = SHORT.get(name, name)
        if name in RENAMED and RENAMED[name] in known:
            return RENAMED[name]
        former = {after: before for before, after in RENAMED.items()}
        return former[name] if name in former and name not in known else name

    def set_defaults_with_config(self, **config: Any) -> list[str]:
        return super().set_defaults_with_config(
            **{self.current(name): value for name, value in config.items()}
        )


def parse_arguments(classes: Iterable[type], words: list[str] | None = None) -> tuple[Any, ...]:
    """Instances of the dataclasses, in order, from `--config FILE` and `--field value` words (default:
    `sys.argv`).

    Raises:
        ValueError: a key of the file that no dataclass has (and the nearest that exists), or a number of
            generations that does not divide the generation batch (and those that do).
    """
    parser = Parser(tuple(classes))  # type: ignore[arg-type]
    words = sys.argv[1:] if words is None else words
    words = [f"--{parser.current(word[2:])}" if word.startswith("--") else word for word in words]
    try:
        *parsed, unknown_in_file, unknown_words = parser.parse_args_and_config(
            words, return_remaining_strings=True, separate_remaining_strings=True
        )
    except ValueError as error:
        raise ValueError(f"{error}{_divisors(str(error))}") from error
    unknown = [
        word.removeprefix("--") for word in [*unknown_in_file, *unknown_words] if word.startswith("--")
    ]
    if unknown:
        known = [action.dest for action in parser._actions]
        raise ValueError("unknown settings: " + "; ".join(_with_nearest(name, known) for name in unknown))
    return tuple(parsed)


def _with_nearest(name: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"{name!r} (did you mean {nearest[0]!r}?)" if nearest else f"{name!r} (remove it)"


def _divisors(message: str) -> str:
    """TRL says that a batch must be divisible by num_generations; this adds by what it is."""
    found = re.search(r"generation_batch_size \((\d+)\) must be divisible by num_generations", message)
    evaluated = re.search(r"global eval batch size \((\d+) \* (\d+)\) must be divisible", message)
    if evaluated:
        size = int(evaluated.group(1)) * int(evaluated.group(2))
        field = "num_generations (or of num_generations_eval)"
    elif found:
        size, field = int(found.group(1)), "num_generations"
    else:
        return ""
    values = [str(number) for number in range(2, size + 1) if size % number == 0]
    return f" Values of {field} that divide {size}: {', '.join(values)}."

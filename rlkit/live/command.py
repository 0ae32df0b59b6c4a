"""A command to a run, as data: read from JSON or from words, and checked before it changes anything."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID, uuid4

LONGEST_NOTE = 2000
LONGEST_WHO = 80
MOST_PROMPTS = 10_000
"""Keys in one command."""


@dataclass(frozen=True)
class Command:
    """What somebody wants of a run.

    `value` is None, a checkpoint's step (load), a text (note), {setting: new value} (set), or
    {"prompts": [keys]} or {"categories": [names]} (put_aside, bring_back).
    """

    uuid: str
    name: str
    value: Any
    who: str
    time: float
    """Seconds since 1970, when it was asked for."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def new_command(name: Any, value: Any, who: Any, time: float, uuid: Any = None) -> Command:
    """A command of the right shape; what it asks for may still be impossible.

    Args:
        uuid: the sender's own, so that one sent twice counts once; None makes one.

    Raises:
        ValueError: what is wrong with it, in words.
    """
    if not isinstance(name, str) or name not in COMMANDS:
        raise ValueError(f"{_shown(name)} is no command; there are: {', '.join(COMMANDS)}")
    if not isinstance(who, str) or not 0 < len(who.strip()) <= LONGEST_WHO or not who.isprintable():
        raise ValueError(f"who ({_shown(who)}) must be a name of at most {LONGEST_WHO} characters")
    try:
        own = str(uuid4() if uuid is None else UUID(uuid))
    except (ValueError, AttributeError, TypeError):
        raise ValueError(f"uuid ({_shown(uuid)}) must be a UUID, or left out") from None
    return Command(own, name, _SHAPES[name](name, value), who.strip(), time)


def parse(line: str) -> tuple[str, Any]:
    """Name and value of a command in words.

    parse("set band_low 0.1 band_high 0.5") -> ("set", {"band_low": 0.1, "band_high": 0.5})
    parse("put_aside category algebra") -> ("put_aside", {"categories": ["algebra"]})

    Raises:
        ValueError: the words are no command.
    """
    line = line.strip()
    if line.startswith("go on"):
        line = f"go_on{line.removeprefix('go on')}"
    name, _, rest = line.partition(" ")
    words = rest.split()
    if name == "set":
        if not words or len(words) % 2:
            raise ValueError(f"set ({rest!r}) wants names and values, as in: set learning_rate 5e-7")
        return name, {word: _number(value) for word, value in zip(words[::2], words[1::2], strict=True)}
    if name == "note":
        return name, rest.strip()
    if name == "load" and len(words) == 1:
        return name, _number(words[0])
    if name in ("put_aside", "bring_back") and words and words[0] in ("category", "prompt"):
        if words[0] == "prompt":
            return name, {"prompts": words[1:]}
        return name, {"categories": [rest.strip().removeprefix("category").strip()]}
    if words:
        raise ValueError(f"{name!r} does not take {rest!r}; {COMMANDS.get(name, 'it is no command')}")
    return name, None


def read_json(line: str | bytes) -> Any:
    """JSON without NaN and infinities, which Python's reader would take.

    Raises:
        ValueError: it is no such JSON.
    """
    try:
        return json.loads(line, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _number(word: str) -> Any:
    try:
        number = float(word)
    except ValueError:
        return word
    return int(number) if math.isfinite(number) and number == int(number) and "." not in word else number


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _nothing(name: str, value: Any) -> None:
    if value is not None:
        raise ValueError(f"{name} takes no value, got {_shown(value)}")


def _step(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10**12:
        raise ValueError(f"{name} ({_shown(value)}) wants the step of a checkpoint, a whole number above 0")
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value.strip()) <= LONGEST_NOTE:
        raise ValueError(f"{name} ({_shown(value)}) wants a text of 1 to {LONGEST_NOTE} characters")
    return value.strip()


def _settings(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not 0 < len(value) <= 100:
        raise ValueError(f"{name} ({_shown(value)}) wants settings and their new values, as in "
                         '{"learning_rate": 5e-7}')  # fmt: skip
    for setting, new in value.items():
        if not isinstance(setting, str) or len(setting) > 200:
            raise ValueError(f"{name}: {_shown(setting)} is no setting's name")
        if isinstance(new, bool) or not isinstance(new, int | float | str):
            raise ValueError(f"{setting} ({_shown(new)}) must be a number or a word")
        if isinstance(new, str) and len(new) > 200:
            raise ValueError(f"{setting} ({_shown(new)}) is too long")
        if not isinstance(new, str) and not abs(new) < 1e300:
            raise ValueError(f"{setting} ({_shown(new)}) is beyond all bounds")
    return dict(value)


def _prompts(name: str, value: Any) -> dict[str, list]:
    if not isinstance(value, Mapping) or len(value) != 1 or not value.keys() <= {"prompts", "categories"}:
        raise ValueError(f'{name} ({_shown(value)}) wants {{"prompts": [keys]}} or {{"categories": [names]}}')
    kind, items = next(iter(value.items()))
    if not isinstance(items, list) or not 0 < len(items) <= MOST_PROMPTS:
        raise ValueError(f"{name}: {kind} must be a list of 1 to {MOST_PROMPTS}, got {_shown(items)}")
    if kind == "categories":
        if not all(isinstance(item, str) and 0 < len(item) <= 200 for item in items):
            raise ValueError(f"{name}: categories must be names, got {_shown(items)}")
        return {kind: list(items)}
    # As text: JavaScript's numbers end at 2^53.
    keys = [str(item) if isinstance(item, int) and not isinstance(item, bool) else item for item in items]
    if not all(isinstance(key, str) and key.isascii() and key.isdigit() and len(key) <= 20 for key in keys):
        raise ValueError(f"{name}: prompts must be keys of the ledger, whole numbers, got {_shown(items)}")
    return {kind: keys}


COMMANDS = {
    "pause": "wait before the next generation",
    "go_on": "end a pause",
    "stop": "save a checkpoint and end the run",
    "checkpoint": "save a checkpoint now",
    "evaluate": "evaluate now, on what the run evaluates on",
    "load": "go back to a checkpoint, by its step, and go on from it as a branch",
    "set": "change settings: names and values, all of them or none",
    "put_aside": "do not roll out prompts (by key), or those of categories, until they are brought back",
    "bring_back": "the same prompts or categories again",
    "note": "a text, kept with the step",
}
"""Every command, and what it does."""

_SHAPES = {
    **dict.fromkeys(("pause", "go_on", "stop", "checkpoint", "evaluate"), _nothing),
    "load": _step,
    "set": _settings,
    "put_aside": _prompts,
    "bring_back": _prompts,
    "note": _text,
}

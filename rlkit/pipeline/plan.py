"""A plan: stages in an order in which they can run, and the loops that were unrolled into it.

values: {model: Qwen/Qwen2.5-0.5B, rows: train.jsonl}      # ${model} stands for it; --set model=...
stages:
  learn:
    kind: sft
    takes: {model: "${model}", data: "${rows}"}            # files, ids on the Hub, or STAGE.OUTPUT
    settings: {max_steps: 100}                             # --set learn.max_steps=...
  measure:
    kind: eval
    takes: {model: learn.model}
    settings: {benchmarks: gsm8k}
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlkit.pipeline.kinds.kind import Kind, Made


@dataclass(frozen=True)
class Output:
    """What a stage makes."""

    stage: str
    name: str

    def __str__(self) -> str:
        return f"{self.stage}.{self.name}"


@dataclass(frozen=True)
class Carried:
    """What the last round of a loop that ran leaves under a name."""

    loop: str
    name: str

    def __str__(self) -> str:
        return f"{self.loop}.{self.name}"


Source = str | Output | Carried
"""Where an input comes from; a string is a path or an id on the Hub."""


@dataclass(frozen=True)
class Stage:
    """A stage. In a loop, `name` is LOOP/ROUND/NAME."""

    name: str
    kind: Kind
    takes: Mapping[str, tuple[Source, ...]]
    settings: Mapping[str, Any]
    loop: str | None = None
    round: int = 0

    @property
    def makes(self) -> Mapping[str, Made]:
        if self.kind.makes is not None:
            return self.kind.makes
        return {name: Made(str(path)) for name, path in self.settings["outputs"].items()}


@dataclass(frozen=True)
class Loop:
    """Rounds 1 to `times` of some stages; it stops after the round whose `number` is not at least `gain`
    above the best of the rounds before.

    Args:
        carry_R: for each round, what it leaves to the next and, after the last, to the rest of the plan.
        number_R: for each round, the stage and the name of the number that is compared; empty for no rule.
    """

    name: str
    times: int
    carry_R: tuple[Mapping[str, tuple[Source, ...]], ...]
    number_R: tuple[Output, ...] = ()
    gain: float = 0.0

    @property
    def ends(self) -> tuple[Mapping[str, tuple[Source, ...]], ...]:
        """What it may leave: of its last round; with a rule, which compares two, of each from the second."""
        return self.carry_R[1:] if self.number_R and self.times > 1 else self.carry_R[-1:]

    def last(self, values: list[float]) -> int | None:
        """The round after which it stops, by the numbers of the rounds so far; None if it goes on."""
        for round_number in range(2, len(values) + 1):
            if values[round_number - 1] < max(values[: round_number - 1]) + self.gain:
                return round_number
        return self.times if len(values) >= self.times else None


@dataclass(frozen=True)
class Plan:
    """Stages in an order in which each comes after what it takes."""

    name: str
    about: str
    out: Path
    stages: tuple[Stage, ...]
    loops: Mapping[str, Loop]

    def stage(self, name: str) -> Stage:
        return next(stage for stage in self.stages if stage.name == name)

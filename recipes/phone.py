"""A small phone, operated by tool calls over several turns: an environment for TRL's `environment_factory`.

    python recipes/phone.py FOLDER --tasks 64     # tasks.jsonl, demonstrations.jsonl
    rlkit launch recipes/grpo.py --environment recipes/phone.py:TaskPhone --dataset_path FOLDER/tasks.jsonl

A screen lists items; `tap` opens one, or switches what can be switched; `back` goes up. A task is done when
what it asks for is switched on and nothing else was changed. `ActionPhone` rewards turns, `TaskPhone` the
task: the second and third stage of Mobile-R1.
"""

import argparse
import json
import random
from pathlib import Path
from typing import Any

TREE: dict[str, Any] = {
    "settings": {
        "network": {"wifi": False, "bluetooth": False, "airplane mode": False},
        "sound": {"vibration": False, "mute": False},
        "display": {"dark mode": False, "night light": False},
    },
    "clock": {"alarm": False, "timer": False},
    "camera": {"flash": False, "grid": False},
}
SYSTEM = "You operate a phone. Call one tool a turn until the task is done, then say so."


def paths(tree: dict[str, Any], before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The taps that lead to each switch: ("clock", "alarm"), ..."""
    found = []
    for name, inside in tree.items():
        found += paths(inside, (*before, name)) if isinstance(inside, dict) else [(*before, name)]
    return found


class Phone:
    """A phone on its first screen; its public methods are the tools, described by their docstrings."""

    def reset(self, goal: str, **_: Any) -> str:
        self._goal = goal
        self._open: list[str] = []
        self._on: set[str] = set()
        self._taps = self._useful = 0
        return f"\n{self._screen()}"

    def tap(self, item: str) -> str:
        """Opens an item of the screen, or switches it.

        Args:
            item: its name, as the screen lists it.

        Returns:
            The screen after it.
        """
        self._taps += 1
        inside = self._here()
        if item not in inside:
            return f"There is no {item!r}. {self._screen()}"
        self._useful += [*self._open, item] == list(self._way()[: len(self._open) + 1])
        if isinstance(inside[item], dict):
            self._open.append(item)
        else:
            self._on ^= {item}
        return self._screen()

    def back(self) -> str:
        """Goes to the screen before.

        Returns:
            That screen.
        """
        self._taps += 1
        self._open = self._open[:-1]
        return self._screen()

    def _way(self) -> tuple[str, ...]:
        return next(path for path in paths(TREE) if path[-1] == self._goal)

    def _here(self) -> dict[str, Any]:
        inside = TREE
        for name in self._open:
            inside = inside[name]
        return inside

    def _screen(self) -> str:
        items = [f"{name} (on)" if name in self._on else name for name in self._here()]
        return f"Screen {'/'.join(self._open) or 'home'}: {', '.join(items)}"


class ActionPhone(Phone):
    """Rewards each turn: the share of the calls that led towards the goal."""

    def get_reward(self) -> float:
        return self._useful / self._taps if self._taps else 0.0


class TaskPhone(Phone):
    """Rewards the task: 1.0 where the goal, and nothing else, is on."""

    def get_reward(self) -> float:
        return float(self._on == {self._goal})


def make_tasks(num: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows with a `prompt` and the `goal` that the environment's reset gets."""
    ways = random.Random(seed).choices(paths(TREE), k=num)
    return [
        {
            "goal": way[-1],
            "prompt": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": f"Switch on: {way[-1]} (task {number})."},
            ],
        }
        for number, way in enumerate(ways)
    ]


def demonstrate(task: dict[str, Any]) -> dict[str, Any]:
    """The task solved, as `messages` with tool calls."""
    phone = TaskPhone()
    *before, asked = task["prompt"]
    messages = [*before, {**asked, "content": asked["content"] + phone.reset(task["goal"])}]
    for item in phone._way():
        call = {"type": "function", "function": {"name": "tap", "arguments": {"item": item}}}
        messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
        messages.append({"role": "tool", "name": "tap", "content": phone.tap(item)})
    return {"messages": [*messages, {"role": "assistant", "content": "It is on."}]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tasks", type=int, default=64)
    arguments = parser.parse_args()
    tasks = make_tasks(arguments.tasks)
    content = {"tasks": tasks, "demonstrations": [demonstrate(task) for task in tasks]}
    for name, rows in content.items():
        path = arguments.folder / f"{name}.jsonl"
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


if __name__ == "__main__":
    main()

"""Guards a run against what is asked of it: a thousand commands, none of which ends it or is half done."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from steered import commands_path, events, metrics, steered
from transformers import TrainerCallback

from rlkit.curriculum.changes import AT_THE_START
from rlkit.live.command import COMMANDS

A_COMMAND = "6f1c2a34-0f5e-4c52-9a0e-0d1f1b8f7a11"
STEPS = 3
KNOWN = [
    *(
        "learning_rate",
        "temperature",
        "reward_weight.even_start",
        "reward_weight.share_of_ones",
        "max_rounds",
    ),
    *("candidates", "explore_share", "allocation", "fill", "headroom", "decay", "group_cost", "repeat_gap"),
    *("max_age", "shelf_size", *AT_THE_START, "seed", "__class__", "output_dir"),
]
VALUES = (
    st.sampled_from([0, 1, 2, 0.5, 1e-9, 1e300, -1, 10**30, "shrink", "error", "vip", "equal", "top_up", ""])
    | st.floats()
    | st.integers(-5, 200)
    | st.none()
)
POSSIBLE = st.fixed_dictionaries(
    {"learning_rate": st.floats(1e-6, 1.0), "temperature": st.floats(0.01, 100.0)},
    optional={
        "explore_share": st.floats(0, 1),
        "candidates": st.integers(1, 9),
        "max_rounds": st.sampled_from([1, 2, 5, 101]),
        "reward_weight.even_start": st.floats(-1e7, 1e7),
    },
)
ASIDE = st.fixed_dictionaries(
    {"categories": st.lists(st.sampled_from([f"tens {i}" for i in range(8)]), max_size=3)}
) | st.fixed_dictionaries({"prompts": st.lists(st.sampled_from(["1", "-1", "x", 2**64, 2**80]), max_size=2)})
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)
NAMED = st.one_of(
    st.tuples(st.just("set"), POSSIBLE),
    st.tuples(st.just("set"), st.dictionaries(st.sampled_from(KNOWN), VALUES, min_size=1, max_size=3)),
    st.tuples(st.sampled_from(["put_aside", "bring_back"]), ASIDE),
    st.tuples(st.just("note"), st.text(max_size=30)),
    st.tuples(st.sampled_from(["checkpoint", "evaluate", "go_on"]), st.none()),
    st.tuples(st.just("load"), st.integers(-1, 3)),
    st.tuples(st.sampled_from([*{*COMMANDS} - {"stop", "pause"}, "eval", "__init__", "_go_back"]), JSON),
)


def line(number, named):
    name, value = named
    uuid = f"{A_COMMAND[:-4]}{number:04x}"
    return json.dumps({"uuid": uuid, "name": name, "value": value, "who": "Mallory", "time": 1.0}).encode()


LINES = st.lists(NAMED | st.binary(max_size=40) | JSON, min_size=40, max_size=40)


class Sending(TrainerCallback):
    """Writes lines into the file of commands, half of them after each of the first two steps."""

    def __init__(self, folder, lines, half):
        self.path, self.parts = commands_path(folder), {1: lines[:half], 2: lines[half:]}

    def on_step_end(self, args, state, control, **kwargs):
        with self.path.open("ab") as file:
            file.write(b"\n".join([*self.parts.pop(state.global_step, []), b""]))


@settings(max_examples=25, derandomize=True)
@given(st.sampled_from(["dapo", "rlkit", "ssb"]), LINES, st.integers(0, 40))
def test_nothing_that_is_asked_ends_the_run_or_is_half_done(preset, asked, half):
    lines = [
        one
        if isinstance(one, bytes)
        else line(number, one)
        if isinstance(one, tuple)
        else json.dumps(one).encode()
        for number, one in enumerate(asked)
    ]
    with TemporaryDirectory() as name:
        folder = Path(name)
        run = steered(folder, {}, preset, [Sending(folder, lines, half)], max_steps=STEPS)
        run.train()
        assert metrics(folder)[-1]["step"] == STEPS
        told = events(folder)
        done = [event for event in told if event["state"] == "done"]
        assert all(event["reason"] for event in told if event["state"] == "failed")
    values, keys, categories = dict(run.steering.knobs.began), set(), set()
    for event in done:
        if event["name"] == "set":
            assert {setting: near(values[setting]) for setting in event["new"]} == event["old"]
            values |= event["new"]
        elif event["name"] in ("put_aside", "bring_back"):
            change = set.update if event["name"] == "put_aside" else set.difference_update
            change(keys, event["new"].get("prompts", ()))
            change(categories, event["new"].get("categories", ()))
    assert run.steering.knobs.values() == {setting: near(value) for setting, value in values.items()}
    aside = run.steering.knobs.aside
    assert (set(map(str, aside.keys)), set(aside.categories)) == (keys, categories)


def near(value):
    """Weights are float32."""
    return value if isinstance(value, str) else pytest.approx(value, rel=1e-5)

"""Guards that user code gets values of its own, and that plain values cost nothing."""

import threading
import time
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rlkit.verify.copies import own, own_arguments
from rlkit.verify.guard import guard

ATOMS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
VALUES = st.recursive(
    ATOMS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner), max_leaves=8
)


def mutable_parts(value):
    """Every list and dict in a value, by identity."""
    if isinstance(value, list | tuple | dict):
        items = value.values() if isinstance(value, dict) else value
        inner = [part for item in items for part in mutable_parts(item)]
        return inner if isinstance(value, tuple) else [value, *inner]
    return []


@settings(max_examples=40)
@given(VALUES)
def test_a_copy_is_equal_and_shares_nothing_that_can_change(value):
    copied = own(value)
    assert copied == value
    assert not {id(part) for part in mutable_parts(copied)} & {id(part) for part in mutable_parts(value)}


def test_arrays_pictures_and_objects():
    lock, day = threading.Lock(), date(2026, 1, 2)
    array, picture = np.zeros(3), Image.new("L", (2, 2))
    copied = own({"array": array, "picture": picture, "set": {1}, "lock": lock, "day": day})
    copied["array"][0] = 1
    copied["picture"].putpixel((0, 0), 9)
    copied["set"].add(2)
    assert array[0] == 0 and picture.getpixel((0, 0)) == 0
    assert copied["lock"] is lock and copied["day"] == day


def test_what_runs_is_handed_on_to_rewards_as_it_is():
    class Game: ...

    game = Game()
    arguments = own_arguments({"environments": [game], "board": [[game, [1]]], "trainer_state": game})
    assert arguments["environments"][0] is game and arguments["trainer_state"] is game
    assert arguments["board"][0][0] is game


@pytest.mark.parametrize("once", [False, True])
def test_what_a_failing_reward_changed_is_whole_for_the_next_call(once):
    """The batch is tried, then each row: every call sees the rows as they were."""
    seen = []

    def spoils(completions, tests, **columns):
        seen.append((list(completions), [list(item) for item in tests]))
        completions.clear()
        for item in tests:
            item.clear()
        if len(tests) != 1 or seen[-1][1] == [["b"]]:
            raise RuntimeError("no")
        return [1.0]

    tests, completions, errors = [["a"], ["b"]], ["x", "y"], []
    guarded = guard(spoils, lambda *error: errors.append(error), once=once)
    assert guarded(completions=completions, tests=tests) == [1.0, None]
    rows = [(["x"], [["a"]]), (["y"], [["b"]])]
    assert seen == (rows if once else [(["x", "y"], [["a"], ["b"]]), *rows])
    assert tests == [["a"], ["b"]] and completions == ["x", "y"] and len(errors) == 1


def test_rows_of_text_cost_next_to_nothing():
    row = {f"column {i}": "text " * 100 for i in range(10)}
    start = time.perf_counter()
    for _ in range(1000):
        own(row)
    assert time.perf_counter() - start < 0.2, "a row takes some microseconds"

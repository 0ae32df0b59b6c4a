"""Guards commands as data: what is no command is refused in words, whatever it is."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.live.command import COMMANDS, new_command, parse, read_json

UUID = "6f1c2a34-0f5e-4c52-9a0e-0d1f1b8f7a11"


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        ("pause", "pause", None),
        ("go on", "go_on", None),
        ("set learning_rate 5e-7", "set", {"learning_rate": 5e-7}),
        ("set candidates 8 fill shrink", "set", {"candidates": 8, "fill": "shrink"}),
        ("load 40", "load", 40),
        ("note  lower from here ", "note", "lower from here"),
        ("put_aside category linear algebra", "put_aside", {"categories": ["linear algebra"]}),
        ("bring_back prompt 123 18446744073709551615", "bring_back", {"prompts": ["123", str(2**64 - 1)]}),
    ],
)
def test_words_are_commands(words, name, value):
    assert parse(words) == (name, value)
    command = new_command(name, value, "Ada", 1.0, UUID)
    assert (command.uuid, command.name, command.value, command.who) == (UUID, name, value, "Ada")
    assert json.loads(json.dumps(command.to_json()))["value"] == value


@pytest.mark.parametrize(
    ("name", "value", "who", "words"),
    [
        ("rm", None, "Ada", "'rm' is no command; there are: pause"),
        ("pause", 3, "Ada", "pause takes no value, got 3"),
        ("load", "../../etc", "Ada", "wants the step of a checkpoint"),
        ("load", True, "Ada", "wants the step of a checkpoint"),
        ("set", {}, "Ada", "wants settings and their new values"),
        ("set", {"temperature": math.nan}, "Ada", "beyond all bounds"),
        ("set", {"temperature": [1]}, "Ada", "must be a number or a word"),
        ("put_aside", {"prompts": ["12a"]}, "Ada", "prompts must be keys"),
        ("put_aside", {"prompts": [], "categories": []}, "Ada", 'wants {"prompts"'),
        ("note", "", "Ada", "wants a text of 1 to 2000"),
        ("pause", None, "", "must be a name"),
        ("pause", None, "a\nb", "must be a name"),
    ],
)
def test_what_is_no_command_is_told(name, value, who, words):
    with pytest.raises(ValueError) as refused:
        new_command(name, value, who, 0.0)
    assert words in str(refused.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from([*COMMANDS, "nothing"]) | JSON, JSON, JSON, JSON)
def test_anything_is_a_command_or_a_reason(name, value, who, uuid):
    try:
        command = new_command(name, value, who, 0.0, uuid)
    except ValueError as reason:
        assert len(str(reason)) < 1000
    else:
        assert read_json(json.dumps(command.to_json()))["name"] in COMMANDS


@given(st.text(max_size=60))
def test_any_words_are_a_command_or_a_reason(words):
    try:
        parse(words)
    except ValueError as reason:
        assert str(reason)


@pytest.mark.parametrize("line", ["NaN", '{"a": Infinity}', "[" * 100_000, "", "{"])
def test_what_is_no_json_is_a_reason(line):
    with pytest.raises(ValueError):
        read_json(line)

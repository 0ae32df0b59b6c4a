"""Guards the contract of every reward: whatever a model wrote, floats in [0, 1] or None, and soon."""

import functools
import importlib.util
import json
import time
from types import SimpleNamespace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rewards.checklist import Checklist
from rewards.countdown import countdown
from rewards.exact_integer import exact_integer
from rewards.format import format as box_format
from rewards.language import language
from rewards.length_budget import length_budget
from rewards.math_answer import accuracy, boxed_accuracy, hash_accuracy, number_accuracy
from rewards.multiple_choice import multiple_choice
from rewards.next_token import next_token
from rewards.reasoning_gym import reasoning_gym, reasoning_gym_strict
from rewards.soft_overlong import soft_overlong
from rewards.think_tags import think_tags, think_tags_prefilled
from rlkit.prompts.tasks import task_rows
from rlkit.verify import task_scorer
from rlkit.verify.rewards import grade

ROW = {
    "prompt": "?",
    "answer": "42",
    "nums": [3, 8],
    "target": 24,
    "language": "en",
    "choices": ["a", "b"],
    "checklist": [{"weight": 0, "program": "def check(completion): return True"}],
}
TEXT_REWARDS = {
    "box_format": box_format,
    "think_tags": think_tags,
    "think_tags_prefilled": think_tags_prefilled,
    "length_budget": length_budget,
    "soft_overlong": soft_overlong,
    "next_token": next_token,
    "countdown": countdown,
    "multiple_choice": functools.partial(multiple_choice, answer=["B"]),
    "exact_integer": exact_integer,
    "accuracy": accuracy,
    "boxed_accuracy": boxed_accuracy,
    "hash_accuracy": hash_accuracy,
    "number_accuracy": number_accuracy,
}
if importlib.util.find_spec("py3langid"):
    TEXT_REWARDS["language"] = language
GYM_TASKS = ("countdown", "spiral_matrix", "n_queens", "simple_integration", "polynomial_equations", "jugs")

MARKS = (
    r"<think> </think> <answer> </answer> \boxed{ } ``` ` $ $$ \[ \] \( \) #### ( ) { } [ ] + - * / ** = . ,"
    " ! Answer: A B C or 3 8 24 1e9 \u00d7 \u0663 \ud800 \x00 \n the word"
)
marked = st.lists(st.sampled_from([*MARKS.split(" "), " ", "\n"]), max_size=30).map("".join)
texts = st.one_of(marked, st.text(st.characters(), max_size=200))
completions = st.one_of(
    texts,
    texts.map(lambda text: [{"role": "assistant", "content": text}]),
    texts.map(lambda text: [{"role": "assistant", "content": [{"type": "text", "text": text}]}]),
    st.sampled_from([[], [{"role": "assistant", "content": None}], [{"role": "assistant"}]]),
)
HOSTILE = {
    "opening tags": "<think>" * 150_000,
    "answer tags": "<answer>" * 100_000,
    "parentheses": "<answer>" + "(" * 1_000_000 + "</answer>",
    "short parentheses": "<answer>" + "(" * 199 + "</answer>",
    "minus signs": "<answer>" + "-" * 190 + "3*8</answer>",
    "digits": "<answer>" + "9" * 1_000_000 + "</answer>",
    "fences": "```" * 300_000,
    "dollars": "$" * 1_000_000,
    "formulas": r"\[" * 500_000,
    "commands": r"\a{" * 300_000,
    "letters": "A or " * 200_000,
    "answers": "answer " * 150_000,
    "spaces": " " * 1_000_000,
    "choice and spaces": "choice" + " " * 1_000_000,
    "words": "word " * 200_000,
    "surrogates": "\ud800" * 1_000_000,
    "nulls": "\x00" * 1_000_000,
}


def score(reward, completion, row=ROW):
    columns = {key: [value] for key, value in row.items() if key != "prompt"}
    columns["prompts"] = [row["prompt"]]
    columns["completion_ids"] = [[1] * (len(str(completion)) % 3000)]
    if isinstance(reward, functools.partial):
        columns.pop("answer")
    state = SimpleNamespace(global_step=3, max_steps=10)
    return reward(completions=[completion], trainer_state=state, **columns)


def is_reward(scores):
    [value] = scores
    return value is None or (isinstance(value, float) and 0 <= value <= 1)


@pytest.mark.parametrize("name", sorted(TEXT_REWARDS))
@given(completion=completions)
@example(completion="<answer>" + "-" * 190 + "24</answer>")
def test_any_completion_gets_a_reward(name, completion):
    assert is_reward(score(TEXT_REWARDS[name], completion))


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("name", sorted(TEXT_REWARDS))
def test_a_megabyte_costs_little(name, hostile):
    reward = TEXT_REWARDS[name]
    score(reward, "The answer is 1/2.")  # what starts once is not what is measured
    start = time.perf_counter()
    assert is_reward(score(reward, HOSTILE[hostile]))
    assert time.perf_counter() - start < 3


@pytest.fixture(scope="module", autouse=True)
def impatient():
    """Sums of powers are found and take for ever; nothing else in here takes a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task_scorer, "SECONDS_PER_ANSWER", 1.0)
        yield


@functools.cache
def gym_row(name):
    [row] = task_rows(name, 1)
    return row


@pytest.mark.skipif(
    not importlib.util.find_spec("reasoning_gym"), reason="pip install 'rlkit[reasoning-gym]'"
)
@pytest.mark.parametrize("name", GYM_TASKS)
@settings(max_examples=15)
@given(completion=completions)
def test_any_answer_to_a_task_gets_a_reward(name, completion):
    for reward in (reasoning_gym, reasoning_gym_strict):
        assert is_reward(score(reward, completion, gym_row(name)))


@pytest.mark.skipif(
    not importlib.util.find_spec("reasoning_gym"), reason="pip install 'rlkit[reasoning-gym]'"
)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_megabyte_as_an_answer_costs_little(hostile):
    task_scorer.SCORER.score("gcd", json.dumps({"dict": []}), gym_row("gcd")["entry"], "1")
    start = time.perf_counter()
    assert is_reward(score(reasoning_gym, HOSTILE[hostile], gym_row("countdown")))
    assert time.perf_counter() - start < 8


@settings(max_examples=15)
@given(completion=completions)
def test_any_completion_gets_a_checklists_reward(completion):
    try:
        scores = grade(Checklist(), [completion], [ROW])
    except ValueError as reason:
        pytest.skip(str(reason))  # no sandbox here
    assert is_reward(scores)

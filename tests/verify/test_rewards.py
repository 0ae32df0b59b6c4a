"""Guards loading, door checks and the mid-run guard of reward functions."""

import asyncio
import functools
import math
import subprocess
import sys

import pytest

from rlkit.verify import check_golds, check_reward, guard, load_reward
from rlkit.verify.load import load_class

ROWS = [{"prompt": f"{i}+1=", "answer": str(i + 1)} for i in range(6)]
MESSAGE_ROWS = [{**row, "prompt": [{"role": "user", "content": row["prompt"]}]} for row in ROWS]


def exact(completions, answer, **_):
    return [float(text == gold) for text, gold in zip(completions, answer, strict=True)]


def fails_on_bad(completions, **_):
    if "bad" in completions:
        raise RuntimeError("bad completion")
    return [1.0] * len(completions)


async def async_fails_on_bad(completions, **_):
    await asyncio.sleep(0)
    return fails_on_bad(completions)


class AsyncInstance:
    async def __call__(self, completions, **_):
        return fails_on_bad(completions)


class Errors(list):
    def __call__(self, name, num_rows, exception):
        self.append((name, num_rows, type(exception).__name__))


def test_verify_imports_no_torch():
    code = "import rlkit.verify, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_load_reward_from_module_and_file(tmp_path):
    assert load_reward("rewards.math_answer:accuracy").__name__ == "accuracy"
    file = tmp_path / "mine.py"
    file.write_text(
        "def f(completions, **_): return [1.0] * len(completions)\ng = lambda completions, **_: [0.0]\n"
    )
    assert load_reward(f"{file}:f")(["a", "b"]) == [1.0, 1.0]
    assert load_reward(f"{file}:f").__name__ == "f"
    assert load_reward(f"{file}:g").__name__ == "g"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("rewards.math_answer", "names no function; write"),
        (":f", "names no function"),
        ("rewards.math_answer:", "names no function"),
        ("no_such_package.rewards:f", "importing no_such_package.rewards failed: ModuleNotFoundError"),
        ("no_such_file.py:f", "there is no file no_such_file.py"),
        ("rewards.math_answer:nope", r"has no 'nope'; it defines \['accuracy'"),
        ("rewards.exact_integer:MAX_CHARS", "must be a function .* it is a int"),
        ("{tmp}/mine.py:Scorer", "is a class; name an instance of it"),
        ("{tmp}/broken.py:f", "broken.py failed: SyntaxError"),
        ("{tmp}/empty.py:f", "it defines no function"),
    ],
)
def test_load_reward_says_what_is_wrong(tmp_path, spec, message):
    (tmp_path / "mine.py").write_text("class Scorer:\n    def __call__(self, completions, **_): return []\n")
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "empty.py").write_text("")
    with pytest.raises(ValueError, match=message):
        load_reward(spec.format(tmp=tmp_path))


def test_guard_passes_results_name_and_columns_through():
    seen = {}

    def spy(completions, **columns):
        seen.update(columns)
        return [1, None, math.nan]

    errors = Errors()
    state = object()
    rewards = guard(spy, errors)(completions=["a", "b", "c"], answer=["1", "2", "3"], trainer_state=state)
    assert rewards == [1.0, None, None] and errors == []
    assert seen == {"answer": ["1", "2", "3"], "trainer_state": state}
    assert guard(spy, errors).__name__ == "spy"
    assert guard(functools.partial(spy, extra=1), errors).__name__ == "spy"


def test_guard_gives_none_to_offending_rows_only():
    errors = Errors()
    assert guard(fails_on_bad, errors)(completions=["ok", "bad", "ok"]) == [1.0, None, 1.0]
    assert errors == [("fails_on_bad", 1, "RuntimeError")]


def test_guard_slices_columns_row_by_row_and_leaves_the_rest_whole():
    calls = []

    def picky(completions, **columns):
        if len(completions) > 1:
            raise RuntimeError("one at a time")
        calls.append((completions, columns))
        return [float(columns["answer"][0])]

    errors = Errors()
    rewards = guard(picky, errors)(
        completions=["a", "b"],
        prompts=["p", "q"],
        completion_ids=[[1], [2, 3]],
        answer=["1", "2"],
        trainer_state="s",
    )
    assert rewards == [1.0, 2.0]
    assert errors == [("picky", 0, "RuntimeError")]
    second = {"prompts": ["q"], "completion_ids": [[2, 3]], "answer": ["2"], "trainer_state": "s"}
    assert calls[1] == (["b"], second)


@pytest.mark.parametrize(
    "result", [[1.0], [1.0] * 3, None, 1.0, "ab", ["1", "0"], [math.inf, 0.0], {"a": 1}, [[1.0], [0.0]]]
)
def test_guard_turns_unusable_results_into_none(result):
    errors = Errors()
    assert guard(lambda completions, **_: result, errors)(completions=["a", "b"]) == [None, None]
    assert len(errors) == 1 and errors[0][:2] == ("<lambda>", 2)


def test_guard_drops_what_a_failing_batch_logged():
    logged = []

    def logs(completions, log_extra, log_metric, **_):
        log_extra("text", list(completions))
        log_metric("count", len(completions))
        return fails_on_bad(completions)

    columns = {"log_extra": lambda *a: logged.append(a), "log_metric": lambda *a: logged.append(a)}
    guard(logs, Errors())(completions=["ok", "bad"], **columns)
    assert logged == []
    guard(logs, Errors())(completions=["ok", "ok"], **columns)
    assert logged == [("text", ["ok", "ok"]), ("count", 2)]


@pytest.mark.parametrize(
    "reward", [async_fails_on_bad, AsyncInstance(), functools.partial(async_fails_on_bad)]
)
def test_guard_of_an_async_reward_is_async(reward):
    errors = Errors()
    guarded = guard(reward, errors)
    assert asyncio.iscoroutinefunction(guarded)
    assert asyncio.run(guarded(completions=["ok", "bad"])) == [1.0, None]
    assert len(errors) == 1


def test_guard_lets_an_interrupt_through():
    def interrupted(completions, **_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guard(interrupted, Errors())(completions=["a"])


def test_check_reward_accepts_good_ones():
    check_reward(exact, ROWS)
    check_reward(load_reward("rewards.math_answer:accuracy"), MESSAGE_ROWS)
    check_reward(async_fails_on_bad, ROWS)
    check_reward(lambda completions, trainer_state, log_metric, **_: [None] * len(completions), ROWS)


def test_check_reward_completion_has_the_form_of_the_prompt():
    forms = []

    def spy(completions, prompts, **_):
        forms.extend(zip(prompts, completions, strict=True))
        return [0.0] * len(completions)

    check_reward(spy, ROWS[:1])
    check_reward(spy, MESSAGE_ROWS[:1])
    assert forms == [("0+1=", "0"), (MESSAGE_ROWS[0]["prompt"], [{"role": "assistant", "content": "0"}])]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ([1.0], "returned 1 rewards for 4 completions"),
        (None, "returned NoneType None, expected a list of 4"),
        (["1"] * 4, r"returned '1' \(str\) as a reward"),
        ([math.inf] * 4, "returned inf as a reward, expected a finite number"),
    ],
)
def test_check_reward_names_the_reward_and_what_it_returned(result, message):
    def mine(completions, **_):
        return result

    with pytest.raises(ValueError, match=f"reward 'mine' {message}.*must return a list"):
        check_reward(mine, ROWS)


def test_check_reward_says_what_it_raised_and_what_columns_there_were():
    def mine(completions, solution, **_):
        return [0.0] * len(completions)

    with pytest.raises(
        ValueError, match=r"reward 'mine' raised TypeError: .*'solution'.*\['answer', 'completion_ids'"
    ):
        check_reward(mine, ROWS)


@pytest.mark.parametrize("rows", [ROWS, MESSAGE_ROWS])
def test_check_golds_lists_rows_whose_gold_fails(rows):
    rows = [*rows, {**rows[0], "answer": "unparsable " * 60}, {**rows[0], "answer": "x #### 1,000"}]
    assert check_golds(load_reward("rewards.math_answer:accuracy"), rows) == [6]
    assert check_golds(load_reward("rewards.exact_integer:exact_integer"), rows) == [6]


def test_check_golds_tries_a_box_where_the_plain_gold_fails():
    assert (
        check_golds(
            lambda completions, **_: [float(text.startswith("\\boxed{")) for text in completions], ROWS
        )
        == []
    )


def test_check_golds_lists_rows_on_which_the_reward_raises():
    rows = [{**row, "answer": "bad"} if i == 2 else row for i, row in enumerate(ROWS)]

    def raises_on_bad_gold(completions, answer, **_):
        return fails_on_bad(answer)

    assert check_golds(raises_on_bad_gold, rows) == [2]


def test_check_golds_names_the_columns_if_the_gold_column_is_missing():
    with pytest.raises(
        ValueError, match=r"gold column 'solution' is not in the data.*\['answer', 'prompt'\]"
    ):
        check_golds(exact, ROWS, gold_column="solution")


def test_a_class_by_name(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("class Phone: ...\nphone = Phone()\n")
    assert load_class(f"{path}:Phone").__name__ == "Phone"
    for name in ("phone", "Tablet"):
        with pytest.raises(ValueError, match=rf"has no class '{name}'; it has \['Phone'\]"):
            load_class(f"{path}:{name}")

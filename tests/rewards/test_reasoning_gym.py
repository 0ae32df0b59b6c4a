"""Guards reasoning-gym's tasks: rows, scores, hostile answers, and that no answer is run as code."""

import functools
import json
import os
import time

import pytest

pytest.importorskip("reasoning_gym", reason="an extra: pip install 'rlkit[reasoning-gym]'")

from reasoning_gym.factory import DATASETS

from rewards.reasoning_gym import reasoning_gym, reasoning_gym_strict
from rlkit.cli import main
from rlkit.prompts.files import read_rows
from rlkit.prompts.tasks import INSTRUCTION, task_rows
from rlkit.verify import task_scorer
from rlkit.verify.rewards import check_golds, check_reward
from rlkit.verify.task_worker import is_formula

WITHOUT_GOLD = {"boxnet", "rush_hour"}
TASKS = sorted(set(DATASETS) - {"composite"})  # composite has no entries of its own

task_rows_once = functools.cache(task_rows)


def columns(rows):
    return {key: [row[key] for row in rows] for key in ("task", "config", "entry")}


def test_rows_are_prompts_with_golds():
    rows = task_rows_once("spell_backward", 3)
    assert [row["prompt"][0]["content"].endswith(INSTRUCTION) for row in rows] == [True] * 3
    assert task_rows("spell_backward", 3) == rows != task_rows("spell_backward", 3, seed=9)
    check_reward(reasoning_gym, rows)
    assert check_golds(reasoning_gym, rows) == []


def test_answers_are_found_in_tags_boxes_or_the_whole_text():
    row = task_rows_once("spell_backward", 3)[0]
    gold = row["answer"]
    texts = [gold, f"so <answer>{gold}</answer>", rf"\boxed{{{gold}}}", f"<answer>x</answer> {gold}", ""]
    assert reasoning_gym(texts, **columns([row] * 5)) == [1.0, 1.0, 1.0, 0.0, 0.0]
    assert reasoning_gym([[{"role": "assistant", "content": gold}]], **columns([row])) == [1.0]


def test_strict_gives_no_credit_for_parts():
    row = task_rows_once("countdown", 1)[0]
    texts = ["", "1 + 1", row["answer"]]
    assert reasoning_gym(texts, **columns([row] * 3)) == [0.01, 0.05, 1.0]
    assert reasoning_gym_strict(texts, **columns([row] * 3)) == [0.0, 0.0, 1.0]


def test_the_scorer_knows_the_tasks_settings():
    rows = task_rows("decimal_arithmetic", 3, min_num_decimal_places=2, max_num_decimal_places=2)
    assert json.loads(rows[0]["config"])
    assert reasoning_gym([row["answer"] for row in rows], **columns(rows)) == [1.0] * 3


def test_what_is_not_plain_becomes_text():
    rows = task_rows("gsm_symbolic", 10)  # some hold fractions
    assert reasoning_gym([row["answer"] for row in rows], **columns(rows)) == [1.0] * 10


def test_an_unknown_task_or_setting_is_named():
    with pytest.raises(ValueError, match="task 'nope' is not one of"):
        task_rows("nope", 1)
    with pytest.raises(ValueError, match=r"task 'gcd' with .*nope"):
        task_rows("gcd", 1, nope=1)
    row = task_rows_once("spell_backward", 3)[0]
    with pytest.raises(ValueError, match="task 'nope' with config"):
        reasoning_gym(["a"], **columns([{**row, "task": "nope"}]))


def test_an_endless_scorer_costs_its_own_answer_only(monkeypatch):
    monkeypatch.setattr(task_scorer, "SECONDS_PER_ANSWER", 0.5)
    rows = [*task_rows_once("countdown", 1), *task_rows_once("spell_backward", 3)]
    reasoning_gym([""] * 4, **columns(rows))  # the worker's start is not what is measured
    start = time.perf_counter()
    texts = ["9^(9^9)!!!! + 9**9**9**9", *(row["answer"] for row in rows[1:])]
    assert reasoning_gym(texts, **columns(rows)) in ([0.0, 1.0, 1.0, 1.0], [0.01, 1.0, 1.0, 1.0])
    assert time.perf_counter() - start < 10


def test_a_dead_worker_is_replaced():
    row = task_rows_once("spell_backward", 3)[0]
    reasoning_gym([""], **columns([row]))
    process = task_scorer.SCORER._process
    assert process is not None
    process.kill()
    process.wait()
    assert reasoning_gym([row["answer"]], **columns([row])) == [1.0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x**2*sin(x)/2 + C", True),
        ("(3 + 5) * 2.5", True),
        ("__import__('os')", False),
        ("x.func", False),
        ("x. func", False),
        ("open(x)", False),
        ("eval(x)", False),
        ("[x]", False),
        ("\uff45\uff56\uff41\uff4c(x)", False),
    ],
)
def test_is_formula(text, expected):
    assert is_formula(text) is expected


def attacks(path):
    call = f"__import__('os').open({str(path)!r}, 66)"
    return [call, f"[str({call})]", f"[[{call}]]", f"x + {call}", f"{{'a': {call}}}", f"x\n{call}"]


def test_answers_are_not_run_as_code(tmp_path):
    names = ["binary_matrix", "spiral_matrix", "string_insertion", "n_queens", "countdown", "puzzle24"]
    names += ["simple_integration", "intermediate_integration", "polynomial_multiplication"]
    for name in names:
        path = tmp_path / name
        texts = attacks(path)
        row = task_rows_once(name, 1)[0]
        assert max(reasoning_gym_strict(texts, **columns([row] * len(texts)))) == 0.0
        assert not path.exists(), name


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_every_tasks_gold_is_right_and_no_answer_is_run(name, tmp_path):
    rows = task_rows(name, 5)
    golds = [row["answer"] for row in rows]
    if name in WITHOUT_GOLD:
        assert golds == [None] * 5
    else:
        assert reasoning_gym_strict(golds, **columns(rows)) == [1.0] * 5
    texts = attacks(tmp_path / "attack")
    scores = reasoning_gym(texts, **columns([rows[0]] * len(texts)))
    assert all(0 <= score <= 1 for score in scores)
    assert not (tmp_path / "attack").exists()


def test_the_command_writes_rows(tmp_path, monkeypatch, capsys):
    file = tmp_path / "rows.jsonl"
    arguments = ["rlkit", "tasks", "gcd", "lcm", "--size", "2", "--seed", "5", "--out", str(file)]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0 and os.listdir(tmp_path) == ["rows.jsonl"]
    assert read_rows(file) == [*task_rows("gcd", 2, seed=5), *task_rows("lcm", 2, seed=5)]
    monkeypatch.setattr("sys.argv", [*arguments[:-1], "rows.csv"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2 and "must end in .jsonl" in capsys.readouterr().err

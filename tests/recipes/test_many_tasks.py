"""Guards the pool of many tasks: right answers, splits, the tokens, the slipping teacher, and a short run."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from math import gcd
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "recipes"))
pytest.importorskip("reasoning_gym", reason="an extra: pip install 'rlkit[reasoning-gym]'")

import torch
from many_tasks import MAX_COMPLETION_LENGTH, TASKS, make_problems, make_tokenizer, policy, slipped
from tiny_policy import IGNORED, encode, exact_success, reward

ROOT = Path(__file__).parents[2]


def turned(digits, quarters):
    size = round(len(digits) ** 0.5)
    return "".join(map(str, np.rot90(np.array(list(digits)).reshape(size, size), -int(quarters)).ravel()))


def spiralled(digits):
    size = round(len(digits) ** 0.5)
    rows, read = np.array(list(digits)).reshape(size, size), ""
    while rows.size:
        read, rows = read + "".join(rows[0]), np.rot90(rows[1:])
    return read


RIGHT = {
    "spell": lambda text: text[::-1],
    "turn": lambda text: turned(*text.split()),
    "spiral": spiralled,
    "total": lambda text: str(sum(map(int, re.findall(r"[+-]?\d", text)))),
    "gcd": lambda text: str(gcd(*map(int, text.split()))),
    "count": lambda text: str(text[2:].count(text[0])),
    "sort": lambda text: "".join(sorted(text[:-1], reverse=text[-1] == "-")),
    "unique": lambda text: "".join(x for i, x in enumerate(text) if x not in text[:i]),
    "shift": lambda text: "".join(chr((ord(x) - 97 + int(text[-1])) % 10 + 97) for x in text[:-2]),
    "unpack": lambda text: "".join(x * int(times) for x, times in re.findall(r"([a-z])(\d)", text)),
    "add": lambda text: _sum(*text.split("+")),
    "weave": lambda text: "".join(map("".join, zip(*text.split(), strict=True))),
}


def _sum(a, b):
    return f"{int(a[::-1]) + int(b[::-1]):0{len(a) + 1}d}"[::-1]


@pytest.mark.parametrize("task", TASKS)
def test_answers_are_right_and_short(task):
    rows = [row for row in make_problems(1200, seed=3) if row["category"] == task]
    assert len(rows) > 90
    for row in rows:
        text = row["prompt"].removeprefix(f"{task}:").removesuffix("=")
        assert RIGHT[task](text) == row["answer"], row
        assert len(row["answer"]) < MAX_COMPLETION_LENGTH
    if task == "unpack":
        assert max(len(row["answer"]) for row in rows) > 20


def test_the_splits_share_no_prompt_and_hold_every_task():
    pool, heldout = make_problems(800, 0), make_problems(400, 1, "heldout")
    prompts = [{row["prompt"] for row in rows} for rows in (pool, heldout)]
    assert len(prompts[0]) == len(pool) > 780 and len(prompts[1]) == len(heldout) > 380
    assert not prompts[0] & prompts[1]
    assert {row["category"] for row in pool} == {row["category"] for row in heldout} == set(TASKS)
    assert pool == make_problems(800, 0)


def test_without_the_extra_a_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(ValueError, match=r"pip install 'rlkit\[reasoning-gym\]'"):
        make_problems(36)


def test_a_task_is_one_token_and_each_character_is_one():
    tokenizer, rows = make_tokenizer(), make_problems(200)
    ids_BT, targets_BT = encode(tokenizer, rows)
    for row, ids, targets in zip(rows, ids_BT, targets_BT, strict=True):
        length = len(row["prompt"]) - len(row["category"])
        answer = ids[length : length + len(row["answer"]) + 1]
        assert tokenizer.decode(answer) == row["answer"] + tokenizer.eos_token
        assert targets[targets != IGNORED].tolist() == answer.tolist()
    assert reward(["12", "12 "], answer=["12", "12"]) == [1.0, 0.0]


def test_success_does_not_depend_on_what_stands_beside_it():
    rows, tokenizer = make_problems(40), make_tokenizer()
    torch.manual_seed(0)
    model = policy(tokenizer).eval()
    alone = [exact_success(model, tokenizer, [row])[0] for row in rows]
    np.testing.assert_allclose(exact_success(model, tokenizer, rows, batch_size=16), alone, rtol=1e-3)


def test_the_teacher_slips_only_in_every_other_last_character():
    rng = np.random.default_rng(0)
    assert all(slipped(rng, answer, 1.0) == answer for answer in ("3", "305", "09a", "0421"))
    made = [slipped(rng, "3122", 1.0) for _ in range(200)]
    assert {text[:3] for text in made} == {"312"} and {text[3] for text in made} == set("0123456789")
    assert slipped(rng, "3122", 0.0) == "3122"


def test_levels_can_be_chosen():
    """Rows of the largest level alone, as many of each task."""
    rows = make_problems(72, split="heldout", levels=[2])
    assert Counter(row["category"] for row in rows) == dict.fromkeys(TASKS, 6)
    assert min(len(row["answer"]) for row in rows if row["category"] == "unpack") >= 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "more"),
    [
        ("many_tasks", {"curriculum": "rlkit"}),
        ("hard_tasks", {"curriculum": "uniform", "hints": "adaback"}),
    ],
)
def test_a_short_run_under_a_curriculum(recipe, more, tmp_path):
    tokenizer = make_tokenizer()  # an untrained policy in place of the warm start
    policy(tokenizer).save_pretrained(tmp_path / "start")
    tokenizer.save_pretrained(tmp_path / "start")
    settings = {
        "config": f"recipes/configs/{recipe}.yaml",
        **more,
        "warm_start": tmp_path / "start",
        "output_dir": tmp_path / "run",
        "num_prompts": 144,
        "num_heldout": 72,
        "max_steps": 2,
        "heldout_steps": 1,
    }
    words = [word for key, value in settings.items() for word in (f"--{key}", str(value))]
    done = subprocess.run(
        [sys.executable, f"recipes/train_{recipe}.py", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "run" / "heldout.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 1, 2]
    assert all(0 <= line["accuracy"] <= 1 for line in lines)
    steps = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert ("hints" in more) == all(step.get("hints/examined", 0) > 0 for step in steps)

"""Guards the shipped plans: each runs on a tiny model to its end, with two steps a training."""

import json
import shutil
import sys
from pathlib import Path

from transformers import AutoTokenizer

from rlkit.pipeline.build import read_plan
from rlkit.pipeline.page import write_page
from rlkit.pipeline.pipeline import Pipeline
from rlkit.pipeline.plan import Plan

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests" / "verify"))

from judge_server import grades, judge_server  # noqa: E402

PLANS = ROOT / "recipes" / "plans"
TRAINING = {
    "max_steps": 2,
    "save_steps": 1,
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 1,
    "bf16": False,
    "use_cpu": True,
    "activation_checkpointing": False,
}
RL = {"num_generations": 4, "max_completion_length": 6, "gold_column": "answer", "beta": 0.0}
SMALL = {
    "rl": {**TRAINING, **RL},
    "sft": TRAINING,
    "preference": TRAINING,
    "score": {"samples": 2, "max_new_tokens": 6},
    "eval": {"samples": 2, "max_new_tokens": 6},
}


def read_small(name: str, tiny: Path, out: Path, *changes: str) -> Plan:
    """A shipped plan on the tiny model, two steps a stage; all else as it is shipped."""
    given = [] if name in ("bai", "mobile") else [f"model={tiny}/model"]
    plan = read_plan(PLANS / f"{name}.yaml", [*given, *changes], out)
    for stage in plan.stages:
        stage.settings.update(SMALL.get(stage.kind.name, {}))  # type: ignore[attr-defined]
    return plan


def files(tiny: Path, *names: str) -> list[str]:
    paths = {name: tiny / f"{name}.jsonl" for name in ("rows", "heldout", "pairs")}
    paths |= {"demonstrations": tiny / "solved.jsonl", "general": tiny / "rows.jsonl"}
    return [*(f"{name}={paths[name]}" for name in names), f"reward={tiny}/reward.py:reward"]


def run(plan: Plan, forked) -> Pipeline:
    pipeline = Pipeline(plan, forked)
    pipeline.run()
    text = write_page(pipeline).read_text()
    for stage in plan.stages:
        assert f">{stage.name}<" in text
    return pipeline


def test_tulu3(tiny, forked, tmp_path):
    plan = read_small("tulu3", tiny, tmp_path, *files(tiny, "rows", "heldout", "pairs", "demonstrations"))
    pipeline = run(plan, forked)
    looks = {look.stage.name: look for look in pipeline.look()}
    assert [look.state for look in looks.values()] == ["done"] * 4
    assert looks["measure"].record.numbers["verify-run heldout accuracy"] >= 0
    assert looks["verify"].record.numbers["steps"] == 2
    assert (tmp_path / "verify" / "report.html").exists()


def test_redone(tiny, forked, tmp_path):
    names = files(tiny, "rows", "heldout", "demonstrations", "general")
    changes = [*names, "category=level", "diagnosis.threshold=0.9", "hard.pass_rate='0,1'"]
    pipeline = run(read_small("redone", tiny, tmp_path, *changes), forked)
    numbers = {look.stage.name: look.record.numbers for look in pipeline.look() if look.record}
    assert len(numbers) == 10 and numbers["diagnosis"]["failed"] > 0
    lesson = numbers["lesson"]
    assert lesson["kept"] > 0 and lesson["kept"] >= 4 * numbers["diagnosis"]["failed"]


def test_expert_iteration(tiny, forked, tmp_path):
    plan = read_small("expert_iteration", tiny, tmp_path, *files(tiny, "rows", "heldout"), "expert.times=2")
    pipeline = run(plan, forked)
    numbers = {look.stage.name: look.record.numbers for look in pipeline.look() if look.record}
    kept = [numbers[f"expert/{number}/keep"]["kept"] for number in (1, 2)]
    assert numbers["expert/2/gather"]["kept"] == sum(kept)  # what was collected in both rounds
    assert {"anew", "measure_anew"} <= numbers.keys()


def test_mindora(tiny, forked, tmp_path, monkeypatch):
    names = [*files(tiny, "heldout"), f"trajectories={tiny}/trajectories.jsonl", "hard.pass_rate='0,1'"]
    with judge_server(lambda number, request: grades(f"{number % 2 * 100}")) as server:
        monkeypatch.setenv("RLKIT_JUDGE_URL", server.url)
        monkeypatch.setenv("RLKIT_JUDGE_MODEL", "judge")
        run(read_small("mindora", tiny, tmp_path, *names), forked)
        assert any("reasoning" in json.dumps(request) for request in server.requests)


def teach(number: int, request: dict) -> tuple:
    """A teacher who writes questions, and solves them."""
    if "<question>" in request["messages"][0]["content"]:
        return grades(f"<question>What is {number} plus 1?</question> <question>{number} minus 1?</question>")
    return grades(*[r"It is \boxed{5}"] * request["n"])


def test_stat(tiny, forked, tmp_path):
    names = [
        *files(tiny, "rows", "heldout"),
        f"hard={tiny}/rows.jsonl",
        "teacher=one",
        "failed.pass_rate='0,1'",
    ]
    with judge_server(teach) as server:
        plan = read_small("stat", tiny, tmp_path, *names, f"url={server.url}", "train.steps_per_generation=1")
        pipeline = run(plan, forked)
    numbers = {look.stage.name: look.record.numbers for look in pipeline.look() if look.record}
    assert numbers["questions"]["questions"] > 0 and numbers["learn"]["steps"] == 2


def test_bai(tiny, forked, tmp_path):
    for name in ("instruct", "distilled"):
        shutil.copytree(tiny / "model", tmp_path / name)
    names = files(tiny, "rows", "heldout")
    models = [f"instruct={tmp_path}/instruct", f"distilled={tmp_path}/distilled", f"base={tiny}/model"]
    plan = read_small("bai", tiny, tmp_path / "out", *names, *models)
    numbers = {look.stage.name: look.record.numbers for look in run(plan, forked).look() if look.record}
    assert "distilled heldout accuracy" in numbers["measure"]


def test_rmt(tiny, forked, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    (tmp_path / "text.txt").write_text(" ".join(f"What is {a} times 3?" for a in range(40)))
    changes = [f"text={tmp_path}/text.txt", "positions=24", "context=12", "length=6"]
    plan = read_small("rmt", tiny, tmp_path / "out", *files(tiny, "rows", "heldout"), *changes)
    numbers = {look.stage.name: look.record.numbers for look in run(plan, forked).look() if look.record}
    assert numbers["midtrain"]["steps"] == numbers["verify"]["steps"] == 2


def test_mobile(tiny, forked, tmp_path, monkeypatch):
    from trl.chat_template_utils import qwen3_chat_template

    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    model = tmp_path / "model"
    shutil.copytree(tiny / "model", model)
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.chat_template = qwen3_chat_template
    tokenizer.save_pretrained(model)
    pipeline = run(read_small("mobile", tiny, tmp_path / "out", f"model={model}", "tasks=8"), forked)
    assert [look.state for look in pipeline.look()] == ["done"] * 4

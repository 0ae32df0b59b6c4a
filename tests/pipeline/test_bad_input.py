"""Guards what a plan says where a tool has nothing to work with: the tool's own line, and nothing counts."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from rlkit.pipeline.build import read_plan
from rlkit.pipeline.pipeline import Pipeline, StageError

ROOT = Path(__file__).parents[2]
sys.path += [str(ROOT / "tests" / "verify"), str(ROOT / "tests" / "harvest")]

from judge_server import grades, judge_server  # noqa: E402
from test_harvest import make_run  # noqa: E402

ROWS = "".join(f'{{"question": "{n}", "level": "{n % 2}", "pass_rate": {0.5 + n / 10}}}\n' for n in range(4))
CASES = {
    "select": (
        {"rows": "rows.jsonl"},
        {"pass_rate": "0,0.6", "without": "rows.jsonl"},
        "it failed (exit code 2): rlkit: without (rows.jsonl) leaves none of 2 rows; widen it",
    ),
    "diagnose": (
        {"rows": "rows.jsonl"},
        {"by": "level", "threshold": 0.1},
        "threshold (0.1): no category of 'level' is below it, the worst is 0 at 0.600",
    ),
    "harvest": ({"run": "run"}, {"kind": "sft"}, "kept no completions; train with keep_completions: all"),
    "merge": (
        {"models": ["a", "b"]},
        {},
        "a and b are not of one architecture: intermediate_size is 64 and 65",
    ),
    "rank": ({"results": ["run"]}, {}, "run holds no finished evaluation"),
}


@pytest.fixture
def folder(tiny, tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text(ROWS)
    Path("run").mkdir()
    make_run(Path("run"))
    for name in ("a", "b"):
        shutil.copytree(tiny / "model", name)
    config = json.loads(Path("b/config.json").read_text())
    Path("b/config.json").write_text(json.dumps({**config, "intermediate_size": 65}))
    return tmp_path


def failure(kind: str, takes: dict, settings: dict, forked) -> str:
    """What the pipeline says of the stage, in one line; it is not done, and has no folder of its name."""
    Path("plan.yaml").write_text(
        yaml.safe_dump({"stages": {"it": {"kind": kind, "takes": takes, "settings": settings}}})
    )
    pipeline = Pipeline(read_plan(Path("plan.yaml")), forked)
    with pytest.raises(StageError) as error:
        pipeline.run()
    assert not Path("runs/plan/it").exists()
    (look,) = pipeline.look()
    assert look.state == "due" and "was stopped" in look.why
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("kind", CASES)
def test_the_tools_own_line_is_the_stages(kind, folder, forked):
    takes, settings, said = CASES[kind]
    assert said in failure(kind, takes, settings, forked)


def test_a_teacher_who_answers_garbage(folder, forked):
    pytest.importorskip("openai", reason="openai is an extra: pip install 'rlkit[judge]'")
    Path("train.jsonl").write_text('{"question": "1", "category": "0"}\n')
    Path("failed.jsonl").write_text('{"question": "2", "category": "0"}\n')
    takes = {"failed": "failed.jsonl", "examples": "train.jsonl"}
    with judge_server(lambda number, request: grades("Sure!")) as server:
        said = failure("synthesize", takes, {"url": server.url, "model": "teacher"}, forked)
    assert "nothing was kept of what teacher wrote: sent: 1, replies without a question: 1" in said

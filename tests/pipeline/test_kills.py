"""Guards kill -9 inside of a stage that can resume: the plan, started again, goes on where it was."""

import os
import signal
from pathlib import Path

import pytest
import yaml

from rlkit.pipeline.build import read_plan
from rlkit.pipeline.pipeline import Look, Pipeline, StageError

TRAINING = {
    "max_steps": 12,
    "save_steps": 1,
    "per_device_train_batch_size": 4,
    "use_cpu": True,
    "bf16": False,
    "activation_checkpointing": False,
    "report_to": "none",
}
SAMPLING = {"samples": 4, "batch_size": 4, "max_new_tokens": 24, "prompt_column": "question"}


def stages(tiny: Path) -> dict[str, tuple[dict, dict, str]]:
    """Of each kind: what it takes, its settings, and a file that is there once it is in the middle."""
    reward = f"{tiny}/reward.py:reward"
    model = {"model": f"{tiny}/model"}
    rows, whole = {**model, "data": f"{tiny}/rows.jsonl"}, "run/checkpoint-1/trainer_state.json"
    rl = {**TRAINING, "rewards": [reward], "num_generations": 4, "max_completion_length": 6}
    return {
        "rl": (rows, rl, "run/checkpoint-1/rlkit/manifest.json"),
        "sft": ({**model, "data": f"{tiny}/solved.jsonl"}, TRAINING, whole),
        "preference": ({**model, "data": f"{tiny}/pairs.jsonl"}, TRAINING, whole),
        "score": (rows, {**SAMPLING, "reward": reward}, "rows.parquet.partial/model/score/completions.jsonl"),
        "eval": (rows, {**SAMPLING, "reward": reward}, "results/model/rows/completions.jsonl"),
    }


@pytest.mark.parametrize("kind", ["rl", "sft", "preference", "score", "eval"])
def test_a_killed_stage_goes_on(kind, tiny, forked, tmp_path):
    takes, settings, middle = stages(tiny)[kind]
    plan = tmp_path / "plan.yaml"
    plan.write_text(yaml.safe_dump({"stages": {"it": {"kind": kind, "takes": takes, "settings": settings}}}))
    begun = []
    pipeline = Pipeline(
        read_plan(plan, out=tmp_path / "out"), lambda *given: begun.append(forked(*given)) or begun[-1]
    )
    half = tmp_path / "out" / "it.partial" / middle

    def kill(look: Look, seconds: float) -> None:
        if look.state == "due" and half.exists() and half.stat().st_size:
            os.kill(begun[0].pid, signal.SIGKILL)

    with pytest.raises(StageError, match=r"it failed \(exit code -9\)"):
        pipeline.run(kill)
    before = half.read_bytes()
    (look,) = pipeline.look()
    assert (look.state, look.why) == ("due", "was stopped; goes on")
    pipeline.run()
    (look,) = pipeline.look()
    assert look.state == "done" and len(begun) == 2
    if kind in ("rl", "sft", "preference"):
        kept = tmp_path / "out" / "it" / middle
        assert kept.read_bytes() == before  # the first step was not made again
        assert look.record is not None and look.record.numbers["steps"] == 12
    if kind == "eval":
        assert (
            (tmp_path / "out" / "it" / middle)
            .read_bytes()
            .startswith(before[: before.rindex(b"\n", 0, -1) // 2])
        )

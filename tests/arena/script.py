"""A recipe without a model, for test_compare.py: writes a step each few milliseconds, with checkpoints.

It fails, ends too early or says nothing of accuracy where its config asks for that.
"""

import json
import sys
import time
from pathlib import Path

import yaml

from rlkit.record.manifest import commit, is_committed


def main():
    given = dict(zip((word[2:] for word in sys.argv[1::2]), sys.argv[2::2], strict=True))
    config = yaml.safe_load(Path(given["config"]).read_text())
    if config.get("fails") == f"{given['curriculum']} {given['seed']}":
        print("about to fail")
        raise RuntimeError("this seed is unlucky")
    run, last = Path(given["output_dir"]), int(given["max_steps"])
    run.mkdir(parents=True, exist_ok=True)
    first = 0
    if given.get("resume_from_checkpoint") == "true":
        whole = filter(is_committed, run.glob("checkpoint-*"))
        first = max(int(path.name.split("-")[1]) for path in whole)
    with (run / "starts.txt").open("a") as starts:
        starts.write(f"{first} {given.get('lamp')}\n")
    metrics, heldout = (keep(run / name, first) for name in ("metrics.jsonl", "heldout.jsonl"))
    for step in range(first + 1, config.get("ends_at", last) + 1):
        time.sleep(config.get("pause", 0.0))
        row = {"step": step, "rollouts/spent_total": 8 * step, "tokens/generated_total": 80 * step}
        row |= {"seconds/total": 0.1 * step, "effective_ratio": 0.5, "seconds/selection": 0.0}
        print(json.dumps(row), file=metrics, flush=True)
        if config.get("measures", True):
            # The best rate is 2; above 10 the run is worse than its start.
            rate = float(given.get("rate", 2))
            accuracy = 1 - (1 + abs(rate - 2)) / (step + abs(rate - 2)) if rate < 10 else 0.5 / step
            print(json.dumps({"step": step, "accuracy": accuracy}), file=heldout, flush=True)
        if step % 5 == 0:
            (run / f"checkpoint-{step}").mkdir(exist_ok=True)
            (run / f"checkpoint-{step}" / "trainer_state.json").write_text('{"log_history": []}')
            commit(run / f"checkpoint-{step}")


def keep(path, step):
    lines = path.read_text().splitlines() if path.exists() else []
    kept = [line for line in lines if json.loads(line)["step"] <= step]
    path.write_text("".join(f"{line}\n" for line in kept))
    if path.name == "heldout.jsonl" and not kept and step:
        path.unlink()
    return path.open("a")


main()

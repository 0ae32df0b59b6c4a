"""Guards the value model's benchmarks: they run on small files and give every number under its name."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SCRIPTS = Path(__file__).parents[2] / "scripts"


def write(path, num, seed):
    rng = np.random.default_rng(seed)
    with path.open("w") as file:
        for number in range(num):
            hard = rng.random() < 0.5
            verb = "Integrate the polynomial" if hard else "Add the integer"
            row = {
                "question": f"{verb} {seed}{number} to {rng.integers(100)}.",
                "pass_rate": 0.2 if hard else 0.8,
            }
            file.write(json.dumps(row) + "\n")
    return path


def test_it_writes_every_number(tmp_path):
    train, test = write(tmp_path / "train.jsonl", 300, 1), write(tmp_path / "test.jsonl", 100, 2)
    out = tmp_path / "out.json"
    command = [
        sys.executable,
        SCRIPTS / "bench_value_model.py",
        "--train",
        train,
        "--test",
        test,
        "--json",
        out,
        "--sizes",
        "100,2000",
    ]
    subprocess.run(
        [*command, "--seeds", "0", "--shifts", "0,3"], check=True, capture_output=True, timeout=800
    )
    found = json.loads(out.read_text())
    for method, sizes in (("model", ["100", "300"]), ("ridge", ["100", "300"]), ("rollouts", list("1238"))):
        assert list(found[method]) == sizes
        for score in found[method].values():
            assert {"explained_variance", "spearman", "brier", "rollout_equivalents"} <= set(score)
            assert all(math.isfinite(value) for value in score.values())
    assert found["model"]["300"]["explained_variance"] > 0.8
    assert found["ridge"]["300"]["explained_variance"] > 0.8
    assert found["predict_us_per_prompt"] < 400  # ten times the target, on a machine that does other work
    assert all(math.isfinite(value) for score in found["drift"].values() for value in score.values())
    assert found["revisits"]["1"]["value_model"] > found["revisits"]["1"]["flat"]


def test_it_reads_recordings_of_a_policy(tmp_path):
    """Success is what the likelihood of the gold says; the answers say nothing; after training all is turned
    around, which the old policy's likelihood does not show."""
    rng = np.random.default_rng(0)
    rate_N = rng.random(160)
    rows = [{"prompt": f"p{row}", "answer": str(row % 7), "kind": "one"} for row in range(160)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "prompts.parquet")
    for label, rate_of_label_N in {"before": rate_N, "after": np.roll(rate_N, 1)}.items():
        (tmp_path / label).mkdir()
        log_N = np.log(rate_of_label_N)
        np.savez(
            tmp_path / label / "pass0-00000.npz",
            right_NG=rng.random((160, 8)) < rate_of_label_N[:, None],
            state_NL2H=rng.normal(size=(160, 6, 2, 4)).astype(np.float32),
            likelihood_N3=np.stack([log_N, log_N, log_N], 1).astype(np.float32),
        )
    explained = {}
    for feature in ("answer", "likelihood"):
        command = [sys.executable, SCRIPTS / "bench_recording.py", tmp_path, "--features", feature]
        command += ["--batch", "20", "--labels", "before,after", "--seeds", "0"]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        titles = [line.split(": explained ") for line in done.stdout.splitlines()]
        explained[feature] = {title: float(scores.split(",")[0]) for title, scores in titles}
    likelihood = explained["likelihood"]
    assert likelihood["before unseen"] > 0.8 > 0.2 > explained["answer"]["before unseen"]
    assert likelihood["after seen"] > 0.8 > 0.2 > likelihood["after seen by before"]
    assert likelihood["taught and shown by after"] > 0.8 > 0.2 > likelihood["taught and shown by before"]

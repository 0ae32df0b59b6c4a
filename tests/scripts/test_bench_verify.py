"""Guards the benchmark of the math reward."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "bench_verify.py"


def test_it_measures_each_kind_of_item(tmp_path):
    golds = [r"\frac{1}{2}", "so 3\n#### 1,200", "(1,2)", "7", ""]
    (tmp_path / "golds.jsonl").write_text("".join(json.dumps({"answer": gold}) + "\n" for gold in golds))
    command = [sys.executable, SCRIPT, tmp_path / "golds.jsonl", "--repeats", "1"]
    command += ["--json", tmp_path / "out.json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=800)
    found = json.loads((tmp_path / "out.json").read_text())
    assert f"{found['num_workers']} workers" in done.stdout
    assert [found[kind]["num_items"] for kind in ("ordinary", "groups")] == [3 * 4, 8 * 4]
    assert 4 <= found["math-verify"]["num_items"] <= 8
    assert all(found[kind]["items_per_second"] > 0 for kind in ("ordinary", "groups", "math-verify"))

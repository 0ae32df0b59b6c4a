"""Guards `rlkit report`: where the page goes, and mistakes in one line."""

import json
import subprocess
import sys


def report(*words) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "rlkit.cli", "report", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def write_run(folder):
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text(json.dumps({"step": 1, "signal/all": 0.5}) + "\n")
    return folder


def test_the_page_lies_in_the_run_or_in_what_holds_the_runs(tmp_path):
    one, two = write_run(tmp_path / "runs" / "one"), write_run(tmp_path / "runs" / "two")
    done = report(one)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{one / 'report' / 'index.html'} (")
    done = report(one, two)
    assert (tmp_path / "runs" / "report" / "index.html").exists(), done.stderr
    done = report(one, "--out", tmp_path / "mine.html")
    assert (tmp_path / "mine.html").read_text().startswith("<!DOCTYPE html>"), done.stderr


def test_a_mistake_is_one_line(tmp_path):
    done = report(tmp_path / "no")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"rlkit: run ({tmp_path / 'no'}): there is no such folder")
    (tmp_path / "file").touch()
    done = report(write_run(tmp_path / "one"), "--out", tmp_path / "file" / "page.html")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert "out (" in done.stderr

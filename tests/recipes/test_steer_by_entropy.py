"""Guards the example of steering from outside: it halves the rate when the entropy is low, and waits."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "live"))

from served import TOKEN, serving
from test_server import STATUS

from rlkit.live.files import Events, Requests, hold_life, write_status

ROOT = Path(__file__).parents[2]


def test_it_halves_the_learning_rate_when_the_entropy_falls_under_the_bound(tmp_path):
    (tmp_path / "live").mkdir()
    entropies = [0.9, 0.6, 0.4, 0.3, 0.3]
    rows = [{"step": step, "entropy": entropy} for step, entropy in enumerate(entropies, start=1)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_status(tmp_path, STATUS)
    life, asked = hold_life(tmp_path), []

    def run():
        """Takes the first command, does it, and ends."""
        requests = Requests(tmp_path)
        while not (commands := requests.new()):
            time.sleep(0.02)
        asked.extend(commands)
        old = {"learning_rate": STATUS["settings"]["learning_rate"]}
        Events(tmp_path).write(commands[0], "done", 4, old=old, new=commands[0].value)
        life.release()

    thread = threading.Thread(target=run)
    thread.start()
    with serving(tmp_path) as client:
        address = f"http://127.0.0.1:{client.port}"
        words = [sys.executable, "recipes/steer_by_entropy.py", address, "--token", TOKEN, "--bound", "0.5"]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    thread.join()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "step 3: entropy 0.400 < 0.5: done, learning_rate 0.001 -> 0.0005\n"
    assert [(one.value, one.who) for one in asked] == [({"learning_rate": 5e-4}, "steer_by_entropy")]

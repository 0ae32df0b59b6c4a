"""Kills an asynchronous run again and again with SIGKILL, lets it end, and holds its account together.

    python scripts/async_kills.py /tmp/kills --kills 20 [--vllm]

Every start goes on from the newest checkpoint and is killed at a random moment, from its first import to some
steps later. The engine is the tests' small one, or vLLM's CPU build.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "hosts" / "trl"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "hosts" / "async_trl"))

from async_runs import GROUPS, free_port
from servers import finish, kill, serving, start_run, steps_done
from tiny_vllm import save_model

from rlkit.hosts.async_trl.journal import FILE, account, read_journal
from rlkit.record.ledger import read_ledger

SETTINGS = {"save_strategy": "steps", "save_steps": 3, "save_total_limit": 2}
AHEAD = 6
"""Steps after which a kill comes at the latest."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--vllm", action="store_true")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True)
    save_model(arguments.folder / "model")
    port = free_port()
    run = {"steps": 2 * arguments.kills, "settings": SETTINGS, "reward": "slow"}
    with serving(arguments.folder / "model", port, arguments.vllm):
        url, folder = f"http://127.0.0.1:{port}", arguments.folder / "run"
        rng = random.Random(arguments.seed)
        for number in range(arguments.kills):
            print(json.dumps({"kill": number, **killed(folder, url, run, rng)}), flush=True)
        finish(start_run(folder, url, **run), folder, 900)
        finish(start_run(folder, url, **run), folder, 900)  # of a finished run: nothing is left open
    told = account(folder)
    table = read_ledger(folder / "ledger").to_pylist()
    reasons = Counter(row["reason"] for row in table if not row["trained"])
    print(json.dumps({**told, "steps": steps_done(folder), "not trained": dict(reasons)}))
    assert told["spent"] == told["trained"] + told["dropped"] + told["lost"]
    assert told["trained"] == run["steps"] * GROUPS


def killed(folder: Path, url: str, run: dict, rng: random.Random) -> dict:
    """Goes on with the run and kills it; what stood then."""
    start, before = time.monotonic(), steps_done(folder)
    process = start_run(folder, url, **run)
    if rng.random() < 0.2:  # while it imports, or syncs its weights for the first time
        time.sleep(rng.uniform(0, 25))
    else:
        enough = before + rng.randint(0, AHEAD) - SETTINGS["save_steps"]
        while steps_done(folder) <= enough and process.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 2))
    ended = process.poll() is not None
    kill(process.pid)
    process.wait()
    journal = folder / FILE
    return {
        "ended before": ended,
        "seconds": round(time.monotonic() - start, 1),
        "steps": steps_done(folder),
        "ordered": len(read_journal(journal)) if journal.exists() else 0,
    }


if __name__ == "__main__":
    main()

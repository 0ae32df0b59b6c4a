"""Steers a run from outside: halves the learning rate when the policy's entropy falls under a bound.

    python recipes/steer_by_entropy.py http://127.0.0.1:8008 --token TOKEN --bound 0.5

The address and the token are what `rlkit live RUN --port 8008`, or a run with `--live true`, prints. It needs
nothing but the REST interface of docs/live.md, so a script in any language, or a language model with a tool
for it, can do the same. After a change it waits `--patience` steps to see what came of it.
"""

import argparse
import json
import time
from typing import Any
from urllib.request import Request, urlopen

POLL_SECONDS = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", help="of the live page")
    parser.add_argument("--token", required=True)
    parser.add_argument("--bound", type=float, default=0.5, help="nats a token")
    parser.add_argument("--patience", type=int, default=20, help="steps between two changes")
    parser.add_argument("--least", type=float, default=1e-8, help="learning rate under which it stops")
    arguments = parser.parse_args()

    step, free_from = 0, 0
    while True:
        status = call(arguments, "/api/status")["status"]
        for row in call(arguments, f"/api/metrics?since={step}"):
            step, entropy = row["step"], row.get("entropy")
            if entropy is not None and entropy < arguments.bound and step >= free_from:
                rate = status["settings"]["learning_rate"] / 2
                if rate < arguments.least:
                    return
                halve(arguments, step, entropy, rate)
                free_from = step + arguments.patience
                break  # the next look has the new rate
        if not status["alive"]:
            return
        time.sleep(POLL_SECONDS)


def halve(arguments: argparse.Namespace, step: int, entropy: float, rate: float) -> None:
    command = {"name": "set", "value": {"learning_rate": rate}, "who": "steer_by_entropy"}
    state = call(arguments, "/api/commands", command)
    while state["state"] not in ("done", "failed"):
        time.sleep(POLL_SECONDS / 5)
        state = call(arguments, f"/api/commands/{state['uuid']}")
    what = state.get("reason") or f"learning_rate {state['old']['learning_rate']:g} -> {rate:g}"
    print(f"step {step}: entropy {entropy:.3f} < {arguments.bound:g}: {state['state']}, {what}", flush=True)


def call(arguments: argparse.Namespace, path: str, body: Any = None) -> Any:
    """GET, or POST where there is a body; a refusal raises HTTPError."""
    headers = {"Authorization": f"Bearer {arguments.token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(arguments.address.rstrip("/") + path, data, headers), timeout=30) as answer:
        return json.load(answer)


if __name__ == "__main__":
    main()

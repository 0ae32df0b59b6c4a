"""Starts and stops what asynchronous runs need: a model, an engine (our small one or vLLM), a run."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PATHS = os.pathsep.join(map(str, (ROOT, HERE, HERE.parent / "trl")))
ENVIRONMENT = {**os.environ, "PYTHONPATH": PATHS, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
ENVIRONMENT |= {"TRL_EXPERIMENTAL_SILENCE": "1", "VLLM_SERVER_DEV_MODE": "1", "VLLM_NO_USAGE_STATS": "1"}


def has_vllm() -> bool:
    return find_spec("vllm") is not None


def server_command(model: Path, port: int, vllm: bool, *options: str) -> list[str]:
    if not vllm:
        return [sys.executable, str(HERE / "engine.py"), str(model), str(port), *options]
    settings = [
        "--dtype",
        "float32",
        "--enforce-eager",
        "--max-model-len",
        "256",
        "--block-size",
        "32",
        "--host",
        "127.0.0.1",
    ]
    transfer = ["--weight-transfer-config", json.dumps({"backend": "nccl"})]
    script = str(HERE.parent / "trl" / "vllm_server.py")
    return [sys.executable, script, "serve", str(model), "--port", str(port), *settings, *transfer, *options]


def start_server(model: Path, port: int, vllm: bool, *options: str) -> subprocess.Popen:
    log = (model.parent / "server.log").open("a")
    command = server_command(model, port, vllm, *options)
    return subprocess.Popen(command, stdout=log, stderr=log, env=ENVIRONMENT, cwd=model.parent)


def wait_for(url: str, seconds: float = 240) -> None:
    from rlkit.hosts.async_trl.server import Server

    Server(url, seconds).wait()


@contextmanager
def serving(model: Path, port: int, vllm: bool, *options: str):
    """An engine at http://127.0.0.1:PORT; yields its process."""
    server = start_server(model, port, vllm, *options)
    try:
        wait_for(f"http://127.0.0.1:{port}")
        yield server
    finally:
        server.terminate()  # vLLM's ends its engine's process then
        server.wait(30)


def start_run(folder: Path, url: str, **settings: Any) -> subprocess.Popen:
    """A run in a process of its own; its words go to FOLDER.log."""
    command = [sys.executable, str(HERE / "async_runs.py"), str(folder), url, json.dumps(settings)]
    with folder.with_suffix(".log").open("a") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=ENVIRONMENT, cwd=folder.parent)


def finish(run: subprocess.Popen, folder: Path, seconds: float = 240) -> str:
    """Waits for a run to end well; what it said."""
    code = run.wait(seconds)
    said = folder.with_suffix(".log").read_text()
    assert code == 0, said[-3000:]
    return said


def steps_done(folder: Path) -> int:
    log = folder / "metrics.jsonl"
    return log.read_bytes().count(b"\n") if log.exists() else 0


def wait_for_steps(run: subprocess.Popen, folder: Path, steps: int, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while steps_done(folder) < steps:
        assert run.poll() is None, folder.with_suffix(".log").read_text()[-3000:]
        assert time.monotonic() < deadline, folder.with_suffix(".log").read_text()[-3000:]
        time.sleep(0.02)


def rollout_process(run: subprocess.Popen) -> int:
    """The id of a run's rollout process."""
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    (child,) = (pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes())
    return int(child)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)

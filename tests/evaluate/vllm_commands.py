"""Calls of `rlkit` in one process, since loading vLLM takes longest: vllm_commands.py '[["eval", ...], ...]'

Prints each call's exit code and what it wrote, as a JSON list.
"""

import contextlib
import json
import os
import sys
import tempfile

os.environ["VLLM_CPU_KVCACHE_SPACE"] = "1"
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
os.environ["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
os.environ["TORCHDYNAMO_DISABLE"] = "1"

from rlkit.cli import main


def call(words: list[str]) -> tuple[int, str]:
    sys.argv = ["rlkit", *words]
    code: object = 0
    with tempfile.TemporaryFile("w+") as err:  # vLLM wants a real file
        with contextlib.redirect_stderr(err), contextlib.redirect_stdout(err):
            try:
                main()
            except SystemExit as stop:
                code = stop.code or 0
        err.seek(0)
        return int(str(code)), err.read()


if __name__ == "__main__":
    results = [call(words) for words in json.loads(sys.argv[1])]
    print(json.dumps(results))

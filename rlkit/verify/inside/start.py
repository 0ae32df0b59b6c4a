"""The first file that runs in a sandbox: start.py ROLE REQUEST_FD [CHANNEL_FD].

The request is a JSON object; its `limits` hold from here on, its `packages` is a folder to import from. The
file is emptied before the role runs: the sign that the sandbox came up.
"""

import builtins
import importlib
import json
import os
import sys

FORKING = ("case_server", "compiler_process")  # they confine the processes that they start


def main() -> None:
    role, request_fd, *channel_fd = sys.argv[1:]
    builtins.exit = builtins.quit = sys.exit  # `site` has them, which a sandbox goes without
    above, package = os.path.split(os.path.dirname(os.path.abspath(__file__)))
    sys.path.append(above)  # this folder stands alone in a sandbox, where there is no rlkit
    confine = importlib.import_module(f"{package}.confine").confine
    run = importlib.import_module(f"{package}.{role}").run
    with open(int(request_fd), "r+", encoding="utf-8") as file:
        request = json.load(file)
        sys.path[-1] = request["packages"]
        if role not in FORKING:
            confine(request["limits"])
        file.truncate(0)
    run(request, *map(int, channel_fd))


main()

"""Runs a model's program as a script, with the input and output of this process."""

import sys
import types
from typing import Any


def run(request: dict[str, Any]) -> None:
    """Execute request["program"] as __main__; its exception gives the process an exit code other than 0."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    exec(compile(request["program"], "<program>", "exec"), vars(module))

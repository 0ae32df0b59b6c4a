"""`eval`: `rlkit eval` of models on benchmarks, or on rows of one's own with `reward`."""

import json
from pathlib import Path

from rlkit.pipeline.kinds.kind import Call, Kind, Made, Take, options, rlkit

RESULTS = "results"


def _command(call: Call) -> list[str]:
    given = {"dataset": call.takes["data"]} if "data" in call.takes else {}
    filled = {**given, "out": str(call.folder / RESULTS)}
    return rlkit("eval", *call.takes["model"], *options({**call.settings, **filled}))


def _numbers(folder: Path) -> dict[str, float]:
    """Accuracy with its interval; with several models or benchmarks each under its name."""
    records = json.loads((folder / RESULTS / "summary.json").read_text())
    found = {}
    for record in records:
        name = "" if len(records) == 1 else f"{record['label']} {record['benchmark']} "
        found[f"{name}accuracy"] = record["accuracy"]
        found[f"{name}low"], found[f"{name}high"] = record["accuracy_interval"]
    return found


EVAL = Kind(
    "eval",
    _command,
    takes={"model": Take("model", many=True), "data": Take("rows", optional=True)},
    makes={"results": Made(RESULTS, "results")},
    numbers=_numbers,
    resumes=True,
    filled=("out", "dataset"),
)

"""`select`: `rlkit select` of rows: by pass rate, perplexity, failed buckets, without a benchmark's problems.

What `buckets` and `model` name is taken; so is `mix`, rows of which a `share` is mixed in.
"""

import json
from pathlib import Path

from rlkit.pipeline.kinds.kind import Call, Kind, Made, Take, options, rlkit

ROWS = "rows.jsonl"


def _command(call: Call) -> list[str]:
    taken = {name: paths[0] for name, paths in call.takes.items() if name != "rows"}
    filled = {**taken, "out": str(call.folder / ROWS)}
    return rlkit("select", *call.takes["rows"], *options({**call.settings, **filled}))


def _numbers(folder: Path) -> dict[str, float]:
    """How many rows each rule left, by the rule without its value: "pass_rate (0,0.5)" is pass_rate."""
    counts = json.loads((folder / f"{ROWS}.json").read_text())
    return {name.split(" (")[0]: count for name, count in counts.items()}


SELECT = Kind(
    "select",
    _command,
    takes={
        "rows": Take("rows", many=True),
        "buckets": Take("file", optional=True),
        "model": Take("model", optional=True),
        "mix": Take("rows", optional=True),
    },
    makes={"rows": Made(ROWS, "rows")},
    numbers=_numbers,
    filled=("out",),
)

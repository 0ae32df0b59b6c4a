"""`diagnose`: `rlkit diagnose` of rows that `score` measured: which categories fail, and their rows."""

import json
from pathlib import Path

from rlkit.pipeline.kinds.kind import Call, Kind, Made, Take, options, rlkit

BUCKETS, FAILED = "buckets.json", "failed.jsonl"


def _command(call: Call) -> list[str]:
    return rlkit("diagnose", call.one("rows"), *options({**call.settings, "out": str(call.folder)}))


def _numbers(folder: Path) -> dict[str, float]:
    buckets = json.loads((folder / BUCKETS).read_text())["buckets"]
    return {
        "buckets": len(buckets),
        "failed": sum(bucket["failed"] for bucket in buckets),
        "rows in failed": sum(bucket["rows"] for bucket in buckets if bucket["failed"]),
    }


DIAGNOSE = Kind(
    "diagnose",
    _command,
    takes={"rows": Take("rows")},
    makes={"buckets": Made(BUCKETS), "failed": Made(FAILED, "rows")},
    numbers=_numbers,
    filled=("out",),
    needed=("by",),
)

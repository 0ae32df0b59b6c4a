"""`synthesize`: `rlkit synthesize`, a teacher writes questions on skills that failed ones lack (STAT-Syn).

Its replies stay in OUT/<stage>.replies.sqlite3: none is paid for twice, whatever changes in the plan.
"""

from pathlib import Path

from rlkit.pipeline.kinds.kind import Call, Kind, Made, Take, options, rlkit

ROWS = "rows.jsonl"


def _command(call: Call) -> list[str]:
    replies = call.folder.with_suffix(
        ".replies.sqlite3"
    )  # beside: with another budget the folder starts anew
    filled = {"examples": call.one("examples"), "out": str(call.folder / ROWS), "replies": str(replies)}
    return rlkit("synthesize", call.one("failed"), *options({**call.settings, **filled}))


def _numbers(folder: Path) -> dict[str, float]:
    with (folder / ROWS).open(encoding="utf-8") as file:
        return {"questions": sum(1 for _ in file)}


SYNTHESIZE = Kind(
    "synthesize",
    _command,
    takes={"failed": Take("rows"), "examples": Take("rows")},
    makes={"rows": Made(ROWS, "rows")},
    numbers=_numbers,
    resumes=True,
    filled=("examples", "out", "replies"),
    needed=("url", "model"),
)

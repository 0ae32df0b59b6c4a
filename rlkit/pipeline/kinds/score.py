"""`score`: `rlkit score` of rows with a model: pass rates, and the right completions to learn from."""

from pathlib import Path

from rlkit.pipeline.kinds.kind import Call, Kind, Made, Take, options, rlkit

ROWS, RIGHT = "rows.parquet", "right.jsonl"


def _command(call: Call) -> list[str]:
    filled = {"output": str(call.folder / ROWS), "right": str(call.folder / RIGHT)}
    return rlkit("score", call.one("model"), call.one("data"), *options({**call.settings, **filled}))


def _numbers(folder: Path) -> dict[str, float]:
    import pyarrow.parquet as pq

    rates = [rate for rate in pq.read_table(folder / ROWS)["pass_rate"].to_pylist() if rate is not None]
    solved = {"never solved": sum(rate == 0 for rate in rates), "always": sum(rate == 1 for rate in rates)}
    mean = {"mean pass rate": sum(rates) / len(rates)} if rates else {}
    return {"rows": len(rates), **mean, **solved}


SCORE = Kind(
    "score",
    _command,
    takes={"model": Take("model"), "data": Take("rows")},
    makes={"rows": Made(ROWS, "rows"), "right": Made(RIGHT, "rows", may_be_empty=True)},
    numbers=_numbers,
    resumes=True,
    filled=("output", "right"),
)

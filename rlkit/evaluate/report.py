"""Everything that an evaluation's folder holds, as a table on the screen, summary.json and report.md."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from rlkit.evaluate.store import write_whole

Record = Mapping[str, Any]

COLUMNS = (
    "model",
    "benchmark",
    "accuracy (95%)",
    "pass@k",
    "majority@k",
    "tokens",
    "truncated",
    "unparseable",
    "OckScore",
    "tokens/s",
)
NOTES = """\
Accuracy is the mean over a problem's samples, then over problems; pass@k and majority@k (with the largest k
here) are unbiased over the samples drawn. Intervals are 95%: Wilson's for one sample a problem, else the
bootstrap over problems, which has no width where all problems agree and is narrow for few. A completion
without a reward counts as wrong; a problem that nothing could be scored on (a gold answer that cannot be
parsed) is left out. Tokens are generated tokens a completion. OckScore is 100 accuracy - 10 ln(tokens /
10000 + 1), of prompt and completion together.
"""


def read_records(out: Path) -> list[dict[str, Any]]:
    """The numbers of all finished benchmarks under `out`: by benchmark, checkpoints in order of steps."""
    records = [json.loads(path.read_text()) for path in out.glob("*/*/summary.json")]
    return sorted(records, key=lambda record: (record["benchmark"], _natural(record["label"])))


def write_report(out: Path) -> list[dict[str, Any]]:
    """summary.json (a list of records) and report.md over everything under `out`; the records."""
    records = read_records(out)
    write_whole(out / "summary.json", json.dumps(records, indent=2) + "\n")
    write_whole(out / "report.md", to_markdown(records))
    return records


def to_table(records: Sequence[Record]) -> Table:
    """The table for a terminal."""
    table = Table(title=_title(records))
    for column in COLUMNS:
        table.add_column(column, no_wrap=True)
    for record in records:
        table.add_row(*_cells(record))
    return table


def to_markdown(records: Sequence[Record]) -> str:
    """The same table, pass@k and majority@k for every k, seconds, and what the numbers mean."""
    details = ["model", "benchmark", "k", "pass@k (95%)", "majority@k (95%)"]
    seconds = [
        "model",
        "benchmark",
        "problems",
        "samples",
        "tokens in all",
        "s sampling",
        "s grading",
        "left out",
    ]
    parts = [
        "# Evaluation",
        _markdown(list(COLUMNS), [_cells(record) for record in records]),
        NOTES,
        _markdown(details, [cells for record in records for cells in _details(record)]),
        _markdown(seconds, [_seconds(record) for record in records]),
    ]
    return "\n".join(f"{part.strip()}\n" for part in parts)


def warnings(record: Record) -> list[str]:
    """What a reader of the numbers must know."""
    where = f"{record['label']} on {record['benchmark']}:"
    found = []
    if record["num_unscorable_problems"]:
        found.append(
            f"{where} {record['num_unscorable_problems']} problems cannot be scored and are left out"
        )
    if record["num_unscorable_completions"]:
        found.append(
            f"{where} {record['num_unscorable_completions']} completions got no reward and count as wrong"
        )
    if record["num_reward_errors"]:
        found.append(f"{where} the reward failed on {record['num_reward_errors']} completions")
    return found


def _title(records: Sequence[Record]) -> str | None:
    sizes = {(record["num_problems"], record["num_samples"]) for record in records}
    if len(sizes) != 1:
        return None
    problems, samples = sizes.pop()
    return f"{problems} problems x {samples} samples"


def _cells(record: Record) -> list[str]:
    return [
        record["label"],
        record["benchmark"],
        _with_interval(record["accuracy"], record["accuracy_interval"]),
        _last(record["pass_at_k"]),
        _last(record["majority_at_k"]),
        f"{record['mean_tokens']:.0f}" if record["mean_tokens"] >= 100 else f"{record['mean_tokens']:.1f}",
        f"{record['truncated']:.1%}",
        f"{record['unparseable']:.1%}",
        f"{record['ock_score']:.1f}",
        f"{record['tokens_per_second']:,.0f}",
    ]


def _details(record: Record) -> list[list[str]]:
    return [
        [
            record["label"],
            record["benchmark"],
            k,
            _with_interval(value, record["pass_at_k_interval"][k]),
            _with_interval(record["majority_at_k"][k], record["majority_at_k_interval"][k])
            if k in record["majority_at_k"]
            else "",
        ]
        for k, value in record["pass_at_k"].items()
    ]


def _seconds(record: Record) -> list[str]:
    return [
        record["label"],
        record["benchmark"],
        f"{record['num_problems']}",
        f"{record['num_samples']}",
        f"{record['total_tokens']:,}",
        f"{record['generation_seconds']:.1f}",
        f"{record['grading_seconds']:.1f}",
        f"{record['num_unscorable_problems']}",
    ]


def _with_interval(value: float, interval: Sequence[float]) -> str:
    return f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


def _last(values: Mapping[str, float]) -> str:
    """The value with the largest k: "0.812 @8"."""
    if not values:
        return ""
    k = max(values, key=int)
    return f"{values[k]:.3f} @{k}"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _natural(label: str) -> list[tuple[bool, int, str]]:
    """Numbers in a label sort as numbers: checkpoint-50 before checkpoint-100."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", label)]

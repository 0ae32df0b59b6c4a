"""`ledger/pool.parquet`: what a report says of prompts by: their categories, and how their texts begin."""

from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rlkit.curriculum.estimators.features.text import prompt_text
from rlkit.prompts.pool import PromptPool
from rlkit.record.disk import put_in_place

POOL = Path("ledger") / "pool.parquet"
LONGEST = 300
"""Characters of a prompt that are kept."""
MOST_TEXTS = 20_000
"""Prompts of a pool whose texts are kept: reading those of a larger one would hold up the start."""
SCHEMA = pa.schema([("category", pa.string()), ("prompt", pa.string())])
"""One row a prompt, in the pool's order; null where there is no category, or the text is not kept."""


@dataclass(frozen=True)
class PoolTable:
    """Categories and beginnings of texts by pool index, as far as they were written; `size` of the pool."""

    size: int | None = None
    categories: dict[int, str] = field(default_factory=dict)
    prompts: dict[int, str] = field(default_factory=dict)


def write_pool(output_dir: Path, pool: PromptPool, with_prompts: bool) -> None:
    """Writes the table; the texts only `with_prompts`, and of a pool that is not too large."""
    categories = pool.column("category")
    prompts = pool.column("prompt") if with_prompts and len(pool) <= MOST_TEXTS else None
    nothing = [None] * len(pool)
    columns = {
        "category": nothing if categories is None else [_name(value) for value in categories.tolist()],
        "prompt": nothing if prompts is None else [writable(prompt_text(text)[:LONGEST]) for text in prompts],
    }
    path = output_dir / POOL
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    pq.write_table(pa.table(columns, schema=SCHEMA), temporary)
    put_in_place(temporary, path)


def read_pool(output_dir: Path) -> PoolTable:
    """What `write_pool` wrote; nothing known where there is no file."""
    path = output_dir / POOL
    if not path.exists():
        return PoolTable()
    table = pq.read_table(path)
    categories, prompts = (
        {index: value for index, value in enumerate(table[name].to_pylist()) if value is not None}
        for name in SCHEMA.names
    )
    return PoolTable(len(table), categories, prompts)


def writable(text: str) -> str:
    """The text with what UTF-8 cannot hold, such as half a surrogate pair, as "?"."""
    return text.encode("utf-8", errors="replace").decode("utf-8")


def _name(category: object) -> str | None:
    return None if category is None else writable(str(category))

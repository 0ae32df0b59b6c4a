"""Append-only Parquet in parts that are whole or not there, cut back to a generation when a run resumes.

Parts are written under a temporary name and renamed, at least at every checkpoint, so that a killed run
leaves whole parts only; resuming drops what lies after the checkpoint, and the steps that follow write it
again.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rlkit.record.disk import put_in_place


class Parts:
    """Parts `part-<first>-<last generation>.parquet` in a folder, which is made if it is missing.

    Args:
        schema: of the rows; its column `generation` never falls.
        generation: rows of this one and later that are on disk are dropped.
    """

    def __init__(self, folder: Path, schema: pa.Schema, generation: int = 0):
        self.folder, self.schema = folder, schema
        folder.mkdir(parents=True, exist_ok=True)
        self._truncate(generation)

    def write(self, table: pa.Table) -> None:
        """Writes a part with all these rows."""
        if len(table):
            self._write(table, table["generation"][0].as_py(), table["generation"][-1].as_py())

    def _write(self, table: pa.Table, first: int, last: int) -> None:
        part = self.folder / f"part-{first:08d}-{last:08d}.parquet"
        temporary = part.with_suffix(".tmp")
        pq.write_table(table, temporary)
        put_in_place(temporary, part)

    def _truncate(self, generation: int) -> None:
        for leftover in self.folder.glob("*.tmp"):
            leftover.unlink()
        for part in sorted(self.folder.glob("part-*.parquet")):
            first, last = _generations_of(part)
            if last < generation:
                continue
            if first < generation:
                table = pq.read_table(part)
                self._write(table.filter(pc.field("generation") < generation), first, generation - 1)
            part.unlink()


def read_parts(folder: Path, schema: pa.Schema) -> pa.Table:
    """All rows in order; none where there is no folder. A column that a part lacks, being older, is null."""
    parts = [schema.empty_table(), *(pq.read_table(part) for part in part_files(folder))]
    return pa.concat_tables(parts, promote_options="default")


def part_files(folder: Path) -> Iterator[Path]:
    """The parts in order, without those that a kill left beside the part that they were cut to."""
    covered = -1
    for part in sorted(folder.glob("part-*.parquet")):
        first, last = _generations_of(part)
        if first > covered:  # the part that is cut sorts before the one that it was
            yield part
            covered = last


def _generations_of(part: Path) -> tuple[int, int]:
    """The first and the last generation in a part, from its name."""
    first, last = part.stem.split("-")[1:]
    return int(first), int(last)

"""One benchmark of one model on disk, written so that a kill costs at most one chunk.

manifest.json       the settings; going on with others is an error
prompts.jsonl       what the model was asked, a line a problem
completions.jsonl   a line a completion, appended chunk after chunk and synced
chunks.jsonl        seconds and reward errors of each chunk
summary.json        the numbers, once all chunks are there
"""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rlkit.evaluate.chunk import Chunk
from rlkit.evaluate.plan import Plan, digest, problems_digest
from rlkit.evaluate.rows import Row

FORMAT = 1
NOT_COMPARED = ("model", "versions")  # a model may be moved, a library updated
DIGESTS = {
    "fingerprint": "the model's weights or configuration",
    "problems": "the problems' ids or columns",
    "prompts": "the prompts' tokens (template, instruction, examples or tokenizer)",
}


class Store:
    """The folder of one benchmark of one model; nothing is written before `begin`.

    Args:
        folder: OUT/<label>/<benchmark>.
        plan: what is sampled.
        origin: what the manifest says of the model: model, fingerprint, engine, versions.

    Raises:
        ValueError: the folder holds an evaluation with other settings.
    """

    def __init__(self, folder: Path, plan: Plan, origin: dict[str, Any]):
        self.folder, self.plan = folder, plan
        self.manifest = {"format": FORMAT, **origin, **_describe(plan)}
        self._check()

    def begin(self) -> int:
        """Write manifest and prompts, or cut off what a kill left unfinished; the number of chunks done."""
        if not (self.folder / "manifest.json").exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / "prompts.jsonl", to_lines(self._prompt_lines()))
            write_whole(self.folder / "manifest.json", json.dumps(self.manifest, indent=2) + "\n")
        done = self._cut(self.folder / "completions.jsonl")
        records = {record["chunk"]: record for record in self._chunk_records() if record["chunk"] < done}
        write_whole(self.folder / "chunks.jsonl", to_lines(records.values()))
        return done

    def append(self, number: int, chunk: Chunk) -> None:
        """Keep a chunk: first its seconds, then its rows, which are what counts."""
        record = {
            "chunk": number,
            "generation_seconds": chunk.generation_seconds,
            "grading_seconds": chunk.grading_seconds,
            "num_reward_errors": chunk.num_reward_errors,
        }
        _append(self.folder / "chunks.jsonl", [record])
        _append(self.folder / "completions.jsonl", map(asdict, chunk.rows))

    def read(self) -> Chunk:
        """Everything that was appended, as one chunk."""
        records = self._chunk_records()
        return Chunk(
            rows=read_rows(self.folder / "completions.jsonl"),
            generation_seconds=sum(record["generation_seconds"] for record in records),
            grading_seconds=sum(record["grading_seconds"] for record in records),
            num_reward_errors=sum(record["num_reward_errors"] for record in records),
        )

    def _check(self) -> None:
        path = self.folder / "manifest.json"
        if not path.exists():
            return
        theirs = json.loads(path.read_text())
        names = [name for name in {**self.manifest, **theirs} if name not in NOT_COMPARED]
        changed = [name for name in names if theirs.get(name) != self.manifest.get(name)]
        if changed:
            differences = [
                f"{DIGESTS[name]} differ"
                if name in DIGESTS
                else f"{name} is {theirs.get(name)!r} there, {self.manifest.get(name)!r} here"
                for name in changed
            ]
            raise ValueError(
                f"{self.folder} holds an evaluation with other settings: {'; '.join(differences)}. "
                "Give another --out, or delete that folder"
            )

    def _cut(self, path: Path) -> int:
        """Leave whole chunks only; their number."""
        size, ends = 0, [0]
        if path.exists():
            with path.open("rb") as file:
                for line in file:
                    size += len(line)
                    if line.endswith(b"\n"):
                        ends.append(size)
        num_rows = len(ends) - 1
        num_samples = self.plan.sampling.num_samples
        done = self.plan.num_chunks
        while done and self.plan.positions(done - 1).stop * num_samples > num_rows:
            done -= 1
        keep = self.plan.positions(done - 1).stop * num_samples if done else 0
        if path.exists():
            os.truncate(path, ends[keep])
        return done

    def _chunk_records(self) -> list[dict[str, Any]]:
        path = self.folder / "chunks.jsonl"
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith(b"\n")]

    def _prompt_lines(self) -> Iterable[dict[str, Any]]:
        for problem, prompt in zip(self.plan.task.problems, self.plan.prompts, strict=True):
            yield {"problem": problem.id, "prompt": prompt}


def _describe(plan: Plan) -> dict[str, Any]:
    """What the completions and their rewards depend on, but for the model."""
    benchmark = plan.task.benchmark
    return {
        "benchmark": benchmark.name,
        "num_problems": len(plan.prompts),
        "problems": problems_digest(plan.task.problems),
        "prompt_form": plan.prompt_form,
        "prompts": digest(plan.prompt_ids),
        "reward": benchmark.reward,
        "kind": benchmark.kind,
        **{name: list(value) if name == "stop" else value for name, value in asdict(plan.sampling).items()},
        "seed": plan.seed,
        "chunk_size": plan.chunk_size,
    }


def read_rows(path: Path) -> list[Row]:
    """The rows of a completions.jsonl."""
    with path.open(encoding="utf-8") as file:
        return [Row(**json.loads(line)) for line in file]


def to_lines(records: Iterable[dict[str, Any]]) -> str:
    return "".join(f"{json.dumps(record)}\n" for record in records)


def write_whole(path: Path, text: str) -> None:
    """A file with all of the text, or none."""
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _append(path: Path, records: Iterable[dict[str, Any]]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(to_lines(records))
        file.flush()
        os.fsync(file.fileno())

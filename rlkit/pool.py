"""The prompts that a run may choose from, and what is known of each.

A prompt's key is a hash of its content, so it survives reordering, other columns and other machines.
Candidates come from a stream of shuffled passes over the pool, so that every prompt is looked at once a
pass, whatever the selector then takes: uniform sampling is the stream itself.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

logger = logging.getLogger(__name__)


class PromptPool:
    """Rows, their keys, and per-prompt statistics as arrays.

    Args:
        rows: random-access rows (a `datasets.Dataset`, a list of dicts), one prompt each, without duplicates
            (`unique_prompts` finds them).
        key_N: stable 64-bit keys, one a row.
        seed: of the candidate stream.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], key_N: np.ndarray, seed: int = 0):
        self.rows = rows
        self.key_N = key_N
        self.seed = seed
        self.visits_N = np.zeros(len(key_N), dtype=np.int32)
        self.last_step_N = np.full(len(key_N), -1, dtype=np.int32)
        self._pass = 0
        self._position = 0
        self._order: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.key_N)

    def take(self, index_P: np.ndarray) -> list[dict[str, Any]]:
        """The rows at these indices. One read of a `datasets.Dataset`, which is slow a row at a time."""
        if not hasattr(self.rows, "column_names"):
            return [dict(self.rows[index]) for index in index_P.tolist()]
        columns = self.rows[index_P.tolist()]  # type: ignore[call-overload]
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def column(self, name: str) -> np.ndarray | None:
        """A column as an array, or None where the data has none of that name."""
        values = _column(self.rows, name)
        return None if values is None else np.asarray(values)

    def draw(self, num: int, exclude: np.ndarray) -> np.ndarray:
        """The next `num` prompts of the stream that are not in `exclude`; fewer where the pool has no more.

        A draw never holds a prompt twice, also where it runs over the end of a pass.
        """
        taken = np.zeros(len(self), dtype=bool) if len(exclude) else None
        if taken is not None:
            taken[exclude] = True
        parts: list[np.ndarray] = []
        missing = min(num, len(self) - len(exclude))
        while missing > 0:
            if self._order is None:
                self._order = np.random.default_rng((self.seed, self._pass)).permutation(len(self))
            rest = self._order[self._position : self._position + missing]
            self._position += len(rest)
            if taken is not None:
                rest = rest[~taken[rest]]
            parts.append(rest)
            missing -= len(rest)
            if self._position >= len(self):
                self._pass, self._position, self._order = self._pass + 1, 0, None
                if missing > 0:
                    taken = np.zeros(len(self), dtype=bool) if taken is None else taken
                    for part in parts:
                        taken[part] = True
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)

    def observe(self, index_P: np.ndarray, step: int) -> None:
        np.add.at(self.visits_N, index_P, 1)
        self.last_step_N[index_P] = step

    def metrics(self) -> dict[str, float]:
        """Share of the pool that was ever rolled out, mean visits of those, and passes of the stream."""
        seen = self.visits_N > 0
        return {
            "pool/coverage": float(seen.mean()),
            "pool/mean_visits": float(self.visits_N.sum() / max(seen.sum(), 1)),
            "pool/pass": self._pass + self._position / len(self),
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "key_N": self.key_N,
            "visits_N": self.visits_N,
            "last_step_N": self.last_step_N,
            "seed": self.seed,
            "pass": self._pass,
            "position": self._position,
        }

    def check_state(self, state: dict[str, Any], allow_changed: bool) -> None:
        """Raises ValueError where the data set has other prompts than the checkpoint, and says which."""
        old_key = np.asarray(state["key_N"])
        if allow_changed or np.array_equal(old_key, self.key_N):
            return
        known = np.isin(self.key_N, old_key)
        reordered = known.all() and len(old_key) == len(self)
        raise ValueError(
            f"the data set has changed since the checkpoint: it had {len(old_key)} prompts, now there are "
            f"{len(self)}, of which {int((~known).sum())} are new, {len(old_key) - int(known.sum())} are gone"
            f"{' and the order differs' if reordered else ''}; use the checkpoint's data, or set "
            "allow_changed_data=true to keep the statistics of the prompts known to both"
        )

    def load_state_dict(self, state: dict[str, Any], allow_changed: bool = False) -> None:
        """Restores the statistics and the stream.

        Raises:
            ValueError: the data set has other prompts than the checkpoint, unless `allow_changed`: then the
                prompts known to both keep their statistics and the stream starts a new pass.
        """
        self.check_state(state, allow_changed)
        old_key = np.asarray(state["key_N"])
        if np.array_equal(old_key, self.key_N):
            self.visits_N = np.array(state["visits_N"], dtype=np.int32)
            self.last_step_N = np.array(state["last_step_N"], dtype=np.int32)
            self.seed, self._pass, self._position = state["seed"], state["pass"], state["position"]
            self._order = None
            return
        known = np.isin(self.key_N, old_key)
        sorter = np.argsort(old_key)
        source = sorter[np.searchsorted(old_key, self.key_N[known], sorter=sorter)]
        self.visits_N[known] = state["visits_N"][source]
        self.last_step_N[known] = state["last_step_N"][source]
        self.seed, self._pass, self._position, self._order = state["seed"], state["pass"] + 1, 0, None


def _column_names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(getattr(rows, "column_names", None) or rows[0].keys())


def _column(rows: Any, name: str) -> Sequence[Any] | None:
    if name not in _column_names(rows):
        return None
    return rows[name] if hasattr(rows, "column_names") else [row[name] for row in rows]


def prompt_keys(rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """64-bit keys of the rows' prompts: blake2b of the text, or of the messages as canonical JSON.

    Rows with images are told apart by position too: the same question may be asked of two pictures.
    """
    prompts = _column(rows, "prompt")
    assert prompts is not None, "make_pool checks the column"
    columns = _column_names(rows)
    positional = "image" in columns or "images" in columns
    keys = np.empty(len(rows), dtype=np.uint64)
    for position, prompt in enumerate(prompts):
        text = prompt if isinstance(prompt, str) else json.dumps(prompt, sort_keys=True, default=str)
        if positional:
            text = f"{position}:{text}"
        keys[position] = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")
    return keys


def unique_prompts(key_N: np.ndarray) -> np.ndarray:
    """Positions of the first row of each key, in order. [7, 9, 7] -> [0, 1]"""
    return np.sort(np.unique(key_N, return_index=True)[1])


def make_pool(rows: Any, seed: int = 0) -> PromptPool:
    """A pool of the data set's prompts, each kept once.

    Raises:
        ValueError: the data set has no length (a stream), no rows, or no `prompt` column.
    """
    if not (hasattr(rows, "__len__") and hasattr(rows, "__getitem__")):
        raise ValueError(
            f"train_dataset ({type(rows).__name__}) has no length, and prompts are chosen from a pool; "
            "load it without streaming"
        )
    if len(rows) == 0:
        raise ValueError("train_dataset is empty (0 rows); give at least one batch of prompts")
    columns = _column_names(rows)
    if "prompt" not in columns:
        raise ValueError(
            f"train_dataset has no `prompt` column; it has: {', '.join(columns)}; "
            "rename the one that holds the prompt"
        )
    keys = prompt_keys(rows)
    unique = unique_prompts(keys)
    if len(unique) < len(rows):
        logger.warning(
            "%d of %d prompts are duplicates; each is kept once", len(rows) - len(unique), len(rows)
        )
        rows = rows.select(unique) if hasattr(rows, "select") else [rows[int(index)] for index in unique]
        keys = keys[unique]
    return PromptPool(rows, keys, seed)

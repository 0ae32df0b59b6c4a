"""The prompts that a run may choose from, and what is known of each.

A prompt is a row: its key is a hash of all of it (`keys.py`), so it survives reordering and other machines.
Candidates come from a stream of passes over the pool, shuffled or in the data's order, so that every prompt
is looked at once a pass, whatever the selector then takes: uniform sampling is the stream itself.
"""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from rlkit.prompts.rows import Rows, column, column_names
from rlkit.prompts.usable import Usable

logger = logging.getLogger(__name__)

MAX_LOOKS = 1 << 20
"""Prompts that a draw looks at before it gives up finding admissible ones: a bound on its time (ours)."""

Admission = Callable[[np.ndarray], np.ndarray]
"""From (N,) pool indices to the probabilities, (N,), that each becomes a candidate when its turn comes."""


class PromptPool:
    """Rows, their keys, and per-prompt statistics as arrays.

    Args:
        rows: random-access rows (a `datasets.Dataset`, a list of dicts), one prompt each, without duplicates
            (`unique_prompts` finds them).
        key_N: stable 64-bit keys, one a row.
        seed: of the candidate stream.
        shuffle: whether its passes are shuffled; else they go in the data's order.
    """

    def __init__(self, rows: Rows, key_N: np.ndarray, seed: int = 0, shuffle: bool = True):
        self.rows = rows
        self.key_N = key_N
        self.seed, self.shuffle = seed, shuffle
        self.visits_N = np.zeros(len(key_N), dtype=np.int32)
        self.last_step_N = np.full(len(key_N), -1, dtype=np.int32)
        self.step = -1
        """The latest step of `observe`; what counts by steps looks here."""
        self.usable = Usable(len(key_N))
        """The stream goes on past prompts that cannot be rolled out, as if the pool did not have them."""
        self._pass = 0
        self._position = 0
        self._order: np.ndarray | None = None
        self._sort_key_N: np.ndarray | None = None
        self._carried_N: np.ndarray | None = None
        self._num_seen = self._num_visits = 0

    def __len__(self) -> int:
        return len(self.key_N)

    def take(self, index_P: np.ndarray) -> list[dict[str, Any]]:
        """The rows at these indices. One read of a `datasets.Dataset`, which is slow a row at a time."""
        if not hasattr(self.rows, "column_names"):
            return [dict(self.rows[index]) for index in index_P.tolist()]
        columns = self.rows[index_P.tolist()]  # type: ignore[call-overload]
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def find(self, key_K: np.ndarray) -> np.ndarray:
        """The index of each key, -1 where the pool has none."""
        sorter = np.argsort(self.key_N)
        place_K = np.searchsorted(self.key_N, key_K, sorter=sorter)
        index_K = sorter[np.minimum(place_K, len(self) - 1)]
        return np.where(self.key_N[index_K] == key_K, index_K, -1)

    def column(self, name: str) -> np.ndarray | None:
        """A column as an array, or None where the data has none of that name."""
        return column(self.rows, name)

    @property
    def column_names(self) -> list[str]:
        return column_names(self.rows)

    @property
    def num_passes(self) -> int:
        """Passes of the stream that are over."""
        return self._pass

    def sort_by(self, key_N: np.ndarray) -> None:
        """Each pass of the stream goes by ascending key; ties stay as they were."""
        self._sort_key_N, self._order = key_N, None

    def prepare(self) -> None:
        """Shuffles the present pass, which takes a second for 10 million prompts: else the next draw does."""
        self._order_of_pass()

    def _order_of_pass(self) -> np.ndarray:
        """The present pass, (N,) indices: a function of the seed, the pass and the sort key alone."""
        if self._order is None:
            self._order = np.arange(len(self), dtype=np.int32 if len(self) < 2**31 else np.int64)
            if self.shuffle:
                np.random.default_rng((self.seed, self._pass)).shuffle(self._order)
            if self._sort_key_N is not None:
                self._order = self._order[np.argsort(self._sort_key_N[self._order], kind="stable")]
        return self._order

    def _next(self, num: int) -> np.ndarray:
        """The next `num` of the present pass, fewer at its end."""
        return self._order_of_pass()[self._position : self._position + num].astype(np.int64)

    def _advance(self, num: int) -> None:
        self._position += num
        if self._position >= len(self):
            self._pass, self._position, self._order = self._pass + 1, 0, None

    def draw(self, num: int, exclude: np.ndarray) -> np.ndarray:
        """The next `num` prompts of the stream that are not in `exclude`; fewer where the pool has no more.

        A draw never holds a prompt twice, also where it runs over the end of a pass.
        """
        taken = exclude
        parts: list[np.ndarray] = []
        found = 0
        while (missing := min(num, self._num_left(exclude)) - found) > 0:
            rest = self._next(missing)
            self._advance(len(rest))
            parts.append(rest[_outside(rest, taken) & self.usable(rest)])
            found += len(parts[-1])
            if self._position == 0:
                taken = np.concatenate([exclude, *parts])
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)

    def draw_admitted(
        self, num: int, exclude: np.ndarray, admission: Admission, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `draw`, but the stream goes on past prompts that are not admitted.

        A prompt that the stream reaches is admitted with the probability that `admission` gives it; if it is
        not, it waits for the next pass. A draw looks at no prompt twice and at `MAX_LOOKS` at most, so that
        it may find fewer than `num`.

        Returns:
            The prompts admitted, those passed over, and the probabilities of these, in the stream's order.
        """
        taken, looked_at = exclude, [exclude]
        unseen = self._num_left(exclude)
        missing, looks = min(num, unseen), min(unseen, max(num, MAX_LOOKS))
        admitted, passed_over, probabilities = ([np.empty(0, dtype=dtype)] for dtype in (int, int, float))
        size = num
        while missing > 0 and looks > 0:
            index = self._next(min(size, looks))
            probability = admission(index)
            num_bad = self.usable.num_bad
            fresh = _outside(index, taken) & self.usable(index)
            looks -= self.usable.num_bad - num_bad
            admits = fresh & (rng.random(len(index)) < probability)
            # What lies behind the last one wanted is left to the next draw.
            ends = np.flatnonzero(admits)[missing - 1 : missing]
            seen = slice(int(ends[0]) + 1) if len(ends) else slice(len(index))
            index, probability, fresh, admits = index[seen], probability[seen], fresh[seen], admits[seen]
            self._advance(len(index))
            looked_at.append(index)
            if self._position == 0:
                taken = np.concatenate(looked_at)
            admitted.append(index[admits])
            passed_over.append(index[fresh & ~admits])
            probabilities.append(probability[fresh & ~admits])
            missing, looks = missing - len(admitted[-1]), looks - int(fresh.sum())
            size *= 2
        return np.concatenate(admitted), np.concatenate(passed_over), np.concatenate(probabilities)

    def _num_left(self, exclude: np.ndarray) -> int:
        """Prompts outside of `exclude` that may yet be found."""
        return len(self) - len(exclude) - self.usable.num_bad

    def observe(self, index_P: np.ndarray, step: int) -> None:
        self.step = step
        self._num_seen += len(np.unique(index_P[self.visits_N[index_P] == 0]))
        self._num_visits += len(index_P)
        np.add.at(self.visits_N, index_P, 1)
        self.last_step_N[index_P] = step

    def metrics(self) -> dict[str, float]:
        """Share of the pool that was ever rolled out, mean visits of those, passes of the stream, and prompts
        found to be of no use."""
        return {
            "pool/coverage": self._num_seen / len(self),
            "pool/mean_visits": self._num_visits / max(self._num_seen, 1),
            "pool/pass": self._pass + self._position / len(self),
            "pool/unusable": self.usable.num_bad,
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "key_N": self.key_N,
            "visits_N": self.visits_N,
            "last_step_N": self.last_step_N,
            "seed": self.seed,
            "shuffle": self.shuffle,
            "pass": self._pass,
            "position": self._position,
            "unusable": self.usable.bad,
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
        self._carried_N = None
        if np.array_equal(old_key, self.key_N):
            self.visits_N = np.array(state["visits_N"], dtype=np.int32)
            self.last_step_N = np.array(state["last_step_N"], dtype=np.int32)
            self.seed, self.shuffle = state["seed"], state["shuffle"]
            self._pass, self._position = state["pass"], state["position"]
            self._order = None
            self.usable.set_bad(np.asarray(state["unusable"]))
            self._count()
            return
        known = np.isin(self.key_N, old_key)
        sorter = np.argsort(old_key)
        source = sorter[np.searchsorted(old_key, self.key_N[known], sorter=sorter)]
        self._carried_N = np.full(len(self), -1)
        self._carried_N[known] = source
        self.visits_N = self.carried(state["visits_N"], 0)
        self.last_step_N = self.carried(state["last_step_N"], -1)
        unusable_N = np.isin(np.arange(len(old_key)), state["unusable"])
        self.usable.set_bad(np.flatnonzero(self.carried(unusable_N, False)))
        self.seed, self._pass, self._position, self._order = state["seed"], state["pass"] + 1, 0, None
        self._count()

    def _count(self) -> None:
        self._num_seen = int(np.count_nonzero(self.visits_N))
        self._num_visits = int(self.visits_N.sum())
        self.step = int(self.last_step_N.max())

    def carried(self, old_N: np.ndarray, fill: float) -> np.ndarray:
        """A per-prompt array of the checkpoint that this pool was restored from, in this pool's order.

        Prompts that the checkpoint did not know get `fill`; with unchanged data it is a copy.
        """
        old_N = np.asarray(old_N)
        if self._carried_N is None:
            return old_N.copy()
        return np.where(self._carried_N >= 0, old_N[self._carried_N], old_N.dtype.type(fill))


def _outside(index_N: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Which are not among `taken`, (N,): work by the draw's size, not the pool's."""
    return ~np.isin(index_N, taken) if len(taken) else np.ones(len(index_N), dtype=bool)


def make_pool(rows: Any, seed: int = 0, shuffle: bool = True) -> PromptPool:
    """A pool of the data set's rows; of those that are the same in every column one is kept.

    Raises:
        ValueError: the data set has no length (a stream), no rows, or no `prompt` column.
    """
    # Loads pyarrow's functions, a tenth of a second that `import rlkit` does without.
    from rlkit.prompts.keys import prompt_keys, unique_prompts

    if isinstance(rows, dict):  # a DatasetDict, too
        raise ValueError(
            f"train_dataset ({type(rows).__name__}) holds several data sets ({', '.join(map(repr, rows))}); "
            f"give one of them, such as data[{next(iter(rows), 'train')!r}]"
        )
    if not (hasattr(rows, "__len__") and hasattr(rows, "__getitem__")):
        raise ValueError(
            f"train_dataset ({type(rows).__name__}) has no length, and prompts are chosen from a pool; "
            "load it without streaming"
        )
    if len(rows) == 0:
        raise ValueError("train_dataset is empty (0 rows); give at least one batch of prompts")
    columns = column_names(rows)
    if "prompt" not in columns:
        raise ValueError(
            f"train_dataset has no `prompt` column; it has: {', '.join(columns)}; "
            "rename the one that holds the prompt"
        )
    keys = prompt_keys(rows)
    unique = unique_prompts(keys)
    if len(unique) < len(rows):
        logger.warning(
            "%d of %d rows are the same as others in every column; each is kept once",
            len(rows) - len(unique),
            len(rows),
        )
        rows = rows.select(unique) if hasattr(rows, "select") else [rows[int(index)] for index in unique]
        keys = keys[unique]
    return PromptPool(rows, keys, seed, shuffle)

"""verl's V1 replay buffer with a curriculum in it: tells it of each round's groups, and asks for others.

trainer.v1.sampler.custom_sampler.path=pkg://rlkit.hosts.verl.replay_buffer
trainer.v1.sampler.custom_sampler.name=CurriculumBuffer
"""

import time
from typing import Any

import numpy as np
import transfer_queue as tq  # pyright: ignore[reportMissingImports]
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer  # pyright: ignore[reportMissingImports]

from rlkit.hosts.verl.groups import INDEX, make_groups
from rlkit.types import Groups


class CurriculumBuffer(ReplayBuffer):
    """`ReplayBuffer` of the synchronous V1 trainer; validation is verl's own.

    The data set with the curriculum is found through the trainer, whose method verl gives as `refill_fn`.
    """

    def sample(self, global_steps: int, partition_id: str, batch_size: int) -> tuple[Any, dict[str, Any]]:
        """The step's groups, once all rounds of it are over; the others are cleared."""
        if partition_id == "val":
            return super().sample(global_steps, partition_id, batch_size)
        trainer = self.refill_fn.__self__
        course = trainer.train_dataset.course
        signal = trainer.train_dataset.settings.curriculum.curriculum_signal
        unit = trainer.config.data.get("gen_batch_size") or batch_size
        known: set[str] = set()
        while True:
            names = self._ended(partition_id) - known
            known |= names
            if not (size := course.graded(*self._graded(partition_id, names, signal), unit)):
                break
            self.refill_fn(size)
        chosen = course.finish()
        self._clear_groups(partition_id, known - set(chosen))
        return self._materialize_batch(partition_id, chosen, dict(self.partitions[partition_id])), {}

    def _ended(self, partition_id: str) -> set[str]:
        """The names of all groups, once nothing is on its way."""
        told = time.time()
        while True:
            self._sync_metadata_from_transfer_queue()
            if not (self.pending_keys[partition_id] or self.running_keys[partition_id]):
                return self.finished_keys[partition_id] | self.failure_keys[partition_id]
            told = self._wait_for_next_poll(partition_id, told)

    def _graded(
        self, partition_id: str, names: set[str], signal: str | None
    ) -> tuple[Groups | None, list[str]]:
        """What came back of these groups: each session's last trajectory, whose score all of it have."""
        last: dict[tuple[str, str], tuple[int, str]] = {}
        for key in self.partitions[partition_id]:
            name, session, number = key.rsplit("_", 2)
            if name in names:
                last[name, session] = max(last.get((name, session), (-1, "")), (int(number), key))
        if not last:
            return None, []
        asked = [INDEX, "rm_scores", "response_mask", *(["extra_fields"] if signal else [])]
        keys = [key for _, key in last.values()]
        data = tq.kv_batch_get(keys=keys, partition_id=partition_id, select_fields=asked)
        index_R = [int(value) for value in data[INDEX]]
        score_R = [float(value.sum()) for value in data["rm_scores"]]
        length_R = [int(value.sum()) for value in data["response_mask"]]
        signal_R = score_R if signal is None else [_named(value, signal) for value in data["extra_fields"]]
        rows: dict[str, list[int]] = {}
        for row, (name, _) in enumerate(last):
            rows.setdefault(name, []).append(row)
        groups = make_groups(
            np.array([index_R[places[0]] for places in rows.values()], dtype=np.int64),
            *(
                [[of[row] for row in places] for places in rows.values()]
                for of in (signal_R, score_R, length_R)
            ),
        )
        return groups, list(rows)


def _named(extra: Any, signal: str) -> float:
    """A number that the reward function returned beside its score."""
    told = getattr(extra, "data", extra).get("reward_extra_info", {})
    if signal not in told:
        raise ValueError(
            f"verl's rewards have no {signal!r} (they have: {', '.join(sorted(told))}); the reward function "
            "must return it beside its score"
        )
    return float(told[signal])

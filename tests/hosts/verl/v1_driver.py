"""verl's own synchronous V1 trainer in this process, with its real TransferQueue on a Ray of one machine.

Workers and engines are left out, as in `verl_driver.py`: a prompt's completions succeed by coin flips that
depend on its row, the step and the round.
"""

from types import SimpleNamespace

import numpy as np
import torch
import transfer_queue as tq
from omegaconf import OmegaConf
from tensordict import TensorDict
from verl.trainer.ppo.v1 import PPOTrainerSync
from verl.utils.tensordict_utils import list_of_dict_to_tensordict
from verl_driver import GROUP, LENGTH, make_config

BUFFER = [
    "trainer.v1.sampler.custom_sampler.path=pkg://rlkit.hosts.verl.replay_buffer",
    "trainer.v1.sampler.custom_sampler.name=CurriculumBuffer",
]


def make_v1_config(folder, steps: int, *overrides: str):
    config = make_config(folder, steps, *BUFFER, *overrides)
    OmegaConf.update(config, "trainer.use_v1", True)
    return config


class V1Driver(PPOTrainerSync):
    """`PPOTrainerSync` without workers: `fit`, the loader, the replay buffer and the queue are verl's.

    Args:
        killed_at: the step in whose update the process ends, as a kill would end it; None for never.
        fails: whether the engine fails on a prompt; of those no completion comes back.
    """

    def __init__(self, config, killed_at: int | None = None, fails=lambda index, step: False):
        super().__init__(config)
        self.tokenizer = self.processor = None
        self.killed_at, self.fails = killed_at, fails
        self.asked: list[list[int]] = []
        self.trained: list[list[int]] = []
        nothing = SimpleNamespace(
            save_checkpoint=lambda *_, **__: None,
            load_checkpoint=lambda *_, **__: None,
            update_weights=lambda *_: None,
            sleep_replicas=lambda: None,
        )
        self.actor_rollout_wg = self.checkpoint_manager = nothing
        self.reward_loop_manager = SimpleNamespace(reward_loop_worker_handles=[])
        self._init_dataloader()
        self._init_dump_executor()
        self._load_checkpoint()

    def generate_sequences(self, prompts: TensorDict) -> None:
        """What verl's agent loop puts into the queue, with a score at each completion's last token."""
        infos, names = list(prompts["extra_info"]), list(prompts["uid"])
        index = [info["index"] for info in infos]
        self.asked.append(index)
        for row, (name, number) in enumerate(zip(names, index, strict=True)):
            if self.fails(number, self.global_steps):
                tq.kv_put(key=name, partition_id="train", tag={"status": "failure"})
                continue
            coins = np.random.default_rng([self.global_steps, number]).random(GROUP)
            fields = [
                self._completion(prompts, row, float(coin < (number % 16) / 15), session)
                for session, coin in enumerate(coins)
            ]
            tq.kv_batch_put(
                keys=[f"{name}_{session}_0" for session in range(GROUP)],
                partition_id="train",
                fields=list_of_dict_to_tensordict(fields),
                tags=[{"status": "success"}] * GROUP,
            )
            tq.kv_put(key=name, partition_id="train", tag={"status": "finished"})

    def _completion(self, prompts: TensorDict, row: int, score: float, session: int) -> dict:
        scores = torch.zeros(LENGTH)
        scores[-1] = score
        return {
            "responses": torch.ones(LENGTH, dtype=torch.int64),
            "response_mask": torch.ones(LENGTH, dtype=torch.int64),
            "rm_scores": scores,
            "rlkit_index": prompts["rlkit_index"][row],
            "extra_fields": {"reward_extra_info": {"acc": score}},
        }

    def _balance_batch(self, batch, metrics, **_):
        data = tq.kv_batch_get(
            keys=batch.keys, partition_id=batch.partition_id, select_fields=["rlkit_index"]
        )
        self.trained.append([int(value) for value in data["rlkit_index"]])
        return batch

    def _compute_old_log_prob(self, batch, metrics):
        return batch

    _compute_advantage = _compute_old_log_prob

    def _update_actor(self, batch, metrics):
        if self.global_steps == self.killed_at:
            raise KeyboardInterrupt
        return batch

    def _compute_metrics(self, *_, **__) -> None: ...

    def _start_profiling(self) -> None: ...

    def _stop_profiling(self) -> None: ...

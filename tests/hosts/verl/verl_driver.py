"""verl's own training loop in this process: its loader, its hooks in its order, its checkpoints' data.

Workers, engines and Ray are left out: a prompt's completions succeed by coin flips that depend on its row and
on the step, so that a resumed run meets the same answers as one that never stopped.
"""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import verl.trainer.config
from datasets import Dataset
from hydra import compose, initialize_config_dir
from verl import DataProto
from verl.trainer.ppo.ray_trainer import RayPPOTrainer

BATCH, GROUP, LENGTH = 8, 4, 6
NUM_PROMPTS = 64


def write_rows(path: Path) -> str:
    """Rows as verl's own preprocessing writes them: a chat, a source, a gold."""
    rows = [
        {
            "prompt": [{"role": "user", "content": f"{number} + {number}"}],
            "data_source": "toy",
            "reward_model": {"style": "rule", "ground_truth": str(2 * number)},
            "extra_info": {"index": number},
            "category": f"kind {number % 4}",
        }
        for number in range(NUM_PROMPTS)
    ]
    Dataset.from_list(rows).to_parquet(path)
    return str(path)


def make_config(folder: Path, steps: int, *overrides: str):
    """verl's whole configuration with a curriculum."""
    train, val = (write_rows(folder / f"{name}.parquet") for name in ("train", "val"))
    ours = [
        f"data.train_files={train}",
        f"data.val_files={val}",
        f"data.train_batch_size={BATCH}",
        "data.dataloader_num_workers=0",
        "data.shuffle=False",
        "data.seed=1",
        "data.filter_overlong_prompts=False",
        "data.custom_cls.path=pkg://rlkit.hosts.verl.dataset",
        "data.custom_cls.name=CurriculumDataset",
        f"actor_rollout_ref.rollout.n={GROUP}",
        "algorithm.adv_estimator=grpo",
        "trainer.logger=[]",
        "trainer.val_before_train=False",
        "trainer.test_freq=-1",
        "trainer.balance_batch=False",
        f"trainer.total_training_steps={steps}",
        f"trainer.default_local_dir={folder / 'run'}",
    ]
    with initialize_config_dir(str(Path(verl.trainer.config.__file__).parent), version_base=None):
        config = compose("ppo_trainer", overrides=[*ours, *overrides])
    if "use_v1" in config.trainer:
        config.trainer.use_v1 = False
    return config


class Driver(RayPPOTrainer):
    """`RayPPOTrainer` without workers: `fit`, the loader, saving and loading of its state are verl's.

    Args:
        killed_at: the step in whose update the process ends, as a kill would end it; None for never.
    """

    def __init__(self, config, killed_at: int | None = None):
        self.config, self.killed_at = config, killed_at
        self.tokenizer = self.processor = None
        self.use_critic = self.use_rm = self.use_reference_policy = False
        self.proposed: list[list[int]] = []
        nothing = SimpleNamespace(
            save_checkpoint=lambda *_, **__: None,
            load_checkpoint=lambda *_, **__: None,
            update_weights=self._killed_here,
            sleep_replicas=lambda: None,
        )
        self.actor_rollout_wg = self.checkpoint_manager = nothing
        self.async_rollout_manager = SimpleNamespace(generate_sequences=self._rolled_out)
        self.resource_pool_manager = SimpleNamespace(get_n_gpus=lambda: 1)
        self._init_dump_executor()
        self._create_dataloader(None, None, None, None)

    def _killed_here(self, step: int) -> None:
        if step == self.killed_at:  # after the checkpoint of this step, before on_batch_end
            raise KeyboardInterrupt

    def _rolled_out(self, prompts: DataProto) -> DataProto:
        """What verl's agent loop gives back, with a score at each completion's last token."""
        index = np.array([info["index"] for info in prompts.non_tensor_batch["extra_info"]])
        self.proposed.append(index[::GROUP].tolist())
        coins = np.random.default_rng(self.global_steps).random(len(index))
        passed = coins < ((index % 16) / 15)
        scores = torch.zeros(len(index), LENGTH)
        scores[:, -1] = torch.from_numpy(passed.astype(np.float32))
        ones = torch.ones(len(index), 2 * LENGTH, dtype=torch.int64)
        tensors = {
            "prompts": ones[:, :LENGTH],
            "responses": ones[:, LENGTH:],
            "input_ids": ones,
            "attention_mask": ones,
            "position_ids": ones.cumsum(-1) - 1,
            "response_mask": ones[:, LENGTH:],
            "rm_scores": scores,
        }
        extra = {
            "acc": passed.astype(object),
            "multi_modal_inputs": np.array([{} for _ in index], dtype=object),
            "__num_turns__": np.full(len(index), 2, dtype=np.int32),
        }
        meta = {"timing": {}, "reward_extra_keys": ["acc"]}
        return DataProto.from_dict(tensors, extra, meta_info=meta)

    def _compute_old_log_prob(self, batch: DataProto):
        shape = batch.batch["responses"].shape
        return DataProto.from_dict({"old_log_probs": torch.zeros(shape), "entropys": torch.zeros(shape)}), 0.0

    def _update_actor(self, batch: DataProto) -> DataProto:
        self.updated_with = batch
        return DataProto(meta_info={"metrics": {}})

    def _start_profiling(self, *_, **__) -> None: ...

    def _stop_profiling(self, *_, **__) -> None: ...

"""Settings and methods of a `GRPOTrainer` that have no place beside a curriculum: each is refused by name.

The others about data and sampling are honoured (docs/trainer.md lists them all).
"""

from typing import Any

from transformers import Trainer
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

REFUSED = {
    "enable_jit_checkpoint": (
        "saves in the middle of a step, when the curriculum has moved on and the policy has not; leave it "
        "off: SIGTERM saves at the step's end in any case"
    ),
    "ignore_data_skip": (
        "would begin the data anew, and the curriculum goes on where the checkpoint was, at no cost; leave "
        "it off, or start a new run from the checkpoint's weights (model_name_or_path)"
    ),
}
"""Flags of GRPOConfig, and why they must be off."""

SAMPLERS = ("get_train_dataloader", "_get_train_sampler")
"""Methods that choose rows of the data set."""


def check_settings(args: GRPOConfig) -> None:
    """Raises ValueError that names the setting, its value and the remedy."""
    for name, reason in REFUSED.items():
        if getattr(args, name):
            raise ValueError(f"{name} (True) {reason}")
    if args.train_sampling_strategy not in ("random", "sequential"):
        raise ValueError(
            f"train_sampling_strategy ({args.train_sampling_strategy!r}) orders rows by length, and here "
            "they are chosen by the curriculum; leave it at 'random', or set 'sequential'"
        )
    loader: Any = args.accelerator_config
    if loader.dispatch_batches:
        raise ValueError(
            "accelerator_config dispatch_batches (True) puts rows together as tensors, which prompts are "
            "not; leave it out"
        )
    if loader.split_batches and args.world_size > 1:
        raise ValueError(
            "accelerator_config split_batches (True) makes batches of other sizes than "
            "per_device_train_batch_size says; leave it out, and divide per_device_train_batch_size by the "
            f"number of processes ({args.world_size})"
        )


def check_methods(kind: type) -> None:
    """Raises ValueError where a subclass chooses rows itself."""
    for name in SAMPLERS:
        if getattr(kind, name) not in (getattr(GRPOTrainer, name), getattr(Trainer, name, None)):
            raise ValueError(
                f"{kind.__name__} overrides {name}, and here rows are chosen by the curriculum, so that it "
                "would have no effect; give a Curriculum with your own selector, or use TRL's GRPOTrainer"
            )

"""What the curriculum needs of verl's configuration, checked before a model loads."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf  # pyright: ignore[reportMissingImports]  (verl brings it)

from rlkit.settings.config import CurriculumConfig

BUFFER = ("pkg://rlkit.hosts.verl.replay_buffer", "CurriculumBuffer")
"""V1's replay buffer with the curriculum: path and name."""


@dataclass(frozen=True)
class VerlSettings:
    """The curriculum, and what it shares with verl's trainer.

    `batch_size` counts the prompts of a step, `group_size` the completions of each, `steps` those of the run;
    `folder` is where the account of the run goes; `is_v1` says that V1's trainer asks.
    """

    curriculum: CurriculumConfig
    batch_size: int
    group_size: int
    steps: int
    folder: Path
    is_v1: bool


def read_settings(data: DictConfig) -> VerlSettings:
    """Reads verl's node `data`, and beside it what the trainer does.

    Raises:
        ValueError: a setting is missing, or the curriculum could not follow the trainer with it.
    """
    _check_loader(data)
    is_v1 = bool(_of_trainer(data, "use_v1"))
    if is_v1:
        _check_v1(data)
    steps = _of_trainer(data, "total_training_steps")
    if steps is None:
        raise ValueError(
            "trainer.total_training_steps (null) must be the run's number of steps: a curriculum has no "
            "epochs that it could be counted by"
        )
    group_size = OmegaConf.select(data, "..actor_rollout_ref.rollout.n")
    if group_size is None or group_size < 2:
        raise ValueError(
            f"actor_rollout_ref.rollout.n ({group_size}) must be at least 2: a group of one has no advantage"
        )
    return VerlSettings(
        curriculum=_curriculum(data),
        batch_size=data.train_batch_size if is_v1 else data.get("gen_batch_size") or data.train_batch_size,
        group_size=group_size,
        steps=steps,
        folder=Path(_of_trainer(data, "default_local_dir") or "checkpoints") / "rlkit",
        is_v1=is_v1,
    )


def is_validation(data_files: Any, data: DictConfig) -> bool:
    """Whether these are the files of `data.val_files`; verl makes both data sets with one class.

    Raises:
        ValueError: training and validation read the same files, so that they cannot be told apart.
    """
    if _names(data.train_files) == _names(data.val_files):
        raise ValueError(
            f"data.val_files ({data.val_files}) are data.train_files; give validation files of its own, so "
            "that it is not taken for training"
        )
    return _names(data_files) == _names(data.val_files)


def _check_v1(data: DictConfig) -> None:
    """Its trainers never tell the data set what came out; a replay buffer can."""
    mode = _of_trainer(data, "v1.trainer_mode")
    if mode != "sync":
        raise ValueError(
            f"trainer.v1.trainer_mode ({mode}): verl saves the prompts that its asynchronous trainers have "
            "in flight (transfer_queue), and the curriculum has no state of them; set it to sync, or use "
            "AsyncCurriculumGRPOTrainer"
        )
    path, name = (_of_trainer(data, f"v1.sampler.custom_sampler.{part}") for part in ("path", "name"))
    if (path, name) != BUFFER:
        raise ValueError(
            f"trainer.v1.sampler.custom_sampler ({path}, {name}): verl's V1 trainers tell the data set "
            f"nothing, and the curriculum learns in a replay buffer; set its path={BUFFER[0]} and "
            f"name={BUFFER[1]}, or trainer.use_v1=False"
        )
    if OmegaConf.select(data, "..algorithm.filter_groups.enable"):
        raise ValueError(
            "algorithm.filter_groups.enable (True): the curriculum filters and refills; set it to False"
        )
    model = OmegaConf.select(data, "..reward.reward_model")
    if model is not None and model.enable and not model.enable_resource_pool:
        raise ValueError(
            "reward.reward_model.enable_resource_pool (False): the scores come after the batch is chosen; "
            "set it to True, or use a reward function"
        )


def _check_loader(data: DictConfig) -> None:
    if data.get("dataloader_num_workers", 0) != 0:
        raise ValueError(
            f"data.dataloader_num_workers ({data.dataloader_num_workers}) must be 0: a worker draws batches "
            "ahead, from a copy of the curriculum that never learns"
        )
    if data.get("shuffle", False):
        raise ValueError(
            "data.shuffle (True) must be False: the curriculum chooses the rows, and shuffles by data.seed"
        )


def _curriculum(data: DictConfig) -> CurriculumConfig:
    own = OmegaConf.to_container(data.rlkit, resolve=True) if "rlkit" in data else {}
    assert isinstance(own, dict)
    known = {item.name for item in fields(CurriculumConfig)}
    unknown = sorted(str(name) for name in own.keys() - known)
    if unknown:
        raise ValueError(f"data.rlkit has no {', '.join(unknown)}; its fields are CurriculumConfig's")
    if "curriculum" not in own:
        raise ValueError(
            "data.rlkit.curriculum is not set; name a preset, such as +data.rlkit.curriculum=mopps"
        )
    config = CurriculumConfig(**{str(name): value for name, value in own.items()})
    return (
        replace(config, curriculum_seed=data.get("seed") or 0) if config.curriculum_seed is None else config
    )


def _of_trainer(data: DictConfig, name: str) -> Any:
    return OmegaConf.select(data, f"..trainer.{name}")


def _names(files: Any) -> list[str]:
    return [str(files)] if isinstance(files, str) else [str(file) for file in files]

"""What `CurriculumGRPOTrainer` checks and makes before the model loads."""

from dataclasses import replace
from typing import Any

from datasets import Dataset
from torch import nn
from trl.trainer.grpo_config import GRPOConfig

from rlkit.curriculum.curriculum import Curriculum
from rlkit.curriculum.presets import build_curriculum, resolve_config
from rlkit.hosts.trl.declared_range import own_rewards, with_range
from rlkit.hosts.trl.refused import check_settings
from rlkit.prompts.pool import PromptPool
from rlkit.prompts.rows import column_names
from rlkit.settings.config import CurriculumConfig
from rlkit.verify.guard import OnError, guard
from rlkit.verify.returned import reward_name


def as_list(reward_funcs: Any) -> list[Any]:
    if reward_funcs is None:
        return []
    return reward_funcs if isinstance(reward_funcs, list) else [reward_funcs]


def guarded_rewards(reward_funcs: Any, on_error: OnError, timeout: float | None) -> list[Any]:
    """The reward functions as a list; plain functions no longer raise or hang: what they fail on is
    unscorable."""
    functions = as_list(reward_funcs)
    for function in functions:
        if not (isinstance(function, str) or callable(function)):
            raise ValueError(
                f"reward_funcs holds {function!r}, which is not callable; give a function, a model or a "
                "model's name"
            )
    return [
        function if isinstance(function, str | nn.Module) else guard(function, on_error, timeout)
        for function in functions
    ]


def guard_environments(trainer: Any, num_given: int, on_error: OnError, timeout: float | None) -> None:
    """The same for the `get_reward` of environments, which TRL puts behind the `num_given` rewards."""
    for position in range(num_given, len(trainer.reward_funcs)):
        reward = trainer.reward_funcs[position]
        reward.__name__ = trainer.reward_func_names[position]
        trainer.reward_funcs[position] = guard(reward, on_error, timeout, once=True)


def as_curriculum(
    curriculum: "str | CurriculumConfig | Curriculum",
    reward_funcs: list[Any],
    args: GRPOConfig,
    environment_factory: Any = None,
) -> tuple[Curriculum, bool]:
    """The curriculum, and whether a checkpoint of other data may be resumed."""
    if isinstance(curriculum, Curriculum):
        return curriculum, False
    config = resolve_config(curriculum)
    if config.curriculum_seed is None:
        config = replace(config, curriculum_seed=args.seed if args.data_seed is None else args.data_seed)
    functions = [function for function in reward_funcs if isinstance(function, str) or callable(function)]
    rewards = [*reward_names(functions), *own_rewards(environment_factory)]
    weights = getattr(args, "reward_weights", None)  # which the asynchronous trainer does not have
    return build_curriculum(with_range(config, rewards, weights)), config.allow_changed_data


def in_order(args: GRPOConfig) -> bool:
    """Whether passes over the pool go in the data's order."""
    return not args.shuffle_dataset or args.train_sampling_strategy == "sequential"


def check_curriculum(curriculum: Curriculum, pool: PromptPool, args: GRPOConfig) -> None:
    """Raises ValueError where the trainer's settings or its data do not go with the curriculum."""
    check_settings(args)
    columns = {"image", "images"} & set(pool.column_names)
    if curriculum.shelf is not None and columns:
        raise ValueError(
            f"curriculum={curriculum.name!r} keeps completions for later steps, which is not possible with "
            f"images (column {', '.join(sorted(columns))}); choose another curriculum"
        )
    if not curriculum.equal_groups and args.multi_objective_aggregation != "sum_then_normalize":
        raise ValueError(
            f"multi_objective_aggregation ({args.multi_objective_aggregation!r}) must be "
            "'sum_then_normalize' where an allocation gives groups of several sizes"
        )


def reward_names(reward_funcs: list[Any]) -> list[str]:
    """The names under which TRL logs the functions: a model's is the last part of its path."""
    names = []
    for function in reward_funcs:
        path = str(function.config._name_or_path) if isinstance(function, nn.Module) else function  # type: ignore[union-attr]
        names.append(path.split("/")[-1] if isinstance(path, str) else reward_name(path))  # type: ignore[arg-type]
    return names


def signal_column(signal: str | None, names: list[str]) -> int | None:
    """The column of the curriculum's reward function; None for the weighted total.

    Raises:
        ValueError: no reward function has that name, or several have.
    """
    if signal is None:
        return None
    if signal not in names:
        raise ValueError(
            f"curriculum_signal={signal!r} names no reward function; there are: {', '.join(names)}"
        )
    if names.count(signal) > 1:
        raise ValueError(
            f"curriculum_signal={signal!r} names {names.count(signal)} reward functions; give each a name of "
            "its own (its __name__)"
        )
    return names.index(signal)


PLACEHOLDER = [{"role": "user", "content": ""}]
"""TRL's prompt of a row without one: what the environment's reset says is added to it."""


def with_prompts(rows: Any, environments: Any) -> tuple[Any, bool]:
    """The data set with a `prompt` in each row, and whether it had one.

    Raises:
        ValueError: there is no data set, as an environment has its own.
    """
    if rows is None and environments is not None:
        raise ValueError(
            "train_dataset (None): the environment owns its data, and there is nothing that a curriculum "
            "could choose from; give a data set with a row for each task (its columns go to the "
            "environment's reset, a `prompt` is not needed), or use TRL's GRPOTrainer"
        )
    if environments is None or not isinstance(rows, list | Dataset) or len(rows) == 0:
        return rows, True  # `make_pool` says what is wrong with it
    if "prompt" in column_names(rows):  # type: ignore[arg-type]
        return rows, True
    if isinstance(rows, list):
        return [{**row, "prompt": PLACEHOLDER} for row in rows], False
    return rows.add_column("prompt", [PLACEHOLDER] * len(rows)), False  # type: ignore[call-arg]


def as_dataset(rows: Any) -> Any:
    """The pool's rows as TRL takes them: a list of dicts becomes a `Dataset`."""
    return Dataset.from_list(rows) if isinstance(rows, list) else rows

"""What can be checked of rewards, data and folders before the model loads."""

import inspect
import logging
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from torch import nn
from transformers import IntervalStrategy
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from rlkit.hosts.trl.hint_checks import check_hints
from rlkit.hosts.trl.reward_kinds import check_model_rewards
from rlkit.hosts.trl.rollouts import given_row
from rlkit.prompts.pool import PromptPool
from rlkit.prompts.rows import column_names
from rlkit.verify.guard import guard
from rlkit.verify.returned import NoListError, reward_name
from rlkit.verify.rewards import as_completion, grade

logger = logging.getLogger(__name__)

SIGNATURE = re.compile(
    r"missing \d+ required (positional|keyword-only) argument|got an unexpected keyword argument"
    r"|takes \d+ positional argument"
)
"""In the message of a TypeError: the function cannot be called with what it is given."""
OWN_COLUMNS = ("_calculate_rewards", "_generate_and_score_completions", "_prepare_inputs")
"""Methods whose override may give more columns to the rewards."""


def given_arguments(rest: tuple, named: dict[str, Any]) -> dict[str, Any]:
    """GRPOTrainer's arguments after `train_dataset` by their names."""
    names = list(inspect.signature(GRPOTrainer.__init__).parameters)[5:]
    return {**dict(zip(names, rest, strict=False)), **named}


def check_early(
    trainer: Any, functions: list[Any], pool: PromptPool, args: GRPOConfig, given: dict[str, Any]
) -> None:
    """Raises ValueError where the output folder, the held-out data, hints or a reward cannot work.

    Each reward function is called once with a completion of the first row. What else it raises then is a
    warning: its server may not be up yet, and in a run a failure counts as unscorable.
    """
    check_folder("output_dir", str(args.output_dir))
    heldout = given.get("eval_dataset")
    strategy: Any = args.eval_strategy
    if strategy != IntervalStrategy.NO and heldout is None:
        raise ValueError(
            f"eval_strategy ({strategy.value}) wants held-out data, and there is no eval_dataset; give one, "
            "or set eval_strategy to no"
        )
    check_model_rewards(trainer, functions, bool(given.get("environment_factory")))
    check_hints(trainer, functions, pool, args, given)
    trainer.objectives.check_data(functions, args)
    of_trl = all(getattr(type(trainer), name) in _known(name, trainer) for name in OWN_COLUMNS)
    if given.get("rollout_func") is not None or given.get("environment_factory") is not None or not of_trl:
        return  # these add to what rewards are given
    row = given_row(pool.take(np.array([0]))[0], args)
    check_rewards(functions, row, trainer.curriculum.safety.reward_timeout, "train_dataset")
    if isinstance(heldout, Dataset) and len(heldout):
        if "prompt" not in column_names(heldout):  # type: ignore[arg-type]
            raise ValueError(
                f"eval_dataset has no `prompt` column; it has: {', '.join(heldout.column_names)}; "
                "give it the form of train_dataset"
            )
        other = given_row(heldout[0], args)
        if other.keys() != row.keys():
            check_rewards(functions, other, trainer.curriculum.safety.reward_timeout, "eval_dataset")


def check_rewards(functions: list[Any], row: dict[str, Any], timeout: float | None, data: str) -> None:
    """Calls each reward function with a completion of `row`, one of `data`; reward models are left alone."""
    for function in functions:
        if isinstance(function, str | nn.Module):
            continue
        errors: list[Exception] = []
        guarded = guard(function, lambda name, num, error, seen=errors: seen.append(error), timeout)
        grade(guarded, [as_completion(row, "0")], [row])
        for error in errors:
            unusable = isinstance(error, TypeError) and SIGNATURE.search(str(error))
            if unusable or isinstance(error, NoListError):
                raise ValueError(
                    f"reward {reward_name(function)!r} can grade nothing ({type(error).__name__}: {error}): "
                    f"it gets prompts, completions and the columns of {data} ({', '.join(sorted(row))}), and "
                    "must return a list; name a column that there is, and take the others as **columns"
                ) from error
            logger.warning(
                "reward %s failed on a hand-made completion, '0', of the first row of %s; in a run such a "
                "failure counts as unscorable: %r",
                reward_name(function),
                data,
                error,
            )


def check_folder(field: str, folder: str) -> None:
    """Raises ValueError where the folder neither is there nor can be made, or takes no files."""
    path = Path(folder).absolute()
    there = next(parent for parent in (path, *path.parents) if parent.exists())
    if not there.is_dir():
        raise ValueError(f"{field} ({folder}) cannot be a folder: {there} is a file; choose another")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"{field} ({folder}) cannot be written: {there} takes no files; choose another")


def _known(name: str, trainer: Any) -> list[Any]:
    """TRL's method and ours."""
    owners = (GRPOTrainer, *(kind for kind in type(trainer).__mro__ if kind.__module__.startswith("rlkit.")))
    return [getattr(owner, name) for owner in owners]

"""The objectives in the trainer: at a generation, at each micro-batch, in checkpoints."""

import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from rlkit.hosts.trl.answering import answering
from rlkit.hosts.trl.doubled import doubled_logits, expected_discriminator
from rlkit.hosts.trl.learner import TRLLearner
from rlkit.hosts.trl.own_step import OwnSteps
from rlkit.hosts.trl.rollouts import given_row
from rlkit.hosts.trl.setup import reward_names
from rlkit.hosts.trl.step_record import PREFIX
from rlkit.objectives.objective import Collected, Objective, Scored, Tokens, Update
from rlkit.types import Batch
from rlkit.verify.guard import guard
from rlkit.verify.rewards import grade

WEIGHT = "token_weight"
"""The column of a batch that has the factors of its tokens' gradients."""
FORWARD = tuple(inspect.signature(GRPOTrainer._get_per_token_logps_and_entropies).parameters)[8:]
"""What the columns of a batch with images are called, as arguments of the forward."""


class Objectives(TrainerCallback):
    """Those of one trainer, in the order in which they were named; none of them costs nothing."""

    def __init__(self, trainer: Any, objectives: list[Objective]):
        self.trainer, self.all = trainer, objectives
        self.steps = OwnSteps(trainer)
        learner = TRLLearner(trainer)
        for objective in objectives:
            objective.bind(learner)

    def check_data(self, functions: list[Any], args: GRPOConfig) -> None:
        """Raises ValueError where an objective cannot learn from the data, before the model loads."""
        trainer = self.trainer
        signal = trainer.curriculum.signal
        named = list(zip(functions, args.reward_weights or [1.0] * len(functions), strict=False))
        if signal is not None:
            named = [(function, 1.0) for function, _ in named if reward_names([function]) == [signal]]
        plain = [
            (function, weight) for function, weight in named if not isinstance(function, str | nn.Module)
        ]
        graded = partial(_graded, plain, trainer.curriculum.safety.reward_timeout, args, trainer.has_prompts)
        for objective in self.all:
            if objective.needs_gradients:
                _check_gradients(objective.name, args)
            objective.check(trainer.pool, graded)

    def check_tokens(self) -> None:
        """Raises ValueError where the data do not go with model and tokenizer, which have loaded."""
        for objective in self.all:
            objective.check_tokens(self.trainer.pool)

    def collected(self, batch: Batch) -> None:
        """Shows them a generation."""
        if not self.all:
            return
        pool, index_P = self.trainer.pool, batch.groups.index_P
        collected = Collected(
            batch.groups,
            pool.key_N[index_P],
            lambda position_P: pool.take(index_P[position_P]),
            self.trainer.host.judgements.lessons(),
        )
        for objective in self.all:
            objective.collected(collected)

    def weigh(self, output: dict[str, Any]) -> dict[str, Any]:
        """Adds the factors of the tokens' gradients to a generation, where an objective gives some."""
        weighing = [item for item in self.all if type(item).token_weight is not Objective.token_weight]
        if not weighing:
            return output
        tokens = self._tokens(output)
        for objective in weighing:
            weight_RT = objective.token_weight(tokens)
            if weight_RT is not None:
                output[WEIGHT] = output[WEIGHT] * weight_RT if WEIGHT in output else weight_RT
        return output

    def _tokens(self, output: dict[str, Any]) -> Tokens:
        scored = self._scored(output)

        def expected() -> torch.Tensor:
            with doubled_logits(self.trainer):
                return expected_discriminator(scored, self._scored(output))

        return Tokens(scored, output["advantages"], expected)

    @torch.no_grad()
    def _scored(self, output: dict[str, Any]) -> Scored:
        trainer = self.trainer
        logprobs, entropies, _ = trainer._get_per_token_logps_and_entropies(
            trainer.model,
            torch.cat([output["prompt_ids"], output["completion_ids"]], dim=1),
            torch.cat([output["prompt_mask"], output["completion_mask"]], dim=1),
            output["completion_ids"].shape[1],
            batch_size=trainer.args.per_device_train_batch_size,
            compute_entropy=True,
            **{name: output[name] for name in FORWARD if name in output},
        )
        mask_RT = (output["completion_mask"] * output.get("tool_mask", 1)).bool()
        return Scored(logprobs.float(), entropies.float(), mask_RT)

    @contextmanager
    def weighing(self, inputs: dict[str, Any]) -> Iterator[None]:
        """Inside, gradients reach a micro-batch's tokens by their factors; all values stay."""
        if WEIGHT not in inputs:
            yield
            return
        score, weight_RT = self.trainer._get_per_token_logps_and_entropies, inputs[WEIGHT]

        def weighted(*args: Any, **kwargs: Any) -> tuple:
            logprobs, *others = score(*args, **kwargs)
            fixed = logprobs.detach()
            return fixed + weight_RT.to(fixed) * (logprobs - fixed), *others

        with answering(self.trainer, _get_per_token_logps_and_entropies=weighted):
            yield

    def terms(self, model: Any, loss: torch.Tensor) -> torch.Tensor | float:
        """What they add to the loss of the micro-batch under way."""
        trainer, total = self.trainer, 0.0
        parts = trainer.args.steps_per_generation
        turn = trainer._step % (parts * trainer.num_iterations)
        whole = loss * trainer.current_gradient_accumulation_steps
        for objective in self.all:
            term = objective.loss(Update(model, whole, turn % parts, turn // parts))
            if term is not None:
                mean = trainer.accelerator.gather(term.detach()).mean()
                trainer._metrics["train"][f"objectives/{objective.name}/loss"].append(float(mean))
                total = total + term / trainer.current_gradient_accumulation_steps
        return total

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        trainer = self.trainer
        between = trainer._step % (args.steps_per_generation * trainer.num_iterations) == 0
        for objective in self.all:
            losses = objective.step_losses(trainer.model_wrapped) if between else None
            if losses is not None:
                self.steps.take(objective.name, losses)
            row = {
                f"objectives/{objective.name}/{name}": value for name, value in objective.metrics().items()
            }
            trainer.record.note(row)
            for name, value in row.items():
                trainer._metrics["train"][f"{PREFIX}{name}"].append(value)

    def state_dict(self) -> dict[str, Any]:
        return {objective.name: objective.state_dict() for objective in self.all}

    def check_state(self, state: dict[str, Any]) -> None:
        """Raises ValueError where the checkpoint is of other objectives."""
        names = [objective.name for objective in self.all]
        if sorted(state) != sorted(names):
            raise ValueError(
                f"the checkpoint's objectives are {', '.join(state) or 'none'}, and this run's "
                f"{', '.join(names) or 'none'}; resume with the same, or start in another output_dir"
            )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.check_state(state)
        for objective in self.all:
            objective.load_state_dict(state[objective.name])


def _check_gradients(name: str, args: GRPOConfig) -> None:
    """Raises ValueError where gradients cannot be taken beside the update's."""
    parallel = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")
    if args.fsdp or args.deepspeed or any(os.environ.get(key, "").lower() == "true" for key in parallel):
        raise ValueError(
            f"objectives names {name!r}, which compares whole gradients, and FSDP and DeepSpeed shard them; "
            "use plain data parallelism (with LoRA where memory is short), or relift"
        )
    given: Any = args.gradient_checkpointing_kwargs or {}
    if args.gradient_checkpointing and given.get("use_reentrant"):
        raise ValueError(
            f"objectives names {name!r}, which takes gradients by themselves, and checkpoints with "
            "use_reentrant true have none; set gradient_checkpointing_kwargs to {use_reentrant: false}"
        )


def _graded(
    functions: list[tuple[Any, float]],
    timeout: float | None,
    args: GRPOConfig,
    has_prompts: bool,
    completions: list[Any],
    rows: list[dict[str, Any]],
) -> list[float | None]:
    """The weighted rewards of completions, one a row; None where no function could score one."""
    if not functions:
        raise ValueError(
            "objectives names one whose demonstrations a reward checks, and no reward function can be "
            "called before the model loads (a reward model or an environment's cannot); leave it out"
        )
    given = [given_row(row, args, has_prompts) for row in rows]
    columns = [
        grade(guard(function, lambda name, num, error: None, timeout), completions, given)
        for function, _ in functions
    ]
    totals: list[float | None] = []
    for values in zip(*columns, strict=True):
        scored = [
            weight * value for value, (_, weight) in zip(values, functions, strict=True) if value is not None
        ]
        totals.append(sum(scored) if scored else None)
    return totals

"""The numbers of a training run that commands change, where they live, and how each is changed.

A change is prepared first, which may refuse and alters nothing, and then applied, which cannot fail.
"""

from collections.abc import Callable
from typing import Any

import torch

from rlkit.curriculum.changes import changeable, changed
from rlkit.curriculum.curriculum import Curriculum
from rlkit.hosts.trl.setup import check_curriculum
from rlkit.live.check import WEIGHT, check_settings, curriculum_numbers
from rlkit.prompts.aside import Aside, check_known, check_left

Apply = Callable[[], None]


class Knobs:
    """The settings of a `CurriculumGRPOTrainer`, by name, as they are now."""

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self.learning_rate: float = trainer.args.learning_rate
        self.aside = Aside()
        self.began = self.values()

    def values(self) -> dict[str, Any]:
        """Every setting that can change, with its value."""
        trainer, curriculum = self.trainer, self.trainer.curriculum
        weights = zip(trainer.reward_func_names, trainer.reward_weights.tolist(), strict=True)
        return {
            "learning_rate": self.learning_rate,
            "temperature": trainer.temperature,
            **{f"{WEIGHT}{name}": float(f"{weight:.6g}") for name, weight in weights},  # float32
            **({} if curriculum.preset is None else changeable(curriculum.preset[0])),
        }

    def status(self) -> dict[str, Any]:
        """What `check_settings` and the page need to know."""
        curriculum: Curriculum = self.trainer.curriculum
        preset = curriculum.preset
        return {
            "settings": self.values(),
            "began": self.began,
            "config": None if preset is None else preset[0].numbers(),
            "curriculum": curriculum.name,
            "range_of_total": curriculum.signal_range.needed and curriculum.signal is None,
            "aside": self.aside.state(),
        }

    def prepare(self, new: dict[str, Any]) -> tuple[dict[str, Any], Apply]:
        """The values so far of these settings, and what changes them all.

        Raises:
            ValueError: one of them cannot be what it is to be.
        """
        check_settings(new, self.status())
        before, numbers = self.values(), curriculum_numbers(new)
        curriculum = self.trainer.curriculum
        if numbers:
            curriculum = changed(curriculum, numbers)
            check_curriculum(curriculum, self.trainer.pool, self.trainer.args)

        def apply() -> None:
            self.trainer.curriculum = curriculum
            for name, value in new.items():
                if name == "learning_rate":
                    self._set_learning_rate(float(value))
                elif name == "temperature":
                    self._set_temperature(float(value))
                elif name.startswith(WEIGHT):
                    self._set_weight(name.removeprefix(WEIGHT), float(value))

        return {name: before[name] for name in new}, apply

    def prepare_aside(self, name: str, value: dict[str, list[str]]) -> tuple[dict[str, Any], Apply]:
        """What is put aside so far, and what puts these prompts or categories aside, or brings them back.

        Raises:
            ValueError: the pool does not have them, they are not aside, or less than a batch would be left.
        """
        trainer = self.trainer
        named = Aside(frozenset(map(int, value.get("prompts", ()))), frozenset(value.get("categories", ())))
        check_known(trainer.pool, named)
        if name == "put_aside":
            other = Aside(self.aside.keys | named.keys, self.aside.categories | named.categories)
        elif named.keys <= self.aside.keys and named.categories <= self.aside.categories:
            other = Aside(self.aside.keys - named.keys, self.aside.categories - named.categories)
        else:
            raise ValueError(f"bring_back ({value}): not all of them are put aside")
        mask_N = other.mask(trainer.pool)
        check_left(trainer.pool, mask_N, trainer._num_groups)
        return self.aside.state(), lambda: self._put_aside(other, mask_N)

    def _put_aside(self, aside: Aside, mask_N: Any) -> None:
        self.aside = aside
        self.trainer.pool.usable.put_aside(mask_N)
        if self.trainer.curriculum.shelf is not None:
            self.trainer.curriculum.shelf.drop(self.trainer.pool.usable.aside)

    def _set_learning_rate(self, new: float) -> None:
        """The schedule goes on from the new rate: it multiplies what the run began with."""
        old, self.learning_rate = self.learning_rate, new
        scheduler = self.trainer.lr_scheduler
        scheduler = getattr(scheduler, "scheduler", scheduler)  # accelerate's has the real one inside
        bases = getattr(scheduler, "base_lrs", [])
        scheduler.base_lrs = [_scaled(base, old, new) for base in bases]
        for group in self.trainer.optimizer.param_groups:
            base = group.get("initial_lr", group["lr"])
            group["lr"] = _scaled(group["lr"], base, _scaled(base, old, new))
            group["initial_lr"] = _scaled(base, old, new)
        scheduler._last_lr = [group["lr"] for group in self.trainer.optimizer.param_groups]

    def _set_temperature(self, value: float) -> None:
        """Of the samples, and of the policy whose logprobs the loss compares."""
        trainer = self.trainer
        trainer.temperature = value
        if trainer.use_vllm:
            trainer.vllm_generation.temperature = value
        else:
            trainer.generation_config.temperature = value
            trainer.generation_kwargs["temperature"] = value

    def _set_weight(self, name: str, value: float) -> None:
        weights: torch.Tensor = self.trainer.reward_weights.clone()
        weights[self.trainer.reward_func_names.index(name)] = value
        self.trainer.reward_weights = weights

    def state_dict(self) -> dict[str, Any]:
        """What differs from how the run began."""
        changed = {name: value for name, value in self.values().items() if value != self.began[name]}
        return {"settings": changed, "aside": self.aside.state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` gave, before the curriculum's own state; the optimizer's checkpoint has
        its learning rate."""
        wanted = {**self.began, **state["settings"]}
        self.learning_rate = wanted.pop("learning_rate")
        differing = {name: value for name, value in wanted.items() if value != self.values()[name]}
        if numbers := curriculum_numbers(differing):
            self.trainer.curriculum = changed(self.trainer.curriculum, numbers)
        for name, value in differing.items():
            if name == "temperature":
                self._set_temperature(value)
            elif name.startswith(WEIGHT):
                self._set_weight(name.removeprefix(WEIGHT), value)
        aside = Aside.of_state(state["aside"])
        self._put_aside(aside, aside.mask(self.trainer.pool))


def _scaled(base: float, old: float, new: float) -> float:
    """`base` as it is when what was `old` is `new`, without rounding where they are one."""
    return new if base == old else base * (new / old if old else 1.0)

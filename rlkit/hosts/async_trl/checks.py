"""What cannot work in an asynchronous run, told before a model loads."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from transformers import AutoTokenizer

from rlkit.curriculum.curriculum import Curriculum
from rlkit.curriculum.estimators.perplexity_band import PerplexityBand
from rlkit.curriculum.filters import top_variance
from rlkit.curriculum.presets import PRESETS, build_curriculum
from rlkit.curriculum.sources.replay import Ahead, Replay
from rlkit.curriculum.sources.rounds import Rounds
from rlkit.hosts.async_trl.places import AsyncGRPOConfig
from rlkit.hosts.async_trl.senses import ServerSenses
from rlkit.hosts.async_trl.server import Server
from rlkit.prompts.pool import PromptPool
from rlkit.settings.config import CurriculumConfig

logger = logging.getLogger(__name__)


NEEDS_POLICY = ("policy", "states", "last_state")
"""Features that are read from the policy's inside, which no server shows."""


def why_not(curriculum: Curriculum) -> str | None:
    """What a curriculum has that an asynchronous run cannot give it; None where it can run."""
    needs = [name for name in NEEDS_POLICY if name in _features(curriculum)]
    if needs:
        return f"looks at the policy itself ({', '.join(needs)}), which is with the update"
    if curriculum.objectives:
        return f"adds to the update ({', '.join(curriculum.objectives)}), which is TRL's alone here"
    if curriculum.hints is not None:
        return "gives hints"
    if any(isinstance(source, Ahead) for source in curriculum.sources):
        return "gives replay a share of each batch beforehand (replay_share), and there are no rounds here"
    if [type(source) for source in curriculum.sources] not in ([Rounds], [Rounds, Replay]):
        names = ", ".join(type(source).__name__ for source in curriculum.sources)
        return f"takes groups from more than fresh rounds and replay ({names}), and there are no rounds here"
    rounds = curriculum.sources[0]
    assert isinstance(rounds, Rounds)
    if getattr(rounds.filter, "func", rounds.filter) is top_variance:
        return "compares the groups of a round"
    if rounds.allocation is not None:
        return "shares a round's completions out (allocation)"
    if curriculum.fill == "shrink":
        return "shrinks batches (fill=shrink), whose number of completions is TRL's here"
    return None


def _features(curriculum: Curriculum) -> list[str]:
    config = None if curriculum.preset is None else curriculum.preset[0]
    return ("" if config is None else (config.value_features or "")).split(",")


def reads_server(curriculum: Curriculum) -> bool:
    """Whether it looks at what the server says of a prompt's tokens."""
    return "likelihood" in _features(curriculum) or isinstance(curriculum.estimator, PerplexityBand)


def working_presets() -> list[str]:
    """The presets that an asynchronous run can have, as they are."""
    names = []
    for name in PRESETS:
        group = 2 if "screen" in PRESETS[name].numbers else None
        if why_not(build_curriculum(CurriculumConfig(name, screen=group, signal_max=1.0))) is None:
            names.append(name)
    return names


def check_curriculum(curriculum: Curriculum) -> None:
    """Raises ValueError where it cannot run, with the presets that can."""
    reason = why_not(curriculum)
    if reason is not None:
        raise ValueError(
            f"curriculum={curriculum.name!r} {reason}; in an asynchronous run these presets work: "
            f"{', '.join(working_presets())} (with value_features of row, text, answer, columns, past "
            "and likelihood), and CurriculumGRPOTrainer runs all"
        )


def check_settings(args: AsyncGRPOConfig) -> None:
    """Raises ValueError that names the setting, its value and the remedy."""
    if args.max_staleness < 1:
        raise ValueError(
            f"max_staleness ({args.max_staleness}) must be at least 1: the loader reads a batch ahead, so "
            "that a group is one policy version old when it is trained on; for updates on the policy's own "
            "completions alone use CurriculumGRPOTrainer"
        )
    samples = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
    if samples % args.num_generations:
        raise ValueError(
            f"an optimizer step's {samples} completions (per_device_train_batch_size "
            f"{args.per_device_train_batch_size} x gradient_accumulation_steps "
            f"{args.gradient_accumulation_steps} x {args.world_size} processes) must be a multiple of "
            f"num_generations ({args.num_generations}), so that a step has whole groups"
        )


def check_arguments(given: dict[str, Any]) -> None:
    """Raises ValueError for arguments of AsyncGRPOTrainer that have no place beside a curriculum."""
    reasons = {
        "environment_factory": "the rollout process here runs no environments; use CurriculumGRPOTrainer",
        "rollout_worker": "the curriculum brings its own; use TRL's AsyncGRPOTrainer for another",
    }
    for name, reason in reasons.items():
        if given.get(name) is not None:
            raise ValueError(f"{name} ({given[name]!r:.60}): {reason}")


def check_data(pool: PromptPool) -> None:
    """Raises ValueError for prompts that TRL's asynchronous loop does not take."""
    (row,) = pool.take(np.array([0]))
    if isinstance(row["prompt"], str):
        raise ValueError(
            f"train_dataset's prompts are plain text ({row['prompt'][:40]!r}), and TRL's asynchronous loop "
            'takes messages; write them as [{"role": "user", "content": ...}]'
        )
    pictures = {"image", "images"} & set(pool.column_names)
    if pictures:
        raise ValueError(
            f"train_dataset has pictures (column {', '.join(sorted(pictures))}), which TRL's asynchronous "
            "loop does not send; use CurriculumGRPOTrainer"
        )


def check_server(
    args: AsyncGRPOConfig, model: str, tokenizer: Any, senses: ServerSenses, reads: bool
) -> None:
    """Raises ValueError where the vLLM server does not answer, does not serve this model, or is too old.

    Prompts that leave no room for a completion in its context are passed over from here on. `reads` says
    whether the curriculum looks at prompts' tokens there.
    """
    if args.process_index:
        return
    server, pool = Server(args.vllm_server_base_url, args.vllm_server_timeout), senses.pool
    server.wait()
    tokenizer = tokenizer or AutoTokenizer.from_pretrained(model, trust_remote_code=args.trust_remote_code)
    more: Any = args.chat_template_kwargs or {}  # a dict, once the settings are made
    render = partial(tokenizer.apply_chat_template, add_generation_prompt=True, **more)
    (row,) = pool.take(np.array([0]))
    context = server.check(model, tokenizer, render(row["prompt"], tokenize=False))
    pool.usable.examine = Fits(pool, render, context - args.max_completion_length)
    senses.connect(server, tokenizer, render, context)
    if reads:
        server.token_logps(model, [render(row["prompt"], return_dict=False)])


class Fits:
    """Says which prompts the server can complete: its template takes them, in `room` tokens."""

    def __init__(self, pool: PromptPool, render: Callable[..., Any], room: int):
        self.pool, self.render, self.room = pool, render, room

    def __call__(self, index_N: np.ndarray) -> np.ndarray:
        """Whether each of these prompts can be, (N,); warns of those that cannot."""
        faults = [self._fault(row["prompt"]) for row in self.pool.take(index_N)]
        for index, fault in zip(index_N.tolist(), faults, strict=True):
            if fault is not None:
                logger.warning("row %d of the pool is left out: %s", index, fault)
        return np.array([fault is None for fault in faults])

    def _fault(self, prompt: Any) -> str | None:
        try:
            length = len(self.render(prompt, return_dict=False))
        except Exception as error:  # data sets are untrusted
            return f"the chat template does not take {prompt!r:.80} ({type(error).__name__}: {error})"
        if length > self.room:
            return (
                f"its prompt has {length} tokens, and the server's context leaves {self.room} beside "
                "max_completion_length"
            )
        return None


def groups_of_step(args: AsyncGRPOConfig) -> int:
    samples = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
    return samples // args.num_generations

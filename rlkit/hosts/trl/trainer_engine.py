"""Samples with a trainer's own engine between two optimizer steps, and leaves no trace in the training.

The policy is the one in memory: no second model, no checkpoint. With transformers it is the model itself,
unwrapped as TRL unwraps it; with vLLM it is TRL's engine, in this process or a server, after TRL's own weight
synchronization. A server's random state is its own and moves on.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from peft import PeftModel
from trl.models.utils import unwrap_model_for_generation

from rlkit.evaluate.engines import Sample, Sampling, TransformersEngine, to_sample
from rlkit.hosts.trl.judgements import replaced


class TrainerEngine:
    """The engine protocol of `rlkit.evaluate.engines` over a `GRPOTrainer`.

    Every process must call `sample` at once, and with as many batches: all take part in unwrapping a sharded
    model, in synchronizing weights and in tensor parallelism.
    """

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self.tokenizer = trainer._tokenizer
        config = trainer.accelerator.unwrap_model(trainer.model).config.get_text_config()
        of_vllm = trainer.args.vllm_max_model_length if trainer.use_vllm else None
        self.context: int | None = of_vllm or getattr(config, "max_position_embeddings", None)
        # What the devices are known to hold: the completions that each generates at once in training.
        self.batch_size = trainer.args.generation_batch_size // trainer.accelerator.num_processes

    def sample(self, prompt_ids: Sequence[list[int]], sampling: Sampling, seed: int) -> list[list[Sample]]:
        trainer = self.trainer
        if trainer.use_vllm:
            with unchanged_random_state(trainer.accelerator.device):
                return self._with_vllm(prompt_ids, sampling, seed)
        with (
            unwrap_model_for_generation(
                trainer.model_wrapped,
                trainer.accelerator,
                gather_deepspeed3_params=trainer.args.ds3_gather_for_generation,
                gradient_checkpointing_kwargs=trainer.args.gradient_checkpointing_kwargs,
            ) as model,
            torch.no_grad(),
            trainer._dist.summon_full_params(trainer.model_wrapped, recurse=False),
        ):
            base: Any = model.get_base_model() if isinstance(model, PeftModel) else model
            engine = TransformersEngine(base, self.tokenizer, self.batch_size)
            return engine.sample(prompt_ids, sampling, seed)

    def _with_vllm(
        self, prompt_ids: Sequence[list[int]], sampling: Sampling, seed: int
    ) -> list[list[Sample]]:
        trainer, num = self.trainer, sampling.num_samples
        # Tensor parallelism and a server want as many prompts of every process.
        missing = max(gather_object([len(prompt_ids)])) - len(prompt_ids)
        repeated = [ids for ids in [*prompt_ids, *prompt_ids[:1] * missing] for _ in range(num)]
        torch.manual_seed(seed)  # the generator that vLLM draws from in this process
        with _as_evaluated(trainer.vllm_generation, sampling):
            completion_ids, _ = trainer._generate_single_turn(repeated, None, {}, num_generations=num)
        eos_ids = set(trainer.eos_token_ids)
        samples = [to_sample(self.tokenizer, list(ids), eos_ids, sampling.stop) for ids in completion_ids]
        return [samples[start : start + num] for start in range(0, len(prompt_ids) * num, num)]

    def close(self) -> None:
        """The model stays: it is the trainer's."""


def _as_evaluated(engine: Any, sampling: Sampling) -> AbstractContextManager[None]:
    """TRL's vLLM engine with the temperature alone, as `rlkit eval` samples."""
    return replaced(
        engine,
        temperature=sampling.temperature,
        top_p=1.0,
        top_k=0,
        min_p=0.0,
        repetition_penalty=1.0,
        max_completion_length=sampling.max_new_tokens,
        generation_kwargs={"stop": list(sampling.stop)} if sampling.stop else {},
        structured_outputs_regex=None,
    )


@contextmanager
def unchanged_random_state(device: torch.device) -> Iterator[None]:
    """What is drawn inside does not move the generators of Python, NumPy and torch."""
    python, legacy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)

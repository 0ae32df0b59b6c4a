"""What objectives need of the trainer: scores of token sequences, demonstrations as tokens, values of all
processes."""

from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel
from trl.data_utils import common_prefix_length
from trl.trainer.utils import pad

from rlkit.hosts.trl.prompts import context_length, token_ids
from rlkit.objectives.objective import Example, Scored


class TRLLearner:
    """The `Learner` of a `CurriculumGRPOTrainer`."""

    def __init__(self, trainer: Any):
        self.trainer = trainer

    @property
    def num_processes(self) -> int:
        return self.trainer.accelerator.num_processes

    @property
    def rank(self) -> int:
        return self.trainer.accelerator.process_index

    @property
    def num_parts(self) -> int:
        return self.trainer.args.steps_per_generation

    def score(self, model: Any, examples: list[Example]) -> Scored:
        prompt_ids, prompt_mask = self._padded([example.prompt_ids for example in examples], "left")
        completion_ids, mask = self._padded([example.completion_ids for example in examples], "right")
        logprobs, entropies, _ = self.trainer._get_per_token_logps_and_entropies(
            model,
            torch.cat([prompt_ids, completion_ids], dim=1),
            torch.cat([prompt_mask, mask], dim=1),
            mask.shape[1],
            compute_entropy=True,
        )
        return Scored(logprobs, entropies, mask)

    def _padded(self, sequences: list[list[int]], side: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and mask, (R, T) each."""
        ids = [torch.tensor(sequence, dtype=torch.long) for sequence in sequences]
        masks = [torch.ones_like(sequence) for sequence in ids]
        device = self.trainer.accelerator.device
        padding: int = self.trainer._tokenizer.pad_token_id
        return (
            pad(ids, padding_value=padding, padding_side=side).to(device),
            pad(masks, padding_value=0, padding_side=side).to(device),
        )

    @property
    def parts_of_step(self) -> int:
        return self.trainer.args.gradient_accumulation_steps

    def unwrapped(self, model: Any) -> Any:
        return model.module if isinstance(model, DistributedDataParallel) else model

    def gradient(self, model: Any, loss: torch.Tensor) -> list[torch.Tensor]:
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        found = torch.autograd.grad(loss, trained, retain_graph=True, allow_unused=True)
        return [
            torch.zeros_like(parameter) if part is None else part
            for parameter, part in zip(trained, found, strict=True)
        ]

    def averaged(self, gradient: list[torch.Tensor]) -> list[torch.Tensor]:
        return [self.trainer.accelerator.reduce(part, reduction="mean") for part in gradient]

    @property
    def rows_at_once(self) -> int:
        return self.trainer.args.per_device_train_batch_size

    def encode(self, rows: list[dict[str, Any]], completions: list[Any]) -> list[Example]:
        most = self.trainer.max_completion_length
        examples = []
        for prompt_ids, ids in self._tokens(rows, completions):
            start = common_prefix_length(prompt_ids, ids)
            examples.append(Example(ids[:start], ids[start : start + most]))
        return examples

    def fits(self, rows: list[dict[str, Any]], completions: list[Any]) -> list[bool]:
        context = context_length(self.trainer)
        return [context is None or len(ids) <= context for _, ids in self._tokens(rows, completions)]

    def _tokens(
        self, rows: list[dict[str, Any]], completions: list[Any]
    ) -> Iterator[tuple[list[int], list[int]]]:
        """Each row's prompt, and prompt and completion together."""
        trainer, tokenizer = self.trainer, self.trainer._tokenizer
        for row, prompt_ids, completion in zip(rows, token_ids(trainer, rows), completions, strict=True):
            if isinstance(completion, str):
                end = "" if completion.endswith(tokenizer.eos_token) else tokenizer.eos_token
                ids = tokenizer(text=row["prompt"] + completion + end)["input_ids"]
            else:
                ids = tokenizer.apply_chat_template(
                    row["prompt"] + completion,
                    tools=trainer.tools or None,
                    chat_template=trainer.chat_template,
                    tokenize=True,
                    return_dict=True,
                    **trainer.chat_template_kwargs,
                )["input_ids"]
            yield prompt_ids, list(ids)

    def gathered(self, local_N: torch.Tensor) -> torch.Tensor:
        accelerator = self.trainer.accelerator
        lengths = accelerator.gather(torch.tensor([len(local_N)], device=local_N.device)).tolist()
        # Not accelerate's own padding: it gives another type where there is something to pad.
        padded = torch.nn.functional.pad(local_N, (0, max(lengths) - len(local_N)))
        parts = accelerator.gather(padded).chunk(len(lengths))
        return torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])

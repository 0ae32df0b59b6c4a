"""Runs for test_processes.py, alone or under torchrun: two_processes.py FOLDER JOBS.

JOBS is JSON: a list of [name, preset's settings, num_generations, batch of all processes, settings, resume].
Rewards and completions depend on the prompt and the place in the group only, not on the processes.
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

import pytest
import torch
from peft import LoraConfig
from tiny_judge import make_judging_model, make_judging_tokenizer
from tiny_trl import (
    by_place,
    even_start,
    losses,
    make_data,
    make_model,
    make_tokenizer,
    make_trainer,
    scripted,
    weights,
)

from rlkit import CurriculumConfig, CurriculumGRPOTrainer
from rlkit.collect import Batch
from rlkit.objectives import ObjectivesConfig
from rlkit.settings import program

JUDGED = "objectives/judgements/loss"
RANK, WORLD = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


class Noting(CurriculumGRPOTrainer):
    """Notes what this process chose, and the prompts and advantages of its share."""

    def __init__(self, *args, **kwargs):
        self.notes = []
        super().__init__(*args, **kwargs)

    def _log_collected(self, batch: Batch):
        super()._log_collected(batch)
        self.notes.append({"index": batch.groups.index_P.tolist(), "chosen": batch.chosen_B.tolist()})

    def _generate_and_score_completions(self, inputs):
        output = super()._generate_and_score_completions(inputs)
        if self.notes and "advantages" not in self.notes[-1]:
            tokenizer = self.processing_class
            self.notes[-1]["prompts"] = tokenizer.batch_decode(output["prompt_ids"], skip_special_tokens=True)
            self.notes[-1]["completions"] = output["completion_ids"].tolist()
            self.notes[-1]["advantages"] = output["advantages"].tolist()
        return output


def failing(completions, **columns):
    """Breaks down on completions with a one in them."""
    if any("1" in text for text in completions):
        raise RuntimeError("a one")
    return even_start(completions)


def even_end(completions, **columns):
    """1.0 where a text ends in an even digit: with greedy generation the same on any number of processes."""
    return [float(text[-1:] in tuple("02468")) for text in completions]


def shown(num_generations):
    """As by_place, and the demonstration is right."""
    place = by_place(num_generations, RANK)

    def shown(prompts, completions, **columns):
        values = place(prompts, completions)
        return [1.0 if text == "9+" else value for text, value in zip(completions, values, strict=True)]

    return shown


def run(folder, name, curriculum, num_generations, batch, settings, resume):
    extra = {}
    if name.startswith("lora"):
        extra["peft_config"] = LoraConfig(target_modules=["q_proj", "v_proj"], r=4)
    if name.startswith("disagree"):
        curriculum = {**curriculum, "curriculum_seed": RANK}
    settings = dict(settings)
    numbers = settings.pop("objectives", {})
    numbers |= {key: value // WORLD for key, value in numbers.items() if key.endswith("_rows")}
    extra["objectives"] = ObjectivesConfig(**numbers)
    judging = curriculum["curriculum"] == "metis"
    tokenizer = make_judging_tokenizer() if judging else make_tokenizer()
    extra["rollout_func"] = scripted(num_generations, RANK)
    reward, data = failing if name == "failing" else by_place(num_generations, RANK), None
    if name in ("relift", "amft"):
        reward, data = shown(num_generations), make_data().add_column("demonstration", ["9+"] * 64)
    if name == "rmt":
        data = make_data().add_column("reference", [f"{i % 10}{i // 10}+" for i in range(64)])
    if "hints" in curriculum:  # these go with TRL's own generation only
        data = make_data(16).add_column("solution", ["11\n35\n8"] * 16)
        reward, _ = even_end, extra.pop("rollout_func")
    trainer = make_trainer(
        folder / name,
        CurriculumConfig(**curriculum),
        reward,
        data=data,
        kind=Noting,
        num_generations=num_generations,
        per_device_train_batch_size=batch // WORLD,
        model=make_judging_model(2) if judging else make_model(),
        extra={"processing_class": tokenizer, **extra},
        **settings,
    )
    if name == "outside":
        with pytest.raises(ValueError) as error:
            trainer.train()
        (folder / f"{name}-{RANK}.json").write_text(json.dumps(str(error.value)))
        return
    trainer.train(resume_from_checkpoint=resume)
    whole = {key: getattr(tensor, "full_tensor", tensor.clone)() for key, tensor in weights(trainer).items()}
    total = {key: float(tensor.double().abs().sum()) for key, tensor in whole.items()}
    judged = [line[JUDGED] for line in trainer.state.log_history if JUDGED in line]
    result = {"notes": trainer.notes, "losses": losses(trainer), "weights": total, "judged": judged}
    (folder / f"{name}-{RANK}{'-resumed' if resume else ''}.json").write_text(json.dumps(result))


def main(folder, jobs):
    torch.set_num_threads(1)
    for job in json.loads(jobs):
        run(Path(folder), *job)
    program.leave()


if __name__ == "__main__":
    main(*sys.argv[1:])

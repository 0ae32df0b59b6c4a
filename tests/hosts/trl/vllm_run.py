"""Runs with vLLM, one after the other in one process: loading vLLM takes longest.

    python vllm_run.py FOLDER

FOLDER/runs.json holds each run's name and settings (`Run`). A run leaves in FOLDER/NAME what a trainer
leaves, and `seen.json`: the trainer's log, and the calls of the engine.
"""

import gc
import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tiny_vllm
import torch
import trl.generation.vllm_client as client
import trl.generation.vllm_generation as generation
import vllm_on_cpu
from datasets import Dataset
from peft import LoraConfig
from tiny_judge import make_judging_tokenizer
from tiny_trl import make_args, make_data
from trl.generation.vllm_client import VLLMClient

from rlkit import CurriculumConfig, CurriculumGRPOTrainer
from rlkit.evaluate.benchmark import Benchmark
from rlkit.evaluate.plan import make_task
from rlkit.hosts.trl.benchmarks import BenchmarkCallback
from rlkit.hosts.trl.judgements import replaced
from rlkit.objectives import ObjectivesConfig


@dataclass
class Run:
    """One training; `benchmark` is a file of problems, `resumed` the run whose first half it goes on from.

    `stale` leaves the engine as it was after the first step; `server` is an address in place of this process.
    """

    curriculum: str
    numbers: dict[str, Any] = field(default_factory=dict)
    objectives: dict[str, Any] = field(default_factory=dict)
    reward: str = "has_seven"
    steps: int = 4
    tied: bool = False
    peft: bool = False
    prompt_length: int = 4
    solution: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    benchmark: str | None = None
    resumed: str | None = None
    stale: bool = False
    server: str | None = None


class Engine:
    """Makes TRL's engine. One serves all runs of a model: each finds the weights of the run before in it."""

    def __init__(self, make: Any):
        self.make = make
        self.settings: dict[str, Any] = {}

    def __call__(self, **settings: Any) -> Any:
        if settings != self.settings:
            self.llm = None
            gc.collect()  # a process can hold one
            self.llm = self.make(
                enforce_eager=True,
                dtype="float32",
                disable_log_stats=False,
                block_size=tiny_vllm.BLOCK,
                **settings,
            )
            self.settings = settings
        return self.llm


def make_trainer(run: Run, folder: Path) -> CurriculumGRPOTrainer:
    model = folder.with_name("tied" if run.tied else "untied")
    if not model.exists():
        tiny_vllm.save_model(model, tied=run.tied)
    rows = make_data(200).to_list()
    for row in rows:
        row["prompt"] = row["prompt"].rjust(run.prompt_length, row["prompt"][2])
        row["demonstration"] = "7"
        if run.solution is not None:
            row["solution"] = run.solution
        row["tier"] = ("easy", "medium", "hard")[int(row["answer"]) % 3]
    trainer = CurriculumGRPOTrainer(
        str(model),
        reward_funcs=getattr(tiny_vllm, run.reward),
        args=make_args(
            folder,
            use_vllm=True,
            vllm_mode="server" if run.server else "colocate",
            vllm_server_base_url=run.server,
            vllm_max_model_length=2048,
            max_steps=run.steps,
            model_init_kwargs={"dtype": "float32"},
            **run.settings,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=make_judging_tokenizer(),
        peft_config=LoraConfig(target_modules=["q_proj", "v_proj"], r=4) if run.peft else None,
        curriculum=CurriculumConfig(run.curriculum, **run.numbers),
        objectives=ObjectivesConfig(**run.objectives),
    )
    if run.benchmark is not None:
        digits = Benchmark(
            name="digits",
            reward=f"{tiny_vllm.__file__}:even_length",
            question="{question}",
            data=run.benchmark,
            stop=("7",),
        )
        trainer.add_callback(
            BenchmarkCallback(
                trainer, [make_task(digits)], 2, num_samples=4, max_new_tokens=6, prompt_form="plain"
            )
        )
    return trainer


@contextmanager
def watched(trainer: Any, run: Run) -> Iterator[list[dict[str, Any]]]:
    """The engine's calls inside: weights that it took, and prompts with the tokens found in its cache."""
    engine, calls = trainer.vllm_generation, []
    sync_weights = engine.sync_weights
    sampler = engine.vllm_client if run.server else engine.llm
    generate = sampler.generate

    def watched_sync() -> None:
        calls.append({"call": "sync", "step": trainer.state.global_step})
        if not (run.stale and trainer.state.global_step > 0):
            sync_weights()

    def watched_generate(prompts: list, **rest: Any) -> Any:
        before = cache_counts(sampler)
        generated = generate(prompts, **rest)
        counts = {name: value - before[name] for name, value in cache_counts(sampler).items()}
        ids = prompts if run.server else [prompt["prompt_token_ids"] for prompt in prompts]
        num = rest["n"] if run.server else rest["sampling_params"].n
        calls.append(
            {"call": "generate", "step": trainer.state.global_step, "prompts": ids, "n": num, **counts}
        )
        return generated

    with replaced(engine, sync_weights=watched_sync), replaced(sampler, generate=watched_generate):
        yield calls


def cache_counts(sampler: Any) -> dict[str, float]:
    """Tokens of prompts so far, and those of them that were in the prefix cache."""
    if isinstance(sampler, VLLMClient):
        text = sampler.session.get(f"{sampler.base_url}/metrics").text
        found = re.findall(r"^vllm:prefix_cache_(queries|hits)_total\{.*\} (\S+)$", text, re.MULTILINE)
        return {name: float(value) for name, value in found}
    names = {"vllm:prefix_cache_queries": "queries", "vllm:prefix_cache_hits": "hits"}
    return {names[metric.name]: metric.value for metric in sampler.get_metrics() if metric.name in names}


def execute(run: Run, folder: Path) -> None:
    checkpoint = None
    if run.resumed is not None:
        shutil.copytree(folder.with_name(run.resumed), folder)
        checkpoint = str(folder / f"checkpoint-{run.steps // 2}")
    trainer = make_trainer(run, folder)
    with watched(trainer, run) as calls:
        trainer.train(resume_from_checkpoint=checkpoint)
    (folder / "seen.json").write_text(json.dumps({"log": trainer.state.log_history, "calls": calls}))


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    generation.LLM = Engine(generation.LLM)
    VLLMClient.init_communicator = vllm_on_cpu.connect_through_file
    client.packed_nccl_broadcast_producer = vllm_on_cpu.send_through_file
    for name, settings in json.loads((folder / "runs.json").read_text()).items():
        execute(Run(**settings), folder / name)
        print(name, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

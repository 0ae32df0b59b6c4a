"""Benchmarks during a training, on the policy and the engine that train."""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from accelerate.utils import gather_object
from transformers import Trainer, TrainerCallback

from rlkit.evaluate.chunk import Chunk, run_chunk
from rlkit.evaluate.plan import BATCH_SIZE, Plan, PromptForm, Settings, Task, make_plan
from rlkit.evaluate.run import check_lengths
from rlkit.evaluate.summary import summarize
from rlkit.hosts.trl.trainer_engine import TrainerEngine, unchanged_random_state

logger = logging.getLogger(__name__)


class BenchmarkCallback(TrainerCallback):
    """Every few steps and at the end, samples and grades benchmarks and logs them as `eval_<benchmark>/...`,
    which trackers show under `eval/`: `accuracy`, `pass@<num_samples>`, `tokens` (mean of a completion),
    `truncated` (share) and `seconds`. Before the first step too, where `eval_on_start` is set.

    The training goes on as if nothing had happened: weights, random states and its own log are the same.

    Args:
        trainer: a `GRPOTrainer` or one of ours; its engine samples, at the temperature given here alone.
        tasks: from `rlkit.evaluate.plan.make_task`.
        every_steps: optimizer steps between evaluations.
        num_samples: completions a problem.
        temperature: 0 takes the most likely token.
        max_new_tokens: of a completion. Default: the trainer's `max_completion_length`, which cuts more than
            `rlkit eval` with the benchmark's own limit.
        prompt_form: as of `rlkit eval`: auto, chat or plain.
        seed: the same at every step, so that steps differ by the policy alone.

    Raises:
        ValueError: two benchmarks have one name, or a prompt leaves no room in the model's context.

    Example:
        tasks = [make_task(find_benchmark("gsm8k"), limit=200)]
        trainer.add_callback(BenchmarkCallback(trainer, tasks, every_steps=50))
    """

    def __init__(
        self,
        trainer: Any,
        tasks: Sequence[Task],
        every_steps: int,
        num_samples: int = 1,
        temperature: float = 1.0,
        max_new_tokens: int | None = None,
        prompt_form: PromptForm = "auto",
        seed: int = 0,
    ):
        if every_steps < 1:
            raise ValueError(f"every_steps ({every_steps}) must be at least 1")
        names = [task.benchmark.name for task in tasks]
        if len(set(names)) < len(names):
            raise ValueError(f"benchmarks {names} must have different names: they are logged by them")
        self.trainer, self.every_steps = trainer, every_steps
        self.engine = TrainerEngine(trainer)
        self.world = trainer.accelerator.num_processes
        settings = Settings(
            num_samples=num_samples,
            temperature=temperature,
            max_new_tokens=trainer.max_completion_length if max_new_tokens is None else max_new_tokens,
            prompt_form=prompt_form,
            batch_size=BATCH_SIZE["vllm"] if trainer.use_vllm else self.engine.batch_size,
            seed=seed,
        )
        self.plans = [self._plan(task, settings) for task in tasks]

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if args.eval_on_start and state.global_step == 0:
            self._evaluate(control)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step % self.every_steps == 0 or control.should_training_stop:
            self._evaluate(control)

    def evaluate_now(self) -> None:
        """Called by a command of the live page, between two steps."""
        self._evaluate(self.trainer.control)

    def _plan(self, task: Task, settings: Settings) -> Plan:
        """The chunks are small enough that every process has one."""
        plan = make_plan(task, self.engine.tokenizer, settings)
        check_lengths("the trainer's engine", self.engine, plan)
        return replace(plan, chunk_size=min(plan.chunk_size, -(-len(plan.prompts) // self.world)))

    def _evaluate(self, control: Any) -> None:
        logs = {}
        with unchanged_random_state(self.trainer.accelerator.device):  # a reward may draw, too
            for plan in self.plans:
                logs |= self._metrics(plan)
        should_log = control.should_log
        Trainer.log(self.trainer, logs)  # GRPOTrainer.log would empty the training's own metrics
        control.should_log = should_log  # logging takes it for done

    def _metrics(self, plan: Plan) -> dict[str, float]:
        """The numbers of one benchmark; none but a warning where nothing could be scored."""
        name = plan.task.benchmark.name
        start = time.perf_counter()
        chunk = self._run(plan)
        if not any(row.scorable for row in chunk.rows):
            logger.warning("benchmark %s: its reward could score none of the problems", name)
            return {}
        summary = summarize(chunk, has_votes=False, seed=plan.seed)
        k = plan.sampling.num_samples
        return {
            f"eval_{name}/accuracy": summary.accuracy,
            f"eval_{name}/pass@{k}": summary.pass_at_k[k],
            f"eval_{name}/tokens": summary.mean_tokens,
            f"eval_{name}/truncated": summary.truncated,
            f"eval_{name}/seconds": time.perf_counter() - start,
        }

    def _run(self, plan: Plan) -> Chunk:
        """All chunks, in turn on the processes; one that has none left repeats one, as all must take part."""
        chunks: dict[int, Chunk] = {}
        for first in range(0, plan.num_chunks, self.world):
            number = min(first + self.trainer.accelerator.process_index, plan.num_chunks - 1)
            chunks |= dict(gather_object([(number, run_chunk(self.engine, plan, number))]))
        done = [chunks[number] for number in range(plan.num_chunks)]
        return Chunk(
            rows=[row for chunk in done for row in chunk.rows],
            generation_seconds=sum(chunk.generation_seconds for chunk in done),
            grading_seconds=sum(chunk.grading_seconds for chunk in done),
            num_reward_errors=sum(chunk.num_reward_errors for chunk in done),
        )

"""What is to be sampled and graded: a benchmark's problems, their prompts for one model, and the chunks.

Problems go through in chunks by position, each with a seed of its own, so that what comes out does not depend
on where a run was interrupted.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

from rlkit.evaluate.benchmark import Benchmark
from rlkit.evaluate.engines import EngineName, Sampling
from rlkit.evaluate.problems import Problem, Prompt, load_problems, make_prompt
from rlkit.verify.load import load_reward
from rlkit.verify.rewards import Reward, check_reward

PromptForm = Literal["auto", "chat", "plain"]
BATCH_SIZE: dict[EngineName, int] = {"transformers": 32, "vllm": 2048}


@dataclass(frozen=True)
class Settings:
    """How every benchmark is asked. ValueError for what cannot be meant."""

    num_samples: int = 1
    temperature: float = 1.0
    max_new_tokens: int | None = None
    """None takes each benchmark's own."""
    prompt_form: PromptForm = "auto"
    """`auto` takes the chat template where the tokenizer has one; say `plain` for base models with one."""
    engine: EngineName = "transformers"
    batch_size: int | None = None
    """Completions at once; also how much of the work is lost at most when a run is killed."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.prompt_form not in ("auto", "chat", "plain"):
            raise ValueError(f"prompt ({self.prompt_form!r}) must be auto, chat or plain")
        if self.engine not in BATCH_SIZE:
            raise ValueError(f"engine ({self.engine!r}) must be one of {', '.join(BATCH_SIZE)}")
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch_size ({self.batch_size}) must be at least 1")
        self.sampling(max_new_tokens=1)

    def sampling(self, max_new_tokens: int, stop: tuple[str, ...] = ()) -> Sampling:
        length = max_new_tokens if self.max_new_tokens is None else self.max_new_tokens
        return Sampling(self.num_samples, length, self.temperature, stop)

    @property
    def completions_at_once(self) -> int:
        return self.batch_size or BATCH_SIZE[self.engine]

    @property
    def chunk_size(self) -> int:
        """Problems in a chunk."""
        return max(1, self.completions_at_once // self.num_samples)


@dataclass(frozen=True)
class Task:
    """A benchmark with its problems and its reward, ready for any model."""

    benchmark: Benchmark
    problems: list[Problem]
    reward: Reward


@dataclass(frozen=True)
class Plan:
    """A task for one model. `prompt_ids` are tokens; `prompt_form` is "chat", "plain" or "given"."""

    task: Task
    prompts: list[Prompt]
    prompt_ids: list[list[int]]
    prompt_form: str
    sampling: Sampling
    chunk_size: int
    seed: int

    @property
    def num_chunks(self) -> int:
        return -(-len(self.prompts) // self.chunk_size)

    def positions(self, chunk: int) -> range:
        """The problems of a chunk."""
        return range(chunk * self.chunk_size, min((chunk + 1) * self.chunk_size, len(self.prompts)))

    def chunk_seed(self, chunk: int) -> int:
        """A number of its own for each seed, benchmark and chunk; the same on every machine."""
        text = f"{self.seed} {chunk} {self.task.benchmark.name}"
        return int.from_bytes(blake2b(text.encode(), digest_size=7).digest(), "big")


def make_task(benchmark: Benchmark, data: Path | None = None, limit: int | None = None) -> Task:
    """Load a benchmark's problems and its reward, and try the reward on a few of them.

    Raises:
        ValueError: the data or the reward cannot be loaded, or the reward cannot be used with the data.
    """
    reward = load_reward(benchmark.reward)
    problems = load_problems(benchmark, data, limit)
    errors = []
    for chat in (True, False):  # completions are messages or text; a reward may take only one of them
        asked = [reward_row(problem, make_prompt(benchmark, problem, chat)) for problem in problems[:4]]
        try:
            check_reward(reward, asked)
            return Task(benchmark, problems, reward)
        except ValueError as error:
            errors.append(error)
    raise ValueError(f"benchmark {benchmark.name}: {errors[0]}") from errors[0]


def make_plan(task: Task, tokenizer: Any, settings: Settings) -> Plan:
    """The prompts of a task as the model's tokenizer makes them."""
    benchmark = task.benchmark
    chat = settings.prompt_form == "chat" or (
        settings.prompt_form == "auto" and tokenizer.chat_template is not None
    )
    given = benchmark.prompt is not None
    prompts = [make_prompt(benchmark, problem, chat) for problem in task.problems]
    stop = () if chat or given else benchmark.stop
    return Plan(
        task=task,
        prompts=prompts,
        prompt_ids=[encode(tokenizer, prompt) for prompt in prompts],
        prompt_form="given" if given else "chat" if chat else "plain",
        sampling=settings.sampling(benchmark.max_new_tokens, stop),
        chunk_size=settings.chunk_size,
        seed=settings.seed,
    )


def encode(tokenizer: Any, prompt: Prompt) -> list[int]:
    """Token ids of a prompt as TRL makes them: the chat template for messages, plain tokens for text."""
    if isinstance(prompt, str):
        return tokenizer(prompt)["input_ids"]
    if tokenizer.chat_template is None:
        raise ValueError(
            "the prompts are messages, but the model's tokenizer has no chat template; use --prompt plain "
            "or text prompts"
        )
    encoded = tokenizer.apply_chat_template(
        prompt, add_generation_prompt=True, tokenize=True, return_dict=True
    )
    return encoded["input_ids"]


def reward_row(problem: Problem, prompt: Prompt) -> dict[str, Any]:
    """What grading looks at, as in a training set's row."""
    return {**problem.columns, "prompt": prompt}


def digest(items: Sequence[Any]) -> str:
    """A short name of JSON-like content; what JSON does not know (dates, bytes) goes by its text."""
    text = json.dumps(items, sort_keys=True, default=str)
    return blake2b(text.encode(), digest_size=16).hexdigest()


def problems_digest(problems: Sequence[Problem]) -> str:
    return digest([[problem.id, dict(problem.columns)] for problem in problems])

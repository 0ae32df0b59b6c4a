"""What the tests of the TRL host share: a random model of some thousand weights, data, rewards, a trainer.

A plain module, so that the scripts that run in processes of their own import it too.
"""

import json
import zlib
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from rlkit import CurriculumConfig, CurriculumGRPOTrainer

NUM_GENERATIONS = 4
GROUPS = 4
EOS = "<eos>"
CHAT_TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}="


def make_tokenizer() -> PreTrainedTokenizerFast:
    """One token a character; the end token also pads."""
    vocab = {token: i for i, token in enumerate([EOS, *"0123456789+="])}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="+"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=EOS, pad_token=EOS, padding_side="left"
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def make_model(seed: int = 0) -> Qwen2ForCausalLM:
    config = Qwen2Config(
        vocab_size=13,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.3,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Qwen2ForCausalLM(config)


def make_data(num: int = 64) -> Dataset:
    """Prompts "000=", "001=" and so on, with columns that rewards and presets look at."""
    return Dataset.from_list(
        [
            {
                "prompt": f"{i:03d}=",
                "answer": str(i % 10),
                "pass_rate": round(success_rate(f"{i:03d}="), 3),
                "category": f"tens {i // 10}",
            }
            for i in range(num)
        ]
    )


def make_tiered(num: int = 64) -> Dataset:
    """The same with the tiers of the preset rmt."""
    return make_data(num).add_column("tier", [("easy", "medium", "hard")[i % 3] for i in range(num)])


def make_messages(num: int = 32) -> Dataset:
    """The same prompts as messages; the chat template adds the "="."""
    return Dataset.from_list(
        [{"prompt": [{"role": "user", "content": f"{i:03d}"}], "answer": str(i % 10)} for i in range(num)]
    )


def tiny(preset: str) -> CurriculumConfig:
    """A preset for groups of four."""
    return CurriculumConfig(curriculum=preset, screen=2 if preset == "speed" else None)


def make_args(output_dir: Path | str, **settings: Any) -> GRPOConfig:
    defaults = {
        "per_device_train_batch_size": GROUPS * NUM_GENERATIONS,
        "num_generations": NUM_GENERATIONS,
        "max_completion_length": 3,
        "learning_rate": 1e-2,
        "max_steps": 3,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "disable_tqdm": True,
        "seed": 5,
    }
    return GRPOConfig(output_dir=str(output_dir), **{**defaults, **settings})


def make_trainer(
    output_dir: Path | str,
    curriculum: Any = "uniform",
    rewards: Any = None,
    *,
    data: Any = None,
    model: Any = None,
    kind: type[CurriculumGRPOTrainer] = CurriculumGRPOTrainer,
    extra: dict[str, Any] | None = None,
    **settings: Any,
) -> CurriculumGRPOTrainer:
    """A trainer of the tiny model; `extra` are more arguments of it, `settings` those of GRPOConfig."""
    return kind(
        make_model() if model is None else model,
        reward_funcs=even_start if rewards is None else rewards,
        args=make_args(output_dir, **settings),
        train_dataset=make_data() if data is None else data,
        curriculum=curriculum,
        **{"processing_class": make_tokenizer(), **(extra or {})},
    )


class Watching(CurriculumGRPOTrainer):
    """Remembers the batches that the update got."""

    def __init__(self, *args, **kwargs):
        self.batches = []
        super().__init__(*args, **kwargs)

    def _compute_loss(self, model, inputs):
        if model.training:
            self.batches.append({name: tensor.clone() for name, tensor in inputs.items()})
        return super()._compute_loss(model, inputs)


def make_plain_trainer(
    output_dir: Path | str,
    rewards: Any,
    data: Any,
    *,
    model: Any = None,
    extra: dict[str, Any] | None = None,
    **settings: Any,
) -> GRPOTrainer:
    """TRL's own trainer of the same model."""
    return GRPOTrainer(
        make_model() if model is None else model,
        reward_funcs=rewards,
        args=make_args(output_dir, **settings),
        train_dataset=data,
        processing_class=make_tokenizer(),
        **(extra or {}),
    )


# ---------------------------------------------------------------------------------------------------------
# Rewards


def text_of(completion: Any) -> str:
    return completion if isinstance(completion, str) else completion[0]["content"]


def even_start(completions: list, **columns: Any) -> list[float]:
    """1.0 where a completion begins with an even digit: the random model gets it right now and then."""
    return [float(text_of(completion)[:1] in tuple("02468")) for completion in completions]


def share_of_ones(completions: list, **columns: Any) -> list[float]:
    """A graded reward: the share of ones and twos."""
    return [sum(char in "12" for char in text_of(completion)) / 3 for completion in completions]


def success_rate(prompt: str) -> float:
    """A prompt's success rate under `by_place`: 0, 1/4 ... 1, by a stable hash."""
    return zlib.crc32(prompt.encode()) % (NUM_GENERATIONS + 1) / NUM_GENERATIONS


def by_place(num_generations: int = NUM_GENERATIONS, rank: int = 0) -> Callable:
    """A reward that knows only the prompt and a completion's place in its group, so no sampling moves it."""

    def by_place(prompts: list, completions: list, **columns: Any) -> list[float]:
        first = rank * len(prompts)
        return [
            float((first + row) % num_generations < success_rate(prompt) * num_generations)
            for row, prompt in enumerate(prompts)
        ]

    return by_place


def scripted(num_generations: int = NUM_GENERATIONS, rank: int = 0) -> Callable:
    """A rollout function: completions are a hash of prompt and place in the group, whatever the policy."""

    def rollout(prompts: list, trainer: Any) -> dict[str, Any]:
        completion_ids = []
        for row, prompt in enumerate(prompts):
            place = (rank * len(prompts) + row) % num_generations
            digest = blake2b(f"{prompt} {place}".encode(), digest_size=4).digest()
            completion_ids.append([1 + byte % 12 for byte in digest[: 1 + digest[3] % 3]])
        prompt_ids = trainer.processing_class(text=prompts)["input_ids"]
        return {"prompt_ids": prompt_ids, "completion_ids": completion_ids, "logprobs": None}

    return rollout


class Recorder:
    """A reward that remembers what it graded."""

    def __init__(self, reward: Callable):
        self.reward = reward
        self.rows: list[tuple[str, tuple[int, ...]]] = []
        self.values: list[float] = []
        self.__name__ = reward.__name__

    def __call__(self, prompts: list, completions: list, completion_ids: list, **columns: Any) -> list:
        values = self.reward(prompts=prompts, completions=completions, **columns)
        if completion_ids == [[0]]:  # the check before the model loads
            return values
        self.rows += list(zip(prompts, map(tuple, completion_ids), strict=True))
        self.values += values
        return values


class Logs(TrainerCallback):
    """What trackers get of the training: the step and the numbers of each log."""

    def __init__(self):
        self.rows: list[tuple[int, dict[str, Any]]] = []

    def on_log(self, args, state, control, logs, **kwargs):
        if "loss" in logs:
            self.rows.append((state.global_step, dict(logs)))


# ---------------------------------------------------------------------------------------------------------
# What a run left


def choices(output_dir: Path) -> list[list[int]]:
    """Pool indices of each generation, from the ledger."""
    from rlkit.record.ledger import read_ledger

    table = read_ledger(Path(output_dir) / "ledger")
    generations: dict[int, list[int]] = {}
    for generation, index in zip(table["generation"].to_pylist(), table["index"].to_pylist(), strict=True):
        generations.setdefault(generation, []).append(index)
    return list(generations.values())


def ledger_rows(output_dir: Path) -> list[dict]:
    """All groups of a run without their seconds."""
    from rlkit.record.ledger import read_ledger

    table = read_ledger(Path(output_dir) / "ledger")
    return table.drop_columns([name for name in table.column_names if "seconds" in name]).to_pylist()


def completion_rows(output_dir: Path) -> list[dict]:
    """The completions that a run kept."""
    from rlkit.record.completions import read_completions

    return read_completions(Path(output_dir)).to_pylist()


def metrics(output_dir: Path) -> list[dict]:
    """The lines of `metrics.jsonl`."""
    return [json.loads(line) for line in (Path(output_dir) / "metrics.jsonl").read_text().splitlines()]


def losses(trainer: Any) -> list[float]:
    return [line["loss"] for line in trainer.state.log_history if "loss" in line]


def weights(trainer: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}

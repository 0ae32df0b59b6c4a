"""A chain of latent steps that GRPO alone never completes: does revealing the solutions' beginnings solve it?

    python scripts/hints_chain.py --out chain.jsonl --seeds 5 --steps 300

A prompt is `LENGTH` digits x below `BASE`; its solution is the running sum s_i = s_{i-1} + x_i modulo BASE,
one digit a line. Only the whole solution is right (reward 0 or 1), so that a policy which knows the form and
guesses the digits solves BASE ** -LENGTH = 6e-5 of its tries (after AdaBack's parity, arXiv 2506.18110). All
arms start from one model per seed that was taught the form with random digits, and have the same steps and
completions. `sft` first learns from the pool's solutions, `--sft_steps` updates of as many rows as a step
has. The accuracy is exact: the mean probability of the solutions of held-out prompts. `hints_table.py` asks
the same of a policy that is a table, in seconds.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from copy import deepcopy
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

import numpy as np
import torch
from datasets import Dataset
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainerCallback
from trl import GRPOConfig

from rlkit import CurriculumConfig, CurriculumGRPOTrainer

BASE, LENGTH = 5, 6
EOS = "<eos>"
GROUPS, GENERATIONS = 16, 8
ARMS = {
    "uniform": {},
    "rlkit": {"curriculum": "rlkit", "value_backbone": "text"},
    "uniform+adaback": {"hints": "adaback"},
    "uniform+guided": {"hints": "guided"},
    "uniform+predicted": {"hints": "predicted"},
    "rlkit+predicted": {"curriculum": "rlkit", "value_backbone": "text", "hints": "predicted"},
    "sft": {},
}
T_OF_FIVE = 2.776
"""97.5% quantile of Student's t with 4 degrees of freedom: five seeds."""
LEVELS = (0.1, 0.5, 0.9)
"""Accuracies whose cost is reported."""


def make_tokenizer() -> PreTrainedTokenizerFast:
    vocab = {token: i for i, token in enumerate([EOS, *map(str, range(BASE)), "=", "\n"])}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token=EOS))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r".|\n"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=EOS, pad_token=EOS, padding_side="left"
    )


def make_rows(num: int, rng: np.random.Generator) -> list[dict[str, str]]:
    digits = rng.integers(BASE, size=(num, LENGTH))
    sums = digits.cumsum(axis=1) % BASE
    return [
        {"prompt": "".join(map(str, x)) + "=", "solution": "\n".join(map(str, s))}
        for x, s in zip(digits.tolist(), sums.tolist(), strict=True)
    ]


def reward(completions: list[str], solution: list[str], **_) -> list[float]:
    return [float(text == right) for text, right in zip(completions, solution, strict=True)]


def tokens(rows: list[dict[str, str]]) -> torch.Tensor:
    """Prompt, solution and end token: all rows are of one length."""
    tokenizer = make_tokenizer()
    return torch.tensor(tokenizer([row["prompt"] + row["solution"] + EOS for row in rows])["input_ids"])


def logprobs(model: LlamaForCausalLM, ids: torch.Tensor) -> torch.Tensor:
    """Of each token behind the prompt, (N, T)."""
    logits = model(ids).logits[:, LENGTH:-1]
    answer = ids[:, LENGTH + 1 :]
    return torch.log_softmax(logits, dim=-1).gather(-1, answer[..., None])[..., 0]


@torch.no_grad()
def accuracy(model: LlamaForCausalLM, ids: torch.Tensor) -> float:
    return float(logprobs(model, ids).sum(dim=1).exp().mean())


def imitate(
    model: LlamaForCausalLM,
    rows: list[dict[str, str]],
    steps: int,
    size: int,
    lr: float,
    rng: np.random.Generator,
) -> None:
    """Supervised learning from batches of `size` rows."""
    ids, optimizer = tokens(rows), torch.optim.AdamW(model.parameters(), lr=lr)
    for _ in range(steps):
        loss = -logprobs(model, ids[rng.integers(len(ids), size=size)]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def make_start(seed: int) -> LlamaForCausalLM:
    """A model that answers in the right form with digits that it guesses."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=BASE + 3,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=64,
            bos_token_id=None,
            eos_token_id=0,
            pad_token_id=0,
        )
    )
    rng = np.random.default_rng(seed)
    rows = make_rows(4096, rng)
    guessed = [
        {**row, "solution": other["solution"]} for row, other in zip(rows, make_rows(4096, rng), strict=True)
    ]
    imitate(model, guessed, 200, 128, 1e-3, rng)
    return model


class HeldOut(TrainerCallback):
    """Accuracy every ten steps, with what it cost so far."""

    def __init__(self, ids: torch.Tensor, record, spent: float):
        self.ids, self.record, self.spent = ids, record, spent
        self.rows: list[dict[str, float]] = []

    def on_step_end(self, args, state, control, model, **kwargs):
        if state.global_step % 10 == 0:
            totals = self.record.totals
            self.rows.append(
                {
                    "step": state.global_step,
                    "rollouts": totals["rollouts/spent_total"],
                    "tokens": totals["tokens/generated_total"],
                    "seconds": totals["seconds/total"] + self.spent,
                    "accuracy": accuracy(model, self.ids),
                }
            )


def run(arm: str, seed: int, start: LlamaForCausalLM, options: argparse.Namespace) -> dict:
    rng = np.random.default_rng(100 + seed)
    pool, heldout = make_rows(options.pool, rng), make_rows(512, rng)
    model, began = deepcopy(start), time.perf_counter()
    if arm == "sft":
        imitate(model, pool, options.sft_steps, GROUPS * GENERATIONS, options.lr, rng)
    spent, ids = time.perf_counter() - began, tokens(heldout)
    first = accuracy(model, ids)
    with tempfile.TemporaryDirectory() as folder:
        trainer = CurriculumGRPOTrainer(
            model,
            reward,
            GRPOConfig(
                folder,
                per_device_train_batch_size=GROUPS * GENERATIONS,
                num_generations=GENERATIONS,
                max_completion_length=2 * LENGTH,
                learning_rate=options.lr,
                lr_scheduler_type="constant",
                max_steps=options.steps,
                save_strategy="no",
                report_to="none",
                use_cpu=True,
                bf16=False,
                gradient_checkpointing=False,
                disable_tqdm=True,
                logging_steps=50,
                seed=seed,
            ),
            Dataset.from_list(pool),
            processing_class=make_tokenizer(),
            curriculum=CurriculumConfig(**ARMS[arm]),
        )
        record = HeldOut(ids, trainer.record, spent)
        trainer.add_callback(record)
        trainer.train()
        lines = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    shares = [round(line.get("hints/share") or 0.0, 3) for line in lines[:: max(len(lines) // 20, 1)]]
    return {"arm": arm, "seed": seed, "first": first, "curve": record.rows, "shares": shares}


def table(results: list[dict]) -> str:
    """Final accuracy with a 95% interval over seeds, and the median cost to each level."""
    lines = []
    for arm in dict.fromkeys(result["arm"] for result in results):
        own = [result for result in results if result["arm"] == arm]
        final = [result["curve"][-1]["accuracy"] for result in own]
        half = 0.0 if len(own) < 5 else T_OF_FIVE * statistics.stdev(final) / len(own) ** 0.5
        lines.append(f"{arm}: final {statistics.mean(final):.3f} +- {half:.3f} ({len(own)} seeds)")
        for level in LEVELS:
            reached = [
                next((row for row in result["curve"] if row["accuracy"] >= level), None) for result in own
            ]
            cost = [row for row in reached if row is not None]
            axes = [f"{statistics.median(row[axis] for row in cost):.0f} {axis}" for axis in
                    ("step", "rollouts", "tokens", "seconds") if cost]  # fmt: skip
            lines.append(
                f"    to {level}: {len(cost)} of {len(own)} seeds{', ' * bool(axes)}{', '.join(axes)}"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="A line a run; runs that are there are skipped."
    )
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--pool", type=int, default=256, help="Prompts.")
    parser.add_argument("--lr", type=float, default=1e-3, help="Of every arm.")
    parser.add_argument("--sft_steps", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = (
        [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    )
    done = {(result["arm"], result["seed"]) for result in results}
    for seed in range(options.seeds):
        start = make_start(seed)
        for arm in options.arms.split(","):
            if (arm, seed) not in done:
                results.append(run(arm, seed, start, options))
                with options.out.open("a") as file:
                    file.write(json.dumps(results[-1]) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()

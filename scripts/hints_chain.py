"""A chain of latent steps that GRPO alone never completes: what solves it, hints or the solutions themselves?

    python scripts/hints_chain.py OUT.jsonl --starts DIR
    python scripts/hints_chain.py OUT.jsonl --table

A prompt is `LENGTH` digits x below `BASE`; a line of its solution is a sum, s_i = s_{i-1} + x_i modulo BASE,
and only the whole solution is right (after AdaBack's parity, arXiv 2506.18110). All arms of a seed start from
one small transformer that was taught the form, with results of which a share `KNOWN` is right and the others
are guessed: it solves about 1e-4 of its tries. All have the same learning rate and budget of completions.
`sft` first makes `--sft_steps` supervised updates, each of as many solutions as a step has completions.
The accuracy is exact: the mean probability of the solutions of held-out prompts, unaided.
"""

import argparse
import json
import os
import tempfile
import time
from collections import defaultdict
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
from rlkit.objectives import ObjectivesConfig
from rlkit.prompts.solutions import beginning
from rlkit.record.completions import read_completions
from rlkit.record.ledger import read_ledger

BASE, LENGTH = 4, 8
EOS, LAST = "<eos>", "\n"
KNOWN = 0.1
"""With 0 no hints help (LOG.md): the accuracy falls to nothing at the first rewards."""
GROUPS, GENERATIONS = 8, 8
PROMPT_TOKENS = 2 * LENGTH + 1
RLKIT = {"curriculum": "rlkit", "value_features": "text"}
RELIFT = {"objectives": "relift"}
ARMS = {
    "uniform": {},
    "rlkit": RLKIT,
    "adaback": {"hints": "adaback"},
    "guided": {"hints": "guided"},
    "predicted": {"hints": "predicted"},
    "rlkit+predicted": {**RLKIT, "hints": "predicted"},
    "sft": {},
    "relift": RELIFT,
    "predicted+relift": {"hints": "predicted", **RELIFT},
    "price 0": {"hints": "predicted", "hint_price": 0.0},
}

REFERENCE, LEVELS = "predicted", (0.1, 0.5, 0.8)
"""The arm that the others are held against, and the accuracies whose cost is reported."""
T_975 = (12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""97.5% quantiles of Student's t, of 2 to 10 seeds."""


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Tokens: a digit, a sum to be done ("2+3="), its result with the end of the line, and a blank."""
    digits = list(map(str, range(BASE)))
    sums = [f"{first}+{second}=" for first in digits for second in digits]
    tokens = [EOS, *digits, *sums, *(digit + LAST for digit in digits), " "]
    tokenizer = Tokenizer(models.WordLevel({token: i for i, token in enumerate(tokens)}, unk_token=EOS))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\d\+\d=|\d\n|."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=EOS, pad_token=EOS, padding_side="left"
    )


def make_rows(num: int, rng: np.random.Generator, known: float = 1.0) -> list[dict[str, str]]:
    """Prompts with their solutions; of the results, a share `known` is right and the others are guessed."""
    rows = []
    for x_L in rng.integers(BASE, size=(num, LENGTH)).tolist():
        total, lines = 0, []
        for x in x_L:
            result = (total + x) % BASE if rng.random() < known else int(rng.integers(BASE))
            lines.append(f"{total}+{x}={result}{LAST}")
            total = result
        prompt = "".join(f"{x} " for x in x_L) + f"0{LAST}"
        rows.append({"prompt": prompt, "demonstration": "".join(lines)})
    return rows


def reward(completions: list[str], demonstration: list[str], **_) -> list[float]:
    return [float(text == right) for text, right in zip(completions, demonstration, strict=True)]


def tokens(rows: list[dict[str, str]]) -> torch.Tensor:
    """Prompt, solution and end token: all rows are of one length."""
    texts = [row["prompt"] + row["demonstration"] + EOS for row in rows]
    return torch.tensor(make_tokenizer()(texts)["input_ids"])


def logprobs(model: LlamaForCausalLM, ids: torch.Tensor) -> torch.Tensor:
    """Of each token behind the prompt, (N, T)."""
    logits = model(ids).logits[:, PROMPT_TOKENS - 1 : -1]
    return torch.log_softmax(logits, dim=-1).gather(-1, ids[:, PROMPT_TOKENS:, None])[..., 0]


@torch.no_grad()
def accuracy(model: LlamaForCausalLM, ids: torch.Tensor) -> float:
    return float(logprobs(model, ids).sum(dim=1).exp().mean())


def imitate(
    model: LlamaForCausalLM, ids: torch.Tensor, steps: int, lr: float, rng: np.random.Generator
) -> None:
    """Supervised learning from batches of as many rows as a step has completions."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    for _ in range(steps):
        loss = -logprobs(model, ids[rng.integers(len(ids), size=GROUPS * GENERATIONS)]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def make_start(seed: int, folder: Path) -> LlamaForCausalLM:
    """The seed's model, made once."""
    path = folder / f"start-{seed}"
    if not path.exists():
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(make_tokenizer()), hidden_size=32, intermediate_size=128, num_hidden_layers=2,
                num_attention_heads=4, max_position_embeddings=64, bos_token_id=None, eos_token_id=0,
                pad_token_id=0,
            )
        )  # fmt: skip
        imitate(model, tokens(make_rows(4096, rng, KNOWN)), 300, 4e-3, rng)
        model.save_pretrained(path)
    return LlamaForCausalLM.from_pretrained(path)


class HeldOut(TrainerCallback):
    """Accuracy every ten steps, with what it cost so far."""

    def __init__(self, ids: torch.Tensor, record, spent: float):
        self.ids, self.record, self.spent = ids, record, spent
        self.curve: list[dict[str, float]] = []

    def on_step_end(self, args, state, control, model, **kwargs):
        if state.global_step % 10 == 0:
            totals = self.record.totals
            self.curve.append(
                {
                    "steps": state.global_step,
                    "rollouts": totals["rollouts/spent_total"],
                    "tokens": totals["tokens/generated_total"],
                    "seconds": totals["seconds/total"] + self.spent,
                    "accuracy": accuracy(model, self.ids),
                }
            )


def run(arm: str, seed: int, options: argparse.Namespace) -> dict:
    rng = np.random.default_rng(100 + seed)
    pool, heldout = make_rows(options.pool, rng), make_rows(256, rng)
    model, began = make_start(seed, options.starts), time.process_time()
    if arm == "sft":
        imitate(model, tokens(pool), options.sft_steps, options.lr, rng)
    spent = time.process_time() - began
    settings = dict(ARMS[arm])
    objectives = ObjectivesConfig(
        settings.pop("objectives", None),
        relift_pairs=2 * GROUPS,
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = CurriculumGRPOTrainer(
            model,
            reward,
            GRPOConfig(
                folder,
                per_device_train_batch_size=GROUPS * GENERATIONS,
                num_generations=GENERATIONS,
                max_completion_length=2 * LENGTH + 1,
                learning_rate=options.lr,
                lr_scheduler_type="constant",
                adam_beta2=0.95,  # steps without a gradient would let the next one be too large
                max_steps=options.steps,
                save_strategy="no",
                report_to="none",
                use_cpu=True,
                bf16=False,
                gradient_checkpointing=False,
                disable_tqdm=True,
                logging_steps=10000,
                seed=seed,
            ),
            Dataset.from_list(pool),
            processing_class=make_tokenizer(),
            curriculum=CurriculumConfig(**settings),
            objectives=objectives,
        )
        record = HeldOut(tokens(heldout), trainer.record, spent)
        trainer.add_callback(record)
        trainer.train()
        lines = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
        examples = examples_of(Path(folder), pool)
    shares = [line.get("hints/share") for line in lines[9::10]]
    return {"arm": arm, "seed": seed, "curve": record.curve, "shares": shares, "examples": examples}


def examples_of(folder: Path, pool: list[dict[str, str]]) -> list[dict]:
    """Some of what the policy wrote behind hints, from the first step to the last."""
    groups = read_ledger(folder / "ledger").to_pylist()
    shares = {(row["generation"], row["index"]): row["share"] for row in groups}
    examples = [
        {
            "step": row["step"],
            "prompt": row["prompt"],
            "hint": hint,
            "completion": row["completion"][len(hint) :],
            "reward": row["reward"],
        }
        for row in read_completions(folder).to_pylist()
        if (hint := beginning(pool[row["index"]]["demonstration"], shares[row["generation"], row["index"]]))
    ]
    return examples[:: max(len(examples) // 8, 1)]


def table(results: list[dict]) -> str:
    """Of each arm: what it reached, beside the reference, the cost to each level, and what hints gave."""
    by_arm: dict[str, dict[int, dict]] = defaultdict(dict)
    for result in results:
        by_arm[result["arm"]][result["seed"]] = result
    lines = []
    for arm, runs in list(by_arm.items()):
        final = {seed: run["curve"][-1]["accuracy"] for seed, run in runs.items()}
        other = {seed: run["curve"][-1]["accuracy"] for seed, run in by_arm[REFERENCE].items()}
        paired = [final[seed] - other[seed] for seed in final if seed in other]
        lines.append(f"{arm}: final {interval(list(final.values()))}, less {REFERENCE} {interval(paired)}")
        lines += [f"    to {level}: {cost_of(level, runs)}" for level in LEVELS]
        shares = [run["shares"] for run in runs.values()]
        if shares[0][0] is not None:
            lines.append(f"    share every ten steps: {np.mean(shares, axis=0).round(2).tolist()}")
            lines += [f"    {example}" for example in next(iter(runs.values()))["examples"]]
    return "\n".join(lines)


def interval(values: list[float]) -> str:
    """Mean with a 95% interval by Student's t."""
    if len(values) < 2:
        return f"{np.mean(values):.3f} (1 seed)" if values else "-"
    half = T_975[len(values) - 2] * np.std(values, ddof=1) / len(values) ** 0.5
    return f"{np.mean(values):.3f} +- {half:.3f} ({len(values)} seeds)"


def cost_of(level: float, runs: dict[int, dict]) -> str:
    """Seeds that reach an accuracy, and the median cost of these."""
    reached = [next((row for row in run["curve"] if row["accuracy"] >= level), None) for run in runs.values()]
    cost = [row for row in reached if row is not None]
    axes = [
        f"{np.median([row[axis] for row in cost]):.0f} {axis}"
        for axis in ("steps", "rollouts", "tokens", "seconds")
        if cost
    ]
    return ", ".join([f"{len(cost)} of {len(runs)} seeds", *axes])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="A line a run; runs that are there are skipped.")
    parser.add_argument("--starts", type=Path, default=Path("runs/starts"), help="Of the seeds' models.")
    parser.add_argument("--table", action="store_true", help="Only prints what is in the file.")
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--pool", type=int, default=32, help="Prompts with a solution each.")
    parser.add_argument("--lr", type=float, default=1e-3, help="Of every arm.")
    parser.add_argument("--sft_steps", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    written = options.out.read_text().splitlines() if options.out.exists() else []
    results = [json.loads(line) for line in written]
    done = {(result["arm"], result["seed"]) for result in results}
    wanted = [(arm, seed) for seed in map(int, options.seeds.split(",")) for arm in options.arms.split(",")]
    for arm, seed in [] if options.table else wanted:
        if (arm, seed) not in done:
            results.append(run(arm, seed, options))
            with options.out.open("a") as file:
                file.write(json.dumps(results[-1]) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()

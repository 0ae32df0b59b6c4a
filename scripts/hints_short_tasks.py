"""Hints on a real small model: how much of what it never solves becomes solvable?

    python scripts/record_policy.py MODEL RECORD --passes 1
    python scripts/hints_short_tasks.py RECORD OUT --model MODEL
    python scripts/hints_short_tasks.py RECORD OUT --model MODEL --arm predicted

Takes prompts of the short tasks that RECORD saw fail eight times of eight, as many of each of `HARD_KINDS`,
whose solution has something to reveal. Without an arm, eight completions of each prompt behind each of
`--shares` of what can be revealed: `OUT/sampled.jsonl`. With one, GRPO on the first of these prompts under
`uniform` with these hints ("none": without), in `OUT/ARM-SEED`, and what it did.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "recipes"))
from record_policy import COMPLETIONS, LENGTH, PART, Policy
from short_tasks import is_right, make_prompts, reward

from rlkit.prompts.cutting import cuts_of

HARD_KINDS = (
    "add 2", "add 3", "subtract 2", "multiply 2 1", "word 1", "word 2", "count", "nth of 4", "last of 6",
    "largest of 5",
)  # fmt: skip
ARMS = ("none", "predicted", "adaback", "guided")


def never_solved(record: Path, each: int) -> list[dict]:
    """The kinds in turn, so that the first rows have all of them."""
    rows = make_prompts(1520, seed=0, split="pool", shots=1)  # what record_policy.py asks
    parts = [np.load(path)["right_NG"] for path in sorted((record / "before").glob("pass0-*.npz"))]
    failed = [
        row
        for row, right_G in zip(rows, np.concatenate(parts), strict=True)
        if not right_G.any() and len(cuts_of(row["solution"]))
    ]
    by_kind = [[row for row in failed if row["kind"] == kind][:each] for kind in HARD_KINDS]
    return [row for together in zip(*by_kind, strict=True) for row in together]


def hint_at(row: dict, share: float) -> str:
    """What the share of a solution's cuts reveals, rounded up to a cut."""
    ends = [0, *cuts_of(row["solution"]).tolist()]
    return row["solution"][: ends[int(np.ceil(share * (len(ends) - 1)))]]


def sample(model: str, rows: list[dict], shares: list[float], out: Path) -> None:
    policy = Policy(model)
    for share in shares:
        for first in range(0, len(rows), PART):
            part, began = rows[first : first + PART], time.process_time()
            hints = [hint_at(row, share) for row in part]
            ids = [
                policy.ids(row) + policy.tokenizer(hint, add_special_tokens=False)["input_ids"]
                for row, hint in zip(part, hints, strict=True)
            ]
            found = policy.look(ids, [row["answer"] for row in part], COMPLETIONS, first, None)
            seconds = (time.process_time() - began) / len(part)
            with out.open("a") as file:
                for row, hint, token_GT in zip(part, hints, found["token_NGT"], strict=True):
                    texts = policy.texts(token_GT)
                    line = {
                        "kind": row["kind"],
                        "share": share,
                        "question": row["prompt"][-1]["content"],
                        "answer": row["answer"],
                        "hint": hint,
                        "texts": texts,
                        "right": [is_right(hint + text, row["answer"]) for text in texts],
                        "tokens": int((token_GT >= 0).sum()),
                        "seconds": seconds,
                    }
                    file.write(json.dumps(line) + "\n")


def sampled_table(path: Path) -> str:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    table = []
    for kinds in (HARD_KINDS, *((kind,) for kind in HARD_KINDS)):
        for share in sorted({line["share"] for line in lines}):
            some = [line for line in lines if line["kind"] in kinds and line["share"] == share]
            right_NG = np.array([line["right"] for line in some])
            mixed = right_NG.any(1) & ~right_NG.all(1)
            tokens, seconds = (sum(line[name] for line in some) for name in ("tokens", "seconds"))
            table.append(
                f"{'all' if len(kinds) > 1 else kinds[0]}, share {share}: solved {right_NG.any(1).sum()} of "
                f"{len(some)}, mean {right_NG.mean():.3f}, informative {mixed.sum()}, {tokens} tokens, "
                f"{seconds:.0f} s"
            )
    return "\n".join(table)


def train(arm: str, rows: list[dict], options: argparse.Namespace) -> None:
    import torch
    from datasets import Dataset
    from train_short_tasks import greedy_accuracy
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig

    from rlkit import CurriculumConfig, CurriculumGRPOTrainer
    from rlkit.settings import program

    torch.set_num_threads(1)
    program.keep_memory()
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)
    layers = model.model.layers
    model.requires_grad_(False)
    for layer in layers[len(layers) - round(len(layers) / 3) :]:
        layer.requires_grad_(True)
    trainer = CurriculumGRPOTrainer(
        model,
        reward_funcs=reward,
        args=GRPOConfig(
            str(options.out / f"{arm}-{options.seed}"),
            per_device_train_batch_size=COMPLETIONS,
            gradient_accumulation_steps=8,
            num_generations=COMPLETIONS,
            max_completion_length=LENGTH,
            learning_rate=1e-4,
            lr_scheduler_type="constant",
            max_steps=options.steps,
            save_strategy="no",
            logging_steps=1,
            bf16=True,
            gradient_checkpointing=False,
            use_cpu=True,
            report_to="none",
            seed=options.seed,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        curriculum=CurriculumConfig(
            "uniform",
            hints=None if arm == "none" else arm,
            curriculum_seed=options.seed,
            keep_completions="all",
        ),
    )
    heldout = [
        row for row in make_prompts(190, seed=1, split="heldout", shots=1) if row["kind"] in HARD_KINDS
    ]
    before = greedy_accuracy(model, tokenizer, heldout, LENGTH)
    began = time.process_time()
    trainer.train()
    seconds, after = time.process_time() - began, greedy_accuracy(model, tokenizer, heldout, LENGTH)
    shown = f"held out {before:.3f} -> {after:.3f} of {len(heldout)}, {seconds:.0f} s of processor"
    print(f"{arm}, seed {options.seed}: {shown}")


def trained_table(folder: Path) -> str:
    """From the ledger: groups that differ within themselves, and prompts solved, without and with help."""
    from rlkit.record.ledger import read_ledger

    groups = read_ledger(folder / "ledger").to_pylist()
    lines = []
    for name, some in (
        ("unaided", [group for group in groups if not group["share"]]),
        ("helped", [group for group in groups if group["share"]]),
    ):
        solved = {group["index"] for group in some if max(group["signals"]) > 0}
        mixed = sum(0 < np.mean(group["signals"]) < 1 for group in some)
        tokens = sum(sum(group["lengths"]) for group in some)
        lines.append(
            f"{name}: {len(some)} groups of {len({group['index'] for group in some})} prompts, informative "
            f"{mixed}, prompts solved {len(solved)}, {COMPLETIONS * len(some)} rollouts, {tokens} tokens"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("record", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="runs/smollm2", help="A chat model's folder.")
    parser.add_argument("--each", type=int, default=8, help="Prompts of a kind.")
    parser.add_argument("--shares", type=float, nargs="+", default=(0, 0.5, 1), help="Of a solution's cuts.")
    parser.add_argument("--arm", choices=ARMS)
    parser.add_argument("--prompts", type=int, default=32, help="That an arm trains on.")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0, help="Of an arm's order of prompts and sampling.")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = never_solved(options.record, options.each)
    if options.arm:
        train(options.arm, rows[: options.prompts], options)
        print(trained_table(options.out / f"{options.arm}-{options.seed}"))
    else:
        sample(options.model, rows, options.shares, options.out / "sampled.jsonl")
        print(sampled_table(options.out / "sampled.jsonl"))


if __name__ == "__main__":
    main()

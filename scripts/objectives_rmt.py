r"""Does RL with verifiable rewards need fewer steps from RMT's checkpoint? Reversed addition.

The text is problems with their answers, "35000000+82000000=180000000"; its rows are positions in it, in tiers
by the warm start's own entropy (scripts/make_midtraining_rows.py). Before the same RL on problems:

    none         nothing
    next_token   the next-token loss on the rows' text, as in pre-training, over as many tokens as rmt
    rmt          the preset and the objective rmt: RL on next tokens, easy to hard, beside their loss

Each of the last two has the better of two learning rates on a warm start that does not count. What is
measured stays in the folder, so that a stopped call goes on.

    PYTHONPATH=. python scripts/objectives_rmt.py --folder runs/objectives
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from make_midtraining_rows import make_rows
from objectives_runs import (
    Curve,
    compare,
    kept,
    make_problems,
    make_tokenizer,
    started,
    steps_to,
    train,
)
from transformers import DataCollatorForLanguageModeling, Trainer, TrainingArguments

from rewards.next_token import next_token
from rlkit import CurriculumConfig
from rlkit.objectives import ObjectivesConfig

CONTEXT, LENGTH = 23, 4
"""Tokens of a prompt at most, of a reference and of a completion: a problem with its answer has 27."""
ROLLOUTS, REFERENCES = 64, 8
"""Sequences of a step of mid-training."""
MID_STEPS, STEPS, EVERY = 40, 48, 4
TARGETS = (0.6, 0.7)
TUNED, START, SEEDS = 10, 1, 5
"""The warm start that the learning rates are chosen on, and the one that counts."""
RATES = (3e-4, 1e-3)
ARMS = ("none", "next_token", "rmt")


def positions(model: Any, seed: int) -> list[dict]:
    texts = [row["prompt"] + row["answer"] for row in make_problems(1024, seed=seed)]
    return make_rows(model, make_tokenizer(), texts, 4000, CONTEXT, LENGTH, seed)


def by_rmt(model: Any, rows: list[dict], seed: int, rate: float) -> Any:
    return train(
        model,
        rows,
        seed,
        ObjectivesConfig("rmt", rmt_rows=REFERENCES),
        rewards=next_token,
        curriculum=CurriculumConfig("rmt", mixture_steps=MID_STEPS),
        per_device_train_batch_size=ROLLOUTS,
        max_completion_length=LENGTH,
        max_steps=MID_STEPS,
        learning_rate=rate,
    ).model


def by_next_token(model: Any, rows: list[dict], seed: int, rate: float) -> Any:
    """All tokens of prompt and reference train."""
    tokenizer = make_tokenizer()
    data = [{"input_ids": tokenizer(row["prompt"] + row["reference"])["input_ids"]} for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model,
            TrainingArguments(
                folder,
                per_device_train_batch_size=ROLLOUTS + REFERENCES,
                max_steps=MID_STEPS,
                learning_rate=rate,
                lr_scheduler_type="constant",
                save_strategy="no",
                report_to="none",
                use_cpu=True,
                disable_tqdm=True,
                seed=seed,
            ),
            DataCollatorForLanguageModeling(tokenizer, mlm=False),
            data,  # type: ignore[arg-type]
        )
        trainer.train()
    return model


def run(folder: Path, start: int, seed: int, arm: str, rate: float) -> list[float]:
    """Held-out success at every `EVERY`-th step of RL with verifiable rewards."""
    model = started(folder, start)
    if arm != "none":
        mid_train = by_rmt if arm == "rmt" else by_next_token
        model = mid_train(model, positions(model.eval(), seed), seed, rate)
    curve = Curve(make_problems(256, seed=1, split="heldout"), EVERY)
    train(
        model,
        make_problems(2048, seed=seed),
        seed,
        None,
        callbacks=[curve],
        max_steps=STEPS,
        learning_rate=3e-4,
    )
    return curve.success


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    folder = parser.parse_args().folder

    def measured(start: int, seed: int, arm: str, rate: float) -> list[float]:
        path = folder / f"rmt-{start}-{seed}-{arm}-{rate}.json"
        return kept(path, lambda: run(folder, start, seed, arm, rate))

    best = {"none": 0.0}
    for arm in ARMS[1:]:
        means = {rate: float(np.mean(measured(TUNED, 0, arm, rate))) for rate in RATES}
        best[arm] = max(means, key=means.__getitem__)
        print(arm, "mean success of the tuning runs by learning rate", means, flush=True)
    rows: dict[str, list] = {arm: [] for arm in ARMS}
    for seed in range(SEEDS):
        for arm in ARMS:
            success = measured(START, seed, arm, best[arm])
            found = {f"at {step}": success[step // EVERY] for step in (0, 16, 32, STEPS)}
            steps = {f"to {target}": steps_to(target, success, EVERY) for target in TARGETS}
            rows[arm].append({**steps, **found})
            print(seed, arm, rows[arm][-1], flush=True)
    compare(rows, "none")
    compare({arm: rows[arm] for arm in ARMS[1:]}, "next_token")


if __name__ == "__main__":
    main()

"""Do plans beat their own last stage alone? On the demo's task, from several warm starts.

    python scripts/plans_against_last_stage.py --out runs/plans --starts 0,1,2,3

For each start and plan: the plan, and its last stage alone from the same start, on the same rows with the
same settings (that of `expert_iteration` on what the plan's first round collected). It has less to sample and
to learn from, so there is also what samples as much: for `redone` one RL run of the steps of both of its own,
for `expert_iteration` one round with as many completions as all of its rounds have. The last table says what
each sampled, learned by SFT and took in seconds, without its measuring. The measure is the exact success rate
on 1,024 held-out problems, without sampling noise; the interval is Student's over starts, paired. Called
again it goes on: every run is a plan, and plans do.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "recipes"))

PLANS = REPOSITORY / "recipes" / "plans"
ON_CPU = {"bf16": False, "use_cpu": True, "activation_checkpointing": False}
RL = {
    **ON_CPU,
    "learning_rate": "1e-4",
    "num_generations": 8,
    "per_device_train_batch_size": 128,
    "gradient_accumulation_steps": 1,
    "max_completion_length": 10,
    "save_steps": 30,
    "logging_steps": 10,
}
SFT = {
    **ON_CPU,
    "learning_rate": "3e-4",
    "per_device_train_batch_size": 16,
    "gradient_accumulation_steps": 1,
    "num_train_epochs": 4,
    "logging_steps": 5,
}
SAMPLES, ROUNDS = 4, 3
"""Of expert iteration: completions of a row in a round, and rounds."""
T_975 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571}
"""Student's 97.5% quantile, by the number of starts."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/plans"))
    parser.add_argument("--starts", default="0,1,2,3", help="seeds of warm starts")
    parser.add_argument("--steps", type=int, default=60, help="of each RL stage")
    parser.add_argument("--plans", default="redone,expert_iteration")
    arguments = parser.parse_args()
    starts = [int(start) for start in arguments.starts.split(",")]
    results: dict[str, dict[str, list[float]]] = {}
    costs: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    for start in starts:
        folder = arguments.out / f"start-{start}"
        prepare(folder, start)
        for name in arguments.plans.split(","):
            models = {"redone": redone, "expert_iteration": expert_iteration}[name](folder, arguments.steps)
            for label, model in models.items():
                results.setdefault(name, {}).setdefault(label, []).append(measure(Path(model)))
                if label != "start":
                    costs.setdefault((name, label), []).append(spent(Path(model).parents[1]))
            report(results)
    print(f"{'mean of the starts':46}completions  SFT sequences  seconds")
    for (name, label), cost_N in costs.items():
        completions, sequences, seconds = np.mean(cost_N, axis=0)
        print(f"{name:18}{label:28}{completions:11,.0f}{sequences:15,.0f}{seconds:9,.0f}")


def prepare(folder: Path, start: int) -> None:
    """The policy, and its data: rows to train on, gold demonstrations of a tenth as many, held-out rows."""
    from addition import make_problems, warm_start

    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "model").exists():
        warm_start(folder / "model", start)
    rows = make_problems(1024, seed=start)
    files = {
        "rows": rows,
        "solved": [{**row, "completion": row["answer"]} for row in make_problems(128, seed=100 + start)],
        "heldout": make_problems(128, seed=2, split="heldout"),
    }
    for name, content in files.items():
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in content))


def redone(folder: Path, steps: int) -> dict[str, Path]:
    rl = {**RL, "max_steps": steps}
    settings = {
        "explore": rl,
        "refine": rl,
        "repair": SFT,
        "explored": {"samples": 4},
        "repaired": {"samples": 4},
    }
    settings["soft_labels"] = {"limit": 128, "samples": 8}
    values = {
        "category": "level",
        "demonstrations": folder / "solved.jsonl",
        "general": folder / "rows.jsonl",
    }
    plan = run(PLANS / "redone.yaml", folder, "redone", settings, values)
    own = yaml.safe_load((PLANS / "redone.yaml").read_text())["stages"]["refine"]["settings"]
    own |= {"rewards": [reward()], "max_completion_length": 10}
    own.pop("instruction")
    takes = {"model": str(folder / "model"), "data": str(folder / "rows.jsonl")}
    last = {"kind": "rl", "takes": takes, "settings": {**own, **rl}}
    longer = {**last, "settings": {**last["settings"], "max_steps": 2 * steps}}
    alone = alone_plan(folder, "refine", {"refine": last})
    both = alone_plan(folder, "both", {"both": longer})
    return {
        "start": folder / "model",
        "plan": plan / "refine" / "run",
        "last stage alone": alone / "refine" / "run",
        "RL of both lengths": both / "both" / "run",
    }


def expert_iteration(folder: Path, steps: int) -> dict[str, Path]:
    settings = {"solve": {"samples": SAMPLES}, "learn": SFT, "anew": SFT, "expert": {"times": ROUNDS}}
    plan = run(PLANS / "expert_iteration.yaml", folder, "expert_iteration", settings, {})
    start = str(folder / "model")
    learn = {"kind": "sft", "settings": {**SFT, "report_to": "none"}}
    collected = str(plan / "expert" / "1" / "gather" / "rows.jsonl")  # what the base solves by itself
    once = alone_plan(folder, "once", {"once": {**learn, "takes": {"model": start, "data": collected}}})
    sampling = {"reward": reward(), "samples": SAMPLES * ROUNDS, "max_new_tokens": 10}
    takes = {"model": start, "data": str(folder / "rows.jsonl")}
    stages = {
        "solve": {"kind": "score", "takes": takes, "settings": sampling},
        "keep": {
            "kind": "select",
            "takes": {"rows": "solve.right", "model": start},
            "settings": {"perplexity": "0.1,0.9"},
        },
        "learn": {**learn, "takes": {"model": start, "data": "keep.rows"}},
    }
    much = alone_plan(folder, "much", stages)
    return {
        "start": folder / "model",
        "plan": plan / "anew" / "run",
        "last stage alone": once / "once" / "run",
        "one round, as many samples": much / "learn" / "run",
    }


def alone_plan(folder: Path, name: str, stages: dict[str, dict]) -> Path:
    """A plan of these stages."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"stages": stages}))
    return run(path, folder, f"{name}-alone", {}, None)


def run(plan: Path, folder: Path, name: str, settings: dict[str, dict], values: dict | None) -> Path:
    """Runs a plan, or goes on with it; its folder."""
    out = folder / name
    changes = {f"{stage}.{key}": value for stage, each in settings.items() for key, value in each.items()}
    if values is not None:
        files = {"rows": folder / "rows.jsonl", "heldout": folder / "heldout.jsonl"}
        own = {"model": folder / "model", "reward": reward(), "instruction": "''"}
        changes |= {**files, **own, "max_tokens": 10, **values}
    words = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "rlkit.cli", "pipeline", str(plan), "--out", str(out), *words]
    subprocess.run(command, check=True)
    return out


def reward() -> str:
    return f"{REPOSITORY / 'recipes' / 'addition.py'}:reward"


def measure(model: Path) -> float:
    """Mean P(right) over held-out problems."""
    import torch
    from addition import make_problems
    from tiny_policy import exact_success
    from transformers import AutoModelForCausalLM, AutoTokenizer

    policy = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(model)
    return float(exact_success(policy, tokenizer, make_problems(1024, seed=1, split="heldout")).mean())


def spent(plan: Path) -> tuple[float, float, float]:
    """What a plan's stages took but for the measuring: sampled completions, sequences of SFT, seconds."""
    from rlkit.record.ledger import read_ledger

    completions = sequences = seconds = 0.0
    for path in plan.rglob("record.json"):
        record = json.loads(path.read_text())
        kind, given = record["identity"]["kind"], record["identity"]["settings"]
        if kind == "eval":
            continue
        seconds += record["seconds"]
        if kind == "rl":
            ages = read_ledger(path.parent / "run" / "ledger")["ages"].to_pylist()
            completions += sum(group.count(0) for group in ages)
        elif kind == "score":
            completions += record["numbers"]["rows"] * given["samples"]
        elif kind == "sft":
            sequences += record["numbers"]["steps"] * given["per_device_train_batch_size"]
    return completions, sequences, seconds


def report(results: dict[str, dict[str, list[float]]]) -> None:
    for name, values in results.items():
        for label, value_N in values.items():
            print(f"{name:18}{label:28}{np.mean(value_N):.3f}   {', '.join(f'{v:.3f}' for v in value_N)}")
        for label in [label for label in values if label != "plan"]:
            difference_N = np.subtract(values["plan"], values[label])
            line = f"{name:18}plan - {label}: {difference_N.mean():+.3f}"
            if len(difference_N) in T_975:
                width = T_975[len(difference_N)] * difference_N.std(ddof=1) / len(difference_N) ** 0.5
                line += f" ({difference_N.mean() - width:+.3f} to {difference_N.mean() + width:+.3f})"
            print(line, flush=True)


if __name__ == "__main__":
    main()

"""What rlkit costs and gains on one CUDA GPU, in at most eight minutes, without a download.

    python scripts/gpu_bench.py --out DIR             on a GPU: random-weight models of 0.5B and 1.5B, vLLM
    python scripts/gpu_bench.py --out DIR --small     the same steps in small on a CPU, without vLLM

Measures tokens/s of vLLM against generate, the step by stage for uniform, dapo, pcl and rlkit at 64 prompts x
8 completions x 512 tokens, the overhead over TRL's own trainer, how fast a value model finds prompts of
intermediate difficulty, and peak memory. Writes results.json after every measurement, report.md at the end.
What does not fit into --minutes is left out and named; a measurement that fails is named too.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from bench_models import save_model
from bench_stages import Setting, measure, table

LIBRARIES = ("torch", "transformers", "trl", "accelerate", "vllm")
CURRICULA = ("uniform", "dapo", "pcl", "rlkit")


class Bench:
    """Takes measurements until the time is over, and writes down each at once."""

    def __init__(self, out: Path, seconds: float):
        self.out, self.deadline = out, time.monotonic() + seconds
        self.results: dict[str, Any] = {"machine": machine(), "left_out": [], "failed": {}}
        out.mkdir(parents=True, exist_ok=True)

    def take(self, name: str, measurement: Callable[[float], Any]) -> None:
        """`measurement` gets the seconds that are left."""
        left = self.deadline - time.monotonic()
        if left < 20:
            self.results["left_out"].append(name)
        else:
            try:
                self.results[name] = measurement(left)
            except Exception as error:  # the others still count
                self.results["failed"][name] = str(error)[-1500:]
        (self.out / "results.json").write_text(json.dumps(self.results, indent=1) + "\n")
        print(f"{name}: {json.dumps(self.results.get(name, 'not measured'))[:200]}", flush=True)


def machine() -> dict[str, str]:
    """The GPU and the versions of what is measured."""
    import torch

    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else platform.processor() or "CPU"
    return {"device": device, "python": platform.python_version(), **versions}


def stages(setting: Setting) -> Callable[[float], dict[str, Any]]:
    return lambda left: {**asdict(setting), **measure(setting, timeout=left)}


def identification(folder: Path, size: str, length: int, prompts: int, engine: str) -> Callable[[float], Any]:
    """bench_identification.py on an eighth of the pool: each prompt costs the same."""

    def run(left: float) -> Any:
        script, out = Path(__file__).with_name("bench_identification.py"), folder / "identification.json"
        command = [sys.executable, str(script), "--size", size, "--length", str(length)]
        command += ["--prompts", str(prompts), "--groups", str(prompts // 16), "--steps", "4"]
        command += ["--rolled-out", str(prompts // 8), "--engine", engine, "--json", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=left)
        if done.returncode != 0:
            raise RuntimeError(done.stderr[-1500:])
        return json.loads(out.read_text())

    return run


def report(results: dict[str, Any]) -> str:
    """The numbers as Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in results["machine"].items())
    lines = [f"# On one GPU\n\n{versions}\n"]
    for size in ("0.5B", "1.5B", "tiny"):
        rows = [
            (name, row) for name, row in results.items() if name.startswith(f"{size} ") and "update" in row
        ]
        if not rows:
            continue
        fields = Setting.__dataclass_fields__
        found = [(Setting(**{key: row[key] for key in fields}), row) for _, row in rows]
        lines += [f"\n## {size}\n", table(found), ""]
        lines += [
            f"- {name}: engine {row['engine']}, {row['tokens_per_second']:.0f} tokens/s" for name, row in rows
        ]
        plain, uniform = results.get(f"{size} plain"), results.get(f"{size} uniform")
        if plain and uniform:
            ratio = uniform["whole_seconds"] / plain["whole_seconds"]
            lines.append(f"- uniform against TRL's own trainer, start included: x{ratio:.3f} (one run each)")
        found_by = results.get(f"{size} identification")
        if found_by:
            lines.append(
                f"- finding prompts: value model {found_by['value_model_seconds']:.2f} s, rolling out "
                f"{found_by['rollout_seconds']:.1f} s: x{found_by['ratio']:.0f}"
            )
    for kind in ("left_out", "failed"):
        lines += [f"\n{kind.replace('_', ' ')}: {name}" for name in results[kind]]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--small", action="store_true", help="a tiny model on a CPU, to test this script")
    parser.add_argument(
        "--engine", choices=("transformers", "vllm"), help="default: vllm, and transformers with --small"
    )
    arguments = parser.parse_args()
    import torch

    if not arguments.small and not torch.cuda.is_available():
        parser.error("there is no CUDA device; --small runs the same steps on a CPU")
    engine = arguments.engine or ("transformers" if arguments.small else "vllm")
    bench = Bench(arguments.out, 60 * arguments.minutes)
    sizes = ("tiny",) if arguments.small else ("0.5B", "1.5B")
    for size in sizes:
        model = str(save_model(size, arguments.out / f"model-{size}"))
        base = Setting(model, groups=64, length=512, batch=16, steps=3, engine=engine)
        if arguments.small:
            base = replace(base, groups=2, length=8, steps=1, num_prompts=64)
        curricula = CURRICULA if size != "1.5B" else ("uniform", "rlkit")
        for curriculum in curricula:
            bench.take(f"{size} {curriculum}", stages(replace(base, curriculum=curriculum)))
        if size != "1.5B":
            bench.take(f"{size} plain", stages(replace(base, plain=True)))
            prompts, length = (64, 8) if arguments.small else (1024, 256)
            bench.take(f"{size} identification", identification(arguments.out, size, length, prompts, engine))
            if engine == "vllm":
                generate = replace(base, engine="transformers", steps=1)
                bench.take(f"{size} generate", stages(generate))
    text = report(bench.results)
    (arguments.out / "report.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

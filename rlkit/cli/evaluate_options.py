"""The options of `rlkit eval`: what each is and says in the help."""

from pathlib import Path
from typing import Annotated

import typer

Models = Annotated[
    list[str] | None,
    typer.Argument(help="Checkpoints, PEFT adapters' folders, RUN/checkpoint-*, or Hub ids."),
]
Benchmarks = Annotated[
    str | None, typer.Option(help="Names and .yaml files, with commas between; or give --dataset.")
]
Data = Annotated[
    list[str] | None, typer.Option(help="NAME=FILE: a local copy of a benchmark's rows; repeatable.")
]
DatasetFile = Annotated[
    Path | None, typer.Option(help="Your own rows: a .jsonl, .json or .parquet file; with --reward.")
]
Reward = Annotated[
    str | None, typer.Option(help="path/to/file.py:function or package.module:function; with --dataset.")
]
PromptColumn = Annotated[str, typer.Option(help="With --dataset: text to ask where rows have no `prompt`.")]
Instruction = Annotated[str, typer.Option(help="With --dataset: put below the text in the user's message.")]
Samples = Annotated[int, typer.Option(help="Completions a problem; pass@k up to this k.")]
Engine = Annotated[str, typer.Option(help="transformers or vllm, in this process.")]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder for completions and reports; what it holds is not sampled again."),
]
MaxNewTokens = Annotated[
    int | None,
    typer.Option(
        help="A longer completion is cut and counts as truncated. Default: the benchmark's, or 512."
    ),
]
Temperature = Annotated[float, typer.Option(help="0 takes the most likely token.")]
PromptKind = Annotated[
    str, typer.Option(help="chat, plain (with worked examples), or auto: chat if there is a template.")
]
BatchSize = Annotated[int | None, typer.Option(help="Completions at once. Default: 32, with vLLM 2048.")]
Limit = Annotated[int | None, typer.Option(help="Only the first problems.")]
Seed = Annotated[int, typer.Option(help="Of the sampling and of the intervals.")]
Compare = Annotated[
    tuple[Path, Path] | None,
    typer.Option(help="Instead: is B better than A? Two models' folders, OUT/A and OUT/B."),
]
CheckOverlap = Annotated[
    Path | None,
    typer.Option(help="Instead: a training file; which problems does it hold? Its texts: --prompt-column."),
]

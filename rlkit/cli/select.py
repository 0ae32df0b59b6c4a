"""`rlkit select`: rows of data files chosen by rules."""

from pathlib import Path
from typing import Annotated

import typer


def select(
    rows: Annotated[list[Path], typer.Argument(help=".jsonl, .json or .parquet files.", show_default=False)],
    out: Annotated[Path, typer.Option(help="A .jsonl file; OUT.json gets how many each rule left.")],
    pass_rate: Annotated[str | None, typer.Option(help="LOW,HIGH: rows whose pass_rate lies there.")] = None,
    buckets: Annotated[
        Path | None, typer.Option(help="buckets.json of `rlkit diagnose`: the failed.")
    ] = None,
    without: Annotated[
        str | None, typer.Option(help="Benchmarks and data files: rows that hold one of their problems go.")
    ] = None,
    perplexity: Annotated[
        str | None, typer.Option(help="LOW,HIGH: shares (as 0.1,0.9) between which rows are kept.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Of the perplexity.")] = None,
    most: Annotated[int | None, typer.Option(help="So many rows, drawn at random.")] = None,
    mix: Annotated[Path | None, typer.Option(help="Rows mixed in at the end.")] = None,
    share: Annotated[float, typer.Option(help="Of the rows mixed in, of all.")] = 0.05,
    prompt_column: Annotated[str, typer.Option(help="Text of a row without `prompt`.")] = "question",
    seed: Annotated[int, typer.Option(help="Of what is drawn at random.")] = 0,
) -> None:
    """Choose rows by rules, in this order: pass rate, failed buckets, overlap, perplexity, number, mixing.

    A rule that leaves nothing is named. Several files are one after the other.

    rlkit select right.jsonl --perplexity 0.1,0.9 --model MODEL --without math500 --out kept.jsonl
    """
    import json

    from rlkit.evaluate import select as rules
    from rlkit.evaluate.store import to_lines, write_whole
    from rlkit.prompts.files import read_rows

    chosen: dict[str, rules.Rule] = {}
    if pass_rate is not None:
        chosen[f"pass_rate ({pass_rate})"] = rules.by_pass_rate(*_band("pass_rate", pass_rate))
    if buckets is not None:
        chosen[f"buckets ({buckets})"] = rules.in_failed_buckets(json.loads(buckets.read_text()))
    if without is not None:
        chosen[f"without ({without})"] = rules.without(_problems(without, prompt_column), prompt_column)
    if perplexity is not None:
        if model is None:
            raise ValueError(f"perplexity ({perplexity}) needs --model, which measures it")
        low, high = _band("perplexity", perplexity)
        chosen[f"perplexity ({perplexity})"] = rules.by_perplexity(low, high, _measure(model))
    if most is not None:
        if most < 1:
            raise ValueError(f"most ({most}) must be at least 1")
        chosen[f"most ({most})"] = rules.at_most(most, seed)
    if mix is not None:
        if not 0 < share < 1:
            raise ValueError(f"share ({share}) must lie between 0 and 1")
        chosen[f"mix ({mix})"] = rules.mixed_with(read_rows(mix), share, seed)
    kept, counts = rules.select([row for path in rows for row in read_rows(path)], chosen)
    write_whole(out, to_lines(kept))
    write_whole(out.with_name(f"{out.name}.json"), json.dumps({**counts, "kept": len(kept)}) + "\n")
    typer.echo(", ".join(f"{name}: {count}" for name, count in counts.items()))


def _band(name: str, text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"{name} ({text}) must be LOW,HIGH, such as 0.2,0.8") from error
    if not 0 <= low < high <= 1:
        raise ValueError(f"{name} ({text}): 0 <= LOW < HIGH <= 1 must hold")
    return low, high


def _measure(model: str):
    from rlkit.evaluate.perplexity import perplexities
    from rlkit.settings import program

    program.quiet_libraries()
    return lambda rows: perplexities(model, rows)


def _problems(names: str, column: str) -> list[str]:
    """The texts of benchmarks (by name or .yaml file) and of data files."""
    from rlkit.evaluate.benchmarks import find_benchmark
    from rlkit.evaluate.overlap import prompt_texts
    from rlkit.evaluate.problems import load_problems
    from rlkit.prompts.files import read_rows

    texts: list[str] = []
    for name in (part.strip() for part in names.split(",")):
        if Path(name).is_file() and not name.endswith((".yaml", ".yml")):
            rows = read_rows(name)
            texts += prompt_texts(rows, "prompt" if column not in rows[0] and "prompt" in rows[0] else column)
        else:
            problems = load_problems(find_benchmark(name))
            texts += [each.question or prompt_texts([{"": each.given}], "")[0] for each in problems]
    return texts

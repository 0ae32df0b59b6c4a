"""The model card of a run: TRL's, with the base model, data, rewards and curriculum that it leaves out."""

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard

import rlkit
from rlkit.curriculum.presets import PRESETS

BASE = re.compile(r"This model is a fine-tuned version of .*?\.\n")
VERSIONS = "### Framework versions\n"
NO_MODEL = 'model="None"'
CITATIONS = "## Citations\n"
"""Places in TRL's text (`trl/templates/lm_model_card.md`) where ours comes in."""


def complete(trainer: Any) -> None:
    """Fills in the card that TRL has just written into the trainer's folder."""
    path = Path(trainer.args.output_dir) / "README.md"
    card = ModelCard.load(path)
    data: Any = card.data
    data.tags = sorted({*(data.tags or []), "rlkit", f"curriculum-{trainer.curriculum.name}"})
    data.pop("licence", None)  # a placeholder of TRL's, not a license
    if is_hub_id(trainer.data_name):
        data.datasets = [trainer.data_name]
    text = BASE.sub(lambda _: f"This model is a fine-tuned version of {base_model(trainer)}.\n", card.text, 1)
    text = text.replace(NO_MODEL, f'model="{path.parent}"')
    text = text.replace(VERSIONS, f"{run_section(trainer)}\n{VERSIONS}\n- rlkit: {rlkit.__version__}", 1)
    text = text.replace("\n\n- TRL:", "\n- TRL:", 1)
    text = text.replace("\n- TRL:", f"\n- Accelerate: {version('accelerate')}\n- TRL:", 1)
    text = text.replace(CITATIONS, f"{CITATIONS}\n{citation(trainer.curriculum.name)}", 1)
    card.text = text
    card.save(path)


def is_hub_id(name: str | None) -> bool:
    """is_hub_id("openai/gsm8k") -> True; a folder or file of that name is not."""
    return name is not None and re.fullmatch(r"[\w.-]+/[\w.-]+", name) is not None and not Path(name).exists()


def base_model(trainer: Any) -> str:
    """The model that the training began with; of a folder, its name."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    name = model.config._name_or_path
    if not name:
        return f"a `{type(model).__name__}` that the script made"
    if Path(name).is_dir():
        return f"`{Path(name).name}` (a local folder)"
    return f"[{name}](https://huggingface.co/{name})"


def run_section(trainer: Any) -> str:
    """Data, rewards, curriculum with its numbers, and what was spent."""
    curriculum, totals = trainer.curriculum, trainer.record.totals
    preset = PRESETS.get(curriculum.name)
    numbers = {name: value for name, value in curriculum.state_dict()["numbers"].items() if value is not None}
    rule = f", {preset.rule}. Source: {preset.paper}" if preset else ""
    weights = trainer.reward_weights.tolist()
    rewards = (
        f"`{name}` (weight {weight:g})"
        for name, weight in zip(trainer.reward_func_names, weights, strict=True)
    )
    return "\n".join(
        [
            "### Data, rewards and curriculum",
            "",
            f"- Data: {_data(trainer.data_name)}{len(trainer.pool):,} prompts",
            f"- Rewards: {', '.join(rewards)}",
            f"- Curriculum: `{curriculum.name}`{rule}",
            f"- Its numbers: {', '.join(f'{name} = {value}' for name, value in sorted(numbers.items()))}",
            f"- Batch: {trainer._num_groups} prompts x {trainer._group_size} completions",
            f"- Steps: {trainer.state.global_step:,}",
            f"- Rollouts: {totals['rollouts/spent_total']:,.0f} spent, "
            f"{totals['rollouts/trained_total']:,.0f} trained; "
            f"{totals['tokens/generated_total']:,.0f} tokens generated",
            "",
        ]
    )


def citation(preset: str) -> str:
    """The preset's paper as BibTeX; nothing where there is none."""
    paper = PRESETS[preset].paper if preset in PRESETS else ""
    found = re.search(r"arXiv (\d{4}\.\d{5})", paper)
    if found is None:
        return ""
    note = re.sub(r"[(,]?\s*arXiv \d{4}\.\d{5}\)?", "", paper).strip()
    note = f"{note})" if note.count("(") > note.count(")") else note
    return "\n".join(
        [
            f"Cite the curriculum ({preset}) as:",
            "",
            "```bibtex",
            f"@misc{{arxiv{found[1]},",
            f"    title         = {{{note}}},",
            f"    eprint        = {{{found[1]}}},",
            "    archivePrefix = {arXiv},",
            f"    url           = {{https://arxiv.org/abs/{found[1]}}},",
            "}",
            "```",
            "",
        ]
    )


def _data(name: str | None) -> str:
    if name is None:
        return ""
    return (
        f"[{name}](https://huggingface.co/datasets/{name}), " if is_hub_id(name) else f"`{Path(name).name}`, "
    )

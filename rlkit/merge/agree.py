"""Whether checkpoints can be averaged: what must be the same is refused by name, what may differ is said."""

from collections.abc import Sequence
from typing import Any

from rlkit.merge.checkpoint import Checkpoint

NO_MATTER = ("_name_or_path", "transformers_version", "dtype", "torch_dtype", "use_cache")
MAY_DIFFER = (
    *("bos_token_id", "eos_token_id", "pad_token_id"),
    *("max_position_embeddings", "sliding_window", "max_window_layers", "initializer_range"),
)
"""Of a configuration: limits and ids that no weight's meaning hangs on. The first checkpoint's are kept."""
FLOATS = ("F64", "F32", "F16", "BF16")
"""Types that have an average; narrower ones (F8_E4M3) mean something beside their scales only."""


def check_architectures(checkpoints: Sequence[Checkpoint]) -> list[str]:
    """What differs in the configurations and does not matter for an average, a sentence each.

    Raises:
        ValueError: another architecture, by the field that differs; or quantized weights.
    """
    first = checkpoints[0]
    configs = [checkpoint.config.to_dict() for checkpoint in checkpoints]
    for checkpoint, config in zip(checkpoints, configs, strict=True):
        if config.get("quantization_config"):
            raise ValueError(
                f"model {checkpoint.name} is quantized (quantization_config in its config.json); average the "
                "weights that it was made from"
            )
    notes = []
    for other, config in zip(checkpoints[1:], configs[1:], strict=True):
        names = [name for name in {**configs[0], **config} if name not in NO_MATTER]
        differing = [name for name in names if configs[0].get(name) != config.get(name)]
        refused = [name for name in differing if name not in MAY_DIFFER]
        if refused:
            raise ValueError(
                f"{first.name} and {other.name} are not of one architecture: "
                f"{_values(refused, configs[0], config)}; only checkpoints made from one base can be averaged"
            )
        if differing:
            notes.append(
                f"config.json of {other.name}: {_values(differing, configs[0], config)}; the first is kept"
            )
    return notes


def check_tensors(checkpoints: Sequence[Checkpoint], names: Sequence[Sequence[str]]) -> list[str]:
    """What differs in the tensors' types, a sentence a checkpoint; the first's types are kept.

    Args:
        names: of each checkpoint's tensors, without copies of tied ones.

    Raises:
        ValueError: a tensor that one lacks, another shape, or a type that has no average, by its name.
    """
    first = checkpoints[0]
    notes = []
    for checkpoint, held in zip(checkpoints, names, strict=True):
        for name in held:
            kind = checkpoint.kinds[name]
            if kind.dtype.startswith("F") and kind.dtype not in FLOATS:
                raise ValueError(
                    f"tensor {name} of {checkpoint.name} is {kind}, which has no average; average the "
                    "weights that it was made from"
                )
    for other, theirs in zip(checkpoints[1:], names[1:], strict=True):
        for holder, lacking, alone in (
            (first, other, set(names[0]) - set(theirs)),
            (other, first, set(theirs) - set(names[0])),
        ):
            if alone:
                raise ValueError(
                    f"{lacking.name} has no tensor {min(alone)}, which {holder.name} has "
                    f"({len(alone)} such); only checkpoints of one architecture can be averaged"
                )
        for name in names[0]:
            if first.kinds[name].shape != other.kinds[name].shape:
                raise ValueError(
                    f"tensor {name} is {first.kinds[name]} in {first.name} and {other.kinds[name]} in "
                    f"{other.name}; only tensors of one shape can be averaged"
                )
        changed = [name for name in names[0] if first.kinds[name].dtype != other.kinds[name].dtype]
        if changed:
            kinds = first.kinds[changed[0]].dtype, other.kinds[changed[0]].dtype
            notes.append(
                f"{len(changed)} tensors of {other.name} have another type than those of {first.name} "
                f"({changed[0]}: {kinds[1]}, not {kinds[0]}); the first's are kept"
            )
    return notes


def check_tokenizers(checkpoints: Sequence[Checkpoint]) -> list[str]:
    """What differs in vocabularies and chat templates, a sentence each; the first tokenizer is kept."""
    having = [checkpoint for checkpoint in checkpoints if checkpoint.tokenizer is not None]
    notes = [f"{each.name} has no tokenizer" for each in checkpoints if each not in having]
    for first, other in ((having[0], other) for other in having[1:]):
        ours, theirs = first.tokenizer.get_vocab(), other.tokenizer.get_vocab()
        if ours != theirs:
            notes.append(_vocabularies(first.name, other.name, ours, theirs))
        if first.tokenizer.chat_template != other.tokenizer.chat_template:
            notes.append(f"chat templates of {first.name} and {other.name} differ; the first is kept")
    return notes


def untied(checkpoint: Checkpoint) -> list[str]:
    """The names of its tensors without copies of tied ones, which some programs save again.

    Raises:
        ValueError: the configuration ties two tensors, and the checkpoint holds different ones.
    """
    import torch

    names = list(checkpoint.kinds)
    for copy, source in _ties(checkpoint.config).items():
        if copy in checkpoint.kinds and source in checkpoint.kinds:
            if not torch.equal(checkpoint.read(copy), checkpoint.read(source)):
                raise ValueError(
                    f"model {checkpoint.name}: its config.json ties {copy} to {source}, but the tensors "
                    "differ; set tie_word_embeddings to false there, or save the model again"
                )
            names.remove(copy)
    return names


def _ties(config: Any) -> dict[str, str]:
    """Names of tied tensors with those that they are tied to, by transformers' own model."""
    import torch
    from transformers import AutoModelForCausalLM

    try:
        with torch.device("meta"):
            return dict(AutoModelForCausalLM.from_config(config).all_tied_weights_keys)
    except ValueError as error:
        raise ValueError(f"model type {config.model_type} is no language model of transformers") from error


def _values(names: Sequence[str], ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    return ", ".join(f"{name} is {ours.get(name)!r} and {theirs.get(name)!r}" for name in names)


def _vocabularies(first: str, other: str, ours: dict[str, int], theirs: dict[str, int]) -> str:
    texts, other_texts = ({id: text for text, id in vocab.items()} for vocab in (ours, theirs))
    moved = [id for id in sorted(texts.keys() & other_texts.keys()) if texts[id] != other_texts[id]]
    parts = [f"{len(ours)} and {len(theirs)} tokens"]
    if moved:
        example = moved[0]
        parts.append(
            f"{len(moved)} ids mean other tokens, such as {example}: {texts[example]!r} and "
            f"{other_texts[example]!r}, whose embeddings are averaged all the same"
        )
    return f"vocabularies of {first} and {other} differ ({'; '.join(parts)}); the first tokenizer is kept"

"""An adapter's change added to its base by PEFT, which holds the model in memory."""

import json
from pathlib import Path
from typing import Any

from rlkit.evaluate.models import load_tokenizer

SHARD = "5GB"


def base_of(adapter: str) -> str:
    """The base that an adapter's configuration names."""
    return _settings(adapter)["base_model_name_or_path"]


def write_with_adapter(adapter: str, base: str, folder: Path) -> None:
    """Writes the base with the adapter in it, and the tokenizer of the adapter where the base is its own.

    Raises:
        ValueError: the base is not there, or not the one that the adapter was made for, or such an adapter
            has nothing that could be added.
    """
    from transformers import AutoModelForCausalLM

    try:
        model = _on(AutoModelForCausalLM.from_pretrained(base, dtype="auto"), adapter)
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"adapter {adapter} does not go on {base}: {' '.join(str(error).split()):.300}; name its base "
            f"with rlkit merge {adapter} BASE --out DIR"
        ) from error
    unload = getattr(model, "merge_and_unload", None)
    if unload is None:
        raise ValueError(
            f"adapter {adapter} ({_settings(adapter).get('peft_type')}) cannot be put into its base"
        )
    _untie(model)
    unload(safe_merge=True).save_pretrained(folder, max_shard_size=SHARD)
    load_tokenizer(adapter if base_of(adapter) == base else base).save_pretrained(folder)


def _on(model: Any, adapter: str) -> Any:
    """The model with the adapter, all of whose tensors have found a place, and all places a tensor."""
    from peft import PeftConfig, get_peft_model

    config = PeftConfig.from_pretrained(adapter)
    config.base_model_name_or_path = model.name_or_path
    found = get_peft_model(model, config)
    result = found.load_adapter(adapter, "default")
    for names, problem in (
        (result.unexpected_keys, "has no place for the adapter's"),
        (result.missing_keys, "needs of the adapter"),
    ):
        if names:
            raise ValueError(f"the base {problem} {names[0]} ({len(names)} such)")
    return found


def _untie(model: Any) -> None:
    """Gives the head weights of its own where it shares the embedding's and the adapter changes one of the
    two: both would be changed. PEFT then says in the configuration that they are not tied."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from torch.nn import Parameter

    whole = model.get_base_model()
    layers = whole.get_input_embeddings(), whole.get_output_embeddings()
    if any(isinstance(layer, BaseTunerLayer) for layer in layers):
        inner: Any = [each.get_base_layer() if isinstance(each, BaseTunerLayer) else each for each in layers]
        if inner[1] is not None and inner[0].weight is inner[1].weight:
            inner[1].weight = Parameter(inner[1].weight.detach().clone(), requires_grad=False)


def _settings(adapter: str) -> dict[str, Any]:
    return json.loads((Path(adapter) / "adapter_config.json").read_text())

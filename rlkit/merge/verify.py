"""Does a folder hold a model that transformers loads whole, and that says something finite?"""

from pathlib import Path
from typing import Any


def verify(folder: Path) -> None:
    """Loads the model and asks it for logits.

    Raises:
        ValueError: it cannot be loaded, weights are missing or left over, or logits are not finite.
    """
    import torch
    from transformers import AutoModelForCausalLM

    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", output_loading_info=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"the merged model cannot be loaded: {' '.join(str(error).split()):.300}") from error
    model, found = loaded
    wrong = {name: sorted(names) for name, names in found.items() if name.endswith("_keys") and names}
    if wrong:
        raise ValueError(
            f"the merged model does not load whole ({wrong}); the first checkpoint may not either"
        )
    with torch.no_grad():
        logits = model(torch.tensor([[0, 1, 2]])).logits
    if not torch.isfinite(logits).all():
        raise ValueError("the merged model's logits are not finite: its parts may not come from one base")

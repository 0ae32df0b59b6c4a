"""Sample completions from a saved model, with transformers or with vLLM.

Sampling is as in training: temperature alone, none of the top-k, top-p or repetition penalty that a
checkpoint's own generation settings may hold. So the completions are those of the policy that was trained.
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig


@dataclass(frozen=True)
class Sampling:
    """How to sample; raises ValueError for what cannot be meant."""

    num_samples: int
    max_new_tokens: int
    temperature: float
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        for field in ("num_samples", "max_new_tokens", "batch_size"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} ({getattr(self, field)}) must be at least 1")
        if self.temperature < 0:
            raise ValueError(f"temperature ({self.temperature}) must be at least 0")
        if self.temperature == 0 and self.num_samples > 1:
            raise ValueError(
                f"num_samples ({self.num_samples}) at temperature 0 gives the same completion each time; "
                "set num_samples to 1 or temperature above 0"
            )


@dataclass(frozen=True)
class Sample:
    """One completion; its text leaves special tokens out, its ids do not."""

    token_ids: list[int]
    text: str
    truncated: bool


def generate(
    model_path: str | Path, prompts: Sequence[Any], sampling: Sampling, use_vllm: bool
) -> list[list[Sample]]:
    """`num_samples` completions a prompt (text or messages) of a checkpoint, adapter folder or Hub id."""
    tokenizer = AutoTokenizer.from_pretrained(_tokenizer_path(model_path))
    prompt_ids = [_encode(tokenizer, prompt) for prompt in prompts]
    backend = _with_vllm if use_vllm else _with_transformers
    return backend(model_path, tokenizer, prompt_ids, sampling)


def _is_adapter(model_path: str | Path) -> bool:
    return (Path(model_path) / "adapter_config.json").is_file()


def _tokenizer_path(model_path: str | Path) -> str:
    """The folder itself, or for an adapter that was saved without a tokenizer, its base model."""
    if _is_adapter(model_path) and not (Path(model_path) / "tokenizer_config.json").is_file():
        config = json.loads((Path(model_path) / "adapter_config.json").read_text())
        return config["base_model_name_or_path"]
    return str(model_path)


def _load_model(model_path: str | Path) -> Any:
    if _is_adapter(model_path):
        from peft import AutoPeftModelForCausalLM

        return AutoPeftModelForCausalLM.from_pretrained(str(model_path)).merge_and_unload()
    return AutoModelForCausalLM.from_pretrained(str(model_path))


def _encode(tokenizer: Any, prompt: Any) -> list[int]:
    """Token ids of a prompt as TRL makes them: the chat template for messages, plain tokens for text."""
    if isinstance(prompt, str):
        return tokenizer(prompt)["input_ids"]
    if tokenizer.chat_template is None:
        raise ValueError(
            "the prompts are messages, but the model's tokenizer has no chat template; use text prompts"
        )
    return tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=True, return_dict=True)[
        "input_ids"
    ]


def _with_transformers(
    model_path: str | Path,
    tokenizer: Any,
    prompt_ids: list[list[int]],
    sampling: Sampling,
) -> list[list[Sample]]:
    model = _load_model(model_path)
    model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    own = model.generation_config
    eos = own.eos_token_id if own.eos_token_id is not None else tokenizer.eos_token_id
    eos_ids = set(eos) if isinstance(eos, list) else {eos} - {None}
    pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(eos_ids, default=0)
    drawn = {"do_sample": True, "temperature": sampling.temperature, "top_k": 0, "top_p": 1.0}
    # Replaced, not passed to generate(), which would fill in what the checkpoint's own settings say.
    model.generation_config = GenerationConfig(
        max_new_tokens=sampling.max_new_tokens,
        eos_token_id=sorted(eos_ids) or None,
        pad_token_id=pad_id,
        **(drawn if sampling.temperature > 0 else {"do_sample": False}),
    )
    flat = [ids for ids in prompt_ids for _ in range(sampling.num_samples)]
    samples: list[Sample] = []
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(sampling.seed)
        for start in range(0, len(flat), sampling.batch_size):
            batch = flat[start : start + sampling.batch_size]
            width = max(len(ids) for ids in batch)
            input_ids = torch.tensor(
                [[pad_id] * (width - len(ids)) + ids for ids in batch], device=model.device
            )
            mask = torch.tensor(
                [[0] * (width - len(ids)) + [1] * len(ids) for ids in batch], device=model.device
            )
            output = model.generate(input_ids=input_ids, attention_mask=mask)
            samples += [_to_sample(tokenizer, ids, eos_ids) for ids in output[:, width:].tolist()]
    return [samples[i : i + sampling.num_samples] for i in range(0, len(samples), sampling.num_samples)]


def _to_sample(tokenizer: Any, ids: list[int], eos_ids: set[int]) -> Sample:
    """Cut a generated row after its first end-of-sequence token; what follows is padding."""
    end = next((i + 1 for i, token in enumerate(ids) if token in eos_ids), None)
    kept = ids[:end]
    return Sample(kept, tokenizer.decode(kept, skip_special_tokens=True), truncated=end is None)


def _with_vllm(
    model_path: str | Path,
    tokenizer: Any,
    prompt_ids: list[list[int]],
    sampling: Sampling,
) -> list[list[Sample]]:
    """As with transformers, but vLLM makes its own batches; an adapter is merged into a copy first."""
    from vllm import LLM, SamplingParams  # pyright: ignore[reportMissingImports]

    with tempfile.TemporaryDirectory() as merged:
        if _is_adapter(model_path):
            _load_model(model_path).save_pretrained(merged)
            tokenizer.save_pretrained(merged)
            model_path = merged
        llm = LLM(
            model=str(model_path),
            seed=sampling.seed,
            enforce_eager=not torch.cuda.is_available(),
            generation_config="vllm",  # not the checkpoint's own settings
        )
    params = SamplingParams(
        n=sampling.num_samples,
        temperature=sampling.temperature,
        max_tokens=sampling.max_new_tokens,
        seed=sampling.seed,
    )
    outputs = llm.generate([{"prompt_token_ids": ids} for ids in prompt_ids], params, use_tqdm=False)
    return [
        [
            Sample(
                list(completion.token_ids),
                tokenizer.decode(completion.token_ids, skip_special_tokens=True),
                truncated=completion.finish_reason == "length",
            )
            for completion in output.outputs
        ]
        for output in outputs
    ]

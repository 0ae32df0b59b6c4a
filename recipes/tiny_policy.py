"""What recipes on strings share: characters as tokens, a tiny Llama, its exact success, and its warm start.

A problem is a row with `prompt` and `answer`. Exactly one string is right, so that one teacher-forced
forward computes the success probability of a prompt exactly (`exact_success`), with no sampling noise.
"""

import os
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

EOS = "<eos>"
IGNORED = -100  # F.cross_entropy's own mark of a target that does not count


def character_tokenizer(alphabet: str, words: Sequence[str] = ()) -> PreTrainedTokenizerFast:
    """One token per character and per word with its colon, and one special token which both ends and pads.

    A separate pad token could be sampled inside an answer and would vanish in decoding, which would make
    two token strings decode to the same right answer; with only `<eos>` the right string is unique.
    """
    vocab = {token: i for i, token in enumerate([EOS, *alphabet, *(f"{word}:" for word in words)])}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token=EOS))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("[a-z]+:|."), "isolated")
    tokenizer.decoder = decoders.Fuse()  # without it decoding puts spaces between characters
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=EOS, pad_token=EOS, padding_side="left"
    )


def tiny_llama(
    tokenizer: PreTrainedTokenizerFast, width: int, intermediate: int, layers: int, heads: int, spread: float
) -> LlamaForCausalLM:
    """The wide initialization (`spread`) and the small rotary base are what make it learn in time."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 30.0},
        initializer_range=spread,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


# Problems


def split_of(prompt: str) -> str:
    """The split a prompt belongs to, by a stable hash: about a quarter is "heldout"."""
    return "heldout" if zlib.crc32(prompt.encode()) % 4 == 0 else "pool"


def distinct(draw: Callable[[], dict], num: int, split: str) -> list[dict]:
    """Up to `num` problems of one split with different prompts; fewer where `draw` has no more.

    Raises:
        ValueError: a split that is none.
    """
    if split not in ("pool", "heldout"):
        raise ValueError(f"split must be 'pool' or 'heldout', got {split!r}")
    found: dict[str, dict] = {}
    for _ in range(100 * num + 1000):
        if len(found) == num:
            break
        problem = draw()
        if split_of(problem["prompt"]) == split:
            found[problem["prompt"]] = problem
    return list(found.values())


# Grading


def reward(completions: Sequence[str], answer: Sequence[str], **_) -> list[float]:
    """TRL reward function: 1.0 where the whole completion is the answer, else 0.0."""
    return [float(completion == gold) for completion, gold in zip(completions, answer, strict=True)]


@torch.no_grad()
def exact_success(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    problems: Sequence[dict],
    batch_size: int = 512,
) -> np.ndarray:
    """P(reward = 1) of each problem, at temperature 1 without top-k or top-p: shape (N,), free of noise."""
    batches = [problems[first : first + batch_size] for first in range(0, len(problems), batch_size)]
    nll_N = torch.cat([answer_nll(model, tokenizer, batch).double().sum(1) for batch in batches])
    return torch.exp(-nll_N).cpu().numpy()


def answer_nll(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, problems: Sequence[dict]
) -> torch.Tensor:
    """Negative log-likelihood (B, T) of each answer and its end token; 0 at other positions."""
    ids_BT, targets_BT = (part.to(model.device) for part in encode(tokenizer, problems))
    shortest = int((targets_BT != IGNORED).int().argmax(1).min())  # tokens of the shortest prompt
    kept = ids_BT.shape[1] - shortest + 1
    logits_BTV = model(ids_BT, logits_to_keep=kept, use_cache=False).logits[:, :-1]
    return F.cross_entropy(
        logits_BTV.float().transpose(1, 2),
        targets_BT[:, shortest:],
        reduction="none",
        ignore_index=IGNORED,
    )


def encode(tokenizer: PreTrainedTokenizerFast, problems: Sequence[dict]) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompt, answer and end token as ids (B, T), padded on the right, and the same with `IGNORED` elsewhere
    than in the answer and its end."""
    texts = [problem["prompt"] + problem["answer"] + EOS for problem in problems]
    ids_BT = tokenizer(texts, padding=True, padding_side="right", return_tensors="pt")["input_ids"]
    targets_BT = torch.full_like(ids_BT, IGNORED)
    prompts = tokenizer([problem["prompt"] for problem in problems])["input_ids"]
    for row, (problem, prompt) in enumerate(zip(problems, prompts, strict=True)):
        first, last = len(prompt), len(prompt) + len(problem["answer"]) + 1
        targets_BT[row, first:last] = ids_BT[row, first:last]
    return ids_BT, targets_BT


# Warm start


def make_once(
    path: str | Path,
    seed: int,
    make_model: Callable[[PreTrainedTokenizerFast], LlamaForCausalLM],
    tokenizer: PreTrainedTokenizerFast,
    teach: Callable[[LlamaForCausalLM, PreTrainedTokenizerFast, np.random.Generator], None],
) -> None:
    """Train a policy and save it with its tokenizer at `path`.

    Deterministic for a seed and machine. The folder appears only when complete: cache by its existence.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = make_model(tokenizer)

    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # with tensors this small more threads are slower
    teach(model, tokenizer, np.random.default_rng(seed))
    torch.set_num_threads(num_threads)

    temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
    model.save_pretrained(temporary)
    tokenizer.save_pretrained(temporary)
    temporary.rename(path)


def make_optimizers(model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon for the matrices, AdamW for embeddings and norms: fewer steps and less luck than AdamW alone."""
    matrices = [p for p in model.model.layers.parameters() if p.ndim == 2]
    others = [p for p in model.model.layers.parameters() if p.ndim < 2]
    others += [*model.model.embed_tokens.parameters(), *model.model.norm.parameters()]
    return [
        torch.optim.Muon(matrices, lr=0.02, weight_decay=0.0, ns_steps=4),
        torch.optim.AdamW(others, lr=3e-3, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def sft_step(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    optimizers: list[torch.optim.Optimizer],
    lesson: list[dict],
    lr_scale: float,
) -> None:
    """One update on the answers of a lesson."""
    num_tokens = sum(len(problem["answer"]) + 1 for problem in lesson)
    (answer_nll(model, tokenizer, lesson).sum() / num_tokens).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = lr_scale * optimizer.defaults["lr"]
        optimizer.step()
    model.zero_grad()

"""Reversed addition: the default task of the demo, small enough to train with RL on one CPU thread.

A problem adds two numbers of the same number of significant digits, its *level*, 1 to 8. Both are
written with the ones digit first and padded with zeros to 8 digits, so every prompt has 18 characters
and every answer 9 digits and an end token:

    53 + 28 = 81    ->    prompt "35000000+82000000="    answer "180000000"    level 2

Why this task: the reward is verifiable, nothing is downloaded, the success probability spans 0 to 1
over the levels, and exactly one string is right, so that one teacher-forced forward computes the success
probability of a prompt exactly (`exact_success`), with no sampling noise in the held-out metric.

Honest limit: the warm start learns to add from clean answers and then imitates a teacher who slips more
often at higher levels, so its distribution is blurred while its most likely digit stays right. RL from
there elicits and sharpens a procedure which the policy already holds. It does not discover addition.
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

WIDTH = 8  # digits of a padded operand
MAX_COMPLETION_LENGTH = 10  # 9 digits and the end token

# Share of each level in the pool: most prompts are too easy or too hard for the warm start. Level 1 has
# only 100 pairs, so the easy mass lies on levels 2 and 3.
LEVEL_WEIGHTS = (0.5, 9.5, 9.5, 1, 1, 2, 8, 8)

# Chance that a teacher of the warm start replaces a significant digit by a wrong one, per level.
CLEAN = (0.0,) * WIDTH
SLIPPING = (0.0, 0.0, 0.0, 0.03, 0.12, 0.35, 0.6, 0.75)
MAX_CLEAN_STEPS, SLIPPING_STEPS = 500, 300
WARM_STEPS = MAX_CLEAN_STEPS + SLIPPING_STEPS

EOS = "<eos>"
ALPHABET = "0123456789+="


def make_tokenizer() -> PreTrainedTokenizerFast:
    """One token per character, and one special token which both ends and pads.

    A separate pad token could be sampled inside an answer and would vanish in decoding, which would make
    two token strings decode to the same right answer; with only `<eos>` the right string is unique.
    """
    vocab = {token: i for i, token in enumerate([EOS, *ALPHABET])}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token=EOS))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()  # without it decoding puts spaces between digits
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=EOS, pad_token=EOS, padding_side="left"
    )


# Problems


def split_of(prompt: str) -> str:
    """The split a prompt belongs to, by a stable hash: about 25% of each level is "heldout"."""
    return "heldout" if zlib.crc32(prompt.encode()) % 4 == 0 else "pool"


def draw_problem(rng: np.random.Generator, level: int) -> dict:
    """One random problem of a level; the split is whatever its prompt hashes to."""
    low = 0 if level == 1 else 10 ** (level - 1)
    a, b = (int(x) for x in rng.integers(low, 10**level, size=2))
    # Written most significant digit first and in the opposite order, then reversed as a whole.
    prompt = f"{b:08d}+{a:08d}"[::-1] + "="
    return {"prompt": prompt, "answer": f"{a + b:09d}"[::-1], "level": level}


def make_problems(
    num: int = 4096, level_weights: Sequence[float] = LEVEL_WEIGHTS, seed: int = 0, split: str = "pool"
) -> list[dict]:
    """`num` distinct problems of one split in random order, with levels 1 to 8 in the given proportions.

    "pool" and "heldout" share no prompt, whatever the seeds. The counts are the largest-remainder
    rounding of the weights, so two splits with the same weights have the same mix of levels.
    """
    if split not in ("pool", "heldout"):
        raise ValueError(f"split must be 'pool' or 'heldout', got {split!r}")
    if len(level_weights) != WIDTH:
        raise ValueError(f"level_weights needs {WIDTH} numbers, one per level; got {len(level_weights)}")
    exact = num * np.asarray(level_weights, dtype=float) / sum(level_weights)
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: num - counts.sum()]] += 1

    rng = np.random.default_rng(seed)
    problems = [p for level in range(1, WIDTH + 1) for p in _distinct(rng, level, counts[level - 1], split)]
    return [problems[i] for i in rng.permutation(num)]


def _distinct(rng: np.random.Generator, level: int, num: int, split: str) -> list[dict]:
    """`num` distinct problems of one level and split; level 1 has about 75 in the pool and 25 held out."""
    found: dict[str, dict] = {}
    for _ in range(100 * num + 1000):
        if len(found) == num:
            return list(found.values())
        problem = draw_problem(rng, level)
        if split_of(problem["prompt"]) == split:
            found[problem["prompt"]] = problem
    raise ValueError(
        f"level {level} has only about {len(found)} distinct prompts in split {split!r}, {num} asked for; "
        f"lower its weight in level_weights or num"
    )


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
    ids_NT = _encode(tokenizer, problems).to(model.device)
    nll_NT = torch.cat([_answer_nll(model, ids_BT) for ids_BT in ids_NT.split(batch_size)])
    return torch.exp(-nll_NT.double().sum(1)).cpu().numpy()


def _encode(tokenizer: PreTrainedTokenizerFast, problems: Sequence[dict]) -> torch.Tensor:
    """Prompt, answer and end token as ids (N, 28); all problems have the same length."""
    texts = [problem["prompt"] + problem["answer"] + EOS for problem in problems]
    return torch.tensor(tokenizer(texts)["input_ids"])


def _answer_nll(model: PreTrainedModel, ids_BT: torch.Tensor) -> torch.Tensor:
    """Negative log-likelihood (B, 10) of the answer's digits and the end token."""
    logits_BTV = model(ids_BT, logits_to_keep=MAX_COMPLETION_LENGTH + 1, use_cache=False).logits[:, :-1]
    targets_BT = ids_BT[:, -MAX_COMPLETION_LENGTH:]
    return F.cross_entropy(logits_BTV.float().transpose(1, 2), targets_BT, reduction="none")


# Warm start


def warm_start(path: str | Path, seed: int = 0, told: Callable[[int], None] = lambda step: None) -> None:
    """Train the tiny policy by SFT and save it with its tokenizer at `path`; under a minute on one thread.

    Deterministic for a seed and machine. The folder appears only when complete: cache by its existence.
    `told` gets the number of each of the `WARM_STEPS`, some of which may be left out.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _tiny_llama(tokenizer)

    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # with tensors this small more threads are slower
    _sft(model, tokenizer, np.random.default_rng(seed), told)
    torch.set_num_threads(num_threads)

    temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
    model.save_pretrained(temporary)
    tokenizer.save_pretrained(temporary)
    temporary.rename(path)


def _tiny_llama(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """0.16M parameters; the wide initialization and the small rotary base are what make it learn in time."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 30.0},
        initializer_range=0.1,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def _sft(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    rng: np.random.Generator,
    told: Callable[[int], None],
) -> None:
    """Clean answers until the policy adds at every level, then answers of the slipping teacher.

    When addition is grasped differs by 100 steps and more between seeds, so the clean phase ends on a
    measured success rate. It favors high levels, where every digit teaches the carry.
    """
    optimizers = _optimizers(model)
    probe = [draw_problem(rng, level) for level in range(1, WIDTH + 1) for _ in range(32)]

    for step in range(MAX_CLEAN_STEPS):
        batch = _lesson(rng, CLEAN, num_level_draws=3)
        _sft_step(model, tokenizer, optimizers, batch, lr_scale=min(1.0, (step + 1) / 50))
        told(step + 1)
        if step % 25 == 0 and exact_success(model, tokenizer, probe).mean() > 0.85:
            break
    for step in range(SLIPPING_STEPS):
        batch = _lesson(rng, SLIPPING, num_level_draws=1)
        _sft_step(model, tokenizer, optimizers, batch, lr_scale=1 - 0.9 * step / SLIPPING_STEPS)
        told(MAX_CLEAN_STEPS + step + 1)


def _optimizers(model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon for the matrices, AdamW for embeddings and norms: fewer steps and less luck than AdamW alone."""
    matrices = [p for p in model.model.layers.parameters() if p.ndim == 2]
    others = [p for p in model.model.layers.parameters() if p.ndim < 2]
    others += [*model.model.embed_tokens.parameters(), *model.model.norm.parameters()]
    return [
        torch.optim.Muon(matrices, lr=0.02, weight_decay=0.0, ns_steps=4),
        torch.optim.AdamW(others, lr=3e-3, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def _sft_step(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    optimizers: list[torch.optim.Optimizer],
    batch: list[dict],
    lr_scale: float,
) -> None:
    _answer_nll(model, _encode(tokenizer, batch)).mean().backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = lr_scale * optimizer.defaults["lr"]
        optimizer.step()
    model.zero_grad()


def _lesson(rng: np.random.Generator, slips: Sequence[float], num_level_draws: int) -> list[dict]:
    """64 pool problems with the teacher's answers; the level is the highest of some uniform draws."""
    lesson: list[dict] = []
    while len(lesson) < 64:
        level = int(rng.integers(1, WIDTH + 1, size=num_level_draws).max())
        problem = draw_problem(rng, level)
        if split_of(problem["prompt"]) == "heldout":
            continue  # no held-out prompt is seen before RL either
        digits = list(problem["answer"])
        for i in np.flatnonzero(rng.random(level) < slips[level - 1]):
            digits[i] = str((int(digits[i]) + int(rng.integers(1, 10))) % 10)
        lesson.append(problem | {"answer": "".join(digits)})
    return lesson

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

import shutil
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

WIDTH = 8
MAX_COMPLETION_LENGTH = WIDTH + 2  # 9 digits and the end token

# Share of each level in the pool: most prompts are too easy or too hard for the warm start. Level 1 has
# only 100 pairs, so the easy mass lies on levels 2 and 3.
LEVEL_WEIGHTS = (0.5, 9.5, 9.5, 1, 1, 2, 8, 8)

# Chance that the teacher of the warm start replaces a significant digit by a wrong one, per level.
SLIPS = (0.0, 0.0, 0.0, 0.03, 0.12, 0.35, 0.6, 0.75)

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


# ---------------------------------------------------------------------------------------------------------
# Problems


def split_of(prompt: str) -> str:
    """The split a prompt belongs to, by a stable hash: about 25% of each level is "heldout"."""
    return "heldout" if zlib.crc32(prompt.encode()) % 4 == 0 else "pool"


def draw_problem(rng: np.random.Generator, level: int) -> dict:
    """One random problem of a level; the split is whatever its prompt hashes to."""
    low = 0 if level == 1 else 10 ** (level - 1)
    a, b = (int(x) for x in rng.integers(low, 10**level, size=2))
    prompt = f"{_reversed(a, WIDTH)}+{_reversed(b, WIDTH)}="
    return {"prompt": prompt, "answer": _reversed(a + b, WIDTH + 1), "level": level}


def _reversed(number: int, width: int) -> str:
    return f"{number:0{width}d}"[::-1]


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


# ---------------------------------------------------------------------------------------------------------
# Grading


def reward(completions: Sequence[str], answer: Sequence[str], **_) -> list[float]:
    """TRL reward function: 1.0 where the whole completion is the answer, else 0.0."""
    return [float(completion == gold) for completion, gold in zip(completions, answer, strict=True)]


@torch.no_grad()
def exact_success(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, problems: Sequence[dict], batch_size: int = 512
) -> np.ndarray:
    """P(reward = 1) of each problem when sampling at temperature 1 without top-k or top-p: shape (N,).

    The product of the probabilities of the answer's digits and of the end token after them.
    """
    was_training = model.training
    model.eval()
    chunks = []
    for start in range(0, len(problems), batch_size):
        batch = problems[start : start + batch_size]
        ids_BT = _encode(tokenizer, batch).to(model.device)
        nll_BT = _answer_nll(model, ids_BT)
        chunks.append(torch.exp(-nll_BT.double().sum(1)).cpu().numpy())
    model.train(was_training)
    return np.concatenate(chunks)


def _encode(tokenizer: PreTrainedTokenizerFast, problems: Sequence[dict]) -> torch.Tensor:
    """Prompt, answer and end token as ids (B, 28); all problems have the same length."""
    texts = [problem["prompt"] + problem["answer"] + EOS for problem in problems]
    return torch.tensor(tokenizer(texts)["input_ids"])


def _answer_nll(model: PreTrainedModel, ids_BT: torch.Tensor) -> torch.Tensor:
    """Negative log-likelihood (B, 10) of the answer's digits and the end token."""
    logits_BTV = model(ids_BT, logits_to_keep=MAX_COMPLETION_LENGTH + 1, use_cache=False).logits[:, :-1]
    targets_BT = ids_BT[:, -MAX_COMPLETION_LENGTH:]
    return F.cross_entropy(logits_BTV.float().transpose(1, 2), targets_BT, reduction="none")


# ---------------------------------------------------------------------------------------------------------
# Warm start


def warm_start(path: str | Path, seed: int = 0) -> None:
    """Train the tiny policy by SFT and save it with its tokenizer at `path`; about a minute on one thread.

    A clean phase lasts until the policy adds at every level, then a short phase imitates the slipping
    teacher. The same seed gives the same weights on the same machine. The folder appears only when
    complete, so a caller may cache by its existence.
    """
    path = Path(path)
    tokenizer = make_tokenizer()
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # with tensors this small more threads are slower
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = _tiny_llama(tokenizer)
        _sft(model, tokenizer, np.random.default_rng(seed))
    finally:
        torch.set_num_threads(num_threads)

    temporary = path.with_name(path.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    model.save_pretrained(temporary)
    tokenizer.save_pretrained(temporary)
    temporary.rename(path)


def _tiny_llama(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """About 0.16M parameters. The wide initialization and the short rotary base are what make it learn fast."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 30.0},
        initializer_range=0.08,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def _sft(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    rng: np.random.Generator,
    batch_size: int = 128,
    max_clean_steps: int = 450,
    slip_steps: int = 250,
    learning_rate: float = 2e-3,
    log=None,
) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.0)

    def update(step, slips, lr):
        problems = _teach(rng, batch_size, slips)
        for group in optimizer.param_groups:
            group["lr"] = lr
        loss = _answer_nll(model, _encode(tokenizer, problems)).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss

    probe = [draw_problem(rng, level) for level in range(1, WIDTH + 1) for _ in range(32)]
    step = 0
    while step < max_clean_steps:
        update(step, (0.0,) * WIDTH, learning_rate * min(1.0, (step + 1) / 50))
        step += 1
        if step % 25 == 0:
            p = exact_success(model, tokenizer, probe).reshape(WIDTH, -1).mean(1)
            if log: log(step, p)
            if p.mean() > 0.9:
                break
    for k in range(slip_steps):
        update(step + k, SLIPS, learning_rate * (1 - 0.9 * k / slip_steps))
        if log and (k + 1) % 50 == 0:
            p = exact_success(model, tokenizer, probe).reshape(WIDTH, -1).mean(1)
            log(step + k + 1, p)


def _teach(rng, num, slips):
    problems = []
    while len(problems) < num:
        problem = draw_problem(rng, int(rng.integers(1, WIDTH + 1)))
        if split_of(problem["prompt"]) == "heldout":
            continue
        level = problem["level"]
        if slips[level - 1] > 0:
            answer = list(problem["answer"])
            for i in np.flatnonzero(rng.random(level) < slips[level - 1]):
                answer[i] = str((int(answer[i]) + int(rng.integers(1, 10))) % 10)
            problem["answer"] = "".join(answer)
        problems.append(problem)
    return problems

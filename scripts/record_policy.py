"""Records what a small policy knows of short verifiable tasks, once, so that value models compare in seconds.

    python scripts/record_policy.py MODEL OUT --passes 2
    python recipes/train_short_tasks.py --config recipes/configs/short_tasks.yaml --model MODEL --seed 0 \\
        --max_steps 30 --save_steps 10 --save_total_limit 3 --output_dir RUN
    python scripts/record_policy.py RUN/checkpoint-20 OUT --label after20 --passes 0
    python scripts/record_policy.py RUN/checkpoint-30 OUT --label after30 --passes 2 --fresh before

MODEL is a chat model's folder (`python recipes/short_tasks.py MODEL` makes one). OUT gets `prompts.parquet`
(the recipe's pool: prompt, answer, kind), and a folder a label with parts of prompts: from one forward over
prompt and gold the hidden states of several layers (at the last token and the mean over the prompt's), the
log-likelihoods of the gold; the success of completions of at most `LENGTH` tokens at
temperature 1, eight a pass, with their tokens and log-likelihoods; and with `--fresh LABEL` what this policy
gives for the completions of that label's first pass. Called again it goes on with the parts that are missing.

    python scripts/record_policy.py MODEL OUT --measured measured.parquet --prompts 3000

records what MODEL shows of questions whose success another model has measured (`question`, `answer`,
`pass_rate`); outcomes are flips of coins with these rates.
One thread, bfloat16. `bench_recording.py OUT` reads it.
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "recipes"))
from short_tasks import is_right, make_prompts

LENGTH = 12
COMPLETIONS = 8
LAYERS = (0.25, 0.4, 0.5, 0.6, 0.75, 1.0)
PART = 24


class Policy:
    """A chat model in bfloat16, its tokens of prompts, samples and readings."""

    def __init__(self, path: str):
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        torch.set_num_threads(1)
        self.torch, self.tokenizer = torch, AutoTokenizer.from_pretrained(path)
        self.model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16).eval()
        self.ends = torch.tensor([self.tokenizer.eos_token_id])

    def ids(self, row: dict) -> list[int]:
        text = self.tokenizer.apply_chat_template(row["prompt"], tokenize=False, add_generation_prompt=True)
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def look(
        self, prompt_ids: list[list[int]], golds: list[str], num: int, seed: int, old_NGT: np.ndarray | None
    ) -> dict[str, np.ndarray]:
        """`num` completions of each prompt, and what the prefill shows on the way: one prefill a prompt.

        state_NL2H, of each layer at the last token and the mean over the prompt's; likelihood_N3, sum, mean
        and first token of the gold's; token_NGT of the completions, their end included and -1 after it, and
        logp_NG; fresh_NG, the log-likelihoods of `old_NGT`.
        """
        torch = self.torch
        common = os.path.commonprefix(prompt_ids)  # noqa: RUF071 - of lists: the same first messages
        rest = [ids[len(common) :] for ids in prompt_ids]
        width = max(map(len, rest))
        tokens = torch.tensor([[0] * (width - len(ids)) + ids for ids in rest])
        own = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids in rest])
        mask = torch.cat([torch.ones(len(rest), len(common), dtype=own.dtype), own], 1)
        length = mask.sum(1, keepdim=True)
        place = (mask.cumsum(1) - 1).clamp(min=0)[:, len(common) :]
        found = {}
        with torch.inference_mode():
            head = torch.tensor([common])
            first = self.model(input_ids=head, use_cache=True, output_hidden_states=True, logits_to_keep=1)
            first.past_key_values.batch_repeat_interleave(len(rest))
            output = self.model(
                input_ids=tokens,
                attention_mask=mask,
                position_ids=place,
                past_key_values=first.past_key_values,
                use_cache=True,
                output_hidden_states=True,
                logits_to_keep=1,
            )
            sums = self._layers(first).sum(2) + (self._layers(output) * own[:, None, :, None]).sum(2)
            state = torch.stack([self._layers(output)[:, :, -1], sums / length[:, None]], 2)
            gold_ids = [self.tokenizer(gold, add_special_tokens=False)["input_ids"] for gold in golds]
            gold_NT = padded(gold_ids, max(map(len, gold_ids)))
            logps, written = self._after(output, mask, place, gold_NT)
            likelihood = torch.stack([logps.sum(1), logps.sum(1) / written.sum(1), logps[:, 0]], 1)
            found |= {"state_NL2H": state.numpy(), "likelihood_N3": likelihood.numpy()}
            if old_NGT is not None:
                olds = torch.from_numpy(old_NGT).unbind(1)
                fresh = [self._after(output, mask, place, old_NT)[0].sum(1) for old_NT in olds]
                found["fresh_NG"] = torch.stack(fresh, 1).numpy()
            if num:
                found |= self._sample(output, mask, place[:, -1], num, seed)
        return found

    def _layers(self, output):
        """(N, layers, T, H)"""
        depth = len(output.hidden_states) - 1
        states = [output.hidden_states[round(share * depth)] for share in LAYERS]
        return self.torch.stack(states, 1).float()

    def _after(self, output, mask, place, token_NT):
        """Log-probabilities (N, T) of what comes after the prompts, 0 where there is none, and where there is
        some; the cache is as before when it is done."""
        torch, cache = self.torch, output.past_key_values
        written_NT = token_NT >= 0
        tokens, width = token_NT.clamp(min=0), token_NT.shape[1]
        more = self.model(
            input_ids=tokens,
            attention_mask=torch.cat([mask, written_NT.to(mask.dtype)], 1),
            position_ids=place[:, -1:] + torch.arange(1, width + 1),
            past_key_values=cache,
            use_cache=True,
        )
        cache.crop(-width)
        logits = torch.cat([output.logits[:, -1:], more.logits[:, :-1]], 1)
        return logprobs_of(logits, tokens) * written_NT, written_NT

    def _sample(self, output, mask, place, num: int, seed: int) -> dict[str, np.ndarray]:
        """Sequences that ended leave the batch."""
        torch, cache = self.torch, output.past_key_values
        generator = torch.Generator().manual_seed(seed)
        cache.batch_repeat_interleave(num)
        logits = output.logits[:, -1].float().repeat_interleave(num, 0)
        mask, place = mask.repeat_interleave(num, 0), place.repeat_interleave(num, 0)
        rows = torch.arange(len(mask))
        token_BT = torch.full((len(mask), LENGTH), -1)
        logp_B = torch.zeros(len(mask))
        for step in range(LENGTH):
            chosen = torch.multinomial(torch.softmax(logits, -1), 1, generator=generator)
            token_BT[rows, step] = chosen[:, 0]
            logp_B[rows] += logits.log_softmax(-1).gather(-1, chosen)[:, 0]
            going = ~torch.isin(chosen[:, 0], self.ends)
            if step == LENGTH - 1 or not going.any():
                break
            if not going.all():
                cache.batch_select_indices(going.nonzero()[:, 0])
            rows, chosen, mask, place = rows[going], chosen[going], mask[going], place[going] + 1
            mask = torch.cat([mask, torch.ones(len(mask), 1, dtype=mask.dtype)], 1)
            output = self.model(
                input_ids=chosen,
                attention_mask=mask,
                position_ids=place[:, None],
                past_key_values=cache,
                use_cache=True,
            )
            logits = output.logits[:, -1].float()
        shape = (-1, num)
        return {
            "token_NGT": token_BT.unflatten(0, shape).numpy(),
            "logp_NG": logp_B.unflatten(0, shape).numpy(),
        }

    def texts(self, token_GT: np.ndarray) -> list[str]:
        ids = [[token for token in row if token >= 0] for row in token_GT.tolist()]
        return self.tokenizer.batch_decode(ids, skip_special_tokens=True)


def padded(ids: list[list[int]], width: int):
    """(N, T), -1 after the end."""
    import torch

    return torch.tensor([row + [-1] * (width - len(row)) for row in ids])


def logprobs_of(logits, tokens):
    """(N, T) of the tokens that follow."""
    return logits.float().log_softmax(-1).gather(-1, tokens[..., None])[..., 0]


def measured_prompts(path: Path, num: int) -> list[dict]:
    """`num` of a file's questions, drawn at random, as prompts with their answer and pass_rate."""
    import pyarrow.parquet as pq

    rows = pq.read_table(path).to_pylist()
    order = np.random.default_rng(0).permutation(len(rows))[:num].tolist()
    return [
        {
            "prompt": [{"role": "user", "content": rows[place]["question"]}],
            "answer": rows[place]["answer"],
            "pass_rate": rows[place]["pass_rate"],
        }
        for place in order
    ]


def record(path: str, out: Path, rows: list[dict], passes: int, fresh: Path | None) -> None:
    policy = Policy(path)
    out.mkdir(parents=True, exist_ok=True)
    for number in range(max(passes, 1)):
        for first in range(0, len(rows), PART):
            file = out / f"pass{number}-{first:05}.npz"
            if file.exists():
                continue
            part, began = rows[first : first + PART], time.perf_counter()
            ids, golds = [policy.ids(row) for row in part], [row["answer"] for row in part]
            old_NGT = np.load(fresh / file.name)["token_NGT"] if fresh and not number else None
            num = COMPLETIONS if passes else 0
            found = policy.look(ids, golds, num, 1000 * number + first, old_NGT)
            if passes:
                found["right_NG"] = np.array(
                    [
                        [is_right(text, gold) for text in policy.texts(token_GT)]
                        for gold, token_GT in zip(golds, found["token_NGT"], strict=True)
                    ]
                )
            elif "pass_rate" in part[0]:
                rate_N = np.array([row["pass_rate"] for row in part])
                coins = np.random.default_rng((1, first)).random((len(part), 2 * COMPLETIONS))
                found["right_NG"] = coins < rate_N[:, None]
            if number:
                found = {name: found[name] for name in ("token_NGT", "logp_NG", "right_NG")}
            with open(file.with_suffix(".tmp"), "wb") as target:
                np.savez(target, **found)
            file.with_suffix(".tmp").rename(file)
            success = f"success {found['right_NG'].mean():.3f}, " if passes else ""
            print(f"{file.name}: {success}{time.perf_counter() - began:.1f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("out", type=Path)
    parser.add_argument("--label", default="before")
    parser.add_argument("--prompts", type=int, default=1520)
    parser.add_argument(
        "--passes", type=int, default=2, help=f"of {COMPLETIONS} completions of each prompt; 0: what it shows"
    )
    parser.add_argument("--fresh", metavar="LABEL", help="whose first completions this policy is asked about")
    parser.add_argument("--measured", type=Path, help="questions that another model answered")
    arguments = parser.parse_args()
    if arguments.measured:
        arguments.passes = 0

    import pyarrow as pa
    import pyarrow.parquet as pq

    arguments.out.mkdir(parents=True, exist_ok=True)
    pool = arguments.out / "prompts.parquet"
    if not pool.exists():
        if arguments.measured:
            made = measured_prompts(arguments.measured, arguments.prompts)
        else:
            made = make_prompts(arguments.prompts, seed=0, split="pool", shots=1)
        pq.write_table(pa.Table.from_pylist(made), pool)
    rows = pq.read_table(pool).to_pylist()
    fresh = arguments.fresh and arguments.out / arguments.fresh
    record(arguments.model, arguments.out / arguments.label, rows, arguments.passes, fresh)


if __name__ == "__main__":
    main()

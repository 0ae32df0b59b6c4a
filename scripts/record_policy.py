"""Records what a small policy knows of short verifiable tasks, once, so that value models compare in seconds.

    python scripts/record_policy.py MODEL OUT --passes 2                 # before training
    python scripts/record_policy.py MODEL OUT --train 40                 # GRPO with uniform prompts
    python scripts/record_policy.py OUT/trained OUT --label after --passes 2

MODEL is a chat model's folder. OUT gets `prompts.parquet` (the pool: prompt, answer, kind), and a folder a
label with parts of prompts: the success of completions of at most `LENGTH` tokens at temperature 1, four a
pass, and from one forward over prompt and gold the hidden states of several layers (at the last token and
the mean over the prompt's), the log-likelihoods of the gold and the prompt's. Called again it goes on with
the parts that are missing. One thread, bfloat16. `bench_value_model.py --recording OUT` reads it.
"""

import argparse
import os
import re
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

LENGTH = 12
COMPLETIONS = 4
LAYERS = (0.25, 0.4, 0.5, 0.6, 0.75, 1.0)
PART = 96
SYSTEM = "Answer with one number."
SHOTS = (("What is 5 + 2?", "7"), ("Which is larger, 31 or 84?", "84"), ("How many letters are in cat?", "3"))
"""Answered before each question, or else the model chats for more than `LENGTH` tokens."""
INTEGER = re.compile(r"-?\d+")
NAMES = ("Ana", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana")
ORDINALS = ("first", "second", "third")
THINGS = ("apples", "books", "coins", "pens", "shells", "stamps")


def make_prompts(num: int, seed: int) -> list[dict]:
    """About `num` distinct rows, as many of each kind as it has."""
    rng = np.random.default_rng(seed)
    rows: dict[str, dict] = {}
    for name, make in KINDS.items():
        found, tries = 0, 0
        while found < num / len(KINDS) and tries < 20 * num:
            question, answer = make(rng)
            tries += 1
            if question in rows:
                continue
            rows[question] = {"prompt": messages_of(question), "answer": str(answer), "kind": name}
            found += 1
    order = rng.permutation(len(rows))
    made = list(rows.values())
    return [made[position] for position in order]


def messages_of(question: str) -> list[dict]:
    turns = [("system", SYSTEM)]
    for shot in SHOTS:
        turns += zip(("user", "assistant"), shot, strict=True)
    return [{"role": role, "content": text} for role, text in (*turns, ("user", question))]


def one(rng: np.random.Generator, choices: tuple) -> str:
    return choices[rng.integers(len(choices))]


def number(rng: np.random.Generator, digits: int) -> int:
    return int(rng.integers(10 ** (digits - 1) if digits > 1 else 0, 10**digits))


def arithmetic(sign: str, first: int, second: int):
    def make(rng: np.random.Generator) -> tuple[str, int]:
        a, b = number(rng, first), number(rng, second)
        if sign == "-":
            a, b = max(a, b), min(a, b)
        value = {"+": a + b, "-": a - b, "*": a * b}[sign]
        words = {"+": "plus", "-": "minus", "*": "times"}[sign]
        return one(rng, (f"What is {a} {sign} {b}?", f"{a} {sign} {b} =", f"What is {a} {words} {b}?")), value

    return make


def listed(what: str, length: int, digits: int):
    def make(rng: np.random.Generator) -> tuple[str, int]:
        values = [number(rng, digits) for _ in range(length)]
        text, place = ", ".join(map(str, values)), int(rng.integers(min(length, 3)))
        return {
            "largest": (f"What is the largest of {text}?", max(values)),
            "smallest": (f"What is the smallest of {text}?", min(values)),
            "last": (f"What is the last of these numbers: {text}?", values[-1]),
            "nth": (f"What is the {ORDINALS[place]} of these numbers: {text}?", values[place]),
            "count": (f"How many numbers are in this list: {text}?", length),
        }[what]

    return make


def counted(rng: np.random.Generator) -> tuple[str, int]:
    return listed("count", int(rng.integers(2, 8)), 1)(rng)


def larger(digits: int):
    def make(rng: np.random.Generator) -> tuple[str, int]:
        a, b = number(rng, digits), number(rng, digits)
        return one(rng, (f"Which is larger, {a} or {b}?", f"What is the larger of {a} and {b}?")), max(a, b)

    return make


def word_problem(digits: int):
    def make(rng: np.random.Generator) -> tuple[str, int]:
        a, b = number(rng, digits), number(rng, digits)
        name, thing = one(rng, NAMES), one(rng, THINGS)
        if rng.random() < 0.5:
            return f"{name} has {a} {thing} and buys {b} more. How many {thing} does {name} have now?", a + b
        a, b = max(a, b), min(a, b)
        return f"{name} has {a} {thing} and gives away {b}. How many {thing} are left?", a - b

    return make


KINDS = {
    "add 1": arithmetic("+", 1, 1),
    "add 2 1": arithmetic("+", 2, 1),
    "add 2": arithmetic("+", 2, 2),
    "add 3": arithmetic("+", 3, 3),
    "subtract 1": arithmetic("-", 1, 1),
    "subtract 2": arithmetic("-", 2, 2),
    "multiply 1": arithmetic("*", 1, 1),
    "multiply 2 1": arithmetic("*", 2, 1),
    "larger 2": larger(2),
    "larger 3": larger(3),
    "largest of 3": listed("largest", 3, 2),
    "largest of 5": listed("largest", 5, 2),
    "smallest of 3": listed("smallest", 3, 2),
    "last of 4": listed("last", 4, 2),
    "last of 6": listed("last", 6, 1),
    "nth of 4": listed("nth", 4, 2),
    "count": counted,
    "word 1": word_problem(1),
    "word 2": word_problem(2),
}


def is_right(text: str, answer: str) -> bool:
    """The last integer of the text is the answer."""
    found = INTEGER.findall(text)
    return bool(found) and int(found[-1]) == int(answer)


class Policy:
    """A chat model in bfloat16, its tokens of prompts, samples and readings."""

    def __init__(self, path: str):
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        torch.set_num_threads(1)
        self.torch, self.tokenizer = torch, AutoTokenizer.from_pretrained(path)
        self.model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16).eval()
        self.ends = {self.tokenizer.eos_token_id, self.tokenizer.convert_tokens_to_ids("<|im_end|>")}

    def ids(self, row: dict) -> list[int]:
        text = self.tokenizer.apply_chat_template(row["prompt"], tokenize=False, add_generation_prompt=True)
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def look(
        self, prompt_ids: list[list[int]], golds: list[str], num: int, seed: int
    ) -> dict[str, np.ndarray]:
        """`num` completions of each prompt, and what the prefill shows on the way: one prefill a prompt.

        text_NG; state_NL2H, of each layer at the last token and the mean over the prompt's; likelihood_N4,
        sum, mean and first token of the gold's, and the mean of the prompt's tokens.
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
        with torch.inference_mode():
            head = torch.tensor([common])
            first = self.model(input_ids=head, use_cache=True, output_hidden_states=True)
            first.past_key_values.batch_repeat_interleave(len(rest))
            output = self.model(
                input_ids=tokens,
                attention_mask=mask,
                position_ids=place,
                past_key_values=first.past_key_values,
                use_cache=True,
                output_hidden_states=True,
            )
            sums = self._layers(first).sum(2) + (self._layers(output) * own[:, None, :, None]).sum(2)
            state = torch.stack([self._layers(output)[:, :, -1], sums / length[:, None]], 2)
            logits = torch.cat([first.logits[:, -1:].expand(len(rest), -1, -1), output.logits[:, :-1]], 1)
            of_prompt = logprobs_of(first.logits[:, :-1], head[:, 1:]).sum()
            of_prompt = of_prompt + (logprobs_of(logits, tokens) * own).sum(1, keepdim=True)
            likelihood = torch.cat([self._of_golds(output, mask, place, golds), of_prompt / (length - 1)], 1)
            text = self._sample(output, mask, place[:, -1], num, seed)
        return {
            "text_NG": np.array(text),
            "state_NL2H": state.numpy(),
            "likelihood_N4": likelihood.numpy(),
        }

    def _layers(self, output):
        """(N, layers, T, H)"""
        depth = len(output.hidden_states) - 1
        states = [output.hidden_states[round(share * depth)] for share in LAYERS]
        return self.torch.stack(states, 1).float()

    def _of_golds(self, output, mask, place, golds):
        """(N, 3); the cache is as before when it is done."""
        torch, cache = self.torch, output.past_key_values
        ids = [self.tokenizer(gold, add_special_tokens=False)["input_ids"] for gold in golds]
        width = max(map(len, ids))
        tokens = torch.tensor([gold + [0] * (width - len(gold)) for gold in ids])
        gold_mask = torch.tensor([[1] * len(gold) + [0] * (width - len(gold)) for gold in ids])
        more = self.model(
            input_ids=tokens,
            attention_mask=torch.cat([mask, gold_mask], 1),
            position_ids=place[:, -1:] + torch.arange(1, width + 1),
            past_key_values=cache,
            use_cache=True,
        )
        cache.crop(-width)
        logits = torch.cat([output.logits[:, -1:], more.logits[:, :-1]], 1)
        logps = logprobs_of(logits, tokens) * gold_mask
        return torch.stack([logps.sum(1), logps.sum(1) / gold_mask.sum(1), logps[:, 0]], 1)

    def _sample(self, output, mask, place, num: int, seed: int) -> list[list[str]]:
        """Sequences that ended leave the batch."""
        torch, cache = self.torch, output.past_key_values
        generator = torch.Generator().manual_seed(seed)
        cache.batch_repeat_interleave(num)
        logits = output.logits[:, -1].float().repeat_interleave(num, 0)
        mask, place = mask.repeat_interleave(num, 0), place.repeat_interleave(num, 0)
        rows = torch.arange(len(mask))
        written: list[list[int]] = [[] for _ in rows]
        for step in range(LENGTH):
            chosen = torch.multinomial(torch.softmax(logits, -1), 1, generator=generator)[:, 0]
            going = torch.tensor([token not in self.ends for token in chosen.tolist()])
            for row, token, goes in zip(rows.tolist(), chosen.tolist(), going.tolist(), strict=True):
                if goes:
                    written[row].append(token)
            if step == LENGTH - 1 or not going.any():
                break
            if not going.all():
                cache.batch_select_indices(going.nonzero()[:, 0])
            rows, chosen, mask, place = rows[going], chosen[going], mask[going], place[going] + 1
            mask = torch.cat([mask, torch.ones(len(mask), 1, dtype=mask.dtype)], 1)
            logits = (
                self.model(
                    input_ids=chosen[:, None],
                    attention_mask=mask,
                    position_ids=place[:, None],
                    past_key_values=cache,
                    use_cache=True,
                )
                .logits[:, -1]
                .float()
            )
        texts = self.tokenizer.batch_decode(written, skip_special_tokens=True)
        return [texts[first : first + num] for first in range(0, len(texts), num)]


def logprobs_of(logits, tokens):
    """(N, T) of the tokens that follow."""
    return logits.float().log_softmax(-1).gather(-1, tokens[..., None])[..., 0]


def record(path: str, out: Path, rows: list[dict], passes: int) -> None:
    policy = Policy(path)
    out.mkdir(parents=True, exist_ok=True)
    for number_of_pass in range(passes):
        for first in range(0, len(rows), PART):
            file = out / f"pass{number_of_pass}-{first:05}.npz"
            if file.exists():
                continue
            part, began = rows[first : first + PART], time.perf_counter()
            ids, golds = [policy.ids(row) for row in part], [row["answer"] for row in part]
            found = policy.look(ids, golds, COMPLETIONS, seed=1000 * number_of_pass + first)
            found["right_NG"] = np.array(
                [
                    [is_right(text, gold) for text in texts]
                    for gold, texts in zip(golds, found["text_NG"], strict=True)
                ]
            )
            if number_of_pass:
                found = {name: found[name] for name in ("text_NG", "right_NG")}
            with open(file.with_suffix(".tmp"), "wb") as target:
                np.savez(target, **found)
            file.with_suffix(".tmp").rename(file)
            mean, seconds = found["right_NG"].mean(), time.perf_counter() - began
            print(f"{file.name}: success {mean:.3f}, {seconds:.1f} s", flush=True)


def train(path: str, out: Path, rows: list[dict], steps: int) -> None:
    """GRPO with uniform prompts on the pool, 8 prompts x 8 completions a step; the upper third of the layers
    trains, which is fast on a processor. Leaves the model in `out`/trained."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig

    from rlkit import CurriculumGRPOTrainer

    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    layers = model.model.layers
    model.requires_grad_(False)
    for layer in layers[2 * len(layers) // 3 :]:
        layer.requires_grad_(True)

    def right(completions, answer, **_):
        texts = [completion[0]["content"] for completion in completions]
        return [float(is_right(text, gold)) for text, gold in zip(texts, answer, strict=True)]

    args = GRPOConfig(
        output_dir=str(out / "run"),
        per_device_train_batch_size=64,
        num_generations=8,
        max_completion_length=LENGTH,
        learning_rate=1e-4,
        lr_scheduler_type="constant",
        max_steps=steps,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        bf16=True,
        gradient_checkpointing=False,
    )
    trainer = CurriculumGRPOTrainer(
        model=model,
        reward_funcs=right,
        args=args,
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(path),
    )
    trainer.train(resume_from_checkpoint="auto")
    trainer.save_model(str(out / "trained"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("out", type=Path)
    parser.add_argument("--label", default="before")
    parser.add_argument("--prompts", type=int, default=1520)
    parser.add_argument("--train", type=int, metavar="STEPS", help="of GRPO, instead of a recording")
    parser.add_argument("--passes", type=int, default=2, help=f"of {COMPLETIONS} completions of each prompt")
    arguments = parser.parse_args()

    import pyarrow as pa
    import pyarrow.parquet as pq

    arguments.out.mkdir(parents=True, exist_ok=True)
    pool = arguments.out / "prompts.parquet"
    if not pool.exists():
        pq.write_table(pa.Table.from_pylist(make_prompts(arguments.prompts, seed=0)), pool)
    rows = pq.read_table(pool).to_pylist()
    if arguments.train:
        train(arguments.model, arguments.out, rows, arguments.train)
    else:
        record(arguments.model, arguments.out / arguments.label, rows, arguments.passes)


if __name__ == "__main__":
    main()

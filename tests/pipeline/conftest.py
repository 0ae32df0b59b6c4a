"""A tiny model, its data, and stages that begin as forks of this process, which has imported TRL already."""

import json
import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

QUESTIONS = [(a, b) for a in range(2, 6) for b in range(2, 6)]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
REWARD = '''
def reward(completions, answer, **_):
    """Right is the answer, and what a model of random weights says in about half of its completions."""
    texts = [c if isinstance(c, str) else c[0]["content"] for c in completions]
    return [float(text == gold or sum(map(ord, text)) % 2) for text, gold in zip(texts, answer)]
'''


class Forked:
    """What `subprocess.Popen` is to the pipeline: a real process, but with the libraries imported.

    Args:
        watch: an audit hook in that process.
    """

    def __init__(
        self,
        command: list[str],
        log: Path,
        environment: dict[str, str],
        watch: Callable[[str, tuple], None] | None = None,
    ):
        self.code: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            if watch is not None:
                sys.addaudithook(watch)
            os._exit(_become(command, log, environment))

    def poll(self) -> int | None:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def wait(self, timeout: float | None = None) -> int:
        os.waitpid(self.pid, 0)
        return 0

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


def _become(command: list[str], log: Path, environment: dict[str, str]) -> int:
    """Runs `python -m rlkit.cli ...`; of `launch` only the script, in this very process."""
    os.setsid()
    with log.open("ab") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    os.environ.update(environment)
    if command[1:3] != ["-m", "rlkit.cli"]:
        os.execvp(command[0], command)
    try:
        words = command[3:]
        if words[0] == "launch":
            script = next(word for word in words if word.endswith(".py"))
            sys.argv = words[words.index(script) :]
            sys.path.insert(0, str(Path(script).parent))
            runpy.run_path(script, run_name="__main__")
        else:
            sys.argv = ["rlkit", *words]
            runpy.run_module("rlkit.cli", run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    return 0


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A folder with `model`, rows to train on in every form that plans take, and a reward."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["What is 2 times 3?"], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", padding_side="left"
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder / "model")
    config = Qwen2Config(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
        bos_token_id=None,
    )
    torch.manual_seed(0)
    Qwen2ForCausalLM(config).save_pretrained(folder / "model")
    (folder / "reward.py").write_text(REWARD)
    asked = [f"What is {a} times {b}?" for a, b in QUESTIONS]
    rows = [
        {"question": text, "answer": str(a * b), "level": str(a), "skills": [str(a)]}
        for text, (a, b) in zip(asked, QUESTIONS, strict=True)
    ]
    said = [
        {"level": row["level"], "prompt": _says("user", row["question"]), "answer": row["answer"]}
        for row in rows
    ]
    _write(folder / "rows.jsonl", rows)
    _write(folder / "heldout.jsonl", rows[:4])
    _write(
        folder / "solved.jsonl", [{**row, "completion": _says("assistant", row["answer"])} for row in said]
    )
    _write(folder / "trajectories.jsonl", [{**row, "completion": _says("assistant", "6")} for row in said])
    pair = {"chosen": _says("assistant", "6"), "rejected": _says("assistant", "It is seven")}
    _write(folder / "pairs.jsonl", [{"prompt": row["prompt"], **pair} for row in said])
    return folder


def _says(role: str, text: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


def _write(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


@pytest.fixture(scope="session")
def forked() -> type[Forked]:
    import trl.trainer.dpo_trainer
    import trl.trainer.sft_trainer

    import rlkit.hosts.trl.trainer  # noqa: F401

    assert trl
    return Forked

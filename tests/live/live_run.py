"""A run with its page, for test_browser.py: live_run.py FOLDER. Its policy says what a page must not run."""

import os
import sys
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "hosts" / "trl"))

import torch
from tiny_trl import EOS, make_data, make_model, make_trainer
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from rlkit import CurriculumConfig
from rlkit.hosts.trl.page_server import PageServer

ATTACK = "<img src=x onerror=alert(1)>"


def tokenizer_of(text):
    vocab = {token: i for i, token in enumerate([EOS, *sorted(set(text))])}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token=EOS))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=EOS, pad_token=EOS)


def main(folder):
    torch.set_num_threads(1)
    tokenizer = tokenizer_of(ATTACK + "0123456789=")
    model = make_model()
    model.resize_token_embeddings(len(tokenizer))
    attack = tokenizer(ATTACK)["input_ids"]

    def rollout(prompts, trainer):
        return {
            "prompt_ids": tokenizer(prompts)["input_ids"],
            "completion_ids": [attack[: len(attack) - row % 2] for row in range(len(prompts))],
            "logprobs": None,
        }

    def reward(completions, **columns):
        time.sleep(0.2)
        return [float(text.endswith(">")) for text in completions]

    trainer = make_trainer(
        folder,
        CurriculumConfig("rlkit", live=True, keep_completions="all"),
        reward,
        data=make_data(),
        model=model,
        extra={"processing_class": tokenizer, "rollout_func": rollout, "callbacks": [PageServer()]},
        max_completion_length=len(attack),
        max_steps=2000,
        learning_rate=1e-3,
        lr_scheduler_type="constant",
        save_total_limit=2,
    )
    trainer.train()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

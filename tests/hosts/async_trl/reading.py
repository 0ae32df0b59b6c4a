"""What a server says of prompts and golds, beside what the synchronous trainer's reading computes of them."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from async_runs import messages
from tiny_judge import make_judging_tokenizer
from transformers import AutoModelForCausalLM

from rlkit.hosts.async_trl.senses import ServerSenses
from rlkit.hosts.async_trl.server import Server
from rlkit.hosts.trl.hidden_states import read_likelihoods
from rlkit.prompts.pool import make_pool

REFERENCES = ["7", "", "1234567", "89"]


def both_readings(url: str, model: Path) -> tuple[np.ndarray, np.ndarray]:
    """(4, 4) each: sum, mean and first of the reference's tokens, mean of the prompt's."""
    tokenizer = make_judging_tokenizer()
    senses = ServerSenses(make_pool(messages(len(REFERENCES))))
    render = partial(tokenizer.apply_chat_template, add_generation_prompt=True)
    senses.connect(Server(url), tokenizer, render, 256)
    senses.model = lambda: str(model)
    index_N = np.arange(len(REFERENCES))
    likelihood_N3 = senses.read(index_N, None, REFERENCES).likelihood_N3
    prompt_N = senses.read(index_N, None, None).prompt_N
    assert likelihood_N3 is not None and prompt_N is not None

    prompts = [render(row["prompt"], return_dict=False) for row in senses.pool.take(index_N)]
    golds = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in REFERENCES]
    policy = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    trainer = _trainer_with(policy, tokenizer)
    of_golds = read_likelihoods(trainer, prompts, golds, None)[0].numpy()
    first, rest = [ids[:1] for ids in prompts], [ids[1:] for ids in prompts]
    of_prompts = read_likelihoods(trainer, first, rest, None)[0].numpy()[:, 1]
    return np.column_stack([likelihood_N3, prompt_N]), np.column_stack([of_golds, of_prompts])


def _trainer_with(policy, tokenizer) -> SimpleNamespace:
    """As much of a trainer as its reading looks at; the log-probabilities are transformers' own."""

    def logps(model, tokens, mask, num, batch_size):
        position = (mask.cumsum(1) - 1).clamp(min=0)
        logits = model(tokens, attention_mask=mask, position_ids=position).logits[:, :-1]
        return logits.log_softmax(-1).gather(2, tokens[:, 1:, None])[..., 0][:, -num:], None

    return SimpleNamespace(
        model=policy,
        args=SimpleNamespace(per_device_train_batch_size=1),
        accelerator=SimpleNamespace(device="cpu"),
        _tokenizer=tokenizer,
        _get_per_token_logps_and_entropies=logps,
    )

"""How likely a model finds a completion: the mean log-probability of its tokens."""

from collections.abc import Callable
from typing import Any

from rlkit.evaluate.models import find_models, load_model, load_tokenizer
from rlkit.harvest.groups import Completion


def unlikelihood(model: str) -> Callable[[Completion], float]:
    """A cost of completions: minus their mean log-probability a token, the end of the text among them.

    Raises:
        ValueError: there is no such model.
    """
    import torch

    [name] = find_models([model])
    tokenizer, loaded = load_tokenizer(name), load_model(name).eval()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loaded = loaded.to(device)

    @torch.no_grad()
    def cost(completion: Completion) -> float:
        prompt, all_ids = _ids(tokenizer, completion)
        ids = torch.tensor([all_ids], device=device)
        logprobs = loaded(ids).logits[0, len(prompt) - 1 : -1].float().log_softmax(-1)
        return -float(logprobs.gather(1, ids[0, len(prompt) :, None]).mean())

    return cost


def _ids(tokenizer: Any, completion: Completion) -> tuple[list[int], list[int]]:
    """The prompt's tokens, and with the completion's behind them."""
    if isinstance(completion.prompt, list):
        chat = tokenizer.apply_chat_template
        prompt = chat(completion.prompt, add_generation_prompt=True, tokenize=False)
        whole = chat(completion.prompt + completion.completion, tokenize=False)
        text = whole[len(prompt) :] if whole.startswith(prompt) else completion.completion[-1]["content"]
        ids = tokenizer(prompt, add_special_tokens=False).input_ids
    else:
        text, ids = completion.completion, tokenizer(completion.prompt).input_ids
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    answer = tokenizer(text, add_special_tokens=False).input_ids
    if end and end[0] in answer:  # the template's; what it puts behind was not generated
        answer = answer[: len(answer) - 1 - answer[::-1].index(end[0])]
    return ids, ids + answer + end

"""Guards the perplexity of completions: that of a model of even odds is the number of tokens."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from rlkit.evaluate.perplexity import perplexities


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("even")
    vocab = {token: number for number, token in enumerate(["<eos>", "a", "b", "c", "d"])}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="<eos>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<eos>")
    fast.save_pretrained(path)
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    policy = LlamaForCausalLM(LlamaConfig(vocab_size=5, **sizes))
    torch.nn.init.zeros_(policy.lm_head.weight)
    policy.save_pretrained(path)
    return str(path)


def test_even_odds(model):
    rows = [{"prompt": "a b", "completion": "c"}, {"prompt": "a", "completion": "b c d a"}]
    np.testing.assert_allclose(perplexities(model, rows, batch_size=2), [5.0, 5.0], rtol=1e-5)


def test_padding_and_the_prompt_do_not_count(model, tmp_path):
    policy = LlamaForCausalLM.from_pretrained(model)
    torch.manual_seed(0)
    torch.nn.init.normal_(policy.lm_head.weight)
    policy.save_pretrained(tmp_path)
    PreTrainedTokenizerFast.from_pretrained(model).save_pretrained(tmp_path)
    rows = [{"prompt": "a b", "completion": "c"}, {"prompt": "d", "completion": "b c d a b c"}]
    together = perplexities(str(tmp_path), rows, batch_size=2)
    alone = np.concatenate([perplexities(str(tmp_path), [row]) for row in rows])
    np.testing.assert_allclose(together, alone, rtol=1e-4)
    ids = torch.tensor([[1, 2, 3, 0]])  # a b c <eos>
    with torch.no_grad():
        logp = policy.float()(ids).logits.log_softmax(-1)
    by_hand = torch.exp(-(logp[0, 1, 3] + logp[0, 2, 0]) / 2)
    np.testing.assert_allclose(together[0], by_hand, rtol=1e-4)
    with pytest.raises(ValueError, match="row 0 must have prompt and completion"):
        perplexities(model, [{"prompt": "a"}])

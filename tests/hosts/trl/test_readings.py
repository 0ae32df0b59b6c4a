"""Guards what the policy's forward shows: states of a layer and likelihoods, by hand and under LoRA."""

import numpy as np
import pytest
import torch
from peft import LoraConfig
from tiny_trl import make_data, make_model, make_tokenizer, make_trainer
from transformers import Qwen2ForCausalLM

from rlkit.hosts.trl.prompts import token_ids


def deep_model() -> Qwen2ForCausalLM:
    config = make_model().config
    config.num_hidden_layers, config.layer_types = 4, ["full_attention"] * 4
    torch.manual_seed(3)
    return Qwen2ForCausalLM(config)


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    data = make_data(8).map(lambda row, index: {"prompt": row["prompt"] * (1 + index % 3)}, with_indices=True)
    return make_trainer(tmp_path_factory.mktemp("run"), "uniform", data=data, model=deep_model())


INDEX = np.arange(8)
GOLDS = ["7", "12+3", "", "0", "5=", "66", "1", "0000"]


def by_hand(trainer, index, gold, layer):
    """States and likelihoods of one prompt, by the whole model without padding."""
    prompt = token_ids(trainer, trainer.pool.take(np.array([index])))[0]
    more = make_tokenizer()(gold)["input_ids"] if gold else []
    ids = torch.tensor([prompt + more])
    with torch.no_grad():
        output = trainer.model.eval()(ids, output_hidden_states=True)
    trainer.model.train()
    state = output.hidden_states[layer][0, : len(prompt)]
    logps = output.logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
    of_gold = logps[len(prompt) - 1 :]
    likelihood = [of_gold.sum(), of_gold.mean(), of_gold[0]] if gold else [float("nan")] * 3
    return (
        torch.stack([state[-1], state.mean(0)]),
        np.array(likelihood),
        float(logps[: len(prompt) - 1].mean()),
    )


@pytest.mark.parametrize(("share", "layer"), [(0.1, 1), (0.5, 2), (0.75, 3), (1.0, 4)])
def test_states_are_those_of_the_layer(trainer, share, layer):
    alone = trainer.host.senses.read(INDEX, share, None)
    assert alone.state_N2H.shape == (8, 2, 16) and alone.likelihood_N3 is None
    for index in range(8):
        expected = by_hand(trainer, index, "", layer)[0]
        np.testing.assert_allclose(alone.state_N2H[index], expected, atol=1e-5)
    both = trainer.host.senses.read(INDEX, share, GOLDS)
    np.testing.assert_allclose(both.state_N2H, alone.state_N2H, atol=1e-5)
    assert trainer.model.training


def test_likelihoods_by_hand(trainer):
    reading, perplexity = (
        trainer.host.senses.read(INDEX, None, GOLDS),
        trainer.host.senses.read(INDEX, None, None),
    )
    assert reading.state_N2H is None and reading.prompt_N is None and perplexity.likelihood_N3 is None
    for index, gold in enumerate(GOLDS):
        _, likelihood, of_prompt = by_hand(trainer, index, gold, 1)
        np.testing.assert_allclose(reading.likelihood_N3[index], likelihood, atol=1e-4)
        assert perplexity.prompt_N[index] == pytest.approx(of_prompt, abs=1e-4)
    assert np.isnan(trainer.host.senses.read(INDEX[2:3], None, GOLDS[2:3]).likelihood_N3).all()


def test_a_middle_layer_ends_the_forward_there(trainer):
    calls = []
    hook = trainer.model.model.layers[2].register_forward_hook(lambda *_: calls.append(1))
    trainer.host.senses.read(INDEX, 0.5, None)
    assert not calls
    trainer.host.senses.read(INDEX, 0.75, None)
    hook.remove()
    assert calls


def test_a_reference_that_leaves_the_context_is_cut(trainer):
    reading = trainer.host.senses.read(INDEX[:1], None, ["1" * 500])
    assert np.isfinite(reading.likelihood_N3).all()


def test_the_adapter_is_read_too(tmp_path):
    peft_config = LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    trainer = make_trainer(tmp_path, "uniform", model=deep_model(), extra={"peft_config": peft_config})
    with_adapter = trainer.host.senses.read(INDEX, 0.5, GOLDS)
    assert with_adapter.state_N2H.shape == (8, 2, 16)
    with trainer.model.disable_adapter():
        without = trainer.host.senses.read(INDEX, 0.5, GOLDS)
    assert not np.allclose(with_adapter.state_N2H, without.state_N2H)
    assert not np.allclose(with_adapter.likelihood_N3[0], without.likelihood_N3[0])

"""Guards adapters put into their base: the merged model says what PEFT's says with the adapter beside."""

import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

sys.path.insert(0, str(Path(__file__).parents[1] / "evaluate"))
from tiny_model import make_model, make_tokenizer

from rlkit.merge.merge import merge


def adapter_on(base, folder, **config):
    """An adapter of random weights, those that it saves whole changed too."""
    from peft import LoraConfig, get_peft_model

    settings = {"r": 2, "lora_alpha": 8, "target_modules": ["q_proj"], "init_lora_weights": False, **config}
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = get_peft_model(
            AutoModelForCausalLM.from_pretrained(base, dtype="auto"), LoraConfig(**settings)
        )
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and "lora" not in name:
                parameter.data += 0.3 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """The folders of one model with its head tied, one with a head of its own, and one in bfloat16."""
    folder = tmp_path_factory.mktemp("bases")
    for name in ("tied", "untied", "bf16"):
        model = make_model(0)
        if name == "tied":
            model.config.tie_word_embeddings = True
            model.tie_weights()
        model.to(torch.bfloat16 if name == "bf16" else torch.float32).save_pretrained(folder / name)
        make_tokenizer().save_pretrained(folder / name)
    return folder


@pytest.mark.parametrize(
    ("base", "config"),
    [
        ("untied", {"rank_pattern": {"v_proj": 4}, "alpha_pattern": {"v_proj": 3}}),
        ("untied", {"modules_to_save": ["lm_head"]}),
        ("tied", {"modules_to_save": ["lm_head"]}),
        ("tied", {"modules_to_save": ["embed_tokens"]}),
        ("tied", {"target_modules": ["q_proj", "lm_head"]}),
        ("tied", {"target_modules": ["q_proj", "embed_tokens"]}),
        ("untied", {"target_modules": ["q_proj", "embed_tokens"]}),
        ("untied", {"use_dora": True, "use_rslora": True}),
        ("bf16", {"target_modules": ["q_proj", "v_proj"]}),
    ],
)
def test_what_an_adapter_says_is_what_the_merged_model_says(bases, tmp_path, base, config):
    """Logits of PEFT's model with the adapter beside, and of the merged one loaded from its folder."""
    from peft import PeftModel

    folder = adapter_on(bases / base, tmp_path / "adapter", **config)
    merge([folder], tmp_path / "out", loads=False)
    ids = torch.tensor([[2, 3, 4, 12, 5]])
    bare = AutoModelForCausalLM.from_pretrained(bases / base, dtype="auto")
    with torch.no_grad():
        before = bare(ids).logits.float()
        expected = PeftModel.from_pretrained(bare, folder)(ids).logits.float()
        merged = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype="auto")(ids).logits
    assert (expected - before).abs().max() > 0.05
    bound = 0.02 if base == "bf16" else 1e-4
    assert merged.dtype == bare.dtype and (merged.float() - expected).abs().max() < bound


def test_an_adapter_of_another_depth_is_refused(bases, tmp_path):
    """PEFT would leave out the layers that the base has not, and leave those alone that it has more."""
    config = make_model(0).config
    config.num_hidden_layers, config.layer_types = 1, config.layer_types[:1]
    with torch.random.fork_rng():
        AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "short")
    make_tokenizer().save_pretrained(tmp_path / "short")
    for place, base, said in (
        ("untied", tmp_path / "short", "the base has no place for the adapter's .*layers.1"),
        (tmp_path / "short", bases / "untied", "the base needs of the adapter .*layers.1"),
    ):
        adapter = adapter_on(bases / place, tmp_path / f"adapter-{base.name}")
        with pytest.raises(ValueError, match=said):
            merge([adapter, str(base)], tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_an_adapter_goes_into_its_base(bases, tmp_path):
    """W + (alpha / r) B A, by hand; and an adapter is no checkpoint to average."""
    from peft import LoraConfig, get_peft_model

    shutil.copytree(bases / "untied", tmp_path / "base")
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    config = LoraConfig(r=2, lora_alpha=8, target_modules=["q_proj"], init_lora_weights=False)
    adapter = get_peft_model(base, config)
    adapter.save_pretrained(tmp_path / "adapter")
    merge([str(tmp_path / "adapter")], tmp_path / "out")
    change = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("base", "out"))
    assert before.keys() == after.keys()
    for name, tensor in after.items():
        expected = before[name]
        if "q_proj.weight" in name:
            prefix = "base_model.model." + name.removesuffix(".weight")
            expected = expected + 4 * change[f"{prefix}.lora_B.weight"] @ change[f"{prefix}.lora_A.weight"]
        assert torch.allclose(tensor, expected, atol=1e-6), name
    moved = tmp_path / "moved"
    (tmp_path / "base").rename(moved)
    with pytest.raises(ValueError, match=r"does not go on .*name its base with rlkit merge"):
        merge([str(tmp_path / "adapter")], tmp_path / "again")
    merge([str(tmp_path / "adapter"), str(moved)], tmp_path / "again")
    assert load_file(tmp_path / "again" / "model.safetensors").keys() == after.keys()
    with pytest.raises(ValueError, match=r"is an adapter.*rlkit merge"):
        merge([str(moved), str(tmp_path / "adapter")], tmp_path / "third")

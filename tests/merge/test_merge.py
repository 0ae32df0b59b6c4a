"""Guards merged checkpoints: hand-computed averages, shards, types, ties, refusals, memory, and adapters."""

import json
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

sys.path.insert(0, str(Path(__file__).parents[1] / "evaluate"))
from tiny_model import make_model, make_tokenizer

from rlkit.merge.merge import merge
from rlkit.merge.weights import shares


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Three tiny models of one architecture, saved as bfloat16."""
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("instruct", "distilled", "base")):
        make_model(seed).to(torch.bfloat16).save_pretrained(folder / name)
        make_tokenizer().save_pretrained(folder / name)
    return [str(folder / name) for name in ("instruct", "distilled", "base")]


def copy(source, folder, **config):
    """A saved model again, with its configuration changed by hand."""
    make_tokenizer().save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(source)
    model.save_pretrained(folder)
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **config}))
    return str(folder)


def tensors(folder):
    found = {}
    for path in sorted(Path(folder).glob("*.safetensors")):
        found |= load_file(path)
    return found


@given(a=st.floats(0, 1), b=st.floats(0, 1))
def test_shares_sum_to_one(a, b):
    assert sum(shares(3, a, b)) == pytest.approx(1) and sum(shares(2, a)) == pytest.approx(1)


def test_three_are_averaged_in_two_stages(three, tmp_path):
    """b (a instruct + (1 - a) distilled) + (1 - b) base, in float32, kept as bfloat16; it loads."""
    out = tmp_path / "bai"
    merged = merge(three, out, a=0.25, b=0.5)
    assert merged.models == dict(zip(three, (0.125, 0.375, 0.5), strict=True)) and merged.notes == []
    parts, result = [tensors(folder) for folder in three], tensors(out)
    assert result.keys() == parts[0].keys()
    for name, tensor in result.items():
        first, second, base = (part[name].float() for part in parts)
        middle = 0.25 * first + 0.75 * second
        assert tensor.dtype == torch.bfloat16
        assert torch.allclose(tensor.float(), 0.5 * middle + 0.5 * base, rtol=2**-8, atol=1e-7)
    assert AutoModelForCausalLM.from_pretrained(out).dtype == torch.bfloat16
    assert AutoTokenizer.from_pretrained(out)("1+2").input_ids == make_tokenizer()("1+2").input_ids
    assert json.loads((out / "merge.json").read_text())["models"] == merged.models
    assert [path.name for path in tmp_path.iterdir()] == ["bai"]


def test_a_model_and_itself_are_itself(three, tmp_path):
    merge([three[0], three[0]], tmp_path / "same", a=0.3)
    for name, tensor in tensors(three[0]).items():
        assert torch.equal(tensors(tmp_path / "same")[name], tensor)


def test_shards_stay_shards(three, tmp_path):
    """The first's shards are written, also where another has one file; transformers reads the index."""
    sharded = tmp_path / "sharded"
    model = AutoModelForCausalLM.from_pretrained(three[0], dtype="auto")
    model.save_pretrained(sharded, max_shard_size="40KB")
    make_tokenizer().save_pretrained(sharded)
    merge([str(sharded), three[1]], tmp_path / "out")
    merge([three[0], three[1]], tmp_path / "whole")
    names = sorted(path.name for path in sharded.glob("*.safetensors"))
    assert len(names) > 1
    assert sorted(path.name for path in (tmp_path / "out").glob("*.safetensors")) == names
    index = (tmp_path / "out" / "model.safetensors.index.json").read_text()
    assert (
        json.loads(index)["weight_map"]
        == json.loads((sharded / "model.safetensors.index.json").read_text())["weight_map"]
    )
    for name, tensor in tensors(tmp_path / "whole").items():
        assert torch.equal(tensors(tmp_path / "out")[name], tensor)


def test_other_types_and_limits_are_said(three, tmp_path):
    other = copy(three[1], tmp_path / "float", max_position_embeddings=128)
    state = {name: tensor.float() for name, tensor in tensors(three[1]).items()}
    save_file(state, tmp_path / "float" / "model.safetensors", {"format": "pt"})
    notes = merge([three[0], other], tmp_path / "out").notes
    assert "max_position_embeddings is 64 and 128; the first is kept" in notes[0]
    assert "BF16" in notes[1] and "F32" in notes[1] and len(notes) == 2
    assert {tensor.dtype for tensor in tensors(tmp_path / "out").values()} == {torch.bfloat16}


def test_a_tied_copy_is_not_written_twice(tmp_path):
    """One saved the tied lm_head again, the other did not; where the two differ, the tie is not true."""
    for seed, name in enumerate("ab"):
        make_model(seed).save_pretrained(tmp_path / name)
        path = tmp_path / name / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "tie_word_embeddings": True}))
        state = load_file(tmp_path / name / "model.safetensors")
        state.pop("lm_head.weight")
        if name == "a":
            state["lm_head.weight"] = state["model.embed_tokens.weight"].clone()
        save_file(state, tmp_path / name / "model.safetensors", {"format": "pt"})
    folders = [str(tmp_path / "a"), str(tmp_path / "b")]
    merge(folders, tmp_path / "out")
    assert "lm_head.weight" not in tensors(tmp_path / "out")
    state = load_file(tmp_path / "a" / "model.safetensors")
    state["lm_head.weight"] += 1
    save_file(state, tmp_path / "a" / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"ties lm_head.weight to model.embed_tokens.weight.*differ"):
        merge(folders, tmp_path / "again")


def test_tokenizers_that_differ_are_said(three, tmp_path):
    other = copy(three[1], tmp_path / "other")
    tokenizer = make_tokenizer()
    tokenizer.chat_template = "{{ messages }}"
    tokenizer.save_pretrained(other)
    path = tmp_path / "other" / "tokenizer.json"
    content = json.loads(path.read_text())
    vocab = content["model"]["vocab"]
    vocab["+"], vocab["="] = vocab["="], vocab["+"]
    path.write_text(json.dumps(content))
    vocabularies, templates = merge([three[0], other], tmp_path / "out").notes[-2:]
    assert "2 ids mean other tokens, such as 12: '+' and '='" in vocabularies
    assert "chat templates" in templates


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"rms_norm_eps": 0.5}, "rms_norm_eps is 1e-06 and 0.5"),
        ({"model_type": "llama"}, "model_type is 'qwen2' and 'llama'"),
        ({"quantization_config": {"quant_method": "gptq"}}, "is quantized"),
    ],
)
def test_another_architecture_is_refused_by_name(three, tmp_path, config, said):
    other = copy(three[1], tmp_path / "other", **config)
    with pytest.raises(ValueError, match=said):
        merge([three[0], other], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def _without(state):
    state.pop("model.norm.weight")


def _longer(state):
    state["model.norm.weight"] = torch.ones(65)


def _infinite(state):
    state["model.norm.weight"][0] = torch.inf


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_without, r"has no tensor model\.norm\.weight"),
        (_longer, r"model\.norm\.weight is BF16 \[64\] in .* and F32 \[65\]"),
        (_infinite, r"model\.norm\.weight is not finite in .*other"),
    ],
)
def test_tensors_that_have_no_average_are_refused_by_name(three, tmp_path, change, said):
    other = copy(three[1], tmp_path / "other")
    state = tensors(other)
    change(state)
    save_file(state, Path(other) / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=said):
        merge([three[0], other], tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other"]


def test_what_is_no_checkpoint_is_refused(three, tmp_path):
    cut = copy(three[1], tmp_path / "cut")
    file = Path(cut) / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match="is no whole safetensors file"):
        merge([three[0], cut], tmp_path / "out")
    file.unlink()
    with pytest.raises(ValueError, match=r"has neither model\.safetensors nor"):
        merge([three[0], cut], tmp_path / "out")
    for index, said in (
        ('{"weight_map": {"a": "b"}}', "names b, which is missing"),
        ("{}", "has no weight_map"),
    ):
        (Path(cut) / "model.safetensors.index.json").write_text(index)
        with pytest.raises(ValueError, match=said):
            merge([three[0], cut], tmp_path / "out")
    with pytest.raises(ValueError, match="there is no such folder"):
        merge([three[0], str(tmp_path / "nothing")], tmp_path / "out")
    with pytest.raises(ValueError, match="1 were given"):
        merge(three[:1], tmp_path / "out")
    with pytest.raises(ValueError, match=r"a \(1.5\) must be between 0 and 1"):
        merge(three[:2], tmp_path / "out", a=1.5)
    with pytest.raises(ValueError, match="exists"):
        merge(three, Path(cut))


def test_a_stale_index_does_not_count(three, tmp_path):
    """A model that was saved in one file over its shards, as transformers leaves it and reads it."""
    sharded = tmp_path / "sharded"
    AutoModelForCausalLM.from_pretrained(three[1], dtype="auto").save_pretrained(
        sharded, max_shard_size="40KB"
    )
    make_tokenizer().save_pretrained(sharded)
    AutoModelForCausalLM.from_pretrained(three[0], dtype="auto").save_pretrained(sharded)
    assert (sharded / "model.safetensors").exists() and (sharded / "model.safetensors.index.json").exists()
    merge([str(sharded), str(sharded)], tmp_path / "out")
    for name, tensor in tensors(three[0]).items():
        assert torch.equal(tensors(tmp_path / "out")[name], tensor)


def test_a_sum_out_of_the_first_types_range_is_refused(three, tmp_path):
    half, wide = copy(three[0], tmp_path / "half"), copy(three[1], tmp_path / "wide")
    for folder, dtype, size in ((half, torch.float16, 1.0), (wide, torch.float32, 1e6)):
        state = {name: tensor.to(dtype) for name, tensor in tensors(folder).items()}
        state["model.norm.weight"] *= size
        save_file(state, Path(folder) / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"model.norm.weight is out of the range of torch.float16"):
        merge([half, wide], tmp_path / "out")


def test_eight_bits_have_no_average(three, tmp_path):
    narrow = copy(three[0], tmp_path / "narrow")
    state = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in tensors(narrow).items()}
    save_file(state, Path(narrow) / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"is F8_E4M3 .*, which has no average"):
        merge([narrow, narrow], tmp_path / "out")

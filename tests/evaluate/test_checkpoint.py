"""Guards evaluating saved models: checkpoints and adapters, text and messages, seeds and files."""

import json

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from rlkit.evaluate.checkpoint import RowResult, evaluate_checkpoint, summarize

TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}={% endif %}"
ROWS = [{"prompt": f"{i}+1=", "answer": str(i + 1)} for i in range(5)]
SHORT = {"max_new_tokens": 6, "batch_size": 8}


def has_digit(completions, answer, **_):
    return [float(any(c.isdigit() for c in text)) for text in completions]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    symbols = ["<pad>", "<eos>", *"0123456789+= "]
    core = Tokenizer(models.WordLevel({symbol: i for i, symbol in enumerate(symbols)}, unk_token="<pad>"))
    core.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", eos_token="<eos>")
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(symbols),
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        eos_token_id=1,
        pad_token_id=0,
    )
    model = Qwen2ForCausalLM(config)
    model.generation_config.top_k = 1  # what a checkpoint says must not narrow the sampling
    model.generation_config.do_sample = True
    model.save_pretrained(folder)
    return folder


def test_numbers_agree_with_the_rows(checkpoint, tmp_path):
    result = evaluate_checkpoint(checkpoint, ROWS, has_digit, num_samples=4, out=tmp_path / "eval", **SHORT)
    assert result.num_problems == 5 and result.num_samples == 4 and result.num_unscorable == 0
    rewards = [reward for row in result.rows for reward in row.rewards]
    assert result.accuracy == pytest.approx(sum(rewards) / 20) == pytest.approx(result.pass_at_k[1])
    assert set(result.pass_at_k) == {1, 2, 4} and result.pass_at_k[4] >= result.pass_at_k[1]
    assert result.accuracy_interval[0] <= result.accuracy <= result.accuracy_interval[1]
    for row in result.rows:
        assert [n == 6 for n, cut in zip(row.num_tokens, row.truncated, strict=True) if cut] == [True] * sum(
            row.truncated
        )
    assert len({text for row in result.rows for text in row.completions}) > 5  # not the checkpoint's top_k=1
    summary = json.loads((tmp_path / "eval" / "summary.json").read_text())
    lines = (tmp_path / "eval" / "completions.jsonl").read_text().splitlines()
    assert summary["accuracy"] == result.accuracy and summary["pass_at_k"]["4"] == result.pass_at_k[4]
    assert [json.loads(line)["completions"] for line in lines] == [row.completions for row in result.rows]


def test_the_seed_decides_and_the_caller_keeps_its_own(checkpoint):
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    runs = [evaluate_checkpoint(checkpoint, ROWS, has_digit, seed=seed, **SHORT) for seed in (1, 1, 2)]
    assert torch.rand(1) == expected
    texts = [[row.completions for row in run.rows] for run in runs]
    assert texts[0] == texts[1] != texts[2]


def test_greedy_ignores_the_batching(checkpoint):
    def greedy(batch_size):
        result = evaluate_checkpoint(checkpoint, ROWS, has_digit, 1, 6, temperature=0, batch_size=batch_size)
        return [row.completions for row in result.rows]

    assert greedy(1) == greedy(5)


def test_an_adapter_folder_differs_from_its_base_and_takes_its_tokenizer(checkpoint, tmp_path):
    torch.manual_seed(0)
    model = get_peft_model(
        Qwen2ForCausalLM.from_pretrained(checkpoint),
        LoraConfig(target_modules=["q_proj", "v_proj", "o_proj"]),
    )
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=1.0)
    model.save_pretrained(tmp_path)
    base, adapter = (
        evaluate_checkpoint(path, ROWS, has_digit, temperature=0, **SHORT) for path in (checkpoint, tmp_path)
    )
    assert [row.completions for row in base.rows] != [row.completions for row in adapter.rows]


def test_messages_go_through_the_chat_template_and_come_back_as_messages(checkpoint):
    forms = []

    def spy(completions, **_):
        forms.extend(completions)
        return [1.0] * len(completions)

    rows = [{"prompt": [{"role": "user", "content": row["prompt"][:-1]}]} for row in ROWS]
    messages = evaluate_checkpoint(checkpoint, rows, spy, temperature=0, **SHORT)
    text = evaluate_checkpoint(checkpoint, ROWS, spy, temperature=0, **SHORT)
    assert [row.completions for row in messages.rows] == [row.completions for row in text.rows]
    assert forms[0] == [{"role": "assistant", "content": forms[5]}]


def test_a_failing_reward_is_counted_not_fatal(checkpoint):
    def fails_on_two(completions, answer, **_):
        if "2" in answer:
            raise RuntimeError("two")
        return [1.0] * len(completions)

    result = evaluate_checkpoint(checkpoint, ROWS, fails_on_two, **SHORT)
    assert result.num_reward_errors == result.num_unscorable == 1 and result.accuracy == 1.0


def test_summary_leaves_unscorable_samples_out():
    rows = [
        RowResult(0, "a", ["x"] * 2, [1.0, None], [1, 1], [False] * 2),
        RowResult(1, "b", ["x"] * 2, [0.0, 0.5], [3, 3], [True] * 2),
        RowResult(2, "c", ["x"] * 2, [None, None], [2, 2], [False] * 2),
    ]
    result = summarize(rows, num_reward_errors=0, seed=0, seconds=1.0)
    assert result.accuracy == 0.5 and result.num_unscorable == 3
    assert result.pass_at_k == {1: 0.5, 2: 0.0}
    assert result.mean_tokens == 2.0 and result.truncated_share == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_samples": 0}, r"num_samples \(0\) must be at least 1"),
        ({"temperature": 0, "num_samples": 2}, "the same completion"),
        ({"temperature": -1}, r"temperature \(-1\)"),
        ({"rows": []}, "rows is empty"),
        ({"rows": [{"question": "?"}]}, r"row 0 has no `prompt`; its columns are \['question'\]"),
        (
            {"reward": lambda completions, **_: [None] * len(completions)},
            "none of the 5 rows could be scored",
        ),
    ],
)
def test_bad_arguments_are_named(checkpoint, change, message):
    with pytest.raises(ValueError, match=message):
        evaluate_checkpoint(
            **{"model_path": checkpoint, "rows": ROWS, "reward": has_digit, **SHORT, **change}
        )


def test_the_folder_of_a_run_names_its_checkpoints(tmp_path):
    (tmp_path / "checkpoint-10").mkdir()
    with pytest.raises(ValueError, match=r"neither config.json nor .*; name one of \['checkpoint-10'\]"):
        evaluate_checkpoint(tmp_path, ROWS, has_digit)


@pytest.mark.vllm
def test_vllm_generates_the_same_greedy_completions(checkpoint):
    results = [
        evaluate_checkpoint(checkpoint, ROWS, has_digit, temperature=0, use_vllm=use_vllm, **SHORT)
        for use_vllm in (False, True)
    ]
    assert [row.completions for row in results[0].rows] == [row.completions for row in results[1].rows]
    assert results[0].truncated_share == results[1].truncated_share

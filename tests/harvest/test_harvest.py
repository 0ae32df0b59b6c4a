"""Guards what is harvested from a run: rows by hand, counts of each rule, files that TRL trains on."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "evaluate"))
from tiny_model import make_model, make_tokenizer, save_model

from rlkit.cli import app
from rlkit.harvest.groups import read_groups
from rlkit.harvest.preference import pairs
from rlkit.harvest.sft import demonstrations
from rlkit.prompts.files import read_rows
from rlkit.record import ledger
from rlkit.record.completions import CompletionLog
from rlkit.record.messages import stored
from rlkit.record.parts import Parts

NAN = float("nan")


def make_run(folder, *groups, chat=False, reward=2.0):
    """A run that kept groups, one a step: (index, [(completion, tokens, signal), ...])."""
    log = CompletionLog(folder, 1e6)
    for generation, (index, completions) in enumerate(groups):
        rows = [
            {
                "generation": generation,
                "step": generation + 1,
                "index": index,
                "key": 2**64 - 1 - index,
                "prompt": stored([{"role": "user", "content": f"{index}+1="}]) if chat else f"{index}+1=",
                "gold": None,
                "completion": stored([{"role": "assistant", "content": text}]) if chat else text,
                "chat": chat,
                "tokens": tokens,
                "signal": signal,
                "reward": signal * reward,
                "rewards": [],
            }
            for text, tokens, signal in completions
        ]
        log.write(rows, 1.0)
    log.flush()
    (folder / "metrics.jsonl").write_text('{"step": 1}\n')
    return folder


GROUP = (3, [("4", 4, 1.0), ("04", 2, 1.0), ("5", 9, 0.0), ("555", 3, 0.0)])


def test_a_pair_of_four(tmp_path):
    """The shorter of the two right ones, against the wrong one nearest to it in length: 2 and 3 tokens."""
    [row] = pairs(make_run(tmp_path, GROUP)).rows
    assert row == {
        "prompt": "3+1=",
        "chosen": "04",
        "rejected": "555",
        "margin": 1.0,
        "run": str(tmp_path),
        "step": 1,
        "key": "fffffffffffffffc",
        "signal": 1.0,
        "reward": 2.0,
        "rejected_reward": 0.0,
    }


def test_a_demonstration_of_four_in_messages(tmp_path):
    [row] = demonstrations(make_run(tmp_path, GROUP, chat=True)).rows
    assert row["prompt"] == [{"role": "user", "content": "3+1="}]
    assert row["completion"] == [{"role": "assistant", "content": "04"}]
    assert (row["step"], row["signal"], row["reward"]) == (1, 1.0, 2.0)


def test_every_rule_counts(tmp_path):
    """Prompt 3 thrice (twice the same text), prompt 4 once, prompt 5 never right, one without a signal."""
    run = make_run(
        tmp_path,
        GROUP,
        (3, [("04", 2, 1.0), ("5", 1, 0.5)]),
        (4, [("5", 1, 1.0), ("?", 1, NAN)]),
        (3, [("4", 1, 1.0), ("5", 1, 1.0)]),
        (5, [("55", 1, 0.0), ("5", 2, 0.75)]),
    )
    rows, left = demonstrations(run)
    assert [(row["step"], row["completion"]) for row in rows] == [(3, "5"), (4, "4")]
    assert list(left.values()) == [12, 11, 6, 4, 3, 2]
    assert [row["step"] for row in demonstrations(run, per_prompt=2).rows] == [1, 3, 4]
    rows, left = pairs(run, margin=0.75, per_prompt=2)
    assert [(row["step"], row["margin"]) for row in rows] == [(1, 1.0), (5, 0.75)]
    assert list(left.values()) == [12, 11, 10, 3, 2, 2]
    assert [row["step"] for row in pairs(run, per_prompt=2).rows] == [1, 2, 5]


def test_the_likeliest_by_a_model(tmp_path):
    """The mean log-probability by hand; a random model finds another text likeliest than the shortest."""
    import torch

    from rlkit.harvest.likelihood import unlikelihood

    save_model(tmp_path / "model", 0)
    run = make_run(tmp_path / "run", GROUP)
    cost = unlikelihood(str(tmp_path / "model"))
    tokenizer, model = make_tokenizer(), make_model(0)
    expected = {}
    for text, _, signal in GROUP[1]:
        ids = torch.tensor([[*tokenizer("3+1=" + text).input_ids, 1]])
        logprobs = model(ids).logits[0, 3:-1].log_softmax(-1).detach()
        if signal == 1:
            expected[text] = float(logprobs.gather(1, ids[0, 4:, None]).mean())
    [row] = demonstrations(run, cost=cost).rows
    assert row["completion"] == max(expected, key=expected.__getitem__)
    [group], _ = read_groups(run)
    assert {each.completion: -cost(each) for each in group if each.signal == 1} == pytest.approx(
        expected, abs=1e-5
    )


def test_the_end_that_a_template_writes_is_the_end(tmp_path):
    """Of "4<eos>, blank" in a chat template the blank was not generated, and there is one end."""
    from rlkit.harvest.likelihood import _ids

    run = make_run(tmp_path, GROUP, chat=True)
    tokenizer = make_tokenizer()
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['content'] }}{% if m['role'] == 'assistant' %}<eos> {% endif %}"
        "{% endfor %}{% if add_generation_prompt %}={% endif %}"
    )
    [group], _ = read_groups(run)
    prompt, whole = _ids(tokenizer, group[0])
    assert whole[len(prompt) :] == [*tokenizer("4").input_ids, tokenizer.eos_token_id]


def test_signals_are_compared_as_they_were_before_they_were_kept(tmp_path):
    """As float32 0.9 is less than 0.9, and 0.7 - 0.4 less than 0.3."""
    assert float(np.float32(0.9)) < 0.9 and 0.7 - 0.4 < 0.3
    run = make_run(tmp_path, (3, [("4", 1, 0.9), ("5", 1, 0.3)]), (4, [("5", 1, 0.7), ("6", 1, 0.4)]))
    assert [row["completion"] for row in demonstrations(run, right=0.9).rows] == ["4"]
    assert len(pairs(run, margin=0.3).rows) == 2


def test_what_teaches_nothing_is_no_pair(tmp_path):
    """One text that a noisy reward likes once; a group of one; a group whose rewards are all NaN."""
    run = make_run(
        tmp_path,
        (3, [("4", 1, 1.0), ("4", 1, 0.0)]),
        (4, [("5", 1, 1.0)]),
        (5, [("5", 1, NAN), ("6", 1, NAN)]),
        GROUP,
    )
    rows, left = pairs(run)
    assert [row["step"] for row in rows] == [4] and left["best and worst unlike"] == 1
    assert list(left.values()) == [9, 7, 6, 2, 1, 1]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_reward_that_is_no_number_is_null(tmp_path, suffix):
    out = tmp_path / f"rows{suffix}"
    run = make_run(tmp_path / "run", GROUP, reward=NAN)
    result = CliRunner().invoke(app, ["harvest", str(run), "--kind", "preference", "--out", str(out)])
    assert result.exit_code == 0, result.exception
    [row] = Dataset.from_json(str(out)) if suffix == ".jsonl" else Dataset.from_parquet(str(out))
    assert row["reward"] is None and row["rejected_reward"] is None and row["signal"] == 1


def test_helped_completions_are_left_out(tmp_path):
    run = make_run(tmp_path, GROUP, (4, [("5", 1, 1.0), ("6", 1, 0.0)]))
    groups = [{"generation": 0, "index": 3, "share": 0.5}, {"generation": 1, "index": 4, "share": 0.0}]
    Parts(run / "ledger", ledger.SCHEMA).write(pa.Table.from_pylist(groups, schema=ledger.SCHEMA))
    assert (
        [row["step"] for row in pairs(run).rows] == [2] == [row["step"] for row in demonstrations(run).rows]
    )
    assert demonstrations(run).left["without hints"] == 2


@pytest.mark.parametrize(
    ("groups", "options", "said"),
    [
        ([], "--kind sft", "kept no completions; train with keep_completions: all"),
        ([GROUP], "--kind sft --right 2", "'right (signal at least 2)' leaves none (completions kept: 4, "),
        ([(3, [("4", 1, 1.0)])], "--kind preference", "'in groups of two or more' leaves none"),
        ([(3, [("4", 1, 1.0)] * 2)], "--kind preference", "'groups whose signals differ' leaves none"),
        ([GROUP], "--kind preference --margin 3", "'margin at least 3' leaves none"),
        ([GROUP], "--kind best", "kind (best) must be one of sft, preference"),
        ([GROUP], "--kind sft --choose likeliest", "likeliest needs --model"),
        ([GROUP], "--kind sft --out x.csv", "out (x.csv) must end in .jsonl or .parquet"),
    ],
)
def test_what_leaves_nothing_says_why(tmp_path, groups, options, said):
    run, out = make_run(tmp_path, *groups), tmp_path / "rows.jsonl"
    result = CliRunner().invoke(app, ["harvest", str(run), "--out", str(out), *options.split()])
    assert isinstance(result.exception, ValueError) and said in str(result.exception)
    assert not out.exists()


@pytest.mark.parametrize(("chat", "suffix"), [(False, ".jsonl"), (True, ".parquet")])
def test_trl_trains_on_the_files(tmp_path, chat, suffix):
    """An SFT and a DPO stage of TRL, as the rows lie in the file."""
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    run = make_run(tmp_path / "run", GROUP, (4, [("5", 1, 1.0), ("6", 1, 0.0)]), chat=chat)
    save_model(tmp_path / "model", 0)
    for kind, config, trainer in (("sft", SFTConfig, SFTTrainer), ("preference", DPOConfig, DPOTrainer)):
        out = tmp_path / f"{kind}{suffix}"
        result = CliRunner().invoke(app, ["harvest", str(run), "--kind", kind, "--out", str(out)])
        assert result.exit_code == 0, result.exception
        assert "2 rows in" in result.stdout and len(read_rows(out)) == 2
        assert type(read_rows(out)[0]["prompt"]) is (list if chat else str)
        args = config(
            output_dir=str(tmp_path / kind),
            max_steps=1,
            per_device_train_batch_size=2,
            use_cpu=True,
            bf16=False,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            gradient_checkpointing=False,
        )
        data = Dataset.from_json(str(out)) if suffix == ".jsonl" else Dataset.from_parquet(str(out))
        tuned = trainer(model=str(tmp_path / "model"), args=args, train_dataset=data)
        tuned.train()
        assert tuned.state.global_step == 1

"""Guards hints in the trainer: who sees what of a hint, what trains, and what is refused before loading."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from test_resume import assert_same_run
from tiny_trl import (
    Watching,
    even_start,
    ledger_rows,
    make_data,
    make_messages,
    make_tokenizer,
    make_trainer,
    metrics,
    text_of,
)

from rlkit import CurriculumConfig
from rlkit.hosts.trl.hints import PARAGRAPH


def even_end(completions: list, **columns) -> list[float]:
    """1.0 where the text ends in an even digit, as the solutions do and none of their beginnings."""
    return [float(text_of(completion)[-1:] in tuple("02468")) for completion in completions]


def with_solutions(data: Dataset, solution: str = "11\n35\n8") -> Dataset:
    return data.add_column("solution", [solution] * len(data))


def hinted(hints: str = "adaback", curriculum: str = "uniform", **numbers) -> CurriculumConfig:
    return CurriculumConfig(curriculum=curriculum, hints=hints, **numbers)


def fixed(trainer, share: float):
    """The trainer with a rule that reveals the same share of every solution."""
    rule = trainer.curriculum.hints.rule
    rule.choose = lambda index_N, possible, logit_N, rng: np.full(len(index_N), share)
    return trainer


SECOND = 6 / 7
"""The share of both lines before the answer."""


@pytest.mark.parametrize("data", [make_data, make_messages])
def test_a_prefix_is_prompt_to_the_policy_and_answer_to_the_reward(tmp_path, data):
    """Rewards see the unaided prompt and the whole text; ids and masks are of the completion alone."""
    seen = []

    def reward(prompts, completions, completion_ids, **columns):
        seen.extend(zip(prompts, completions, completion_ids, strict=True))
        return even_end(completions)

    trainer = make_trainer(
        tmp_path, hinted(), reward, data=with_solutions(data()), kind=Watching, max_steps=1
    )
    seen.clear()
    fixed(trainer, SECOND).train()
    seen = seen[-16:]  # behind the examinations
    tokenizer = trainer.processing_class
    for prompt, completion, ids in seen:
        assert "\n" not in text_of(prompt[-1]["content"] if isinstance(prompt, list) else prompt)
        assert text_of(completion) == "11\n35\n" + tokenizer.decode(ids, skip_special_tokens=True)
    batch = trainer.batches[0]
    hint = tokenizer("11\n35\n")["input_ids"]
    assert batch["completion_ids"].shape[1] <= 3
    assert all(ids[-len(hint) :].tolist() == hint for ids in batch["prompt_ids"])
    rows = ledger_rows(tmp_path)
    assert {round(row["share"], 4) for row in rows} == {0.8571}
    lengths = [length for row in rows for length in row["lengths"]]
    assert sum(lengths) == batch["completion_mask"].sum() and max(lengths) <= 3
    line = metrics(tmp_path)[0]
    assert line["hints/share"] == pytest.approx(SECOND) and line["hints/helped"] == 1
    assert line["signal/unaided"] is None and line["signal/helped"] == line["signal/all"]
    assert line["tokens/generated"] == sum(lengths)


def test_logprobs_behind_a_prefix_are_those_of_the_whole_text(tmp_path):
    """Importance ratios are of pi(token | prompt, hint, before): by a forward of all three."""
    trainer = make_trainer(
        tmp_path, hinted(), even_end, data=with_solutions(make_data()), kind=Watching, max_steps=1,
        steps_per_generation=2, per_device_train_batch_size=8, learning_rate=0.0,
    )  # fmt: skip
    fixed(trainer, SECOND).train()
    batch = trainer.batches[0]
    rows = zip(
        batch["prompt_ids"],
        batch["prompt_mask"],
        batch["completion_ids"],
        batch["completion_mask"],
        strict=True,
    )
    for row, (prompt, mask, completion, real) in enumerate(rows):
        prompt, completion = prompt[mask.bool()].tolist(), completion[real.bool()].tolist()
        text = trainer.processing_class.decode(prompt[:4])  # "000="
        whole = trainer.processing_class(text + "11\n35\n")["input_ids"]
        assert prompt == whole
        logits = trainer.model(torch.tensor([whole + completion])).logits[0, len(whole) - 1 : -1]
        expected = torch.log_softmax(logits, dim=-1)[range(len(completion)), completion]
        ours = batch["old_per_token_logps"][row, : len(completion)]
        assert torch.allclose(ours, expected, atol=1e-5)


def test_hint_loss_trains_the_revealed_tokens_and_counts_them_nowhere(tmp_path):
    """The completion that trains begins with the hint; the ledger's lengths are of what was generated."""
    trainer = make_trainer(
        tmp_path,
        hinted(hint_loss=True),
        even_end,
        data=with_solutions(make_data()),
        kind=Watching,
        max_steps=1,
    )
    fixed(trainer, SECOND).train()
    batch = trainer.batches[0]
    hint = trainer.processing_class("11\n35\n")["input_ids"]
    assert all(ids[: len(hint)].tolist() == hint for ids in batch["completion_ids"])
    assert batch["prompt_ids"].shape[1] == 4
    lengths = sum(length for row in ledger_rows(tmp_path) for length in row["lengths"])
    assert batch["completion_mask"].sum() == lengths + 16 * len(hint)


@pytest.mark.parametrize("data", [make_data, make_messages])
def test_a_hint_in_the_prompt_is_a_paragraph_of_it(tmp_path, data):
    """The user's message ends in it, and the completion is the answer."""
    seen = []

    def reward(prompts, completions, **columns):
        seen.extend(zip(prompts, completions, strict=True))
        return even_end(completions)

    config = hinted(hint_place="prompt")
    trainer = make_trainer(tmp_path, config, reward, data=with_solutions(data()), max_steps=1)
    trainer.pool.usable.examine = None  # the tiny context is too short for words
    seen.clear()
    trainer.curriculum.hints.solutions.examiners = []
    trainer.model.config.max_position_embeddings = 512
    fixed(trainer, SECOND).train()
    assert len(seen) == 16
    for prompt, completion in seen:
        asked = prompt if isinstance(prompt, str) else prompt[-1]["content"]
        assert asked.endswith(PARAGRAPH + "11\n35\n") and not text_of(completion).startswith("11\n35")


def test_evaluation_gives_no_hints(tmp_path):
    """Held-out prompts are answered unaided between steps that are not."""
    seen = []

    def reward(prompts, completions, completion_ids, **columns):
        seen.extend(zip(prompts, completions, completion_ids, strict=True))
        return even_end(completions)

    data = with_solutions(make_data())
    trainer = make_trainer(
        tmp_path, hinted(), reward, data=data, max_steps=1, eval_strategy="steps", eval_steps=1,
        per_device_eval_batch_size=4, extra={"eval_dataset": data.select(range(4))},
    )  # fmt: skip
    fixed(trainer, SECOND).train()
    tail = seen[-16:]
    assert {prompt for prompt, _, _ in tail} == {"000=", "001=", "002=", "003="}
    for _, completion, ids in tail:
        assert completion == trainer.processing_class.decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize(
    ("hints", "curriculum"), [("adaback", "speed"), ("predicted", "ssb"), ("guided", "mopps")]
)
def test_resuming_equals_never_having_stopped(tmp_path, hints, curriculum):
    """Bit for bit, also where a group waits or is replayed: it keeps its share."""
    numbers = {"speed": {"screen": 2}, "ssb": {"hint_price": 0.0}, "mopps": {}}[curriculum]
    config = hinted(hints, curriculum, **numbers)

    def trainer(folder, steps, **settings):
        data = with_solutions(make_data(16), "1\n3\n1\n3\n1\n3\n1\n8")
        return make_trainer(tmp_path / folder, config, even_end, data=data, max_steps=steps, **settings)

    straight = trainer("straight", 6)
    straight.train()
    trainer("stopped", 6, save_strategy="steps", save_steps=3).train()
    resumed = trainer("stopped", 6)
    resumed.train(resume_from_checkpoint=str(tmp_path / "stopped" / "checkpoint-3"))
    assert_same_run(tmp_path / "straight", straight, tmp_path / "stopped", resumed)
    assert {row["share"] for row in ledger_rows(tmp_path / "straight")} != {0.0}


def test_no_beginning_with_the_answer_is_revealed(tmp_path):
    """By the row's own reward: the second line is the answer, so that only the first may be revealed."""
    data = with_solutions(make_data(), "11\n8\n33\n8")

    def says_eight(completions, **columns):
        return [float("8" in text) for text in completions]

    trainer = make_trainer(tmp_path, hinted(), says_eight, data=data, max_steps=2)
    fixed(trainer, 1.0).train()
    assert {round(row["share"], 3) for row in ledger_rows(tmp_path)} == {round(3 / 9, 3)}
    assert metrics(tmp_path)[-1]["hints/refused/answer"] == 2 * metrics(tmp_path)[-1]["hints/examined"]


def test_long_hints_are_not_revealed(tmp_path):
    """The tiny model's context has 64 tokens; what leaves no room for a completion is left out."""
    data = with_solutions(make_data(), "1" * 40 + "\n" + "1" * 40 + "\n8")
    trainer = make_trainer(tmp_path, hinted(), even_end, data=data, max_steps=1)
    fixed(trainer, 1.0).train()
    assert {round(row["share"], 3) for row in ledger_rows(tmp_path)} == {round(41 / 83, 3)}
    assert metrics(tmp_path)[-1]["hints/refused/long"] == metrics(tmp_path)[-1]["hints/examined"]


def rejecting(completions: list, **columns) -> list[float]:
    return [0.0] * len(completions)


def merging_tokenizer():
    """Joins a line break with the digit behind it."""
    tokenizer = make_tokenizer()
    tokenizer.add_tokens(["\n3", "\n8"])
    return tokenizer


REFUSED = {
    "no column": (
        {"data": make_data()},
        "hints need a column solution or demonstration, and it is not in the data",
    ),
    "other column": ({"config": hinted(hint_column="worked")}, r"hint_column \('worked'\) is not in"),
    "empty": ({"data": with_solutions(make_data(), "")}, "they are empty or no text"),
    "environment": ({"extra": {"environment_factory": object}}, "hints do not go with environment_factory"),
    "rejected": ({"rewards": rejecting}, "the reward rejects the solutions themselves"),
    "one line": (
        {"data": with_solutions(make_data(), "112 8")},
        "they cannot be cut: one sentence or line each",
    ),
    "answer first": (
        {"data": with_solutions(make_data(), "8\n11\n8"), "rewards": even_start},
        "every beginning of them holds the answer",
    ),
    "merged": ({"extra": {"processing_class": merging_tokenizer()}}, "the tokenizer joins the end of every"),
    "tools": ({"extra": {"tools": [even_end]}}, "hints do not go with tools"),
    "rollout function": ({"extra": {"rollout_func": even_end}}, "hints do not go with rollout_func"),
    "images": (
        {"data": with_solutions(make_data()).add_column("image", [None] * 64)},
        r"hints do not go with images \(column image\)",
    ),
    "reward model": ({"rewards": ["no/model"]}, "hints need a reward function"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_one_line_before_a_model_loads(tmp_path, case):
    """The model does not exist: what is raised comes before it is looked for."""
    given, message = REFUSED[case]
    given = {"config": hinted(), "data": with_solutions(make_data()), "rewards": even_end, **given}
    config = given.pop("config")
    with pytest.raises(ValueError, match=message) as error:
        make_trainer(tmp_path, config, model="no/such-model", **given)
    assert "\n" not in str(error.value)


def test_templates_that_open_a_thought_are_told_of(tmp_path, caplog):
    """There a solution's beginning would be that of a thought."""
    tokenizer = make_tokenizer()
    tokenizer.chat_template += "<think>\n"
    make_trainer(
        tmp_path,
        hinted(),
        even_end,
        data=with_solutions(make_messages()),
        extra={"processing_class": tokenizer},
    )
    assert "opens a thought" in caplog.text and "hint_place=prompt" in caplog.text


@pytest.mark.parametrize(
    "peft_config", [None, LoraConfig(target_modules=["q_proj"], r=2)], ids=["full", "lora"]
)
def test_all_completions_of_a_group_go_on_from_one_hint(tmp_path, peft_config):
    """Beside a preset that refills."""
    data, extra = with_solutions(make_data()), {"peft_config": peft_config}
    trainer = make_trainer(
        tmp_path, hinted("guided", "dapo"), even_end, data=data, kind=Watching, extra=extra
    )
    trainer.train()
    for batch in trainer.batches:
        rows = zip(batch["prompt_ids"], batch["prompt_mask"], strict=True)
        prompts = {tuple(ids[mask.bool()].tolist()) for ids, mask in rows}
        assert len(prompts) == len({ids[:4] for ids in prompts}) == 4
        assert max(map(len, prompts)) > 4

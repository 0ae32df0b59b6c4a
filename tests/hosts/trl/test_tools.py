"""Guards tools and environments under the curriculum: called once a rollout, their words masked."""

import pytest
from tiny_trl import (
    NUM_GENERATIONS,
    Watching,
    ledger_rows,
    make_messages,
    make_tokenizer,
    make_trainer,
)
from transformers import PreTrainedTokenizerFast

from rlkit import CurriculumConfig

SLOW = pytest.mark.slow
PRESET_PARAMS = ["dapo", *(pytest.param(name, marks=SLOW) for name in ("uniform", "pcl"))]

TOOL_TEMPLATE = (
    "{% for message in messages %}{{ message['content'] }}{% for call in message.get('tool_calls') or [] %}"
    "{{ call['function']['name'] }}{{ call['function']['arguments'] | tojson }}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}={% endif %}"
)


class ToolTokenizer(PreTrainedTokenizerFast):
    """Reads a tool call `double(number)` wherever a completion begins with a digit below 5."""

    def parse_response(self, ids, prefix=None, tools=None):
        text = self.decode(ids, skip_special_tokens=True)
        message = {"role": "assistant", "content": text}
        if text[:1] in tuple("01234"):
            call = {"name": "double", "arguments": {"number": int(text[0])}}
            message |= {"content": "", "tool_calls": [{"type": "function", "function": call}]}
        return message


def make_tool_tokenizer():
    plain = make_tokenizer()
    tokenizer = ToolTokenizer(
        tokenizer_object=plain.backend_tokenizer,
        eos_token=plain.eos_token,
        pad_token=plain.pad_token,
        padding_side="left",
    )
    tokenizer.chat_template = TOOL_TEMPLATE
    tokenizer.response_template = {"parsed": "by this class"}
    return tokenizer


def tool_messages(completions):
    return [message for completion in completions for message in completion if message["role"] == "tool"]


@pytest.mark.parametrize("preset", PRESET_PARAMS)
def test_tools(tmp_path, preset):
    calls, graded = [], []

    def double(number: int) -> int:
        """Doubles a number.

        Args:
            number: the number.
        """
        calls.append(number)
        return 2 * number

    def called(completions, **columns):
        graded.extend(completions)
        return [float(len(tool_messages([completion])) > 0) for completion in completions]

    extra = {"tools": [double], "processing_class": make_tool_tokenizer()}
    settings = {"max_completion_length": 9, "max_tool_calling_iterations": 2, "max_steps": 2}
    trainer = make_trainer(
        tmp_path, preset, called, data=make_messages(), kind=Watching, extra=extra, **settings
    )
    graded.clear()  # by the check before the model loads
    trainer.train()
    rows = ledger_rows(tmp_path)
    assert len(graded) == NUM_GENERATIONS * len(rows)
    assert 0 < len(tool_messages(graded)) <= len(calls), "each completion was rolled out once"
    assert len(calls) <= 2 * len(graded)
    assert any((batch["tool_mask"] == 0).any() for batch in trainer.batches), "a tool's words are masked"
    generated = sum(sum(row["lengths"]) for row in rows if row["step"] == 1 and row["trained"])
    batch = trainer.batches[0]
    assert generated == (batch["completion_mask"] * batch["tool_mask"]).sum()


class Doubling:
    """An environment that owns its reward: how often its tool was called since the reset."""

    resets = 0

    def reset(self, prompt, **columns):
        Doubling.resets += 1
        self.calls, self.prompt = 0, prompt[-1]["content"]
        return "+1"

    def double(self, number: int) -> int:
        """Doubles a number.

        Args:
            number: the number.
        """
        self.calls += 1
        return 2 * number

    def get_reward(self):
        return min(float(self.calls), 1.0)


@pytest.mark.parametrize("preset", PRESET_PARAMS)
def test_environment_with_its_own_reward(tmp_path, preset):
    extra = {"environment_factory": Doubling, "processing_class": make_tool_tokenizer()}
    settings = {"max_completion_length": 9, "max_tool_calling_iterations": 2, "max_steps": 2}
    config = CurriculumConfig(curriculum=preset, curriculum_signal="Doubling")
    trainer = make_trainer(tmp_path, config, [], data=make_messages(), extra=extra, **settings)
    trainer.train()
    signals = [value for row in ledger_rows(tmp_path) for value in row["signals"]]
    assert set(signals) == {0.0, 1.0}
    assert "rewards/Doubling/mean" in trainer.state.log_history[0]

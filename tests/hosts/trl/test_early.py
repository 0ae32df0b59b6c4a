"""Guards that what can never work is told before the model loads, and that little is spent until it is."""

import logging

import pytest
from datasets import Dataset
from tiny_trl import (
    GROUPS,
    NUM_GENERATIONS,
    even_start,
    make_args,
    make_data,
    make_messages,
    make_trainer,
    metrics,
    tiny,
)

from rlkit import CurriculumConfig, CurriculumGRPOTrainer
from rlkit.hosts.trl.watch import NothingGradedError

NO_MODEL = "no/such-model"


def wants_tests(completions, tests, **columns):
    return [0.0] * len(completions)


def takes_no_columns(completions):
    return [0.0] * len(completions)


async def wants_tests_later(completions, *, tests, **columns):
    return [0.0] * len(completions)


def gives_a_number(completions, **columns):
    return 1.0


CANNOT_WORK = {
    "an argument that no column gives": (wants_tests, r"wants_tests.*missing 1 required.*'tests'"),
    "an async one": (wants_tests_later, r"wants_tests_later.*missing 1 required.*'tests'"),
    "no columns taken": (takes_no_columns, "takes_no_columns.*unexpected keyword argument"),
    "no list": (gives_a_number, "gives_a_number.*returned float 1.0, expected a list"),
}


@pytest.mark.parametrize("case", CANNOT_WORK)
def test_a_reward_that_can_never_work_is_told_before_the_model_loads(tmp_path, case):
    reward, message = CANNOT_WORK[case]
    with pytest.raises(ValueError, match=message) as told:
        make_trainer(tmp_path, "dapo", [even_start, reward], model=NO_MODEL)
    assert "the columns of train_dataset (answer, category, pass_rate, prompt)" in str(told.value)


@pytest.mark.parametrize("data", [make_data(16), make_messages(16)], ids=["text", "messages"])
def test_a_reward_is_called_once_with_the_first_row(tmp_path, data):
    calls = []

    def reward(prompts, completions, answer, completion_ids, trainer_state, log_metric, **columns):
        calls.append((prompts, completions, answer))
        return [1.0]

    with pytest.raises(OSError):  # the model
        make_trainer(tmp_path, "uniform", reward, data=data, model=NO_MODEL)
    completion = "0" if isinstance(data[0]["prompt"], str) else [{"role": "assistant", "content": "0"}]
    assert calls == [([data[0]["prompt"]], [completion], ["0"])]


@pytest.mark.parametrize(
    "error", [ConnectionError("no judge yet"), TypeError("unsupported operand"), KeyError("x")]
)
def test_what_else_a_reward_raises_is_a_warning(tmp_path, caplog, error):
    """Its server may not be up yet, or it cannot take this completion."""

    def reward(completions, trainer_state, **columns):
        if completions == ["0"]:
            raise error
        return even_start(completions)

    with caplog.at_level(logging.WARNING, logger="rlkit"):
        make_trainer(tmp_path, "uniform", reward, max_steps=1).train()
    assert "reward reward failed on a hand-made completion" in caplog.text and repr(error) in caplog.text
    assert metrics(tmp_path)[0]["grade/error"] == 0


def test_a_reward_that_hangs_at_once_is_left_after_its_time(tmp_path, caplog):
    import time

    def hangs(completions, **columns):
        time.sleep(30 if completions == ["0"] else 0)
        return even_start(completions)

    start = time.monotonic()
    make_trainer(tmp_path, CurriculumConfig(reward_timeout=0.2), hangs)
    assert time.monotonic() - start < 15 and "took more than 0.2 s" in caplog.text


def test_fields_that_a_rollout_function_gives_are_not_missing(tmp_path):
    def wants_note(completions, note, **columns):
        return [0.0] * len(completions)

    with pytest.raises(OSError):
        make_trainer(
            tmp_path, "uniform", wants_note, model=NO_MODEL, extra={"rollout_func": lambda *args: {}}
        )

    class Noting(CurriculumGRPOTrainer):
        def _calculate_rewards(self, inputs, *args):
            return super()._calculate_rewards([{**row, "note": ""} for row in inputs], *args)

    with pytest.raises(OSError):
        make_trainer(tmp_path, "uniform", wants_note, model=NO_MODEL, kind=Noting)


@pytest.mark.parametrize("preset", ["dapo", "lilo", "speed", "ssb", "greso"])
def test_no_round_is_refilled_while_nothing_can_be_graded(tmp_path, preset):
    """Three steps of what the first round of each costs, where it was the most rounds of each."""

    def nothing(completions, trainer_state, **columns):
        return [None] * len(completions)

    config = tiny(preset)
    config.max_ungraded_steps = 3
    trainer = make_trainer(tmp_path, config, nothing, data=make_data(512), max_steps=9)
    with pytest.raises(NothingGradedError):
        trainer.train()
    most = {"lilo": 4, "greso": 1.5}.get(preset, 1) * GROUPS * NUM_GENERATIONS
    assert all(row["funnel/rounds"] == 1 and row["rollouts/spent"] <= most for row in metrics(tmp_path))


def test_after_an_outage_the_rounds_are_as_large_as_before(tmp_path):
    def away(completions, trainer_state, **columns):
        return [None if 1 <= trainer_state.global_step < 4 else value for value in even_start(completions)]

    make_trainer(tmp_path, "dapo", away, max_steps=6).train()
    spent = [row["rollouts/spent"] for row in metrics(tmp_path)]
    assert spent[1:4] == [spent[1]] * 3 and spent[1] < 3 * GROUPS * NUM_GENERATIONS


HELD_OUT = {
    "none": ({"eval_strategy": "steps", "eval_steps": 1}, {}, r"eval_strategy \(steps\) wants held-out data"),
    "no prompt": (
        {},
        {"eval_dataset": Dataset.from_list([{"question": "1"}])},
        "eval_dataset has no `prompt` column; it has: question",
    ),
    "no answer": (
        {},
        {"eval_dataset": Dataset.from_list([{"prompt": "1="}])},
        r"missing 1 required.*'answer'.*the columns of eval_dataset \(prompt\)",
    ),
}


@pytest.mark.parametrize("case", HELD_OUT)
def test_held_out_data_is_looked_at_before_the_model_loads(tmp_path, case):
    def right(completions, answer, **columns):
        return [0.0] * len(completions)

    settings, extra, message = HELD_OUT[case]
    with pytest.raises(ValueError, match=message):
        make_trainer(tmp_path, "uniform", right, model=NO_MODEL, extra=extra, **settings)


def test_an_output_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"output_dir \(.*file/run\) cannot be a folder: .*file is a file"):
        make_trainer(tmp_path / "file" / "run", model=NO_MODEL)


# ---------------------------------------------------------------------------------------------------------
# Addressing


def test_a_signal_that_two_rewards_are_named_by_is_refused(tmp_path):
    def even(completions, **columns):
        return even_start(completions)

    other = lambda completions, **columns: [0.0] * len(completions)  # noqa: E731
    other.__name__ = "even"
    config = CurriculumConfig(curriculum="dapo", curriculum_signal="even")
    with pytest.raises(ValueError, match=r"curriculum_signal='even' names 2 reward functions"):
        make_trainer(tmp_path, config, [even, other], model=NO_MODEL)
    make_trainer(tmp_path, "dapo", [even, other])


def test_a_dataset_dict_is_called_what_it_is(tmp_path):
    from datasets import DatasetDict

    data = DatasetDict(train=make_data(16), test=make_data(4))
    with pytest.raises(
        ValueError, match=r"\(DatasetDict\) holds several data sets \('train', 'test'\).*data\['train'\]"
    ):
        make_trainer(tmp_path, data=data, model=NO_MODEL)


@pytest.mark.parametrize("preset", ["oracle", "dapo"])
def test_rows_that_a_transform_makes(tmp_path, preset):
    """Prompts, and what presets read, come out of the transform alone."""
    raw = Dataset.from_list([{"number": i} for i in range(32)])

    def make(batch):
        numbers = batch["number"]
        return {
            "prompt": [f"{i:03d}=" for i in numbers],
            "pass_rate": [i % 5 / 4 for i in numbers],
            "answer": numbers,
        }

    def right(prompts, completions, answer, **columns):
        assert [int(prompt[:3]) for prompt in prompts] == answer
        return even_start(completions)

    trainer = make_trainer(tmp_path, preset, right, data=raw.with_transform(make), max_steps=3)
    trainer.train()
    assert len(trainer.pool) == 32 and all(row["grade/error"] == 0 for row in metrics(tmp_path))


# ---------------------------------------------------------------------------------------------------------
# Environments that own the prompt


class Asks:
    """Its prompt is made from the row's column."""

    seen: dict = {}  # noqa: RUF012

    def reset(self, number, **columns):
        assert "prompt" not in columns, "TRL gives no placeholder to it"
        self.number = number
        return f"{number:03d}"

    def double(self, number: int) -> int:
        """Doubles a number.

        Args:
            number: the number.
        """
        return 2 * number

    def get_reward(self):
        Asks.seen[self.number] = Asks.seen.get(self.number, 0) + 1
        return float(self.number % 2)


def environment(kind=Asks):
    from test_tools import make_tool_tokenizer

    return {"environment_factory": kind, "processing_class": make_tool_tokenizer()}


@pytest.mark.parametrize("as_list", [False, True])
@pytest.mark.parametrize("preset", ["uniform", "dapo", "pcl"])
def test_columns_that_only_the_environment_reads(tmp_path, preset, as_list):
    rows = [{"number": i} for i in range(24)]
    Asks.seen = {}
    asked = []

    def reads(prompts, number, **columns):
        asked.extend(zip([prompt[-1]["content"] for prompt in prompts], number, strict=True))
        return [0.0] * len(prompts)

    settings = {"max_completion_length": 9, "max_tool_calling_iterations": 2, "max_steps": 2}
    data = rows if as_list else Dataset.from_list(rows)
    curriculum = CurriculumConfig(preset, signal_max=2.0)  # of the reward and of the environment's own
    trainer = make_trainer(tmp_path, curriculum, [reads], data=data, extra=environment(), **settings)
    trainer.train()
    assert len(trainer.pool) == 24
    assert all(content == f"{number:03d}" for content, number in asked)
    assert sum(Asks.seen.values()) == sum(row["rollouts/spent"] for row in metrics(tmp_path)) == len(asked)


def test_an_environment_without_any_data_is_told_what_to_give(tmp_path):
    with pytest.raises(
        ValueError, match=r"train_dataset \(None\): the environment owns its data.*a row for each task"
    ):
        CurriculumGRPOTrainer(NO_MODEL, args=make_args(tmp_path), environment_factory=Asks, curriculum="pcl")

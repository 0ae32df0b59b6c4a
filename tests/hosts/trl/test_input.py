"""Guards that bad input fails with a clear error before the model loads, and that a run's folder is safe."""

import logging

import numpy as np
import pytest
from datasets import Dataset
from tiny_trl import (
    by_place,
    choices,
    even_start,
    ledger_rows,
    make_args,
    make_data,
    make_trainer,
    metrics,
    share_of_ones,
)

from rlkit import CurriculumConfig

NO_MODEL = "no/such-model"
"""Loading it would raise OSError, so a ValueError says that the check came first."""


def rows(num=16, **columns):
    return Dataset.from_dict({"prompt": [f"{i:03d}=" for i in range(num)], **columns})


BAD = {
    "unknown preset": ({"curriculum": "dpo"}, "curriculum='dpo' is not a preset.*uniform, dapo, odf, "),
    "impossible number": (
        {"curriculum": CurriculumConfig(curriculum="pcl", candidates=0)},
        r"candidates \(0\) must be at least 1",
    ),
    "no prompt column": (
        {"data": Dataset.from_dict({"question": ["1"] * 16, "answer": ["1"] * 16})},
        "no `prompt` column; it has: question, answer",
    ),
    "empty data set": ({"data": rows(16).select([])}, r"empty \(0 rows\)"),
    "small pool": ({"data": rows(3)}, "has 3 prompts, fewer than the 4 of one batch"),
    "small pool after deduplication": (
        {"data": Dataset.from_dict({"prompt": ["1="] * 16})},
        "has 1 prompts, fewer than the 4",
    ),
    "streaming": ({"data": rows(16).to_iterable_dataset()}, "no length.*without streaming"),
    "no data": ({"data": ()}, "empty"),
    "reward that is not callable": ({"rewards": [even_start, 3]}, "3, which is not callable"),
    "unknown signal": (
        {
            "curriculum": CurriculumConfig(curriculum="dapo", curriculum_signal="accuracy"),
            "rewards": [even_start, share_of_ones, "org/reward-model"],
        },
        "'accuracy' names no reward function; there are: even_start, share_of_ones, reward-model",
    ),
    "oracle without rates": ({"curriculum": "oracle", "data": rows(16)}, "no `pass_rate` column"),
    "rates in percent": (
        {"curriculum": "oracle", "data": rows(16, pass_rate=[50.0] * 16)},
        "must lie in 0 to 1, got 50.0 to 50.0; divide percentages",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_fails_before_the_model_loads(tmp_path, case):
    arguments, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        make_trainer(tmp_path, model=NO_MODEL, **arguments)


def test_the_model_is_what_good_input_gets_to(tmp_path):
    with pytest.raises(OSError):
        make_trainer(tmp_path, model=NO_MODEL)


def test_group_size_that_does_not_divide_the_batch(tmp_path):
    with pytest.raises(ValueError, match=r"generation_batch_size \(16\).*num_generations \(5\)"):
        make_args(tmp_path, num_generations=5)


def test_duplicates_are_kept_once(tmp_path, caplog):
    data = Dataset.from_dict({"prompt": [f"{i % 8:03d}=" for i in range(24)]})
    with caplog.at_level(logging.WARNING, logger="rlkit"):
        trainer = make_trainer(tmp_path, data=data, max_steps=2)
    assert "16 of 24 rows are the same as others" in caplog.text
    trainer.train()
    assert sorted(index for chosen in choices(tmp_path) for index in chosen) == list(range(8))


def test_candidates_are_clamped_to_the_pool(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="rlkit"):
        trainer = make_trainer(
            tmp_path, CurriculumConfig(curriculum="pcl", candidates=100), data=make_data(18), max_steps=1
        )
    assert "candidates is clamped to 4" in caplog.text
    trainer.train()
    assert metrics(tmp_path)[0]["funnel/candidates"] == 16


# ---------------------------------------------------------------------------------------------------------
# The run's folder

SAVING = {"max_steps": 2, "save_strategy": "steps", "save_steps": 1}


def test_folder_of_another_run(tmp_path):
    make_trainer(tmp_path / "a", **SAVING).train()
    before = ledger_rows(tmp_path / "a")
    with pytest.raises(ValueError, match=r"holds another run \(checkpoint-1, checkpoint-2, metrics.jsonl\)"):
        make_trainer(tmp_path / "a", **SAVING).train()
    make_trainer(tmp_path / "b", **SAVING).train()
    with pytest.raises(ValueError, match="holds another run"):
        make_trainer(tmp_path / "a", **SAVING).train(
            resume_from_checkpoint=str(tmp_path / "b" / "checkpoint-1")
        )
    assert ledger_rows(tmp_path / "a") == before


def test_nothing_to_resume(tmp_path):
    with pytest.raises(ValueError, match="has no checkpoint"):
        make_trainer(tmp_path).train(resume_from_checkpoint=True)


def test_checkpoint_of_plain_trl(tmp_path):
    from tiny_trl import make_plain_trainer

    make_plain_trainer(tmp_path / "plain", even_start, make_data(), **SAVING).train()
    with pytest.raises(ValueError, match="not saved by CurriculumGRPOTrainer"):
        make_trainer(tmp_path / "ours").train(resume_from_checkpoint=str(tmp_path / "plain" / "checkpoint-1"))


def test_resume_with_another_preset(tmp_path):
    make_trainer(tmp_path, "uniform", **SAVING).train()
    with pytest.raises(ValueError, match=r"made with curriculum='uniform', this run asks for 'dapo'"):
        make_trainer(tmp_path, "dapo", **SAVING).train(resume_from_checkpoint=True)


def test_resume_with_changed_data(tmp_path):
    make_trainer(tmp_path, "pcl", by_place(), data=make_data(32), **SAVING).train()
    before = ledger_rows(tmp_path)
    changed = make_data(40).select(range(8, 40))
    with pytest.raises(ValueError, match="had 32 prompts, now there are 32, of which 8 are new, 8 are gone"):
        make_trainer(tmp_path, "pcl", data=changed, **SAVING).train(resume_from_checkpoint=True)
    with pytest.raises(ValueError, match="the order differs"):
        shuffled = make_data(32).shuffle(seed=1)
        make_trainer(tmp_path, "pcl", data=shuffled, **SAVING).train(resume_from_checkpoint=True)
    assert ledger_rows(tmp_path) == before


def test_resume_with_changed_data_on_request(tmp_path):
    """Prompts known to both keep their statistics, and the value model goes on learning."""
    old = make_trainer(tmp_path, "pcl", by_place(), data=make_data(32), **SAVING)
    old.train()
    visits = dict(zip(old.pool.key_N.tolist(), old.pool.visits_N.tolist(), strict=True))
    config = CurriculumConfig(curriculum="pcl", allow_changed_data=True)
    changed = make_data(40).select(range(8, 40)).shuffle(seed=1)
    settings = {**SAVING, "max_steps": 3}
    new = make_trainer(tmp_path, config, by_place(), data=changed, **settings)
    new.train(resume_from_checkpoint=True)
    assert new.state.global_step == 3
    last = [row for row in ledger_rows(tmp_path) if row["step"] == 3]
    added = np.isin(new.pool.key_N, np.array([row["key"] for row in last], dtype=np.uint64))
    expected = [visits.get(key, 0) for key in new.pool.key_N.tolist()] + added
    assert new.pool.visits_N.tolist() == expected.tolist()
    assert len(new.curriculum.estimator.state_dict()["head"]["recent"]) == 3


def test_resume_without_our_state_says_so(tmp_path):
    make_trainer(tmp_path, **SAVING).train()
    (tmp_path / "checkpoint-2" / "rlkit" / "process-0.pt").unlink()
    reason = r"is broken: rlkit/process-0\.pt is missing; the last whole one is .*checkpoint-1"
    with pytest.raises(ValueError, match=reason):
        make_trainer(tmp_path, **SAVING).train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))

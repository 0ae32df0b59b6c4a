"""Guards RMT in the trainer: its term is the model's own next-token loss, exact resume, refusals."""

import pytest
import torch
from test_resume import STEPS, StopAt, assert_same_run
from tiny_trl import make_data, make_model, make_tiered, make_tokenizer, make_trainer, metrics

from rlkit.curriculum import build_curriculum
from rlkit.objectives import ObjectivesConfig
from rlkit.settings.config import CurriculumConfig


def read_on():
    data = make_tiered()
    return data.add_column("reference", [f"{answer}+{answer}" for answer in data["answer"]])


def rmt(folder, extra=None, **settings):
    extra = {"objectives": ObjectivesConfig("rmt", rmt_rows=64), **(extra or {})}
    curriculum = build_curriculum(CurriculumConfig("rmt", mixture_steps=STEPS))
    return make_trainer(folder, curriculum, extra=extra, **{"data": read_on(), **settings})


def test_the_term_is_the_models_next_token_loss(tmp_path):
    rmt(tmp_path, max_steps=1, max_completion_length=4).train()
    texts = [row["prompt"] + row["reference"] for row in read_on()]
    ids = torch.tensor(make_tokenizer()(texts)["input_ids"])
    logp = make_model()(ids).logits.log_softmax(-1)[:, 4:-1]  # of what comes after "000=" and the answer
    expected = -logp.gather(2, ids[:, 5:, None]).mean().item()
    (row,) = metrics(tmp_path)
    assert row["objectives/rmt/next_token"] == pytest.approx(expected, rel=1e-5)


def test_resume_is_exact(tmp_path):
    def trainer(folder, callbacks=(), **settings):
        return rmt(tmp_path / folder, {"callbacks": list(callbacks)}, max_steps=STEPS, **settings)

    straight = trainer("straight")
    straight.train()
    trainer("stopped", [StopAt(4)], save_strategy="steps", save_steps=3).train()
    resumed = trainer("stopped")
    resumed.train(resume_from_checkpoint=str(tmp_path / "stopped" / "checkpoint-3"))
    assert_same_run(tmp_path / "straight", straight, tmp_path / "stopped", resumed)


def test_data_without_references_are_told_before_the_model_loads(tmp_path):
    with pytest.raises(ValueError, match=r"reference_column \('reference'\) is not in the data"):
        rmt(tmp_path, data=make_tiered(), model="no/model")
    with pytest.raises(ValueError, match="the data set has no `tier` column"):
        rmt(tmp_path, data=make_data().add_column("reference", ["1"] * 64), model="no/model")

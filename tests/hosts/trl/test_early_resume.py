"""Guards that a checkpoint that cannot be resumed is refused before the model loads, and with its reason."""

import pytest
from tiny_trl import make_args, make_data, make_tokenizer, make_trainer

from rlkit import CurriculumGRPOTrainer


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    make_trainer(run, "uniform", max_steps=1, save_strategy="steps", save_steps=1).train()
    return run / "checkpoint-1"


@pytest.mark.parametrize(
    ("curriculum", "num_prompts", "message"),
    [
        ("dapo", 64, "made with curriculum='uniform', this run asks for 'dapo'"),
        ("uniform", 40, "it had 64 prompts, now there are 40, of which 0 are new, 24 are gone"),
    ],
)
def test_refused_before_the_model_loads(tmp_path, checkpoint, curriculum, num_prompts, message):
    with pytest.raises(ValueError, match=message):
        CurriculumGRPOTrainer(
            "no/such-model",
            reward_funcs=lambda completions, **_: [0.0] * len(completions),
            args=make_args(checkpoint.parent, resume_from_checkpoint=str(checkpoint)),
            train_dataset=make_data(num_prompts),
            processing_class=make_tokenizer(),
            curriculum=curriculum,
        )


def test_a_list_of_rows_will_do(tmp_path):
    trainer = make_trainer(tmp_path, "uniform", data=[dict(row) for row in make_data()], max_steps=1)
    trainer.train()
    assert trainer.state.global_step == 1

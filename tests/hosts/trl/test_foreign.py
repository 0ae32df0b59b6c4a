"""Guards that what another program wrote is neither deleted nor overwritten, and that its run can go on."""

import hashlib
import json

import pytest
import torch
from tiny_trl import even_start, ledger_rows, make_data, make_plain_trainer, make_trainer, metrics, weights

from rlkit import CurriculumConfig
from rlkit.record.checkpoint import check_output_dir, find_checkpoint

SAVING = {"save_strategy": "steps", "save_steps": 1, "lr_scheduler_type": "constant"}
FRESH = CurriculumConfig(curriculum="pcl", fresh_curriculum=True)


def content(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def plain(tmp_path):
    """A run of TRL's own trainer over two steps."""
    make_plain_trainer(tmp_path, even_start, make_data(), max_steps=2, **SAVING).train()
    return tmp_path


@pytest.mark.parametrize("resume", ["auto", True, "true"])
def test_a_run_of_plain_trl_is_refused_and_left_alone(plain, resume):
    before = content(plain)
    with pytest.raises(ValueError) as refused:
        make_trainer(plain, save_total_limit=1, **SAVING).train(resume_from_checkpoint=resume)
    assert "holds checkpoint-1, checkpoint-2, saved by a trainer without rlkit" in str(refused.value)
    assert f"(model_name_or_path: {plain}/checkpoint-2)" in str(refused.value)
    assert f"(resume_from_checkpoint: {plain}/checkpoint-2, fresh_curriculum: true)" in str(refused.value)
    with pytest.raises(ValueError, match="holds another run"):
        check_output_dir(plain)
    assert content(plain) == before


def test_its_run_goes_on_with_a_fresh_curriculum_and_its_checkpoints_stay(plain):
    before = content(plain)
    last = str(plain / "checkpoint-2")
    with pytest.raises(ValueError, match=r"or go on from one of plain TRL.*fresh_curriculum: true"):
        make_trainer(plain, "pcl", max_steps=4, **SAVING).train(resume_from_checkpoint=last)
    trainer = make_trainer(plain, FRESH, max_steps=5, save_total_limit=1, **SAVING)
    trainer.train(resume_from_checkpoint=last)
    assert trainer.state.global_step == 5 and trainer.curriculum.step == 3
    assert [row["step"] for row in metrics(plain)] == [3, 4, 5]
    assert sorted(path.name for path in plain.glob("checkpoint-*")) == [f"checkpoint-{n}" for n in (1, 2, 5)]
    card = str(plain / "README.md")  # TRL writes it anew at every save, and so do we
    kept = {name: digest for name, digest in before.items() if name != card}
    assert {name: digest for name, digest in content(plain).items() if name in kept} == kept
    again = make_trainer(plain, FRESH, max_steps=6, **SAVING)
    again.train(resume_from_checkpoint="auto")
    assert again.state.global_step == 6 and again.curriculum.step == 4, "the curriculum goes on with the run"
    assert len(ledger_rows(plain)) == 16


def test_its_optimizer_goes_on_too(plain):
    """One more step of `uniform` in the data's order is TRL's own third step."""
    straight = plain.with_name(f"{plain.name}-straight")
    data = make_data().select([*range(16)])
    settings = {"shuffle_dataset": False, **SAVING}
    make_plain_trainer(straight, even_start, data, max_steps=2, **settings).train()
    model = str(straight / "checkpoint-2")
    config = CurriculumConfig(fresh_curriculum=True)
    rest = data.select([*range(8, 16), *range(8)])
    ours = make_trainer(straight / "ours", config, data=rest, max_steps=3, **settings)
    ours.train(resume_from_checkpoint=model)
    plain_trainer = make_plain_trainer(straight, even_start, data, max_steps=3, **settings)
    plain_trainer.train(resume_from_checkpoint=model)
    for name, tensor in weights(plain_trainer).items():
        assert torch.equal(weights(ours)[name], tensor), name


def test_a_checkpoint_in_the_way_is_not_replaced(plain):
    with pytest.raises(ValueError, match="holds checkpoint-2, saved by"):
        find_checkpoint(str(plain / "checkpoint-1"), str(plain))


@pytest.mark.parametrize("text", ["loss,step\n1,2\n", '{"loss": 1.0}\n', "notes\n"])
def test_a_file_of_our_name_that_is_not_ours_is_not_cut(tmp_path, text):
    (tmp_path / "metrics.jsonl").write_text(text)
    with pytest.raises(ValueError, match=r"holds a metrics.jsonl that rlkit did not write"):
        make_trainer(tmp_path).train(resume_from_checkpoint="auto")
    assert (tmp_path / "metrics.jsonl").read_text() == text


@pytest.mark.parametrize("text", ["", '{"step": 1, "rol', '{"step": 1, "seconds/total": 2.0}\n{"st'])
def test_what_a_killed_run_left_before_its_first_checkpoint_is_ours(tmp_path, text):
    (tmp_path / "metrics.jsonl").write_text(text)
    (tmp_path / "checkpoint-1" / "rlkit").mkdir(parents=True)
    (tmp_path / "checkpoint-2").mkdir()
    make_trainer(tmp_path, max_steps=2, save_only_model=True, **SAVING).train(resume_from_checkpoint="auto")
    assert [row["step"] for row in metrics(tmp_path)] == [1, 2]


def test_a_comparison_does_not_replace_folders_that_it_did_not_make(tmp_path):
    from rich.console import Console

    from rlkit.arena.compare import train
    from rlkit.arena.plan import Comparison
    from rlkit.settings.budget import Budget

    config = tmp_path / "simulated.yaml"
    config.write_text("recipe: simulated\n")
    kept = tmp_path / "out" / "seed-0" / "uniform" / "weights"
    kept.parent.mkdir(parents=True)
    kept.write_text(json.dumps("a week of training"))
    comparison = Comparison(config, ("uniform",), (0,), Budget("steps", 2), tmp_path / "out")
    with pytest.raises(ValueError, match="which rlkit compare did not write"):
        train(comparison, 1, Console())
    assert kept.exists()

"""Guards the model card: valid metadata, the base model, and what the run did."""

import re

import pytest
from huggingface_hub import ModelCard
from tiny_trl import make_model, make_tokenizer, make_trainer
from transformers import AutoModelForCausalLM

from rlkit import PRESETS, CurriculumConfig
from rlkit.curriculum import Curriculum
from rlkit.curriculum.estimators.neutral import Neutral
from rlkit.curriculum.filters import keep_all
from rlkit.curriculum.selectors import in_order
from rlkit.curriculum.sources.rounds import Rounds
from rlkit.hosts.trl.card import base_model, citation, is_hub_id


def test_a_run_leaves_a_card(tmp_path):
    make_model().save_pretrained(tmp_path / "base")
    make_tokenizer().save_pretrained(tmp_path / "base")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    settings = CurriculumConfig(curriculum="dapo", max_rounds=2)
    trainer = make_trainer(tmp_path / "run", settings, model=model, max_steps=2)
    trainer.data_name = "openai/gsm8k"
    trainer.train()

    card = ModelCard.load(tmp_path / "run" / "README.md")
    assert card.data.to_dict()["datasets"] == ["openai/gsm8k"]
    assert {"rlkit", "curriculum-dapo", "grpo", "trl"} <= set(card.data.tags)
    assert "licence" not in card.data.to_dict() and "base_model" not in card.data.to_dict()
    text = " ".join(card.text.split())
    assert "fine-tuned version of `base` (a local folder)." in text
    spent = int(trainer.record.totals["rollouts/spent_total"])
    for part in (
        "Data: [openai/gsm8k](https://huggingface.co/datasets/openai/gsm8k), 64 prompts",
        "Rewards: `even_start` (weight 1)",
        f"Curriculum: `dapo`, {PRESETS['dapo'].rule}. Source: DAPO's dynamic sampling (arXiv 2503.14476)",
        "fill = top_up, max_rounds = 2",
        "Batch: 4 prompts x 4 completions",
        f"Steps: 2 - Rollouts: {spent} spent, 32 trained",
        "eprint = {2503.14476}",
        "Cite GRPO as",
    ):
        assert part in text, part
    for library in ("rlkit", "TRL", "Transformers", "Pytorch", "Accelerate"):
        assert re.search(rf"^- {library}: \d", card.text, re.M)
    assert "None" not in card.text


def test_a_model_of_the_hub_is_linked(tmp_path):
    trainer = make_trainer(tmp_path / "run")
    assert base_model(trainer) == "a `Qwen2ForCausalLM` that the script made"
    trainer.model.config._name_or_path = "Qwen/Qwen2.5-0.5B"
    assert base_model(trainer) == "[Qwen/Qwen2.5-0.5B](https://huggingface.co/Qwen/Qwen2.5-0.5B)"


def test_a_curriculum_of_ones_own_has_a_card_too(tmp_path):
    mine = Curriculum(Neutral(), [Rounds(in_order, keep_all)], name="mine")
    make_trainer(tmp_path / "run", mine, max_steps=1).train()
    text = (tmp_path / "run" / "README.md").read_text()
    assert "- Curriculum: `mine`\n" in text and "Cite the curriculum" not in text


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_with_a_paper_is_cited(preset):
    found = re.search(r"\d{4}\.\d{5}", PRESETS[preset].paper)
    text = citation(preset)
    assert (found is None) == (text == "")
    if found:
        title = re.search(r"title +=\s\{(.*)\},", text)
        assert title and title[1] and title[1].count("(") == title[1].count(")")
        assert "arXiv" not in title[1] and f"abs/{found[0]}" in text


def test_what_is_an_id_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.jsonl").touch()
    assert is_hub_id("openai/gsm8k")
    assert not any(map(is_hub_id, (None, "rows.jsonl", "data/rows.jsonl", "/data/rows.jsonl")))

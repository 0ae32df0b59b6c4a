"""Guards that a script of one's own reads the YAML file of `rlkit compare`, by TRL's parser or by ours."""

import sys

import pytest
from trl import GRPOConfig, TrlParser

from rlkit import CurriculumConfig
from rlkit.settings.arguments import parse_arguments


def by_trl(classes, words, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["my_script.py", *words])
    return TrlParser(classes).parse_args_and_config()


@pytest.mark.parametrize("parse", [by_trl, lambda classes, words, _: parse_arguments(classes, words)])
def test_the_key_recipe_is_read_by_any_script(tmp_path, monkeypatch, parse):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "recipe: my_script.py\ncurriculum: pcl\nuse_cpu: true\nbf16: false\n", encoding="utf-8-sig"
    )
    words = ["--config", str(path), "--output_dir", str(tmp_path / "run")]
    training, settings = parse((GRPOConfig, CurriculumConfig), words, monkeypatch)
    assert (settings.curriculum, settings.recipe, training.use_cpu) == ("pcl", "my_script.py", True)

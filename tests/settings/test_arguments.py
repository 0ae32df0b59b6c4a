"""Guards the names of settings: both names of a renamed one, in a file and as a word, without a warning."""

import warnings
from dataclasses import dataclass, field

import pytest
from trl import GRPOConfig

from rlkit.settings.arguments import parse_arguments


@pytest.mark.parametrize("name", ["gradient_checkpointing", "activation_checkpointing"])
@pytest.mark.parametrize("value", [True, False])
def test_both_names_set_it_without_a_warning(tmp_path, name, value):
    file = tmp_path / "run.yaml"
    file.write_text(f"{name}: {str(value).lower()}\nuse_cpu: true\nbf16: false\noutput_dir: {tmp_path}\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        (by_file,) = parse_arguments([GRPOConfig], ["--config", str(file)])
        words = ["--use_cpu", "true", "--bf16", "false", f"--{name}", str(value)]
        (by_word,) = parse_arguments([GRPOConfig], [*words, "--output_dir", str(tmp_path)])
    assert by_file.gradient_checkpointing is by_word.gradient_checkpointing is value


@dataclass
class Before:
    """Settings as transformers had them before the change."""

    gradient_checkpointing: bool = field(default=False)


def test_the_later_name_works_with_an_earlier_transformers(tmp_path):
    (tmp_path / "run.yaml").write_text("activation_checkpointing: true\n")
    (settings,) = parse_arguments([Before], ["--config", str(tmp_path / "run.yaml")])
    assert settings.gradient_checkpointing

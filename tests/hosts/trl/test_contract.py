"""Guards the contract with TRL: another version fails here, with a list of what changed."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from contract import changes, named_elsewhere, uses
from trl import GRPOTrainer

from rlkit.hosts.trl import SUPPORTED, check_version

ROOT = Path(__file__).parents[3]


def test_trl_has_all_that_the_host_overrides_and_calls():
    changed = changes()
    assert not changed, "TRL differs from what rlkit/hosts/trl/ was written for:\n" + "\n".join(changed)


def test_the_contract_sees_what_the_host_uses():
    found = {(owner, attribute) for _, owner, attribute in uses()}
    assert {
        ("trainer", "_metrics"),
        ("trainer", "_pending_extra_logs"),
        ("trainer", "_step"),
        ("GRPOTrainer", "_generate_single_turn"),
        ("trainer", "_buffered_inputs"),
        ("args", "generation_batch_size"),
        ("accelerator", "num_processes"),
        ("_dist", "summon_full_params"),
        ("trainer", "tools"),
    } <= found
    assert len(found) > 60


def test_a_changed_trl_is_a_list_of_what_changed(monkeypatch):
    monkeypatch.delattr(GRPOTrainer, "_tokenize_prompts")
    monkeypatch.delattr(GRPOTrainer, "_generate_single_turn")
    listed = "\n".join(changes())
    assert "prompts.py:" in listed and "trainer._tokenize_prompts is not in" in listed
    assert "GRPOTrainer._generate_single_turn is not in" in listed


def test_only_the_host_names_private_methods():
    assert named_elsewhere() == []


def test_pyproject_asks_for_the_versions_that_the_host_supports():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"trl{SUPPORTED}" in project["dependencies"]


@pytest.mark.parametrize("found", ["1.15.0", "1.17.0", "2.0.0"])
def test_another_version_is_one_line(found):
    with pytest.raises(ImportError, match=rf"trl {found} is installed, and supported is trl.*: pip install"):
        check_version(found)


def test_a_recipe_says_so_in_one_line(tmp_path):
    """An installed TRL of another version, as far as Python's list of installed packages goes."""
    (tmp_path / "trl-1.3.0.dist-info").mkdir()
    (tmp_path / "trl-1.3.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: trl\nVersion: 1.3.0\n"
    )
    done = subprocess.run(
        [sys.executable, "recipes/grpo.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
    )
    assert done.returncode == 1
    line = f"rlkit: trl 1.3.0 is installed, and supported is trl{SUPPORTED}: pip install 'trl{SUPPORTED}'\n"
    assert done.stderr == line

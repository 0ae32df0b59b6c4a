"""Guards the contract with TRL: another version fails here, with a list of what changed."""

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
    with pytest.raises(ImportError, match=rf"rlkit works with trl.*, and found trl {found}; pip install"):
        check_version(found)


UNSUPPORTED = """
import importlib.metadata, sys
version = importlib.metadata.version
importlib.metadata.version = lambda name: "1.3.0" if name == "trl" else version(name)
sys.argv = {argv!r}
import runpy
runpy.run_path({script!r}, run_name="__main__")
"""


@pytest.mark.parametrize("script", ["recipes/grpo.py", "recipes/train_addition.py"])
def test_programs_say_so_in_one_line(script):
    code = UNSUPPORTED.format(argv=[script], script=str(ROOT / script))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("rlkit: rlkit works with trl") or "found trl 1.3.0" in line

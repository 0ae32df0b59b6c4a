"""Guards the simulator's settings from YAML and words, and the files of a run."""

import json

import pytest

from rlkit.arena.simulated import main, read_file, read_settings

CONFIG = """
recipe: simulated
num_prompts: 200
groups_per_step: 8
transfer: 0.5
forgetting: 1e-3
reward_parts: 4
seconds_per_update: 10
difficulties: {rates}
"""


def test_a_run_with_every_kind_of_field_stops_at_its_budget_of_seconds(tmp_path):
    rates = tmp_path / "rates.jsonl"
    rates.write_text("".join(f'{{"pass_rate": {number / 20}}}\n' for number in range(21)))
    (tmp_path / "config.yaml").write_text(CONFIG.format(rates=rates))
    words = f"--config {tmp_path / 'config.yaml'} --curriculum mopps --seed 1 --budget seconds=50"
    main([*words.split(), "--output_dir", str(tmp_path / "run"), "--max_steps", "100"])
    rows, heldout = (
        [json.loads(line) for line in (tmp_path / "run" / name).read_text().splitlines()]
        for name in ("metrics.jsonl", "heldout.jsonl")
    )
    assert [row["step"] for row in rows] == [row["step"] for row in heldout]
    assert rows[-2]["seconds/total"] < 50 <= rows[-1]["seconds/total"] and len(rows) in (4, 5)
    assert all(row["seconds/update"] == 10 for row in rows)
    assert 0 < heldout[-1]["accuracy"] < 1


def test_settings_go_where_their_fields_are_with_the_types_of_these():
    settings = {"seed": "3", "num_prompts": "50", "forgetting": "1e-3", "curriculum": "mopps", "decay": "0.5"}
    simulation, curriculum = read_settings(settings)
    assert (simulation.seed, simulation.num_prompts, simulation.forgetting) == (3, 50, 1e-3)
    assert (curriculum.curriculum, curriculum.decay, curriculum.curriculum_seed) == ("mopps", 0.5, 3)
    assert read_settings({**settings, "curriculum_seed": "8"})[1].curriculum_seed == 8


def test_settings_that_nothing_has_are_refused():
    with pytest.raises(ValueError, match=r"unknown settings: 'forgeting' \(did you mean forgetting\?\)"):
        read_settings({"forgeting": 0.1})


@pytest.mark.parametrize(("text", "said"), [(None, "does not exist"), ("- 1", "holds no settings")])
def test_files_that_hold_no_settings(tmp_path, text, said):
    if text is not None:
        (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match=said):
        read_file(tmp_path / "config.yaml")

"""Guards a category that earns nothing for a while: it comes back under every preset, and the guard names it.

Four equal categories with p from 0.2 to 0.8 each; one of them earns 0 from step 20 to 64, then as before; 16
groups of 8 a step, a pool of 800. The policy stands still, so that the natural share is a quarter throughout.
"""

import json

import numpy as np
import pytest

from rlkit.collect import NoLedger, collect
from rlkit.curriculum import PRESETS, build_curriculum
from rlkit.hosts.simulated.host import SimulatedHost, SimulationConfig
from rlkit.prompts.pool import PromptPool
from rlkit.record.guards import Guards
from rlkit.settings.config import CurriculumConfig

FIRST, LAST = 20, 64
GROUPS, PER_CATEGORY = 16, 200
HALF_OF_NATURAL = 0.125


class Outage(SimulatedHost):
    """The first category's grader fails for a while; features show a prompt's category, as a policy's do."""

    step = 0

    def _success(self, index_N, mood_N):
        failing = (self.category_N[index_N] == 0) & (FIRST <= self.step <= LAST)
        return np.where(failing, 0.0, super()._success(index_N, mood_N))

    def features(self, index_N):
        shown = np.eye(4, dtype=np.float32)[self.category_N[index_N]]
        return np.concatenate([super().features(index_N), shown], axis=1)


def run(tmp_path, config: CurriculumConfig, steps: int, seed: int = 0):
    """The share of the failing category in each step's trained groups, and the guards' alarms by step."""
    rates = np.linspace(0.2, 0.8, PER_CATEGORY).tolist()
    rows = [{"pass_rate": rate, "category": f"kind {kind}"} for kind in range(4) for rate in rates]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    settings = SimulationConfig(difficulties=str(tmp_path / "rows.jsonl"), learning_rate=0.0, seed=seed)
    host = Outage(settings)
    pool = PromptPool(host.rows(), np.arange(len(rows), dtype=np.uint64), seed)
    curriculum = build_curriculum(config)
    curriculum.bind(pool, host, GROUPS)
    guards = Guards({f"kind {kind}": PER_CATEGORY for kind in range(4)})
    shares, alarms = [], {}
    for host.step in range(1, steps + 1):
        batch = collect(curriculum, host, GROUPS, NoLedger())
        trained = host.category_N[batch.groups.index_P[batch.trained_P]]
        shares.append(float((trained == 0).sum() / max(len(trained), 1)))
        names = [f"kind {kind}" for kind in host.category_N[batch.groups.index_P]]
        guards.rolled_out(names, batch.groups.signal_PG)
        alarms[host.step] = {name for name, value in guards.observe({}).items() if value}
    return np.array(shares), alarms


CASES = [
    *(CurriculumConfig(preset) for preset in PRESETS),
    CurriculumConfig("pcl", value_features="last_state"),
    CurriculumConfig("pcl", value_features="text"),
    CurriculumConfig("uniform", allocation="vip"),
]


@pytest.mark.parametrize("config", CASES, ids=lambda config: f"{config.curriculum}-{config.value_features}")
def test_a_category_comes_back_after_an_outage_and_the_guard_names_it(tmp_path, config, caplog):
    shares, alarms = run(tmp_path, config, steps=LAST + 60)
    assert shares[LAST + 20 :].mean() >= HALF_OF_NATURAL
    first = min(
        step
        for step, names in alarms.items()
        if names & {"guards/category_failed", "guards/category_starved"}
    )
    assert FIRST <= first < FIRST + 20
    said = [record.getMessage() for record in caplog.records if record.name == "rlkit.record.guards"]
    assert any("(kind 0)" in message for message in said)


def test_without_exploration_pcl_gives_the_category_up(tmp_path):
    """The published rule, and what `explore_share` is for."""
    shares, _ = run(tmp_path, CurriculumConfig("pcl", explore_share=0.0), steps=LAST + 60)
    assert shares[LAST + 20 :].mean() < 0.01

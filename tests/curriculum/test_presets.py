"""Guards the presets: what a name stands for, that its numbers can be set, that a wrong name is told."""

import logging
import re
from dataclasses import fields

import numpy as np
import pytest

from rlkit.curriculum import PRESETS, build_curriculum
from rlkit.curriculum.presets import resolve_config
from rlkit.hosts.simulated.host import SimulationConfig, simulate
from rlkit.settings.config import CurriculumConfig
from rlkit.types import Groups, Prediction

POOL = SimulationConfig(num_prompts=600, num_steps=25, groups_per_step=16, seed=2)


def graded(signal_PG) -> Groups:
    signal_PG = np.asarray(signal_PG, dtype=float)
    return Groups(np.arange(len(signal_PG)), signal_PG, signal_PG, np.ones(signal_PG.shape, dtype=int))


def chosen_means(curriculum, means, num=1) -> list[float]:
    mean_N = np.array(means, dtype=float)
    prediction = Prediction(mean_N, mean_N, mean_N)
    return mean_N[curriculum.sources[-1].selector(prediction, num, np.random.default_rng(0))].tolist()


def test_an_unknown_preset_lists_those_that_exist():
    with pytest.raises(ValueError) as error:
        build_curriculum("plc")
    assert str(error.value) == f"curriculum='plc' is not a preset; there are: {', '.join(PRESETS)}"


def test_every_number_of_a_preset_is_a_field_and_every_preset_has_a_source():
    names = {field.name for field in fields(CurriculumConfig)}
    for preset in PRESETS.values():
        assert preset.numbers.keys() <= names
        assert preset.numbers.keys() >= {"candidates", "max_rounds", "fill"}
        assert preset.rule and preset.paper


def test_published_numbers():
    assert resolve_config("pcl").candidates == 4 and resolve_config("pcl").target == 0.5
    assert (resolve_config("odf").band_low, resolve_config("odf").band_high) == (0.2, 0.8)
    for name, rounds in {"uniform": 1, "pcl": 1, "oracle": 1, "dapo": 10, "odf": 10}.items():
        assert (resolve_config(name).max_rounds, resolve_config(name).fill) == (rounds, "top_up")


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("hard_examples", {"subset": "hard", "subset_share": 0.1}),
        ("progressive_dropout", {"mastered": 0.3, "decay": 0.0, "floor": 0.0, "revision_pass": 29}),
        (
            "greso",
            {"skip_base": 0.5, "skip_step": 0.01, "skip_target": 0.25, "floor": 0.01, "max_rounds": 10},
        ),
        ("greso", {"mastered": 0.98, "unsolved": 0.11, "oversample": 384 / 256}),
        ("mopps", {"prior": 1.0, "decay": 1.0, "candidates": 16, "target": 0.5}),
        ("maxrl", {"prior": 1.0, "decay": 1.0, "candidates": 16, "likelihood_samples": 8}),
        ("adarft", {"target": 0.5, "target_slope": 2.0, "target_step": 50.0, "target_start": 0.0}),
        ("sec", {"decay": 0.5, "category_temperature": 0.2}),
        ("stat_sel", {"unsolved": 0.85}),
        ("rmt", {"mixture_steps": 1000, "max_rounds": 1}),
        ("pools", {"band_low": 0.25, "band_high": 0.75, "hard_weight": 0.2, "easy_weight": 0.2}),
        ("retire", {"mastered": 0.9, "decay": 1.0, "fill": "shrink"}),
        ("dots", {"references": 0.5, "reference_steps": 2, "selection_temperature": 1e-3, "target": 0.5}),
        ("lilo", {"oversample": 4.0, "max_rounds": 1}),
        ("vcrl", {"variance_floor": 0.8, "warmup_variance_floor": 0.3, "warmup_filter_steps": 20}),
        ("vcrl", {"bank_momentum": 0.9}),
        ("reinforce_rej", {"max_rounds": 1, "fill": "shrink"}),
        ("metis", {"judgement_memory": 3, "judgement_weight": 0.01, "max_rounds": 1}),
        ("speed", {"screen": 4, "max_rounds": 10}),
    ],
)
def test_numbers_of_the_papers(name, numbers):
    config = resolve_config(name)
    assert {field: getattr(config, field) for field in numbers} == numbers


OTHERWISE = {
    **dict.fromkeys(("mastered", "unsolved", "decay", "floor", "variance_floor"), 0.7),
    **dict.fromkeys(("band_low", "warmup_variance_floor", "target", "hard_weight", "easy_weight"), 0.4),
    **dict.fromkeys(("skip_base", "skip_step", "skip_target", "subset_share", "category_temperature"), 0.3),
    **dict.fromkeys(("candidates", "max_rounds", "warmup_filter_steps", "revision_pass", "value_hidden"), 7),
    **dict.fromkeys(("value_steps", "value_buffer", "reference_steps", "mixture_steps"), 7),
    **dict.fromkeys(("references", "selection_temperature"), 0.2),
    **dict.fromkeys(("oversample", "prior", "target_start", "target_step", "target_slope"), 3.0),
    **{"fill": "error", "subset": "easy", "band_high": 0.85},
    **{"judgement_weight": 0.3, "judgement_memory": 7, "judgement_length": 7},
    **{"value_learning_rate": 0.1, "bank_momentum": 0.6, "allocation": "cures"},
    **dict.fromkeys(("screen", "shelf_size", "max_age", "likelihood_samples"), 3),
    **{"headroom": 3.0, "explore_share": 0.3, "replay_share": 0.5, "repeat_gap": 7, "group_cost": 3.0},
    **{"value_features": "text,answer", "value_layer": 0.25, "feature_age": 7},
}
"""A value of each number that no preset has by itself."""


@pytest.mark.parametrize(
    ("name", "field"), [(name, field) for name in PRESETS for field in PRESETS[name].numbers]
)
def test_each_number_reaches_the_part_it_is_of(name, field):
    # The head that has the number: PCL's, or the one that looks at states.
    of_states = field in ("value_layer", "feature_age")
    head = {"value_features": "states" if of_states else "policy"} if "value_" in field or of_states else {}
    changed = build_curriculum(CurriculumConfig(name, **{**head, field: OTHERWISE[field]}))
    plain = make_up(build_curriculum(CurriculumConfig(name, **head)))
    assert make_up(changed) != plain == make_up(build_curriculum(CurriculumConfig(name, **head)))


def make_up(curriculum) -> str:
    """What a curriculum is made of, its own record of the settings left out."""
    parts = {
        name: value
        for name, value in vars(curriculum).items()
        if name not in ("_preset_numbers", "preset", "safety")
    }
    sources = [vars(source) for source in curriculum.sources]
    memories = [
        vars(source[name])
        for source in sources
        for name in ("fallback", "bank", "exploration")
        if name in source
    ]
    estimator = getattr(curriculum.estimator, "__dict__", {})
    shelf = getattr(curriculum.shelf, "__dict__", {})
    value_model = getattr(estimator.get("value_model"), "__dict__", estimator)
    head = getattr(value_model.get("_head"), "__dict__", {})
    read = [vars(getattr(feature, "readings", feature)) for feature in head.get("features", [])]
    made = (parts, estimator, value_model, head, read, shelf, sources, memories)
    return re.sub(r"0x[0-9A-Fa-f]+", "", repr(made))


def test_numbers_set_by_hand_win_over_the_presets():
    config = CurriculumConfig(
        "pcl", candidates=8, max_rounds=3, fill="shrink", curriculum_seed=7, value_hidden=5, target=0.25
    )
    curriculum = build_curriculum(config)
    rounds = curriculum.sources[-1]
    assert (rounds.candidates, rounds.max_rounds, curriculum.fill) == (8, 3, "shrink")
    assert (curriculum.seed, curriculum.name, curriculum.estimator.hidden) == (7, "pcl", 5)
    assert chosen_means(curriculum, [0.5, 0.25]) == [0.25]
    assert config.value_steps is None  # the caller's settings stay as they were


def test_a_settings_object_or_a_name_make_the_same():
    by_name, by_config = build_curriculum("odf"), build_curriculum(CurriculumConfig("odf"))
    assert by_name.sources[-1].filter(graded([[1, 1, 1, 1, 0]])).tolist() == ["kept"]
    assert by_name.sources[-1].max_rounds == by_config.sources[-1].max_rounds == 10
    assert by_name.name == by_config.name


@pytest.mark.parametrize("features", ["text", "last_state"])
def test_a_number_that_the_head_does_not_have_is_told(caplog, features):
    text = CurriculumConfig("pcl", value_features=features)
    with caplog.at_level(logging.WARNING, logger="rlkit"):
        build_curriculum(text)
        build_curriculum(resolve_config(text))
        build_curriculum(CurriculumConfig("pcl", value_hidden=8, value_steps=2))
    assert not caplog.messages
    with caplog.at_level(logging.WARNING, logger="rlkit"):
        build_curriculum(CurriculumConfig("pcl", value_features=features, value_hidden=8, value_steps=2))
    told = f"value_features={features!r} does not use value_hidden, value_steps; it is ignored"
    assert caplog.messages == [told]


def test_an_impossible_mix_of_preset_and_own_numbers_is_told():
    with pytest.raises(ValueError, match=r"band_low \(0.9\) must not be above band_high \(0.8\)"):
        build_curriculum(CurriculumConfig("odf", band_low=0.9))


def test_target_and_band_are_shares_of_the_signals_range():
    pcl = build_curriculum(CurriculumConfig("pcl", signal_max=2.0))
    assert chosen_means(pcl, [0.5, 1.0, 1.5]) == [1.0]
    odf = build_curriculum(CurriculumConfig("odf", signal_min=-1.0, signal_max=1.0))
    tenths = np.where(np.arange(10) < np.arange(11)[:, None], 1.0, -1.0)
    assert np.flatnonzero(odf.sources[-1].filter(graded(tenths)) == "kept").tolist() == list(range(2, 9))


class Choices(list):
    """A ledger of the prompts of each batch, in the order of the pool."""

    def write(self, batch):
        self.append(sorted(batch.groups.index_P.tolist()))


def test_pcl_with_one_candidate_a_prompt_is_uniform():
    uniform, pcl = Choices(), Choices()
    simulate(build_curriculum("uniform"), POOL, uniform)
    simulate(build_curriculum(CurriculumConfig("pcl", candidates=1)), POOL, pcl)
    assert len(pcl) == POOL.num_steps
    assert pcl == uniform


def test_odf_with_the_open_band_is_uniform():
    uniform = simulate(build_curriculum("uniform"), POOL)
    odf = simulate(build_curriculum(CurriculumConfig("odf", band_low=0.0, band_high=1.0)), POOL)
    assert [row["accuracy"] for row in odf] == [row["accuracy"] for row in uniform]


def test_each_preset_does_what_it_is_for(caplog):
    with caplog.at_level(logging.WARNING, logger="rlkit"):
        runs = {name: simulate(build_curriculum(name), POOL) for name in PRESETS}
    assert not caplog.messages
    effective = {name: np.mean([row["effective_ratio"] for row in run]) for name, run in runs.items()}
    spent = {name: run[-1]["rollouts/spent_total"] for name, run in runs.items()}
    batch = POOL.groups_per_step * POOL.num_generations * POOL.num_steps

    assert spent["uniform"] == spent["pcl"] == spent["oracle"] == batch
    # Half a batch of references at 13 of the 25 steps.
    assert spent["dots"] == batch * (1 + 0.5 * 13 / 25)
    assert min(spent["dapo"], spent["odf"]) > 1.3 * batch
    assert effective["uniform"] < 0.6 < 0.8 < effective["pcl"] < effective["oracle"]
    assert effective["dots"] > 0.8
    assert effective["dapo"] == effective["odf"] == 1.0
    accuracy = {name: run[-1]["accuracy"] for name, run in runs.items()}
    assert accuracy["uniform"] < accuracy["pcl"] < accuracy["oracle"]
    assert accuracy["uniform"] < accuracy["dapo"] and accuracy["uniform"] < accuracy["odf"]


def test_history_saves_rollouts_of_prompts_without_variance():
    """On a pool that is seen several times, what skips or picks by history has more informative groups."""
    config = SimulationConfig(num_prompts=160, num_steps=40, groups_per_step=16, seed=2)
    runs = {
        name: simulate(build_curriculum(name), config)
        for name in ("uniform", "dapo", "greso", "mopps", "pools")
    }
    late = {name: np.mean([row["effective_ratio"] for row in run[20:]]) for name, run in runs.items()}
    assert late["mopps"] > late["pools"] > late["uniform"]
    spent = {name: run[-1]["rollouts/spent_total"] for name, run in runs.items()}
    assert spent["greso"] < 0.9 * spent["dapo"]


def test_adarft_starts_easy_and_gets_harder():
    run = simulate(build_curriculum("adarft"), POOL)
    targets = [row["moving_target/difficulty"] for row in run]
    assert targets[0] > 20 and min(targets[5:]) > 0 and max(targets[5:]) < 100
    assert run[0]["signal/all"] > 0.9 and abs(np.mean([row["signal/all"] for row in run[5:]]) - 0.5) < 0.15


def test_sec_leaves_the_categories_that_teach_nothing():
    run = simulate(build_curriculum("sec"), POOL)
    assert run[-1]["sec/entropy"] < 0.8 * np.log(4)
    late = np.mean([row["effective_ratio"] for row in run[10:]])
    assert late > np.mean(
        [row["effective_ratio"] for row in simulate(build_curriculum("uniform"), POOL)[10:]]
    )

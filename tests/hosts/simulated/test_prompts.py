"""Guards the simulator's prompts: rows made on demand, texts that tell of difficulty, files of rates."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlkit.curriculum import build_curriculum
from rlkit.curriculum.estimators.columns import categories, rates
from rlkit.curriculum.estimators.features.text import pool_texts
from rlkit.hosts.simulated.host import SimulatedHost, SimulationConfig, simulate
from rlkit.prompts.pool import PromptPool


def host_of(**settings) -> SimulatedHost:
    return SimulatedHost(SimulationConfig(**settings))


def pool_of(host: SimulatedHost) -> PromptPool:
    return PromptPool(host.rows(), np.arange(len(host.prompts), dtype=np.uint64))


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_rows_are_the_same_by_position_by_column_and_through_the_pool():
    host = host_of(num_prompts=50)
    rows, pool = host.rows(), pool_of(host)
    everything = pool.take(np.arange(50))
    assert [rows[number] for number in range(50)] == list(rows) == everything
    assert pool.take(np.array([7, 3])) == [rows[7], rows[3]] == [everything[7], everything[3]]
    assert pool.column_names == ["prompt", "pass_rate", "category", "tier", "solution"]
    np.testing.assert_array_equal(rates(pool, "rif"), [row["pass_rate"] for row in everything])
    names, code_N = categories(pool, "sec")
    assert [names[code] for code in code_N] == [row["category"] for row in everything]
    assert pool_texts(pool, np.array([4])) == [everything[4]["prompt"]]
    assert pool.column("difficulty") is None
    with pytest.raises(IndexError):
        rows[50]


def test_texts_are_distinct_repeat_and_differ_with_the_seed():
    texts = [host_of(num_prompts=1000, seed=seed).rows()["prompt"] for seed in (0, 0, 1)]
    assert texts[0] == texts[1] and len(set(texts[0])) == 1000
    assert not set(texts[0]) & set(texts[2])


def test_words_tell_of_the_level_and_the_category():
    host = host_of(num_prompts=4000)
    words = [text.split() for text in host.rows()["prompt"]]
    hard, easy = np.argmax(host.prompts.looks_N), np.argmin(host.prompts.looks_N)
    share = [
        np.mean(
            [len(set(words[one]) & set(words[other])) for other in np.argsort(host.prompts.looks_N)[-50:]]
        )
        for one in (hard, easy)
    ]
    assert share[0] > 2 * share[1]


def test_a_files_rates_are_those_of_a_policy_of_ability_0(tmp_path):
    rows = [
        {"question": f"q{number}", "pass_rate": rate, "category": name}
        for number, (rate, name) in enumerate([(0.0, "b"), (0.25, "a"), (0.5, "b"), (1, "a")])
    ]
    host = host_of(difficulties=jsonl(tmp_path / "rates.jsonl", rows))
    taken = pool_of(host).take(np.arange(4))
    assert sorted(row["prompt"] for row in taken) == ["q0", "q1", "q2", "q3"]
    for index, row in enumerate(taken):
        source = next(one for one in rows if one["question"] == row["prompt"])
        assert (row["pass_rate"], row["category"]) == (source["pass_rate"], source["category"])
        truth = float(host.truth(np.array([index]))[0])
        assert truth == pytest.approx(min(max(source["pass_rate"], 1 / 256), 255 / 256))
    assert host.prompts.categories == ["a", "b"] and len(host.ability_C) == 2


def test_a_file_is_cut_or_comes_again_to_the_number_asked_for(tmp_path):
    rows = [{"problem": f"q{number}", "pass_rate": number / 10} for number in range(10)]
    path = jsonl(tmp_path / "rates.jsonl", rows)
    few, many = (host_of(difficulties=path, num_prompts=num).rows()["prompt"] for num in (4, 25))
    assert len(set(few)) == 4
    assert sorted({many.count(text) for text in set(many)}) == [2, 3] and len(set(many)) == 10


def test_a_parquet_file_without_texts_or_categories(tmp_path):
    pq.write_table(pa.table({"pass_rate": np.linspace(0, 1, 200)}), tmp_path / "rates.parquet")
    host = host_of(difficulties=str(tmp_path / "rates.parquet"))
    rows = host.rows()
    assert len(set(rows["prompt"])) == 200 and len(set(rows["category"])) == 4
    assert host.features(np.arange(200)).shape == (200, 8)
    assert spread(rows["category"], host.difficulty_N)


def spread(category_N, difficulty_N) -> bool:
    means = [difficulty_N[category_N == name].mean() for name in sorted(set(category_N))]
    return bool((np.diff(means) > 0).all())


def test_a_simulation_from_a_file_learns(tmp_path):
    rows = [{"prompt": f"q{number}", "pass_rate": (number % 9 + 0.5) / 9} for number in range(200)]
    path = jsonl(tmp_path / "rates.jsonl", rows)
    history = simulate(build_curriculum("rif"), SimulationConfig(difficulties=path, num_steps=10))
    assert 0.5 < history[0]["accuracy"] < history[-1]["accuracy"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [{"prompt": "a", "rate": 1}],
            "row 0 has no `pass_rate` (columns: prompt, rate); give it in every row",
        ),
        ([{"prompt": "a", "pass_rate": 1}, {"pass_rate": 1}], "row 1 has no `prompt` (columns: pass_rate)"),
        ([{"pass_rate": 1, "category": "x"}, {"pass_rate": 1, "category": None}], "row 1 has no `category`"),
        (
            [{"pass_rate": 0.5}, {"pass_rate": 50}],
            "`pass_rate` of row 1 is 50 and must be a number in 0 to 1",
        ),
        ([{"pass_rate": "0.5"}], "`pass_rate` of row 0 is '0.5' and must be a number in 0 to 1"),
    ],
)
def test_files_that_do_not_fit_say_where(tmp_path, rows, said):
    path = jsonl(tmp_path / "rates.jsonl", rows)
    with pytest.raises(ValueError) as error:
        host_of(difficulties=path)
    assert f"difficulties ({path})" in str(error.value) and said in str(error.value)

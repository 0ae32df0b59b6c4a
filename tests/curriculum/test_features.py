"""Guards what a value model sees of a row: the gold's form, the other columns, and that they teach."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlkit.curriculum import build_curriculum
from rlkit.curriculum.estimators import bayes_head
from rlkit.curriculum.estimators.features.answer import CHUNK, NUM_NUMBERS, Answer, answer_text
from rlkit.curriculum.estimators.features.columns import Columns
from rlkit.curriculum.estimators.features.hashed import Hashed
from rlkit.curriculum.estimators.features.text import text_features
from rlkit.curriculum.estimators.value_model import ValueModel
from rlkit.prompts.pool import make_pool
from rlkit.record.checkpoint import load_state, save_state
from rlkit.settings.config import CurriculumConfig
from rlkit.types import Groups


def looked(golds) -> Hashed:
    return Answer("answer").look(np.arange(len(golds)), [{"answer": gold} for gold in golds])


def test_a_nested_gold():
    rows = [{"prompt": f"p{row}", "reward_model": {"ground_truth": str(row)}} for row in range(5)]
    answer = Answer("reward_model.ground_truth")
    answer.bind(make_pool(rows), None)
    np.testing.assert_array_equal(
        answer.look(np.arange(5), rows).bucket_E, looked([str(row) for row in range(5)]).bucket_E
    )


def terms(features: Hashed, row: int) -> dict[int, float]:
    part = slice(features.start_N[row], features.start_N[row + 1])
    return dict(zip(features.bucket_E[part].tolist(), features.weight_E[part].tolist(), strict=True))


@pytest.mark.parametrize(
    ("gold", "text"),
    [
        ("6 * 7 = 42\n#### 42", "42"),
        (" 1/2 ", "1/2"),
        (42, "42"),
        (0.5, "0.5"),
        ([1, 2], "[1, 2]"),
        ({"b": 1, "a": 2}, '{"a": 2, "b": 1}'),
        (None, ""),
        (True, "True"),
    ],
)
def test_golds_of_any_type_are_text(gold, text):
    assert answer_text(gold) == text


def test_terms_of_a_gold_by_hand():
    one, two, shape = (terms(looked([gold]), 0) for gold in ("12", "13", "12"))
    # Of ^12$: 4 characters, 3 pairs, 2 triples, the whole and its shape.
    assert len(one) == 11 and one == shape
    # 13 shares ^, 1, $, ^1 and the shape.
    assert len(one.keys() & two.keys()) == 5
    repeated = terms(looked(["777"]), 0)
    assert sorted(set(np.round(list(repeated.values()), 3))) == [0.693, 1.099, 1.386]  # log 2, 3 and 4


def test_numbers_of_a_gold_by_hand():
    number_NK = looked(["-120", r"\frac{3}{4}", "(2, 5]", ""]).number_NK
    assert number_NK.shape == (4, NUM_NUMBERS)
    digits, minus, slash = number_NK[:, 0], number_NK[:, 3], number_NK[:, 1]
    np.testing.assert_allclose(digits, np.log1p([3, 2, 2, 0]), rtol=1e-6)
    np.testing.assert_allclose(minus, np.log1p([1, 0, 0, 0]), rtol=1e-6)
    np.testing.assert_allclose(slash, np.log1p([0, 1, 0, 0]), rtol=1e-6)
    sorts = number_NK[:, -7:]  # a number, its size, whole, below 10, below 100, tens, even
    np.testing.assert_allclose(sorts[0], [1, np.log1p(120), 1, 0, 0, 1, 1], rtol=1e-6)
    np.testing.assert_allclose(sorts[1], 0)
    fraction = number_NK[:, 10]
    assert fraction.tolist() == [0, 1, 0, 0]


@given(st.lists(st.text(max_size=80) | st.integers() | st.none(), min_size=1, max_size=8))
def test_a_row_looks_the_same_alone_and_among_others(golds):
    together = looked(golds)
    assert np.isfinite(together.number_NK).all()
    for row, gold in enumerate(golds):
        alone = looked([gold])
        assert terms(alone, 0) == terms(together, row)
        np.testing.assert_array_equal(alone.number_NK[0], together.number_NK[row])


def test_more_rows_than_are_read_at_once():
    many = looked([str(number) for number in range(CHUNK + 3)])
    assert len(many) == CHUNK + 3
    assert terms(many, CHUNK + 2) == terms(looked([str(CHUNK + 2)]), 0)


def rows_of(num=400, seed=0):
    """Success depends on the gold's length and on the category; the text says nothing."""
    rng = np.random.default_rng(seed)
    long, hard = rng.random(num) < 0.5, rng.random(num) < 0.5
    rows = [
        {
            "prompt": f"question {rng.integers(10**9)}",
            "answer": str(rng.integers(10**5, 10**6) if is_long else rng.integers(1, 10)),
            "level": "hard" if is_hard else "easy",
            "tests": ["assert"] * int(rng.integers(1, 5)),
            "id": f"row-{row}",
        }
        for row, (is_long, is_hard) in enumerate(zip(long, hard, strict=True))
    ]
    return rows, 0.9 - 0.4 * long - 0.4 * hard


def explained(features, tmp_path=None) -> float:
    rows, rate_N = rows_of()
    model = ValueModel(features=features)
    model.bind(make_pool(rows), None)  # type: ignore[arg-type]
    rng = np.random.default_rng(1)
    for start in range(0, 300, 25):
        index_P = np.arange(start, start + 25)
        signal_PG = (rng.random((25, 8)) < rate_N[index_P, None]).astype(float)
        model.observe(Groups(index_P, signal_PG, signal_PG, signal_PG), model.predict(index_P))
    if tmp_path is not None:
        other = ValueModel(features=features)
        other.bind(make_pool(rows), None)  # type: ignore[arg-type]
        save_state(tmp_path, "model", model.state_dict())
        other.load_state_dict(load_state(tmp_path, "model"))
        for field in ("mean_N", "variance_N", "error_N"):
            first, second = (getattr(one.predict(np.arange(300, 400)), field) for one in (model, other))
            np.testing.assert_array_equal(first, second)
    rest_N = rate_N[300:]
    return float(1 - np.var(rest_N - model.predict(np.arange(300, 400)).mean_N) / np.var(rest_N))


def test_each_feature_teaches_what_only_it_shows(tmp_path):
    text, answer = explained("text"), explained("text,answer")
    everything = explained("text,answer,columns", tmp_path)
    assert text < 0.1 and 0.35 < answer < 0.6 and everything > 0.8


def test_columns_keep_names_and_sizes_and_leave_ids_out():
    columns = Columns("answer")
    columns.bind(make_pool(rows_of()[0]), None)
    assert (columns._named, columns._sized) == (["level"], ["tests"])
    features = columns.look(
        np.arange(2), [{"level": "easy", "tests": [1, 2, 3]}, {"level": None, "tests": None}]
    )
    np.testing.assert_allclose(features.number_NK, [[np.log(4)], [0]], rtol=1e-6)
    assert len(terms(features, 0)) == len(terms(features, 1)) == 1 and terms(features, 0) != terms(
        features, 1
    )


def test_joined_keeps_each_rows_terms_together():
    first, second = looked(["1", "22"]), looked(["333", ""])
    both = Hashed.joined([first, second])
    for row in (0, 1):
        one, other, found = terms(first, row), terms(second, row), terms(both, row)
        assert found.keys() == one.keys() | other.keys()
        for bucket in set(found) - (one.keys() & other.keys()):
            assert found[bucket] == (one | other)[bucket]
    np.testing.assert_array_equal(both.number_NK, np.hstack([first.number_NK, second.number_NK]))


PLAIN = [{"prompt": f"p{row}", "gold": "" if row < 20 else None} for row in range(40)]


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (
            {"value_features": "text,answer"},
            r"no `answer` column; it has: prompt, gold; set value_gold_column",
        ),
        (
            {"value_features": "answer", "value_gold_column": "gold"},
            r"value_gold_column='gold' is empty in all of 40",
        ),
        (
            {"value_features": "text,columns", "value_gold_column": "gold"},
            "no column beside the prompt and the gold",
        ),
    ],
)
def test_what_the_data_lacks_is_told_before_a_model_loads(numbers, message):
    curriculum = build_curriculum(CurriculumConfig("pcl", **numbers))
    with pytest.raises(ValueError, match=message):
        curriculum.bind(make_pool(PLAIN), None, 4)


@pytest.mark.parametrize(
    ("rows", "looks_at"),
    [
        ([{"prompt": f"p{row}"} for row in range(40)], "text"),
        (PLAIN, "text, columns"),
        ([{"prompt": f"p{row}", "answer": str(row)} for row in range(40)], "text, answer"),
        ([{"prompt": f"p{row}", "level": row % 2} for row in range(40)], "text, columns"),
        (
            [{"prompt": f"p{row}", "answer": str(row), "level": row % 2} for row in range(40)],
            "text, answer, columns",
        ),
    ],
)
def test_row_is_what_the_data_has(rows, looks_at):
    def bound(rows):
        model = ValueModel(features="row")
        model.bind(make_pool(rows), None)
        return model

    state = bound(rows).state_dict()
    bound(rows).load_state_dict(state)
    other = bound([{**row, "answer": "7", "topic": number % 3} for number, row in enumerate(rows)])
    if looks_at != "text, answer, columns":
        with pytest.raises(ValueError, match=f"looks at {looks_at}, this run at text, answer, columns"):
            other.load_state_dict(state)


def test_a_gold_that_is_named_must_be_there():
    curriculum = build_curriculum(CurriculumConfig("rlkit", value_gold_column="gold"))
    with pytest.raises(ValueError, match="value_gold_column='gold' is empty"):
        curriculum.bind(make_pool(PLAIN), None, 4)


@pytest.mark.parametrize(("features", "named"), [("text,wizard", "wizard"), ("", ""), ("text,,answer", "")])
def test_an_unknown_feature_is_told(features, named):
    with pytest.raises(ValueError, match=rf"names '{named}'; there are: row, text, answer, columns"):
        build_curriculum(CurriculumConfig("pcl", value_features=features))


ODD = ["a", 1, None, True, 2.5, [1], {"k": 1}, float("inf"), float("nan"), 10**400]


def test_golds_and_columns_of_mixed_types_give_finite_predictions():
    rows = [{"prompt": f"p{row} 0", "answer": ODD[row % 10], "level": ODD[row % 7]} for row in range(60)]
    rows[7].pop("level")
    model = ValueModel(features="text,answer,columns")
    model.bind(make_pool(rows), None)
    assert np.isfinite(model.predict(np.arange(60)).mean_N).all()


def test_a_large_pool_whose_rows_are_not_kept_shows_the_same(monkeypatch):
    """Read once and kept, or read each time: to the last bit, in any order."""
    rows = [{"prompt": f"{row} + {row**2}", "answer": str(row % 9), "level": row % 4} for row in range(300)]
    kept, read = (ValueModel(features="text,answer,columns") for _ in range(2))
    index_N = np.random.default_rng(0).permutation(300)[:64]
    kept.bind(make_pool(rows), None)
    seen = kept._head.look(index_N)
    monkeypatch.setattr(bayes_head, "KEPT", 0)
    read.bind(make_pool(rows), None)
    again = read._head.look(index_N)
    np.testing.assert_array_equal(seen.number_ND, again.number_ND)
    one, other = Hashed.joined(seen.parts), Hashed.joined(again.parts)
    for row in range(64):
        assert terms(one, row) == terms(other, row)


def test_zeros_are_counted_apart():
    """4000 + 3000 is a sum of small numbers, also where zeros only fill up."""
    number_NK = text_features(["35000000+82000000=", "35214576+82145321="]).number_NK
    np.testing.assert_allclose(number_NK[:, -1], [4 / 16, 1])

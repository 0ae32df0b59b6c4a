"""Guards the directions of a pool's texts: those of the decomposition, and what they tell of success."""

import numpy as np
import pytest

from rlkit.curriculum.estimators import directions
from rlkit.curriculum.estimators.directions import NUM_BUCKETS, NUM_DIRECTIONS, Directions
from rlkit.curriculum.estimators.features.hashed import Hashed
from rlkit.curriculum.estimators.value_model import ValueModel
from rlkit.prompts.pool import make_pool
from rlkit.types import Groups

NUM_TOPICS, VOCABULARY, LENGTH = 4, 150, 30


def hashed(matrix_NB: np.ndarray) -> Hashed:
    row_E, bucket_E = np.nonzero(matrix_NB)
    start_N = np.searchsorted(row_E, np.arange(len(matrix_NB) + 1))
    weight_E = matrix_NB[row_E, bucket_E].astype(np.float32)
    return Hashed(start_N, bucket_E.astype(np.int32), weight_E, np.zeros((len(matrix_NB), 0), np.float32))


def decaying(num: int, seed: int = 0) -> np.ndarray:
    """A matrix of rows of unit length, whose singular values are apart."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(80, 80)))[0]
    matrix = rng.normal(size=(num, 80)) * 0.75 ** np.arange(80) @ basis.T
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def test_they_are_the_largest_right_singular_vectors():
    matrix_NB = decaying(500)
    number_NK = Directions(hashed(matrix_NB))(hashed(matrix_NB))
    expected_NK = matrix_NB @ np.linalg.svd(matrix_NB)[2][:8].T
    signs = np.sign(np.sum(expected_NK * number_NK[:, :8], axis=0))
    np.testing.assert_allclose(number_NK[:, :8] * signs, expected_NK, atol=2e-3)


def test_rarer_buckets_do_not_count_and_the_others_have_unit_length():
    num = NUM_BUCKETS + 1
    sample = np.zeros((60, num))
    sample[:, :3] = decaying(60)[:, :3]
    sample[:, 3:-1] = 1e-3  # so that the last bucket is the rarest
    sample[0, -1] = 5.0
    found = Directions(hashed(sample))
    rows = np.zeros((4, num))
    rows[0, :3], rows[1, :3] = (3, 4, 0), (6, 8, 0)
    rows[2, :3], rows[2, -1] = (3, 4, 0), 100.0
    rows[3, -1] = 1.0
    number_NK = found(hashed(rows))
    np.testing.assert_allclose(number_NK[1:3], number_NK[[0, 0]], rtol=1e-5)
    assert np.any(number_NK[0]) and not np.any(number_NK[3])


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_what_a_prompt_gets_does_not_depend_on_the_others(monkeypatch, chunk):
    matrix_NB = decaying(90)
    matrix_NB[[0, 40, 89]] = 0
    found = Directions(hashed(matrix_NB))
    number_NK = found(hashed(matrix_NB))
    monkeypatch.setattr(directions, "CHUNK", chunk)
    np.testing.assert_array_equal(found(hashed(matrix_NB)), number_NK)
    assert found(hashed(matrix_NB[:0])).shape == (0, NUM_DIRECTIONS)


@pytest.mark.parametrize(
    ("num_prompts", "num_terms", "worth"), [(43, 33, True), (42, 33, False), (43, 32, False)]
)
def test_few_prompts_and_short_ones_have_none(num_prompts, num_terms, worth):
    sample = hashed(np.random.default_rng(0).random((num_prompts, num_terms)))
    assert (Directions.worth(sample) is not None) == worth


def topical(num: int) -> tuple[list[dict], np.ndarray]:
    """Prompts of words of their topic, and the topic's success."""
    rng = np.random.default_rng(1)
    topic_N = np.arange(num) % NUM_TOPICS
    word_NL = rng.integers(VOCABULARY, size=(num, LENGTH)) + VOCABULARY * topic_N[:, None]
    names = [
        "".join(chr(97 + int(digit)) for digit in f"{word:04d}") for word in range(VOCABULARY * NUM_TOPICS)
    ]
    rows = [{"prompt": " ".join(names[word] for word in word_L)} for word_L in word_NL]
    return rows, topic_N / (NUM_TOPICS - 1)


def taught(pool, rate: np.ndarray, num: int) -> ValueModel:
    model = ValueModel(features="text")
    model.bind(pool, None)
    for index_P in np.arange(num).reshape(-1, 8):
        signal_PG = (np.arange(8) < np.round(8 * rate[index_P])[:, None]).astype(float)
        lengths = np.ones(signal_PG.shape, dtype=int)
        model.observe(Groups(index_P, signal_PG, signal_PG, lengths), model.predict(index_P))
    return model


def explained(model: ValueModel, rate: np.ndarray, num: int) -> float:
    mean = model.predict(np.arange(num, len(rate))).mean_N
    return 1 - np.var(rate[num:] - mean) / np.var(rate)


def test_a_topic_is_known_after_few_groups_though_most_of_its_words_were_never_seen(monkeypatch):
    rows, rate = topical(1000)
    pool = make_pool(rows)
    found = explained(taught(pool, rate, 48), rate, 48)
    monkeypatch.setattr(Directions, "worth", classmethod(lambda cls, sample: None))
    without = explained(taught(pool, rate, 48), rate, 48)
    assert found > 0.5 > without + 0.2


def test_a_checkpoint_brings_its_own_directions():
    rows, rate = topical(300)
    pool = make_pool(rows)
    model = taught(pool, rate, 48)
    other = ValueModel(features="text")
    other.bind(pool, None)
    other._head._channels[0]._directions._direction_BK *= -1  # as another machine may find them
    other.load_state_dict(model.state_dict())
    index_N = np.arange(300)
    np.testing.assert_array_equal(other.predict(index_N).mean_N, model.predict(index_N).mean_N)

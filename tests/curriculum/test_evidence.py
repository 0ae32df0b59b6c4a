"""Guards the scales of hashed terms: the evidence finds the feature that says something."""

import numpy as np

from rlkit.curriculum.estimators.evidence import FOLDED, best_scales, products
from rlkit.curriculum.estimators.features.hashed import WIDTH, Hashed


def terms_of_two(num, rng) -> Hashed:
    """Ten terms of each of two features a prompt, at unit length."""
    word_NT = rng.integers(0, 200, (num, 10))
    other_NT = WIDTH + rng.integers(0, 200, (num, 10))
    bucket_E = np.concatenate([word_NT, other_NT], axis=1).reshape(-1).astype(np.int32)
    weight_E = np.full(len(bucket_E), 10**-0.5, dtype=np.float32)
    return Hashed(np.arange(num + 1) * 20, bucket_E, weight_E, np.zeros((num, 0), dtype=np.float32))


def test_the_feature_that_tells_gets_the_larger_scale():
    rng = np.random.default_rng(0)
    terms = terms_of_two(400, rng)
    w_W = rng.normal(size=200)
    own = terms.bucket_E.reshape(400, 20)[:, :10]
    y_P = w_W[own].sum(axis=1) * 10**-0.5 + 0.5 * rng.normal(size=400)
    start = np.full(2, 0.7, dtype=np.float32)
    first, second = best_scales(terms, y_P, np.ones(400), start)
    assert first > 0.7 > second
    np.testing.assert_array_equal(best_scales(terms, np.zeros(400), np.ones(400), start), start)


def terms_of_one(num, words, rng) -> Hashed:
    bucket_E = rng.choice(WIDTH, words, replace=False)[rng.integers(0, words, 20 * num)].astype(np.int32)
    return Hashed(
        np.arange(num + 1) * 20, bucket_E, np.full(20 * num, 20**-0.5, np.float32), np.zeros((num, 0))
    )


def test_products_are_exact_of_few_terms_and_kept_of_many():
    """Those of folded terms are right but for noise without a bias, of 1 / sqrt(FOLDED) for unit lengths."""
    rng = np.random.default_rng(0)
    for words, within in ((FOLDED // 2, 1e-6), (20 * FOLDED, 4 * FOLDED**-0.5)):
        terms = terms_of_one(100, words, rng)
        dense_NW = np.zeros((100, WIDTH), dtype=np.float32)
        np.add.at(dense_NW, (np.repeat(np.arange(100), 20), terms.bucket_E), terms.weight_E)
        error_NN = products(terms, 0) - dense_NW @ dense_NW.T
        assert np.abs(error_NN).max() < within and abs(error_NN.mean()) < within / 4

"""Guards the scales of hashed terms: the evidence finds the feature that says something."""

import numpy as np

from rlkit.curriculum.estimators.evidence import best_scales
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

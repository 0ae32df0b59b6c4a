"""Scales of the features' terms that make what was seen most probable: the marginal likelihood on a grid.

    y ~ Normal(0, v K),   K = sum_f s_f^2 phi_f phi_f' + N,   2 log p = -log |K| - n log(y' K^-1 y) + constant

with v, the size of the noise, at its best value, and a prior on each log scale. Each scale in turn goes up
or down by `STEP` as long as that helps. More than `FOLDED` different terms are folded into as many buckets
with random signs, which keeps their products (count sketch).
"""

from functools import cache

import numpy as np

from rlkit.curriculum.estimators.features.hashed import BITS, Hashed

FOLDED = 2048
STEP = 2**0.5
"""A scale is multiplied by it, or divided."""
SCALE_BOUNDS = (0.02, 3.0)
PASSES = 3
PRIOR, PRIOR_SD = 0.7, 0.25
"""Of a scale, and of its logarithm: few groups say little of it."""


def best_scales(terms: Hashed, y_P: np.ndarray, noise_P: np.ndarray, scale_F: np.ndarray) -> np.ndarray:
    """The scale of each feature, (F,) float32, from `scale_F` on."""
    kernels_FPP = [products(terms, number) for number in range(len(scale_F))]
    y_P = y_P - y_P.mean()
    if y_P @ y_P < 1e-9:
        return scale_F
    log_F = np.log(scale_F.astype(float))
    # The Cholesky factor of [K y; y' c] is that of K with one more row, L^-1 y.
    bordered_PP = np.zeros((len(y_P) + 1, len(y_P) + 1))
    bordered_PP[-1, :-1] = y_P
    bordered_PP[-1, -1] = y_P @ y_P / noise_P.min() + 1  # above y' K^-1 y

    @cache
    def evidence(*logs: float) -> float:
        bordered_PP[:-1, :-1] = np.diag(noise_P)
        for log, kernel_PP in zip(logs, kernels_FPP, strict=True):
            bordered_PP[:-1, :-1] += np.exp(2 * log) * kernel_PP
        root_PP = np.linalg.cholesky(bordered_PP)
        whitened_P = root_PP[-1, :-1]
        fit = -2 * np.log(np.diag(root_PP)[:-1]).sum() - len(y_P) * np.log(whitened_P @ whitened_P)
        return float(fit - np.sum(((np.array(logs) - np.log(PRIOR)) / PRIOR_SD) ** 2))

    best = evidence(*log_F)
    for _ in range(PASSES):
        for number in range(len(log_F)):
            for step in (np.log(STEP), -np.log(STEP)):
                while True:
                    tried_F = log_F.copy()
                    tried_F[number] = np.clip(tried_F[number] + step, *np.log(SCALE_BOUNDS))
                    found = evidence(*tried_F.round(12)) if tried_F[number] != log_F[number] else best
                    if found <= best:
                        break
                    best, log_F = found, tried_F
    return np.exp(log_F).astype(np.float32)


def products(terms: Hashed, number: int) -> np.ndarray:
    """(P, P) products of the terms of one feature."""
    own_E = terms.bucket_E >> BITS == number
    row_E = np.repeat(np.arange(len(terms)), np.diff(terms.start_N))[own_E]
    bucket_E, weight_E = terms.bucket_E[own_E], terms.weight_E[own_E]
    bucket_M, column_E = np.unique(bucket_E, return_inverse=True)
    num = len(bucket_M)
    if num > FOLDED:
        num, column_E = FOLDED, bucket_E % FOLDED
        weight_E = weight_E * (1 - 2 * (bucket_E >> 12 & 1))
    term_PM = np.bincount(row_E * num + column_E, weight_E, minlength=len(terms) * num)
    term_PM = term_PM.reshape(len(terms), num).astype(np.float32)
    return (term_PM @ term_PM.T).astype(float)

"""Selectors: pure functions from predictions to the positions of the candidates worth rolling out.

Each takes `(prediction, num, rng)` and returns min(num, N) distinct positions among the N candidates.
"""

from collections.abc import Callable

import numpy as np

from rlkit.curriculum.scale import Scale
from rlkit.types import Prediction

Selector = Callable[[Prediction, int, np.random.Generator], np.ndarray]


def in_order(prediction: Prediction, num: int, rng: np.random.Generator) -> np.ndarray:
    """The first candidates of the stream: uniform sampling without replacement within a pass."""
    return np.arange(min(num, len(prediction.mean_N)))


def nearest(prediction: Prediction, num: int, rng: np.random.Generator, target: float = 0.5) -> np.ndarray:
    """The candidates whose predicted mean is nearest to `target`, nearest first (PCL, arXiv 2510.01135).

    Ties fall in the order of the stream. Means [.9, .4, .55], num 2 -> [2, 1].
    """
    return np.argsort(np.abs(prediction.mean_N - target), kind="stable")[:num]


def softmax(
    prediction: Prediction,
    num: int,
    rng: np.random.Generator,
    target: float = 0.5,
    temperature: float = 1e-3,
    scale: Scale | None = None,
) -> np.ndarray:
    """Drawn without replacement by softmax(-|mean - target| / temperature) (DOTS, arXiv 2506.05316).

    The candidates with the greatest logit + Gumbel noise are such a draw. The target and the temperature are
    shares of the signal's range. Means [.4, .5], temperature .1, num 1 -> [1] with 1 / (1 + e^-1) = 0.73.
    """
    distance_N = np.abs((scale or Scale()).share(prediction.mean_N) - target)
    return np.argsort(distance_N / temperature - rng.gumbel(size=len(distance_N)), kind="stable")[:num]


def most_varied(prediction: Prediction, num: int, rng: np.random.Generator) -> np.ndarray:
    """The candidates with the greatest predicted variance, greatest first (METIS, arXiv 2605.11235).

    Ties fall in the order of the stream. Variances [.1, .25, .2], num 2 -> [1, 2].
    """
    return np.argsort(-prediction.variance_N, kind="stable")[:num]


def thompson(
    prediction: Prediction,
    num: int,
    rng: np.random.Generator,
    target: float = 0.5,
    scale: Scale | None = None,
) -> np.ndarray:
    """The candidates whose draw g from their posterior is best by -(g - target)^2 (MoPPS, arXiv 2507.04632).

    Target, as the draws (`_draw`), is a share of the signal's range.
    """
    drawn_N = _draw(prediction, rng, scale or Scale())
    return np.argsort(np.abs(drawn_N - target), kind="stable")[:num]


def thompson_likelihood(
    prediction: Prediction,
    num: int,
    rng: np.random.Generator,
    samples: int = 8,
    scale: Scale | None = None,
) -> np.ndarray:
    """The candidates whose draw g has the greatest 2 ((1 - (1 - g)^samples) - g).

    With binary rewards r of mean m > 0 in a group of `samples`, the advantages of Maximum Likelihood RL are
    (r - m) / m (MaxRL, arXiv 2602.02710); this is the expected mean of their sizes. It is greatest at
    g = 1 - samples^(-1 / (samples - 1)), 0.26 for 8: harder prompts than those of the greatest variance.
    """
    drawn_N = _draw(prediction, rng, scale or Scale())
    utility_N = 2 * (1 - (1 - drawn_N) ** samples - drawn_N)
    return np.argsort(-utility_N, kind="stable")[:num]


def _draw(prediction: Prediction, rng: np.random.Generator, scale: Scale) -> np.ndarray:
    """A success rate of each candidate from its posterior Beta(a, b), (N,), as shares of the signal's range.

    a and b are those of the Beta distribution with the predicted mean and standard error, so that a prompt of
    which little is known is tried now and then.
    """
    mean_N = scale.share(prediction.mean_N)
    error_N = prediction.error_N / (scale.high - scale.low)
    spread_N = mean_N * (1 - mean_N)
    # Without an error, or with a greater one than a Beta can have, there is nothing to draw from.
    possible = (error_N > 0) & (error_N**2 < spread_N)
    strength_N = spread_N / np.where(possible, error_N, 1.0) ** 2 - 1
    a_N, b_N = (
        np.where(possible, mean_N * strength_N, 1.0),
        np.where(possible, (1 - mean_N) * strength_N, 1.0),
    )
    return np.where(possible, rng.beta(a_N, b_N), mean_N)


def most_gain(
    prediction: Prediction,
    num: int,
    rng: np.random.Generator,
    headroom: float = 1.0,
    group_cost: float = 1.0,
    scale: Scale | None = None,
) -> np.ndarray:
    """The set of candidates with the most expected gain for its cost.

        gain = variance * (1 - mean)^headroom,   cost = group_cost + length

    with the mean as a share of the signal's range: the variance of a group is the size of its gradient, and
    the headroom is what there is left to learn. Gains are summed over the set and divided by its summed cost
    (Dinkelbach's method finds the best set); without predicted lengths, or with equal ones, that is the order
    of the gains. Means [.9, .3, .5] of binary signals, num 2 -> [1, 2].
    """
    mean_N = (scale or Scale()).share(prediction.mean_N)
    gain_N = prediction.variance_N * (1 - mean_N) ** headroom
    cost_N = group_cost + (np.ones(len(gain_N)) if prediction.length_N is None else prediction.length_N)
    return _best_ratio(gain_N, cost_N, min(num, len(gain_N)))


def _best_ratio(gain_N: np.ndarray, cost_N: np.ndarray, num: int) -> np.ndarray:
    """Positions of the `num` with the greatest sum of gains by sum of costs, most valuable first.

    The best set holds the largest gain - price * cost at the price that is its own ratio; the price only
    rises on the way there (Dinkelbach, Management Science 13, 1967).
    """
    price, best = 0.0, np.argsort(-gain_N, kind="stable")[:num]
    while num > 0:
        ratio = gain_N[best].sum() / cost_N[best].sum()
        if ratio <= price * (1 + 1e-9):
            break
        price = ratio
        best = np.argsort(price * cost_N - gain_N, kind="stable")[:num]
    return best

"""What `record_policy.py` left: a pool, what the policy showed of it, and how its completions came out."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from rlkit.curriculum.estimators import Reading
from rlkit.prompts.pool import PromptPool

LAYERS = (0.25, 0.4, 0.5, 0.6, 0.75, 1.0)


class Recording:
    """Stands for the policy of one label: a host's senses, and outcomes (N, G) where it answered.

    The first of the pool's rows that have been recorded, which are in random order.
    """

    shows = ("states", "likelihood")

    def __init__(self, folder: Path, label: str):
        first = sorted((folder / label).glob("pass0-*.npz"))
        parts = [np.load(file) for file in first]
        self.state_NL2H = np.concatenate([part["state_NL2H"] for part in parts])
        self.likelihood_N3 = np.concatenate([part["likelihood_N3"] for part in parts])
        passes = []
        for number in range(100):
            files = [file.with_name(file.name.replace("pass0", f"pass{number}")) for file in first]
            if not all(file.exists() and "right_NG" in np.load(file) for file in files):
                break
            passes.append(np.concatenate([np.load(file)["right_NG"] for file in files]))
        self.right_NG = np.concatenate(passes or [np.empty((len(self.likelihood_N3), 0), bool)], axis=1)
        rows = pq.read_table(folder / "prompts.parquet").to_pylist()[: len(self.likelihood_N3)]
        # What is to be predicted is not for the features to see.
        self.rows = [{name: row[name] for name in row if name != "pass_rate"} for row in rows]

    def __len__(self) -> int:
        return len(self.rows)

    def pool(self) -> PromptPool:
        return PromptPool(self.rows, np.arange(len(self), dtype=np.uint64))

    def read(self, index_N: np.ndarray, layer: float | None, reference_N: list[str] | None) -> Reading:
        state = None if layer is None else self.state_NL2H[index_N, LAYERS.index(layer)]
        return Reading(state, None if reference_N is None else self.likelihood_N3[index_N], None)

    def features(self, index_N: np.ndarray) -> np.ndarray:
        return self.state_NL2H[index_N, -1, 0]

    def scores(self, index_N: np.ndarray, mean_N: np.ndarray) -> dict[str, float]:
        """Of the true rates, of which the observed ones are noisy counts.

        The variance of the truth is that of the observed rates less p(1 - p) / (G - 1) of each: what is
        explained of it is 1 - (MSE - noise) / (variance - noise).
        """
        right_NG = self.right_NG[index_N]
        rate_N, num = right_NG.mean(axis=1), right_NG.shape[1]
        noise = np.mean(rate_N * (1 - rate_N)) / (num - 1)
        error_N = rate_N - mean_N
        return {
            "explained": 1 - (np.var(error_N) - noise) / (np.var(rate_N) - noise),
            "of_observed": 1 - np.var(error_N) / np.var(rate_N),
            "spearman": _spearman(mean_N, rate_N),
            "brier": float(np.mean((right_NG - mean_N[:, None]) ** 2)),
            "calibration": _calibration(mean_N, rate_N),
        }


class Present:
    """Senses of one of several recordings: that of `policy`, which may change as a policy does."""

    shows = Recording.shows

    def __init__(self, policy: Recording):
        self.policy = policy

    def read(self, index_N: np.ndarray, layer: float | None, reference_N: list[str] | None) -> Reading:
        return self.policy.read(index_N, layer, reference_N)

    def features(self, index_N: np.ndarray) -> np.ndarray:
        return self.policy.features(index_N)


def _spearman(one_N: np.ndarray, other_N: np.ndarray) -> float:
    from rlkit.curriculum.calibration import spearman

    return spearman(one_N, other_N) or 0.0


def _calibration(mean_N: np.ndarray, rate_N: np.ndarray, bins: int = 5) -> float:
    """Mean distance of predicted from observed, over as many bins of equal size."""
    parts = np.array_split(np.argsort(mean_N), bins)
    return float(np.mean([abs(mean_N[part].mean() - rate_N[part].mean()) for part in parts]))

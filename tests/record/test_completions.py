"""Guards the completions that a run keeps: which ones, how much, and that they end where the ledger ends."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rlkit.record.completions import CompletionLog, everything, extremes, read_completions
from rlkit.types import ABSENT, REPLAYED, Batch, Groups, Prediction

NAN = np.nan


def batch_of(signal_PG, predicted_P, age_PG=None, round_P=None) -> Batch:
    signal_PG = np.array(signal_PG, dtype=float)
    num = len(signal_PG)
    groups = Groups(
        np.arange(num),
        signal_PG,
        signal_PG,
        np.ones(signal_PG.shape, dtype=np.int64),
        age_PG=np.zeros(signal_PG.shape, dtype=int) if age_PG is None else np.array(age_PG),
    )
    predicted_P = np.array(predicted_P, dtype=float)
    return Batch(
        groups=groups,
        prediction=Prediction(predicted_P, predicted_P, predicted_P),
        round_P=np.zeros(num, dtype=int) if round_P is None else np.array(round_P),
        reason_P=np.full(num, "kept", dtype=object),
        chosen_B=np.arange(num),
        weight_B=np.ones(num),
        num_candidates=num,
        num_rounds=1,
        fill="full",
        selection_seconds=0.0,
    )


def test_extremes_are_of_the_most_surprising_groups_and_of_the_smallest_keys():
    """Means 0.5, 1, 0, 0.5, 1 against 0.5, 0.1, 0.6, 0.4, 1: off by 0, 0.9, 0.6, 0.1, 0."""
    batch = batch_of([[0, 1], [1, 1], [0, 0], [1, 0], [1, 1]], [0.5, 0.1, 0.6, 0.4, 1.0])
    kept = extremes(batch, np.array([50, 40, 30, 20, 10], dtype=np.uint64))
    assert kept == [(1, [0]), (2, [0]), (4, [0]), (3, [1, 0])]


def test_extremes_leave_out_what_was_not_made_or_scored_now():
    signal = [[NAN, NAN], [0.2, 0.9], [0.1, 0.9], [0.3, NAN]]
    batch = batch_of(signal, [0.5] * 4, [[0, 0], [0, 0], [1, 0], [0, ABSENT]], [0, REPLAYED, 0, 0])
    assert sorted(extremes(batch, np.arange(4, dtype=np.uint64))) == [(2, [1]), (3, [0])]
    assert everything(batch) == [(0, [0, 1]), (2, [1]), (3, [0])]


def row_of(generation: int, text: str) -> dict:
    return {
        "generation": generation,
        "step": generation + 1,
        "index": 0,
        "key": 2**64 - 1,
        "prompt": "",
        "gold": None,
        "completion": text,
        "chat": None,
        "tokens": 1,
        "signal": 1.0,
        "reward": 1.5,
        "rewards": [("a", 1.0), ("b", NAN)],
    }


def test_what_is_written_comes_back(tmp_path):
    log = CompletionLog(tmp_path, 100)
    log.write([row_of(0, "é")], 1.0)
    log.flush()
    [found] = read_completions(tmp_path).to_pylist()
    rewards = dict(found.pop("rewards"))
    expected = row_of(0, "é")
    del expected["rewards"]
    assert found == expected and rewards["a"] == 1.0 and np.isnan(rewards["b"])
    assert log.num_bytes == 2


def test_a_cap_spreads_over_the_run(tmp_path):
    """Ten generations of 10 bytes each where 50 bytes may be kept: at tenth k no more than 5 k bytes."""
    log = CompletionLog(tmp_path, 50)
    for generation in range(10):
        log.write([row_of(generation, "0123456789")], (generation + 1) / 10)
    log.flush()
    assert read_completions(tmp_path)["generation"].to_pylist() == [1, 3, 5, 7, 9]


@given(sizes=st.lists(st.integers(0, 30), min_size=1, max_size=12), data=st.data())
def test_to_resume_is_never_to_have_stopped(tmp_path_factory, sizes, data):
    """Wherever a run is killed and goes on from an earlier checkpoint, the same rows are there."""
    checkpoint = data.draw(st.integers(0, len(sizes)))
    killed = data.draw(st.integers(checkpoint, len(sizes)))

    def write(log, generations):
        for generation in generations:
            log.write([row_of(generation, "x" * sizes[generation])], (generation + 1) / len(sizes))

    straight, stopped = tmp_path_factory.mktemp("straight"), tmp_path_factory.mktemp("stopped")
    log = CompletionLog(straight, 100)
    write(log, range(len(sizes)))
    log.flush()
    log = CompletionLog(stopped, 100)
    write(log, range(checkpoint))
    log.flush()
    write(log, range(checkpoint, killed))
    log.flush()
    log = CompletionLog(stopped, 100, checkpoint)
    write(log, range(checkpoint, len(sizes)))
    log.flush()
    assert (
        read_completions(stopped)
        .drop_columns("rewards")
        .equals(read_completions(straight).drop_columns("rewards"))
    )

"""Guards two processes (torchrun, gloo): they choose as one does, agree at every step, and resume exactly."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import transformers
from packaging.version import Version
from tiny_trl import completion_rows, ledger_rows

pytestmark = pytest.mark.slow

STEPS = {"max_steps": 4}


def objectives(names, **numbers):
    return {"objectives": {"objectives": names, **numbers}}


SAVING = {"max_steps": 4, "save_strategy": "steps", "save_steps": 1}
MID_CYCLE = {**SAVING, "steps_per_generation": 2}
STEERED = {
    "amft_every": 1,
    "amft_warmup": 0,
    "amft_rate": 0.1,
    "amft_validation": [{"prompt": f"{i}+", "demonstration": "9+"} for i in range(12)],
}
JUDGING = {"curriculum": "metis", "judgement_weight": 1.0, "judgement_length": 4}
# So that judgements are the same on any number of processes.
GREEDY = {"generation_kwargs": {"do_sample": False}}
# name: (curriculum, num_generations, rows of all processes, settings)
JOBS = {
    "uniform": ({"curriculum": "uniform"}, 4, 16, STEPS),
    "dapo": ({"curriculum": "dapo"}, 4, 16, SAVING),
    "pcl": ({"curriculum": "pcl"}, 4, 16, SAVING),
    "rlkit": ({"curriculum": "rlkit", "candidates": 2, "repeat_gap": 1}, 4, 16, SAVING),
    "policy-features": (
        {"curriculum": "rlkit", "candidates": 2, "value_features": "states,likelihood,past"},
        4,
        16,
        STEPS,
    ),
    "perplexity": ({"curriculum": "perplexity_band"}, 4, 16, STEPS),
    "greso": ({"curriculum": "greso"}, 4, 16, SAVING),
    "mopps": ({"curriculum": "mopps", "candidates": 4}, 4, 16, STEPS),
    "sec": ({"curriculum": "sec"}, 4, 16, STEPS),
    "lilo": ({"curriculum": "lilo"}, 4, 16, STEPS),
    "dots": ({"curriculum": "dots", "candidates": 4}, 4, 16, SAVING),
    "pcl-text": ({"curriculum": "pcl", "value_features": "text"}, 4, 16, STEPS),
    "cycle": ({"curriculum": "dapo"}, 4, 16, MID_CYCLE),
    "shrink": (
        {"curriculum": "dapo", "max_rounds": 1, "fill": "shrink"},
        4,
        16,
        {**STEPS, "loss_type": "grpo"},
    ),
    "ssb": ({"curriculum": "ssb"}, 4, 16, SAVING),
    "share": ({"curriculum": "ssb", "replay_share": 0.5}, 4, 16, STEPS),
    # Rows are dealt across processes, so that another one may compute the logprobs of what is kept.
    "ssb-parts": ({"curriculum": "ssb"}, 4, 16, {**SAVING, "gradient_accumulation_steps": 2}),
    "speed": ({"curriculum": "speed", "screen": 2, "max_rounds": 2}, 4, 16, SAVING),
    "vip": ({"curriculum": "vip", "value_learning_rate": 0.1}, 4, 16, STEPS),
    # Every process would choose otherwise: the main one's choice holds.
    "disagree": ({"curriculum": "greso"}, 4, 16, STEPS),
    "disagree-replay": ({"curriculum": "ssb"}, 4, 16, STEPS),
    "failing": ({"curriculum": "dapo"}, 4, 16, STEPS),
    # Three groups of four on two processes: the second group lies on both, and so does every odd refill.
    "split": ({"curriculum": "dapo"}, 4, 12, STEPS),
    "split-pcl": ({"curriculum": "pcl"}, 4, 12, {**STEPS, "scale_rewards": "batch"}),
    "hints": ({"curriculum": "mopps", "hints": "adaback"}, 4, 16, {**SAVING, **GREEDY}),
    "metis": (JUDGING, 4, 16, {**SAVING, **GREEDY}),
    "metis-split": (JUDGING, 4, 12, {**STEPS, **GREEDY}),
    "metis-cycle": (JUDGING, 4, 16, {**MID_CYCLE, **GREEDY}),
    "clip_b": ({"curriculum": "uniform"}, 4, 16, {**STEPS, **objectives("clip_b", clip_b_mu=0.5)}),
    "clip_v": (
        {"curriculum": "uniform"},
        4,
        16,
        {**STEPS, **objectives("clip_v", clip_v_mu=0.5, clip_v_share=0.06)},
    ),
    # Three pairs on two processes: one of them gets a row of weight 0.
    "relift": ({"curriculum": "uniform"}, 4, 16, {**SAVING, **objectives("relift", relift_pairs=3)}),
    # Both processes' rows together are those of one.
    "amft": ({"curriculum": "uniform"}, 4, 16, {**SAVING, **objectives("amft", amft_rows=4, **STEERED)}),
    "rmt": ({"curriculum": "uniform"}, 4, 16, {**SAVING, **objectives("rmt", rmt_rows=4)}),
    "balance": ({"curriculum": "uniform"}, 4, 16, {**STEPS, "gradient_accumulation_steps": 2}),
    # The filter keeps an odd number, and an odd number of groups of three cannot be shared equally.
    "odd-refill": ({"curriculum": "odf", "band_low": 0.3, "band_high": 0.6}, 3, 18, STEPS),
}
OUTSIDE = {"outside": ({"curriculum": "mopps", "signal_max": 0.5}, 4, 16, STEPS)}
"""A signal outside of its declared range."""
CYCLES = ("cycle", "metis-cycle")
RESUMED = (
    "hints",
    "relift",
    "amft",
    "rmt",
    "dapo",
    "greso",
    "pcl",
    "rlkit",
    "dots",
    "ssb",
    "ssb-parts",
    "speed",
    "metis",
    *CYCLES,
)


def launch(num_processes, folder, names, resume=None):
    folder.mkdir(exist_ok=True)
    jobs = [
        (name, *{**JOBS, **OUTSIDE}[name], str(folder / name / f"checkpoint-{resume}") if resume else None)
        for name in names
    ]
    script = str(Path(__file__).with_name("two_processes.py"))
    command = [sys.executable, script, str(folder), json.dumps(jobs)]
    if num_processes > 1:
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={num_processes}"]
        command[1:1] = torchrun
    done = subprocess.run(command, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """All runs in one process, and all in two."""
    folder = tmp_path_factory.mktemp("processes")
    launch(1, folder / "one", JOBS)
    launch(2, folder / "two", JOBS)
    return folder


def read(folder, name, rank=0, suffix=""):
    return json.loads((folder / f"{name}-{rank}{suffix}.json").read_text())


@pytest.mark.parametrize("name", JOBS)
def test_two_processes_choose_as_one(runs, name):
    one, first, second = read(runs / "one", name), read(runs / "two", name, 0), read(runs / "two", name, 1)
    assert len(one["notes"]) == (2 if name in CYCLES else 4)
    for alone, left, right in zip(one["notes"], first["notes"], second["notes"], strict=True):
        assert left["index"] == right["index"], "both ranks rolled out the same prompts"
        assert left["chosen"] == right["chosen"]
        if name == "odd-refill":  # one process has no need to even a round out
            continue
        assert alone["index"] == left["index"]
        assert alone["chosen"] == left["chosen"]
        assert alone["prompts"] == left["prompts"] + right["prompts"]
        assert alone["advantages"] == pytest.approx(left["advantages"] + right["advantages"], abs=1e-5)
    if name not in ("odd-refill", *CYCLES):  # in a cycle each process shuffles its own rows between updates
        assert first["losses"] == pytest.approx(one["losses"], abs=1e-5)
        assert first["weights"] == pytest.approx(one["weights"], rel=1e-4)
    if name != "odd-refill":
        assert timeless(ledger_rows(runs / "one" / name)) == timeless(ledger_rows(runs / "two" / name))
        assert completion_rows(runs / "one" / name) == completion_rows(runs / "two" / name)
    assert first["weights"] == second["weights"]


def test_a_signal_outside_of_its_range_ends_both_processes_alike(tmp_path):
    launch(2, tmp_path / "two", OUTSIDE)
    first, second = read(tmp_path / "two", "outside", 0), read(tmp_path / "two", "outside", 1)
    assert first == second and "set signal_min=0 and signal_max=1" in first


def timeless(rows):
    """Rows that `==` compares; predictions are rounded, since two processes pad their features otherwise."""
    return json.loads(json.dumps(rows).replace("NaN", "null"), parse_float=lambda text: round(float(text), 4))


@pytest.mark.parametrize("name", ["metis", "metis-split", "metis-cycle"])
def test_two_processes_judge_and_learn_as_one(runs, name):
    """Each rank trains on its share of the judgements, and both together on what one process does."""
    one, first, second = read(runs / "one", name), read(runs / "two", name, 0), read(runs / "two", name, 1)
    alike = 1 if name in CYCLES else 4  # up to where the rows' shuffle has a say
    assert first["judged"][:alike] == pytest.approx(one["judged"][:alike], abs=1e-4)
    assert first["judged"] == second["judged"]
    assert len(one["judged"]) == 4 and max(map(abs, one["judged"])) > 0.1, "the test needs lessons"


def test_shares_are_equal_when_a_refill_is_odd(runs):
    """Where one process refills an odd number of groups of three, two take one more: equal rows a rank."""
    sizes = []
    for world in ("one", "two"):
        rows = ledger_rows(runs / world / "odd-refill")
        sizes.append(Counter((row["step"], row["round"]) for row in rows))
    odd = next(number for number, size in sizes[0].items() if size % 2)
    assert sizes[1][odd] == sizes[0][odd] + 1, "up to there the two runs are one"
    assert all(size % 2 == 0 for size in sizes[1].values())
    notes = [read(runs / "two", "odd-refill", rank)["notes"] for rank in range(2)]
    for left, right in zip(*notes, strict=True):
        assert len(left["prompts"]) == len(right["prompts"]) == 9
        together = left["prompts"] + right["prompts"]
        assert all(len(set(together[start : start + 3])) == 1 for start in range(0, 18, 3))


@pytest.mark.parametrize("name", JOBS)
def test_one_ledger(runs, name):
    """Written by the main process alone: each group stands there once."""
    rows = ledger_rows(runs / "two" / name)
    notes = read(runs / "two", name)["notes"]
    assert [row["index"] for row in rows] == [index for note in notes for index in note["index"]]
    steps = (runs / "two" / name / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in steps] == [1, 2, 3, 4]


def test_failures_of_all_processes_are_counted(runs):
    counts = []
    for world in ("one", "two"):
        lines = (runs / world / "failing" / "metrics.jsonl").read_text().splitlines()
        counts.append([json.loads(line)["grade/error"] for line in lines])
        assert counts[-1] == [json.loads(line)["rollouts/unscorable"] for line in lines]
    assert counts[0] == counts[1] and min(counts[0]) > 0


@pytest.mark.skipif(
    Version(transformers.__version__) < Version("5.18"),
    reason="transformers 5.17 cannot load an optimizer in several CPU processes (map_location='cpu:0')",
)
def test_resume_in_two_processes(runs):
    """From the checkpoint at step 3; for the cycles it lies between the two updates on a generation."""
    folder = runs / "two"
    before = {name: ledger_rows(folder / name) for name in RESUMED}
    launch(2, folder, RESUMED, resume=3)
    for name in RESUMED:
        assert ledger_rows(folder / name) == before[name]
        for rank in range(2):
            straight, resumed = read(folder, name, rank), read(folder, name, rank, "-resumed")
            assert straight["losses"] == resumed["losses"]
            assert straight["weights"] == resumed["weights"]
            kept = len(resumed["notes"])
            assert kept == (0 if name in CYCLES else 1)
            assert straight["notes"][len(straight["notes"]) - kept :] == resumed["notes"]


def test_a_process_may_keep_nothing_of_a_round(runs):
    """Of the first round's four groups each process rolls out two; somewhere only one's are trained on."""
    lopsided = 0
    for name in ("dapo", "greso", "split", "failing"):
        for note in read(runs / "two", name)["notes"]:
            of_first_round = [position for position in note["chosen"] if position < 4]
            ranks = {position // 2 for position in of_first_round}
            lopsided += len(ranks) == 1 and len(note["index"]) > 4
    assert lopsided >= 2, "the jobs are meant to contain such steps"

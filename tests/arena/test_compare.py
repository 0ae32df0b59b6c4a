"""Guards `rlkit compare` end to end: simulator, kill and resume, failures, bad input, the tiny default."""

import json
import signal
import subprocess
import time

import pytest
import yaml
from comparing import ENVIRONMENT, ROOT, command, compare, scripted, write_config

from rlkit.record.manifest import is_committed


def steps_of(run):
    return [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def starts_of(run):
    return [int(line.split()[0]) for line in (run / "starts.txt").read_text().splitlines()]


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


@pytest.mark.slow
def test_three_curricula_on_the_simulator(tmp_path):
    config = write_config(
        tmp_path, recipe="simulated", num_prompts=400, groups_per_step=8, learning_rate="2e-1"
    )
    words = ["--curricula", "uniform,dapo,odf", "--seeds", "3", "--budget", "rollouts=2000"]
    done = compare(config, tmp_path / "out", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[9/9]" in done.stdout and "## Cost to reach an accuracy" in done.stdout
    assert "\x1b" not in done.stdout  # plain lines where it is no terminal

    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert list(summary["curricula"]) == ["uniform", "dapo", "odf"] and summary["seeds"] == [0, 1, 2]
    dapo = summary["curricula"]["dapo"]
    assert dapo["effective_ratio"] == 1.0 and dapo["runs"] == 3
    assert dapo["accuracy"]["steps"]["verdict"] == "better"  # more rollouts a step
    assert 2000 <= dapo["ends_at"]["rollouts"] < 2000 + 10 * 64
    assert (tmp_path / "out" / "curves.png").exists()
    assert "| uniform | 3 |" in (tmp_path / "out" / "report.md").read_text()

    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/*/finished.json")}
    assert len(stamps) == 9
    again = compare(config, tmp_path / "out", *words, "--targets", "0.55,0.6")
    assert again.returncode == 0 and "9 of 9 runs are there already" in again.stdout
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["targets"] == [0.55, 0.6]


@pytest.mark.slow
def test_a_killed_comparison_goes_on_from_the_checkpoints(tmp_path):
    config, out = scripted(tmp_path, pause=0.03), tmp_path / "out"
    words = ["--curricula", "uniform", "--seeds", "3", "--budget", "steps=50", "--processes", "2"]
    runs = [out / f"seed-{seed}" / "uniform" for seed in range(3)]
    process = subprocess.Popen(command(config, out, *words), stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    wait_for(lambda: all(is_committed(run / "checkpoint-10") for run in runs[:2]))
    process.send_signal(signal.SIGKILL)
    process.wait()

    done = compare(config, out, *words)  # waits until the orphans have ended
    assert done.returncode == 0, done.stdout + done.stderr
    assert [steps_of(run) for run in runs] == [list(range(1, 51))] * 3
    for run in runs[:2]:
        first, second = starts_of(run)
        assert first == 0 and second >= 10 and second % 5 == 0
    assert starts_of(runs[2]) == [0]


@pytest.mark.slow
def test_an_interrupted_comparison_leaves_no_run_behind(tmp_path):
    config, out = scripted(tmp_path, pause=0.03), tmp_path / "out"
    process = subprocess.Popen(
        command(config, out, "--curricula", "uniform", "--seeds", "1", "--budget", "steps=1000"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
        # A shell starts its background jobs with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    run = out / "seed-0" / "uniform"
    wait_for(lambda: (run / "checkpoint-5").exists())
    busy = compare(config, out, "--curricula", "uniform", "--seeds", "1", "--budget", "steps=1000")
    assert busy.returncode == 2 and "is in use by another comparison" in busy.stderr
    process.send_signal(signal.SIGINT)
    assert process.wait(10) != 0
    written = steps_of(run)
    time.sleep(0.3)
    assert steps_of(run) == written and len(written) < 1000


@pytest.mark.slow
def test_a_larger_budget_goes_on_and_a_smaller_one_only_reads(tmp_path):
    config, out = scripted(tmp_path), tmp_path / "out"
    words = ["--curricula", "uniform", "--seeds", "1"]
    for budget in (12, 20, 10):
        assert compare(config, out, *words, "--budget", f"steps={budget}").returncode == 0
    assert starts_of(out / "seed-0" / "uniform") == [0, 10]
    assert steps_of(out / "seed-0" / "uniform") == list(range(1, 21))
    summary = json.loads((out / "summary.json").read_text())
    assert summary["curricula"]["uniform"]["ends_at"]["steps"] == 10


@pytest.mark.slow
def test_a_failed_run_is_told_and_stops_no_other(tmp_path):
    config, out = scripted(tmp_path, fails="dapo 1"), tmp_path / "out"
    words = ["--curricula", "uniform,dapo", "--seeds", "4", "--budget", "steps=12"]
    done = compare(config, out, *words)
    assert done.returncode == 1
    assert "dapo seed-1: FAILED, exit code 1, the end of" in done.stdout
    assert "    RuntimeError: this seed is unlucky\n" in done.stdout
    assert "about to fail" in (out / "seed-1" / "dapo.log").read_text()
    assert len(list(out.glob("*/*/finished.json"))) == 7
    summary = json.loads((out / "summary.json").read_text())
    assert summary["failed"] == ["dapo seed-1"] and summary["curricula"]["dapo"]["runs"] == 3
    assert "Failed and left out: dapo seed-1" in (out / "report.md").read_text()
    again = compare(config, out, *words)
    assert again.returncode == 1 and "7 of 8 runs are there already" in again.stdout
    settings = out / "settings.json"  # as if the config had never made it fail
    settings.write_text(settings.read_text().replace("dapo 1", ""))
    again = compare(scripted(tmp_path, fails=""), out, *words)
    assert again.returncode == 0 and "7 of 8 runs are there already" in again.stdout


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ends_at": 7}, "ended at steps=7 of steps=12: does the recipe hand `budget`"),
        ({"measures": False}, "has no held-out accuracy"),
    ],
)
def test_a_run_that_cannot_be_compared_is_a_failure(tmp_path, settings, message):
    done = compare(
        scripted(tmp_path, **settings),
        tmp_path / "out",
        "--curricula",
        "uniform",
        "--budget",
        "steps=12",
        "--seeds",
        "1",
    )
    assert done.returncode == 1 and message in done.stdout
    assert "No run came through" in done.stdout


@pytest.mark.slow
def test_each_start_is_a_block_of_its_own(tmp_path):
    config, out = scripted(tmp_path), tmp_path / "out"
    words = [
        "--curricula",
        "uniform,dapo",
        "--seeds",
        "2",
        "--vary",
        "lamp=red, deep/blue",
        "--budget",
        "steps=9",
    ]
    done = compare(config, out, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    cells = sorted(path.name for path in out.iterdir() if path.is_dir())
    assert cells == ["lamp-deep_blue-seed-0", "lamp-deep_blue-seed-1", "lamp-red-seed-0", "lamp-red-seed-1"]
    assert (out / "lamp-deep_blue-seed-1" / "dapo" / "starts.txt").read_text() == "0 deep/blue\n"
    entry = json.loads((out / "summary.json").read_text())["curricula"]["dapo"]
    assert entry["runs"] == 4 and entry["accuracy"]["steps"]["verdict"] == "too few runs to say"


@pytest.mark.slow
def test_a_preset_beside_itself_with_other_numbers(tmp_path):
    config, out = (
        write_config(tmp_path, recipe="simulated", num_prompts=400, groups_per_step=8),
        tmp_path / "out",
    )
    arms = ["mopps", "mopps:candidates=2:explore_share=0", "mopps:groups_per_step=4"]
    words = ["--curricula", ",".join(arms), "--seeds", "1", "--budget", "steps=5"]
    done = compare(config, out, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    first = {path.parent.name: path.read_text().splitlines()[0] for path in out.glob("*/*/metrics.jsonl")}
    candidates = {name: json.loads(line)["funnel/candidates"] for name, line in first.items()}
    assert candidates == {
        "mopps": 128,
        "mopps_candidates_2_explore_share_0": 16,
        "mopps_groups_per_step_4": 64,
    }
    assert list(json.loads((out / "summary.json").read_text())["curricula"]) == arms


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"--curricula": "uniform,plc"}, "curriculum='plc' is not a preset; there are: uniform"),
        ({"--curricula": "uniform,uniform"}, "curricula (uniform,uniform) must name each once"),
        ({"--curricula": "uniform,rlkit:headroom"}, "must be PRESET or PRESET:FIELD=VALUE:FIELD=VALUE"),
        ({"--curricula": "rlkit:headroom=high"}, "headroom ('high') must be a number"),
        ({"--curricula": "uniform:headroom=1"}, "('uniform:headroom=1'): uniform does not use headroom"),
        ({"--budget": "rolouts=10"}, "budget ('rolouts=10') has no axis 'rolouts'; give AXIS=AMOUNT"),
        ({"--budget": "steps=0"}, "budget ('steps=0') has no amount above 0"),
        ({"--seeds": "0"}, "seeds (0) must be at least 1"),
        ({"--processes": "0"}, "processes (0) must be at least 1"),
        ({"--vary": "lamp"}, "vary ('lamp') must be FIELD=VALUE,VALUE,..."),
        ({"--targets": "high"}, "targets ('high') must be numbers between commas, such as 0.6,0.7"),
        ({"--recipe": "nowhere.py"}, "recipe (nowhere.py) does not exist; give the path of the script"),
        ({"--budget": "rollouts=10"}, "lr_scheduler_type (linear) with warmup_steps (0) follows max_steps"),
    ],
)
def test_mistakes_are_one_line_before_anything_runs(tmp_path, words, message):
    given = {"--curricula": "uniform", "--budget": "steps=5", **words}
    done = compare(scripted(tmp_path), tmp_path / "out", *(word for pair in given.items() for word in pair))
    assert done.returncode == 2
    assert done.stderr.startswith("rlkit: ") and message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.glob("out/*/*"))


@pytest.mark.slow
def test_configs_that_say_too_little_and_folders_of_other_settings(tmp_path):
    words, out = ["--curricula", "uniform", "--budget", "steps=5", "--seeds", "1"], tmp_path / "out"
    assert "config (nowhere.yaml) does not exist" in compare("nowhere.yaml", out, *words).stderr
    assert "has no `recipe`" in compare(write_config(tmp_path, learning_rate=1.0), out, *words).stderr
    assert compare(scripted(tmp_path, pause=0.001), out, *words).returncode == 0
    changed = compare(scripted(tmp_path, pause=0.002), out, *words)
    assert changed.returncode == 2 and "holds runs of other settings (pause 0.001 -> 0.002)" in changed.stderr
    unknown = compare(write_config(tmp_path, recipe="simulated", num_promts=9), tmp_path / "sim", *words)
    assert unknown.returncode == 1 and "(did you mean num_prompts?)" in unknown.stdout


@pytest.mark.slow
def test_the_tiny_default_under_a_budget_and_on_to_a_larger_one(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "recipes")
    import addition

    tokenizer = addition.make_tokenizer()  # an untrained policy in place of the warm start
    addition._tiny_llama(tokenizer).save_pretrained(tmp_path / "start")
    tokenizer.save_pretrained(tmp_path / "start")
    settings = yaml.safe_load((ROOT / "recipes" / "configs" / "addition.yaml").read_text())
    small = {"warm_start": str(tmp_path / "start"), "num_prompts": 64, "num_heldout": 32, "heldout_steps": 2}
    recipe = str(ROOT / "recipes" / "train_addition.py")
    config = write_config(tmp_path, **{**settings, **small, "recipe": recipe})
    out = tmp_path / "out"
    done = compare(config, out, "--curricula", "uniform,pcl", "--seeds", "1", "--budget", "rollouts=300")
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((out / "summary.json").read_text())
    assert summary["curricula"]["pcl"]["selection_seconds"] > 0
    assert summary["curricula"]["pcl"]["calibration"]["brier"] is not None
    assert steps_of(out / "seed-0" / "pcl") == [1, 2, 3]

    more = compare(config, out, "--curricula", "uniform", "--seeds", "1", "--budget", "rollouts=500")
    assert more.returncode == 0, more.stdout + more.stderr
    run = out / "seed-0" / "uniform"
    assert steps_of(run) == [1, 2, 3, 4]
    heldout = [json.loads(line)["step"] for line in (run / "heldout.jsonl").read_text().splitlines()]
    assert heldout == [0, 2, 3, 4]  # at the first stop too


@pytest.mark.parametrize(
    ("metric", "settings", "message"),
    [
        ("reward", "eval_strategy: steps", "must be one of TRL's evaluations"),
        ("eval_reward", "max_steps: 3", "makes none; set eval_strategy"),
        (
            "eval_rewards/acuracy/mean",
            "eval_strategy: steps\nrewards: [my.py:accuracy]",
            "names no reward of config .*: eval_rewards/accuracy/mean",
        ),
    ],
)
def test_a_metric_that_no_run_can_have_is_told_before_any_starts(tmp_path, metric, settings, message):
    from rich.console import Console

    from rlkit.arena.compare import compare
    from rlkit.arena.plan import Comparison
    from rlkit.settings.budget import Budget

    (tmp_path / "script.py").write_text("raise SystemExit('started')")
    config = tmp_path / "config.yaml"
    config.write_text(f"recipe: script.py\nlr_scheduler_type: constant\n{settings}\n")
    comparison = Comparison(config, ("uniform",), (0,), Budget("steps", 2), tmp_path / "out")
    with pytest.raises(ValueError, match=message):
        compare(comparison, 1, Console(), metric=metric)
    assert not (tmp_path / "out").exists()

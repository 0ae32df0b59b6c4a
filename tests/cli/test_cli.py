"""Guards the command line and how light the imports are that it and the simulator need."""

import json
import os
import resource
import subprocess
import sys

import pytest

ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}


def rlkit(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "rlkit.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=ONE_THREAD, timeout=800)


def test_simulate_prints_a_table_and_writes_every_step(tmp_path):
    path = tmp_path / "history.json"
    done = rlkit(
        "simulate",
        "--preset",
        "dapo",
        "--prompts",
        "200",
        "--steps",
        "12",
        "--seed",
        "3",
        "--json",
        str(path),
    )
    assert done.returncode == 0, done.stderr
    assert "dapo, simulated" in done.stdout
    written = json.loads(path.read_text())
    assert list(written) == ["config", "summary", "steps"]
    config, summary = written["config"], written["summary"]
    assert (config["curriculum"], config["seed"], config["curriculum_seed"]) == ("dapo", 3, 3)
    assert (config["num_prompts"], config["max_rounds"], config["transfer"]) == (200, 10, 1.0)
    last = written["steps"][-1]
    assert (summary["accuracy"], summary["steps"]) == (last["accuracy"], 12)
    assert [summary[axis] for axis in ("rollouts", "tokens", "seconds")] == [
        last[name] for name in ("rollouts/spent_total", "tokens/generated_total", "seconds/total")
    ]
    assert summary["effective_ratio"] == 1.0
    assert all(summary[name] > 0 for name in ("selection_ms_per_step", "ready_seconds", "peak_resident_mb"))
    assert [row["step"] for row in written["steps"]] == list(range(1, 13))
    assert written["steps"][-1]["accuracy"] > written["steps"][0]["accuracy"]
    shown = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("│")]
    assert shown == [str(step) for step in range(1, 13)]


def test_simulate_takes_settings_from_a_file_and_options_before_them(tmp_path):
    (tmp_path / "rates.jsonl").write_text("".join(f'{{"pass_rate": {n / 63}}}\n' for n in range(64)))
    (tmp_path / "config.yaml").write_text(
        "recipe: simulated\ncurriculum: mopps\ncandidates: 2\nforgetting: 1e-3\nnum_steps: 9\nseed: 4\n"
    )
    words = ("--config", tmp_path / "config.yaml", "--difficulties", tmp_path / "rates.jsonl", "--steps", "3")
    done = rlkit("simulate", *map(str, words), "--json", str(tmp_path / "out.json"))
    assert done.returncode == 0, done.stderr
    assert "mopps, simulated" in done.stdout and "64 prompts ready in" in done.stdout
    config = json.loads((tmp_path / "out.json").read_text())["config"]
    assert (config["forgetting"], config["candidates"], config["num_steps"]) == (1e-3, 2, 3)
    assert config["seed"] == config["curriculum_seed"] == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "nowhere.yaml"], "config (nowhere.yaml) does not exist; give a YAML file"),
        (["--difficulties", "nowhere.jsonl"], "data file nowhere.jsonl does not exist"),
        (["--preset", "plc"], "curriculum='plc' is not a preset; there are: uniform, dapo, odf, "),
        (["--prompts", "10"], "the pool has 10 prompts, fewer than the 32 of one batch"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(arguments, message):
    done = rlkit("simulate", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"rlkit: {message}")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_presets_are_listed():
    done = rlkit("presets")
    assert done.returncode == 0
    for name in ("uniform", "dapo", "odf", "pcl", "oracle", "2510.01135"):
        assert name in done.stdout


def test_objectives_are_listed():
    done = rlkit("objectives")
    assert done.returncode == 0
    for word in ("judgements", "2605.11235"):
        assert word in done.stdout


def test_light_imports_load_no_torch_and_no_trl():
    modules = "import sys, rlkit, rlkit.curriculum, rlkit.hosts.simulated.host, rlkit.cli, rlkit.objectives"
    code = f"{modules}; print({{'torch', 'trl', 'transformers', 'datasets'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=800)
    assert done.stdout.strip() == "set()", done.stderr


def test_import_rlkit_alone_loads_not_even_numpy():
    loaded = "print('numpy' in sys.modules)"
    code = f"import sys, rlkit; {loaded}; rlkit.build_curriculum; {loaded}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=800)
    assert done.stdout.split() == ["False", "True"], done.stderr


def cpu_seconds(code: str) -> float:
    """The least of three runs, in seconds of processor, which other work on the machine does not stretch."""

    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True, env=ONE_THREAD)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return min(once() for _ in range(3))


def test_light_imports_take_less_than_a_third_of_a_second():
    assert cpu_seconds("import rlkit, rlkit.hosts.simulated.host") - cpu_seconds("pass") < 0.3

"""Guards the main recipe: a real launch on CPU from the shipped config, and errors before a model loads."""

import dataclasses
import json
import os
import runpy
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
from trl import GRPOConfig, ModelConfig

from rlkit import CurriculumConfig
from rlkit.record.ledger import read_ledger

REPOSITORY = Path(__file__).parents[2]
CONFIG = REPOSITORY / "recipes" / "configs" / "gsm8k_qwen2.5_0.5b.yaml"
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

# Rows in GSM8K's form; RLKIT_GSM8K names a file of the real ones.
QUESTIONS = [
    (f"Ann has {a} boxes of {b} pens and gives {c} pens away. How many pens are left?", a * b - c)
    for a, b, c in [
        (3, 12, 5),
        (7, 40, 30),
        (25, 50, 50),
        (9, 8, 70),
        (2, 6, 1),
        (11, 11, 21),
        (4, 5, 6),
        (30, 40, 100),
    ]
]


@pytest.fixture(scope="module")
def model_path(tmp_path_factory) -> Path:
    """A Qwen2-type model of random weights and a small byte-level tokenizer with a chat template."""
    path = tmp_path_factory.mktemp("model")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([question for question, _ in QUESTIONS], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", padding_side="left"
    )
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(path)
    config = Qwen2Config(
        vocab_size=len(fast),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
        bos_token_id=None,
    )
    Qwen2ForCausalLM(config).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def data_path(tmp_path_factory) -> Path:
    if "RLKIT_GSM8K" in os.environ:
        return Path(os.environ["RLKIT_GSM8K"])
    path = tmp_path_factory.mktemp("data") / "gsm8k_form.jsonl"
    rows = [{"question": q, "answer": f"It is <<{n}={n}>>{n}.\n#### {n:,}"} for q, n in QUESTIONS]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def launch(config: Path, *words: str, accelerate: bool = False) -> subprocess.CompletedProcess:
    launcher = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1"] if accelerate else []
    return subprocess.run(
        [sys.executable, *launcher, str(REPOSITORY / "recipes" / "grpo.py"), "--config", str(config), *words],
        capture_output=True,
        text=True,
        timeout=800,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)},
    )


def run_here(config: Path, monkeypatch) -> None:
    """The recipe in this process: what it does before a model loads takes no process of its own."""
    monkeypatch.setattr(sys, "argv", ["grpo.py", "--config", str(config)])
    runpy.run_path(str(REPOSITORY / "recipes" / "grpo.py"), run_name="__main__")


def on_cpu(tmp_path: Path, **changes) -> Path:
    """The shipped config with what a CPU and a tiny model need changed, as a file."""
    settings = yaml.safe_load(CONFIG.read_text())
    for name in ("dataset_name", "dataset_config"):
        settings.pop(name)
    settings |= {
        "use_vllm": False,
        "use_cpu": True,
        "bf16": False,
        "dtype": "float32",
        "per_device_train_batch_size": 8,
        "gradient_accumulation_steps": 2,
        "num_generations": 4,
        "max_completion_length": 8,
        "max_steps": 2,
        "num_eval": 2,
        "output_dir": str(tmp_path / "run"),
        **changes,
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({name: value for name, value in settings.items() if value is not None}))
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes", [{}, {"use_peft": True, "lora_target_modules": ["q_proj", "v_proj"], "curriculum": "dapo"}]
)
def test_shipped_recipe_trains_and_resumes_on_cpu(tmp_path, monkeypatch, model_path, data_path, changes):
    config = on_cpu(
        tmp_path, dataset_path=str(data_path), model_name_or_path=str(model_path), save_steps=1, **changes
    )
    done = launch(config, accelerate=True)
    assert done.returncode == 0, done.stderr[-3000:]
    run = tmp_path / "run"
    assert yaml.safe_load((run / "config.yaml").read_text())["curriculum"]["curriculum"] == changes.get(
        "curriculum", "pcl"
    )
    assert {row["step"] for row in read_ledger(run / "ledger").to_pylist()} == {1, 2}

    with pytest.raises(ValueError, match="holds another run"):
        run_here(config, monkeypatch)
    resumed = launch(config, "--max_steps", "3", "--resume_from_checkpoint", "true")
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"curriculum": "pcl2"},
            "curriculum='pcl2' is not a preset; there are: uniform, dapo, odf",
        ),
        ({"candidtes": 3}, "unknown settings: 'candidtes' (did you mean 'candidates'?)"),
        (
            {"num_generations": 5, "eval_strategy": "no"},
            "Values of num_generations that divide 16: 2, 4, 8, 16",
        ),
        ({"num_generations": 5}, "(or of num_generations_eval) that divide 8: 2, 4, 8."),
        ({"rewards": ["nowhere.py:reward"]}, "nowhere.py"),
        ({"gold_column": "solution"}, "gold column 'solution' is not in the data"),
        ({"fill": "pad"}, "fill ('pad') must be one of top_up, shrink, error"),
        ({"dataset_name": "openai/gsm8k"}, "set exactly one of them"),
        ({"eval_benchmarks": "gsm8k,gsm9k"}, "benchmark 'gsm9k' is unknown; there are gsm8k, math500"),
        ({"eval_benchmarks": "gsm8k", "eval_data": ["gsm=x"]}, "data (gsm=x): 'gsm' is not among the"),
        ({"eval_benchmarks": "gsm8k", "eval_benchmark_steps": 0}, "eval_benchmark_steps (0) must be"),
        ({"num_eval": 8}, "num_eval (8) must be at least 0 and leave rows to train on: there are 8"),
        ({"num_eval": 0}, "eval_strategy (steps) wants held-out rows, and num_eval is 0"),
        ({"columns": ["answer"]}, "columns 'answer' must be ARGUMENT=COLUMN"),
        ({"columns": ["answer=reward_model.gold"]}, "no row has 'reward_model.gold'; the data's columns are"),
        ({"per_device_train_batch_size": 64}, "the pool has 6 prompts, fewer than the 32 of one batch"),
    ],
)
def test_mistakes_are_named_before_a_model_loads(tmp_path, monkeypatch, changes, message):
    rows = [{"question": q, "answer": f"#### {n}"} for q, n in QUESTIONS]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    config = on_cpu(tmp_path, **{"dataset_path": str(data), "model_name_or_path": "no/such-model", **changes})
    with pytest.raises(ValueError) as failed:
        run_here(config, monkeypatch)
    assert message in str(failed.value)


def test_golds_that_the_reward_does_not_accept_are_dropped_or_refused(tmp_path, monkeypatch, caplog):
    rows = [{"question": q, "answer": f"#### {n}"} for q, n in QUESTIONS]
    rows[2]["answer"] = "no answer here"
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    config = on_cpu(
        tmp_path,
        dataset_path=str(data),
        model_name_or_path="no/such-model",
        rewards=["rewards.exact_integer:exact_integer"],
    )
    with pytest.raises(OSError):  # the model, which is what good rows get to
        run_here(config, monkeypatch)
    assert "1 of 8 gold answers" in caplog.text and "row 2: 'no answer here'" in caplog.text
    for row in rows[:6]:
        row["answer"] = "none"
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with pytest.raises(ValueError, match="more than half"):
        run_here(config, monkeypatch)


@pytest.mark.slow
def test_benchmarks_run_during_the_training(tmp_path, model_path, data_path):
    config = on_cpu(
        tmp_path,
        dataset_path=str(data_path),
        model_name_or_path=str(model_path),
        eval_benchmarks="gsm8k",
        eval_benchmark_steps=1,
        eval_benchmark_limit=5,
        eval_data=[f"gsm8k={data_path}"],
        save_steps=2,
    )
    done = launch(config)
    assert done.returncode == 0, done.stderr[-3000:]
    state = json.loads((tmp_path / "run" / "checkpoint-2" / "trainer_state.json").read_text())
    logged = [row for row in state["log_history"] if "eval_gsm8k/accuracy" in row]
    assert [row["step"] for row in logged] == [0, 1, 2], "the shipped file sets eval_on_start"
    assert all(0 < row["eval_gsm8k/tokens"] <= 8 for row in logged)


def test_no_setting_of_ours_has_the_name_of_another():
    ours = runpy.run_path(str(REPOSITORY / "recipes" / "grpo.py"))["RecipeArguments"]
    names = [
        field.name for kind in (ours, CurriculumConfig, GRPOConfig) for field in dataclasses.fields(kind)
    ]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert not {field.name for field in dataclasses.fields(ours)} & {
        field.name for field in dataclasses.fields(ModelConfig)
    }


def test_the_same_file_serves_the_asynchronous_trainer(tmp_path, monkeypatch, model_path, data_path):
    """All is checked until the server, of which there is none."""
    common = {"model_name_or_path": str(model_path), "dataset_path": str(data_path), "async": True}
    common |= {"vllm_server_base_url": "http://127.0.0.1:9", "vllm_server_timeout": 0.1}
    with pytest.raises(ValueError, match="curriculum='pcl' looks at the policy itself"):
        run_here(on_cpu(tmp_path, **common), monkeypatch)
    with pytest.raises(ValueError, match="no vLLM server answers there"):
        run_here(on_cpu(tmp_path, **common, curriculum="dapo"), monkeypatch)
    with pytest.raises(ValueError, match=r"no beta \(0.1\)"):
        run_here(on_cpu(tmp_path, **common, curriculum="dapo", beta=0.1), monkeypatch)


@pytest.mark.slow
def test_the_arena_compares_it_by_trls_evaluations(tmp_path, model_path, data_path):
    config = on_cpu(
        tmp_path,
        dataset_path=str(data_path),
        model_name_or_path=str(model_path),
        recipe=str(REPOSITORY / "recipes" / "grpo.py"),
        eval_steps=1,
    )
    words = [
        "--curricula",
        "uniform",
        "--seeds",
        "1",
        "--budget",
        "rollouts=20",
        "--out",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "rlkit.cli", "compare", str(config), *words],
        capture_output=True,
        text=True,
        timeout=800,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(REPOSITORY)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    ends_at = summary["curricula"]["uniform"]["ends_at"]
    assert (ends_at["steps"], ends_at["rollouts"]) == (2, 32)
    assert summary["equal_cost"]["steps"] == 1  # the mean of evaluations before step 1 and after 1 and 2


def test_rows_without_golds_are_not_checked_against_them(tmp_path, monkeypatch):
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(f"{json.dumps({'question': q})}\n" for q, _ in QUESTIONS))
    config = on_cpu(
        tmp_path,
        dataset_path=str(data),
        model_name_or_path="no/such-model",
        rewards=["rewards.think_tags:think_tags"],
        per_device_train_batch_size=64,
    )
    config.write_text(config.read_text() + "gold_column: null\n")
    with pytest.raises(
        ValueError, match="the pool has 6 prompts"
    ):  # the check that comes after that of golds
        run_here(config, monkeypatch)


@pytest.mark.parametrize("gold_column", ["answer", "reward_model.ground_truth"])
def test_data_of_verls_form_with_a_byte_order_mark(tmp_path, monkeypatch, caplog, gold_column):
    rows = [
        {
            "prompt": [{"role": "user", "content": q}],
            "reward_model": {"style": "rule", "ground_truth": str(n)},
        }
        for q, n in QUESTIONS
    ]
    rows[1]["reward_model"]["ground_truth"] = "no answer here"
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8-sig")
    config = on_cpu(
        tmp_path,
        dataset_path=str(data),
        columns=["answer=reward_model.ground_truth"],
        gold_column=gold_column,
        model_name_or_path="no/such-model",
        rewards=["rewards.exact_integer:exact_integer"],
    )
    with pytest.raises(OSError):  # the model, which is what good rows get to
        run_here(config, monkeypatch)
    assert "1 of 8 gold answers" in caplog.text and "row 1: 'no answer here'" in caplog.text


SIGNALING = """
import os, pathlib, signal
def reward(completions, trainer_state, **columns):
    signaled = pathlib.Path(__file__).with_suffix(".signaled")
    if trainer_state.global_step == 1 and trainer_state.max_steps > 1 and not signaled.exists():
        signaled.touch()
        os.kill(os.getpid(), signal.SIGTERM)
    return [1.0] * len(completions)

def nothing(completions, trainer_state, **columns):
    return [None if trainer_state.max_steps > 1 else 1.0] * len(completions)
"""


@pytest.mark.slow
def test_sigterm_exits_0_and_resume_auto_goes_on(tmp_path, model_path, data_path):
    """Also where there is no checkpoint yet; a model is saved as the run's result at its end only."""
    rewards = tmp_path / "signaling.py"
    rewards.write_text(SIGNALING)
    data = {"dataset_path": str(data_path), "model_name_or_path": str(model_path)}
    config = on_cpu(tmp_path, **data, rewards=[f"{rewards}:reward"], max_steps=4, resume="auto")
    done = launch(config)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "rlkit: starting anew" in done.stdout
    assert (
        "rlkit: stopped by SIGTERM after step 2; go on with the same command and --resume auto" in done.stdout
    )
    run = tmp_path / "run"
    assert (run / "checkpoint-2").is_dir() and not (run / "model.safetensors").exists()
    done = launch(config)
    assert done.returncode == 0 and f"rlkit: going on from {run}/checkpoint-2" in done.stdout
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4] and (run / "model.safetensors").exists()


@pytest.mark.slow
def test_a_run_that_cannot_be_graded_ends_with_one_line_and_exit_code_1(tmp_path, model_path, data_path):
    rewards = tmp_path / "rewards.py"
    rewards.write_text(SIGNALING)
    data = {"dataset_path": str(data_path), "model_name_or_path": str(model_path)}
    ungraded = {"max_ungraded_steps": 2, "max_steps": 9, "rewards": [f"{rewards}:nothing"]}
    done = launch(on_cpu(tmp_path, **data, **ungraded))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "rlkit: stopped after step 2: no completion could be graded"
    )
    assert (tmp_path / "run" / "checkpoint-2").is_dir()


def test_two_ways_to_resume_at_once_are_refused(tmp_path, monkeypatch):
    config = on_cpu(tmp_path, resume="auto", resume_from_checkpoint="true")
    with pytest.raises(ValueError, match=r"resume \(auto\) and resume_from_checkpoint \(true\) are both set"):
        run_here(config, monkeypatch)

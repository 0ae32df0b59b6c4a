"""Guards what is told before a model loads: settings, data, rewards, presets, the server."""

import os
from pathlib import Path

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

import numpy as np
import pytest
import requests
from async_runs import free_port, low_digits, make_args, messages
from servers import serving
from tiny_judge import make_judging_tokenizer
from tiny_vllm import save_model
from trl import GRPOConfig

from rlkit import AsyncCurriculumGRPOTrainer, CurriculumConfig
from rlkit.hosts.async_trl.checks import Fits, working_presets
from rlkit.hosts.async_trl.server import Server
from rlkit.hosts.async_trl.translated import from_sync
from rlkit.prompts.pool import make_pool


def build(
    tmp_path: Path,
    *,
    url="http://127.0.0.1:9",
    curriculum="uniform",
    reward=low_digits,
    data=None,
    **settings,
):
    args = make_args(tmp_path, url, vllm_server_timeout=0.1, **settings)
    return AsyncCurriculumGRPOTrainer(
        str(tmp_path.parent / "model"),
        reward,
        args,
        messages(40) if data is None else data,
        curriculum=curriculum,
        processing_class=make_judging_tokenizer(),
    )


def test_no_server(tmp_path):
    with pytest.raises(ValueError, match=r"vllm_server_base_url \(http://127.0.0.1:9\): no vLLM server"):
        build(tmp_path)


def test_max_staleness_0(tmp_path):
    with pytest.raises(ValueError, match=r"max_staleness \(0\) must be at least 1"):
        build(tmp_path, max_staleness=0)


def test_a_step_of_parts_of_groups(tmp_path):
    with pytest.raises(
        ValueError, match=r"step's 6 completions .* must be a multiple of num_generations \(4\)"
    ):
        build(tmp_path, per_device_train_batch_size=6)


@pytest.mark.parametrize("name", ["pcl", "metis", "speed", "vcrl", "dots", "lilo"])
def test_presets_that_cannot_run_name_those_that_can(tmp_path, name):
    numbers = {"screen": 2} if name == "speed" else {}
    with pytest.raises(ValueError, match=rf"curriculum='{name}' .* these presets work: uniform, dapo,"):
        build(tmp_path, curriculum=CurriculumConfig(name, **numbers))


def test_a_share_for_replay_cannot(tmp_path):
    with pytest.raises(ValueError, match=r"gives replay a share of each batch beforehand \(replay_share\)"):
        build(tmp_path, curriculum=CurriculumConfig("ssb", replay_share=0.5))


@pytest.mark.parametrize("name", ["states", "last_state"])
def test_features_of_the_policy_cannot(tmp_path, name):
    with pytest.raises(ValueError, match=rf"looks at the policy itself \({name}\), which is with the update"):
        build(tmp_path, curriculum=CurriculumConfig("rlkit", value_features=f"text,{name}"))


def test_a_value_model_of_texts_can(tmp_path):
    assert {"uniform", "dapo", "odf", "mopps"} <= set(working_presets())
    assert {"perplexity_band", "ssb", "rlkit", "rlkit_replay"} <= set(working_presets())
    with pytest.raises(ValueError, match="no vLLM server"):  # all before it was accepted
        build(tmp_path, curriculum=CurriculumConfig("rlkit", value_features="text,past,likelihood"))


def test_arguments_without_a_place(tmp_path):
    with pytest.raises(ValueError, match=r"environment_factory \(<class 'dict'>\): .* runs no environments"):
        AsyncCurriculumGRPOTrainer("model", low_digits, environment_factory=dict)


def test_an_unpicklable_reward_is_named(tmp_path):
    def inner(completions, **columns):
        return [0.0 for _ in completions]

    with pytest.raises(ValueError, match=r"reward function 'inner' cannot be pickled .* top of a module"):
        build(tmp_path, reward=[low_digits, inner])


def test_data_without_a_length_and_plain_texts(tmp_path):
    with pytest.raises(ValueError, match=r"train_dataset \(IterableDataset\) has no length"):
        build(tmp_path, data=messages(40).to_iterable_dataset())
    with pytest.raises(ValueError, match="plain text"):
        build(tmp_path, data=[{"prompt": f"{i}"} for i in range(40)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--other-vocabulary"], "another vocabulary than the model"),
        (["--old"], "is vLLM 0.9.0, which does not return the tokens"),
        ([], "serves .*/other', and the model is"),
    ],
)
def test_another_server(tmp_path, options, message):
    name = "model" if options else "other"
    save_model(tmp_path / name)
    port = free_port()
    with serving(tmp_path / name, port, False, *options), pytest.raises(ValueError, match=message):
        (tmp_path / "run").mkdir()
        if "--old" in options:
            with pytest.raises(ValueError, match=r"\(prompt_logprobs\), which value_features"):
                Server(f"http://127.0.0.1:{port}").token_logps(str(tmp_path / name), [[1, 2]])
        build(tmp_path / "run", url=f"http://127.0.0.1:{port}")


def test_a_server_that_a_killed_trainer_left_paused_is_woken(tmp_path):
    save_model(tmp_path / "model")
    port = free_port()
    server = Server(f"http://127.0.0.1:{port}")
    with serving(tmp_path / "model", port, False):
        requests.post(f"{server.url}/pause", timeout=10)
        assert server.check(str(tmp_path / "model"), make_judging_tokenizer(), "12") == 256


def test_rows_that_the_server_cannot_complete_are_left_out(caplog):
    prompts = [[{"role": "user", "content": text}] for text in ("12", "1" * 50)]
    pool = make_pool([{"prompt": prompt} for prompt in (*prompts, None)])
    fits = Fits(pool, make_judging_tokenizer().apply_chat_template, room=20)
    assert fits(np.arange(3)).tolist() == [True, False, False]
    assert "row 1 of the pool is left out: its prompt has" in caplog.text
    assert "row 2 of the pool is left out: the chat template does not take None" in caplog.text


def test_the_settings_of_the_synchronous_trainer_serve(tmp_path):
    args = GRPOConfig(
        str(tmp_path), num_generations=4, per_device_train_batch_size=8, bf16=False, max_steps=9
    )
    other = from_sync(args, max_staleness=3)
    assert (other.num_generations, other.max_steps, other.max_staleness) == (4, 9, 3)
    assert other.max_completion_length == args.max_completion_length
    with pytest.raises(ValueError, match=r"no beta \(0.1\)"):
        from_sync(GRPOConfig(str(tmp_path), beta=0.1, bf16=False, num_generations=8))

"""Guards groups that outlast a step or differ in size: whole batches, honest ratios, right accounts."""

import numpy as np
import pytest
import torch
from tiny_trl import (
    GROUPS,
    NUM_GENERATIONS,
    Recorder,
    Watching,
    by_place,
    even_start,
    ledger_rows,
    make_data,
    make_model,
    make_tokenizer,
    make_trainer,
    metrics,
    success_rate,
    weights,
)
from trl.trainer.utils import nanstd

from rlkit import CurriculumConfig

ROWS = GROUPS * NUM_GENERATIONS
SPEED = CurriculumConfig(curriculum="speed", screen=2)


class Remembering(Watching):
    """Also keeps the policy of each step, as it was when the step's completions were made."""

    def __init__(self, *args, **kwargs):
        self.policies = []
        super().__init__(*args, **kwargs)

    def _generate_and_score_completions(self, inputs):
        policy = make_model()
        policy.load_state_dict(weights(self))
        self.policies.append(policy.eval())
        return super()._generate_and_score_completions(inputs)

    def _compute_loss(self, model, inputs):
        loss = super()._compute_loss(model, inputs)
        self.batches[-1]["old_per_token_logps"] = inputs["old_per_token_logps"]  # with the loss's own
        return loss


def trained_rows(folder, step) -> dict[str, dict]:
    """The ledger's trained groups of a step by the text of their prompt."""
    data = make_data()
    rows = [row for row in ledger_rows(folder) if row["step"] == step and row["trained"]]
    return {data[row["index"]]["prompt"]: row for row in rows}


def logprobs(model, prompt_ids, completion_ids):
    ids = torch.cat([prompt_ids, completion_ids])[None]
    with torch.no_grad():
        values = model(ids).logits[0, len(prompt_ids) - 1 : -1].log_softmax(-1)
    return values.gather(1, completion_ids[:, None])[:, 0]


@pytest.mark.parametrize(
    "curriculum",
    [CurriculumConfig("ssb"), CurriculumConfig("ssb", replay_share=0.5), SPEED],
    ids=["ssb", "share", "speed"],
)
def test_old_logprobs_are_of_the_policy_that_sampled(tmp_path, curriculum):
    if curriculum.curriculum == "speed":  # many are screened and few are missing, so that some wait
        curriculum = CurriculumConfig(curriculum="speed", screen=2, max_rounds=2)
    trainer = make_trainer(tmp_path, curriculum, kind=Remembering, max_steps=6)
    trainer.train()
    tokenizer, ages = make_tokenizer(), []
    for step, batch in enumerate(trainer.batches, start=1):
        groups = trained_rows(tmp_path, step)
        for row in range(ROWS):
            prompt = batch["prompt_ids"][row][batch["prompt_mask"][row].bool()]
            length = int(batch["completion_mask"][row].sum())
            completion = batch["completion_ids"][row][:length]
            old = batch["old_per_token_logps"][row][:length]
            possible = sorted(set(groups[tokenizer.decode(prompt)]["ages"]))
            matches = [
                age
                for age in possible
                if torch.allclose(
                    logprobs(trainer.policies[step - 1 - age], prompt, completion), old, atol=1e-5
                )
            ]
            assert matches, "the logprobs are of no policy that this group was sampled from"
            ages += matches if len(matches) == 1 else []
    assert max(ages) >= 1, "the test needs completions of an earlier policy"
    assert ages.count(0) > 0


def test_replay_fills_what_has_no_variance(tmp_path):
    trainer = make_trainer(tmp_path, "ssb", kind=Watching, max_steps=6)
    trainer.train()
    replayed, waiting = 0, 0
    for step, row in enumerate(metrics(tmp_path), start=1):
        groups = [group for group in ledger_rows(tmp_path) if group["step"] == step]
        fresh = [group for group in groups if group["reason"] != "replayed"]
        again = [group for group in groups if group["reason"] == "replayed"]
        replayed += len(again)
        assert len(fresh) == GROUPS and row["rollouts/spent"] == ROWS
        assert sum(group["trained"] for group in groups) == GROUPS
        assert row["rollouts/stale"] == len(again) * NUM_GENERATIONS
        assert all(group["trained"] and 1 <= min(group["ages"]) <= max(group["ages"]) <= 4 for group in again)
        assert len({group["index"] for group in groups}) == len(groups)
        missing = sum(group["reason"] != "kept" for group in fresh)
        assert len(again) == min(missing, waiting)
        waiting = row["shelf/groups"]
    assert replayed >= 3


def test_screening_costs_what_it_says_and_trains_whole_groups(tmp_path):
    recorder = Recorder(even_start)
    trainer = make_trainer(tmp_path, SPEED, recorder, kind=Watching, max_steps=5)
    trainer.train()
    rows, lines = ledger_rows(tmp_path), metrics(tmp_path)
    assert sum(line["rollouts/spent"] for line in lines) == len(recorder.rows)
    fresh = sum(age == 0 for row in rows for age in row["ages"])
    assert fresh == len(recorder.rows)
    tokens = sum(
        length for row in rows for length, age in zip(row["lengths"], row["ages"], strict=True) if not age
    )
    assert tokens == sum(line["tokens/generated"] for line in lines)
    for row in rows:
        screened = row["signals"][:2]
        if row["trained"]:
            assert len(row["signals"]) == NUM_GENERATIONS
        if row["reason"] == "kept":
            assert len(set(screened)) == 2, "only what differs in the screen gets the rest"
        elif row["reason"] in ("all_high", "all_low") and not row["trained"]:
            assert len(row["signals"]) == 2 and len(set(screened)) == 1
    assert [len(batch["completion_ids"]) for batch in trainer.batches] == [ROWS] * 5
    assert any(len(row["signals"]) == 2 for row in rows)


def test_a_screen_that_nothing_passes_still_fills_the_batch(tmp_path):
    def always_wrong(completions, **columns):
        return [0.0] * len(completions)

    config = CurriculumConfig(curriculum="speed", screen=2, max_rounds=2)
    trainer = make_trainer(tmp_path, config, always_wrong, kind=Watching, max_steps=2)
    trainer.train()
    for line in metrics(tmp_path):
        assert line["funnel/topped_up"] == GROUPS
        assert line["rollouts/spent"] == 2 * line["funnel/graded"] + 2 * GROUPS
    assert [len(batch["completion_ids"]) for batch in trainer.batches] == [ROWS] * 2


def test_update_gets_each_completion_with_its_own_advantage(tmp_path):
    for name, curriculum in {"speed": SPEED, "ssb": "ssb"}.items():
        trainer = make_trainer(tmp_path / name, curriculum, kind=Watching, max_steps=4)
        trainer.train()
        tokenizer = make_tokenizer()
        for batch in trainer.batches:
            for ids, advantage in zip(batch["completion_ids"], batch["advantages"].tolist(), strict=True):
                right = even_start([tokenizer.decode(ids, skip_special_tokens=True)])[0] == 1.0
                assert not advantage or right == (advantage > 0)


@pytest.mark.parametrize("scale_rewards", ["group", "batch", "none"])
def test_groups_of_several_sizes_have_their_own_statistics(tmp_path, scale_rewards):
    config = CurriculumConfig(curriculum="vip", value_learning_rate=0.1)
    trainer = make_trainer(
        tmp_path, config, kind=Watching, max_steps=4, scale_rewards=scale_rewards, num_generations=4
    )
    trainer.train()
    tokenizer, sizes = make_tokenizer(), set()
    for step, batch in enumerate(trainer.batches, start=1):
        prompts = tokenizer.batch_decode(batch["prompt_ids"], skip_special_tokens=True)
        groups = trained_rows(tmp_path, step)
        rewards = {prompt: torch.tensor(row["rewards"]) for prompt, row in groups.items()}
        assert sorted(prompts) == sorted(p for p, values in rewards.items() for _ in values)
        assert len(prompts) == ROWS
        sizes |= {len(values) for values in rewards.values()}
        everything = torch.cat(list(rewards.values()))
        for prompt, values in rewards.items():
            expected = values - values.mean()
            if scale_rewards != "none":
                expected = expected / (nanstd(values if scale_rewards == "group" else everything) + 1e-4)
            got = [a for p, a in zip(prompts, batch["advantages"].tolist(), strict=True) if p == prompt]
            assert sorted(got) == pytest.approx(sorted(expected.tolist()), abs=1e-5)
    assert len(sizes) > 2


def test_equal_allocation_is_the_plain_curriculum(tmp_path):
    """Without opinions all get as much: the uniform run bit for bit."""
    runs = {}
    for name, allocation in {"plain": None, "shared": "knapsack"}.items():
        config = CurriculumConfig(curriculum="uniform", allocation=allocation)
        runs[name] = make_trainer(tmp_path / name, config, by_place(), kind=Watching, max_steps=3)
        runs[name].train()
    assert ledger_rows(tmp_path / "plain") == ledger_rows(tmp_path / "shared")
    for one, other in zip(runs["plain"].batches, runs["shared"].batches, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_cannot_work_is_told_before_the_model_loads(tmp_path):
    with pytest.raises(ValueError, match=r"screen \(4\) must be below num_generations \(4\)"):
        make_trainer(tmp_path, "speed", model="no/such-model")
    with pytest.raises(ValueError, match="allocation shares out one round"):
        make_trainer(tmp_path, CurriculumConfig(curriculum="dapo", allocation="vip"), model="no/such-model")
    with pytest.raises(ValueError, match="keeps groups for later"):
        make_trainer(tmp_path, CurriculumConfig(curriculum="ssb", allocation="vip"), model="no/such-model")
    with pytest.raises(ValueError, match="multi_objective_aggregation"):
        make_trainer(tmp_path, "vip", model="no/such-model", multi_objective_aggregation="normalize_then_sum")
    pictures = make_data(8).add_column("image", [None] * 8)
    with pytest.raises(ValueError, match="image"):
        make_trainer(tmp_path, "ssb", model="no/such-model", data=pictures)


def test_knapsack_gives_more_to_hard_prompts_that_were_seen(tmp_path):
    config = CurriculumConfig(curriculum="knapsack")
    make_trainer(tmp_path, config, by_place(), data=make_data(12), max_steps=6).train()
    later = [row for row in ledger_rows(tmp_path) if row["step"] > 3]
    rates = np.array([success_rate(make_data(12)[row["index"]]["prompt"]) for row in later])
    sizes = np.array([len(row["signals"]) for row in later])
    assert set(rates) >= {0.25, 0.5, 0.75}
    assert sizes[rates == 0.25].mean() > sizes[rates == 0.75].mean()

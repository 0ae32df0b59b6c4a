"""Guards prompts none of which can be used: the first hundred that fail alike end the run."""

import pytest
from datasets import Dataset
from tiny_trl import make_tokenizer, make_trainer

from rlkit.collect import UnfilledBatchError
from rlkit.hosts.trl.prompts import NUM_ALIKE, UnusablePromptsError


def messages(num):
    return Dataset.from_list([{"prompt": [{"role": "user", "content": f"{i:03d}"}]} for i in range(num)])


def without_template():
    tokenizer = make_tokenizer()
    tokenizer.chat_template = None
    return {"processing_class": tokenizer}


@pytest.mark.parametrize("num", [24, 3 * NUM_ALIKE])
@pytest.mark.parametrize("preset", ["uniform", "dapo", "rlkit", "pcl", "dots", "retire"])
def test_prompts_that_all_fail_alike_end_the_run(tmp_path, preset, num):
    extra = without_template()
    trainer = make_trainer(tmp_path, preset, data=messages(num), extra=extra, max_steps=1)
    first = min(num, NUM_ALIKE)
    said = rf"none of the first {first} prompts of {num} .*one reason \(ValueError\).*chat.template"
    with pytest.raises(UnusablePromptsError, match=said):
        trainer.train()


@pytest.mark.parametrize("preset", ["rlkit", "dapo", "dots"])
def test_prompts_that_fail_for_several_reasons_end_it_too(tmp_path, preset):
    data = Dataset.from_dict({"prompt": ["" if i % 2 else "1" * 70 for i in range(24)], "seed": range(24)})
    trainer = make_trainer(tmp_path, preset, data=data, max_steps=1)
    with pytest.raises(UnfilledBatchError, match=r"0 prompts could be rolled out for a batch of 4.*24 cann"):
        trainer.train()


def test_one_good_prompt_among_the_first_is_enough_to_go_on(tmp_path):
    texts = [f"{i:03d}=" if i % 3 == 0 else "" for i in range(3 * NUM_ALIKE)]
    data = Dataset.from_dict({"prompt": texts, "seed": range(len(texts))})
    make_trainer(tmp_path, "uniform", data=data, max_steps=2).train()

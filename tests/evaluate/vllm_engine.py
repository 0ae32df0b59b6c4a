"""A process of its own for `test_engines.py`: vllm_engine.py MODEL compares vLLM with transformers."""

import os
import sys

os.environ["VLLM_CPU_KVCACHE_SPACE"] = "1"
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
os.environ["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
os.environ["TORCHDYNAMO_DISABLE"] = "1"

from rlkit.evaluate.engines import Sampling, check_engine, load_engine

TEXTS = ["1+1=", "12+13=", "7+8="]
GREEDY = Sampling(max_new_tokens=6, temperature=0)
DRAWN = Sampling(num_samples=4, max_new_tokens=6)


def main(model: str) -> None:
    check_engine("vllm")
    expected = load_engine(model, "transformers", 8)
    engine = load_engine(model, "vllm", 8)
    ids = [engine.tokenizer(text)["input_ids"] for text in TEXTS]
    greedy = engine.sample(ids, GREEDY, 0)
    assert greedy == expected.sample(ids, GREEDY, 0)
    first, again, other = (engine.sample(ids, DRAWN, seed) for seed in (1, 1, 2))
    assert first == again != other
    twins = engine.sample([ids[0], ids[0]], DRAWN, 1)
    assert twins[0] != twins[1]  # two problems with one prompt draw noise of their own
    stop = greedy[0][0].text[1:3]
    stopped = Sampling(max_new_tokens=6, temperature=0, stop=(stop,))
    assert engine.sample(ids, stopped, 0)[0] == expected.sample(ids, stopped, 0)[0]
    engine.close()
    print("same greedy, same seed, other seed, other prompts, stopped")


if __name__ == "__main__":
    main(sys.argv[1])

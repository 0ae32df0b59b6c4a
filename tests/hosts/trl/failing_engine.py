"""Two processes whose one server fails once, through TRL's own generation: failing_engine.py OUTPUT."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

from accelerate import Accelerator
from trl.generation.vllm_generation import VLLMGeneration

from rlkit.hosts.trl.retry import Retry
from rlkit.settings import program


class Client:
    """Answers each prompt with itself; the second request meets a server that is away."""

    def __init__(self):
        self.requests = []

    def generate(self, prompts, n, **_):
        self.requests.append(prompts)
        if len(self.requests) == 2:
            raise ConnectionError("server is away")
        ids = [prompt for prompt in prompts for _ in range(n)]
        return {"prompt_ids": prompts, "completion_ids": ids, "logprobs": None}


accelerator = Accelerator(cpu=True)
generation = VLLMGeneration.__new__(VLLMGeneration)
SETTINGS = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "max_completion_length",
    "logprobs",
)
vars(generation).update(dict.fromkeys(SETTINGS, 1))
vars(generation).update(accelerator=accelerator, mode="server", enable_sleep_mode=False)
vars(generation).update(structured_outputs_regex=None, generation_kwargs={})
if accelerator.is_main_process:
    generation.vllm_client = Client()
trainer = SimpleNamespace(
    accelerator=accelerator,
    is_fsdp_enabled=False,
    is_deepspeed_enabled=False,
    use_vllm=True,
    args=SimpleNamespace(vllm_mode="server", vllm_tensor_parallel_size=1),
    vllm_generation=generation,
    watch=SimpleNamespace(is_news=lambda _: True),
)
retry = Retry(trainer)
retry.guard_engine()
rank = accelerator.process_index
given = []
for number in range(3):
    prompts = [[rank, number]] * 2
    given.append(retry(generation.generate, prompts, None, 2)[1])
client = vars(generation).get("vllm_client")
seen = {"given": given, "failed": retry.num_failed, "requests": client and client.requests}
Path(sys.argv[1], f"{rank}.json").write_text(json.dumps(seen))
accelerator.wait_for_everyone()
program.leave()

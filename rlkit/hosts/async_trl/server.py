"""What is asked of the vLLM server beside completions: does it serve this model; how likely are tokens."""

import logging
import time
from typing import Any

logger = logging.getLogger(__name__)

SECONDS = 10.0
"""For an answer to one of these questions."""


class Server:
    """A vLLM server's OpenAI interface.

    Args:
        url: its address.
        timeout: seconds that it may be away.
    """

    def __init__(self, url: str, timeout: float = 240.0):
        self.url, self.timeout = url.rstrip("/"), timeout

    def is_up(self) -> bool:
        import requests

        try:
            return requests.get(f"{self.url}/health", timeout=SECONDS).status_code == 200
        except requests.RequestException:
            return False

    def wait(self) -> None:
        """Until it answers.

        Raises:
            ValueError: it does not in time.
        """
        deadline = time.monotonic() + self.timeout
        told = False
        while not self.is_up():
            if time.monotonic() > deadline:
                raise ValueError(
                    f"vllm_server_base_url ({self.url}): no vLLM server answers there, after "
                    f"{self.timeout:g} s (vllm_server_timeout); start one first (docs/async.md has the "
                    "command), or use CurriculumGRPOTrainer, which needs none"
                )
            if not told:
                logger.warning("waiting for the vLLM server at %s", self.url)
                told = True
            time.sleep(0.5)

    def check(self, model: str, tokenizer: Any, text: str) -> int:
        """That it serves `model`, cuts `text` into the same tokens, and returns the tokens that it samples.

        Returns:
            The tokens that a prompt and its completion may have together.

        Raises:
            ValueError: it does not; what it does instead.
        """
        served = {entry["id"]: entry for entry in self._ask("get", "/v1/models")["data"]}
        if model not in served:
            raise ValueError(
                f"vllm_server_base_url ({self.url}) serves {', '.join(map(repr, served))}, and the model is "
                f"{model!r}; start it with this model, or add --served-model-name {model}"
            )
        ours = tokenizer(text, add_special_tokens=False)["input_ids"]
        asked = {"model": model, "prompt": text, "add_special_tokens": False}
        theirs = self._ask("post", "/tokenize", json=asked)["tokens"]
        if ours != theirs:
            raise ValueError(
                f"vllm_server_base_url ({self.url}) has another vocabulary than the model: {text[:40]!r} is "
                f"{ours[:8]} here and {theirs[:8]} there; start it with this model's tokenizer (--tokenizer)"
            )
        self.wake()
        asked = {"model": model, "prompt": ours, "max_tokens": 1, "return_token_ids": True, "logprobs": 0}
        (choice,) = self._ask("post", "/v1/completions", json=asked)["choices"]
        if not choice.get("token_ids") or not choice.get("logprobs"):
            version = self._ask("get", "/version").get("version", "of no known version")
            raise ValueError(
                f"vllm_server_base_url ({self.url}) is vLLM {version}, which does not return the tokens that "
                "it samples; TRL's asynchronous trainer needs them: use vllm>=0.22,<=0.31"
            )
        return served[model]["max_model_len"]

    def token_logps(self, model: str, ids: list[list[int]]) -> list[list[float]]:
        """The log-probability of each token after the first, given those before it, without temperature.

        A server that is away is waited for.

        Raises:
            ValueError: it does not come back, refuses, or does not tell.
        """
        import requests

        asked = {"model": model, "prompt": ids, "max_tokens": 1, "prompt_logprobs": 0}
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                choices = self._ask("post", "/v1/completions", json=asked)["choices"]
                break
            except requests.RequestException:
                if time.monotonic() > deadline:
                    raise
                self.wait()
        told = [choice.get("prompt_logprobs") for choice in choices]
        if None in told or len(told) != len(ids):
            raise ValueError(
                f"vllm_server_base_url ({self.url}) does not tell the log-probabilities of a prompt's tokens "
                "(prompt_logprobs), which value_features with likelihood, and curriculum='perplexity_band', "
                "look at: use vllm>=0.22,<=0.31, or leave them out"
            )
        return [
            [said[str(token)]["logprob"] for token, said in zip(row[1:], of_row[1:], strict=True)]
            for row, of_row in zip(ids, told, strict=True)
        ]

    def wake(self) -> None:
        """A trainer that was killed amid a weight sync left the server paused, and it answers nothing."""
        import requests

        requests.post(f"{self.url}/resume", timeout=60)

    def _ask(self, method: str, path: str, **payload: Any) -> dict[str, Any]:
        import requests

        response = requests.request(method, f"{self.url}{path}", timeout=60, **payload)
        if response.status_code != 200:
            raise ValueError(
                f"vllm_server_base_url ({self.url}) answers {path} with {response.status_code} "
                f"({response.text[:200]}); it has to be a vLLM server of version 0.22 to 0.31"
            )
        return response.json()

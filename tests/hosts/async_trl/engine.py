"""A small engine with vLLM's interface, for tests without vLLM.

    python engine.py MODEL PORT [--other-vocabulary|--old]

It samples from the tiny model with transformers, and takes new weights from a file.
"""

import json
import queue
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

OPTIONS = ("--other-vocabulary", "--old")


class Engine:
    def __init__(self, model: str, options: list[str]):
        self.name, self.options = model, options
        self.model = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        self.lock = threading.Lock()
        self.file: Path | None = None
        self.awake = threading.Event()
        self.awake.set()
        self.asked: queue.SimpleQueue = queue.SimpleQueue()
        threading.Thread(target=self.serve, daemon=True).start()

    def answer(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        match path:
            case "/v1/models":
                return {"data": [{"id": self.name, "max_model_len": 256}]}
            case "/version":
                return {"version": "0.9.0"}
            case "/tokenize":
                ids = self.tokenizer(asked["prompt"], add_special_tokens=False)["input_ids"]
                return {"tokens": ids[::-1] if "--other-vocabulary" in self.options else ids}
            case "/pause":
                self.awake.clear()
            case "/resume":
                self.awake.set()
            case "/v1/completions" if "prompt_logprobs" in asked:
                self.awake.wait()
                return {"choices": [self.read(ids) for ids in asked["prompt"]]}
            case "/v1/completions":
                self.awake.wait()
                answered: Future = Future()
                self.asked.put((asked, answered))
                return {"choices": [answered.result()]}
            case "/init_weight_transfer_engine":
                self.file = Path(asked["init_info"]["file"])
            case "/update_weights":
                assert self.file is not None, "no weights were announced"
                with self.lock:
                    self.model.load_state_dict(load_file(self.file), strict=False)
                self.file.unlink()
        return {}

    def serve(self) -> None:
        """Samples for all who asked meanwhile, those with prompts of a length together."""
        while True:
            waiting = [self.asked.get()]
            with suppress(queue.Empty):
                while len(waiting) < 256:
                    waiting.append(self.asked.get(timeout=0.002))
            alike: dict[int, list] = {}
            for asked, answered in waiting:
                alike.setdefault(len(asked["prompt"]), []).append((asked, answered))
            for requests in alike.values():
                with self.lock:
                    choices = self.sample([asked for asked, _ in requests])
                for (_, answered), choice in zip(requests, choices, strict=True):
                    answered.set_result(choice)

    @torch.no_grad()
    def sample(self, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Tokens with their log-probabilities, up to the end token, 0, or the most that each may have."""
        ids = torch.tensor([asked["prompt"] for asked in requests])
        cache, tokens, logprobs = None, [], []
        for _ in range(max(asked["max_tokens"] for asked in requests)):
            output = self.model(ids, past_key_values=cache, use_cache=True)
            cache, logits = output.past_key_values, output.logits[:, -1]
            ids = torch.multinomial(logits.softmax(1), 1)
            tokens.append(ids[:, 0])
            logprobs.append(logits.log_softmax(1).gather(1, ids)[:, 0])
        token_RT, logprob_RT = torch.stack(tokens, 1).tolist(), torch.stack(logprobs, 1).tolist()
        return [
            self.choice(asked, token_T, logprob_T)
            for asked, token_T, logprob_T in zip(requests, token_RT, logprob_RT, strict=True)
        ]

    @torch.no_grad()
    def read(self, ids: list[int]) -> dict[str, Any]:
        """The log-probability of each token after the first."""
        if "--old" in self.options:
            return {}
        with self.lock:
            logp_TV = self.model(torch.tensor([ids])).logits[0].log_softmax(1)
        told = [{str(id): {"logprob": logp_TV[at, id].item()}} for at, id in enumerate(ids[1:])]
        return {"prompt_logprobs": [None, *told]}

    def choice(self, asked: dict[str, Any], token_T: list[int], logprob_T: list[float]) -> dict[str, Any]:
        length = asked["max_tokens"]
        if 0 in token_T[:length]:
            length = token_T.index(0) + 1
        if "--old" in self.options:
            return {"text": self.tokenizer.decode(token_T[:length])}
        return {"token_ids": token_T[:length], "logprobs": {"token_logprobs": logprob_T[:length]}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    engine: Engine

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        asked = json.loads(self.rfile.read(length) or b"{}")
        try:
            status, answer = 200, self.engine.answer(self.path.split("?")[0], asked)
        except Exception as error:
            status, answer = 500, {"error": repr(error)}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None: ...


def main(model: str, port: int, options: list[str]) -> None:
    torch.set_num_threads(1)
    Handler.engine = Engine(model, options)
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])

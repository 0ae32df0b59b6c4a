"""A small OpenAI-compatible server: real HTTP, with the manners of a good and of a bad judge."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, Any, dict[str, str]]  # status, body (text, or what JSON says), headers


def grades(*texts: str) -> Reply:
    """The reply of a chat model that says these texts, one a sample."""
    choices = [
        {"index": i, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        for i, text in enumerate(texts)
    ]
    body = {"id": "1", "object": "chat.completion", "created": 0, "model": "judge", "choices": choices}
    return 200, body, {}


def error(status: int, **headers: str) -> Reply:
    return (
        status,
        {"error": {"message": "no"}},
        {key.replace("_", "-"): value for key, value in headers.items()},
    )


@dataclass
class Server:
    """What was asked, and how many requests were open at a time at most."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    most_open: int = 0
    _open: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, request: dict[str, Any]) -> int:
        with self._lock:
            self.requests.append(request)
            self.times.append(time.monotonic())
            self._open += 1
            self.most_open = max(self.most_open, self._open)
            return len(self.requests)

    def leave(self) -> None:
        with self._lock:
            self._open -= 1


@contextmanager
def judge_server(answer: Callable[[int, dict[str, Any]], Reply]) -> Iterator[Server]:
    """Serves answer(number of the request from 1, its body) until the block ends."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            number = server.enter(request)
            try:
                status, body, headers = answer(number, request)
                content = (body if isinstance(body, str) else json.dumps(body)).encode()
                self.send_response(status)
                for key, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except (BrokenPipeError, ConnectionResetError):
                pass
            finally:
                server.leave()

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()

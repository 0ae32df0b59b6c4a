"""What the tests of the server share: a server of a folder in a thread, and its client."""

import http.client
import json
import socket
import threading
import time
from contextlib import contextmanager

import uvicorn

from rlkit.live.guard import Guard
from rlkit.live.server import make_app

TOKEN = "the token of the tests"


class Client:
    """HTTP by hand, so that every header can be wrong."""

    def __init__(self, port):
        self.port = port

    def __call__(self, method, path, body=None, headers=None, token=TOKEN):
        """Status, headers and text of the answer."""
        given = {} if token is None else {"Authorization": f"Bearer {token}"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            data = json.dumps(body) if isinstance(body, dict) else body
            connection.request(method, path, data, {**given, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode()
        finally:
            connection.close()

    def json(self, *words, **more):
        status, _, text = self(*words, **more)
        return status, json.loads(text)

    def ask(self, name, value=None, **more):
        return self.json("POST", "/api/commands", {"name": name, "value": value, **more})


@contextmanager
def serving(folder):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        app = make_app(folder, Guard(TOKEN, port))
        config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield Client(port)
        finally:
            server.should_exit = True
            thread.join()

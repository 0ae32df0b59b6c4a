"""The live page of a run and its REST interface (docs/live.md), on loopback.

It reads the run's files and appends to one, `live/commands.jsonl`: the run does not know whether it is there.
"""

import os
import secrets
import socket
import threading
import time
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse

from rlkit.live.branches import tree
from rlkit.live.check import check_command, saved_steps
from rlkit.live.command import COMMANDS, Command, new_command, parse
from rlkit.live.files import read_lines, read_status, request, state_of, states
from rlkit.live.guard import Guard
from rlkit.live.login import login_router, read_body
from rlkit.live.stream import events
from rlkit.report.page import make_page, to_json
from rlkit.report.run_data import read_run

PAGE = Path(__file__).parent / "page"
MOST_COMMANDS = 200
"""The latest, on the page."""


def make_app(folder: Path, guard: Guard) -> FastAPI:
    """The server of one run's folder; no request names a file."""
    app = FastAPI(title="rlkit live", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    app.middleware("http")(guard)
    app.include_router(login_router(guard))
    app.include_router(_command_router(folder, guard))
    app.state.reading = threading.Lock()

    @app.exception_handler(ValueError)
    async def refuse(_: Request, reason: ValueError) -> JSONResponse:
        return JSONResponse({"error": str(reason)}, 422)

    @app.get("/")
    def page() -> HTMLResponse:
        more = (PAGE / "panel.js", PAGE / "panel.css")
        return HTMLResponse(make_page([_run()], more, connect="'self'"))

    def _run() -> dict[str, Any]:
        with app.state.reading:  # one at a time, as it may take seconds
            return read_run(folder)

    @app.get("/api/run")
    def run_data() -> Response:
        """What the page shows, as in `rlkit report`."""
        return Response(to_json({"runs": [_run()]}), media_type="application/json")

    @app.get("/api/metrics")
    def metrics(since: int = 0) -> list[dict[str, Any]]:
        """Lines of metrics.jsonl of the steps after `since`."""
        return [row for row in read_lines(folder / "metrics.jsonl") if row.get("step", 0) > since]

    def _panel() -> dict[str, Any]:
        return {
            "status": read_status(folder),
            "commands": states(folder)[-MOST_COMMANDS:],
            "checkpoints": saved_steps(folder),
            "branches": tree(folder),
            "meanings": COMMANDS,
        }

    @app.get("/api/status")
    def status() -> dict[str, Any]:
        """What the run is and can be set to, its commands, checkpoints and branches."""
        return _panel()

    @app.get("/api/events")
    def stream() -> StreamingResponse:
        """Server-sent events: `steps` and `panel`."""
        return StreamingResponse(events(folder, _panel), media_type="text/event-stream")

    return app


def _command_router(folder: Path, guard: Guard) -> APIRouter:
    router = APIRouter()

    @router.get("/api/commands/{uuid}")
    def command_state(uuid: str) -> dict[str, Any]:
        """A command's state."""
        found = state_of(folder, uuid)
        if found is None:
            raise HTTPException(404, "no command has this uuid")
        return found

    @router.post("/api/commands", status_code=202)
    async def ask(asked: Request) -> dict[str, Any]:
        """`{"name": ..., "value": ...}` or `{"text": "set learning_rate 5e-7"}`; scripts also `who`."""
        command = _command(await read_body(asked), guard.who(asked) or "")
        known = state_of(folder, command.uuid)
        if known is not None:  # sent twice
            return known
        check_command(folder, command)
        request(folder, command)
        return {**command.to_json(), "state": "requested"}

    return router


def _command(given: dict[str, Any], who: str) -> Command:
    unknown = given.keys() - {"name", "value", "text", "who", "uuid"}
    if unknown:
        raise ValueError(f"a command has no {sorted(unknown)[0]!r}: name, value, text, who, uuid")
    name, value = given.get("name"), given.get("value")
    if "text" in given:
        if not isinstance(given["text"], str):
            raise ValueError("text must be a command in words, such as: set learning_rate 5e-7")
        name, value = parse(given["text"])
    return new_command(name, value, who or given.get("who", "script"), time.time(), given.get("uuid"))


def serve(folder: Path, port: int = 0, parent: int | None = None) -> None:
    """Serves a run's page until it is interrupted, or until the process `parent` has ended.

    Prints the address with the token, once; the token is nowhere else.

    Args:
        port: 0 takes a free one.
    """
    token = secrets.token_urlsafe(32)
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
        except OSError as error:
            raise ValueError(f"port ({port}) cannot be used: {error}; choose another") from error
        number = listening.getsockname()[1]
        app = make_app(folder, Guard(token, number))
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        if parent is not None:
            threading.Thread(target=_end_with, args=(server, parent), daemon=True).start()
        print(f"rlkit: live page of {folder}: http://127.0.0.1:{number}/login#token={token}", flush=True)
        server.run(sockets=[listening])


def _end_with(server: uvicorn.Server, parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    server.should_exit = True

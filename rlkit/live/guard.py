"""What stands before every request to the live page: who may ask, from where, and for how much.

The server listens on loopback, which every page in the browser reaches too: a request must name this server
as its Host (else a foreign name could be made to point here) and, where it has an Origin, come from this
server's own pages. Reading and writing need the token, as a bearer header or by a session's cookie, which a
log-in with the token gives.
"""

import hmac
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

MOST_BYTES = 512 * 1024
"""Of a request's body."""
MOST_SESSIONS = 1000
OPEN_PATHS = ("/login", "/login.js", "/login.css")
"""What is shown to who has no token yet."""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer; pages bring a policy for their scripts of their own."""


class Guard:
    """The token, and the sessions that were opened with it."""

    def __init__(self, token: str, port: int):
        self._token = token.encode()
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
        self._origins = {f"http://{host}" for host in self._hosts}
        self.cookie = f"rlkit_live_{port}"  # cookies do not tell ports apart
        self._who: dict[str, str] = {}

    def is_token(self, token: Any) -> bool:
        """In a time that does not depend on where it differs."""
        return isinstance(token, str) and hmac.compare_digest(token.encode(errors="replace"), self._token)

    def open_session(self, who: str) -> str:
        """The value of a new session's cookie."""
        session = secrets.token_urlsafe(32)
        self._who[session] = who
        while len(self._who) > MOST_SESSIONS:
            self._who.pop(next(iter(self._who)))
        return session

    def who(self, request: Request) -> str | None:
        """Whose session it is; "" for a bearer of the token, None for anybody else."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.is_token(token.strip()):
            return ""
        return self._who.get(request.cookies.get(self.cookie, ""))

    async def __call__(
        self, request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = self._refusal(request) or await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    def _refusal(self, request: Request) -> Response | None:
        if request.headers.get("host", "") not in self._hosts:
            return _error(421, "the Host header must be this server's own")
        origin = request.headers.get("origin")
        foreign = request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if (origin is not None and origin not in self._origins) or (foreign and request.method != "GET"):
            return _error(403, "the request comes from a page elsewhere")
        length = request.headers.get("content-length", "0")
        if request.method not in ("GET", "HEAD") and not (length.isdigit() and int(length) <= MOST_BYTES):
            return _error(413, f"a body may have {MOST_BYTES} bytes at most")
        if "transfer-encoding" in request.headers:
            return _error(411, "a body must come with its Content-Length")
        if request.url.path in OPEN_PATHS or self.who(request) is not None:
            return None
        if request.url.path == "/" and request.method == "GET":
            return RedirectResponse("/login", 303)
        return _error(401, "the token is missing: Authorization: Bearer TOKEN, or log in")


def _error(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status)

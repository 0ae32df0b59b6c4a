"""How a person gets in: the token that the server printed, and a name, for a session's cookie."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from rlkit.live.command import new_command, read_json
from rlkit.live.guard import Guard

PAGE = Path(__file__).parent / "page"
LOGIN_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def login_router(guard: Guard) -> APIRouter:
    """The page to log in, with its script and style."""
    router = APIRouter()

    @router.get("/login")
    def login_page() -> HTMLResponse:
        return HTMLResponse(
            (PAGE / "login.html").read_text(encoding="utf-8"),
            headers={"Content-Security-Policy": LOGIN_POLICY},
        )

    @router.get("/login.js")
    def login_script() -> Response:
        return Response((PAGE / "login.js").read_bytes(), media_type="text/javascript")

    @router.get("/login.css")
    def login_style() -> Response:
        return Response((PAGE / "login.css").read_bytes(), media_type="text/css")

    @router.post("/login")
    async def log_in(asked: Request) -> Response:
        """`{"token": ..., "who": name}` -> a session's cookie."""
        given = await read_body(asked)
        if not guard.is_token(given.get("token")):
            raise HTTPException(401, "this is not the token that the server printed")
        who = new_command("pause", None, given.get("who"), 0.0).who
        response = JSONResponse({"who": who})
        response.set_cookie(guard.cookie, guard.open_session(who), httponly=True, samesite="strict")
        return response

    return router


async def read_body(asked: Request) -> dict[str, Any]:
    """The JSON object that was sent. Raises ValueError where it is none."""
    try:
        given = read_json(await asked.body())
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"the body must be JSON: {error}") from None
    if not isinstance(given, dict):
        raise ValueError("the body must be a JSON object")
    return given

"""Bounds on what a request may carry, kept while it is read."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ktrdr.api.problems import refuse

LARGEST_BODY = 2_000_000
LARGEST_UPLOAD = 1_000_000_000
UPLOADS = ("/api/v1/data/imports",)


class LimitBody:
    """Answers 413 as soon as a body exceeds its bound; uploads of bars have a larger one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        limit = LARGEST_UPLOAD if scope["path"] in UPLOADS else LARGEST_BODY
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            await refuse(scope, receive, send, 413, "too_large", _sentence(limit))
            return
        await self._app(scope, _bounded(receive, limit), send)


def _bounded(receive: Receive, limit: int) -> Receive:
    read = 0

    async def bounded() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > limit:
            raise HTTPException(413, _sentence(limit))  # the one exception that passes whoever reads the body
        return message

    return bounded


def _sentence(limit: int) -> str:
    return f"the body is larger than {limit:,} bytes"

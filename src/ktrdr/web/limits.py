"""Bounds on what a request may carry, kept while it is read."""

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ktrdr.web.problems import refuse

LARGEST_BODY = 2_000_000


class LimitBody:
    """Answers 413 as soon as a body exceeds its bound: LARGEST_BODY, or what `larger` says for its path."""

    def __init__(self, app: ASGIApp, larger: Mapping[str, int]) -> None:
        self._app = app
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        limit = self._larger.get(scope["path"], LARGEST_BODY)
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

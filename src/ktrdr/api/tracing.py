"""A span for each request."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from fastapi import FastAPI
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class RequestTracing(Protocol):
    """Makes the span of a request."""

    def request(self, method: str, path: str, headers: Mapping[str, str]) -> AbstractContextManager[Any]: ...


def trace(app: FastAPI, tracing: RequestTracing) -> None:
    """Make a span of every request."""
    app.add_middleware(_Traced, tracing=tracing)


class _Traced:
    def __init__(self, app: ASGIApp, tracing: RequestTracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._tracing.request(scope["method"], scope["path"], HTTPConnection(scope).headers) as span:

            async def traced(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                await send(message)

            await self._app(scope, receive, traced)

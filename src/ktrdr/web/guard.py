"""Which names a server answers for, which pages may send it requests, and the headers of every answer."""

from collections.abc import Collection
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ktrdr.web.problems import refuse

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "script-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
}
_SAFE = ("GET", "HEAD", "OPTIONS")


def secure(app: FastAPI, *, hosts: Collection[str] | None, origins: Collection[str]) -> None:
    """Take requests for these `hosts` only (None: any), and from pages of the same origin or of `origins`."""
    app.add_middleware(_Guard, hosts=hosts, origins=origins)


class _Guard:
    """Refuses what a browser was tricked into sending, and puts the headers on."""

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None, origins: Collection[str]) -> None:
        self._app = app
        self._hosts = hosts
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        host, origin = connection.headers.get("host", ""), connection.headers.get("origin")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if self._hosts is not None and (urlsplit(f"//{host}").hostname or "") not in self._hosts:
            await refuse(scope, receive, send, 421, "wrong_host", f"this server does not answer for the host {host!r}")
        elif origin and self._is_foreign(scope, host, origin):
            await refuse(scope, receive, send, 403, "forbidden", f"pages of {origin} may not change anything here")
        else:
            await self._app(scope, receive, send_with_headers)

    def _is_foreign(self, scope: Scope, host: str, origin: str) -> bool:
        safe = scope["type"] == "http" and scope["method"] in _SAFE  # such an answer stays closed to the page by CORS
        return not safe and urlsplit(origin).netloc != host and origin not in self._origins

"""Runs the app under uvicorn until it is told to stop, and then lets go of its work in order."""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from ktrdr.errors import InvalidSettings, KtrdrError, Unavailable
from ktrdr.logs import get_logger

_log = get_logger("server")
_STREAM_SECONDS = 2
_AGAIN_SECONDS = 1.0
_IDLE_SECONDS = 75
"""Longer than clients keep a connection that they don't use: who closes first must not be the server."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where the server listens; with both files of a certificate it speaks TLS."""

    host: str
    port: int
    tls_cert: Path | None = None
    tls_key: Path | None = None


class _Server(uvicorn.Server):
    """uvicorn's, which leaves the signals to us."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def run_server(
    app: FastAPI,
    address: Address,
    *,
    prepare: Callable[[], Awaitable[object]],
    drain: Callable[[], Awaitable[object]],
    drain_seconds: float,
    listening: Callable[[str], None],
) -> int:
    """Serve until SIGTERM or SIGINT; the exit code.

    `listening` hears the URL once requests are taken; the app is ready after `prepare`. At a signal the app is no
    longer ready, `drain` has `drain_seconds` to end what runs, and then requests are no longer taken. A second signal
    exits at once. Raises Unavailable when the address cannot be had.
    """
    stop = asyncio.Event()
    _on_signals(stop)
    app.state.unready = "it is starting"
    with _bound(address) as bound:
        server = _Server(uvicorn_config(app, address))
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        listening(_url(address, bound))
        preparing = asyncio.create_task(_prepare(app, prepare))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        app.state.unready = "it is stopping"
        preparing.cancel()
        _log.info("stopping: trainings save where they are", seconds=drain_seconds)
        try:
            async with asyncio.timeout(drain_seconds):
                await drain()
        except TimeoutError:
            _log.error("the trainings did not stop in time; the next start resumes them from their checkpoints")
            os._exit(1)
        server.should_exit = True
        await serving
    return 0


async def _prepare(app: FastAPI, prepare: Callable[[], Awaitable[object]]) -> None:
    """Until it succeeds: a database that is away comes back, a folder is mended. A bug stays one."""
    while True:
        try:
            await prepare()
            break
        except KtrdrError as error:
            app.state.unready = f"it cannot start yet: {error}"
            _log.warning("not ready, tried again", error=str(error))
            await asyncio.sleep(_AGAIN_SECONDS)
        except Exception:
            app.state.unready = "it could not start: the log has the details"
            _log.exception("not ready")
            raise
    app.state.unready = ""
    _log.info("ready")


def _on_signals(stop: asyncio.Event) -> None:
    def handle() -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, handle)


@contextmanager
def _bound(address: Address) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        bound = socket.create_server((address.host, address.port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = str(getattr(error, "strerror", None) or error).partition(" (while")[0]
        raise Unavailable(
            f"cannot listen on {address.host}:{address.port}: {reason}; free it, or choose another --host or --port"
        ) from None
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each answer waits 40 ms for the other side
    with bound:
        yield bound


def uvicorn_config(app: FastAPI, address: Address) -> uvicorn.Config:
    """How uvicorn is to serve the app. Raises InvalidSettings when the certificate cannot be used."""
    if (address.tls_cert is None) != (address.tls_key is None):
        raise InvalidSettings("TLS wants both KTRDR_TLS_CERT and KTRDR_TLS_KEY: set the one that is missing")
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="wsproto",
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_STREAM_SECONDS,
        ssl_certfile=address.tls_cert,
        ssl_keyfile=address.tls_key,
    )
    try:
        config.load()
    except OSError as error:
        raise InvalidSettings(f"the TLS certificate and key cannot be used: {error}") from None
    return config


def _url(address: Address, bound: socket.socket) -> str:
    scheme = "https" if address.tls_cert else "http"
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{scheme}://{host}:{bound.getsockname()[1]}"

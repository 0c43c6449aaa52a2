"""What the command line runs: a client for its commands, and the server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from ktrdr.wiring.backend import open_backend, open_store
from ktrdr.wiring.parts import build_client, log_to, upgrade

if TYPE_CHECKING:
    from ktrdr.client import Client
    from ktrdr.client.in_process import Services
    from ktrdr.orchestration.api_keys import ApiKeys
    from ktrdr.settings import Settings


@asynccontextmanager
async def open_client(**options: Any) -> AsyncIterator["Client"]:
    """What commands talk to: the server that the settings name, else a service embedded in this process.

    `options` are settings that win over the environment; one that is None is left to it.
    """
    from ktrdr.settings import load_settings

    settings = load_settings(**options)
    async with AsyncExitStack() as stack:
        log_to(settings, stack)
        if settings.server is not None:
            yield await stack.enter_async_context(_remote(settings, options))
            return

        async def services() -> "Services":
            return (await open_backend(settings, stack, role="embedded")).services

        async with build_client(settings, services) as client:  # closed before what the backend puts on the stack
            yield client


def _remote(settings: "Settings", options: dict[str, Any]) -> Any:
    from ktrdr.client.http import HttpClient
    from ktrdr.errors import InvalidRequest

    if options.get("models_dir") is not None:
        raise InvalidRequest("a server keeps its models where its own settings say: leave --models-dir out")
    key = settings.api_key.get_secret_value() if settings.api_key else None
    return HttpClient(settings.server or "", api_key=key, ca_file=settings.ca_file)


async def serve(*, listening: Callable[[str, list[str]], None], **options: Any) -> int:
    """Run the server until it is told to stop; the exit code. `listening` hears its URL, and what whoever started it
    should know."""
    from ktrdr.api.app import create_app
    from ktrdr.contracts.addresses import is_loopback
    from ktrdr.settings import load_settings, unknown_settings
    from ktrdr.web.server import Address, run_server

    settings = load_settings(**options)
    async with AsyncExitStack() as stack:
        log_to(settings, stack, default="INFO")
        backend = await open_backend(settings, stack, role="serve")

        async def services() -> "Services":
            return backend.services

        client = await stack.enter_async_context(build_client(settings, services))
        local = is_loopback(settings.host)
        with_keys = settings.require_keys == "always" or not local
        app = create_app(
            client,
            metrics=backend.metrics,
            tracing=backend.tracing,
            desk=backend.desk,
            scope_of=backend.keys.scope_of if with_keys else None,
            hosts=None if with_keys else {"localhost", "127.0.0.1", "::1", settings.host},
            origins=settings.cors_origins,
        )
        notices = [_NO_KEYS] if with_keys and not await backend.keys.list() else []
        notices += [] if local or settings.tls_cert else [_NO_TLS]
        notices += unknown_settings()
        if not local and settings.public_url is None and await backend.services.hosts.entries():
            notices.append(_NO_PUBLIC_URL)

        def bound(url: str) -> None:
            if local and backend.sessions.public_url is None:
                backend.sessions.public_url = url  # hosts on this machine find it there
            listening(url, notices)

        async def prepare() -> None:
            await backend.sessions.tidy()
            await backend.recovery.recover()
            await client.strategies()  # loads the grammar
            stack.push_async_callback(_ended, asyncio.create_task(backend.recovery.watch()))
            await backend.warm()

        return await run_server(
            app,
            Address(host=settings.host, port=settings.port, tls_cert=settings.tls_cert, tls_key=settings.tls_key),
            prepare=prepare,
            drain=backend.queue.suspend,
            drain_seconds=settings.drain_seconds,
            listening=bound,
        )


_NO_TLS = (
    "keys are sent to this server in plain HTTP: set KTRDR_TLS_CERT and KTRDR_TLS_KEY, or put what speaks TLS before it"
)
_NO_KEYS = "nobody can use this server yet, it wants API keys: `ktrdr keys create NAME --scope admin` makes one"
_NO_PUBLIC_URL = (
    "its hosts do not know where it is, so that they can fetch no bars and their results are called for:"
    " KTRDR_PUBLIC_URL tells them"
)


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def open_keys(**options: Any) -> AsyncIterator["ApiKeys"]:
    """The API keys in the database of the settings, for the commands that make and revoke them."""
    from ktrdr.orchestration.api_keys import ApiKeys
    from ktrdr.settings import load_settings

    settings = load_settings(**options)
    async with AsyncExitStack() as stack:
        log_to(settings, stack)
        yield ApiKeys((await open_store(settings, stack, "embedded")).database)


async def upgrade_database(**options: Any) -> str:
    """Bring the database of the settings to the tables of this program; its name."""
    from ktrdr.orchestration.database import Database
    from ktrdr.orchestration.schema import bring_to_head
    from ktrdr.settings import load_settings

    database = Database(load_settings(**options).database)
    try:
        await bring_to_head(database, upgrade, on_purpose=True)
    finally:
        await database.aclose()
    return database.name

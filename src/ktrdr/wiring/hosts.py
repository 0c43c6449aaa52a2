"""The host services as a backend sees them: which there are, who follows their trainings, where results arrive."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

from ktrdr.wiring.parts import build_bars, build_receiver, build_storage, operation_logs, series_of

if TYPE_CHECKING:
    from ktrdr.contracts.hosts import HostEntry
    from ktrdr.execution.runners.host import HostSessionManager
    from ktrdr.orchestration.host_registry import HostRegistry
    from ktrdr.orchestration.metrics import Metrics
    from ktrdr.orchestration.operation_store import OperationStore
    from ktrdr.orchestration.result_desk import ResultDesk
    from ktrdr.settings import Settings


async def open_hosts(
    settings: "Settings", store: "OperationStore", stack: AsyncExitStack, metrics: "Metrics | None"
) -> "tuple[HostRegistry, HostSessionManager, ResultDesk]":
    """The host services: which there are, who follows their trainings, and where their results arrive."""
    from importlib.metadata import version

    from ktrdr.execution.runners.host import HostSessionManager
    from ktrdr.execution.runners.host_link import HostLinks
    from ktrdr.execution.runners.host_session import Patience
    from ktrdr.orchestration.host_registry import HostRegistry
    from ktrdr.orchestration.result_desk import ResultDesk

    links = await stack.enter_async_context(
        HostLinks(key=settings.host_key, ca_file=settings.ca_file, trusted=settings.trusted_network)
    )
    hosts = HostRegistry(
        store.database,
        links,
        configured=_configured_hosts(settings),
        version=version("ktrdr"),
        timeout=settings.host_timeout_seconds,
        remember=settings.host_check_seconds,
        on_check=metrics.checked if metrics else lambda _: None,
    )
    desk = ResultDesk(
        store,
        build_storage(settings),
        build_receiver(settings),
        on_transfer=metrics.transferred if metrics else lambda *_: None,
    )
    sessions = HostSessionManager(
        hosts,
        links,
        desk,
        series_of=partial(series_of, build_bars(settings)),
        scratch=settings.incoming,
        keep_log=operation_logs(settings).add,
        public_url=_public_url(settings),
        patience=Patience(lost=settings.host_lost_seconds, stopping=settings.host_cancel_seconds),
    )
    return hosts, sessions, desk


def _configured_hosts(settings: "Settings") -> "list[HostEntry]":
    from ktrdr.contracts.hosts import host_entry
    from ktrdr.errors import InvalidRequest, InvalidSettings

    try:
        hosts = [host_entry(**host) for host in settings.hosts]
    except (TypeError, InvalidRequest) as error:
        raise InvalidSettings(f"KTRDR_HOSTS cannot be used: {_plain(error)}") from None
    twice = {host.name for host in hosts if sum(other.name == host.name for other in hosts) > 1}
    if twice:
        raise InvalidSettings(f"KTRDR_HOSTS cannot be used: it has {', '.join(sorted(twice))} twice")
    return hosts


def _plain(error: Exception) -> str:
    """What a mistake in the keys of a host is, in a user's words."""
    if isinstance(error, TypeError):
        return "a host has a name, a url and, if somebody counts, a price_per_hour, and nothing else"
    return str(error)


def _public_url(settings: "Settings") -> str | None:
    from ktrdr.contracts.addresses import setting_of_origins

    return setting_of_origins("KTRDR_PUBLIC_URL", [settings.public_url])[0] if settings.public_url else None


def stopper(sessions: "HostSessionManager", stack: AsyncExitStack) -> Callable[[str, str], None]:
    """Ends sessions by the way; what is not done at the end is called off."""
    tasks: set[asyncio.Task[None]] = set()

    async def call_off() -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stop(host: str, operation_id: str) -> None:
        task = asyncio.create_task(sessions.stop(host, operation_id))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    stack.push_async_callback(call_off)
    return stop

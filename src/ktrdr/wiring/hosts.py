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
        public_url=settings.public_url,
        patience=Patience(lost=settings.host_lost_seconds, stopping=settings.host_cancel_seconds),
    )
    return hosts, sessions, desk


def _configured_hosts(settings: "Settings") -> "list[HostEntry]":
    from pydantic import ValidationError

    from ktrdr.contracts.hosts import HostEntry
    from ktrdr.errors import InvalidSettings, KtrdrError

    try:
        return [HostEntry.model_validate(host) for host in settings.hosts]
    except (ValidationError, KtrdrError) as error:
        raise InvalidSettings(f"KTRDR_HOSTS cannot be used: {' '.join(str(error).split())}") from None


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

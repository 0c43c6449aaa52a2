"""The host service: the other program, which trains for backends."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from ktrdr.wiring.parts import Late, bar_store, log_to, operation_logs

if TYPE_CHECKING:
    import httpx2

    from ktrdr.contracts.hosts import Device
    from ktrdr.contracts.training import Executor, TrainingRunner
    from ktrdr.execution.checkpoints import CheckpointFolder
    from ktrdr.execution.data.pins import BarPins
    from ktrdr.host_service.sessions import Sessions
    from ktrdr.settings import Settings


async def serve_host(*, listening: Callable[[str, list[str]], None], **options: Any) -> int:
    """Run the host service until it is told to stop; the exit code. `listening` hears its URL, and what whoever
    started it should know."""
    from ktrdr.contracts.addresses import is_loopback, setting_of_origins
    from ktrdr.errors import InvalidSettings
    from ktrdr.execution.runners.process import ProcessTrainingRunner
    from ktrdr.host_service.app import create_app
    from ktrdr.settings import load_settings
    from ktrdr.web.server import Address, run_server

    settings = load_settings(**options)
    if settings.host_key is None and not is_loopback(settings.host_address):
        raise InvalidSettings(
            f"{settings.host_address} can be reached by others: set KTRDR_HOST_KEY, to the same here and on the backend"
        )
    origins = setting_of_origins("KTRDR_CALLBACK_ORIGINS", settings.callback_origins)
    async with AsyncExitStack() as stack:
        log_to(settings, stack, default="INFO")
        _hold_folder(settings)
        http = await stack.enter_async_context(_http(settings))
        runner = ProcessTrainingRunner(partial(build_host_executor, settings))
        stack.push_async_callback(runner.aclose)
        sessions = _sessions(settings, http, runner, origins)
        found = await asyncio.to_thread(_devices, settings)
        app = create_app(
            sessions,
            key=settings.host_key,
            devices=lambda: found,
            memory=_memory(),
            logs=operation_logs(settings),
        )
        notices = [f"it trains on {device.type} ({device.name})" for device in found]
        notices.append(f"it sends results to {', '.join(origins)} (KTRDR_CALLBACK_ORIGINS)")

        async def prepare() -> None:
            await sessions.open()
            await runner.warm()

        return await run_server(
            app,
            Address(
                host=settings.host_address,
                port=settings.host_port,
                tls_cert=settings.tls_cert,
                tls_key=settings.tls_key,
            ),
            prepare=prepare,
            drain=sessions.suspend,
            drain_seconds=settings.drain_seconds,
            listening=lambda url: listening(url, notices),
        )


def _sessions(
    settings: "Settings", http: "httpx2.AsyncClient", runner: "TrainingRunner", origins: list[str]
) -> "Sessions":
    from ktrdr.host_service.delivery import ResultCourier
    from ktrdr.host_service.fetching import BarFetcher
    from ktrdr.host_service.sessions import Sessions

    bars = Late(lambda: _pins(settings))
    return Sessions(
        settings.sessions,
        runner,
        ResultCourier(http, origins=origins, trusted=settings.trusted_network),
        prepare=BarFetcher(http, bars),
        release=lambda series: bars.keep_only(series),  # noqa: PLW0108 - bound late
        checkpoints=_checkpoints(settings),
        slots=settings.host_slots,
        keep_for=timedelta(days=settings.host_keep_days),
    )


def build_host_executor(settings: "Settings") -> "Executor":
    """The training itself, in a process of its own that logs to where the host service does."""
    from ktrdr.execution.hosted import HostedExecutor

    log_to(settings, None, default="INFO")
    return HostedExecutor(
        settings.sessions,
        _pins(settings),
        device=settings.device,
        threads=settings.threads,
        checkpoints=_checkpoints(settings),
    )


def _checkpoints(settings: "Settings") -> "CheckpointFolder":
    from ktrdr.execution.checkpoints import CheckpointFolder

    return CheckpointFolder(settings.session_checkpoints, every=settings.checkpoint_seconds)


def _pins(settings: "Settings") -> "BarPins":
    from ktrdr.execution.data.pins import BarPins

    return BarPins(settings.session_bars, bar_store(settings))


def _http(settings: "Settings") -> "httpx2.AsyncClient":
    from ktrdr.execution.runners.host_link import http_client

    return http_client(settings.ca_file)


def _devices(settings: "Settings") -> "list[Device]":
    from ktrdr.execution.device import devices

    return devices(settings.device)


def _memory() -> int | None:
    from ktrdr.execution.device import memory

    return memory()


def _hold_folder(settings: "Settings") -> None:
    """Two host services in one folder would run one session twice. The lock dies with this process."""
    from ktrdr.errors import Conflict
    from ktrdr.execution.files import storage_failures, try_lock

    with storage_failures("open the sessions", settings.sessions):
        if try_lock(settings.sessions / ".lock") is None:
            raise Conflict(
                f"another host service uses {settings.sessions}: stop it, or start this one with another --home"
            )

"""The orchestration floor on its database, with what runs below it."""

import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from ktrdr.wiring.hosts import open_hosts, stopper
from ktrdr.wiring.parts import (
    Late,
    build_bars,
    build_checkpoints,
    build_storage,
    build_strategies,
    has_gpu,
    local_runner,
    operation_logs,
    upgrade,
)

if TYPE_CHECKING:
    from ktrdr.client.in_process import Services
    from ktrdr.contracts.training import TrainingRunner
    from ktrdr.execution.checkpoints import CheckpointFolder
    from ktrdr.execution.runners.host import HostSessionManager
    from ktrdr.orchestration.api_keys import ApiKeys
    from ktrdr.orchestration.metrics import Metrics
    from ktrdr.orchestration.operation_store import OperationStore
    from ktrdr.orchestration.owners import Role
    from ktrdr.orchestration.recovery import Recovery
    from ktrdr.orchestration.result_desk import ResultDesk
    from ktrdr.orchestration.tracing import Tracing
    from ktrdr.orchestration.training_queue import TrainingQueue
    from ktrdr.settings import Settings


MOST_SESSIONS = 64
"""Trainings on hosts that are followed at a time; what the hosts have slots for is decided there."""


@dataclass(frozen=True, kw_only=True)
class Backend:
    """The orchestration floor on its database, with what runs below it."""

    services: "Services"
    queue: "TrainingQueue"
    recovery: "Recovery"
    keys: "ApiKeys"
    desk: "ResultDesk"
    sessions: "HostSessionManager"
    runner: "TrainingRunner"
    metrics: "Metrics | None"
    tracing: "Tracing | None"

    async def warm(self) -> None:
        """Start what takes its time to start, before somebody waits for it."""
        if hasattr(self.runner, "warm"):
            await self.runner.warm()


async def open_backend(settings: "Settings", stack: AsyncExitStack, role: "Role") -> Backend:
    """Open the database and build the floor on it; `stack` closes what has to be closed, in order."""
    from ktrdr.client.in_process import Services
    from ktrdr.orchestration.api_keys import ApiKeys
    from ktrdr.orchestration.default_mode import DefaultMode
    from ktrdr.orchestration.execution_mode_selector import ExecutionModeSelector
    from ktrdr.orchestration.operations_service import OperationsService
    from ktrdr.orchestration.owners import owner_locks
    from ktrdr.orchestration.recovery import Recovery
    from ktrdr.orchestration.stored_settings import StoredSettings
    from ktrdr.orchestration.training_planner import TrainingPlanner
    from ktrdr.orchestration.training_queue import TrainingQueue, untraced
    from ktrdr.orchestration.training_service import TrainingService

    store = await open_store(settings, stack, role)
    locks = owner_locks(store.database, settings.owners)
    await locks.take(store.owner)
    stack.push_async_callback(locks.aclose)
    isolation = settings.local_isolation or ("process" if role == "serve" else "thread")
    runner = local_runner(settings, isolation, stack)
    show_every = 1.0 if role == "serve" else 0.1  # many may follow a server, one a command
    operations = OperationsService(store, show_every=show_every, look_every=max(show_every, 0.5))
    modes = DefaultMode(StoredSettings(store.database), settings.training_default_mode)
    metrics = _build_metrics(store) if role == "serve" else None
    hosts, sessions, desk = await open_hosts(settings, store, stack, metrics)
    selector = ExecutionModeSelector(
        default_mode=modes,
        local_has_gpu=has_gpu,
        hosts=hosts,
    )
    checkpoints = cast("CheckpointFolder", Late(lambda: build_checkpoints(settings)))
    slots = {"local": settings.local_slots if isolation == "process" else 1, "host": MOST_SESSIONS}
    tracing = _build_tracing(stack) if role == "serve" else None
    queue = TrainingQueue(
        operations,
        {"local": runner, "host": sessions},
        build_storage(settings),
        slots=slots,
        trace=tracing.training if tracing else untraced,
        on_fallback=metrics.fell_back if metrics else lambda: None,
        on_end=metrics.ended if metrics else lambda _: None,
        select=selector.select,
        price_of=hosts.price_of,
        retry_every=1.0 if role == "serve" else None,
    )
    training = TrainingService(
        operations,
        TrainingPlanner(build_strategies(settings), build_bars(settings), selector),
        queue,
        checkpoints,
        modes,
        trace_here=tracing.here if tracing else lambda: None,
    )
    return Backend(
        services=Services(training, operations, hosts),
        queue=queue,
        recovery=Recovery(
            store,
            locks,
            checkpoints,
            wake=queue.wake,
            stop_session=stopper(sessions, stack),
            forget_logs=operation_logs(settings).forget,
            most_attempts=settings.max_attempts,
            keep_for=timedelta(days=settings.keep_days) if settings.keep_days else None,
        ),
        keys=ApiKeys(store.database),
        desk=desk,
        sessions=sessions,
        runner=runner,
        metrics=metrics,
        tracing=tracing,
    )


def _build_tracing(stack: AsyncExitStack) -> "Tracing | None":
    """None unless OpenTelemetry's own variable says where spans go."""
    if not any(os.environ.get(f"OTEL_EXPORTER_OTLP_{which}ENDPOINT") for which in ("", "TRACES_")):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        from ktrdr.orchestration.tracing import Tracing
    except ModuleNotFoundError:
        from ktrdr.errors import InvalidSettings

        raise InvalidSettings("OTEL_EXPORTER_OTLP_ENDPOINT wants tracing: pip install 'ktrdr[tracing]'") from None
    tracing = Tracing(OTLPSpanExporter())
    stack.callback(tracing.close)
    return tracing


def _build_metrics(store: "OperationStore") -> "Metrics":
    from ktrdr.orchestration.metrics import Metrics

    return Metrics(store)


async def open_store(settings: "Settings", stack: AsyncExitStack, role: "Role") -> "OperationStore":
    from ktrdr.orchestration.operation_store import OperationStore
    from ktrdr.orchestration.owners import new_owner

    store = await OperationStore.open(settings.database, upgrade, owner=new_owner(role))
    stack.push_async_callback(store.aclose)
    return store

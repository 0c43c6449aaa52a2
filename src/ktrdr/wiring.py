"""The one file that knows every class: it builds what the floors above are handed.

Everything heavy is imported when it is first needed, so that a command pays for what it uses and no more.
"""

import asyncio
import ipaddress
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from ktrdr.client import Client
    from ktrdr.client.in_process import InProcessClient, OpenServices, Services
    from ktrdr.contracts.bars import BarRepository
    from ktrdr.contracts.models import ModelUser
    from ktrdr.contracts.strategies import StrategyRepository
    from ktrdr.contracts.training import Executor, TrainingRunner
    from ktrdr.execution.checkpoints import CheckpointFolder
    from ktrdr.execution.data.store import BarStore
    from ktrdr.execution.model_storage import ModelStorage
    from ktrdr.logs import OperationLogs
    from ktrdr.orchestration.api_keys import ApiKeys
    from ktrdr.orchestration.host_registry import HostRegistry
    from ktrdr.orchestration.metrics import Metrics
    from ktrdr.orchestration.operation_store import OperationStore
    from ktrdr.orchestration.owners import Role
    from ktrdr.orchestration.recovery import Recovery
    from ktrdr.orchestration.tracing import Tracing
    from ktrdr.orchestration.training_queue import TrainingQueue
    from ktrdr.settings import Settings


@asynccontextmanager
async def open_client(**options: Any) -> AsyncIterator["Client"]:
    """What commands talk to: the server that the settings name, else a service embedded in this process.

    `options` are settings that win over the environment; one that is None is left to it.
    """
    from ktrdr.settings import load_settings

    settings = load_settings(**options)
    async with AsyncExitStack() as stack:
        _log_to(settings, stack)
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
    from ktrdr.settings import load_settings
    from ktrdr.web.server import Address, run_server

    settings = load_settings(**options)
    async with AsyncExitStack() as stack:
        _log_to(settings, stack, default="INFO")
        backend = await open_backend(settings, stack, role="serve")

        async def services() -> "Services":
            return backend.services

        client = await stack.enter_async_context(build_client(settings, services))
        local = _is_loopback(settings.host)
        with_keys = settings.require_keys == "always" or not local
        app = create_app(
            client,
            metrics=backend.metrics,
            tracing=backend.tracing,
            scope_of=backend.keys.scope_of if with_keys else None,
            hosts={"localhost", "127.0.0.1", "::1", settings.host} if local else None,
            origins=settings.cors_origins,
        )
        notices = [] if not with_keys or await backend.keys.list() else [_NO_KEYS]

        async def prepare() -> None:
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
            listening=lambda url: listening(url, notices),
        )


_NO_KEYS = "nobody can use this server yet, it wants API keys: `ktrdr keys create NAME --scope admin` makes one"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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
        _log_to(settings, stack)
        yield ApiKeys((await _open_store(settings, stack, "embedded")).database)


async def upgrade_database(**options: Any) -> str:
    """Bring the database of the settings to the tables of this program; its name."""
    from ktrdr.orchestration.database import Database
    from ktrdr.orchestration.schema import bring_to_head
    from ktrdr.settings import load_settings

    database = Database(load_settings(**options).database)
    try:
        await bring_to_head(database, _upgrade, on_purpose=True)
    finally:
        await database.aclose()
    return database.name


@dataclass(frozen=True, kw_only=True)
class Backend:
    """The orchestration floor on its database, with what runs below it."""

    services: "Services"
    queue: "TrainingQueue"
    recovery: "Recovery"
    keys: "ApiKeys"
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

    store = await _open_store(settings, stack, role)
    locks = owner_locks(store.database, settings.owners)
    await locks.take(store.owner)
    stack.push_async_callback(locks.aclose)
    isolation = settings.local_isolation or ("process" if role == "serve" else "thread")
    runner = _local_runner(settings, isolation, stack)
    show_every = 1.0 if role == "serve" else 0.1  # many may follow a server, one a command
    operations = OperationsService(store, show_every=show_every, look_every=max(show_every, 0.5))
    modes = DefaultMode(StoredSettings(store.database), settings.training_default_mode)
    hosts = await _open_hosts(settings, store, stack)
    selector = ExecutionModeSelector(default_mode=modes, local_has_gpu=_has_gpu, hosts=hosts)
    checkpoints = cast("CheckpointFolder", Late(lambda: build_checkpoints(settings)))
    slots = {"local": settings.local_slots if isolation == "process" else 1}
    metrics = _build_metrics(store) if role == "serve" else None
    tracing = _build_tracing(stack) if role == "serve" else None
    queue = TrainingQueue(
        operations,
        {"local": runner},
        build_storage(settings),
        slots=slots,
        trace=tracing.training if tracing else untraced,
        on_end=metrics.ended if metrics else lambda _: None,
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
            forget_logs=_operation_logs(settings).forget,
            most_attempts=settings.max_attempts,
            keep_for=timedelta(days=settings.keep_days) if settings.keep_days else None,
        ),
        keys=ApiKeys(store.database),
        runner=runner,
        metrics=metrics,
        tracing=tracing,
    )


async def _open_hosts(settings: "Settings", store: "OperationStore", stack: AsyncExitStack) -> "HostRegistry":
    from pydantic import ValidationError

    from ktrdr.contracts.hosts import HostEntry
    from ktrdr.errors import InvalidSettings, KtrdrError
    from ktrdr.execution.runners.host_link import HostLinks
    from ktrdr.orchestration.host_registry import HostRegistry

    try:
        configured = [HostEntry.model_validate(host) for host in settings.hosts]
    except (ValidationError, KtrdrError) as error:
        raise InvalidSettings(f"KTRDR_HOSTS cannot be used: {' '.join(str(error).split())}") from None
    links = await stack.enter_async_context(
        HostLinks(key=settings.host_key, ca_file=settings.ca_file, trusted=settings.trusted_network)
    )
    return HostRegistry(
        store.database,
        links,
        configured=configured,
        timeout=settings.host_timeout_seconds,
        remember=settings.host_check_seconds,
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


def _local_runner(settings: "Settings", isolation: str, stack: AsyncExitStack) -> "TrainingRunner":
    if isolation == "thread":
        from ktrdr.execution.runners.local import LocalTrainingRunner

        return LocalTrainingRunner(partial(build_executor, settings))
    from ktrdr.execution.runners.process import ProcessTrainingRunner

    runner = ProcessTrainingRunner(partial(build_child_executor, settings))
    stack.push_async_callback(runner.aclose)
    return runner


async def _open_store(settings: "Settings", stack: AsyncExitStack, role: "Role") -> "OperationStore":
    from ktrdr.orchestration.operation_store import OperationStore
    from ktrdr.orchestration.owners import new_owner

    store = await OperationStore.open(settings.database, _upgrade, owner=new_owner(role))
    stack.push_async_callback(store.aclose)
    return store


def build_client(settings: "Settings", services: "OpenServices") -> "InProcessClient":
    from ktrdr.client.in_process import InProcessClient

    return InProcessClient(
        services=services,
        strategies=build_strategies(settings),
        bars=build_bars(settings),
        models=build_storage(settings),
        model_user=build_model_user(settings),
        logs=_operation_logs(settings),
    )


def build_child_executor(settings: "Settings") -> "Executor":
    """The training itself in a process of its own, which logs to where its parent does."""
    _log_to(settings, None, default="INFO")
    return build_executor(settings)


def build_executor(settings: "Settings") -> "Executor":
    """The training itself; a models folder that cannot be written is found out before it starts."""
    from ktrdr.execution.data.manager import DataManager
    from ktrdr.execution.executor import TrainingExecutor

    storage = build_storage(settings)
    storage.check_writable()
    data = DataManager(_bar_store(settings))
    return TrainingExecutor(
        data, storage, device=settings.device, threads=settings.threads, checkpoints=build_checkpoints(settings)
    )


def build_checkpoints(settings: "Settings") -> "CheckpointFolder":
    from ktrdr.execution.checkpoints import CheckpointFolder

    return CheckpointFolder(settings.checkpoints, every=settings.checkpoint_seconds)


def build_storage(settings: "Settings") -> "ModelStorage":
    from ktrdr.execution.model_storage import ModelStorage

    return ModelStorage(settings.models)


def build_strategies(settings: "Settings") -> "StrategyRepository":
    def make() -> Any:
        from ktrdr.execution.strategy.repository import StrategyFiles

        return StrategyFiles(settings.strategies)

    return cast("StrategyRepository", Late(make))


def build_bars(settings: "Settings") -> "BarRepository":
    def make() -> Any:
        from ktrdr.execution.data.repository import StoredBars

        return StoredBars(_bar_store(settings))

    return cast("BarRepository", Late(make))


def build_model_user(settings: "Settings") -> "ModelUser":
    def make() -> Any:
        from ktrdr.execution.data.manager import DataManager
        from ktrdr.execution.prediction import StoredModelUser

        storage = build_storage(settings)

        def read(name: str) -> tuple[str, bytes]:
            model = storage.files(name)
            return model.record.name, model.weights["model_full.pt"]

        return StoredModelUser(read, DataManager(_bar_store(settings)))

    return cast("ModelUser", Late(make))


class Late:
    """Stands for an object that is made at the first use of one of its methods."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None

    def __getattr__(self, name: str) -> Any:
        if self._made is None:
            self._made = self._make()
        return getattr(self._made, name)


def _log_to(settings: "Settings", stack: AsyncExitStack | None, *, default: str | None = None) -> None:
    from ktrdr.logs import configure_logging

    lines = configure_logging(
        level=settings.log_level or default,
        format=settings.log_format,
        file=settings.log_file,
        operations=_operation_logs(settings),
    )
    if settings.log_file is not None and stack is not None:
        stack.callback(lines.close)


def _operation_logs(settings: "Settings") -> "OperationLogs":
    from ktrdr.logs import OperationLogs

    return OperationLogs(settings.logs)


def _bar_store(settings: "Settings") -> "BarStore":
    from ktrdr.execution.data.store import BarStore

    return BarStore(settings.data)


def _upgrade(url: str) -> None:
    from ktrdr.orchestration.migrate import upgrade

    upgrade(url)


def _has_gpu() -> bool:
    from ktrdr.execution.device import choose_device

    return choose_device().type != "cpu"

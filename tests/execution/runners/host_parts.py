"""A host service on a real port, and the little of a backend that follows its sessions."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from tests.host_service.parts import SERIES, Leaves, Notes, free_port, served, sessions_in, until

from ktrdr.contracts.hosts import Delivery, Device, HostEntry, ResultPayload
from ktrdr.contracts.training import CancellationToken, TrainingRequest, TrainingResult
from ktrdr.errors import KtrdrError, NotFound, TransferCorrupt
from ktrdr.execution.runners.host import HostSessionManager
from ktrdr.execution.runners.host_link import HostLinks
from ktrdr.execution.runners.host_session import Patience
from ktrdr.execution.transfer.packing import pieces
from ktrdr.host_service.app import create_app
from ktrdr.logs import OperationLogs

KEY = SecretStr("the key")
QUICK = Patience(lost=0.3, stopping=0.4, callback=0.3, first=0.01, longest=0.02)


class Arrived:
    """An Arrival of which the test decides."""

    def __init__(self) -> None:
        self.result: TrainingResult | None = None
        self.announced = False
        self.news = asyncio.Event()
        self.closed = False

    async def close(self) -> TrainingResult | None:
        self.closed = self.result is None
        return self.result


class Book:
    """A SessionBook in memory; it takes a result in when its files are those that were sent."""

    def __init__(self) -> None:
        self.sessions: dict[str, str] = {}
        self.arrival = Arrived()
        self.accepted: list[tuple[str, dict[str, bytes]]] = []
        self.missed: list[str] = []
        self.refuse: list[KtrdrError] = []

    async def opened(self, operation_id: str, attempt: int, token: str) -> bool:
        known = operation_id in self.sessions
        self.sessions[operation_id] = token
        return known

    async def closed(self, operation_id: str, attempt: int) -> None:
        del self.sessions[operation_id]

    @contextmanager
    def expect(self, operation_id: str) -> Iterator[Arrived]:
        yield self.arrival

    async def accept(
        self, operation_id: str, payload: ResultPayload, fetched: dict[str, Path] | None = None
    ) -> TrainingResult:
        if self.refuse:
            raise self.refuse.pop()
        files = {name: b"".join(pieces(path)) for name, path in (fetched or {}).items()}
        for name, content in files.items():
            if len(content) != getattr(payload, name).compressed_size or not content.startswith(b"\x1f\x8b"):
                raise TransferCorrupt("these are not the bytes that were sent")
        self.accepted.append((operation_id, files))
        return result_of(payload)

    def failed(self, way: str, error: KtrdrError) -> None:
        self.missed.append(f"{way} {error.code}")


def result_of(payload: ResultPayload) -> TrainingResult:
    """As a backend has it once the model is stored."""
    return TrainingResult(
        model_path="stored", **payload.model_dump(include=set(TrainingResult.model_fields) - {"model_path"})
    )


async def trained(backend: "Backend", slow: Leaves) -> "asyncio.Task[TrainingResult]":
    """A run whose training is under way."""
    run = backend.run()
    await slow.beginning()
    await until(lambda: any("epoch" in details for _, _, details in backend.told))
    return run


class Directory:
    """One host."""

    def __init__(self, entry: HostEntry) -> None:
        self.one = entry
        self.sent = 0

    async def entry(self, name: str) -> HostEntry:
        if name != self.one.name:
            raise NotFound(f"there is no host {name}")
        return self.one

    def taken(self, name: str) -> None:
        self.sent += 1


class Host:
    """A host service whose sessions live in `root`; it can be stopped and started again at its address."""

    def __init__(self, root: Path, executor: Leaves, courier: Notes) -> None:
        self.root, self.executor, self.courier = root, executor, courier
        self.port = free_port()
        self.sessions: Any = None
        self._stop: asyncio.Event | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def entry(self) -> HostEntry:
        return HostEntry(name="h1", url=f"http://127.0.0.1:{self.port}")

    async def start(self, **options: Any) -> None:
        """With the sessions of its folder."""
        self.sessions = sessions_in(self.root, self.executor, self.courier, **options)
        await self.sessions.open()
        await self.connect()

    async def connect(self) -> None:
        """Let it be reached."""
        app = create_app(
            self.sessions,
            key=KEY,
            devices=lambda: [Device(type="cpu", name="x")],
            memory=1,
            logs=OperationLogs(self.root.parent / "logs"),
        )
        ready, self._stop = asyncio.Event(), asyncio.Event()

        async def serve(stop: asyncio.Event) -> None:
            async with served(app, self.port):
                ready.set()
                await stop.wait()

        self._serving = asyncio.create_task(serve(self._stop))
        await ready.wait()

    async def disconnect(self) -> None:
        """Nobody hears it any more; it goes on."""
        if self._serving is not None and self._stop is not None:
            self._stop.set()
            await self._serving
            self._serving = None

    async def stop(self) -> None:
        """As at SIGTERM: trainings stop where they stand."""
        await self.disconnect()
        await self.sessions.suspend()


@asynccontextmanager
async def host_in(root: Path, **options: Any) -> AsyncIterator[Host]:
    """One that runs; its results are kept to be fetched, unless told otherwise."""
    executor = options.pop("executor", None) or Leaves(root)
    host = Host(root, executor, options.pop("courier", None) or Notes(Delivery.KEPT))
    await host.start(**options)
    try:
        yield host
    finally:
        executor.hold.set()
        await host.stop()


class Backend:
    """Runs a training on that host and notes what is told of it."""

    def __init__(self, host: Host, links: HostLinks, scratch: Path, *, public_url: str | None = None) -> None:
        self.book, self.directory = Book(), Directory(host.entry)
        self.told: list[tuple[str, str, dict[str, Any]]] = []
        self.logs: dict[str, list[dict[str, Any]]] = {}
        self.token = CancellationToken()
        self.scratch, self.links = scratch, links
        self.manager = HostSessionManager(
            self.directory,
            links,
            self.book,
            series_of=lambda _: [SERIES],
            scratch=scratch,
            keep_log=self.logs.__setitem__,
            public_url=public_url,
            patience=QUICK,
        )

    def run(self, **changes: Any) -> "asyncio.Task[TrainingResult]":
        request = TrainingRequest(
            operation_id="op_1", strategy_name="demo", strategy={}, execution_mode="host", host="h1", **changes
        )

        def progress(phase: Any, message: str, **details: Any) -> None:
            self.told.append((phase.value, message, details))

        return asyncio.create_task(self.manager.run(request, progress, self.token))

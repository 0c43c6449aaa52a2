"""What the tests of hosts share: starts, executors that leave a small model, a courier that notes, and servers."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from pydantic import SecretStr

from ktrdr.contracts.hosts import Delivery, SeriesNeeded, SessionStart, SessionState
from ktrdr.contracts.models import ModelArtifact
from ktrdr.contracts.training import IsCancelled, ProgressCallback, TrainingRequest, TrainingResult
from ktrdr.execution.runners.fake import FakeExecutor
from ktrdr.execution.runners.local import LocalTrainingRunner
from ktrdr.execution.transfer.sending import SessionSink, keep_result
from ktrdr.host_service.session import TrainingSession
from ktrdr.host_service.sessions import Sessions

BACKEND = "http://127.0.0.1:8000"
TOKEN = "ktrdr-callback.op_1.secret"
SERIES = SeriesNeeded(symbol="EURUSD", timeframe="1h", digest="0" * 64, calendar="24/7")


def start(session_id: str = "op_1", *, attempt: int = 1, token: str = TOKEN, **changes: Any) -> SessionStart:
    """Asks for a training whose result is called back, unless `changes` say otherwise."""
    request = TrainingRequest(
        operation_id=session_id, strategy_name="demo", strategy={}, attempt=attempt, execution_mode="host", host="h1"
    )
    said = {
        "callback_url": f"{BACKEND}/api/v1/trainings/results",
        "bars_url": f"{BACKEND}/api/v1/data",
        "callback_token": SecretStr(token),
    }
    return SessionStart(session_id=session_id, request=request, **{"series": [SERIES], **said, **changes})


class Leaves:
    """Trains nothing and leaves a model of a few bytes in its session, as a host's executor does.

    It waits in its second epoch while `hold` is not set; deaf, it does not hear of a cancel meanwhile.
    """

    def __init__(self, root: Path, *, hold: threading.Event | None = None, deaf: bool = False) -> None:
        self.hold = hold or threading.Event()
        self.began = threading.Event()
        self.runs: list[TrainingRequest] = []
        self.error: Exception | None = None
        self._root = root
        self._deaf = deaf
        if hold is None:
            self.hold.set()

    def execute(
        self, request: TrainingRequest, progress: ProgressCallback, is_cancelled: IsCancelled
    ) -> TrainingResult:
        self.runs.append(request)

        def on_epoch(epoch: int) -> None:
            if epoch == 2:
                self.began.set()
                while not self.hold.wait(0.01):
                    if is_cancelled() and not self._deaf:
                        return
                if self.error is not None:
                    raise self.error

        heard = (lambda: False) if self._deaf else is_cancelled
        result = FakeExecutor(epochs=3, on_epoch=on_epoch).execute(request, progress, heard)
        leave(self._root, request, result)
        return result

    async def beginning(self) -> None:
        """Until it trains."""
        assert await asyncio.to_thread(self.began.wait, 5)


def leave(root: Path, request: TrainingRequest, result: TrainingResult | None = None) -> None:
    """A model of a few bytes, which says in which attempt it was made."""
    result = result or FakeExecutor().execute(request, lambda *_, **__: None, lambda: False)
    SessionSink(root).save(artifact(request, result))
    keep_result(root / request.operation_id, result)


def artifact(request: TrainingRequest, result: TrainingResult) -> ModelArtifact:
    said = result.model_dump()
    return ModelArtifact(
        operation_id=request.operation_id,
        strategy_name=request.strategy_name,
        symbols=("FAKE",),
        base_timeframe="1h",
        weights={"model.pt": weights_of(request.attempt), "model_full.pt": b"both"},
        context=b"context" * 100,
        documents={
            "config": {"attempt": request.attempt},
            "metrics": {name: said[name] for name in ("training_metrics", "test_metrics", "per_symbol_metrics")},
            "features": {"names": said["feature_names"], "importance": said["feature_importance"]},
            "metadata": {name: said[name] for name in ("model_info", "data_summary", "resource_usage", "provenance")},
        },
    )


def weights_of(attempt: int) -> bytes:
    """What stands in the state dict of that attempt's model."""
    return f"weights of attempt {attempt}; ".encode() * 50


class Notes:
    """A courier that only notes what it is to bring, and says what became of it."""

    def __init__(self, became: Delivery = Delivery.DELIVERED) -> None:
        self.became = became
        self.brought: list[tuple[str, str | None]] = []
        self.hold: asyncio.Event | None = None

    def check(self, wanted: SessionStart) -> None:
        """Every place will do."""

    async def deliver(self, session: TrainingSession) -> Delivery:
        token = session.wanted.callback_token
        self.brought.append((session.state.session_id, token and token.get_secret_value()))
        if self.hold is not None:
            await self.hold.wait()
        return self.became


class Discards:
    """A checkpoint store without checkpoints."""

    def __init__(self) -> None:
        self.discarded: list[str] = []

    def discard(self, operation_id: str) -> None:
        self.discarded.append(operation_id)


async def prepared(_: TrainingSession) -> None:
    """What every session needs is here."""


def sessions_in(root: Path, executor: Any, courier: Any, **options: Any) -> Sessions:
    """Sessions of a folder, not opened yet."""
    said = {"prepare": prepared, "release": lambda _: None, "checkpoints": Discards(), **options}
    return Sessions(root, LocalTrainingRunner(lambda: executor), courier, **said)


async def ended(sessions: Sessions, session_id: str = "op_1") -> SessionState:
    """The session once it has ended and its result is where it goes."""
    await until(lambda: not sessions.session(session_id).state.status.active)
    await until(lambda: sessions.session(session_id).state.delivery is not Delivery.PENDING)
    return sessions.session(session_id).state


async def until(condition: Callable[[], object]) -> None:
    """Wait, five seconds at most, until the condition holds."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("the condition did not come to hold in five seconds")


class _Server(uvicorn.Server):
    """uvicorn's, which leaves the signals to pytest."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def served(app: Any, port: int = 0, **options: Any) -> AsyncIterator[int]:
    """The app on a real port, as long as the block lasts; connections that are open then are cut. `options` are
    uvicorn's."""
    with socket.create_server(("127.0.0.1", port)) as bound:
        server = _Server(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1, **options))
        task = asyncio.create_task(server.serve(sockets=[bound]))
        await until(lambda: server.started)
        try:
            yield bound.getsockname()[1]
        finally:
            server.should_exit = True
            server.force_exit = True
            await task


def free_port() -> int:
    """One that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port: int = bound.getsockname()[1]
        return port

"""The one file that knows every class: it builds what the floors above are handed.

Everything heavy is imported when it is first needed, so that a command pays for what it uses and no more.
"""

import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

if TYPE_CHECKING:
    from ktrdr.client import Client
    from ktrdr.contracts.bars import BarRepository
    from ktrdr.contracts.models import ModelUser
    from ktrdr.contracts.strategies import StrategyRepository
    from ktrdr.contracts.training import Executor
    from ktrdr.execution.data.store import BarStore
    from ktrdr.execution.model_storage import ModelStorage
    from ktrdr.orchestration.operations_service import OperationsService
    from ktrdr.orchestration.training_service import TrainingService
    from ktrdr.settings import Settings


@asynccontextmanager
async def open_client(
    *,
    home: Path | None = None,
    models_dir: Path | None = None,
    log_level: str | None = None,
    log_format: str | None = None,
    log_file: Path | None = None,
) -> AsyncIterator["Client"]:
    """A client of the service embedded in this process. What is None here is left to the environment."""
    from ktrdr.client import InProcessClient
    from ktrdr.logs import configure_logging
    from ktrdr.settings import load_settings

    settings = load_settings(
        home=home, models_dir=models_dir, log_level=log_level, log_format=log_format, log_file=log_file
    )
    strategies, bars = build_strategies(settings), build_bars(settings)
    async with AsyncExitStack() as stack:
        lines = configure_logging(level=settings.log_level, format=settings.log_format, file=settings.log_file)
        if settings.log_file is not None:
            stack.callback(lines.close)

        async def services() -> "tuple[TrainingService, OperationsService]":
            return await _open_services(settings, strategies, bars, stack)

        client = InProcessClient(
            services=services,
            strategies=strategies,
            bars=bars,
            models=build_storage(settings),
            model_user=build_model_user(settings),
        )
        async with client:
            yield client


async def _open_services(
    settings: "Settings", strategies: "StrategyRepository", bars: "BarRepository", stack: AsyncExitStack
) -> "tuple[TrainingService, OperationsService]":
    """The orchestration floor on its database; `stack` closes the database when the client has closed the rest."""
    from ktrdr.execution.runners.local import LocalTrainingRunner
    from ktrdr.orchestration.execution_mode_selector import ExecutionModeSelector
    from ktrdr.orchestration.operation_store import OperationStore
    from ktrdr.orchestration.operations_service import OperationsService
    from ktrdr.orchestration.training_service import TrainingService

    owner = f"{socket.gethostname()[:60]}-{os.getpid()}-{uuid4().hex[:12]}"
    store = await OperationStore.open(settings.database, _upgrade, owner=owner)
    stack.push_async_callback(store.aclose)
    operations = OperationsService(store)
    selector = ExecutionModeSelector(default_mode=settings.training_default_mode, local_has_gpu=_has_gpu)
    runners = {"local": LocalTrainingRunner(lambda: build_executor(settings))}
    return TrainingService(operations, selector, runners, strategies, bars), operations


def build_executor(settings: "Settings") -> "Executor":
    """The training itself; a models folder that cannot be written is found out before it starts."""
    from ktrdr.execution.data.manager import DataManager
    from ktrdr.execution.executor import TrainingExecutor

    storage = build_storage(settings)
    storage.check_writable()
    data = DataManager(_bar_store(settings))
    return TrainingExecutor(data, storage, device=settings.device, threads=settings.threads)


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


def _bar_store(settings: "Settings") -> "BarStore":
    from ktrdr.execution.data.store import BarStore

    return BarStore(settings.data)


def _upgrade(url: str) -> None:
    from ktrdr.orchestration.migrate import upgrade

    upgrade(url)


def _has_gpu() -> bool:
    from ktrdr.execution.device import choose_device

    return choose_device().type != "cpu"

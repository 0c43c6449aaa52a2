"""The parts that programs are built of."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from ktrdr.client.in_process import InProcessClient, OpenServices
    from ktrdr.contracts.bars import BarRepository
    from ktrdr.contracts.coverage import CoverageReader
    from ktrdr.contracts.hosts import Receiver, SeriesNeeded
    from ktrdr.contracts.leaks import LeakChecker
    from ktrdr.contracts.models import ModelUser
    from ktrdr.contracts.strategies import StrategyRepository
    from ktrdr.contracts.training import Executor, TrainingRequest, TrainingRunner
    from ktrdr.execution.checkpoints import CheckpointFolder
    from ktrdr.execution.data.store import BarStore
    from ktrdr.execution.model_storage import ModelStorage
    from ktrdr.logs import OperationLogs
    from ktrdr.settings import Settings


def local_runner(settings: "Settings", isolation: str, stack: AsyncExitStack) -> "TrainingRunner":
    if isolation == "thread":
        from ktrdr.execution.runners.local import LocalTrainingRunner

        return LocalTrainingRunner(partial(build_executor, settings))
    from ktrdr.execution.runners.process import ProcessTrainingRunner

    runner = ProcessTrainingRunner(partial(build_child_executor, settings))
    stack.push_async_callback(runner.aclose)
    return runner


def build_client(settings: "Settings", services: "OpenServices") -> "InProcessClient":
    from ktrdr.client.in_process import InProcessClient

    return InProcessClient(
        services=services,
        strategies=build_strategies(settings),
        bars=build_bars(settings),
        models=build_storage(settings),
        model_user=build_model_user(settings),
        coverage=build_coverage_reader(settings),
        leaks=build_leak_checker(settings),
        logs=operation_logs(settings),
    )


def build_child_executor(settings: "Settings") -> "Executor":
    """The training itself in a process of its own, which logs to where its parent does."""
    log_to(settings, None, default="INFO")
    return build_executor(settings)


def build_executor(settings: "Settings") -> "Executor":
    """The training itself; a models folder that cannot be written is found out before it starts."""
    from ktrdr.execution.data.manager import DataManager
    from ktrdr.execution.executor import TrainingExecutor

    storage = build_storage(settings)
    storage.check_writable()
    data = DataManager(bar_store(settings))
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

        return StrategyFiles(settings.strategies, trained=build_storage(settings).strategies)

    return cast("StrategyRepository", Late(make))


def build_bars(settings: "Settings") -> "BarRepository":
    def make() -> Any:
        from ktrdr.execution.data.repository import StoredBars

        return StoredBars(bar_store(settings))

    return cast("BarRepository", Late(make))


def build_receiver(settings: "Settings") -> "Receiver":
    def make() -> Any:
        from ktrdr.execution.transfer.receiving import ResultReceiver

        return ResultReceiver(build_storage(settings), settings.incoming)

    return cast("Receiver", Late(make))


def series_of(bars: "BarRepository", request: "TrainingRequest") -> "list[SeriesNeeded]":
    """The stored series that a training reads, those among them of which others are made."""
    from ktrdr.contracts.hosts import SeriesNeeded
    from ktrdr.execution.strategy.reading import restore_strategy

    strategy = restore_strategy(request.strategy)
    data = strategy.training_data
    stored = [one.stored for one in bars.readings(strategy.series(), data.start_date, data.end_date)]
    needed = [SeriesNeeded(**one.model_dump(include=set(SeriesNeeded.model_fields))) for one in stored]
    return list(dict.fromkeys(needed))


def build_model_user(settings: "Settings") -> "ModelUser":
    def make() -> Any:
        from ktrdr.execution.data.manager import DataManager
        from ktrdr.execution.prediction import StoredModelUser

        storage = build_storage(settings)

        def read(name: str) -> tuple[str, bytes]:
            model = storage.files(name)
            return model.record.name, model.weights["model_full.pt"]

        return StoredModelUser(read, DataManager(bar_store(settings)))

    return cast("ModelUser", Late(make))


def build_coverage_reader(settings: "Settings") -> "CoverageReader":
    def make() -> Any:
        from ktrdr.execution.data.manager import DataManager
        from ktrdr.execution.features.coverage_reader import StrategyCoverageReader

        return StrategyCoverageReader(build_strategies(settings), DataManager(bar_store(settings)))

    return cast("CoverageReader", Late(make))


def build_leak_checker(settings: "Settings") -> "LeakChecker":
    def make() -> Any:
        from ktrdr.execution.data.manager import DataManager
        from ktrdr.execution.leaks.checker import StrategyLeakChecker

        return StrategyLeakChecker(build_strategies(settings), DataManager(bar_store(settings)))

    return cast("LeakChecker", Late(make))


class Late:
    """Stands for an object that is made at the first use of one of its methods."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None

    def __getattr__(self, name: str) -> Any:
        if self._made is None:
            self._made = self._make()
        return getattr(self._made, name)


def log_to(settings: "Settings", stack: AsyncExitStack | None, *, default: str | None = None) -> None:
    from ktrdr.logs import configure_logging

    lines = configure_logging(
        level=settings.log_level or default,
        format=settings.log_format,
        file=settings.log_file,
        operations=operation_logs(settings),
    )
    if settings.log_file is not None and stack is not None:
        stack.callback(lines.close)


def operation_logs(settings: "Settings") -> "OperationLogs":
    from ktrdr.logs import OperationLogs

    return OperationLogs(settings.logs)


def bar_store(settings: "Settings") -> "BarStore":
    from ktrdr.execution.data.store import BarStore

    return BarStore(settings.data)


async def upgrade(url: str) -> None:
    from ktrdr.orchestration.migrate import upgrade

    await upgrade(url)


def has_gpu() -> bool:
    from ktrdr.execution.device import choose_device

    return choose_device().type != "cpu"

"""The Client whose service lives in this process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Self

from ktrdr.contracts.bars import BarRepository, CheckReport, SeriesDetails, SeriesImport, SeriesInfo
from ktrdr.contracts.coverage import CoverageReader, CoverageReport
from ktrdr.contracts.hosts import HostEntry, HostReport
from ktrdr.contracts.leaks import CheckLeaks, LeakChecker, LeakReport
from ktrdr.contracts.models import Evaluation, ModelDetails, ModelRecord, ModelRepository, ModelUser, Prediction
from ktrdr.contracts.operations import Operation, OperationPage, OperationStatus
from ktrdr.contracts.strategies import GivenStrategy, StrategyDetails, StrategyRepository, StrategySummary
from ktrdr.contracts.training import OperationType, StartTraining, TrainingConfig, TrainingPlan
from ktrdr.errors import DataNotFound, DataRefused
from ktrdr.logs import OperationLogs
from ktrdr.orchestration.host_registry import HostRegistry
from ktrdr.orchestration.operations_service import OperationsService
from ktrdr.orchestration.training_service import TrainingService
from ktrdr.threads import Workers


class Services(NamedTuple):
    """The orchestration floor, as far as users reach it."""

    training: TrainingService
    operations: OperationsService
    hosts: HostRegistry


LONG_CALLS = 2
"""Evaluations, predictions, imports and checks at a time; others wait for their turn."""
OpenServices = Callable[[], Awaitable[Services]]


class InProcessClient:
    """A client without a server. The service is opened at its first use, closed on exit."""

    def __init__(
        self,
        *,
        services: OpenServices,
        strategies: StrategyRepository,
        bars: BarRepository,
        models: ModelRepository,
        model_user: ModelUser,
        coverage: CoverageReader,
        leaks: LeakChecker,
        logs: OperationLogs,
    ) -> None:
        self._open = services
        self._opened: Services | None = None
        self._opening = asyncio.Lock()
        self._strategies = strategies
        self._bars = bars
        self._models = models
        self._model_user = model_user
        self._coverage = coverage
        self._leaks = leaks
        self._logs = logs
        self._long = Workers(LONG_CALLS, "long call")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._long.close()
        if self._opened is not None:
            try:
                await self._opened.training.aclose()
            finally:
                await self._opened.operations.aclose()

    async def _services(self) -> Services:
        async with self._opening:
            if self._opened is None:
                self._opened = await self._open()
            return self._opened

    async def plan_training(self, wanted: StartTraining) -> TrainingPlan:
        return await (await self._services()).training.plan(wanted)

    async def start_training(self, wanted: StartTraining) -> Operation:
        return await (await self._services()).training.start_training(wanted)

    async def training_config(self) -> TrainingConfig:
        return await (await self._services()).training.config()

    async def set_default_mode(self, mode: str) -> TrainingConfig:
        return await (await self._services()).training.set_default_mode(mode)

    async def hosts(self, *, fresh: bool = False) -> list[HostReport]:
        return await (await self._services()).hosts.reports(fresh=fresh)

    async def add_host(self, host: HostEntry) -> HostEntry:
        return await (await self._services()).hosts.add(host)

    async def remove_host(self, name: str) -> HostEntry:
        return await (await self._services()).hosts.remove(name)

    async def strategy_schema(self) -> dict[str, Any]:
        return await asyncio.to_thread(lambda: self._strategies.schema())  # noqa: PLW0108

    async def watch(self, operation_id: str) -> AsyncIterator[Operation]:
        operations = (await self._services()).operations
        async for operation in operations.watch(operation_id):
            yield operation

    async def operation(self, operation_id: str) -> Operation:
        return await (await self._services()).operations.get(operation_id)

    async def operations(
        self,
        statuses: Collection[OperationStatus] = (),
        *,
        strategy: str | None = None,
        type: OperationType | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> OperationPage:
        operations = (await self._services()).operations
        return await operations.page(statuses, strategy=strategy, type=type, limit=limit, offset=offset)

    async def operation_log(self, operation_id: str) -> list[dict[str, Any]]:
        operations = (await self._services()).operations
        await operations.get(operation_id)
        return await asyncio.to_thread(self._logs.read, operation_id)

    async def retry(self, operation_id: str, *, from_start: bool = False) -> Operation:
        return await (await self._services()).training.retry(operation_id, from_start=from_start)

    async def cancel(self, operation_id: str) -> Operation:
        return await (await self._services()).training.cancel(operation_id)

    # Lambdas: looking a method up may already build the part that has it, and that is work for the thread too.

    async def strategies(self) -> list[StrategySummary]:
        return await asyncio.to_thread(lambda: self._strategies.summaries())  # noqa: PLW0108

    async def strategy(self, name: str) -> StrategyDetails:
        return await asyncio.to_thread(lambda: self._strategies.read(name))

    async def validate(self, text: str, source: str) -> StrategyDetails:
        return await asyncio.to_thread(self._validated, text, source)

    def _validated(self, text: str, source: str) -> StrategyDetails:
        """The strategy, with a notice for each series that a training would miss."""
        details = self._strategies.read_text(text, source)
        try:
            self._bars.readings(details.series, details.start_date, details.end_date)
        except (DataNotFound, DataRefused) as error:
            return details.model_copy(update={"notices": [*details.notices, *str(error).splitlines()]})
        return details

    async def coverage(self, given: GivenStrategy) -> CoverageReport:
        return await self._long.run(lambda: self._coverage.read(given))

    async def check_leaks(self, wanted: CheckLeaks) -> LeakReport:
        return await self._long.run(lambda: self._leaks.check(wanted))

    async def models(self, strategy: str | None = None) -> list[ModelRecord]:
        return await asyncio.to_thread(lambda: self._models.records(strategy))

    async def model(self, name: str) -> ModelDetails:
        return await asyncio.to_thread(lambda: self._models.show(name))

    async def delete_model(self, name: str) -> ModelRecord:
        return await asyncio.to_thread(lambda: self._models.delete(name))

    async def evaluate_model(
        self, name: str, *, symbols: list[str] | None, start: datetime | None, end: datetime | None
    ) -> Evaluation:
        return await self._long.run(lambda: self._model_user.evaluate(name, symbols=symbols, start=start, end=end))

    async def predict(
        self, name: str, *, symbols: list[str] | None, start: datetime | None, end: datetime | None, last: int | None
    ) -> Prediction:
        return await self._long.run(
            lambda: self._model_user.predict(name, symbols=symbols, start=start, end=end, last=last)
        )

    async def series_file(self, symbol: str, timeframe: str, digest: str) -> AsyncIterator[bytes]:
        path = await asyncio.to_thread(lambda: self._bars.file(symbol, timeframe, digest))
        with await asyncio.to_thread(path.open, "rb") as file:
            while piece := await asyncio.to_thread(file.read, 1 << 20):
                yield piece

    async def series(self) -> list[SeriesInfo]:
        return await asyncio.to_thread(lambda: self._bars.series())  # noqa: PLW0108

    async def describe_series(self, symbol: str, timeframe: str) -> SeriesDetails:
        return await asyncio.to_thread(lambda: self._bars.details(symbol, timeframe))

    async def check_series(self, symbol: str, timeframe: str) -> CheckReport:
        return await self._long.run(lambda: self._bars.check(symbol, timeframe))

    async def import_bars(
        self,
        path: Path,
        *,
        symbol: str | None = None,
        timeframe: str | None = None,
        timezone: str | None = None,
        calendar: str | None = None,
        accept_jumps: bool = False,
        replace: bool = False,
    ) -> CheckReport:
        return await self._long.run(
            lambda: self._bars.import_file(
                path,
                symbol=symbol,
                timeframe=timeframe,
                timezone=timezone,
                calendar=calendar,
                accept_jumps=accept_jumps,
                replace=replace,
            )
        )

    async def import_series(self, path: Path, said: SeriesImport) -> CheckReport:
        return await asyncio.to_thread(lambda: self._bars.import_series(path, said))

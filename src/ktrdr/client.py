"""The Client protocol that every command calls, and its implementation on a service embedded in this process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol, Self

from ktrdr.contracts.bars import Bar, BarRepository, CheckReport, SeriesInfo
from ktrdr.contracts.models import Evaluation, ModelDetails, ModelRecord, ModelRepository, ModelUser, Prediction
from ktrdr.contracts.operations import Operation
from ktrdr.contracts.strategies import StrategyDetails, StrategyRepository, StrategySummary
from ktrdr.contracts.training import StartTraining, TrainingPlan
from ktrdr.orchestration.operations_service import OperationsService
from ktrdr.orchestration.training_service import TrainingService

Services = Callable[[], Awaitable[tuple[TrainingService, OperationsService]]]


class Client(Protocol):
    """What a user can ask of KTRDR, wherever it runs. Raises the errors of `ktrdr.errors`."""

    async def plan_training(self, wanted: StartTraining) -> TrainingPlan: ...

    async def start_training(self, wanted: StartTraining) -> Operation:
        """The operation as committed; it runs on by itself."""

    def watch(self, operation_id: str) -> AsyncIterator[Operation]:
        """The operation now and at each change; the last one has ended."""

    async def operation(self, operation_id: str) -> Operation: ...

    async def cancel(self, operation_id: str) -> Operation: ...

    async def strategies(self) -> list[StrategySummary]: ...

    async def strategy(self, name: str) -> StrategyDetails: ...

    async def validate(self, path: Path) -> StrategyDetails:
        """The strategy in any file, resolved. Raises InvalidStrategy with every mistake."""

    async def models(self, strategy: str | None = None) -> list[ModelRecord]: ...

    async def model(self, name: str) -> ModelDetails: ...

    async def delete_model(self, name: str) -> ModelRecord: ...

    async def evaluate_model(
        self, name: str, *, symbols: list[str] | None, start: datetime | None, end: datetime | None
    ) -> Evaluation: ...

    async def predict(
        self, name: str, *, symbols: list[str] | None, start: datetime | None, end: datetime | None, last: int | None
    ) -> Prediction: ...

    async def series(self) -> list[SeriesInfo]: ...

    async def describe_series(self, symbol: str, timeframe: str) -> tuple[SeriesInfo, list[Bar], list[Bar]]:
        """The series with its first and last bars."""

    async def check_series(self, symbol: str, timeframe: str) -> CheckReport: ...

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
        """Store a file's bars; what is not given is detected."""


class InProcessClient:
    """A client whose service lives in this process. The service is opened at its first use, closed on exit."""

    def __init__(
        self,
        *,
        services: Services,
        strategies: StrategyRepository,
        bars: BarRepository,
        models: ModelRepository,
        model_user: ModelUser,
    ) -> None:
        self._open = services
        self._opened: tuple[TrainingService, OperationsService] | None = None
        self._opening = asyncio.Lock()
        self._strategies = strategies
        self._bars = bars
        self._models = models
        self._model_user = model_user

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._opened is not None:
            training, operations = self._opened
            try:
                await training.aclose()
            finally:
                await operations.aclose()

    async def _services(self) -> tuple[TrainingService, OperationsService]:
        async with self._opening:
            if self._opened is None:
                self._opened = await self._open()
            return self._opened

    async def plan_training(self, wanted: StartTraining) -> TrainingPlan:
        training, _ = await self._services()
        return await training.plan(wanted)

    async def start_training(self, wanted: StartTraining) -> Operation:
        training, _ = await self._services()
        return await training.start_training(wanted)

    async def watch(self, operation_id: str) -> AsyncIterator[Operation]:
        _, operations = await self._services()
        async for operation in operations.watch(operation_id):
            yield operation

    async def operation(self, operation_id: str) -> Operation:
        _, operations = await self._services()
        return await operations.get(operation_id)

    async def cancel(self, operation_id: str) -> Operation:
        training, _ = await self._services()
        return await training.cancel(operation_id)

    # Lambdas: looking a method up may already build the part that has it, and that is work for the thread too.

    async def strategies(self) -> list[StrategySummary]:
        return await asyncio.to_thread(lambda: self._strategies.summaries())  # noqa: PLW0108

    async def strategy(self, name: str) -> StrategyDetails:
        return await asyncio.to_thread(lambda: self._strategies.read(name))

    async def validate(self, path: Path) -> StrategyDetails:
        return await asyncio.to_thread(lambda: self._strategies.read_file(path))

    async def models(self, strategy: str | None = None) -> list[ModelRecord]:
        return await asyncio.to_thread(lambda: self._models.records(strategy))

    async def model(self, name: str) -> ModelDetails:
        return await asyncio.to_thread(lambda: self._models.show(name))

    async def delete_model(self, name: str) -> ModelRecord:
        return await asyncio.to_thread(lambda: self._models.delete(name))

    async def evaluate_model(
        self, name: str, *, symbols: list[str] | None, start: datetime | None, end: datetime | None
    ) -> Evaluation:
        return await asyncio.to_thread(lambda: self._model_user.evaluate(name, symbols=symbols, start=start, end=end))

    async def predict(
        self, name: str, *, symbols: list[str] | None, start: datetime | None, end: datetime | None, last: int | None
    ) -> Prediction:
        return await asyncio.to_thread(
            lambda: self._model_user.predict(name, symbols=symbols, start=start, end=end, last=last)
        )

    async def series(self) -> list[SeriesInfo]:
        return await asyncio.to_thread(lambda: self._bars.series())  # noqa: PLW0108

    async def describe_series(self, symbol: str, timeframe: str) -> tuple[SeriesInfo, list[Bar], list[Bar]]:
        return await asyncio.to_thread(
            lambda: (self._bars.describe(symbol, timeframe), *self._bars.head_and_tail(symbol, timeframe))
        )

    async def check_series(self, symbol: str, timeframe: str) -> CheckReport:
        return await asyncio.to_thread(lambda: self._bars.check(symbol, timeframe))

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
        return await asyncio.to_thread(
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

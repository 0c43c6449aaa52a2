"""What a user can ask of KTRDR, wherever it runs."""

from collections.abc import AsyncIterator, Collection
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from ktrdr.contracts.bars import CheckReport, SeriesDetails, SeriesImport, SeriesInfo
from ktrdr.contracts.coverage import CoverageReport
from ktrdr.contracts.hosts import HostEntry, HostReport
from ktrdr.contracts.leaks import CheckLeaks, LeakReport
from ktrdr.contracts.models import Evaluation, ModelDetails, ModelRecord, Prediction
from ktrdr.contracts.operations import Operation, OperationPage, OperationStatus
from ktrdr.contracts.strategies import GivenStrategy, StrategyDetails, StrategySummary
from ktrdr.contracts.training import OperationType, StartTraining, TrainingConfig, TrainingPlan


class Client(Protocol):
    """Every command calls this and nothing else. Methods raise the errors of `ktrdr.errors`."""

    async def plan_training(self, wanted: StartTraining) -> TrainingPlan: ...

    async def start_training(self, wanted: StartTraining) -> Operation:
        """The operation as committed; it runs on by itself."""

    def watch(self, operation_id: str) -> AsyncIterator[Operation]:
        """The operation now and at each change; the last one has ended."""

    async def operation(self, operation_id: str) -> Operation: ...

    async def operations(
        self,
        statuses: Collection[OperationStatus] = (),
        *,
        strategy: str | None = None,
        type: OperationType | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> OperationPage:
        """Operations in any of these states, of that strategy and type (what is not given: any), newest first."""

    async def operation_log(self, operation_id: str) -> list[dict[str, Any]]:
        """The structured log of its runs, oldest line first."""

    async def cancel(self, operation_id: str) -> Operation: ...

    async def retry(self, operation_id: str, *, from_start: bool = False) -> Operation:
        """Queue a failed or cancelled operation again; it goes on from its checkpoint unless told otherwise."""

    async def strategies(self) -> list[StrategySummary]: ...

    async def strategy(self, name: str) -> StrategyDetails: ...

    async def validate(self, text: str, source: str) -> StrategyDetails:
        """The strategy of a file's text, resolved. Raises InvalidStrategy with every mistake, naming `source`."""

    async def coverage(self, given: GivenStrategy) -> CoverageReport:
        """The memberships of a strategy over the values of its training rows, on the stored bars."""

    async def check_leaks(self, wanted: CheckLeaks) -> LeakReport:
        """Whether inputs and labels know the future, or have not settled, on the stored bars."""

    async def models(self, strategy: str | None = None) -> list[ModelRecord]: ...

    async def model(self, name: str) -> ModelDetails: ...

    async def delete_model(self, name: str) -> ModelRecord: ...

    async def evaluate_model(
        self, name: str, *, symbols: list[str] | None, start: datetime | None, end: datetime | None
    ) -> Evaluation: ...

    async def predict(
        self, name: str, *, symbols: list[str] | None, start: datetime | None, end: datetime | None, last: int | None
    ) -> Prediction: ...

    async def training_config(self) -> TrainingConfig: ...

    async def set_default_mode(self, mode: str) -> TrainingConfig: ...

    async def hosts(self, *, fresh: bool = False) -> list[HostReport]:
        """Every host service with its health: as it was seconds ago, or `fresh`."""

    async def add_host(self, host: HostEntry) -> HostEntry:
        """Register a host service. Raises Conflict when the name is taken."""

    async def remove_host(self, name: str) -> HostEntry:
        """Forget a host service; trainings that run there are still followed."""

    async def strategy_schema(self) -> dict[str, Any]:
        """The JSON Schema of strategy files, for editors."""

    def series_file(self, symbol: str, timeframe: str, digest: str) -> AsyncIterator[bytes]:
        """The file of a stored series (Parquet) in pieces, if its bars have that digest; else DataNotFound."""

    async def series(self) -> list[SeriesInfo]: ...

    async def describe_series(self, symbol: str, timeframe: str) -> SeriesDetails: ...

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

    async def import_series(self, path: Path, said: SeriesImport) -> CheckReport:
        """Store a file's values, each with the moment at which it was known: that of a column `known_at`, or the end of
        its period and `lag`."""

"""Real SQLite files and a real PostgreSQL, services with short waits, repositories of one strategy and one series."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from ktrdr.contracts.bars import SeriesInfo, SeriesReading, SeriesWanted
from ktrdr.contracts.strategies import StrategyDetails
from ktrdr.contracts.training import TrainingRequest, TrainingResult
from ktrdr.errors import DataNotFound, StrategyNotFound
from ktrdr.orchestration import migrate
from ktrdr.orchestration.operation_store import OperationStore
from ktrdr.orchestration.operations_service import OperationsService

START, END = datetime(2017, 1, 1, tzinfo=UTC), datetime(2018, 1, 1, tzinfo=UTC)


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state' / 'operations.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """An empty database of either kind, at the tables of this program where it does not get them by the way."""
    made: str = request.getfixturevalue("sqlite" if request.param == "sqlite" else "postgresql")
    return made


@pytest_asyncio.fixture
async def store(url: str) -> AsyncIterator[OperationStore]:
    opened = await OperationStore.open(url, migrate.upgrade, owner="test")
    yield opened
    await opened.aclose()


@pytest_asyncio.fixture
async def operations(store: OperationStore) -> AsyncIterator[OperationsService]:
    service = OperationsService(store, store_every=0.05, show_every=0.01, look_every=0.02)
    yield service
    await service.aclose()


@pytest.fixture
def request_for() -> Callable[..., TrainingRequest]:
    def make(operation_id: str, **changes: Any) -> TrainingRequest:
        return TrainingRequest(operation_id=operation_id, strategy_name="demo", strategy={"a": 1}, **changes)

    return make


@pytest.fixture
def until() -> Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]:
    """Waits, two seconds at most, until the condition holds."""

    async def wait(condition: Callable[[], Awaitable[bool]]) -> None:
        for _ in range(200):
            if await condition():
                return
            await asyncio.sleep(0.01)
        pytest.fail("the condition did not come to hold in two seconds")

    return wait


class OneStrategy:
    """A folder with the strategy `demo`, and any text or file read as it."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def read(self, name: str, overrides: Any = None) -> StrategyDetails:
        self.asked.append(("read", name, overrides))
        if name != "demo":
            raise StrategyNotFound(f"there is no strategy {name}: there is demo")
        return self._details(overrides)

    def read_text(self, text: str, source: str, overrides: Any = None) -> StrategyDetails:
        self.asked.append(("read_text", text, source, overrides))
        return self._details(overrides)

    def _details(self, overrides: Any) -> StrategyDetails:
        symbols = (overrides and overrides.symbols) or ["EURUSD"]
        timeframes = (overrides and overrides.timeframes) or ["1h"]
        return StrategyDetails(
            name="demo",
            source="demo.yaml",
            text="",
            resolved={"training": {"labels": {"source": "zigzag"}, "epochs": 3}, "model": {"type": "mlp"}},
            symbols=symbols,
            timeframes=timeframes,
            series=[SeriesWanted(symbol=symbol, timeframe=name) for symbol in symbols for name in timeframes],
            base_timeframe="1h",
            start_date=overrides.start_date if overrides else None,
            end_date=None,
            feature_names=["1h_rsi_low"],
            notices=["a notice"],
        )


class OneSeries:
    """EURUSD 1h of 2017."""

    def describe(self, symbol: str, timeframe: str) -> SeriesInfo:
        if symbol != "EURUSD":
            raise DataNotFound(f"there are no bars of {symbol} {timeframe}: import them")
        return SeriesInfo(
            symbol=symbol,
            timeframe=timeframe,
            bars=6000,
            start=START,
            end=END,
            calendar="24/5",
            digest="0",
            source="-",
            path="-",
        )

    def readings(
        self, series: Sequence[SeriesWanted], start: datetime | None, end: datetime | None
    ) -> list[SeriesReading]:
        if start and start >= END:
            raise DataNotFound(f"there are no bars of {series[0].name} from {start}: choose other dates or import more")
        return [
            SeriesReading(
                wanted=wanted,
                bars=6000,
                stored=self.describe(wanted.symbol, "1h"),
                notice=None if wanted.timeframe == "1h" else f"{wanted.name} is resampled from 1h",
            )
            for wanted in series
        ]


class NothingSaved:
    """Knows no result; `results` are given by operation id. Remembers which checkpoints were discarded."""

    def __init__(self) -> None:
        self.results: dict[str, TrainingResult] = {}
        self.discarded: list[str] = []

    def result_of(self, request: TrainingRequest) -> TrainingResult | None:
        return self.results.get(request.operation_id)

    def discard(self, operation_id: str) -> None:
        self.discarded.append(operation_id)


@pytest.fixture
def fakes() -> SimpleNamespace:
    saved = NothingSaved()
    return SimpleNamespace(strategies=OneStrategy(), bars=OneSeries(), saved=saved, checkpoints=saved)

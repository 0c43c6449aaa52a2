"""A client that keeps everything in memory: two series, one strategy, one model, and trainings that end as told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.cli.sample_result import BASELINES, NULL_TEST, TEST_METRICS, training_result

from ktrdr.client import Client
from ktrdr.contracts.bars import Bar, CheckReport, Finding, SeriesDetails, SeriesImport, SeriesInfo
from ktrdr.contracts.coverage import CoverageReport, MembershipCurve, SetCoverage
from ktrdr.contracts.hosts import Device, HostEntry, HostHealth, HostReport
from ktrdr.contracts.leaks import CheckLeaks, InputVerdict, LeakReport, LeakVerdict
from ktrdr.contracts.models import Evaluation, ModelDetails, ModelRecord, Prediction, Signal
from ktrdr.contracts.operations import Operation, OperationPage, OperationStatus, Progress
from ktrdr.contracts.strategies import GivenStrategy, StrategyDetails, StrategyInput, StrategySummary
from ktrdr.contracts.training import Phase, StartTraining, TrainingConfig, TrainingPlan, TrainingRequest
from ktrdr.errors import (
    Conflict,
    DataNotFound,
    InvalidRequest,
    InvalidStrategy,
    ModelNotFound,
    NotFound,
    OperationNotFound,
    Problem,
    StrategyNotFound,
)

START = datetime(2017, 1, 1, 22, tzinfo=UTC)
MODEL = "momentum/EURUSD_1h_v1"
RESOLVED: dict[str, Any] = {
    "description": "an example",
    "fuzzy_sets": {"rsi": {"indicator": "rsi_14", "low": {"type": "triangular", "parameters": [0, 0, 40]}}},
    "nn_inputs": [
        {"fuzzy_set": "rsi", "timeframes": "all"},
        {"raw_indicator": "atr_24", "timeframes": ["1h"], "normalization": "zscore"},
    ],
    "model": {"type": "mlp", "architecture": {"hidden_layers": [8], "dropout": 0.2}},
    "decisions": {"num_classes": 3},
    "training": {"labels": {"source": "triple_barrier", "pt_multiplier": 2.0}, "epochs": 3, "seed": 42},
}


class FakeClient:
    """Answers like the real one and remembers what it was asked."""

    def __init__(
        self,
        *,
        end: OperationStatus = OperationStatus.COMPLETED,
        pause: float = 0.0,
        states: int = 3,
        deaf: bool = False,
    ) -> None:
        """A training shows `states` states, `pause` seconds apart, and ends as `end`, or cancelled once that was
        asked for; a `deaf` one goes on regardless."""
        self._end = end
        self._pause = pause
        self._states = states
        self._deaf = deaf
        self._operations = {"op_0": running("op_0")}
        self.wanted: list[StartTraining] = []
        self.asked: dict[str, dict[str, Any]] = {}
        self.stored = {MODEL}
        self.imported: list[tuple[Path, dict[str, Any]]] = []
        self.values: list[SeriesInfo] = []
        self.broken: Exception | None = None
        self.findings: list[Finding] = []
        self.signals = signals(12)
        self.registered = [HostEntry(name="gpu1", url="https://gpu1:8100", price_per_hour=1.5)]
        self.silent: set[str] = set()
        self.covered = coverage_report()
        self.verdict = LeakVerdict.WARM_UP_ERROR

    async def plan_training(self, wanted: StartTraining) -> TrainingPlan:
        self._know(wanted)
        return TrainingPlan(
            strategy_name="momentum",
            symbols=wanted.overrides.symbols or ["EURUSD"],
            timeframes=["1h"],
            base_timeframe="1h",
            start_date=wanted.overrides.start_date,
            end_date=wanted.overrides.end_date,
            bars={"EURUSD 1h": 6225},
            feature_names=["1h_rsi_low", "1h_atr_24_raw"],
            labels=RESOLVED["training"]["labels"],
            model={"type": "mlp", "hidden_layers": [8]},
            training={"epochs": 3},
            execution_mode="local",
            execution_reason="the default",
            notices=["only [some] bars are there"],
        )

    async def start_training(self, wanted: StartTraining) -> Operation:
        self._know(wanted)
        self.wanted.append(wanted)
        self._operations["op_1"] = running().model_copy(update={"type": wanted.type})
        return self._operations["op_1"]

    async def watch(self, operation_id: str) -> AsyncIterator[Operation]:
        for number in range(self._states):
            yield self._change(operation_id, progress=_progress(number / self._states, number + 1))
            await asyncio.sleep(self._pause)
            if self._operations[operation_id].status is OperationStatus.CANCELLING and not self._deaf:
                yield self._change(operation_id, status=OperationStatus.CANCELLED)
                return
        ended: dict[str, Any] = {"status": self._end}
        if self._end is OperationStatus.COMPLETED:
            ended["result"] = training_result()
            if self._operations[operation_id].type == "null_test":
                metrics = {**TEST_METRICS, "null_test": NULL_TEST}
                ended["result"] = training_result(model_path=None, test_metrics=metrics)
        if self._end is OperationStatus.FAILED:
            ended["error"] = {"code": "training_failed", "message": "the loss is [not] a number: lower learning_rate"}
        yield self._change(operation_id, **ended)

    async def operation(self, operation_id: str) -> Operation:
        if operation_id not in self._operations:
            raise OperationNotFound(f"there is no operation {operation_id}: list the operations to see their ids")
        return self._operations[operation_id]

    async def operations(
        self,
        statuses: Collection[OperationStatus] = (),
        *,
        strategy: str | None = None,
        type: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> OperationPage:
        asked = {"strategy": strategy, "type": type, "limit": limit, "offset": offset}
        self.asked["operations"] = {"statuses": [*statuses], **asked}
        items = [operation.summary() for operation in self._operations.values()]
        return OperationPage(items=items, total=len(items) + 50, limit=limit, offset=offset)

    async def operation_log(self, operation_id: str) -> list[dict[str, Any]]:
        await self.operation(operation_id)
        return [{"timestamp": "2026-01-02T03:04:05Z", "level": "info", "event": "Step [1]/12", "rows": 3}]

    async def retry(self, operation_id: str, *, from_start: bool = False) -> Operation:
        self.asked["retry"] = {"from_start": from_start}
        return await self.operation(operation_id)

    async def cancel(self, operation_id: str) -> Operation:
        if self._operations[operation_id].status.ended:
            raise Conflict("it has ended")
        return self._change(operation_id, status=OperationStatus.CANCELLING)

    async def strategies(self) -> list[StrategySummary]:
        good = StrategySummary(
            name="momentum", path="strategies/momentum.yaml", symbols=["EURUSD"], timeframes=["1h"], labels="zigzag"
        )
        return [good, StrategySummary(name="odd", path="strategies/odd.yaml", error="line 3: not [a list")]

    async def strategy(self, name: str) -> StrategyDetails:
        if name != "momentum":
            raise StrategyNotFound(f"there is no strategy {name}: there is momentum")
        return StrategyDetails(
            name="momentum",
            source="strategies/momentum.yaml",
            text="name: momentum",
            resolved=RESOLVED,
            symbols=["EURUSD"],
            timeframes=["1h"],
            base_timeframe="1h",
            start_date=None,
            end_date=None,
            feature_names=["1h_rsi_low", "1h_atr_24_raw"],
            inputs=[
                StrategyInput(
                    name="1h_rsi_low",
                    timeframe="1h",
                    indicator="rsi_14",
                    fuzzy_set="rsi",
                    type="triangular",
                    parameters=[0, 0, 40],
                ),
                StrategyInput(name="1h_atr_24_raw", timeframe="1h", indicator="atr_24", normalization="zscore"),
            ],
            notices=["rsi [low] overlaps nothing"],
        )

    async def validate(self, text: str, source: str) -> StrategyDetails:
        if "wrong" in source:
            raise InvalidStrategy(
                source,
                [
                    Problem(path="training.epochs", line=12, found="'many'", expected="a whole number of at least 1"),
                    Problem(path="model", line=None, found="[mlp]", expected="a mapping with a type"),
                ],
            )
        return await self.strategy("momentum")

    async def coverage(self, given: GivenStrategy) -> CoverageReport:
        self.asked["coverage"] = given.model_dump()
        if given.strategy_name is not None:
            await self.strategy(given.strategy_name)
        return self.covered

    async def check_leaks(self, wanted: CheckLeaks) -> LeakReport:
        self.asked["leaks"] = wanted.model_dump()
        if wanted.strategy_name is not None:
            await self.strategy(wanted.strategy_name)
        guilty = InputVerdict(
            name="1h_atr_24_raw",
            timeframe="1h",
            verdict=self.verdict,
            difference=0.058,
            symbol="EURUSD",
            at=START,
            enough_history=264,
        )
        endless = guilty.model_copy(update={"name": "1h_obv_[raw]", "enough_history": None})
        fine = InputVerdict(name="1h_rsi_low", timeframe="1h", verdict=LeakVerdict.PASS)
        return LeakReport(
            strategy_name="momentum",
            symbols=["EURUSD"],
            base_timeframe="1h",
            history_required=50,
            bars={"EURUSD 1h": 6225},
            cuts=wanted.cuts,
            verdict=self.verdict,
            inputs=[fine, guilty, endless],
            labels=fine.model_copy(update={"name": "labels"}),
            notices=["warm-up error: [two] inputs"],
        )

    async def models(self, strategy: str | None = None) -> list[ModelRecord]:
        return [_record(name) for name in sorted(self.stored) if strategy in (None, "momentum")]

    async def model(self, name: str) -> ModelDetails:
        self._have(name)
        result = training_result()
        return ModelDetails(
            record=_record(MODEL),
            config={"strategy": RESOLVED},
            metrics={
                "training_metrics": result.training_metrics,
                "test_metrics": result.test_metrics,
                "per_symbol_metrics": {},
            },
            features={"names": result.feature_names, "importance": result.feature_importance},
            metadata={
                "model_info": result.model_info,
                "data_summary": result.data_summary,
                "resource_usage": result.resource_usage,
                "provenance": result.provenance,
            },
        )

    async def delete_model(self, name: str) -> ModelRecord:
        self._have(name)
        self.stored.remove(MODEL)
        return _record(MODEL)

    async def evaluate_model(self, name: str, **asked: Any) -> Evaluation:
        self._have(name)
        self.asked["evaluate"] = asked
        stored = not any(asked.values())
        same = {
            "same_bars": True,
            "same_rows": True,
            "same_answers": True,
            "largest_difference": 0,
        }
        return Evaluation(
            model=MODEL,
            symbols=asked["symbols"] or ["EURUSD"],
            timeframe="1h",
            start=START,
            end=START + timedelta(days=50),
            rows=900,
            metrics=TEST_METRICS,
            baselines=BASELINES,
            per_symbol_metrics={},
            reproduces=same if stored else None,
            notices=[],
        )

    async def predict(self, name: str, **asked: Any) -> Prediction:
        self._have(name)
        self.asked["predict"] = asked
        chosen = self.signals[-asked["last"] :] if asked["last"] else self.signals
        return Prediction(model=MODEL, signals=chosen, rows=len(chosen), notices=["seen [before] in training"])

    async def training_config(self) -> TrainingConfig:
        return TrainingConfig(default_execution_mode="auto", origin="settings")

    async def set_default_mode(self, mode: str) -> TrainingConfig:
        if mode not in ("auto", "local", "host"):
            raise InvalidRequest(f"there is no execution mode {mode!r}")
        return TrainingConfig(default_execution_mode=mode, origin="stored", previous="auto")

    async def hosts(self, *, fresh: bool = False) -> list[HostReport]:
        self.asked["hosts"] = {"fresh": fresh}
        return [_report(host, host.name in self.silent) for host in self.registered]

    async def add_host(self, entry: HostEntry) -> HostEntry:
        if entry.name in [host.name for host in self.registered]:
            raise Conflict(f"there is a host {entry.name} already")
        self.registered.append(entry)
        return entry

    async def remove_host(self, name: str) -> HostEntry:
        for host in self.registered:
            if host.name == name:
                self.registered.remove(host)
                return host
        raise NotFound(f"there is no host {name}")

    async def strategy_schema(self) -> dict[str, Any]:
        return {"title": "KTRDR strategy"}

    async def series_file(self, symbol: str, timeframe: str, digest: str) -> AsyncIterator[bytes]:
        if digest != "d1":
            raise DataNotFound("other bars are stored")
        for piece in (b"PAR1", b"rest"):
            yield piece

    async def series(self) -> list[SeriesInfo]:
        return [_series("AAPL", "1d"), _series("EURUSD", "1h"), *self.values]

    async def describe_series(self, symbol: str, timeframe: str) -> SeriesDetails:
        bars = [Bar(time=START, open=1.05, high=1.06, low=1.04, close=1.055, volume=10.0)]
        return SeriesDetails(series=self._series(symbol, timeframe), head=bars, tail=bars)

    async def check_series(self, symbol: str, timeframe: str) -> CheckReport:
        return CheckReport(series=self._series(symbol, timeframe), findings=self.findings)

    async def import_bars(self, path: Path, **options: Any) -> CheckReport:
        if not path.name.startswith("EURUSD"):
            raise DataNotFound(f"there is no file {path}")
        self.imported.append((path, options))
        return CheckReport(series=_series("EURUSD", "1h"), findings=self.findings)

    async def import_series(self, path: Path, said: SeriesImport) -> CheckReport:
        if not path.name.startswith("EURUSD"):
            raise DataNotFound(f"there is no file {path}")
        self.imported.append((path, said.model_dump()))
        self.values = [_series(said.name, "1d").model_copy(update={"calendar": "observed", "lag": "1d"})]
        return CheckReport(series=self.values[0], findings=self.findings)

    def _know(self, wanted: StartTraining) -> None:
        if self.broken:
            raise self.broken
        if wanted.strategy_name not in (None, "momentum"):
            raise StrategyNotFound(f"there is no strategy {wanted.strategy_name}: there is momentum")

    def _have(self, name: str) -> None:
        if MODEL not in self.stored or not MODEL.startswith(name):
            raise ModelNotFound(f"there is no model {name}: `ktrdr models list` names those there are")

    def _series(self, symbol: str, timeframe: str) -> SeriesInfo:
        stored = [_series("EURUSD", "1h"), _series("AAPL", "1d"), *self.values]
        for one in stored:
            if (one.symbol, one.timeframe) == (symbol, timeframe):
                return one
        raise DataNotFound(f"there are no bars of {symbol} {timeframe}")

    def _change(self, operation_id: str, **values: Any) -> Operation:
        operation = self._operations[operation_id]
        self._operations[operation_id] = operation.model_copy(update={"revision": operation.revision + 1, **values})
        return self._operations[operation_id]


def running(operation_id: str = "op_1") -> Operation:
    """A training that has begun."""
    request = TrainingRequest(operation_id=operation_id, strategy_name="momentum", strategy=RESOLVED)
    return Operation(
        operation_id=operation_id,
        strategy_name="momentum",
        status=OperationStatus.RUNNING,
        attempt=1,
        revision=1,
        request=request,
        execution_mode="local",
        execution_reason="the default",
        created_at=START,
        started_at=START,
        progress=_progress(0.5, 2),
    )


def opening(client: Client, given: dict[str, Any] | None = None) -> Callable[..., AbstractAsyncContextManager[Client]]:
    """An `open_client` that hands out `client` and leaves the options it was opened with in `given`."""

    @asynccontextmanager
    async def open_client(**options: Any) -> AsyncIterator[Client]:
        if given is not None:
            given.update(options)
        yield client

    return open_client


def signals(count: int) -> list[Signal]:
    """Hourly signals, the first of them SELL."""
    hours = [START + timedelta(hours=number) for number in range(count)]
    return [
        Signal(
            symbol="EURUSD",
            time=hour,
            known=hour + timedelta(hours=1),
            signal="BUY" if number else "SELL",
            confidence=0.5,
            probabilities={"BUY": 0.5, "HOLD": 0.2, "SELL": 0.3},
            is_event=number != 1,
        )
        for number, hour in enumerate(hours)
    ]


def coverage_report() -> CoverageReport:
    """Two sets: one of two memberships that meet at 50, one whose only membership lies beyond the rows."""
    grid = [float(value) for value in range(0, 101, 5)]
    low = [max(0.0, 1 - value / 50) for value in grid]
    high = [max(0.0, value / 50 - 1) for value in grid]
    counts = [0] * 16 + [1, 300, 20, 0] * 8 + [0] * 16
    rsi = SetCoverage(
        name="1h_rsi",
        timeframe="1h",
        indicator="rsi_14",
        grid=grid,
        memberships=[
            MembershipCurve(
                name="low", type="triangular", parameters=[0, 0, 50], values=low, fires=0.5, mean=0.2, highest=0.8
            ),
            MembershipCurve(name="high[est]", type="s", parameters=[50, 100], values=high, fires=0, mean=0, highest=0),
        ],
        edges=[100 * number / 64 for number in range(65)],
        counts=counts,
        covered=0.5,
        overlapping=0.0,
    )
    return CoverageReport(
        strategy_name="momentum",
        symbols=["EURUSD"],
        base_timeframe="1h",
        rows=sum(counts),
        start=START,
        end=START + timedelta(days=200),
        sets=[rsi, rsi.model_copy(update={"name": "4h_rsi", "grid": [value / 1000 for value in grid]})],
        notices=["1h_rsi_high[est] never fires on the training rows"],
    )


def _progress(fraction: float, epoch: int) -> Progress:
    losses = {"train_loss": 1.0 / epoch, "val_loss": 1.1, "val_accuracy": 0.4}
    details = {"epoch": epoch, "epochs": 3, **losses}
    return Progress(phase=Phase.TRAINING, message="", fraction=fraction, eta_seconds=2.0, details=details)


def _record(name: str) -> ModelRecord:
    return ModelRecord(
        name=name,
        strategy_name="momentum",
        version=1,
        symbols=["EURUSD"],
        base_timeframe="1h",
        operation_id="op_1",
        created_at=START,
        is_latest=True,
        path=f"models/{name}",
        test_metrics=TEST_METRICS,
    )


def _series(symbol: str, timeframe: str) -> SeriesInfo:
    return SeriesInfo(
        symbol=symbol,
        timeframe=timeframe,
        bars=6225,
        start=START,
        end=START + timedelta(days=360),
        calendar="fx",
        digest="0123456789abcdef0123",
        source=f"{symbol}_{timeframe}.csv",
        path=f"data/{symbol}_{timeframe}.parquet",
    )


def _report(host: HostEntry, silent: bool) -> HostReport:
    devices = [Device(type="cuda", name="[GPU] 0", memory_bytes=80 * 2**30), Device(type="cpu", name="16 cores")]
    health = HostHealth(version="0.4.0", uptime_seconds=93_784, devices=devices, slots=2, free_slots=1)
    return HostReport(
        host=host,
        checked_at=START,
        latency_seconds=0.012,
        health=None if silent else health,
        error=f"{host.url} does not [answer] within 2 s" if silent else None,
    )

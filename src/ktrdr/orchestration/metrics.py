"""What Prometheus scrapes: trainings by state and mode, the queue, phases, requests and database errors."""

from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from ktrdr.contracts.operations import Operation, OperationStatus
from ktrdr.orchestration.operation_store import OperationStore

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)


class Metrics:
    """The metrics of one server. `ended` and `answered` are told, all else is looked up when it is scraped."""

    def __init__(self, store: OperationStore) -> None:
        self._store = store
        self._registry = registry = CollectorRegistry()
        self._operations = Gauge(
            "ktrdr_operations", "Operations by state and execution mode", ["status", "mode"], registry=registry
        )
        self._oldest = Gauge(
            "ktrdr_queue_oldest_seconds", "Age of the operation that has waited longest", ["mode"], registry=registry
        )
        self._ended = Counter(
            "ktrdr_trainings_ended", "Trainings that have ended here", ["status", "mode"], registry=registry
        )
        self._phases = Histogram(
            "ktrdr_phase_seconds", "Seconds of each phase", ["phase", "mode"], buckets=_SECONDS, registry=registry
        )
        self._speed = Gauge(
            "ktrdr_epochs_per_second", "Epochs a second of the last training", ["mode"], registry=registry
        )
        self._requests = Histogram(
            "ktrdr_request_seconds",
            "Seconds until a request was answered",
            ["method", "route", "status"],
            buckets=_SECONDS,
            registry=registry,
        )
        registry.register(_DatabaseErrors(store))

    def ended(self, operation: Operation) -> None:
        """A training of this process has ended."""
        mode, result = operation.execution_mode, operation.result
        self._ended.labels(operation.status.value, mode).inc()
        if result is None:
            return
        for phase, seconds in result.resource_usage.get("seconds_per_phase", {}).items():
            self._phases.labels(phase, mode).observe(seconds)
        self._speed.labels(mode).set(result.resource_usage.get("epochs_per_second") or 0.0)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered; `route` is its template, so that ids make no series of their own."""
        self._requests.labels(method, route, str(status)).observe(seconds)

    async def scrape(self) -> bytes:
        """Everything in Prometheus's text format."""
        self._operations.clear()
        self._oldest.clear()
        now = datetime.now(UTC)
        for status, mode, count, oldest in await self._store.counts():
            self._operations.labels(status.value, mode).set(count)
            if status is OperationStatus.QUEUED:
                self._oldest.labels(mode).set((now - oldest).total_seconds())
        return generate_latest(self._registry)


class _DatabaseErrors(Collector):
    """The count that the database keeps of its failed transactions."""

    def __init__(self, store: OperationStore) -> None:
        self._store = store

    def collect(self) -> list[Metric]:
        errors = self._store.database.errors
        return [CounterMetricFamily("ktrdr_database_errors", "Transactions that the database failed", errors)]

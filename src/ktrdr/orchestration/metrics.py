"""What Prometheus scrapes: trainings by state and mode, the queue, phases, requests, hosts, transfers, and database
errors."""

from collections.abc import Sequence
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from ktrdr.contracts.hosts import LARGEST_INLINE, HostReport, ResultPayload
from ktrdr.contracts.operations import Operation, OperationStatus
from ktrdr.errors import TransferCorrupt, WrongModel
from ktrdr.logs import get_logger
from ktrdr.orchestration.execution_mode_selector import MODES
from ktrdr.orchestration.operation_store import OperationStore

NEAR = 0.8
"""Of the limit: a result above is worth a warning."""
_log = get_logger("metrics")
_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)


class Metrics:
    """The metrics of one server. `ended` and `answered` are told, all else is looked up when it is scraped."""

    def __init__(self, store: OperationStore) -> None:
        self._store = store
        self._registry = registry = CollectorRegistry()
        self._operations = Gauge(
            "ktrdr_operations", "Operations by state and execution mode", ["status", "mode"], registry=registry
        )
        self._depth = Gauge("ktrdr_queue_depth", "Operations that wait", ["mode"], registry=registry)
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
        self._fallbacks = Counter("ktrdr_mode_fallbacks", "Trainings that took a mode not asked for", registry=registry)
        self._host_up = Gauge("ktrdr_host_up", "Whether a host answered its last check", ["host"], registry=registry)
        self._host_uptime = Gauge("ktrdr_host_uptime_seconds", "Since the host started", ["host"], registry=registry)
        self._host_slots = Gauge("ktrdr_host_free_slots", "Slots that are free on a host", ["host"], registry=registry)
        self._host_latency = Histogram(
            "ktrdr_host_check_seconds", "Seconds of a check", ["host"], buckets=_SECONDS, registry=registry
        )
        self._transfers = Counter(
            "ktrdr_transfers",
            "Attempts to bring a result here, and what became of them",
            ["way", "outcome"],
            registry=registry,
        )
        self._undecodable = Counter(
            "ktrdr_transfer_deserialization_errors", "Results that were damaged or no such model", registry=registry
        )
        self._payload = Gauge(
            "ktrdr_transfer_compressed_bytes", "Compressed bytes of the last result that came", registry=registry
        )
        self._limit = Gauge(
            "ktrdr_transfer_inline_limit_bytes", "Compressed bytes that still go into the JSON", registry=registry
        )
        self._limit.set(LARGEST_INLINE)
        self._ratio = Gauge(
            "ktrdr_transfer_compression_ratio", "Bytes over compressed bytes of the last result", registry=registry
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

    def fell_back(self) -> None:
        """A training takes another mode than was asked for."""
        self._fallbacks.inc()

    def checked(self, report: HostReport) -> None:
        """A host was asked how it does."""
        self._host_latency.labels(report.host.name).observe(report.latency_seconds)

    def transferred(self, way: str, outcome: str, payload: ResultPayload | None) -> None:
        """A result came from a host, or did not come whole (None); `outcome` is accepted, repeated, announced or the
        code of an error."""
        self._transfers.labels(way, outcome).inc()
        if outcome in (TransferCorrupt.code, WrongModel.code):
            self._undecodable.inc()
        if payload is None:
            return
        packed = payload.model_state_dict.compressed_size + payload.context.compressed_size
        self._payload.set(packed)
        self._ratio.set((payload.model_state_dict.size + payload.context.size) / max(packed, 1))
        if NEAR * LARGEST_INLINE < packed <= LARGEST_INLINE:
            _log.warning("a result is close to the limit of JSON", bytes=packed, limit=LARGEST_INLINE)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered; `route` is its template, so that ids make no series of their own."""
        self._requests.labels(method, route, str(status)).observe(seconds)

    async def scrape(self, hosts: Sequence[HostReport] = ()) -> bytes:
        """Everything in Prometheus's text format; `hosts` are those there are now."""
        for gauge in (self._operations, self._oldest, self._host_up, self._host_uptime, self._host_slots):
            gauge.clear()
        for report in hosts:
            name, health = report.host.name, report.health
            self._host_up.labels(name).set(health is not None)
            self._host_uptime.labels(name).set(health.uptime_seconds if health else 0)
            self._host_slots.labels(name).set(health.free_slots if health else 0)
        for mode in MODES[1:]:  # an empty queue is 0, not nothing
            self._depth.labels(mode).set(0)
            self._oldest.labels(mode).set(0)
        now = datetime.now(UTC)
        for status, mode, count, oldest in await self._store.counts():
            self._operations.labels(status.value, mode).set(count)
            if status is OperationStatus.QUEUED:
                self._depth.labels(mode).set(count)
                self._oldest.labels(mode).set((now - oldest).total_seconds())
        return generate_latest(self._registry)


class _DatabaseErrors(Collector):
    """The count that the database keeps of its failed transactions."""

    def __init__(self, store: OperationStore) -> None:
        self._store = store

    def collect(self) -> list[Metric]:
        errors = self._store.database.errors
        return [CounterMetricFamily("ktrdr_database_errors", "Transactions that the database failed", errors)]

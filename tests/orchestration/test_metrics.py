"""What is scraped is what happened."""

from datetime import UTC, datetime

import pytest
import structlog

from ktrdr.contracts.hosts import LARGEST_INLINE, HostEntry, HostHealth, HostReport, PackedFile, ResultPayload
from ktrdr.contracts.operations import OperationStatus as S
from ktrdr.contracts.training import CancellationToken
from ktrdr.execution.runners.fake import FakeExecutor
from ktrdr.orchestration.metrics import Metrics
from ktrdr.orchestration.operations_service import OperationsService


async def test_what_is_scraped_is_what_happened(store, request_for):
    """Operations by state, the age of the queue, the phases of a training, requests by route, database errors."""
    metrics, service = Metrics(store), OperationsService(store)
    for name in ("a", "b", "c"):
        await service.create(request_for(name), "local", "asked for")
    await service.start("a", 1, CancellationToken())
    result = FakeExecutor().execute(request_for("a"), lambda *_, **__: None, lambda: False)
    usage = {"seconds_per_phase": {"training": 2.0}, "epochs_per_second": 7.0}
    done = await service.complete("a", 1, result.model_copy(update={"resource_usage": usage}))
    metrics.ended(done)
    metrics.ended(done.model_copy(update={"status": S.FAILED, "result": None}))
    metrics.answered("GET", "/operations/{operation_id}", 200, 0.002)
    store.database.errors = 3
    said = (await metrics.scrape()).decode()
    for line in (
        'ktrdr_operations{mode="local",status="queued"} 2.0',
        'ktrdr_operations{mode="local",status="completed"} 1.0',
        'ktrdr_trainings_ended_total{mode="local",status="completed"} 1.0',
        'ktrdr_trainings_ended_total{mode="local",status="failed"} 1.0',
        'ktrdr_phase_seconds_sum{mode="local",phase="training"} 2.0',
        'ktrdr_epochs_per_second{mode="local"} 7.0',
        'ktrdr_request_seconds_count{method="GET",route="/operations/{operation_id}",status="200"} 1.0',
        "ktrdr_database_errors_total 3.0",
    ):
        assert line in said
    ages = {line.split()[0]: line.split()[1] for line in said.splitlines() if line.startswith("ktrdr_queue_oldest")}
    assert 0.0 < float(ages['ktrdr_queue_oldest_seconds{mode="local"}']) < 60.0
    assert ages['ktrdr_queue_oldest_seconds{mode="host"}'] == "0.0"
    for mode, count in (("local", 2.0), ("host", 0.0)):
        assert f'ktrdr_queue_depth{{mode="{mode}"}} {count}' in said
    await service.request_cancel("b")
    await service.request_cancel("c")
    said = (await metrics.scrape()).decode()
    assert 'status="queued"' not in said
    assert 'ktrdr_queue_depth{mode="local"} 0.0' in said
    await service.aclose()


async def test_transfers(store):
    """Each attempt with what became of it, the last result's size beside the limit, and how well it was compressed."""
    metrics = Metrics(store)
    metrics.transferred("callback", "transfer_corrupt", None)
    metrics.transferred("callback", "wrong_model", payload(900, 300))
    metrics.transferred("callback", "unauthorized", None)
    metrics.transferred("fetch", "accepted", payload(1000, 250))
    metrics.transferred("callback", "repeated", payload(1000, 250))
    metrics.fell_back()
    metrics.checked(report())
    said = (await metrics.scrape([report(), report(silent=True)])).decode()
    for line in (
        'ktrdr_transfers_total{outcome="transfer_corrupt",way="callback"} 1.0',
        'ktrdr_transfers_total{outcome="accepted",way="fetch"} 1.0',
        'ktrdr_transfers_total{outcome="repeated",way="callback"} 1.0',
        "ktrdr_transfer_deserialization_errors_total 2.0",
        "ktrdr_transfer_compressed_bytes 500.0",
        "ktrdr_transfer_inline_limit_bytes 1.6777216e+07",
        "ktrdr_transfer_compression_ratio 4.0",
        "ktrdr_mode_fallbacks_total 1.0",
        'ktrdr_host_up{host="here"} 1.0',
        'ktrdr_host_up{host="silent"} 0.0',
        'ktrdr_host_uptime_seconds{host="here"} 60.0',
        'ktrdr_host_free_slots{host="here"} 1.0',
        'ktrdr_host_check_seconds_count{host="here"} 1.0',
    ):
        assert line in said
    assert "ktrdr_host_up{" not in (await metrics.scrape()).decode()


@pytest.mark.parametrize(
    ("packed", "warned"), [(0.79, False), (0.81, True), (1.0, True), (1.01, False)], ids=["far", "near", "at", "above"]
)
async def test_a_result_near_the_limit_is_a_warning(store, packed, warned):
    """Above it there is no danger: such a result is fetched."""
    with structlog.testing.capture_logs() as lines:
        Metrics(store).transferred("callback", "accepted", payload(0, int(packed * LARGEST_INLINE) // 2))
    assert [line["event"] for line in lines] == ["a result is close to the limit of JSON"] * warned


def payload(size, packed):
    """A result with two files of that size."""
    file = PackedFile(sha256="0" * 64, size=size, compressed_size=packed)
    names = set(ResultPayload.model_fields) - {"session_id", "compression", "feature_names"}
    told = {name: {} for name in names if not name.endswith(("_b64", "model_state_dict")) and name != "context"}
    return ResultPayload(session_id="op", model_state_dict=file, context=file, feature_names=[], **told)


def report(*, silent=False):
    """How a host was found."""
    health = HostHealth(version="1", uptime_seconds=60.0, devices=[], slots=2, free_slots=1)
    return HostReport(
        host=HostEntry(name="silent" if silent else "here", url="http://h:8100"),
        checked_at=datetime(2026, 1, 1, tzinfo=UTC),
        latency_seconds=0.1,
        health=None if silent else health,
        error="no answer" if silent else None,
    )

"""What is scraped is what happened."""

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
    (age,) = [line for line in said.splitlines() if line.startswith("ktrdr_queue_oldest_seconds{")]
    assert 0.0 <= float(age.split()[-1]) < 60.0
    await service.request_cancel("b")
    await service.request_cancel("c")
    assert 'status="queued"' not in (await metrics.scrape()).decode()
    await service.aclose()

"""A trace goes from the request to each step of its training."""

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ktrdr.contracts.operations import Progress
from ktrdr.contracts.training import Phase
from ktrdr.orchestration.tracing import Tracing

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_request_training_and_steps_are_one_trace(request_for):
    """Each below the one that caused it, the request below its caller; also when the training runs much later."""
    exporter = InMemorySpanExporter()
    tracing = Tracing(exporter)
    assert tracing.here() is None
    with tracing.request("POST", "/api/v1/trainings/start", {"traceparent": CALLER}):
        wanted = request_for("a", trace_parent=tracing.here(), attempt=2)
    with tracing.training(wanted) as steps:
        for phase in (Phase.DATA_LOADING, Phase.TRAINING, Phase.TRAINING, Phase.EVALUATION):
            steps(Progress(phase=phase, message="", fraction=0.5))
    tracing.close()
    spans = {span.name: span for span in exporter.get_finished_spans()}
    request, training = spans["POST /api/v1/trainings/start"], spans["training operation"]
    assert request.parent.span_id == int(CALLER.split("-")[2], 16)
    assert training.parent.span_id == request.context.span_id
    assert training.attributes["ktrdr.attempt"] == 2
    steps = [span for span in spans.values() if span not in (request, training)]
    assert [span.name for span in steps] == ["data_loading", "training", "evaluation"]
    assert {span.parent.span_id for span in steps} == {training.context.span_id}
    assert len({span.context.trace_id for span in spans.values()}) == 1

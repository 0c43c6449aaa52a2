"""Spans of requests, trainings and their steps, for OpenTelemetry. Imported only where an exporter is configured."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ktrdr.contracts.operations import Progress
from ktrdr.contracts.training import Phase, TrainingRequest
from ktrdr.orchestration.progress_coordinator import ProgressConsumer

_propagator = TraceContextTextMapPropagator()


class Tracing:
    """The tracer of one server. A training's span is a child of the request that started it, however much later."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._provider = TracerProvider(resource=Resource.create({"service.name": "ktrdr"}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("ktrdr")

    @contextmanager
    def request(self, method: str, path: str, headers: Mapping[str, str]) -> Iterator[Span]:
        """The span of a request, below the one that its `traceparent` header names."""
        parent = _propagator.extract(headers)
        with self._tracer.start_as_current_span(f"{method} {path}", parent, kind=SpanKind.SERVER) as span:
            span.set_attribute("http.request.method", method)
            yield span

    def here(self) -> str | None:
        """The span of now as a `traceparent`, to go on from later."""
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        return carrier.get("traceparent")

    @contextmanager
    def training(self, request: TrainingRequest) -> Iterator[ProgressConsumer]:
        """The span of a run; what is yielded takes its progress and makes a span of each step."""
        parent = _propagator.extract({"traceparent": request.trace_parent or ""})
        with self._tracer.start_as_current_span("training operation", parent) as span:
            span.set_attribute("ktrdr.operation_id", request.operation_id)
            span.set_attribute("ktrdr.strategy", request.strategy_name)
            span.set_attribute("ktrdr.attempt", request.attempt)
            steps = _StepSpans(self, set_span_in_context(span))
            try:
                yield steps
            finally:
                steps.end()

    def step(self, phase: Phase, parent: Context) -> Span:
        """A started span."""
        return self._tracer.start_span(phase.value, parent)

    def close(self) -> None:
        """Send what is not sent yet."""
        self._provider.shutdown()


class _StepSpans:
    """Ends a span and starts the next when the phase changes."""

    def __init__(self, tracing: Tracing, parent: Context) -> None:
        self._tracing = tracing
        self._parent = parent
        self._phase: Phase | None = None
        self._span: Span | None = None

    def __call__(self, progress: Progress) -> None:
        if progress.phase is not self._phase:
            self.end()
            self._phase, self._span = progress.phase, self._tracing.step(progress.phase, self._parent)

    def end(self) -> None:
        if self._span is not None:
            self._span.set_status(StatusCode.OK)
            self._span.end()
            self._span = None

"""create_app: the REST API over any Client, with the errors, limits and safeguards that all routes share."""

from collections.abc import Collection
from importlib.metadata import version

from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware

from ktrdr.api import data, docs, health, models, operations, results, strategies, trainings
from ktrdr.api import hosts as host_services
from ktrdr.api.description import describe
from ktrdr.api.metrics import measure
from ktrdr.api.security import ScopeOf
from ktrdr.api.tracing import RequestTracing, trace
from ktrdr.client import Client
from ktrdr.contracts.hosts import ResultDesk
from ktrdr.orchestration.metrics import Metrics
from ktrdr.web.guard import secure
from ktrdr.web.limits import LimitBody
from ktrdr.web.problems import handle_errors

PREFIX = "/api/v1"
LARGER_BODIES = {f"{PREFIX}/data/imports": 1_000_000_000, f"{PREFIX}/trainings/results": 32 * 1024 * 1024}
"""Bytes that the body of a request may have there: bars that are uploaded, models that hosts deliver."""


def create_app(
    client: Client,
    *,
    metrics: Metrics | None = None,
    tracing: RequestTracing | None = None,
    desk: ResultDesk | None = None,
    scope_of: ScopeOf | None = None,
    hosts: Collection[str] | None = None,
    origins: Collection[str] = (),
) -> FastAPI:
    """The API; whoever opened the client closes it when the app is done.

    `desk` takes what host services deliver. `scope_of` tells what the bearer of an API key may do (None: no keys are
    wanted); `hosts` are the names that the server answers for (None: any) and `origins` the web pages that may call it
    from a browser. With `metrics` there is `/metrics`, with `tracing` each request is a span.
    """
    app = FastAPI(
        title="KTRDR",
        version=version("ktrdr"),
        summary="Turns strategy files into trained, versioned, honest models.",
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
    )
    app.state.client, app.state.desk, app.state.scope_of = client, desk, scope_of
    app.state.unready = ""
    handle_errors(app)
    app.add_middleware(LimitBody, larger=LARGER_BODIES)
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"],
            expose_headers=["Location"],
        )
    if metrics is not None:
        measure(app, metrics)
    if tracing is not None:
        trace(app, tracing)
    secure(app, hosts=hosts, origins=origins)
    routes = APIRouter(prefix=PREFIX)
    for resource in (trainings, results, operations, models, strategies, data, host_services):
        routes.include_router(resource.router)
    app.include_router(routes)
    app.include_router(health.router)
    docs.add_pages(app)
    describe(app)
    return app

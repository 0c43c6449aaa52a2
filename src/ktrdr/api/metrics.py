"""`/metrics`, and the time of each request."""

import time

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ktrdr.api.shared import READ, Service
from ktrdr.orchestration.metrics import Metrics

router = APIRouter()


@router.get("/metrics", include_in_schema=False, dependencies=[READ])
async def scrape(request: Request, client: Service) -> Response:
    """Metrics in Prometheus's text format; hosts are asked how they do, unless that is known."""
    metrics: Metrics = request.app.state.metrics
    return Response(await metrics.scrape(await client.hosts()), media_type="text/plain; version=0.0.4; charset=utf-8")


def measure(app: FastAPI, metrics: Metrics) -> None:
    """Serve these metrics, and tell them of every request."""
    app.state.metrics = metrics
    app.include_router(router)
    app.add_middleware(_Timed, metrics=metrics)


class _Timed:
    """Tells how long each answer took to begin; a stream may then go on for hours."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()

        async def timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                seconds = time.perf_counter() - begun
                self._metrics.answered(scope["method"], route, message["status"], seconds)
            await send(message)

        await self._app(scope, receive, timed)

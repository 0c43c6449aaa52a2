"""Probes: alive, and ready to take a training."""

from fastapi import APIRouter, Request

from ktrdr.api.shared import Body, Service
from ktrdr.errors import Unavailable
from ktrdr.web.problems import answers

router = APIRouter(prefix="/health", tags=["health"])


class Health(Body):
    """What a probe answers."""

    status: str


@router.get("/live")
async def live() -> Health:
    """The process answers."""
    return Health(status="alive")


@router.get("/ready", responses=answers())
async def ready(request: Request, client: Service) -> Health:
    """The server takes trainings: its database answers, the strategy grammar is loaded, and it is not stopping."""
    reason = request.app.state.unready
    if reason:
        raise Unavailable(f"not ready: {reason}")
    await client.operations(limit=1)
    return Health(status="ready")

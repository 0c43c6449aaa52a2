"""create_app: the routes of a host service. Its only callers are backends that have its key."""

import hmac
from collections.abc import Callable, Sequence
from importlib.metadata import version
from time import monotonic
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import FileResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr
from starlette.concurrency import run_in_threadpool

from ktrdr.contracts.hosts import Device, HostHealth, ResultPayload, SessionStart, SessionState, SessionStatus
from ktrdr.errors import Conflict, StorageFailed, Unauthorized
from ktrdr.execution.transfer.sending import CONTEXT, STATE, read_payload
from ktrdr.host_service.session import TrainingSession
from ktrdr.host_service.sessions import Sessions
from ktrdr.logs import OperationLogs
from ktrdr.web.guard import secure
from ktrdr.web.limits import LimitBody
from ktrdr.web.problems import answers, handle_errors

LARGEST_START = 10_000_000
"""Bytes of a start: a strategy, and every series that it names."""
MOST_LINES = 10_000


def create_app(
    sessions: Sessions,
    *,
    key: SecretStr | None,
    devices: Callable[[], Sequence[Device]],
    memory: int | None,
    logs: OperationLogs,
) -> FastAPI:
    """The app over its sessions; without a `key` everybody is let in. `devices` may block; `memory` is in bytes."""
    app = FastAPI(title="KTRDR host service", version=version("ktrdr"), openapi_url=None)
    handle_errors(app)
    app.add_middleware(LimitBody, larger={"/training/start": LARGEST_START})
    secure(app, hosts=None, origins=())
    app.include_router(_routes(sessions, key, devices, memory, logs))
    return app


def _routes(
    sessions: Sessions,
    key: SecretStr | None,
    devices: Callable[[], Sequence[Device]],
    memory: int | None,
    logs: OperationLogs,
) -> APIRouter:
    bearer, begun = HTTPBearer(auto_error=False), monotonic()

    async def check(given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        shown = given.credentials if given else ""
        if key is not None and not hmac.compare_digest(shown.encode(), key.get_secret_value().encode()):
            raise Unauthorized("this host wants its key: give the backend the same KTRDR_HOST_KEY")

    router = APIRouter(dependencies=[Depends(check)], responses=answers(404, 409))

    @router.get("/health")
    async def health() -> HostHealth:
        """How this host does, and what it has."""
        return HostHealth(
            version=version("ktrdr"),
            uptime_seconds=monotonic() - begun,
            devices=list(await run_in_threadpool(devices)),
            slots=sessions.slots,
            free_slots=sessions.free_slots,
            memory_bytes=memory,
        )

    @router.post("/training/start", status_code=202)
    async def start(wanted: SessionStart) -> SessionState:
        """Train. The same session again is the same training, never a second one."""
        return await sessions.start(wanted)

    @router.get("/training/status/{session_id}")
    async def status(session_id: str) -> SessionState:
        """How far it is."""
        return sessions.session(session_id).state

    @router.get("/training/logs/{session_id}")
    async def log(session_id: str) -> list[dict[str, Any]]:
        """The newest lines of its training's log, oldest first."""
        sessions.session(session_id)
        return (await run_in_threadpool(logs.read, session_id))[-MOST_LINES:]

    @router.post("/training/stop/{session_id}")
    async def stop(session_id: str) -> SessionState:
        """Cancel it; it ends at its next batch or step."""
        return sessions.stop(session_id)

    @router.get("/training/result/{session_id}")
    async def result(session_id: str) -> ResultPayload:
        """What it came to; a model too large for JSON lies beside, as files."""
        return await run_in_threadpool(read_payload, _finished(sessions, session_id).folder, session_id)

    @router.delete("/training/result/{session_id}")
    async def received(session_id: str) -> SessionState:
        """The backend has it: this host need not keep it."""
        return sessions.received(session_id)

    @router.get("/training/result/{session_id}/" + STATE, response_class=FileResponse)
    async def state_dict(session_id: str) -> FileResponse:
        """The packed state dict; `Range` is honoured."""
        return _file(_finished(sessions, session_id), STATE)

    @router.get("/training/result/{session_id}/" + CONTEXT, response_class=FileResponse)
    async def context(session_id: str) -> FileResponse:
        """What else the model needs, packed; `Range` is honoured."""
        return _file(_finished(sessions, session_id), CONTEXT)

    return router


def _file(session: TrainingSession, name: str) -> FileResponse:
    if not (session.folder / name).is_file():
        raise StorageFailed(f"this host has lost {name} of the session {session.state.session_id}")
    return FileResponse(session.folder / name, media_type="application/gzip")


def _finished(sessions: Sessions, session_id: str) -> TrainingSession:
    session = sessions.session(session_id)
    if session.state.status is not SessionStatus.FINISHED:
        raise Conflict(f"the session {session_id} is {session.state.status} and has no result")
    return session

"""`/trainings/results`: where host services deliver what they have trained."""

import asyncio
import base64
import binascii
import hashlib
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import Field, ValidationError
from starlette.requests import ClientDisconnect

from ktrdr.api.shared import Body
from ktrdr.contracts.hosts import ResultDesk, ResultPayload
from ktrdr.errors import InvalidRequest, KtrdrError, TransferCorrupt, Unauthorized
from ktrdr.web.problems import answers

router = APIRouter(prefix="/trainings", tags=["trainings"])
_bearer = HTTPBearer(auto_error=False, description="the callback token of a training", scheme_name="CallbackToken")
_SCHEMA = ResultPayload.model_json_schema()


class Accepted(Body):
    """Where the model of a delivered result is stored; null while its files are fetched from the host."""

    model_path: str | None = Field(examples=["eurusd_momentum/EURUSD_1h_v3"])


@router.post(
    "/results",
    responses={**answers(401, 409), 202: {"model": Accepted, "description": "Announced: its files are fetched"}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": ResultPayload.model_json_schema()}},
        }
    },
)
async def take_result(
    request: Request,
    response: Response,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Accepted:
    """Deliver a result. The same one again gets the same answer, and there is one model."""
    desk: ResultDesk | None = request.app.state.desk
    if desk is None:
        raise Unauthorized("no training here waits for a result")
    try:
        operation_id = await desk.check(credentials.credentials if credentials else None)
        payload = await _whole(request)
    except KtrdrError as error:
        desk.failed("callback", error)
        raise
    path = await desk.deliver(operation_id, payload)
    response.status_code = 202 if path is None else 200
    return Accepted(model_path=path)


async def _whole(request: Request) -> ResultPayload:
    try:
        body = await request.body()
    except ClientDisconnect:
        raise TransferCorrupt("the result was cut off: send it again") from None
    return await asyncio.to_thread(_read, body, request.headers.get("content-digest"))


def _read(body: bytes, digest: str | None) -> ResultPayload:
    """The result, if these are the bytes that were sent (RFC 9530)."""
    if digest is not None and not _is_whole(body, digest):
        raise TransferCorrupt("the result has another sha256 than its Content-Digest: send it again")
    try:
        return ResultPayload.model_validate_json(body, extra="ignore")
    except ValidationError as error:
        if digest is None:
            raise TransferCorrupt("the result cannot be read: send it again, with a Content-Digest") from None
        rows = [f"{'.'.join(str(part) for part in row['loc'])}: {row['msg']}" for row in error.errors()]
        raise InvalidRequest(f"this is no result of a training: {'; '.join(rows)[:500]}") from None


def _is_whole(body: bytes, digest: str) -> bool:
    name, _, value = digest.strip().partition("=")
    try:
        return name == "sha-256" and base64.b64decode(value.strip(":"), validate=True) == hashlib.sha256(body).digest()
    except (binascii.Error, ValueError):
        return False

"""Errors on the wire: RFC 9457 problem documents with a stable `code`, for every failure there is."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from ktrdr.errors import KtrdrError
from ktrdr.logs import get_logger

MEDIA_TYPE = "application/problem+json"
_TITLES = {
    400: "Bad request",
    401: "No valid API key",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Too large",
    421: "Wrong host",
    422: "Not possible as asked",
    500: "Internal error",
    503: "Not available now",
    507: "Storage failed",
}
_BUG = "something went wrong inside KTRDR: the server's log has the details"
_SUCH_AS = {
    400: ("bad_request", "the body cannot be read"),
    401: ("unauthorized", "the API key is not valid: it is mistyped, revoked, or of another server"),
    403: ("forbidden", "this needs an API key of scope train, and this one has read: ask who runs the server"),
    404: ("not_found", "there is none of that name"),
    409: ("conflict", "operation train-20261123-142355-k3f9c7 is completed and cannot be cancelled any more"),
    413: ("too_large", "the body is larger than 2,000,000 bytes"),
    421: ("wrong_host", "this server does not answer for the host 'evil.example'"),
    422: ("invalid_request", "body.priority: should be less than or equal to 100"),
    500: ("internal_error", _BUG),
    503: ("unavailable", "not ready: it is starting"),
    507: ("storage_failed", "the disk of the database .ktrdr/operations.db is full: make room and try again"),
}
_TOLD = {
    "missing": "missing; it is required",
    "extra_forbidden": "there is no such field",
    "json_invalid": "this is no valid JSON",
    "model_attributes_type": "send a JSON object, as application/json",
}
_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}
_log = get_logger("api")


class ProblemDocument(BaseModel):
    """What every failed request answers with. An invalid strategy also has `source` and `problems`."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    source: str | None = None
    problems: list[dict[str, Any]] | None = None


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The failures of a route, for OpenAPI; those that every route can have are added."""
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    return {
        status: {
            "description": _TITLES[status],
            "content": {MEDIA_TYPE: {"schema": schema, "example": _document(status, *_SUCH_AS[status])}},
        }
        for status in sorted({*statuses, 400, 401, 403, 413, 421, 422, 500, 503, 507})
    }


def handle_errors(app: FastAPI) -> None:
    """Turn every exception into a problem document."""
    app.add_exception_handler(KtrdrError, _expected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)


async def refuse(scope: Scope, receive: Receive, send: Send, status: int, code: str, detail: str) -> None:
    """Answer with a problem from a middleware; a WebSocket is closed before it opens."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": detail})
        return
    await problem(status, code, detail)(scope, receive, send)


def problem(status: int, code: str, detail: str, **more: Any) -> JSONResponse:
    """The answer to a request that failed."""
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "5"}}.get(status)
    return JSONResponse({**_document(status, code, detail), **more}, status, headers=headers, media_type=MEDIA_TYPE)


def _document(status: int, code: str, detail: str) -> dict[str, Any]:
    title = _TITLES.get(status, "Failed")
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}


async def _expected(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, KtrdrError)
    details = error.details()
    return problem(error.status, details.pop("code"), details.pop("message"), **details)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    rows = [f"{_place(row)}: {_TOLD.get(row['type']) or _plain(row['msg'])}" for row in error.errors()]
    return problem(422, "invalid_request", "; ".join(rows))


def _place(row: Mapping[str, Any]) -> str:
    """Where in the request; the column of broken JSON says nothing."""
    return ".".join(str(part) for part in (row["loc"][:1] if row["type"] == "json_invalid" else row["loc"]))


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    detail = str(error.detail)
    if error.status_code == 404:
        detail = f"there is nothing at {request.url.path}"
    if error.status_code == 405:
        detail = f"{request.method} is not possible at {request.url.path}"
    answer = problem(error.status_code, _CODES.get(error.status_code, "bad_request"), detail)
    answer.headers.update(error.headers or {})
    return answer


async def _bug(request: Request, error: Exception) -> JSONResponse:
    _log.error("a request broke", path=request.url.path, exc_info=error)
    return problem(500, "internal_error", _BUG)

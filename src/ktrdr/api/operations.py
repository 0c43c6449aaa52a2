"""`/operations`: list, read, follow, cancel and retry."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, WebSocket, WebSocketDisconnect
from fastapi.sse import EventSourceResponse, ServerSentEvent

from ktrdr.api.security import require
from ktrdr.api.shared import READ, TRAIN, OperationId, Service
from ktrdr.contracts.keys import Scope
from ktrdr.contracts.operations import Operation, OperationPage, OperationStatus
from ktrdr.contracts.training import OperationType
from ktrdr.errors import KtrdrError
from ktrdr.web.problems import answers

router = APIRouter(prefix="/operations", tags=["operations"])


@router.get("", responses=answers(), dependencies=[READ])
async def list_operations(
    client: Service,
    status: Annotated[list[OperationStatus] | None, Query(max_length=10, description="in any of these states")] = None,
    strategy: Annotated[str | None, Query(max_length=100, description="of the strategy of that name")] = None,
    type: Annotated[OperationType | None, Query(description="trainings, or null tests")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0, lt=2**31)] = 0,
) -> OperationPage:
    """Operations, newest first."""
    return await client.operations(status or [], strategy=strategy, type=type, limit=limit, offset=offset)


@router.get("/{operation_id}", responses=answers(404), dependencies=[READ])
async def read_operation(operation_id: OperationId, client: Service) -> Operation:
    """An operation now."""
    return await client.operation(operation_id)


@router.delete("/{operation_id}", status_code=202, responses=answers(404, 409), dependencies=[TRAIN])
async def cancel_operation(operation_id: OperationId, client: Service) -> Operation:
    """Cancel a queued or running operation; it is `cancelling` until the training has stopped."""
    return await client.cancel(operation_id)


@router.post("/{operation_id}/retry", status_code=202, responses=answers(404, 409), dependencies=[TRAIN])
async def retry_operation(
    operation_id: OperationId,
    client: Service,
    start_from: Annotated[Literal["checkpoint", "start"], Query(alias="from")] = "checkpoint",
) -> Operation:
    """Queue a failed or cancelled operation again, as its next attempt."""
    return await client.retry(operation_id, from_start=start_from == "start")


@router.get("/{operation_id}/logs", responses=answers(404), dependencies=[READ])
async def read_log(operation_id: OperationId, client: Service) -> list[dict[str, Any]]:
    """The structured log of the runs of an operation, oldest line first."""
    return await client.operation_log(operation_id)


async def _exists(operation_id: OperationId, client: Service) -> None:
    """Raises OperationNotFound while there is still an answer to put it into."""
    await client.operation(operation_id)


@router.get(
    "/{operation_id}/events",
    response_class=EventSourceResponse,
    responses=answers(404),
    dependencies=[READ, Depends(_exists)],
)
async def follow_operation(operation_id: OperationId, client: Service) -> AsyncIterator[ServerSentEvent]:
    """The operation now and at each change, as server-sent events without its request and result.

    The id of an event is the operation's revision. Whoever comes back with `Last-Event-ID` gets the state of now, which
    is all that was missed. After the end the stream closes.
    """
    async for operation in client.watch(operation_id):
        yield ServerSentEvent(
            raw_data=operation.summary().model_dump_json(), event="operation", id=str(operation.revision)
        )


@router.websocket("/{operation_id}/ws")
async def follow_by_websocket(socket: WebSocket, operation_id: str, client: Service) -> None:
    """The same states as the event stream, one JSON message each; closes with 1000 after the end."""
    states = client.watch(operation_id)
    try:
        await require(socket, Scope.READ, _bearer(socket))
        first = await anext(states)
    except KtrdrError as error:
        await socket.close(1008, str(error)[:120])
        return
    await socket.accept()
    both = {asyncio.create_task(_tell(socket, first, states)), asyncio.create_task(_until_gone(socket))}
    _, still = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    for task in still:
        task.cancel()
    await asyncio.gather(*both, return_exceptions=True)


async def _tell(socket: WebSocket, first: Operation, states: AsyncIterator[Operation]) -> None:
    """Every state, then the close; a reader that goes away in between ends it."""
    try:
        await socket.send_text(first.summary().model_dump_json())
        async for operation in states:
            await socket.send_text(operation.summary().model_dump_json())
        await socket.close()
    except KtrdrError as error:
        await socket.close(1011, str(error)[:120])
    except WebSocketDisconnect:
        return


async def _until_gone(socket: WebSocket) -> None:
    """Whatever a reader says is passed over; who leaves is noticed although nothing is being said."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        continue


def _bearer(socket: WebSocket) -> str | None:
    kind, _, key = socket.headers.get("authorization", "").partition(" ")
    return key if kind.lower() == "bearer" else None

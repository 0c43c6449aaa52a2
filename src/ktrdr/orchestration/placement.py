"""Where a queued training runs: decided anew when it leaves the queue; who has to wait is looked at again and again."""

import asyncio
from contextlib import suppress
from typing import Protocol

from ktrdr.contracts.operations import Operation
from ktrdr.errors import KtrdrError
from ktrdr.orchestration.execution_mode_selector import Selection
from ktrdr.orchestration.operations_service import OperationsService


class Select(Protocol):
    """Chooses where a training runs: `ExecutionModeSelector.select`."""

    async def __call__(
        self, requested: str | None, *, require_gpu: bool, queue_if_unavailable: bool, before: str | None
    ) -> Selection: ...


class Placement:
    """Places the operations of one queue. Bound to one event loop."""

    def __init__(self, operations: OperationsService, select: Select | None, *, every: float = 2.0) -> None:
        """Without `select` each runs where it was placed when it was asked for. One that a host did not take is left
        alone for `every` seconds, so that both are not busy with asking."""
        self.every = every
        self._operations = operations
        self._select = select
        self._waiting: dict[str, Operation] = {}
        self._resting: dict[str, float] = {}

    async def place(self, operation: Operation) -> Operation | None:
        """The operation to run now, where it is to run: this one, or one that was ahead of it in the queue and can have
        a place that has become free meanwhile. None when it has to wait, or is queued no longer.

        What has begun somewhere goes on there: on its host, or from its local checkpoint. Raises what the selection
        raises: then it can run nowhere.
        """
        if self._select is None or await self._has_begun(operation):
            return operation
        selection = await self._choose(self._select, operation)
        if selection.mode == "host" and not selection.waits:
            for earlier in [*self._waiting.values()]:
                with suppress(KtrdrError):  # it is looked at again in the next round
                    again = await self._choose(self._select, earlier)
                    if not again.waits:
                        del self._waiting[earlier.operation_id]
                        return await self._settled(earlier, again)
        return await self._settled(operation, selection)

    async def _choose(self, select: Select, operation: Operation) -> Selection:
        request = operation.request
        return await select(
            request.requested_mode,
            require_gpu=request.require_gpu,
            queue_if_unavailable=request.queue_if_unavailable,
            before=operation.host,
        )

    async def _settled(self, operation: Operation, selection: Selection) -> Operation | None:
        if selection.waits:
            self._waiting[operation.operation_id] = operation
        placed: Operation | None = operation
        wanted = selection.mode, selection.host, selection.reason
        if wanted != (operation.execution_mode, operation.host, operation.execution_reason):
            placed = await self._operations.place(operation, *wanted)
        return None if selection.waits else placed

    def rest(self, operation_id: str) -> None:
        """Its host did not take it: leave it alone for a while."""
        self._resting[operation_id] = asyncio.get_running_loop().time() + self.every

    def look_again(self) -> None:
        """A new round: whoever waits is looked at in the order of the queue, so that nobody is overtaken."""
        now = asyncio.get_running_loop().time()
        self._waiting.clear()
        self._resting = {name: until for name, until in self._resting.items() if until > now}

    @property
    def passed_over(self) -> list[str]:
        """The operations that are not to be looked at any more in this round."""
        return [*self._waiting, *self._resting]

    async def _has_begun(self, operation: Operation) -> bool:
        if operation.execution_mode == "host":
            return await self._operations.has_session(operation.operation_id)
        return operation.started_at is not None

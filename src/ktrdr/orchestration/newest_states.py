"""What operations are now, from the newest source: a run of this process, what was read just now, the store."""

import time
from collections.abc import Callable, Collection, Mapping

from ktrdr.contracts.operations import Operation, OperationPage, OperationStatus, OperationSummary
from ktrdr.contracts.training import OperationType
from ktrdr.errors import OperationNotFound
from ktrdr.orchestration.live_run import LiveRun
from ktrdr.orchestration.operation_store import OperationStore

_MOST = 256
"""Operations that are remembered; one with its result takes some 100 kB."""


class NewestStates:
    """Reads operations. `live` has the runs of this process, `unrecorded` the ends that the store could not take.

    SQLite has one connection, on which a reader waits for the disk while something is being written. So the readers
    of a running operation are answered from memory, and those of any other from what was read or written `hold`
    seconds ago at most: whatever this process changes is seen at once, what others change that much later.
    """

    def __init__(
        self, store: OperationStore, *, hold: float = 0.5, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.live: dict[str, LiveRun] = {}
        self.unrecorded: dict[str, Operation] = {}
        self._store = store
        self._hold = hold
        self._clock = clock
        self._held: dict[str, tuple[float, Operation]] = {}
        self._generation = 0

    def changed(self, operation: Operation | None = None) -> None:
        """This process has written: forget what was read before; `operation` is what one has become."""
        self._generation += 1
        self._held.clear()
        if operation is not None:
            self._put(operation)

    async def get(self, operation_id: str) -> Operation:
        """The operation now. Raises OperationNotFound."""
        run = self.live.get(operation_id)
        if run is not None:
            return run.view
        return self._newest(self._recent(operation_id) or await self._read(operation_id))

    async def stored(self, operation_id: str) -> Operation:
        """The operation as the store has it at this moment. Raises OperationNotFound."""
        operation = await self._store.get(operation_id)
        if operation is None:
            raise OperationNotFound(
                f"there is no operation {operation_id}: `ktrdr operations list` shows those there are"
            )
        return operation

    async def placed(self, operation: Operation) -> Operation:
        """A queued operation with its place in the queue; any other as it is."""
        if operation.status is not OperationStatus.QUEUED:
            return operation
        position = (await self._store.queue_positions()).get(operation.operation_id)
        return operation.model_copy(update={"queue_position": position})

    async def page(
        self,
        statuses: Collection[OperationStatus],
        *,
        strategy: str | None,
        type: OperationType | None,
        limit: int,
        offset: int,
    ) -> OperationPage:
        """Operations in any of these states, of that strategy and type (what is not given: any), newest first."""
        rows = await self._store.page(statuses, strategy=strategy, type=type, limit=limit, offset=offset)
        queued = any(row.status is OperationStatus.QUEUED for row in rows)
        positions = await self._store.queue_positions() if queued else {}
        newest = [self._newest_summary(row, positions) for row in rows]
        total = await self._store.count(statuses, strategy=strategy, type=type)
        return OperationPage(items=newest, total=total, limit=limit, offset=offset)

    async def _read(self, operation_id: str) -> Operation:
        generation = self._generation
        operation = await self.placed(await self.stored(operation_id))
        if generation == self._generation:  # else it may be older than what was written meanwhile
            self._put(operation)
        return operation

    def _recent(self, operation_id: str) -> Operation | None:
        at, operation = self._held.get(operation_id, (float("-inf"), None))
        return operation if self._clock() - at < self._hold else None

    def _put(self, operation: Operation) -> None:
        if len(self._held) >= _MOST:
            self._held.clear()
        self._held[operation.operation_id] = self._clock(), operation

    def _newest(self, operation: Operation) -> Operation:
        unrecorded = self.unrecorded.get(operation.operation_id)
        if unrecorded is not None and unrecorded.attempt == operation.attempt and not operation.status.ended:
            return unrecorded
        run = self.live.get(operation.operation_id)
        return operation if run is None else run.over(operation)

    def _newest_summary(self, row: OperationSummary, positions: Mapping[str, int]) -> OperationSummary:
        run, ended = self.live.get(row.operation_id), self.unrecorded.get(row.operation_id)
        if ended is not None and ended.attempt == row.attempt and not row.status.ended:
            return ended.summary()
        if run is not None and run.operation.attempt == row.attempt and not row.status.ended:
            return row.model_copy(update={"progress": run.latest})
        position = positions.get(row.operation_id)
        return row.model_copy(update={"queue_position": position}) if position else row

"""After a crash: takes over what dead processes have left, and forgets what is long over. Only a server does this."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from ktrdr.contracts.operations import Operation, OperationStatus
from ktrdr.contracts.training import CheckpointStore
from ktrdr.errors import StorageFailed
from ktrdr.logs import get_logger
from ktrdr.orchestration.operation_store import OperationStore
from ktrdr.orchestration.owners import OwnerLocks, role_of

_log = get_logger("recovery")


class Recovery:
    """Brings the operations of dead owners to where they would be had the owner lived."""

    def __init__(
        self,
        store: OperationStore,
        locks: OwnerLocks,
        checkpoints: CheckpointStore,
        *,
        wake: Callable[[], None],
        stop_session: Callable[[str, str], object] = lambda *_: None,
        forget_logs: Callable[[str], None] = lambda _: None,
        most_attempts: int = 5,
        keep_for: timedelta | None = None,
        every: float = 30.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`wake` is called when something was queued; a training whose process has died `most_attempts` times is not
        started again by itself. `stop_session(host, operation_id)` ends what a host still does for a cancelled one.
        Ended operations are kept for `keep_for` (None: always), with
        their checkpoints and logs. `watch` looks again once in `every` seconds."""
        self._store = store
        self._locks = locks
        self._checkpoints = checkpoints
        self._stop_session = stop_session
        self._wake = wake
        self._forget_logs = forget_logs
        self._most_attempts = most_attempts
        self._keep_for = keep_for
        self._every = every
        self._clock = clock

    async def recover(self) -> int:
        """Take over the operations of every owner that is gone; how many there were."""
        count = 0
        for owner, operations in (await self._store.unfinished()).items():
            if not await self._locks.take(owner):
                continue  # it lives, or another server is at it
            for operation in operations:
                count += await self._take_over(operation, owner)
            await self._locks.release(owner)
        if count:
            _log.info("operations of ended processes were taken over", count=count)
            self._wake()
        return count

    async def forget(self) -> None:
        """Remove what ended longer ago than it is kept."""
        if self._keep_for is None:
            return
        for operation_id in await self._store.forget(self._clock() - self._keep_for):
            self._checkpoints.discard(operation_id)
            self._forget_logs(operation_id)

    async def watch(self) -> None:
        """Recover and forget again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            try:
                await self._locks.keep()
                await self.recover()
                await self.forget()
            except StorageFailed as error:
                _log.warning("what dead processes left is looked for again later", error=str(error))

    async def _take_over(self, operation: Operation, owner: str) -> bool:
        ended: dict[str, Any] = {"ended_at": self._clock()}
        operation_id, status = operation.operation_id, operation.status
        if status is OperationStatus.CANCELLING:
            changed = await self._store.adopt(operation, owner, status=OperationStatus.CANCELLED, **ended)
            if operation.host is not None:
                self._stop_session(operation.host, operation_id)
        elif status is OperationStatus.QUEUED and role_of(owner) == "serve":
            changed = await self._store.adopt(operation, owner)
        elif role_of(owner) == "serve" and operation.host is not None:  # its host may be at it: found again there
            changed = await self._store.adopt(operation, owner, status=OperationStatus.QUEUED)
        elif role_of(owner) == "serve" and operation.attempt < self._most_attempts:
            changed = await self._store.adopt(operation, owner, next_attempt=True, status=OperationStatus.QUEUED)
        else:
            error = {"code": "interrupted", "message": _interrupted(operation, owner)}
            changed = await self._store.adopt(operation, owner, status=OperationStatus.FAILED, error=error, **ended)
        if changed is not None:
            _log.info("operation taken over", operation_id=operation_id, was=status.value, now=changed.status.value)
        return changed is not None


def _interrupted(operation: Operation, owner: str) -> str:
    again = f"`ktrdr operations retry {operation.operation_id}` goes on from its last checkpoint"
    if role_of(owner) == "embedded":
        return f"the command that ran this training was killed: {again}"
    return f"the process that ran this training died {operation.attempt} times: find out why in its log, then {again}"

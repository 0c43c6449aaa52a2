"""What this process knows of an operation that it is running: newer than the store, and gone when the run ends."""

import asyncio
from collections.abc import Callable

from ktrdr.contracts.operations import Operation, OperationStatus, Progress
from ktrdr.contracts.training import CancellationToken
from ktrdr.errors import StorageFailed
from ktrdr.logs import get_logger
from ktrdr.orchestration.operation_store import OperationStore

STARTED = (OperationStatus.RUNNING, OperationStatus.CANCELLING)
_log = get_logger("operations")


class LiveRun:
    """One attempt running in this process: its latest progress, and the task that keeps it and the store agreed.

    `put` is for any thread, all else for the loop in which the run was made.
    """

    def __init__(
        self,
        operation: Operation,
        cancellation: CancellationToken,
        store: OperationStore,
        *,
        changed: Callable[[], None],
        store_every: float,
    ) -> None:
        """`changed` is called in the loop, soon after each change; the store is visited once in that many seconds."""
        self.operation = operation
        self.cancellation = cancellation
        self.latest: Progress | None = operation.progress
        self._stored: Progress | None = operation.progress
        self._store = store
        self._changed = changed
        self._store_every = store_every
        self._announced = False
        self._ending = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._keeper = self._loop.create_task(self._keep())

    def put(self, progress: Progress) -> None:
        """Make this the latest progress. Waits for nobody and raises nothing."""
        self.latest = progress
        if not self._announced:
            self._announced = True
            try:
                self._loop.call_soon_threadsafe(self._announce)
            except RuntimeError:
                return  # the loop is closed: nobody is left to hear it

    def _announce(self) -> None:
        self._announced = False  # before anyone reads: what comes after is announced anew
        self._changed()

    @property
    def view(self) -> Operation:
        """The operation as last stored, with the newest progress."""
        return self.over(self.operation)

    def over(self, operation: Operation) -> Operation:
        """That state of the operation, with the newest progress while it is this attempt's and goes on."""
        if operation.status.ended or operation.attempt != self.operation.attempt:
            return operation
        return operation.model_copy(update={"progress": self.latest})

    def note(self, operation: Operation) -> None:
        """Take a state that the store gave, unless a newer one has come before it."""
        if operation.revision >= self.operation.revision:
            self.operation = operation

    async def exchange(self) -> None:
        """Bring the newest progress to the store, and a cancel that was asked for elsewhere to the run."""
        operation_id, attempt, progress = self.operation.operation_id, self.operation.attempt, self.latest
        if progress is self._stored:
            stored = await self._store.get(operation_id)
        else:
            stored = await self._store.change(operation_id, allowed=STARTED, attempt=attempt, progress=progress)
        if stored is None or stored.attempt != attempt or stored.status.ended:
            _log.warning("this attempt is over in the store: its run is cancelled", attempt=attempt)
            self.cancellation.cancel()
            return
        self.note(stored)
        self._stored = progress
        if stored.status is OperationStatus.CANCELLING:
            self.cancellation.cancel()
        self._changed()

    async def stop(self) -> None:
        """End the exchange with the store, one that is under way included."""
        self._ending.set()
        await asyncio.wait({self._keeper})

    async def _keep(self) -> None:
        failing = False
        while not await self._ends_within(self._store_every):
            try:
                await self.exchange()
                failing = False
            except StorageFailed as error:
                if not failing:
                    _log.warning("progress cannot be stored, training goes on", error=str(error))
                failing = True

    async def _ends_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._ending.wait()
        except TimeoutError:
            return False

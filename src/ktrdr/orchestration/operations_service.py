"""The life of operations: created, started, watched, cancelled, ended; the store keeps it, readers follow it."""

from collections.abc import AsyncIterator, Callable, Collection
from datetime import UTC, datetime
from typing import Any

from ktrdr.contracts.operations import (
    EvaluatedRange,
    Operation,
    OperationPage,
    OperationStatus,
    Progress,
)
from ktrdr.contracts.training import CancellationToken, OperationType, TrainingRequest, TrainingResult
from ktrdr.errors import Conflict, StorageFailed
from ktrdr.logs import get_logger
from ktrdr.orchestration.live_run import STARTED, LiveRun
from ktrdr.orchestration.newest_states import NewestStates
from ktrdr.orchestration.operation_store import OperationStore
from ktrdr.orchestration.watchers import Watchers

_OPEN = (OperationStatus.QUEUED, *STARTED)
_log = get_logger("operations")


class OperationsService:
    """Operations of one store. Bound to one event loop, except `report_progress`, which any thread may call.

    What a runner writes carries its attempt: a writer whose attempt is over changes nothing and gets None. A
    transition that the states do not allow raises Conflict; an unknown id raises OperationNotFound.
    """

    def __init__(
        self,
        store: OperationStore,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        store_every: float = 1.0,
        show_every: float = 0.1,
        look_every: float = 0.5,
        hold_reads: float = 0.5,
    ) -> None:
        """Seconds: progress reaches the store once in `store_every`, a watcher once in `show_every`, and a watcher
        looks for what other processes did once in `look_every`; what was read is taken as true for `hold_reads`."""
        self._store = store
        self._clock = clock
        self._store_every = store_every
        self._show_every = show_every
        self._look_every = look_every
        self._states = NewestStates(store, hold=hold_reads)
        self._watchers = Watchers()

    async def create(
        self,
        request: TrainingRequest,
        mode: str,
        reason: str,
        *,
        host: str | None = None,
        priority: int = 0,
        idempotency_key: str | None = None,
        request_digest: str | None = None,
    ) -> Operation:
        """A queued operation, committed to the store on return; `reason` says why it runs in `mode`.

        Raises Conflict when the id or the key is taken.
        """
        operation = Operation(
            operation_id=request.operation_id,
            type=request.type,
            strategy_name=request.strategy_name,
            status=OperationStatus.QUEUED,
            attempt=request.attempt,
            revision=1,
            priority=priority,
            request=request,
            execution_mode=mode,
            execution_reason=reason,
            host=host,
            created_at=self._clock(),
        )
        await self._store.insert(operation, idempotency_key=idempotency_key, request_digest=request_digest)
        _log.info("operation created", operation_id=operation.operation_id, mode=mode, reason=reason)
        operation = await self._states.placed(operation)
        self._tell(operation.operation_id, operation)
        return operation

    async def place(self, operation: Operation, mode: str, host: str | None, reason: str) -> Operation | None:
        """Where a queued operation is to run, as decided anew; None when it is queued no longer."""
        placed = await self._store.change(
            operation.operation_id,
            allowed=(OperationStatus.QUEUED,),
            attempt=operation.attempt,
            execution_mode=mode,
            host=host,
            execution_reason=reason,
        )
        if placed is not None:
            _log.info("operation placed", operation_id=placed.operation_id, mode=mode, host=host, reason=reason)
            self._tell(placed.operation_id)
        return placed

    async def has_session(self, operation_id: str) -> bool:
        """Whether a host may be at it: then it is followed there, and started nowhere else."""
        return await self._store.callback_of(operation_id) is not None

    async def start(self, operation_id: str, attempt: int, cancellation: CancellationToken) -> Operation | None:
        """queued → running, in this process; a cancel sets `cancellation`, wherever it was asked for."""
        operation = await self._store.change(
            operation_id,
            allowed=(OperationStatus.QUEUED,),
            attempt=attempt,
            status=OperationStatus.RUNNING,
            started_at=self._clock(),
        )
        if operation is None:
            await self._explain(operation_id, attempt, "running")
            return None
        self._states.live[operation_id] = LiveRun(
            operation,
            cancellation,
            self._store,
            changed=lambda: self._watchers.tell(operation_id),
            store_every=self._store_every,
        )
        self._tell(operation_id)
        return operation

    def report_progress(self, operation_id: str, attempt: int, progress: Progress) -> bool:
        """Make this the latest progress of a run in this process; False when that attempt does not run here.

        Costs a few assignments: nothing is written and nobody is waited for.
        """
        run = self._states.live.get(operation_id)
        if run is None or run.operation.attempt != attempt:
            return False
        run.put(progress)
        return True

    async def complete(self, operation_id: str, attempt: int, result: TrainingResult) -> Operation | None:
        """running or cancelling → completed: a training that won the race against its cancel has its model."""
        return await self._end(operation_id, attempt, OperationStatus.COMPLETED, STARTED, result=result)

    async def fail(self, operation_id: str, attempt: int, error: dict[str, Any]) -> Operation | None:
        """queued, running or cancelling → failed; `error` is what KtrdrError.details() gives."""
        return await self._end(operation_id, attempt, OperationStatus.FAILED, _OPEN, error=error)

    async def cancelled(self, operation_id: str, attempt: int) -> Operation | None:
        """queued, running or cancelling → cancelled: the cancel has happened."""
        return await self._end(operation_id, attempt, OperationStatus.CANCELLED, _OPEN)

    async def requeue(self, operation_id: str, attempt: int) -> Operation | None:
        """running → queued: this process gives the run back, and the attempt is not used up. A cancel that came
        before ends it instead."""
        run = self._states.live.pop(operation_id, None)
        values: dict[str, Any] = {}
        if run is not None:
            await run.stop()
            values["progress"] = run.latest
        operation = await self._store.change(
            operation_id,
            allowed=(OperationStatus.RUNNING,),
            attempt=attempt,
            status=OperationStatus.QUEUED,
            **values,
        )
        self._tell(operation_id)
        return operation or await self.cancelled(operation_id, attempt)

    async def retry(self, operation_id: str, *, from_start: bool = False) -> Operation:
        """failed or cancelled → queued, in this process, as the next attempt."""
        found = await self._states.stored(operation_id)
        request = found.request.model_copy(update={"from_start": from_start})
        operation = await self._store.retry(operation_id, request)
        if operation is None:
            raise Conflict(f"operation {operation_id} is {found.status}: only failed or cancelled ones can be retried")
        self._states.unrecorded.pop(operation_id, None)
        _log.info("operation queued again", operation_id=operation_id, attempt=operation.attempt)
        operation = await self._states.placed(operation)
        self._tell(operation_id, operation)
        return operation

    async def request_cancel(self, operation_id: str) -> Operation:
        """queued → cancelled, running → cancelling; asked again it answers the same. After another end: Conflict."""
        run = self._states.live.get(operation_id)
        if run is not None:
            run.cancellation.cancel()  # first: not a batch more while the store is told
        operation = await self._store.change(
            operation_id,
            allowed=(OperationStatus.QUEUED,),
            status=OperationStatus.CANCELLED,
            ended_at=self._clock(),
        ) or await self._store.change(
            operation_id, allowed=(OperationStatus.RUNNING,), status=OperationStatus.CANCELLING
        )
        if operation is None:
            return await self._cancelled_before(operation_id)
        if run is not None and not operation.status.ended:
            run.note(operation)
        _log.info("cancel requested", operation_id=operation_id, status=operation.status.value)
        self._tell(operation_id, operation)
        return operation

    async def get(self, operation_id: str) -> Operation:
        """The operation now. One that runs in this process is told from memory: its readers wait for no disk."""
        return await self._states.get(operation_id)

    async def page(
        self,
        statuses: Collection[OperationStatus] = (),
        *,
        strategy: str | None = None,
        type: OperationType | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> OperationPage:
        """Operations in any of these states, of that strategy and type (what is not given: any), newest first."""
        return await self._states.page(statuses, strategy=strategy, type=type, limit=limit, offset=offset)

    async def next_queued(self, mode: str, passing_over: Collection[str] = ()) -> Operation | None:
        """Which of this process's queued operations of that mode is to run next, but for those."""
        return await self._store.next_queued(mode, passing_over)

    async def of_key(self, idempotency_key: str) -> tuple[Operation, str | None] | None:
        """The operation that was started with this key, and the digest of its request."""
        return await self._store.of_key(idempotency_key)

    async def watch(self, operation_id: str) -> AsyncIterator[Operation]:
        """The operation now, then whenever it has changed, until it has ended; the final state is the last.

        A reader gets the state of the moment when it asks: a slow one misses steps, never the end.
        """
        shown: Operation | None = None
        with self._watchers.following(operation_id) as follower:
            while True:
                follower.changed.clear()
                follower.ended.clear()
                operation = await self._now(operation_id)
                if shown is None or (operation.revision, operation.progress) != (shown.revision, shown.progress):
                    yield operation
                    shown = operation
                if operation.status.ended:
                    return
                await follower.wait(at_least=self._show_every, at_most=self._look_every)

    async def record_evaluation(self, evaluated: EvaluatedRange) -> int:
        """Remember that a model was judged on a test range; how often that range has been, this time included."""
        return await self._store.record_evaluation(evaluated)

    async def count_evaluations(self, symbols: Collection[str], timeframe: str, start: datetime, end: datetime) -> int:
        """How often models have been judged on bars of these symbols in [start, end)."""
        return await self._store.count_evaluations(symbols, timeframe, start, end)

    async def aclose(self) -> None:
        """Stop following the runs of this process; the store stays open."""
        for run in [*self._states.live.values()]:
            await run.stop()
        self._states.live.clear()

    async def _now(self, operation_id: str) -> Operation:
        return self._states.unrecorded.get(operation_id) or await self.get(operation_id)

    def _tell(self, operation_id: str, operation: Operation | None = None) -> None:
        """This process has changed it: whoever asks or follows is to know; `operation` is how it is told from now."""
        self._states.changed(operation)
        self._watchers.tell(operation_id)

    async def _end(
        self,
        operation_id: str,
        attempt: int,
        status: OperationStatus,
        allowed: Collection[OperationStatus],
        **values: Any,
    ) -> Operation | None:
        run = self._states.live.get(operation_id)
        if run is not None and run.operation.attempt == attempt:
            await run.stop()
            values["progress"] = _whole(run.latest) if status is OperationStatus.COMPLETED else run.latest
        else:
            run = None
        values |= {"status": status, "ended_at": self._clock()}
        try:
            operation = await self._store.change(operation_id, allowed=allowed, attempt=attempt, **values)
            self._states.changed(operation)
        except StorageFailed as error:
            _log.error("the end of the operation cannot be stored", status=status.value, error=str(error))
            before = await self.get(operation_id)
            if before.attempt != attempt or before.status not in allowed:
                raise
            operation = self._states.unrecorded[operation_id] = _not_stored(before, error, values)
        finally:
            if run is not None:
                self._states.live.pop(operation_id, None)
            self._watchers.tell(operation_id, ended=True)
        if operation is None:
            await self._explain(operation_id, attempt, status.value)
        return operation

    async def _cancelled_before(self, operation_id: str) -> Operation:
        operation = await self._states.stored(operation_id)
        if operation.status in (OperationStatus.CANCELLING, OperationStatus.CANCELLED):
            return operation
        raise Conflict(f"operation {operation_id} is {operation.status} and cannot be cancelled any more")

    async def _explain(self, operation_id: str, attempt: int, wanted: str) -> None:
        """Say why nothing was changed: quietly for a stale attempt, else by the error."""
        operation = await self._states.stored(operation_id)
        if operation.attempt == attempt:
            raise Conflict(f"operation {operation_id} is {operation.status} and cannot become {wanted}")
        _log.warning("a stale attempt changed nothing", operation_id=operation_id, attempt=attempt, wanted=wanted)


def _whole(progress: Progress | None) -> Progress | None:
    return None if progress is None else progress.model_copy(update={"fraction": 1.0, "eta_seconds": 0.0})


def _not_stored(operation: Operation, error: StorageFailed, values: dict[str, Any]) -> Operation:
    """The end that readers in this process get when the store cannot take it: failed, with all that is known."""
    result: TrainingResult | None = values.get("result")
    saved = f"the model is saved at {result.model_path}, but " if result is not None else ""
    failure = error.details() | {"message": f"{saved}the end of the operation could not be stored: {error}"}
    end = {"error": failure, "revision": operation.revision + 1} | values | {"status": OperationStatus.FAILED}
    return operation.model_copy(update=end)

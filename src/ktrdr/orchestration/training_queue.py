"""Runs queued trainings: as many at once as their mode has slots, each seen to its end whatever happens."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pydantic import ValidationError

from ktrdr.contracts.models import SavedResults
from ktrdr.contracts.operations import EvaluatedRange, Operation
from ktrdr.contracts.training import CancellationToken, TrainingRequest, TrainingResult, TrainingRunner
from ktrdr.errors import Conflict, KtrdrError, NotPlaced, StorageFailed, TrainingCancelled
from ktrdr.logs import get_logger, operation_context
from ktrdr.orchestration.costs import with_cost
from ktrdr.orchestration.operations_service import OperationsService
from ktrdr.orchestration.placement import Placement, Select
from ktrdr.orchestration.progress_coordinator import ProgressConsumer, ProgressCoordinator
from ktrdr.orchestration.progress_log import ProgressLog

_log = get_logger("training")


async def _free(_: str) -> None:
    """Nobody counts."""


def untraced(_: TrainingRequest) -> AbstractContextManager[ProgressConsumer]:
    """For a run that nobody traces."""
    return nullcontext(lambda _: None)


class TrainingQueue:
    """The queued operations of this process and their runs. Bound to one event loop; `aclose` it before that ends."""

    def __init__(
        self,
        operations: OperationsService,
        runners: Mapping[str, TrainingRunner],
        saved: SavedResults,
        *,
        slots: Mapping[str, int] | None = None,
        consumers: tuple[ProgressConsumer, ...] = (),
        trace: Callable[[TrainingRequest], AbstractContextManager[ProgressConsumer]] = untraced,
        on_fallback: Callable[[], object] = lambda: None,
        on_end: Callable[[Operation], object] = lambda _: None,
        select: Select | None = None,
        price_of: Callable[[str], Awaitable[float | None]] = _free,
        retry_every: float | None = None,
        place_every: float = 2.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`runners` and `slots` are by execution mode; as many trainings run at once as a mode has slots (one where
        nothing is said). `saved` knows what a run left that was cut off before it could say so. `consumers` hear the
        progress of every training, beside its operation; `trace` wraps a run, `on_fallback` hears of one that begins
        here although a host was wanted, `on_end` of every end.

        `select` chooses the mode anew when a training leaves the queue; one that has to wait for a host is looked at
        again in `place_every` seconds. `price_of` a host is per hour. A store that fails is tried again in
        `retry_every` seconds; None: what is queued fails.
        """
        self.runners = runners
        self._operations = operations
        self._saved = saved
        self._slots = {mode: (slots or {}).get(mode, 1) for mode in runners}
        self._consumers = consumers
        self._trace = trace
        self._on_fallback = on_fallback
        self._on_end = on_end
        self._price_of = price_of
        self._retry_every = retry_every
        self._clock = clock
        self._placement = Placement(operations, select, every=place_every)
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._tokens: dict[str, CancellationToken] = {}
        self._modes: dict[str, str] = {}
        self._news = asyncio.Event()
        self._open = True
        self._suspended = False
        self._dispatcher: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Something was queued, or a slot has become free."""
        if self._open and self._dispatcher is None:
            self._dispatcher = asyncio.create_task(self._dispatch(), name="dispatcher")
        self._news.set()

    def running(self, mode: str) -> int:
        """How many trainings run in that mode now."""
        return sum(self._modes[operation_id] == mode for operation_id in self._runs)

    async def suspend(self) -> None:
        """Start nothing more, stop every run where it stands and give it back to the queue for the next process."""
        await self._close()
        self._suspended = True
        for token in self._tokens.values():
            token.suspend()
        await asyncio.gather(*self._runs.values(), return_exceptions=True)

    async def cancel_all(self) -> None:
        """Start nothing more, cancel every run and wait until each has ended and its state is stored; what was
        suspended before stays queued."""
        if self._suspended:
            return
        await self._close()
        await self._cancel_queued()
        for operation_id, run in [*self._runs.items()]:
            try:
                await self._operations.request_cancel(operation_id)
            except Conflict:
                continue  # it ended just now
            except KtrdrError as error:
                _log.error("a cancel cannot be stored", operation_id=operation_id, error=str(error))
                run.cancel()
        await asyncio.gather(*self._runs.values(), return_exceptions=True)

    async def _close(self) -> None:
        self._open = False
        if self._dispatcher is not None:
            self._dispatcher.cancel()
            with suppress(asyncio.CancelledError):
                await self._dispatcher

    async def _cancel_queued(self) -> None:
        try:
            for mode in self.runners:
                while (operation := await self._operations.next_queued(mode)) is not None:
                    await self._operations.request_cancel(operation.operation_id)
        except KtrdrError as error:
            _log.error("the queue cannot be cancelled", error=str(error))

    async def _dispatch(self) -> None:
        while True:
            self._news.clear()
            self._placement.look_again()
            wait = None
            try:
                for mode in self.runners:
                    while self.running(mode) < self._slots[mode] and await self._run_next(mode):
                        pass
            except StorageFailed as error:
                _log.error("the queue cannot be served", error=str(error))
                if self._retry_every is None:
                    return
                wait = self._retry_every
            if self._placement.passed_over:
                wait = min(wait or self._placement.every, self._placement.every)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._news.wait()

    async def _run_next(self, mode: str) -> bool:
        """Start the next queued training of that mode, or place it elsewhere; False when there is none."""
        operation = await self._operations.next_queued(mode, self._placement.passed_over)
        if operation is None:
            return False
        try:
            placed = await self._placed(operation)
            if placed is None or placed.execution_mode != mode:
                if placed is not None:
                    self._news.set()  # the round of its new mode may be over
                return True  # not now, not any more, or not here: there may be another one
            await self._start(placed)
        except Conflict:
            return True  # cancelled just now
        except StorageFailed as error:
            if self._retry_every is None:
                await self._finish(self._operations.fail(operation.operation_id, operation.attempt, error.details()))
            raise
        return True

    async def _start(self, operation: Operation) -> None:
        operation_id, token = operation.operation_id, CancellationToken()
        if await self._operations.start(operation_id, operation.attempt, token) is None:
            return
        if operation.fell_back:
            _log.warning("training falls back to local", operation_id=operation_id, reason=operation.execution_reason)
            self._on_fallback()
        self._tokens[operation_id], self._modes[operation_id] = token, operation.execution_mode
        run = asyncio.create_task(self._see_through(operation, token), name=operation_id)
        self._runs[operation_id] = run
        run.add_done_callback(lambda _: self._ended(operation_id))

    async def _placed(self, operation: Operation) -> Operation | None:
        """The operation where it is to run now; None when it has to wait, or can run nowhere and has failed."""
        try:
            return await self._placement.place(operation)
        except (StorageFailed, Conflict):
            raise
        except KtrdrError as error:
            await self._finish(self._operations.fail(operation.operation_id, operation.attempt, error.details()))
            return None

    def _ended(self, operation_id: str) -> None:
        for record in (self._runs, self._tokens, self._modes):
            record.pop(operation_id, None)
        self._news.set()

    async def _see_through(self, operation: Operation, token: CancellationToken) -> None:
        """From running to the end, whatever happens."""
        operation_id, attempt = operation.operation_id, operation.attempt
        with operation_context(operation_id):
            try:
                result = await self._result(operation, token)
            except asyncio.CancelledError:
                await self._finish(self._operations.cancelled(operation_id, attempt))
                raise
            except NotPlaced as error:
                _log.info("the host took no training: it is placed anew", host=operation.host, why=str(error))
                self._placement.rest(operation_id)
                await self._finish(self._operations.requeue(operation_id, attempt))
            except TrainingCancelled:
                end = self._operations.requeue if token.suspended else self._operations.cancelled
                await self._finish(end(operation_id, attempt))
            except KtrdrError as error:
                _log.warning("training failed", code=error.code, error=str(error))
                await self._finish(self._operations.fail(operation_id, attempt, error.details()))
            except Exception as error:  # noqa: BLE001 - a mistake of ours ends this operation, not the service
                _log.exception("training broke")
                await self._finish(self._operations.fail(operation_id, attempt, _broken(error)))
            else:
                await self._finish(self._operations.complete(operation_id, attempt, result))

    async def _result(self, operation: Operation, token: CancellationToken) -> TrainingResult:
        """What the run comes to, or came to already. Raises what ends it otherwise."""
        placed = {"attempt": operation.attempt, "execution_mode": operation.execution_mode, "host": operation.host}
        request, result = operation.request.model_copy(update=placed), None
        if operation.started_at is not None:  # an earlier run may have saved its model and not lived to say so
            result = await asyncio.to_thread(lambda: self._saved.result_of(request))
        if result is None:
            result = await self._run(request, self.runners[operation.execution_mode], token)
        price = None if operation.host is None else await self._price_of(operation.host)
        return await self._count_evaluation(request, with_cost(result, price))

    async def _run(self, request: TrainingRequest, runner: TrainingRunner, token: CancellationToken) -> TrainingResult:
        report = partial(self._operations.report_progress, request.operation_id, request.attempt)
        with self._trace(request) as steps:
            progress = ProgressCoordinator((report, steps, ProgressLog(), *self._consumers))
            try:
                return await runner.run(request, progress, token)
            finally:
                progress.flush()

    async def _count_evaluation(self, request: TrainingRequest, result: TrainingResult) -> TrainingResult:
        """Record that the test range has been looked at; the result says how often it has been."""
        try:
            looks = await self._operations.record_evaluation(_evaluated(request, result, self._clock()))
        except (StorageFailed, LookupError, TypeError, ValidationError) as error:
            _log.warning("this look at the test range is not counted", error=repr(error))
            return result
        return result.model_copy(update={"data_summary": {**result.data_summary, "test_evaluations": looks}})

    async def _finish(self, end: Any) -> None:
        """Bring the operation to its end; one that has ended already keeps the end that it has."""
        try:
            operation = await end
        except KtrdrError as error:
            _log.error("the operation keeps its state", error=str(error))
            return
        if operation is not None and operation.status.ended:
            _log.info("training ended", status=operation.status.value)
            self._on_end(operation)


def _evaluated(request: TrainingRequest, result: TrainingResult, at: datetime) -> EvaluatedRange:
    start, end = result.data_summary["test_range"]
    return EvaluatedRange(
        operation_id=request.operation_id,
        model=result.model_path or request.operation_id,
        symbols=result.data_summary["symbols"],
        timeframe=result.data_summary["base_timeframe"],
        start=start,
        end=end,
        data_digest=result.provenance["data_digest"],
        at=at,
    )


def _broken(error: Exception) -> dict[str, Any]:
    return {
        "code": "internal_error",
        "message": f"training broke on a mistake of the program ({type(error).__name__}): see a log at level ERROR",
    }

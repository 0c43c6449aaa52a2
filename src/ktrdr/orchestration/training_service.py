"""Starts trainings and sees each to its end: plan, operation, background task, result."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

from pydantic import ValidationError

from ktrdr.contracts.bars import BarRepository
from ktrdr.contracts.operations import EvaluatedRange, Operation
from ktrdr.contracts.strategies import StrategyRepository
from ktrdr.contracts.training import (
    CancellationToken,
    StartTraining,
    TrainingPlan,
    TrainingRequest,
    TrainingResult,
    TrainingRunner,
)
from ktrdr.errors import Conflict, KtrdrError, ModeUnavailable, StorageFailed, TrainingCancelled
from ktrdr.logs import get_logger, operation_context
from ktrdr.orchestration.execution_mode_selector import ExecutionModeSelector
from ktrdr.orchestration.operation_ids import new_operation_id
from ktrdr.orchestration.operations_service import OperationsService
from ktrdr.orchestration.progress_coordinator import ProgressConsumer, ProgressCoordinator
from ktrdr.orchestration.training_planner import TrainingPlanner

_log = get_logger("training")


class TrainingService:
    """Training operations of this process. Bound to one event loop; `aclose` it before that ends."""

    def __init__(
        self,
        operations: OperationsService,
        selector: ExecutionModeSelector,
        runners: Mapping[str, TrainingRunner],
        strategies: StrategyRepository,
        bars: BarRepository,
        *,
        slots: Mapping[str, int] | None = None,
        consumers: tuple[ProgressConsumer, ...] = (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`runners` and `slots` are by execution mode; as many trainings run at once as a mode has slots (one where
        nothing is said). `consumers` hear the progress of every training, beside its operation."""
        self._operations = operations
        self._runners = runners
        self._planner = TrainingPlanner(strategies, bars, selector)
        self._slots = {mode: asyncio.Semaphore((slots or {}).get(mode, 1)) for mode in runners}
        self._consumers = consumers
        self._clock = clock
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def plan(self, wanted: StartTraining) -> TrainingPlan:
        """What the training would do; nothing is started or stored. Raises what `start_training` raises."""
        plan, _ = await self._planner.plan(wanted)
        return plan

    async def start_training(self, wanted: StartTraining) -> Operation:
        """Queue the training; the operation is in the store when this returns.

        Raises InvalidStrategy, StrategyNotFound, DataNotFound, InvalidRequest, ModeUnavailable, StorageFailed;
        then there is no operation.
        """
        plan, strategy = await self._planner.plan(wanted)
        if plan.execution_mode not in self._runners:
            raise ModeUnavailable(f"nothing here runs trainings in mode {plan.execution_mode}: use --mode local")
        request = TrainingRequest(
            operation_id=new_operation_id("train", self._clock(), uuid4()),
            strategy_name=strategy.name,
            strategy=strategy.resolved,
            execution_mode=plan.execution_mode,
            require_gpu=wanted.require_gpu,
        )
        operation = await self._operations.create(request, plan.execution_mode, plan.execution_reason)
        task = asyncio.create_task(self._see_through(operation), name=operation.operation_id)
        self._tasks[operation.operation_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(operation.operation_id, None))
        return operation

    async def cancel(self, operation_id: str) -> Operation:
        """Ask for the end of that training: queued ones end at once, running ones at their next step or batch."""
        return await self._operations.request_cancel(operation_id)

    async def aclose(self) -> None:
        """Cancel every training of this process and wait until each has ended and its state is stored."""
        tasks = dict(self._tasks)
        for operation_id, task in tasks.items():
            try:
                await self._operations.request_cancel(operation_id)
            except Conflict:
                continue  # it ended just now
            except KtrdrError as error:
                _log.error("a cancel cannot be stored", operation_id=operation_id, error=str(error))
                task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _see_through(self, operation: Operation) -> None:
        """From queued to the end, whatever happens."""
        request = operation.request
        with operation_context(request.operation_id):
            try:
                async with self._slots[operation.execution_mode]:
                    await self._run(request, self._runners[operation.execution_mode])
            except asyncio.CancelledError:
                await self._finish(self._operations.cancelled, request)
                raise
            except TrainingCancelled:
                await self._finish(self._operations.cancelled, request)
            except KtrdrError as error:
                _log.warning("training failed", code=error.code, error=str(error))
                await self._finish(self._operations.fail, request, error.details())
            except Exception as error:  # noqa: BLE001 - a mistake of ours ends this operation, not the service
                _log.exception("training broke")
                await self._finish(self._operations.fail, request, _broken(error))

    async def _run(self, request: TrainingRequest, runner: TrainingRunner) -> None:
        """One attempt, from running to completed. Raises what ends it otherwise."""
        operation_id, attempt, cancellation = request.operation_id, request.attempt, CancellationToken()
        try:
            if await self._operations.start(operation_id, attempt, cancellation) is None:
                return
        except Conflict:
            _log.info("cancelled before it started")
            return
        report = partial(self._operations.report_progress, operation_id, attempt)
        progress = ProgressCoordinator((report, *self._consumers))
        try:
            result = await runner.run(request, progress, cancellation)
        finally:
            progress.flush()
        result = await self._count_evaluation(request, result)
        await self._finish(self._operations.complete, request, result)

    async def _count_evaluation(self, request: TrainingRequest, result: TrainingResult) -> TrainingResult:
        """Record that the test range has been looked at; the result says how often it has been."""
        try:
            looks = await self._operations.record_evaluation(_evaluated(request, result, self._clock()))
        except (StorageFailed, LookupError, TypeError, ValidationError) as error:
            _log.warning("this look at the test range is not counted", error=repr(error))
            return result
        return result.model_copy(update={"data_summary": {**result.data_summary, "test_evaluations": looks}})

    async def _finish(self, end: Callable[..., Any], request: TrainingRequest, *outcome: object) -> None:
        """Bring the operation to its end; one that has ended already keeps the end that it has."""
        try:
            operation = await end(request.operation_id, request.attempt, *outcome)
        except KtrdrError as error:
            _log.error("the operation keeps its state", error=str(error))
            return
        if operation is not None:
            _log.info("training ended", status=operation.status.value)


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

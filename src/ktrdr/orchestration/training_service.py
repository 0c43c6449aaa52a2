"""Takes trainings in: plans them, queues them, cancels and retries them; the queue runs them."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

from ktrdr.contracts.operations import Operation
from ktrdr.contracts.training import (
    CheckpointStore,
    StartTraining,
    TrainingConfig,
    TrainingPlan,
    TrainingRequest,
)
from ktrdr.errors import Conflict, InvalidRequest, ModeUnavailable
from ktrdr.logs import get_logger
from ktrdr.orchestration.default_mode import DefaultMode
from ktrdr.orchestration.operation_ids import new_operation_id
from ktrdr.orchestration.operations_service import OperationsService
from ktrdr.orchestration.training_planner import TrainingPlanner
from ktrdr.orchestration.training_queue import TrainingQueue

_KINDS = {"training": "train", "null_test": "null"}
"""How ids of operations begin."""
_log = get_logger("training")


class TrainingService:
    """Training operations as a user asks for them. Bound to one event loop; `aclose` it before that ends.

    `trace_here` names the span of the request that is being served.
    """

    def __init__(
        self,
        operations: OperationsService,
        planner: TrainingPlanner,
        queue: TrainingQueue,
        checkpoints: CheckpointStore,
        modes: DefaultMode,
        *,
        trace_here: Callable[[], str | None] = lambda: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._operations = operations
        self._planner = planner
        self._queue = queue
        self._checkpoints = checkpoints
        self._modes = modes
        self._trace_here = trace_here
        self._clock = clock

    async def plan(self, wanted: StartTraining) -> TrainingPlan:
        """What the training would do; nothing is started or stored. Raises what `start_training` raises."""
        plan, _ = await self._planner.plan(wanted)
        return plan

    async def start_training(self, wanted: StartTraining) -> Operation:
        """Queue the training, or the null test; the operation is in the store when this returns. A key that was used
        before for the same request gets the operation of then.

        Raises InvalidStrategy, StrategyNotFound, DataNotFound, InvalidRequest, ModeUnavailable, StorageFailed;
        then there is no operation.
        """
        key, digest = wanted.idempotency_key, _digest(wanted)
        if key is not None and (before := await self._started_before(key, digest)):
            return before
        wanted = _placeable(wanted)
        plan, strategy = await self._planner.plan(wanted)
        if plan.execution_mode not in self._queue.runners:
            raise ModeUnavailable(f"nothing here runs trainings in mode {plan.execution_mode}: use --mode local")
        request = TrainingRequest(
            operation_id=new_operation_id(_KINDS[wanted.type], self._clock(), uuid4()),
            type=wanted.type,
            strategy_name=strategy.name,
            strategy=strategy.resolved,
            requested_mode=wanted.execution_mode,
            execution_mode=plan.execution_mode,
            host=plan.host,
            require_gpu=wanted.require_gpu,
            queue_if_unavailable=wanted.queue_if_unavailable,
            detailed_analytics=wanted.detailed_analytics,
            trace_parent=self._trace_here(),
        )
        try:
            operation = await self._operations.create(
                request,
                plan.execution_mode,
                plan.execution_reason,
                host=plan.host,
                priority=wanted.priority,
                idempotency_key=key,
                request_digest=digest,
            )
        except Conflict:
            if key is not None and (before := await self._started_before(key, digest)):
                return before  # the same request, sent twice at once
            raise
        self._queue.wake()
        return operation

    async def cancel(self, operation_id: str) -> Operation:
        """Ask for the end of that training: queued ones end at once, running ones at their next step or batch."""
        return await self._operations.request_cancel(operation_id)

    async def retry(self, operation_id: str, *, from_start: bool = False) -> Operation:
        """Queue a failed or cancelled training again; it goes on from its checkpoint unless told otherwise."""
        operation = await self._operations.retry(operation_id, from_start=from_start)
        if from_start:
            self._checkpoints.discard(operation_id)
        self._queue.wake()
        return operation

    async def config(self) -> TrainingConfig:
        """What holds for trainings that say nothing else."""
        return await self._modes.config()

    async def set_default_mode(self, mode: str) -> TrainingConfig:
        """Let trainings that name no mode run in this one from now on. Raises InvalidRequest."""
        return await self._modes.change(mode)

    async def aclose(self) -> None:
        """Cancel every training of this process and wait until each has ended and its state is stored."""
        await self._queue.cancel_all()

    async def _started_before(self, key: str, digest: str) -> Operation | None:
        found = await self._operations.of_key(key)
        if found is None:
            return None
        operation, its_digest = found
        if its_digest != digest:
            raise InvalidRequest(
                f"the idempotency key {key!r} came before with another request (operation {operation.operation_id}): "
                "use a new key for a new request"
            )
        return operation


def _placeable(wanted: StartTraining) -> StartTraining:
    """A null test runs where the service does: on a host it would leave nothing to bring home."""
    if wanted.type == "training":
        return wanted
    if wanted.execution_mode not in (None, "auto", "local"):
        raise ModeUnavailable(f"a null test runs locally, not in mode {wanted.execution_mode}: leave the mode out")
    return wanted.model_copy(update={"execution_mode": "local"})


def _digest(wanted: StartTraining) -> str:
    """The sha256 of a request, by which the same one is known again."""
    return hashlib.sha256(wanted.model_dump_json(exclude={"idempotency_key"}).encode()).hexdigest()

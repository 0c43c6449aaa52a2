"""Local execution: the executor in a thread of this process, so that the event loop stays free."""

import asyncio
from collections.abc import Callable

from ktrdr.contracts.training import CancellationToken, Executor, ProgressCallback, TrainingRequest, TrainingResult
from ktrdr.logs import get_logger

_log = get_logger("local runner")


class LocalTrainingRunner:
    """The TrainingRunner of mode `local`: progress and model go straight to where the executor sends them."""

    def __init__(self, make_executor: Callable[[], Executor]) -> None:
        """`make_executor` is called in the training's own thread: what is slow to import may be imported there."""
        self._make_executor = make_executor

    async def run(
        self, request: TrainingRequest, progress: ProgressCallback, cancellation: CancellationToken
    ) -> TrainingResult:
        """Train to the end. When the awaiting task is cancelled, so is the training, and its thread is waited for:
        a thread cannot be killed, and one left behind could still save a model."""
        training = asyncio.ensure_future(asyncio.to_thread(self._execute, request, progress, cancellation))
        try:
            return await asyncio.shield(training)
        except asyncio.CancelledError:
            cancellation.cancel()
            await _wait_for_end(training)
            raise

    def _execute(
        self, request: TrainingRequest, progress: ProgressCallback, cancellation: CancellationToken
    ) -> TrainingResult:
        return self._make_executor().execute(request, progress, cancellation.is_cancelled)


async def _wait_for_end(training: asyncio.Future[TrainingResult]) -> None:
    while not training.done():
        try:
            await asyncio.wait({training})
        except asyncio.CancelledError:
            continue  # asked once more: the thread still has to end first
    if training.cancelled():
        return
    if training.exception() is not None:
        _log.debug("the training's thread has ended", error=repr(training.exception()))
    else:
        _log.warning("the training had finished before its cancel", model_path=training.result().model_path)

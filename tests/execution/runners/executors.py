"""Executors that a child process can be given by name."""

import os
import signal
import time
from typing import Any

from ktrdr.contracts.training import IsCancelled, Phase, ProgressCallback, TrainingRequest, TrainingResult
from ktrdr.errors import DataRefused, TrainingCancelled
from ktrdr.execution.runners.fake import FakeExecutor


class Told:
    """Does what the request's strategy name says."""

    def execute(
        self, request: TrainingRequest, progress: ProgressCallback, is_cancelled: IsCancelled
    ) -> TrainingResult:
        match request.strategy_name:
            case "refuse":
                raise DataRefused("these bars are odd: import others")
            case "break":
                raise ZeroDivisionError("by zero")
            case "exit":
                os._exit(3)
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "eat":
                raise MemoryError
            case "batches":
                return _batches(request, progress, is_cancelled)
            case "deaf":
                progress(Phase.TRAINING, "deaf")
                time.sleep(600)
        result = FakeExecutor(epochs=200).execute(request, progress, is_cancelled)
        return result.model_copy(update={"resource_usage": {"pid": os.getpid()}})


def _batches(request: TrainingRequest, progress: ProgressCallback, is_cancelled: IsCancelled) -> Any:
    """Batches of a millisecond without an end; what comes after the cancel is counted in the error."""
    progress(Phase.TRAINING, "batches")
    while not is_cancelled():
        time.sleep(0.001)
    raise TrainingCancelled(f"{time.monotonic()}")

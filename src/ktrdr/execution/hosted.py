"""A training as a host runs it: with the bars that its session names, leaving its model in the session's folder."""

import json
from collections.abc import Sequence
from pathlib import Path

from ktrdr.contracts.hosts import SeriesNeeded
from ktrdr.contracts.training import IsCancelled, ProgressCallback, TrainingRequest, TrainingResult
from ktrdr.execution.checkpoints import CheckpointFolder
from ktrdr.execution.data.pins import BarPins
from ktrdr.execution.executor import TrainingExecutor
from ktrdr.execution.files import storage_failures
from ktrdr.execution.transfer.sending import SERIES, SessionSink, keep_result


class HostedExecutor:
    """The Executor of a host's child process: the TrainingExecutor between a session's bars and its folder."""

    def __init__(
        self, sessions: Path, bars: BarPins, *, device: str, threads: int | None, checkpoints: CheckpointFolder
    ) -> None:
        self._sessions = sessions
        self._bars = bars
        self._device = device
        self._threads = threads
        self._checkpoints = checkpoints

    def execute(
        self, request: TrainingRequest, progress: ProgressCallback, is_cancelled: IsCancelled
    ) -> TrainingResult:
        """Train; on return the folder of the session has all that is sent."""
        folder = self._sessions / request.operation_id
        executor = TrainingExecutor(
            self._bars.source(_series(folder)),
            SessionSink(self._sessions),
            device=self._device,
            threads=self._threads,
            checkpoints=self._checkpoints,
        )
        result = executor.execute(request, progress, is_cancelled)
        keep_result(folder, result)
        return result


def _series(folder: Path) -> Sequence[SeriesNeeded]:
    with storage_failures("read the session", folder):
        return [SeriesNeeded.model_validate(one) for one in json.loads((folder / SERIES).read_text(encoding="utf-8"))]

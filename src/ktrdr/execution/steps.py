"""The frame around each of the twelve steps: cancellation before it, a log line, its time, and progress."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ktrdr.contracts.training import IsCancelled, Phase, ProgressCallback
from ktrdr.errors import TrainingCancelled
from ktrdr.logs import get_logger

_log = get_logger("executor")


class Steps:
    """Called with a phase, it is the context in which that step runs; `seconds` has the time of each. The steps of a
    `quiet` one are logged at DEBUG."""

    def __init__(self, progress: ProgressCallback, is_cancelled: IsCancelled, *, quiet: bool = False) -> None:
        self._progress = progress
        self.is_cancelled = is_cancelled
        self._say = _log.debug if quiet else _log.info
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, phase: Phase) -> Iterator[None]:
        if phase is not Phase.RESULT_AGGREGATION and self.is_cancelled():  # by then the model is saved
            raise TrainingCancelled(f"the training was cancelled before step {phase.number}, {phase.heading.lower()}")
        self._say(f"Step {phase.number}/{len(Phase)}: {phase.heading}")
        self._progress(phase, phase.heading)
        begun = time.perf_counter()
        yield
        self.seconds[phase.value] = time.perf_counter() - begun

    def tell(self, phase: Phase, message: str, **details: object) -> None:
        """Progress within a step."""
        self._progress(phase, message, **details)

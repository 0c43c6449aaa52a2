"""Progress in the log: a line now and then, by which a long training shows that it lives."""

import time
from collections.abc import Callable

from ktrdr.contracts.operations import Progress
from ktrdr.logs import get_logger

_log = get_logger("progress")


class ProgressLog:
    """A consumer of the progress of one run. Steps have lines of their own; here is how far it is within them."""

    def __init__(self, *, every: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        """Writes no more than one line in `every` seconds of `clock`, the first after that time."""
        self._every = every
        self._clock = clock
        self._told_at = clock()

    def __call__(self, progress: Progress) -> None:
        now = self._clock()
        if now - self._told_at < self._every:
            return
        self._told_at = now
        left = None if progress.eta_seconds is None else round(progress.eta_seconds)
        _log.info(
            "how far it is",
            phase=progress.phase.value,
            message=progress.message,
            fraction=round(progress.fraction, 3),
            eta_seconds=left,
        )

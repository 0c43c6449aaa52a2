"""Progress, thinned out at its source: what nobody could follow is not passed on."""

import time
from collections.abc import Callable
from typing import Any

from ktrdr.contracts.training import Phase, ProgressCallback


class Throttle:
    """A ProgressCallback that passes on one message of a phase in `interval` seconds, and always its first and last."""

    def __init__(
        self, passed: ProgressCallback, *, interval: float = 0.1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Called from one thread; `passed` gets what is passed on, in that thread."""
        self._passed = passed
        self._interval = interval
        self._clock = clock
        self._phase: Phase | None = None
        self._passed_at = 0.0
        self._held: tuple[Phase, str, dict[str, Any]] | None = None

    def __call__(self, phase: Phase, message: str, **details: Any) -> None:
        """Pass it on, or hold it back while the phase's last message is younger than the interval."""
        now = self._clock()
        if phase is self._phase and now - self._passed_at < self._interval:
            self._held = phase, message, details
            return
        if phase is not self._phase:
            self.flush()
        self._held = None
        self._phase, self._passed_at = phase, now
        self._passed(phase, message, **details)

    def flush(self) -> None:
        """Pass on what is held back: after the end nothing newer comes."""
        held, self._held = self._held, None
        if held is not None:
            phase, message, details = held
            self._passed(phase, message, **details)

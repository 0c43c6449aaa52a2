"""Between the training and those who follow it: one callback in, any number of consumers out.

It turns phases and epochs into a share of the whole and an estimate of what is left, and passes on no more than
readers can use. The training never waits for it and never hears of its troubles.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ktrdr.contracts.operations import Progress
from ktrdr.contracts.training import Phase
from ktrdr.execution.runners.throttle import Throttle
from ktrdr.logs import get_logger

ProgressConsumer = Callable[[Progress], object]
"""Takes the news; must not block. One that raises loses that message."""

_SHARES: Mapping[Phase, float] = {
    Phase.DATA_LOADING: 0.02,
    Phase.INDICATORS: 0.02,
    Phase.FUZZY_MEMBERSHIPS: 0.02,
    Phase.FEATURE_ENGINEERING: 0.01,
    Phase.LABELS: 0.02,
    Phase.DATASET: 0.01,
    Phase.MODEL_CREATION: 0.01,
    Phase.TRAINING: 0.80,
    Phase.EVALUATION: 0.02,
    Phase.FEATURE_IMPORTANCE: 0.05,
    Phase.PERSISTENCE: 0.01,
    Phase.RESULT_AGGREGATION: 0.01,
}
_BEFORE = {phase: sum(list(_SHARES.values())[: phase.number - 1]) for phase in Phase}
_log = get_logger("progress")


class ProgressCoordinator:
    """The ProgressCallback of one run. Called from the one thread that trains; `flush` after that has ended."""

    def __init__(
        self,
        consumers: Sequence[ProgressConsumer],
        *,
        clock: Callable[[], float] = time.monotonic,
        interval: float = 0.1,
    ) -> None:
        """Passes on one message of a phase in `interval` seconds of `clock`, and always its first and its last."""
        self._consumers = tuple(consumers)
        self._clock = clock
        self._throttle = Throttle(self._pass_on, interval=interval, clock=clock)
        self._began = clock()
        self._training_began = self._began
        self._phase: Phase | None = None
        self._fraction = 0.0
        self._complained: set[int] = set()

    def __call__(self, phase: Phase, message: str, **details: Any) -> None:
        """Take news of the training; held back while the phase's last news is younger than the interval."""
        try:
            self._throttle(phase, message, **details)
        except Exception as error:  # noqa: BLE001 - whatever it is, the training must not hear of it
            self._complain(-1, error)

    def flush(self) -> None:
        """Pass on what is held back: after the end nothing newer comes."""
        try:
            self._throttle.flush()
        except Exception as error:  # noqa: BLE001 - as above
            self._complain(-1, error)

    def _pass_on(self, phase: Phase, message: str, **details: Any) -> None:
        now = self._clock()
        if phase is Phase.TRAINING and self._phase is not phase:
            self._training_began = now
        self._phase = phase
        done = _share_done(phase, details)
        self._fraction = min(1.0, max(self._fraction, _share_of_all(phase, done, details)))
        progress = Progress(
            phase=phase,
            message=message,
            fraction=self._fraction,
            eta_seconds=self._seconds_left(phase, done, now, alone="walks" not in details),
            details=details,
        )
        for number, consumer in enumerate(self._consumers):
            try:
                consumer(progress)
            except Exception as error:  # noqa: BLE001 - one consumer's trouble is not the others'
                self._complain(number, error)

    def _seconds_left(self, phase: Phase, done: float, now: float, *, alone: bool) -> float | None:
        """Training tells its own pace, and so that of the whole; before its first epoch nothing is known. With walks
        behind it (not `alone`) the pace so far is that of the whole."""
        if phase.number < Phase.TRAINING.number or (phase is Phase.TRAINING and done <= 0):
            return None
        if phase is Phase.TRAINING and alone:
            training = (now - self._training_began) / done
            after = 1.0 - _BEFORE[phase] - _SHARES[phase]
            return training * (1.0 - done) + training * after / _SHARES[phase]
        return (now - self._began) / self._fraction * (1.0 - self._fraction)

    def _complain(self, number: int, error: Exception) -> None:
        if number in self._complained:
            return
        self._complained.add(number)
        try:
            _log.warning("progress was dropped", consumer=number, error=repr(error))
        except Exception:  # noqa: BLE001 - a log that cannot be written must not end a training
            return


def _share_of_all(phase: Phase, done: float, details: Mapping[str, Any]) -> float:
    """How much of the whole operation is done: of a training and of the `walks` that follow its evaluation, each as
    long as the training. The `walk` under way tells its epochs."""
    own, walks, walk = _BEFORE[phase] + _SHARES[phase] * done, details.get("walks"), details.get("walk")
    if not isinstance(walks, int) or walks < 1:
        return own
    if phase is Phase.EVALUATION and isinstance(walk, int):
        return (walk + _share_done(Phase.TRAINING, details)) / (1 + walks)
    return (own + (walks if phase.number > Phase.EVALUATION.number else 0)) / (1 + walks)


def _share_done(phase: Phase, details: Mapping[str, Any]) -> float:
    """How much of the training phase its epochs say is done, 0 to 1; 0 in every other phase."""
    epoch, epochs = details.get("epoch"), details.get("epochs")
    if phase is not Phase.TRAINING or not isinstance(epoch, int | float) or not isinstance(epochs, int | float):
        return 0.0
    return min(1.0, max(0.0, epoch / epochs)) if epochs > 0 else 0.0

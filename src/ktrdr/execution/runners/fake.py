"""An executor that trains nothing: the twelve phases, epochs and cancellation of a real one, for trying out all that
stands around it."""

import time
from collections.abc import Callable

from ktrdr.contracts.training import IsCancelled, Phase, ProgressCallback, TrainingRequest, TrainingResult
from ktrdr.errors import TrainingCancelled


class FakeExecutor:
    """Walks the twelve phases and answers with a result that has every key and no model behind it."""

    def __init__(self, *, epochs: int = 3, seconds: float = 0.0, on_epoch: Callable[[int], None] | None = None) -> None:
        """`seconds` is how long an epoch takes; `on_epoch` is called in each, and what it raises ends the training."""
        self._epochs = epochs
        self._seconds = seconds
        self._on_epoch = on_epoch or (lambda epoch: None)

    def execute(
        self, request: TrainingRequest, progress: ProgressCallback, is_cancelled: IsCancelled
    ) -> TrainingResult:
        """Raises TrainingCancelled at the next phase or epoch after a cancel."""
        for phase in Phase:
            _stop_if(is_cancelled)
            progress(phase, phase.value)
            if phase is Phase.TRAINING:
                self._train(progress, is_cancelled)
        return _result(request)

    def _train(self, progress: ProgressCallback, is_cancelled: IsCancelled) -> None:
        for epoch in range(1, self._epochs + 1):
            _stop_if(is_cancelled)
            self._on_epoch(epoch)
            time.sleep(self._seconds)
            progress(Phase.TRAINING, f"epoch {epoch}", epoch=epoch, epochs=self._epochs, train_loss=1 / epoch)


def _stop_if(is_cancelled: IsCancelled) -> None:
    if is_cancelled():
        raise TrainingCancelled("the training was cancelled")


def _result(request: TrainingRequest) -> TrainingResult:
    return TrainingResult(
        model_path=f"{request.strategy_name}/FAKE_1h_v1",
        training_metrics={},
        test_metrics={},
        feature_names=[],
        feature_importance={},
        per_symbol_metrics={},
        model_info={},
        data_summary={
            "symbols": ["FAKE"],
            "base_timeframe": "1h",
            "test_range": ["2017-11-01T00:00:00+00:00", "2018-01-01T00:00:00+00:00"],
        },
        resource_usage={"mode": request.execution_mode},
        provenance={"data_digest": "0" * 64},
    )

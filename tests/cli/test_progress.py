"""Progress where nobody watches a terminal: few lines, and still a sign of life in a long training."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from ktrdr.cli.progress import TrainingProgress, time_left
from ktrdr.contracts.operations import Operation, OperationStatus, Progress
from ktrdr.contracts.training import Phase, TrainingRequest


def at(phase: Phase, **details: float) -> Operation:
    """A running operation in that phase, with an hour to go."""
    return Operation(
        operation_id="op",
        strategy_name="momentum",
        status=OperationStatus.RUNNING,
        attempt=1,
        revision=1,
        request=TrainingRequest(operation_id="op", strategy_name="momentum", strategy={}),
        execution_mode="local",
        execution_reason="",
        progress=Progress(phase=phase, message="", fraction=0.5, eta_seconds=3600, details=details),
        created_at=datetime(2017, 1, 1, tzinfo=UTC),
    )


def test_a_log_gets_each_stage_once_and_numbers_now_and_then() -> None:
    """Ten epochs of ten seconds: the numbers appear once in thirty seconds."""
    text, now = io.StringIO(), 0.0
    progress = TrainingProgress(Console(file=text, width=80), every=30, clock=lambda: now)
    progress.show(at(Phase.INDICATORS))
    for epoch in range(1, 11):
        progress.show(at(Phase.TRAINING, epoch=epoch, epochs=10, train_loss=1.0, val_loss=1.1, val_accuracy=0.4))
        now += 10
    progress.show(at(Phase.EVALUATION))
    assert text.getvalue().splitlines() == [
        "Preparing features and labels…",
        "Training…",
        "  epoch 4/10 loss 1.000 val 1.100 acc 0.400, 60 min left",
        "  epoch 7/10 loss 1.000 val 1.100 acc 0.400, 60 min left",
        "  epoch 10/10 loss 1.000 val 1.100 acc 0.400, 60 min left",
        "Judging and saving the model…",
    ]


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "0 s"), (99, "99 s"), (720, "12 min"), (12_600, "3.5 h")])
def test_time_left_is_as_exact_as_an_estimate(seconds: float, said: str) -> None:
    """Seconds, then minutes, then hours."""
    assert time_left(seconds) == said

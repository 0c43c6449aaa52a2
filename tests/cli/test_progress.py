"""Progress where nobody watches a terminal: few lines, and still a sign of life in a long training."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from ktrdr.cli.progress import TrainingProgress, numbers, time_left
from ktrdr.contracts.operations import Operation, OperationStatus, Progress
from ktrdr.contracts.training import Phase, TrainingRequest


def at(phase: Phase, message: str = "", eta: float | None = 3600, **details: float) -> Operation:
    """A running operation in that phase, with an hour to go unless told otherwise."""
    return Operation(
        operation_id="op",
        strategy_name="momentum",
        status=OperationStatus.RUNNING,
        attempt=1,
        revision=1,
        request=TrainingRequest(operation_id="op", strategy_name="momentum", strategy={}),
        execution_mode="local",
        execution_reason="",
        progress=Progress(phase=phase, message=message, fraction=0.5, eta_seconds=eta, details=details),
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


def test_a_host_that_is_silent_is_told_once_until_it_answers() -> None:
    """And what waits in the queue is not said to be under way."""
    text = io.StringIO()
    progress = TrainingProgress(Console(file=text, width=80))
    queued = at(Phase.DATA_LOADING).model_copy(update={"status": OperationStatus.QUEUED, "progress": None})
    progress.show(queued)
    assert text.getvalue() == ""
    progress.show(at(Phase.TRAINING))
    for seconds in (30, 31, None, 30):
        said = f"the host [a] is unreachable for {seconds} s; its training goes on"
        progress.show(at(Phase.TRAINING, said, unreachable=seconds is not None))
    assert [line for line in text.getvalue().splitlines() if "[a]" in line] == [
        "  the host [a] is unreachable for 30 s; its training goes on"
    ] * 2


def test_a_terminal_shows_where_it_waits_and_for_what() -> None:
    """In the queue, for bars that a host fetches, for a host that is silent: in two lines that fit."""
    text = io.StringIO()
    queued = at(Phase.DATA_LOADING).model_copy(update={"status": OperationStatus.QUEUED, "progress": None})
    shown = (
        (queued, "Waiting in the queue"),
        (at(Phase.DATA_LOADING, "Fetching the bars of EURUSD 1h", None), "Fetching the bars of EURUSD 1h"),
        (at(Phase.TRAINING, "the host a is unreachable for 31 s; it goes on", unreachable=True), "it goes on"),
    )
    with TrainingProgress(Console(file=text, force_terminal=True, width=80)) as progress:
        for operation, said in shown:
            progress.show(operation)
            assert progress._live is not None
            progress._live.refresh()
            assert said in text.getvalue()


def test_walks_of_a_null_test_are_counted() -> None:
    """Before their epochs, and where there are none yet."""
    assert numbers(at(Phase.EVALUATION, walk=3, walks=19)) == "walk 3/19"
    told = numbers(at(Phase.EVALUATION, walk=3, walks=19, epoch=2, epochs=10, train_loss=1.0))
    assert told == "walk 3/19 epoch 2/10 loss 1.000"


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "0 s"), (99, "99 s"), (720, "12 min"), (12_600, "3.5 h")])
def test_time_left_is_as_exact_as_an_estimate(seconds: float, said: str) -> None:
    """Seconds, then minutes, then hours."""
    assert time_left(seconds) == said

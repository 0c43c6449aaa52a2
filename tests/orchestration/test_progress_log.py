"""Progress in the log: now and then, with what a reader of a log wants to know."""

import structlog

from ktrdr.contracts.operations import Progress
from ktrdr.contracts.training import Phase
from ktrdr.orchestration.progress_log import ProgressLog


def test_a_line_now_and_then():
    """None in the first minute, then one a minute however much is told."""
    now = 0.0
    log = ProgressLog(every=60, clock=lambda: now)
    with structlog.testing.capture_logs() as lines:
        for second in range(200):
            now = float(second)
            log(Progress(phase=Phase.TRAINING, message=f"Epoch {second}", fraction=second / 1000, eta_seconds=9.6))
    assert [line["message"] for line in lines] == ["Epoch 60", "Epoch 120", "Epoch 180"]
    assert (lines[0]["phase"], lines[0]["fraction"], lines[0]["eta_seconds"]) == ("training", 0.06, 10)

"""`ktrdr models train`: the plan, the progress, the summary, the ends and their exit codes."""

import asyncio
import io
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from tests.cli.fake_client import FakeClient, opening
from tests.cli.sample_result import BASELINES, TEST_METRICS, training_result
from tests.support import ROOT

from ktrdr.cli.app import main
from ktrdr.cli.progress import TrainingProgress
from ktrdr.cli.summary import show_training, verdict
from ktrdr.contracts.operations import LOCAL_INSTEAD, Operation, OperationStatus
from ktrdr.contracts.training import StartTraining, TrainingResult

TRAIN = ["models", "train", "momentum"]


def test_options_become_the_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lists by comma or repeated, dates as UTC, a file where it looks like one."""
    client = FakeClient()
    (tmp_path / "momentum.yaml").write_text("name: a")
    options = ["--symbols", "EURUSD,AAPL", "--symbols", "IBM", "--timeframes", "1h", "--seed", "7", "--mode", "local"]
    dates = ["--start-date", "2017-03-01", "--end-date", "2017-04-01T02:00+02:00", "--require-gpu"]
    assert main(opening(client), [*TRAIN, *options, *dates]) == 0
    assert main(opening(client), ["models", "train", str(tmp_path / "momentum.yaml")]) == 0
    first, second = client.wanted
    assert first.overrides.symbols == ["EURUSD", "AAPL", "IBM"]
    assert first.overrides.timeframes == ["1h"]
    assert first.overrides.start_date == datetime(2017, 3, 1, tzinfo=UTC)
    assert first.overrides.end_date == datetime(2017, 4, 1, tzinfo=UTC)
    assert (first.overrides.seed, first.execution_mode, first.require_gpu) == (7, "local", True)
    assert (first.strategy_name, first.strategy_text) == ("momentum", None)
    assert (second.strategy_name, second.strategy_text) == (None, "name: a")
    assert second.source == str(tmp_path / "momentum.yaml")


def test_a_dry_run_starts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """It prints the plan."""
    client = FakeClient()
    assert main(opening(client), [*TRAIN, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert not client.wanted
    assert "nothing was started" in out
    assert "EURUSD 1h: 6,225" in out
    assert "only [some] bars are there" in out


def test_the_summary_says_what_matters(capsys: pytest.CaptureFixture[str]) -> None:
    """Data, parts, what was left out, the verdict, earlier looks, notices, the path and commands that work."""
    assert main(opening(FakeClient()), TRAIN) == 0
    out, err = capsys.readouterr()
    for said in (
        "EURUSD, 1h",
        "5,876",
        "warm-up 200",
        "train 70, validation 67",
        "not distinguishable from the best baseline",
        "majority class",
        "1h_atr_24_raw",
        "judged 3 times",
        "a [small] notice",
        "models/momentum/EURUSD_1h_v1",
        "ktrdr models show momentum/EURUSD_1h_v1",
        "ktrdr models test momentum/EURUSD_1h_v1",
        "ktrdr models predict momentum/EURUSD_1h_v1",
    ):
        assert said in out
    assert "local on cpu" in out
    assert "the default" in out
    assert err.splitlines() == ["Runs local: the default.", "Preparing features and labels…", "Training…"]


def test_a_training_that_fell_back_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    """And one that is placed elsewhere while it waits says where."""

    class Moving(FakeClient):
        async def start_training(self, wanted: StartTraining) -> Operation:
            operation = await super().start_training(wanted)
            return operation.model_copy(
                update={"execution_reason": f"host is requested, but [none] is there: {LOCAL_INSTEAD}"}
            )

        async def watch(self, operation_id: str) -> AsyncIterator[Operation]:
            async for operation in super().watch(operation_id):
                yield operation.model_copy(update={"execution_mode": "host", "host": "gpu1"})

    assert main(opening(Moving()), TRAIN) == 0
    assert capsys.readouterr().err.splitlines()[:2] == [
        f"Warning: Runs local: host is requested, but [none] is there: {LOCAL_INSTEAD}.",
        "Runs host gpu1 now.",
    ]


def test_a_poor_result_can_still_be_shown() -> None:
    """Keys that are not there are left out of the summary, not tripped over."""
    fields: dict[str, object] = {key: {} for key in TrainingResult.model_fields}
    empty = TrainingResult.model_validate({**fields, "model_path": None, "feature_names": []})
    screen = Console(file=io.StringIO(), width=80)
    show_training(screen, empty)
    show_training(screen, training_result(data_summary={"parts": {"test": {}}, "labels": {"look_ahead_bars": None}}))


@pytest.mark.parametrize(
    ("interval", "said"),
    [((0.30, 0.42), "not distinguishable from"), ((0.37, 0.42), "better than"), ((0.30, 0.36), "worse than")],
)
def test_the_verdict_minds_the_interval(interval: tuple[float, float], said: str) -> None:
    """Better or worse only when the interval leaves the best baseline out."""
    metrics = {**TEST_METRICS, "intervals": {"balanced_accuracy": interval}}
    assert f"{said} the best baseline (logistic regression, 0.366)" in verdict(metrics)


def test_the_verdict_names_the_log_loss_to_beat() -> None:
    """Lower than all of them, or not lower than the best of them."""
    assert "log loss 1.087 is lower than every baseline's; the next is logistic regression, 1.093" in verdict(
        TEST_METRICS
    )
    poor = {**TEST_METRICS, "log_loss_prior_corrected": 1.095}
    assert "log loss 1.095 is not lower than the best baseline's: logistic regression, 1.093" in verdict(poor)
    assert verdict(poor, {}) == verdict(poor, BASELINES)


def test_the_verdict_tells_the_calibration_where_it_was_measured() -> None:
    measured = {**TEST_METRICS, "calibration_error_prior_corrected": 0.0214, "brier_prior_corrected": 0.6531}
    assert verdict(measured).endswith("off by 0.021 on average (calibration error); Brier score 0.653.")
    assert "calibration" not in verdict(TEST_METRICS)


def test_a_failed_training_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    """Its sentence on stderr as it was written; with --json the operation, which holds the error."""
    assert main(opening(FakeClient(end=OperationStatus.FAILED)), TRAIN) == 1
    assert "Error: the loss is [not] a number: lower learning_rate" in capsys.readouterr().err
    assert main(opening(FakeClient(end=OperationStatus.FAILED)), [*TRAIN, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "training_failed"


async def _shown() -> str:
    client, text = FakeClient(states=2), io.StringIO()
    await client.start_training(StartTraining(strategy_name="momentum"))
    with TrainingProgress(Console(file=text, force_terminal=True, width=80)) as progress:
        async for operation in client.watch("op_1"):
            progress.show(operation)
            if progress._live:
                progress._live.refresh()
        progress.say("Cancelling…")
    return text.getvalue()


def test_a_terminal_shows_phase_epoch_losses_and_time_left() -> None:
    """All of it fits 80 columns, and the cursor comes back."""
    text = asyncio.run(_shown())
    for said in ("Step 8/12 Training the model", "epoch 2/3 loss 0.500 val 1.100 acc 0.400", "2 s left", "Cancelling…"):
        assert said in text
    assert "\x1b[?25h" in text


def training(
    states: int, pause: float, *, deaf: bool = False, options: str = "", command: Sequence[str] = TRAIN
) -> "subprocess.Popen[str]":
    """A real process that has begun to train on a slow fake."""
    code = (
        "from ktrdr.cli.app import main; from tests.cli.fake_client import FakeClient, opening;"
        f"client = FakeClient(states={states}, pause={pause}, deaf={deaf});"
        f"raise SystemExit(main(opening(client), {[*command, *options.split()]!r}))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    while "…" not in process.stderr.readline():
        pass
    return process


def test_ctrl_c_cancels_and_waits_for_the_end() -> None:
    """Exit code 130 and a sentence; the model is not there and nothing pretends it was."""
    process = training(200, 0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Cancelling…" in err
    assert "was cancelled" in err
    assert "Traceback" not in err
    assert out == ""


def test_a_training_that_was_done_before_the_cancel_is_done() -> None:
    """Whoever wins the race decides the exit code."""
    process = training(2, 0.5, deaf=True)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Cancelling…" in err
    assert "Model saved" in out


def test_a_second_ctrl_c_leaves_at_once() -> None:
    """Even where the training does not listen."""
    process = training(1, 60, deaf=True)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "Cancelling" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=5)
    assert process.returncode == 130


def test_ctrl_c_on_a_watch_leaves_the_training_alone_and_says_how_to_end_it() -> None:
    """By a command that finds the server that this one was told of."""
    process = training(200, 0.05, command=["--server", "http://x:1", "operations", "watch", "op_0"])
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "The training goes on. To end it: ktrdr --server http://x:1 operations cancel op_0" in err
    assert "Cancelling" not in err


def test_the_commands_that_are_proposed_find_the_server(capsys: pytest.CaptureFixture[str]) -> None:
    """Where it was named by an option, which the next command would not know."""
    assert main(opening(FakeClient()), ["--server", "http://x:1", *TRAIN, "--detach"]) == 0
    assert "ktrdr --server http://x:1 operations watch op_1" in capsys.readouterr().out
    assert main(opening(FakeClient(end=OperationStatus.CANCELLED)), ["--server", "http://x:1", *TRAIN]) == 130
    assert "To go on with it: ktrdr --server http://x:1 operations retry op_1" in capsys.readouterr().err

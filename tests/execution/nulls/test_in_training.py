"""The null test within a training, and by itself: real trainings on real bars and on walks of them."""

from pathlib import Path
from typing import Any

import pytest
import structlog
import torch
from tests.execution.test_executor import Shelf, equal, request, run, weights
from tests.support import ROOT, random_bars

from ktrdr.contracts.models import ModelArtifact
from ktrdr.contracts.training import Phase, TrainingRequest
from ktrdr.errors import TrainingCancelled
from ktrdr.execution.checkpoints import CheckpointFolder
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.data.importing import read_bars
from ktrdr.execution.executor import TrainingExecutor

ZIGZAG = {"source": "zigzag", "zigzag_threshold": 0.004}


@pytest.fixture(scope="module")
def eurusd() -> Bars:
    return read_bars(ROOT / "examples" / "data" / "EURUSD_1h.csv.gz")[0]


class Refusing:
    """A sink to which nothing may come."""

    def save(self, artifact: ModelArtifact) -> str:
        pytest.fail("a model was saved")


def null_request(walks: int, **training: Any) -> TrainingRequest:
    return request(null_test=walks, **training).model_copy(update={"type": "null_test"})


def test_a_training_with_a_null_test_is_the_same_training(eurusd: Bars) -> None:
    """The walks change neither its weights nor its other numbers, and stand beside them, in the stored model too."""
    plain, tested = Shelf(eurusd), Shelf(eurusd)
    without, result = run(plain, request(epochs=1)), run(tested, request(epochs=1, null_test=2))
    assert equal(weights(plain), weights(tested))
    null = result.test_metrics["null_test"]
    assert {**without.test_metrics, "null_test": null} == result.test_metrics
    assert null["scores"]["balanced_accuracy"]["value"] == without.test_metrics["balanced_accuracy"]
    assert (null["walks"], len(null["each"])) == (2, 2)
    assert tested.artifact is not None
    assert tested.artifact.documents["metrics"]["test_metrics"]["null_test"] == null


def test_a_null_test_keeps_no_model_and_can_be_repeated(eurusd: Bars) -> None:
    """Whatever torch's own generator does; the steps that are logged are those of one training."""
    results = []
    for _ in range(2):
        torch.manual_seed(len(results))
        with structlog.testing.capture_logs() as lines:
            results.append(
                TrainingExecutor(Shelf(eurusd), Refusing()).execute(
                    null_request(2, epochs=1), lambda *_, **__: None, lambda: False
                )
            )
    assert results[0].model_path is None
    assert results[0].test_metrics == results[1].test_metrics
    steps = [line["event"] for line in lines if line["log_level"] == "info" and line["event"].startswith("Step ")]
    assert len(steps) == len(Phase)
    assert sum(line["event"] == "walk done" for line in lines) == 2


def test_a_stopped_null_test_goes_on_with_the_next_walk(eurusd: Bars, tmp_path: Path) -> None:
    """Walks that were done are not done again, and what comes out is what would have come out."""
    folder = CheckpointFolder(tmp_path, every=0)
    wanted = null_request(2, epochs=1)
    seen: list[int] = []

    def stop_in_the_second(phase: Phase, message: str, **details: Any) -> None:
        seen.append(details.get("walk", 0))

    executor = TrainingExecutor(Shelf(eurusd), Refusing(), checkpoints=folder)
    with pytest.raises(TrainingCancelled):
        executor.execute(wanted, stop_in_the_second, lambda: 2 in seen)
    again: list[int] = []
    result = executor.execute(
        wanted, lambda phase, message, **details: again.append(details.get("walk", 0)), lambda: False
    )
    assert set(again) == {0, 2}
    whole = TrainingExecutor(Shelf(eurusd), Refusing()).execute(wanted, lambda *_, **__: None, lambda: False)
    assert result.test_metrics["null_test"] == whole.test_metrics["null_test"]
    assert list(tmp_path.iterdir()) == []


def test_zigzag_labels_look_good_on_a_random_walk() -> None:
    """An accuracy far above guessing on bars with nothing to find: the walks have it too, and the report says so."""
    bars = random_bars(5, 3_000, step=0.005, symbol="EURUSD")
    wanted = null_request(3, epochs=6, labels={**ZIGZAG, "zigzag_threshold": 0.03})
    result = TrainingExecutor(Shelf(bars), Refusing()).execute(wanted, lambda *_, **__: None, lambda: False)
    null = result.test_metrics["null_test"]
    accuracy = null["scores"]["accuracy"]
    assert accuracy["value"] > 0.6
    assert accuracy["null_mean"] > 0.6
    assert null["scores"]["balanced_accuracy"]["p"] > 0.2
    assert any("told right" in sentence for sentence in null["conclusions"])

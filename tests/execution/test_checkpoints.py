"""A training that was stopped and goes on ends with the very weights of one that was never stopped."""

import itertools
from pathlib import Path
from typing import Any

import pytest
from tests.execution.test_executor import Shelf, equal, request, weights
from tests.execution.test_model_trainer import TRAIN, VALIDATION, generator, new_model, same
from tests.support import ROOT, changed

from ktrdr.errors import DataChanged, InvalidName, StorageFailed, TrainingCancelled
from ktrdr.execution import checkpoints as module
from ktrdr.execution.checkpoints import CheckpointFolder, Checkpoints
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.data.importing import read_bars
from ktrdr.execution.executor import TrainingExecutor
from ktrdr.execution.model_trainer import ModelTrainer, TrainingHistory
from ktrdr.execution.models.predictor import Predictor
from ktrdr.execution.strategy.learning import Training

SCHEDULES: dict[str, Any] = {
    "none": None,
    "step": {"type": "step", "step_size": 2},
    "exponential": {"type": "exponential", "gamma": 0.8},
    "cosine": {"type": "cosine"},
    "plateau": {"type": "reduce_on_plateau", "patience": 0},
    "onecycle": {"type": "one_cycle"},
}
OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop")
BATCHES = 8
"""Of an epoch of 500 rows, 64 at a time."""


class Stop:
    """Cancels at the batch of that number."""

    def __init__(self, batch: float) -> None:
        self.left = batch

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def kept(folder: CheckpointFolder, **made_with: str) -> Checkpoints:
    return Checkpoints(folder, "op", {"data_digest": "d", "strategy_digest": "s", **made_with})


def train(
    checkpoints: Checkpoints | None, stop: float = float("inf"), **settings: Any
) -> tuple[Predictor, TrainingHistory | None]:
    model = new_model(dropout=0.3)
    given = {key: value for key, value in settings.items() if value is not None}
    trainer = ModelTrainer(Training(**{"epochs": 6, "batch_size": 64, "learning_rate": 0.01, **given}))
    try:
        history = trainer.train(
            model, TRAIN, VALIDATION, shuffle=generator(9), is_cancelled=Stop(stop), checkpoints=checkpoints
        )
    except TrainingCancelled:
        return model, None
    return model, history


@pytest.mark.parametrize(("optimizer", "schedule"), [*itertools.product(OPTIMIZERS, SCHEDULES)])
def test_stopped_and_resumed_is_never_stopped(tmp_path: Path, optimizer: str, schedule: str) -> None:
    """For every optimizer with every schedule, stopped twice: in the middle of an epoch, and at the start of one."""
    settings = {"optimizer": optimizer, "lr_scheduler": SCHEDULES[schedule]}
    whole, history = train(None, **settings)
    folder = CheckpointFolder(tmp_path)
    assert train(kept(folder), stop=2.5 * BATCHES, **settings)[1] is None
    assert train(kept(folder), stop=2 * BATCHES, **settings)[1] is None
    resumed, rest = train(kept(folder), **settings)
    assert history is not None
    assert rest is not None
    assert same(whole, resumed)
    assert (rest.epochs, rest.best_epoch) == (history.epochs, history.best_epoch)
    assert rest.resumed_after == 4


def test_stopped_in_the_first_epoch_begins_anew(tmp_path: Path) -> None:
    """Before the first epoch has ended there is nothing to keep."""
    assert train(kept(CheckpointFolder(tmp_path)), stop=3)[1] is None
    assert list(tmp_path.iterdir()) == []
    assert same(train(kept(CheckpointFolder(tmp_path)))[0], train(None)[0])


def test_patience_is_not_given_anew(tmp_path: Path) -> None:
    """Early stopping counts on from where it stood."""
    settings = {"epochs": 60, "learning_rate": 0.3, "early_stopping": {"patience": 4}}
    whole, history = train(None, **settings)
    assert history is not None
    assert history.stopped_early
    assert train(kept(CheckpointFolder(tmp_path)), stop=(len(history.epochs) - 1) * BATCHES, **settings)[1] is None
    resumed, rest = train(kept(CheckpointFolder(tmp_path)), **settings)
    assert rest is not None
    assert (rest.epochs, rest.best_epoch, rest.stopped_early) == (history.epochs, history.best_epoch, True)
    assert same(whole, resumed)


def test_it_is_written_when_it_is_time_and_when_the_training_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An epoch takes ten seconds here: every third of them is written, and at the end the newest."""
    written: list[int] = []
    save = CheckpointFolder.save

    def spy(self: CheckpointFolder, operation_id: str, checkpoint: module.Checkpoint) -> None:
        written.append(len(checkpoint.state.epochs))
        save(self, operation_id, checkpoint)

    monkeypatch.setattr(CheckpointFolder, "save", spy)
    seconds = itertools.count(0, 10)
    clocked = Checkpoints(CheckpointFolder(tmp_path), "op", {}, clock=lambda: float(next(seconds)))
    assert train(clocked, stop=5.5 * BATCHES, epochs=9)[1] is None
    assert written[0] == 3
    assert written[-1] == 5


@pytest.mark.parametrize("damage", ["cut", "changed", "foreign", "empty"])
def test_a_damaged_file_is_no_checkpoint(tmp_path: Path, damage: str) -> None:
    """The training begins anew and ends as it would have."""
    assert train(kept(CheckpointFolder(tmp_path)), stop=2.5 * BATCHES)[1] is None
    file = tmp_path / "op.pt"
    content = file.read_bytes()
    spoilt = {"cut": content[:-100], "changed": content[:500] + b"x" + content[501:], "empty": b""}
    file.write_bytes(spoilt.get(damage, b"\x80\x04cos\nsystem\n."))
    resumed, history = train(kept(CheckpointFolder(tmp_path)))
    assert history is not None
    assert history.resumed_after == 0
    assert same(resumed, train(None)[0])


@pytest.mark.parametrize("digest", ["data_digest", "strategy_digest"])
def test_other_bars_or_another_strategy_are_refused(tmp_path: Path, digest: str) -> None:
    """What came of both would be the model of neither."""
    folder = CheckpointFolder(tmp_path)
    assert train(kept(folder), stop=2.5 * BATCHES)[1] is None
    with pytest.raises(DataChanged, match="--from start"):
        train(kept(folder, **{digest: "other"}))


def test_another_device_or_version_begins_anew(tmp_path: Path) -> None:
    """Such a checkpoint is no mistake of the user's."""
    folder = CheckpointFolder(tmp_path)
    assert train(kept(folder, versions="1"), stop=2.5 * BATCHES)[1] is None
    _, history = train(kept(folder, versions="2"))
    assert history is not None
    assert history.resumed_after == 0


def test_a_disk_that_takes_nothing_costs_no_training(tmp_path: Path) -> None:
    """A file stands where the folder has to be."""
    (tmp_path / "file").write_text("in the way")
    checkpoints = Checkpoints(CheckpointFolder(tmp_path / "file" / "x", every=0.0), "op", {})
    assert same(train(checkpoints)[0], train(None)[0])
    checkpoints.discard()
    with pytest.raises(StorageFailed):
        CheckpointFolder(tmp_path / "file" / "x").discard("op")


@pytest.mark.parametrize("operation_id", ["../x", "a/b", "", ".hidden", "a..b", "x" * 101])
def test_an_id_that_would_leave_the_folder_is_refused(tmp_path: Path, operation_id: str) -> None:
    """Whoever asks."""
    with pytest.raises(InvalidName):
        CheckpointFolder(tmp_path).load(operation_id)


@pytest.fixture(scope="module")
def eurusd() -> Bars:
    return read_bars(ROOT / "examples" / "data" / "EURUSD_1h.csv.gz")[0]


def test_the_executor_goes_on_and_tidies_up(tmp_path: Path, eurusd: Bars) -> None:
    """Cancelled in its training and executed again: the same weights, and no checkpoint is left behind; with other
    bars it is refused."""
    folder, whole, resumed = CheckpointFolder(tmp_path), Shelf(eurusd), Shelf(eurusd)
    wanted, told = request("train-1", epochs=4), []

    def tell(*_: Any, **details: Any) -> None:
        told.append(details.get("epoch"))

    TrainingExecutor(whole, whole).execute(wanted, tell, lambda: False)
    told.clear()
    with pytest.raises(TrainingCancelled):
        TrainingExecutor(resumed, resumed, checkpoints=folder).execute(wanted, tell, lambda: 2 in told)
    assert [path.name for path in tmp_path.iterdir()] == ["train-1.pt"]
    other = Shelf(changed(eurusd, slice(3, 4), volume=7.0))
    with pytest.raises(DataChanged):
        TrainingExecutor(other, other, checkpoints=folder).execute(wanted, tell, lambda: False)
    told.clear()
    result = TrainingExecutor(resumed, resumed, checkpoints=folder).execute(wanted, tell, lambda: False)
    assert [epoch for epoch in told if epoch] == [3, 4]
    assert len(result.training_metrics["history"]) == 4
    assert equal(weights(whole), weights(resumed))
    assert list(tmp_path.iterdir()) == []

"""What training came to, epoch by epoch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to. `train_loss` is the mean over its batches, dropout on; `learning_rate` was used in it."""

    epoch: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    learning_rate: float


@dataclass(frozen=True, kw_only=True)
class TrainingHistory:
    """All epochs; the model holds the weights of `best_epoch`. An earlier attempt ran the first `resumed_after`."""

    epochs: list[Epoch]
    best_epoch: int
    stopped_early: bool
    resumed_after: int = 0

    @property
    def best(self) -> Epoch:
        return self.epochs[self.best_epoch - 1]

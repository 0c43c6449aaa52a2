"""What training came to, epoch by epoch."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to. `train_loss` is the mean over its batches, dropout on; `learning_rate` was used in it.

    `val_accuracy` is the share of validation rows answered right: their class, or the sign of their number. `details`
    are there when they were asked for: the norms of the gradients before clipping, and how each class did.
    """

    epoch: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    details: dict[str, float] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, float]:
        """Everything in one row."""
        return {name: value for name, value in vars(self).items() if name != "details"} | self.details


@dataclass(frozen=True, kw_only=True)
class TrainingHistory:
    """All epochs; the model holds the weights of `best_epoch`. An earlier attempt ran the first `resumed_after`.

    The last epoch had the `batch_size`, which was `first_batch_size` before memory ran out.
    """

    epochs: list[Epoch]
    best_epoch: int
    stopped_early: bool
    batch_size: int
    first_batch_size: int
    resumed_after: int = 0

    @property
    def best(self) -> Epoch:
        return self.epochs[self.best_epoch - 1]

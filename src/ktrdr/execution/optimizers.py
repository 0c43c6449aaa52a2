"""The optimizers and learning-rate schedules a strategy can name, as torch has them."""

from collections.abc import Callable

from torch import nn, optim
from torch.optim import lr_scheduler

from ktrdr.execution.strategy.learning import (
    Cosine,
    ExponentialDecay,
    OneCycle,
    ReduceOnPlateau,
    StepDecay,
    Training,
)


def build_optimizer(parameters: nn.Parameter, settings: Training) -> optim.Optimizer:
    """The optimizer named in the settings, on one vector of parameters."""
    rate, decay = settings.learning_rate, settings.weight_decay
    match settings.optimizer:
        case "adam":
            return optim.Adam([parameters], lr=rate, weight_decay=decay, fused=True)
        case "adamw":
            return optim.AdamW([parameters], lr=rate, weight_decay=decay, fused=True)
        case "sgd":
            return optim.SGD([parameters], lr=rate, weight_decay=decay, momentum=settings.momentum)
        case "rmsprop":
            return optim.RMSprop([parameters], lr=rate, weight_decay=decay, momentum=settings.momentum)


class Schedule:
    """A learning-rate schedule: told of every batch and of every epoch's validation loss, it steps when it is due."""

    def __init__(self, optimizer: optim.Optimizer, settings: Training, batches: int) -> None:
        self._optimizer = optimizer
        self.after_batch: Callable[[], None] | None = None
        self._after_epoch: Callable[[float], None] = lambda _: None
        match settings.lr_scheduler:
            case StepDecay(step_size=size, gamma=gamma):
                self._every_epoch(lr_scheduler.StepLR(optimizer, size, gamma))
            case ExponentialDecay(gamma=gamma):
                self._every_epoch(lr_scheduler.ExponentialLR(optimizer, gamma))
            case Cosine(t_max=length, min_lr=lowest):
                self._every_epoch(lr_scheduler.CosineAnnealingLR(optimizer, length or settings.epochs, lowest))
            case ReduceOnPlateau(factor=factor, patience=patience, min_lr=lowest):
                plateau = lr_scheduler.ReduceLROnPlateau(optimizer, "min", factor, patience, min_lr=lowest)
                self._after_epoch = plateau.step
            case OneCycle(max_lr=highest, pct_start=share):
                self.after_batch = lr_scheduler.OneCycleLR(
                    optimizer,
                    highest or 10 * settings.learning_rate,
                    epochs=settings.epochs,
                    steps_per_epoch=batches,
                    pct_start=share,
                ).step

    def _every_epoch(self, scheduler: lr_scheduler.LRScheduler) -> None:
        self._after_epoch = lambda _: scheduler.step()

    def after_epoch(self, validation_loss: float) -> None:
        self._after_epoch(validation_loss)

    @property
    def learning_rate(self) -> float:
        return float(self._optimizer.param_groups[0]["lr"])

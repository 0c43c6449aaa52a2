"""The optimizers and learning-rate schedules a strategy can name, as torch has them."""

from collections.abc import Callable
from typing import Any

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


def build_scheduler(optimizer: optim.Optimizer, settings: Training, batches: int) -> lr_scheduler.LRScheduler | None:
    """The scheduler named in the settings, None for a steady rate; `batches` is their number in an epoch."""
    match settings.lr_scheduler:
        case StepDecay(step_size=size, gamma=gamma):
            return lr_scheduler.StepLR(optimizer, size, gamma)
        case ExponentialDecay(gamma=gamma):
            return lr_scheduler.ExponentialLR(optimizer, gamma)
        case Cosine(t_max=length, min_lr=lowest):
            return lr_scheduler.CosineAnnealingLR(optimizer, length or settings.epochs, lowest)
        case ReduceOnPlateau(factor=factor, patience=patience, min_lr=lowest):
            return lr_scheduler.ReduceLROnPlateau(optimizer, "min", factor, patience, min_lr=lowest)
        case OneCycle(max_lr=highest, pct_start=share):
            return lr_scheduler.OneCycleLR(
                optimizer,
                highest or 10 * settings.learning_rate,
                epochs=settings.epochs,
                steps_per_epoch=batches,
                pct_start=share,
            )
        case None:
            return None


class Schedule:
    """A learning-rate schedule: told of every batch and of every epoch's validation loss, it steps when it is due."""

    def __init__(self, optimizer: optim.Optimizer, settings: Training, batches: int) -> None:
        self._optimizer = optimizer
        self._scheduler = build_scheduler(optimizer, settings, batches)
        self.after_batch: Callable[[], None] | None = None
        self.slow_down(1)

    def slow_down(self, batches: int) -> None:
        """From the next epoch on let a schedule that steps with every batch step with every so many."""
        if not isinstance(self._scheduler, lr_scheduler.OneCycleLR):
            return
        step, last = self._scheduler.step, self._scheduler.total_steps - 1
        seen = 0

        def after_batch() -> None:
            nonlocal seen
            seen += 1
            if seen % batches == 0 and self._scheduler is not None and self._scheduler.last_epoch < last:
                step()

        self.after_batch = step if batches == 1 else after_batch

    def after_epoch(self, validation_loss: float) -> None:
        match self._scheduler:
            case None | lr_scheduler.OneCycleLR():
                return
            case lr_scheduler.ReduceLROnPlateau() as plateau:
                plateau.step(validation_loss)
            case scheduler:
                scheduler.step()

    @property
    def learning_rate(self) -> float:
        return float(self._optimizer.param_groups[0]["lr"])

    def state_dict(self) -> dict[str, Any]:
        """How far the schedule has come, in plain values; the rate itself is part of the optimizer's state."""
        return {} if self._scheduler is None else self._scheduler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        if self._scheduler is not None:
            self._scheduler.load_state_dict(state)

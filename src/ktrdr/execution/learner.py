"""Learner: everything that changes while a model learns, which can be captured after an epoch and restored."""

import math
from dataclasses import replace
from typing import Any

import torch

from ktrdr.errors import TrainingFailed
from ktrdr.execution.checkpoints import TrainingState
from ktrdr.execution.early_stopping import BestEpoch
from ktrdr.execution.epochs import Epoch, TrainingHistory
from ktrdr.execution.flat_parameters import FlatParameters
from ktrdr.execution.models.predictor import Predictor
from ktrdr.execution.optimizers import Schedule, build_optimizer
from ktrdr.execution.strategy.learning import Training


class Learner:
    """The parameters of a model on its device, with all that steps them: optimizer, schedule and generators.

    `rows` is the number of training rows; `shuffle` is a CPU generator.
    """

    def __init__(self, model: Predictor, settings: Training, shuffle: torch.Generator, rows: int) -> None:
        self.batch_size = self._first_batch_size = batch_size_of(settings, rows)
        self.parameters = FlatParameters(model)
        self.optimizer = build_optimizer(self.parameters.vector, settings)
        self.schedule = Schedule(self.optimizer, settings, batches=math.ceil(rows / self.batch_size))
        self.epochs: list[Epoch] = []
        self._length = settings.epochs
        self._resumed_after = 0
        self._best = BestEpoch(settings.early_stopping)
        self._best_weights = self.parameters.copy()
        self._generators = {"shuffle": shuffle}
        if model.generator is not None:
            self._generators["dropout"] = model.generator

    @property
    def finished(self) -> bool:
        """Whether all epochs have been run or patience has run out."""
        return len(self.epochs) >= self._length or self._best.exhausted

    def end_epoch(self, epoch: Epoch) -> None:
        """Take in what an epoch came to; after that everything is ready for the next one."""
        self.epochs.append(epoch)
        if self._best.improves(epoch.epoch, epoch.val_loss, epoch.val_accuracy):
            self._best_weights = self.parameters.copy()
        self.schedule.after_epoch(epoch.val_loss)

    def halve_batches(self, state: TrainingState) -> None:
        """Go back to that state and on with batches of half the size: the device has no memory for larger ones.

        A schedule that steps with every batch steps with every second one from now on. Raises TrainingFailed when a
        batch is one row already.
        """
        if self.batch_size == 1:
            raise TrainingFailed("the device has no memory for a single row: choose a smaller model, or another device")
        self.restore(replace(state, batch_size=self.batch_size // 2))

    def finish(self) -> TrainingHistory:
        """Put the best weights into the model."""
        self.parameters.load(self._best_weights)
        return TrainingHistory(
            epochs=self.epochs,
            best_epoch=self._best.epoch,
            stopped_early=self._best.exhausted,
            batch_size=self.batch_size,
            first_batch_size=self._first_batch_size,
            resumed_after=self._resumed_after,
        )

    def state(self) -> TrainingState:
        """Everything as it is now, apart from what goes on changing; tensors stay on the device."""
        return TrainingState(
            epochs=tuple(self.epochs),
            batch_size=self.batch_size,
            weights=self.parameters.copy(),
            best_weights=self._best_weights,
            best=self._best.state_dict(),
            optimizer=_copied(self.optimizer.state_dict()),
            schedule=_copied(self.schedule.state_dict()),
            generators={use: generator.get_state() for use, generator in self._generators.items()},
        )

    def resume(self, state: TrainingState) -> None:
        """Go on where an earlier attempt stopped."""
        self._resumed_after = len(state.epochs)
        self.restore(state)

    def restore(self, state: TrainingState) -> None:
        """Go on from a state of the same training on the same kind of device; the state itself stays as it is."""
        self.epochs = list(state.epochs)
        self.batch_size = state.batch_size
        self.schedule.slow_down(self._first_batch_size // state.batch_size)
        self.parameters.load(state.weights)
        self._best_weights = state.best_weights.to(self.parameters.vector.device)
        self._best.load_state_dict(state.best)
        self.optimizer.load_state_dict(_copied(state.optimizer))
        self.schedule.load_state_dict(_copied(state.schedule))
        for use, generator in self._generators.items():
            generator.set_state(state.generators[use])


def batch_size_of(settings: Training, rows: int) -> int:
    """The batch size that was asked for; `auto`: the power of two that makes 100 batches an epoch, 32 to 1024."""
    if settings.batch_size != "auto":
        return settings.batch_size
    return min(1024, max(32, 1 << max(0, round(math.log2(max(rows, 1) / 100)))))


def _copied(value: Any) -> Any:
    """The same nested dicts, lists and tensors, none of them shared."""
    match value:
        case torch.Tensor():
            return value.clone()
        case dict():
            return {key: _copied(item) for key, item in value.items()}
        case list():
            return [_copied(item) for item in value]
    return value

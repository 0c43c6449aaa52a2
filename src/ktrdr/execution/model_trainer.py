"""ModelTrainer: the training loop, told straight down.

Tensors lie on the device for the whole run; a batch is a slice of the epoch's permutation; nothing leaves the device
within an epoch, and a batch asks one question of the outside: whether the training was cancelled.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import optim

from ktrdr.contracts.training import IsCancelled
from ktrdr.errors import TrainingCancelled, TrainingFailed
from ktrdr.execution.dataset import Examples
from ktrdr.execution.early_stopping import BestEpoch
from ktrdr.execution.flat_parameters import FlatParameters
from ktrdr.execution.losses import row_loss, weighted_mean
from ktrdr.execution.models.classifier import Classifier
from ktrdr.execution.optimizers import Schedule, build_optimizer
from ktrdr.execution.strategy.learning import Training

EVALUATION_BATCH = 65_536


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
    """All epochs; the model holds the weights of `best_epoch`."""

    epochs: list[Epoch]
    best_epoch: int
    stopped_early: bool

    @property
    def best(self) -> Epoch:
        return self.epochs[self.best_epoch - 1]


class ModelTrainer:
    """Trains a classifier on examples by the settings of a strategy, every one of them honoured."""

    def __init__(self, settings: Training) -> None:
        self.settings = settings
        self._loss = row_loss(settings.loss, settings.focal_gamma)

    def train(
        self,
        model: Classifier,
        train: Examples,
        validation: Examples,
        *,
        shuffle: torch.Generator,
        on_epoch: Callable[[Epoch], None] = lambda _: None,
        is_cancelled: IsCancelled = lambda: False,
    ) -> TrainingHistory:
        """Train in place, leave the best validation weights in the model, and return the history.

        All tensors and the model lie on one device; `shuffle` is a CPU generator. Raises TrainingCancelled at the
        first batch after the cancel, and TrainingFailed when the loss is not a number.
        """
        settings = self.settings
        parameters = FlatParameters(model)
        optimizer = build_optimizer(parameters.vector, settings)
        schedule = Schedule(optimizer, settings, batches=math.ceil(len(train.labels) / settings.batch_size))
        train, validation = _normalised(model, train), _normalised(model, validation)
        best, best_weights = BestEpoch(settings.early_stopping), parameters.copy()
        history: list[Epoch] = []
        for number in range(1, settings.epochs + 1):
            rate = schedule.learning_rate
            train_loss = self._epoch(model, parameters, optimizer, schedule, _shuffled(train, shuffle), is_cancelled)
            val_loss, val_accuracy = self._validate(model, validation)
            history.append(_finite(Epoch(number, train_loss, val_loss, val_accuracy, rate)))
            if best.improves(number, val_loss, val_accuracy):
                best_weights = parameters.copy()
            on_epoch(history[-1])
            if best.exhausted:
                break
            schedule.after_epoch(val_loss)
        parameters.load(best_weights)
        model.eval()
        return TrainingHistory(epochs=history, best_epoch=best.epoch, stopped_early=best.exhausted)

    def _epoch(
        self,
        model: Classifier,
        parameters: FlatParameters,
        optimizer: optim.Optimizer,
        schedule: Schedule,
        examples: Examples,
        is_cancelled: IsCancelled,
    ) -> float:
        """One pass over the examples in their order; the mean of the weighted row losses."""
        network, loss_of, clip = model.network.train(), self._loss, self.settings.gradient_clip
        total = torch.zeros((), device=examples.features.device)
        for features, labels, weights in examples.batches(self.settings.batch_size):
            if is_cancelled():
                raise TrainingCancelled("the training was cancelled")
            parameters.gradient.zero_()
            loss = torch.dot(loss_of(network(features), labels), weights) / len(labels)
            loss.backward()  # type: ignore[no-untyped-call]
            if clip is not None:
                parameters.clip(clip)
            optimizer.step()
            if schedule.after_batch is not None:
                schedule.after_batch()
            total += loss.detach() * len(labels)
        return total.item() / len(examples.labels)

    @torch.no_grad()
    def _validate(self, model: Classifier, examples: Examples) -> tuple[float, float]:
        """Weighted mean loss, by the training's own loss function, and accuracy; examples are normalised already."""
        network = model.network.eval()
        logits = torch.cat([network(part) for part in torch.split(examples.features, EVALUATION_BATCH)])
        loss = weighted_mean(self._loss(logits, examples.labels), examples.weights)
        accuracy = (logits.argmax(dim=1) == examples.labels).float().mean()
        return loss.item(), accuracy.item()

    @torch.no_grad()
    def loss(self, model: Classifier, examples: Examples) -> float:
        """The weighted mean loss of a trained model on examples as they come from the dataset."""
        return self._validate(model, _normalised(model, examples))[0]


def _normalised(model: Classifier, examples: Examples) -> Examples:
    """The same examples as the network itself sees them, once for all epochs."""
    return replace(examples, features=model.normalised(examples.features))


def _shuffled(examples: Examples, generator: torch.Generator) -> Examples:
    return examples.take(torch.randperm(len(examples.labels), generator=generator))


def _finite(epoch: Epoch) -> Epoch:
    if not (math.isfinite(epoch.train_loss) and math.isfinite(epoch.val_loss)):
        raise TrainingFailed(
            f"the loss of epoch {epoch.epoch} is not a number: lower learning_rate, or set gradient_clip"
        )
    return epoch

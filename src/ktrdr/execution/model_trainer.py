"""ModelTrainer: the training loop, told straight down.

Tensors lie on the device for the whole run; a batch is a slice of the epoch's permutation; nothing leaves the device
within an epoch, and a batch asks one question of the outside: whether the training was cancelled.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from ktrdr.contracts.training import IsCancelled
from ktrdr.errors import TrainingCancelled, TrainingFailed
from ktrdr.execution.checkpoints import Checkpoints
from ktrdr.execution.dataset import Examples
from ktrdr.execution.epochs import Epoch, TrainingHistory
from ktrdr.execution.learner import Learner
from ktrdr.execution.losses import row_loss, weighted_mean
from ktrdr.execution.models.classifier import Classifier
from ktrdr.execution.strategy.learning import Training

EVALUATION_BATCH = 65_536


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
        checkpoints: Checkpoints | None = None,
    ) -> TrainingHistory:
        """Train in place, leave the best validation weights in the model, and return the history.

        All tensors and the model lie on one device; `shuffle` is a CPU generator. With `checkpoints` it goes on from
        the state kept there, as if it had never stopped. Raises TrainingCancelled at the first batch after the cancel,
        TrainingFailed when the loss is not a number, and DataChanged for a checkpoint of other bars.
        """
        learner = Learner(model, self.settings, shuffle, rows=len(train.labels))
        train, validation = _normalised(model, train), _normalised(model, validation)
        with _kept(learner, checkpoints) as keep:
            while not learner.finished:
                number, rate = len(learner.epochs) + 1, learner.schedule.learning_rate
                train_loss = self._epoch(model, learner, _shuffled(train, shuffle), is_cancelled)
                val_loss, val_accuracy = self._validate(model, validation)
                learner.end_epoch(_finite(Epoch(number, train_loss, val_loss, val_accuracy, rate)))
                keep()
                on_epoch(learner.epochs[-1])
        model.eval()
        return learner.finish()

    def _epoch(self, model: Classifier, learner: Learner, examples: Examples, is_cancelled: IsCancelled) -> float:
        """One pass over the examples in their order; the mean of the weighted row losses."""
        network, loss_of, clip = model.network.train(), self._loss, self.settings.gradient_clip
        parameters, optimizer, after_batch = learner.parameters, learner.optimizer, learner.schedule.after_batch
        total = torch.zeros((), device=examples.features.device)
        for features, labels, weights in examples.batches(learner.batch_size):
            if is_cancelled():
                raise TrainingCancelled("the training was cancelled")
            parameters.gradient.zero_()
            loss = torch.dot(loss_of(network(features), labels), weights) / len(labels)
            loss.backward()  # type: ignore[no-untyped-call]
            if clip is not None:
                parameters.clip(clip)
            optimizer.step()
            if after_batch is not None:
                after_batch()
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


@contextmanager
def _kept(learner: Learner, checkpoints: Checkpoints | None) -> Iterator[Callable[[], None]]:
    """Resume from the checkpoint there is; each call keeps the state of now, whatever ends the training writes it."""
    if checkpoints is None:
        yield lambda: None
        return
    state = checkpoints.resume()
    if state is not None:
        learner.restore(state)
    try:
        yield lambda: checkpoints.offer(learner.state())
    except BaseException:
        checkpoints.flush()
        raise


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

"""ModelTrainer: the training loop, told straight down.

Tensors lie on the device for the whole run; a batch is a slice of the epoch's permutation; nothing leaves the device
within an epoch, and a batch asks one question of the outside: whether the training was cancelled.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from ktrdr.contracts.training import IsCancelled
from ktrdr.errors import TrainingCancelled, TrainingFailed
from ktrdr.execution.analytics import gradient_details, validation_details
from ktrdr.execution.checkpoints import Checkpoints
from ktrdr.execution.dataset import Examples
from ktrdr.execution.epochs import Epoch, TrainingHistory
from ktrdr.execution.learner import Learner
from ktrdr.execution.losses import RowLoss, hits, row_loss, weighted_mean
from ktrdr.execution.models.predictor import Predictor
from ktrdr.execution.strategy.learning import Training
from ktrdr.execution.windows import large_pieces
from ktrdr.logs import get_logger

_log = get_logger("trainer")


class ModelTrainer:
    """Trains a model on examples by the settings of a strategy, every one of them honoured.

    `detailed` epochs tell of gradients and classes too.
    """

    def __init__(self, settings: Training, *, detailed: bool = False) -> None:
        self.settings = settings
        self._detailed = detailed

    def train(
        self,
        model: Predictor,
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
        the state kept there, as if it had never stopped. An epoch for which the device lacks memory is run again with
        batches of half the size. Raises TrainingCancelled at the first batch after the cancel, TrainingFailed when the
        loss is not a number, and DataChanged for a checkpoint of other bars.
        """
        learner = Learner(model, self.settings, shuffle, rows=len(train.labels))
        train, validation = _normalised(model, train), _normalised(model, validation)
        with _kept(learner, checkpoints) as keep:
            while not learner.finished:
                number, rate, before = len(learner.epochs) + 1, learner.schedule.learning_rate, learner.state()
                try:
                    train_loss, details = self._epoch(model, learner, _shuffled(train, shuffle), is_cancelled)
                except torch.OutOfMemoryError:
                    learner.halve_batches(before)
                    _log.warning("the device ran out of memory: smaller batches", batch_size=learner.batch_size)
                    continue
                val_loss, val_accuracy, more = self._validate(model, validation)
                learner.end_epoch(_finite(Epoch(number, train_loss, val_loss, val_accuracy, rate, details | more)))
                keep()
                on_epoch(learner.epochs[-1])
        model.eval()
        return learner.finish()

    def _epoch(
        self, model: Predictor, learner: Learner, examples: Examples, is_cancelled: IsCancelled
    ) -> tuple[float, dict[str, float]]:
        """One pass over the examples in their order; the mean of the weighted row losses, and details."""
        network, loss_of, clip = model.network.train(), self._loss_of(model), self.settings.gradient_clip
        parameters, optimizer, after_batch = learner.parameters, learner.optimizer, learner.schedule.after_batch
        total = torch.zeros((), device=examples.features.device)
        norms: list[Tensor] = []
        for features, labels, weights in examples.batches(learner.batch_size):
            if is_cancelled():
                raise TrainingCancelled("the training was cancelled")
            parameters.gradient.zero_()
            loss = torch.dot(loss_of(network(features), labels), weights) / len(labels)
            loss.backward()  # type: ignore[no-untyped-call]
            if self._detailed:
                norms.append(parameters.norm())
            if clip is not None:
                parameters.clip(clip)
            optimizer.step()
            if after_batch is not None:
                after_batch()
            total += loss.detach() * len(labels)
        return total.item() / len(examples.labels), gradient_details(norms)

    @torch.no_grad()
    def _validate(self, model: Predictor, examples: Examples) -> tuple[float, float, dict[str, float]]:
        """Weighted mean loss, by the training's own loss function, accuracy and details; examples are normalised."""
        network = model.network.eval()
        answers = torch.cat([network(part) for part in large_pieces(examples.features)])
        loss = weighted_mean(self._loss_of(model)(answers, examples.labels), examples.weights)
        said, classes = model.rescaler(answers), self.settings.labels.classes
        accuracy = hits(said, examples.labels).float().mean()
        details = validation_details(said, examples.labels, classes) if self._detailed else {}
        return loss.item(), accuracy.item(), details

    def _loss_of(self, model: Predictor) -> RowLoss:
        return row_loss(self.settings, model.rescaler)

    @torch.no_grad()
    def loss(self, model: Predictor, examples: Examples) -> float:
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
        learner.resume(state)
    try:
        yield lambda: checkpoints.offer(learner.state())
    except BaseException:
        checkpoints.flush()
        raise


def _normalised(model: Predictor, examples: Examples) -> Examples:
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

"""The losses a strategy can name, each one number a row before weights, and what counts as a hit."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from ktrdr.execution.models.predictor import Rescaler
from ktrdr.execution.strategy.learning import Training

RowLoss = Callable[[Tensor, Tensor], Tensor]
"""(network's answers (rows, classes or 1), labels (rows,)) -> loss (rows,)."""


def row_loss(settings: Training, rescaler: nn.Module) -> RowLoss:
    """The loss that the settings name, with its parameters, of what a network gives before it is rescaled.

    A regression's is that of standardised numbers, in units of the labels' variance; `huber_delta` is in the unit of
    the labels themselves.
    """
    if isinstance(rescaler, Rescaler):
        return _number_loss(settings, float(rescaler.mean), float(rescaler.spread))
    gamma = settings.focal_gamma
    if settings.loss == "focal" and gamma > 0.0:
        return lambda logits, labels: focal_loss(logits, labels, gamma)
    return lambda logits, labels: functional.cross_entropy(logits, labels, reduction="none")


def _number_loss(settings: Training, mean: float, spread: float) -> RowLoss:
    delta = settings.huber_delta / spread
    if settings.loss == "huber":
        return lambda answers, labels: functional.huber_loss(
            answers[:, 0], (labels - mean) / spread, reduction="none", delta=delta
        )
    return lambda answers, labels: functional.mse_loss(answers[:, 0], (labels - mean) / spread, reduction="none")


def focal_loss(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    """-(1 - p)^gamma · ln p of the true class (Lin et al. 2017), one a row."""
    log_p = -functional.cross_entropy(logits, labels, reduction="none")
    missing = 1.0 - log_p.exp()
    factor = missing.square() if gamma == 2.0 else missing.clamp_min(1e-12).pow(gamma)
    return -factor * log_p


def hits(answers: Tensor, labels: Tensor) -> Tensor:
    """Which rows are answered right: the most probable class, or the sign of the (rescaled) number."""
    if labels.is_floating_point():
        return answers[:, 0].sign() == labels.sign()
    return answers.argmax(dim=1) == labels


def weighted_mean(losses: Tensor, weights: Tensor) -> Tensor:
    """Σ w·l / Σ w, a scalar."""
    return torch.dot(losses, weights) / weights.sum()

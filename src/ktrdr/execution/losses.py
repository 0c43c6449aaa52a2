"""The losses a strategy can name, each one number a row before weights: cross entropy and focal loss."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

RowLoss = Callable[[Tensor, Tensor], Tensor]
"""(logits (rows, classes), labels (rows,)) -> loss (rows,)."""


def row_loss(name: str, focal_gamma: float) -> RowLoss:
    """The loss of that name; `focal_gamma` is read by the focal loss alone."""
    if name == "cross_entropy" or focal_gamma == 0.0:
        return lambda logits, labels: functional.cross_entropy(logits, labels, reduction="none")
    return lambda logits, labels: focal_loss(logits, labels, focal_gamma)


def focal_loss(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    """-(1 - p)^gamma · ln p of the true class (Lin et al. 2017), one a row."""
    log_p = -functional.cross_entropy(logits, labels, reduction="none")
    missing = 1.0 - log_p.exp()
    factor = missing.square() if gamma == 2.0 else missing.clamp_min(1e-12).pow(gamma)
    return -factor * log_p


def weighted_mean(losses: Tensor, weights: Tensor) -> Tensor:
    """Σ w·l / Σ w, a scalar."""
    return torch.dot(losses, weights) / weights.sum()

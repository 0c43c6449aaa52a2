"""The dataset: the three parts as tensors, with everything that was fitted on the training rows alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ktrdr.execution.features.columns import FeatureColumn
from ktrdr.execution.models.predictor import Normaliser, Rescaler
from ktrdr.execution.rows import Rows
from ktrdr.execution.splits import Split
from ktrdr.execution.strategy.learning import Training
from ktrdr.execution.windows import Features, pieces

HEAVIEST_CLASS = 10.0
"""A class may weigh this many times the lightest; rarer ones would drive weights into denormal numbers."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Examples:
    """Features (rows, features) float32 or windows of them; labels (rows,), int64 classes or float32 numbers; weights
    (rows,) float32."""

    features: Features
    labels: Tensor
    weights: Tensor

    def take(self, which: Tensor) -> "Examples":
        """The examples at these indices, in their order."""
        which = which.to(self.labels.device)
        return Examples(features=self.features[which], labels=self.labels[which], weights=self.weights[which])

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Features, labels and weights of `size` examples after the other, as views."""
        columns = pieces(self.features, size), torch.split(self.labels, size), torch.split(self.weights, size)
        return zip(*columns, strict=True)

    def to(self, device: torch.device) -> "Examples":
        return Examples(
            features=self.features.to(device), labels=self.labels.to(device), weights=self.weights.to(device)
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """What the trainer and the judges see. `class_weights` and `prior` have one entry a class, none in a regression."""

    split: Split
    train: Examples
    validation: Examples
    test: Examples
    normaliser: Normaliser
    rescaler: nn.Module
    class_weights: NDArray[np.float64]
    prior: NDArray[np.float64]

    @property
    def parts(self) -> tuple[Examples, Examples, Examples]:
        """Training, validation and test."""
        return self.train, self.validation, self.test


def build_dataset(split: Split, columns: Sequence[FeatureColumn], training: Training, window: int = 1) -> Dataset:
    """Fits the normaliser and the weights on the training rows, and turns the parts into tensors; the network reads
    `window` bars of each row."""
    classes = len(training.labels.classes)
    counts = np.bincount(split.train.label, minlength=classes) if classes else np.empty(0, dtype=np.int64)
    class_weights = balanced_weights(counts) if training.class_weights == "balanced" else np.ones(classes)

    def weights(rows: Rows) -> NDArray[np.float64]:
        return class_weights[rows.label] if classes else np.ones(len(rows))

    uniqueness = split.train.uniqueness() if training.labels.weighs_uniqueness else np.ones(len(split.train))
    weighed = uniqueness * weights(split.train)
    return Dataset(
        split=split,
        train=_examples(split.train, weighed / weighed.mean(), window),
        validation=_examples(split.validation, weights(split.validation), window),
        test=_examples(split.test, weights(split.test), window),
        normaliser=fit_normaliser(split.train.features, columns),
        rescaler=nn.Identity() if classes else fit_rescaler(split.train.label),
        class_weights=class_weights,
        prior=counts / max(1, counts.sum()),
    )


def balanced_weights(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """n / (classes present · n_k) for each class, at most ten times the lightest; an absent class weighs 1."""
    present = counts > 0
    weights = np.ones(len(counts))
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return np.asarray(np.minimum(weights, HEAVIEST_CLASS * weights[present].min(initial=np.inf)))


def fit_normaliser(features: NDArray[np.float32], columns: Sequence[FeatureColumn]) -> Normaliser:
    """Shift and scale of each raw column, from these rows; memberships stay as they are."""
    normaliser = Normaliser(len(columns))
    for index, column in enumerate(columns):
        if column.normalization == "none":
            continue
        values = features[:, index].astype(np.float64)
        low, spread = (
            (values.min(), np.ptp(values)) if column.normalization == "minmax" else (values.mean(), values.std())
        )
        normaliser.shift[index] = float(low)
        normaliser.scale[index] = float(1.0 / spread) if spread > 0 else 1.0
    return normaliser


def fit_rescaler(labels: NDArray[np.float64]) -> Rescaler:
    """Mean and standard deviation of these numbers."""
    rescaler = Rescaler()
    rescaler.mean.fill_(float(labels.mean()))
    rescaler.spread.fill_(float(labels.std()) or 1.0)
    return rescaler


def _examples(rows: Rows, weights: NDArray[np.float64], window: int) -> Examples:
    labels = rows.label if rows.label.dtype == np.int64 else rows.label.astype(np.float32)
    return Examples(
        features=rows.inputs(window),
        labels=torch.from_numpy(labels),
        weights=torch.from_numpy(weights.astype(np.float32)),
    )

"""Which judge a strategy's models have: one of classes, or one of numbers."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from ktrdr.execution.classification import ClassificationJudge
from ktrdr.execution.dataset import Dataset
from ktrdr.execution.judge import Judge
from ktrdr.execution.labels.base import Labels
from ktrdr.execution.regression import RegressionJudge
from ktrdr.execution.strategy.learning import Training


def fit_judge(dataset: Dataset, labels: Sequence[Labels], training: Training) -> Judge:
    """A judge with its baselines fitted on the training rows."""
    if training.labels.regression():
        return RegressionJudge.fit(dataset, labels, training.seed)
    return ClassificationJudge.fit(dataset, labels, training.labels.classes, training.seed)


def restore_judge(state: Mapping[str, Tensor], training: Training) -> Judge:
    """The judge whose `state` was stored."""
    if training.labels.regression():
        return RegressionJudge.restore(state, training.seed)
    return ClassificationJudge.restore(state, training.labels.classes, training.seed)

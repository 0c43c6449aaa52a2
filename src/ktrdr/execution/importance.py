"""Permutation importance: what a model loses when a feature, or all features of an indicator, tell it nothing
(Breiman 2001, on validation rows as López de Prado 2018, 8.3.2 advises)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ktrdr.contracts.training import IsCancelled
from ktrdr.errors import TrainingCancelled
from ktrdr.execution.dataset import Examples
from ktrdr.execution.features.columns import FeatureColumn
from ktrdr.execution.judge import Judge
from ktrdr.execution.models.predictor import Predictor
from ktrdr.execution.seeds import torch_generator
from ktrdr.execution.windows import Features, large_pieces

REPEATS = 5
LARGEST_SAMPLE = 50_000
"""Rows; more make the ranking slower and no clearer."""


def permutation_importance(
    model: Predictor,
    validation: Examples,
    columns: Sequence[FeatureColumn],
    judge: Judge,
    seed: int,
    is_cancelled: IsCancelled = lambda: False,
) -> dict[str, Any]:
    """For each feature and each indicator: how much the judge's loss rises and its skill falls, mean over the repeats,
    when its columns are shuffled together among the validation rows; of a window the columns of all its bars."""
    generator = torch_generator(seed, "importance")
    sample = _sample(validation, generator)
    score = _scorer(model, sample, judge)
    base = score(large_pieces(sample.features))
    groups = {("features", column.name): [index] for index, column in enumerate(columns)}
    for name, indices in _by_indicator(columns).items():
        groups["indicators", name] = indices
    result: dict[str, Any] = {"features": {}, "indicators": {}, "rows": len(sample.labels), "repeats": REPEATS}
    for (kind, name), indices in groups.items():
        losses = []
        for _ in range(REPEATS):
            if is_cancelled():
                raise TrainingCancelled("the training was cancelled")
            losses.append(score(_shuffled(sample.features, indices, generator)))
        worse = np.mean(losses, axis=0) - base
        result[kind][name] = {
            score_name: float(sign * change)
            for (score_name, sign), change in zip(judge.scores.items(), worse, strict=True)
        }
    return result


def _scorer(model: Predictor, sample: Examples, judge: Judge) -> Callable[[Iterator[Tensor]], Any]:
    labels = sample.labels.cpu().numpy()

    def score(batches: Iterator[Tensor]) -> Any:
        outputs = model.outputs_of(batches).cpu().numpy().astype(np.float64)
        scores = judge.score(outputs, labels)
        return np.array([scores[name] for name in judge.scores])

    return score


def _sample(examples: Examples, generator: torch.Generator) -> Examples:
    count = len(examples.labels)
    if count <= LARGEST_SAMPLE:
        return examples
    return examples.take(torch.randperm(count, generator=generator)[:LARGEST_SAMPLE])


def _shuffled(features: Features, indices: Sequence[int], generator: torch.Generator) -> Iterator[Tensor]:
    """The features in batches, some columns of each row taken from another row."""
    order = torch.randperm(len(features), generator=generator).to(features.device)
    for own, other in zip(large_pieces(features), large_pieces(features[order]), strict=True):
        mixed = own.clone()
        mixed[..., indices] = other[..., indices]
        yield mixed


def _by_indicator(columns: Sequence[FeatureColumn]) -> Mapping[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for index, column in enumerate(columns):
        groups.setdefault(column.indicator, []).append(index)
    return groups

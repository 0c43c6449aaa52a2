"""Cross-validation: the strategy learns and is judged anew on every fold, each with scales and baselines of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from numbers import Real
from typing import Any

import numpy as np
import torch

from ktrdr.contracts.training import IsCancelled, Phase
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.dataset import build_dataset
from ktrdr.execution.epochs import TrainingHistory
from ktrdr.execution.evaluation import fit_judge
from ktrdr.execution.features.builder import FeatureMatrix
from ktrdr.execution.folds import Fold
from ktrdr.execution.judge import Evaluation
from ktrdr.execution.labels.base import Labels
from ktrdr.execution.model_trainer import ModelTrainer
from ktrdr.execution.models.creation import create_model
from ktrdr.execution.models.predictor import Predictor
from ktrdr.execution.seeds import torch_generator
from ktrdr.execution.steps import Steps
from ktrdr.execution.strategy.grammar import Strategy
from ktrdr.execution.strategy.validation import Combinatorial, WalkForward
from ktrdr.execution.trades.of_model import decided_from, with_trades


def with_folds(
    evaluation: Evaluation,
    folds: Sequence[Fold],
    strategy: Strategy,
    bases: Sequence[Bars],
    matrices: Sequence[FeatureMatrix],
    labels: Sequence[Labels],
    device: torch.device,
    step: Steps,
) -> Evaluation:
    """The evaluation with `cross_validation` among its metrics, where there are folds: the strategy trained and judged
    on each as it is on its one split. Plain values: the settings, the figures of each fold, and the spread of each
    figure over the folds. The models are not kept."""
    validation, found = strategy.training.validation, []
    if validation is None:
        return evaluation
    for number, fold in enumerate(folds, 1):
        step.tell(Phase.EVALUATION, f"Cross-validation, {fold.name}", fold=number, folds=len(folds))
        history, model, judged = _learn(fold, strategy, labels, device, step.is_cancelled)
        if isinstance(validation, WalkForward):  # other tests are no stretch of time that could have been lived through
            tested = decided_from(bases, *fold.test_ranges[0])
            judged = with_trades(judged, model, strategy, bases, matrices, tested)
        found.append(_figures(fold, history, judged))
    paths = {"paths": validation.paths} if isinstance(validation, Combinatorial) else {}
    summary = _summary([one["metrics"] for one in found])
    crossed = {**validation.model_dump(mode="json"), **paths, "folds": found, "summary": summary}
    return replace(evaluation, metrics={**evaluation.metrics, "cross_validation": crossed})


def _learn(
    fold: Fold, strategy: Strategy, labels: Sequence[Labels], device: torch.device, is_cancelled: IsCancelled
) -> tuple[TrainingHistory, Predictor, Evaluation]:
    training = strategy.training
    dataset = build_dataset(fold.split, tuple(strategy.columns()), training, strategy.model.window)
    model = create_model(strategy, dataset, device)
    train, validation, _ = (part.to(device) for part in dataset.parts)
    shuffle = torch_generator(training.seed, "shuffle")
    history = ModelTrainer(training).train(model, train, validation, shuffle=shuffle, is_cancelled=is_cancelled)
    return history, model, fit_judge(dataset, labels, training).evaluate(model, fold.split.test, labels)


def _figures(fold: Fold, history: TrainingHistory, evaluation: Evaluation) -> dict[str, Any]:
    split, metrics = fold.split, evaluation.metrics
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    trades = metrics.get("trades") or {}
    return {
        "name": fold.name,
        "test_ranges": [[_iso(start), _iso(end)] for start, end in fold.test_ranges],
        "rows": {name: len(rows) for name, rows in parts.items()},
        "purged": dict(split.purged),
        "epochs_run": len(history.epochs),
        "best_epoch": history.best_epoch,
        "metrics": _numbers(metrics) | {f"trades_{name}": value for name, value in _numbers(trades).items()},
        "baselines": {name: _numbers(judged) for name, judged in metrics.get("baselines", {}).items()},
    }


def _numbers(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if isinstance(value, Real) and not isinstance(value, bool)}


def _summary(metrics: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    names = dict.fromkeys(name for one in metrics for name in one)
    values = {name: np.array([one[name] for one in metrics if name in one], dtype=np.float64) for name in names}
    return {name: _spread(found[np.isfinite(found)]) for name, found in values.items() if np.isfinite(found).any()}


def _spread(values: Any) -> dict[str, float]:
    deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return {
        "mean": float(values.mean()),
        "sd": deviation,
        "lowest": float(values.min()),
        "highest": float(values.max()),
        "folds": len(values),
    }


def _iso(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat()

"""Baselines look at nothing that was not known; intervals cover; importance finds what matters."""

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.inspection import permutation_importance as sklearn_importance
from sklearn.linear_model import LogisticRegression
from tests.support import random_bars

from ktrdr.errors import TrainingCancelled
from ktrdr.execution import importance
from ktrdr.execution.baselines import Baselines, latest_known, logistic_coefficients
from ktrdr.execution.classification import ClassificationJudge
from ktrdr.execution.dataset import Examples
from ktrdr.execution.features.columns import FeatureColumn
from ktrdr.execution.importance import permutation_importance
from ktrdr.execution.intervals import accuracy_intervals, block_length
from ktrdr.execution.labels.base import NULL
from ktrdr.execution.labels.triple_barrier import TripleBarrier
from ktrdr.execution.labels.zigzag import Zigzag
from ktrdr.execution.model_trainer import ModelTrainer
from ktrdr.execution.models.mlp import Mlp, MlpArchitecture
from ktrdr.execution.models.predictor import Predictor
from ktrdr.execution.rows import Rows
from ktrdr.execution.strategy.learning import Training


@pytest.mark.parametrize("labeler", [Zigzag(zigzag_threshold=0.01), TripleBarrier(vol_span=10, max_holding_period=9)])
def test_the_latest_known_label_is_searched_bar_by_bar(labeler: Zigzag | TripleBarrier) -> None:
    labels = labeler.label(random_bars(5, 300))
    latest = latest_known(labels)
    for bar in range(300):
        known = [s for s in range(300) if labels.known_at[s] != NULL and labels.known_at[s] <= bar]
        assert latest[bar] == (labels.label[max(known)] if known else NULL)


def test_the_logistic_regression_is_scikit_learns() -> None:
    generator = np.random.default_rng(1)
    features = generator.normal(size=(400, 3))
    labels = (features @ [1.0, -1.0, 0.5] + generator.normal(size=400) > 0).astype(int) + (features[:, 2] > 1)
    weights = generator.uniform(0.2, 2.0, 400)
    ours = logistic_coefficients(torch.from_numpy(features), torch.from_numpy(labels), torch.from_numpy(weights), 3)
    theirs = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(features, labels, sample_weight=weights)
    logits = features @ ours[:-1] + ours[-1]
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(p / p.sum(axis=1, keepdims=True), theirs.predict_proba(features), atol=1e-4)


def rows(count: int, duration: int, seed: int = 1) -> Rows:
    generator = np.random.default_rng(seed)
    bar = np.arange(count)
    return Rows(
        symbols=("A",),
        table=np.zeros((count, 1), dtype=np.float32),
        place=bar,
        label=generator.integers(0, 3, count),
        symbol=np.zeros(count, dtype=np.int64),
        bar=bar,
        known_at=bar + duration,
        time=bar,
        decision=bar + 1,
    )


def test_intervals_hold_the_truth_and_widen_with_overlap() -> None:
    def interval(block: int) -> list[float]:
        judged = rows(3000, block)
        right = np.repeat(np.random.default_rng(2).random(3000 // 10) < 0.6, 10)  # hits come in runs of ten
        predicted = np.where(right, judged.label, (judged.label + 1) % 3)
        return accuracy_intervals(judged, predicted, 3, np.random.default_rng(3))["accuracy"]

    narrow, wide = interval(1), interval(40)
    assert narrow[0] < 0.6 < narrow[1]
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])


def test_a_block_is_as_long_as_the_longest_labels() -> None:
    assert block_length(rows(500, 24)) == 24


def test_intervals_of_few_rows_are_still_intervals() -> None:
    few = rows(5, 50)
    low, high = accuracy_intervals(few, few.label, 3, np.random.default_rng(1))["accuracy"]
    assert low == high == 1.0


def judge_of_three() -> ClassificationJudge:
    baselines = Baselines(prior=np.ones(3), frequencies=np.ones((4, 3)), coefficients=np.zeros((4, 3)))
    return ClassificationJudge(seed=3, classes=("a", "b", "c"), class_weights=np.ones(3), baselines=baselines)


def test_importance_finds_the_feature_that_matters_and_the_indicator_it_belongs_to() -> None:
    features = torch.rand(3000, 3, generator=torch.Generator().manual_seed(1))
    labels = (features[:, 1] * 3).long().clamp(max=2)
    data = Examples(features=features, labels=labels, weights=torch.ones(3000))
    model = Mlp(architecture=MlpArchitecture(hidden_layers=(16,), dropout=0.0)).build(
        3, 3, torch.Generator().manual_seed(1)
    )
    ModelTrainer(Training(epochs=15, learning_rate=0.02)).train(
        model, data, data, shuffle=torch.Generator().manual_seed(2)
    )
    columns = [FeatureColumn(name, "1h", ref, None, "none") for name, ref in (("a", "x"), ("b", "x.two"), ("c", "y"))]
    judge = judge_of_three()
    ranked = permutation_importance(model, data, columns, judge, 3)
    assert ranked["features"]["b"]["log_loss"] > 0.5
    assert ranked["features"]["b"]["balanced_accuracy"] > 0.3
    assert abs(ranked["features"]["a"]["log_loss"]) < 0.05
    assert ranked["indicators"]["x"]["log_loss"] == pytest.approx(ranked["features"]["b"]["log_loss"], rel=0.1)
    assert set(ranked["indicators"]) == {"x", "y"}
    with pytest.raises(TrainingCancelled):
        permutation_importance(model, data, columns, judge, 3, lambda: True)


class Estimator(BaseEstimator, ClassifierMixin):
    """A model as scikit-learn takes one."""

    def __init__(self, model: Predictor) -> None:
        self.model = model
        self.classes_ = np.arange(3)

    def fit(self, *_: object) -> "Estimator":
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        return self.model.outputs(torch.from_numpy(features)).argmax(dim=1).numpy()


def test_the_importance_is_scikit_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean over many shuffles of what the balanced accuracy loses, feature by feature."""
    monkeypatch.setattr(importance, "REPEATS", 40)
    features = torch.rand(600, 3, generator=torch.Generator().manual_seed(4))
    labels = (features[:, 0] + 0.5 * features[:, 1] + 0.2 * features[:, 2]).mul(2).long().clamp(max=2)
    data = Examples(features=features, labels=labels, weights=torch.ones(600))
    model = Mlp(architecture=MlpArchitecture(hidden_layers=(16,), dropout=0.0)).build(
        3, 3, torch.Generator().manual_seed(1)
    )
    ModelTrainer(Training(epochs=20, learning_rate=0.02)).train(
        model, data, data, shuffle=torch.Generator().manual_seed(2)
    )
    columns = [FeatureColumn(name, "1h", name, None, "none") for name in "abc"]
    ours = permutation_importance(model, data, columns, judge_of_three(), 3)["features"]
    theirs = sklearn_importance(
        Estimator(model), features.numpy(), labels.numpy(), scoring="balanced_accuracy", n_repeats=40, random_state=1
    )
    losses = [ours[name]["balanced_accuracy"] for name in "abc"]
    np.testing.assert_allclose(losses, theirs.importances_mean, atol=0.012)
    assert losses == sorted(losses, reverse=True)

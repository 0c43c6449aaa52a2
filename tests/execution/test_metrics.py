"""Metrics agree with scikit-learn, also when classes are absent, and the prior correction undoes class weights."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from ktrdr.execution.metrics import classification_metrics, log_loss, prior_corrected

CLASSES = ("BUY", "HOLD", "SELL")


def random_case(seed: int, rows: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(3), size=rows)
    return probabilities, generator.integers(0, classes, rows)


@pytest.mark.filterwarnings("ignore:A single label was found")
@settings(max_examples=50)
@given(st.integers(0, 10_000), st.integers(2, 60), st.integers(1, 3))
def test_metrics_agree_with_scikit_learn(seed: int, rows: int, classes: int) -> None:
    probabilities, label = random_case(seed, rows, classes)
    predicted = probabilities.argmax(axis=1)
    ours = classification_metrics(probabilities, label, CLASSES)
    recalls = oracle.recall_score(label, predicted, labels=np.unique(label), average=None, zero_division=0.0)
    assert ours["accuracy"] == pytest.approx(oracle.accuracy_score(label, predicted))
    assert ours["balanced_accuracy"] == pytest.approx(recalls.mean())
    assert ours["macro_f1"] == pytest.approx(oracle.f1_score(label, predicted, average="macro", zero_division=0.0))
    assert ours["mcc"] == pytest.approx(oracle.matthews_corrcoef(label, predicted), abs=1e-12)
    assert ours["log_loss"] == pytest.approx(oracle.log_loss(label, probabilities, labels=[0, 1, 2]))
    assert ours["confusion_matrix"] == oracle.confusion_matrix(label, predicted, labels=[0, 1, 2]).tolist()
    assert ours["per_class"]["HOLD"]["support"] == int((label == 1).sum())


def test_a_certain_mistake_costs_much_but_not_everything() -> None:
    assert np.isfinite(log_loss(np.array([[1.0, 0.0]]), np.array([1])))


def test_the_prior_correction_gives_back_what_class_weights_took() -> None:
    """Bayes: a model trained with weights w sees p_k · w_k; dividing by w_k returns p."""
    true = np.random.default_rng(1).dirichlet(np.ones(3), size=100)
    weights = np.array([1.0, 8.0, 0.5])
    seen = true * weights / (true * weights).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(prior_corrected(seen, weights), true, rtol=1e-12)


def test_given_predictions_are_judged_instead_of_the_most_probable_class() -> None:
    probabilities = np.array([[0.9, 0.1, 0.0], [0.9, 0.1, 0.0]])
    result = classification_metrics(probabilities, np.array([1, 1]), CLASSES, predicted=np.array([1, 0]))
    assert result["accuracy"] == 0.5


def test_no_rows_give_no_numbers_and_no_error() -> None:
    result = classification_metrics(np.empty((0, 3)), np.empty(0, dtype=np.int64), CLASSES)
    assert np.isnan(result["accuracy"])
    assert result["rows"] == 0

"""The judge of regressions: its numbers are other libraries', and its baselines know the past alone."""

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from ktrdr.execution.labels.base import Labels
from ktrdr.execution.models.mlp import Mlp
from ktrdr.execution.regression import RegressionJudge, ridge
from ktrdr.execution.regression_metrics import regression_intervals, regression_metrics
from ktrdr.execution.rows import Rows


@given(seed=st.integers(0, 1000), rows=st.integers(3, 80), ties=st.booleans())
def test_the_metrics_are_scikit_learns_and_scipys(seed: int, rows: int, ties: bool) -> None:
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=rows)
    predicted = 0.3 * truth + generator.normal(size=rows)
    if ties:
        predicted = np.round(predicted)
    ours = regression_metrics(predicted, truth)
    assert ours["mae"] == pytest.approx(sklearn.metrics.mean_absolute_error(truth, predicted))
    assert ours["rmse"] == pytest.approx(sklearn.metrics.root_mean_squared_error(truth, predicted))
    assert ours["r2"] == pytest.approx(sklearn.metrics.r2_score(truth, predicted))
    if np.ptp(predicted):
        assert ours["information_coefficient"] == pytest.approx(scipy.stats.spearmanr(predicted, truth).statistic)
    assert ours["directional_accuracy"] == pytest.approx(np.mean(np.sign(predicted) == np.sign(truth)))


def test_what_has_no_value_is_none() -> None:
    constant = regression_metrics(np.zeros(5), np.arange(5.0))
    assert np.isnan(constant["information_coefficient"])
    assert constant["directional_accuracy"] == 0.2
    assert np.isnan(regression_metrics(np.arange(5.0), np.ones(5))["r2"])
    assert np.isnan(regression_metrics(np.empty(0), np.empty(0))["mae"])


def test_ridge_is_scikit_learns() -> None:
    generator = np.random.default_rng(1)
    inputs, weights = generator.normal(size=(300, 4)), generator.uniform(0.2, 2, 300)
    truth = inputs @ [1.0, -0.5, 0.0, 2.0] + 0.3 + generator.normal(size=300)
    theirs = Ridge(alpha=1.0, tol=1e-12).fit(inputs, truth, sample_weight=weights)
    np.testing.assert_allclose(ridge(inputs, truth, weights), [*theirs.coef_, theirs.intercept_], rtol=1e-6)
    assert ridge(np.ones((5, 1)), np.arange(5.0), np.ones(5), penalty=0.0) == pytest.approx([0.0, 2.0])
    assert ridge(np.empty((0, 2)), np.empty(0), np.empty(0)).tolist() == [0.0, 0.0, 0.0]


def rows(truth: np.ndarray, duration: int = 5) -> Rows:
    bar = np.arange(len(truth))
    return Rows(
        symbols=("A",),
        table=truth[:, None].astype(np.float32),
        place=bar,
        label=truth,
        symbol=np.zeros(len(truth), dtype=np.int64),
        bar=bar,
        known_at=bar + duration,
        time=bar,
        decision=bar + 1,
    )


def test_intervals_hold_the_values_and_widen_with_overlap() -> None:
    generator = np.random.default_rng(3)
    truth = generator.normal(size=2000)
    predicted = np.repeat(generator.normal(size=200), 10) * 0.5 + truth  # errors come in runs of ten
    value = regression_metrics(predicted, truth)
    narrow, wide = (regression_intervals(predicted, rows(truth, block), np.random.default_rng(1)) for block in (1, 50))
    for name, (low, high) in wide.items():
        assert low < value[name] < high
    assert np.ptp(wide["r2"]) > 1.5 * np.ptp(narrow["r2"])


def judge(**changes: np.ndarray) -> RegressionJudge:
    fitted = {"mean": np.array([0.5]), "line": np.array([2.0, 1.0]), "coefficients": np.array([1.0, 0.0])}
    return RegressionJudge(seed=1, **{**fitted, **changes})


def test_the_last_known_label_is_one_that_was_known() -> None:
    """The label of a bar is used from the bar on at which it was known; before there is one, the mean stands in."""
    truth = np.array([1.0, 2.0, 3.0, 4.0])
    labels = Labels(label=truth, known_at=np.array([2, 3, -1, -1]), event=np.ones(4, dtype=bool))
    judged = judge().judge_baselines(rows(truth), torch.zeros(4, 1), [labels])
    said = np.array([0.5, 0.5, 2 * 1.0 + 1, 2 * 2.0 + 1])
    assert judged["last_known_label"] == regression_metrics(said, truth)
    assert judged["training_mean"] == pytest.approx(regression_metrics(np.full(4, 0.5), truth), nan_ok=True)
    assert judged["no_change"]["mae"] == 2.5


def test_a_judge_comes_back_from_its_state() -> None:
    ours = judge()
    again = RegressionJudge.restore(ours.state(), 1)
    for name in ("mean", "line", "coefficients"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(again, name))


def test_answers_are_rescaled_once() -> None:
    """What the network gives standardised, the model gives in the unit of the labels."""
    model = Mlp().build(2, 0, torch.Generator().manual_seed(1)).eval()
    model.rescaler.load_state_dict({"mean": torch.tensor(3.0), "spread": torch.tensor(0.5)})
    inputs = torch.randn(6, 2, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        torch.testing.assert_close(model(inputs), model.network(inputs) * 0.5 + 3.0)
        torch.testing.assert_close(model.outputs(inputs), model(inputs))

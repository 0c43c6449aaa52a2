"""What stands beside a value: the moments of its null, its excess, and a p that is never zero."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ktrdr.execution.nulls.distribution import compared, p_value, scores_of

NUMBERS = st.lists(st.floats(-5, 5), min_size=1, max_size=40)


@given(NUMBERS, st.floats(-5, 5))
def test_p_counts_those_that_reach_the_value(null: list[float], value: float) -> None:
    """Itself among them, so that the smallest is one over how many there are with it."""
    p = p_value(value, np.array(null))
    assert p == pytest.approx(sum(one >= value for one in [*null, value]) / (len(null) + 1))
    assert p_value(6.0, np.array(null)) == 1 / (len(null) + 1)
    assert p_value(-6.0, np.array(null)) == 1.0


def test_p_is_uniform_where_the_value_is_one_of_the_null() -> None:
    """Each of its possible values as often as any other."""
    generator = np.random.default_rng(1)
    ranks = [round(p_value(*_drawn(generator)) * 20) for _ in range(4_000)]
    assert stats.chisquare(np.bincount(ranks, minlength=21)[1:]).pvalue > 0.01


def _drawn(generator: np.random.Generator) -> tuple[float, np.ndarray]:
    drawn = generator.normal(size=20)
    return float(drawn[0]), drawn[1:]


def test_figures_are_those_of_the_walks() -> None:
    walks = [{"balanced_accuracy": one, "accuracy": 0.5} for one in (0.4, 0.5, 0.6, 0.7, 0.8)]
    found = compared({"balanced_accuracy": 0.75, "accuracy": 0.5}, walks)
    figures = found["balanced_accuracy"]
    assert figures["value"] == 0.75
    assert figures["null_mean"] == pytest.approx(0.6)
    assert figures["null_sd"] == pytest.approx(np.std([0.4, 0.5, 0.6, 0.7, 0.8], ddof=1))
    assert (figures["null_low"], figures["null_high"]) == pytest.approx((0.42, 0.78))
    assert figures["excess"] == pytest.approx(0.15)
    assert figures["p"] == pytest.approx(2 / 6)
    assert "p" not in found["accuracy"]


def test_what_does_not_trade_earns_nothing() -> None:
    """A walk without trades is a zero among the others; a value without them has no p and no excess."""
    walks = [{"net_sharpe": one} for one in (None, 1.0, -1.0, None)]
    assert compared({"net_sharpe": 0.5}, walks)["net_sharpe"]["p"] == pytest.approx(2 / 5)
    assert compared({"net_sharpe": 0.0}, walks)["net_sharpe"]["p"] == pytest.approx(4 / 5)
    silent = compared({"net_sharpe": None}, walks)["net_sharpe"]
    assert (silent["value"], silent["p"], silent["excess"]) == (None, None, None)
    assert silent["null_mean"] == 0.0


@pytest.mark.parametrize(
    ("metrics", "scores"),
    [
        (
            {"accuracy": 0.5, "balanced_accuracy": 0.4, "trades": {"sharpe": 1.5}},
            {"net_sharpe": 1.5, "balanced_accuracy": 0.4, "accuracy": 0.5},
        ),
        ({"balanced_accuracy": 0.4, "trades": None}, {"balanced_accuracy": 0.4}),
        (
            {"balanced_accuracy": float("nan"), "trades": {"sharpe": None}},
            {"net_sharpe": None, "balanced_accuracy": None},
        ),
        (
            {"directional_accuracy": 0.52, "information_coefficient": 0.1, "r2": 0.0, "trades": {"sharpe": 0.3}},
            {"net_sharpe": 0.3, "directional_accuracy": 0.52, "information_coefficient": 0.1},
        ),
    ],
)
def test_each_strategy_has_the_scores_of_its_kind(metrics: dict, scores: dict) -> None:
    """Labels without trades have no Sharpe ratio, numbers no balanced accuracy."""
    assert scores_of(metrics) == scores

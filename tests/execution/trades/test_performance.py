"""Figures of a track agree with another way of computing each, and are nothing where there is no number."""

import itertools
import statistics
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from ktrdr.execution.trades.break_even import break_even_cost
from ktrdr.execution.trades.performance import days_per_year, max_drawdown, performance
from ktrdr.execution.trades.track import Track, mean_of

FACTORS = st.lists(st.floats(0.0, 2.0), min_size=1, max_size=40)


def track(gross: list[float], *, day: list[int] | None = None, **changes: Any) -> Track:
    """A track that pays nothing, four bars a day unless said otherwise."""
    count = len(gross)
    values: dict[str, Any] = {
        "time": np.arange(count),
        "day": np.array(day) if day else 17_000 + np.arange(count) // 4,
        "gross": np.array(gross),
        "sides": np.zeros(count),
        "invested": np.ones(count),
        "trades": np.empty(0),
        "longs": 0,
        "cost": 0.002,
    }
    return Track(**{**values, **changes})


@given(st.integers(0, 1000), st.integers(2, 60))
def test_the_sharpe_ratio_is_of_compounded_trading_days(seed: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    gross = generator.normal(0, 0.01, count)
    day = 17_000 + np.sort(generator.integers(0, 20, count))
    days = []
    for _, group in itertools.groupby(zip(day, gross, strict=True), key=lambda pair: pair[0]):
        grown = 1.0
        for _, earned in group:
            grown *= 1 + earned
        days.append(grown - 1)
    found = performance(track(gross.tolist(), day=day.tolist()))
    if len(days) < 2:
        assert found["sharpe"] is found["sharpe_error"] is found["sharpe_probability"] is None
        return
    per_year = 365.25 * (len(days) - 1) / (day[-1] - day[0])
    assert found["sharpe"] == pytest.approx(statistics.mean(days) / statistics.stdev(days) * per_year**0.5)
    assert found["return"] == pytest.approx(np.prod(1 + np.array(days)) - 1)


def test_weekdays_make_261_days_a_year() -> None:
    days = np.array([day for day in range(17_000, 17_000 + 730) if (day + 3) % 7 < 5])
    assert days_per_year(days) == pytest.approx(261, abs=1)
    assert days_per_year(np.array([5, 5])) is None
    assert days_per_year(np.array([0, 7, 14])) == pytest.approx(365.25 / 7)


def test_each_half_round_trip_costs_half() -> None:
    paid = track([0.0, 0.01, 0.0], sides=np.array([1.0, 0.0, 1.0]))
    np.testing.assert_allclose(paid.factors, [0.999, 1.01, 0.999])
    assert performance(paid)["turnover"] == 2.0


@given(FACTORS)
def test_the_drawdown_is_the_deepest_of_all_pairs(factors: list[float]) -> None:
    capital = [1.0, *itertools.accumulate(factors, lambda a, b: a * b)]
    pairs = ((a, b) for i, a in enumerate(capital) for b in capital[i:] if a > 0)
    assert max_drawdown(np.array(factors)) == pytest.approx(max(1 - b / a for a, b in pairs))


def test_who_lost_everything_has_nothing_to_lose() -> None:
    """A short whose price more than doubles within a bar."""
    found = performance(track([0.1, -1.4, 5.0]))
    assert found["return"] == -1.0
    assert found["max_drawdown"] == 1.0


def test_a_flat_price_has_no_sharpe_ratio() -> None:
    found = performance(track([0.0] * 12))
    assert found["sharpe"] is None
    assert found["return"] == found["max_drawdown"] == 0.0
    assert found["win_share"] is None


def test_wins_are_trades_with_a_net_gain() -> None:
    assert performance(track([0.0], trades=np.array([0.1, 0.0, -0.1, 0.2]), longs=3))["win_share"] == 0.5


class TestBreakEven:
    @given(st.integers(0, 1000), st.integers(1, 40))
    def test_at_that_cost_the_same_fills_earn_nothing(self, seed: int, count: int) -> None:
        generator = np.random.default_rng(seed)
        gross, sides = generator.normal(0.001, 0.02, count), generator.integers(0, 3, count).astype(float)
        found = break_even_cost(gross, sides)
        if not sides.any():
            assert found is None
            return
        assert found is not None
        assert np.prod(1 + gross - sides * found / 2) == pytest.approx(1.0, abs=1e-9)
        root = optimize.brentq(lambda cost: np.prod(1 + gross - sides * cost / 2) - 1, found - 0.05, found + 0.05)
        assert found == pytest.approx(root, abs=1e-9)

    def test_one_trade_of_a_percent_breaks_even_at_about_a_percent(self) -> None:
        found = break_even_cost(np.array([0.0, 0.01, 0.0]), np.array([0.0, 1.0, 1.0]))
        assert found == pytest.approx(0.01, rel=0.01)

    def test_trades_that_lose_before_costs_have_a_negative_one(self) -> None:
        found = break_even_cost(np.array([0.0, -0.01, 0.0]), np.array([0.0, 1.0, 1.0]))
        assert found == pytest.approx(-0.01, rel=0.01)

    def test_lost_capital_comes_back_at_no_cost(self) -> None:
        assert break_even_cost(np.array([-1.0, 0.5]), np.array([0.0, 1.0])) is None


def test_a_portfolio_is_the_mean_over_symbols_of_each_bar() -> None:
    """A symbol without a bar somewhere earns nothing there."""
    one = track([0.02, -0.04], trades=np.array([0.5]), longs=1, sides=np.array([1.0, 1.0]))
    other = track([0.06, 0.02], time=np.array([1, 2]), day=[17_001, 17_001], trades=np.array([-0.5]))
    both = mean_of([one, other])
    np.testing.assert_array_equal(both.time, [0, 1, 2])
    np.testing.assert_allclose(both.gross, [0.01, 0.01, 0.01])
    np.testing.assert_allclose(both.sides, [0.5, 0.5, 0.0])
    np.testing.assert_allclose(both.invested, [0.5, 1.0, 0.5])
    assert both.day.tolist() == [17_000, 17_001, 17_001]
    assert both.trades.tolist() == [0.5, -0.5]
    assert both.longs == 1
    assert mean_of([one]) is one

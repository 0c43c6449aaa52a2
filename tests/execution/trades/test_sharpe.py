"""The published value, an independent computation of every moment, and what simulation says of the standard error."""

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ktrdr.execution.trades.sharpe import probabilistic_sharpe, sharpe_of, standard_error

RETURNS = st.lists(st.floats(-0.1, 0.1), min_size=2, max_size=50).filter(lambda values: np.std(values) > 1e-6)


def test_the_published_probabilistic_sharpe_ratio() -> None:
    """Bailey and López de Prado (2012): a monthly ratio of 1.585/√12 over two years."""
    assert probabilistic_sharpe(1.585 / np.sqrt(12), 24, -2.448, 10.164) == pytest.approx(0.913234307, abs=1e-9)


@given(RETURNS)
def test_ratio_error_and_probability_are_scipys(returns: list[float]) -> None:
    found = sharpe_of(np.array(returns))
    assert found is not None
    ratio = statistics.fmean(returns) / statistics.stdev(returns)
    skew, kurtosis = stats.skew(returns), stats.kurtosis(returns, fisher=False)
    error = np.sqrt(max(0.0, 1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2) / (len(returns) - 1))
    assert found.ratio == pytest.approx(ratio, rel=1e-9)
    assert found.error == pytest.approx(error, rel=1e-6, abs=1e-6)
    if error > 1e-3:
        assert found.probability == pytest.approx(stats.norm.cdf(ratio / error), abs=1e-6)


def test_the_standard_error_is_the_spread_that_simulation_finds() -> None:
    """Over skewed, fat-tailed returns, where the textbook's √((1 + SR²/2)/T) is too small."""
    generator = np.random.default_rng(4)
    samples = 0.4 + stats.gamma(1.0).rvs((4000, 400), random_state=generator) * -1.0 + 1.0
    found = [sharpe_of(one) for one in samples]
    ratios = np.array([one.ratio for one in found if one])
    assert np.mean([one.error for one in found if one]) == pytest.approx(ratios.std(), rel=0.05)
    assert np.sqrt((1 + ratios.mean() ** 2 / 2) / 400) < 0.9 * ratios.std()


@pytest.mark.parametrize("returns", [[], [0.01], [0.0, 0.0, 0.0], [0.1] * 7])
def test_too_few_and_equal_returns_have_no_ratio(returns: list[float]) -> None:
    assert sharpe_of(np.array(returns)) is None


def test_two_returns_have_one() -> None:
    found = sharpe_of(np.array([0.01, 0.03]))
    assert found is not None
    assert found.ratio == pytest.approx(0.02 / np.std([0.01, 0.03], ddof=1))
    assert np.isfinite(found.error)


def test_a_spread_of_nothing_is_certain() -> None:
    """Of two values of a skewed distribution the terms of the error can cancel."""
    assert standard_error(1.0, 5, 2.0, 5.0) == 0.0
    assert probabilistic_sharpe(1.0, 5, 2.0, 5.0) == 1.0
    assert probabilistic_sharpe(-1.0, 5, -2.0, 5.0) == 0.0

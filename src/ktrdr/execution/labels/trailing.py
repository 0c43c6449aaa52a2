"""Statistics of the last bars up to each one: a bar's value depends on its own window and on nothing else."""

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from ktrdr.execution.indicators.base import finite_runs


def log_returns(close: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln(close[t] / close[t-1]); the first is NaN."""
    returns = np.full(len(close), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        np.log(close[1:] / close[:-1], out=returns[1:])
    return returns


def ewm_std(values: NDArray[np.float64], span: int) -> NDArray[np.float64]:
    """Exponentially weighted standard deviation (adjusted, unbiased, as pandas computes it), NaN for `span` values."""
    series = pl.Series(values).fill_nan(None)
    return series.ewm_std(span=span, min_samples=span).fill_null(float("nan")).to_numpy()


def trailing_median(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """The median of the last `window` values, this one included; NaN where fewer are there or one of them is NaN.

    Linear in the values whatever the window, as long as no value is missing: so it runs from one gap to the next.
    """
    result = np.full(len(values), np.nan)
    for run in finite_runs([values]):
        if run.stop - run.start >= window:
            medians = pl.Series(values[run]).rolling_median(window)
            result[run] = medians.fill_null(float("nan")).to_numpy()
    return result


@njit(cache=True)
def trailing_std(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """The sample standard deviation (ddof 1) of the last `window` values, NaN where `trailing_median` would be.

    Linear in the values whatever the window, and without the differences of running sums, of which something would be
    left behind on flat prices: a window is the end of one block of `window` values and the beginning of the next, whose
    means and squares are put together (Chan, Golub and LeVeque 1979).
    """
    count = len(values)
    result = np.full(count, np.nan)
    if window < 2 or count < window:
        return result
    end_mean = np.zeros(window + 1)  # of the last k values of the block before
    end_squares = np.zeros(window + 1)
    mean = squares = 0.0  # of the first k values of this block
    for now in range(count):
        taken = now % window + 1
        if taken == 1:
            if now:
                _from_the_end(values[now - window : now], end_mean, end_squares)
            mean = squares = 0.0
        mean, squares = _with_one_more(mean, squares, values[now], taken)
        if now + 1 >= window:
            rest = window - taken
            apart = mean - end_mean[rest]
            together = squares + end_squares[rest] + apart * apart * taken * rest / window
            result[now] = np.sqrt(together / (window - 1))
    return result


@njit(cache=True)
def _from_the_end(block: NDArray[np.float64], means: NDArray[np.float64], squares: NDArray[np.float64]) -> None:
    """Mean and sum of squared distances of the last 1, 2, … values of a block."""
    for taken in range(1, len(block) + 1):
        value = block[len(block) - taken]
        means[taken], squares[taken] = _with_one_more(means[taken - 1], squares[taken - 1], value, taken)


@njit(cache=True)
def _with_one_more(mean: float, squares: float, value: float, count: int) -> tuple[float, float]:
    """Mean and squares of `count` values, the last of which is new (Welford 1962)."""
    apart = value - mean
    mean += apart / count
    return mean, squares + apart * (value - mean)

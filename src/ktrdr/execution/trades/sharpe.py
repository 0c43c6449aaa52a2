"""The Sharpe ratio with what it is worth: its standard error and the probability that the true one is positive.

Source: Bailey and López de Prado, The Sharpe Ratio Efficient Frontier, Journal of Risk 15 (2012), after Mertens (2002).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Sharpe:
    """Of one period, not annualised: the ratio, its standard error, and PSR(0)."""

    ratio: float
    error: float
    probability: float


def sharpe_of(returns: NDArray[np.float64]) -> Sharpe | None:
    """Mean over standard deviation (ddof 1) of returns of equal periods; None below two, or when none differs."""
    count = len(returns)
    if count < 2:
        return None
    deviations = returns - returns.mean()
    variance = float(np.square(deviations).mean())
    if not math.sqrt(variance) > 1e-12 * max(1e-300, float(np.abs(returns).max())):  # equal but for rounding
        return None
    skew = float((deviations**3).mean()) / variance**1.5
    kurtosis = float((deviations**4).mean()) / variance**2
    ratio = float(returns.mean()) / math.sqrt(variance * count / (count - 1))
    return Sharpe(
        ratio=ratio,
        error=standard_error(ratio, count, skew, kurtosis),
        probability=probabilistic_sharpe(ratio, count, skew, kurtosis),
    )


def standard_error(ratio: float, count: int, skew: float, kurtosis: float) -> float:
    """√((1 − γ₃·SR + (γ₄ − 1)/4 · SR²) / (T − 1)); `kurtosis` is raw, 3 for a normal distribution."""
    spread = 1.0 - skew * ratio + (kurtosis - 1.0) / 4.0 * ratio**2
    return math.sqrt(max(0.0, spread) / (count - 1))


def probabilistic_sharpe(ratio: float, count: int, skew: float, kurtosis: float) -> float:
    """The probability that the true ratio is above zero, of a ratio seen over `count` periods."""
    error = standard_error(ratio, count, skew, kurtosis)
    if error == 0.0:
        return 1.0 if ratio > 0.0 else 0.0
    return math.erfc(-ratio / error / math.sqrt(2.0)) / 2.0

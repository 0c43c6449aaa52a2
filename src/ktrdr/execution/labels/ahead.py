"""The return from a close to one some bars later."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ktrdr.execution.component import Int
from ktrdr.execution.labels.base import NULL

Horizon = Annotated[Int, Field(ge=1, le=100_000)]
"""Bars until a return is measured."""


def returns_ahead(close: NDArray[np.float64], horizon: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """close[t + horizon] / close[t] − 1 and t + horizon for each bar; NaN and NULL where it is not there."""
    count = len(close)
    returns = np.full(count, np.nan)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        returns[: max(count - horizon, 0)] = close[horizon:] / close[:-horizon] - 1.0
    there = np.isfinite(returns)
    returns[~there] = np.nan
    return returns, np.where(there, np.arange(count) + horizon, NULL)

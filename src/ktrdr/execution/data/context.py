"""Other series as inputs: bars of another symbol, stored observations, or what is derived of these."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ktrdr.contracts.bars import SeriesWanted
from ktrdr.errors import DataRefused
from ktrdr.execution.data.bars import Bars
from ktrdr.execution.data.lags import IN_STRATEGY, with_lag
from ktrdr.execution.data.timeframes import OBSERVED

RELEASES = 52
"""A year of weekly releases, of which a percentile tells the place of the newest."""


@dataclass(frozen=True, kw_only=True)
class ContextSource:
    """What an indicator's `data_source` names: bars of `symbol` on `timeframe`; or the stored `series` as they are, the
    first less the second (spread), or the place of the first among its last releases (percentile).

    `lag` is the publication lag that the strategy says, in place of that of the import.
    """

    name: str
    symbol: str | None = None
    timeframe: str | None = None
    series: tuple[str, ...] = ()
    derived: Literal["as it is", "spread", "percentile"] = "as it is"
    lag: str | None = None

    def wanted(self) -> list[SeriesWanted]:
        """The stored series that it is made of."""
        if self.symbol is not None:
            return [SeriesWanted(symbol=self.symbol, timeframe=self.timeframe)]
        return [SeriesWanted(symbol=name, publication_lag=self.lag) for name in self.series]


def derived(source: ContextSource, parts: Sequence[Bars]) -> Bars:
    """The observations of a source, of those of its series."""
    match source.derived:
        case "spread":
            return spread(source.name, *parts)
        case "percentile":
            return percentile(source.name, parts[0])
        case _:
            return parts[0]


def spread(name: str, left: Bars, right: Bars) -> Bars:
    """Left less right, each time one of them becomes known, as long as the other one is not out of date."""
    time = np.unique(np.concatenate([left.time, right.time]))
    values, there = np.zeros(len(time)), np.ones(len(time), dtype=np.bool_)
    for sign, part in ((1.0, left), (-1.0, right)):
        last = np.searchsorted(part.time, time, side="right") - 1
        there &= (last >= 0) & (time - part.time[last] <= part.valid_for)
        values += sign * part.close[last]
    return _observations(min(left, right, key=lambda part: part.timeframe.length), name, time[there], values[there])


def percentile(name: str, series: Bars) -> Bars:
    """How many of the releases before it, of the last 52, lie below each one: 0 (it is the lowest) to 100."""
    if len(series) < RELEASES:
        raise DataRefused(f"{series.symbol} has {len(series)} releases: {name} needs at least {RELEASES}")
    windows = np.lib.stride_tricks.sliding_window_view(series.close, RELEASES)
    below = (windows[:, :-1] < windows[:, -1:]).sum(axis=1)
    return _observations(series, name, series.time[RELEASES - 1 :], 100.0 * below / (RELEASES - 1))


def _observations(like: Bars, name: str, time: NDArray[np.int64], values: NDArray[np.float64]) -> Bars:
    return Bars(name, like.timeframe, OBSERVED, time, values, values, values, values, np.zeros(len(values)))


def lagged(bars: Bars, stored: str | None, wanted: str | None) -> Bars:
    """Observations with the publication lag that is wanted instead of the stored one. Raises DataRefused when there is
    none at all."""
    if stored == IN_STRATEGY and wanted is None:
        raise DataRefused(
            f"nobody says when the values of {bars.symbol} were known: write publication_lag in its entry of"
            " context_data, or import the series again with --lag"
        )
    return replace(bars, time=with_lag(bars.time, stored, wanted))

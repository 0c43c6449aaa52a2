"""A track: bar by bar what a position, or the mean of several symbols' positions, did and earned over a range."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ktrdr.execution.data.bars import Bars
from ktrdr.execution.data.sessions import carried_opens, trading_days
from ktrdr.execution.trades.positions import walk
from ktrdr.execution.trades.rules import Rules

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Stretch:
    """The bars of a range, at least one, with the trading day of each and whether its open was carried over a break."""

    bars: Bars
    day: NDArray[np.int64]
    carried: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.bars)


def stretch_of(bars: Bars, first: int) -> Stretch:
    """The bars from `first` on; those before it only help to tell the days."""
    which = slice(first, None)
    return Stretch(bars=bars.rows(which), day=trading_days(bars)[which], carried=carried_opens(bars)[which])


@dataclass(frozen=True, kw_only=True, eq=False)
class Track:
    """One entry a bar: its open stamp and trading day, what one unit of notional earned before costs from this open to
    the next, half round trips paid, and the share of the notional that was invested, long or short.

    `trades` has the net return of each round trip, in the order of their ends, `longs` how many were long; `cost` is
    that of a round trip. A unit is a unit again at each open; nothing can be lost twice.
    """

    time: NDArray[np.int64]
    day: NDArray[np.int64]
    gross: Array
    sides: Array
    invested: Array
    trades: Array
    longs: int
    cost: float

    @cached_property
    def factors(self) -> Array:
        """What the capital is multiplied by in each bar, after costs; 0 when all is lost."""
        return np.maximum(0.0, 1.0 + self.gross - self.sides * (self.cost / 2))

    @cached_property
    def days(self) -> NDArray[np.int64]:
        """The trading days that have a bar, once each."""
        return self.day[self._starts]

    @cached_property
    def daily_returns(self) -> Array:
        """The net return of each of `days`, compounded over its bars."""
        return np.asarray(np.multiply.reduceat(self.factors, self._starts) - 1.0)

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.flatnonzero(np.diff(self.day, prepend=self.day[:1] - 1))

    def idle(self) -> "Track":
        """The track of holding nothing over the same bars."""
        nothing = np.zeros(len(self.time))
        return replace(self, gross=nothing, sides=nothing, invested=nothing, trades=np.empty(0), longs=0)


def follow(stretch: Stretch, signal: NDArray[np.int64], rules: Rules) -> Track:
    """The track of signals, one for each bar of the stretch."""
    bars = stretch.bars
    gross, sides, held = walk(bars.open, bars.close, stretch.carried, signal, rules.separation, rules.shorts)
    track = Track(
        time=bars.time,
        day=stretch.day,
        gross=gross,
        sides=sides.astype(np.float64),
        invested=np.abs(held).astype(np.float64),
        trades=np.empty(0),
        longs=0,
        cost=rules.round_trip_cost,
    )
    ends = np.repeat(np.arange(len(sides)), sides).reshape(-1, 2)  # entry and exit take turns
    return _with_trades(track, ends, held) if len(ends) else track


def _with_trades(track: Track, ends: NDArray[np.int64], held: NDArray[np.int64]) -> Track:
    bounds = np.column_stack([ends[:, 0], ends[:, 1] + 1]).ravel()
    trades = np.multiply.reduceat(np.append(track.factors, 1.0), bounds)[::2] - 1.0
    return replace(track, trades=trades, longs=int((held[ends[:, 0]] > 0).sum()))


def mean_of(tracks: Sequence[Track]) -> Track:
    """The track of equal shares in each, made equal again at every bar; a symbol without a bar there stands still."""
    if len(tracks) == 1:
        return tracks[0]
    time, where = np.unique(np.concatenate([one.time for one in tracks]), return_inverse=True)
    day = np.zeros(len(time), dtype=np.int64)
    np.maximum.at(day, where, np.concatenate([one.day for one in tracks]))

    def mean(name: str) -> Array:
        values = np.concatenate([getattr(one, name) for one in tracks])
        return np.bincount(where, weights=values, minlength=len(time)) / len(tracks)

    return Track(
        time=time,
        day=np.maximum.accumulate(day),
        gross=mean("gross"),
        sides=mean("sides"),
        invested=mean("invested"),
        trades=np.concatenate([one.trades for one in tracks]),
        longs=sum(one.longs for one in tracks),
        cost=tracks[0].cost,
    )

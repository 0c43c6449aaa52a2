"""The compiled machine is a slow reading of the rules; what is said at a bar earns nothing before the next open."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktrdr.execution.labels.base import BUY, HOLD, SELL
from ktrdr.execution.trades.positions import walk

SIGNALS = st.sampled_from([BUY, HOLD, SELL])


@dataclass(frozen=True)
class Fill:
    """At one of the two prices of a bar the position becomes another."""

    bar: int
    price: str
    position: int


def decided(position: int, signal: int, shorts: bool) -> int:
    """The rules as the grammar tells them."""
    if signal == HOLD:
        return position
    if signal == BUY:
        return {-1: 0, 0: 1, 1: 1}[position]
    return {1: 0, 0: -1 if shorts else 0, -1: -1}[position]


def fills(carried: list[bool], signal: list[int], separation: int, shorts: bool) -> list[Fill]:
    found: list[Fill] = []
    for said_at, said in enumerate(signal[:-1]):
        filled_at = said_at + 1
        position = found[-1].position if found else 0
        if found and filled_at - found[-1].bar < separation:
            continue
        if carried[filled_at] and filled_at == len(signal) - 1:
            continue
        if decided(position, said, shorts) != position:
            price = "close" if carried[filled_at] else "open"
            found.append(Fill(filled_at, price, decided(position, said, shorts)))
    if found and found[-1].position:
        found.append(Fill(len(signal) - 1, "close", 0))
    return found


def held_at(found: list[Fill], bar: int, price: str) -> int:
    """The position behind everything that was filled up to this price of this bar."""
    before = [one for one in found if (one.bar, one.price == "close") <= (bar, price == "close")]
    return before[-1].position if before else 0


def slow_walk(
    open_: list[float], close: list[float], carried: list[bool], signal: list[int], separation: int, shorts: bool
) -> tuple[list[float], list[int]]:
    """From price to price, each piece earned by what was held over it."""
    found = fills(carried, signal, separation, shorts)
    gross = []
    for bar in range(len(signal)):
        last = bar == len(signal) - 1
        following = close[bar] if last else open_[bar + 1]
        early, late = held_at(found, bar, "open"), held_at(found, bar, "close")
        if early == late or last:
            gross.append(early * (following / open_[bar] - 1))
        else:
            gross.append(early * (close[bar] / open_[bar] - 1) + late * (following / close[bar] - 1))
    return gross, [sum(one.bar == bar for one in found) for bar in range(len(signal))]


@st.composite
def markets(draw: st.DrawFn) -> tuple[list[float], list[float], list[bool], list[int], int, bool]:
    count = draw(st.integers(1, 30))
    prices = st.lists(st.sampled_from([90.0, 100.0, 100.5, 120.0]), min_size=count, max_size=count)
    flags = st.lists(st.booleans(), min_size=count, max_size=count)
    signal = st.lists(SIGNALS, min_size=count, max_size=count)
    return draw(prices), draw(prices), draw(flags), draw(signal), draw(st.integers(0, 6)), draw(st.booleans())


def walked(
    open_: list[float], close: list[float], carried: list[bool], signal: list[int], separation: int, shorts: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    arrays = np.array(open_), np.array(close), np.array(carried), np.array(signal, dtype=np.int64)
    return walk(*arrays, separation, shorts)


@settings(max_examples=400)
@given(markets())
def test_the_machine_is_the_slow_reading(
    market: tuple[list[float], list[float], list[bool], list[int], int, bool],
) -> None:
    gross, sides, _ = walked(*market)
    slow_gross, slow_sides = slow_walk(*market)
    np.testing.assert_allclose(gross, slow_gross, rtol=1e-12, atol=1e-15)
    assert sides.tolist() == slow_sides


@settings(max_examples=200)
@given(markets(), st.data())
def test_nothing_is_earned_before_the_bar_behind_a_signal(
    market: tuple[list[float], list[float], list[bool], list[int], int, bool], data: st.DataObject
) -> None:
    """Another signal at a bar, and all other prices and signals behind it, change no bar up to its own close."""
    open_, close, carried, signal, separation, shorts = market
    at = data.draw(st.integers(0, len(signal) - 1))
    rest = len(signal) - at
    other = signal[:at] + data.draw(st.lists(SIGNALS, min_size=rest, max_size=rest))
    spoilt = [price * 3 for price in close[at + 1 :]]
    first = walked(*market)
    second = walked(open_[: at + 1] + spoilt, close[: at + 1] + spoilt, carried, other, separation, shorts)
    np.testing.assert_array_equal(first[2][: at + 1], second[2][: at + 1])
    np.testing.assert_array_equal(first[0][:at], second[0][:at])  # a bar's own piece ends at the next open
    np.testing.assert_array_equal(first[1][:at], second[1][:at])


class TestByHand:
    """Prices 100, 101, … at the opens, closes half a point higher."""

    def walk(
        self, signal: list[int], *, separation: int = 0, shorts: bool = False, carried: tuple[int, ...] = ()
    ) -> tuple[list[float], list[int], list[int]]:
        open_ = 100.0 + np.arange(len(signal))
        flags = np.isin(np.arange(len(signal)), carried)
        gross, sides, held = walk(open_, open_ + 0.5, flags, np.array(signal), separation, shorts)
        return gross.tolist(), sides.tolist(), held.tolist()

    def test_bought_at_the_next_open_and_sold_at_the_one_behind_the_exit(self) -> None:
        gross, sides, held = self.walk([BUY, HOLD, SELL, HOLD, HOLD])
        assert held == [0, 1, 1, 0, 0]
        assert sides == [0, 1, 0, 1, 0]
        assert gross == pytest.approx([0, 102 / 101 - 1, 103 / 102 - 1, 0, 0])

    def test_what_is_held_at_the_end_is_closed_at_the_last_close(self) -> None:
        gross, sides, held = self.walk([BUY, HOLD, HOLD])
        assert held == [0, 1, 1]
        assert sides == [0, 1, 1]
        assert gross == pytest.approx([0, 102 / 101 - 1, 102.5 / 102 - 1])

    def test_a_position_opened_in_the_last_bar_is_closed_in_it(self) -> None:
        gross, sides, _ = self.walk([HOLD, BUY, BUY])
        assert sides == [0, 0, 2]
        assert gross == pytest.approx([0, 0, 102.5 / 102 - 1])

    def test_a_signal_at_the_last_bar_is_never_filled(self) -> None:
        assert self.walk([HOLD, HOLD, BUY])[1] == [0, 0, 0]

    def test_a_long_is_not_reversed_in_one_step(self) -> None:
        assert self.walk([BUY, SELL, SELL, SELL, BUY, BUY, HOLD], shorts=True)[2] == [0, 1, 0, -1, -1, 0, 1]

    def test_without_shorts_sell_only_closes(self) -> None:
        assert self.walk([SELL, SELL, BUY, SELL, SELL, HOLD])[2] == [0, 0, 0, 1, 0, 0]

    def test_separation_counts_bars_from_fill_to_fill_and_delays_exits_too(self) -> None:
        """Filled in bar 1; the next fill may be in bar 4."""
        assert self.walk([BUY, SELL, SELL, SELL, SELL, HOLD], separation=3)[2] == [0, 1, 1, 1, 0, 0]

    def test_a_carried_open_is_filled_at_that_bars_close(self) -> None:
        gross, sides, held = self.walk([BUY, HOLD, SELL, HOLD], carried=(1, 3))
        assert held == [0, 1, 1, 1]
        assert sides == [0, 1, 0, 1]
        assert gross == pytest.approx([0, 102 / 101.5 - 1, 103 / 102 - 1, 103.5 / 103 - 1])

    def test_an_exit_at_a_carried_open_earns_up_to_the_close(self) -> None:
        gross, _, held = self.walk([BUY, SELL, HOLD, HOLD], carried=(2,))
        assert held == [0, 1, 0, 0]
        assert gross == pytest.approx([0, 102 / 101 - 1, 102.5 / 102 - 1, 0])

    def test_prices_that_are_none_fill_and_earn_nothing(self) -> None:
        prices = np.array([100.0, np.nan, 100.0, 110.0, 0.0])
        gross, sides, _ = walk(prices, prices, np.zeros(5, dtype=bool), np.array([BUY, BUY, HOLD, HOLD, HOLD]), 0, True)
        assert gross.tolist() == pytest.approx([0, 0, 0.1, 0, 0])
        assert sides.tolist() == [0, 0, 1, 0, 1]

"""Bars: ranges by open stamp, digests of what they hold, and symbols that are safe as folder names."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import cut, random_bars

from ktrdr.errors import InvalidName
from ktrdr.execution.data.bars import Bars, check_symbol, instant, microseconds


@pytest.mark.parametrize("name", ["EURUSD", "BRK.B", "^GSPC", "ES=F", "BTC-USD", "a", "X_1", "7203.T", "A" * 32])
def test_names_that_may_be(name: str) -> None:
    assert check_symbol(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "a..b", "a/b", "/etc", "../x", "a\\b", "a b", "a\n", "A" * 33, "é", "a\0", "-rf", "a:b"],
)
def test_names_that_may_not_be(name: str) -> None:
    with pytest.raises(InvalidName, match="letters, digits"):
        check_symbol(name)


def test_a_pair_is_told_how_to_write_it() -> None:
    with pytest.raises(InvalidName, match="such as EURUSD"):
        check_symbol("EUR/USD")


@given(st.text(max_size=40))
def test_a_name_that_passes_stays_in_its_folder(name: str) -> None:
    try:
        check_symbol(name)
    except InvalidName:
        return
    assert not set(name) & set("/\\\0:")
    assert ".." not in name
    assert not name.startswith(".")
    assert len(name) <= 32


@given(st.integers(0, 60), st.integers(-5, 70), st.integers(-5, 70))
def test_between_is_half_open(count: int, first: int, last: int) -> None:
    bars = random_bars(1, count)
    origin = instant(1_483_228_800_000_000)
    start, end = origin + timedelta(hours=first), origin + timedelta(hours=last)
    kept = bars.between(start, end).time
    assert kept.tolist() == [t for t in bars.time.tolist() if microseconds(start) <= t < microseconds(end)]
    assert len(bars.between(None, None)) == count


def test_instants_are_exact_and_mean_utc_when_they_name_no_zone() -> None:
    stamp = 1_483_228_800_123_457
    assert microseconds(instant(stamp)) == stamp
    assert microseconds(datetime(1969, 12, 31, 23, 59, 59)) == -1_000_000
    berlin = datetime(2017, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    assert microseconds(berlin) == microseconds(datetime(2017, 1, 1)) == microseconds(datetime(2017, 1, 1, tzinfo=UTC))


def test_the_digest_tells_every_difference_and_nothing_else() -> None:
    bars = random_bars(3, 50)
    strided = replace(bars, close=np.repeat(bars.close, 2)[::2])
    assert strided.digest() == bars.digest() == replace(bars, calendar="fx").digest()
    others: list[Bars] = [cut(bars, 49), replace(bars, symbol="OTHER"), random_bars(3, 50, timeframe="1d")]
    for name in ("time", "open", "high", "low", "close", "volume"):
        column = getattr(bars, name).copy()
        column[7] += 1
        others.append(replace(bars, **{name: column}))
    assert len({one.digest() for one in [bars, *others]}) == len(others) + 1
    assert len(cut(bars, 0).digest()) == 64


def test_closes_follow_the_opens() -> None:
    bars = random_bars(4, 5)
    assert (bars.closes - bars.time == 3_600_000_000).all()
    assert bars.closes is bars.closes

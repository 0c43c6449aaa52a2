"""Splits that nobody adjusted for are found, and the market's own worst nights are not taken for them."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from tests.execution.data.bar_files import EXAMPLES, STOCKS, example, large
from tests.support import changed, random_bars

from ktrdr.execution.data.bars import Bars, instant
from ktrdr.execution.data.importing import read_bars
from ktrdr.execution.data.jumps import split_like_jumps

AAPL_SPLITS = ["2000-06-21", "2005-02-28", "2014-06-09", "2020-08-31"]


def unadjusted(name: str, folder: object) -> Bars:
    """A bundled stock without its adjusted close."""
    frame = pl.read_csv(EXAMPLES / f"{name}_1d.csv.gz").drop("Adj Close")
    path = folder / f"{name}_1d.parquet"  # type: ignore[operator]
    frame.write_parquet(path)
    return read_bars(path)[0]


def days(bars: Bars) -> list[str]:
    return [f"{instant(bars.time[row]):%Y-%m-%d}" for row in split_like_jumps(bars)]


def carried(bars: Bars) -> Bars:
    """The same bars as some sources write them: a session opens at the last close."""
    breaks = np.diff(bars.time) > (3_600_000_000 if bars.timeframe.name == "1h" else 0)
    opens = bars.open.copy()
    opens[1:][breaks] = bars.close[:-1][breaks]
    return replace(bars, open=opens)


def silent(bars: Bars) -> Bars:
    return replace(bars, volume=np.zeros(len(bars)))


def test_adjusted_bars_and_fx_have_none() -> None:
    """Among them AAPL's fall by half in the night of 2000-09-28, and years of crises."""
    for name in (*(f"{stock}_1d" for stock in STOCKS), "EURUSD_1h"):
        bars = example(name)
        for one in (bars, silent(bars), carried(bars)):
            assert days(one) == []


@pytest.mark.parametrize(
    ("name", "splits"),
    [("AAPL", ["2000-06-21", "2005-02-28"]), ("MSFT", ["2003-02-18"]), ("IBM", []), ("GOOG", [])],
)
def test_true_splits_of_days_are_found(name: str, splits: list[str], tmp_path: object) -> None:
    bars = unadjusted(name, tmp_path)
    assert days(bars) == splits
    assert days(silent(bars)) == splits


def test_true_splits_of_hours_are_found() -> None:
    """AAPL's four, and not its crash of 2000-09-29; with volume or without, with true opens or filled ones."""
    bars = large("AAPL_1h")
    for one in (bars, silent(bars), carried(bars), silent(carried(bars))):
        assert days(one) == AAPL_SPLITS


@pytest.mark.parametrize("name", ["SPY_1h", "EURUSD_1h"])
def test_years_without_splits_have_none(name: str) -> None:
    bars = large(name)
    for one in (bars, silent(bars), carried(bars)):
        assert days(one) == []


@pytest.mark.parametrize("ratio", [2, 3, 4, 7, 10, 20, 3 / 2, 5 / 4, 1 / 2, 1 / 10])
@pytest.mark.parametrize("name", ["IBM_1d", "MSFT_1d", "EURUSD_1h"])
def test_every_ratio_is_found_where_it_is_put(name: str, ratio: float) -> None:
    """Prices from a quiet day on are divided, volumes multiplied, as a split does."""
    bars = example(name)
    at = 2000 if name != "EURUSD_1h" else int(np.flatnonzero(np.diff(bars.time) > 86_400_000_000)[20]) + 1
    after = slice(at, None)
    prices = {column: getattr(bars, column)[after] / ratio for column in ("open", "high", "low", "close")}
    split = changed(bars, after, **prices, volume=bars.volume[after] * ratio)
    assert split_like_jumps(split).tolist() == [at]
    assert split_like_jumps(silent(split)).tolist() == [at]


@pytest.mark.parametrize("size", [0.75, 0.8, 2 / 3, 1.25])
def test_news_of_a_splits_size_are_not_taken_for_one(size: float) -> None:
    """A quarter lost overnight with five times the usual trade is news; nothing is refused for it."""
    bars = example("IBM_1d")
    after = slice(2000, None)
    prices = {column: getattr(bars, column)[after] * size for column in ("open", "high", "low", "close")}
    news = changed(bars, after, **prices)
    assert split_like_jumps(changed(news, slice(2000, 2003), volume=bars.volume[2000:2003] * 5)).tolist() == []


def test_a_bad_tick_that_comes_back_is_no_split() -> None:
    bars = example("IBM_1d")
    row = slice(2000, 2001)
    assert split_like_jumps(changed(bars, row, open=bars.open[row] / 2, low=bars.low[row] / 2)).tolist() == []


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_bars_have_none(count: int) -> None:
    assert split_like_jumps(random_bars(1, count)).tolist() == []

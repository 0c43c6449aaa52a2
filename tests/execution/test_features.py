"""Features of several timeframes: the last bar closed by a row's close, never an open one, never a stale one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.support import HOUR, ROOT, observations, random_bars

from ktrdr.execution.data.bars import Bars
from ktrdr.execution.data.importing import read_bars
from ktrdr.execution.data.resampling import resampled
from ktrdr.execution.data.timeframes import parse_timeframe
from ktrdr.execution.features.builder import FeatureBuilder, Series, last_closed
from ktrdr.execution.features.columns import FeatureColumn
from ktrdr.execution.fuzzy.engine import FuzzyEngine
from ktrdr.execution.indicators.averages import Macd, Sma
from ktrdr.execution.indicators.engine import IndicatorEngine


def with_gaps(bars: Bars, kept: list[bool]) -> Bars:
    """The bars without those that `kept` leaves out."""
    which = np.flatnonzero(np.resize(np.array(kept), len(bars)))
    arrays = (getattr(bars, name)[which] for name in ("time", "open", "high", "low", "close", "volume"))
    return Bars(bars.symbol, bars.timeframe, bars.calendar, *arrays)


def slow_last_closed(base: Bars, other: Bars) -> list[int]:
    """The definition, row by row."""
    ratio, found = other.timeframe.length / base.timeframe.length, []
    for row, decision in enumerate(base.closes):
        closed = [bar for bar, close in enumerate(other.closes) if close <= decision]
        if not closed:
            found.append(-1)
            continue
        since = sum(1 for close in base.closes[: row + 1] if close > other.closes[closed[-1]])
        found.append(closed[-1] if since <= 3 * max(1.0, ratio) else -1)
    return found


@given(
    st.sampled_from(["5m", "1h", "4h", "1d"]),
    st.lists(st.booleans(), min_size=3, max_size=12).filter(any),
    st.lists(st.booleans(), min_size=3, max_size=12).filter(any),
    st.integers(-30, 30),
)
def test_a_row_sees_the_last_closed_bar(timeframe: str, kept: list[bool], kept_base: list[bool], shift: int) -> None:
    """With holes in both series, and with the other one beginning inside a bar, a day or after the base."""
    count = {"5m": 300, "1h": 60, "4h": 20, "1d": 6}[timeframe]
    base = with_gaps(random_bars(1, 60), kept_base)
    other = with_gaps(random_bars(2, count, timeframe=timeframe), kept)
    moved = Bars(
        other.symbol, other.timeframe, other.calendar, other.time + shift * HOUR // 4,
        other.open, other.high, other.low, other.close, other.volume,
    )  # fmt: skip
    assert last_closed(base, moved).tolist() == slow_last_closed(base, moved)


def test_a_day_is_seen_only_once_it_has_closed() -> None:
    """On real hours: the row that closes at midnight is the first to see the day."""
    hourly = read_bars(ROOT / "examples" / "data" / "EURUSD_1h.csv.gz")[0]
    day = 24 * HOUR
    starts = np.unique(hourly.time // day * day)
    daily = random_bars(3, len(starts), symbol="EURUSD", timeframe="1d")
    daily = Bars(
        "EURUSD", daily.timeframe, "24/7", starts, daily.open, daily.high, daily.low, daily.close, daily.volume
    )
    last = last_closed(hourly, daily)
    seen = last >= 0
    assert (daily.closes[last[seen]] <= hourly.closes[seen]).all()
    inside = hourly.closes % day != 0
    today = np.searchsorted(starts, hourly.time // day * day)
    assert (last[inside & seen] < today[inside & seen]).all()


@given(st.sampled_from(["4h", "1d", "1w"]), st.integers(0, 1000), st.integers(700, 1_100))
def test_a_resampled_timeframe_is_seen_only_once_closed(timeframe: str, seed: int, at: int) -> None:
    """A row of the whole is that of the bars up to it: no longer bar tells of one that the row has not seen."""
    whole, length = random_bars(seed, 1_200), parse_timeframe(timeframe)
    known = whole.rows(slice(0, at))
    rows = np.arange(at)
    seen, later = resampled(known, length), resampled(whole, length)
    last = last_closed(known, seen)
    np.testing.assert_array_equal(last, last_closed(whole, later)[rows])
    assert (seen.closes[last[last >= 0]] <= known.closes[last >= 0]).all()
    for name in ("time", "open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(seen, name), getattr(later, name)[: len(seen)])


def builder(columns: tuple[FeatureColumn, ...]) -> FeatureBuilder:
    return FeatureBuilder(columns, IndicatorEngine({"macd": Macd(), "sma": Sma(period=3)}), FuzzyEngine())


def test_history_counts_the_bars_of_the_timeframe_that_has_fewest() -> None:
    hourly, slow = random_bars(1, 100), random_bars(2, 25, timeframe="4h")
    columns = tuple(FeatureColumn(f"{name}_sma", name, "sma", None, "none") for name in ("1h", "4h"))
    series = Series(symbol="TEST", base_timeframe="1h", bars={"1h": hourly, "4h": slow})
    matrix = builder(columns).build(series)
    assert matrix.history.tolist() == last_closed(hourly, slow).tolist()
    assert np.isnan(matrix.values[:3, 1]).all()  # before the first bar of four hours has closed
    np.testing.assert_array_equal(matrix.defined, np.isfinite(matrix.values).all(axis=1))


def test_every_column_stands_where_its_bar_is_seen() -> None:
    """Row by row: the value at the last closed bar of the column's own timeframe, nothing where there is none."""
    hourly, slow = random_bars(1, 200), random_bars(2, 40, timeframe="4h")
    order = (("4h", "sma"), ("1h", "macd.signal"), ("4h", "macd"), ("1h", "sma"))
    columns = tuple(FeatureColumn(f"{frame}_{name}", frame, name, None, "none") for frame, name in order)
    bars = {"1h": hourly, "4h": slow}
    matrix = builder(columns).build(Series(symbol="TEST", base_timeframe="1h", bars=bars))
    assert matrix.names == tuple(column.name for column in columns)
    for column, values in zip(columns, matrix.values.T, strict=True):
        indicator = Macd() if column.indicator == "macd" else Sma(period=3)
        own = indicator.compute(bars[column.timeframe])[
            column.reference.partition(".")[2] or next(iter(indicator.outputs))
        ]
        last = last_closed(hourly, bars[column.timeframe])
        expected = [own[bar] if bar >= 0 else np.nan for bar in last]
        np.testing.assert_array_equal(values, np.array(expected, dtype=np.float32))
    assert np.isnan(matrix.values[-1, 0])  # the longer bars end before the base bars do


def test_a_timeframe_without_a_bar_leaves_its_columns_undefined() -> None:
    hourly, none = random_bars(1, 100), random_bars(2, 0, timeframe="4h")
    columns = tuple(FeatureColumn(f"{name}_sma", name, "sma", None, "none") for name in ("1h", "4h"))
    matrix = builder(columns).build(Series(symbol="TEST", base_timeframe="1h", bars={"1h": hourly, "4h": none}))
    assert np.isfinite(matrix.values[2:, 0]).all()
    assert np.isnan(matrix.values[:, 1]).all()
    assert (matrix.history == -1).all()


def slow_last_known(base: Bars, other: Bars) -> list[int]:
    """The definition, row by row: the last observation known by a row's close, unless it stands no longer."""
    found = []
    for decision in base.closes:
        known = [row for row, moment in enumerate(other.time) if moment <= decision]
        stands = known and decision - other.time[known[-1]] <= other.valid_for
        found.append(known[-1] if stands else -1)
    return found


@given(st.sampled_from(["1d", "1w", "1M"]), st.lists(st.integers(-40, 80), max_size=12), st.integers(0, 100))
def test_a_row_sees_the_last_value_that_was_known(every: str, days: list[int], seed: int) -> None:
    """From the very moment on at which it was known, and until it is out of date; nothing is filled backward."""
    base = with_gaps(random_bars(seed, 90 * 6, timeframe="4h"), [True, False, True, True])
    many = observations("x", seed, len(days), every=every)
    other = Bars(
        "x", many.timeframe, many.calendar, np.sort(base.time[0] + np.array(days, dtype=np.int64) * 24 * HOUR),
        many.open, many.high, many.low, many.close, many.volume,
    )  # fmt: skip
    assert last_closed(base, other).tolist() == slow_last_known(base, other)


def test_values_of_days_stand_for_three_weeks_and_those_of_months_for_three_months() -> None:
    assert observations("x", 1, 2, every="1d").valid_for == 21 * 24 * HOUR
    assert observations("x", 1, 2, every="1w").valid_for == 21 * 24 * HOUR
    assert observations("x", 1, 2, every="1M").valid_for == 90 * 24 * HOUR


def test_observations_need_no_history_of_their_own() -> None:
    """Two hundred releases of a week are four years: a row needs as many as its indicators do."""
    hourly = random_bars(1, 300)
    columns = tuple(FeatureColumn(f"1h_{name}", "1h", "sma", None, "none", source=name) for name in (None, "x"))
    series = Series(symbol="TEST", base_timeframe="1h", bars={"1h": hourly, "x": observations("x", 1, 5)})
    matrix = builder(columns).build(series)
    assert matrix.history.tolist() == list(range(300))
    assert np.isnan(matrix.values[: 2 * 24, 1]).all()
    assert np.isfinite(matrix.values[3 * 24 :, 1]).all()

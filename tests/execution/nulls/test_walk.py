"""The null walk keeps everything but direction: sizes, time, drift, and what makes a bar a bar."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import HOUR, ROOT, bars_of, changed, random_bars

from ktrdr.errors import DataRefused
from ktrdr.execution.data.bars import PRICES, Bars
from ktrdr.execution.data.importing import read_bars
from ktrdr.execution.data.resampling import resampled
from ktrdr.execution.data.timeframes import parse_timeframe
from ktrdr.execution.nulls.walk import coarser, mirrored, null_walk

KEYS = st.integers(0, 2**64 - 1)
BARS = st.builds(random_bars, st.integers(0, 1000), st.integers(1, 80), step=st.sampled_from([0.0005, 0.01, 0.1]))


@pytest.fixture(scope="module")
def eurusd() -> Bars:
    return read_bars(ROOT / "examples" / "data" / "EURUSD_1h.csv.gz")[0]


def parts(bars: Bars) -> tuple[np.ndarray, ...]:
    """Gap (of all but the first bar), body, upper and lower reach, each in logs."""
    open_, high, low, close = (np.log(getattr(bars, name)) for name in PRICES)
    return open_[1:] - close[:-1], close - open_, high - open_, low - open_


def slow_walk(bars: Bars, minus: list[bool]) -> list[tuple[float, ...]]:
    """The definition, bar by bar."""
    drift = np.log(bars.close[-1] / bars.close[0]) / max(1, len(bars) - 1)
    rows: list[tuple[float, ...]] = []
    for number, mirror in enumerate(minus):
        open_, high, low, close = (getattr(bars, name)[number] for name in PRICES)
        up, down, body = np.log(high / open_), np.log(low / open_), np.log(close / open_)
        gap = np.log(open_ / bars.close[number - 1]) if number else 0.0
        if mirror:
            up, down, body = -down, -up, -body
            gap = 2 * drift - gap if number else 0.0
        start = (rows[-1][3] if number else bars.open[0]) * np.exp(gap)
        rows.append(tuple(float(start * np.exp(part)) for part in (0.0, up, down, body)))
    return rows


@given(BARS, KEYS)
def test_it_is_the_definition(bars: Bars, key: int) -> None:
    walk = null_walk(bars, key)
    columns = np.column_stack([getattr(walk, name) for name in PRICES])
    np.testing.assert_allclose(columns, slow_walk(bars, mirrored(bars.time, key).tolist()), rtol=1e-9)


@given(BARS, KEYS)
def test_sizes_stay_and_only_their_direction_goes(bars: Bars, key: int) -> None:
    """Ranges, bodies, and how far each return is from the mean are those of the bars, up to the sign."""
    before, after = parts(bars), parts(null_walk(bars, key))
    returns = [gap + body[1:] for gap, body, _, _ in (before, after)]
    drift = returns[0].mean() if len(returns[0]) else 0.0
    np.testing.assert_allclose(np.abs(returns[1] - drift), np.abs(returns[0] - drift), atol=1e-9)
    np.testing.assert_allclose(np.abs(after[1]), np.abs(before[1]), atol=1e-9)
    np.testing.assert_allclose(after[2] - after[3], before[2] - before[3], atol=1e-9)


@given(BARS, KEYS)
def test_a_bar_stays_a_bar(bars: Bars, key: int) -> None:
    """No close above its high, times and volumes as they were, and every number finite."""
    walk = null_walk(bars, key)
    assert (walk.high >= np.maximum(walk.open, walk.close)).all()
    assert (walk.low <= np.minimum(walk.open, walk.close)).all()
    assert (walk.low > 0).all()
    np.testing.assert_array_equal(walk.time, bars.time)
    np.testing.assert_array_equal(walk.volume, bars.volume)
    assert (walk.symbol, walk.timeframe, walk.calendar) == (bars.symbol, bars.timeframe, bars.calendar)
    assert walk.open[0] == pytest.approx(bars.open[0])


@given(BARS, KEYS)
def test_one_key_draws_one_walk(bars: Bars, key: int) -> None:
    """Whatever else is drawn before or after, and however many bars there are behind a stamp."""
    np.testing.assert_array_equal(null_walk(bars, key).close, null_walk(bars, key).close)
    np.testing.assert_array_equal(mirrored(bars.time, key)[:10], mirrored(bars.time[:10], key))


def test_symbols_share_the_sign_of_a_stamp(eurusd: Bars) -> None:
    """Two copies of one market stay copies, and so does the link between two that move together."""
    twin = replace(eurusd, symbol="TWIN", close=eurusd.close * 2, open=eurusd.open * 2)
    twin = replace(twin, high=eurusd.high * 2, low=eurusd.low * 2)
    np.testing.assert_allclose(null_walk(twin, 5).close, null_walk(eurusd, 5).close * 2, rtol=1e-9)


def test_the_drift_stays(eurusd: Bars) -> None:
    """Each walk has a mean return of its own; over many walks their mean is that of the bars."""
    rising = null_walk(eurusd, 1)
    steep = np.exp(np.arange(len(rising)) * 2e-4)
    rising = replace(rising, **{name: getattr(rising, name) * steep for name in PRICES})
    drift = np.diff(np.log(rising.close)).mean()
    drifts = [np.diff(np.log(null_walk(rising, key).close)).mean() for key in range(200)]
    error = np.std(drifts) / np.sqrt(200)
    assert drift > 1e-4
    assert abs(np.mean(drifts) - drift) < 4 * error
    assert error < drift / 50


def test_the_path_of_volatility_stays(eurusd: Bars) -> None:
    """The correlation of absolute returns with those of the hour and the day before, and their size by the hour."""
    before, after = (np.abs(np.diff(np.log(bars.close))) for bars in (eurusd, null_walk(eurusd, 3)))
    for lag in (1, 24, 120):
        was, now = (np.corrcoef(values[lag:], values[:-lag])[0, 1] for values in (before, after))
        assert now == pytest.approx(was, abs=0.01)
    hours = eurusd.time[1:] // HOUR % 24
    sizes = [[values[hours == hour].mean() for hour in range(24)] for values in (before, after)]
    np.testing.assert_allclose(sizes[1], sizes[0], rtol=0.05)


def test_direction_cannot_be_told(eurusd: Bars) -> None:
    """A trend that was put into the bars is gone: returns no longer follow from those before."""
    generator = np.random.default_rng(1)
    returns = np.zeros(6000)
    for number in range(1, 6000):
        returns[number] = 0.5 * returns[number - 1] + generator.normal(0, 0.001)
    close = 100 * np.exp(np.cumsum(returns))
    trend = bars_of(np.append(close[:1], close[:-1]), close * 1.001, close * 0.999, close)
    trend = replace(trend, high=np.maximum(trend.high, trend.open), low=np.minimum(trend.low, trend.open))
    follows = [
        np.corrcoef(r[1:], r[:-1])[0, 1] for r in (np.diff(np.log(b.close)) for b in (trend, null_walk(trend, 2)))
    ]
    assert follows[0] > 0.4
    assert abs(follows[1]) < 4 / np.sqrt(6000)


def test_the_coin_is_fair_and_has_no_memory() -> None:
    """Over stamps an hour and a minute apart, and over keys in a row; no two keys agree more often than chance."""
    for step in (HOUR, 60_000_000, 86_400_000_000):
        time = 1_483_228_800_000_000 + np.arange(40_000) * step
        coins = mirrored(time, 7).astype(np.float64) - 0.5
        bound = 4.5 / np.sqrt(len(coins))
        assert abs(coins.mean() * 2) < bound
        for lag in (1, 2, 5, 24):
            assert abs((coins[lag:] * coins[:-lag]).mean() * 4) < bound
        for key in (8, 7 + 2**63, 2**40):
            assert abs((coins * (mirrored(time, key) - 0.5)).mean() * 4) < bound


def test_bars_without_prices_stay_and_prices_without_logarithm_are_refused() -> None:
    broken = changed(random_bars(1, 30), slice(10, 12), **dict.fromkeys(PRICES, np.nan))
    walk = null_walk(broken, 3)
    assert np.isnan(walk.close).tolist() == np.isnan(broken.close).tolist()
    with pytest.raises(DataRefused, match=r"TEST 1h has a price of -37\.63 \(low of 2017-01-01 05:00\)"):
        null_walk(changed(random_bars(1, 30), slice(5, 6), low=-37.63), 3)


@given(st.integers(0, 1000), st.sampled_from(["4h", "1d", "1w"]), KEYS)
def test_longer_bars_are_those_of_the_finer_walk(seed: int, longer: str, key: int) -> None:
    """As resampling makes them of it."""
    fine = random_bars(seed, 24 * 15 + 5)
    made = resampled(fine, parse_timeframe(longer))
    walk = null_walk(fine, key)
    got, wanted = coarser(made, fine, walk, key), resampled(walk, parse_timeframe(longer))
    kept = np.isin(wanted.time, got.time)
    assert kept.sum() == len(made)
    for name in ("time", *PRICES):
        np.testing.assert_allclose(getattr(got, name), getattr(wanted, name)[kept], rtol=1e-12)
    np.testing.assert_array_equal(got.volume, made.volume)
    assert got.resampling is None


@given(st.integers(0, 1000), st.integers(0, 400), KEYS)
def test_bars_before_the_finer_ones_join_the_walk(seed: int, begins: int, key: int) -> None:
    """They are mirrored on their own, keep their sizes, end where they ended; holes in the finer stay holes."""
    whole = random_bars(seed, 480)
    days = resampled(whole, parse_timeframe("1d"))
    hole = slice(max(begins, 200), max(begins, 200) + 48)
    fine = whole.rows(slice(begins, None))
    kept = np.ones(len(fine), dtype=np.bool_)
    kept[max(0, hole.start - begins) : hole.stop - begins] = False
    fine = replace(fine, **{name: getattr(fine, name)[kept] for name in ("time", *PRICES, "volume")})
    walk = coarser(days, fine, null_walk(fine, key), key)
    earlier = int((days.closes <= fine.time[0]).sum())
    assert walk.time[:earlier].tolist() == days.time[:earlier].tolist()
    if earlier:
        assert walk.close[earlier - 1] == pytest.approx(days.close[earlier - 1])
        np.testing.assert_allclose(
            np.log(walk.high / walk.low)[:earlier], np.log(days.high / days.low)[:earlier], atol=1e-9
        )
    empty = [time for time, end in zip(days.time, days.closes, strict=True) if not _any_between(fine, time, end)]
    assert set(days.time) - set(walk.time) == {time for time in empty if time >= fine.time[0]}
    assert np.isfinite(walk.close).all()


def _any_between(bars: Bars, start: int, end: int) -> bool:
    return bool(((bars.time >= start) & (bars.time < end)).any())

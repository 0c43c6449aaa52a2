"""Indicators agree with slow readings of their definitions."""

import numpy as np
import pandas as pd
import pytest
from tests.execution.indicators.market import slow_window, then_still

from ktrdr.execution.data.bars import Bars
from ktrdr.execution.indicators.averages import DistanceFromMa, Ema
from ktrdr.execution.indicators.momentum import (
    FisherTransform,
    Rsi,
    Rvi,
)
from ktrdr.execution.indicators.trend import Ichimoku, SuperTrend, Zigzag
from ktrdr.execution.indicators.volatility import (
    Atr,
    BollingerBandWidth,
    DonchianChannels,
    KeltnerChannels,
    SqueezeIntensity,
)
from ktrdr.execution.indicators.volume import AdLine, Cmf, VolumeRatio, Vwap


def pandas_of(bars: Bars) -> pd.DataFrame:
    return pd.DataFrame({name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")})


def wilder(values: pd.Series, period: int, first: int) -> pd.Series:
    """Wilder's average: the mean of the first `period` values from `first` on, then 1/period of each new one."""
    result = pd.Series(np.nan, index=values.index)
    average = values.iloc[first : first + period].mean()
    result.iloc[first + period - 1] = average
    for bar in range(first + period, len(values)):
        average += (values.iloc[bar] - average) / period
        result.iloc[bar] = average
    return result


def true_range(frame: pd.DataFrame) -> pd.Series:
    previous = frame.close.shift()
    parts = [frame.high - frame.low, (frame.high - previous).abs(), (frame.low - previous).abs()]
    return pd.concat(parts, axis=1).max(axis=1, skipna=False)


def seeded_ema(values: pd.Series, period: int) -> pd.Series:
    """The simple mean of the first period, then 2 / (period + 1) of each new value."""
    seeded = values.copy()
    seeded.iloc[: period - 1] = np.nan
    seeded.iloc[period - 1] = values.iloc[:period].mean()
    return seeded.ewm(span=period, adjust=False).mean()


def close_to(values: np.ndarray, expected: object, atol: float = 1e-12) -> None:
    np.testing.assert_allclose(values, np.asarray(expected, dtype=np.float64), rtol=1e-9, atol=atol)


def test_rsi_and_atr_are_wilders(bars: Bars) -> None:
    """New Concepts in Technical Trading Systems, by the book."""
    frame = pandas_of(bars).head(600)
    change = frame.close.diff()
    gain, loss = (wilder(side.clip(lower=0), 14, 1) for side in (change, -change))
    close_to(Rsi().compute(bars)["rsi"][:600], 100 - 100 / (1 + gain / loss), atol=1e-9)
    close_to(Atr().compute(bars)["atr"][:600], wilder(true_range(frame), 14, 1))


def test_ema_starts_at_the_mean_of_its_first_period(bars: Bars) -> None:
    close_to(Ema(period=20).compute(bars)["ema"], seeded_ema(pandas_of(bars).close, 20))


def test_distance_and_bandwidth_are_relative(bars: Bars) -> None:
    close = pandas_of(bars).close
    average = close.rolling(20).mean()
    close_to(DistanceFromMa().compute(bars)["distance"], (close - average) / average * 100, atol=1e-10)
    deviation = close.rolling(20).std(ddof=0)
    width = BollingerBandWidth(multiplier=1.5).compute(bars)["bandwidth"]
    np.testing.assert_allclose(width, 3 * deviation / average, rtol=1e-5)  # a running variance loses digits
    ema = seeded_ema(close, 20)
    close_to(DistanceFromMa(ma_type="EMA").compute(bars)["distance"], (close - ema) / ema * 100, atol=1e-10)


def test_keltner_channels_are_atrs_around_an_ema(bars: Bars) -> None:
    frame = pandas_of(bars)
    middle, width = seeded_ema(frame.close, 20), 2 * wilder(true_range(frame), 10, 1)
    result = KeltnerChannels().compute(bars)
    for name, expected in (("upper", middle + width), ("middle", middle), ("lower", middle - width)):
        close_to(result[name], expected)


def test_donchian_channels_are_extremes(bars: Bars) -> None:
    frame, result = pandas_of(bars), DonchianChannels(period=20).compute(bars)
    upper, lower = frame.high.rolling(20).max(), frame.low.rolling(20).min()
    for name, expected in (("upper", upper), ("middle", (upper + lower) / 2), ("lower", lower)):
        close_to(result[name], expected)


def test_a_squeeze_is_the_smaller_distance_between_bands_and_channels(bars: Bars) -> None:
    frame = pandas_of(bars)
    average, deviation = frame.close.rolling(20).mean(), frame.close.rolling(20).std(ddof=0)
    middle, width = seeded_ema(frame.close, 20), 2 * wilder(true_range(frame), 10, 1)
    above = ((middle + width) - (average + 2 * deviation)) / (2 * width)
    below = ((average - 2 * deviation) - (middle - width)) / (2 * width)
    expected = np.maximum(np.minimum(above, below), 0)
    values = SqueezeIntensity().compute(bars)["squeeze"]
    close_to(values, expected, atol=1e-6)
    assert 0.0 < np.nanmax(values) <= 0.5
    same = SqueezeIntensity.model_validate({"period": 20}).compute(bars)["squeeze"]
    np.testing.assert_array_equal(same, values)


def slow_supertrend(bars: Bars, period: int, multiplier: float) -> tuple[np.ndarray, np.ndarray]:
    """Seban's rules, bar by bar: a band moves only towards the price while the close before it has not broken it."""
    frame = pandas_of(bars)
    middle, width = ((frame.high + frame.low) / 2).to_numpy(), multiplier * wilder(true_range(frame), period, 1)
    upper, lower = middle + width.to_numpy(), middle - width.to_numpy()
    close = bars.close
    stop, direction = np.full(len(bars), np.nan), np.full(len(bars), np.nan)
    for bar in range(period, len(bars)):
        if bar == period:
            direction[bar] = 1.0
        else:
            if not (upper[bar] < upper[bar - 1] or close[bar - 1] > upper[bar - 1]):
                upper[bar] = upper[bar - 1]
            if not (lower[bar] > lower[bar - 1] or close[bar - 1] < lower[bar - 1]):
                lower[bar] = lower[bar - 1]
            up = direction[bar - 1] > 0
            direction[bar] = (
                (1.0 if close[bar] >= lower[bar] else -1.0) if up else (1.0 if close[bar] > upper[bar] else -1.0)
            )
        stop[bar] = lower[bar] if direction[bar] > 0 else upper[bar]
    return stop, direction


@pytest.mark.parametrize(("period", "multiplier"), [(10, 3.0), (5, 0.7)])
def test_supertrend_is_sebans(bars: Bars, period: int, multiplier: float) -> None:
    stop, direction = slow_supertrend(bars, period, multiplier)
    result = SuperTrend(period=period, multiplier=multiplier).compute(bars)
    agree = result["direction"] == direction
    first = int(np.argmax(np.diff(direction[period:]) != 0)) + period + 1  # how the first trend starts is a convention
    assert agree[first:].all()
    close_to(result["trend"][first:], stop[first:])
    assert set(np.unique(result["direction"][period:])) == {-1.0, 1.0}


def test_ichimoku_is_hosodas(bars: Bars) -> None:
    frame, result = pandas_of(bars), Ichimoku().compute(bars)
    middle = {n: (frame.high.rolling(n).max() + frame.low.rolling(n).min()) / 2 for n in (9, 26, 52)}
    close_to(result["tenkan"], middle[9])
    close_to(result["kijun"], middle[26])
    close_to(result["senkou_a"], ((middle[9] + middle[26]) / 2).shift(26))
    close_to(result["senkou_b"], middle[52].shift(26))
    close_to(result["chikou"], frame.close.shift(-26))


def test_fisher_is_ehlers(bars: Bars) -> None:
    """The article's EasyLanguage, with its .33 and .67, its .999 and its .5."""
    price = (bars.high + bars.low) / 2
    value = fish = 0.0
    expected = np.full(len(bars), np.nan)
    for bar in range(9, len(bars)):
        high, low = price[bar - 9 : bar + 1].max(), price[bar - 9 : bar + 1].min()
        place = (price[bar] - low) / (high - low) if high > low else 0.5
        value = min(max(0.33 * 2 * (place - 0.5) + 0.67 * value, -0.999), 0.999)
        fish = 0.5 * np.log((1 + value) / (1 - value)) + 0.5 * fish
        expected[bar] = fish
    result = FisherTransform().compute(bars)
    close_to(result["fisher"], expected)
    close_to(result["signal"], pd.Series(expected).shift())


def test_rvi_is_ehlers(bars: Bars) -> None:
    """Weights 1, 2, 2, 1 on four bars, sums over the period, and the same weights for the signal."""
    frame = pandas_of(bars)

    def weighted(series: pd.Series) -> pd.Series:
        return (series + 2 * series.shift(1) + 2 * series.shift(2) + series.shift(3)) / 6

    vigour = weighted(frame.close - frame.open).rolling(10).sum()
    span = weighted(frame.high - frame.low).rolling(10).sum()
    result = Rvi().compute(bars)
    close_to(result["rvi"], vigour / span, atol=1e-9)
    close_to(result["signal"], weighted(vigour / span), atol=1e-9)


def slow_money_flow(bars: Bars) -> tuple[np.ndarray, np.ndarray]:
    rows = zip(bars.high, bars.low, bars.close, strict=True)
    flow = [((close - low) - (high - close)) / (high - low) if high > low else 0.0 for high, low, close in rows]
    return np.array(flow), np.array(flow) * bars.volume


def test_money_flow_is_chaikins(bars: Bars) -> None:
    still = then_still(bars, len(bars) - 80)
    multiplier, moved = slow_money_flow(still)
    flow = pd.Series(slow_window(moved, 20, np.sum) / np.maximum(slow_window(still.volume, 20, np.sum), 1e-9))
    result = Cmf(period=20).compute(still)
    close_to(result["cmf"], flow, atol=1e-9)
    close_to(result["mf_multiplier"], multiplier)
    close_to(result["mf_volume"], moved)
    close_to(result["momentum"], flow.diff(5), atol=1e-9)
    signal = seeded_ema(flow.iloc[19:], 9).reindex(flow.index)
    close_to(result["signal"], signal, atol=1e-9)
    close_to(result["histogram"], flow - signal, atol=1e-9)
    defined = flow.notna()
    for name, side in (("above_zero", result["cmf"] > 0), ("below_zero", result["cmf"] < 0)):
        np.testing.assert_array_equal(result[name][defined], side[defined])
    line = pd.Series(np.cumsum(moved))
    result = AdLine().compute(still)
    close_to(result["line"], line, atol=1e-6)
    close_to(result["momentum_21"], line.diff(21), atol=1e-6)
    close_to(result["roc_10"], line.pct_change(10) * 100, atol=1e-6)
    close_to(result["relative_strength"], (line / line.rolling(50).mean() - 1) * 100, atol=1e-6)
    smooth = AdLine(use_sma_smoothing=True, smoothing_period=7).compute(still, ["line"])["line"]
    close_to(smooth, line.rolling(7).mean(), atol=1e-6)


def test_vwap_weighs_prices_by_volume(bars: Bars) -> None:
    still = then_still(bars, len(bars) - 80)
    frame = pandas_of(still)
    typical = (frame.high + frame.low + frame.close) / 3
    for price, typical_price in ((typical, True), (frame.close, False)):
        traded = slow_window(still.volume, 20, np.sum)
        with np.errstate(invalid="ignore", divide="ignore"):
            weighted = slow_window((price * frame.volume).to_numpy(), 20, np.sum) / traded
        expected = np.where(traded == 0, price.rolling(20).mean(), weighted)
        close_to(Vwap(use_typical_price=typical_price).compute(still)["vwap"], expected)
    average = slow_window(still.volume, 20, np.mean)
    expected = np.where(average == 0, 1.0, still.volume / np.where(average == 0, 1.0, average))
    close_to(VolumeRatio().compute(still)["ratio"], expected, atol=1e-9)
    assert (expected[-61:] == 1.0).all()


def test_zigzag_marks_confirmed_turning_points(bars: Bars) -> None:
    """A high or low counts once the price has moved the threshold away from it."""
    threshold, price, points = 0.01, bars.close, []
    extreme, rising = 0, None
    low = high = 0
    for bar, now in enumerate(price):
        if rising is None:
            low, high = (bar if now < price[low] else low), (bar if now > price[high] else high)
            if now >= price[low] * (1 + threshold):
                points, rising, extreme = [low], True, bar
            elif now <= price[high] * (1 - threshold):
                points, rising, extreme = [high], False, bar
        elif (now > price[extreme]) if rising else (now < price[extreme]):
            extreme = bar
        elif now <= price[extreme] * (1 - threshold) if rising else now >= price[extreme] * (1 + threshold):
            points.append(extreme)
            rising, extreme = not rising, bar
    expected = np.full(len(bars), np.nan)
    expected[points] = price[points]
    assert len(points) > 10
    np.testing.assert_array_equal(Zigzag(threshold=threshold).compute(bars)["zigzag"], expected)
